// SPDX-License-Identifier: Apache-2.0
/* The mark of a message: what is one, and everything near it that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "clients/c/msgid.h"

#define NAME_63   "a23456789012345678901234567890123456789012345678901234567890123"
#define STREAM_31 "a234567890123456789012345678901"

static void reads_a_mark(void **state)
{
    (void)state;
    tmb_msgid id;
    assert_int_equal(tmb_msgid_parse(tmb_bytes_str("s1/default/17/0123abcd"), &id), TMB_OK);
    assert_string_equal(id.node, "s1");
    assert_string_equal(id.stream, "default");
    assert_int_equal(id.seq, 17);
    assert_int_equal(id.life, 0x0123abcd);
}

static void reads_the_longest_mark(void **state)
{
    (void)state;
    tmb_msgid id;
    const char *text = NAME_63 "/" STREAM_31 "/9223372036854775807/ffffffff";
    assert_int_equal(strlen(text), TMB_MSGID_BYTES_MAX);
    assert_int_equal(tmb_msgid_parse(tmb_bytes_str(text), &id), TMB_OK);
    assert_string_equal(id.node, NAME_63);
    assert_string_equal(id.stream, STREAM_31);
    assert_true(id.seq == TMB_SEQ_MAX);
    assert_int_equal(id.life, 0xffffffff);
}

static void takes_nothing_else_for_one(void **state)
{
    (void)state;
    static const char *const not [] = {"",
                                       "/",
                                       "///",
                                       "s1",
                                       "s1/default",
                                       "s1/default/17",
                                       "s1/default/17/",
                                       "/default/17/0123abcd",
                                       "s1//17/0123abcd",
                                       "s1/default//0123abcd", /* a part is missing */
                                       "s1/default/17/0123abc",
                                       "s1/default/17/0123abcde",
                                       "s1/default/17/0123abcg",
                                       "s1/default/17/0123ABCD",
                                       "s1/default/17/0123abcd/",
                                       "s1/default/17/0123abcd ",
                                       "s1/default/0/0123abcd",
                                       "s1/default/017/0123abcd",
                                       "s1/default/-1/0123abcd",
                                       "s1/default/1x/0123abcd",
                                       "s1/default/9223372036854775808/0123abcd",
                                       "s1/default/18446744073709551617/0123abcd",
                                       "S1/default/17/0123abcd",
                                       "-s/default/17/0123abcd",
                                       ".s/default/17/0123abcd",
                                       "s1/de fault/17/0123abcd",
                                       "s\xc3\xa9/default/17/0123abcd",
                                       " s1/default/17/0123abcd"};
    for (size_t i = 0; i < sizeof not / sizeof not [0]; i++) {
        tmb_msgid id = {.seq = 5};
        if (tmb_msgid_parse(tmb_bytes_str(not [i]), &id) != TMB_EINVAL)
            fail_msg("taken for a mark: '%s'", not [i]);
        assert_int_equal(id.seq, 5);
    }
    tmb_msgid id;
    assert_int_equal(tmb_msgid_parse(tmb_bytes_of("s1/default/17/0123abcd\0", 23), &id),
                     TMB_EINVAL);
    assert_int_equal(tmb_msgid_parse(tmb_bytes_of(NULL, 0), &id), TMB_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_mark),
        cmocka_unit_test(reads_the_longest_mark),
        cmocka_unit_test(takes_nothing_else_for_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
