// SPDX-License-Identifier: Apache-2.0
/* base/incarnation.h - one life of something that numbers what it makes: 16 random bytes.
 *
 * A journal has one, and so has a node's share in a scope of state. What was restored from a backup or copied
 * goes on under a new one, so that no number is ever given twice under the same.
 * Threads: none, values. Cost: a compare of 16 bytes.
 */
#ifndef TMB_BASE_INCARNATION_H
#define TMB_BASE_INCARNATION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_INCARNATION_BYTES 16u

typedef struct tmb_incarnation {
    uint8_t bytes[TMB_INCARNATION_BYTES];
} tmb_incarnation;

static inline bool tmb_incarnation_eq(tmb_incarnation a, tmb_incarnation b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

/* An order for canonical forms; it means nothing else. */
static inline int tmb_incarnation_cmp(const tmb_incarnation *a, const tmb_incarnation *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

#ifdef __cplusplus
}
#endif
#endif
