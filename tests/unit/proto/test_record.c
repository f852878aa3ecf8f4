// SPDX-License-Identifier: Apache-2.0
/* tests/unit/proto/test_record.c - the record codec: everything goes through unchanged, nothing damaged
 * goes through at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "proto/record.h"
#include "tests/unit/proto/records.h"

/* Every combination of QoS, flags, and empty or filled fields; skips what the rules forbid. */
static void roundtrips_every_flag_combination(void **state)
{
    (void)state;
    unsigned seen = 0;
    for (unsigned bits = 0; bits < 3 * 512; bits++) {
        tmb_record in = record_of_bits(bits);
        if (in.has_via && !in.has_origin)
            continue;
        uint8_t out[512] = {0};
        size_t len = 0, used = 0;
        tmb_record back;
        assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_OK);
        assert_int_equal(len, tmb_record_size(&in));
        assert_int_equal(tmb_record_decode(tmb_bytes_of(out, sizeof(out)), &back, &used), TMB_OK);
        assert_int_equal(used, len);
        assert_true(records_are_equal(&in, &back));
        seen++;
    }
    assert_int_equal(seen, 3 * 512 * 3 / 4);
}

static void notices_every_flipped_bit(void **state)
{
    (void)state;
    uint8_t out[512] = {0};
    size_t len = 0, used = 0;
    tmb_record in = record_of_bits(2 + 3 * 511), back;
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_OK);
    for (size_t bit = 0; bit < len * 8; bit++) {
        out[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(tmb_record_decode(tmb_bytes_of(out, len), &back, &used), TMB_OK);
        /* With bytes behind it a longer length is not merely "more to come". */
        tmb_err err = tmb_record_decode(tmb_bytes_of(out, sizeof(out)), &back, &used);
        assert_true(err == TMB_ECORRUPT || err == TMB_EAGAIN);
        out[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(tmb_record_decode(tmb_bytes_of(out, len), &back, &used), TMB_OK);
}

static void waits_for_every_truncated_record(void **state)
{
    (void)state;
    uint8_t out[512] = {0};
    size_t len = 0;
    tmb_record in = record_of_bits(1 + 3 * 511);
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_OK);
    for (size_t cut = 0; cut < len; cut++) {
        /* A copy of exactly that size, so that AddressSanitizer sees a read behind it. */
        uint8_t *part = malloc(cut > 0 ? cut : 1);
        assert_non_null(part);
        memcpy(part, out, cut);
        tmb_record back = {.seq = 77};
        size_t used = 99;
        assert_int_equal(tmb_record_decode(tmb_bytes_of(part, cut), &back, &used), TMB_EAGAIN);
        assert_int_equal(back.seq, 77);
        assert_int_equal(used, 99);
        free(part);
    }
}

static void tells_wrong_bytes_from_missing_ones_early(void **state)
{
    (void)state;
    tmb_record back;
    size_t used;
    assert_int_equal(tmb_record_decode(tmb_bytes_of("", 0), &back, &used), TMB_EAGAIN);
    assert_int_equal(tmb_record_decode(tmb_bytes_of(NULL, 0), &back, &used), TMB_EAGAIN);
    assert_int_equal(tmb_record_decode(tmb_bytes_of("\0", 1), &back, &used), TMB_ECORRUPT);
    assert_int_equal(tmb_record_decode(tmb_bytes_of("TMBX", 4), &back, &used), TMB_ECORRUPT);
    assert_int_equal(tmb_record_decode(tmb_bytes_of("TMBR\x19\0\0\0", 8), &back, &used),
                     TMB_ECORRUPT);
    assert_int_equal(tmb_record_decode(tmb_bytes_of("TMBR\x1a\0\0\0", 8), &back, &used),
                     TMB_EAGAIN);
    assert_int_equal(tmb_record_decode(tmb_bytes_of("TMBR\xff\xff\xff\xff", 8), &back, &used),
                     TMB_ECORRUPT);
}

/* Damages one field of a good record, mends the checksum, and says what the decoder makes of it. */
static tmb_err decode_with(const tmb_record *in, size_t at, uint8_t value)
{
    uint8_t out[512] = {0};
    size_t len = 0, used;
    tmb_record back;
    assert_int_equal(tmb_record_encode(in, out, sizeof(out), &len), TMB_OK);
    out[at] = value;
    tmb_record_restamp(out, len, in->seq, in->stamp);
    return tmb_record_decode(tmb_bytes_of(out, len), &back, &used);
}

static void refuses_wrong_fields_under_a_good_checksum(void **state)
{
    (void)state;
    const size_t at_flags = 28, at_zero = 29, at_topic_len = 30, at_publisher_len = 32;
    const size_t at_props_len = 34, at_number = 38;
    tmb_record plain = record_of_bits(0);
    assert_int_equal(decode_with(&plain, at_flags, 1), TMB_OK);
    assert_int_equal(decode_with(&plain, at_flags, 3), TMB_ECORRUPT);    /* QoS 3 */
    assert_int_equal(decode_with(&plain, at_flags, 0x80), TMB_ECORRUPT); /* unknown flag */
    assert_int_equal(decode_with(&plain, at_flags, 0x40), TMB_ECORRUPT); /* via without origin */
    assert_int_equal(decode_with(&plain, at_zero, 1), TMB_ECORRUPT);
    assert_int_equal(decode_with(&plain, at_topic_len, 0), TMB_ECORRUPT);
    assert_int_equal(decode_with(&plain, at_topic_len, 200), TMB_ECORRUPT);
    assert_int_equal(decode_with(&plain, at_publisher_len + 1, 1), TMB_ECORRUPT);
    assert_int_equal(decode_with(&plain, at_props_len + 3, 1), TMB_ECORRUPT);
    assert_int_equal(decode_with(&plain, 38, 0xff), TMB_ECORRUPT); /* topic not UTF-8 */
    assert_int_equal(decode_with(&plain, 38, 0), TMB_ECORRUPT);

    tmb_record numbered = plain;
    numbered.is_numbered = true;
    numbered.number = 1;
    assert_int_equal(decode_with(&numbered, at_number, 0), TMB_ECORRUPT); /* number 0 */
    assert_int_equal(decode_with(&numbered, at_number + 8, 65), TMB_ECORRUPT);

    tmb_record born = plain;
    born.has_origin = true;
    born.origin = origin_of("site-1", "main", 9);
    const size_t at_node_len = 38, at_node = 39, at_stream_len = 39 + 6 + 16;
    assert_int_equal(decode_with(&born, at_node_len, 0), TMB_ECORRUPT);
    assert_int_equal(decode_with(&born, at_node_len, 64), TMB_ECORRUPT);
    assert_int_equal(decode_with(&born, at_node, 'S'), TMB_ECORRUPT);
    assert_int_equal(decode_with(&born, at_node + 1, '/'), TMB_ECORRUPT);
    assert_int_equal(decode_with(&born, at_stream_len, 0), TMB_ECORRUPT);
    assert_int_equal(decode_with(&born, at_stream_len + 1, '.'), TMB_ECORRUPT);
}

/* Lengths that the bytes behind them would allow, and base/limits.h does not. */
static void refuses_lengths_above_the_limits(void **state)
{
    (void)state;
    const size_t payload_len = TMB_PROPS_BYTES_MAX + 100;
    uint8_t *payload = test_malloc(payload_len), *out = test_malloc(payload_len + 512);
    memset(payload, 'a', payload_len);
    const struct {
        size_t at;
        unsigned width;
        uint32_t fine, above;
    } fields[] = {
        {32, 2, TMB_PUBLISHER_BYTES_MAX, TMB_PUBLISHER_BYTES_MAX + 1},
        {34, 4, TMB_PROPS_BYTES_MAX, TMB_PROPS_BYTES_MAX + 1},
        {46, 1, TMB_RUN_BYTES_MAX, TMB_RUN_BYTES_MAX + 1},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        /* All of it is the letter a: wherever it is cut, topic and run are valid. */
        tmb_record in = {.seq = 1, .is_numbered = true, .number = 1}, back;
        in.topic = tmb_bytes_str("a");
        in.payload = tmb_bytes_of(payload, payload_len);
        size_t len = 0, used;
        assert_int_equal(tmb_record_encode(&in, out, payload_len + 512, &len), TMB_OK);
        for (int is_above = 0; is_above <= 1; is_above++) {
            tmb_writer w = tmb_writer_of(out + fields[i].at, fields[i].width);
            tmb_put_uint(&w, is_above ? fields[i].above : fields[i].fine, fields[i].width);
            tmb_record_restamp(out, len, 1, (tmb_hlc){1});
            assert_int_equal(tmb_record_decode(tmb_bytes_of(out, len), &back, &used),
                             is_above ? TMB_ECORRUPT : TMB_OK);
        }
    }
    test_free(payload);
    test_free(out);
}

static void encode_refuses_what_decode_would(void **state)
{
    (void)state;
    uint8_t out[512] = {0};
    size_t len = 99;
    tmb_record in = record_of_bits(0);
    in.qos = 3;
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_EINVAL);
    in = record_of_bits(0);
    in.topic = tmb_bytes_of(NULL, 0);
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_EINVAL);
    in.topic = tmb_bytes_str("caf\xe9");
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_EINVAL);
    in = record_of_bits(0);
    in.is_numbered = true;
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_EINVAL);
    in.number = 1;
    in.run = tmb_bytes_str("\xff");
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_EINVAL);
    in = record_of_bits(0);
    in.has_via = true;
    in.via = origin_of("a", "b", 1);
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_EINVAL);
    in.has_origin = true;
    in.origin = origin_of("A", "b", 1);
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_EINVAL);
    in.origin = origin_of("a", "b", 1);
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_OK);
    assert_int_equal(tmb_record_encode(&in, out, len - 1, &len), TMB_ELIMIT);
}

/* Each limit of base/limits.h that a record has: at it fine, one above it not. */
static void keeps_every_limit(void **state)
{
    (void)state;
    const size_t cap = TMB_RECORD_BYTES_MAX + 16;
    uint8_t *big = test_malloc(cap), *out = test_malloc(cap);
    memset(big, 'a', cap);
    const struct {
        size_t max;
        size_t offset; /* of the slice in tmb_record */
    } fields[] = {
        {TMB_TOPIC_BYTES_MAX, offsetof(tmb_record, topic)},
        {TMB_PUBLISHER_BYTES_MAX, offsetof(tmb_record, publisher)},
        {TMB_PROPS_BYTES_MAX, offsetof(tmb_record, props)},
        {TMB_RUN_BYTES_MAX, offsetof(tmb_record, run)},
        {TMB_NAME_BYTES_MAX, offsetof(tmb_record, origin.node)},
        {TMB_STREAM_NAME_BYTES_MAX, offsetof(tmb_record, origin.stream)},
        {TMB_NAME_BYTES_MAX, offsetof(tmb_record, via.node)},
        {TMB_STREAM_NAME_BYTES_MAX, offsetof(tmb_record, via.stream)},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        tmb_record in = record_of_bits(3 * 511), back;
        tmb_bytes *field = (tmb_bytes *)(void *)((char *)&in + fields[i].offset);
        size_t len = 0, used = 0;
        *field = tmb_bytes_of(big, fields[i].max);
        assert_int_equal(tmb_record_encode(&in, out, cap, &len), TMB_OK);
        assert_int_equal(tmb_record_decode(tmb_bytes_of(out, len), &back, &used), TMB_OK);
        assert_true(records_are_equal(&in, &back));
        field->len++;
        assert_int_equal(tmb_record_encode(&in, out, cap, &len), TMB_ELIMIT);
    }

    tmb_record in = record_of_bits(0), back;
    size_t len = 0, used = 0;
    in.payload = tmb_bytes_of(NULL, 0);
    in.payload = tmb_bytes_of(big, TMB_RECORD_BYTES_MAX - tmb_record_size(&in));
    assert_int_equal(tmb_record_encode(&in, out, cap, &len), TMB_OK);
    assert_int_equal(len, TMB_RECORD_BYTES_MAX);
    assert_int_equal(tmb_record_decode(tmb_bytes_of(out, len), &back, &used), TMB_OK);
    in.payload.len++;
    assert_int_equal(tmb_record_encode(&in, out, cap, &len), TMB_ELIMIT);
    in.payload.len = SIZE_MAX - 10; /* a sum that wraps would look small */
    assert_int_equal(tmb_record_encode(&in, out, cap, &len), TMB_ELIMIT);
    test_free(big);
    test_free(out);
}

static void restamp_changes_seq_and_stamp_alone(void **state)
{
    (void)state;
    uint8_t out[512] = {0};
    size_t len = 0, used = 0;
    tmb_record in = record_of_bits(3 * 511), back;
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_OK);
    tmb_hlc stamp = {UINT64_C(0xfedcba9876543210)};
    tmb_record_restamp(out, len, UINT64_MAX - 1, stamp);
    assert_int_equal(tmb_record_decode(tmb_bytes_of(out, len), &back, &used), TMB_OK);
    assert_true(back.seq == UINT64_MAX - 1 && back.stamp.u64 == stamp.u64);
    back.seq = in.seq;
    back.stamp = in.stamp;
    assert_true(records_are_equal(&in, &back));
}

static void source_is_the_child(void **state)
{
    (void)state;
    tmb_record in = record_of_bits(0);
    assert_null(tmb_record_source(&in));
    in.has_origin = true;
    assert_ptr_equal(tmb_record_source(&in), &in.origin);
    in.has_via = true;
    assert_ptr_equal(tmb_record_source(&in), &in.via);
}

/* The picture in record.h, byte for byte. */
static void layout_is_as_documented(void **state)
{
    (void)state;
    const uint8_t expected[] = {
        'T', 'M', 'B', 'R', 31,  0, 0, 0, 0, 0, 0, 0,             /* header */
        7,   0,   0,   0,   0,   0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, /* seq, hlc */
        5,   0,   3,   0,   1,   0, 0, 0, 0, 0,                   /* flags, lengths */
        'a', '/', 'b', 'p', '!',                                  /* topic, ... */
    };
    uint8_t want[sizeof(expected)], out[64];
    memcpy(want, expected, sizeof(want));
    uint32_t crc = tmb_crc32c(0, tmb_bytes_of(want + 4, 4));
    crc = tmb_crc32c(crc, tmb_bytes_of(want + 12, sizeof(want) - 12));
    for (unsigned i = 0; i < 4; i++)
        want[8 + i] = (uint8_t)(crc >> (8 * i));

    tmb_record in = {.seq = 7, .stamp = {8}, .qos = 1, .retain = true};
    in.topic = tmb_bytes_str("a/b");
    in.publisher = tmb_bytes_str("p");
    in.payload = tmb_bytes_str("!");
    size_t len = 0;
    assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_OK);
    assert_int_equal(len, sizeof(want));
    assert_memory_equal(out, want, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roundtrips_every_flag_combination),
        cmocka_unit_test(notices_every_flipped_bit),
        cmocka_unit_test(waits_for_every_truncated_record),
        cmocka_unit_test(tells_wrong_bytes_from_missing_ones_early),
        cmocka_unit_test(refuses_wrong_fields_under_a_good_checksum),
        cmocka_unit_test(refuses_lengths_above_the_limits),
        cmocka_unit_test(encode_refuses_what_decode_would),
        cmocka_unit_test(keeps_every_limit),
        cmocka_unit_test(restamp_changes_seq_and_stamp_alone),
        cmocka_unit_test(source_is_the_child),
        cmocka_unit_test(layout_is_as_documented),
    };
    return cmocka_run_group_tests_name("unit.proto.record", tests, NULL, NULL);
}
