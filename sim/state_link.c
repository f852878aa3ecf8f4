// SPDX-License-Identifier: Apache-2.0
/* sim/state_link.c - sessions between a child and its parent, and the shell around each end's sync machines.
 *
 * A link is a TCP connection that carries frames at QoS 0: in order, never twice; a whole frame may be lost
 * (a broker drops what it cannot queue), and a cut takes all that is under way. Each end hears of a cut on
 * its own, some time later. Frames are encoded and decoded as in the daemon. */
#include "sim/state_world.h"

#include <stdlib.h>

#define ANSWER_MS 5000

void state_frame_free(void *load)
{
    state_frame *frame = load;
    if (frame != NULL)
        free(frame->arena);
    free(frame);
}

static state_end *end_of(state_node *node, unsigned peer)
{
    return &node->ends[peer];
}

static state_frame *frame_new(state_world *world, unsigned from, unsigned to, uint64_t session)
{
    state_frame *frame = calloc(1, sizeof *frame);
    if (frame == NULL) {
        state_fail(world, "no memory");
        return NULL;
    }
    frame->from = from;
    frame->to = to;
    frame->session = session;
    return frame;
}

static void post_after(state_world *world, state_frame *frame, int64_t after_ns)
{
    sim_event event = {
        .at_ns = world->now_ns + after_ns, .kind = EVENT_FRAME, .node = frame->to, .load = frame};
    if (!sim_heap_push(&world->heap, &event)) {
        state_fail(world, "no memory");
        state_frame_free(frame);
    }
}

static state_node *child_of(state_world *world, unsigned a, unsigned b)
{
    return &world->nodes[world->nodes[a].tier > world->nodes[b].tier ? a : b];
}

/* In order: no frame overtakes the one before it in its direction. */
static void send_on(state_world *world, state_frame *frame, size_t bytes)
{
    state_node *child = child_of(world, frame->from, frame->to);
    int64_t *last = child->index == frame->from ? &child->last_up_ns : &child->last_down_ns;
    int64_t at_ns = world->now_ns + sim_between(&world->net, 2, 60);
    if (world->now_ns < child->slow_until_ns)
        at_ns += (int64_t)bytes * STATE_MS + 300 * STATE_MS; /* a kilobyte a second */
    if (at_ns <= *last)
        at_ns = *last + 1;
    *last = at_ns;
    post_after(world, frame, at_ns - world->now_ns);
}

static void sent(state_world *world, state_node *node, unsigned peer, unsigned scope,
                 uint64_t session, int64_t after_ns)
{
    state_frame *note = frame_new(world, peer, node->index, session);
    if (note == NULL)
        return;
    note->kind = FRAME_SENT;
    note->scope = scope;
    post_after(world, note, after_ns);
}

/* In the midst of things: a cut behind any frame, more often in a pass that is not over; then the box that
 * sends it may be taken back to its image. */
static void break_in(state_world *world, state_node *node, unsigned peer, const tmb_frame *out)
{
    bool is_midst = out->type == TMB_FRAME_LEAVES && !out->u.leaves.is_complete;
    if (state_may(world, STATE_CUT, &world->net, is_midst ? 200 : 10)) {
        world->result->fired[STATE_CUT]++;
        state_post(world, EVENT_CUT, child_of(world, node->index, peer), 0,
                   sim_between(&world->net, 0, 100), NULL);
    }
    if (is_midst && state_may(world, STATE_RESTORE, &world->net, 50))
        state_post(world, EVENT_DIE, node, 2, sim_between(&world->net, 20, 200), NULL);
}

static void say(state_world *world, state_node *node, unsigned peer, unsigned scope,
                uint64_t session, const tmb_frame *out)
{
    size_t cap = tmb_frame_size_max(out), len = 0;
    uint8_t *bytes = malloc(cap > 0 ? cap : 1);
    state_frame *frame = frame_new(world, node->index, peer, session);
    if (bytes == NULL || frame == NULL) {
        state_fail(world, "no memory");
        free(bytes);
        free(frame);
        return;
    }
    tmb_err err = tmb_frame_encode(out, bytes, cap, &len);
    size_t arena = tmb_frame_arena_size(len);
    frame->arena = malloc(arena);
    if (err == TMB_OK && frame->arena != NULL)
        err = tmb_frame_decode(tmb_bytes_of(bytes, len), frame->arena, arena, &frame->frame);
    if (err != TMB_OK)
        state_fail(world, "a frame cannot be encoded, or not be read again");
    free(bytes);
    frame->scope = scope;
    world->result->frames++;
    world->result->bytes += len;
    sent(world, node, peer, scope, session, sim_between(&world->net, 0, 5));
    if (state_may(world, STATE_LOSS, &world->net, 30) || err != TMB_OK) {
        world->result->fired[STATE_LOSS]++;
        state_frame_free(frame);
        return;
    }
    send_on(world, frame, len);
    break_in(world, node, peer, out);
}

static void step(state_world *world, state_node *node, unsigned peer, unsigned scope,
                 tmb_sync_event *event);

/* A parent that went back as far as its child cannot tell it how far it was. */
static bool can_tell(const state_node *parent, const state_node *node)
{
    return parent->went_back_ns <= node->known_ns;
}

static void do_action(state_world *world, state_node *node, unsigned peer, unsigned scope,
                      const tmb_sync_action *action, state_frame *frame)
{
    state_end *end = end_of(node, peer);
    if (action->type == TMB_SYNC_SEND) {
        say(world, node, peer, scope, end->session, action->frame);
    } else if (action->type == TMB_SYNC_JOB) {
        state_job job = {.kind = JOB_SYNC,
                         .peer = peer,
                         .scope = scope,
                         .session = end->session,
                         .job = action->job,
                         .frame = frame};
        state_job_add(world, node, &job);
    } else if (action->report == TMB_SYNC_REPORT_MET && node->unmet != 0 && peer == node->parent) {
        if (can_tell(&world->nodes[peer], node))
            node->unmet &= ~(1u << scope);
    } else if (action->report == TMB_SYNC_REPORT_REBORN) {
        node->unmet &= ~(1u << scope);
        world->result->reincarnated++;
        state_tell(world, node, "goes on under a new incarnation, session", end->session);
    } else if (world->print != NULL || action->report == TMB_SYNC_REPORT_RANGED) {
        char text[96];
        world->result->ranged += action->report == TMB_SYNC_REPORT_RANGED;
        snprintf(text, sizeof text, "%s of %s: %s, session", state_scopes[scope],
                 world->nodes[peer].name, tmb_sync_report_str(action->report));
        state_tell(world, node, text, end->session);
    }
}

/* A frame goes with the job that it leads to, and is of no use else. */
static void step_frame(state_world *world, state_node *node, unsigned peer, unsigned scope,
                       tmb_sync_event *event, state_frame *frame)
{
    static tmb_sync_actions pool[4];
    static unsigned depth;
    state_port *port = &end_of(node, peer)->ports[scope];
    if (port->room == NULL)
        port->room = calloc(1, sizeof *port->room);
    if (port->room == NULL || depth == 4) {
        state_fail(world, "no memory");
        return;
    }
    port->sync.room = port->room;
    event->now.ns = world->now_ns;
    tmb_sync_actions *actions = &pool[depth++];
    bool is_taken = false;
    if (tmb_sync_step(&port->sync, event, actions) != TMB_OK) {
        state_fail(world, "a machine calls an event wrong");
        actions->n = 0;
    }
    for (unsigned i = 0; i < actions->n; i++) {
        is_taken = is_taken || actions->v[i].type == TMB_SYNC_JOB;
        do_action(world, node, peer, scope, &actions->v[i],
                  actions->v[i].type == TMB_SYNC_JOB ? frame : NULL);
    }
    depth--;
    if (!is_taken)
        state_frame_free(frame);
    if (tmb_sync_is_quiet(&port->sync)) { /* whoever is quiet needs none */
        free(port->room);
        port->room = NULL;
        port->sync.room = NULL;
    }
}

static void step(state_world *world, state_node *node, unsigned peer, unsigned scope,
                 tmb_sync_event *event)
{
    step_frame(world, node, peer, scope, event, NULL);
}

static bool are_shared(const state_world *world, unsigned a, unsigned b, unsigned scope)
{
    return world->nodes[a].holds[scope] && world->nodes[b].holds[scope];
}

static void make(state_world *world, state_end *end, unsigned a, unsigned b)
{
    tmb_sync_options options = {
        .may_write = true, .answer_ms = ANSWER_MS, .chunk_bytes = (uint32_t)world->chunk_bytes};
    for (unsigned s = 0; s < world->scopes_count && !end->is_there; s++) {
        if (are_shared(world, a, b, s))
            tmb_sync_init(&end->ports[s].sync, state_scopes[s], &options);
    }
    end->is_there = true;
}

static void drop_waiting(state_port *port)
{
    for (; port->waiting_count > 0; port->waiting_count--)
        state_frame_free(port->waiting[port->waiting_count - 1]);
}

static void shut(state_world *world, state_node *node, unsigned peer)
{
    state_end *end = end_of(node, peer);
    if (!end->is_open)
        return;
    end->is_open = false;
    for (unsigned s = 0; s < world->scopes_count; s++) {
        tmb_sync_event event = {.type = TMB_SYNC_CLOSE, .session = end->session};
        drop_waiting(&end->ports[s]);
        if (are_shared(world, node->index, peer, s))
            step(world, node, peer, s, &event);
    }
}

static void begin(state_world *world, state_node *node, unsigned peer, uint64_t session)
{
    bool is_child = node->tier > world->nodes[peer].tier;
    state_end *end = end_of(node, peer);
    make(world, end, node->index, peer);
    shut(world, node, peer);
    for (unsigned s = 0; s < world->scopes_count; s++) {
        if (are_shared(world, node->index, peer, s) && tmb_sync_is_busy(&end->ports[s].sync)) {
            /* The last session's job is not done: the shell waits for it. */
            state_frame *again = frame_new(world, peer, node->index, session);
            if (again == NULL)
                return;
            again->kind = FRAME_OPEN;
            post_after(world, again, 5 * STATE_MS);
            return;
        }
    }
    end->session = session;
    end->is_open = true;
    for (unsigned s = 0; s < world->scopes_count; s++) {
        tmb_sync_event event = {.type = TMB_SYNC_OPEN, .session = session, .speaks = is_child};
        if (are_shared(world, node->index, peer, s))
            step(world, node, peer, s, &event);
    }
}

void state_dial(state_world *world, state_node *child)
{
    state_node *parent = &world->nodes[child->parent];
    if (!child->is_up || child->session != 0 || child->is_gone)
        return;
    if (!parent->is_up || world->now_ns < child->back_ns) {
        int64_t wait_ns = child->back_ns > world->now_ns ? child->back_ns - world->now_ns : 0;
        wait_ns += STATE_S / 2 + sim_span(&world->net, 5 * STATE_S + world->end_ns / 1000);
        state_post(world, EVENT_DIAL, child, 0, world->is_healed ? STATE_S : wait_ns, NULL);
        return;
    }
    child->session = ++world->sessions;
    child->last_up_ns = child->last_down_ns = world->now_ns;
    state_frame *up = frame_new(world, child->index, parent->index, child->session);
    if (up == NULL)
        return;
    up->kind = FRAME_OPEN;
    send_on(world, up, 0);
    state_frame *down = frame_new(world, parent->index, child->index, child->session);
    if (down == NULL)
        return;
    down->kind = FRAME_OPEN;
    child->last_down_ns = child->last_up_ns;
    send_on(world, down, 0);
}

void state_close(state_world *world, state_node *child)
{
    if (child->session == 0)
        return;
    for (unsigned i = 0; i < 2; i++) {
        unsigned to = i == 0 ? child->index : child->parent;
        state_frame *frame =
            frame_new(world, i == 0 ? child->parent : child->index, to, child->session);
        if (frame == NULL)
            return;
        frame->kind = FRAME_CLOSED;
        post_after(world, frame, sim_between(&world->net, 0, 3000));
    }
    child->session = 0;
}

/* Its machines are gone with the process; the others hear of it. */
void state_ends_reset(state_world *world, state_node *node)
{
    if (node->index != STATE_TOP)
        state_close(world, node);
    for (unsigned i = 0; i < world->nodes_count; i++) {
        state_node *child = &world->nodes[i];
        if (i != STATE_TOP && child->parent == node->index && child->session != 0)
            state_close(world, child);
    }
    for (unsigned i = 0; i < world->nodes_count; i++) {
        state_end *end = end_of(node, i);
        for (unsigned s = 0; s < STATE_SCOPES_MAX; s++) {
            drop_waiting(&end->ports[s]);
            free(end->ports[s].room);
        }
        *end = (state_end){0};
    }
}

static void take(state_world *world, state_node *node, state_frame *frame)
{
    state_port *port = &end_of(node, frame->from)->ports[frame->scope];
    if (tmb_sync_is_busy(&port->sync)) {
        if (port->waiting_count == TMB_SYNC_QUEUE_MAX)
            state_frame_free(frame); /* as if the line had lost it */
        else
            port->waiting[port->waiting_count++] = frame;
        return;
    }
    tmb_sync_event event = {
        .type = TMB_SYNC_FRAME, .session = frame->session, .frame = &frame->frame};
    step_frame(world, node, frame->from, frame->scope, &event, frame);
}

void state_arrive(state_world *world, state_frame *frame)
{
    state_node *node = &world->nodes[frame->to];
    if (!node->is_up) {
        state_frame_free(frame);
        return;
    }
    if (frame->kind == FRAME_OPEN) {
        if (child_of(world, frame->from, frame->to)->session == frame->session)
            begin(world, node, frame->from, frame->session);
        state_frame_free(frame);
        return;
    }
    state_end *end = end_of(node, frame->from);
    bool is_mine = end->is_open && end->session == frame->session;
    if (frame->kind == FRAME_CLOSED) {
        if (is_mine)
            shut(world, node, frame->from);
        if (node->index != STATE_TOP && frame->from == node->parent && node->session == 0)
            state_post(world, EVENT_DIAL, node, 0, sim_between(&world->net, 50, 4000), NULL);
        state_frame_free(frame);
    } else if (!is_mine) {
        state_frame_free(frame);
    } else if (frame->kind == FRAME_SENT) {
        tmb_sync_event event = {.type = TMB_SYNC_SENT, .session = frame->session};
        step(world, node, frame->from, frame->scope, &event);
        state_frame_free(frame);
    } else if (child_of(world, frame->from, frame->to)->session != frame->session) {
        state_frame_free(frame); /* cut while it was under way */
    } else {
        take(world, node, frame);
    }
}

static void tell_machines(state_world *world, state_node *node, unsigned scope, unsigned but,
                          tmb_sync_event_type type)
{
    for (unsigned i = 0; i < world->nodes_count; i++) {
        if (i == but || !are_shared(world, node->index, i, scope) || i == node->index)
            continue;
        state_end *end = end_of(node, i);
        if (!end->is_open)
            continue;
        tmb_sync_event event = {.type = type, .session = end->session};
        step(world, node, i, scope, &event);
    }
}

void state_changed(state_world *world, state_node *node, unsigned scope, unsigned but)
{
    tell_machines(world, node, scope, but, TMB_SYNC_CHANGED);
}

void state_compare(state_world *world, state_node *node, unsigned scope)
{
    tell_machines(world, node, scope, node->index, TMB_SYNC_COMPARE);
}

void state_job_done(state_world *world, state_node *node, const state_job *job)
{
    state_port *port = &end_of(node, job->peer)->ports[job->scope];
    tmb_sync_event event = {
        .type = TMB_SYNC_DONE, .session = job->session, .result = &node->result};
    tmb_job_result result = node->result;
    event.result = &result;
    step(world, node, job->peer, job->scope, &event);
    if (result.is_changed && node->job_err == TMB_OK)
        state_changed(world, node, job->scope, job->peer);
    while (port->waiting_count > 0 && !tmb_sync_is_busy(&port->sync)) {
        state_frame *frame = port->waiting[0];
        port->waiting_count--;
        for (unsigned i = 0; i < port->waiting_count; i++)
            port->waiting[i] = port->waiting[i + 1];
        take(world, node, frame);
    }
}

tmb_mono state_deadline(const state_world *world, const state_node *node)
{
    tmb_mono first = tmb_mono_never();
    for (unsigned i = 0; node->is_up && i < world->nodes_count; i++) {
        const state_end *end = &node->ends[i];
        for (unsigned s = 0; end->is_open && s < world->scopes_count; s++)
            if (end->ports[s].sync.state != TMB_SYNC_CLOSED)
                first = tmb_mono_min(first, tmb_sync_deadline(&end->ports[s].sync));
    }
    return first;
}

void state_timeouts(state_world *world, state_node *node)
{
    tmb_mono now = {world->now_ns};
    for (unsigned i = 0; i < world->nodes_count; i++) {
        state_end *end = end_of(node, i);
        for (unsigned s = 0; end->is_open && s < world->scopes_count; s++) {
            tmb_sync *sync = &end->ports[s].sync;
            if (sync->state == TMB_SYNC_CLOSED || !tmb_mono_is_due(tmb_sync_deadline(sync), now))
                continue;
            tmb_sync_event event = {.type = TMB_SYNC_TIMEOUT, .session = end->session};
            step(world, node, i, s, &event);
        }
    }
}
