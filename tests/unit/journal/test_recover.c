// SPDX-License-Identifier: Apache-2.0
/* Opening after a crash: what is cut, what is kept, which numbers are left out. */
#include "tests/unit/journal/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "journal/segment.h"

#define SEGMENT_BYTES 800

static char root[TEST_PATH_BYTES];
static char copy[TEST_PATH_BYTES];
static tmb_tail_gap findings[16];
static size_t findings_count;

static int setup(void **state)
{
    (void)state;
    fixture_make(root);
    fixture_make(copy);
    findings_count = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(root);
    fixture_remove(copy);
    return 0;
}

static void keep_finding(void *arg, const char *stream, const tmb_tail_gap *gap)
{
    (void)arg;
    (void)stream;
    if (findings_count < 16)
        findings[findings_count++] = *gap;
}

/* Opens where for writing, appends record 99, closes; gives its number and what was counted. */
static uint64_t open_and_append(const char *where, tmb_journal_counts *ret_counts)
{
    static test_port port;
    test_port_init(&port);
    tmb_journal *journal = NULL;
    tmb_journal_options options = {.root = where,
                                   .node = "s1",
                                   .files = &port.port,
                                   .segment_bytes = 100000,
                                   .found = keep_finding};
    findings_count = 0;
    assert_int_equal(tmb_journal_open(&options, &journal, NULL, 0), TMB_OK);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    uint64_t seq = fixture_append(stream, 99, 99);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    *ret_counts = *tmb_journal_counts_get(journal);
    tmb_journal_close(journal);
    return seq;
}

static void every_length_of_the_last_segment(void **state)
{
    (void)state;
    static fixture_log before, after;
    char path[TEST_PATH_BYTES], path_copy[TEST_PATH_BYTES];
    uint8_t bytes[4096];
    fixture_fill(root, 12, SEGMENT_BYTES);
    assert_true(fixture_newest(root, "data", path));
    size_t len = fixture_read(path, bytes, sizeof bytes);
    for (size_t cut = 0; cut < len; cut++) {
        tmb_journal_counts counts;
        tmb_verify_report report;
        fixture_remove(copy);
        fixture_copy(root, copy);
        assert_true(fixture_newest(copy, "data", path_copy));
        assert_int_equal(truncate(path_copy, (off_t)cut), 0);
        fixture_read_log(copy, "data", &before);
        assert_int_equal(before.err, TMB_EAGAIN);
        assert_int_equal(tmb_verify_stream(copy, "data", NULL, NULL, NULL, &report), TMB_OK);
        assert_int_equal(report.records, before.count);

        uint64_t seq = open_and_append(copy, &counts);
        fixture_read_log(copy, "data", &after);
        assert_int_equal(after.count, before.count + 1);
        assert_int_equal(after.seqs[before.count], seq);
        assert_int_equal(after.indexes[before.count], 99);
        bool is_whole = report.torn_bytes == 0 && report.damaged_bytes == 0 && cut >= 192;
        if (is_whole) {
            assert_int_equal(seq, before.count + 1);
            assert_int_equal(counts.torn_bytes + counts.damaged_bytes, 0);
            assert_int_equal(after.gaps_count, 0);
        } else {
            assert_true(seq > before.count + 1);
            assert_int_equal(findings_count, 1);
            assert_true(after.gaps_count >= 1);
            assert_int_equal(after.gaps[after.gaps_count - 1].reason,
                             cut < 192 ? TMB_GAP_DAMAGED : TMB_GAP_TORN);
        }
        if (cut >= 192 && !is_whole) {
            /* Cut for good: nothing torn is left. */
            assert_int_equal(counts.torn_bytes, report.torn_bytes);
            assert_int_equal(tmb_verify_stream(copy, "data", NULL, NULL, NULL, &report), TMB_OK);
            assert_int_equal(report.torn_bytes, 0);
        }
        /* And once more: the second opening finds all in order, and no number comes twice. */
        assert_int_equal(open_and_append(copy, &counts), seq + 1);
        assert_int_equal(counts.torn_bytes + counts.damaged_ranges, 0);
    }
}

static void zeros_at_the_end_are_torn(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES];
    uint8_t bytes[8192];
    for (size_t zeros = 1; zeros < 3000; zeros += 97) {
        static fixture_log log;
        tmb_journal_counts counts;
        fixture_remove(copy);
        fixture_fill(copy, 5, 0);
        assert_true(fixture_newest(copy, "data", path));
        memset(bytes, 0, sizeof bytes);
        size_t len = fixture_read(path, bytes, sizeof bytes);
        fixture_write(path, bytes, len + zeros);
        fixture_read_log(copy, "data", &log);
        assert_int_equal(log.gaps_count, 0);
        uint64_t seq = open_and_append(copy, &counts);
        assert_int_equal(counts.torn_bytes, zeros);
        assert_int_equal(counts.damaged_ranges, 0);
        assert_int_equal(seq, 5 + zeros / TMB_RECORD_BYTES_MIN + 2);
        fixture_read_log(copy, "data", &log);
        assert_int_equal(log.count, 6);
        assert_int_equal(log.gaps_count, 1);
        assert_int_equal(log.gaps[0].reason, TMB_GAP_TORN);
    }
}

/* Offset of record number n of a segment file. */
static size_t offset_of(const uint8_t *bytes, size_t len, size_t n)
{
    size_t at = TMB_SEGMENT_HEADER_BYTES;
    for (size_t i = 1; i < n; i++) {
        tmb_record record;
        size_t size;
        assert_int_equal(tmb_record_decode(tmb_bytes_of(bytes + at, len - at), &record, &size),
                         TMB_OK);
        at += size;
    }
    return at;
}

static void damage_in_the_middle_is_named_and_kept(void **state)
{
    (void)state;
    static fixture_log log;
    char path[TEST_PATH_BYTES], kept[2 * TEST_PATH_BYTES];
    uint8_t bytes[8192], quarantined[8192];
    tmb_journal_counts counts;
    fixture_fill(root, 20, 0);
    assert_true(fixture_newest(root, "data", path));
    size_t len = fixture_read(path, bytes, sizeof bytes);
    size_t from = offset_of(bytes, len, 8), to = offset_of(bytes, len, 10);
    memset(bytes + from, 0xee, to - from); /* records 8 and 9 */
    fixture_write(path, bytes, len);

    fixture_read_log(root, "data", &log);
    assert_int_equal(log.count, 18);
    assert_int_equal(log.gaps_count, 1);
    assert_int_equal(log.gaps[0].first_seq, 8);
    assert_int_equal(log.gaps[0].last_seq, 9);
    assert_int_equal(log.gaps[0].reason, TMB_GAP_DAMAGED);
    assert_int_equal(log.gaps[0].offset, from);
    assert_int_equal(log.gaps[0].bytes, to - from);

    assert_int_equal(open_and_append(root, &counts), 21);
    assert_int_equal(counts.damaged_ranges, 1);
    assert_int_equal(counts.damaged_bytes, to - from);
    assert_int_equal(findings_count, 1);
    assert_int_equal(findings[0].first_seq, 8);
    assert_int_equal(findings[0].last_seq, 9);
    assert_int_equal(findings[0].reason, TMB_GAP_DAMAGED);
    assert_int_equal(findings[0].offset, from);
    assert_int_equal(findings[0].bytes, to - from);
    snprintf(kept, sizeof kept, "%s/data/quarantine/%s-%zu.bin", root, findings[0].file, from);
    assert_int_equal(fixture_read(kept, quarantined, sizeof quarantined), to - from);
    assert_memory_equal(quarantined, bytes + from, to - from);
    /* The segment is as it was, and the log goes on in another. */
    assert_int_equal(fixture_read(path, quarantined, sizeof quarantined), len);
    assert_memory_equal(quarantined, bytes, len);
    assert_int_equal(fixture_segments(root, "data"), 2);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.count, 19);
}

static void a_payload_that_looks_like_a_record_is_not_one(void **state)
{
    (void)state;
    static fixture_log log;
    char path[TEST_PATH_BYTES];
    uint8_t inner[512], bytes[4096];
    size_t inner_len = 0;
    uint64_t seq;
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    tmb_record record = fixture_record(50);
    record.seq = 5;
    record.stamp.u64 = UINT64_MAX / 2;
    assert_int_equal(tmb_record_encode(&record, inner, sizeof inner, &inner_len), TMB_OK);
    record = fixture_record(4);
    memset(inner + inner_len, 'x', 50);
    record.payload = tmb_bytes_of(inner, inner_len + 50);
    assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){1}, &seq), TMB_OK);
    tmb_journal_close(journal);
    /* The write was cut short inside the payload, behind what looks like record 5. */
    assert_true(fixture_newest(root, "data", path));
    size_t len = fixture_read(path, bytes, sizeof bytes);
    assert_int_equal(truncate(path, (off_t)(len - 10)), 0);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.err, TMB_EAGAIN);
    assert_int_equal(log.count, 3);
    assert_int_equal(log.gaps_count, 0);
}

static void stamps_and_numbers_go_on_when_the_newest_segment_is_lost(void **state)
{
    (void)state;
    static fixture_log log;
    char path[TEST_PATH_BYTES];
    tmb_journal_counts counts;
    tmb_tail *tail;
    tmb_record record;
    tmb_tail_gap gap;
    fixture_fill(root, 12, SEGMENT_BYTES);
    assert_true(fixture_newest(root, "data", path));
    uint8_t junk[700];
    memset(junk, 0xaa, sizeof junk);
    fixture_write(path, junk, sizeof junk);
    uint64_t seq = open_and_append(root, &counts);
    assert_true(seq > 12);
    assert_true(counts.damaged_ranges > 0);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.seqs[log.count - 1], seq);
    uint64_t stamp = 0;
    assert_int_equal(tmb_tail_open(root, "data", NULL, &tail), TMB_OK);
    for (tmb_err err; (err = tmb_tail_next(tail, &record, &gap)) != TMB_EAGAIN;) {
        if (err == TMB_OK) {
            assert_true(record.stamp.u64 > stamp);
            stamp = record.stamp.u64;
        }
    }
    tmb_tail_close(tail);
}

static void a_lost_identity_is_read_from_a_segment(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES + 32];
    uint8_t before[512], after[512];
    tmb_journal_counts counts;
    fixture_fill(root, 3, 0);
    snprintf(path, sizeof path, "%s/identity", root);
    size_t len = fixture_read(path, before, sizeof before);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(open_and_append(root, &counts), 4);
    assert_int_equal(counts.damaged_ranges, 1);
    assert_int_equal(fixture_read(path, after, sizeof after), len);
    assert_memory_equal(before, after, len);
    fixture_write(path, before, len - 1);
    assert_int_equal(open_and_append(root, &counts), 5);
    assert_int_equal(counts.damaged_ranges, 1);
    snprintf(path, sizeof path, "%s/identity.damaged", root);
    assert_int_equal(fixture_read(path, after, sizeof after), len - 1);
}

/* A folder that cannot be listed may hold a journal: no new one is begun over it. */
static void what_cannot_be_listed_is_not_a_new_journal(void **state)
{
    (void)state;
    static const int errors[] = {EIO, EACCES};
    char path[TEST_PATH_BYTES + 16];
    fixture_fill(root, 3, SEGMENT_BYTES);
    snprintf(path, sizeof path, "%s/identity", root);
    assert_int_equal(unlink(path), 0);
    for (unsigned at = 1; at <= 2; at++) { /* of the root, of the stream */
        for (size_t i = 0; i < 2; i++) {
            static test_port port;
            tmb_journal *journal = NULL;
            test_port_init(&port);
            port.fail_op = TEST_OP_LIST;
            port.fail_at = at;
            port.error = errors[i];
            tmb_journal_options options = {
                .root = root, .node = "s1", .files = &port.port, .fresh_incarnation = {{1}}};
            assert_int_equal(tmb_journal_open(&options, &journal, NULL, 0),
                             errors[i] == EIO ? TMB_EIO : TMB_EDENIED);
            assert_true(port.failed);
            assert_int_equal(access(path, F_OK), -1);
        }
    }
    tmb_journal *journal = fixture_open(root, NULL, SEGMENT_BYTES);
    assert_int_equal(tmb_journal_incarnation(journal)->bytes[0], 7);
    tmb_journal_close(journal);
}

static void an_identity_that_nobody_knows_is_an_error(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES + 32], text[512];
    tmb_journal *journal = NULL;
    tmb_journal_options options = {.root = root, .node = "s1"};
    snprintf(path, sizeof path, "%s/identity", root);
    fixture_write(path, (const uint8_t *)"tombolo-journal 1\n", 18);
    assert_int_equal(tmb_journal_open(&options, &journal, text, sizeof text), TMB_ECORRUPT);
    assert_non_null(strstr(text, "identity"));
    assert_null(journal);
}

static void a_newer_format_is_told_from_damage(void **state)
{
    (void)state;
    static fixture_log log;
    char path[TEST_PATH_BYTES], text[512] = "";
    uint8_t bytes[8192];
    fixture_fill(root, 5, 0);
    assert_true(fixture_newest(root, "data", path));
    size_t len = fixture_read(path, bytes, sizeof bytes);
    bytes[8] = 2;
    uint32_t crc = tmb_crc32c(0, tmb_bytes_of(bytes, 12));
    crc = tmb_crc32c(crc, tmb_bytes_of(bytes + 16, 192 - 16));
    tmb_writer w = tmb_writer_of(bytes + 12, 4);
    tmb_put_u32(&w, crc);
    fixture_write(path, bytes, len);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.err, TMB_EVERSION);
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = NULL;
    assert_int_equal(tmb_journal_stream_open(journal, "data", &stream, text, sizeof text),
                     TMB_EVERSION);
    assert_non_null(strstr(text, ".seg"));
    tmb_journal_close(journal);
}

/* ---- stamps and numbers after a reopen --------------------------------------------------------------- */

static tmb_hlc last_stamp(const char *where, const char *stream)
{
    tmb_tail *tail = NULL;
    tmb_record record;
    tmb_tail_gap gap;
    tmb_hlc last = {0};
    assert_int_equal(tmb_tail_open(where, stream, NULL, &tail), TMB_OK);
    for (;;) {
        tmb_err err = tmb_tail_next(tail, &record, &gap);
        if (err == TMB_OK)
            last = record.stamp;
        else if (err != TMB_EGAP)
            break;
    }
    tmb_tail_close(tail);
    return last;
}

static void append_at(tmb_journal_stream *stream, int64_t date_ms)
{
    uint64_t seq;
    tmb_record record = fixture_record(1);
    assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){date_ms}, &seq), TMB_OK);
}

/* The segment was begun at 1000 s, its record is of 9000 s, and the clock then says 5000 s. */
static void stamps_go_on_above_the_last_record(void **state)
{
    (void)state;
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    append_at(stream, 1000000);
    append_at(stream, 9000000);
    tmb_journal_close(journal);
    tmb_hlc before = last_stamp(root, "data");
    assert_int_equal(tmb_hlc_wall(before).ms, 9000000);

    journal = fixture_open(root, NULL, 0);
    stream = fixture_stream(journal, "data");
    append_at(stream, 5000000);
    tmb_journal_close(journal);
    assert_true(last_stamp(root, "data").u64 > before.u64);
}

/* The newest segment says nothing any more: the last record of the one before it does. And the stamp is that
 * of all streams. */
static void stamps_go_on_above_an_older_segment_and_another_stream(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES];
    tmb_journal *journal = fixture_open(root, NULL, 600);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    append_at(stream, 1000000);
    append_at(stream, 9000000);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    tmb_hlc before = last_stamp(root, "data");
    while (fixture_segments(root, "data") < 2) {
        before = last_stamp(root, "data");
        append_at(stream, 9000000);
        assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    }
    tmb_journal_close(journal);
    assert_true(fixture_newest(root, "data", path));
    assert_int_equal(truncate(path, 100), 0);

    journal = fixture_open(root, NULL, 100000);
    stream = fixture_stream(journal, "data");
    append_at(stream, 5000000);
    append_at(fixture_stream(journal, "other"), 5000000);
    tmb_journal_close(journal);
    assert_true(last_stamp(root, "data").u64 > before.u64);
    assert_true(last_stamp(root, "other").u64 > last_stamp(root, "data").u64);
}

/* kill -9, the next life finds what the kernel kept, gives out its numbers, and then the power goes. */
static void what_is_found_is_safe_before_numbers_follow_it(void **state)
{
    (void)state;
    static test_port port;
    static fixture_log log;
    tmb_rng rng = {fixture_seed()};
    for (unsigned round = 0; round < 10; round++) {
        fixture_remove(root);
        fixture_make(root);
        test_port_init(&port);
        tmb_journal *journal = fixture_open(root, &port.port, 0);
        tmb_journal_stream *stream = fixture_stream(journal, "data");
        fixture_append(stream, 1, 5);
        assert_int_equal(tmb_journal_flush(stream), TMB_OK);
        port.is_dead = true;
        tmb_journal_close(journal);
        port.is_dead = false;

        journal = fixture_open(root, &port.port, 0);
        stream = fixture_stream(journal, "data");
        assert_int_equal(tmb_journal_last_seq(stream), 5);
        assert_int_equal(tmb_journal_sync(stream), TMB_OK);
        test_port_lose_power(&port, &rng);
        port.is_dead = true;
        tmb_journal_close(journal);
        fixture_read_log(root, "data", &log);
        assert_int_equal(log.count, 5);
        assert_int_equal(log.gaps_count, 0);
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(every_length_of_the_last_segment),
        CASE(zeros_at_the_end_are_torn),
        CASE(damage_in_the_middle_is_named_and_kept),
        CASE(a_payload_that_looks_like_a_record_is_not_one),
        CASE(stamps_and_numbers_go_on_when_the_newest_segment_is_lost),
        CASE(a_lost_identity_is_read_from_a_segment),
        CASE(what_cannot_be_listed_is_not_a_new_journal),
        CASE(an_identity_that_nobody_knows_is_an_error),
        CASE(a_newer_format_is_told_from_damage),
        CASE(stamps_go_on_above_the_last_record),
        CASE(stamps_go_on_above_an_older_segment_and_another_stream),
        CASE(what_is_found_is_safe_before_numbers_follow_it),
    };
    return cmocka_run_group_tests_name("journal.recover", tests, NULL, NULL);
}
