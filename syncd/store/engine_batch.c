// SPDX-License-Identifier: Apache-2.0
/* syncd/store/engine_batch.c - RocksDB's WriteBatchWithIndex, and one iterator that is kept while it is good.
 *
 * A change makes the iterator bad: it is made anew at the next seek. Asking for what lies behind the last
 * answer is a step, not a search: the next key is the answer whenever it lies at or behind what was asked
 * for.
 */
#include "syncd/store/engine_batch.h"

#include <stdlib.h>

#include "syncd/store/engine_inside.h"

struct tmb_batch {
    tmb_engine *engine;
    rocksdb_writebatch_wi_t *writes;
    rocksdb_iterator_t *iterator; /* NULL: none that is good */
    char *value;                  /* of the last get */
};

static void drop_iterator(tmb_batch *batch)
{
    if (batch->iterator)
        rocksdb_iter_destroy(batch->iterator);
    batch->iterator = NULL;
}

static void drop_value(tmb_batch *batch)
{
    if (batch->value)
        rocksdb_free(batch->value);
    batch->value = NULL;
}

tmb_batch *tmb_batch_new(tmb_engine *engine)
{
    tmb_batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return NULL;
    batch->engine = engine;
    batch->writes = rocksdb_writebatch_wi_create(0, 1); /* 1: a key is in it once */
    return batch;
}

void tmb_batch_free(tmb_batch *batch)
{
    if (!batch)
        return;
    drop_iterator(batch);
    drop_value(batch);
    rocksdb_writebatch_wi_destroy(batch->writes);
    free(batch);
}

bool tmb_batch_is_empty(tmb_batch *batch)
{
    return rocksdb_writebatch_wi_count(batch->writes) == 0;
}

tmb_err tmb_batch_get(tmb_batch *batch, tmb_bytes key, tmb_bytes *ret_value)
{
    char *message = NULL;
    size_t len = 0;
    drop_value(batch);
    batch->value = tmb_batch_is_empty(batch)
                       ? rocksdb_get(batch->engine->db, batch->engine->reading,
                                     (const char *)key.ptr, key.len, &len, &message)
                       : rocksdb_writebatch_wi_get_from_batch_and_db(
                             batch->writes, batch->engine->db, batch->engine->reading,
                             (const char *)key.ptr, key.len, &len, &message);
    if (message)
        return tmb_engine_error(message, NULL, 0);
    if (!batch->value)
        return TMB_ENOENT;
    *ret_value = tmb_bytes_of(batch->value, len);
    return TMB_OK;
}

static int compare(tmb_bytes a, tmb_bytes b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least > 0 ? memcmp(a.ptr, b.ptr, least) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static tmb_bytes key_at(const rocksdb_iterator_t *iterator)
{
    size_t len = 0;
    const char *key = rocksdb_iter_key(iterator, &len);
    return tmb_bytes_of(key, len);
}

/* Whether a step leads to the first key at or behind from. */
static bool step(rocksdb_iterator_t *iterator, tmb_bytes from)
{
    if (!rocksdb_iter_valid(iterator) || compare(key_at(iterator), from) >= 0)
        return false;
    rocksdb_iter_next(iterator);
    return rocksdb_iter_valid(iterator) && compare(key_at(iterator), from) >= 0;
}

tmb_err tmb_batch_seek(tmb_batch *batch, tmb_bytes from, tmb_bytes *ret_key, tmb_bytes *ret_value)
{
    if (!batch->iterator) {
        rocksdb_iterator_t *base =
            rocksdb_create_iterator(batch->engine->db, batch->engine->reading);
        batch->iterator =
            tmb_batch_is_empty(batch)
                ? base
                : rocksdb_writebatch_wi_create_iterator_with_base(batch->writes, base);
        rocksdb_iter_seek(batch->iterator, (const char *)from.ptr, from.len);
    } else if (!step(batch->iterator, from)) {
        rocksdb_iter_seek(batch->iterator, (const char *)from.ptr, from.len);
    }
    if (!rocksdb_iter_valid(batch->iterator)) {
        char *message = NULL;
        rocksdb_iter_get_error(batch->iterator, &message);
        return message ? tmb_engine_error(message, NULL, 0) : TMB_ENOENT;
    }
    *ret_key = key_at(batch->iterator);
    if (ret_value) {
        size_t len = 0;
        const char *value = rocksdb_iter_value(batch->iterator, &len);
        *ret_value = tmb_bytes_of(value, len);
    }
    return TMB_OK;
}

/* The write comes before the iterator goes: the key may be the iterator's own. */
void tmb_batch_put(tmb_batch *batch, tmb_bytes key, tmb_bytes value)
{
    rocksdb_writebatch_wi_put(batch->writes, (const char *)key.ptr, key.len,
                              (const char *)value.ptr, value.len);
    drop_iterator(batch);
}

void tmb_batch_del(tmb_batch *batch, tmb_bytes key)
{
    rocksdb_writebatch_wi_delete(batch->writes, (const char *)key.ptr, key.len);
    drop_iterator(batch);
}

void tmb_batch_clear(tmb_batch *batch)
{
    drop_iterator(batch);
    drop_value(batch);
    rocksdb_writebatch_wi_clear(batch->writes);
}

tmb_err tmb_batch_write(tmb_batch *batch, bool is_synced)
{
    char *message = NULL;
    drop_iterator(batch);
    if (!tmb_batch_is_empty(batch))
        rocksdb_write_writebatch_wi(batch->engine->db,
                                    is_synced ? batch->engine->writing : batch->engine->later,
                                    batch->writes, &message);
    tmb_batch_clear(batch);
    return message ? tmb_engine_error(message, NULL, 0) : TMB_OK;
}
