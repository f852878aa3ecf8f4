// SPDX-License-Identifier: Apache-2.0
/* base/rng.h - a small seeded generator for jitter and for tests; not for secrets.
 *
 * Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (SplitMix64), 2014.
 * The state is one number, so it can be written to disk and go on where it stopped. Threads: none.
 */
#ifndef TMB_BASE_RNG_H
#define TMB_BASE_RNG_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_rng {
    uint64_t state;
} tmb_rng;

uint64_t tmb_rng_next(tmb_rng *rng);

/* tmb_rng_below gives a number in [0, n), without bias that matters below 2^48; n > 0. */
uint64_t tmb_rng_below(tmb_rng *rng, uint64_t n);

#ifdef __cplusplus
}
#endif
#endif
