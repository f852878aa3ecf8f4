// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/replay.c - what the journal has and the broker does not is given to the broker again.
 *
 * The streams are merged by stamp, which is the order in which the messages came. QoS 0 was promised to
 * nobody and is left out, unless it is retained: then it is state. When no lasting session has a subscription
 * only state is left: what is published here waits in the broker's memory, which may be less than the
 * journal has. The same walk brings the seen tables up
 * to date, since a record is the proof of its own number.
 */
#include "broker-plugin/plugin.h"
#include "broker-plugin/snapshot.h"
#include "journal/tail.h"

typedef struct source {
    tmb_tail *tail;
    const char *stream;
    tmb_record record;
    bool has_record;
} source;

tmb_err tmb_plugin_note_seen(tmb_plugin *p, unsigned stream, const tmb_record *record)
{
    const tmb_origin *child = tmb_record_source(record);
    if (child) {
        tmb_seen_key key = tmb_seen_key_child(child);
        tmb_seen_key born = tmb_seen_key_origin(&record->origin);
        tmb_err err = tmb_seen_raise(p->children, tmb_bytes_of(key.bytes, key.len), child->seq);
        /* Not noted for want of memory: at worst it is here twice, so nothing is refused for it. */
        if (record->origin.seq > 0 &&
            tmb_seen_add(p->origins, tmb_bytes_of(born.bytes, born.len), record->origin.seq))
            p->counts.origins_unnoted++;
        return err;
    }
    if (!record->is_numbered)
        return TMB_OK;
    tmb_seen_key key = tmb_seen_key_publisher(record->publisher, record->run,
                                              tmb_bytes_str(p->streams[stream].policy->name));
    return tmb_seen_raise(p->publishers, tmb_bytes_of(key.bytes, key.len), record->number);
}

/* advance reads the next record; gaps are counted, told when they are losses, and stepped over. */
static tmb_err advance(tmb_plugin *p, source *s)
{
    tmb_tail_gap gap;
    tmb_err err;
    while ((err = tmb_tail_next(s->tail, &s->record, &gap)) == TMB_EGAP) {
        p->counts.gaps++;
        if (gap.reason != TMB_GAP_DAMAGED && gap.reason != TMB_GAP_MISSING)
            continue;
        tmb_plugin_log_gap(p, s->stream, &gap);
        tmb_plugin_note_lost(p, s->stream);
    }
    s->has_record = err == TMB_OK;
    return err == TMB_EAGAIN ? TMB_OK : err;
}

static tmb_err start_source(tmb_plugin *p, source *s, unsigned stream, uint64_t after_seq)
{
    s->stream = p->streams[stream].policy->name;
    tmb_err err = tmb_tail_open(p->journal_root, s->stream, NULL, &s->tail);
    if (err == TMB_OK)
        err = tmb_tail_seek(s->tail, after_seq + 1);
    return err == TMB_OK ? advance(p, s) : err;
}

static int first_source(const source *sources, unsigned count)
{
    int first = -1;
    for (unsigned i = 0; i < count; i++)
        if (sources[i].has_record &&
            (first < 0 || sources[i].record.stamp.u64 < sources[first].record.stamp.u64))
            first = (int)i;
    return first;
}

tmb_err tmb_plugin_replay(tmb_plugin *p, const tmb_checkpoint *from)
{
    bool has_sessions =
        p->broker.has_bridge || tmb_snapshot_may_have_subscriptions(p->broker.db_file);
    source sources[TMB_STREAMS_MAX] = {{0}};
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < p->streams_count && err == TMB_OK; i++)
        err = start_source(p, &sources[i], i,
                           tmb_checkpoint_find(from, p->streams[i].policy->name).seq);
    int i;
    while (err == TMB_OK && (i = first_source(sources, p->streams_count)) >= 0) {
        const tmb_record *record = &sources[i].record;
        err = tmb_plugin_note_seen(p, (unsigned)i, record);
        tmb_plugin_count_stored(p, record);
        tmb_plugin_loss_forget(p, (unsigned)i, record);
        tmb_checkpoint_stream at = tmb_checkpoint_find(from, p->streams[i].policy->name);
        bool is_lacking = record->has_origin || record->seq > at.own_seq;
        if (err == TMB_OK && is_lacking && (record->retain || (record->qos > 0 && has_sessions))) {
            err = tmb_plugin_publish(p, (unsigned)i, record, true);
            p->counts.replayed++;
        }
        if (err == TMB_OK)
            err = advance(p, &sources[i]);
    }
    for (unsigned k = 0; k < p->streams_count; k++)
        tmb_tail_close(sources[k].tail);
    return err;
}

tmb_err tmb_plugin_heal(tmb_plugin *p, unsigned stream)
{
    tmb_plugin_stream *s = &p->streams[stream];
    source back = {0};
    tmb_err err = tmb_journal_settle(s->log, tmb_plugin_wall());
    if (err == TMB_OK)
        err = start_source(p, &back, stream, s->good_seq);
    while (err == TMB_OK && back.has_record) {
        err = tmb_plugin_note_seen(p, stream, &back.record);
        if (err == TMB_OK && (back.record.qos > 0 || back.record.retain))
            err = tmb_plugin_publish(p, stream, &back.record, false);
        if (err == TMB_OK) {
            s->good_seq = back.record.seq;
            err = advance(p, &back);
        }
    }
    tmb_tail_close(back.tail);
    if (err == TMB_OK)
        s->is_doubtful = false;
    return err;
}
