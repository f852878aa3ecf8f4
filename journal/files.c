// SPDX-License-Identifier: Apache-2.0
/* journal/files.c - see journal/files.h. */
#include "journal/files.h"

#include <errno.h>
#include <fcntl.h>

tmb_path tmb_path_join(const char *a, const char *b)
{
    tmb_path path;
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len + 1 + b_len + 1 > sizeof path.text) {
        path.text[0] = '\0';
        return path;
    }
    memcpy(path.text, a, a_len);
    path.text[a_len] = '/';
    memcpy(path.text + a_len + 1, b, b_len + 1);
    return path;
}

tmb_err tmb_files_err(int64_t result)
{
    if (result >= 0)
        return TMB_OK;
    switch (-result) {
    case ENOSPC:
    case EDQUOT:
        return TMB_ENOSPC;
    case ENOMEM:
        return TMB_ENOMEM;
    case ENOENT:
        return TMB_ENOENT;
    case EWOULDBLOCK:
        return TMB_EBUSY;
    case EACCES:
    case EPERM:
    case EROFS:
        return TMB_EDENIED;
    default:
        return TMB_EIO;
    }
}

tmb_err tmb_files_write_from(const tmb_file_port *files, int fd, tmb_bytes bytes, size_t *done)
{
    while (*done < bytes.len) {
        ssize_t n = files->write(files->context, fd, bytes.ptr + *done, bytes.len - *done);
        if (n == -EINTR)
            continue;
        if (n < 0)
            return tmb_files_err(n);
        if (n == 0)
            return TMB_EIO;
        *done += (size_t)n;
    }
    return TMB_OK;
}

tmb_err tmb_files_write(const tmb_file_port *files, int fd, tmb_bytes bytes)
{
    size_t done = 0;
    return tmb_files_write_from(files, fd, bytes, &done);
}

tmb_err tmb_files_read(const tmb_file_port *files, int fd, void *bytes, size_t len, uint64_t offset,
                       size_t *ret_len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = files->pread(files->context, fd, (uint8_t *)bytes + done, len - done,
                                 (off_t)(offset + done));
        if (n == -EINTR)
            continue;
        if (n < 0)
            return tmb_files_err(n);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_len = done;
    return TMB_OK;
}

tmb_err tmb_files_sync_folder(const tmb_file_port *files, const char *path)
{
    int fd = files->open(files->context, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return tmb_files_err(fd);
    tmb_err err = tmb_files_err(files->sync(files->context, fd));
    files->close(files->context, fd);
    return err;
}

static tmb_err make_one(const tmb_file_port *files, const char *path)
{
    int rc = files->mkdir(files->context, path, 0750);
    return rc == -EEXIST ? TMB_OK : tmb_files_err(rc);
}

tmb_err tmb_files_make_folder(const tmb_file_port *files, const char *path, bool deep)
{
    tmb_path prefix = {{0}};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof prefix.text)
        return TMB_EIO;
    tmb_err err = make_one(files, path);
    if (err != TMB_ENOENT || !deep)
        return err;
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(prefix.text, path, i);
        prefix.text[i] = '\0';
        err = make_one(files, prefix.text);
        if (err)
            return err;
    }
    return TMB_OK;
}

static tmb_err fill(const tmb_file_port *files, int fd, tmb_bytes bytes)
{
    tmb_err err = tmb_files_write(files, fd, bytes);
    return err ? err : tmb_files_err(files->sync(files->context, fd));
}

/* The folder is open before the name is given: what could not be made sure of then changes nothing. */
static tmb_err give_name(const tmb_file_port *files, const char *folder, const char *temporary,
                         const char *path, bool *ret_is_named)
{
    int fd = files->open(files->context, folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return tmb_files_err(fd);
    tmb_err err = tmb_files_err(files->rename(files->context, temporary, path));
    *ret_is_named = !err;
    if (!err)
        err = tmb_files_err(files->sync(files->context, fd));
    files->close(files->context, fd);
    return err;
}

tmb_err tmb_files_create(const tmb_file_port *files, const char *folder, const char *name,
                         tmb_bytes bytes, int *ret_fd)
{
    tmb_path path = tmb_path_join(folder, name);
    tmb_path temporary = path;
    size_t len = strlen(path.text);
    bool is_named = false;
    if (len == 0 || len + sizeof ".tmp" > sizeof temporary.text)
        return TMB_EIO;
    memcpy(temporary.text + len, ".tmp", sizeof ".tmp");
    int fd =
        files->open(files->context, temporary.text, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0640);
    if (fd < 0)
        return tmb_files_err(fd);
    tmb_err err = fill(files, fd, bytes);
    if (!err)
        err = give_name(files, folder, temporary.text, path.text, &is_named);
    if (!err && ret_fd) {
        *ret_fd = fd;
        return TMB_OK;
    }
    files->close(files->context, fd);
    if (err && !is_named)
        files->unlink(files->context, temporary.text);
    else if (err && ret_fd) /* else it has replaced one that was there, and is all there is */
        files->unlink(files->context, path.text);
    return err;
}
