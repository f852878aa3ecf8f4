// SPDX-License-Identifier: Apache-2.0
/* tests/unit/proto/test_frame.c - the frame codec: each rule of frame.h, broken on both ends, and an arena
 * that hostile bytes cannot overrun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "proto/frame.h"
#include "tests/unit/proto/frames.h"

static const char long_name[] = "0123456789012345678901234567890123456789012345678901234567890123";

/* Encodes, decodes with an arena of the promised size, and gives what the codec said. */
static tmb_err roundtrip(const tmb_frame *in)
{
    size_t cap = tmb_frame_size_max(in), len = 0;
    uint8_t *out = malloc(cap + 1);
    assert_non_null(out);
    tmb_err err = tmb_frame_encode(in, out, cap, &len);
    if (!err) {
        assert_in_range(len, 1, cap);
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

static void roundtrips_each_type(void **state)
{
    (void)state;
    for (int type = TMB_FRAME_HELLO; type <= TMB_FRAME_LAST; type++) {
        tmb_frame f = frame_of((tmb_frame_type)type);
        assert_int_equal(roundtrip(&f), TMB_OK);
    }
    tmb_frame f = frame_of(TMB_FRAME_BATCH);
    f.u.batch.gap_first = 0;
    f.u.batch.gap_reason = TMB_GAP_NONE;
    f.u.batch.codec = TMB_CODEC_ZSTD;
    f.u.batch.data.len = 9;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f = frame_of(TMB_FRAME_ACK);
    f.u.ack.resend = false;
    f.u.ack.wait_ms = 0;
    f.u.ack.mark.seq = 0;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f = frame_of(TMB_FRAME_WELCOME);
    f.u.welcome.is_top = true;
    assert_int_equal(roundtrip(&f), TMB_OK);
    for (int reason = TMB_BYE_CLOSING; reason <= TMB_BYE_FORKED; reason++) {
        f = frame_of(TMB_FRAME_BYE);
        f.u.bye.reason = (tmb_bye_reason)reason;
        f.u.bye.text = tmb_bytes_of(NULL, 0);
        assert_int_equal(roundtrip(&f), TMB_OK);
    }
}

static void largest_hello_and_welcome_fit(void **state)
{
    (void)state;
    static char names[TMB_STREAMS_MAX][TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_frame hello = frame_of(TMB_FRAME_HELLO), welcome = frame_of(TMB_FRAME_WELCOME);
    hello.u.hello.node = welcome.u.welcome.node = tmb_bytes_of(long_name, TMB_NAME_BYTES_MAX);
    hello.u.hello.streams_count = welcome.u.welcome.marks_count = TMB_STREAMS_MAX;
    for (size_t i = 0; i < TMB_STREAMS_MAX; i++) {
        memset(names[i], 'a', TMB_STREAM_NAME_BYTES_MAX);
        names[i][7] = (char)('a' + i % 26);
        names[i][8] = (char)('a' + i / 26);
        tmb_bytes name = tmb_bytes_str(names[i]);
        hello.u.hello.streams[i] = (tmb_stream_state){.name = name,
                                                      .incarnation = incarnation_of(0xff),
                                                      .first_seq = TMB_SEQ_MAX,
                                                      .last_seq = TMB_SEQ_MAX,
                                                      .class_ = TMB_CLASS_TELEMETRY};
        welcome.u.welcome.marks[i] =
            (tmb_mark){.stream = name, .incarnation = incarnation_of(0xff), .seq = TMB_SEQ_MAX};
    }
    assert_int_equal(roundtrip(&hello), TMB_OK);
    assert_int_equal(roundtrip(&welcome), TMB_OK);
    hello.u.hello.streams_count++;
    welcome.u.welcome.marks_count++;
    assert_int_equal(roundtrip(&hello), TMB_ELIMIT);
    assert_int_equal(roundtrip(&welcome), TMB_ELIMIT);
}

static void hello_keeps_its_rules(void **state)
{
    (void)state;
    const tmb_frame good = frame_of(TMB_FRAME_HELLO);
    tmb_frame f = good;
    f.u.hello.node = tmb_bytes_str("Site");
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.hello.node = tmb_bytes_of(long_name, TMB_NAME_BYTES_MAX + 1);
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f = good;
    f.u.hello.version_min = 0;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.hello.version_min = 3;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.hello.streams[1].name = f.u.hello.streams[0].name;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.hello.streams[1].name = tmb_bytes_of(long_name, TMB_STREAM_NAME_BYTES_MAX + 1);
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f = good;
    f.u.hello.streams[0].last_seq = TMB_SEQ_MAX + 1;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f.u.hello.streams[0].last_seq = 3; /* first is 5: only 4 would do, an empty log */
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.hello.streams[0].last_seq = 4;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.hello.streams[0].first_seq = 0;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.hello.streams_count = 0;
    assert_int_equal(roundtrip(&f), TMB_OK);
}

static void welcome_and_ack_keep_their_rules(void **state)
{
    (void)state;
    const tmb_frame good = frame_of(TMB_FRAME_WELCOME);
    tmb_frame f = good;
    f.u.welcome.node = tmb_bytes_str("");
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.welcome.node = tmb_bytes_of(long_name, TMB_NAME_BYTES_MAX + 1);
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f = good;
    f.u.welcome.version = 0;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.welcome.marks[0].stream = tmb_bytes_str("a/b");
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.welcome.marks[1] = f.u.welcome.marks[0];
    f.u.welcome.marks_count = 2;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = frame_of(TMB_FRAME_ACK);
    f.u.ack.mark.seq = TMB_SEQ_MAX + 1;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f = frame_of(TMB_FRAME_ACK);
    f.u.ack.mark.stream = tmb_bytes_str(".main");
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
}

static void batch_keeps_its_rules(void **state)
{
    (void)state;
    const tmb_frame good = frame_of(TMB_FRAME_BATCH);
    tmb_frame f = good;
    f.u.batch.first_seq = f.u.batch.gap_first = 0;
    f.u.batch.gap_reason = TMB_GAP_NONE;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.batch.last_seq = 41;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.batch.last_seq = 43; /* two records do not fit into so few bytes */
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.batch.gap_first = 42;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.batch.gap_first = 0; /* a reason without a gap */
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.batch.gap_reason = TMB_GAP_NONE;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.batch.gap_reason = (tmb_gap_reason)(TMB_GAP_AHEAD + 1);
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.batch.codec = (tmb_codec)(TMB_CODEC_FOLDED_DICTIONARY + 1);
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.batch.codec = TMB_CODEC_FOLDED_DICTIONARY; /* and does not say with which */
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.batch.codec = TMB_CODEC_FOLDED; /* with one that it does not need */
    f.u.batch.dictionary = 1;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.batch.codec = TMB_CODEC_FOLDED;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f = good;
    f.u.batch.raw_bytes++;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.batch.codec = TMB_CODEC_ZSTD;
    f.u.batch.data.len = 0;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.batch.data.len = 1;
    f.u.batch.first_seq = 1;
    f.u.batch.gap_first = 0;
    f.u.batch.gap_reason = TMB_GAP_NONE;
    f.u.batch.raw_bytes = TMB_BATCH_BYTES_MAX;
    f.u.batch.last_seq = TMB_BATCH_RECORDS_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.batch.last_seq++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f.u.batch.last_seq--;
    f.u.batch.raw_bytes++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f = good;
    f.u.batch.last_seq = f.u.batch.first_seq = TMB_SEQ_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.batch.last_seq = f.u.batch.first_seq = TMB_SEQ_MAX + 1;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
}

static void bye_keeps_its_rules(void **state)
{
    (void)state;
    static char text[TMB_BYE_TEXT_BYTES_MAX + 1];
    memset(text, 'x', sizeof(text));
    tmb_frame f = frame_of(TMB_FRAME_BYE);
    f.u.bye.text = tmb_bytes_of(text, TMB_BYE_TEXT_BYTES_MAX);
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.bye.text.len++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f.u.bye.text = tmb_bytes_str("\xff");
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = frame_of(TMB_FRAME_BYE);
    f.u.bye.reason = (tmb_bye_reason)0;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.bye.reason = (tmb_bye_reason)(TMB_BYE_FORKED + 1);
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.type = (tmb_frame_type)(TMB_FRAME_LAST + 1);
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
}

static void frame_of_the_largest_size_fits_and_a_larger_does_not(void **state)
{
    (void)state;
    const size_t cap = TMB_FRAME_BYTES_MAX + 1;
    uint8_t *data = test_calloc(1, cap);
    tmb_frame f = frame_of(TMB_FRAME_BATCH), back;
    f.u.batch.data = tmb_bytes_of(data, TMB_BATCH_BYTES_MAX);
    f.u.batch.raw_bytes = TMB_BATCH_BYTES_MAX;
    f.u.batch.stream = tmb_bytes_of(long_name, TMB_STREAM_NAME_BYTES_MAX);
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.batch.data.len++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    assert_int_equal(tmb_frame_decode(tmb_bytes_of(data, cap), NULL, 0, &back), TMB_ELIMIT);
    test_free(data);
}

/* What bytes are, once decoded with an arena of the promised size. */
static tmb_err decode(const char *bytes, size_t len)
{
    static uint8_t arena[600000];
    size_t cap = tmb_frame_arena_size(len);
    assert_true(cap <= sizeof(arena));
    tmb_frame back;
    memset(&back, 0x5a, sizeof(back));
    tmb_err err = tmb_frame_decode(tmb_bytes_of(bytes, len), arena, cap, &back);
    for (size_t i = 0; err && i < sizeof(back); i++)
        assert_int_equal(((const uint8_t *)&back)[i], 0x5a);
    return err;
}

static void refuses_bytes_that_are_no_frame(void **state)
{
    (void)state;
    assert_int_equal(decode("", 0), TMB_ECORRUPT);
    assert_int_equal(decode("\0", 1), TMB_ECORRUPT);
    assert_int_equal(decode("\x2a\x04\x08\x01\x10\x01", 6), TMB_OK);                 /* BYE */
    assert_int_equal(decode("\x2a\x04\x08\x01\x10\x01\x2a\x04\x08\x01\x10\x01", 12), /* twice */
                     TMB_ECORRUPT);
    assert_int_equal(decode("\x2a\x04\x08\x01\x10\x01\x22\x00", 8), TMB_ECORRUPT); /* and an ACK */
    assert_int_equal(decode("\x2a\x04\x08\x01\x10\x01\x7a\x01x", 9), TMB_OK); /* unknown field 15 */
    assert_int_equal(decode("\x7a\x01x", 3), TMB_ECORRUPT);                   /* that alone */
    assert_int_equal(decode("\x2a\x02\x08\x01", 4), TMB_ECORRUPT);            /* no reason */
    assert_int_equal(decode("\x2a\x05\x08\x01\x10\x01", 6), TMB_ECORRUPT);    /* too short */
    assert_int_equal(decode("\x28\x01", 2), TMB_ECORRUPT);                    /* not a message */
    assert_int_equal(decode("\x2b\x2c", 2), TMB_ECORRUPT);                    /* a group */
    assert_int_equal(decode("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11), TMB_ECORRUPT);
    assert_int_equal(decode("\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), TMB_ECORRUPT);
    assert_int_equal(decode("\x22\x02\x08\x01", 4), TMB_ECORRUPT); /* ACK without mark */
    assert_int_equal(decode("\x22\x0a\x08\x01\x12\x06\x0a\x01m\x12\x01i\x18\x01", 14),
                     TMB_ECORRUPT); /* cut: incarnation of one byte */
    assert_int_equal(decode("\x22\x0c\x08\x01\x12\x08\x0a\x01m\x12\x01i\x18\x01", 14),
                     TMB_ECORRUPT); /* incarnation of one byte */
    assert_int_equal(decode("\x22\x1c\x08\x01\x12\x18\x0a\x01m\x12\x11"
                            "incarnation-of-17\x18\x01",
                            30),
                     TMB_ECORRUPT);
    assert_int_equal(decode("\x22\x1b\x08\x01\x12\x17\x0a\x01m\x12\x10"
                            "incarnation-of16\x18\x01",
                            29),
                     TMB_OK);
}

/* HELLO (field 1, streams) or WELCOME (field 2, marks) by hand, with count entries. */
static tmb_err decode_with_entries(int field, unsigned count)
{
    static char bytes[4096];
    char *at = bytes + 3;
    memcpy(at, "\x08\x05\x12\x01h", 5); /* session, node */
    at += 5;
    for (unsigned i = 0; i < count; i++) {
        char entry[] = "\x1a\x1a\x0a\x02xx\x12\x10incarnation-of16\x18\x01\x20\x00";
        entry[4] = (char)('a' + i % 26);
        entry[5] = (char)('a' + i / 26);
        size_t len = field == 1 ? 28 : 26; /* a mark ends with its first number */
        entry[1] = (char)(len - 2);
        memcpy(at, entry, len);
        at += len;
    }
    size_t body = (size_t)(at - bytes) - 3;
    bytes[0] = (char)(field << 3 | 2);
    bytes[1] = (char)(0x80 | (body & 0x7f));
    bytes[2] = (char)(body >> 7);
    return decode(bytes, body + 3);
}

static void takes_as_many_streams_as_there_may_be(void **state)
{
    (void)state;
    for (int field = TMB_FRAME_HELLO; field <= TMB_FRAME_WELCOME; field++) {
        assert_int_equal(decode_with_entries(field, 5), TMB_OK);
        assert_int_equal(decode_with_entries(field, TMB_STREAMS_MAX), TMB_OK);
        assert_int_equal(decode_with_entries(field, TMB_STREAMS_MAX + 1), TMB_ELIMIT);
        assert_int_equal(decode_with_entries(field, 2 * TMB_STREAMS_MAX), TMB_ELIMIT);
    }
}

/* A frame stuffed with fields of some later version: decoded up to a few hundred, refused beyond, and the
 * bytes around the arena stay as they were. */
static void arena_is_never_overrun(void **state)
{
    (void)state;
    static char bytes[2 * TMB_FRAME_BYTES_MAX / 64];
    memcpy(bytes, "\x2a\x04\x08\x01\x10\x01", 6);
    for (size_t i = 6; i + 1 < sizeof(bytes); i += 2)
        memcpy(bytes + i, "\x78\x01", 2); /* field 15, varint 1 */
    assert_int_equal(decode(bytes, 6 + 2 * 300), TMB_OK);
    assert_int_equal(decode(bytes, 4096), TMB_OK);
    assert_int_equal(decode(bytes, 100000), TMB_ELIMIT);

    tmb_frame f = frame_of(TMB_FRAME_HELLO), back;
    uint8_t out[512];
    size_t len = 0;
    assert_int_equal(tmb_frame_encode(&f, out, sizeof(out), &len), TMB_OK);
    size_t needed = 0, cap_max = tmb_frame_arena_size(len);
    uint8_t *arena = test_malloc(cap_max + 32);
    for (size_t cap = 0; cap <= cap_max; cap += cap < 4096 ? 1 : 1024) {
        memset(arena, 0xa5, cap_max + 32);
        tmb_err err = tmb_frame_decode(tmb_bytes_of(out, len), arena + 1, cap, &back);
        for (size_t i = 0; i < 31; i++)
            assert_int_equal(arena[cap + 1 + i], 0xa5);
        assert_int_equal(arena[0], 0xa5);
        assert_true(err == TMB_ELIMIT || (!err && frames_are_equal(&f, &back)));
        if (err)
            needed = cap + 1;
    }
    assert_in_range(needed, 100, 4096);
    assert_int_equal(tmb_frame_decode(tmb_bytes_of(out, len), NULL, 0, &back), TMB_ELIMIT);
    test_free(arena);
}

/* Whatever one flipped bit or one cut makes of a frame: refused, or another valid one. */
static void damage_is_refused_or_still_keeps_the_rules(void **state)
{
    (void)state;
    static uint8_t arena[65536];
    for (int type = TMB_FRAME_HELLO; type <= TMB_FRAME_LAST; type++) {
        tmb_frame f = frame_of((tmb_frame_type)type), back;
        uint8_t out[512], again[512];
        size_t len = 0, len_again = 0;
        assert_int_equal(tmb_frame_encode(&f, out, sizeof(out), &len), TMB_OK);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(tmb_frame_decode(tmb_bytes_of(out, cut), arena, sizeof(arena), &back),
                             TMB_ECORRUPT);
        for (size_t bit = 0; bit < len * 8; bit++) {
            out[bit / 8] ^= (uint8_t)(1u << bit % 8);
            tmb_err err = tmb_frame_decode(tmb_bytes_of(out, len), arena, sizeof(arena), &back);
            assert_true(err == TMB_OK || err == TMB_ECORRUPT || err == TMB_ELIMIT);
            if (!err)
                assert_int_equal(tmb_frame_encode(&back, again, sizeof(again), &len_again), TMB_OK);
            out[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void encode_needs_its_room(void **state)
{
    (void)state;
    tmb_frame f = frame_of(TMB_FRAME_WELCOME);
    uint8_t out[512];
    size_t len = 0, untouched = 77;
    assert_int_equal(tmb_frame_encode(&f, out, sizeof(out), &len), TMB_OK);
    assert_int_equal(tmb_frame_encode(&f, out, len - 1, &untouched), TMB_ELIMIT);
    assert_int_equal(untouched, 77);
}

static void names_are_letters_digits_and_three_signs(void **state)
{
    (void)state;
    const char *good[] = {"a", "0", "site-1", "a.b_c-9", "9-"};
    const char *bad[] = {"", "-a", ".a", "_a", "A", "aB", "a/b", "a+", "a#", "a b", "caf\xc3\xa9"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(tmb_name_is_valid(tmb_bytes_str(good[i]), 63));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(tmb_name_is_valid(tmb_bytes_str(bad[i]), 63));
    assert_false(tmb_name_is_valid(tmb_bytes_of("a\0", 2), 63));
    assert_true(tmb_name_is_valid(tmb_bytes_str(long_name), 64));
    assert_false(tmb_name_is_valid(tmb_bytes_str(long_name), 63));
}

static void reasons_have_names(void **state)
{
    (void)state;
    for (int a = TMB_GAP_NONE; a <= TMB_GAP_AHEAD; a++) {
        assert_string_not_equal(tmb_gap_reason_str((tmb_gap_reason)a), "unknown");
        for (int b = TMB_GAP_NONE; b < a; b++)
            assert_string_not_equal(tmb_gap_reason_str((tmb_gap_reason)a),
                                    tmb_gap_reason_str((tmb_gap_reason)b));
    }
    for (int a = TMB_BYE_CLOSING; a <= TMB_BYE_FORKED; a++) {
        assert_string_not_equal(tmb_bye_reason_str((tmb_bye_reason)a), "unknown");
        for (int b = TMB_BYE_CLOSING; b < a; b++)
            assert_string_not_equal(tmb_bye_reason_str((tmb_bye_reason)a),
                                    tmb_bye_reason_str((tmb_bye_reason)b));
    }
    assert_string_equal(tmb_gap_reason_str((tmb_gap_reason)99), "unknown");
    assert_string_equal(tmb_bye_reason_str((tmb_bye_reason)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roundtrips_each_type),
        cmocka_unit_test(largest_hello_and_welcome_fit),
        cmocka_unit_test(hello_keeps_its_rules),
        cmocka_unit_test(welcome_and_ack_keep_their_rules),
        cmocka_unit_test(batch_keeps_its_rules),
        cmocka_unit_test(bye_keeps_its_rules),
        cmocka_unit_test(frame_of_the_largest_size_fits_and_a_larger_does_not),
        cmocka_unit_test(refuses_bytes_that_are_no_frame),
        cmocka_unit_test(takes_as_many_streams_as_there_may_be),
        cmocka_unit_test(arena_is_never_overrun),
        cmocka_unit_test(damage_is_refused_or_still_keeps_the_rules),
        cmocka_unit_test(encode_needs_its_room),
        cmocka_unit_test(names_are_letters_digits_and_three_signs),
        cmocka_unit_test(reasons_have_names),
    };
    return cmocka_run_group_tests_name("unit.proto.frame", tests, NULL, NULL);
}
