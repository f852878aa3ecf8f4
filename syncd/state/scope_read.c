// SPDX-License-Identifier: Apache-2.0
/* syncd/state/scope_read.c - leaves in their order, tokens, and the paths that somebody has to publish.
 *
 * A path's own leaves come first, then what is below it; in between, in the order of keys, may lie paths that
 * only begin alike ("a-b" lies between "a" and "a/b").
 */
#include "syncd/state/inside.h"

tmb_err tmb_scope_leaf(tmb_scope *scope, const tmb_leaf_key *key, tmb_leaf *ret_leaf)
{
    size_t len = tmb_leaf_key_write(key, scope->room->leaf_key);
    tmb_err err =
        tmb_scope_record_get(scope, tmb_bytes_of(scope->room->leaf_key, len), &scope->room->before);
    if (err != TMB_OK)
        return err;
    ret_leaf->count = scope->room->before.leaf.count;
    memcpy(ret_leaf->entries, scope->room->before.leaf.entries,
           ret_leaf->count * sizeof *ret_leaf->entries);
    return TMB_OK;
}

/* Where a key lies, seen from a path: before what is below it, at it, below it, or behind. */
typedef enum where { AT, BETWEEN, BELOW, BEHIND } where;

static where place(tmb_bytes key, tmb_bytes path)
{
    if (path.len == 0)
        return AT;
    if (key.len <= path.len || memcmp(key.ptr, path.ptr, path.len) != 0)
        return BEHIND; /* a seek from path never gives what lies before it */
    uint8_t next = key.ptr[path.len];
    return next == 0 ? AT : next < '/' ? BETWEEN : next == '/' ? BELOW : BEHIND;
}

/* The first leaf at or behind the len bytes in room->leaf_key, within path; what is found goes there. */
static tmb_err next_leaf(tmb_scope *scope, tmb_bytes path, size_t len, bool is_behind,
                         tmb_bytes *ret_key, tmb_leaf_record *record)
{
    uint8_t *at = scope->room->leaf_key;
    for (;;) {
        tmb_bytes tail, value;
        tmb_err err =
            tmb_scope_seek(scope, TMB_ROW_LEAF, tmb_bytes_of(at, len), is_behind, &tail, &value);
        if (err != TMB_OK)
            return err;
        if (tail.len > sizeof scope->room->leaf_key)
            return TMB_ECORRUPT;
        where lies = place(tail, path);
        if (lies == BEHIND)
            return TMB_ENOENT;
        if (lies == BETWEEN) { /* on to path/ */
            memcpy(at, path.ptr, path.len);
            at[path.len] = '/';
            len = path.len + 1;
            is_behind = false;
            continue;
        }
        memcpy(at, tail.ptr, tail.len);
        len = tail.len;
        is_behind = true;
        err = tmb_scope_record_get(scope, tmb_bytes_of(at, len), record);
        if (err != TMB_OK)
            return err;
        if (record->leaf.count == 0)
            continue; /* only a removal, or context */
        *ret_key = tmb_bytes_of(at, len);
        return TMB_OK;
    }
}

tmb_err tmb_scope_next(tmb_scope *scope, tmb_bytes path, const tmb_leaf_key *after,
                       tmb_leaf_key *ret_key, tmb_leaf *ret_leaf)
{
    uint8_t first[TMB_LEAF_KEY_BYTES_MAX];
    size_t len = path.len;
    if (path.len > TMB_PATH_BYTES_MAX)
        return TMB_EINVAL;
    if (after) /* what it points to may be what is written over */
        len = tmb_leaf_key_write(after, first);
    else if (len > 0)
        memcpy(first, path.ptr, len);
    memcpy(scope->room->leaf_key, first, len);
    tmb_bytes key;
    tmb_err err = next_leaf(scope, path, len, after != NULL, &key, &scope->room->before);
    if (err == TMB_OK)
        err = tmb_leaf_key_read(key, ret_key);
    if (err != TMB_OK)
        return err;
    ret_leaf->count = scope->room->before.leaf.count;
    memcpy(ret_leaf->entries, scope->room->before.leaf.entries,
           ret_leaf->count * sizeof *ret_leaf->entries);
    return TMB_OK;
}

tmb_err tmb_scope_hash_path(tmb_scope *scope, tmb_bytes path, uint64_t *ret_hash)
{
    tmb_fingerprint sum = {.leaves = 0};
    tmb_leaf_record *record = &scope->room->before;
    size_t len = path.len;
    memcpy(scope->room->leaf_key, path.ptr, len);
    tmb_err err;
    for (bool is_behind = false;; is_behind = true) {
        tmb_bytes key;
        uint8_t print[TMB_FINGERPRINT_BYTES];
        err = next_leaf(scope, path, len, is_behind, &key, record);
        if (err != TMB_OK)
            break;
        tmb_leaf_print(key, record->body, print);
        tmb_fingerprint_add(&sum, print);
        len = key.len;
    }
    uint64_t hash = tmb_hash_u64(tmb_bytes_of(sum.sum, sizeof sum.sum));
    *ret_hash = hash > 0 ? hash : 1;
    return err == TMB_ENOENT ? TMB_OK : err;
}

tmb_err tmb_scope_token(tmb_scope *scope, tmb_bytes path, uint8_t *out, size_t cap, size_t *ret_len)
{
    uint64_t hash = 0;
    tmb_err err = path.len > TMB_PATH_BYTES_MAX ? TMB_EINVAL : TMB_OK;
    if (err == TMB_OK && path.len > 0)
        err = tmb_scope_hash_path(scope, path, &hash);
    if (err != TMB_OK)
        return err;
    tmb_writer w = tmb_writer_of(out, cap);
    tmb_put_u8(&w, TMB_TOKEN_VERSION);
    tmb_put_u64(&w, hash);
    tmb_context_put(&w, &scope->clock);
    if (w.bad)
        return TMB_ELIMIT;
    *ret_len = (size_t)(w.at - out);
    return TMB_OK;
}

tmb_err tmb_scope_dirty(tmb_scope *scope, tmb_bytes path)
{
    tmb_scope_room *room = scope->room;
    if (scope->dirty_len == path.len && memcmp(room->dirty_path, path.ptr, path.len) == 0)
        return TMB_OK; /* as the elements of one set come, one behind the other */
    uint8_t row[1 + TMB_VARINT_BYTES_MAX];
    tmb_writer w = tmb_writer_of(row, sizeof row);
    tmb_put_u8(&w, TMB_ROW_VERSION);
    tmb_put_varint(&w, ++scope->dirty_last);
    scope->is_changed = true;
    tmb_err err = tmb_scope_put(scope, tmb_scope_key(scope, TMB_ROW_PATH, path),
                                tmb_bytes_of(row, (size_t)(w.at - row)));
    if (err == TMB_OK && path.len <= sizeof room->dirty_path) {
        memcpy(room->dirty_path, path.ptr, path.len);
        scope->dirty_len = path.len;
    }
    return err;
}

static tmb_err read_number(tmb_bytes value, uint64_t *ret_number)
{
    tmb_reader r;
    tmb_err err = tmb_row_begin(&r, value);
    if (err == TMB_OK)
        *ret_number = tmb_get_varint(&r);
    return err == TMB_OK && r.bad ? TMB_ECORRUPT : err;
}

tmb_err tmb_scope_dirty_next(tmb_scope *scope, tmb_bytes after, tmb_bytes *ret_path,
                             uint64_t *ret_number)
{
    tmb_bytes value;
    tmb_err err = tmb_scope_seek(scope, TMB_ROW_PATH, after, after.len > 0, ret_path, &value);
    return err == TMB_OK ? read_number(value, ret_number) : err;
}

tmb_err tmb_scope_dirty_done(tmb_scope *scope, tmb_bytes path, uint64_t number)
{
    uint64_t now = 0;
    tmb_bytes value, key = tmb_scope_key(scope, TMB_ROW_PATH, path);
    tmb_err err = tmb_scope_get(scope, key, &value);
    if (err == TMB_ENOENT)
        return TMB_OK;
    if (err == TMB_OK)
        err = read_number(value, &now);
    if (err != TMB_OK || now != number)
        return err;
    scope->dirty_len = 0;
    return tmb_scope_del(scope, key);
}

tmb_err tmb_scope_dirty_all(tmb_scope *scope)
{
    tmb_bytes key, none = tmb_bytes_of(NULL, 0);
    size_t len = 0;
    for (bool is_behind = false;; is_behind = true) {
        tmb_leaf_key parts;
        tmb_err err = next_leaf(scope, none, len, is_behind, &key, &scope->room->before);
        if (err == TMB_ENOENT)
            return TMB_OK;
        if (err == TMB_OK)
            err = tmb_leaf_key_read(key, &parts);
        if (err == TMB_OK)
            err = tmb_scope_dirty(scope, parts.path);
        if (err != TMB_OK)
            return err;
        len = key.len;
    }
}

tmb_err tmb_scope_print_next(tmb_scope *scope, tmb_bytes first, tmb_bytes end, tmb_bytes *ret_key,
                             uint8_t ret_print[TMB_FINGERPRINT_BYTES])
{
    tmb_bytes key, none = tmb_bytes_of(NULL, 0);
    if (first.len > sizeof scope->room->leaf_key)
        return TMB_EINVAL;
    if (first.len > 0)
        memmove(scope->room->leaf_key, first.ptr, first.len);
    tmb_err err = next_leaf(scope, none, first.len, false, &key, &scope->room->before);
    if (err != TMB_OK)
        return err;
    size_t least = key.len < end.len ? key.len : end.len;
    int order = end.len > 0 ? memcmp(key.ptr, end.ptr, least) : -1;
    if (order > 0 || (order == 0 && key.len >= end.len))
        return TMB_ENOENT;
    tmb_leaf_print(key, scope->room->before.body, ret_print);
    *ret_key = key;
    return TMB_OK;
}

tmb_err tmb_scope_range(tmb_scope *scope, tmb_bytes first, tmb_bytes end, tmb_fingerprint *ret)
{
    tmb_fingerprint sum = {.leaves = 0};
    uint8_t next[TMB_LEAF_KEY_BYTES_MAX + 1];
    if (first.len > TMB_LEAF_KEY_BYTES_MAX)
        return TMB_EINVAL;
    size_t len = first.len;
    if (len > 0)
        memcpy(next, first.ptr, len);
    for (;;) {
        tmb_bytes key;
        uint8_t print[TMB_FINGERPRINT_BYTES];
        tmb_err err = tmb_scope_print_next(scope, tmb_bytes_of(next, len), end, &key, print);
        if (err == TMB_ENOENT)
            break;
        if (err != TMB_OK)
            return err;
        tmb_fingerprint_add(&sum, print);
        memcpy(next, key.ptr, key.len);
        next[key.len] = 0; /* right behind it */
        len = key.len + 1;
    }
    *ret = sum;
    return TMB_OK;
}
