// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_verify.c - tombolo-journal verify: every byte read, every bad range named. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "clients/cli/journal_cli.h"

typedef struct finder {
    const char *stream;
    const cli_node *node;
    json_t *findings; /* NULL: print them */
    bool is_damaged;
    bool is_end; /* what is found now is behind the last record */
} finder;

static json_t *parent_json(const finder *f, const tmb_tail_gap *gap)
{
    tmb_marks_part part = tmb_marks_about(&f->node->marks, &f->node->incarnation, f->stream,
                                          gap->first_seq, gap->last_seq);
    return json_pack("{s:s, s:I, s:I, s:I}", "node", f->node->marks.parent, "at_parent",
                     (json_int_t)part.at_parent, "not_there", (json_int_t)part.not_there, "unknown",
                     (json_int_t)part.unknown);
}

static void found(void *arg, const tmb_tail_gap *gap)
{
    finder *f = arg;
    char text[1024], parent[TMB_MARKS_SAY_BYTES] = "";
    bool is_damage = cli_gap_is_damage(gap);
    bool is_told = is_damage && gap->last_seq != 0 && f->node->has_marks;
    f->is_damaged = f->is_damaged || is_damage;
    if (f->findings) {
        json_t *finding = cli_json_gap(gap);
        json_object_set_new(finding, "at_end", json_boolean(f->is_end));
        if (is_told)
            json_object_set_new(finding, "parent", parent_json(f, gap));
        json_array_append_new(f->findings, finding);
        return;
    }
    if (is_told)
        tmb_marks_say(&f->node->marks, &f->node->incarnation, f->stream, gap->first_seq,
                      gap->last_seq, parent, sizeof parent);
    cli_gap_print(gap, parent, text, sizeof text);
    if (f->is_end)
        snprintf(text, sizeof text,
                 "records %" PRIu64 " to %" PRIu64
                 " missing at the end: a file removed or cut off, "
                 "or dropped by a full disk%s%s",
                 gap->first_seq, gap->last_seq, parent[0] ? "; " : "", parent);
    printf("%s: %s\n", f->stream, text);
}

static json_t *report_json(const char *stream, const tmb_verify_report *r, json_t *findings)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "stream", stream,
                     "segments", (json_int_t)r->segments, "records", (json_int_t)r->records,
                     "bytes", (json_int_t)r->bytes, "first_seq", (json_int_t)r->first_seq,
                     "last_seq", (json_int_t)r->last_seq, "gaps", (json_int_t)r->gaps,
                     "damaged_bytes", (json_int_t)r->damaged_bytes, "torn_bytes",
                     (json_int_t)r->torn_bytes, "findings", findings);
}

static void print_report(const char *stream, const tmb_verify_report *r, bool is_damaged)
{
    printf("%s: %s: %" PRIu64 " records (%" PRIu64 " to %" PRIu64 "), %" PRIu64
           " segments, %" PRIu64 " bytes",
           stream, is_damaged ? "DAMAGED" : "good", r->records, r->first_seq, r->last_seq,
           r->segments, r->bytes);
    if (r->damaged_bytes > 0)
        printf(", %" PRIu64 " damaged", r->damaged_bytes);
    if (r->torn_bytes > 0)
        printf(", %" PRIu64 " unfinished at a crash or being written now", r->torn_bytes);
    printf("\n");
}

static void show_progress(const char *stream, size_t i, size_t count)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[Kverifying %s (%zu of %zu)", stream, i + 1, count);
}

static void end_progress(void)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

/* Gives whether the identity file is damaged. */
static int verify_identity(const cli_root *root, const cli_options *options, const char **ret_word)
{
    tmb_identity identity;
    tmb_err err = tmb_verify_identity(root->path.text, NULL, &identity);
    bool is_unreadable = err && err != TMB_ENOENT && err != TMB_ECORRUPT;
    *ret_word = err == TMB_OK       ? "good"
                : err == TMB_ENOENT ? "missing"
                : is_unreadable     ? "unreadable"
                                    : "damaged";
    if (is_unreadable)
        return cli_fail("identity", err);
    if (!options->is_json && err)
        printf("identity: %s; opening the journal for writing mends it from a segment\n",
               *ret_word);
    return err ? CLI_DAMAGE : CLI_OK;
}

/* Whether the log ends before what the parent, or the checkpoint, was told of: no checksum can see that. */
static tmb_err verify_end(const cli_root *root, finder *f)
{
    tmb_tail *tail = NULL;
    uint64_t first = 0, last = 0, end = cli_node_end(f->node, f->stream);
    tmb_incarnation incarnation;
    tmb_err err = tmb_tail_open(root->path.text, f->stream, NULL, &tail);
    if (!err)
        err = tmb_tail_range(tail, &first, &last, &incarnation);
    tmb_tail_close(tail);
    uint64_t shed = tmb_ledger_shed_seq(&f->node->pending, f->stream);
    if (last < shed)
        last = shed; /* used up for messages that a full disk did not take: the ledger tells */
    tmb_tail_gap gap = {last + 1, end, TMB_GAP_MISSING, "", 0, 0};
    f->is_end = true;
    if (!err && last < end)
        found(f, &gap);
    return err == TMB_ENOENT ? TMB_OK : err; /* no header is whole: that is told */
}

static int verify_stream(const cli_root *root, const cli_node *node, size_t i, json_t *all,
                         bool *ret_damaged)
{
    const char *stream = root->streams[i];
    tmb_verify_report report = {.segments = 0};
    finder f = {stream, node, all ? json_array() : NULL, false, false};
    show_progress(stream, i, root->count);
    tmb_err err = tmb_verify_stream(root->path.text, stream, NULL, found, &f, &report);
    if (!err)
        err = verify_end(root, &f);
    end_progress();
    if (!err && all)
        json_array_append_new(all, report_json(stream, &report, f.findings));
    else if (!err)
        print_report(stream, &report, f.is_damaged);
    else if (all) /* what could be read is told all the same */
        json_array_append_new(all, json_pack("{s:s, s:s, s:O}", "stream", stream, "error",
                                             tmb_err_str(err), "findings", f.findings));
    json_decref(f.findings);
    *ret_damaged = *ret_damaged || f.is_damaged;
    return err ? cli_fail(stream, err) : CLI_OK;
}

/* A stream of which nothing is left: no file there says that anything is missing. */
static void verify_gone(const cli_node *node, const char *stream, json_t *all, bool *ret_damaged)
{
    finder f = {stream, node, all ? json_array() : NULL, false, true};
    tmb_verify_report report = {.segments = 0};
    uint64_t end = cli_node_end(node, stream);
    tmb_tail_gap gap = {1, end, TMB_GAP_MISSING, "", 0, 0};
    if (tmb_ledger_shed_seq(&node->pending, stream) < end) {
        found(&f, &gap);
        if (all)
            json_array_append_new(all, report_json(stream, &report, f.findings));
        else
            print_report(stream, &report, true);
        *ret_damaged = true;
    }
    json_decref(f.findings);
}

static bool has_stream(const cli_root *root, const char *stream)
{
    for (size_t i = 0; i < root->count; i++)
        if (strcmp(root->streams[i], stream) == 0)
            return true;
    return false;
}

/* The checkpoint knows which streams there are; only without one the parent is asked, who also remembers
 * those that were given up. */
static void verify_all_gone(const cli_root *root, const cli_node *node, json_t *all,
                            bool *ret_damaged)
{
    unsigned count =
        node->has_checkpoint ? node->checkpoint.streams_count : node->marks.streams_count;
    for (unsigned i = 0; i < count && (node->has_checkpoint || node->has_marks); i++) {
        const char *stream =
            node->has_checkpoint ? node->checkpoint.streams[i].name : node->marks.streams[i].stream;
        if (!has_stream(root, stream))
            verify_gone(node, stream, all, ret_damaged);
    }
}

static void print_all(const cli_node *node, const char *identity, bool is_damaged, json_t *streams)
{
    json_t *parent = node->has_marks ? json_pack("{s:s, s:b}", "node", node->marks.parent, "top",
                                                 node->marks.is_parent_top)
                                     : json_null();
    cli_json_print(json_pack("{s:s, s:b, s:o, s:O, s:o}", "identity", identity, "damaged",
                             is_damaged, "parent", parent, "files", node->files, "streams",
                             streams),
                   true);
}

int cli_verify(const cli_options *options)
{
    cli_root root;
    cli_node node;
    const char *identity = "";
    int code = cli_root_open(options, &root);
    if (code)
        return code;
    code = verify_identity(&root, options, &identity);
    bool is_damaged = code == CLI_DAMAGE, is_unreadable = code == CLI_UNREADABLE;
    cli_node_read(options, &root, &node);
    json_t *streams = options->is_json ? json_array() : NULL;
    for (size_t i = 0; i < root.count; i++)
        is_unreadable |= verify_stream(&root, &node, i, streams, &is_damaged) != CLI_OK;
    if (!options->stream && root.unreadable == 0)
        verify_all_gone(&root, &node, streams, &is_damaged);
    is_damaged |= node.is_damaged;
    is_unreadable |= node.is_unreadable || root.unreadable > 0;
    if (streams)
        print_all(&node, identity, is_damaged, streams);
    json_decref(node.files);
    return is_unreadable ? CLI_UNREADABLE : is_damaged ? CLI_DAMAGE : CLI_OK;
}
