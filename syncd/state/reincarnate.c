// SPDX-License-Identifier: Apache-2.0
/* syncd/state/reincarnate.c - going on under another incarnation, when own dots turn out to be somebody
 * else's.
 *
 *   own dots      1 ........ common | ....... last
 *   what is left  as it is          | given anew, 1 .. n of the fresh incarnation
 *
 * After a restore, or beside a clone, others hold other things under the numbers above common. Those are
 * heard again from them, so the clock goes back; ours above common get new numbers. A counter's entry holds
 * all that its incarnation ever counted: what it was at common stays under the old dot, where the others
 * have it too, and only what came on top is given anew.
 */
#include "syncd/state/inside.h"

typedef struct rebirth {
    tmb_scope *scope;
    tmb_incarnation old, fresh;
    uint64_t common, given;
    uint8_t chain[TMB_STATE_CHAIN_BYTES];
    uint8_t key[TMB_LEAF_KEY_BYTES_MAX];
    size_t key_len;
    uint8_t before[TMB_COUNTER_VALUE_MAX], above[TMB_COUNTER_VALUE_MAX];
} rebirth;

/* What the counter was at common. seq 0: nothing. */
static tmb_err count_at_common(rebirth *at, uint64_t seq, uint64_t *ret_seq, size_t *ret_len)
{
    *ret_seq = 0;
    *ret_len = 0;
    while (seq > at->common) {
        tmb_err err = tmb_scope_count_before(at->scope, seq, ret_seq, at->before, ret_len);
        if (err == TMB_ENOENT) {
            *ret_seq = 0;
            return TMB_OK;
        }
        if (err != TMB_OK)
            return err;
        if (*ret_seq >= seq)
            return TMB_ECORRUPT;
        seq = *ret_seq;
    }
    return TMB_OK;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Splits the own entry of a counter into what it was at common, which goes to keep, and the rest. */
static tmb_err split_count(rebirth *at, tmb_type type, tmb_entry *entry, tmb_entry *keep)
{
    size_t len = 0;
    uint64_t up, down, up_before, down_before;
    tmb_counter_amounts(type, entry->value, &up, &down);
    tmb_err err = count_at_common(at, entry->dot.seq, &keep->dot.seq, &len);
    if (err != TMB_OK || keep->dot.seq == 0)
        return err;
    keep->value = tmb_bytes_of(at->before, len);
    if (!tmb_type_is_value_valid(type, keep->value))
        return TMB_ECORRUPT;
    tmb_counter_amounts(type, keep->value, &up_before, &down_before);
    len = tmb_counter_value(type, less(up, up_before), less(down, down_before), at->above);
    entry->value = tmb_bytes_of(at->above, len);
    return TMB_OK;
}

static void drop_entry(tmb_leaf *leaf, const tmb_dot *dot)
{
    for (unsigned i = 0; i < leaf->count; i++) {
        if (tmb_dot_cmp(&leaf->entries[i].dot, dot) != 0)
            continue;
        memmove(&leaf->entries[i], &leaf->entries[i + 1],
                (leaf->count - i - 1) * sizeof *leaf->entries);
        leaf->count--;
        return;
    }
}

static tmb_err give_entry(rebirth *at, const tmb_dot *dot, const tmb_dot *anew)
{
    tmb_scope_room *room = at->scope->room;
    tmb_leaf_key parts;
    tmb_bytes key = tmb_bytes_of(at->key, at->key_len);
    const tmb_entry *found = tmb_leaf_find(&room->before.leaf, dot);
    tmb_err err = tmb_leaf_key_read(key, &parts);
    if (err != TMB_OK || !found)
        return TMB_ECORRUPT;
    tmb_entry entry = *found, keep = {{at->old, 0}, {NULL, 0}};
    if (parts.type == TMB_TYPE_G_COUNTER || parts.type == TMB_TYPE_PN_COUNTER) {
        err = split_count(at, parts.type, &entry, &keep);
        if (err == TMB_OK) /* the kv was asked: read the others' values again */
            err = tmb_scope_record_get(at->scope, key, &room->before);
        if (err == TMB_OK)
            err = tmb_record_copy(&room->after, &room->before);
        found = err == TMB_OK ? tmb_leaf_find(&room->before.leaf, dot) : NULL;
        if (!found)
            return err != TMB_OK ? err : TMB_ECORRUPT;
        if (keep.dot.seq == 0)
            entry.value = found->value;
    }
    drop_entry(&room->after.leaf, dot);
    if (keep.dot.seq > 0 && !tmb_leaf_find(&room->after.leaf, &keep.dot))
        err = tmb_leaf_put(&room->after.leaf, &keep);
    entry.dot = *anew;
    return err == TMB_OK ? tmb_leaf_put(&room->after.leaf, &entry) : err;
}

/* One own dot above common, that of the row: it becomes the next of the fresh incarnation. */
static tmb_err give(rebirth *at, const tmb_dot *dot, tmb_bytes row)
{
    tmb_scope *scope = at->scope;
    tmb_scope_room *room = scope->room;
    tmb_dot anew = {at->fresh, at->given + 1};
    bool is_removal;
    tmb_bytes key;
    tmb_err err = tmb_dot_row_read(row, &is_removal, &key);
    if (err != TMB_OK || key.len > sizeof at->key)
        return TMB_ECORRUPT;
    memcpy(at->key, key.ptr, key.len);
    at->key_len = key.len;
    key.ptr = at->key;
    err = tmb_scope_record_get(scope, key, &room->before);
    if (err == TMB_OK)
        err = tmb_record_copy(&room->after, &room->before);
    if (err != TMB_OK)
        return err;
    tmb_leaf *said = &room->item.leaf;
    said->count = 0;
    if (is_removal) {
        if (!tmb_record_drop_removal(&room->after, dot))
            return TMB_ECORRUPT;
        tmb_record_put_removal(&room->after, &anew);
    } else {
        err = give_entry(at, dot, &anew);
        if (err != TMB_OK)
            return err;
        said->entries[said->count++] = *tmb_leaf_find(&room->after.leaf, &anew);
    }
    at->given++;
    tmb_chain_step(at->chain, key, anew.seq, said);
    return tmb_scope_record_set(scope, key, &room->before, &room->after);
}

static tmb_err give_all(rebirth *at)
{
    tmb_dot next = {at->old, at->common + 1}, dot;
    for (;;) {
        tmb_bytes row;
        tmb_err err = tmb_scope_seek_dot(at->scope, TMB_ROW_DOT, &next, &dot, &row);
        if (err == TMB_ENOENT || (err == TMB_OK && !tmb_incarnation_eq(dot.actor, at->old)))
            return TMB_OK;
        if (err == TMB_OK)
            err = give(at, &dot, row);
        if (err != TMB_OK)
            return err;
        next.seq = dot.seq + 1;
    }
}

/* Neighbours: nothing is known of what they have of the new one, and what was heard in passes that are not
 * over was heard under a clock that is no more. */
static tmb_err reset_neighbours(tmb_scope *scope)
{
    tmb_neighbour *neighbour = &scope->room->neighbour;
    uint8_t name[TMB_NAME_BYTES_MAX];
    size_t len = 0;
    for (;;) {
        tmb_bytes found;
        tmb_err err = tmb_scope_neighbour_next(scope, tmb_bytes_of(name, len), &found, neighbour);
        if (err == TMB_ENOENT)
            return TMB_OK;
        if (err != TMB_OK)
            return err;
        if (found.len > sizeof name)
            return TMB_ECORRUPT;
        memcpy(name, found.ptr, found.len);
        len = found.len;
        neighbour->acked_own = 0;
        neighbour->heard.bases_count = neighbour->heard_clock.bases_count = 0;
        err = tmb_scope_neighbour_put(scope, tmb_bytes_of(name, len), neighbour);
        if (err != TMB_OK)
            return err;
    }
}

static tmb_err set_clock(rebirth *at)
{
    tmb_context *clock = &at->scope->clock;
    for (unsigned i = 0; i < clock->bases_count; i++) {
        if (!tmb_incarnation_eq(clock->bases[i].actor, at->old))
            continue;
        if (at->common > 0) {
            clock->bases[i].seq = at->common;
            break;
        }
        memmove(&clock->bases[i], &clock->bases[i + 1],
                (clock->bases_count - i - 1) * sizeof *clock->bases);
        clock->bases_count--;
        break;
    }
    return at->given > 0 ? tmb_context_add_run(clock, &at->fresh, 1, at->given) : TMB_OK;
}

tmb_err tmb_scope_reincarnate(tmb_scope *scope, tmb_incarnation fresh, uint64_t common)
{
    rebirth at = {.scope = scope, .old = scope->self, .fresh = fresh, .common = common};
    if (at.common > scope->last)
        at.common = scope->last;
    tmb_err err = give_all(&at);
    if (err == TMB_OK)
        err = set_clock(&at);
    if (err == TMB_OK)
        err = reset_neighbours(scope);
    unsigned dropped = 0;
    scope->kept_chain = 0;
    if (err == TMB_OK)
        err = tmb_scope_drop_past(scope, UINT64_MAX - 1, UINT32_MAX, &dropped);
    if (err != TMB_OK)
        return err;
    scope->self = fresh;
    scope->last = at.given;
    memcpy(scope->chain, at.chain, sizeof scope->chain);
    scope->saved_last = scope->exposed = scope->kept_chain = scope->chains = 0;
    scope->is_changed = true;
    return TMB_OK;
}
