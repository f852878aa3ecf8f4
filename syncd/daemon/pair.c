// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/pair.c - see pair.h. */
#include "syncd/daemon/pair.h"

#include "syncd/daemon/log.h"

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void tmb_pair_range(const tmb_lane *lane, const tmb_session *session, uint64_t *ret_first,
                    uint64_t *ret_last)
{
    tmb_live_range open;
    uint64_t first = lane->first_seq, last = lane->last_seq;
    bool has_open = lane->ahead && tmb_ahead_last(lane->ahead, lane->stream, &open);
    if (lane->ahead && !lane->is_live && has_open && open.first - 1 < last)
        last = open.first - 1;
    /* Before the parent's mark is known the whole log: the file may be lost, and the mark not. */
    if (lane->is_live && !has_open && session->state == TMB_SESSION_STREAMING &&
        session->lanes[lane->index].acked == 0) {
        first = 1;
        last = 0;
    }
    *ret_first = first <= last ? first : last + 1;
    *ret_last = last;
}

void tmb_pair_decide(const tmb_lane *own, const tmb_lane *live, const tmb_session *session)
{
    tmb_live_range open = {.first = 1};
    uint64_t own_mark = session->lanes[own->index].acked;
    uint64_t live_mark = session->lanes[live->index].acked;
    /* A batch may have more than the last look saw: what the own lane has sent stays in it. */
    uint64_t seen = max_of(own->last_seq, live->last_seq), close = 0, carried = own_mark;
    uint64_t end = max_of(max_of(seen, own_mark), max_of(own->sent_last, live->sent_last));
    if (!own->is_known || !live->is_known || session->version < 2 ||
        session->state != TMB_SESSION_STREAMING || !session->lanes[own->index].is_greeted ||
        !session->lanes[live->index].is_greeted)
        return;
    bool has_open = tmb_ahead_last(own->ahead, own->stream, &open);
    if (has_open) {
        close = max_of(live->sent_last, live_mark);
        carried = max_of(live_mark, open.first - 1);
    }
    bool is_forgotten = !has_open && live_mark > 0;
    bool is_behind = end > carried && end - carried > TMB_AHEAD_JUMP_RECORDS;
    if ((!is_behind && !is_forgotten) || (has_open && end <= close))
        return;
    uint64_t through = own_mark < live_mark ? own_mark : live_mark;
    if (tmb_ahead_jump(own->ahead, own->stream, close, end + 1,
                       max_of(through, own->first_seq - 1)))
        LOG(TMB_LOG_NOTICE, "live.ahead", tmb_str("stream", own->stream),
            tmb_num("first_seq", end + 1), tmb_num("waiting", end - own_mark));
}

bool tmb_pair_is_late(const tmb_lane *lane, uint64_t last_seq)
{
    tmb_live_range open;
    return lane->ahead && !lane->is_live && tmb_ahead_last(lane->ahead, lane->stream, &open) &&
           last_seq < open.first;
}

bool tmb_pair_is_untold(const tmb_lane *lane, const tmb_session *session, uint64_t last_seq)
{
    tmb_live_range open;
    const tmb_session_lane *own = &session->lanes[lane->index];
    return lane->ahead && !lane->is_live && session->version >= 2 &&
           session->state == TMB_SESSION_STREAMING && own->is_greeted &&
           last_seq > own->told_last_seq &&
           last_seq - own->told_last_seq > TMB_AHEAD_JUMP_RECORDS &&
           tmb_ahead_last(lane->ahead, lane->stream, &open);
}

uint64_t tmb_pair_first_waiting(const tmb_lane *lane, const tmb_session *session, uint64_t have)
{
    uint64_t first = 0, last = 0, part_last = 0;
    tmb_pair_range(lane, session, &first, &last);
    uint64_t from = max_of(have + 1, first);
    if (lane->ahead &&
        !tmb_ahead_part(lane->ahead, lane->stream, lane->is_live, from, &from, &part_last))
        return 0;
    return from <= last ? from : 0;
}
