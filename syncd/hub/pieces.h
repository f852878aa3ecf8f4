// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/pieces.h - batches that come in pieces: which bytes of which are here.
 *
 *   piece --take--> MORE (keep its bytes) | WHOLE (all are here) | MISPLACED (its place is not the next)
 *
 * One batch a lane, by stream and incarnation; it outlives sessions, so that a child whose link was cut goes
 * on where it was: tell() puts that into a mark. A piece at 0 begins again. The bytes are the caller's to
 * keep, by slot; whether they are the right ones its checksum says, of the whole.
 *
 * Threads: none. Cost: a walk over TMB_STREAMS_MAX slots.
 */
#ifndef TMB_SYNCD_HUB_PIECES_H
#define TMB_SYNCD_HUB_PIECES_H

#include "proto/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of all batches in pieces of a child, as announced. A batch more: the others begin again. */
#define TMB_PIECES_BYTES_MAX (2u * TMB_BATCH_BYTES_MAX)

typedef struct tmb_pieces_slot {
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_incarnation incarnation;
    uint64_t from, last_seq; /* from: with its gap */
    uint32_t sum, total;     /* total 0: a free slot */
    uint32_t have;
} tmb_pieces_slot;

/* Caller's memory, zeroed; written by pieces.c alone. */
typedef struct tmb_pieces {
    tmb_pieces_slot slots[TMB_STREAMS_MAX];
} tmb_pieces;

typedef enum tmb_pieces_verdict {
    TMB_PIECES_MORE = 0,
    TMB_PIECES_WHOLE,
    TMB_PIECES_MISPLACED
} tmb_pieces_verdict;

/* tmb_pieces_take takes a well-formed batch with piece_total > 0. ret_slot, if not MISPLACED: where its bytes
 * belong, at piece_offset. Slots that were in use may be free now: the caller drops their bytes. */
tmb_pieces_verdict tmb_pieces_take(tmb_pieces *pieces, const tmb_frame_batch *batch,
                                   unsigned *ret_slot);

void tmb_pieces_forget(tmb_pieces *pieces, unsigned slot);

/* tmb_pieces_tell fills piece_bytes and piece_sum of a mark whose other fields are set, if what comes next
 * behind it is here in part. pieces may be NULL. */
void tmb_pieces_tell(const tmb_pieces *pieces, tmb_mark *mark);

#ifdef __cplusplus
}
#endif
#endif
