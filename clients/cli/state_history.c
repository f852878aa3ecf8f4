// SPDX-License-Identifier: Apache-2.0
/* clients/cli/state_history.c - tombolo-state history: who asked for what at this node, from its journal.
 *
 * Operations that were published here, whether they were taken or refused; what was changed at other nodes
 * comes as state and is in their journals. The stream keeps its last gibibyte.
 */
#include <stdio.h>
#include <string.h>

#include "clients/cli/journal_root.h"
#include "clients/cli/state_cli.h"
#include "policy/policy.h"

typedef struct history {
    const state_options *options;
    const state_target *target;
    bool is_gone; /* stdout */
    unsigned count;
} history;

/* The path itself; what is below it, if that was asked for; and removals above it, which take it along. */
static bool is_about(const history *h, const tmb_state_topic *topic)
{
    tmb_bytes path = tmb_bytes_str(h->target->path);
    if (topic->kind != TMB_STATE_OP || !tmb_bytes_eq(topic->scope, tmb_bytes_str(h->target->scope)))
        return false;
    if (tmb_bytes_eq(topic->path, path))
        return true;
    bool is_above = topic->path.len < path.len &&
                    memcmp(topic->path.ptr, path.ptr, topic->path.len) == 0 &&
                    path.ptr[topic->path.len] == '/';
    bool is_below = topic->path.len > path.len &&
                    memcmp(topic->path.ptr, path.ptr, path.len) == 0 &&
                    topic->path.ptr[path.len] == '/';
    return path.len == 0 || (is_above && topic->verb == TMB_VERB_DEL) ||
           (is_below && h->options->is_below);
}

static void show(history *h, const tmb_state_topic *topic, const tmb_record *record)
{
    char time[CLI_TIME_BYTES];
    cli_time_print(tmb_hlc_wall(record->stamp), time);
    h->count++;
    if (h->options->is_json) {
        json_t *line = json_pack(
            "{s:I, s:s, s:s, s:s%, s:s, s:o, s:s%}", "seq", (json_int_t)record->seq, "time", time,
            "scope", h->target->scope, "path", (const char *)topic->path.ptr, topic->path.len,
            "verb", tmb_verb_str(topic->verb), "payload", state_value(record->payload), "publisher",
            record->publisher.len > 0 ? (const char *)record->publisher.ptr : "",
            record->publisher.len);
        h->is_gone = !state_print(line);
        return;
    }
    printf("%s  %-8s %.*s  ", time, tmb_verb_str(topic->verb), (int)topic->path.len,
           (const char *)topic->path.ptr);
    if (record->payload.len > 0)
        fwrite(record->payload.ptr, 1, record->payload.len, stdout);
    printf("  by %.*s\n", (int)record->publisher.len,
           record->publisher.len > 0 ? (const char *)record->publisher.ptr : "");
    h->is_gone = ferror(stdout);
}

static int walk(history *h, tmb_tail *tail)
{
    while (!h->is_gone) {
        tmb_record record;
        tmb_tail_gap gap = {.file = ""};
        tmb_err err = tmb_tail_next(tail, &record, &gap);
        if (err == TMB_EAGAIN)
            break;
        if (err == TMB_EGAP) {
            char text[512];
            cli_gap_print(&gap, "", text, sizeof text);
            fprintf(stderr, "tombolo-state: history: %s\n", text);
            continue;
        }
        if (err)
            return cli_fail(TMB_STATE_STREAM, err);
        tmb_state_topic topic = tmb_state_topic_parse(h->options->root, record.topic);
        if (is_about(h, &topic))
            show(h, &topic, &record);
    }
    return STATE_OK;
}

/* The stream is there from the first operation on. */
static bool has_operations(const cli_root *root)
{
    for (size_t i = 0; i < root->count; i++)
        if (strcmp(root->streams[i], TMB_STATE_STREAM) == 0)
            return true;
    return false;
}

int state_history(const state_options *options, const state_target *target)
{
    if (!options->journal)
        return state_fail(STATE_USAGE, "history reads the node's journal: name its configuration "
                                       "(--config FILE), or its data_dir (--journal DIR)");
    cli_options where = {.folder = options->journal, .count_max = UINT64_MAX};
    cli_root root;
    tmb_tail *tail = NULL;
    history h = {.options = options, .target = target};
    if (cli_root_open(&where, &root) != CLI_OK)
        return STATE_UNREACHABLE;
    if (!has_operations(&root))
        return root.unreadable > 0 ? STATE_UNREACHABLE
                                   : state_note(options, "no operation was ever published here");
    tmb_err err = tmb_tail_open(root.path.text, TMB_STATE_STREAM, NULL, &tail);
    if (!err && options->has_since)
        err = tmb_tail_seek_time(tail, options->since);
    int code = err ? cli_fail(TMB_STATE_STREAM, err) : walk(&h, tail);
    tmb_tail_close(tail);
    if (code != STATE_OK)
        return STATE_UNREACHABLE;
    return h.count > 0 ? STATE_OK : state_note(options, "no such operation was published here");
}
