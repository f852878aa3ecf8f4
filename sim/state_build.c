// SPDX-License-Identifier: Apache-2.0
/* sim/state_build.c - who is there: a top, none to two hubs, two to eight sites, and boxes for clones. */
#include <stdlib.h>

#include "sim/state_world.h"

const char *const state_scopes[STATE_SCOPES_MAX] = {"fleet", "line-1"};

/* A length of time, as often short as long in its magnitude. */
int64_t state_span(tmb_rng *rng, int64_t least_ns, int64_t most_ns)
{
    int64_t top = least_ns;
    unsigned doublings = 0;
    while (top < most_ns / 2) {
        top *= 2;
        doublings++;
    }
    for (uint64_t i = tmb_rng_below(rng, doublings + 1); i > 0; i--)
        least_ns *= 2;
    return least_ns + sim_span(rng, least_ns);
}

static void draw_world(state_world *world)
{
    static const size_t chunks[] = {0, 0, 120, 400};
    for (unsigned kind = 0; kind < STATE_KINDS; kind++)
        world->has[kind] = sim_chance(&world->fate, 500);
    uint64_t length = tmb_rng_below(&world->fate, 10);
    if (length < 4)
        world->end_ns = sim_between(&world->fate, 300000, 3600000);
    else if (length < 8)
        world->end_ns = STATE_DAY + sim_span(&world->fate, 6 * STATE_DAY);
    else
        world->end_ns = 40 * STATE_DAY + sim_span(&world->fate, 30 * STATE_DAY);
    world->scopes_count = 1 + (unsigned)tmb_rng_below(&world->fate, STATE_SCOPES_MAX);
    world->chunk_bytes = chunks[tmb_rng_below(&world->fate, 4)];
    world->knows_fallbacks = sim_chance(&world->fate, 500);
    world->unstable_max = world->has[STATE_LAPSE] && sim_chance(&world->fate, 500) ? 4 : 1000000;
    world->ops = 50 + (unsigned)tmb_rng_below(&world->fate, 200);
}

static bool build_node(state_world *world, unsigned index, const char *name, unsigned number,
                       unsigned tier)
{
    state_node *node = &world->nodes[index];
    snprintf(node->name, sizeof node->name, number > 0 ? "%s%u" : "%s", name, number);
    node->index = index;
    node->tier = tier;
    node->holds[0] = true;
    node->holds[1] = world->scopes_count > 1 && (tier < 2 || number % 2 == 1);
    node->ends = calloc(STATE_NODES_MAX, sizeof *node->ends);
    node->exchange = calloc(1, sizeof *node->exchange);
    node->box.views = calloc(STATE_SCOPES_MAX, sizeof *node->box.views);
    node->box.port = kv_memory_port(&node->box.disk);
    if (node->ends == NULL || node->exchange == NULL || node->box.views == NULL)
        return false;
    node->exchange->room = world->room;
    return true;
}

static bool build_nodes(state_world *world)
{
    unsigned hubs = (unsigned)tmb_rng_below(&world->fate, 3);
    unsigned sites = 2 + (unsigned)tmb_rng_below(&world->fate, hubs > 0 ? 7 : 4);
    bool is_good = build_node(world, 0, "top", 0, 0);
    unsigned count = 1;
    for (unsigned i = 0; is_good && i < hubs; i++, count++)
        is_good = build_node(world, count, "hub", i + 1, 1);
    for (unsigned i = 0; is_good && i < sites; i++, count++) {
        state_node *node = &world->nodes[count];
        is_good = build_node(world, count, "s", i + 1, 2);
        node->parents_count = 1;
        if (hubs > 0 && !sim_chance(&world->fate, 200))
            node->parents[0] = 1 + (unsigned)tmb_rng_below(&world->fate, hubs);
        if (hubs == 2 && node->parents[0] > 0 && world->has[STATE_FALLBACK]) {
            node->parents[1] = 3 - node->parents[0];
            node->parents_count = 2;
            /* The parent that it is not at waits for it, until it lapses (ADR 29). */
            world->removals_max = UINT64_MAX;
        }
        node->parent = node->parents[0];
    }
    for (unsigned i = 1; i < 1 + hubs; i++)
        world->nodes[i].parents_count = 1;
    for (unsigned i = 0; i < count; i++)
        world->nodes[i].is_there = true;
    world->result->nodes = count;
    world->result->scopes = world->scopes_count;
    world->first_site = 1 + hubs;
    world->sites = sites;
    for (unsigned i = 0; is_good && i < STATE_CLONES_MAX; i++, count++)
        is_good = build_node(world, count, "c", i + 1, 2);
    world->nodes_count = count;
    return is_good;
}

void state_build(state_world *world)
{
    world->nodes = calloc(STATE_NODES_MAX, sizeof *world->nodes);
    world->tokens = calloc(STATE_TOKENS_MAX, sizeof *world->tokens);
    world->room = calloc(1, sizeof *world->room);
    world->scope = calloc(1, sizeof *world->scope);
    draw_world(world);
    if (world->nodes == NULL || world->tokens == NULL || world->room == NULL ||
        world->scope == NULL || !build_nodes(world))
        state_fail(world, "no memory");
}

void state_demolish(state_world *world)
{
    for (unsigned i = 0; world->nodes != NULL && i < STATE_NODES_MAX; i++) {
        state_node *node = &world->nodes[i];
        if (node->ends == NULL)
            continue;
        state_node_empty(world, node);
        state_box_free(&node->box);
        if (node->has_image)
            state_box_free(&node->image);
        for (unsigned g = 0; g < node->graves_count * STATE_SCOPES_MAX; g++)
            state_view_free(&node->graves[g]);
        free(node->graves);
        free(node->ends);
        free(node->exchange);
    }
    sim_heap_free(&world->heap, state_frame_free);
    state_book_free(&world->book);
    free(world->nodes);
    free(world->tokens);
    free(world->room);
    free(world->scope);
}
