// SPDX-License-Identifier: Apache-2.0
/* The budget of snapshots: gaps, a wish one snapshot early, and the share of the time over a long run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker-plugin/budget.h"

#define MS INT64_C(1000000)

static tmb_mono at_ms(int64_t ms)
{
    tmb_mono t = {ms * MS};
    return t;
}

static void the_first_is_free(void **state)
{
    (void)state;
    tmb_budget b = {0};
    assert_true(tmb_budget_allows(&b, false, at_ms(1)));
    assert_true(tmb_budget_allows(&b, true, at_ms(1)));
}

static void cheap_ones_keep_a_gap(void **state)
{
    (void)state;
    tmb_budget b = {0};
    tmb_budget_spend(&b, 0, at_ms(1000));
    assert_false(tmb_budget_allows(&b, false, at_ms(1000 + TMB_SNAPSHOT_GAP_MS - 1)));
    assert_false(tmb_budget_allows(&b, true, at_ms(1000 + TMB_SNAPSHOT_GAP_MS - 1)));
    assert_true(tmb_budget_allows(&b, false, at_ms(1000 + TMB_SNAPSHOT_GAP_MS)));
}

static void dear_ones_are_waited_for(void **state)
{
    (void)state;
    tmb_budget b = {0};
    tmb_budget_spend(&b, 300 * MS, at_ms(1000));
    assert_int_equal(b.last_ns, 300 * MS);
    assert_false(tmb_budget_allows(&b, false, at_ms(6999)));
    assert_true(tmb_budget_allows(&b, false, at_ms(7000)));
    tmb_budget_spend(&b, 10 * MS, at_ms(7010));
    assert_int_equal(b.last_ns, 10 * MS);
    assert_int_equal(b.worst_ns, 300 * MS);
    assert_int_equal(b.all_ns, 310 * MS);
    assert_false(tmb_budget_allows(&b, false, at_ms(7209)));
    assert_true(tmb_budget_allows(&b, false, at_ms(7210)));
}

static void a_wish_comes_one_early_and_its_debt_is_paid(void **state)
{
    (void)state;
    tmb_budget b = {0};
    tmb_budget_spend(&b, 300 * MS, at_ms(1000));
    assert_true(tmb_budget_allows(&b, true, at_ms(1200)));
    tmb_budget_spend(&b, 300 * MS, at_ms(1500)); /* free at 13 s */
    assert_false(tmb_budget_allows(&b, true, at_ms(6999)));
    assert_true(tmb_budget_allows(&b, true, at_ms(7000)));
    assert_false(tmb_budget_allows(&b, false, at_ms(12999)));
    assert_true(tmb_budget_allows(&b, false, at_ms(13000)));
}

static void nonsense_is_bounded(void **state)
{
    (void)state;
    tmb_budget b = {0};
    tmb_budget_spend(&b, -5, at_ms(1000));
    assert_int_equal(b.last_ns, 0);
    for (int i = 0; i < 100; i++)
        tmb_budget_spend(&b, INT64_MAX, at_ms(1000));
    assert_int_equal(b.last_ns, INT64_C(3600) * 1000 * MS);
    assert_false(tmb_budget_allows(&b, true, at_ms(1300)));
}

/* Somebody wishes all the time, and snapshots are due all the time. */
static void all_together_keep_to_the_share(void **state)
{
    (void)state;
    static const int64_t costs_ms[] = {300, 20, 1, 700, 90, 45, 5, 0};
    tmb_budget b = {0};
    int64_t busy_ms = 0, dearest_ms = 700, end_ms = 3600000;
    unsigned count = 0;
    for (int64_t ms = 1; ms < end_ms; ms++) {
        bool is_wish = ms % 3 == 0;
        if (!tmb_budget_allows(&b, is_wish, at_ms(ms)))
            continue;
        int64_t cost_ms = costs_ms[count++ % 8];
        ms += cost_ms;
        busy_ms += cost_ms;
        tmb_budget_spend(&b, cost_ms * MS, at_ms(ms));
    }
    assert_true(busy_ms <= end_ms * TMB_SNAPSHOT_BUSY_PERCENT / 100 + 2 * dearest_ms);
    assert_true(busy_ms >= end_ms * TMB_SNAPSHOT_BUSY_PERCENT / 100 * 8 / 10); /* and it is used */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_free),
        cmocka_unit_test(cheap_ones_keep_a_gap),
        cmocka_unit_test(dear_ones_are_waited_for),
        cmocka_unit_test(a_wish_comes_one_early_and_its_debt_is_paid),
        cmocka_unit_test(nonsense_is_bounded),
        cmocka_unit_test(all_together_keep_to_the_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
