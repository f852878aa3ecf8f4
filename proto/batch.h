// SPDX-License-Identifier: Apache-2.0
/* proto/batch.h - the records inside a BATCH: packed, unpacked and checked, and walked.
 *
 * Raw form: encoded records (proto/record.h) one behind the other. Version 1 of the protocol packs them with
 * zstd; version 2 folds them before (proto/fold.h). Threads: none. Cost: one pass of zstd
 * and one of CRC-32C a byte; memory is the caller's.
 */
#ifndef TMB_PROTO_BATCH_H
#define TMB_PROTO_BATCH_H

#include "proto/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_batch_pack_bound gives the room that packing raw_bytes may need. */
size_t tmb_batch_pack_bound(size_t raw_bytes);

/* tmb_batch_pack compresses raw into out if that makes it smaller, else copies it. Fills codec,
 * raw_bytes and data (which points into out) of batch.
 * Errors: TMB_ELIMIT (cap below tmb_batch_pack_bound, or raw above TMB_BATCH_BYTES_MAX), TMB_ENOMEM (zstd).
 * batch is untouched on error. */
TMB_MUST_USE tmb_err tmb_batch_pack(tmb_bytes raw, uint8_t *out, size_t cap,
                                    tmb_frame_batch *batch);

/* tmb_batch_unpack undoes it into out (batch->raw_bytes of room at least) and checks every record: their
 * seq run first_seq, first_seq + 1, ... last_seq, and nothing is left over. ret_raw points into out, or
 * into batch->data when that is plain.
 * Errors: TMB_ECORRUPT (anything else than exactly that), TMB_ELIMIT (more records or bytes than
 * base/limits.h allows, or cap too small), TMB_ENOMEM (zstd). */
TMB_MUST_USE tmb_err tmb_batch_unpack(const tmb_frame_batch *batch, uint8_t *out, size_t cap,
                                      tmb_bytes *ret_raw);

/* tmb_batch_next reads the next record of raw; *offset starts at 0 and moves behind the record.
 * Errors: TMB_EAGAIN (no more), TMB_ECORRUPT (also: raw ends within a record). */
TMB_MUST_USE tmb_err tmb_batch_next(tmb_bytes raw, size_t *offset, tmb_record *ret_record);

/* What batches of version 2 are compressed with: text of this stream from before. id 0: nothing. */
typedef struct tmb_dictionary {
    uint32_t id;
    tmb_bytes data;
} tmb_dictionary;

bool tmb_codec_is_folded(tmb_codec codec);

/* tmb_batch_room_bytes gives the room that folding, or unfolding, raw_bytes needs beside out; 0 when a batch
 * of that size is not folded (above TMB_FOLD_BYTES_MAX): tmb_batch_pack then. */
size_t tmb_batch_room_bytes(size_t raw_bytes);

/* tmb_batch_fold packs as tmb_batch_pack does, but folded (proto/fold.h) where that is smaller, and with the
 * dictionary where there is one. raw: records with numbers that rise by one. What it gives unfolds to raw: it
 * has tried. level: of zstd, for the text. out: cap of tmb_batch_pack_bound(raw.len) at least; room: aligned
 * as malloc does. Also fills dictionary of batch.
 * Errors: as tmb_batch_pack; TMB_ELIMIT also for too little room. batch is untouched on error. */
TMB_MUST_USE tmb_err tmb_batch_fold(tmb_bytes raw, uint64_t first_seq, uint64_t last_seq,
                                    const tmb_dictionary *dictionary, int level, void *room,
                                    size_t room_cap, uint8_t *out, size_t cap,
                                    tmb_frame_batch *batch);

/* tmb_batch_unfold is tmb_batch_unpack for every codec; room as above, NULL when the codec is not folded.
 * dictionary: the one that batch names, or NULL.
 * Errors: as tmb_batch_unpack; TMB_ENOENT (batch was packed with another dictionary than this). */
TMB_MUST_USE tmb_err tmb_batch_unfold(const tmb_frame_batch *batch,
                                      const tmb_dictionary *dictionary, void *room, size_t room_cap,
                                      uint8_t *out, size_t cap, tmb_bytes *ret_raw);

/* tmb_batch_room_text gives the text of what was folded last in room, while that is there: what a dictionary
 * is made of. Only when the batch came out folded. */
tmb_bytes tmb_batch_room_text(const void *room);

#ifdef __cplusplus
}
#endif
#endif
