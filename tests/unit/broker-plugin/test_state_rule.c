// SPDX-License-Identifier: Apache-2.0
/* tests/unit/broker-plugin/test_state_rule.c - what a client is told about a topic of state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker-plugin/state_rule.h"

static char root[] = "state";
static const tmb_state_policy policy = {.root = root,
                                        .scopes = {3, {{"line-7"}, {"press-*"}, {"fleet"}}},
                                        .read_only = {1, {{"fleet"}}}};

static void knows_what_it_covers(void **state)
{
    (void)state;
    static const tmb_state_policy off = {.root = root};
    assert_true(tmb_state_rule_covers(&policy, tmb_bytes_str("state")));
    assert_true(tmb_state_rule_covers(&policy, tmb_bytes_str("state/x")));
    assert_false(tmb_state_rule_covers(&policy, tmb_bytes_str("states/x")));
    assert_false(tmb_state_rule_covers(&off, tmb_bytes_str("state/x")));
    assert_true(tmb_state_rule_is_op(&policy, tmb_bytes_str("state/a/b/inc")));
    assert_false(tmb_state_rule_is_op(&policy, tmb_bytes_str("state/a/b")));
    assert_false(tmb_state_rule_is_op(&policy, tmb_bytes_str("state/a/inc")));
}

static void says_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const char *topic, *why;
    } list[] = {
        {"state/line-7/parts/inc", NULL},
        {"state/press-3/a/b/c/add", NULL},
        {"state/line-8/parts/inc", "this node does not hold the scope; add it to state.scopes, or "
                                   "publish where it is held"},
        {"state/fleet/limit/set",
         "this node only reads the scope (state.read_only); publish at a node "
         "that writes it"},
        {"state/line-7/parts/incr", "no such verb; did you mean inc?"},
        {"state/line-7/parts/Set", "no such verb; did you mean set?"},
        {"state/line-7/open/remove", "no such verb; did you mean rm?"},
        {"state/line-7/open/delete", "no such verb; did you mean del?"},
        {"state/line-7/parts", "a value is published by this node alone; to change a value publish "
                               "to <path>/<verb>, such as set, inc or add"},
        {"state/line-7/parts/conflicts",
         "what is told of a value is published by this node alone; to change a value publish to "
         "<path>/<verb>, such as set, inc or add"},
        {"state/line-7/inc", "no path; name what is to be changed, as in state/line-7/parts/inc"},
        {"state/Line/a/inc",
         "the scope is no name; use a-z, 0-9, '.', '_' and '-', at most 63 bytes"},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        char why[TMB_STATE_WHY_BYTES] = "";
        bool is_fault = tmb_state_rule_fault(&policy, tmb_bytes_str(list[i].topic), why);
        assert_int_equal(is_fault, list[i].why != NULL);
        if (list[i].why)
            assert_string_equal(why, list[i].why);
    }
}

static void tells_it_where_the_topic_leaves_room(void **state)
{
    (void)state;
    char out[TMB_STATE_ERROR_BYTES], topic[TMB_STATE_ERROR_BYTES];
    assert_true(tmb_state_rule_error("state/a/b", out));
    assert_string_equal(out, "state/a/b/error");
    memset(topic, 'x', sizeof topic);
    topic[TMB_STATE_ERROR_BYTES - 7] = '\0';
    assert_true(tmb_state_rule_error(topic, out));
    topic[TMB_STATE_ERROR_BYTES - 7] = 'x';
    topic[TMB_STATE_ERROR_BYTES - 6] = '\0';
    assert_false(tmb_state_rule_error(topic, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_what_it_covers),
        cmocka_unit_test(says_what_would_be_right),
        cmocka_unit_test(tells_it_where_the_topic_leaves_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
