// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_cli.h - tombolo-journal: look into a journal, beside a running broker or after it.
 *
 * All but renew only reads. Threads: one.
 */
#ifndef TMB_CLI_JOURNAL_CLI_H
#define TMB_CLI_JOURNAL_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "base/time.h"
#include "broker-plugin/checkpoint.h"
#include "broker-plugin/ledger.h"
#include "journal/files.h"
#include "journal/marks.h"
#include "journal/tail.h"
#include "journal/verify.h"

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

/* What the files beside the journal say of it: read before the streams, so that they are not ahead of what
 * is found there. */
typedef struct cli_node {
    bool has_identity, has_marks, has_checkpoint;
    tmb_incarnation incarnation;
    tmb_marks marks;
    tmb_checkpoint checkpoint;
    tmb_ledger pending; /* losses that wait for the ledger */
    json_t *files;      /* what was looked at, [{"file", "state"}]; NULL: print what is not good */
    bool is_damaged, is_unreadable;
} cli_node;

/* cli_node_read looks at uplink.marks, checkpoint, checkpoint.old and loss.pending, and at the broker's
 * snapshot when it is named; each that is damaged or cannot be read is told. Drop ret_node->files. */
void cli_node_read(const cli_options *options, const cli_root *root, cli_node *ret_node);

/* cli_node_end gives the last number that the parent or the checkpoint knows of a stream; 0: none. */
uint64_t cli_node_end(const cli_node *node, const char *stream);

int cli_list(const cli_options *options);
int cli_dump(const cli_options *options);
int cli_verify(const cli_options *options);
/* cli_renew begins a new incarnation; the broker must not run. */
int cli_renew(const cli_options *options);

/* cli_fail tells stderr what went wrong with what, and gives CLI_UNREADABLE. */
int cli_fail(const char *what, tmb_err err);

/* Is a gap of this reason a loss that nobody asked for? */
bool cli_gap_is_damage(const tmb_tail_gap *gap);

/* JSON values; each gives a new reference. */
json_t *cli_json_record(const char *stream, const tmb_record *record);
json_t *cli_json_gap(const tmb_tail_gap *gap);
json_t *cli_json_incarnation(const tmb_incarnation *incarnation);
json_t *cli_json_time(tmb_wall wall);
/* cli_json_print writes value as one line (or indented) and drops it; false when stdout is gone. */
bool cli_json_print(json_t *value, bool is_indented);

/* "2026-11-21T16:20:00.123Z" */
#define CLI_TIME_BYTES 80
void cli_time_print(tmb_wall wall, char out[CLI_TIME_BYTES]);
/* A time as above, parts of it from the right left out, or how long ago: 30s, 10m, 2h, 7d. */
bool cli_time_parse(const char *text, tmb_wall now, tmb_wall *ret_wall);

/* "bytes 512 to 640 of 0001.seg" and "records 4 to 5 are lost", as one sentence. parent: what is at the
 * parent of it (tmb_marks_say); empty: not known, or no parent. */
void cli_gap_print(const tmb_tail_gap *gap, const char *parent, char *out, size_t cap);

#endif
