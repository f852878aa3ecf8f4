// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/test_past.c - neighbours, what is waited for and forgotten, own past, and going on under
 * another incarnation.
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

static void reincarnate(replica *r, unsigned number, uint64_t common)
{
    assert_int_equal(tmb_scope_reincarnate(replica_begin(r), replica_incarnation(number), common),
                     TMB_OK);
    replica_end(r);
}

static uint64_t last_of(replica *r)
{
    return replica_begin(r)->last;
}

static void test_a_pass_that_is_cut_goes_on_where_it_was(void **state)
{
    (void)state;
    char path[16];
    bool is_complete = false;
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(path, sizeof path, "p%u", i);
        (void)replica_do(&a, TMB_VERB_SET, path, "some value");
    }
    assert_false(replica_meet(&b, &a));
    unsigned chunks = 0;
    while (!is_complete) {
        assert_int_equal(replica_chunk(&a, &b, 200, &is_complete), TMB_OK);
        assert_int_equal(replica_begin(&b)->clock.bases_count, is_complete ? 1 : 0);
        assert_false(replica_meet(&b, &a)); /* a new connection each time */
        chunks++;
    }
    assert_true(chunks > 5 && chunks < 20);
    assert_true(replica_is_equal(&a, &b));
    (void)replica_check(&b);
    assert_int_equal(replica_begin(&b)->extras, 0);
}

static void test_what_was_heard_of_a_restored_neighbour_is_void(void **state)
{
    (void)state;
    static tmb_neighbour neighbour;
    bool is_complete = false;
    char path[16];
    kv_memory backup = {0};
    assert_true(kv_memory_copy(&backup, &a.disk));
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(path, sizeof path, "p%u", i);
        (void)replica_do(&a, TMB_VERB_SET, path, "some value");
    }
    (void)replica_meet(&b, &a);
    assert_int_equal(replica_chunk(&a, &b, 100, &is_complete), TMB_OK);
    assert_int_equal(tmb_scope_neighbour_get(replica_begin(&b), tmb_bytes_str("n1"), &neighbour),
                     TMB_OK);
    assert_int_equal(neighbour.heard.bases_count, 1);
    assert_true(kv_memory_copy(&a.disk, &backup));
    (void)replica_do(&a, TMB_VERB_SET, "p0", "other");
    (void)replica_meet(&b, &a);
    assert_int_equal(tmb_scope_neighbour_get(replica_begin(&b), tmb_bytes_str("n1"), &neighbour),
                     TMB_OK);
    assert_int_equal(neighbour.heard.bases_count, 0);
    kv_memory_free(&backup);
}

/* b is in the middle of a's pass, and removes a leaf that came with it; c got that leaf from a itself. */
static void test_what_was_removed_before_the_clock_covers_it_stays_removed(void **state)
{
    (void)state;
    bool is_complete = false;
    (void)replica_do(&a, TMB_VERB_ADD, "s", "e");
    for (unsigned i = 0; i < 4; i++)
        (void)replica_do(&a, TMB_VERB_ADD, "t", i % 2 ? "x" : "y");
    replica_pass(&a, &c);
    assert_int_equal(replica_chunk(&a, &b, 8, &is_complete), TMB_OK);
    assert_false(is_complete);
    assert_true(replica_is_in(&b, TMB_TYPE_AW_SET, "s", "e"));
    (void)replica_do(&b, TMB_VERB_RM, "s", "e");
    assert_true(replica_begin(&b)->extras > 0);
    (void)replica_check(&b);
    replica_pass(&b, &c);
    assert_false(replica_is_in(&c, TMB_TYPE_AW_SET, "s", "e"));
    replica_pass(&c, &b);
    assert_false(replica_is_in(&b, TMB_TYPE_AW_SET, "s", "e"));
    replica_pass(&b, &a);
    replica_pass(&a, &b);
    assert_false(replica_is_in(&a, TMB_TYPE_AW_SET, "s", "e"));
    replica_pass(&b, &c);
    assert_true(replica_is_equal(&a, &b));
    assert_true(replica_is_equal(&b, &c));
}

static void test_a_removal_waits_for_every_active_neighbour(void **state)
{
    (void)state;
    unsigned lapsed = 0;
    (void)replica_do(&a, TMB_VERB_ADD, "s", "e");
    replica_pass(&a, &b);
    replica_pass(&a, &c);
    (void)replica_do(&a, TMB_VERB_RM, "s", "e");
    replica_pass(&a, &b);
    assert_int_equal(replica_check(&a), 1);
    assert_int_equal(tmb_scope_lapse(replica_begin(&a), 1000 + 99, 100, 1, &lapsed), TMB_OK);
    assert_int_equal(lapsed, 0); /* neither time nor number */
    assert_int_equal(tmb_scope_lapse(&a.at, 1000 + 50, 100, 0, &lapsed), TMB_OK);
    replica_end(&a);
    assert_int_equal(lapsed, 1); /* c alone holds it back */
    unsigned forgotten = 0;
    assert_int_equal(tmb_scope_forget(replica_begin(&a), 10, &forgotten), TMB_OK);
    replica_end(&a);
    assert_int_equal(forgotten, 1);
    assert_int_equal(replica_check(&a), 0);
    bool is_complete;
    assert_true(replica_meet(&a, &c));
    assert_int_equal(replica_chunk(&a, &c, 4096, &is_complete), TMB_EGAP);
    (void)replica_meet(&c, &a);
    replica_reconcile(&a, &c);
    assert_true(replica_is_equal(&a, &c));
    assert_false(replica_meet(&a, &c));
    assert_int_equal(replica_begin(&c)->floor.bases_count, 1); /* its own neighbours are told */
}

static void test_neighbours_have_a_limit(void **state)
{
    (void)state;
    static tmb_neighbour neighbour;
    char name[16];
    tmb_neighbour_init(&neighbour);
    tmb_scope *scope = replica_begin(&a);
    for (unsigned i = 0; i <= TMB_NEIGHBOURS_MAX; i++) {
        (void)snprintf(name, sizeof name, "child-%u", i);
        assert_int_equal(tmb_scope_neighbour_put(scope, tmb_bytes_str(name), &neighbour),
                         i < TMB_NEIGHBOURS_MAX ? TMB_OK : TMB_ELIMIT);
    }
    assert_int_equal(tmb_scope_neighbour_put(scope, tmb_bytes_str("child-0"), &neighbour), TMB_OK);
    assert_int_equal(tmb_scope_neighbour_get(scope, tmb_bytes_str("child-256"), &neighbour),
                     TMB_ENOENT);
}

static void test_points_are_the_last_ones(void **state)
{
    (void)state;
    static tmb_neighbour neighbour;
    uint8_t chain[TMB_STATE_CHAIN_BYTES] = {0};
    tmb_neighbour_init(&neighbour);
    for (uint64_t seq = 1; seq <= TMB_POINTS_MAX + 5; seq++) {
        chain[0] = (uint8_t)seq;
        tmb_neighbour_check(&neighbour, seq, chain);
        tmb_neighbour_check(&neighbour, seq, chain);
    }
    assert_int_equal(neighbour.points_count, TMB_POINTS_MAX);
    assert_int_equal(neighbour.points[0].seq, 6);
    assert_int_equal(tmb_scope_neighbour_put(replica_begin(&a), tmb_bytes_str("x"), &neighbour),
                     TMB_OK);
    assert_int_equal(tmb_scope_neighbour_get(&a.at, tmb_bytes_str("x"), &neighbour), TMB_OK);
    assert_int_equal(neighbour.points_count, TMB_POINTS_MAX);
    assert_int_equal(neighbour.points[15].chain[0], TMB_POINTS_MAX + 5);
}

static void test_the_chain_is_kept_where_somebody_was_told(void **state)
{
    (void)state;
    uint8_t at_two[TMB_STATE_CHAIN_BYTES], now[TMB_STATE_CHAIN_BYTES];
    (void)replica_meet(&a, &b);
    (void)replica_do(&a, TMB_VERB_INC, "n", NULL);
    (void)replica_do(&a, TMB_VERB_INC, "n", NULL);
    assert_int_equal(replica_begin(&a)->chains, 1); /* alone: one row, however many changes */
    assert_int_equal(tmb_scope_chain_at(&a.at, 1, now), TMB_EGAP);
    assert_int_equal(tmb_scope_chain_at(&a.at, 2, at_two), TMB_OK);
    replica_pass(&a, &b);
    assert_int_equal(replica_meet(&a, &b), false);
    (void)replica_do(&a, TMB_VERB_INC, "n", NULL);
    (void)replica_do(&a, TMB_VERB_INC, "n", NULL);
    assert_int_equal(tmb_scope_chain_at(replica_begin(&a), 2, now), TMB_OK);
    assert_memory_equal(now, at_two, sizeof now);
    assert_int_equal(tmb_scope_chain_at(&a.at, 3, now), TMB_EGAP);
    assert_int_equal(tmb_scope_chain_at(&a.at, 5, now), TMB_EGAP);
    assert_int_equal(tmb_scope_chain_at(&a.at, 0, now), TMB_ENOENT);
    replica_pass(&a, &b);
    assert_int_equal(tmb_scope_chain_at(replica_begin(&a), 2, now), TMB_ENOENT);
    (void)replica_check(&a);
}

static void test_own_past_has_a_limit(void **state)
{
    (void)state;
    uint8_t chain[TMB_STATE_CHAIN_BYTES];
    (void)replica_meet(&a, &b); /* waited for, and never hears */
    for (unsigned i = 0; i < TMB_CHAINS_MAX + 10; i++) {
        (void)replica_do(&a, TMB_VERB_INC, "n", NULL);
        tmb_scope_start(replica_begin(&a)); /* may have been sent */
        replica_end(&a);
    }
    assert_int_equal(replica_begin(&a)->chains, TMB_CHAINS_MAX);
    assert_int_equal(tmb_scope_chain_at(&a.at, 10, chain), TMB_ENOENT);
    assert_int_equal(tmb_scope_chain_at(&a.at, 11, chain), TMB_OK);
    assert_true(a.disk.count < 2 * TMB_CHAINS_MAX + 20);
}

/* a is put back to a backup; what it had sent before comes back from b, what it counted since is kept. */
static void test_a_restored_node_loses_nothing_and_counts_nothing_twice(void **state)
{
    (void)state;
    kv_memory backup = {0};
    for (unsigned i = 0; i < 3; i++)
        (void)replica_do(&a, TMB_VERB_INC, "n", NULL);
    (void)replica_do(&a, TMB_VERB_SET, "x", "old");
    replica_pass(&a, &b);
    uint64_t common = last_of(&a);
    assert_true(kv_memory_copy(&backup, &a.disk));
    for (unsigned i = 0; i < 5; i++)
        (void)replica_do(&a, TMB_VERB_INC, "n", NULL);
    (void)replica_do(&a, TMB_VERB_SET, "x", "lost");
    (void)replica_do(&a, TMB_VERB_ADD, "s", "lost");
    replica_pass(&a, &b);
    assert_true(kv_memory_copy(&a.disk, &backup));
    for (unsigned i = 0; i < 7; i++)
        (void)replica_do(&a, TMB_VERB_INC, "n", NULL);
    (void)replica_do(&a, TMB_VERB_SET, "x", "new");
    (void)replica_do(&a, TMB_VERB_ADD, "s", "new");
    (void)replica_do(&a, TMB_VERB_RM, "s", "new");
    reincarnate(&a, 9, common);
    (void)replica_check(&a);
    assert_int_equal(replica_count(&a, "n"), 10); /* 3 that b has, 7 of its own */
    replica_pass(&a, &b);
    replica_pass(&b, &a);
    assert_true(replica_is_equal(&a, &b));
    assert_int_equal(replica_count(&a, "n"), 3 + 5 + 7);
    assert_true(replica_is_in(&a, TMB_TYPE_AW_SET, "s", "lost"));
    assert_false(replica_is_in(&a, TMB_TYPE_AW_SET, "s", "new"));
    static tmb_leaf leaf;
    tmb_leaf_key key = {tmb_bytes_str("x"), TMB_TYPE_REGISTER, {NULL, 0}};
    assert_int_equal(tmb_scope_leaf(replica_begin(&a), &key, &leaf), TMB_OK);
    assert_int_equal(leaf.count, 2); /* "lost" and "new" were written beside each other */
    (void)replica_do(&a, TMB_VERB_INC, "n", NULL);
    replica_pass(&a, &b);
    assert_int_equal(replica_count(&b, "n"), 16);
    kv_memory_free(&backup);
}

static void test_a_moved_store_gives_nothing_anew(void **state)
{
    (void)state;
    (void)replica_do(&a, TMB_VERB_INC, "n", NULL);
    (void)replica_do(&a, TMB_VERB_SET, "x", "1");
    replica_pass(&a, &b);
    reincarnate(&a, 9, UINT64_MAX);
    assert_int_equal(last_of(&a), 0);
    assert_true(replica_is_equal(&a, &b));
    (void)replica_do(&a, TMB_VERB_INC, "n", NULL);
    replica_pass(&a, &b);
    assert_int_equal(replica_count(&b, "n"), 2);
}

/* b has e from the midst of a's pass, and removes it; then a is as it was before it wrote e. What b has seen
 * of a is in the leaf's extra context alone, neither in b's clock nor as an entry. */
static void test_own_dots_that_were_only_heard_are_not_taken(void **state)
{
    (void)state;
    kv_memory backup = {0};
    bool is_complete = false;
    assert_true(kv_memory_copy(&backup, &a.disk));
    (void)replica_do(&a, TMB_VERB_ADD, "s", "e");
    for (unsigned i = 0; i < 4; i++)
        (void)replica_do(&a, TMB_VERB_ADD, "t", i % 2 ? "x" : "y");
    assert_int_equal(replica_chunk(&a, &b, 8, &is_complete), TMB_OK);
    assert_false(is_complete);
    (void)replica_do(&b, TMB_VERB_RM, "s", "e");
    assert_true(kv_memory_copy(&a.disk, &backup));
    assert_int_equal(replica_chunk(&b, &a, 4096, &is_complete), TMB_EGAP);
    kv_memory_drop(&a.disk);
    (void)replica_check(&a);
    kv_memory_free(&backup);
}

static void test_own_dots_from_elsewhere_are_not_taken(void **state)
{
    (void)state;
    kv_memory backup = {0};
    bool is_complete = false;
    assert_true(kv_memory_copy(&backup, &a.disk));
    (void)replica_do(&a, TMB_VERB_SET, "x", "1");
    replica_pass(&a, &b);
    assert_true(kv_memory_copy(&a.disk, &backup));
    assert_int_equal(replica_chunk(&b, &a, 4096, &is_complete), TMB_EGAP);
    kv_memory_drop(&a.disk);
    reincarnate(&a, 9, 0);
    replica_pass(&b, &a);
    assert_string_equal(replica_text(&a, "x"), "1");
    kv_memory_free(&backup);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_pass_that_is_cut_goes_on_where_it_was),
        TEST(test_what_was_heard_of_a_restored_neighbour_is_void),
        TEST(test_what_was_removed_before_the_clock_covers_it_stays_removed),
        TEST(test_a_removal_waits_for_every_active_neighbour),
        TEST(test_neighbours_have_a_limit),
        TEST(test_points_are_the_last_ones),
        TEST(test_the_chain_is_kept_where_somebody_was_told),
        TEST(test_own_past_has_a_limit),
        TEST(test_a_restored_node_loses_nothing_and_counts_nothing_twice),
        TEST(test_a_moved_store_gives_nothing_anew),
        TEST(test_own_dots_that_were_only_heard_are_not_taken),
        TEST(test_own_dots_from_elsewhere_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
