// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/loader.c - read on from where the last batch ended, or seek.
 *
 *   tail:  ... | record that did not fit (kept) | record | gap | record ...
 *                ^ next batch begins here                 ^ ends a batch; the one after it tells the gap
 *
 * A record's slices live until the tail moves on, so the one that did not fit needs no copy.
 */
#include "syncd/daemon/loader.h"

#include <stdlib.h>

#include "journal/tail.h"
#include "proto/batch.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/packer.h"

#define RAW_KEEP_BYTES (1024u * 1024)

struct tmb_loader {
    tmb_tail *tail;
    tmb_packer *packer;
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    uint64_t next_seq;           /* what the tail gives next; 0: unknown, seek first */
    tmb_incarnation incarnation; /* of the log that the tail is in */
    bool has_kept;
    tmb_record kept;
    bool has_kept_gap;
    tmb_tail_gap kept_gap;
    uint64_t told_until; /* gaps up to here were logged */
    uint8_t *raw;
    size_t raw_len, raw_cap;
    tmb_chain chain; /* of what was read since the last seek */
};

tmb_err tmb_loader_open(const char *journal_root, const char *data_dir, const char *stream,
                        const char *name, const tmb_file_port *files, tmb_loader **ret_loader)
{
    tmb_loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return TMB_ENOMEM;
    tmb_err err = tmb_tail_open(journal_root, stream, files, &loader->tail);
    if (err == TMB_OK)
        err = tmb_packer_open(data_dir, name, &loader->packer);
    if (err != TMB_OK) {
        tmb_tail_close(loader->tail);
        free(loader);
        return err;
    }
    size_t len = strlen(stream);
    memcpy(loader->stream, stream, len < sizeof loader->stream ? len : sizeof loader->stream - 1);
    *ret_loader = loader;
    return TMB_OK;
}

void tmb_loader_close(tmb_loader *loader)
{
    if (!loader)
        return;
    tmb_tail_close(loader->tail);
    tmb_packer_close(loader->packer);
    free(loader->raw);
    free(loader);
}

void tmb_load_free(tmb_load *load)
{
    if (!load)
        return;
    free(load->packed);
    tmb_kept_unref(load->dictionary);
    free(load);
}

static void note_damage(tmb_loader *loader, tmb_load *load, const tmb_tail_gap *gap)
{
    bool is_known = gap->last_seq != 0 && gap->last_seq <= loader->told_until;
    if (gap->last_seq > loader->told_until)
        loader->told_until = gap->last_seq;
    if (is_known)
        return;
    if (gap->reason == TMB_GAP_DAMAGED) {
        load->damaged_ranges++;
        load->damaged_bytes += gap->bytes;
        tmb_err err = tmb_tail_quarantine(loader->tail, gap);
        if (err != TMB_OK)
            LOG(TMB_LOG_ERROR, "journal.quarantine_failed", tmb_str("stream", loader->stream),
                tmb_str("file", gap->file), tmb_why(err));
    }
    LOG(TMB_LOG_WARNING, "journal.gap", tmb_str("stream", loader->stream),
        tmb_str("reason", tmb_gap_reason_str(gap->reason)), tmb_num("first_seq", gap->first_seq),
        tmb_num("last_seq", gap->last_seq), tmb_str("file", gap->file),
        tmb_num("offset", gap->offset), tmb_num("bytes", gap->bytes));
}

static tmb_err take_next(tmb_loader *loader, tmb_record *ret_record, tmb_tail_gap *ret_gap)
{
    if (loader->has_kept_gap) {
        loader->has_kept_gap = false;
        *ret_gap = loader->kept_gap;
        return TMB_EGAP;
    }
    if (loader->has_kept) {
        loader->has_kept = false;
        *ret_record = loader->kept;
        return TMB_OK;
    }
    return tmb_tail_next(loader->tail, ret_record, ret_gap);
}

static tmb_err go_to(tmb_loader *loader, uint64_t seq, const tmb_incarnation *incarnation)
{
    if (loader->next_seq == seq && tmb_incarnation_eq(loader->incarnation, *incarnation))
        return TMB_OK;
    loader->incarnation = *incarnation;
    loader->has_kept = loader->has_kept_gap = false;
    loader->next_seq = 0;
    memset(&loader->chain, 0, sizeof loader->chain);
    tmb_err err = tmb_tail_seek(loader->tail, seq);
    if (err == TMB_OK)
        loader->next_seq = seq;
    return err;
}

static tmb_err make_room(tmb_loader *loader, size_t more)
{
    size_t wanted = loader->raw_len + more;
    if (wanted <= loader->raw_cap)
        return TMB_OK;
    size_t cap = wanted < 64 * 1024 ? 64 * 1024 : wanted + wanted / 2;
    uint8_t *raw = realloc(loader->raw, cap);
    if (!raw)
        return TMB_ENOMEM;
    loader->raw = raw;
    loader->raw_cap = cap;
    return TMB_OK;
}

/* append gives TMB_ELIMIT when the batch is full without this record. */
static tmb_err append(tmb_loader *loader, const tmb_record *record, tmb_load *load, unsigned count)
{
    size_t size = tmb_record_size(record), len = 0;
    if (count >= TMB_BATCH_RECORDS_MAX || (count > 0 && loader->raw_len + size > load->bytes_max))
        return TMB_ELIMIT;
    tmb_err err = make_room(loader, size);
    if (err == TMB_OK)
        err = tmb_record_encode(record, loader->raw + loader->raw_len,
                                loader->raw_cap - loader->raw_len, &len);
    TMB_ASSERT(err != TMB_ELIMIT); /* it came out of the log */
    if (err != TMB_OK)
        return err;
    tmb_chain_add(&loader->chain, record->seq, tmb_bytes_of(loader->raw + loader->raw_len, len));
    loader->raw_len += len;
    return TMB_OK;
}

/* What is missing before the first record is told as one gap, for the first reason that is a loss. */
static void widen_gap(tmb_load *load, uint64_t last_seq, tmb_gap_reason reason)
{
    if (last_seq < load->seq)
        return;
    if (load->batch.gap_first == 0 || load->batch.gap_reason == TMB_GAP_TORN)
        load->batch.gap_reason = reason;
    load->batch.gap_first = load->seq;
    load->batch.first_seq = last_seq + 1;
    load->batch.last_seq = last_seq;
}

static bool is_beyond(const tmb_load *load, uint64_t seq)
{
    return load->seq_max != 0 && seq > load->seq_max;
}

/* gather reads until the batch is full, a gap, or the end. TMB_OK: load->batch tells what is in raw. */
static tmb_err gather(tmb_loader *loader, tmb_load *load)
{
    unsigned count = 0;
    load->batch.first_seq = load->seq;
    load->batch.last_seq = load->seq - 1;
    for (;;) {
        tmb_record record;
        tmb_tail_gap gap;
        tmb_err err = take_next(loader, &record, &gap);
        if (err == TMB_EGAP) {
            note_damage(loader, load, &gap);
            if (gap.last_seq == 0)
                continue;
            if (count == 0 && is_beyond(load, gap.last_seq + 1)) {
                widen_gap(load, load->seq_max, gap.reason);
                return TMB_OK;
            }
            if (count > 0) {
                loader->kept_gap = gap;
                loader->has_kept_gap = true;
                return TMB_OK;
            }
            widen_gap(load, gap.last_seq, gap.reason);
            continue;
        }
        if (err != TMB_OK)
            return err == TMB_EAGAIN || count > 0 ? TMB_OK : err;
        if (record.seq <= load->batch.last_seq)
            continue;
        if (is_beyond(load, record.seq)) {
            if (count == 0)
                widen_gap(load, load->seq_max, TMB_GAP_MISSING);
            return TMB_OK;
        }
        if (record.seq != load->batch.last_seq + 1 && count == 0)
            widen_gap(load, record.seq - 1, TMB_GAP_MISSING);
        if (record.seq == load->batch.last_seq + 1)
            err = append(loader, &record, load, count);
        else
            err = TMB_ELIMIT; /* a hole nobody told of: it begins the next batch */
        if (err != TMB_OK) {
            loader->kept = record;
            loader->has_kept = true;
            return err == TMB_ELIMIT ? TMB_OK : err;
        }
        if (count++ == 0) {
            load->first_stamp = record.stamp;
            load->batch.first_seq = record.seq;
        }
        load->batch.last_seq = record.seq;
    }
}

/* The log may have been replaced by another while this was read; its numbers are not the ones asked for. */
static tmb_err check_incarnation(tmb_loader *loader, const tmb_load *load)
{
    tmb_incarnation now;
    uint64_t first = 0, last = 0;
    tmb_err err = tmb_tail_range(loader->tail, &first, &last, &now);
    if (err == TMB_OK && !tmb_incarnation_eq(now, load->incarnation))
        err = TMB_EINVAL;
    return err;
}

void tmb_loader_read(tmb_loader *loader, tmb_load *load)
{
    loader->raw_len = 0;
    load->batch.incarnation = load->incarnation;
    load->err = go_to(loader, load->seq, &load->incarnation);
    if (loader->chain.seq == 0 && load->chain.is_known && load->chain.seq + 1 == load->seq)
        loader->chain = load->chain;
    if (load->err == TMB_OK)
        load->err = gather(loader, load);
    if (load->err == TMB_OK)
        load->err = check_incarnation(loader, load);
    load->chain = loader->chain;
    bool has_records = load->batch.first_seq <= load->batch.last_seq;
    if (load->err == TMB_OK && has_records)
        load->err = tmb_tail_sync(loader->tail);
    if (load->err == TMB_OK && has_records)
        load->err =
            tmb_packer_pack(loader->packer, tmb_bytes_of(loader->raw, loader->raw_len), load);
    /* After an error the place is not known for sure: the next read seeks. After nothing but a gap it is
     * behind the gap, and the gap has to be told again with the record that follows it. */
    loader->next_seq = load->err == TMB_OK ? load->batch.last_seq + 1 : 0;
    if (is_beyond(load, load->batch.last_seq + 1))
        loader->next_seq = 0; /* what the tail gave beyond it is forgotten */
    if (loader->raw_cap > RAW_KEEP_BYTES) {
        free(loader->raw);
        loader->raw = NULL;
        loader->raw_cap = 0;
    }
}
