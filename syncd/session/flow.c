// SPDX-License-Identifier: Apache-2.0
/* syncd/session/flow.c - what is loaded and sent, how much of it, and when.
 *
 *   turns: whose turn | pace: does the line have room | credit: does the parent have room --> LOAD
 *   LOADED --> SEND_BATCH, in flight until its ACK | DROP_BATCH, no longer wanted or not paid for
 *
 * The deadline asks the same questions as the pump does: it is `now` as long as the pump has something to do.
 */
#include "syncd/session/lane.h"
#include "syncd/session/paid.h"
#include "syncd/session/prove.h"
#include "syncd/session/session_inside.h"

/* What a batch is at most, as it travels. */
static uint32_t load_bytes(const tmb_session *s)
{
    return s->options.is_paced ? tmb_pace_piece_bytes(&s->pace) : s->options.batch_bytes;
}

unsigned tmb_session_count_room(const tmb_session *s)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < s->options.streams_count; i++)
        busy += s->lanes[i].inflight + (s->lanes[i].load_ticket != 0);
    TMB_ASSERT(busy <= TMB_INFLIGHT_BATCHES_MAX);
    return TMB_INFLIGHT_BATCHES_MAX - busy;
}

/* The lanes as the order of loading sees them. */
static void list_turns(const tmb_session *s, tmb_turns_lane *ret_turns)
{
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        const tmb_session_lane *lane = &s->lanes[i];
        bool wants = tmb_session_lane_wants_load(lane) && lane->not_before.ns <= s->now.ns &&
                     tmb_session_load_bytes(s, i, s->options.batch_bytes) > 0;
        ret_turns[i] = (tmb_turns_lane){.class_ = s->options.classes[i],
                                        .is_there = lane->is_greeted,
                                        .is_live = s->options.is_live[i] ||
                                                   lane->next_seq > lane->told_last_seq,
                                        .is_idle = lane->inflight == 0 && lane->load_ticket == 0,
                                        .wants = wants};
    }
}

static void take_turn(tmb_session *s, unsigned i, uint32_t bytes)
{
    tmb_turns_lane turns[TMB_STREAMS_MAX];
    list_turns(s, turns);
    tmb_turns_took(&s->turns, turns, s->options.streams_count, i, bytes > 0 ? bytes : load_bytes(s),
                   load_bytes(s));
}

void tmb_session_take_load(tmb_session *s, const tmb_session_event *event,
                           tmb_session_actions *actions)
{
    uint64_t ticket = event->u.loaded.ticket;
    uint64_t first_seq = event->u.loaded.first_seq, last_seq = event->u.loaded.last_seq;
    unsigned i = tmb_session_find_load(s, ticket);
    bool is_wanted = i < s->options.streams_count && !s->lanes[i].is_load_unwanted;
    if (i < s->options.streams_count) {
        s->lanes[i].load_ticket = 0;
        s->lanes[i].is_load_unwanted = false;
    }
    if (!is_wanted || first_seq > last_seq || last_seq <= s->lanes[i].acked) {
        tmb_session_push(actions, TMB_SESSION_DROP_BATCH)->ticket = ticket;
        if (is_wanted && first_seq > last_seq) {
            s->lanes[i].hold_last = first_seq - 1;
            s->lanes[i].not_before = tmb_mono_after(s->now, s->options.backoff_base);
        }
        return;
    }
    tmb_session_action *action = tmb_session_push(actions, TMB_SESSION_SEND_BATCH);
    if (!tmb_session_pay(s, i, s->lanes[i].load_seq, event->u.loaded.bytes, action)) {
        action->type = TMB_SESSION_DROP_BATCH;
        action->ticket = ticket;
        return;
    }
    action->epoch = s->epoch;
    action->session = s->session;
    action->ticket = ticket;
    action->stream = i;
    s->sent++;
    take_turn(s, i, event->u.loaded.bytes);
    action->is_cut = s->options.is_paced && s->version >= 2 &&
                     event->u.loaded.bytes / 2 > tmb_pace_piece_bytes(&s->pace);
    if (action->is_cut)
        tmb_pace_learn(&s->pace, event->u.loaded.bytes, event->u.loaded.raw_bytes);
    else
        tmb_pace_say(&s->pace, event->u.loaded.bytes, event->u.loaded.raw_bytes, s->now);
    tmb_session_lane_sent(&s->lanes[i], last_seq, s->sent,
                          tmb_mono_after(s->now, s->options.ack_timeout));
}

void tmb_session_fail_load(tmb_session *s, uint64_t ticket)
{
    unsigned i = tmb_session_find_load(s, ticket);
    if (i == s->options.streams_count)
        return;
    if (!s->lanes[i].is_load_unwanted)
        s->lanes[i].not_before = tmb_mono_after(s->now, s->options.backoff_base);
    s->lanes[i].load_ticket = 0;
    s->lanes[i].is_load_unwanted = false;
}

/* What has left is the parent's to answer, however fast the line is for what comes behind it. */
void tmb_session_note_progress(tmb_session *s, const tmb_session_event *event)
{
    uint64_t taken = event->u.taken;
    bool has_moved = !s->options.is_paced || event->bytes.taken > s->pace.taken;
    if (s->options.is_paced)
        tmb_pace_told(&s->pace, event->bytes.said, event->bytes.taken, event->bytes.all, s->now);
    s->taken = taken;
    if (!has_moved)
        return;
    if (s->state == TMB_SESSION_GREETING && s->sent > taken)
        s->deadline = tmb_mono_after(s->now, s->options.hello_timeout);
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        if (tmb_session_lane_is_leaving(&s->lanes[i], taken))
            s->lanes[i].ack_deadline = tmb_mono_after(s->now, s->options.ack_timeout);
    }
}

/* From when on the pace allows one more load; never: not before something else happens. */
static tmb_mono find_pace(const tmb_session *s)
{
    unsigned loads = 0;
    if (!s->options.is_paced)
        return s->now;
    for (unsigned i = 0; i < s->options.streams_count; i++)
        loads += s->lanes[i].load_ticket != 0;
    return tmb_pace_has_room(&s->pace, loads) ? tmb_pace_paid_at(&s->pace) : tmb_mono_never();
}

static void load(tmb_session *s, unsigned i, tmb_session_actions *actions)
{
    tmb_session_lane *lane = &s->lanes[i];
    uint32_t wanted = s->options.batch_bytes;
    if (s->options.is_paced)
        wanted = tmb_pace_load_bytes(&s->pace, wanted);
    uint32_t load_bytes = tmb_session_load_bytes(s, i, wanted);
    lane->load_ticket = s->next_ticket++;
    lane->load_seq = lane->next_seq;
    lane->is_load_unwanted = false;
    tmb_turns_begin(&s->turns, i, s->options.streams_count);
    tmb_session_action *action = tmb_session_push(actions, TMB_SESSION_LOAD);
    action->ticket = lane->load_ticket;
    action->stream = i;
    action->seq = lane->load_seq;
    action->incarnation = lane->incarnation;
    lane->load_bytes = action->bytes_max = load_bytes;
}

void tmb_session_pump(tmb_session *s, tmb_session_actions *actions)
{
    unsigned count = s->options.streams_count;
    for (unsigned i = 0; i < count && s->state == TMB_SESSION_STREAMING; i++) {
        if (s->lanes[i].is_known && !s->lanes[i].is_greeted)
            tmb_session_greet(s, actions);
    }
    for (unsigned i = 0; i < count && actions->n < TMB_SESSION_ACTIONS_MAX; i++) {
        tmb_session_lane *lane = &s->lanes[i];
        if (!lane->is_persist_due)
            continue;
        lane->is_persist_due = false;
        tmb_session_action *action = tmb_session_push(actions, TMB_SESSION_PERSIST);
        action->stream = i;
        action->seq = lane->acked;
        action->incarnation = lane->incarnation;
    }
    if (s->state != TMB_SESSION_STREAMING || tmb_session_prove_pump(s, actions))
        return;
    while (actions->n < TMB_SESSION_ACTIONS_MAX && find_pace(s).ns <= s->now.ns) {
        tmb_turns_lane turns[TMB_STREAMS_MAX];
        list_turns(s, turns);
        unsigned i =
            tmb_turns_next(&s->turns, turns, count, tmb_session_count_room(s), load_bytes(s));
        if (i == count)
            return;
        load(s, i, actions);
    }
}

tmb_mono tmb_session_deadline(const tmb_session *s)
{
    tmb_mono deadline = s->deadline;
    bool is_streaming = s->state == TMB_SESSION_STREAMING;
    tmb_turns_lane turns[TMB_STREAMS_MAX];
    list_turns(s, turns);
    tmb_mono pace = find_pace(s);
    for (unsigned i = 0; i < s->options.streams_count && s->state != TMB_SESSION_CLOSED; i++) {
        const tmb_session_lane *lane = &s->lanes[i];
        if (lane->is_persist_due || (is_streaming && lane->is_proof_due))
            return s->now;
        if (is_streaming)
            deadline = tmb_mono_min(deadline, lane->ack_deadline);
        if (is_streaming && !tmb_session_is_proving(s) && tmb_session_lane_wants_load(lane) &&
            tmb_session_load_bytes(s, i, s->options.batch_bytes) > 0 &&
            tmb_turns_has_place(&s->turns, turns, s->options.streams_count, i,
                                tmb_session_count_room(s), load_bytes(s)))
            deadline =
                tmb_mono_min(deadline, lane->not_before.ns > pace.ns ? lane->not_before : pace);
    }
    return deadline.ns < s->now.ns ? s->now : deadline;
}

void tmb_session_set_cap(tmb_session *s, uint64_t bytes_per_s)
{
    tmb_pace_set_cap(&s->pace, bytes_per_s);
}

bool tmb_session_has_room(const tmb_session *s, bool is_overdue)
{
    return (is_overdue && tmb_pace_outstanding(&s->pace) < s->pace.window) ||
           find_pace(s).ns <= s->now.ns;
}

void tmb_session_said(tmb_session *s, uint32_t bytes, tmb_mono now)
{
    tmb_pace_say(&s->pace, bytes, 0, now);
}

bool tmb_session_is_waiting(const tmb_session *s)
{
    bool is_waiting = s->state == TMB_SESSION_GREETING ||
                      (s->state == TMB_SESSION_STREAMING && s->options.is_paced &&
                       tmb_pace_outstanding(&s->pace) > 0);
    for (unsigned i = 0; i < s->options.streams_count; i++)
        is_waiting = is_waiting || s->lanes[i].inflight > 0;
    return is_waiting;
}
