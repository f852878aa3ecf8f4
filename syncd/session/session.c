// SPDX-License-Identifier: Apache-2.0
/* syncd/session/session.c - the child's machine, read by rows: in which state an event does what.
 *
 *               IDLE   DIALING        GREETING             STREAMING           BACKOFF  FENCED  CLOSED
 *   START       dial,  -              -                    -                   -        -       -
 *               or wait
 *   LINK_UP     -      greet          -                    -                   -        -       -
 *   LINK_DOWN   -      back off       back off             back off            -        -       -
 *   WELCOME     -      -              stream, or fence     -                   -        -       -
 *   ACK         -      -              -                    move mark, go back  -        -       -
 *   CREDIT      -      -              raise                raise, load         -        -       -
 *   BYE         -      -              by its reason        by its reason       -        -       -
 *   bad frame   -      -              hang up, back off    hang up, back off   -        -       -
 *   TAIL        note   note           note                 note, greet, load   note     note    note
 *   LOADED      drop   drop           drop                 send                drop     drop    drop
 *   PROVED      -      -              -                    load, or fence      -        -       -
 *   LOAD_FAILED note   note           note                 load later          note     note    note
 *   PROGRESS    -      -              more time            more time           -        -       -
 *   TIMEOUT     -      hang up,       greet again once,    greet again, load   dial     -       -
 *                      back off       then back off
 *    not left   -      -              hang up, back off    hang up, back off   -        -       -
 *   MOVE        -      hang up, wait  say BYE, wait        say BYE, wait       wait     -       -
 *   ASK         -      -              -                    send                -        -       -
 *   TOLD        -      -              -                    tell                -        -       -
 *   CLOSE       close  close          say BYE, close       say BYE, close      close    close   -
 *
 * "not left": a TIMEOUT, and the frame whose answer is late has not left (more time: only for those).
 * What the parent's frames do is in answer.c, what is loaded and sent, and when, in flow.c; here is who may
 * be in which state. Every step ends in tmb_session_pump: what the streams owe goes out as long as there is
 * room for actions; what does not fit makes the deadline `now`.
 */
#include "syncd/session/session_inside.h"

#include "syncd/session/lane.h"
#include "syncd/session/paid.h"
#include "syncd/session/prove.h"

#define BIT(state) (1u << (state))

/* clang-format off */
static const struct {
    const char *name;
    unsigned allowed; /* states that may come next */
} states[] = {
    [TMB_SESSION_IDLE]      = {"idle",      BIT(TMB_SESSION_DIALING) | BIT(TMB_SESSION_BACKOFF) |
                                            BIT(TMB_SESSION_CLOSED)},
    [TMB_SESSION_DIALING]   = {"dialing",   BIT(TMB_SESSION_GREETING) | BIT(TMB_SESSION_BACKOFF) |
                                            BIT(TMB_SESSION_CLOSED)},
    [TMB_SESSION_GREETING]  = {"greeting",  BIT(TMB_SESSION_GREETING) | BIT(TMB_SESSION_STREAMING) |
                                            BIT(TMB_SESSION_BACKOFF) | BIT(TMB_SESSION_FENCED) |
                                            BIT(TMB_SESSION_CLOSED)},
    [TMB_SESSION_STREAMING] = {"streaming", BIT(TMB_SESSION_GREETING) | BIT(TMB_SESSION_BACKOFF) |
                                            BIT(TMB_SESSION_FENCED) | BIT(TMB_SESSION_CLOSED)},
    [TMB_SESSION_BACKOFF]   = {"backoff",   BIT(TMB_SESSION_BACKOFF) | BIT(TMB_SESSION_DIALING) |
                                            BIT(TMB_SESSION_CLOSED)},
    [TMB_SESSION_FENCED]    = {"fenced",    BIT(TMB_SESSION_CLOSED)},
    [TMB_SESSION_CLOSED]    = {"closed",    0},
};
/* clang-format on */

const char *tmb_session_state_str(tmb_session_state state)
{
    return (unsigned)state < sizeof states / sizeof states[0] ? states[state].name : "unknown";
}

void tmb_session_init(tmb_session *s, const tmb_session_options *options, tmb_mono now)
{
    TMB_ASSERT(options->streams_count <= TMB_STREAMS_MAX && options->batch_bytes > 0);
    TMB_ASSERT(options->dial_timeout.ns > 0 && options->hello_timeout.ns > 0);
    TMB_ASSERT(options->ack_timeout.ns > 0 && options->backoff_base.ns > 0);
    TMB_ASSERT(options->backoff_cap.ns >= options->backoff_base.ns);
    memset(s, 0, sizeof *s);
    s->options = *options;
    s->state = TMB_SESSION_IDLE;
    s->now = now;
    s->deadline = tmb_mono_never();
    s->next_ticket = 1;
    s->rng.state = options->seed;
    tmb_pace_init(&s->pace, now);
    tmb_pace_set_cap(&s->pace, options->cap);
    tmb_comeback_options back = {.mode = options->comeback,
                                 .base = options->backoff_base,
                                 .cap = options->backoff_cap,
                                 .window = options->window,
                                 .dial_gap = options->dial_gap};
    tmb_comeback_init(&s->back, &back, now);
    for (unsigned i = 0; i < options->streams_count; i++) {
        s->lanes[i].next_seq = 1;
        tmb_session_lane_rewind(&s->lanes[i]);
    }
}

tmb_session_action *tmb_session_push(tmb_session_actions *actions, tmb_session_action_type type)
{
    TMB_ASSERT(actions->n < TMB_SESSION_ACTIONS_MAX);
    tmb_session_action *action = &actions->v[actions->n++];
    memset(action, 0, sizeof *action);
    action->type = type;
    return action;
}

void tmb_session_tell(tmb_session_actions *actions, tmb_session_report what, unsigned stream,
                      uint64_t number)
{
    tmb_session_action *action = tmb_session_push(actions, TMB_SESSION_REPORT);
    action->report = what;
    action->stream = stream;
    action->number = number;
}

void tmb_session_become(tmb_session *s, tmb_session_state state, tmb_mono deadline,
                        tmb_session_actions *actions)
{
    TMB_ASSERT(states[s->state].allowed & BIT(state));
    bool is_move = s->state != state;
    s->state = state;
    s->deadline = deadline;
    if (is_move)
        tmb_session_tell(actions, TMB_SESSION_REPORT_STATE, 0, (uint64_t)state);
}

static void rewind_lanes(tmb_session *s)
{
    for (unsigned i = 0; i < s->options.streams_count; i++)
        tmb_session_lane_rewind(&s->lanes[i]);
}

static bool is_linked(const tmb_session *s)
{
    return s->state == TMB_SESSION_GREETING || s->state == TMB_SESSION_STREAMING;
}

static void dial(tmb_session *s, tmb_session_actions *actions)
{
    s->epoch++;
    s->sent = s->taken = 0;
    tmb_pace_begin(&s->pace, s->now);
    tmb_comeback_dialled(&s->back, s->now);
    tmb_session_push(actions, TMB_SESSION_DIAL)->epoch = s->epoch;
    tmb_session_become(s, TMB_SESSION_DIALING, tmb_mono_after(s->now, s->options.dial_timeout),
                       actions);
}

static void hang_up(tmb_session *s, tmb_session_actions *actions)
{
    tmb_session_push(actions, TMB_SESSION_HANGUP)->epoch = s->epoch;
}

static void back_off(tmb_session *s, tmb_session_actions *actions)
{
    rewind_lanes(s);
    tmb_dur wait = tmb_comeback_wait(&s->back, &s->rng, s->now);
    tmb_session_become(s, TMB_SESSION_BACKOFF, tmb_mono_after(s->now, wait), actions);
}

void tmb_session_fence(tmb_session *s, tmb_session_actions *actions)
{
    rewind_lanes(s);
    hang_up(s, actions);
    tmb_session_become(s, TMB_SESSION_FENCED, tmb_mono_never(), actions);
}

void tmb_session_give_up(tmb_session *s, tmb_session_actions *actions)
{
    hang_up(s, actions);
    back_off(s, actions);
}

void tmb_session_refuse(tmb_session *s, tmb_session_actions *actions)
{
    tmb_session_tell(actions, TMB_SESSION_REPORT_MALFORMED, 0, 0);
    tmb_session_give_up(s, actions);
}

static void send_out(tmb_session *s, tmb_session_actions *actions)
{
    tmb_session_action *action = tmb_session_push(actions, TMB_SESSION_SEND);
    action->epoch = s->epoch;
    action->session = s->session;
    action->frame = &s->out;
    s->sent++;
}

/* A new session number for every HELLO: what is still on its way for the old one is ignored by both. */
void tmb_session_greet(tmb_session *s, tmb_session_actions *actions)
{
    uint64_t old = s->session;
    while (s->session == old || s->session == 0)
        s->session = tmb_rng_next(&s->rng);
    rewind_lanes(s);
    s->out.type = TMB_FRAME_HELLO;
    tmb_frame_hello *hello = &s->out.u.hello;
    memset(hello, 0, sizeof *hello);
    hello->session = s->session;
    hello->node = tmb_bytes_str(s->options.node);
    hello->version_min = TMB_PROTOCOL_VERSION_MIN;
    hello->version_max = TMB_PROTOCOL_VERSION;
    hello->box = s->options.box;
    hello->answers = s->answers;
    s->answers = 0;
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        tmb_session_lane *lane = &s->lanes[i];
        lane->is_greeted = lane->is_known;
        if (!lane->is_known)
            continue;
        tmb_stream_state *told = &hello->streams[hello->streams_count++];
        told->name = tmb_bytes_str(s->options.streams[i]);
        told->incarnation = lane->incarnation;
        told->first_seq = lane->first_seq;
        told->last_seq = lane->told_last_seq = lane->last_seq;
        told->class_ = s->options.classes[i];
    }
    send_out(s, actions);
    tmb_session_become(s, TMB_SESSION_GREETING, tmb_mono_after(s->now, s->options.hello_timeout),
                       actions);
}

/* Trouble with this session, not yet with the link: one more HELLO, then the link goes too. */
void tmb_session_greet_again(tmb_session *s, tmb_session_actions *actions)
{
    if (s->has_greeted_twice) {
        tmb_session_give_up(s, actions);
        return;
    }
    s->has_greeted_twice = true;
    tmb_session_greet(s, actions);
}

void tmb_session_say_bye(tmb_session *s, tmb_bye_reason reason, tmb_session_actions *actions)
{
    s->out.type = TMB_FRAME_BYE;
    memset(&s->out.u.bye, 0, sizeof s->out.u.bye);
    s->out.u.bye.session = s->session;
    s->out.u.bye.reason = reason;
    send_out(s, actions);
}

/* Says goodbye, if there is anybody to hear it. */
static void leave_parent(tmb_session *s, tmb_session_actions *actions)
{
    if (is_linked(s))
        tmb_session_say_bye(s, TMB_BYE_CLOSING, actions);
    if (is_linked(s) || s->state == TMB_SESSION_DIALING)
        hang_up(s, actions);
}

/* What was sent and is not acknowledged goes up by the other parent, too: who has both knows it by its
 * origin. */
static void move_elsewhere(tmb_session *s, uint32_t window_ms, tmb_session_actions *actions)
{
    bool is_under_way =
        is_linked(s) || s->state == TMB_SESSION_DIALING || s->state == TMB_SESSION_BACKOFF;
    if (!is_under_way)
        return;
    leave_parent(s, actions);
    tmb_comeback_elsewhere(&s->back, window_ms);
    back_off(s, actions);
}

static void ask(tmb_session *s, const tmb_frame_ask *question, tmb_session_actions *actions)
{
    if (s->state != TMB_SESSION_STREAMING || s->version < 2)
        return;
    s->out.type = TMB_FRAME_ASK;
    s->out.u.ask = *question;
    s->out.u.ask.session = s->session;
    send_out(s, actions);
}

static void close_session(tmb_session *s, tmb_session_actions *actions)
{
    leave_parent(s, actions);
    rewind_lanes(s);
    tmb_session_become(s, TMB_SESSION_CLOSED, tmb_mono_never(), actions);
}

static void on_proved(tmb_session *s, const tmb_session_event *event, tmb_session_actions *actions)
{
    unsigned i = tmb_session_prove_end(s, event->u.proved.ticket);
    if (i == s->options.streams_count || event->u.proved.proof == TMB_PROOF_SAME)
        return;
    s->lanes[i].told.is_known = false;
    if (event->u.proved.proof == TMB_PROOF_UNKNOWN)
        return;
    s->lanes[i].is_persist_due = false;
    tmb_session_tell(actions, TMB_SESSION_REPORT_FORKED, i, s->lanes[i].told.seq);
    tmb_session_say_bye(s, TMB_BYE_FORKED, actions);
    tmb_session_fence(s, actions);
}

/* An answer is late. If what it should answer has not even left, nothing that is said now would. */
static void give_up_waiting(tmb_session *s, bool has_left, tmb_session_actions *actions)
{
    tmb_session_tell(actions, TMB_SESSION_REPORT_TIMEOUT, 0, 0);
    if (has_left)
        tmb_session_greet_again(s, actions);
    else
        tmb_session_give_up(s, actions);
}

static void look_for_late_acks(tmb_session *s, tmb_session_actions *actions)
{
    bool is_late = false, has_left = true;
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        if (!tmb_mono_is_due(s->lanes[i].ack_deadline, s->now))
            continue;
        is_late = true;
        has_left = has_left && !tmb_session_lane_is_leaving(&s->lanes[i], s->taken);
    }
    if (is_late)
        give_up_waiting(s, has_left, actions);
}

static void on_timeout(tmb_session *s, tmb_session_actions *actions)
{
    if (s->state == TMB_SESSION_STREAMING) {
        look_for_late_acks(s, actions);
        return;
    }
    if (!tmb_mono_is_due(s->deadline, s->now))
        return;
    if (s->state == TMB_SESSION_BACKOFF) {
        dial(s, actions);
    } else if (s->state == TMB_SESSION_DIALING) {
        tmb_session_give_up(s, actions);
    } else if (s->state == TMB_SESSION_GREETING) {
        give_up_waiting(s, s->taken >= s->sent, actions);
    }
}

static void dispatch(tmb_session *s, const tmb_session_event *event, tmb_session_actions *actions)
{
    bool is_this_dial = event->epoch == s->epoch;
    switch (event->type) {
    case TMB_SESSION_START:
        if (s->state == TMB_SESSION_IDLE && tmb_comeback_waits_to_start(&s->back))
            back_off(s, actions);
        else if (s->state == TMB_SESSION_IDLE)
            dial(s, actions);
        break;
    case TMB_SESSION_LINK_UP:
        if (is_this_dial && s->state == TMB_SESSION_DIALING) {
            s->has_greeted_twice = false;
            tmb_session_greet(s, actions);
        }
        break;
    case TMB_SESSION_LINK_DOWN:
        if (is_this_dial && (is_linked(s) || s->state == TMB_SESSION_DIALING))
            back_off(s, actions);
        break;
    case TMB_SESSION_FRAME:
        if (is_this_dial && is_linked(s))
            tmb_session_hear(s, event->u.frame, actions);
        break;
    case TMB_SESSION_FRAME_BAD:
        if (is_this_dial && is_linked(s))
            tmb_session_refuse(s, actions);
        break;
    case TMB_SESSION_TAIL:
        tmb_session_lane_tail(&s->lanes[event->u.tail.stream], event->u.tail.incarnation,
                              event->u.tail.first_seq, event->u.tail.last_seq);
        if (event->u.tail.is_backlog &&
            event->u.tail.last_seq > s->lanes[event->u.tail.stream].told_last_seq)
            s->lanes[event->u.tail.stream].is_greeted = false;
        break;
    case TMB_SESSION_LOADED:
        tmb_session_take_load(s, event, actions);
        break;
    case TMB_SESSION_PROVED:
        on_proved(s, event, actions);
        break;
    case TMB_SESSION_LOAD_FAILED:
        tmb_session_fail_load(s, event->u.ticket);
        break;
    case TMB_SESSION_PROGRESS:
        if (is_this_dial && is_linked(s))
            tmb_session_note_progress(s, event);
        break;
    case TMB_SESSION_TIMEOUT:
        on_timeout(s, actions);
        break;
    case TMB_SESSION_MOVE:
        move_elsewhere(s, event->u.window_ms, actions);
        break;
    case TMB_SESSION_ASK:
        ask(s, &event->u.frame->u.ask, actions);
        break;
    case TMB_SESSION_CLOSE:
        if (s->state != TMB_SESSION_CLOSED)
            close_session(s, actions);
        break;
    }
}

tmb_err tmb_session_step(tmb_session *s, const tmb_session_event *event,
                         tmb_session_actions *ret_actions)
{
    ret_actions->n = 0;
    if (!tmb_session_is_event_valid(s, event))
        return TMB_EINVAL;
    s->now = event->now;
    dispatch(s, event, ret_actions);
    if (s->state != TMB_SESSION_CLOSED)
        tmb_session_pump(s, ret_actions);
    tmb_session_note_blocked(s);
    tmb_session_check(s);
    return TMB_OK;
}

void tmb_session_check(const tmb_session *s)
{
    bool is_streaming = s->state == TMB_SESSION_STREAMING;
    bool is_timed = s->state == TMB_SESSION_DIALING || s->state == TMB_SESSION_GREETING ||
                    s->state == TMB_SESSION_BACKOFF;
    TMB_ASSERT((unsigned)s->state < sizeof states / sizeof states[0]);
    TMB_ASSERT(is_timed || s->deadline.ns == INT64_MAX);
    TMB_ASSERT(!is_linked(s) || (s->session != 0 && s->epoch != 0));
    TMB_ASSERT(s->taken <= s->sent);
    TMB_ASSERT(tmb_session_count_room(s) <= TMB_INFLIGHT_BATCHES_MAX);
    for (unsigned i = 0; i < s->options.streams_count; i++)
        tmb_session_lane_check(&s->lanes[i], is_streaming);
}
