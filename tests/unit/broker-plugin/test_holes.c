// SPDX-License-Identifier: Apache-2.0
/* Which numbers of an origin are here: two roads in any order, against a plain set; at the limit of holes a
 * number may be taken for missing, and never for here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "broker-plugin/holes.h"

#define NUMBERS 400

static void a_run_without_holes_needs_none(void **state)
{
    (void)state;
    uint64_t high = 0;
    for (uint64_t number = 1; number <= 50; number++) {
        assert_false(tmb_holes_has(NULL, high, number));
        assert_false(tmb_holes_need(NULL, high, number));
        tmb_holes_add(NULL, &high, number);
        assert_true(tmb_holes_has(NULL, high, number));
    }
    assert_false(tmb_holes_need(NULL, high, 7));
    tmb_holes_add(NULL, &high, 7);
    assert_true(high == 50);
}

/* s1's log was shortened while it was without a parent: 61 to 80 are only in the log of its first one. */
static void what_the_slower_road_brings_is_taken(void **state)
{
    (void)state;
    tmb_holes holes = {0};
    uint64_t high = 60;
    assert_true(tmb_holes_need(&holes, high, 81));
    for (uint64_t number = 81; number <= 150; number++)
        tmb_holes_add(&holes, &high, number);
    assert_int_equal(holes.count, 1);
    for (uint64_t number = 61; number <= 100; number++) {
        assert_int_equal(tmb_holes_has(&holes, high, number), number > 80);
        tmb_holes_add(&holes, &high, number);
    }
    assert_int_equal(holes.count, 0);
    assert_true(high == 150);
}

static void the_first_number_may_be_any(void **state)
{
    (void)state;
    tmb_holes holes = {0};
    uint64_t high = 0;
    tmb_holes_add(&holes, &high, 61);
    assert_true(tmb_holes_has(&holes, high, 61));
    assert_false(tmb_holes_has(&holes, high, 60));
    assert_false(tmb_holes_has(&holes, high, 1));
    assert_true(tmb_holes_are_valid(&holes, high));
}

static void a_file_with_rubbish_is_refused(void **state)
{
    (void)state;
    static const tmb_holes wrong[] = {
        {1, {{0, 3}}}, {1, {{4, 3}}}, {1, {{9, 10}}}, {2, {{1, 3}, {4, 5}}}, {2, {{5, 6}, {1, 2}}}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(tmb_holes_are_valid(&wrong[i], 10));
    static const tmb_holes right = {2, {{1, 3}, {5, 9}}};
    assert_true(tmb_holes_are_valid(&right, 10));
}

/* The lowest are merged: 2 * TMB_HOLES_MAX holes of one number each, so the lower half is one. */
static void at_the_limit_the_lowest_are_taken_for_missing(void **state)
{
    (void)state;
    tmb_holes holes = {0};
    uint64_t high = 0;
    for (uint64_t number = 2; number <= 4 * TMB_HOLES_MAX; number += 2)
        tmb_holes_add(&holes, &high, number);
    assert_int_equal(holes.count, TMB_HOLES_MAX);
    assert_true(tmb_holes_are_valid(&holes, high));
    assert_false(tmb_holes_has(&holes, high, 2)); /* it is here, but that is forgotten */
    assert_true(tmb_holes_has(&holes, high, high));
    assert_true(tmb_holes_has(&holes, high, high - 2));
    tmb_holes_add(&holes, &high, 2); /* and cannot be noted anew */
    assert_int_equal(holes.count, TMB_HOLES_MAX);
    assert_true(tmb_holes_are_valid(&holes, high));
}

/* never_says_here_wrongly: any order of any numbers. Exact as long as the holes have room. */
static void storm(void **state)
{
    (void)state;
    const char *given = getenv("TMB_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 7;
    printf("seed %llu\n", (unsigned long long)seed);
    for (unsigned round = 0; round < 300; round++) {
        tmb_rng rng = {seed + round};
        tmb_holes holes = {0};
        bool here[NUMBERS + 1] = {false}, was_full = false;
        uint64_t high = 0, roads[2] = {1, 1};
        uint64_t skips = round % 3 == 0 ? 3 : 40; /* one in so many numbers is skipped */
        for (unsigned i = 0; i < 2 * NUMBERS; i++) {
            uint64_t *road = &roads[tmb_rng_below(&rng, 2)];
            if (*road > NUMBERS)
                continue;
            if (tmb_rng_below(&rng, skips) != 0) {
                tmb_holes_add(&holes, &high, *road);
                here[*road] = true;
            }
            ++*road;
            was_full = was_full || holes.count == TMB_HOLES_MAX;
            assert_true(tmb_holes_are_valid(&holes, high));
            for (uint64_t n = 1; n <= NUMBERS; n++) {
                bool has = tmb_holes_has(&holes, high, n);
                if (has && !here[n])
                    fail_msg("seed %llu: %llu is not here", (unsigned long long)(seed + round),
                             (unsigned long long)n);
                if (!was_full)
                    assert_int_equal(has, here[n]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_without_holes_needs_none),
        cmocka_unit_test(what_the_slower_road_brings_is_taken),
        cmocka_unit_test(the_first_number_may_be_any),
        cmocka_unit_test(a_file_with_rubbish_is_refused),
        cmocka_unit_test(at_the_limit_the_lowest_are_taken_for_missing),
        cmocka_unit_test(storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
