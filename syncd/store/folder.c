// SPDX-License-Identifier: Apache-2.0
/* syncd/store/folder.c - see folder.h. */
#include "syncd/store/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define ASIDE_MAX 1000

tmb_err tmb_folder_space(const char *path, uint64_t reserve_bytes)
{
    struct statvfs fs;
    if (statvfs(path, &fs) != 0)
        return errno == ENOSPC ? TMB_ENOSPC : TMB_EIO;
    return (uint64_t)fs.f_bavail * fs.f_frsize < reserve_bytes ? TMB_ENOSPC : TMB_OK;
}

tmb_err tmb_folder_set_aside(const char *path, char *text, size_t text_cap)
{
    size_t cap = strlen(path) + 32;
    char *aside = malloc(cap);
    if (!aside)
        return TMB_ENOMEM;
    tmb_err err = TMB_EIO;
    for (unsigned n = 1; n <= ASIDE_MAX && err != TMB_OK; n++) {
        struct stat st;
        (void)snprintf(aside, cap, "%s.damaged-%u", path, n);
        if (lstat(aside, &st) == 0)
            continue;
        if (rename(path, aside) != 0)
            break;
        err = TMB_OK;
        size_t at = text ? strlen(text) : 0;
        if (text && at < text_cap)
            (void)snprintf(text + at, text_cap - at, "; set aside as %s", aside);
    }
    free(aside);
    return err;
}

void tmb_folder_make(const char *path)
{
    char *at = strdup(path);
    if (!at)
        return;
    for (char *slash = strchr(at + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)mkdir(at, 0750);
        *slash = '/';
    }
    (void)mkdir(at, 0750);
    free(at);
}
