// SPDX-License-Identifier: Apache-2.0
/* journal/live.c - the file of journal/live.h: printed, read line by line, printed again and compared. */
#include "journal/live.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "journal/files.h"
#include "journal/text.h"
#include "proto/frame.h"

#define FIRST_WORD "tombolo-live "

static bool is_valid(const tmb_live *live)
{
    return tmb_name_is_valid(tmb_bytes_str(live->node), TMB_NAME_BYTES_MAX) &&
           tmb_live_ranges_are_valid(live->ranges, live->ranges_count);
}

static size_t print(const tmb_live *live, char out[TMB_LIVE_TEXT_BYTES_MAX])
{
    char hex[TMB_INCARNATION_HEX_BYTES];
    size_t cap = TMB_LIVE_TEXT_BYTES_MAX;
    tmb_text_hex(&live->incarnation, hex);
    size_t len =
        (size_t)snprintf(out, cap, FIRST_WORD "1\nnode %s\nincarnation %s\n", live->node, hex);
    for (unsigned i = 0; i < live->ranges_count; i++)
        len +=
            (size_t)snprintf(out + len, cap - len, "range %s %" PRIu64 " %" PRIu64 "\n",
                             live->ranges[i].stream, live->ranges[i].first, live->ranges[i].last);
    return tmb_text_seal(out, len, cap);
}

/* at is behind the first line; the text is whole, and ends with a NUL. */
static tmb_err parse_lines(const char *at, tmb_live *live)
{
    char hex[TMB_INCARNATION_HEX_BYTES] = "";
    int used = 0;
    if (sscanf(at, "node %63s incarnation %32s%n", live->node, hex, &used) != 2 ||
        !tmb_text_unhex(hex, &live->incarnation))
        return TMB_ECORRUPT;
    for (at += used;; at += used) {
        tmb_live_range range = {.first = 0};
        if (sscanf(at, " range %31s %19" SCNu64 " %19" SCNu64 "%n", range.stream, &range.first,
                   &range.last, &used) != 3)
            return TMB_OK;
        if (live->ranges_count == TMB_LIVE_RANGES_MAX)
            return TMB_ECORRUPT;
        live->ranges[live->ranges_count++] = range;
    }
}

static tmb_err parse(const char *text, size_t len, tmb_live *ret_live)
{
    tmb_live live = {.node = ""};
    char again[TMB_LIVE_TEXT_BYTES_MAX];
    size_t head = strlen(FIRST_WORD);
    if (!tmb_text_is_whole(text, len) || strncmp(text, FIRST_WORD, head) != 0)
        return TMB_ECORRUPT;
    if (strncmp(text + head, "1\n", 2) != 0)
        return TMB_EVERSION;
    tmb_err err = parse_lines(text + head + 2, &live);
    if (err != TMB_OK)
        return err;
    if (!is_valid(&live) || print(&live, again) != len || memcmp(again, text, len) != 0)
        return TMB_ECORRUPT;
    *ret_live = live;
    return TMB_OK;
}

tmb_err tmb_live_read(const tmb_file_port *port, const char *folder, tmb_live *ret_live)
{
    const tmb_file_port *files = port ? port : tmb_file_port_posix();
    char text[TMB_LIVE_TEXT_BYTES_MAX + 1];
    size_t len = 0;
    tmb_path path = tmb_path_join(folder, TMB_LIVE_FILE);
    int fd = files->open(files->context, path.text, O_RDONLY, 0);
    if (fd < 0)
        return tmb_files_err(fd);
    tmb_err err = tmb_files_read(files, fd, text, sizeof text, 0, &len);
    files->close(files->context, fd);
    if (err != TMB_OK)
        return err;
    if (len == sizeof text)
        return TMB_ECORRUPT;
    text[len] = '\0';
    return parse(text, len, ret_live);
}

tmb_err tmb_live_write(const tmb_file_port *port, const char *folder, const tmb_live *live)
{
    const tmb_file_port *files = port ? port : tmb_file_port_posix();
    char text[TMB_LIVE_TEXT_BYTES_MAX];
    if (!is_valid(live))
        return TMB_EINVAL;
    size_t len = print(live, text);
    return tmb_files_create(files, folder, TMB_LIVE_FILE, tmb_bytes_of(text, len), NULL);
}
