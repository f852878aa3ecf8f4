// SPDX-License-Identifier: Apache-2.0
/* syncd/session/paid.c - what is on its way of a pool is counted anew each time, so no path can forget to. */
#include "syncd/session/paid.h"

#include "syncd/session/lane.h"

static tmb_pool pool_of(const tmb_session *s, unsigned i, uint64_t seq)
{
    if (s->options.is_live[i])
        return TMB_POOL_LIVE;
    return tmb_credit_pool_of(s->options.classes[i], seq, s->lanes[i].told_last_seq);
}

static tmb_credit_use count_use(const tmb_session *s, tmb_pool pool)
{
    tmb_credit_use use = {0};
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        const tmb_session_lane *lane = &s->lanes[i];
        if (lane->load_ticket != 0 && !lane->is_load_unwanted &&
            pool_of(s, i, lane->load_seq) == pool) {
            use.loads++;
            use.loading_bytes += lane->load_bytes;
        }
        uint64_t seq = lane->acked + 1;
        for (unsigned k = 0; k < lane->inflight; k++) {
            use.inflight += pool_of(s, i, seq) == pool;
            seq = lane->inflight_last[k] + 1;
        }
    }
    return use;
}

/* Another lane of the pool has what goes beyond the credit, and only alone: those that are not urgent let
 * what is on its way come to its end first, else its turn might never come. */
static bool must_stand_back(const tmb_session *s, unsigned i, tmb_pool pool)
{
    if (s->lanes[i].must_go_alone || s->options.classes[i] <= TMB_CLASS_ALARM)
        return false;
    for (unsigned k = 0; k < s->options.streams_count; k++) {
        const tmb_session_lane *lane = &s->lanes[k];
        bool is_loading = lane->load_ticket != 0 && !lane->is_load_unwanted;
        bool would_load = tmb_session_lane_wants_load(lane) && lane->not_before.ns <= s->now.ns;
        if (k != i && lane->must_go_alone && (is_loading || would_load) &&
            pool_of(s, k, is_loading ? lane->load_seq : lane->next_seq) == pool)
            return true;
    }
    return false;
}

uint32_t tmb_session_load_bytes(const tmb_session *s, unsigned i, uint32_t wanted)
{
    if (!s->credit.is_limited)
        return wanted;
    tmb_pool pool = pool_of(s, i, s->lanes[i].next_seq);
    tmb_credit_use use = count_use(s, pool);
    if (s->lanes[i].must_go_alone && use.loads + use.inflight > 0)
        return 0;
    if (must_stand_back(s, i, pool))
        return 0;
    return tmb_credit_load_bytes(&s->credit, pool, s->options.classes[i], &use, wanted);
}

bool tmb_session_pay(tmb_session *s, unsigned i, uint64_t seq, uint32_t bytes,
                     tmb_session_action *action)
{
    tmb_pool pool = pool_of(s, i, seq);
    tmb_credit_use use = count_use(s, pool);
    if (bytes == 0)
        bytes = s->lanes[i].load_bytes;
    s->lanes[i].must_go_alone = !tmb_credit_fits(&s->credit, pool, &use, bytes);
    if (s->lanes[i].must_go_alone)
        return false;
    action->pool = s->version >= 2 ? pool : TMB_POOL_LIVE;
    action->spent = tmb_credit_spend(&s->credit, pool, bytes);
    return true;
}

void tmb_session_note_blocked(tmb_session *s)
{
    bool is_blocked[2] = {false, false};
    bool is_streaming = s->state == TMB_SESSION_STREAMING && s->credit.is_limited;
    for (unsigned i = 0; i < s->options.streams_count && is_streaming; i++) {
        if (tmb_session_lane_wants_load(&s->lanes[i]) &&
            tmb_session_load_bytes(s, i, s->options.batch_bytes) == 0)
            is_blocked[pool_of(s, i, s->lanes[i].next_seq)] = true;
    }
    for (unsigned p = 0; p < 2; p++)
        tmb_credit_note_blocked(&s->credit, (tmb_pool)p, is_blocked[p], s->now);
}
