// SPDX-License-Identifier: Apache-2.0
/* journal/marks.c - the file of journal/marks.h; what its numbers mean is in marks_note.c.
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

static const char *reason_str(tmb_gap_reason reason)
{
    return reason == TMB_GAP_NONE ? "unknown" : tmb_gap_reason_str(reason);
}

static bool gaps_are_valid(const tmb_marks *marks)
{
    if (marks->gaps_count > TMB_MARKS_GAPS_MAX)
        return false;
    for (unsigned i = 0; i < marks->gaps_count; i++) {
        const tmb_uplink_gap *gap = &marks->gaps[i];
        if (!tmb_name_is_valid(tmb_bytes_str(gap->stream), TMB_STREAM_NAME_BYTES_MAX) ||
            gap->first == 0 || gap->first > gap->last || gap->last > TMB_SEQ_MAX ||
            gap->reason < TMB_GAP_NONE || gap->reason > TMB_GAP_MISSING)
            return false;
        for (unsigned k = 0; k < i; k++)
            if (strcmp(gap->stream, marks->gaps[k].stream) == 0 &&
                gap->first <= marks->gaps[k].last)
                return false;
    }
    return true;
}

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
    return gaps_are_valid(marks) && tmb_live_ranges_are_valid(marks->aheads, marks->aheads_count);
}

static size_t print(const tmb_marks *marks, char out[TMB_MARKS_TEXT_BYTES_MAX])
{
    char hex[TMB_INCARNATION_HEX_BYTES];
    tmb_text_hex(&marks->incarnation, hex);
    size_t cap = TMB_MARKS_TEXT_BYTES_MAX;
    size_t len =
        (size_t)snprintf(out, cap, FIRST_WORD "%d\nnode %s\nincarnation %s\nparent %s\ntop %d\n",
                         marks->aheads_count > 0 ? 2 : 1, marks->node, hex, marks->parent,
                         marks->is_parent_top ? 1 : 0);
    for (unsigned i = 0; i < marks->streams_count; i++) {
        const tmb_uplink_mark *mark = &marks->streams[i];
        if (mark->has_chain)
            tmb_text_hex((const tmb_incarnation *)(const void *)mark->chain, hex);
        len += (size_t)snprintf(out + len, cap - len, "stream %s %" PRIu64 "%s%s\n", mark->stream,
                                mark->seq, mark->has_chain ? " " : "", mark->has_chain ? hex : "");
    }
    for (unsigned i = 0; i < marks->gaps_count; i++)
        len += (size_t)snprintf(out + len, cap - len, "gap %s %" PRIu64 " %" PRIu64 " %s\n",
                                marks->gaps[i].stream, marks->gaps[i].first, marks->gaps[i].last,
                                reason_str(marks->gaps[i].reason));
    for (unsigned i = 0; i < marks->aheads_count; i++)
        len += (size_t)snprintf(out + len, cap - len, "ahead %s %" PRIu64 " %" PRIu64 "\n",
                                marks->aheads[i].stream, marks->aheads[i].first,
                                marks->aheads[i].last);
    return tmb_text_seal(out, len, cap);
}

static tmb_err parse_aheads(const char *at, tmb_marks *marks)
{
    for (int used = 0;; at += used) {
        tmb_live_range ahead = {.first = 0};
        if (sscanf(at, " ahead %31s %19" SCNu64 " %19" SCNu64 "%n", ahead.stream, &ahead.first,
                   &ahead.last, &used) != 3)
            return TMB_OK;
        if (marks->aheads_count == TMB_LIVE_RANGES_MAX)
            return TMB_ECORRUPT;
        marks->aheads[marks->aheads_count++] = ahead;
    }
}

static tmb_err parse_gaps(const char *at, tmb_marks *marks)
{
    for (;;) {
        tmb_uplink_gap gap = {.first = 0};
        char reason[16] = "";
        int used = 0, known = TMB_GAP_NONE;
        if (sscanf(at, " gap %31s %19" SCNu64 " %19" SCNu64 " %15s%n", gap.stream, &gap.first,
                   &gap.last, reason, &used) != 4)
            return parse_aheads(at, marks);
        while (known <= TMB_GAP_MISSING && strcmp(reason, reason_str((tmb_gap_reason)known)) != 0)
            known++;
        if (known > TMB_GAP_MISSING || marks->gaps_count == TMB_MARKS_GAPS_MAX)
            return TMB_ECORRUPT;
        gap.reason = (tmb_gap_reason)known;
        marks->gaps[marks->gaps_count++] = gap;
        at += used;
    }
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
            return parse_gaps(at, marks);
        at += used;
        if (*at == ' ') { /* not there: of an earlier build, or not known */
            tmb_incarnation chain;
            if (sscanf(at, " %32s%n", hex, &used) != 1 || !tmb_text_unhex(hex, &chain))
                return TMB_ECORRUPT;
            mark.has_chain = true;
            memcpy(mark.chain, chain.bytes, sizeof mark.chain);
            at += used;
        }
        if (marks->streams_count == TMB_STREAMS_MAX)
            return TMB_ECORRUPT;
        marks->streams[marks->streams_count++] = mark;
    }
}

static tmb_err parse(const char *text, size_t len, tmb_marks *ret_marks)
{
    tmb_marks marks = {.node = ""};
    char again[TMB_MARKS_TEXT_BYTES_MAX];
    size_t head = strlen(FIRST_WORD);
    if (!tmb_text_is_whole(text, len) || strncmp(text, FIRST_WORD, head) != 0)
        return TMB_ECORRUPT;
    if (strncmp(text + head, "1\n", 2) != 0 && strncmp(text + head, "2\n", 2) != 0)
        return TMB_EVERSION;
    tmb_err err = parse_lines(text + head + 2, &marks);
    if (err)
        return err;
    if (!names_are_valid(&marks) || print(&marks, again) != len || memcmp(again, text, len) != 0)
        return TMB_ECORRUPT;
    *ret_marks = marks;
    return TMB_OK;
}

static tmb_err read_file(const tmb_file_port *port, const char *folder, const char *name,
                         tmb_marks *ret_marks)
{
    const tmb_file_port *files = port ? port : tmb_file_port_posix();
    char text[TMB_MARKS_TEXT_BYTES_MAX + 1];
    size_t len = 0;
    tmb_path path = tmb_path_join(folder, name);
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

tmb_err tmb_marks_read(const tmb_file_port *port, const char *folder, tmb_marks *ret_marks)
{
    return read_file(port, folder, TMB_MARKS_FILE, ret_marks);
}

tmb_err tmb_marks_read_aside(const tmb_file_port *port, const char *folder, tmb_marks *ret_marks)
{
    return read_file(port, folder, TMB_MARKS_ASIDE, ret_marks);
}

tmb_err tmb_marks_set_aside(const tmb_file_port *port, const char *folder)
{
    const tmb_file_port *files = port ? port : tmb_file_port_posix();
    tmb_path path = tmb_path_join(folder, TMB_MARKS_FILE);
    tmb_path aside = tmb_path_join(folder, TMB_MARKS_ASIDE);
    int rc = files->rename(files->context, path.text, aside.text);
    return rc == -ENOENT ? TMB_OK : tmb_files_err(rc);
}

tmb_err tmb_marks_write(const tmb_file_port *port, const char *folder, const tmb_marks *marks,
                        bool is_durable)
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
    if (!err && is_durable)
        err = tmb_files_err(files->sync(files->context, fd));
    int rc = files->close(files->context, fd);
    if (!err)
        err = tmb_files_err(rc);
    if (!err)
        err = tmb_files_err(files->rename(files->context, aside.text, path.text));
    if (err) {
        files->unlink(files->context, aside.text);
        return err;
    }
    return is_durable ? tmb_files_sync_folder(files, folder) : TMB_OK;
}

tmb_err tmb_marks_forget(const tmb_file_port *port, const char *folder)
{
    const tmb_file_port *files = port ? port : tmb_file_port_posix();
    tmb_path path = tmb_path_join(folder, TMB_MARKS_FILE);
    int rc = files->unlink(files->context, path.text);
    return rc == -ENOENT ? TMB_OK : tmb_files_err(rc);
}
