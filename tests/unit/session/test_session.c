// SPDX-License-Identifier: Apache-2.0
/* The session when all goes well: greeting, streaming, marks, gaps, turns, windows. */
#include "tests/unit/session/transcript.h"

static void from_start_to_first_batch(void **state)
{
    scene at;
    (void)state;
    scene_init(&at);
    assert_int_equal(deadline_ms(&at), -1);
    assert_string_equal(on_tail(&at, 0, 1, 10), "");
    assert_string_equal(on_tail(&at, 1, 4, 3), "");
    assert_string_equal(on_start(&at), "DIAL 1; state dialing");
    assert_int_equal(deadline_ms(&at), 1000);
    assert_string_equal(on_start(&at), "");
    assert_string_equal(on_link(&at, true, 1), "SEND hello a:1-10 b:4-3; state greeting");
    assert_string_equal(at.s.parent, "");
    assert_string_equal(on_welcome(&at, 6, 3),
                        "state streaming; PERSIST a 6; PERSIST b 3; LOAD 1 a from 7");
    assert_string_equal(at.s.parent, "hub");
    assert_true(at.s.is_parent_top);
    assert_int_equal(deadline_ms(&at), -1);
    assert_string_equal(on_loaded(&at, 1, 7, 9), "SEND_BATCH 1; LOAD 2 a from 10");
    assert_int_equal(deadline_ms(&at), 2000);
    assert_string_equal(on_loaded(&at, 2, 10, 10), "SEND_BATCH 2");
    at.now_ms = 500;
    assert_string_equal(on_ack(&at, 0, 9), "PERSIST a 9");
    assert_int_equal(deadline_ms(&at), 2000);
    assert_string_equal(on_ack(&at, 0, 9), "");
    assert_string_equal(on_ack(&at, 0, 10), "PERSIST a 10");
    assert_int_equal(deadline_ms(&at), -1);
    assert_string_equal(on_tail(&at, 0, 1, 12), "LOAD 3 a from 11");
}

static void tells_the_class_of_each_stream(void **state)
{
    scene at;
    (void)state;
    scene_init(&at);
    at.s.options.classes[0] = TMB_CLASS_ALARM;
    at.s.options.classes[1] = TMB_CLASS_BULK;
    on_tail(&at, 0, 1, 9);
    on_tail(&at, 1, 1, 9);
    on_start(&at);
    on_link(&at, true, 1);
    assert_int_equal(at.s.out.type, TMB_FRAME_HELLO);
    assert_int_equal(at.s.out.u.hello.streams[0].class_, TMB_CLASS_ALARM);
    assert_int_equal(at.s.out.u.hello.streams[1].class_, TMB_CLASS_BULK);
}

static void one_ack_frees_all_it_covers(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 9);
    on_loaded(&at, 1, 1, 3);
    on_loaded(&at, 2, 4, 6);
    assert_string_equal(on_loaded(&at, 3, 7, 9), "SEND_BATCH 3");
    assert_int_equal(at.s.lanes[0].inflight, 3);
    assert_string_equal(on_ack(&at, 0, 5), "PERSIST a 5");
    assert_int_equal(at.s.lanes[0].inflight, 2);
    assert_string_equal(on_ack(&at, 0, 9), "PERSIST a 9");
    assert_int_equal(at.s.lanes[0].inflight, 0);
}

static void window_is_of_all_streams_and_turns_are_fair(void **state)
{
    scene at;
    uint64_t next[2] = {1, 1};
    unsigned sent[2] = {0, 0};
    (void)state;
    scene_init(&at);
    on_tail(&at, 0, 1, 100);
    on_tail(&at, 1, 1, 100);
    on_start(&at);
    on_link(&at, true, 1);
    on_welcome(&at, 0, 0);
    for (uint64_t ticket = 1; ticket <= TMB_INFLIGHT_BATCHES_MAX; ticket++) {
        unsigned lane = at.s.lanes[0].load_ticket == ticket ? 0 : 1;
        assert_int_equal(at.s.lanes[lane].load_ticket, ticket);
        on_loaded(&at, ticket, next[lane], next[lane]);
        next[lane]++;
        sent[lane]++;
    }
    assert_int_equal(sent[0], TMB_INFLIGHT_BATCHES_MAX / 2);
    assert_int_equal(sent[1], TMB_INFLIGHT_BATCHES_MAX / 2);
    assert_int_equal(at.s.lanes[0].load_ticket, 0);
    assert_string_equal(on_tail(&at, 0, 1, 200), "");
    assert_int_equal(deadline_ms(&at), 2000);
    assert_string_equal(on_ack(&at, 1, 1), "PERSIST b 1; LOAD 9 a from 5");
    /* One place at a time comes free, whoever frees it: the streams take turns. */
    on_loaded(&at, 9, 5, 5);
    assert_string_equal(on_ack(&at, 0, 1), "PERSIST a 1; LOAD 10 b from 5");
    on_loaded(&at, 10, 5, 5);
    assert_string_equal(on_ack(&at, 1, 2), "PERSIST b 2; LOAD 11 a from 6");
}

/* What comes after the HELLO goes before what was there, and finds a place. */
static void live_records_go_before_a_backlog(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 100);
    for (uint64_t ticket = 1; ticket <= 3; ticket++)
        on_loaded(&at, ticket, ticket, ticket);
    assert_string_equal(on_tail(&at, 1, 1, 5), "LOAD 5 b from 1");
    assert_string_equal(on_loaded(&at, 4, 4, 4), "SEND_BATCH 4; LOAD 6 a from 5");
    assert_string_equal(on_loaded(&at, 6, 5, 5), "SEND_BATCH 6; LOAD 7 a from 6");
    assert_string_equal(on_loaded(&at, 7, 6, 6), "SEND_BATCH 7");
    assert_string_equal(on_loaded(&at, 5, 1, 2), "SEND_BATCH 5; LOAD 8 b from 3");
    assert_int_equal(deadline_ms(&at), 2000);
}

/* A flood of bulk has begun when an alarm comes: there is a place for it, and the next ones are its own. */
static void an_alarm_overtakes_a_flood(void **state)
{
    scene at;
    uint64_t ticket = 1;
    (void)state;
    scene_init(&at);
    at.s.options.classes[0] = TMB_CLASS_BULK;
    at.s.options.classes[1] = TMB_CLASS_ALARM;
    on_tail(&at, 0, 1, 100);
    on_tail(&at, 1, 1, 0);
    on_start(&at);
    on_link(&at, true, 1);
    on_welcome(&at, 0, 0);
    while (at.s.lanes[0].load_ticket != 0) {
        on_loaded(&at, ticket, ticket, ticket);
        ticket++;
    }
    assert_int_equal(at.s.lanes[0].inflight, TMB_INFLIGHT_BATCHES_MAX - 1);
    assert_int_equal(deadline_ms(&at), 2000);
    assert_string_equal(on_tail(&at, 1, 1, 2), "LOAD 8 b from 1");
    assert_string_equal(on_ack(&at, 0, 1), "PERSIST a 1");
    assert_string_equal(on_loaded(&at, 8, 1, 1), "SEND_BATCH 8; LOAD 9 b from 2");
}

static void a_gap_travels_with_the_record_behind_it(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    assert_string_equal(on_loaded_gap(&at, 1, 1, 11, 10), "DROP_BATCH 1");
    assert_int_equal(deadline_ms(&at), -1);
    assert_string_equal(on_timeout(&at), "");
    assert_string_equal(on_tail(&at, 0, 11, 10), "");
    assert_string_equal(on_tail(&at, 0, 11, 12), "");
    assert_int_equal(deadline_ms(&at), 100);
    at.now_ms = 100;
    assert_string_equal(on_timeout(&at), "LOAD 2 a from 1");
    assert_string_equal(on_loaded_gap(&at, 2, 1, 11, 12), "SEND_BATCH 2");
    assert_string_equal(on_ack(&at, 0, 12), "PERSIST a 12");
}

static void a_held_gap_does_not_hold_what_must_be_sent_again(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 5);
    assert_string_equal(on_loaded_gap(&at, 2, 6, 11, 10), "DROP_BATCH 2");
    assert_string_equal(on_resend(&at, 0, 0, 0), "resend a after 0; LOAD 3 a from 1");
}

static void a_stream_that_joins_is_greeted(void **state)
{
    scene at;
    (void)state;
    scene_init(&at);
    on_start(&at);
    assert_string_equal(on_link(&at, true, 1), "SEND hello; state greeting");
    assert_string_equal(on_tail(&at, 1, 1, 5), "");
    uint64_t first = at.s.session;
    assert_string_equal(on_welcome(&at, 0, 0), "state streaming; SEND hello b:1-5; state greeting");
    assert_int_not_equal(at.s.session, first);
    assert_string_equal(on_welcome(&at, 0, 2), "state streaming; PERSIST b 2; LOAD 1 b from 3");
    assert_string_equal(on_tail(&at, 0, 1, 1), "SEND hello a:1-1 b:1-5; state greeting");
    assert_string_equal(on_loaded(&at, 1, 3, 5), "DROP_BATCH 1");
    assert_string_equal(on_welcome(&at, 0, 2),
                        "state streaming; PERSIST a 0; PERSIST b 2; LOAD 2 a from 1; "
                        "LOAD 3 b from 3");
}

static void another_journal_is_greeted(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 10);
    on_ack(&at, 0, 10);
    assert_string_equal(on_tail_of(&at, 0, 2, 1, 3), "SEND hello a:1-3 b:1-0; state greeting");
    assert_string_equal(on_welcome(&at, 0, 0),
                        "state streaming; PERSIST a 0; PERSIST b 0; LOAD 2 a from 1");
}

static void a_log_that_lost_what_was_sent_is_greeted_and_fenced(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 10);
    assert_string_equal(on_tail(&at, 0, 1, 8), "SEND hello a:1-8 b:1-0; state greeting");
    assert_string_equal(on_tail(&at, 0, 1, 8), "");
    assert_string_equal(on_welcome(&at, 10, 0), "ahead a 10; SEND bye 7; HANGUP 1; state fenced");
    assert_int_equal(deadline_ms(&at), -1);
    assert_string_equal(on_timeout(&at), "");
    assert_string_equal(on_start(&at), "");
    assert_string_equal(on_close(&at), "state closed");
}

static void marks_that_do_not_fit_one_step_follow_at_once(void **state)
{
    static char names[TMB_STREAMS_MAX][8];
    static tmb_session s;
    tmb_session_actions actions;
    tmb_session_options options = {
        .node = "s1", .streams_count = TMB_STREAMS_MAX, .batch_bytes = 9};
    tmb_mono now = {0};
    unsigned persisted = 0, loads = 0, steps = 0;
    (void)state;
    options.dial_timeout = options.hello_timeout = options.ack_timeout = tmb_dur_ms(1000);
    options.backoff_base = options.backoff_cap = tmb_dur_ms(1000);
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "s%u", i);
        options.streams[i] = names[i];
    }
    tmb_session_init(&s, &options, now);
    tmb_session_event event = {.type = TMB_SESSION_TAIL, .now = now};
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++) {
        event.u.tail.stream = i;
        event.u.tail.first_seq = event.u.tail.last_seq = 1;
        assert_int_equal(tmb_session_step(&s, &event, &actions), TMB_OK);
    }
    event.type = TMB_SESSION_START;
    assert_int_equal(tmb_session_step(&s, &event, &actions), TMB_OK);
    event.type = TMB_SESSION_LINK_UP;
    event.epoch = 1;
    assert_int_equal(tmb_session_step(&s, &event, &actions), TMB_OK);
    tmb_frame frame = {.type = TMB_FRAME_WELCOME};
    frame.u.welcome.session = s.session;
    frame.u.welcome.version = 1;
    frame.u.welcome.marks_count = TMB_STREAMS_MAX;
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++)
        frame.u.welcome.marks[i].stream = tmb_bytes_str(names[i]);
    event.type = TMB_SESSION_FRAME;
    event.u.frame = &frame;
    do {
        assert_int_equal(tmb_session_step(&s, &event, &actions), TMB_OK);
        for (unsigned i = 0; i < actions.n; i++) {
            persisted += actions.v[i].type == TMB_SESSION_PERSIST;
            loads += actions.v[i].type == TMB_SESSION_LOAD;
        }
        event.type = TMB_SESSION_TIMEOUT;
    } while (++steps < 10 && tmb_session_deadline(&s).ns <= 0);
    assert_int_equal(persisted, TMB_STREAMS_MAX);
    assert_int_equal(loads, TMB_INFLIGHT_BATCHES_MAX);
    assert_true(steps > 1 && steps < 10);
}

static void close_says_bye(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    assert_string_equal(on_close(&at), "SEND bye 1; HANGUP 1; state closed");
    assert_string_equal(on_close(&at), "");
    assert_string_equal(on_loaded(&at, 1, 1, 10), "DROP_BATCH 1");
    assert_string_equal(on_start(&at), "");
    scene_init(&at);
    assert_string_equal(on_close(&at), "state closed");
    scene_init(&at);
    on_start(&at);
    assert_string_equal(on_close(&at), "HANGUP 1; state closed");
    assert_string_equal(on_link(&at, true, 1), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_start_to_first_batch),
        cmocka_unit_test(tells_the_class_of_each_stream),
        cmocka_unit_test(one_ack_frees_all_it_covers),
        cmocka_unit_test(window_is_of_all_streams_and_turns_are_fair),
        cmocka_unit_test(live_records_go_before_a_backlog),
        cmocka_unit_test(an_alarm_overtakes_a_flood),
        cmocka_unit_test(a_gap_travels_with_the_record_behind_it),
        cmocka_unit_test(a_held_gap_does_not_hold_what_must_be_sent_again),
        cmocka_unit_test(a_stream_that_joins_is_greeted),
        cmocka_unit_test(another_journal_is_greeted),
        cmocka_unit_test(a_log_that_lost_what_was_sent_is_greeted_and_fenced),
        cmocka_unit_test(marks_that_do_not_fit_one_step_follow_at_once),
        cmocka_unit_test(close_says_bye),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
