// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/loss.c - the loss ledger: what was shed, damaged or is missing, told once a second.
 *
 *   lose --what the parent has not--> ledger.c (a range grows) --slot--> <data_dir>/loss.pending
 *   tick --each range that waits, ONE sync--> stream "loss" --> local subscribers; the slot is free
 *
 * A kill between the two leaves a slot whose entry is in the log: the replay meets it and lets the slot go.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker-plugin/plugin.h"
#include "journal/marks.h"

#define TELL_EVERY_MS 1000

static bool has_parent(const tmb_plugin *p)
{
    return p->config->parent.host != NULL;
}

/* The part of a loss that the parent has not, as far as is known here. Of what is damaged or missing it may
 * know no more than that; what is dropped was told in its time. A mark above the log's end is of another
 * past. */
static tmb_loss without_parents(const tmb_plugin *p, const tmb_loss *loss)
{
    tmb_marks marks;
    const char *stream = loss->stream;
    const tmb_incarnation *journal = tmb_journal_incarnation(p->journal);
    if (!has_parent(p) || tmb_marks_read(NULL, p->config->data_dir, &marks) != TMB_OK)
        return *loss;
    uint64_t mark = tmb_marks_find(&marks, journal, stream);
    for (unsigned i = 0; i < p->streams_count; i++) {
        const tmb_plugin_stream *s = &p->streams[i];
        if (s->log && strcmp(s->policy->name, stream) == 0 && mark > tmb_journal_last_seq(s->log))
            return *loss;
    }
    if (loss->reason != TMB_LOSS_DAMAGED && loss->reason != TMB_LOSS_MISSING)
        return tmb_ledger_behind(loss, mark);
    tmb_loss rest = *loss;
    tmb_marks_part part = tmb_marks_about(&marks, journal, stream, loss->first, loss->last);
    if (part.at_parent > 0)
        rest.count = part.not_there + part.unknown;
    return rest;
}

/* keep_slots writes count slots from first on, in one call. */
static void keep_slots(tmb_plugin *p, unsigned first, unsigned count)
{
    static uint8_t bytes[TMB_LEDGER_SLOTS][TMB_LEDGER_SLOT_BYTES];
    if (p->loss.fd < 0)
        return;
    for (unsigned i = 0; i < count; i++)
        tmb_ledger_encode(&p->loss.ledger.slots[first + i], tmb_journal_incarnation(p->journal),
                          bytes[i]);
    size_t len = count * sizeof bytes[0];
    bool is_kept = pwrite(p->loss.fd, bytes, len, (off_t)(first * sizeof bytes[0])) == (ssize_t)len;
    if (!is_kept && !p->loss.is_failing)
        mosquitto_log_printf(
            MOSQ_LOG_WARNING,
            "tombolo: %s/loss.pending cannot be written: entries of the loss ledger "
            "that wait would not survive a kill; mend the disk",
            p->config->data_dir);
    p->loss.is_failing = !is_kept;
}

static void keep_slot(tmb_plugin *p, unsigned slot)
{
    keep_slots(p, slot, 1);
}

/* Does a parent wait for what is in the stream? Operations on state are applied here, and then of no use. */
static bool is_awaited(const tmb_plugin *p, const char *stream)
{
    return has_parent(p) && strcmp(stream, TMB_STATE_STREAM) != 0;
}

void tmb_plugin_lose(tmb_plugin *p, const tmb_loss *loss)
{
    tmb_loss rest = *loss;
    if (loss->first == 0 || loss->first > loss->last ||
        (loss->reason == TMB_LOSS_RETENTION && !is_awaited(p, loss->stream)))
        return;
    if (loss->reason != TMB_LOSS_FULL_NEWEST)
        rest = without_parents(p, loss);
    if (rest.count == 0)
        return;
    if (loss->reason != TMB_LOSS_FULL_NEWEST) /* of those, repeat.c knows the numbers */
        tmb_plugin_note_lost(p, loss->stream);
    rest.at_ms = tmb_plugin_wall().ms;
    p->counts.shed_records += rest.count;
    p->counts.shed_bytes += rest.bytes;
    unsigned slot = tmb_ledger_add(&p->loss.ledger, &rest);
    if (slot < TMB_LEDGER_SLOTS)
        keep_slot(p, slot);
}

void tmb_plugin_on_found(void *arg, const char *stream, const tmb_tail_gap *gap)
{
    tmb_plugin *p = arg;
    if (!stream || !p->journal || gap->last_seq < gap->first_seq ||
        (gap->reason != TMB_GAP_DAMAGED && gap->reason != TMB_GAP_MISSING))
        return; /* torn: nobody was told that it is stored */
    tmb_loss loss = {.reason = gap->reason == TMB_GAP_DAMAGED ? TMB_LOSS_DAMAGED : TMB_LOSS_MISSING,
                     .first = gap->first_seq,
                     .last = gap->last_seq,
                     .count = gap->last_seq - gap->first_seq + 1,
                     .bytes = gap->bytes};
    (void)snprintf(loss.stream, sizeof loss.stream, "%s", stream);
    tmb_plugin_lose(p, &loss);
}

/* What a drop was to take and is there all the same, from number from on: the file could not be removed, or a
 * kill came first. */
static void stays(tmb_plugin *p, const char *stream, uint64_t from)
{
    tmb_loss back = tmb_ledger_take_back(&p->loss.ledger, stream, from);
    if (back.count == 0)
        return;
    p->counts.shed_records -=
        back.count < p->counts.shed_records ? back.count : p->counts.shed_records;
    p->counts.shed_bytes -= back.bytes < p->counts.shed_bytes ? back.bytes : p->counts.shed_bytes;
    keep_slots(p, 0, TMB_LEDGER_SLOTS);
}

void tmb_plugin_on_drop(void *arg, const char *stream, const tmb_journal_drop *drop)
{
    tmb_plugin *p = arg;
    tmb_loss loss = {.reason = drop->is_for_room ? TMB_LOSS_FULL_OLDEST : TMB_LOSS_RETENTION,
                     .first = drop->first,
                     .last = drop->last,
                     .bytes = drop->bytes};
    loss.count = drop->last >= drop->first ? drop->last - drop->first + 1 : 0;
    (void)snprintf(loss.stream, sizeof loss.stream, "%s", stream);
    if (drop->is_undone) {
        p->full.dropped_bytes -= drop->is_for_room ? drop->bytes : 0;
        stays(p, stream, drop->first);
        return;
    }
    if (drop->is_for_room)
        p->full.dropped_bytes += drop->bytes;
    uint64_t before = p->counts.shed_records;
    tmb_plugin_lose(p, &loss);
    if (p->counts.shed_records > before && p->loss.fd >= 0)
        (void)!fdatasync(p->loss.fd); /* the file goes for good in a moment, a power cut or not */
}

static void load(tmb_plugin *p)
{
    size_t size = (size_t)TMB_LEDGER_SLOTS * TMB_LEDGER_SLOT_BYTES;
    uint8_t *bytes = malloc(size);
    ssize_t len = bytes ? pread(p->loss.fd, bytes, size, 0) : 0;
    for (ssize_t at = 0; at + TMB_LEDGER_SLOT_BYTES <= len; at += TMB_LEDGER_SLOT_BYTES) {
        tmb_loss loss;
        tmb_err err = tmb_ledger_decode(bytes + at, tmb_journal_incarnation(p->journal), &loss);
        if (err == TMB_OK)
            (void)tmb_ledger_add(&p->loss.ledger, &loss);
        else if (err == TMB_ECORRUPT)
            mosquitto_log_printf(
                MOSQ_LOG_WARNING,
                "tombolo: %s/loss.pending is damaged at byte %llu: a loss that was "
                "not told yet may be missing from the ledger",
                p->config->data_dir, (unsigned long long)at);
    }
    if (len < 0)
        mosquitto_log_printf(
            MOSQ_LOG_WARNING,
            "tombolo: %s/loss.pending cannot be read: losses that were not told yet "
            "may be missing from the ledger; mend the disk",
            p->config->data_dir);
    free(bytes);
}

/* Numbers that were used up for messages that were shed: the log does not know of them yet. */
static void shed_again(tmb_plugin *p)
{
    for (unsigned i = 0; i < p->streams_count; i++) {
        tmb_plugin_stream *s = &p->streams[i];
        uint64_t seq = tmb_ledger_shed_seq(&p->loss.ledger, s->policy->name);
        s->has_shed_before = seq > 0;
        if (seq <= tmb_journal_last_seq(s->log))
            continue;
        tmb_journal_shed(s->log, seq);
        (void)!tmb_journal_probe(s->log, tmb_plugin_wall());
    }
}

void tmb_plugin_loss_start(tmb_plugin *p)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/loss.pending", p->config->data_dir) < (int)sizeof path)
        p->loss.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (p->loss.fd >= 0)
        load(p);
    else
        mosquitto_log_printf(
            MOSQ_LOG_WARNING,
            "tombolo: %s/loss.pending cannot be opened: entries of the loss ledger "
            "that wait would not survive a kill; give it to the broker's user",
            p->config->data_dir);
    for (unsigned i = 0; i < p->streams_count; i++)
        stays(p, p->streams[i].policy->name, tmb_journal_first_seq(p->streams[i].log));
    shed_again(p);
    keep_slots(p, 0, TMB_LEDGER_SLOTS); /* each at its place, the file as long as it will ever be */
}

void tmb_plugin_loss_end(tmb_plugin *p)
{
    if (p->loss.fd >= 0)
        close(p->loss.fd);
    p->loss.fd = -1;
}

static tmb_record entry(const tmb_plugin *p, unsigned slot, char text[TMB_LEDGER_TEXT_BYTES])
{
    size_t len = tmb_ledger_text(&p->loss.ledger.slots[slot], p->config->node,
                                 tmb_journal_incarnation(p->journal), text);
    tmb_record record = {.qos = 1, .topic = tmb_bytes_str(TMB_LEDGER_TOPIC)};
    record.payload = tmb_bytes_of(text, len);
    return record;
}

void tmb_plugin_loss_forget(tmb_plugin *p, unsigned stream, const tmb_record *record)
{
    char text[TMB_LEDGER_TEXT_BYTES];
    if (!p->streams[stream].policy->is_ledger || record->has_origin)
        return;
    for (unsigned i = tmb_ledger_next(&p->loss.ledger, 0); i < TMB_LEDGER_SLOTS;
         i = tmb_ledger_next(&p->loss.ledger, i + 1)) {
        if (!tmb_bytes_eq(entry(p, i, text).payload, record->payload))
            continue;
        tmb_ledger_told(&p->loss.ledger, i);
        keep_slot(p, i);
    }
}

static tmb_err write_entries(tmb_plugin *p, unsigned stream)
{
    char text[TMB_LEDGER_TEXT_BYTES];
    tmb_err err = tmb_plugin_store_begin(p, stream);
    for (unsigned i = tmb_ledger_next(&p->loss.ledger, 0); i < TMB_LEDGER_SLOTS && err == TMB_OK;
         i = tmb_ledger_next(&p->loss.ledger, i + 1)) {
        tmb_record record = entry(p, i, text);
        err = tmb_plugin_store_append(p, stream, &record);
    }
    return err == TMB_OK ? tmb_plugin_store_end(p, stream, TMB_DURABILITY_STRICT) : err;
}

void tmb_plugin_loss_tick(tmb_plugin *p, tmb_mono now)
{
    char text[TMB_LEDGER_TEXT_BYTES];
    unsigned stream = p->streams_count - 1; /* the ledger is the last */
    p->counts.loss_waiting = tmb_ledger_waiting(&p->loss.ledger);
    if (p->counts.loss_waiting == 0 ||
        !tmb_mono_is_due(tmb_mono_after(p->loss.told_at, tmb_dur_ms(TELL_EVERY_MS)), now))
        return;
    p->loss.told_at = now;
    TMB_ASSERT(p->streams[stream].policy->is_ledger);
    if (write_entries(p, stream) != TMB_OK)
        return; /* they wait, and grow */
    tmb_plugin_stream *s = &p->streams[stream];
    uint64_t seq = tmb_journal_last_seq(s->log) - p->counts.loss_waiting;
    for (unsigned i = tmb_ledger_next(&p->loss.ledger, 0); i < TMB_LEDGER_SLOTS;
         i = tmb_ledger_next(&p->loss.ledger, i + 1)) {
        tmb_record record = entry(p, i, text);
        record.seq = ++seq;
        if (!s->is_doubtful && tmb_plugin_publish(p, stream, &record, false) != TMB_OK) {
            s->good_seq = seq - 1; /* from here on they are read back when there is memory */
            s->is_doubtful = true;
        }
        tmb_ledger_told(&p->loss.ledger, i);
        keep_slot(p, i);
        p->counts.loss_entries++;
    }
    p->counts.loss_waiting = 0;
}
