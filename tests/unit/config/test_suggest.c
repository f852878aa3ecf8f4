// SPDX-License-Identifier: Apache-2.0
/* tests/unit/config/test_suggest.c - distances against a recursive oracle, and the choice of a word. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/suggest.h"

static unsigned oracle(const char *a, const char *b)
{
    if (*a == '\0' || *b == '\0')
        return (unsigned)(strlen(a) + strlen(b));
    unsigned best = oracle(a + 1, b + 1) + (*a != *b);
    unsigned other = oracle(a + 1, b) + 1;
    best = other < best ? other : best;
    other = oracle(a, b + 1) + 1;
    best = other < best ? other : best;
    if (a[0] == b[1] && a[1] == b[0] && a[1] != '\0' && b[1] != '\0') {
        other = oracle(a + 2, b + 2) + 1;
        best = other < best ? other : best;
    }
    return best;
}

static void nth_word(unsigned n, char *ret)
{
    for (; n > 0; n = (n - 1) / 3)
        *ret++ = "abc"[(n - 1) % 3];
    *ret = '\0';
}

static void agrees_with_the_oracle(void **state)
{
    (void)state;
    char a[8];
    char b[8];
    for (unsigned i = 0; i < 121; i++) { /* every word of up to 4 letters over three */
        for (unsigned j = 0; j < 121; j++) {
            nth_word(i, a);
            nth_word(j, b);
            assert_int_equal(tmb_edit_distance(a, b), oracle(a, b));
        }
    }
    assert_int_equal(tmb_edit_distance("KeepAlive", "keepalive"), 0);
    assert_int_equal(tmb_edit_distance("prot", "port"), 1);
}

static void finds_the_nearest(void **state)
{
    (void)state;
    static const char *const keys[] = {"node", "domain", "streams", "parent", "retention"};
    assert_string_equal(tmb_suggest("retension", keys, 5), "retention");
    assert_string_equal(tmb_suggest("Node", keys, 5), "node");
    assert_string_equal(tmb_suggest("stream", keys, 5), "streams");
    assert_string_equal(tmb_suggest("parnet", keys, 5), "parent");
    assert_null(tmb_suggest("password", keys, 5));
    assert_null(tmb_suggest("", keys, 5));
    assert_null(tmb_suggest("node", keys, 0));
}

static void gives_up_on_long_words(void **state)
{
    (void)state;
    char longest[66];
    memset(longest, 'a', sizeof longest);
    longest[65] = '\0';
    const char *const words[] = {longest};
    assert_int_equal(tmb_edit_distance(longest, longest), UINT_MAX);
    assert_null(tmb_suggest(longest, words, 1));
    longest[64] = '\0';
    assert_int_equal(tmb_edit_distance(longest, longest), 0);
    assert_int_equal(tmb_edit_distance(longest, ""), 64);
    assert_int_equal(tmb_edit_distance("", longest), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_oracle),
        cmocka_unit_test(finds_the_nearest),
        cmocka_unit_test(gives_up_on_long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
