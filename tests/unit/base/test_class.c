// SPDX-License-Identifier: Apache-2.0
/* tests/unit/base/test_class.c - the names, and that their numbers stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/class.h"

static void names_and_numbers_stay(void **state)
{
    static const char *const names[TMB_CLASSES] = {"control", "alarm", "state", "telemetry",
                                                   "bulk"};
    (void)state;
    for (unsigned i = 0; i < TMB_CLASSES; i++)
        assert_string_equal(tmb_class_str((tmb_class)i), names[i]);
    assert_string_equal(tmb_class_str((tmb_class)TMB_CLASSES), "unknown");
    assert_int_equal(TMB_CLASS_CONTROL, 0);
    assert_int_equal(TMB_CLASS_BULK, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_and_numbers_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
