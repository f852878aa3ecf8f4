// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state.c - the scopes of this node, and who is told when one has changed.
 *
 *   start --job: which scopes are in the store--> begun: operations, values, neighbours
 *   each minute or more often: lapse (who was not heard), forget (what every active neighbour has), one scope
 *   after the other
 */
#include "syncd/daemon/state_inside.h"

#include <stdlib.h>
#include <time.h>

#include "syncd/daemon/log.h"
#include "syncd/daemon/state_members.h"
#include "syncd/daemon/state_peer.h"
#include "syncd/daemon/state_rows.h"
#include "syncd/daemon/state_twins.h"
#include "syncd/store/state_store.h"

/* 2026-11-01: no clock can be before this program was made. */
#define BUILT_MS INT64_C(1793491200000)

/* Seconds between two rounds over all scopes: a part of lapse_after, so that it is kept to, too. */
#define CARE_TICKS   60
#define CARE_PARTS   16
#define CARE_FORGETS 4096u

/* The row of a round: "which scopes are there", and then one scope after the other. */
typedef struct care {
    tmb_state_job job;
    tmb_state *state;
    char (*names)[TMB_NAME_BYTES_MAX + 1]; /* of begin */
    size_t count, cap;
    char at[TMB_NAME_BYTES_MAX + 1]; /* the scope that is looked after; empty: none yet */
    tmb_state_look look;
    unsigned lapsed, forgotten;
    char late[TMB_NEIGHBOURS_MAX][TMB_NAME_BYTES_MAX + 1]; /* who has not been heard for long */
    unsigned late_count;
    unsigned ticks;
    bool is_busy, is_over;
    bool is_ahead; /* leaves of it hold what no clock covers */
} care;

struct tmb_state_inside {
    tmb_state state;
    care begin, care;
};

static struct tmb_state_inside *inside(tmb_state *state)
{
    return (struct tmb_state_inside *)(void *)state; /* its first member */
}

tmb_wall tmb_state_wall(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (tmb_wall){(int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
}

tmb_err tmb_state_keep_clock(tmb_state *state, const tmb_kv *kv)
{
    tmb_hlc floor;
    return tmb_clock_floor(&state->clock, tmb_state_wall(), &floor) ? tmb_floor_row_put(kv, floor)
                                                                    : TMB_OK;
}

/* In the pool: a clock that gave stamps in vain gives them again. */
static void on_settled(void *arg, bool is_committed)
{
    tmb_state *state = arg;
    if (is_committed)
        state->kept_clock = state->clock;
    else
        state->clock = state->kept_clock;
}

tmb_held *tmb_state_find(tmb_state *state, tmb_bytes name)
{
    tmb_held *held = NULL;
    HASH_FIND(hh, state->held, name.ptr, name.len, held);
    return held;
}

tmb_held *tmb_state_make(tmb_state *state, tmb_bytes name)
{
    tmb_held *held = tmb_state_find(state, name);
    if (held || name.len > TMB_NAME_BYTES_MAX || !(held = calloc(1, sizeof *held)))
        return held;
    memcpy(held->name, name.ptr, name.len);
    HASH_ADD_KEYPTR(hh, state->held, held->name, name.len, held);
    state->held_count++;
    return held;
}

void tmb_state_look_of(const tmb_scope *scope, tmb_state_look *ret_look)
{
    memcpy(ret_look->name, scope->name, sizeof ret_look->name);
    ret_look->leaves = scope->fingerprint.leaves;
    ret_look->last = scope->last;
    ret_look->removals = scope->removals;
    ret_look->forks = scope->forks;
    ret_look->has_values = scope->changed_leaves > 0;
    ret_look->has_changed = scope->is_changed;
}

void tmb_state_changed(tmb_state *state, const tmb_state_look *look, const tmb_state_peer *from)
{
    tmb_held *held = tmb_state_make(state, tmb_bytes_str(look->name));
    if (!held)
        return; /* no memory: told with the next change */
    held->leaves = look->leaves;
    held->last = look->last;
    held->removals = look->removals;
    held->forks += look->forks;
    if (look->forks > 0)
        LOG(TMB_LOG_ERROR, "state.forked", tmb_str("scope", look->name),
            tmb_num("dots", look->forks),
            tmb_str("then", "two boxes have written under one name; the greater value is kept "
                            "everywhere"));
    if (state->is_stopping)
        return;
    if (look->has_values) {
        held->is_dirty = true;
        tmb_state_values_wake(state->values);
    }
    if (look->has_changed)
        tmb_state_peers_changed(state, held, from);
}

tmb_err tmb_state_load(tmb_state *state, const tmb_kv *kv, tmb_bytes name)
{
    tmb_incarnation fresh;
    if (uv_random(NULL, NULL, fresh.bytes, sizeof fresh.bytes, 0, NULL) != 0)
        return TMB_EIO;
    return tmb_scope_load(&state->scope, kv, state->room, name, fresh);
}

tmb_err tmb_state_next_scope(const tmb_kv *kv, char at[TMB_NAME_BYTES_MAX + 1])
{
    tmb_bytes name = {NULL, 0};
    tmb_err err = tmb_scopes_next(kv, tmb_bytes_str(at), &name);
    if (err == TMB_OK && !tmb_name_is_valid(name, TMB_NAME_BYTES_MAX))
        err = TMB_ENOENT; /* our own rows, which lie behind */
    if (err != TMB_OK)
        return err;
    char next[TMB_NAME_BYTES_MAX + 1] = "";
    memcpy(next, name.ptr, name.len);
    memcpy(at, next, sizeof next);
    return TMB_OK;
}

/* Files that were copied, or brought back from a backup, are not to go on under the name of those that they
 * were made from: nobody knows what those have given since. */
static tmb_err start_scope(tmb_state *state, const tmb_kv *kv, const char *name)
{
    tmb_incarnation fresh;
    tmb_err err = tmb_state_load(state, kv, tmb_bytes_str(name));
    if (err != TMB_OK)
        return err;
    tmb_scope_start(&state->scope);
    if (state->is_moved) {
        if (uv_random(NULL, NULL, fresh.bytes, sizeof fresh.bytes, 0, NULL) != 0)
            return TMB_EIO;
        err = tmb_scope_reincarnate(&state->scope, fresh, state->scope.last);
    }
    return err == TMB_OK ? tmb_scope_save(&state->scope) : err;
}

/* What the broker's mark vouches for may be of a later past. */
static tmb_err doubt_values(const tmb_kv *kv)
{
    tmb_values_row row;
    tmb_err err = tmb_values_row_get(kv, &row);
    row.is_sweep_due = true;
    return err == TMB_OK ? tmb_values_row_put(kv, &row) : err;
}

/* Blocking. The clock, the cursor, and who this store is. */
static tmb_err start_store(tmb_state *state, const tmb_kv *kv)
{
    static const tmb_cursor_row end = {.seq = TMB_CURSOR_END};
    tmb_hlc floor;
    tmb_err err = tmb_floor_row_get(kv, &floor);
    if (err != TMB_OK)
        return err;
    tmb_clock_begin(&state->clock, floor, (tmb_wall){BUILT_MS});
    if (state->was_reset)
        err = tmb_cursor_row_put(kv, &end);
    else if (state->is_moved)
        err = tmb_state_ops_skip(state->ops, kv);
    if (err == TMB_OK && state->is_moved)
        err = doubt_values(kv);
    if (err == TMB_OK && state->is_moved) {
        (void)tmb_clock_lower(&state->clock, tmb_state_wall());
        err = tmb_floor_row_put(kv, tmb_clock_rest(&state->clock));
    }
    return err;
}

/* Blocking. */
static tmb_err run_begin(tmb_state_job *job, const tmb_kv *kv)
{
    care *c = job->arg;
    char at[TMB_NAME_BYTES_MAX + 1] = "";
    c->count = 0;
    tmb_err err = start_store(c->state, kv);
    if (err != TMB_OK)
        return err;
    for (;;) {
        err = tmb_state_next_scope(kv, at);
        if (err == TMB_ENOENT)
            return c->state->is_moved ? tmb_state_store_settle(tmb_state_jobs_store(c->state->jobs))
                                      : TMB_OK;
        if (err != TMB_OK)
            return err;
        if (c->count == c->cap) {
            size_t cap = c->cap == 0 ? 64 : 2 * c->cap;
            void *names = realloc(c->names, cap * sizeof *c->names);
            if (!names)
                return TMB_ENOMEM;
            c->names = names;
            c->cap = cap;
        }
        memcpy(c->names[c->count++], at, sizeof at);
        err = start_scope(c->state, kv, at);
        if (err != TMB_OK)
            return err;
    }
}

static void done_begin(tmb_state_job *job)
{
    care *c = job->arg;
    tmb_state *state = c->state;
    c->is_busy = false;
    if (job->err == TMB_OK && !state->is_stopping) {
        for (size_t i = 0; i < c->count; i++) {
            tmb_held *held = tmb_state_make(state, tmb_bytes_str(c->names[i]));
            if (held)
                held->is_dirty = true; /* perhaps: of the run before */
        }
        state->is_begun = true;
        state->is_moved = state->was_reset = false;
        LOG(TMB_LOG_NOTICE, "state.begun", tmb_num("scopes", c->count));
        tmb_state_ops_tick(state->ops);
        tmb_state_values_wake(state->values);
        tmb_state_peers_begin(state);
    }
    free(c->names);
    c->names = NULL;
    c->cap = 0;
}

static void begin(tmb_state *state)
{
    care *c = &inside(state)->begin;
    if (c->is_busy || state->is_stopping)
        return;
    c->is_busy = true;
    tmb_state_jobs_add(state->jobs, &c->job);
}

/* Blocking. Active neighbours that were not heard for half of lapse_after: they are asked, if there is a
 * session, for one that is there and has nothing to say is not to lapse. */
static tmb_err find_late(care *c, tmb_scope *scope, int64_t since_ms)
{
    tmb_neighbour *neighbour = &c->state->exchange->neighbour;
    char at[TMB_NAME_BYTES_MAX + 1] = "";
    c->late_count = 0;
    for (;;) {
        tmb_bytes found = {NULL, 0};
        tmb_err err = tmb_scope_neighbour_next(scope, tmb_bytes_str(at), &found, neighbour);
        if (err != TMB_OK)
            return err == TMB_ENOENT ? TMB_OK : err;
        if (found.len >= sizeof at)
            return TMB_ECORRUPT;
        memset(at, 0, sizeof at);
        memcpy(at, found.ptr, found.len);
        if (neighbour->state == TMB_MEMBER_ACTIVE && neighbour->heard_ms < since_ms &&
            c->late_count < TMB_NEIGHBOURS_MAX)
            memcpy(c->late[c->late_count++], at, sizeof at);
    }
}

/* Blocking. The next scope behind `at`. */
static tmb_err run_care(tmb_state_job *job, const tmb_kv *kv)
{
    care *c = job->arg;
    const tmb_state_policy *policy = &c->state->daemon->config->state;
    tmb_err err = tmb_state_next_scope(kv, c->at);
    c->is_over = err == TMB_ENOENT;
    if (c->is_over)
        return TMB_OK;
    if (err == TMB_OK)
        err = tmb_state_load(c->state, kv, tmb_bytes_str(c->at));
    tmb_scope *scope = &c->state->scope;
    /* By the clock that noted when they were heard. */
    int64_t now_ms = tmb_clock_now(&c->state->clock, tmb_state_wall()).ms;
    if (err == TMB_OK)
        err = tmb_scope_lapse(scope, now_ms, policy->lapse_after_ms, policy->unstable_max,
                              &c->lapsed);
    if (err == TMB_OK)
        err = find_late(c, scope, now_ms - policy->lapse_after_ms / 2);
    if (err == TMB_OK)
        err = tmb_scope_forget(scope, CARE_FORGETS, &c->forgotten);
    if (err == TMB_OK)
        tmb_state_look_of(scope, &c->look);
    c->is_ahead = scope->extras > 0;
    return err == TMB_OK ? tmb_scope_save(scope) : err;
}

static void go_on(tmb_state *state)
{
    care *c = &inside(state)->care;
    c->is_busy = !state->is_stopping;
    if (c->is_busy)
        tmb_state_jobs_add(state->jobs, &c->job);
}

static void ask_neighbours(const care *c)
{
    const tmb_held *held = tmb_state_find(c->state, tmb_bytes_str(c->look.name));
    if (!held || c->state->is_stopping)
        return;
    if (c->is_ahead)
        tmb_state_peers_compare(held);
    for (unsigned i = 0; i < c->late_count; i++)
        tmb_state_peers_ask(held, c->late[i]);
}

static void done_care(tmb_state_job *job)
{
    care *c = job->arg;
    c->is_busy = false;
    if (job->err != TMB_OK && !c->is_over) { /* the next tick goes on with the scope behind it */
        c->ticks = 0;
        if (job->err == TMB_ELIMIT ||
            job->err == TMB_ECORRUPT) /* a disk's errors are told of anyway */
            LOG(TMB_LOG_ERROR, "state.care_failed", tmb_str("scope", c->at), tmb_why(job->err),
                tmb_str("then", "its removals are kept; tried again with the next round"));
        return;
    }
    if (c->is_over) {
        c->at[0] = 0;
        c->ticks = 0;
        return;
    }
    if (c->lapsed > 0)
        LOG(TMB_LOG_WARNING, "state.neighbour_lapsed", tmb_str("scope", c->look.name),
            tmb_num("neighbours", c->lapsed),
            tmb_str("then", "removals are forgotten without waiting for it; when it comes back, "
                            "ranges are compared"));
    tmb_state_changed(c->state, &c->look, NULL);
    ask_neighbours(c);
    go_on(c->state); /* to the next one, between other jobs */
}

static unsigned care_ticks(const tmb_state *state)
{
    int64_t ticks = state->daemon->config->state.lapse_after_ms / 1000 / CARE_PARTS;
    return ticks < 1 ? 1 : ticks < CARE_TICKS ? (unsigned)ticks : CARE_TICKS;
}

static void tick_care(tmb_state *state)
{
    care *c = &inside(state)->care;
    if (c->is_busy || !state->is_begun || (c->at[0] == 0 && ++c->ticks < care_ticks(state)))
        return;
    go_on(state);
}

void tmb_state_tick(tmb_state *state)
{
    if (!state || state->is_stopping)
        return;
    if (!state->is_begun) {
        begin(state);
        return;
    }
    tmb_state_ops_tick(state->ops);
    tmb_state_values_tick(state->values);
    tmb_state_peers_tick(state);
    tmb_state_twins_tick(state->twins);
    tmb_state_members_tick(state->members);
    tick_care(state);
}

static void set_care(tmb_state *state)
{
    care *all[] = {&inside(state)->begin, &inside(state)->care};
    for (int i = 0; i < 2; i++) {
        all[i]->state = state;
        all[i]->job = (tmb_state_job){.run = i == 0 ? run_begin : run_care,
                                      .done = i == 0 ? done_begin : done_care,
                                      .arg = all[i],
                                      .is_own = true};
    }
}

tmb_err tmb_state_start(tmb_daemon *d, tmb_state **ret_state)
{
    char text[512] = "";
    *ret_state = NULL;
    if (!tmb_state_is_on(&d->config->state))
        return TMB_OK;
    struct tmb_state_inside *all = calloc(1, sizeof *all);
    if (!all)
        return TMB_ENOMEM;
    tmb_state *state = &all->state;
    state->daemon = d;
    state->room = calloc(1, sizeof *state->room);
    state->exchange = calloc(1, sizeof *state->exchange);
    tmb_err err = state->room && state->exchange ? TMB_OK : TMB_ENOMEM;
    if (err == TMB_OK)
        err = tmb_state_jobs_new(d, on_settled, state, &state->jobs, &state->was_reset, text,
                                 sizeof text);
    if (err != TMB_OK)
        LOG(TMB_LOG_ERROR, "state.store_not_open", tmb_why(err), tmb_str("text", text));
    if (state->was_reset)
        LOG(TMB_LOG_ERROR, "state.store_set_aside", tmb_str("why", text),
            tmb_str("then",
                    "state begins empty under a new incarnation; what neighbours hold comes "
                    "back from them"));
    state->is_moved = err == TMB_OK && tmb_state_store_is_moved(tmb_state_jobs_store(state->jobs));
    if (state->is_moved)
        LOG(TMB_LOG_WARNING, "state.store_moved",
            tmb_str("then", "the store of state is a copy or a backup: its scopes go on under new "
                            "incarnations, and neighbours tell what is missing"));
    if (err == TMB_OK)
        err = tmb_state_values_new(state, &state->values);
    if (err == TMB_OK)
        err = tmb_state_twins_new(state, TMB_STATE_TWINS_MAX, &state->twins);
    if (err == TMB_OK)
        err = tmb_state_members_new(state, &state->members);
    if (err == TMB_OK)
        err = tmb_state_ops_new(state, &state->ops);
    if (err != TMB_OK) {
        tmb_state_free(state);
        return err;
    }
    state->exchange->room = state->room;
    set_care(state);
    *ret_state = state;
    begin(state);
    return TMB_OK;
}

void tmb_state_stop(tmb_state *state)
{
    if (!state || state->is_stopping)
        return;
    state->is_stopping = true;
    tmb_state_ops_stop(state->ops);
    tmb_state_values_stop(state->values);
    tmb_state_peers_stop(state);
    tmb_state_jobs_stop(state->jobs);
}

void tmb_state_free(tmb_state *state)
{
    if (!state)
        return;
    tmb_state_ops_free(state->ops);
    tmb_state_values_free(state->values);
    tmb_state_twins_free(state->twins);
    tmb_state_members_free(state->members);
    tmb_state_peers_free(state);
    tmb_state_jobs_free(state->jobs);
    tmb_held *held = state->held;
    HASH_CLEAR(hh, state->held); /* the table alone */
    while (held) {
        tmb_held *next = held->hh.next;
        free(held);
        held = next;
    }
    free(inside(state)->begin.names);
    free(state->room);
    free(state->exchange);
    free(state);
}
