// SPDX-License-Identifier: Apache-2.0
/* Two boxes under one name, told from reconnects, restarts and late frames; chains at the parent; what a
 * fenced child says. */
#include "tests/unit/hub/transcript.h"

/* A HELLO of a box; answers: the session whose BYE(unknown) it answers. */
static const char *on_box(scene *at, uint64_t session, uint64_t box, uint64_t answers)
{
    tmb_frame frame = make_hello(session);
    frame.u.hello.box = box;
    frame.u.hello.answers = answers;
    return on_frame(at, &frame, 0);
}

static const char *on_bye_of(scene *at, uint64_t session, tmb_bye_reason reason)
{
    tmb_frame frame = {.type = TMB_FRAME_BYE};
    frame.u.bye.session = session;
    frame.u.bye.reason = reason;
    return on_frame(at, &frame, 0);
}

/* OPEN as session 1 of box 7. */
static void scene_of_box_7(scene *at)
{
    scene_init(at);
    assert_string_equal(on_box(at, 1, 7, 0), "LOAD_MARKS");
    assert_string_equal(on_marks(at, 1, 0, 0), "WELCOME a:0 b:0; open");
}

static void the_first_goes_on_and_the_second_is_fenced(void **state)
{
    scene at;
    (void)state;
    scene_of_box_7(&at);
    assert_string_equal(on_box(&at, 2, 8, 0), "BYE 2 to 1; probe 1500");
    assert_int_equal(at.intake.session, 1); /* what it sends meanwhile is taken */
    assert_string_equal(on_batch(&at, 1, "a", 1, 3), "PERSIST 1");
    assert_string_equal(on_box(&at, 3, 8, 0), ""); /* the second tries again */
    assert_string_equal(on_box(&at, 4, 7, 1), "BYE 9 to 3; twin 8; LOAD_MARKS");
    assert_string_equal(on_marks(&at, 4, 0, 0), "WELCOME a:0 b:0; open");
    assert_string_equal(on_bye_of(&at, 3, TMB_BYE_TWIN), "fenced 9");
    assert_int_equal(at.intake.state, TMB_INTAKE_OPEN);
    at.now_ms += 3600000;
    assert_string_equal(on_box(&at, 5, 8, 0), "refused 9; BYE 9 to 5"); /* it stays so */
    assert_string_equal(on_plain(&at, TMB_INTAKE_TIMEOUT), "");
    assert_int_equal(at.intake.session, 4);
}

static void a_restart_is_taken_when_the_box_before_is_silent(void **state)
{
    scene at;
    (void)state;
    scene_of_box_7(&at);
    assert_string_equal(on_box(&at, 2, 8, 0), "BYE 2 to 1; probe 1500");
    at.now_ms += 1499;
    assert_string_equal(on_plain(&at, TMB_INTAKE_TIMEOUT), "");
    at.now_ms += 1;
    assert_string_equal(on_plain(&at, TMB_INTAKE_TIMEOUT), "BYE 2 to 2");
    assert_string_equal(on_plain(&at, TMB_INTAKE_TIMEOUT), "");
    assert_string_equal(on_box(&at, 3, 8, 2), "LOAD_MARKS");
    assert_string_equal(on_marks(&at, 3, 0, 0), "WELCOME a:0 b:0; open");
}

static void a_restart_after_a_good_end_does_not_wait(void **state)
{
    scene at;
    (void)state;
    scene_of_box_7(&at);
    on_bye(&at, 1);
    assert_string_equal(on_box(&at, 2, 8, 0), "LOAD_MARKS");
}

static void reconnects_of_one_box_are_no_twin(void **state)
{
    scene at;
    (void)state;
    scene_of_box_7(&at);
    for (uint64_t session = 2; session < 40; session++) {
        assert_string_equal(on_box(&at, session, 7, session % 3 == 0 ? session - 1 : 0),
                            "LOAD_MARKS");
        if (session % 2 == 0)
            assert_string_equal(on_marks(&at, session, 0, 0), "WELCOME a:0 b:0; open");
    }
}

/* A HELLO of the dead process comes late: the live one answers the probe, and goes on. */
static void a_late_frame_of_a_dead_box_fences_nobody_alive(void **state)
{
    scene at;
    (void)state;
    scene_of_box_7(&at);
    assert_string_equal(on_box(&at, 2, 6, 0), "BYE 2 to 1; probe 1500");
    assert_string_equal(on_box(&at, 3, 7, 1), "BYE 9 to 2; twin 6; LOAD_MARKS");
    assert_string_equal(on_marks(&at, 3, 0, 0), "WELCOME a:0 b:0; open");
}

/* A frame of the box before it, on its way since before the probe, is no answer. */
static void a_plain_hello_proves_nothing(void **state)
{
    scene at;
    (void)state;
    scene_of_box_7(&at);
    on_box(&at, 2, 8, 0);
    assert_string_equal(on_box(&at, 3, 7, 0), "LOAD_MARKS"); /* late, or a reconnect */
    assert_string_equal(on_marks(&at, 3, 0, 0), "WELCOME a:0 b:0; open");
    assert_string_equal(on_box(&at, 4, 8, 0), "BYE 2 to 3; probe 1500");
    at.now_ms += 1500;
    assert_string_equal(on_box(&at, 5, 8, 0), "LOAD_MARKS");
}

static void a_late_answer_still_proves_it(void **state)
{
    scene at;
    (void)state;
    scene_of_box_7(&at);
    on_box(&at, 2, 8, 0);
    at.now_ms += 1500;
    on_plain(&at, TMB_INTAKE_TIMEOUT);
    on_box(&at, 3, 8, 2);
    assert_string_equal(on_marks(&at, 3, 0, 0), "WELCOME a:0 b:0; open");
    at.now_ms += 20000; /* its line was slow */
    assert_string_equal(on_box(&at, 4, 7, 1), "BYE 9 to 3; twin 8; LOAD_MARKS");
    assert_string_equal(on_box(&at, 5, 8, 0), "refused 9; BYE 9 to 5");
}

static void a_short_life_between_does_not_keep_the_next_out(void **state)
{
    scene at;
    (void)state;
    scene_of_box_7(&at);
    on_box(&at, 2, 8, 0);
    assert_string_equal(on_box(&at, 3, 9, 0), "");
    at.now_ms += 1500;
    assert_string_equal(on_plain(&at, TMB_INTAKE_TIMEOUT), "BYE 2 to 3");
    assert_string_equal(on_box(&at, 4, 9, 3), "LOAD_MARKS");
}

static void who_does_not_say_its_box_is_not_looked_at(void **state)
{
    scene at;
    (void)state;
    scene_open(&at, 0, 0); /* as an older child */
    assert_string_equal(on_hello(&at, 2), "LOAD_MARKS");
    assert_string_equal(on_box(&at, 3, 8, 0), "LOAD_MARKS"); /* upgraded */
    assert_string_equal(on_hello(&at, 4), "LOAD_MARKS");     /* and back */
}

static void more_than_the_table_holds_are_found_anew(void **state)
{
    scene at;
    uint64_t session = 1;
    (void)state;
    scene_of_box_7(&at);
    for (uint64_t box = 100; box < 100 + TMB_TWINS_FENCED_MAX + 1; box++) {
        on_box(&at, session + 1, box, 0);
        on_box(&at, session + 2, 7, session);
        session += 2;
    }
    assert_string_equal(on_box(&at, 900, 101, 0), "refused 9; BYE 9 to 900");
    on_box(&at, 901, 100, 0); /* forgotten */
    assert_string_equal(at.said, "BYE 2 to 11; probe 1500");
    assert_int_equal(session, 11);
}

static void a_fenced_child_ends_its_session_and_is_reported(void **state)
{
    scene at;
    (void)state;
    scene_of_box_7(&at);
    assert_string_equal(on_bye_of(&at, 1, TMB_BYE_FORKED), "fenced 10");
    assert_int_equal(at.intake.state, TMB_INTAKE_IDLE);
    assert_string_equal(on_bye_of(&at, 1, TMB_BYE_AHEAD), "fenced 7");
    assert_string_equal(on_bye_of(&at, 1, TMB_BYE_CLOSING), "");
}

static void chain_to(tmb_chain *chain, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++)
        tmb_chain_add(chain, seq, tmb_bytes_str("record"));
}

static const tmb_mark *mark_of(const scene *at)
{
    const tmb_frame *frame = at->actions.v[0].frame;
    assert_int_equal(frame->type, TMB_FRAME_WELCOME);
    return &frame->u.welcome.marks[0];
}

static void on_marks_with(scene *at, uint64_t session, uint64_t mark, const tmb_chain *chain)
{
    uint64_t seqs[] = {mark, 0};
    tmb_chain chains[2] = {*chain, {.seq = 0}};
    tmb_intake_event event = {.type = TMB_INTAKE_MARKS};
    event.u.marks.session = session;
    event.u.marks.seqs = seqs;
    event.u.marks.chains = chains;
    on_event(at, &event);
}

static void welcome_tells_the_chain_of_the_mark(void **state)
{
    scene at;
    tmb_chain chain = {.seq = 0};
    (void)state;
    chain_to(&chain, 1, 10);
    scene_init(&at);
    on_hello(&at, 1);
    on_marks_with(&at, 1, 10, &chain);
    assert_true(mark_of(&at)->has_chain);
    assert_memory_equal(mark_of(&at)->chain, chain.value, sizeof chain.value);
    /* It goes on with what is stored. */
    on_batch(&at, 1, "a", 11, 12);
    chain_to(&chain, 11, 12);
    tmb_intake_event event = {.type = TMB_INTAKE_STORED, .ticket = 1};
    event.u.chain = &chain;
    assert_string_equal(on_event(&at, &event), "ACK a 12");
    on_hello(&at, 2);
    tmb_chain older = {.seq = 0};
    chain_to(&older, 1, 10);
    on_marks_with(&at, 2, 10, &older); /* the store is behind */
    assert_int_equal(mark_of(&at)->seq, 12);
    assert_memory_equal(mark_of(&at)->chain, chain.value, sizeof chain.value);
    /* Stored, and nobody knows the chain. */
    on_batch(&at, 2, "a", 13, 13);
    on_stored(&at, 2);
    on_hello(&at, 3);
    on_marks_with(&at, 3, 13, &chain); /* of another number */
    assert_int_equal(mark_of(&at)->seq, 13);
    assert_false(mark_of(&at)->has_chain);
}

static void an_older_child_is_told_no_chain(void **state)
{
    scene at;
    tmb_chain chain = {.seq = 0};
    tmb_frame hello = make_hello(1);
    (void)state;
    chain_to(&chain, 1, 10);
    scene_init(&at);
    hello.u.hello.version_max = 1;
    on_frame(&at, &hello, 0);
    on_marks_with(&at, 1, 10, &chain);
    assert_false(mark_of(&at)->has_chain);
}

static void another_box_waits_for_what_is_being_stored(void **state)
{
    scene at;
    (void)state;
    scene_of_box_7(&at);
    on_batch(&at, 1, "a", 1, 5);
    on_batch(&at, 2, "b", 1, 5);
    on_bye(&at, 1);
    assert_string_equal(on_box(&at, 2, 8, 0), "");
    assert_string_equal(on_box(&at, 3, 8, 0), ""); /* asks again */
    assert_string_equal(on_stored(&at, 1), "");
    assert_string_equal(on_store_failed(&at, 2, false), "LOAD_MARKS");
    assert_string_equal(on_marks(&at, 3, 0, 0), "WELCOME a:5 b:0; open");
    /* One's own does not hold: there is nothing to prove. */
    on_batch(&at, 3, "a", 6, 9);
    assert_string_equal(on_box(&at, 4, 8, 0), "LOAD_MARKS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_goes_on_and_the_second_is_fenced),
        cmocka_unit_test(a_restart_is_taken_when_the_box_before_is_silent),
        cmocka_unit_test(a_restart_after_a_good_end_does_not_wait),
        cmocka_unit_test(reconnects_of_one_box_are_no_twin),
        cmocka_unit_test(a_late_frame_of_a_dead_box_fences_nobody_alive),
        cmocka_unit_test(a_plain_hello_proves_nothing),
        cmocka_unit_test(a_late_answer_still_proves_it),
        cmocka_unit_test(a_short_life_between_does_not_keep_the_next_out),
        cmocka_unit_test(who_does_not_say_its_box_is_not_looked_at),
        cmocka_unit_test(more_than_the_table_holds_are_found_anew),
        cmocka_unit_test(another_box_waits_for_what_is_being_stored),
        cmocka_unit_test(a_fenced_child_ends_its_session_and_is_reported),
        cmocka_unit_test(welcome_tells_the_chain_of_the_mark),
        cmocka_unit_test(an_older_child_is_told_no_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
