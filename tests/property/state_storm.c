// SPDX-License-Identifier: Apache-2.0
/* tests/property/state_storm.c - machines of sync in a tree of nodes: operations anywhere, lines that come,
 * go and lose frames, neighbours that lapse and removals that are forgotten, boxes that lose power; in the
 * end all are equal, and each counter shows what was counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "tests/property/seeds.h"
#include "tests/unit/state/world.h"

#define SEEDS 60u
#define STEPS 120u

typedef struct storm {
    world w;
    tmb_rng rng;
    unsigned loss_percent;
    int64_t counted;
} storm;

static unsigned below(storm *s, unsigned n)
{
    return (unsigned)tmb_rng_below(&s->rng, n);
}

static bool lose_some(void *arg, unsigned from, const tmb_frame *frame)
{
    storm *s = arg;
    (void)from;
    (void)frame;
    return below(s, 100) < s->loss_percent;
}

/* A name of few, so that they meet. */
static void operate(storm *s, unsigned node)
{
    static const tmb_verb verbs[] = {TMB_VERB_SET,    TMB_VERB_ADD,    TMB_VERB_RM,
                                     TMB_VERB_ADMIT,  TMB_VERB_DEL,    TMB_VERB_REVOKE,
                                     TMB_VERB_ENABLE, TMB_VERB_DISABLE};
    char path[32], value[32];
    tmb_verb verb = verbs[below(s, 8)];
    snprintf(path, sizeof path, "p%u/q%u", below(s, 3), below(s, 6));
    snprintf(value, sizeof value, "v%u", below(s, verb == TMB_VERB_SET ? 1000000 : 4));
    bool has_value = verb != TMB_VERB_DEL && verb != TMB_VERB_ENABLE && verb != TMB_VERB_DISABLE;
    (void)world_try(&s->w, node, verb, path, has_value ? value : NULL, 0);
    if (below(s, 4) > 0)
        return;
    unsigned amount = 1 + below(s, 5);
    world_op(&s->w, node, TMB_VERB_INC, "counted", NULL, amount);
    s->counted += amount;
}

static void step(storm *s)
{
    unsigned line = below(s, s->w.lines_count), node = below(s, s->w.nodes_count);
    unsigned what = below(s, 20);
    if (what < 9) {
        operate(s, node);
    } else if (what < 12) {
        if (s->w.lines[line].is_up)
            world_down(&s->w, line);
        else
            world_up(&s->w, line, below(s, 2) == 0);
    } else if (what < 13) {
        world_lapse(&s->w, node);
    } else if (what < 14) {
        world_cut(&s->w, node);
    } else if (what < 15) {
        s->loss_percent = below(s, 3) == 0 ? below(s, 40) : 0;
    } else {
        (void)world_run(&s->w, below(s, 700));
    }
}

static void settle(storm *s)
{
    s->loss_percent = 0;
    for (unsigned round = 0; round < 2;
         round++) /* who was lapsed in the first is met in the second */
        for (unsigned i = 0; i < s->w.lines_count; i++) {
            if (s->w.lines[i].is_up)
                world_down(&s->w, i);
            world_up(&s->w, i, round == 0);
        }
    assert_true(world_run(&s->w, 3600000));
}

static int64_t counter_of(world *w, unsigned node)
{
    tmb_leaf_key key = {.path = tmb_bytes_str("counted"), .type = TMB_TYPE_PN_COUNTER};
    tmb_leaf *leaf = calloc(1, sizeof *leaf);
    bool is_saturated;
    assert_non_null(leaf);
    assert_int_equal(tmb_scope_leaf(world_load(w, node), &key, leaf), TMB_OK);
    int64_t sum = tmb_counter_read(TMB_TYPE_PN_COUNTER, leaf, &is_saturated);
    free(leaf);
    return sum;
}

static void weather(uint64_t seed)
{
    storm *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->rng.state = seed;
    unsigned nodes = 2 + below(s, 4);
    world_init(&s->w, nodes);
    s->w.random = seed * 1000003;
    s->w.chunk_bytes = 60 + below(s, 400);
    for (unsigned i = 1; i < nodes; i++) {
        unsigned line = world_join(&s->w, below(s, i), i);
        s->w.lines[line].loses = lose_some;
        s->w.lines[line].arg = s;
        if (below(s, 2) == 0)
            world_up(&s->w, line, false);
    }
    for (unsigned i = 0; i < STEPS; i++)
        step(s);
    settle(s);
    for (unsigned i = 1; i < nodes; i++)
        assert_true(world_is_equal(&s->w, 0, i));
    assert_int_equal(counter_of(&s->w, 0), s->counted);
    world_free(&s->w);
    free(s);
}

static void all_end_with_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seeds_next(&seed, SEEDS);)
        weather(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(all_end_with_the_same, seeds_tell)};
    return cmocka_run_group_tests_name("property.state.storm", tests, NULL, NULL);
}
