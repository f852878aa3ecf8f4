// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_list.c - tombolo-journal list: the streams, and what is in each. */
#include <inttypes.h>

#include "clients/cli/journal_cli.h"
#include "journal/segment.h"

typedef struct stream_row {
    uint64_t first, last, segments, bytes;
    bool has_newest;
    tmb_wall newest;
} stream_row;

/* A file that cannot be opened is named: what it holds would be missing from all that is told. */
static tmb_err measure(const cli_root *root, const char *stream, stream_row *row)
{
    const tmb_file_port *files = tmb_file_port_posix();
    tmb_segment_list list = {NULL, 0, 0};
    tmb_path folder = tmb_path_join(root->path.text, stream);
    tmb_err err = tmb_segment_list_load(&list, files, folder.text);
    for (size_t i = 0; !err && i < list.count; i++) {
        int fd = -1;
        err = tmb_segment_open_listed(files, folder.text, list.bases[i], &fd);
        if (err == TMB_ENOENT) { /* dropped meanwhile */
            err = TMB_OK;
            continue;
        }
        if (err) {
            char name[TMB_SEGMENT_NAME_BYTES];
            tmb_segment_name(list.bases[i], name);
            tmb_path path = tmb_path_join(folder.text, name);
            fprintf(stderr, "tombolo-journal: %s: cannot be opened\n", path.text);
            continue;
        }
        int64_t size = files->size(files->context, fd);
        files->close(files->context, fd);
        row->bytes += size > 0 ? (uint64_t)size : 0;
        row->segments++;
    }
    tmb_segment_list_fini(&list);
    return err;
}

static tmb_err look(const cli_root *root, const char *stream, stream_row *row)
{
    tmb_tail *tail = NULL;
    tmb_incarnation incarnation;
    tmb_err err = tmb_tail_open(root->path.text, stream, NULL, &tail);
    if (err)
        return err;
    err = measure(root, stream, row);
    if (!err)
        err = tmb_tail_range(tail, &row->first, &row->last, &incarnation);
    if (err == TMB_ENOENT)
        err = TMB_OK; /* no header is whole: verify says more */
    if (!err && row->last > 0 && tmb_tail_seek(tail, row->last) == TMB_OK) {
        tmb_record record;
        tmb_tail_gap gap;
        if (tmb_tail_next(tail, &record, &gap) == TMB_OK) {
            row->has_newest = true;
            row->newest = tmb_hlc_wall(record.stamp);
        }
    }
    tmb_tail_close(tail);
    return err;
}

static void print_row(const char *stream, const stream_row *row)
{
    char newest[CLI_TIME_BYTES] = "-";
    if (row->has_newest)
        cli_time_print(row->newest, newest);
    printf("%-31s %12" PRIu64 " %12" PRIu64 " %8" PRIu64 " %14" PRIu64 "  %s\n", stream, row->first,
           row->last, row->segments, row->bytes, newest);
}

static json_t *row_json(const char *stream, const stream_row *row)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "stream", stream, "first_seq",
                     (json_int_t)row->first, "last_seq", (json_int_t)row->last, "segments",
                     (json_int_t)row->segments, "bytes", (json_int_t)row->bytes, "newest",
                     row->has_newest ? cli_json_time(row->newest) : json_null());
}

int cli_list(const cli_options *options)
{
    cli_root root;
    tmb_identity identity;
    int code = cli_root_open(options, &root);
    if (code)
        return code;
    bool is_known = tmb_verify_identity(root.path.text, NULL, &identity) == TMB_OK;
    json_t *streams = json_array();
    if (!options->is_json)
        printf("%-31s %12s %12s %8s %14s  %s\n", "STREAM", "FIRST", "LAST", "SEGMENTS", "BYTES",
               "NEWEST");
    for (size_t i = 0; i < root.count; i++) {
        stream_row row = {.first = 0};
        tmb_err err = look(&root, root.streams[i], &row);
        if (err)
            code = cli_fail(root.streams[i], err); /* the others are told all the same */
        if (err && options->is_json)
            json_array_append_new(streams, json_pack("{s:s, s:s}", "stream", root.streams[i],
                                                     "error", tmb_err_str(err)));
        else if (err)
            continue;
        else if (options->is_json)
            json_array_append_new(streams, row_json(root.streams[i], &row));
        else
            print_row(root.streams[i], &row);
    }
    if (options->is_json) {
        json_t *all = json_object();
        json_object_set_new(all, "node", is_known ? json_string(identity.node) : json_null());
        json_object_set_new(all, "incarnation",
                            is_known ? cli_json_incarnation(&identity.incarnation) : json_null());
        json_object_set(all, "streams", streams);
        cli_json_print(all, true);
    }
    json_decref(streams);
    return code == CLI_OK && root.unreadable > 0 ? CLI_UNREADABLE : code;
}
