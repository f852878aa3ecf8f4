// SPDX-License-Identifier: Apache-2.0
/* Chains: the same however the records are cut, another as soon as one bit differs, unknown where a number
 * is missing. Random: prints its seed, takes TMB_SEED. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "proto/chain.h"

#define RECORDS      200u
#define RECORD_BYTES 40u

typedef struct log_of_records {
    uint8_t bytes[RECORDS][RECORD_BYTES];
} log_of_records;

static tmb_rng rng;

static void fill(log_of_records *log)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        for (unsigned k = 0; k < RECORD_BYTES; k++)
            log->bytes[i][k] = (uint8_t)tmb_rng_next(&rng);
    }
}

static void add(tmb_chain *chain, const log_of_records *log, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++)
        tmb_chain_add(chain, seq, tmb_bytes_of(log->bytes[seq - 1], RECORD_BYTES));
}

static bool are_same(const tmb_chain *a, const tmb_chain *b)
{
    return a->is_known && b->is_known && a->seq == b->seq &&
           memcmp(a->value, b->value, sizeof a->value) == 0;
}

/* One reads on for ever, in pieces that overlap; the other begins at the block. */
static void any_cut_gives_the_same(void **state)
{
    static log_of_records log;
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        fill(&log);
        tmb_chain whole = {.seq = 0};
        uint64_t at = 1;
        while (at <= RECORDS) {
            uint64_t last = at + tmb_rng_next(&rng) % 50;
            last = last > RECORDS ? RECORDS : last;
            uint64_t back = tmb_rng_next(&rng) % 5;
            add(&whole, &log, at > back ? at - back : 1, last);
            at = last + 1;
            tmb_chain again = {.seq = 0};
            add(&again, &log, tmb_chain_begin(last), last);
            assert_true(are_same(&whole, &again));
        }
    }
}

static void one_bit_is_seen_to_the_end_of_its_block(void **state)
{
    static log_of_records log;
    (void)state;
    for (unsigned round = 0; round < 500; round++) {
        fill(&log);
        uint64_t seq = 1 + tmb_rng_next(&rng) % RECORDS, begin = tmb_chain_begin(seq);
        uint64_t flipped = begin + tmb_rng_next(&rng) % (seq - begin + 1);
        tmb_chain before = {.seq = 0}, after = {.seq = 0};
        add(&before, &log, begin, seq);
        uint64_t bit = tmb_rng_next(&rng) % (8 * RECORD_BYTES);
        log.bytes[flipped - 1][bit / 8] ^= (uint8_t)(1u << bit % 8);
        add(&after, &log, begin, seq);
        assert_true(before.is_known && after.is_known);
        assert_false(are_same(&before, &after));
    }
}

static void two_records_in_another_order_are_seen(void **state)
{
    static log_of_records log;
    tmb_chain one = {.seq = 0}, other = {.seq = 0};
    (void)state;
    fill(&log);
    add(&one, &log, 1, 2);
    tmb_chain_add(&other, 1, tmb_bytes_of(log.bytes[1], RECORD_BYTES));
    tmb_chain_add(&other, 2, tmb_bytes_of(log.bytes[0], RECORD_BYTES));
    assert_false(are_same(&one, &other));
}

static void a_hole_makes_it_unknown_until_the_next_block(void **state)
{
    static log_of_records log;
    tmb_chain chain = {.seq = 0}, again = {.seq = 0};
    (void)state;
    fill(&log);
    add(&chain, &log, 1, 10);
    assert_true(chain.is_known);
    add(&chain, &log, 12, TMB_CHAIN_BLOCK);
    assert_false(chain.is_known);
    assert_int_equal(chain.seq, TMB_CHAIN_BLOCK);
    add(&chain, &log, TMB_CHAIN_BLOCK + 1, TMB_CHAIN_BLOCK + 3);
    add(&again, &log, TMB_CHAIN_BLOCK + 1, TMB_CHAIN_BLOCK + 3);
    assert_true(are_same(&chain, &again));
    tmb_chain late = {.seq = 0};
    add(&late, &log, 2, TMB_CHAIN_BLOCK);
    assert_false(late.is_known);
}

static void what_is_known_already_changes_nothing(void **state)
{
    static log_of_records log;
    tmb_chain chain = {.seq = 0};
    (void)state;
    fill(&log);
    add(&chain, &log, 1, 70);
    tmb_chain before = chain;
    add(&chain, &log, 1, 70);
    assert_memory_equal(&before, &chain, sizeof chain);
}

/* It goes over the wire and onto disks: the same for every build. */
static void the_value_is_the_one_of_the_protocol(void **state)
{
    static const uint8_t expected[TMB_CHAIN_BYTES] = {0x4f, 0x2f, 0x54, 0xd6, 0x5b, 0x24,
                                                      0xfd, 0x46, 0x01, 0x01, 0x99, 0x78,
                                                      0x3e, 0x2f, 0x67, 0x38};
    tmb_chain chain = {.seq = 0};
    (void)state;
    tmb_chain_add(&chain, 1, tmb_bytes_str("one"));
    tmb_chain_add(&chain, 2, tmb_bytes_str("two"));
    assert_memory_equal(chain.value, expected, sizeof expected);
}

static void blocks_begin_where_they_should(void **state)
{
    (void)state;
    assert_int_equal(tmb_chain_begin(1), 1);
    assert_int_equal(tmb_chain_begin(64), 1);
    assert_int_equal(tmb_chain_begin(65), 65);
    assert_int_equal(tmb_chain_begin(TMB_SEQ_MAX), TMB_SEQ_MAX - (TMB_SEQ_MAX - 1) % 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cut_gives_the_same),
        cmocka_unit_test(one_bit_is_seen_to_the_end_of_its_block),
        cmocka_unit_test(two_records_in_another_order_are_seen),
        cmocka_unit_test(a_hole_makes_it_unknown_until_the_next_block),
        cmocka_unit_test(what_is_known_already_changes_nothing),
        cmocka_unit_test(the_value_is_the_one_of_the_protocol),
        cmocka_unit_test(blocks_begin_where_they_should),
    };
    const char *seed = getenv("TMB_SEED");
    rng.state = seed ? strtoull(seed, NULL, 10) : 20261121;
    printf("seed %llu\n", (unsigned long long)rng.state);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
