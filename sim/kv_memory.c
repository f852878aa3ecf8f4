// SPDX-License-Identifier: Apache-2.0
/* sim/kv_memory.c - a sorted array of rows, and beside it what each change that is not synced replaced. */
#include "sim/kv_memory.h"

#include <stdlib.h>

static int compare(const kv_memory_row *row, tmb_bytes key)
{
    size_t len = row->key_len < key.len ? row->key_len : key.len;
    int order = len > 0 ? memcmp(row->key, key.ptr, len) : 0;
    return order != 0 ? order : (row->key_len > key.len) - (row->key_len < key.len);
}

/* The place of the first row at or behind key. */
static size_t find(const kv_memory *disk, tmb_bytes key, bool *ret_is_there)
{
    size_t low = 0, high = disk->count;
    *ret_is_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(&disk->rows[middle], key);
        if (order == 0)
            *ret_is_there = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint8_t *join_of(tmb_bytes key, tmb_bytes value)
{
    uint8_t *block = malloc(key.len + value.len + 1);
    if (block == NULL)
        return NULL;
    if (key.len > 0)
        memcpy(block, key.ptr, key.len);
    if (value.len > 0)
        memcpy(block + key.len, value.ptr, value.len);
    return block;
}

static bool grow(void **array, size_t *cap, size_t count, size_t each)
{
    if (count < *cap)
        return true;
    size_t wanted = *cap > 0 ? *cap * 2 : 64;
    void *larger = realloc(*array, wanted * each);
    if (larger == NULL)
        return false;
    *array = larger;
    *cap = wanted;
    return true;
}

/* set without a note of what was there; value.ptr NULL and is_there false: remove. */
static tmb_err set(kv_memory *disk, tmb_bytes key, tmb_bytes value, bool is_there)
{
    bool was_there;
    size_t at = find(disk, key, &was_there);
    if (!is_there) {
        if (was_there) {
            free(disk->rows[at].key);
            memmove(&disk->rows[at], &disk->rows[at + 1],
                    (disk->count - at - 1) * sizeof *disk->rows);
            disk->count--;
        }
        return TMB_OK;
    }
    uint8_t *block = join_of(key, value);
    if (block == NULL)
        return TMB_ENOMEM;
    if (was_there) {
        free(disk->rows[at].key);
    } else {
        if (!grow((void **)&disk->rows, &disk->cap, disk->count, sizeof *disk->rows)) {
            free(block);
            return TMB_ENOMEM;
        }
        memmove(&disk->rows[at + 1], &disk->rows[at], (disk->count - at) * sizeof *disk->rows);
        disk->count++;
    }
    disk->rows[at] = (kv_memory_row){block, key.len, value.len};
    return TMB_OK;
}

static tmb_err note(kv_memory *disk, tmb_bytes key)
{
    bool was_there;
    size_t at = find(disk, key, &was_there);
    if (!grow((void **)&disk->undos, &disk->undos_cap, disk->undos_count, sizeof *disk->undos))
        return TMB_ENOMEM;
    const kv_memory_row *row = was_there ? &disk->rows[at] : NULL;
    tmb_bytes before =
        row ? tmb_bytes_of(row->key + row->key_len, row->value_len) : tmb_bytes_of(NULL, 0);
    kv_memory_undo undo = {join_of(key, before), key.len, before.len, was_there};
    if (undo.key == NULL)
        return TMB_ENOMEM;
    disk->undos[disk->undos_count++] = undo;
    return TMB_OK;
}

static void back_to(kv_memory *disk, size_t count)
{
    while (disk->undos_count > count) {
        kv_memory_undo *undo = &disk->undos[--disk->undos_count];
        tmb_err err =
            set(disk, tmb_bytes_of(undo->key, undo->key_len),
                tmb_bytes_of(undo->key + undo->key_len, undo->value_len), undo->was_there);
        TMB_ASSERT(err == TMB_OK);
        free(undo->key);
    }
    if (disk->committed > count)
        disk->committed = count;
}

static tmb_err disk_get(void *arg, tmb_bytes key, tmb_bytes *ret_value)
{
    kv_memory *disk = arg;
    bool is_there;
    size_t at = find(disk, key, &is_there);
    if (!is_there)
        return TMB_ENOENT;
    *ret_value =
        tmb_bytes_of(disk->rows[at].key + disk->rows[at].key_len, disk->rows[at].value_len);
    return TMB_OK;
}

static tmb_err disk_seek(void *arg, tmb_bytes from, tmb_bytes *ret_key, tmb_bytes *ret_value)
{
    kv_memory *disk = arg;
    bool is_there;
    size_t at = find(disk, from, &is_there);
    if (at == disk->count)
        return TMB_ENOENT;
    const kv_memory_row *row = &disk->rows[at];
    *ret_key = tmb_bytes_of(row->key, row->key_len);
    if (ret_value != NULL)
        *ret_value = tmb_bytes_of(row->key + row->key_len, row->value_len);
    return TMB_OK;
}

/* Key and value may lie in a row that goes away: note copies what is there before set frees it. */
static tmb_err disk_put(void *arg, tmb_bytes key, tmb_bytes value)
{
    kv_memory *disk = arg;
    if (disk->is_full) {
        disk->refused++;
        return TMB_ENOSPC;
    }
    tmb_err err = note(disk, key);
    return err == TMB_OK ? set(disk, key, value, true) : err;
}

static tmb_err disk_del(void *arg, tmb_bytes key)
{
    kv_memory *disk = arg;
    bool is_there;
    (void)find(disk, key, &is_there);
    if (!is_there)
        return TMB_OK;
    tmb_err err = note(disk, key);
    if (err != TMB_OK)
        return err;
    /* The key may be the row's own bytes: the copy in the note outlives it. */
    const kv_memory_undo *undo = &disk->undos[disk->undos_count - 1];
    return set(disk, tmb_bytes_of(undo->key, undo->key_len), tmb_bytes_of(NULL, 0), false);
}

tmb_kv kv_memory_port(kv_memory *disk)
{
    tmb_kv kv = {disk, disk_get, disk_seek, disk_put, disk_del};
    return kv;
}

void kv_memory_commit(kv_memory *disk, bool is_synced)
{
    if (is_synced) {
        for (size_t i = 0; i < disk->undos_count; i++)
            free(disk->undos[i].key);
        disk->undos_count = 0;
    }
    disk->committed = disk->undos_count;
}

void kv_memory_drop(kv_memory *disk)
{
    back_to(disk, disk->committed);
}

void kv_memory_cut(kv_memory *disk)
{
    back_to(disk, 0);
}

bool kv_memory_copy(kv_memory *to, const kv_memory *from)
{
    kv_memory_free(to);
    for (size_t i = 0; i < from->count; i++) {
        const kv_memory_row *row = &from->rows[i];
        if (set(to, tmb_bytes_of(row->key, row->key_len),
                tmb_bytes_of(row->key + row->key_len, row->value_len), true) != TMB_OK) {
            kv_memory_free(to);
            return false;
        }
    }
    return true;
}

void kv_memory_free(kv_memory *disk)
{
    for (size_t i = 0; i < disk->count; i++)
        free(disk->rows[i].key);
    for (size_t i = 0; i < disk->undos_count; i++)
        free(disk->undos[i].key);
    free(disk->rows);
    free(disk->undos);
    *disk = (kv_memory){0};
}
