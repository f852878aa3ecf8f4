// SPDX-License-Identifier: Apache-2.0
/* tests/unit/proto/test_frame_v3.c - the rules of the frames of state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/varint.h"
#include "tests/unit/proto/frames.h"

static uint8_t big[TMB_LEAVES_BYTES_MAX + 1];

/* Encodes and decodes; what encode refuses is not tried further. */
static tmb_err roundtrip(const tmb_frame *frame)
{
    tmb_frame *back = calloc(1, sizeof(*back));
    size_t cap = tmb_frame_size_max(frame), len = 0;
    uint8_t *out = malloc(cap + 1);
    assert_non_null(back);
    assert_non_null(out);
    tmb_err err = tmb_frame_encode(frame, out, cap, &len);
    if (!err) {
        void *arena = malloc(tmb_frame_arena_size(len));
        assert_non_null(arena);
        assert_int_equal(
            tmb_frame_decode(tmb_bytes_of(out, len), arena, tmb_frame_arena_size(len), back),
            TMB_OK);
        assert_true(frames_are_equal(frame, back));
        free(arena);
    }
    free(out);
    free(back);
    return err;
}

static void scope_says_contexts_in_their_one_form(void **state)
{
    (void)state;
    static const uint8_t zero_seq[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0};
    static const uint8_t with_run[] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 4};
    tmb_frame f = frame_of(TMB_FRAME_SCOPE);
    const tmb_frame good = f;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.scope.turn = 0;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.scope.scope = tmb_bytes_str("Line");
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.scope.last = 5; /* not what the clock says */
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.scope.clock.len--;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.scope.clock.len = 0; /* a refusal only may be without */
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.scope.heard = tmb_bytes_of(zero_seq, sizeof(zero_seq));
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.scope.heard = tmb_bytes_of(with_run, sizeof(with_run));
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.scope.heard.len = 0; /* heard_clock alone */
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.scope.heard_clock.len = 0; /* heard alone */
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.scope.floor = tmb_bytes_of(with_run, sizeof(with_run));
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.scope.last = TMB_SEQ_MAX + 1;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
}

static void actors_have_a_limit(void **state)
{
    (void)state;
    static uint8_t bytes[(TMB_ACTORS_MAX + 2) * 18];
    tmb_frame f = frame_of(TMB_FRAME_SCOPE);
    f.u.scope.last = 0;
    for (unsigned count = TMB_ACTORS_MAX; count <= TMB_ACTORS_MAX + 1; count++) {
        tmb_writer w = tmb_writer_of(bytes, sizeof(bytes));
        tmb_put_varint(&w, count);
        for (unsigned i = 0; i < count; i++) {
            uint8_t actor[16] = {0x80, (uint8_t)(i >> 8), (uint8_t)i};
            tmb_put_bytes(&w, tmb_bytes_of(actor, 16));
            tmb_put_varint(&w, 1);
        }
        tmb_put_varint(&w, 0);
        f.u.scope.clock = tmb_bytes_of(bytes, (size_t)(w.at - bytes));
        assert_int_equal(roundtrip(&f), count == TMB_ACTORS_MAX ? TMB_OK : TMB_ELIMIT);
    }
    f = frame_of(TMB_FRAME_LEAVES); /* two in ctx, and so many more */
    f.u.leaves.actors = tmb_bytes_of(big, (TMB_ACTORS_MAX - 2) * 16);
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.leaves.actors.len += 16;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f.u.leaves.actors.len = 17;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
}

static void points_rise_and_have_a_limit(void **state)
{
    (void)state;
    static uint8_t bytes[(TMB_POINTS_MAX + 1) * 17];
    tmb_frame f = frame_of(TMB_FRAME_SCOPE);
    for (unsigned i = 0; i <= TMB_POINTS_MAX; i++)
        bytes[i * 17] = (uint8_t)(i + 1);
    f.u.scope.points = tmb_bytes_of(bytes, TMB_POINTS_MAX * 17);
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.scope.points.len += 17;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f.u.scope.points.len = 2 * 17 - 1;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.scope.points.len = 2 * 17;
    f.u.scope.yours_seq = 1; /* below the second point */
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.scope.yours_seq = 2;
    assert_int_equal(roundtrip(&f), TMB_OK);
    bytes[17] = 1;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    bytes[17] = 2;
    f.u.scope.has_yours = false;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
}

static void a_refusal_may_leave_the_rest_out(void **state)
{
    (void)state;
    tmb_frame f;
    memset(&f, 0, sizeof(f));
    f.type = TMB_FRAME_SCOPE;
    f.u.scope = (tmb_frame_scope){.session = 7, .turn = 1, .refused = TMB_REFUSAL_DENIED};
    f.u.scope.scope = tmb_bytes_str("fleet");
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.scope.refused = (tmb_refusal)(TMB_REFUSAL_LIMIT + 1);
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    assert_string_equal(tmb_refusal_str(TMB_REFUSAL_LIMIT), "limit");
    assert_string_equal(tmb_refusal_str((tmb_refusal)9), "unknown");
}

static void leaves_say_how_far_they_go(void **state)
{
    (void)state;
    static const uint8_t above[] = {5, 1}, one[] = {4}, three[] = {4, 1, 1};
    tmb_frame f = frame_of(TMB_FRAME_LEAVES);
    const tmb_frame good = f;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.leaves.is_complete = true; /* complete, and upto */
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.leaves.upto.len = 0;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f = good;
    f.u.leaves.upto = tmb_bytes_of(above, sizeof(above));
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.leaves.upto = tmb_bytes_of(one, sizeof(one));
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.leaves.upto = tmb_bytes_of(three, sizeof(three));
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.leaves.self = 2;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.leaves.codec = TMB_CODEC_FOLDED;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = good;
    f.u.leaves.raw_bytes++;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.leaves.codec = TMB_CODEC_ZSTD;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f = good;
    f.u.leaves.turn = 0;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
}

static void sizes_have_limits(void **state)
{
    (void)state;
    tmb_frame f = frame_of(TMB_FRAME_LEAVES);
    f.u.leaves.data = tmb_bytes_of(big, TMB_LEAVES_BYTES_MAX);
    f.u.leaves.raw_bytes = TMB_LEAVES_BYTES_MAX;
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.leaves.data.len++;
    f.u.leaves.raw_bytes++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f = frame_of(TMB_FRAME_RANGES);
    f.u.ranges.data = tmb_bytes_of(big, TMB_RANGES_BYTES_MAX);
    assert_int_equal(roundtrip(&f), TMB_OK);
    f.u.ranges.data.len++;
    assert_int_equal(roundtrip(&f), TMB_ELIMIT);
    f = frame_of(TMB_FRAME_RANGES);
    f.u.ranges.turn = 0;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f = frame_of(TMB_FRAME_STORED);
    f.u.stored.turn = 0;
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
    f.u.stored.scope = tmb_bytes_str("");
    assert_int_equal(roundtrip(&f), TMB_EINVAL);
}

static void frames_tell_what_they_are_about(void **state)
{
    (void)state;
    for (int type = TMB_FRAME_HELLO; type <= TMB_FRAME_LAST; type++) {
        tmb_frame f = frame_of((tmb_frame_type)type);
        bool is_state = type >= TMB_FRAME_SCOPE;
        assert_int_equal(tmb_frame_is_state(&f), is_state);
        assert_int_equal(tmb_frame_scope_name(&f).len > 0, is_state);
        assert_int_equal(tmb_frame_state_session(&f), is_state ? 7 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scope_says_contexts_in_their_one_form),
        cmocka_unit_test(actors_have_a_limit),
        cmocka_unit_test(points_rise_and_have_a_limit),
        cmocka_unit_test(a_refusal_may_leave_the_rest_out),
        cmocka_unit_test(leaves_say_how_far_they_go),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(frames_tell_what_they_are_about),
    };
    return cmocka_run_group_tests_name("unit.proto.frame_v3", tests, NULL, NULL);
}
