// SPDX-License-Identifier: Apache-2.0
/* tests/unit/base/test_hlc.c - stamps rise, whatever the wall clock does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/hlc.h"
#include "base/rng.h"

static tmb_wall at(int64_t ms)
{
    tmb_wall wall = {ms};
    return wall;
}

static void follows_the_wall_clock(void **state)
{
    (void)state;
    tmb_hlc none = {0};
    tmb_hlc stamp = tmb_hlc_next(none, at(1700000000000));
    assert_true(stamp.u64 == UINT64_C(1700000000000) << 16);
    assert_true(tmb_hlc_wall(stamp).ms == 1700000000000);
    stamp = tmb_hlc_next(stamp, at(1700000000001));
    assert_true(stamp.u64 == UINT64_C(1700000000001) << 16);
}

static void counts_within_a_millisecond_and_when_time_steps_back(void **state)
{
    (void)state;
    tmb_hlc first = tmb_hlc_next((tmb_hlc){0}, at(1000));
    tmb_hlc same = tmb_hlc_next(first, at(1000));
    tmb_hlc back = tmb_hlc_next(same, at(-5));
    assert_true(same.u64 == first.u64 + 1);
    assert_true(back.u64 == first.u64 + 2);
    assert_true(tmb_hlc_wall(back).ms == 1000);
    assert_true(tmb_hlc_next((tmb_hlc){0}, at(INT64_MIN)).u64 == 1);
}

static void counter_that_overflows_takes_the_next_millisecond(void **state)
{
    (void)state;
    tmb_hlc full = {UINT64_C(1000) << 16 | 0xffff};
    tmb_hlc next = tmb_hlc_next(full, at(1000));
    assert_true(next.u64 == UINT64_C(1001) << 16);
}

static void always_rises(void **state)
{
    (void)state;
    const char *env = getenv("TMB_SEED");
    tmb_rng rng = {env ? strtoull(env, NULL, 0) : 20261121};
    printf("seed %llu\n", (unsigned long long)rng.state);
    tmb_hlc last = {0};
    int64_t ms = 1700000000000;
    for (unsigned i = 0; i < 100000; i++) {
        ms += (int64_t)tmb_rng_below(&rng, 2001) - 1000;
        if (tmb_rng_below(&rng, 1000) == 0)
            ms = (int64_t)tmb_rng_below(&rng, 1800000000000);
        tmb_hlc next = tmb_hlc_next(last, at(ms));
        assert_true(next.u64 > last.u64);
        assert_true(tmb_hlc_wall(next).ms >= ms);
        last = next;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_wall_clock),
        cmocka_unit_test(counts_within_a_millisecond_and_when_time_steps_back),
        cmocka_unit_test(counter_that_overflows_takes_the_next_millisecond),
        cmocka_unit_test(always_rises),
    };
    return cmocka_run_group_tests_name("unit.base.hlc", tests, NULL, NULL);
}
