// SPDX-License-Identifier: Apache-2.0
/* syncd/state/scope_apply.c - an operation: is it asked for again, is it allowed, then a delta for each leaf.
 *
 *   caller's number --> token --> every leaf tried --> every leaf joined --> chain, caller's number
 *
 * What can be refused is found before the first leaf changes, so that an operation is done whole or not at
 * all. A change takes one dot; a leaf that is already so takes none.
 */
#include "syncd/state/inside.h"

typedef struct apply {
    tmb_scope *scope;
    const tmb_op *op;
    tmb_context token;
    const tmb_context *observed; /* NULL: all that is here */
    bool is_trial, is_saturated;
    unsigned changes;
    const char *text;
} apply;

static tmb_verdict refuse(apply *at, tmb_verdict verdict, const char *text)
{
    at->text = text;
    return verdict;
}

/* The caller's number, and the call that it came with. */
static tmb_err caller_get(tmb_scope *scope, tmb_bytes run, uint64_t *ret_number, uint64_t *ret_call)
{
    tmb_bytes value;
    tmb_reader r;
    tmb_err err = tmb_scope_get(scope, tmb_scope_key(scope, TMB_ROW_CALLER, run), &value);
    if (err == TMB_OK)
        err = tmb_row_begin(&r, value);
    if (err != TMB_OK)
        return err;
    *ret_number = tmb_get_varint(&r);
    *ret_call = tmb_get_varint(&r);
    return r.bad ? TMB_ECORRUPT : TMB_OK;
}

/* The one who called longest ago. */
static tmb_err caller_forget(tmb_scope *scope)
{
    tmb_bytes tail, value, none = tmb_bytes_of(NULL, 0);
    tmb_reader r;
    uint64_t call;
    tmb_err err = tmb_scope_seek(scope, TMB_ROW_CALL, none, false, &tail, &value);
    if (err == TMB_OK)
        err = tmb_row_begin(&r, value);
    if (err == TMB_OK)
        err = tmb_seq_read(tail, &call);
    if (err != TMB_OK)
        return err == TMB_ENOENT ? TMB_ECORRUPT : err;
    tmb_bytes run = tmb_get_bytes(&r, tmb_reader_left(&r));
    err = tmb_scope_del(scope, tmb_scope_key(scope, TMB_ROW_CALLER, run));
    if (err == TMB_OK)
        err = tmb_scope_del(scope, tmb_scope_key_seq(scope, TMB_ROW_CALL, call));
    scope->callers--;
    return err;
}

static tmb_err caller_put(tmb_scope *scope, tmb_bytes run, uint64_t number)
{
    uint8_t row[1 + TMB_RUN_BYTES_MAX + 2 * TMB_VARINT_BYTES_MAX];
    uint64_t before, call = 0;
    tmb_err err = caller_get(scope, run, &before, &call);
    if (err == TMB_OK) {
        err = tmb_scope_del(scope, tmb_scope_key_seq(scope, TMB_ROW_CALL, call));
    } else if (err == TMB_ENOENT) {
        err = scope->callers >= TMB_CALLERS_MAX ? caller_forget(scope) : TMB_OK;
        scope->callers++;
    }
    if (err != TMB_OK)
        return err;
    scope->is_changed = true;
    tmb_writer w = tmb_writer_of(row, sizeof row);
    tmb_put_u8(&w, TMB_ROW_VERSION);
    tmb_put_varint(&w, number);
    tmb_put_varint(&w, ++scope->calls);
    err = tmb_scope_put(scope, tmb_scope_key(scope, TMB_ROW_CALLER, run),
                        tmb_bytes_of(row, (size_t)(w.at - row)));
    if (err != TMB_OK)
        return err;
    w = tmb_writer_of(row, sizeof row);
    tmb_put_u8(&w, TMB_ROW_VERSION);
    tmb_put_bytes(&w, run);
    return tmb_scope_put(scope, tmb_scope_key_seq(scope, TMB_ROW_CALL, scope->calls),
                         tmb_bytes_of(row, (size_t)(w.at - row)));
}

/* Reads the token into room->observed. */
static tmb_err check_token(apply *at, tmb_context *observed, tmb_verdict *verdict)
{
    tmb_scope *scope = at->scope;
    tmb_reader r = tmb_reader_of(at->op->token);
    uint64_t version = tmb_get_u8(&r), hash = tmb_get_u64(&r), now = 0;
    if (r.bad || version != TMB_TOKEN_VERSION || tmb_context_get(&r, observed) != TMB_OK ||
        tmb_reader_left(&r) > 0) {
        *verdict = refuse(at, TMB_VERDICT_TOKEN, "this is not a token that this service gave");
        return TMB_OK;
    }
    at->observed = observed;
    if (!tmb_context_covers(&scope->clock, observed)) {
        *verdict = refuse(at, TMB_VERDICT_AHEAD,
                          "the token is of another scope, or was read where more is known: then "
                          "try again when it has come here");
        return TMB_OK;
    }
    if (!at->op->is_unchanged)
        return TMB_OK;
    if (hash == 0) {
        *verdict =
            refuse(at, TMB_VERDICT_TOKEN,
                   "this token is of the whole scope: a condition needs the one of its path");
        return TMB_OK;
    }
    tmb_err err = tmb_scope_hash_path(scope, at->op->path, &now);
    if (err == TMB_OK && now != hash)
        *verdict = refuse(at, TMB_VERDICT_STALE, "changed since the token was read: read again");
    return err;
}

static tmb_change change_of(const tmb_op *op, unsigned i)
{
    bool has_value =
        op->verb == TMB_VERB_SET || op->verb == TMB_VERB_RAISE || op->verb == TMB_VERB_LOWER;
    tmb_change change = {.verb = op->verb, .stamp = op->stamp, .amount = op->amount};
    if (has_value && i < op->values_count)
        change.value = op->values[i];
    return change;
}

static const tmb_entry *own_entry(const tmb_scope *scope, const tmb_leaf *leaf)
{
    for (unsigned i = 0; i < leaf->count; i++)
        if (tmb_incarnation_eq(leaf->entries[i].dot.actor, scope->self))
            return &leaf->entries[i];
    return NULL;
}

static bool is_counter(tmb_type type)
{
    return type == TMB_TYPE_G_COUNTER || type == TMB_TYPE_PN_COUNTER;
}

/* Of a counter, what it was before is kept as long as somebody may have it so (reincarnate.c). */
static tmb_err note_before(apply *at, tmb_type type, const tmb_dot *dot)
{
    if (!is_counter(type) || at->scope->room->delta.leaf.count == 0)
        return TMB_OK;
    return tmb_scope_note_count(at->scope, dot->seq,
                                own_entry(at->scope, &at->scope->room->before.leaf));
}

/* Whether the delta can be joined: the only thing that can be in the way is too many siblings. */
static tmb_err try_join(apply *at, tmb_verdict *verdict)
{
    tmb_scope_room *room = at->scope->room;
    tmb_err err = tmb_leaf_join(
        &room->before.leaf, (tmb_seen){&at->scope->clock, &room->before.extra}, &room->delta.leaf,
        (tmb_seen){NULL, &room->delta.context}, &room->after.leaf, NULL);
    if (err == TMB_ELIMIT) {
        *verdict = refuse(at, TMB_VERDICT_SIBLINGS,
                          "too many values were written at once: read, and write with the token");
        return TMB_OK;
    }
    return err;
}

/* One leaf: tried, or changed. */
static tmb_err change_leaf(apply *at, tmb_bytes key, tmb_type type, const tmb_change *change,
                           tmb_verdict *verdict)
{
    tmb_scope *scope = at->scope;
    tmb_scope_room *room = scope->room;
    tmb_dot dot = {scope->self, scope->last + 1 + (at->is_trial ? at->changes : 0)};
    tmb_err err = tmb_scope_record_get(scope, key, &room->before);
    if (err != TMB_OK)
        return err;
    err = tmb_change_delta(type, change, &room->before.leaf, at->observed, &dot, room->value,
                           sizeof room->value, &room->delta);
    if (err == TMB_EINVAL || err == TMB_ELIMIT) {
        *verdict = refuse(at, TMB_VERDICT_MALFORMED, "this verb takes no such value");
        return TMB_OK;
    }
    if (err != TMB_OK)
        return err;
    at->is_saturated = at->is_saturated || room->delta.is_saturated;
    if (room->delta.is_nothing)
        return TMB_OK;
    at->changes++;
    err = try_join(at, verdict);
    if (err != TMB_OK || *verdict != TMB_VERDICT_DONE || at->is_trial)
        return err;
    err = note_before(at, type, &dot);
    if (err != TMB_OK)
        return err;
    tmb_chain_step(scope->chain, key, dot.seq, &room->delta.leaf);
    tmb_leaf_news news = {.key = key,
                          .leaf = &room->delta.leaf,
                          .seen = {NULL, &room->delta.context},
                          .own = &dot,
                          .is_loaded = !is_counter(type),
                          .ground = &scope->clock};
    bool is_changed;
    err = tmb_scope_leaf_join(scope, &news, &is_changed);
    if (err == TMB_OK)
        scope->last = dot.seq;
    return err;
}

/* Every leaf at and below the path that was seen. */
static tmb_err change_tree(apply *at, tmb_verdict *verdict)
{
    tmb_scope *scope = at->scope;
    tmb_change change = {.verb = TMB_VERB_DEL};
    tmb_leaf_key key;
    tmb_leaf *leaf = &scope->room->item.leaf;
    uint8_t kept[TMB_LEAF_KEY_BYTES_MAX];
    tmb_err err = tmb_scope_next(scope, at->op->path, NULL, &key, leaf);
    while (err == TMB_OK && *verdict == TMB_VERDICT_DONE) {
        size_t len = tmb_leaf_key_write(&key, kept);
        err = change_leaf(at, tmb_bytes_of(kept, len), key.type, &change, verdict);
        if (err == TMB_OK && at->changes > TMB_OP_LEAVES_MAX)
            *verdict = refuse(at, TMB_VERDICT_LIMIT, "too much lies below: delete its parts first");
        if (err == TMB_OK)
            err = tmb_leaf_key_read(tmb_bytes_of(kept, len), &key);
        if (err == TMB_OK)
            err = tmb_scope_next(scope, at->op->path, &key, &key, leaf);
    }
    return err == TMB_ENOENT ? TMB_OK : err;
}

static tmb_err change_all(apply *at, tmb_verdict *verdict)
{
    const tmb_op *op = at->op;
    at->changes = 0;
    if (op->verb == TMB_VERB_DEL)
        return change_tree(at, verdict);
    tmb_type type = tmb_verb_type(op->verb);
    unsigned leaves = tmb_type_is_set(type) ? op->values_count : 1;
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < leaves && err == TMB_OK && *verdict == TMB_VERDICT_DONE; i++) {
        uint8_t key[TMB_LEAF_KEY_BYTES_MAX];
        tmb_leaf_key parts = {op->path, type, {NULL, 0}};
        if (tmb_type_is_set(type))
            parts.elem = op->values[i];
        size_t len = tmb_leaf_key_write(&parts, key);
        tmb_change change = change_of(op, i);
        err = change_leaf(at, tmb_bytes_of(key, len), type, &change, verdict);
    }
    return err;
}

/* The number-th level of a path, from 0; nothing: it has fewer. */
static tmb_bytes level_of(tmb_bytes path, unsigned number)
{
    size_t begin = 0;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.ptr[i] != '/')
            continue;
        if (number-- == 0)
            return tmb_bytes_of(path.ptr + begin, i - begin);
        begin = i + 1;
    }
    return tmb_bytes_of(NULL, 0);
}

static bool is_owned(tmb_bytes path)
{
    return tmb_bytes_eq(level_of(path, 0), tmb_bytes_str(TMB_TWIN_LEVEL)) &&
           tmb_bytes_eq(level_of(path, 2), tmb_bytes_str(TMB_OWNED_LEVEL));
}

/* What the op says by itself: limits of op.h, which the bus has seen to; here nothing relies on it. */
static tmb_verdict check_op(apply *at, bool is_owner)
{
    const tmb_op *op = at->op;
    tmb_type type = tmb_verb_type(op->verb);
    unsigned levels = 1;
    for (size_t i = 0; i < op->path.len; i++) {
        levels += op->path.ptr[i] == '/';
        if (op->path.ptr[i] == 0)
            return refuse(at, TMB_VERDICT_MALFORMED, "a path has no byte 0");
    }
    if (op->verb == TMB_VERB_NONE || op->path.len == 0)
        return refuse(at, TMB_VERDICT_MALFORMED, "an operation has a verb and a path");
    if (op->path.len > TMB_PATH_BYTES_MAX || levels > TMB_PATH_LEVELS_MAX)
        return refuse(at, TMB_VERDICT_LIMIT, "the path is longer than 12 levels or 512 bytes");
    if (op->values_count > TMB_OP_VALUES_MAX)
        return refuse(at, TMB_VERDICT_LIMIT, "more than 1,024 elements in one operation");
    for (unsigned i = 0; tmb_type_is_set(type) && i < op->values_count; i++)
        if (op->values[i].len > TMB_ELEMENT_BYTES_MAX)
            return refuse(at, TMB_VERDICT_LIMIT, "an element is longer than 1,024 bytes");
    if (type == TMB_TYPE_REGISTER && op->values_count > 0 &&
        op->values[0].len > TMB_REGISTER_BYTES_MAX)
        return refuse(at, TMB_VERDICT_LIMIT, "the value is longer than 65,536 bytes");
    if (op->run.len > TMB_RUN_BYTES_MAX)
        return refuse(at, TMB_VERDICT_LIMIT, "the name of the run is longer than 64 bytes");
    if (!is_owner && is_owned(op->path))
        return refuse(at, TMB_VERDICT_OWNER,
                      "what a twin reports is written at the scope's own node");
    const tmb_context *clock = &at->scope->clock;
    if (clock->bases_count == TMB_ACTORS_MAX && tmb_context_base(clock, &at->scope->self) == 0)
        return refuse(at, TMB_VERDICT_LIMIT, "256 nodes have written in this scope: no more can");
    return TMB_VERDICT_DONE;
}

static tmb_err run(apply *at, tmb_verdict *verdict)
{
    const tmb_op *op = at->op;
    at->token = tmb_context_in(&at->scope->room->observed);
    uint64_t number, call;
    if (op->run.len > 0) {
        tmb_err err = caller_get(at->scope, op->run, &number, &call);
        if (err == TMB_OK && op->number <= number)
            *verdict =
                refuse(at, TMB_VERDICT_REPEAT, "a number of this run that was applied before");
        if (err != TMB_OK && err != TMB_ENOENT)
            return err;
    }
    if (*verdict == TMB_VERDICT_DONE && (op->token.len > 0 || op->is_unchanged)) {
        tmb_err err = check_token(at, &at->token, verdict);
        if (err != TMB_OK)
            return err;
    }
    if (*verdict != TMB_VERDICT_DONE)
        return TMB_OK;
    /* One leaf is tried before it is changed anyway. */
    bool is_one = op->verb != TMB_VERB_DEL &&
                  (op->values_count <= 1 || !tmb_type_is_set(tmb_verb_type(op->verb)));
    at->is_trial = !is_one;
    tmb_err err = change_all(at, verdict);
    if (at->is_trial && err == TMB_OK && *verdict == TMB_VERDICT_DONE && at->changes > 0) {
        at->is_trial = false;
        err = change_all(at, verdict);
    }
    if (err != TMB_OK || *verdict != TMB_VERDICT_DONE)
        return err;
    if (op->run.len > 0)
        err = caller_put(at->scope, op->run, op->number);
    if (at->is_saturated)
        *verdict = TMB_VERDICT_SATURATED;
    else if (at->changes == 0)
        *verdict = TMB_VERDICT_SAME;
    return err;
}

tmb_err tmb_scope_apply(tmb_scope *scope, const tmb_op *op, bool is_owner, tmb_verdict *ret_verdict,
                        const char **ret_text)
{
    apply at = {.scope = scope, .op = op, .text = NULL};
    tmb_verdict verdict = check_op(&at, is_owner);
    if (verdict == TMB_VERDICT_DONE) {
        tmb_err err = run(&at, &verdict);
        if (err != TMB_OK)
            return err;
    }
    *ret_verdict = verdict;
    if (ret_text)
        *ret_text = at.text ? at.text : tmb_verdict_str(verdict);
    return TMB_OK;
}
