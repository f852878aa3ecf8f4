// SPDX-License-Identifier: Apache-2.0
/* journal/quarantine.h - keep damaged bytes for people; for the journal itself.
 *
 * Threads: as the port. Cost: reads and writes the bytes once, the first time they are met.
 */
#ifndef TMB_JOURNAL_QUARANTINE_H
#define TMB_JOURNAL_QUARANTINE_H

#include "journal/tail.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_quarantine_copy copies gap->bytes at gap->offset of gap->file into
 * <folder>/quarantine/<file>-<offset>.bin, unless that is there. Errors: TMB_EIO, TMB_ENOSPC, TMB_ENOENT
 * (the segment is gone). */
TMB_MUST_USE tmb_err tmb_quarantine_copy(const tmb_file_port *files, const char *folder,
                                         const tmb_tail_gap *gap);

#ifdef __cplusplus
}
#endif
#endif
