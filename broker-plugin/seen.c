// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/seen.c - a hash table of highest numbers, in the order in which they were last used.
 *
 * An entry lives in two structures: the hash finds it, the list keeps the order of use. Touching moves it to
 * the list's end, so its head is what may be forgotten.
 */
#define HASH_NONFATAL_OOM 1
#include "broker-plugin/seen.h"

#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

typedef struct entry {
    UT_hash_handle hh;
    struct entry *prev, *next;
    uint64_t number;
    uint16_t len;
    uint8_t key[];
} entry;

struct tmb_seen {
    entry *table;
    entry *order;
    size_t limit;
    uint64_t forgotten;
};

tmb_err tmb_seen_new(size_t limit, tmb_seen **ret_seen)
{
    TMB_ASSERT(limit > 0);
    tmb_seen *seen = calloc(1, sizeof *seen);
    if (!seen)
        return TMB_ENOMEM;
    seen->limit = limit;
    *ret_seen = seen;
    return TMB_OK;
}

static void forget(tmb_seen *seen, entry *e)
{
    /* The analyzer loses track of the links that uthash keeps. */
    HASH_DELETE(hh, seen->table, e); /* NOLINT(clang-analyzer-*) */
    DL_DELETE(seen->order, e);
    free(e);
}

void tmb_seen_free(tmb_seen *seen)
{
    if (!seen)
        return;
    while (seen->order)
        forget(seen, seen->order);
    free(seen);
}

static void put_part(tmb_writer *w, tmb_bytes part, size_t bytes_max)
{
    if (part.len > bytes_max)
        part.len = bytes_max;
    tmb_put_u8(w, (uint8_t)part.len);
    tmb_put_bytes(w, part);
}

tmb_seen_key tmb_seen_key_child(const tmb_origin *source)
{
    tmb_seen_key key;
    tmb_writer w = tmb_writer_of(key.bytes, sizeof key.bytes);
    put_part(&w, source->node, TMB_NAME_BYTES_MAX);
    tmb_put_bytes(&w, tmb_bytes_of(source->incarnation.bytes, sizeof source->incarnation.bytes));
    put_part(&w, source->stream, TMB_STREAM_NAME_BYTES_MAX);
    TMB_ASSERT(!w.bad);
    key.len = (size_t)(w.at - key.bytes);
    return key;
}

tmb_seen_key tmb_seen_key_publisher(tmb_bytes publisher, tmb_bytes run, tmb_bytes stream)
{
    tmb_seen_key key;
    tmb_writer w = tmb_writer_of(key.bytes, sizeof key.bytes);
    put_part(&w, publisher, TMB_PUBLISHER_BYTES_MAX);
    put_part(&w, run, TMB_RUN_BYTES_MAX);
    put_part(&w, stream, TMB_STREAM_NAME_BYTES_MAX);
    TMB_ASSERT(!w.bad);
    key.len = (size_t)(w.at - key.bytes);
    return key;
}

static entry *make(tmb_seen *seen, tmb_bytes key)
{
    if (seen->order && HASH_COUNT(seen->table) >= seen->limit) {
        forget(seen, seen->order);
        seen->forgotten++;
    }
    entry *e = calloc(1, sizeof *e + key.len);
    if (!e)
        return NULL;
    memcpy(e->key, key.ptr, key.len);
    e->len = (uint16_t)key.len;
    HASH_ADD_KEYPTR(hh, seen->table, e->key, key.len, e);
    if (!e->hh.tbl) {
        free(e);
        return NULL;
    }
    DL_APPEND(seen->order, e);
    return e;
}

static entry *touch(tmb_seen *seen, tmb_bytes key)
{
    entry *e;
    HASH_FIND(hh, seen->table, key.ptr, key.len, e);
    if (!e)
        return make(seen, key);
    DL_DELETE(seen->order, e);
    DL_APPEND(seen->order, e);
    return e;
}

tmb_err tmb_seen_max(tmb_seen *seen, tmb_bytes key, uint64_t *ret_number)
{
    entry *e = touch(seen, key);
    if (!e)
        return TMB_ENOMEM;
    *ret_number = e->number;
    return TMB_OK;
}

tmb_err tmb_seen_raise(tmb_seen *seen, tmb_bytes key, uint64_t number)
{
    entry *e = touch(seen, key);
    if (!e)
        return TMB_ENOMEM;
    if (number > e->number)
        e->number = number;
    return TMB_OK;
}

size_t tmb_seen_count(const tmb_seen *seen)
{
    return HASH_COUNT(seen->table);
}

uint64_t tmb_seen_forgotten(const tmb_seen *seen)
{
    return seen->forgotten;
}

void tmb_seen_each(const tmb_seen *seen, void (*visit)(void *arg, tmb_bytes key, uint64_t number),
                   void *arg)
{
    const entry *e;
    DL_FOREACH(seen->order, e)
    visit(arg, tmb_bytes_of(e->key, e->len), e->number);
}
