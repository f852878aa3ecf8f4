// SPDX-License-Identifier: Apache-2.0
/* The percentiles that scripts/bench prints, against sorted samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/bench/histogram.h"

static void bucket_grows_with_value(void **state)
{
    (void)state;
    unsigned last = 0;
    for (uint64_t v = 0; v < 100000; v++) {
        unsigned bucket = histogram_bucket(v);
        assert_true(bucket == last || bucket == last + 1);
        last = bucket;
    }
    assert_true(histogram_bucket(UINT64_MAX) < HISTOGRAM_BUCKETS);
}

static void percentile_is_within_a_64th(void **state)
{
    (void)state;
    histogram h = {0};
    for (uint64_t v = 1; v <= 10000; v++)
        histogram_add(&h, v);
    for (uint64_t permille = 1; permille <= 1000; permille++) {
        uint64_t exact = permille * 10, got = histogram_at(&h, permille);
        assert_true(got <= exact && exact - got <= exact / 64 + 1);
    }
    histogram none = {0};
    assert_int_equal(histogram_at(&none, 990), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bucket_grows_with_value),
        cmocka_unit_test(percentile_is_within_a_64th),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
