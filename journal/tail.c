// SPDX-License-Identifier: Apache-2.0
/* journal/tail.c - read a stream that somebody else is writing.
 *
 *   no segment --enter--> reading --its end, and a later segment exists--> leave --> no segment
 *
 * A segment that was at its end before its successor was seen is looked at once more: the writer may have
 * added to it in between. What is missing between two segments is told when the second is entered, for its
 * header knows the reason. Half a record at the end of the newest segment is a write in progress, or one
 * that the writer will cut off: both mean "nothing now".
 */
#include "journal/tail.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "journal/quarantine.h"
#include "journal/tail_inside.h"

tmb_err tmb_tail_open(const char *root, const char *stream, const tmb_file_port *files,
                      tmb_tail **ret_tail)
{
    size_t root_len = strlen(root), stream_len = strlen(stream);
    if (!tmb_name_is_valid(tmb_bytes_str(stream), TMB_STREAM_NAME_BYTES_MAX) || root_len == 0 ||
        root_len >= TMB_PATH_BYTES / 2)
        return TMB_EINVAL;
    tmb_tail *tail = calloc(1, sizeof *tail);
    if (!tail)
        return TMB_ENOMEM;
    tail->files = files ? files : tmb_file_port_posix();
    memcpy(tail->root.text, root, root_len + 1);
    memcpy(tail->stream, stream, stream_len + 1);
    tail->folder = tmb_path_join(root, stream);
    tail->scan.fd = tail->range_scan.fd = tail->watch_fd = tail->watch_id = -1;
    tail->scan.files = tail->range_scan.files = tail->files;
    tail->expect = tail->floor = 1;
    tail->floor_ms = INT64_MIN;
    *ret_tail = tail;
    return TMB_OK;
}

void tmb_tail_close(tmb_tail *tail)
{
    if (!tail)
        return;
    tmb_tail_reset(tail);
    for (size_t i = 0; i < tail->unsynced_count; i++)
        tail->files->close(tail->files->context, tail->unsynced[i]);
    if (tail->watch_fd >= 0)
        close(tail->watch_fd);
    tmb_scan_fini(&tail->scan);
    tmb_scan_fini(&tail->range_scan);
    tmb_segment_list_fini(&tail->list);
    free(tail);
}

static void tell(tmb_tail *tail, tmb_gap_reason reason, uint64_t first, uint64_t last,
                 const tmb_tail_end *where)
{
    tmb_tail_gap gap = {first, last, reason, "", 0, 0};
    if (where && where->base > 0 && where->bytes > 0) {
        tmb_segment_name(where->base, gap.file);
        gap.offset = where->offset;
        gap.bytes = where->bytes;
    }
    TMB_ASSERT(tail->gaps_count < TMB_TAIL_GAPS_MAX);
    tail->gaps[tail->gaps_count++] = gap;
}

/* Keeps the file that was read open until tmb_tail_sync. */
static void keep_for_sync(tmb_tail *tail)
{
    const tmb_file_port *files = tail->files;
    if (!tail->is_unsynced)
        return;
    tail->is_unsynced = false;
    if (tail->unsynced_count == TMB_TAIL_UNSYNCED_MAX) {
        int oldest = tail->unsynced[0];
        if (files->sync(files->context, oldest) < 0)
            tail->sync_err = TMB_EIO;
        files->close(files->context, oldest);
        memmove(tail->unsynced, tail->unsynced + 1,
                (TMB_TAIL_UNSYNCED_MAX - 1) * sizeof tail->unsynced[0]);
        tail->unsynced_count--;
    }
    tail->unsynced[tail->unsynced_count++] = tail->scan.fd;
    tail->scan.fd = -1;
}

void tmb_tail_reset(tmb_tail *tail)
{
    keep_for_sync(tail);
    tmb_scan_stop(&tail->scan);
    tail->base = 0;
    tail->is_closed = false;
    tail->before = (tmb_tail_end){0, 0, 0};
    tail->gaps_count = tail->gaps_told = 0;
    tail->noticed = 0;
}

/* ---- entering a segment --------------------------------------------------------------------------- */

/* The next segment to read, or 0: behind the one before; after a seek, the last one that can hold floor. */
static uint64_t choose(tmb_tail *tail)
{
    uint64_t next = 0;
    for (size_t i = 0; i < tail->list.count; i++) {
        uint64_t base = tail->list.bases[i];
        if (base <= tail->before.base)
            continue;
        if (next == 0 || (tail->is_seeking && base <= tail->floor))
            next = base;
    }
    return next;
}

static bool has_older(const tmb_tail *tail, uint64_t base)
{
    return tail->list.count > 0 && tail->list.bases[0] < base;
}

/* What is missing before base, by what the segment before ended with and what this one's header says. */
static void tell_missing(tmb_tail *tail, uint64_t base, const tmb_segment_header *header)
{
    const tmb_tail_end *bad = tail->before.bytes > 0 ? &tail->before : NULL;
    uint64_t skipped = base; /* the first number that the writer left out on purpose */
    if (header && header->gap_reason != TMB_GAP_NONE && header->gap_first < base)
        skipped = header->gap_first > tail->expect ? header->gap_first : tail->expect;
    if (tail->expect < skipped) {
        tmb_gap_reason reason = TMB_GAP_RETENTION;
        if (bad || (!header && tail->before.base > 0))
            reason = TMB_GAP_DAMAGED;
        else if (has_older(tail, base))
            reason = TMB_GAP_MISSING;
        tell(tail, reason, tail->expect, skipped - 1, bad);
        bad = NULL;
    }
    if (skipped < base) {
        tell(tail, header->gap_reason, skipped, base - 1, bad);
        bad = NULL;
    }
    if (bad)
        tell(tail, TMB_GAP_DAMAGED, base, 0, bad);
}

static void begin_reading(tmb_tail *tail, int fd, uint64_t base, const tmb_segment_header *header)
{
    if (tail->is_seeking) {
        tail->expect = base < tail->floor ? base : tail->floor;
        tail->is_seeking = false;
    }
    tail->gaps_count = tail->gaps_told = 0;
    if (base > tail->expect || tail->before.bytes > 0)
        tell_missing(tail, base, header);
    if (base > tail->expect)
        tail->expect = base;
    if (!header) {
        int64_t size = tail->files->size(tail->files->context, fd);
        uint64_t bytes = size < (int64_t)TMB_SEGMENT_HEADER_BYTES ? (uint64_t)(size < 0 ? 0 : size)
                                                                  : TMB_SEGMENT_HEADER_BYTES;
        tmb_tail_end where = {base, 0, bytes};
        tell(tail, TMB_GAP_DAMAGED, tail->expect, 0, &where);
        tmb_segment_name(base, tail->gaps[tail->gaps_count - 1].file);
    }
    tail->base = base;
    tail->is_closed = false;
    tail->noticed = 0;
    tmb_scan_start(&tail->scan, tail->files, fd, TMB_SEGMENT_HEADER_BYTES, tail->expect);
}

/* Looks anew for where the next number is. */
static void look_anew(tmb_tail *tail)
{
    int64_t floor_ms = tail->floor_ms;
    tmb_err err = tmb_tail_seek(tail, tail->expect > tail->floor ? tail->expect : tail->floor);
    TMB_ASSERT(!err);
    tail->floor_ms = floor_ms;
}

/* A name without a file is no successor: the segment before it may be the one that is written. */
static void step_back(tmb_tail *tail)
{
    if (tail->before.base > 0)
        look_anew(tail);
}

/* What is made or removed while a folder is read may be in its list or not, also the later of two without the
 * earlier. What was there before, and still is, is in the next list for sure. */
static tmb_err list_again(tmb_tail *tail, bool *ret_is_same)
{
    tmb_segment_list again = {NULL, 0, 0};
    tmb_err err = tmb_segment_list_load(&again, tail->files, tail->folder.text);
    *ret_is_same = again.count == tail->list.count &&
                   memcmp(again.bases, tail->list.bases, again.count * sizeof *again.bases) == 0;
    tmb_segment_list_fini(&again);
    return err;
}

/* Numbers are missing before base, and its header does not say why. */
static bool is_doubtful(const tmb_tail *tail, uint64_t base, const tmb_segment_header *header)
{
    uint64_t from = tail->is_seeking ? tail->floor : tail->expect;
    bool is_told = header && header->gap_reason != TMB_GAP_NONE && header->gap_first <= from;
    return base > from && !is_told;
}

static tmb_err enter(tmb_tail *tail, tmb_tail_gap *ret_gap)
{
    const tmb_file_port *files = tail->files;
    for (;;) {
        tmb_segment_header header;
        int fd = -1;
        tmb_err err = tmb_segment_list_load(&tail->list, files, tail->folder.text);
        if (err)
            return err;
        uint64_t base = choose(tail);
        if (base == 0)
            return TMB_EAGAIN;
        err = tmb_segment_open_listed(files, tail->folder.text, base, &fd);
        if (err == TMB_ENOENT)
            continue; /* retention was faster: what is there now? */
        if (err) {
            *ret_gap = (tmb_tail_gap){tail->expect, 0, TMB_GAP_NONE, "", 0, 0};
            tmb_segment_name(base, ret_gap->file);
            step_back(tail);
            return err;
        }
        err = tmb_segment_header_read(files, fd, base, tail->stream, &header);
        if (err && err != TMB_ECORRUPT) {
            files->close(files->context, fd);
            if (err == TMB_EVERSION) {
                *ret_gap = (tmb_tail_gap){tail->expect, 0, TMB_GAP_NONE, "", 0, 0};
                tmb_segment_name(base, ret_gap->file);
            }
            return err;
        }
        const tmb_segment_header *known = err ? NULL : &header;
        bool is_same = true;
        err = is_doubtful(tail, base, known) ? list_again(tail, &is_same) : TMB_OK;
        if (err || !is_same) {
            files->close(files->context, fd);
            if (err)
                return err;
            continue;
        }
        begin_reading(tail, fd, base, known);
        return TMB_OK;
    }
}

/* ---- reading ------------------------------------------------------------------------------------------ */

/* A segment that could not be begun for good is removed, empty, after it has been seen: its numbers are then
 * given in another file, of the same name or an earlier one. */
static bool is_withdrawn(const tmb_tail *tail, const tmb_scan_found *found)
{
    return found->kind == TMB_SCAN_END && found->offset == TMB_SEGMENT_HEADER_BYTES &&
           tail->files->names(tail->files->context, tail->scan.fd) == 0;
}

/* The file ends here. TMB_OK: it has been left, or must be looked at once more. */
static tmb_err at_end(tmb_tail *tail, const tmb_scan_found *found, tmb_tail_gap *ret_gap)
{
    if (is_withdrawn(tail, found)) {
        look_anew(tail);
        return TMB_OK;
    }
    if (!tail->is_closed) {
        tmb_err err = tmb_segment_list_load(&tail->list, tail->files, tail->folder.text);
        if (err)
            return err;
        tail->is_closed =
            tail->list.count > 0 && tail->list.bases[tail->list.count - 1] > tail->base;
        if (tail->is_closed)
            return TMB_OK;
        if (found->kind != TMB_SCAN_BAD_END || tail->noticed == found->offset)
            return TMB_EAGAIN;
        tail->noticed = found->offset;
        *ret_gap =
            (tmb_tail_gap){tail->expect, 0, TMB_GAP_DAMAGED, "", found->offset, found->bytes};
        tmb_segment_name(tail->base, ret_gap->file);
        return TMB_EGAP;
    }
    tail->before = (tmb_tail_end){tail->base, found->offset, found->bytes};
    keep_for_sync(tail);
    tmb_scan_stop(&tail->scan);
    tail->base = 0;
    return TMB_OK;
}

/* The next gap that reaches up to floor, cut off below it. */
static bool next_gap(tmb_tail *tail, tmb_tail_gap *ret_gap)
{
    while (tail->gaps_told < tail->gaps_count) {
        tmb_tail_gap gap = tail->gaps[tail->gaps_told++];
        if (gap.last_seq != 0 && gap.last_seq < tail->floor)
            continue;
        if (gap.first_seq < tail->floor)
            gap.first_seq = tail->floor;
        *ret_gap = gap;
        return true;
    }
    tail->gaps_count = tail->gaps_told = 0;
    return false;
}

static bool is_passed_over(const tmb_tail *tail, const tmb_record *record)
{
    return record->seq < tail->floor || tmb_hlc_wall(record->stamp).ms < tail->floor_ms;
}

tmb_err tmb_tail_next(tmb_tail *tail, tmb_record *ret_record, tmb_tail_gap *ret_gap)
{
    for (;;) {
        tmb_scan_found found;
        tmb_err err;
        if (next_gap(tail, ret_gap))
            return TMB_EGAP;
        if (tail->base == 0) {
            err = enter(tail, ret_gap);
            if (err)
                return err;
            continue;
        }
        err = tmb_scan_next(&tail->scan, tail->is_closed, &found);
        if (err)
            return err;
        if (found.kind == TMB_SCAN_RECORD) {
            tail->expect = found.record.seq + 1;
            if (is_passed_over(tail, &found.record))
                continue;
            tail->floor_ms = INT64_MIN;
            tail->is_unsynced = true;
            *ret_record = found.record;
            return TMB_OK;
        }
        if (found.kind == TMB_SCAN_BAD) {
            tmb_tail_end where = {tail->base, found.offset, found.bytes};
            uint64_t last = found.next_expect > tail->expect ? found.next_expect - 1 : 0;
            tell(tail, TMB_GAP_DAMAGED, tail->expect, last, &where);
            tail->expect = found.next_expect;
            continue;
        }
        err = at_end(tail, &found, ret_gap);
        if (err)
            return err;
    }
}

tmb_err tmb_tail_sync(tmb_tail *tail)
{
    const tmb_file_port *files = tail->files;
    tmb_err err = tail->sync_err;
    while (!err && tail->unsynced_count > 0) {
        int fd = tail->unsynced[tail->unsynced_count - 1];
        if (files->sync(files->context, fd) < 0)
            return TMB_EIO;
        files->close(files->context, fd);
        tail->unsynced_count--;
    }
    if (!err && tail->is_unsynced && files->sync(files->context, tail->scan.fd) < 0)
        err = TMB_EIO;
    if (!err)
        tail->is_unsynced = false;
    tail->sync_err = TMB_OK;
    return err;
}

tmb_err tmb_tail_quarantine(tmb_tail *tail, const tmb_tail_gap *gap)
{
    tmb_err err = tmb_quarantine_copy(tail->files, tail->folder.text, gap);
    return err == TMB_OK || err == TMB_ENOSPC ? err : TMB_EIO;
}
