// SPDX-License-Identifier: Apache-2.0
/* tests/unit/proto/test_batch.c - packing and unpacking: exactly the records from first to last, or
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <zstd.h>

#include "base/limits.h"
#include "proto/batch.h"

enum { ROOM = 1 << 20 };

static uint8_t raw_room[ROOM], packed_room[ROOM + ROOM / 8], out_room[ROOM];

/* count records with numbers from first on, one behind the other. */
static tmb_bytes records_from(uint64_t first, unsigned count, const char *payload)
{
    size_t used = 0;
    for (unsigned i = 0; i < count; i++) {
        tmb_record record = {.seq = first + i, .stamp = {1000 + i}, .qos = 1};
        record.topic = tmb_bytes_str("line/1/temperature");
        record.publisher = tmb_bytes_str("press-7");
        record.payload = tmb_bytes_str(payload);
        size_t len = 0;
        assert_int_equal(tmb_record_encode(&record, raw_room + used, ROOM - used, &len), TMB_OK);
        used += len;
    }
    return tmb_bytes_of(raw_room, used);
}

static tmb_frame_batch pack(tmb_bytes raw, uint64_t first, uint64_t last)
{
    tmb_frame_batch batch = {.first_seq = first, .last_seq = last};
    assert_true(tmb_batch_pack_bound(raw.len) <= sizeof(packed_room));
    assert_int_equal(tmb_batch_pack(raw, packed_room, sizeof(packed_room), &batch), TMB_OK);
    return batch;
}

static tmb_err unpack(const tmb_frame_batch *batch)
{
    tmb_bytes raw = tmb_bytes_str("untouched");
    tmb_err err = tmb_batch_unpack(batch, out_room, sizeof(out_room), &raw);
    assert_true(!err || tmb_bytes_eq(raw, tmb_bytes_str("untouched")));
    return err;
}

static void unpacks_what_it_packed(void **state)
{
    (void)state;
    const unsigned counts[] = {1, 2, 100, TMB_BATCH_RECORDS_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        tmb_bytes raw = records_from(7, counts[i], "21.5"), back;
        tmb_frame_batch batch = pack(raw, 7, 6 + counts[i]);
        assert_int_equal(batch.raw_bytes, raw.len);
        assert_int_equal(tmb_batch_unpack(&batch, out_room, raw.len, &back), TMB_OK);
        assert_true(tmb_bytes_eq(raw, back));
        size_t offset = 0;
        tmb_record record;
        for (uint64_t seq = 7; seq < 7 + counts[i]; seq++) {
            assert_int_equal(tmb_batch_next(back, &offset, &record), TMB_OK);
            assert_true(record.seq == seq);
            assert_true(tmb_bytes_eq(record.payload, tmb_bytes_str("21.5")));
        }
        assert_int_equal(tmb_batch_next(back, &offset, &record), TMB_EAGAIN);
        assert_int_equal(offset, raw.len);
    }
}

static void compresses_only_when_that_helps(void **state)
{
    (void)state;
    tmb_frame_batch batch = pack(records_from(1, 100, "21.5"), 1, 100);
    assert_int_equal(batch.codec, TMB_CODEC_ZSTD);
    assert_true(batch.data.len * 4 < batch.raw_bytes);
    tmb_bytes raw = records_from(1, 1, "x");
    batch = pack(raw, 1, 1);
    assert_int_equal(batch.codec, TMB_CODEC_PLAIN);
    assert_true(tmb_bytes_eq(batch.data, raw));
    assert_int_equal(unpack(&batch), TMB_OK);
}

static void pack_needs_its_room(void **state)
{
    (void)state;
    tmb_bytes raw = records_from(1, 3, "21.5");
    tmb_frame_batch batch = {.raw_bytes = 5};
    assert_int_equal(tmb_batch_pack(raw, packed_room, tmb_batch_pack_bound(raw.len) - 1, &batch),
                     TMB_ELIMIT);
    tmb_bytes large = tmb_bytes_of(raw_room, TMB_BATCH_BYTES_MAX + 1);
    assert_int_equal(tmb_batch_pack(large, packed_room, SIZE_MAX, &batch), TMB_ELIMIT);
    assert_int_equal(batch.raw_bytes, 5);
}

static void refuses_other_numbers_than_announced(void **state)
{
    (void)state;
    tmb_bytes raw = records_from(10, 5, "21.5");
    tmb_frame_batch good = pack(raw, 10, 14), batch = good;
    assert_int_equal(unpack(&batch), TMB_OK);
    batch.last_seq = 13; /* one left over */
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);
    batch.last_seq = 15; /* one too few */
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);
    batch.first_seq = 11; /* other numbers */
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);
    batch = good;
    batch.first_seq = 0;
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);
    batch.first_seq = 15;
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);
    batch = good;
    batch.last_seq = batch.first_seq + TMB_BATCH_RECORDS_MAX;
    assert_int_equal(unpack(&batch), TMB_ELIMIT);
    batch.first_seq = batch.last_seq = TMB_SEQ_MAX + 1;
    assert_int_equal(unpack(&batch), TMB_ELIMIT);
    batch = good;
    batch.codec = (tmb_codec)2;
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);

    /* Good records, another size than announced; and numbers that begin at 0. */
    batch = pack(records_from(3, 1, "x"), 3, 3);
    batch.raw_bytes++;
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);
    batch = pack(records_from(0, 1, "x"), 0, 0);
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);

    /* A hole between good records. */
    (void)records_from(10, 2, "x");
    size_t one = tmb_record_size(&(tmb_record){.topic = tmb_bytes_str("line/1/temperature"),
                                               .publisher = tmb_bytes_str("press-7"),
                                               .payload = tmb_bytes_str("x")});
    tmb_record_restamp(raw_room + one, one, 12, (tmb_hlc){1});
    batch = pack(tmb_bytes_of(raw_room, 2 * one), 10, 11);
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);
}

static void refuses_every_damaged_byte(void **state)
{
    (void)state;
    const char *payloads[] = {"x", "the same words again and again and again and again"};
    for (unsigned i = 0; i < 2; i++) {
        tmb_bytes raw = records_from(1, 1 + 3 * i, payloads[i]);
        tmb_frame_batch batch = pack(raw, 1, 1 + 3 * i);
        assert_int_equal(batch.codec, i == 0 ? TMB_CODEC_PLAIN : TMB_CODEC_ZSTD);
        for (size_t bit = 0; bit < batch.data.len * 8; bit++) {
            packed_room[bit / 8] ^= (uint8_t)(1u << bit % 8);
            tmb_bytes back;
            tmb_err err = tmb_batch_unpack(&batch, out_room, sizeof(out_room), &back);
            /* zstd has bits that change nothing in what comes out; the records never do change. */
            assert_true(err == TMB_ECORRUPT || (!err && tmb_bytes_eq(back, raw)));
            packed_room[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        size_t whole = batch.data.len;
        for (batch.data.len = 0; batch.data.len < whole; batch.data.len++)
            assert_int_equal(unpack(&batch), TMB_ECORRUPT);
    }
}

static void refuses_bombs_and_trailers(void **state)
{
    (void)state;
    tmb_bytes raw = records_from(1, 50, "21.5");
    tmb_frame_batch good = pack(raw, 1, 50), batch = good;
    batch.raw_bytes--;
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);
    batch.raw_bytes += 2;
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);
    batch.raw_bytes = 0;
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);
    batch.raw_bytes = TMB_BATCH_BYTES_MAX + 1;
    assert_int_equal(unpack(&batch), TMB_ELIMIT);
    batch = good;
    tmb_bytes back;
    assert_int_equal(tmb_batch_unpack(&batch, out_room, raw.len - 1, &back), TMB_ELIMIT);

    /* A second zstd frame, an empty skippable one, a stray byte. */
    const char *trailers[] = {"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00", "\x50\x2a\x4d\x18\0\0\0\0",
                              "x"};
    const size_t lens[] = {9, 8, 1};
    for (unsigned i = 0; i < 3; i++) {
        memcpy(packed_room + good.data.len, trailers[i], lens[i]);
        batch.data.len = good.data.len + lens[i];
        assert_int_equal(unpack(&batch), TMB_ECORRUPT);
    }

    /* A frame that does not say how large it is, as a stream of unknown length would be. */
    ZSTD_CCtx *cctx = ZSTD_createCCtx();
    assert_non_null(cctx);
    ZSTD_CCtx_setParameter(cctx, ZSTD_c_contentSizeFlag, 0);
    size_t n = ZSTD_compress2(cctx, packed_room, sizeof(packed_room), raw.ptr, raw.len);
    ZSTD_freeCCtx(cctx);
    assert_false(ZSTD_isError(n));
    batch.data = tmb_bytes_of(packed_room, n);
    assert_int_equal(unpack(&batch), TMB_ECORRUPT);
}

static void largest_batch_goes_through(void **state)
{
    (void)state;
    const size_t cap = tmb_batch_pack_bound(TMB_BATCH_BYTES_MAX);
    uint8_t *raw = test_calloc(1, TMB_BATCH_BYTES_MAX), *packed = test_malloc(cap);
    uint8_t *out = test_malloc(TMB_BATCH_BYTES_MAX);
    size_t used = 0;
    for (unsigned i = 0; i < 2; i++) {
        size_t room = i == 0 ? TMB_RECORD_BYTES_MAX : TMB_BATCH_BYTES_MAX - TMB_RECORD_BYTES_MAX;
        tmb_record record = {.seq = 1 + i, .topic = tmb_bytes_str("big")};
        record.payload = tmb_bytes_of(out, room - tmb_record_size(&record));
        memset(out, 'p', record.payload.len);
        size_t len = 0;
        assert_int_equal(tmb_record_encode(&record, raw + used, room, &len), TMB_OK);
        assert_int_equal(len, room);
        used += len;
    }
    tmb_frame_batch batch = {.first_seq = 1, .last_seq = 2};
    tmb_bytes back;
    assert_int_equal(tmb_batch_pack(tmb_bytes_of(raw, used), packed, cap, &batch), TMB_OK);
    assert_int_equal(batch.raw_bytes, TMB_BATCH_BYTES_MAX);
    assert_int_equal(tmb_batch_unpack(&batch, out, TMB_BATCH_BYTES_MAX, &back), TMB_OK);
    assert_true(tmb_bytes_eq(back, tmb_bytes_of(raw, used)));
    test_free(raw);
    test_free(packed);
    test_free(out);
}

static void walk_stops_at_damage(void **state)
{
    (void)state;
    tmb_bytes raw = records_from(1, 2, "21.5");
    size_t offset = 0;
    tmb_record record = {.seq = 99};
    raw.len--;
    assert_int_equal(tmb_batch_next(raw, &offset, &record), TMB_OK);
    size_t before = offset;
    assert_int_equal(tmb_batch_next(raw, &offset, &record), TMB_ECORRUPT);
    assert_int_equal(offset, before);
    assert_int_equal(record.seq, 1);
    offset = 0;
    assert_int_equal(tmb_batch_next(tmb_bytes_of(NULL, 0), &offset, &record), TMB_EAGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpacks_what_it_packed),
        cmocka_unit_test(compresses_only_when_that_helps),
        cmocka_unit_test(pack_needs_its_room),
        cmocka_unit_test(refuses_other_numbers_than_announced),
        cmocka_unit_test(refuses_every_damaged_byte),
        cmocka_unit_test(refuses_bombs_and_trailers),
        cmocka_unit_test(largest_batch_goes_through),
        cmocka_unit_test(walk_stops_at_damage),
    };
    return cmocka_run_group_tests_name("unit.proto.batch", tests, NULL, NULL);
}
