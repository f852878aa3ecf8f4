// SPDX-License-Identifier: Apache-2.0
/* Full jitter: within its bounds, over the whole of them, and the same for the same seed. And a session waits
 * by it.
 */
#include "tests/unit/session/transcript.h"

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

/* Fails dial after dial, and notes the longest that each made the session wait. */
static void fail_dials(scene *at, unsigned count, int64_t longest_ms[])
{
    for (unsigned i = 0; i < count; i++) {
        assert_string_equal(on_link(at, false, at->s.epoch), "state backoff");
        int64_t wait_ms = deadline_ms(at);
        longest_ms[i] = wait_ms > longest_ms[i] ? wait_ms : longest_ms[i];
        at->now_ms += wait_ms + 1;
        on_timeout(at);
        assert_int_equal(at->s.state, TMB_SESSION_DIALING);
    }
}

/* Over many seeds the longest wait is close to its bound: 100 ms, doubled by each dial that fails, up to
 * 3200 ms; and 100 ms again once the parent has said WELCOME. */
static void a_session_waits_longer_each_time_until_it_is_welcome(void **state)
{
    const int64_t bounds_ms[] = {100, 200, 400, 800, 1600, 3200, 3200, 3200};
    const int64_t bounds_after_ms[] = {100, 100, 200}; /* the link that is cut, dials that fail */
    int64_t longest_ms[8] = {0}, longest_after_ms[3] = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        scene at;
        scene_init(&at);
        at.s.rng = (tmb_rng){seed};
        on_start(&at);
        fail_dials(&at, 8, longest_ms);
        on_link(&at, true, at.s.epoch);
        on_welcome(&at, 0, 0);
        assert_int_equal(at.s.state, TMB_SESSION_STREAMING);
        fail_dials(&at, 3, longest_after_ms);
    }
    for (unsigned i = 0; i < 8; i++)
        assert_in_range(longest_ms[i], bounds_ms[i] * 9 / 10, bounds_ms[i]);
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(longest_after_ms[i], bounds_after_ms[i] * 9 / 10, bounds_after_ms[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_double_up_to_the_cap),
        cmocka_unit_test(many_attempts_and_great_times_do_not_overflow),
        cmocka_unit_test(same_seed_same_waits),
        cmocka_unit_test(a_session_waits_longer_each_time_until_it_is_welcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
