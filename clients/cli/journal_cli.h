// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_cli.h - tombolo-journal: look into a journal, beside a running broker or after it.
 *
 * All but renew only reads. Threads: one.
 */
#ifndef TMB_CLI_JOURNAL_CLI_H
#define TMB_CLI_JOURNAL_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "broker-plugin/checkpoint.h"
#include "broker-plugin/ledger.h"
#include "clients/cli/journal_root.h"
#include "journal/marks.h"
#include "journal/verify.h"

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

/* Is a gap of this reason a loss that nobody asked for? */
bool cli_gap_is_damage(const tmb_tail_gap *gap);

/* JSON values; each gives a new reference. */
json_t *cli_json_record(const char *stream, const tmb_record *record);
json_t *cli_json_gap(const tmb_tail_gap *gap);
json_t *cli_json_incarnation(const tmb_incarnation *incarnation);
json_t *cli_json_time(tmb_wall wall);
/* cli_json_print writes value as one line (or indented) and drops it; false when stdout is gone. */
bool cli_json_print(json_t *value, bool is_indented);

#endif
