// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/dictionary.c - see dictionary.h.
 */
#include "syncd/daemon/dictionary.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "journal/files.h"

#define MAGIC        0x44424d54u /* "TMBD" as bytes on disk */
#define FILE_VERSION 1u
#define HEAD_BYTES   16u
#define PATH_BYTES   4096

uint32_t tmb_dictionary_id(tmb_bytes data)
{
    uint32_t id = tmb_crc32c(0, data);
    return id != 0 ? id : 1;
}

tmb_kept *tmb_kept_new(tmb_bytes data)
{
    tmb_kept *kept = malloc(sizeof *kept + data.len);
    if (!kept)
        return NULL;
    uint8_t *bytes = (uint8_t *)(kept + 1);
    if (data.len > 0)
        memcpy(bytes, data.ptr, data.len);
    kept->refs = 1;
    kept->dictionary.id = tmb_dictionary_id(data);
    kept->dictionary.data = tmb_bytes_of(bytes, data.len);
    return kept;
}

tmb_kept *tmb_kept_ref(tmb_kept *kept)
{
    if (kept)
        kept->refs++;
    return kept;
}

void tmb_kept_unref(tmb_kept *kept)
{
    if (kept && --kept->refs == 0)
        free(kept);
}

static bool folder_of(const char *data_dir, const char *owner, char out[PATH_BYTES])
{
    int len = snprintf(out, PATH_BYTES, "%s/dictionaries/%s", data_dir, owner);
    return len > 0 && len < PATH_BYTES - 2 * TMB_STREAM_NAME_BYTES_MAX;
}

tmb_kept *tmb_dictionary_read(const char *data_dir, const char *owner, const char *stream)
{
    char folder[PATH_BYTES], path[PATH_BYTES + TMB_STREAM_NAME_BYTES_MAX + 2];
    if (!folder_of(data_dir, owner, folder))
        return NULL;
    (void)snprintf(path, sizeof path, "%s/%s", folder, stream);
    FILE *file = fopen(path, "rbe");
    if (!file)
        return NULL;
    static const size_t cap = HEAD_BYTES + TMB_DICTIONARY_BYTES_MAX + 1;
    uint8_t *bytes = malloc(cap);
    size_t len = bytes ? fread(bytes, 1, cap, file) : 0;
    (void)fclose(file);
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, len));
    uint32_t magic = tmb_get_u32(&r), version = tmb_get_u32(&r), id = tmb_get_u32(&r);
    tmb_bytes data = tmb_get_bytes(&r, tmb_get_u32(&r));
    tmb_kept *kept = NULL;
    if (!r.bad && tmb_reader_left(&r) == 0 && magic == MAGIC && version == FILE_VERSION &&
        data.len > 0 && data.len <= TMB_DICTIONARY_BYTES_MAX && id == tmb_dictionary_id(data))
        kept = tmb_kept_new(data);
    free(bytes);
    return kept;
}

/* Streams come and go; their dictionaries would stay. */
static void make_room(const char *folder)
{
    unsigned count = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        DIR *dir = opendir(folder);
        const struct dirent *entry = NULL;
        while (dir &&
               (entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): a stream of its own */
            char path[PATH_BYTES + 256];
            if (entry->d_name[0] == '.')
                continue;
            (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            if (pass == 0)
                count++;
            else
                (void)unlink(path);
        }
        if (dir)
            (void)closedir(dir);
        if (count < TMB_DICTIONARY_FILES_MAX)
            return;
    }
}

tmb_err tmb_dictionary_write(const char *data_dir, const char *owner, const char *stream,
                             const tmb_dictionary *dictionary)
{
    char folder[PATH_BYTES];
    const tmb_file_port *files = tmb_file_port_posix();
    if (!folder_of(data_dir, owner, folder))
        return TMB_ELIMIT;
    tmb_err err = tmb_files_make_folder(files, folder, true);
    if (err != TMB_OK)
        return err;
    make_room(folder);
    size_t len = HEAD_BYTES + dictionary->data.len;
    uint8_t *bytes = malloc(len);
    if (!bytes)
        return TMB_ENOMEM;
    tmb_writer w = tmb_writer_of(bytes, len);
    tmb_put_u32(&w, MAGIC);
    tmb_put_u32(&w, FILE_VERSION);
    tmb_put_u32(&w, dictionary->id);
    tmb_put_u32(&w, (uint32_t)dictionary->data.len);
    tmb_put_bytes(&w, dictionary->data);
    err = tmb_files_create(files, folder, stream, tmb_bytes_of(bytes, len), NULL);
    free(bytes);
    return err;
}
