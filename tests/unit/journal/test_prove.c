// SPDX-License-Identifier: Apache-2.0
/* The chain at a number, made again out of the log: over segments, behind damage and retention, and of
 * another life. */
#include "tests/unit/journal/fixture.h"

#include <stdio.h>

#include "journal/prove.h"

#define SEGMENT_BYTES 800
#define RECORDS       150u

static char root[TEST_PATH_BYTES];
static tmb_incarnation life;

static int setup(void **state)
{
    (void)state;
    fixture_make(root);
    fixture_fill(root, RECORDS, SEGMENT_BYTES);
    tmb_journal *journal = fixture_open(root, NULL, SEGMENT_BYTES);
    life = *tmb_journal_incarnation(journal);
    tmb_journal_close(journal);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(root);
    return 0;
}

static tmb_chain chain_at(uint64_t seq)
{
    tmb_chain chain = {.seq = 0};
    assert_int_equal(tmb_journal_chain(root, "data", NULL, &life, seq, &chain), TMB_OK);
    return chain;
}

/* What whoever reads all of it has at each number. */
static void it_is_the_one_of_who_reads_on(void **state)
{
    tmb_tail *tail = NULL;
    tmb_record record;
    tmb_tail_gap gap;
    tmb_chain all = {.seq = 0};
    uint8_t bytes[4096];
    size_t len = 0;
    (void)state;
    assert_true(fixture_segments(root, "data") > 3);
    assert_int_equal(tmb_tail_open(root, "data", NULL, &tail), TMB_OK);
    while (tmb_tail_next(tail, &record, &gap) == TMB_OK) {
        assert_int_equal(tmb_record_encode(&record, bytes, sizeof bytes, &len), TMB_OK);
        tmb_chain_add(&all, record.seq, tmb_bytes_of(bytes, len));
        tmb_chain again = chain_at(record.seq);
        assert_true(all.is_known && again.is_known && again.seq == record.seq);
        assert_memory_equal(again.value, all.value, sizeof all.value);
    }
    tmb_tail_close(tail);
    assert_int_equal(all.seq, RECORDS);
}

static void what_is_not_in_the_log_is_not_known(void **state)
{
    (void)state;
    assert_false(chain_at(RECORDS + 1).is_known);
    assert_false(chain_at(100000).is_known);
}

static void without_the_beginning_of_the_block_it_is_not_known(void **state)
{
    char path[TEST_PATH_BYTES];
    (void)state;
    tmb_chain second = chain_at(100);
    assert_true(fixture_oldest(root, "data", path));
    assert_int_equal(remove(path), 0);
    assert_false(chain_at(40).is_known);
    tmb_chain again = chain_at(100); /* the next block is whole */
    assert_true(again.is_known);
    assert_memory_equal(again.value, second.value, sizeof second.value);
}

static void behind_damage_it_is_not_known(void **state)
{
    static uint8_t bytes[65536];
    char path[TEST_PATH_BYTES];
    (void)state;
    assert_true(fixture_oldest(root, "data", path));
    size_t len = fixture_read(path, bytes, sizeof bytes);
    bytes[len / 2] ^= 1;
    fixture_write(path, bytes, len);
    assert_false(chain_at(50).is_known);
    assert_true(chain_at(100).is_known);
}

static void another_life_is_another_log(void **state)
{
    tmb_chain chain = {.seq = 77};
    tmb_incarnation other = life;
    (void)state;
    other.bytes[3] ^= 1;
    assert_int_equal(tmb_journal_chain(root, "data", NULL, &other, 10, &chain), TMB_ENOENT);
    assert_int_equal(tmb_journal_chain(root, "nothing", NULL, &life, 10, &chain), TMB_ENOENT);
    assert_int_equal(chain.seq, 77);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_the_one_of_who_reads_on),
        TEST(what_is_not_in_the_log_is_not_known),
        TEST(without_the_beginning_of_the_block_it_is_not_known),
        TEST(behind_damage_it_is_not_known),
        TEST(another_life_is_another_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
