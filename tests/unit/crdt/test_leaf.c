// SPDX-License-Identifier: Apache-2.0
/* tests/unit/crdt/test_leaf.c - the join, its limit, forks, and the one form of a leaf. */
#include "tests/unit/crdt/replica.h"

static tmb_leaf leaf_of(unsigned count, const tmb_entry *entries)
{
    tmb_leaf leaf;
    leaf.count = 0;
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(tmb_leaf_put(&leaf, &entries[i]), TMB_OK);
    return leaf;
}

static void join_keeps_what_is_new_or_common(void **state)
{
    (void)state;
    tmb_entry only_a = {dot(1, 1), tmb_bytes_str("a")}, both = {dot(1, 2), tmb_bytes_str("ab")};
    tmb_entry gone_in_b = {dot(1, 3), tmb_bytes_str("gone")};
    tmb_entry only_b = {dot(2, 1), tmb_bytes_str("b")}, gone_in_a = {dot(2, 2), tmb_bytes_str("x")};
    tmb_leaf a = leaf_of(3, (tmb_entry[]){both, gone_in_b, only_a});
    tmb_leaf b = leaf_of(3, (tmb_entry[]){only_b, gone_in_a, both}), joined;
    tmb_base a_bases[1] = {{actor(1), 3}}, b_bases[1] = {{actor(2), 2}};
    tmb_run a_runs[1] = {{actor(2), 2, 2}}, b_runs[1] = {{actor(1), 2, 3}};
    tmb_context a_clock = {a_bases, 1, 1, NULL, 0, 0}, a_extra = {NULL, 0, 0, a_runs, 1, 1};
    tmb_context b_clock = {b_bases, 1, 1, b_runs, 1, 1};
    assert_int_equal(tmb_leaf_join(&a, (tmb_seen){&a_clock, &a_extra}, &b,
                                   (tmb_seen){&b_clock, NULL}, &joined, NULL),
                     TMB_OK);
    assert_int_equal(joined.count, 3);
    assert_non_null(tmb_leaf_find(&joined, &only_a.dot));
    assert_non_null(tmb_leaf_find(&joined, &both.dot));
    assert_non_null(tmb_leaf_find(&joined, &only_b.dot));
    assert_null(tmb_leaf_find(&joined, &gone_in_a.dot));
}

static void forks_are_told_and_end_alike(void **state)
{
    (void)state;
    tmb_leaf a = leaf_of(1, &(tmb_entry){dot(1, 1), tmb_bytes_str("ab")});
    tmb_leaf b = leaf_of(1, &(tmb_entry){dot(1, 1), tmb_bytes_str("abc")}), joined;
    tmb_seen none = {NULL, NULL};
    bool is_forked = false;
    assert_int_equal(tmb_leaf_join(&a, none, &b, none, &joined, &is_forked), TMB_OK);
    assert_true(is_forked);
    assert_int_equal(joined.entries[0].value.len, 3);
    assert_int_equal(tmb_leaf_join(&b, none, &a, none, &joined, &is_forked), TMB_OK);
    assert_int_equal(joined.entries[0].value.len, 3);
    assert_int_equal(tmb_leaf_join(&a, none, &a, none, &joined, &is_forked), TMB_OK);
    assert_false(is_forked);
}

static void one_more_sibling_is_refused(void **state)
{
    (void)state;
    tmb_leaf full, one, joined;
    tmb_seen none = {NULL, NULL};
    full.count = 0;
    for (unsigned i = 1; i <= TMB_SIBLINGS_MAX; i++) {
        tmb_entry entry = {dot(1, i), tmb_bytes_of(NULL, 0)};
        assert_int_equal(tmb_leaf_put(&full, &entry), TMB_OK);
    }
    tmb_entry more = {dot(2, 1), tmb_bytes_of(NULL, 0)};
    assert_int_equal(tmb_leaf_put(&full, &more), TMB_ELIMIT);
    assert_int_equal(tmb_leaf_put(&full, &full.entries[3]), TMB_EINVAL);
    assert_int_equal(full.count, TMB_SIBLINGS_MAX);
    one = leaf_of(1, &more);
    bool is_forked = true;
    assert_int_equal(tmb_leaf_join(&full, none, &one, none, &joined, &is_forked), TMB_ELIMIT);
    assert_int_equal(tmb_leaf_join(&one, none, &full, none, &joined, NULL), TMB_ELIMIT);
    assert_int_equal(tmb_leaf_join(&full, none, &full, none, &joined, &is_forked), TMB_OK);
    uint8_t bytes[4096];
    tmb_writer w = tmb_writer_of(bytes, sizeof bytes);
    tmb_leaf_write(&w, &full);
    bytes[0]++;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, sizeof bytes));
    assert_int_equal(tmb_leaf_read(&r, &joined), TMB_ELIMIT);
}

static void bytes_have_one_form(void **state)
{
    (void)state;
    tmb_entry entries[3] = {{dot(2, 1), tmb_bytes_str("later")},
                            {dot(1, 300), tmb_bytes_str("")},
                            {dot(1, 2), tmb_bytes_str("first")}};
    tmb_leaf leaf = leaf_of(3, entries), back;
    uint8_t bytes[256], again[256];
    tmb_writer w = tmb_writer_of(bytes, sizeof bytes);
    tmb_leaf_write(&w, &leaf);
    size_t len = (size_t)(w.at - bytes);
    assert_int_equal(len, tmb_leaf_size(&leaf));
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, len));
    assert_int_equal(tmb_leaf_read(&r, &back), TMB_OK);
    assert_int_equal(tmb_reader_left(&r), 0);
    w = tmb_writer_of(again, sizeof again);
    tmb_leaf_write(&w, &back);
    assert_memory_equal(bytes, again, len);
    for (size_t cut = 0; cut < len; cut++) {
        r = tmb_reader_of(tmb_bytes_of(bytes, cut));
        assert_int_equal(tmb_leaf_read(&r, &back), TMB_ECORRUPT);
    }
    w = tmb_writer_of(bytes, len - 1);
    tmb_leaf_write(&w, &leaf);
    assert_true(w.bad);
}

static void hostile_bytes_are_refused(void **state)
{
    (void)state;
    static const uint8_t out_of_order[] = {2, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
                                           5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
    static const uint8_t none[] = {1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t beyond[] = {1,    5,    0,    0,    0,    0,    0, 0,    0,    0,
                                     0,    0,    0,    0,    0,    0,    0, 0x80, 0x80, 0x80,
                                     0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0};
    static const uint8_t long_value[] = {1, 5, 0, 0, 0, 0, 0, 0,    0,    0, 0,
                                         0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 3};
    const tmb_bytes all[] = {tmb_bytes_of(out_of_order, sizeof out_of_order),
                             tmb_bytes_of(none, sizeof none), tmb_bytes_of(beyond, sizeof beyond),
                             tmb_bytes_of(long_value, sizeof long_value)};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tmb_leaf leaf;
        tmb_reader r = tmb_reader_of(all[i]);
        assert_int_equal(tmb_leaf_read(&r, &leaf), TMB_ECORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join_keeps_what_is_new_or_common),
        cmocka_unit_test(forks_are_told_and_end_alike),
        cmocka_unit_test(one_more_sibling_is_refused),
        cmocka_unit_test(bytes_have_one_form),
        cmocka_unit_test(hostile_bytes_are_refused),
    };
    return cmocka_run_group_tests_name("unit.crdt.leaf", tests, NULL, NULL);
}
