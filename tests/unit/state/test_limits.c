// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/test_limits.c - the large limits of a scope, reached: actors, removers of one leaf,
 * leaves of one operation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/state/replica.h"

static replica a, b, c;

static int open_all(void **state)
{
    (void)state;
    replica_open(&a, 1);
    replica_open(&b, 2);
    replica_open(&c, 3);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    replica_close(&a);
    replica_close(&b);
    replica_close(&c);
    return 0;
}

static void test_one_actor_too_many_cannot_write(void **state)
{
    (void)state;
    char path[16];
    for (unsigned i = 0; i < TMB_ACTORS_MAX; i++) {
        tmb_incarnation next = replica_incarnation(1000 + i);
        assert_int_equal(tmb_scope_reincarnate(replica_begin(&a), next, UINT64_MAX), TMB_OK);
        replica_end(&a);
        (void)snprintf(path, sizeof path, "p%u", i);
        assert_int_equal(replica_do(&a, TMB_VERB_SET, path, "v"), TMB_VERDICT_DONE);
    }
    assert_int_equal(tmb_scope_reincarnate(replica_begin(&a), replica_incarnation(9), UINT64_MAX),
                     TMB_OK);
    replica_end(&a);
    assert_int_equal(replica_do(&a, TMB_VERB_SET, "x", "v"), TMB_VERDICT_LIMIT);
    assert_int_equal(replica_check(&a), TMB_ACTORS_MAX);
    /* Nor is what it wrote taken: b has one of its own, and the clock would have 257. */
    bool is_complete = false;
    replica_pass(&a, &b);
    assert_int_equal(replica_do(&c, TMB_VERB_SET, "x", "v"), TMB_VERDICT_DONE);
    assert_int_equal(replica_chunk(&c, &b, 4096, &is_complete), TMB_ELIMIT);
    kv_memory_drop(&b.disk);
    assert_true(replica_is_equal(&a, &b));
}

/* Sixty-six nodes remove the same element, none having seen the other: the leaf keeps 64 of them, the
 * others are in the floor, so that nobody misses them. */
static void test_more_removers_than_a_leaf_has_room_for(void **state)
{
    (void)state;
    enum { REMOVERS = TMB_SIBLINGS_MAX + 2 };
    (void)replica_do(&a, TMB_VERB_ADD, "s", "e");
    replica_pass(&a, &c);
    for (unsigned i = 0; i < REMOVERS; i++) {
        replica_close(&b);
        replica_open(&b, 100 + i);
        replica_pass(&a, &b);
        (void)replica_do(&b, TMB_VERB_RM, "s", "e");
        replica_pass(&b, &c);
    }
    assert_int_equal(replica_check(&c), TMB_SIBLINGS_MAX);
    assert_int_equal(c.at.floor.bases_count, 2);
    assert_false(replica_is_in(&c, TMB_TYPE_AW_SET, "s", "e"));
    bool is_complete = false;
    assert_int_equal(replica_chunk(&c, &a, 4096, &is_complete), TMB_EGAP);
    kv_memory_drop(&c.disk);
    (void)replica_meet(&a, &c);
    replica_reconcile(&c, &a);
    assert_false(replica_is_in(&a, TMB_TYPE_AW_SET, "s", "e"));
    assert_true(replica_is_equal(&a, &c));
}

static void test_a_map_too_large_is_deleted_in_parts(void **state)
{
    (void)state;
    static char names[TMB_OP_VALUES_MAX][16];
    static tmb_bytes elems[TMB_OP_VALUES_MAX];
    char path[16];
    tmb_op op = {.verb = TMB_VERB_ADD, .values = elems};
    for (unsigned i = 0; i <= TMB_OP_LEAVES_MAX / TMB_OP_VALUES_MAX; i++) {
        op.values_count = i < TMB_OP_LEAVES_MAX / TMB_OP_VALUES_MAX ? TMB_OP_VALUES_MAX : 1;
        for (unsigned j = 0; j < op.values_count; j++) {
            (void)snprintf(names[j], sizeof names[j], "e%u", j);
            elems[j] = tmb_bytes_str(names[j]);
        }
        (void)snprintf(path, sizeof path, "m/s%u", i);
        op.path = tmb_bytes_str(path);
        assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    }
    uint64_t last = replica_begin(&a)->last;
    assert_int_equal(last, TMB_OP_LEAVES_MAX + 1);
    assert_int_equal(replica_do(&a, TMB_VERB_DEL, "m", NULL), TMB_VERDICT_LIMIT);
    assert_int_equal(replica_begin(&a)->last, last);
    assert_int_equal(replica_do(&a, TMB_VERB_RM, "m/s0", "e0"), TMB_VERDICT_DONE);
    assert_int_equal(replica_do(&a, TMB_VERB_DEL, "m", NULL), TMB_VERDICT_DONE);
    assert_int_equal(replica_begin(&a)->fingerprint.leaves, 0);
}

/* One node too many counts at one counter: its chunk is not taken, and nothing of what is here is lost. When
 * the counter is deleted there is room. */
static void test_one_node_too_many_counts(void **state)
{
    (void)state;
    bool is_complete = false;
    for (unsigned i = 0; i <= TMB_SIBLINGS_MAX; i++) {
        replica_close(&b);
        replica_open(&b, 100 + i);
        (void)replica_do(&b, TMB_VERB_INC, "parts", NULL);
        if (i < TMB_SIBLINGS_MAX)
            replica_pass(&b, &c);
    }
    assert_int_equal(replica_chunk(&b, &c, 4096, &is_complete), TMB_ELIMIT);
    kv_memory_drop(&c.disk);
    assert_int_equal(replica_count(&c, "parts"), TMB_SIBLINGS_MAX);
    assert_int_equal(replica_do(&c, TMB_VERB_INC, "parts", NULL), TMB_VERDICT_SIBLINGS);
    assert_int_equal(replica_do(&c, TMB_VERB_DEL, "parts", NULL), TMB_VERDICT_DONE);
    replica_pass(&b, &c);
    assert_int_equal(replica_count(&c, "parts"), 1);
}

/* A neighbour tells of forgotten removals of as many strangers as the floor has room for: ours are kept then,
 * and nothing fails. */
static void test_a_floor_full_of_strangers(void **state)
{
    (void)state;
    static tmb_base bases[TMB_ACTORS_MAX];
    tmb_context strangers = tmb_context_of(bases, TMB_ACTORS_MAX, NULL, 0);
    tmb_bytes name = tmb_bytes_str(b.name);
    bool is_below = false;
    unsigned forgotten = 0;
    for (unsigned i = 0; i < TMB_ACTORS_MAX; i++) {
        tmb_incarnation actor = replica_incarnation(1000 + i);
        assert_int_equal(tmb_context_add_run(&strangers, &actor, 1, 7), TMB_OK);
    }
    tmb_incarnation self = replica_incarnation(2);
    assert_int_equal(
        tmb_scope_meet(replica_begin(&a), name, &self, &strangers, &strangers, 1, &is_below),
        TMB_OK);
    replica_end(&a);
    (void)replica_do(&a, TMB_VERB_ADD, "s", "e");
    (void)replica_do(&a, TMB_VERB_RM, "s", "e");
    tmb_context clock = replica_begin(&a)->clock;
    assert_int_equal(tmb_scope_acked(&a.at, name, &clock, 2), TMB_OK);
    replica_end(&a);
    assert_int_equal(tmb_scope_forget(replica_begin(&a), 100, &forgotten), TMB_OK);
    replica_end(&a);
    assert_int_equal(replica_check(&a), 1); /* the removal */
    replica_pass(&a, &c);
    assert_false(replica_is_in(&c, TMB_TYPE_AW_SET, "s", "e"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_actor_too_many_cannot_write),
        TEST(test_more_removers_than_a_leaf_has_room_for),
        TEST(test_a_map_too_large_is_deleted_in_parts),
        TEST(test_one_node_too_many_counts),
        TEST(test_a_floor_full_of_strangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
