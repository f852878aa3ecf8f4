// SPDX-License-Identifier: Apache-2.0
/* The pace of frames: a burst, then the rate; one site's hurry is not another's; the limit of sites. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "broker-plugin/pace.h"

static unsigned take_all(tmb_pace *pace, const char *site, int64_t ms)
{
    tmb_mono now = {ms * 1000000};
    unsigned count = 0;
    while (tmb_pace_take(pace, tmb_bytes_str(site), now))
        count++;
    return count;
}

static void gives_a_burst_and_then_the_rate(void **state)
{
    (void)state;
    tmb_pace *pace = NULL;
    assert_int_equal(tmb_pace_new(&pace), TMB_OK);
    assert_int_equal(take_all(pace, "s1", 1000), 2 * TMB_SITE_FRAMES_PER_S_MAX);
    assert_int_equal(take_all(pace, "s1", 1000), 0);
    assert_int_equal(take_all(pace, "s1", 1500), TMB_SITE_FRAMES_PER_S_MAX / 2);
    assert_int_equal(take_all(pace, "s1", 60000), 2 * TMB_SITE_FRAMES_PER_S_MAX);
    tmb_pace_free(pace);
}

static void one_site_does_not_use_up_another(void **state)
{
    (void)state;
    tmb_pace *pace = NULL;
    assert_int_equal(tmb_pace_new(&pace), TMB_OK);
    assert_int_equal(take_all(pace, "evil", 5), 2 * TMB_SITE_FRAMES_PER_S_MAX);
    assert_true(tmb_pace_take(pace, tmb_bytes_str("s1"), (tmb_mono){5000000}));
    assert_false(tmb_pace_take(pace, tmb_bytes_str("evil"), (tmb_mono){5000000}));
    tmb_pace_free(pace);
}

static void at_the_limit_of_sites_the_first_is_forgotten(void **state)
{
    (void)state;
    tmb_pace *pace = NULL;
    assert_int_equal(tmb_pace_new(&pace), TMB_OK);
    assert_int_equal(take_all(pace, "first", 5), 2 * TMB_SITE_FRAMES_PER_S_MAX);
    for (unsigned i = 1; i < TMB_CHILDREN_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "s%u", i);
        assert_true(tmb_pace_take(pace, tmb_bytes_str(name), (tmb_mono){5000000}));
    }
    assert_int_equal(take_all(pace, "first", 5), 0);
    assert_true(tmb_pace_take(pace, tmb_bytes_str("one-more"), (tmb_mono){5000000}));
    assert_int_equal(take_all(pace, "first", 5), 2 * TMB_SITE_FRAMES_PER_S_MAX);
    tmb_pace_free(pace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_a_burst_and_then_the_rate),
        cmocka_unit_test(one_site_does_not_use_up_another),
        cmocka_unit_test(at_the_limit_of_sites_the_first_is_forgotten),
    };
    return cmocka_run_group_tests_name("broker-plugin.pace", tests, NULL, NULL);
}
