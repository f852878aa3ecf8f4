// SPDX-License-Identifier: Apache-2.0
/* tests/unit/journal/test_shed.c - what a full or failing disk asks of the writer: numbers used up without a
 * record, the oldest segment dropped for room, writing tried without a message, no trust in a file whose sync
 * has failed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/files.h"
#include "journal/segment.h"
#include "tests/unit/journal/fixture.h"

#define SEGMENT_BYTES 800

static char root[TEST_PATH_BYTES];
static const tmb_wall now = {5};

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

static void assert_gap(const tmb_tail_gap *gap, uint64_t first, uint64_t last,
                       tmb_gap_reason reason)
{
    assert_int_equal(gap->first_seq, first);
    assert_int_equal(gap->last_seq, last);
    assert_int_equal(gap->reason, reason);
}

static void numbers_of_shed_messages_are_a_gap(void **state)
{
    (void)state;
    fixture_log log;
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    assert_int_equal(fixture_append(stream, 1, 3), 3);
    tmb_journal_shed(stream, 3); /* nothing to do */
    assert_int_equal(tmb_journal_last_seq(stream), 3);
    size_t segments = fixture_segments(root, "data");
    uint64_t syncs = tmb_journal_counts_get(journal)->syncs;
    for (uint64_t seq = 4; seq <= 1000; seq++)
        tmb_journal_shed(stream, seq);
    assert_int_equal(tmb_journal_last_seq(stream), 1000);
    assert_int_equal(fixture_segments(root, "data"), segments);
    assert_int_equal(tmb_journal_counts_get(journal)->syncs, syncs + 1);
    assert_int_equal(fixture_append(stream, 4, 4), 1001);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    tmb_journal_close(journal);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.count, 4);
    assert_int_equal(log.seqs[3], 1001);
    assert_int_equal(log.gaps_count, 1);
    assert_gap(&log.gaps[0], 4, 1000, TMB_GAP_RETENTION);
}

static void a_probe_keeps_them_over_a_restart(void **state)
{
    (void)state;
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    tmb_journal_shed(stream, 9);
    assert_int_equal(tmb_journal_probe(stream, now), TMB_OK);
    size_t segments = fixture_segments(root, "data");
    assert_int_equal(tmb_journal_probe(stream, now), TMB_OK); /* writes nothing more */
    assert_int_equal(fixture_segments(root, "data"), segments);
    tmb_journal_close(journal);
    journal = fixture_open(root, NULL, 0);
    stream = fixture_stream(journal, "data");
    assert_int_equal(tmb_journal_last_seq(stream), 9);
    assert_int_equal(fixture_append(stream, 4, 4), 10);
    tmb_journal_close(journal);
}

static void a_probe_says_when_the_disk_is_well_again(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EIO, EROFS, EDQUOT};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        test_port port;
        fixture_log log;
        uint64_t seq = 0;
        tmb_record record = fixture_record(2);
        fixture_remove(root);
        fixture_make(root);
        test_port_init(&port);
        tmb_journal *journal = fixture_open(root, &port.port, 0);
        tmb_journal_stream *stream = fixture_stream(journal, "data");
        fixture_append(stream, 1, 1);
        assert_int_equal(tmb_journal_sync(stream), TMB_OK);
        port.fail_op = TEST_OP_WRITE;
        port.fail_at = port.calls[TEST_OP_WRITE] + 1;
        port.fails_on = true;
        port.error = errors[i];
        bool is_space = errors[i] == ENOSPC || errors[i] == EDQUOT;
        assert_int_equal(tmb_journal_append(stream, &record, now, &seq), TMB_OK);
        assert_int_equal(tmb_journal_sync(stream), is_space ? TMB_ENOSPC : TMB_EIO);
        assert_true(port.failed);
        assert_int_equal(tmb_journal_probe(stream, now), is_space ? TMB_ENOSPC : TMB_EIO);
        port.fail_op = -1;
        assert_int_equal(tmb_journal_probe(stream, now), TMB_OK);
        assert_int_equal(fixture_append(stream, 3, 3), 3);
        assert_int_equal(tmb_journal_sync(stream), TMB_OK);
        tmb_journal_close(journal);
        fixture_read_log(root, "data", &log);
        assert_int_equal(log.count, 2);
        assert_int_equal(log.indexes[1], 3);
    }
}

/* Where the space is taken first, a full disk is met before a reader could see anything. */
static void a_careful_writer_shows_nothing_that_it_refuses(void **state)
{
    (void)state;
    test_port port;
    uint64_t seq = 0;
    tmb_record record = fixture_record(2);
    struct stat before, after;
    char path[TEST_PATH_BYTES];
    test_port_init(&port);
    tmb_journal *journal = fixture_open(root, &port.port, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 1);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    assert_int_equal(port.calls[TEST_OP_ALLOCATE], 0);
    tmb_journal_set_careful(journal, true);
    fixture_append(stream, 2, 2);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    assert_int_equal(port.calls[TEST_OP_ALLOCATE], 1);
    /* For nothing no space is asked: the kernel calls that a mistake. */
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    assert_int_equal(port.calls[TEST_OP_ALLOCATE], 1);
    assert_true(fixture_newest(root, "data", path));
    assert_int_equal(stat(path, &before), 0);
    port.fail_op = TEST_OP_ALLOCATE;
    port.fail_at = 2;
    port.error = ENOSPC;
    unsigned writes = port.calls[TEST_OP_WRITE];
    assert_int_equal(tmb_journal_append(stream, &record, now, &seq), TMB_OK);
    assert_int_equal(tmb_journal_sync(stream), TMB_ENOSPC);
    assert_true(port.failed);
    assert_int_equal(port.calls[TEST_OP_WRITE], writes + 1); /* the header of the next segment */
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    tmb_journal_set_careful(journal, false);
    fixture_append(stream, 3, 3);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    tmb_journal_close(journal);
}

static tmb_journal_drop drops[64];
static size_t drops_count;

static void keep_drop(void *arg, const char *stream, const tmb_journal_drop *drop)
{
    assert_ptr_equal(arg, drops);
    assert_string_equal(stream, "data");
    tmb_path path = tmb_path_join(root, "data");
    char name[TMB_SEGMENT_NAME_BYTES];
    tmb_segment_name(drop->first, name);
    path = tmb_path_join(path.text, name);
    assert_int_equal(access(path.text, F_OK), 0); /* told before it is gone */
    drops[drops_count++] = *drop;
}

static tmb_journal *open_with_drops(const tmb_file_port *port)
{
    tmb_journal_options options = {.root = root,
                                   .node = "s1",
                                   .files = port,
                                   .segment_bytes = SEGMENT_BYTES,
                                   .fresh_incarnation = {{7}},
                                   .drops = keep_drop,
                                   .drops_arg = drops};
    tmb_journal *journal = NULL;
    assert_int_equal(tmb_journal_open(&options, &journal, NULL, 0), TMB_OK);
    drops_count = 0;
    return journal;
}

static void drops_the_oldest_for_room_and_tells(void **state)
{
    (void)state;
    struct stat oldest;
    char path[TEST_PATH_BYTES];
    tmb_journal *journal = open_with_drops(NULL);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    assert_int_equal(tmb_journal_drop_oldest(stream, UINT64_MAX), TMB_ENOENT);
    fixture_append(stream, 1, 30);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    size_t segments = fixture_segments(root, "data");
    assert_true(segments > 3);
    assert_int_equal(tmb_journal_drop_oldest(stream, 1), TMB_EBUSY);
    assert_int_equal(drops_count, 0);
    assert_true(fixture_oldest(root, "data", path));
    assert_int_equal(stat(path, &oldest), 0);
    while (tmb_journal_drop_oldest(stream, UINT64_MAX) == TMB_OK)
        ;
    assert_int_equal(drops_count, segments - 1);
    assert_int_equal(fixture_segments(root, "data"), 1);
    assert_int_equal(drops[0].first, 1);
    assert_int_equal(drops[0].bytes, oldest.st_size);
    for (size_t i = 0; i < drops_count; i++) {
        assert_true(drops[i].is_for_room);
        assert_true(drops[i].last >= drops[i].first);
        if (i > 0)
            assert_int_equal(drops[i].first, drops[i - 1].last + 1);
    }
    fixture_log log;
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.seqs[0], drops[drops_count - 1].last + 1);
    assert_gap(&log.gaps[0], 1, log.seqs[0] - 1, TMB_GAP_RETENTION);
    tmb_journal_close(journal);
}

static void a_file_that_cannot_go_stays_and_that_is_told(void **state)
{
    (void)state;
    test_port port;
    test_port_init(&port);
    tmb_journal *journal = open_with_drops(&port.port);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 30);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    port.fail_op = TEST_OP_UNLINK;
    port.fail_at = port.calls[TEST_OP_UNLINK] + 1;
    assert_int_equal(tmb_journal_drop_oldest(stream, UINT64_MAX), TMB_EIO);
    assert_true(port.failed);
    assert_int_equal(drops_count, 2);
    assert_false(drops[0].is_undone);
    assert_true(drops[1].is_undone);
    assert_int_equal(drops[1].first, 1);
    assert_int_equal(drops[1].last, drops[0].last);
    assert_int_equal(tmb_journal_first_seq(stream), 1);
    port.fail_op = -1;
    assert_int_equal(tmb_journal_drop_oldest(stream, UINT64_MAX), TMB_OK);
    assert_int_equal(drops_count, 3);
    assert_int_equal(tmb_journal_first_seq(stream), drops[0].last + 1);
    tmb_journal_close(journal);
}

static void what_retention_drops_has_only_its_records(void **state)
{
    (void)state;
    tmb_retention rule = {.bytes_max = 1};
    tmb_journal *journal = open_with_drops(NULL);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 2);
    tmb_journal_shed(stream, 50); /* of these no record is dropped */
    fixture_append(stream, 3, 3);
    tmb_journal_shed(stream, 60);
    fixture_append(stream, 4, 4);
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_mono){0}, now), TMB_OK);
    assert_int_equal(drops_count, 2);
    assert_int_equal(drops[0].first, 1);
    assert_int_equal(drops[0].last, 2);
    assert_int_equal(drops[1].first, 51);
    assert_int_equal(drops[1].last, 51);
    assert_false(drops[0].is_for_room);
    tmb_journal_close(journal);
}

/* The kernel may drop the pages of a file whose sync failed, and say success the next time: so whatever is
 * claimed later must lie in another file, and that must have been synced. */
static void a_file_whose_sync_failed_is_never_trusted_again(void **state)
{
    (void)state;
    for (unsigned nth = 1; nth <= 6; nth++) {
        test_port port;
        fixture_log log;
        struct stat safe, later;
        char first[TEST_PATH_BYTES], newest[TEST_PATH_BYTES];
        fixture_remove(root);
        fixture_make(root);
        test_port_init(&port);
        tmb_journal *journal = fixture_open(root, &port.port, 0);
        tmb_journal_stream *stream = fixture_stream(journal, "data");
        fixture_append(stream, 1, 5);
        assert_int_equal(tmb_journal_sync(stream), TMB_OK);
        assert_true(fixture_newest(root, "data", first));
        assert_int_equal(stat(first, &safe), 0);
        fixture_append(stream, 6, 8);
        port.fail_op = TEST_OP_SYNC;
        port.fail_at = port.calls[TEST_OP_SYNC] + 1;
        port.error = EIO;
        assert_int_equal(tmb_journal_sync(stream), TMB_EIO);
        assert_true(port.failed);
        /* The next appends meet another failed sync, or none; then all is well. */
        port.fail_at = port.calls[TEST_OP_SYNC] + nth;
        tmb_err err = TMB_EIO;
        for (unsigned tries = 0; tries < 10 && err != TMB_OK; tries++) {
            uint64_t seq = 0;
            tmb_record record = fixture_record(9);
            err = tmb_journal_append(stream, &record, now, &seq);
            if (err == TMB_OK)
                err = tmb_journal_sync(stream);
        }
        assert_int_equal(err, TMB_OK);
        port.fail_op = -1;
        assert_int_equal(stat(first, &later), 0);
        assert_int_equal(later.st_size,
                         safe.st_size); /* nothing but what a good sync has covered */
        assert_true(fixture_newest(root, "data", newest));
        assert_string_not_equal(first, newest);
        tmb_rng rng = {nth};
        test_port_lose_power(&port, &rng);
        tmb_journal_close(journal);
        fixture_read_log(root, "data", &log);
        assert_int_equal(log.count, 6);
        assert_int_equal(log.indexes[4], 5);
        assert_int_equal(log.indexes[5], 9);
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(numbers_of_shed_messages_are_a_gap),
        CASE(a_probe_keeps_them_over_a_restart),
        CASE(a_probe_says_when_the_disk_is_well_again),
        CASE(a_careful_writer_shows_nothing_that_it_refuses),
        CASE(drops_the_oldest_for_room_and_tells),
        CASE(a_file_that_cannot_go_stays_and_that_is_told),
        CASE(what_retention_drops_has_only_its_records),
        CASE(a_file_whose_sync_failed_is_never_trusted_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
