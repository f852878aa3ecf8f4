// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/state_service.h - the service of state, stepped by hand: its store is in memory and runs
 * a job when the test says so, its broker is a table that acknowledges when the test says so.
 *
 * It stands for state_job.c, state_link.c and the store; all else is the daemon's own.
 */
#ifndef TESTS_UNIT_DAEMON_STATE_SERVICE_H
#define TESTS_UNIT_DAEMON_STATE_SERVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/kv_memory.h"
#include "syncd/daemon/state_inside.h"
#include "syncd/daemon/state_link.h"
#include "syncd/store/state_store.h"

#define SENT_MAX 2048

typedef struct sent {
    char topic[128], payload[256];
    int id; /* 0: acknowledged */
    bool is_retained;
} sent;

struct tmb_state_link {
    tmb_state_link_options options;
    bool is_up, is_listing, is_slow; /* is_slow: it does not tell the list yet */
    sent sent[SENT_MAX];             /* since the connection was made */
    unsigned sent_count;
    sent kept[SENT_MAX]; /* what the broker retains */
    unsigned kept_count;
};

struct tmb_state_jobs {
    kv_memory disk;
    tmb_kv kv;
    tmb_state_job *first, **last;
    void (*settled)(void *arg, bool is_committed);
    void *arg;
    bool is_stopping;
};

typedef struct scene {
    tmb_config config;
    tmb_daemon daemon;
    tmb_state *state;
} scene;

static tmb_state_link *broker;
static tmb_state_jobs *pool;
static kv_memory kept_disk; /* between two starts */
static bool is_moved;       /* it is a copy, or was put back */
static char own_name[] = "line-7", root[] = "state", nowhere[] = "/nonexistent/tombolo";

/* main.c's, which is the program. */
uint64_t tmb_daemon_seed(const tmb_daemon *d, uint64_t what)
{
    (void)d;
    return what;
}

/* ---- state_job.c and the store ---- */

tmb_err tmb_state_jobs_new(tmb_daemon *d, void (*settled)(void *arg, bool is_committed), void *arg,
                           tmb_state_jobs **ret_jobs, bool *was_reset, char *text, size_t text_cap)
{
    (void)d;
    (void)text;
    (void)text_cap;
    pool = calloc(1, sizeof *pool);
    assert_non_null(pool);
    assert_true(kv_memory_copy(&pool->disk, &kept_disk));
    pool->kv = kv_memory_port(&pool->disk);
    pool->last = &pool->first;
    pool->settled = settled;
    pool->arg = arg;
    *was_reset = false;
    *ret_jobs = pool;
    return TMB_OK;
}

tmb_state_store *tmb_state_jobs_store(tmb_state_jobs *jobs)
{
    (void)jobs;
    return NULL;
}

bool tmb_state_store_is_moved(tmb_state_store *store)
{
    (void)store;
    return is_moved;
}

tmb_err tmb_state_store_settle(tmb_state_store *store)
{
    (void)store;
    return TMB_OK;
}

void tmb_state_jobs_add(tmb_state_jobs *jobs, tmb_state_job *job)
{
    if (jobs->is_stopping) {
        job->err = TMB_ECLOSED;
        job->done(job);
        return;
    }
    job->next = NULL;
    *jobs->last = job;
    jobs->last = &job->next;
}

static tmb_state_job *take_job(void)
{
    tmb_state_job *job = pool->first;
    assert_non_null(job);
    pool->first = job->next;
    if (!pool->first)
        pool->last = &pool->first;
    return job;
}

void tmb_state_jobs_stop(tmb_state_jobs *jobs)
{
    jobs->is_stopping = true;
    while (jobs->first) {
        tmb_state_job *job = take_job();
        job->err = TMB_ECLOSED;
        job->done(job);
    }
}

void tmb_state_jobs_free(tmb_state_jobs *jobs)
{
    kv_memory_free(&jobs->disk);
    free(jobs);
}

unsigned tmb_state_jobs_waiting(const tmb_state_jobs *jobs)
{
    (void)jobs;
    return 0;
}

uint64_t tmb_state_jobs_failed(const tmb_state_jobs *jobs)
{
    (void)jobs;
    return 0;
}

/* The next job; fails TMB_OK, or with what its disk fails. */
static void run_job(tmb_err fails)
{
    tmb_state_job *job = take_job();
    job->commit = TMB_STATE_SYNC;
    job->err = fails != TMB_OK ? fails : job->run(job, &pool->kv);
    bool is_kept = job->err == TMB_OK && job->commit != TMB_STATE_DROP;
    if (is_kept)
        kv_memory_commit(&pool->disk, true);
    else
        kv_memory_drop(&pool->disk);
    if (is_kept && job->committed)
        job->committed(job);
    pool->settled(pool->arg, is_kept);
    job->done(job);
}

/* ---- state_link.c and the broker ---- */

tmb_err tmb_state_link_new(const tmb_state_link_options *options, tmb_state_link **ret_link)
{
    *ret_link = broker = calloc(1, sizeof *broker);
    assert_non_null(broker);
    broker->options = *options;
    return TMB_OK;
}

void tmb_state_link_stop(tmb_state_link *link)
{
    link->is_up = false;
}

void tmb_state_link_free(tmb_state_link *link)
{
    free(link);
}

bool tmb_state_link_is_up(const tmb_state_link *link)
{
    return link->is_up;
}

const char *tmb_state_link_why(const tmb_state_link *link)
{
    (void)link;
    return "";
}

void tmb_state_link_list(tmb_state_link *link)
{
    link->is_listing = true;
}

tmb_err tmb_state_link_publish(tmb_state_link *link, const tmb_link_message *message, int *ret_id)
{
    static int last_id;
    if (!link->is_up)
        return TMB_ECLOSED;
    assert_true(link->sent_count < SENT_MAX);
    sent *s = &link->sent[link->sent_count++];
    memset(s, 0, sizeof *s);
    assert_true(strlen(message->topic) < sizeof s->topic &&
                message->payload.len < sizeof s->payload);
    memcpy(s->topic, message->topic, strlen(message->topic));
    if (message->payload.len > 0)
        memcpy(s->payload, message->payload.ptr, message->payload.len);
    s->is_retained = message->is_retained;
    *ret_id = s->id = ++last_id;
    return TMB_OK;
}

/* What the broker retains of topic; "": nothing. */
static const char *kept(const char *topic)
{
    for (unsigned i = 0; i < broker->kept_count; i++)
        if (strcmp(broker->kept[i].topic, topic) == 0)
            return broker->kept[i].payload;
    return "";
}

static void keep(const sent *s)
{
    unsigned i = 0;
    while (i < broker->kept_count && strcmp(broker->kept[i].topic, s->topic) != 0)
        i++;
    assert_true(i < SENT_MAX);
    broker->kept[i] = *s;
    broker->kept_count += i == broker->kept_count;
}

/* The broker takes the oldest message that it has not; false: there is none. */
static bool take_message(unsigned reason_code, bool is_acked)
{
    for (unsigned i = 0; i < broker->sent_count; i++) {
        sent *s = &broker->sent[i];
        int id = s->id;
        if (id == 0)
            continue;
        s->id = 0;
        if (s->is_retained && reason_code < 0x80)
            keep(s);
        if (is_acked)
            broker->options.acked(broker->options.arg, id, reason_code);
        return true;
    }
    return false;
}

static inline void come_up(void)
{
    broker->is_up = true;
    broker->sent_count = 0;
    broker->options.up(broker->options.arg, kept("$tombolo/v1/state/mark"));
}

static inline void go_down(void)
{
    broker->is_up = false;
    broker->is_listing = false;
    broker->options.down(broker->options.arg);
}

static void tell_list(void)
{
    broker->is_listing = false;
    for (unsigned i = 0; i < broker->kept_count; i++)
        if (broker->kept[i].payload[0] != '\0' && broker->kept[i].topic[0] != '$')
            broker->options.listed(broker->options.arg, broker->kept[i].topic);
    broker->options.listed(broker->options.arg, NULL);
}

/* ---- the service ---- */

/* A turn of the loop: timers; true: a job waits. */
static bool turn(scene *at)
{
    (void)uv_run(&at->daemon.loop, UV_RUN_NOWAIT);
    return pool->first != NULL;
}

/* Everything goes its way, until nothing was left to do for so long. */
static inline void go_on(scene *at, unsigned quiet_ms)
{
    for (unsigned quiet = 0; quiet < quiet_ms; quiet++) {
        bool was_busy = false;
        while (turn(at)) {
            run_job(TMB_OK);
            was_busy = true;
        }
        while (take_message(0, true))
            was_busy = true;
        if (broker->is_listing && !broker->is_slow) {
            tell_list();
            was_busy = true;
        }
        quiet = was_busy ? 0 : quiet;
        uv_sleep(1);
    }
}

/* Until a job waits: what is due in half a second or so. */
static inline void wait_for_job(scene *at)
{
    unsigned ms = 0;
    for (; !turn(at) && ms < 10000; ms++)
        uv_sleep(1);
    assert_true(ms < 10000);
}

static void start_service(scene *at)
{
    assert_int_equal(tmb_state_start(&at->daemon, &at->state), TMB_OK);
}

/* As after a kill: what was committed is there. */
static void kill_service(scene *at)
{
    kv_memory_drop(&pool->disk);
    kv_memory_free(&kept_disk);
    assert_true(kv_memory_copy(&kept_disk, &pool->disk));
    tmb_state_stop(at->state);
    (void)uv_run(&at->daemon.loop, UV_RUN_DEFAULT);
    tmb_state_free(at->state);
    at->state = NULL;
}

static inline int begin(void **state)
{
    scene *at = calloc(1, sizeof *at);
    assert_non_null(at);
    at->config.node = own_name;
    at->config.data_dir = nowhere;
    at->config.state.root = root;
    at->config.state.scopes.count = 1;
    memcpy(at->config.state.scopes.v[0].text, own_name, sizeof own_name);
    at->config.state.value_max = 4096;
    at->config.state.lapse_after_ms = INT64_C(30) * 86400 * 1000;
    at->config.state.unstable_max = 1000000;
    at->config.ack_timeout_ms = 5000;
    at->daemon.config = &at->config;
    at->daemon.journal_root = nowhere;
    assert_int_equal(uv_loop_init(&at->daemon.loop), 0);
    start_service(at);
    *state = at;
    return 0;
}

static inline int end(void **state)
{
    scene *at = *state;
    kill_service(at);
    kv_memory_free(&kept_disk);
    assert_int_equal(uv_loop_close(&at->daemon.loop), 0);
    free(at);
    return 0;
}

/* An operation as state_ops.c does it. */
typedef struct doing {
    tmb_state_job job;
    tmb_state *state;
    tmb_op op;
    tmb_state_look look;
} doing;

static tmb_err run_doing(tmb_state_job *job, const tmb_kv *kv)
{
    doing *d = job->arg;
    tmb_verdict verdict;
    tmb_err err = tmb_state_load(d->state, kv, d->op.scope);
    d->op.stamp = tmb_clock_stamp(&d->state->clock, (tmb_hlc){0}, tmb_state_wall());
    if (err == TMB_OK)
        err = tmb_scope_apply(&d->state->scope, &d->op, true, &verdict, NULL);
    if (err != TMB_OK)
        return err;
    assert_int_equal(verdict, TMB_VERDICT_DONE);
    tmb_state_look_of(&d->state->scope, &d->look);
    return tmb_scope_save(&d->state->scope);
}

static void done_doing(tmb_state_job *job)
{
    doing *d = job->arg;
    assert_int_equal(job->err, TMB_OK);
    tmb_state_changed(d->state, &d->look, NULL);
}

/* Behind the jobs that wait; they are run. */
static inline void apply(scene *at, tmb_verb verb, const char *path, const char *value)
{
    tmb_bytes bytes = tmb_bytes_str(value ? value : "");
    doing d = {.state = at->state, .op = {.verb = verb, .scope = tmb_bytes_str(own_name)}};
    d.op.path = tmb_bytes_str(path);
    d.op.values_count = value ? 1 : 0;
    d.op.values = &bytes;
    d.job = (tmb_state_job){.run = run_doing, .done = done_doing, .arg = &d, .is_own = true};
    tmb_state_jobs_add(at->state->jobs, &d.job);
    while (d.look.name[0] == '\0')
        run_job(TMB_OK);
}

#endif
