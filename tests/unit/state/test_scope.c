// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/test_scope.c - a scope: operations and what they answer, passes, what is kept between
 * transactions.
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

static void test_values_are_read_as_they_were_written(void **state)
{
    (void)state;
    assert_int_equal(replica_do(&a, TMB_VERB_SET, "oven/setpoint", "180"), TMB_VERDICT_DONE);
    assert_int_equal(replica_do(&a, TMB_VERB_SET, "oven/setpoint", "190"), TMB_VERDICT_DONE);
    assert_string_equal(replica_text(&a, "oven/setpoint"), "190");
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(replica_do(&a, TMB_VERB_INC, "oven/parts", NULL), TMB_VERDICT_DONE);
    assert_int_equal(replica_do(&a, TMB_VERB_DEC, "oven/parts", NULL), TMB_VERDICT_DONE);
    assert_int_equal(replica_count(&a, "oven/parts"), 4);
    assert_int_equal(replica_do(&a, TMB_VERB_ADD, "orders", "wo-17"), TMB_VERDICT_DONE);
    assert_true(replica_is_in(&a, TMB_TYPE_AW_SET, "orders", "wo-17"));
    assert_int_equal(replica_do(&a, TMB_VERB_RM, "orders", "wo-17"), TMB_VERDICT_DONE);
    assert_int_equal(replica_do(&a, TMB_VERB_RM, "orders", "wo-17"), TMB_VERDICT_SAME);
    assert_false(replica_is_in(&a, TMB_TYPE_AW_SET, "orders", "wo-17"));
    assert_int_equal(replica_check(&a), 3); /* two values and a removal */
    assert_int_equal(a.at.last, 10);
}

/* What still fits is counted, what does not is said, and the number is taken: a retry is a repeat. */
static void test_a_counter_at_its_end_says_so(void **state)
{
    (void)state;
    tmb_op op = {.verb = TMB_VERB_INC, .path = tmb_bytes_str("n"), .amount = INT64_MAX - 1};
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    op.run = tmb_bytes_str("press");
    op.amount = 3;
    op.number = 1;
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_SATURATED);
    assert_int_equal(replica_count(&a, "n"), INT64_MAX);
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_REPEAT);
    op.number = 2; /* now nothing fits */
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_SATURATED);
    assert_int_equal(replica_count(&a, "n"), INT64_MAX);
    assert_int_equal(replica_do(&a, TMB_VERB_RESET, "n", NULL), TMB_VERDICT_DONE);
    assert_int_equal(replica_count(&a, "n"), 0);
}

static void test_a_pass_carries_everything_and_a_second_one_nothing(void **state)
{
    (void)state;
    (void)replica_do(&a, TMB_VERB_SET, "x", "1");
    (void)replica_do(&b, TMB_VERB_ADD, "s", "e");
    replica_pass(&a, &b);
    replica_pass(&b, &a);
    assert_true(replica_is_equal(&a, &b));
    uint64_t calls = a.disk.calls;
    bool is_complete = false;
    assert_int_equal(replica_chunk(&b, &a, 4096, &is_complete), TMB_OK);
    assert_true(is_complete);
    assert_true(a.disk.calls - calls < 8);
    (void)replica_check(&a);
    (void)replica_check(&b);
}

static void test_what_is_written_at_once_is_kept_until_somebody_has_read_it(void **state)
{
    (void)state;
    (void)replica_do(&a, TMB_VERB_SET, "x", "a");
    (void)replica_do(&b, TMB_VERB_SET, "x", "b");
    replica_pass(&a, &b);
    replica_pass(&b, &a);
    static tmb_leaf leaf;
    tmb_leaf_key key = {tmb_bytes_str("x"), TMB_TYPE_REGISTER, {NULL, 0}};
    assert_int_equal(tmb_scope_leaf(replica_begin(&a), &key, &leaf), TMB_OK);
    assert_int_equal(leaf.count, 2);
    (void)replica_do(&b, TMB_VERB_SET, "x", "both");
    replica_pass(&b, &a);
    assert_string_equal(replica_text(&a, "x"), "both");
    assert_int_equal(replica_check(&a), 1);
}

static void test_adding_wins_over_a_removal_that_has_not_seen_it(void **state)
{
    (void)state;
    (void)replica_do(&a, TMB_VERB_ADD, "s", "e");
    replica_pass(&a, &b);
    (void)replica_do(&a, TMB_VERB_RM, "s", "e");
    (void)replica_do(&b, TMB_VERB_ADD, "s", "e");
    replica_pass(&a, &b);
    replica_pass(&b, &a);
    assert_true(replica_is_in(&a, TMB_TYPE_AW_SET, "s", "e"));
    assert_true(replica_is_equal(&a, &b));
}

static void test_a_removal_goes_through_a_node_between(void **state)
{
    (void)state;
    (void)replica_do(&a, TMB_VERB_ADD, "s", "e");
    replica_pass(&a, &b);
    replica_pass(&b, &c);
    assert_true(replica_is_in(&c, TMB_TYPE_AW_SET, "s", "e"));
    (void)replica_do(&a, TMB_VERB_RM, "s", "e");
    replica_pass(&a, &b);
    assert_int_equal(replica_check(&b), 1); /* c has not heard of it */
    replica_pass(&b, &c);
    assert_false(replica_is_in(&c, TMB_TYPE_AW_SET, "s", "e"));
    assert_int_equal(replica_check(&b), 0);
    assert_int_equal(replica_check(&a), 0);
}

/* The pass from a is never over: what it has brought to b in place of an older change is told to c, which
 * takes b's clock. */
static void test_what_an_unfinished_pass_has_replaced_is_told_on(void **state)
{
    bool is_complete = true;
    (void)state;
    (void)replica_do(&c, TMB_VERB_ADD, "s", "e");
    replica_pass(&c, &b);
    replica_pass(&b, &a);
    (void)replica_do(&a, TMB_VERB_SET, "r", "one");
    (void)replica_do(&b, TMB_VERB_ADD, "s", "e"); /* which c does not have */
    replica_pass(&a, &b);
    replica_pass(&b, &a);
    (void)replica_do(&a, TMB_VERB_SET, "r", "two");
    (void)replica_do(&a, TMB_VERB_RM, "s", "e");
    for (int i = 0; i < 20; i++)
        (void)replica_do(&a, TMB_VERB_ADD, "t", (char[]){(char)('a' + i), 0});
    for (int i = 0; i < 2; i++)
        assert_int_equal(replica_chunk(&a, &b, 1, &is_complete), TMB_OK);
    assert_false(is_complete);
    assert_string_equal(replica_text(&b, "r"), "two");
    assert_false(replica_is_in(&b, TMB_TYPE_AW_SET, "s", "e"));
    (void)replica_check(&b);
    replica_pass(&b, &c);
    assert_string_equal(replica_text(&c, "r"), "two");
    assert_false(replica_is_in(&c, TMB_TYPE_AW_SET, "s", "e"));
    replica_pass(&a, &b);
    replica_pass(&b, &c);
    replica_pass(&c, &b);
    replica_pass(&b, &a);
    assert_true(replica_is_equal(&a, &b));
    assert_true(replica_is_equal(&b, &c));
    assert_int_equal(replica_check(&b), replica_check(&c));
}

/* An older change comes to b whole, when what replaced it is there from a pass that is never over. */
static void test_what_comes_below_a_leaf_that_is_ahead_is_told_on(void **state)
{
    bool is_complete = true;
    replica d;
    (void)state;
    replica_open(&d, 4);
    (void)replica_do(&a, TMB_VERB_SET, "r", "one");
    replica_pass(&a, &b);
    replica_pass(&a, &c);
    replica_pass(&a, &d);
    (void)replica_do(&c, TMB_VERB_SET, "r", "two");
    replica_pass(&c, &a);
    (void)replica_do(&a, TMB_VERB_SET, "r", "three");
    for (int i = 0; i < 5; i++)
        (void)replica_do(&a, TMB_VERB_ADD, "t", (char[]){(char)('a' + i), 0});
    assert_int_equal(replica_chunk(&a, &b, 1, &is_complete), TMB_OK);
    assert_false(is_complete);
    assert_string_equal(replica_text(&b, "r"), "three");
    replica_pass(&c, &b); /* "two" is in b's clock, and in no leaf of b's */
    assert_string_equal(replica_text(&b, "r"), "three");
    (void)replica_check(&b);
    replica_pass(&b, &d);
    assert_string_equal(replica_text(&d, "r"), "three");
    (void)replica_check(&d);
    replica_close(&d);
}

/* Two boxes write under one name, and one dot is a removal here and an entry there: the removal goes all the
 * same, or nothing would be forgotten any more. */
static void test_a_dot_with_two_leaves_does_not_stop_forgetting(void **state)
{
    bool is_complete = true;
    unsigned lapsed = 0, forgotten = 0;
    replica twin;
    (void)state;
    replica_open(&twin, 1);
    strcpy(twin.name, "n9");
    (void)replica_do(&a, TMB_VERB_SET, "r", "one");
    (void)replica_do(&a, TMB_VERB_DEL, "r", NULL);
    (void)replica_do(&a, TMB_VERB_SET, "s", "more");
    (void)replica_do(&twin, TMB_VERB_SET, "r", "one");
    (void)replica_do(&twin, TMB_VERB_SET, "q", "two");
    assert_int_equal(replica_chunk(&a, &b, 1, &is_complete), TMB_OK);
    assert_false(is_complete);
    assert_int_equal(replica_begin(&b)->removals, 1);
    replica_pass(&twin, &b);
    assert_int_equal(tmb_scope_lapse(replica_begin(&b), INT64_MAX / 2, 1, UINT64_MAX, &lapsed),
                     TMB_OK);
    assert_int_equal(lapsed, 1);
    assert_int_equal(tmb_scope_forget(&b.at, 100, &forgotten), TMB_OK);
    assert_int_equal(b.at.removals, 0);
    replica_end(&b);
    assert_string_equal(replica_text(&b, "q"), "two");
    replica_close(&twin);
}

static void test_deleting_a_map_takes_what_was_seen_below_it(void **state)
{
    (void)state;
    (void)replica_do(&a, TMB_VERB_NEW, "m", NULL);
    (void)replica_do(&a, TMB_VERB_SET, "m/x", "1");
    (void)replica_do(&a, TMB_VERB_ADD, "m/s/t", "e");
    (void)replica_do(&a, TMB_VERB_SET, "m-side", "1"); /* sorts between m and m/ */
    (void)replica_do(&a, TMB_VERB_SET, "mm", "1");
    replica_pass(&a, &b);
    (void)replica_do(&b, TMB_VERB_SET, "m/y", "new");
    assert_int_equal(replica_do(&a, TMB_VERB_DEL, "m", NULL), TMB_VERDICT_DONE);
    assert_int_equal(replica_do(&a, TMB_VERB_DEL, "m", NULL), TMB_VERDICT_SAME);
    replica_pass(&a, &b);
    replica_pass(&b, &a);
    assert_string_equal(replica_text(&a, "m/x"), "");
    assert_string_equal(replica_text(&a, "m/y"), "new");
    assert_string_equal(replica_text(&a, "m-side"), "1");
    assert_string_equal(replica_text(&a, "mm"), "1");
    assert_false(replica_is_in(&b, TMB_TYPE_AW_SET, "m/s/t", "e"));
    assert_true(replica_is_equal(&a, &b));
}

static void test_a_number_counts_once_and_a_refusal_not_at_all(void **state)
{
    (void)state;
    tmb_op op = {.verb = TMB_VERB_INC,
                 .path = tmb_bytes_str("n"),
                 .amount = 2,
                 .run = tmb_bytes_str("plc-1"),
                 .number = 7};
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_REPEAT);
    op.number = 6;
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_REPEAT);
    op.number = 8;
    op.token = tmb_bytes_str("nonsense");
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_TOKEN);
    op.token.len = 0;
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    assert_int_equal(replica_count(&a, "n"), 4);
    assert_int_equal(replica_begin(&a)->callers, 1);
}

static void test_callers_beyond_the_limit_are_forgotten_the_longest_silent_first(void **state)
{
    (void)state;
    char run[16];
    tmb_op op = {.verb = TMB_VERB_INC, .path = tmb_bytes_str("n"), .amount = 0, .number = 1};
    tmb_scope *scope = replica_begin(&a);
    tmb_verdict verdict;
    for (unsigned i = 0; i <= TMB_CALLERS_MAX; i++) {
        (void)snprintf(run, sizeof run, "r%u", i == 2 ? 0 : i);
        op.run = tmb_bytes_str(run);
        op.number = i + 1;
        assert_int_equal(tmb_scope_apply(scope, &op, true, &verdict, NULL), TMB_OK);
        assert_int_not_equal(verdict, TMB_VERDICT_REPEAT);
    }
    replica_end(&a);
    assert_int_equal(replica_begin(&a)->callers, TMB_CALLERS_MAX);
    op.run = tmb_bytes_str("another");
    assert_int_not_equal(replica_apply(&a, &op), TMB_VERDICT_REPEAT);
    assert_int_equal(replica_begin(&a)->callers, TMB_CALLERS_MAX);
    op.number = 1;
    op.run = tmb_bytes_str("r0"); /* spoke again, so it is not the first to go */
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_REPEAT);
    op.run = tmb_bytes_str("r1");
    assert_int_not_equal(replica_apply(&a, &op), TMB_VERDICT_REPEAT);
    op.run = tmb_bytes_str("r0"); /* which made room for that */
    assert_int_not_equal(replica_apply(&a, &op), TMB_VERDICT_REPEAT);
    op.run = tmb_bytes_str("r4"); /* and r3 for this one */
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_REPEAT);
    assert_int_equal(replica_begin(&a)->callers, TMB_CALLERS_MAX);
}

static void test_a_condition_holds_only_while_nothing_has_changed(void **state)
{
    (void)state;
    uint8_t token[TMB_TOKEN_BYTES_MAX];
    size_t len = 0;
    tmb_bytes value = tmb_bytes_str("2");
    (void)replica_do(&a, TMB_VERB_SET, "x", "1");
    (void)replica_do(&a, TMB_VERB_SET, "y", "1");
    assert_int_equal(
        tmb_scope_token(replica_begin(&a), tmb_bytes_str("x"), token, sizeof token, &len), TMB_OK);
    tmb_op op = {.verb = TMB_VERB_SET,
                 .path = tmb_bytes_str("x"),
                 .values_count = 1,
                 .values = &value,
                 .token = tmb_bytes_of(token, len),
                 .is_unchanged = true};
    (void)replica_do(&a, TMB_VERB_SET, "y", "2"); /* another path is no matter */
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_STALE);
    assert_int_equal(replica_apply(&b, &op), TMB_VERDICT_AHEAD);
    tmb_verdict verdict;
    const char *text = "";
    assert_int_equal(tmb_scope_apply(replica_begin(&b), &op, true, &verdict, &text), TMB_OK);
    assert_non_null(strstr(text, "of another scope")); /* there it would be tried for ever */
    assert_int_equal(
        tmb_scope_token(replica_begin(&a), tmb_bytes_of(NULL, 0), token, sizeof token, &len),
        TMB_OK);
    op.token.len = len;
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_TOKEN);
    size_t short_len = 0;
    assert_int_equal(tmb_scope_token(replica_begin(&a), op.path, token, 8, &short_len), TMB_ELIMIT);
}

static void test_with_a_token_only_what_was_read_is_replaced(void **state)
{
    (void)state;
    uint8_t token[TMB_TOKEN_BYTES_MAX];
    size_t len = 0;
    (void)replica_do(&a, TMB_VERB_ADD, "s", "e");
    assert_int_equal(
        tmb_scope_token(replica_begin(&a), tmb_bytes_str("s"), token, sizeof token, &len), TMB_OK);
    (void)replica_do(&b, TMB_VERB_ADD, "s", "e");
    replica_pass(&b, &a);
    tmb_bytes elem = tmb_bytes_str("e");
    tmb_op op = {.verb = TMB_VERB_RM,
                 .path = tmb_bytes_str("s"),
                 .values_count = 1,
                 .values = &elem,
                 .token = tmb_bytes_of(token, len)};
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    assert_true(replica_is_in(&a, TMB_TYPE_AW_SET, "s", "e"));
}

static void test_limits_refuse_and_change_nothing(void **state)
{
    (void)state;
    static uint8_t large[TMB_REGISTER_BYTES_MAX + 1];
    static tmb_bytes many[TMB_OP_VALUES_MAX + 1];
    tmb_bytes value = tmb_bytes_of(large, sizeof large);
    tmb_op op = {
        .verb = TMB_VERB_SET, .path = tmb_bytes_str("x"), .values_count = 1, .values = &value};
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_LIMIT);
    value.len--;
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    op.verb = TMB_VERB_ADD;
    value.len = TMB_ELEMENT_BYTES_MAX + 1;
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_LIMIT);
    value.len--;
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    for (unsigned i = 0; i <= TMB_OP_VALUES_MAX; i++)
        many[i] = tmb_bytes_of(&large[i], 1);
    op.values = many;
    op.values_count = TMB_OP_VALUES_MAX + 1;
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_LIMIT);
    op.values_count--;
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    op.path = tmb_bytes_str("1/2/3/4/5/6/7/8/9/10/11/12/13");
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_LIMIT);
    op.path = tmb_bytes_of(NULL, 0);
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_MALFORMED);
    (void)replica_check(&a);
}

static void test_too_many_siblings_are_refused(void **state)
{
    (void)state;
    uint8_t token[TMB_TOKEN_BYTES_MAX];
    size_t len = 0;
    assert_int_equal(
        tmb_scope_token(replica_begin(&a), tmb_bytes_str("x"), token, sizeof token, &len), TMB_OK);
    tmb_bytes value = tmb_bytes_str("v");
    tmb_op op = {.verb = TMB_VERB_SET,
                 .path = tmb_bytes_str("x"),
                 .values_count = 1,
                 .values = &value,
                 .token = tmb_bytes_of(token, len)};
    for (unsigned i = 0; i < TMB_SIBLINGS_MAX; i++)
        assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    uint64_t last = replica_begin(&a)->last;
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_SIBLINGS);
    assert_int_equal(replica_begin(&a)->last, last);
    op.token.len = 0;
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    assert_int_equal(replica_check(&a), 1);
}

/* What applying at path says at a node that the scope is not called after. */
static tmb_verdict verdict_elsewhere(tmb_verb verb, const char *path)
{
    tmb_bytes value = tmb_bytes_str("21");
    tmb_op op = {.verb = verb,
                 .path = tmb_bytes_str(path),
                 .values_count = verb == TMB_VERB_SET,
                 .values = &value};
    tmb_verdict verdict;
    const char *text = NULL;
    assert_int_equal(tmb_scope_apply(replica_begin(&a), &op, false, &verdict, &text), TMB_OK);
    assert_non_null(text);
    return verdict;
}

static void test_reported_values_of_a_twin_are_their_owners(void **state)
{
    (void)state;
    tmb_bytes value = tmb_bytes_str("21");
    tmb_op op = {.verb = TMB_VERB_SET,
                 .path = tmb_bytes_str("twin/oven/reported/temperature"),
                 .values_count = 1,
                 .values = &value};
    assert_int_equal(verdict_elsewhere(op.verb, "twin/oven/reported/temperature"),
                     TMB_VERDICT_OWNER);
    assert_int_equal(verdict_elsewhere(op.verb, "twin/oven/reported"), TMB_VERDICT_OWNER);
    assert_int_equal(replica_apply(&a, &op), TMB_VERDICT_DONE);
    assert_int_equal(verdict_elsewhere(TMB_VERB_DEL, "twin/oven/reported"), TMB_VERDICT_OWNER);
    assert_int_equal(verdict_elsewhere(TMB_VERB_DEL, "twin/oven"), TMB_VERDICT_DONE);
}

static void test_the_word_reported_elsewhere_is_everybodys(void **state)
{
    (void)state;
    static const char *const paths[] = {"reported",
                                        "defects/reported",
                                        "oven/reported/temperature",
                                        "twin/reported/desired/speed",
                                        "twin/oven/desired/reported",
                                        "twin/oven/reported-late",
                                        "lines/twin/oven/reported/speed",
                                        "twins/oven/reported/speed"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_int_equal(verdict_elsewhere(TMB_VERB_SET, paths[i]), TMB_VERDICT_DONE);
}

static void test_changed_paths_wait_until_they_are_published(void **state)
{
    (void)state;
    tmb_bytes path;
    uint64_t number = 0;
    (void)replica_do(&a, TMB_VERB_ADD, "s", "e");
    (void)replica_do(&a, TMB_VERB_SET, "x", "1");
    tmb_scope *scope = replica_begin(&a);
    assert_int_equal(tmb_scope_dirty_next(scope, tmb_bytes_of(NULL, 0), &path, &number), TMB_OK);
    assert_true(tmb_bytes_eq(path, tmb_bytes_str("s")));
    (void)replica_do(&a, TMB_VERB_ADD, "s", "f"); /* changes while it is published */
    scope = replica_begin(&a);
    assert_int_equal(tmb_scope_dirty_done(scope, tmb_bytes_str("s"), number), TMB_OK);
    assert_int_equal(tmb_scope_dirty_next(scope, tmb_bytes_of(NULL, 0), &path, &number), TMB_OK);
    assert_true(tmb_bytes_eq(path, tmb_bytes_str("s")));
    assert_int_equal(tmb_scope_dirty_done(scope, tmb_bytes_str("s"), number), TMB_OK);
    assert_int_equal(tmb_scope_dirty_next(scope, tmb_bytes_of(NULL, 0), &path, &number), TMB_OK);
    assert_true(tmb_bytes_eq(path, tmb_bytes_str("x")));
    assert_int_equal(tmb_scope_dirty_done(scope, tmb_bytes_str("x"), number), TMB_OK);
    assert_int_equal(tmb_scope_dirty_next(scope, tmb_bytes_of(NULL, 0), &path, &number),
                     TMB_ENOENT);
    assert_int_equal(tmb_scope_dirty_all(scope), TMB_OK);
    assert_int_equal(tmb_scope_dirty_next(scope, tmb_bytes_of(NULL, 0), &path, &number), TMB_OK);
    assert_int_equal(tmb_scope_dirty_next(scope, path, &path, &number), TMB_OK);
    assert_int_equal(tmb_scope_dirty_next(scope, path, &path, &number), TMB_ENOENT);
}

static void test_a_reader_may_not_write(void **state)
{
    (void)state;
    static uint8_t out[4096];
    static tmb_base to_bases[TMB_ACTORS_MAX];
    static tmb_actors actors;
    tmb_context none = tmb_context_of(NULL, 0, NULL, 0);
    tmb_context to = tmb_context_of(to_bases, TMB_ACTORS_MAX, NULL, 0);
    tmb_chunk made;
    unsigned changed;
    (void)replica_do(&a, TMB_VERB_SET, "x", "1");
    tmb_scope *scope = replica_begin(&a);
    assert_int_equal(tmb_scope_scan(scope, &none, true, 4096, &actors, out, sizeof out, &to, &made),
                     TMB_OK);
    replica_end(&a);
    assert_int_equal(tmb_scope_join_chunk(replica_begin(&b), tmb_bytes_str("n1"),
                                          tmb_bytes_of(out, made.bytes), &actors, &a.at.clock, true,
                                          NULL, false, &changed),
                     TMB_EDENIED);
    for (size_t len = 0; len < made.bytes; len++) { /* cut short: malformed, wherever */
        tmb_err err =
            tmb_scope_join_chunk(replica_begin(&b), tmb_bytes_str("n1"), tmb_bytes_of(out, len),
                                 &actors, &a.at.clock, true, NULL, true, &changed);
        assert_int_equal(err, len == 0 ? TMB_OK : TMB_ECORRUPT);
        kv_memory_drop(&b.disk);
    }
    replica_pass(&a, &b); /* what it has already, it may be told */
    assert_int_equal(tmb_scope_join_chunk(replica_begin(&b), tmb_bytes_str("n1"),
                                          tmb_bytes_of(out, made.bytes), &actors, &a.at.clock, true,
                                          NULL, false, &changed),
                     TMB_OK);
    assert_int_equal(changed, 0);
}

static void test_every_failing_call_is_told_and_nothing_is_half_done(void **state)
{
    (void)state;
    tmb_bytes elems[] = {tmb_bytes_str("e"), tmb_bytes_str("f"), tmb_bytes_str("g")};
    tmb_op op = {.verb = TMB_VERB_ADD,
                 .path = tmb_bytes_str("s"),
                 .values_count = 3,
                 .values = elems,
                 .run = tmb_bytes_str("r"),
                 .number = 1};
    (void)replica_do(&a, TMB_VERB_ADD, "s", "e");
    unsigned failed = 0;
    for (uint64_t call = 1;; call++) {
        tmb_verdict verdict;
        kv_memory_fail(&a.disk, call, TMB_EIO);
        tmb_err err = tmb_scope_load(&a.at, &a.kv, a.at.room, tmb_bytes_str("line-7"), a.fresh);
        if (err == TMB_OK)
            err = tmb_scope_apply(&a.at, &op, true, &verdict, NULL);
        if (err == TMB_OK)
            err = tmb_scope_save(&a.at);
        kv_memory_fail(&a.disk, 0, TMB_OK);
        if (err == TMB_OK)
            break;
        assert_int_equal(err, TMB_EIO);
        kv_memory_drop(&a.disk);
        assert_int_equal(replica_check(&a), 1);
        failed++;
    }
    assert_true(failed > 15);
    kv_memory_commit(&a.disk, true);
    assert_int_equal(replica_check(&a), 3);
}

static void test_scopes_of_a_store_are_listed(void **state)
{
    (void)state;
    const char *names[] = {"line-7", "line-70", "zone"};
    tmb_bytes name;
    assert_int_equal(a.kv.put(a.kv.arg, tmb_bytes_of("\0cursor", 7), tmb_bytes_str("1")), TMB_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(tmb_scope_load(&a.at, &a.kv, replica_begin(&a)->room,
                                        tmb_bytes_str(names[2 - i]), a.fresh),
                         TMB_OK);
        assert_true(a.at.is_new);
        assert_int_equal(tmb_scope_save(&a.at), TMB_OK);
    }
    name.len = 0;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(tmb_scopes_next(&a.kv, name, &name), TMB_OK);
        assert_true(tmb_bytes_eq(name, tmb_bytes_str(names[i])));
    }
    assert_int_equal(tmb_scopes_next(&a.kv, name, &name), TMB_ENOENT);
}

static void test_a_row_of_another_version_is_not_read(void **state)
{
    (void)state;
    tmb_bytes value;
    uint8_t row[256];
    tmb_bytes key = tmb_bytes_of("line-7\0m", 8);
    (void)replica_do(&a, TMB_VERB_SET, "x", "1");
    assert_int_equal(a.kv.get(a.kv.arg, key, &value), TMB_OK);
    size_t len = value.len;
    memcpy(row, value.ptr, len);
    row[0]++;
    assert_int_equal(a.kv.put(a.kv.arg, key, tmb_bytes_of(row, len)), TMB_OK);
    assert_int_equal(tmb_scope_load(&a.at, &a.kv, a.at.room, tmb_bytes_str("line-7"), a.fresh),
                     TMB_EVERSION);
    row[0]--;
    assert_int_equal(a.kv.put(a.kv.arg, key, tmb_bytes_of(row, len - 1)), TMB_OK);
    assert_int_equal(tmb_scope_load(&a.at, &a.kv, a.at.room, tmb_bytes_str("line-7"), a.fresh),
                     TMB_ECORRUPT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_values_are_read_as_they_were_written),
        TEST(test_a_counter_at_its_end_says_so),
        TEST(test_a_pass_carries_everything_and_a_second_one_nothing),
        TEST(test_what_is_written_at_once_is_kept_until_somebody_has_read_it),
        TEST(test_adding_wins_over_a_removal_that_has_not_seen_it),
        TEST(test_a_removal_goes_through_a_node_between),
        TEST(test_what_an_unfinished_pass_has_replaced_is_told_on),
        TEST(test_what_comes_below_a_leaf_that_is_ahead_is_told_on),
        TEST(test_a_dot_with_two_leaves_does_not_stop_forgetting),
        TEST(test_deleting_a_map_takes_what_was_seen_below_it),
        TEST(test_a_number_counts_once_and_a_refusal_not_at_all),
        TEST(test_callers_beyond_the_limit_are_forgotten_the_longest_silent_first),
        TEST(test_a_condition_holds_only_while_nothing_has_changed),
        TEST(test_with_a_token_only_what_was_read_is_replaced),
        TEST(test_limits_refuse_and_change_nothing),
        TEST(test_too_many_siblings_are_refused),
        TEST(test_reported_values_of_a_twin_are_their_owners),
        TEST(test_the_word_reported_elsewhere_is_everybodys),
        TEST(test_changed_paths_wait_until_they_are_published),
        TEST(test_a_reader_may_not_write),
        TEST(test_every_failing_call_is_told_and_nothing_is_half_done),
        TEST(test_scopes_of_a_store_are_listed),
        TEST(test_a_row_of_another_version_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
