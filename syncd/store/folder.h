// SPDX-License-Identifier: Apache-2.0
/* syncd/store/folder.h - the folder of a store: made, measured, set aside. Inner header of this room.
 *
 * Threads: any. Cost: a few system calls.
 */
#ifndef TMB_SYNCD_STORE_FOLDER_H
#define TMB_SYNCD_STORE_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* tmb_folder_make is mkdir -p; what it cannot make, opening will complain about by name. */
void tmb_folder_make(const char *path);

/* tmb_folder_space: below the reserve nothing is written: the journal, which is worth more, has the rest of
 * the disk. Errors: TMB_ENOSPC, TMB_EIO. */
TMB_MUST_USE tmb_err tmb_folder_space(const char *path, uint64_t reserve_bytes);

/* tmb_folder_set_aside renames the folder to the first free <path>.damaged-<n>: kept for people, not deleted.
 * text (may be NULL) is told, behind what stands there. Errors: TMB_EIO, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_folder_set_aside(const char *path, char *text, size_t text_cap);

#endif
