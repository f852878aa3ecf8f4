// SPDX-License-Identifier: Apache-2.0
/* sim/state_check.c - what is looked at after each commit, and at the end.
 *
 * After a commit the book takes over what the box has heard: of each dot that its clock covers now, or that a
 * leaf shows, what the sender knew it to be. A clock that covers what nobody gave, that goes back, or a dot
 * that is of two things is seen there. Now and then all leaves of the replica are judged on what it has
 * heard. */
#include "sim/state_world.h"

#include <stdlib.h>

static const state_slot *slot_of(const state_view *view, unsigned actor, uint64_t seq)
{
    return seq >= 1 && seq <= view->counts[actor] && view->slots[actor][seq - 1].bind != 0
               ? &view->slots[actor][seq - 1]
               : NULL;
}

/* What from knows the dot to be, or what its disk knew before it was replaced; or anybody else. */
static unsigned what_is(const state_world *world, unsigned from, unsigned scope, unsigned actor,
                        uint64_t seq)
{
    for (unsigned k = 0; k < world->nodes_count; k++) {
        const state_node *node = &world->nodes[(from + k) % world->nodes_count];
        const state_slot *slot =
            node->box.views != NULL ? slot_of(&node->box.views[scope], actor, seq) : NULL;
        for (unsigned g = node->graves_count; slot == NULL && g > 0; g--)
            slot = slot_of(&node->graves[(g - 1) * STATE_SCOPES_MAX + scope], actor, seq);
        if (slot != NULL)
            return slot->bind;
    }
    return 0;
}

static void hold(state_world *world, state_node *node, unsigned scope, unsigned from,
                 unsigned actor, uint64_t seq)
{
    state_view *view = &node->box.views[scope];
    const state_slot *own = slot_of(view, actor, seq);
    if (own != NULL && own->is_held)
        return;
    unsigned bind = what_is(world, from, scope, actor, seq);
    if (bind == 0)
        state_fail(world, "a clock covers, or a leaf shows, a dot that nobody gave");
    else
        state_view_hold(&world->book, view, actor, seq, bind);
}

/* The node goes on under a new incarnation: its changes beyond common have new dots. */
static void rebind(state_world *world, state_node *node, unsigned scope, unsigned old,
                   uint64_t common)
{
    static unsigned group[STATE_CHANGES_MAX], some[STATE_CHANGES_MAX];
    static tmb_leaf leaf;
    static bool is_placed[STATE_CHANGES_MAX];
    state_book *book = &world->book;
    state_view *view = &node->box.views[scope];
    unsigned count = 0, self = state_book_actor(book, &world->scope->self);
    for (uint64_t seq = common + 1; seq <= view->counts[old]; seq++) {
        const state_slot *slot = slot_of(view, old, seq);
        const state_bind *bind = slot ? &book->binds[slot->bind] : NULL;
        for (unsigned i = 0; slot != NULL && slot->is_held && i < bind->count; i++) {
            is_placed[book->bound[bind->first + i]] = false;
            group[count++] = book->bound[bind->first + i];
        }
    }
    state_view_unhold(book, view, old, common);
    for (unsigned l = 0; l < STATE_LEAVES; l++) {
        tmb_leaf_key key = state_book_key(l);
        if (tmb_scope_leaf(world->scope, &key, &leaf) != TMB_OK)
            state_fail(world, "a leaf cannot be read");
        for (unsigned e = 0; e < leaf.count; e++) {
            if (!tmb_incarnation_eq(leaf.entries[e].dot.actor, world->scope->self))
                continue;
            unsigned n = 0;
            int64_t total = 0;
            for (unsigned i = 0; i < count; i++) {
                if (book->changes[group[i]].leaf != l)
                    continue;
                some[n++] = group[i];
                is_placed[group[i]] = true;
                total += book->changes[group[i]].amount;
            }
            state_view_hold(book, view, self, leaf.entries[e].dot.seq,
                            state_book_bind(book, some, n, total));
        }
    }
    unsigned rest = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!is_placed[group[i]])
            some[rest++] = group[i];
    }
    for (uint64_t seq = 1; seq <= world->scope->last; seq++) {
        if (slot_of(view, self, seq) == NULL)
            state_view_hold(book, view, self, seq, state_book_bind(book, some, rest, 0));
        else if (seq == world->scope->last && rest > 0 && count < STATE_CHANGES_MAX) {
            /* The last one has an entry: what else was done goes with it. */
            state_slot *slot = state_view_slot(book, view, self, seq);
            const state_bind bind = book->binds[slot->bind];
            for (unsigned i = 0; i < bind.count; i++)
                some[rest++] = book->bound[bind.first + i];
            *slot = (state_slot){0};
            state_view_hold(book, view, self, seq, state_book_bind(book, some, rest, bind.total));
        }
    }
}

void state_learn(state_world *world, state_node *node, unsigned scope, unsigned peer)
{
    static tmb_leaf leaf;
    state_view *view = &node->box.views[scope];
    if (!state_load(world, node, scope, world->scope))
        return;
    const tmb_scope *s = world->scope;
    if (!world->is_over && !tmb_incarnation_eq(s->self, node->self_before[scope]) &&
        node->last_before[scope] > 0) {
        unsigned old = state_book_actor(&world->book, &node->self_before[scope]);
        rebind(world, node, scope, old, tmb_context_base(&s->clock, &node->self_before[scope]));
    }
    for (unsigned i = 0; i < s->clock.bases_count; i++) {
        unsigned actor = state_book_actor(&world->book, &s->clock.bases[i].actor);
        for (uint64_t seq = view->clock[actor] + 1; seq <= s->clock.bases[i].seq; seq++)
            hold(world, node, scope, peer, actor, seq);
    }
    for (unsigned a = 0; a < world->book.actors_count; a++) {
        uint64_t base = tmb_context_base(&s->clock, &world->book.actors[a]);
        if (base < view->clock[a])
            state_fail(world, "a clock goes back");
        view->clock[a] = base;
    }
    bool is_part = s->extras > 0 || world->is_over ||
                   (node->job.kind == JOB_SYNC && node->result.leaves > 0 &&
                    node->result.kind == TMB_JOB_JOIN);
    for (unsigned l = 0; is_part && l < STATE_LEAVES; l++) {
        tmb_leaf_key key = state_book_key(l);
        if (tmb_scope_leaf(world->scope, &key, &leaf) != TMB_OK)
            state_fail(world, "a leaf cannot be read");
        for (unsigned e = 0; e < leaf.count; e++)
            hold(world, node, scope, peer,
                 state_book_actor(&world->book, &leaf.entries[e].dot.actor),
                 leaf.entries[e].dot.seq);
    }
    world->result->hash =
        (world->result->hash ^ s->last ^ s->fingerprint.sum[0]) * UINT64_C(0x100000001b3);
}

/* What a neighbour is believed to have for sure, it has, unless its disk went back. */
static void check_acked(state_world *world, state_node *node, unsigned scope)
{
    static tmb_neighbour neighbour;
    for (unsigned i = 0; i < world->nodes_count; i++) {
        const state_node *peer = &world->nodes[i];
        if (i == node->index || !peer->is_there || peer->is_restored || node->is_restored ||
            peer->box.views == NULL ||
            tmb_scope_neighbour_get(world->scope, tmb_bytes_str(peer->name), &neighbour) != TMB_OK)
            continue;
        for (unsigned k = 0; k < neighbour.acked.bases_count; k++) {
            const tmb_base *base = &neighbour.acked.bases[k];
            unsigned actor = state_book_actor(&world->book, &base->actor);
            if (peer->box.views[scope].clock[actor] < base->seq)
                state_fail(world, "a neighbour is believed to have what it has not");
        }
    }
}

/* For whoever looks for the mistake. */
static void tell_leaf(state_world *world, const state_node *node, unsigned scope,
                      const tmb_leaf_key *key, const tmb_leaf *leaf)
{
    char what[160];
    snprintf(what, sizeof what, "%s: %s is wrong: %s %.*s, live entries:", state_scopes[scope],
             world->book.failure, (const char *)key->path.ptr, (int)key->elem.len,
             (const char *)key->elem.ptr);
    state_tell(world, node, what, leaf->count);
    for (unsigned e = 0; e < leaf->count; e++) {
        snprintf(what, sizeof what, "%s: actor %u, dot", state_scopes[scope],
                 state_book_actor(&world->book, &leaf->entries[e].dot.actor));
        state_tell(world, node, what, leaf->entries[e].dot.seq);
    }
}

void state_check(state_world *world, state_node *node, unsigned scope)
{
    static tmb_leaf leaf;
    state_view *view = &node->box.views[scope];
    if (!state_load(world, node, scope, world->scope))
        return;
    bool is_whole = world->scope->extras == 0;
    for (unsigned l = 0; l < STATE_LEAVES; l++) {
        tmb_leaf_key key = state_book_key(l);
        if (tmb_scope_leaf(world->scope, &key, &leaf) != TMB_OK)
            state_fail(world, "a leaf cannot be read");
        bool was_wrong = world->book.failure != NULL;
        state_book_check_leaf(&world->book, view, l, &leaf);
        if (is_whole)
            state_book_judge(&world->book, view, scope, l, &leaf);
        if (world->book.failure != NULL && !was_wrong)
            tell_leaf(world, node, scope, &key, &leaf);
    }
    check_acked(world, node, scope);
    if (world->book.failure != NULL)
        state_fail(world, world->book.failure);
}

static size_t dump(state_world *world, state_node *node, unsigned scope, uint8_t *out, size_t cap)
{
    static tmb_leaf leaf;
    static uint8_t after_bytes[TMB_LEAF_KEY_BYTES_MAX];
    tmb_leaf_key key, after;
    const tmb_leaf_key *from = NULL;
    tmb_writer w = tmb_writer_of(out, cap);
    if (!state_load(world, node, scope, world->scope))
        return 0;
    tmb_context_put(&w, &world->scope->clock);
    while (tmb_scope_next(world->scope, tmb_bytes_of(NULL, 0), from, &key, &leaf) == TMB_OK) {
        uint8_t bytes[TMB_LEAF_KEY_BYTES_MAX];
        size_t len = tmb_leaf_key_write(&key, bytes);
        tmb_put_bytes(&w, tmb_bytes_of(bytes, len));
        tmb_leaf_write(&w, &leaf);
        memcpy(after_bytes, bytes, len);
        if (tmb_leaf_key_read(tmb_bytes_of(after_bytes, len), &after) != TMB_OK)
            break;
        from = &after;
    }
    tmb_put_bytes(&w, tmb_bytes_of(&world->scope->fingerprint.leaves, 8));
    tmb_put_bytes(&w, tmb_bytes_of(world->scope->fingerprint.sum, TMB_FINGERPRINT_BYTES));
    if (w.bad)
        state_fail(world, "a replica does not fit into the room for comparing");
    return (size_t)(w.at - out);
}

bool state_are_equal(state_world *world)
{
    static uint8_t first[1 << 18], other[1 << 18];
    for (unsigned i = 0; i < world->nodes_count; i++) {
        const state_node *node = &world->nodes[i];
        if (!node->is_there || node->is_gone)
            continue;
        if (!node->is_up || node->is_busy || node->jobs_count > 0 ||
            node->box.synced < node->box.count || state_cursor(&node->box) < node->box.synced)
            return false;
    }
    for (unsigned s = 0; s < world->scopes_count; s++) {
        size_t len = 0;
        for (unsigned i = 0; i < world->nodes_count; i++) {
            state_node *node = &world->nodes[i];
            if (!node->is_there || node->is_gone || !node->holds[s])
                continue;
            size_t size = dump(world, node, s, i == STATE_TOP ? first : other, sizeof first);
            if (i == STATE_TOP)
                len = size;
            else if (size != len || memcmp(first, other, len) != 0)
                return false;
        }
    }
    return true;
}

static void tell_change(state_world *world, unsigned number, unsigned have)
{
    const state_change *change = &world->book.changes[number];
    char what[160];
    snprintf(what, sizeof what,
             "%s: %s of leaf %u, made there, is on so many boxes:", state_scopes[change->scope],
             tmb_verb_str(change->verb), change->leaf);
    state_tell(world, &world->nodes[change->node], what, have);
    for (unsigned i = 0; have > 0 && i < world->nodes_count; i++) {
        const state_node *node = &world->nodes[i];
        if (node->is_there && !node->is_gone && node->box.views[change->scope].sees[number])
            state_tell(world, node, "has change", number);
    }
}

/* Each change is everywhere, or it was on a disk that is no more. */
static void count_lost(state_world *world)
{
    for (unsigned c = 0; c < world->book.changes_count; c++) {
        state_change *change = &world->book.changes[c];
        unsigned have = 0, all = 0;
        if (change->is_void)
            continue;
        for (unsigned i = 0; i < world->nodes_count; i++) {
            const state_node *node = &world->nodes[i];
            if (!node->is_there || node->is_gone || !node->holds[change->scope])
                continue;
            all++;
            have += node->box.views[change->scope].sees[c];
        }
        if (have == all)
            continue;
        if (world->print != NULL)
            tell_change(world, c, have);
        /* Of a disk that is gone some may have heard in a pass that was never finished, others not. */
        if (!change->is_maybe)
            state_fail(world, have > 0 ? "replicas are equal and have not heard the same"
                                       : "an acknowledged change is lost");
        if (have > 0)
            continue;
        world->result->lost++;
        world->result->lost_acked += change->is_acked;
    }
}

/* Whether the leaf that the row `r` at key is of is empty and ahead of the clock: the row `d` beside it
 * says which. */
static bool is_of_empty_ahead(tmb_scope *scope, const state_node *node, tmb_bytes key)
{
    uint8_t at[TMB_NAME_BYTES_MAX + 2 + TMB_INCARNATION_BYTES + 8 + 1];
    tmb_bytes row;
    tmb_leaf_item *item = calloc(1, sizeof *item);
    memcpy(at, key.ptr, key.len);
    at[scope->name_len + 1] = 'd';
    bool is_ahead =
        item != NULL &&
        node->box.port.get(node->box.port.arg, tmb_bytes_of(at, key.len), &row) == TMB_OK &&
        row.len > 2 &&
        tmb_scope_item(scope, tmb_bytes_of(row.ptr + 2, row.len - 2), item) == TMB_OK &&
        item->leaf.count == 0 && item->extra != NULL;
    free(item);
    return is_ahead;
}

/* Removals in the index of the loaded scope that its clock covers (rows `r`: docs/state-format.md). The
 * others came in a pass that was never finished, of a disk that is gone: nobody's clock will ever cover
 * them, nor what is known of a leaf by such a pass, whose removals stay (ADR 29). */
static unsigned removals_heard_of(const state_world *world, const state_node *node)
{
    tmb_scope *scope = world->scope;
    uint8_t from[TMB_NAME_BYTES_MAX + 2 + TMB_INCARNATION_BYTES + 8 + 1];
    size_t prefix = scope->name_len + 2, len = prefix;
    unsigned count = 0;
    memcpy(from, scope->name, scope->name_len);
    memcpy(from + scope->name_len, "\0r", 2);
    for (;;) {
        tmb_bytes key;
        tmb_dot dot = {.seq = 0};
        if (node->box.port.seek(node->box.port.arg, tmb_bytes_of(from, len), &key, NULL) !=
                TMB_OK ||
            key.len + 1 != sizeof from - TMB_NAME_BYTES_MAX + scope->name_len ||
            memcmp(key.ptr, from, prefix) != 0)
            return count;
        memcpy(dot.actor.bytes, key.ptr + prefix, TMB_INCARNATION_BYTES);
        for (size_t i = prefix + TMB_INCARNATION_BYTES; i < key.len; i++)
            dot.seq = dot.seq << 8 | key.ptr[i];
        memcpy(from, key.ptr, key.len);
        from[key.len] = 0; /* what lies right behind it */
        len = key.len + 1;
        count += tmb_context_has(&scope->clock, &dot) &&
                 !is_of_empty_ahead(scope, node, tmb_bytes_of(from, len - 1));
    }
}

void state_judge(state_world *world)
{
    world->is_over = true;
    for (unsigned i = 0; i < world->nodes_count; i++) {
        for (unsigned s = 0; s < world->scopes_count; s++) {
            if (world->nodes[i].is_there && !world->nodes[i].is_gone && world->nodes[i].holds[s])
                state_learn(world, &world->nodes[i], s, i);
        }
    }
    count_lost(world);
    for (unsigned i = 0; i < world->nodes_count; i++) {
        state_node *node = &world->nodes[i];
        for (unsigned s = 0; s < world->scopes_count; s++) {
            if (!node->is_there || node->is_gone || !node->holds[s])
                continue;
            state_check(world, node, s);
            if (removals_heard_of(world, node) > world->removals_max)
                state_fail(world, "removals that everybody has heard of are still in the index");
        }
    }
}
