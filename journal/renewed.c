// SPDX-License-Identifier: Apache-2.0
/* journal/renewed.c - see journal/renewed.h. Read as strictly as the identity: printed again and compared. */
#include "journal/renewed.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "journal/files.h"
#include "journal/text.h"
#include "proto/frame.h"

#define FILE_NAME      "renewed"
#define FIRST_WORD     "tombolo-renewed "
#define TEXT_BYTES_MAX (128u + TMB_RENEWED_RUNS_MAX * 72u)

void tmb_renewed_add(tmb_renewed *renewed, uint64_t old_seq, uint64_t seq)
{
    tmb_renewed_run *last =
        renewed->runs_count > 0 ? &renewed->runs[renewed->runs_count - 1] : NULL;
    bool is_next = last && old_seq == last->old_first + last->count;
    if (is_next || renewed->runs_count == TMB_RENEWED_RUNS_MAX)
        last->count = seq - last->first + 1;
    else
        renewed->runs[renewed->runs_count++] = (tmb_renewed_run){old_seq, seq, 1};
}

uint64_t tmb_renewed_seq(const tmb_renewed *renewed, uint64_t old_seq)
{
    for (unsigned i = renewed->runs_count; i-- > 0;) {
        const tmb_renewed_run *run = &renewed->runs[i];
        if (old_seq < run->old_first)
            continue;
        uint64_t before = old_seq - run->old_first;
        return run->first + (before < run->count ? before : run->count - 1);
    }
    return 0;
}

uint64_t tmb_renewed_last(const tmb_renewed *renewed)
{
    return tmb_renewed_seq(renewed, UINT64_MAX);
}

static size_t print(const tmb_renewed *renewed, char out[TEXT_BYTES_MAX])
{
    char hex[TMB_INCARNATION_HEX_BYTES];
    tmb_text_hex(&renewed->from, hex);
    size_t len = (size_t)snprintf(out, TEXT_BYTES_MAX, FIRST_WORD "1\nfrom %s\n", hex);
    for (unsigned i = 0; i < renewed->runs_count; i++)
        len += (size_t)snprintf(
            out + len, TEXT_BYTES_MAX - len, "run %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
            renewed->runs[i].old_first, renewed->runs[i].first, renewed->runs[i].count);
    return tmb_text_seal(out, len, TEXT_BYTES_MAX);
}

static bool are_runs_valid(const tmb_renewed *renewed)
{
    for (unsigned i = 0; i < renewed->runs_count; i++) {
        const tmb_renewed_run *run = &renewed->runs[i], *before = i > 0 ? run - 1 : NULL;
        if (run->old_first == 0 || run->first == 0 || run->count == 0 ||
            run->old_first > TMB_SEQ_MAX || run->first > TMB_SEQ_MAX || run->count > TMB_SEQ_MAX ||
            (before && (run->old_first < before->old_first + before->count ||
                        run->first < before->first + before->count)))
            return false;
    }
    return true;
}

static tmb_err parse(const char *text, size_t len, tmb_renewed *ret_renewed)
{
    tmb_renewed renewed = {.runs_count = 0};
    char hex[TMB_INCARNATION_HEX_BYTES] = "", again[TEXT_BYTES_MAX];
    int at = 0, more = 0;
    if (!tmb_text_is_whole(text, len) || strncmp(text, FIRST_WORD, sizeof FIRST_WORD - 1) != 0)
        return TMB_ECORRUPT;
    text += sizeof FIRST_WORD - 1;
    if (strncmp(text, "1\n", 2) != 0)
        return TMB_EVERSION;
    if (sscanf(text, "1 from %32s %n", hex, &at) != 1 || !tmb_text_unhex(hex, &renewed.from))
        return TMB_ECORRUPT;
    for (tmb_renewed_run run; renewed.runs_count < TMB_RENEWED_RUNS_MAX; at += more) {
        if (sscanf(text + at, "run %" SCNu64 " %" SCNu64 " %" SCNu64 " %n", &run.old_first,
                   &run.first, &run.count, &more) != 3)
            break;
        renewed.runs[renewed.runs_count++] = run;
    }
    text -= sizeof FIRST_WORD - 1;
    if (!are_runs_valid(&renewed) || print(&renewed, again) != len || memcmp(again, text, len) != 0)
        return TMB_ECORRUPT;
    *ret_renewed = renewed;
    return TMB_OK;
}

tmb_err tmb_renewed_read(const tmb_file_port *files, const char *root, tmb_renewed *ret_renewed)
{
    char text[TEXT_BYTES_MAX + 1];
    size_t len = 0;
    tmb_path path = tmb_path_join(root, FILE_NAME);
    files = files ? files : tmb_file_port_posix();
    int fd = files->open(files->context, path.text, O_RDONLY, 0);
    if (fd < 0)
        return tmb_files_err(fd);
    tmb_err err = tmb_files_read(files, fd, text, TEXT_BYTES_MAX, 0, &len);
    files->close(files->context, fd);
    if (err)
        return err;
    text[len] = '\0';
    return parse(text, len, ret_renewed);
}

tmb_err tmb_renewed_write(const tmb_file_port *files, const char *root, const tmb_renewed *renewed)
{
    char text[TEXT_BYTES_MAX];
    size_t len = print(renewed, text);
    files = files ? files : tmb_file_port_posix();
    return tmb_files_create(files, root, FILE_NAME, tmb_bytes_of(text, len), NULL);
}
