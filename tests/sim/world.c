// SPDX-License-Identifier: Apache-2.0
/* tests/sim/world.c - the clock, the network, the faults, and the verdict. See tests/sim/world.h. */
#include "tests/sim/world.h"

#include <stdlib.h>

const char *const sim_streams[SIM_STREAMS] = {"alarms", "metrics"};

tmb_incarnation sim_incarnation(unsigned life)
{
    tmb_incarnation incarnation = {{(uint8_t)(life + 1)}};
    return incarnation;
}

void sim_fail(sim_world *world, const char *why)
{
    if (world->failure == NULL)
        world->failure = why;
}

/* FNV-1a over whole numbers. */
void sim_hash(sim_world *world, uint64_t number)
{
    world->hash = (world->hash ^ number) * UINT64_C(0x100000001b3);
}

bool sim_chance(tmb_rng *rng, unsigned of_thousand)
{
    return tmb_rng_below(rng, 1000) < of_thousand;
}

int64_t sim_ms(tmb_rng *rng, unsigned from, unsigned to)
{
    return (int64_t)(from * UINT64_C(1000000) +
                     tmb_rng_below(rng, (to - from) * UINT64_C(1000000)));
}

sim_event *sim_post(sim_world *world, sim_kind kind, uint64_t run, int64_t after_ns)
{
    static sim_event spill; /* a run that fails here is over: what is written there is not read */
    sim_event *event = &spill;
    if (world->events_count < SIM_EVENTS_MAX)
        event = &world->events[world->events_count++];
    else
        sim_fail(world, "too many events at once");
    memset(event, 0, sizeof *event);
    event->at_ns = world->now_ns + after_ns;
    event->order = ++world->order;
    event->kind = kind;
    event->run = run;
    return event;
}

static void deliver(sim_world *world, sim_kind kind, uint64_t run, uint64_t dial,
                    const uint8_t *bytes, size_t len)
{
    int64_t delay = sim_ms(&world->net, 5, 8);
    if (!world->is_healed && sim_chance(&world->net, world->odds.reorder))
        delay += sim_ms(&world->net, 0, 400);
    uint8_t *copy = malloc(len);
    if (copy == NULL) {
        sim_fail(world, "out of memory");
        return;
    }
    memcpy(copy, bytes, len);
    sim_event *event = sim_post(world, kind, run, delay);
    event->number = dial;
    event->bytes = copy;
    event->len = len;
}

/* What has left its host is lost, or arrives, or arrives twice. */
void sim_arrive(sim_world *world, sim_kind kind, uint64_t run, uint64_t dial, const uint8_t *bytes,
                size_t len)
{
    if (!world->is_healed && sim_chance(&world->net, world->odds.loss))
        return;
    deliver(world, kind, run, dial, bytes, len);
    if (!world->is_healed && sim_chance(&world->net, world->odds.repeat))
        deliver(world, kind, run, dial, bytes, len);
}

void sim_send(sim_world *world, sim_kind kind, uint64_t run, uint64_t dial, const tmb_frame *frame)
{
    uint8_t bytes[8192];
    size_t len = 0;
    if (tmb_frame_encode(frame, bytes, sizeof bytes, &len) != TMB_OK)
        sim_fail(world, "a machine sent what is no frame");
    else if (!world->is_swallowing)
        sim_arrive(world, kind, run, dial, bytes, len);
}

bool sim_is_large(const sim_world *world, uint64_t value)
{
    return world->odds.large_ms > 0 && value >> 55 == 1; /* one in 512 */
}

sim_copy *sim_copy_find(sim_copy *copies, uint64_t ticket)
{
    for (unsigned i = 0; i < SIM_COPIES_MAX; i++) {
        if (copies[i].ticket == ticket)
            return &copies[i];
    }
    return NULL;
}

static void cut_link(sim_world *world)
{
    sim_child *child = &world->child;
    child->is_linked = false;
    sim_post(world, SIM_LINK_DOWN, child->run, sim_ms(&world->net, 0, 50))->number = child->dial;
}

static void do_fault(sim_world *world)
{
    sim_post(world, SIM_FAULT, 0, sim_ms(&world->fate, 20, 400));
    world->is_swallowing = !world->is_healed && sim_chance(&world->fate, world->odds.swallow);
    if (world->is_healed || !sim_chance(&world->fate, world->odds.fault))
        return;
    switch (tmb_rng_below(&world->fate, 8)) {
    case 0:
    case 1:
        cut_link(world);
        break;
    case 2:
    case 3:
        if (world->child.is_up)
            sim_child_stop(world, sim_chance(&world->fate, 500));
        break;
    case 4:
    case 5:
        if (world->parent.is_up)
            sim_parent_stop(world);
        break;
    case 6:
        sim_parent_reset(world);
        break;
    default:
        sim_child_lose_records(world);
        break;
    }
}

static void draw_odds(sim_world *world)
{
    tmb_rng *rng = &world->fate;
    sim_odds *odds = &world->odds;
    odds->loss = (unsigned)tmb_rng_below(rng, 4) * 30;
    odds->repeat = (unsigned)tmb_rng_below(rng, 3) * 60;
    odds->reorder = (unsigned)tmb_rng_below(rng, 3) * 100;
    odds->swallow = (unsigned)tmb_rng_below(rng, 3) * 50;
    odds->fault = (unsigned)tmb_rng_below(rng, 4) * 120;
    odds->store_fail = (unsigned)tmb_rng_below(rng, 3) * 60;
    odds->load_fail = (unsigned)tmb_rng_below(rng, 2) * 80;
    odds->dial_fail = (unsigned)tmb_rng_below(rng, 3) * 200;
    odds->stale = (unsigned)tmb_rng_below(rng, 3) * 200;
    odds->large_ms = tmb_rng_below(rng, 3) == 0 ? 2000 + (unsigned)tmb_rng_below(rng, 2000) : 0;
}

static void dispatch(sim_world *world, sim_event *event)
{
    switch (event->kind) {
    case SIM_APPEND:
        sim_child_append(world);
        break;
    case SIM_FAULT:
        do_fault(world);
        break;
    case SIM_TAIL:
    case SIM_LINK_UP:
    case SIM_LINK_DOWN:
    case SIM_LOADED:
    case SIM_TO_CHILD:
    case SIM_LEFT:
    case SIM_LINE:
    case SIM_CHILD_START:
        sim_child_event(world, event);
        break;
    case SIM_TO_PARENT:
    case SIM_MARKS:
    case SIM_COMMIT:
    case SIM_STORED:
    case SIM_PARENT_START:
        sim_parent_event(world, event);
        break;
    }
}

static unsigned find_next(const sim_world *world)
{
    unsigned best = 0;
    for (unsigned i = 1; i < world->events_count; i++) {
        const sim_event *a = &world->events[i], *b = &world->events[best];
        if (a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order))
            best = i;
    }
    return best;
}

/* One event, or the child's deadline if that is earlier. A deadline of `now` is more to do at once. */
static void step(sim_world *world)
{
    unsigned next = find_next(world);
    int64_t deadline_ns =
        world->child.is_up ? tmb_session_deadline(&world->child.session).ns : INT64_MAX;
    bool is_timeout = deadline_ns < world->events[next].at_ns;
    int64_t at_ns = is_timeout ? deadline_ns : world->events[next].at_ns;
    world->now_ns = at_ns > world->now_ns ? at_ns : world->now_ns;
    if (world->now_ns / 1000000000 != world->second) {
        world->second = world->now_ns / 1000000000;
        world->steps_in_second = 0;
    }
    world->steps++;
    if (++world->steps_in_second > SIM_STEPS_PER_S)
        sim_fail(world, "a hot loop");
    if (is_timeout) {
        sim_child_timeout(world);
        return;
    }
    sim_event event = world->events[next];
    world->events[next] = world->events[--world->events_count];
    sim_hash(world, (uint64_t)event.kind);
    sim_hash(world, (uint64_t)event.at_ns);
    dispatch(world, &event);
    free(event.bytes);
}

static void play_until(sim_world *world, int64_t end_ms, bool is_drain)
{
    while (world->failure == NULL && world->now_ns < end_ms * 1000000) {
        if (is_drain && sim_is_drained(world))
            return;
        step(world);
    }
}

bool sim_run(sim_world *world, uint64_t seed, sim_plant plant)
{
    memset(world, 0, sizeof *world);
    tmb_rng root = {seed};
    world->seed = seed;
    world->plant = plant;
    world->net.state = tmb_rng_next(&root);
    world->disk.state = tmb_rng_next(&root);
    world->load.state = tmb_rng_next(&root);
    world->fate.state = tmb_rng_next(&root);
    draw_odds(world);
    for (unsigned i = 0; i < SIM_STREAMS; i++)
        world->child.logs[i].first_seq = 1;
    sim_parent_start(world);
    sim_child_start(world);
    sim_post(world, SIM_APPEND, 0, 0);
    sim_post(world, SIM_FAULT, 0, sim_ms(&world->fate, 20, 400));
    play_until(world, SIM_TORTURE_MS, false);
    world->is_healed = true;
    world->is_swallowing = false;
    play_until(world, SIM_TORTURE_MS + (world->odds.large_ms > 0 ? SIM_SLOW_MS : SIM_DRAIN_MS),
               true);
    if (!sim_is_drained(world))
        sim_fail(world, "healed, and yet not everything arrived in time");
    for (unsigned i = 0; i < world->events_count; i++)
        free(world->events[i].bytes);
    return world->failure == NULL;
}
