// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_renew.c - tombolo-journal renew: a journal that its parent does not know gets a new
 * life.
 *
 *   DIR/journal            DIR/journal.new-XXXXXXXX     DIR/journal          DIR/journal.old-YYYYYYYY
 *   old life, locked  -->  records that the parent  --> new life             old life, kept for people
 *                          may not have, in the order
 *                          of their stamps
 *
 * The two change places in one step (renameat2), so there is a whole journal under the name at every moment.
 * What the parent has is said by uplink.marks, or by what the fenced daemon has set aside of it, and
 * believed of a stream only where its chain is that of this log: a file of another past would leave
 * records behind. In doubt all is carried over, and comes twice. A renewed record has a new number, and
 * the time of its birth. Operations on state are applied here, so where each of them went is noted
 * (journal/renewed.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/cli/journal_cli.h"
#include "journal/identity.h"
#include "journal/journal.h"
#include "journal/prove.h"
#include "journal/renewed.h"
#include "journal/text.h"
#include "policy/policy.h"

typedef struct renew_stream {
    const char *name;
    tmb_tail *tail;
    tmb_journal_stream *to;
    bool is_proved;  /* the parent has all up to mark */
    bool has_record; /* `record` is the next one */
    tmb_record record;
    uint64_t mark, carried, first, last, missing;
} renew_stream;

typedef struct renew {
    const cli_options *options;
    cli_root root;
    tmb_identity old;
    tmb_incarnation fresh;
    tmb_path scratch, aside;
    bool has_marks;
    tmb_marks marks;
    tmb_renewed renewed; /* of the stream of state */
    tmb_journal *from_lock, *to;
    renew_stream streams[TMB_STREAMS_MAX];
} renew;

static int fail_text(const char *what, const char *text)
{
    fprintf(stderr, "tombolo-journal: %s: %s\n", what, text);
    return CLI_UNREADABLE;
}

/* Whoever writes the journal has it locked. */
static int lock_old(renew *r)
{
    char text[400] = "";
    tmb_journal_options options = {.root = r->root.path.text, .node = r->old.node};
    tmb_err err = tmb_journal_open(&options, &r->from_lock, text, sizeof text);
    if (err == TMB_EBUSY)
        return fail_text(r->root.path.text,
                         "the broker is running: stop the broker and tombolo-syncd, then renew");
    return err ? fail_text(r->root.path.text, text[0] ? text : tmb_err_str(err)) : CLI_OK;
}

static void read_marks(renew *r)
{
    const char *folder = r->root.data_dir.text;
    for (unsigned aside = 0; aside < 2 && !r->has_marks; aside++) {
        tmb_err err = aside ? tmb_marks_read_aside(NULL, folder, &r->marks)
                            : tmb_marks_read(NULL, folder, &r->marks);
        r->has_marks = err == TMB_OK && memcmp(r->marks.incarnation.bytes, r->old.incarnation.bytes,
                                               sizeof r->old.incarnation.bytes) == 0;
    }
}

static const tmb_uplink_mark *find_lane(const tmb_marks *marks, const char *stream,
                                        const char *suffix)
{
    char name[TMB_STREAM_NAME_BYTES_MAX + sizeof TMB_LIVE_SUFFIX];
    (void)snprintf(name, sizeof name, "%s%s", stream, suffix);
    for (unsigned i = 0; i < marks->streams_count; i++) {
        if (strcmp(marks->streams[i].stream, name) == 0)
            return &marks->streams[i];
    }
    return NULL;
}

/* Up to where the file is proved to be of this log, by this lane. */
static uint64_t prove(const renew *r, const char *stream, const tmb_uplink_mark *mark)
{
    tmb_chain here = {.seq = 0};
    if (!mark || mark->seq == 0 || !mark->has_chain)
        return 0;
    tmb_err err =
        tmb_journal_chain(r->root.path.text, stream, NULL, &r->old.incarnation, mark->seq, &here);
    bool is_same =
        err == TMB_OK && here.is_known && memcmp(here.value, mark->chain, sizeof here.value) == 0;
    return is_same ? mark->seq : 0;
}

/* What the parent surely has of this log: all up to s->mark, by whichever lane it went. A chain that is the
 * same at one number is so below it, so the higher proof is one for both lanes. */
static void find_mark(const renew *r, renew_stream *s)
{
    const tmb_uplink_mark *own = find_lane(&r->marks, s->name, "");
    const tmb_uplink_mark *live = find_lane(&r->marks, s->name, TMB_LIVE_SUFFIX);
    if (!r->has_marks || r->options->is_all || !own)
        return;
    uint64_t by_own = prove(r, s->name, own), by_live = prove(r, s->name, live);
    uint64_t proved = by_own > by_live ? by_own : by_live;
    s->mark = tmb_marks_find(&r->marks, &r->old.incarnation, s->name);
    if (s->mark > proved)
        s->mark = proved;
    s->is_proved = s->mark > 0;
}

static tmb_err advance(renew_stream *s)
{
    tmb_tail_gap gap;
    tmb_err err;
    while ((err = tmb_tail_next(s->tail, &s->record, &gap)) == TMB_EGAP)
        s->missing += gap.last_seq == 0 ? 0 : gap.last_seq - gap.first_seq + 1;
    s->has_record = err == TMB_OK;
    return err == TMB_EAGAIN ? TMB_OK : err;
}

static int open_streams(renew *r)
{
    for (size_t i = 0; i < r->root.count; i++) {
        renew_stream *s = &r->streams[i];
        s->name = r->root.streams[i];
        find_mark(r, s);
        tmb_err err = tmb_tail_open(r->root.path.text, s->name, NULL, &s->tail);
        if (err == TMB_OK)
            err = tmb_tail_seek(s->tail, s->mark + 1);
        if (err == TMB_OK)
            err = advance(s);
        if (err != TMB_OK)
            return cli_fail(s->name, err);
    }
    return CLI_OK;
}

static int begin_new(renew *r)
{
    char text[400] = "";
    tmb_journal_options options = {
        .root = r->scratch.text, .node = r->old.node, .fresh_incarnation = r->fresh};
    tmb_err err = tmb_journal_open(&options, &r->to, text, sizeof text);
    for (size_t i = 0; i < r->root.count && err == TMB_OK; i++)
        err = tmb_journal_stream_open(r->to, r->streams[i].name, &r->streams[i].to, text,
                                      sizeof text);
    return err ? fail_text(r->scratch.text, text[0] ? text : tmb_err_str(err)) : CLI_OK;
}

static renew_stream *find_oldest(renew *r)
{
    renew_stream *oldest = NULL;
    for (size_t i = 0; i < r->root.count; i++) {
        renew_stream *s = &r->streams[i];
        if (s->has_record && (!oldest || s->record.stamp.u64 < oldest->record.stamp.u64))
            oldest = s;
    }
    return oldest;
}

/* Without a journal to write to it only counts. */
static int carry(renew *r)
{
    renew_stream *s;
    while ((s = find_oldest(r)) != NULL) {
        uint64_t seq = 0;
        tmb_err err =
            s->to ? tmb_journal_append(s->to, &s->record, tmb_hlc_wall(s->record.stamp), &seq)
                  : TMB_OK;
        if (err != TMB_OK)
            return cli_fail(r->scratch.text, err);
        if (strcmp(s->name, TMB_STATE_STREAM) == 0 && s->to)
            tmb_renewed_add(&r->renewed, s->record.seq, seq);
        s->first = s->carried++ == 0 ? s->record.seq : s->first;
        s->last = s->record.seq;
        err = advance(s);
        if (err != TMB_OK)
            return cli_fail(s->name, err);
    }
    for (size_t i = 0; i < r->root.count; i++) {
        tmb_err err = r->streams[i].to ? tmb_journal_sync(r->streams[i].to) : TMB_OK;
        if (err != TMB_OK)
            return cli_fail(r->scratch.text, err);
    }
    return CLI_OK;
}

static struct stat owner;

static int give_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return lchown(path, owner.st_uid, owner.st_gid);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

/* Run by root: the files shall be the broker's, as they were. */
static bool give_to_owner(const renew *r)
{
    if (stat(r->root.path.text, &owner) != 0)
        return false;
    return geteuid() != 0 || nftw(r->scratch.text, give_one, 16, FTW_PHYS) == 0;
}

static bool change_places(const renew *r)
{
    const char *now = r->root.path.text, *next = r->scratch.text;
    if (renameat2(AT_FDCWD, now, AT_FDCWD, next, RENAME_EXCHANGE) == 0)
        return rename(next, r->aside.text) == 0;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    return rename(now, r->aside.text) == 0 && rename(next, now) == 0;
}

static void set_marks_aside(const renew *r)
{
    static const char *const files[] = {TMB_MARKS_FILE, TMB_MARKS_ASIDE};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        tmb_path from = tmb_path_join(r->root.data_dir.text, files[i]);
        tmb_path to = tmb_path_join(r->aside.text, files[i]);
        (void)!rename(from.text, to.text); /* of another incarnation now: nobody believes it */
    }
}

static int write_new(renew *r)
{
    int code = begin_new(r);
    if (code == CLI_OK)
        code = carry(r);
    tmb_journal_close(r->to);
    r->to = NULL;
    if (code == CLI_OK) {
        r->renewed.from = r->old.incarnation;
        tmb_err err = tmb_renewed_write(NULL, r->scratch.text, &r->renewed);
        code = err ? cli_fail(r->scratch.text, err) : CLI_OK;
    }
    if (code == CLI_OK && (!give_to_owner(r) || !change_places(r)))
        code = fail_text(r->scratch.text, strerror(errno));
    else if (code == CLI_OK)
        set_marks_aside(r);
    if (code != CLI_OK)
        (void)nftw(r->scratch.text, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    else if (tmb_files_sync_folder(tmb_file_port_posix(), r->root.data_dir.text) != TMB_OK)
        code = fail_text(r->root.data_dir.text, "renewed, but not synced: the disk is not well");
    return code;
}

static const char *why(const renew *r, const renew_stream *s)
{
    if (s->is_proved)
        return "behind what the parent has";
    if (strcmp(s->name, TMB_STATE_STREAM) == 0)
        return "all: they stay here, and what was applied is not applied again";
    return r->options->is_all ? "all, as told" : "all: what the parent has of it is not proved";
}

static void print_table(const renew *r)
{
    bool is_dry = r->options->is_dry_run;
    for (size_t i = 0; i < r->root.count; i++) {
        const renew_stream *s = &r->streams[i];
        printf("%s: %llu records %s", s->name, (unsigned long long)s->carried,
               is_dry ? "would be carried over" : "carried over");
        if (s->carried > 0)
            printf(", %llu to %llu until now", (unsigned long long)s->first,
                   (unsigned long long)s->last);
        printf(" (%s", why(r, s));
        if (s->is_proved)
            printf(", %llu", (unsigned long long)s->mark);
        printf(")%s\n", s->missing > 0 ? "; some numbers are missing there: see verify" : "");
    }
    if (is_dry) {
        puts("Nothing was changed.");
        return;
    }
    printf(
        "The old journal is kept in %s\n"
        "Carried over, a record may come to the parent a second time, under a new number, if it "
        "had been "
        "sent\nbefore; none is lost, and none is taken for another. Start broker and tombolo-syncd "
        "again.\n",
        r->aside.text);
}

static bool print_json(const renew *r)
{
    json_t *streams = json_array();
    for (size_t i = 0; i < r->root.count; i++) {
        const renew_stream *s = &r->streams[i];
        json_array_append_new(
            streams, json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:I}", "stream", s->name, "carried",
                               (json_int_t)s->carried, "first", (json_int_t)s->first, "last",
                               (json_int_t)s->last, "missing", (json_int_t)s->missing, "proved",
                               s->is_proved, "parent_has", (json_int_t)s->mark));
    }
    return cli_json_print(
        json_pack("{s:s, s:b, s:o, s:o, s:s, s:o}", "node", r->old.node, "dry_run",
                  r->options->is_dry_run, "old_incarnation",
                  cli_json_incarnation(&r->old.incarnation), "new_incarnation",
                  r->options->is_dry_run ? json_null() : cli_json_incarnation(&r->fresh), "kept_in",
                  r->options->is_dry_run ? "" : r->aside.text, "streams", streams),
        true);
}

static bool name_folders(renew *r)
{
    char hex[TMB_INCARNATION_HEX_BYTES], name[40];
    if (getrandom(r->fresh.bytes, sizeof r->fresh.bytes, 0) != (ssize_t)sizeof r->fresh.bytes)
        return false;
    tmb_text_hex(&r->fresh, hex);
    (void)snprintf(name, sizeof name, "journal.new-%.8s", hex);
    r->scratch = tmb_path_join(r->root.data_dir.text, name);
    tmb_text_hex(&r->old.incarnation, hex);
    (void)snprintf(name, sizeof name, "journal.old-%.8s", hex);
    r->aside = tmb_path_join(r->root.data_dir.text, name);
    return true;
}

static int run(renew *r)
{
    int code = cli_root_open(r->options, &r->root);
    if (code != CLI_OK)
        return code;
    if (!r->root.is_data_dir)
        return fail_text(r->options->folder, "renew takes the data_dir, not the journal in it");
    if (r->root.unreadable > 0)
        return CLI_UNREADABLE; /* told by root_open: a part of it would be left behind */
    tmb_err err = tmb_identity_read(tmb_file_port_posix(), r->root.path.text, &r->old);
    if (err != TMB_OK)
        return cli_fail("identity", err);
    if (!name_folders(r))
        return fail_text("random numbers", strerror(errno));
    if (access(r->aside.text, F_OK) == 0)
        return fail_text(r->aside.text, "is there already: move it away first");
    code = r->options->is_dry_run ? CLI_OK : lock_old(r);
    if (code != CLI_OK)
        return code;
    read_marks(r);
    code = open_streams(r);
    if (code == CLI_OK)
        code = r->options->is_dry_run ? carry(r) : write_new(r);
    if (code != CLI_OK)
        return code;
    if (!r->options->is_json)
        print_table(r);
    else if (!print_json(r))
        return CLI_UNREADABLE;
    return CLI_OK;
}

int cli_renew(const cli_options *options)
{
    renew *r = calloc(1, sizeof *r);
    if (!r)
        return cli_fail("memory", TMB_ENOMEM);
    r->options = options;
    int code = run(r);
    for (size_t i = 0; i < r->root.count; i++)
        tmb_tail_close(r->streams[i].tail);
    tmb_journal_close(r->from_lock);
    free(r);
    return code;
}
