// SPDX-License-Identifier: Apache-2.0
/* tests/unit/proto/test_roundtrip.c - random records, properties, frames and batches come back as they went;
 * the same seed gives the same run: TMB_SEED=N. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/limits.h"
#include "base/rng.h"
#include "proto/batch.h"
#include "proto/props.h"
#include "tests/unit/proto/frames.h"
#include "tests/unit/proto/records.h"

enum { ROUNDS = 2000, ROOM = 1 << 17 };

static uint64_t seed;
static uint8_t noise[4096];
static char letters[4096];

/* One generator a test, so that one test's draws do not move another's. */
static tmb_rng rng_of(unsigned test)
{
    tmb_rng rng = {seed + test};
    return rng;
}

static uint64_t below(tmb_rng *rng, uint64_t n)
{
    return tmb_rng_below(rng, n);
}

static tmb_bytes random_noise(tmb_rng *rng, size_t max)
{
    size_t len = below(rng, 4) == 0 ? 0 : below(rng, max + 1);
    return tmb_bytes_of(noise + below(rng, sizeof(noise) - len), len);
}

/* 1 to max letters, digits, slashes do not come in: good as a name, a topic and a string. */
static tmb_bytes random_letters(tmb_rng *rng, size_t max)
{
    size_t len = 1 + below(rng, max);
    return tmb_bytes_of(letters + below(rng, sizeof(letters) - len), len);
}

/* Small, middling and huge numbers alike. */
static uint64_t random_number(tmb_rng *rng)
{
    return tmb_rng_next(rng) >> below(rng, 64);
}

static tmb_incarnation random_incarnation(tmb_rng *rng)
{
    tmb_incarnation incarnation;
    for (size_t i = 0; i < sizeof(incarnation.bytes); i++)
        incarnation.bytes[i] = (uint8_t)below(rng, 256);
    return incarnation;
}

static tmb_origin random_origin(tmb_rng *rng)
{
    tmb_origin origin = {.node = random_letters(rng, TMB_NAME_BYTES_MAX)};
    origin.incarnation = random_incarnation(rng);
    origin.stream = random_letters(rng, TMB_STREAM_NAME_BYTES_MAX);
    origin.seq = random_number(rng);
    origin.stamp.u64 = random_number(rng);
    return origin;
}

static tmb_record random_record(tmb_rng *rng)
{
    tmb_record record = {.seq = random_number(rng), .stamp = {random_number(rng)}};
    record.qos = (uint8_t)below(rng, 3);
    record.retain = below(rng, 2) != 0;
    record.is_will = below(rng, 2) != 0;
    record.is_numbered = below(rng, 2) != 0;
    record.has_origin = below(rng, 2) != 0;
    record.has_via = record.has_origin && below(rng, 2) != 0;
    if (record.is_numbered) {
        record.number = random_number(rng) | 1;
        record.run = random_letters(rng, TMB_RUN_BYTES_MAX);
    }
    if (record.has_origin)
        record.origin = random_origin(rng);
    if (record.has_via)
        record.via = random_origin(rng);
    record.topic = random_letters(rng, 300);
    record.publisher = random_noise(rng, TMB_PUBLISHER_BYTES_MAX);
    record.props = random_noise(rng, 1000);
    record.payload = random_noise(rng, 3000);
    return record;
}

static void records_come_back(void **state)
{
    (void)state;
    tmb_rng rng = rng_of(1);
    static uint8_t out[ROOM];
    for (unsigned round = 0; round < ROUNDS; round++) {
        tmb_record in = random_record(&rng), back;
        size_t len = 0, used = 0;
        assert_int_equal(tmb_record_encode(&in, out, sizeof(out), &len), TMB_OK);
        assert_int_equal(tmb_record_decode(tmb_bytes_of(out, len), &back, &used), TMB_OK);
        assert_int_equal(used, len);
        assert_true(records_are_equal(&in, &back));

        /* A burst of up to 32 bits is always found. */
        size_t at = below(&rng, len - 3);
        uint32_t burst = (uint32_t)(tmb_rng_next(&rng) | 1);
        for (unsigned i = 0; i < 4; i++)
            out[at + i] ^= (uint8_t)(burst >> (8 * i));
        assert_int_not_equal(tmb_record_decode(tmb_bytes_of(out, len), &back, &used), TMB_OK);
    }
}

static tmb_prop random_prop(tmb_rng *rng)
{
    static const uint8_t ids[] = {1, 2, 3, 8, 9, 38};
    tmb_prop prop = {.id = ids[below(rng, sizeof(ids))]};
    if (prop.id == TMB_PROP_PAYLOAD_FORMAT)
        prop.number = (uint32_t)below(rng, 2);
    else if (prop.id == TMB_PROP_EXPIRY)
        prop.number = (uint32_t)random_number(rng);
    else if (prop.id == TMB_PROP_CORRELATION)
        prop.value = random_noise(rng, 200);
    else
        prop.value = random_letters(rng, 200);
    if (prop.id == TMB_PROP_USER)
        prop.name = random_letters(rng, 50);
    return prop;
}

static void props_come_back(void **state)
{
    (void)state;
    tmb_rng rng = rng_of(2);
    uint8_t out[4096];
    for (unsigned round = 0; round < ROUNDS; round++) {
        tmb_prop in[10];
        size_t count = below(&rng, 11), size = 0;
        tmb_writer w = tmb_writer_of(out, sizeof(out));
        for (size_t i = 0; i < count; i++) {
            in[i] = random_prop(&rng);
            tmb_props_put(&w, &in[i]);
            size += tmb_props_put_size(&in[i]);
        }
        assert_false(w.bad);
        assert_int_equal(w.at - out, size);
        tmb_bytes props = tmb_bytes_of(out, size);
        assert_true(tmb_props_are_valid(props));
        tmb_reader r = tmb_reader_of(props);
        for (size_t i = 0; i < count; i++) {
            tmb_prop back;
            assert_int_equal(tmb_props_next(&r, &back), TMB_OK);
            assert_true(back.id == in[i].id && back.number == in[i].number);
            assert_true(tmb_bytes_eq(back.name, in[i].name));
            assert_true(tmb_bytes_eq(back.value, in[i].value));
        }
        assert_int_equal(tmb_reader_left(&r), 0);
    }
}

static uint64_t random_seq(tmb_rng *rng)
{
    return random_number(rng) & TMB_SEQ_MAX;
}

static tmb_mark random_mark(tmb_rng *rng)
{
    tmb_mark mark = {.stream = random_letters(rng, TMB_STREAM_NAME_BYTES_MAX),
                     .incarnation = random_incarnation(rng)};
    mark.seq = random_seq(rng);
    return mark;
}

static void randomise_batch(tmb_rng *rng, tmb_frame_batch *batch)
{
    batch->first_seq = 1 + random_seq(rng) / 2;
    batch->last_seq = batch->first_seq + below(rng, 50);
    size_t least = (batch->last_seq - batch->first_seq + 1) * TMB_RECORD_BYTES_MIN;
    batch->gap_first = below(rng, batch->first_seq);
    batch->gap_reason =
        batch->gap_first == 0 ? TMB_GAP_NONE : (tmb_gap_reason)(TMB_GAP_TORN + below(rng, 4));
    batch->codec = (tmb_codec)below(rng, 2);
    batch->pool = (tmb_pool)below(rng, 2);
    batch->spent = random_number(rng);
    batch->data = tmb_bytes_of(noise, least + below(rng, 100));
    batch->raw_bytes = (uint32_t)batch->data.len;
    if (batch->codec == TMB_CODEC_ZSTD)
        batch->data.len = 1 + below(rng, 1000);
}

static void randomise_state(tmb_rng *rng, tmb_frame *f)
{
    if (f->type == TMB_FRAME_SCOPE) {
        f->u.scope.session = random_number(rng);
        f->u.scope.scope = random_letters(rng, TMB_NAME_BYTES_MAX);
        f->u.scope.turn = 1 + (uint32_t)below(rng, UINT32_MAX);
        f->u.scope.answers = (uint32_t)random_number(rng);
        f->u.scope.yours_seq = 70 + random_seq(rng) / 2;
        f->u.scope.leaves = random_number(rng);
        f->u.scope.refused = (tmb_refusal)below(rng, TMB_REFUSAL_LIMIT + 1);
    } else if (f->type == TMB_FRAME_LEAVES) {
        f->u.leaves.session = random_number(rng);
        f->u.leaves.n = (uint32_t)random_number(rng);
        f->u.leaves.data = tmb_bytes_of(noise, 1 + below(rng, 1000));
        f->u.leaves.raw_bytes = (uint32_t)f->u.leaves.data.len;
        f->u.leaves.codec = (tmb_codec)below(rng, 2);
    } else if (f->type == TMB_FRAME_STORED) {
        f->u.stored.session = random_number(rng);
        f->u.stored.n = (uint32_t)random_number(rng);
    } else if (f->type == TMB_FRAME_RANGES) {
        f->u.ranges.session = random_number(rng);
        f->u.ranges.round = (uint32_t)random_number(rng);
        f->u.ranges.data = tmb_bytes_of(noise, below(rng, 1000));
    }
}

static tmb_frame random_frame(tmb_rng *rng)
{
    tmb_frame f = frame_of((tmb_frame_type)(1 + below(rng, TMB_FRAME_LAST)));
    switch (f.type) {
    case TMB_FRAME_HELLO:
        f.u.hello.session = random_number(rng);
        f.u.hello.node = random_letters(rng, TMB_NAME_BYTES_MAX);
        f.u.hello.version_min = 1 + (uint32_t)below(rng, 5);
        f.u.hello.version_max = f.u.hello.version_min + (uint32_t)below(rng, 5);
        f.u.hello.streams_count = (unsigned)below(rng, 3);
        for (unsigned i = 0; i < 2; i++) {
            f.u.hello.streams[i].last_seq = random_seq(rng);
            f.u.hello.streams[i].first_seq = 1 + below(rng, f.u.hello.streams[i].last_seq + 1);
        }
        break;
    case TMB_FRAME_WELCOME:
        f.u.welcome.session = random_number(rng);
        f.u.welcome.node = random_letters(rng, TMB_NAME_BYTES_MAX);
        f.u.welcome.version = 1 + (uint32_t)random_number(rng) / 2;
        f.u.welcome.is_top = below(rng, 2) == 1;
        f.u.welcome.marks_count = (unsigned)below(rng, 2);
        f.u.welcome.marks[0] = random_mark(rng);
        break;
    case TMB_FRAME_BATCH:
        randomise_batch(rng, &f.u.batch);
        break;
    case TMB_FRAME_ACK:
        f.u.ack.session = random_number(rng);
        f.u.ack.mark = random_mark(rng);
        f.u.ack.resend = below(rng, 2) != 0;
        f.u.ack.wait_ms = (uint32_t)random_number(rng);
        break;
    case TMB_FRAME_BYE:
        f.u.bye.reason = (tmb_bye_reason)(1 + below(rng, TMB_BYE_FORKED));
        f.u.bye.wait_ms = (uint32_t)random_number(rng);
        f.u.bye.text = random_letters(rng, TMB_BYE_TEXT_BYTES_MAX);
        break;
    case TMB_FRAME_CREDIT:
        f.u.credit = (tmb_frame_credit){random_number(rng), random_number(rng), random_number(rng),
                                        (uint32_t)random_number(rng)};
        break;
    case TMB_FRAME_DICTIONARY:
        f.u.dictionary.session = random_number(rng);
        f.u.dictionary.id = 1 + (uint32_t)below(rng, 1000);
        break;
    case TMB_FRAME_ASK:
        f.u.ask.session = random_number(rng);
        f.u.ask.marks[0] = random_mark(rng);
        break;
    case TMB_FRAME_TOLD:
        f.u.told.session = random_number(rng);
        f.u.told.marks[0] = random_mark(rng);
        break;
    case TMB_FRAME_SCOPE:
    case TMB_FRAME_LEAVES:
    case TMB_FRAME_STORED:
    case TMB_FRAME_RANGES:
        randomise_state(rng, &f);
        break;
    }
    return f;
}

static void frames_come_back(void **state)
{
    (void)state;
    tmb_rng rng = rng_of(3);
    static uint8_t out[ROOM], again[ROOM], arena[4 * ROOM];
    for (unsigned round = 0; round < ROUNDS; round++) {
        tmb_frame in = random_frame(&rng), back;
        size_t len = 0, len_again = 0;
        assert_int_equal(tmb_frame_encode(&in, out, sizeof(out), &len), TMB_OK);
        assert_int_equal(len, tmb_frame_size_max(&in));
        assert_true(tmb_frame_arena_size(len) <= sizeof(arena));
        assert_int_equal(
            tmb_frame_decode(tmb_bytes_of(out, len), arena, tmb_frame_arena_size(len), &back),
            TMB_OK);
        assert_true(frames_are_equal(&in, &back));
        assert_int_equal(tmb_frame_encode(&back, again, sizeof(again), &len_again), TMB_OK);
        assert_true(tmb_bytes_eq(tmb_bytes_of(out, len), tmb_bytes_of(again, len_again)));
    }
}

static void batches_come_back(void **state)
{
    (void)state;
    tmb_rng rng = rng_of(4);
    static uint8_t raw[ROOM], packed[ROOM + ROOM / 8], out[ROOM];
    for (unsigned round = 0; round < ROUNDS / 10; round++) {
        tmb_frame_batch batch = {.first_seq = 1 + random_seq(&rng) / 2};
        size_t used = 0, count = 1 + below(&rng, 20);
        for (size_t i = 0; i < count; i++) {
            tmb_record record = random_record(&rng);
            size_t len = 0;
            record.seq = batch.first_seq + i;
            assert_int_equal(tmb_record_encode(&record, raw + used, ROOM - used, &len), TMB_OK);
            used += len;
        }
        batch.last_seq = batch.first_seq + count - 1;
        tmb_bytes back;
        assert_int_equal(tmb_batch_pack(tmb_bytes_of(raw, used), packed, sizeof(packed), &batch),
                         TMB_OK);
        assert_int_equal(tmb_batch_unpack(&batch, out, used, &back), TMB_OK);
        assert_true(tmb_bytes_eq(back, tmb_bytes_of(raw, used)));
    }
}

static void make_material(void)
{
    tmb_rng rng = rng_of(0);
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)tmb_rng_next(&rng);
    for (size_t i = 0; i < sizeof(letters); i++)
        letters[i] = alphabet[below(&rng, sizeof(alphabet) - 1)];
}

int main(void)
{
    const char *env = getenv("TMB_SEED");
    seed = env ? strtoull(env, NULL, 0) : 20261121;
    printf("seed %llu\n", (unsigned long long)seed);
    make_material();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back),
        cmocka_unit_test(props_come_back),
        cmocka_unit_test(frames_come_back),
        cmocka_unit_test(batches_come_back),
    };
    return cmocka_run_group_tests_name("property.proto.roundtrip", tests, NULL, NULL);
}
