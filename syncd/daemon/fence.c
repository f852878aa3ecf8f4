// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/fence.c - see fence.h.
 */
#include "syncd/daemon/fence.h"

#include <stdio.h>
#include <stdlib.h>

#include "journal/marks.h"
#include "journal/prove.h"
#include "syncd/daemon/log.h"

void tmb_fence_note(tmb_fence *fence, const char *why, const char *stream, uint64_t parent_has,
                    const char *data_dir)
{
    bool is_twin = strcmp(why, "twin") == 0, is_forked = strcmp(why, "forked") == 0;
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    fence->why = why;
    (void)snprintf(fence->stream, sizeof fence->stream, "%s", stream);
    fence->parent_has = parent_has;
    fence->since_ms = now.tv_sec * 1000 + now.tv_usec / 1000;
    if (is_twin) {
        LOG(TMB_LOG_ERROR, "session.fenced",
            tmb_str("why",
                    "another box is alive under this name, and has the session with the parent"),
            tmb_str("then",
                    "nothing is sent until this daemon is started again: stop one of the two, or "
                    "give this one a name and a certificate of its own"));
        return;
    }
    LOG(TMB_LOG_ERROR, "session.fenced",
        tmb_str("why",
                is_forked ? "the parent has other records under the numbers of this journal: is it "
                            "a restored backup, or a clone?"
                          : "the parent has more of this journal than the journal itself: is it a "
                            "restored backup?"),
        tmb_str("stream", stream), tmb_num("parent_has", parent_has),
        tmb_str("then",
                "nothing is sent; to go on with this journal stop broker and daemon and run: "
                "tombolo-journal renew"),
        tmb_str("folder", data_dir));
    tmb_err err = tmb_marks_set_aside(NULL, data_dir);
    if (err != TMB_OK)
        LOG(TMB_LOG_WARNING, "marks.not_set_aside", tmb_str("folder", data_dir), tmb_why(err),
            tmb_str("then", "tombolo-journal renew will carry all over: more comes twice"));
}

json_t *tmb_fence_stats(const tmb_fence *fence)
{
    if (!fence->why)
        return json_null();
    return json_pack("{s:s, s:s, s:I, s:I}", "why", fence->why, "stream", fence->stream,
                     "parent_has", (json_int_t)fence->parent_has, "since_ms",
                     (json_int_t)fence->since_ms);
}

typedef struct prove_job {
    uv_work_t work;
    const char *root;
    const char *stream;
    uint64_t ticket;
    tmb_incarnation incarnation;
    tmb_chain told;
    tmb_proof proof;
    void (*done)(void *arg, uint64_t ticket, tmb_proof proof);
    void *arg;
} prove_job;

/* Blocking. What cannot be read now is no proof of anything. */
static void do_prove(uv_work_t *work)
{
    prove_job *job = work->data;
    tmb_chain here = {.seq = 0};
    tmb_err err =
        tmb_journal_chain(job->root, job->stream, NULL, &job->incarnation, job->told.seq, &here);
    job->proof = TMB_PROOF_UNKNOWN;
    if (err != TMB_OK)
        LOG(TMB_LOG_NOTICE, "session.not_proved", tmb_str("stream", job->stream),
            tmb_num("seq", job->told.seq), tmb_why(err));
    else if (here.is_known)
        job->proof = memcmp(here.value, job->told.value, sizeof here.value) == 0 ? TMB_PROOF_SAME
                                                                                 : TMB_PROOF_FORKED;
}

static void on_done(uv_work_t *work, int status)
{
    prove_job *job = work->data;
    (void)status;
    job->done(job->arg, job->ticket, job->proof);
    free(job);
}

void tmb_prove(tmb_daemon *d, const char *stream, const tmb_session_action *prove,
               void (*done)(void *arg, uint64_t ticket, tmb_proof proof), void *arg)
{
    prove_job *job = calloc(1, sizeof *job);
    TMB_ASSERT(job); /* a few hundred bytes: without them nothing goes on */
    job->root = d->journal_root;
    job->stream = stream;
    job->ticket = prove->ticket;
    job->incarnation = prove->incarnation;
    job->told = *prove->chain;
    job->done = done;
    job->arg = arg;
    job->work.data = job;
    (void)uv_queue_work(&d->loop, &job->work, do_prove, on_done);
}
