// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/commit.c - a batch of a child's records, from our own syncd: effect and mark in one write.
 *
 *   check all -> leave out what is here already -> append -> ONE sync -> publish -> PUBACK = stored
 *
 * A record carries where it comes from, so having it in the log is the mark that it came: there is no second
 * write that could be missing. After the sync nothing can fail that would not be made good at the next start.
 *
 * What is here already is known in two ways: the child's numbers rise, so one that is not above its highest
 * has come before; and a record that was born farther down may have come by another child, when its node
 * moved to a fall-back parent, so its place of birth is looked up too (holes.h).
 */
#include "broker-plugin/plugin.h"
#include "proto/batch.h"
#include "proto/props.h"
#include "proto/topics.h"

static tmb_err check(const tmb_record *record, const tmb_origin *first)
{
    const tmb_origin *source = tmb_record_source(record);
    bool is_good =
        source && source->seq > 0 && tmb_topic_is_valid(record->topic) &&
        record->topic.ptr[0] != '$' && tmb_props_are_valid(record->props) &&
        tmb_bytes_eq(source->node, first->node) && tmb_bytes_eq(source->stream, first->stream) &&
        memcmp(&source->incarnation, &first->incarnation, sizeof first->incarnation) == 0;
    return is_good ? TMB_OK : TMB_ECORRUPT;
}

/* check_all gives the source of the records; they must all have it. Errors: TMB_ECORRUPT. */
static tmb_err check_all(tmb_bytes raw, tmb_origin *ret_first)
{
    tmb_record record;
    size_t offset = 0;
    tmb_err err = tmb_batch_next(raw, &offset, &record);
    if (err != TMB_OK || !tmb_record_source(&record))
        return TMB_ECORRUPT;
    tmb_origin first = *tmb_record_source(&record);
    while (err == TMB_OK) {
        err = check(&record, &first);
        if (err == TMB_OK)
            err = tmb_batch_next(raw, &offset, &record);
    }
    if (err != TMB_EAGAIN)
        return TMB_ECORRUPT;
    *ret_first = first;
    return TMB_OK;
}

/* Which records of a commit are not here yet. Decided once, before anything is written: the tables change
 * while they are published. */
typedef struct fresh {
    uint8_t bits[TMB_BATCH_RECORDS_MAX / 8];
    uint64_t origin_repeats;
} fresh;

static bool is_fresh(const fresh *f, unsigned i)
{
    return (f->bits[i / 8] >> (i % 8) & 1u) != 0;
}

static bool has_come_by_another(const tmb_plugin *p, const tmb_record *record)
{
    tmb_seen_key key = tmb_seen_key_origin(&record->origin);
    return tmb_seen_has(p->origins, tmb_bytes_of(key.bytes, key.len), record->origin.seq);
}

/* Errors: TMB_ELIMIT (more records than a batch can have). */
static tmb_err decide(const tmb_plugin *p, tmb_bytes raw, uint64_t max, fresh *ret)
{
    tmb_record record;
    size_t offset = 0;
    memset(ret, 0, sizeof *ret);
    for (unsigned i = 0; tmb_batch_next(raw, &offset, &record) == TMB_OK; i++) {
        const tmb_origin *source = tmb_record_source(&record);
        if (i == TMB_BATCH_RECORDS_MAX)
            return TMB_ELIMIT;
        if (source->seq <= max)
            continue;
        max = source->seq;
        if (has_come_by_another(p, &record))
            ret->origin_repeats++;
        else
            ret->bits[i / 8] |= (uint8_t)(1u << i % 8);
    }
    return TMB_OK;
}

/* walk calls append (first_seq 0), or note and publish (the number the first of them got), for each record
 * not here yet. */
static tmb_err walk(tmb_plugin *p, unsigned stream, tmb_bytes raw, const fresh *f,
                    uint64_t first_seq, uint64_t *ret_count)
{
    tmb_record record;
    size_t offset = 0;
    uint64_t count = 0;
    for (unsigned i = 0; tmb_batch_next(raw, &offset, &record) == TMB_OK; i++) {
        if (!is_fresh(f, i))
            continue;
        tmb_err err = first_seq > 0 ? tmb_plugin_note_seen(p, stream, &record)
                                    : tmb_plugin_store_append(p, stream, &record);
        if (err != TMB_OK)
            return err;
        record.seq = first_seq + count;
        if (first_seq > 0)
            err = tmb_plugin_publish(p, stream, &record, false);
        if (err != TMB_OK) { /* the rest is read back and published when there is memory */
            p->streams[stream].good_seq = record.seq - 1;
            p->streams[stream].is_doubtful = true;
            return err;
        }
        count++;
    }
    *ret_count = count;
    return TMB_OK;
}

static uint64_t count_records(tmb_bytes raw)
{
    tmb_record record;
    size_t offset = 0;
    uint64_t count = 0;
    while (tmb_batch_next(raw, &offset, &record) == TMB_OK)
        count++;
    return count;
}

static tmb_err commit(tmb_plugin *p, tmb_bytes payload)
{
    if (payload.len < 1 || payload.ptr[0] != TMB_COMMIT_VERSION)
        return TMB_EVERSION;
    tmb_bytes raw = tmb_bytes_of(payload.ptr + 1, payload.len - 1);
    tmb_origin first;
    tmb_err err = check_all(raw, &first);
    if (err != TMB_OK)
        return err;
    int found = tmb_policy_stream_for_child(&p->config->policy, first.stream);
    if (found < 0)
        return TMB_ENOENT;
    unsigned stream = (unsigned)found;
    tmb_seen_key key = tmb_seen_key_child(&first);
    uint64_t max = 0, count = 0;
    bool is_ledger =
        p->streams[stream].policy->is_ledger; /* of the child: the reserve is for ours */
    if (tmb_plugin_way(p, stream, raw.len) != TMB_WAY_OPEN || (is_ledger && p->full.is_now))
        return TMB_ENOSPC; /* drop-newest too: the child keeps what it cannot hand over */
    err = tmb_plugin_store_begin(p, stream);
    if (err == TMB_OK)
        err = tmb_seen_max(p->children, tmb_bytes_of(key.bytes, key.len), &max);
    if (err != TMB_OK)
        return err;
    fresh f;
    err = decide(p, raw, max, &f);
    if (err != TMB_OK)
        return err;
    err = walk(p, stream, raw, &f, 0, &count);
    if (err == TMB_OK && count > 0)
        err = tmb_plugin_store_end(p, stream, TMB_DURABILITY_STRICT);
    if (err != TMB_OK) {
        p->streams[stream].is_doubtful = true; /* some of them may be in the log */
        return err;
    }
    err = walk(p, stream, raw, &f, p->streams[stream].good_seq - count + 1, &count);
    if (err != TMB_OK)
        return err;
    p->counts.commits++;
    p->counts.committed += count;
    p->counts.commit_repeats += count_records(raw) - count;
    p->counts.origin_repeats += f.origin_repeats;
    return TMB_OK;
}

int tmb_plugin_on_commit(tmb_plugin *p, const struct mosquitto_evt_message *event)
{
    bool has_codes = mosquitto_client_protocol_version(event->client) == 5;
    if (event->payloadlen == 0 && has_codes)
        return MOSQ_ERR_ACL_DENIED; /* syncd asks whether a plugin is here: a bare broker says yes */
    tmb_err err =
        event->qos == 0 ? TMB_EINVAL : commit(p, tmb_bytes_of(event->payload, event->payloadlen));
    if (err == TMB_OK)
        return MOSQ_ERR_SUCCESS;
    if (p->counts.commits_refused++ == 0 || (err != TMB_ENOSPC && err != TMB_EIO))
        mosquitto_log_printf(MOSQ_LOG_ERR, "tombolo: a commit of %u bytes is refused: %s",
                             (unsigned)event->payloadlen, tmb_err_str(err));
    return has_codes ? MOSQ_ERR_ACL_DENIED : MOSQ_ERR_UNKNOWN;
}
