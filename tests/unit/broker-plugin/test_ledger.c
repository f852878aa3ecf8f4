// SPDX-License-Identifier: Apache-2.0
/* tests/unit/broker-plugin/test_ledger.c - ranges that grow, are told and are found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "broker-plugin/ledger.h"

static const tmb_incarnation life = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255}};

static tmb_loss loss_of(const char *stream, tmb_loss_reason reason, uint64_t first, uint64_t last)
{
    tmb_loss loss = {.reason = reason,
                     .first = first,
                     .last = last,
                     .count = last - first + 1,
                     .bytes = 10 * (last - first + 1),
                     .at_ms = (int64_t)last};
    (void)snprintf(loss.stream, sizeof loss.stream, "%s", stream);
    return loss;
}

static unsigned add(tmb_ledger *ledger, const char *stream, tmb_loss_reason reason, uint64_t first,
                    uint64_t last)
{
    tmb_loss loss = loss_of(stream, reason, first, last);
    return tmb_ledger_add(ledger, &loss);
}

static void a_million_messages_are_one_range(void **state)
{
    (void)state;
    tmb_ledger ledger = {0};
    unsigned slot = 0;
    for (uint64_t seq = 5; seq < 1000005; seq++)
        slot = add(&ledger, "data", TMB_LOSS_FULL_NEWEST, seq, seq);
    assert_int_equal(tmb_ledger_waiting(&ledger), 1);
    const tmb_loss *loss = &ledger.slots[slot];
    assert_int_equal(loss->first, 5);
    assert_int_equal(loss->last, 1000004);
    assert_int_equal(loss->count, 1000000);
    assert_int_equal(loss->bytes, 10000000);
    assert_int_equal(loss->at_ms, 1000004);
}

static void reasons_and_streams_are_kept_apart(void **state)
{
    (void)state;
    tmb_ledger ledger = {0};
    add(&ledger, "data", TMB_LOSS_FULL_NEWEST, 1, 1);
    add(&ledger, "data", TMB_LOSS_FULL_OLDEST, 2, 2);
    add(&ledger, "alarms", TMB_LOSS_FULL_NEWEST, 2, 2);
    assert_int_equal(tmb_ledger_waiting(&ledger), 3);
    add(&ledger, "data", TMB_LOSS_FULL_NEWEST, 2, 9);
    assert_int_equal(tmb_ledger_waiting(&ledger), 3);
}

static void what_stays_is_taken_back(void **state)
{
    (void)state;
    tmb_ledger ledger = {0};
    unsigned slot = add(&ledger, "data", TMB_LOSS_RETENTION, 1, 20);
    add(&ledger, "data", TMB_LOSS_RETENTION, 21, 30);
    unsigned later = add(&ledger, "data", TMB_LOSS_FULL_OLDEST, 31, 40);
    add(&ledger, "data", TMB_LOSS_DAMAGED, 25, 45);
    add(&ledger, "other", TMB_LOSS_RETENTION, 1, 50);
    assert_int_equal(tmb_ledger_take_back(&ledger, "data", 41).count, 0);
    tmb_loss back = tmb_ledger_take_back(&ledger, "data", 21);
    assert_int_equal(back.count, 20);
    assert_int_equal(back.bytes, 200);
    assert_int_equal(ledger.slots[slot].first, 1);
    assert_int_equal(ledger.slots[slot].last, 20);
    assert_int_equal(ledger.slots[slot].count, 20);
    assert_int_equal(ledger.slots[slot].bytes, 200);
    assert_int_equal(ledger.slots[later].reason, TMB_LOSS_NONE);
    assert_int_equal(tmb_ledger_waiting(&ledger), 3);
    assert_int_equal(tmb_ledger_take_back(&ledger, "data", 1).count, 20);
    assert_int_equal(tmb_ledger_waiting(&ledger), 2);
}

static void ranges_apart_are_entries_of_their_own_up_to_the_limit(void **state)
{
    (void)state;
    tmb_ledger ledger = {0};
    for (uint64_t i = 0; i < TMB_LEDGER_RANGES_MAX; i++)
        add(&ledger, "data", TMB_LOSS_DAMAGED, 10 * i + 1, 10 * i + 2);
    assert_int_equal(tmb_ledger_waiting(&ledger), TMB_LEDGER_RANGES_MAX);
    unsigned slot = add(&ledger, "data", TMB_LOSS_DAMAGED, 500, 509);
    assert_int_equal(tmb_ledger_waiting(&ledger), TMB_LEDGER_RANGES_MAX);
    assert_int_equal(ledger.slots[slot].first, 10 * (TMB_LEDGER_RANGES_MAX - 1) + 1);
    assert_int_equal(ledger.slots[slot].last, 509);
    assert_int_equal(ledger.slots[slot].count, 12); /* of the numbers between, so many are lost */
}

static void every_reason_of_every_stream_finds_a_slot(void **state)
{
    (void)state;
    static tmb_ledger ledger;
    char name[8];
    uint64_t count = 0;
    for (uint64_t round = 0; round < 3 * TMB_LEDGER_RANGES_MAX; round++) {
        for (unsigned s = 0; s < TMB_STREAMS_MAX; s++) {
            for (unsigned r = TMB_LOSS_RETENTION; r <= TMB_LOSS_MISSING; r++) {
                (void)snprintf(name, sizeof name, "s%u", s);
                assert_true(add(&ledger, name, (tmb_loss_reason)r, 100 * round + 1,
                                100 * round + 1) < TMB_LEDGER_SLOTS);
                count++;
            }
        }
    }
    for (unsigned i = 0; i < TMB_LEDGER_SLOTS; i++)
        count -= ledger.slots[i].count;
    assert_int_equal(count, 0);
    assert_true(tmb_ledger_waiting(&ledger) <= TMB_LEDGER_SLOTS);
}

static void tells_when_no_slot_is_left(void **state)
{
    (void)state;
    static tmb_ledger ledger;
    char name[8];
    for (unsigned s = 0; s < TMB_LEDGER_SLOTS; s++) {
        (void)snprintf(name, sizeof name, "x%u", s);
        assert_true(add(&ledger, name, TMB_LOSS_DAMAGED, 1, 1) < TMB_LEDGER_SLOTS);
    }
    assert_int_equal(add(&ledger, "one-more", TMB_LOSS_DAMAGED, 1, 1), TMB_LEDGER_SLOTS);
    assert_true(add(&ledger, "x7", TMB_LOSS_DAMAGED, 9, 9) < TMB_LEDGER_SLOTS);
}

static void told_slots_are_free_but_numbers_used_up_stay_known(void **state)
{
    (void)state;
    tmb_ledger ledger = {0};
    unsigned shed = add(&ledger, "data", TMB_LOSS_FULL_NEWEST, 3, 7);
    unsigned old = add(&ledger, "data", TMB_LOSS_FULL_OLDEST, 1, 2);
    assert_int_equal(tmb_ledger_next(&ledger, 0), shed);
    assert_int_equal(tmb_ledger_next(&ledger, shed + 1), old);
    assert_int_equal(tmb_ledger_next(&ledger, old + 1), TMB_LEDGER_SLOTS);
    tmb_ledger_told(&ledger, shed);
    tmb_ledger_told(&ledger, old);
    assert_int_equal(tmb_ledger_waiting(&ledger), 0);
    assert_int_equal(tmb_ledger_shed_seq(&ledger, "data"), 7);
    assert_int_equal(tmb_ledger_shed_seq(&ledger, "alarms"), 0);
    assert_int_equal(ledger.slots[old].reason, TMB_LOSS_NONE);
    assert_int_equal(add(&ledger, "data", TMB_LOSS_FULL_NEWEST, 8, 8), shed);
    assert_int_equal(ledger.slots[shed].first, 8);
    assert_int_equal(ledger.slots[shed].count, 1);
}

static void leaves_out_what_the_parent_has(void **state)
{
    (void)state;
    tmb_loss loss = loss_of("data", TMB_LOSS_RETENTION, 11, 20);
    assert_int_equal(tmb_ledger_behind(&loss, 0).count, 10);
    assert_int_equal(tmb_ledger_behind(&loss, 10).count, 10);
    assert_int_equal(tmb_ledger_behind(&loss, 20).count, 0);
    assert_int_equal(tmb_ledger_behind(&loss, UINT64_MAX).count, 0);
    tmb_loss rest = tmb_ledger_behind(&loss, 15);
    assert_int_equal(rest.first, 16);
    assert_int_equal(rest.last, 20);
    assert_int_equal(rest.count, 5);
    assert_int_equal(rest.bytes, 50);
    loss.count = 3; /* a widened range */
    assert_int_equal(tmb_ledger_behind(&loss, 15).count, 3);
    assert_int_equal(tmb_ledger_behind(&loss, 19).count, 1);
}

static void slots_survive_in_their_file(void **state)
{
    (void)state;
    uint8_t bytes[TMB_LEDGER_SLOT_BYTES];
    tmb_loss loss = loss_of("data", TMB_LOSS_FULL_NEWEST, 5, 9), back = {0};
    tmb_incarnation other = life;
    other.bytes[0] = 9;
    tmb_ledger_encode(&loss, &life, bytes);
    assert_int_equal(tmb_ledger_decode(bytes, &life, &back), TMB_OK);
    assert_string_equal(back.stream, "data");
    assert_int_equal(back.reason, TMB_LOSS_FULL_NEWEST);
    assert_int_equal(back.first, 5);
    assert_int_equal(back.last, 9);
    assert_int_equal(back.count, 5);
    assert_int_equal(back.bytes, 50);
    assert_int_equal(back.at_ms, 9);
    assert_int_equal(tmb_ledger_decode(bytes, &other, &back), TMB_ENOENT);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(tmb_ledger_decode(bytes, &life, &back), TMB_ECORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    tmb_ledger_encode(&(tmb_loss){0}, &life, bytes);
    assert_int_equal(tmb_ledger_decode(bytes, &life, &back), TMB_ENOENT);
}

static void entries_are_json_with_a_date(void **state)
{
    (void)state;
    char text[TMB_LEDGER_TEXT_BYTES];
    tmb_loss loss = loss_of("data", TMB_LOSS_FULL_NEWEST, 5, 9);
    static const struct {
        int64_t ms;
        const char *date;
    } dates[] = {{0, "1970-01-01T00:00:00.000Z"},
                 {951782399999, "2000-02-28T23:59:59.999Z"},
                 {951782400000, "2000-02-29T00:00:00.000Z"},
                 {1785542523042, "2026-08-01T00:02:03.042Z"},
                 {4107542399000, "2100-02-28T23:59:59.000Z"},
                 {4107542400000, "2100-03-01T00:00:00.000Z"},
                 {-5, "1970-01-01T00:00:00.000Z"}};
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        char want[TMB_LEDGER_TEXT_BYTES];
        loss.at_ms = dates[i].ms;
        (void)snprintf(want, sizeof want,
                       "{\"node\":\"s1\",\"incarnation\":\"0102030405060708090a0b0c0d0e0fff\","
                       "\"stream\":\"data\",\"first\":5,\"last\":9,\"count\":5,\"bytes\":50,"
                       "\"reason\":\"full-newest\",\"time\":\"%s\"}",
                       dates[i].date);
        assert_int_equal(tmb_ledger_text(&loss, "s1", &life, text), strlen(want));
        assert_string_equal(text, want);
    }
}

static void the_longest_entry_fits(void **state)
{
    (void)state;
    char text[TMB_LEDGER_TEXT_BYTES], node[TMB_NAME_BYTES_MAX + 1];
    tmb_loss loss = loss_of("", TMB_LOSS_FULL_NEWEST, UINT64_MAX, UINT64_MAX);
    memset(node, 'n', sizeof node - 1);
    node[sizeof node - 1] = '\0';
    memset(loss.stream, 's', sizeof loss.stream - 1);
    loss.count = loss.bytes = UINT64_MAX;
    loss.at_ms = INT64_MAX;
    assert_true(tmb_ledger_text(&loss, node, &life, text) < TMB_LEDGER_TEXT_BYTES);
    assert_string_equal(tmb_loss_reason_str(TMB_LOSS_RETENTION), "retention");
    assert_string_equal(tmb_loss_reason_str(TMB_LOSS_FULL_OLDEST), "full-oldest");
    assert_string_equal(tmb_loss_reason_str(TMB_LOSS_DAMAGED), "damaged");
    assert_string_equal(tmb_loss_reason_str(TMB_LOSS_MISSING), "missing");
    assert_string_equal(tmb_loss_reason_str(TMB_LOSS_NONE), "none");
    assert_string_equal(tmb_loss_reason_str((tmb_loss_reason)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_messages_are_one_range),
        cmocka_unit_test(reasons_and_streams_are_kept_apart),
        cmocka_unit_test(what_stays_is_taken_back),
        cmocka_unit_test(ranges_apart_are_entries_of_their_own_up_to_the_limit),
        cmocka_unit_test(every_reason_of_every_stream_finds_a_slot),
        cmocka_unit_test(tells_when_no_slot_is_left),
        cmocka_unit_test(told_slots_are_free_but_numbers_used_up_stay_known),
        cmocka_unit_test(leaves_out_what_the_parent_has),
        cmocka_unit_test(slots_survive_in_their_file),
        cmocka_unit_test(entries_are_json_with_a_date),
        cmocka_unit_test(the_longest_entry_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
