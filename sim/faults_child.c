// SPDX-License-Identifier: Apache-2.0
/* sim/faults_child.c - the shell around a session in the world of faults: its clock, its line up, its log.
 *
 * The way up is a line: frames leave one after the other, and in some runs it is so slow, for ever, that a
 * large record needs longer than ack_timeout. What the parent has is thrown away at once, so an ACK that lied
 * is found out. A session that is fenced rightly waits for the operator, who comes after a while. */
#include "sim/faults_world.h"

#include <stdlib.h>

static void run_actions(fault_world *world, fault_node *node, const tmb_session_actions *actions);

static void step_session(fault_world *world, fault_node *node, tmb_session_event *event)
{
    tmb_session_actions actions;
    tmb_session_state before = node->session.state;
    event->now = fault_clock(world, node);
    if (tmb_session_step(&node->session, event, &actions) != TMB_OK)
        fault_fail(world, "a session refused an honest event");
    fault_hash(world, (uint64_t)node->session.state);
    if (node->session.state != before && node->session.state == TMB_SESSION_STREAMING)
        fault_tell(world, node, "streams, boot", node->boots);
    run_actions(world, node, &actions);
}

static void tell_tail(fault_world *world, fault_node *node, unsigned stream)
{
    const fault_log *log = fault_log_of(node, stream);
    tmb_session_event event = {.type = TMB_SESSION_TAIL};
    event.u.tail.stream = stream;
    event.u.tail.incarnation = fault_incarnation(node, node->life);
    event.u.tail.first_seq = log->first_seq;
    event.u.tail.last_seq = log->last_seq;
    step_session(world, node, &event);
}

void fault_child_start(fault_world *world, fault_node *node)
{
    tmb_session_options options = {
        .node = node->name,
        .streams_count = FAULT_STREAMS,
        .classes = {TMB_CLASS_ALARM, TMB_CLASS_TELEMETRY, TMB_CLASS_BULK},
        .box = tmb_rng_next(&world->fate) | 1,
        .seed = tmb_rng_next(&world->fate),
        .dial_timeout = tmb_dur_ms(800),
        .hello_timeout = tmb_dur_ms(2500),
        .ack_timeout = tmb_dur_ms(1500),
        .backoff_base = tmb_dur_ms(100),
        .backoff_cap = tmb_dur_ms(3000),
        .comeback = (tmb_comeback_mode)(node->boots % 3),
        .window = node->session.back.window,
        .dial_gap = tmb_dur_ms(50),
        .batch_bytes = 1000};
    for (unsigned i = 0; i < FAULT_STREAMS; i++)
        options.streams[i] = fault_streams[i];
    node->is_linked = node->is_line_looked_at = node->is_operator_called = false;
    node->dial = 0;
    memset(node->copies, 0, sizeof node->copies);
    tmb_session_init(&node->session, &options, fault_clock(world, node));
    for (unsigned i = 0; i < FAULT_STREAMS; i++)
        fault_post(world, EVENT_TAIL, node, i, sim_between(&world->load, 0, 60), NULL);
    tmb_session_event start = {.type = TMB_SESSION_START};
    step_session(world, node, &start);
}

/* Reads the log as it is when the read ends. */
static void finish_load(fault_world *world, fault_node *node, const fault_load *asked)
{
    fault_log *log = fault_log_of(node, asked->stream);
    tmb_session_event event = {.type = TMB_SESSION_LOADED};
    uint64_t seq = asked->seq;
    fault_copy *copy = fault_copy_find(node->copies, 0);
    if (copy == NULL) {
        fault_fail(world, "a session keeps too many batches");
        return;
    }
    if (fault_may(world, FAULT_LOAD, &world->disk, 80)) {
        event.type = TMB_SESSION_LOAD_FAILED;
        event.u.ticket = asked->ticket;
        step_session(world, node, &event);
        return;
    }
    while (seq < log->first_seq || (seq <= log->last_seq && log->records[seq].is_lost))
        seq++;
    *copy = (fault_copy){.ticket = asked->ticket, .stream = asked->stream, .life = node->life};
    copy->child = node->origin;
    copy->first_seq = seq;
    copy->gap_first = seq > asked->seq ? asked->seq : 0;
    copy->gap_reason = seq > asked->seq ? TMB_GAP_RETENTION : TMB_GAP_NONE;
    copy->last_seq = seq - 1;
    uint64_t most = 1 + tmb_rng_below(&world->disk, FAULT_BATCH_MAX);
    for (; most > 0 && seq <= log->last_seq && !log->records[seq].is_lost; most--, seq++) {
        copy->records[seq - copy->first_seq] = log->records[seq];
        copy->last_seq = seq;
    }
    if (log->synced_seq < copy->last_seq && world->plant != FAULT_SEND_BEFORE_SYNC)
        log->synced_seq = copy->last_seq;
    event.u.loaded.ticket = copy->ticket;
    event.u.loaded.first_seq = copy->first_seq;
    event.u.loaded.last_seq = copy->last_seq;
    event.u.loaded.gap_first = copy->gap_first;
    event.u.loaded.gap_reason = copy->gap_reason;
    step_session(world, node, &event);
}

/* A frame leaves when the ones before it have left. */
static void send_up(fault_world *world, fault_node *node, const tmb_frame *frame, int64_t line_ns)
{
    uint8_t bytes[8192];
    size_t len = 0;
    node->sent++;
    if (!node->is_linked)
        return;
    if (tmb_frame_encode(frame, bytes, sizeof bytes, &len) != TMB_OK) {
        fault_fail(world, "a session sent what is no frame");
        return;
    }
    if (node->line_free_ns < world->now_ns)
        node->line_free_ns = world->now_ns;
    node->line_free_ns += line_ns;
    fault_post(world, EVENT_LEFT, node, node->dial, node->line_free_ns - world->now_ns,
               fault_load_new(world, bytes, len));
    if (!node->is_line_looked_at)
        fault_post(world, EVENT_LINE, node, 0, FAULT_LINE_MS * FAULT_MS, NULL);
    node->is_line_looked_at = true;
}

static void arrive_up(fault_world *world, fault_node *node, const fault_load *left)
{
    int64_t delay_ns = sim_between(&world->net, 3, 12);
    if (fault_may(world, FAULT_REORDER, &world->net, 150))
        delay_ns += sim_between(&world->net, 0, 400);
    if (node->clog_until_ns > world->now_ns + delay_ns)
        delay_ns = node->clog_until_ns - world->now_ns;
    fault_load *load = fault_load_new(world, left->bytes, left->len);
    if (load != NULL)
        load->child = node->index;
    fault_post(world, EVENT_TO_PARENT, &world->nodes[node->parent], node->dial, delay_ns, load);
}

static void leave(fault_world *world, fault_node *node, const sim_event *event)
{
    if (!node->is_linked || event->number != node->dial)
        return;
    node->is_line_dead = node->is_line_dead || node->half_open_until_ns > world->now_ns;
    if (node->is_line_dead)
        return;
    node->taken++;
    if (node->mute_until_ns > world->now_ns || fault_may(world, FAULT_LOSS, &world->net, 60))
        return;
    arrive_up(world, node, event->load);
    if (fault_may(world, FAULT_REPEAT, &world->net, 80))
        arrive_up(world, node, event->load);
}

/* Something has left since the last look, or is leaving right now. */
static void look_at_line(fault_world *world, fault_node *node)
{
    tmb_session_event event = {.type = TMB_SESSION_PROGRESS, .epoch = node->dial};
    node->is_line_looked_at = false;
    if (!node->is_linked || node->is_line_dead)
        return;
    event.u.taken = node->taken;
    step_session(world, node, &event);
    if (node->taken < node->sent && node->is_linked && !node->is_line_looked_at) {
        fault_post(world, EVENT_LINE, node, 0, FAULT_LINE_MS * FAULT_MS, NULL);
        node->is_line_looked_at = true;
    }
}

static void send_batch(fault_world *world, fault_node *node, const tmb_session_action *action)
{
    uint8_t data[FAULT_BATCH_MAX * TMB_RECORD_BYTES_MIN];
    fault_copy *copy = fault_copy_find(node->copies, action->ticket);
    int64_t line_ns = 0;
    if (copy == NULL || action->ticket == 0) {
        fault_fail(world, "a batch is to be sent that is not there");
        return;
    }
    size_t count = (size_t)(copy->last_seq - copy->first_seq + 1);
    for (size_t i = 0; i < count; i++) {
        fault_encode(&copy->records[i], data + i * TMB_RECORD_BYTES_MIN);
        if (copy->records[i].value >> 55 == 1) /* one in 512 */
            line_ns += world->large_ms * FAULT_MS;
    }
    tmb_frame frame = {.type = TMB_FRAME_BATCH};
    frame.u.batch.session = action->session;
    frame.u.batch.stream = tmb_bytes_str(fault_streams[copy->stream]);
    frame.u.batch.incarnation = fault_incarnation(node, copy->life);
    frame.u.batch.first_seq = copy->first_seq;
    frame.u.batch.last_seq = copy->last_seq;
    frame.u.batch.gap_first = copy->gap_first;
    frame.u.batch.gap_reason = copy->gap_reason;
    frame.u.batch.data = tmb_bytes_of(data, count * TMB_RECORD_BYTES_MIN);
    frame.u.batch.raw_bytes = (uint32_t)frame.u.batch.data.len;
    copy->ticket = 0;
    send_up(world, node, &frame, line_ns);
}

static void dial(fault_world *world, fault_node *node, uint64_t epoch)
{
    node->dial = epoch;
    node->is_linked = node->is_line_dead = false;
    node->sent = node->taken = 0;
    node->line_free_ns = world->now_ns;
    if (world->plant == FAULT_NO_RETRY && epoch > 1)
        return;
    bool fails = fault_may(world, FAULT_DIAL, &world->net, 400);
    if (fails && sim_chance(&world->net, 300))
        return; /* nobody answers at all */
    fault_post(world, fails ? EVENT_LINK_DOWN : EVENT_LINK_UP, node, epoch,
               sim_between(&world->net, 10, 120), NULL);
}

/* Only who was restored, or has a twin, may be fenced. */
static void fence(fault_world *world, fault_node *node)
{
    world->result->fenced++;
    fault_tell(world, node, "is fenced, life", node->life + 1);
    if (!world->nodes[node->origin].is_forked)
        fault_fail(world, "an honest child is fenced");
    if (!node->is_operator_called)
        fault_post(world, EVENT_OPERATOR, node, 0, sim_between(&world->fate, 500, 3000), NULL);
    node->is_operator_called = true;
}

static void report(fault_world *world, fault_node *node, const tmb_session_action *action)
{
    if (action->report == TMB_SESSION_REPORT_MALFORMED)
        fault_fail(world, "an honest parent is misunderstood");
    if (action->report == TMB_SESSION_REPORT_STATE && action->number == TMB_SESSION_FENCED)
        fence(world, node);
}

static void drop_copy(fault_world *world, fault_node *node, uint64_t ticket)
{
    fault_copy *copy = fault_copy_find(node->copies, ticket);
    if (copy == NULL)
        fault_fail(world, "a batch is dropped that is not there");
    else
        copy->ticket = 0;
}

static void ask(fault_world *world, fault_node *node, const tmb_session_action *action)
{
    fault_load *load = fault_load_new(world, NULL, 0);
    if (load == NULL)
        return;
    load->ticket = action->ticket;
    load->stream = action->stream;
    load->seq = action->seq;
    if (action->type == TMB_SESSION_PROVE)
        load->chain = *action->chain;
    fault_post(world, action->type == TMB_SESSION_PROVE ? EVENT_PROVED : EVENT_LOADED, node, 0,
               sim_between(&world->disk, 0, 10), load);
}

/* What the parent has goes; but where there may be forks, a block stays to prove it by. */
static void keep_less(const fault_world *world, fault_log *log, uint64_t mark)
{
    bool has_forks = world->has[FAULT_RESTORE] || world->has[FAULT_CLONE];
    uint64_t first_seq = has_forks && mark > 0 ? tmb_chain_begin(mark) : mark + 1;
    if (log->first_seq < first_seq)
        log->first_seq = first_seq;
}

static void run_actions(fault_world *world, fault_node *node, const tmb_session_actions *actions)
{
    for (unsigned i = 0; i < actions->n; i++) {
        const tmb_session_action *action = &actions->v[i];
        fault_log *log = fault_log_of(node, action->stream);
        fault_hash(world, (uint64_t)action->type);
        switch (action->type) {
        case TMB_SESSION_DIAL:
            dial(world, node, action->epoch);
            break;
        case TMB_SESSION_HANGUP:
            node->is_linked = false;
            break;
        case TMB_SESSION_SEND:
            send_up(world, node, action->frame, 0);
            break;
        case TMB_SESSION_SEND_BATCH:
            send_batch(world, node, action);
            break;
        case TMB_SESSION_DROP_BATCH:
            drop_copy(world, node, action->ticket);
            break;
        case TMB_SESSION_PROVE:
        case TMB_SESSION_LOAD:
            ask(world, node, action);
            break;
        case TMB_SESSION_PERSIST:
            keep_less(world, log, action->seq);
            break;
        case TMB_SESSION_TOLD:
            break;
        case TMB_SESSION_REPORT:
            report(world, node, action);
            break;
        }
    }
}

void fault_child_timeout(fault_world *world, fault_node *node)
{
    tmb_session_event event = {.type = TMB_SESSION_TIMEOUT};
    step_session(world, node, &event);
}

static void hear_frame(fault_world *world, fault_node *node, const sim_event *event)
{
    static max_align_t arena[4096];
    const fault_load *load = event->load;
    tmb_frame frame;
    tmb_session_event heard = {.type = TMB_SESSION_FRAME, .epoch = event->number};
    heard.u.frame = &frame;
    if (tmb_frame_decode(tmb_bytes_of(load->bytes, load->len), arena, sizeof arena, &frame))
        fault_fail(world, "a frame of a parent cannot be read");
    else
        step_session(world, node, &heard);
}

static void hear_proof(fault_world *world, fault_node *node, const fault_load *asked)
{
    tmb_session_event event = {.type = TMB_SESSION_PROVED};
    event.u.proved.ticket = asked->ticket;
    event.u.proved.proof = fault_prove(node, asked->stream, &asked->chain);
    if (world->plant == FAULT_NO_PROOF)
        event.u.proved.proof = TMB_PROOF_SAME;
    step_session(world, node, &event);
}

void fault_child_cut(fault_world *world, fault_node *node)
{
    node->is_linked = false;
    fault_post(world, EVENT_LINK_DOWN, node, node->dial, sim_between(&world->net, 0, 50), NULL);
}

void fault_child_event(fault_world *world, fault_node *node, sim_event *event)
{
    tmb_session_event link = {.type = TMB_SESSION_LINK_DOWN, .epoch = event->number};
    switch ((fault_event_kind)event->kind) {
    case EVENT_TAIL:
        tell_tail(world, node, (unsigned)event->number);
        break;
    case EVENT_LOADED:
        finish_load(world, node, event->load);
        break;
    case EVENT_PROVED:
        hear_proof(world, node, event->load);
        break;
    case EVENT_LEFT:
        leave(world, node, event);
        break;
    case EVENT_LINE:
        look_at_line(world, node);
        break;
    case EVENT_TO_CHILD:
        if (node->is_linked && event->number == node->dial)
            hear_frame(world, node, event);
        break;
    case EVENT_LINK_UP:
        link.type = TMB_SESSION_LINK_UP;
        if (event->number == node->dial)
            node->is_linked = true;
        step_session(world, node, &link);
        break;
    case EVENT_LINK_DOWN:
        if (event->number == node->dial)
            node->is_linked = false;
        step_session(world, node, &link);
        break;
    case EVENT_APPEND:
    case EVENT_FAULT:
    case EVENT_START:
    case EVENT_OPERATOR:
    case EVENT_TO_PARENT:
    case EVENT_MARKS:
    case EVENT_COMMIT:
    case EVENT_STORED:
    case EVENT_PROBE:
        break;
    }
}
