// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_rows.c - see state_rows.h. */
#include "syncd/daemon/state_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <uv.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "syncd/state/op.h"

#define ROW_BYTES 32u
#define HAS_KEY   "has"
#define KEY_MAX   (2u + 8u + TMB_NAME_BYTES_MAX + 1u + TMB_PATH_BYTES_MAX)

/* Keys that begin with a 0 are none of a scope's (syncd/state/scope.h). */
static tmb_writer begin_key(uint8_t out[KEY_MAX], const char *name)
{
    tmb_writer w = tmb_writer_of(out, KEY_MAX);
    tmb_put_u8(&w, 0);
    tmb_put_bytes(&w, tmb_bytes_str(name));
    return w;
}

static tmb_bytes end_key(const uint8_t *out, const tmb_writer *w)
{
    return tmb_bytes_of(out, (size_t)(w->at - out));
}

static tmb_err get_row(const tmb_kv *kv, const char *name, uint8_t out[ROW_BYTES], size_t len)
{
    uint8_t key[KEY_MAX];
    tmb_bytes value = {NULL, 0};
    tmb_writer w = begin_key(key, name);
    tmb_err err = kv->get(kv->arg, end_key(key, &w), &value);
    if (err != TMB_OK)
        return err;
    if (value.len != len)
        return TMB_ECORRUPT;
    memcpy(out, value.ptr, len);
    return TMB_OK;
}

static tmb_err put_row(const tmb_kv *kv, const char *name, const uint8_t *bytes, size_t len)
{
    uint8_t key[KEY_MAX];
    tmb_writer w = begin_key(key, name);
    return kv->put(kv->arg, end_key(key, &w), tmb_bytes_of(bytes, len));
}

tmb_err tmb_floor_row_get(const tmb_kv *kv, tmb_hlc *ret)
{
    uint8_t bytes[ROW_BYTES];
    ret->u64 = 0;
    tmb_err err = get_row(kv, "clock", bytes, 8);
    if (err == TMB_OK) {
        tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, 8));
        ret->u64 = tmb_get_u64(&r);
    }
    return err == TMB_ENOENT ? TMB_OK : err;
}

tmb_err tmb_floor_row_put(const tmb_kv *kv, tmb_hlc floor)
{
    uint8_t bytes[ROW_BYTES];
    tmb_writer w = tmb_writer_of(bytes, sizeof bytes);
    tmb_put_u64(&w, floor.u64);
    return put_row(kv, "clock", bytes, 8);
}

tmb_err tmb_cursor_row_get(const tmb_kv *kv, tmb_cursor_row *ret)
{
    uint8_t bytes[ROW_BYTES];
    memset(ret, 0, sizeof *ret);
    tmb_err err = get_row(kv, "cursor", bytes, TMB_INCARNATION_BYTES + 8);
    if (err == TMB_ENOENT)
        return TMB_OK;
    if (err != TMB_OK)
        return err;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, sizeof bytes));
    memcpy(ret->incarnation.bytes, tmb_get_bytes(&r, TMB_INCARNATION_BYTES).ptr,
           TMB_INCARNATION_BYTES);
    ret->seq = tmb_get_u64(&r);
    return TMB_OK;
}

tmb_err tmb_cursor_row_put(const tmb_kv *kv, const tmb_cursor_row *row)
{
    uint8_t bytes[ROW_BYTES];
    tmb_writer w = tmb_writer_of(bytes, sizeof bytes);
    tmb_put_bytes(&w, tmb_bytes_of(row->incarnation.bytes, TMB_INCARNATION_BYTES));
    tmb_put_u64(&w, row->seq);
    return put_row(kv, "cursor", bytes, TMB_INCARNATION_BYTES + 8);
}

tmb_err tmb_values_row_get(const tmb_kv *kv, tmb_values_row *ret)
{
    uint8_t bytes[ROW_BYTES];
    memset(ret, 0, sizeof *ret);
    tmb_err err = get_row(kv, "mark", bytes, sizeof ret->tag + 9);
    if (err == TMB_ENOENT) {
        ret->is_sweep_due = true;
        return uv_random(NULL, NULL, ret->tag, sizeof ret->tag, 0, NULL) == 0 ? TMB_OK : TMB_EIO;
    }
    if (err != TMB_OK)
        return err;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, sizeof bytes));
    memcpy(ret->tag, tmb_get_bytes(&r, sizeof ret->tag).ptr, sizeof ret->tag);
    ret->counter = tmb_get_u64(&r);
    ret->is_sweep_due = tmb_get_u8(&r) != 0;
    return TMB_OK;
}

tmb_err tmb_values_row_put(const tmb_kv *kv, const tmb_values_row *row)
{
    uint8_t bytes[ROW_BYTES];
    tmb_writer w = tmb_writer_of(bytes, sizeof bytes);
    tmb_put_bytes(&w, tmb_bytes_of(row->tag, sizeof row->tag));
    tmb_put_u64(&w, row->counter);
    tmb_put_u8(&w, row->is_sweep_due);
    return put_row(kv, "mark", bytes, sizeof row->tag + 9);
}

/* Where values are published, and in which forms. */
static uint64_t print_of(const tmb_state_policy *policy)
{
    uint64_t print = policy->value_max << 1 | policy->protobuf;
    print = XXH3_64bits_withSeed(policy->root, strlen(policy->root), print);
    for (unsigned i = 0; i < policy->scopes.count; i++) {
        const char *text = policy->scopes.v[i].text;
        print = XXH3_64bits_withSeed(text, strlen(text), print);
    }
    return print;
}

void tmb_values_row_text(const tmb_values_row *row, const tmb_state_policy *policy, char *out,
                         size_t cap)
{
    uint64_t print = print_of(policy);
    size_t len = 0;
    for (size_t i = 0; i < sizeof row->tag && len + 3 < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, "%02x",
                                row->tag[i] ^ (unsigned)(print >> 8 * (i % 8) & 0xff));
    (void)snprintf(out + len, cap - len, " %" PRIu64, row->counter);
}

bool tmb_values_row_vouches(tmb_values_row *row, const tmb_state_policy *policy, const char *mark)
{
    for (unsigned more = 0; more < 2; more++) {
        char text[64];
        tmb_values_row next = *row;
        next.counter += more;
        tmb_values_row_text(&next, policy, text, sizeof text);
        if (strcmp(text, mark) == 0) {
            row->counter = next.counter;
            return true;
        }
    }
    return false;
}

static tmb_bytes has_key(tmb_bytes scope, tmb_bytes path, uint8_t out[KEY_MAX])
{
    tmb_writer w = begin_key(out, HAS_KEY);
    tmb_put_u8(&w, 0);
    tmb_put_bytes(&w, scope);
    tmb_put_u8(&w, 0);
    tmb_put_bytes(&w, path);
    return end_key(out, &w);
}

tmb_err tmb_values_had(const tmb_kv *kv, tmb_bytes scope, tmb_bytes path, unsigned *ret_bits)
{
    uint8_t key[KEY_MAX];
    tmb_bytes value = {NULL, 0};
    *ret_bits = 0;
    tmb_err err = kv->get(kv->arg, has_key(scope, path, key), &value);
    if (err == TMB_OK && value.len == 1)
        *ret_bits = value.ptr[0];
    return err == TMB_ENOENT ? TMB_OK : err;
}

tmb_err tmb_values_has(const tmb_kv *kv, tmb_bytes scope, tmb_bytes path, unsigned bits)
{
    uint8_t key[KEY_MAX], value = (uint8_t)bits;
    tmb_bytes at = has_key(scope, path, key);
    return bits == 0 ? kv->del(kv->arg, at) : kv->put(kv->arg, at, tmb_bytes_of(&value, 1));
}
