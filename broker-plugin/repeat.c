// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/repeat.c - a numbered message that is in the journal already: acked, and not stored again.
 *
 * Nobody may get it a second time, so its topic becomes one that nobody may read. But with QoS 2 it may be
 * that nobody has got it once: its first sending waits in the broker for a PUBREL, or was dropped with its
 * session.
 *
 *   with QoS 1, of a clean session           goes through if its first sending was dropped, else to the void
 *   in flight here, not seen queued yet      goes through: the broker still has its first sending and
 *                                            recognises it, or has dropped that and delivers this one
 *   known since before this start            was replayed, or is in the snapshot's sessions: to the void
 *   of a lasting session, known no longer    goes through: the broker may have its first sending still, and
 *                                            would throw that away if the topic differed
 */
#include "broker-plugin/plugin.h"
#include "proto/topics.h"

static tmb_seen_key key_of(const tmb_plugin *p, unsigned stream, const tmb_record *record)
{
    return tmb_seen_key_publisher(record->publisher, record->run,
                                  tmb_bytes_str(p->streams[stream].policy->name));
}

/* FNV-1a, 64 bits (G. Fowler, L. C. Noll, K.-P. Vo). */
static uint64_t mix(uint64_t hash, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

void tmb_plugin_note_unstored(tmb_plugin *p, unsigned stream, const tmb_record *record)
{
    tmb_seen_key key = key_of(p, stream, record);
    if (record->is_numbered)
        tmb_seen_note_unstored(p->publishers, tmb_bytes_of(key.bytes, key.len), record->number);
}

/* Which of the numbers of a life before were not stored nobody knows any more. */
bool tmb_plugin_may_be_unstored(const tmb_plugin *p, unsigned stream, const tmb_record *record)
{
    tmb_seen_key key = key_of(p, stream, record);
    tmb_bytes name = tmb_bytes_of(key.bytes, key.len);
    return record->number <= tmb_seen_unstored(p->publishers, name) ||
           (p->streams[stream].has_shed_before &&
            record->number <= tmb_seen_base(p->publishers, name));
}

uint64_t tmb_plugin_tag(const tmb_plugin *p, unsigned stream, const tmb_record *record)
{
    if (!record->is_numbered)
        return 0;
    uint8_t number[8];
    tmb_writer writer = tmb_writer_of(number, sizeof number);
    tmb_put_u64(&writer, record->number);
    tmb_seen_key key = key_of(p, stream, record);
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), key.bytes, key.len);
    return mix(hash, number, sizeof number) | 1u; /* 0: none */
}

static int to_the_void(struct mosquitto_evt_message *event)
{
    char *topic = mosquitto_strdup(TMB_TOPIC_VOID);
    if (!topic)
        return MOSQ_ERR_UNKNOWN;
    mosquitto_free(event->topic);
    event->topic = topic;
    event->retain = false;
    return MOSQ_ERR_SUCCESS;
}

/* Sent with QoS 2 before, in a session that has ended with its connection: nobody got it. Once: it is
 * delivered now. */
static bool is_dropped_first(tmb_plugin *p, unsigned stream, const tmb_record *record,
                             const struct mosquitto_evt_message *event, uint64_t *ret_seq)
{
    return event->qos == 1 && mosquitto_client_clean_session(event->client) &&
           tmb_inflight_take(&p->streams[stream].inflight, tmb_plugin_tag(p, stream, record),
                             ret_seq);
}

int tmb_plugin_repeat(tmb_plugin *p, unsigned stream, const tmb_record *record,
                      struct mosquitto_evt_message *event)
{
    p->counts.repeats++;
    uint64_t seq = 0, max = 0;
    if (event->qos < 2 && !is_dropped_first(p, stream, record, event, &seq))
        return to_the_void(event);
    tmb_seen_key key = key_of(p, stream, record);
    tmb_bytes name = tmb_bytes_of(key.bytes, key.len);
    if (tmb_seen_max(p->publishers, name, &max) == TMB_OK && record->number < max)
        event->retain = false; /* there is a newer one, which must stay */
    if (event->qos < 2) {
        tmb_plugin_mark(p, stream, seq, false, &event->properties);
        return MOSQ_ERR_SUCCESS;
    }
    if (tmb_inflight_again(&p->streams[stream].inflight, tmb_plugin_tag(p, stream, record),
                           event->topic, tmb_plugin_now(), &seq)) {
        tmb_plugin_mark(p, stream, seq, false, &event->properties);
        return MOSQ_ERR_SUCCESS;
    }
    bool is_of_before = record->number <= tmb_seen_base(p->publishers, name);
    return is_of_before || mosquitto_client_clean_session(event->client) ? to_the_void(event)
                                                                         : MOSQ_ERR_SUCCESS;
}
