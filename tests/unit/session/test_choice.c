// SPDX-License-Identifier: Apache-2.0
/* Which parent to dial: when one moves, when one comes back, that all get their turn when all are gone, and
 * that no history of failures, sessions and probes makes a node flap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "syncd/session/choice.h"

#define MOVE_S   60
#define RETURN_S 600

static tmb_mono at_s(int64_t s)
{
    tmb_mono t = {s * 1000000000};
    return t;
}

static tmb_choice make(unsigned parents, uint64_t seed)
{
    tmb_choice_options options = {.parents = parents,
                                  .move_after = tmb_dur_ms(MOVE_S * 1000),
                                  .return_after = tmb_dur_ms(RETURN_S * 1000),
                                  .sick_rtt = tmb_dur_ms(5000),
                                  .seed = seed};
    tmb_choice c;
    tmb_choice_init(&c, &options, at_s(0));
    return c;
}

/* wait_move gives the second, from s on and before end_s, in which it moves; end_s: it does not. */
static int64_t wait_move(tmb_choice *c, int64_t s, int64_t end_s, tmb_choice_why *ret_why)
{
    while (s < end_s && !tmb_choice_decide(c, at_s(s), ret_why))
        s++;
    return s;
}

static void one_parent_is_never_left(void **state)
{
    (void)state;
    tmb_choice c = make(1, 1);
    tmb_choice_why why;
    tmb_choice_failed(&c, false, at_s(1));
    assert_int_equal(wait_move(&c, 1, 5000, &why), 5000);
    assert_int_equal(tmb_choice_probe(&c, at_s(5000)), TMB_CHOICE_NONE);
}

static void a_gone_parent_is_left_after_move_after(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 50; seed++) {
        tmb_choice c = make(2, seed);
        tmb_choice_why why;
        tmb_choice_up(&c, 0, at_s(1));
        tmb_choice_lost(&c, at_s(100));
        assert_int_equal(wait_move(&c, 100, 400, &why), 400); /* it has not been tried yet */
        tmb_choice_failed(&c, false, at_s(120));
        c.since = at_s(400);
        int64_t s = wait_move(&c, 400, 1000, &why);
        assert_in_range(s, 400 + MOVE_S, 400 + MOVE_S * 3 / 2 + 1);
        assert_int_equal(why, TMB_CHOICE_GONE);
        assert_int_equal(c.current, 1);
    }
}

static void a_short_loss_moves_nobody(void **state)
{
    (void)state;
    tmb_choice c = make(2, 3);
    tmb_choice_why why;
    for (int64_t s = 0; s < 3600; s += 100) {
        tmb_choice_up(&c, 10, at_s(s));
        tmb_choice_lost(&c, at_s(s + 50));
        tmb_choice_failed(&c, false, at_s(s + 55));
        assert_int_equal(wait_move(&c, s + 50, s + 100, &why), s + 100);
    }
}

static void refusals_are_told_as_such(void **state)
{
    (void)state;
    tmb_choice c = make(3, 4);
    tmb_choice_why why;
    tmb_choice_failed(&c, true, at_s(10));
    assert_in_range(wait_move(&c, 10, 500, &why), MOVE_S, MOVE_S * 3 / 2 + 1);
    assert_int_equal(why, TMB_CHOICE_REFUSED);
}

static void a_sick_parent_is_left_once_in_return_after(void **state)
{
    (void)state;
    tmb_choice c = make(2, 5);
    tmb_choice_why why;
    tmb_choice_up(&c, 0, at_s(0));
    tmb_choice_felt(&c, tmb_dur_ms(6000), at_s(700));
    tmb_choice_felt(&c, tmb_dur_ms(4000), at_s(710)); /* not well yet */
    assert_in_range(wait_move(&c, 700, 2000, &why), 700 + MOVE_S, 701 + MOVE_S * 3 / 2);
    assert_int_equal(why, TMB_CHOICE_SICK);
    int64_t moved = c.moved_at.ns / 1000000000;
    tmb_choice_up(&c, 0, at_s(moved + 1)); /* the line is slow: so is the other one */
    tmb_choice_felt(&c, tmb_dur_ms(6000), at_s(moved + 2));
    assert_in_range(wait_move(&c, moved + 2, 5000, &why), moved + RETURN_S, moved + RETURN_S + 1);
}

static void one_that_is_well_again_stays(void **state)
{
    (void)state;
    tmb_choice c = make(2, 6);
    tmb_choice_why why;
    tmb_choice_up(&c, TMB_CHOICE_LOAD_SICK, at_s(1000));
    tmb_choice_felt(&c, tmb_dur_ms(100), at_s(1010));
    assert_int_equal(wait_move(&c, 1010, 5000, &why), 5000);
    tmb_choice_up(&c, TMB_CHOICE_LOAD_SICK, at_s(5000));
    assert_in_range(wait_move(&c, 5000, 6000, &why), 5000 + MOVE_S, 5001 + MOVE_S * 3 / 2);
}

/* answer_probes: from s on until it moves or end_s; gives when. */
static int64_t answer_probes(tmb_choice *c, int64_t s, int64_t end_s, unsigned good,
                             unsigned *ret_probes)
{
    tmb_choice_why why;
    unsigned probes = 0;
    while (s < end_s && !tmb_choice_decide(c, at_s(s), &why)) {
        unsigned probe = tmb_choice_probe(c, at_s(s));
        if (probe != TMB_CHOICE_NONE) {
            tmb_choice_probed(c, probe, (good >> probe & 1) != 0, at_s(s));
            probes++;
        }
        s++;
    }
    *ret_probes = probes;
    return s;
}

/* leave_first: parent 0 is gone at s; gives when the second one's session opened. */
static int64_t leave_first(tmb_choice *c, int64_t s)
{
    tmb_choice_why why;
    tmb_choice_lost(c, at_s(s));
    tmb_choice_failed(c, false, at_s(s + 1));
    s = wait_move(c, s, s + 1000, &why);
    assert_int_equal(c->current, 1);
    tmb_choice_up(c, 0, at_s(s + 1));
    return s + 1;
}

static void comes_back_when_the_preferred_one_has_answered_for_long_enough(void **state)
{
    (void)state;
    tmb_choice c = make(3, 8);
    unsigned probes = 0;
    tmb_choice_up(&c, 0, at_s(0));
    int64_t s = leave_first(&c, 100);
    s = answer_probes(&c, s, s + 2000, 0, &probes);
    assert_int_equal(c.current, 1); /* it answers no probe */
    assert_in_range(probes, 2000 / (RETURN_S / 4), 2000 / (RETURN_S / 20));
    int64_t back = answer_probes(&c, s, s + 5000, 1, &probes);
    assert_int_equal(c.current, 0);
    assert_in_range(back - s, RETURN_S, RETURN_S * 3 / 2 + RETURN_S / 5 + 2);
    assert_int_equal(c.moves[TMB_CHOICE_RETURN], 1);
}

static void a_return_that_does_not_hold_makes_the_next_one_wait_longer(void **state)
{
    (void)state;
    tmb_choice c = make(2, 9);
    unsigned probes = 0;
    int64_t s = 10;
    tmb_choice_up(&c, 0, at_s(0));
    for (unsigned i = 0; i < 6; i++) {
        int64_t from = leave_first(&c, s);
        s = answer_probes(&c, from, from + 20000, 1, &probes);
        assert_int_equal(c.current, 0);
        unsigned doublings = i < TMB_CHOICE_PENALTY_MAX ? i : TMB_CHOICE_PENALTY_MAX;
        assert_true(s - from >= (int64_t)RETURN_S << doublings);
        tmb_choice_up(&c, 0, at_s(s));
        s += 5;
    }
    tmb_choice_up(&c, 0, at_s(s));
    s += TMB_CHOICE_SETTLED * RETURN_S; /* this one held */
    int64_t from = leave_first(&c, s);
    assert_in_range(answer_probes(&c, from, from + 20000, 1, &probes) - from, RETURN_S,
                    RETURN_S * 2);
}

/* The broker of parent 0 answers probes, and no tombolo-syncd is behind it. */
static void all_have_their_turn_when_all_are_gone(void **state)
{
    (void)state;
    for (unsigned parents = 2; parents <= TMB_CHOICE_PARENTS_MAX; parents++) {
        tmb_choice c = make(parents, 10 + parents);
        unsigned turns[TMB_CHOICE_PARENTS_MAX] = {0};
        tmb_choice_why why;
        for (int64_t s = 0; s < 100 * MOVE_S; s++) {
            unsigned probe = tmb_choice_probe(&c, at_s(s));
            if (probe != TMB_CHOICE_NONE)
                tmb_choice_probed(&c, probe, probe == 0, at_s(s));
            if (s % 7 == 0)
                tmb_choice_failed(&c, false, at_s(s));
            if (tmb_choice_decide(&c, at_s(s), &why))
                turns[c.current]++;
        }
        for (unsigned i = 0; i < parents; i++)
            assert_in_range(turns[i], turns[0] > 1 ? turns[0] - 1 : 0, turns[0] + 1);
        assert_true(turns[0] >= 100 / (parents * 2));
    }
}

/* Any history: moves are never nearer than move_after, and returns grow rarer when they do not hold. */
static void no_history_makes_it_flap(void **state)
{
    (void)state;
    const char *given = getenv("TMB_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
    printf("seed %llu\n", (unsigned long long)seed);
    for (unsigned round = 0; round < 200; round++) {
        tmb_rng rng = {seed + round};
        tmb_choice c = make(2 + round % 4, seed + round);
        int64_t moved = 0, hours = 6;
        uint64_t moves = 0;
        for (int64_t s = 0; s < hours * 3600; s++) {
            tmb_choice_why why;
            unsigned probe = tmb_choice_probe(&c, at_s(s));
            if (probe != TMB_CHOICE_NONE)
                tmb_choice_probed(&c, probe, tmb_rng_below(&rng, 20) != 0, at_s(s));
            switch (tmb_rng_below(&rng, round % 2 == 0 ? 6 : 200)) {
            case 0:
                tmb_choice_failed(&c, tmb_rng_below(&rng, 2) == 0, at_s(s));
                break;
            case 1:
                tmb_choice_lost(&c, at_s(s));
                break;
            case 2:
                tmb_choice_up(&c, (uint32_t)tmb_rng_below(&rng, 101), at_s(s));
                break;
            case 3:
                tmb_choice_felt(&c, tmb_dur_ms((int64_t)tmb_rng_below(&rng, 9000)), at_s(s));
                break;
            default:
                break;
            }
            if (!tmb_choice_decide(&c, at_s(s), &why))
                continue;
            if (moves > 0 && s - moved < MOVE_S)
                fail_msg("seed %llu: moved at %lld s and at %lld s",
                         (unsigned long long)(seed + round), (long long)moved, (long long)s);
            moved = s;
            moves++;
            assert_true(c.current < c.options.parents);
        }
        assert_true(moves <= (uint64_t)(hours * 3600 / MOVE_S));
        assert_true(c.moves[TMB_CHOICE_RETURN] <= (uint64_t)(hours * 3600 / RETURN_S));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_parent_is_never_left),
        cmocka_unit_test(a_gone_parent_is_left_after_move_after),
        cmocka_unit_test(a_short_loss_moves_nobody),
        cmocka_unit_test(refusals_are_told_as_such),
        cmocka_unit_test(a_sick_parent_is_left_once_in_return_after),
        cmocka_unit_test(one_that_is_well_again_stays),
        cmocka_unit_test(comes_back_when_the_preferred_one_has_answered_for_long_enough),
        cmocka_unit_test(a_return_that_does_not_hold_makes_the_next_one_wait_longer),
        cmocka_unit_test(all_have_their_turn_when_all_are_gone),
        cmocka_unit_test(no_history_makes_it_flap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
