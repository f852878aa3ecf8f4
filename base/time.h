// SPDX-License-Identifier: Apache-2.0
/* base/time.h - instants and durations as types that do not mix by accident.
 *
 * tmb_mono: an instant of a clock that never steps back (for deadlines). tmb_wall: what the box thinks
 * the date is, milliseconds since 1970 (for stamps people read). Core code is handed both, never reads
 * them. Threads: none, values.
 */
#ifndef TMB_BASE_TIME_H
#define TMB_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_mono {
    int64_t ns;
} tmb_mono;

typedef struct tmb_dur {
    int64_t ns;
} tmb_dur;

typedef struct tmb_wall {
    int64_t ms;
} tmb_wall;

/* The deadline of somebody who waits for no time. */
static inline tmb_mono tmb_mono_never(void)
{
    tmb_mono t = {INT64_MAX};
    return t;
}

static inline tmb_dur tmb_dur_ms(int64_t ms)
{
    tmb_dur d = {ms * 1000000};
    return d;
}

/* tmb_mono_after gives t + d, saturating at never. */
static inline tmb_mono tmb_mono_after(tmb_mono t, tmb_dur d)
{
    tmb_mono r = {d.ns > INT64_MAX - t.ns ? INT64_MAX : t.ns + d.ns};
    return r;
}

/* tmb_mono_is_due says whether the deadline has come at now. */
static inline bool tmb_mono_is_due(tmb_mono deadline, tmb_mono now)
{
    return deadline.ns != INT64_MAX && now.ns >= deadline.ns;
}

static inline tmb_mono tmb_mono_min(tmb_mono a, tmb_mono b)
{
    return a.ns < b.ns ? a : b;
}

#ifdef __cplusplus
}
#endif
#endif
