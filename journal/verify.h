// SPDX-License-Identifier: Apache-2.0
/* journal/verify.h - read every byte of a stream and name every range that is not a good record.
 *
 * Threads: one. Cost: reads all segments once. Works beside a writer: the last record may be half there.
 */
#ifndef TMB_JOURNAL_VERIFY_H
#define TMB_JOURNAL_VERIFY_H

#include "journal/identity.h"
#include "journal/tail.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_verify_report {
    uint64_t segments, records, bytes;
    uint64_t first_seq, last_seq;
    uint64_t gaps;          /* missing ranges, of whatever reason */
    uint64_t damaged_bytes; /* in ranges and in headers */
    uint64_t torn_bytes;    /* unfinished last record */
} tmb_verify_report;

/* tmb_verify_stream calls found for every gap and damaged range, in order; reason TMB_GAP_NONE: the segment
 * named cannot be read, from that offset on, or is of a later version. Behind one that cannot be read it goes
 * on with the next.
 * Errors: TMB_ENOENT (no such stream), TMB_EIO, TMB_EDENIED (something could not be read; the rest was, but
 * ret_report is not given), TMB_EVERSION, TMB_ENOMEM. Damage is not an error here, it is a finding. */
TMB_MUST_USE tmb_err tmb_verify_stream(const char *root, const char *stream,
                                       const tmb_file_port *files,
                                       void (*found)(void *arg, const tmb_tail_gap *gap), void *arg,
                                       tmb_verify_report *ret_report);

/* tmb_verify_identity reads <root>/identity. Errors: TMB_ENOENT, TMB_ECORRUPT (a bit of it is wrong: opening
 * for writing mends it from a segment), TMB_EVERSION, TMB_EIO. */
TMB_MUST_USE tmb_err tmb_verify_identity(const char *root, const tmb_file_port *files,
                                         tmb_identity *ret_identity);

#ifdef __cplusplus
}
#endif
#endif
