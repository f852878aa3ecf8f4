// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/tick.c - what is due: flush, snapshot and checkpoint, retention, statistics.
 *
 * One round of the broker's loop, and what a snapshot taken in it holds:
 *
 *   queue what plugins published -> read clients (MESSAGE: journal, then queue) -> SNAPSHOT -> tick
 *
 * So a snapshot holds all that was in the journal at the tick before it; of what came in its own round it
 * lacks what we published for our syncd. That is why the checkpoint takes the positions of the tick before.
 * At a good end the broker's last snapshot lacks only what we published in the last round, and QoS 2 in
 * flight of publishers whose session it does not hold.
 *
 * A broker with one busy client ticks for each of its messages. Whether there is a snapshot must be known
 * each time; the rest waits for some milliseconds.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker-plugin/plugin.h"
#include "broker-plugin/snapshot.h"

#define WORK_EVERY_MS   5
#define RETAIN_EVERY_MS 10000

/* is_file_another says whether the file may have been replaced since it was looked at: the one that was there
 * has then lost a name. That costs a third of looking for it by its path. */
static bool is_file_another(const tmb_plugin *p)
{
    struct stat now;
    return p->snapshot.fd < 0 || fstat(p->snapshot.fd, &now) < 0 ||
           now.st_nlink != p->snapshot.names;
}

/* To be told when the file is replaced; after it got its second name. */
static void watch_file(tmb_plugin *p)
{
    struct stat now;
    if (p->snapshot.fd >= 0)
        close(p->snapshot.fd);
    p->snapshot.fd = open(p->broker.db_file, O_RDONLY | O_CLOEXEC);
    if (p->snapshot.fd >= 0 && fstat(p->snapshot.fd, &now) == 0)
        p->snapshot.names = now.st_nlink;
}

/* has_file_changed also says how old the file is, by the wall clock. */
static bool has_file_changed(tmb_plugin *p, int64_t *ret_age_ns)
{
    struct stat now;
    if (stat(p->broker.db_file, &now) < 0)
        return false;
    const struct stat *was = &p->snapshot.file;
    bool is_same = now.st_ino == was->st_ino && now.st_size == was->st_size &&
                   now.st_mtim.tv_sec == was->st_mtim.tv_sec &&
                   now.st_mtim.tv_nsec == was->st_mtim.tv_nsec;
    p->snapshot.file = now;
    if (!is_same)
        *ret_age_ns = tmb_snapshot_age_ns(p->broker.db_file);
    return !is_same;
}

/* is_snapshot_whole looks at a new one, and keeps it. One that is cut off is undone. */
static bool is_snapshot_whole(tmb_plugin *p)
{
    int64_t age_ns;
    tmb_err err = tmb_snapshot_check(p->broker.db_file);
    if (err == TMB_OK) {
        p->snapshot.is_failing = false;
        if (tmb_snapshot_keep(p->broker.db_file) != TMB_OK)
            p->counts.checkpoint_failures++; /* no second name: a full disk could cost sessions */
        return true;
    }
    tmb_err undone = tmb_snapshot_put_back(p->broker.db_file);
    (void)has_file_changed(p, &age_ns);
    p->counts.snapshots_broken++;
    if (!p->snapshot.is_failing)
        mosquitto_log_printf(MOSQ_LOG_ERR,
                             "tombolo: the broker's snapshot %s is cut off; %s; free space there",
                             p->broker.db_file,
                             undone == TMB_OK ? "the one before it is put back, nothing is lost"
                                              : "there is none before it to put back");
    p->snapshot.is_failing = true;
    return false;
}

void tmb_plugin_look_at_snapshot(tmb_plugin *p)
{
    int64_t age_ns;
    if (has_file_changed(p, &age_ns) && tmb_snapshot_check(p->broker.db_file) == TMB_OK &&
        tmb_snapshot_keep(p->broker.db_file) != TMB_OK)
        p->counts.checkpoint_failures++;
}

static tmb_err save(tmb_plugin *p, const tmb_checkpoint *checkpoint)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    tmb_err err = tmb_plugin_sync_all(p);
    if (err == TMB_OK)
        err = tmb_file_sync(p->broker.db_file);
    if (err == TMB_OK)
        err =
            tmb_checkpoint_encode(checkpoint, p->children, p->publishers, p->origins, &bytes, &len);
    if (err == TMB_OK)
        err = tmb_file_replace(p->checkpoint.file, tmb_bytes_of(bytes, len));
    free(bytes);
    return err;
}

/* write_checkpoint takes the positions of the last tick. At the end of the broker (is_last) its snapshot has
 * all that clients ever sent, but for some QoS 2 in flight; of what we published it has all, or lacks the
 * last round's. */
static void write_checkpoint(tmb_plugin *p, bool is_last)
{
    tmb_checkpoint checkpoint = {.incarnation = *tmb_journal_incarnation(p->journal),
                                 .streams_count = p->streams_count};
    tmb_mono now = tmb_plugin_now();
    for (unsigned i = 0; i < p->streams_count; i++) {
        tmb_plugin_stream *s = &p->streams[i];
        tmb_checkpoint_stream *at = &checkpoint.streams[i];
        memcpy(at->name, s->policy->name, sizeof s->policy->name);
        at->own_seq =
            is_last ? tmb_inflight_hold_last(&s->inflight, s->good_seq, now) : s->hold_seq;
        at->seq = at->own_seq;
        if (is_last && p->has_published_before && s->tick_seq_before < at->seq)
            at->seq = s->tick_seq_before;
    }
    tmb_err err = save(p, &checkpoint);
    if (err == TMB_OK) {
        for (unsigned i = 0; i < p->streams_count; i++) {
            p->streams[i].older_seq = p->streams[i].kept_seq;
            p->streams[i].kept_seq = checkpoint.streams[i].seq;
        }
        p->checkpoint.bytes = p->checkpoint.tick_bytes;
        p->checkpoint.at = now;
        p->counts.checkpoints++;
    } else {
        p->counts.checkpoint_failures++;
    }
    if (err != TMB_OK && !p->checkpoint.is_failing)
        mosquitto_log_printf(MOSQ_LOG_ERR,
                             "tombolo: cannot write %s: %s; nothing is lost, but a restart will "
                             "repeat more; free space there, or mend it",
                             p->checkpoint.file, tmb_err_str(err));
    p->checkpoint.is_failing = err != TMB_OK;
}

void tmb_plugin_load_checkpoint(tmb_plugin *p, tmb_checkpoint *ret_checkpoint)
{
    static const char *const endings[] = {"", ".old"};
    for (size_t i = 0; i < 2; i++) {
        char path[PATH_MAX + 8];
        snprintf(path, sizeof path, "%s%s", p->checkpoint.file, endings[i]);
        uint8_t *bytes = NULL;
        size_t len = 0;
        tmb_err err = tmb_file_load(path, &bytes, &len);
        bool is_loaded = err == TMB_OK;
        if (is_loaded)
            err =
                tmb_checkpoint_decode(tmb_bytes_of(bytes, len), tmb_journal_incarnation(p->journal),
                                      p->children, p->publishers, p->origins, ret_checkpoint);
        free(bytes);
        if (err == TMB_OK)
            return;
        if (is_loaded && err == TMB_ENOENT)
            mosquitto_log_printf(MOSQ_LOG_NOTICE,
                                 "tombolo: %s is of another journal, it is not used", path);
        else if (err != TMB_ENOENT)
            mosquitto_log_printf(MOSQ_LOG_WARNING,
                                 "tombolo: %s cannot be used: %s; an older one, or the whole "
                                 "journal, is replayed instead",
                                 path, tmb_err_str(err));
    }
}

static void retain(tmb_plugin *p, tmb_mono now)
{
    if (!tmb_mono_is_due(tmb_mono_after(p->retained_at, tmb_dur_ms(RETAIN_EVERY_MS)), now))
        return;
    p->retained_at = now;
    bool is_failing = false;
    for (unsigned i = 0; i < p->streams_count; i++) {
        const tmb_plugin_stream *s = &p->streams[i];
        tmb_retention rule = {s->policy->retention_bytes, s->policy->retention_ms};
        tmb_err err = tmb_journal_retain(s->log, &rule, s->older_seq + 1, now, tmb_plugin_wall());
        if (err != TMB_OK && !p->is_retain_failing)
            mosquitto_log_printf(MOSQ_LOG_WARNING,
                                 "tombolo: an old segment of stream %s cannot be removed: %s; "
                                 "mend the permissions of %s",
                                 s->policy->name, tmb_err_str(err), p->journal_root);
        is_failing |= err != TMB_OK;
    }
    p->is_retain_failing = is_failing;
}

/* While a snapshot is to come, or somebody waits for his answer, nothing waits. */
static bool is_work_due(const tmb_plugin *p, tmb_mono now)
{
    return p->snapshot.is_wanted || p->snapshot.asked_at.ns > p->snapshot.seen_at.ns ||
           (p->hold && tmb_hold_count(p->hold) > 0) ||
           tmb_mono_is_due(tmb_mono_after(p->worked_at, tmb_dur_ms(WORK_EVERY_MS)), now);
}

void tmb_plugin_on_tick(tmb_plugin *p)
{
    tmb_mono now = tmb_plugin_now();
    /* First: a flush would keep records that its sync may have to take back. */
    tmb_group_on_tick(p, now);
    bool is_due = is_work_due(p, now);
    if (is_due) {
        p->worked_at = now;
        tmb_plugin_flush_due(p, now);
        tmb_plugin_look_at_marks(p, now);
        tmb_plugin_probe_due(p, now);
        tmb_plugin_disk_tick(p, now);
        tmb_plugin_loss_tick(p, now);
    }
    int64_t age_ns = -1;
    bool is_another = is_file_another(p);
    bool has_snapshot = is_another && has_file_changed(p, &age_ns);
    if (has_snapshot) {
        if (is_snapshot_whole(p)) {
            p->counts.snapshots++;
            tmb_plugin_note_snapshot(p, now);
            write_checkpoint(p, false);
        }
        tmb_plugin_note_cost(p, now, age_ns);
    }
    if (is_another && p->snapshot.file.st_ino != 0) /* else there never was one */
        watch_file(p);
    if (is_due || has_snapshot)
        tmb_plugin_release_subscribers(p, now, has_snapshot);
    p->tick_at = now;
    for (unsigned i = 0; i < p->streams_count; i++) {
        tmb_plugin_stream *s = &p->streams[i];
        s->tick_seq_before = s->tick_seq;
        s->tick_seq = s->good_seq;
        s->hold_seq = tmb_inflight_hold(&s->inflight, s->good_seq, now);
    }
    p->checkpoint.tick_bytes = p->checkpoint.stored_bytes;
    p->has_published_before = p->has_published;
    p->has_published = false;
    if (!is_due)
        return;
    tmb_plugin_ask_for_snapshot(p, now);
    retain(p, now);
    tmb_plugin_tell_stats(p);
}

void tmb_plugin_leave(tmb_plugin *p)
{
    int64_t age_ns;
    if (has_file_changed(p, &age_ns) && is_snapshot_whole(p))
        write_checkpoint(p, true);
}
