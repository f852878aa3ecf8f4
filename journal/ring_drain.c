// SPDX-License-Identifier: Apache-2.0
/* journal/ring_drain.c - what a killed process left in its rings goes to the log, before anything else.
 *
 *   segment file   ....|record 41|record 42|rec          the kill came in the middle of a write, or before it
 *   ring           ............. |record 42|record 43|record 44|
 *                                ^ its place: segment, offset
 *
 * The bytes that both have must be the same; then the rest is written behind them, as the process would
 * have done, and opening judges every record of it as it does any other. A ring that does not fit belongs to
 * another state of this log, or to a copy of it: it is left where it is, for it may be the only place of what
 * it holds.
 *
 * Which folder to look in is noted in <root>/.ring, before the first ring is made there:
 *
 *   tombolo-ring 1
 *   folder /dev/shm
 *   crc32c 89abcdef
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "journal/ring.h"
#include "journal/segment.h"
#include "journal/text.h"

#define NOTE_NAME       ".ring" /* no stream can have this name */
#define FOLDER_FALLBACK "/dev/shm"
#define HEAD            "tombolo-ring 1\nfolder "
#define TEXT_BYTES_MAX  (TMB_PATH_BYTES + 64u)

__attribute__((format(printf, 3, 4))) static void say(char *text, size_t cap, const char *format,
                                                      ...)
{
    if (text && cap > 0) {
        va_list args;
        va_start(args, format);
        vsnprintf(text, cap, format, args);
        va_end(args);
    }
}

/* ---- which folder ------------------------------------------------------------------------------------- */

/* The length, or 0 when the folder's name is too long. */
static size_t print(const char *folder, char out[TEXT_BYTES_MAX])
{
    int len = snprintf(out, TEXT_BYTES_MAX, HEAD "%s\n", folder);
    if (len < 0 || (size_t)len + TMB_TEXT_SEAL_BYTES >= TEXT_BYTES_MAX)
        return 0;
    return tmb_text_seal(out, (size_t)len, TEXT_BYTES_MAX);
}

static tmb_err read_folder(const tmb_ring_drain_job *job, tmb_path *ret_folder)
{
    char text[TEXT_BYTES_MAX + 1], again[TEXT_BYTES_MAX];
    size_t len = 0, head = strlen(HEAD);
    tmb_path path = tmb_path_join(job->root, NOTE_NAME);
    int fd = job->files->open(job->files->context, path.text, O_RDONLY, 0);
    if (fd < 0)
        return tmb_files_err(fd);
    tmb_err err = tmb_files_read(job->files, fd, text, TEXT_BYTES_MAX, 0, &len);
    job->files->close(job->files->context, fd);
    if (err)
        return err;
    if (len <= head + TMB_TEXT_SEAL_BYTES || memcmp(text, HEAD, head) != 0 ||
        !tmb_text_is_whole(text, len))
        return TMB_ECORRUPT;
    size_t folder_len = len - head - TMB_TEXT_SEAL_BYTES - 1;
    if (folder_len >= sizeof ret_folder->text)
        return TMB_ECORRUPT;
    tmb_path folder;
    memcpy(folder.text, text + head, folder_len);
    folder.text[folder_len] = '\0';
    if (print(folder.text, again) != len || memcmp(text, again, len) != 0)
        return TMB_ECORRUPT;
    *ret_folder = folder;
    return TMB_OK;
}

/* Before the first ring is made in it. Without this note the next start would not find it. */
static tmb_err write_folder(const tmb_ring_drain_job *job)
{
    char text[TEXT_BYTES_MAX];
    if (!job->folder) {
        tmb_path path = tmb_path_join(job->root, NOTE_NAME);
        tmb_err err = tmb_files_err(job->files->unlink(job->files->context, path.text));
        return err == TMB_ENOENT ? TMB_OK : err;
    }
    size_t len = print(job->folder, text);
    if (len == 0 || strchr(job->folder, '\n'))
        return TMB_EINVAL;
    return tmb_files_create(job->files, job->root, NOTE_NAME, tmb_bytes_of(text, len), NULL);
}

/* ---- one ring ----------------------------------------------------------------------------------------- */

typedef struct ring_file {
    const tmb_ring_drain_job *job;
    const char *path;
    tmb_ring_state state;
} ring_file;

static tmb_err fail(const ring_file *ring, tmb_err err, const char *why)
{
    say(ring->job->text, ring->job->text_cap,
        "%s: holds acknowledged messages that are not in the journal yet: %s", ring->path, why);
    return err;
}

static tmb_err leave(const ring_file *ring, const char *why)
{
    ring->job->counts->ring_troubles++;
    say(ring->job->note, ring->job->note_cap, "%s: %s", ring->path, why);
    return TMB_EAGAIN;
}

/* How far records with rising numbers reach; gives their bytes. */
static size_t whole_records(tmb_bytes bytes, uint64_t seq)
{
    size_t at = 0, len = 0;
    tmb_record record;
    while (at < bytes.len &&
           !tmb_record_decode(tmb_bytes_of(bytes.ptr + at, bytes.len - at), &record, &len) &&
           record.seq == seq) {
        at += len;
        seq++;
    }
    return at;
}

/* The newest segment of the stream, open, if the ring is of it. */
static tmb_err open_segment(const ring_file *ring, const char *folder, int *ret_fd)
{
    const tmb_file_port *files = ring->job->files;
    tmb_segment_list list = {NULL, 0, 0};
    tmb_err err = tmb_segment_list_load(&list, files, folder);
    bool fits = !err && list.count > 0 && list.bases[list.count - 1] == ring->state.place.base;
    tmb_segment_list_fini(&list);
    if (!err && !fits)
        return TMB_ENOENT;
    return err ? err
               : tmb_segment_open(files, folder, ring->state.place.base, O_RDWR | O_APPEND, ret_fd);
}

/* Writes what the segment lacks. TMB_ENOENT: does not fit. */
static tmb_err complete(const ring_file *ring, int fd, uint8_t *scratch)
{
    const tmb_file_port *files = ring->job->files;
    const tmb_ring_place *place = &ring->state.place;
    tmb_bytes bytes = ring->state.committed;
    size_t got = 0;
    int64_t size = files->size(files->context, fd);
    if (size < 0)
        return tmb_files_err(size);
    if ((uint64_t)size < place->offset)
        return TMB_ENOENT;
    uint64_t behind = (uint64_t)size - place->offset;
    size_t both = behind < bytes.len ? (size_t)behind : bytes.len;
    tmb_err err = tmb_files_read(files, fd, scratch, both, place->offset, &got);
    if (err)
        return err;
    if (got != both || memcmp(scratch, bytes.ptr, both) != 0)
        return TMB_ENOENT;
    if (both == bytes.len)
        return TMB_OK;
    err = tmb_files_write(files, fd, tmb_bytes_of(bytes.ptr + both, bytes.len - both));
    if (!err)
        err = tmb_files_err(files->sync(files->context, fd));
    if (!err)
        ring->job->counts->ring_bytes += bytes.len - both;
    return err;
}

/* TMB_OK: nothing of it is missing in the log now. TMB_EAGAIN: it is left as it is. */
static tmb_err bring_home(ring_file *ring, uint8_t *scratch)
{
    const tmb_file_port *files = ring->job->files;
    tmb_ring_state *state = &ring->state;
    int fd = -1;
    if (!state->is_len_known)
        state->committed.len = whole_records(state->committed, state->place.first_seq);
    tmb_path folder = tmb_path_join(ring->job->root, state->stream);
    tmb_err err = open_segment(ring, folder.text, &fd);
    if (!err) {
        err = complete(ring, fd, scratch);
        files->close(files->context, fd);
    }
    if (err == TMB_ENOENT)
        return leave(ring, "holds messages of another state of this journal, or of a copy of it; "
                           "the stream goes on without a ring; remove the file to have one again");
    if (err)
        return fail(ring, err, tmb_err_str(err));
    if (!state->is_len_known)
        (void)leave(ring, "its length is damaged; the whole records in it are in the journal");
    return TMB_OK;
}

static bool is_same(const tmb_identity *a, const tmb_identity *b)
{
    return strcmp(a->node, b->node) == 0 && tmb_incarnation_eq(a->incarnation, b->incarnation);
}

static tmb_err judge(ring_file *ring, int fd, const char *stream, uint8_t *bytes, uint8_t *scratch)
{
    const tmb_file_port *files = ring->job->files;
    size_t len = 0;
    int rc = files->lock(files->context, fd);
    if (tmb_files_err(rc) == TMB_EBUSY)
        return leave(ring, "another process is using it: a copy of this journal is running");
    int64_t size = files->size(files->context, fd);
    tmb_err err = rc < 0 ? tmb_files_err(rc) : tmb_files_err(size);
    if (!err)
        err = tmb_files_read(files, fd, bytes, TMB_RING_BYTES, 0, &len);
    if (err)
        return fail(ring, err, tmb_err_str(err));
    int owned = files->owned(files->context, fd);
    if (owned < 0)
        return fail(ring, tmb_files_err(owned), tmb_err_str(tmb_files_err(owned)));
    err = tmb_ring_decode(tmb_bytes_of(bytes, len), &ring->state);
    if (err == TMB_ENOENT)
        return TMB_OK;
    if (err == TMB_EVERSION)
        return fail(ring, err, "written by a newer version; start that one, or remove the file");
    if (owned == 0)
        return fail(ring, TMB_EDENIED,
                    "the file is another user's, or others may write it; give it to the broker's "
                    "user with mode 0600, or remove it");
    if (err || size != TMB_RING_BYTES || !is_same(&ring->state.identity, ring->job->identity) ||
        strcmp(ring->state.stream, stream) != 0)
        return leave(ring, "is damaged; messages of the last hundredth of a second before the "
                           "broker was killed may be lost; remove the file");
    return bring_home(ring, scratch);
}

static tmb_err drain(const tmb_ring_drain_job *job, const char *path, const char *stream)
{
    const tmb_file_port *files = job->files;
    ring_file ring = {.job = job, .path = path};
    int fd = files->open(files->context, path, O_RDWR | O_NOFOLLOW, 0);
    if (fd == -ENOENT)
        return TMB_OK;
    if (fd < 0)
        return fail(&ring, tmb_files_err(fd), tmb_err_str(tmb_files_err(fd)));
    uint8_t *bytes = malloc(2u * TMB_RING_BYTES);
    tmb_err err = bytes ? judge(&ring, fd, stream, bytes, bytes + TMB_RING_BYTES)
                        : fail(&ring, TMB_ENOMEM, tmb_err_str(TMB_ENOMEM));
    if (!err) { /* one that cannot be removed must not come to life again */
        files->truncate(files->context, fd, 0);
        files->unlink(files->context, path);
    }
    free(bytes);
    files->close(files->context, fd);
    return err == TMB_EAGAIN ? TMB_OK : err;
}

/* ---- all of them -------------------------------------------------------------------------------------- */

typedef struct visit {
    const tmb_ring_drain_job *job;
    const char *folder;
    char head[256];
    tmb_err err;
} visit;

static int visit_file(void *arg, const char *name)
{
    visit *v = arg;
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    size_t head = strlen(v->head), len = strlen(name), ending = strlen(".ring");
    if (len <= head + ending || strncmp(name, v->head, head) != 0 ||
        strcmp(name + len - ending, ".ring") != 0 || len - head - ending >= sizeof stream)
        return 0;
    memcpy(stream, name + head, len - head - ending);
    stream[len - head - ending] = '\0';
    tmb_path path = tmb_path_join(v->folder, name);
    v->err = drain(v->job, path.text, stream);
    return v->err != TMB_OK;
}

static tmb_err drain_folder(const tmb_ring_drain_job *job, const char *folder)
{
    visit v = {.job = job, .folder = folder};
    tmb_ring_name(job->identity, NULL, v.head);
    tmb_err err = tmb_files_err(job->files->list(job->files->context, folder, visit_file, &v));
    if (v.err)
        return v.err;
    if (err && err != TMB_ENOENT)
        say(job->text, job->text_cap, "%s: cannot be searched for acknowledged messages: %s",
            folder, tmb_err_str(err));
    return err == TMB_ENOENT ? TMB_OK : err;
}

tmb_err tmb_ring_drain(const tmb_ring_drain_job *job, bool *ret_may_use)
{
    tmb_path folder;
    tmb_err err = read_folder(job, &folder);
    bool is_noted = err == TMB_OK && job->folder && strcmp(folder.text, job->folder) == 0;
    bool is_none = err == TMB_ENOENT;
    if (err == TMB_ECORRUPT) {
        const char *guess = job->folder ? job->folder : FOLDER_FALLBACK;
        job->counts->ring_troubles++;
        say(job->note, job->note_cap, "%s/" NOTE_NAME ": damaged; looked into %s instead",
            job->root, guess);
        memcpy(folder.text, guess, strlen(guess) + 1);
        err = TMB_OK;
    }
    if (err && !is_none) {
        say(job->text, job->text_cap, "%s/" NOTE_NAME ": %s", job->root, tmb_err_str(err));
        return err;
    }
    if (!is_none) {
        err = drain_folder(job, folder.text);
        if (err)
            return err;
    }
    *ret_may_use = job->folder != NULL;
    if (is_noted || (is_none && !job->folder))
        return TMB_OK;
    err = write_folder(job);
    if (err && job->folder) {
        *ret_may_use = false;
        job->counts->ring_troubles++;
        say(job->note, job->note_cap, "%s/" NOTE_NAME ": cannot be written: %s", job->root,
            tmb_err_str(err));
    }
    return TMB_OK;
}
