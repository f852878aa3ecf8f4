// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/road.c - how far is a stream of a node farther down? Asked by a child that has it as a child
 * of its own now, and answered with what is here, or higher up.
 *
 *   ASK from a child --> (pool: store) --> with what memory has --> our own parent, if it can be asked
 *                                                                      --> the higher of both: TOLD
 *
 * What is told is true for good: this node has all of the stream up to there in its journal, or knows that
 * somebody above has, but for what the node itself had lost when it was carried.
 */
#include <stdlib.h>

#include "syncd/daemon/asks.h"
#include "syncd/daemon/child.h"
#include "syncd/daemon/origins.h"

typedef struct answer {
    uv_work_t work;
    tmb_child *child;
    uint64_t session, id;
    char node[TMB_NAME_BYTES_MAX + 1];
    unsigned count;
    tmb_road_lane lanes[TMB_STREAMS_MAX];
    uint64_t seqs[TMB_STREAMS_MAX];
} answer;

void tmb_road_question(tmb_bytes node, const tmb_road_lane *lanes, unsigned count,
                       const uint64_t *seqs, tmb_frame_ask *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->node = node;
    ret->marks_count = count;
    for (unsigned i = 0; i < count; i++) {
        ret->marks[i].stream = tmb_bytes_str(lanes[i].stream);
        ret->marks[i].incarnation = lanes[i].incarnation;
        ret->marks[i].seq = seqs[i];
    }
}

uint64_t tmb_road_raise(const tmb_frame_told *told, const tmb_road_lane *lanes, unsigned count,
                        uint64_t *seqs)
{
    uint64_t raised = 0;
    for (unsigned k = 0; told && k < told->marks_count; k++) {
        const tmb_mark *mark = &told->marks[k];
        for (unsigned i = 0; i < count; i++) {
            if (!tmb_bytes_eq(mark->stream, tmb_bytes_str(lanes[i].stream)) ||
                !tmb_incarnation_eq(mark->incarnation, lanes[i].incarnation) ||
                mark->seq <= seqs[i])
                continue;
            raised += mark->seq - seqs[i];
            seqs[i] = mark->seq;
        }
    }
    return raised;
}

static void send_answer(answer *a)
{
    tmb_frame frame = {.type = TMB_FRAME_TOLD};
    tmb_frame_told *told = &frame.u.told;
    told->session = a->session;
    told->id = a->id;
    told->marks_count = a->count;
    for (unsigned i = 0; i < a->count; i++) {
        told->marks[i].stream = tmb_bytes_str(a->lanes[i].stream);
        told->marks[i].incarnation = a->lanes[i].incarnation;
        told->marks[i].seq = a->seqs[i];
    }
    if (a->child->asked > 0)
        a->child->asked--;
    a->child->answered++;
    tmb_child_send(a->child->hub, a->child->name, &frame);
    free(a);
}

static void on_told(void *arg, const tmb_frame_told *told)
{
    answer *a = arg;
    (void)tmb_road_raise(told, a->lanes, a->count, a->seqs);
    send_answer(a);
}

/* Blocking. */
static void do_find(uv_work_t *work)
{
    answer *a = work->data;
    for (unsigned i = 0; i < a->count; i++)
        a->seqs[i] = tmb_binding_get(a->child->hub->bind, tmb_bytes_str(a->node),
                                     &a->lanes[i].incarnation, tmb_bytes_str(a->lanes[i].stream));
}

static void on_found(uv_work_t *work, int status)
{
    answer *a = work->data;
    tmb_hub *hub = a->child->hub;
    tmb_frame_ask question;
    (void)status;
    if (hub->is_stopping) {
        free(a);
        return;
    }
    tmb_road_remember(hub, tmb_bytes_str(a->node), a->lanes, a->count, a->seqs);
    tmb_road_question(tmb_bytes_str(a->node), a->lanes, a->count, a->seqs, &question);
    /* Half the time of whoever asks us. */
    if (!tmb_asks_send(hub->daemon->asks, &question, tmb_road_wait_ms(hub->daemon) / 2, on_told, a))
        send_answer(a);
}

void tmb_road_remember(const tmb_hub *hub, tmb_bytes node, const tmb_road_lane *lanes,
                       unsigned count, uint64_t *seqs)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t seq = tmb_origins_find(hub->origins, node, &lanes[i].incarnation,
                                        tmb_bytes_str(lanes[i].stream));
        if (seqs[i] < seq)
            seqs[i] = seq;
    }
}

uint64_t tmb_road_wait_ms(const tmb_daemon *d)
{
    uint64_t wait_ms = (uint64_t)d->config->ack_timeout_ms / 5;
    return wait_ms < TMB_ROAD_WAIT_MS_MAX ? wait_ms : TMB_ROAD_WAIT_MS_MAX;
}

void tmb_road_answer(tmb_child *child, const tmb_frame_ask *ask)
{
    answer *a = child->asked < TMB_ASKS_MAX && child->hub->is_open ? calloc(1, sizeof *a) : NULL;
    if (!a) { /* it goes on without */
        child->unanswered++;
        return;
    }
    child->asked++;
    a->child = child;
    a->session = ask->session;
    a->id = ask->id;
    memcpy(a->node, ask->node.ptr, ask->node.len); /* a valid name: not too long */
    a->count = ask->marks_count;
    for (unsigned i = 0; i < a->count; i++) {
        memcpy(a->lanes[i].stream, ask->marks[i].stream.ptr, ask->marks[i].stream.len);
        a->lanes[i].incarnation = ask->marks[i].incarnation;
    }
    a->work.data = a;
    (void)uv_queue_work(&child->hub->daemon->loop, &a->work, do_find, on_found);
}

void tmb_road_stats(const tmb_child *child, json_t *object)
{
    (void)json_object_set_new(object, "carried_elsewhere",
                              json_integer((json_int_t)child->carried_elsewhere));
    (void)json_object_set_new(object, "questions",
                              json_pack("{s:I, s:I}", "answered", (json_int_t)child->answered,
                                        "unanswered", (json_int_t)child->unanswered));
}
