// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/seen.c - a hash table of highest numbers, fair to those whose numbers they are.
 *
 * An entry lives in three structures: the hash finds it, `order` keeps the order of use of all, and its
 * owner's list that of one client id or child. Owners stand in a line for each count of entries, the one not
 * heard of for longest first; so whom to take from at the limit is the head of the highest line in use.
 *
 *   lines[3]  x ............ 3 entries       full: x loses its oldest, and goes to line 2
 *   lines[2]  -
 *   lines[1]  a - b - c .... 1 entry each    these lose theirs only when nobody has more
 */
#define HASH_NONFATAL_OOM 1
#include "broker-plugin/seen.h"

#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

typedef struct entry {
    UT_hash_handle hh;
    struct entry *prev, *next;         /* of all */
    struct entry *own_prev, *own_next; /* of one owner */
    struct owner *owner;
    uint64_t number, base, unstored;
    tmb_holes *holes; /* NULL: none below number */
    uint16_t len;
    uint8_t key[];
} entry;

typedef struct owner {
    UT_hash_handle hh;
    struct owner *prev, *next; /* in its line */
    entry *entries;
    size_t count;
    uint8_t key[];
} owner;

struct tmb_seen {
    entry *table;
    entry *order;
    owner *owners;
    size_t limit, own_limit;
    uint64_t forgotten;
    owner *lines[]; /* by count; own_limit + 1 of them */
};

tmb_err tmb_seen_new(size_t limit, size_t own_limit, tmb_seen **ret_seen)
{
    TMB_ASSERT(limit > 0 && own_limit > 0);
    tmb_seen *seen = calloc(1, sizeof *seen + (own_limit + 1) * sizeof(owner *));
    if (!seen)
        return TMB_ENOMEM;
    seen->limit = limit;
    seen->own_limit = own_limit;
    *ret_seen = seen;
    return TMB_OK;
}

/* owner_of gives the part of a key that names whose it is: its first. */
static tmb_bytes owner_of(tmb_bytes key)
{
    size_t len = key.len > 0 ? 1u + key.ptr[0] : 0;
    return len <= key.len ? tmb_bytes_of(key.ptr, len) : key;
}

static void leave_line(tmb_seen *seen, owner *o)
{
    DL_DELETE(seen->lines[o->count], o);
}

static void join_line(tmb_seen *seen, owner *o)
{
    DL_APPEND(seen->lines[o->count], o);
}

static void forget(tmb_seen *seen, entry *e)
{
    owner *o = e->owner;
    leave_line(seen, o);
    DL_DELETE2(o->entries, e, own_prev, own_next);
    o->count--;
    /* The analyzer loses track of the links that uthash keeps. */
    if (o->count > 0) {
        join_line(seen, o);
    } else {
        HASH_DELETE(hh, seen->owners, o); /* NOLINT(clang-analyzer-*) */
        free(o);
    }
    HASH_DELETE(hh, seen->table, e); /* NOLINT(clang-analyzer-*) */
    DL_DELETE(seen->order, e);
    free(e->holes);
    free(e);
}

void tmb_seen_free(tmb_seen *seen)
{
    if (!seen)
        return;
    while (seen->order)
        forget(seen, seen->order);
    free(seen);
}

static void put_part(tmb_writer *w, tmb_bytes part, size_t bytes_max)
{
    if (part.len > bytes_max)
        part.len = bytes_max;
    tmb_put_u8(w, (uint8_t)part.len);
    tmb_put_bytes(w, part);
}

tmb_seen_key tmb_seen_key_child(const tmb_origin *source)
{
    tmb_seen_key key;
    tmb_writer w = tmb_writer_of(key.bytes, sizeof key.bytes);
    put_part(&w, source->node, TMB_NAME_BYTES_MAX);
    tmb_put_bytes(&w, tmb_bytes_of(source->incarnation.bytes, sizeof source->incarnation.bytes));
    put_part(&w, source->stream, TMB_STREAM_NAME_BYTES_MAX);
    TMB_ASSERT(!w.bad);
    key.len = (size_t)(w.at - key.bytes);
    return key;
}

tmb_seen_key tmb_seen_key_origin(const tmb_origin *origin)
{
    static const char live[] = ".live";
    size_t tail = sizeof live - 1;
    tmb_origin own = *origin;
    if (own.stream.len > tail && memcmp(own.stream.ptr + own.stream.len - tail, live, tail) == 0)
        own.stream.len -= tail;
    return tmb_seen_key_child(&own);
}

tmb_seen_key tmb_seen_key_publisher(tmb_bytes publisher, tmb_bytes run, tmb_bytes stream)
{
    tmb_seen_key key;
    tmb_writer w = tmb_writer_of(key.bytes, sizeof key.bytes);
    put_part(&w, publisher, TMB_PUBLISHER_BYTES_MAX);
    put_part(&w, run, TMB_RUN_BYTES_MAX);
    put_part(&w, stream, TMB_STREAM_NAME_BYTES_MAX);
    TMB_ASSERT(!w.bad);
    key.len = (size_t)(w.at - key.bytes);
    return key;
}

/* make_room forgets an entry when there is no room for one more of o (NULL: of a new owner). */
static void make_room(tmb_seen *seen, owner *o)
{
    if (o && o->count == seen->own_limit) {
        forget(seen, o->entries);
    } else if (HASH_COUNT(seen->table) >= seen->limit) {
        size_t most = seen->own_limit;
        while (most > 1 && !seen->lines[most])
            most--;
        forget(seen, seen->lines[most]->entries);
    } else {
        return;
    }
    seen->forgotten++;
}

static owner *find_owner(tmb_seen *seen, tmb_bytes key)
{
    owner *o;
    HASH_FIND(hh, seen->owners, key.ptr, key.len, o);
    return o;
}

static owner *make_owner(tmb_seen *seen, tmb_bytes key)
{
    owner *o = calloc(1, sizeof *o + key.len);
    if (!o)
        return NULL;
    memcpy(o->key, key.ptr, key.len);
    HASH_ADD_KEYPTR(hh, seen->owners, o->key, key.len, o);
    if (!o->hh.tbl) {
        free(o);
        return NULL;
    }
    join_line(seen, o);
    return o;
}

static void drop_if_empty(tmb_seen *seen, owner *o)
{
    if (o->count > 0)
        return;
    leave_line(seen, o);
    HASH_DELETE(hh, seen->owners, o);
    free(o);
}

static entry *make(tmb_seen *seen, tmb_bytes key)
{
    tmb_bytes whose = owner_of(key);
    make_room(seen, find_owner(seen, whose));
    owner *o =
        find_owner(seen, whose); /* looked up again: its only entry may have been forgotten */
    if (!o && !(o = make_owner(seen, whose)))
        return NULL;
    entry *e = calloc(1, sizeof *e + key.len);
    if (e) {
        memcpy(e->key, key.ptr, key.len);
        e->len = (uint16_t)key.len;
        HASH_ADD_KEYPTR(hh, seen->table, e->key, key.len, e);
    }
    if (!e || !e->hh.tbl) {
        free(e);
        drop_if_empty(seen, o);
        return NULL;
    }
    DL_APPEND(seen->order, e);
    leave_line(seen, o);
    DL_APPEND2(o->entries, e, own_prev, own_next);
    o->count++;
    join_line(seen, o);
    e->owner = o;
    return e;
}

static entry *touch(tmb_seen *seen, tmb_bytes key)
{
    entry *e;
    HASH_FIND(hh, seen->table, key.ptr, key.len, e);
    if (!e)
        return make(seen, key);
    owner *o = e->owner;
    DL_DELETE(seen->order, e);
    DL_APPEND(seen->order, e);
    DL_DELETE2(o->entries, e, own_prev, own_next);
    DL_APPEND2(o->entries, e, own_prev, own_next);
    leave_line(seen, o);
    join_line(seen, o);
    return e;
}

tmb_err tmb_seen_max(tmb_seen *seen, tmb_bytes key, uint64_t *ret_number)
{
    entry *e = touch(seen, key);
    if (!e)
        return TMB_ENOMEM;
    *ret_number = e->number;
    return TMB_OK;
}

tmb_err tmb_seen_raise(tmb_seen *seen, tmb_bytes key, uint64_t number)
{
    entry *e = touch(seen, key);
    if (!e)
        return TMB_ENOMEM;
    if (number > e->number)
        e->number = number;
    return TMB_OK;
}

void tmb_seen_lower(tmb_seen *seen, tmb_bytes key, uint64_t number)
{
    entry *e;
    HASH_FIND(hh, seen->table, key.ptr, key.len, e);
    if (e && e->number > number)
        e->number = number;
}

static entry *look_up(const tmb_seen *seen, tmb_bytes key)
{
    entry *e;
    HASH_FIND(hh, seen->table, key.ptr, key.len, e);
    return e;
}

bool tmb_seen_has(const tmb_seen *seen, tmb_bytes key, uint64_t number)
{
    const entry *e = look_up(seen, key);
    return e && tmb_holes_has(e->holes, e->number, number);
}

tmb_err tmb_seen_add(tmb_seen *seen, tmb_bytes key, uint64_t number)
{
    entry *e = touch(seen, key);
    if (!e)
        return TMB_ENOMEM;
    if (!e->holes && tmb_holes_need(e->holes, e->number, number)) {
        e->holes = calloc(1, sizeof *e->holes);
        if (!e->holes)
            return TMB_ENOMEM;
    }
    tmb_holes_add(e->holes, &e->number, number);
    if (e->holes && e->holes->count == 0) {
        free(e->holes);
        e->holes = NULL;
    }
    return TMB_OK;
}

const tmb_holes *tmb_seen_holes(const tmb_seen *seen, tmb_bytes key)
{
    const entry *e = look_up(seen, key);
    return e ? e->holes : NULL;
}

tmb_err tmb_seen_restore(tmb_seen *seen, tmb_bytes key, uint64_t number, const tmb_holes *holes)
{
    entry *e = touch(seen, key);
    tmb_holes *copy = holes && holes->count > 0 ? malloc(sizeof *copy) : NULL;
    if (!e || (holes && holes->count > 0 && !copy)) {
        free(copy);
        return TMB_ENOMEM;
    }
    if (copy)
        *copy = *holes;
    free(e->holes);
    e->holes = copy;
    e->number = number;
    return TMB_OK;
}

size_t tmb_seen_count(const tmb_seen *seen)
{
    return HASH_COUNT(seen->table);
}

uint64_t tmb_seen_forgotten(const tmb_seen *seen)
{
    return seen->forgotten;
}

void tmb_seen_settle(tmb_seen *seen)
{
    entry *e;
    DL_FOREACH(seen->order, e)
    {
        e->base = e->number;
    }
}

uint64_t tmb_seen_base(const tmb_seen *seen, tmb_bytes key)
{
    entry *e;
    HASH_FIND(hh, seen->table, key.ptr, key.len, e);
    return e ? e->base : 0;
}

void tmb_seen_note_unstored(tmb_seen *seen, tmb_bytes key, uint64_t number)
{
    entry *e;
    HASH_FIND(hh, seen->table, key.ptr, key.len, e);
    if (e && e->unstored < number)
        e->unstored = number;
}

uint64_t tmb_seen_unstored(const tmb_seen *seen, tmb_bytes key)
{
    entry *e;
    HASH_FIND(hh, seen->table, key.ptr, key.len, e);
    return e ? e->unstored : 0;
}

void tmb_seen_each(const tmb_seen *seen, void (*visit)(void *arg, tmb_bytes key, uint64_t number),
                   void *arg)
{
    const entry *e;
    DL_FOREACH(seen->order, e)
    visit(arg, tmb_bytes_of(e->key, e->len), e->number);
}
