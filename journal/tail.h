// SPDX-License-Identifier: Apache-2.0
/* journal/tail.h - read one stream of a journal, in this or another process, while it is written.
 *
 * A tail is told every number: next gives a record, or a range that is missing and why (retention passed
 * it, damage on disk, a torn write), never silence. It copes with segments that are closed, begun or
 * dropped under it. It takes no lock and writes nothing, but for tmb_tail_quarantine.
 *
 * Threads: one a tail. Cost: one pread of 256 KiB for many records; at the end of the log an fstat and
 * a listing of the folder, so wait on tmb_tail_watch_fd rather than asking again and again.
 */
#ifndef TMB_JOURNAL_TAIL_H
#define TMB_JOURNAL_TAIL_H

#include "journal/file_port.h"
#include "proto/frame.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_tail tmb_tail;

typedef struct tmb_tail_gap {
    /* Missing numbers. last_seq 0: bytes are damaged, but no number is known to be missing: a segment's
     * header, or damage at the very end of the log, which is told again with its numbers when these are
     * known. Count it, keep the bytes, go on. */
    uint64_t first_seq, last_seq;
    tmb_gap_reason reason;
    char file[64];   /* segment's file name, empty when none */
    uint64_t offset; /* damaged bytes in it */
    uint64_t bytes;
} tmb_tail_gap;

/* tmb_tail_open makes a tail of <root>/<stream>, before its first record; the folder may not exist yet.
 * gives ret_tail. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_tail_open(const char *root, const char *stream, const tmb_file_port *files,
                                   tmb_tail **ret_tail);
void tmb_tail_close(tmb_tail *tail);

/* tmb_tail_next gives the next record; its slices live until the next call.
 * Errors: TMB_EAGAIN (the end, for now), TMB_EGAP (ret_gap says what is missing; call again to go on
 * behind it), TMB_EIO, TMB_EDENIED (a segment that cannot be opened, also a name without a file:
 * ret_gap->file names it; of other causes ret_gap is left alone; wait before calling again), TMB_ENOMEM,
 * TMB_EVERSION (a segment of a newer format: ret_gap->file names it). */
TMB_MUST_USE tmb_err tmb_tail_next(tmb_tail *tail, tmb_record *ret_record, tmb_tail_gap *ret_gap);

/* tmb_tail_seek makes the next record the first with a sequence >= seq; numbers from seq on that are missing
 * are told, those below are not. tmb_tail_seek_time: the first stamped at or after when; needs stamps that
 * rise, as one stream's do. Errors: TMB_EIO, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_tail_seek(tmb_tail *tail, uint64_t seq);
TMB_MUST_USE tmb_err tmb_tail_seek_time(tmb_tail *tail, tmb_wall when);

/* What the log holds now, without reading it through: oldest number still there and newest whole record
 * (first = last + 1 when empty), and the incarnation of its segments.
 * Errors: TMB_ENOENT (no segment yet), TMB_EIO, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_tail_range(tmb_tail *tail, uint64_t *ret_first, uint64_t *ret_last,
                                    tmb_incarnation *ret_incarnation);

/* tmb_tail_node gives the name of the node that wrote the newest segment which tmb_tail_range has looked at
 * last; empty before. Lives until the next tmb_tail_range. */
const char *tmb_tail_node(const tmb_tail *tail);

/* tmb_tail_sync makes everything read so far durable (fdatasync of the segments it was read from). A number
 * must never leave the node before that: after a power cut it could name another record. Errors: TMB_EIO. */
TMB_MUST_USE tmb_err tmb_tail_sync(tmb_tail *tail);

/* tmb_tail_watch_fd gives a descriptor (inotify) that turns readable when the log has changed, or -1. It
 * stays the tail's. tmb_tail_watch_clear reads it empty. */
int tmb_tail_watch_fd(tmb_tail *tail);
void tmb_tail_watch_clear(tmb_tail *tail);

/* tmb_tail_quarantine copies the damaged bytes of gap into <stream>/quarantine/<file>-<offset>.bin, once.
 * Errors: TMB_EIO, TMB_ENOSPC. */
TMB_MUST_USE tmb_err tmb_tail_quarantine(tmb_tail *tail, const tmb_tail_gap *gap);

#ifdef __cplusplus
}
#endif
#endif
