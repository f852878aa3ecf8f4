// SPDX-License-Identifier: Apache-2.0
/* C is found when there is a queue, grows when there plainly is none, and is not moved by what says
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "syncd/hub/capacity.h"

#define MS INT64_C(1000000)

static tmb_mono at_ms(int64_t ms)
{
    tmb_mono now = {ms * MS};
    return now;
}

/* From *ms on: `sessions` evenly over for_ms, and probes that take probe_ms each, the next one gap_ms
 * behind. */
static void live(tmb_capacity *c, int64_t *ms, int64_t for_ms, int64_t sessions, int64_t probe_ms,
                 int64_t gap_ms)
{
    int64_t begin = *ms, told = 0, sent = *ms, next = *ms;
    bool is_out = false;
    for (; *ms < begin + for_ms; (*ms)++) {
        while (told < sessions * (*ms - begin) / for_ms) {
            tmb_capacity_session(c, at_ms(*ms));
            told++;
        }
        if (is_out && *ms - sent >= probe_ms) {
            tmb_capacity_probe_back(c, at_ms(*ms));
            is_out = false;
            next = *ms + gap_ms;
        }
        if (!is_out && *ms >= next) {
            tmb_capacity_probe_sent(c, at_ms(*ms));
            sent = *ms;
            is_out = true;
        }
    }
    if (is_out)
        tmb_capacity_probe_back(c, at_ms(*ms));
}

static void a_herd_tells_what_can_be_done(void **state)
{
    (void)state;
    const int64_t rates[] = {50, 400, 3000};
    for (unsigned i = 0; i < 3; i++) {
        tmb_capacity c;
        int64_t ms = 0;
        tmb_capacity_init(&c, 0);
        assert_int_equal(c.rate_mps, TMB_CAPACITY_START * 1000);
        live(&c, &ms, 1000, 0, 1, 100);
        live(&c, &ms, 4000, rates[i] * 4, 200, 0);
        live(&c, &ms, 1000, 0, 1, 100);
        assert_in_range(c.rate_mps, rates[i] * 850, rates[i] * 1200);
        assert_true(c.measured >= 1);
        assert_int_equal(c.raised, 0);
    }
}

static void a_small_herd_moves_it_a_part_of_the_way(void **state)
{
    (void)state;
    tmb_capacity c;
    int64_t ms = 0;
    tmb_capacity_init(&c, 200000);
    live(&c, &ms, 320, 96, 50, 0); /* 300 a second */
    live(&c, &ms, 1000, 0, 1, 100);
    assert_in_range(c.rate_mps, 250000, 310000);
}

static void few_sessions_say_nothing(void **state)
{
    (void)state;
    tmb_capacity c;
    int64_t ms = 0;
    tmb_capacity_init(&c, 200000);
    live(&c, &ms, 800, TMB_CAPACITY_SESSIONS_MIN - 1, 100, 0);
    live(&c, &ms, 1000, 0, 1, 100);
    assert_int_equal(c.rate_mps, 200000);
    assert_int_equal(c.measured, 0);
}

/* A broker that always needs 40 ms, for it has other work: that is no queue of children. One that then needs
 * ten times as long is. */
static void being_busy_with_something_else_is_not_counted(void **state)
{
    (void)state;
    tmb_capacity c;
    int64_t ms = 0;
    tmb_capacity_init(&c, 200000);
    live(&c, &ms, 10000, 0, 40, 0);
    assert_int_equal(c.rate_mps, 200000);
    live(&c, &ms, 3000, 300, 40, 0);
    live(&c, &ms, 2000, 0, 40, 0);
    assert_int_equal(c.measured, 0);
    assert_int_equal(c.rate_mps, 200000);
    live(&c, &ms, 3000, 300, 400, 0);
    live(&c, &ms, 2000, 0, 40, 0);
    assert_in_range(c.rate_mps, 85000, 120000);
    assert_int_equal(c.measured, 1);
}

/* A good turn of the machine now and then does not cut a herd to pieces; but a queue for half of the time
 * says nothing. */
static void a_queue_with_holes(void **state)
{
    (void)state;
    for (unsigned half = 0; half < 2; half++) {
        tmb_capacity c;
        int64_t ms = 0;
        tmb_capacity_init(&c, 200000);
        for (int i = 0; i < 30; i++) {
            live(&c, &ms, half ? 50 : 99, half ? 5 : 10, half ? 48 : 97, 0);
            live(&c, &ms, half ? 50 : 1, half ? 5 : 0, 2, half ? 40 : 0);
        }
        live(&c, &ms, 1000, 0, 1, 100);
        assert_int_equal(c.measured, half ? 0 : 1);
        if (!half)
            assert_in_range(c.rate_mps, 85000, 115000);
    }
}

static void a_calm_return_raises_it_until_it_is_above_what_came(void **state)
{
    (void)state;
    tmb_capacity c;
    int64_t ms = 0;
    tmb_capacity_init(&c, 100000);
    live(&c, &ms, 3000, 89 * 3, 2, 20);
    assert_true(c.raised >= 1);
    assert_in_range(c.rate_mps, 112000, 145000);
    live(&c, &ms, 60000, 89 * 60, 2, 20);
    assert_in_range(c.rate_mps, 112000, 145000); /* 0.7 of it is more than comes */
    uint64_t before = c.rate_mps;
    live(&c, &ms, 60000, 60, 2, 20); /* the odd child is no herd */
    assert_int_equal(c.rate_mps, before);
}

static void it_is_clamped_and_outlives_its_broker(void **state)
{
    (void)state;
    tmb_capacity c;
    tmb_capacity_init(&c, 1);
    assert_int_equal(c.rate_mps, TMB_CAPACITY_MIN * 1000);
    tmb_capacity_init(&c, UINT64_MAX);
    assert_int_equal(c.rate_mps, UINT64_C(1000) * TMB_CAPACITY_MAX);
    tmb_capacity_init(&c, 300000);
    tmb_capacity_probe_sent(&c, at_ms(10));
    for (int i = 0; i < 1000; i++)
        tmb_capacity_session(&c, at_ms(20));
    tmb_capacity_reset(&c);
    tmb_capacity_probe_back(&c, at_ms(500)); /* of the broker before */
    assert_int_equal(c.lag.ns, 0);
    int64_t ms = 600;
    live(&c, &ms, 2000, 0, 1, 100);
    assert_int_equal(c.rate_mps, 300000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_herd_tells_what_can_be_done),
        cmocka_unit_test(a_small_herd_moves_it_a_part_of_the_way),
        cmocka_unit_test(few_sessions_say_nothing),
        cmocka_unit_test(being_busy_with_something_else_is_not_counted),
        cmocka_unit_test(a_queue_with_holes),
        cmocka_unit_test(a_calm_return_raises_it_until_it_is_above_what_came),
        cmocka_unit_test(it_is_clamped_and_outlives_its_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
