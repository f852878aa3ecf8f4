// SPDX-License-Identifier: Apache-2.0
/* The messages that are kept: in order, unsent again after a cut, and the same after their bytes were
 * read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "clients/c/outbox.h"

static tmb_entry *entry(uint64_t number)
{
    tmb_client_publication p = {.topic = "t/x", .payload = "abc", .payload_len = 3};
    tmb_entry *e = NULL;
    assert_int_equal(tmb_entry_new(&p, &e), TMB_OK);
    e->number = number;
    return e;
}

static void push(tmb_outbox *box, uint64_t first, uint64_t last)
{
    for (uint64_t number = first; number <= last; number++)
        tmb_outbox_push(box, entry(number));
}

static void sends_in_the_order_of_numbers(void **state)
{
    (void)state;
    tmb_outbox box = {.count = 0};
    push(&box, 5, 8);
    for (uint64_t number = 5; number <= 8; number++) {
        assert_int_equal(box.unsent->number, number);
        tmb_outbox_sent(&box);
    }
    assert_null(box.unsent);
    push(&box, 9, 9);
    assert_int_equal(box.unsent->number, 9);
    assert_int_equal(box.count, 5);
    assert_int_equal(box.unacked, 5);
    tmb_outbox_free(&box);
}

static void after_a_cut_all_is_unsent_again_from_the_lowest(void **state)
{
    (void)state;
    tmb_outbox box = {.count = 0};
    push(&box, 1, 4);
    for (int i = 0; i < 3; i++)
        tmb_outbox_sent(&box);
    tmb_entry *first = tmb_outbox_find(&box, 1), *second = tmb_outbox_find(&box, 2);
    tmb_outbox_acked(&box, first);
    tmb_outbox_take(&box, first);
    tmb_entry_free(first);
    tmb_outbox_acked(&box, second); /* waits for a receipt */
    tmb_outbox_acked(&box, second);
    assert_int_equal(box.unacked, 2);
    tmb_outbox_rewind(&box);
    assert_int_equal(box.unsent->number, 2);
    assert_false(second->is_sent);
    assert_true(second->was_sent);
    assert_false(tmb_outbox_find(&box, 4)->was_sent);
    tmb_outbox_free(&box);
}

static void takes_from_anywhere(void **state)
{
    (void)state;
    static const uint64_t order[] = {3, 1, 5, 2, 4};
    tmb_outbox box = {.count = 0};
    push(&box, 1, 5);
    for (size_t i = 0; i < 5; i++) {
        tmb_entry *e = tmb_outbox_find(&box, order[i]);
        assert_non_null(e);
        tmb_outbox_take(&box, e);
        assert_null(tmb_outbox_find(&box, order[i]));
        tmb_entry_free(e);
    }
    assert_null(box.first);
    assert_null(box.last);
    assert_null(box.unsent);
    assert_int_equal(box.count, 0);
    assert_int_equal(box.unacked, 0);
    assert_int_equal(box.bytes, 0);
    push(&box, 6, 6);
    assert_int_equal(box.first->number, 6);
    tmb_outbox_free(&box);
}

static void an_entry_is_the_same_after_its_bytes_were_read(void **state)
{
    (void)state;
    static const tmb_client_prop props[] = {{"a", "1"},
                                            {"a", ""},
                                            {"unit", "\xc2\xb0"
                                                     "C"}};
    tmb_client_publication p = {.topic = "t/\xc3\xa9",
                                .payload = "a\0b",
                                .payload_len = 3,
                                .retain = true,
                                .content_type = "text/plain",
                                .props = props,
                                .prop_count = 3};
    tmb_entry *one = NULL, *two = NULL;
    assert_int_equal(tmb_entry_new(&p, &one), TMB_OK);
    assert_int_equal(tmb_entry_read(tmb_bytes_of(one->bytes, one->encoded_len), &two), TMB_OK);
    tmb_entry_free(one);
    assert_string_equal(two->topic, "t/\xc3\xa9");
    assert_string_equal(two->content_type, "text/plain");
    assert_true(two->retain);
    assert_int_equal(two->payload.len, 3);
    assert_memory_equal(two->payload.ptr, "a\0b", 3);
    assert_int_equal(two->prop_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(two->props[i].name, props[i].name);
        assert_string_equal(two->props[i].value, props[i].value);
    }
    tmb_entry_free(two);
}

/* Every shorter text of bytes, and every changed byte, is read or refused, never trusted. */
static void damaged_bytes_are_refused_or_read(void **state)
{
    (void)state;
    static const tmb_client_prop props[] = {{"a", "1"}};
    tmb_client_publication p = {.topic = "t", .content_type = "x", .props = props, .prop_count = 1};
    tmb_entry *one = NULL, *two = NULL;
    assert_int_equal(tmb_entry_new(&p, &one), TMB_OK);
    for (size_t len = 0; len < one->encoded_len; len++)
        assert_int_equal(tmb_entry_read(tmb_bytes_of(one->bytes, len), &two), TMB_ECORRUPT);
    size_t refused = 0;
    for (size_t i = 0; i < one->encoded_len * 8; i++) {
        one->bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
        tmb_err err = tmb_entry_read(tmb_bytes_of(one->bytes, one->encoded_len), &two);
        one->bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
        if (err == TMB_OK)
            tmb_entry_free(two);
        refused += err == TMB_ECORRUPT;
    }
    assert_true(refused > 0);
    tmb_entry_free(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_in_the_order_of_numbers),
        cmocka_unit_test(after_a_cut_all_is_unsent_again_from_the_lowest),
        cmocka_unit_test(takes_from_anywhere),
        cmocka_unit_test(an_entry_is_the_same_after_its_bytes_were_read),
        cmocka_unit_test(damaged_bytes_are_refused_or_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
