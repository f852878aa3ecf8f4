// SPDX-License-Identifier: Apache-2.0
/* crdt/dot.h - the name of one change: who made it, and which of his changes it is.
 *
 * A dot is given once. Each change of a scope takes one, removals among them; an actor is one incarnation of
 * one node, so that what is restored or copied never gives a dot again.
 * Source: Bieniusa et al., "An Optimized Conflict-free Replicated Set", 2012; Almeida, Shoker, Baquero,
 * "Delta State Replicated Data Types", 2018, section 7.
 * Threads: none, values.
 */
#ifndef TMB_CRDT_DOT_H
#define TMB_CRDT_DOT_H

#include "base/incarnation.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_dot {
    tmb_incarnation actor;
    uint64_t seq; /* from 1 on, without holes; at most TMB_SEQ_MAX */
} tmb_dot;

/* The order of canonical forms: by actor, then by number. */
static inline int tmb_dot_cmp(const tmb_dot *a, const tmb_dot *b)
{
    int order = tmb_incarnation_cmp(&a->actor, &b->actor);
    if (order != 0)
        return order;
    return (a->seq > b->seq) - (a->seq < b->seq);
}

#ifdef __cplusplus
}
#endif
#endif
