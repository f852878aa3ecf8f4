// SPDX-License-Identifier: Apache-2.0
/* A flipped bit in each byte of a small journal: noticed, named, and nothing else changed by it. */
#include "tests/unit/journal/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/identity.h"

#define RECORDS       12
#define SEGMENT_BYTES 800

static char root[TEST_PATH_BYTES];
static char copy[TEST_PATH_BYTES];

static int setup(void **state)
{
    (void)state;
    fixture_make(root);
    fixture_make(copy);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(root);
    fixture_remove(copy);
    return 0;
}

static void count_finding(void *arg, const tmb_tail_gap *gap)
{
    (void)gap;
    ++*(unsigned *)arg;
}

/* Whether verify says anything at all. */
static bool verify_notices(const char *where)
{
    tmb_verify_report report = {0};
    unsigned findings = 0;
    tmb_err err = tmb_verify_stream(where, "data", NULL, count_finding, &findings, &report);
    if (err == TMB_OK && findings > 0)
        assert_true(report.gaps == findings && report.damaged_bytes + report.torn_bytes > 0);
    return err != TMB_OK || findings > 0 || report.torn_bytes > 0;
}

static void a_good_journal_has_no_findings(void **state)
{
    (void)state;
    tmb_verify_report report = {0};
    tmb_identity identity;
    unsigned findings = 0;
    fixture_fill(root, RECORDS, SEGMENT_BYTES);
    assert_int_equal(tmb_verify_stream(root, "data", NULL, count_finding, &findings, &report),
                     TMB_OK);
    assert_int_equal(findings, 0);
    assert_int_equal(report.records, RECORDS);
    assert_int_equal(report.first_seq, 1);
    assert_int_equal(report.last_seq, RECORDS);
    assert_int_equal(report.segments, fixture_segments(root, "data"));
    assert_int_equal(report.damaged_bytes + report.torn_bytes + report.gaps, 0);
    assert_int_equal(tmb_verify_identity(root, NULL, &identity), TMB_OK);
    assert_string_equal(identity.node, "s1");
    assert_int_equal(tmb_verify_stream(root, "none", NULL, NULL, NULL, &report), TMB_ENOENT);
}

/* What the tail read must be a part of what was written, in its place. */
static void check_log(const fixture_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        if (log->seqs[i] > RECORDS) /* added after the damage */
            assert_int_equal(log->indexes[i], 99);
        else
            assert_int_equal(log->indexes[i], log->seqs[i]);
    }
}

static bool tail_notices(const char *where)
{
    static fixture_log log;
    fixture_read_log(where, "data", &log);
    check_log(&log);
    return log.gaps_count > 0 || log.err != TMB_EAGAIN;
}

/* Opens the damaged copy for writing, appends one record, and reads all again. */
static bool writer_notices(const char *where)
{
    static test_port port; /* without real syncs: thousands of openings */
    test_port_init(&port);
    tmb_journal *journal = NULL;
    tmb_journal_stream *stream = NULL;
    tmb_journal_options options = {.root = where,
                                   .node = "s1",
                                   .files = &port.port,
                                   .segment_bytes = SEGMENT_BYTES,
                                   .fresh_incarnation = {{1}}};
    if (tmb_journal_open(&options, &journal, NULL, 0))
        return true;
    assert_int_equal(tmb_journal_incarnation(journal)->bytes[0], 7);
    tmb_err err = tmb_journal_stream_open(journal, "data", &stream, NULL, 0);
    const tmb_journal_counts *counts = tmb_journal_counts_get(journal);
    bool noticed = err != TMB_OK || counts->damaged_ranges > 0 || counts->torn_bytes > 0;
    if (!err) {
        static fixture_log log;
        uint64_t seq = fixture_append(stream, 99, 99);
        assert_int_equal(tmb_journal_sync(stream), TMB_OK);
        assert_true(seq > RECORDS);
        fixture_read_log(where, "data", &log);
        assert_int_equal(log.seqs[log.count - 1], seq);
        check_log(&log);
        assert_true(log.count >= RECORDS); /* at most one record is lost to one bit */
    }
    tmb_journal_close(journal);
    return noticed;
}

static void flip(const char *path, uint8_t *bytes, size_t len, size_t at, unsigned bit)
{
    bytes[at] ^= (uint8_t)(1u << bit);
    fixture_write(path, bytes, len);
}

static void every_flip_in_a_segment_is_noticed(const char *path, bool is_newest)
{
    uint8_t bytes[4096];
    size_t len = fixture_read(path, bytes, sizeof bytes);
    assert_true(len > 192 && len < sizeof bytes);
    for (size_t at = 0; at < len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            flip(path, bytes, len, at, bit);
            if (!verify_notices(root))
                fail_msg("verify: byte %zu bit %u", at, bit);
            if (!tail_notices(root))
                fail_msg("tail: byte %zu bit %u", at, bit);
            if (is_newest) {
                fixture_remove(copy);
                fixture_copy(root, copy);
                if (!writer_notices(copy))
                    fail_msg("writer: byte %zu bit %u", at, bit);
                if (!verify_notices(copy) || !tail_notices(copy))
                    fail_msg("after the writer: byte %zu bit %u", at, bit);
            }
            flip(path, bytes, len, at, bit);
        }
    }
}

static void every_flip_in_an_old_segment(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES];
    fixture_fill(root, RECORDS, SEGMENT_BYTES);
    assert_true(fixture_segments(root, "data") >= 3);
    assert_true(fixture_oldest(root, "data", path));
    every_flip_in_a_segment_is_noticed(path, false);
}

static void every_flip_in_the_newest_segment(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES];
    fixture_fill(root, RECORDS, SEGMENT_BYTES);
    assert_true(fixture_newest(root, "data", path));
    every_flip_in_a_segment_is_noticed(path, true);
}

static void every_flip_in_the_identity(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES + 16];
    uint8_t bytes[512];
    fixture_fill(root, RECORDS, SEGMENT_BYTES);
    snprintf(path, sizeof path, "%s/identity", root);
    size_t len = fixture_read(path, bytes, sizeof bytes);
    for (size_t at = 0; at < len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            tmb_identity identity;
            flip(path, bytes, len, at, bit);
            assert_int_not_equal(tmb_verify_identity(root, NULL, &identity), TMB_OK);
            fixture_remove(copy);
            fixture_copy(root, copy);
            if (!writer_notices(copy))
                fail_msg("identity: byte %zu bit %u", at, bit);
            flip(path, bytes, len, at, bit);
        }
    }
}

typedef struct findings {
    unsigned unreadable, others;
    char file[64];
} findings;

static void keep_finding(void *arg, const tmb_tail_gap *gap)
{
    findings *f = arg;
    f->unreadable += gap->reason == TMB_GAP_NONE;
    f->others += gap->reason != TMB_GAP_NONE;
    if (gap->reason == TMB_GAP_NONE)
        memcpy(f->file, gap->file, sizeof f->file);
}

/* Each call of each kind fails once: it is an error, and no record is silently left out. */
static void what_cannot_be_read_is_never_empty(void **state)
{
    (void)state;
    static const int ops[] = {TEST_OP_OPEN, TEST_OP_PREAD, TEST_OP_LIST};
    static const int errors[] = {EIO, EACCES};
    fixture_fill(root, RECORDS, SEGMENT_BYTES);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0] * 2; i++) {
        for (unsigned at = 1;; at++) {
            test_port port;
            findings f = {0, 0, ""};
            tmb_verify_report report = {0};
            test_port_init(&port);
            port.fail_op = ops[i / 2];
            port.fail_at = at;
            port.error = errors[i % 2];
            tmb_err err = tmb_verify_stream(root, "data", &port.port, keep_finding, &f, &report);
            if (!port.failed) {
                assert_true(at > 1);
                assert_int_equal(err, TMB_OK);
                break;
            }
            if (err == TMB_OK) { /* the size of a file was not to be had: nothing else */
                assert_int_equal(report.records, RECORDS);
                assert_int_equal(f.unreadable + f.others, 0);
            } else {
                assert_int_equal(err, errors[i % 2] == EIO ? TMB_EIO : TMB_EDENIED);
                assert_int_equal(report.records, 0);
                assert_int_equal(f.others, 0);
            }
        }
    }
}

/* A folder in the place of one segment: named, and damage behind it is found all the same. */
static void a_segment_that_cannot_be_read_hides_nothing(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES], newest[TEST_PATH_BYTES];
    uint8_t bytes[4096];
    tmb_verify_report report = {0};
    findings f = {0, 0, ""};
    fixture_fill(root, RECORDS, SEGMENT_BYTES);
    assert_true(fixture_segments(root, "data") >= 3);
    assert_true(fixture_oldest(root, "data", path) && fixture_newest(root, "data", newest));
    size_t len = fixture_read(newest, bytes, sizeof bytes);
    flip(newest, bytes, len, 200, 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(tmb_verify_stream(root, "data", NULL, keep_finding, &f, &report), TMB_EIO);
    assert_int_equal(f.unreadable, 1);
    assert_non_null(strstr(path, f.file));
    assert_int_equal(f.others, 1);
    assert_int_equal(rmdir(path), 0);
}

/* A name behind which there is nothing, in the middle and at the end: named, and all else is read. */
static void a_name_without_a_file_is_named(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES + 64];
    tmb_verify_report report = {0};
    for (unsigned at_end = 0; at_end < 2; at_end++) {
        findings f = {0, 0, ""};
        fixture_remove(root);
        fixture_make(root);
        fixture_fill(root, RECORDS, SEGMENT_BYTES);
        if (at_end)
            snprintf(path, sizeof path, "%s/data/00000000000000088888.seg", root);
        else
            assert_true(fixture_oldest(root, "data", path) && unlink(path) == 0);
        assert_int_equal(symlink("/nonexist", path), 0);
        assert_int_equal(tmb_verify_stream(root, "data", NULL, keep_finding, &f, &report), TMB_EIO);
        assert_int_equal(f.unreadable, 1);
        assert_non_null(strstr(path, f.file));
        assert_int_equal(f.others, 0);
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_good_journal_has_no_findings),     CASE(every_flip_in_an_old_segment),
        CASE(every_flip_in_the_newest_segment),   CASE(every_flip_in_the_identity),
        CASE(what_cannot_be_read_is_never_empty), CASE(a_segment_that_cannot_be_read_hides_nothing),
        CASE(a_name_without_a_file_is_named),
    };
    return cmocka_run_group_tests_name("journal.verify", tests, NULL, NULL);
}
