// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/full.c - a full disk: when it is one, what each stream does then, and how it ends.
 *
 *   well --little space, or a write found none--> full: the reserve is given back
 *   full --oldest segments dropped, or space freed by others--> well: the reserve is held again
 *
 * The space of the reserve is for what must be written all the same: the ledger, the checkpoint, the broker's
 * snapshot, a segment that takes refused records back. So while the disk is full no stream is written but the
 * ledger. Streams whose policy is drop-oldest make room for all before it comes to that, from the last of the
 * configuration on. What the newest checkpoint still needs is not dropped (the older one is given up for
 * room): a snapshot is asked for, and until it is there such a stream may use up half of the reserve.
 */
#include "broker-plugin/plugin.h"

#define LOOK_EVERY_MS      1000
#define LOOK_FULL_EVERY_MS 250
/* A file system may be slow to count what was freed. */
#define RELIEVE_EVERY_MS 200
/* How long the disk counts as full at least; doubled, up to the other, when it did not last though there
 * seemed to be space: a quota. */
#define WAIT_MS     1000
#define WAIT_MS_MAX 10000
/* A stream that drops its oldest may pass here often. */
#define LOG_EVERY_MS 60000

static bool is_past(tmb_mono since, int64_t ms, tmb_mono now)
{
    return tmb_mono_is_due(tmb_mono_after(since, tmb_dur_ms(ms)), now);
}

static bool makes_room(const tmb_plugin_stream *s)
{
    return s->policy->full == TMB_FULL_DROP_OLDEST && !s->policy->is_ledger;
}

/* Drops what may go until enough is free, and no more, even if what was freed is not counted yet. */
static void relieve(tmb_plugin *p, uint64_t enough, tmb_mono now)
{
    uint64_t free_bytes = p->full.disk.free_bytes;
    bool is_kept = false;
    for (unsigned i = p->streams_count; i-- > 0 && free_bytes < enough;) {
        tmb_plugin_stream *s = &p->streams[i];
        tmb_err err = makes_room(s) ? TMB_OK : TMB_ENOENT;
        while (err == TMB_OK && free_bytes < enough) {
            uint64_t before = p->full.dropped_bytes;
            err = tmb_journal_drop_oldest(s->log, s->kept_seq + 1);
            free_bytes += p->full.dropped_bytes - before;
        }
        s->has_old = err == TMB_EBUSY;
        is_kept |= s->has_old;
    }
    p->full.relieved_at = now;
    p->full.waits_for_checkpoint = is_kept && free_bytes < enough;
    if (p->full.waits_for_checkpoint &&
        p->tick_at.ns != 0) /* before, the broker's signal would end it */
        tmb_plugin_want_snapshot(p);
    (void)tmb_disk_look(&p->full.disk);
}

static void log_full(tmb_plugin *p, tmb_mono now)
{
    p->full.is_logged = p->full.logged_at.ns == 0 || is_past(p->full.logged_at, LOG_EVERY_MS, now);
    if (!p->full.is_logged)
        return;
    p->full.logged_at = now;
    mosquitto_log_printf(MOSQ_LOG_ERR,
                         "tombolo: the disk of %s is full (%llu bytes free): until there are %llu, "
                         "each stream does as its setting \"full\" says; free space there",
                         p->config->data_dir, (unsigned long long)p->full.disk.free_bytes,
                         (unsigned long long)tmb_disk_enough(&p->full.disk));
}

static void become_well(tmb_plugin *p, tmb_mono now)
{
    if (p->full.disk.free_bytes < tmb_disk_enough(&p->full.disk) ||
        !is_past(p->full.since, p->full.wait_ms, now))
        return;
    for (unsigned i = 0; i < p->streams_count; i++)
        /* A probe would claim what the sync of an open group may have to take back. */
        if (p->streams[i].is_group_open ||
            tmb_journal_probe(p->streams[i].log, tmb_plugin_wall()) != TMB_OK)
            return;
    if (tmb_disk_hold(&p->full.disk) != TMB_OK)
        return;
    p->full.is_now = false;
    p->counts.journal_full = 0;
    p->full.left_at = now;
    p->full.unseen_bytes = 0;
    (void)tmb_disk_look(&p->full.disk);
    if (p->full.is_logged)
        mosquitto_log_printf(MOSQ_LOG_NOTICE, "tombolo: the disk of %s has space again",
                             p->config->data_dir);
}

static void become_full(tmb_plugin *p)
{
    tmb_mono now = tmb_plugin_now();
    /* A limit that the free space does not show: to be tried more and more seldom. */
    bool is_hidden = tmb_disk_look(&p->full.disk) == TMB_OK && !tmb_disk_is_low(&p->full.disk);
    bool is_again =
        is_hidden && p->full.left_at.ns != 0 && !is_past(p->full.left_at, 2 * p->full.wait_ms, now);
    uint64_t dropped = p->full.dropped_bytes;
    p->full.is_now = true;
    p->counts.journal_full = 1;
    p->counts.disks_full++;
    p->full.since = now;
    p->full.grace_bytes = p->full.disk.is_held ? p->full.disk.reserve_bytes / 2 : 0;
    if (tmb_disk_give_back(&p->full.disk) != TMB_OK)
        p->full.grace_bytes = 0;
    (void)tmb_disk_look(&p->full.disk);
    log_full(p, now);
    relieve(p, tmb_disk_enough(&p->full.disk), now);
    int64_t longer = 2 * p->full.wait_ms < WAIT_MS_MAX ? 2 * p->full.wait_ms : WAIT_MS_MAX;
    p->full.wait_ms = is_again ? longer : WAIT_MS;
    if (p->full.dropped_bytes > dropped) {
        p->full.wait_ms = 0;
        become_well(p, now);
        p->full.wait_ms = WAIT_MS;
    }
}

void tmb_plugin_disk_met(tmb_plugin *p)
{
    if (!p->full.is_now)
        become_full(p);
}

static void look(tmb_plugin *p, tmb_mono now)
{
    p->full.looked_at = now;
    p->full.unseen_bytes = 0;
    if (tmb_disk_look(&p->full.disk) != TMB_OK)
        return;
    uint64_t free_bytes = p->full.disk.free_bytes, enough = tmb_disk_enough(&p->full.disk);
    uint64_t near = p->full.disk.reserve_bytes + 2 * p->full.disk.floor_bytes;
    tmb_journal_set_careful(p->journal, free_bytes < TMB_DISK_CARE_BYTES);
    bool may_relieve =
        p->full.waits_for_checkpoint || is_past(p->full.relieved_at, RELIEVE_EVERY_MS, now);
    if (!p->full.is_now && tmb_disk_is_low(&p->full.disk)) {
        become_full(p);
    } else if (p->full.is_now) {
        if (free_bytes < enough && may_relieve)
            relieve(p, enough, now);
        become_well(p, now);
    } else if (free_bytes < near && may_relieve) {
        relieve(p, near, now); /* before anybody is refused */
    } else if (!p->full.disk.is_held && free_bytes >= enough) {
        (void)tmb_disk_hold(&p->full.disk); /* there was no room for it at the start */
    }
}

/* Whether so much can be written and leaves the disk well. Not asked of the system for every little
 * message. */
static bool has_room(tmb_plugin *p, const tmb_plugin_stream *s, uint64_t bytes)
{
    p->full.unseen_bytes += bytes;
    if (!p->full.is_now && p->full.unseen_bytes >= p->full.disk.floor_bytes / 2)
        look(p, tmb_plugin_now());
    if (p->full.is_now || bytes < p->full.disk.floor_bytes / 2)
        return !p->full.is_now;
    if (p->full.disk.free_bytes < p->full.disk.floor_bytes + bytes && makes_room(s))
        relieve(p, p->full.disk.floor_bytes + bytes, tmb_plugin_now());
    return p->full.disk.free_bytes >= p->full.disk.floor_bytes + bytes;
}

tmb_way tmb_plugin_way(tmb_plugin *p, unsigned stream, size_t bytes)
{
    const tmb_plugin_stream *s = &p->streams[stream];
    if (s->policy->is_ledger || has_room(p, s, bytes))
        return TMB_WAY_OPEN;
    switch (s->policy->full) {
    case TMB_FULL_REJECT:
        break;
    case TMB_FULL_DROP_NEWEST:
        return TMB_WAY_SHED;
    case TMB_FULL_DROP_OLDEST:
        if (!p->full.is_now || !s->has_old || p->full.grace_bytes < bytes)
            break;
        p->full.grace_bytes -= bytes;
        return TMB_WAY_OPEN;
    }
    return TMB_WAY_CLOSED;
}

void tmb_plugin_shed(tmb_plugin *p, unsigned stream, const tmb_record *record)
{
    tmb_plugin_stream *s = &p->streams[stream];
    if (s->is_group_open && tmb_plugin_store_sync(p, stream) != TMB_OK)
        s->is_doubtful = true; /* those that waited for it are cut off; this one does not wait */
    uint64_t seq = tmb_journal_last_seq(s->log) + 1;
    tmb_journal_shed(s->log, seq);
    s->good_seq = seq;
    tmb_loss loss = {.reason = TMB_LOSS_FULL_NEWEST, .first = seq, .last = seq, .count = 1};
    loss.bytes = record->topic.len + record->payload.len;
    memcpy(loss.stream, s->policy->name, sizeof loss.stream);
    tmb_plugin_lose(p, &loss);
    p->counts.unstored_full++;
}

void tmb_plugin_disk_tick(tmb_plugin *p, tmb_mono now)
{
    bool waits = p->full.waits_for_checkpoint; /* which may be here now */
    if (waits ||
        is_past(p->full.looked_at, p->full.is_now ? LOOK_FULL_EVERY_MS : LOOK_EVERY_MS, now))
        look(p, now);
}

void tmb_plugin_disk_start(tmb_plugin *p)
{
    tmb_err err = tmb_disk_start(&p->full.disk, p->config->data_dir, p->config->disk_reserve);
    p->full.wait_ms = WAIT_MS;
    if (err == TMB_OK && !p->full.disk.was_full)
        err = tmb_disk_hold(&p->full.disk);
    if (err != TMB_OK)
        mosquitto_log_printf(
            MOSQ_LOG_WARNING,
            "tombolo: no %llu bytes can be reserved in %s for a full disk: %s; free "
            "space there, or set disk.reserve lower",
            (unsigned long long)p->full.disk.reserve_bytes, p->config->data_dir, tmb_err_str(err));
    tmb_journal_set_careful(p->journal, p->full.disk.free_bytes < TMB_DISK_CARE_BYTES);
    if (p->full.disk.was_full && p->full.disk.free_bytes < tmb_disk_enough(&p->full.disk))
        become_full(p);
    else if (p->full.disk.was_full)
        (void)tmb_disk_hold(&p->full.disk);
}
