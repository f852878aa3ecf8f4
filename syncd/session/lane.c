// SPDX-License-Identifier: Apache-2.0
/* syncd/session/lane.c - one stream's numbers, from the log to the parent's mark:
 *
 *      1 ... acked | acked+1 ... sent | ... next_seq-1 | next_seq ... last_seq
 *      at parent   | in flight        | (gone back: sent may be beyond next_seq) | still to load
 *
 * `sent` never goes back within a session: an ACK of a batch that was sent before the parent asked us to go
 * back is good news, not a breach of protocol.
 */
#include "syncd/session/lane.h"

void tmb_session_lane_rewind(tmb_session_lane *lane)
{
    lane->inflight = 0;
    lane->ack_deadline = tmb_mono_never();
    lane->not_before.ns = INT64_MIN;
    lane->hold_last = 0;
    lane->proof_ticket = 0;
    lane->is_proof_due = false;
    lane->is_going_back = false;
    lane->is_load_unwanted = lane->load_ticket != 0;
}

void tmb_session_lane_tail(tmb_session_lane *lane, tmb_incarnation incarnation, uint64_t first_seq,
                           uint64_t last_seq)
{
    bool is_same = lane->is_known && tmb_incarnation_eq(lane->incarnation, incarnation);
    if (!is_same) {
        lane->acked = lane->sent = 0;
        lane->next_seq = 1;
        lane->is_persist_due = false;
    }
    if (!is_same || (last_seq < lane->last_seq && last_seq < lane->sent)) {
        lane->is_greeted = false;
        tmb_session_lane_rewind(lane);
    }
    lane->is_known = true;
    lane->incarnation = incarnation;
    lane->first_seq = first_seq;
    lane->last_seq = last_seq;
}

void tmb_session_lane_resume(tmb_session_lane *lane, uint64_t mark)
{
    lane->acked = lane->sent = mark;
    lane->next_seq = mark + 1;
    lane->is_persist_due = true;
}

void tmb_session_lane_ack(tmb_session_lane *lane, uint64_t mark, tmb_mono now, tmb_dur ack_timeout)
{
    if (mark <= lane->acked)
        return;
    lane->acked = mark;
    if (lane->sent < mark)
        lane->sent = mark;
    lane->is_persist_due = true;
    lane->is_going_back = false;
    if (lane->next_seq <= mark)
        lane->next_seq = mark + 1;
    unsigned done = 0;
    while (done < lane->inflight && lane->inflight_last[done] <= mark)
        done++;
    lane->inflight -= done;
    memmove(lane->inflight_last, lane->inflight_last + done,
            lane->inflight * sizeof lane->inflight_last[0]);
    memmove(lane->inflight_place, lane->inflight_place + done,
            lane->inflight * sizeof lane->inflight_place[0]);
    lane->ack_deadline = lane->inflight > 0 ? tmb_mono_after(now, ack_timeout) : tmb_mono_never();
}

void tmb_session_lane_resend(tmb_session_lane *lane, tmb_mono not_before)
{
    lane->next_seq = lane->acked + 1;
    lane->inflight = 0;
    lane->ack_deadline = tmb_mono_never();
    lane->not_before = not_before;
    lane->is_going_back = true;
    lane->hold_last = 0;
    lane->is_load_unwanted = lane->load_ticket != 0;
}

void tmb_session_lane_sent(tmb_session_lane *lane, uint64_t last_seq, uint64_t place,
                           tmb_mono ack_deadline)
{
    lane->next_seq = last_seq + 1;
    if (lane->sent < last_seq)
        lane->sent = last_seq;
    if (lane->last_seq < last_seq)
        lane->last_seq = last_seq;
    if (lane->inflight == 0)
        lane->ack_deadline = ack_deadline;
    lane->inflight_place[lane->inflight] = place;
    lane->inflight_last[lane->inflight++] = last_seq;
}

bool tmb_session_lane_is_leaving(const tmb_session_lane *lane, uint64_t taken)
{
    return lane->inflight > 0 && lane->inflight_place[0] > taken;
}

bool tmb_session_lane_wants_load(const tmb_session_lane *lane)
{
    return lane->is_greeted && lane->load_ticket == 0 && lane->next_seq <= lane->last_seq &&
           lane->hold_last < lane->last_seq;
}

void tmb_session_lane_check(const tmb_session_lane *lane, bool is_streaming)
{
    TMB_ASSERT(lane->acked <= lane->sent);
    TMB_ASSERT(lane->inflight <= TMB_INFLIGHT_BATCHES_MAX);
    TMB_ASSERT(lane->inflight > 0 || lane->ack_deadline.ns == INT64_MAX);
    TMB_ASSERT(!lane->is_load_unwanted || lane->load_ticket != 0);
    TMB_ASSERT(!lane->is_greeted || lane->is_known);
    uint64_t before = lane->acked;
    for (unsigned i = 1; i < lane->inflight; i++)
        TMB_ASSERT(lane->inflight_place[i] > lane->inflight_place[i - 1]);
    for (unsigned i = 0; i < lane->inflight; i++) {
        TMB_ASSERT(lane->inflight_last[i] > before && lane->inflight_last[i] <= lane->sent);
        before = lane->inflight_last[i];
    }
    if (!is_streaming) {
        TMB_ASSERT(lane->inflight == 0);
        return;
    }
    TMB_ASSERT(lane->is_greeted == lane->is_known);
    if (lane->is_known)
        TMB_ASSERT(lane->next_seq > before && lane->sent <= lane->last_seq);
}
