// SPDX-License-Identifier: Apache-2.0
/* The ring: a process killed at any moment loses nothing that was flushed, a disk that fails takes nothing
 * back, and whatever somebody does to the ring's file, no wrong record comes of it.
 */
#include "tests/unit/journal/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "journal/ring.h"

#define SEGMENT_BYTES 900

static char root[TEST_PATH_BYTES], ring[TEST_PATH_BYTES];
static char copy[TEST_PATH_BYTES], copy_ring[TEST_PATH_BYTES];
static test_port port;
static fixture_log found;

static int setup(void **state)
{
    (void)state;
    if (!fixture_make_ring(ring) || !fixture_make_ring(copy_ring))
        return 1;
    fixture_make(root);
    fixture_make(copy);
    fixture_ring = ring;
    test_port_init(&port);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(root);
    fixture_remove(ring);
    fixture_remove(copy);
    fixture_remove(copy_ring);
    fixture_ring = NULL;
    return 0;
}

/* What kill -9 at this moment would leave, in copy and copy_ring. */
static void take_copy(void)
{
    fixture_remove(copy);
    fixture_remove(copy_ring);
    fixture_copy(root, copy);
    fixture_copy(ring, copy_ring);
    if (access(root, F_OK) == 0)
        fixture_move_ring(copy, copy_ring);
}

static bool find_ring(const char *folder, char path[TEST_PATH_BYTES])
{
    snprintf(path, TEST_PATH_BYTES, "%.190s/tombolo-s1-07070707000000000000000000000000-data.ring",
             folder);
    return access(path, F_OK) == 0;
}

/* Opens the copy as the next process does, and reads it. */
static tmb_journal_counts open_copy(const char *rings)
{
    fixture_ring = rings;
    tmb_journal *journal = fixture_open(copy, NULL, SEGMENT_BYTES);
    fixture_stream(journal, "data");
    tmb_journal_counts counts = *tmb_journal_counts_get(journal);
    tmb_journal_close(journal);
    fixture_ring = ring;
    fixture_read_log(copy, "data", &found);
    assert_int_equal(found.err, TMB_EAGAIN);
    return counts;
}

static bool is_found(uint64_t seq, uint64_t index)
{
    for (size_t i = 0; i < found.count; i++)
        if (found.seqs[i] == seq)
            return found.indexes[i] == index;
    return false;
}

/* ---- killed ------------------------------------------------------------------------------------------- */

/* What was flushed and when it was given up, by number; index and number are the same while nothing fails. */
static uint64_t flushed;
static bool is_checking;
static unsigned kills;

static void kill_here(void *arg)
{
    (void)arg;
    if (is_checking)
        return;
    is_checking = true;
    take_copy();
    tmb_journal_counts counts = open_copy(copy_ring);
    assert_int_equal(counts.damaged_ranges + counts.ring_troubles, 0);
    for (uint64_t seq = 1; seq <= flushed; seq++)
        assert_true(is_found(seq, seq));
    assert_int_equal(found.gaps_count, 0);
    kills++;
    is_checking = false;
}

/* A record that does not change when another is made meanwhile. */
static void append_kept(tmb_journal_stream *stream, uint64_t index)
{
    uint8_t bytes[2048];
    size_t len = 0;
    uint64_t seq = 0;
    tmb_record record = fixture_record(index);
    record.seq = 1;
    assert_int_equal(tmb_record_encode(&record, bytes, sizeof bytes, &len), TMB_OK);
    assert_int_equal(tmb_record_decode(tmb_bytes_of(bytes, len), &record, &len), TMB_OK);
    assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){1}, &seq), TMB_OK);
    assert_int_equal(seq, index);
}

static void killed_at_each_call(void **state)
{
    (void)state;
    flushed = 0;
    kills = 0;
    tmb_journal *journal = fixture_open(root, &port.port, SEGMENT_BYTES);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    port.before_call = kill_here;
    for (uint64_t i = 1; i <= 40; i++) {
        append_kept(stream, i);
        kill_here(NULL);
        if (i % 4 != 3) {
            assert_int_equal(tmb_journal_flush(stream), TMB_OK);
            flushed = i;
            kill_here(NULL);
        }
        if (i % 7 == 6) {
            assert_int_equal(tmb_journal_write(stream), TMB_OK);
            flushed = i;
        }
        if (i % 13 == 12) {
            assert_int_equal(tmb_journal_sync(stream), TMB_OK);
            flushed = i;
        }
    }
    tmb_journal_close(journal);
    port.before_call = NULL;
    flushed = 40;
    kill_here(NULL);
    assert_true(kills > 100);
}

/* In the middle of a write: the file has some of the bytes, the ring all. */
static void killed_at_each_byte_of_a_write(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES];
    static uint8_t whole[65536];
    tmb_journal *journal = fixture_open(root, NULL, 100000);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    assert_true(fixture_newest(root, "data", path));
    size_t before = fixture_read(path, whole, sizeof whole);
    fixture_append(stream, 4, 8);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    assert_true(tmb_journal_has_unwritten(stream));
    take_copy();
    fixture_copy(copy_ring, copy); /* kept beside, for each turn */
    assert_int_equal(tmb_journal_write(stream), TMB_OK);
    assert_false(tmb_journal_has_unwritten(stream));
    size_t after = fixture_read(path, whole, sizeof whole);
    assert_true(after > before + 200);
    tmb_journal_close(journal);
    for (size_t len = before; len <= after; len++) {
        char ring_path[TEST_PATH_BYTES], kept[TEST_PATH_BYTES];
        static uint8_t bytes[TMB_RING_BYTES];
        assert_true(fixture_newest(copy, "data", path));
        fixture_write(path, whole, len);
        assert_true(find_ring(copy, kept));
        assert_int_equal(fixture_read(kept, bytes, sizeof bytes), TMB_RING_BYTES);
        (void)find_ring(copy_ring, ring_path);
        fixture_write(ring_path, bytes, sizeof bytes);
        assert_int_equal(chmod(ring_path, 0600), 0);
        tmb_journal_counts counts = open_copy(copy_ring);
        assert_int_equal(counts.ring_bytes, after - len);
        assert_int_equal(counts.torn_bytes + counts.damaged_ranges + counts.ring_troubles, 0);
        assert_int_equal(found.count, 8);
        for (uint64_t seq = 1; seq <= 8; seq++)
            assert_true(is_found(seq, seq));
    }
}

static void a_ring_is_emptied_when_rings_are_off(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES];
    tmb_journal *journal = fixture_open(root, NULL, SEGMENT_BYTES);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 5);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    take_copy();
    tmb_journal_close(journal);
    assert_false(find_ring(ring, path)); /* closed well: nothing is left */
    assert_true(find_ring(copy_ring, path));
    tmb_journal_counts counts = open_copy(NULL);
    assert_true(counts.ring_bytes > 0);
    assert_int_equal(found.count, 5);
    assert_false(find_ring(copy_ring, path));
    snprintf(path, sizeof path, "%.200s/.ring", copy);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* ---- a disk that fails -------------------------------------------------------------------------------- */

static void a_full_disk_takes_nothing_back(void **state)
{
    (void)state;
    uint64_t seq = 0;
    tmb_record record = fixture_record(9);
    tmb_journal *journal = fixture_open(root, &port.port, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    fixture_append(stream, 4, 5); /* not flushed: may go */
    port.fail_op = TEST_OP_WRITE;
    port.fail_at = port.calls[TEST_OP_WRITE] + 1;
    port.fails_on = port.is_short = true;
    port.error = ENOSPC;
    assert_int_equal(tmb_journal_sync(stream), TMB_ENOSPC);
    assert_true(port.failed);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){1}, &seq), TMB_ENOSPC);
        assert_int_equal(tmb_journal_settle(stream, (tmb_wall){1}), TMB_ENOSPC);
    }
    take_copy(); /* killed while the disk is full, started when it is not */
    open_copy(copy_ring);
    assert_int_equal(found.count, 3);
    port.fail_op = -1;
    assert_int_equal(tmb_journal_settle(stream, (tmb_wall){1}), TMB_OK);
    fixture_read_log(root, "data", &found);
    assert_int_equal(found.count, 3);
    assert_int_equal(fixture_append(stream, 6, 6), 6); /* 4 and 5 are never given again */
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    tmb_journal_close(journal);
    fixture_read_log(root, "data", &found);
    assert_int_equal(found.count, 4);
    for (uint64_t i = 1; i <= 6; i++)
        assert_int_equal(is_found(i, i), i < 4 || i == 6);
    assert_int_equal(found.gaps_count, 1);
    assert_int_equal(found.gaps[0].reason, TMB_GAP_TORN);
    assert_int_equal(found.gaps[0].first_seq, 4);
    assert_int_equal(found.gaps[0].last_seq, 5);
}

static void closed_on_a_full_disk_and_opened_again(void **state)
{
    (void)state;
    char text[512] = "", path[TEST_PATH_BYTES];
    tmb_journal *journal = fixture_open(root, &port.port, 0);
    fixture_append(fixture_stream(journal, "data"), 1, 1);
    tmb_journal_close(journal);
    journal = fixture_open(root, &port.port, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 2, 4);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    port.fail_op = TEST_OP_WRITE;
    port.fail_at = 1;
    port.fails_on = true;
    port.error = ENOSPC;
    tmb_journal_close(journal);
    assert_true(find_ring(ring, path));
    tmb_journal_options options = {
        .root = root, .node = "s1", .files = &port.port, .ring_folder = ring};
    assert_int_equal(tmb_journal_open(&options, &journal, text, sizeof text), TMB_ENOSPC);
    assert_non_null(strstr(text, "acknowledged"));
    assert_non_null(strstr(text, path));
    port.fail_op = -1;
    journal = fixture_open(root, &port.port, 0);
    assert_int_equal(fixture_append(fixture_stream(journal, "data"), 5, 5), 5);
    tmb_journal_close(journal);
    fixture_read_log(root, "data", &found);
    assert_int_equal(found.count, 5);
    assert_int_equal(found.gaps_count, 0);
}

static void large_records_go_past_the_ring(void **state)
{
    (void)state;
    size_t len = 2 * TMB_RING_BUFFER_BYTES;
    uint8_t *payload = test_calloc(1, len);
    uint64_t seq = 0;
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    tmb_record big = {.topic = tmb_bytes_str("big"), .payload = tmb_bytes_of(payload, len)};
    tmb_record small = {.topic = tmb_bytes_str("small")};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(tmb_journal_append(stream, &small, (tmb_wall){1}, &seq), TMB_OK);
        assert_int_equal(tmb_journal_flush(stream), TMB_OK);
        assert_true(tmb_journal_has_unwritten(stream));
        assert_int_equal(tmb_journal_append(stream, &big, (tmb_wall){1}, &seq), TMB_OK);
        assert_int_equal(tmb_journal_flush(stream), TMB_OK);
        assert_false(tmb_journal_has_unwritten(stream));
    }
    tmb_journal_close(journal);
    test_free(payload);
    tmb_verify_report report;
    assert_int_equal(tmb_verify_stream(root, "data", NULL, NULL, NULL, &report), TMB_OK);
    assert_int_equal(report.records, 6);
    assert_int_equal(report.gaps, 0);
}

/* ---- files that are not as they were ------------------------------------------------------------------ */

/* Records 1 to 3 in the segment, 4 to 8 in the ring of the copy; gives the ring's path and bytes. */
static void leave_records(char path[TEST_PATH_BYTES], uint8_t bytes[TMB_RING_BYTES])
{
    tmb_journal *journal = fixture_open(root, NULL, 100000);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    fixture_append(stream, 4, 8);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    take_copy();
    tmb_journal_close(journal);
    assert_true(find_ring(copy_ring, path));
    assert_int_equal(fixture_read(path, bytes, TMB_RING_BYTES), TMB_RING_BYTES);
}

static void each_bit_flipped(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES], segment[TEST_PATH_BYTES];
    static uint8_t bytes[TMB_RING_BYTES], records[4096];
    unsigned whole = 0;
    leave_records(path, bytes);
    assert_true(fixture_newest(copy, "data", segment));
    size_t len = fixture_read(segment, records, sizeof records);
    for (size_t at = 0; at < TMB_RING_HEADER_BYTES + 900; at++) {
        if (at == 280)
            at = TMB_RING_HEADER_BYTES; /* what is between means nothing */
        for (unsigned bit = 0; bit < 8; bit += at < 264 ? 1 : 3) {
            fixture_remove(copy);
            mkdir(copy, 0700);
            fixture_copy(root, copy);
            fixture_move_ring(copy, copy_ring);
            assert_true(fixture_newest(copy, "data", segment));
            fixture_write(segment, records, len);
            bytes[at] ^= (uint8_t)(1u << bit);
            fixture_write(path, bytes, sizeof bytes);
            assert_int_equal(chmod(path, 0600), 0);
            bytes[at] ^= (uint8_t)(1u << bit);
            tmb_journal_counts counts =
                open_copy(copy_ring); /* asserts that records are as written */
            for (uint64_t seq = 1; seq <= 3; seq++)
                assert_true(is_found(seq, seq));
            whole += found.count == 8;
            if (found.count < 8)
                assert_true(counts.damaged_ranges + counts.ring_troubles > 0);
            for (size_t i = 0; i < found.count; i++)
                assert_int_equal(found.seqs[i], found.indexes[i]);
            unlink(path);
        }
    }
    assert_true(whole > 100); /* the committed length and zero bytes can be made up for */
}

static void a_ring_of_another_state_is_left_alone(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES], segment[TEST_PATH_BYTES];
    static uint8_t bytes[TMB_RING_BYTES], records[4096];
    leave_records(path, bytes);
    assert_true(fixture_newest(copy, "data", segment));
    size_t len = fixture_read(segment, records, sizeof records);
    /* An older copy of the segment; then one that went on another way. */
    for (unsigned turn = 0; turn < 2; turn++) {
        fixture_write(segment, records, len - 60);
        if (turn == 1) {
            fixture_ring = NULL;
            tmb_journal *journal = fixture_open(copy, NULL, 100000);
            fixture_append(fixture_stream(journal, "data"), 50, 55);
            tmb_journal_close(journal);
            fixture_move_ring(copy, copy_ring);
        }
        fixture_ring = copy_ring;
        tmb_journal *journal = fixture_open(copy, NULL, 100000);
        tmb_journal_stream *stream = fixture_stream(journal, "data");
        assert_false(tmb_journal_has_ring(stream));
        assert_non_null(strstr(tmb_journal_ring_note(journal), "another state"));
        assert_int_equal(tmb_journal_counts_get(journal)->ring_bytes, 0);
        fixture_append(stream, 60, 60);
        assert_int_equal(tmb_journal_flush(stream), TMB_OK);
        tmb_journal_close(journal);
        fixture_read_log(copy, "data", &found);
        assert_int_equal(found.err, TMB_EAGAIN);
        for (size_t i = 0; i < found.count; i++)
            assert_true(found.indexes[i] <= 2 || found.indexes[i] >= 50);
        static uint8_t now[TMB_RING_BYTES];
        assert_int_equal(fixture_read(path, now, sizeof now), sizeof now);
        assert_memory_equal(now, bytes, sizeof now);
        fixture_ring = ring;
    }
}

static void a_ring_in_use_is_not_touched(void **state)
{
    (void)state;
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    take_copy();
    fixture_move_ring(copy, ring); /* the copied journal looks where the first one works */
    tmb_journal *other = fixture_open(copy, NULL, 0);
    assert_non_null(strstr(tmb_journal_ring_note(other), "another process"));
    assert_false(tmb_journal_has_ring(fixture_stream(other, "data")));
    tmb_journal_close(other);
    fixture_append(stream, 4, 4);
    tmb_journal_close(journal);
    fixture_read_log(root, "data", &found);
    assert_int_equal(found.count, 4);
}

static void removed_while_in_use(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES];
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    assert_true(tmb_journal_has_ring(stream));
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    assert_true(find_ring(ring, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(tmb_journal_write(stream), TMB_OK);
    assert_false(tmb_journal_has_ring(stream));
    assert_non_null(strstr(tmb_journal_ring_note(journal), "removed"));
    fixture_append(stream, 4, 5);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    assert_false(tmb_journal_has_unwritten(stream));
    tmb_journal_close(journal);
    fixture_read_log(root, "data", &found);
    assert_int_equal(found.count, 5);
}

static void without_a_ring_it_works_as_well(void **state)
{
    (void)state;
    static const char *const bad[] = {"/proc", "/nowhere/at/all"};
    for (size_t i = 0; i < 2; i++) {
        fixture_ring = bad[i];
        tmb_journal *journal = fixture_open(root, NULL, 0);
        tmb_journal_stream *stream = fixture_stream(journal, "data");
        assert_false(tmb_journal_has_ring(stream));
        assert_non_null(strstr(tmb_journal_ring_note(journal), bad[i]));
        assert_int_equal(tmb_journal_counts_get(journal)->ring_troubles, 1);
        fixture_append(stream, i + 1, i + 1);
        assert_int_equal(tmb_journal_flush(stream), TMB_OK);
        assert_false(tmb_journal_has_unwritten(stream));
        tmb_journal_close(journal);
    }
}

static void a_stream_that_is_always_synced_gives_its_ring_back(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES];
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    assert_true(find_ring(ring, path));
    tmb_journal_drop_ring(stream);
    assert_false(find_ring(ring, path));
    assert_false(tmb_journal_has_ring(stream));
    assert_int_equal(tmb_journal_counts_get(journal)->ring_troubles, 0);
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    assert_false(tmb_journal_has_unwritten(stream));
    tmb_journal_drop_ring(stream); /* has none */
    tmb_journal_close(journal);
}

/* All that is in the buffer was acked: behind it there is nothing to take space for. */
static void a_careful_writer_takes_space_for_what_is_acked_once(void **state)
{
    (void)state;
    tmb_journal *journal = fixture_open(root, &port.port, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    tmb_journal_set_careful(journal, true);
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    assert_true(tmb_journal_has_unwritten(stream));
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    assert_int_equal(port.calls[TEST_OP_ALLOCATE], 1);
    assert_int_equal(tmb_journal_counts_get(journal)->failures, 0);
    tmb_journal_close(journal);
}

/* A page of a disk's file that cannot be read ends the process. */
static void a_file_on_a_disk_is_never_mapped(void **state)
{
    (void)state;
    char path[] = "ring-on-disk-XXXXXX";
    void *memory = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    int rc = tmb_file_port_posix()->map(NULL, fd, TMB_RING_BYTES, &memory);
    close(fd);
    unlink(path);
    if (rc == 0)
        skip(); /* built in memory */
    assert_int_equal(rc, -EINVAL);
    assert_null(memory);
}

static void its_file_is_private_and_no_link(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES], trap[TEST_PATH_BYTES];
    struct stat st;
    tmb_journal *journal = fixture_open(root, NULL, 0);
    fixture_stream(journal, "data");
    assert_true(find_ring(ring, path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, TMB_RING_BYTES);
    assert_true(st.st_blocks * 512 >= TMB_RING_BYTES); /* no page is still to be found */
    tmb_journal_close(journal);
    snprintf(trap, sizeof trap, "%.200s/trap", ring);
    fixture_write(trap, (const uint8_t *)"x", 1);
    assert_int_equal(symlink(trap, path), 0);
    char text[512] = "";
    tmb_journal_options options = {.root = root, .node = "s1", .ring_folder = ring};
    assert_int_not_equal(tmb_journal_open(&options, &journal, text, sizeof text), TMB_OK);
    assert_int_equal(stat(trap, &st), 0);
    assert_int_equal(st.st_size, 1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(trap), 0);
}

static void others_may_not_write_it(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES], text[512] = "";
    static uint8_t bytes[TMB_RING_BYTES];
    tmb_journal *journal = NULL;
    leave_records(path, bytes);
    assert_int_equal(chmod(path, 0666), 0);
    tmb_journal_options options = {.root = copy, .node = "s1", .ring_folder = copy_ring};
    assert_int_equal(tmb_journal_open(&options, &journal, text, sizeof text), TMB_EDENIED);
    assert_non_null(strstr(text, "0600"));
    assert_int_equal(chmod(path, 0600), 0);
    open_copy(copy_ring);
    assert_int_equal(found.count, 8);
}

static void a_newer_version_is_not_thrown_away(void **state)
{
    (void)state;
    char path[TEST_PATH_BYTES], text[512] = "";
    static uint8_t bytes[TMB_RING_BYTES];
    tmb_journal *journal = NULL;
    leave_records(path, bytes);
    uint8_t header[TMB_RING_HEADER_BYTES] = {0};
    memcpy(header, bytes, 192);
    header[8] = 2;
    uint32_t crc = tmb_crc32c(0, tmb_bytes_of(header, 12));
    crc = tmb_crc32c(crc, tmb_bytes_of(header + 16, 176));
    tmb_writer w = tmb_writer_of(header + 12, 4);
    tmb_put_u32(&w, crc);
    memcpy(bytes, header, 192);
    fixture_write(path, bytes, sizeof bytes);
    tmb_journal_options options = {.root = copy, .node = "s1", .ring_folder = copy_ring};
    assert_int_equal(tmb_journal_open(&options, &journal, text, sizeof text), TMB_EVERSION);
    assert_non_null(strstr(text, "newer version"));
    assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
    if (access("/dev/shm", W_OK) != 0)
        return 77; /* no place in memory: skipped */
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(killed_at_each_call),
        CASE(killed_at_each_byte_of_a_write),
        CASE(a_ring_is_emptied_when_rings_are_off),
        CASE(a_full_disk_takes_nothing_back),
        CASE(closed_on_a_full_disk_and_opened_again),
        CASE(large_records_go_past_the_ring),
        CASE(each_bit_flipped),
        CASE(a_ring_of_another_state_is_left_alone),
        CASE(a_ring_in_use_is_not_touched),
        CASE(removed_while_in_use),
        CASE(without_a_ring_it_works_as_well),
        CASE(a_stream_that_is_always_synced_gives_its_ring_back),
        CASE(a_careful_writer_takes_space_for_what_is_acked_once),
        CASE(a_file_on_a_disk_is_never_mapped),
        CASE(its_file_is_private_and_no_link),
        CASE(others_may_not_write_it),
        CASE(a_newer_version_is_not_thrown_away),
    };
    return cmocka_run_group_tests_name("journal.ring", tests, NULL, NULL);
}
