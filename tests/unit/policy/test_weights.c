// SPDX-License-Identifier: Apache-2.0
/* Weights of children: who matches what, and what is no weight. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy/weights.h"

static unsigned weight(const char *weights, const char *name)
{
    tmb_bytes bad;
    assert_int_equal(tmb_weights_check(weights, &bad), TMB_OK);
    return tmb_weight_of(weights, tmb_bytes_str(name));
}

static void the_first_that_matches_counts(void **state)
{
    (void)state;
    assert_int_equal(weight("", "s1"), 1);
    assert_int_equal(weight("*=1", "s1"), 1);
    assert_int_equal(weight("s1=2", "s1"), 2);
    assert_int_equal(weight("s1=2", "s10"), 1);
    assert_int_equal(weight("s1=2", "s"), 1);
    assert_int_equal(weight("s1*=2", "s1"), 2);
    assert_int_equal(weight("s1*=2", "s10"), 2);
    assert_int_equal(weight("s1*=2", "s2"), 1);
    assert_int_equal(weight("  s10=7   s1*=2 *=100 ", "s10"), 7);
    assert_int_equal(weight("  s10=7   s1*=2 *=100 ", "s11"), 2);
    assert_int_equal(weight("  s10=7   s1*=2 *=100 ", "x"), 100);
    assert_int_equal(weight("a.b_c-9=3", "a.b_c-9"), 3);
}

static void what_is_no_weight_is_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"s1",    "s1=",   "=3",    "s1=0",      "s1=101", "s1=1000",
                                      "s1=-1", "s1=1x", "s*1=2", "S1=2",      "s1==2",  "s1=2,s2=3",
                                      "*",     "*=",    "s**=2", "\xc3\xbc=2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64];
        tmb_bytes word = tmb_bytes_of(NULL, 0);
        snprintf(text, sizeof text, "a=1 %s b=2", bad[i]);
        assert_int_equal(tmb_weights_check(text, &word), TMB_EINVAL);
        assert_true(tmb_bytes_eq(word, tmb_bytes_str(bad[i])));
        assert_int_equal(tmb_weight_of(text, tmb_bytes_str("b")), 2);
    }
}

static void a_word_that_never_counts_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word; /* "": all count */
    } cases[] = {{"*=1 press=4", "press=4"}, {"a=1 a=2", "a=2"}, {"a*=1 ab*=2", "ab*=2"},
                 {"a*=1 b=2 a*=1", "a*=1"},  {"a=1 a*=2", ""},   {"ab*=1 a*=2 *=3", ""},
                 {"a*=1 a=2 b=3", "a=2"},    {"ab=1 a=2", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tmb_bytes word = tmb_bytes_of(NULL, 0);
        bool is_good = cases[i].word[0] == '\0';
        assert_int_equal(tmb_weights_check(cases[i].text, &word), is_good ? TMB_OK : TMB_ECONFIG);
        assert_true(tmb_bytes_eq(word, tmb_bytes_str(cases[i].word)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_matches_counts),
        cmocka_unit_test(what_is_no_weight_is_named),
        cmocka_unit_test(a_word_that_never_counts_is_named),
    };
    return cmocka_run_group_tests_name("unit.policy.weights", tests, NULL, NULL);
}
