// SPDX-License-Identifier: Apache-2.0
/* tests/unit/bus/test_number.c - doubles in the order of their bytes, and as text; tokens as text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "syncd/bus/answer.h"

static int order_of(double a, double b)
{
    uint8_t x[TMB_NUMBER_BYTES], y[TMB_NUMBER_BYTES];
    tmb_number_order(a, x);
    tmb_number_order(b, y);
    int order = memcmp(x, y, sizeof x);
    return (order > 0) - (order < 0);
}

static void assert_round(double number)
{
    uint8_t bytes[TMB_NUMBER_BYTES];
    char text[TMB_NUMBER_TEXT_BYTES];
    double back = 1;
    tmb_number_order(number, bytes);
    assert_int_equal(tmb_number_of_order(tmb_bytes_of(bytes, sizeof bytes), &back), TMB_OK);
    assert_true(back == number);
    tmb_number_text(number, text);
    assert_true(strtod(text, NULL) == number);
}

static void have_bytes_in_their_order(void **state)
{
    (void)state;
    static const double rising[] = {-1.7976931348623157e308,
                                    -1e300,
                                    -9007199254740993.0,
                                    -21.5,
                                    -1,
                                    -1e-300,
                                    -5e-324,
                                    0,
                                    5e-324,
                                    2.2250738585072014e-308,
                                    0.1,
                                    0.2,
                                    1,
                                    21.5,
                                    9007199254740992.0,
                                    1e300,
                                    1.7976931348623157e308};
    size_t count = sizeof rising / sizeof rising[0];
    for (size_t i = 0; i < count; i++) {
        assert_round(rising[i]);
        for (size_t k = 0; k < count; k++)
            assert_int_equal(order_of(rising[i], rising[k]), (i > k) - (i < k));
    }
    assert_int_equal(order_of(-0.0, 0.0), 0);
}

static void have_known_bytes(void **state)
{
    (void)state;
    static const struct {
        double number;
        uint8_t bytes[TMB_NUMBER_BYTES];
    } known[] = {{0, {0x80}},
                 {21.5, {0xc0, 0x35, 0x80}},
                 {-1, {0x40, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}};
    uint8_t bytes[TMB_NUMBER_BYTES];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        tmb_number_order(known[i].number, bytes);
        assert_memory_equal(bytes, known[i].bytes, sizeof bytes);
    }
}

static void refuse_bytes_of_no_number(void **state)
{
    (void)state;
    static const uint8_t bad[][TMB_NUMBER_BYTES] = {
        {0xff, 0xf0},
        {0xff, 0xf8},
        {0x00, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        {0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; /* infinite, NaN, -infinite, -0 */
    double number = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tmb_number_of_order(tmb_bytes_of(bad[i], TMB_NUMBER_BYTES), &number),
                         TMB_EINVAL);
    assert_int_equal(tmb_number_of_order(tmb_bytes_of(bad[0], 7), &number), TMB_EINVAL);
    assert_true(number == 7);
}

static void have_short_texts(void **state)
{
    (void)state;
    static const struct {
        double number;
        const char *text;
    } known[] = {{0, "0"},
                 {-0.0, "0"},
                 {3, "3"},
                 {-3, "-3"},
                 {0.1, "0.1"},
                 {21.5, "21.5"},
                 {1e300, "1e+300"},
                 {1.0 / 3, "0.3333333333333333"},
                 {123456789012345.0, "123456789012345"}};
    char text[TMB_NUMBER_TEXT_BYTES];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        tmb_number_text(known[i].number, text);
        if (strcmp(text, known[i].text) != 0)
            fail_msg("%s is not %s", text, known[i].text);
    }
}

static void come_back_at_random(void **state)
{
    (void)state;
    const char *given = getenv("TMB_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 17;
    printf("seed %llu\n", (unsigned long long)seed);
    tmb_rng rng = {seed};
    double before = 0;
    for (unsigned i = 0; i < 100000; i++) {
        double number;
        uint64_t bits = tmb_rng_next(&rng);
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number))
            continue;
        assert_round(number);
        assert_int_equal(order_of(number, before), (number > before) - (number < before));
        before = number;
    }
}

static void tokens_have_one_text(void **state)
{
    (void)state;
    uint8_t bytes[64], back[64];
    char text[TMB_TOKEN_TEXT_BYTES(sizeof bytes)];
    for (size_t len = 0; len <= sizeof bytes; len++) {
        size_t back_len = 99;
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(i * 37 + len);
        size_t text_len = tmb_token_text(tmb_bytes_of(bytes, len), text, sizeof text);
        assert_int_equal(text_len, strlen(text));
        assert_int_equal(tmb_token_bytes(tmb_bytes_str(text), back, sizeof back, &back_len),
                         TMB_OK);
        assert_int_equal(back_len, len);
        if (len > 0)
            assert_memory_equal(back, bytes, len);
        if (len > 0)
            assert_int_equal(tmb_token_bytes(tmb_bytes_str(text), back, len - 1, &back_len),
                             TMB_ELIMIT);
    }
    assert_int_equal(tmb_token_text(tmb_bytes_of("\xfb\xff", 2), text, sizeof text), 3);
    assert_string_equal(text, "-_8");
    static const char *const bad[] = {"A", "AAAAA", "+w", "A=", "-_9", "A A"};
    size_t len = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tmb_token_bytes(tmb_bytes_str(bad[i]), back, sizeof back, &len),
                         TMB_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(have_bytes_in_their_order), cmocka_unit_test(have_known_bytes),
        cmocka_unit_test(refuse_bytes_of_no_number), cmocka_unit_test(have_short_texts),
        cmocka_unit_test(come_back_at_random),       cmocka_unit_test(tokens_have_one_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
