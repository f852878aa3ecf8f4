// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/receipting.c - receipts asked for, answered, refused.
 *
 *   MESSAGE: asked --on the disk already--------------------------> answered
 *                 \--else: waits in the table --sync succeeds------> answered      (synced)
 *                                             --uplink.marks moves-> answered      (committed, engine)
 *                                             --sync fails,
 *                                               lost on the way----> refused
 *
 * A receipt is published with the broker's rights, and 2.0.11 lets no plugin ask what a client may do. So
 * with access rules (an acl_file, another plugin) the response topic must be the client's own, below
 * receipts/<client id>; without them everybody may write everywhere but to `$...`, and so may its receipts.
 * What we publish comes by no event: a receipt asks for no receipt, and is in no stream.
 *
 * Waiting receipts end with the broker; a publisher that numbers its messages asks again by sending the same
 * number again.
 */
#include <inttypes.h>
#include <stdio.h>

#include "broker-plugin/plugin.h"
#include "journal/text.h"
#include "proto/props.h"

#define LOOK_EVERY_MS    20
#define ASKED_BYTES_MAX  32
#define ANSWER_BYTES_MAX 512
#define WHY_BYTES_MAX    256

/* What one message asks for. */
typedef struct wishes {
    tmb_bytes topic, correlation;
    bool has[TMB_RECEIPTS_LEVELS];
    unsigned count;    /* properties */
    tmb_bytes unknown; /* the first level that is none; NULL: none */
} wishes;

static wishes read_wishes(tmb_bytes props)
{
    wishes w = {.count = 0};
    tmb_reader reader = tmb_reader_of(props);
    tmb_prop prop;
    while (tmb_props_next(&reader, &prop) == TMB_OK) {
        tmb_receipts_level level;
        if (prop.id == TMB_PROP_RESPONSE_TOPIC)
            w.topic = prop.value;
        else if (prop.id == TMB_PROP_CORRELATION)
            w.correlation = prop.value;
        if (prop.id != TMB_PROP_USER ||
            !tmb_bytes_eq(prop.name, tmb_bytes_str(TMB_PROP_RECEIPT_NAME)))
            continue;
        w.count++;
        if (tmb_receipts_level_of(prop.value, &level))
            w.has[level] = true;
        else if (!w.unknown.ptr)
            w.unknown = prop.value;
    }
    return w;
}

static void publish(tmb_plugin *p, const char *level, tmb_bytes topic, tmb_bytes correlation,
                    const char *text)
{
    mosquitto_property *props = NULL;
    size_t len = strlen(text);
    void *payload = mosquitto_malloc(len);
    int rc = payload ? MOSQ_ERR_SUCCESS : MOSQ_ERR_NOMEM;
    if (rc == MOSQ_ERR_SUCCESS && correlation.len > 0)
        rc = mosquitto_property_add_binary(&props, TMB_PROP_CORRELATION, correlation.ptr,
                                           (uint16_t)correlation.len);
    if (rc == MOSQ_ERR_SUCCESS)
        rc =
            mosquitto_property_add_string_pair(&props, TMB_PROP_USER, TMB_PROP_RECEIPT_NAME, level);
    if (rc == MOSQ_ERR_SUCCESS) {
        memcpy(payload, text, len);
        memcpy(p->topic, topic.ptr, topic.len);
        p->topic[topic.len] = '\0';
        rc = mosquitto_broker_publish(NULL, p->topic, (int)len, payload, 1, false, props);
    }
    if (rc == MOSQ_ERR_SUCCESS)
        return;
    mosquitto_free(payload);
    mosquitto_property_free_all(&props);
    p->counts.publish_failures++;
}

static void answer(tmb_plugin *p, const tmb_receipt *receipt)
{
    char hex[TMB_INCARNATION_HEX_BYTES], text[ANSWER_BYTES_MAX];
    const char *level = tmb_receipts_level_str(receipt->level);
    tmb_text_hex(tmb_journal_incarnation(p->journal), hex);
    snprintf(text, sizeof text,
             "{\"receipt\":\"%s\",\"node\":\"%s\",\"stream\":\"%s\",\"seq\":%" PRIu64
             ",\"incarnation\":\"%s\"%s}",
             level, p->config->node, p->streams[receipt->stream].policy->name, receipt->seq, hex,
             receipt->is_repeat ? ",\"repeat\":true" : "");
    p->counts.receipts_sent++;
    publish(p, level, receipt->topic, receipt->correlation, text);
}

/* asked: what the client wrote; only what looks like a word is repeated to it. */
static void refuse(tmb_plugin *p, tmb_bytes topic, tmb_bytes correlation, tmb_bytes asked,
                   const char *why)
{
    char text[ANSWER_BYTES_MAX];
    p->counts.receipts_refused++;
    if (!tmb_name_is_valid(asked, ASKED_BYTES_MAX))
        asked = tmb_bytes_str("?");
    snprintf(text, sizeof text, "{\"receipt\":\"refused\",\"asked\":\"%.*s\",\"why\":\"%s\"}",
             (int)asked.len, (const char *)asked.ptr, why);
    publish(p, "refused", topic, correlation, text);
}

static void refuse_one(tmb_plugin *p, const tmb_receipt *receipt, const char *why)
{
    refuse(p, receipt->topic, receipt->correlation,
           tmb_bytes_str(tmb_receipts_level_str(receipt->level)), why);
}

static bool has_topic(tmb_plugin *p, const struct mosquitto_evt_message *event, tmb_bytes topic)
{
    const char *id = mosquitto_client_id(event->client);
    if (topic.len == 0 || topic.ptr[0] == '$' || !tmb_topic_is_valid(topic))
        return false;
    memcpy(p->topic, topic.ptr, topic.len);
    p->topic[topic.len] = '\0';
    if (tmb_policy_is_ledger_topic(p->topic) || tmb_plugin_is_state(p, topic))
        return false;
    return tmb_plugin_is_alone(p) || (id && tmb_receipt_topic_is_own(topic, id));
}

/* accept counts what is asked for, and answers what nobody can give. False: nothing is left to do. */
static bool accept(tmb_plugin *p, const struct mosquitto_evt_message *event, const wishes *w)
{
    p->counts.receipts_asked += w->count;
    if (w->count == 0)
        return false;
    if (!has_topic(p, event, w->topic)) { /* nobody to tell it to */
        p->counts.receipts_refused += w->count;
        return false;
    }
    if (w->unknown.ptr)
        refuse(p, w->topic, w->correlation, w->unknown,
               "no such receipt: synced, committed or engine");
    return true;
}

void tmb_plugin_refuse_receipts(tmb_plugin *p, const struct mosquitto_evt_message *event,
                                tmb_bytes props, const char *why)
{
    wishes w = read_wishes(props);
    if (!accept(p, event, &w))
        return;
    for (unsigned k = 0; k < TMB_RECEIPTS_LEVELS; k++)
        if (w.has[k])
            refuse(p, w.topic, w.correlation,
                   tmb_bytes_str(tmb_receipts_level_str((tmb_receipts_level)k)), why);
}

void tmb_plugin_take_receipts(tmb_plugin *p, const struct mosquitto_evt_message *event,
                              tmb_bytes props, unsigned stream, bool is_repeat)
{
    const tmb_plugin_stream *s = &p->streams[stream];
    if (event->qos == 0) {
        tmb_plugin_refuse_receipts(p, event, props, "a message of QoS 0 is promised nothing");
        return;
    }
    wishes w = read_wishes(props);
    if (!accept(p, event, &w))
        return;
    for (unsigned k = 0; k < TMB_RECEIPTS_LEVELS; k++) {
        tmb_receipt receipt = {stream,    s->good_seq, (tmb_receipts_level)k, (tmb_receipts_level)k,
                               is_repeat, w.topic,     w.correlation};
        if (!w.has[k])
            continue;
        if (s->policy->is_state && k != TMB_RECEIPTS_SYNCED) {
            refuse_one(p, &receipt, "operations on state stay at this node; ask for synced");
            continue;
        }
        if (!p->config->parent.host) /* this log is the top */
            receipt.waits = TMB_RECEIPTS_SYNCED;
        if (receipt.waits == TMB_RECEIPTS_SYNCED && s->synced_seq >= receipt.seq)
            answer(p, &receipt);
        else if (tmb_receipts_add(p->receipts.table, &receipt) != TMB_OK)
            refuse_one(p, &receipt, "too many receipts wait here; ask again later");
    }
}

void tmb_plugin_note_synced(tmb_plugin *p, unsigned stream)
{
    tmb_plugin_stream *s = &p->streams[stream];
    const tmb_receipt *one;
    s->synced_seq = tmb_journal_last_seq(s->log);
    while ((one = tmb_receipts_first(p->receipts.table, stream, TMB_RECEIPTS_SYNCED)) &&
           one->seq <= s->synced_seq) {
        answer(p, one);
        tmb_receipts_pop(p->receipts.table, stream, TMB_RECEIPTS_SYNCED);
    }
}

void tmb_plugin_note_unsynced(tmb_plugin *p, unsigned stream)
{
    const tmb_receipt *one;
    while ((one = tmb_receipts_first(p->receipts.table, stream, TMB_RECEIPTS_SYNCED))) {
        refuse_one(p, one, "the disk of this node has refused; publish it again");
        tmb_receipts_pop(p->receipts.table, stream, TMB_RECEIPTS_SYNCED);
    }
}

bool tmb_plugin_has_receipts(const tmb_plugin *p, unsigned stream)
{
    return tmb_receipts_first(p->receipts.table, stream, TMB_RECEIPTS_SYNCED) != NULL;
}

/* A mark above the end of the log is of another past than this
 * log's (a restored backup): not believed, however far the log grows, until the file says something new. */
void tmb_plugin_load_marks(tmb_plugin *p)
{
    tmb_plugin_receipts *r = &p->receipts;
    char path[PATH_MAX];
    struct stat now;
    int len = snprintf(path, sizeof path, "%s/%s", p->config->data_dir, TMB_MARKS_FILE);
    if (len >= (int)sizeof path || stat(path, &now) < 0) {
        memset(&r->file, 0, sizeof r->file);
        r->has_marks = false;
        return;
    }
    if (now.st_ino == r->file.st_ino && now.st_size == r->file.st_size &&
        now.st_mtim.tv_sec == r->file.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == r->file.st_mtim.tv_nsec)
        return;
    r->file = now;
    r->has_marks = tmb_marks_read(NULL, p->config->data_dir, &r->marks) == TMB_OK &&
                   strcmp(r->marks.node, p->config->node) == 0;
    for (unsigned i = 0; i < p->streams_count; i++) {
        const tmb_plugin_stream *s = &p->streams[i];
        uint64_t mark =
            r->has_marks
                ? tmb_marks_find(&r->marks, tmb_journal_incarnation(p->journal), s->policy->name)
                : 0;
        r->marks_seq[i] = mark <= tmb_journal_last_seq(s->log) ? mark : 0;
    }
}

/* why_not gives NULL when the parent has the record. */
static const char *why_not(const tmb_plugin *p, const tmb_receipt *receipt)
{
    const tmb_marks *marks = &p->receipts.marks;
    const char *stream = p->streams[receipt->stream].policy->name;
    if (receipt->is_repeat && tmb_marks_has_losses(marks, stream))
        return "some of this stream may have been lost before it was carried up, and which number "
               "the message has is not known; publish it under a new one";
    tmb_marks_part part = tmb_marks_about(marks, tmb_journal_incarnation(p->journal), stream,
                                          receipt->seq, receipt->seq);
    if (part.not_there > 0)
        return "it was lost at this node before it was carried up; publish it again, under a new "
               "number if it has one";
    return part.unknown > 0 ? "it cannot be told whether it was carried up" : NULL;
}

static void answer_by_marks(tmb_plugin *p, unsigned stream, tmb_receipts_level waits)
{
    const tmb_receipt *one;
    char text[WHY_BYTES_MAX];
    bool is_never = waits == TMB_RECEIPTS_ENGINE && !p->receipts.marks.is_parent_top;
    while ((one = tmb_receipts_first(p->receipts.table, stream, waits)) &&
           (is_never || one->seq <= p->receipts.marks_seq[stream])) {
        const char *why = is_never ? text : why_not(p, one);
        if (is_never)
            snprintf(text, sizeof text,
                     "the engine is at the top node, and the parent %s has a parent itself: this "
                     "node never hears of it",
                     p->receipts.marks.parent);
        if (why)
            refuse_one(p, one, why);
        else
            answer(p, one);
        tmb_receipts_pop(p->receipts.table, stream, waits);
    }
}

void tmb_plugin_look_at_marks(tmb_plugin *p, tmb_mono now)
{
    tmb_plugin_receipts *r = &p->receipts;
    if (tmb_receipts_waiting(r->table, TMB_RECEIPTS_COMMITTED) +
                tmb_receipts_waiting(r->table, TMB_RECEIPTS_ENGINE) ==
            0 ||
        !tmb_mono_is_due(tmb_mono_after(r->looked_at, tmb_dur_ms(LOOK_EVERY_MS)), now))
        return;
    r->looked_at = now;
    tmb_plugin_load_marks(p);
    for (unsigned i = 0; i < p->streams_count && r->has_marks; i++) {
        answer_by_marks(p, i, TMB_RECEIPTS_COMMITTED);
        answer_by_marks(p, i, TMB_RECEIPTS_ENGINE);
    }
}

tmb_err tmb_plugin_begin_receipts(tmb_plugin *p)
{
    tmb_err err = tmb_receipts_new(TMB_RECEIPTS_MAX, TMB_RECEIPTS_BYTES_MAX, &p->receipts.table);
    if (err == TMB_OK && p->config->parent.host)
        tmb_plugin_load_marks(p); /* before the log grows: which of its marks are too high? */
    return err;
}

void tmb_plugin_check_marks(tmb_plugin *p)
{
    tmb_plugin_receipts *r = &p->receipts;
    for (unsigned i = 0; i < p->streams_count && r->has_marks; i++) {
        const tmb_plugin_stream *s = &p->streams[i];
        const char *stream = s->policy->name;
        uint64_t mark = tmb_marks_find(&r->marks, tmb_journal_incarnation(p->journal), stream);
        if (mark <= tmb_journal_last_seq(s->log))
            continue;
        mosquitto_log_printf(
            MOSQ_LOG_WARNING,
            "tombolo: %s/" TMB_MARKS_FILE
            " says that the parent has %llu records of stream %s, the "
            "journal has %llu: it is of another past (was the journal restored from a backup?) and "
            "is removed",
            p->config->data_dir, (unsigned long long)mark, stream,
            (unsigned long long)tmb_journal_last_seq(s->log));
        (void)!tmb_marks_forget(NULL, p->config->data_dir);
        r->has_marks = false;
    }
}
