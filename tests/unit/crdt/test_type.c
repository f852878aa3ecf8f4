// SPDX-License-Identifier: Apache-2.0
/* tests/unit/crdt/test_type.c - what each change does alone, and against another at the same time. */
#include "tests/unit/crdt/replica.h"

static replica a, b;

static void begin(tmb_type type)
{
    replica_begin(&a, type, 1);
    replica_begin(&b, type, 2);
}

static void meet(void)
{
    replica before = a;
    before.clock.bases = before.room.bases;
    before.clock.runs = before.room.runs;
    replica_join(&a, &b);
    replica_join(&b, &before);
    assert_int_equal(tmb_leaf_size(&a.leaf), tmb_leaf_size(&b.leaf));
    assert_true(tmb_context_eq(&a.clock, &b.clock));
    assert_int_equal(tmb_type_is_in(a.type, &a.leaf), tmb_type_is_in(b.type, &b.leaf));
}

static void names_and_words_belong_together(void **state)
{
    (void)state;
    for (unsigned v = 1; v <= TMB_VERB_DEL; v++) {
        tmb_verb verb = (tmb_verb)v;
        assert_int_equal(tmb_verb_of_word(tmb_bytes_str(tmb_verb_str(verb))), verb);
        tmb_type type = tmb_verb_type(verb);
        tmb_takes takes = tmb_verb_takes(verb);
        assert_int_equal(type == TMB_TYPE_NONE, verb == TMB_VERB_DEL);
        assert_int_equal(takes == TMB_TAKES_ELEMENTS, tmb_type_is_set(type));
        assert_int_equal(takes == TMB_TAKES_BYTES, type == TMB_TYPE_REGISTER);
        assert_int_equal(takes == TMB_TAKES_NUMBER, type == TMB_TYPE_MAX || type == TMB_TYPE_MIN);
    }
    assert_int_equal(tmb_verb_of_word(tmb_bytes_str("none")), TMB_VERB_NONE);
    assert_int_equal(tmb_verb_of_word(tmb_bytes_str("SET")), TMB_VERB_NONE);
    assert_int_equal(tmb_verb_of_word(tmb_bytes_of(NULL, 0)), TMB_VERB_NONE);
    assert_string_equal(tmb_type_str(TMB_TYPE_MAP), "map");
    assert_string_equal(tmb_type_str((tmb_type)77), "none");
    assert_string_equal(tmb_verb_str(TMB_VERB_NONE), "none");
    assert_true(tmb_type_is_set(TMB_TYPE_G_SET) && !tmb_type_is_set(TMB_TYPE_MAP));
}

static void register_keeps_what_nobody_saw_and_reads_the_greatest(void **state)
{
    (void)state;
    begin(TMB_TYPE_REGISTER);
    assert_null(tmb_register_read(&a.leaf));
    assert_true(replica_value(&a, TMB_VERB_SET, 99, "wrong clock"));
    replica_join(&b, &a);
    assert_true(replica_value(&a, TMB_VERB_SET, 10, "later, of a lower stamp"));
    assert_true(replica_value(&b, TMB_VERB_SET, 50, "at the same time"));
    meet();
    assert_int_equal(a.leaf.count, 2);
    const tmb_entry *read = tmb_register_read(&a.leaf);
    assert_int_equal(tmb_register_stamp(read).u64, 50);
    assert_true(tmb_bytes_eq(tmb_register_bytes(read), tmb_bytes_str("at the same time")));
    assert_true(replica_value(&a, TMB_VERB_SET, 11, ""));
    assert_int_equal(a.leaf.count, 1);
    assert_int_equal(tmb_register_bytes(&a.leaf.entries[0]).len, 0);
}

static void register_of_equal_stamps_reads_the_greater_actor_then_bytes(void **state)
{
    (void)state;
    begin(TMB_TYPE_REGISTER);
    assert_true(replica_value(&a, TMB_VERB_SET, 7, "z"));
    assert_true(replica_value(&b, TMB_VERB_SET, 7, "a"));
    meet();
    assert_int_equal(tmb_register_read(&a.leaf)->dot.actor.bytes[0], 2);
    tmb_context none = tmb_context_of(NULL, 0, NULL, 0);
    tmb_change again = {TMB_VERB_SET, {7}, tmb_bytes_str("b"), 0};
    assert_true(replica_change_seen(&b, &again, &none));
    assert_int_equal(b.leaf.count, 3);
    assert_true(tmb_bytes_eq(tmb_register_bytes(tmb_register_read(&b.leaf)), tmb_bytes_str("b")));
    assert_true(replica_change_seen(&b, &again, &none));
    assert_int_equal(tmb_register_read(&b.leaf)->dot.seq, 3);
}

/* Each changes, when both stand at is_there or not, and what comes of it. */
static void race(tmb_type type, tmb_verb first, tmb_verb mine, tmb_verb yours, bool is_in)
{
    begin(type);
    if (first != TMB_VERB_NONE)
        replica_do(&a, first);
    replica_join(&b, &a);
    replica_do(&a, mine);
    replica_do(&b, yours);
    meet();
    assert_int_equal(tmb_type_is_in(type, &a.leaf), is_in);
}

static void who_wins_when_both_change(void **state)
{
    (void)state;
    race(TMB_TYPE_AW_SET, TMB_VERB_ADD, TMB_VERB_ADD, TMB_VERB_RM, true);
    race(TMB_TYPE_AW_SET, TMB_VERB_NONE, TMB_VERB_ADD, TMB_VERB_RM, true);
    race(TMB_TYPE_AW_SET, TMB_VERB_ADD, TMB_VERB_RM, TMB_VERB_RM, false);
    race(TMB_TYPE_RW_SET, TMB_VERB_ADMIT, TMB_VERB_ADMIT, TMB_VERB_REVOKE, false);
    race(TMB_TYPE_RW_SET, TMB_VERB_REVOKE, TMB_VERB_REVOKE, TMB_VERB_ADMIT, false);
    race(TMB_TYPE_RW_SET, TMB_VERB_NONE, TMB_VERB_REVOKE, TMB_VERB_ADMIT, false);
    race(TMB_TYPE_RW_SET, TMB_VERB_REVOKE, TMB_VERB_ADMIT, TMB_VERB_ADMIT, true);
    race(TMB_TYPE_RW_SET, TMB_VERB_ADMIT, TMB_VERB_ADMIT, TMB_VERB_DEL, true);
    race(TMB_TYPE_G_SET, TMB_VERB_INSERT, TMB_VERB_INSERT, TMB_VERB_DEL, true);
    race(TMB_TYPE_G_SET, TMB_VERB_INSERT, TMB_VERB_DEL, TMB_VERB_DEL, false);
    race(TMB_TYPE_EW_FLAG, TMB_VERB_ENABLE, TMB_VERB_ENABLE, TMB_VERB_DISABLE, true);
    race(TMB_TYPE_EW_FLAG, TMB_VERB_ENABLE, TMB_VERB_DISABLE, TMB_VERB_DISABLE, false);
    race(TMB_TYPE_DW_FLAG, TMB_VERB_PERMIT, TMB_VERB_PERMIT, TMB_VERB_FORBID, false);
    race(TMB_TYPE_DW_FLAG, TMB_VERB_FORBID, TMB_VERB_FORBID, TMB_VERB_PERMIT, false);
    race(TMB_TYPE_DW_FLAG, TMB_VERB_FORBID, TMB_VERB_PERMIT, TMB_VERB_PERMIT, true);
    race(TMB_TYPE_DW_FLAG, TMB_VERB_PERMIT, TMB_VERB_PERMIT, TMB_VERB_DEL, true);
    race(TMB_TYPE_MAP, TMB_VERB_NEW, TMB_VERB_NEW, TMB_VERB_DEL, true);
    race(TMB_TYPE_MAP, TMB_VERB_NEW, TMB_VERB_DEL, TMB_VERB_DEL, false);
}

static void what_is_nothing_and_what_is_not(void **state)
{
    (void)state;
    begin(TMB_TYPE_AW_SET);
    assert_false(replica_do(&a, TMB_VERB_RM));
    assert_false(replica_do(&a, TMB_VERB_DEL));
    assert_true(replica_do(&a, TMB_VERB_ADD));
    assert_true(replica_do(&a, TMB_VERB_ADD));
    assert_int_equal(a.leaf.count, 1);
    assert_true(replica_do(&a, TMB_VERB_RM));
    assert_false(replica_do(&a, TMB_VERB_RM));
    begin(TMB_TYPE_EW_FLAG);
    assert_false(replica_do(&a, TMB_VERB_DISABLE));
    assert_true(replica_do(&a, TMB_VERB_ENABLE));
    assert_true(replica_do(&a, TMB_VERB_ENABLE));
    begin(TMB_TYPE_DW_FLAG);
    assert_false(tmb_type_is_in(TMB_TYPE_DW_FLAG, &a.leaf));
    assert_true(replica_do(&a, TMB_VERB_FORBID));
    assert_true(replica_do(&a, TMB_VERB_FORBID));
    assert_false(tmb_type_is_in(TMB_TYPE_DW_FLAG, &a.leaf));
    begin(TMB_TYPE_RW_SET);
    assert_true(replica_do(&a, TMB_VERB_REVOKE));
    assert_int_equal(a.leaf.count, 1);
}

/* A client that read long ago removes what it read, and its writes do not pile up entries. */
static void tokens_remove_what_was_read(void **state)
{
    (void)state;
    tmb_context none = tmb_context_of(NULL, 0, NULL, 0);
    tmb_change rm = {.verb = TMB_VERB_RM}, add = {.verb = TMB_VERB_ADD};
    begin(TMB_TYPE_AW_SET);
    assert_true(replica_do(&a, TMB_VERB_ADD));
    assert_false(replica_change_seen(&a, &rm, &none));
    assert_true(tmb_type_is_in(a.type, &a.leaf));
    for (unsigned i = 0; i < 2 * TMB_SIBLINGS_MAX; i++)
        assert_true(replica_change_seen(&a, &add, &none));
    assert_int_equal(a.leaf.count, 1);
    tmb_change admit = {.verb = TMB_VERB_ADMIT};
    begin(TMB_TYPE_RW_SET);
    assert_true(replica_do(&a, TMB_VERB_REVOKE));
    assert_true(replica_change_seen(&a, &admit, &none));
    assert_true(replica_change_seen(&a, &admit, &none));
    assert_int_equal(a.leaf.count, 2);
    assert_false(tmb_type_is_in(a.type, &a.leaf));
}

static void extremes_move_one_way(void **state)
{
    (void)state;
    begin(TMB_TYPE_MAX);
    assert_null(tmb_extreme_read(TMB_TYPE_MAX, &a.leaf));
    assert_true(replica_value(&a, TMB_VERB_RAISE, 0, "3"));
    assert_false(replica_value(&a, TMB_VERB_RAISE, 0, "3"));
    assert_false(replica_value(&a, TMB_VERB_RAISE, 0, "2"));
    assert_true(replica_value(&b, TMB_VERB_RAISE, 0, "5"));
    meet();
    assert_int_equal(a.leaf.count, 2);
    assert_int_equal(tmb_extreme_read(a.type, &a.leaf)->value.ptr[0], '5');
    assert_true(replica_value(&a, TMB_VERB_RAISE, 0, "50"));
    assert_int_equal(a.leaf.count, 1);
    begin(TMB_TYPE_MIN);
    assert_true(replica_value(&a, TMB_VERB_LOWER, 0, "3"));
    assert_false(replica_value(&a, TMB_VERB_LOWER, 0, "4"));
    assert_true(replica_value(&b, TMB_VERB_LOWER, 0, "1"));
    meet();
    assert_int_equal(tmb_extreme_read(a.type, &a.leaf)->value.ptr[0], '1');
}

static tmb_err change_of(tmb_type type, tmb_change change, tmb_dot under, size_t room)
{
    static uint8_t out[128];
    static tmb_delta delta;
    tmb_leaf empty;
    empty.count = 0;
    return tmb_change_delta(type, &change, &empty, NULL, &under, out, room, &delta);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    tmb_change set = {.verb = TMB_VERB_SET, .value = tmb_bytes_str("abc")};
    assert_int_equal(change_of(TMB_TYPE_REGISTER, set, dot(1, 1), 11), TMB_OK);
    assert_int_equal(change_of(TMB_TYPE_REGISTER, set, dot(1, 1), 10), TMB_EINVAL);
    assert_int_equal(change_of(TMB_TYPE_AW_SET, set, dot(1, 1), 11), TMB_EINVAL);
    assert_int_equal(change_of(TMB_TYPE_REGISTER, set, dot(1, 0), 11), TMB_EINVAL);
    assert_int_equal(change_of(TMB_TYPE_REGISTER, set, dot(1, TMB_SEQ_MAX + 1), 11), TMB_EINVAL);
    assert_int_equal(change_of(TMB_TYPE_NONE, (tmb_change){.verb = TMB_VERB_DEL}, dot(1, 1), 0),
                     TMB_EINVAL);
    assert_int_equal(
        change_of((tmb_type)TMB_TYPES, (tmb_change){.verb = TMB_VERB_DEL}, dot(1, 1), 0),
        TMB_EINVAL);
    assert_int_equal(change_of(TMB_TYPE_NONE, (tmb_change){0}, dot(1, 1), 0), TMB_EINVAL);
    tmb_change raise = {.verb = TMB_VERB_RAISE};
    uint8_t many[TMB_EXTREME_BYTES_MAX + 1] = {0};
    assert_int_equal(change_of(TMB_TYPE_MAX, raise, dot(1, 1), 128), TMB_EINVAL);
    raise.value = tmb_bytes_of(many, TMB_EXTREME_BYTES_MAX);
    assert_int_equal(change_of(TMB_TYPE_MAX, raise, dot(1, 1), 128), TMB_OK);
    raise.value.len++;
    assert_int_equal(change_of(TMB_TYPE_MAX, raise, dot(1, 1), 128), TMB_EINVAL);
    begin(TMB_TYPE_AW_SET);
    assert_true(replica_do(&a, TMB_VERB_ADD));
    tmb_change add = {.verb = TMB_VERB_ADD};
    tmb_dot used = dot(1, 1);
    assert_int_equal(tmb_change_delta(a.type, &add, &a.leaf, NULL, &used, NULL, 0, &b.delta),
                     TMB_EINVAL);
}

static void foreign_values_are_looked_at(void **state)
{
    (void)state;
    static const struct {
        tmb_type type;
        size_t len;
        const char *bytes;
        bool is_valid;
    } cases[] = {
        {TMB_TYPE_REGISTER, 7, "1234567", false},
        {TMB_TYPE_REGISTER, 8, "12345678", true},
        {TMB_TYPE_G_COUNTER, 1, "\x05", true},
        {TMB_TYPE_G_COUNTER, 2, "\x05\x05", false},
        {TMB_TYPE_G_COUNTER, 2, "\x85\0", false},
        {TMB_TYPE_PN_COUNTER, 2, "\x05\x05", true},
        {TMB_TYPE_PN_COUNTER, 1, "\x05", false},
        {TMB_TYPE_PN_COUNTER, 3, "\x05\x05\x05", false},
        {TMB_TYPE_RW_SET, 1, "\x01", true},
        {TMB_TYPE_RW_SET, 1, "\x02", false},
        {TMB_TYPE_DW_FLAG, 0, "", false},
        {TMB_TYPE_AW_SET, 0, "", true},
        {TMB_TYPE_AW_SET, 1, "x", false},
        {TMB_TYPE_MAP, 0, "", true},
        {TMB_TYPE_MIN, 0, "", false},
        {TMB_TYPE_MAX, 3, "abc", true},
        {TMB_TYPE_NONE, 0, "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(
            tmb_type_is_value_valid(cases[i].type, tmb_bytes_of(cases[i].bytes, cases[i].len)),
            cases[i].is_valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_words_belong_together),
        cmocka_unit_test(register_keeps_what_nobody_saw_and_reads_the_greatest),
        cmocka_unit_test(register_of_equal_stamps_reads_the_greater_actor_then_bytes),
        cmocka_unit_test(who_wins_when_both_change),
        cmocka_unit_test(what_is_nothing_and_what_is_not),
        cmocka_unit_test(tokens_remove_what_was_read),
        cmocka_unit_test(extremes_move_one_way),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(foreign_values_are_looked_at),
    };
    return cmocka_run_group_tests_name("unit.crdt.type", tests, NULL, NULL);
}
