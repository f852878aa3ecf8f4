// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_dump.c - tombolo-journal dump: records as JSON lines or as a table, with the gaps. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

#include "clients/cli/journal_cli.h"

typedef struct dump {
    const cli_options *options;
    const cli_root *root;
    tmb_tail *tails[TMB_STREAMS_MAX];
    uint64_t count;
    bool is_damaged;
} dump;

static void print_text(tmb_bytes b, size_t max)
{
    for (size_t i = 0; i < b.len && i < max; i++)
        putchar(b.ptr[i] >= 0x20 && b.ptr[i] != 0x7f ? b.ptr[i] : '.');
    if (b.len > max)
        printf("... (%zu bytes)", b.len);
}

static void print_record(const char *stream, const tmb_record *record)
{
    char time[CLI_TIME_BYTES];
    cli_time_print(tmb_hlc_wall(record->stamp), time);
    printf("%s %" PRIu64 " %s q%u%s%s ", stream, record->seq, time, record->qos,
           record->retain ? "r" : "", record->is_will ? "w" : "");
    print_text(record->topic, 4096);
    printf(" ");
    print_text(record->payload, 120);
    printf("\n");
}

static bool put_record(const dump *d, const char *stream, const tmb_record *record)
{
    if (d->options->is_json)
        return cli_json_print(cli_json_record(stream, record), false);
    print_record(stream, record);
    return !ferror(stdout);
}

static bool put_gap(const dump *d, const char *stream, const tmb_tail_gap *gap)
{
    char text[512];
    if (d->options->is_json)
        return cli_json_print(json_pack("{s:s, s:o}", "stream", stream, "gap", cli_json_gap(gap)),
                              false);
    cli_gap_print(gap, "", text, sizeof text);
    printf("%s -- %s\n", stream, text);
    return !ferror(stdout);
}

static int fail(const char *stream, const tmb_tail_gap *gap, tmb_err err)
{
    tmb_path path = tmb_path_join(stream, gap->file);
    return cli_fail(gap->file[0] ? path.text : stream, err);
}

/* Prints all that stream i has now. CLI_OK, or why not to go on. */
static int drain(dump *d, size_t i, bool *ret_done)
{
    const char *stream = d->root->streams[i];
    for (;;) {
        tmb_record record;
        tmb_tail_gap gap = {.file = ""};
        if (d->count >= d->options->count_max) {
            *ret_done = true;
            return CLI_OK;
        }
        tmb_err err = tmb_tail_next(d->tails[i], &record, &gap);
        bool written = true;
        if (err == TMB_EAGAIN)
            return CLI_OK;
        if (err == TMB_EGAP) {
            d->is_damaged = d->is_damaged || cli_gap_is_damage(&gap);
            written = put_gap(d, stream, &gap);
        } else if (err) {
            return fail(stream, &gap, err);
        } else {
            d->count++;
            written = put_record(d, stream, &record);
        }
        if (!written) { /* the pipe is closed: that is how `| head` ends */
            *ret_done = true;
            return CLI_OK;
        }
    }
}

static int start(dump *d, size_t i)
{
    const char *stream = d->root->streams[i];
    tmb_err err = tmb_tail_open(d->root->path.text, stream, NULL, &d->tails[i]);
    if (!err && d->options->from > 0)
        err = tmb_tail_seek(d->tails[i], d->options->from);
    else if (!err && d->options->has_since)
        err = tmb_tail_seek_time(d->tails[i], d->options->since);
    if (!err && d->options->is_follow && tmb_tail_watch_fd(d->tails[i]) < 0)
        err = TMB_EIO;
    return err ? cli_fail(stream, err) : CLI_OK;
}

static int wait_for_news(dump *d)
{
    struct pollfd pollers[TMB_STREAMS_MAX];
    for (size_t i = 0; i < d->root->count; i++)
        pollers[i] = (struct pollfd){tmb_tail_watch_fd(d->tails[i]), POLLIN, 0};
    fflush(stdout);
    if (poll(pollers, (nfds_t)d->root->count, -1) < 0 && errno != EINTR)
        return cli_fail("waiting for records", TMB_EIO);
    for (size_t i = 0; i < d->root->count; i++)
        tmb_tail_watch_clear(d->tails[i]);
    return CLI_OK;
}

int cli_dump(const cli_options *options)
{
    cli_root root;
    dump d = {.options = options, .root = &root};
    bool done = false;
    int code = cli_root_open(options, &root);
    for (size_t i = 0; code == CLI_OK && i < root.count; i++)
        code = start(&d, i);
    while (code == CLI_OK && !done) {
        for (size_t i = 0; code == CLI_OK && !done && i < root.count; i++)
            code = drain(&d, i, &done);
        if (!options->is_follow || root.count == 0)
            break;
        if (code == CLI_OK && !done)
            code = wait_for_news(&d);
    }
    for (size_t i = 0; i < TMB_STREAMS_MAX; i++)
        tmb_tail_close(d.tails[i]);
    fflush(stdout);
    if (code == CLI_OK && root.unreadable > 0 && !options->stream)
        code = CLI_UNREADABLE;
    return code == CLI_OK && d.is_damaged ? CLI_DAMAGE : code;
}
