// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_sweep.c - see state_sweep.h.
 *
 * What is gone is cleared as soon as the job that found it is done: values that a later job finds go out
 * behind it, so a path that comes back meanwhile is not cleared away.
 */
#include "syncd/daemon/state_sweep.h"

#include <stdlib.h>

#include "policy/state_topic.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/state_value.h"
#include "syncd/daemon/state_values.h"

#define TRIES_MAX 6u /* 2^6 s between two */

typedef enum stage { STAGE_NONE = 0, STAGE_ALL, STAGE_LIST, STAGE_CHECK } stage;

struct tmb_state_sweep {
    tmb_state *state;
    tmb_state_values *values;
    tmb_state_job job;
    stage stage;
    bool is_job_busy, is_due, must_begin, is_over;
    char at[TMB_NAME_BYTES_MAX + 1]; /* the scope whose paths were made dirty last */
    char **topics;
    size_t count, cap;
    bool *is_stale; /* of topics */
    uint64_t cleared;
    unsigned tries, ticks; /* of one that came to nothing */
};

static void forget_topics(tmb_state_sweep *sweep)
{
    for (size_t i = 0; i < sweep->count; i++)
        free(sweep->topics[i]);
    free(sweep->topics);
    free(sweep->is_stale);
    sweep->topics = NULL;
    sweep->is_stale = NULL;
    sweep->count = sweep->cap = 0;
}

static void add_job(tmb_state_sweep *sweep, tmb_err (*run)(tmb_state_job *, const tmb_kv *),
                    void (*done)(tmb_state_job *))
{
    sweep->job = (tmb_state_job){.run = run, .done = done, .arg = sweep, .is_own = true};
    sweep->is_job_busy = true;
    tmb_state_jobs_add(sweep->state->jobs, &sweep->job);
}

/* Blocking: the next scope's paths. */
static tmb_err run_all(tmb_state_job *job, const tmb_kv *kv)
{
    tmb_state_sweep *sweep = job->arg;
    tmb_err err = tmb_state_next_scope(kv, sweep->at);
    sweep->is_over = err == TMB_ENOENT;
    if (sweep->is_over)
        return TMB_OK;
    if (err == TMB_OK)
        err = tmb_state_load(sweep->state, kv, tmb_bytes_str(sweep->at));
    if (err == TMB_OK)
        err = tmb_scope_dirty_all(&sweep->state->scope);
    return err == TMB_OK ? tmb_scope_save(&sweep->state->scope) : err;
}

static void done_all(tmb_state_job *job)
{
    tmb_state_sweep *sweep = job->arg;
    sweep->is_job_busy = false;
    if (sweep->must_begin) {
        tmb_state_sweep_begin(sweep);
        return;
    }
    if (sweep->stage != STAGE_ALL || job->err != TMB_OK) {
        sweep->stage = STAGE_NONE;
        return;
    }
    if (sweep->is_over) {
        sweep->stage = STAGE_LIST;
        forget_topics(sweep);
        tmb_state_values_list(sweep->values);
        return;
    }
    tmb_held *held = tmb_state_make(sweep->state, tmb_bytes_str(sweep->at));
    if (held)
        held->is_dirty = true;
    tmb_state_values_wake(sweep->values);
    add_job(sweep, run_all, done_all);
}

void tmb_state_sweep_begin(tmb_state_sweep *sweep)
{
    sweep->is_due = true;
    sweep->must_begin = sweep->is_job_busy;
    if (sweep->must_begin)
        return;
    sweep->stage = STAGE_ALL;
    sweep->at[0] = 0;
    add_job(sweep, run_all, done_all);
}

void tmb_state_sweep_stop(tmb_state_sweep *sweep)
{
    sweep->must_begin = false;
    sweep->stage = STAGE_NONE;
    sweep->tries = sweep->ticks = 0;
}

void tmb_state_sweep_tick(tmb_state_sweep *sweep)
{
    bool is_idle = sweep->stage == STAGE_NONE && !sweep->is_job_busy;
    if (!sweep->is_due || !is_idle || ++sweep->ticks < 1u << sweep->tries)
        return;
    sweep->ticks = 0;
    sweep->tries += sweep->tries < TRIES_MAX;
    tmb_state_sweep_begin(sweep);
}

bool tmb_state_sweep_is_due(const tmb_state_sweep *sweep)
{
    return sweep->is_due;
}

uint64_t tmb_state_sweep_cleared(const tmb_state_sweep *sweep)
{
    return sweep->cleared;
}

/* Blocking. A topic of ours that would not be published now is stale; one that is nobody's is left alone. */
static tmb_err check(tmb_state_sweep *sweep, const tmb_kv *kv, const char *topic, bool *ret_stale)
{
    const tmb_config *config = sweep->state->daemon->config;
    tmb_state_topic at = tmb_state_topic_parse(config->state.root, tmb_bytes_str(topic));
    tmb_said_list said = {.is_draft = true};
    tmb_err err = TMB_OK;
    unsigned has = 0;
    *ret_stale = false;
    if ((at.kind != TMB_STATE_VALUE && at.kind != TMB_STATE_OUTPUT) ||
        !tmb_state_holds(&config->state, at.scope))
        return TMB_OK;
    if (!tmb_bytes_eq(tmb_bytes_str(sweep->state->scope.name), at.scope))
        err = tmb_state_load(sweep->state, kv, at.scope);
    if (err == TMB_OK)
        err = tmb_state_value_make(config, sweep->state->twins, &sweep->state->scope, at.path, 0, 0,
                                   &said, &has);
    *ret_stale = true;
    for (size_t i = 0; i < said.count && *ret_stale; i++)
        *ret_stale = said.v[i].len == 0 || strcmp(said.v[i].topic, topic) != 0;
    tmb_said_clear(&said);
    free(said.v);
    return err;
}

static tmb_err run_check(tmb_state_job *job, const tmb_kv *kv)
{
    tmb_state_sweep *sweep = job->arg;
    tmb_err err = TMB_OK;
    sweep->state->scope.name[0] = 0;
    for (size_t i = 0; i < sweep->count && err == TMB_OK; i++)
        err = check(sweep, kv, sweep->topics[i], &sweep->is_stale[i]);
    return err;
}

static void done_check(tmb_state_job *job)
{
    tmb_state_sweep *sweep = job->arg;
    uint64_t before = sweep->cleared;
    sweep->is_job_busy = false;
    if (sweep->must_begin) {
        tmb_state_sweep_begin(sweep);
        return;
    }
    if (sweep->stage == STAGE_CHECK && job->err == TMB_OK) {
        for (size_t i = 0; i < sweep->count; i++) {
            if (!sweep->is_stale[i])
                continue;
            tmb_state_values_clear(sweep->values, sweep->topics[i]);
            sweep->cleared++;
        }
        LOG(TMB_LOG_NOTICE, "state.values_looked_through", tmb_num("topics", sweep->count),
            tmb_num("cleared", sweep->cleared - before));
        sweep->is_due = false;
        sweep->tries = 0;
        tmb_state_values_mark(sweep->values);
    }
    sweep->stage = STAGE_NONE;
    forget_topics(sweep);
}

static bool make_room(tmb_state_sweep *sweep)
{
    size_t cap = sweep->cap == 0 ? 256 : 2 * sweep->cap;
    if (sweep->count < sweep->cap)
        return true;
    char **topics = realloc(sweep->topics, cap * sizeof *topics);
    if (topics)
        sweep->topics = topics;
    bool *is_stale = topics ? realloc(sweep->is_stale, cap * sizeof *is_stale) : NULL;
    if (is_stale) {
        sweep->is_stale = is_stale;
        sweep->cap = cap;
    }
    return is_stale;
}

void tmb_state_sweep_hear(tmb_state_sweep *sweep, const char *topic)
{
    if (sweep->stage != STAGE_LIST)
        return;
    if (!topic) {
        sweep->stage = STAGE_CHECK;
        add_job(sweep, run_check, done_check);
        return;
    }
    char *copy = strdup(topic);
    if (!copy || !make_room(sweep)) {
        free(copy);
        sweep->stage = STAGE_NONE; /* stays due: tick tries again */
        return;
    }
    sweep->topics[sweep->count++] = copy;
}

tmb_err tmb_state_sweep_new(tmb_state *state, tmb_state_values *values, tmb_state_sweep **ret_sweep)
{
    tmb_state_sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep)
        return TMB_ENOMEM;
    sweep->state = state;
    sweep->values = values;
    *ret_sweep = sweep;
    return TMB_OK;
}

void tmb_state_sweep_free(tmb_state_sweep *sweep)
{
    if (!sweep)
        return;
    forget_topics(sweep);
    free(sweep);
}
