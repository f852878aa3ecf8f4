// SPDX-License-Identifier: Apache-2.0
/* sim/herd_hub.c - the shell around the hub's admission and intakes: work done one piece after the other.
 *
 * A handshake takes 1/C, and stands for all that a session costs. Whom the admission refuses costs a
 * twentieth of that; such a link gets as far as HELLO, and is told there when to come back. Commits have a
 * queue of their own. */
#include "sim/herd_world.h"

#define SECOND_NS     INT64_C(1000000000)
#define WINDOW_MIN_MS 1000 /* as by default */

static void step_intake(herd_world *world, herd_site *site, tmb_intake_event *event);

/* What the sites are told; window_permille of the truth. */
static uint32_t window_ms(const herd_world *world)
{
    uint64_t ms = tmb_admission_window_ms(&world->hub.admission);
    ms = ms * world->options->window_permille / 1000;
    return (uint32_t)(ms > 0 ? ms : 1);
}

void herd_hub_send(herd_world *world, herd_site *site, const tmb_frame *frame)
{
    if (site->is_linked)
        herd_post(world, HERD_TO_SITE, site->index, world->hub.run, site->dial,
                  world->now_ns + site->delay_ns, frame);
}

static void answer(herd_world *world, herd_site *site, const tmb_frame *frame)
{
    tmb_frame told = *frame;
    if (told.type == TMB_FRAME_WELCOME && world->options->backoff == SIM_BACKOFF_WINDOW)
        told.u.welcome.window_ms = window_ms(world);
    herd_hub_send(world, site, &told);
}

static void refuse(herd_world *world, herd_site *site, uint64_t session)
{
    tmb_frame frame = {.type = TMB_FRAME_BYE};
    frame.u.bye.session = session;
    frame.u.bye.reason = TMB_BYE_BUSY;
    if (world->options->backoff == SIM_BACKOFF_WINDOW)
        frame.u.bye.wait_ms = site->slot_ms;
    herd_hub_send(world, site, &frame);
}

static void work(herd_world *world, int64_t ns)
{
    herd_hub *hub = &world->hub;
    if (hub->free_ns < world->now_ns)
        hub->free_ns = world->now_ns;
    hub->free_ns += ns;
}

/* Handshakes that the admission lets in are done one behind the other. */
static void admit(herd_world *world)
{
    herd_hub *hub = &world->hub;
    uint64_t child;
    tmb_mono now = {world->now_ns};
    while ((child = tmb_admission_next(&hub->admission, now)) != 0) {
        work(world, SECOND_NS / world->options->rate);
        herd_post(world, HERD_DONE, (uint32_t)(child - 1), hub->run, 0, hub->free_ns, NULL);
    }
}

static void end_handshake(herd_world *world, herd_site *site)
{
    tmb_mono now = {world->now_ns};
    tmb_admission_done(&world->hub.admission, now);
    herd_post(world, HERD_LINK_UP, site->index, 0, site->dial, world->now_ns + site->delay_ns,
              NULL);
    admit(world);
}

static void arrive(herd_world *world, herd_site *site, const sim_event *event)
{
    herd_hub *hub = &world->hub;
    herd_second *second = herd_this_second(world);
    tmb_mono now = {world->now_ns};
    if (event->number != site->dial)
        return;
    if (second != NULL)
        second->arrivals++;
    /* Nothing is there; or, before the hub has ever gone, all is for nothing and counts for nothing. */
    if (second == NULL || !hub->is_up) {
        herd_post(world, hub->is_up ? HERD_LINK_UP : HERD_LINK_DOWN, site->index, 0, site->dial,
                  world->now_ns + site->delay_ns, NULL);
        return;
    }
    world->result->arrivals++;
    site->is_dialing_live = true;
    site->is_refused = !tmb_admission_arrive(&hub->admission, site->index + 1, now, &site->slot_ms);
    if (!site->is_refused) {
        admit(world);
        return;
    }
    second->refused++;
    world->result->refused++;
    work(world, SECOND_NS / world->options->rate * SIM_REFUSAL_PERMILLE / 1000);
    herd_post(world, HERD_LINK_UP, site->index, 0, site->dial, world->now_ns + site->delay_ns,
              NULL);
}

static void persist(herd_world *world, const herd_site *site, const tmb_intake_action *action)
{
    herd_hub *hub = &world->hub;
    const tmb_intake_batch *batch = &site->intake->lanes[action->lane].queue[0];
    uint64_t records = batch->last_seq - batch->first_seq + 1;
    if (hub->commit_free_ns < world->now_ns)
        hub->commit_free_ns = world->now_ns;
    if (world->options->commit_per_s > 0)
        hub->commit_free_ns +=
            (int64_t)(records * (uint64_t)SECOND_NS / world->options->commit_per_s);
    herd_post(world, HERD_STORED, site->index, hub->run, action->ticket, hub->commit_free_ns, NULL);
}

static void tell_marks(herd_world *world, herd_site *site, uint64_t session)
{
    tmb_intake_event event = {.type = TMB_INTAKE_MARKS};
    event.u.marks.session = session;
    event.u.marks.seqs = &site->mark;
    if (world->options->live_milli > 0 && session == site->intake->session)
        herd_drain_offer(world, site, &event);
    step_intake(world, site, &event);
}

static void step_intake(herd_world *world, herd_site *site, tmb_intake_event *event)
{
    tmb_intake_actions actions;
    event->now.ns = world->now_ns;
    tmb_err err = tmb_intake_step(site->intake, event, &actions);
    TMB_ASSERT(err == TMB_OK);
    for (unsigned i = 0; i < actions.n; i++) {
        const tmb_intake_action *action = &actions.v[i];
        if (action->type == TMB_INTAKE_SEND)
            answer(world, site, action->frame);
        else if (action->type == TMB_INTAKE_LOAD_MARKS)
            tell_marks(world, site, action->session);
        else if (action->type == TMB_INTAKE_PERSIST)
            persist(world, site, action);
        else if (action->type == TMB_INTAKE_DROP)
            herd_drain_done(world, site, action->ticket, false);
        else if (action->type == TMB_INTAKE_REPORT && action->report == TMB_INTAKE_REPORT_RESEND)
            tmb_drain_owe(&site->drain);
    }
    herd_drain_look(world, site);
    if (site->intake->lanes_count == 1 && site->intake->lanes[0].mark > site->mark) {
        world->marks_sum += site->intake->lanes[0].mark - site->mark;
        site->mark = site->intake->lanes[0].mark;
    }
}

void herd_hub_event(herd_world *world, herd_site *site, const sim_event *event)
{
    const tmb_frame *frame = event->load;
    tmb_intake_event told = {.ticket = event->number};
    if (event->kind == HERD_ARRIVE) {
        arrive(world, site, event);
        return;
    }
    if (!world->hub.is_up || event->run != world->hub.run)
        return;
    if (event->kind == HERD_DONE) {
        end_handshake(world, site);
        return;
    }
    if (event->kind == HERD_STORED) {
        told.type = TMB_INTAKE_STORED;
        herd_drain_done(world, site, event->number, true);
        step_intake(world, site, &told);
        return;
    }
    if (event->number != site->dial)
        return;
    if (site->is_refused && frame->type == TMB_FRAME_HELLO) {
        refuse(world, site, frame->u.hello.session);
        return;
    }
    told.type = TMB_INTAKE_FRAME;
    told.ticket = event->order;
    told.u.frame = frame;
    if (frame->type == TMB_FRAME_BATCH)
        told.refuse_ms = herd_drain_take(world, site, &frame->u.batch, told.ticket);
    step_intake(world, site, &told);
}

void herd_hub_start(herd_world *world)
{
    herd_hub *hub = &world->hub;
    tmb_admission_options options = {.window_min = tmb_dur_ms(WINDOW_MIN_MS)};
    tmb_admission_init(&hub->admission, &options);
    tmb_admission_set(&hub->admission, world->options->sites,
                      world->options->rate * UINT64_C(1000));
    herd_drain_start(world);
    hub->is_up = true;
    hub->free_ns = hub->commit_free_ns = 0;
}

/* Each site notices in its own time, and whom it notices first dials first. */
void herd_hub_gone(herd_world *world)
{
    world->hub.run++;
    herd_hub_start(world);
    world->hub.is_up = false;
    world->gone_ns = world->now_ns;
    world->result->connected = 0;
    for (uint32_t i = 0; i < world->options->sites; i++) {
        herd_site *site = &world->sites[i];
        tmb_intake_init(site->intake, tmb_bytes_str(site->name), "hub", true);
        site->is_counted = false;
        herd_post(world, HERD_LINK_DOWN, i, 0, site->dial,
                  world->now_ns + sim_span(&world->net, SIM_NOTICE_MS * INT64_C(1000000)), NULL);
    }
    herd_post(world, HERD_BACK, 0, 0, 0, world->now_ns + world->options->outage_ms * 1000000, NULL);
}

void herd_hub_back(herd_world *world)
{
    world->hub.is_up = true;
    world->back_ns = world->now_ns;
}
