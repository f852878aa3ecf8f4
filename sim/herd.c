// SPDX-License-Identifier: Apache-2.0
/* sim/herd.c - the clock of the herd world, and its figures. See sim/herd.h.
 *
 * The first sites connect at no cost, so that each has what a hub tells; then the hub goes. Numbers are whole
 * everywhere: a run is the same on every machine. */
#include "sim/herd_world.h"

#include <stdlib.h>

#define SECOND_NS INT64_C(1000000000)

const char *sim_backoff_str(sim_backoff backoff)
{
    static const char *const names[SIM_BACKOFFS] = {"window", "full", "decorrelated"};
    return (unsigned)backoff < SIM_BACKOFFS ? names[backoff] : "unknown";
}

void herd_options_init(herd_options *options)
{
    *options = (herd_options){.seed = 1,
                              .sites = 500,
                              .rate = 200,
                              .backoff = SIM_BACKOFF_WINDOW,
                              .window_permille = 1000,
                              .backoff_base_ms = 1000,
                              .backoff_cap_ms = 60000,
                              .limit_ms = 4 * INT64_C(3600000)};
}

void herd_hash(herd_world *world, uint64_t number)
{
    world->result->hash = (world->result->hash ^ number) * UINT64_C(0x100000001b3);
}

void herd_post(herd_world *world, herd_kind kind, uint32_t site, uint64_t run, uint64_t number,
               int64_t at_ns, const tmb_frame *frame)
{
    sim_event event = {.at_ns = at_ns, .kind = kind, .node = site, .run = run, .number = number};
    if (frame != NULL) {
        tmb_frame *copy = malloc(sizeof *copy);
        if (copy != NULL)
            *copy = *frame;
        event.load = copy;
        world->is_out_of_memory = world->is_out_of_memory || copy == NULL;
    }
    if (!sim_heap_push(&world->heap, &event)) {
        world->is_out_of_memory = true;
        free(event.load);
    }
}

uint64_t herd_log_end(const herd_world *world)
{
    int64_t ms = world->now_ns / 1000000;
    return (uint64_t)ms * world->options->live_milli / 1000000;
}

static uint64_t count_backlog(const herd_world *world)
{
    uint64_t born = herd_log_end(world) * world->options->sites;
    return born > world->marks_sum ? born - world->marks_sum : 0;
}

/* A second that nothing happened in has what the one before it had. */
herd_second *herd_this_second(herd_world *world)
{
    herd_result *result = world->result;
    if (world->gone_ns == INT64_MAX)
        return NULL;
    size_t second = (size_t)((world->now_ns - world->gone_ns) / SECOND_NS);
    while (second >= result->seconds_count) {
        if (result->seconds_count == world->seconds_cap) {
            size_t cap = world->seconds_cap ? world->seconds_cap * 2 : 512;
            herd_second *grown = realloc(result->seconds, cap * sizeof *grown);
            if (grown == NULL) {
                world->is_out_of_memory = true;
                return NULL;
            }
            result->seconds = grown;
            world->seconds_cap = cap;
        }
        herd_second next = {.connected = result->connected, .backlog = count_backlog(world)};
        result->seconds[result->seconds_count++] = next;
    }
    return &result->seconds[second];
}

static void note_figures(herd_world *world)
{
    const herd_options *options = world->options;
    herd_result *result = world->result;
    int64_t since_ms = (world->now_ns - world->back_ns) / 1000000;
    if (world->back_ns == INT64_MAX)
        return;
    if (result->t50_ms < 0 && result->connected * UINT64_C(2) >= options->sites)
        result->t50_ms = since_ms;
    if (!result->has_t99 && result->connected * UINT64_C(100) >= options->sites * UINT64_C(99)) {
        result->has_t99 = true;
        result->t99_ms = since_ms;
    }
    /* Carried: less is waiting than what is born while a site waits for its next look at the log. */
    uint64_t small = (uint64_t)options->sites * options->live_milli * 2 * HERD_TAIL_MS / 1000000;
    if (result->drain_ms < 0 && result->connected == options->sites &&
        count_backlog(world) <= small)
        result->drain_ms = since_ms;
}

static void dispatch(herd_world *world, sim_event *event)
{
    herd_site *site = &world->sites[event->node];
    switch ((herd_kind)event->kind) {
    case HERD_GONE:
        herd_hub_gone(world);
        break;
    case HERD_BACK:
        herd_hub_back(world);
        break;
    case HERD_CREDITS:
        herd_drain_run(world, event);
        break;
    case HERD_ARRIVE:
    case HERD_DONE:
    case HERD_TO_HUB:
    case HERD_STORED:
        herd_hub_event(world, site, event);
        break;
    case HERD_START:
    case HERD_TIMER:
    case HERD_TAIL:
    case HERD_LINK_UP:
    case HERD_LINK_DOWN:
    case HERD_TO_SITE:
        herd_site_event(world, site, event);
        break;
    }
    free(event->load);
}

static void step(herd_world *world)
{
    sim_event event;
    if (!sim_heap_pop(&world->heap, &event))
        return;
    world->now_ns = event.at_ns > world->now_ns ? event.at_ns : world->now_ns;
    world->result->events++;
    herd_hash(world, ((uint64_t)event.kind << 32) | event.node);
    herd_hash(world, (uint64_t)event.at_ns);
    dispatch(world, &event);
    herd_second *second = herd_this_second(world);
    if (second != NULL) {
        second->connected = world->result->connected;
        second->backlog = count_backlog(world);
        note_figures(world);
    }
    const herd_options *options = world->options;
    if (options->progress != NULL && world->result->events % HERD_PROGRESS_EACH == 0)
        options->progress(options->context,
                          world->back_ns == INT64_MAX ? 0
                                                      : (world->now_ns - world->back_ns) / 1000000,
                          world->result->connected);
}

static bool is_over(const herd_world *world)
{
    const herd_result *result = world->result;
    if (world->is_out_of_memory || world->heap.count == 0)
        return true;
    if (world->back_ns == INT64_MAX)
        return false;
    return (result->has_t99 && result->drain_ms >= 0) ||
           world->now_ns >= world->back_ns + world->options->limit_ms * 1000000;
}

static void play(herd_world *world)
{
    while (!world->is_out_of_memory && world->result->connected < world->options->sites)
        step(world);
    herd_post(world, HERD_GONE, 0, 0, 0, world->now_ns + SECOND_NS, NULL);
    while (!is_over(world))
        step(world);
}

static void sum_up(herd_world *world)
{
    herd_result *result = world->result;
    result->back_second = (size_t)(world->options->outage_ms / 1000);
    for (size_t i = result->back_second; i < result->seconds_count; i++) {
        if (result->seconds[i].arrivals > result->arrivals_peak)
            result->arrivals_peak = result->seconds[i].arrivals;
    }
}

bool herd_run(const herd_options *options, herd_result *ret_result)
{
    herd_world world = {.options = options,
                        .result = ret_result,
                        .net = sim_stream(options->seed, "net"),
                        .fate = sim_stream(options->seed, "fate"),
                        .gone_ns = INT64_MAX,
                        .back_ns = INT64_MAX};
    *ret_result = (herd_result){.t50_ms = -1, .t99_ms = -1, .drain_ms = -1};
    world.sites = calloc(options->sites, sizeof *world.sites);
    world.is_out_of_memory = world.sites == NULL;
    if (world.sites != NULL)
        herd_hub_start(&world);
    for (uint32_t i = 0; i < options->sites && !world.is_out_of_memory; i++)
        world.is_out_of_memory = !herd_site_init(&world, i);
    if (!world.is_out_of_memory)
        play(&world);
    sim_heap_free(&world.heap, free);
    for (uint32_t i = 0; world.sites != NULL && i < options->sites; i++)
        free(world.sites[i].intake);
    free(world.sites);
    if (world.is_out_of_memory) {
        herd_result_free(ret_result);
        return false;
    }
    sum_up(&world);
    return true;
}

void herd_result_free(herd_result *result)
{
    free(result->seconds);
    *result = (herd_result){0};
}

int64_t herd_t99_permille(const herd_options *options, const herd_result *result)
{
    return result->t99_ms * options->rate * 100 / 99 / options->sites;
}

int64_t herd_peak_permille(const herd_options *options, const herd_result *result)
{
    return (int64_t)result->arrivals_peak * 1000 / options->rate;
}

int64_t herd_wasted_permille(const herd_options *options, const herd_result *result)
{
    return (int64_t)(result->wasted * 1000 / options->sites);
}
