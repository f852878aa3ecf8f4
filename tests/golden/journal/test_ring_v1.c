// SPDX-License-Identifier: Apache-2.0
/* The ring's format 1 is what these bytes are: the same records flushed today give the same bytes, and a ring
 * that an older version left behind is brought into the log.
 *
 * The folder ring-v1 beside this file, made once with TMB_GOLDEN_WRITE=1: a journal with three records in its
 * segment, and as `ring` the beginning of its ring's file, up to the end of the five records that it holds.
 * Argument: the folder ring-v1.
 */
#include "tests/unit/journal/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/ring.h"

#define RING_NAME "tombolo-s1-07070707000000000000000000000000-data.ring"

static const char *golden;
static char root[TEST_PATH_BYTES], folder[TEST_PATH_BYTES], path[2 * TEST_PATH_BYTES];
static uint8_t bytes[TMB_RING_BYTES];

static int setup(void **state)
{
    (void)state;
    fixture_make(root);
    assert_true(fixture_make_ring(folder));
    fixture_ring = folder;
    memset(bytes, 0, sizeof bytes);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(root);
    fixture_remove(folder);
    return 0;
}

static void the_same_bytes_are_written(void **state)
{
    (void)state;
    static uint8_t stored[TMB_RING_BYTES];
    tmb_ring_state ring;
    tmb_journal *journal = fixture_open(root, NULL, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    fixture_append(stream, 4, 8);
    assert_int_equal(tmb_journal_flush(stream), TMB_OK);
    snprintf(path, sizeof path, "%s/" RING_NAME, folder);
    assert_int_equal(fixture_read(path, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(tmb_ring_decode(tmb_bytes_of(bytes, sizeof bytes), &ring), TMB_OK);
    size_t len = TMB_RING_HEADER_BYTES + ring.committed.len;
    snprintf(path, sizeof path, "%s/ring", golden);
    if (getenv("TMB_GOLDEN_WRITE")) {
        char note[2 * TEST_PATH_BYTES];
        fixture_copy(root, golden);
        fixture_write(path, bytes, len);
        snprintf(note, sizeof note, "%s/.ring", golden);
        unlink(note);
    }
    tmb_journal_close(journal);
    assert_int_equal(fixture_read(path, stored, sizeof stored), len);
    assert_memory_equal(stored, bytes, len);
}

static void the_stored_bytes_are_read(void **state)
{
    (void)state;
    static fixture_log log;
    fixture_copy(golden, root);
    fixture_move_ring(root, folder);
    snprintf(path, sizeof path, "%s/ring", golden);
    size_t len = fixture_read(path, bytes, sizeof bytes);
    assert_true(len > TMB_RING_HEADER_BYTES && len < sizeof bytes);
    snprintf(path, sizeof path, "%s/" RING_NAME, folder);
    fixture_write(path, bytes, sizeof bytes);
    assert_int_equal(chmod(path, 0600), 0);
    tmb_journal *journal = fixture_open(root, NULL, 0);
    fixture_stream(journal, "data");
    assert_int_equal(tmb_journal_counts_get(journal)->ring_bytes, len - TMB_RING_HEADER_BYTES);
    tmb_journal_close(journal);
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.count, 8);
    assert_int_equal(log.gaps_count, 0);
    for (size_t i = 0; i < log.count; i++)
        assert_int_equal(log.indexes[i], i + 1);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    if (access("/dev/shm", W_OK) != 0)
        return 77; /* no place in memory: skipped */
    golden = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_bytes_are_written, setup, teardown),
        cmocka_unit_test_setup_teardown(the_stored_bytes_are_read, setup, teardown),
    };
    return cmocka_run_group_tests_name("golden.journal.ring", tests, NULL, NULL);
}
