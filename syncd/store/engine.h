// SPDX-License-Identifier: Apache-2.0
/* syncd/store/engine.h - RocksDB behind five calls: open, get, put, drop all, close.
 *
 * Inner header of this room. Everything that RocksDB needs care with is in engine.c; what keys and values
 * mean is in store.c. Threads: one at a time, store.c holds the lock.
 */
#ifndef TMB_SYNCD_STORE_ENGINE_H
#define TMB_SYNCD_STORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

typedef struct tmb_engine tmb_engine;

/* tmb_engine_open opens or makes the database in folder path; text gets RocksDB's sentence on an error.
 * gives ret_engine. Errors: TMB_EBUSY, TMB_ENOSPC, TMB_EIO, TMB_ENOMEM, TMB_ECORRUPT (its files cannot be
 * taken as they are). */
TMB_MUST_USE tmb_err tmb_engine_open(const char *path, tmb_engine **ret_engine, char *text,
                                     size_t text_cap);

/* For more than a few numbers. has_unsynced: there are writes without sync. */
typedef struct tmb_engine_size {
    size_t write_buffer_bytes, cache_bytes;
    int bloom_bits; /* a key; 0: no filter */
    bool has_unsynced;
} tmb_engine_size;

TMB_MUST_USE tmb_err tmb_engine_open_sized(const char *path, const tmb_engine_size *size,
                                           tmb_engine **ret_engine, char *text, size_t text_cap);
void tmb_engine_close(tmb_engine *engine);

/* tmb_engine_get copies the value of key into out (cap bytes at most are copied; ret_len is its full
 * size). Errors: TMB_ENOENT, TMB_ECORRUPT, TMB_EIO. */
TMB_MUST_USE tmb_err tmb_engine_get(tmb_engine *engine, tmb_bytes key, uint8_t *out, size_t cap,
                                    size_t *ret_len);

/* tmb_engine_put writes and syncs. After an error the engine takes no more writes until it was closed and
 * opened anew. Errors: TMB_ENOSPC, TMB_EIO, TMB_ECORRUPT. */
TMB_MUST_USE tmb_err tmb_engine_put(tmb_engine *engine, tmb_bytes key, tmb_bytes value);

/* tmb_engine_drop removes, in one synced write, every key that begins with prefix, and puts one key.
 * Errors: as put, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_engine_drop(tmb_engine *engine, tmb_bytes prefix, tmb_bytes key,
                                     tmb_bytes value);

#endif
