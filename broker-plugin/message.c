// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/message.c - a message that a client published, before its ack: store it, or refuse it.
 *
 * Called after the broker's access rules and before it queues the message for anybody. What we return
 * decides the ack:
 *
 *   SUCCESS      the broker goes on and acks
 *   ACL_DENIED   MQTT 5: PUBACK or PUBREC with 0x87. MQTT 3.1.1 gets a plain ack: used there only for what
 *                nobody may write, as the broker itself does
 *   UNKNOWN      the connection is closed, nothing is acked
 *
 * A numbered message that cannot be stored closes the connection on MQTT 5 too: its publisher goes on with
 * higher numbers after a refusal, and the refused one, sent later, would be taken for a repeat.
 */
#include "broker-plugin/plugin.h"
#include "proto/props.h"
#include "proto/topics.h"

#define WHY_UNSTORED                                                                               \
    "what it repeats may not have been stored, because the disk of this node was full; publish "   \
    "it under a new number"

#define WHY_LOST                                                                                   \
    "some of this stream was dropped or lost here, and what it repeats may be among it; publish "  \
    "it under a new number"

static int refusal(const struct mosquitto_evt_message *event, bool is_numbered)
{
    bool has_codes = mosquitto_client_protocol_version(event->client) == 5;
    return has_codes && !is_numbered ? MOSQ_ERR_ACL_DENIED : MOSQ_ERR_UNKNOWN;
}

static int refuse(tmb_plugin *p, const struct mosquitto_evt_message *event, bool is_numbered)
{
    if (event->qos == 0) {
        p->counts.unstored_qos0++;
        return MOSQ_ERR_SUCCESS;
    }
    p->counts.store_failures++;
    return refusal(event, is_numbered);
}

static void take_number(tmb_plugin *p, tmb_record *record)
{
    tmb_bytes value;
    if (tmb_props_find_user(record->props, TMB_PROP_SEQ_NAME, &value) != TMB_OK)
        return;
    record->is_numbered = tmb_props_number(value, &record->run, &record->number) == TMB_OK &&
                          record->publisher.len > 0;
    if (!record->is_numbered)
        p->counts.bad_numbers++;
}

static tmb_err fill_record(tmb_plugin *p, struct mosquitto_evt_message *event, tmb_record *record)
{
    tmb_err err = tmb_plugin_take_props(p, event, &record->props);
    if (err != TMB_OK)
        return err;
    const char *client = mosquitto_client_id(event->client);
    record->qos = event->qos;
    record->retain = event->retain;
    record->topic = tmb_bytes_str(event->topic);
    record->payload = tmb_bytes_of(event->payload, event->payloadlen);
    record->publisher = tmb_bytes_str(client ? client : "");
    if (record->publisher.len > TMB_PUBLISHER_BYTES_MAX)
        record->publisher.len = TMB_PUBLISHER_BYTES_MAX;
    take_number(p, record);
    return TMB_OK;
}

/* is_lasting says whether the broker's last snapshot has what the client has in flight. With MQTT 5 the
 * session may end with the connection all the same; its expiry cannot be seen. */
static bool is_lasting(const struct mosquitto *client)
{
    return mosquitto_client_protocol_version(client) != 5 &&
           !mosquitto_client_clean_session(client);
}

/* last_number gives the highest number seen of a numbered message's publisher; makes room for its own. */
static tmb_err last_number(tmb_plugin *p, unsigned stream, const tmb_record *record,
                           uint64_t *ret_max)
{
    tmb_seen_key key = tmb_seen_key_publisher(record->publisher, record->run,
                                              tmb_bytes_str(p->streams[stream].policy->name));
    return tmb_seen_max(p->publishers, tmb_bytes_of(key.bytes, key.len), ret_max);
}

/* store appends the message, notes its number, and sees to its ack: it comes after a sync, if its stream
 * promises one. */
static tmb_err store(tmb_plugin *p, unsigned stream, const tmb_record *record, uint64_t last,
                     const struct mosquitto *client)
{
    tmb_err err = tmb_plugin_store_local(p, stream, record);
    if (err == TMB_OK && record->is_numbered)
        err = tmb_group_note_number(p, stream, record, last);
    if (err == TMB_OK)
        err = tmb_plugin_note_seen(p, stream, record);
    return err == TMB_OK && record->qos > 0 ? tmb_group_take(p, stream, client) : err;
}

/* pass_on lets a message through that is not ours to keep, but not with a mark of ours. */
static int pass_on(tmb_plugin *p, struct mosquitto_evt_message *event)
{
    tmb_bytes props;
    if (!event->properties)
        return MOSQ_ERR_SUCCESS;
    if (tmb_plugin_take_props(p, event, &props) == TMB_OK) {
        tmb_plugin_refuse_receipts(p, event, props, "no stream of this node takes the topic");
        return MOSQ_ERR_SUCCESS;
    }
    return event->qos == 0 ? MOSQ_ERR_ACL_DENIED : refusal(event, false);
}

int tmb_plugin_on_message(tmb_plugin *p, struct mosquitto_evt_message *event)
{
    bool is_checked = tmb_plugin_pend_match(p, event);
    p->props_len = 0;
    bool is_own = strncmp(event->topic, TMB_TOPIC_ROOT, strlen(TMB_TOPIC_ROOT)) == 0;
    bool is_state = tmb_plugin_is_state(p, tmb_bytes_str(event->topic));
    if (!is_checked && (is_own || is_state || tmb_policy_is_ledger_topic(event->topic))) {
        p->counts.denied++;         /* a bridge: the broker asks no rules for it */
        return MOSQ_ERR_ACL_DENIED; /* acked: else it would come back with it for ever */
    }
    if (is_own)
        return strcmp(event->topic, TMB_TOPIC_COMMIT) == 0 ? tmb_plugin_on_commit(p, event)
                                                           : MOSQ_ERR_SUCCESS;
    if (event->topic[0] == '$')
        return pass_on(p, event);
    int stream = tmb_plugin_stream_for(p, tmb_bytes_str(event->topic));
    if (stream < 0) {
        p->counts.uncaptured += !is_state;
        p->counts.state_values += is_state;
        return pass_on(p, event);
    }
    if (is_state) /* who subscribes later is told the value, not how it came about */
        event->retain = false;
    tmb_record record = {0};
    if (fill_record(p, event, &record) != TMB_OK)
        return refuse(p, event, false);
    tmb_err err = tmb_plugin_store_begin(p, (unsigned)stream);
    uint64_t last = 0;
    if (err == TMB_OK && record.is_numbered)
        err = last_number(p, (unsigned)stream, &record, &last);
    bool is_repeat = err == TMB_OK && record.is_numbered && record.number <= last;
    if (is_repeat && record.qos > 0) /* what it repeats may not be on the disk yet */
        err = tmb_group_take(p, (unsigned)stream, event->client);
    if (is_repeat && err == TMB_OK) {
        if (tmb_plugin_may_be_unstored(p, (unsigned)stream, &record))
            tmb_plugin_refuse_receipts(p, event, record.props, WHY_UNSTORED);
        else if (tmb_plugin_may_be_lost(p, (unsigned)stream))
            tmb_plugin_refuse_receipts(p, event, record.props, WHY_LOST);
        else
            tmb_plugin_take_receipts(p, event, record.props, (unsigned)stream, true);
        return tmb_plugin_repeat(p, (unsigned)stream, &record, event);
    }
    if (err == TMB_OK)
        err = store(p, (unsigned)stream, &record, last, event->client);
    if (err != TMB_OK)
        return refuse(p, event, record.is_numbered);
    p->counts.messages++;
    p->counts.state_ops += is_state;
    if (p->was_shed) { /* delivered only: it has no place in the log that would mark it or be waited for */
        tmb_plugin_note_unstored(p, (unsigned)stream, &record);
        tmb_plugin_refuse_receipts(p, event, record.props,
                                   "not stored: the disk of this node is full");
        return MOSQ_ERR_SUCCESS;
    }
    if (record.qos == 2)
        tmb_inflight_add(&p->streams[stream].inflight, p->streams[stream].good_seq, event->topic,
                         tmb_plugin_tag(p, (unsigned)stream, &record), is_lasting(event->client),
                         tmb_plugin_now());
    tmb_plugin_mark(p, (unsigned)stream, p->streams[stream].good_seq, false, &event->properties);
    tmb_plugin_take_receipts(p, event, record.props, (unsigned)stream, false);
    return MOSQ_ERR_SUCCESS;
}
