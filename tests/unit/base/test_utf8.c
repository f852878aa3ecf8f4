// SPDX-License-Identifier: Apache-2.0
/* tests/unit/base/test_utf8.c - the table of well-formed sequences (Unicode, table 3-7; RFC 3629, section 4)
 * at each of its edges, and every sequence of one, two and three bytes against a slow reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"

static bool is_valid(const char *bytes, size_t len)
{
    return tmb_utf8_is_valid(tmb_bytes_of(bytes, len));
}

static void takes_the_edges_of_the_table(void **state)
{
    (void)state;
    const char *good[] = {
        "",
        "\x01",
        "\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xe0\xbf\xbf",
        "\xe1\x80\x80",
        "\xec\xbf\xbf",
        "\xed\x80\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf0\xbf\xbf\xbf",
        "\xf1\x80\x80\x80",
        "\xf3\xbf\xbf\xbf",
        "\xf4\x80\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "caf\xc3\xa9/\xe6\xb8\xa9",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(is_valid(good[i], strlen(good[i])));
}

static void refuses_what_is_beyond_them(void **state)
{
    (void)state;
    const char *bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2\x7f",
        "\xc2\xc0",
        "\xdf",
        "\xe0\x9f\xbf",
        "\xe0\xa0",
        "\xe1\x80",
        "\xe1\x80\x7f",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xef\xbf\xc0",
        "\xf0\x8f\xbf\xbf",
        "\xf0\x90\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80",
        "\xff",
        "\xfe",
        "a\xe2\x82",
        "ok\xc3",
        "\xc3(",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(is_valid(bad[i], strlen(bad[i])));
    assert_false(is_valid("\0", 1)); /* MQTT 5, 1.5.4 */
    assert_false(is_valid("a\0b", 3));
}

/* The code point of a sequence of exactly len bytes by the letter of the definition; -1 for none. */
static long reference(const uint8_t *b, size_t len)
{
    static const long least[] = {0, 1, 0x80, 0x800};
    long v = len == 1 ? b[0] : b[0] & (0x7f >> len);
    if (len == 1 ? b[0] > 0x7f : b[0] >> (7 - len) != (0xff >> (7 - len) & ~1))
        return -1;
    for (size_t i = 1; i < len; i++) {
        if (b[i] >> 6 != 2)
            return -1;
        v = v << 6 | (b[i] & 0x3f);
    }
    return v < least[len] || (v >= 0xd800 && v <= 0xdfff) ? -1 : v;
}

/* A sequence of up to three bytes is valid when it can be cut into valid single ones. */
static bool reference_is_valid(const uint8_t *b, size_t len)
{
    for (size_t n = 1; n <= len; n++) {
        if (reference(b, n) >= 0)
            return n == len || reference_is_valid(b + n, len - n);
    }
    return len == 0;
}

static void agrees_with_the_reference_on_every_short_sequence(void **state)
{
    (void)state;
    unsigned long differing = 0;
    for (unsigned long v = 0; v < 1ul << 24; v++) {
        uint8_t b[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        if (tmb_utf8_is_valid(tmb_bytes_of(b, 3)) != reference_is_valid(b, 3))
            differing++;
        if (v < 1ul << 16 &&
            tmb_utf8_is_valid(tmb_bytes_of(b + 1, 2)) != reference_is_valid(b + 1, 2))
            differing++;
        if (v < 1ul << 8 &&
            tmb_utf8_is_valid(tmb_bytes_of(b + 2, 1)) != reference_is_valid(b + 2, 1))
            differing++;
    }
    assert_int_equal(differing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_edges_of_the_table),
        cmocka_unit_test(refuses_what_is_beyond_them),
        cmocka_unit_test(agrees_with_the_reference_on_every_short_sequence),
    };
    return cmocka_run_group_tests_name("unit.base.utf8", tests, NULL, NULL);
}
