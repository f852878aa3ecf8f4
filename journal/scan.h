// SPDX-License-Identifier: Apache-2.0
/* journal/scan.h - walk the records of one segment file; for the journal and its tests.
 *
 * Used by opening, tail and verify, so that all three mean the same by a good record. A scan never reads
 * past a bad byte in silence: it names the bad range and finds the next good record behind it.
 * Threads: one a scan. Cost: one pread of 256 KiB for many records, one pass for the checksums.
 */
#ifndef TMB_JOURNAL_SCAN_H
#define TMB_JOURNAL_SCAN_H

#include "journal/file_port.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_scan {
    const tmb_file_port *files;
    int fd;          /* -1: none */
    uint64_t offset; /* of the next record */
    uint64_t expect; /* its number */
    uint64_t size;   /* of the file, when last asked */
    uint8_t *buffer; /* holds file bytes [start, start + len) */
    size_t cap, len;
    uint64_t start;
} tmb_scan;

typedef enum tmb_scan_kind {
    TMB_SCAN_RECORD = 0, /* a record; the scan has moved behind it */
    TMB_SCAN_END,        /* the file ends here, cleanly */
    TMB_SCAN_TORN,       /* an unfinished record or zeros up to the end of the file */
    TMB_SCAN_BAD,        /* damaged bytes, then a good record: the scan has moved to it */
    TMB_SCAN_BAD_END     /* damaged bytes up to the end of the file */
} tmb_scan_kind;

typedef struct tmb_scan_found {
    tmb_scan_kind kind;
    tmb_record record;    /* RECORD: slices live until the next call */
    uint64_t offset;      /* of the record, or of the range that is no good */
    uint64_t bytes;       /* of that range; 0 with BAD when a record is missing without a trace */
    uint64_t next_expect; /* BAD: number of the next good record */
} tmb_scan_found;

/* tmb_scan_start begins to read fd (taken only by tmb_scan_stop) at offset, where record expect should be. */
void tmb_scan_start(tmb_scan *scan, const tmb_file_port *files, int fd, uint64_t offset,
                    uint64_t expect);

/* tmb_scan_stop closes the file and keeps the buffer; tmb_scan_fini frees that too. */
void tmb_scan_stop(tmb_scan *scan);
void tmb_scan_fini(tmb_scan *scan);

/* tmb_scan_next gives what comes next. is_closed: no writer adds to this file any more; while one may, an
 * unfinished record is only then called damaged when its checksum proves that its length is a lie (a
 * payload may hold bytes that look like a record). Errors: TMB_EIO, TMB_ENOMEM: nothing has moved. */
TMB_MUST_USE tmb_err tmb_scan_next(tmb_scan *scan, bool is_closed, tmb_scan_found *ret_found);

#ifdef __cplusplus
}
#endif
#endif
