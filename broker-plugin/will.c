// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/will.c - wills reach the journal too, though the broker tells no plugin of them.
 *
 * What it does tell: the write check of its access rules, for a publish and for a will alike. After that a
 * publish makes the MESSAGE event at once, with the same pointers; a will makes none. So a write that passed
 * is remembered and the next event of any kind settles what it was:
 *
 *   write check --MESSAGE, same pointers--> a publish (message.c has it)
 *               --anything else-----------> a will, stored now
 *
 * With an acl_file, or another plugin, the write may have been denied after us, and looks like a will. Then
 * only a read check of the same topic and payload, which is its queueing for a subscriber, proves the will.
 */
#include "broker-plugin/plugin.h"

bool tmb_plugin_is_alone(const tmb_plugin *p)
{
    return !p->broker.has_acl_file && !p->broker.has_other_plugins;
}

void tmb_plugin_pend(tmb_plugin *p, const struct mosquitto_evt_acl_check *event)
{
    tmb_plugin_pending *w = &p->pending;
    tmb_bytes topic = tmb_bytes_str(event->topic);
    w->is_set = true;
    w->client = event->client;
    w->topic_at = event->topic;
    w->payload_at = event->payload;
    w->is_candidate = event->topic[0] != '$' && event->payloadlen <= sizeof w->payload &&
                      topic.len < sizeof w->topic;
    if (!w->is_candidate)
        return;
    const char *id = mosquitto_client_id(event->client);
    tmb_bytes publisher = tmb_bytes_str(id ? id : "");
    w->qos = event->qos;
    w->retain = event->retain;
    w->topic_len = topic.len;
    memcpy(w->topic, topic.ptr, topic.len);
    w->payload_len = event->payloadlen;
    if (event->payloadlen > 0)
        memcpy(w->payload, event->payload, event->payloadlen);
    w->publisher_len = publisher.len < sizeof w->publisher ? publisher.len : sizeof w->publisher;
    memcpy(w->publisher, publisher.ptr, w->publisher_len);
}

bool tmb_plugin_pend_match(tmb_plugin *p, const struct mosquitto_evt_message *event)
{
    tmb_plugin_pending *w = &p->pending;
    bool is_same = w->is_set && w->client == event->client && w->topic_at == event->topic &&
                   w->payload_at == event->payload;
    if (is_same)
        w->is_set = false;
    else
        tmb_plugin_pend_settle(p, NULL);
    return is_same;
}

static void store_will(tmb_plugin *p, unsigned stream, const tmb_record *will)
{
    tmb_err err = tmb_plugin_store_begin(p, stream);
    if (err == TMB_OK)
        err = tmb_plugin_store_local(p, stream, will);
    p->counts.state_ops += err == TMB_OK && p->streams[stream].policy->is_state;
    if (err == TMB_OK)
        p->counts.wills++;
    else
        p->counts.unstored_qos0++;
}

void tmb_plugin_pend_settle(tmb_plugin *p, const struct mosquitto_evt_acl_check *read)
{
    tmb_plugin_pending *w = &p->pending;
    bool is_open = w->is_set && w->is_candidate;
    w->is_set = false;
    if (!is_open)
        return;
    tmb_record will = {.qos = w->qos, .retain = w->retain, .is_will = true};
    will.topic = tmb_bytes_of(w->topic, w->topic_len);
    will.payload = tmb_bytes_of(w->payload, w->payload_len);
    will.publisher = tmb_bytes_of(w->publisher, w->publisher_len);
    if (!tmb_plugin_is_alone(p) &&
        !(read && tmb_bytes_eq(will.topic, tmb_bytes_str(read->topic)) &&
          tmb_bytes_eq(will.payload, tmb_bytes_of(read->payload, read->payloadlen)))) {
        p->counts.wills_unconfirmed++;
        return;
    }
    int stream = tmb_plugin_stream_for(p, will.topic);
    if (stream < 0) {
        p->counts.uncaptured++;
        return;
    }
    will.retain = will.retain && !p->streams[stream].policy->is_state;
    store_will(p, (unsigned)stream, &will);
}
