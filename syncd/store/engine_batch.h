// SPDX-License-Identifier: Apache-2.0
/* syncd/store/engine_batch.h - a transaction on an engine: what it has put is read back at once, and written
 * together or not at all. Inner header of this room.
 *
 * One at a time on an engine: what it reads beside its own is what was written when it was begun only as
 * long as nobody else writes. Threads: one at a time.
 * Cost: a put is a copy and an entry of a hash table; what was put is sorted when it is written, and at a
 * seek.
 */
#ifndef TMB_SYNCD_STORE_ENGINE_BATCH_H
#define TMB_SYNCD_STORE_ENGINE_BATCH_H

#include "syncd/store/engine.h"

typedef struct tmb_batch tmb_batch;

/* gives; NULL: out of memory. */
tmb_batch *tmb_batch_new(tmb_engine *engine);
void tmb_batch_free(tmb_batch *batch);

/* As in syncd/state/kv.h: what is given lives until the next call. */
TMB_MUST_USE tmb_err tmb_batch_get(tmb_batch *batch, tmb_bytes key, tmb_bytes *ret_value);
TMB_MUST_USE tmb_err tmb_batch_seek(tmb_batch *batch, tmb_bytes from, tmb_bytes *ret_key,
                                    tmb_bytes *ret_value);
TMB_MUST_USE tmb_err tmb_batch_put(tmb_batch *batch, tmb_bytes key, tmb_bytes value);
TMB_MUST_USE tmb_err tmb_batch_del(tmb_batch *batch, tmb_bytes key);

/* tmb_batch_write writes all of it, and the batch is empty; of an empty one nothing is written. After an
 * error the engine takes no more writes until it was closed and opened anew. Errors: TMB_ENOSPC, TMB_EIO,
 * TMB_ECORRUPT, TMB_ENOMEM (now or before: nothing was written, the engine is fine). */
TMB_MUST_USE tmb_err tmb_batch_write(tmb_batch *batch, bool is_synced);
void tmb_batch_clear(tmb_batch *batch);
bool tmb_batch_is_empty(tmb_batch *batch);

#endif
