// SPDX-License-Identifier: Apache-2.0
/* tests/property/seeds.h - which seeds a property test plays, and which it was when something broke.
 *
 * TMB_SEED=N (1 or more) plays that one; TMB_RUNS=N so many; TMB_LONG=1 twenty times as many as usual.
 * Sanitizers are slow: an eighth. Each test that plays seeds has seeds_tell as its teardown.
 */
#ifndef TMB_TESTS_PROPERTY_SEEDS_H
#define TMB_TESTS_PROPERTY_SEEDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SEEDS_SLOWNESS 8u
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SEEDS_SLOWNESS 8u
#endif
#endif
#ifndef SEEDS_SLOWNESS
#define SEEDS_SLOWNESS 1u
#endif

static uint64_t seeds_now; /* the one that is played */

static inline uint64_t seeds_count(uint64_t usual)
{
    const char *runs = getenv("TMB_RUNS");
    if (getenv("TMB_SEED"))
        return 1;
    if (getenv("TMB_LONG"))
        return usual * 20;
    return runs ? strtoull(runs, NULL, 10) : (usual + SEEDS_SLOWNESS - 1) / SEEDS_SLOWNESS;
}

static inline uint64_t seeds_first(void)
{
    const char *only = getenv("TMB_SEED");
    return only ? strtoull(only, NULL, 10) : 1;
}

static inline int seeds_tell(void **state)
{
    (void)state;
    print_message("the last was seed %llu\n", (unsigned long long)seeds_now);
    return 0;
}

/* for (uint64_t seed = 0; seeds_next(&seed, 2000);) plays them. */
static inline bool seeds_next(uint64_t *seed, uint64_t usual)
{
    uint64_t first = seeds_first();
    *seed = *seed == 0 ? first : *seed + 1;
    if (*seed - first >= seeds_count(usual))
        return false;
    seeds_now = *seed;
    return true;
}

#endif
