// SPDX-License-Identifier: Apache-2.0
/* syncd/state/scope.c - the scope's own row, read at the begin of a transaction and written at its end. */
#include "syncd/state/scope.h"

#include "syncd/state/inside.h"

static tmb_err read_numbers(tmb_scope *scope, tmb_reader *r)
{
    scope->self = tmb_get_incarnation(r);
    scope->last = tmb_get_varint(r);
    tmb_bytes chain = tmb_get_bytes(r, TMB_STATE_CHAIN_BYTES);
    scope->exposed = tmb_get_varint(r);
    scope->kept_chain = tmb_get_varint(r);
    scope->chains = tmb_get_varint(r);
    scope->fingerprint.leaves = tmb_get_varint(r);
    tmb_bytes sum = tmb_get_bytes(r, TMB_FINGERPRINT_BYTES);
    scope->removals = tmb_get_varint(r);
    scope->extras = tmb_get_varint(r);
    scope->dirty_last = tmb_get_varint(r);
    scope->callers = tmb_get_varint(r);
    scope->calls = tmb_get_varint(r);
    if (r->bad || !chain.ptr || !sum.ptr)
        return TMB_ECORRUPT;
    memcpy(scope->chain, chain.ptr, sizeof scope->chain);
    memcpy(scope->fingerprint.sum, sum.ptr, sizeof scope->fingerprint.sum);
    scope->saved_last = scope->last;
    return TMB_OK;
}

static tmb_err read_row(tmb_scope *scope, tmb_bytes value)
{
    tmb_reader r;
    tmb_err err = tmb_row_begin(&r, value);
    if (err == TMB_OK)
        err = read_numbers(scope, &r);
    if (err == TMB_OK)
        err = tmb_context_get(&r, &scope->clock);
    if (err == TMB_OK)
        err = tmb_context_get(&r, &scope->floor);
    if (err == TMB_ELIMIT || (err == TMB_OK && tmb_reader_left(&r) > 0))
        err = TMB_ECORRUPT;
    return err;
}

tmb_err tmb_scope_load(tmb_scope *scope, const tmb_kv *kv, tmb_scope_room *room, tmb_bytes name,
                       tmb_incarnation fresh)
{
    if (name.len == 0 || name.len > TMB_NAME_BYTES_MAX || memchr(name.ptr, 0, name.len))
        return TMB_EINVAL;
    *scope = (tmb_scope){.kv = kv, .room = room, .name_len = name.len, .self = fresh};
    memcpy(scope->name, name.ptr, name.len);
    scope->clock = tmb_context_of(scope->clock_bases, TMB_ACTORS_MAX, NULL, 0);
    scope->floor = tmb_context_of(scope->floor_bases, TMB_ACTORS_MAX, NULL, 0);
    tmb_bytes value;
    tmb_err err =
        tmb_scope_get(scope, tmb_scope_key(scope, TMB_ROW_SCOPE, tmb_bytes_of(NULL, 0)), &value);
    if (err == TMB_ENOENT) {
        scope->is_new = scope->is_changed = true;
        return TMB_OK;
    }
    return err == TMB_OK ? read_row(scope, value) : err;
}

tmb_err tmb_scope_save(tmb_scope *scope)
{
    if (!scope->is_changed)
        return TMB_OK;
    tmb_err err = tmb_scope_note_chain(scope);
    if (err != TMB_OK)
        return err;
    tmb_writer w = tmb_writer_of(scope->room->small, sizeof scope->room->small);
    tmb_put_u8(&w, TMB_ROW_VERSION);
    tmb_put_incarnation(&w, &scope->self);
    tmb_put_varint(&w, scope->last);
    tmb_put_bytes(&w, tmb_bytes_of(scope->chain, sizeof scope->chain));
    tmb_put_varint(&w, scope->exposed);
    tmb_put_varint(&w, scope->kept_chain);
    tmb_put_varint(&w, scope->chains);
    tmb_put_varint(&w, scope->fingerprint.leaves);
    tmb_put_bytes(&w, tmb_bytes_of(scope->fingerprint.sum, sizeof scope->fingerprint.sum));
    tmb_put_varint(&w, scope->removals);
    tmb_put_varint(&w, scope->extras);
    tmb_put_varint(&w, scope->dirty_last);
    tmb_put_varint(&w, scope->callers);
    tmb_put_varint(&w, scope->calls);
    tmb_context_put(&w, &scope->clock);
    tmb_context_put(&w, &scope->floor);
    TMB_ASSERT(!w.bad);
    err = tmb_scope_put(scope, tmb_scope_key(scope, TMB_ROW_SCOPE, tmb_bytes_of(NULL, 0)),
                        tmb_bytes_of(scope->room->small, (size_t)(w.at - scope->room->small)));
    if (err == TMB_OK) {
        scope->is_changed = scope->is_new = false;
        scope->saved_last = scope->last;
        scope->dirty_len = 0;
    }
    return err;
}

void tmb_scope_start(tmb_scope *scope)
{
    if (scope->exposed != scope->last)
        scope->is_changed = true;
    scope->exposed = scope->last;
}

tmb_err tmb_scopes_next(const tmb_kv *kv, tmb_bytes after, tmb_bytes *ret_name)
{
    /* Behind all keys of after: the byte that follows its 0. None: behind those that are the store's own. */
    uint8_t from[TMB_NAME_BYTES_MAX + 1];
    if (after.len > TMB_NAME_BYTES_MAX)
        return TMB_EINVAL;
    if (after.len > 0)
        memcpy(from, after.ptr, after.len);
    from[after.len] = 1;
    tmb_bytes key;
    tmb_err err = kv->seek(kv->arg, tmb_bytes_of(from, after.len + 1), &key, NULL);
    if (err != TMB_OK)
        return err;
    const uint8_t *stop = memchr(key.ptr, 0, key.len);
    if (!stop || stop == key.ptr || stop - key.ptr > TMB_NAME_BYTES_MAX)
        return TMB_ECORRUPT;
    *ret_name = tmb_bytes_of(key.ptr, (size_t)(stop - key.ptr));
    return TMB_OK;
}
