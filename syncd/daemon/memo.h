// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/memo.h - small text files of the daemon that outlive it: lines, and a checksum as the last.
 *
 *   crc 1a2b3c4d        CRC-32C of all that is before it
 *
 * A file is replaced whole (tmb_files_create), so that it is the old one or the new one, or, should the
 * folder refuse to sync, none. What is in them is worth having and can be done without. Threads: any, one at
 * a time for one file. Blocking.
 */
#ifndef TMB_SYNCD_DAEMON_MEMO_H
#define TMB_SYNCD_DAEMON_MEMO_H

#include "base/err.h"

#define TMB_MEMO_BYTES_MAX (1024 * 1024) /* a larger file: TMB_ECORRUPT */

/* Errors: TMB_EIO, TMB_ENOENT (no folder), TMB_ENOSPC, TMB_ENOMEM, TMB_ELIMIT (path too long). */
TMB_MUST_USE tmb_err tmb_memo_write(const char *folder, const char *name, const char *text);

/* tmb_memo_read gives ret_text (free): without the checksum.
 * Errors: TMB_ENOENT, TMB_EIO, TMB_ECORRUPT, TMB_ENOMEM, TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_memo_read(const char *folder, const char *name, char **ret_text);

#endif
