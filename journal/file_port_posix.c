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
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
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

/* Never a file on a disk: a page of it that cannot be read or written ends the process (SIGBUS). */
static int map_file(void *context, int fd, size_t len, void **ret_memory)
{
    (void)context;
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    if (fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC)
        return -EINVAL;
    int rc;
    do {
        rc = posix_fallocate(fd, 0, (off_t)len);
    } while (rc == EINTR);
    if (rc != 0)
        return -rc;
    void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    *ret_memory = memory;
    return 0;
}

static int unmap_file(void *context, void *memory, size_t len)
{
    (void)context;
    return munmap(memory, len) < 0 ? -errno : 0;
}

static int forget_bytes(void *context, int fd, off_t from, off_t len)
{
    (void)context;
    return -posix_fadvise(fd, from, len, POSIX_FADV_DONTNEED);
}

static int is_owned(void *context, int fd)
{
    (void)context;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink > 0 &&
           (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int allocate_file(void *context, int fd, off_t offset, off_t len)
{
    (void)context;
    int rc;
    RETRY(rc, fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, len));
    return rc < 0 && errno != EOPNOTSUPP && errno != ENOSYS ? -errno : 0;
}

static int names_of(void *context, int fd)
{
    (void)context;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    return st.st_nlink < INT_MAX ? (int)st.st_nlink : INT_MAX;
}

const tmb_file_port *tmb_file_port_posix(void)
{
    static const tmb_file_port port = {
        .open = open_file,
        .close = close_file,
        .write = write_file,
        .pread = pread_file,
        .sync = sync_file,
        .truncate = truncate_file,
        .size = size_file,
        .changed_ms = changed_ms_of_file,
        .rename = rename_file,
        .unlink = unlink_file,
        .mkdir = make_folder,
        .lock = lock_file,
        .list = list_folder,
        .map = map_file,
        .unmap = unmap_file,
        .forget = forget_bytes,
        .owned = is_owned,
        .allocate = allocate_file,
        .names = names_of,
    };
    return &port;
}
