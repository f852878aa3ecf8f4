// SPDX-License-Identifier: Apache-2.0
/* The child proves the parent's chain before anything leaves, and stops when the parent has another past. */
#include "tests/unit/session/transcript.h"

static const char *on_proved(scene *at, uint64_t ticket, tmb_proof proof)
{
    tmb_session_event event = {.type = TMB_SESSION_PROVED};
    event.u.proved.ticket = ticket;
    event.u.proved.proof = proof;
    return on_event(at, &event);
}

static const char *on_chained(scene *at, uint64_t mark_a, uint32_t version)
{
    tmb_frame frame = make_welcome(at, mark_a, 0);
    frame.u.welcome.version = version;
    for (unsigned i = 0; i < frame.u.welcome.marks_count; i++) {
        frame.u.welcome.marks[i].has_chain = true;
        frame.u.welcome.marks[i].chain[0] = 77;
    }
    return on_frame(at, &frame);
}

static void scene_greet(scene *at, uint64_t first_a)
{
    scene_init(at);
    on_tail(at, 0, first_a, 20);
    on_tail(at, 1, 1, 0);
    on_start(at);
    on_link(at, true, 1);
}

static void nothing_is_loaded_before_the_proof(void **state)
{
    scene at;
    (void)state;
    scene_greet(&at, 1);
    /* The mark of a waits for its proof; that of b, 0, has none. */
    assert_string_equal(on_chained(&at, 10, 2), "state streaming; PERSIST b 0; PROVE 1 a at 10 77");
    assert_int_equal(deadline_ms(&at), -1);
    assert_string_equal(on_timeout(&at), "");
    assert_string_equal(on_tail(&at, 1, 1, 5), "");
    on_proved(&at, 1, TMB_PROOF_SAME);
    assert_non_null(strstr(at.said, "PERSIST a 10"));
    assert_non_null(strstr(at.said, " a from 11"));
    assert_non_null(strstr(at.said, " b from 1"));
    assert_string_equal(on_proved(&at, 1, TMB_PROOF_FORKED), ""); /* late, twice */
}

static void what_is_not_known_goes_on(void **state)
{
    scene at;
    (void)state;
    scene_greet(&at, 1);
    on_chained(&at, 10, 2);
    on_proved(&at, 1, TMB_PROOF_UNKNOWN);
    assert_non_null(strstr(at.said, "LOAD 2 a from 11"));
}

static void a_fork_fences_and_says_so(void **state)
{
    scene at;
    (void)state;
    scene_greet(&at, 1);
    on_chained(&at, 10, 2);
    assert_string_equal(on_proved(&at, 1, TMB_PROOF_FORKED),
                        "forked a 10; SEND bye 10; HANGUP 1; state fenced");
    assert_int_equal(deadline_ms(&at), -1);
    assert_string_equal(on_tail(&at, 0, 1, 30), ""); /* for good, and the mark is told to nobody */
    assert_string_equal(on_timeout(&at), "");
}

static void a_new_session_forgets_the_proof_of_the_old(void **state)
{
    scene at;
    (void)state;
    scene_greet(&at, 1);
    on_chained(&at, 10, 2);
    assert_string_equal(on_bye(&at, TMB_BYE_UNKNOWN),
                        "bye 2; SEND hello a:1-20 b:1-0; state greeting");
    assert_string_equal(on_proved(&at, 1, TMB_PROOF_FORKED), "");
    assert_string_equal(on_chained(&at, 10, 2), "state streaming; PERSIST b 0; PROVE 2 a at 10 77");
    on_proved(&at, 2, TMB_PROOF_SAME);
    assert_non_null(strstr(at.said, "LOAD 3 a from 11"));
}

static void no_proof_of_what_cannot_be_read_or_was_not_told(void **state)
{
    scene at;
    (void)state;
    scene_greet(&at, 11); /* the record at the mark is dropped already */
    on_chained(&at, 10, 2);
    assert_non_null(strstr(at.said, "LOAD 1 a from 11"));
    scene_greet(&at, 1);
    on_chained(&at, 10, 1); /* an older parent */
    assert_non_null(strstr(at.said, "LOAD 1 a from 11"));
    scene_greet(&at, 1);
    on_welcome(&at, 10, 0);
    assert_non_null(strstr(at.said, "LOAD 1 a from 11"));
}

static void a_twin_is_fenced_and_says_so(void **state)
{
    scene at;
    (void)state;
    scene_greet(&at, 1);
    assert_string_equal(on_bye(&at, TMB_BYE_TWIN), "bye 9; SEND bye 9; HANGUP 1; state fenced");
}

/* It is by this that the parent knows a live box from a late frame. */
static void hello_says_which_bye_it_answers(void **state)
{
    scene at;
    (void)state;
    scene_greet(&at, 1);
    uint64_t old = at.s.session;
    assert_int_equal(at.s.out.u.hello.answers, 0);
    on_bye(&at, TMB_BYE_UNKNOWN);
    assert_int_equal(at.s.out.u.hello.answers, old);
    on_welcome(&at, 10, 0);
    on_bye(&at, TMB_BYE_CLOSING);
    at.now_ms += 5000;
    on_timeout(&at);
    on_link(&at, true, 2);
    assert_int_equal(at.s.out.type, TMB_FRAME_HELLO);
    assert_int_equal(at.s.out.u.hello.answers, 0);
}

static void a_ticket_that_never_was_is_refused(void **state)
{
    scene at;
    tmb_session_event event = {.type = TMB_SESSION_PROVED};
    (void)state;
    scene_greet(&at, 1);
    event.now = at.s.now;
    event.u.proved.ticket = 99;
    assert_int_equal(tmb_session_step(&at.s, &event, &at.actions), TMB_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_loaded_before_the_proof),
        cmocka_unit_test(what_is_not_known_goes_on),
        cmocka_unit_test(a_fork_fences_and_says_so),
        cmocka_unit_test(a_new_session_forgets_the_proof_of_the_old),
        cmocka_unit_test(no_proof_of_what_cannot_be_read_or_was_not_told),
        cmocka_unit_test(a_twin_is_fenced_and_says_so),
        cmocka_unit_test(hello_says_which_bye_it_answers),
        cmocka_unit_test(a_ticket_that_never_was_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
