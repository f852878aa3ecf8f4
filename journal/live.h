// SPDX-License-Identifier: Apache-2.0
/* journal/live.h - <data_dir>/uplink.live: which numbers of a live_first stream go ahead of its backlog.
 *
 *   tombolo-live 1
 *   node s1
 *   incarnation 0123456789abcdef0123456789abcdef      of this node's journal
 *   range meters 5001 6024                            these numbers are of the lane meters.live,
 *   range meters 9001 10024                           all others of the lane meters
 *   crc32c 89abcdef
 *
 * A number is of one lane for ever, whichever parent it goes to: so no record comes twice, and none is
 * forgotten between the two. The last range of a stream is open: it grows while the live lane carries what is
 * new, a part in advance. A range is on the disk before the first record of it leaves.
 *
 * Written and read by tombolo-syncd; the other readers find a copy in uplink.marks. Without the file, or with
 * a damaged one, all numbers are of the stream's own lane again: nothing is lost, and what had gone ahead may
 * come a second time. port: NULL for the real disk. Threads: as the port. Cost: a small file; a walk over the
 * ranges.
 */
#ifndef TMB_JOURNAL_LIVE_H
#define TMB_JOURNAL_LIVE_H

#include "base/err.h"
#include "base/limits.h"
#include "journal/file_port.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_LIVE_FILE "uplink.live"
/* Ranges, all streams together. One more: those that both lanes are through with are forgotten; if there are
 * none, the live lane does not jump, and goes on behind its last range. */
#define TMB_LIVE_RANGES_MAX 64
/* More than all lines can need. A longer file is damaged. */
#define TMB_LIVE_TEXT_BYTES_MAX 8192
/* Numbers that the open range is ahead of the log's end when it is written. After a kill the live lane goes
 * through as many before it may jump again: any of them may have gone ahead. */
#define TMB_LIVE_CHUNK 1024

typedef struct tmb_live_range {
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    uint64_t first, last;
} tmb_live_range;

typedef struct tmb_live {
    char node[TMB_NAME_BYTES_MAX + 1];
    tmb_incarnation incarnation;
    unsigned ranges_count; /* rising in each stream, none next to another */
    tmb_live_range ranges[TMB_LIVE_RANGES_MAX];
} tmb_live;

/* tmb_live_read reads <folder>/uplink.live.
 * Errors: TMB_ENOENT (nothing ever went ahead), TMB_ECORRUPT, TMB_EVERSION, TMB_EDENIED, TMB_EIO. */
TMB_MUST_USE tmb_err tmb_live_read(const tmb_file_port *port, const char *folder,
                                   tmb_live *ret_live);

/* tmb_live_write replaces the file as a whole, and waits for the disk.
 * Errors: TMB_EINVAL (a name or a range that is none), TMB_EIO, TMB_ENOSPC, TMB_EDENIED, TMB_ENOENT: the old
 * file stays. */
TMB_MUST_USE tmb_err tmb_live_write(const tmb_file_port *port, const char *folder,
                                    const tmb_live *live);

/* tmb_live_ranges_are_valid says whether they keep the rules above. */
bool tmb_live_ranges_are_valid(const tmb_live_range *ranges, unsigned count);

/* tmb_live_last gives the open range of a stream, NULL when nothing ever went ahead. */
const tmb_live_range *tmb_live_last(const tmb_live_range *ranges, unsigned count,
                                    const char *stream);

/* tmb_live_part gives the first numbers at or above seq that are of one lane of the stream: of the live one
 * (of the open range what is in the file), or of its own (none from the open range on). ret_last:
 * TMB_SEQ_MAX when there is no end. False: there are none. */
bool tmb_live_part(const tmb_live_range *ranges, unsigned count, const char *stream, bool is_live,
                   uint64_t seq, uint64_t *ret_first, uint64_t *ret_last);

/* tmb_live_jump ends the open range of stream at close (below its first: nothing of it went; it goes) and
 * opens one at first, above close + 1. False: there are TMB_LIVE_RANGES_MAX; nothing changed. */
bool tmb_live_jump(tmb_live *live, const char *stream, uint64_t close, uint64_t first);

/* tmb_live_grow: the open range of stream goes up to last at least. */
void tmb_live_grow(tmb_live *live, const char *stream, uint64_t last);

/* tmb_live_forget removes the ended ranges of stream up to last. */
void tmb_live_forget(tmb_live *live, const char *stream, uint64_t last);

#ifdef __cplusplus
}
#endif
#endif
