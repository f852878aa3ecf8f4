// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_node.c - the files beside the journal, for tombolo-journal verify.
 *
 * All of them are views: damaged, they cost time or knowledge, not messages; the line says which. The store
 * of tombolo-syncd is not looked at: it checks itself, and is made anew.
 */
#include <stdlib.h>

#include "broker-plugin/snapshot.h"
#include "clients/cli/journal_cli.h"

static void note(cli_node *node, const char *file, tmb_err err, const char *then)
{
    const char *state = err == TMB_OK         ? "good"
                        : err == TMB_ECORRUPT ? "damaged"
                        : err == TMB_ENOENT   ? "of another journal"
                                              : "unreadable";
    bool is_bad = err == TMB_ECORRUPT;
    node->is_damaged |= is_bad;
    if (err != TMB_OK && err != TMB_ENOENT && !is_bad) {
        node->is_unreadable = true;
        cli_fail(file, err);
    }
    if (node->files)
        json_array_append_new(node->files, json_pack("{s:s, s:s}", "file", file, "state", state));
    else if (err != TMB_OK)
        printf("%s: %s; %s\n", file, state, then);
}

static void read_marks(const cli_root *root, cli_node *node)
{
    tmb_err err = tmb_marks_read(NULL, root->data_dir.text, &node->marks);
    bool is_ours = !err && node->has_identity &&
                   memcmp(node->marks.incarnation.bytes, node->incarnation.bytes,
                          sizeof node->incarnation.bytes) == 0;
    node->has_marks = is_ours;
    if (err == TMB_ENOENT || !root->is_data_dir)
        return;
    note(node, TMB_MARKS_FILE, !err && !is_ours ? TMB_ENOENT : err,
         "what the parent has is not known until the next session with it");
}

/* Errors: TMB_ENOENT (none, or of another journal). */
static tmb_err load_checkpoint(const char *path, const cli_node *node, tmb_checkpoint *ret)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    tmb_seen *children = NULL, *publishers = NULL, *origins = NULL;
    tmb_err err = tmb_file_load(path, &bytes, &len);
    if (err)
        return err;
    err = tmb_seen_new(TMB_SEEN_CHILDREN_MAX, TMB_SEEN_RUNS_MAX, &children);
    if (!err)
        err = tmb_seen_new(TMB_SEEN_PUBLISHERS_MAX, TMB_SEEN_RUNS_MAX, &publishers);
    if (!err)
        err = tmb_seen_new(TMB_SEEN_ORIGINS_MAX, TMB_SEEN_RUNS_MAX, &origins);
    if (!err)
        err = tmb_checkpoint_decode(tmb_bytes_of(bytes, len), &node->incarnation, children,
                                    publishers, origins, ret);
    tmb_seen_free(children);
    tmb_seen_free(publishers);
    tmb_seen_free(origins);
    free(bytes);
    return err;
}

static bool is_there(const char *path)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    tmb_err err = tmb_file_load(path, &bytes, &len);
    free(bytes);
    return err != TMB_ENOENT;
}

static void read_checkpoints(const cli_root *root, cli_node *node)
{
    static const char *const names[] = {"checkpoint", "checkpoint.old"};
    for (size_t i = 0; i < 2; i++) {
        tmb_checkpoint one;
        tmb_path path = tmb_path_join(root->data_dir.text, names[i]);
        if (!is_there(path.text))
            continue;
        tmb_err err = load_checkpoint(path.text, node, &one);
        if (!err && !node->has_checkpoint) {
            node->checkpoint = one;
            node->has_checkpoint = true;
        }
        note(node, names[i], err,
             "an older one, or the whole journal, is replayed: nothing is lost, more comes twice");
    }
}

static void read_pending(const cli_root *root, cli_node *node)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    tmb_path path = tmb_path_join(root->data_dir.text, "loss.pending");
    tmb_err err = tmb_file_load(path.text, &bytes, &len);
    if (err == TMB_ENOENT)
        return;
    if (!err && len % TMB_LEDGER_SLOT_BYTES != 0)
        err = TMB_ECORRUPT;
    for (size_t at = 0; bytes && at + TMB_LEDGER_SLOT_BYTES <= len; at += TMB_LEDGER_SLOT_BYTES) {
        tmb_loss loss;
        tmb_err slot = tmb_ledger_decode(bytes + at, &node->incarnation, &loss);
        if (slot == TMB_OK)
            (void)tmb_ledger_add(&node->pending, &loss);
        else if (slot == TMB_ECORRUPT)
            err = TMB_ECORRUPT;
    }
    free(bytes);
    note(node, "loss.pending", err, "a loss that was not told yet may be missing from the ledger");
}

static void read_snapshot(const char *file, cli_node *node)
{
    char kept[TMB_PATH_BYTES];
    note(node, file, is_there(file) ? tmb_snapshot_verify(file) : tmb_snapshot_check(file),
         "start the broker: it goes back to the .kept.old one; if it cannot, put that in its place "
         "by "
         "hand, with checkpoint.old (docs/operations.md)");
    if (snprintf(kept, sizeof kept, "%s.kept", file) < (int)sizeof kept && is_there(kept))
        note(node, kept, tmb_snapshot_check(kept), "the next whole snapshot replaces it");
}

void cli_node_read(const cli_options *options, const cli_root *root, cli_node *ret_node)
{
    tmb_identity identity;
    memset(ret_node, 0, sizeof *ret_node);
    ret_node->files = options->is_json ? json_array() : NULL;
    ret_node->has_identity =
        tmb_verify_identity(root->path.text, NULL, &identity) == TMB_OK ||
        tmb_identity_find(tmb_file_port_posix(), root->path.text, &identity) == TMB_OK;
    if (ret_node->has_identity)
        ret_node->incarnation = identity.incarnation;
    read_marks(root, ret_node);
    if (root->is_data_dir)
        read_checkpoints(root, ret_node);
    if (root->is_data_dir)
        read_pending(root, ret_node);
    if (options->snapshot)
        read_snapshot(options->snapshot, ret_node);
}

uint64_t cli_node_end(const cli_node *node, const char *stream)
{
    uint64_t mark = node->has_marks ? tmb_marks_find(&node->marks, &node->incarnation, stream) : 0;
    uint64_t own =
        node->has_checkpoint ? tmb_checkpoint_find(&node->checkpoint, stream).own_seq : 0;
    return mark > own ? mark : own;
}
