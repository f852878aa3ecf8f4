// SPDX-License-Identifier: Apache-2.0
/* journal/tail_seek.c - go to a number or a time, and say what there is. */
#include <fcntl.h>

#include "journal/tail_inside.h"

tmb_err tmb_tail_seek(tmb_tail *tail, uint64_t seq)
{
    tmb_tail_reset(tail);
    tail->floor = tail->expect = seq > 0 ? seq : 1;
    tail->floor_ms = INT64_MIN;
    tail->is_seeking = true;
    return TMB_OK;
}

/* When segment base was begun, or ENOENT when it does not say. */
static tmb_err read_header(tmb_tail *tail, uint64_t base, tmb_segment_header *ret_header)
{
    int fd = -1;
    tmb_err err = tmb_segment_open_listed(tail->files, tail->folder.text, base, &fd);
    if (err)
        return err;
    err = tmb_segment_header_read(tail->files, fd, base, tail->stream, ret_header);
    tail->files->close(tail->files->context, fd);
    return err == TMB_EIO || err == TMB_ENOMEM ? err : err ? TMB_ENOENT : TMB_OK;
}

tmb_err tmb_tail_seek_time(tmb_tail *tail, tmb_wall when)
{
    tmb_tail_reset(tail);
    tmb_err err = tmb_segment_list_load(&tail->list, tail->files, tail->folder.text);
    if (err)
        return err;
    tail->is_seeking = tail->list.count > 0;
    tail->expect = tail->floor = tail->list.count > 0 ? tail->list.bases[0] : 1;
    tail->floor_ms = when.ms;
    /* The last segment that was begun before that time; a header that cannot be read decides nothing. */
    for (size_t i = tail->list.count; i > 1; i--) {
        tmb_segment_header header;
        err = read_header(tail, tail->list.bases[i - 1], &header);
        if (err == TMB_ENOENT)
            continue;
        if (err)
            return err;
        if (tmb_hlc_wall(header.created).ms < when.ms) {
            tail->floor = tail->expect = tail->list.bases[i - 1];
            break;
        }
    }
    return TMB_OK;
}

/* A log that was moved away and begun anew may have a segment of the same number; not of the same header. */
static bool is_same_segment(const tmb_segment_header *a, const tmb_segment_header *b)
{
    return a->base == b->base && a->created.u64 == b->created.u64 &&
           tmb_incarnation_eq(a->incarnation, b->incarnation);
}

/* Moves range_scan to the end of segment base. */
static tmb_err scan_to_end(tmb_tail *tail, uint64_t base, const tmb_segment_header *header)
{
    tmb_scan *scan = &tail->range_scan;
    if (tail->range_base == base && scan->fd >= 0 && is_same_segment(&tail->range_header, header)) {
        int64_t size = tail->files->size(tail->files->context, scan->fd);
        if (size < 0)
            return tmb_files_err(size);
        if ((uint64_t)size < scan->offset) /* cut: begin again */
            tmb_scan_start(scan, tail->files, scan->fd, TMB_SEGMENT_HEADER_BYTES, base);
    } else {
        int fd = -1;
        tmb_err err = tmb_segment_open_listed(tail->files, tail->folder.text, base, &fd);
        if (err)
            return err;
        tmb_scan_stop(scan);
        tmb_scan_start(scan, tail->files, fd, TMB_SEGMENT_HEADER_BYTES, base);
        tail->range_base = base;
        tail->range_header = *header;
    }
    for (;;) {
        tmb_scan_found found;
        tmb_err err = tmb_scan_next(scan, false, &found);
        if (err)
            return err;
        if (found.kind != TMB_SCAN_RECORD && found.kind != TMB_SCAN_BAD)
            return TMB_OK;
    }
}

tmb_err tmb_tail_range(tmb_tail *tail, uint64_t *ret_first, uint64_t *ret_last,
                       tmb_incarnation *ret_incarnation)
{
    tmb_segment_list list = {NULL, 0, 0};
    tmb_segment_header header;
    tmb_err err = tmb_segment_list_load(&list, tail->files, tail->folder.text);
    if (!err && list.count == 0)
        err = TMB_ENOENT;
    if (err)
        goto out;
    /* The newest header that is whole. */
    err = TMB_ENOENT;
    for (size_t i = list.count; i > 0 && err == TMB_ENOENT; i--)
        err = read_header(tail, list.bases[i - 1], &header);
    if (!err)
        err = scan_to_end(tail, list.bases[list.count - 1], &header);
    if (!err) {
        *ret_first = list.bases[0];
        *ret_last = tail->range_scan.expect - 1;
        *ret_incarnation = header.incarnation;
    }
out:
    tmb_segment_list_fini(&list);
    return err;
}

const char *tmb_tail_node(const tmb_tail *tail)
{
    return tail->range_header.node;
}
