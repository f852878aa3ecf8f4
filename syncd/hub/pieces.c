// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/pieces.c - see pieces.h.
 */
#include "syncd/hub/pieces.h"

static bool is_of(const tmb_pieces_slot *slot, tmb_bytes stream, tmb_incarnation incarnation)
{
    return slot->total != 0 && tmb_bytes_eq(tmb_bytes_str(slot->stream), stream) &&
           tmb_incarnation_eq(slot->incarnation, incarnation);
}

/* Of a stream there is one slot, whatever its incarnation: an older one will not be spoken of again. */
static unsigned find_slot(const tmb_pieces *pieces, tmb_bytes stream)
{
    unsigned free_slot = 0;
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++) {
        const tmb_pieces_slot *slot = &pieces->slots[i];
        if (slot->total != 0 && tmb_bytes_eq(tmb_bytes_str(slot->stream), stream))
            return i;
        if (slot->total == 0 && pieces->slots[free_slot].total != 0)
            free_slot = i;
    }
    return free_slot;
}

static bool is_same(const tmb_pieces_slot *slot, const tmb_frame_batch *batch)
{
    return is_of(slot, batch->stream, batch->incarnation) &&
           slot->from == tmb_frame_batch_from(batch) && slot->last_seq == batch->last_seq &&
           slot->sum == batch->piece_sum && slot->total == batch->piece_total;
}

static void make_room(tmb_pieces *pieces, unsigned keep)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++)
        total += pieces->slots[i].total;
    for (unsigned i = 0; i < TMB_STREAMS_MAX && total > TMB_PIECES_BYTES_MAX; i++) {
        if (i != keep) {
            total -= pieces->slots[i].total;
            tmb_pieces_forget(pieces, i);
        }
    }
}

tmb_pieces_verdict tmb_pieces_take(tmb_pieces *pieces, const tmb_frame_batch *batch,
                                   unsigned *ret_slot)
{
    unsigned i = find_slot(pieces, batch->stream);
    tmb_pieces_slot *slot = &pieces->slots[i];
    if (batch->piece_offset == 0) {
        memset(slot, 0, sizeof *slot);
        memcpy(slot->stream, batch->stream.ptr, batch->stream.len);
        slot->incarnation = batch->incarnation;
        slot->from = tmb_frame_batch_from(batch);
        slot->last_seq = batch->last_seq;
        slot->sum = batch->piece_sum;
        slot->total = batch->piece_total;
        make_room(pieces, i);
    } else if (!is_same(slot, batch) || slot->have != batch->piece_offset) {
        return TMB_PIECES_MISPLACED;
    }
    slot->have += (uint32_t)batch->data.len;
    *ret_slot = i;
    return slot->have == slot->total ? TMB_PIECES_WHOLE : TMB_PIECES_MORE;
}

void tmb_pieces_forget(tmb_pieces *pieces, unsigned slot)
{
    memset(&pieces->slots[slot], 0, sizeof pieces->slots[slot]);
}

void tmb_pieces_tell(const tmb_pieces *pieces, tmb_mark *mark)
{
    for (unsigned i = 0; pieces && i < TMB_STREAMS_MAX; i++) {
        const tmb_pieces_slot *slot = &pieces->slots[i];
        if (!is_of(slot, mark->stream, mark->incarnation) || slot->from != mark->seq + 1)
            continue;
        mark->piece_bytes = slot->have;
        mark->piece_sum = slot->sum;
    }
}
