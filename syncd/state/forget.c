// SPDX-License-Identifier: Apache-2.0
/* syncd/state/forget.c - what every active neighbour has acknowledged: removals, own past; and extra context
 * that the clock has come to cover.
 *
 * A removal that goes leaves its number in the floor: who comes with less is not told from the index alone.
 */
#include <limits.h>

#include "syncd/state/inside.h"

tmb_err tmb_scope_stable(tmb_scope *scope, tmb_context *ret_stable, uint64_t *ret_own)
{
    tmb_neighbour *neighbour = &scope->room->neighbour;
    tmb_bytes name = tmb_bytes_of(NULL, 0);
    uint64_t own = scope->last;
    tmb_err err = tmb_context_copy(ret_stable, &scope->clock);
    while (err == TMB_OK) {
        err = tmb_scope_neighbour_next(scope, name, &name, neighbour);
        if (err != TMB_OK)
            break;
        if (neighbour->state != TMB_MEMBER_ACTIVE)
            continue;
        if (neighbour->acked_own < own)
            own = neighbour->acked_own;
        unsigned kept = 0;
        for (unsigned i = 0; i < ret_stable->bases_count; i++) {
            tmb_base base = ret_stable->bases[i];
            uint64_t acked = tmb_context_base(&neighbour->acked, &base.actor);
            base.seq = acked < base.seq ? acked : base.seq;
            if (base.seq > 0)
                ret_stable->bases[kept++] = base;
        }
        ret_stable->bases_count = kept;
    }
    *ret_own = own;
    return err == TMB_ENOENT ? TMB_OK : err;
}

/* The dot is that of another leaf: two boxes have written under one name, and only one leaf of a dot is
 * found. Its entry stays; the removal is in no row any more. */
static tmb_err forget_row(tmb_scope *scope, const tmb_dot *dot)
{
    scope->removals -= scope->removals > 0;
    scope->is_changed = true;
    return tmb_scope_del(scope, tmb_scope_key_dot(scope, TMB_ROW_REMOVAL, dot));
}

/* Of a leaf that is empty, and ahead of the clock, it stays: what it removed may be beyond the clock, too,
 * and who came anew would hear of that by nothing else (of one with something in it the prints tell). */
static tmb_err forget_removal(tmb_scope *scope, const tmb_dot *dot, bool *ret_is_gone)
{
    tmb_scope_room *room = scope->room;
    uint8_t kept[TMB_LEAF_KEY_BYTES_MAX];
    tmb_bytes value, key;
    bool is_removal;
    *ret_is_gone = true;
    tmb_err err = tmb_scope_get(scope, tmb_scope_key_dot(scope, TMB_ROW_DOT, dot), &value);
    if (err == TMB_OK)
        err = tmb_dot_row_read(value, &is_removal, &key);
    if (err == TMB_ENOENT || (err == TMB_OK && !is_removal))
        return forget_row(scope, dot);
    if (err == TMB_OK && key.len > sizeof kept)
        err = TMB_ECORRUPT;
    if (err != TMB_OK)
        return err;
    memcpy(kept, key.ptr, key.len);
    key.ptr = kept;
    err = tmb_scope_record_get(scope, key, &room->before);
    if (err == TMB_OK)
        err = tmb_record_copy(&room->after, &room->before);
    if (err == TMB_OK && !tmb_record_drop_removal(&room->after, dot))
        return forget_row(scope, dot);
    if (err == TMB_OK && room->before.leaf.count == 0 &&
        !tmb_context_is_empty(&room->before.extra)) {
        *ret_is_gone = false;
        return TMB_OK;
    }
    if (err == TMB_OK)
        err = tmb_scope_record_set(scope, key, &room->before, &room->after);
    return err == TMB_OK ? tmb_context_add_run(&scope->floor, &dot->actor, 1, dot->seq) : err;
}

/* A neighbour may have filled the floor with others: then removals of those who are not in it stay. */
static bool has_floor(const tmb_scope *scope, const tmb_incarnation *actor)
{
    return scope->floor.bases_count < TMB_ACTORS_MAX || tmb_context_base(&scope->floor, actor) > 0;
}

static tmb_err forget_removals(tmb_scope *scope, const tmb_context *stable, unsigned max,
                               unsigned looks_max, unsigned *forgotten)
{
    unsigned looked = 0;
    for (unsigned i = 0; i < stable->bases_count; i++) {
        const tmb_base *base = &stable->bases[i];
        tmb_dot next = {base->actor, 1}, dot;
        bool is_gone = false;
        while (*forgotten < max && looked < looks_max && scope->removals > 0 &&
               next.seq <= base->seq && has_floor(scope, &base->actor)) {
            tmb_err err = tmb_scope_seek_dot(scope, TMB_ROW_REMOVAL, &next, &dot, NULL);
            bool is_over = err == TMB_OK &&
                           (!tmb_incarnation_eq(dot.actor, base->actor) || dot.seq > base->seq);
            if (err == TMB_ENOENT || is_over)
                break;
            if (err == TMB_OK)
                err = forget_removal(scope, &dot, &is_gone);
            if (err != TMB_OK)
                return err;
            looked++;
            *forgotten += is_gone;
            next.seq = dot.seq + 1;
        }
    }
    return TMB_OK;
}

/* One row of a leaf with extra context; the record that is read has none any more if the clock covers it. */
static tmb_err strip_leaf(tmb_scope *scope, tmb_bytes key, unsigned *stripped)
{
    tmb_scope_room *room = scope->room;
    tmb_err err = tmb_scope_record_get(scope, key, &room->before);
    if (err != TMB_OK || !tmb_context_is_empty(&room->before.extra))
        return err;
    ++*stripped;
    err = tmb_record_copy(&room->after, &room->before);
    return err == TMB_OK ? tmb_scope_record_set(scope, key, &room->before, &room->after) : err;
}

/* Where the last call stopped, so that leaves which wait long do not hide those behind them. */
static tmb_err strip_from(tmb_scope *scope, uint8_t *at, size_t *len)
{
    tmb_bytes value;
    tmb_reader r;
    *len = 0;
    tmb_err err =
        tmb_scope_get(scope, tmb_scope_key(scope, TMB_ROW_STRIP, tmb_bytes_of(NULL, 0)), &value);
    if (err != TMB_OK)
        return err == TMB_ENOENT ? TMB_OK : err;
    err = tmb_row_begin(&r, value);
    if (err != TMB_OK || tmb_reader_left(&r) > TMB_LEAF_KEY_BYTES_MAX)
        return TMB_ECORRUPT;
    *len = tmb_reader_left(&r);
    memcpy(at, r.at, *len);
    return TMB_OK;
}

static tmb_err strip_stop(tmb_scope *scope, const uint8_t *at, size_t len)
{
    uint8_t row[1 + TMB_LEAF_KEY_BYTES_MAX];
    tmb_bytes key = tmb_scope_key(scope, TMB_ROW_STRIP, tmb_bytes_of(NULL, 0));
    if (len == 0)
        return tmb_scope_del(scope, key);
    row[0] = TMB_ROW_VERSION;
    memcpy(row + 1, at, len);
    return tmb_scope_put(scope, key, tmb_bytes_of(row, 1 + len));
}

tmb_err tmb_scope_strip(tmb_scope *scope, unsigned leaves_max, unsigned *ret_stripped)
{
    uint8_t at[TMB_LEAF_KEY_BYTES_MAX];
    size_t len = 0;
    unsigned looked = 0, stripped = 0;
    uint64_t extras = scope->extras;
    tmb_err err = extras > 0 ? strip_from(scope, at, &len) : TMB_OK;
    bool began_inside = len > 0;
    while (err == TMB_OK && scope->extras > 0 && looked < leaves_max && looked < extras) {
        tmb_bytes tail;
        err = tmb_scope_seek(scope, TMB_ROW_EXTRA, tmb_bytes_of(at, len), len > 0, &tail, NULL);
        if (err == TMB_ENOENT) { /* the end: once more from the begin */
            err = TMB_OK;
            len = 0;
            if (!began_inside)
                break;
            began_inside = false;
            continue;
        }
        if (err == TMB_OK && tail.len > sizeof at)
            err = TMB_ECORRUPT;
        if (err != TMB_OK)
            break;
        memcpy(at, tail.ptr, tail.len);
        len = tail.len;
        looked++;
        err = strip_leaf(scope, tmb_bytes_of(at, len), &stripped);
    }
    if (err == TMB_OK && extras > 0)
        err = strip_stop(scope, at, scope->extras > 0 ? len : 0);
    *ret_stripped = stripped;
    return err;
}

static tmb_err forget(tmb_scope *scope, unsigned leaves_max, unsigned looks_max,
                      unsigned *ret_forgotten)
{
    unsigned forgotten = 0, stripped = 0, dropped = 0;
    uint64_t own = 0;
    tmb_context stable = tmb_context_of(scope->room->ground.bases, TMB_ACTORS_MAX, NULL, 0);
    tmb_err err = TMB_OK;
    if (scope->removals > 0 || scope->chains > 1) {
        err = tmb_scope_stable(scope, &stable, &own);
        if (err == TMB_OK)
            err = forget_removals(scope, &stable, leaves_max, looks_max, &forgotten);
        if (err == TMB_OK)
            err = tmb_scope_drop_past(scope, own < scope->saved_last ? own : scope->saved_last,
                                      leaves_max, &dropped);
    }
    if (err == TMB_OK && forgotten < leaves_max)
        err = tmb_scope_strip(scope, leaves_max - forgotten, &stripped);
    if (err == TMB_OK)
        *ret_forgotten = forgotten + stripped;
    return err;
}

tmb_err tmb_scope_forget(tmb_scope *scope, unsigned leaves_max, unsigned *ret_forgotten)
{
    return forget(scope, leaves_max, UINT_MAX, ret_forgotten);
}

tmb_err tmb_scope_forget_first(tmb_scope *scope, unsigned looks_max, unsigned *ret_forgotten)
{
    return forget(scope, looks_max, looks_max, ret_forgotten);
}
