// SPDX-License-Identifier: Apache-2.0
/* tests/unit/proto/test_fold.c - folded batches: what comes out is what went in, byte by byte, whatever it
 * was; and bytes that nobody folded are refused. Random parts: the same seed gives the same run, TMB_SEED=N.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/rng.h"
#include "proto/batch.h"
#include "proto/fold.h"
#include "proto/shape.h"
#include "tests/unit/proto/records.h"

enum { ROOM = TMB_FOLD_BYTES_MAX, ROUNDS = 400 };

static uint8_t raw_room[ROOM + 4096], packed_room[ROOM + ROOM / 8], out_room[ROOM];
static void *room;
static size_t room_cap;
static uint64_t seed;

static size_t add_record(size_t used, const tmb_record *record)
{
    size_t len = 0;
    assert_int_equal(tmb_record_encode(record, raw_room + used, sizeof raw_room - used, &len),
                     TMB_OK);
    return used + len;
}

static tmb_record record_of(uint64_t seq, const char *topic, tmb_bytes payload)
{
    tmb_record record = {.seq = seq, .qos = 1, .payload = payload};
    record.stamp.u64 = (UINT64_C(1700000000000) + seq * 17) << 16;
    record.topic = tmb_bytes_str(topic);
    record.publisher = tmb_bytes_str("press-7");
    return record;
}

static tmb_bytes records_of(const char *const *payloads, size_t count)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        tmb_record record = record_of(i + 1, "line/1", tmb_bytes_str(payloads[i]));
        used = add_record(used, &record);
    }
    return tmb_bytes_of(raw_room, used);
}

static tmb_frame_batch fold(tmb_bytes raw, uint64_t last, const tmb_dictionary *dictionary)
{
    tmb_frame_batch batch = {.first_seq = 1, .last_seq = last, .dictionary = 77};
    assert_int_equal(tmb_batch_fold(raw, 1, last, dictionary, 3, room, room_cap, packed_room,
                                    sizeof packed_room, &batch),
                     TMB_OK);
    assert_true(batch.data.len <= raw.len);
    return batch;
}

/* Folds whatever the size, straight through proto/fold.h; gives the sizes of both streams. */
static void fold_and_back(tmb_bytes raw, uint64_t count, size_t *ret_text, size_t *ret_numbers)
{
    static uint8_t text[2 * ROOM], numbers[2 * ROOM], line[ROOM];
    tmb_fold *fold = room;
    *ret_text = sizeof text;
    *ret_numbers = sizeof numbers;
    assert_int_equal(tmb_fold_records(fold, raw, text, ret_text, numbers, ret_numbers), TMB_OK);
    assert_int_equal(tmb_unfold_records(fold, tmb_bytes_of(text, *ret_text),
                                        tmb_bytes_of(numbers, *ret_numbers), 1, count, line,
                                        out_room, raw.len),
                     TMB_OK);
    assert_memory_equal(out_room, raw.ptr, raw.len);
}

static void gives_back(tmb_bytes raw, uint64_t count, const tmb_dictionary *dictionary)
{
    tmb_frame_batch batch = fold(raw, count, dictionary);
    tmb_bytes back;
    assert_int_equal(
        tmb_batch_unfold(&batch, dictionary, room, room_cap, out_room, sizeof out_room, &back),
        TMB_OK);
    assert_true(tmb_bytes_eq(raw, back));
}

static const char *const strange[] = {
    "",
    "0",
    "-0",
    "00",
    "007",
    "-007",
    "0.0",
    "-0.0",
    "0.50",
    "1.",
    ".5",
    "-.5",
    "--1",
    "1-1",
    "1.2.3.4",
    "192.168.000.1",
    "1e5",
    "1E-5",
    "-1.5e+10",
    "0x1f",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "999999999999999999",
    "-999999999999999999",
    "1000000000000000000",
    "0.999999999999999999",
    "0.99999999999999999",
    "123456789012345678901234567890",
    "9223372036854775807 -9223372036854775808",
    "2026-11-21T07:05:09.045Z",
    "2026-11-21 07:05:10.100000",
    "21.5C 12ms 7%",
    ("a1 1a _1 1_ \xc3\xa4"
     "1 1\xc3\xa4"),
    "[1,2.0,3.00,4.000,5,5.5,0.001,100]",
    "[12.5,12.50,12.500,12,120,1200,1200.0]",
    "{\"a\":-1,\"b\":- 1,\"c\":+1,\"d\":1 }",
    "1,1,1,1,1,1,1,1",
    "\t\n\r 5 \x7f",
    "\x01\x02\x03 12 \x07",
    "\xff\xfe 12",
    "5T6Z7T-8Z-9",
};
enum { STRANGE = sizeof strange / sizeof strange[0] };

static void any_text_comes_back(void **state)
{
    (void)state;
    size_t text, numbers;
    for (unsigned i = 0; i < STRANGE; i++)
        fold_and_back(records_of(strange + i, 1), 1, &text, &numbers);
    fold_and_back(records_of(strange, STRANGE), STRANGE, &text, &numbers);
    gives_back(records_of(strange, STRANGE), STRANGE, NULL);
}

static void every_kind_of_record_comes_back(void **state)
{
    (void)state;
    size_t used = 0, text, numbers;
    unsigned count = 0;
    for (unsigned bits = 0; bits < 3 * 512; bits++) {
        tmb_record record = record_of_bits(bits);
        record.seq = ++count;
        record.stamp.u64 >>= 8; /* a clock that is possible */
        record.number >>= 8;
        record.has_via = record.has_via && record.has_origin;
        used = add_record(used, &record);
    }
    fold_and_back(tmb_bytes_of(raw_room, used), count, &text, &numbers);
    gives_back(tmb_bytes_of(raw_room, used), count, NULL);
}

static void numbers_above_what_is_coded_are_not_folded(void **state)
{
    (void)state;
    tmb_record record =
        record_of(1, "t", tmb_bytes_str("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    record.is_numbered = true;
    record.number = UINT64_C(1000000000000000000);
    tmb_bytes raw = tmb_bytes_of(raw_room, add_record(0, &record));
    tmb_frame_batch batch = fold(raw, 1, NULL);
    assert_true(!tmb_codec_is_folded(batch.codec) && batch.dictionary == 0);
    record.number--;
    raw = tmb_bytes_of(raw_room, add_record(0, &record));
    assert_int_equal(fold(raw, 1, NULL).codec, TMB_CODEC_FOLDED);
}

static const char *walk(tmb_rng *rng, unsigned at, char *out, size_t cap)
{
    static long value = 2150;
    int len = snprintf(out, cap, "{\"n\":%u,\"t\":%llu,\"values\":[", at,
                       1700000000000ull + at * 1000ull);
    for (unsigned i = 0; i < 20; i++) {
        value += (long)tmb_rng_below(rng, 41) - 20;
        len += snprintf(out + len, cap - (size_t)len, "%s%ld.%02ld", i ? "," : "", value / 100,
                        value % 100);
    }
    snprintf(out + len, cap - (size_t)len, "]}");
    return out;
}

static tmb_bytes walks(unsigned count)
{
    tmb_rng rng = {seed};
    size_t used = 0;
    for (unsigned i = 0; i < count; i++) {
        char text[512];
        tmb_record record =
            record_of(i + 1, "line/1", tmb_bytes_str(walk(&rng, i, text, sizeof text)));
        used = add_record(used, &record);
    }
    return tmb_bytes_of(raw_room, used);
}

static void telemetry_gets_small(void **state)
{
    (void)state;
    tmb_bytes raw = walks(100);
    tmb_frame_batch plain = {.first_seq = 1, .last_seq = 100};
    assert_int_equal(tmb_batch_pack(raw, packed_room, sizeof packed_room, &plain), TMB_OK);
    tmb_frame_batch folded = fold(raw, 100, NULL);
    assert_int_equal(folded.codec, TMB_CODEC_FOLDED);
    /* 20 steps of 5.4 bits and some, of 243 bytes with the record's own. */
    assert_true(folded.data.len < 100 * 18);
    assert_true(folded.data.len * 2 < plain.data.len);
    gives_back(raw, 100, NULL);
}

static void noise_grows_by_next_to_nothing(void **state)
{
    (void)state;
    tmb_rng rng = {seed + 1};
    size_t used = 0;
    for (unsigned i = 0; i < 50; i++) {
        uint8_t noise[1000];
        for (unsigned k = 0; k < sizeof noise; k++)
            noise[k] = (uint8_t)tmb_rng_below(&rng, 256);
        tmb_record record = record_of(i + 1, "line/1", tmb_bytes_of(noise, sizeof noise));
        used = add_record(used, &record);
    }
    tmb_frame_batch batch = fold(tmb_bytes_of(raw_room, used), 50, NULL);
    assert_int_equal(batch.codec, TMB_CODEC_FOLDED);
    assert_true(batch.data.len < 50 * 1000 + 400);
    gives_back(tmb_bytes_of(raw_room, used), 50, NULL);
}

static void dictionary_is_needed_and_helps(void **state)
{
    (void)state;
    tmb_bytes raw = walks(1), text;
    static uint8_t kept[4096];
    assert_int_equal(fold(raw, 1, NULL).codec, TMB_CODEC_FOLDED);
    text = tmb_batch_room_text(room);
    memcpy(kept, text.ptr, text.len);
    tmb_dictionary dictionary = {5, tmb_bytes_of(kept, text.len)}, other = {6, dictionary.data};
    size_t without = fold(raw, 1, NULL).data.len;
    tmb_frame_batch batch = fold(raw, 1, &dictionary);
    assert_int_equal(batch.codec, TMB_CODEC_FOLDED_DICTIONARY);
    assert_int_equal(batch.dictionary, 5);
    assert_true(batch.data.len + 20 < without);
    gives_back(raw, 1, &dictionary);
    batch = fold(raw, 1, &dictionary);
    tmb_bytes back;
    assert_int_equal(tmb_batch_unfold(&batch, NULL, room, room_cap, out_room, ROOM, &back),
                     TMB_ENOENT);
    assert_int_equal(tmb_batch_unfold(&batch, &other, room, room_cap, out_room, ROOM, &back),
                     TMB_ENOENT);
    other.id = 0;
    assert_int_equal(fold(raw, 1, &other).codec, TMB_CODEC_FOLDED);
}

static void refuses_every_damaged_byte(void **state)
{
    (void)state;
    tmb_bytes raw = walks(4);
    tmb_frame_batch batch = fold(raw, 4, NULL);
    assert_int_equal(batch.codec, TMB_CODEC_FOLDED);
    for (size_t bit = 0; bit < batch.data.len * 8; bit++) {
        packed_room[bit / 8] ^= (uint8_t)(1u << bit % 8);
        tmb_bytes back;
        tmb_err err = tmb_batch_unfold(&batch, NULL, room, room_cap, out_room, ROOM, &back);
        assert_true(err == TMB_ECORRUPT || (!err && tmb_bytes_eq(back, raw)));
        packed_room[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = 0; len < batch.data.len; len++) {
        tmb_frame_batch cut = batch;
        tmb_bytes back;
        cut.data.len = len;
        assert_int_not_equal(tmb_batch_unfold(&cut, NULL, room, room_cap, out_room, ROOM, &back),
                             TMB_OK);
    }
}

static void refuses_other_numbers_than_announced(void **state)
{
    (void)state;
    tmb_frame_batch good = fold(walks(5), 5, NULL), batch = good;
    tmb_bytes back;
#define REFUSED(want)                                                                              \
    assert_int_equal(tmb_batch_unfold(&batch, NULL, room, room_cap, out_room, ROOM, &back), want)
    batch.last_seq = 4;
    REFUSED(TMB_ECORRUPT);
    batch.last_seq = 6;
    REFUSED(TMB_ECORRUPT);
    batch.last_seq = batch.first_seq + TMB_BATCH_RECORDS_MAX;
    REFUSED(TMB_ELIMIT);
    batch = good;
    batch.raw_bytes--;
    REFUSED(TMB_ECORRUPT);
    batch.raw_bytes += 2;
    REFUSED(TMB_ECORRUPT);
    batch.raw_bytes = TMB_FOLD_BYTES_MAX + 1;
    REFUSED(TMB_ELIMIT);
    batch = good;
    batch.first_seq = 0;
    REFUSED(TMB_ECORRUPT);
    batch = good;
    assert_int_equal(
        tmb_batch_unfold(&batch, NULL, room, room_cap, out_room, good.raw_bytes - 1, &back),
        TMB_ELIMIT);
    assert_int_equal(tmb_batch_unfold(&batch, NULL, room, sizeof(tmb_fold), out_room, ROOM, &back),
                     TMB_ELIMIT);
    assert_int_equal(tmb_batch_unpack(&batch, out_room, ROOM, &back), TMB_ECORRUPT);
    batch.codec = TMB_CODEC_PLAIN;
    batch.data = walks(5);
    REFUSED(TMB_OK);
#undef REFUSED
}

/* More places for numbers than there may be, in one message and in many. */
static void numbers_beyond_the_columns_stay_text(void **state)
{
    (void)state;
    enum { EACH = 3000, MANY = 20 };
    size_t used = 0, text, numbers, cap = EACH * 2 + MANY + 8;
    char *long_one =
        test_malloc(cap > 2 * TMB_FOLD_COLUMNS_MAX ? cap : 2 * TMB_FOLD_COLUMNS_MAX + 16);
    for (unsigned i = 0; i < MANY; i++) {
        size_t len = 0;
        for (unsigned k = 0; k < EACH + i; k++, len += 2)
            memcpy(long_one + len, k % 2 ? "1," : "2;", 2);
        tmb_record record = record_of(i + 1, "t", tmb_bytes_of(long_one, len));
        used = add_record(used, &record);
    }
    fold_and_back(tmb_bytes_of(raw_room, used), MANY, &text, &numbers);
    assert_true(text > EACH * 2 * (MANY - 1) -
                           11 * EACH); /* ten of them as shapes, the rest as they are */
    for (unsigned k = 0; k <= TMB_FOLD_COLUMNS_MAX; k++)
        memcpy(long_one + 2 * k, "7,", 2);
    tmb_record record = record_of(1, "t", tmb_bytes_of(long_one, 2 * TMB_FOLD_COLUMNS_MAX + 2));
    fold_and_back(tmb_bytes_of(raw_room, add_record(0, &record)), 1, &text, &numbers);
    test_free(long_one);
}

static void large_batches_are_not_folded(void **state)
{
    (void)state;
    assert_int_equal(tmb_batch_room_bytes(TMB_FOLD_BYTES_MAX + 1), 0);
    assert_true(tmb_batch_room_bytes(TMB_FOLD_BYTES_MAX) > 4 * TMB_FOLD_BYTES_MAX);
    tmb_frame_batch batch = {.raw_bytes = 5};
    assert_int_equal(tmb_batch_fold(tmb_bytes_of(raw_room, TMB_FOLD_BYTES_MAX + 1), 1, 1, NULL, 3,
                                    room, room_cap, packed_room, sizeof packed_room, &batch),
                     TMB_ELIMIT);
    assert_int_equal(batch.raw_bytes, 5);
}

static void a_time_of_day_is_one_shape(void **state)
{
    (void)state;
    const char *const times[] = {"{\"at\":\"2026-11-21T07:05:09.045Z\",\"v\":1}",
                                 "{\"at\":\"2026-12-01T17:45:10.100Z\",\"v\":1}",
                                 "{\"at\":\"2027-01-31T00:00:00.000Z\",\"v\":1}"};
    size_t one, three, numbers;
    fold_and_back(records_of(times, 1), 1, &one, &numbers);
    fold_and_back(records_of(times, 3), 3, &three, &numbers);
    assert_int_equal(one, three);
}

/* What a record may be made of, with a leaning to digits. */
static size_t random_text(tmb_rng *rng, char *out, size_t max)
{
    static const char pool[] = "0123456789012345678900..--::,,,  [{\"}]TZeEx_ab\x01\x07\xc3";
    size_t len = tmb_rng_below(rng, max), made = 0;
    while (made < len) {
        if (tmb_rng_below(rng, 3) != 0) {
            out[made++] = pool[tmb_rng_below(rng, sizeof pool - 1)];
            continue;
        }
        const char *piece = strange[tmb_rng_below(rng, STRANGE)];
        size_t n = strlen(piece) < len - made ? strlen(piece) : len - made;
        memcpy(out + made, piece, n);
        made += n;
    }
    return len;
}

static void random_batches_come_back(void **state)
{
    (void)state;
    tmb_rng rng = {seed + 2};
    static char texts[64][300];
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t used = 0, text, numbers, lens[64];
        unsigned kinds = 1 + (unsigned)tmb_rng_below(&rng, 64),
                 count = 1 + (unsigned)tmb_rng_below(&rng, 100);
        for (unsigned i = 0; i < kinds; i++)
            lens[i] = random_text(&rng, texts[i], sizeof texts[i]);
        for (unsigned i = 0; i < count; i++) {
            unsigned kind = (unsigned)tmb_rng_below(&rng, kinds);
            tmb_record record = record_of_bits((unsigned)tmb_rng_below(&rng, 3 * 512));
            record.seq = i + 1;
            record.stamp.u64 = tmb_rng_next(&rng) >> tmb_rng_below(&rng, 48);
            record.has_via = record.has_via && record.has_origin;
            record.number = 1 + (tmb_rng_next(&rng) >> (5 + tmb_rng_below(&rng, 59)));
            record.payload = tmb_bytes_of(texts[kind], lens[kind]);
            for (unsigned k = 0; k < 3 && lens[kind] > 0; k++) /* one more digit now and then */
                if (tmb_rng_below(&rng, 4) == 0)
                    texts[kind][tmb_rng_below(&rng, lens[kind])] =
                        (char)('0' + tmb_rng_below(&rng, 10));
            used = add_record(used, &record);
        }
        fold_and_back(tmb_bytes_of(raw_room, used), count, &text, &numbers);
        gives_back(tmb_bytes_of(raw_room, used), count, NULL);
    }
}

static void every_number_prints_as_it_was(void **state)
{
    (void)state;
    tmb_rng rng = {seed + 3};
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t whole =
            tmb_rng_next(&rng) % UINT64_C(1000000000000000000) >> tmb_rng_below(&rng, 60);
        unsigned decimals = (unsigned)tmb_rng_below(&rng, 18);
        tmb_number number = {tmb_rng_below(&rng, 2) ? (int64_t)whole : -(int64_t)whole, decimals},
                   back;
        uint8_t printed[TMB_NUMBER_TEXT_MAX], rest[TMB_NUMBER_TEXT_MAX];
        size_t len = tmb_number_print(TMB_MARK_NUMBER, number, printed), at = 0;
        tmb_writer w = tmb_writer_of(rest, sizeof rest);
        assert_int_equal(tmb_shape_next(tmb_bytes_of(printed, len), &at, &w, &back),
                         TMB_MARK_NUMBER);
        assert_true(at == len && w.at == rest);
        assert_true(back.whole == number.whole && back.decimals == decimals);
    }
}

int main(void)
{
    const char *given = getenv("TMB_SEED");
    seed = given ? strtoull(given, NULL, 10) : 20261121;
    printf("seed %llu\n", (unsigned long long)seed);
    room_cap = tmb_batch_room_bytes(ROOM);
    room = malloc(room_cap);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_text_comes_back),
        cmocka_unit_test(every_kind_of_record_comes_back),
        cmocka_unit_test(numbers_above_what_is_coded_are_not_folded),
        cmocka_unit_test(telemetry_gets_small),
        cmocka_unit_test(noise_grows_by_next_to_nothing),
        cmocka_unit_test(dictionary_is_needed_and_helps),
        cmocka_unit_test(refuses_every_damaged_byte),
        cmocka_unit_test(refuses_other_numbers_than_announced),
        cmocka_unit_test(numbers_beyond_the_columns_stay_text),
        cmocka_unit_test(large_batches_are_not_folded),
        cmocka_unit_test(a_time_of_day_is_one_shape),
        cmocka_unit_test(random_batches_come_back),
        cmocka_unit_test(every_number_prints_as_it_was),
    };
    int failed = room ? cmocka_run_group_tests_name("unit.proto.fold", tests, NULL, NULL) : 1;
    free(room);
    return failed;
}
