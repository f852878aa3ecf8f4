// SPDX-License-Identifier: Apache-2.0
/* tests/bench/histogram.h - durations in buckets that grow by an eighth, for percentiles.
 *
 * Threads: none. Cost: a few instructions a sample; the error of a percentile is at most 12.5 %.
 */
#ifndef TMB_TESTS_BENCH_HISTOGRAM_H
#define TMB_TESTS_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 512

typedef struct histogram {
    uint64_t count;
    uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram;

/* Eight buckets for each power of two; below 8 each number has its own. */
static inline unsigned histogram_bucket(uint64_t value)
{
    if (value < 8)
        return (unsigned)value;
    unsigned log2 = 63u - (unsigned)__builtin_clzll(value);
    return (log2 - 2) * 8 + (unsigned)(value >> (log2 - 3) & 7);
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
            return i < 8 ? i : (uint64_t)(8 + i % 8) << (i / 8 - 1);
    }
    return 0;
}

#endif
