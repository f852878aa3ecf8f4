// SPDX-License-Identifier: Apache-2.0
/* sim/state_apply.c - operations go from the journal into scopes, and into the book.
 *
 *   before: what is live in the leaves -> tmb_scope_apply -> after: which dots were given, for which leaf
 *
 * Some records are applied in one transaction, with the cursor. What it does is put into the book at once,
 * and taken back from the box's view if the transaction is never committed: then nobody ever sees these
 * changes. */
#include "sim/state_world.h"

#define APPLY_AT_ONCE 4

static unsigned add_live(state_world *world, const state_view *view, unsigned leaf,
                         const tmb_dot *dot, state_live *out, unsigned cap)
{
    state_book *book = &world->book;
    unsigned actor = state_book_actor(book, &dot->actor), count = 0;
    if (dot->seq > view->counts[actor])
        return 0;
    const state_bind *bind = &book->binds[view->slots[actor][dot->seq - 1].bind];
    for (unsigned i = 0; i < bind->count && count < cap; i++) {
        unsigned number = book->bound[bind->first + i];
        if (book->changes[number].leaf == leaf && book->changes[number].is_entry) {
            out[count] = (state_live){actor, number, dot->seq, count == 0 ? bind->total : 0};
            count++;
        }
    }
    return count;
}

unsigned state_see(state_world *world, state_node *node, unsigned scope, tmb_bytes path,
                   bool is_clock_only, state_seen out[STATE_LEAVES])
{
    static tmb_leaf leaf;
    unsigned count = 0;
    for (unsigned i = 0; i < STATE_LEAVES; i++) {
        if (!state_book_is_below(i, path))
            continue;
        tmb_leaf_key key = state_book_key(i);
        if (tmb_scope_leaf(world->scope, &key, &leaf) != TMB_OK) {
            state_fail(world, "a leaf cannot be read");
            return 0;
        }
        state_seen *seen = &out[count++];
        seen->leaf = i;
        seen->count = 0;
        for (unsigned k = 0; k < leaf.count; k++) {
            if (is_clock_only && !tmb_context_has(&world->scope->clock, &leaf.entries[k].dot))
                continue;
            seen->count += add_live(world, &node->box.views[scope], i, &leaf.entries[k].dot,
                                    seen->entries + seen->count, STATE_LIVE_MAX - seen->count);
        }
    }
    return count;
}

static bool is_observed(const state_world *world, const state_op *op, const state_live *live)
{
    if (op->token == 0)
        return true;
    const state_token *token = &world->tokens[op->token - 1];
    for (unsigned i = 0; i < token->live_count; i++) {
        if (token->live[i].actor == live->actor && token->live[i].seq == live->seq)
            return true;
    }
    return false;
}

static bool is_out(tmb_verb verb)
{
    return verb == TMB_VERB_REVOKE || verb == TMB_VERB_FORBID;
}

/* What the types say that a change takes away (docs/state.md). */
static bool does_remove(const state_world *world, const state_op *op, unsigned self,
                        const state_live *live)
{
    switch (op->verb) {
    case TMB_VERB_INC:
    case TMB_VERB_DEC:
    case TMB_VERB_RESET:
    case TMB_VERB_COUNT:
        return live->actor == self;
    case TMB_VERB_RAISE:
    case TMB_VERB_LOWER:
        return true;
    case TMB_VERB_ADD:
    case TMB_VERB_INSERT:
    case TMB_VERB_ENABLE:
    case TMB_VERB_NEW:
        return true;
    case TMB_VERB_ADMIT:
    case TMB_VERB_REVOKE:
    case TMB_VERB_PERMIT:
    case TMB_VERB_FORBID:
        return is_observed(world, op, live) ||
               is_out(world->book.changes[live->change].verb) == is_out(op->verb);
    case TMB_VERB_SET:
    case TMB_VERB_RM:
    case TMB_VERB_DISABLE:
    case TMB_VERB_DEL:
        return is_observed(world, op, live);
    case TMB_VERB_NONE:
        break;
    }
    return false;
}

static bool is_removal(tmb_verb verb)
{
    return verb == TMB_VERB_RM || verb == TMB_VERB_DISABLE || verb == TMB_VERB_DEL;
}

static int64_t amount_of(const state_world *world, const state_op *op, const state_seen *seen)
{
    int64_t sum = 0;
    if (op->verb == TMB_VERB_INC || op->verb == TMB_VERB_COUNT)
        return (int64_t)op->amount;
    if (op->verb == TMB_VERB_DEC)
        return -(int64_t)op->amount;
    for (unsigned i = 0; op->verb == TMB_VERB_RESET && i < seen->count; i++)
        sum += is_observed(world, op, &seen->entries[i]) ? seen->entries[i].total : 0;
    return -sum;
}

/* Writes into the book what the operation did to one leaf, under dot. */
static void note(state_world *world, state_node *node, const state_op *op, const state_seen *seen,
                 unsigned self, uint64_t seq)
{
    unsigned removes[STATE_LIVE_MAX], count = 0;
    state_change change = {.scope = op->scope,
                           .node = node->index,
                           .leaf = seen->leaf,
                           .value = op->value,
                           .verb = op->verb,
                           .is_entry = !is_removal(op->verb),
                           .is_acked = op->is_acked,
                           .amount = amount_of(world, op, seen),
                           .stamp = node->stamp_used.u64};
    int64_t total = change.amount;
    for (unsigned i = 0; i < seen->count; i++) {
        if (!does_remove(world, op, self, &seen->entries[i]))
            continue;
        removes[count++] = seen->entries[i].change;
        total += seen->entries[i].total;
    }
    unsigned number = world->book.changes_count;
    if (state_book_change(&world->book, &change, removes, count) == NULL)
        return;
    unsigned bind = state_book_bind(&world->book, &number, 1, total);
    state_view_hold(&world->book, &node->box.views[op->scope], self, seq, bind);
    world->result->changes++;
}

/* Which leaf each new dot is of: an entry says so itself, removals were given in the order of keys. */
static void note_all(state_world *world, state_node *node, const state_op *op, state_seen *seen,
                     unsigned count, uint64_t before)
{
    static tmb_leaf leaf;
    unsigned self = state_book_actor(&world->book, &world->scope->self);
    uint64_t next = before + 1;
    for (unsigned i = 0; i < count; i++) {
        bool is_changed = false;
        tmb_leaf_key key = state_book_key(seen[i].leaf);
        if (is_removal(op->verb)) {
            for (unsigned k = 0; k < seen[i].count && !is_changed; k++)
                is_changed = does_remove(world, op, self, &seen[i].entries[k]);
            if (is_changed)
                note(world, node, op, &seen[i], self, next++);
            continue;
        }
        if (tmb_scope_leaf(world->scope, &key, &leaf) != TMB_OK) {
            state_fail(world, "a leaf cannot be read");
            return;
        }
        for (unsigned k = 0; k < leaf.count; k++) {
            const tmb_dot *dot = &leaf.entries[k].dot;
            if (tmb_incarnation_eq(dot->actor, world->scope->self) && dot->seq > before) {
                note(world, node, op, &seen[i], self, dot->seq);
                next++;
            }
        }
    }
    if (next != world->scope->last + 1)
        state_fail(world, "an operation gave other dots than it changed leaves");
}

/* The verdicts that clients rely on: what was done is not done again, and what was not is not called so. */
static void check_verdict(state_world *world, state_node *node, const state_op *op,
                          tmb_verdict verdict)
{
    bool is_done = op->number > 0 && (verdict == TMB_VERDICT_DONE || verdict == TMB_VERDICT_SAME);
    if (is_done && op->number <= node->done_after)
        state_fail(world, "what was asked once was done twice");
    if (verdict == TMB_VERDICT_REPEAT && op->number > node->done_after)
        state_fail(world, "what was never done was taken for done");
    if (verdict == TMB_VERDICT_MALFORMED || verdict == TMB_VERDICT_SCOPE ||
        verdict == TMB_VERDICT_LIMIT || verdict == TMB_VERDICT_SATURATED ||
        verdict == TMB_VERDICT_OWNER || verdict == TMB_VERDICT_TOKEN)
        state_fail(world, "an operation was refused that is in order");
    if (is_done)
        node->done_after = op->number;
}

static tmb_err apply_one(state_world *world, state_node *node, const state_op *op)
{
    static state_seen seen[STATE_LEAVES];
    uint8_t room[16], run[9] = "c";
    tmb_leaf_key key = state_book_key(op->leaf);
    tmb_bytes elems[2], value = state_book_value(op->leaf, op->value, room);
    if (!state_load(world, node, op->scope, world->scope))
        return TMB_EIO;
    /* What came from another disk's client goes under his name: a clone's clients are others. */
    memcpy(run + 1, node->name, 7);
    tmb_op asked = {.verb = op->verb,
                    .scope = tmb_bytes_str(state_scopes[op->scope]),
                    .path = key.path,
                    .amount = op->amount,
                    .stamp = node->stamp_used,
                    .run = tmb_bytes_of(run, op->number > 0 ? strlen((const char *)run) : 0),
                    .number = op->number,
                    .is_unchanged = op->is_unchanged};
    if (tmb_type_is_set(key.type) && op->verb != TMB_VERB_DEL) {
        for (unsigned i = 0; i < op->leaves_count; i++)
            elems[i] = state_book_key(op->leaf + i).elem;
        asked.values = elems;
        asked.values_count = op->leaves_count;
    } else if (op->verb == TMB_VERB_SET || op->verb == TMB_VERB_RAISE ||
               op->verb == TMB_VERB_LOWER) {
        asked.values = &value;
        asked.values_count = 1;
    }
    if (op->token != 0)
        asked.token =
            tmb_bytes_of(world->tokens[op->token - 1].bytes, world->tokens[op->token - 1].len);
    unsigned count = state_see(world, node, op->scope, key.path, false, seen);
    if (op->verb != TMB_VERB_DEL) { /* the elements alone, not all that is at the path and below */
        unsigned kept = 0;
        for (unsigned i = 0; i < count; i++) {
            if (seen[i].leaf >= op->leaf && seen[i].leaf < op->leaf + op->leaves_count)
                seen[kept++] = seen[i];
        }
        count = kept;
    }
    uint64_t before = world->scope->last;
    tmb_verdict verdict = TMB_VERDICT_DONE;
    const char *text = NULL;
    tmb_err err = tmb_scope_apply(world->scope, &asked, true, &verdict, &text);
    if (err != TMB_OK)
        return err;
    check_verdict(world, node, op, verdict);
    if (world->print != NULL) {
        char what[128];
        snprintf(what, sizeof what, "%s: %s of %s %.*s%s: %s, actor %u, last dot",
                 state_scopes[op->scope], tmb_verb_str(op->verb), (const char *)key.path.ptr,
                 (int)key.elem.len, (const char *)key.elem.ptr,
                 op->token != 0 ? ", as read before" : "", tmb_verdict_str(verdict),
                 state_book_actor(&world->book, &world->scope->self));
        state_tell(world, node, what, world->scope->last);
    }
    if (verdict == TMB_VERDICT_DONE)
        note_all(world, node, op, seen, count, before);
    else if (world->scope->last != before)
        state_fail(world, "a refused operation changed something");
    return tmb_scope_save(world->scope);
}

tmb_err state_apply(state_world *world, state_node *node)
{
    state_box *box = &node->box;
    unsigned cursor = state_cursor(box);
    if (cursor != box->applied)
        state_fail(world, "the cursor does not say what was applied of the journal");
    node->done_after = box->done;
    node->changes_before = world->book.changes_count;
    for (unsigned i = 0; i < APPLY_AT_ONCE && cursor < box->synced; i++, cursor++) {
        const state_op *op = &box->journal[cursor];
        tmb_wall wall = {state_wall_ms(world, node)};
        node->stamp_used = tmb_clock_stamp(&node->clock, op->stamp, wall);
        if (!node->was_wrong && tmb_hlc_wall(node->stamp_used).ms >
                                    STATE_WALL_MS + world->now_ns / STATE_MS + STATE_AHEAD_MS)
            state_fail(world, "a box whose clock is right gives stamps of the future");
        tmb_err err = apply_one(world, node, op);
        if (err != TMB_OK)
            return err;
    }
    if (!state_clock_store(world, node))
        return TMB_ENOSPC;
    node->cursor_after = cursor;
    if (world->plant == STATE_CURSOR_APART)
        return TMB_OK;
    return state_cursor_put(node, cursor) ? TMB_OK : TMB_ENOSPC;
}

void state_applied(state_world *world, state_node *node, bool is_committed)
{
    if (is_committed) {
        node->box.done = node->done_after;
        node->box.applied = node->cursor_after;
        return;
    }
    for (unsigned c = node->changes_before; c < world->book.changes_count; c++)
        world->book.changes[c].is_void =
            world->book.changes[c].is_void || world->book.changes[c].node == node->index;
    for (unsigned s = 0; s < world->scopes_count; s++) {
        unsigned self = state_book_actor(&world->book, &node->self_before[s]);
        if (node->holds[s])
            state_view_unhold(&world->book, &node->box.views[s], self, node->last_before[s]);
    }
}
