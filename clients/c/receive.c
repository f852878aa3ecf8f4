// SPDX-License-Identifier: Apache-2.0
/* clients/c/receive.c - a message comes in: is it an answer, a repeat, or one for the application?
 *
 * Runs on Paho's thread. Paho acks when tmb_client_receive returns 1, so that is after on_message returned
 * and its mark was written; it must not return 0 but for want of memory (Paho then calls again, later).
 */
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/client.h"
#include "proto/props.h"

/* The strings of Paho's properties have no NUL: copies of them, in one block. */
typedef struct view {
    tmb_client_message message;
    tmb_client_prop *props;
    char *text, *at;
    tmb_msgid id;
    unsigned marks; /* tombolo-id properties: two would be none */
    bool is_bad_mark;
} view;

static const char *copy(view *v, const MQTTLenString *from)
{
    char *text = v->at;
    if (from->len > 0)
        memcpy(text, from->data, (size_t)from->len);
    text[from->len] = '\0';
    v->at += from->len + 1;
    return text;
}

static bool is_called(const MQTTLenString *name, const char *text)
{
    return (size_t)name->len == strlen(text) && memcmp(name->data, text, strlen(text)) == 0;
}

static void see_user(view *v, const MQTTProperty *p)
{
    const MQTTLenString *name = &p->value.data, *value = &p->value.value;
    if (is_called(name, TMB_PROP_ID_NAME)) {
        v->marks++;
        v->message.has_mark =
            tmb_msgid_parse(tmb_bytes_of(value->data, (size_t)value->len), &v->id) == TMB_OK;
        v->is_bad_mark = !v->message.has_mark;
    } else if (is_called(name, TMB_PROP_REPLAY_NAME)) {
        v->message.is_replay = is_called(value, "1");
    } else if (name->len < 8 || memcmp(name->data, "tombolo-", 8) != 0) {
        tmb_client_prop *to = &v->props[v->message.prop_count++];
        to->name = copy(v, name);
        to->value = copy(v, value);
    }
}

static void see_property(view *v, const MQTTProperty *p)
{
    switch ((int)p->identifier) {
    case MQTTPROPERTY_CODE_USER_PROPERTY:
        see_user(v, p);
        break;
    case MQTTPROPERTY_CODE_CONTENT_TYPE:
        v->message.content_type = copy(v, &p->value.data);
        break;
    case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
        v->message.response_topic = copy(v, &p->value.data);
        break;
    case MQTTPROPERTY_CODE_CORRELATION_DATA:
        v->message.correlation = p->value.data.data;
        v->message.correlation_len = (size_t)p->value.data.len;
        break;
    default:
        break;
    }
}

static bool open_view(view *v, const char *topic, const MQTTAsync_message *m)
{
    *v = (view){.message = {.topic = topic,
                            .payload = m->payload,
                            .payload_len = (size_t)m->payloadlen,
                            .qos = (unsigned)m->qos,
                            .is_retained = m->retained != 0}};
    size_t bytes = 1, count = (size_t)m->properties.count;
    for (size_t i = 0; i < count; i++) {
        const MQTTProperty *p = &m->properties.array[i];
        int type = MQTTProperty_getType(p->identifier);
        if (type == MQTTPROPERTY_TYPE_UTF_8_STRING_PAIR)
            bytes += (size_t)p->value.data.len + (size_t)p->value.value.len + 2;
        else if (type == MQTTPROPERTY_TYPE_UTF_8_ENCODED_STRING)
            bytes += (size_t)p->value.data.len + 1;
    }
    v->text = v->at = malloc(bytes);
    v->props = calloc(count + 1, sizeof *v->props);
    if (!v->text || !v->props) {
        free(v->text);
        free(v->props);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        see_property(v, &m->properties.array[i]);
    if (v->marks > 1) { /* the node writes one */
        v->message.has_mark = false;
        v->is_bad_mark = true;
    }
    v->message.props = v->props;
    v->message.mark = (tmb_client_mark){v->id.node, v->id.stream, v->id.seq, v->id.life};
    return true;
}

/* take_receipt hands an answer to the worker. */
static void take_receipt(tmb_client *c, const view *v)
{
    tmb_receipt_item *item = calloc(1, sizeof *item);
    tmb_err err = TMB_ENOMEM; /* then the answer times out */
    if (item)
        err = tmb_receipt_parse(tmb_bytes_of(v->message.correlation, v->message.correlation_len),
                                tmb_bytes_of(v->message.payload, v->message.payload_len),
                                c->kept.run, &item->answer);
    pthread_mutex_lock(&c->lock);
    if (err == TMB_OK) {
        *c->in.last_receipt = item;
        c->in.last_receipt = &item->next;
        pthread_cond_broadcast(&c->changed);
    } else {
        c->stats.receipts_unknown++;
        free(item);
    }
    pthread_mutex_unlock(&c->lock);
}

/* note counts what was given, and tells the worker of a mark that could not be kept. */
static void note(tmb_client *c, const view *v, const char *not_kept)
{
    pthread_mutex_lock(&c->lock);
    c->stats.received++;
    c->stats.doubtful += v->message.is_doubtful;
    c->stats.unmarked += !v->message.has_mark;
    c->stats.bad_marks += v->is_bad_mark;
    if (not_kept) {
        (void)snprintf(c->in.not_kept, sizeof c->in.not_kept, "%s", not_kept);
        pthread_cond_broadcast(&c->changed);
    }
    pthread_mutex_unlock(&c->lock);
}

static void give(tmb_client *c, view *v)
{
    tmb_dedupe_answer known = TMB_DEDUPE_NEW;
    if (v->message.has_mark) {
        pthread_mutex_lock(&c->keep_lock);
        known = tmb_dedupe_ask(&c->kept.dedupe, &v->id);
        pthread_mutex_unlock(&c->keep_lock);
    }
    /* The value kept for a topic is told to each new subscription, whether it came as news before or not. */
    if (known == TMB_DEDUPE_REPEAT && !v->message.is_retained) {
        pthread_mutex_lock(&c->lock);
        c->stats.repeats++;
        pthread_mutex_unlock(&c->lock);
        return;
    }
    v->message.is_doubtful = known == TMB_DEDUPE_OLD;
    if (c->o.on_message)
        c->o.on_message(c->o.arg, &v->message);
    char why[256] = "";
    if (v->message.has_mark) {
        pthread_mutex_lock(&c->keep_lock);
        if (tmb_kept_mark(&c->kept, &v->id) != TMB_OK)
            (void)snprintf(why, sizeof why, "%s", c->kept.why);
        pthread_mutex_unlock(&c->keep_lock);
    }
    note(c, v, why[0] ? why : NULL);
}

int tmb_client_receive(void *context, char *topic, int topic_len, MQTTAsync_message *m)
{
    (void)topic_len; /* MQTT allows no NUL in a topic */
    tmb_link_slot *slot = context;
    tmb_client *c = slot->client;
    view v;
    if (!open_view(&v, topic, m))
        return 0;
    if (strcmp(topic, c->receipt_topic) == 0)
        take_receipt(c, &v);
    else
        give(c, &v);
    free(v.text);
    free(v.props);
    MQTTAsync_freeMessage(&m);
    MQTTAsync_free(topic);
    return 1;
}
