// SPDX-License-Identifier: Apache-2.0
/* journal/identity.h - <root>/identity: whose journal this is; for the journal, its tests and its tool.
 *
 *   tombolo-journal 1
 *   node s1
 *   incarnation 0123456789abcdef0123456789abcdef
 *   crc32c 89abcdef
 *
 * The checksum is of every byte before its own line. Every later version keeps the first word and the last
 * line. Threads: as the port.
 */
#ifndef TMB_JOURNAL_IDENTITY_H
#define TMB_JOURNAL_IDENTITY_H

#include "base/limits.h"
#include "journal/file_port.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_identity {
    char node[TMB_NAME_BYTES_MAX + 1];
    tmb_incarnation incarnation;
} tmb_identity;

/* Errors: TMB_ENOENT, TMB_ECORRUPT, TMB_EVERSION, TMB_EIO. */
TMB_MUST_USE tmb_err tmb_identity_read(const tmb_file_port *files, const char *root,
                                       tmb_identity *ret_identity);

/* Errors: TMB_EIO, TMB_ENOSPC. */
TMB_MUST_USE tmb_err tmb_identity_write(const tmb_file_port *files, const char *root,
                                        const tmb_identity *identity);

/* tmb_identity_find asks the segments under root who they belong to: the first header that is whole.
 * Errors: TMB_ENOENT (no segment at all), TMB_ECORRUPT (segments, but none says it), TMB_EIO, TMB_EDENIED (a
 * folder cannot be listed: it may have some), TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_identity_find(const tmb_file_port *files, const char *root,
                                       tmb_identity *ret_identity);

#ifdef __cplusplus
}
#endif
#endif
