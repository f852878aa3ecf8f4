// SPDX-License-Identifier: Apache-2.0
/* syncd/store/engine_inside.h - what engine.c and engine_batch.c share: RocksDB's own handles. */
#ifndef TMB_SYNCD_STORE_ENGINE_INSIDE_H
#define TMB_SYNCD_STORE_ENGINE_INSIDE_H

#include <rocksdb/c.h>

#include "syncd/store/engine.h"

struct tmb_engine {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_readoptions_t *reading;
    rocksdb_writeoptions_t *writing, *later; /* with sync, without */
    rocksdb_cache_t *cache;
};

/* Frees message, and says what it means; text (may be NULL) gets it. */
tmb_err tmb_engine_error(char *message, char *text, size_t text_cap);

#endif
