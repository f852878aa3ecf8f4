// SPDX-License-Identifier: Apache-2.0
/* tests/bench/histogram.h - durations in buckets that grow by a 64th, for percentiles.
 *
 * Threads: none. Cost: a few instructions a sample; the error of a percentile is at most 1.6 %.
 */
#ifndef TMB_TESTS_BENCH_HISTOGRAM_H
#define TMB_TESTS_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS   64 /* a power of two: 1 << HISTOGRAM_BITS */
#define HISTOGRAM_BITS    6
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) * HISTOGRAM_STEPS)

typedef struct histogram {
    uint64_t count;
    uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram;

/* 64 buckets for each power of two; below 64 each number has its own. */
static inline unsigned histogram_bucket(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (unsigned)value;
    unsigned log2 = 63u - (unsigned)__builtin_clzll(value);
    return (log2 - HISTOGRAM_BITS + 1) * HISTOGRAM_STEPS +
           (unsigned)(value >> (log2 - HISTOGRAM_BITS) & (HISTOGRAM_STEPS - 1));
}

static inline void histogram_add(histogram *h, uint64_t value)
{
    h->buckets[histogram_bucket(value)]++;
    h->count++;
}

/* The least value of the bucket below which the share permille of the samples lies. */
static inline uint64_t histogram_at(const histogram *h, uint64_t permille)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > 0 && seen * 1000 >= h->count * permille)
            return i < HISTOGRAM_STEPS ? i
                                       : (uint64_t)(HISTOGRAM_STEPS + i % HISTOGRAM_STEPS)
                                             << (i / HISTOGRAM_STEPS - 1);
    }
    return 0;
}

#endif
