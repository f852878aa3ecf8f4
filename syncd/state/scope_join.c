// SPDX-License-Identifier: Apache-2.0
/* syncd/state/scope_join.c - a neighbour's chunk: each leaf joined under what the neighbour had seen, then
 * the clock.
 *
 *   complete       clock := clock + ctx, after all leaves; the pass is over
 *   not complete   the clock stays; what the leaf's sender had seen goes with the leaf; how far the pass has
 *                  come, and the clock it was made under, go into the neighbour's row
 */
#include "syncd/state/inside.h"

/* Leaves with extra context that the end of a pass looks at; the others are for tmb_scope_forget. */
enum { STRIP_AT_ONCE = 256 };

static bool is_foreign_own(const tmb_scope *scope, const tmb_dot *dot)
{
    return dot->seq > scope->last && tmb_incarnation_eq(dot->actor, scope->self);
}

/* What the sender has seen of this leaf beyond ctx: what it says, and the dots that it sends. */
static tmb_err seen_beyond(const tmb_leaf_item *item, const tmb_context *ctx, tmb_context *seen)
{
    tmb_err err = item->extra ? tmb_context_copy(seen, item->extra) : TMB_OK;
    for (unsigned i = 0; i < item->leaf.count && err == TMB_OK; i++)
        if (!tmb_context_has(ctx, &item->leaf.entries[i].dot))
            err = tmb_context_add(seen, &item->leaf.entries[i].dot);
    for (unsigned i = 0; i < item->removals_count && err == TMB_OK; i++)
        if (!tmb_context_has(ctx, &item->removals[i]))
            err = tmb_context_add(seen, &item->removals[i]);
    return err;
}

static tmb_err check_beyond(const tmb_scope *scope, const tmb_context *seen, bool may_write)
{
    if (!may_write && !tmb_context_covers(&scope->clock, seen))
        return TMB_EDENIED;
    return tmb_context_last(seen, &scope->self) > scope->last ? TMB_EGAP : TMB_OK;
}

static tmb_err join_item(tmb_scope *scope, const tmb_leaf_item *item, const tmb_context *ctx,
                         const tmb_context *ground, bool may_write, unsigned *changed)
{
    tmb_scope_room *room = scope->room;
    tmb_context seen = tmb_context_in(&room->observed);
    tmb_err err = seen_beyond(item, ctx, &seen);
    if (err == TMB_OK)
        err = check_beyond(scope, &seen, may_write);
    for (unsigned i = 0; i < item->leaf.count && err == TMB_OK; i++)
        if (is_foreign_own(scope, &item->leaf.entries[i].dot))
            err = TMB_EGAP;
    if (err != TMB_OK)
        return err;
    tmb_leaf_news news = {.key = tmb_bytes_of(room->leaves.key, room->leaves.key_len),
                          .leaf = &item->leaf,
                          .seen = {ctx, tmb_context_is_empty(&seen) ? NULL : &seen},
                          .removals_count = item->removals_count,
                          .removals = item->removals,
                          .ground = ground};
    bool is_changed = false;
    err = tmb_scope_leaf_join(scope, &news, &is_changed);
    *changed += is_changed;
    return err;
}

static tmb_err note_heard(tmb_scope *scope, tmb_bytes name, const tmb_context *ctx,
                          const tmb_context *heard)
{
    tmb_neighbour *neighbour = &scope->room->neighbour;
    tmb_err err = tmb_scope_neighbour_get(scope, name, neighbour);
    if (err == TMB_ENOENT) {
        if (!heard)
            return TMB_OK;
        tmb_neighbour_init(neighbour);
        neighbour->state = TMB_MEMBER_ACTIVE;
        err = TMB_OK;
    }
    if (err != TMB_OK)
        return err;
    if (!heard) {
        if (tmb_context_is_empty(&neighbour->heard))
            return TMB_OK;
        neighbour->heard.bases_count = neighbour->heard_clock.bases_count = 0;
        return tmb_scope_neighbour_put(scope, name, neighbour);
    }
    err = tmb_context_copy(&neighbour->heard, heard);
    if (err == TMB_OK)
        err = tmb_context_copy(&neighbour->heard_clock, ctx);
    return err == TMB_OK ? tmb_scope_neighbour_put(scope, name, neighbour) : err;
}

tmb_err tmb_scope_join_chunk(tmb_scope *scope, tmb_bytes neighbour, tmb_bytes leaves,
                             const tmb_actors *actors, const tmb_context *ctx, bool is_complete,
                             const tmb_context *heard, bool may_write, unsigned *ret_leaves)
{
    tmb_scope_room *room = scope->room;
    unsigned changed = 0;
    tmb_context ground = tmb_context_of(room->ground.bases, TMB_ACTORS_MAX, NULL, 0);
    if (ctx->runs_count > 0)
        return TMB_ECORRUPT;
    tmb_err err = check_beyond(scope, ctx, may_write);
    if (err == TMB_OK)
        err = tmb_context_copy(&ground, &scope->clock);
    if (err == TMB_OK && is_complete)
        err = tmb_context_join(&ground, ctx);
    tmb_reader r = tmb_reader_of(leaves);
    room->leaves.key_len = 0;
    while (err == TMB_OK) {
        err = tmb_leaves_get(&r, &room->leaves, actors, &room->item);
        if (err == TMB_OK)
            err = join_item(scope, &room->item, ctx, &ground, may_write, &changed);
    }
    if (err != TMB_EAGAIN)
        return err;
    if (is_complete && !tmb_context_eq(&ground, &scope->clock)) {
        scope->is_changed = true;
        err = tmb_context_copy(&scope->clock, &ground);
        if (err != TMB_OK)
            return err;
    }
    err = note_heard(scope, neighbour, ctx, is_complete ? NULL : heard);
    unsigned stripped;
    if (err == TMB_OK && is_complete)
        err = tmb_scope_strip(scope, STRIP_AT_ONCE, &stripped);
    if (err == TMB_OK)
        *ret_leaves = changed;
    return err;
}

/* What is known of the leaf reaches as far as ctx, where the clock does not. */
static bool knows(const tmb_scope *scope, const tmb_leaf_record *record, const tmb_context *ctx)
{
    for (unsigned i = 0; i < ctx->bases_count; i++) {
        const tmb_base *base = &ctx->bases[i];
        if (tmb_context_base(&scope->clock, &base->actor) < base->seq &&
            tmb_context_base(&record->extra, &base->actor) < base->seq)
            return false;
    }
    return true;
}

tmb_err tmb_scope_is_ahead(tmb_scope *scope, const tmb_context *ctx, bool *ret)
{
    tmb_leaf_record *record = &scope->room->before;
    uint8_t at[TMB_LEAF_KEY_BYTES_MAX];
    size_t len = 0;
    bool is_ahead = false;
    tmb_err err = TMB_OK;
    while (!is_ahead && scope->extras > 0) {
        tmb_bytes tail;
        err = tmb_scope_seek(scope, TMB_ROW_EXTRA, tmb_bytes_of(at, len), len > 0, &tail, NULL);
        if (err == TMB_OK && tail.len > sizeof at)
            err = TMB_ECORRUPT;
        if (err != TMB_OK)
            break;
        memcpy(at, tail.ptr, tail.len);
        len = tail.len;
        err = tmb_scope_record_get(scope, tmb_bytes_of(at, len), record);
        if (err != TMB_OK)
            break;
        for (unsigned i = 0; i < record->leaf.count && !is_ahead; i++) {
            const tmb_dot *dot = &record->leaf.entries[i].dot;
            is_ahead = !tmb_context_has(&scope->clock, dot) && tmb_context_has(ctx, dot) &&
                       !knows(scope, record, ctx);
        }
    }
    if (err != TMB_OK && err != TMB_ENOENT)
        return err;
    *ret = is_ahead;
    return TMB_OK;
}
