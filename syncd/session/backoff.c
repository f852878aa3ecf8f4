// SPDX-License-Identifier: Apache-2.0
/* syncd/session/backoff.c - see syncd/session/backoff.h. */
#include "syncd/session/backoff.h"

#include "base/err.h"

tmb_dur tmb_backoff_wait(tmb_rng *rng, unsigned attempt, tmb_dur base, tmb_dur cap)
{
    TMB_ASSERT(base.ns > 0 && cap.ns > 0);
    int64_t limit_ns = base.ns < cap.ns ? base.ns : cap.ns;
    for (unsigned i = 0; i < attempt && limit_ns < cap.ns; i++)
        limit_ns = limit_ns > cap.ns / 2 ? cap.ns : limit_ns * 2;
    tmb_dur wait = {(int64_t)tmb_rng_below(rng, (uint64_t)limit_ns + 1)};
    return wait;
}
