// SPDX-License-Identifier: Apache-2.0
/* Admission: first come first served, a bound on what is at work, slots in order, shedding by time, and a
 * queue that is full of children. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "syncd/hub/admission.h"

#define MS INT64_C(1000000)

static tmb_admission a;

static tmb_mono at_ms(int64_t ms)
{
    tmb_mono now = {ms * MS};
    return now;
}

/* C of rate a second, measured; or configured. */
static void begin(uint64_t rate, bool is_configured)
{
    tmb_admission_options options = {.rate_mps = is_configured ? rate * 1000 : 0,
                                     .window_min = tmb_dur_ms(1000)};
    tmb_admission_init(&a, &options);
    tmb_admission_set(&a, 10, is_configured ? 77000 : rate * 1000);
}

static uint32_t arrive(uint64_t child, int64_t ms)
{
    uint32_t wait_ms = 0;
    return tmb_admission_arrive(&a, child, at_ms(ms), &wait_ms) ? 0 : wait_ms;
}

static void first_come_first_served_and_so_many_at_once(void **state)
{
    (void)state;
    begin(1000, false);
    for (uint64_t child = 1; child <= TMB_ADMISSIONS_AT_ONCE + 5; child++)
        assert_int_equal(arrive(child, 0), 0);
    for (uint64_t child = 1; child <= TMB_ADMISSIONS_AT_ONCE; child++)
        assert_int_equal(tmb_admission_next(&a, at_ms(0)), child);
    assert_int_equal(tmb_admission_next(&a, at_ms(5)), 0);
    assert_int_equal(tmb_admission_deadline(&a).ns, INT64_MAX);
    tmb_admission_done(&a, at_ms(5));
    assert_true(tmb_admission_deadline(&a).ns <= 5 * MS);
    assert_int_equal(tmb_admission_next(&a, at_ms(7)), TMB_ADMISSIONS_AT_ONCE + 1);
    assert_int_equal(a.last_wait.ns, 7 * MS);
    assert_int_equal(a.worst_wait.ns, 7 * MS);
    assert_int_equal(a.admitted, TMB_ADMISSIONS_AT_ONCE + 1);
    tmb_admission_clear(&a);
    assert_int_equal(tmb_admission_next(&a, at_ms(8)), 0);
    assert_int_equal(a.at_work, 0);
}

static void who_says_hello_twice_keeps_its_one_place(void **state)
{
    (void)state;
    begin(1000, false);
    arrive(5, 0);
    arrive(6, 1);
    assert_int_equal(arrive(5, 2), 0);
    assert_int_equal(a.count, 2);
    assert_true(tmb_admission_forget(&a, 5));
    assert_false(tmb_admission_forget(&a, 5));
    assert_int_equal(tmb_admission_next(&a, at_ms(3)), 6);
    assert_int_equal(tmb_admission_next(&a, at_ms(3)), 0);
}

/* Ten a second: twenty wait two seconds, the next one would wait longer. Slots: 125 ms apart, in order, the
 * first behind the queue. */
static void more_than_two_seconds_of_work_is_refused_with_slots_in_order(void **state)
{
    (void)state;
    begin(10, false);
    uint64_t child = 1;
    while (arrive(child, 0) == 0)
        child++;
    assert_in_range(a.count, 19, 20);
    int64_t last = 2000;
    for (unsigned i = 0; i < 50; i++) {
        int64_t wait_ms = arrive(100 + i, 10);
        assert_in_range(wait_ms, last + (i > 0 ? 124 : 0), last + (i > 0 ? 126 : 350));
        last = wait_ms;
    }
    assert_int_equal(a.refused, 51);
    assert_in_range(last, 2000 + 50 * 125, 2000 + 53 * 125 + 10);
    assert_in_range(arrive(999, 3000), last + 125 - 2992,
                    last + 125 - 2988); /* and later behind it */
}

/* By C there would be time enough, but the first in the queue has waited for two seconds: C is wrong. */
static void a_queue_that_does_not_move_is_shed_by_its_age(void **state)
{
    (void)state;
    begin(10000, false);
    arrive(1, 0);
    assert_int_equal(arrive(2, TMB_ADMISSION_WAIT_MS_MAX), 0);
    assert_int_equal(arrive(3, TMB_ADMISSION_WAIT_MS_MAX + 1), TMB_SLOT_MS_MIN);
    assert_int_equal(tmb_admission_load(&a, tmb_dur_ms(0), at_ms(1000)), 50);
    assert_int_equal(tmb_admission_load(&a, tmb_dur_ms(0), at_ms(9000)), 100);
    assert_int_equal(tmb_admission_load(&a, tmb_dur_ms(1500), at_ms(1000)), 75);
}

/* Sessions cost 100 ms here, but those who are in the queue have the TLS handshake behind them: their HELLOs
 * take 2 ms each. Five hundred of them are a second's work. */
static void how_long_is_told_by_how_fast_it_moves(void **state)
{
    (void)state;
    begin(10, false);
    int64_t ms = 0;
    for (uint64_t child = 1; child <= 15; child++)
        arrive(child, ms);
    while (tmb_admission_next(&a, at_ms(ms)) != 0)
        tmb_admission_done(&a, at_ms(ms += 2));
    assert_int_equal(a.step_ns, 2 * MS);
    for (uint64_t child = 1; child <= 500; child++)
        assert_int_equal(arrive(child, ms), 0);
    assert_int_equal(tmb_admission_load(&a, tmb_dur_ms(0), at_ms(ms)), 50);
    for (uint64_t child = 501; child <= 999; child++)
        assert_int_equal(arrive(child, ms), 0);
    arrive(1000, ms);
    assert_in_range(arrive(1001, ms), 2000,
                    2200); /* a slot when the queue is done, at C from there */
}

static void a_full_queue_refuses_too(void **state)
{
    (void)state;
    begin(100000, false);
    for (uint64_t child = 1; child <= TMB_ADMISSION_QUEUE_MAX; child++)
        assert_int_equal(arrive(child, 0), 0);
    assert_int_equal(arrive(TMB_ADMISSION_QUEUE_MAX + 1, 0), TMB_SLOT_MS_MIN);
    assert_int_equal(tmb_admission_next(&a, at_ms(0)), 1);
    assert_int_equal(arrive(TMB_ADMISSION_QUEUE_MAX + 1, 0), 0);
}

static void slots_end_at_their_maximum(void **state)
{
    (void)state;
    begin(1, false);
    arrive(1, 0);
    arrive(2, 0);
    uint32_t wait_ms = 0;
    for (uint64_t child = 3; child < 5000; child++) {
        uint32_t next_ms = arrive(child, 0);
        assert_true(next_ms >= wait_ms && next_ms <= TMB_SLOT_MS_MAX);
        wait_ms = next_ms;
    }
    assert_int_equal(wait_ms, TMB_SLOT_MS_MAX);
}

static void a_configured_rate_is_kept(void **state)
{
    (void)state;
    begin(5, true);
    assert_int_equal(a.rate_mps, 5000);
    for (uint64_t child = 1; child <= 5; child++)
        assert_int_equal(arrive(child, 0), 0);
    unsigned done = 0;
    for (int64_t ms = 0; ms < 1000; ms++) {
        while (tmb_admission_next(&a, at_ms(ms)) != 0) {
            done++;
            tmb_admission_done(&a, at_ms(ms));
            assert_int_equal(tmb_admission_deadline(&a).ns, done < 5 ? (ms + 200) * MS : INT64_MAX);
        }
    }
    assert_int_equal(done, 5);
}

static void the_window_follows_n_and_c(void **state)
{
    (void)state;
    begin(200, false);
    assert_int_equal(tmb_admission_window_ms(&a), 1000); /* ten children: the least */
    tmb_admission_set(&a, 500, 200000);
    assert_in_range(tmb_admission_window_ms(&a), 3125, 3126);
    tmb_admission_set(&a, 5000, 100000);
    assert_in_range(tmb_admission_window_ms(&a), 62500, 62501);
    tmb_admission_set(&a, UINT64_MAX, 1000);
    assert_int_equal(tmb_admission_window_ms(&a), TMB_WINDOW_MS_MAX);
    tmb_admission_options options = {.window_min = tmb_dur_ms(0)};
    tmb_admission_init(&a, &options);
    assert_int_equal(tmb_admission_window_ms(&a), TMB_WINDOW_MS_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_come_first_served_and_so_many_at_once),
        cmocka_unit_test(who_says_hello_twice_keeps_its_one_place),
        cmocka_unit_test(more_than_two_seconds_of_work_is_refused_with_slots_in_order),
        cmocka_unit_test(a_queue_that_does_not_move_is_shed_by_its_age),
        cmocka_unit_test(how_long_is_told_by_how_fast_it_moves),
        cmocka_unit_test(a_full_queue_refuses_too),
        cmocka_unit_test(slots_end_at_their_maximum),
        cmocka_unit_test(a_configured_rate_is_kept),
        cmocka_unit_test(the_window_follows_n_and_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
