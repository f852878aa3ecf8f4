// SPDX-License-Identifier: Apache-2.0
/* proto/batch.h - the records inside a BATCH: packed, unpacked and checked, and walked.
 *
 * Raw form: encoded records (proto/record.h) one behind the other. Threads: none. Cost: one pass of zstd
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

#ifdef __cplusplus
}
#endif
#endif
