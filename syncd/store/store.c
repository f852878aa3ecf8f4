// SPDX-License-Identifier: Apache-2.0
/* syncd/store/store.c - keys and values, and what is done when the store cannot be used.
 *
 * Keys (bytes; names are length-prefixed, so no name can end another's key):
 *   "v"                                          version of all of this, a number: 1
 *   "j"                                          incarnation of the journal the marks belong to
 *   "b"                                          how often the daemon was started, a number
 *   "m" u8 len, child, 16 incarnation, u8 len, stream     mark of a child's stream, a number
 *   "c" 16 incarnation, u8 len, stream                    cursor towards the parent, a number
 * Values: u8 1 (version), then the number as u64 or the 16 bytes, then CRC-32C of key and all before it:
 * a value under a wrong key, or a flipped bit that RocksDB let pass, is noticed.
 *
 *   open --> good --put fails--> broken --next put, space is there again--> close, open --> good
 *     '-- cannot be read --> set aside as <path>.damaged-<n>, begin anew
 * A broken store still answers gets.
 */
#include "syncd/store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "syncd/store/engine.h"
#include "syncd/store/folder.h"

#define FORMAT_VERSION  1u
#define VALUE_VERSION   1u
#define MARK_BYTES      (8 + TMB_CHAIN_BYTES) /* of one with its chain; 8 without */
#define VALUE_BYTES_MAX (1 + MARK_BYTES + 4)
#define KEY_BYTES_MAX   (1 + 1 + TMB_NAME_BYTES_MAX + 16 + 1 + TMB_STREAM_NAME_BYTES_MAX)

struct tmb_store {
    pthread_mutex_t lock;
    tmb_engine *engine;
    char *path;
    uint64_t reserve_bytes;
    unsigned resets;
    bool is_broken; /* a write failed: RocksDB takes no more until it is opened anew */
};

typedef struct store_key {
    uint8_t bytes[KEY_BYTES_MAX];
    size_t len;
} store_key;

static store_key make_key(char kind, tmb_bytes child, const tmb_incarnation *incarnation,
                          tmb_bytes stream)
{
    store_key key = {.len = 0};
    tmb_writer w = tmb_writer_of(key.bytes, sizeof key.bytes);
    tmb_put_u8(&w, (uint8_t)kind);
    if (child.len > 0) {
        tmb_put_u8(&w, (uint8_t)child.len);
        tmb_put_bytes(&w, child);
    }
    if (incarnation) {
        tmb_put_bytes(&w, tmb_bytes_of(incarnation->bytes, sizeof incarnation->bytes));
        tmb_put_u8(&w, (uint8_t)stream.len);
        tmb_put_bytes(&w, stream);
    }
    key.len = w.bad ? 0 : (size_t)(w.at - key.bytes);
    return key;
}

static uint32_t sum_of(const store_key *key, const uint8_t *value, size_t len)
{
    return tmb_crc32c(tmb_crc32c(0, tmb_bytes_of(key->bytes, key->len)), tmb_bytes_of(value, len));
}

static size_t make_value(const store_key *key, tmb_bytes content, uint8_t *out)
{
    tmb_writer w = tmb_writer_of(out, VALUE_BYTES_MAX);
    tmb_put_u8(&w, VALUE_VERSION);
    tmb_put_bytes(&w, content);
    tmb_put_u32(&w, sum_of(key, out, 1 + content.len));
    TMB_ASSERT(!w.bad);
    return 1 + content.len + 4;
}

/* read_value gives exactly content_len bytes. */
static tmb_err read_value(tmb_store *store, const store_key *key, uint8_t *content,
                          size_t content_len)
{
    uint8_t value[VALUE_BYTES_MAX];
    size_t len = 0;
    tmb_err err = tmb_engine_get(store->engine, tmb_bytes_of(key->bytes, key->len), value,
                                 sizeof value, &len);
    if (err != TMB_OK)
        return err;
    if (len != 1 + content_len + 4)
        return TMB_ECORRUPT;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(value, len));
    uint8_t version = tmb_get_u8(&r);
    tmb_bytes body = tmb_get_bytes(&r, content_len);
    if (!body.ptr || version != VALUE_VERSION ||
        tmb_get_u32(&r) != sum_of(key, value, 1 + content_len))
        return TMB_ECORRUPT;
    memcpy(content, body.ptr, content_len);
    return TMB_OK;
}

static tmb_err read_number(tmb_store *store, const store_key *key, uint64_t *ret_number)
{
    uint8_t content[8];
    tmb_err err = read_value(store, key, content, sizeof content);
    if (err != TMB_OK)
        return err;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(content, sizeof content));
    *ret_number = tmb_get_u64(&r);
    return TMB_OK;
}

/* A write that failed leaves RocksDB refusing every other; opened anew, it reads back what is whole, and
 * when that is not all of it, the store is begun anew: marks are a view, repeats are the price. */
static tmb_err mend(tmb_store *store)
{
    tmb_err err = tmb_folder_space(store->path, store->reserve_bytes);
    if (err != TMB_OK || !store->is_broken)
        return err;
    tmb_engine_close(store->engine);
    store->engine = NULL;
    err = tmb_engine_open(store->path, &store->engine, NULL, 0);
    if (err == TMB_ECORRUPT) {
        err = tmb_folder_set_aside(store->path, NULL, 0);
        if (err == TMB_OK)
            err = tmb_engine_open(store->path, &store->engine, NULL, 0);
        if (err == TMB_OK)
            store->resets++;
    }
    if (err == TMB_OK)
        store->is_broken = false;
    return err;
}

/* Only a mend that failed leaves no engine. */
static tmb_err make_usable(tmb_store *store)
{
    return store->engine ? TMB_OK : mend(store);
}

static tmb_err write_value(tmb_store *store, const store_key *key, tmb_bytes content)
{
    uint8_t value[VALUE_BYTES_MAX];
    size_t len = make_value(key, content, value);
    tmb_err err = mend(store);
    if (err != TMB_OK)
        return err;
    err =
        tmb_engine_put(store->engine, tmb_bytes_of(key->bytes, key->len), tmb_bytes_of(value, len));
    store->is_broken = err != TMB_OK;
    return err;
}

static tmb_err write_number(tmb_store *store, const store_key *key, uint64_t number)
{
    uint8_t content[8];
    tmb_writer w = tmb_writer_of(content, sizeof content);
    tmb_put_u64(&w, number);
    return write_value(store, key, tmb_bytes_of(content, sizeof content));
}

/* A fresh store gets its version; one of another version is not ours. */
static tmb_err check_version(tmb_store *store, char *text, size_t text_cap)
{
    uint64_t version = 0;
    store_key key = make_key('v', tmb_bytes_of(NULL, 0), NULL, tmb_bytes_of(NULL, 0));
    tmb_err err = read_number(store, &key, &version);
    if (err == TMB_ENOENT)
        return write_number(store, &key, FORMAT_VERSION);
    if (err == TMB_OK && version != FORMAT_VERSION) {
        if (text)
            (void)snprintf(text, text_cap, "the store is of format %llu, this build reads %u",
                           (unsigned long long)version, FORMAT_VERSION);
        return TMB_EVERSION;
    }
    if (err != TMB_OK && text)
        (void)snprintf(text, text_cap, "the store's version cannot be read: %s", tmb_err_str(err));
    return err;
}

static tmb_err open_engine(tmb_store *store, char *text, size_t text_cap)
{
    tmb_err err = tmb_engine_open(store->path, &store->engine, text, text_cap);
    if (err != TMB_OK)
        return err;
    err = check_version(store, text, text_cap);
    if (err != TMB_OK) {
        tmb_engine_close(store->engine);
        store->engine = NULL;
    }
    return err;
}

tmb_err tmb_store_open(const char *path, tmb_store **ret_store, bool *ret_was_reset, char *text,
                       size_t text_cap)
{
    if (text && text_cap > 0)
        text[0] = 0;
    tmb_store *store = calloc(1, sizeof *store);
    if (!store)
        return TMB_ENOMEM;
    store->path = strdup(path);
    if (!store->path) {
        free(store);
        return TMB_ENOMEM;
    }
    (void)pthread_mutex_init(&store->lock, NULL);
    tmb_folder_make(path);

    bool was_reset = false;
    tmb_err err = open_engine(store, text, text_cap);
    if (err == TMB_ECORRUPT || err == TMB_EVERSION) {
        err = tmb_folder_set_aside(path, text, text_cap);
        if (err == TMB_OK) {
            was_reset = true;
            err = open_engine(store, NULL, 0);
        }
    }
    if (err != TMB_OK) {
        if (text && text_cap > 0 && text[0] == 0)
            (void)snprintf(text, text_cap, "%s: %s", path, tmb_err_str(err));
        tmb_store_close(store);
        return err;
    }
    store->reserve_bytes = TMB_STORE_RESERVE_BYTES;
    *ret_store = store;
    *ret_was_reset = was_reset;
    return TMB_OK;
}

void tmb_store_close(tmb_store *store)
{
    if (!store)
        return;
    tmb_engine_close(store->engine);
    (void)pthread_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
}

unsigned tmb_store_resets(tmb_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    unsigned resets = store->resets;
    (void)pthread_mutex_unlock(&store->lock);
    return resets;
}

void tmb_store_reserve_set(tmb_store *store, uint64_t bytes)
{
    (void)pthread_mutex_lock(&store->lock);
    store->reserve_bytes = bytes;
    (void)pthread_mutex_unlock(&store->lock);
}

tmb_err tmb_store_bind(tmb_store *store, const tmb_incarnation *journal, bool *ret_was_emptied)
{
    tmb_bytes none = tmb_bytes_of(NULL, 0);
    store_key key = make_key('j', none, NULL, none);
    tmb_bytes content = tmb_bytes_of(journal->bytes, sizeof journal->bytes);
    bool was_emptied = false;
    (void)pthread_mutex_lock(&store->lock);
    uint8_t known[16];
    tmb_err err = make_usable(store);
    if (err == TMB_OK)
        err = read_value(store, &key, known, sizeof known);
    bool is_unknown = err == TMB_ENOENT;
    if (is_unknown || err == TMB_ECORRUPT ||
        (err == TMB_OK && memcmp(known, journal->bytes, sizeof known) != 0)) {
        uint8_t value[VALUE_BYTES_MAX];
        size_t len = make_value(&key, content, value);
        err = mend(store);
        if (err == TMB_OK) {
            err = tmb_engine_drop(store->engine, tmb_bytes_str("m"),
                                  tmb_bytes_of(key.bytes, key.len), tmb_bytes_of(value, len));
            store->is_broken = err != TMB_OK;
        }
        was_emptied = err == TMB_OK && !is_unknown;
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (err == TMB_OK)
        *ret_was_emptied = was_emptied;
    return err;
}

tmb_err tmb_store_boot(tmb_store *store, uint64_t *ret_boots)
{
    tmb_bytes none = tmb_bytes_of(NULL, 0);
    store_key key = make_key('b', none, NULL, none);
    uint64_t boots = 0;
    (void)pthread_mutex_lock(&store->lock);
    tmb_err err = make_usable(store);
    if (err == TMB_OK) {
        err = read_number(store, &key, &boots);
        if (err == TMB_OK || err == TMB_ENOENT || err == TMB_ECORRUPT)
            err = write_number(store, &key, ++boots);
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (err == TMB_OK)
        *ret_boots = boots;
    return err;
}

static tmb_err get_number(tmb_store *store, const store_key *key, uint64_t *ret_seq)
{
    if (key->len == 0)
        return TMB_EINVAL;
    uint64_t seq = 0;
    (void)pthread_mutex_lock(&store->lock);
    tmb_err err = make_usable(store);
    if (err == TMB_OK)
        err = read_number(store, key, &seq);
    (void)pthread_mutex_unlock(&store->lock);
    if (err == TMB_ENOENT)
        err = TMB_OK;
    if (err == TMB_OK)
        *ret_seq = seq;
    return err;
}

/* raise_number writes seq unless what is there is as high; an unreadable value counts as 0. */
static tmb_err raise_number(tmb_store *store, const store_key *key, uint64_t seq)
{
    if (key->len == 0)
        return TMB_EINVAL;
    uint64_t known = 0;
    (void)pthread_mutex_lock(&store->lock);
    tmb_err err = make_usable(store);
    if (err == TMB_OK) {
        err = read_number(store, key, &known);
        if (err == TMB_OK && known >= seq)
            err = TMB_OK;
        else if (err == TMB_OK || err == TMB_ENOENT || err == TMB_ECORRUPT)
            err = write_number(store, key, seq);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return err;
}

/* A mark without a chain is that of an earlier build, or its chain is not known. */
static tmb_err read_mark(tmb_store *store, const store_key *key, tmb_chain *ret_mark)
{
    uint8_t content[MARK_BYTES];
    tmb_chain mark = {.seq = 0};
    tmb_err err = read_value(store, key, content, sizeof content);
    if (err == TMB_ECORRUPT)
        return read_number(store, key, &ret_mark->seq);
    if (err != TMB_OK)
        return err;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(content, sizeof content));
    mark.seq = tmb_get_u64(&r);
    mark.is_known = true;
    memcpy(mark.value, content + 8, sizeof mark.value);
    *ret_mark = mark;
    return TMB_OK;
}

static tmb_err write_mark(tmb_store *store, const store_key *key, const tmb_chain *mark)
{
    uint8_t content[MARK_BYTES];
    tmb_writer w = tmb_writer_of(content, sizeof content);
    tmb_put_u64(&w, mark->seq);
    tmb_put_bytes(&w, tmb_bytes_of(mark->value, sizeof mark->value));
    return write_value(store, key, tmb_bytes_of(content, mark->is_known ? sizeof content : 8));
}

tmb_err tmb_store_proof_get(tmb_store *store, tmb_bytes child, const tmb_incarnation *incarnation,
                            tmb_bytes stream, tmb_chain *ret_mark)
{
    store_key key = make_key('m', child, incarnation, stream);
    tmb_chain mark = {.seq = 0};
    if (key.len == 0)
        return TMB_EINVAL;
    (void)pthread_mutex_lock(&store->lock);
    tmb_err err = make_usable(store);
    if (err == TMB_OK)
        err = read_mark(store, &key, &mark);
    (void)pthread_mutex_unlock(&store->lock);
    if (err == TMB_ENOENT)
        err = TMB_OK;
    if (err == TMB_OK)
        *ret_mark = mark;
    return err;
}

tmb_err tmb_store_proof_put(tmb_store *store, tmb_bytes child, const tmb_incarnation *incarnation,
                            tmb_bytes stream, const tmb_chain *mark)
{
    store_key key = make_key('m', child, incarnation, stream);
    tmb_chain known = {.seq = 0};
    if (key.len == 0)
        return TMB_EINVAL;
    (void)pthread_mutex_lock(&store->lock);
    tmb_err err = make_usable(store);
    if (err == TMB_OK) {
        err = read_mark(store, &key, &known);
        bool is_unread = err == TMB_ENOENT || err == TMB_ECORRUPT;
        if (is_unread || (err == TMB_OK && known.seq < mark->seq))
            err = write_mark(store, &key, mark);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return err;
}

tmb_err tmb_store_mark_get(tmb_store *store, tmb_bytes child, const tmb_incarnation *incarnation,
                           tmb_bytes stream, uint64_t *ret_seq)
{
    tmb_chain mark = {.seq = 0};
    tmb_err err = tmb_store_proof_get(store, child, incarnation, stream, &mark);
    if (err == TMB_OK)
        *ret_seq = mark.seq;
    return err;
}

tmb_err tmb_store_mark_put(tmb_store *store, tmb_bytes child, const tmb_incarnation *incarnation,
                           tmb_bytes stream, uint64_t seq)
{
    tmb_chain mark = {.seq = seq};
    return tmb_store_proof_put(store, child, incarnation, stream, &mark);
}

tmb_err tmb_store_cursor_get(tmb_store *store, const tmb_incarnation *incarnation, tmb_bytes stream,
                             uint64_t *ret_seq)
{
    store_key key = make_key('c', tmb_bytes_of(NULL, 0), incarnation, stream);
    return get_number(store, &key, ret_seq);
}

tmb_err tmb_store_cursor_put(tmb_store *store, const tmb_incarnation *incarnation, tmb_bytes stream,
                             uint64_t seq)
{
    store_key key = make_key('c', tmb_bytes_of(NULL, 0), incarnation, stream);
    return raise_number(store, &key, seq);
}
