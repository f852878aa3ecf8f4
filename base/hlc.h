// SPDX-License-Identifier: Apache-2.0
/* base/hlc.h - hybrid logical clock: 48 bits of Unix milliseconds, 16 bits of counter, in one u64.
 *
 * Stamps of one clock strictly increase, whatever the wall clock does. Order of stamps is the order of
 * the numbers. Source: Kulkarni et al., "Logical Physical Clocks", 2014, figure 5 (send or local event).
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

#ifdef __cplusplus
}
#endif
#endif
