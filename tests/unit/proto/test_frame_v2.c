// SPDX-License-Identifier: Apache-2.0
/* tests/unit/proto/test_frame_v2.c - the rules that version 2 added to frames, each broken on both ends:
 * classes, chains, loads, credits, pieces, pools, dictionaries, shared marks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "proto/frame.h"
#include "tests/unit/proto/frames.h"

static uint8_t long_data[TMB_DICTIONARY_BYTES_MAX + 1];
static char names[TMB_STREAMS_MAX + 1][TMB_STREAM_NAME_BYTES_MAX + 1];

/* What the codec says of a frame; what it takes comes back as it went. */
static tmb_err roundtrip(const tmb_frame *in)
{
    size_t cap = tmb_frame_size_max(in), len = 0;
    uint8_t *out = malloc(cap + 1);
    assert_non_null(out);
    tmb_err err = tmb_frame_encode(in, out, cap, &len);
    if (!err) {
        size_t arena_size = tmb_frame_arena_size(len);
        void *arena = malloc(arena_size);
        assert_non_null(arena);
        tmb_frame back;
        assert_int_equal(tmb_frame_decode(tmb_bytes_of(out, len), arena, arena_size, &back),
                         TMB_OK);
        assert_true(frames_are_equal(in, &back));
        free(arena);
    }
    free(out);
    return err;
}

/* What decoding says of bytes made by hand; the frame of one that is taken in *ret_frame. */
static tmb_err decode(const char *bytes, size_t len, tmb_frame *ret_frame)
{
    static uint8_t arena[65536];
    assert_true(tmb_frame_arena_size(len) <= sizeof(arena));
    return tmb_frame_decode(tmb_bytes_of(bytes, len), arena, sizeof(arena), ret_frame);
}

static void hello_tells_a_class_and_a_chain(void **state)
{
    (void)state;
    tmb_frame f = frame_of(TMB_FRAME_HELLO);
    for (int class_ = TMB_CLASS_CONTROL; class_ <= TMB_CLASS_BULK; class_++) {
        f.u.hello.streams[0].class_ = (tmb_class)class_;
        assert_int_equal(roundtrip(&f), TMB_OK);
    }
    f.u.hello.streams[0].class_ = (tmb_class)TMB_CLASSES;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = frame_of(TMB_FRAME_HELLO);
    f.u.hello.streams[1].chain_seq = TMB_SEQ_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.hello.streams[1].chain_seq++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f.u.hello.streams[1].has_chain = false; /* then its number is not looked at */
    assert_int_equal(tmb_frame_size_max(&f) > 0, 1);
    f = frame_of(TMB_FRAME_HELLO);
    f.u.hello.box = 0;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.hello.box = UINT64_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
}

/* A stream with class N and, behind it, a chain of `chain` bytes (below 0: none). */
static tmb_err decode_hello(uint8_t class_, int chain, tmb_frame *ret_frame)
{
    char bytes[128] = "\x0a?\x08\x05\x12\x01h\x1a?\x0a\x01m\x12\x10incarnation-of16\x18\x01\x20\x00"
                      "\x28";
    size_t len = 35;
    bytes[len++] = (char)class_;
    if (chain >= 0) {
        bytes[len++] = '\x3a';
        bytes[len++] = (char)chain;
        len += (size_t)chain;
    }
    bytes[1] = (char)(len - 2);
    bytes[8] = (char)(len - 9);
    return decode(bytes, len, ret_frame);
}

static void what_a_later_version_says_of_a_stream_is_passed_over(void **state)
{
    (void)state;
    tmb_frame f;
    assert_int_equal(decode_hello(1, -1, &f), TMB_OK);
    assert_int_equal(f.u.hello.streams[0].class_, TMB_CLASS_ALARM);
    assert_false(f.u.hello.streams[0].has_chain);
    assert_int_equal(decode_hello(TMB_CLASSES, -1, &f), TMB_OK); /* not known: nothing special */
    assert_int_equal(f.u.hello.streams[0].class_, TMB_CLASS_TELEMETRY);
    assert_int_equal(decode_hello(3, 16, &f), TMB_OK);
    assert_true(f.u.hello.streams[0].has_chain);
    assert_int_equal(decode_hello(3, 15, &f), TMB_ECORRUPT);
    assert_int_equal(decode_hello(3, 17, &f), TMB_ECORRUPT);
    assert_int_equal(decode_hello(3, 0, &f), TMB_ECORRUPT);
}

static void welcome_tells_a_load_a_window_and_credits(void **state)
{
    (void)state;
    tmb_frame f = frame_of(TMB_FRAME_WELCOME);
    f.u.welcome.load = 100;
    f.u.welcome.window_ms = UINT32_MAX;
    f.u.welcome.live_bytes = f.u.welcome.backlog_bytes = UINT64_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.welcome.load = 101;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.welcome.load = 0;
    f.u.welcome.live_bytes = f.u.welcome.backlog_bytes = 0;
    assert_int_equal(roundtrip(&f), TMB_OK); /* credits of nothing are not no credits */
    f.u.welcome.has_credit = false;
    assert_int_equal(roundtrip(&f), TMB_OK);
    tmb_frame half; /* one pool alone is none */
    assert_int_equal(decode("\x12\x07\x08\x05\x12\x01h\x40\x09", 9, &half), TMB_OK);
    assert_false(half.u.welcome.has_credit);
    assert_int_equal(decode("\x12\x09\x08\x05\x12\x01h\x40\x09\x48\x00", 11, &half), TMB_OK);
    assert_true(half.u.welcome.has_credit);
}

static void mark_tells_a_chain_a_dictionary_and_pieces(void **state)
{
    (void)state;
    tmb_frame f = frame_of(TMB_FRAME_ACK);
    tmb_mark *mark = &f.u.ack.mark;
    mark->has_chain = true;
    mark->dictionary = UINT32_MAX;
    mark->piece_bytes = TMB_BATCH_BYTES_MAX;
    mark->piece_sum = UINT32_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
    mark->piece_bytes++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    mark->piece_bytes = 0;
    assert_int_equal(roundtrip(&f), TMB_OK);
}

static void gap_may_say_that_records_went_ahead_or_come_later(void **state)
{
    (void)state;
    tmb_frame f = frame_of(TMB_FRAME_BATCH);
    f.u.batch.gap_reason = TMB_GAP_LATER;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.batch.gap_reason = TMB_GAP_AHEAD;
    f.u.batch.is_late = true;
    assert_int_equal(roundtrip(&f), TMB_OK);
}

static void batch_is_of_a_known_pool(void **state)
{
    (void)state;
    tmb_frame f = frame_of(TMB_FRAME_BATCH);
    f.u.batch.pool = TMB_POOL_BACKLOG;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.batch.pool = (tmb_pool)2;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
}

static tmb_frame piece_of(uint32_t offset, uint32_t len, uint32_t total)
{
    tmb_frame f = frame_of(TMB_FRAME_BATCH);
    f.u.batch.codec = TMB_CODEC_ZSTD;
    f.u.batch.raw_bytes = 5000;
    f.u.batch.data = tmb_bytes_of(long_data, len);
    f.u.batch.piece_offset = offset;
    f.u.batch.piece_total = total;
    f.u.batch.piece_sum = 7;
    return f;
}

static void piece_lies_within_its_batch(void **state)
{
    (void)state;
    const uint32_t good[][3] = {{0, 10, 40}, {10, 10, 40}, {30, 10, 40}, {0, 40, 40}, {39, 1, 40}};
    const uint32_t bad[][3] = {
        {0, 0, 40},                       /* nothing in it */
        {0, 41, 40},                      /* longer than the batch */
        {31, 10, 40},                     /* over its end */
        {40, 1, 40},                      /* behind its end */
        {UINT32_MAX, 1, 40},              /* far behind; the sum would wrap */
        {UINT32_MAX, 41, 40}, {5, 10, 0}, /* a place in a batch that is not in pieces */
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        tmb_frame f = piece_of(good[i][0], good[i][1], good[i][2]);
        assert_int_equal(roundtrip(&f), TMB_OK);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tmb_frame f = piece_of(bad[i][0], bad[i][1], bad[i][2]);
        assert_int_equal(roundtrip(&f), TMB_EINVAL);
    }
    tmb_frame f = piece_of(0, 10, 0);
    assert_int_equal(roundtrip(&f), TMB_EINVAL); /* a sum, and not in pieces */
    f.u.batch.piece_sum = 0;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f = piece_of(TMB_BATCH_BYTES_MAX - 1, 1, TMB_BATCH_BYTES_MAX);
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.batch.piece_total++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
}

static void pieces_of_plain_data_make_the_records(void **state)
{
    (void)state;
    tmb_frame f = piece_of(0, 10, 5000);
    f.u.batch.codec = TMB_CODEC_PLAIN;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.batch.piece_total = 4999;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.batch.piece_total = 5001;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
}

static void credit_is_any_two_numbers(void **state)
{
    (void)state;
    tmb_frame f = frame_of(TMB_FRAME_CREDIT);
    f.u.credit.live_bytes = 0;
    f.u.credit.backlog_bytes = UINT64_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
    tmb_frame back;
    assert_int_equal(decode("\x32\x06\x08\x05\x10\x07\x18\x09", 8, &back), TMB_OK);
    assert_int_equal(back.u.credit.live_bytes, 7);
    assert_int_equal(decode("\x32\x04\x08\x05\x10\x07", 6, &back), TMB_ECORRUPT); /* one pool */
}

static void dictionary_has_an_id_and_a_bounded_size(void **state)
{
    (void)state;
    tmb_frame f = frame_of(TMB_FRAME_DICTIONARY);
    f.u.dictionary.data = tmb_bytes_of(long_data, TMB_DICTIONARY_BYTES_MAX);
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.dictionary.data.len++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f.u.dictionary.data.len = 0;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.dictionary.data.len = 1;
    f.u.dictionary.id = 0;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.dictionary.id = UINT32_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.dictionary.stream = tmb_bytes_str("a/b");
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.dictionary.stream = tmb_bytes_of(long_data, TMB_STREAM_NAME_BYTES_MAX + 1);
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
}

static void fill_marks(tmb_mark marks[TMB_STREAMS_MAX])
{
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++) {
        marks[i] = frame_of(TMB_FRAME_ACK).u.ack.mark;
        marks[i].stream = tmb_bytes_str(names[i]);
    }
}

static void ask_and_told_name_each_stream_once(void **state)
{
    (void)state;
    tmb_frame f = frame_of(TMB_FRAME_ASK);
    fill_marks(f.u.ask.marks);
    f.u.ask.marks_count = TMB_STREAMS_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.ask.marks_count++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f.u.ask.marks_count = 2;
    f.u.ask.marks[1].stream = f.u.ask.marks[0].stream;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.ask.marks_count = 0;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.ask.node = tmb_bytes_str("Site");
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.ask.node = tmb_bytes_of(long_data, TMB_NAME_BYTES_MAX + 1);
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);

    f = frame_of(TMB_FRAME_TOLD);
    fill_marks(f.u.told.marks);
    f.u.told.marks_count = TMB_STREAMS_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.told.marks_count++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f.u.told.marks_count = 2;
    f.u.told.marks[1].stream = f.u.told.marks[0].stream;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.told.marks_count = 1;
    f.u.told.marks[0].seq = TMB_SEQ_MAX + 1;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
}

static void bye_says_when_to_come_back(void **state)
{
    (void)state;
    tmb_frame f = frame_of(TMB_FRAME_BYE);
    f.u.bye.reason = TMB_BYE_BUSY;
    f.u.bye.wait_ms = UINT32_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.bye.wait_ms = 0;
    assert_int_equal(roundtrip(&f), TMB_OK);
}

static void classes_have_names(void **state)
{
    (void)state;
    for (int a = 0; a < TMB_CLASSES; a++) {
        assert_string_not_equal(tmb_class_str((tmb_class)a), "unknown");
        for (int b = 0; b < a; b++)
            assert_string_not_equal(tmb_class_str((tmb_class)a), tmb_class_str((tmb_class)b));
    }
    assert_string_equal(tmb_class_str((tmb_class)TMB_CLASSES), "unknown");
}

int main(void)
{
    memset(long_data, 'x', sizeof(long_data));
    for (unsigned i = 0; i <= TMB_STREAMS_MAX; i++) {
        names[i][0] = (char)('a' + i % 26);
        names[i][1] = (char)('a' + i / 26);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_tells_a_class_and_a_chain),
        cmocka_unit_test(what_a_later_version_says_of_a_stream_is_passed_over),
        cmocka_unit_test(welcome_tells_a_load_a_window_and_credits),
        cmocka_unit_test(mark_tells_a_chain_a_dictionary_and_pieces),
        cmocka_unit_test(gap_may_say_that_records_went_ahead_or_come_later),
        cmocka_unit_test(batch_is_of_a_known_pool),
        cmocka_unit_test(piece_lies_within_its_batch),
        cmocka_unit_test(pieces_of_plain_data_make_the_records),
        cmocka_unit_test(credit_is_any_two_numbers),
        cmocka_unit_test(dictionary_has_an_id_and_a_bounded_size),
        cmocka_unit_test(ask_and_told_name_each_stream_once),
        cmocka_unit_test(bye_says_when_to_come_back),
        cmocka_unit_test(classes_have_names),
    };
    return cmocka_run_group_tests_name("unit.proto.frame_v2", tests, NULL, NULL);
}
