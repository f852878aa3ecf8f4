// SPDX-License-Identifier: Apache-2.0
/* syncd/state/scope_scan.c - a chunk: the leaves of the dots that somebody lacks, as they are now.
 *
 *   from A:4 B:7   clock A:9 B:7 C:2   index A:5 A:8 . C:1      to A:8 (cut), then A:9 B:7 C:2: complete
 *
 * A leaf with several such dots is sent at the first of them that the chunk meets; which is told from the
 * leaf itself, so nothing has to be remembered of those sent before.
 */
#include "syncd/state/inside.h"

typedef struct scan {
    tmb_scope *scope;
    const tmb_context *from;
    size_t bytes_max;
    tmb_actors *actors;
    tmb_writer w;
    uint8_t *out;
    tmb_chunk chunk;
} scan;

bool tmb_scope_is_below_floor(const tmb_scope *scope, const tmb_context *seen)
{
    for (unsigned i = 0; i < scope->floor.bases_count; i++) {
        const tmb_base *floor = &scope->floor.bases[i];
        uint64_t own = tmb_context_base(&scope->clock, &floor->actor);
        if (tmb_context_base(seen, &floor->actor) < (own < floor->seq ? own : floor->seq))
            return true;
    }
    return false;
}

static bool is_due(const scan *at, const tmb_dot *dot)
{
    return !tmb_context_has(at->from, dot) && tmb_context_has(&at->scope->clock, dot);
}

/* Whether dot is the first of the record's that is due. */
static bool is_first(const scan *at, const tmb_leaf_record *record, const tmb_dot *dot)
{
    for (unsigned i = 0; i < record->leaf.count; i++)
        if (tmb_dot_cmp(&record->leaf.entries[i].dot, dot) < 0 &&
            is_due(at, &record->leaf.entries[i].dot))
            return false;
    for (unsigned i = 0; i < record->removals_count; i++)
        if (tmb_dot_cmp(&record->removals[i], dot) < 0 && is_due(at, &record->removals[i]))
            return false;
    return true;
}

static tmb_err make_item(tmb_leaf_record *record, tmb_bytes key, tmb_leaf_item *ret)
{
    tmb_err err = tmb_leaf_key_read(key, &ret->key);
    if (err != TMB_OK)
        return err;
    ret->leaf.count = record->leaf.count;
    memcpy(ret->leaf.entries, record->leaf.entries,
           record->leaf.count * sizeof *record->leaf.entries);
    ret->removals_count = record->removals_count;
    memcpy(ret->removals, record->removals, record->removals_count * sizeof *record->removals);
    ret->extra = tmb_context_is_empty(&record->extra) ? NULL : &record->extra;
    return TMB_OK;
}

tmb_err tmb_scope_item(tmb_scope *scope, tmb_bytes key, tmb_leaf_item *ret)
{
    tmb_scope_room *room = scope->room;
    if (key.len > sizeof room->leaf_key)
        return TMB_ECORRUPT;
    if (key.len > 0)
        memmove(room->leaf_key, key.ptr, key.len);
    tmb_bytes kept = tmb_bytes_of(room->leaf_key, key.len);
    tmb_err err = tmb_scope_record_get(scope, kept, &room->before);
    return err == TMB_OK ? make_item(&room->before, kept, ret) : err;
}

/* The leaf of a dot, unless the chunk has it. TMB_EAGAIN: it is full. */
static tmb_err send(scan *at, const tmb_dot *dot, tmb_bytes row)
{
    tmb_scope_room *room = at->scope->room;
    bool is_removal;
    tmb_bytes key;
    tmb_err err = tmb_dot_row_read(row, &is_removal, &key);
    if (err == TMB_OK)
        err = tmb_scope_item(at->scope, key, &room->item);
    if (err != TMB_OK || !is_first(at, &room->before, dot))
        return err;
    tmb_writer trial = at->w;
    if (at->chunk.leaves > 0) { /* the first leaf may be larger than a chunk should be */
        if ((size_t)(trial.at - at->out) >= at->bytes_max)
            return TMB_EAGAIN;
        if ((size_t)(trial.end - at->out) > at->bytes_max)
            trial.end = at->out + at->bytes_max;
    }
    err = tmb_leaves_put(&trial, &room->leaves, at->actors, &room->item);
    if (err == TMB_ELIMIT && at->chunk.leaves > 0)
        return TMB_EAGAIN;
    if (err != TMB_OK)
        return err;
    at->w.at = trial.at;
    at->chunk.leaves++;
    return TMB_OK;
}

/* The dots of one actor, from behind from up to last; reached: as far as the chunk holds them. */
static tmb_err scan_actor(scan *at, const tmb_base *last, uint64_t *reached)
{
    tmb_dot next = {last->actor, *reached + 1}, dot;
    tmb_err err = TMB_OK;
    while (err == TMB_OK && next.seq <= last->seq) {
        tmb_bytes row;
        err = tmb_scope_seek_dot(at->scope, TMB_ROW_DOT, &next, &dot, &row);
        bool is_over =
            err == TMB_ENOENT ||
            (err == TMB_OK && (!tmb_incarnation_eq(dot.actor, last->actor) || dot.seq > last->seq));
        if (is_over) {
            err = TMB_OK;
            break;
        }
        if (err == TMB_OK)
            err = send(at, &dot, row);
        if (err == TMB_OK)
            *reached = dot.seq;
        next.seq = dot.seq + 1;
    }
    if (err == TMB_OK)
        *reached = last->seq;
    return err;
}

tmb_err tmb_scope_scan(tmb_scope *scope, const tmb_context *from, bool is_held, size_t bytes_max,
                       tmb_actors *actors, uint8_t *out, size_t cap, tmb_context *to,
                       tmb_chunk *ret_chunk)
{
    if (!is_held && tmb_scope_is_below_floor(scope, from))
        return TMB_EGAP;
    scan at = {scope, from, bytes_max, actors, tmb_writer_of(out, cap), out, {0, 0, false}};
    tmb_err err = tmb_context_copy(to, from);
    scope->room->leaves.key_len = 0;
    for (unsigned i = 0; i < scope->clock.bases_count && err == TMB_OK; i++) {
        const tmb_base *last = &scope->clock.bases[i];
        uint64_t reached = tmb_context_base(from, &last->actor);
        if (reached >= last->seq)
            continue;
        uint64_t before = reached;
        err = scan_actor(&at, last, &reached);
        if ((err == TMB_OK || err == TMB_EAGAIN) && reached > before) {
            tmb_err raised = tmb_context_add_run(to, &last->actor, 1, reached);
            err = raised != TMB_OK ? raised : err;
        }
    }
    if (err != TMB_OK && err != TMB_EAGAIN)
        return err;
    if (scope->exposed != scope->last)
        scope->is_changed = true;
    scope->exposed = scope->last;
    at.chunk.bytes = (size_t)(at.w.at - out);
    at.chunk.is_complete = err == TMB_OK;
    *ret_chunk = at.chunk;
    return TMB_OK;
}
