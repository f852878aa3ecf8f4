// SPDX-License-Identifier: Apache-2.0
/* sim/state_job.c - processes start and stop, and do one job at a time: run, commit some time later, then
 * tell.
 *
 *   queue --> run in a transaction --some ms--> commit, synced if so asked --> done --> next
 *                                   ^ a kill, a power cut: the transaction took place, or not
 *
 * A disk that is full refuses all; the job has failed and what asked for it tries again. */
#include "sim/state_world.h"

#include <stdlib.h>

static bool is_full(const state_world *world, const state_node *node)
{
    return world->now_ns < node->full_until_ns;
}

/* Fall-backs are neighbours that are waited for, though nobody may ever have been there: as configured. */
static void know_parents(state_world *world, state_node *node)
{
    static tmb_neighbour neighbour;
    for (unsigned i = 0; world->knows_fallbacks && i < node->parents_count; i++) {
        tmb_bytes name = tmb_bytes_str(world->nodes[node->parents[i]].name);
        if (tmb_scope_neighbour_get(world->scope, name, &neighbour) != TMB_ENOENT)
            continue;
        tmb_neighbour_init(&neighbour);
        neighbour.state = TMB_MEMBER_ACTIVE;
        neighbour.heard_ms = state_wall_ms(world, node);
        if (tmb_scope_neighbour_put(world->scope, name, &neighbour) != TMB_OK)
            state_fail(world, "a neighbour cannot be put");
    }
}

void state_start(state_world *world, state_node *node)
{
    if (!node->is_there || node->is_up || node->is_gone)
        return;
    node->run++;
    node->is_up = node->is_powered = true;
    state_clock_begin(node);
    for (unsigned s = 0; s < world->scopes_count; s++) {
        if (!node->holds[s] || !state_load(world, node, s, world->scope))
            continue;
        tmb_scope_start(world->scope);
        know_parents(world, node);
        if (node->has_moved &&
            tmb_scope_reincarnate(world->scope, state_fresh(world), world->scope->last) != TMB_OK)
            state_fail(world, "a scope cannot go on under a new incarnation");
        if (tmb_scope_save(world->scope) != TMB_OK)
            state_fail(world, "a scope cannot be saved");
        kv_memory_commit(&node->box.disk, true);
    }
    node->has_moved = false;
    state_tell(world, node, "starts, run", node->run);
    state_want(world, node, JOB_APPLY);
    if (node->index != STATE_TOP)
        state_post(world, EVENT_DIAL, node, 0, sim_between(&world->net, 5, 1500), NULL);
}

static void committed(state_world *world, state_node *node)
{
    const state_job *job = &node->job;
    if (job->kind == JOB_APPLY)
        state_applied(world, node, true);
    for (unsigned s = 0; s < world->scopes_count; s++) {
        if (!node->holds[s] || (job->kind == JOB_SYNC && job->scope != s) ||
            job->kind == JOB_HOUSE || job->kind == JOB_RETIRE)
            continue;
        state_learn(world, node, s, job->kind == JOB_SYNC ? job->peer : node->index);
        if (sim_chance(&world->dice, 50))
            state_check(world, node, s);
    }
}

static void dropped(state_world *world, state_node *node)
{
    kv_memory_drop(&node->box.disk);
    if (node->job.kind == JOB_APPLY)
        state_applied(world, node, false);
    state_clock_begin(node);
}

static bool is_to_commit(const state_node *node)
{
    return node->job_err == TMB_OK &&
           (node->job.kind != JOB_SYNC || node->result.commit != TMB_COMMIT_NOTHING);
}

static bool is_to_sync(const state_node *node)
{
    return node->job.kind == JOB_APPLY || node->job.kind == JOB_RETIRE ||
           (node->job.kind == JOB_SYNC && node->result.commit == TMB_COMMIT_SYNC);
}

/* What a process had in its memory. */
void state_node_empty(state_world *world, state_node *node)
{
    state_frame_free(node->job.frame);
    node->job.frame = NULL;
    for (; node->jobs_count > 0; node->jobs_count--) {
        state_frame_free(node->jobs[node->jobs_first].frame);
        node->jobs_first = (node->jobs_first + 1) % STATE_JOBS_MAX;
    }
    state_ends_reset(world, node);
}

void state_stop(state_world *world, state_node *node, bool is_power_cut)
{
    if (!node->is_up)
        return;
    state_tell(world, node, is_power_cut ? "loses its power, run" : "is killed, run", node->run);
    if (node->is_busy && is_to_commit(node) && sim_chance(&world->dice, 500)) {
        kv_memory_commit(&node->box.disk, is_to_sync(node));
        committed(world, node);
    } else if (node->is_busy) {
        dropped(world, node);
    }
    kv_memory_drop(&node->box.disk);
    node->is_up = node->is_busy = false;
    node->run++;
    state_node_empty(world, node);
    if (is_power_cut) {
        node->is_powered = false;
        state_cut_power(world, node);
    }
}

void state_job_add(state_world *world, state_node *node, const state_job *job)
{
    if (node->jobs_count == STATE_JOBS_MAX) {
        state_fail(world, "more jobs wait than machines can have given");
        return;
    }
    node->jobs[(node->jobs_first + node->jobs_count++) % STATE_JOBS_MAX] = *job;
    state_job_next(world, node);
}

void state_want(state_world *world, state_node *node, state_job_kind kind)
{
    for (unsigned i = 0; i < node->jobs_count; i++) {
        if (node->jobs[(node->jobs_first + i) % STATE_JOBS_MAX].kind == kind)
            return;
    }
    state_job job = {.kind = kind};
    if (node->is_up)
        state_job_add(world, node, &job);
}

static tmb_err keep_house(state_world *world, state_node *node)
{
    node->ahead = 0;
    for (unsigned s = 0; s < world->scopes_count; s++) {
        unsigned lapsed = 0, forgotten = 0;
        if (!node->holds[s])
            continue;
        if (!state_load(world, node, s, world->scope))
            return TMB_EIO;
        tmb_err err = tmb_scope_lapse(world->scope, state_wall_ms(world, node), STATE_LAPSE_MS,
                                      world->unstable_max, &lapsed);
        if (err == TMB_OK)
            err = tmb_scope_forget(world->scope, 100000, &forgotten);
        if (err == TMB_OK)
            err = tmb_scope_save(world->scope);
        if (err != TMB_OK)
            return err;
        node->ahead |= world->scope->extras > 0 ? 1u << s : 0u;
        world->result->lapsed += lapsed;
        if (lapsed > 0)
            state_tell(world, node, "does not wait any more for neighbours:", lapsed);
    }
    return TMB_OK;
}

static tmb_err retire(state_world *world, state_node *node, unsigned peer)
{
    for (unsigned s = 0; s < world->scopes_count; s++) {
        if (!node->holds[s])
            continue;
        if (!state_load(world, node, s, world->scope))
            return TMB_EIO;
        tmb_err err = tmb_scope_retire(world->scope, tmb_bytes_str(world->nodes[peer].name));
        if (err == TMB_ENOENT)
            continue;
        if (err == TMB_OK)
            err = tmb_scope_save(world->scope);
        if (err != TMB_OK)
            return err;
    }
    return TMB_OK;
}

/* What the daemon does with a neighbour's SCOPE besides: a parent tells the time, and all tell their
 * stamps. */
static void hear_clock(state_world *world, state_node *node, const state_job *job)
{
    if (job->job.kind != TMB_JOB_MEET || job->job.frame == NULL)
        return;
    const tmb_frame_scope *scope = &job->job.frame->u.scope;
    tmb_wall now = {state_wall_ms(world, node)}, parent = {(int64_t)scope->wall_ms};
    tmb_hlc remote = {scope->hlc};
    if (scope->wall_ms != 0 && job->peer == node->parent && node->index != STATE_TOP)
        (void)tmb_clock_learn(&node->clock, parent, now, now);
    if (world->plant == STATE_FOLD_AHEAD && remote.u64 > node->clock.last.u64)
        node->clock.last = remote;
    (void)tmb_clock_fold(&node->clock, remote, now);
}

static tmb_err run(state_world *world, state_node *node)
{
    state_job *job = &node->job;
    switch (job->kind) {
    case JOB_APPLY:
        return state_apply(world, node);
    case JOB_HOUSE:
        return keep_house(world, node);
    case JOB_RETIRE:
        return retire(world, node, job->peer);
    case JOB_SYNC:
        hear_clock(world, node, job);
        tmb_err err = tmb_exchange_run(
            node->exchange, &job->job, &node->box.port, tmb_bytes_str(state_scopes[job->scope]),
            tmb_bytes_str(world->nodes[job->peer].name), state_fresh(world),
            state_wall_ms(world, node), node->clock.last.u64, &node->result);
        if (err == TMB_OK && node->result.commit != TMB_COMMIT_NOTHING &&
            !state_clock_store(world, node))
            err = TMB_ENOSPC;
        return err;
    case JOB_NONE:
        break;
    }
    return TMB_OK;
}

static void remember(state_world *world, state_node *node)
{
    for (unsigned s = 0; s < world->scopes_count; s++) {
        bool is_concerned = node->job.kind != JOB_SYNC || node->job.scope == s;
        if (!node->holds[s] || !is_concerned || !state_load(world, node, s, world->scope))
            continue;
        node->self_before[s] = world->scope->self;
        node->last_before[s] = world->scope->last;
    }
}

void state_job_next(state_world *world, state_node *node)
{
    if (node->is_busy || !node->is_up || node->jobs_count == 0)
        return;
    node->job = node->jobs[node->jobs_first];
    node->jobs_first = (node->jobs_first + 1) % STATE_JOBS_MAX;
    node->jobs_count--;
    node->is_busy = true;
    remember(world, node);
    if (is_full(world, node))
        kv_memory_fail(&node->box.disk, 1, TMB_ENOSPC);
    node->result = (tmb_job_result){.kind = node->job.job.kind};
    node->job_err = is_full(world, node) ? TMB_ENOSPC : run(world, node);
    kv_memory_fail(&node->box.disk, 0, TMB_OK);
    if (node->job.kind == JOB_SYNC)
        node->result.err = node->job_err;
    if (node->job_err != TMB_OK && !is_full(world, node))
        state_fail(world, "a job fails though the disk is in order");
    state_post(world, EVENT_COMMIT, node, ++node->ticket,
               is_to_sync(node) ? sim_between(&world->dice, 1, 20)
                                : sim_span(&world->dice, STATE_MS),
               NULL);
    /* Where it hurts most: between a write and its sync, between a sync and what is told of it. */
    bool is_power = sim_chance(&world->dice, 500);
    if (state_may(world, is_power ? STATE_POWER : STATE_KILL, &world->dice, 4))
        state_post(world, EVENT_DIE, node, is_power, sim_between(&world->dice, 0, 25), NULL);
}

void state_job_commit(state_world *world, state_node *node)
{
    state_job job = node->job;
    if (is_to_commit(node)) {
        bool is_synced = is_to_sync(node);
        if (world->plant == STATE_ACK_BEFORE_SYNC)
            is_synced = sim_chance(&world->dice, 250);
        kv_memory_commit(&node->box.disk, is_synced);
        if (world->plant == STATE_CURSOR_APART && job.kind == JOB_APPLY &&
            sim_chance(&world->dice, 900)) {
            (void)state_cursor_put(node, node->cursor_after);
            kv_memory_commit(&node->box.disk, true);
        }
        committed(world, node);
    } else {
        dropped(world, node);
    }
    node->is_busy = false;
    node->job.frame = NULL;
    if (job.kind == JOB_SYNC)
        state_job_done(world, node, &job);
    for (unsigned s = 0; job.kind == JOB_HOUSE && s < world->scopes_count; s++)
        if (node->job_err == TMB_OK && (node->ahead & (1u << s)) != 0)
            state_compare(world, node, s);
    if (job.kind == JOB_APPLY) {
        for (unsigned s = 0; node->job_err == TMB_OK && s < world->scopes_count; s++) {
            if (node->holds[s])
                state_changed(world, node, s, node->index);
        }
        if (node->job_err == TMB_OK && state_cursor(&node->box) < node->box.synced)
            state_want(world, node, JOB_APPLY);
    }
    state_frame_free(job.frame);
    state_job_next(world, node);
}
