// SPDX-License-Identifier: Apache-2.0
/* tests/unit/base/test_bytes.c - cursors: little-endian both ways, and bad stays bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"

static void writes_and_reads_every_width(void **state)
{
    (void)state;
    uint8_t room[32] = {0};
    tmb_writer w = tmb_writer_of(room, sizeof(room));
    tmb_put_u8(&w, 0x01);
    tmb_put_u16(&w, 0x0302);
    tmb_put_u32(&w, 0x07060504);
    tmb_put_u64(&w, UINT64_C(0x0f0e0d0c0b0a0908));
    tmb_put_bytes(&w, tmb_bytes_str("abc"));
    assert_false(w.bad);
    assert_ptr_equal(w.at, room + 18);
    for (uint8_t i = 0; i < 15; i++)
        assert_int_equal(room[i], i + 1);

    tmb_reader r = tmb_reader_of(tmb_bytes_of(room, 18));
    assert_int_equal(tmb_get_u8(&r), 0x01);
    assert_int_equal(tmb_get_u16(&r), 0x0302);
    assert_int_equal(tmb_get_u32(&r), 0x07060504);
    assert_true(tmb_get_u64(&r) == UINT64_C(0x0f0e0d0c0b0a0908));
    assert_true(tmb_bytes_eq(tmb_get_bytes(&r, 3), tmb_bytes_str("abc")));
    assert_int_equal(tmb_reader_left(&r), 0);
    assert_false(r.bad);
}

static void short_read_makes_reader_bad_for_good(void **state)
{
    (void)state;
    const uint8_t three[] = {1, 2, 3};
    tmb_reader r = tmb_reader_of(tmb_bytes_of(three, sizeof(three)));
    assert_int_equal(tmb_get_u32(&r), 0);
    assert_true(r.bad);
    assert_int_equal(tmb_get_u8(&r), 0);
    assert_true(r.bad);
    tmb_bytes none = tmb_get_bytes(&r, 0);
    assert_null(none.ptr);

    r = tmb_reader_of(tmb_bytes_of(three, sizeof(three)));
    assert_int_equal(tmb_get_bytes(&r, SIZE_MAX).len, 0);
    assert_true(r.bad);
}

static void short_write_makes_writer_bad_for_good(void **state)
{
    (void)state;
    uint8_t three[3] = {9, 9, 9};
    tmb_writer w = tmb_writer_of(three, sizeof(three));
    tmb_put_u32(&w, 0);
    assert_true(w.bad);
    tmb_put_u8(&w, 0);
    assert_true(w.bad);
    assert_ptr_equal(w.at, three);
    assert_int_equal(three[0], 9);
}

static void nothing_is_fine_too(void **state)
{
    (void)state;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(NULL, 0));
    assert_int_equal(tmb_reader_left(&r), 0);
    assert_int_equal(tmb_get_bytes(&r, 0).len, 0);
    assert_false(r.bad);
    tmb_writer w = tmb_writer_of(NULL, 0);
    tmb_put_bytes(&w, tmb_bytes_of(NULL, 0));
    assert_false(w.bad);
    tmb_put_u8(&w, 1);
    assert_true(w.bad);
}

static void equal_means_same_bytes(void **state)
{
    (void)state;
    assert_true(tmb_bytes_eq(tmb_bytes_of(NULL, 0), tmb_bytes_str("")));
    assert_true(tmb_bytes_eq(tmb_bytes_str("a"), tmb_bytes_of("ab", 1)));
    assert_false(tmb_bytes_eq(tmb_bytes_str("a"), tmb_bytes_str("b")));
    assert_false(tmb_bytes_eq(tmb_bytes_str("a"), tmb_bytes_str("ab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads_every_width),
        cmocka_unit_test(short_read_makes_reader_bad_for_good),
        cmocka_unit_test(short_write_makes_writer_bad_for_good),
        cmocka_unit_test(nothing_is_fine_too),
        cmocka_unit_test(equal_means_same_bytes),
    };
    return cmocka_run_group_tests_name("unit.base.bytes", tests, NULL, NULL);
}
