// SPDX-License-Identifier: Apache-2.0
/* base/rng.c - see base/rng.h. */
#include "base/rng.h"

#include "base/err.h"

uint64_t tmb_rng_next(tmb_rng *rng)
{
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t tmb_rng_below(tmb_rng *rng, uint64_t n)
{
    TMB_ASSERT(n > 0);
    return tmb_rng_next(rng) % n;
}
