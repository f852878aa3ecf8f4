// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/inflight.c - a short list, in the order of the journal, so its first entry is the hold. */
#include "broker-plugin/inflight.h"

#include <stddef.h>
#include <string.h>

static void drop(tmb_inflight *inflight, unsigned at)
{
    struct tmb_inflight_entry *e = &inflight->entries[at];
    inflight->count--;
    memmove(e, e + 1, (inflight->count - at) * sizeof *e);
}

void tmb_inflight_done(tmb_inflight *inflight, const void *payload)
{
    for (unsigned i = 0; payload && i < inflight->count; i++) {
        if (inflight->entries[i].payload == payload) {
            drop(inflight, i);
            return;
        }
    }
}

void tmb_inflight_add(tmb_inflight *inflight, uint64_t seq, const void *payload, bool is_lasting,
                      tmb_mono now)
{
    tmb_inflight_done(inflight, payload); /* its memory was given back: the one before is over */
    struct tmb_inflight_entry entry = {
        seq, payload, tmb_mono_after(now, tmb_dur_ms(TMB_INFLIGHT_MS)), is_lasting};
    if (inflight->count < TMB_INFLIGHT_MAX) {
        inflight->entries[inflight->count++] = entry;
        return;
    }
    if (inflight->beyond_seq == 0)
        inflight->beyond_seq = seq;
    inflight->beyond_until = entry.until;
}

static void let_go(tmb_inflight *inflight, tmb_mono now)
{
    while (inflight->count > 0 && tmb_mono_is_due(inflight->entries[0].until, now))
        drop(inflight, 0);
    if (inflight->beyond_seq > 0 && tmb_mono_is_due(inflight->beyond_until, now))
        inflight->beyond_seq = 0;
}

/* hold gives the position before the entry at, and before those beyond. */
static uint64_t hold(const tmb_inflight *inflight, unsigned at, uint64_t seq)
{
    if (at < inflight->count && inflight->entries[at].seq <= seq)
        seq = inflight->entries[at].seq - 1;
    if (inflight->beyond_seq > 0 && inflight->beyond_seq <= seq)
        seq = inflight->beyond_seq - 1;
    return seq;
}

uint64_t tmb_inflight_hold(tmb_inflight *inflight, uint64_t seq, tmb_mono now)
{
    let_go(inflight, now);
    return hold(inflight, 0, seq);
}

uint64_t tmb_inflight_hold_last(tmb_inflight *inflight, uint64_t seq, tmb_mono now)
{
    let_go(inflight, now);
    unsigned at = 0;
    while (at < inflight->count && inflight->entries[at].is_lasting)
        at++;
    return hold(inflight, at, seq);
}
