// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/store.c - one write to the journal, and what happens when it is refused.
 *
 *   working --write refused--> failing (logged, the message is refused) --write succeeds--> working (logged)
 *
 * A refused write may have got part of a commit into the log. Nobody was told that it is there, and it will
 * come again; so before the next write to that stream the log behind the last good record is read back, and
 * what is found there counts as stored and is published (tmb_plugin_heal).
 */
#include <time.h>

#include "broker-plugin/plugin.h"

#define WRITE_EVERY_MS 5 /* at the first tick then, which comes at least each 100 ms */
#define SYNC_AFTER_MS  1000
#define SYNC_SOON_MS   100 /* while somebody waits for a receipt */
#define PROBE_EVERY_MS 250

tmb_mono tmb_plugin_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    tmb_mono now = {(int64_t)t.tv_sec * 1000000000 + t.tv_nsec};
    return now;
}

tmb_wall tmb_plugin_wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    tmb_wall now = {(int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000};
    return now;
}

static tmb_err note_result(tmb_plugin *p, tmb_plugin_stream *s, tmb_err err)
{
    if (err == TMB_ENOSPC) {
        tmb_plugin_disk_met(p);
        tmb_group_failed(p, (unsigned)(s - p->streams));
        return err; /* of all streams, and logged once for all */
    }
    if (err != TMB_OK && !s->is_failing)
        mosquitto_log_printf(MOSQ_LOG_ERR,
                             "tombolo: stream %s cannot be written: %s; QoS 1 and 2 messages are "
                             "refused until it can; free space on, or mend, %s",
                             s->policy->name, tmb_err_str(err), p->journal_root);
    if (err == TMB_OK && s->is_failing)
        mosquitto_log_printf(MOSQ_LOG_NOTICE, "tombolo: stream %s is written again",
                             s->policy->name);
    p->counts.streams_failing += (err != TMB_OK) - (uint64_t)s->is_failing;
    s->is_failing = err != TMB_OK;
    if (err != TMB_OK)
        tmb_group_failed(p, (unsigned)(s - p->streams));
    return err;
}

/* note_written takes in the result of a flush or sync; what was only buffered is lost with a failure. */
static tmb_err note_written(tmb_plugin *p, tmb_plugin_stream *s, tmb_err err)
{
    if (err != TMB_OK) {
        p->counts.unstored_qos0 += s->buffered;
        tmb_plugin_note_unsynced(p, (unsigned)(s - p->streams));
    }
    s->buffered = 0;
    return note_result(p, s, err);
}

static tmb_err refuse(tmb_plugin *p, tmb_plugin_stream *s, tmb_err err)
{
    s->is_doubtful = true;
    (void)note_written(p, s, err);
    tmb_err settled = TMB_OK; /* with what the reserve gave: nobody shall read what was refused */
    if (err == TMB_ENOSPC)
        settled = tmb_journal_settle(s->log, tmb_plugin_wall());
    (void)settled; /* the next write tries again, before anything else */
    return err;
}

static void be_dirty(tmb_mono *since)
{
    if (since->ns == tmb_mono_never().ns)
        *since = tmb_plugin_now();
}

tmb_err tmb_plugin_store_begin(tmb_plugin *p, unsigned stream)
{
    tmb_plugin_stream *s = &p->streams[stream];
    tmb_err err = s->is_doubtful ? tmb_plugin_heal(p, stream) : TMB_OK;
    return err == TMB_OK ? TMB_OK : note_result(p, s, err); /* reading back proves no write */
}

void tmb_plugin_count_stored(tmb_plugin *p, const tmb_record *record)
{
    uint64_t bytes = record->topic.len + record->payload.len;
    p->snapshot.records_since++;
    p->snapshot.bytes_since += bytes;
    p->checkpoint.stored_bytes += bytes;
}

tmb_err tmb_plugin_store_append(tmb_plugin *p, unsigned stream, const tmb_record *record)
{
    tmb_plugin_stream *s = &p->streams[stream];
    uint64_t seq;
    tmb_err err = tmb_journal_append(s->log, record, tmb_plugin_wall(), &seq);
    if (err == TMB_ELIMIT) /* this record is too large; the stream is well */
        return err;
    if (err != TMB_OK)
        return refuse(p, s, err);
    tmb_plugin_count_stored(p, record);
    return TMB_OK;
}

tmb_err tmb_plugin_store_sync(tmb_plugin *p, unsigned stream)
{
    tmb_plugin_stream *s = &p->streams[stream];
    tmb_err err = tmb_journal_sync(s->log);
    if (err != TMB_OK)
        return refuse(p, s, err);
    s->good_seq = tmb_journal_last_seq(s->log);
    s->dirty_since = s->unsynced_since = tmb_mono_never();
    tmb_group_synced(p, stream);
    tmb_plugin_note_synced(p, stream);
    return note_written(p, s, TMB_OK);
}

tmb_err tmb_plugin_store_end(tmb_plugin *p, unsigned stream, tmb_durability durability)
{
    tmb_plugin_stream *s = &p->streams[stream];
    tmb_err err = TMB_OK;
    if (durability == TMB_DURABILITY_GROUP && (p->group.is_broken || s->is_group_strict))
        durability = TMB_DURABILITY_STRICT;
    if (durability == TMB_DURABILITY_STRICT)
        return tmb_plugin_store_sync(p, stream);
    if (durability == TMB_DURABILITY_PROCESS)
        err = tmb_journal_flush(s->log);
    if (err != TMB_OK)
        return refuse(p, s, err);
    s->good_seq = tmb_journal_last_seq(s->log);
    if (durability == TMB_DURABILITY_GROUP) {
        s->is_group_open = true;
        return TMB_OK; /* whether writing works shows at the sync */
    }
    be_dirty(&s->unsynced_since);
    if (durability == TMB_DURABILITY_NONE) {
        be_dirty(&s->dirty_since);
        s->buffered++;
        return TMB_OK; /* whether writing works shows at the flush */
    }
    if (tmb_journal_has_unwritten(s->log))
        be_dirty(&s->dirty_since);
    else
        s->dirty_since = tmb_mono_never();
    return note_written(p, s, TMB_OK); /* what was buffered survives the broker from now on, too */
}

tmb_err tmb_plugin_store_local(tmb_plugin *p, unsigned stream, const tmb_record *record)
{
    if (record->topic.len > TMB_BIRTH_TOPIC_BYTES_MAX ||
        tmb_record_size(record) > TMB_BIRTH_RECORD_BYTES_MAX)
        return TMB_ELIMIT;
    tmb_durability durability =
        record->qos == 0 ? TMB_DURABILITY_NONE : p->streams[stream].policy->durability;
    p->was_shed = false;
    tmb_way way = tmb_plugin_way(p, stream, tmb_record_size(record));
    tmb_err err = TMB_ENOSPC;
    for (unsigned tries = 0; err == TMB_ENOSPC && tries < 2; tries++) {
        if (tries > 0) { /* it was this message that found the disk full */
            way = tmb_plugin_way(p, stream, 0);
            err = tmb_plugin_store_begin(p, stream);
            if (err != TMB_OK)
                return err;
        }
        if (way == TMB_WAY_CLOSED)
            return TMB_ENOSPC;
        if (way == TMB_WAY_SHED) {
            tmb_plugin_shed(p, stream, record);
            p->was_shed = true;
            return TMB_OK;
        }
        err = tmb_plugin_store_append(p, stream, record);
        if (err == TMB_OK)
            err = tmb_plugin_store_end(p, stream, durability);
    }
    return err;
}

void tmb_plugin_probe_due(tmb_plugin *p, tmb_mono now)
{
    if (p->counts.streams_failing == 0 ||
        !tmb_mono_is_due(tmb_mono_after(p->probed_at, tmb_dur_ms(PROBE_EVERY_MS)), now))
        return;
    p->probed_at = now;
    for (unsigned i = 0; i < p->streams_count; i++) {
        tmb_plugin_stream *s = &p->streams[i];
        if (!s->is_failing)
            continue;
        tmb_err err = s->is_doubtful ? tmb_plugin_heal(p, i) : TMB_OK;
        if (err == TMB_OK)
            err = tmb_journal_probe(s->log, tmb_plugin_wall());
        (void)note_result(p, s, err);
    }
}

static tmb_dur sync_after(const tmb_plugin *p, unsigned stream)
{
    return tmb_dur_ms(tmb_plugin_has_receipts(p, stream) ? SYNC_SOON_MS : SYNC_AFTER_MS);
}

static void log_ring_troubles(tmb_plugin *p)
{
    uint64_t troubles = tmb_journal_counts_get(p->journal)->ring_troubles;
    const char *note = tmb_journal_ring_note(p->journal);
    if (troubles > p->ring_troubles)
        mosquitto_log_printf(MOSQ_LOG_WARNING, "tombolo: %s%s", note,
                             strstr(note, " has no ring: ")
                                 ? "; set journal.ring to off, or to a folder in memory that the "
                                   "broker's user may write, such as /dev/shm"
                                 : "");
    p->ring_troubles = troubles;
}

/* A single message is in the file, where syncd sees it, at the end of its round; of many, some milliseconds'
 * worth at a time. */
void tmb_plugin_flush_due(tmb_plugin *p, tmb_mono now)
{
    for (unsigned i = 0; i < p->streams_count; i++) {
        tmb_plugin_stream *s = &p->streams[i];
        if (s->is_group_open)
            continue; /* a flush would keep what its sync may have to take back; that comes within ms */
        if (tmb_mono_is_due(s->dirty_since, now) &&
            tmb_mono_is_due(tmb_mono_after(s->written_at, tmb_dur_ms(WRITE_EVERY_MS)), now)) {
            s->dirty_since = tmb_mono_never();
            s->written_at = now;
            if (note_written(p, s, tmb_journal_write(s->log)) != TMB_OK)
                s->written_at = tmb_mono_after(now, tmb_dur_ms(SYNC_AFTER_MS));
        }
        if (tmb_mono_is_due(s->unsynced_since, now) &&
            tmb_mono_is_due(tmb_mono_after(s->unsynced_since, sync_after(p, i)), now)) {
            s->unsynced_since = tmb_mono_never();
            if (note_written(p, s, tmb_journal_sync(s->log)) == TMB_OK)
                tmb_plugin_note_synced(p, i);
        }
        if (tmb_journal_has_unwritten(s->log)) { /* also what could not be written is tried again */
            be_dirty(&s->dirty_since);
            be_dirty(&s->unsynced_since);
        }
    }
    log_ring_troubles(p);
}

tmb_err tmb_plugin_sync_all(tmb_plugin *p)
{
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < p->streams_count; i++) {
        tmb_plugin_stream *s = &p->streams[i];
        tmb_err one = tmb_journal_sync(s->log);
        if (one != TMB_OK)
            err = note_written(p, s, one);
        else if (s->buffered > 0)
            (void)note_written(p, s, TMB_OK);
        if (one == TMB_OK) {
            tmb_plugin_note_synced(p, i);
            s->dirty_since = s->unsynced_since = tmb_mono_never();
            tmb_group_synced(p, i);
        }
    }
    return err;
}
