// SPDX-License-Identifier: Apache-2.0
/* The order of a simulated world: by time, then by age, whatever was posted when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/chance.h"
#include "sim/heap.h"

static void events_come_by_time_then_by_age(void **state)
{
    (void)state;
    sim_heap heap = {0};
    sim_event event = {0}, last = {.at_ns = -1};
    tmb_rng rng = sim_stream(1, "heap");
    for (uint64_t i = 0; i < 5000; i++) {
        event.at_ns = (int64_t)tmb_rng_below(&rng, 300);
        event.number = i;
        assert_true(sim_heap_push(&heap, &event));
    }
    for (unsigned i = 0; i < 5000; i++) {
        int64_t next_ns = sim_heap_next_ns(&heap);
        assert_true(sim_heap_pop(&heap, &event));
        assert_int_equal(event.at_ns, next_ns);
        assert_true(event.at_ns > last.at_ns ||
                    (event.at_ns == last.at_ns && event.number > last.number));
        last = event;
    }
    assert_false(sim_heap_pop(&heap, &event));
    assert_true(sim_heap_next_ns(&heap) == INT64_MAX);
    sim_heap_free(&heap, NULL);
}

static void what_is_posted_meanwhile_finds_its_place(void **state)
{
    (void)state;
    sim_heap heap = {0};
    sim_event event = {0};
    tmb_rng rng = sim_stream(2, "heap");
    int64_t now_ns = 0;
    for (unsigned i = 0; i < 100; i++)
        assert_true(sim_heap_push(&heap, &event));
    for (unsigned i = 0; i < 20000; i++) {
        assert_true(sim_heap_pop(&heap, &event));
        assert_true(event.at_ns >= now_ns);
        now_ns = event.at_ns;
        event.at_ns += (int64_t)tmb_rng_below(&rng, 1000);
        assert_true(sim_heap_push(&heap, &event));
    }
    assert_int_equal(heap.count, 100);
    sim_heap_free(&heap, NULL);
}

static unsigned freed;

static void count_freed(void *load)
{
    freed += load != NULL;
    free(load);
}

static void loads_that_still_wait_are_given_back(void **state)
{
    (void)state;
    sim_heap heap = {0};
    sim_event event = {.load = malloc(1)};
    assert_true(sim_heap_push(&heap, &event));
    event.load = NULL;
    assert_true(sim_heap_push(&heap, &event));
    freed = 0;
    sim_heap_free(&heap, count_freed);
    assert_int_equal(freed, 1);
    assert_int_equal(heap.count, 0);
}

static void streams_of_one_seed_differ_and_stay(void **state)
{
    (void)state;
    tmb_rng a = sim_stream(7, "net"), b = sim_stream(7, "disk"), again = sim_stream(7, "net");
    uint64_t first = tmb_rng_next(&a);
    assert_true(first != tmb_rng_next(&b));
    assert_true(first == tmb_rng_next(&again));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_by_time_then_by_age),
        cmocka_unit_test(what_is_posted_meanwhile_finds_its_place),
        cmocka_unit_test(loads_that_still_wait_are_given_back),
        cmocka_unit_test(streams_of_one_seed_differ_and_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
