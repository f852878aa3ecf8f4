// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/hub.c - the connection to our own broker, and whose frame is whose.
 *
 *   connecting --up: probe--> probing --the plugin answered: open--> open --down: reset all--> connecting
 *                                '--nobody answered: no plugin--> connecting
 *
 * The child's name is the last level of the topic: the broker's plugin lets a child publish there only if
 * its certificate has that name. Without the plugin nothing of that holds, and a commit would be acknowledged
 * by a broker that stores nothing. So every connection begins with an empty commit, which the plugin refuses
 * and a bare broker accepts.
 */
#include "syncd/daemon/hub.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/topics.h"
#include "syncd/daemon/asks.h"
#include "syncd/daemon/child.h"
#include "syncd/daemon/credits.h"
#include "syncd/daemon/gate.h"
#include "syncd/daemon/links.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/origins.h"
#include "syncd/session/backoff.h"

#define BACKOFF_BASE_MS 50
#define BACKOFF_CAP_MS  250 /* it is on this machine, and children wait behind it */
#define CLIENT_ID       "tombolo-syncd"

static void connect_broker(tmb_hub *hub);

static void on_retry(uv_timer_t *timer)
{
    connect_broker(timer->data);
}

static void come_again(tmb_hub *hub)
{
    if (hub->is_stopping)
        return;
    tmb_dur wait = tmb_backoff_wait(&hub->rng, hub->attempt++, tmb_dur_ms(BACKOFF_BASE_MS),
                                    tmb_dur_ms(BACKOFF_CAP_MS));
    (void)uv_timer_start(&hub->timer, on_retry, (uint64_t)(wait.ns / 1000000) + 1, 0);
}

/* Whatever was under way may be in the journal or not: every child begins again at its mark. */
static void lose_broker(tmb_hub *hub, const char *why)
{
    if (strncmp(why, hub->last_why, sizeof hub->last_why - 1) != 0)
        LOG(TMB_LOG_WARNING, "broker.down", tmb_str("why", why));
    (void)snprintf(hub->last_why, sizeof hub->last_why, "%s", why);
    hub->is_up = hub->is_open = false;
    hub->probe_id = 0;
    tmb_link_close(hub->link);
    hub->link = NULL;
    tmb_gate_close(hub->gate);
    for (tmb_child *child = hub->children; child; child = child->hh.next)
        tmb_child_reset(child);
    come_again(hub);
}

static void on_down(void *arg, const char *why)
{
    lose_broker(arg, why);
}

static void on_up(void *arg)
{
    tmb_hub *hub = arg;
    hub->is_up = true;
    tmb_binding_reset(hub->bind);
    tmb_origins_reset(hub->origins);
    tmb_err err =
        tmb_link_publish(hub->link, TMB_TOPIC_COMMIT, tmb_bytes_of(NULL, 0), &hub->probe_id);
    (void)err; /* ECLOSED: `down` follows */
}

static void open_hub(tmb_hub *hub)
{
    LOG(TMB_LOG_NOTICE, "broker.up", tmb_str("host", hub->daemon->config->broker.host),
        tmb_num("port", hub->daemon->config->broker.port));
    hub->is_open = true;
    hub->attempt = 0;
    hub->last_why[0] = 0;
    for (tmb_child *child = hub->children; child; child = child->hh.next) {
        if (child->wants_marks) {
            tmb_marks_load(child, child->intake.session);
        } else if (child->open_session != 0 && child->intake.state == TMB_INTAKE_IDLE) {
            /* It may still wait for an answer of the session that was cut off. */
            tmb_child_bye(hub, child->name, child->open_session, TMB_BYE_UNKNOWN);
        }
    }
    tmb_gate_open(hub->gate);
}

static void on_published(void *arg, int id, unsigned reason_code)
{
    tmb_hub *hub = arg;
    if (id == hub->probe_id && !hub->is_open) {
        hub->probe_id = 0;
        if (reason_code >= 0x80)
            open_hub(hub);
        else
            lose_broker(
                hub, "our own broker runs without the tombolo plugin (or this node's certificate "
                     "is not of its name): nothing can be taken from children");
        return;
    }
    tmb_batch *batch = NULL;
    HASH_FIND_INT(hub->published, &id, batch);
    if (batch)
        tmb_child_published(batch, reason_code);
}

static void refuse_child(tmb_hub *hub, const char *name, tmb_bytes payload)
{
    tmb_frame frame;
    size_t cap = tmb_frame_arena_size(payload.len);
    void *arena = payload.len <= TMB_FRAME_BYTES_MAX ? malloc(cap) : NULL;
    if (hub->children_refused++ == 0)
        LOG(TMB_LOG_ERROR, "child.too_many", tmb_str("child", name),
            tmb_num("limit", TMB_CHILDREN_MAX));
    if (arena && tmb_frame_decode(payload, arena, cap, &frame) == TMB_OK &&
        frame.type == TMB_FRAME_HELLO)
        tmb_child_bye(hub, name, frame.u.hello.session, TMB_BYE_LIMIT);
    free(arena);
}

static void on_message(void *arg, const char *topic, tmb_bytes payload)
{
    tmb_hub *hub = arg;
    size_t prefix = sizeof TMB_TOPIC_UP - 1;
    tmb_bytes name = tmb_bytes_str(strncmp(topic, TMB_TOPIC_UP, prefix) == 0 ? topic + prefix : "");
    if (!tmb_name_is_valid(name, TMB_NAME_BYTES_MAX)) {
        hub->frames_ignored++;
        return;
    }
    if (tmb_bytes_eq(name, tmb_bytes_str(hub->daemon->config->node))) {
        tmb_gate_probe_back(hub->gate);
        return;
    }
    tmb_child *child = NULL;
    HASH_FIND(hh, hub->children, name.ptr, name.len, child);
    if (!child && hub->children_count >= TMB_CHILDREN_MAX) {
        refuse_child(hub, topic + prefix, payload);
        return;
    }
    if (!child && tmb_child_new(hub, name, &child) == TMB_OK) {
        HASH_ADD_KEYPTR(hh, hub->children, child->name, name.len, child);
        hub->children_count++;
    }
    if (child)
        tmb_child_receive(child, payload);
}

static void connect_broker(tmb_hub *hub)
{
    static const char *const filters[] = {TMB_TOPIC_UP "+"};
    tmb_link_options options = tmb_links_home(hub->daemon, CLIENT_ID);
    options.subscribe = filters;
    options.subscribe_count = 1;
    options.arg = hub;
    options.up = on_up;
    options.down = on_down;
    options.message = on_message;
    options.published = on_published;
    char text[512] = "";
    tmb_err err = tmb_link_open(&options, &hub->link, text, sizeof text);
    if (err != TMB_OK)
        lose_broker(hub, text[0] ? text : tmb_err_str(err));
}

tmb_err tmb_hub_start(tmb_daemon *d, tmb_hub **ret_hub)
{
    tmb_hub *hub = calloc(1, sizeof *hub);
    if (!hub)
        return TMB_ENOMEM;
    if (tmb_binding_new(d, &hub->bind) != TMB_OK ||
        tmb_origins_new(d, hub->bind, &hub->origins) != TMB_OK) {
        tmb_binding_free(hub->bind);
        free(hub);
        return TMB_ENOMEM;
    }
    hub->daemon = d;
    hub->rng.state = tmb_daemon_seed(d, 2);
    if (tmb_gate_new(hub, &hub->gate) != TMB_OK) {
        tmb_binding_free(hub->bind);
        free(hub);
        return TMB_ENOMEM;
    }
    (void)uv_timer_init(&d->loop, &hub->timer);
    hub->timer.data = hub;
    tmb_credits_start(hub);
    *ret_hub = hub;
    connect_broker(hub);
    return TMB_OK;
}

void tmb_hub_stop(tmb_hub *hub)
{
    if (!hub || hub->is_stopping)
        return;
    for (tmb_child *child = hub->children; child; child = child->hh.next) {
        if (child->intake.state == TMB_INTAKE_OPEN)
            tmb_child_bye(hub, child->name, child->intake.session, TMB_BYE_CLOSING);
        uv_close((uv_handle_t *)&child->probe, NULL);
    }
    hub->is_stopping = true;
    tmb_link_close(hub->link);
    hub->link = NULL;
    tmb_gate_stop(hub->gate);
    tmb_origins_stop(hub->origins);
    uv_close((uv_handle_t *)&hub->timer, NULL);
    tmb_credits_stop(hub);
}

void tmb_hub_free(tmb_hub *hub)
{
    if (!hub)
        return;
    HASH_CLEAR(hh, hub->published);
    tmb_child *child, *next;
    HASH_ITER(hh, hub->children, child, next)
    {
        HASH_DEL(hub->children, child);
        tmb_child_free(child);
    }
    tmb_origins_free(hub->origins);
    tmb_binding_free(hub->bind);
    tmb_gate_free(hub->gate);
    free(hub);
}

static json_t *fenced_stats(const tmb_fenced *fenced)
{
    char box[2 * sizeof fenced->box + 1];
    if (fenced->why == 0)
        return json_null();
    (void)snprintf(box, sizeof box, "%016" PRIx64, fenced->box);
    return json_pack("{s:s, s:I, s:s}", "why", tmb_bye_reason_str(fenced->why), "since_ms",
                     (json_int_t)fenced->since_ms, "box", box);
}

static json_t *child_stats(const tmb_child *child)
{
    json_t *marks = json_object(), *gaps = json_object();
    for (unsigned i = 0; i < child->intake.lanes_count; i++)
        (void)json_object_set_new(marks, child->intake.lanes[i].stream,
                                  json_integer((json_int_t)child->intake.lanes[i].mark));
    for (unsigned i = TMB_GAP_TORN; i <= TMB_GAP_MISSING; i++)
        (void)json_object_set_new(gaps, tmb_gap_reason_str((tmb_gap_reason)i),
                                  json_integer((json_int_t)child->gaps[i]));
    return json_pack(
        "{s:b, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "open",
        child->intake.state == TMB_INTAKE_OPEN, "marks", marks, "gaps", gaps, "credit",
        tmb_credits_child_stats(child), "batches", (json_int_t)child->batch_count, "records",
        (json_int_t)child->records, "known", (json_int_t)child->known, "resends",
        (json_int_t)child->resends, "malformed", (json_int_t)child->malformed, "refused",
        (json_int_t)child->refused, "refused_commits", (json_int_t)child->refused_commits,
        "changed_topics", (json_int_t)child->changed_topics, "dropped_properties",
        (json_int_t)child->dropped_props, "left_out", (json_int_t)child->left_out, "fences",
        (json_int_t)child->fenced.count, "fenced", fenced_stats(&child->fenced));
}

void tmb_hub_stats(const tmb_hub *hub, json_t *object)
{
    json_t *children = json_object();
    (void)json_object_set_new(object, "drain", tmb_credits_stats(hub));
    for (const tmb_child *child = hub->children; child; child = child->hh.next) {
        json_t *one = child_stats(child);
        tmb_road_stats(child, one);
        (void)json_object_set_new(children, child->name, one);
    }
    (void)json_object_set_new(object, "children", children);
    tmb_gate_stats(hub->gate, object);
    tmb_origins_stats(hub->origins, object);
    tmb_asks_stats(hub->daemon->asks, object);
    (void)json_object_set_new(
        object, "broker",
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:s}", "up", hub->is_open, "commits",
                  (json_int_t)hub->commits, "refused_commits", (json_int_t)hub->refused_commits,
                  "children_refused", (json_int_t)hub->children_refused, "frames_ignored",
                  (json_int_t)hub->frames_ignored, "down_why", hub->last_why));
}

void tmb_hub_publish_stats(tmb_hub *hub, const char *text)
{
    if (!hub || !hub->is_open)
        return;
    tmb_err err = tmb_link_retain(hub->link, TMB_TOPIC_STATS_SYNCD, tmb_bytes_str(text));
    (void)err; /* the next one comes soon */
}
