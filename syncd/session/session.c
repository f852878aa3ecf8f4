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
 * Every step ends in pump(): what the streams owe goes out as long as there is room for actions; what does
 * not fit makes the deadline `now`.
 */
#include "syncd/session/session.h"

#include "syncd/session/lane.h"
#include "syncd/session/paid.h"
#include "syncd/session/prove.h"

/* An honest wait is short; this bounds what a broken parent can ask for. */
#define WAIT_MS_MAX 60000

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

static tmb_session_action *push(tmb_session_actions *actions, tmb_session_action_type type)
{
    TMB_ASSERT(actions->n < TMB_SESSION_ACTIONS_MAX);
    tmb_session_action *action = &actions->v[actions->n++];
    memset(action, 0, sizeof *action);
    action->type = type;
    return action;
}

static void report(tmb_session_actions *actions, tmb_session_report what, unsigned stream,
                   uint64_t number)
{
    tmb_session_action *action = push(actions, TMB_SESSION_REPORT);
    action->report = what;
    action->stream = stream;
    action->number = number;
}

static void become(tmb_session *s, tmb_session_state state, tmb_mono deadline,
                   tmb_session_actions *actions)
{
    TMB_ASSERT(states[s->state].allowed & BIT(state));
    bool is_move = s->state != state;
    s->state = state;
    s->deadline = deadline;
    if (is_move)
        report(actions, TMB_SESSION_REPORT_STATE, 0, (uint64_t)state);
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
    push(actions, TMB_SESSION_DIAL)->epoch = s->epoch;
    become(s, TMB_SESSION_DIALING, tmb_mono_after(s->now, s->options.dial_timeout), actions);
}

static void hang_up(tmb_session *s, tmb_session_actions *actions)
{
    push(actions, TMB_SESSION_HANGUP)->epoch = s->epoch;
}

static void back_off(tmb_session *s, tmb_session_actions *actions)
{
    rewind_lanes(s);
    tmb_dur wait = tmb_comeback_wait(&s->back, &s->rng, s->now);
    become(s, TMB_SESSION_BACKOFF, tmb_mono_after(s->now, wait), actions);
}

static void fence(tmb_session *s, tmb_session_actions *actions)
{
    rewind_lanes(s);
    hang_up(s, actions);
    become(s, TMB_SESSION_FENCED, tmb_mono_never(), actions);
}

static void give_up_link(tmb_session *s, tmb_session_actions *actions)
{
    hang_up(s, actions);
    back_off(s, actions);
}

static void refuse_frame(tmb_session *s, tmb_session_actions *actions)
{
    report(actions, TMB_SESSION_REPORT_MALFORMED, 0, 0);
    give_up_link(s, actions);
}

static void send_out(tmb_session *s, tmb_session_actions *actions)
{
    tmb_session_action *action = push(actions, TMB_SESSION_SEND);
    action->epoch = s->epoch;
    action->session = s->session;
    action->frame = &s->out;
    s->sent++;
}

/* A new session number for every HELLO: what is still on its way for the old one is ignored by both. */
static void greet(tmb_session *s, tmb_session_actions *actions)
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
    become(s, TMB_SESSION_GREETING, tmb_mono_after(s->now, s->options.hello_timeout), actions);
}

/* Trouble with this session, not yet with the link: one more HELLO, then the link goes too. */
static void greet_again(tmb_session *s, tmb_session_actions *actions)
{
    if (s->has_greeted_twice) {
        give_up_link(s, actions);
        return;
    }
    s->has_greeted_twice = true;
    greet(s, actions);
}

static void say_bye(tmb_session *s, tmb_bye_reason reason, tmb_session_actions *actions)
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
        say_bye(s, TMB_BYE_CLOSING, actions);
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
    become(s, TMB_SESSION_CLOSED, tmb_mono_never(), actions);
}

static unsigned find_lane(const tmb_session *s, tmb_bytes stream)
{
    unsigned i = 0;
    while (i < s->options.streams_count &&
           !(s->lanes[i].is_known && tmb_bytes_eq(tmb_bytes_str(s->options.streams[i]), stream)))
        i++;
    return i;
}

/* marks: for each lane its mark of WELCOME. False: WELCOME does not answer our HELLO. */
static bool read_marks(const tmb_session *s, const tmb_frame_welcome *welcome,
                       const tmb_mark *marks[TMB_STREAMS_MAX])
{
    if (welcome->version < TMB_PROTOCOL_VERSION_MIN || welcome->version > TMB_PROTOCOL_VERSION)
        return false;
    for (unsigned k = 0; k < welcome->marks_count; k++) {
        const tmb_mark *mark = &welcome->marks[k];
        unsigned i = find_lane(s, mark->stream);
        if (i == s->options.streams_count || marks[i] != NULL)
            return false;
        marks[i] = mark;
    }
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        const tmb_session_lane *lane = &s->lanes[i];
        if (lane->is_greeted &&
            (!marks[i] || !tmb_session_incarnation_eq(marks[i]->incarnation, lane->incarnation)))
            return false;
    }
    return true;
}

static void on_welcome(tmb_session *s, const tmb_frame_welcome *welcome,
                       tmb_session_actions *actions)
{
    const tmb_mark *marks[TMB_STREAMS_MAX] = {NULL};
    if (s->state != TMB_SESSION_GREETING)
        return;
    if (!read_marks(s, welcome, marks)) {
        refuse_frame(s, actions);
        return;
    }
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        if (s->lanes[i].is_greeted && marks[i]->seq > s->lanes[i].last_seq) {
            report(actions, TMB_SESSION_REPORT_AHEAD, i, marks[i]->seq);
            say_bye(s, TMB_BYE_AHEAD, actions); /* so that people see it at the parent, too */
            fence(s, actions);
            return;
        }
    }
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        if (!s->lanes[i].is_greeted)
            continue;
        tmb_session_lane_resume(&s->lanes[i], marks[i]->seq);
        s->lanes[i].dictionary = marks[i]->dictionary;
        if (welcome->version >= 2)
            tmb_session_prove_begin(s, i, marks[i]);
    }
    if (welcome->node.len > 0) /* a valid name: not too long */
        memcpy(s->parent, welcome->node.ptr, welcome->node.len);
    s->parent[welcome->node.len] = '\0';
    s->is_parent_top = welcome->is_top;
    s->parent_load = welcome->load;
    s->version = welcome->version;
    tmb_credit_begin(&s->credit, welcome);
    tmb_comeback_welcome(&s->back, welcome->window_ms);
    s->has_greeted_twice = false;
    become(s, TMB_SESSION_STREAMING, tmb_mono_never(), actions);
}

/* A mark above what this session sent is honest: the parent may finish a batch of the session before after it
 * has said WELCOME. One above the end of the log is not. */
static void on_ack(tmb_session *s, const tmb_frame_ack *ack, tmb_session_actions *actions)
{
    if (s->state != TMB_SESSION_STREAMING)
        return;
    unsigned i = find_lane(s, ack->mark.stream);
    tmb_session_lane *lane = &s->lanes[i];
    if (i == s->options.streams_count || ack->mark.seq > lane->last_seq ||
        !tmb_session_incarnation_eq(ack->mark.incarnation, lane->incarnation)) {
        refuse_frame(s, actions);
        return;
    }
    bool was_back = lane->is_going_back;
    tmb_session_lane_ack(lane, ack->mark.seq, s->now, s->options.ack_timeout);
    if (!ack->resend)
        return;
    tmb_dur wait = tmb_dur_ms(ack->wait_ms < WAIT_MS_MAX ? ack->wait_ms : WAIT_MS_MAX);
    /* Going back twice from the same mark: not at the speed of the link. */
    if (was_back && lane->is_going_back && wait.ns < s->options.backoff_base.ns)
        wait = s->options.backoff_base;
    lane->dictionary = ack->mark.dictionary;
    tmb_session_lane_resend(lane, tmb_mono_after(s->now, wait));
    tmb_credit_owe(&s->credit);
    report(actions, TMB_SESSION_REPORT_RESEND, i, lane->acked);
}

static void on_bye(tmb_session *s, const tmb_frame_bye *bye, tmb_session_actions *actions)
{
    report(actions, TMB_SESSION_REPORT_BYE, 0, (uint64_t)bye->reason);
    switch (bye->reason) {
    case TMB_BYE_UNKNOWN:
        s->answers = s->session;
        greet_again(s, actions);
        return;
    case TMB_BYE_IDENTITY:
    case TMB_BYE_VERSION:
    case TMB_BYE_AHEAD:
    case TMB_BYE_FORKED:
        fence(s, actions);
        return;
    case TMB_BYE_TWIN:
        say_bye(s, TMB_BYE_TWIN, actions); /* heard */
        fence(s, actions);
        return;
    case TMB_BYE_BUSY:
        tmb_comeback_refused(&s->back, bye->wait_ms);
        break;
    case TMB_BYE_CLOSING:
    case TMB_BYE_MALFORMED:
    case TMB_BYE_LIMIT:
        break;
    }
    give_up_link(s, actions);
}

static void on_frame(tmb_session *s, const tmb_frame *frame, tmb_session_actions *actions)
{
    switch (frame->type) {
    case TMB_FRAME_WELCOME:
        if (frame->u.welcome.session == s->session)
            on_welcome(s, &frame->u.welcome, actions);
        return;
    case TMB_FRAME_ACK:
        if (frame->u.ack.session == s->session)
            on_ack(s, &frame->u.ack, actions);
        return;
    case TMB_FRAME_BYE:
        if (frame->u.bye.session == s->session)
            on_bye(s, &frame->u.bye, actions);
        else if (frame->u.bye.session == 0 && frame->u.bye.reason == TMB_BYE_UNKNOWN &&
                 s->state == TMB_SESSION_GREETING)
            greet_again(s, actions); /* to whom it may concern: our HELLO was lost */
        return;
    case TMB_FRAME_CREDIT:
        if (frame->u.credit.session == s->session)
            tmb_credit_raise(&s->credit, &frame->u.credit);
        return;
    case TMB_FRAME_TOLD:
        if (frame->u.told.session == s->session && s->state == TMB_SESSION_STREAMING)
            push(actions, TMB_SESSION_TOLD)->frame = frame;
        return;
    case TMB_FRAME_HELLO:
    case TMB_FRAME_BATCH:
    case TMB_FRAME_DICTIONARY:
    case TMB_FRAME_ASK:
        break;
    }
    refuse_frame(s, actions); /* what only a child may say */
}

/* What a batch is at most, as it travels. */
static uint32_t load_bytes(const tmb_session *s)
{
    return s->options.is_paced ? tmb_pace_piece_bytes(&s->pace) : s->options.batch_bytes;
}

/* How many more batches may be loaded now: those in flight and those being loaded count, wanted or not. */
static unsigned count_room(const tmb_session *s)
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

static void on_loaded(tmb_session *s, const tmb_session_event *event, tmb_session_actions *actions)
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
        push(actions, TMB_SESSION_DROP_BATCH)->ticket = ticket;
        if (is_wanted && first_seq > last_seq) {
            s->lanes[i].hold_last = first_seq - 1;
            s->lanes[i].not_before = tmb_mono_after(s->now, s->options.backoff_base);
        }
        return;
    }
    tmb_session_action *action = push(actions, TMB_SESSION_SEND_BATCH);
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
    if (!action->is_cut)
        tmb_pace_say(&s->pace, event->u.loaded.bytes, event->u.loaded.raw_bytes, s->now);
    tmb_session_lane_sent(&s->lanes[i], last_seq, s->sent,
                          tmb_mono_after(s->now, s->options.ack_timeout));
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
    report(actions, TMB_SESSION_REPORT_FORKED, i, s->lanes[i].told.seq);
    say_bye(s, TMB_BYE_FORKED, actions);
    fence(s, actions);
}

static void on_load_failed(tmb_session *s, uint64_t ticket)
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
static void on_progress(tmb_session *s, const tmb_session_event *event)
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

/* An answer is late. If what it should answer has not even left, nothing that is said now would. */
static void give_up_waiting(tmb_session *s, bool has_left, tmb_session_actions *actions)
{
    report(actions, TMB_SESSION_REPORT_TIMEOUT, 0, 0);
    if (has_left)
        greet_again(s, actions);
    else
        give_up_link(s, actions);
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
        give_up_link(s, actions);
    } else if (s->state == TMB_SESSION_GREETING) {
        give_up_waiting(s, s->taken >= s->sent, actions);
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
    tmb_session_action *action = push(actions, TMB_SESSION_LOAD);
    action->ticket = lane->load_ticket;
    action->stream = i;
    action->seq = lane->load_seq;
    action->incarnation = lane->incarnation;
    lane->load_bytes = action->bytes_max = load_bytes;
}

static void pump(tmb_session *s, tmb_session_actions *actions)
{
    unsigned count = s->options.streams_count;
    for (unsigned i = 0; i < count && s->state == TMB_SESSION_STREAMING; i++) {
        if (s->lanes[i].is_known && !s->lanes[i].is_greeted)
            greet(s, actions);
    }
    for (unsigned i = 0; i < count && actions->n < TMB_SESSION_ACTIONS_MAX; i++) {
        tmb_session_lane *lane = &s->lanes[i];
        if (!lane->is_persist_due)
            continue;
        lane->is_persist_due = false;
        tmb_session_action *action = push(actions, TMB_SESSION_PERSIST);
        action->stream = i;
        action->seq = lane->acked;
        action->incarnation = lane->incarnation;
    }
    if (s->state != TMB_SESSION_STREAMING || tmb_session_prove_pump(s, actions))
        return;
    while (actions->n < TMB_SESSION_ACTIONS_MAX && find_pace(s).ns <= s->now.ns) {
        tmb_turns_lane turns[TMB_STREAMS_MAX];
        list_turns(s, turns);
        unsigned i = tmb_turns_next(&s->turns, turns, count, count_room(s), load_bytes(s));
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
            tmb_turns_has_place(&s->turns, turns, s->options.streams_count, i, count_room(s),
                                load_bytes(s)))
            deadline =
                tmb_mono_min(deadline, lane->not_before.ns > pace.ns ? lane->not_before : pace);
    }
    return deadline.ns < s->now.ns ? s->now : deadline;
}

void tmb_session_set_cap(tmb_session *s, uint64_t bytes_per_s)
{
    tmb_pace_set_cap(&s->pace, bytes_per_s);
}

bool tmb_session_has_room(const tmb_session *s)
{
    return find_pace(s).ns <= s->now.ns;
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
            greet(s, actions);
        }
        break;
    case TMB_SESSION_LINK_DOWN:
        if (is_this_dial && (is_linked(s) || s->state == TMB_SESSION_DIALING))
            back_off(s, actions);
        break;
    case TMB_SESSION_FRAME:
        if (is_this_dial && is_linked(s))
            on_frame(s, event->u.frame, actions);
        break;
    case TMB_SESSION_FRAME_BAD:
        if (is_this_dial && is_linked(s))
            refuse_frame(s, actions);
        break;
    case TMB_SESSION_TAIL:
        tmb_session_lane_tail(&s->lanes[event->u.tail.stream], event->u.tail.incarnation,
                              event->u.tail.first_seq, event->u.tail.last_seq);
        break;
    case TMB_SESSION_LOADED:
        on_loaded(s, event, actions);
        break;
    case TMB_SESSION_PROVED:
        on_proved(s, event, actions);
        break;
    case TMB_SESSION_LOAD_FAILED:
        on_load_failed(s, event->u.ticket);
        break;
    case TMB_SESSION_PROGRESS:
        if (is_this_dial && is_linked(s))
            on_progress(s, event);
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
        pump(s, ret_actions);
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
    TMB_ASSERT(count_room(s) <= TMB_INFLIGHT_BATCHES_MAX);
    for (unsigned i = 0; i < s->options.streams_count; i++)
        tmb_session_lane_check(&s->lanes[i], is_streaming);
}
