// SPDX-License-Identifier: Apache-2.0
/* journal/recover.c - find where a stream stands when it is opened.
 *
 * The newest segment is read through. What it ends with decides:
 *
 *   good record, end of file    go on in this segment
 *   half a record, or zeros     torn by a crash: a new segment is begun that names the numbers that the
 *                               bytes could have held, then the bytes are cut off
 *   anything else               damage: copied into quarantine, the file stays as it is, and a new segment
 *                               is begun in the same way
 *
 * Older segments are only asked for their headers, and, newest first, for the last good record in the whole
 * stream: stamps go on above it.
 */
#include <fcntl.h>
#include <stdio.h>

#include "journal/quarantine.h"
#include "journal/scan.h"
#include "journal/writer.h"

typedef struct recovery {
    tmb_journal_stream *stream;
    tmb_scan scan;
    uint64_t base; /* of the segment that is read */
    bool is_newest;
    bool needs_segment;
    bool has_record;
    uint64_t last_seq; /* in it; base - 1 for none */
    uint64_t torn_base, torn_offset;
    char *text;
    size_t text_cap;
} recovery;

static tmb_err fail(const recovery *r, tmb_err err, const char *why)
{
    char name[TMB_SEGMENT_NAME_BYTES];
    tmb_segment_name(r->base, name);
    if (r->text && r->text_cap > 0)
        snprintf(r->text, r->text_cap, "%s/%s: %s", r->stream->folder.text, name,
                 why ? why : tmb_err_str(err));
    return err;
}

static void find(recovery *r, tmb_gap_reason reason, uint64_t first, uint64_t last, uint64_t offset,
                 uint64_t bytes)
{
    tmb_tail_gap gap = {first, last, reason, "", offset, bytes};
    tmb_segment_name(r->base, gap.file);
    tmb_journal_found(r->stream->journal, r->stream->name, r->stream->folder.text, &gap);
    r->needs_segment = true;
}

/* Leaves out as many numbers as the bytes could have held records, and one more. */
static void skip_numbers(recovery *r, tmb_gap_reason reason, uint64_t offset, uint64_t bytes)
{
    tmb_journal_stream *stream = r->stream;
    uint64_t first = r->last_seq + 1;
    stream->gap_first = first;
    stream->gap_reason = reason;
    stream->next_seq = first + bytes / TMB_RECORD_BYTES_MIN + 1;
    r->torn_base = r->base;
    r->torn_offset = offset;
    find(r, reason, first, stream->next_seq - 1, offset, bytes);
}

static void raise_stamp(recovery *r, tmb_hlc stamp)
{
    if (stamp.u64 > r->stream->journal->stamp.u64)
        r->stream->journal->stamp = stamp;
}

static tmb_err read_records(recovery *r)
{
    for (;;) {
        tmb_scan_found found;
        uint64_t expect = r->scan.expect;
        /* As if closed: better to leave a segment that could be cut than to cut good records off. */
        tmb_err err = tmb_scan_next(&r->scan, true, &found);
        if (err)
            return fail(r, err, NULL);
        switch (found.kind) {
        case TMB_SCAN_RECORD:
            r->has_record = true;
            r->last_seq = found.record.seq;
            raise_stamp(r, found.record.stamp);
            break;
        case TMB_SCAN_BAD:
            if (r->is_newest)
                find(r, TMB_GAP_DAMAGED, expect, found.next_expect - 1, found.offset, found.bytes);
            break;
        case TMB_SCAN_TORN:
        case TMB_SCAN_BAD_END:
            if (r->is_newest)
                skip_numbers(r, found.kind == TMB_SCAN_TORN ? TMB_GAP_TORN : TMB_GAP_DAMAGED,
                             found.offset, found.bytes);
            return TMB_OK;
        case TMB_SCAN_END:
            return TMB_OK;
        }
    }
}

/* A header that is no good costs no record, they have numbers of their own; but nothing is added to such a
 * file, and one that is shorter than a header may have held records. */
static tmb_err read_header(recovery *r, tmb_segment_info *info)
{
    tmb_journal_stream *stream = r->stream;
    const tmb_identity *self = &stream->journal->identity;
    tmb_segment_header header;
    tmb_err err =
        tmb_segment_header_read(r->scan.files, r->scan.fd, r->base, stream->name, &header);
    if (err == TMB_ECORRUPT && r->is_newest && info->bytes > TMB_SEGMENT_HEADER_BYTES)
        find(r, TMB_GAP_DAMAGED, r->base, 0, 0, TMB_SEGMENT_HEADER_BYTES);
    else if (err == TMB_ECORRUPT && r->is_newest)
        skip_numbers(r, TMB_GAP_DAMAGED, 0, info->bytes);
    if (err == TMB_ECORRUPT)
        return TMB_OK;
    if (err)
        return fail(r, err, NULL);
    if (strcmp(header.node, self->node) != 0 ||
        !tmb_incarnation_eq(header.incarnation, self->incarnation))
        return fail(r, TMB_ECORRUPT,
                    "written by another node, or by another life of this one; move it out of this "
                    "journal");
    info->gap_first = header.gap_first;
    info->created_ms = tmb_hlc_wall(header.created).ms;
    raise_stamp(r, header.created);
    return TMB_OK;
}

static tmb_err read_segment(recovery *r, tmb_segment_info *info)
{
    tmb_journal_stream *stream = r->stream;
    const tmb_file_port *files = stream->journal->files;
    int fd = -1;
    tmb_err err = tmb_segment_open(files, stream->folder.text, r->base, O_RDONLY, &fd);
    if (err)
        return fail(r, err == TMB_ENOENT ? TMB_EIO : err, NULL);
    tmb_scan_start(&r->scan, files, fd, TMB_SEGMENT_HEADER_BYTES, r->base);
    int64_t size = files->size(files->context, fd);
    r->last_seq = r->base - 1;
    if (size < 0) {
        err = fail(r, tmb_files_err(size), NULL);
    } else {
        int64_t changed_ms = files->changed_ms(files->context, fd);
        info->bytes = (uint64_t)size;
        info->changed_ms = changed_ms > 0 ? changed_ms : 0;
        err = read_header(r, info);
    }
    if (!err && (r->is_newest || !r->has_record) && size > (int64_t)TMB_SEGMENT_HEADER_BYTES)
        err = read_records(r);
    tmb_scan_stop(&r->scan);
    return err;
}

/* Goes on in the newest segment: what is in it is made durable first, so that later promises hold. */
static void reopen(tmb_journal_stream *stream, tmb_segment_info *newest)
{
    tmb_journal *journal = stream->journal;
    int fd = -1;
    tmb_err err = tmb_segment_open(journal->files, stream->folder.text, newest->base,
                                   O_WRONLY | O_APPEND, &fd);
    if (!err) {
        err = tmb_files_err(journal->files->sync(journal->files->context, fd));
        if (!err)
            err = tmb_files_sync_folder(journal->files, stream->folder.text);
        if (err)
            journal->files->close(journal->files->context, fd);
    }
    if (err) {
        journal->counts.failures++; /* a new segment, then, when the first record comes */
        if (stream->next_seq == newest->base) {
            /* Not one of the same name: a reader may have the empty one open. */
            stream->gap_first = stream->next_seq++;
            stream->gap_reason = TMB_GAP_TORN;
        }
        return;
    }
    journal->counts.syncs++;
    stream->fd = fd;
    stream->file_bytes = stream->safe_bytes = newest->bytes;
    stream->safe_seq = stream->next_seq - 1;
    newest->changed_ms = -1;
}

/* The half record goes when the new segment is there; a segment that cannot be begun now (disk full) is
 * begun by the first append, and until then the next opening finds all as it is. */
static void begin_anew(recovery *r)
{
    tmb_journal_stream *stream = r->stream;
    tmb_journal *journal = stream->journal;
    if (stream->gap_reason == TMB_GAP_TORN &&
        tmb_segment_open(journal->files, stream->folder.text, r->torn_base, O_WRONLY,
                         &stream->torn.fd))
        journal->counts.failures++;
    stream->torn.bytes = r->torn_offset;
    stream->safe_seq = stream->next_seq - 1;
    journal->stamp = tmb_hlc_next(journal->stamp, (tmb_wall){0});
    tmb_err err = tmb_writer_begin(stream, journal->stamp);
    (void)err; /* counted; the first append tries again */
}

/* Segments are read newest first, and kept oldest first. */
static tmb_err read_all(recovery *r, const tmb_segment_list *list)
{
    tmb_journal_stream *stream = r->stream;
    for (size_t i = 0; i < list->count; i++) {
        tmb_segment_info info = {
            .base = list->bases[i], .created_ms = -1, .closed = tmb_mono_never()};
        tmb_err err = tmb_writer_reserve_segment(stream);
        if (err)
            return err;
        tmb_writer_add_segment(stream, &info);
    }
    for (size_t i = list->count; i > 0; i--) {
        tmb_segment_info *info = &stream->segments[i - 1];
        r->is_newest = i == list->count;
        r->base = info->base;
        if (r->is_newest)
            stream->next_seq = 0;
        tmb_err err = read_segment(r, info);
        if (err)
            return err;
        if (stream->next_seq == 0)
            stream->next_seq = r->last_seq + 1;
    }
    if (r->needs_segment)
        begin_anew(r);
    return TMB_OK;
}

tmb_err tmb_recover_stream(tmb_journal_stream *stream, char *text, size_t text_cap)
{
    recovery r = {.stream = stream, .scan = {.fd = -1}, .text = text, .text_cap = text_cap};
    tmb_segment_list list = {NULL, 0, 0};
    tmb_err err = tmb_segment_list_load(&list, stream->journal->files, stream->folder.text);
    if (err) {
        if (text && text_cap > 0)
            snprintf(text, text_cap, "%s: %s", stream->folder.text, tmb_err_str(err));
    } else {
        err = read_all(&r, &list);
    }
    if (!err && list.count > 0 && !r.needs_segment)
        reopen(stream, &stream->segments[stream->segments_count - 1]);
    stream->safe_seq = stream->next_seq - 1;
    tmb_scan_fini(&r.scan);
    tmb_segment_list_fini(&list);
    return err;
}
