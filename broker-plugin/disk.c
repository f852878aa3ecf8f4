// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/disk.c - see broker-plugin/disk.h. */
#include "broker-plugin/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RESERVE_PART 8
#define FLOOR_PART   64

static tmb_err look(const char *path, uint64_t *ret_free, uint64_t *ret_size)
{
    struct statvfs fs;
    if (statvfs(path, &fs) < 0)
        return TMB_EIO;
    *ret_free = (uint64_t)fs.f_bavail * fs.f_frsize;
    *ret_size = (uint64_t)fs.f_blocks * fs.f_frsize;
    return TMB_OK;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

tmb_err tmb_disk_start(tmb_disk *disk, const char *folder, uint64_t reserve_bytes)
{
    uint64_t size_bytes = 0;
    struct stat st;
    *disk = (tmb_disk){.wanted_bytes = reserve_bytes};
    if (snprintf(disk->file, sizeof disk->file, "%s/reserve", folder) >= (int)sizeof disk->file)
        return TMB_ELIMIT;
    tmb_err err = look(folder, &disk->free_bytes, &size_bytes);
    if (err != TMB_OK)
        return err;
    disk->reserve_bytes = less(reserve_bytes, size_bytes / RESERVE_PART);
    disk->floor_bytes = less(TMB_DISK_FLOOR_BYTES, size_bytes / FLOOR_PART);
    if (stat(disk->file, &st) < 0)
        return errno == ENOENT ? TMB_OK : TMB_EIO;
    if (disk->reserve_bytes > 0 && st.st_size == 0) {
        disk->was_full = true;
    } else if (disk->reserve_bytes > 0 && (uint64_t)st.st_size == disk->reserve_bytes &&
               (uint64_t)st.st_blocks * 512 >= disk->reserve_bytes) {
        disk->is_held = true;
    } else if (unlink(disk->file) < 0) {
        return TMB_EIO;
    }
    return tmb_disk_look(disk);
}

tmb_err tmb_disk_look(tmb_disk *disk)
{
    char folder[PATH_MAX];
    uint64_t size_bytes = 0;
    memcpy(folder, disk->file, sizeof folder);
    *strrchr(folder, '/') = '\0';
    return look(folder[0] ? folder : "/", &disk->free_bytes, &size_bytes);
}

bool tmb_disk_is_low(const tmb_disk *disk)
{
    return disk->free_bytes < disk->floor_bytes;
}

uint64_t tmb_disk_enough(const tmb_disk *disk)
{
    return (disk->is_held ? 0 : disk->reserve_bytes) + 2 * disk->floor_bytes;
}

tmb_err tmb_disk_hold(tmb_disk *disk)
{
    if (disk->is_held || disk->reserve_bytes == 0)
        return TMB_OK;
    bool is_new =
        access(disk->file, F_OK) < 0; /* an empty one that stays says that the disk was full */
    int fd = open(disk->file, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return errno == ENOSPC || errno == EDQUOT ? TMB_ENOSPC : TMB_EIO;
    int why = posix_fallocate(fd, 0, (off_t)disk->reserve_bytes);
    if (why != 0 && ftruncate(fd, 0) < 0)
        why = EIO;
    close(fd);
    if (why != 0 && is_new)
        (void)unlink(disk->file);
    disk->is_held = why == 0;
    if (why != 0)
        return why == ENOSPC || why == EDQUOT ? TMB_ENOSPC : TMB_EIO;
    return TMB_OK;
}

tmb_err tmb_disk_give_back(tmb_disk *disk)
{
    if (!disk->is_held)
        return TMB_OK;
    if (truncate(disk->file, 0) < 0)
        return TMB_EIO;
    disk->is_held = false;
    return TMB_OK;
}
