// SPDX-License-Identifier: Apache-2.0
/* The pace on lines of any kind: a simulated queue before a wire with a rate, a delay and loss, of which the
 * pace hears what a kernel would tell it. The oracle knows the line; the pace does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "syncd/session/pace.h"

#define STEP_MS    5
#define LOOK_MS    10
#define FLIGHT_MAX 4096

/* What is on its way, in order: taken when `at_ms` has come, and all before it. */
typedef struct flight {
    uint64_t end;
    int64_t at_ms;
} flight;

typedef struct line {
    tmb_pace pace;
    tmb_rng rng;
    uint64_t rate;     /* bytes a second */
    int64_t delay_ms;  /* there and back */
    int64_t jitter_ms; /* more, at random */
    unsigned lost;     /* of a thousand segments, each sent again 200 ms later, twice that, ... */
    int64_t now_ms, free_us;
    uint64_t said, taken;
    unsigned first, count;
    flight flights[FLIGHT_MAX];
    uint64_t most_queued_ms; /* what a frame said now would wait for the line */
    bool is_idle;            /* nothing to say */
} line;

static tmb_mono at(const line *l)
{
    tmb_mono now = {l->now_ms * 1000000};
    return now;
}

static void line_init(line *l, uint64_t rate, int64_t delay_ms)
{
    memset(l, 0, sizeof *l);
    l->rng.state = 7;
    l->rate = rate;
    l->delay_ms = delay_ms;
    tmb_pace_init(&l->pace, at(l));
}

static int64_t late_ms(line *l)
{
    int64_t ms = l->jitter_ms > 0 ? (int64_t)tmb_rng_below(&l->rng, (uint64_t)l->jitter_ms) : 0;
    for (int64_t again = 200; tmb_rng_below(&l->rng, 1000) < l->lost && again < 4000; again *= 2)
        ms += again;
    return ms;
}

static void say(line *l, uint32_t bytes)
{
    tmb_pace_say(&l->pace, bytes, 4 * bytes, at(l));
    for (uint64_t left = (uint64_t)bytes + 100; left > 0;) {
        uint64_t segment = left < 1400 ? left : 1400;
        int64_t now_us = l->now_ms * 1000;
        left -= segment;
        l->said += segment;
        l->free_us =
            (l->free_us > now_us ? l->free_us : now_us) + (int64_t)(segment * 1000000 / l->rate);
        assert_true(l->count < FLIGHT_MAX);
        l->flights[(l->first + l->count++) % FLIGHT_MAX] =
            (flight){l->said, l->free_us / 1000 + l->delay_ms + late_ms(l)};
    }
}

static void tick(line *l)
{
    l->now_ms += STEP_MS;
    while (l->count > 0 && l->flights[l->first].at_ms <= l->now_ms) {
        l->taken = l->flights[l->first].end;
        l->first = (l->first + 1) % FLIGHT_MAX;
        l->count--;
    }
    if (l->now_ms % LOOK_MS == 0)
        tmb_pace_told(&l->pace, l->said, l->taken, l->said, at(l));
    while (!l->is_idle && tmb_pace_has_room(&l->pace, 0) &&
           tmb_pace_paid_at(&l->pace).ns <= at(l).ns)
        say(l, tmb_pace_piece_bytes(&l->pace));
    int64_t queued = l->free_us / 1000 - l->now_ms;
    if (queued > 0 && (uint64_t)queued > l->most_queued_ms)
        l->most_queued_ms = (uint64_t)queued;
}

/* Bytes taken in so many milliseconds. */
static uint64_t run(line *l, int64_t ms)
{
    uint64_t before = l->taken;
    l->most_queued_ms = 0;
    for (int64_t end = l->now_ms + ms; l->now_ms < end;)
        tick(l);
    return l->taken - before;
}

static void fills_a_line_and_queues_little(void **state)
{
    static const uint64_t rates[] = {2500, 8000, 125000, 1250000};
    static const int64_t delays_ms[] = {1, 40, 600};
    (void)state;
    for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        for (unsigned k = 0; k < sizeof delays_ms / sizeof delays_ms[0]; k++) {
            line *l = calloc(1, sizeof *l);
            assert_non_null(l);
            line_init(l, rates[i], delays_ms[k]);
            (void)run(l, 15000);
            uint64_t got = run(l, 60000);
            uint64_t could = rates[i] * 60;
            print_message("%" PRIu64 " B/s, %" PRId64 " ms: %" PRIu64 " %%, %" PRIu64
                          " ms queued\n",
                          rates[i], delays_ms[k], got * 100 / could, l->most_queued_ms);
            /* The smallest window is so much of a line with this rate. */
            uint64_t least_ms = TMB_PACE_WINDOW_MIN * UINT64_C(1000) / rates[i];
            /* A line that is slow and long has room for a few frames only. */
            uint64_t percent = rates[i] >= 100000 ? 85 : 75;
            assert_true(got * 100 / could >= percent);
            assert_true(l->most_queued_ms <= 600 + least_ms + (uint64_t)delays_ms[k]);
            free(l);
        }
    }
}

static void follows_a_line_that_changes(void **state)
{
    line *l = calloc(1, sizeof *l);
    (void)state;
    assert_non_null(l);
    line_init(l, 125000, 50);
    (void)run(l, 20000);
    l->rate = 5000;
    (void)run(l, 30000);
    (void)run(l, 20000);
    assert_true(l->most_queued_ms <= 1200);
    l->rate = 125000;
    (void)run(l, 20000);
    assert_true(run(l, 20000) >= 125000 * 20 / 100 * 85);
    free(l);
}

static void does_not_collapse_with_loss(void **state)
{
    line *l = calloc(1, sizeof *l);
    (void)state;
    assert_non_null(l);
    line_init(l, 125000, 100);
    l->lost = 300;
    l->jitter_ms = 50;
    uint64_t got = run(l, 60000);
    print_message("30 %% loss: %" PRIu64 " bytes a second\n", got / 60);
    assert_true(got / 60 >= 3000);
    l->lost = 0;
    l->jitter_ms = 0;
    (void)run(l, 40000);
    assert_true(run(l, 20000) >= 125000 * 20 / 100 * 85);
    free(l);
}

static void begins_small_and_again_after_a_pause(void **state)
{
    line *l = calloc(1, sizeof *l);
    (void)state;
    assert_non_null(l);
    line_init(l, 1250000, 20);
    assert_int_equal(l->pace.window, TMB_PACE_WINDOW_FIRST);
    (void)run(l, 5000);
    assert_true(l->pace.window > 10 * TMB_PACE_WINDOW_FIRST);
    l->is_idle = true;
    (void)run(l, TMB_PACE_FORGET_MS + 2000);
    assert_int_equal(tmb_pace_outstanding(&l->pace), 0);
    say(l, 100);
    assert_int_equal(l->pace.window, TMB_PACE_WINDOW_FIRST);
    free(l);
}

static void a_cap_is_kept_and_used(void **state)
{
    static const uint64_t caps[] = {1000, 8000, 125000};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        line *l = calloc(1, sizeof *l);
        assert_non_null(l);
        line_init(l, 1250000, 30);
        tmb_pace_set_cap(&l->pace, caps[i]);
        (void)run(l, 5000);
        uint64_t got = run(l, 60000);
        print_message("cap %" PRIu64 ": %" PRIu64 "\n", caps[i], got / 60);
        assert_true(got <= caps[i] * 61 + 2048 && got >= caps[i] * 60 / 100 * 95);
        tmb_pace_set_cap(&l->pace, 0);
        assert_true(run(l, 10000) > 10 * caps[i] / 2);
        free(l);
    }
}

static void a_large_frame_waits_for_an_empty_line(void **state)
{
    tmb_pace pace;
    tmb_mono now = {0};
    (void)state;
    tmb_pace_init(&pace, now);
    assert_true(tmb_pace_has_room(&pace, 0));
    tmb_pace_say(&pace, 1 << 20, 1 << 20, now);
    assert_false(tmb_pace_has_room(&pace, 0));
    tmb_pace_told(&pace, 1 << 20, 1 << 20, 1 << 20, now);
    assert_true(tmb_pace_has_room(&pace, 0));
    for (unsigned i = 0; i < 2 * TMB_PACE_NOTES_MAX; i++)
        tmb_pace_say(&pace, 10, 10, now);
    assert_int_equal(pace.notes_count, TMB_PACE_NOTES_MAX);
}

static void what_cannot_be_parted_goes_where_it_is_soon_gone(void **state)
{
    static const struct {
        uint64_t rate, cap;
        bool may_go; /* 8 KiB */
    } lines[] = {{2500, 0, false}, {8000, 0, false}, {125000, 0, true}, {125000, 2500, false}};
    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        line *l = calloc(1, sizeof *l);
        assert_non_null(l);
        line_init(l, lines[i].rate, 40);
        tmb_pace_set_cap(&l->pace, lines[i].cap);
        assert_int_equal(tmb_pace_at_once(&l->pace), 0); /* not known yet */
        (void)run(l, 15000);
        assert_int_equal(tmb_pace_at_once(&l->pace) >= 8192, lines[i].may_go);
        assert_true(tmb_pace_at_once(&l->pace) <= lines[i].rate);
        free(l);
    }
    /* On a quiet line the rate is at least what it seems. */
    line *quiet = calloc(1, sizeof *quiet);
    assert_non_null(quiet);
    line_init(quiet, 125000, 40);
    quiet->is_idle = true;
    for (unsigned i = 0; i < 10; i++) {
        say(quiet, 300);
        (void)run(quiet, 1000);
    }
    assert_true(tmb_pace_at_once(&quiet->pace) >= 8192);
    free(quiet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_a_line_and_queues_little),
        cmocka_unit_test(follows_a_line_that_changes),
        cmocka_unit_test(does_not_collapse_with_loss),
        cmocka_unit_test(begins_small_and_again_after_a_pause),
        cmocka_unit_test(a_cap_is_kept_and_used),
        cmocka_unit_test(a_large_frame_waits_for_an_empty_line),
        cmocka_unit_test(what_cannot_be_parted_goes_where_it_is_soon_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
