// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_log.c - a log line is one line, whatever a peer puts into it. */
#include "syncd/daemon/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *wanted, const tmb_field *fields)
{
    char line[256];
    size_t len = tmb_log_format(TMB_LOG_WARNING, "a.b", fields, line, sizeof line - 1);
    line[len] = 0;
    assert_string_equal(line, wanted);
}

static void test_fields(void **state)
{
    (void)state;
    const tmb_field plain[] = {tmb_str("child", "s1"), tmb_num("seq", UINT64_MAX), {0}};
    expect("warning a.b child=s1 seq=18446744073709551615\n", plain);
    const tmb_field quoted[] = {tmb_str("why", "two words"),
                                tmb_str("empty", ""),
                                tmb_str("quote", "a\"b\\c"),
                                tmb_str("eq", "a=b"),
                                {0}};
    expect("warning a.b why=\"two words\" empty=\"\" quote=\"a\\\"b\\\\c\" eq=\"a=b\"\n", quoted);
    const tmb_field none[] = {{0}};
    expect("warning a.b\n", none);
}

static void test_no_line_can_be_forged(void **state)
{
    (void)state;
    const tmb_field fields[] = {tmb_text("name", tmb_bytes_of("x\nerror forged\x1b[31m\0y", 21)),
                                {0}};
    char line[256];
    size_t len = tmb_log_format(TMB_LOG_ERROR, "e", fields, line, sizeof line);
    assert_int_equal(memchr(line, '\n', len) == line + len - 1, 1);
    assert_null(memchr(line, 0x1b, len));
    assert_null(memchr(line, 0, len));
}

static void test_a_long_line_is_cut(void **state)
{
    (void)state;
    char text[600], line[64];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    const tmb_field fields[] = {tmb_str("a", text), tmb_str("b", "never seen"), {0}};
    size_t len = tmb_log_format(TMB_LOG_INFO, "event", fields, line, sizeof line);
    assert_true(len <= sizeof line);
    assert_int_equal(line[len - 1], '\n');
    assert_memory_equal(line, "info event a=", 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_no_line_can_be_forged),
        cmocka_unit_test(test_a_long_line_is_cut),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
