// SPDX-License-Identifier: Apache-2.0
/* base/hlc.h - hybrid logical clock: 48 bits of Unix milliseconds, 16 bits of counter, in one u64.
 *
 * Stamps of one clock strictly increase, whatever the wall clock does. Order of stamps is the order of
 * the numbers. Source: Kulkarni et al., "Logical Physical Clocks", 2014, figure 5 (send or local event, and
 * receive, of which only what is not far ahead is taken: a wrong clock does not carry all others with it).
 * Threads: none, the caller serialises. Cost: a few instructions.
 */
#ifndef TMB_BASE_HLC_H
#define TMB_BASE_HLC_H

#include "base/time.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_hlc {
    uint64_t u64;
} tmb_hlc;

static inline tmb_wall tmb_hlc_wall(tmb_hlc stamp)
{
    tmb_wall w = {(int64_t)(stamp.u64 >> 16)};
    return w;
}

/* tmb_hlc_next gives the stamp of a local event at wall time now, greater than last (the last stamp given
 * or read back from disk; {0} for none). A counter that overflows moves on to the next millisecond. */
tmb_hlc tmb_hlc_next(tmb_hlc last, tmb_wall now);

/* A stamp from elsewhere that is so much ahead of the time here is not followed; what it stamps is taken like
 * anything else. */
#define TMB_HLC_DRIFT_MS_MAX (5 * 60 * 1000)

/* tmb_hlc_is_ahead says whether stamp lies more than that ahead of now. Behind does not matter: who was away
 * for weeks comes with old stamps. */
static inline bool tmb_hlc_is_ahead(tmb_hlc stamp, tmb_wall now)
{
    int64_t ms = tmb_hlc_wall(stamp).ms;
    return ms > TMB_HLC_DRIFT_MS_MAX && now.ms < ms - TMB_HLC_DRIFT_MS_MAX;
}

/* tmb_hlc_fold gives the clock's last stamp after remote was heard of at wall time now: the next one given is
 * behind both, unless remote is too far ahead. */
static inline tmb_hlc tmb_hlc_fold(tmb_hlc last, tmb_hlc remote, tmb_wall now)
{
    return remote.u64 > last.u64 && !tmb_hlc_is_ahead(remote, now) ? remote : last;
}

#ifdef __cplusplus
}
#endif
#endif
