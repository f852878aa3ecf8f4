// SPDX-License-Identifier: Apache-2.0
/* The broker's snapshot: every cut is seen, a good one is kept and put back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker-plugin/snapshot.h"

/* Head, a CFG chunk of 3 bytes, an empty one, a SUB chunk of 1 byte. */
static const uint8_t sample[] = "\0\xb5\0mosquitto db\0\0\0\0\0\0\0\6"
                                "\0\0\0\1\0\0\0\3abc"
                                "\0\0\0\2\0\0\0\0"
                                "\0\0\0\5\0\0\0\1x";
#define SAMPLE_BYTES (sizeof sample - 1)

static bool is_chunk_end(size_t len)
{
    return len == 34 || len == 42 || len == SAMPLE_BYTES;
}

static void every_cut_inside_a_chunk_is_seen(void **state)
{
    (void)state;
    assert_int_equal(SAMPLE_BYTES, 51);
    for (size_t len = 0; len <= SAMPLE_BYTES; len++)
        assert_int_equal(tmb_snapshot_ends_whole(tmb_bytes_of(sample, len)), is_chunk_end(len));
}

static void what_is_no_snapshot_is_seen(void **state)
{
    (void)state;
    uint8_t bytes[SAMPLE_BYTES];
    for (size_t at = 0; at < 15; at++) {
        memcpy(bytes, sample, sizeof bytes);
        bytes[at] ^= 1;
        assert_false(tmb_snapshot_ends_whole(tmb_bytes_of(bytes, sizeof bytes)));
    }
    memcpy(bytes, sample, sizeof bytes);
    bytes[26] = 7; /* a type that is not known */
    assert_false(tmb_snapshot_ends_whole(tmb_bytes_of(bytes, sizeof bytes)));
    memcpy(bytes, sample, sizeof bytes);
    bytes[27] = 0xff; /* a length beyond the end */
    assert_false(tmb_snapshot_ends_whole(tmb_bytes_of(bytes, sizeof bytes)));
}

static char folder[] = "/tmp/tombolo-snapshot-XXXXXX";
static char path[64], kept[80], between[80];

static void put(size_t len)
{
    assert_true(unlink(path) == 0 ||
                access(path, F_OK) < 0); /* as the broker: a new file, then a rename */
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(sample, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static void a_good_one_comes_back(void **state)
{
    (void)state;
    assert_int_equal(tmb_snapshot_check(path), TMB_EIO);
    assert_int_equal(tmb_snapshot_put_back(path), TMB_ENOENT);
    assert_false(tmb_snapshot_may_have_subscriptions(path));
    put(42); /* without its last chunk, the subscription */
    assert_false(tmb_snapshot_may_have_subscriptions(path));
    put(SAMPLE_BYTES);
    assert_true(tmb_snapshot_may_have_subscriptions(path));
    put(41); /* who knows */
    assert_true(tmb_snapshot_may_have_subscriptions(path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(tmb_snapshot_keep(path), TMB_ENOENT);
    put(0);
    assert_int_equal(tmb_snapshot_check(path), TMB_ECORRUPT);
    put(34);
    assert_int_equal(tmb_snapshot_check(path), TMB_OK);
    assert_int_equal(tmb_snapshot_keep(path), TMB_OK);
    assert_int_equal(tmb_snapshot_keep(path), TMB_OK); /* twice: nothing to do */
    put(SAMPLE_BYTES);
    assert_int_equal(tmb_snapshot_keep(path), TMB_OK);
    put(40);
    assert_int_equal(tmb_snapshot_check(path), TMB_ECORRUPT);
    assert_int_equal(tmb_snapshot_put_back(path), TMB_OK);
    assert_int_equal(tmb_snapshot_check(path), TMB_OK);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    uint8_t back[100];
    assert_int_equal(fread(back, 1, sizeof back, in), SAMPLE_BYTES);
    assert_memory_equal(back, sample, SAMPLE_BYTES);
    fclose(in);
    assert_int_equal(access(between, F_OK), -1);
}

/* Head, a message on the topic of the statistics, somebody's session, and that the message is retained. */
static const uint8_t with_stats[] = "\0\xb5\0mosquitto db\0\0\0\0\0\0\0\6"
                                    "\0\0\0\2\0\0\0\70\1\2\3\4\5\6\7\10\0\0\0\0\0\0\0\0"
                                    "\0\0\0\0\0\0\0\0\0\0\0\30\0\0\0\1$tombolo/v1/stats/plugin"
                                    "\0\0\0\6\0\0\0\1x"
                                    "\0\0\0\4\0\0\0\10\1\2\3\4\5\6\7\10";

static void write_file(const char *name, size_t len)
{
    unlink(name);
    FILE *out = fopen(name, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(with_stats, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static void a_cut_at_the_end_of_a_chunk_is_seen(void **state)
{
    (void)state;
    const size_t whole = sizeof with_stats - 1;
    unlink(kept);
    for (size_t len = 1; len < whole; len++) { /* nothing to compare with: chunks must end */
        write_file(path, len);
        assert_int_equal(tmb_snapshot_check(path), len == 87 || len == 96 ? TMB_OK : TMB_ECORRUPT);
    }
    write_file(path, whole);
    assert_int_equal(tmb_snapshot_check(path), TMB_OK);
    assert_int_equal(tmb_snapshot_keep(path), TMB_OK);
    for (size_t len = 1; len < whole; len++) {
        write_file(path, len);
        assert_int_equal(tmb_snapshot_check(path), TMB_ECORRUPT);
    }
    write_file(path, whole);
    assert_int_equal(tmb_snapshot_check(path), TMB_OK);
    assert_int_equal(unlink(path), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/mosquitto.db", folder);
    snprintf(kept, sizeof kept, "%s.kept", path);
    snprintf(between, sizeof between, "%s.link", path);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    static const char *const endings[] = {"", ".kept", ".kept.old", ".seal", ".seal.old"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        unlink(name);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_inside_a_chunk_is_seen),
        cmocka_unit_test(what_is_no_snapshot_is_seen),
        cmocka_unit_test(a_good_one_comes_back),
        cmocka_unit_test(a_cut_at_the_end_of_a_chunk_is_seen),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
