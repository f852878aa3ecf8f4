// SPDX-License-Identifier: Apache-2.0
/* journal/files.h - what the journal does with a file port in more than one place; not for other rooms.
 *
 * Threads: as the port. Errors of all: TMB_EIO, TMB_ENOSPC, TMB_ENOMEM, TMB_ENOENT, TMB_EBUSY by errno.
 */
#ifndef TMB_JOURNAL_FILES_H
#define TMB_JOURNAL_FILES_H

#include "base/bytes.h"
#include "base/err.h"
#include "journal/file_port.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_PATH_BYTES 4096

typedef struct tmb_path {
    char text[TMB_PATH_BYTES];
} tmb_path;

/* tmb_path_join makes "a/b"; a too long path becomes empty, which no open accepts. */
tmb_path tmb_path_join(const char *a, const char *b);

/* tmb_files_err gives the code for a result of the port: TMB_OK for >= 0. */
tmb_err tmb_files_err(int64_t result);

/* tmb_files_write writes all of bytes, going on after a short write. */
TMB_MUST_USE tmb_err tmb_files_write(const tmb_file_port *files, int fd, tmb_bytes bytes);

/* tmb_files_write_from goes on from *done, and counts there what has been written, also when it fails. */
TMB_MUST_USE tmb_err tmb_files_write_from(const tmb_file_port *files, int fd, tmb_bytes bytes,
                                          size_t *done);

/* tmb_files_read reads up to len bytes at offset, fewer only at the end of the file. */
TMB_MUST_USE tmb_err tmb_files_read(const tmb_file_port *files, int fd, void *bytes, size_t len,
                                    uint64_t offset, size_t *ret_len);

TMB_MUST_USE tmb_err tmb_files_sync_folder(const tmb_file_port *files, const char *path);

/* tmb_files_make_folder makes path when it is not there, with the folders above it when deep. */
TMB_MUST_USE tmb_err tmb_files_make_folder(const tmb_file_port *files, const char *path, bool deep);

/* tmb_files_create writes a file so that it is there whole or not at all, even after power loss: beside
 * it as .tmp, synced, renamed, folder synced. After an error what was there before is there, or, when the
 * last step has failed, the new one. ret_fd gets it open for writing at its end, of a file that is new: after
 * an error there is none. */
TMB_MUST_USE tmb_err tmb_files_create(const tmb_file_port *files, const char *folder,
                                      const char *name, tmb_bytes bytes, int *ret_fd);

#ifdef __cplusplus
}
#endif
#endif
