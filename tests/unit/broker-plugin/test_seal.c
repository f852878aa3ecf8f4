// SPDX-License-Identifier: Apache-2.0
/* A seal: any bit of the file that turns over is noticed, any of the seal itself makes it no seal; and the
 * snapshot before a damaged one takes its place, with its checkpoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker-plugin/seal.h"
#include "broker-plugin/snapshot.h"

#define DB "mosquitto.db"

static char folder[] = "/tmp/tombolo-seal-XXXXXX";

static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* Were the broker killed before or behind any of them: has it a file to begin with? */
static struct {
    bool is_on;
    unsigned calls, without;
} renames;

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

int __wrap_rename(const char *from, const char *to)
{
    int rc = __real_rename(from, to);
    renames.calls += renames.is_on;
    renames.without += renames.is_on && access(in_folder(DB), F_OK) != 0;
    return rc;
}

static tmb_err step_back(void)
{
    renames.calls = renames.without = 0;
    renames.is_on = true;
    tmb_err err = tmb_snapshot_step_back(in_folder(DB), in_folder("checkpoint"));
    renames.is_on = false;
    assert_int_equal(renames.without, 0);
    assert_true(err != TMB_OK || renames.calls >= 2);
    return err;
}

static void put(const char *name, const char *text)
{
    (void)unlink(in_folder(name));
    FILE *out = fopen(in_folder(name), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, strlen(text), out), strlen(text));
    fclose(out);
}

static bool is(const char *name, const char *text)
{
    char found[512] = "";
    FILE *in = fopen(in_folder(name), "rb");
    if (!in)
        return false;
    size_t len = fread(found, 1, sizeof found - 1, in);
    fclose(in);
    return len == strlen(text) && memcmp(found, text, len) == 0;
}

/* As a disk does it: the times stay. */
static void flip(const char *name, off_t at)
{
    struct stat st;
    uint8_t byte;
    int fd = open(in_folder(name), O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}), 0);
    close(fd);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    static const char *const names[] = {
        DB,           DB ".kept",      DB ".seal", DB ".kept.old", DB ".seal.old", DB ".damaged",
        "checkpoint", "checkpoint.old"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unlink(in_folder(names[i]));
    return rmdir(folder);
}

static void every_byte_is_sealed(void **state)
{
    (void)state;
    static const char text[] = "sessions and messages";
    put(DB, text);
    assert_int_equal(tmb_seal_check(in_folder(DB), in_folder(DB ".seal")), TMB_ENOENT);
    assert_int_equal(tmb_seal_write(in_folder(DB), in_folder(DB ".seal")), TMB_OK);
    assert_int_equal(tmb_seal_check(in_folder(DB), in_folder(DB ".seal")), TMB_OK);
    for (off_t at = 0; at < (off_t)strlen(text); at++) {
        flip(DB, at);
        assert_int_equal(tmb_seal_check(in_folder(DB), in_folder(DB ".seal")), TMB_ECORRUPT);
        flip(DB, at);
    }
    struct stat st;
    assert_int_equal(stat(in_folder(DB ".seal"), &st), 0);
    for (off_t at = 0; at < st.st_size; at++) {
        flip(DB ".seal", at);
        assert_int_equal(tmb_seal_check(in_folder(DB), in_folder(DB ".seal")), TMB_ENOENT);
        flip(DB ".seal", at);
    }
    assert_int_equal(tmb_seal_check(in_folder(DB), in_folder(DB ".seal")), TMB_OK);
    put(DB, "the broker has written a new one, and was killed");
    assert_int_equal(tmb_seal_check(in_folder(DB), in_folder(DB ".seal")), TMB_ENOENT);
    assert_int_equal(tmb_seal_check(in_folder("none"), in_folder(DB ".seal")), TMB_ENOENT);
}

static void keep(const char *text, const char *checkpoint)
{
    put(DB, text);
    assert_int_equal(tmb_snapshot_keep(in_folder(DB)), TMB_OK);
    assert_int_equal(tmb_snapshot_keep(in_folder(DB)), TMB_OK);
    (void)rename(in_folder("checkpoint"), in_folder("checkpoint.old"));
    put("checkpoint", checkpoint);
}

static void the_older_one_comes_with_its_checkpoint(void **state)
{
    (void)state;
    keep("first", "1");
    keep("second", "2");
    keep("third", "3");
    assert_int_equal(tmb_snapshot_verify(in_folder(DB)), TMB_OK);
    flip(DB, 2); /* and so its second name */
    assert_int_equal(tmb_snapshot_verify(in_folder(DB)), TMB_ECORRUPT);
    assert_int_equal(step_back(), TMB_OK);
    assert_true(is(DB, "second"));
    assert_true(is("checkpoint", "2"));
    assert_int_equal(tmb_snapshot_verify(in_folder(DB)), TMB_OK);
    assert_int_equal(access(in_folder(DB ".damaged"), F_OK), 0);
    flip(DB, 2); /* there is none before this any more */
    assert_int_equal(step_back(), TMB_ENOENT);
    assert_true(is("checkpoint", "2"));
}

static void without_an_older_checkpoint_there_is_none(void **state)
{
    (void)state;
    keep("first", "1");
    (void)unlink(in_folder("checkpoint"));
    keep("second", "2");
    flip(DB, 2);
    assert_int_equal(step_back(), TMB_OK);
    assert_true(is(DB, "first"));
    assert_int_equal(access(in_folder("checkpoint"), F_OK), -1);
}

static void the_kept_one_is_nearer(void **state)
{
    (void)state;
    keep("first", "1");
    keep("second", "2");
    put(DB, ""); /* cut off, and the broker was killed */
    assert_int_equal(tmb_snapshot_verify(in_folder(DB)), TMB_ECORRUPT);
    assert_int_equal(step_back(), TMB_OK);
    assert_true(is(DB, "second"));
    assert_true(is("checkpoint", "2"));
}

static void a_damaged_older_one_is_not_used(void **state)
{
    (void)state;
    keep("first", "1");
    keep("second", "2");
    flip(DB, 2);
    flip(DB ".kept.old", 2);
    assert_int_equal(step_back(), TMB_ENOENT);
    assert_true(is("checkpoint", "2"));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, drop_folder)
    const struct CMUnitTest tests[] = {
        CASE(every_byte_is_sealed),
        CASE(the_older_one_comes_with_its_checkpoint),
        CASE(without_an_older_checkpoint_there_is_none),
        CASE(the_kept_one_is_nearer),
        CASE(a_damaged_older_one_is_not_used),
    };
    return cmocka_run_group_tests_name("broker-plugin.seal", tests, NULL, NULL);
}
