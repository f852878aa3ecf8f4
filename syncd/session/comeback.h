// SPDX-License-Identifier: Apache-2.0
/* syncd/session/comeback.h - when to dial the parent again, so that a fleet does not trample it.
 *
 * window        The parent's WELCOME says in how many seconds (W) its children should spread. The first try
 *               after a loss comes at a random phase in the first 17 twentieths of W (the rest is for
 *               noticing the loss, and for the handshakes), each retry nine tenths of W to a whole W after
 *               the one before. So two tries are never more than W apart: W after the parent is there again,
 *               all have come; and they come at W's pace whether it was away for a second or for a day.
 *               Without a W: full jitter.
 * full          uniform in [0, min(cap, base * 2^failed)]
 * decorrelated  min(cap, uniform in [base, 3 * the wait before])
 *
 * Whatever the mode: a slot (BYE(BUSY, wait_ms)) takes the place of the next wait; two dials are dial_gap
 * apart; and retries are paid from a budget (10 to begin with, a dial costs 1, a WELCOME earns 0.1, time
 * earns 1 in as long as the mode's own retries take), so that a line that goes up and down all the time does
 * not dial faster, in the long run, than one that is down.
 *
 * What the parent says is clamped: W to [TMB_WINDOW_MS_MIN, TMB_WINDOW_MS_MAX], slots to
 * [TMB_SLOT_MS_MIN, TMB_SLOT_MS_MAX].
 *
 * Source: decorrelated jitter M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
 * 2015; the budget his "Fixing retries with token buckets and circuit breakers", 2022; the
 * window docs/adr/0024-children-come-back-in-a-window.md.
 * Threads: none. Cost: none; no allocation.
 */
#ifndef TMB_SYNCD_SESSION_COMEBACK_H
#define TMB_SYNCD_SESSION_COMEBACK_H

#include <stdbool.h>

#include "base/limits.h"
#include "base/rng.h"
#include "base/time.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_DIAL_GAP_MS 1000 /* at most one CONNECT a second */

typedef enum tmb_comeback_mode {
    TMB_COMEBACK_WINDOW = 0,
    TMB_COMEBACK_FULL,
    TMB_COMEBACK_DECORRELATED
} tmb_comeback_mode;

typedef struct tmb_comeback_options {
    tmb_comeback_mode mode;
    tmb_dur base, cap; /* base above 0, cap at least base */
    tmb_dur window;    /* as kept from an earlier run; 0: none */
    tmb_dur dial_gap;  /* 0: none */
} tmb_comeback_options;

/* Caller's memory; fields are read by status and tests, written by comeback.c alone. */
typedef struct tmb_comeback {
    tmb_comeback_options options;
    tmb_dur window, slot; /* 0: none */
    bool is_retry;        /* the first wait since the last WELCOME has been drawn */
    unsigned dials;       /* since the last WELCOME */
    tmb_dur last_wait;    /* of decorrelated */
    uint32_t budget;      /* thousandths of a dial */
    tmb_mono filled, dialled;
    uint64_t slots, budget_spent; /* slots taken; waits that the budget made longer */
} tmb_comeback;

void tmb_comeback_init(tmb_comeback *c, const tmb_comeback_options *options, tmb_mono now);

/* tmb_comeback_waits_to_start says whether the very first dial should be waited for, too: a power cut over a
 * whole region is a herd that has never been connected. */
bool tmb_comeback_waits_to_start(const tmb_comeback *c);

/* tmb_comeback_welcome: the parent said WELCOME with window_ms; 0: it does not say, the last one stays. */
void tmb_comeback_welcome(tmb_comeback *c, uint32_t window_ms);

/* tmb_comeback_retold: the parent says window_ms in the middle of a session; 0: it says nothing. */
void tmb_comeback_retold(tmb_comeback *c, uint32_t window_ms);

/* tmb_comeback_refused: BYE(BUSY, wait_ms). 0: it does not say: waits like after a failed dial. */
void tmb_comeback_refused(tmb_comeback *c, uint32_t wait_ms);

void tmb_comeback_dialled(tmb_comeback *c, tmb_mono now);

/* tmb_comeback_wait is for when a link is lost or a dial has failed: how long until the next dial. Draws one
 * number from rng, or none. */
tmb_dur tmb_comeback_wait(tmb_comeback *c, tmb_rng *rng, tmb_mono now);

/* tmb_comeback_elsewhere: the next dial goes to another parent, whose window, if it has ever said one, was
 * window_ms (0: none). A slot was the other one's; the budget is ours and stays. */
void tmb_comeback_elsewhere(tmb_comeback *c, uint32_t window_ms);

/* tmb_window_clamp: of what a parent or a file says; 0 stays 0. */
uint32_t tmb_window_clamp(uint32_t window_ms);

#ifdef __cplusplus
}
#endif
#endif
