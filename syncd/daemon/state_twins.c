// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_twins.c - see state_twins.h.
 *
 * What becomes due is made dirty in the store, like a path that was written: so it is published, and
 * published again after a kill, by the one road that values have.
 */
#include "syncd/daemon/state_twins.h"

#include <stdlib.h>

#include "policy/state_topic.h"
#include "syncd/bus/twin.h"
#include "syncd/daemon/state_lane.h"

/* Made dirty by one job. */
#define DUE_MAX 1024u

#define ROOT   "twin"
#define ONLINE "/reported/online"

typedef struct key {
    char scope[TMB_NAME_BYTES_MAX + 1];
    char path[TMB_PATH_BYTES_MAX + 1]; /* twin/<device>; zeros behind it */
} key;

/* A twin that says whether it is online. */
typedef struct watch {
    key key;
    int64_t silent_at_ms;
    bool is_due;
    UT_hash_handle hh;
} watch;

/* The node that a scope is called after, as seen from here. */
typedef struct site {
    char scope[TMB_NAME_BYTES_MAX + 1];
    bool is_reachable;
    UT_hash_handle hh;
} site;

struct tmb_state_twins {
    tmb_state *state;
    uv_mutex_t mutex; /* of watches, sites, untracked */
    watch *watches;
    site *sites;
    uint64_t untracked;
    unsigned watched_max;
    tmb_twin *twin; /* of the job that runs */
    tmb_leaf leaf;  /* likewise */
    tmb_state_job job;
    bool is_busy, is_begun; /* is_begun: what was in the store at the start has been made dirty */
    char at[TMB_NAME_BYTES_MAX + 1]; /* the scope that begin is at */
    bool is_over;
    key *due;
    unsigned due_count;
};

static bool is_own(const tmb_state_twins *t, const char *scope)
{
    return strcmp(scope, t->state->daemon->config->node) == 0;
}

/* Under the mutex. */
static bool is_reachable(tmb_state_twins *t, const char *scope)
{
    site *found = NULL;
    HASH_FIND_STR(t->sites, scope, found);
    return found ? found->is_reachable : is_own(t, scope);
}

static void add_site(tmb_state_twins *t, const char *scope)
{
    site *found = NULL;
    HASH_FIND_STR(t->sites, scope, found);
    if (found || !(found = calloc(1, sizeof *found)))
        return;
    memcpy(found->scope, scope, strlen(scope) + 1);
    found->is_reachable = is_own(t, scope);
    HASH_ADD_STR(t->sites, scope, found);
}

static void set_key(key *k, const char *scope, tmb_bytes path)
{
    memset(k, 0, sizeof *k);
    memcpy(k->scope, scope, strlen(scope));
    memcpy(k->path, path.ptr, path.len);
}

/* Under the mutex: the twin as it was just said. */
static void remember(tmb_state_twins *t, const char *scope, tmb_bytes path)
{
    key k;
    watch *w = NULL;
    set_key(&k, scope, path);
    HASH_FIND(hh, t->watches, &k, sizeof k, w);
    if (!tmb_twin_says_online(t->twin)) {
        if (w) {
            HASH_DEL(t->watches, w);
            free(w);
        }
        return;
    }
    if (!w && (HASH_COUNT(t->watches) >= t->watched_max || !(w = calloc(1, sizeof *w)))) {
        t->untracked++;
        return;
    }
    if (w->key.path[0] == '\0') {
        w->key = k;
        HASH_ADD(hh, t->watches, key, sizeof w->key, w);
        add_site(t, scope);
    }
    w->silent_at_ms = tmb_twin_silent_at(t->twin);
    w->is_due = false;
}

static tmb_err gather(tmb_state_twins *t, tmb_scope *scope, tmb_bytes path)
{
    tmb_leaf_key at = {.path = path};
    tmb_twin_reset(t->twin, path);
    tmb_err err = tmb_scope_next(scope, path, NULL, &at, &t->leaf);
    while (err == TMB_OK) {
        err = tmb_twin_add(t->twin, &at, &t->leaf);
        if (err == TMB_OK)
            err = tmb_scope_next(scope, path, &at, &at, &t->leaf);
    }
    return err == TMB_ENOENT ? TMB_OK : err;
}

tmb_err tmb_state_twins_say(tmb_state_twins *t, tmb_scope *scope, tmb_bytes path, unsigned item,
                            tmb_said_list *list)
{
    char topic[TMB_STATE_TOPIC_BYTES_MAX + 1];
    tmb_bytes twin = tmb_twin_of(path), payload = {NULL, 0};
    if (twin.len == 0)
        return TMB_OK;
    (void)tmb_state_topic_write(t->state->daemon->config->state.root, tmb_bytes_str(scope->name),
                                twin, TMB_STATE_OUTPUT_DELTA, topic, sizeof topic);
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->v[i].topic, topic) == 0)
            return TMB_OK;
    tmb_err err = gather(t, scope, twin);
    if (err != TMB_OK)
        return err;
    tmb_wall now = tmb_clock_now(&t->state->clock, tmb_state_wall());
    uv_mutex_lock(&t->mutex);
    err = tmb_twin_payload(t->twin, is_reachable(t, scope->name), now, &payload);
    if (err == TMB_OK && !list->is_draft) /* what is not said stays due */
        remember(t, scope->name, twin);
    uv_mutex_unlock(&t->mutex);
    return err == TMB_OK ? tmb_said_add(list, item, topic, payload, NULL, true, false) : err;
}

/* The loop's. */
static bool has_session(const tmb_state_twins *t, const char *scope)
{
    const tmb_held *held = tmb_state_find(t->state, tmb_bytes_str(scope));
    bool has_any = false;
    if (is_own(t, scope))
        return true;
    for (const tmb_state_lane *lane = held ? held->lanes : NULL; lane; lane = lane->next_of_held) {
        if (strcmp(lane->peer->name, scope) == 0)
            return lane->peer->session != 0;
        has_any = has_any || lane->peer->session != 0;
    }
    return has_any;
}

/* Under the mutex; the loop's. */
static void look_at_site(tmb_state_twins *t, site *s)
{
    bool is_there = has_session(t, s->scope);
    if (is_there == s->is_reachable)
        return;
    s->is_reachable = is_there;
    for (watch *w = t->watches; w; w = w->hh.next)
        w->is_due = w->is_due || strcmp(w->key.scope, s->scope) == 0;
}

/* Under the mutex; the loop's. */
static void look_at_sites(tmb_state_twins *t)
{
    site *s, *next;
    HASH_ITER(hh, t->sites, s, next)
    look_at_site(t, s);
}

void tmb_state_twins_expect(tmb_state_twins *t, const char *scope)
{
    site *found = NULL;
    uv_mutex_lock(&t->mutex);
    add_site(t, scope);
    HASH_FIND_STR(t->sites, scope, found);
    if (found)
        look_at_site(t, found);
    uv_mutex_unlock(&t->mutex);
}

/* Under the mutex. */
static void collect(tmb_state_twins *t, int64_t now_ms)
{
    t->due_count = 0;
    for (watch *w = t->watches; w && t->due_count < DUE_MAX; w = w->hh.next) {
        if (!w->is_due && now_ms < w->silent_at_ms)
            continue;
        w->is_due = false;
        w->silent_at_ms = INT64_MAX; /* until it has been said again */
        t->due[t->due_count++] = w->key;
    }
}

/* Blocking. */
static tmb_err run_due(tmb_state_job *job, const tmb_kv *kv)
{
    tmb_state_twins *t = job->arg;
    tmb_scope *scope = &t->state->scope;
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < t->due_count && err == TMB_OK; i++) {
        bool is_first = i == 0 || strcmp(t->due[i - 1].scope, t->due[i].scope) != 0;
        bool is_last = i + 1 == t->due_count || strcmp(t->due[i + 1].scope, t->due[i].scope) != 0;
        if (is_first)
            err = tmb_state_load(t->state, kv, tmb_bytes_str(t->due[i].scope));
        if (err == TMB_OK)
            err = tmb_scope_dirty(scope, tmb_bytes_str(t->due[i].path));
        if (err == TMB_OK && is_last)
            err = tmb_scope_save(scope);
    }
    return err;
}

static void publish(tmb_state_twins *t, const char *scope)
{
    tmb_held *held = tmb_state_find(t->state, tmb_bytes_str(scope));
    if (held)
        held->is_dirty = true;
}

static void done_due(tmb_state_job *job)
{
    tmb_state_twins *t = job->arg;
    t->is_busy = false;
    if (t->state->is_stopping)
        return;
    uv_mutex_lock(&t->mutex);
    for (unsigned i = 0; i < t->due_count; i++) {
        watch *w = NULL;
        HASH_FIND(hh, t->watches, &t->due[i], sizeof t->due[i], w);
        if (w && job->err != TMB_OK)
            w->is_due = true; /* tried again */
        publish(t, t->due[i].scope);
    }
    uv_mutex_unlock(&t->mutex);
    tmb_state_values_wake(t->state->values);
}

/* Blocking: twins of the next scope that say whether they are online. */
static tmb_err run_begin(tmb_state_job *job, const tmb_kv *kv)
{
    tmb_state_twins *t = job->arg;
    tmb_scope *scope = &t->state->scope;
    tmb_bytes root = tmb_bytes_str(ROOT);
    tmb_leaf_key at = {.path = root};
    tmb_err err = tmb_state_next_scope(kv, t->at);
    t->is_over = err == TMB_ENOENT;
    if (t->is_over)
        return TMB_OK;
    if (err == TMB_OK)
        err = tmb_state_load(t->state, kv, tmb_bytes_str(t->at));
    if (err == TMB_OK)
        err = tmb_scope_next(scope, root, NULL, &at, &t->leaf);
    while (err == TMB_OK) {
        uint8_t path[TMB_PATH_BYTES_MAX];
        tmb_bytes twin = tmb_twin_of(at.path);
        bool is_online = twin.len > 0 && !tmb_type_is_set(at.type) &&
                         at.path.len == twin.len + sizeof ONLINE - 1 &&
                         memcmp(at.path.ptr + twin.len, ONLINE, sizeof ONLINE - 1) == 0;
        if (is_online) {
            memcpy(path, at.path.ptr, at.path.len);
            at.path.ptr = path; /* over the write */
            err = tmb_scope_dirty(scope, at.path);
        }
        if (err == TMB_OK)
            err = tmb_scope_next(scope, root, &at, &at, &t->leaf);
    }
    return err == TMB_ENOENT ? tmb_scope_save(scope) : err;
}

static void begin(tmb_state_twins *t);

static void done_begin(tmb_state_job *job)
{
    tmb_state_twins *t = job->arg;
    t->is_busy = false;
    if (t->state->is_stopping)
        return;
    if (job->err != TMB_OK || t->is_over) {
        t->is_begun = job->err == TMB_OK;
        t->at[0] = '\0'; /* after an error: from the first, at the next tick */
        tmb_state_values_wake(t->state->values);
        return;
    }
    publish(t, t->at);
    begin(t);
}

static void add_job(tmb_state_twins *t, tmb_err (*run)(tmb_state_job *, const tmb_kv *),
                    void (*done)(tmb_state_job *))
{
    t->job = (tmb_state_job){.run = run, .done = done, .arg = t, .is_own = true};
    t->is_busy = true;
    tmb_state_jobs_add(t->state->jobs, &t->job);
}

static void begin(tmb_state_twins *t)
{
    add_job(t, run_begin, done_begin);
}

void tmb_state_twins_tick(tmb_state_twins *t)
{
    if (t->is_busy || t->state->is_stopping)
        return;
    if (!t->is_begun) {
        begin(t);
        return;
    }
    tmb_wall now = tmb_clock_now(&t->state->shown_clock, tmb_state_wall());
    uv_mutex_lock(&t->mutex);
    look_at_sites(t);
    collect(t, now.ms);
    uv_mutex_unlock(&t->mutex);
    if (t->due_count > 0)
        add_job(t, run_due, done_due);
}

tmb_err tmb_state_twins_new(tmb_state *state, unsigned watched_max, tmb_state_twins **ret_twins)
{
    tmb_state_twins *t = calloc(1, sizeof *t);
    if (!t)
        return TMB_ENOMEM;
    if (uv_mutex_init(&t->mutex) != 0) {
        free(t);
        return TMB_ENOMEM;
    }
    t->state = state;
    t->watched_max = watched_max;
    t->due = malloc(DUE_MAX * sizeof *t->due);
    tmb_err err = tmb_twin_new(state->daemon->config->state.value_max, &t->twin);
    if (err != TMB_OK || !t->due) {
        tmb_state_twins_free(t);
        return TMB_ENOMEM;
    }
    *ret_twins = t;
    return TMB_OK;
}

void tmb_state_twins_free(tmb_state_twins *t)
{
    if (!t)
        return;
    watch *w = t->watches, *next_watch;
    HASH_CLEAR(hh, t->watches); /* the table; what is in it is still linked */
    for (; w; w = next_watch) {
        next_watch = w->hh.next;
        free(w);
    }
    site *s = t->sites, *next_site;
    HASH_CLEAR(hh, t->sites);
    for (; s; s = next_site) {
        next_site = s->hh.next;
        free(s);
    }
    tmb_twin_free(t->twin);
    free(t->due);
    uv_mutex_destroy(&t->mutex);
    free(t);
}

void tmb_state_twins_stats(tmb_state_twins *t, json_t *object)
{
    uv_mutex_lock(&t->mutex);
    json_int_t count = HASH_COUNT(t->watches), untracked = (json_int_t)t->untracked;
    uv_mutex_unlock(&t->mutex);
    (void)json_object_set_new(object, "twins",
                              json_pack("{s:I, s:I}", "watched", count, "untracked", untracked));
}
