// SPDX-License-Identifier: Apache-2.0
/* When to dial again: phases spread evenly over the window, retries a window apart, what the parent says is
 * clamped, slots come first, and the budget holds whoever dials too often. And a session does as it says. */
#include "tests/unit/session/transcript.h"

#include "syncd/session/comeback.h"

#define MS INT64_C(1000000)

static tmb_comeback make(tmb_comeback_mode mode, int64_t window_ms, int64_t gap_ms)
{
    tmb_comeback_options options = {.mode = mode,
                                    .base = tmb_dur_ms(100),
                                    .cap = tmb_dur_ms(3200),
                                    .window = tmb_dur_ms(window_ms),
                                    .dial_gap = tmb_dur_ms(gap_ms)};
    tmb_mono now = {0};
    tmb_comeback c;
    tmb_comeback_init(&c, &options, now);
    return c;
}

/* A loss of a session that was welcome, long after its dial. */
static int64_t lose_ms(uint64_t seed, int64_t window_ms)
{
    tmb_comeback c = make(TMB_COMEBACK_WINDOW, window_ms, TMB_DIAL_GAP_MS);
    tmb_rng rng = {seed};
    tmb_mono now = {0};
    tmb_comeback_dialled(&c, now);
    tmb_comeback_welcome(&c, 0);
    now.ns = 3600 * 1000 * MS;
    return tmb_comeback_wait(&c, &rng, now).ns / MS;
}

static void phases_fill_most_of_the_window_evenly(void **state)
{
    unsigned parts[17] = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= 17000; seed++) {
        int64_t wait_ms = lose_ms(seed * 7919, 10000);
        assert_in_range(wait_ms, 0, 8500);
        parts[wait_ms < 8500 ? wait_ms / 500 : 16]++;
    }
    for (unsigned i = 0; i < 17; i++)
        assert_in_range(parts[i], 870, 1130); /* 1000 expected, deviation 30 */
}

static void retries_keep_the_phase_for_as_long_as_it_takes(void **state)
{
    (void)state;
    tmb_comeback c = make(TMB_COMEBACK_WINDOW, 4000, TMB_DIAL_GAP_MS);
    tmb_rng rng = {11};
    tmb_mono now = {0};
    (void)tmb_comeback_wait(&c, &rng, now);
    for (int i = 0; i < 5000; i++) {
        tmb_comeback_dialled(&c, now);
        int64_t wait_ns = tmb_comeback_wait(&c, &rng, now).ns;
        assert_in_range(wait_ns, 3600 * MS, 4000 * MS);
        now.ns += wait_ns;
    }
    assert_int_equal(c.budget_spent, 0);
}

static void a_window_is_clamped_and_silence_keeps_the_last_one(void **state)
{
    (void)state;
    tmb_comeback c = make(TMB_COMEBACK_WINDOW, 0, 0);
    assert_false(tmb_comeback_waits_to_start(&c));
    tmb_comeback_welcome(&c, 1);
    assert_int_equal(c.window.ns, TMB_WINDOW_MS_MIN * MS);
    tmb_comeback_welcome(&c, 0);
    assert_int_equal(c.window.ns, TMB_WINDOW_MS_MIN * MS);
    assert_true(tmb_comeback_waits_to_start(&c));
    tmb_comeback_welcome(&c, UINT32_MAX);
    assert_int_equal(c.window.ns, TMB_WINDOW_MS_MAX * MS);
    assert_int_equal(tmb_window_clamp(0), 0);
    assert_int_equal(tmb_window_clamp(TMB_WINDOW_MS_MIN), TMB_WINDOW_MS_MIN);
    assert_int_equal(tmb_window_clamp(TMB_WINDOW_MS_MAX), TMB_WINDOW_MS_MAX);
}

static void a_slot_takes_the_place_of_one_wait(void **state)
{
    (void)state;
    tmb_comeback c = make(TMB_COMEBACK_WINDOW, 2000, 0);
    tmb_rng rng = {5};
    tmb_mono now = {0};
    tmb_comeback_refused(&c, 123456);
    assert_int_equal(tmb_comeback_wait(&c, &rng, now).ns, 123456 * MS);
    assert_int_equal(rng.state, 5); /* nothing was drawn */
    assert_in_range(tmb_comeback_wait(&c, &rng, now).ns, 1800 * MS, 2000 * MS);
    tmb_comeback_refused(&c, 1);
    assert_int_equal(tmb_comeback_wait(&c, &rng, now).ns, TMB_SLOT_MS_MIN * MS);
    tmb_comeback_refused(&c, UINT32_MAX);
    assert_int_equal(tmb_comeback_wait(&c, &rng, now).ns, TMB_SLOT_MS_MAX * MS);
    tmb_comeback_refused(&c, 0);
    assert_in_range(tmb_comeback_wait(&c, &rng, now).ns, 1800 * MS, 2000 * MS);
    assert_int_equal(c.slots, 3);
    tmb_comeback_refused(&c, 5000); /* and WELCOME came all the same */
    tmb_comeback_welcome(&c, 0);
    assert_in_range(tmb_comeback_wait(&c, &rng, now).ns, 0, 1800 * MS);
}

static void two_dials_are_a_gap_apart(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        tmb_comeback c = make(TMB_COMEBACK_FULL, 0, TMB_DIAL_GAP_MS);
        tmb_rng rng = {seed};
        tmb_mono now = {7};
        tmb_comeback_dialled(&c, now);
        now.ns += 300 * MS;
        assert_in_range(tmb_comeback_wait(&c, &rng, now).ns, 700 * MS, 1000 * MS);
        tmb_comeback_refused(&c, TMB_SLOT_MS_MIN);
        assert_in_range(tmb_comeback_wait(&c, &rng, now).ns, 700 * MS, 1000 * MS);
    }
}

/* A line that comes up and goes down at once: each WELCOME begins anew at a random phase, half a window on
 * average. Ten dials are free, a tenth of one with each WELCOME; the rest is paid by time. */
static void a_flapping_line_dials_no_more_than_its_windows(void **state)
{
    (void)state;
    tmb_comeback c = make(TMB_COMEBACK_WINDOW, 100000, TMB_DIAL_GAP_MS);
    tmb_rng rng = {3};
    tmb_mono now = {0};
    unsigned dials = 0;
    while (now.ns < INT64_C(100) * 90000 * MS) {
        tmb_comeback_dialled(&c, now);
        tmb_comeback_welcome(&c, 0);
        dials++;
        now.ns += tmb_comeback_wait(&c, &rng, now).ns;
    }
    assert_in_range(dials, 100, 10 + 100 + 100 / 9 + 2);
    assert_true(c.budget_spent > 50);
}

static void full_and_decorrelated_are_what_their_source_says(void **state)
{
    (void)state;
    tmb_comeback full = make(TMB_COMEBACK_FULL, 7000, 0);
    tmb_comeback other = make(TMB_COMEBACK_DECORRELATED, 7000, 0);
    tmb_rng rng = {1}, same = {1};
    tmb_mono now = {0};
    assert_false(tmb_comeback_waits_to_start(&full));
    int64_t last_ns = 100 * MS, most_ns = 0;
    for (unsigned failed = 0; failed < 200; failed++) {
        tmb_comeback_dialled(&full, now);
        int64_t bound_ns = (failed < 5 ? 100 << failed : 3200) * MS;
        assert_in_range(tmb_comeback_wait(&full, &same, now).ns, 0, bound_ns);
        int64_t wait_ns = tmb_comeback_wait(&other, &rng, now).ns;
        assert_in_range(wait_ns, 100 * MS, last_ns * 3 < 3200 * MS ? last_ns * 3 : 3200 * MS);
        most_ns = wait_ns > most_ns ? wait_ns : most_ns;
        last_ns = wait_ns;
        now.ns += 3200 * MS;
    }
    assert_true(most_ns > 2500 * MS);
}

static void great_times_do_not_overflow(void **state)
{
    (void)state;
    const tmb_comeback_mode modes[] = {TMB_COMEBACK_WINDOW, TMB_COMEBACK_FULL,
                                       TMB_COMEBACK_DECORRELATED};
    for (unsigned m = 0; m < 3; m++) {
        tmb_comeback_options options = {modes[m], {INT64_MAX / 3}, {INT64_MAX}, {0}, {INT64_MAX}};
        tmb_comeback c;
        tmb_rng rng = {m};
        tmb_mono now = {0};
        tmb_comeback_init(&c, &options, now);
        for (unsigned i = 0; i < 100; i++) {
            tmb_comeback_dialled(&c, now);
            assert_true(tmb_comeback_wait(&c, &rng, now).ns >= 0);
            now.ns += INT64_MAX / 200;
        }
    }
}

static const char *on_busy(scene *at, uint32_t wait_ms)
{
    tmb_frame frame = {.type = TMB_FRAME_BYE};
    tmb_session_event event = {.type = TMB_SESSION_FRAME, .epoch = at->s.epoch};
    frame.u.bye.session = at->s.session;
    frame.u.bye.reason = TMB_BYE_BUSY;
    frame.u.bye.wait_ms = wait_ms;
    event.u.frame = &frame;
    return on_event(at, &event);
}

static void a_refused_session_hangs_up_and_comes_at_its_slot(void **state)
{
    (void)state;
    scene at;
    scene_init(&at);
    on_start(&at);
    on_link(&at, true, 1);
    assert_string_equal(on_busy(&at, 7777), "bye 8; HANGUP 1; state backoff");
    assert_int_equal(deadline_ms(&at), 7777);
    at.now_ms += 7776;
    assert_string_equal(on_timeout(&at), "");
    at.now_ms += 1;
    assert_string_equal(on_timeout(&at), "DIAL 2; state dialing");
    on_link(&at, true, 2);
    assert_string_equal(on_busy(&at, 200), "bye 8; HANGUP 2; state backoff"); /* and again */
    assert_int_equal(deadline_ms(&at), 200);
}

static const char *on_call(scene *at, tmb_bye_reason reason)
{
    tmb_frame frame = {.type = TMB_FRAME_BYE};
    tmb_session_event event = {.type = TMB_SESSION_FRAME, .epoch = at->s.epoch};
    frame.u.bye.reason = reason;
    event.u.frame = &frame;
    return on_event(at, &event);
}

/* The parent's daemon has just begun: who waits for a WELCOME says HELLO again, who has one does not. */
static void a_call_to_all_is_heard_by_who_is_greeting(void **state)
{
    (void)state;
    scene at;
    scene_init(&at);
    on_start(&at);
    assert_string_equal(on_call(&at, TMB_BYE_UNKNOWN), "");
    on_link(&at, true, 1);
    uint64_t before = at.s.session;
    assert_string_equal(on_call(&at, TMB_BYE_CLOSING), "");
    assert_string_equal(on_call(&at, TMB_BYE_UNKNOWN), "SEND hello");
    assert_int_not_equal(at.s.session, before);
    on_welcome(&at, 0, 0);
    assert_int_equal(at.s.state, TMB_SESSION_STREAMING);
    assert_string_equal(on_call(&at, TMB_BYE_UNKNOWN), "");
}

/* With a window from the disk even the first dial comes at a phase of its own. */
static void a_session_with_a_window_starts_at_its_phase(void **state)
{
    int64_t most_ms = 0, least_ms = INT64_MAX;
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        scene at;
        scene_init(&at);
        at.s.back.window = tmb_dur_ms(10000);
        at.s.rng = (tmb_rng){seed};
        assert_string_equal(on_start(&at), "state backoff");
        int64_t wait_ms = deadline_ms(&at);
        most_ms = wait_ms > most_ms ? wait_ms : most_ms;
        least_ms = wait_ms < least_ms ? wait_ms : least_ms;
        at.now_ms += wait_ms + 1;
        assert_string_equal(on_timeout(&at), "DIAL 1; state dialing");
        on_link(&at, false, 1);
        assert_in_range(deadline_ms(&at), 9000, 10000);
    }
    assert_in_range(least_ms, 0, 500);
    assert_in_range(most_ms, 8000, 8500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_fill_most_of_the_window_evenly),
        cmocka_unit_test(retries_keep_the_phase_for_as_long_as_it_takes),
        cmocka_unit_test(a_window_is_clamped_and_silence_keeps_the_last_one),
        cmocka_unit_test(a_slot_takes_the_place_of_one_wait),
        cmocka_unit_test(two_dials_are_a_gap_apart),
        cmocka_unit_test(a_flapping_line_dials_no_more_than_its_windows),
        cmocka_unit_test(full_and_decorrelated_are_what_their_source_says),
        cmocka_unit_test(great_times_do_not_overflow),
        cmocka_unit_test(a_refused_session_hangs_up_and_comes_at_its_slot),
        cmocka_unit_test(a_call_to_all_is_heard_by_who_is_greeting),
        cmocka_unit_test(a_session_with_a_window_starts_at_its_phase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
