// SPDX-License-Identifier: Apache-2.0
/* journal/file_port_posix.c - the real file system behind journal/file_port.h.
 *
 * A signal is no failure: every call that it can interrupt is made again here, so nobody above sees EINTR
 * from a real disk.
 */
#include "journal/file_port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY(result, call)                                                                        \
    do {                                                                                           \
        (result) = (call);                                                                         \
    } while ((result) < 0 && errno == EINTR)

static int open_file(void *context, const char *path, int flags, mode_t mode)
{
    (void)context;
    int fd;
    RETRY(fd, open(path, flags | O_CLOEXEC, mode));
    return fd < 0 ? -errno : fd;
}

/* Not made again after EINTR: Linux has closed the descriptor by then. */
static int close_file(void *context, int fd)
{
    (void)context;
    return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

static ssize_t write_file(void *context, int fd, const void *bytes, size_t len)
{
    (void)context;
    ssize_t n;
    RETRY(n, write(fd, bytes, len));
    return n < 0 ? -errno : n;
}

static ssize_t pread_file(void *context, int fd, void *bytes, size_t len, off_t offset)
{
    (void)context;
    ssize_t n;
    RETRY(n, pread(fd, bytes, len, offset));
    return n < 0 ? -errno : n;
}

static int sync_file(void *context, int fd)
{
    (void)context;
    struct stat st;
    int rc = fstat(fd, &st);
    if (rc < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        RETRY(rc, fsync(fd));
    else
        RETRY(rc, fdatasync(fd));
    return rc < 0 ? -errno : 0;
}

static int truncate_file(void *context, int fd, off_t len)
{
    (void)context;
    int rc;
    RETRY(rc, ftruncate(fd, len));
    return rc < 0 ? -errno : 0;
}

static int64_t size_file(void *context, int fd)
{
    (void)context;
    struct stat st;
    return fstat(fd, &st) < 0 ? -errno : (int64_t)st.st_size;
}

static int64_t changed_ms_of_file(void *context, int fd)
{
    (void)context;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    return st.st_mtim.tv_sec > 0 ? (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000
                                 : 0;
}

static int rename_file(void *context, const char *from, const char *to)
{
    (void)context;
    return rename(from, to) < 0 ? -errno : 0;
}

static int unlink_file(void *context, const char *path)
{
    (void)context;
    return unlink(path) < 0 ? -errno : 0;
}

static int make_folder(void *context, const char *path, mode_t mode)
{
    (void)context;
    return mkdir(path, mode) < 0 ? -errno : 0;
}

static int lock_file(void *context, int fd)
{
    (void)context;
    int rc;
    RETRY(rc, flock(fd, LOCK_EX | LOCK_NB));
    return rc < 0 ? -errno : 0;
}

static int list_folder(void *context, const char *path, int (*visit)(void *arg, const char *name),
                       void *arg)
{
    (void)context;
    DIR *folder = opendir(path);
    if (!folder)
        return -errno;
    int rc = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry) {
            rc = -errno;
            break;
        }
        if (visit(arg, entry->d_name) != 0)
            break;
    }
    closedir(folder);
    return rc;
}

const tmb_file_port *tmb_file_port_posix(void)
{
    static const tmb_file_port port = {
        NULL,        open_file,     close_file, write_file,         pread_file,
        sync_file,   truncate_file, size_file,  changed_ms_of_file, rename_file,
        unlink_file, make_folder,   lock_file,  list_folder};
    return &port;
}
