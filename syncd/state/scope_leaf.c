// SPDX-License-Identifier: Apache-2.0
/* syncd/state/scope_leaf.c - records of leaves, and the one way into a leaf: get, join, set.
 *
 *   record   u8 1   u8 flags   entries   [removals]   [extra context]
 *
 * Entries lie in their one form (crdt/leaf.h), so their print is a hash over bytes that are there anyway. A
 * leaf with nothing in it, no removal that somebody waits for and no extra context is no row at all.
 */
#include "syncd/state/inside.h"

enum { HAS_REMOVALS = 1, HAS_EXTRA = 2 };

void tmb_context_prune(tmb_context *c, const tmb_context *ground)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < c->bases_count; i++)
        if (c->bases[i].seq > tmb_context_base(ground, &c->bases[i].actor))
            c->bases[kept++] = c->bases[i];
    c->bases_count = kept;
    kept = 0;
    for (unsigned i = 0; i < c->runs_count; i++)
        if (c->runs[i].last > tmb_context_base(ground, &c->runs[i].actor))
            c->runs[kept++] = c->runs[i];
    c->runs_count = kept;
}

static void record_empty(tmb_leaf_record *record)
{
    record->leaf.count = record->removals_count = 0;
    record->extra = tmb_context_in(&record->room);
    record->has_extra_row = record->is_there = false;
    record->raw = record->body = tmb_bytes_of(NULL, 0);
}

static tmb_err read_removals(tmb_reader *r, tmb_leaf_record *record)
{
    uint64_t count = tmb_get_varint(r);
    if (r->bad || count > TMB_SIBLINGS_MAX)
        return TMB_ECORRUPT;
    for (unsigned i = 0; i < count; i++) {
        record->removals[i].actor = tmb_get_incarnation(r);
        record->removals[i].seq = tmb_get_varint(r);
    }
    record->removals_count = (unsigned)count;
    return r->bad ? TMB_ECORRUPT : TMB_OK;
}

static tmb_err record_read(tmb_bytes value, tmb_leaf_record *ret)
{
    tmb_reader r;
    tmb_err err = tmb_row_begin(&r, value);
    uint8_t flags = err == TMB_OK ? tmb_get_u8(&r) : 0;
    const uint8_t *body = r.at;
    if (err == TMB_OK)
        err = tmb_leaf_read(&r, &ret->leaf);
    if (err == TMB_OK) {
        ret->raw = value;
        ret->body = tmb_bytes_of(body, (size_t)(r.at - body));
        ret->is_there = true;
        ret->has_extra_row = (flags & HAS_EXTRA) != 0;
    }
    if (err == TMB_OK && (flags & HAS_REMOVALS))
        err = read_removals(&r, ret);
    if (err == TMB_OK && (flags & HAS_EXTRA))
        err = tmb_context_get(&r, &ret->extra);
    if (err == TMB_ELIMIT || (err == TMB_OK && tmb_reader_left(&r) > 0))
        err = TMB_ECORRUPT;
    return err;
}

tmb_err tmb_scope_record_get(tmb_scope *scope, tmb_bytes key, tmb_leaf_record *ret)
{
    record_empty(ret);
    tmb_bytes value;
    tmb_err err = tmb_scope_get(scope, tmb_scope_key(scope, TMB_ROW_LEAF, key), &value);
    if (err == TMB_ENOENT)
        return TMB_OK;
    if (err == TMB_OK)
        err = record_read(value, ret);
    if (err == TMB_OK)
        tmb_context_prune(&ret->extra, &scope->clock);
    return err;
}

tmb_err tmb_record_copy(tmb_leaf_record *to, const tmb_leaf_record *from)
{
    record_empty(to);
    to->leaf.count = from->leaf.count;
    memcpy(to->leaf.entries, from->leaf.entries, from->leaf.count * sizeof *from->leaf.entries);
    to->removals_count = from->removals_count;
    memcpy(to->removals, from->removals, from->removals_count * sizeof *from->removals);
    return tmb_context_copy(&to->extra, &from->extra);
}

void tmb_record_put_removal(tmb_leaf_record *record, const tmb_dot *dot)
{
    unsigned at = record->removals_count;
    while (at > 0 && tmb_dot_cmp(&record->removals[at - 1], dot) > 0)
        at--;
    if (at > 0 && tmb_dot_cmp(&record->removals[at - 1], dot) == 0)
        return;
    TMB_ASSERT(record->removals_count < TMB_SIBLINGS_MAX);
    memmove(&record->removals[at + 1], &record->removals[at],
            (record->removals_count - at) * sizeof *record->removals);
    record->removals[at] = *dot;
    record->removals_count++;
}

static bool record_is_empty(const tmb_leaf_record *record)
{
    return record->leaf.count == 0 && record->removals_count == 0 &&
           tmb_context_is_empty(&record->extra);
}

/* Into room->bytes. */
static tmb_err record_write(tmb_scope *scope, const tmb_leaf_record *record, tmb_bytes *ret_raw,
                            tmb_bytes *ret_body)
{
    TMB_ASSERT(scope->room);
    tmb_writer w = tmb_writer_of(scope->room->bytes, sizeof scope->room->bytes);
    bool has_extra = !tmb_context_is_empty(&record->extra);
    tmb_put_u8(&w, TMB_ROW_VERSION);
    tmb_put_u8(&w, (uint8_t)((record->removals_count > 0 ? HAS_REMOVALS : 0) |
                             (has_extra ? HAS_EXTRA : 0)));
    uint8_t *body = w.at;
    tmb_leaf_write(&w, &record->leaf);
    *ret_body = tmb_bytes_of(body, (size_t)(w.at - body));
    if (record->removals_count > 0)
        tmb_put_varint(&w, record->removals_count);
    for (unsigned i = 0; i < record->removals_count; i++) {
        tmb_put_incarnation(&w, &record->removals[i].actor);
        tmb_put_varint(&w, record->removals[i].seq);
    }
    if (has_extra)
        tmb_context_put(&w, &record->extra);
    *ret_raw = tmb_bytes_of(scope->room->bytes, (size_t)(w.at - scope->room->bytes));
    return w.bad ? TMB_ELIMIT : TMB_OK;
}

static void count_prints(tmb_scope *scope, tmb_bytes key, const tmb_leaf_record *before,
                         const tmb_leaf_record *after, tmb_bytes body)
{
    uint8_t print[TMB_FINGERPRINT_BYTES];
    if (before->leaf.count > 0) {
        tmb_leaf_print(key, before->body, print);
        tmb_fingerprint_take(&scope->fingerprint, print);
    }
    if (after->leaf.count > 0) {
        tmb_leaf_print(key, body, print);
        tmb_fingerprint_add(&scope->fingerprint, print);
    }
}

/* The row that says that the leaf has extra context, for forget.c. */
static tmb_err mark_extra(tmb_scope *scope, tmb_bytes key, const tmb_leaf_record *before,
                          const tmb_leaf_record *after)
{
    bool has = !tmb_context_is_empty(&after->extra);
    if (has == before->has_extra_row)
        return TMB_OK;
    const uint8_t row[] = {TMB_ROW_VERSION};
    tmb_bytes at = tmb_scope_key(scope, TMB_ROW_EXTRA, key);
    scope->extras += has ? 1u : (uint64_t)-1;
    return has ? tmb_scope_put(scope, at, tmb_bytes_of(row, sizeof row)) : tmb_scope_del(scope, at);
}

tmb_err tmb_scope_record_set(tmb_scope *scope, tmb_bytes key, const tmb_leaf_record *before,
                             const tmb_leaf_record *after)
{
    tmb_bytes raw, body;
    tmb_err err = record_write(scope, after, &raw, &body);
    bool is_gone = record_is_empty(after);
    if (err != TMB_OK || (is_gone ? !before->is_there : tmb_bytes_eq(before->raw, raw)))
        return err;
    bool is_changed = before->leaf.count != after->leaf.count ||
                      (after->leaf.count > 0 && !tmb_bytes_eq(before->body, body));
    if (is_changed)
        count_prints(scope, key, before, after, body);
    scope->is_changed = true;
    tmb_bytes at = tmb_scope_key(scope, TMB_ROW_LEAF, key);
    err = is_gone ? tmb_scope_del(scope, at) : tmb_scope_put(scope, at, raw);
    if (err == TMB_OK)
        err = tmb_scope_index(scope, key, before, after);
    if (err == TMB_OK)
        err = mark_extra(scope, key, before, after);
    if (err == TMB_OK && is_changed) {
        scope->changed_leaves++;
        tmb_leaf_key parts;
        err = tmb_leaf_key_read(key, &parts);
        if (err == TMB_OK)
            err = tmb_scope_dirty(scope, parts.path);
    }
    return err;
}

/* What other has and ground does not cover. */
static tmb_err add_beyond(tmb_context *c, const tmb_context *other, const tmb_context *ground)
{
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < other->bases_count && err == TMB_OK; i++)
        if (other->bases[i].seq > tmb_context_base(ground, &other->bases[i].actor))
            err = tmb_context_add_run(c, &other->bases[i].actor, 1, other->bases[i].seq);
    for (unsigned i = 0; i < other->runs_count && err == TMB_OK; i++)
        if (other->runs[i].last > tmb_context_base(ground, &other->runs[i].actor))
            err = tmb_context_add_run(c, &other->runs[i].actor, other->runs[i].first,
                                      other->runs[i].last);
    return err;
}

static bool is_later(const tmb_dot *dot, const tmb_dot *other, const tmb_context *ground)
{
    return tmb_incarnation_eq(dot->actor, other->actor) && other->seq > dot->seq &&
           tmb_context_has(ground, other);
}

/* A removal says nothing more when the same actor has removed or put here later: whoever has the later dot
 * has what came before it. One beyond the clock does not count: no scan finds it yet. */
static bool is_outdone(const tmb_leaf_record *record, unsigned at, const tmb_context *ground)
{
    const tmb_dot *dot = &record->removals[at];
    for (unsigned i = 0; i < record->leaf.count; i++)
        if (is_later(dot, &record->leaf.entries[i].dot, ground))
            return true;
    for (unsigned i = at + 1; i < record->removals_count; i++)
        if (is_later(dot, &record->removals[i], ground))
            return true;
    return false;
}

static void drop_outdone(tmb_leaf_record *record, const tmb_context *ground)
{
    for (unsigned i = record->removals_count; i-- > 0;) {
        if (!is_outdone(record, i, ground))
            continue;
        memmove(&record->removals[i], &record->removals[i + 1],
                (record->removals_count - i - 1) * sizeof *record->removals);
        record->removals_count--;
    }
}

/* More removers of one leaf than a record has room for: the first is forgotten early, which the floor
 * tells; who has not heard of it compares ranges. */
static tmb_err add_removal(tmb_scope *scope, tmb_leaf_record *record, const tmb_dot *dot,
                           const tmb_context *ground)
{
    if (record->removals_count == TMB_SIBLINGS_MAX)
        drop_outdone(record, ground);
    if (record->removals_count == TMB_SIBLINGS_MAX) {
        tmb_err err = tmb_context_add_run(&scope->floor, &record->removals[0].actor, 1,
                                          record->removals[0].seq);
        if (err != TMB_OK)
            return err;
        tmb_dot first = record->removals[0];
        (void)tmb_record_drop_removal(record, &first);
    }
    tmb_record_put_removal(record, dot);
    return TMB_OK;
}

/* Entries that are gone from a leaf that is ahead of the clock, which covers them or will: whatever stands
 * for them now may be in no row that a scan finds. They stay in the index as if they had been removals.
 * Else a neighbour would be told the clock and not this leaf, and if the pass never goes on, what was
 * acknowledged is nowhere above. */
static tmb_err keep_entries_gone(tmb_scope *scope, const tmb_leaf_news *news,
                                 const tmb_leaf_record *before, tmb_leaf_record *after)
{
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < before->leaf.count && err == TMB_OK; i++) {
        const tmb_dot *dot = &before->leaf.entries[i].dot;
        if (!tmb_leaf_find(&after->leaf, dot))
            err = add_removal(scope, after, dot, news->ground);
    }
    for (unsigned i = 0; i < news->leaf->count && err == TMB_OK; i++) {
        const tmb_dot *dot = &news->leaf->entries[i].dot;
        if (!tmb_context_has(&scope->clock, dot) && !tmb_leaf_find(&after->leaf, dot))
            err = add_removal(scope, after, dot, news->ground);
    }
    return err;
}

static tmb_err join_removals(tmb_scope *scope, const tmb_leaf_news *news,
                             const tmb_leaf_record *before, tmb_leaf_record *after)
{
    after->removals_count = 0;
    if (news->own) {
        if (news->leaf->count == 0)
            after->removals[after->removals_count++] = *news->own;
        return TMB_OK;
    }
    memcpy(after->removals, before->removals, before->removals_count * sizeof *before->removals);
    after->removals_count = before->removals_count;
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < news->removals_count && err == TMB_OK; i++)
        if (!tmb_context_has(&scope->clock, &news->removals[i]))
            err = add_removal(scope, after, &news->removals[i], news->ground);
    if (err == TMB_OK && !tmb_context_is_empty(&after->extra))
        err = keep_entries_gone(scope, news, before, after);
    drop_outdone(after, news->ground);
    return err;
}

static tmb_err join_extra(const tmb_leaf_news *news, const tmb_leaf_record *before,
                          tmb_leaf_record *after)
{
    after->extra = tmb_context_in(&after->room);
    tmb_err err = add_beyond(&after->extra, &before->extra, news->ground);
    if (err == TMB_OK && news->seen.clock)
        err = add_beyond(&after->extra, news->seen.clock, news->ground);
    if (err == TMB_OK && news->seen.extra)
        err = add_beyond(&after->extra, news->seen.extra, news->ground);
    return err;
}

tmb_err tmb_scope_leaf_join(tmb_scope *scope, const tmb_leaf_news *news, bool *ret_is_changed)
{
    tmb_leaf_record *before = &scope->room->before, *after = &scope->room->after;
    uint64_t changed = scope->changed_leaves;
    bool is_forked = false;
    tmb_err err = news->is_loaded ? TMB_OK : tmb_scope_record_get(scope, news->key, before);
    if (err != TMB_OK)
        return err;
    record_empty(after);
    err = tmb_leaf_join(&before->leaf, (tmb_seen){&scope->clock, &before->extra}, news->leaf,
                        news->seen, &after->leaf, &is_forked);
    if (err == TMB_OK && news->own) { /* from here on it is in the clock */
        err = tmb_context_add(&scope->clock, news->own);
        scope->is_changed = true;
    }
    if (err == TMB_OK)
        err = join_extra(news, before, after);
    if (err == TMB_OK)
        err = join_removals(scope, news, before, after);
    if (err == TMB_OK)
        err = tmb_scope_record_set(scope, news->key, before, after);
    if (err != TMB_OK)
        return err;
    scope->forks += is_forked;
    *ret_is_changed = scope->changed_leaves != changed;
    return TMB_OK;
}
