// SPDX-License-Identifier: Apache-2.0
/* A batch that is larger than the credit or than the line: others are neither starved by it nor starve it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "syncd/session/session.h"

enum { LARGE = 0, BUSY = 1, LIVE_BYTES = 40000, FAR_TOO_MUCH = 500000 };

/* Two streams of telemetry, nothing waiting; what is ordered as text: "L1:7" stream 1 loads from 7, "S" batch
 * sent, "D" dropped. */
typedef struct scene {
    tmb_session s;
    char said[256];
    uint64_t tickets[2];
    bool is_cut;
} scene;

static const char *const names[] = {"large", "busy"};

static const char *step(scene *at, tmb_session_event *event)
{
    tmb_session_actions actions;
    event->epoch = at->s.epoch;
    assert_int_equal(tmb_session_step(&at->s, event, &actions), TMB_OK);
    at->said[0] = 0;
    for (unsigned i = 0; i < actions.n; i++) {
        const tmb_session_action *a = &actions.v[i];
        char *end = at->said + strlen(at->said);
        size_t left = sizeof at->said - strlen(at->said);
        if (a->type == TMB_SESSION_LOAD) {
            at->tickets[a->stream] = a->ticket;
            (void)snprintf(end, left, "L%u:%u ", a->stream, (unsigned)a->seq);
        } else if (a->type == TMB_SESSION_SEND_BATCH) {
            at->is_cut = a->is_cut;
            (void)snprintf(end, left, "S%u ", a->stream);
        } else if (a->type == TMB_SESSION_DROP_BATCH) {
            (void)snprintf(end, left, "D ");
        }
    }
    return at->said;
}

static const char *tail(scene *at, unsigned stream, uint64_t last_seq)
{
    tmb_session_event event = {.type = TMB_SESSION_TAIL};
    event.u.tail.stream = stream;
    event.u.tail.first_seq = 1;
    event.u.tail.last_seq = last_seq;
    return step(at, &event);
}

static const char *loaded(scene *at, unsigned stream, uint64_t seq, uint32_t bytes)
{
    tmb_session_event event = {.type = TMB_SESSION_LOADED};
    event.u.loaded.ticket = at->tickets[stream];
    event.u.loaded.first_seq = event.u.loaded.last_seq = seq;
    event.u.loaded.bytes = event.u.loaded.raw_bytes = bytes;
    return step(at, &event);
}

static const char *ack(scene *at, unsigned stream, uint64_t seq)
{
    tmb_frame frame = {.type = TMB_FRAME_ACK};
    frame.u.ack.session = at->s.session;
    frame.u.ack.mark.stream = tmb_bytes_str(names[stream]);
    frame.u.ack.mark.seq = seq;
    tmb_session_event event = {.type = TMB_SESSION_FRAME};
    event.u.frame = &frame;
    return step(at, &event);
}

static void begin(scene *at, bool is_paced)
{
    tmb_session_options options = {.node = "s1", .streams_count = 2, .seed = 1};
    tmb_session_event start = {.type = TMB_SESSION_START}, up = {.type = TMB_SESSION_LINK_UP};
    tmb_session_event said = {.type = TMB_SESSION_FRAME};
    tmb_frame welcome = {.type = TMB_FRAME_WELCOME};
    for (unsigned i = 0; i < 2; i++) {
        options.streams[i] = names[i];
        options.classes[i] = TMB_CLASS_TELEMETRY;
        welcome.u.welcome.marks[i].stream = tmb_bytes_str(names[i]);
        welcome.u.welcome.marks[i].seq = 100;
    }
    options.dial_timeout = options.hello_timeout = options.ack_timeout = tmb_dur_ms(1000);
    options.backoff_base = options.backoff_cap = tmb_dur_ms(100);
    options.batch_bytes = 50000;
    options.is_paced = is_paced;
    memset(at, 0, sizeof *at);
    tmb_session_init(&at->s, &options, (tmb_mono){0});
    (void)tail(at, LARGE, 100);
    (void)tail(at, BUSY, 100);
    (void)step(at, &start);
    (void)step(at, &up);
    welcome.u.welcome.session = at->s.session;
    welcome.u.welcome.node = tmb_bytes_str("hub");
    welcome.u.welcome.version = 2;
    welcome.u.welcome.has_credit = true;
    welcome.u.welcome.live_bytes = LIVE_BYTES;
    welcome.u.welcome.marks_count = 2;
    said.u.frame = &welcome;
    assert_string_equal(step(at, &said), "");
}

/* A stream that always has something on its way would never let it go alone. */
static void what_must_go_alone_gets_its_turn(void **state)
{
    scene at;
    (void)state;
    begin(&at, false);
    assert_string_equal(tail(&at, BUSY, 101), "L1:101 ");
    assert_string_equal(loaded(&at, BUSY, 101, 100), "S1 ");
    assert_string_equal(tail(&at, LARGE, 101), "L0:101 ");
    assert_string_equal(loaded(&at, LARGE, 101, FAR_TOO_MUCH), "D ");
    assert_string_equal(tail(&at, BUSY, 102), ""); /* stands back */
    assert_string_equal(ack(&at, BUSY, 101), "L0:101 ");
    assert_string_equal(tail(&at, BUSY, 103), ""); /* and while it is read */
    assert_string_equal(loaded(&at, LARGE, 101, FAR_TOO_MUCH), "S0 ");
    assert_string_equal(tail(&at, BUSY, 104), ""); /* no credit is left */
    assert_string_equal(ack(&at, LARGE, 101), "L1:102 ");
}

/* A batch that came out far larger than its records let expect makes the next ones smaller; else a line that
 * is cut now and then would begin with as large a one each time. */
static void a_batch_in_pieces_teaches_the_next_one(void **state)
{
    scene at;
    (void)state;
    begin(&at, true);
    at.s.pace.ratio_16 = 16 * 64;
    assert_string_equal(tail(&at, LARGE, 101), "L0:101 ");
    assert_string_equal(loaded(&at, LARGE, 101, 20000), "S0 ");
    assert_true(at.is_cut);
    assert_true(at.s.pace.ratio_16 < 16 * 64);
}

/* What turns out to be a backlog is told in one more HELLO: it is paid as one by both. */
static void a_backlog_that_was_not_told_is_told(void **state)
{
    scene at;
    (void)state;
    begin(&at, false);
    tmb_session_event event = {.type = TMB_SESSION_TAIL};
    event.u.tail.first_seq = 1;
    event.u.tail.last_seq = 900;
    event.u.tail.is_backlog = true;
    uint64_t session = at.s.session;
    assert_string_equal(step(&at, &event), "");
    assert_int_equal(at.s.state, TMB_SESSION_GREETING);
    assert_true(at.s.session != session);
    assert_int_equal(at.s.out.u.hello.streams[LARGE].last_seq, 900);
    assert_int_equal(at.s.lanes[LARGE].told_last_seq, 900);
    assert_string_equal(step(&at, &event), ""); /* told: no other */
    assert_true(at.s.lanes[LARGE].is_greeted);
}

/* A piece that has waited long goes although others are being loaded; not behind what does not leave. */
static void a_piece_that_is_overdue_waits_for_the_line_alone(void **state)
{
    scene at;
    (void)state;
    begin(&at, true);
    at.s.pace.window = TMB_PACE_WINDOW_MIN;
    assert_string_equal(tail(&at, BUSY, 101), "L1:101 ");
    assert_false(tmb_session_has_room(&at.s, false));
    assert_true(tmb_session_has_room(&at.s, true));
    tmb_session_said(&at.s, TMB_PACE_WINDOW_MIN, at.s.now);
    assert_false(tmb_session_has_room(&at.s, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_must_go_alone_gets_its_turn),
        cmocka_unit_test(a_batch_in_pieces_teaches_the_next_one),
        cmocka_unit_test(a_piece_that_is_overdue_waits_for_the_line_alone),
        cmocka_unit_test(a_backlog_that_was_not_told_is_told),
    };
    return cmocka_run_group_tests_name("unit.session.large", tests, NULL, NULL);
}
