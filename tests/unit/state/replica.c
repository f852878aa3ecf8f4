// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/state/replica.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CHUNK_BYTES = 256 * 1024 };

static tmb_scope_room room;
static uint8_t chunk[CHUNK_BYTES];

tmb_incarnation replica_incarnation(unsigned number)
{
    tmb_incarnation incarnation;
    memset(incarnation.bytes, 0x11, sizeof incarnation.bytes);
    incarnation.bytes[0] = (uint8_t)number;
    incarnation.bytes[1] = (uint8_t)(number >> 8);
    return incarnation;
}

void replica_open(replica *r, unsigned number)
{
    memset(r, 0, sizeof *r);
    r->kv = kv_memory_port(&r->disk);
    (void)snprintf(r->name, sizeof r->name, "n%u", number);
    r->fresh = replica_incarnation(number);
    r->stamp.u64 = 1;
}

void replica_close(replica *r)
{
    kv_memory_free(&r->disk);
}

tmb_scope *replica_begin(replica *r)
{
    r->kv = kv_memory_port(&r->disk);
    assert_int_equal(tmb_scope_load(&r->at, &r->kv, &room, tmb_bytes_str("line-7"), r->fresh),
                     TMB_OK);
    return &r->at;
}

void replica_end(replica *r)
{
    assert_int_equal(tmb_scope_save(&r->at), TMB_OK);
    kv_memory_commit(&r->disk, true);
}

tmb_verdict replica_apply(replica *r, const tmb_op *op)
{
    tmb_verdict verdict = TMB_VERDICT_MALFORMED;
    const char *text = NULL;
    assert_int_equal(tmb_scope_apply(replica_begin(r), op, true, &verdict, &text), TMB_OK);
    assert_non_null(text);
    replica_end(r);
    return verdict;
}

tmb_verdict replica_do(replica *r, tmb_verb verb, const char *path, const char *value)
{
    tmb_bytes bytes = value ? tmb_bytes_str(value) : tmb_bytes_of(NULL, 0);
    tmb_op op = {.verb = verb,
                 .path = tmb_bytes_str(path),
                 .values_count = value ? 1 : 0,
                 .values = &bytes,
                 .amount = 1,
                 .stamp = {++r->stamp.u64}};
    return replica_apply(r, &op);
}

bool replica_meet(replica *r, replica *neighbour)
{
    static tmb_base clock_bases[TMB_ACTORS_MAX], floor_bases[TMB_ACTORS_MAX];
    tmb_context clock = tmb_context_of(clock_bases, TMB_ACTORS_MAX, NULL, 0);
    tmb_context floor = tmb_context_of(floor_bases, TMB_ACTORS_MAX, NULL, 0);
    tmb_scope *other = replica_begin(neighbour);
    tmb_incarnation self = other->self;
    assert_int_equal(tmb_context_copy(&clock, &other->clock), TMB_OK);
    assert_int_equal(tmb_context_copy(&floor, &other->floor), TMB_OK);
    replica_end(neighbour);
    bool is_below = false;
    assert_int_equal(tmb_scope_meet(replica_begin(r), tmb_bytes_str(neighbour->name), &self, &clock,
                                    &floor, 1000, &is_below),
                     TMB_OK);
    replica_end(r);
    return is_below;
}

/* Where to stands towards from: its clock, and what it heard in a pass that is not over. */
static void standing(replica *to, const replica *from, tmb_context *ret)
{
    static tmb_neighbour neighbour;
    tmb_scope *scope = replica_begin(to);
    assert_int_equal(tmb_context_copy(ret, &scope->clock), TMB_OK);
    tmb_err err = tmb_scope_neighbour_get(scope, tmb_bytes_str(from->name), &neighbour);
    if (err == TMB_OK)
        assert_int_equal(tmb_context_join(ret, &neighbour.heard), TMB_OK);
    else
        assert_int_equal(err, TMB_ENOENT);
    replica_end(to);
}

static void acknowledge(replica *from, replica *to)
{
    static tmb_base bases[TMB_ACTORS_MAX];
    tmb_context clock = tmb_context_of(bases, TMB_ACTORS_MAX, NULL, 0);
    assert_int_equal(tmb_context_copy(&clock, &replica_begin(to)->clock), TMB_OK);
    replica_end(to);
    assert_int_equal(tmb_scope_acked(replica_begin(from), tmb_bytes_str(to->name), &clock, 1000),
                     TMB_OK);
    replica_end(from);
}

tmb_err replica_chunk(replica *from, replica *to, size_t bytes_max, bool *ret_is_complete)
{
    static tmb_base seen_bases[TMB_ACTORS_MAX], to_bases[TMB_ACTORS_MAX], ctx_bases[TMB_ACTORS_MAX];
    static tmb_actors actors;
    tmb_context seen = tmb_context_of(seen_bases, TMB_ACTORS_MAX, NULL, 0);
    tmb_context heard = tmb_context_of(to_bases, TMB_ACTORS_MAX, NULL, 0);
    tmb_context ctx = tmb_context_of(ctx_bases, TMB_ACTORS_MAX, NULL, 0);
    tmb_chunk made;
    unsigned changed;
    standing(to, from, &seen);
    actors.count = 0;
    tmb_scope *scope = replica_begin(from);
    tmb_err err =
        tmb_scope_scan(scope, &seen, false, bytes_max, &actors, chunk, sizeof chunk, &heard, &made);
    if (err != TMB_OK)
        return err;
    assert_true(made.bytes <= bytes_max || made.leaves == 1);
    assert_int_equal(tmb_context_copy(&ctx, &scope->clock), TMB_OK);
    replica_end(from);
    err = tmb_scope_join_chunk(replica_begin(to), tmb_bytes_str(from->name),
                               tmb_bytes_of(chunk, made.bytes), &actors, &ctx, made.is_complete,
                               made.is_complete ? NULL : &heard, true, &changed);
    if (err != TMB_OK)
        return err;
    replica_end(to);
    *ret_is_complete = made.is_complete;
    if (made.is_complete)
        acknowledge(from, to);
    return TMB_OK;
}

void replica_pass(replica *from, replica *to)
{
    for (bool is_complete = false; !is_complete;)
        assert_int_equal(replica_chunk(from, to, 4096, &is_complete), TMB_OK);
}

/* from's view of one leaf, empty or not, as a chunk of its own. */
static void send_leaf(replica *from, replica *to, tmb_bytes key, const tmb_context *ctx)
{
    static tmb_leaf_item item;
    static tmb_leaves_state state;
    static tmb_actors actors;
    unsigned changed;
    tmb_writer w = tmb_writer_of(chunk, sizeof chunk);
    actors.count = 0;
    state.key_len = 0;
    assert_int_equal(tmb_scope_item(replica_begin(from), key, &item), TMB_OK);
    assert_int_equal(tmb_leaves_put(&w, &state, &actors, &item), TMB_OK);
    replica_end(from);
    assert_int_equal(tmb_scope_join_chunk(replica_begin(to), tmb_bytes_str(from->name),
                                          tmb_bytes_of(chunk, (size_t)(w.at - chunk)), &actors, ctx,
                                          false, NULL, true, &changed),
                     TMB_OK);
    replica_end(to);
}

void replica_reconcile(replica *from, replica *to)
{
    static tmb_base ctx_bases[TMB_ACTORS_MAX], floor_bases[TMB_ACTORS_MAX];
    static const tmb_actors none = {0};
    tmb_context ctx = tmb_context_of(ctx_bases, TMB_ACTORS_MAX, NULL, 0);
    tmb_context floor = tmb_context_of(floor_bases, TMB_ACTORS_MAX, NULL, 0);
    uint8_t key[TMB_LEAF_KEY_BYTES_MAX + 1], print[TMB_FINGERPRINT_BYTES];
    unsigned changed;
    assert_int_equal(tmb_context_copy(&ctx, &replica_begin(from)->clock), TMB_OK);
    assert_int_equal(tmb_context_copy(&floor, &from->at.floor), TMB_OK);
    replica_end(from);
    replica *sides[] = {from, to};
    for (unsigned side = 0; side < 2; side++) {
        size_t len = 0;
        for (;;) {
            tmb_bytes found;
            tmb_scope *scope = replica_begin(sides[side]);
            tmb_err err = tmb_scope_print_next(scope, tmb_bytes_of(key, len), tmb_bytes_of(NULL, 0),
                                               &found, print);
            if (err == TMB_ENOENT)
                break;
            assert_int_equal(err, TMB_OK);
            memcpy(key, found.ptr, found.len);
            key[found.len] = 0;
            len = found.len + 1;
            send_leaf(from, to, tmb_bytes_of(key, len - 1), &ctx);
        }
    }
    tmb_scope *scope = replica_begin(to);
    assert_int_equal(tmb_scope_raise_floor(scope, &floor), TMB_OK);
    assert_int_equal(tmb_scope_join_chunk(scope, tmb_bytes_str(from->name), tmb_bytes_of(NULL, 0),
                                          &none, &ctx, true, NULL, true, &changed),
                     TMB_OK);
    replica_end(to);
    acknowledge(from, to);
}

static const tmb_leaf *leaf_of(replica *r, tmb_type type, const char *path, const char *elem)
{
    static tmb_leaf leaf;
    tmb_leaf_key key = {tmb_bytes_str(path), type, tmb_bytes_str(elem)};
    assert_int_equal(tmb_scope_leaf(replica_begin(r), &key, &leaf), TMB_OK);
    return &leaf;
}

int64_t replica_count(replica *r, const char *path)
{
    return tmb_counter_read(TMB_TYPE_PN_COUNTER, leaf_of(r, TMB_TYPE_PN_COUNTER, path, ""), NULL);
}

const char *replica_text(replica *r, const char *path)
{
    static char text[64];
    const tmb_entry *entry = tmb_register_read(leaf_of(r, TMB_TYPE_REGISTER, path, ""));
    if (!entry)
        return "";
    tmb_bytes bytes = tmb_register_bytes(entry);
    (void)snprintf(text, sizeof text, "%.*s", (int)bytes.len, (const char *)bytes.ptr);
    return text;
}

bool replica_is_in(replica *r, tmb_type type, const char *path, const char *elem)
{
    return tmb_type_is_in(type, leaf_of(r, type, path, elem));
}

/* One row of the disk: tail behind the scope's name and the kind. */
static bool next_row(replica *r, uint8_t *at, size_t *len, char kind, tmb_bytes *tail,
                     tmb_bytes *value)
{
    static const char prefix[] = "line-7";
    tmb_bytes key;
    at[0] = 'l';
    memcpy(at, prefix, sizeof prefix);
    at[sizeof prefix] = (uint8_t)kind;
    if (*len == 0)
        *len = sizeof prefix + 1;
    if (r->kv.seek(r->kv.arg, tmb_bytes_of(at, *len), &key, value) != TMB_OK ||
        key.len <= sizeof prefix || memcmp(key.ptr, prefix, sizeof prefix) != 0 ||
        key.ptr[sizeof prefix] != (uint8_t)kind)
        return false;
    memcpy(at, key.ptr, key.len);
    at[key.len] = 0;
    *len = key.len + 1;
    *tail = tmb_bytes_of(at + sizeof prefix + 1, key.len - sizeof prefix - 1);
    return true;
}

/* Dots of a record, each of which must be in the index under this leaf. */
static uint64_t check_record(replica *r, tmb_bytes key, const tmb_leaf_item *item)
{
    uint8_t at[64];
    for (unsigned i = 0; i < item->leaf.count + item->removals_count; i++) {
        bool is_removal = i >= item->leaf.count;
        const tmb_dot *dot =
            is_removal ? &item->removals[i - item->leaf.count] : &item->leaf.entries[i].dot;
        tmb_writer w = tmb_writer_of(at, sizeof at);
        tmb_put_bytes(&w, tmb_bytes_of("line-7\0d", 8));
        tmb_put_bytes(&w, tmb_bytes_of(dot->actor.bytes, TMB_INCARNATION_BYTES));
        for (unsigned shift = 64; shift > 0; shift -= 8)
            tmb_put_u8(&w, (uint8_t)(dot->seq >> (shift - 8)));
        tmb_bytes value;
        assert_int_equal(r->kv.get(r->kv.arg, tmb_bytes_of(at, (size_t)(w.at - at)), &value),
                         TMB_OK);
        assert_int_equal(value.ptr[1], is_removal);
        assert_true(tmb_bytes_eq(tmb_bytes_of(value.ptr + 2, value.len - 2), key));
        bool is_seen = tmb_context_has(&r->at.clock, dot) ||
                       (item->extra && tmb_context_has(item->extra, dot));
        assert_true(is_seen);
    }
    return item->leaf.count + item->removals_count;
}

uint64_t replica_check(replica *r)
{
    static uint8_t at[4096];
    static tmb_leaf_item item;
    tmb_bytes tail, value;
    tmb_scope *scope = replica_begin(r);
    uint64_t dots = 0, removals = 0, rows = 0, extras = 0;
    for (size_t len = 0; next_row(r, at, &len, 'l', &tail, &value);) {
        assert_int_equal(tmb_scope_item(scope, tail, &item), TMB_OK);
        dots += check_record(r, tail, &item);
        removals += item.removals_count;
    }
    for (size_t len = 0; next_row(r, at, &len, 'd', &tail, &value);)
        rows++;
    assert_int_equal(rows, dots);
    rows = 0;
    for (size_t len = 0; next_row(r, at, &len, 'r', &tail, &value);)
        rows++;
    assert_int_equal(rows, removals);
    assert_int_equal(scope->removals, removals);
    for (size_t len = 0; next_row(r, at, &len, 'x', &tail, &value);)
        extras++;
    assert_int_equal(scope->extras, extras);
    uint64_t chains = 0;
    for (size_t len = 0; next_row(r, at, &len, 'c', &tail, &value);)
        chains++;
    assert_int_equal(scope->chains, chains);
    tmb_fingerprint sum;
    assert_int_equal(tmb_scope_range(scope, tmb_bytes_of(NULL, 0), tmb_bytes_of(NULL, 0), &sum),
                     TMB_OK);
    assert_true(tmb_fingerprint_eq(&sum, &scope->fingerprint));
    return dots;
}

bool replica_is_equal(replica *a, replica *b)
{
    static tmb_leaf one, other;
    static uint8_t bytes[2][512 * 1024];
    tmb_leaf_key key, *after = NULL;
    uint8_t kept[TMB_LEAF_KEY_BYTES_MAX];
    replica_begin(a);
    replica_begin(b);
    if (!tmb_context_eq(&a->at.clock, &b->at.clock) ||
        !tmb_fingerprint_eq(&a->at.fingerprint, &b->at.fingerprint))
        return false;
    while (tmb_scope_next(&a->at, tmb_bytes_of(NULL, 0), after, &key, &one) == TMB_OK) {
        size_t len = tmb_leaf_key_write(&key, kept);
        tmb_writer w = tmb_writer_of(bytes[0], sizeof bytes[0]);
        tmb_leaf_write(&w, &one);
        assert_int_equal(tmb_leaf_key_read(tmb_bytes_of(kept, len), &key), TMB_OK);
        assert_int_equal(tmb_scope_leaf(&b->at, &key, &other), TMB_OK);
        tmb_writer v = tmb_writer_of(bytes[1], sizeof bytes[1]);
        tmb_leaf_write(&v, &other);
        if (!tmb_bytes_eq(tmb_bytes_of(bytes[0], (size_t)(w.at - bytes[0])),
                          tmb_bytes_of(bytes[1], (size_t)(v.at - bytes[1]))))
            return false;
        after = &key;
    }
    return true;
}
