// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/pieces_fuzz.c - any pieces in any order: what is said to be here is what came without a hole, a
 * batch is whole when all of it came, and no more is announced than may be. The input is a list of pieces of
 * 8 bytes. */
#include "syncd/hub/pieces.h"
#include "tests/fuzz/fuzz.h"

enum { STREAMS = 4 };

static const char *const names[STREAMS] = {"a", "b", "c", "d"};

/* What the oracle knows of a stream: of the batch that was begun last, how much came. */
typedef struct known {
    tmb_frame_batch batch;
    uint32_t have; /* 0: nothing, or it was dropped or is done */
} known;

static bool is_same(const tmb_frame_batch *a, const tmb_frame_batch *b)
{
    return a->first_seq == b->first_seq && a->last_seq == b->last_seq &&
           a->gap_first == b->gap_first && a->piece_sum == b->piece_sum &&
           a->piece_total == b->piece_total &&
           memcmp(&a->incarnation, &b->incarnation, sizeof a->incarnation) == 0;
}

static tmb_frame_batch read_piece(tmb_reader *r, const known *all, unsigned *ret_stream)
{
    static const uint8_t nothing;
    tmb_frame_batch batch = {0};
    uint8_t head = tmb_get_u8(r);
    unsigned stream = head % STREAMS;
    batch.stream = tmb_bytes_str(names[stream]);
    batch.incarnation.bytes[0] = head >> 7;
    batch.first_seq = 2 + tmb_get_u8(r) % 4u;
    batch.last_seq = batch.first_seq + tmb_get_u8(r) % 2u;
    batch.gap_first = head & 0x40 ? batch.first_seq - 1 : 0;
    batch.piece_sum = tmb_get_u8(r) % 2u;
    batch.piece_total = 1 + tmb_get_u16(r) * 276u; /* up to TMB_BATCH_BYTES_MAX */
    uint32_t place = tmb_get_u8(r), len = 1 + tmb_get_u8(r) * (batch.piece_total / 64);
    if (place % 4 == 1 && all[stream].have > 0) {
        batch = all[stream].batch;
        batch.piece_offset = all[stream].have;
    } else if (place % 4 > 1) {
        batch.piece_offset = batch.piece_total / 64 * place;
    }
    if (batch.piece_offset >= batch.piece_total)
        batch.piece_offset = batch.piece_total - 1;
    uint32_t left = batch.piece_total - batch.piece_offset;
    batch.data = tmb_bytes_of(&nothing, len < left ? len : left); /* nobody looks at them */
    *ret_stream = stream;
    return batch;
}

static void check(const tmb_pieces *pieces, const known *all)
{
    uint64_t announced = 0;
    unsigned used = 0;
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++) {
        announced += pieces->slots[i].total;
        used += pieces->slots[i].total != 0;
        TMB_ASSERT(pieces->slots[i].have <= pieces->slots[i].total);
    }
    TMB_ASSERT(announced <= TMB_PIECES_BYTES_MAX || used == 1);
    for (unsigned i = 0; i < STREAMS; i++) {
        const tmb_frame_batch *batch = &all[i].batch;
        tmb_mark mark = {.stream = tmb_bytes_str(names[i]), .incarnation = batch->incarnation};
        mark.seq = (batch->gap_first != 0 ? batch->gap_first : batch->first_seq) - 1;
        if (all[i].have == 0)
            continue;
        tmb_pieces_tell(pieces, &mark);
        TMB_ASSERT(mark.piece_bytes == all[i].have && mark.piece_sum == batch->piece_sum);
    }
}

/* Those that had to make room. */
static void note_dropped(const tmb_pieces *pieces, known *all)
{
    for (unsigned i = 0; i < STREAMS; i++) {
        bool is_here = false;
        for (unsigned k = 0; k < TMB_STREAMS_MAX; k++)
            is_here = is_here || (pieces->slots[k].total != 0 &&
                                  strcmp(pieces->slots[k].stream, names[i]) == 0);
        all[i].have = is_here ? all[i].have : 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tmb_reader r = tmb_reader_of(tmb_bytes_of(data, size));
    tmb_pieces pieces = {0};
    known all[STREAMS] = {0};
    while (tmb_reader_left(&r) >= 8) {
        unsigned stream = 0, slot = TMB_STREAMS_MAX;
        tmb_frame_batch piece = read_piece(&r, all, &stream);
        known *k = &all[stream];
        bool is_next = piece.piece_offset == 0 ||
                       (k->have > 0 && k->have == piece.piece_offset && is_same(&k->batch, &piece));
        tmb_pieces before = pieces;
        tmb_pieces_verdict verdict = tmb_pieces_take(&pieces, &piece, &slot);
        TMB_ASSERT(is_next == (verdict != TMB_PIECES_MISPLACED));
        if (!is_next) {
            TMB_ASSERT(memcmp(&before, &pieces, sizeof before) == 0);
            continue;
        }
        k->batch = piece;
        k->have = piece.piece_offset + (uint32_t)piece.data.len;
        TMB_ASSERT(slot < TMB_STREAMS_MAX && pieces.slots[slot].have == k->have);
        TMB_ASSERT((verdict == TMB_PIECES_WHOLE) == (k->have == piece.piece_total));
        if (verdict == TMB_PIECES_WHOLE)
            tmb_pieces_forget(&pieces, slot);
        note_dropped(&pieces, all);
        check(&pieces, all);
    }
    return 0;
}
