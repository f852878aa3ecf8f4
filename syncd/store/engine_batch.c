// SPDX-License-Identifier: Apache-2.0
/* syncd/store/engine_batch.c - what was put, in an array with a hash table over it; sorted when somebody
 * asks what lies behind a key, and before it is written.
 *
 *   get    table, then RocksDB          seek   the lesser of: sorted array, RocksDB's iterator
 *
 * RocksDB has a WriteBatchWithIndex for this. Its index is a skip list, and what it writes comes in the
 * order of the calls, so that each key is searched for in two skip lists: two thirds of the time of joining
 * a leaf went there. Keys that come sorted find their place in RocksDB's own list beside the one before.
 */
#include "syncd/store/engine_batch.h"

#include <stdlib.h>

#include "syncd/store/engine_inside.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NOT_THERE SIZE_MAX

enum { TABLE_MIN = 1024, TABLE_KEPT = 16384, FEW = 32, PERF_OFF = 1 };

/* Places in the arena. */
typedef struct change {
    size_t key, key_len, value, value_len;
    bool is_del;
} change;

struct tmb_batch {
    tmb_engine *engine;
    uint8_t *arena;
    size_t arena_len, arena_cap;
    change *changes;
    size_t count, cap;
    size_t *table; /* place + 1 of a change; 0: free */
    size_t table_cap;
    size_t *sorted; /* the first sorted_count changes, by key */
    size_t sorted_count;
    rocksdb_iterator_t *iterator; /* at the first key at or behind from, unless NULL */
    uint8_t from[4096];
    size_t from_len;
    char *value; /* of the last get, RocksDB's */
    bool is_failed;
};

static int compare(tmb_bytes a, tmb_bytes b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least > 0 ? memcmp(a.ptr, b.ptr, least) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static tmb_bytes key_of(const tmb_batch *batch, size_t at)
{
    return tmb_bytes_of(batch->arena + batch->changes[at].key, batch->changes[at].key_len);
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
    return batch;
}

void tmb_batch_clear(tmb_batch *batch)
{
    if (batch->iterator)
        rocksdb_iter_destroy(batch->iterator);
    batch->iterator = NULL;
    drop_value(batch);
    if (batch->table_cap > TABLE_KEPT) { /* a large one is not kept, nor cleared each time */
        free(batch->table);
        free(batch->arena);
        batch->table = NULL;
        batch->arena = NULL;
        batch->table_cap = batch->arena_cap = 0;
    } else if (batch->count > 0) {
        memset(batch->table, 0, batch->table_cap * sizeof *batch->table);
    }
    batch->arena_len = batch->count = batch->sorted_count = 0;
    batch->is_failed = false;
    rocksdb_set_perf_level(PERF_OFF); /* of this thread: counting costs a fifth */
}

void tmb_batch_free(tmb_batch *batch)
{
    if (!batch)
        return;
    tmb_batch_clear(batch);
    free(batch->arena);
    free(batch->changes);
    free(batch->table);
    free(batch->sorted);
    free(batch);
}

bool tmb_batch_is_empty(tmb_batch *batch)
{
    return batch->count == 0;
}

/* The place in the table of key, or the free one where it would be. */
static size_t *slot_of(const tmb_batch *batch, tmb_bytes key)
{
    size_t mask = batch->table_cap - 1;
    size_t at = (size_t)XXH3_64bits(key.ptr, key.len) & mask;
    while (batch->table[at] > 0 && !tmb_bytes_eq(key_of(batch, batch->table[at] - 1), key))
        at = (at + 1) & mask;
    return &batch->table[at];
}

static bool grow_table(tmb_batch *batch)
{
    size_t cap = batch->table_cap > 0 ? 2 * batch->table_cap : TABLE_MIN;
    size_t *table = calloc(cap, sizeof *table);
    if (!table)
        return false;
    free(batch->table);
    batch->table = table;
    batch->table_cap = cap;
    for (size_t i = 0; i < batch->count; i++)
        *slot_of(batch, key_of(batch, i)) = i + 1;
    return true;
}

/* Room for one more change and len more bytes. */
static bool grow(tmb_batch *batch, size_t len)
{
    if (!batch->arena || batch->arena_cap - batch->arena_len < len) {
        size_t cap = 2 * batch->arena_cap + len + 4096;
        uint8_t *arena = realloc(batch->arena, cap);
        if (!arena)
            return false;
        batch->arena = arena;
        batch->arena_cap = cap;
    }
    if (batch->count == batch->cap) {
        size_t cap = batch->cap > 0 ? 2 * batch->cap : TABLE_MIN / 2;
        change *changes = realloc(batch->changes, cap * sizeof *changes);
        if (!changes)
            return false;
        batch->changes = changes;
        size_t *sorted = realloc(batch->sorted, cap * sizeof *sorted);
        if (!sorted)
            return false;
        batch->sorted = sorted;
        batch->cap = cap;
    }
    return batch->table_cap > 2 * batch->count || grow_table(batch);
}

/* What a caller gives may be what the arena gave him, which moves when it grows: its place there, or
 * NOT_THERE. */
static size_t place_of(const tmb_batch *batch, tmb_bytes bytes)
{
    bool is_inside = bytes.len > 0 && batch->arena && bytes.ptr >= batch->arena &&
                     bytes.ptr < batch->arena + batch->arena_len;
    return is_inside ? (size_t)(bytes.ptr - batch->arena) : NOT_THERE;
}

static tmb_bytes keep(tmb_batch *batch, tmb_bytes bytes, size_t place)
{
    uint8_t *to = batch->arena + batch->arena_len;
    if (bytes.len > 0)
        memcpy(to, place == NOT_THERE ? bytes.ptr : batch->arena + place, bytes.len);
    batch->arena_len += bytes.len;
    return tmb_bytes_of(to, bytes.len);
}

static tmb_err set(tmb_batch *batch, tmb_bytes key, tmb_bytes value, bool is_del)
{
    size_t key_place = place_of(batch, key), value_place = place_of(batch, value);
    if (!grow(batch, key.len + value.len)) {
        batch->is_failed = true;
        return TMB_ENOMEM;
    }
    TMB_ASSERT(batch->arena);
    tmb_bytes kept_key = keep(batch, key, key_place);
    tmb_bytes kept_value = keep(batch, value, value_place);
    size_t *slot = slot_of(batch, kept_key);
    if (*slot == 0) {
        batch->changes[batch->count] =
            (change){.key = (size_t)(kept_key.ptr - batch->arena), .key_len = key.len};
        *slot = ++batch->count;
    }
    change *at = &batch->changes[*slot - 1];
    at->value = (size_t)(kept_value.ptr - batch->arena);
    at->value_len = value.len;
    at->is_del = is_del;
    return TMB_OK;
}

tmb_err tmb_batch_put(tmb_batch *batch, tmb_bytes key, tmb_bytes value)
{
    tmb_err err = set(batch, key, value, false);
    drop_value(batch);
    return err;
}

tmb_err tmb_batch_del(tmb_batch *batch, tmb_bytes key)
{
    tmb_err err = set(batch, key, tmb_bytes_of(NULL, 0), true);
    drop_value(batch);
    return err;
}

tmb_err tmb_batch_get(tmb_batch *batch, tmb_bytes key, tmb_bytes *ret_value)
{
    size_t slot = batch->count > 0 ? *slot_of(batch, key) : 0;
    if (slot > 0) {
        const change *at = &batch->changes[slot - 1];
        *ret_value = tmb_bytes_of(batch->arena + at->value, at->value_len);
        return at->is_del ? TMB_ENOENT : TMB_OK;
    }
    char *message = NULL;
    size_t len = 0;
    char *value = rocksdb_get(batch->engine->db, batch->engine->reading, (const char *)key.ptr,
                              key.len, &len, &message);
    drop_value(batch);
    batch->value = value;
    if (message)
        return tmb_engine_error(message, NULL, 0);
    if (!value)
        return TMB_ENOENT;
    *ret_value = tmb_bytes_of(value, len);
    return TMB_OK;
}

/* The first of the sorted that lies at or behind key. */
static size_t sorted_place(const tmb_batch *batch, tmb_bytes key)
{
    size_t low = 0, high = batch->sorted_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(key_of(batch, batch->sorted[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Merge sort: no state but its arguments, and as good on what is nearly sorted. */
static void sort_range(const tmb_batch *batch, size_t *at, size_t *room, size_t count)
{
    if (count < 2)
        return;
    size_t half = count / 2, i = 0, j = half, n = 0;
    sort_range(batch, at, room, half);
    sort_range(batch, at + half, room, count - half);
    if (compare(key_of(batch, at[half - 1]), key_of(batch, at[half])) <= 0)
        return;
    while (i < half && j < count)
        room[n++] = compare(key_of(batch, at[i]), key_of(batch, at[j])) <= 0 ? at[i++] : at[j++];
    while (i < half)
        room[n++] = at[i++];
    memcpy(at, room, n * sizeof *at);
}

static tmb_err sort(tmb_batch *batch)
{
    if (batch->count - batch->sorted_count <= FEW && batch->sorted_count > 0) {
        while (batch->sorted_count < batch->count) {
            size_t at = sorted_place(batch, key_of(batch, batch->sorted_count));
            memmove(&batch->sorted[at + 1], &batch->sorted[at],
                    (batch->sorted_count - at) * sizeof *batch->sorted);
            batch->sorted[at] = batch->sorted_count;
            batch->sorted_count++;
        }
        return TMB_OK;
    }
    if (batch->sorted_count == batch->count)
        return TMB_OK;
    size_t *room = malloc(batch->count * sizeof *room);
    if (!room)
        return TMB_ENOMEM;
    for (; batch->sorted_count < batch->count; batch->sorted_count++)
        batch->sorted[batch->sorted_count] = batch->sorted_count;
    sort_range(batch, batch->sorted, room, batch->count);
    free(room);
    return TMB_OK;
}

static tmb_bytes iterator_key(const tmb_batch *batch)
{
    size_t len = 0;
    const char *key = rocksdb_iter_key(batch->iterator, &len);
    return tmb_bytes_of(key, len);
}

/* Puts the iterator to the first key at or behind from; a step, when that is enough. */
static tmb_err place_iterator(tmb_batch *batch, tmb_bytes from)
{
    bool is_ahead =
        batch->iterator && compare(from, tmb_bytes_of(batch->from, batch->from_len)) >= 0;
    if (!batch->iterator)
        batch->iterator = rocksdb_create_iterator(batch->engine->db, batch->engine->reading);
    if (from.len > sizeof batch->from)
        return TMB_EINVAL;
    if (from.len > 0)
        memmove(batch->from, from.ptr, from.len);
    batch->from_len = from.len;
    from.ptr = batch->from;
    if (is_ahead && rocksdb_iter_valid(batch->iterator) && compare(iterator_key(batch), from) < 0)
        rocksdb_iter_next(batch->iterator);
    if (!is_ahead ||
        (rocksdb_iter_valid(batch->iterator) && compare(iterator_key(batch), from) < 0))
        rocksdb_iter_seek(batch->iterator, (const char *)from.ptr, from.len);
    char *message = NULL;
    if (!rocksdb_iter_valid(batch->iterator))
        rocksdb_iter_get_error(batch->iterator, &message);
    return message ? tmb_engine_error(message, NULL, 0) : TMB_OK;
}

tmb_err tmb_batch_seek(tmb_batch *batch, tmb_bytes from, tmb_bytes *ret_key, tmb_bytes *ret_value)
{
    tmb_err err = sort(batch);
    if (err == TMB_OK)
        err = place_iterator(batch, from);
    if (err != TMB_OK)
        return err;
    size_t at = sorted_place(batch, tmb_bytes_of(batch->from, batch->from_len));
    for (;;) {
        bool has_db = rocksdb_iter_valid(batch->iterator), has_own = at < batch->sorted_count;
        if (!has_db && !has_own)
            return TMB_ENOENT;
        int order = !has_own  ? -1
                    : !has_db ? 1
                              : compare(iterator_key(batch), key_of(batch, batch->sorted[at]));
        const change *own = has_own ? &batch->changes[batch->sorted[at]] : NULL;
        if (order < 0) {
            size_t len = 0;
            const char *value = ret_value ? rocksdb_iter_value(batch->iterator, &len) : NULL;
            *ret_key = iterator_key(batch);
            if (ret_value)
                *ret_value = tmb_bytes_of(value, len);
            return TMB_OK;
        }
        if (!own->is_del) {
            *ret_key = key_of(batch, batch->sorted[at]);
            if (ret_value)
                *ret_value = tmb_bytes_of(batch->arena + own->value, own->value_len);
            return TMB_OK;
        }
        /* Deleted: past it, on both sides. The iterator has then gone beyond from: a seek must not trust
         * it. */
        if (order == 0)
            rocksdb_iter_next(batch->iterator);
        tmb_bytes gone = key_of(batch, batch->sorted[at]);
        if (gone.len <= sizeof batch->from) {
            memcpy(batch->from, gone.ptr, gone.len);
            batch->from_len = gone.len;
        }
        at++;
    }
}

tmb_err tmb_batch_write(tmb_batch *batch, bool is_synced)
{
    char *message = NULL;
    tmb_err err = batch->is_failed ? TMB_ENOMEM : sort(batch);
    if (err == TMB_OK && batch->count > 0) {
        rocksdb_writebatch_t *writes = rocksdb_writebatch_create();
        for (size_t i = 0; i < batch->count; i++) {
            const change *at = &batch->changes[batch->sorted[i]];
            const char *key = (const char *)batch->arena + at->key;
            if (at->is_del)
                rocksdb_writebatch_delete(writes, key, at->key_len);
            else
                rocksdb_writebatch_put(writes, key, at->key_len,
                                       (const char *)batch->arena + at->value, at->value_len);
        }
        rocksdb_write(batch->engine->db, is_synced ? batch->engine->writing : batch->engine->later,
                      writes, &message);
        rocksdb_writebatch_destroy(writes);
    }
    tmb_batch_clear(batch);
    if (err != TMB_OK)
        return err;
    return message ? tmb_engine_error(message, NULL, 0) : TMB_OK;
}
