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

void tmb_inflight_done(tmb_inflight *inflight, const void *topic)
{
    for (unsigned i = 0; topic && i < inflight->count; i++) {
        const struct tmb_inflight_entry *e = &inflight->entries[i];
        if (e->topic == topic || e->topic_before == topic) {
            drop(inflight, i);
            return;
        }
    }
}

static bool is_over(const struct tmb_inflight_entry *e)
{
    return e->tag > 0 && !e->topic && !e->topic_before;
}

/* reuse: this memory was given back. The message that was there has gone its way, and nobody subscribed to
 * it; or the broker dropped it with its publisher's session, and its number may come again. */
static void reuse(tmb_inflight *inflight, const void *topic)
{
    for (unsigned i = 0; topic && i < inflight->count; i++) {
        struct tmb_inflight_entry *e = &inflight->entries[i];
        if (e->topic != topic && e->topic_before != topic)
            continue;
        if (e->topic == topic)
            e->topic = NULL;
        if (e->topic_before == topic)
            e->topic_before = NULL;
        if (!e->topic && !e->topic_before && e->tag == 0)
            drop(inflight, i);
        return;
    }
}

static void make_room(tmb_inflight *inflight)
{
    for (unsigned i = 0; i < inflight->count && inflight->count == TMB_INFLIGHT_MAX; i++)
        if (is_over(&inflight->entries[i]))
            drop(inflight, i);
}

void tmb_inflight_add(tmb_inflight *inflight, uint64_t seq, const void *topic, uint64_t tag,
                      bool is_lasting, tmb_mono now)
{
    reuse(inflight, topic);
    make_room(inflight);
    struct tmb_inflight_entry entry = {.seq = seq,
                                       .topic = topic,
                                       .tag = tag,
                                       .until = tmb_mono_after(now, tmb_dur_ms(TMB_INFLIGHT_MS)),
                                       .is_lasting = is_lasting};
    if (inflight->count < TMB_INFLIGHT_MAX) {
        inflight->entries[inflight->count++] = entry;
        return;
    }
    if (inflight->beyond_seq == 0)
        inflight->beyond_seq = seq;
    inflight->beyond_until = entry.until;
}

bool tmb_inflight_again(tmb_inflight *inflight, uint64_t tag, const void *topic, tmb_mono now,
                        uint64_t *ret_seq)
{
    reuse(inflight, topic);
    for (unsigned i = 0; tag > 0 && i < inflight->count; i++) {
        struct tmb_inflight_entry *e = &inflight->entries[i];
        if (e->tag != tag)
            continue;
        if (e->topic)
            e->topic_before = e->topic;
        e->topic = topic;
        e->until = tmb_mono_after(now, tmb_dur_ms(TMB_INFLIGHT_MS));
        *ret_seq = e->seq;
        return true;
    }
    return false;
}

bool tmb_inflight_take(tmb_inflight *inflight, uint64_t tag, uint64_t *ret_seq)
{
    for (unsigned i = 0; tag > 0 && i < inflight->count; i++) {
        if (inflight->entries[i].tag != tag)
            continue;
        *ret_seq = inflight->entries[i].seq;
        drop(inflight, i);
        return true;
    }
    return false;
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
