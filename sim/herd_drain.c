// SPDX-License-Identifier: Apache-2.0
/* sim/herd_drain.c - the shell around the hub's drain: who may send how much of its backlog, as
 * syncd/daemon/credits.c does it. What comes within a few milliseconds is granted together; with many sites a
 * little later, since a round looks at each. */
#include "sim/herd_world.h"

#define MS              INT64_C(1000000)
#define WAIT_OVER_MS    1000
#define WAIT_NO_ROOM_MS 300

static int64_t soon_ns(const herd_world *world)
{
    return (5 + world->options->sites / 50) * MS;
}

static void arm(herd_world *world, int64_t after_ns)
{
    herd_hub *hub = &world->hub;
    if (after_ns < soon_ns(world))
        after_ns = soon_ns(world);
    if (hub->credits_ns <= world->now_ns + after_ns)
        return;
    hub->credits_ns = world->now_ns + after_ns;
    herd_post(world, HERD_CREDITS, 0, hub->run, 0, hub->credits_ns, NULL);
}

void herd_drain_start(herd_world *world)
{
    tmb_mono now = {world->now_ns};
    world->hub.credits_ns = INT64_MAX;
    tmb_drain_init(&world->hub.drain, SIM_HUB_MEMORY, now);
    for (uint32_t i = 0; i < world->options->sites; i++) {
        memset(&world->sites[i].drain, 0, sizeof world->sites[i].drain);
        memset(world->sites[i].held, 0, sizeof world->sites[i].held);
    }
}

void herd_drain_run(herd_world *world, const sim_event *event)
{
    herd_hub *hub = &world->hub;
    tmb_mono now = {world->now_ns};
    tmb_drain_child *child;
    if (event->run != hub->run || event->at_ns != hub->credits_ns)
        return;
    hub->credits_ns = INT64_MAX;
    tmb_drain_run(&hub->drain, now);
    while ((child = tmb_drain_next(&hub->drain, now)) != NULL) {
        herd_site *site = (herd_site *)(void *)((char *)child - offsetof(herd_site, drain));
        tmb_frame frame = {.type = TMB_FRAME_CREDIT};
        frame.u.credit =
            (tmb_frame_credit){site->intake->session, child->pools[TMB_POOL_LIVE].granted,
                               child->pools[TMB_POOL_BACKLOG].granted, 0};
        herd_hub_send(world, site, &frame);
    }
    if (tmb_drain_wait_ms(&hub->drain) > 0)
        arm(world, tmb_drain_wait_ms(&hub->drain) * MS);
}

void herd_drain_offer(herd_world *world, herd_site *site, tmb_intake_event *marks)
{
    tmb_mono now = {world->now_ns};
    tmb_drain_join(&world->hub.drain, &site->drain, 1, now);
    marks->u.marks.has_credit = true;
    marks->u.marks.live_bytes = site->drain.pools[TMB_POOL_LIVE].granted;
    marks->u.marks.backlog_bytes = site->drain.pools[TMB_POOL_BACKLOG].granted;
}

static herd_held *find_held(herd_site *site, uint64_t ticket)
{
    for (unsigned i = 0; i < HERD_LOADS_MAX; i++) {
        if (site->held[i].ticket == ticket)
            return &site->held[i];
    }
    return NULL;
}

/* 0: it is taken; else in how many ms it should come again. */
uint32_t herd_drain_take(herd_world *world, herd_site *site, const tmb_frame_batch *batch,
                         uint64_t ticket)
{
    tmb_mono now = {world->now_ns};
    herd_held *held = find_held(site, 0);
    if (site->intake->state != TMB_INTAKE_OPEN || batch->session != site->intake->session)
        return 0;             /* the intake drops it */
    TMB_ASSERT(held != NULL); /* or the intake queues more than it may */
    tmb_drain_verdict verdict = tmb_drain_take(&world->hub.drain, &site->drain, batch->pool,
                                               batch->data.len, batch->spent, now);
    arm(world, 0);
    if (verdict != TMB_DRAIN_TAKEN)
        return verdict == TMB_DRAIN_OVER ? WAIT_OVER_MS : WAIT_NO_ROOM_MS;
    *held = (herd_held){ticket, batch->data.len, batch->pool};
    if (world->result->memory_peak < world->hub.drain.held)
        world->result->memory_peak = world->hub.drain.held;
    return 0;
}

void herd_drain_done(herd_world *world, herd_site *site, uint64_t ticket, bool is_committed)
{
    tmb_mono now = {world->now_ns};
    herd_held *held = find_held(site, ticket);
    if (held == NULL)
        return;
    tmb_drain_done(&world->hub.drain, &site->drain, held->pool, held->bytes, is_committed, now);
    held->ticket = 0;
    arm(world, 0);
}

void herd_drain_look(herd_world *world, herd_site *site)
{
    const tmb_intake *intake = site->intake;
    tmb_mono now = {world->now_ns};
    if (site->drain.next == NULL)
        return;
    if (intake->state != TMB_INTAKE_OPEN) {
        tmb_drain_leave(&world->hub.drain, &site->drain);
        return;
    }
    bool has_backlog =
        intake->lanes_count > 0 && intake->lanes[0].received < intake->lanes[0].last_seq;
    if (has_backlog == site->drain.has_backlog)
        return;
    tmb_drain_backlog(&world->hub.drain, &site->drain, has_backlog, now);
    arm(world, 0);
}
