// SPDX-License-Identifier: Apache-2.0
/* tests/fault/failing.c - a disk that fails when a test says so, for LD_PRELOAD.
 *
 * TMB_FAILING names the file with the orders (failing.h). A call counts when its path, or the path of
 * its descriptor, is in one of the folders; descriptors 0 to 2 are left alone. What is written through fopen
 * comes by here too: such a file becomes a stream of our own, since the C library's calls inside itself are
 * out of reach. Without orders everything is as it was.
 */
#include "tests/fault/failing.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* By their labels, so that the C library may name the parameters as it likes. */
#define STANDS_FOR(name) __asm__(name) __attribute__((visibility("default")))

static failing_control *orders;

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("TMB_FAILING");
    int fd = file ? (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)syscall(SYS_close, fd);
    if (map != MAP_FAILED && ((failing_control *)map)->magic == FAILING_MAGIC)
        orders = map;
}

static bool is_ours(const char *path)
{
    if (!orders || !path || path[0] != '/')
        return false;
    for (size_t i = 0; i < FAILING_FOLDERS_MAX; i++) {
        size_t len = strlen(orders->folders[i]);
        if (len > 0 && strncmp(path, orders->folders[i], len) == 0 &&
            (path[len] == '/' || path[len] == '\0'))
            return true;
    }
    return false;
}

static bool path_of(int fd, char path[FAILING_PATH_BYTES])
{
    char link_name[32];
    if (!orders || fd <= 2)
        return false;
    (void)snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", fd);
    int saved = errno;
    ssize_t len = readlink(link_name, path, FAILING_PATH_BYTES - 1);
    errno = saved;
    if (len < 0)
        return false;
    path[len] = '\0';
    return is_ours(path);
}

/* fires counts a call and says whether it is to fail. A call that is only to be slow is held here. */
static bool fires(enum failing_op op, const char *path)
{
    atomic_fetch_add(&orders->calls[op], 1);
    if (!(atomic_load(&orders->armed) & 1u << op))
        return false;
    uint32_t number = atomic_fetch_add(&orders->seen, 1) + 1;
    if (number < orders->at || (orders->count > 0 && number - orders->at >= orders->count))
        return false;
    atomic_fetch_add(&orders->fired, 1);
    (void)snprintf(orders->last, sizeof orders->last, "%s", path);
    if (orders->delay_ms == 0)
        return true;
    struct timespec rest = {orders->delay_ms / 1000, (long)(orders->delay_ms % 1000) * 1000000};
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
        ;
    return false;
}

static bool fires_at(enum failing_op op, int fd)
{
    char path[FAILING_PATH_BYTES];
    return path_of(fd, path) && fires(op, path);
}

static bool fires_on(enum failing_op op, const char *path)
{
    return is_ours(path) && fires(op, path);
}

static int fail(void)
{
    errno = orders->error;
    return -1;
}

/* ---- what a failed sync may cost: everything since the last good one ---- */

#define SYNCED_MAX 512
static pthread_mutex_t synced_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    dev_t device;
    ino_t inode;
    off_t bytes;
} synced[SYNCED_MAX];
static size_t synced_count;

/* The entry of fd, made with what the file has now when there is none; NULL: no file, or no room. */
static off_t *synced_of(int fd, struct stat *st)
{
    if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))
        return NULL;
    for (size_t i = 0; i < synced_count; i++)
        if (synced[i].device == st->st_dev && synced[i].inode == st->st_ino)
            return &synced[i].bytes;
    if (synced_count == SYNCED_MAX)
        return NULL;
    synced[synced_count].device = st->st_dev;
    synced[synced_count].inode = st->st_ino;
    synced[synced_count].bytes = st->st_size;
    return &synced[synced_count++].bytes;
}

static void note_opened(int fd)
{
    struct stat st;
    pthread_mutex_lock(&synced_lock);
    off_t *bytes = synced_of(fd, &st);
    if (bytes && st.st_size < *bytes)
        *bytes = st.st_size; /* cut, or another file under an old number */
    pthread_mutex_unlock(&synced_lock);
}

static void note_synced(int fd, bool is_good)
{
    static const char zeros[4096];
    struct stat st;
    pthread_mutex_lock(&synced_lock);
    off_t *bytes = synced_of(fd, &st);
    for (off_t at = bytes ? *bytes : 0; bytes && !is_good && at < st.st_size;) {
        size_t left = (size_t)(st.st_size - at);
        long n = syscall(SYS_pwrite64, fd, zeros, left < sizeof zeros ? left : sizeof zeros, at);
        if (n <= 0)
            break;
        at += n;
    }
    if (bytes)
        *bytes = st.st_size;
    pthread_mutex_unlock(&synced_lock);
}

static int sync_call(long number, int fd)
{
    char path[FAILING_PATH_BYTES];
    if (!path_of(fd, path))
        return (int)syscall(number, fd);
    if (fires(FAILING_SYNC, path)) {
        if (orders->drop)
            note_synced(fd, false);
        return fail();
    }
    int rc = (int)syscall(number, fd);
    if (rc == 0)
        note_synced(fd, true);
    return rc;
}

/* ---- the calls ---- */

int failing_fdatasync(int fd) STANDS_FOR("fdatasync");
int failing_fsync(int fd) STANDS_FOR("fsync");
ssize_t failing_write(int fd, const void *bytes, size_t len) STANDS_FOR("write");
ssize_t failing_pwrite(int fd, const void *bytes, size_t len, off_t at) STANDS_FOR("pwrite");
ssize_t failing_read(int fd, void *bytes, size_t len) STANDS_FOR("read");
ssize_t failing_pread(int fd, void *bytes, size_t len, off_t at) STANDS_FOR("pread");
int failing_rename(const char *from, const char *to) STANDS_FOR("rename");
int failing_link(const char *from, const char *to) STANDS_FOR("link");
int failing_unlink(const char *path) STANDS_FOR("unlink");
int failing_mkdir(const char *path, mode_t mode) STANDS_FOR("mkdir");
int failing_ftruncate(int fd, off_t len) STANDS_FOR("ftruncate");
int failing_fallocate(int fd, int mode, off_t at, off_t len) STANDS_FOR("fallocate");
int failing_posix_fallocate(int fd, off_t at, off_t len) STANDS_FOR("posix_fallocate");
int failing_open(const char *path, int flags, ...) STANDS_FOR("open");
int failing_open_2(const char *path, int flags) STANDS_FOR("__open_2");
FILE *failing_fopen(const char *path, const char *mode) STANDS_FOR("fopen");
int failing_fileno(FILE *file) STANDS_FOR("fileno");
DIR *failing_opendir(const char *path) STANDS_FOR("opendir");

int failing_fdatasync(int fd)
{
    return sync_call(SYS_fdatasync, fd);
}

int failing_fsync(int fd)
{
    return sync_call(SYS_fsync, fd);
}

ssize_t failing_write(int fd, const void *bytes, size_t len)
{
    if (!fires_at(FAILING_WRITE, fd))
        return syscall(SYS_write, fd, bytes, len);
    return orders->half && len > 1 ? syscall(SYS_write, fd, bytes, len / 2) : fail();
}

ssize_t failing_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    if (!fires_at(FAILING_WRITE, fd))
        return syscall(SYS_pwrite64, fd, bytes, len, at);
    return orders->half && len > 1 ? syscall(SYS_pwrite64, fd, bytes, len / 2, at) : fail();
}

ssize_t failing_read(int fd, void *bytes, size_t len)
{
    return fires_at(FAILING_READ, fd) ? fail() : syscall(SYS_read, fd, bytes, len);
}

ssize_t failing_pread(int fd, void *bytes, size_t len, off_t at)
{
    return fires_at(FAILING_READ, fd) ? fail() : syscall(SYS_pread64, fd, bytes, len, at);
}

int failing_rename(const char *from, const char *to)
{
    return fires_on(FAILING_RENAME, to) ? fail() : (int)syscall(SYS_rename, from, to);
}

int failing_link(const char *from, const char *to)
{
    return fires_on(FAILING_LINK, to) ? fail() : (int)syscall(SYS_link, from, to);
}

int failing_unlink(const char *path)
{
    return fires_on(FAILING_UNLINK, path) ? fail() : (int)syscall(SYS_unlink, path);
}

int failing_mkdir(const char *path, mode_t mode)
{
    return fires_on(FAILING_MKDIR, path) ? fail() : (int)syscall(SYS_mkdir, path, mode);
}

int failing_ftruncate(int fd, off_t len)
{
    if (fires_at(FAILING_TRUNCATE, fd))
        return fail();
    int rc = (int)syscall(SYS_ftruncate, fd, len);
    if (rc == 0 && orders && fd > 2)
        note_opened(fd);
    return rc;
}

int failing_fallocate(int fd, int mode, off_t at, off_t len)
{
    return fires_at(FAILING_TRUNCATE, fd) ? fail() : (int)syscall(SYS_fallocate, fd, mode, at, len);
}

int failing_posix_fallocate(int fd, off_t at, off_t len)
{
    if (fires_at(FAILING_TRUNCATE, fd))
        return orders->error;
    return syscall(SYS_fallocate, fd, 0, at, len) < 0 ? errno : 0;
}

static int open_it(const char *path, int flags, mode_t mode)
{
    if (fires_on(FAILING_OPEN, path))
        return fail();
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0 && is_ours(path))
        note_opened(fd);
    return fd;
}

int failing_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    return open_it(path, flags, mode);
}

int failing_open_2(const char *path, int flags)
{
    return open_it(path, flags, 0);
}

/* A symbol of the C library as a function pointer; ISO C knows no cast for it. */
static void find(void *ret_function, const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    memcpy(ret_function, &symbol, sizeof symbol);
}

DIR *failing_opendir(const char *path)
{
    DIR *(*real)(const char *);
    if (fires_on(FAILING_OPEN, path)) {
        (void)fail();
        return NULL;
    }
    find(&real, "opendir");
    return real(path);
}

/* ---- files written through stdio ---- */

#define STREAMS_MAX 32
typedef struct stream {
    FILE *file;
    int fd;
    bool is_used;
} stream;
static stream streams[STREAMS_MAX];
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t write_stream(void *cookie, const char *bytes, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = failing_write(((stream *)cookie)->fd, bytes + done, len - done);
        if (n < 0)
            return (ssize_t)done;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int close_stream(void *cookie)
{
    stream *s = cookie;
    int rc = close(s->fd);
    s->file = NULL;
    s->is_used = false;
    return rc;
}

static FILE *open_stream(const char *path)
{
    stream *s = NULL;
    pthread_mutex_lock(&streams_lock);
    for (size_t i = 0; i < STREAMS_MAX && !s; i++)
        if (!streams[i].is_used)
            s = &streams[i];
    if (s)
        s->is_used = true;
    pthread_mutex_unlock(&streams_lock);
    if (!s) {
        errno = EMFILE;
        return NULL;
    }
    s->fd = open_it(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (s->fd >= 0)
        s->file = fopencookie(
            s, "w", (cookie_io_functions_t){.write = write_stream, .close = close_stream});
    if (s->fd < 0 || !s->file)
        s->is_used = false;
    return s->fd < 0 ? NULL : s->file;
}

FILE *failing_fopen(const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *);
    if (is_ours(path) && mode[0] == 'w' && !strchr(mode, '+'))
        return open_stream(path);
    if (fires_on(FAILING_OPEN, path)) {
        (void)fail();
        return NULL;
    }
    find(&real, "fopen");
    return real(path, mode);
}

int failing_fileno(FILE *file)
{
    int (*real)(FILE *);
    for (size_t i = 0; i < STREAMS_MAX; i++)
        if (streams[i].is_used && streams[i].file == file)
            return streams[i].fd;
    find(&real, "fileno");
    return real(file);
}
