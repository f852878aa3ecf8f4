// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_root.h - a journal folder, opened by a command: tombolo-journal, and history of
 * tombolo-state.
 *
 * Threads: one.
 */
#ifndef TMB_CLI_JOURNAL_ROOT_H
#define TMB_CLI_JOURNAL_ROOT_H

#include "base/time.h"
#include "journal/files.h"
#include "journal/tail.h"

/* What the command is called, for its messages; each main says it. */
extern const char *const cli_program;

/* Exit codes. */
enum {
    CLI_OK = 0,
    CLI_DAMAGE = 1, /* something is damaged or missing */
    CLI_USAGE = 2,
    CLI_UNREADABLE = 3
};

typedef struct cli_options {
    const char *folder;   /* as typed */
    const char *stream;   /* NULL: all */
    const char *snapshot; /* verify: the broker's mosquitto.db; NULL: not looked at */
    bool is_json;
    bool is_follow;
    bool is_dry_run, is_all; /* renew */
    bool has_since;
    tmb_wall since;
    uint64_t from;      /* 0: from the oldest */
    uint64_t count_max; /* UINT64_MAX: all */
} cli_options;

/* An open journal folder: where it is, and its streams by name, sorted. */
typedef struct cli_root {
    tmb_path path;
    tmb_path data_dir;   /* the folder above it */
    bool is_data_dir;    /* that is what was typed: its other files are meant, too */
    unsigned unreadable; /* folders that may be streams and could not be read: told */
    char streams[TMB_STREAMS_MAX][TMB_STREAM_NAME_BYTES_MAX + 1];
    size_t count;
} cli_root;

/* cli_root_open finds the journal in folder (a data_dir, or the journal itself) and its streams: only
 * options->stream when that is given. Gives CLI_OK, or an exit code after telling stderr what to do. */
int cli_root_open(const cli_options *options, cli_root *ret_root);

/* cli_fail tells stderr what went wrong with what, and gives CLI_UNREADABLE. */
int cli_fail(const char *what, tmb_err err);

/* cli_end is what main ends with: gives code, or CLI_UNREADABLE after telling stderr that some of what was
 * printed is lost. A pipe that was closed is no loss: who reads has enough. */
int cli_end(int code);

/* "2026-11-21T16:20:00.123Z" */
#define CLI_TIME_BYTES 80
void cli_time_print(tmb_wall wall, char out[CLI_TIME_BYTES]);
/* A time as above, parts of it from the right left out, or how long ago: 30s, 10m, 2h, 7d. */
bool cli_time_parse(const char *text, tmb_wall now, tmb_wall *ret_wall);

/* "bytes 512 to 640 of 0001.seg" and "records 4 to 5 are lost", as one sentence. parent: what is at the
 * parent of it (tmb_marks_say); empty: not known, or no parent. */
void cli_gap_print(const tmb_tail_gap *gap, const char *parent, char *out, size_t cap);

#endif
