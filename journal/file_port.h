// SPDX-License-Identifier: Apache-2.0
/* journal/file_port.h - the calls the journal makes of a file system, so that each can be made to fail.
 *
 * Every function gives >= 0, or -errno. tmb_file_port_posix() is the real one; tests wrap it. Threads: the
 * real one, any; a test's own, as it says.
 */
#ifndef TMB_JOURNAL_FILE_PORT_H
#define TMB_JOURNAL_FILE_PORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_file_port tmb_file_port;

struct tmb_file_port {
    void *context;
    int (*open)(void *context, const char *path, int flags, mode_t mode);
    int (*close)(void *context, int fd);
    ssize_t (*write)(void *context, int fd, const void *bytes, size_t len);
    ssize_t (*pread)(void *context, int fd, void *bytes, size_t len, off_t offset);
    int (*sync)(void *context, int fd); /* fdatasync; fsync for a directory */
    int (*truncate)(void *context, int fd, off_t len);
    int64_t (*size)(void *context, int fd);
    /* When it was last written, wall time; 0: not known. */
    int64_t (*changed_ms)(void *context, int fd);
    int (*rename)(void *context, const char *from, const char *to);
    int (*unlink)(void *context, const char *path);
    int (*mkdir)(void *context, const char *path, mode_t mode);
    int (*lock)(void *context, int fd); /* exclusive, at once or -EWOULDBLOCK */
    /* Calls visit with each entry's name, until it gives non-zero. */
    int (*list)(void *context, const char *path, int (*visit)(void *arg, const char *name),
                void *arg);
    /* A new file, grown to len bytes of zeros and mapped, shared, so that no access to them can fail: all
     * are allocated, and of memory; -EINVAL when the file is not on a tmpfs or ramfs. */
    int (*map)(void *context, int fd, size_t len, void **ret_memory);
    int (*unmap)(void *context, void *memory, size_t len);
    /* A hint: these bytes, which are synced, will hardly be read soon. */
    int (*forget)(void *context, int fd, off_t from, off_t len);
    /* 1: a plain file of this user, that nobody else may write, and that still has a name; else 0. */
    int (*owned)(void *context, int fd);
    /* Takes the space for len bytes at offset, so that writing them does not meet a full disk, and leaves the
     * file's size. A file system that cannot do that: 0. */
    int (*allocate)(void *context, int fd, off_t offset, off_t len);
    /* How many names the file has; 0: it was removed, and goes when it is closed. */
    int (*names)(void *context, int fd);
};

const tmb_file_port *tmb_file_port_posix(void);

#ifdef __cplusplus
}
#endif
#endif
