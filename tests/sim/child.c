// SPDX-License-Identifier: Apache-2.0
/* tests/sim/child.c - the child's shell and disk: a log a stream, of which only what was synced survives a
 * power cut, and of which what the parent has is thrown away at once (so an ACK that lied is found out). */
#include "tests/sim/world.h"

#include <stdlib.h>

static void run_actions(sim_world *world, const tmb_session_actions *actions);

static void step_session(sim_world *world, tmb_session_event *event)
{
    tmb_session_actions actions;
    sim_child *child = &world->child;
    event->now.ns = world->now_ns;
    if (tmb_session_step(&child->session, event, &actions) != TMB_OK)
        sim_fail(world, "the session refused an honest event");
    sim_hash(world, (uint64_t)child->session.state);
    run_actions(world, &actions);
}

static void tell_tail(sim_world *world, unsigned stream)
{
    const sim_log *log = &world->child.logs[stream];
    tmb_session_event event = {.type = TMB_SESSION_TAIL};
    event.u.tail.stream = stream;
    event.u.tail.incarnation = sim_incarnation(world->child.life);
    event.u.tail.first_seq = log->first_seq;
    event.u.tail.last_seq = log->last_seq;
    step_session(world, &event);
}

void sim_child_start(sim_world *world)
{
    sim_child *child = &world->child;
    tmb_session_options options = {.node = "s1",
                                   .streams = {sim_streams[0], sim_streams[1]},
                                   .streams_count = SIM_STREAMS,
                                   .seed = world->seed * 1000 + child->run,
                                   .dial_timeout = tmb_dur_ms(800),
                                   .hello_timeout = tmb_dur_ms(700),
                                   .ack_timeout = tmb_dur_ms(1500),
                                   .backoff_base = tmb_dur_ms(100),
                                   .backoff_cap = tmb_dur_ms(3000),
                                   .batch_bytes = 1000};
    tmb_mono now = {world->now_ns};
    child->run++;
    child->is_up = true;
    child->is_linked = child->is_line_looked_at = false;
    child->dial = 0;
    memset(child->copies, 0, sizeof child->copies);
    tmb_session_init(&child->session, &options, now);
    for (unsigned i = 0; i < SIM_STREAMS; i++)
        sim_post(world, SIM_TAIL, child->run, sim_ms(&world->load, 0, 60))->stream = i;
    tmb_session_event start = {.type = TMB_SESSION_START};
    step_session(world, &start);
}

void sim_child_stop(sim_world *world, bool is_power_cut)
{
    sim_child *child = &world->child;
    child->is_up = child->is_linked = false;
    for (unsigned i = 0; i < SIM_STREAMS && is_power_cut; i++) {
        sim_log *log = &child->logs[i];
        log->last_seq =
            log->synced_seq + tmb_rng_below(&world->disk, log->last_seq - log->synced_seq + 1);
    }
    if (child->life + 1 < SIM_LIVES && sim_chance(&world->fate, 50)) { /* a new disk */
        child->life++;
        for (unsigned i = 0; i < SIM_STREAMS; i++)
            child->logs[i] = (sim_log){.first_seq = 1};
    }
    sim_post(world, SIM_CHILD_START, 0, sim_ms(&world->fate, 10, 2000));
}

void sim_child_append(sim_world *world)
{
    sim_child *child = &world->child;
    unsigned stream = (unsigned)tmb_rng_below(&world->load, SIM_STREAMS);
    sim_log *log = &child->logs[stream];
    if (world->is_healed)
        return;
    for (uint64_t n = tmb_rng_below(&world->load, 9); n > 0; n--) {
        log->last_seq++;
        if (log->last_seq >= SIM_SEQ_MAX) {
            sim_fail(world, "the simulated log is too small");
            return;
        }
        world->truth[child->life][stream].value[log->last_seq] = tmb_rng_next(&world->load) | 1;
        world->truth[child->life][stream].is_lost[log->last_seq] = false;
    }
    if (sim_chance(&world->disk, 100))
        log->synced_seq = log->last_seq;
    if (child->is_up)
        sim_post(world, SIM_TAIL, child->run, sim_ms(&world->load, 0, 20))->stream = stream;
    sim_post(world, SIM_APPEND, 0, sim_ms(&world->load, 1, 60));
}

/* Retention passes the mark, or bytes go bad: of what is synced (the rest is in no closed segment). */
void sim_child_lose_records(sim_world *world)
{
    sim_child *child = &world->child;
    unsigned stream = (unsigned)tmb_rng_below(&world->disk, SIM_STREAMS);
    sim_log *log = &child->logs[stream];
    sim_truth *truth = &world->truth[child->life][stream];
    if (log->synced_seq < log->first_seq)
        return;
    uint64_t span = log->synced_seq - log->first_seq + 1;
    uint64_t end = log->first_seq + tmb_rng_below(&world->disk, span) + 1;
    bool is_retention = sim_chance(&world->disk, 500);
    uint64_t begin = is_retention ? log->first_seq : end - 1 - tmb_rng_below(&world->disk, 3);
    for (uint64_t seq = begin < log->first_seq ? log->first_seq : begin; seq < end; seq++)
        truth->is_lost[seq] = true;
    if (is_retention)
        log->first_seq = end;
    if (child->is_up)
        sim_post(world, SIM_TAIL, child->run, 0)->stream = stream;
}

/* Reads the log as it is when the read ends. */
static void finish_load(sim_world *world, const sim_event *done)
{
    sim_child *child = &world->child;
    sim_log *log = &child->logs[done->stream];
    const sim_truth *truth = &world->truth[child->life][done->stream];
    tmb_session_event event = {.type = TMB_SESSION_LOADED};
    uint64_t seq = done->seq;
    sim_copy *copy = sim_copy_find(child->copies, 0);
    if (copy == NULL) {
        sim_fail(world, "the session keeps too many batches");
        return;
    }
    if (!world->is_healed && sim_chance(&world->disk, world->odds.load_fail)) {
        event.type = TMB_SESSION_LOAD_FAILED;
        event.u.ticket = done->number;
        step_session(world, &event);
        return;
    }
    while (seq < log->first_seq || (seq <= log->last_seq && truth->is_lost[seq]))
        seq++;
    *copy = (sim_copy){.ticket = done->number, .stream = done->stream, .life = child->life};
    copy->first_seq = seq;
    copy->gap_first = seq > done->seq ? done->seq : 0;
    copy->gap_reason = seq > done->seq ? TMB_GAP_RETENTION : TMB_GAP_NONE;
    copy->last_seq = seq - 1;
    uint64_t most = 1 + tmb_rng_below(&world->disk, SIM_RECORDS_MAX);
    for (; most > 0 && seq <= log->last_seq && !truth->is_lost[seq]; most--, seq++) {
        copy->values[seq - copy->first_seq] = truth->value[seq];
        copy->last_seq = seq;
    }
    if (log->synced_seq < copy->last_seq && world->plant != SIM_SEND_BEFORE_SYNC)
        log->synced_seq = copy->last_seq;
    event.u.loaded.ticket = copy->ticket;
    event.u.loaded.first_seq = copy->first_seq;
    event.u.loaded.last_seq = copy->last_seq;
    event.u.loaded.gap_first = copy->gap_first;
    event.u.loaded.gap_reason = copy->gap_reason;
    step_session(world, &event);
}

/* The way up: a frame leaves when the ones before it have left. */
static void send_up(sim_world *world, uint64_t dial, const tmb_frame *frame, int64_t line_ns)
{
    sim_child *child = &world->child;
    uint8_t bytes[8192];
    size_t len = 0;
    child->sent++;
    if (!child->is_linked)
        return;
    if (tmb_frame_encode(frame, bytes, sizeof bytes, &len) != TMB_OK) {
        sim_fail(world, "a machine sent what is no frame");
        return;
    }
    if (child->line_free_ns < world->now_ns)
        child->line_free_ns = world->now_ns;
    child->line_free_ns += line_ns;
    sim_event *event = sim_post(world, SIM_LEFT, child->run, child->line_free_ns - world->now_ns);
    event->number = dial;
    event->bytes = malloc(len);
    event->len = len;
    if (event->bytes != NULL)
        memcpy(event->bytes, bytes, len);
    else
        sim_fail(world, "out of memory");
    if (!child->is_line_looked_at)
        sim_post(world, SIM_LINE, child->run, SIM_LINE_MS * INT64_C(1000000));
    child->is_line_looked_at = true;
}

static void leave(sim_world *world, const sim_event *event)
{
    sim_child *child = &world->child;
    if (!child->is_linked || event->number != child->dial)
        return;
    child->is_line_dead = child->is_line_dead || world->is_swallowing;
    if (child->is_line_dead)
        return;
    child->taken++;
    sim_arrive(world, SIM_TO_PARENT, 0, event->number, event->bytes, event->len);
}

/* Something has left since the last look, or is leaving right now. */
static void look_at_line(sim_world *world)
{
    sim_child *child = &world->child;
    tmb_session_event event = {.type = TMB_SESSION_PROGRESS, .epoch = child->dial};
    child->is_line_looked_at = false;
    if (!child->is_linked || child->is_line_dead)
        return;
    if (child->taken < child->sent) {
        child->is_line_looked_at = true;
        sim_post(world, SIM_LINE, child->run, SIM_LINE_MS * INT64_C(1000000));
    }
    if (world->is_swallowing)
        return;
    event.u.taken = child->taken;
    step_session(world, &event);
}

static void send_batch(sim_world *world, const tmb_session_action *action)
{
    uint8_t data[SIM_RECORDS_MAX * TMB_RECORD_BYTES_MIN] = {0};
    sim_copy *copy = sim_copy_find(world->child.copies, action->ticket);
    if (copy == NULL) {
        sim_fail(world, "a batch was sent that is not there");
        return;
    }
    size_t count = (size_t)(copy->last_seq - copy->first_seq + 1);
    int64_t line_ns = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(data + i * TMB_RECORD_BYTES_MIN, &copy->values[i], sizeof copy->values[i]);
        if (sim_is_large(world, copy->values[i]))
            line_ns += world->odds.large_ms * INT64_C(1000000);
    }
    tmb_frame frame = {.type = TMB_FRAME_BATCH};
    frame.u.batch.session = action->session;
    frame.u.batch.stream = tmb_bytes_str(sim_streams[copy->stream]);
    frame.u.batch.incarnation = sim_incarnation(copy->life);
    frame.u.batch.first_seq = copy->first_seq;
    frame.u.batch.last_seq = copy->last_seq;
    frame.u.batch.gap_first = copy->gap_first;
    frame.u.batch.gap_reason = copy->gap_reason;
    frame.u.batch.data = tmb_bytes_of(data, count * TMB_RECORD_BYTES_MIN);
    frame.u.batch.raw_bytes = (uint32_t)frame.u.batch.data.len;
    copy->ticket = 0;
    send_up(world, action->epoch, &frame, line_ns);
}

static void dial(sim_world *world, uint64_t epoch)
{
    sim_child *child = &world->child;
    child->dial = epoch;
    child->is_linked = child->is_line_dead = false;
    child->sent = child->taken = 0;
    child->line_free_ns = world->now_ns;
    bool fails = !world->is_healed && sim_chance(&world->net, world->odds.dial_fail);
    if (fails && sim_chance(&world->net, 300))
        return; /* nobody answers at all */
    sim_post(world, fails ? SIM_LINK_DOWN : SIM_LINK_UP, world->child.run,
             sim_ms(&world->net, 10, 120))
        ->number = epoch;
}

static void run_action(sim_world *world, const tmb_session_action *action)
{
    sim_child *child = &world->child;
    sim_event *event;
    sim_copy *copy;
    sim_hash(world, (uint64_t)action->type);
    switch (action->type) {
    case TMB_SESSION_DIAL:
        dial(world, action->epoch);
        break;
    case TMB_SESSION_HANGUP:
        child->is_linked = false;
        break;
    case TMB_SESSION_SEND:
        send_up(world, action->epoch, action->frame, 0);
        break;
    case TMB_SESSION_SEND_BATCH:
        send_batch(world, action);
        break;
    case TMB_SESSION_DROP_BATCH:
        copy = sim_copy_find(child->copies, action->ticket);
        if (copy == NULL)
            sim_fail(world, "a batch was dropped that is not there");
        else
            copy->ticket = 0;
        break;
    case TMB_SESSION_PROVE:
        sim_fail(world, "no parent of this world tells a chain");
        break;
    case TMB_SESSION_LOAD:
        event = sim_post(world, SIM_LOADED, child->run, sim_ms(&world->disk, 0, 10));
        event->number = action->ticket;
        event->stream = action->stream;
        event->seq = action->seq;
        break;
    case TMB_SESSION_PERSIST:
        if (child->logs[action->stream].first_seq <= action->seq)
            child->logs[action->stream].first_seq = action->seq + 1;
        break;
    case TMB_SESSION_TOLD:
        break;
    case TMB_SESSION_REPORT:
        if (action->report == TMB_SESSION_REPORT_AHEAD ||
            action->report == TMB_SESSION_REPORT_MALFORMED)
            sim_fail(world, "an honest child was fenced, or an honest parent misunderstood");
        break;
    }
}

static void run_actions(sim_world *world, const tmb_session_actions *actions)
{
    for (unsigned i = 0; i < actions->n; i++)
        run_action(world, &actions->v[i]);
}

void sim_child_timeout(sim_world *world)
{
    tmb_session_event event = {.type = TMB_SESSION_TIMEOUT};
    step_session(world, &event);
}

static void hear_frame(sim_world *world, const sim_event *event)
{
    static max_align_t arena[2048];
    tmb_frame frame;
    tmb_session_event heard = {.type = TMB_SESSION_FRAME, .epoch = event->number};
    heard.u.frame = &frame;
    if (tmb_frame_decode(tmb_bytes_of(event->bytes, event->len), arena, sizeof arena, &frame))
        sim_fail(world, "a frame of ours cannot be read");
    else
        step_session(world, &heard);
}

void sim_child_event(sim_world *world, sim_event *event)
{
    sim_child *child = &world->child;
    tmb_session_event link = {.type = TMB_SESSION_LINK_DOWN, .epoch = event->number};
    if (event->kind == SIM_CHILD_START) {
        sim_child_start(world);
        return;
    }
    if (!child->is_up || event->run != child->run)
        return;
    if (event->kind == SIM_TAIL) {
        tell_tail(world, event->stream);
    } else if (event->kind == SIM_LOADED) {
        finish_load(world, event);
    } else if (event->kind == SIM_LEFT) {
        leave(world, event);
    } else if (event->kind == SIM_LINE) {
        look_at_line(world);
    } else if (event->kind == SIM_TO_CHILD) {
        if (child->is_linked && event->number == child->dial)
            hear_frame(world, event);
    } else {
        if (event->kind == SIM_LINK_UP)
            link.type = TMB_SESSION_LINK_UP;
        if (event->number == child->dial)
            child->is_linked = event->kind == SIM_LINK_UP;
        step_session(world, &link);
    }
}
