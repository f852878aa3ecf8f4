// SPDX-License-Identifier: Apache-2.0
/* Batches in pieces: cut at every place, broken off at every place, gone on with, begun again, at the
 * limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "syncd/hub/pieces.h"

#define SIZE 40u

static const uint8_t bytes[SIZE] = {1, 2, 3};

static tmb_frame_batch piece(const char *stream, uint64_t first_seq, uint32_t offset, uint32_t len)
{
    tmb_frame_batch batch = {.stream = tmb_bytes_str(stream),
                             .incarnation = {{7}},
                             .first_seq = first_seq,
                             .last_seq = first_seq + 2,
                             .piece_offset = offset,
                             .piece_total = SIZE,
                             .piece_sum = 99};
    batch.data = tmb_bytes_of(bytes + offset, len);
    return batch;
}

static tmb_mark told(const tmb_pieces *pieces, const char *stream, uint64_t seq)
{
    tmb_mark mark = {.stream = tmb_bytes_str(stream), .incarnation = {{7}}, .seq = seq};
    tmb_pieces_tell(pieces, &mark);
    return mark;
}

static tmb_pieces_verdict take(tmb_pieces *pieces, const char *stream, uint64_t first_seq,
                               uint32_t offset, uint32_t len)
{
    unsigned slot = 0;
    tmb_frame_batch batch = piece(stream, first_seq, offset, len);
    return tmb_pieces_take(pieces, &batch, &slot);
}

static void joins_whatever_the_cut(void **state)
{
    (void)state;
    for (uint32_t cut = 1; cut < SIZE; cut++) {
        tmb_pieces pieces = {0};
        assert_int_equal(take(&pieces, "a", 5, 0, cut), TMB_PIECES_MORE);
        assert_int_equal(told(&pieces, "a", 4).piece_bytes, cut);
        assert_int_equal(told(&pieces, "a", 4).piece_sum, 99);
        assert_int_equal(told(&pieces, "a", 3).piece_bytes, 0);
        assert_int_equal(told(&pieces, "b", 4).piece_bytes, 0);
        /* A session later it goes on there, in pieces of another size. */
        for (uint32_t at = cut; at < SIZE; at++)
            assert_int_equal(take(&pieces, "a", 5, at, 1),
                             at + 1 == SIZE ? TMB_PIECES_WHOLE : TMB_PIECES_MORE);
    }
}

static void refuses_every_other_place(void **state)
{
    (void)state;
    for (uint32_t have = 1; have < SIZE; have++) {
        for (uint32_t at = 1; at < SIZE; at++) {
            tmb_pieces pieces = {0};
            assert_int_equal(take(&pieces, "a", 5, at, 1), TMB_PIECES_MISPLACED);
            (void)take(&pieces, "a", 5, 0, have);
            tmb_pieces_verdict verdict = take(&pieces, "a", 5, at, 1);
            assert_true((verdict == TMB_PIECES_MISPLACED) == (at != have));
            assert_int_equal(told(&pieces, "a", 4).piece_bytes, at == have ? have + 1 : have);
        }
    }
}

static void begins_again_at_0_and_for_another_batch(void **state)
{
    tmb_pieces pieces = {0};
    (void)state;
    (void)take(&pieces, "a", 5, 0, 30);
    assert_int_equal(take(&pieces, "a", 5, 0, 10), TMB_PIECES_MORE);
    assert_int_equal(told(&pieces, "a", 4).piece_bytes, 10);
    tmb_frame_batch other = piece("a", 5, 10, 10);
    unsigned slot = 0;
    other.piece_sum++;
    assert_int_equal(tmb_pieces_take(&pieces, &other, &slot), TMB_PIECES_MISPLACED);
    other = piece("a", 5, 10, 10);
    other.incarnation.bytes[3] = 1;
    assert_int_equal(tmb_pieces_take(&pieces, &other, &slot), TMB_PIECES_MISPLACED);
    assert_int_equal(take(&pieces, "a", 8, 0, 10), TMB_PIECES_MORE);
    assert_int_equal(told(&pieces, "a", 4).piece_bytes, 0);
    assert_int_equal(told(&pieces, "a", 7).piece_bytes, 10);
}

static void a_batch_begins_at_its_gap(void **state)
{
    tmb_pieces pieces = {0};
    tmb_frame_batch batch = piece("a", 9, 0, 10);
    unsigned slot = 0;
    (void)state;
    batch.gap_first = 5;
    batch.gap_reason = TMB_GAP_RETENTION;
    assert_int_equal(tmb_pieces_take(&pieces, &batch, &slot), TMB_PIECES_MORE);
    assert_int_equal(told(&pieces, "a", 4).piece_bytes, 10);
    assert_int_equal(told(&pieces, "a", 8).piece_bytes, 0);
}

static void keeps_one_a_stream_and_so_many_bytes(void **state)
{
    tmb_pieces pieces = {0};
    (void)state;
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++) {
        char name[8] = {(char)('a' + i / 26), (char)('a' + i % 26)};
        assert_int_equal(take(&pieces, name, 5, 0, 1), TMB_PIECES_MORE);
    }
    assert_int_equal(told(&pieces, "aa", 4).piece_bytes, 1);
    for (unsigned i = 0; i < 3; i++) {
        char name[8] = {'a', (char)('a' + i)};
        tmb_frame_batch batch = piece(name, 5, 0, 1);
        unsigned slot = 0;
        batch.piece_total = TMB_BATCH_BYTES_MAX;
        assert_int_equal(tmb_pieces_take(&pieces, &batch, &slot), TMB_PIECES_MORE);
    }
    uint64_t total = 0;
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++)
        total += pieces.slots[i].total;
    assert_true(total <= TMB_PIECES_BYTES_MAX);
    assert_int_equal(told(&pieces, "ac", 4).piece_bytes, 1); /* the last one stays */
    assert_int_equal(told(&pieces, "aa", 4).piece_bytes, 0);
    tmb_mark mark = {.stream = tmb_bytes_str("ac"), .incarnation = {{7}}, .seq = 4};
    tmb_pieces_tell(NULL, &mark);
    assert_int_equal(mark.piece_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_whatever_the_cut),
        cmocka_unit_test(refuses_every_other_place),
        cmocka_unit_test(begins_again_at_0_and_for_another_batch),
        cmocka_unit_test(a_batch_begins_at_its_gap),
        cmocka_unit_test(keeps_one_a_stream_and_so_many_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
