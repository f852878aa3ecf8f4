// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_verify.c - tombolo-journal verify: every byte read, every bad range named. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "clients/cli/journal_cli.h"

typedef struct finder {
    const char *stream;
    json_t *findings; /* NULL: print them */
    bool is_damaged;
} finder;

static void found(void *arg, const tmb_tail_gap *gap)
{
    finder *f = arg;
    char text[512];
    f->is_damaged = f->is_damaged || cli_gap_is_damage(gap);
    if (f->findings) {
        json_array_append_new(f->findings, cli_json_gap(gap));
        return;
    }
    cli_gap_print(gap, text, sizeof text);
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
    *ret_word = err == TMB_OK ? "good" : err == TMB_ENOENT ? "missing" : "damaged";
    if (err == TMB_EVERSION || err == TMB_EIO)
        return cli_fail("identity", err);
    if (!options->is_json && err)
        printf("identity: %s; opening the journal for writing mends it from a segment\n",
               *ret_word);
    return err ? CLI_DAMAGE : CLI_OK;
}

static int verify_stream(const cli_root *root, size_t i, json_t *all, bool *ret_damaged)
{
    const char *stream = root->streams[i];
    tmb_verify_report report = {.segments = 0};
    finder f = {stream, all ? json_array() : NULL, false};
    show_progress(stream, i, root->count);
    tmb_err err = tmb_verify_stream(root->path.text, stream, NULL, found, &f, &report);
    end_progress();
    if (!err && all)
        json_array_append_new(all, report_json(stream, &report, f.findings));
    else if (!err)
        print_report(stream, &report, f.is_damaged);
    json_decref(f.findings);
    *ret_damaged = *ret_damaged || f.is_damaged;
    return err ? cli_fail(stream, err) : CLI_OK;
}

int cli_verify(const cli_options *options)
{
    cli_root root;
    const char *identity = "";
    int code = cli_root_open(options, &root);
    if (code)
        return code;
    code = verify_identity(&root, options, &identity);
    if (code == CLI_UNREADABLE)
        return code;
    bool is_damaged = code == CLI_DAMAGE;
    json_t *streams = options->is_json ? json_array() : NULL;
    code = CLI_OK;
    for (size_t i = 0; i < root.count; i++) {
        int worst = verify_stream(&root, i, streams, &is_damaged);
        code = worst > code ? worst : code;
    }
    if (streams)
        cli_json_print(json_pack("{s:s, s:b, s:o}", "identity", identity, "damaged", is_damaged,
                                 "streams", streams),
                       true);
    return code != CLI_OK ? code : is_damaged ? CLI_DAMAGE : CLI_OK;
}
