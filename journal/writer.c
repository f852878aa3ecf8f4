// SPDX-License-Identifier: Apache-2.0
/* journal/writer.c - append, flush, sync, and what happens when one of them fails.
 *
 * After a failure the file is left for good: a sync that failed once cannot be trusted when it succeeds
 * later (the kernel may have dropped the pages), and a file that took half a write may take another half.
 * First a new segment is begun, whose header names the numbers that went with the failure, so that they are
 * never used again; then the old file is cut back to the last record for which success was claimed. Until
 * both are done nothing is appended: else records would be read that their publishers were told are not
 * stored.
 *
 * Records in the ring for which success was claimed are the other way round: their publishers were told that
 * they are stored. A write of them that fails takes nothing back. It goes on later, byte for byte, where it
 * stopped; numbers that were given behind them and lost are left out in a new segment after them.
 */
#include "journal/writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static void let_go(tmb_journal_stream *stream, int *fd)
{
    if (*fd >= 0)
        stream->journal->files->close(stream->journal->files->context, *fd);
    *fd = -1;
}

/* The folder is synced after each removal, for a disk may keep the later of two and lose the earlier. */
static tmb_err remove_newest(tmb_journal_stream *stream, tmb_undo *what)
{
    const tmb_file_port *files = stream->journal->files;
    char name[TMB_SEGMENT_NAME_BYTES];
    tmb_segment_name(what->bases[what->count - 1], name);
    tmb_path path = tmb_path_join(stream->folder.text, name);
    tmb_err err = tmb_files_err(files->unlink(files->context, path.text));
    if (err && err != TMB_ENOENT)
        return err;
    what->count--;
    if (tmb_files_sync_folder(files, stream->folder.text) != TMB_OK)
        stream->journal->counts.failures++;
    return TMB_OK;
}

/* From the newest file on, and the cut last: at every moment, also for who comes back after a kill or a power
 * cut, what is left is a head of what there was. Later records without those before them would be taken for
 * the news that these are lost. As safe on the disk as that lets us: a cut that is lost with the power shows
 * records that were never acknowledged, in numbers that are not used again. */
static tmb_err undo(tmb_journal_stream *stream, tmb_undo *what)
{
    const tmb_file_port *files = stream->journal->files;
    tmb_err err = TMB_OK;
    while (!err && what->count > 0)
        err = remove_newest(stream, what);
    if (!err && what->fd >= 0) {
        err = tmb_files_err(files->truncate(files->context, what->fd, (off_t)what->bytes));
        if (!err && files->sync(files->context, what->fd) < 0)
            stream->journal->counts.failures++;
        if (!err)
            let_go(stream, &what->fd);
    }
    if (err)
        stream->journal->counts.failures++;
    return err;
}

/* Success is claimed for all that was given a number. */
static void claim(tmb_journal_stream *stream)
{
    let_go(stream, &stream->loose.fd);
    stream->loose.count = 0;
    stream->safe_bytes = stream->file_bytes + stream->buffer_len;
    stream->safe_seq = stream->next_seq - 1;
}

static bool is_in_ring(const tmb_journal_stream *stream)
{
    return stream->ring.memory && stream->buffer == tmb_ring_buffer(&stream->ring);
}

static void empty_buffer(tmb_journal_stream *stream)
{
    stream->buffer_len = stream->claimed_len = stream->done_len = 0;
    stream->is_stuck = false;
    tmb_ring_clear(&stream->ring);
}

/* What is to be undone when a write or a sync has failed: from safe_bytes on. */
static void plan_undo(tmb_journal_stream *stream)
{
    tmb_undo *plan = &stream->failed;
    let_go(stream, &plan->fd);
    if (stream->loose.fd >= 0) {
        *plan = stream->loose;
        if (stream->fd >= 0)
            plan->bases[plan->count++] = stream->segments[stream->segments_count - 1].base;
        let_go(stream, &stream->fd);
    } else {
        plan->fd = stream->fd;
        plan->bytes = stream->safe_bytes;
        plan->count = 0;
    }
    stream->loose.fd = stream->fd = -1;
    stream->loose.count = 0;
    stream->segments_count -= plan->count;
    stream->segments[stream->segments_count - 1].bytes = plan->bytes;
}

/* What the next segment says of the numbers that went with a failure. When the open file was removed under us
 * that is all of it, and its owner is told what had been claimed. */
static void plan_gap(tmb_journal_stream *stream)
{
    tmb_journal *journal = stream->journal;
    uint64_t safe = stream->safe_seq;
    const tmb_segment_info *open = &stream->segments[stream->segments_count - 1];
    stream->gap_first = safe + 1;
    stream->gap_reason = TMB_GAP_TORN;
    stream->safe_seq = stream->next_seq - 1;
    if (!stream->is_removed || open->base > safe)
        return;
    tmb_tail_gap gap = {open->base, safe, TMB_GAP_MISSING, "", 0, 0};
    tmb_segment_name(open->base, gap.file);
    stream->gap_first = open->base;
    stream->gap_reason = TMB_GAP_MISSING;
    journal->counts.damaged_ranges++;
    if (journal->found)
        journal->found(journal->found_arg, stream->name, &gap);
}

/* Leaves the open segment after a failed write or sync. Gives whether records went with it. */
static bool leave(tmb_journal_stream *stream)
{
    tmb_journal *journal = stream->journal;
    bool has_lost = stream->safe_seq + 1 < stream->next_seq;
    journal->counts.failures++;
    stream->has_lost = false;
    if (has_lost || stream->is_removed)
        plan_gap(stream);
    if (stream->claimed_len >
        0) { /* nothing behind it has come to the file: it is only forgotten */
        stream->buffer_len = stream->claimed_len;
        return has_lost;
    }
    empty_buffer(stream);
    stream->is_dirty = false;
    bool is_whole_file = stream->is_removed && stream->loose.fd < 0;
    plan_undo(stream);
    stream->segments_count -= is_whole_file;
    stream->is_removed = false;
    journal->stamp = tmb_hlc_next(journal->stamp, (tmb_wall){0});
    tmb_err err = tmb_writer_begin(stream, journal->stamp);
    (void)err; /* counted; the next append tries again */
    return has_lost;
}

/* For an append: what went with it is told by the next flush or sync. */
static void leave_unsaid(tmb_journal_stream *stream)
{
    bool has_lost = stream->has_lost;
    stream->has_lost = leave(stream) || has_lost;
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
                             .created_ms = tmb_hlc_wall(stamp).ms,
                             .changed_ms = -1,
                             .closed = tmb_mono_never()};
    uint8_t bytes[TMB_SEGMENT_HEADER_BYTES];
    char name[TMB_SEGMENT_NAME_BYTES];
    memcpy(header.stream, stream->name, sizeof header.stream);
    memcpy(header.node, journal->identity.node, sizeof header.node);
    tmb_segment_header_encode(&header, bytes);
    tmb_segment_name(header.base, name);
    tmb_err err = tmb_writer_reserve_segment(stream);
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
    stream->file_bytes = sizeof bytes;
    stream->cached_from = 0;
    if (stream->loose.fd < 0) {
        stream->safe_bytes = sizeof bytes;
        stream->safe_seq = stream->next_seq - 1;
    }
    stream->gap_first = 0;
    stream->gap_reason = TMB_GAP_NONE;
    if (undo(stream, &stream->torn))
        let_go(stream, &stream->torn.fd); /* stays as it is: the new segment says what it is */
    err = undo(stream, &stream->failed);
    (void)err; /* counted; the next append tries again, before anything else */
    return TMB_OK;
}

/* The file must end where the write that failed has stopped, or going on would leave rubbish in between. */
static tmb_err mend_end(tmb_journal_stream *stream)
{
    const tmb_file_port *files = stream->journal->files;
    uint64_t end = stream->file_bytes + stream->done_len;
    int64_t size = files->size(files->context, stream->fd);
    if (size < 0)
        return tmb_files_err(size);
    if ((uint64_t)size < end)
        return TMB_EIO;
    return (uint64_t)size == end
               ? TMB_OK
               : tmb_files_err(files->truncate(files->context, stream->fd, (off_t)end));
}

/* Writes the buffer up to end, from where the last write stopped. */
static tmb_err write_up_to(tmb_journal_stream *stream, size_t end)
{
    tmb_journal *journal = stream->journal;
    size_t from = stream->done_len;
    tmb_err err = TMB_OK;
    if (end == from)
        return TMB_OK; /* of nothing the kernel allocates nothing: it calls that a mistake */
    if (journal->is_careful)
        err = tmb_files_err(journal->files->allocate(journal->files->context, stream->fd,
                                                     (off_t)(stream->file_bytes + from),
                                                     (off_t)(end - from)));
    if (err)
        return err;
    err = tmb_files_write_from(journal->files, stream->fd, tmb_bytes_of(stream->buffer, end),
                               &stream->done_len);
    journal->counts.written_bytes += stream->done_len - from;
    return err;
}

static void leave_ring(tmb_journal_stream *stream, const char *why)
{
    tmb_journal *journal = stream->journal;
    journal->counts.ring_troubles++;
    snprintf(journal->ring_note, sizeof journal->ring_note, "stream %s has no ring: %s",
             stream->name, why);
    tmb_ring_close(journal->files, &stream->ring, true);
    stream->buffer = NULL;
    stream->buffer_cap = 0;
}

/* What the buffer may do once it is empty. */
static void tidy_buffer(tmb_journal_stream *stream)
{
    if (is_in_ring(stream)) {
        if (!tmb_ring_is_sound(stream->journal->files, &stream->ring))
            leave_ring(stream, "its file was removed, or given to others, while it was in use");
    } else if (stream->heap_cap > 4 * TMB_BUFFER_BYTES || stream->ring.memory) {
        /* One large message must not hold its memory for ever. */
        free(stream->heap);
        stream->heap = stream->buffer = NULL;
        stream->heap_cap = stream->buffer_cap = 0;
    }
}

static tmb_err write_buffer(tmb_journal_stream *stream)
{
    tmb_err err = TMB_OK;
    if (stream->buffer_len == 0)
        return TMB_OK;
    if (stream->claimed_len > 0) {
        if (stream->is_stuck)
            err = mend_end(stream);
        if (!err)
            err = write_up_to(stream, stream->claimed_len);
        stream->is_stuck = err != TMB_OK;
        if (err)
            return err;
        stream->claimed_len = 0;
    }
    err = write_up_to(stream, stream->buffer_len);
    if (err)
        return err;
    stream->file_bytes += stream->buffer_len;
    stream->segments[stream->segments_count - 1].bytes = stream->file_bytes;
    stream->is_dirty = true;
    empty_buffer(stream);
    tidy_buffer(stream);
    return TMB_OK;
}

/* The three that the header promises. */
static tmb_err narrow(tmb_err err)
{
    return err == TMB_ENOSPC || err == TMB_ENOMEM ? err : TMB_EIO;
}

static void shrink_cache(tmb_journal_stream *stream)
{
    const tmb_file_port *files = stream->journal->files;
    if (stream->file_bytes < stream->cached_from + 2 * TMB_CACHED_BYTES)
        return;
    uint64_t to = stream->file_bytes - TMB_CACHED_BYTES;
    (void)files->forget(files->context, stream->fd, (off_t)stream->cached_from,
                        (off_t)(to - stream->cached_from));
    stream->cached_from = to;
}

/* A file that somebody has removed takes writes and syncs, and is gone when it is closed. */
static tmb_err check_name(tmb_journal_stream *stream)
{
    const tmb_file_port *files = stream->journal->files;
    int names = files->names(files->context, stream->fd);
    stream->is_removed = names == 0;
    return names < 0 ? tmb_files_err(names) : names == 0 ? TMB_EIO : TMB_OK;
}

static tmb_err write_and_sync(tmb_journal_stream *stream)
{
    tmb_journal *journal = stream->journal;
    tmb_err err = write_buffer(stream);
    if (!err && stream->is_dirty) {
        err = tmb_files_err(journal->files->sync(journal->files->context, stream->fd));
        if (!err)
            journal->counts.syncs++;
        if (!err)
            err = check_name(stream);
    }
    if (!err) {
        stream->is_dirty = false;
        shrink_cache(stream);
    }
    return err;
}

/* An append that failed took records with it for which no success was claimed yet: the next flush or sync
 * must say so, and what came after them goes the same way. */
static tmb_err confess(tmb_journal_stream *stream)
{
    stream->has_lost = false;
    if (stream->safe_seq + 1 < stream->next_seq)
        leave(stream);
    return TMB_EIO;
}

tmb_err tmb_journal_flush(tmb_journal_stream *stream)
{
    if (stream->has_lost || !is_in_ring(stream) || stream->buffer_len == 0)
        return tmb_journal_write(stream);
    if (stream->claimed_len < stream->buffer_len) {
        tmb_ring_place place = {stream->segments[stream->segments_count - 1].base,
                                stream->file_bytes, stream->buffer_seq};
        stream->claimed_len = stream->buffer_len;
        tmb_ring_commit(&stream->ring, &place, stream->buffer_len);
        claim(stream);
    }
    return TMB_OK;
}

tmb_err tmb_journal_write(tmb_journal_stream *stream)
{
    if (stream->has_lost)
        return confess(stream);
    tmb_err err = stream->fd < 0 ? TMB_OK : write_buffer(stream);
    if (err) {
        leave(stream);
        return narrow(err);
    }
    claim(stream);
    return TMB_OK;
}

tmb_err tmb_journal_sync(tmb_journal_stream *stream)
{
    if (stream->has_lost)
        return confess(stream);
    tmb_err err = stream->fd < 0 ? TMB_OK : write_and_sync(stream);
    if (err) {
        leave(stream);
        return narrow(err);
    }
    claim(stream);
    return TMB_OK;
}

tmb_err tmb_journal_settle(tmb_journal_stream *stream, tmb_wall now)
{
    tmb_journal *journal = stream->journal;
    tmb_err known = stream->has_lost ? confess(stream) : TMB_OK;
    (void)known; /* to a caller who knows that an append has failed */
    tmb_err err = tmb_journal_write(stream);
    if (err || (stream->failed.fd < 0 && stream->failed.count == 0))
        return err;
    if (stream->fd < 0) {
        journal->stamp = tmb_hlc_next(journal->stamp, now);
        err = tmb_writer_begin(stream, journal->stamp);
    }
    if (!err)
        err = undo(stream, &stream->failed);
    return err ? narrow(err) : TMB_OK;
}

/* Closes the full segment. While it holds records for which nothing was claimed, it can still be cut. */
static tmb_err rotate(tmb_journal_stream *stream)
{
    tmb_undo *loose = &stream->loose;
    tmb_err err = write_and_sync(stream);
    if (err) {
        leave_unsaid(stream);
        return err;
    }
    if (loose->fd >= 0) {
        loose->bases[loose->count++] = stream->segments[stream->segments_count - 1].base;
    } else if (stream->safe_seq + 1 < stream->next_seq) {
        loose->fd = stream->fd;
        loose->bytes = stream->safe_bytes;
        stream->fd = -1;
    }
    let_go(stream, &stream->fd);
    stream->journal->counts.rotations++;
    return TMB_OK;
}

/* Numbers up to seq are given to nobody any more; the next segment says so. */
static tmb_err pass_over(tmb_journal_stream *stream, uint64_t seq, tmb_gap_reason reason)
{
    tmb_err err = tmb_journal_sync(stream);
    if (stream->claimed_len == 0)
        let_go(stream, &stream->fd);
    if (stream->gap_first == 0)
        stream->gap_first = stream->next_seq;
    stream->gap_reason = reason;
    stream->next_seq = seq + 1;
    stream->safe_seq = seq;
    return err;
}

void tmb_journal_shed(tmb_journal_stream *stream, uint64_t seq)
{
    if (seq < stream->next_seq)
        return;
    tmb_err err = pass_over(stream, seq, TMB_GAP_RETENTION);
    (void)err; /* what was buffered had no promise; counted */
}

tmb_err tmb_journal_skip(tmb_journal_stream *stream, uint64_t seq, tmb_gap_reason reason,
                         tmb_wall now)
{
    tmb_journal *journal = stream->journal;
    if (seq < stream->next_seq)
        return TMB_OK;
    tmb_err err = pass_over(stream, seq, reason);
    journal->stamp = tmb_hlc_next(journal->stamp, now);
    if (!err)
        err = tmb_writer_begin(stream, journal->stamp);
    return err ? narrow(err) : TMB_OK;
}

/* Room for size bytes in the buffer. */
static tmb_err make_room(tmb_journal_stream *stream, size_t size)
{
    if (stream->buffer_len > 0 && size > stream->buffer_cap - stream->buffer_len) {
        tmb_err err = write_buffer(stream);
        if (err) {
            leave_unsaid(stream);
            return err;
        }
    }
    if (stream->buffer_len > 0)
        return TMB_OK;
    stream->buffer_seq = stream->next_seq;
    if (stream->ring.memory && size <= TMB_BUFFER_BYTES) {
        stream->buffer = tmb_ring_buffer(&stream->ring);
        stream->buffer_cap = TMB_BUFFER_BYTES;
        return TMB_OK;
    }
    size_t cap = size > TMB_BUFFER_BYTES ? size : TMB_BUFFER_BYTES;
    if (cap > stream->heap_cap) {
        uint8_t *heap = realloc(stream->heap, cap);
        if (!heap)
            return TMB_ENOMEM;
        stream->heap = heap;
        stream->heap_cap = cap;
    }
    stream->buffer = stream->heap;
    stream->buffer_cap = stream->heap_cap;
    return TMB_OK;
}

/* What was claimed and could not be written goes first; then the numbers that were lost behind it are left
 * out, by a new segment. */
static tmb_err settle_claims(tmb_journal_stream *stream)
{
    if (stream->is_stuck) {
        tmb_err err = write_buffer(stream);
        if (err) {
            leave_unsaid(stream);
            return err;
        }
    }
    return stream->fd >= 0 && stream->gap_first > 0 ? rotate(stream) : TMB_OK;
}

tmb_err tmb_journal_probe(tmb_journal_stream *stream, tmb_wall now)
{
    tmb_journal *journal = stream->journal;
    tmb_err err = tmb_journal_settle(stream, now);
    if (!err)
        err = settle_claims(stream);
    if (!err && stream->fd < 0) {
        journal->stamp = tmb_hlc_next(journal->stamp, now);
        err = tmb_writer_begin(stream, journal->stamp);
    }
    return err ? narrow(err) : TMB_OK;
}

/* An open segment with room for a record of size bytes, and nothing left from a failure. */
static tmb_err make_ready(tmb_journal_stream *stream, size_t size, tmb_wall now)
{
    tmb_journal *journal = stream->journal;
    tmb_err err = settle_claims(stream);
    if (err)
        return err;
    uint64_t used = stream->file_bytes + stream->buffer_len;
    if (stream->fd >= 0 && used + size > journal->segment_bytes &&
        used > TMB_SEGMENT_HEADER_BYTES && stream->loose.count < TMB_LOOSE_MAX) {
        err = rotate(stream);
        if (err)
            return err;
    }
    if (stream->fd < 0) {
        journal->stamp = tmb_hlc_next(journal->stamp, now);
        err = tmb_writer_begin(stream, journal->stamp);
        if (err)
            return err;
    }
    err = undo(stream, &stream->failed);
    return err ? err : make_room(stream, size);
}

tmb_err tmb_journal_append(tmb_journal_stream *stream, const tmb_record *record, tmb_wall now,
                           uint64_t *ret_seq)
{
    tmb_journal *journal = stream->journal;
    tmb_record numbered = *record;
    size_t size = tmb_record_size(record), len = 0;
    if (size > TMB_RECORD_BYTES_MAX)
        return TMB_ELIMIT;
    tmb_err err = make_ready(stream, size, now);
    if (err)
        return narrow(err);
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

bool tmb_journal_has_unwritten(const tmb_journal_stream *stream)
{
    return stream->buffer_len > 0;
}

bool tmb_journal_has_ring(const tmb_journal_stream *stream)
{
    return stream->ring.memory != NULL;
}

void tmb_journal_drop_ring(tmb_journal_stream *stream)
{
    if (stream->buffer_len == 0 && !is_in_ring(stream))
        tmb_ring_close(stream->journal->files, &stream->ring, true);
}

uint64_t tmb_journal_last_seq(const tmb_journal_stream *stream)
{
    return stream->next_seq - 1;
}

uint64_t tmb_journal_first_seq(const tmb_journal_stream *stream)
{
    return stream->segments_count > 0 ? stream->segments[0].base : stream->next_seq;
}

void tmb_writer_make_ring(tmb_journal_stream *stream)
{
    tmb_journal *journal = stream->journal;
    if (journal->ring_folder.text[0] == '\0')
        return;
    tmb_err err = tmb_ring_make(journal->files, journal->ring_folder.text, &journal->identity,
                                stream->name, &stream->ring);
    if (!err)
        return;
    journal->counts.ring_troubles++;
    if (journal->ring_note[0] == '\0')
        snprintf(journal->ring_note, sizeof journal->ring_note, "stream %s has no ring: %.300s: %s",
                 stream->name, journal->ring_folder.text,
                 err == TMB_EINVAL  ? "is not a folder in memory (tmpfs)"
                 : err == TMB_EBUSY ? "one is there that is in use or does not fit"
                                    : tmb_err_str(err));
}

void tmb_writer_close(tmb_journal_stream *stream)
{
    /* Without a new segment that names their numbers, records are rather kept than their numbers reused. */
    if (stream->fd >= 0 && undo(stream, &stream->failed))
        stream->journal->counts.failures++;
    let_go(stream, &stream->fd);
    let_go(stream, &stream->loose.fd);
    let_go(stream, &stream->failed.fd);
    let_go(stream, &stream->torn.fd);
    tmb_ring_close(stream->journal->files, &stream->ring, stream->claimed_len == 0);
    free(stream->heap);
    free(stream->segments);
    free(stream);
}
