// SPDX-License-Identifier: Apache-2.0
/* tests/unit/base/test_time.c - deadlines saturate and never comes never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/time.h"

static void deadlines_come_due(void **state)
{
    (void)state;
    tmb_mono now = {5000000000};
    tmb_mono later = tmb_mono_after(now, tmb_dur_ms(2));
    assert_true(later.ns == 5002000000);
    assert_false(tmb_mono_is_due(later, now));
    assert_true(tmb_mono_is_due(later, later));
    assert_true(tmb_mono_min(now, later).ns == now.ns);
    assert_true(tmb_mono_min(later, now).ns == now.ns);
}

static void never_is_never_due_and_saturates(void **state)
{
    (void)state;
    tmb_mono end = {INT64_MAX};
    assert_false(tmb_mono_is_due(tmb_mono_never(), end));
    assert_true(tmb_mono_after(tmb_mono_never(), tmb_dur_ms(1)).ns == INT64_MAX);
    tmb_mono close = {INT64_MAX - 10};
    assert_true(tmb_mono_after(close, tmb_dur_ms(1)).ns == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_come_due),
        cmocka_unit_test(never_is_never_due_and_saturates),
    };
    return cmocka_run_group_tests_name("unit.base.time", tests, NULL, NULL);
}
