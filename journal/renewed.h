// SPDX-License-Identifier: Apache-2.0
/* journal/renewed.h - <root>/renewed: which number an operation of state had before the journal was renewed.
 *
 *   tombolo-renewed 1
 *   from 0123456789abcdef0123456789abcdef      incarnation of the journal before
 *   run 17 1 400                               numbers 17 to 416 there are 1 to 400 here
 *   run 420 401 8
 *   crc32c 89abcdef
 *
 * Records that go to a parent are known there by their origin, and may come twice. Operations on state are
 * applied here, and each once: who had applied them up to a number of the old journal goes on behind the same
 * one of this journal. Written by tombolo-journal renew with the new journal, before it takes the name; never
 * changed. Threads: as the port. Cost: one small file.
 */
#ifndef TMB_JOURNAL_RENEWED_H
#define TMB_JOURNAL_RENEWED_H

#include "journal/file_port.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A run begins behind a hole in the old journal. More: the last run is taken to go on, so that nothing is
 * applied twice; as many operations as are missing in later holes may be taken for applied ones. */
#define TMB_RENEWED_RUNS_MAX 64u

typedef struct tmb_renewed_run {
    uint64_t old_first, first, count; /* none is 0 */
} tmb_renewed_run;

typedef struct tmb_renewed {
    tmb_incarnation from;
    unsigned runs_count; /* 0: nothing was carried over */
    tmb_renewed_run runs[TMB_RENEWED_RUNS_MAX];
} tmb_renewed;

/* tmb_renewed_add notes that the record old_seq became seq, in rising order. */
void tmb_renewed_add(tmb_renewed *renewed, uint64_t old_seq, uint64_t seq);

/* tmb_renewed_seq gives the last number here that was old_seq or less there; 0: none. */
uint64_t tmb_renewed_seq(const tmb_renewed *renewed, uint64_t old_seq);

/* tmb_renewed_last gives the last number here that was carried over; 0: none. */
uint64_t tmb_renewed_last(const tmb_renewed *renewed);

/* Errors: TMB_ENOENT (the journal was never renewed, or by a version that left no note), TMB_ECORRUPT,
 * TMB_EVERSION, TMB_EIO. */
TMB_MUST_USE tmb_err tmb_renewed_read(const tmb_file_port *files, const char *root,
                                      tmb_renewed *ret_renewed);

/* Errors: TMB_EIO, TMB_ENOSPC. */
TMB_MUST_USE tmb_err tmb_renewed_write(const tmb_file_port *files, const char *root,
                                       const tmb_renewed *renewed);

#ifdef __cplusplus
}
#endif
#endif
