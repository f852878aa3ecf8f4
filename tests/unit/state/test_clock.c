// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/test_clock.c - 1970, a year ahead, put right, crashed: stamps rise, and it is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "syncd/state/clock.h"

#define BUILT  INT64_C(1790000000000)
#define TODAY  (BUILT + 30 * DAY)
#define DAY    INT64_C(86400000)
#define YEAR   (365 * DAY)
#define MINUTE INT64_C(60000)

static tmb_wall at(int64_t ms)
{
    return (tmb_wall){ms};
}

static tmb_hlc of_ms(int64_t ms)
{
    return (tmb_hlc){(uint64_t)ms << 16};
}

static tmb_clock begun(tmb_hlc floor)
{
    tmb_clock clock;
    tmb_clock_begin(&clock, floor, at(BUILT));
    return clock;
}

static int64_t stamp_ms(tmb_clock *clock, int64_t now)
{
    return tmb_hlc_wall(tmb_clock_stamp(clock, (tmb_hlc){0}, at(now))).ms;
}

static void stamps_follow_the_wall_clock_and_the_record(void **state)
{
    (void)state;
    tmb_clock clock = begun((tmb_hlc){0});
    assert_int_equal(stamp_ms(&clock, TODAY), TODAY);
    assert_int_equal(tmb_clock_state_of(&clock, at(TODAY)), TMB_CLOCK_OK);
    /* An operation that waited for an hour has the time at which it was asked for, behind the last stamp. */
    clock = begun((tmb_hlc){0});
    tmb_hlc stamp = tmb_clock_stamp(&clock, of_ms(TODAY - 60 * MINUTE), at(TODAY));
    assert_int_equal(tmb_hlc_wall(stamp).ms, TODAY - 60 * MINUTE);
    tmb_hlc earlier = tmb_clock_stamp(&clock, of_ms(TODAY - 61 * MINUTE), at(TODAY));
    assert_int_equal(earlier.u64, stamp.u64 + 1);
    /* What the record says of the future, or of 1970, is not believed. */
    stamp = tmb_clock_stamp(&clock, of_ms(TODAY + YEAR), at(TODAY));
    assert_int_equal(tmb_hlc_wall(stamp).ms, TODAY);
    stamp = tmb_clock_stamp(&clock, of_ms(5000), at(TODAY + 1));
    assert_int_equal(tmb_hlc_wall(stamp).ms, TODAY + 1);
}

static void boots_in_1970(void **state)
{
    (void)state;
    tmb_clock clock = begun(of_ms(TODAY));
    assert_int_equal(tmb_clock_state_of(&clock, at(9000)), TMB_CLOCK_UNSYNCED);
    assert_true(tmb_clock_stamp(&clock, (tmb_hlc){0}, at(9000)).u64 > of_ms(TODAY).u64);
    clock = begun((tmb_hlc){0});
    assert_int_equal(stamp_ms(&clock, -5), BUILT);
    /* It does not know who is ahead: it neither follows nor accuses. */
    tmb_hlc before = clock.last;
    assert_true(tmb_clock_fold(&clock, of_ms(TODAY), at(9500)));
    assert_true(clock.last.u64 == before.u64);
    assert_true(tmb_clock_learn(&clock, at(TODAY), at(9000), at(11000)));
    assert_int_equal(tmb_clock_state_of(&clock, at(10000)), TMB_CLOCK_OK);
    assert_int_equal(stamp_ms(&clock, 10000), TODAY);
    assert_int_equal(stamp_ms(&clock, 10000 + MINUTE), TODAY + MINUTE);
    assert_false(tmb_clock_learn(&clock, at(TODAY + 2000), at(10000), at(11000)));
    assert_false(tmb_clock_fold(&clock, of_ms(TODAY + YEAR), at(12000)));
    /* The box was told the time: the offset goes. */
    assert_true(tmb_clock_learn(&clock, at(TODAY + MINUTE), at(TODAY), at(TODAY + 2 * MINUTE)));
    assert_int_equal(clock.offset_ms, 0);
    assert_int_equal(tmb_clock_state_of(&clock, at(TODAY + 2 * MINUTE)), TMB_CLOCK_OK);
}

static void parent_that_does_not_know_either_teaches_nothing(void **state)
{
    (void)state;
    tmb_clock clock = begun((tmb_hlc){0});
    assert_false(tmb_clock_learn(&clock, at(77000), at(9000), at(9000)));
    assert_false(clock.is_taught);
    assert_int_equal(tmb_clock_state_of(&clock, at(9000)), TMB_CLOCK_UNSYNCED);
}

static void a_year_ahead_is_not_followed(void **state)
{
    (void)state;
    tmb_clock clock = begun((tmb_hlc){0});
    assert_false(tmb_clock_fold(&clock, of_ms(TODAY + YEAR), at(TODAY)));
    assert_int_equal(stamp_ms(&clock, TODAY), TODAY);
    assert_true(tmb_clock_fold(&clock, of_ms(TODAY + TMB_HLC_DRIFT_MS_MAX), at(TODAY)));
    assert_int_equal(stamp_ms(&clock, TODAY), TODAY + TMB_HLC_DRIFT_MS_MAX);
    assert_false(tmb_clock_fold(&clock, of_ms(TODAY + TMB_HLC_DRIFT_MS_MAX + 1), at(TODAY)));
    assert_true(tmb_clock_fold(&clock, of_ms(TODAY - YEAR), at(TODAY)));
    assert_int_equal(tmb_clock_state_of(&clock, at(TODAY)), TMB_CLOCK_OK);
}

static void itself_a_year_ahead_is_shown_and_ends_with_a_new_incarnation(void **state)
{
    (void)state;
    tmb_clock clock = begun((tmb_hlc){0});
    tmb_hlc ahead = tmb_clock_stamp(&clock, (tmb_hlc){0}, at(TODAY + YEAR));
    assert_int_equal(tmb_clock_state_of(&clock, at(TODAY + YEAR)), TMB_CLOCK_OK);
    assert_true(tmb_clock_learn(&clock, at(TODAY), at(TODAY + YEAR), at(TODAY + YEAR)));
    assert_int_equal(clock.parent_ms, -YEAR);
    assert_int_equal(tmb_clock_state_of(&clock, at(TODAY + YEAR)), TMB_CLOCK_SELF_SKEWED);
    tmb_hlc next = tmb_clock_stamp(&clock, (tmb_hlc){0}, at(TODAY + YEAR + 5000));
    assert_int_equal(next.u64, ahead.u64 + 1); /* rises, and goes no further ahead */
    /* Put right by hand: the same is seen without a parent. */
    assert_true(tmb_clock_learn(&clock, at(TODAY), at(TODAY), at(TODAY)));
    assert_int_equal(tmb_clock_state_of(&clock, at(TODAY)), TMB_CLOCK_SELF_SKEWED);
    assert_true(tmb_clock_lower(&clock, at(TODAY)));
    assert_int_equal(clock.floor.u64, clock.last.u64); /* what is stored is lowered, too */
    assert_int_equal(tmb_clock_state_of(&clock, at(TODAY)), TMB_CLOCK_OK);
    assert_int_equal(stamp_ms(&clock, TODAY + 1), TODAY + 1);
    assert_false(tmb_clock_lower(&clock, at(TODAY)));
}

static void parent_ahead_of_a_clock_that_can_be_is_not_believed(void **state)
{
    (void)state;
    tmb_clock clock = begun((tmb_hlc){0});
    assert_false(tmb_clock_learn(&clock, at(TODAY + YEAR), at(TODAY), at(TODAY)));
    assert_int_equal(clock.parent_ms, YEAR);
    assert_int_equal(stamp_ms(&clock, TODAY), TODAY);
}

static void floor_is_stored_ahead_and_seldom(void **state)
{
    (void)state;
    tmb_clock clock = begun((tmb_hlc){0});
    tmb_hlc floor = {0};
    unsigned stored = 0;
    for (int64_t ms = 0; ms < 60000; ms += 10) {
        tmb_hlc stamp = tmb_clock_stamp(&clock, (tmb_hlc){0}, at(TODAY + ms));
        stored += tmb_clock_floor(&clock, at(TODAY + ms), &floor);
        assert_true(stamp.u64 <= floor.u64);
    }
    assert_int_equal(stored, 6);
    tmb_clock crashed = begun(floor);
    assert_true(tmb_clock_stamp(&crashed, (tmb_hlc){0}, at(TODAY)).u64 > clock.last.u64);
    tmb_hlc rest = tmb_clock_rest(&clock);
    tmb_clock stopped = begun(rest);
    assert_int_equal(stamp_ms(&stopped, TODAY + 60001), TODAY + 60001);
}

static void words_of_states(void **state)
{
    (void)state;
    assert_string_equal(tmb_clock_state_str(TMB_CLOCK_OK), "ok");
    assert_string_equal(tmb_clock_state_str(TMB_CLOCK_UNSYNCED), "unsynced");
    assert_string_equal(tmb_clock_state_str(TMB_CLOCK_SELF_SKEWED), "self_skewed");
}

/* Crashes, steps of the wall clock, strangers' stamps and a parent that is sometimes wrong: stamps that were
 * given rise over all of it, and nobody carries the clock further ahead than what it has seen itself. */
static void always_rises_through_faults(void **state)
{
    (void)state;
    const char *env = getenv("TMB_SEED");
    tmb_rng rng = {env ? strtoull(env, NULL, 0) : 20261122};
    printf("seed %llu\n", (unsigned long long)rng.state);
    tmb_clock clock = begun((tmb_hlc){0});
    tmb_hlc stored = {0}, last = {0};
    int64_t now = TODAY, greatest = TODAY;
    for (unsigned i = 0; i < 200000; i++) {
        now += (int64_t)tmb_rng_below(&rng, 200);
        uint64_t fault = tmb_rng_below(&rng, 1000);
        if (fault == 0)
            now = (int64_t)tmb_rng_below(&rng, 3) * 1000; /* an empty battery */
        else if (fault == 1)
            now = TODAY + (int64_t)tmb_rng_below(&rng, (uint64_t)YEAR);
        else if (fault == 2)
            clock = begun(stored); /* a crash: what was not stored is gone */
        else if (fault == 3)
            (void)tmb_clock_learn(&clock,
                                  at((int64_t)tmb_rng_below(&rng, (uint64_t)(TODAY + YEAR))),
                                  at(now), at(now + 50));
        else if (fault < 100)
            (void)tmb_clock_fold(&clock, (tmb_hlc){tmb_rng_next(&rng)}, at(now));
        int64_t known = tmb_clock_now(&clock, at(now)).ms;
        greatest = known > greatest ? known : greatest;
        tmb_hlc stamp = tmb_clock_stamp(&clock, (tmb_hlc){tmb_rng_next(&rng)}, at(now));
        (void)tmb_clock_floor(&clock, at(now), &stored);
        assert_true(stamp.u64 > last.u64 && stamp.u64 <= stored.u64);
        assert_true(tmb_hlc_wall(stamp).ms <=
                    greatest + TMB_HLC_DRIFT_MS_MAX + TMB_CLOCK_FLOOR_STEP_MS);
        last = stamp;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_follow_the_wall_clock_and_the_record),
        cmocka_unit_test(boots_in_1970),
        cmocka_unit_test(parent_that_does_not_know_either_teaches_nothing),
        cmocka_unit_test(a_year_ahead_is_not_followed),
        cmocka_unit_test(itself_a_year_ahead_is_shown_and_ends_with_a_new_incarnation),
        cmocka_unit_test(parent_ahead_of_a_clock_that_can_be_is_not_believed),
        cmocka_unit_test(floor_is_stored_ahead_and_seldom),
        cmocka_unit_test(words_of_states),
        cmocka_unit_test(always_rises_through_faults),
    };
    return cmocka_run_group_tests_name("unit.state.clock", tests, NULL, NULL);
}
