// SPDX-License-Identifier: Apache-2.0
/* journal/writer.h - the inside of tmb_journal and tmb_journal_stream; for the journal's own files.
 *
 * A stream is in one of two states: it has an open segment (fd >= 0), or it needs a new one, which the next
 * append begins. Every trouble leads to the second: nothing is ever added to a file in which a write or a
 * sync has failed, or in which opening has found anything but good records.
 *
 *   given by append       next_seq - 1
 *   success was claimed   safe_seq    at file offset safe_bytes   (a flush or sync that the caller made)
 *
 * The buffer stands for the bytes behind file_bytes. With a ring it may hold records for which success was
 * claimed, at its beginning; they are written in a write of their own, before what comes behind them:
 *
 *   file  ...........|          buffer  |claimed |not yet |      |
 *                    file_bytes         0   claimed_len   buffer_len
 *                        |done_len|  of it are in the file already, after a write that stopped half way
 *
 * That is the exception to the rule above: when such a write fails the stream is stuck, it takes no record,
 * and the same write goes on where it stopped until it is done. What was claimed is never taken back.
 */
#ifndef TMB_JOURNAL_WRITER_H
#define TMB_JOURNAL_WRITER_H

#include "journal/files.h"
#include "journal/identity.h"
#include "journal/journal.h"
#include "journal/ring.h"
#include "journal/segment.h"

/* What was synced more than TMB_CACHED_BYTES ago need not stay in the kernel's memory: whoever reads the log
 * live has had it, and a log that is written at tens of megabytes a second would push out all else. */
#define TMB_CACHED_BYTES (8u * 1024u * 1024u)

#define TMB_BUFFER_BYTES TMB_RING_BUFFER_BYTES

/* What retention needs to know of a segment. */
typedef struct tmb_segment_info {
    uint64_t base;
    uint64_t bytes;
    uint64_t gap_first; /* of its header; 0: none, or not known */
    int64_t created_ms; /* -1: not known (damaged header) */
    int64_t
        changed_ms; /* of a file that opening found: last written, as the file system says; -1: ours */
    tmb_mono closed; /* when retention first saw it closed; never: not yet */
} tmb_segment_info;

/* Segments of one stretch of records for which no success was claimed that one segment cannot hold. More:
 * the last one grows instead. */
#define TMB_LOOSE_MAX 8

/* How to take records back out of the log: cut one file, and remove those that were begun after it. */
typedef struct tmb_undo {
    int fd; /* -1: nothing to cut */
    uint64_t bytes;
    uint64_t bases[TMB_LOOSE_MAX + 1];
    size_t count;
} tmb_undo;

struct tmb_journal_stream {
    tmb_journal *journal;
    char name[TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_path folder;

    int fd;              /* -1: the next append begins a segment */
    uint64_t file_bytes; /* of fd, before what the buffer holds */
    uint64_t safe_bytes; /* of fd and buffer, or of loose.fd when there is one */
    uint64_t next_seq, safe_seq;
    uint64_t cached_from; /* of fd: before it, the kernel was told to keep nothing in memory */
    bool is_dirty;        /* written since the last sync */
    bool is_removed;      /* the open file has no name any more: being left */
    bool has_lost; /* an append failed and took others with it: the next flush or sync says so */

    uint8_t *buffer; /* of the ring, or the heap's */
    size_t buffer_len, buffer_cap;
    size_t claimed_len, done_len;
    uint64_t buffer_seq; /* of the first record in it */
    bool is_stuck;       /* the last write of what was claimed has failed */
    uint8_t *heap;
    size_t heap_cap;
    tmb_ring ring;

    uint64_t gap_first; /* for the header of the next segment; 0: none */
    tmb_gap_reason gap_reason;
    tmb_undo loose; /* closed segments with records behind safe_seq */
    tmb_undo
        failed; /* records that the caller was told are not in the log: undone before the next append */
    tmb_undo torn; /* the half record that opening found: cut once the next segment says so */

    tmb_segment_info *segments; /* rising; the last is the open one when fd >= 0 */
    size_t segments_count, segments_cap;
};

struct tmb_journal {
    const tmb_file_port *files;
    tmb_path root;
    tmb_identity identity;
    uint64_t segment_bytes;
    void (*found)(void *arg, const char *stream, const tmb_tail_gap *gap);
    void *found_arg;
    void (*drops)(void *arg, const char *stream, const tmb_journal_drop *drop);
    void *drops_arg;
    int root_fd, lock_fd; /* of the root folder and of the file in it: both are locked */
    tmb_path ring_folder; /* empty: no rings */
    char ring_note[512];
    tmb_hlc stamp; /* the last given, of all streams: so their records can be merged by it */
    tmb_wall date; /* what retention believes, as of date_at; 0: no date yet that can be true */
    tmb_mono date_at;
    bool is_careful; /* see tmb_journal_set_careful */
    tmb_journal_counts counts;
    tmb_journal_stream *streams[TMB_STREAMS_MAX];
    size_t streams_count;
};

/* tmb_writer_begin begins a new segment at next_seq. Errors: TMB_EIO, TMB_ENOSPC, TMB_ENOMEM: counted, and
 * as if not called. */
TMB_MUST_USE tmb_err tmb_writer_begin(tmb_journal_stream *stream, tmb_hlc stamp);

/* tmb_writer_reserve_segment makes room for one more, tmb_writer_add_segment puts it behind the others.
 * Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_writer_reserve_segment(tmb_journal_stream *stream);
void tmb_writer_add_segment(tmb_journal_stream *stream, const tmb_segment_info *info);

/* tmb_writer_make_ring gives the stream a ring; without one it does as well, only slower: noted and counted.
 * */
void tmb_writer_make_ring(tmb_journal_stream *stream);

/* tmb_writer_close lets the files and memory of a stream go, and the stream. */
void tmb_writer_close(tmb_journal_stream *stream);

/* tmb_recover_stream brings a stream that has just been made to where its files are. Errors: as
 * tmb_journal_stream_open. */
TMB_MUST_USE tmb_err tmb_recover_stream(tmb_journal_stream *stream, char *text, size_t text_cap);

/* tmb_journal_found counts a finding, puts its bytes into quarantine and tells the owner. */
void tmb_journal_found(tmb_journal *journal, const char *stream, const char *folder,
                       const tmb_tail_gap *gap);

#endif
