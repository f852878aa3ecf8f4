// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/commit.c - unpack and check, rewrite, pack: foreign bytes are read here and nowhere behind.
 */
#include "syncd/daemon/commit.h"

#include <stdlib.h>

#include "policy/policy.h"
#include "proto/batch.h"
#include "proto/props.h"
#include "proto/topics.h"
#include "syncd/daemon/late.h"
#include "syncd/daemon/log.h"

typedef struct room {
    uint8_t *topic; /* TMB_TOPIC_BYTES_MAX */
    uint8_t *props; /* TMB_PROPS_BYTES_MAX */
    uint8_t *late;  /* likewise; NULL unless the batch is late */
    uint8_t *raw;   /* of the batch, unpacked */
    void *folding;  /* tmb_batch_room_bytes, of a folded batch */
    size_t folding_cap;
    size_t cap; /* of commit->payload */
} room;

static bool take_word(const char **at, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

tmb_err tmb_commit_topic(const char *topic_template, tmb_bytes site, tmb_bytes topic,
                         tmb_bytes stream, uint8_t *out, size_t *ret_len)
{
    tmb_writer w = tmb_writer_of(out, TMB_TOPIC_BYTES_MAX);
    for (const char *at = topic_template; *at && !w.bad;) {
        if (take_word(&at, "{site}"))
            tmb_put_bytes(&w, site);
        else if (take_word(&at, "{topic}"))
            tmb_put_bytes(&w, topic);
        else if (take_word(&at, "{stream}"))
            tmb_put_bytes(&w, stream);
        else
            tmb_put_u8(&w, (uint8_t)*at++);
    }
    if (w.bad)
        return TMB_ELIMIT;
    size_t len = (size_t)(w.at - out);
    if (!tmb_topic_is_valid(tmb_bytes_of(out, len)) || out[0] == '$')
        return TMB_EINVAL;
    *ret_len = len;
    return TMB_OK;
}

/* keep_topic puts the topic that could not be used into a property, if there is room for it. */
static void keep_topic(tmb_record *record, room *r)
{
    tmb_prop prop = {
        .id = TMB_PROP_USER, .name = tmb_bytes_str(TMB_COMMIT_TOPIC_PROP), .value = record->topic};
    tmb_writer w = tmb_writer_of(r->props, TMB_PROPS_BYTES_MAX);
    tmb_put_bytes(&w, record->props);
    tmb_props_put(&w, &prop);
    if (!w.bad)
        record->props = tmb_bytes_of(r->props, (size_t)(w.at - r->props));
}

static void set_topic(tmb_commit *commit, tmb_record *record, room *r)
{
    tmb_bytes site = tmb_bytes_str(commit->child);
    tmb_bytes stream = tmb_policy_stream_of_lane(commit->batch->stream);
    size_t len = 0;
    tmb_err err =
        tmb_commit_topic(commit->topic_template, site, record->topic, stream, r->topic, &len);
    if (err != TMB_OK) {
        keep_topic(record, r);
        err = tmb_commit_topic("{site}/" TMB_COMMIT_INVALID_TOPIC, site, record->topic, stream,
                               r->topic, &len);
        TMB_ASSERT(err == TMB_OK);
        commit->changed_topics++;
    }
    record->topic = tmb_bytes_of(r->topic, len);
}

static void set_source(const tmb_commit *commit, tmb_record *record)
{
    tmb_origin source = {.node = tmb_bytes_str(commit->child),
                         .incarnation = commit->batch->incarnation,
                         .stream = commit->batch->stream,
                         .seq = record->seq,
                         .stamp = record->stamp};
    if (record->has_origin) {
        record->has_via = true;
        record->via = source;
    } else {
        record->has_origin = true;
        record->origin = source;
        record->has_via = false;
    }
    record->seq = 0;
    record->stamp.u64 = 0;
}

static tmb_err make_room(tmb_commit *commit, room *r, size_t more)
{
    size_t wanted = commit->len + more;
    if (wanted <= r->cap)
        return TMB_OK;
    size_t cap = wanted + wanted / 2;
    uint8_t *payload = realloc(commit->payload, cap);
    if (!payload)
        return TMB_ENOMEM;
    commit->payload = payload;
    r->cap = cap;
    return TMB_OK;
}

static tmb_err add(tmb_commit *commit, const tmb_record *from, room *r)
{
    tmb_record record = *from;
    if (!tmb_props_are_valid(record.props)) {
        record.props = tmb_bytes_of(NULL, 0);
        commit->dropped_props++;
    }
    set_topic(commit, &record, r);
    if (commit->batch->is_late &&
        !tmb_late_mark(record.props, record.has_origin ? record.origin.stamp : record.stamp,
                       r->late, TMB_PROPS_BYTES_MAX, &record.props))
        commit->dropped_props++;
    set_source(commit, &record);
    size_t len = 0;
    tmb_err err = make_room(commit, r, tmb_record_size(&record));
    if (err != TMB_OK)
        return err;
    err = tmb_record_encode(&record, commit->payload + commit->len, r->cap - commit->len, &len);
    if (err == TMB_ELIMIT) {
        commit->left_out++;
        LOG(TMB_LOG_ERROR, "commit.left_out", tmb_str("child", commit->child),
            tmb_text("stream", commit->batch->stream), tmb_num("seq", from->seq),
            tmb_num("payload_bytes", from->payload.len));
        return TMB_OK;
    }
    commit->len += len;
    commit->records++;
    return err;
}

static bool is_of(const tmb_commit_origin *o, const tmb_origin *origin)
{
    return tmb_incarnation_eq(o->incarnation, origin->incarnation) &&
           tmb_bytes_eq(tmb_bytes_str(o->node), origin->node) &&
           tmb_bytes_eq(tmb_bytes_str(o->stream), origin->stream);
}

static void note_origin(tmb_commit *commit, const tmb_origin *origin)
{
    unsigned i = commit->origins_count; /* the newest first: neighbours are often of one origin */
    while (i > 0 && !is_of(&commit->origins[i - 1], origin))
        i--;
    if (i > 0) {
        if (commit->origins[i - 1].seq < origin->seq)
            commit->origins[i - 1].seq = origin->seq;
        return;
    }
    if (!commit->origins)
        commit->origins = calloc(TMB_COMMIT_ORIGINS_MAX, sizeof *commit->origins);
    if (!commit->origins || commit->origins_count == TMB_COMMIT_ORIGINS_MAX)
        return;
    tmb_commit_origin *o = &commit->origins[commit->origins_count++];
    memcpy(o->node, origin->node.ptr, origin->node.len);
    memcpy(o->stream, origin->stream.ptr, origin->stream.len);
    o->incarnation = origin->incarnation;
    o->seq = origin->seq;
}

static tmb_err build(tmb_commit *commit, room *r)
{
    tmb_bytes raw;
    tmb_err err = tmb_batch_unfold(commit->batch, commit->dictionary, r->folding, r->folding_cap,
                                   r->raw, commit->batch->raw_bytes, &raw);
    if (err != TMB_OK)
        return err;
    err = make_room(commit, r, 1 + raw.len + raw.len / 4);
    if (err != TMB_OK)
        return err;
    TMB_ASSERT(commit->payload);
    commit->payload[0] = TMB_COMMIT_VERSION;
    commit->len = 1;
    size_t offset = 0;
    /* A live lane is ahead of records that are still to come: its numbers say nothing of those below. */
    bool is_live = tmb_policy_is_live_lane(commit->batch->stream);
    tmb_record record;
    size_t at = 0;
    while ((err = tmb_batch_next(raw, &offset, &record)) == TMB_OK) {
        tmb_chain_add(&commit->chain, record.seq, tmb_bytes_of(raw.ptr + at, offset - at));
        at = offset;
        if (record.has_origin && !is_live)
            note_origin(commit, &record.origin);
        if (record.seq <= commit->mark)
            continue;
        err = add(commit, &record, r);
        if (err != TMB_OK)
            return err;
    }
    return err == TMB_EAGAIN ? TMB_OK : err;
}

void tmb_commit_build(tmb_commit *commit)
{
    room r = {.cap = 0};
    r.topic = malloc(TMB_TOPIC_BYTES_MAX);
    r.props = malloc(TMB_PROPS_BYTES_MAX);
    r.late = commit->batch->is_late ? malloc(TMB_PROPS_BYTES_MAX) : NULL;
    TMB_ASSERT(commit->batch->raw_bytes <= TMB_BATCH_BYTES_MAX); /* tmb_frame_decode saw to it */
    r.raw = malloc((size_t)commit->batch->raw_bytes + 1);
    if (tmb_codec_is_folded(commit->batch->codec))
        r.folding_cap = tmb_batch_room_bytes(commit->batch->raw_bytes);
    r.folding = r.folding_cap > 0 ? malloc(r.folding_cap) : NULL;
    commit->payload = NULL;
    commit->len = 0;
    commit->origins = NULL;
    commit->origins_count = 0;
    commit->records = commit->changed_topics = commit->dropped_props = commit->left_out = 0;
    bool has_late = r.late || !commit->batch->is_late;
    bool has_room = r.topic && r.props && r.raw && has_late && (r.folding || r.folding_cap == 0);
    commit->err = has_room ? build(commit, &r) : TMB_ENOMEM;
    if (commit->err != TMB_OK || commit->records == 0)
        tmb_commit_fini(commit);
    free(r.topic);
    free(r.props);
    free(r.late);
    free(r.raw);
    free(r.folding);
}

void tmb_commit_fini(tmb_commit *commit)
{
    free(commit->payload);
    commit->payload = NULL;
    commit->len = 0;
}

void tmb_commit_forget(tmb_commit *commit)
{
    tmb_commit_fini(commit);
    free(commit->origins);
    commit->origins = NULL;
    commit->origins_count = 0;
}
