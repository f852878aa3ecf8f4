// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/store_job.c - marks of children, looked up in the pool.
 *
 * Marks are promises about this node's journal, so the store is tied to the journal's incarnation before any
 * is read or written. While the journal has no segment yet there is nothing to tie it to: marks are 0, which
 * is safe (the plugin drops what it has).
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "journal/tail.h"
#include "syncd/daemon/asks.h"
#include "syncd/daemon/child.h"
#include "syncd/daemon/log.h"

struct tmb_binding {
    tmb_daemon *daemon;
    _Atomic uint64_t generation; /* raised by the loop, which never waits for the lock */
    uv_mutex_t lock;             /* for what follows, and while a mark is written */
    uint64_t bound_generation;   /* in which the store was last tied to the journal */
};

tmb_err tmb_binding_new(tmb_daemon *d, tmb_binding **ret_binding)
{
    tmb_binding *binding = calloc(1, sizeof *binding);
    if (!binding || uv_mutex_init(&binding->lock) != 0) {
        free(binding);
        return TMB_ENOMEM;
    }
    binding->daemon = d;
    *ret_binding = binding;
    return TMB_OK;
}

void tmb_binding_free(tmb_binding *binding)
{
    if (binding)
        uv_mutex_destroy(&binding->lock);
    free(binding);
}

void tmb_binding_reset(tmb_binding *binding)
{
    atomic_fetch_add(&binding->generation, 1);
}

uint64_t tmb_binding_generation(const tmb_binding *binding)
{
    return atomic_load(&binding->generation);
}

/* All streams of a journal are of one incarnation; the first that has a segment tells it. */
static tmb_err find_incarnation(const tmb_daemon *d, tmb_incarnation *ret_incarnation)
{
    tmb_err found = TMB_ENOENT;
    for (unsigned i = 0; i < d->config->policy.streams_count && found != TMB_OK; i++) {
        tmb_tail *tail = NULL;
        uint64_t first = 0, last = 0;
        tmb_err err =
            tmb_tail_open(d->journal_root, d->config->policy.streams[i].name, NULL, &tail);
        if (err == TMB_OK)
            err = tmb_tail_range(tail, &first, &last, ret_incarnation);
        tmb_tail_close(tail);
        found = err;
    }
    return found;
}

static bool tie(tmb_binding *binding)
{
    tmb_daemon *d = binding->daemon;
    tmb_incarnation incarnation;
    bool was_emptied = false;
    if (find_incarnation(d, &incarnation) != TMB_OK)
        return false;
    tmb_err err = tmb_store_bind(d->store, &incarnation, &was_emptied);
    if (err != TMB_OK) {
        LOG(TMB_LOG_ERROR, "store.bind_failed", tmb_why(err));
        return false;
    }
    if (was_emptied)
        LOG(TMB_LOG_WARNING, "store.emptied",
            tmb_str("why", "the marks in it belong to another journal than this one"));
    return true;
}

/* Under the lock. false: not tied, marks must be taken for 0. */
static bool ensure_bound(tmb_binding *binding)
{
    uint64_t generation = atomic_load(&binding->generation);
    if (binding->bound_generation != generation && tie(binding))
        binding->bound_generation = generation;
    return binding->bound_generation == generation;
}

/* The lock is held while the mark is written: a journal that is replaced now is bound after it, and that
 * empties the store of this mark too. */
tmb_err tmb_binding_put_mark(tmb_binding *binding, const tmb_batch *batch)
{
    const tmb_frame_batch *b = &batch->frame.u.batch;
    tmb_chain mark = batch->commit.chain;
    tmb_err err = TMB_OK;
    if (!binding->daemon->store)
        return TMB_OK;
    if (mark.seq != b->last_seq)
        mark = (tmb_chain){.seq = b->last_seq};
    uv_mutex_lock(&binding->lock);
    if (batch->generation == atomic_load(&binding->generation) && ensure_bound(binding))
        err = tmb_store_proof_put(binding->daemon->store, tmb_bytes_str(batch->child->name),
                                  &b->incarnation, b->stream, &mark);
    uv_mutex_unlock(&binding->lock);
    return err;
}

tmb_err tmb_binding_put(tmb_binding *binding, uint64_t generation, tmb_bytes node,
                        const tmb_incarnation *incarnation, tmb_bytes stream, uint64_t seq)
{
    tmb_err err = TMB_OK;
    if (!binding->daemon->store)
        return TMB_OK;
    uv_mutex_lock(&binding->lock);
    if (generation == atomic_load(&binding->generation) && ensure_bound(binding))
        err = tmb_store_mark_put(binding->daemon->store, node, incarnation, stream, seq);
    uv_mutex_unlock(&binding->lock);
    return err;
}

uint64_t tmb_binding_get(tmb_binding *binding, tmb_bytes node, const tmb_incarnation *incarnation,
                         tmb_bytes stream)
{
    uint64_t seq = 0;
    if (!binding->daemon->store)
        return 0;
    uv_mutex_lock(&binding->lock);
    if (!ensure_bound(binding) ||
        tmb_store_mark_get(binding->daemon->store, node, incarnation, stream, &seq) != TMB_OK)
        seq = 0;
    uv_mutex_unlock(&binding->lock);
    return seq;
}

typedef struct marks_job {
    uv_work_t work;
    tmb_child *child;
    uint64_t session;
    unsigned count;
    tmb_road_lane lanes[TMB_STREAMS_MAX];
    uint64_t seqs[TMB_STREAMS_MAX];
    tmb_chain chains[TMB_STREAMS_MAX];
    bool wants_dictionary[TMB_STREAMS_MAX];
    tmb_kept *kept[TMB_STREAMS_MAX];
} marks_job;

static void do_marks(uv_work_t *work)
{
    marks_job *job = work->data;
    tmb_binding *binding = job->child->hub->bind;
    for (unsigned i = 0; i < job->count; i++) {
        if (job->wants_dictionary[i])
            job->kept[i] = tmb_dictionary_read(binding->daemon->config->data_dir, job->child->name,
                                               job->lanes[i].stream);
    }
    if (!binding->daemon->store)
        return;
    uv_mutex_lock(&binding->lock);
    bool is_bound = ensure_bound(binding);
    for (unsigned i = 0; i < job->count && is_bound; i++) {
        tmb_err err = tmb_store_proof_get(binding->daemon->store, tmb_bytes_str(job->child->name),
                                          &job->lanes[i].incarnation,
                                          tmb_bytes_str(job->lanes[i].stream), &job->chains[i]);
        job->seqs[i] = job->chains[i].seq;
        if (err == TMB_OK)
            continue;
        job->seqs[i] = 0;
        LOG(TMB_LOG_WARNING, "store.mark_unreadable", tmb_str("child", job->child->name),
            tmb_str("stream", job->lanes[i].stream), tmb_why(err));
    }
    uv_mutex_unlock(&binding->lock);
}

/* One that has come from the child meanwhile is newer. */
static void take_dictionaries(marks_job *job)
{
    tmb_child *child = job->child;
    tmb_shelf_match(&child->shelf, &child->intake);
    for (unsigned i = 0; i < job->count; i++) {
        if (job->wants_dictionary[i] && tmb_shelf_misses(&child->shelf, job->lanes[i].stream))
            (void)tmb_shelf_put(&child->shelf, job->lanes[i].stream, job->kept[i]);
        else
            tmb_kept_unref(job->kept[i]);
    }
    tmb_shelf_tell(&child->shelf, &child->intake);
}

/* The intake hears the marks. told: what our parent has, NULL: nothing. */
static void tell_marks(void *arg, const tmb_frame_told *told)
{
    marks_job *job = arg;
    tmb_child *child = job->child;
    uint64_t elsewhere = tmb_road_raise(told, job->lanes, job->count, job->seqs);
    child->is_loading_marks = false;
    child->carried_elsewhere += elsewhere;
    if (elsewhere > 0)
        LOG(TMB_LOG_NOTICE, "child.carried_elsewhere", tmb_str("child", child->name),
            tmb_num("records", elsewhere),
            tmb_str("why", "it had another parent, which they have come by"));
    take_dictionaries(job);
    if (!child->hub->is_stopping) {
        tmb_intake_event event = {.type = TMB_INTAKE_MARKS};
        event.u.marks.session = job->session;
        event.u.marks.seqs = job->seqs;
        event.u.marks.chains = job->chains;
        tmb_child_step(child, &event);
        if (child->wants_marks)
            tmb_marks_load(child, child->intake.session);
    }
    free(job);
}

/* What other children, or our parent, have of this child's streams counts, too: it may have had another
 * parent. */
static void on_marks(uv_work_t *work, int status)
{
    marks_job *job = work->data;
    tmb_hub *hub = job->child->hub;
    tmb_bytes name = tmb_bytes_str(job->child->name);
    tmb_frame_ask question;
    (void)status;
    tmb_road_remember(hub, name, job->lanes, job->count, job->seqs);
    tmb_road_question(name, job->lanes, job->count, job->seqs, &question);
    if (hub->is_stopping || !hub->daemon->asks ||
        !tmb_asks_send(hub->daemon->asks, &question, tmb_road_wait_ms(hub->daemon), tell_marks,
                       job))
        tell_marks(job, NULL);
}

/* One look-up a child at a time, whatever it asks: the pool is everybody's. The session that has been
 * replaced meanwhile gets no answer, the newest one does. */

void tmb_marks_load(tmb_child *child, uint64_t session)
{
    child->wants_marks = !child->hub->is_open || child->is_loading_marks;
    if (child->wants_marks)
        return;
    marks_job *job = calloc(1, sizeof *job);
    if (!job)
        return; /* the child says HELLO again when no WELCOME comes */
    job->child = child;
    job->session = session;
    job->count = child->intake.lanes_count;
    tmb_shelf_match(&child->shelf, &child->intake);
    for (unsigned i = 0; i < job->count; i++) {
        job->wants_dictionary[i] = tmb_shelf_misses(&child->shelf, child->intake.lanes[i].stream);
        memcpy(job->lanes[i].stream, child->intake.lanes[i].stream, sizeof job->lanes[i].stream);
        job->lanes[i].incarnation = child->intake.lanes[i].incarnation;
    }
    job->work.data = job;
    child->is_loading_marks = true;
    (void)uv_queue_work(&child->hub->daemon->loop, &job->work, do_marks, on_marks);
}

typedef struct keep_job {
    uv_work_t work;
    tmb_child *child;
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_kept *kept;
    tmb_err err;
} keep_job;

static void do_keep(uv_work_t *work)
{
    keep_job *job = work->data;
    job->err = tmb_dictionary_write(job->child->hub->daemon->config->data_dir, job->child->name,
                                    job->stream, &job->kept->dictionary);
}

static void on_kept(uv_work_t *work, int status)
{
    keep_job *job = work->data;
    (void)status;
    if (job->err != TMB_OK)
        LOG(TMB_LOG_WARNING, "dictionary.not_kept", tmb_str("child", job->child->name),
            tmb_str("stream", job->stream), tmb_why(job->err),
            tmb_str("then", "it is carried again after the next start"));
    job->child->is_keeping = false;
    tmb_kept_unref(job->kept);
    free(job);
}

/* One is written at a time, for the pool and the disk are everybody's: one that comes meanwhile is in memory
 * only, and carried again after the next start. */
void tmb_child_keep(tmb_child *child, const tmb_frame_dictionary *dictionary)
{
    const tmb_intake *intake = &child->intake;
    if (intake->state != TMB_INTAKE_OPEN || dictionary->session != intake->session ||
        dictionary->id != tmb_dictionary_id(dictionary->data))
        return;
    keep_job *job = calloc(1, sizeof *job);
    tmb_kept *kept = tmb_kept_new(dictionary->data);
    if (job)
        memcpy(job->stream, dictionary->stream.ptr, dictionary->stream.len);
    if (!job || !kept || !tmb_shelf_put(&child->shelf, job->stream, tmb_kept_ref(kept))) {
        tmb_kept_unref(kept);
        free(job);
        return;
    }
    tmb_shelf_tell(&child->shelf, &child->intake);
    if (child->is_keeping) {
        tmb_kept_unref(kept);
        free(job);
        return;
    }
    child->is_keeping = true;
    job->child = child;
    job->kept = kept;
    job->work.data = job;
    (void)uv_queue_work(&child->hub->daemon->loop, &job->work, do_keep, on_kept);
}
