// SPDX-License-Identifier: Apache-2.0
/* tests/property/world.h - a few replicas of one scope in memory, on the real crdt/, each beside its oracle.
 *
 *   m, m/reg m/up m/pn m/max m/min m/aw{x,y,z} m/rw{x} m/gs{x,y,z} m/on m/off, m/n (a map in it), m/n/reg
 *
 * A replica is what a store holds: leaves, what is known of each beyond the clock, the clock, an incarnation.
 * world_do changes it as the store does (delta, join, clock); world_sync carries leaves from one to another,
 * all of them and the clock, or some of them. Every call does the same to the oracle, and world_check wants
 * every leaf of a replica to read as the oracle says, to be in its one form, and to know its own entries.
 */
#ifndef TMB_TESTS_PROPERTY_WORLD_H
#define TMB_TESTS_PROPERTY_WORLD_H

#include "base/rng.h"
#include "crdt/leaf.h"
#include "crdt/type.h"
#include "tests/property/oracle.h"

enum {
    WORLD_LEAVES = 17,
    WORLD_ACTORS = 12, /* incarnations that ever write */
    WORLD_RUNS = 96,
    WORLD_DELTAS = 256,
    WORLD_BYTES = 1 << 16, /* values of one history */
    WORLD_LEAF_BYTES = 8192,
    WORLD_TOKENS = 4
};

/* A context with its room: copied by world_context_copy only. */
typedef struct world_context {
    tmb_context context;
    tmb_base bases[WORLD_ACTORS];
    tmb_run runs[WORLD_RUNS];
} world_context;

typedef struct world_leaf {
    tmb_leaf leaf;
    world_context extra;
} world_leaf;

typedef struct world_replica {
    tmb_incarnation self;
    uint64_t last;
    world_context clock;
    world_leaf leaves[WORLD_LEAVES];
} world_replica;

/* One change, as it was joined. */
typedef struct world_delta {
    unsigned leaf;
    tmb_leaf entries;
    world_context context;
} world_delta;

/* What a client had read of one replica. */
typedef struct world_token {
    bool is_set;
    unsigned replica;
    world_context contexts[WORLD_LEAVES];
    oracle_set seen[WORLD_LEAVES];
} world_token;

typedef struct world {
    unsigned replicas_count, actors_count, used;
    world_replica replicas[ORACLE_REPLICAS_MAX];
    oracle oracle;
    world_token tokens[WORLD_TOKENS];
    bool is_logging; /* keeps deltas */
    unsigned deltas_count;
    world_delta deltas[WORLD_DELTAS];
    uint8_t bytes[WORLD_BYTES];
} world;

/* A leaf of the world: where it is, and the verbs that change it. */
typedef struct world_place {
    const char *path, *elem;
    tmb_type type;
    oracle_kind kind;
    tmb_verb verbs[4];
    unsigned verbs_count;
} world_place;
extern const world_place world_places[WORLD_LEAVES];

void world_init(world *w, unsigned replicas);

/* world_do: false if the change is nothing. token: NULL, or what the client had read. number: a register's
 * value or an extreme's (below 256), or how much is counted. */
bool world_do(world *w, unsigned replica, unsigned leaf, tmb_verb verb, uint64_t stamp,
              unsigned number, const world_token *token);

/* world_del removes all at path and below it; gives how many leaves that changed. */
unsigned world_del(world *w, unsigned replica, const char *path, const world_token *token);

/* world_sync: from tells to its leaves, those of mask; all of them: and its clock. */
#define WORLD_ALL ((1u << WORLD_LEAVES) - 1)
void world_sync(world *w, unsigned from, unsigned to, unsigned mask);

void world_read_token(world *w, unsigned replica, world_token *ret);
void world_reincarnate(world *w, unsigned replica);

/* world_check: replica reads as the oracle says, in every leaf; fails the test if not. */
void world_check(const world *w, unsigned replica);
void world_check_leaf(const world *w, unsigned replica, unsigned leaf);

/* world_meet lets all replicas tell each other everything, and wants equal bytes. */
void world_meet(world *w);

/* world_step does something random, and checks whom it was done to. */
void world_step(world *w, tmb_rng *rng);

void world_value(unsigned leaf, const tmb_leaf *entries, oracle_value *ret);
size_t world_leaf_bytes(const tmb_leaf *leaf, uint8_t *out);
void world_context_init(world_context *c);
void world_context_copy(world_context *c, const tmb_context *other);
void world_replica_copy(world_replica *to, const world_replica *from);
tmb_seen world_seen(const world_replica *r, unsigned leaf);

#endif
