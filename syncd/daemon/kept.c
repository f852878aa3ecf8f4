// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/kept.c - see kept.h. */
#include "syncd/daemon/kept.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"

#define CRC_LINE_BYTES (sizeof "crc 01234567\n" - 1)

static bool make_path(const char *folder, const char *name, const char *ending, char path[PATH_MAX])
{
    return snprintf(path, PATH_MAX, "%s/%s%s", folder, name, ending) < PATH_MAX;
}

static tmb_err err_of(int code)
{
    if (code == ENOENT)
        return TMB_ENOENT;
    return code == ENOSPC || code == EDQUOT ? TMB_ENOSPC : TMB_EIO;
}

tmb_err tmb_kept_write(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX], aside[PATH_MAX];
    if (!make_path(folder, name, "", path) || !make_path(folder, name, ".new", aside))
        return TMB_ELIMIT;
    FILE *out = fopen(aside, "we");
    if (!out)
        return err_of(errno);
    int code = 0;
    if (fprintf(out, "%scrc %08x\n", text, (unsigned)tmb_crc32c(0, tmb_bytes_str(text))) < 0 ||
        fflush(out) != 0 || fsync(fileno(out)) != 0)
        code = errno;
    if (fclose(out) != 0 && code == 0)
        code = errno;
    if (code == 0 && rename(aside, path) != 0)
        code = errno;
    if (code != 0)
        (void)unlink(aside);
    return code == 0 ? TMB_OK : err_of(code);
}

static tmb_err check(char *text, size_t len)
{
    char line[CRC_LINE_BYTES + 1];
    if (len < CRC_LINE_BYTES || memchr(text, 0, len))
        return TMB_ECORRUPT;
    size_t body = len - CRC_LINE_BYTES;
    (void)snprintf(line, sizeof line, "crc %08x\n",
                   (unsigned)tmb_crc32c(0, tmb_bytes_of(text, body)));
    if (memcmp(text + body, line, CRC_LINE_BYTES) != 0)
        return TMB_ECORRUPT;
    text[body] = '\0';
    return TMB_OK;
}

tmb_err tmb_kept_read(const char *folder, const char *name, char **ret_text)
{
    char path[PATH_MAX];
    if (!make_path(folder, name, "", path))
        return TMB_ELIMIT;
    FILE *in = fopen(path, "re");
    if (!in)
        return err_of(errno);
    char *text = malloc(TMB_KEPT_BYTES_MAX + 1);
    size_t len = text ? fread(text, 1, TMB_KEPT_BYTES_MAX + 1, in) : 0;
    tmb_err err = !text ? TMB_ENOMEM : ferror(in) ? TMB_EIO : TMB_OK;
    (void)fclose(in);
    if (err == TMB_OK)
        err = len > TMB_KEPT_BYTES_MAX ? TMB_ECORRUPT : check(text, len);
    if (err == TMB_OK)
        *ret_text = text;
    else
        free(text);
    return err;
}
