// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_job.c - see state_job.h. */
#include "syncd/daemon/state_job.h"

#include <stdio.h>
#include <stdlib.h>

#include "syncd/daemon/log.h"
#include "syncd/store/state_store.h"

typedef struct queue {
    tmb_state_job *first, **last;
} queue;

struct tmb_state_jobs {
    tmb_daemon *daemon;
    tmb_state_store *store;
    queue queues[2]; /* of neighbours, of our own */
    unsigned waiting;
    bool was_own, is_stopping;
    tmb_state_job *running;
    uv_work_t work;
    tmb_err last_err;
    uint64_t failed;
    void (*settled)(void *arg, bool is_committed);
    void *arg;
};

static void put(queue *q, tmb_state_job *job)
{
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
}

static tmb_state_job *take(queue *q)
{
    tmb_state_job *job = q->first;
    if (job && !(q->first = job->next))
        q->last = &q->first;
    return job;
}

/* Blocking. */
static void do_run(uv_work_t *work)
{
    tmb_state_jobs *jobs = work->data;
    tmb_state_job *job = jobs->running;
    tmb_kv kv;
    job->err = tmb_state_store_begin(jobs->store, &kv);
    if (job->err != TMB_OK)
        return;
    job->commit = TMB_STATE_SYNC;
    job->err = job->run(job, &kv);
    bool is_kept = job->err == TMB_OK && job->commit != TMB_STATE_DROP;
    if (is_kept)
        job->err = tmb_state_store_commit(jobs->store, job->commit == TMB_STATE_SYNC);
    else
        tmb_state_store_abort(jobs->store);
    if (is_kept && job->err == TMB_OK && job->committed)
        job->committed(job);
    jobs->settled(jobs->arg, is_kept && job->err == TMB_OK);
}

static void on_ran(uv_work_t *work, int status);

static void start_next(tmb_state_jobs *jobs)
{
    if (jobs->running)
        return;
    bool is_own = !jobs->was_own;
    tmb_state_job *job = take(&jobs->queues[is_own]);
    if (!job) {
        is_own = !is_own;
        job = take(&jobs->queues[is_own]);
    }
    if (!job)
        return;
    jobs->was_own = is_own;
    jobs->waiting--;
    jobs->running = job;
    jobs->work.data = jobs;
    (void)uv_queue_work(&jobs->daemon->loop, &jobs->work, do_run, on_ran);
}

/* A disk that is full or failing is told once, and when it is over. */
static void note(tmb_state_jobs *jobs, tmb_err err)
{
    bool is_disk = err == TMB_EIO || err == TMB_ENOSPC || err == TMB_ECORRUPT || err == TMB_ENOMEM;
    jobs->failed += is_disk;
    if (is_disk && err != jobs->last_err)
        LOG(TMB_LOG_ERROR, "state.store_failed", tmb_why(err),
            tmb_str("then",
                    "nothing of it is lost: operations wait in the journal, neighbours send "
                    "again; it is tried again each second"));
    else if (err == TMB_OK && jobs->last_err != TMB_OK)
        LOG(TMB_LOG_NOTICE, "state.store_works_again", tmb_num("failures", jobs->failed));
    if (is_disk || err == TMB_OK)
        jobs->last_err = err;
}

static void on_ran(uv_work_t *work, int status)
{
    tmb_state_jobs *jobs = work->data;
    tmb_state_job *job = jobs->running;
    (void)status;
    jobs->running = NULL;
    note(jobs, job->err);
    start_next(jobs); /* the pool works on while the loop hears of this one */
    job->done(job);
}

void tmb_state_jobs_add(tmb_state_jobs *jobs, tmb_state_job *job)
{
    if (jobs->is_stopping) {
        job->err = TMB_ECLOSED;
        job->done(job);
        return;
    }
    put(&jobs->queues[job->is_own], job);
    jobs->waiting++;
    start_next(jobs);
}

tmb_err tmb_state_jobs_new(tmb_daemon *d, void (*settled)(void *arg, bool is_committed), void *arg,
                           tmb_state_jobs **ret_jobs, bool *was_reset, char *text, size_t text_cap)
{
    size_t cap = strlen(d->config->data_dir) + 8;
    tmb_state_jobs *jobs = calloc(1, sizeof *jobs);
    char *path = malloc(cap);
    tmb_err err = jobs && path ? TMB_OK : TMB_ENOMEM;
    if (err == TMB_OK) {
        (void)snprintf(path, cap, "%s/state", d->config->data_dir);
        err = tmb_state_store_open(path, &jobs->store, was_reset, text, text_cap);
    }
    free(path);
    if (err != TMB_OK) {
        free(jobs);
        return err;
    }
    jobs->daemon = d;
    jobs->settled = settled;
    jobs->arg = arg;
    for (int i = 0; i < 2; i++)
        jobs->queues[i].last = &jobs->queues[i].first;
    *ret_jobs = jobs;
    return TMB_OK;
}

void tmb_state_jobs_stop(tmb_state_jobs *jobs)
{
    jobs->is_stopping = true;
    jobs->waiting = 0;
    for (int i = 0; i < 2; i++) {
        for (tmb_state_job *job = take(&jobs->queues[i]); job; job = take(&jobs->queues[i])) {
            job->err = TMB_ECLOSED;
            job->done(job);
        }
    }
}

void tmb_state_jobs_free(tmb_state_jobs *jobs)
{
    if (!jobs)
        return;
    tmb_state_store_close(jobs->store);
    free(jobs);
}

struct tmb_state_store *tmb_state_jobs_store(tmb_state_jobs *jobs)
{
    return jobs->store;
}

unsigned tmb_state_jobs_waiting(const tmb_state_jobs *jobs)
{
    return jobs->waiting;
}

uint64_t tmb_state_jobs_failed(const tmb_state_jobs *jobs)
{
    return jobs->failed;
}
