// SPDX-License-Identifier: Apache-2.0
/* The intake, event by event: greeting, queueing, storing, refusing, and sessions that follow each other. */
#include "tests/unit/hub/transcript.h"

static void from_hello_to_ack(void **state)
{
    scene at;
    (void)state;
    scene_init(&at);
    assert_string_equal(on_hello(&at, 1), "LOAD_MARKS");
    assert_int_equal(at.intake.lanes_count, 2);
    assert_string_equal(on_marks(&at, 1, 10, 0), "WELCOME a:10 b:0; open");
    assert_string_equal(on_batch(&at, 1, "a", 11, 20), "PERSIST 1");
    assert_string_equal(on_batch(&at, 2, "a", 21, 30), "");
    assert_string_equal(on_batch(&at, 3, "b", 1, 1), "PERSIST 3");
    assert_string_equal(on_stored(&at, 3), "ACK b 1");
    assert_string_equal(on_stored(&at, 1), "ACK a 20; PERSIST 2");
    assert_string_equal(on_stored(&at, 2), "ACK a 30");
    assert_string_equal(on_stored(&at, 2), ""); /* late, twice */
}

static void hello_is_refused_by_reason(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 0, 0);
    tmb_frame hello = make_hello(5);
    hello.u.hello.node = tmb_bytes_str("s2");
    assert_string_equal(on_frame(&at, &hello, 0), "refused 4; BYE 4 to 5");
    hello = make_hello(5);
    hello.u.hello.version_min = hello.u.hello.version_max = TMB_PROTOCOL_VERSION + 1;
    assert_string_equal(on_frame(&at, &hello, 0), "refused 5; BYE 5 to 5");
    hello.u.hello.version_min = 0;
    hello.u.hello.version_max = 0;
    assert_string_equal(on_frame(&at, &hello, 0), "refused 5; BYE 5 to 5");
    hello = make_hello(5);
    hello.u.hello.streams[1].name = hello.u.hello.streams[0].name;
    assert_string_equal(on_frame(&at, &hello, 0), "refused 3; BYE 3 to 5");
    assert_int_equal(at.intake.state, TMB_INTAKE_OPEN); /* what was open stays so */
    hello = make_hello(5);
    hello.u.hello.version_max = 9;
    assert_string_equal(on_frame(&at, &hello, 0), "LOAD_MARKS");
    assert_string_equal(on_marks(&at, 5, 0, 0), "WELCOME a:0 b:0; open");
}

static void credits_and_windows_are_for_version_2(void **state)
{
    scene at;
    (void)state;
    const uint64_t seqs[] = {0, 0};
    for (uint32_t version = 1; version <= 2; version++) {
        scene_init(&at);
        tmb_frame hello = make_hello(1);
        hello.u.hello.version_max = version;
        hello.u.hello.streams[1].class_ = TMB_CLASS_ALARM;
        on_frame(&at, &hello, 0);
        assert_int_equal(at.intake.lanes[1].class_, TMB_CLASS_ALARM);
        tmb_intake_event event = {.type = TMB_INTAKE_MARKS};
        event.u.marks.session = 1;
        event.u.marks.seqs = seqs;
        event.u.marks.has_credit = true;
        event.u.marks.live_bytes = 7;
        event.u.marks.backlog_bytes = 8;
        at.intake.window_ms = 3125;
        at.intake.load = 40;
        on_event(&at, &event);
        const tmb_frame_welcome *welcome = &at.intake.out.u.welcome;
        assert_int_equal(welcome->has_credit, version == 2);
        assert_int_equal(welcome->live_bytes, version == 2 ? 7 : 0);
        assert_int_equal(welcome->backlog_bytes, version == 2 ? 8 : 0);
        assert_int_equal(welcome->window_ms, version == 2 ? 3125 : 0);
        assert_int_equal(welcome->load, version == 2 ? 40 : 0);
    }
}

static void what_has_no_room_comes_again(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 0, 0);
    tmb_frame batch = make_batch(1, "a", 1, 5);
    tmb_intake_event event = {.type = TMB_INTAKE_FRAME, .ticket = 1, .refuse_ms = 300};
    event.u.frame = &batch;
    assert_string_equal(on_event(&at, &event), "DROP 1; ACK a 0 resend 300; resend a");
    assert_string_equal(on_batch(&at, 2, "a", 6, 9), "DROP 2"); /* sent behind it: in silence */
    assert_string_equal(on_batch(&at, 3, "a", 1, 5), "PERSIST 3");
    event.ticket = 4;
    assert_string_equal(on_event(&at, &event),
                        "DROP 4; known a 5; ACK a 0"); /* a repeat needs none */
}

static void a_child_behind_the_mark_is_told_the_mark(void **state)
{
    scene at;
    (void)state;
    scene_init(&at);
    on_hello(&at, 1);
    assert_string_equal(on_marks(&at, 1, 500, 0), "WELCOME a:500 b:0; open");
}

static void late_marks_are_ignored(void **state)
{
    scene at;
    (void)state;
    scene_init(&at);
    assert_string_equal(on_marks(&at, 0, 1, 1), "");
    on_hello(&at, 1);
    assert_string_equal(on_hello(&at, 1), ""); /* the link said it twice */
    assert_string_equal(on_hello(&at, 2), "LOAD_MARKS");
    assert_string_equal(on_marks(&at, 1, 9, 9), "");
    assert_string_equal(on_marks(&at, 2, 1, 2), "WELCOME a:1 b:2; open");
    assert_string_equal(on_marks(&at, 2, 9, 9), "");
    assert_string_equal(on_hello(&at, 2), "");
}

static void a_batch_without_session_is_unknown(void **state)
{
    scene at;
    (void)state;
    scene_init(&at);
    tmb_frame batch = make_batch(7, "a", 1, 1);
    assert_string_equal(on_frame(&at, &batch, 1), "DROP 1; BYE 2 to 7");
    on_hello(&at, 1);
    assert_string_equal(on_batch(&at, 2, "a", 1, 1), "DROP 2; BYE 2 to 1");
    on_marks(&at, 1, 0, 0);
    assert_string_equal(on_frame(&at, &batch, 3), "DROP 3; BYE 2 to 7");
    assert_string_equal(on_batch(&at, 4, "a", 1, 1), "PERSIST 4");
}

static void a_hole_is_refused_once_until_the_child_goes_back(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 10, 0);
    assert_string_equal(on_batch(&at, 1, "a", 12, 13), "DROP 1; ACK a 10 resend 0; resend a");
    assert_string_equal(on_batch(&at, 2, "a", 14, 15), "DROP 2");
    assert_string_equal(on_batch(&at, 3, "b", 2, 2), "DROP 3; ACK b 0 resend 0; resend b");
    assert_string_equal(on_batch(&at, 4, "a", 11, 11), "PERSIST 4");
    assert_string_equal(on_batch(&at, 5, "a", 14, 15), "DROP 5; ACK a 10 resend 0; resend a");
    assert_string_equal(on_batch(&at, 6, "a", 16, 17), "DROP 6");
    at.now_ms = 1000; /* the child may not have heard */
    assert_string_equal(on_batch(&at, 7, "a", 18, 19), "DROP 7; ACK a 10 resend 0; resend a");
}

static void known_batches_are_acked_and_partly_known_ones_taken(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 10, 0);
    assert_string_equal(on_batch(&at, 1, "a", 1, 10), "DROP 1; known a 10; ACK a 10");
    assert_string_equal(on_batch(&at, 2, "a", 8, 12), "PERSIST 2");
    assert_string_equal(on_batch(&at, 3, "a", 11, 12), "DROP 3; known a 2; ACK a 10");
    assert_string_equal(on_stored(&at, 2), "ACK a 12");
}

static void a_declared_gap_closes_the_hole(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 10, 0);
    assert_string_equal(on_batch_gap(&at, 1, "a", 12, 20, 25),
                        "DROP 1; ACK a 10 resend 0; resend a");
    assert_string_equal(on_batch_gap(&at, 2, "a", 11, 20, 25), "PERSIST 2");
    assert_string_equal(on_batch_gap(&at, 3, "a", 5, 30, 30), "");
    assert_string_equal(on_stored(&at, 2), "gap a 9 3; ACK a 25; PERSIST 3");
    assert_string_equal(on_stored(&at, 3), "gap a 4 3; ACK a 30");
}

static void a_full_queue_asks_to_wait(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 0, 0);
    for (uint64_t seq = 1; seq <= TMB_INTAKE_QUEUE_MAX; seq++)
        on_batch(&at, seq, seq % 2 ? "a" : "b", (seq + 1) / 2, (seq + 1) / 2);
    assert_string_equal(on_batch(&at, 9, "a", 5, 5), "DROP 9; ACK a 0 resend 100; resend a");
    assert_string_equal(on_batch(&at, 10, "a", 6, 6), "DROP 10");
    assert_string_equal(on_stored(&at, 1), "ACK a 1; PERSIST 3");
    assert_string_equal(on_batch(&at, 11, "a", 5, 5), "");
}

static void a_failed_store_goes_back_to_the_mark(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 0, 0);
    on_batch(&at, 1, "a", 1, 1);
    on_batch(&at, 2, "a", 2, 2);
    on_batch(&at, 3, "b", 1, 1);
    assert_string_equal(on_store_failed(&at, 1, false), "DROP 2; ACK a 0 resend 1000; resend a");
    assert_string_equal(on_batch(&at, 4, "a", 3, 3), "DROP 4");
    assert_string_equal(on_stored(&at, 3), "ACK b 1");
    at.now_ms = 1000;
    assert_string_equal(on_batch(&at, 5, "a", 1, 1), "PERSIST 5");
}

static void a_batch_that_can_never_be_stored_ends_the_session(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 0, 0);
    on_batch(&at, 1, "a", 1, 1);
    on_batch(&at, 2, "a", 2, 2);
    on_batch(&at, 3, "b", 1, 1);
    on_batch(&at, 4, "b", 2, 2);
    assert_string_equal(on_store_failed(&at, 1, true), "DROP 2; malformed; BYE 3 to 1; DROP 4");
    assert_int_equal(at.intake.state, TMB_INTAKE_IDLE);
    assert_int_equal(at.intake.lanes[0].mark, 0);
    assert_string_equal(on_stored(&at, 3), ""); /* its mark moves all the same */
    assert_int_equal(at.intake.lanes[1].mark, 1);
}

static void a_new_session_keeps_what_is_being_stored(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 0, 0);
    on_batch(&at, 1, "a", 1, 5);
    on_batch(&at, 2, "a", 6, 9);
    assert_string_equal(on_hello(&at, 2), "DROP 2; LOAD_MARKS");
    assert_string_equal(on_marks(&at, 2, 0, 0), "WELCOME a:0 b:0; open");
    assert_string_equal(on_batch(&at, 3, "a", 1, 5), "DROP 3; known a 5; ACK a 0");
    assert_string_equal(on_batch(&at, 4, "a", 6, 9), "");
    assert_string_equal(on_stored(&at, 1), "ACK a 5; PERSIST 4");
    /* STORED between the look-up of the marks and its answer. */
    on_hello(&at, 3);
    assert_string_equal(on_stored(&at, 4), "");
    assert_string_equal(on_marks(&at, 3, 5, 0), "WELCOME a:9 b:0; open");
    /* The look-up saw what STORED has yet to tell. */
    on_batch(&at, 5, "a", 10, 12);
    on_hello(&at, 4);
    assert_string_equal(on_marks(&at, 4, 12, 0), "WELCOME a:12 b:0; open");
    assert_string_equal(on_batch(&at, 6, "a", 13, 13), "");
    assert_string_equal(on_stored(&at, 5), "ACK a 12; PERSIST 6");
    assert_string_equal(on_store_failed(&at, 6, false), "ACK a 12 resend 1000; resend a");
}

static void another_journal_forgets_what_is_being_stored(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 7, 0);
    on_batch(&at, 1, "a", 8, 9);
    tmb_frame hello = make_hello(2);
    hello.u.hello.streams[0].incarnation = life(2);
    assert_string_equal(on_frame(&at, &hello, 0), "LOAD_MARKS");
    assert_int_equal(at.intake.lanes[0].mark, 0);
    assert_string_equal(on_stored(&at, 1), "");
    assert_string_equal(on_marks(&at, 2, 0, 0), "WELCOME a:0 b:0; open");
    hello = make_hello(3);
    hello.u.hello.streams_count = 0;
    assert_string_equal(on_frame(&at, &hello, 0), "LOAD_MARKS");
    tmb_intake_event none = {.type = TMB_INTAKE_MARKS};
    none.u.marks.session = 3;
    assert_string_equal(on_event(&at, &none), "WELCOME; open");
}

static void streams_may_change_places(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 7, 3);
    on_batch(&at, 1, "a", 8, 9);
    tmb_frame hello = make_hello(2);
    tmb_stream_state swap = hello.u.hello.streams[0];
    hello.u.hello.streams[0] = hello.u.hello.streams[1];
    hello.u.hello.streams[1] = swap;
    on_frame(&at, &hello, 0);
    assert_string_equal(on_marks(&at, 2, 3, 7), "WELCOME b:3 a:7; open");
    assert_string_equal(on_stored(&at, 1), "ACK a 9");
}

static void bye_ends_only_its_own_session(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 0, 0);
    on_batch(&at, 1, "a", 1, 1);
    on_batch(&at, 2, "a", 2, 2);
    assert_string_equal(on_bye(&at, 9), "");
    assert_int_equal(at.intake.state, TMB_INTAKE_OPEN);
    assert_string_equal(on_bye(&at, 1), "DROP 2");
    assert_int_equal(at.intake.state, TMB_INTAKE_IDLE);
    assert_string_equal(on_stored(&at, 1), "");
    assert_string_equal(on_hello(&at, 1), "LOAD_MARKS");
    assert_string_equal(on_marks(&at, 1, 0, 0), "WELCOME a:1 b:0; open");
}

static void reset_forgets_all(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 0, 0);
    on_batch(&at, 1, "a", 1, 1);
    on_batch(&at, 2, "a", 2, 2);
    assert_string_equal(on_plain(&at, TMB_INTAKE_RESET), "DROP 2");
    assert_int_equal(at.intake.lanes_count, 0);
    assert_string_equal(on_stored(&at, 1), "");
    on_hello(&at, 1);
    assert_string_equal(on_marks(&at, 1, 0, 0), "WELCOME a:0 b:0; open");
}

static void expect_refused(scene *at, const tmb_frame *frame, uint64_t ticket)
{
    char drops[64] = "";
    if (ticket != 0)
        snprintf(drops, sizeof drops, "DROP %llu; ", (unsigned long long)ticket);
    strcat(drops, "malformed; BYE 3 to 1");
    scene_open(at, 10, 0);
    assert_string_equal(on_frame(at, frame, ticket), drops);
    assert_int_equal(at->intake.state, TMB_INTAKE_IDLE);
    assert_int_equal(at->intake.lanes[0].mark, 10);
}

static void what_no_child_may_say_ends_the_session(void **state)
{
    scene at;
    (void)state;
    tmb_frame frame = {.type = TMB_FRAME_WELCOME};
    expect_refused(&at, &frame, 0);
    frame.type = TMB_FRAME_ACK;
    expect_refused(&at, &frame, 0);
    frame = make_batch(1, "c", 11, 11);
    expect_refused(&at, &frame, 1);
    frame = make_batch(1, "a", 11, 11);
    frame.u.batch.incarnation = life(2);
    expect_refused(&at, &frame, 1);
    frame = make_batch(1, "a", 12, 11);
    expect_refused(&at, &frame, 1);
    frame = make_batch(1, "a", 0, 11);
    expect_refused(&at, &frame, 1);
    frame = make_batch(1, "a", 11, 11 + TMB_BATCH_RECORDS_MAX);
    expect_refused(&at, &frame, 1);
    frame = make_batch(1, "a", 11, 11);
    frame.u.batch.gap_first = 11;
    expect_refused(&at, &frame, 1);
    scene_open(&at, 0, 0);
    assert_string_equal(on_plain(&at, TMB_INTAKE_FRAME_BAD), "malformed; BYE 3 to 1");
    assert_string_equal(on_plain(&at, TMB_INTAKE_FRAME_BAD), "malformed");
}

/* About a child of the child's: answered by the shell, in a session of version 2 alone. */
static void an_ask_is_for_the_shell(void **state)
{
    (void)state;
    scene at;
    scene_open(&at, 0, 0);
    tmb_frame ask = {.type = TMB_FRAME_ASK};
    ask.u.ask.session = 1;
    ask.u.ask.id = 9;
    at.intake.version = 2;
    assert_string_equal(on_frame(&at, &ask, 0), "ASKED 9");
    ask.u.ask.session = 2;
    assert_string_equal(on_frame(&at, &ask, 0), "");
    ask.u.ask.session = 1;
    at.intake.version = 1;
    assert_string_equal(on_frame(&at, &ask, 0), "");
    at.intake.version = 2;
    on_plain(&at, TMB_INTAKE_RESET);
    assert_string_equal(on_frame(&at, &ask, 0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ask_is_for_the_shell),
        cmocka_unit_test(from_hello_to_ack),
        cmocka_unit_test(hello_is_refused_by_reason),
        cmocka_unit_test(credits_and_windows_are_for_version_2),
        cmocka_unit_test(what_has_no_room_comes_again),
        cmocka_unit_test(a_child_behind_the_mark_is_told_the_mark),
        cmocka_unit_test(late_marks_are_ignored),
        cmocka_unit_test(a_batch_without_session_is_unknown),
        cmocka_unit_test(a_hole_is_refused_once_until_the_child_goes_back),
        cmocka_unit_test(known_batches_are_acked_and_partly_known_ones_taken),
        cmocka_unit_test(a_declared_gap_closes_the_hole),
        cmocka_unit_test(a_full_queue_asks_to_wait),
        cmocka_unit_test(a_failed_store_goes_back_to_the_mark),
        cmocka_unit_test(a_batch_that_can_never_be_stored_ends_the_session),
        cmocka_unit_test(a_new_session_keeps_what_is_being_stored),
        cmocka_unit_test(another_journal_forgets_what_is_being_stored),
        cmocka_unit_test(streams_may_change_places),
        cmocka_unit_test(bye_ends_only_its_own_session),
        cmocka_unit_test(reset_forgets_all),
        cmocka_unit_test(what_no_child_may_say_ends_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
