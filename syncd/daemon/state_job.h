// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_job.h - work on the store of state: in the pool, one job at a time, all or nothing.
 *
 *   add --> queue --> run(job, kv) in the pool --TMB_OK: commit-----------> done(job)
 *                              '--an error: nothing of it is written-----> done(job), job->err says why
 *
 * So what a job reads has been committed, and what it makes is durable when done is called: whatever leaves
 * the node (a value, an answer, a dot) leaves from there. Jobs of this node's own (operations, values) and
 * those of neighbours take turns.
 *
 * Threads: the loop's, but for run. Cost: a job that has written pays one sync.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_JOB_H
#define TMB_SYNCD_DAEMON_STATE_JOB_H

#include "syncd/daemon/daemon.h"
#include "syncd/state/kv.h"

typedef struct tmb_state_jobs tmb_state_jobs;
typedef struct tmb_state_job tmb_state_job;

typedef enum tmb_state_commit {
    TMB_STATE_SYNC = 0, /* on the disk before done is called; nothing written: costs nothing */
    TMB_STATE_LATER,    /* a kill does not undo it, a power cut may, until the next sync */
    TMB_STATE_DROP      /* nothing of it is to be changed */
} tmb_state_commit;

/* The caller's memory, his again when done is called. */
struct tmb_state_job {
    tmb_err (*run)(tmb_state_job *job, const tmb_kv *kv); /* blocking */
    void (*committed)(
        tmb_state_job *job); /* NULL, or blocking: behind the commit, before the next job */
    void (*done)(tmb_state_job *job); /* always called, once; TMB_ECLOSED: it was not run */
    void *arg;
    bool is_own;             /* of this node itself */
    tmb_state_commit commit; /* of a run that gave TMB_OK */
    tmb_err err;
    tmb_state_job *next;
};

/* gives ret_jobs, with the store <data_dir>/state open. was_reset: it could not be read and was set aside.
 * settled (with arg) is called in the pool after each job, before the next: whether it was committed.
 * Errors: TMB_EBUSY, TMB_EIO, TMB_ENOSPC, TMB_ENOMEM; text says why. */
TMB_MUST_USE tmb_err tmb_state_jobs_new(tmb_daemon *d,
                                        void (*settled)(void *arg, bool is_committed), void *arg,
                                        tmb_state_jobs **ret_jobs, bool *was_reset, char *text,
                                        size_t text_cap);

/* The store, for what is asked of it inside a run. */
struct tmb_state_store *tmb_state_jobs_store(tmb_state_jobs *jobs);

void tmb_state_jobs_add(tmb_state_jobs *jobs, tmb_state_job *job);

/* tmb_state_jobs_stop: what waits is done with TMB_ECLOSED; free when the loop has ended. */
void tmb_state_jobs_stop(tmb_state_jobs *jobs);
void tmb_state_jobs_free(tmb_state_jobs *jobs);

/* Jobs that wait, and those that failed since start. */
unsigned tmb_state_jobs_waiting(const tmb_state_jobs *jobs);
uint64_t tmb_state_jobs_failed(const tmb_state_jobs *jobs);

#endif
