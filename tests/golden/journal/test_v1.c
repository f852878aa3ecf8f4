// SPDX-License-Identifier: Apache-2.0
/* Format 1 is what these files are, for ever: the same records written today give the same bytes, and the
 * stored bytes read back as the same records.
 *
 * The folder v1 beside this file, made once with TMB_GOLDEN_WRITE=1: 12 records, three segments, one of them
 * behind a torn write, and expected.jsonl as tombolo-journal dumps it. Argument: the folder v1.
 */
#include "tests/unit/journal/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/segment.h"

static const char *golden;
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

static void compare(const char *name)
{
    static uint8_t a[65536], b[65536];
    char path[2 * TEST_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", golden, name);
    size_t a_len = fixture_read(path, a, sizeof a);
    snprintf(path, sizeof path, "%s/%s", root, name);
    size_t b_len = fixture_read(path, b, sizeof b);
    assert_int_equal(a_len, b_len);
    assert_memory_equal(a, b, a_len);
}

/* Eight records in two segments, the ninth cut short, three more behind it. */
static void write_all(void)
{
    char path[TEST_PATH_BYTES];
    uint8_t bytes[8192];
    fixture_fill(root, 9, 1100);
    assert_true(fixture_newest(root, "data", path));
    size_t len = fixture_read(path, bytes, sizeof bytes);
    assert_int_equal(truncate(path, (off_t)(len - 7)), 0);
    tmb_journal *journal = fixture_open(root, NULL, 1100);
    fixture_append(fixture_stream(journal, "data"), 10, 13);
    tmb_journal_close(journal);
}

static void the_same_bytes_are_written(void **state)
{
    (void)state;
    tmb_segment_list list = {NULL, 0, 0};
    char folder[2 * TEST_PATH_BYTES];
    write_all();
    if (getenv("TMB_GOLDEN_WRITE"))
        fixture_copy(root, golden);
    compare("identity");
    snprintf(folder, sizeof folder, "%s/data", root);
    assert_int_equal(tmb_segment_list_load(&list, tmb_file_port_posix(), folder), TMB_OK);
    assert_int_equal(list.count, 3);
    for (size_t i = 0; i < list.count; i++) {
        char name[TMB_SEGMENT_NAME_BYTES], path[TEST_PATH_BYTES];
        tmb_segment_name(list.bases[i], name);
        snprintf(path, sizeof path, "data/%s", name);
        compare(path);
    }
    tmb_segment_list_fini(&list);
}

static void the_stored_bytes_are_read(void **state)
{
    (void)state;
    static fixture_log log;
    tmb_identity identity;
    fixture_read_log(golden, "data", &log);
    assert_int_equal(log.err, TMB_EAGAIN);
    assert_int_equal(log.count, 12);
    assert_int_equal(log.gaps_count, 1);
    assert_int_equal(log.gaps[0].reason, TMB_GAP_TORN);
    for (size_t i = 0; i < log.count; i++)
        assert_int_equal(log.indexes[i], i < 8 ? i + 1 : i + 2);
    assert_int_equal(tmb_verify_identity(golden, NULL, &identity), TMB_OK);
    assert_string_equal(identity.node, "s1");
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    golden = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_bytes_are_written, setup, teardown),
        cmocka_unit_test(the_stored_bytes_are_read),
    };
    return cmocka_run_group_tests_name("golden.journal.v1", tests, NULL, NULL);
}
