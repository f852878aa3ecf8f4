// SPDX-License-Identifier: Apache-2.0
/* journal/retain.c - drop what a stream need not keep: whole segments, the oldest first, never the open one.
 *
 * The oldest first even when a file refuses to go: readers tell a retained gap from a lost file by whether
 * older segments are still there.
 *
 * How old is a segment? The date is the wrong thing to ask where there is better: a box boots in 1970,
 * writes a backlog, is told the date, and all of it is fifty years old; or once believes in 2099, and as
 * stamps never go back, nothing grows old again. So:
 *
 *   closed by this process     time since then, of the clock that never steps
 *   closed before it           the same, or more if the file's date says so
 *
 * The file's date is the later of its last stamp and its last write (of a stamp that lies ahead, the last
 * write alone). No date before this software is one, and today's goes on as the steady clock does from the
 * first one that can be true: set forward, it is not believed until the next start; set back, it is.
 */
#include "journal/writer.h"

/* 2026-01-01: an earlier date is that of a clock which nobody has set. */
#define EARLIEST_MS INT64_C(1767225600000)

/* Today, or 0 when nobody knows. */
static int64_t believe(tmb_journal *journal, tmb_mono now, tmb_wall wall)
{
    int64_t today_ms = journal->date.ms + (now.ns - journal->date_at.ns) / 1000000;
    if (wall.ms < EARLIEST_MS)
        return journal->date.ms > 0 ? today_ms : 0;
    if (journal->date.ms == 0 || wall.ms < today_ms) {
        journal->date = wall;
        journal->date_at = now;
        return wall.ms;
    }
    return today_ms;
}

/* A segment's records all have stamps below that at which the next was begun. Where a header is damaged a
 * later one stands in: that errs towards keeping. */
static int64_t last_stamp_ms(const tmb_journal_stream *stream, size_t i)
{
    for (size_t k = i + 1; k < stream->segments_count; k++) {
        if (stream->segments[k].created_ms >= 0)
            return stream->segments[k].created_ms;
    }
    return INT64_MAX;
}

static int64_t age_ms(const tmb_journal_stream *stream, size_t i, tmb_mono now, int64_t today_ms)
{
    const tmb_segment_info *info = &stream->segments[i];
    int64_t seen_ms = (now.ns - info->closed.ns) / 1000000;
    if (info->changed_ms < 0)
        return seen_ms;
    int64_t stamp_ms = last_stamp_ms(stream, i), date_ms = info->changed_ms;
    if (stamp_ms <= today_ms && stamp_ms > date_ms)
        date_ms = stamp_ms;
    if (date_ms < EARLIEST_MS || today_ms - date_ms < seen_ms)
        return seen_ms;
    return today_ms - date_ms;
}

/* May the oldest segment go? */
static bool is_due(const tmb_journal_stream *stream, const tmb_retention *rule, uint64_t bytes,
                   uint64_t keep_from, tmb_mono now, int64_t today_ms)
{
    if (stream->segments_count < 2 || stream->segments[1].base > keep_from)
        return false;
    if (rule->bytes_max > 0 && bytes > rule->bytes_max)
        return true;
    return rule->age_ms_max > 0 && age_ms(stream, 0, now, today_ms) > rule->age_ms_max;
}

static tmb_err drop(tmb_journal_stream *stream, const tmb_segment_info *info,
                    const tmb_segment_info *next, bool is_for_room)
{
    tmb_journal *journal = stream->journal;
    const tmb_file_port *files = stream->journal->files;
    char name[TMB_SEGMENT_NAME_BYTES];
    tmb_segment_name(info->base, name);
    tmb_path path = tmb_path_join(stream->folder.text, name);
    uint64_t end = next->gap_first > 0 ? next->gap_first : next->base;
    tmb_journal_drop what = {info->base, end - 1, info->bytes, is_for_room, false};
    if (journal->drops)
        journal->drops(journal->drops_arg, stream->name, &what);
    tmb_err err = tmb_files_err(files->unlink(files->context, path.text));
    if (err && err != TMB_ENOENT) {
        stream->journal->counts.failures++;
        what.is_undone = true;
        if (journal->drops)
            journal->drops(journal->drops_arg, stream->name, &what);
        return TMB_EIO;
    }
    journal->counts.dropped_segments++;
    journal->counts.dropped_records += end > info->base ? end - info->base : 0;
    return TMB_OK;
}

/* Takes the first of the list, whose file is gone. The folder is synced each time, for a disk may keep the
 * later of two removals and lose the earlier: a file between two others would then be missing. */
static tmb_err forget(tmb_journal_stream *stream)
{
    stream->segments_count--;
    memmove(stream->segments, stream->segments + 1,
            stream->segments_count * sizeof *stream->segments);
    return tmb_files_sync_folder(stream->journal->files, stream->folder.text) ? TMB_EIO : TMB_OK;
}

tmb_err tmb_journal_retain(tmb_journal_stream *stream, const tmb_retention *rule,
                           uint64_t keep_from, tmb_mono now, tmb_wall wall)
{
    uint64_t bytes = stream->buffer_len;
    tmb_err err = TMB_OK;
    int64_t today_ms = believe(stream->journal, now, wall);
    for (size_t i = 0; i < stream->segments_count; i++) {
        tmb_segment_info *info = &stream->segments[i];
        bytes += info->bytes;
        if (i + 1 < stream->segments_count && info->closed.ns == tmb_mono_never().ns)
            info->closed = now;
    }
    while (!err && is_due(stream, rule, bytes, keep_from, now, today_ms)) {
        bytes -= stream->segments[0].bytes;
        err = drop(stream, &stream->segments[0], &stream->segments[1], false);
        if (!err)
            err = forget(stream);
    }
    return err;
}

tmb_err tmb_journal_drop_oldest(tmb_journal_stream *stream, uint64_t keep_from)
{
    if (stream->segments_count < 2)
        return TMB_ENOENT;
    if (stream->segments[1].base > keep_from)
        return TMB_EBUSY;
    tmb_err err = drop(stream, &stream->segments[0], &stream->segments[1], true);
    return err ? err : forget(stream);
}
