// SPDX-License-Identifier: Apache-2.0
/* tests/property/state_converge.c - four nodes of a tree write, are cut off in the middle of passes, meet,
 * lapse and forget, in any order: at the end all hold the same bytes, and what the reference says.
 *
 *            0
 *          1   2
 *        3
 *
 * The reference knows nothing of clocks or joins: it keeps each value that was put, under its dot, and
 * crosses out those that a later operation had before its eyes. What is not crossed out is what must be
 * left, on every node: less is a loss, more is a resurrection. TMB_SEED=n plays one seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/property/seeds.h"
#include "tests/unit/state/replica.h"

enum { NODES = 4, LINKS = 3, STEPS = 150, PUTS_MAX = STEPS * 4 };

static const unsigned ENDS[LINKS][2] = {{0, 1}, {0, 2}, {1, 3}};

typedef struct place {
    tmb_verb put, take; /* take: none: only del takes it */
    tmb_type type;
    const char *path, *elem;
} place;

static const place PLACES[] = {
    {TMB_VERB_SET, TMB_VERB_NONE, TMB_TYPE_REGISTER, "r", ""},
    {TMB_VERB_SET, TMB_VERB_NONE, TMB_TYPE_REGISTER, "m/r", ""},
    {TMB_VERB_ADD, TMB_VERB_RM, TMB_TYPE_AW_SET, "s", "e1"},
    {TMB_VERB_ADD, TMB_VERB_RM, TMB_TYPE_AW_SET, "s", "e2"},
    {TMB_VERB_ADD, TMB_VERB_RM, TMB_TYPE_AW_SET, "m/s", "e3"},
    {TMB_VERB_INC, TMB_VERB_NONE, TMB_TYPE_PN_COUNTER, "c", ""},
    {TMB_VERB_INC, TMB_VERB_NONE, TMB_TYPE_PN_COUNTER, "m/c", ""},
    {TMB_VERB_ENABLE, TMB_VERB_DISABLE, TMB_TYPE_EW_FLAG, "f", ""},
};
#define PLACES_COUNT (sizeof PLACES / sizeof *PLACES)

typedef struct put {
    tmb_dot dot;
    unsigned place;
    bool is_gone;
} put;

typedef struct world {
    tmb_rng rng;
    replica nodes[NODES];
    bool is_up[LINKS];
    put puts[PUTS_MAX];
    unsigned puts_count;
    int64_t counted[PLACES_COUNT]; /* of counters nobody deletes */
    unsigned removed, lapsed, reconciled, cut;
} world;

static world w;

static uint64_t below(uint64_t n)
{
    return tmb_rng_below(&w.rng, n);
}

static tmb_leaf_key key_of(unsigned at)
{
    tmb_leaf_key key = {tmb_bytes_str(PLACES[at].path), PLACES[at].type,
                        tmb_bytes_str(PLACES[at].elem)};
    return key;
}

static void read_leaf(replica *r, unsigned at, tmb_leaf *leaf)
{
    tmb_leaf_key key = key_of(at);
    assert_int_equal(tmb_scope_leaf(replica_begin(r), &key, leaf), TMB_OK);
}

/* Everything of the leaf that the node sees now is crossed out; own_only: of its own. */
static void cross_out(replica *r, unsigned at, bool own_only)
{
    static tmb_leaf leaf;
    read_leaf(r, at, &leaf);
    for (unsigned i = 0; i < leaf.count; i++) {
        if (own_only && !tmb_incarnation_eq(leaf.entries[i].dot.actor, r->at.self))
            continue;
        for (unsigned j = 0; j < w.puts_count; j++)
            if (tmb_dot_cmp(&w.puts[j].dot, &leaf.entries[i].dot) == 0)
                w.puts[j].is_gone = true;
    }
}

static void operate(replica *r)
{
    unsigned at = (unsigned)below(PLACES_COUNT);
    const place *p = &PLACES[at];
    char value[16];
    (void)snprintf(value, sizeof value, "v%u", w.puts_count);
    if (below(12) == 0) {
        for (unsigned i = 0; i < PLACES_COUNT; i++)
            if (PLACES[i].path[0] == 'm')
                cross_out(r, i, false);
        tmb_verdict verdict = replica_do(r, TMB_VERB_DEL, "m", NULL);
        w.removed += verdict == TMB_VERDICT_DONE;
        return;
    }
    if (p->take != TMB_VERB_NONE && below(2) == 0) {
        cross_out(r, at, false);
        w.removed +=
            replica_do(r, p->take, p->path, p->elem[0] ? p->elem : NULL) == TMB_VERDICT_DONE;
        return;
    }
    cross_out(r, at, p->type == TMB_TYPE_PN_COUNTER);
    const char *said = p->elem[0] ? p->elem : p->type == TMB_TYPE_REGISTER ? value : NULL;
    assert_int_equal(replica_do(r, p->put, p->path, said), TMB_VERDICT_DONE);
    w.counted[at]++;
    tmb_scope *scope = replica_begin(r);
    w.puts[w.puts_count++] = (put){{scope->self, scope->last}, at, false};
}

static void meet(unsigned link)
{
    replica *a = &w.nodes[ENDS[link][0]], *b = &w.nodes[ENDS[link][1]];
    (void)replica_meet(a, b);
    (void)replica_meet(b, a);
    w.is_up[link] = true;
}

/* One chunk in one direction; a link may break behind it. */
static bool carry(unsigned link, bool is_back, size_t bytes_max)
{
    replica *from = &w.nodes[ENDS[link][is_back]], *to = &w.nodes[ENDS[link][!is_back]];
    bool is_complete = false;
    tmb_err err = replica_chunk(from, to, bytes_max, &is_complete);
    if (err == TMB_EGAP) {
        replica_reconcile(from, to);
        w.reconciled++;
        return true;
    }
    assert_int_equal(err, TMB_OK);
    return is_complete;
}

/* Links of the node are down, and its neighbours are not waited for any more. */
static void lapse(unsigned node)
{
    unsigned lapsed = 0, forgotten = 0;
    for (unsigned link = 0; link < LINKS; link++)
        if (ENDS[link][0] == node || ENDS[link][1] == node)
            w.is_up[link] = false;
    tmb_scope *scope = replica_begin(&w.nodes[node]);
    assert_int_equal(tmb_scope_lapse(scope, 2000, 500, UINT64_MAX, &lapsed), TMB_OK);
    assert_int_equal(tmb_scope_forget(scope, 1000, &forgotten), TMB_OK);
    replica_end(&w.nodes[node]);
    w.lapsed += lapsed;
}

static void act(void)
{
    unsigned link = (unsigned)below(LINKS);
    uint64_t what = below(100);
    if (what < 45) {
        operate(&w.nodes[below(NODES)]);
    } else if (what < 90) {
        if (!w.is_up[link])
            meet(link);
        (void)carry(link, below(2), 20 + below(120));
        if (below(3) == 0) {
            w.is_up[link] = false;
            w.cut++;
        }
    } else if (what < 93) {
        lapse((unsigned)below(NODES));
    } else {
        unsigned forgotten = 0;
        replica *r = &w.nodes[below(NODES)];
        assert_int_equal(tmb_scope_forget(replica_begin(r), 1 + (unsigned)below(3), &forgotten),
                         TMB_OK);
        replica_end(r);
    }
}

static void settle(void)
{
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned link = 0; link < LINKS; link++) {
            meet(link);
            for (unsigned is_back = 0; is_back < 2; is_back++)
                while (!carry(link, is_back, 64))
                    ;
        }
    }
    for (unsigned node = 0; node < NODES; node++) {
        unsigned forgotten = 0;
        assert_int_equal(tmb_scope_forget(replica_begin(&w.nodes[node]), 1000, &forgotten), TMB_OK);
        replica_end(&w.nodes[node]);
    }
}

/* The leaf holds what is not crossed out, and nothing else. */
static void judge(replica *r, unsigned at)
{
    static tmb_leaf leaf;
    unsigned expected = 0;
    read_leaf(r, at, &leaf);
    for (unsigned i = 0; i < w.puts_count; i++) {
        if (w.puts[i].place != at || w.puts[i].is_gone)
            continue;
        assert_non_null(tmb_leaf_find(&leaf, &w.puts[i].dot));
        expected++;
    }
    assert_int_equal(leaf.count, expected);
    if (PLACES[at].type == TMB_TYPE_PN_COUNTER && PLACES[at].path[0] != 'm')
        assert_int_equal(tmb_counter_read(TMB_TYPE_PN_COUNTER, &leaf, NULL), w.counted[at]);
}

static void judge_all(void)
{
    for (unsigned node = 0; node < NODES; node++) {
        replica *r = &w.nodes[node];
        uint64_t live = 0;
        for (unsigned at = 0; at < PLACES_COUNT; at++)
            judge(r, at);
        for (unsigned i = 0; i < w.puts_count; i++)
            live += !w.puts[i].is_gone;
        assert_int_equal(replica_check(r), live); /* every removal is forgotten */
        assert_int_equal(r->at.extras, 0);
        assert_true(r->at.chains <= 1);
        assert_true(replica_is_equal(r, &w.nodes[0]));
    }
}

static void test_all_orders_end_alike(void **state)
{
    (void)state;
    unsigned removed = 0, lapsed = 0, reconciled = 0, cut = 0;
    for (uint64_t seed = 0; seeds_next(&seed, 400);) {
        w = (world){.rng = {seed}};
        for (unsigned node = 0; node < NODES; node++)
            replica_open(&w.nodes[node], node + 1);
        for (unsigned step = 0; step < STEPS; step++) {
            act();
            if (step % 50 == 49)
                for (unsigned node = 0; node < NODES; node++)
                    (void)replica_check(&w.nodes[node]);
        }
        settle();
        judge_all();
        removed += w.removed;
        lapsed += w.lapsed;
        reconciled += w.reconciled;
        cut += w.cut;
        for (unsigned node = 0; node < NODES; node++)
            replica_close(&w.nodes[node]);
    }
    print_message("%u removals, %u lapsed, %u reconciled, %u cut\n", removed, lapsed, reconciled,
                  cut);
    assert_true(getenv("TMB_SEED") ||
                (removed > 100 && lapsed > 50 && reconciled > 20 && cut > 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_all_orders_end_alike, seeds_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
