// SPDX-License-Identifier: Apache-2.0
/* sim/chance.h - the random numbers of a simulated world: a stream of its own for each subsystem, so that one
 * more draw in one of them does not shift the others. Threads: none. */
#ifndef TMB_SIM_CHANCE_H
#define TMB_SIM_CHANCE_H

#include "base/rng.h"

#include <stdbool.h>

/* sim_stream begins the stream called name (FNV-1a) of a seed. */
static inline tmb_rng sim_stream(uint64_t seed, const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    tmb_rng rng = {seed ^ hash};
    rng.state = tmb_rng_next(&rng);
    return rng;
}

static inline bool sim_chance(tmb_rng *rng, unsigned of_thousand)
{
    return tmb_rng_below(rng, 1000) < of_thousand;
}

/* sim_span draws an instant in [0, ns). */
static inline int64_t sim_span(tmb_rng *rng, int64_t ns)
{
    return ns > 0 ? (int64_t)tmb_rng_below(rng, (uint64_t)ns) : 0;
}

/* sim_between draws a duration of from_ms to to_ms, in nanoseconds; from_ms below to_ms. */
static inline int64_t sim_between(tmb_rng *rng, int64_t from_ms, int64_t to_ms)
{
    return from_ms * 1000000 + sim_span(rng, (to_ms - from_ms) * 1000000);
}

#endif
