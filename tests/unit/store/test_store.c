// SPDX-License-Identifier: Apache-2.0
/* tests/unit/store/test_store.c - the store on a real RocksDB: kept, never lowered, kill -9, another
 * journal, damaged files, another process, a full disk.
 *
 * Every injected fault asserts that it took place: a disk that was not full would make the test green for
 * nothing.
 */
#define _DEFAULT_SOURCE     /* mount, mkdtemp */
#define _XOPEN_SOURCE   700 /* nftw */
#include "syncd/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"

static char folder[64];
static char path[128];

static const tmb_incarnation LIFE_A = {{1, 2, 3}};
static const tmb_incarnation LIFE_B = {{9, 9, 9}};

static int remove_one(const char *name, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(name);
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/tmb-store-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/a/store", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static tmb_store *open_store(bool expect_reset)
{
    tmb_store *store = NULL;
    bool was_reset = !expect_reset;
    char text[400];
    tmb_err err = tmb_store_open(path, &store, &was_reset, text, sizeof text);
    if (err != TMB_OK)
        print_error("open: %s: %s\n", tmb_err_name(err), text);
    assert_int_equal(err, TMB_OK);
    assert_int_equal(was_reset, expect_reset);
    tmb_store_reserve_set(store, 0);
    return store;
}

static uint64_t mark_of(tmb_store *store, const char *child, const char *stream)
{
    uint64_t seq = UINT64_MAX;
    assert_int_equal(
        tmb_store_mark_get(store, tmb_bytes_str(child), &LIFE_A, tmb_bytes_str(stream), &seq),
        TMB_OK);
    return seq;
}

static tmb_err put_mark(tmb_store *store, const char *child, const char *stream, uint64_t seq)
{
    return tmb_store_mark_put(store, tmb_bytes_str(child), &LIFE_A, tmb_bytes_str(stream), seq);
}

static void test_roundtrip_and_never_lower(void **state)
{
    (void)state;
    char long_child[TMB_NAME_BYTES_MAX + 1], long_stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    memset(long_child, 'c', sizeof long_child - 1);
    long_child[sizeof long_child - 1] = 0;
    memset(long_stream, 's', sizeof long_stream - 1);
    long_stream[sizeof long_stream - 1] = 0;

    tmb_store *store = open_store(false);
    assert_int_equal(mark_of(store, "s1", "default"), 0);
    assert_int_equal(put_mark(store, "s1", "default", 17), TMB_OK);
    assert_int_equal(put_mark(store, "s1", "default", 5), TMB_OK);
    assert_int_equal(put_mark(store, long_child, long_stream, UINT64_MAX), TMB_OK);
    assert_int_equal(mark_of(store, "s1", "default"), 17);
    /* Names that run together the same way are different keys. */
    assert_int_equal(put_mark(store, "ab", "c", 1), TMB_OK);
    assert_int_equal(put_mark(store, "a", "bc", 2), TMB_OK);

    uint64_t seq = 0;
    tmb_bytes stream = tmb_bytes_str("default");
    assert_int_equal(tmb_store_cursor_put(store, &LIFE_A, stream, 40), TMB_OK);
    assert_int_equal(tmb_store_cursor_put(store, &LIFE_A, stream, 39), TMB_OK);
    assert_int_equal(tmb_store_cursor_get(store, &LIFE_B, stream, &seq), TMB_OK);
    assert_int_equal(seq, 0);
    uint64_t boots = 0;
    assert_int_equal(tmb_store_boot(store, &boots), TMB_OK);
    assert_int_equal(boots, 1);
    tmb_store_close(store);

    store = open_store(false);
    assert_int_equal(mark_of(store, "s1", "default"), 17);
    assert_true(mark_of(store, long_child, long_stream) == UINT64_MAX);
    assert_int_equal(mark_of(store, "ab", "c"), 1);
    assert_int_equal(mark_of(store, "a", "bc"), 2);
    assert_int_equal(tmb_store_cursor_get(store, &LIFE_A, stream, &seq), TMB_OK);
    assert_int_equal(seq, 40);
    assert_int_equal(tmb_store_boot(store, &boots), TMB_OK);
    assert_int_equal(boots, 2);
    tmb_store_close(store);
    tmb_store_close(NULL);
}

static void test_name_too_long_is_refused(void **state)
{
    (void)state;
    char child[TMB_NAME_BYTES_MAX + TMB_STREAM_NAME_BYTES_MAX + 2];
    memset(child, 'c', sizeof child - 1);
    child[sizeof child - 1] = 0;
    tmb_store *store = open_store(false);
    assert_int_equal(put_mark(store, child, "default", 1), TMB_EINVAL);
    tmb_store_close(store);
}

static void test_other_journal_empties_marks(void **state)
{
    (void)state;
    bool was_emptied = true;
    uint64_t seq = 0;
    tmb_store *store = open_store(false);
    assert_int_equal(tmb_store_bind(store, &LIFE_A, &was_emptied), TMB_OK);
    assert_false(was_emptied);
    assert_int_equal(put_mark(store, "s1", "default", 17), TMB_OK);
    assert_int_equal(tmb_store_cursor_put(store, &LIFE_A, tmb_bytes_str("d"), 3), TMB_OK);
    assert_int_equal(tmb_store_bind(store, &LIFE_A, &was_emptied), TMB_OK);
    assert_false(was_emptied);
    assert_int_equal(mark_of(store, "s1", "default"), 17);
    assert_int_equal(tmb_store_bind(store, &LIFE_B, &was_emptied), TMB_OK);
    assert_true(was_emptied);
    assert_int_equal(mark_of(store, "s1", "default"), 0);
    assert_int_equal(tmb_store_cursor_get(store, &LIFE_A, tmb_bytes_str("d"), &seq), TMB_OK);
    assert_int_equal(seq, 3);
    tmb_store_close(store);

    store = open_store(false);
    assert_int_equal(tmb_store_bind(store, &LIFE_B, &was_emptied), TMB_OK);
    assert_false(was_emptied);
    tmb_store_close(store);
}

/* A child puts marks and reports each that returned; killed at some point, none that was reported is lost. */
static void test_kill_9_loses_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        int pipe_fd[2];
        assert_int_equal(pipe(pipe_fd), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            tmb_store *store = NULL;
            bool was_reset = false;
            if (tmb_store_open(path, &store, &was_reset, NULL, 0) != TMB_OK || was_reset)
                _exit(1);
            tmb_store_reserve_set(store, 0);
            uint64_t base = 0;
            if (tmb_store_mark_get(store, tmb_bytes_str("s1"), &LIFE_A, tmb_bytes_str("d"),
                                   &base) != TMB_OK)
                _exit(2);
            for (uint64_t seq = base + 1;; seq++) {
                if (put_mark(store, "s1", "d", seq) != TMB_OK ||
                    write(pipe_fd[1], &seq, sizeof seq) != sizeof seq)
                    _exit(3);
            }
        }
        (void)close(pipe_fd[1]);
        uint64_t seq = 0, reported = 0;
        for (int i = 0; i < 50 + round * 17; i++) {
            assert_int_equal(read(pipe_fd[0], &seq, sizeof seq), sizeof seq);
            reported = seq;
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        while (read(pipe_fd[0], &seq, sizeof seq) == sizeof seq)
            reported = seq;
        (void)close(pipe_fd[0]);

        tmb_store *store = open_store(false);
        uint64_t mark = mark_of(store, "s1", "d");
        assert_true(mark == reported || mark == reported + 1);
        tmb_store_close(store);
    }
}

static void test_second_process_is_told(void **state)
{
    (void)state;
    tmb_store *store = open_store(false);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        tmb_store *second = NULL;
        bool was_reset = false;
        char text[200];
        tmb_err err = tmb_store_open(path, &second, &was_reset, text, sizeof text);
        _exit(err == TMB_EBUSY && text[0] != 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    tmb_store_close(store);
}

static char found[256];
static const char *wanted_suffix;

static int find_one(const char *name, const struct stat *st, int kind, struct FTW *at)
{
    (void)at;
    size_t len = strlen(name), suffix = strlen(wanted_suffix);
    if (kind == FTW_F && st->st_size > 0 && len > suffix &&
        strcmp(name + len - suffix, wanted_suffix) == 0 && len < sizeof found) {
        memcpy(found, name, len + 1);
        return 1;
    }
    return 0;
}

static void flip_byte_in_log(void)
{
    wanted_suffix = ".log";
    found[0] = 0;
    assert_int_equal(nftw(path, find_one, 16, FTW_PHYS), 1);
    int fd = open(found, O_RDWR);
    assert_true(fd >= 0);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    uint8_t byte = 0;
    assert_int_equal(pread(fd, &byte, 1, st.st_size / 2), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, st.st_size / 2), 1);
    assert_int_equal(close(fd), 0);
}

static void test_damaged_is_set_aside_and_told(void **state)
{
    (void)state;
    for (unsigned round = 1; round <= 2; round++) {
        tmb_store *store = open_store(false);
        for (uint64_t seq = 1; seq <= 20; seq++)
            assert_int_equal(put_mark(store, "s1", "d", seq), TMB_OK);
        tmb_store_close(store);
        flip_byte_in_log();

        bool was_reset = false;
        char text[600], aside[192];
        assert_int_equal(tmb_store_open(path, &store, &was_reset, text, sizeof text), TMB_OK);
        tmb_store_reserve_set(store, 0);
        assert_true(was_reset);
        (void)snprintf(aside, sizeof aside, "%s.damaged-%u", path, round);
        assert_non_null(strstr(text, aside));
        assert_int_equal(access(aside, F_OK), 0);
        assert_int_equal(mark_of(store, "s1", "d"), 0);
        assert_int_equal(put_mark(store, "s1", "d", 3), TMB_OK);
        tmb_store_close(store);
    }
}

static void test_lost_file_is_set_aside(void **state)
{
    (void)state;
    tmb_store *store = open_store(false);
    assert_int_equal(put_mark(store, "s1", "d", 3), TMB_OK);
    tmb_store_close(store);
    char current[192];
    (void)snprintf(current, sizeof current, "%s/CURRENT", path);
    int fd = open(current, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    (void)close(fd);
    store = open_store(true);
    assert_int_equal(mark_of(store, "s1", "d"), 0);
    tmb_store_close(store);
}

static void test_below_reserve_nothing_is_written(void **state)
{
    (void)state;
    tmb_store *store = open_store(false);
    assert_int_equal(put_mark(store, "s1", "d", 3), TMB_OK);
    tmb_store_reserve_set(store, UINT64_MAX);
    assert_int_equal(put_mark(store, "s1", "d", 4), TMB_ENOSPC);
    uint64_t boots = 0;
    assert_int_equal(tmb_store_boot(store, &boots), TMB_ENOSPC);
    assert_int_equal(mark_of(store, "s1", "d"), 3);
    tmb_store_reserve_set(store, 0);
    assert_int_equal(put_mark(store, "s1", "d", 4), TMB_OK);
    assert_int_equal(tmb_store_resets(store), 0);
    tmb_store_close(store);
}

/* Fills what is left, gives the errno that ended it. */
static int fill_up(const char *file)
{
    static char block[4096];
    int fd = open(file, O_CREAT | O_WRONLY | O_APPEND, 0600);
    assert_true(fd >= 0);
    errno = 0;
    while (write(fd, block, sizeof block) > 0) {
    }
    int why = errno;
    (void)close(fd);
    return why;
}

static void test_full_disk_is_an_error_not_an_abort(void **state)
{
    (void)state;
    char disk[96], filler[128];
    (void)snprintf(disk, sizeof disk, "%s/disk", folder);
    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=2m") != 0) {
        print_message("[  NOTE    ] no mount here (%s): covered by the reserve's test alone\n",
                      strerror(errno));
        skip();
    }
    (void)snprintf(path, sizeof path, "%s/store", disk);
    (void)snprintf(filler, sizeof filler, "%s/filler", disk);
    tmb_store *store = open_store(false);
    assert_int_equal(put_mark(store, "s1", "d", 1), TMB_OK);
    assert_int_equal(fill_up(filler), ENOSPC); /* the fault is there */

    tmb_err err = TMB_OK;
    uint64_t kept = 1;
    for (uint64_t seq = 2; seq < 20000 && err == TMB_OK; seq++) {
        err = put_mark(store, "s1", "d", seq);
        kept = err == TMB_OK ? seq : kept;
    }
    assert_int_equal(err, TMB_ENOSPC);              /* and it fired */
    assert_true(mark_of(store, "s1", "d") >= kept); /* a broken store still answers */

    assert_int_equal(unlink(filler), 0);
    err = put_mark(store, "s1", "d", 30001);
    assert_int_equal(err, TMB_OK);
    assert_int_equal(mark_of(store, "s1", "d"), 30001);
    print_message("kept %llu marks on the full disk, %u resets\n", (unsigned long long)kept,
                  tmb_store_resets(store));
    tmb_store_close(store);
    store = open_store(false);
    assert_int_equal(mark_of(store, "s1", "d"), 30001);
    tmb_store_close(store);
    assert_int_equal(umount2(disk, MNT_DETACH), 0);
}

static void test_chain_is_kept_with_its_mark(void **state)
{
    (void)state;
    tmb_store *store = open_store(false);
    tmb_chain mark = {.seq = 7, .is_known = true, .value = {1, 2, 3}}, got = {.seq = 99};
    tmb_bytes child = tmb_bytes_str("s1"), stream = tmb_bytes_str("main");
    assert_int_equal(tmb_store_proof_get(store, child, &LIFE_A, stream, &got), TMB_OK);
    assert_int_equal(got.seq, 0);
    assert_int_equal(tmb_store_proof_put(store, child, &LIFE_A, stream, &mark), TMB_OK);
    mark.seq = 5;
    mark.value[0] = 9;
    assert_int_equal(tmb_store_proof_put(store, child, &LIFE_A, stream, &mark),
                     TMB_OK); /* never lower */
    tmb_store_close(store);
    store = open_store(false);
    assert_int_equal(tmb_store_proof_get(store, child, &LIFE_A, stream, &got), TMB_OK);
    assert_true(got.is_known);
    assert_int_equal(got.seq, 7);
    assert_int_equal(got.value[0], 1);
    uint64_t seq = 0;
    assert_int_equal(tmb_store_mark_get(store, child, &LIFE_A, stream, &seq), TMB_OK);
    assert_int_equal(seq, 7);
    /* Higher, and the chain is not known; as an earlier build left it. */
    assert_int_equal(tmb_store_mark_put(store, child, &LIFE_A, stream, 8), TMB_OK);
    assert_int_equal(tmb_store_proof_get(store, child, &LIFE_A, stream, &got), TMB_OK);
    assert_int_equal(got.seq, 8);
    assert_false(got.is_known);
    tmb_store_close(store);
}

int main(void)
{
    (void)signal(SIGXFSZ, SIG_IGN);
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_roundtrip_and_never_lower),
        TEST(test_chain_is_kept_with_its_mark),
        TEST(test_name_too_long_is_refused),
        TEST(test_other_journal_empties_marks),
        TEST(test_kill_9_loses_nothing),
        TEST(test_second_process_is_told),
        TEST(test_damaged_is_set_aside_and_told),
        TEST(test_lost_file_is_set_aside),
        TEST(test_below_reserve_nothing_is_written),
        TEST(test_full_disk_is_an_error_not_an_abort),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
