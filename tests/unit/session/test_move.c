// SPDX-License-Identifier: Apache-2.0
/* Leaving a parent for another one, whatever is under way; and asking the parent about a child of ours. */
#include "tests/unit/session/transcript.h"

static void a_move_says_goodbye_and_dials_again(void **state)
{
    (void)state;
    scene at;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 10);
    assert_int_equal(at.s.lanes[0].inflight, 1);
    assert_string_equal(on_move(&at, 0), "SEND bye 1; HANGUP 1; state backoff");
    assert_int_equal(at.s.lanes[0].inflight, 0);
    assert_in_range(deadline_ms(&at), 0, 100); /* backoff_base: no window of that parent is known */
    at.now_ms += 100;
    assert_string_equal(on_timeout(&at), "DIAL 2; state dialing");
    on_link(&at, true, 2);
    on_welcome(&at, 4, 0); /* what the other one has, or knows that a common parent has */
    assert_int_equal(at.s.lanes[0].acked, 4);
    assert_int_equal(at.s.lanes[0].load_seq, 5);
}

static void a_move_while_dialing_or_waiting_takes_the_other_ones_window(void **state)
{
    (void)state;
    scene at;
    scene_init(&at);
    on_start(&at);
    assert_string_equal(on_move(&at, 60000), "HANGUP 1; state backoff");
    assert_in_range(deadline_ms(&at), 0, 54000);
    assert_string_equal(on_move(&at, 0), ""); /* and another one, before the first was dialled */
    assert_in_range(deadline_ms(&at), 0, 100);
    assert_int_equal(at.s.state, TMB_SESSION_BACKOFF);
}

static void a_slot_was_the_other_ones(void **state)
{
    (void)state;
    scene at;
    scene_stream(&at, 10);
    tmb_frame busy = {.type = TMB_FRAME_BYE};
    busy.u.bye.session = at.s.session;
    busy.u.bye.reason = TMB_BYE_BUSY;
    busy.u.bye.wait_ms = 500000;
    on_frame(&at, &busy);
    assert_in_range(deadline_ms(&at), 400000, 600000);
    on_move(&at, 0);
    assert_in_range(deadline_ms(&at), 0, 100);
}

static void asks_in_a_session_and_tells_the_answer(void **state)
{
    (void)state;
    scene at;
    scene_stream(&at, 0);
    at.s.version = 2;
    uint64_t sent = at.s.sent;
    assert_string_equal(on_ask(&at, 17), "SEND ask 17 of c1");
    assert_int_equal(at.s.sent, sent + 1); /* PROGRESS counts it with the others */
    assert_string_equal(on_told(&at, 17), "TOLD 17");
    tmb_frame old = {.type = TMB_FRAME_TOLD};
    old.u.told.session = at.s.session + 1;
    assert_string_equal(on_frame(&at, &old), "");
}

static void asks_nobody_of_version_1(void **state)
{
    (void)state;
    scene at;
    scene_stream(&at, 0);
    at.s.version = 1;
    assert_string_equal(on_ask(&at, 17), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_move_says_goodbye_and_dials_again),
        cmocka_unit_test(a_move_while_dialing_or_waiting_takes_the_other_ones_window),
        cmocka_unit_test(a_slot_was_the_other_ones),
        cmocka_unit_test(asks_in_a_session_and_tells_the_answer),
        cmocka_unit_test(asks_nobody_of_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
