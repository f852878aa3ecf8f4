// SPDX-License-Identifier: Apache-2.0
/* The checkpoint file: the same back, the bytes of each version for ever, and every flipped bit noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "broker-plugin/checkpoint.h"

typedef struct tables {
    tmb_seen *children, *publishers, *origins;
} tables;

static tables empty(void)
{
    tables t = {NULL, NULL, NULL};
    assert_int_equal(tmb_seen_new(100, 100, &t.children), TMB_OK);
    assert_int_equal(tmb_seen_new(100, 100, &t.publishers), TMB_OK);
    assert_int_equal(tmb_seen_new(100, 100, &t.origins), TMB_OK);
    return t;
}

static void drop(tables t)
{
    tmb_seen_free(t.children);
    tmb_seen_free(t.publishers);
    tmb_seen_free(t.origins);
}

static const tmb_incarnation journal = {{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9,
                                         0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf}};

static tmb_checkpoint sample(void)
{
    tmb_checkpoint c = {
        .incarnation = journal,
        .streams_count = 2,
        .streams = {{"alarms", 17, 17}, {"default", UINT64_C(0x1122334455), 0x1122334459}}};
    return c;
}

static tables sample_tables(void)
{
    tables t = empty();
    assert_int_equal(tmb_seen_raise(t.children, tmb_bytes_str("c2"), 9), TMB_OK);
    assert_int_equal(tmb_seen_raise(t.children, tmb_bytes_str("c1"), 8), TMB_OK);
    assert_int_equal(tmb_seen_raise(t.publishers, tmb_bytes_str("p"), UINT64_MAX), TMB_OK);
    assert_int_equal(tmb_seen_add(t.origins, tmb_bytes_str("o"), 3), TMB_OK);
    assert_int_equal(tmb_seen_add(t.origins, tmb_bytes_str("o"), 7), TMB_OK);
    return t;
}

static uint8_t *encode(size_t *ret_len)
{
    tmb_checkpoint c = sample();
    tables t = sample_tables();
    uint8_t *bytes = NULL;
    assert_int_equal(
        tmb_checkpoint_encode(&c, t.children, t.publishers, t.origins, &bytes, ret_len), TMB_OK);
    drop(t);
    return bytes;
}

static void comes_back_the_same(void **state)
{
    (void)state;
    size_t len = 0, again_len = 0;
    uint8_t *bytes = encode(&len), *again = NULL;
    tables t = empty();
    tmb_checkpoint c;
    assert_int_equal(tmb_checkpoint_decode(tmb_bytes_of(bytes, len), &journal, t.children,
                                           t.publishers, t.origins, &c),
                     TMB_OK);
    assert_int_equal(c.streams_count, 2);
    assert_int_equal(tmb_checkpoint_find(&c, "alarms").seq, 17);
    assert_true(tmb_checkpoint_find(&c, "default").seq == UINT64_C(0x1122334455));
    assert_true(tmb_checkpoint_find(&c, "default").own_seq == UINT64_C(0x1122334459));
    assert_int_equal(tmb_checkpoint_find(&c, "unknown").seq, 0);
    uint64_t number = 0;
    assert_int_equal(tmb_seen_max(t.publishers, tmb_bytes_str("p"), &number), TMB_OK);
    assert_true(number == UINT64_MAX);
    drop(t);
    t = empty(); /* the order of use comes back too: encoding what was decoded gives the same bytes */
    assert_int_equal(tmb_checkpoint_decode(tmb_bytes_of(bytes, len), &journal, t.children,
                                           t.publishers, t.origins, &c),
                     TMB_OK);
    assert_int_equal(
        tmb_checkpoint_encode(&c, t.children, t.publishers, t.origins, &again, &again_len), TMB_OK);
    assert_int_equal(again_len, len);
    assert_memory_equal(again, bytes, len);
    drop(t);
    free(bytes);
    free(again);
}

/* The bytes of each version, as first released: they must be readable for ever. */
static const char golden_v1[] =
    "544d424301000000a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0200"
    "06616c61726d7311000000000000001100000000000000"
    "0764656661756c74554433221100000059443322110000000200000002006332090000000000000002006331"
    "080000000000000001000000010070ffffffffffffffff";
static const char golden_v2[] =
    "544d424302000000a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0200"
    "06616c61726d7311000000000000001100000000000000"
    "0764656661756c74554433221100000059443322110000000200000002006332090000000000000002006331"
    "080000000000000001000000010070ffffffffffffffff"
    "0100000001006f07000000000000000201000000000000000200000000000000040000000000000006000000000000"
    "00";

static void has_the_bytes_of_version_2(void **state)
{
    (void)state;
    size_t len = 0;
    uint8_t *bytes = encode(&len);
    assert_int_equal(len - 4, (sizeof golden_v2 - 1) / 2);
    for (size_t i = 0; i < len - 4; i++) {
        char hex[3];
        snprintf(hex, sizeof hex, "%02x", bytes[i]);
        if (memcmp(hex, golden_v2 + 2 * i, 2) != 0)
            fail_msg("byte %zu is %s, was %.2s", i, hex, golden_v2 + 2 * i);
    }
    free(bytes);
}

static uint8_t of_hex(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static void reads_version_1(void **state)
{
    (void)state;
    uint8_t bytes[sizeof golden_v1 / 2 + 4];
    size_t len = sizeof golden_v1 / 2;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(of_hex(golden_v1[2 * i]) << 4 | of_hex(golden_v1[2 * i + 1]));
    tmb_writer w = tmb_writer_of(bytes + len, 4);
    tmb_put_u32(&w, tmb_crc32c(0, tmb_bytes_of(bytes, len)));
    tables t = empty();
    tmb_checkpoint c;
    assert_int_equal(tmb_checkpoint_decode(tmb_bytes_of(bytes, len + 4), &journal, t.children,
                                           t.publishers, t.origins, &c),
                     TMB_OK);
    assert_int_equal(tmb_checkpoint_find(&c, "alarms").seq, 17);
    assert_int_equal(tmb_seen_count(t.children), 2);
    assert_int_equal(tmb_seen_count(t.origins), 0);
    drop(t);
}

static void holes_come_back(void **state)
{
    (void)state;
    size_t len = 0;
    uint8_t *bytes = encode(&len);
    tables t = empty();
    tmb_checkpoint c;
    tmb_bytes key = tmb_bytes_str("o");
    assert_int_equal(tmb_checkpoint_decode(tmb_bytes_of(bytes, len), &journal, t.children,
                                           t.publishers, t.origins, &c),
                     TMB_OK);
    for (uint64_t number = 1; number <= 8; number++)
        assert_int_equal(tmb_seen_has(t.origins, key, number), number == 3 || number == 7);
    drop(t);
    free(bytes);
}

static void one_of_another_journal_fills_nothing(void **state)
{
    (void)state;
    size_t len = 0;
    uint8_t *bytes = encode(&len);
    tables t = empty();
    tmb_checkpoint c;
    tmb_incarnation other = journal;
    other.bytes[15] ^= 1;
    assert_int_equal(tmb_checkpoint_decode(tmb_bytes_of(bytes, len), &other, t.children,
                                           t.publishers, t.origins, &c),
                     TMB_ENOENT);
    assert_int_equal(tmb_seen_count(t.children), 0);
    assert_int_equal(tmb_seen_count(t.publishers), 0);
    drop(t);
    free(bytes);
}

static void every_flip_and_every_cut_is_noticed(void **state)
{
    (void)state;
    size_t len = 0;
    uint8_t *bytes = encode(&len);
    tmb_checkpoint c;
    for (size_t bit = 0; bit < len * 8; bit++) {
        tables t = empty();
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(tmb_checkpoint_decode(tmb_bytes_of(bytes, len), &journal, t.children,
                                                   t.publishers, t.origins, &c),
                             TMB_OK);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        drop(t);
    }
    for (size_t cut = 0; cut < len; cut++) {
        tables t = empty();
        assert_int_not_equal(tmb_checkpoint_decode(tmb_bytes_of(bytes, cut), &journal, t.children,
                                                   t.publishers, t.origins, &c),
                             TMB_OK);
        drop(t);
    }
    free(bytes);
}

static void is_replaced_with_the_older_one_kept(void **state)
{
    (void)state;
    char folder[] = "/tmp/tombolo-checkpoint-XXXXXX", path[64], old[80];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/checkpoint", folder);
    snprintf(old, sizeof old, "%s.old", path);
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_int_equal(tmb_file_load(path, &bytes, &len), TMB_ENOENT);
    assert_int_equal(tmb_file_sync(path), TMB_ENOENT);
    assert_int_equal(tmb_file_replace(path, tmb_bytes_str("one")), TMB_OK);
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(tmb_file_replace(path, tmb_bytes_str("second")), TMB_OK);
    assert_int_equal(tmb_file_sync(path), TMB_OK);
    assert_int_equal(tmb_file_load(path, &bytes, &len), TMB_OK);
    assert_true(tmb_bytes_eq(tmb_bytes_of(bytes, len), tmb_bytes_str("second")));
    free(bytes);
    assert_int_equal(tmb_file_load(old, &bytes, &len), TMB_OK);
    assert_true(tmb_bytes_eq(tmb_bytes_of(bytes, len), tmb_bytes_str("one")));
    free(bytes);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(old), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_the_same),
        cmocka_unit_test(has_the_bytes_of_version_2),
        cmocka_unit_test(reads_version_1),
        cmocka_unit_test(holes_come_back),
        cmocka_unit_test(one_of_another_journal_fills_nothing),
        cmocka_unit_test(every_flip_and_every_cut_is_noticed),
        cmocka_unit_test(is_replaced_with_the_older_one_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
