// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/state.c - topics of state: who may publish what below state.root.
 *
 *   .../parts/inc      an operation, from anybody that the broker's own rules let: stored in the stream
 *                      "state" before its ack, whatever the filters of other streams say, never retained
 *   .../parts          a value, from this node's own syncd alone: passed on and retained, stored nowhere,
 *                      since syncd can make it again
 *   anything else      refused, with a sentence in the log and on <topic>/error
 *
 * Refused at the access check, which is asked for wills too: a will could otherwise forge a value. MQTT 5 is
 * told by 0x87, the one code that the broker gives for a plugin; 3.1.1 has none, hence the error topic.
 * What a child or a bridge brings below the root is no state of this node: a bridge's is refused, a child's,
 * which it holds for delivered, is kept in its stream and not published.
 * While state is off its topics are anybody's, so that the broker retains what was published is not vouched
 * for any more: the mark goes (syncd/daemon/state_values.c).
 */
#include "broker-plugin/state_rule.h"

#include "broker-plugin/plugin.h"
#include "proto/topics.h"

bool tmb_plugin_is_state(const tmb_plugin *p, tmb_bytes topic)
{
    return tmb_state_rule_covers(&p->config->state, topic);
}

int tmb_plugin_stream_for(const tmb_plugin *p, tmb_bytes topic)
{
    if (!tmb_plugin_is_state(p, topic))
        return tmb_policy_stream_for_topic(&p->config->policy, topic);
    return tmb_state_rule_is_op(&p->config->state, topic)
               ? tmb_policy_state_stream(&p->config->policy)
               : -1;
}

/* The sentence for whoever watches state/# and gets no reason code. An operation that is one is refused for
 * its scope alone. */
static void tell_on_error_topic(tmb_plugin *p, const char *topic, const char *why)
{
    char error[TMB_STATE_ERROR_BYTES], text[TMB_STATE_WHY_BYTES + 64];
    bool is_op = tmb_state_rule_is_op(&p->config->state, tmb_bytes_str(topic));
    int len = snprintf(text, sizeof text, "{\"ok\":false,\"verdict\":\"%s\",\"why\":\"%s\"}",
                       is_op ? "scope" : "malformed", why);
    if (!tmb_state_rule_error(topic, error))
        return;
    void *payload = mosquitto_malloc((size_t)len);
    if (!payload)
        return;
    memcpy(payload, text, (size_t)len);
    if (mosquitto_broker_publish(NULL, error, len, payload, 1, false, NULL) != MOSQ_ERR_SUCCESS)
        mosquitto_free(payload);
    p->has_published = true;
}

bool tmb_plugin_may_write_state(tmb_plugin *p, const struct mosquitto_evt_acl_check *event,
                                const char *who)
{
    char why[TMB_STATE_WHY_BYTES];
    if (who || !tmb_state_rule_fault(&p->config->state, tmb_bytes_str(event->topic), why))
        return true;
    p->counts.state_refused++;
    if (!tmb_plugin_may_log_refusal(p))
        return false;
    const char *id = mosquitto_client_id(event->client);
    mosquitto_log_printf(MOSQ_LOG_WARNING, "tombolo: refused: client %s, %s: %s", id ? id : "?",
                         event->topic, why);
    tell_on_error_topic(p, event->topic, why);
    return false;
}

void tmb_plugin_begin_state(tmb_plugin *p)
{
    if (!tmb_state_is_on(&p->config->state))
        (void)mosquitto_broker_publish(NULL, TMB_TOPIC_STATE_MARK, 0, NULL, 0, true, NULL);
}

void tmb_plugin_keep_state(tmb_plugin *p, const tmb_record *record)
{
    if (p->counts.state_kept++ > 0)
        return;
    const tmb_origin *source = tmb_record_source(record);
    tmb_bytes node = source ? source->node : tmb_bytes_str(p->config->node);
    mosquitto_log_printf(
        MOSQ_LOG_WARNING,
        "tombolo: %.*s of %.*s is below the topics of state: it is stored and not published; begin "
        "children.topic with {site}, or set another state.root (counted in state_kept)",
        (int)record->topic.len, (const char *)record->topic.ptr, (int)node.len,
        (const char *)node.ptr);
}
