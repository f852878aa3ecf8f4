// SPDX-License-Identifier: Apache-2.0
/* journal/identity.c - see journal/identity.h.
 *
 * Read strictly: the text must be, byte for byte, what would be written for what it says. Then a flipped
 * bit cannot hide, not even one that turns an `a` into an `A`.
 */
#include "journal/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "journal/files.h"
#include "journal/segment.h"
#include "journal/text.h"

#define TEXT_BYTES_MAX 512

static size_t print(const tmb_identity *identity, char out[TEXT_BYTES_MAX])
{
    char hex[TMB_INCARNATION_HEX_BYTES];
    tmb_text_hex(&identity->incarnation, hex);
    int len = snprintf(out, TEXT_BYTES_MAX, "tombolo-journal 1\nnode %s\nincarnation %s\n",
                       identity->node, hex);
    return tmb_text_seal(out, (size_t)len, TEXT_BYTES_MAX);
}

static tmb_err parse(const char *text, size_t len, tmb_identity *ret_identity)
{
    tmb_identity identity = {.node = ""};
    char hex[TMB_INCARNATION_HEX_BYTES] = "", again[TEXT_BYTES_MAX];
    if (!tmb_text_is_whole(text, len))
        return TMB_ECORRUPT;
    if (strncmp(text, "tombolo-journal ", 16) != 0)
        return TMB_ECORRUPT;
    if (strncmp(text + 16, "1\n", 2) != 0)
        return TMB_EVERSION;
    if (sscanf(text + 18, "node %63s incarnation %32s", identity.node, hex) != 2 ||
        !tmb_text_unhex(hex, &identity.incarnation))
        return TMB_ECORRUPT;
    if (print(&identity, again) != len || memcmp(again, text, len) != 0)
        return TMB_ECORRUPT;
    *ret_identity = identity;
    return TMB_OK;
}

tmb_err tmb_identity_read(const tmb_file_port *files, const char *root, tmb_identity *ret_identity)
{
    char text[TEXT_BYTES_MAX + 1];
    size_t len = 0;
    tmb_path path = tmb_path_join(root, "identity");
    int fd = files->open(files->context, path.text, O_RDONLY, 0);
    if (fd < 0)
        return tmb_files_err(fd);
    tmb_err err = tmb_files_read(files, fd, text, TEXT_BYTES_MAX, 0, &len);
    files->close(files->context, fd);
    if (err)
        return err;
    text[len] = '\0';
    return parse(text, len, ret_identity);
}

tmb_err tmb_identity_write(const tmb_file_port *files, const char *root,
                           const tmb_identity *identity)
{
    char text[TEXT_BYTES_MAX];
    size_t len = print(identity, text);
    return tmb_files_create(files, root, "identity", tmb_bytes_of(text, len), NULL);
}

typedef struct folder_names {
    char names[TMB_STREAMS_MAX][TMB_STREAM_NAME_BYTES_MAX + 1];
    size_t count;
} folder_names;

static int collect_folder(void *arg, const char *name)
{
    folder_names *folders = arg;
    if (!tmb_name_is_valid(tmb_bytes_str(name), TMB_STREAM_NAME_BYTES_MAX) ||
        folders->count == TMB_STREAMS_MAX)
        return 0;
    memcpy(folders->names[folders->count++], name, strlen(name) + 1);
    return 0;
}

/* A plain file beside the streams (lock, an old identity) has no segments; a folder that cannot be listed may
 * have some. */
static bool is_folder(const tmb_file_port *files, const char *path)
{
    int fd = files->open(files->context, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0)
        files->close(files->context, fd);
    return fd != -ENOTDIR;
}

/* Newest first: that is the one that opening goes on with. */
static tmb_err ask_folder(const tmb_file_port *files, const char *folder, const char *stream,
                          tmb_identity *ret_identity)
{
    tmb_segment_list list = {NULL, 0, 0};
    tmb_err err = tmb_segment_list_load(&list, files, folder);
    tmb_err answer = list.count > 0 ? TMB_ECORRUPT : TMB_ENOENT;
    if (err && (err == TMB_ENOMEM || is_folder(files, folder)))
        answer = err;
    for (size_t i = list.count; i > 0 && answer == TMB_ECORRUPT; i--) {
        tmb_segment_header header;
        int fd = -1;
        if (tmb_segment_open(files, folder, list.bases[i - 1], O_RDONLY, &fd))
            continue;
        if (!tmb_segment_header_read(files, fd, list.bases[i - 1], stream, &header)) {
            memcpy(ret_identity->node, header.node, sizeof header.node);
            ret_identity->incarnation = header.incarnation;
            answer = TMB_OK;
        }
        files->close(files->context, fd);
    }
    tmb_segment_list_fini(&list);
    return answer;
}

tmb_err tmb_identity_find(const tmb_file_port *files, const char *root, tmb_identity *ret_identity)
{
    folder_names *folders = calloc(1, sizeof *folders);
    if (!folders)
        return TMB_ENOMEM;
    tmb_err err = tmb_files_err(files->list(files->context, root, collect_folder, folders));
    tmb_err answer = err ? err : TMB_ENOENT;
    for (size_t i = 0; i < folders->count && (answer == TMB_ENOENT || answer == TMB_ECORRUPT);
         i++) {
        tmb_path folder = tmb_path_join(root, folders->names[i]);
        err = ask_folder(files, folder.text, folders->names[i], ret_identity);
        if (err != TMB_ENOENT)
            answer = err;
    }
    free(folders);
    return answer;
}
