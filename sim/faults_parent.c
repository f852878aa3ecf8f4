// SPDX-License-Identifier: Apache-2.0
/* sim/faults_parent.c - the shell around the intakes of one parent in the world of faults.
 *
 * A commit takes a moment and then is durable as a whole; a process that ends in that moment, or loses its
 * broker, does not know which of the two it was. The log is the truth; the marks that are looked up are a
 * view of it, and in some lives an old one. What is sent to a child goes to every box of its name. */
#include "sim/faults_world.h"

#include <stdlib.h>

static void run_actions(fault_world *world, fault_node *node, unsigned child,
                        const tmb_intake_actions *actions);

static void step_intake(fault_world *world, fault_node *node, unsigned child,
                        tmb_intake_event *event)
{
    tmb_intake_actions actions;
    event->now = fault_clock(world, node);
    if (tmb_intake_step(&node->intakes[child], event, &actions) != TMB_OK)
        fault_fail(world, "an intake refused an honest event");
    fault_hash(world, (uint64_t)node->intakes[child].state);
    run_actions(world, node, child, &actions);
}

void fault_parent_start(fault_world *world, fault_node *node)
{
    node->is_stale = fault_may(world, FAULT_STALE, &world->disk, 400);
    memset(node->received, 0, sizeof node->received);
    for (unsigned i = 0; i < world->nodes_count; i++) {
        if (world->nodes[i].parent == node->index && i != node->index && !world->nodes[i].is_clone)
            tmb_intake_init(&node->intakes[i], tmb_bytes_str(world->nodes[i].name), node->name,
                            node->index == FAULT_TOP);
    }
}

/* What was on its way to the disk gets there, or not; nobody hears of it. */
static void orphan_commits(fault_world *world, const fault_node *node, bool has_child,
                           unsigned child)
{
    for (size_t i = 0; i < world->heap.count; i++) {
        sim_event *event = &world->heap.events[i];
        fault_load *load = event->load;
        if (event->kind != EVENT_COMMIT || event->node != node->index || event->run != node->run ||
            (has_child && load->copy.child != child))
            continue;
        event->run = 0;
        load->takes_effect = sim_chance(&world->disk, 500);
    }
}

void fault_parent_stop(fault_world *world, fault_node *node)
{
    orphan_commits(world, node, false, 0);
}

void fault_parent_reset(fault_world *world, fault_node *node)
{
    tmb_intake_event event = {.type = TMB_INTAKE_RESET};
    bool are_orphans = sim_chance(&world->disk, 500); /* else they are answered, late */
    for (unsigned i = 0; i < world->nodes_count; i++) {
        if (node->intakes[i].node == NULL)
            continue;
        if (are_orphans)
            orphan_commits(world, node, true, i);
        step_intake(world, node, i, &event);
    }
}

static void answer(fault_world *world, fault_node *node, const fault_copy *copy, bool is_stored)
{
    tmb_intake_event event = {.type = is_stored ? TMB_INTAKE_STORED : TMB_INTAKE_STORE_FAILED,
                              .ticket = copy->ticket};
    const fault_kept *kept = &node->kept[copy->child][copy->life][copy->stream];
    if (is_stored && kept->last_seq == copy->last_seq)
        event.u.chain = &kept->chain;
    step_intake(world, node, copy->child, &event);
}

static void finish_commit(fault_world *world, fault_node *node, const sim_event *done)
{
    const fault_load *load = done->load;
    bool is_alive = node->is_up && done->run == node->run;
    bool is_lying = world->plant == FAULT_ACK_BEFORE_STORE;
    bool fails = is_alive && !is_lying && fault_may(world, FAULT_STORE, &world->disk, 100);
    bool takes_effect = is_alive ? !fails || sim_chance(&world->disk, 250) : load->takes_effect;
    if (takes_effect && fault_commit(world, node, &load->copy) && node->is_up)
        fault_post(world, EVENT_TAIL, node, load->copy.stream, sim_between(&world->load, 0, 20),
                   NULL);
    if (is_alive && !is_lying)
        answer(world, node, &load->copy, !fails);
}

static void persist(fault_world *world, fault_node *node, uint64_t ticket)
{
    fault_copy *copy = fault_copy_find(node->received, ticket);
    fault_load *load = fault_load_new(world, NULL, 0);
    if (copy == NULL || load == NULL) {
        fault_fail(world, "a batch is to be stored that is not there");
        free(load);
        return;
    }
    load->copy = *copy;
    copy->ticket = 0;
    fault_post(world, EVENT_COMMIT, node, 0, sim_between(&world->disk, 1, 30), load);
    if (world->plant != FAULT_ACK_BEFORE_STORE)
        return;
    fault_load *early = fault_load_new(world, NULL, 0);
    if (early != NULL)
        early->copy = load->copy;
    fault_post(world, EVENT_STORED, node, 0, 0, early);
}

static void arrive_down(fault_world *world, fault_node *box, const uint8_t *bytes, size_t len)
{
    int64_t delay_ns = sim_between(&world->net, 3, 12);
    if (fault_may(world, FAULT_REORDER, &world->net, 150))
        delay_ns += sim_between(&world->net, 0, 400);
    if (box->clog_until_ns > world->now_ns + delay_ns)
        delay_ns = box->clog_until_ns - world->now_ns;
    fault_post(world, EVENT_TO_CHILD, box, box->dial, delay_ns, fault_load_new(world, bytes, len));
}

static void send_down(fault_world *world, unsigned child, const tmb_frame *frame)
{
    uint8_t bytes[8192];
    size_t len = 0;
    if (tmb_frame_encode(frame, bytes, sizeof bytes, &len) != TMB_OK) {
        fault_fail(world, "an intake sent what is no frame");
        return;
    }
    for (unsigned i = 0; i < world->nodes_count; i++) {
        fault_node *box = &world->nodes[i];
        if (box->origin != child || !box->is_up || !box->is_linked || box->is_line_dead ||
            box->half_open_until_ns > world->now_ns || box->deaf_until_ns > world->now_ns ||
            fault_may(world, FAULT_LOSS, &world->net, 60))
            continue;
        arrive_down(world, box, bytes, len);
        if (fault_may(world, FAULT_REPEAT, &world->net, 80))
            arrive_down(world, box, bytes, len);
    }
}

static void run_actions(fault_world *world, fault_node *node, unsigned child,
                        const tmb_intake_actions *actions)
{
    for (unsigned i = 0; i < actions->n; i++) {
        const tmb_intake_action *action = &actions->v[i];
        fault_load *load;
        fault_copy *copy;
        fault_hash(world, (uint64_t)action->type);
        switch (action->type) {
        case TMB_INTAKE_LOAD_MARKS:
            load = fault_load_new(world, NULL, 0);
            if (load != NULL)
                load->child = child;
            fault_post(world, EVENT_MARKS, node, action->session, sim_between(&world->disk, 0, 20),
                       load);
            break;
        case TMB_INTAKE_SEND:
            send_down(world, child, action->frame);
            break;
        case TMB_INTAKE_PERSIST:
            persist(world, node, action->ticket);
            break;
        case TMB_INTAKE_DROP:
            copy = fault_copy_find(node->received, action->ticket);
            if (copy == NULL)
                fault_fail(world, "an intake drops a batch that is not there");
            else
                copy->ticket = 0;
            break;
        case TMB_INTAKE_ASKED:
            break;
        case TMB_INTAKE_REPORT:
            if (action->report == TMB_INTAKE_REPORT_MALFORMED)
                fault_fail(world, "an honest child is misunderstood");
            if (action->report != TMB_INTAKE_REPORT_PROBE)
                break;
            load = fault_load_new(world, NULL, 0);
            if (load != NULL)
                load->child = child;
            fault_post(world, EVENT_PROBE, node, 0, (int64_t)action->number * FAULT_MS * 12 / 10,
                       load);
            break;
        }
    }
}

static unsigned find_stream(const char *name)
{
    unsigned i = 0;
    while (i < FAULT_STREAMS && strcmp(fault_streams[i], name) != 0)
        i++;
    return i;
}

static void answer_marks(fault_world *world, fault_node *node, unsigned child, uint64_t session)
{
    const tmb_intake *intake = &node->intakes[child];
    uint64_t seqs[TMB_STREAMS_MAX] = {0};
    tmb_chain chains[TMB_STREAMS_MAX] = {0};
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        const fault_kept *kept = &node->kept[child][intake->lanes[i].incarnation.bytes[1] - 1u]
                                            [find_stream(intake->lanes[i].stream)];
        seqs[i] = node->is_stale ? kept->view.seq : kept->last_seq;
        chains[i] = node->is_stale ? kept->view : kept->chain;
        if (world->plant == FAULT_MARK_TOO_HIGH && seqs[i] > 0 &&
            seqs[i] < intake->lanes[i].last_seq)
            seqs[i]++;
    }
    tmb_intake_event event = {.type = TMB_INTAKE_MARKS};
    event.u.marks.session = session;
    event.u.marks.seqs = seqs;
    event.u.marks.chains = chains;
    step_intake(world, node, child, &event);
}

static void keep_batch(fault_world *world, fault_node *node, unsigned child,
                       const tmb_frame_batch *batch, uint64_t *ret_ticket)
{
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1] = "";
    fault_copy *copy = fault_copy_find(node->received, 0);
    if (copy == NULL) {
        fault_fail(world, "an intake keeps too many batches");
        return;
    }
    memcpy(stream, batch->stream.ptr, batch->stream.len);
    *copy = (fault_copy){.ticket = ++node->next_ticket,
                         .child = child,
                         .stream = find_stream(stream),
                         .life = batch->incarnation.bytes[1] - 1u,
                         .first_seq = batch->first_seq,
                         .last_seq = batch->last_seq,
                         .gap_first = batch->gap_first,
                         .gap_reason = batch->gap_reason};
    for (size_t i = 0; i < (size_t)(batch->last_seq - batch->first_seq + 1); i++) {
        const uint8_t *bytes = batch->data.ptr + i * TMB_RECORD_BYTES_MIN;
        fault_record *record = &copy->records[i];
        memcpy(&record->value, bytes, sizeof record->value);
        memcpy(&record->before, bytes + 8, sizeof record->before);
        memcpy(&record->seq, bytes + 16, sizeof record->seq);
        record->origin = bytes[24];
        record->life = bytes[25];
        record->stream = bytes[26];
    }
    *ret_ticket = copy->ticket;
}

static void hear_frame(fault_world *world, fault_node *node, const fault_load *load)
{
    static max_align_t arena[4096];
    unsigned child = world->nodes[load->child].origin;
    tmb_frame frame;
    tmb_intake_event event = {.type = TMB_INTAKE_FRAME};
    event.u.frame = &frame;
    if (tmb_frame_decode(tmb_bytes_of(load->bytes, load->len), arena, sizeof arena, &frame)) {
        fault_fail(world, "a frame of a child cannot be read");
        return;
    }
    if (frame.type == TMB_FRAME_BATCH)
        keep_batch(world, node, child, &frame.u.batch, &event.ticket);
    step_intake(world, node, child, &event);
}

void fault_parent_event(fault_world *world, fault_node *node, sim_event *event)
{
    const fault_load *load = event->load;
    tmb_intake_event over = {.type = TMB_INTAKE_TIMEOUT};
    if (event->kind == EVENT_COMMIT)
        finish_commit(world, node, event);
    else if (!node->is_up)
        return;
    else if (event->kind == EVENT_TO_PARENT)
        hear_frame(world, node, load);
    else if (event->run != node->run)
        return;
    else if (event->kind == EVENT_MARKS)
        answer_marks(world, node, load->child, event->number);
    else if (event->kind == EVENT_STORED)
        answer(world, node, &load->copy, true);
    else if (event->kind == EVENT_PROBE)
        step_intake(world, node, load->child, &over);
}
