// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/memo.c - see memo.h. */
#include "syncd/daemon/memo.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "journal/files.h"

#define CRC_LINE_BYTES (sizeof "crc 01234567\n" - 1)

static bool make_path(const char *folder, const char *name, char path[PATH_MAX])
{
    return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

tmb_err tmb_memo_write(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX];
    size_t len = strlen(text);
    if (!make_path(folder, name, path))
        return TMB_ELIMIT;
    char *whole = malloc(len + CRC_LINE_BYTES + 1);
    if (!whole)
        return TMB_ENOMEM;
    memcpy(whole, text, len);
    (void)snprintf(whole + len, CRC_LINE_BYTES + 1, "crc %08x\n",
                   (unsigned)tmb_crc32c(0, tmb_bytes_of(text, len)));
    tmb_err err = tmb_files_create(tmb_file_port_posix(), folder, name,
                                   tmb_bytes_of(whole, len + CRC_LINE_BYTES), NULL);
    free(whole);
    return err;
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

tmb_err tmb_memo_read(const char *folder, const char *name, char **ret_text)
{
    char path[PATH_MAX];
    if (!make_path(folder, name, path))
        return TMB_ELIMIT;
    FILE *in = fopen(path, "re");
    if (!in)
        return errno == ENOENT ? TMB_ENOENT : TMB_EIO;
    char *text = malloc(TMB_MEMO_BYTES_MAX + 1);
    size_t len = text ? fread(text, 1, TMB_MEMO_BYTES_MAX + 1, in) : 0;
    tmb_err err = !text ? TMB_ENOMEM : ferror(in) ? TMB_EIO : TMB_OK;
    (void)fclose(in);
    if (err == TMB_OK)
        err = len > TMB_MEMO_BYTES_MAX ? TMB_ECORRUPT : check(text, len);
    if (err == TMB_OK)
        *ret_text = text;
    else
        free(text);
    return err;
}
