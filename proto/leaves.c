// SPDX-License-Identifier: Apache-2.0
/* proto/leaves.c - leaves to bytes and back; all that comes from outside is looked at here, so that the join
 * behind it may take it as it is. */
#include "proto/leaves.h"

#include "base/varint.h"

size_t tmb_leaf_key_write(const tmb_leaf_key *key, uint8_t *out)
{
    if (key->path.len > 0)
        memcpy(out, key->path.ptr, key->path.len);
    out[key->path.len] = 0;
    out[key->path.len + 1] = (uint8_t)key->type;
    if (key->elem.len > 0)
        memcpy(out + key->path.len + 2, key->elem.ptr, key->elem.len);
    return key->path.len + 2 + key->elem.len;
}

/* Levels between slashes, none of them empty; no wildcards, for a value is published at its path. */
static bool is_path(tmb_bytes path)
{
    size_t level = 0;
    unsigned levels = 1;
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] == '+' || path.ptr[i] == '#')
            return false;
        if (path.ptr[i] != '/') {
            level++;
            continue;
        }
        if (level == 0)
            return false;
        level = 0;
        levels++;
    }
    return level > 0 && levels <= TMB_LEAF_PATH_LEVELS_MAX && tmb_utf8_is_valid(path);
}

tmb_err tmb_leaf_key_read(tmb_bytes bytes, tmb_leaf_key *ret)
{
    const uint8_t *zero = bytes.len > 0 ? memchr(bytes.ptr, 0, bytes.len) : NULL;
    if (!zero || zero + 1 == bytes.ptr + bytes.len)
        return TMB_ECORRUPT;
    size_t path_len = (size_t)(zero - bytes.ptr);
    unsigned type = zero[1];
    size_t elem_len = bytes.len - path_len - 2;
    bool is_known = type > TMB_TYPE_NONE && type < TMB_TYPES;
    if (!is_known || path_len > TMB_LEAF_PATH_BYTES_MAX || elem_len > TMB_LEAF_ELEM_BYTES_MAX ||
        (elem_len > 0 && !tmb_type_is_set((tmb_type)type)) ||
        !is_path(tmb_bytes_of(bytes.ptr, path_len)))
        return TMB_ECORRUPT;
    ret->path = tmb_bytes_of(bytes.ptr, path_len);
    ret->type = (tmb_type)type;
    ret->elem = tmb_bytes_of(zero + 2, elem_len);
    return TMB_OK;
}

tmb_err tmb_actors_number(tmb_actors *actors, const tmb_incarnation *actor, unsigned *ret_number)
{
    unsigned i = 0;
    while (i < actors->count && !tmb_incarnation_eq(actors->actors[i], *actor))
        i++;
    if (i == TMB_ACTORS_MAX)
        return TMB_ELIMIT;
    if (i == actors->count)
        actors->actors[actors->count++] = *actor;
    *ret_number = i;
    return TMB_OK;
}

/* Writes a dot; an actor that is one too many makes w bad. */
static void put_actor(tmb_writer *w, tmb_actors *actors, const tmb_incarnation *actor,
                      bool *is_full)
{
    unsigned number = 0;
    if (tmb_actors_number(actors, actor, &number) != TMB_OK)
        *is_full = true;
    tmb_put_varint(w, number);
}

static void put_extra(tmb_writer *w, tmb_actors *actors, const tmb_context *extra, bool *is_full)
{
    tmb_put_varint(w, extra ? extra->bases_count : 0);
    tmb_put_varint(w, extra ? extra->runs_count : 0);
    for (unsigned i = 0; extra && i < extra->bases_count; i++) {
        put_actor(w, actors, &extra->bases[i].actor, is_full);
        tmb_put_varint(w, extra->bases[i].seq);
    }
    for (unsigned i = 0; extra && i < extra->runs_count; i++) {
        put_actor(w, actors, &extra->runs[i].actor, is_full);
        tmb_put_varint(w, extra->runs[i].first);
        tmb_put_varint(w, extra->runs[i].last);
    }
}

tmb_err tmb_leaves_put(tmb_writer *w, tmb_leaves_state *state, tmb_actors *actors,
                       const tmb_leaf_item *item)
{
    uint8_t key[TMB_LEAF_KEY_BYTES_MAX];
    size_t len = tmb_leaf_key_write(&item->key, key), shared = 0;
    unsigned actors_before = actors->count;
    tmb_writer at = *w;
    bool is_full = false;
    while (shared < len && shared < state->key_len && key[shared] == state->key[shared])
        shared++;
    tmb_put_varint(&at, shared);
    tmb_put_slice(&at, tmb_bytes_of(key + shared, len - shared));
    tmb_put_varint(&at, item->leaf.count);
    for (unsigned i = 0; i < item->leaf.count; i++) {
        put_actor(&at, actors, &item->leaf.entries[i].dot.actor, &is_full);
        tmb_put_varint(&at, item->leaf.entries[i].dot.seq);
        tmb_put_slice(&at, item->leaf.entries[i].value);
    }
    tmb_put_varint(&at, item->removals_count);
    for (unsigned i = 0; i < item->removals_count; i++) {
        put_actor(&at, actors, &item->removals[i].actor, &is_full);
        tmb_put_varint(&at, item->removals[i].seq);
    }
    put_extra(&at, actors, item->extra, &is_full);
    if (at.bad || is_full) {
        actors->count = actors_before;
        w->bad = true;
        return TMB_ELIMIT;
    }
    memcpy(state->key, key, len);
    state->key_len = len;
    *w = at;
    return TMB_OK;
}

static bool get_actor(tmb_reader *r, const tmb_actors *actors, tmb_incarnation *ret)
{
    uint64_t number = tmb_get_varint(r);
    if (r->bad || number >= actors->count)
        return false;
    *ret = actors->actors[number];
    return true;
}

static bool get_dot(tmb_reader *r, const tmb_actors *actors, tmb_dot *ret)
{
    if (!get_actor(r, actors, &ret->actor))
        return false;
    ret->seq = tmb_get_varint(r);
    return !r->bad && ret->seq > 0 && ret->seq <= TMB_SEQ_MAX;
}

static tmb_err get_entries(tmb_reader *r, const tmb_actors *actors, tmb_leaf_item *item)
{
    uint64_t count = tmb_get_varint(r);
    item->leaf.count = 0;
    if (r->bad)
        return TMB_ECORRUPT;
    if (count > TMB_SIBLINGS_MAX)
        return TMB_ELIMIT;
    for (uint64_t i = 0; i < count; i++) {
        tmb_entry *entry = &item->leaf.entries[i];
        if (!get_dot(r, actors, &entry->dot))
            return TMB_ECORRUPT;
        entry->value = tmb_get_slice(r);
        if (r->bad || (i > 0 && tmb_dot_cmp(&entry[-1].dot, &entry->dot) >= 0) ||
            !tmb_type_is_value_valid(item->key.type, entry->value))
            return TMB_ECORRUPT;
        item->leaf.count++;
    }
    return TMB_OK;
}

static tmb_err get_removals(tmb_reader *r, const tmb_actors *actors, tmb_leaf_item *item)
{
    uint64_t count = tmb_get_varint(r);
    item->removals_count = 0;
    if (r->bad)
        return TMB_ECORRUPT;
    if (count > TMB_SIBLINGS_MAX)
        return TMB_ELIMIT;
    for (uint64_t i = 0; i < count; i++) {
        tmb_dot *dot = &item->removals[i];
        if (!get_dot(r, actors, dot))
            return TMB_ECORRUPT;
        if ((i > 0 && tmb_dot_cmp(&dot[-1], dot) >= 0) || tmb_leaf_find(&item->leaf, dot))
            return TMB_ECORRUPT;
        item->removals_count++;
    }
    return TMB_OK;
}

/* The one form of a context: what add makes of its parts is what was said. */
static tmb_err get_extra(tmb_reader *r, const tmb_actors *actors, tmb_leaves_state *state,
                         tmb_leaf_item *item)
{
    uint64_t bases = tmb_get_varint(r), runs = tmb_get_varint(r);
    state->extra = tmb_context_in(&state->extra_room);
    item->extra = NULL;
    if (r->bad)
        return TMB_ECORRUPT;
    if (bases > TMB_ACTORS_MAX || runs > TMB_RUNS_MAX)
        return TMB_ELIMIT;
    for (uint64_t i = 0; i < bases + runs; i++) {
        tmb_incarnation actor;
        bool is_known = get_actor(r, actors, &actor);
        uint64_t first = i < bases ? 1 : tmb_get_varint(r), last = tmb_get_varint(r);
        if (!is_known || r->bad)
            return TMB_ECORRUPT;
        tmb_err err = tmb_context_add_run(&state->extra, &actor, first, last);
        if (err)
            return err == TMB_ELIMIT ? TMB_ELIMIT : TMB_ECORRUPT;
    }
    if (state->extra.bases_count != bases || state->extra.runs_count != runs)
        return TMB_ECORRUPT;
    if (bases + runs > 0)
        item->extra = &state->extra;
    return TMB_OK;
}

tmb_err tmb_leaves_get(tmb_reader *r, tmb_leaves_state *state, const tmb_actors *actors,
                       tmb_leaf_item *ret)
{
    if (!r->bad && tmb_reader_left(r) == 0)
        return TMB_EAGAIN;
    uint64_t shared = tmb_get_varint(r);
    tmb_bytes rest = tmb_get_slice(r);
    if (r->bad || shared > state->key_len || rest.len > TMB_LEAF_KEY_BYTES_MAX - shared)
        return TMB_ECORRUPT;
    if (rest.len > 0)
        memcpy(state->key + shared, rest.ptr, rest.len);
    state->key_len = (size_t)shared + rest.len;
    tmb_err err = tmb_leaf_key_read(tmb_bytes_of(state->key, state->key_len), &ret->key);
    if (!err)
        err = get_entries(r, actors, ret);
    if (!err)
        err = get_removals(r, actors, ret);
    if (!err)
        err = get_extra(r, actors, state, ret);
    return err;
}
