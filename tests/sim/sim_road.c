// SPDX-License-Identifier: Apache-2.0
/* tests/sim/sim_road.c - the road from a child's log to its parent's, through a bad world.
 *
 * Promise: when the world has healed, the parent has each record of the child's log once, in order and as it
 * was, except those that the child itself had lost and declared. TMB_SEED=n plays one seed; TMB_SEEDS=n so
 * many (default 300).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/world.h"

static sim_world world;

static uint64_t read_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void play(uint64_t seed)
{
    if (sim_run(&world, seed, SIM_HONEST))
        return;
    print_error("seed %llu: %s at %lld ms; again with TMB_SEED=%llu\n", (unsigned long long)seed,
                world.failure, (long long)(world.now_ns / 1000000), (unsigned long long)seed);
    fail();
}

static void every_record_arrives_once_in_order(void **state)
{
    (void)state;
    uint64_t only = read_number("TMB_SEED", 0);
    uint64_t first = only ? only : 1, count = only ? 1 : read_number("TMB_SEEDS", 300);
    uint64_t records = 0, gaps = 0, steps = 0, lives = 0, large = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        play(seed);
        steps += world.steps;
        large += world.large;
        for (unsigned life = 0; life <= world.child.life; life++) {
            lives++;
            for (unsigned i = 0; i < SIM_STREAMS; i++) {
                records += world.parent.kept[life][i].last_seq - world.parent.kept[life][i].gaps;
                gaps += world.parent.kept[life][i].gaps;
            }
        }
    }
    print_message("seed %llu and %llu more: %llu records, %llu declared lost, %llu steps, "
                  "%llu journals, %llu records that a slow line took longer for than ack_timeout\n",
                  (unsigned long long)first, (unsigned long long)(count - 1),
                  (unsigned long long)records, (unsigned long long)gaps, (unsigned long long)steps,
                  (unsigned long long)lives, (unsigned long long)large);
    assert_true(records > 0 && (only || large > 0));
}

static void same_seed_same_run(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        play(seed);
        uint64_t hash = world.hash;
        play(seed);
        assert_int_equal(hash, world.hash);
        assert_int_not_equal(hash, last);
        last = hash;
    }
}

/* A test that cannot fail proves nothing: each planted bug is found within a few seeds. */
static void planted_bugs_are_found(void **state)
{
    (void)state;
    for (sim_plant plant = SIM_ACK_BEFORE_STORE; plant < SIM_PLANTS; plant++) {
        uint64_t seed = 1;
        while (seed <= 100 && sim_run(&world, seed, plant))
            seed++;
        print_message("planted bug %d: found with seed %llu: %s\n", (int)plant,
                      (unsigned long long)seed, world.failure ? world.failure : "not found");
        assert_true(seed <= 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_arrives_once_in_order),
        cmocka_unit_test(same_seed_same_run),
        cmocka_unit_test(planted_bugs_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
