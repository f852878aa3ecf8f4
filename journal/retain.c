// SPDX-License-Identifier: Apache-2.0
/* journal/retain.c - drop what a stream need not keep: whole segments, the oldest first, never the open one.
 *
 * The oldest first even when a file refuses to go: readers tell a retained gap from a lost file by whether
 * older segments are still there.
 */
#include "journal/writer.h"

/* A segment's records all have stamps below that at which the next was begun. Where a header is damaged a
 * later one stands in: that errs towards keeping. */
static int64_t newest_ms(const tmb_journal_stream *stream, size_t i, tmb_wall now)
{
    for (size_t k = i + 1; k < stream->segments_count; k++) {
        if (stream->segments[k].created_ms >= 0)
            return stream->segments[k].created_ms;
    }
    return now.ms;
}

static bool is_due(const tmb_journal_stream *stream, size_t i, const tmb_retention *rule,
                   uint64_t bytes, uint64_t keep_from, tmb_wall now)
{
    if (i + 1 >= stream->segments_count || stream->segments[i + 1].base > keep_from)
        return false;
    if (rule->bytes_max > 0 && bytes > rule->bytes_max)
        return true;
    return rule->age_ms_max > 0 && now.ms - newest_ms(stream, i, now) > rule->age_ms_max;
}

static tmb_err drop(tmb_journal_stream *stream, const tmb_segment_info *info,
                    const tmb_segment_info *next)
{
    const tmb_file_port *files = stream->journal->files;
    char name[TMB_SEGMENT_NAME_BYTES];
    tmb_segment_name(info->base, name);
    tmb_path path = tmb_path_join(stream->folder.text, name);
    tmb_err err = tmb_files_err(files->unlink(files->context, path.text));
    if (err && err != TMB_ENOENT) {
        stream->journal->counts.failures++;
        return TMB_EIO;
    }
    uint64_t end = next->gap_first > 0 ? next->gap_first : next->base;
    stream->journal->counts.dropped_segments++;
    stream->journal->counts.dropped_records += end > info->base ? end - info->base : 0;
    return TMB_OK;
}

tmb_err tmb_journal_retain(tmb_journal_stream *stream, const tmb_retention *rule,
                           uint64_t keep_from, tmb_wall now)
{
    uint64_t bytes = stream->buffer_len;
    size_t dropped = 0;
    tmb_err err = TMB_OK;
    for (size_t i = 0; i < stream->segments_count; i++)
        bytes += stream->segments[i].bytes;
    while (!err && is_due(stream, dropped, rule, bytes, keep_from, now)) {
        err = drop(stream, &stream->segments[dropped], &stream->segments[dropped + 1]);
        if (!err)
            bytes -= stream->segments[dropped++].bytes;
    }
    if (dropped == 0)
        return err;
    stream->segments_count -= dropped;
    memmove(stream->segments, stream->segments + dropped,
            stream->segments_count * sizeof *stream->segments);
    if (!err)
        err = tmb_files_sync_folder(stream->journal->files, stream->folder.text);
    return err ? TMB_EIO : TMB_OK;
}
