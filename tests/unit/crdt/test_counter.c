// SPDX-License-Identifier: Apache-2.0
/* tests/unit/crdt/test_counter.c - sums, their ends, reset, and what removing a counter does. */
#include "tests/unit/crdt/replica.h"

static replica a, b;

static void begin(void)
{
    replica_begin(&a, TMB_TYPE_PN_COUNTER, 1);
    replica_begin(&b, TMB_TYPE_PN_COUNTER, 2);
}

static int64_t value(const replica *r)
{
    return tmb_counter_read(r->type, &r->leaf, NULL);
}

static void counts_of_all_are_added(void **state)
{
    (void)state;
    begin();
    assert_true(replica_amount(&a, TMB_VERB_INC, 5));
    assert_true(replica_amount(&a, TMB_VERB_DEC, 7));
    assert_int_equal(a.leaf.count, 1);
    assert_int_equal(value(&a), -2);
    assert_true(replica_amount(&b, TMB_VERB_INC, 10));
    replica_join(&a, &b);
    replica_join(&a, &b);
    assert_int_equal(value(&a), 8);
    replica_begin(&a, TMB_TYPE_G_COUNTER, 1);
    assert_true(replica_amount(&a, TMB_VERB_COUNT, 300));
    assert_true(replica_amount(&a, TMB_VERB_COUNT, 1));
    assert_int_equal(value(&a), 301);
}

static void counting_nothing_makes_a_counter_once(void **state)
{
    (void)state;
    begin();
    assert_false(replica_do(&a, TMB_VERB_RESET));
    assert_true(replica_amount(&a, TMB_VERB_INC, 0));
    assert_true(tmb_type_is_in(a.type, &a.leaf));
    assert_int_equal(value(&a), 0);
    assert_false(replica_amount(&a, TMB_VERB_DEC, 0));
}

static void reset_takes_back_what_was_observed(void **state)
{
    (void)state;
    begin();
    assert_true(replica_amount(&a, TMB_VERB_INC, 5));
    replica_join(&b, &a);
    assert_true(replica_do(&b, TMB_VERB_RESET));
    assert_int_equal(value(&b), 0);
    assert_false(replica_do(&b, TMB_VERB_RESET));
    assert_true(replica_amount(&a, TMB_VERB_INC, 3));
    replica_join(&a, &b);
    replica_join(&b, &a);
    assert_int_equal(value(&a), 3);
    assert_int_equal(value(&b), 3);
    assert_true(replica_amount(&a, TMB_VERB_DEC, 10));
    assert_true(replica_do(&a, TMB_VERB_RESET));
    assert_int_equal(value(&a), 0);
}

static void reset_with_a_token_is_about_what_was_read(void **state)
{
    (void)state;
    begin();
    assert_true(replica_amount(&a, TMB_VERB_INC, 5));
    tmb_base base[1];
    tmb_context read = tmb_context_of(base, 1, NULL, 0);
    assert_int_equal(tmb_context_copy(&read, &a.clock), TMB_OK);
    assert_true(replica_amount(&b, TMB_VERB_INC, 2));
    replica_join(&a, &b);
    tmb_change reset = {.verb = TMB_VERB_RESET};
    assert_true(replica_change_seen(&a, &reset, &read));
    assert_int_equal(value(&a), 2);
}

static void nothing_wraps(void **state)
{
    (void)state;
    bool is_beyond = true;
    begin();
    assert_true(replica_amount(&a, TMB_VERB_INC, INT64_MAX));
    assert_false(a.delta.is_saturated);
    assert_false(replica_amount(&a, TMB_VERB_INC, 1));
    assert_true(a.delta.is_saturated);
    assert_true(replica_amount(&b, TMB_VERB_INC, 100));
    replica_join(&a, &b);
    assert_true(tmb_counter_read(a.type, &a.leaf, &is_beyond) == INT64_MAX && is_beyond);
    assert_true(replica_amount(&a, TMB_VERB_DEC, UINT64_MAX));
    assert_true(tmb_counter_read(a.type, &a.leaf, &is_beyond) == INT64_MIN + 100 && !is_beyond);
    assert_false(a.delta.is_saturated);
    assert_false(replica_amount(&a, TMB_VERB_DEC, 50)); /* its own total is at 2^64 - 1 */
    assert_true(a.delta.is_saturated);
    replica_join(&b, &a);
    assert_true(replica_amount(&b, TMB_VERB_DEC, 1000));
    assert_true(b.delta.is_saturated);
    assert_true(tmb_counter_read(b.type, &b.leaf, &is_beyond) == INT64_MIN && !is_beyond);
}

/* A sum of many totals is longer than 64 bits and still right. */
static void sums_are_longer_than_their_parts(void **state)
{
    (void)state;
    uint8_t ups[TMB_COUNTER_VALUE_MAX], downs[TMB_COUNTER_VALUE_MAX];
    size_t ups_len = tmb_counter_value(TMB_TYPE_PN_COUNTER, UINT64_MAX, 3, ups);
    size_t downs_len = tmb_counter_value(TMB_TYPE_PN_COUNTER, 0, UINT64_MAX, downs);
    assert_int_equal(ups_len, 11);
    tmb_leaf leaf;
    leaf.count = 0;
    for (uint8_t i = 0; i < TMB_SIBLINGS_MAX; i++) {
        tmb_entry entry = {dot(i, 1),
                           tmb_bytes_of(i % 2 ? ups : downs, i % 2 ? ups_len : downs_len)};
        assert_int_equal(tmb_leaf_put(&leaf, &entry), TMB_OK);
    }
    bool is_beyond = true;
    assert_true(tmb_counter_read(TMB_TYPE_PN_COUNTER, &leaf, &is_beyond) == -3 * 32);
    assert_false(is_beyond);
    leaf.count = 5; /* three of downs, two of ups */
    assert_true(tmb_counter_read(TMB_TYPE_PN_COUNTER, &leaf, &is_beyond) == INT64_MIN);
    assert_true(is_beyond);
}

/* Three who count elsewhere at the same time bring the sum beyond what one entry can take back. */
static void reset_says_that_it_did_not_come_to_zero(void **state)
{
    (void)state;
    uint8_t ups[TMB_COUNTER_VALUE_MAX];
    size_t len = tmb_counter_value(TMB_TYPE_PN_COUNTER, UINT64_MAX, 0, ups);
    tmb_base bases[3];
    tmb_context seen = tmb_context_of(bases, 3, NULL, 0);
    tmb_leaf leaf;
    begin();
    leaf.count = 0;
    for (uint8_t i = 3; i < 6; i++) {
        tmb_entry entry = {dot(i, 1), tmb_bytes_of(ups, len)};
        assert_int_equal(tmb_leaf_put(&leaf, &entry), TMB_OK);
        assert_int_equal(tmb_context_add(&seen, &entry.dot), TMB_OK);
    }
    replica_take(&a, &leaf, &seen);
    assert_true(replica_do(&a, TMB_VERB_RESET));
    assert_true(a.delta.is_saturated);
    assert_true(value(&a) == INT64_MAX);
    assert_false(replica_do(&a, TMB_VERB_RESET)); /* its own total is at its end */
    assert_true(a.delta.is_saturated);
}

/* The known oddity of counters that are removed: who counts on brings back all that it ever counted. */
static void removed_while_counting_comes_back_whole(void **state)
{
    (void)state;
    begin();
    assert_true(replica_amount(&a, TMB_VERB_INC, 5));
    replica_join(&b, &a);
    assert_true(replica_do(&b, TMB_VERB_DEL));
    assert_int_equal(b.leaf.count, 0);
    assert_true(replica_amount(&a, TMB_VERB_INC, 1));
    replica_join(&b, &a);
    assert_int_equal(value(&b), 6);
    assert_true(replica_do(&b, TMB_VERB_DEL));
    replica_join(&a, &b);
    assert_int_equal(a.leaf.count, 0);
    assert_true(replica_amount(&a, TMB_VERB_INC, 1));
    assert_int_equal(value(&a), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_all_are_added),
        cmocka_unit_test(counting_nothing_makes_a_counter_once),
        cmocka_unit_test(reset_takes_back_what_was_observed),
        cmocka_unit_test(reset_with_a_token_is_about_what_was_read),
        cmocka_unit_test(nothing_wraps),
        cmocka_unit_test(sums_are_longer_than_their_parts),
        cmocka_unit_test(reset_says_that_it_did_not_come_to_zero),
        cmocka_unit_test(removed_while_counting_comes_back_whole),
    };
    return cmocka_run_group_tests_name("unit.crdt.counter", tests, NULL, NULL);
}
