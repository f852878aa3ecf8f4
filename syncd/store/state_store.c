// SPDX-License-Identifier: Apache-2.0
/* syncd/store/state_store.c - versions, places, and a transaction at a time.
 *
 * Keys of its own begin with a 0, which no scope's name does:
 *   0 "v"   u8: version of all of this
 *   0 "h"   where it is at home: the machine's id as text, a blank, the number of the file "home" in
 *           its folder. A file that is copied has another number, and so has one that is put back.
 */
#include "syncd/store/state_store.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "syncd/store/engine_batch.h"
#include "syncd/store/folder.h"
#include "syncd/store/store.h"

#define STATE_VERSION 1u
#define HOME_MAX      128

static const tmb_engine_size SIZE = {.write_buffer_bytes = 8u * 1024 * 1024,
                                     .cache_bytes = 8u * 1024 * 1024,
                                     .bloom_bits = 10,
                                     .has_unsynced = true};
static const uint8_t VERSION_KEY[] = {0, 'v'}, HOME_KEY[] = {0, 'h'};

struct tmb_state_store {
    pthread_mutex_t lock; /* held from begin to commit or abort */
    tmb_engine *engine;
    tmb_batch *batch;
    char *path;
    uint64_t reserve_bytes, refused;
    unsigned resets;
    bool is_broken; /* a write failed: RocksDB takes no more until it is opened anew */
    bool is_moved, is_settling;
};

static tmb_err kv_get(void *arg, tmb_bytes key, tmb_bytes *ret_value)
{
    tmb_state_store *store = arg;
    return tmb_batch_get(store->batch, key, ret_value);
}

static tmb_err kv_seek(void *arg, tmb_bytes from, tmb_bytes *ret_key, tmb_bytes *ret_value)
{
    tmb_state_store *store = arg;
    return tmb_batch_seek(store->batch, from, ret_key, ret_value);
}

static tmb_err kv_put(void *arg, tmb_bytes key, tmb_bytes value)
{
    tmb_state_store *store = arg;
    return tmb_batch_put(store->batch, key, value);
}

static tmb_err kv_del(void *arg, tmb_bytes key)
{
    tmb_state_store *store = arg;
    return tmb_batch_del(store->batch, key);
}

static void close_engine(tmb_state_store *store)
{
    tmb_batch_free(store->batch);
    tmb_engine_close(store->engine);
    store->batch = NULL;
    store->engine = NULL;
}

/* Where these files are: a text. The file is made with the store. */
static tmb_err read_home(const tmb_state_store *store, char *out, size_t cap)
{
    char name[4096], machine[64] = "unknown";
    struct stat st;
    FILE *id = fopen("/etc/machine-id", "re");
    if (id) {
        if (fscanf(id, "%63s", machine) != 1)
            (void)snprintf(machine, sizeof machine, "unknown");
        (void)fclose(id);
    }
    int len = snprintf(name, sizeof name, "%s/home", store->path);
    if (len < 0 || (size_t)len >= sizeof name)
        return TMB_EIO;
    int fd = open(name, O_CREAT | O_RDONLY | O_CLOEXEC, 0640);
    if (fd < 0)
        return TMB_EIO;
    int failed = fstat(fd, &st);
    (void)close(fd);
    if (failed)
        return TMB_EIO;
    (void)snprintf(out, cap, "%s %llu", machine, (unsigned long long)st.st_ino);
    return TMB_OK;
}

static tmb_err put_home(tmb_state_store *store)
{
    char home[HOME_MAX];
    tmb_err err = read_home(store, home, sizeof home);
    return err == TMB_OK ? tmb_batch_put(store->batch, tmb_bytes_of(HOME_KEY, sizeof HOME_KEY),
                                         tmb_bytes_str(home))
                         : err;
}

static tmb_err make_new(tmb_state_store *store)
{
    const uint8_t version = STATE_VERSION;
    tmb_err err = tmb_folder_space(store->path, store->reserve_bytes);
    if (err == TMB_OK)
        err = put_home(store);
    if (err != TMB_OK)
        return err;
    err = tmb_batch_put(store->batch, tmb_bytes_of(VERSION_KEY, sizeof VERSION_KEY),
                        tmb_bytes_of(&version, 1));
    return err == TMB_OK ? tmb_batch_write(store->batch, true) : err;
}

/* A fresh store gets its version; one of another version is not ours. */
static tmb_err check_content(tmb_state_store *store)
{
    char home[HOME_MAX];
    tmb_bytes value;
    tmb_err err =
        tmb_batch_get(store->batch, tmb_bytes_of(VERSION_KEY, sizeof VERSION_KEY), &value);
    if (err == TMB_ENOENT)
        return make_new(store);
    if (err == TMB_OK && (value.len != 1 || value.ptr[0] != STATE_VERSION))
        return TMB_EVERSION;
    if (err == TMB_OK)
        err = read_home(store, home, sizeof home);
    if (err != TMB_OK)
        return err;
    err = tmb_batch_get(store->batch, tmb_bytes_of(HOME_KEY, sizeof HOME_KEY), &value);
    store->is_moved = err != TMB_OK || !tmb_bytes_eq(value, tmb_bytes_str(home));
    return err == TMB_ENOENT ? TMB_OK : err;
}

static tmb_err open_engine(tmb_state_store *store, char *text, size_t text_cap)
{
    tmb_err err = tmb_engine_open_sized(store->path, &SIZE, &store->engine, text, text_cap);
    if (err != TMB_OK)
        return err;
    store->batch = tmb_batch_new(store->engine);
    err = store->batch ? check_content(store) : TMB_ENOMEM;
    if (err != TMB_OK) {
        if (text && text_cap > 0 && text[0] == 0)
            (void)snprintf(text, text_cap, "%s: %s", store->path, tmb_err_str(err));
        close_engine(store);
    }
    return err;
}

/* What cannot be used is set aside and begun anew. */
static tmb_err open_or_begin(tmb_state_store *store, bool *was_reset, char *text, size_t text_cap)
{
    tmb_err err = open_engine(store, text, text_cap);
    *was_reset = false;
    if (err != TMB_ECORRUPT && err != TMB_EVERSION)
        return err;
    err = tmb_folder_set_aside(store->path, text, text_cap);
    if (err == TMB_OK) {
        tmb_folder_make(store->path);
        err = open_engine(store, NULL, 0);
    }
    *was_reset = err == TMB_OK;
    return err;
}

tmb_err tmb_state_store_open(const char *path, tmb_state_store **ret_store, bool *ret_was_reset,
                             char *text, size_t text_cap)
{
    if (text && text_cap > 0)
        text[0] = 0;
    tmb_state_store *store = calloc(1, sizeof *store);
    if (!store)
        return TMB_ENOMEM;
    (void)pthread_mutex_init(&store->lock, NULL);
    store->reserve_bytes = TMB_STORE_RESERVE_BYTES;
    store->path = strdup(path);
    tmb_err err = store->path ? TMB_OK : TMB_ENOMEM;
    bool was_reset = false;
    if (err == TMB_OK) {
        tmb_folder_make(path);
        err = open_or_begin(store, &was_reset, text, text_cap);
    }
    if (err != TMB_OK) {
        if (text && text_cap > 0 && text[0] == 0)
            (void)snprintf(text, text_cap, "%s: %s", path, tmb_err_str(err));
        tmb_state_store_close(store);
        return err;
    }
    *ret_store = store;
    *ret_was_reset = was_reset;
    return TMB_OK;
}

void tmb_state_store_close(tmb_state_store *store)
{
    if (!store)
        return;
    close_engine(store);
    (void)pthread_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
}

bool tmb_state_store_is_moved(tmb_state_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    bool is_moved = store->is_moved;
    (void)pthread_mutex_unlock(&store->lock);
    return is_moved;
}

tmb_err tmb_state_store_settle(tmb_state_store *store)
{
    tmb_err err = put_home(store);
    store->is_settling = err == TMB_OK;
    return err;
}

/* A write that failed leaves RocksDB refusing every other: opened anew, it reads back what is whole. */
static tmb_err mend(tmb_state_store *store)
{
    if (store->engine && !store->is_broken)
        return TMB_OK;
    tmb_err err = tmb_folder_space(store->path, store->reserve_bytes);
    if (err != TMB_OK)
        return err;
    close_engine(store);
    bool was_reset;
    err = open_or_begin(store, &was_reset, NULL, 0);
    store->resets += was_reset;
    if (err == TMB_OK)
        store->is_broken = false;
    return err;
}

tmb_err tmb_state_store_begin(tmb_state_store *store, tmb_kv *ret_kv)
{
    (void)pthread_mutex_lock(&store->lock);
    tmb_err err = mend(store);
    if (err != TMB_OK) {
        store->refused++;
        (void)pthread_mutex_unlock(&store->lock);
        return err;
    }
    tmb_batch_clear(store->batch); /* of this thread from here on */
    *ret_kv = (tmb_kv){store, kv_get, kv_seek, kv_put, kv_del};
    return TMB_OK;
}

tmb_err tmb_state_store_commit(tmb_state_store *store, bool is_synced)
{
    tmb_err err = TMB_OK;
    if (!tmb_batch_is_empty(store->batch)) {
        err = tmb_folder_space(store->path, store->reserve_bytes);
        if (err == TMB_OK) {
            err = tmb_batch_write(store->batch, is_synced);
            store->is_broken = err != TMB_OK && err != TMB_ENOMEM;
        }
        if (err == TMB_OK && store->is_settling)
            store->is_moved = false;
    }
    store->is_settling = false;
    tmb_batch_clear(store->batch);
    store->refused += err != TMB_OK;
    (void)pthread_mutex_unlock(&store->lock);
    return err;
}

void tmb_state_store_abort(tmb_state_store *store)
{
    store->is_settling = false;
    tmb_batch_clear(store->batch);
    (void)pthread_mutex_unlock(&store->lock);
}

uint64_t tmb_state_store_refused(tmb_state_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    uint64_t refused = store->refused;
    (void)pthread_mutex_unlock(&store->lock);
    return refused;
}

unsigned tmb_state_store_resets(tmb_state_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    unsigned resets = store->resets;
    (void)pthread_mutex_unlock(&store->lock);
    return resets;
}

void tmb_state_store_reserve_set(tmb_state_store *store, uint64_t bytes)
{
    (void)pthread_mutex_lock(&store->lock);
    store->reserve_bytes = bytes;
    (void)pthread_mutex_unlock(&store->lock);
}
