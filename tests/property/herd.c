// SPDX-License-Identifier: Apache-2.0
/* A fleet that comes back, as a model of events: the children's waits are drawn by syncd/session/comeback.c,
 * the parent queues, refuses and gives slots by syncd/hub/admission.c. The parent does C handshakes a
 * second, one behind the other; a refusal costs it a twentieth of one; a child that hears nothing for 10 s
 * gives up.
 *
 * Told are t99 (99 of 100 are back) as a multiple of N/C, the arrivals of the worst second as a multiple of
 * C, and the attempts that were for nothing, by child. For an instant restart (all notice within half a
 * second) and after 300 s, with a window that is true and with one that is half of that. TMB_SEED sets the
 * first seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "syncd/hub/admission.h"
#include "syncd/session/comeback.h"

#define MS         INT64_C(1000000)
#define RATE       200 /* C */
#define TIMEOUT_MS 10000
#define SECONDS    4000
#define SEEDS      3

typedef struct herd_event {
    int64_t at_ns;
    uint64_t child; /* from 1; 0: the parent has done a handshake */
    bool is_timeout;
    unsigned dial;
} herd_event;

typedef struct herd_child {
    tmb_comeback back;
    tmb_rng rng;
    unsigned dial;
    bool is_back, is_waiting;
} herd_child;

typedef struct herd {
    tmb_admission admission;
    herd_child *children;
    unsigned count, back;
    herd_event *heap;
    size_t heap_count, heap_cap;
    uint64_t working; /* the child whose handshake is being done */
    int64_t up_ns, owed_ns, t99_ns;
    unsigned arrivals[SECONDS], attempts, timeouts;
} herd;

static bool is_before(const herd_event *a, const herd_event *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->child < b->child);
}

static void post(herd *h, int64_t at_ns, uint64_t child, bool is_timeout, unsigned dial)
{
    if (h->heap_count == h->heap_cap) {
        h->heap_cap = h->heap_cap * 2 + 1024;
        h->heap = realloc(h->heap, h->heap_cap * sizeof *h->heap);
        assert_non_null(h->heap);
    }
    herd_event event = {at_ns, child, is_timeout, dial};
    size_t i = h->heap_count++;
    while (i > 0 && is_before(&event, &h->heap[(i - 1) / 2])) {
        h->heap[i] = h->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->heap[i] = event;
}

static herd_event take(herd *h)
{
    herd_event top = h->heap[0], last = h->heap[--h->heap_count];
    size_t i = 0;
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= h->heap_count)
            break;
        if (k + 1 < h->heap_count && is_before(&h->heap[k + 1], &h->heap[k]))
            k++;
        if (!is_before(&h->heap[k], &last))
            break;
        h->heap[i] = h->heap[k];
        i = k;
    }
    h->heap[i] = last;
    return top;
}

static herd_child *child_of(herd *h, uint64_t number)
{
    return &h->children[number - 1];
}

static void wait_again(herd *h, uint64_t number, int64_t now_ns)
{
    herd_child *child = child_of(h, number);
    tmb_mono now = {now_ns};
    child->is_waiting = false;
    child->dial++;
    int64_t wait_ns = tmb_comeback_wait(&child->back, &child->rng, now).ns;
    post(h, now_ns + wait_ns, number, false, child->dial);
}

static void work(herd *h, int64_t now_ns)
{
    tmb_mono now = {now_ns};
    if (h->working != 0)
        return;
    h->working = tmb_admission_next(&h->admission, now);
    if (h->working == 0)
        return;
    post(h, now_ns + 1000 * MS / RATE + h->owed_ns, 0, false, 0);
    h->owed_ns = 0;
}

static void arrive(herd *h, uint64_t number, int64_t now_ns)
{
    herd_child *child = child_of(h, number);
    tmb_mono now = {now_ns};
    uint32_t wait_ms = 0;
    tmb_comeback_dialled(&child->back, now);
    if (now_ns < h->up_ns) {
        wait_again(h, number, now_ns);
        return;
    }
    int64_t second = (now_ns - h->up_ns) / (1000 * MS);
    assert_true(second < SECONDS);
    h->arrivals[second]++;
    h->attempts++;
    if (tmb_admission_arrive(&h->admission, number, now, &wait_ms)) {
        child->is_waiting = true;
        post(h, now_ns + TIMEOUT_MS * MS, number, true, child->dial);
        work(h, now_ns);
        return;
    }
    h->owed_ns += 1000 * MS / RATE / 20;
    tmb_comeback_refused(&child->back, wait_ms);
    wait_again(h, number, now_ns);
}

static void finish(herd *h, int64_t now_ns)
{
    herd_child *child = child_of(h, h->working);
    tmb_mono now = {now_ns};
    tmb_admission_done(&h->admission, now);
    if (child->is_waiting) {
        tmb_comeback_welcome(&child->back, tmb_admission_window_ms(&h->admission));
        child->is_waiting = false;
        child->is_back = true;
        h->back++;
        if (h->back == (h->count * 99 + 99) / 100)
            h->t99_ns = now_ns - h->up_ns;
    }
    h->working = 0;
    work(h, now_ns);
}

static void play(herd *h)
{
    while (h->back < h->count) {
        assert_true(h->heap_count > 0);
        herd_event event = take(h);
        if (event.child == 0) {
            finish(h, event.at_ns);
            continue;
        }
        herd_child *child = child_of(h, event.child);
        if (event.dial != child->dial || child->is_back)
            continue;
        if (!event.is_timeout) {
            arrive(h, event.child, event.at_ns);
        } else if (child->is_waiting) {
            h->timeouts++;
            (void)tmb_admission_forget(&h->admission, event.child);
            wait_again(h, event.child, event.at_ns);
        }
    }
}

/* As daemons have it: base 500 ms, cap 30 s. window_part: 1 is true, 2 half of it. */
static void set_up(herd *h, unsigned count, int64_t outage_ms, tmb_comeback_mode mode,
                   unsigned window_part, uint64_t seed)
{
    tmb_admission_options options = {.rate_mps = 0, .window_min = tmb_dur_ms(1000)};
    tmb_rng root = {seed};
    tmb_mono start = {0};
    memset(h, 0, sizeof *h);
    tmb_admission_init(&h->admission, &options);
    tmb_admission_set(&h->admission, count, RATE * 1000);
    h->count = count;
    h->up_ns = outage_ms * MS;
    h->children = calloc(count, sizeof *h->children);
    assert_non_null(h->children);
    for (unsigned i = 0; i < count; i++) {
        herd_child *child = &h->children[i];
        tmb_comeback_options how = {
            .mode = mode,
            .base = tmb_dur_ms(500),
            .cap = tmb_dur_ms(30000),
            .window = tmb_dur_ms(tmb_admission_window_ms(&h->admission) / window_part),
            .dial_gap = tmb_dur_ms(TMB_DIAL_GAP_MS)};
        child->rng.state = tmb_rng_next(&root);
        tmb_comeback_init(&child->back, &how, start);
        int64_t notice_ns = (int64_t)tmb_rng_below(&root, 500 * (uint64_t)MS);
        wait_again(h, i + 1, notice_ns);
    }
}

typedef struct figures {
    double t99, peak, wasted;
    unsigned timeouts;
} figures;

static figures run(unsigned count, int64_t outage_ms, tmb_comeback_mode mode, unsigned window_part,
                   uint64_t seed)
{
    static herd h;
    set_up(&h, count, outage_ms, mode, window_part, seed);
    play(&h);
    unsigned peak = 0;
    for (unsigned i = 0; i < SECONDS; i++)
        peak = h.arrivals[i] > peak ? h.arrivals[i] : peak;
    figures f = {(double)h.t99_ns / 1e9 / ((double)count / RATE), (double)peak / RATE,
                 (double)(h.attempts - count) / count, h.timeouts};
    printf("N %6u outage %3d s %s seed %llu: t99 %5.2f N/C, peak %5.2f C, wasted %5.2f\n", count,
           (int)(outage_ms / 1000),
           mode == TMB_COMEBACK_WINDOW ? (window_part == 1 ? "true W" : "half W") : "jitter",
           (unsigned long long)seed, f.t99, f.peak, f.wasted);
    free(h.children);
    free(h.heap);
    return f;
}

static uint64_t first_seed(void)
{
    const char *text = getenv("TMB_SEED");
    return text ? strtoull(text, NULL, 10) : 1;
}

static void check(unsigned count, int64_t outage_ms)
{
    for (uint64_t seed = first_seed(); seed < first_seed() + SEEDS; seed++) {
        for (unsigned part = 1; part <= 2; part++) {
            figures f = run(count, outage_ms, TMB_COMEBACK_WINDOW, part, seed);
            assert_true(f.t99 <= 1.3);
            assert_true(f.peak <= (part == 1 ? 1.2 : 3.0));
            assert_true(f.wasted <= 1.1);
            assert_int_equal(f.timeouts, 0);
        }
    }
}

static void five_hundred(void **state)
{
    (void)state;
    check(500, 0);
    check(500, 300000);
}

static void five_thousand(void **state)
{
    (void)state;
    check(5000, 0);
    check(5000, 300000);
}

static void a_hundred_thousand(void **state)
{
    (void)state;
    check(100000, 0);
    check(100000, 300000);
}

/* What it is for: the same fleet with full jitter alone is slower or tramples. And the model can tell. */
static void full_jitter_is_worse(void **state)
{
    (void)state;
    uint64_t seed = first_seed();
    assert_true(run(500, 300000, TMB_COMEBACK_FULL, 1, seed).t99 > 3);
    assert_true(run(5000, 0, TMB_COMEBACK_FULL, 1, seed).peak > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_hundred),
        cmocka_unit_test(five_thousand),
        cmocka_unit_test(a_hundred_thousand),
        cmocka_unit_test(full_jitter_is_worse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
