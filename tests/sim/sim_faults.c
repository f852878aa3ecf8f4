// SPDX-License-Identifier: Apache-2.0
/* tests/sim/sim_faults.c - the world of faults of tombolo-sim: whatever went wrong, once it is healed all
 * is at the top, once and in order, and no two boxes are merged.
 *
 * First the seeds that ever failed (seeds.txt), then TMB_SEEDS of them (300; with TMB_LONG=1 10,000; with a
 * sanitizer 60).
 * TMB_SEED=n plays one, and tells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/faults.h"
#include "tests/sim/sanitized.h"

#define PLANT_SEEDS 40 /* within so many each planted bug is found */

static const char *seeds_file;

static uint64_t read_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static fault_result play(uint64_t seed, FILE *print)
{
    fault_result result;
    fault_run(seed, FAULT_HONEST, print, &result);
    if (!result.is_good) {
        print_error("seed %llu: %s at %lld ms; again with tombolo-sim --faults --seed %llu\n",
                    (unsigned long long)seed, result.failure, (long long)result.at_ms,
                    (unsigned long long)seed);
        fail();
    }
    return result;
}

static void seeds_that_ever_failed_pass(void **state)
{
    (void)state;
    char line[256];
    unsigned count = 0;
    FILE *file = fopen(seeds_file, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        char *end;
        unsigned long long seed = strtoull(line, &end, 10);
        if (end == line)
            continue;
        play(seed, NULL);
        count++;
    }
    fclose(file);
    assert_true(count > 0);
}

static void everything_arrives_once_and_in_order(void **state)
{
    (void)state;
    uint64_t only = read_number("TMB_SEED", 0), first = only ? only : 1;
    uint64_t count = only ? 1
                          : read_number("TMB_SEEDS", SIM_IS_SANITIZED     ? 60
                                                     : getenv("TMB_LONG") ? 10000
                                                                          : 300);
    fault_result sum = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        fault_result result = play(seed, only ? stdout : NULL);
        sum.records += result.records;
        sum.lost += result.lost;
        sum.faults += result.faults;
        sum.fenced += result.fenced;
        sum.steps += result.steps;
    }
    print_message("seed %llu and %llu more: %llu records, %llu declared lost, %llu faults, %llu "
                  "boxes fenced, "
                  "%llu steps\n",
                  (unsigned long long)first, (unsigned long long)(count - 1),
                  (unsigned long long)sum.records, (unsigned long long)sum.lost,
                  (unsigned long long)sum.faults, (unsigned long long)sum.fenced,
                  (unsigned long long)sum.steps);
    assert_true(sum.records > 0 && sum.faults > 0);
    assert_true(only || (sum.lost > 0 && sum.fenced > 0));
}

static void same_seed_same_run(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        fault_result once = play(seed, NULL), again = play(seed, NULL);
        assert_true(once.hash == again.hash && once.hash != last);
        assert_int_equal(once.steps, again.steps);
        last = once.hash;
    }
}

/* A test that cannot fail proves nothing. */
static void planted_bugs_are_found(void **state)
{
    (void)state;
    for (fault_plant plant = FAULT_ACK_BEFORE_STORE; plant < FAULT_PLANTS; plant++) {
        fault_result result = {.is_good = true};
        uint64_t seed = 0;
        while (result.is_good && seed < PLANT_SEEDS)
            fault_run(++seed, plant, NULL, &result);
        print_message("planted %s: seed %llu: %s\n", fault_plant_str(plant),
                      (unsigned long long)seed, result.failure ? result.failure : "not found");
        assert_false(result.is_good);
        assert_true(fault_plant_find(fault_plant_str(plant)) == plant);
    }
    assert_true(fault_plant_find("no such bug") == FAULT_PLANTS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_that_ever_failed_pass),
        cmocka_unit_test(everything_arrives_once_and_in_order),
        cmocka_unit_test(same_seed_same_run),
        cmocka_unit_test(planted_bugs_are_found),
    };
    seeds_file = argc > 1 ? argv[1] : "tests/sim/seeds.txt";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
