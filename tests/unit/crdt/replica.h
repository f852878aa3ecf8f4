// SPDX-License-Identifier: Apache-2.0
/* tests/unit/crdt/replica.h - a replica of one leaf, for tests: changes it, and joins what another has.
 *
 * Values of entries live in the replica that made them; they outlive all joins of one test.
 */
#ifndef TMB_TESTS_UNIT_CRDT_REPLICA_H
#define TMB_TESTS_UNIT_CRDT_REPLICA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crdt/type.h"

#define ROOM 4096

typedef struct replica {
    tmb_type type;
    tmb_incarnation self;
    uint64_t last;
    tmb_leaf leaf;
    tmb_context clock;
    tmb_context_room room;
    tmb_delta delta;
    uint8_t bytes[ROOM];
    size_t used;
} replica;

static inline tmb_incarnation actor(uint8_t which)
{
    tmb_incarnation a = {{which}};
    return a;
}

static inline tmb_dot dot(uint8_t which, uint64_t seq)
{
    tmb_dot d = {actor(which), seq};
    return d;
}

static inline void replica_begin(replica *r, tmb_type type, uint8_t which)
{
    r->type = type;
    r->self = actor(which);
    r->last = 0;
    r->leaf.count = 0;
    r->clock = tmb_context_in(&r->room);
    r->used = 0;
}

static inline void replica_take(replica *r, const tmb_leaf *leaf, const tmb_context *context)
{
    tmb_leaf joined;
    bool is_forked = true;
    assert_int_equal(tmb_leaf_join(&r->leaf, (tmb_seen){&r->clock, NULL}, leaf,
                                   (tmb_seen){context, NULL}, &joined, &is_forked),
                     TMB_OK);
    assert_false(is_forked);
    r->leaf = joined;
    assert_int_equal(tmb_context_join(&r->clock, context), TMB_OK);
}

static inline void replica_join(replica *r, const replica *other)
{
    replica_take(r, &other->leaf, &other->clock);
}

/* Applies a change; false: it was nothing. observed: NULL for all. */
static inline bool replica_change_seen(replica *r, const tmb_change *change,
                                       const tmb_context *observed)
{
    tmb_dot next = {r->self, r->last + 1};
    assert_true(ROOM - r->used >= tmb_change_room(change));
    assert_int_equal(tmb_change_delta(r->type, change, &r->leaf, observed, &next,
                                      r->bytes + r->used, ROOM - r->used, &r->delta),
                     TMB_OK);
    if (r->delta.is_nothing) {
        assert_int_equal(r->delta.leaf.count, 0);
        assert_true(tmb_context_is_empty(&r->delta.context));
        return false;
    }
    r->used += tmb_change_room(change);
    r->last++;
    assert_true(tmb_context_has(&r->delta.context, &next));
    if (r->delta.leaf.count == 1)
        assert_true(tmb_type_is_value_valid(r->type, r->delta.leaf.entries[0].value));
    replica_take(r, &r->delta.leaf, &r->delta.context);
    return true;
}

static inline bool replica_change(replica *r, const tmb_change *change)
{
    return replica_change_seen(r, change, NULL);
}

static inline bool replica_do(replica *r, tmb_verb verb)
{
    tmb_change change = {.verb = verb};
    return replica_change(r, &change);
}

static inline bool replica_amount(replica *r, tmb_verb verb, uint64_t amount)
{
    tmb_change change = {.verb = verb, .amount = amount};
    return replica_change(r, &change);
}

static inline bool replica_value(replica *r, tmb_verb verb, uint64_t stamp, const char *text)
{
    tmb_change change = {.verb = verb, .stamp = {stamp}, .value = tmb_bytes_str(text)};
    return replica_change(r, &change);
}

#endif
