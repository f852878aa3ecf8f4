// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/seal.c - see seal.h. */
#include "broker-plugin/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"

#define SEAL_BYTES_MAX 256

static tmb_err checksum(int fd, const struct stat *st, uint32_t *ret_crc)
{
    if (st->st_size == 0) {
        *ret_crc = 0;
        return TMB_OK;
    }
    void *map = mmap(NULL, (size_t)st->st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return TMB_EIO;
    *ret_crc = tmb_crc32c(0, tmb_bytes_of(map, (size_t)st->st_size));
    munmap(map, (size_t)st->st_size);
    return TMB_OK;
}

/* What the seal says before its checksum of the file: size and time. */
static int print_head(char text[SEAL_BYTES_MAX], const struct stat *st)
{
    return snprintf(text, SEAL_BYTES_MAX, "tombolo-seal 1\nbytes %lld\nmtime %lld.%09ld\n",
                    (long long)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

/* The whole text of a file's seal. */
static tmb_err print_seal(const char *file, char text[SEAL_BYTES_MAX])
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? TMB_ENOENT : TMB_EIO;
    struct stat st;
    uint32_t crc = 0;
    tmb_err err = fstat(fd, &st) < 0 ? TMB_EIO : checksum(fd, &st, &crc);
    close(fd);
    if (err != TMB_OK)
        return err;
    int len = print_head(text, &st);
    len += snprintf(text + len, SEAL_BYTES_MAX - (size_t)len, "crc32c %08x\n", (unsigned)crc);
    uint32_t check = tmb_crc32c(0, tmb_bytes_of(text, (size_t)len));
    (void)snprintf(text + len, SEAL_BYTES_MAX - (size_t)len, "check %08x\n", (unsigned)check);
    return TMB_OK;
}

tmb_err tmb_seal_write(const char *file, const char *seal)
{
    char text[SEAL_BYTES_MAX], fresh[PATH_MAX];
    if (snprintf(fresh, sizeof fresh, "%s.new", seal) >= (int)sizeof fresh)
        return TMB_ELIMIT;
    tmb_err err = print_seal(file, text);
    if (err != TMB_OK)
        return TMB_EIO;
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return TMB_EIO;
    size_t len = strlen(text);
    bool is_written = write(fd, text, len) == (ssize_t)len;
    if (close(fd) < 0 || !is_written || rename(fresh, seal) < 0) {
        (void)unlink(fresh);
        return TMB_EIO;
    }
    return TMB_OK;
}

/* Whether text is a seal as it was written. */
static bool is_seal(const char *text)
{
    const char *check = strstr(text, "check ");
    char expected[32];
    if (!check)
        return false;
    (void)snprintf(expected, sizeof expected, "check %08x\n",
                   (unsigned)tmb_crc32c(0, tmb_bytes_of(text, (size_t)(check - text))));
    return strcmp(check, expected) == 0;
}

tmb_err tmb_seal_check(const char *file, const char *seal)
{
    char text[SEAL_BYTES_MAX], expected[SEAL_BYTES_MAX];
    int fd = open(seal, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? TMB_ENOENT : TMB_EIO;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len < 0)
        return TMB_EIO;
    text[len] = '\0';
    if (!is_seal(text))
        return TMB_ENOENT;
    tmb_err err = print_seal(file, expected);
    if (err != TMB_OK)
        return err;
    const char *time = strstr(text, "mtime "), *own_time = strstr(expected, "mtime ");
    size_t time_len = own_time ? strcspn(own_time, "\n") + 1 : 0;
    if (!time || !own_time || strncmp(time, own_time, time_len) != 0)
        return TMB_ENOENT;
    return strcmp(text, expected) == 0 ? TMB_OK : TMB_ECORRUPT;
}
