// SPDX-License-Identifier: Apache-2.0
/* tests/property/crdt_exhaustive.c - every small history there is: for each type, all sequences of so many
 * steps, where a step is a change by one replica or one telling another what it has.
 *
 * After each step of each sequence every replica reads as the oracle says, and if all met now they would have
 * equal bytes and its value. What is symmetrical is played once: replica 0 makes the first change.
 */
#include <setjmp.h>
#include <string.h>

#include "tests/property/seeds.h"
#include "tests/property/world.h"

enum { DEPTH_MAX = 8, MOVES_MAX = 32 };

/* What may happen: a change (verb), or a replica (from) telling another (to). */
typedef struct move {
    tmb_verb verb; /* TMB_VERB_NONE: tell */
    unsigned from, to;
} move;

/* A world to go back to; the history's bytes and events behind the mark are written over. */
typedef struct snapshot {
    world_replica replicas[ORACLE_REPLICAS_MAX];
    unsigned used, events_count;
    oracle_set visible[ORACLE_REPLICAS_MAX][ORACLE_LEAVES_MAX];
} snapshot;

typedef struct search {
    unsigned leaf, replicas, moves_count;
    move moves[MOVES_MAX];
    unsigned long long histories;
} search;

static world played;
static snapshot snapshots[2 * DEPTH_MAX];

static void leaf_copy(world_leaf *to, const world_leaf *from)
{
    to->leaf.count = from->leaf.count;
    memcpy(to->leaf.entries, from->leaf.entries, from->leaf.count * sizeof *from->leaf.entries);
    world_context_copy(&to->extra, &from->extra.context);
}

/* Only the one leaf of the search is ever changed. */
static void replica_copy(world_replica *to, const world_replica *from, unsigned leaf)
{
    to->self = from->self;
    to->last = from->last;
    world_context_copy(&to->clock, &from->clock.context);
    leaf_copy(&to->leaves[leaf], &from->leaves[leaf]);
}

static void keep(snapshot *s, const search *at)
{
    for (unsigned i = 0; i < at->replicas; i++) {
        replica_copy(&s->replicas[i], &played.replicas[i], at->leaf);
        s->visible[i][at->leaf] = played.oracle.visible[i][at->leaf];
    }
    s->used = played.used;
    s->events_count = played.oracle.events_count;
}

static void go_back(const snapshot *s, const search *at)
{
    for (unsigned i = 0; i < at->replicas; i++) {
        replica_copy(&played.replicas[i], &s->replicas[i], at->leaf);
        played.oracle.visible[i][at->leaf] = s->visible[i][at->leaf];
    }
    played.used = s->used;
    played.oracle.events_count = s->events_count;
}

/* Telling everything of the one leaf, with the clock. */
static void tell(const search *at, unsigned from, unsigned to)
{
    world_sync(&played, from, to, 1u << at->leaf);
    assert_int_equal(
        tmb_context_join(&played.replicas[to].clock.context, &played.replicas[from].clock.context),
        TMB_OK);
    world_context_init(&played.replicas[to].leaves[at->leaf].extra);
}

static void check_all(const search *at)
{
    for (unsigned i = 0; i < at->replicas; i++)
        world_check_leaf(&played, i, at->leaf);
}

static void meet(const search *at)
{
    static uint8_t first[WORLD_LEAF_BYTES], other[WORLD_LEAF_BYTES];
    unsigned last = at->replicas - 1;
    for (unsigned i = 0; i < last; i++)
        tell(at, i, last);
    for (unsigned i = 0; i < last; i++)
        tell(at, last, i);
    check_all(at);
    size_t len = world_leaf_bytes(&played.replicas[0].leaves[at->leaf].leaf, first);
    for (unsigned i = 1; i <= last; i++) {
        const world_replica *r = &played.replicas[i];
        assert_int_equal(world_leaf_bytes(&r->leaves[at->leaf].leaf, other), len);
        assert_memory_equal(first, other, len);
        assert_true(tmb_context_eq(&r->clock.context, &played.replicas[0].clock.context));
    }
}

/* Does the move; false if it changes nothing, and so leads to no new history. */
static bool do_move(const search *at, const move *m, unsigned depth)
{
    if (m->verb == TMB_VERB_NONE) {
        if (tmb_context_covers(&played.replicas[m->to].clock.context,
                               &played.replicas[m->from].clock.context))
            return false;
        tell(at, m->from, m->to);
        return true;
    }
    unsigned number = 1 + (depth * 5 + m->from) % 3; /* rising and falling */
    return world_do(&played, m->from, at->leaf, m->verb, 9 - depth, number, NULL);
}

static void go_on(search *at, unsigned depth, unsigned depth_end)
{
    snapshot *here = &snapshots[2 * depth], *before_meeting = &snapshots[2 * depth + 1];
    keep(here, at);
    for (unsigned i = 0; i < at->moves_count; i++) {
        if (depth == 0 && at->moves[i].from != 0)
            continue;
        if (do_move(at, &at->moves[i], depth)) {
            at->histories++;
            check_all(at);
            keep(before_meeting, at);
            meet(at);
            go_back(before_meeting, at);
            if (depth + 1 < depth_end)
                go_on(at, depth + 1, depth_end);
        }
        go_back(here, at);
    }
}

static unsigned long long search_leaf(unsigned leaf, unsigned replicas, unsigned depth)
{
    search at = {.leaf = leaf, .replicas = replicas};
    const world_place *place = &world_places[leaf];
    world_init(&played, replicas);
    for (unsigned from = 0; from < replicas; from++) {
        for (unsigned i = 0; i < place->verbs_count; i++)
            at.moves[at.moves_count++] = (move){place->verbs[i], from, 0};
        at.moves[at.moves_count++] = (move){TMB_VERB_DEL, from, 0};
        for (unsigned to = 0; to < replicas; to++)
            if (to != from)
                at.moves[at.moves_count++] = (move){TMB_VERB_NONE, from, to};
    }
    assert_true(at.moves_count <= MOVES_MAX && depth <= DEPTH_MAX);
    go_on(&at, 0, depth);
    return at.histories;
}

/* Sequences of so many steps; a step less for a type with a verb more. */
static void all_histories(unsigned replicas, unsigned depth)
{
    unsigned long long histories = 0;
    bool is_done[ORACLE_KINDS] = {false};
    for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++) {
        const world_place *place = &world_places[leaf];
        if (is_done[place->kind])
            continue;
        is_done[place->kind] = true;
        histories += search_leaf(leaf, replicas, depth - (place->verbs_count > 2));
    }
    print_message("%u replicas, %u steps: %llu histories\n", replicas, depth, histories);
    assert_true(histories > 1000);
}

static unsigned more(void)
{
    return getenv("TMB_LONG") ? 1 : 0;
}

static void all_histories_of_two(void **state)
{
    (void)state;
    all_histories(2, SEEDS_SLOWNESS > 1 ? 5 : 7 + more());
}

static void all_histories_of_three(void **state)
{
    (void)state;
    all_histories(3, SEEDS_SLOWNESS > 1 ? 4 : 6 + more());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_histories_of_two),
        cmocka_unit_test(all_histories_of_three),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
