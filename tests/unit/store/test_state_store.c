// SPDX-License-Identifier: Apache-2.0
/* tests/unit/store/test_state_store.c - transactions on a real RocksDB: the same as in memory, kept after a
 * kill, refused when the disk is full, at home or moved, set aside when damaged.
 */
#define _DEFAULT_SOURCE     /* mount, mkdtemp */
#define _XOPEN_SOURCE   700 /* nftw */
#include "syncd/store/state_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sim/kv_memory.h"
#include "syncd/store/store.h"

static char folder[64];
static char path[128];

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
    (void)snprintf(folder, sizeof folder, "/tmp/tmb-state-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/a/state", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static tmb_state_store *open_store(bool expect_reset)
{
    tmb_state_store *store = NULL;
    bool was_reset = !expect_reset;
    char text[512];
    assert_int_equal(tmb_state_store_open(path, &store, &was_reset, text, sizeof text), TMB_OK);
    assert_int_equal(was_reset, expect_reset);
    if (expect_reset)
        assert_non_null(strstr(text, ".damaged-1"));
    return store;
}

static void put_one(tmb_state_store *store, const char *key, const char *value, bool is_synced)
{
    tmb_kv kv;
    assert_int_equal(tmb_state_store_begin(store, &kv), TMB_OK);
    assert_int_equal(kv.put(kv.arg, tmb_bytes_str(key), tmb_bytes_str(value)), TMB_OK);
    assert_int_equal(tmb_state_store_commit(store, is_synced), TMB_OK);
}

static void expect(tmb_state_store *store, const char *key, const char *value)
{
    tmb_kv kv;
    tmb_bytes found = {NULL, 0};
    assert_int_equal(tmb_state_store_begin(store, &kv), TMB_OK);
    assert_int_equal(kv.get(kv.arg, tmb_bytes_str(key), &found), value ? TMB_OK : TMB_ENOENT);
    if (value)
        assert_true(tmb_bytes_eq(found, tmb_bytes_str(value)));
    tmb_state_store_abort(store);
}

/* Random transactions, each call answered as the store in memory answers. */
static void test_it_answers_as_the_store_in_memory(void **state)
{
    (void)state;
    tmb_state_store *store = open_store(false);
    kv_memory disk = {0};
    tmb_kv memory = kv_memory_port(&disk), kv;
    tmb_rng rng = {7};
    char key[16];
    unsigned found = 0;
    for (unsigned round = 0; round < 60; round++) {
        assert_int_equal(tmb_state_store_begin(store, &kv), TMB_OK);
        for (unsigned i = 0; i < 50; i++) {
            (void)snprintf(key, sizeof key, "k%03u", (unsigned)tmb_rng_below(&rng, 200));
            tmb_bytes at = tmb_bytes_str(key), k, l, v = {NULL, 0}, w = {NULL, 0};
            uint64_t what = tmb_rng_below(&rng, 6);
            if (what < 2) {
                assert_int_equal(kv.put(kv.arg, at, at), memory.put(memory.arg, at, at));
            } else if (what == 2) {
                assert_int_equal(kv.del(kv.arg, at), memory.del(memory.arg, at));
            } else if (what == 3) {
                tmb_err err = memory.get(memory.arg, at, &w);
                assert_int_equal(kv.get(kv.arg, at, &v), err);
                assert_true(tmb_bytes_eq(v, w));
            } else {
                for (unsigned steps = 0; steps < 5; steps++) {
                    tmb_err err = memory.seek(memory.arg, at, &l, &w);
                    assert_int_equal(kv.seek(kv.arg, at, &k, &v), err);
                    if (err != TMB_OK)
                        break;
                    assert_true(tmb_bytes_eq(k, l) && tmb_bytes_eq(v, w));
                    memcpy(key, l.ptr, l.len);
                    key[l.len] = 0;
                    at = tmb_bytes_of(key, l.len + 1);
                    found++;
                }
            }
        }
        if (tmb_rng_below(&rng, 3) == 0) {
            tmb_state_store_abort(store);
            kv_memory_drop(&disk);
        } else {
            assert_int_equal(tmb_state_store_commit(store, false), TMB_OK);
            kv_memory_commit(&disk, false);
        }
        if (round == 30) {
            tmb_state_store_close(store);
            store = open_store(false);
        }
    }
    assert_true(found > 100);
    tmb_state_store_close(store);
    kv_memory_free(&disk);
}

static void test_a_kill_loses_nothing_that_was_committed(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        tmb_state_store *store = open_store(false);
        put_one(store, "synced", "1", true);
        put_one(store, "later", "2", false);
        tmb_kv kv;
        if (tmb_state_store_begin(store, &kv) == TMB_OK)
            (void)kv.put(kv.arg, tmb_bytes_str("never"), tmb_bytes_str("3"));
        (void)kill(getpid(), SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    tmb_state_store *store = open_store(false);
    expect(store, "synced", "1");
    expect(store, "later", "2");
    expect(store, "never", NULL);
    assert_false(tmb_state_store_is_moved(store));
    tmb_state_store_close(store);
}

static void test_below_the_reserve_it_refuses_and_goes_on_later(void **state)
{
    (void)state;
    tmb_state_store *store = open_store(false);
    tmb_kv kv;
    put_one(store, "a", "1", true);
    tmb_state_store_reserve_set(store, UINT64_MAX);
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(tmb_state_store_begin(store, &kv), TMB_OK);
        assert_int_equal(kv.put(kv.arg, tmb_bytes_str("a"), tmb_bytes_str("2")), TMB_OK);
        assert_int_equal(tmb_state_store_commit(store, true), TMB_ENOSPC);
        assert_int_equal(tmb_state_store_refused(store), i);
        expect(store, "a", "1");
    }
    tmb_state_store_reserve_set(store, 0);
    put_one(store, "a", "3", true);
    expect(store, "a", "3");
    assert_int_equal(tmb_state_store_resets(store), 0);
    tmb_state_store_close(store);
}

static void test_a_copy_knows_that_it_is_not_at_home(void **state)
{
    (void)state;
    char home[160], other[160];
    tmb_kv kv;
    (void)snprintf(home, sizeof home, "%s/home", path);
    (void)snprintf(other, sizeof other, "%s/other", path);
    tmb_state_store *store = open_store(false);
    assert_false(tmb_state_store_is_moved(store));
    tmb_state_store_close(store);
    int fd = open(other, O_CREAT | O_WRONLY | O_EXCL, 0600); /* as cp -a leaves it: another file */
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(rename(other, home), 0);
    for (unsigned i = 0; i < 3; i++) {
        store = open_store(false);
        assert_int_equal(tmb_state_store_is_moved(store), i < 2);
        if (i == 1) {
            assert_int_equal(tmb_state_store_begin(store, &kv), TMB_OK);
            assert_int_equal(tmb_state_store_settle(store), TMB_OK);
            assert_int_equal(tmb_state_store_commit(store, true), TMB_OK);
            assert_false(tmb_state_store_is_moved(store));
        } else if (i == 0) {
            assert_int_equal(tmb_state_store_begin(store, &kv), TMB_OK);
            assert_int_equal(tmb_state_store_settle(store), TMB_OK);
            tmb_state_store_abort(store); /* not settled then */
            assert_true(tmb_state_store_is_moved(store));
        }
        tmb_state_store_close(store);
    }
}

/* Bytes in the middle of what is on the disk are turned. */
static void damage(const char *suffix)
{
    char name[512];
    DIR *dir = opendir(path);
    assert_non_null(dir);
    unsigned done = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        size_t len = strlen(entry->d_name), end = strlen(suffix);
        if (len < end || strcmp(entry->d_name + len - end, suffix) != 0)
            continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        struct stat st;
        int fd = open(name, O_RDWR);
        assert_true(fd >= 0 && fstat(fd, &st) == 0);
        if (st.st_size > 64) {
            static const uint8_t noise[16] = {0xde, 0xad};
            assert_int_equal(pwrite(fd, noise, sizeof noise, st.st_size / 2), sizeof noise);
            done++;
        }
        (void)close(fd);
    }
    (void)closedir(dir);
    assert_true(done > 0);
}

static void test_damaged_is_set_aside_and_told(void **state)
{
    (void)state;
    tmb_state_store *store = open_store(false);
    for (unsigned i = 0; i < 200; i++)
        put_one(store, "a", "some bytes, so that there is a middle", i % 10 == 9);
    tmb_state_store_close(store);
    damage(".log");
    store = open_store(true);
    expect(store, "a", NULL);
    put_one(store, "a", "1", true);
    tmb_state_store_close(store);
    store = open_store(false);
    expect(store, "a", "1");
    tmb_state_store_close(store);
}

/* Writes what there is room for. */
static int fill_up(const char *name)
{
    static const uint8_t zeros[4096];
    int fd = open(name, O_CREAT | O_WRONLY, 0600), reason = 0;
    assert_true(fd >= 0);
    while (reason == 0)
        if (write(fd, zeros, sizeof zeros) < 0)
            reason = errno;
    (void)close(fd);
    return reason;
}

static void test_a_full_disk_is_an_error_and_passes(void **state)
{
    (void)state;
    static const uint8_t block[8192]; /* the log has room set aside for some thousand of these */
    char disk[96], filler[128];
    (void)snprintf(disk, sizeof disk, "%s/disk", folder);
    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=4m") != 0) {
        print_message("[  NOTE    ] no mount here (%s): covered by the reserve's test alone\n",
                      strerror(errno));
        skip();
    }
    (void)snprintf(path, sizeof path, "%s/state", disk);
    (void)snprintf(filler, sizeof filler, "%s/filler", disk);
    tmb_state_store *store = NULL;
    bool was_reset;
    char text[256], key[16];
    tmb_kv kv;
    tmb_err err = tmb_state_store_open(path, &store, &was_reset, text, sizeof text);
    assert_int_equal(err, TMB_ENOSPC); /* the reserve is 64 MiB: it says so at once */
    assert_non_null(strstr(text, path));
    assert_int_equal(umount2(disk, MNT_DETACH), 0);
    assert_int_equal(mount("tmpfs", disk, "tmpfs", 0, "size=80m"), 0);
    assert_int_equal(tmb_state_store_open(path, &store, &was_reset, text, sizeof text), TMB_OK);
    tmb_state_store_reserve_set(store, 0);
    put_one(store, "kept", "1", true);
    assert_int_equal(fill_up(filler), ENOSPC); /* the fault is there */
    err = TMB_OK;
    for (unsigned i = 0; i < 20000 && err == TMB_OK; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        err = tmb_state_store_begin(store, &kv);
        if (err == TMB_OK) {
            assert_int_equal(kv.put(kv.arg, tmb_bytes_str(key), tmb_bytes_of(block, sizeof block)),
                             TMB_OK);
            err = tmb_state_store_commit(store, false);
        }
    }
    assert_int_equal(err, TMB_ENOSPC); /* and it fired */
    assert_true(tmb_state_store_refused(store) > 0);
    assert_int_equal(unlink(filler), 0);
    put_one(store, "after", "2", true);
    expect(store, "after", "2");
    if (tmb_state_store_resets(store) == 0)
        expect(store, "kept", "1");
    print_message("%u resets\n", tmb_state_store_resets(store));
    tmb_state_store_close(store);
    assert_int_equal(umount2(disk, MNT_DETACH), 0);
}

static void test_a_second_process_is_told(void **state)
{
    (void)state;
    tmb_state_store *store = open_store(false), *second = NULL;
    bool was_reset;
    char text[256];
    assert_int_equal(tmb_state_store_open(path, &second, &was_reset, text, sizeof text), TMB_EBUSY);
    assert_null(second);
    tmb_state_store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_it_answers_as_the_store_in_memory),
        TEST(test_a_kill_loses_nothing_that_was_committed),
        TEST(test_below_the_reserve_it_refuses_and_goes_on_later),
        TEST(test_a_copy_knows_that_it_is_not_at_home),
        TEST(test_damaged_is_set_aside_and_told),
        TEST(test_a_full_disk_is_an_error_and_passes),
        TEST(test_a_second_process_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
