// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/snapshot.c - as much of mosquitto.db's form as it takes to see that its end is missing.
 *
 *   15 bytes magic, u32 checksum (always 0), u32 version, then chunks: u32 type, u32 bytes, bytes; big-endian
 *
 * A file that a full disk cuts off is cut at a block. Were that by chance the end of a chunk, the walk would
 * be content; so such a file is not trusted when there is hardly any space left. A quota, or a limit, cuts
 * where no space shows it. What the broker writes last is which messages are retained, and last of these our
 * statistics, which always are: a file that lacks them, though the one before it had them, is cut off.
 */
#define _GNU_SOURCE 1 /* statx */
#include "broker-plugin/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "broker-plugin/seal.h"
#include "proto/topics.h"

#define MAGIC_BYTES 15u
#define HEAD_BYTES  (MAGIC_BYTES + 8u)
#define CHUNK_STORE                                                                                \
    2u /* a message: 32 bytes, publisher, user, topic, payload; begins with its number */
#define CHUNK_RETAIN   4u /* the number of one that is retained */
#define CHUNK_SUB      5u
#define CHUNK_TYPE_MAX 6u
#define NUMBER_BYTES   8u
#define AT_PUBLISHER   22u /* u16 bytes of the publisher's id, then of its user, then of the topic */
#define AT_TOPIC       26u
#define AT_NAMES       32u
#define STATS_MAX      16u /* messages looked at as our statistics; old ones may wait for somebody */
#define BLOCK_BYTES    4096
#define LITTLE_SPACE   (64u << 20)

typedef struct contents {
    bool has_subscription, has_stats;
    uint8_t stats[STATS_MAX][NUMBER_BYTES]; /* the last ones met */
    size_t stats_count;
} contents;

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* A message that no client has sent, on the topic of our statistics. */
static bool is_stats(const uint8_t *bytes, size_t len)
{
    static const char topic[] = TMB_TOPIC_STATS;
    static const uint8_t no_names[4] = {0};
    return len >= AT_NAMES + sizeof topic - 1 &&
           memcmp(bytes + AT_PUBLISHER, no_names, sizeof no_names) == 0 && bytes[AT_TOPIC] == 0 &&
           bytes[AT_TOPIC + 1] == sizeof topic - 1 &&
           memcmp(bytes + AT_NAMES, topic, sizeof topic - 1) == 0;
}

static void note_chunk(contents *c, uint32_t type, const uint8_t *bytes, size_t len)
{
    c->has_subscription |= type == CHUNK_SUB;
    if (len < NUMBER_BYTES)
        return;
    if (type == CHUNK_STORE && is_stats(bytes, len))
        memcpy(c->stats[c->stats_count++ % STATS_MAX], bytes, NUMBER_BYTES);
    for (size_t i = 0; type == CHUNK_RETAIN && i < c->stats_count && i < STATS_MAX; i++)
        c->has_stats |= memcmp(c->stats[i], bytes, NUMBER_BYTES) == 0;
}

/* walk says whether bytes are chunks to the end, and what is among them. */
static bool walk(tmb_bytes bytes, contents *ret_contents)
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
        note_chunk(ret_contents, type, bytes.ptr + at, len);
        at += len;
    }
    return at == bytes.len && at > HEAD_BYTES;
}

bool tmb_snapshot_ends_whole(tmb_bytes bytes)
{
    contents found = {0};
    return walk(bytes, &found);
}

static bool is_suspect(int fd, off_t size)
{
    struct statvfs fs;
    return size % BLOCK_BYTES == 0 && fstatvfs(fd, &fs) == 0 &&
           fs.f_bavail * fs.f_frsize < LITTLE_SPACE;
}

static tmb_err look(const char *path, contents *ret_contents)
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
    if (walk(tmb_bytes_of(map, (size_t)st.st_size), ret_contents))
        err = TMB_OK;
    munmap(map, (size_t)st.st_size);
out:
    close(fd);
    return err;
}

/* name_beside makes the name path + ending. */
static tmb_err name_beside(const char *path, const char *ending, char ret_name[PATH_MAX])
{
    return snprintf(ret_name, PATH_MAX, "%s%s", path, ending) < PATH_MAX ? TMB_OK : TMB_ELIMIT;
}

tmb_err tmb_snapshot_check(const char *path)
{
    contents now = {0}, before = {0};
    char kept[PATH_MAX];
    tmb_err err = look(path, &now);
    if (err == TMB_OK && !now.has_stats && name_beside(path, ".kept", kept) == TMB_OK &&
        look(kept, &before) == TMB_OK && before.has_stats)
        return TMB_ECORRUPT;
    return err == TMB_ENOENT ? TMB_EIO : err;
}

bool tmb_snapshot_may_have_subscriptions(const char *path)
{
    contents found = {0};
    tmb_err err = look(path, &found);
    return err == TMB_OK ? found.has_subscription : err != TMB_ENOENT;
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

typedef struct names {
    char kept[PATH_MAX], kept_old[PATH_MAX], seal[PATH_MAX], seal_old[PATH_MAX];
} names;

static tmb_err name_all(const char *path, names *ret_names)
{
    tmb_err err = name_beside(path, ".kept.old", ret_names->kept_old); /* the longest */
    if (err != TMB_OK)
        return err;
    (void)name_beside(path, ".kept", ret_names->kept);
    (void)name_beside(path, ".seal", ret_names->seal);
    return name_beside(path, ".seal.old", ret_names->seal_old);
}

static bool is_same_file(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

static tmb_err age_kept(const names *n)
{
    if ((rename(n->kept, n->kept_old) < 0 && errno != ENOENT) ||
        (rename(n->seal, n->seal_old) < 0 && errno != ENOENT))
        return TMB_EIO;
    return TMB_OK;
}

tmb_err tmb_snapshot_keep(const char *path)
{
    names n;
    tmb_err err = name_all(path, &n);
    if (err != TMB_OK)
        return err;
    if (!is_same_file(path, n.kept)) {
        err = age_kept(&n);
        if (err == TMB_OK)
            err = rename_link(path, n.kept);
        if (err != TMB_OK)
            (void)unlink(n.kept_old);
    } else if (tmb_seal_check(path, n.seal) != TMB_ENOENT) {
        return TMB_OK; /* sealed already; whether it is damaged is asked at the start */
    }
    return err == TMB_OK ? tmb_seal_write(path, n.seal) : err;
}

tmb_err tmb_snapshot_put_back(const char *path)
{
    char kept[PATH_MAX];
    tmb_err err = name_beside(path, ".kept", kept);
    return err == TMB_OK ? rename_link(kept, path) : err;
}

tmb_err tmb_snapshot_verify(const char *path)
{
    names n;
    tmb_err err = name_all(path, &n);
    if (err != TMB_OK || access(path, F_OK) != 0)
        return err == TMB_OK && errno != ENOENT ? TMB_EIO : TMB_OK;
    err = tmb_seal_check(path, n.seal);
    return err == TMB_ENOENT ? tmb_snapshot_check(path) : err;
}

/* An older checkpoint does no harm to a newer snapshot; so it goes first. */
static tmb_err step_checkpoint_back(const char *checkpoint)
{
    char old[PATH_MAX];
    tmb_err err = name_beside(checkpoint, ".old", old);
    if (err != TMB_OK || rename(old, checkpoint) == 0)
        return err;
    return errno == ENOENT && (unlink(checkpoint) == 0 || errno == ENOENT) ? TMB_OK : TMB_EIO;
}

/* Under both names, where links can be made, until another takes its place: a broker that is started without
 * the file begins with no session. */
static tmb_err set_aside(const char *path, const char *damaged)
{
    bool is_aside = rename_link(path, damaged) == TMB_OK || rename(path, damaged) == 0;
    return is_aside ? TMB_OK : TMB_EIO;
}

tmb_err tmb_snapshot_step_back(const char *path, const char *checkpoint)
{
    names n;
    char damaged[PATH_MAX];
    tmb_err err = name_all(path, &n);
    if (err == TMB_OK)
        err = name_beside(path, ".damaged", damaged);
    if (err != TMB_OK)
        return err;
    if (!is_same_file(path, n.kept) && tmb_seal_check(n.kept, n.seal) == TMB_OK) {
        err = set_aside(path, damaged);
        return err == TMB_OK ? tmb_snapshot_put_back(path) : err;
    }
    if (tmb_seal_check(n.kept_old, n.seal_old) != TMB_OK)
        return TMB_ENOENT;
    err = step_checkpoint_back(checkpoint);
    if (err != TMB_OK)
        return err;
    (void)unlink(n.kept);
    err = set_aside(path, damaged);
    if (err == TMB_OK && (rename(n.kept_old, path) < 0 || rename(n.seal_old, n.seal) < 0))
        err = TMB_EIO;
    return err;
}
