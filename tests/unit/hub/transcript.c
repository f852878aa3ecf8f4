// SPDX-License-Identifier: Apache-2.0
/* tests/unit/hub/transcript.c - see tests/unit/hub/transcript.h. */
#include "tests/unit/hub/transcript.h"

#include <inttypes.h>

tmb_incarnation life(uint8_t number)
{
    tmb_incarnation incarnation = {{number}};
    return incarnation;
}

void scene_init(scene *at)
{
    memset(at, 0, sizeof *at);
    tmb_intake_init(&at->intake, tmb_bytes_str("s1"), "hub", true);
}

void scene_open(scene *at, uint64_t mark_a, uint64_t mark_b)
{
    scene_init(at);
    on_hello(at, 1);
    on_marks(at, 1, mark_a, mark_b);
    assert_int_equal(at->intake.state, TMB_INTAKE_OPEN);
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

static void say_mark(scene *at, const tmb_mark *mark, char between)
{
    say(at, " %.*s%c%" PRIu64, (int)mark->stream.len, (const char *)mark->stream.ptr, between,
        mark->seq);
}

static void say_frame(scene *at, const tmb_frame *frame)
{
    switch (frame->type) {
    case TMB_FRAME_WELCOME:
        assert_int_equal(frame->u.welcome.session, at->intake.session);
        assert_int_equal(frame->u.welcome.version, at->intake.version);
        assert_true(tmb_bytes_eq(frame->u.welcome.node, tmb_bytes_str("hub")));
        assert_true(frame->u.welcome.is_top);
        say(at, "WELCOME");
        for (unsigned i = 0; i < frame->u.welcome.marks_count; i++)
            say_mark(at, &frame->u.welcome.marks[i], ':');
        return;
    case TMB_FRAME_ACK:
        assert_int_equal(frame->u.ack.session, at->intake.session);
        say(at, "ACK");
        say_mark(at, &frame->u.ack.mark, ' ');
        if (frame->u.ack.resend)
            say(at, " resend %" PRIu32, frame->u.ack.wait_ms);
        return;
    case TMB_FRAME_BYE:
        say(at, "BYE %d to %" PRIu64, (int)frame->u.bye.reason, frame->u.bye.session);
        return;
    case TMB_FRAME_HELLO:
    case TMB_FRAME_BATCH:
    case TMB_FRAME_CREDIT:
    case TMB_FRAME_DICTIONARY:
    case TMB_FRAME_ASK:
    case TMB_FRAME_TOLD:
    case TMB_FRAME_SCOPE:
    case TMB_FRAME_LEAVES:
    case TMB_FRAME_STORED:
    case TMB_FRAME_RANGES:
        break;
    }
    fail_msg("a parent does not say that");
}

static void say_report(scene *at, const tmb_intake_action *action)
{
    const char *stream = at->intake.lanes[action->lane].stream;
    switch (action->report) {
    case TMB_INTAKE_REPORT_OPEN:
        say(at, "open");
        return;
    case TMB_INTAKE_REPORT_GAP:
        say(at, "gap %s %" PRIu64 " %d", stream, action->number, (int)action->gap_reason);
        return;
    case TMB_INTAKE_REPORT_KNOWN:
        say(at, "known %s %" PRIu64, stream, action->number);
        return;
    case TMB_INTAKE_REPORT_RESEND:
        say(at, "resend %s", stream);
        return;
    case TMB_INTAKE_REPORT_REFUSED:
        say(at, "refused %" PRIu64, action->number);
        return;
    case TMB_INTAKE_REPORT_PROBE:
        say(at, "probe %" PRIu64, action->number);
        return;
    case TMB_INTAKE_REPORT_TWIN:
        say(at, "twin %" PRIu64, action->number);
        return;
    case TMB_INTAKE_REPORT_FENCED:
        say(at, "fenced %" PRIu64, action->number);
        return;
    case TMB_INTAKE_REPORT_MALFORMED:
        say(at, "malformed");
        return;
    }
}

const char *on_event(scene *at, const tmb_intake_event *event)
{
    tmb_intake_event timed = *event;
    timed.now.ns = at->now_ms * 1000000;
    at->said[0] = 0;
    assert_int_equal(tmb_intake_step(&at->intake, &timed, &at->actions), TMB_OK);
    for (unsigned i = 0; i < at->actions.n; i++) {
        const tmb_intake_action *action = &at->actions.v[i];
        if (i > 0)
            say(at, "; ");
        if (action->type == TMB_INTAKE_LOAD_MARKS)
            say(at, "LOAD_MARKS");
        else if (action->type == TMB_INTAKE_SEND)
            say_frame(at, action->frame);
        else if (action->type == TMB_INTAKE_PERSIST)
            say(at, "PERSIST %" PRIu64, action->ticket);
        else if (action->type == TMB_INTAKE_ASKED)
            say(at, "ASKED %" PRIu64, action->frame->u.ask.id);
        else if (action->type == TMB_INTAKE_DROP)
            say(at, "DROP %" PRIu64, action->ticket);
        else
            say_report(at, action);
    }
    return at->said;
}

const char *on_frame(scene *at, const tmb_frame *frame, uint64_t ticket)
{
    tmb_intake_event event = {.type = TMB_INTAKE_FRAME, .ticket = ticket};
    event.u.frame = frame;
    return on_event(at, &event);
}

tmb_frame make_hello(uint64_t session)
{
    tmb_frame frame = {.type = TMB_FRAME_HELLO};
    frame.u.hello.session = session;
    frame.u.hello.node = tmb_bytes_str("s1");
    frame.u.hello.version_min = 1;
    frame.u.hello.version_max = 2;
    frame.u.hello.streams_count = 2;
    for (unsigned i = 0; i < 2; i++) {
        frame.u.hello.streams[i].name = tmb_bytes_str(i == 0 ? "a" : "b");
        frame.u.hello.streams[i].incarnation = life(1);
        frame.u.hello.streams[i].first_seq = 1;
        frame.u.hello.streams[i].last_seq = 100;
    }
    return frame;
}

const char *on_hello(scene *at, uint64_t session)
{
    tmb_frame frame = make_hello(session);
    return on_frame(at, &frame, 0);
}

const char *on_marks(scene *at, uint64_t session, uint64_t mark_a, uint64_t mark_b)
{
    uint64_t seqs[] = {mark_a, mark_b};
    tmb_intake_event event = {.type = TMB_INTAKE_MARKS};
    event.u.marks.session = session;
    event.u.marks.seqs = seqs;
    return on_event(at, &event);
}

tmb_frame make_batch(uint64_t session, const char *stream, uint64_t first_seq, uint64_t last_seq)
{
    tmb_frame frame = {.type = TMB_FRAME_BATCH};
    frame.u.batch.session = session;
    frame.u.batch.stream = tmb_bytes_str(stream);
    frame.u.batch.incarnation = life(1);
    frame.u.batch.first_seq = first_seq;
    frame.u.batch.last_seq = last_seq;
    return frame;
}

const char *on_batch_gap(scene *at, uint64_t ticket, const char *stream, uint64_t gap_first,
                         uint64_t first_seq, uint64_t last_seq)
{
    tmb_frame frame = make_batch(at->intake.session, stream, first_seq, last_seq);
    frame.u.batch.gap_first = gap_first;
    frame.u.batch.gap_reason = gap_first ? TMB_GAP_RETENTION : TMB_GAP_NONE;
    return on_frame(at, &frame, ticket);
}

const char *on_batch(scene *at, uint64_t ticket, const char *stream, uint64_t first_seq,
                     uint64_t last_seq)
{
    return on_batch_gap(at, ticket, stream, 0, first_seq, last_seq);
}

const char *on_stored(scene *at, uint64_t ticket)
{
    tmb_intake_event event = {.type = TMB_INTAKE_STORED, .ticket = ticket};
    return on_event(at, &event);
}

const char *on_store_failed(scene *at, uint64_t ticket, bool is_malformed)
{
    tmb_intake_event event = {
        .type = TMB_INTAKE_STORE_FAILED, .ticket = ticket, .is_malformed = is_malformed};
    return on_event(at, &event);
}

const char *on_bye(scene *at, uint64_t session)
{
    tmb_frame frame = {.type = TMB_FRAME_BYE};
    frame.u.bye.session = session;
    frame.u.bye.reason = TMB_BYE_CLOSING;
    return on_frame(at, &frame, 0);
}

const char *on_plain(scene *at, tmb_intake_event_type type)
{
    tmb_intake_event event = {.type = type};
    return on_event(at, &event);
}
