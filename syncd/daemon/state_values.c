// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_values.c - values of paths that have changed, to our own broker, retained.
 *
 *   dirty --TMB_STATE_FLUSH_MS--> gather (job) --> publish --all PUBACKs--> mark --PUBACK--> commit (job)
 *
 * A path is dirty in the store until its value has been acknowledged and the mark behind it: what a kill cuts
 * off is published again. Which other outputs it has is written down before they are said, so that they can
 * be cleared. The mark is a number that rises with each flush, retained like the values. A broker
 * that comes back with the mark that the store knows has all values that were published before it, since it
 * writes its snapshot at one moment; one with another mark, or none, has lost some: then everything is dirty
 * (all), and what it still retains of paths that are gone is looked for (list) and cleared. So it is with the
 * mark of another configuration, under which other topics were published. Of a scope that is not held any
 * more nothing is published; its paths stay dirty.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/props.h"
#include "proto/topics.h"
#include "syncd/bus/ask.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/state_inside.h"
#include "syncd/daemon/state_link.h"
#include "syncd/daemon/state_members.h"
#include "syncd/daemon/state_sweep.h"
#include "syncd/daemon/state_twins.h"
#include "syncd/daemon/state_value.h"
#include "syncd/daemon/state_values.h"

/* Changes of so long travel together: a path that is written a hundred times a second is published twenty
 * times. */
#define FLUSH_MS 50
#define RETRY_MS 1000
/* Of one flush; what is more comes in the next. */
#define PATHS_MAX  512u
#define BYTES_MAX  (4u * 1024 * 1024)
#define SCOPES_MAX 64u

typedef enum stage {
    STAGE_AWAY = 0, /* no broker */
    STAGE_LEARNING, /* what its mark means */
    STAGE_IDLE,
    STAGE_GATHERING,
    STAGE_SAYING,  /* values */
    STAGE_MARKING, /* the mark behind them */
    STAGE_COMMITTING
} stage;

typedef struct item {
    char scope[TMB_NAME_BYTES_MAX + 1];
    uint8_t path[TMB_PATH_BYTES_MAX];
    size_t path_len;
    uint64_t number;
    unsigned had, has;
    bool is_refused;
} item;

struct tmb_state_values {
    tmb_state *state;
    tmb_state_link *link;
    tmb_state_sweep *sweep;
    uv_timer_t timer;
    tmb_state_job job;
    bool is_job_busy, is_stopping, is_wanted, is_late;
    stage stage;
    char mark[TMB_STATE_MARK_BYTES_MAX + 1]; /* as the broker had it */
    tmb_values_row row;
    bool is_current, must_mark; /* must_mark: with values or without */
    char scopes[SCOPES_MAX][TMB_NAME_BYTES_MAX + 1];
    unsigned scopes_count, scopes_done;
    item *items;
    unsigned items_count;
    tmb_said_list said;
    size_t waiting;
    int mark_id;
    uint64_t published, refused, flushes, answers, answers_lost, losses;
};

static void look(tmb_state_values *v);
static void on_timer(uv_timer_t *timer);

static void set_stage(tmb_state_values *v, stage next)
{
    v->stage = next;
}

static void forget_flush(tmb_state_values *v)
{
    for (unsigned i = 0; i < v->scopes_count; i++) {
        tmb_held *held = tmb_state_find(v->state, tmb_bytes_str(v->scopes[i]));
        if (held)
            held->is_dirty = true;
    }
    v->is_wanted = true;
    v->scopes_count = v->items_count = 0;
    v->waiting = 0;
    v->mark_id = 0;
    tmb_said_clear(&v->said);
}

static void add_job(tmb_state_values *v, tmb_err (*run)(tmb_state_job *, const tmb_kv *),
                    void (*done)(tmb_state_job *))
{
    v->job = (tmb_state_job){.run = run, .done = done, .arg = v, .is_own = true};
    v->is_job_busy = true;
    tmb_state_jobs_add(v->state->jobs, &v->job);
}

static void wait(tmb_state_values *v, uint64_t ms)
{
    if (!v->is_stopping)
        (void)uv_timer_start(&v->timer, on_timer, ms, 0);
}

/* gather: blocking. */
static tmb_err gather_path(tmb_state_values *v, const tmb_kv *kv, tmb_bytes path, uint64_t number)
{
    tmb_scope *scope = &v->state->scope;
    item *it = &v->items[v->items_count];
    memset(it, 0, sizeof *it);
    memcpy(it->scope, scope->name, sizeof it->scope);
    memcpy(it->path, path.ptr, path.len);
    it->path_len = path.len;
    it->number = number;
    tmb_bytes own = tmb_bytes_of(it->path, it->path_len);
    tmb_err err = tmb_values_had(kv, tmb_bytes_str(it->scope), own, &it->had);
    if (err == TMB_OK)
        err = tmb_state_value_make(v->state->daemon->config, v->state->twins, scope, own,
                                   v->items_count, it->had, &v->said, &it->has);
    if (err == TMB_OK && (it->has & ~it->had) != 0) /* first: that it was said we may not hear */
        err = tmb_values_has(kv, tmb_bytes_str(it->scope), own, it->had | it->has);
    v->items_count += err == TMB_OK;
    return err;
}

static tmb_err gather_scope(tmb_state_values *v, const tmb_kv *kv, const char *name)
{
    tmb_scope *scope = &v->state->scope;
    tmb_bytes path = {NULL, 0};
    uint64_t number = 0;
    tmb_err err = tmb_state_load(v->state, kv, tmb_bytes_str(name));
    if (err == TMB_OK)
        err = tmb_scope_dirty_next(scope, tmb_bytes_of(NULL, 0), &path, &number);
    while (err == TMB_OK) {
        if (v->items_count >= PATHS_MAX || v->said.bytes >= BYTES_MAX)
            return TMB_ELIMIT;
        err = gather_path(v, kv, path, number);
        const item *it = &v->items[v->items_count - (err == TMB_OK)];
        if (err == TMB_OK)
            err = tmb_scope_dirty_next(scope, tmb_bytes_of(it->path, it->path_len), &path, &number);
    }
    return err == TMB_ENOENT ? TMB_OK : err;
}

static tmb_err run_gather(tmb_state_job *job, const tmb_kv *kv)
{
    tmb_state_values *v = job->arg;
    tmb_err err = TMB_OK;
    for (v->scopes_done = 0; v->scopes_done < v->scopes_count && err == TMB_OK;
         v->scopes_done += err == TMB_OK)
        err = gather_scope(v, kv, v->scopes[v->scopes_done]);
    return err == TMB_ELIMIT ? TMB_OK : err;
}

/* commit: blocking. What was refused stays dirty. */
static tmb_err commit_scope(tmb_state_values *v, const tmb_kv *kv, unsigned from, unsigned *ret_end)
{
    const char *name = v->items[from].scope;
    unsigned i = from;
    tmb_err err = tmb_state_load(v->state, kv, tmb_bytes_str(name));
    for (; i < v->items_count && strcmp(v->items[i].scope, name) == 0 && err == TMB_OK; i++) {
        const item *it = &v->items[i];
        tmb_bytes path = tmb_bytes_of(it->path, it->path_len);
        if (it->is_refused)
            continue;
        err = tmb_scope_dirty_done(&v->state->scope, path, it->number);
        if (err == TMB_OK && it->has != it->had)
            err = tmb_values_has(kv, tmb_bytes_str(name), path, it->has);
    }
    *ret_end = i;
    return err == TMB_OK ? tmb_scope_save(&v->state->scope) : err;
}

static tmb_err run_commit(tmb_state_job *job, const tmb_kv *kv)
{
    tmb_state_values *v = job->arg;
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < v->items_count && err == TMB_OK;)
        err = commit_scope(v, kv, i, &i);
    return err == TMB_OK ? tmb_values_row_put(kv, &v->row) : err;
}

static void done_commit(tmb_state_job *job)
{
    tmb_state_values *v = job->arg;
    bool has_refused = false;
    v->is_job_busy = false;
    for (unsigned i = 0; i < v->items_count; i++)
        has_refused = has_refused || v->items[i].is_refused;
    v->flushes++;
    v->published += job->err == TMB_OK ? v->said.count : 0;
    if (job->err != TMB_OK || has_refused) {
        forget_flush(v);
        v->is_late = true;
        v->must_mark = v->must_mark || job->err != TMB_OK;
    }
    v->scopes_count = v->items_count = 0;
    tmb_said_clear(&v->said);
    if (v->stage == STAGE_COMMITTING)
        set_stage(v, STAGE_IDLE);
    look(v);
}

static void say_mark(tmb_state_values *v)
{
    char text[TMB_STATE_MARK_BYTES_MAX];
    v->row.counter++;
    v->row.is_sweep_due = tmb_state_sweep_is_due(v->sweep);
    tmb_values_row_text(&v->row, &v->state->daemon->config->state, text, sizeof text);
    tmb_link_message message = {
        .topic = TMB_TOPIC_STATE_MARK, .payload = tmb_bytes_str(text), .is_retained = true};
    v->must_mark = false;
    set_stage(v, STAGE_MARKING);
    tmb_err err = tmb_state_link_publish(v->link, &message, &v->mark_id);
    (void)err; /* ECLOSED: down follows */
}

static void on_said(tmb_state_values *v)
{
    if (v->waiting == 0 && v->stage == STAGE_SAYING)
        say_mark(v);
}

static void say(tmb_state_values *v)
{
    set_stage(v, STAGE_SAYING);
    v->waiting = 0;
    for (size_t i = 0; i < v->said.count; i++) {
        tmb_said *s = &v->said.v[i];
        tmb_link_property token = {TMB_PROP_TOKEN_NAME, s->token};
        tmb_link_message message = {.topic = s->topic,
                                    .payload = tmb_bytes_of(s->payload, s->len),
                                    .is_retained = true,
                                    .is_utf8 = s->is_json && s->len > 0,
                                    .content_type = s->len == 0  ? NULL
                                                    : s->is_pb   ? TMB_CONTENT_TYPE_PROTOBUF
                                                    : s->is_json ? TMB_CONTENT_TYPE_JSON
                                                                 : NULL,
                                    .properties_count = s->token ? 1 : 0,
                                    .properties = &token};
        tmb_err err = tmb_state_link_publish(v->link, &message, &s->id);
        if (err == TMB_OK) {
            v->waiting++;
        } else if (err != TMB_ECLOSED) {
            /* What no broker takes is not tried again: what waits behind it would wait for ever. */
            v->items[s->item].is_refused = err != TMB_ELIMIT;
            v->refused++;
            LOG(TMB_LOG_ERROR, "state.value_not_sent", tmb_str("topic", s->topic), tmb_why(err));
        }
    }
    on_said(v);
}

static void done_gather(tmb_state_job *job)
{
    tmb_state_values *v = job->arg;
    v->is_job_busy = false;
    if (v->stage != STAGE_GATHERING || job->err != TMB_OK) {
        forget_flush(v);
        if (v->stage == STAGE_GATHERING)
            set_stage(v, STAGE_IDLE);
        v->is_late = job->err != TMB_OK && job->err != TMB_ECLOSED;
        look(v);
        return;
    }
    for (unsigned i = v->scopes_done; i < v->scopes_count; i++) {
        tmb_held *held = tmb_state_find(v->state, tmb_bytes_str(v->scopes[i]));
        if (held)
            held->is_dirty = v->is_wanted = true;
    }
    if (v->items_count == 0 && !v->must_mark) {
        v->scopes_count = 0;
        set_stage(v, STAGE_IDLE);
        look(v);
        return;
    }
    say(v);
}

static void gather(tmb_state_values *v)
{
    tmb_held *held, *next;
    v->scopes_count = v->items_count = 0;
    v->is_wanted = false;
    HASH_ITER(hh, v->state->held, held, next)
    {
        if (!held->is_dirty ||
            !tmb_state_holds(&v->state->daemon->config->state, tmb_bytes_str(held->name)))
            continue;
        if (v->scopes_count == SCOPES_MAX) {
            v->is_wanted = true;
            break;
        }
        memcpy(v->scopes[v->scopes_count++], held->name, sizeof held->name);
        held->is_dirty = false;
        tmb_state_twins_expect(v->state->twins, held->name);
    }
    set_stage(v, STAGE_GATHERING);
    add_job(v, run_gather, done_gather);
}

/* look is where the next flush begins. */
static void look(tmb_state_values *v)
{
    if (v->is_stopping || v->stage != STAGE_IDLE || v->is_job_busy || !v->is_wanted ||
        uv_is_active((uv_handle_t *)&v->timer))
        return;
    wait(v, v->is_late ? RETRY_MS : FLUSH_MS);
    v->is_late = false;
}

static void on_timer(uv_timer_t *timer)
{
    tmb_state_values *v = timer->data;
    if (v->stage == STAGE_IDLE && !v->is_job_busy && v->is_wanted && v->state->is_begun)
        gather(v);
}

/* What is new does not wait as long as what was refused. */
void tmb_state_values_wake(tmb_state_values *v)
{
    v->is_wanted = true;
    v->is_late = false;
    if (uv_is_active((uv_handle_t *)&v->timer) && uv_timer_get_due_in(&v->timer) > FLUSH_MS)
        wait(v, FLUSH_MS);
    look(v);
}

/* learn: blocking. Does the broker have what we have published? */
static tmb_err run_learn(tmb_state_job *job, const tmb_kv *kv)
{
    tmb_state_values *v = job->arg;
    tmb_err err = tmb_values_row_get(kv, &v->row);
    if (err != TMB_OK)
        return err;
    v->is_current = tmb_values_row_vouches(&v->row, &v->state->daemon->config->state, v->mark) &&
                    !v->row.is_sweep_due;
    if (v->is_current)
        return TMB_OK;
    v->row.is_sweep_due = true;
    return tmb_values_row_put(kv, &v->row);
}

static void done_learn(tmb_state_job *job)
{
    tmb_state_values *v = job->arg;
    v->is_job_busy = false;
    if (v->stage != STAGE_LEARNING || v->is_stopping)
        return;
    if (job->err != TMB_OK) {
        set_stage(v, STAGE_AWAY); /* tick tries again */
        return;
    }
    LOG(TMB_LOG_NOTICE, "state.broker_up", tmb_str("values", v->is_current ? "current" : "lost"),
        tmb_str("mark", v->mark));
    set_stage(v, STAGE_IDLE);
    if (!v->is_current) {
        v->losses++;
        tmb_state_sweep_begin(v->sweep);
    }
    tmb_state_values_wake(v);
}

static void learn(tmb_state_values *v)
{
    if (v->is_job_busy || !v->state->is_begun || v->is_stopping)
        return;
    set_stage(v, STAGE_LEARNING);
    add_job(v, run_learn, done_learn);
}

static void on_up(void *arg, const char *mark)
{
    tmb_state_values *v = arg;
    (void)snprintf(v->mark, sizeof v->mark, "%s", mark);
    learn(v);
}

static void on_down(void *arg)
{
    tmb_state_values *v = arg;
    tmb_state_sweep_stop(v->sweep);
    if (!v->is_job_busy)
        forget_flush(v);
    set_stage(v, STAGE_AWAY); /* a job that runs finds it so when it is done */
}

static void on_acked(void *arg, int id, unsigned reason_code)
{
    tmb_state_values *v = arg;
    if (v->stage == STAGE_MARKING && id == v->mark_id) {
        v->mark_id = 0;
        if (reason_code >= 0x80)
            LOG(TMB_LOG_ERROR, "state.mark_refused", tmb_num("reason", reason_code));
        set_stage(v, STAGE_COMMITTING);
        add_job(v, run_commit, done_commit);
        return;
    }
    for (size_t i = 0; i < v->said.count && v->stage == STAGE_SAYING; i++) {
        tmb_said *s = &v->said.v[i];
        if (s->id != id)
            continue;
        s->id = 0;
        v->waiting--;
        if (reason_code >= 0x80) {
            v->items[s->item].is_refused = true;
            if (v->refused++ == 0)
                LOG(TMB_LOG_ERROR, "state.value_refused", tmb_str("topic", s->topic),
                    tmb_num("reason", reason_code),
                    tmb_str("then", "tried again each second; the broker's log says why"));
        }
        on_said(v);
        return;
    }
}

static void on_listed(void *arg, const char *topic)
{
    tmb_state_values *v = arg;
    tmb_state_sweep_hear(v->sweep, topic);
}

static void on_asked(void *arg, tmb_bytes ask)
{
    tmb_state_values *v = arg;
    tmb_state_members_ask(v->state->members, ask);
}

void tmb_state_values_list(tmb_state_values *v)
{
    tmb_state_link_list(v->link);
}

void tmb_state_values_mark(tmb_state_values *v)
{
    v->must_mark = true;
    tmb_state_values_wake(v);
}

void tmb_state_values_say(tmb_state_values *v, const tmb_link_message *message)
{
    int id = 0;
    if (tmb_state_link_publish(v->link, message, &id) == TMB_OK)
        v->answers++;
    else
        v->answers_lost++;
}

void tmb_state_values_clear(tmb_state_values *v, const char *topic)
{
    int id = 0;
    tmb_link_message message = {.topic = topic, .is_retained = true};
    tmb_err err = tmb_state_link_publish(v->link, &message, &id);
    (void)err; /* ECLOSED: the sweep is due again when there is a broker */
}

void tmb_state_values_tick(tmb_state_values *v)
{
    if (v->stage == STAGE_AWAY && tmb_state_link_is_up(v->link))
        learn(v);
    else if (v->stage != STAGE_AWAY && v->stage != STAGE_LEARNING)
        tmb_state_sweep_tick(v->sweep);
    look(v);
}

tmb_err tmb_state_values_new(tmb_state *state, tmb_state_values **ret_values)
{
    tmb_state_values *v = calloc(1, sizeof *v);
    if (!v)
        return TMB_ENOMEM;
    v->state = state;
    v->items = malloc(PATHS_MAX * sizeof *v->items);
    tmb_err err = v->items ? tmb_state_sweep_new(state, v, &v->sweep) : TMB_ENOMEM;
    tmb_state_link_options options = {.daemon = state->daemon,
                                      .arg = v,
                                      .up = on_up,
                                      .down = on_down,
                                      .acked = on_acked,
                                      .listed = on_listed,
                                      .asked = on_asked};
    if (err == TMB_OK)
        err = tmb_state_link_new(&options, &v->link);
    if (err != TMB_OK) {
        tmb_state_values_free(v);
        return err;
    }
    (void)uv_timer_init(&state->daemon->loop, &v->timer);
    v->timer.data = v;
    *ret_values = v;
    return TMB_OK;
}

void tmb_state_values_stop(tmb_state_values *v)
{
    v->is_stopping = true;
    tmb_state_sweep_stop(v->sweep);
    tmb_state_link_stop(v->link);
    uv_close((uv_handle_t *)&v->timer, NULL);
}

void tmb_state_values_free(tmb_state_values *v)
{
    if (!v)
        return;
    tmb_said_clear(&v->said);
    free(v->said.v);
    tmb_state_sweep_free(v->sweep);
    tmb_state_link_free(v->link);
    free(v->items);
    free(v);
}

void tmb_state_values_stats(const tmb_state_values *v, json_t *object)
{
    (void)json_object_set_new(
        object, "values",
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "broker_up",
                  tmb_state_link_is_up(v->link), "published", (json_int_t)v->published, "refused",
                  (json_int_t)v->refused, "flushes", (json_int_t)v->flushes, "answers",
                  (json_int_t)v->answers, "answers_lost", (json_int_t)v->answers_lost, "losses",
                  (json_int_t)v->losses, "down_why", tmb_state_link_why(v->link)));
}
