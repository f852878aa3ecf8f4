// SPDX-License-Identifier: Apache-2.0
/* journal/tail_inside.h - the inside of a tail; for the journal's own files. */
#ifndef TMB_JOURNAL_TAIL_INSIDE_H
#define TMB_JOURNAL_TAIL_INSIDE_H

#include "journal/files.h"
#include "journal/scan.h"
#include "journal/segment.h"
#include "journal/tail.h"

/* Closed segments that were read and not yet synced by tmb_tail_sync: more than these are synced at once. */
#define TMB_TAIL_UNSYNCED_MAX 8
/* Gaps that entering one segment can tell. */
#define TMB_TAIL_GAPS_MAX 4

/* How the segment before the current one ended. */
typedef struct tmb_tail_end {
    uint64_t base;          /* 0: none was read */
    uint64_t offset, bytes; /* what is behind its last good record; bytes 0: nothing */
} tmb_tail_end;

struct tmb_tail {
    const tmb_file_port *files;
    tmb_path root, folder;
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];

    tmb_segment_list list;
    tmb_scan scan;       /* of the current segment; scan.fd -1: none */
    uint64_t base;       /* of the current segment; 0: none */
    bool is_closed;      /* it has a successor */
    tmb_tail_end before; /* the one that was left last */

    uint64_t expect;  /* the next number */
    uint64_t floor;   /* numbers below are passed over (seek) */
    int64_t floor_ms; /* stamps below are passed over */
    bool is_seeking;  /* the next segment is chosen by floor */

    tmb_tail_gap gaps[TMB_TAIL_GAPS_MAX]; /* to be told */
    size_t gaps_count, gaps_told;
    uint64_t noticed; /* offset of damage at the end of the current segment that was told */

    int unsynced[TMB_TAIL_UNSYNCED_MAX];
    size_t unsynced_count;
    bool is_unsynced; /* a record of the current segment was read since the last sync */
    tmb_err sync_err; /* met while making room in unsynced */

    tmb_scan range_scan; /* for tmb_tail_range: at the end of the newest segment it has seen */
    uint64_t range_base;
    tmb_segment_header
        range_header; /* the newest that could be read then: another one is another log */

    int watch_fd; /* -1: none yet */
    int watch_id; /* -1: none; of the stream's folder, or of the nearest one above it that is there */
};

/* tmb_tail_reset forgets the current segment and what was to be told. */
void tmb_tail_reset(tmb_tail *tail);

#endif
