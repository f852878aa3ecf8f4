// SPDX-License-Identifier: Apache-2.0
/* journal/marks.h - <data_dir>/uplink.marks: how far the parent has each stream of this node, as it said.
 *
 *   tombolo-uplink 1
 *   node s1
 *   incarnation 0123456789abcdef0123456789abcdef      of this node's journal
 *   parent hub
 *   top 1                                             the parent is the top (0: it has one, or is silent)
 *   stream default 17 0123...cdef                     it knows all numbers up to this one, on its disk (and
 *                                                     the log's chain there, where it is known),
 *   gap default 5 8 damaged                           but of these only that they were lost here
 *   crc32c 89abcdef
 *
 * Once records of a live_first stream went ahead it is version 2, with more lines:
 *
 *   stream meters 700                                 as above, of the numbers of the stream's own lane
 *   stream meters.live 5200                           and of those of its live lane
 *   ahead meters 5001 6024                            which are these (journal/live.h), behind the gaps
 *
 * On its disk, or on that of a node above it: a parent that the node has moved to passes over what came up by
 * another one. A move keeps the gaps, which are this log's, and takes the new parent's name and marks.
 *
 * Written by tombolo-syncd alone, after each WELCOME and ACK; read by the plugin and by tombolo-journal. It
 * is a view: whoever reads it and finds none, or a damaged one, knows nothing and claims nothing; it comes
 * again with the next session. It may be old, and then says too little; too much only while a parent has lost
 * what it had said it has, until its next WELCOME. So a reader does not believe a mark above the end of the
 * log, nor one of another incarnation. Every later version keeps the first word and the last line.
 * port: NULL for the real disk. Threads: as the port. Cost: a small file.
 */
#ifndef TMB_JOURNAL_MARKS_H
#define TMB_JOURNAL_MARKS_H

#include "base/err.h"
#include "base/limits.h"
#include "journal/file_port.h"
#include "journal/live.h"
#include "proto/frame.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_MARKS_FILE "uplink.marks"
/* What was in it when the daemon was fenced: for tombolo-journal renew alone. */
#define TMB_MARKS_ASIDE TMB_MARKS_FILE ".fenced"
/* More than all lines can need. A longer file is damaged. */
#define TMB_MARKS_TEXT_BYTES_MAX 16384
/* Gaps kept, all streams together. One more: the two oldest of the stream that has the most become one range
 * of which nothing is known. */
#define TMB_MARKS_GAPS_MAX 64

typedef struct tmb_uplink_mark {
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    uint64_t seq;
    bool has_chain;
    uint8_t chain
        [TMB_CHAIN_BYTES]; /* proto/chain.h, of this log at seq: tells a log that has gone apart */
} tmb_uplink_mark;

/* Numbers below the mark that did not go up as records. */
typedef struct tmb_uplink_gap {
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    uint64_t first, last;
    tmb_gap_reason reason; /* TMB_GAP_NONE: not known whether they did */
} tmb_uplink_gap;

typedef struct tmb_marks {
    char node[TMB_NAME_BYTES_MAX + 1];
    tmb_incarnation incarnation;
    char parent[TMB_NAME_BYTES_MAX + 1];
    bool is_parent_top;
    unsigned streams_count; /* each once */
    tmb_uplink_mark streams[TMB_STREAMS_MAX];
    unsigned gaps_count; /* of these streams, rising in each */
    tmb_uplink_gap gaps[TMB_MARKS_GAPS_MAX];
    unsigned aheads_count;
    tmb_live_range aheads[TMB_LIVE_RANGES_MAX];
} tmb_marks;

/* What a range of numbers has become, in records. */
typedef struct tmb_marks_part {
    uint64_t at_parent;
    uint64_t not_there; /* above the mark, or told as a gap */
    uint64_t unknown;
} tmb_marks_part;

/* tmb_marks_read reads <folder>/uplink.marks.
 * Errors: TMB_ENOENT (none yet), TMB_ECORRUPT, TMB_EVERSION, TMB_EDENIED, TMB_EIO: nothing is known. */
TMB_MUST_USE tmb_err tmb_marks_read(const tmb_file_port *port, const char *folder,
                                    tmb_marks *ret_marks);

/* tmb_marks_write replaces the file as a whole; is_durable: and waits for the disk. Without, it may be the
 * old one or damaged after a power cut. Errors: TMB_EINVAL (a name or a range that is none), TMB_EIO,
 * TMB_ENOSPC, TMB_EDENIED, TMB_ENOENT: the old file stays. */
TMB_MUST_USE tmb_err tmb_marks_write(const tmb_file_port *port, const char *folder,
                                     const tmb_marks *marks, bool is_durable);

/* tmb_marks_set_aside renames the file to TMB_MARKS_ASIDE, for people; without a file it does nothing.
 * tmb_marks_read_aside reads that one. Errors: as forget, as read. */
TMB_MUST_USE tmb_err tmb_marks_set_aside(const tmb_file_port *port, const char *folder);
TMB_MUST_USE tmb_err tmb_marks_read_aside(const tmb_file_port *port, const char *folder,
                                          tmb_marks *ret_marks);

/* tmb_marks_forget removes the file: what it says is no longer so. Errors: TMB_EIO, TMB_EDENIED. */
TMB_MUST_USE tmb_err tmb_marks_forget(const tmb_file_port *port, const char *folder);

/* tmb_marks_set_chain says what the log's chain is at the stream's mark; the next move forgets it. */
void tmb_marks_set_chain(tmb_marks *marks, const char *stream,
                         const uint8_t chain[TMB_CHAIN_BYTES]);

/* tmb_marks_move: the parent says it knows stream up to seq, with nothing lost on the way but the gaps told
 * so far. Lower than before: what lay above is forgotten. Gives false when there are TMB_STREAMS_MAX
 * others. */
bool tmb_marks_move(tmb_marks *marks, const char *stream, uint64_t seq);

/* tmb_marks_add_gap: the numbers first to last of stream go up as a gap, or it is not known (TMB_GAP_NONE)
 * whether they went up as records. Told in rising order; what was told at or above first is forgotten: a
 * session that goes back tells it again. */
void tmb_marks_add_gap(tmb_marks *marks, const char *stream, uint64_t first, uint64_t last,
                       tmb_gap_reason reason);

/* tmb_marks_find gives the parent's mark of a stream: it knows all numbers up to it, by either lane. 0 when
 * it has said none, or of another incarnation. */
uint64_t tmb_marks_find(const tmb_marks *marks, const tmb_incarnation *incarnation,
                        const char *stream);

/* tmb_marks_about says what became of the records first to last of a stream. marks NULL (none could be read),
 * or of another incarnation: all unknown. */
tmb_marks_part tmb_marks_about(const tmb_marks *marks, const tmb_incarnation *incarnation,
                               const char *stream, uint64_t first, uint64_t last);

/* tmb_marks_say puts that into words: "at hub already, nothing lost", "not at hub: lost", "3 of 5 at hub
 * already, 2 not: lost", "not known whether hub has them". cap of TMB_MARKS_SAY_BYTES is enough. */
#define TMB_MARKS_SAY_BYTES 256
void tmb_marks_say(const tmb_marks *marks, const tmb_incarnation *incarnation, const char *stream,
                   uint64_t first, uint64_t last, char *out, size_t cap);

/* tmb_marks_has_losses: a gap of the stream that may have been acknowledged records, so anything but torn. */
bool tmb_marks_has_losses(const tmb_marks *marks, const char *stream);

#ifdef __cplusplus
}
#endif
#endif
