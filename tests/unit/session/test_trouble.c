// SPDX-License-Identifier: Apache-2.0
/* The session when things go wrong: time-outs, cuts, resends, byes, a parent that breaks the protocol. */
#include "tests/unit/session/transcript.h"

/* Backoff is drawn: what counts is that it is bounded, and dials when it is over. */
static void expect_backoff_then_dial(scene *at, uint64_t epoch, int64_t wait_ms_max)
{
    char dials[64];
    int64_t wait = deadline_ms(at);
    assert_int_equal(at->s.state, TMB_SESSION_BACKOFF);
    assert_in_range(wait, 0, wait_ms_max);
    at->now_ms += wait_ms_max;
    snprintf(dials, sizeof dials, "DIAL %llu; state dialing", (unsigned long long)epoch);
    assert_string_equal(on_timeout(at), dials);
}

static void failed_dials_back_off_further_and_further(void **state)
{
    scene at;
    int64_t limit = 100;
    (void)state;
    scene_init(&at);
    on_start(&at);
    for (uint64_t epoch = 1; epoch < 10; epoch++) {
        if (epoch % 2 == 0) {
            assert_string_equal(on_link(&at, false, epoch), "state backoff");
        } else {
            at.now_ms += 1000;
            char hangs_up[64];
            snprintf(hangs_up, sizeof hangs_up, "HANGUP %llu; state backoff",
                     (unsigned long long)epoch);
            assert_string_equal(on_timeout(&at), hangs_up);
        }
        expect_backoff_then_dial(&at, epoch + 1, limit);
        limit = limit * 2 > 3200 ? 3200 : limit * 2;
    }
    on_link(&at, true, 10);
    on_welcome(&at, 0, 0);
    assert_string_equal(on_link(&at, false, 10), "state backoff");
    expect_backoff_then_dial(&at, 11, 100);
}

static void events_of_an_old_dial_are_ignored(void **state)
{
    scene at;
    (void)state;
    scene_init(&at);
    on_start(&at);
    on_link(&at, false, 1);
    expect_backoff_then_dial(&at, 2, 100);
    assert_string_equal(on_link(&at, true, 1), "");
    assert_string_equal(on_link(&at, false, 1), "");
    assert_int_equal(at.s.state, TMB_SESSION_DIALING);
}

static void a_hello_unanswered_twice_hangs_up(void **state)
{
    scene at;
    (void)state;
    scene_init(&at);
    on_start(&at);
    on_link(&at, true, 1);
    uint64_t first = at.s.session;
    at.now_ms = 999;
    assert_string_equal(on_timeout(&at), "");
    on_all_taken(&at);
    at.now_ms = 1000;
    assert_string_equal(on_timeout(&at), "timeout; SEND hello");
    assert_int_not_equal(at.s.session, first);
    on_all_taken(&at);
    at.now_ms = 2000;
    assert_string_equal(on_timeout(&at), "timeout; HANGUP 1; state backoff");
}

static void an_ack_that_is_late_makes_a_new_hello(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 5);
    at.now_ms = 1000;
    on_loaded(&at, 2, 6, 10);
    assert_int_equal(deadline_ms(&at), 1000);
    at.now_ms = 1900;
    assert_string_equal(on_ack(&at, 0, 5), "PERSIST a 5"); /* progress moves the deadline */
    assert_int_equal(deadline_ms(&at), 2000);
    on_all_taken(&at);
    at.now_ms = 3900;
    assert_string_equal(on_timeout(&at), "timeout; SEND hello a:1-10 b:1-0; state greeting");
    assert_string_equal(on_welcome(&at, 5, 0),
                        "state streaming; PERSIST a 5; PERSIST b 0; LOAD 3 a from 6");
    on_loaded(&at, 3, 6, 10);
    on_all_taken(&at);
    at.now_ms = 5900;
    assert_string_equal(on_timeout(&at), "timeout; SEND hello a:1-10 b:1-0; state greeting");
    on_all_taken(&at);
    at.now_ms = 6900;
    assert_string_equal(on_timeout(&at), "timeout; HANGUP 1; state backoff");
}

/* One lane that makes progress must not hide that another has none. */
static void each_lane_has_its_own_ack_deadline(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 1);
    on_loaded(&at, 1, 1, 1);
    at.now_ms = 1000;
    on_tail(&at, 1, 1, 2);
    on_loaded(&at, 2, 1, 1);
    at.now_ms = 1500;
    assert_string_equal(on_ack(&at, 1, 1), "PERSIST b 1");
    assert_int_equal(deadline_ms(&at), 500);
    on_all_taken(&at);
    at.now_ms = 2000;
    assert_string_equal(on_timeout(&at), "timeout; SEND hello a:1-1 b:1-2; state greeting");
}

/* Frames of this link: 1 HELLO, 2 and 3 batches of a. */
static void what_is_still_leaving_is_not_late(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 5);
    on_loaded(&at, 2, 6, 10);
    for (at.now_ms = 500; at.now_ms <= 60000; at.now_ms += 500) { /* thirty times ack_timeout */
        assert_string_equal(on_progress(&at, 1), "");
        assert_string_equal(on_timeout(&at), "");
        assert_int_equal(deadline_ms(&at), 2000);
    }
    on_progress(&at, 2); /* now it is the parent's turn, however long the second one takes */
    at.now_ms += 1500;
    on_progress(&at, 2);
    assert_int_equal(deadline_ms(&at), 0);
    assert_string_equal(on_ack(&at, 0, 5), "PERSIST a 5");
    assert_int_equal(deadline_ms(&at), 2000);
    at.now_ms += 1000;
    on_progress(&at, 2);
    assert_int_equal(deadline_ms(&at), 2000);
}

static void what_does_not_leave_hangs_up_at_once(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 10);
    at.now_ms = 1000;
    on_progress(&at, 1);
    at.now_ms = 2999;
    assert_string_equal(on_timeout(&at), "");
    at.now_ms = 3000;
    assert_string_equal(on_timeout(&at), "timeout; HANGUP 1; state backoff");
    assert_string_equal(on_progress(&at, 2), ""); /* too late */
    expect_backoff_then_dial(&at, 2, 100);
    assert_int_equal(at.s.sent + at.s.taken, 0);
}

/* A line that is busy with one stream must not hide that the other one's batch was lost behind it. */
static void a_busy_line_hides_no_lost_batch(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 1);
    on_loaded(&at, 1, 1, 1);
    on_tail(&at, 1, 1, 9);
    on_loaded(&at, 2, 1, 9);
    for (at.now_ms = 500; at.now_ms < 2000; at.now_ms += 500)
        on_progress(&at, 2);
    assert_int_equal(deadline_ms(&at), 0);
    assert_string_equal(on_timeout(&at), "timeout; SEND hello a:1-1 b:1-9; state greeting");
    on_progress(&at, 2); /* the HELLO stands behind what is still leaving, and that moves */
    assert_int_equal(deadline_ms(&at), 1000);
    at.now_ms += 900;
    on_progress(&at, 4);
    assert_int_equal(deadline_ms(&at), 100);
    assert_string_equal(on_welcome(&at, 1, 0),
                        "state streaming; PERSIST a 1; PERSIST b 0; LOAD 3 b from 1");
}

static void a_hello_that_does_not_leave_hangs_up(void **state)
{
    scene at;
    (void)state;
    scene_init(&at);
    on_start(&at);
    on_link(&at, true, 1);
    at.now_ms = 900;
    on_progress(&at, 0);
    at.now_ms = 1899;
    assert_string_equal(on_timeout(&at), "");
    at.now_ms = 1900;
    assert_string_equal(on_timeout(&at), "timeout; HANGUP 1; state backoff");
}

static void waiting_is_for_answers(void **state)
{
    scene at;
    (void)state;
    scene_init(&at);
    assert_false(tmb_session_is_waiting(&at.s));
    on_start(&at);
    assert_false(tmb_session_is_waiting(&at.s));
    scene_stream(&at, 5);
    assert_false(tmb_session_is_waiting(&at.s));
    on_loaded(&at, 1, 1, 5);
    assert_true(tmb_session_is_waiting(&at.s));
    on_ack(&at, 0, 5);
    assert_false(tmb_session_is_waiting(&at.s));
    on_bye(&at, TMB_BYE_UNKNOWN);
    assert_int_equal(at.s.state, TMB_SESSION_GREETING);
    assert_true(tmb_session_is_waiting(&at.s));
}

static void resend_goes_back_and_waits(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 5);
    assert_string_equal(on_resend(&at, 0, 2, 300), "resend a after 2; PERSIST a 2");
    assert_string_equal(on_loaded(&at, 2, 6, 10), "DROP_BATCH 2"); /* was under way */
    assert_int_equal(deadline_ms(&at), 300);
    at.now_ms = 299;
    assert_string_equal(on_timeout(&at), "");
    at.now_ms = 300;
    assert_string_equal(on_timeout(&at), "LOAD 3 a from 3");
    /* The first batch was stored after all: an ACK above what was sent since is good news. */
    assert_string_equal(on_ack(&at, 0, 5), "PERSIST a 5");
    assert_string_equal(on_loaded(&at, 3, 3, 5), "DROP_BATCH 3; LOAD 4 a from 6");
    assert_string_equal(on_loaded(&at, 4, 6, 10), "SEND_BATCH 4");
}

/* The parent says WELCOME while it is still storing a batch of the session before. */
static void an_ack_may_be_above_what_this_session_sent(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 5);
    on_bye(&at, TMB_BYE_UNKNOWN);
    assert_string_equal(on_loaded(&at, 2, 6, 10), "DROP_BATCH 2");
    assert_string_equal(on_welcome(&at, 0, 0),
                        "state streaming; PERSIST a 0; PERSIST b 0; LOAD 3 a from 1");
    assert_string_equal(on_ack(&at, 0, 5), "PERSIST a 5");
    assert_string_equal(on_loaded(&at, 3, 1, 5), "DROP_BATCH 3; LOAD 4 a from 6");
}

static void resends_without_progress_are_not_at_the_speed_of_the_link(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 10);
    assert_string_equal(on_resend(&at, 0, 0, 0), "resend a after 0; LOAD 2 a from 1");
    on_loaded(&at, 2, 1, 10);
    assert_string_equal(on_resend(&at, 0, 0, 0), "resend a after 0");
    assert_int_equal(deadline_ms(&at), 100);
    assert_string_equal(on_resend(&at, 0, 0, UINT32_MAX), "resend a after 0");
    assert_int_equal(deadline_ms(&at), 60000);
}

static void a_log_that_cannot_be_read_is_read_again_later(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    assert_string_equal(on_load_failed(&at, 1), "");
    assert_int_equal(deadline_ms(&at), 100);
    at.now_ms = 100;
    assert_string_equal(on_timeout(&at), "LOAD 2 a from 1");
    assert_string_equal(on_load_failed(&at, 1), "");
}

static void unknown_session_greets_again_once(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    assert_string_equal(on_bye(&at, TMB_BYE_UNKNOWN),
                        "bye 2; SEND hello a:1-10 b:1-0; state greeting");
    assert_string_equal(on_bye(&at, TMB_BYE_UNKNOWN), "bye 2; HANGUP 1; state backoff");
    scene_stream(&at, 10);
    on_bye(&at, TMB_BYE_UNKNOWN);
    on_welcome(&at, 0, 0);
    assert_string_equal(on_bye(&at, TMB_BYE_UNKNOWN),
                        "bye 2; SEND hello a:1-10 b:1-0; state greeting");
}

static void byes_by_reason(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 1);
    assert_string_equal(on_bye(&at, TMB_BYE_CLOSING), "bye 1; HANGUP 1; state backoff");
    scene_stream(&at, 1);
    assert_string_equal(on_bye(&at, TMB_BYE_MALFORMED), "bye 3; HANGUP 1; state backoff");
    scene_stream(&at, 1);
    assert_string_equal(on_bye(&at, TMB_BYE_LIMIT), "bye 6; HANGUP 1; state backoff");
    scene_stream(&at, 1);
    assert_string_equal(on_bye(&at, TMB_BYE_IDENTITY), "bye 4; HANGUP 1; state fenced");
    scene_stream(&at, 1);
    assert_string_equal(on_bye(&at, TMB_BYE_VERSION), "bye 5; HANGUP 1; state fenced");
    scene_stream(&at, 1);
    assert_string_equal(on_bye(&at, TMB_BYE_AHEAD), "bye 7; HANGUP 1; state fenced");
}

static void frames_of_another_session_are_ignored(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 10);
    tmb_frame ack = make_ack(&at, 0, 10), welcome = make_welcome(&at, 10, 0);
    tmb_frame bye = {.type = TMB_FRAME_BYE};
    bye.u.bye.session = at.s.session + 1;
    bye.u.bye.reason = TMB_BYE_AHEAD;
    ack.u.ack.session++;
    assert_string_equal(on_frame(&at, &ack), "");
    assert_string_equal(on_frame(&at, &bye), "");
    assert_string_equal(on_frame(&at, &welcome), ""); /* ours, and late */
    welcome.u.welcome.session++;
    assert_string_equal(on_frame(&at, &welcome), "");
    assert_int_equal(at.s.lanes[0].acked, 0);
}

/* A parent that has begun anew says it to all whom it knew: with state it may have something to tell. */
static void a_bye_to_whom_it_may_concern_makes_a_hello(void **state)
{
    scene at;
    (void)state;
    tmb_frame bye = {.type = TMB_FRAME_BYE};
    bye.u.bye.reason = TMB_BYE_UNKNOWN;
    scene_stream(&at, 10);
    at.s.version = TMB_PROTOCOL_VERSION_STATE - 1;
    assert_string_equal(on_frame(&at, &bye), "");
    at.s.version = TMB_PROTOCOL_VERSION_STATE;
    assert_non_null(strstr(on_frame(&at, &bye), "SEND hello"));
}

static void expect_refused(scene *at, const tmb_frame *frame)
{
    assert_string_equal(on_frame(at, frame), "malformed; HANGUP 1; state backoff");
}

static void what_no_parent_may_say_hangs_up(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    assert_string_equal(on_bad_frame(&at), "malformed; HANGUP 1; state backoff");
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 5);
    tmb_frame frame = make_ack(&at, 0, 11); /* more than there is */
    expect_refused(&at, &frame);
    scene_stream(&at, 10);
    frame = make_ack(&at, 0, 0);
    frame.u.ack.mark.incarnation = life(9);
    expect_refused(&at, &frame);
    scene_stream(&at, 10);
    frame = make_ack(&at, 0, 0);
    frame.u.ack.mark.stream = tmb_bytes_str("c");
    expect_refused(&at, &frame);
    scene_stream(&at, 10);
    frame.type = TMB_FRAME_HELLO;
    expect_refused(&at, &frame);
    scene_stream(&at, 10);
    frame.type = TMB_FRAME_BATCH;
    expect_refused(&at, &frame);
}

static void greet_only(scene *at)
{
    scene_init(at);
    on_tail(at, 0, 1, 10);
    on_tail(at, 1, 1, 0);
    on_start(at);
    on_link(at, true, 1);
}

static void a_welcome_must_answer_the_hello(void **state)
{
    scene at;
    (void)state;
    greet_only(&at);
    tmb_frame frame = make_welcome(&at, 0, 0);
    frame.u.welcome.version = TMB_PROTOCOL_VERSION + 1;
    expect_refused(&at, &frame);
    greet_only(&at);
    frame = make_welcome(&at, 0, 0);
    frame.u.welcome.marks_count = 1; /* one is missing */
    expect_refused(&at, &frame);
    greet_only(&at);
    frame = make_welcome(&at, 0, 0);
    frame.u.welcome.marks[1] = frame.u.welcome.marks[0]; /* one comes twice */
    expect_refused(&at, &frame);
    greet_only(&at);
    frame = make_welcome(&at, 0, 0);
    frame.u.welcome.marks[1].stream = tmb_bytes_str("c");
    expect_refused(&at, &frame);
    greet_only(&at);
    frame = make_welcome(&at, 0, 0);
    frame.u.welcome.marks[0].incarnation = life(9);
    expect_refused(&at, &frame);
    greet_only(&at);
    assert_string_equal(on_welcome(&at, 11, 0), "ahead a 11; SEND bye 7; HANGUP 1; state fenced");
}

static void a_parent_that_forgot_gets_everything_again(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 10);
    on_ack(&at, 0, 10);
    on_link(&at, false, 1);
    at.now_ms = 100;
    on_timeout(&at);
    on_link(&at, true, 2);
    assert_string_equal(on_welcome(&at, 3, 0),
                        "state streaming; PERSIST a 3; PERSIST b 0; LOAD 2 a from 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failed_dials_back_off_further_and_further),
        cmocka_unit_test(events_of_an_old_dial_are_ignored),
        cmocka_unit_test(a_hello_unanswered_twice_hangs_up),
        cmocka_unit_test(an_ack_that_is_late_makes_a_new_hello),
        cmocka_unit_test(each_lane_has_its_own_ack_deadline),
        cmocka_unit_test(what_is_still_leaving_is_not_late),
        cmocka_unit_test(what_does_not_leave_hangs_up_at_once),
        cmocka_unit_test(a_busy_line_hides_no_lost_batch),
        cmocka_unit_test(a_hello_that_does_not_leave_hangs_up),
        cmocka_unit_test(waiting_is_for_answers),
        cmocka_unit_test(resend_goes_back_and_waits),
        cmocka_unit_test(an_ack_may_be_above_what_this_session_sent),
        cmocka_unit_test(resends_without_progress_are_not_at_the_speed_of_the_link),
        cmocka_unit_test(a_log_that_cannot_be_read_is_read_again_later),
        cmocka_unit_test(unknown_session_greets_again_once),
        cmocka_unit_test(byes_by_reason),
        cmocka_unit_test(frames_of_another_session_are_ignored),
        cmocka_unit_test(a_bye_to_whom_it_may_concern_makes_a_hello),
        cmocka_unit_test(what_no_parent_may_say_hangs_up),
        cmocka_unit_test(a_welcome_must_answer_the_hello),
        cmocka_unit_test(a_parent_that_forgot_gets_everything_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
