// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_loader.c - batches out of a real journal: sizes, order, gaps, a log that grows, one
 * that was replaced.
 */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "syncd/daemon/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/journal.h"
#include "proto/batch.h"

#define STREAM "default"

static char root[64];
static const tmb_incarnation LIFE = {{4, 5, 6}};
static tmb_journal *journal;
static tmb_journal_stream *stream;
static tmb_loader *loader;

/* The loader's own files: their syncs counted, and a call that fails. */
static struct {
    unsigned syncs, reads;
    bool is_sync_failing;
    unsigned sync_failing, read_failing; /* this one, from 1; 0: none */
} files;

static int sync_file(void *context, int fd)
{
    (void)context;
    (void)fd;
    files.syncs++;
    return files.is_sync_failing || files.syncs == files.sync_failing ? -EIO : 0;
}

static ssize_t read_file(void *context, int fd, void *bytes, size_t len, off_t offset)
{
    const tmb_file_port *real = tmb_file_port_posix();
    files.reads++;
    return files.reads == files.read_failing ? -EIO : real->pread(context, fd, bytes, len, offset);
}

static void open_journal(const tmb_incarnation *life)
{
    char text[200] = "";
    tmb_journal_options options = {
        .root = root, .node = "s1", .segment_bytes = 4096, .fresh_incarnation = *life};
    assert_int_equal(tmb_journal_open(&options, &journal, text, sizeof text), TMB_OK);
    assert_int_equal(tmb_journal_stream_open(journal, STREAM, &stream, text, sizeof text), TMB_OK);
}

static void close_journal(void)
{
    tmb_journal_close(journal);
    journal = NULL;
}

static int begin(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/tmb-loader-XXXXXX");
    assert_non_null(mkdtemp(root));
    open_journal(&LIFE);
    static tmb_file_port port;
    memset(&files, 0, sizeof files);
    port = *tmb_file_port_posix();
    port.sync = sync_file;
    port.pread = read_file;
    assert_int_equal(tmb_loader_open(root, NULL, STREAM, STREAM, &port, &loader), TMB_OK);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    char command[96];
    tmb_loader_close(loader);
    close_journal();
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void append(unsigned count, size_t payload_bytes)
{
    uint8_t *payload = calloc(1, payload_bytes + 1);
    assert_non_null(payload);
    for (unsigned i = 0; i < count; i++) {
        uint64_t seq = 0;
        tmb_record r = {.qos = 1,
                        .topic = tmb_bytes_str("a/b"),
                        .payload = tmb_bytes_of(payload, payload_bytes)};
        tmb_wall now = {1000000 + (int64_t)i};
        assert_int_equal(tmb_journal_append(stream, &r, now, &seq), TMB_OK);
    }
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    free(payload);
}

static tmb_load *load(uint64_t seq, uint32_t bytes_max)
{
    tmb_load *l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->seq = seq;
    l->incarnation = LIFE;
    l->bytes_max = bytes_max;
    tmb_loader_read(loader, l);
    return l;
}

/* The batch must unpack to exactly its numbers, as at the parent. */
static void expect(uint64_t seq, uint32_t bytes_max, uint64_t first, uint64_t last,
                   uint64_t gap_first)
{
    tmb_load *l = load(seq, bytes_max);
    assert_int_equal(l->err, TMB_OK);
    assert_int_equal(l->batch.first_seq, first);
    assert_int_equal(l->batch.last_seq, last);
    assert_int_equal(l->batch.gap_first, gap_first);
    if (first <= last) {
        tmb_bytes raw;
        uint8_t *out = malloc(l->batch.raw_bytes + 1u);
        assert_non_null(out);
        assert_int_equal(tmb_batch_unpack(&l->batch, out, l->batch.raw_bytes, &raw), TMB_OK);
        assert_int_not_equal(l->first_stamp.u64, 0);
        free(out);
    }
    tmb_load_free(l);
}

static void test_batches_follow_each_other(void **state)
{
    (void)state;
    append(100, 50);
    tmb_load *l = load(1, 1000);
    assert_int_equal(l->err, TMB_OK);
    assert_int_equal(l->batch.first_seq, 1);
    assert_true(l->batch.last_seq > 3 && l->batch.last_seq < 20);
    assert_true(l->batch.raw_bytes <= 1000);
    uint64_t next = l->batch.last_seq + 1;
    tmb_load_free(l);
    while (next <= 100) {
        l = load(next, 1000);
        assert_int_equal(l->batch.first_seq, next);
        assert_true(l->batch.last_seq >= next);
        next = l->batch.last_seq + 1;
        tmb_load_free(l);
    }
    expect(101, 1000, 101, 100, 0);
    append(2, 50);
    expect(101, 1000, 101, 102, 0);
    expect(40, 64 * 1024, 40, 102, 0); /* back, for a resend */
}

static void test_a_large_record_travels_alone(void **state)
{
    (void)state;
    append(1, 10);
    append(1, 50000);
    append(1, 10);
    expect(1, 1000, 1, 1, 0);
    expect(2, 1000, 2, 2, 0);
    expect(3, 1000, 3, 3, 0);
}

static void test_no_more_records_than_a_batch_may_have(void **state)
{
    (void)state;
    append(TMB_BATCH_RECORDS_MAX + 10, 0);
    expect(1, 16 * 1024 * 1024, 1, TMB_BATCH_RECORDS_MAX, 0);
    expect(TMB_BATCH_RECORDS_MAX + 1, 16 * 1024 * 1024, TMB_BATCH_RECORDS_MAX + 1,
           TMB_BATCH_RECORDS_MAX + 10, 0);
}

static void test_nothing_yet(void **state)
{
    (void)state;
    tmb_load *l = load(1, 1000);
    assert_true(l->err == TMB_ENOENT ||
                (l->err == TMB_OK && l->batch.first_seq == 1 && l->batch.last_seq == 0));
    tmb_load_free(l);
    append(1, 10);
    expect(1, 1000, 1, 1, 0);
}

/* Retention drops the oldest segments: what is missing is told in front of what is still there. */
static void test_retention_is_told_as_a_gap(void **state)
{
    (void)state;
    append(300, 100);
    tmb_retention rule = {.bytes_max = 8000};
    tmb_wall now = {2000000};
    assert_int_equal(tmb_journal_retain(stream, &rule, 301, (tmb_mono){0}, now), TMB_OK);
    tmb_load *l = load(2, 100000);
    assert_int_equal(l->err, TMB_OK);
    assert_int_equal(l->batch.gap_first, 2);
    assert_int_equal(l->batch.gap_reason, TMB_GAP_RETENTION);
    assert_true(l->batch.first_seq > 2);
    assert_int_equal(l->batch.last_seq, 300);
    tmb_load_free(l);
}

/* Flips a bit in the middle of the first segment. */
static void harm_the_log(void)
{
    char file[160];
    (void)snprintf(file, sizeof file, "%s/%s/%020u.seg", root, STREAM, 1u);
    int fd = open(file, O_RDWR);
    assert_true(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    uint8_t byte = 0;
    assert_int_equal(pread(fd, &byte, 1, size / 2), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, size / 2), 1);
    assert_int_equal(close(fd), 0);
}

/* What was promised to nobody does not hide what was lost beside it. */
static void test_a_loss_behind_a_torn_write_is_told(void **state)
{
    (void)state;
    const tmb_wall now = {1000000};
    append(2, 10);
    assert_int_equal(tmb_journal_skip(stream, 4, TMB_GAP_TORN, now), TMB_OK);
    assert_int_equal(tmb_journal_skip(stream, 9, TMB_GAP_MISSING, now), TMB_OK);
    assert_int_equal(tmb_journal_skip(stream, 11, TMB_GAP_TORN, now), TMB_OK);
    append(1, 10);
    tmb_load *l = load(3, 4096);
    assert_int_equal(l->err, TMB_OK);
    assert_int_equal(l->batch.gap_first, 3);
    assert_int_equal(l->batch.first_seq, 12);
    assert_int_equal(l->batch.gap_reason, TMB_GAP_MISSING);
    tmb_load_free(l);
}

/* A batch ends in front of damaged bytes, the next begins behind them and says so. */
static void test_damage_ends_a_batch_and_is_kept(void **state)
{
    (void)state;
    append(20, 10);
    harm_the_log();
    tmb_load *l = load(1, 100000);
    assert_int_equal(l->err, TMB_OK);
    uint64_t before = l->batch.last_seq;
    assert_true(before >= 1 && before < 20);
    assert_int_equal(l->batch.gap_first, 0);
    tmb_load_free(l);
    l = load(before + 1, 100000);
    assert_int_equal(l->err, TMB_OK);
    assert_int_equal(l->batch.gap_first, before + 1);
    assert_int_equal(l->batch.gap_reason, TMB_GAP_DAMAGED);
    assert_int_equal(l->batch.first_seq, before + 2);
    assert_int_equal(l->batch.last_seq, 20);
    tmb_load_free(l);
    char folder[160];
    (void)snprintf(folder, sizeof folder, "%s/%s/quarantine", root, STREAM);
    assert_int_equal(access(folder, F_OK), 0);
}

/* Read by whichever batch, and however often: one damaged range is counted (and logged) once. */
static void test_damage_is_counted_once(void **state)
{
    (void)state;
    unsigned ranges = 0;
    uint64_t bytes = 0;
    append(20, 10);
    harm_the_log();
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t seq = 1; seq <= 20;) {
            tmb_load *l = load(seq, 100000);
            assert_int_equal(l->err, TMB_OK);
            ranges += l->damaged_ranges;
            bytes += l->damaged_bytes;
            seq = l->batch.last_seq + 1;
            tmb_load_free(l);
        }
        assert_int_equal(ranges, 1);
        assert_in_range(bytes, 30, 100);
    }
}

/* What leaves the node must not be lost with the power: its number could name another record. */
static void test_a_batch_is_synced_before_it_is_ready(void **state)
{
    (void)state;
    append(10, 10);
    assert_int_equal(files.syncs, 0);
    expect(1, 100000, 1, 10, 0);
    assert_int_equal(files.syncs, 1);
    append(10, 10);
    expect(11, 100000, 11, 20, 0);
    assert_int_equal(files.syncs, 2);
    /* Over several segments, each of them. */
    append(300, 50);
    expect(21, 1000000, 21, 320, 0);
    assert_true(files.syncs > 5);
    unsigned before = files.syncs;
    expect(321, 100000, 321, 320, 0); /* nothing new: nothing to sync */
    assert_int_equal(files.syncs, before);
}

static void expect_err(uint64_t seq, tmb_err err)
{
    tmb_load *l = load(seq, 100000);
    assert_int_equal(l->err, err);
    assert_null(l->packed);
    tmb_load_free(l);
}

static void test_what_cannot_be_synced_makes_no_batch(void **state)
{
    (void)state;
    append(10, 10);
    files.is_sync_failing = true;
    expect_err(1, TMB_EIO);
    expect_err(1, TMB_EIO);
    files.is_sync_failing = false;
    unsigned before = files.syncs;
    expect(1, 100000, 1, 10, 0); /* the very same, and not without a sync */
    assert_true(files.syncs > before);
    /* Whichever of the segments it is. */
    append(300, 50);
    for (unsigned n = 1; n <= 4; n++) {
        files.syncs = 0;
        files.sync_failing = n;
        expect_err(1, TMB_EIO);
        expect(1, 100000, 1, 310, 0);
        assert_true(files.syncs > 4);
    }
}

/* Each read of the log fails once: what is given is then without a hole all the same. */
static void test_after_a_read_that_failed_the_same_comes(void **state)
{
    (void)state;
    append(300, 50);
    unsigned failures = 0;
    for (unsigned n = 1; n < 40; n++) {
        files.reads = 0;
        files.read_failing = n;
        for (uint64_t seq = 1; seq <= 300;) {
            tmb_load *l = load(seq, 5000);
            if (l->err == TMB_OK) {
                assert_int_equal(l->batch.first_seq, seq);
                assert_int_equal(l->batch.gap_first, 0);
                seq = l->batch.last_seq + 1;
            } else {
                assert_int_equal(l->err, TMB_EIO);
                failures++;
            }
            tmb_load_free(l);
        }
    }
    assert_true(failures > 3);
}

static void test_another_journal_is_noticed(void **state)
{
    (void)state;
    append(3, 10);
    tmb_load *l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->seq = 1;
    l->bytes_max = 1000;
    l->incarnation.bytes[0] = 99;
    tmb_loader_read(loader, l);
    assert_int_equal(l->err, TMB_EINVAL);
    assert_null(l->packed);
    tmb_load_free(l);
    expect(1, 1000, 1, 3, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_batches_follow_each_other),
        TEST(test_a_large_record_travels_alone),
        TEST(test_no_more_records_than_a_batch_may_have),
        TEST(test_nothing_yet),
        TEST(test_retention_is_told_as_a_gap),
        TEST(test_a_loss_behind_a_torn_write_is_told),
        TEST(test_damage_ends_a_batch_and_is_kept),
        TEST(test_damage_is_counted_once),
        TEST(test_a_batch_is_synced_before_it_is_ready),
        TEST(test_what_cannot_be_synced_makes_no_batch),
        TEST(test_after_a_read_that_failed_the_same_comes),
        TEST(test_another_journal_is_noticed),
    };
    return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
