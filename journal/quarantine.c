// SPDX-License-Identifier: Apache-2.0
/* journal/quarantine.c - see journal/quarantine.h. */
#include "journal/quarantine.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "journal/files.h"

static tmb_err copy(const tmb_file_port *files, int from, int to, uint64_t offset, uint64_t bytes)
{
    uint8_t block[16384];
    while (bytes > 0) {
        size_t want = bytes < sizeof block ? (size_t)bytes : sizeof block, len = 0;
        tmb_err err = tmb_files_read(files, from, block, want, offset, &len);
        if (!err)
            err = tmb_files_write(files, to, tmb_bytes_of(block, len));
        if (err)
            return err;
        if (len < want)
            break; /* cut meanwhile: what there was is kept */
        offset += len;
        bytes -= len;
    }
    return tmb_files_err(files->sync(files->context, to));
}

static bool is_there(const tmb_file_port *files, const char *path)
{
    int fd = files->open(files->context, path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    files->close(files->context, fd);
    return true;
}

tmb_err tmb_quarantine_copy(const tmb_file_port *files, const char *folder, const tmb_tail_gap *gap)
{
    char name[128], temporary[136];
    if (gap->file[0] == '\0' || gap->bytes == 0)
        return TMB_OK;
    snprintf(name, sizeof name, "%s-%" PRIu64 ".bin", gap->file, gap->offset);
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    tmb_path keep = tmb_path_join(folder, "quarantine");
    tmb_path source = tmb_path_join(folder, gap->file);
    tmb_path target = tmb_path_join(keep.text, name);
    tmb_path part = tmb_path_join(keep.text, temporary);
    if (is_there(files, target.text))
        return TMB_OK;
    tmb_err err = tmb_files_make_folder(files, keep.text, false);
    if (err)
        return err;
    int from = files->open(files->context, source.text, O_RDONLY, 0);
    if (from < 0)
        return tmb_files_err(from);
    int to = files->open(files->context, part.text, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0640);
    if (to < 0) {
        files->close(files->context, from);
        return tmb_files_err(to);
    }
    err = copy(files, from, to, gap->offset, gap->bytes);
    files->close(files->context, from);
    files->close(files->context, to);
    if (!err)
        err = tmb_files_err(files->rename(files->context, part.text, target.text));
    if (err) {
        files->unlink(files->context, part.text);
        return err;
    }
    return tmb_files_sync_folder(files, keep.text);
}
