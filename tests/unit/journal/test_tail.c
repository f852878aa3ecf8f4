// SPDX-License-Identifier: Apache-2.0
/* Reading beside a writer: following, seeking, waiting, and being told what is missing. */
#include "tests/unit/journal/fixture.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal/segment.h"

#define SEGMENT_BYTES 800

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

static tmb_tail *open_tail(void)
{
    tmb_tail *tail = NULL;
    assert_int_equal(tmb_tail_open(root, "data", NULL, &tail), TMB_OK);
    return tail;
}

static void expect_record(tmb_tail *tail, uint64_t seq)
{
    tmb_record record;
    tmb_tail_gap gap;
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_OK);
    assert_int_equal(record.seq, seq);
}

static void expect_end(tmb_tail *tail)
{
    tmb_record record;
    tmb_tail_gap gap;
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_EAGAIN);
}

static void the_folder_may_come_later(void **state)
{
    (void)state;
    uint64_t first, last;
    tmb_incarnation incarnation;
    tmb_tail *tail = open_tail();
    expect_end(tail);
    assert_int_equal(tmb_tail_range(tail, &first, &last, &incarnation), TMB_ENOENT);
    fixture_fill(root, 2, 0);
    expect_record(tail, 1);
    expect_record(tail, 2);
    expect_end(tail);
    assert_int_equal(tmb_tail_range(tail, &first, &last, &incarnation), TMB_OK);
    assert_int_equal(first, 1);
    assert_int_equal(last, 2);
    assert_int_equal(incarnation.bytes[0], 7);
    tmb_tail_close(tail);
}

/* As people are told to do with a journal of another node: move it away and begin anew, whoever reads it. */
static void another_log_may_take_its_place(void **state)
{
    (void)state;
    uint64_t first, last;
    tmb_incarnation incarnation;
    char away[TEST_PATH_BYTES + 8];
    tmb_tail *tail = open_tail();
    struct pollfd poller = {.fd = tmb_tail_watch_fd(tail), .events = POLLIN};
    fixture_fill(root, 200, 0);
    assert_int_equal(tmb_tail_range(tail, &first, &last, &incarnation), TMB_OK);
    assert_int_equal(last, 200);
    (void)snprintf(away, sizeof away, "%s.away", root);
    assert_int_equal(rename(root, away), 0);

    tmb_journal *journal = NULL;
    tmb_journal_options options = {.root = root, .node = "other"};
    memset(options.fresh_incarnation.bytes, 9, sizeof options.fresh_incarnation.bytes);
    assert_int_equal(tmb_journal_open(&options, &journal, NULL, 0), TMB_OK);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    tmb_tail_watch_clear(tail);
    assert_int_equal(tmb_tail_range(tail, &first, &last, &incarnation), TMB_OK);
    assert_int_equal(last, 3);
    assert_int_equal(incarnation.bytes[0], 9);

    tmb_tail_watch_clear(tail); /* that the old watch went is news too */
    assert_int_equal(poll(&poller, 1, 0), 0);
    fixture_append(stream, 4, 300);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    assert_int_equal(poll(&poller, 1, 20000), 1); /* the watch moved to the new folder */
    assert_int_equal(tmb_tail_range(tail, &first, &last, &incarnation), TMB_OK);
    assert_int_equal(last, 300);
    tmb_tail_close(tail);
    tmb_journal_close(journal);
    fixture_remove(away);
}

static void half_a_record_is_nothing_yet(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES];
    uint8_t bytes[4096];
    fixture_fill(root, 3, 0);
    assert_true(fixture_newest(root, "data", path));
    size_t len = fixture_read(path, bytes, sizeof bytes), third = 0;
    for (size_t i = 192; i + 4 <= len; i++) {
        if (memcmp(bytes + i, "TMBR", 4) == 0)
            third = i;
    }
    for (size_t cut = third; cut < len; cut++) {
        tmb_tail *tail = open_tail();
        fixture_write(path, bytes, cut);
        expect_record(tail, 1);
        expect_record(tail, 2);
        expect_end(tail);
        fixture_write(path, bytes, len);
        expect_record(tail, 3);
        expect_end(tail);
        tmb_tail_close(tail);
    }
}

static void a_torn_tail_cut_under_the_reader(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES];
    uint8_t bytes[4096];
    tmb_record record;
    tmb_tail_gap gap;
    fixture_fill(root, 3, 0);
    assert_true(fixture_newest(root, "data", path));
    size_t len = fixture_read(path, bytes, sizeof bytes);
    fixture_write(path, bytes, len - 5);
    tmb_tail *tail = open_tail();
    expect_record(tail, 1);
    expect_record(tail, 2);
    expect_end(tail);
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    uint64_t seq = fixture_append(stream, 8, 8);
    tmb_journal_close(journal);
    assert_true(seq > 3);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_EGAP);
    assert_int_equal(gap.first_seq, 3);
    assert_int_equal(gap.last_seq, seq - 1);
    assert_int_equal(gap.reason, TMB_GAP_TORN);
    expect_record(tail, seq);
    tmb_tail_close(tail);
}

static void a_segment_that_is_gone_is_told(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES], name[TMB_SEGMENT_NAME_BYTES], folder[TEST_PATH_BYTES];
    tmb_segment_list list = {NULL, 0, 0};
    static fixture_log log;
    fixture_fill(root, 40, SEGMENT_BYTES);
    snprintf(folder, sizeof folder, "%.200s/data", root);
    assert_int_equal(tmb_segment_list_load(&list, tmb_file_port_posix(), folder), TMB_OK);
    assert_true(list.count >= 4);
    tmb_segment_name(list.bases[1], name);
    snprintf(path, sizeof path, "%.200s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.gaps_count, 1);
    assert_int_equal(log.gaps[0].first_seq, list.bases[1]);
    assert_int_equal(log.gaps[0].last_seq, list.bases[2] - 1);
    assert_int_equal(log.gaps[0].reason, TMB_GAP_MISSING);
    tmb_segment_list_fini(&list);
}

static void damage_at_the_very_end_is_told_once_and_again_with_numbers(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES];
    uint8_t bytes[4096];
    tmb_record record;
    tmb_tail_gap gap;
    fixture_fill(root, 3, 0);
    assert_true(fixture_newest(root, "data", path));
    size_t len = fixture_read(path, bytes, sizeof bytes);
    bytes[len - 1] ^= 1;
    fixture_write(path, bytes, len);
    tmb_tail *tail = open_tail();
    expect_record(tail, 1);
    expect_record(tail, 2);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_EGAP);
    assert_int_equal(gap.first_seq, 3);
    assert_int_equal(gap.last_seq, 0);
    assert_int_equal(gap.reason, TMB_GAP_DAMAGED);
    assert_int_equal(tmb_tail_quarantine(tail, &gap), TMB_OK);
    assert_int_equal(tmb_tail_quarantine(tail, &gap), TMB_OK);
    expect_end(tail);
    expect_end(tail);
    tmb_journal *journal = fixture_open(root, NULL, 0);
    uint64_t seq = fixture_append(fixture_stream(journal, "data"), 8, 8);
    tmb_journal_close(journal);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_EGAP);
    assert_int_equal(gap.first_seq, 3);
    assert_int_equal(gap.last_seq, seq - 1);
    assert_int_equal(gap.reason, TMB_GAP_DAMAGED);
    expect_record(tail, seq);
    tmb_tail_close(tail);
}

static void seeks_by_number(void **state)
{
    (void)state;
    fixture_fill(root, 60, SEGMENT_BYTES);
    tmb_tail *tail = open_tail();
    for (uint64_t seq = 60; seq >= 1; seq--) {
        assert_int_equal(tmb_tail_seek(tail, seq), TMB_OK);
        expect_record(tail, seq);
        if (seq < 60)
            expect_record(tail, seq + 1);
    }
    assert_int_equal(tmb_tail_seek(tail, 61), TMB_OK);
    expect_end(tail);
    assert_int_equal(tmb_tail_seek(tail, 0), TMB_OK);
    expect_record(tail, 1);
    tmb_tail_close(tail);
}

static void seeks_by_time(void **state)
{
    (void)state;
    /* Record i is stamped 1700000000000 + i * 1000. */
    fixture_fill(root, 60, SEGMENT_BYTES);
    tmb_tail *tail = open_tail();
    for (int64_t i = 1; i <= 60; i++) {
        for (int64_t before = 0; before < 1000; before += 333) {
            tmb_wall when = {INT64_C(1700000000000) + i * 1000 - before};
            assert_int_equal(tmb_tail_seek_time(tail, when), TMB_OK);
            expect_record(tail, (uint64_t)i);
        }
    }
    assert_int_equal(tmb_tail_seek_time(tail, (tmb_wall){0}), TMB_OK);
    expect_record(tail, 1);
    assert_int_equal(tmb_tail_seek_time(tail, (tmb_wall){INT64_C(1800000000000)}), TMB_OK);
    expect_end(tail);
    tmb_tail_close(tail);
}

static void the_watch_wakes(void **state)
{
    (void)state;
    tmb_tail *tail = open_tail();
    struct pollfd poller = {.fd = tmb_tail_watch_fd(tail), .events = POLLIN};
    assert_true(poller.fd >= 0);
    expect_end(tail);
    tmb_tail_watch_clear(tail);
    assert_int_equal(poll(&poller, 1, 0), 0);
    tmb_journal *journal = fixture_open(root, NULL, SEGMENT_BYTES);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    assert_int_equal(poll(&poller, 1, 1000), 1);
    tmb_tail_watch_clear(tail);
    for (uint64_t i = 1; i <= 30; i++) {
        fixture_append(stream, i, i);
        assert_int_equal(tmb_journal_flush(stream), TMB_OK);
        assert_int_equal(poll(&poller, 1, 1000), 1);
        tmb_tail_watch_clear(tail);
        expect_record(tail, i);
        expect_end(tail);
        tmb_tail_watch_clear(tail);
        assert_int_equal(poll(&poller, 1, 0), 0);
    }
    tmb_journal_close(journal);
    tmb_tail_close(tail);
}

/* ---- a writer in another process, 20,000 records, many rotations ------------------------------------ */

#define FOLLOWED 20000

static void write_many(void)
{
    tmb_journal *journal = fixture_open(root, NULL, 64 * 1024);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    for (uint64_t i = 1; i <= FOLLOWED; i++) {
        fixture_append(stream, i, i);
        if (i % 7 == 0 && tmb_journal_flush(stream))
            _exit(1);
    }
    tmb_journal_close(journal);
    _exit(0);
}

static void follows_another_process(void **state)
{
    (void)state;
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0)
        write_many();
    tmb_tail *tail = open_tail();
    struct pollfd poller = {.fd = tmb_tail_watch_fd(tail), .events = POLLIN};
    uint64_t expect = 1;
    unsigned waits = 0;
    while (expect <= FOLLOWED) {
        tmb_record record;
        tmb_tail_gap gap;
        tmb_err err = tmb_tail_next(tail, &record, &gap);
        if (err == TMB_EAGAIN) {
            assert_int_equal(poll(&poller, 1, 20000), 1);
            tmb_tail_watch_clear(tail);
            waits++;
            continue;
        }
        assert_int_equal(err, TMB_OK);
        assert_int_equal(record.seq, expect);
        assert_true(fixture_is(&record, expect));
        expect++;
        if (expect % 1000 == 0)
            assert_int_equal(tmb_tail_sync(tail), TMB_OK);
    }
    int status = -1;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
    expect_end(tail);
    tmb_tail_close(tail);
    assert_true(fixture_segments(root, "data") > 10);
    print_message("waited %u times\n", waits);
}

/* ---- a writer in another thread: for the thread sanitizer ------------------------------------------- */

static void *write_some(void *arg)
{
    tmb_journal_stream *stream = arg;
    tmb_record record = {.topic = tmb_bytes_str("t")};
    for (uint64_t i = 1; i <= 2000; i++) {
        uint64_t seq;
        if (tmb_journal_append(stream, &record, (tmb_wall){(int64_t)i}, &seq) || seq != i ||
            tmb_journal_flush(stream))
            return NULL;
    }
    return stream;
}

static void follows_another_thread(void **state)
{
    (void)state;
    tmb_journal *journal = fixture_open(root, NULL, 4096);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    pthread_t thread;
    void *result = NULL;
    tmb_tail *tail = open_tail();
    struct pollfd poller = {.fd = tmb_tail_watch_fd(tail), .events = POLLIN};
    assert_int_equal(pthread_create(&thread, NULL, write_some, stream), 0);
    for (uint64_t expect = 1; expect <= 2000;) {
        tmb_record record;
        tmb_tail_gap gap;
        tmb_err err = tmb_tail_next(tail, &record, &gap);
        if (err == TMB_EAGAIN) {
            assert_int_equal(poll(&poller, 1, 20000), 1);
            tmb_tail_watch_clear(tail);
            continue;
        }
        assert_int_equal(err, TMB_OK);
        assert_int_equal(record.seq, expect++);
    }
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    tmb_tail_close(tail);
    tmb_journal_close(journal);
}

/* A name in the folder behind which there is nothing: an error that names it, again and again, and neither a
 * loop nor an empty log. What is written meanwhile is read behind it all the same. */
static void a_name_without_a_file_is_an_error(void **state)
{
    (void)state;
    static const char name[] = "00000000000000088888.seg";
    char path[TEST_PATH_BYTES + 64];
    tmb_record record;
    tmb_tail_gap gap = {.file = ""};
    tmb_incarnation incarnation;
    uint64_t first = 0, last = 0;
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    snprintf(path, sizeof path, "%s/data/%s", root, name);
    assert_int_equal(symlink("/nonexist", path), 0);
    tmb_tail *tail = open_tail();
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_OK);
        assert_int_equal(record.seq, seq);
    }
    for (unsigned i = 0; i < 3; i++) {
        gap.file[0] = '\0';
        assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_EIO);
        assert_string_equal(gap.file, name);
    }
    assert_int_equal(tmb_tail_range(tail, &first, &last, &incarnation), TMB_EIO);
    fixture_append(stream, 4, 4);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_OK);
    assert_int_equal(record.seq, 4);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_EIO);
    assert_int_equal(tmb_tail_seek(tail, 88889), TMB_OK);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_EIO);
    assert_int_equal(tmb_tail_seek(tail, 5), TMB_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_EAGAIN);
    assert_int_equal(tmb_tail_range(tail, &first, &last, &incarnation), TMB_OK);
    assert_int_equal(last, 4);
    tmb_tail_close(tail);
    tmb_journal_close(journal);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_folder_may_come_later),
        CASE(another_log_may_take_its_place),
        CASE(half_a_record_is_nothing_yet),
        CASE(a_torn_tail_cut_under_the_reader),
        CASE(a_segment_that_is_gone_is_told),
        CASE(damage_at_the_very_end_is_told_once_and_again_with_numbers),
        CASE(a_name_without_a_file_is_an_error),
        CASE(seeks_by_number),
        CASE(seeks_by_time),
        CASE(the_watch_wakes),
        CASE(follows_another_process),
        CASE(follows_another_thread),
    };
    return cmocka_run_group_tests_name("journal.tail", tests, NULL, NULL);
}
