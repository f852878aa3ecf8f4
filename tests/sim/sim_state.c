// SPDX-License-Identifier: Apache-2.0
/* tests/sim/sim_state.c - the world of state of tombolo-sim: whatever went wrong, once it is healed all
 * replicas of a scope are equal, they are what was asked for, nothing came back and nothing acknowledged is
 * lost.
 *
 * First the seeds that ever failed (state-seeds.txt), then TMB_SEEDS of them (300; with TMB_LONG=1 10,000;
 * with a sanitizer 30). TMB_SEED=n plays one, and tells it. Over all of them each kind of fault must have
 * been met. With the argument "seeds" there is nothing else but these, TMB_FROM=n the first of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/state.h"
#include "tests/sim/sanitized.h"

#define PLANT_SEEDS 60 /* within so many each planted bug of the shell is found */

static const char *seeds_file;

static uint64_t read_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static state_result play(uint64_t seed, FILE *print)
{
    state_result result;
    state_run(seed, STATE_HONEST, print, &result);
    if (!result.is_good) {
        print_error("seed %llu: %s at %lld ms; again with tombolo-sim --state --seed %llu\n",
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
        if (end == line || (SIM_IS_SANITIZED && count == 10))
            continue;
        play(seed, NULL);
        count++;
    }
    fclose(file);
    assert_true(count > 0);
}

static void replicas_become_equal_and_right(void **state)
{
    (void)state;
    uint64_t only = read_number("TMB_SEED", 0), first = only ? only : read_number("TMB_FROM", 1);
    uint64_t count = only ? 1
                          : read_number("TMB_SEEDS", SIM_IS_SANITIZED     ? 30
                                                     : getenv("TMB_LONG") ? 10000
                                                                          : 300);
    state_result sum = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        state_result result = play(seed, only ? stdout : NULL);
        state_result_add(&sum, &result);
    }
    print_message(
        "seed %llu and %llu more: %llu operations, %llu acknowledged, %llu changes, %llu lost with "
        "their disks, of them %llu acknowledged; %llu frames, %llu lapsed, %llu comparisons of "
        "ranges, %llu new incarnations, %llu steps\n",
        (unsigned long long)first, (unsigned long long)(count - 1), (unsigned long long)sum.ops,
        (unsigned long long)sum.acked, (unsigned long long)sum.changes,
        (unsigned long long)sum.lost, (unsigned long long)sum.lost_acked,
        (unsigned long long)sum.frames, (unsigned long long)sum.lapsed,
        (unsigned long long)sum.ranged, (unsigned long long)sum.reincarnated,
        (unsigned long long)sum.steps);
    assert_true(sum.ops > 0 && sum.acked > 0 && sum.changes > 0 && sum.frames > 0);
    for (unsigned kind = 0; kind < STATE_KINDS; kind++) {
        print_message("  %s: %llu\n", state_kind_str((state_kind)kind),
                      (unsigned long long)sum.fired[kind]);
        assert_true(only || count < 200 || sum.fired[kind] > 0);
    }
    assert_true(only || count < 200 ||
                (sum.lapsed > 0 && sum.ranged > 0 && sum.reincarnated > 0 && sum.lost > 0));
}

static void same_seed_same_run(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        state_result once = play(seed, NULL), again = play(seed, NULL);
        assert_true(once.hash == again.hash && once.hash != last);
        assert_int_equal(once.steps, again.steps);
        last = once.hash;
    }
}

/* A test that cannot fail proves nothing. Bugs in the code that is simulated: tests/planted/state. */
static void planted_bugs_of_the_shell_are_found(void **state)
{
    (void)state;
    for (state_plant plant = STATE_ACK_BEFORE_SYNC; plant < STATE_PLANTS; plant++) {
        state_result result = {.is_good = true};
        uint64_t seed = 0;
        while (result.is_good && seed < PLANT_SEEDS)
            state_run(++seed, plant, NULL, &result);
        print_message("planted %s: seed %llu: %s\n", state_plant_str(plant),
                      (unsigned long long)seed, result.failure ? result.failure : "not found");
        assert_false(result.is_good);
        assert_true(state_plant_find(state_plant_str(plant)) == plant);
    }
    assert_true(state_plant_find("no such bug") == STATE_PLANTS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_that_ever_failed_pass),
        cmocka_unit_test(replicas_become_equal_and_right),
        cmocka_unit_test(same_seed_same_run),
        cmocka_unit_test(planted_bugs_of_the_shell_are_found),
    };
    const struct CMUnitTest of_seeds[] = {cmocka_unit_test(replicas_become_equal_and_right)};
    if (argc > 1 && strcmp(argv[1], "seeds") == 0) /* for planted bugs: nothing but these */
        return cmocka_run_group_tests(of_seeds, NULL, NULL);
    seeds_file = argc > 1 ? argv[1] : "tests/sim/state-seeds.txt";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
