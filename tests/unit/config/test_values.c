// SPDX-License-Identifier: Apache-2.0
/* tests/unit/config/test_values.c - numbers with units, there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "config/values.h"

typedef struct row {
    const char *text;
    uint64_t value;
} row;

static void reads_sizes(void **state)
{
    (void)state;
    static const row rows[] = {
        {"0", 0},
        {"1", 1},
        {"007", 7},
        {"12B", 12},
        {"1kB", 1000},
        {"1KiB", 1024},
        {"64MiB", 64 * UINT64_C(1048576)},
        {"64 MiB", 64 * UINT64_C(1048576)},
        {"3MB", 3000000},
        {"3GB", UINT64_C(3000000000)},
        {"1TB", UINT64_C(1000000000000)},
        {"4GiB", UINT64_C(4) << 30},
        {"1024TiB", UINT64_C(1) << 50},
        {"18446744073709551615", UINT64_MAX},
        {"18446744073709551616", UINT64_MAX},
        {"99999999999TiB", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 7;
        assert_true(tmb_size_parse(tmb_bytes_str(rows[i].text), &value));
        assert_int_equal(value, rows[i].value);
    }
}

static void reads_durations(void **state)
{
    (void)state;
    static const row rows[] = {
        {"0ms", 0},           {"500ms", 500},
        {"5s", 5000},         {"5 s", 5000},
        {"2m", 120000},       {"3h", 10800000},
        {"30d", 2592000000u}, {"99999999999999999999d", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 7;
        assert_true(tmb_duration_parse(tmb_bytes_str(rows[i].text), &value));
        assert_int_equal(value, rows[i].value);
    }
}

static void refuses_what_is_no_value(void **state)
{
    (void)state;
    static const char *const sizes[] = {"",       " ",    "MiB",  "-1",       "+1",
                                        "1.5GiB", "1mib", "1M",   "1Mb",      "1  B",
                                        "1 ",     " 1",   "0x10", "1MiB MiB", "1e6"};
    static const char *const durations[] = {"",   "5",     "0",   "5 minutes", "10 minuts",
                                            "5S", "1h30m", "-1s", "s"};
    static const char *const counts[] = {"", "1k", "-1", "1 ", " 1", "1.0", "x"};
    uint64_t value = 7;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_false(tmb_size_parse(tmb_bytes_str(sizes[i]), &value));
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
        assert_false(tmb_duration_parse(tmb_bytes_str(durations[i]), &value));
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        assert_false(tmb_count_parse(tmb_bytes_str(counts[i]), &value));
    assert_int_equal(value, 7);
}

static void writes_the_largest_whole_unit(void **state)
{
    (void)state;
    char text[TMB_VALUE_TEXT_MAX];
    static const row sizes[] = {{"0", 0},
                                {"1", 1},
                                {"1000", 1000},
                                {"1KiB", 1024},
                                {"64MiB", 1 << 26},
                                {"1025", 1025},
                                {"1024TiB", UINT64_C(1) << 50}};
    static const row durations[] = {{"0ms", 0},      {"1ms", 1},          {"1500ms", 1500},
                                    {"5s", 5000},    {"1m", 60000},       {"90s", 90000},
                                    {"1h", 3600000}, {"30d", 2592000000u}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        tmb_size_format(sizes[i].value, text);
        assert_string_equal(text, sizes[i].text);
    }
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        tmb_duration_format(durations[i].value, text);
        assert_string_equal(text, durations[i].text);
    }
}

static void reads_what_it_writes(void **state)
{
    (void)state;
    const char *env = getenv("TMB_SEED");
    uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 4;
    print_message("seed %llu\n", (unsigned long long)seed);
    tmb_rng rng = {seed};
    for (unsigned i = 0; i < 100000; i++) {
        char text[TMB_VALUE_TEXT_MAX];
        uint64_t back = 0;
        uint64_t value = tmb_rng_next(&rng) >> tmb_rng_below(&rng, 64);
        value <<= tmb_rng_below(&rng, 20);
        tmb_size_format(value, text);
        assert_true(tmb_size_parse(tmb_bytes_str(text), &back));
        assert_int_equal(back, value);
        tmb_duration_format(value, text);
        assert_true(tmb_duration_parse(tmb_bytes_str(text), &back));
        assert_int_equal(back, value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(refuses_what_is_no_value),
        cmocka_unit_test(writes_the_largest_whole_unit),
        cmocka_unit_test(reads_what_it_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
