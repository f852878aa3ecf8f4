// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/inflight.c - a short list, in the order of the journal, so its first entry is the hold. */
#include "broker-plugin/inflight.h"

#include <stddef.h>
#include <string.h>

#include "base/err.h"

static void drop(tmb_inflight *inflight, unsigned at)
{
    struct tmb_inflight_entry *e = &inflight->entries[at];
    inflight->count--;
    memmove(e, e + 1, (inflight->count - at) * sizeof *e);
}

/* drop_all drops what has tag, but for 0; and the entry at. */
static void drop_all(tmb_inflight *inflight, unsigned at, uint64_t tag)
{
    drop(inflight, at);
    for (unsigned i = inflight->count; tag > 0 && i > 0; i--)
        if (inflight->entries[i - 1].tag == tag)
            drop(inflight, i - 1);
}

void tmb_inflight_done(tmb_inflight *inflight, const void *topic)
{
    for (unsigned i = 0; topic && i < inflight->count; i++) {
        if (inflight->entries[i].topic == topic) {
            drop_all(inflight, i, inflight->entries[i].tag);
            return;
        }
    }
}

/* reuse: this memory was given back, so the message that was there is over, or was never kept. */
static void reuse(tmb_inflight *inflight, const void *topic)
{
    for (unsigned i = 0; topic && i < inflight->count; i++) {
        if (inflight->entries[i].topic == topic) {
            drop(inflight, i);
            return;
        }
    }
}

void tmb_inflight_add(tmb_inflight *inflight, uint64_t seq, const void *topic, uint64_t tag,
                      bool is_lasting, tmb_mono now)
{
    reuse(inflight, topic);
    struct tmb_inflight_entry entry = {
        seq, topic, tag, tmb_mono_after(now, tmb_dur_ms(TMB_INFLIGHT_MS)), is_lasting};
    if (inflight->count < TMB_INFLIGHT_MAX) {
        inflight->entries[inflight->count++] = entry;
        return;
    }
    if (inflight->beyond_seq == 0)
        inflight->beyond_seq = seq;
    inflight->beyond_until = entry.until;
}

static struct tmb_inflight_entry *find_tag(tmb_inflight *inflight, uint64_t tag)
{
    for (unsigned i = 0; tag > 0 && i < inflight->count; i++)
        if (inflight->entries[i].tag == tag)
            return &inflight->entries[i];
    return NULL;
}

bool tmb_inflight_again(tmb_inflight *inflight, uint64_t tag, const void *topic, tmb_mono now,
                        uint64_t *ret_seq)
{
    struct tmb_inflight_entry *e = find_tag(inflight, tag);
    if (!e)
        return false;
    struct tmb_inflight_entry again = *e;
    again.topic = topic;
    again.until = tmb_mono_after(now, tmb_dur_ms(TMB_INFLIGHT_MS));
    *ret_seq = again.seq;
    if (e->topic == topic) { /* its memory was given back, and came back to it */
        *e = again;
        return true;
    }
    reuse(inflight, topic);
    e = find_tag(inflight, tag); /* it may have moved */
    TMB_ASSERT(e);
    if (inflight->count < TMB_INFLIGHT_MAX) {
        memmove(e + 1, e, (size_t)(&inflight->entries[inflight->count++] - e) * sizeof *e);
        e[1].until = again.until;
    }
    *e = again;
    return true;
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
