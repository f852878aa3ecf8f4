// SPDX-License-Identifier: Apache-2.0
/* Full jitter: within its bounds, over the whole of them, and the same for the same seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "syncd/session/backoff.h"

static void bounds_double_up_to_the_cap(void **state)
{
    (void)state;
    const int64_t limits_ms[] = {100, 200, 400, 800, 1000, 1000};
    tmb_rng rng = {1};
    for (unsigned attempt = 0; attempt < 6; attempt++) {
        int64_t most = 0, least = INT64_MAX, limit = limits_ms[attempt] * 1000000;
        for (int i = 0; i < 2000; i++) {
            tmb_dur wait = tmb_backoff_wait(&rng, attempt, tmb_dur_ms(100), tmb_dur_ms(1000));
            most = wait.ns > most ? wait.ns : most;
            least = wait.ns < least ? wait.ns : least;
        }
        assert_true(least >= 0 && least < limit / 50);
        assert_true(most <= limit && most > limit - limit / 50);
    }
}

static void many_attempts_and_great_times_do_not_overflow(void **state)
{
    (void)state;
    tmb_rng rng = {2};
    tmb_dur great = {INT64_MAX}, base = {INT64_MAX / 3}, one = {1};
    for (unsigned attempt = 0; attempt < 2000; attempt += 7) {
        assert_true(tmb_backoff_wait(&rng, attempt, base, great).ns >= 0);
        assert_true(tmb_backoff_wait(&rng, attempt, one, great).ns >= 0);
        assert_true(tmb_backoff_wait(&rng, attempt, great, one).ns <= 1);
    }
}

static void same_seed_same_waits(void **state)
{
    (void)state;
    tmb_rng a = {3}, b = {3}, c = {4};
    bool differs = false;
    for (unsigned i = 0; i < 50; i++) {
        int64_t wait = tmb_backoff_wait(&a, i, tmb_dur_ms(10), tmb_dur_ms(9999)).ns;
        assert_int_equal(wait, tmb_backoff_wait(&b, i, tmb_dur_ms(10), tmb_dur_ms(9999)).ns);
        differs |= wait != tmb_backoff_wait(&c, i, tmb_dur_ms(10), tmb_dur_ms(9999)).ns;
    }
    assert_true(differs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_double_up_to_the_cap),
        cmocka_unit_test(many_attempts_and_great_times_do_not_overflow),
        cmocka_unit_test(same_seed_same_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
