// SPDX-License-Identifier: Apache-2.0
/* journal/writer.c - append, flush, sync, and what happens when one of them fails.
 *
 * After a failure the file is cut back to the last record for which success was claimed, and left for good:
 * a sync that failed once cannot be trusted when it succeeds later (the kernel may have dropped the pages),
 * and a file that took half a write may take another half. The numbers that went with it are never used
 * again; the header of the next segment names them. While the cut itself fails, nothing is appended at all:
 * else records would be read that their publishers were told are not stored.
 */
#include "journal/writer.h"

#include <fcntl.h>
#include <stdlib.h>

static void let_go(tmb_journal_stream *stream, tmb_cut *cut)
{
    if (cut->fd >= 0)
        stream->journal->files->close(stream->journal->files->context, cut->fd);
    cut->fd = -1;
}

/* Synced as far as the disk lets us: a cut that is lost with the power shows records that were never
 * acknowledged, in numbers that are not used again. */
static tmb_err cut_file(tmb_journal_stream *stream, tmb_cut *cut)
{
    const tmb_file_port *files = stream->journal->files;
    if (cut->fd < 0)
        return TMB_OK;
    tmb_err err = tmb_files_err(files->truncate(files->context, cut->fd, (off_t)cut->bytes));
    if (err) {
        stream->journal->counts.failures++;
        return err;
    }
    if (files->sync(files->context, cut->fd) < 0)
        stream->journal->counts.failures++;
    let_go(stream, cut);
    return TMB_OK;
}

/* Leaves the open segment after a failed write or sync. */
static void leave(tmb_journal_stream *stream)
{
    stream->journal->counts.failures++;
    stream->buffer_len = 0;
    stream->is_dirty = false;
    stream->has_lost = false;
    if (stream->safe_seq + 1 < stream->next_seq && stream->gap_first == 0) {
        stream->gap_first = stream->safe_seq + 1;
        stream->gap_reason = TMB_GAP_TORN;
    }
    stream->segments[stream->segments_count - 1].bytes = stream->safe_bytes;
    stream->failed.fd = stream->fd;
    stream->failed.bytes = stream->safe_bytes;
    stream->fd = -1;
    if (cut_file(stream, &stream->failed))
        return; /* tried again before anything else is written */
}

tmb_err tmb_writer_reserve_segment(tmb_journal_stream *stream)
{
    if (stream->segments_count < stream->segments_cap)
        return TMB_OK;
    size_t cap = stream->segments_cap ? 2 * stream->segments_cap : 16;
    tmb_segment_info *segments = realloc(stream->segments, cap * sizeof *segments);
    if (!segments)
        return TMB_ENOMEM;
    stream->segments = segments;
    stream->segments_cap = cap;
    return TMB_OK;
}

void tmb_writer_add_segment(tmb_journal_stream *stream, const tmb_segment_info *info)
{
    size_t count = stream->segments_count;
    /* A segment without a record is written over when it could not be opened again. */
    if (count > 0 && stream->segments[count - 1].base == info->base)
        stream->segments_count--;
    stream->segments[stream->segments_count++] = *info;
}

tmb_err tmb_writer_begin(tmb_journal_stream *stream, tmb_hlc stamp)
{
    tmb_journal *journal = stream->journal;
    tmb_segment_header header = {.incarnation = journal->identity.incarnation,
                                 .base = stream->next_seq,
                                 .created = stamp,
                                 .gap_first = stream->gap_first,
                                 .gap_reason = stream->gap_reason};
    tmb_segment_info info = {.base = header.base,
                             .bytes = TMB_SEGMENT_HEADER_BYTES,
                             .gap_first = header.gap_first,
                             .created_ms = tmb_hlc_wall(stamp).ms};
    uint8_t bytes[TMB_SEGMENT_HEADER_BYTES];
    char name[TMB_SEGMENT_NAME_BYTES];
    tmb_err err = cut_file(stream, &stream->failed);
    if (err)
        return err;
    memcpy(header.stream, stream->name, sizeof header.stream);
    memcpy(header.node, journal->identity.node, sizeof header.node);
    tmb_segment_header_encode(&header, bytes);
    tmb_segment_name(header.base, name);
    err = tmb_writer_reserve_segment(stream);
    if (err)
        return err;
    err = tmb_files_create(journal->files, stream->folder.text, name,
                           tmb_bytes_of(bytes, sizeof bytes), &stream->fd);
    if (err) {
        journal->counts.failures++;
        return err;
    }
    tmb_writer_add_segment(stream, &info);
    journal->counts.written_bytes += sizeof bytes;
    journal->counts.syncs++;
    stream->file_bytes = stream->safe_bytes = sizeof bytes;
    stream->safe_seq = stream->synced_seq = stream->next_seq - 1;
    stream->gap_first = 0;
    stream->gap_reason = TMB_GAP_NONE;
    if (cut_file(stream, &stream->torn))
        let_go(stream, &stream->torn); /* stays as it is: the new segment says what it is */
    return TMB_OK;
}

static tmb_err write_buffer(tmb_journal_stream *stream)
{
    tmb_journal *journal = stream->journal;
    if (stream->buffer_len == 0)
        return TMB_OK;
    tmb_err err = tmb_files_write(journal->files, stream->fd,
                                  tmb_bytes_of(stream->buffer, stream->buffer_len));
    if (err)
        return err;
    journal->counts.written_bytes += stream->buffer_len;
    stream->file_bytes += stream->buffer_len;
    stream->segments[stream->segments_count - 1].bytes = stream->file_bytes;
    stream->buffer_len = 0;
    stream->is_dirty = true;
    if (stream->buffer_cap > 4 * TMB_BUFFER_BYTES) {
        /* One large message must not hold its memory for ever. */
        free(stream->buffer);
        stream->buffer = NULL;
        stream->buffer_cap = 0;
    }
    return TMB_OK;
}

static tmb_err write_and_sync(tmb_journal_stream *stream)
{
    tmb_journal *journal = stream->journal;
    tmb_err err = write_buffer(stream);
    if (!err && stream->is_dirty) {
        err = tmb_files_err(journal->files->sync(journal->files->context, stream->fd));
        if (!err)
            journal->counts.syncs++;
    }
    if (err) {
        leave(stream);
        return err == TMB_ENOSPC ? err : TMB_EIO;
    }
    stream->is_dirty = false;
    stream->safe_bytes = stream->file_bytes;
    stream->safe_seq = stream->synced_seq = stream->next_seq - 1;
    return TMB_OK;
}

/* An append that failed took records with it for which no success was claimed yet: the next flush or sync
 * must say so, and what came after them goes the same way. */
static tmb_err confess(tmb_journal_stream *stream)
{
    if (stream->fd >= 0)
        leave(stream);
    stream->has_lost = false;
    return TMB_EIO;
}

/* The error of an append in which the segment had to be left. */
static tmb_err lose(tmb_journal_stream *stream, tmb_err err)
{
    stream->has_lost = stream->fd < 0 && stream->gap_first > 0;
    return err == TMB_ENOSPC || err == TMB_ENOMEM ? err : TMB_EIO;
}

tmb_err tmb_journal_flush(tmb_journal_stream *stream)
{
    if (stream->has_lost)
        return confess(stream);
    if (stream->fd < 0)
        return TMB_OK; /* nothing is buffered without a segment */
    tmb_err err = write_buffer(stream);
    if (err) {
        leave(stream);
        return err == TMB_ENOSPC ? err : TMB_EIO;
    }
    stream->safe_bytes = stream->file_bytes;
    stream->safe_seq = stream->next_seq - 1;
    return TMB_OK;
}

tmb_err tmb_journal_sync(tmb_journal_stream *stream)
{
    if (stream->has_lost)
        return confess(stream);
    return stream->fd < 0 ? TMB_OK : write_and_sync(stream);
}

static tmb_err rotate(tmb_journal_stream *stream)
{
    tmb_journal *journal = stream->journal;
    tmb_err err = write_and_sync(stream);
    if (err)
        return err;
    journal->files->close(journal->files->context, stream->fd);
    stream->fd = -1;
    journal->counts.rotations++;
    return TMB_OK;
}

/* Room for size bytes in the buffer. */
static tmb_err make_room(tmb_journal_stream *stream, size_t size)
{
    if (stream->buffer_len > 0 && size > stream->buffer_cap - stream->buffer_len) {
        tmb_err err = write_buffer(stream);
        if (err) {
            leave(stream);
            return err;
        }
    }
    if (size <= stream->buffer_cap - stream->buffer_len)
        return TMB_OK;
    size_t cap = size > TMB_BUFFER_BYTES ? size : TMB_BUFFER_BYTES;
    uint8_t *buffer = realloc(stream->buffer, cap);
    if (!buffer)
        return TMB_ENOMEM;
    stream->buffer = buffer;
    stream->buffer_cap = cap;
    return TMB_OK;
}

tmb_err tmb_journal_append(tmb_journal_stream *stream, const tmb_record *record, tmb_wall now,
                           uint64_t *ret_seq)
{
    tmb_journal *journal = stream->journal;
    tmb_record numbered = *record;
    size_t size = tmb_record_size(record), len = 0;
    tmb_err err;
    if (size > TMB_RECORD_BYTES_MAX)
        return TMB_ELIMIT;
    bool is_full = stream->file_bytes + stream->buffer_len + size > journal->segment_bytes;
    bool is_used = stream->file_bytes + stream->buffer_len > TMB_SEGMENT_HEADER_BYTES;
    if (stream->fd >= 0 && is_full && is_used) {
        err = rotate(stream);
        if (err)
            return lose(stream, err);
    }
    if (stream->fd < 0) {
        journal->stamp = tmb_hlc_next(journal->stamp, now);
        err = tmb_writer_begin(stream, journal->stamp);
        if (err)
            return err == TMB_ENOSPC || err == TMB_ENOMEM ? err : TMB_EIO;
    }
    err = make_room(stream, size);
    if (err)
        return lose(stream, err);
    numbered.seq = stream->next_seq;
    numbered.stamp = tmb_hlc_next(journal->stamp, now);
    err = tmb_record_encode(&numbered, stream->buffer + stream->buffer_len, size, &len);
    if (err)
        return err;
    journal->stamp = numbered.stamp;
    stream->buffer_len += len;
    stream->next_seq++;
    journal->counts.appended++;
    journal->counts.appended_bytes += record->payload.len;
    *ret_seq = numbered.seq;
    return TMB_OK;
}

uint64_t tmb_journal_last_seq(const tmb_journal_stream *stream)
{
    return stream->next_seq - 1;
}

uint64_t tmb_journal_synced_seq(const tmb_journal_stream *stream)
{
    return stream->synced_seq;
}

void tmb_writer_close(tmb_journal_stream *stream)
{
    tmb_cut open = {stream->fd, 0};
    let_go(stream, &open);
    if (cut_file(stream, &stream->failed))
        let_go(stream, &stream->failed);
    let_go(stream, &stream->torn);
    free(stream->buffer);
    free(stream->segments);
    free(stream);
}
