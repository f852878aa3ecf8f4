// SPDX-License-Identifier: Apache-2.0
/* tests/property/crdt_oracle.c - random histories of every type at once, held against the specification.
 *
 * Two to four replicas change everything there is, delete maps, act upon what a client had read some time
 * ago, take new incarnations, tell each other all or some leaves; after each step the replicas that it
 * touched must read as the oracle says. Then all meet: equal bytes, and still the oracle's value. That they
 * converge alone would say little: a wrong value is converged to just as well.
 */
#include <setjmp.h>
#include <string.h>

#include "tests/property/seeds.h"
#include "tests/property/world.h"

enum { STEPS = 120 };

static world played;

static void play(uint64_t seed)
{
    tmb_rng rng = {seed};
    world_init(&played, 2 + (unsigned)tmb_rng_below(&rng, 3));
    unsigned steps = 10 + (unsigned)tmb_rng_below(&rng, STEPS);
    for (unsigned step = 0; step < steps; step++)
        world_step(&played, &rng);
    world_meet(&played);
}

static void every_replica_reads_as_the_oracle_says(void **state)
{
    uint64_t events = 0, counted = 0;
    (void)state;
    for (uint64_t seed = 0; seeds_next(&seed, 3000);) {
        play(seed);
        events += played.oracle.events_count;
        counted++;
    }
    print_message("%llu histories, %llu events\n", (unsigned long long)counted,
                  (unsigned long long)events);
    assert_true(events > counted * 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_replica_reads_as_the_oracle_says, seeds_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
