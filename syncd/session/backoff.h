// SPDX-License-Identifier: Apache-2.0
/* syncd/session/backoff.h - how long to wait before the next dial: full jitter.
 *
 * wait = uniform in [0, min(cap, base * 2^attempt)]. Source: M. Brooker, "Exponential Backoff And Jitter",
 * AWS Architecture Blog, 2015. Threads: none. Cost: none.
 */
#ifndef TMB_SYNCD_SESSION_BACKOFF_H
#define TMB_SYNCD_SESSION_BACKOFF_H

#include "base/rng.h"
#include "base/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* attempt: failed dials in a row, from 0. base, cap: above 0. Draws one number from rng. */
tmb_dur tmb_backoff_wait(tmb_rng *rng, unsigned attempt, tmb_dur base, tmb_dur cap);

#ifdef __cplusplus
}
#endif
#endif
