// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_root.c - find the journal in the folder that was typed, or say that there is none. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/cli/journal_cli.h"
#include "journal/segment.h"

int cli_fail(const char *what, tmb_err err)
{
    fprintf(stderr, "%s: %s: %s\n", cli_program, what, tmb_err_str(err));
    if (err == TMB_EVERSION)
        fprintf(stderr,
                "  It was written by a newer Tombolo: use the tombolo-journal of that one.\n");
    if (err == TMB_EIO || err == TMB_EDENIED)
        fprintf(
            stderr,
            "  May this user read it? Is it a link to nothing? Is the disk in order (dmesg)?\n");
    return CLI_UNREADABLE;
}

int cli_end(int code)
{
    struct stat st;
    bool is_lost = fflush(stdout) != 0 || ferror(stdout);
    bool is_pipe = fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
    if (!is_lost || is_pipe)
        return code;
    fprintf(stderr, "%s: standard output: not all could be written; is its disk full?\n",
            cli_program);
    return code == CLI_OK ? CLI_UNREADABLE : code;
}

static int keep_stream(void *arg, const char *name)
{
    cli_root *root = arg;
    tmb_segment_list list = {NULL, 0, 0};
    if (!tmb_name_is_valid(tmb_bytes_str(name), TMB_STREAM_NAME_BYTES_MAX))
        return 0;
    tmb_path folder = tmb_path_join(root->path.text, name);
    struct stat st;
    if (stat(folder.text, &st) == 0 && !S_ISDIR(st.st_mode))
        return 0; /* identity, lock */
    tmb_err err = tmb_segment_list_load(&list, tmb_file_port_posix(), folder.text);
    bool is_stream = !err && list.count > 0;
    tmb_segment_list_fini(&list);
    if (is_stream && root->count == TMB_STREAMS_MAX)
        err = TMB_ELIMIT;
    else if (is_stream)
        memcpy(root->streams[root->count++], name, strlen(name) + 1);
    if (err && err != TMB_ENOENT) { /* it may be a stream: never silence */
        root->unreadable++;
        cli_fail(folder.text, err);
    }
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* A folder is a journal when it has an identity or a stream. */
static tmb_err try_root(cli_root *root)
{
    const tmb_file_port *files = tmb_file_port_posix();
    tmb_identity identity;
    root->count = root->unreadable = 0;
    tmb_err err = tmb_files_err(files->list(files->context, root->path.text, keep_stream, root));
    if (err)
        return err;
    qsort(root->streams, root->count, sizeof root->streams[0], compare_names);
    if (root->count > 0 || root->unreadable > 0 ||
        tmb_verify_identity(root->path.text, NULL, &identity) != TMB_ENOENT)
        return TMB_OK;
    return TMB_ENOENT;
}

static int pick(const cli_options *options, cli_root *root)
{
    for (size_t i = 0; i < root->count; i++) {
        if (strcmp(root->streams[i], options->stream) == 0) {
            memmove(root->streams[0], root->streams[i], sizeof root->streams[0]);
            root->count = 1;
            return CLI_OK;
        }
    }
    fprintf(stderr, "%s: no stream \"%s\" in %s; there %s", cli_program, options->stream,
            root->path.text, root->count == 0 ? "is none yet" : "are:");
    for (size_t i = 0; i < root->count; i++)
        fprintf(stderr, " %s", root->streams[i]);
    fprintf(stderr, "\n");
    return CLI_UNREADABLE;
}

int cli_root_open(const cli_options *options, cli_root *ret_root)
{
    size_t len = strlen(options->folder);
    if (len == 0 || len >= TMB_PATH_BYTES / 2) {
        fprintf(stderr, "%s: \"%s\" cannot be a folder\n", cli_program, options->folder);
        return CLI_USAGE;
    }
    ret_root->path = tmb_path_join(options->folder, "journal");
    memcpy(ret_root->data_dir.text, options->folder, len + 1);
    tmb_err err = try_root(ret_root);
    ret_root->is_data_dir = err != TMB_ENOENT;
    if (err == TMB_ENOENT) {
        memcpy(ret_root->path.text, options->folder, len + 1);
        ret_root->data_dir = tmb_path_join(options->folder, "..");
        err = try_root(ret_root);
    }
    if (err == TMB_ENOENT) {
        fprintf(stderr,
                "%s: no journal in %s\n"
                "  Give the data_dir of the configuration, or the folder \"journal\" in it.\n",
                cli_program, options->folder);
        return CLI_UNREADABLE;
    }
    if (err)
        return cli_fail(ret_root->path.text, err);
    return options->stream ? pick(options, ret_root) : CLI_OK;
}
