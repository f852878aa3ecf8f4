// SPDX-License-Identifier: Apache-2.0
/* tests/unit/broker-plugin/test_receipts.c - receipts that wait: their order, their copies, the limits, and
 * which response topic is a client's own.
 */
#include "broker-plugin/receipts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static tmb_receipt receipt_of(unsigned stream, uint64_t seq, tmb_receipts_level waits)
{
    tmb_receipt receipt = {.stream = stream, .seq = seq, .level = waits, .waits = waits};
    receipt.topic = tmb_bytes_str("a/b");
    receipt.correlation = tmb_bytes_str("xyz");
    return receipt;
}

static tmb_receipts *make(size_t limit, size_t bytes_limit)
{
    tmb_receipts *receipts = NULL;
    assert_int_equal(tmb_receipts_new(limit, bytes_limit, &receipts), TMB_OK);
    return receipts;
}

static void each_list_keeps_its_order(void **state)
{
    (void)state;
    tmb_receipts *receipts = make(100, 10000);
    for (uint64_t seq = 1; seq <= 5; seq++)
        for (unsigned stream = 0; stream < TMB_STREAMS_MAX; stream += TMB_STREAMS_MAX - 1)
            for (unsigned k = 0; k < TMB_RECEIPTS_LEVELS; k++) {
                tmb_receipt one = receipt_of(stream, seq, (tmb_receipts_level)k);
                assert_int_equal(tmb_receipts_add(receipts, &one), TMB_OK);
            }
    assert_int_equal(tmb_receipts_count(receipts), 30);
    for (uint64_t seq = 1; seq <= 5; seq++) {
        const tmb_receipt *one = tmb_receipts_first(receipts, 0, TMB_RECEIPTS_COMMITTED);
        assert_non_null(one);
        assert_int_equal(one->seq, seq);
        tmb_receipts_pop(receipts, 0, TMB_RECEIPTS_COMMITTED);
    }
    assert_null(tmb_receipts_first(receipts, 0, TMB_RECEIPTS_COMMITTED));
    assert_int_equal(tmb_receipts_waiting(receipts, TMB_RECEIPTS_COMMITTED), 5);
    assert_int_equal(tmb_receipts_first(receipts, TMB_STREAMS_MAX - 1, TMB_RECEIPTS_COMMITTED)->seq,
                     1);
    tmb_receipt again = receipt_of(0, 9, TMB_RECEIPTS_COMMITTED);
    assert_int_equal(tmb_receipts_add(receipts, &again), TMB_OK);
    assert_int_equal(tmb_receipts_first(receipts, 0, TMB_RECEIPTS_COMMITTED)->seq, 9);
    tmb_receipts_free(receipts);
    tmb_receipts_free(NULL);
}

static void what_is_added_is_copied(void **state)
{
    (void)state;
    char topic[] = "t/1", data[] = "\0\xff";
    tmb_receipts *receipts = make(10, 100);
    tmb_receipt one = receipt_of(3, 7, TMB_RECEIPTS_ENGINE);
    one.level = TMB_RECEIPTS_COMMITTED;
    one.is_repeat = true;
    one.topic = tmb_bytes_of(topic, 3);
    one.correlation = tmb_bytes_of(data, 2);
    assert_int_equal(tmb_receipts_add(receipts, &one), TMB_OK);
    one.correlation = tmb_bytes_of(NULL, 0);
    assert_int_equal(tmb_receipts_add(receipts, &one), TMB_OK);
    memset(topic, 'x', 3);
    memset(data, 'x', 2);
    const tmb_receipt *first = tmb_receipts_first(receipts, 3, TMB_RECEIPTS_ENGINE);
    assert_true(tmb_bytes_eq(first->topic, tmb_bytes_str("t/1")));
    assert_true(tmb_bytes_eq(first->correlation, tmb_bytes_of("\0\xff", 2)));
    assert_int_equal(first->level, TMB_RECEIPTS_COMMITTED);
    assert_true(first->is_repeat);
    tmb_receipts_pop(receipts, 3, TMB_RECEIPTS_ENGINE);
    assert_int_equal(tmb_receipts_first(receipts, 3, TMB_RECEIPTS_ENGINE)->correlation.len, 0);
    tmb_receipts_free(receipts);
}

/* What waits for the parent, perhaps for days, takes no place from what waits for this disk. */
static void limits_hold_for_each_kind(void **state)
{
    (void)state;
    tmb_receipts *receipts = make(TMB_RECEIPTS_MAX, TMB_RECEIPTS_BYTES_MAX);
    for (unsigned i = 0; i < TMB_RECEIPTS_MAX; i++) {
        tmb_receipt one = receipt_of(i % 4, i, TMB_RECEIPTS_COMMITTED);
        assert_int_equal(tmb_receipts_add(receipts, &one), TMB_OK);
    }
    tmb_receipt more = receipt_of(5, 1, TMB_RECEIPTS_COMMITTED);
    tmb_receipt other = receipt_of(5, 1, TMB_RECEIPTS_SYNCED);
    assert_int_equal(tmb_receipts_add(receipts, &more), TMB_ELIMIT);
    assert_int_equal(tmb_receipts_add(receipts, &other), TMB_OK);
    tmb_receipts_pop(receipts, 0, TMB_RECEIPTS_COMMITTED);
    assert_int_equal(tmb_receipts_add(receipts, &more), TMB_OK);
    assert_int_equal(tmb_receipts_count(receipts), TMB_RECEIPTS_MAX + 1);
    tmb_receipts_free(receipts);
}

static void bytes_are_limited(void **state)
{
    (void)state;
    tmb_receipts *receipts = make(100, 13);
    tmb_receipt one = receipt_of(0, 1, TMB_RECEIPTS_SYNCED); /* six bytes */
    assert_int_equal(tmb_receipts_add(receipts, &one), TMB_OK);
    assert_int_equal(tmb_receipts_add(receipts, &one), TMB_OK);
    assert_int_equal(tmb_receipts_add(receipts, &one), TMB_ELIMIT);
    tmb_receipts_pop(receipts, 0, TMB_RECEIPTS_SYNCED);
    assert_int_equal(tmb_receipts_add(receipts, &one), TMB_OK);
    tmb_receipts_free(receipts);
}

static void levels_have_names(void **state)
{
    (void)state;
    tmb_receipts_level level = TMB_RECEIPTS_SYNCED;
    for (unsigned k = 0; k < TMB_RECEIPTS_LEVELS; k++) {
        assert_true(tmb_receipts_level_of(
            tmb_bytes_str(tmb_receipts_level_str((tmb_receipts_level)k)), &level));
        assert_int_equal(level, k);
    }
    assert_false(tmb_receipts_level_of(tmb_bytes_str("Synced"), &level));
    assert_false(tmb_receipts_level_of(tmb_bytes_of(NULL, 0), &level));
    assert_int_equal(level, TMB_RECEIPTS_ENGINE);
}

static bool is_own(const char *topic, const char *id)
{
    return tmb_receipt_topic_is_own(tmb_bytes_str(topic), id);
}

static void a_client_owns_the_topics_below_its_id(void **state)
{
    (void)state;
    assert_true(is_own("receipts/press-7", "press-7"));
    assert_true(is_own("receipts/press-7/a/b", "press-7"));
    assert_true(is_own("receipts/press-7/", "press-7"));
    assert_false(is_own("receipts/press-70", "press-7"));
    assert_false(is_own("receipts/press-8", "press-7"));
    assert_false(is_own("receipts", "press-7"));
    assert_false(is_own("receipts/", ""));
    assert_false(is_own("receipts//a", ""));
    assert_false(is_own("receipts/a/b", "a/b"));
    assert_false(is_own("Receipts/press-7", "press-7"));
    assert_false(is_own("press-7", "press-7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_list_keeps_its_order),
        cmocka_unit_test(what_is_added_is_copied),
        cmocka_unit_test(limits_hold_for_each_kind),
        cmocka_unit_test(bytes_are_limited),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(a_client_owns_the_topics_below_its_id),
    };
    return cmocka_run_group_tests_name("unit.broker-plugin.receipts", tests, NULL, NULL);
}
