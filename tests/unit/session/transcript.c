// SPDX-License-Identifier: Apache-2.0
/* tests/unit/session/transcript.c - see tests/unit/session/transcript.h. */
#include "tests/unit/session/transcript.h"

#include <inttypes.h>

static const char *const names[] = {"a", "b"};

tmb_incarnation life(uint8_t number)
{
    tmb_incarnation incarnation = {{number}};
    return incarnation;
}

void scene_init(scene *at)
{
    tmb_session_options options = {.node = "s1",
                                   .streams = {names[0], names[1]},
                                   .streams_count = 2,
                                   .seed = 7,
                                   .dial_timeout = tmb_dur_ms(1000),
                                   .hello_timeout = tmb_dur_ms(1000),
                                   .ack_timeout = tmb_dur_ms(2000),
                                   .backoff_base = tmb_dur_ms(100),
                                   .backoff_cap = tmb_dur_ms(3200),
                                   .batch_bytes = 4096};
    tmb_mono now = {0};
    memset(at, 0, sizeof *at);
    tmb_session_init(&at->s, &options, now);
}

static void say(scene *at, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(scene *at, const char *format, ...)
{
    size_t len = strlen(at->said);
    va_list args;
    va_start(args, format);
    vsnprintf(at->said + len, sizeof at->said - len, format, args);
    va_end(args);
}

static void say_frame(scene *at, const tmb_frame *frame)
{
    if (frame->type == TMB_FRAME_BYE) {
        say(at, "SEND bye %d", (int)frame->u.bye.reason);
        assert_int_equal(frame->u.bye.session, at->s.session);
        return;
    }
    if (frame->type == TMB_FRAME_ASK) {
        say(at, "SEND ask %" PRIu64 " of %.*s", frame->u.ask.id, (int)frame->u.ask.node.len,
            (const char *)frame->u.ask.node.ptr);
        assert_int_equal(frame->u.ask.session, at->s.session);
        return;
    }
    assert_int_equal(frame->type, TMB_FRAME_HELLO);
    assert_int_equal(frame->u.hello.session, at->s.session);
    assert_true(tmb_bytes_eq(frame->u.hello.node, tmb_bytes_str("s1")));
    say(at, "SEND hello");
    for (unsigned i = 0; i < frame->u.hello.streams_count; i++) {
        const tmb_stream_state *told = &frame->u.hello.streams[i];
        say(at, " %.*s:%" PRIu64 "-%" PRIu64, (int)told->name.len, (const char *)told->name.ptr,
            told->first_seq, told->last_seq);
    }
}

static void say_report(scene *at, const tmb_session_action *action)
{
    switch (action->report) {
    case TMB_SESSION_REPORT_STATE:
        say(at, "state %s", tmb_session_state_str((tmb_session_state)action->number));
        return;
    case TMB_SESSION_REPORT_BYE:
        say(at, "bye %" PRIu64, action->number);
        return;
    case TMB_SESSION_REPORT_MALFORMED:
        say(at, "malformed");
        return;
    case TMB_SESSION_REPORT_AHEAD:
        say(at, "ahead %s %" PRIu64, names[action->stream], action->number);
        return;
    case TMB_SESSION_REPORT_FORKED:
        say(at, "forked %s %" PRIu64, names[action->stream], action->number);
        return;
    case TMB_SESSION_REPORT_RESEND:
        say(at, "resend %s after %" PRIu64, names[action->stream], action->number);
        return;
    case TMB_SESSION_REPORT_TIMEOUT:
        say(at, "timeout");
        return;
    }
}

static void say_action(scene *at, const tmb_session_action *action)
{
    switch (action->type) {
    case TMB_SESSION_DIAL:
        say(at, "DIAL %" PRIu64, action->epoch);
        return;
    case TMB_SESSION_HANGUP:
        say(at, "HANGUP %" PRIu64, action->epoch);
        return;
    case TMB_SESSION_SEND:
        assert_int_equal(action->epoch, at->s.epoch);
        say_frame(at, action->frame);
        return;
    case TMB_SESSION_SEND_BATCH:
        assert_int_equal(action->epoch, at->s.epoch);
        assert_int_equal(action->session, at->s.session);
        say(at, "SEND_BATCH %" PRIu64, action->ticket);
        return;
    case TMB_SESSION_DROP_BATCH:
        say(at, "DROP_BATCH %" PRIu64, action->ticket);
        return;
    case TMB_SESSION_PROVE:
        say(at, "PROVE %" PRIu64 " %s at %" PRIu64 " %d", action->ticket, names[action->stream],
            action->chain->seq, action->chain->value[0]);
        return;
    case TMB_SESSION_LOAD:
        assert_int_equal(action->bytes_max, 4096);
        say(at, "LOAD %" PRIu64 " %s from %" PRIu64, action->ticket, names[action->stream],
            action->seq);
        return;
    case TMB_SESSION_PERSIST:
        say(at, "PERSIST %s %" PRIu64, names[action->stream], action->seq);
        return;
    case TMB_SESSION_TOLD:
        say(at, "TOLD %" PRIu64, action->frame->u.told.id);
        return;
    case TMB_SESSION_REPORT:
        say_report(at, action);
        return;
    }
}

const char *on_event(scene *at, const tmb_session_event *event)
{
    tmb_session_event timed = *event;
    timed.now.ns = at->now_ms * 1000000;
    at->said[0] = 0;
    assert_int_equal(tmb_session_step(&at->s, &timed, &at->actions), TMB_OK);
    for (unsigned i = 0; i < at->actions.n; i++) {
        if (i > 0)
            say(at, "; ");
        say_action(at, &at->actions.v[i]);
    }
    return at->said;
}

static const char *on_plain(scene *at, tmb_session_event_type type)
{
    tmb_session_event event = {.type = type, .epoch = at->s.epoch};
    return on_event(at, &event);
}

const char *on_move(scene *at, uint32_t window_ms)
{
    tmb_session_event event = {.type = TMB_SESSION_MOVE, .u.window_ms = window_ms};
    return on_event(at, &event);
}

const char *on_ask(scene *at, uint64_t id)
{
    tmb_frame frame = {.type = TMB_FRAME_ASK};
    frame.u.ask.id = id;
    frame.u.ask.node = tmb_bytes_str("c1");
    tmb_session_event event = {.type = TMB_SESSION_ASK, .u.frame = &frame};
    return on_event(at, &event);
}

const char *on_told(scene *at, uint64_t id)
{
    tmb_frame frame = {.type = TMB_FRAME_TOLD};
    frame.u.told.session = at->s.session;
    frame.u.told.id = id;
    return on_frame(at, &frame);
}

const char *on_start(scene *at)
{
    return on_plain(at, TMB_SESSION_START);
}

const char *on_link(scene *at, bool is_up, uint64_t epoch)
{
    tmb_session_event event = {.type = is_up ? TMB_SESSION_LINK_UP : TMB_SESSION_LINK_DOWN,
                               .epoch = epoch};
    return on_event(at, &event);
}

const char *on_tail_of(scene *at, unsigned stream, uint8_t number, uint64_t first_seq,
                       uint64_t last_seq)
{
    tmb_session_event event = {.type = TMB_SESSION_TAIL};
    event.u.tail.stream = stream;
    event.u.tail.incarnation = life(number);
    event.u.tail.first_seq = first_seq;
    event.u.tail.last_seq = last_seq;
    return on_event(at, &event);
}

const char *on_tail(scene *at, unsigned stream, uint64_t first_seq, uint64_t last_seq)
{
    return on_tail_of(at, stream, 1, first_seq, last_seq);
}

const char *on_loaded_gap(scene *at, uint64_t ticket, uint64_t gap_first, uint64_t first_seq,
                          uint64_t last_seq)
{
    tmb_session_event event = {.type = TMB_SESSION_LOADED};
    event.u.loaded.ticket = ticket;
    event.u.loaded.first_seq = first_seq;
    event.u.loaded.last_seq = last_seq;
    event.u.loaded.gap_first = gap_first;
    event.u.loaded.gap_reason = gap_first ? TMB_GAP_RETENTION : TMB_GAP_NONE;
    return on_event(at, &event);
}

const char *on_loaded(scene *at, uint64_t ticket, uint64_t first_seq, uint64_t last_seq)
{
    return on_loaded_gap(at, ticket, 0, first_seq, last_seq);
}

const char *on_load_failed(scene *at, uint64_t ticket)
{
    tmb_session_event event = {.type = TMB_SESSION_LOAD_FAILED};
    event.u.ticket = ticket;
    return on_event(at, &event);
}

const char *on_frame(scene *at, const tmb_frame *frame)
{
    tmb_session_event event = {.type = TMB_SESSION_FRAME, .epoch = at->s.epoch};
    event.u.frame = frame;
    return on_event(at, &event);
}

static tmb_mark make_mark(const scene *at, unsigned stream, uint64_t seq)
{
    tmb_mark mark = {.stream = tmb_bytes_str(names[stream]),
                     .incarnation = at->s.lanes[stream].incarnation,
                     .seq = seq};
    return mark;
}

tmb_frame make_welcome(const scene *at, uint64_t mark_a, uint64_t mark_b)
{
    tmb_frame frame = {.type = TMB_FRAME_WELCOME};
    frame.u.welcome.session = at->s.session;
    frame.u.welcome.node = tmb_bytes_str("hub");
    frame.u.welcome.version = 2;
    frame.u.welcome.is_top = true;
    for (unsigned i = 0; i < 2; i++) {
        if (at->s.lanes[i].is_greeted)
            frame.u.welcome.marks[frame.u.welcome.marks_count++] =
                make_mark(at, i, i == 0 ? mark_a : mark_b);
    }
    return frame;
}

const char *on_welcome(scene *at, uint64_t mark_a, uint64_t mark_b)
{
    tmb_frame frame = make_welcome(at, mark_a, mark_b);
    return on_frame(at, &frame);
}

tmb_frame make_ack(const scene *at, unsigned stream, uint64_t seq)
{
    tmb_frame frame = {.type = TMB_FRAME_ACK};
    frame.u.ack.session = at->s.session;
    frame.u.ack.mark = make_mark(at, stream, seq);
    return frame;
}

const char *on_ack(scene *at, unsigned stream, uint64_t seq)
{
    tmb_frame frame = make_ack(at, stream, seq);
    return on_frame(at, &frame);
}

const char *on_resend(scene *at, unsigned stream, uint64_t seq, uint32_t wait_ms)
{
    tmb_frame frame = make_ack(at, stream, seq);
    frame.u.ack.resend = true;
    frame.u.ack.wait_ms = wait_ms;
    return on_frame(at, &frame);
}

const char *on_bye(scene *at, tmb_bye_reason reason)
{
    tmb_frame frame = {.type = TMB_FRAME_BYE};
    frame.u.bye.session = at->s.session;
    frame.u.bye.reason = reason;
    return on_frame(at, &frame);
}

const char *on_bad_frame(scene *at)
{
    return on_plain(at, TMB_SESSION_FRAME_BAD);
}

const char *on_progress(scene *at, uint64_t taken)
{
    tmb_session_event event = {.type = TMB_SESSION_PROGRESS, .epoch = at->s.epoch};
    event.u.taken = taken;
    return on_event(at, &event);
}

const char *on_all_taken(scene *at)
{
    return on_progress(at, at->s.sent);
}

const char *on_timeout(scene *at)
{
    return on_plain(at, TMB_SESSION_TIMEOUT);
}

const char *on_close(scene *at)
{
    return on_plain(at, TMB_SESSION_CLOSE);
}

int64_t deadline_ms(const scene *at)
{
    int64_t ns = tmb_session_deadline(&at->s).ns;
    return ns == INT64_MAX ? -1 : ns / 1000000 - at->now_ms;
}

void scene_stream(scene *at, uint64_t last_a)
{
    scene_init(at);
    on_tail(at, 0, 1, last_a);
    on_tail(at, 1, 1, 0);
    on_start(at);
    on_link(at, true, 1);
    on_welcome(at, 0, 0);
    assert_int_equal(at->s.state, TMB_SESSION_STREAMING);
}
