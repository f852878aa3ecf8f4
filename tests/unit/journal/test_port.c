// SPDX-License-Identifier: Apache-2.0
/* tests/unit/journal/test_port.c - the real file port, with a call that fails and a power cut.
 *
 * A file's bytes are safe up to where the last sync of it found its end; its name, once its folder was
 * synced; so is that it is removed. All else is left or taken by the power cut as the dice fall.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/journal/fixture.h"

static const tmb_file_port *real;

static bool fails(test_port *p, int op)
{
    p->calls[op]++;
    if (p->before_call)
        p->before_call(p->before_call_arg);
    bool now = op == p->fail_op &&
               (p->calls[op] == p->fail_at || (p->fails_on && p->calls[op] > p->fail_at));
    if (now)
        p->failed = true;
    now |= op == p->rough_op && p->calls[op] == p->rough_at;
    bool changes = op == TEST_OP_WRITE || op == TEST_OP_SYNC || op == TEST_OP_TRUNCATE ||
                   op == TEST_OP_RENAME || op == TEST_OP_UNLINK || op == TEST_OP_MKDIR ||
                   op == TEST_OP_OPEN;
    if (changes && p->dies_at > 0 && --p->dies_at == 0)
        p->is_dead = true;
    return now || (p->is_dead && changes);
}

static test_file *find_file(test_port *p, const char *path)
{
    for (size_t i = 0; i < p->files_count; i++) {
        if (!p->files[i].is_gone && strcmp(p->files[i].path, path) == 0)
            return &p->files[i];
    }
    return NULL;
}

static int op_open(void *context, const char *path, int flags, mode_t mode)
{
    test_port *p = context;
    if (fails(p, TEST_OP_OPEN))
        return -p->error;
    int fd = real->open(NULL, path, flags, mode);
    if (fd < 0 || fd >= 1024)
        return fd;
    p->fds[fd] = -1;
    p->folders[fd][0] = '\0';
    if (flags & O_DIRECTORY) {
        snprintf(p->folders[fd], TEST_PATH_BYTES, "%s", path);
        return fd;
    }
    test_file *file = find_file(p, path);
    if (!file && (flags & O_CREAT) && p->files_count < TEST_FILES_MAX) {
        file = &p->files[p->files_count++];
        memset(file, 0, sizeof *file);
        snprintf(file->path, sizeof file->path, "%s", path);
    }
    if (file) {
        p->fds[fd] = (int)(file - p->files);
        if (flags & O_TRUNC)
            file->synced_bytes = 0;
    }
    return fd;
}

static int op_close(void *context, int fd)
{
    test_port *p = context;
    bool bad = fails(p, TEST_OP_CLOSE);
    int rc = real->close(NULL, fd);
    return bad ? -p->error : rc;
}

static ssize_t op_write(void *context, int fd, const void *bytes, size_t len)
{
    test_port *p = context;
    if (!fails(p, TEST_OP_WRITE))
        return real->write(NULL, fd, bytes, len);
    if (p->is_short && len > 1) {
        /* A short write first; the call that goes on after it fails. */
        p->is_short = false;
        p->fail_at++;
        return real->write(NULL, fd, bytes, len / 2);
    }
    return -p->error;
}

static ssize_t op_pread(void *context, int fd, void *bytes, size_t len, off_t offset)
{
    test_port *p = context;
    return fails(p, TEST_OP_PREAD) ? -p->error : real->pread(NULL, fd, bytes, len, offset);
}

static bool is_in(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && path[len] == '/' && !strchr(path + len + 1, '/');
}

/* Where a removed file waits for the sync of its folder: a name that is no segment's. */
static void name_removed(const char *path, char aside[TEST_PATH_BYTES + 8])
{
    snprintf(aside, TEST_PATH_BYTES + 8, "%s.removed", path);
}

static void mark_names(test_port *p, const char *folder)
{
    size_t left = 0;
    for (size_t i = 0; i < p->files_count; i++) {
        if (is_in(p->files[i].path, folder)) {
            p->files[i].is_durable = true;
            p->files[i].old_path[0] = '\0';
        }
    }
    for (size_t i = 0; i < p->removed_count; i++) {
        char aside[TEST_PATH_BYTES + 8];
        name_removed(p->removed[i], aside);
        if (is_in(p->removed[i], folder))
            real->unlink(NULL, aside);
        else
            memmove(p->removed[left++], p->removed[i], TEST_PATH_BYTES);
    }
    p->removed_count = left;
}

static int op_sync(void *context, int fd)
{
    test_port *p = context;
    if (fails(p, TEST_OP_SYNC))
        return -p->error;
    int rc = 0; /* nothing is really synced: the power is only cut in here */
    if (fd < 1024 && p->folders[fd][0])
        mark_names(p, p->folders[fd]);
    else if (fd < 1024 && p->fds[fd] >= 0)
        p->files[p->fds[fd]].synced_bytes = (uint64_t)real->size(NULL, fd);
    return rc;
}

static int op_truncate(void *context, int fd, off_t len)
{
    test_port *p = context;
    if (fails(p, TEST_OP_TRUNCATE))
        return -p->error;
    if (fd < 1024 && p->fds[fd] >= 0 && p->files[p->fds[fd]].synced_bytes > (uint64_t)len)
        p->files[p->fds[fd]].synced_bytes = (uint64_t)len;
    return real->truncate(NULL, fd, len);
}

static int64_t op_size(void *context, int fd)
{
    test_port *p = context;
    return fails(p, TEST_OP_SIZE) ? -p->error : real->size(NULL, fd);
}

static int64_t op_changed_ms(void *context, int fd)
{
    test_port *p = context;
    if (fails(p, TEST_OP_CHANGED))
        return -p->error;
    return p->changed_ms >= 0 ? p->changed_ms : real->changed_ms(NULL, fd);
}

static int op_rename(void *context, const char *from, const char *to)
{
    test_port *p = context;
    if (fails(p, TEST_OP_RENAME))
        return -p->error;
    int rc = real->rename(NULL, from, to);
    test_file *file = find_file(p, from), *target = find_file(p, to);
    if (rc >= 0 && target)
        target->is_gone = true;
    if (rc >= 0 && file) {
        memcpy(file->old_path, file->path, sizeof file->path);
        snprintf(file->path, sizeof file->path, "%s", to);
    }
    return rc;
}

static int op_unlink(void *context, const char *path)
{
    test_port *p = context;
    if (fails(p, TEST_OP_UNLINK))
        return -p->error;
    test_file *file = find_file(p, path);
    if (file)
        file->is_gone = true;
    if (p->removed_count == TEST_REMOVED_MAX)
        return real->unlink(NULL, path);
    char aside[TEST_PATH_BYTES + 8];
    name_removed(path, aside);
    int rc = real->rename(NULL, path, aside);
    if (rc >= 0)
        snprintf(p->removed[p->removed_count++], TEST_PATH_BYTES, "%s", path);
    return rc;
}

static int op_mkdir(void *context, const char *path, mode_t mode)
{
    test_port *p = context;
    return fails(p, TEST_OP_MKDIR) ? -p->error : real->mkdir(NULL, path, mode);
}

static int op_lock(void *context, int fd)
{
    test_port *p = context;
    return fails(p, TEST_OP_LOCK) ? -p->error : real->lock(NULL, fd);
}

static int op_list(void *context, const char *path, int (*visit)(void *arg, const char *name),
                   void *arg)
{
    test_port *p = context;
    return fails(p, TEST_OP_LIST) ? -p->error : real->list(NULL, path, visit, arg);
}

static int op_map(void *context, int fd, size_t len, void **ret_memory)
{
    test_port *p = context;
    return fails(p, TEST_OP_MAP) ? -p->error : real->map(NULL, fd, len, ret_memory);
}

static int op_unmap(void *context, void *memory, size_t len)
{
    test_port *p = context;
    bool bad = fails(p, TEST_OP_UNMAP);
    int rc = real->unmap(NULL, memory, len);
    return bad ? -p->error : rc;
}

static int op_forget(void *context, int fd, off_t from, off_t len)
{
    test_port *p = context;
    p->forgotten += (uint64_t)len;
    return fails(p, TEST_OP_FORGET) ? -p->error : real->forget(NULL, fd, from, len);
}

static int op_owned(void *context, int fd)
{
    test_port *p = context;
    return fails(p, TEST_OP_OWNED) ? -p->error : real->owned(NULL, fd);
}

static int op_allocate(void *context, int fd, off_t offset, off_t len)
{
    test_port *p = context;
    return fails(p, TEST_OP_ALLOCATE) ? -p->error : real->allocate(NULL, fd, offset, len);
}

static int op_names(void *context, int fd)
{
    test_port *p = context;
    return fails(p, TEST_OP_NAMES) ? -p->error : real->names(NULL, fd);
}

void test_port_init(test_port *port)
{
    real = tmb_file_port_posix();
    memset(port, 0, sizeof *port);
    port->fail_op = port->rough_op = -1;
    port->changed_ms = -1;
    port->error = EIO;
    port->port = (tmb_file_port){port,      op_open,     op_close, op_write,      op_pread,
                                 op_sync,   op_truncate, op_size,  op_changed_ms, op_rename,
                                 op_unlink, op_mkdir,    op_lock,  op_list,       op_map,
                                 op_unmap,  op_forget,   op_owned, op_allocate,   op_names};
}

/* Past what was synced: cut somewhere, or left long with zeros where the data did not arrive. */
static void harm(const test_file *file, tmb_rng *rng)
{
    struct stat st;
    if (stat(file->path, &st) != 0 || (uint64_t)st.st_size <= file->synced_bytes)
        return;
    uint64_t loose = (uint64_t)st.st_size - file->synced_bytes;
    uint64_t keep = file->synced_bytes + tmb_rng_below(rng, loose + 1);
    assert_int_equal(truncate(file->path, (off_t)keep), 0);
    if (tmb_rng_below(rng, 3) == 0)
        assert_int_equal(truncate(file->path, st.st_size), 0);
}

void test_port_lose_power(test_port *port, tmb_rng *rng)
{
    for (size_t i = 0; i < port->files_count; i++) {
        test_file *file = &port->files[i];
        if (file->is_gone)
            continue;
        harm(file, rng);
        if (file->is_durable && file->old_path[0] == '\0')
            continue;
        if (tmb_rng_below(rng, 2) == 0)
            continue; /* made it to the disk all the same */
        if (file->old_path[0])
            rename(file->path, file->old_path);
        else
            unlink(file->path);
    }
    port->files_count = 0;
    for (size_t i = 0; i < port->removed_count; i++) {
        char aside[TEST_PATH_BYTES + 8];
        name_removed(port->removed[i], aside);
        if (tmb_rng_below(rng, 2) == 0 && access(port->removed[i], F_OK) != 0)
            real->rename(NULL, aside, port->removed[i]);
        else
            real->unlink(NULL, aside);
    }
    port->removed_count = 0;
}
