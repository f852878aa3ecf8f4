// SPDX-License-Identifier: Apache-2.0
/* The writer: numbers, stamps, rotation, opening again, one writer only. */
#include "tests/unit/journal/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

static char root[TEST_PATH_BYTES];

static int setup(void **state)
{
    (void)state;
    fixture_make(root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(root);
    return 0;
}

static void appends_and_reads_back(void **state)
{
    (void)state;
    static fixture_log log;
    fixture_fill(root, 100, 0);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.err, TMB_EAGAIN);
    assert_int_equal(log.gaps_count, 0);
    assert_int_equal(log.count, 100);
    for (size_t i = 0; i < log.count; i++)
        assert_int_equal(log.indexes[i], i + 1);
}

static void nothing_is_in_the_file_before_flush(void **state)
{
    (void)state;
    static fixture_log log;
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.count, 0);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.count, 3);
    assert_int_equal(tmb_journal_last_seq(stream), 3);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    tmb_journal_close(journal);
}

static void one_write_a_flush_and_one_sync_a_sync(void **state)
{
    (void)state;
    static test_port port;
    test_port_init(&port);
    tmb_journal *journal = fixture_open(root, &port.port, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 1);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    memset(port.calls, 0, sizeof port.calls);
    fixture_append(stream, 2, 500);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    assert_int_equal(port.calls[TEST_OP_WRITE], 1);
    assert_int_equal(port.calls[TEST_OP_SYNC], 0);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    assert_int_equal(port.calls[TEST_OP_WRITE], 1);
    assert_int_equal(port.calls[TEST_OP_SYNC], 1);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    assert_int_equal(port.calls[TEST_OP_SYNC], 1);
    tmb_journal_close(journal);
}

static void rotates_and_goes_on(void **state)
{
    (void)state;
    static fixture_log log;
    for (uint64_t round = 0; round < 4; round++) {
        tmb_journal *journal = fixture_open(root, NULL, 2000);
        tmb_journal_stream *stream = fixture_stream(journal, "data");
        assert_int_equal(tmb_journal_last_seq(stream), round * 50);
        fixture_append(stream, round * 50 + 1, round * 50 + 50);
        tmb_journal_close(journal);
    }
    assert_true(fixture_segments(root, "data") >= 8);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.count, 200);
    assert_int_equal(log.gaps_count, 0);
    for (size_t i = 0; i < log.count; i++)
        assert_int_equal(log.indexes[i], i + 1);
}

static void stamps_rise_when_the_clock_steps_back(void **state)
{
    (void)state;
    tmb_tail *tail;
    tmb_record record = fixture_record(1);
    tmb_tail_gap gap;
    uint64_t seq, last = 0;
    const int64_t clock[] = {2000000, 1000, 5, 1999999, 2000001};
    for (size_t i = 0; i < 5; i++) {
        tmb_journal *journal = fixture_open(root, NULL, i % 2 ? 1 : 0);
        tmb_journal_stream *a = fixture_stream(journal, "a"), *b = fixture_stream(journal, "b");
        record = fixture_record(i);
        assert_int_equal(tmb_journal_append(a, &record, (tmb_wall){clock[i]}, &seq), TMB_OK);
        assert_int_equal(tmb_journal_append(b, &record, (tmb_wall){clock[i]}, &seq), TMB_OK);
        tmb_journal_close(journal);
    }
    assert_int_equal(tmb_tail_open(root, "a", NULL, &tail), TMB_OK);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_OK);
        assert_true(record.stamp.u64 > last);
        last = record.stamp.u64;
    }
    tmb_tail_close(tail);
}

static void large_records_up_to_the_limit(void **state)
{
    (void)state;
    size_t len = TMB_RECORD_BYTES_MAX;
    uint8_t *payload = test_malloc(len);
    memset(payload, 0x5a, len);
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    tmb_record record = {.topic = tmb_bytes_str("big"), .payload = tmb_bytes_of(payload, len)};
    uint64_t seq = 0;
    assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){1}, &seq), TMB_ELIMIT);
    record.payload.len = 0;
    record.payload.len = len - tmb_record_size(&record);
    assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){1}, &seq), TMB_OK);
    record.payload.len = 0;
    assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){1}, &seq), TMB_OK);
    assert_int_equal(seq, 2);
    tmb_journal_close(journal);

    tmb_tail *tail;
    tmb_tail_gap gap;
    assert_int_equal(tmb_tail_open(root, "data", NULL, &tail), TMB_OK);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_OK);
    assert_int_equal(record.payload.len,
                     len - tmb_record_size(&(tmb_record){.topic = tmb_bytes_str("big")}));
    assert_memory_equal(record.payload.ptr, payload, record.payload.len);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_OK);
    assert_int_equal(record.payload.len, 0);
    tmb_tail_close(tail);
    test_free(payload);
}

static void a_second_writer_is_refused(void **state)
{
    (void)state;
    char text[256] = "";
    tmb_journal *journal = fixture_open(root, NULL, 0), *other = NULL;
    tmb_journal_options options = {.root = root, .node = "s1"};
    assert_int_equal(tmb_journal_open(&options, &other, text, sizeof text), TMB_EBUSY);
    assert_null(other);
    assert_non_null(strstr(text, "another process"));
    tmb_journal_close(journal);
    assert_int_equal(tmb_journal_open(&options, &other, text, sizeof text), TMB_OK);
    tmb_journal_close(other);
}

/* The lock file looks stale, and somebody removes it; or a version that knows no other lock holds it. */
static void one_lock_is_enough_to_be_refused(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES + 8], text[256] = "";
    tmb_journal *journal = fixture_open(root, NULL, 0), *other = NULL;
    tmb_journal_options options = {.root = root, .node = "s1"};
    snprintf(path, sizeof path, "%s/lock", root);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(tmb_journal_open(&options, &other, text, sizeof text), TMB_EBUSY);
    assert_non_null(strstr(text, "another process"));
    tmb_journal_close(journal);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    text[0] = '\0';
    assert_int_equal(tmb_journal_open(&options, &other, text, sizeof text), TMB_EBUSY);
    assert_non_null(strstr(text, "another process"));
    assert_int_equal(close(fd), 0);
    assert_int_equal(tmb_journal_open(&options, &other, text, sizeof text), TMB_OK);
    tmb_journal_close(other);
}

static void each_lock_that_fails_is_an_error(void **state)
{
    (void)state;
    static test_port port;
    tmb_journal *journal = NULL;
    for (unsigned at = 1; at <= 2; at++) {
        char text[256] = "";
        test_port_init(&port);
        port.fail_op = TEST_OP_LOCK;
        port.fail_at = at;
        port.error = EWOULDBLOCK;
        tmb_journal_options options = {.root = root, .node = "s1", .files = &port.port};
        assert_int_equal(tmb_journal_open(&options, &journal, text, sizeof text), TMB_EBUSY);
        assert_true(port.failed);
        port.error = EIO;
        port.calls[TEST_OP_LOCK] = 0;
        assert_int_equal(tmb_journal_open(&options, &journal, text, sizeof text), TMB_EIO);
        assert_non_null(strstr(text, root));
        assert_int_equal(port.calls[TEST_OP_OPEN] - port.calls[TEST_OP_CLOSE], 0);
    }
    /* A file system that cannot lock a folder: the file alone has to do. */
    test_port_init(&port);
    port.fail_op = TEST_OP_LOCK;
    port.fail_at = 1;
    port.error = EBADF;
    journal = fixture_open(root, &port.port, 0);
    assert_true(port.failed);
    tmb_journal_close(journal);
}

static void the_journal_of_another_node_is_refused(void **state)
{
    (void)state;
    char text[256] = "";
    tmb_journal *journal = NULL;
    fixture_fill(root, 3, 0);
    tmb_journal_options options = {.root = root, .node = "s2"};
    assert_int_equal(tmb_journal_open(&options, &journal, text, sizeof text), TMB_ECORRUPT);
    assert_non_null(strstr(text, "\"s1\""));
    assert_non_null(strstr(text, "\"s2\""));
}

static void makes_the_folders_above(void **state)
{
    (void)state;
    char deep[TEST_PATH_BYTES + 16], text[512] = "";
    tmb_journal *journal = NULL;
    snprintf(deep, sizeof deep, "%s/a/b/c/", root);
    tmb_journal_options options = {.root = deep, .node = "s1", .fresh_incarnation = {{9}}};
    assert_int_equal(tmb_journal_open(&options, &journal, text, sizeof text), TMB_OK);
    assert_int_equal(tmb_journal_incarnation(journal)->bytes[0], 9);
    tmb_journal_close(journal);
    /* The first incarnation stays. */
    options.fresh_incarnation.bytes[0] = 8;
    assert_int_equal(tmb_journal_open(&options, &journal, text, sizeof text), TMB_OK);
    assert_int_equal(tmb_journal_incarnation(journal)->bytes[0], 9);
    tmb_journal_close(journal);
}

/* For numbers that were given once and are not in the log any more. */
static void skips_numbers_that_must_not_be_given_again(void **state)
{
    (void)state;
    fixture_log log;
    tmb_wall now = {5};
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    assert_int_equal(fixture_append(stream, 1, 3), 3);
    assert_int_equal(tmb_journal_skip(stream, 3, TMB_GAP_MISSING, now), TMB_OK); /* nothing to do */
    assert_int_equal(fixture_append(stream, 4, 4), 4);
    assert_int_equal(tmb_journal_skip(stream, 10, TMB_GAP_MISSING, now), TMB_OK);
    assert_int_equal(fixture_append(stream, 5, 5), 11);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    tmb_journal_close(journal);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.count, 5);
    assert_int_equal(log.seqs[3], 4);
    assert_int_equal(log.seqs[4], 11);
    assert_int_equal(log.gaps_count, 1);
    assert_int_equal(log.gaps[0].first_seq, 5);
    assert_int_equal(log.gaps[0].last_seq, 10);
    assert_int_equal(log.gaps[0].reason, TMB_GAP_MISSING);
    journal = fixture_open(root, NULL, 0);
    stream = fixture_stream(journal, "data");
    assert_int_equal(fixture_append(stream, 6, 6), 12);
    assert_int_equal(tmb_journal_skip(stream, 20, TMB_GAP_TORN, now), TMB_OK);
    assert_int_equal(fixture_append(stream, 7, 7), 21);
    tmb_journal_close(journal);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.gaps_count, 2);
    assert_int_equal(log.gaps[1].first_seq, 13);
    assert_int_equal(log.gaps[1].last_seq, 20);
    assert_int_equal(log.gaps[1].reason, TMB_GAP_TORN);
}

/* A log that is written fast does not fill the machine's memory with what nobody reads any more. */
static void what_was_synced_long_ago_leaves_the_cache(void **state)
{
    (void)state;
    static test_port port;
    uint64_t seq = 0;
    size_t len = 1u << 20;
    uint8_t *payload = test_calloc(1, len);
    tmb_record record = {.topic = tmb_bytes_str("big"), .payload = tmb_bytes_of(payload, len)};
    test_port_init(&port);
    tmb_journal *journal = fixture_open(root, &port.port, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    for (unsigned i = 1; i <= 40; i++) {
        assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){1}, &seq), TMB_OK);
        assert_int_equal(tmb_journal_sync(stream), TMB_OK);
        assert_true(port.forgotten <= i * (len + 100)); /* never what is not written */
        if (i <= 15)
            assert_int_equal(port.forgotten, 0);
    }
    assert_true(port.forgotten > (40 - 17) * len && port.forgotten < 33 * len);
    tmb_journal_close(journal);
    test_free(payload);
    tmb_verify_report report;
    assert_int_equal(tmb_verify_stream(root, "data", NULL, NULL, NULL, &report), TMB_OK);
    assert_int_equal(report.records, 40);
}

static tmb_tail_gap told;
static unsigned told_count;

static void keep_told(void *arg, const char *stream, const tmb_tail_gap *gap)
{
    (void)arg;
    assert_string_equal(stream, "data");
    told = *gap;
    told_count++;
}

/* Somebody removes the file that is written. What is synced after that would be gone when the file is closed:
 * the sync says so, the numbers are told as missing, and none of them comes again. */
static void a_removed_segment_fails_the_next_sync(void **state)
{
    (void)state;
    static fixture_log log;
    char path[TEST_PATH_BYTES];
    tmb_journal *journal = NULL;
    tmb_journal_options options = {.root = root, .node = "s1", .found = keep_told};
    told_count = 0;
    assert_int_equal(tmb_journal_open(&options, &journal, NULL, 0), TMB_OK);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    for (uint64_t lost = 1, base = 1; lost <= 3; lost++, base += 4) {
        assert_int_equal(fixture_append(stream, base, base + 2), base + 2);
        assert_int_equal(tmb_journal_sync(stream), TMB_OK);
        assert_true(fixture_newest(root, "data", path) && unlink(path) == 0);
        assert_int_equal(fixture_append(stream, base + 3, base + 3), base + 3);
        assert_int_equal(tmb_journal_sync(stream), TMB_EIO);
        assert_int_equal(told_count, lost);
        assert_int_equal(told.first_seq, base);
        assert_int_equal(told.last_seq, base + 2);
        assert_int_equal(told.reason, TMB_GAP_MISSING);
        assert_non_null(strstr(path, told.file));
        assert_int_equal(tmb_journal_counts_get(journal)->failures, lost);
        assert_int_equal(tmb_journal_counts_get(journal)->damaged_ranges, lost);
        assert_int_equal(fixture_segments(root, "data"), 1);
    }
    assert_int_equal(fixture_append(stream, 13, 13), 13);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    tmb_journal_close(journal);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.count, 1);
    assert_int_equal(log.seqs[0], 13);
    assert_int_equal(log.gaps[log.gaps_count - 1].reason, TMB_GAP_MISSING);
    assert_int_equal(log.gaps[log.gaps_count - 1].first_seq, 9);
    assert_int_equal(log.gaps[log.gaps_count - 1].last_seq, 12);
    journal = fixture_open(root, NULL, 0);
    assert_int_equal(fixture_append(fixture_stream(journal, "data"), 1, 1), 14);
    tmb_journal_close(journal);
}

/* Its folder, too: no success is claimed while nothing can be written, and it goes on when there is one. */
static void a_removed_folder_fails_until_it_is_back(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES], folder[TEST_PATH_BYTES + 8];
    uint64_t seq = 0;
    tmb_record record = fixture_record(9);
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    assert_true(fixture_newest(root, "data", path) && unlink(path) == 0);
    snprintf(folder, sizeof folder, "%s/data", root);
    assert_int_equal(rmdir(folder), 0);
    fixture_append(stream, 4, 4);
    assert_int_equal(tmb_journal_sync(stream), TMB_EIO);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){1}, &seq), TMB_EIO);
        assert_int_equal(tmb_journal_sync(stream), TMB_OK); /* of nothing */
    }
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(fixture_append(stream, 5, 5), 5);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    tmb_journal_close(journal);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(appends_and_reads_back),
        CASE(nothing_is_in_the_file_before_flush),
        CASE(one_write_a_flush_and_one_sync_a_sync),
        CASE(rotates_and_goes_on),
        CASE(stamps_rise_when_the_clock_steps_back),
        CASE(large_records_up_to_the_limit),
        CASE(a_second_writer_is_refused),
        CASE(one_lock_is_enough_to_be_refused),
        CASE(each_lock_that_fails_is_an_error),
        CASE(the_journal_of_another_node_is_refused),
        CASE(makes_the_folders_above),
        CASE(a_removed_segment_fails_the_next_sync),
        CASE(a_removed_folder_fails_until_it_is_back),
        CASE(skips_numbers_that_must_not_be_given_again),
        CASE(what_was_synced_long_ago_leaves_the_cache),
    };
    return cmocka_run_group_tests_name("journal.writer", tests, NULL, NULL);
}
