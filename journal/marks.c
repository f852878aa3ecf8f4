// SPDX-License-Identifier: Apache-2.0
/* journal/marks.c - see journal/marks.h.
 *
 * Read line by line into a struct, which is printed again and compared: the rules of the format stand in one
 * place, print, and what does not keep them is damaged.
 */
#include "journal/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "journal/files.h"
#include "journal/text.h"
#include "proto/frame.h"

#define FIRST_WORD "tombolo-uplink "

static bool names_are_valid(const tmb_marks *marks)
{
    if (!tmb_name_is_valid(tmb_bytes_str(marks->node), TMB_NAME_BYTES_MAX) ||
        !tmb_name_is_valid(tmb_bytes_str(marks->parent), TMB_NAME_BYTES_MAX) ||
        marks->streams_count > TMB_STREAMS_MAX)
        return false;
    for (unsigned i = 0; i < marks->streams_count; i++) {
        const tmb_uplink_mark *mark = &marks->streams[i];
        if (!tmb_name_is_valid(tmb_bytes_str(mark->stream), TMB_STREAM_NAME_BYTES_MAX) ||
            mark->seq > TMB_SEQ_MAX)
            return false;
        for (unsigned k = 0; k < i; k++)
            if (strcmp(mark->stream, marks->streams[k].stream) == 0)
                return false;
    }
    return true;
}

static size_t print(const tmb_marks *marks, char out[TMB_MARKS_TEXT_BYTES_MAX])
{
    char hex[TMB_INCARNATION_HEX_BYTES];
    tmb_text_hex(&marks->incarnation, hex);
    size_t cap = TMB_MARKS_TEXT_BYTES_MAX;
    size_t len =
        (size_t)snprintf(out, cap, FIRST_WORD "1\nnode %s\nincarnation %s\nparent %s\ntop %d\n",
                         marks->node, hex, marks->parent, marks->is_parent_top ? 1 : 0);
    for (unsigned i = 0; i < marks->streams_count; i++)
        len += (size_t)snprintf(out + len, cap - len, "stream %s %" PRIu64 "\n",
                                marks->streams[i].stream, marks->streams[i].seq);
    return tmb_text_seal(out, len, cap);
}

/* at is behind the first line; the text is whole, and ends with a NUL. */
static tmb_err parse_lines(const char *at, tmb_marks *marks)
{
    char hex[TMB_INCARNATION_HEX_BYTES] = "";
    int top = 0, used = 0;
    if (sscanf(at, "node %63s incarnation %32s parent %63s top %1d%n", marks->node, hex,
               marks->parent, &top, &used) != 4 ||
        !tmb_text_unhex(hex, &marks->incarnation))
        return TMB_ECORRUPT;
    marks->is_parent_top = top != 0;
    at += used;
    for (;;) {
        tmb_uplink_mark mark = {.seq = 0};
        used = 0;
        if (sscanf(at, " stream %31s %19" SCNu64 "%n", mark.stream, &mark.seq, &used) != 2)
            return TMB_OK;
        if (marks->streams_count == TMB_STREAMS_MAX)
            return TMB_ECORRUPT;
        marks->streams[marks->streams_count++] = mark;
        at += used;
    }
}

static tmb_err parse(const char *text, size_t len, tmb_marks *ret_marks)
{
    tmb_marks marks = {.node = ""};
    char again[TMB_MARKS_TEXT_BYTES_MAX];
    size_t head = strlen(FIRST_WORD);
    if (!tmb_text_is_whole(text, len) || strncmp(text, FIRST_WORD, head) != 0)
        return TMB_ECORRUPT;
    if (strncmp(text + head, "1\n", 2) != 0)
        return TMB_EVERSION;
    tmb_err err = parse_lines(text + head + 2, &marks);
    if (err)
        return err;
    if (!names_are_valid(&marks) || print(&marks, again) != len || memcmp(again, text, len) != 0)
        return TMB_ECORRUPT;
    *ret_marks = marks;
    return TMB_OK;
}

tmb_err tmb_marks_read(const tmb_file_port *port, const char *folder, tmb_marks *ret_marks)
{
    const tmb_file_port *files = port ? port : tmb_file_port_posix();
    char text[TMB_MARKS_TEXT_BYTES_MAX + 1];
    size_t len = 0;
    tmb_path path = tmb_path_join(folder, TMB_MARKS_FILE);
    int fd = files->open(files->context, path.text, O_RDONLY, 0);
    if (fd < 0)
        return tmb_files_err(fd);
    tmb_err err = tmb_files_read(files, fd, text, sizeof text, 0, &len);
    files->close(files->context, fd);
    if (err)
        return err;
    if (len == sizeof text)
        return TMB_ECORRUPT;
    text[len] = '\0';
    return parse(text, len, ret_marks);
}

tmb_err tmb_marks_write(const tmb_file_port *port, const char *folder, const tmb_marks *marks)
{
    const tmb_file_port *files = port ? port : tmb_file_port_posix();
    char text[TMB_MARKS_TEXT_BYTES_MAX];
    tmb_path path = tmb_path_join(folder, TMB_MARKS_FILE);
    tmb_path aside = tmb_path_join(folder, TMB_MARKS_FILE ".new");
    if (!names_are_valid(marks))
        return TMB_EINVAL;
    size_t len = print(marks, text);
    int fd = files->open(files->context, aside.text, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    if (fd < 0)
        return tmb_files_err(fd);
    tmb_err err = tmb_files_write(files, fd, tmb_bytes_of(text, len));
    int rc = files->close(files->context, fd);
    if (!err)
        err = tmb_files_err(rc);
    if (!err)
        err = tmb_files_err(files->rename(files->context, aside.text, path.text));
    if (err)
        files->unlink(files->context, aside.text);
    return err;
}

tmb_err tmb_marks_forget(const tmb_file_port *port, const char *folder)
{
    const tmb_file_port *files = port ? port : tmb_file_port_posix();
    tmb_path path = tmb_path_join(folder, TMB_MARKS_FILE);
    int rc = files->unlink(files->context, path.text);
    return rc == -ENOENT ? TMB_OK : tmb_files_err(rc);
}

uint64_t tmb_marks_find(const tmb_marks *marks, const tmb_incarnation *incarnation,
                        const char *stream)
{
    if (memcmp(marks->incarnation.bytes, incarnation->bytes, sizeof incarnation->bytes) != 0)
        return 0;
    for (unsigned i = 0; i < marks->streams_count; i++)
        if (strcmp(marks->streams[i].stream, stream) == 0)
            return marks->streams[i].seq;
    return 0;
}
