// SPDX-License-Identifier: Apache-2.0
/* syncd/state/keys.c - scope's name, 0, a byte that says of what, and the rest; numbers so that they sort.
 *
 * Keys of a scope lie together, and each kind of row in its order. A name has no byte below '-', so no
 * scope's keys lie among another's; keys that begin with a 0 are whose the store is.
 */
#include "syncd/state/inside.h"

static tmb_writer begin(const tmb_scope *scope, uint8_t *out, char row)
{
    tmb_writer w = tmb_writer_of(out, sizeof scope->room->key);
    tmb_put_bytes(&w, tmb_bytes_of(scope->name, scope->name_len));
    tmb_put_u8(&w, 0);
    tmb_put_u8(&w, (uint8_t)row);
    return w;
}

static tmb_bytes end(const uint8_t *out, const tmb_writer *w)
{
    TMB_ASSERT(!w->bad);
    return tmb_bytes_of(out, (size_t)(w->at - out));
}

static void put_seq(tmb_writer *w, uint64_t seq)
{
    for (unsigned shift = 64; shift > 0; shift -= 8)
        tmb_put_u8(w, (uint8_t)(seq >> (shift - 8)));
}

tmb_bytes tmb_scope_key(tmb_scope *scope, char row, tmb_bytes tail)
{
    tmb_writer w = begin(scope, scope->room->key, row);
    tmb_put_bytes(&w, tail);
    return end(scope->room->key, &w);
}

tmb_bytes tmb_scope_key_dot(tmb_scope *scope, char row, const tmb_dot *dot)
{
    tmb_writer w = begin(scope, scope->room->key, row);
    tmb_put_incarnation(&w, &dot->actor);
    put_seq(&w, dot->seq);
    return end(scope->room->key, &w);
}

tmb_bytes tmb_scope_key_seq(tmb_scope *scope, char row, uint64_t seq)
{
    tmb_writer w = begin(scope, scope->room->key, row);
    put_seq(&w, seq);
    return end(scope->room->key, &w);
}

tmb_err tmb_seq_read(tmb_bytes tail, uint64_t *ret)
{
    if (tail.len != 8)
        return TMB_ECORRUPT;
    uint64_t seq = 0;
    for (unsigned i = 0; i < 8; i++)
        seq = seq << 8 | tail.ptr[i];
    *ret = seq;
    return TMB_OK;
}

tmb_err tmb_dot_read(tmb_bytes tail, tmb_dot *ret)
{
    if (tail.len != TMB_DOT_KEY_BYTES)
        return TMB_ECORRUPT;
    memcpy(ret->actor.bytes, tail.ptr, TMB_INCARNATION_BYTES);
    return tmb_seq_read(tmb_bytes_of(tail.ptr + TMB_INCARNATION_BYTES, 8), &ret->seq);
}

tmb_err tmb_scope_seek(tmb_scope *scope, char row, tmb_bytes from, bool is_behind,
                       tmb_bytes *ret_tail, tmb_bytes *ret_value)
{
    TMB_ASSERT(scope->room);
    tmb_writer w = begin(scope, scope->room->from, row);
    size_t prefix = (size_t)(w.at - scope->room->from);
    tmb_put_bytes(&w, from);
    if (is_behind) /* a key's first follower is itself with a 0 behind it */
        tmb_put_u8(&w, 0);
    tmb_bytes key = {NULL, 0}, value = {NULL, 0};
    tmb_err err = scope->kv->seek(scope->kv->arg, end(scope->room->from, &w), &key,
                                  ret_value ? &value : NULL);
    if (err != TMB_OK)
        return err;
    if (!key.ptr || key.len < prefix || memcmp(key.ptr, scope->room->from, prefix) != 0)
        return TMB_ENOENT;
    *ret_tail = tmb_bytes_of(key.ptr + prefix, key.len - prefix);
    if (ret_value)
        *ret_value = value;
    return TMB_OK;
}

tmb_err tmb_scope_seek_dot(tmb_scope *scope, char row, const tmb_dot *from, tmb_dot *ret_dot,
                           tmb_bytes *ret_value)
{
    uint8_t tail[TMB_DOT_KEY_BYTES];
    tmb_writer w = tmb_writer_of(tail, sizeof tail);
    tmb_put_incarnation(&w, &from->actor);
    put_seq(&w, from->seq);
    tmb_bytes found;
    tmb_err err =
        tmb_scope_seek(scope, row, tmb_bytes_of(tail, sizeof tail), false, &found, ret_value);
    return err == TMB_OK ? tmb_dot_read(found, ret_dot) : err;
}

tmb_err tmb_row_begin(tmb_reader *r, tmb_bytes value)
{
    *r = tmb_reader_of(value);
    uint8_t version = tmb_get_u8(r);
    if (r->bad)
        return TMB_ECORRUPT;
    return version == TMB_ROW_VERSION ? TMB_OK : TMB_EVERSION;
}

tmb_incarnation tmb_get_incarnation(tmb_reader *r)
{
    tmb_incarnation incarnation = {{0}};
    tmb_bytes bytes = tmb_get_bytes(r, TMB_INCARNATION_BYTES);
    if (bytes.len == TMB_INCARNATION_BYTES)
        memcpy(incarnation.bytes, bytes.ptr, bytes.len);
    return incarnation;
}

void tmb_put_incarnation(tmb_writer *w, const tmb_incarnation *incarnation)
{
    tmb_put_bytes(w, tmb_bytes_of(incarnation->bytes, TMB_INCARNATION_BYTES));
}
