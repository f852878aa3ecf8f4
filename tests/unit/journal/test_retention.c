// SPDX-License-Identifier: Apache-2.0
/* Dropping whole segments, and readers that it passes. */
#include "tests/unit/journal/fixture.h"

#include <string.h>

#define SEGMENT_BYTES 800

static char root[TEST_PATH_BYTES];
static tmb_journal *journal;
static tmb_journal_stream *stream;

static int setup(void **state)
{
    (void)state;
    fixture_make(root);
    journal = fixture_open(root, NULL, SEGMENT_BYTES);
    stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 60);
    return tmb_journal_sync(stream);
}

static int teardown(void **state)
{
    (void)state;
    tmb_journal_close(journal);
    fixture_remove(root);
    return 0;
}

/* Reads the first thing that a fresh reader is told. */
static uint64_t first_gap(tmb_tail_gap *gap)
{
    tmb_tail *tail = NULL;
    tmb_record record = {.seq = 0};
    assert_int_equal(tmb_tail_open(root, "data", NULL, &tail), TMB_OK);
    assert_int_equal(tmb_tail_next(tail, &record, gap), TMB_EGAP);
    assert_int_equal(tmb_tail_next(tail, &record, &(tmb_tail_gap){0}), TMB_OK);
    tmb_tail_close(tail);
    return record.seq;
}

static void by_bytes(void **state)
{
    (void)state;
    tmb_retention rule = {.bytes_max = 3000};
    tmb_tail_gap gap;
    size_t before = fixture_segments(root, "data");
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_wall){0}), TMB_OK);
    size_t after = fixture_segments(root, "data");
    const tmb_journal_counts *counts = tmb_journal_counts_get(journal);
    tmb_verify_report report;
    assert_int_equal(tmb_verify_stream(root, "data", NULL, NULL, NULL, &report), TMB_OK);
    assert_true(report.bytes <= 3000 && report.bytes > 3000 - SEGMENT_BYTES);
    assert_int_equal(counts->dropped_segments, before - after);
    uint64_t first = first_gap(&gap);
    assert_int_equal(gap.first_seq, 1);
    assert_int_equal(gap.last_seq, first - 1);
    assert_int_equal(gap.reason, TMB_GAP_RETENTION);
    assert_int_equal(counts->dropped_records, first - 1);
}

static void never_what_must_be_kept(void **state)
{
    (void)state;
    tmb_retention rule = {.bytes_max = 1};
    tmb_tail_gap gap;
    size_t before = fixture_segments(root, "data");
    assert_int_equal(tmb_journal_retain(stream, &rule, 1, (tmb_wall){0}), TMB_OK);
    assert_int_equal(fixture_segments(root, "data"), before);
    assert_int_equal(tmb_journal_retain(stream, &rule, 30, (tmb_wall){0}), TMB_OK);
    assert_true(first_gap(&gap) <= 30);
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_wall){0}), TMB_OK);
    assert_int_equal(fixture_segments(root, "data"), 1);
}

static void by_age(void **state)
{
    (void)state;
    /* Record i is stamped 1700000000000 + i * 1000: those before 40 are older than 20.5 s at 60.5. */
    tmb_retention rule = {.age_ms_max = 20500};
    tmb_tail_gap gap;
    tmb_wall now = {INT64_C(1700000000000) + 60500};
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, now), TMB_OK);
    uint64_t first = first_gap(&gap);
    assert_true(first <= 40 && first > 30);
}

static void no_rule_drops_nothing(void **state)
{
    (void)state;
    tmb_retention rule = {0, 0};
    size_t before = fixture_segments(root, "data");
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_wall){INT64_MAX}), TMB_OK);
    assert_int_equal(fixture_segments(root, "data"), before);
}

static void it_passes_a_reader(void **state)
{
    (void)state;
    tmb_tail *tail = NULL;
    tmb_record record;
    tmb_tail_gap gap;
    tmb_retention rule = {.bytes_max = 1};
    assert_int_equal(tmb_tail_open(root, "data", NULL, &tail), TMB_OK);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_OK);
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_wall){0}), TMB_OK);
    /* It has the first file open and reads it to its end; behind that, it is told. */
    uint64_t last = record.seq;
    tmb_err err;
    while ((err = tmb_tail_next(tail, &record, &gap)) == TMB_OK)
        assert_int_equal(record.seq, ++last);
    assert_int_equal(err, TMB_EGAP);
    assert_int_equal(gap.first_seq, last + 1);
    assert_int_equal(gap.reason, TMB_GAP_RETENTION);
    assert_int_equal(tmb_tail_next(tail, &record, &(tmb_tail_gap){0}), TMB_OK);
    assert_int_equal(record.seq, gap.last_seq + 1);
    assert_true(fixture_is(&record, record.seq));
    /* A seek into what is gone tells from where it asked. */
    assert_int_equal(tmb_tail_seek(tail, 5), TMB_OK);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_EGAP);
    assert_int_equal(gap.first_seq, 5);
    assert_int_equal(gap.reason, TMB_GAP_RETENTION);
    uint64_t first, newest;
    tmb_incarnation incarnation;
    assert_int_equal(tmb_tail_range(tail, &first, &newest, &incarnation), TMB_OK);
    assert_int_equal(first, gap.last_seq + 1);
    assert_int_equal(newest, 60);
    tmb_tail_close(tail);
}

static void numbers_go_on_after_all_was_dropped(void **state)
{
    (void)state;
    tmb_retention rule = {.bytes_max = 1};
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_wall){0}), TMB_OK);
    tmb_journal_close(journal);
    journal = fixture_open(root, NULL, SEGMENT_BYTES);
    stream = fixture_stream(journal, "data");
    assert_int_equal(fixture_append(stream, 61, 61), 61);
    /* What was dropped before is known again after opening. */
    fixture_append(stream, 62, 90);
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_wall){0}), TMB_OK);
    assert_int_equal(fixture_segments(root, "data"), 1);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(by_bytes),
        CASE(never_what_must_be_kept),
        CASE(by_age),
        CASE(no_rule_drops_nothing),
        CASE(it_passes_a_reader),
        CASE(numbers_go_on_after_all_was_dropped),
    };
    return cmocka_run_group_tests_name("journal.retention", tests, NULL, NULL);
}
