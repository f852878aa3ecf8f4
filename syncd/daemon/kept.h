// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/kept.h - small text files of the daemon that outlive it: lines, and a checksum as the last.
 *
 *   crc 1a2b3c4d        CRC-32C of all that is before it
 *
 * A file is replaced whole (written aside, synced, renamed), so that it is the old one or the new one. What
 * is in them is worth having and can be done without. Threads: any, one at a time for one file. Blocking.
 */
#ifndef TMB_SYNCD_DAEMON_KEPT_H
#define TMB_SYNCD_DAEMON_KEPT_H

#include "base/err.h"

#define TMB_KEPT_BYTES_MAX (1024 * 1024) /* a larger file: TMB_ECORRUPT */

/* Errors: TMB_EIO, TMB_ENOSPC, TMB_ELIMIT (path too long). */
TMB_MUST_USE tmb_err tmb_kept_write(const char *folder, const char *name, const char *text);

/* tmb_kept_read gives ret_text (free): without the checksum.
 * Errors: TMB_ENOENT, TMB_EIO, TMB_ECORRUPT, TMB_ENOMEM, TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_kept_read(const char *folder, const char *name, char **ret_text);

#endif
