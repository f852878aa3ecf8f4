// SPDX-License-Identifier: Apache-2.0
/* tests/sim/sim_herd.c - what is promised of the minute in which all sites come back, in the herd world of
 * tombolo-sim: t99 within 1.3 N/C, no second with more than 1.2 C arrivals (3 C when the sites know half of
 * the window), at most 1.1 attempts in vain a site, and no handshake that times out. What the two jitters do
 * in the same world is printed beside it.
 *
 * TMB_SEED=n plays one seed; TMB_LONG=1 more seeds, and a hundred thousand sites in every world. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/herd.h"
#include "tests/sim/sanitized.h"

#define T99_MOST    1300 /* thousandths of N/C, and so on */
#define PEAK_TRUE   1200
#define PEAK_HALF   3000
#define WASTED_MOST 1100

static uint64_t read_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static herd_result play(const herd_options *o)
{
    herd_result r;
    assert_true(herd_run(o, &r));
    print_message(
        "%12s N=%-6u %3ld s window x%.1f seed %llu: t99 %8.1f s, %5.2f of 0.99 N/C; peak %6.2f C; "
        "wasted %5.2f; timeouts %llu\n",
        sim_backoff_str(o->backoff), (unsigned)o->sites, (long)(o->outage_ms / 1000),
        (double)o->window_permille / 1000, (unsigned long long)o->seed, (double)r.t99_ms / 1000,
        (double)herd_t99_permille(o, &r) / 1000, (double)herd_peak_permille(o, &r) / 1000,
        (double)herd_wasted_permille(o, &r) / 1000, (unsigned long long)r.handshake_timeouts);
    return r;
}

static void hold(uint32_t sites, int64_t outage_ms, uint32_t window_permille, uint64_t seed)
{
    herd_options o;
    herd_options_init(&o);
    o.sites = sites;
    o.outage_ms = outage_ms;
    o.window_permille = window_permille;
    o.seed = seed;
    herd_result r = play(&o);
    assert_true(r.has_t99);
    assert_in_range(r.t99_ms, 0, (uint64_t)T99_MOST * sites / o.rate);
    assert_in_range(herd_peak_permille(&o, &r), 0, window_permille == 1000 ? PEAK_TRUE : PEAK_HALF);
    assert_in_range(herd_wasted_permille(&o, &r), 0, WASTED_MOST);
    assert_int_equal(r.handshake_timeouts, 0);
    herd_result_free(&r);
}

static void hold_in_all_worlds(uint32_t sites, uint64_t seeds)
{
    uint64_t only = read_number("TMB_SEED", 0);
    uint64_t first = only ? only : 1, last = only ? only : seeds;
    for (uint64_t seed = first; seed <= last; seed++) {
        for (int64_t outage_ms = 0; outage_ms <= 300000; outage_ms += 300000) {
            hold(sites, outage_ms, 1000, seed);
            hold(sites, outage_ms, 500, seed);
        }
    }
}

static void five_hundred_sites_come_back(void **state)
{
    (void)state;
    hold_in_all_worlds(500, getenv("TMB_LONG") ? 100 : 10);
}

static void five_thousand_sites_come_back(void **state)
{
    (void)state;
    hold_in_all_worlds(5000, getenv("TMB_LONG") ? 30 : SIM_IS_SANITIZED ? 1 : 5);
}

/* Three gigabytes, so not beside the sanitizers, which take as much again. */
static void a_hundred_thousand_sites_come_back(void **state)
{
    (void)state;
    if (SIM_IS_SANITIZED)
        skip();
    hold(100000, 0, 1000, 1);
    if (getenv("TMB_LONG"))
        hold_in_all_worlds(100000, 3);
}

static void the_jitters_do_worse(void **state)
{
    (void)state;
    for (sim_backoff backoff = SIM_BACKOFF_FULL; backoff < SIM_BACKOFFS; backoff++) {
        for (uint32_t sites = 500; sites <= 5000; sites *= 10) {
            for (int64_t outage_ms = 0; outage_ms <= 300000; outage_ms += 300000) {
                herd_options o;
                herd_options_init(&o);
                o.sites = sites;
                o.outage_ms = outage_ms;
                o.backoff = backoff;
                herd_result r = play(&o);
                bool is_late = herd_t99_permille(&o, &r) > T99_MOST;
                bool is_herd = herd_peak_permille(&o, &r) > PEAK_TRUE;
                assert_true(is_late || is_herd);
                herd_result_free(&r);
            }
        }
    }
}

/* Credits: the hub's memory holds a second's worth and what the sites' live windows let in, however much is
 * waiting outside; and nothing of what it can commit is left unused. */
static void a_backlog_is_carried_in_little_memory(void **state)
{
    (void)state;
    herd_options o;
    herd_options_init(&o);
    o.outage_ms = 300000;
    o.live_milli = 1000;
    o.commit_per_s = 4 * o.sites;
    herd_result r = play(&o);
    int64_t best_ms =
        o.outage_ms / 3; /* 300 s of one part, at three parts a second beside the live one */
    print_message(
        "%29s carried after %.1f s, at best %.1f s; %llu bytes at most in the hub's memory\n", "",
        (double)r.drain_ms / 1000, (double)best_ms / 1000, (unsigned long long)r.memory_peak);
    assert_in_range(r.drain_ms, 1, best_ms * 13 / 10);
    assert_in_range(r.memory_peak, 1, SIM_HUB_MEMORY / 8);
    assert_int_equal(r.handshake_timeouts, 0);
    herd_result_free(&r);
}

static void same_seed_same_run(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        herd_result results[2];
        herd_options o;
        herd_options_init(&o);
        o.seed = seed;
        o.outage_ms = 20000;
        o.live_milli = 1000;
        o.commit_per_s = 5000;
        for (unsigned i = 0; i < 2; i++)
            assert_true(herd_run(&o, &results[i]));
        assert_true(results[0].hash == results[1].hash && results[0].hash != last);
        assert_int_equal(results[0].events, results[1].events);
        assert_true(results[0].drain_ms > 0);
        last = results[0].hash;
        herd_result_free(&results[0]);
        herd_result_free(&results[1]);
    }
}

/* A test that cannot fail proves nothing: sites that know a hundredth of the window are a herd. */
static void a_window_far_too_small_is_found(void **state)
{
    (void)state;
    herd_options o;
    herd_options_init(&o);
    o.sites = 5000;
    o.window_permille = 10;
    herd_result r = play(&o);
    assert_true(herd_peak_permille(&o, &r) > PEAK_HALF);
    herd_result_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_hundred_sites_come_back),
        cmocka_unit_test(five_thousand_sites_come_back),
        cmocka_unit_test(a_hundred_thousand_sites_come_back),
        cmocka_unit_test(the_jitters_do_worse),
        cmocka_unit_test(a_backlog_is_carried_in_little_memory),
        cmocka_unit_test(same_seed_same_run),
        cmocka_unit_test(a_window_far_too_small_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
