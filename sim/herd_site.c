// SPDX-License-Identifier: Apache-2.0
/* sim/herd_site.c - the shell around a site's session: a link that is a delay, a log that is a rate.
 *
 * Of a log there is only its end, which rises with the clock; batches are ranges, as long as the session's
 * batch_bytes allow for records of HERD_RECORD_BYTES. Frames are handed over as structs: what they look like
 * as bytes is the business of the world of faults. */
#include "sim/herd_world.h"

#include <stdio.h>
#include <stdlib.h>

static const char stream_name[] = "telemetry";

static void step_site(herd_world *world, herd_site *site, tmb_session_event *event);

static void post(herd_world *world, const herd_site *site, herd_kind kind, uint64_t number,
                 int64_t after_ns)
{
    herd_post(world, kind, site->index, 0, number, world->now_ns + after_ns, NULL);
}

static herd_load *find_load(herd_site *site, uint64_t ticket)
{
    unsigned i = 0;
    while (i < HERD_LOADS_MAX && site->loads[i].ticket != ticket)
        i++;
    TMB_ASSERT(i <
               HERD_LOADS_MAX); /* or the session keeps more batches than it may have in flight */
    return &site->loads[i];
}

static void tell_tail(herd_world *world, herd_site *site)
{
    tmb_session_event event = {.type = TMB_SESSION_TAIL};
    event.u.tail.incarnation.bytes[0] = 1;
    event.u.tail.first_seq = 1;
    event.u.tail.last_seq = herd_log_end(world);
    step_site(world, site, &event);
}

static void look_at_log(herd_world *world, herd_site *site)
{
    site->has_tail = false;
    if (!site->is_linked)
        return;
    tell_tail(world, site);
    /* Many sites look less often, so that a run stays short: each still has its records within seconds. */
    int64_t each_ns = HERD_TAIL_MS * INT64_C(1000000) + world->options->sites * INT64_C(100000);
    post(world, site, HERD_TAIL, 0, each_ns);
    site->has_tail = true;
}

/* The action's load is answered at once: disks are the business of the world of faults. */
static void load(herd_world *world, herd_site *site, const tmb_session_action *action)
{
    herd_load *load = find_load(site, 0);
    uint64_t most = action->bytes_max / HERD_RECORD_BYTES;
    uint64_t end = site->session.lanes[action->stream].last_seq;
    if (most == 0)
        most = 1;
    if (most > TMB_BATCH_RECORDS_MAX)
        most = TMB_BATCH_RECORDS_MAX;
    load->ticket = action->ticket;
    load->first_seq = action->seq;
    load->last_seq = end - action->seq + 1 > most ? action->seq + most - 1 : end;
    tmb_session_event event = {.type = TMB_SESSION_LOADED};
    event.u.loaded.ticket = load->ticket;
    event.u.loaded.first_seq = load->first_seq;
    event.u.loaded.last_seq = load->last_seq;
    event.u.loaded.bytes = (uint32_t)(load->last_seq - load->first_seq + 1) * HERD_RECORD_BYTES;
    step_site(world, site, &event);
}

static void send(herd_world *world, herd_site *site, const tmb_frame *frame)
{
    if (site->is_linked)
        herd_post(world, HERD_TO_HUB, site->index, world->hub.run, site->dial,
                  world->now_ns + site->delay_ns, frame);
}

static void send_batch(herd_world *world, herd_site *site, const tmb_session_action *action)
{
    herd_load *load = find_load(site, action->ticket);
    tmb_frame frame = {.type = TMB_FRAME_BATCH};
    tmb_frame_batch *batch = &frame.u.batch;
    batch->session = action->session;
    batch->stream = tmb_bytes_str(stream_name);
    batch->incarnation.bytes[0] = 1;
    batch->first_seq = load->first_seq;
    batch->last_seq = load->last_seq;
    batch->raw_bytes = (uint32_t)(load->last_seq - load->first_seq + 1) * HERD_RECORD_BYTES;
    batch->data = tmb_bytes_of(NULL, batch->raw_bytes); /* nobody looks at it */
    batch->pool = action->pool;
    batch->spent = action->spent;
    load->ticket = 0;
    send(world, site, &frame);
}

/* A dial that found the hub and led to no session was work for nothing. */
static void count_wasted(herd_world *world, herd_site *site)
{
    if (site->is_dialing_live)
        world->result->wasted++;
    site->is_dialing_live = false;
}

static void note_state(herd_world *world, herd_site *site)
{
    bool is_streaming =
        site->session.state == TMB_SESSION_STREAMING && site->hub_run == world->hub.run;
    if (is_streaming && !site->is_counted) {
        world->result->connected++;
        site->is_dialing_live = false;
        if (!site->has_tail && world->options->live_milli > 0)
            post(world, site, HERD_TAIL, 0, 0);
        site->has_tail = true;
    } else if (!is_streaming && site->is_counted) {
        world->result->connected--;
    }
    site->is_counted = is_streaming;
}

static void hang_up(herd_world *world, herd_site *site)
{
    if (!site->is_linked && site->is_dialing_live && world->hub.is_up)
        world->result->handshake_timeouts++;
    count_wasted(world, site);
    site->is_linked = false;
}

static void run_action(herd_world *world, herd_site *site, const tmb_session_action *action)
{
    switch (action->type) {
    case TMB_SESSION_DIAL:
        site->dial = action->epoch;
        site->is_linked = site->is_refused = site->is_dialing_live = false;
        post(world, site, HERD_ARRIVE, site->dial, site->delay_ns);
        break;
    case TMB_SESSION_HANGUP:
        hang_up(world, site);
        break;
    case TMB_SESSION_SEND:
        send(world, site, action->frame);
        break;
    case TMB_SESSION_SEND_BATCH:
        send_batch(world, site, action);
        break;
    case TMB_SESSION_DROP_BATCH:
        find_load(site, action->ticket)->ticket = 0;
        break;
    case TMB_SESSION_LOAD:
        load(world, site, action);
        break;
    case TMB_SESSION_PROVE: /* the hub of this world tells no chain */
    case TMB_SESSION_PERSIST:
    case TMB_SESSION_TOLD:
    case TMB_SESSION_REPORT:
        break;
    }
}

/* One TIMER is posted, for the deadline or earlier: one that comes early is posted again. */
static void set_timer(herd_world *world, herd_site *site)
{
    int64_t deadline_ns = tmb_session_deadline(&site->session).ns;
    if (deadline_ns >= site->timer_ns)
        return;
    site->timer_ns = deadline_ns < world->now_ns ? world->now_ns : deadline_ns;
    herd_post(world, HERD_TIMER, site->index, 0, (uint64_t)site->timer_ns, site->timer_ns, NULL);
}

static void step_site(herd_world *world, herd_site *site, tmb_session_event *event)
{
    tmb_session_actions actions;
    event->now.ns = world->now_ns;
    tmb_err err = tmb_session_step(&site->session, event, &actions);
    TMB_ASSERT(err == TMB_OK);
    herd_hash(world, (uint64_t)site->session.state);
    for (unsigned i = 0; i < actions.n; i++)
        run_action(world, site, &actions.v[i]);
    note_state(world, site);
    set_timer(world, site);
}

static void time_out(herd_world *world, herd_site *site, const sim_event *event)
{
    tmb_session_event timeout = {.type = TMB_SESSION_TIMEOUT};
    if (site->timer_ns != event->at_ns)
        return;
    site->timer_ns = INT64_MAX;
    if (tmb_session_deadline(&site->session).ns > world->now_ns)
        set_timer(world, site);
    else
        step_site(world, site, &timeout);
}

/* A handshake that ends after the site has given up finds nobody. */
static void hear_link(herd_world *world, herd_site *site, tmb_session_event *told, bool is_up)
{
    if (is_up && site->session.state != TMB_SESSION_DIALING)
        return;
    site->is_linked = is_up;
    site->hub_run = world->hub.run;
    told->type = is_up ? TMB_SESSION_LINK_UP : TMB_SESSION_LINK_DOWN;
    if (is_up)
        tell_tail(world, site);
    else
        count_wasted(world, site);
    step_site(world, site, told);
}

void herd_site_event(herd_world *world, herd_site *site, const sim_event *event)
{
    tmb_session_event told = {.epoch = event->number};
    if (event->kind == HERD_TIMER) {
        time_out(world, site, event);
    } else if (event->kind == HERD_TAIL) {
        look_at_log(world, site);
    } else if (event->kind == HERD_START) {
        told.type = TMB_SESSION_START;
        step_site(world, site, &told);
    } else if (event->number != site->dial) {
        return; /* of a link that is gone */
    } else if (event->kind == HERD_TO_SITE) {
        told.type = TMB_SESSION_FRAME;
        told.u.frame = event->load;
        if (site->is_linked)
            step_site(world, site, &told);
    } else {
        hear_link(world, site, &told, event->kind == HERD_LINK_UP);
    }
}

bool herd_site_init(herd_world *world, uint32_t index)
{
    const herd_options *o = world->options;
    herd_site *site = &world->sites[index];
    static const tmb_comeback_mode modes[SIM_BACKOFFS] = {
        [SIM_BACKOFF_WINDOW] = TMB_COMEBACK_WINDOW,
        [SIM_BACKOFF_FULL] = TMB_COMEBACK_FULL,
        [SIM_BACKOFF_DECORRELATED] = TMB_COMEBACK_DECORRELATED};
    snprintf(site->name, sizeof site->name, "s%u", (unsigned)index + 1);
    site->index = index;
    site->delay_ns = sim_between(&world->net, 5, 40);
    site->timer_ns = INT64_MAX;
    tmb_session_options options = {.node = site->name,
                                   .streams = {stream_name},
                                   .classes = {TMB_CLASS_TELEMETRY},
                                   .streams_count = 1,
                                   .seed = tmb_rng_next(&world->fate),
                                   .dial_timeout = tmb_dur_ms(SIM_DIAL_TIMEOUT_MS),
                                   .hello_timeout = tmb_dur_ms(SIM_DIAL_TIMEOUT_MS),
                                   .ack_timeout = tmb_dur_ms(60000),
                                   .backoff_base = tmb_dur_ms(o->backoff_base_ms),
                                   .backoff_cap = tmb_dur_ms(o->backoff_cap_ms),
                                   .comeback = modes[o->backoff],
                                   .dial_gap = tmb_dur_ms(TMB_DIAL_GAP_MS),
                                   .batch_bytes = TMB_BATCH_BYTES_DEFAULT};
    tmb_mono now = {0};
    tmb_session_init(&site->session, &options, now);
    site->intake = malloc(sizeof *site->intake);
    if (site->intake == NULL)
        return false;
    tmb_intake_init(site->intake, tmb_bytes_str(site->name), "hub", true);
    post(world, site, HERD_START, 0, sim_span(&world->fate, 1000000000));
    return !world->is_out_of_memory;
}
