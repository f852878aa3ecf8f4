// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/checkpoint.c - the checkpoint file: its codec, and how it gets to disk.
 *
 * Two generations are kept. A file that does not pass its checksum is as good as absent: the reader takes the
 * older one, and what is replayed too often is only that (delivery is at least once).
 */
#include "broker-plugin/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"

#define FIXED_BYTES   (4 + 4 + 16 + 2 + 4 + 4 + 4) /* of version 1 */
#define ORIGINS_BYTES 4
#define ENTRY_BYTES   (2 + 8)
#define HOLE_BYTES    (8 + 8)

tmb_checkpoint_stream tmb_checkpoint_find(const tmb_checkpoint *checkpoint, const char *stream)
{
    for (unsigned i = 0; i < checkpoint->streams_count; i++)
        if (strcmp(checkpoint->streams[i].name, stream) == 0)
            return checkpoint->streams[i];
    tmb_checkpoint_stream none = {.seq = 0};
    return none;
}

static void add_entry_size(void *arg, tmb_bytes key, uint64_t number)
{
    (void)number;
    *(size_t *)arg += ENTRY_BYTES + key.len;
}

static void put_entry(void *arg, tmb_bytes key, uint64_t number)
{
    tmb_put_u16(arg, (uint16_t)key.len);
    tmb_put_bytes(arg, key);
    tmb_put_u64(arg, number);
}

/* The holes of an entry are looked up by its key: the walk knows only its number. */
typedef struct origins_walk {
    const tmb_seen *origins;
    size_t size;
    tmb_writer *writer;
} origins_walk;

static void add_origin_size(void *arg, tmb_bytes key, uint64_t number)
{
    origins_walk *walk = arg;
    const tmb_holes *holes = tmb_seen_holes(walk->origins, key);
    (void)number;
    walk->size += ENTRY_BYTES + key.len + 1 + (holes ? holes->count : 0) * HOLE_BYTES;
}

static void put_origin(void *arg, tmb_bytes key, uint64_t number)
{
    origins_walk *walk = arg;
    const tmb_holes *holes = tmb_seen_holes(walk->origins, key);
    put_entry(walk->writer, key, number);
    tmb_put_u8(walk->writer, holes ? (uint8_t)holes->count : 0);
    for (unsigned i = 0; holes && i < holes->count; i++) {
        tmb_put_u64(walk->writer, holes->v[i].first);
        tmb_put_u64(walk->writer, holes->v[i].last);
    }
}

tmb_err tmb_checkpoint_encode(const tmb_checkpoint *checkpoint, const tmb_seen *children,
                              const tmb_seen *publishers, const tmb_seen *origins,
                              uint8_t **ret_bytes, size_t *ret_len)
{
    origins_walk walk = {.origins = origins};
    size_t len = FIXED_BYTES + ORIGINS_BYTES +
                 checkpoint->streams_count * (1 + TMB_STREAM_NAME_BYTES_MAX + 16u);
    tmb_seen_each(children, add_entry_size, &len);
    tmb_seen_each(publishers, add_entry_size, &len);
    tmb_seen_each(origins, add_origin_size, &walk);
    len += walk.size;
    uint8_t *bytes = malloc(len);
    if (!bytes)
        return TMB_ENOMEM;
    tmb_writer w = tmb_writer_of(bytes, len);
    tmb_put_u32(&w, TMB_CHECKPOINT_MARKER);
    tmb_put_u32(&w, TMB_CHECKPOINT_VERSION);
    tmb_put_bytes(&w, tmb_bytes_of(checkpoint->incarnation.bytes, 16));
    tmb_put_u16(&w, (uint16_t)checkpoint->streams_count);
    for (unsigned i = 0; i < checkpoint->streams_count; i++) {
        tmb_bytes name = tmb_bytes_str(checkpoint->streams[i].name);
        tmb_put_u8(&w, (uint8_t)name.len);
        tmb_put_bytes(&w, name);
        tmb_put_u64(&w, checkpoint->streams[i].seq);
        tmb_put_u64(&w, checkpoint->streams[i].own_seq);
    }
    tmb_put_u32(&w, (uint32_t)tmb_seen_count(children));
    tmb_seen_each(children, put_entry, &w);
    tmb_put_u32(&w, (uint32_t)tmb_seen_count(publishers));
    tmb_seen_each(publishers, put_entry, &w);
    tmb_put_u32(&w, (uint32_t)tmb_seen_count(origins));
    walk.writer = &w;
    tmb_seen_each(origins, put_origin, &walk);
    tmb_put_u32(&w, tmb_crc32c(0, tmb_bytes_of(bytes, (size_t)(w.at - bytes))));
    TMB_ASSERT(!w.bad);
    *ret_bytes = bytes;
    *ret_len = (size_t)(w.at - bytes);
    return TMB_OK;
}

static tmb_err get_entries(tmb_reader *r, tmb_seen *seen)
{
    uint32_t count = tmb_get_u32(r);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        tmb_bytes key = tmb_get_bytes(r, tmb_get_u16(r));
        uint64_t number = tmb_get_u64(r);
        if (r->bad || key.len == 0 || key.len > TMB_SEEN_KEY_BYTES_MAX)
            return TMB_ECORRUPT;
        tmb_err err = tmb_seen_raise(seen, key, number);
        if (err != TMB_OK)
            return err;
    }
    return r->bad ? TMB_ECORRUPT : TMB_OK;
}

static tmb_err get_origins(tmb_reader *r, tmb_seen *origins)
{
    uint32_t count = tmb_get_u32(r);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        tmb_bytes key = tmb_get_bytes(r, tmb_get_u16(r));
        uint64_t number = tmb_get_u64(r);
        tmb_holes holes = {.count = tmb_get_u8(r)};
        if (r->bad || key.len == 0 || key.len > TMB_SEEN_KEY_BYTES_MAX ||
            holes.count > TMB_HOLES_MAX)
            return TMB_ECORRUPT;
        for (unsigned k = 0; k < holes.count; k++) {
            holes.v[k].first = tmb_get_u64(r);
            holes.v[k].last = tmb_get_u64(r);
        }
        if (r->bad || !tmb_holes_are_valid(&holes, number))
            return TMB_ECORRUPT;
        tmb_err err = tmb_seen_restore(origins, key, number, &holes);
        if (err != TMB_OK)
            return err;
    }
    return r->bad ? TMB_ECORRUPT : TMB_OK;
}

tmb_err tmb_checkpoint_decode(tmb_bytes bytes, const tmb_incarnation *journal, tmb_seen *children,
                              tmb_seen *publishers, tmb_seen *origins,
                              tmb_checkpoint *ret_checkpoint)
{
    if (bytes.len < FIXED_BYTES)
        return TMB_ECORRUPT;
    tmb_bytes body = tmb_bytes_of(bytes.ptr, bytes.len - 4);
    tmb_reader tail = tmb_reader_of(tmb_bytes_of(bytes.ptr + body.len, 4));
    tmb_reader r = tmb_reader_of(body);
    if (tmb_get_u32(&r) != TMB_CHECKPOINT_MARKER || tmb_get_u32(&tail) != tmb_crc32c(0, body))
        return TMB_ECORRUPT;
    uint32_t version = tmb_get_u32(&r);
    if (version < 1 || version > TMB_CHECKPOINT_VERSION)
        return TMB_EVERSION;
    tmb_checkpoint checkpoint = {0};
    tmb_bytes incarnation = tmb_get_bytes(&r, 16);
    if (r.bad)
        return TMB_ECORRUPT;
    memcpy(checkpoint.incarnation.bytes, incarnation.ptr, 16);
    if (memcmp(&checkpoint.incarnation, journal, sizeof *journal) != 0)
        return TMB_ENOENT;
    checkpoint.streams_count = tmb_get_u16(&r);
    if (checkpoint.streams_count > TMB_STREAMS_MAX)
        return TMB_ECORRUPT;
    for (unsigned i = 0; i < checkpoint.streams_count; i++) {
        tmb_bytes name = tmb_get_bytes(&r, tmb_get_u8(&r));
        if (name.len == 0 || name.len > TMB_STREAM_NAME_BYTES_MAX)
            return TMB_ECORRUPT;
        memcpy(checkpoint.streams[i].name, name.ptr, name.len);
        checkpoint.streams[i].seq = tmb_get_u64(&r);
        checkpoint.streams[i].own_seq = tmb_get_u64(&r);
    }
    tmb_err err = get_entries(&r, children);
    if (err == TMB_OK)
        err = get_entries(&r, publishers);
    if (err == TMB_OK && version > 1)
        err = get_origins(&r, origins);
    if (err == TMB_OK && tmb_reader_left(&r) > 0)
        err = TMB_ECORRUPT;
    if (err == TMB_OK)
        *ret_checkpoint = checkpoint;
    return err;
}

static tmb_err err_of_errno(void)
{
    if (errno == ENOENT)
        return TMB_ENOENT;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? TMB_ENOSPC : TMB_EIO;
}

static tmb_err write_synced(const char *path, tmb_bytes bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_of_errno();
    tmb_err err = TMB_OK;
    while (bytes.len > 0 && err == TMB_OK) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n >= 0)
            bytes = tmb_bytes_of(bytes.ptr + n, bytes.len - (size_t)n);
        else if (errno != EINTR)
            err = err_of_errno();
    }
    if (err == TMB_OK && fsync(fd) < 0)
        err = err_of_errno();
    close(fd);
    return err;
}

static tmb_err sync_path(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return err_of_errno();
    tmb_err err = fsync(fd) < 0 ? err_of_errno() : TMB_OK;
    close(fd);
    return err;
}

static tmb_err sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int len = snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
                       slash ? path : ".");
    return len < (int)sizeof folder ? sync_path(folder, O_DIRECTORY) : TMB_ELIMIT;
}

tmb_err tmb_file_sync(const char *path)
{
    tmb_err err = sync_path(path, 0);
    return err == TMB_OK ? sync_folder_of(path) : err;
}

tmb_err tmb_file_replace(const char *path, tmb_bytes bytes)
{
    char fresh[PATH_MAX], old[PATH_MAX];
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh ||
        snprintf(old, sizeof old, "%s.old", path) >= (int)sizeof old)
        return TMB_ELIMIT;
    tmb_err err = write_synced(fresh, bytes);
    if (err != TMB_OK)
        return err;
    if ((rename(path, old) < 0 && errno != ENOENT) || rename(fresh, path) < 0)
        return err_of_errno();
    return sync_folder_of(path);
}

tmb_err tmb_file_load(const char *path, uint8_t **ret_bytes, size_t *ret_len)
{
    FILE *in = fopen(path, "rb");
    if (!in)
        return err_of_errno();
    struct stat st;
    if (fstat(fileno(in), &st) < 0) {
        fclose(in);
        return TMB_EIO;
    }
    uint8_t *bytes = malloc((size_t)st.st_size + 1);
    size_t len = bytes ? fread(bytes, 1, (size_t)st.st_size, in) : 0;
    bool is_whole = len == (size_t)st.st_size && !ferror(in);
    fclose(in);
    if (!bytes)
        return TMB_ENOMEM;
    if (!is_whole) {
        free(bytes);
        return TMB_EIO;
    }
    *ret_bytes = bytes;
    *ret_len = len;
    return TMB_OK;
}
