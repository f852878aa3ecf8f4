// SPDX-License-Identifier: Apache-2.0
/* clients/c/kept.c - see clients/c/kept.h. */
#include "clients/c/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients/c/kept_file.h"

static tmb_err err_of(int code)
{
    return code == -ENOSPC || code == -EDQUOT ? TMB_ENOSPC
           : code == -EWOULDBLOCK             ? TMB_EBUSY
                                              : TMB_EIO;
}

static tmb_err fail(tmb_kept *k, const char *what, int code)
{
    (void)snprintf(k->why, sizeof k->why, "%s: %s: %s", k->path, what, strerror(-code));
    return err_of(code);
}

static void lock_list(const tmb_kept *k)
{
    if (k->list_lock)
        pthread_mutex_lock(k->list_lock);
}

static void unlock_list(const tmb_kept *k)
{
    if (k->list_lock)
        pthread_mutex_unlock(k->list_lock);
}

static int write_all(const tmb_kept *k, int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t done = k->port->write(k->port->context, fd, bytes, len);
        if (done <= 0)
            return done < 0 ? (int)done : -EIO;
        bytes += done;
        len -= (size_t)done;
    }
    return 0;
}

/* --- Writing it anew ---------------------------------------------------------------------------------- */

typedef struct rewrite {
    tmb_kept *k;
    int fd;
    int code; /* the first failure */
    uint64_t size;
} rewrite;

/* put writes one record: a first part of the body, then the rest. */
static void put(rewrite *to, uint8_t kind, tmb_bytes first, tmb_bytes rest)
{
    size_t len = first.len + rest.len;
    uint8_t *record = to->code ? NULL : malloc(TMB_KEPT_HEAD_BYTES + len);
    if (!record) {
        to->code = to->code ? to->code : -ENOMEM;
        return;
    }
    tmb_writer w = tmb_writer_of(record + TMB_KEPT_HEAD_BYTES, len);
    tmb_put_bytes(&w, first);
    tmb_put_bytes(&w, rest);
    tmb_kept_seal(record, kind, len);
    to->code = write_all(to->k, to->fd, record, TMB_KEPT_HEAD_BYTES + len);
    to->size += TMB_KEPT_HEAD_BYTES + len;
    free(record);
}

static void put_message(rewrite *to, uint8_t kind, const tmb_entry *e)
{
    uint8_t number[8];
    tmb_writer w = tmb_writer_of(number, sizeof number);
    tmb_put_u64(&w, e->number);
    put(to, kind, tmb_bytes_of(number, sizeof number), tmb_bytes_of(e->bytes, e->encoded_len));
}

static size_t mark_bytes(uint8_t *bytes, size_t cap, const tmb_msgid *id)
{
    tmb_writer w = tmb_writer_of(bytes, cap);
    tmb_put_u32(&w, id->life);
    tmb_put_u64(&w, id->seq);
    tmb_put_u8(&w, (uint8_t)strlen(id->node));
    tmb_put_bytes(&w, tmb_bytes_str(id->node));
    tmb_put_u8(&w, (uint8_t)strlen(id->stream));
    tmb_put_bytes(&w, tmb_bytes_str(id->stream));
    TMB_ASSERT(!w.bad);
    return (size_t)(w.at - bytes);
}

static void put_window(rewrite *to, size_t source)
{
    const tmb_dedupe *d = &to->k->dedupe;
    const tmb_dedupe_source *s = &d->sources[source];
    tmb_msgid id = {.seq = s->highest, .life = s->life};
    memcpy(id.node, s->node, sizeof id.node);
    memcpy(id.stream, s->stream, sizeof id.stream);
    uint8_t mark[TMB_MSGID_BYTES_MAX];
    size_t words_len = (size_t)(d->window / 8);
    uint8_t *words = malloc(words_len);
    if (!words) {
        to->code = -ENOMEM;
        return;
    }
    tmb_writer w = tmb_writer_of(words, words_len);
    for (size_t i = 0; i < d->window / 64; i++)
        tmb_put_u64(&w, tmb_dedupe_bits(d, source)[i]);
    put(to, TMB_KEPT_WINDOW, tmb_bytes_of(mark, mark_bytes(mark, sizeof mark, &id)),
        tmb_bytes_of(words, words_len));
    free(words);
}

static void put_all(rewrite *to)
{
    const tmb_kept *k = to->k;
    uint8_t next[8];
    tmb_writer w = tmb_writer_of(next, sizeof next);
    tmb_put_u64(&w, k->next_number);
    to->code = write_all(k, to->fd, (const uint8_t *)(TMB_KEPT_MAGIC TMB_KEPT_VERSION),
                         TMB_KEPT_MAGIC_BYTES);
    to->size = TMB_KEPT_MAGIC_BYTES;
    tmb_bytes none = tmb_bytes_of(NULL, 0);
    put(to, TMB_KEPT_RUN, tmb_bytes_str(k->run), none);
    put(to, TMB_KEPT_NEXT, tmb_bytes_of(next, sizeof next), none);
    for (const tmb_entry *e = k->held; e; e = e->next)
        put_message(to, TMB_KEPT_HELD, e);
    for (const tmb_entry *e = k->box.first; e; e = e->next)
        if (!e->is_forgotten)
            put_message(to, TMB_KEPT_MESSAGE, e);
    for (size_t i = 0; i < k->dedupe.source_count && !to->code; i++)
        put_window(to, i);
}

static int sync_folder(const tmb_kept *k)
{
    char *folder = malloc(strlen(k->path) + 2);
    if (!folder)
        return -ENOMEM;
    memcpy(folder, k->path, strlen(k->path) + 1);
    char *slash = strrchr(folder, '/');
    if (!slash)
        memcpy(folder, ".", 2);
    else
        slash[slash == folder ? 1 : 0] = '\0';
    int fd = k->port->open(k->port->context, folder, O_RDONLY, 0);
    free(folder);
    if (fd < 0)
        return fd;
    int code = k->port->sync(k->port->context, fd);
    k->port->close(k->port->context, fd);
    return code;
}

static tmb_err write_anew(tmb_kept *k)
{
    size_t len = strlen(k->path) + 5;
    char *path = malloc(len);
    if (!path)
        return TMB_ENOMEM;
    (void)snprintf(path, len, "%s.new", k->path);
    rewrite to = {.k = k};
    to.fd = k->port->open(k->port->context, path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    to.code = to.fd < 0 ? to.fd : 0;
    if (!to.code)
        put_all(&to);
    if (!to.code)
        to.code = k->port->sync(k->port->context, to.fd);
    if (!to.code)
        to.code = k->port->rename(k->port->context, path, k->path);
    free(path);
    if (!to.code) { /* from here on it is the file, whatever the folder's sync says */
        if (k->fd >= 0)
            k->port->close(k->port->context, k->fd);
        k->fd = to.fd;
        k->size = k->rewritten_size = to.size;
        to.code = sync_folder(k);
    } else if (to.fd >= 0) {
        k->port->close(k->port->context, to.fd);
    }
    k->is_broken = to.code != 0;
    if (to.code == -ENOMEM)
        return TMB_ENOMEM;
    return to.code ? fail(k, "cannot be written anew", to.code) : TMB_OK;
}

/* --- Appending ---------------------------------------------------------------------------------------- */

/* mend writes the file anew when it must be, or when most of it is history. */
static tmb_err mend(tmb_kept *k)
{
    if (k->is_broken)
        return write_anew(k);
    if (k->size < TMB_KEPT_REWRITE_BYTES || k->size / 4 < k->rewritten_size)
        return TMB_OK;
    return write_anew(k);
}

static tmb_err append(tmb_kept *k, uint8_t *record, uint8_t kind, size_t body_len, bool is_synced)
{
    tmb_kept_seal(record, kind, body_len);
    int code = write_all(k, k->fd, record, TMB_KEPT_HEAD_BYTES + body_len);
    if (!code && is_synced)
        code = k->port->sync(k->port->context, k->fd);
    if (code) {
        k->is_broken = true;
        return fail(k, is_synced ? "cannot be written or synced" : "cannot be written", code);
    }
    k->size += TMB_KEPT_HEAD_BYTES + body_len;
    return TMB_OK;
}

static tmb_err append_numbers(tmb_kept *k, uint8_t kind, const uint64_t *numbers, size_t count,
                              bool is_synced)
{
    if (!k->path)
        return TMB_OK;
    uint8_t record[TMB_KEPT_HEAD_BYTES + 16];
    tmb_writer w = tmb_writer_of(record + TMB_KEPT_HEAD_BYTES, 16);
    for (size_t i = 0; i < count; i++)
        tmb_put_u64(&w, numbers[i]);
    return append(k, record, kind, count * 8, is_synced);
}

static tmb_err append_message(tmb_kept *k, const tmb_entry *e)
{
    size_t len = 8 + e->encoded_len;
    uint8_t *record = malloc(TMB_KEPT_HEAD_BYTES + len);
    if (!record)
        return TMB_ENOMEM;
    tmb_writer w = tmb_writer_of(record + TMB_KEPT_HEAD_BYTES, len);
    tmb_put_u64(&w, e->number);
    tmb_put_bytes(&w, tmb_bytes_of(e->bytes, e->encoded_len));
    tmb_err err = append(k, record, TMB_KEPT_MESSAGE, len, true);
    free(record);
    return err;
}

tmb_err tmb_kept_add(tmb_kept *k, tmb_entry *entry)
{
    tmb_err err = k->path ? mend(k) : TMB_OK;
    if (err != TMB_OK)
        return err;
    /* Used up even on failure: the record may be in the file after all. */
    entry->number = k->next_number++;
    if (k->path)
        err = append_message(k, entry);
    if (err != TMB_OK)
        return err;
    lock_list(k);
    tmb_outbox_push(&k->box, entry);
    unlock_list(k);
    return TMB_OK;
}

tmb_err tmb_kept_forget(tmb_kept *k, const tmb_entry *entry)
{
    return k->is_broken ? TMB_OK /* the new file will not have it */
                        : append_numbers(k, TMB_KEPT_FORGET, &entry->number, 1, false);
}

tmb_err tmb_kept_hold(tmb_kept *k, tmb_entry *entry)
{
    lock_list(k);
    tmb_outbox_take(&k->box, entry);
    entry->is_held = true;
    entry->next = k->held;
    k->held = entry;
    k->held_count++;
    k->held_bytes += entry->encoded_len + TMB_ENTRY_OVERHEAD_BYTES;
    unlock_list(k);
    return k->is_broken ? TMB_OK : append_numbers(k, TMB_KEPT_HOLD, &entry->number, 1, true);
}

tmb_err tmb_kept_renumber(tmb_kept *k, tmb_entry *entry)
{
    tmb_err err = k->path ? mend(k) : TMB_OK;
    if (err != TMB_OK)
        return err;
    uint64_t numbers[2] = {entry->number, k->next_number};
    k->next_number++;
    err = append_numbers(k, TMB_KEPT_RENUMBERED, numbers, 2, true);
    if (err != TMB_OK)
        return err;
    lock_list(k);
    tmb_entry **at = &k->held;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    k->held_count--;
    k->held_bytes -= entry->encoded_len + TMB_ENTRY_OVERHEAD_BYTES;
    entry->is_held = false;
    entry->number = numbers[1];
    tmb_outbox_push(&k->box, entry);
    unlock_list(k);
    return TMB_OK;
}

tmb_err tmb_kept_mark(tmb_kept *k, const tmb_msgid *id)
{
    tmb_dedupe_mark(&k->dedupe, id);
    if (!k->path)
        return TMB_OK;
    tmb_err err = mend(k);
    if (err != TMB_OK)
        return err;
    uint8_t record[TMB_KEPT_HEAD_BYTES + TMB_MSGID_BYTES_MAX + 16];
    size_t len = mark_bytes(record + TMB_KEPT_HEAD_BYTES, sizeof record - TMB_KEPT_HEAD_BYTES, id);
    return append(k, record, TMB_KEPT_MARK, len, false);
}

/* --- Opening ------------------------------------------------------------------------------------------ */

static tmb_err lock(tmb_kept *k)
{
    size_t len = strlen(k->path) + 6;
    char *path = malloc(len);
    if (!path)
        return TMB_ENOMEM;
    (void)snprintf(path, len, "%s.lock", k->path);
    k->lock_fd = k->port->open(k->port->context, path, O_RDWR | O_CREAT, 0600);
    int code = k->lock_fd < 0 ? k->lock_fd : k->port->lock(k->port->context, k->lock_fd);
    free(path);
    if (code < 0)
        return fail(k, code == -EWOULDBLOCK ? "in use" : "cannot be locked", code);
    return TMB_OK;
}

static tmb_err read_file(tmb_kept *k)
{
    int64_t size = k->port->size(k->port->context, k->fd);
    if (size < 0)
        return fail(k, "cannot be read", (int)size);
    if ((uint64_t)size > TMB_KEPT_FILE_BYTES_MAX) {
        (void)snprintf(k->why, sizeof k->why, "%s is too large to be a state file", k->path);
        return TMB_ECORRUPT;
    }
    uint8_t *bytes = malloc((size_t)size + 1);
    if (!bytes)
        return TMB_ENOMEM;
    size_t len = 0;
    tmb_err err = TMB_OK;
    while (len < (size_t)size && err == TMB_OK) {
        ssize_t got =
            k->port->pread(k->port->context, k->fd, bytes + len, (size_t)size - len, (off_t)len);
        if (got <= 0)
            err = fail(k, "cannot be read", got < 0 ? (int)got : -EIO);
        else
            len += (size_t)got;
    }
    uint64_t good = 0;
    if (err == TMB_OK)
        err = tmb_kept_read(k, tmb_bytes_of(bytes, len), &good);
    free(bytes);
    k->size = good;
    return err;
}

static tmb_err open_file(tmb_kept *k, const char *run, bool run_is_given)
{
    tmb_err err = lock(k);
    if (err != TMB_OK)
        return err;
    k->fd = k->port->open(k->port->context, k->path, O_RDONLY, 0);
    if (k->fd < 0 && k->fd != -ENOENT)
        return fail(k, "cannot be opened", k->fd);
    if (k->fd >= 0) {
        err = read_file(k);
        if (err != TMB_OK)
            return err;
        if (run_is_given && strcmp(k->run, run) != 0) {
            (void)snprintf(k->why, sizeof k->why, "%s is of run \"%s\", not \"%s\"", k->path,
                           k->run, run);
            return TMB_EINVAL;
        }
    }
    /* Also a first proof that it can be written, and the end of half a record. */
    return write_anew(k);
}

tmb_err tmb_kept_open(tmb_kept *k, const tmb_file_port *port, const char *path, const char *run,
                      bool run_is_given)
{
    *k = (tmb_kept){.port = port, .fd = -1, .lock_fd = -1, .next_number = 1};
    (void)snprintf(k->run, sizeof k->run, "%s", run);
    (void)snprintf(k->why, sizeof k->why, "%s", tmb_err_str(TMB_ENOMEM));
    k->sources = calloc(TMB_DEDUPE_SOURCES_MAX, sizeof *k->sources);
    /* Pages are had when they are written first: a source costs its 128 KiB, the others nothing. */
    k->words =
        calloc(tmb_dedupe_words(TMB_DEDUPE_SOURCES_MAX, TMB_DEDUPE_WINDOW), sizeof *k->words);
    if (!k->sources || !k->words)
        return TMB_ENOMEM;
    tmb_dedupe_init(&k->dedupe, k->sources, TMB_DEDUPE_SOURCES_MAX, k->words, TMB_DEDUPE_WINDOW);
    if (!path)
        return TMB_OK;
    size_t len = strlen(path) + 1;
    k->path = malloc(len);
    if (!k->path)
        return TMB_ENOMEM;
    memcpy(k->path, path, len);
    return open_file(k, run, run_is_given);
}

void tmb_kept_close(tmb_kept *k)
{
    tmb_outbox_free(&k->box);
    tmb_entry *next;
    for (tmb_entry *e = k->held; e; e = next) {
        next = e->next;
        tmb_entry_free(e);
    }
    free(k->sources);
    free(k->words);
    if (k->fd >= 0)
        k->port->close(k->port->context, k->fd);
    if (k->lock_fd >= 0)
        k->port->close(k->port->context, k->lock_fd);
    free(k->path);
    *k = (tmb_kept){.fd = -1, .lock_fd = -1};
}
