// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/capacity.c - see syncd/hub/capacity.h. */
#include "syncd/hub/capacity.h"

#include <string.h>

#include "base/err.h"

#define MS             INT64_C(1000000)
#define MEASURE_MS_MIN 250 /* a shorter time is not divided by */
/* A longer time is measured in parts. Handshakes that begin together end together: of a part of the time it
 * took, that would tell nothing. */
#define MEASURE_MS_MAX 10000
#define SILENCE_MS     5000 /* busy for so long and no session: with something else */
#define OVER_MS        1000 /* no session for so long: the herd is over */
#define CALM_PROBES                                                                                \
    3 /* end a time with a queue: the machine may just have given us a better turn */
#define QUEUED_PCT      80 /* of a time in which there was a queue for less, nothing is learnt */
#define CALM_MS         1000
#define WHOLE_SESSIONS  (4 * TMB_CAPACITY_SESSIONS_MIN) /* count fully */
#define RAISE_ABOVE_PCT 70

static uint64_t clamp(uint64_t rate_mps)
{
    uint64_t least = TMB_CAPACITY_MIN * UINT64_C(1000), most = TMB_CAPACITY_MAX * UINT64_C(1000);
    if (rate_mps < least)
        return least;
    return rate_mps < most ? rate_mps : most;
}

void tmb_capacity_init(tmb_capacity *c, uint64_t rate_mps)
{
    memset(c, 0, sizeof *c);
    c->rate_mps = clamp(rate_mps != 0 ? rate_mps : TMB_CAPACITY_START * UINT64_C(1000));
    tmb_capacity_reset(c);
}

void tmb_capacity_reset(tmb_capacity *c)
{
    c->is_busy = false;
    c->since = c->busy_sessions = c->calm_sessions = 0;
    c->sent = c->calm_from = tmb_mono_never();
    c->last.ns = INT64_MIN;
    c->lag.ns = 0;
}

void tmb_capacity_session(tmb_capacity *c, tmb_mono now)
{
    c->since++;
    c->last = now;
}

void tmb_capacity_probe_sent(tmb_capacity *c, tmb_mono now)
{
    c->sent = now;
}

/* What was counted while there was a queue becomes C, or a part of the way to it. */
static void measure(tmb_capacity *c)
{
    int64_t ns = c->last.ns > c->busy_from.ns ? c->last.ns - c->busy_from.ns : 0;
    if (c->busy_sessions < TMB_CAPACITY_SESSIONS_MIN || ns < MEASURE_MS_MIN * MS ||
        c->queued.ns < ns / 100 * QUEUED_PCT)
        return;
    uint64_t found = clamp(c->busy_sessions * 1000000 / (uint64_t)(ns / 1000000 + 1));
    uint64_t weight = c->busy_sessions < WHOLE_SESSIONS ? c->busy_sessions : WHOLE_SESSIONS;
    c->rate_mps = (found * weight + c->rate_mps * (WHOLE_SESSIONS - weight)) / WHOLE_SESSIONS;
    c->measured++;
}

static void begin_busy(tmb_capacity *c, tmb_mono from)
{
    c->is_busy = true;
    c->busy_from = from;
    c->busy_sessions = 0;
    c->queued.ns = 0;
}

static void note_busy(tmb_capacity *c, tmb_mono now)
{
    c->calm_from = tmb_mono_never();
    if (!c->is_busy)
        begin_busy(c, c->sent);
    c->busy_sessions += c->since;
    c->queued.ns += c->lag.ns;
    c->calm_probes = 0;
    int64_t ns = now.ns - c->busy_from.ns;
    bool has_sessions = c->busy_sessions > 0;
    bool is_over = has_sessions && now.ns - c->last.ns >= OVER_MS * MS;
    if (ns < (has_sessions ? MEASURE_MS_MAX : SILENCE_MS) * MS && !is_over)
        return;
    measure(c);
    begin_busy(c, now);
}

static void raise_if_calm(tmb_capacity *c, tmb_mono now)
{
    if (c->calm_from.ns == INT64_MAX) {
        c->calm_from = now;
        c->calm_sessions = 0;
        return;
    }
    c->calm_sessions += c->since;
    int64_t ns = now.ns - c->calm_from.ns;
    if (ns < CALM_MS * MS)
        return;
    uint64_t came_mps = c->calm_sessions * 1000000 / (uint64_t)(ns / 1000000);
    if (c->calm_sessions >= TMB_CAPACITY_SESSIONS_MIN &&
        came_mps * 100 > c->rate_mps * RAISE_ABOVE_PCT) {
        c->rate_mps = clamp(c->rate_mps + c->rate_mps / 8);
        c->raised++;
    }
    c->calm_from = now;
    c->calm_sessions = 0;
}

static void note_calm(tmb_capacity *c, tmb_mono now)
{
    if (!c->is_busy) {
        raise_if_calm(c, now);
        return;
    }
    c->busy_sessions += c->since;
    if (++c->calm_probes < CALM_PROBES)
        return;
    measure(c);
    c->is_busy = false;
}

void tmb_capacity_probe_back(tmb_capacity *c, tmb_mono now)
{
    if (c->sent.ns == INT64_MAX)
        return;
    int64_t busy_ns = TMB_CAPACITY_BUSY_MS * MS, usual_ns = TMB_CAPACITY_BUSY_TIMES * c->usual.ns;
    c->lag.ns = now.ns - c->sent.ns;
    if (c->lag.ns >= (busy_ns > usual_ns ? busy_ns : usual_ns))
        note_busy(c, now);
    else
        note_calm(c, now);
    if (c->since == 0 && (c->last.ns == INT64_MIN || now.ns - c->last.ns >= OVER_MS * MS))
        c->usual.ns += (c->lag.ns - c->usual.ns) / 16;
    c->since = 0;
    c->sent = tmb_mono_never();
}
