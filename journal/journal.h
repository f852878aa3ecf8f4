// SPDX-License-Identifier: Apache-2.0
/* journal/journal.h - the log of a node: the folder, its identity, and one writer for all streams.
 *
 *   <root>/identity                       node name, incarnation, format version (text, checksummed)
 *   <root>/lock                           held by the one writer, and <root> itself
 *   <root>/<stream>/<base seq, 20 digits>.seg
 *   <root>/<stream>/quarantine/           copies of damaged ranges, kept for people
 *
 * Promises of the writer: a record whose append and sync succeeded is there after a power cut; a sequence
 * number is never given to two different records, whatever the crash; a record whose append or sync
 * failed is not in the log. Opening cuts a torn tail at the last whole record, and then skips as many
 * numbers as the cut bytes could have held, in a new segment that says so (gap reason torn or damaged).
 *
 * Threads: one. Cost: append is one copy into a buffer; flush one write(2), with a ring none; sync one
 * fdatasync.
 */
#ifndef TMB_JOURNAL_JOURNAL_H
#define TMB_JOURNAL_JOURNAL_H

#include "base/limits.h"
#include "base/time.h"
#include "journal/file_port.h"
#include "journal/tail.h"
#include "proto/frame.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_journal tmb_journal;
typedef struct tmb_journal_stream tmb_journal_stream;

/* A closed segment that goes: it holds the records first to last, none when first > last. */
typedef struct tmb_journal_drop {
    uint64_t first, last, bytes; /* bytes: of the file */
    bool is_for_room;            /* by drop_oldest */
    bool is_undone;              /* the file could not be removed: it stays */
} tmb_journal_drop;

typedef struct tmb_journal_options {
    const char *root; /* borrowed during open; made when missing, with its parents */
    const char *node;
    const tmb_file_port *files;        /* NULL: the real one */
    uint64_t segment_bytes;            /* a segment is closed when it reaches this; 0: 64 MiB */
    tmb_incarnation fresh_incarnation; /* random, used when the journal is first made */
    /* A folder on a tmpfs: what is flushed need only lie there, which costs no call to the kernel, and is in
     * the files after tmb_journal_write. NULL: none, and a flush writes. Borrowed during open. */
    const char *ring_folder;
    /* Called during open and stream_open for all that is not as it was written: torn tail, damage (already
     * copied into quarantine); and later, by a sync, for a segment that was removed while it was written.
     * stream is NULL for the identity file. May be NULL. */
    void (*found)(void *arg, const char *stream, const tmb_tail_gap *gap);
    void *found_arg;
    /* Called before a segment is dropped, by retain or drop_oldest, so that a kill leaves a loss that is
     * noted and not one that nobody knows of; and once more with is_undone if the file stays. May be NULL. */
    void (*drops)(void *arg, const char *stream, const tmb_journal_drop *drop);
    void *drops_arg;
} tmb_journal_options;

typedef struct tmb_retention {
    uint64_t bytes_max; /* of all segments of a stream; 0: no limit */
    int64_t age_ms_max; /* of a closed segment; 0: no limit */
} tmb_retention;

/* What opening and running met; rises only. */
typedef struct tmb_journal_counts {
    uint64_t appended, appended_bytes; /* records, payload bytes */
    uint64_t written_bytes, syncs, rotations;
    uint64_t torn_bytes, damaged_ranges, damaged_bytes;
    uint64_t dropped_segments, dropped_records; /* by retention */
    uint64_t failures;   /* writes, syncs and opens that the system refused */
    uint64_t ring_bytes; /* that a killed process had left in its rings, now in the log */
    uint64_t
        ring_troubles; /* rings that could not be made or used: flushing those streams costs a write */
} tmb_journal_counts;

/* tmb_journal_open opens or makes the journal and takes its lock. text (text_cap bytes, may be NULL) gets
 * one sentence on an error, naming the file. gives ret_journal: close with tmb_journal_close.
 * Errors: TMB_EBUSY (another writer), TMB_EVERSION, TMB_ECORRUPT (identity is unreadable and no segment
 * says who this is, or belongs to another node), TMB_EIO, TMB_ENOSPC, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_journal_open(const tmb_journal_options *options, tmb_journal **ret_journal,
                                      char *text, size_t text_cap);

/* tmb_journal_close flushes, syncs and frees; NULL is fine. What could not be written is lost and was
 * never acknowledged. */
void tmb_journal_close(tmb_journal *journal);

const tmb_incarnation *tmb_journal_incarnation(const tmb_journal *journal);
/* tmb_journal_set_careful: from now on the space for what is written is taken before the first byte of it, so
 * that a reader never sees a part of what is then refused because the disk is full. For when it might soon
 * be. Cost: a call a write, and work for the file system. */
void tmb_journal_set_careful(tmb_journal *journal, bool is_careful);

const tmb_journal_counts *tmb_journal_counts_get(const tmb_journal *journal);

/* tmb_journal_stream_open opens or makes one stream: cuts the torn tail, finds the last sequence.
 * ret_stream belongs to the journal. Cost: reads the last segment once.
 * Errors: TMB_EIO, TMB_ENOSPC, TMB_ENOMEM, TMB_EVERSION, TMB_ECORRUPT (segments of another node), TMB_ELIMIT
 * (TMB_STREAMS_MAX). */
TMB_MUST_USE tmb_err tmb_journal_stream_open(tmb_journal *journal, const char *name,
                                             tmb_journal_stream **ret_stream, char *text,
                                             size_t text_cap);

/* tmb_journal_append puts record at the end of the stream's buffer and gives it the next sequence and
 * stamp (record->seq and stamp are ignored). now: wall time. The record is in no file before flush.
 * A full buffer flushes itself; a full segment is synced, closed (and its folder synced) and a new one
 * begun.
 * Errors: TMB_ELIMIT (record above TMB_RECORD_BYTES_MAX), TMB_EIO, TMB_ENOSPC, TMB_ENOMEM: nothing appended,
 * buffered records of the stream that were not yet flushed may be lost with it (they were promised
 * nothing); the next append tries again in a new segment. Records that were lost with a failed append make
 * the next flush or sync fail as well: it would else claim success for them. */
TMB_MUST_USE tmb_err tmb_journal_append(tmb_journal_stream *stream, const tmb_record *record,
                                        tmb_wall now, uint64_t *ret_seq);

/* tmb_journal_flush makes what is buffered survive kill -9: it is in the file, or, with a ring, in memory
 * that the next opening writes to the file. tmb_journal_write brings it into the file in any case, where
 * readers see it. tmb_journal_sync also waits until it is on the disk (survives power loss). After an error
 * nothing since the last success is in the log; what succeeded before stays, in the ring if need be, and the
 * stream takes no record until it could be written. A sync also fails when somebody has removed the file that
 * is written: what succeeded in it before is lost, found is told of it, and a new segment says so (missing).
 * Errors: TMB_EIO, TMB_ENOSPC. */
TMB_MUST_USE tmb_err tmb_journal_flush(tmb_journal_stream *stream);
TMB_MUST_USE tmb_err tmb_journal_write(tmb_journal_stream *stream);
TMB_MUST_USE tmb_err tmb_journal_sync(tmb_journal_stream *stream);

/* Whether something is buffered that tmb_journal_write would bring into the file. */
bool tmb_journal_has_unwritten(const tmb_journal_stream *stream);

/* tmb_journal_drop_ring gives the stream's ring back, of a stream that was just opened and is not going to be
 * flushed: written and synced it needs none. */
void tmb_journal_drop_ring(tmb_journal_stream *stream);

/* Whether the stream has a ring, and why some stream has none, or what else there was with rings: one
 * sentence, empty when all is well. The sentence lives as long as the journal. */
bool tmb_journal_has_ring(const tmb_journal_stream *stream);
const char *tmb_journal_ring_note(const tmb_journal *journal);

/* tmb_journal_settle makes the log hold exactly what success was claimed for: what is buffered is written as
 * by flush, and what a failure has yet to take back is taken back, in a new segment if need be. For callers
 * who know of the failure: what an append lost with it is told by no flush or sync after this. Whoever
 * reads the log after a failure must call it first: until then it may show records that are about to go.
 * Errors: TMB_EIO, TMB_ENOSPC, TMB_ENOMEM (call again when the disk may be well). */
TMB_MUST_USE tmb_err tmb_journal_settle(tmb_journal_stream *stream, tmb_wall now);

/* tmb_journal_skip makes sure that no number up to seq is given: for a caller that knows that they were given
 * once, though the log does not have them: a segment file was removed (reason missing), or nobody was told
 * that they are stored (torn). Begins a segment that says so. Nothing to do when the log is there already.
 * Errors: TMB_EIO, TMB_ENOSPC, TMB_ENOMEM: the numbers are not given all the same, and the next append begins
 * the segment. */
TMB_MUST_USE tmb_err tmb_journal_skip(tmb_journal_stream *stream, uint64_t seq,
                                      tmb_gap_reason reason, tmb_wall now);

/* tmb_journal_shed uses up the numbers up to seq for messages that are dropped on purpose and not stored, so
 * that everybody sees that they were there (gap reason retention: dropped on purpose). Writes what is
 * buffered, and nothing else: the next segment says so, which append or probe begins; until then a restart
 * gives the numbers again, unless it is told to shed them once more. Cost: a sync the first time after an
 * append. */
void tmb_journal_shed(tmb_journal_stream *stream, uint64_t seq);

/* tmb_journal_probe finds out whether the stream can be written without waiting for a message: settles as
 * above, and begins the segment that the next append would have to begin.
 * Errors: as tmb_journal_settle. */
TMB_MUST_USE tmb_err tmb_journal_probe(tmb_journal_stream *stream, tmb_wall now);

/* The newest number given, to a record or shed. */
uint64_t tmb_journal_last_seq(const tmb_journal_stream *stream);
/* The number at which the oldest file begins; without files, the next one. */
uint64_t tmb_journal_first_seq(const tmb_journal_stream *stream);

/* tmb_journal_retain drops whole closed segments that the rule allows, none of which holds a record at or
 * above keep_from. now: of a clock that never steps, from which the age of what this process has closed is
 * counted; wall: the date, which is only asked about files of an earlier process, and of which no jump
 * forward in the time of this process is believed. Call it often: closing is noticed here. After an error
 * nothing but the rule is broken; call again. Errors: TMB_EIO (some file could not be removed; counted). */
TMB_MUST_USE tmb_err tmb_journal_retain(tmb_journal_stream *stream, const tmb_retention *rule,
                                        uint64_t keep_from, tmb_mono now, tmb_wall wall);

/* tmb_journal_drop_oldest drops the oldest segment, if it is closed and holds no record at or above
 * keep_from.
 * Errors: TMB_ENOENT (no segment is closed), TMB_EBUSY (the oldest is needed from keep_from on), TMB_EIO (the
 * file could not be removed; counted). */
TMB_MUST_USE tmb_err tmb_journal_drop_oldest(tmb_journal_stream *stream, uint64_t keep_from);

#ifdef __cplusplus
}
#endif
#endif
