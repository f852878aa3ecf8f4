// SPDX-License-Identifier: Apache-2.0
/* tests/property/world.c - replicas as a store would keep them, and the same done to the oracle. */
#include "tests/property/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define V(name) TMB_VERB_##name
const world_place world_places[WORLD_LEAVES] = {
    {"m", "", TMB_TYPE_MAP, ORACLE_MAP, {V(NEW)}, 1},
    {"m/reg", "", TMB_TYPE_REGISTER, ORACLE_REGISTER, {V(SET)}, 1},
    {"m/up", "", TMB_TYPE_G_COUNTER, ORACLE_G_COUNTER, {V(COUNT)}, 1},
    {"m/pn", "", TMB_TYPE_PN_COUNTER, ORACLE_PN_COUNTER, {V(INC), V(DEC), V(RESET)}, 3},
    {"m/aw", "x", TMB_TYPE_AW_SET, ORACLE_AW_SET, {V(ADD), V(RM)}, 2},
    {"m/aw", "y", TMB_TYPE_AW_SET, ORACLE_AW_SET, {V(ADD), V(RM)}, 2},
    {"m/rw", "x", TMB_TYPE_RW_SET, ORACLE_RW_SET, {V(ADMIT), V(REVOKE)}, 2},
    {"m/gs", "x", TMB_TYPE_G_SET, ORACLE_G_SET, {V(INSERT)}, 1},
    {"m/on", "", TMB_TYPE_EW_FLAG, ORACLE_EW_FLAG, {V(ENABLE), V(DISABLE)}, 2},
    {"m/off", "", TMB_TYPE_DW_FLAG, ORACLE_DW_FLAG, {V(PERMIT), V(FORBID)}, 2},
    {"m/max", "", TMB_TYPE_MAX, ORACLE_MAX, {V(RAISE)}, 1},
    {"m/min", "", TMB_TYPE_MIN, ORACLE_MIN, {V(LOWER)}, 1},
    {"m/n", "", TMB_TYPE_MAP, ORACLE_MAP, {V(NEW)}, 1},
    {"m/n/reg", "", TMB_TYPE_REGISTER, ORACLE_REGISTER, {V(SET)}, 1},
    {"m/aw", "z", TMB_TYPE_AW_SET, ORACLE_AW_SET, {V(ADD), V(RM)}, 2},
    {"m/gs", "y", TMB_TYPE_G_SET, ORACLE_G_SET, {V(INSERT)}, 1},
    {"m/gs", "z", TMB_TYPE_G_SET, ORACLE_G_SET, {V(INSERT)}, 1},
};
#undef V

void world_context_init(world_context *c)
{
    c->context = tmb_context_of(c->bases, WORLD_ACTORS, c->runs, WORLD_RUNS);
}

void world_context_copy(world_context *c, const tmb_context *other)
{
    world_context_init(c);
    assert_int_equal(tmb_context_copy(&c->context, other), TMB_OK);
}

static void leaf_copy(tmb_leaf *to, const tmb_leaf *from)
{
    to->count = from->count;
    memcpy(to->entries, from->entries, from->count * sizeof *from->entries);
}

void world_replica_copy(world_replica *to, const world_replica *from)
{
    to->self = from->self;
    to->last = from->last;
    world_context_copy(&to->clock, &from->clock.context);
    for (unsigned i = 0; i < WORLD_LEAVES; i++) {
        leaf_copy(&to->leaves[i].leaf, &from->leaves[i].leaf);
        world_context_copy(&to->leaves[i].extra, &from->leaves[i].extra.context);
    }
}

/* Rising with i, so that arbitration by actor is the oracle's. */
static tmb_incarnation actor(unsigned i)
{
    tmb_incarnation a = {{0}};
    memset(a.bytes, (int)(0x11 * (i + 1)), sizeof a.bytes);
    return a;
}

void world_init(world *w, unsigned replicas)
{
    oracle_kind kinds[WORLD_LEAVES];
    for (unsigned i = 0; i < WORLD_LEAVES; i++)
        kinds[i] = world_places[i].kind;
    oracle_init(&w->oracle, replicas, kinds, WORLD_LEAVES);
    w->replicas_count = w->actors_count = replicas;
    w->used = w->deltas_count = 0;
    w->is_logging = false;
    for (unsigned i = 0; i < WORLD_TOKENS; i++)
        w->tokens[i].is_set = false;
    for (unsigned i = 0; i < replicas; i++) {
        world_replica *r = &w->replicas[i];
        r->self = actor(i);
        r->last = 0;
        world_context_init(&r->clock);
        for (unsigned k = 0; k < WORLD_LEAVES; k++) {
            r->leaves[k].leaf.count = 0;
            world_context_init(&r->leaves[k].extra);
        }
    }
}

tmb_seen world_seen(const world_replica *r, unsigned leaf)
{
    tmb_seen seen = {&r->clock.context, &r->leaves[leaf].extra.context};
    return seen;
}

/* Drops what the clock has come to cover of what was known beyond it. */
static void strip(world_replica *r, unsigned leaf)
{
    world_context *extra = &r->leaves[leaf].extra;
    if (tmb_context_covers(&r->clock.context, &extra->context))
        world_context_init(extra);
}

static void join(world_replica *r, unsigned leaf, const tmb_leaf *other, tmb_seen other_seen)
{
    tmb_leaf joined;
    bool is_forked = true;
    assert_int_equal(tmb_leaf_join(&r->leaves[leaf].leaf, world_seen(r, leaf), other, other_seen,
                                   &joined, &is_forked),
                     TMB_OK);
    assert_false(is_forked);
    leaf_copy(&r->leaves[leaf].leaf, &joined);
}

static oracle_says says_of(tmb_verb verb)
{
    switch ((int)verb) {
    case TMB_VERB_REVOKE:
    case TMB_VERB_FORBID:
        return ORACLE_DENIES;
    case TMB_VERB_RM:
    case TMB_VERB_DISABLE:
    case TMB_VERB_DEL:
        return ORACLE_TAKES;
    case TMB_VERB_INC:
    case TMB_VERB_DEC:
    case TMB_VERB_COUNT:
        return ORACLE_COUNTS;
    case TMB_VERB_RESET:
        return ORACLE_RESETS;
    default:
        return ORACLE_PUTS;
    }
}

static void log_delta(world *w, unsigned leaf, const tmb_delta *delta)
{
    if (!w->is_logging)
        return;
    assert_true(w->deltas_count < WORLD_DELTAS);
    world_delta *kept = &w->deltas[w->deltas_count++];
    kept->leaf = leaf;
    leaf_copy(&kept->entries, &delta->leaf);
    world_context_copy(&kept->context, &delta->context);
}

bool world_do(world *w, unsigned replica, unsigned leaf, tmb_verb verb, uint64_t stamp,
              unsigned number, const world_token *token)
{
    world_replica *r = &w->replicas[replica];
    uint8_t *value = &w->bytes[w->used];
    tmb_dot dot = {r->self, r->last + 1};
    static tmb_delta delta;
    assert_true(w->used + 64 < WORLD_BYTES);
    value[0] = (uint8_t)number;
    tmb_change change = {verb, {stamp}, tmb_bytes_of(value, 1), number};
    assert_true(tmb_change_room(&change) < 63);
    assert_int_equal(tmb_change_delta(world_places[leaf].type, &change, &r->leaves[leaf].leaf,
                                      token ? &token->contexts[leaf].context : NULL, &dot,
                                      value + 1, 63, &delta),
                     TMB_OK);
    assert_false(delta.is_saturated);
    bool is_event = oracle_do(&w->oracle, replica, leaf, says_of(verb), stamp,
                              verb == TMB_VERB_DEC ? -(int64_t)number : (int64_t)number,
                              token ? &token->seen[leaf] : NULL);
    if (is_event == delta.is_nothing)
        fail_msg("replica %u, %s %s: %s %u is %s, and should not be", replica,
                 world_places[leaf].path, world_places[leaf].elem, tmb_verb_str(verb), number,
                 delta.is_nothing ? "nothing" : "a change");
    if (delta.is_nothing)
        return false;
    w->used += 64;
    tmb_seen seen = {&delta.context, NULL};
    assert_true(tmb_context_has(&delta.context, &dot));
    assert_true(delta.leaf.count <= 1);
    join(r, leaf, &delta.leaf, seen);
    assert_int_equal(tmb_context_add(&r->clock.context, &dot), TMB_OK);
    r->last++;
    strip(r, leaf);
    log_delta(w, leaf, &delta);
    return true;
}

static bool is_below(const char *path, const char *map)
{
    size_t len = strlen(map);
    return strncmp(path, map, len) == 0 && (path[len] == 0 || path[len] == '/');
}

unsigned world_del(world *w, unsigned replica, const char *path, const world_token *token)
{
    unsigned changed = 0;
    for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++)
        if (is_below(world_places[leaf].path, path))
            changed += world_do(w, replica, leaf, TMB_VERB_DEL, 0, 0, token);
    return changed;
}

void world_sync(world *w, unsigned from, unsigned to, unsigned mask)
{
    world_replica *a = &w->replicas[from], *b = &w->replicas[to];
    for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++) {
        if (!(mask & 1u << leaf))
            continue;
        join(b, leaf, &a->leaves[leaf].leaf, world_seen(a, leaf));
        tmb_context *extra = &b->leaves[leaf].extra.context;
        assert_int_equal(tmb_context_join(extra, &a->clock.context), TMB_OK);
        assert_int_equal(tmb_context_join(extra, &a->leaves[leaf].extra.context), TMB_OK);
        oracle_show(&w->oracle, from, to, leaf);
    }
    if (mask == WORLD_ALL)
        assert_int_equal(tmb_context_join(&b->clock.context, &a->clock.context), TMB_OK);
    for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++)
        strip(b, leaf);
}

void world_read_token(world *w, unsigned replica, world_token *ret)
{
    const world_replica *r = &w->replicas[replica];
    ret->is_set = true;
    ret->replica = replica;
    for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++) {
        world_context_copy(&ret->contexts[leaf], &r->clock.context);
        assert_int_equal(
            tmb_context_join(&ret->contexts[leaf].context, &r->leaves[leaf].extra.context), TMB_OK);
        ret->seen[leaf] = w->oracle.visible[replica][leaf];
    }
}

void world_reincarnate(world *w, unsigned replica)
{
    assert_true(w->actors_count < WORLD_ACTORS);
    w->oracle.actors[replica] = w->actors_count;
    w->replicas[replica].self = actor(w->actors_count++);
    w->replicas[replica].last = 0;
}

/* What an entry says of its actor and its byte, as the oracle orders them. */
static uint64_t register_key(const tmb_entry *entry)
{
    tmb_bytes bytes = tmb_register_bytes(entry);
    assert_int_equal(bytes.len, 1);
    uint64_t who = entry->dot.actor.bytes[0] / 0x11u - 1;
    return tmb_register_stamp(entry).u64 << 16 | who << 8 | bytes.ptr[0];
}

static void read_register(const tmb_leaf *leaf, oracle_value *ret)
{
    const tmb_entry *read = tmb_register_read(leaf);
    for (unsigned i = 0; i < leaf->count; i++) {
        uint64_t key = register_key(&leaf->entries[i]);
        unsigned at = ret->values++;
        for (; at > 0 && ret->value[at - 1] > key; at--)
            ret->value[at] = ret->value[at - 1];
        ret->value[at] = key;
    }
    assert_int_equal(read != NULL, leaf->count > 0);
    if (read)
        assert_true(register_key(read) == ret->value[ret->values - 1]);
}

void world_value(unsigned leaf, const tmb_leaf *entries, oracle_value *ret)
{
    tmb_type type = world_places[leaf].type;
    bool is_saturated = false;
    ret->is_there = tmb_type_is_in(type, entries);
    ret->number = 0;
    ret->values = 0;
    if (type == TMB_TYPE_REGISTER)
        read_register(entries, ret);
    if (type == TMB_TYPE_G_COUNTER || type == TMB_TYPE_PN_COUNTER)
        ret->number = tmb_counter_read(type, entries, &is_saturated);
    if (type == TMB_TYPE_MAX || type == TMB_TYPE_MIN) {
        const tmb_entry *read = tmb_extreme_read(type, entries);
        ret->number = read ? read->value.ptr[0] : 0;
    }
    assert_false(is_saturated);
}

size_t world_leaf_bytes(const tmb_leaf *leaf, uint8_t *out)
{
    tmb_writer w = tmb_writer_of(out, WORLD_LEAF_BYTES);
    tmb_leaf_write(&w, leaf);
    assert_false(w.bad);
    assert_int_equal(w.at - out, tmb_leaf_size(leaf));
    return (size_t)(w.at - out);
}

/* One form: sorted, each once, valid, its dots seen; and the same again after its bytes. */
static void check_form(const world_replica *r, unsigned leaf)
{
    static uint8_t bytes[WORLD_LEAF_BYTES], again[WORLD_LEAF_BYTES];
    static tmb_leaf back;
    const tmb_leaf *entries = &r->leaves[leaf].leaf;
    for (unsigned i = 0; i < entries->count; i++) {
        const tmb_entry *entry = &entries->entries[i];
        assert_true(i == 0 || tmb_dot_cmp(&entries->entries[i - 1].dot, &entry->dot) < 0);
        assert_true(tmb_seen_has(world_seen(r, leaf), &entry->dot));
        assert_true(tmb_type_is_value_valid(world_places[leaf].type, entry->value));
    }
    size_t len = world_leaf_bytes(entries, bytes);
    tmb_reader reader = tmb_reader_of(tmb_bytes_of(bytes, len));
    assert_int_equal(tmb_leaf_read(&reader, &back), TMB_OK);
    assert_int_equal(tmb_reader_left(&reader), 0);
    assert_int_equal(world_leaf_bytes(&back, again), len);
    assert_memory_equal(bytes, again, len);
}

void world_check_leaf(const world *w, unsigned replica, unsigned leaf)
{
    const world_replica *r = &w->replicas[replica];
    oracle_value is, should;
    char is_text[256], should_text[256];
    world_value(leaf, &r->leaves[leaf].leaf, &is);
    oracle_read(&w->oracle, replica, leaf, &should);
    if (!oracle_value_eq(&is, &should))
        fail_msg("replica %u, %s %s after %u events: %s, which is not its value: %s", replica,
                 world_places[leaf].path, world_places[leaf].elem, w->oracle.events_count,
                 oracle_value_str(&is, is_text), oracle_value_str(&should, should_text));
    check_form(r, leaf);
}

void world_check(const world *w, unsigned replica)
{
    for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++)
        world_check_leaf(w, replica, leaf);
}

static void want_equal(const world_replica *a, const world_replica *b)
{
    static uint8_t a_bytes[WORLD_LEAF_BYTES], b_bytes[WORLD_LEAF_BYTES];
    assert_true(tmb_context_eq(&a->clock.context, &b->clock.context));
    for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++) {
        assert_true(tmb_context_is_empty(&a->leaves[leaf].extra.context));
        assert_true(tmb_context_is_empty(&b->leaves[leaf].extra.context));
        size_t len = world_leaf_bytes(&a->leaves[leaf].leaf, a_bytes);
        assert_int_equal(world_leaf_bytes(&b->leaves[leaf].leaf, b_bytes), len);
        assert_memory_equal(a_bytes, b_bytes, len);
    }
}

void world_meet(world *w)
{
    unsigned last = w->replicas_count - 1;
    for (unsigned i = 0; i < last; i++)
        world_sync(w, i, last, WORLD_ALL);
    for (unsigned i = 0; i < last; i++)
        world_sync(w, last, i, WORLD_ALL);
    for (unsigned i = 0; i <= last; i++) {
        world_check(w, i);
        want_equal(&w->replicas[i], &w->replicas[last]);
    }
}

static void step_change(world *w, tmb_rng *rng, unsigned replica, const world_token *token)
{
    unsigned leaf = (unsigned)tmb_rng_below(rng, WORLD_LEAVES);
    const world_place *place = &world_places[leaf];
    tmb_verb verb = place->verbs[tmb_rng_below(rng, place->verbs_count)];
    uint64_t dice = tmb_rng_below(rng, 20);
    if (dice == 0)
        (void)world_del(w, replica, "m", token);
    else if (dice == 1)
        (void)world_del(w, replica, "m/n", token);
    else if (dice < 4)
        (void)world_do(w, replica, leaf, TMB_VERB_DEL, 0, 0, token);
    else
        (void)world_do(w, replica, leaf, verb, 1 + tmb_rng_below(rng, 6),
                       (unsigned)tmb_rng_below(rng, 5), token);
}

void world_step(world *w, tmb_rng *rng)
{
    unsigned replica = (unsigned)tmb_rng_below(rng, w->replicas_count);
    unsigned other = (unsigned)tmb_rng_below(rng, w->replicas_count);
    world_token *token = &w->tokens[tmb_rng_below(rng, WORLD_TOKENS)];
    uint64_t dice = tmb_rng_below(rng, 100);
    if (w->oracle.events_count + WORLD_LEAVES > WORLD_DELTAS)
        return;
    if (dice < 45) {
        step_change(w, rng, replica, NULL);
    } else if (dice < 60) {
        if (token->is_set && token->replica == replica)
            step_change(w, rng, replica, token);
    } else if (dice < 70) {
        world_read_token(w, replica, token);
    } else if (dice < 72) {
        if (w->actors_count < WORLD_ACTORS)
            world_reincarnate(w, replica);
    } else if (other != replica && dice < 86) {
        world_sync(w, replica, other, WORLD_ALL);
    } else if (other != replica) {
        world_sync(w, replica, other, (unsigned)tmb_rng_below(rng, WORLD_ALL));
    }
    world_check(w, replica);
    world_check(w, other);
}
