// SPDX-License-Identifier: Apache-2.0
/* tests/unit/policy/test_state_topic.c - what a topic of state is, and what is said of one that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/state_topic.h"

static tmb_state_topic parse(const char *topic)
{
    return tmb_state_topic_parse("state", tmb_bytes_str(topic));
}

static void assert_slice(tmb_bytes found, const char *want)
{
    if (!tmb_bytes_eq(found, tmb_bytes_str(want)))
        fail_msg("%.*s is not %s", (int)found.len, (const char *)found.ptr, want);
}

static void takes_operations_apart(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        tmb_verb verb;
    } verbs[] = {
#define ROW(name, number, word, type, takes) {word, TMB_VERB_##name},
        TMB_VERB_LIST(ROW)
#undef ROW
    };
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        char topic[64];
        snprintf(topic, sizeof topic, "state/line-7/press/3/%s", verbs[i].word);
        tmb_state_topic t = parse(topic);
        assert_int_equal(t.kind, TMB_STATE_OP);
        assert_int_equal(t.verb, verbs[i].verb);
        assert_slice(t.scope, "line-7");
        assert_slice(t.path, "press/3");
        assert_slice(t.last, verbs[i].word);
        assert_null(t.why);
    }
    assert_slice(parse("state/a/set/b/inc").path, "set/b"); /* only the last level counts */
    assert_slice(parse("state/a/B\xc3\xa4r 7/inc").path, "B\xc3\xa4r 7");
}

static void tells_values_and_outputs(void **state)
{
    (void)state;
    tmb_state_topic t = parse("state/line-7/press/3/parts");
    assert_int_equal(t.kind, TMB_STATE_VALUE);
    assert_slice(t.path, "press/3/parts");
    assert_int_equal(parse("state/line-7/p/incr").kind, TMB_STATE_VALUE);
    static const char *const words[] = {"conflicts", "error", "delta", "pb"};
    for (size_t i = 0; i < 4; i++) {
        char topic[64];
        snprintf(topic, sizeof topic, "state/line-7/parts/%s", words[i]);
        t = parse(topic);
        assert_int_equal(t.kind, TMB_STATE_OUTPUT);
        assert_int_equal(t.output, i + 1);
        assert_string_equal(tmb_state_output_str(t.output), words[i]);
        assert_slice(t.path, "parts");
    }
    t = parse("state/line-7/error");
    assert_int_equal(t.kind, TMB_STATE_OUTPUT);
    assert_int_equal(t.path.len, 0);
    static const char *const elsewhere[] = {"", "stat", "states/a/b/inc", "a/state/b/inc",
                                            "$state/a/b/inc"};
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        assert_int_equal(parse(elsewhere[i]).kind, TMB_STATE_ELSEWHERE);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *topic, *why;
    } bad[] = {
        {"state", "no scope; write"},
        {"state/", "no scope; write"},
        {"state//a/inc", "the scope is no name"},
        {"state/Line/a/inc", "the scope is no name"},
        {"state/line-7", "a scope alone"},
        {"state/line-7/", "no path; name what"},
        {"state/line-7/inc", "no path; name what"},
        {"state/line-7//inc", "no path; name what"},
        {"state/line-7/a//b/inc", "a level of the path is empty"},
        {"state/line-7//a/inc", "a level of the path is empty"},
        {"state/line-7/a//inc", "a level of the path is empty"},
        {"state/line-7/a/", "a level of the path is empty"},
        {"state/line-7/a/set/inc", "a path does not end in a verb"},
        {"state/line-7/a/pb/inc", "a path does not end in conflicts"},
        {"state/line-7/a/+/inc", "a path is UTF-8 without wildcards"},
        {"state/line-7/a/\xff/inc", "a path is UTF-8 without wildcards"},
        {"state/line-7/1/2/3/4/5/6/7/8/9/10/11/12/13/inc", "a path has at most 12 levels"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tmb_state_topic t = parse(bad[i].topic);
        if (t.kind != TMB_STATE_BAD || strncmp(t.why, bad[i].why, strlen(bad[i].why)) != 0)
            fail_msg("%s: %s", bad[i].topic, t.why ? t.why : "is taken");
    }
    assert_int_equal(parse("state/line-7/1/2/3/4/5/6/7/8/9/10/11/12/inc").kind, TMB_STATE_OP);
}

static void has_limits_of_bytes(void **state)
{
    (void)state;
    char topic[2048];
    for (int extra = 0; extra < 2; extra++) {
        memcpy(topic, "state/s/", 8);
        memset(topic + 8, 'x', TMB_STATE_PATH_BYTES_MAX + (size_t)extra);
        memcpy(topic + 8 + TMB_STATE_PATH_BYTES_MAX + extra, "/inc", 5);
        assert_int_equal(parse(topic).kind, extra ? TMB_STATE_BAD : TMB_STATE_OP);
    }
    assert_non_null(strstr(parse(topic).why, "at most 512 bytes"));
    char scope[TMB_NAME_BYTES_MAX + 2];
    for (int extra = 0; extra < 2; extra++) {
        memset(scope, 'y', sizeof scope);
        scope[TMB_NAME_BYTES_MAX + extra] = '\0';
        snprintf(topic, sizeof topic, "state/%s/p/inc", scope);
        assert_int_equal(parse(topic).kind, extra ? TMB_STATE_BAD : TMB_STATE_OP);
    }
}

static void puts_together_what_it_takes_apart(void **state)
{
    (void)state;
    static const char *const topics[] = {"state/line-7/parts", "state/line-7/a/b/conflicts",
                                         "state/line-7/error", "state/line-7/a/delta"};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        char out[TMB_STATE_TOPIC_BYTES_MAX + 1];
        tmb_state_topic t = parse(topics[i]);
        assert_int_equal(tmb_state_topic_write("state", t.scope, t.path, t.output, out, sizeof out),
                         strlen(topics[i]));
        assert_string_equal(out, topics[i]);
    }
    char little[8];
    assert_int_equal(tmb_state_topic_write("state", tmb_bytes_str("line-7"), tmb_bytes_str("a"),
                                           TMB_STATE_OUTPUT_NONE, little, sizeof little),
                     7);
    assert_string_equal(little, "state/l");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_operations_apart),
        cmocka_unit_test(tells_values_and_outputs),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(has_limits_of_bytes),
        cmocka_unit_test(puts_together_what_it_takes_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
