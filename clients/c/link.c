// SPDX-License-Identifier: Apache-2.0
/* clients/c/link.c - one connection: the calls of Paho, and what Paho says. See clients/c/client.h. */
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/client.h"
#include "proto/props.h"

/* --- Paho's threads ------------------------------------------------------------------------------------ */

/* enter gives the client, locked, if context is the connection that it has now. */
static tmb_client *enter(void *context)
{
    tmb_link_slot *slot = context;
    tmb_client *c = slot->client;
    pthread_mutex_lock(&c->lock);
    if (slot->generation == c->generation)
        return c;
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static void leave(tmb_client *c)
{
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void lose(tmb_client *c, const char *why)
{
    if (!c->in.is_lost)
        (void)snprintf(c->in.why, sizeof c->in.why, "%s", why);
    c->in.is_lost = true;
}

static void on_connected(void *context, MQTTAsync_successData5 *data)
{
    tmb_client *c = enter(context);
    if (!c)
        return;
    int max = MQTTProperties_getNumericValue(&data->properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM);
    c->in.receive_max = max > 0 ? (unsigned)max : 0;
    c->in.is_session_new = !data->alt.connect.sessionPresent;
    c->in.is_up = true;
    leave(c);
}

static void on_not_connected(void *context, MQTTAsync_failureData5 *data)
{
    tmb_client *c = enter(context);
    if (!c)
        return;
    char why[160];
    if (data->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR)
        (void)snprintf(why, sizeof why, "the broker would not have us: %s",
                       MQTTReasonCode_toString(data->reasonCode));
    else
        (void)snprintf(why, sizeof why, "cannot connect: %s (%d)",
                       data->message ? data->message : "no answer", data->code);
    lose(c, why);
    leave(c);
}

static void on_lost(void *context, char *cause)
{
    tmb_client *c = enter(context);
    if (!c)
        return;
    lose(c, cause ? cause : "the connection was lost");
    leave(c);
}

static void on_disconnected(void *context, MQTTProperties *props, enum MQTTReasonCodes reason)
{
    (void)props;
    tmb_client *c = enter(context);
    if (!c)
        return;
    char why[160];
    (void)snprintf(why, sizeof why, "the broker ended the connection: %s",
                   MQTTReasonCode_toString(reason));
    lose(c, why);
    leave(c);
}

static void answer(void *context, int token, unsigned reason)
{
    tmb_client *c = enter(context);
    if (!c)
        return;
    if (c->in.answer_count < TMB_CLIENT_ANSWERS_MAX)
        c->in.answers[c->in.answer_count++] = (tmb_answer){token, reason};
    else
        lose(c, "more answers than questions");
    leave(c);
}

static void on_answer(void *context, MQTTAsync_successData5 *data)
{
    answer(context, data->token, (unsigned)data->reasonCode);
}

/* A reason below 0x80 is no word of the broker's: what was under way when the connection ended. That is sent
 * again; the loss itself is told by on_lost. */
static void on_refusal(void *context, MQTTAsync_failureData5 *data)
{
    if (data->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR)
        answer(context, data->token, (unsigned)data->reasonCode);
}

static void on_gone(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    tmb_client *c = enter(context);
    if (!c)
        return;
    c->in.is_gone = true;
    leave(c);
}

static void on_not_gone(void *context, MQTTAsync_failureData5 *data)
{
    (void)data;
    on_gone(context, NULL);
}

/* --- The worker ---------------------------------------------------------------------------------------- */

static tmb_link_slot *slot_of(tmb_client *c, uint64_t generation)
{
    return &c->slots[generation % TMB_LINK_SLOTS];
}

static MQTTAsync new_handle(const tmb_client *c)
{
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
    create.maxBufferedMessages = TMB_CLIENT_ANSWERS_MAX;
    MQTTAsync fresh = NULL;
    return MQTTAsync_createWithOptions(&fresh, c->o.uri, c->o.client_id,
                                       MQTTCLIENT_PERSISTENCE_NONE, NULL,
                                       &create) == MQTTASYNC_SUCCESS
               ? fresh
               : NULL;
}

/* take_spare makes the spare the handle of a new connection, and another the spare. */
static tmb_err take_spare(tmb_client *c, tmb_link_slot *slot)
{
    tmb_link_end(c);
    c->handle = c->spare ? c->spare : new_handle(c);
    c->spare = c->handle ? new_handle(c) : NULL;
    if (!c->spare)
        return TMB_EIO;
    int rc = MQTTAsync_setCallbacks(c->handle, slot, on_lost, tmb_client_receive, NULL);
    if (rc == MQTTASYNC_SUCCESS)
        rc = MQTTAsync_setDisconnected(c->handle, slot, on_disconnected);
    return rc == MQTTASYNC_SUCCESS ? TMB_OK : TMB_EIO;
}

tmb_err tmb_link_dial(tmb_client *c, uint64_t generation)
{
    tmb_link_slot *slot = slot_of(c, generation);
    *slot = (tmb_link_slot){c, generation};
    if (take_spare(c, slot) != TMB_OK)
        return TMB_EIO;
    MQTTProperties props = MQTTProperties_initializer;
    MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL};
    expiry.value.integer4 = c->o.session_expiry_s;
    if (MQTTProperties_add(&props, &expiry) != 0)
        return TMB_EIO;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    tls.trustStore = c->o.ca_file;
    tls.keyStore = c->o.cert_file;
    tls.privateKey = c->o.key_file;
    tls.verify = 1;
    tls.disableDefaultTrustStore = c->o.ca_file != NULL;
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer5;
    connect.keepAliveInterval = (int)c->o.keepalive_s;
    connect.cleanstart = 0; /* Mosquitto 2.0.11 does not save sessions that began with 1 */
    connect.maxInflight = TMB_CLIENT_ANSWERS_MAX; /* the worker keeps the window */
    connect.connectTimeout = TMB_CLIENT_DIAL_MS / 1000 - 2;
    connect.username = c->o.username;
    connect.password = c->o.password;
    connect.connectProperties = &props;
    connect.onSuccess5 = on_connected;
    connect.onFailure5 = on_not_connected;
    connect.context = slot;
    if (strncmp(c->o.uri, "mqtts://", 8) == 0)
        connect.ssl = &tls;
    int rc = MQTTAsync_connect(c->handle, &connect);
    MQTTProperties_free(&props);
    return rc == MQTTASYNC_SUCCESS ? TMB_OK : TMB_EIO;
}

static MQTTLenString len_string(const char *text)
{
    MQTTLenString s = {(int)strlen(text), (char *)(uintptr_t)text}; /* Paho copies */
    return s;
}

static void add_text(MQTTProperties *props, enum MQTTPropertyCodes id, const char *text, int *rc)
{
    MQTTProperty p = {.identifier = id};
    p.value.data = len_string(text);
    *rc |= MQTTProperties_add(props, &p);
}

static void add_user(MQTTProperties *props, const char *name, const char *value, int *rc)
{
    MQTTProperty p = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
    p.value.data = len_string(name);
    p.value.value = len_string(value);
    *rc |= MQTTProperties_add(props, &p);
}

static int add_all(tmb_client *c, const tmb_entry *e, unsigned levels, MQTTProperties *props)
{
    char number[TMB_CLIENT_RUN_BYTES_MAX + 32];
    (void)snprintf(number, sizeof number, "%s:%llu", c->kept.run, (unsigned long long)e->number);
    int rc = 0;
    add_user(props, TMB_PROP_SEQ_NAME, number, &rc);
    if (e->content_type)
        add_text(props, MQTTPROPERTY_CODE_CONTENT_TYPE, e->content_type, &rc);
    if (levels != 0) {
        add_text(props, MQTTPROPERTY_CODE_RESPONSE_TOPIC, c->receipt_topic, &rc);
        add_text(props, MQTTPROPERTY_CODE_CORRELATION_DATA, number, &rc);
    }
    for (unsigned level = 1; level <= TMB_RECEIPT_ENGINE; level <<= 1)
        if (levels & level)
            add_user(props, TMB_PROP_RECEIPT_NAME, tmb_receipt_level_name((tmb_receipt_level)level),
                     &rc);
    for (size_t i = 0; i < e->prop_count; i++)
        add_user(props, e->props[i].name, e->props[i].value, &rc);
    return rc;
}

tmb_err tmb_link_send(tmb_client *c, tmb_entry *e, unsigned levels)
{
    MQTTAsync_message m = MQTTAsync_message_initializer;
    m.payload = (void *)(uintptr_t)e->payload.ptr; /* Paho copies */
    m.payloadlen = (int)e->payload.len;
    m.qos = 1;
    m.retained = e->retain;
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess5 = on_answer;
    options.onFailure5 = on_refusal;
    options.context = slot_of(c, c->generation);
    tmb_err err = TMB_ENOMEM;
    if (add_all(c, e, levels, &m.properties) == 0)
        err = MQTTAsync_sendMessage(c->handle, e->topic, &m, &options) == MQTTASYNC_SUCCESS
                  ? TMB_OK
                  : TMB_ECLOSED;
    e->token = options.token;
    MQTTProperties_free(&m.properties);
    return err;
}

tmb_err tmb_link_subscribe(tmb_client *c, const char *filter, unsigned qos, int *ret_token)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess5 = on_answer;
    options.onFailure5 = on_refusal;
    options.context = slot_of(c, c->generation);
    options.subscribeOptions.retainHandling = 1; /* kept values only if the subscription is new */
    if (MQTTAsync_subscribe(c->handle, filter, (int)qos, &options) != MQTTASYNC_SUCCESS)
        return TMB_ECLOSED;
    *ret_token = options.token;
    return TMB_OK;
}

tmb_err tmb_link_unsubscribe(tmb_client *c, const char *filter, int *ret_token)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess5 = on_answer;
    options.onFailure5 = on_refusal;
    options.context = slot_of(c, c->generation);
    if (MQTTAsync_unsubscribe(c->handle, filter, &options) != MQTTASYNC_SUCCESS)
        return TMB_ECLOSED;
    *ret_token = options.token;
    return TMB_OK;
}

bool tmb_link_goodbye(tmb_client *c)
{
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;
    options.onSuccess5 = on_gone;
    options.onFailure5 = on_not_gone;
    options.context = slot_of(c, c->generation);
    return c->handle && MQTTAsync_disconnect(c->handle, &options) == MQTTASYNC_SUCCESS;
}

void tmb_link_end(tmb_client *c)
{
    if (c->handle)
        MQTTAsync_destroy(&c->handle);
    c->handle = NULL;
}

void tmb_link_end_all(tmb_client *c)
{
    tmb_link_end(c);
    if (c->spare)
        MQTTAsync_destroy(&c->spare);
    c->spare = NULL;
}
