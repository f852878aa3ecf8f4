// SPDX-License-Identifier: Apache-2.0
/* sim/kv_memory.c - a skip list, and beside it what each change that is not synced replaced. */
#include "sim/kv_memory.h"

#include <stdlib.h>

struct kv_memory_row {
    uint8_t *value;
    size_t key_len, value_len;
    unsigned levels;
    kv_memory_row *next[]; /* levels of them, then the key */
};

/* How a key was before it was changed; value NULL: it was not there. */
struct kv_memory_undo {
    uint8_t *key, *value;
    size_t key_len, value_len;
};

static const uint8_t *key_of(const kv_memory_row *row)
{
    return (const uint8_t *)&row->next[row->levels];
}

static int key_cmp(const kv_memory_row *row, tmb_bytes key)
{
    size_t least = row->key_len < key.len ? row->key_len : key.len;
    int order = least > 0 ? memcmp(key_of(row), key.ptr, least) : 0;
    return order != 0 ? order : (row->key_len > key.len) - (row->key_len < key.len);
}

/* The first at or behind key; the link to it on each level goes to links (may be NULL). */
static kv_memory_row *find(kv_memory *disk, tmb_bytes key, kv_memory_row ***links)
{
    kv_memory_row **row = disk->heads;
    for (unsigned level = KV_MEMORY_LEVELS; level-- > 0;) {
        while (row[level] && key_cmp(row[level], key) < 0)
            row = row[level]->next;
        if (links)
            links[level] = &row[level];
    }
    return row[0];
}

static bool is_at(const kv_memory_row *row, tmb_bytes key)
{
    return row && key_cmp(row, key) == 0;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy && len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

static kv_memory_row *add_row(kv_memory *disk, tmb_bytes key, kv_memory_row ***links)
{
    unsigned levels = 1;
    for (uint64_t bits = tmb_rng_next(&disk->rng); levels < KV_MEMORY_LEVELS && bits % 4 == 0;
         bits /= 4)
        levels++;
    kv_memory_row *row = malloc(sizeof *row + levels * sizeof(void *) + key.len);
    if (!row)
        return NULL;
    *row = (kv_memory_row){.key_len = key.len, .levels = levels};
    for (unsigned level = 0; level < levels; level++) {
        row->next[level] = *links[level];
        *links[level] = row;
    }
    if (key.len > 0)
        memcpy((uint8_t *)&row->next[levels], key.ptr, key.len);
    disk->count++;
    disk->bytes += key.len;
    return row;
}

/* Key and value may lie in the row itself. */
static tmb_err set(kv_memory *disk, tmb_bytes key, tmb_bytes value)
{
    kv_memory_row **links[KV_MEMORY_LEVELS];
    kv_memory_row *row = find(disk, key, links);
    uint8_t *copy = copy_of(value.ptr, value.len);
    if (copy && !is_at(row, key))
        row = add_row(disk, key, links);
    if (!copy || !row) {
        free(copy);
        return TMB_ENOMEM;
    }
    disk->bytes += value.len - row->value_len;
    free(row->value);
    row->value = copy;
    row->value_len = value.len;
    return TMB_OK;
}

static void clear(kv_memory *disk, tmb_bytes key)
{
    kv_memory_row **links[KV_MEMORY_LEVELS];
    kv_memory_row *row = find(disk, key, links);
    if (!is_at(row, key))
        return;
    for (unsigned level = 0; level < row->levels; level++)
        *links[level] = row->next[level];
    disk->count--;
    disk->bytes -= row->key_len + row->value_len;
    free(row->value);
    free(row);
}

static bool grow(void **array, size_t *cap, size_t count, size_t each)
{
    if (count < *cap)
        return true;
    size_t wanted = *cap > 0 ? *cap * 2 : 64;
    void *larger = realloc(*array, wanted * each);
    if (!larger)
        return false;
    *array = larger;
    *cap = wanted;
    return true;
}

static tmb_err note(kv_memory *disk, tmb_bytes key)
{
    void *undos = disk->undos;
    if (!grow(&undos, &disk->undos_cap, disk->undos_count, sizeof *disk->undos))
        return TMB_ENOMEM;
    disk->undos = undos;
    const kv_memory_row *row = find(disk, key, NULL);
    bool was_there = is_at(row, key);
    kv_memory_undo undo = {.key = copy_of(key.ptr, key.len), .key_len = key.len};
    if (was_there) {
        undo.value = copy_of(row->value, row->value_len);
        undo.value_len = row->value_len;
    }
    if (!undo.key || (was_there && !undo.value)) {
        free(undo.key);
        free(undo.value);
        return TMB_ENOMEM;
    }
    disk->undos[disk->undos_count++] = undo;
    return TMB_OK;
}

static void free_undo(kv_memory_undo *undo)
{
    free(undo->key);
    free(undo->value);
}

static void back_to(kv_memory *disk, size_t count)
{
    while (disk->undos_count > count) {
        kv_memory_undo *undo = &disk->undos[--disk->undos_count];
        tmb_bytes key = tmb_bytes_of(undo->key, undo->key_len);
        if (undo->value)
            TMB_ASSERT(set(disk, key, tmb_bytes_of(undo->value, undo->value_len)) == TMB_OK);
        else
            clear(disk, key);
        free_undo(undo);
    }
    disk->committed = count;
}

/* Counts a call, and says whether it fails. */
static tmb_err enter(kv_memory *disk)
{
    disk->calls++;
    return disk->fail_at > 0 && disk->calls >= disk->fail_at ? disk->fail_err : TMB_OK;
}

static tmb_err disk_get(void *arg, tmb_bytes key, tmb_bytes *ret_value)
{
    kv_memory *disk = arg;
    tmb_err err = enter(disk);
    if (err != TMB_OK)
        return err;
    const kv_memory_row *row = find(disk, key, NULL);
    if (!is_at(row, key))
        return TMB_ENOENT;
    *ret_value = tmb_bytes_of(row->value, row->value_len);
    return TMB_OK;
}

static tmb_err disk_seek(void *arg, tmb_bytes from, tmb_bytes *ret_key, tmb_bytes *ret_value)
{
    kv_memory *disk = arg;
    tmb_err err = enter(disk);
    if (err != TMB_OK)
        return err;
    const kv_memory_row *row = find(disk, from, NULL);
    if (!row)
        return TMB_ENOENT;
    *ret_key = tmb_bytes_of(key_of(row), row->key_len);
    if (ret_value)
        *ret_value = tmb_bytes_of(row->value, row->value_len);
    return TMB_OK;
}

static tmb_err disk_put(void *arg, tmb_bytes key, tmb_bytes value)
{
    kv_memory *disk = arg;
    tmb_err err = enter(disk);
    if (err != TMB_OK)
        return err;
    if (disk->is_full) {
        disk->refused++;
        return TMB_ENOSPC;
    }
    err = note(disk, key);
    return err == TMB_OK ? set(disk, key, value) : err;
}

static tmb_err disk_del(void *arg, tmb_bytes key)
{
    kv_memory *disk = arg;
    tmb_err err = enter(disk);
    if (err != TMB_OK || !is_at(find(disk, key, NULL), key))
        return err;
    err = note(disk, key);
    if (err != TMB_OK)
        return err;
    /* The key may be the row's own bytes: the copy in the note outlives it. */
    const kv_memory_undo *undo = &disk->undos[disk->undos_count - 1];
    clear(disk, tmb_bytes_of(undo->key, undo->key_len));
    return TMB_OK;
}

tmb_kv kv_memory_port(kv_memory *disk)
{
    tmb_kv kv = {disk, disk_get, disk_seek, disk_put, disk_del};
    return kv;
}

void kv_memory_commit(kv_memory *disk, bool is_synced)
{
    void *marks = disk->marks;
    bool has_room = grow(&marks, &disk->marks_cap, disk->marks_count, sizeof *disk->marks);
    disk->marks = marks;
    if (is_synced) {
        while (disk->undos_count > 0)
            free_undo(&disk->undos[--disk->undos_count]);
        disk->marks_count = 0;
    } else if (has_room) { /* else it is lost with the commit before it */
        disk->marks[disk->marks_count++] = disk->undos_count;
    }
    disk->committed = disk->undos_count;
}

void kv_memory_drop(kv_memory *disk)
{
    back_to(disk, disk->committed);
}

void kv_memory_lose(kv_memory *disk, size_t kept)
{
    if (kept > disk->marks_count)
        kept = disk->marks_count;
    back_to(disk, kept > 0 ? disk->marks[kept - 1] : 0);
    disk->marks_count = kept;
}

void kv_memory_cut(kv_memory *disk)
{
    kv_memory_lose(disk, 0);
}

void kv_memory_fail(kv_memory *disk, uint64_t call, tmb_err err)
{
    disk->fail_at = call > 0 ? disk->calls + call : 0;
    disk->fail_err = err;
}

bool kv_memory_copy(kv_memory *to, const kv_memory *from)
{
    kv_memory_free(to);
    for (const kv_memory_row *row = from->heads[0]; row; row = row->next[0]) {
        if (set(to, tmb_bytes_of(key_of(row), row->key_len),
                tmb_bytes_of(row->value, row->value_len)) != TMB_OK) {
            kv_memory_free(to);
            return false;
        }
    }
    return true;
}

void kv_memory_free(kv_memory *disk)
{
    for (kv_memory_row *row = disk->heads[0], *next; row; row = next) {
        next = row->next[0];
        free(row->value);
        free(row);
    }
    while (disk->undos_count > 0)
        free_undo(&disk->undos[--disk->undos_count]);
    free(disk->undos);
    free(disk->marks);
    *disk = (kv_memory){0};
}
