// SPDX-License-Identifier: Apache-2.0
/* journal/journal.c - open and close a journal: its folder, its lock, its identity.
 *
 * The identity file and the header of each segment say the same, so one can be lost: a damaged identity is
 * set aside, read from a segment and written anew. Only when nobody can say whose log this is, opening fails.
 */
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "journal/quarantine.h"
#include "journal/writer.h"

#define SEGMENT_BYTES_DEFAULT (UINT64_C(64) * 1024 * 1024)

__attribute__((format(printf, 4, 5))) static tmb_err fail(tmb_err err, char *text, size_t cap,
                                                          const char *format, ...)
{
    if (text && cap > 0) {
        va_list args;
        va_start(args, format);
        vsnprintf(text, cap, format, args);
        va_end(args);
    }
    return err;
}

void tmb_journal_found(tmb_journal *journal, const char *stream, const char *folder,
                       const tmb_tail_gap *gap)
{
    if (gap->reason == TMB_GAP_TORN) {
        journal->counts.torn_bytes += gap->bytes;
    } else {
        journal->counts.damaged_ranges++;
        journal->counts.damaged_bytes += gap->bytes;
        if (stream && tmb_quarantine_copy(journal->files, folder, gap))
            journal->counts.failures++;
    }
    if (journal->found)
        journal->found(journal->found_arg, stream, gap);
}

static tmb_err lock_one(const tmb_journal *journal, const char *path, int flags, int *ret_fd,
                        char *text, size_t cap)
{
    const tmb_file_port *files = journal->files;
    int fd = files->open(files->context, path, flags, 0640);
    if (fd < 0)
        return fail(tmb_files_err(fd), text, cap, "%s: cannot be opened (%s)", path,
                    tmb_err_str(tmb_files_err(fd)));
    int rc = files->lock(files->context, fd);
    if ((flags & O_DIRECTORY) && (rc == -EBADF || rc == -EOPNOTSUPP))
        rc = 0; /* a file system that locks no folders (NFS): the file has to do */
    tmb_err err = tmb_files_err(rc);
    if (err) {
        files->close(files->context, fd);
        return fail(err, text, cap, "%s: %s", path,
                    err == TMB_EBUSY ? "another process is writing this journal; stop it first"
                                     : tmb_err_str(err));
    }
    *ret_fd = fd;
    return TMB_OK;
}

/* The folder, for the file looks stale and may be removed by somebody; and the file, for versions that know
 * only that. */
static tmb_err lock(tmb_journal *journal, char *text, size_t cap)
{
    tmb_path path = tmb_path_join(journal->root.text, "lock");
    tmb_err err =
        lock_one(journal, journal->root.text, O_RDONLY | O_DIRECTORY, &journal->root_fd, text, cap);
    return err ? err : lock_one(journal, path.text, O_RDWR | O_CREAT, &journal->lock_fd, text, cap);
}

/* The file is kept for people under another name; what it should have said is in the segments. */
static tmb_err mend_identity(tmb_journal *journal, const tmb_identity *from_segments)
{
    tmb_tail_gap gap = {.reason = TMB_GAP_DAMAGED, .file = "identity"};
    const tmb_file_port *files = journal->files;
    tmb_path path = tmb_path_join(journal->root.text, "identity");
    tmb_path aside = tmb_path_join(journal->root.text, "identity.damaged");
    int fd = files->open(files->context, path.text, O_RDONLY, 0);
    if (fd >= 0) {
        int64_t size = files->size(files->context, fd);
        gap.bytes = size > 0 ? (uint64_t)size : 0;
        files->close(files->context, fd);
        tmb_err err = tmb_files_err(files->rename(files->context, path.text, aside.text));
        if (err)
            return err;
    }
    tmb_journal_found(journal, NULL, journal->root.text, &gap);
    journal->identity = *from_segments;
    return tmb_identity_write(files, journal->root.text, from_segments);
}

static tmb_err identify(tmb_journal *journal, const tmb_journal_options *options, char *text,
                        size_t cap)
{
    const tmb_file_port *files = journal->files;
    const char *root = journal->root.text;
    tmb_identity identity = {.node = ""};
    tmb_err err = tmb_identity_read(files, root, &identity);
    bool is_missing = err == TMB_ENOENT, is_damaged = err == TMB_ECORRUPT;
    if (is_missing || is_damaged) {
        err = tmb_identity_find(files, root, &identity);
        if (err == TMB_ENOENT && is_missing) {
            memcpy(identity.node, options->node, strlen(options->node) + 1);
            identity.incarnation = options->fresh_incarnation;
            journal->identity = identity;
            err = tmb_identity_write(files, root, &identity);
            is_missing = false;
        } else if (err == TMB_ENOENT || err == TMB_ECORRUPT) {
            return fail(
                TMB_ECORRUPT, text, cap,
                "%s/identity: %s, and no segment says whose journal this is; move %s away to "
                "begin a new one",
                root, is_missing ? "missing" : "damaged", root);
        }
    }
    if (err)
        return fail(err, text, cap, "%s/identity: %s", root, tmb_err_str(err));
    if (strcmp(identity.node, options->node) != 0)
        return fail(TMB_ECORRUPT, text, cap,
                    "%s: the journal of node \"%s\", but this node is \"%s\"; correct the "
                    "configuration, or give this node a data folder of its own",
                    root, identity.node, options->node);
    if (is_missing || is_damaged)
        err = mend_identity(journal, &identity);
    journal->identity = identity;
    if (err)
        return fail(err, text, cap, "%s/identity: %s", root, tmb_err_str(err));
    return TMB_OK;
}

static tmb_path path_of(const char *folder)
{
    tmb_path path = {""};
    size_t len = strlen(folder);
    if (len < sizeof path.text)
        memcpy(path.text, folder, len);
    return path;
}

static tmb_err prepare_rings(tmb_journal *journal, const tmb_journal_options *options, char *text,
                             size_t cap)
{
    tmb_ring_drain_job job = {.files = journal->files,
                              .root = journal->root.text,
                              .identity = &journal->identity,
                              .folder = options->ring_folder,
                              .counts = &journal->counts,
                              .note = journal->ring_note,
                              .note_cap = sizeof journal->ring_note,
                              .text = text,
                              .text_cap = cap};
    bool may_use = false;
    tmb_err err = tmb_ring_drain(&job, &may_use);
    if (!err && may_use)
        journal->ring_folder = path_of(options->ring_folder);
    return err;
}

static tmb_err start(tmb_journal *journal, const tmb_journal_options *options, char *text,
                     size_t cap)
{
    tmb_err err = tmb_files_make_folder(journal->files, journal->root.text, true);
    if (err)
        return fail(err, text, cap, "%s: cannot be made (%s)", journal->root.text,
                    tmb_err_str(err));
    err = lock(journal, text, cap);
    if (!err)
        err = identify(journal, options, text, cap);
    return err ? err : prepare_rings(journal, options, text, cap);
}

tmb_err tmb_journal_open(const tmb_journal_options *options, tmb_journal **ret_journal, char *text,
                         size_t text_cap)
{
    TMB_ASSERT(options->root && options->node);
    size_t root_len = strlen(options->root);
    while (root_len > 1 && options->root[root_len - 1] == '/')
        root_len--;
    if (!tmb_name_is_valid(tmb_bytes_str(options->node), TMB_NAME_BYTES_MAX))
        return fail(TMB_EINVAL, text, text_cap, "\"%s\" cannot be the name of a node",
                    options->node);
    if (root_len == 0 || root_len >= TMB_PATH_BYTES / 2)
        return fail(TMB_EINVAL, text, text_cap, "the journal's path is empty or too long");
    tmb_journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return fail(TMB_ENOMEM, text, text_cap, "%s", tmb_err_str(TMB_ENOMEM));
    journal->files = options->files ? options->files : tmb_file_port_posix();
    journal->segment_bytes =
        options->segment_bytes ? options->segment_bytes : SEGMENT_BYTES_DEFAULT;
    journal->found = options->found;
    journal->found_arg = options->found_arg;
    journal->drops = options->drops;
    journal->drops_arg = options->drops_arg;
    journal->root_fd = journal->lock_fd = -1;
    memcpy(journal->root.text, options->root, root_len);
    journal->root.text[root_len] = '\0';
    tmb_err err = start(journal, options, text, text_cap);
    if (err) {
        tmb_journal_close(journal);
        return err;
    }
    *ret_journal = journal;
    return TMB_OK;
}

void tmb_journal_close(tmb_journal *journal)
{
    if (!journal)
        return;
    for (size_t i = 0; i < journal->streams_count; i++) {
        if (tmb_journal_sync(journal->streams[i]))
            journal->counts.failures++;
        tmb_writer_close(journal->streams[i]);
    }
    if (journal->lock_fd >= 0)
        journal->files->close(journal->files->context, journal->lock_fd);
    if (journal->root_fd >= 0)
        journal->files->close(journal->files->context, journal->root_fd);
    free(journal);
}

const tmb_incarnation *tmb_journal_incarnation(const tmb_journal *journal)
{
    return &journal->identity.incarnation;
}

const char *tmb_journal_ring_note(const tmb_journal *journal)
{
    return journal->ring_note;
}

void tmb_journal_set_careful(tmb_journal *journal, bool is_careful)
{
    journal->is_careful = is_careful;
}

const tmb_journal_counts *tmb_journal_counts_get(const tmb_journal *journal)
{
    return &journal->counts;
}

tmb_err tmb_journal_stream_open(tmb_journal *journal, const char *name,
                                tmb_journal_stream **ret_stream, char *text, size_t text_cap)
{
    if (!tmb_name_is_valid(tmb_bytes_str(name), TMB_STREAM_NAME_BYTES_MAX))
        return fail(TMB_EINVAL, text, text_cap, "\"%s\" cannot be the name of a stream", name);
    if (journal->streams_count == TMB_STREAMS_MAX)
        return fail(TMB_ELIMIT, text, text_cap, "%s: more than %d streams", name, TMB_STREAMS_MAX);
    tmb_journal_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return fail(TMB_ENOMEM, text, text_cap, "%s", tmb_err_str(TMB_ENOMEM));
    stream->journal = journal;
    memcpy(stream->name, name, strlen(name) + 1);
    stream->folder = tmb_path_join(journal->root.text, name);
    stream->fd = stream->loose.fd = stream->failed.fd = stream->torn.fd = stream->ring.fd = -1;
    stream->next_seq = 1;
    tmb_err err = tmb_files_make_folder(journal->files, stream->folder.text, false);
    if (!err)
        err = tmb_files_sync_folder(journal->files, journal->root.text);
    if (err)
        err = fail(err, text, text_cap, "%s: %s", stream->folder.text, tmb_err_str(err));
    else
        err = tmb_recover_stream(stream, text, text_cap);
    if (err) {
        journal->counts.failures++;
        tmb_writer_close(stream);
        return err;
    }
    tmb_writer_make_ring(stream);
    journal->streams[journal->streams_count++] = stream;
    *ret_stream = stream;
    return TMB_OK;
}
