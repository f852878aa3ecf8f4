// SPDX-License-Identifier: Apache-2.0
/* The seen table: highest numbers kept, keys that cannot be confused, the oldest forgotten at the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "broker-plugin/seen.h"

static tmb_bytes key_of(const tmb_seen_key *key)
{
    return tmb_bytes_of(key->bytes, key->len);
}

static uint64_t max_of(tmb_seen *seen, const char *key)
{
    uint64_t number = 999;
    assert_int_equal(tmb_seen_max(seen, tmb_bytes_str(key), &number), TMB_OK);
    return number;
}

static void raise_to(tmb_seen *seen, const char *key, uint64_t number)
{
    assert_int_equal(tmb_seen_raise(seen, tmb_bytes_str(key), number), TMB_OK);
}

static void keeps_the_highest(void **state)
{
    (void)state;
    tmb_seen *seen = NULL;
    assert_int_equal(tmb_seen_new(8, 8, &seen), TMB_OK);
    assert_int_equal(max_of(seen, "a"), 0);
    raise_to(seen, "a", 7);
    raise_to(seen, "a", 5);
    raise_to(seen, "b", UINT64_MAX);
    assert_int_equal(max_of(seen, "a"), 7);
    assert_true(max_of(seen, "b") == UINT64_MAX);
    assert_int_equal(tmb_seen_count(seen), 2);
    tmb_seen_free(seen);
    tmb_seen_free(NULL);
}

static void forgets_the_one_not_heard_of_for_longest(void **state)
{
    (void)state;
    tmb_seen *seen = NULL;
    assert_int_equal(tmb_seen_new(3, 3, &seen), TMB_OK);
    raise_to(seen, "a", 1);
    raise_to(seen, "b", 2);
    raise_to(seen, "c", 3);
    assert_int_equal(max_of(seen, "a"), 1); /* a is heard of again, b is the oldest now */
    raise_to(seen, "d", 4);
    assert_int_equal(tmb_seen_count(seen), 3);
    assert_int_equal(tmb_seen_forgotten(seen), 1);
    assert_int_equal(max_of(seen, "a"), 1);
    assert_int_equal(max_of(seen, "c"), 3);
    assert_int_equal(max_of(seen, "d"), 4);
    assert_int_equal(max_of(seen, "b"), 0);
    assert_int_equal(tmb_seen_forgotten(seen), 2);
    tmb_seen_free(seen);
}

/* raise_run raises a run of a client, in the stream s. */
static void raise_run(tmb_seen *seen, const char *client, unsigned run, uint64_t number)
{
    char name[16];
    snprintf(name, sizeof name, "%u", run);
    tmb_seen_key key =
        tmb_seen_key_publisher(tmb_bytes_str(client), tmb_bytes_str(name), tmb_bytes_str("s"));
    assert_int_equal(tmb_seen_raise(seen, key_of(&key), number), TMB_OK);
}

/* has_run says whether it is remembered: looked for in a walk, which changes nothing. */
typedef struct wanted {
    tmb_seen_key key;
    bool is_there;
} wanted;

static void look(void *arg, tmb_bytes key, uint64_t number)
{
    (void)number;
    wanted *w = arg;
    w->is_there |= tmb_bytes_eq(key, key_of(&w->key));
}

static bool has_run(const tmb_seen *seen, const char *client, unsigned run)
{
    char name[16];
    snprintf(name, sizeof name, "%u", run);
    wanted w = {
        tmb_seen_key_publisher(tmb_bytes_str(client), tmb_bytes_str(name), tmb_bytes_str("s")),
        false};
    tmb_seen_each(seen, look, &w);
    return w.is_there;
}

static void one_with_too_many_loses_its_own_oldest(void **state)
{
    (void)state;
    tmb_seen *seen = NULL;
    assert_int_equal(tmb_seen_new(100, 4, &seen), TMB_OK);
    raise_run(seen, "good", 0, 17);
    for (unsigned run = 0; run < 1000; run++)
        raise_run(seen, "evil", run, 1);
    assert_int_equal(tmb_seen_count(seen), 5);
    assert_int_equal(tmb_seen_forgotten(seen), 996);
    assert_true(has_run(seen, "good", 0));
    assert_false(has_run(seen, "evil", 995));
    raise_run(seen, "evil", 996, 2); /* heard of again: 997 is its oldest now */
    raise_run(seen, "evil", 1000, 1);
    assert_true(has_run(seen, "evil", 996));
    assert_false(has_run(seen, "evil", 997));
    tmb_seen_free(seen);
}

static void a_full_table_takes_from_who_has_the_most(void **state)
{
    (void)state;
    tmb_seen *seen = NULL;
    assert_int_equal(tmb_seen_new(12, 4, &seen), TMB_OK);
    raise_run(seen, "good", 0, 17); /* never heard of again */
    for (unsigned run = 0; run < 4; run++) {
        raise_run(seen, "evil1", run, 1);
        raise_run(seen, "evil2", run, 1);
    }
    char name[16];
    for (unsigned i = 0; i < 8;
         i++) { /* newcomers: 3 fit, the others cost evil1 and evil2 theirs */
        snprintf(name, sizeof name, "new%u", i);
        raise_run(seen, name, 0, 1);
    }
    assert_int_equal(tmb_seen_count(seen), 12);
    assert_int_equal(tmb_seen_forgotten(seen), 5);
    assert_true(has_run(seen, "good", 0));
    assert_false(has_run(seen, "evil1", 2));
    assert_true(has_run(seen, "evil1", 3));
    assert_false(has_run(seen, "evil2", 1));
    assert_true(has_run(seen, "evil2", 2));
    raise_run(seen, "new8", 0, 1);
    assert_false(has_run(seen, "evil2", 2));
    raise_run(seen, "new9", 0, 1); /* now all have one: the one not heard of for longest goes */
    assert_false(has_run(seen, "good", 0));
    tmb_seen_free(seen);
}

static void all_children_fit_with_all_their_streams(void **state)
{
    (void)state;
    tmb_seen *seen = NULL;
    assert_int_equal(tmb_seen_new(TMB_SEEN_CHILDREN_MAX, TMB_SEEN_RUNS_MAX, &seen), TMB_OK);
    for (unsigned i = 0; i < TMB_CHILDREN_MAX * TMB_STREAMS_MAX; i++) {
        char node[16], stream[16];
        snprintf(node, sizeof node, "n%u", i % TMB_CHILDREN_MAX);
        snprintf(stream, sizeof stream, "s%u", i / TMB_CHILDREN_MAX);
        tmb_origin source = {.node = tmb_bytes_str(node), .stream = tmb_bytes_str(stream)};
        tmb_seen_key key = tmb_seen_key_child(&source);
        assert_int_equal(tmb_seen_raise(seen, key_of(&key), 1), TMB_OK);
    }
    assert_int_equal(tmb_seen_forgotten(seen), 0);
    assert_int_equal(tmb_seen_count(seen), TMB_CHILDREN_MAX * TMB_STREAMS_MAX);
    for (unsigned life = 0; life < 100; life++) { /* a child that is set up again and again */
        tmb_origin source = {.node = tmb_bytes_str("n7"), .stream = tmb_bytes_str("s0")};
        source.incarnation.bytes[0] = (uint8_t)(life + 1);
        tmb_seen_key key = tmb_seen_key_child(&source);
        assert_int_equal(tmb_seen_raise(seen, key_of(&key), 1), TMB_OK);
    }
    assert_int_equal(tmb_seen_forgotten(seen), 100);
    tmb_seen_free(seen);
}

typedef struct walked {
    char keys[16];
    unsigned count;
} walked;

static void note(void *arg, tmb_bytes key, uint64_t number)
{
    walked *w = arg;
    assert_int_equal(key.len, 1);
    assert_true(number > 0);
    w->keys[w->count++] = (char)key.ptr[0];
}

static void is_walked_in_order_of_use(void **state)
{
    (void)state;
    tmb_seen *seen = NULL;
    assert_int_equal(tmb_seen_new(8, 8, &seen), TMB_OK);
    raise_to(seen, "a", 1);
    raise_to(seen, "b", 1);
    raise_to(seen, "c", 1);
    raise_to(seen, "a", 2);
    walked w = {{0}, 0};
    tmb_seen_each(seen, note, &w);
    assert_string_equal(w.keys, "bca");
    tmb_seen_free(seen);
}

static void numbers_of_a_life_before_are_told_apart(void **state)
{
    (void)state;
    tmb_seen *seen = NULL;
    tmb_bytes a = tmb_bytes_str("\1a"), b = tmb_bytes_str("\1b"), c = tmb_bytes_str("\1c");
    assert_int_equal(tmb_seen_new(9, 9, &seen), TMB_OK);
    assert_int_equal(tmb_seen_raise(seen, a, 5), TMB_OK);
    assert_int_equal(tmb_seen_raise(seen, b, 6), TMB_OK);
    assert_int_equal(tmb_seen_base(seen, a), 0);
    tmb_seen_settle(seen);
    assert_int_equal(tmb_seen_raise(seen, a, 8), TMB_OK);
    assert_int_equal(tmb_seen_raise(seen, c, 3), TMB_OK);
    assert_int_equal(tmb_seen_base(seen, a), 5);
    assert_int_equal(tmb_seen_base(seen, b), 6);
    assert_int_equal(tmb_seen_base(seen, c), 0);
    tmb_seen_free(seen);
}

static void keys_of_different_sources_differ(void **state)
{
    (void)state;
    tmb_bytes none = tmb_bytes_of(NULL, 0), s = tmb_bytes_str("default");
    tmb_seen_key keys[] = {
        tmb_seen_key_publisher(tmb_bytes_str("ab"), none, s),
        tmb_seen_key_publisher(tmb_bytes_str("a"), tmb_bytes_str("b"), s),
        tmb_seen_key_publisher(tmb_bytes_str("a"), tmb_bytes_str("bd"), tmb_bytes_str("efault")),
        tmb_seen_key_publisher(tmb_bytes_str("a"), none, s),
    };
    for (size_t i = 0; i < 4; i++)
        for (size_t k = i + 1; k < 4; k++)
            assert_false(tmb_bytes_eq(key_of(&keys[i]), key_of(&keys[k])));
    tmb_origin one = {.node = tmb_bytes_str("s1"), .stream = s, .seq = 5};
    tmb_origin other = one, other_life = one;
    other.stream = tmb_bytes_str("alarms");
    other_life.incarnation.bytes[15] = 1;
    tmb_seen_key a = tmb_seen_key_child(&one), b = tmb_seen_key_child(&other);
    tmb_seen_key c = tmb_seen_key_child(&other_life);
    assert_false(tmb_bytes_eq(key_of(&a), key_of(&b)));
    assert_false(tmb_bytes_eq(key_of(&a), key_of(&c)));
    other.seq = 6;
    other.stream = s;
    b = tmb_seen_key_child(&other); /* the number is not part of the key */
    assert_true(tmb_bytes_eq(key_of(&a), key_of(&b)));
}

static void long_parts_are_cut(void **state)
{
    (void)state;
    static const char letters[300] = {'x'};
    tmb_bytes all = tmb_bytes_of(letters, 300),
              kept = tmb_bytes_of(letters, TMB_PUBLISHER_BYTES_MAX);
    tmb_bytes none = tmb_bytes_of(NULL, 0), s = tmb_bytes_str("s");
    tmb_seen_key a = tmb_seen_key_publisher(all, none, s),
                 b = tmb_seen_key_publisher(kept, none, s);
    assert_true(tmb_bytes_eq(key_of(&a), key_of(&b)));
    a = tmb_seen_key_publisher(all, all, all);
    assert_int_equal(a.len, TMB_SEEN_KEY_BYTES_MAX);
}

static void a_raise_can_be_taken_back(void **state)
{
    (void)state;
    tmb_seen *seen = NULL;
    uint64_t number = 9;
    assert_int_equal(tmb_seen_new(4, 4, &seen), TMB_OK);
    tmb_bytes key = tmb_bytes_str("\1a");
    tmb_seen_lower(seen, key, 1); /* no entry: nothing to take back */
    assert_int_equal(tmb_seen_count(seen), 0);
    assert_int_equal(tmb_seen_raise(seen, key, 7), TMB_OK);
    tmb_seen_lower(seen, key, 3);
    assert_int_equal(tmb_seen_max(seen, key, &number), TMB_OK);
    assert_int_equal(number, 3);
    tmb_seen_lower(seen, key, 5); /* never upwards */
    assert_int_equal(tmb_seen_max(seen, key, &number), TMB_OK);
    assert_int_equal(number, 3);
    tmb_seen_free(seen);
}

static void what_was_seen_and_not_stored_is_remembered(void **state)
{
    (void)state;
    tmb_seen *seen = NULL;
    assert_int_equal(tmb_seen_new(4, 4, &seen), TMB_OK);
    tmb_bytes key = tmb_bytes_str("\1a");
    tmb_seen_note_unstored(seen, key, 5); /* of nobody */
    assert_int_equal(tmb_seen_count(seen), 0);
    assert_int_equal(tmb_seen_unstored(seen, key), 0);
    assert_int_equal(tmb_seen_raise(seen, key, 7), TMB_OK);
    tmb_seen_note_unstored(seen, key, 7);
    tmb_seen_note_unstored(seen, key, 5); /* never downwards */
    assert_int_equal(tmb_seen_unstored(seen, key), 7);
    assert_int_equal(tmb_seen_raise(seen, key, 9), TMB_OK);
    assert_int_equal(tmb_seen_unstored(seen, key), 7);
    tmb_seen_free(seen);
}

/* A stream and its live lane have the same numbers. */
static void an_origin_is_one_by_either_lane(void **state)
{
    (void)state;
    tmb_origin x = {.node = tmb_bytes_str("s1"), .stream = tmb_bytes_str("x"), .seq = 5};
    tmb_origin live = x, other = x;
    live.stream = tmb_bytes_str("x.live");
    other.stream = tmb_bytes_str("xlive");
    tmb_seen_key a = tmb_seen_key_origin(&x), b = tmb_seen_key_origin(&live);
    tmb_seen_key c = tmb_seen_key_origin(&other);
    assert_true(tmb_bytes_eq(key_of(&a), key_of(&b)));
    assert_false(tmb_bytes_eq(key_of(&a), key_of(&c)));
    tmb_seen *seen = NULL;
    assert_int_equal(tmb_seen_new(8, 8, &seen), TMB_OK);
    assert_false(tmb_seen_has(seen, key_of(&a), 5)); /* asking makes no entry */
    assert_int_equal(tmb_seen_count(seen), 0);
    assert_int_equal(tmb_seen_add(seen, key_of(&b), 5), TMB_OK);
    assert_true(tmb_seen_has(seen, key_of(&a), 5));
    assert_false(tmb_seen_has(seen, key_of(&a), 4));
    assert_int_equal(tmb_seen_add(seen, key_of(&a), 4), TMB_OK);
    assert_true(tmb_seen_has(seen, key_of(&a), 4));
    assert_non_null(tmb_seen_holes(seen, key_of(&a)));
    for (uint64_t number = 1; number < 4; number++)
        assert_int_equal(tmb_seen_add(seen, key_of(&a), number), TMB_OK);
    assert_null(tmb_seen_holes(seen, key_of(&a)));
    tmb_seen_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_highest),
        cmocka_unit_test(forgets_the_one_not_heard_of_for_longest),
        cmocka_unit_test(one_with_too_many_loses_its_own_oldest),
        cmocka_unit_test(a_full_table_takes_from_who_has_the_most),
        cmocka_unit_test(all_children_fit_with_all_their_streams),
        cmocka_unit_test(is_walked_in_order_of_use),
        cmocka_unit_test(numbers_of_a_life_before_are_told_apart),
        cmocka_unit_test(keys_of_different_sources_differ),
        cmocka_unit_test(an_origin_is_one_by_either_lane),
        cmocka_unit_test(long_parts_are_cut),
        cmocka_unit_test(a_raise_can_be_taken_back),
        cmocka_unit_test(what_was_seen_and_not_stored_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
