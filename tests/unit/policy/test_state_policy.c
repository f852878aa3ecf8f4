// SPDX-License-Identifier: Apache-2.0
/* tests/unit/policy/test_state_policy.c - which scopes are held, and what a child may do with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/policy.h"
#include "policy/state_policy.h"

static tmb_name_pattern pattern(const char *text)
{
    tmb_name_pattern p = {{0}};
    assert_true(tmb_name_pattern_is_valid(tmb_bytes_str(text)));
    memcpy(p.text, text, strlen(text) + 1);
    return p;
}

static void knows_patterns(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "A", "a*b", "**", "-a", "a b", "*a", "-*"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tmb_name_pattern_is_valid(tmb_bytes_str(bad[i])));
    char longest[TMB_NAME_BYTES_MAX + 3];
    memset(longest, 'x', sizeof longest);
    assert_true(tmb_name_pattern_is_valid(tmb_bytes_of(longest, TMB_NAME_BYTES_MAX)));
    assert_false(tmb_name_pattern_is_valid(tmb_bytes_of(longest, TMB_NAME_BYTES_MAX + 1)));
    longest[TMB_NAME_BYTES_MAX] = '*';
    assert_true(tmb_name_pattern_is_valid(tmb_bytes_of(longest, TMB_NAME_BYTES_MAX + 1)));
    tmb_name_pattern all = pattern("*"), lines = pattern("line-*"), one = pattern("line-7");
    assert_true(tmb_name_pattern_matches(&all, tmb_bytes_str("x")));
    assert_true(tmb_name_pattern_matches(&lines, tmb_bytes_str("line-")));
    assert_false(tmb_name_pattern_matches(&lines, tmb_bytes_str("line")));
    assert_true(tmb_name_pattern_matches(&one, tmb_bytes_str("line-7")));
    assert_false(tmb_name_pattern_matches(&one, tmb_bytes_str("line-77")));
    assert_true(tmb_name_pattern_covers(&all, &lines));
    assert_true(tmb_name_pattern_covers(&lines, &one));
    assert_true(tmb_name_pattern_covers(&one, &one));
    assert_false(tmb_name_pattern_covers(&one, &lines));
    assert_false(tmb_name_pattern_covers(&lines, &all));
}

static tmb_state_right right(const tmb_state_policy *policy, const char *child, const char *scope)
{
    return tmb_state_right_of_child(policy, tmb_bytes_str(child), tmb_bytes_str(scope));
}

static void shares_by_the_first_entry(void **state)
{
    (void)state;
    tmb_state_policy policy = {0};
    assert_false(tmb_state_is_on(&policy));
    assert_int_equal(right(&policy, "line-7", "line-7"), TMB_STATE_RIGHT_NONE);
    policy.scopes.count = 2;
    policy.scopes.v[0] = pattern("line-*");
    policy.scopes.v[1] = pattern("fleet");
    policy.shares.count = 3;
    policy.shares.v[0] = (tmb_state_share){pattern("fleet"), pattern("line-1"), true};
    policy.shares.v[1] = (tmb_state_share){pattern("fleet"), pattern("*"), false};
    policy.shares.v[2] = (tmb_state_share){pattern("*"), pattern("plant"), true};
    assert_true(tmb_state_is_on(&policy));
    assert_true(tmb_state_writes(&policy, tmb_bytes_str("fleet")));
    policy.read_only.count = 1;
    policy.read_only.v[0] = pattern("f*");
    assert_false(tmb_state_writes(&policy, tmb_bytes_str("fleet")));
    assert_false(tmb_state_writes(&policy, tmb_bytes_str("elsewhere")));
    assert_true(tmb_state_writes(&policy, tmb_bytes_str("line-7")));
    assert_int_equal(right(&policy, "line-7", "line-7"), TMB_STATE_RIGHT_WRITE);
    assert_int_equal(right(&policy, "line-7", "line-8"), TMB_STATE_RIGHT_NONE);
    assert_int_equal(right(&policy, "line-7", "fleet"), TMB_STATE_RIGHT_READ);
    assert_int_equal(right(&policy, "line-1", "fleet"), TMB_STATE_RIGHT_WRITE);
    assert_int_equal(right(&policy, "plant", "fleet"), TMB_STATE_RIGHT_READ); /* the first counts */
    assert_int_equal(right(&policy, "plant", "line-8"), TMB_STATE_RIGHT_WRITE);
    assert_int_equal(right(&policy, "press", "press"), TMB_STATE_RIGHT_NONE); /* not held */
}

static void has_a_stream_that_nobody_else_gets(void **state)
{
    (void)state;
    static char *topics[] = {"#"};
    tmb_policy policy = {.streams = {{.name = "all", .topics = topics, .topics_count = 1}},
                         .streams_count = 1};
    assert_int_equal(tmb_policy_state_stream(&policy), -1);
    tmb_policy_add_state(&policy);
    tmb_policy_add_ledger(&policy);
    assert_int_equal(tmb_policy_state_stream(&policy), 1);
    const tmb_stream_policy *stream = &policy.streams[1];
    assert_string_equal(stream->name, TMB_STATE_STREAM);
    assert_true(stream->is_state && !stream->is_ledger && !tmb_policy_is_named(stream));
    assert_int_equal(stream->durability, TMB_DURABILITY_STRICT);
    assert_int_equal(stream->class_, TMB_CLASS_STATE);
    assert_int_equal(stream->retention_bytes, TMB_STATE_RETENTION_BYTES);
    assert_int_equal(tmb_policy_stream_for_child(&policy, tmb_bytes_str(TMB_STATE_STREAM)), 0);
    assert_int_equal(tmb_policy_stream_for_child(&policy, tmb_bytes_str("loss")), 2);
    assert_int_equal(tmb_policy_stream_for_topic(&policy, tmb_bytes_str("state/a/b/inc")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_patterns),
        cmocka_unit_test(shares_by_the_first_entry),
        cmocka_unit_test(has_a_stream_that_nobody_else_gets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
