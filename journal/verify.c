// SPDX-License-Identifier: Apache-2.0
/* journal/verify.c - read a stream as a tail does, from its first byte, and add up what it says. */
#include "journal/verify.h"

#include <fcntl.h>

#include "journal/tail_inside.h"

typedef struct verification {
    tmb_tail *tail;
    tmb_verify_report report;
    void (*found)(void *arg, const tmb_tail_gap *gap);
    void *arg;
    uint64_t last_base; /* of the last segment that was begun */
    tmb_err err;        /* something could not be read, though the rest was */
} verification;

static void note(verification *v, const tmb_tail_gap *gap)
{
    v->report.gaps++;
    if (gap->reason == TMB_GAP_TORN)
        v->report.torn_bytes += gap->bytes;
    else
        v->report.damaged_bytes += gap->bytes;
    if (v->found)
        v->found(v->arg, gap);
}

static void note_unreadable(verification *v, uint64_t base, uint64_t offset, tmb_err err)
{
    tmb_tail_gap gap = {base, 0, TMB_GAP_NONE, "", offset, 0};
    tmb_segment_name(base, gap.file);
    v->err = err;
    if (v->found)
        v->found(v->arg, &gap);
}

/* The files as they are; one that retention drops meanwhile counts no more. */
static tmb_err count_files(verification *v)
{
    tmb_tail *tail = v->tail;
    tmb_err err = tmb_segment_list_load(&tail->list, tail->files, tail->folder.text);
    if (err)
        return err;
    if (tail->list.count == 0)
        return TMB_ENOENT;
    for (size_t i = 0; i < tail->list.count; i++) {
        int fd = -1;
        if (tmb_segment_open(tail->files, tail->folder.text, tail->list.bases[i], O_RDONLY, &fd))
            continue; /* read_all says why, if it is still there then */
        int64_t size = tail->files->size(tail->files->context, fd);
        tail->files->close(tail->files->context, fd);
        v->report.segments++;
        v->report.bytes += size > 0 ? (uint64_t)size : 0;
    }
    return TMB_OK;
}

/* The oldest segment behind base; 0: none. */
static uint64_t segment_behind(const tmb_tail *tail, uint64_t base)
{
    for (size_t i = 0; i < tail->list.count; i++)
        if (tail->list.bases[i] > base)
            return tail->list.bases[i];
    return 0;
}

/* A file that cannot be read hides nothing behind it. False: there is nothing behind it. */
static bool pass_over(verification *v, tmb_err err)
{
    tmb_tail *tail = v->tail;
    uint64_t at = tail->base, offset = at > 0 ? tail->scan.offset : 0;
    if (at == 0) /* it was about to enter the one behind */
        at = segment_behind(tail, v->last_base);
    if (at == 0) { /* the folder itself */
        v->err = err;
        return false;
    }
    note_unreadable(v, at, offset, err);
    v->last_base = at;
    uint64_t next = segment_behind(tail, at);
    return next > 0 && tmb_tail_seek(tail, next) == TMB_OK;
}

/* Half a record at the very end: of a writer that is at work, or of one that was killed. */
static tmb_err count_torn(verification *v)
{
    tmb_tail *tail = v->tail;
    if (tail->base == 0)
        return TMB_OK;
    int64_t size = tail->files->size(tail->files->context, tail->scan.fd);
    if (size < 0)
        return TMB_EIO;
    if ((uint64_t)size > tail->scan.offset && tail->noticed != tail->scan.offset)
        v->report.torn_bytes += (uint64_t)size - tail->scan.offset;
    return TMB_OK;
}

static tmb_err read_all(verification *v)
{
    for (;;) {
        tmb_record record;
        tmb_tail_gap gap;
        tmb_err err = tmb_tail_next(v->tail, &record, &gap);
        if (v->tail->base > v->last_base)
            v->last_base = v->tail->base;
        if (err == TMB_EGAP) {
            note(v, &gap);
        } else if (err == TMB_OK) {
            if (v->report.records++ == 0)
                v->report.first_seq = record.seq;
            v->report.last_seq = record.seq;
        } else if (err == TMB_EAGAIN) {
            return count_torn(v);
        } else if (err == TMB_EIO || err == TMB_EDENIED) {
            if (!pass_over(v, err))
                return v->err;
        } else {
            if (err == TMB_EVERSION && v->found)
                v->found(v->arg, &gap);
            return err;
        }
    }
}

tmb_err tmb_verify_stream(const char *root, const char *stream, const tmb_file_port *files,
                          void (*found)(void *arg, const tmb_tail_gap *gap), void *arg,
                          tmb_verify_report *ret_report)
{
    verification v = {.found = found, .arg = arg};
    tmb_err err = tmb_tail_open(root, stream, files, &v.tail);
    if (err)
        return err;
    err = count_files(&v);
    if (!err)
        err = read_all(&v);
    if (!err)
        err = v.err;
    if (!err)
        *ret_report = v.report;
    tmb_tail_close(v.tail);
    return err;
}

tmb_err tmb_verify_identity(const char *root, const tmb_file_port *files,
                            tmb_identity *ret_identity)
{
    return tmb_identity_read(files ? files : tmb_file_port_posix(), root, ret_identity);
}
