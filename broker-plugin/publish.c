// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/publish.c - a record given to the broker, to queue for its subscribers in the next round.
 *
 * The broker takes payload and properties when it accepts the message and leaves them when it does not; it
 * asks no access rule for whom it came from, and calls no MESSAGE event.
 */
#include "broker-plugin/plugin.h"
#include "broker-plugin/props_bridge.h"

tmb_err tmb_plugin_publish(tmb_plugin *p, unsigned stream, const tmb_record *record, bool is_replay)
{
    void *payload = NULL;
    mosquitto_property *props = NULL;
    if (!p->streams[stream].policy->is_state && tmb_plugin_is_state(p, record->topic)) {
        tmb_plugin_keep_state(p, record);
        return TMB_OK;
    }
    int rc = MOSQ_ERR_NOMEM;
    if (record->payload.len > 0 && !(payload = mosquitto_malloc(record->payload.len)))
        goto out;
    if (payload)
        memcpy(payload, record->payload.ptr, record->payload.len);
    if (tmb_props_to_broker(record->props, &props) == TMB_ENOMEM)
        goto out;
    tmb_plugin_mark(p, stream, record->seq, is_replay, &props);
    memcpy(p->topic, record->topic.ptr, record->topic.len);
    p->topic[record->topic.len] = '\0';
    rc = mosquitto_broker_publish(NULL, p->topic, (int)record->payload.len, payload, record->qos,
                                  record->retain, props);
    p->has_published = true;
out:
    if (rc == MOSQ_ERR_SUCCESS)
        return TMB_OK;
    mosquitto_free(payload);
    mosquitto_property_free_all(&props);
    if (p->counts.publish_failures++ == 0)
        mosquitto_log_printf(MOSQ_LOG_ERR,
                             "tombolo: the broker could not queue a message that is in the journal "
                             "(%s); give it more memory",
                             mosquitto_strerror(rc));
    return rc == MOSQ_ERR_NOMEM ? TMB_ENOMEM : TMB_OK;
}
