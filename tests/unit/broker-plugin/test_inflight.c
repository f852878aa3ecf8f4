// SPDX-License-Identifier: Apache-2.0
/* QoS 2 in flight: what holds a checkpoint back, and what lets it go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker-plugin/inflight.h"

static char memory[TMB_INFLIGHT_MAX + 8];

static tmb_mono at_ms(int64_t ms)
{
    tmb_mono t = {ms * 1000000 + 1};
    return t;
}

static void holds_before_the_first(void **state)
{
    (void)state;
    tmb_inflight list = {.count = 0};
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(0)), 9);
    tmb_inflight_add(&list, 5, &memory[0], 0, false, at_ms(0));
    tmb_inflight_add(&list, 7, &memory[1], 0, false, at_ms(0));
    assert_int_equal(tmb_inflight_hold(&list, 3, at_ms(1)), 3);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(1)), 4);
    tmb_inflight_done(&list, &memory[2]);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(1)), 4);
    tmb_inflight_done(&list, &memory[0]);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(1)), 6);
    tmb_inflight_done(&list, &memory[1]);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(1)), 9);
}

static void lets_go_when_memory_is_used_again_or_in_time(void **state)
{
    (void)state;
    tmb_inflight list = {.count = 0};
    tmb_inflight_add(&list, 5, &memory[0], 0, false, at_ms(0));
    tmb_inflight_add(&list, 6, NULL, 0, false, at_ms(10));
    tmb_inflight_add(&list, 7, NULL, 0, false, at_ms(20));
    tmb_inflight_add(&list, 8, &memory[0], 0, false, at_ms(30));
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(30)), 5);
    tmb_inflight_done(&list, NULL);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(TMB_INFLIGHT_MS + 9)), 5);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(TMB_INFLIGHT_MS + 10)), 6);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(TMB_INFLIGHT_MS + 25)), 7);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(TMB_INFLIGHT_MS + 30)), 9);
}

static void more_than_fit_hold_together(void **state)
{
    (void)state;
    tmb_inflight list = {.count = 0};
    for (unsigned i = 0; i < TMB_INFLIGHT_MAX + 3; i++)
        tmb_inflight_add(&list, 10 + i, &memory[i], 0, false, at_ms(i));
    for (unsigned i = 0; i < TMB_INFLIGHT_MAX + 3; i++)
        tmb_inflight_done(&list, &memory[i]);
    uint64_t beyond = 10 + TMB_INFLIGHT_MAX;
    int64_t last_ms = TMB_INFLIGHT_MAX + 2;
    assert_int_equal(tmb_inflight_hold(&list, 9999, at_ms(last_ms)), beyond - 1);
    tmb_inflight_add(&list, 5000, &memory[0], 0, false, at_ms(last_ms));
    assert_int_equal(tmb_inflight_hold(&list, 9999, at_ms(last_ms + TMB_INFLIGHT_MS - 1)),
                     beyond - 1);
    tmb_inflight_done(&list, &memory[0]);
    assert_int_equal(tmb_inflight_hold(&list, 9999, at_ms(last_ms + TMB_INFLIGHT_MS)), 9999);
}

static void at_the_end_lasting_publishers_hold_nothing(void **state)
{
    (void)state;
    tmb_inflight list = {.count = 0};
    tmb_inflight_add(&list, 5, &memory[0], 0, true, at_ms(0));
    assert_int_equal(tmb_inflight_hold_last(&list, 9, at_ms(1)), 9);
    tmb_inflight_add(&list, 7, &memory[1], 0, false, at_ms(1));
    tmb_inflight_add(&list, 8, &memory[2], 0, true, at_ms(1));
    assert_int_equal(tmb_inflight_hold_last(&list, 9, at_ms(1)), 6);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(1)), 4);
    tmb_inflight_done(&list, &memory[1]);
    assert_int_equal(tmb_inflight_hold_last(&list, 9, at_ms(1)), 9);
    for (unsigned i = 3; i < TMB_INFLIGHT_MAX + 2; i++)
        tmb_inflight_add(&list, 10 + i, &memory[i], 0, true, at_ms(2));
    uint64_t beyond = 10 + TMB_INFLIGHT_MAX + 1; /* whose publishers are not remembered */
    assert_int_equal(tmb_inflight_hold_last(&list, 9999, at_ms(3)), beyond - 1);
}

static void what_is_sent_again_is_known_by_its_tag(void **state)
{
    (void)state;
    tmb_inflight list = {.count = 0};
    uint64_t seq = 0;
    tmb_inflight_add(&list, 5, &memory[0], 70, false, at_ms(0));
    tmb_inflight_add(&list, 6, &memory[1], 80, false, at_ms(0));
    assert_false(tmb_inflight_again(&list, 90, &memory[2], at_ms(1), &seq));
    assert_false(tmb_inflight_again(&list, 0, &memory[2], at_ms(1), &seq));
    assert_true(tmb_inflight_again(&list, 70, &memory[2], at_ms(1), &seq));
    assert_int_equal(seq, 5);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(1)), 4);
    tmb_inflight_done(&list, &memory[0]); /* either is both */
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(1)), 5);
    assert_false(tmb_inflight_again(&list, 70, &memory[3], at_ms(1), &seq));
    assert_true(tmb_inflight_again(&list, 80, &memory[3], at_ms(1), &seq));
    tmb_inflight_done(&list, &memory[3]);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(1)), 9);
}

static void what_has_a_number_is_known_though_its_memory_is_used_again(void **state)
{
    (void)state;
    tmb_inflight list = {.count = 0};
    uint64_t seq = 0;
    tmb_inflight_add(&list, 5, &memory[0], 70, false, at_ms(0));
    assert_true(tmb_inflight_again(&list, 70, &memory[1], at_ms(1), &seq));
    tmb_inflight_add(&list, 6, &memory[1], 0, false, at_ms(2)); /* the broker kept the first */
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(2)), 4);
    tmb_inflight_add(&list, 7, &memory[0], 0, false, at_ms(2)); /* and drops that too */
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(2)), 4);
    assert_true(tmb_inflight_again(&list, 70, &memory[0], at_ms(3), &seq));
    assert_int_equal(seq, 5);
    tmb_inflight_done(&list, &memory[0]);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(3)), 5); /* 6; 7 was where the third is */
    tmb_inflight_done(&list, &memory[1]);
    assert_int_equal(tmb_inflight_hold(&list, 9, at_ms(3)), 9);
}

static void a_full_list_forgets_first_what_may_be_over(void **state)
{
    (void)state;
    tmb_inflight list = {.count = 0};
    uint64_t seq = 0;
    for (unsigned i = 0; i < TMB_INFLIGHT_MAX; i++)
        tmb_inflight_add(&list, 10 + i, &memory[i], 100 + i, false, at_ms(0));
    assert_true(tmb_inflight_again(&list, 105, &memory[TMB_INFLIGHT_MAX], at_ms(1), &seq));
    assert_int_equal(seq, 15);
    tmb_inflight_add(&list, 1000, &memory[7], 1000, false, at_ms(2)); /* room for it: 7 goes */
    assert_int_equal(list.count, TMB_INFLIGHT_MAX);
    assert_int_equal(list.beyond_seq, 0);
    assert_false(tmb_inflight_again(&list, 107, &memory[7], at_ms(3), &seq));
    assert_true(tmb_inflight_again(&list, 1000, &memory[7], at_ms(3), &seq));
    tmb_inflight_add(&list, 1001, &memory[TMB_INFLIGHT_MAX + 1], 1001, false, at_ms(4));
    assert_int_equal(list.beyond_seq, 1001);
}

static void what_is_delivered_in_another_way_is_taken_once(void **state)
{
    (void)state;
    tmb_inflight inflight = {0};
    uint64_t seq = 0;
    tmb_mono now = {0};
    tmb_inflight_add(&inflight, 5, &inflight, 77, false, now);
    tmb_inflight_add(&inflight, 6, &seq, 0, false, now);
    assert_false(tmb_inflight_take(&inflight, 0, &seq)); /* no tag is nobody's */
    assert_false(tmb_inflight_take(&inflight, 78, &seq));
    assert_int_equal(seq, 0);
    assert_true(tmb_inflight_take(&inflight, 77, &seq));
    assert_int_equal(seq, 5);
    assert_false(tmb_inflight_take(&inflight, 77, &seq));
    assert_int_equal(tmb_inflight_hold(&inflight, 9, now), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_before_the_first),
        cmocka_unit_test(lets_go_when_memory_is_used_again_or_in_time),
        cmocka_unit_test(more_than_fit_hold_together),
        cmocka_unit_test(at_the_end_lasting_publishers_hold_nothing),
        cmocka_unit_test(what_is_sent_again_is_known_by_its_tag),
        cmocka_unit_test(what_has_a_number_is_known_though_its_memory_is_used_again),
        cmocka_unit_test(what_is_delivered_in_another_way_is_taken_once),
        cmocka_unit_test(a_full_list_forgets_first_what_may_be_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
