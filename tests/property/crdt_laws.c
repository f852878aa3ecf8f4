// SPDX-License-Identifier: Apache-2.0
/* tests/property/crdt_laws.c - the algebra that everything else stands on, for every type.
 *
 * States are a leaf and what has been seen of it. Join must be commutative, associative and idempotent, and
 * must never go back (what is below stays below); a change must be the join with its delta; deltas in any
 * order and any grouping must come to the state; what is known of a leaf may be told as clock and extra or as
 * one context, and forgotten where the clock covers it. All of it is asked of states that histories reach,
 * and of hostile ones: any entries, any dots, any contexts that are well-formed, two values under one dot
 * among them. A join that holds only for what can be reached breaks with the first restored backup.
 */
#include <setjmp.h>
#include <string.h>

#include "tests/property/seeds.h"
#include "tests/property/world.h"

enum { STATES = 5, STEPS = 60, HOSTILE_SEQS = 9, HOSTILE_ACTORS = 4 };

typedef struct joined {
    tmb_leaf leaf;
    world_context seen;
} joined;

static void copy(joined *to, const tmb_leaf *leaf, const tmb_context *seen)
{
    to->leaf.count = leaf->count;
    memcpy(to->leaf.entries, leaf->entries, leaf->count * sizeof *leaf->entries);
    world_context_copy(&to->seen, seen);
}

static void join(joined *ret, const joined *a, const joined *b)
{
    tmb_seen a_seen = {&a->seen.context, NULL}, b_seen = {NULL, &b->seen.context};
    assert_int_equal(tmb_leaf_join(&a->leaf, a_seen, &b->leaf, b_seen, &ret->leaf, NULL), TMB_OK);
    world_context_copy(&ret->seen, &a->seen.context);
    assert_int_equal(tmb_context_join(&ret->seen.context, &b->seen.context), TMB_OK);
}

static void want_same(const joined *a, const joined *b, const char *law)
{
    static uint8_t a_bytes[WORLD_LEAF_BYTES], b_bytes[WORLD_LEAF_BYTES];
    size_t a_len = world_leaf_bytes(&a->leaf, a_bytes), b_len = world_leaf_bytes(&b->leaf, b_bytes);
    if (a_len != b_len || memcmp(a_bytes, b_bytes, a_len) != 0 ||
        !tmb_context_eq(&a->seen.context, &b->seen.context))
        fail_msg("join is not %s", law);
}

/* The laws of one join, over three states of one leaf. */
static void check_laws(const joined *a, const joined *b, const joined *c)
{
    static joined ab, ba, bc, ab_c, a_bc, aa, ab_a, ab_b, none;
    none.leaf.count = 0;
    world_context_init(&none.seen);
    join(&ab, a, b);
    join(&ba, b, a);
    want_same(&ab, &ba, "commutative");
    join(&ab_c, &ab, c);
    join(&bc, b, c);
    join(&a_bc, a, &bc);
    want_same(&ab_c, &a_bc, "associative");
    join(&aa, a, a);
    want_same(&aa, a, "idempotent");
    join(&ab_a, &ab, a);
    want_same(&ab_a, &ab, "inflationary");
    join(&ab_b, b, &ab);
    want_same(&ab_b, &ab, "inflationary");
    assert_true(tmb_context_covers(&ab.seen.context, &a->seen.context));
    join(&aa, a, &none);
    want_same(&aa, a, "neutral to nothing");
}

static void state_of(const world *w, unsigned replica, unsigned leaf, joined *ret)
{
    const world_replica *r = &w->replicas[replica];
    copy(ret, &r->leaves[leaf].leaf, &r->clock.context);
    assert_int_equal(tmb_context_join(&ret->seen.context, &r->leaves[leaf].extra.context), TMB_OK);
}

static void laws_of_reachable_states(void **state)
{
    static world w;
    static joined kept[STATES][WORLD_LEAVES];
    (void)state;
    for (uint64_t seed = 0; seeds_next(&seed, 400);) {
        tmb_rng rng = {seed};
        world_init(&w, 3);
        for (unsigned i = 0; i < STATES; i++) {
            unsigned steps = (unsigned)tmb_rng_below(&rng, STEPS / STATES * 2);
            for (unsigned step = 0; step < steps; step++)
                world_step(&w, &rng);
            for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++)
                state_of(&w, (unsigned)tmb_rng_below(&rng, 3), leaf, &kept[i][leaf]);
        }
        for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++)
            for (unsigned i = 0; i < STATES; i++)
                check_laws(&kept[i][leaf], &kept[(i + 1) % STATES][leaf],
                           &kept[(i + 3) % STATES][leaf]);
    }
}

/* Any value that a type can have, in few variants, so that dots meet again with other values. */
static tmb_bytes any_value(tmb_rng *rng, tmb_type type)
{
    static const uint8_t stamped[] = {0, 0, 0, 0, 0, 0, 0, 1, 'a', 'b'};
    static const uint8_t totals[][2] = {{0, 0}, {1, 0}, {0, 1}, {5, 7}};
    static const uint8_t bits[] = {0, 1};
    uint64_t dice = tmb_rng_below(rng, 4);
    tmb_bytes value = tmb_bytes_of(NULL, 0);
    if (type == TMB_TYPE_REGISTER)
        value = tmb_bytes_of(stamped, 8 + dice % 3);
    else if (type == TMB_TYPE_G_COUNTER || type == TMB_TYPE_PN_COUNTER)
        value = tmb_bytes_of(totals[dice], type == TMB_TYPE_PN_COUNTER ? 2 : 1);
    else if (type == TMB_TYPE_RW_SET || type == TMB_TYPE_DW_FLAG)
        value = tmb_bytes_of(&bits[dice % 2], 1);
    else if (type == TMB_TYPE_MAX || type == TMB_TYPE_MIN)
        value = tmb_bytes_of(stamped + 7, 1 + dice % 3);
    assert_true(tmb_type_is_value_valid(type, value));
    return value;
}

static void hostile_state(tmb_rng *rng, tmb_type type, joined *ret)
{
    uint64_t density = 1 + tmb_rng_below(rng, 4);
    ret->leaf.count = 0;
    world_context_init(&ret->seen);
    for (unsigned a = 0; a < HOSTILE_ACTORS; a++) {
        for (unsigned n = 1; n <= HOSTILE_SEQS; n++) {
            tmb_entry entry = {.dot = {.seq = n + (a == 3 ? TMB_SEQ_MAX - HOSTILE_SEQS : 0)}};
            entry.dot.actor.bytes[a] = 1;
            if (tmb_rng_below(rng, 5) < density)
                assert_int_equal(tmb_context_add(&ret->seen.context, &entry.dot), TMB_OK);
            else
                continue;
            entry.value = any_value(rng, type);
            if (tmb_rng_below(rng, 4) == 0)
                assert_int_equal(tmb_leaf_put(&ret->leaf, &entry), TMB_OK);
        }
    }
}

static void laws_of_hostile_states(void **state)
{
    static joined kept[3];
    (void)state;
    for (uint64_t seed = 0; seeds_next(&seed, 3000);) {
        tmb_rng rng = {seed};
        for (unsigned type = 1; type < TMB_TYPES; type++) {
            for (unsigned i = 0; i < 3; i++)
                hostile_state(&rng, (tmb_type)type, &kept[i]);
            check_laws(&kept[0], &kept[1], &kept[2]);
            check_laws(&kept[2], &kept[0], &kept[0]);
        }
    }
}

/* The union of contexts and leaves of deltas that come in any order, each first joined with the next ones or
 * not, is the state: nothing but deltas is needed, and nothing is lost by putting them together. */
static void join_deltas(world *w, tmb_rng *rng, joined *ret)
{
    static unsigned order[WORLD_DELTAS];
    for (unsigned i = 0; i < w->deltas_count; i++) {
        unsigned at = (unsigned)tmb_rng_below(rng, i + 1);
        order[i] = order[at];
        order[at] = i;
    }
    for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++) {
        ret[leaf].leaf.count = 0;
        world_context_init(&ret[leaf].seen);
    }
    for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++) {
        static joined group, one, next;
        group.leaf.count = 0;
        world_context_init(&group.seen);
        for (unsigned i = 0; i < w->deltas_count; i++) {
            const world_delta *delta = &w->deltas[order[i]];
            if (delta->leaf != leaf)
                continue;
            copy(&one, &delta->entries, &delta->context.context);
            join(&next, &group, &one);
            copy(&group, &next.leaf, &next.seen.context);
            if (tmb_rng_below(rng, 2) == 0)
                continue;
            join(&next, &ret[leaf], &group);
            copy(&ret[leaf], &next.leaf, &next.seen.context);
            if (tmb_rng_below(rng, 4) > 0) { /* else it comes once more, with the next ones */
                group.leaf.count = 0;
                world_context_init(&group.seen);
            }
        }
        join(&next, &ret[leaf], &group);
        copy(&ret[leaf], &next.leaf, &next.seen.context);
    }
}

static void a_state_is_the_join_of_its_deltas(void **state)
{
    static world w;
    static joined from_deltas[WORLD_LEAVES];
    static uint8_t a[WORLD_LEAF_BYTES], b[WORLD_LEAF_BYTES];
    (void)state;
    for (uint64_t seed = 0; seeds_next(&seed, 600);) {
        tmb_rng rng = {seed};
        world_context all;
        world_init(&w, 3);
        w.is_logging = true;
        for (unsigned step = 0; step < STEPS; step++)
            world_step(&w, &rng);
        world_meet(&w);
        join_deltas(&w, &rng, from_deltas);
        world_context_init(&all);
        for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++) {
            size_t len = world_leaf_bytes(&w.replicas[0].leaves[leaf].leaf, a);
            assert_int_equal(world_leaf_bytes(&from_deltas[leaf].leaf, b), len);
            assert_memory_equal(a, b, len);
            assert_int_equal(tmb_context_join(&all.context, &from_deltas[leaf].seen.context),
                             TMB_OK);
        }
        assert_true(tmb_context_eq(&all.context, &w.replicas[0].clock.context));
    }
}

/* A delta once more, or once more after others, changes nothing: retries and detours are free. */
static void a_delta_that_comes_again_changes_nothing(void **state)
{
    static world w;
    static joined here, one, next;
    (void)state;
    for (uint64_t seed = 0; seeds_next(&seed, 300);) {
        tmb_rng rng = {seed};
        world_init(&w, 2);
        w.is_logging = true;
        for (unsigned step = 0; step < STEPS; step++)
            world_step(&w, &rng);
        world_meet(&w);
        for (unsigned i = 0; i < w.deltas_count; i++) {
            const world_delta *delta = &w.deltas[i];
            state_of(&w, i % 2, delta->leaf, &here);
            copy(&one, &delta->entries, &delta->context.context);
            join(&next, &here, &one);
            want_same(&next, &here, "idempotent over deltas");
        }
    }
}

/* What is known of a leaf: told as the clock and what is beyond it, or in one, or with some of it twice. */
static void how_it_is_told_makes_no_difference(void **state)
{
    static world w;
    static joined a, b;
    static tmb_leaf parts, whole;
    static uint8_t parts_bytes[WORLD_LEAF_BYTES], whole_bytes[WORLD_LEAF_BYTES];
    uint64_t beyond = 0;
    (void)state;
    for (uint64_t seed = 0; seeds_next(&seed, 600);) {
        tmb_rng rng = {seed};
        world_init(&w, 3);
        for (unsigned step = 0; step < STEPS; step++)
            world_step(&w, &rng);
        for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++) {
            const world_replica *x = &w.replicas[0], *y = &w.replicas[1];
            state_of(&w, 0, leaf, &a);
            state_of(&w, 1, leaf, &b);
            tmb_seen a_whole = {&a.seen.context, NULL},
                     b_whole = {&b.seen.context, &x->clock.context};
            if (!tmb_context_covers(&b.seen.context, &x->clock.context))
                b_whole.extra = &y->clock.context;
            assert_int_equal(tmb_leaf_join(&a.leaf, world_seen(x, leaf), &b.leaf,
                                           world_seen(y, leaf), &parts, NULL),
                             TMB_OK);
            assert_int_equal(tmb_leaf_join(&a.leaf, a_whole, &b.leaf, b_whole, &whole, NULL),
                             TMB_OK);
            size_t len = world_leaf_bytes(&parts, parts_bytes);
            assert_int_equal(world_leaf_bytes(&whole, whole_bytes), len);
            assert_memory_equal(parts_bytes, whole_bytes, len);
            beyond += !tmb_context_is_empty(&x->leaves[leaf].extra.context);
        }
    }
    assert_true(beyond > 0 || getenv("TMB_SEED"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(laws_of_reachable_states, seeds_tell),
        cmocka_unit_test_teardown(laws_of_hostile_states, seeds_tell),
        cmocka_unit_test_teardown(a_state_is_the_join_of_its_deltas, seeds_tell),
        cmocka_unit_test_teardown(a_delta_that_comes_again_changes_nothing, seeds_tell),
        cmocka_unit_test_teardown(how_it_is_told_makes_no_difference, seeds_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
