// SPDX-License-Identifier: Apache-2.0
/* syncd/session/comeback.c - see syncd/session/comeback.h. */
#include "syncd/session/comeback.h"

#include <string.h>

#include "base/err.h"
#include "syncd/session/backoff.h"

#define DIAL_COSTS   1000u /* of the budget's thousandths */
#define WELCOME_PAYS 100u
#define FIRST_PARTS  17 /* of 20 of the window: noticing the loss and the handshakes take the rest */
#define BUDGET_MAX   10000u

uint32_t tmb_window_clamp(uint32_t window_ms)
{
    if (window_ms == 0)
        return 0;
    if (window_ms < TMB_WINDOW_MS_MIN)
        return TMB_WINDOW_MS_MIN;
    return window_ms < TMB_WINDOW_MS_MAX ? window_ms : TMB_WINDOW_MS_MAX;
}

static bool has_window(const tmb_comeback *c)
{
    return c->options.mode == TMB_COMEBACK_WINDOW && c->window.ns > 0;
}

void tmb_comeback_init(tmb_comeback *c, const tmb_comeback_options *options, tmb_mono now)
{
    TMB_ASSERT(options->base.ns > 0 && options->cap.ns >= options->base.ns);
    TMB_ASSERT(options->window.ns >= 0 && options->dial_gap.ns >= 0);
    memset(c, 0, sizeof *c);
    c->options = *options;
    c->window = options->window;
    c->budget = BUDGET_MAX;
    c->filled = now;
    c->dialled.ns = INT64_MIN;
}

bool tmb_comeback_waits_to_start(const tmb_comeback *c)
{
    return has_window(c);
}

void tmb_comeback_retold(tmb_comeback *c, uint32_t window_ms)
{
    if (window_ms != 0)
        c->window = tmb_dur_ms(tmb_window_clamp(window_ms));
}

void tmb_comeback_welcome(tmb_comeback *c, uint32_t window_ms)
{
    tmb_comeback_retold(c, window_ms);
    c->slot.ns = 0;
    c->is_retry = false;
    c->dials = 0;
    c->last_wait.ns = 0;
    c->budget = c->budget < BUDGET_MAX - WELCOME_PAYS ? c->budget + WELCOME_PAYS : BUDGET_MAX;
}

void tmb_comeback_elsewhere(tmb_comeback *c, uint32_t window_ms)
{
    c->window = tmb_dur_ms(tmb_window_clamp(window_ms));
    c->slot = tmb_dur_ms(0);
    c->is_retry = false;
    c->dials = 0;
}

void tmb_comeback_refused(tmb_comeback *c, uint32_t wait_ms)
{
    if (wait_ms == 0)
        return;
    if (wait_ms < TMB_SLOT_MS_MIN)
        wait_ms = TMB_SLOT_MS_MIN;
    c->slot = tmb_dur_ms(wait_ms < TMB_SLOT_MS_MAX ? wait_ms : TMB_SLOT_MS_MAX);
}

/* How long the mode's own retries take at the least, or, of those that are all random, a good part of it. */
static int64_t fill_ns(const tmb_comeback *c)
{
    int64_t ns = has_window(c) ? c->window.ns / 10 * 9 : c->options.cap.ns / 4;
    return ns > 0 ? ns : 1;
}

/* Microseconds: a thousandth of an hour fits, and so does the product below. */
static void fill(tmb_comeback *c, tmb_mono now)
{
    int64_t fill_us = fill_ns(c) / 1000 + 1, passed_us = (now.ns - c->filled.ns) / 1000;
    int64_t most_us = fill_us > INT64_MAX / 20000 ? INT64_MAX / 2000 : fill_us * 10;
    if (passed_us > most_us)
        passed_us = most_us;
    uint64_t earned = (uint64_t)passed_us * DIAL_COSTS / (uint64_t)fill_us;
    if (earned == 0)
        return; /* `filled` stays, so that many short waits add up */
    c->filled = now;
    c->budget = c->budget + earned < BUDGET_MAX ? (uint32_t)(c->budget + earned) : BUDGET_MAX;
}

void tmb_comeback_dialled(tmb_comeback *c, tmb_mono now)
{
    fill(c, now);
    c->budget = c->budget > DIAL_COSTS ? c->budget - DIAL_COSTS : 0;
    c->dialled = now;
    c->dials++;
}

static tmb_dur draw_decorrelated(tmb_comeback *c, tmb_rng *rng)
{
    int64_t base_ns = c->options.base.ns, cap_ns = c->options.cap.ns;
    int64_t last_ns = c->last_wait.ns > base_ns ? c->last_wait.ns : base_ns;
    int64_t most_ns = last_ns > INT64_MAX / 3 ? INT64_MAX : last_ns * 3;
    int64_t wait_ns = base_ns + (int64_t)tmb_rng_below(rng, (uint64_t)(most_ns - base_ns) + 1);
    c->last_wait.ns = wait_ns < cap_ns ? wait_ns : cap_ns; /* so the cap itself is drawn often */
    return c->last_wait;
}

static tmb_dur draw(tmb_comeback *c, tmb_rng *rng)
{
    tmb_dur wait = {0};
    if (has_window(c)) {
        int64_t part_ns = c->window.ns / 20;
        uint64_t width = (uint64_t)((c->is_retry ? 2 : FIRST_PARTS) * part_ns);
        wait.ns = (c->is_retry ? 18 * part_ns : 0) + (int64_t)tmb_rng_below(rng, width + 1);
    } else if (c->options.mode == TMB_COMEBACK_DECORRELATED) {
        wait = draw_decorrelated(c, rng);
    } else {
        wait =
            tmb_backoff_wait(rng, c->dials > 0 ? c->dials - 1 : 0, c->options.base, c->options.cap);
    }
    c->is_retry = true;
    return wait;
}

/* Not before there is a whole dial in the budget. */
static tmb_dur wait_for_budget(tmb_comeback *c, tmb_dur wait, tmb_mono now)
{
    fill(c, now);
    if (c->budget >= DIAL_COSTS)
        return wait;
    int64_t lacks_ns = fill_ns(c) / DIAL_COSTS * (int64_t)(DIAL_COSTS - c->budget);
    if (lacks_ns <= wait.ns)
        return wait;
    c->budget_spent++;
    wait.ns = lacks_ns;
    return wait;
}

tmb_dur tmb_comeback_wait(tmb_comeback *c, tmb_rng *rng, tmb_mono now)
{
    tmb_dur wait = c->slot;
    if (wait.ns > 0) {
        c->slot.ns = 0;
        c->slots++;
        c->is_retry = true;
    } else {
        wait = wait_for_budget(c, draw(c, rng), now);
    }
    if (c->dialled.ns != INT64_MIN) {
        int64_t since_ns = now.ns - c->dialled.ns;
        if (wait.ns < c->options.dial_gap.ns - since_ns)
            wait.ns = c->options.dial_gap.ns - since_ns;
    }
    return wait;
}
