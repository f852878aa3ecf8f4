// SPDX-License-Identifier: Apache-2.0
/* tests/property/state_oracle.c - the store held against the specification that its kernel was held against.
 *
 *   n0 --- n1 --- n2       each a scope on a disk in memory
 *
 * Operations of every type with and without tokens, of this node or another, removals of maps, new
 * incarnations; passes that break off after any chunk and go on later, while both sides change. After each
 * step the nodes it touched must read as the oracle says, leaf for leaf. When all have met, they have equal
 * bytes, and of what was removed nothing is left: neither leaves nor entries about removals.
 *
 * What the oracle is told of a chunk: its leaves as their sender sees them; of a complete one besides, of
 * every leaf, what the sender's clock covers.
 *
 * Who is in the midst of a pass of somebody's and completes one of his own tells less: where a dot that his
 * clock covers was outdone by one that it does not yet cover, neither is sent. Who hears that has a leaf for
 * some time that no set of events explains. Such histories are played as well, every other seed, but only
 * what comes of them is looked at.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "tests/property/seeds.h"
#include "tests/property/world.h"
#include "tests/unit/state/replica.h"

enum {
    NODES = 3,
    STEPS = 90,
    TOKENS = 4,
    CHUNK_BYTES = 1 << 16,
    ACTORS = 14,
    NUMBER_OF_FIRST = 0x11
};

typedef struct token {
    size_t len;
    uint8_t bytes[TMB_TOKEN_BYTES_MAX];
    oracle_set seen[WORLD_LEAVES];
} token;

static replica nodes[NODES];
static oracle spec;
static tmb_dot dots[ORACLE_EVENTS_MAX]; /* of each event */
static token tokens[TOKENS];
static unsigned actors_count;
static bool is_asked;                /* the oracle, after each step */
static unsigned order[WORLD_LEAVES]; /* as the store's keys are */

static size_t key_of(unsigned leaf, uint8_t *out)
{
    const world_place *place = &world_places[leaf];
    tmb_leaf_key key = {tmb_bytes_str(place->path), place->type, tmb_bytes_str(place->elem)};
    return tmb_leaf_key_write(&key, out);
}

static int by_key(const void *a, const void *b)
{
    uint8_t x[TMB_LEAF_KEY_BYTES_MAX] = {0}, y[TMB_LEAF_KEY_BYTES_MAX] = {0};
    (void)key_of(*(const unsigned *)a, x);
    (void)key_of(*(const unsigned *)b, y);
    return memcmp(x, y, sizeof x); /* zeroes behind: a key that begins another sorts before it */
}

static void check(unsigned node)
{
    if (!is_asked)
        return;
    static tmb_leaf leaf;
    tmb_scope *scope = replica_begin(&nodes[node]);
    for (unsigned i = 0; i < WORLD_LEAVES; i++) {
        const world_place *place = &world_places[i];
        tmb_leaf_key key = {tmb_bytes_str(place->path), place->type, tmb_bytes_str(place->elem)};
        oracle_value is, should;
        char is_text[256], should_text[256];
        assert_int_equal(tmb_scope_leaf(scope, &key, &leaf), TMB_OK);
        world_value(i, &leaf, &is);
        oracle_read(&spec, node, i, &should);
        if (!oracle_value_eq(&is, &should))
            fail_msg("n%u, %s %s after %u events: %s, which is not its value: %s", node,
                     place->path, place->elem, spec.events_count, oracle_value_str(&is, is_text),
                     oracle_value_str(&should, should_text));
    }
}

/* What node sees of leaf that clock covers. */
static oracle_set covered(unsigned node, unsigned leaf, const tmb_context *clock)
{
    oracle_set set = spec.visible[node][leaf];
    for (unsigned i = 0; i < spec.events_count; i++)
        if (!tmb_context_has(clock, &dots[i]))
            set.words[i / 64] &= ~(UINT64_C(1) << (i % 64));
    return set;
}

static void see(unsigned node, unsigned leaf, const oracle_set *set)
{
    for (unsigned i = 0; i < ORACLE_EVENTS_MAX / 64; i++)
        spec.visible[node][leaf].words[i] |= set->words[i];
}

static oracle_says says_of(tmb_verb verb)
{
    if (verb == TMB_VERB_REVOKE || verb == TMB_VERB_FORBID)
        return ORACLE_DENIES;
    if (verb == TMB_VERB_RM || verb == TMB_VERB_DISABLE || verb == TMB_VERB_DEL)
        return ORACLE_TAKES;
    if (verb == TMB_VERB_INC || verb == TMB_VERB_DEC || verb == TMB_VERB_COUNT)
        return ORACLE_COUNTS;
    return verb == TMB_VERB_RESET ? ORACLE_RESETS : ORACLE_PUTS;
}

/* The same for the oracle; gives whether that is an event, under the node's next dot. */
static bool note(unsigned node, unsigned leaf, const tmb_op *op, uint8_t value, const token *read,
                 uint64_t *last)
{
    int64_t number =
        op->verb == TMB_VERB_SET || op->verb == TMB_VERB_RAISE || op->verb == TMB_VERB_LOWER
            ? value
            : (int64_t)op->amount;
    tmb_dot dot = {nodes[node].at.self, *last + 1};
    if (!oracle_do(&spec, node, leaf, says_of(op->verb), op->stamp.u64,
                   op->verb == TMB_VERB_DEC ? -number : number, read ? &read->seen[leaf] : NULL))
        return false;
    dots[spec.events_count - 1] = dot;
    *last = dot.seq;
    return true;
}

/* Applies op, whose leaves are these in the order of their dots. */
static void apply(unsigned node, tmb_op *op, uint8_t value, const unsigned *leaves, unsigned count,
                  const token *read)
{
    bool is_covered = true;
    uint64_t last = replica_begin(&nodes[node])->last;
    if (read) {
        tmb_context_room room;
        tmb_context seen = tmb_context_in(&room);
        tmb_reader r = tmb_reader_of(tmb_bytes_of(read->bytes + 9, read->len - 9));
        assert_int_equal(tmb_context_get(&r, &seen), TMB_OK);
        is_covered = tmb_context_covers(&nodes[node].at.clock, &seen);
        op->token = tmb_bytes_of(read->bytes, read->len);
    }
    tmb_verdict verdict = replica_apply(&nodes[node], op);
    if (!is_covered) {
        assert_int_equal(verdict, TMB_VERDICT_AHEAD);
        return;
    }
    unsigned events = 0;
    for (unsigned i = 0; is_asked && i < count; i++)
        events += note(node, leaves[i], op, value, read, &last);
    if (!is_asked)
        return;
    assert_int_equal(verdict, events > 0 ? TMB_VERDICT_DONE : TMB_VERDICT_SAME);
    assert_int_equal(replica_begin(&nodes[node])->last, last);
}

static bool is_below(const char *path, const char *map)
{
    size_t len = strlen(map);
    return strncmp(path, map, len) == 0 && (path[len] == 0 || path[len] == '/');
}

static void step_del(unsigned node, const char *path, const token *read)
{
    unsigned leaves[WORLD_LEAVES], count = 0;
    tmb_op op = {.verb = TMB_VERB_DEL, .path = tmb_bytes_str(path)};
    for (unsigned i = 0; i < WORLD_LEAVES; i++)
        if (is_below(world_places[order[i]].path, path))
            leaves[count++] = order[i];
    apply(node, &op, 0, leaves, count, read);
}

/* Elements of one set that come in one operation: this one, and the next of its path. */
static unsigned elements(tmb_rng *rng, unsigned leaf, unsigned *leaves, tmb_bytes *values)
{
    unsigned count = 0;
    for (unsigned i = 0; i < WORLD_LEAVES; i++) {
        bool is_other = i != leaf;
        if (strcmp(world_places[i].path, world_places[leaf].path) != 0 ||
            (is_other && tmb_rng_below(rng, 3) > 0))
            continue;
        values[count] = tmb_bytes_str(world_places[i].elem);
        leaves[count++] = i;
    }
    return count;
}

static void step_op(tmb_rng *rng, unsigned node, const token *read)
{
    unsigned leaf = (unsigned)tmb_rng_below(rng, WORLD_LEAVES), leaves[WORLD_LEAVES] = {leaf};
    const world_place *place = &world_places[leaf];
    uint8_t byte = (uint8_t)tmb_rng_below(rng, 5);
    tmb_bytes values[WORLD_LEAVES] = {tmb_bytes_of(&byte, 1)};
    tmb_op op = {.verb = place->verbs[tmb_rng_below(rng, place->verbs_count)],
                 .path = tmb_bytes_str(place->path),
                 .values = values,
                 .values_count = 1,
                 .amount = tmb_rng_below(rng, 5),
                 .stamp = {1 + tmb_rng_below(rng, 6)}};
    unsigned count = 1;
    if (tmb_type_is_set(place->type))
        count = op.values_count = elements(rng, leaf, leaves, values);
    apply(node, &op, byte, leaves, count, read);
}

static void step_change(tmb_rng *rng, unsigned node, const token *read)
{
    uint64_t dice = tmb_rng_below(rng, 20);
    if (dice == 0)
        step_del(node, "m", read);
    else if (dice == 1)
        step_del(node, "m/n", read);
    else if (dice < 4)
        step_del(node, world_places[tmb_rng_below(rng, WORLD_LEAVES)].path, read);
    else
        step_op(rng, node, read);
}

static void read_token(unsigned node, token *ret)
{
    tmb_scope *scope = replica_begin(&nodes[node]);
    assert_int_equal(
        tmb_scope_token(scope, tmb_bytes_of(NULL, 0), ret->bytes, sizeof ret->bytes, &ret->len),
        TMB_OK);
    for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++)
        ret->seen[leaf] = covered(node, leaf, &scope->clock);
}

static void reincarnate(unsigned node)
{
    if (actors_count == ACTORS)
        return;
    tmb_scope *scope = replica_begin(&nodes[node]);
    uint64_t last = scope->last;
    spec.actors[node] = actors_count++;
    assert_int_equal(
        tmb_scope_reincarnate(scope, replica_incarnation(NUMBER_OF_FIRST * (spec.actors[node] + 1)),
                              last),
        TMB_OK);
    replica_end(&nodes[node]);
}

/* The leaves of a chunk, as their sender sees them. */
static void see_chunk(unsigned from, unsigned to, tmb_bytes chunk, const tmb_actors *actors)
{
    static tmb_leaves_state state;
    static tmb_leaf_item item;
    uint8_t key[TMB_LEAF_KEY_BYTES_MAX];
    tmb_reader r = tmb_reader_of(chunk);
    state.key_len = 0;
    while (tmb_leaves_get(&r, &state, actors, &item) == TMB_OK) {
        unsigned leaf = 0;
        while (leaf < WORLD_LEAVES && !tmb_bytes_eq(tmb_bytes_of(key, key_of(leaf, key)),
                                                    tmb_bytes_of(state.key, state.key_len)))
            leaf++;
        assert_true(leaf < WORLD_LEAVES);
        oracle_show(&spec, from, to, leaf);
    }
    assert_int_equal(tmb_reader_left(&r), 0);
}

/* Where to stands towards from: its clock, and what it heard in a pass that is not over. */
static void standing(unsigned to, unsigned from, tmb_context *ret)
{
    static tmb_neighbour neighbour;
    tmb_scope *scope = replica_begin(&nodes[to]);
    assert_int_equal(tmb_context_copy(ret, &scope->clock), TMB_OK);
    assert_int_equal(tmb_scope_neighbour_get(scope, tmb_bytes_str(nodes[from].name), &neighbour),
                     TMB_OK);
    assert_int_equal(tmb_context_join(ret, &neighbour.heard), TMB_OK);
}

/* One chunk of from's pass towards to; gives whether the pass is over. */
static bool send_chunk(unsigned from, unsigned to, size_t bytes_max)
{
    static uint8_t bytes[CHUNK_BYTES];
    static tmb_actors actors;
    static tmb_context_room seen_room, heard_room, ctx_room;
    tmb_context seen = tmb_context_in(&seen_room), heard = tmb_context_in(&heard_room),
                ctx = tmb_context_in(&ctx_room);
    tmb_chunk made;
    unsigned changed;
    standing(to, from, &seen);
    actors.count = 0;
    tmb_scope *scope = replica_begin(&nodes[from]);
    assert_int_equal(
        tmb_scope_scan(scope, &seen, false, bytes_max, &actors, bytes, sizeof bytes, &heard, &made),
        TMB_OK);
    if (is_asked && made.is_complete && scope->extras > 0)
        return true; /* tells less: see above */
    assert_int_equal(tmb_context_copy(&ctx, &scope->clock), TMB_OK);
    replica_end(&nodes[from]);
    tmb_bytes chunk = tmb_bytes_of(bytes, made.bytes);
    assert_int_equal(tmb_scope_join_chunk(
                         replica_begin(&nodes[to]), tmb_bytes_str(nodes[from].name), chunk, &actors,
                         &ctx, made.is_complete, made.is_complete ? NULL : &heard, true, &changed),
                     TMB_OK);
    replica_end(&nodes[to]);
    if (is_asked)
        see_chunk(from, to, chunk, &actors);
    for (unsigned leaf = 0; made.is_complete && leaf < WORLD_LEAVES; leaf++) {
        oracle_set set = covered(from, leaf, &ctx);
        see(to, leaf, &set);
    }
    if (!made.is_complete)
        return false;
    assert_int_equal(tmb_context_copy(&ctx, &replica_begin(&nodes[to])->clock), TMB_OK);
    assert_int_equal(
        tmb_scope_acked(replica_begin(&nodes[from]), tmb_bytes_str(nodes[to].name), &ctx, 1000),
        TMB_OK);
    replica_end(&nodes[from]);
    return true;
}

static void pass(unsigned from, unsigned to)
{
    while (!send_chunk(from, to, 4096))
        continue;
}

static void step(tmb_rng *rng)
{
    unsigned node = (unsigned)tmb_rng_below(rng, NODES);
    unsigned other = node == 1 ? (unsigned)tmb_rng_below(rng, 2) * 2 : 1;
    token *read = &tokens[tmb_rng_below(rng, TOKENS)];
    uint64_t dice = tmb_rng_below(rng, 100);
    if (spec.events_count + WORLD_LEAVES > ORACLE_EVENTS_MAX)
        return;
    if (dice < 45)
        step_change(rng, node, NULL);
    else if (dice < 58 && read->len > 0)
        step_change(rng, node, read);
    else if (dice < 66)
        read_token(node, read);
    else if (dice < 68)
        reincarnate(node);
    else if (dice < 80)
        pass(node, other);
    else
        (void)send_chunk(node, other, 1 + tmb_rng_below(rng, 200));
    check(node);
    check(other);
    if (tmb_rng_below(rng, 8) == 0)
        (void)replica_check(&nodes[node]);
}

static void meet_all(void)
{
    (void)replica_meet(&nodes[0], &nodes[1]);
    (void)replica_meet(&nodes[1], &nodes[0]);
    (void)replica_meet(&nodes[1], &nodes[2]);
    (void)replica_meet(&nodes[2], &nodes[1]);
}

static void begin(void)
{
    oracle_kind kinds[WORLD_LEAVES];
    for (unsigned i = 0; i < WORLD_LEAVES; i++)
        kinds[i] = world_places[i].kind;
    oracle_init(&spec, NODES, kinds, WORLD_LEAVES);
    actors_count = NODES;
    memset(tokens, 0, sizeof tokens);
    for (unsigned i = 0; i < NODES; i++)
        replica_open(&nodes[i], NUMBER_OF_FIRST * (i + 1));
    meet_all();
}

/* All see everything, whichever way it came. */
static void see_all(void)
{
    for (unsigned leaf = 0; leaf < WORLD_LEAVES; leaf++)
        for (unsigned from = 0; from < NODES; from++)
            for (unsigned to = 0; to < NODES; to++)
                oracle_show(&spec, from, to, leaf);
}

static void converge(void)
{
    bool was_asked = is_asked;
    is_asked = false;
    for (unsigned round = 0; round < 4; round++) {
        pass(0, 1);
        pass(2, 1);
        pass(1, 0);
        pass(1, 2);
    }
    is_asked = was_asked;
    see_all();
    for (unsigned i = 0; i < NODES; i++) {
        check(i);
        (void)replica_check(&nodes[i]);
        assert_int_equal(replica_begin(&nodes[i])->removals, 0);
        assert_int_equal(nodes[i].at.extras, 0);
        assert_true(replica_is_equal(&nodes[i], &nodes[1]));
    }
}

static void end(void)
{
    for (unsigned i = 0; i < NODES; i++)
        replica_close(&nodes[i]);
}

static void every_node_reads_as_the_oracle_says(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WORLD_LEAVES; i++)
        order[i] = i;
    qsort(order, WORLD_LEAVES, sizeof *order, by_key);
    for (uint64_t seed = 0; seeds_next(&seed, 300);) {
        tmb_rng rng = {seed};
        is_asked = seed % 2 == 0;
        begin();
        for (unsigned i = 0; i < STEPS; i++)
            step(&rng);
        converge();
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_node_reads_as_the_oracle_says, seeds_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
