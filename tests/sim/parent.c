// SPDX-License-Identifier: Apache-2.0
/* tests/sim/parent.c - the parent's shell and disk. A commit takes a moment and then is durable as a
 * whole; a process that ends in that moment, or loses its broker, does not know which of the two it was.
 * The log is the truth; the marks it looks up are a view of it, and in some lives an old one. */
#include "tests/sim/world.h"

static void run_actions(sim_world *world, const tmb_intake_actions *actions);

static void step_intake(sim_world *world, tmb_intake_event *event)
{
    tmb_intake_actions actions;
    event->now.ns = world->now_ns;
    if (tmb_intake_step(&world->parent.intake, event, &actions) != TMB_OK)
        sim_fail(world, "the intake refused an honest event");
    sim_hash(world, (uint64_t)world->parent.intake.state);
    run_actions(world, &actions);
}

void sim_parent_start(sim_world *world)
{
    sim_parent *parent = &world->parent;
    parent->run++;
    parent->is_up = true;
    parent->is_stale = sim_chance(&world->disk, world->odds.stale);
    memset(parent->copies, 0, sizeof parent->copies);
    tmb_intake_init(&parent->intake, tmb_bytes_str("s1"), "hub", true);
}

/* What was on its way to the disk gets there, or not; nobody hears of it. */
static void orphan_commits(sim_world *world)
{
    for (unsigned i = 0; i < world->events_count; i++) {
        sim_event *event = &world->events[i];
        if (event->kind == SIM_COMMIT && event->run == world->parent.run) {
            event->run = 0;
            event->flag = sim_chance(&world->disk, 500);
        }
    }
}

void sim_parent_stop(sim_world *world)
{
    orphan_commits(world);
    world->parent.is_up = false;
    sim_post(world, SIM_PARENT_START, 0, sim_ms(&world->fate, 10, 2000));
}

void sim_parent_reset(sim_world *world)
{
    tmb_intake_event event = {.type = TMB_INTAKE_RESET};
    if (!world->parent.is_up)
        return;
    if (sim_chance(&world->disk, 500)) /* else they are answered, late */
        orphan_commits(world);
    step_intake(world, &event);
}

static unsigned find_stream(const char *name)
{
    return strcmp(name, sim_streams[0]) == 0 ? 0 : 1;
}

/* The oracle of order and once: a commit starts right after what is there, or declares what is missing, and
 * only what the child really lost may be missing. Repeats are dropped, as the broker's plugin does. */
static void apply(sim_world *world, const sim_copy *copy)
{
    sim_kept *kept = &world->parent.kept[copy->life][copy->stream];
    const sim_truth *truth = &world->truth[copy->life][copy->stream];
    uint64_t from = copy->gap_first != 0 ? copy->gap_first : copy->first_seq;
    if (from > kept->last_seq + 1) {
        sim_fail(world, "a commit leaves a hole");
        return;
    }
    while (kept->last_seq + 1 < copy->first_seq) {
        kept->last_seq++;
        kept->gaps++;
        if (!truth->is_lost[kept->last_seq])
            sim_fail(world, "a record is given up that was acknowledged, or never lost");
    }
    while (kept->last_seq < copy->last_seq) {
        kept->last_seq++;
        kept->value[kept->last_seq] = copy->values[kept->last_seq - copy->first_seq];
        if (kept->value[kept->last_seq] != truth->value[kept->last_seq])
            sim_fail(world, "the parent has another record under this number than the child");
        world->large += sim_is_large(world, kept->value[kept->last_seq]);
    }
    sim_hash(world, kept->last_seq);
}

static void answer(sim_world *world, uint64_t ticket, bool is_stored)
{
    tmb_intake_event event = {.type = is_stored ? TMB_INTAKE_STORED : TMB_INTAKE_STORE_FAILED,
                              .ticket = ticket};
    step_intake(world, &event);
}

static void finish_commit(sim_world *world, const sim_event *done)
{
    bool is_alive = world->parent.is_up && done->run == world->parent.run;
    bool fails = is_alive && !world->is_healed && world->plant != SIM_ACK_BEFORE_STORE &&
                 sim_chance(&world->disk, world->odds.store_fail);
    bool takes_effect = is_alive ? !fails || sim_chance(&world->disk, 250) : done->flag;
    if (takes_effect)
        apply(world, &done->copy);
    if (is_alive && world->plant != SIM_ACK_BEFORE_STORE)
        answer(world, done->copy.ticket, !fails);
}

static void persist(sim_world *world, uint64_t ticket)
{
    sim_parent *parent = &world->parent;
    sim_copy *copy = sim_copy_find(parent->copies, ticket);
    if (copy == NULL) {
        sim_fail(world, "a batch is to be stored that is not there");
        return;
    }
    sim_post(world, SIM_COMMIT, parent->run, sim_ms(&world->disk, 1, 30))->copy = *copy;
    copy->ticket = 0;
    if (world->plant == SIM_ACK_BEFORE_STORE)
        sim_post(world, SIM_STORED, parent->run, 0)->number = ticket;
}

static void run_actions(sim_world *world, const tmb_intake_actions *actions)
{
    sim_copy *copy;
    for (unsigned i = 0; i < actions->n; i++) {
        const tmb_intake_action *action = &actions->v[i];
        sim_hash(world, (uint64_t)action->type);
        switch (action->type) {
        case TMB_INTAKE_LOAD_MARKS:
            sim_post(world, SIM_MARKS, world->parent.run, sim_ms(&world->disk, 0, 20))->number =
                action->session;
            break;
        case TMB_INTAKE_SEND:
            sim_send(world, SIM_TO_CHILD, world->child.run, world->child.dial, action->frame);
            break;
        case TMB_INTAKE_PERSIST:
            persist(world, action->ticket);
            break;
        case TMB_INTAKE_DROP:
            copy = sim_copy_find(world->parent.copies, action->ticket);
            if (copy == NULL)
                sim_fail(world, "a batch was dropped that is not there");
            else
                copy->ticket = 0;
            break;
        case TMB_INTAKE_ASKED:
            break;
        case TMB_INTAKE_REPORT:
            if (action->report == TMB_INTAKE_REPORT_MALFORMED ||
                action->report == TMB_INTAKE_REPORT_REFUSED)
                sim_fail(world, "an honest child was refused");
            break;
        }
    }
}

static void answer_marks(sim_world *world, uint64_t session)
{
    sim_parent *parent = &world->parent;
    uint64_t seqs[TMB_STREAMS_MAX] = {0};
    for (unsigned i = 0; i < parent->intake.lanes_count; i++) {
        const tmb_intake_lane *lane = &parent->intake.lanes[i];
        unsigned life = lane->incarnation.bytes[0] - 1u;
        seqs[i] = parent->kept[life][find_stream(lane->stream)].last_seq;
        if (parent->is_stale)
            seqs[i] -= tmb_rng_below(&world->disk, seqs[i] + 1);
    }
    tmb_intake_event event = {.type = TMB_INTAKE_MARKS};
    event.u.marks.session = session;
    event.u.marks.seqs = seqs;
    step_intake(world, &event);
}

static void hear_frame(sim_world *world, const sim_event *heard)
{
    static max_align_t arena[2048];
    sim_parent *parent = &world->parent;
    tmb_frame frame;
    tmb_intake_event event = {.type = TMB_INTAKE_FRAME};
    event.u.frame = &frame;
    if (tmb_frame_decode(tmb_bytes_of(heard->bytes, heard->len), arena, sizeof arena, &frame)) {
        sim_fail(world, "a frame of ours cannot be read");
        return;
    }
    if (frame.type == TMB_FRAME_BATCH) {
        const tmb_frame_batch *batch = &frame.u.batch;
        sim_copy *copy = sim_copy_find(parent->copies, 0);
        if (copy == NULL) {
            sim_fail(world, "the intake keeps too many batches");
            return;
        }
        *copy = (sim_copy){.ticket = ++parent->next_ticket,
                           .stream = memcmp(batch->stream.ptr, sim_streams[0], 1) == 0 ? 0 : 1,
                           .life = batch->incarnation.bytes[0] - 1u,
                           .first_seq = batch->first_seq,
                           .last_seq = batch->last_seq,
                           .gap_first = batch->gap_first,
                           .gap_reason = batch->gap_reason};
        for (size_t i = 0; i < (size_t)(batch->last_seq - batch->first_seq + 1); i++)
            memcpy(&copy->values[i], batch->data.ptr + i * TMB_RECORD_BYTES_MIN,
                   sizeof copy->values[i]);
        event.ticket = copy->ticket;
    }
    step_intake(world, &event);
}

void sim_parent_event(sim_world *world, sim_event *event)
{
    sim_parent *parent = &world->parent;
    if (event->kind == SIM_COMMIT)
        finish_commit(world, event);
    else if (event->kind == SIM_PARENT_START)
        sim_parent_start(world);
    else if (!parent->is_up)
        return;
    else if (event->kind == SIM_TO_PARENT)
        hear_frame(world, event);
    else if (event->run != parent->run)
        return;
    else if (event->kind == SIM_MARKS)
        answer_marks(world, event->number);
    else if (event->kind == SIM_STORED)
        answer(world, event->number, true);
}

/* Everything that the child's present log ever held is here, but for what ends it in a gap: that travels with
 * the next record. And the child knows it, or was told an old mark and has nothing left to ask with. */
bool sim_is_drained(const sim_world *world)
{
    const sim_child *child = &world->child;
    for (unsigned i = 0; i < SIM_STREAMS; i++) {
        const sim_truth *truth = &world->truth[child->life][i];
        uint64_t last = child->logs[i].last_seq;
        while (last > 0 && truth->is_lost[last])
            last--;
        if (world->parent.kept[child->life][i].last_seq < last ||
            (child->session.lanes[i].acked < last && child->logs[i].first_seq <= last))
            return false;
    }
    return child->is_up;
}
