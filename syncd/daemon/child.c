// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/child.c - does what a child's intake says, and tells it what happened.
 */
#include "syncd/daemon/child.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/topics.h"
#include "syncd/daemon/credits.h"
#include "syncd/daemon/gate.h"
#include "syncd/daemon/join.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/origins.h"
#include "syncd/daemon/state_child.h"

tmb_err tmb_child_new(tmb_hub *hub, tmb_bytes name, tmb_child **ret_child)
{
    tmb_child *child = calloc(1, sizeof *child);
    if (!child)
        return TMB_ENOMEM;
    memcpy(child->name, name.ptr, name.len);
    child->hub = hub;
    tmb_intake_init(&child->intake, name, hub->daemon->config->node,
                    !hub->daemon->config->parent.host);
    tmb_shelf_init(&child->shelf, &hub->shelf_bytes);
    child->intake.pieces = &child->pieces;
    (void)uv_timer_init(&hub->daemon->loop, &child->probe);
    child->probe.data = child;
    *ret_child = child;
    return TMB_OK;
}

static void free_batch(tmb_batch *batch)
{
    tmb_credits_free(batch);
    tmb_commit_forget(&batch->commit);
    tmb_kept_unref(batch->dictionary);
    free(batch->arena);
    free(batch->joined);
    free(batch);
}

void tmb_child_free(tmb_child *child)
{
    while (child && child->batches) {
        tmb_batch *batch = child->batches;
        child->batches = batch->next;
        free_batch(batch);
    }
    if (child) {
        tmb_shelf_fini(&child->shelf);
        tmb_join_free(child);
    }
    if (child)
        free(child->hello);
    free(child);
}

static void expect_no_puback(tmb_batch *batch)
{
    if (batch->is_published)
        HASH_DEL(batch->child->hub->published, batch);
    batch->is_published = false;
}

/* find_place gives where the batch hangs in its child's list; *place is NULL when there is none. */
static tmb_batch **find_place(tmb_child *child, uint64_t ticket)
{
    tmb_batch **place = &child->batches;
    while (*place && (*place)->ticket != ticket)
        place = &(*place)->next;
    return place;
}

/* drop_at forgets a batch; one that is in the pool is freed when it comes back. */
static void drop_at(tmb_batch **place)
{
    tmb_batch *batch = *place;
    if (batch->is_busy) {
        batch->is_dead = true;
        return;
    }
    *place = batch->next;
    expect_no_puback(batch);
    free_batch(batch);
}

static void drop(tmb_batch *batch)
{
    drop_at(find_place(batch->child, batch->ticket));
}

void tmb_child_send(tmb_hub *hub, const char *name, const tmb_frame *frame)
{
    char topic[sizeof TMB_TOPIC_DOWN + TMB_NAME_BYTES_MAX];
    (void)snprintf(topic, sizeof topic, "%s%s", TMB_TOPIC_DOWN, name);
    size_t cap = tmb_frame_size_max(frame), len = 0;
    uint8_t *bytes = malloc(cap);
    if (bytes && hub->link && tmb_frame_encode(frame, bytes, cap, &len) == TMB_OK) {
        tmb_err err = tmb_link_send(hub->link, topic, tmb_bytes_of(bytes, len));
        (void)err; /* QoS 0: what is lost is asked for again by the child */
    }
    free(bytes);
}

void tmb_child_bye(tmb_hub *hub, const char *name, uint64_t session, tmb_bye_reason reason)
{
    tmb_frame frame = {.type = TMB_FRAME_BYE};
    frame.u.bye.session = session;
    frame.u.bye.reason = reason;
    tmb_child_send(hub, name, &frame);
}

static void finish(tmb_batch *batch, tmb_intake_event_type type, bool is_malformed)
{
    tmb_child *child = batch->child;
    tmb_intake_event event = {.type = type, .ticket = batch->ticket, .is_malformed = is_malformed};
    tmb_chain chain = batch->commit.chain;
    if (type == TMB_INTAKE_STORED)
        event.u.chain = &chain;
    batch->is_committed = type == TMB_INTAKE_STORED;
    drop(batch);
    tmb_child_step(child, &event);
}

/* Blocking. */
static void do_mark(uv_work_t *work)
{
    tmb_batch *batch = work->data;
    batch->mark_err = tmb_binding_put_mark(batch->child->hub->bind, batch);
}

/* The batch is in the journal; a mark that cannot be written costs repeats after a restart, nothing else. */
static void on_marked(uv_work_t *work, int status)
{
    tmb_batch *batch = work->data;
    tmb_hub *hub = batch->child->hub;
    (void)status;
    batch->is_busy = false;
    if (batch->mark_err != hub->last_mark_err) {
        if (batch->mark_err != TMB_OK)
            LOG(TMB_LOG_ERROR, "store.mark_failed", tmb_why(batch->mark_err),
                tmb_str("then", "committed all the same; repeats after a restart are dropped"));
        else
            LOG(TMB_LOG_NOTICE, "store.mark_works_again", tmb_str("child", batch->child->name));
        hub->last_mark_err = batch->mark_err;
    }
    tmb_origins_note(hub->origins, batch->commit.origins, batch->commit.origins_count);
    if (batch->is_dead || hub->is_stopping)
        drop(batch);
    else
        finish(batch, TMB_INTAKE_STORED, false);
}

static void queue_work(tmb_batch *batch, uv_work_cb work, uv_after_work_cb after)
{
    batch->is_busy = true;
    batch->work.data = batch;
    (void)uv_queue_work(&batch->child->hub->daemon->loop, &batch->work, work, after);
}

void tmb_child_published(tmb_batch *batch, unsigned reason_code)
{
    tmb_child *child = batch->child;
    HASH_DEL(child->hub->published, batch);
    batch->is_published = false;
    if (reason_code < 0x80) {
        if (child->is_refused)
            LOG(TMB_LOG_NOTICE, "commit.works_again", tmb_str("child", child->name));
        child->is_refused = false;
        child->hub->commits++;
        child->records += batch->commit.records;
        tmb_commit_fini(&batch->commit);
        queue_work(batch, do_mark, on_marked);
        return;
    }
    child->refused_commits++;
    child->hub->refused_commits++;
    if (!child->is_refused)
        LOG(TMB_LOG_ERROR, "commit.refused", tmb_str("child", child->name),
            tmb_text("stream", batch->frame.u.batch.stream), tmb_num("reason", reason_code),
            tmb_num("first_seq", batch->frame.u.batch.first_seq),
            tmb_str("then", "tried again every second; the broker's log says why"));
    child->is_refused = true;
    finish(batch, TMB_INTAKE_STORE_FAILED, false);
}

static void do_build(uv_work_t *work)
{
    tmb_batch *batch = work->data;
    tmb_commit_build(&batch->commit);
}

static void note_changes(tmb_child *child, const tmb_batch *batch)
{
    const tmb_commit *c = &batch->commit;
    child->changed_topics += c->changed_topics;
    child->dropped_props += c->dropped_props;
    child->left_out += c->left_out;
    if (c->changed_topics + c->dropped_props > 0)
        LOG(TMB_LOG_WARNING, "commit.changed", tmb_str("child", child->name),
            tmb_text("stream", batch->frame.u.batch.stream), tmb_num("topics", c->changed_topics),
            tmb_num("properties", c->dropped_props),
            tmb_num("first_seq", batch->frame.u.batch.first_seq));
}

static void publish(tmb_batch *batch)
{
    tmb_hub *hub = batch->child->hub;
    tmb_bytes payload = tmb_bytes_of(batch->commit.payload, batch->commit.len);
    tmb_err err = hub->link
                      ? tmb_link_publish(hub->link, TMB_TOPIC_COMMIT, payload, &batch->publish_id)
                      : TMB_ECLOSED;
    if (err == TMB_OK) {
        batch->is_published = true;
        batch->generation = tmb_binding_generation(hub->bind);
        HASH_ADD_INT(hub->published, publish_id, batch);
        return;
    }
    if (err != TMB_ECLOSED) /* then `down` follows, and resets this child */
        LOG(TMB_LOG_ERROR, "commit.not_sent", tmb_str("child", batch->child->name),
            tmb_num("bytes", payload.len), tmb_why(err));
    finish(batch, TMB_INTAKE_STORE_FAILED, false);
}

static void on_built(uv_work_t *work, int status)
{
    tmb_batch *batch = work->data;
    tmb_child *child = batch->child;
    (void)status;
    batch->is_busy = false;
    if (batch->is_dead || child->hub->is_stopping) {
        drop(batch);
        return;
    }
    if (batch->commit.err != TMB_OK) {
        bool is_malformed = batch->commit.err != TMB_ENOMEM && batch->commit.err != TMB_ENOENT;
        LOG(TMB_LOG_ERROR,
            is_malformed                      ? "batch.malformed"
            : batch->commit.err == TMB_ENOENT ? "batch.no_dictionary"
                                              : "batch.no_memory",
            tmb_str("child", child->name), tmb_text("stream", batch->frame.u.batch.stream),
            tmb_num("first_seq", batch->frame.u.batch.first_seq), tmb_why(batch->commit.err));
        finish(batch, TMB_INTAKE_STORE_FAILED, is_malformed);
        return;
    }
    note_changes(child, batch);
    if (batch->commit.payload)
        publish(batch);
    else
        finish(batch, TMB_INTAKE_STORED, false);
}

static void persist(tmb_child *child, const tmb_intake_action *action)
{
    tmb_batch *batch = *find_place(child, action->ticket);
    TMB_ASSERT(batch && !batch->is_busy);
    batch->commit.topic_template = child->hub->daemon->config->children_topic;
    batch->commit.child = child->name;
    batch->commit.batch = &batch->frame.u.batch;
    batch->commit.dictionary = batch->dictionary ? &batch->dictionary->dictionary : NULL;
    batch->commit.mark = child->intake.lanes[action->lane].mark;
    batch->commit.chain = child->intake.lanes[action->lane].chain;
    child->batch_count++;
    tmb_credits_begin(batch);
}

void tmb_child_commit(tmb_batch *batch)
{
    queue_work(batch, do_build, on_built);
}

static void on_probe_over(uv_timer_t *timer)
{
    tmb_intake_event event = {.type = TMB_INTAKE_TIMEOUT};
    tmb_child_step(timer->data, &event);
}

static void note_fenced(tmb_child *child, tmb_bye_reason why, uint64_t box)
{
    char name[2 * sizeof box + 1]; /* of the box, as in the statistics */
    uv_timeval64_t now = {0};
    if (child->fenced.why == why && child->fenced.box == box)
        return; /* the one that was told, and says so */
    (void)uv_gettimeofday(&now);
    child->fenced.why = why;
    child->fenced.box = box;
    child->fenced.holder = why == TMB_BYE_TWIN ? child->intake.twins.box : 0;
    child->fenced.since_ms = now.tv_sec * 1000 + now.tv_usec / 1000;
    child->fenced.count++;
    (void)snprintf(name, sizeof name, "%016" PRIx64, box);
    if (why == TMB_BYE_TWIN)
        LOG(TMB_LOG_ERROR, "child.twin", tmb_str("child", child->name), tmb_str("box", name),
            tmb_str("then",
                    "two boxes are alive under this name: the one that had the session goes on, "
                    "this one is fenced; stop it, or give it a name and a certificate of its "
                    "own"));
    else
        LOG(TMB_LOG_ERROR, why == TMB_BYE_FORKED ? "child.forked" : "child.ahead",
            tmb_str("child", child->name), tmb_str("box", name),
            tmb_str("then",
                    "its journal is not the one that was carried up before (a restored backup, "
                    "a clone); it has stopped: run tombolo-journal renew there"));
}

/* Whoever speaks now under this name is not the one that had stopped, or will say again that it stops. */
static void forget_fenced(tmb_child *child)
{
    if (child->fenced.why != TMB_BYE_TWIN || child->fenced.holder != child->intake.twins.box)
        child->fenced.why = 0;
}

static void report(tmb_child *child, const tmb_intake_action *action)
{
    const char *stream =
        action->lane < child->intake.lanes_count ? child->intake.lanes[action->lane].stream : "";
    switch (action->report) {
    case TMB_INTAKE_REPORT_OPEN:
        child->open_session = action->number;
        forget_fenced(child);
        LOG(TMB_LOG_NOTICE, "child.open", tmb_str("child", child->name),
            tmb_num("streams", child->intake.lanes_count));
        return;
    case TMB_INTAKE_REPORT_GAP:
        if (action->gap_reason == TMB_GAP_LATER || action->gap_reason == TMB_GAP_AHEAD)
            return; /* of the stream's other lane: nothing is missing */
        if ((unsigned)action->gap_reason <= TMB_GAP_MISSING)
            child->gaps[action->gap_reason] += action->number;
        LOG(TMB_LOG_WARNING, "child.gap", tmb_str("child", child->name), tmb_str("stream", stream),
            tmb_num("records", action->number),
            tmb_str("reason", tmb_gap_reason_str(action->gap_reason)));
        return;
    case TMB_INTAKE_REPORT_KNOWN:
        child->known += action->number;
        return;
    case TMB_INTAKE_REPORT_RESEND:
        child->resends++;
        tmb_drain_owe(&child->drain);
        LOG(TMB_LOG_INFO, "child.resend", tmb_str("child", child->name), tmb_str("stream", stream),
            tmb_num("mark", action->number));
        return;
    case TMB_INTAKE_REPORT_REFUSED:
        child->refused++;
        LOG(TMB_LOG_ERROR, "child.refused", tmb_str("child", child->name),
            tmb_str("reason", tmb_bye_reason_str((tmb_bye_reason)action->number)));
        return;
    case TMB_INTAKE_REPORT_PROBE:
        (void)uv_timer_start(&child->probe, on_probe_over, action->number, 0);
        return;
    case TMB_INTAKE_REPORT_TWIN:
        note_fenced(child, TMB_BYE_TWIN, action->number);
        return;
    case TMB_INTAKE_REPORT_FENCED:
        if (action->number != TMB_BYE_TWIN)
            note_fenced(child, (tmb_bye_reason)action->number, child->intake.twins.box);
        return;
    case TMB_INTAKE_REPORT_MALFORMED:
        child->malformed++;
        LOG(TMB_LOG_ERROR, "child.malformed", tmb_str("child", child->name),
            tmb_num("count", child->malformed));
        return;
    }
}

static void act(tmb_child *child, const tmb_intake_action *action)
{
    tmb_batch **place;
    switch (action->type) {
    case TMB_INTAKE_LOAD_MARKS:
        tmb_marks_load(child, action->session);
        return;
    case TMB_INTAKE_SEND:
        tmb_child_send(child->hub, child->name, action->frame);
        return;
    case TMB_INTAKE_PERSIST:
        persist(child, action);
        return;
    case TMB_INTAKE_DROP:
        place = find_place(child, action->ticket);
        if (*place)
            drop_at(place);
        return;
    case TMB_INTAKE_ASKED:
        tmb_road_answer(child, &action->frame->u.ask);
        return;
    case TMB_INTAKE_REPORT:
        report(child, action);
        return;
    }
}

void tmb_child_step(tmb_child *child, tmb_intake_event *event)
{
    tmb_intake_actions actions = {.n = 0};
    if (event->type == TMB_INTAKE_MARKS)
        tmb_credits_offer(child, event);
    event->now = tmb_daemon_now();
    tmb_err err = tmb_intake_step(&child->intake, event, &actions);
    if (err != TMB_OK)
        LOG(TMB_LOG_ERROR, "intake.refused_event", tmb_str("child", child->name),
            tmb_num("type", (uint64_t)event->type), tmb_why(err));
    for (unsigned i = 0; i < actions.n; i++)
        act(child, &actions.v[i]);
    tmb_credits_look(child);
    tmb_state_child_look(child);
    if (child->is_at_work && child->intake.state != TMB_INTAKE_GREETING)
        tmb_gate_done(child->hub->gate, child);
}

void tmb_child_receive(tmb_child *child, tmb_bytes payload)
{
    tmb_intake_event event = {.type = TMB_INTAKE_FRAME_BAD};
    size_t cap = tmb_frame_arena_size(payload.len);
    tmb_batch *batch = calloc(1, sizeof *batch);
    void *arena = payload.len <= TMB_FRAME_BYTES_MAX ? malloc(cap) : NULL;
    if (!batch || (!arena && payload.len <= TMB_FRAME_BYTES_MAX)) {
        LOG(TMB_LOG_ERROR, "frame.no_memory", tmb_str("child", child->name),
            tmb_num("bytes", payload.len));
        free(arena);
        free(batch);
        return; /* as if lost on the way: it comes again */
    }
    if (!arena || tmb_frame_decode(payload, arena, cap, &batch->frame) != TMB_OK) {
        free(arena);
        free(batch);
        tmb_child_step(child, &event);
        return;
    }
    if (batch->frame.type == TMB_FRAME_HELLO &&
        !tmb_gate_hello(child->hub->gate, child, &batch->frame.u.hello, payload)) {
        free(arena);
        free(batch);
        return;
    }
    if (tmb_state_child_frame(child, &batch->frame, arena)) {
        free(batch);
        return;
    }
    event.type = TMB_INTAKE_FRAME;
    event.u.frame = &batch->frame;
    if (batch->frame.type == TMB_FRAME_DICTIONARY)
        tmb_child_keep(child, &batch->frame.u.dictionary);
    if (batch->frame.type != TMB_FRAME_BATCH) {
        tmb_child_step(child, &event);
        free(arena);
        free(batch);
        return;
    }
    if (!tmb_join(child, batch)) {
        free(arena);
        free(batch);
        return;
    }
    batch->arena = arena;
    if (batch->frame.u.batch.dictionary != 0)
        batch->dictionary =
            tmb_kept_ref(tmb_shelf_find(&child->shelf, batch->frame.u.batch.stream));
    batch->ticket = event.ticket = ++child->hub->next_ticket;
    batch->child = child;
    batch->next = child->batches;
    child->batches = batch;
    event.refuse_ms = tmb_credits_take(batch);
    tmb_child_step(child, &event);
}

void tmb_child_reset(tmb_child *child)
{
    tmb_intake_event event = {.type = TMB_INTAKE_RESET};
    tmb_child_step(child, &event);
    tmb_batch *list = child->batches;
    child->batches = NULL;
    while (list) {
        tmb_batch *batch = list;
        list = batch->next;
        if (batch->is_busy) {
            batch->is_dead = true;
            batch->next = child->batches;
            child->batches = batch;
        } else {
            expect_no_puback(batch);
            free_batch(batch);
        }
    }
}
