// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/snapshot.c - as much of mosquitto.db's form as it takes to see that its end is missing.
 *
 *   15 bytes magic, u32 checksum (always 0), u32 version, then chunks: u32 type, u32 bytes, bytes; big-endian
 *
 * A file that a full disk cuts off is cut at a block. Were that by chance the end of a chunk, the walk would
 * be content; so such a file is not trusted when there is hardly any space left.
 */
#define _GNU_SOURCE 1 /* statx */
#include "broker-plugin/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define MAGIC_BYTES    15u
#define HEAD_BYTES     (MAGIC_BYTES + 8u)
#define CHUNK_TYPE_SUB 5u
#define CHUNK_TYPE_MAX 6u
#define BLOCK_BYTES    4096
#define LITTLE_SPACE   (64u << 20)

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* walk says whether bytes are chunks to the end, and whether there is a subscription among them. */
static bool walk(tmb_bytes bytes, bool *ret_has_subscription)
{
    static const char magic[MAGIC_BYTES + 1] = "\0\xb5\0mosquitto db";
    if (bytes.len < HEAD_BYTES || memcmp(bytes.ptr, magic, MAGIC_BYTES) != 0)
        return false;
    size_t at = HEAD_BYTES;
    while (bytes.len - at >= 8) {
        uint32_t type = get_u32(bytes.ptr + at), len = get_u32(bytes.ptr + at + 4);
        at += 8;
        if (type == 0 || type > CHUNK_TYPE_MAX || len > bytes.len - at)
            return false;
        at += len;
        *ret_has_subscription |= type == CHUNK_TYPE_SUB;
    }
    return at == bytes.len && at > HEAD_BYTES;
}

bool tmb_snapshot_ends_whole(tmb_bytes bytes)
{
    bool has_subscription = false;
    return walk(bytes, &has_subscription);
}

static bool is_suspect(int fd, off_t size)
{
    struct statvfs fs;
    return size % BLOCK_BYTES == 0 && fstatvfs(fd, &fs) == 0 &&
           fs.f_bavail * fs.f_frsize < LITTLE_SPACE;
}

static tmb_err look(const char *path, bool *ret_has_subscription)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? TMB_ENOENT : TMB_EIO;
    tmb_err err = TMB_EIO;
    struct stat st;
    if (fstat(fd, &st) < 0)
        goto out;
    err = TMB_ECORRUPT;
    if (st.st_size == 0 || is_suspect(fd, st.st_size))
        goto out;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        err = TMB_EIO;
        goto out;
    }
    if (walk(tmb_bytes_of(map, (size_t)st.st_size), ret_has_subscription))
        err = TMB_OK;
    munmap(map, (size_t)st.st_size);
out:
    close(fd);
    return err;
}

tmb_err tmb_snapshot_check(const char *path)
{
    bool has_subscription = false;
    tmb_err err = look(path, &has_subscription);
    return err == TMB_ENOENT ? TMB_EIO : err;
}

bool tmb_snapshot_may_have_subscriptions(const char *path)
{
    bool has_subscription = false;
    tmb_err err = look(path, &has_subscription);
    return err == TMB_OK ? has_subscription : err != TMB_ENOENT;
}

int64_t tmb_snapshot_age_ns(const char *path)
{
    struct statx stx;
    struct timespec now;
    if (statx(AT_FDCWD, path, 0, STATX_BTIME, &stx) < 0 || !(stx.stx_mask & STATX_BTIME))
        return -1;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)(now.tv_sec - stx.stx_btime.tv_sec) * 1000000000 + now.tv_nsec -
           (int64_t)stx.stx_btime.tv_nsec;
}

/* rename_link makes to another name of from, whatever to was before. */
static tmb_err rename_link(const char *from, const char *to)
{
    char between[PATH_MAX];
    if (snprintf(between, sizeof between, "%s.link", to) >= (int)sizeof between)
        return TMB_ELIMIT;
    (void)unlink(between);
    if (link(from, between) < 0)
        return errno == ENOENT ? TMB_ENOENT : TMB_EIO;
    int rc = rename(between, to);
    (void)unlink(between); /* rename does nothing when both are names of one file */
    return rc < 0 ? TMB_EIO : TMB_OK;
}

static tmb_err kept_name(const char *path, char ret_kept[PATH_MAX])
{
    return snprintf(ret_kept, PATH_MAX, "%s.kept", path) < PATH_MAX ? TMB_OK : TMB_ELIMIT;
}

tmb_err tmb_snapshot_keep(const char *path)
{
    char kept[PATH_MAX];
    tmb_err err = kept_name(path, kept);
    return err == TMB_OK ? rename_link(path, kept) : err;
}

tmb_err tmb_snapshot_put_back(const char *path)
{
    char kept[PATH_MAX];
    tmb_err err = kept_name(path, kept);
    return err == TMB_OK ? rename_link(kept, path) : err;
}
