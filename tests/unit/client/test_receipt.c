// SPDX-License-Identifier: Apache-2.0
/* The node's answers: those of docs/operations.md, and all that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "clients/c/receipt.h"

#define GIVEN                                                                                      \
    "{\"receipt\":\"synced\",\"node\":\"s1\",\"stream\":\"default\",\"seq\":17,"                   \
    "\"incarnation\":\"0123456789abcdef0123456789abcdef\"}"

static tmb_err parse(const char *correlation, const char *payload, tmb_receipt_answer *ret_answer)
{
    return tmb_receipt_parse(tmb_bytes_str(correlation), tmb_bytes_str(payload), "run-a",
                             ret_answer);
}

static void reads_a_receipt(void **state)
{
    (void)state;
    tmb_receipt_answer a;
    assert_int_equal(parse("run-a:42", GIVEN, &a), TMB_OK);
    assert_true(a.is_given);
    assert_int_equal(a.level, TMB_RECEIPT_SYNCED);
    assert_int_equal(a.number, 42);
    assert_int_equal(a.seq, 17);
    assert_false(a.is_repeat);
    assert_string_equal(a.node, "s1");
    assert_string_equal(a.stream, "default");
    assert_string_equal(a.incarnation, "0123456789abcdef0123456789abcdef");
}

static void reads_one_of_a_repeat(void **state)
{
    (void)state;
    tmb_receipt_answer a;
    assert_int_equal(parse("run-a:1",
                           "{\"receipt\":\"committed\",\"node\":\"s1\",\"stream\":\"b\",\"seq\":9,"
                           "\"incarnation\":\"00\",\"repeat\":true,\"later\":{\"x\":[1]}}",
                           &a),
                     TMB_OK);
    assert_true(a.is_given && a.is_repeat);
    assert_int_equal(a.level, TMB_RECEIPT_COMMITTED);
}

static void reads_a_refusal_and_cuts_its_reason(void **state)
{
    (void)state;
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "{\"receipt\":\"refused\",\"asked\":\"engine\",\"why\":\"%0600d\"}", 0);
    tmb_receipt_answer a;
    assert_int_equal(parse("run-a:3", text, &a), TMB_OK);
    assert_false(a.is_given);
    assert_int_equal(a.level, TMB_RECEIPT_ENGINE);
    assert_int_equal(strlen(a.why), TMB_RECEIPT_WHY_BYTES_MAX);
}

static void another_runs_answer_is_not_ours(void **state)
{
    (void)state;
    static const char *const not [] = {
        "",          "run-a",   "run-a:",  "run-b:42",
        "run-aa:42", ":42",     "run-a:x", "run-a:99999999999999999999",
        "run-a:4 2", "run-a:-1"};
    for (size_t i = 0; i < sizeof not / sizeof not [0]; i++) {
        tmb_receipt_answer a = {.seq = 5};
        assert_int_equal(parse(not [i], GIVEN, &a), TMB_ENOENT);
        assert_int_equal(a.seq, 5);
    }
}

static void what_is_no_answer_changes_nothing(void **state)
{
    (void)state;
    static const char *const not [] = {
        "",
        "x",
        "[]",
        "\"synced\"",
        "{}",
        "{\"receipt\":\"synced\"}",
        "{\"receipt\":7}",
        "{\"receipt\":\"refused\",\"asked\":\"sunk\"}",
        "{\"receipt\":\"refused\"}",
        "{\"receipt\":\"synced\",\"node\":\"s1\",\"stream\":\"d\",\"seq\":-1,\"incarnation\":"
        "\"0\"}",
        "{\"receipt\":\"synced\",\"node\":\"s1\",\"stream\":\"d\",\"seq\":1.5,\"incarnation\":"
        "\"0\"}",
        "{\"receipt\":\"synced\",\"node\":7,\"stream\":\"d\",\"seq\":1,\"incarnation\":\"0\"}",
        "{\"receipt\":\"synced\",\"node\":\"s1\",\"stream\":\"d23456789012345678901234567890123\","
        "\"seq\":1,\"incarnation\":\"0\"}",
        "{\"receipt\":\"asked\",\"node\":\"s1\",\"stream\":\"d\",\"seq\":1,\"incarnation\":\"0\"}"};
    for (size_t i = 0; i < sizeof not / sizeof not [0]; i++) {
        tmb_receipt_answer a = {.seq = 5};
        if (parse("run-a:42", not [i], &a) != TMB_EINVAL)
            fail_msg("taken for an answer: %s", not [i]);
        assert_int_equal(a.seq, 5);
    }
    static char large[TMB_RECEIPT_BYTES_MAX + 2];
    memset(large, ' ', sizeof large - 1);
    memcpy(large, GIVEN, strlen(GIVEN));
    tmb_receipt_answer a;
    assert_int_equal(parse("run-a:42", large, &a), TMB_EINVAL);
    large[TMB_RECEIPT_BYTES_MAX] = '\0';
    assert_int_equal(parse("run-a:42", large, &a), TMB_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_receipt),
        cmocka_unit_test(reads_one_of_a_repeat),
        cmocka_unit_test(reads_a_refusal_and_cuts_its_reason),
        cmocka_unit_test(another_runs_answer_is_not_ours),
        cmocka_unit_test(what_is_no_answer_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
