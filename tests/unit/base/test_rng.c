// SPDX-License-Identifier: Apache-2.0
/* tests/unit/base/test_rng.c - the generator of the paper, resumable, and even enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"

/* What the authors' own splitmix64.c gives for the seed 1234567. */
static void gives_the_known_numbers(void **state)
{
    (void)state;
    const uint64_t known[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                              UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                              UINT64_C(16408922859458223821)};
    tmb_rng rng = {1234567};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_true(tmb_rng_next(&rng) == known[i]);
}

static void goes_on_from_its_written_state(void **state)
{
    (void)state;
    tmb_rng one = {42};
    (void)tmb_rng_next(&one);
    tmb_rng two = {one.state};
    assert_true(tmb_rng_next(&one) == tmb_rng_next(&two));
}

static void stays_below_and_reaches_all(void **state)
{
    (void)state;
    tmb_rng rng = {7};
    unsigned seen[10] = {0};
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t n = tmb_rng_below(&rng, 10);
        assert_true(n < 10);
        seen[n]++;
    }
    for (unsigned i = 0; i < 10; i++)
        assert_in_range(seen[i], 850, 1150);
    assert_true(tmb_rng_below(&rng, 1) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_known_numbers),
        cmocka_unit_test(goes_on_from_its_written_state),
        cmocka_unit_test(stays_below_and_reaches_all),
    };
    return cmocka_run_group_tests_name("unit.base.rng", tests, NULL, NULL);
}
