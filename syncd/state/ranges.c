// SPDX-License-Identifier: Apache-2.0
/* syncd/state/ranges.c - one pass over what came; each range of it is answered by none, one or several. */
#include "syncd/state/ranges.h"

#include "base/varint.h"

#define ID_BYTES     8u
#define FLAG_CUT     1u
#define FLAG_CHANGED 2u
#define KEY_MAX      (TMB_LEAF_KEY_BYTES_MAX + 1u)

typedef enum mode { EQUAL = 0, PRINT = 1, IDS = 2, ASK = 3, DIFFER = 4 } mode;

typedef struct bound {
    size_t len; /* 0: behind the last key, or before the first */
    uint8_t key[KEY_MAX];
} bound;

typedef struct ids {
    unsigned count;
    uint8_t v[TMB_RANGES_IDS][ID_BYTES];
    bool is_here[TMB_RANGES_IDS];
} ids;

typedef struct talk {
    tmb_scope *scope;
    bool drives, is_cut, is_changed;
    tmb_ranges_take take;
    void *arg;
    tmb_writer w;
    uint8_t *begin;
    bound said;    /* where the last range that was written ends */
    bool has_said; /* there is one */
    bound first, end;
    bound stop; /* is_cut: where */
    bound last; /* behind the last key of the last list of keys, unless a range followed */
} talk;

/* The leaves of a range, one after the other. */
typedef struct walk {
    bound at;
    tmb_bytes end, key;
    uint8_t print[TMB_FINGERPRINT_BYTES];
} walk;

static tmb_bytes bytes_of(const bound *b)
{
    return tmb_bytes_of(b->key, b->len);
}

static walk walk_of(const bound *first, const bound *end)
{
    walk w = {.at = *first, .end = bytes_of(end)};
    return w;
}

/* TMB_ENOENT: that was the last. */
static tmb_err walk_next(tmb_scope *scope, walk *w)
{
    tmb_bytes key;
    tmb_err err = tmb_scope_print_next(scope, bytes_of(&w->at), w->end, &key, w->print);
    if (err)
        return err;
    if (key.len >= KEY_MAX)
        return TMB_ECORRUPT;
    memcpy(w->at.key, key.ptr, key.len);
    w->at.key[key.len] = 0; /* the smallest key behind it */
    w->at.len = key.len + 1;
    w->key = tmb_bytes_of(w->at.key, key.len);
    return TMB_OK;
}

static size_t shared_bytes(tmb_bytes a, tmb_bytes b)
{
    size_t shared = 0;
    while (shared < a.len && shared < b.len && a.ptr[shared] == b.ptr[shared])
        shared++;
    return shared;
}

static bool is_below(tmb_bytes a, tmb_bytes b)
{
    size_t shared = shared_bytes(a, b);
    return shared < b.len && (shared == a.len || a.ptr[shared] < b.ptr[shared]);
}

static void put_bound(talk *t, const bound *end)
{
    size_t shared = end->len > 0 ? shared_bytes(bytes_of(&t->said), bytes_of(end)) : 0;
    tmb_put_varint(&t->w, shared);
    tmb_put_slice(&t->w, tmb_bytes_of(end->key + shared, end->len - shared));
    t->said = *end;
}

/* There is no room from this key on. */
static void cut(talk *t, tmb_bytes key)
{
    t->is_cut = true;
    t->stop.len = key.len;
    if (key.len > 0)
        memcpy(t->stop.key, key.ptr, key.len);
}

/* Begins a range from first to end of so many bytes; false: there is no room for it, or was none before. What
 * lies before first, and nothing was said of, is equal. */
static bool open_range(talk *t, const bound *first, const bound *end, mode m, size_t bytes)
{
    size_t left = (size_t)(t->w.end - t->w.at);
    size_t needed = first->len + end->len + 32 + bytes;
    if (!t->is_cut && left < needed)
        cut(t, bytes_of(first));
    if (t->is_cut)
        return false;
    if (first->len > 0 && (!t->has_said || !tmb_bytes_eq(bytes_of(&t->said), bytes_of(first)))) {
        put_bound(t, first);
        tmb_put_u8(&t->w, EQUAL);
    }
    put_bound(t, end);
    tmb_put_u8(&t->w, (uint8_t)m);
    t->has_said = true;
    return true;
}

static void say_print(talk *t, const bound *first, const bound *end, const tmb_fingerprint *sum)
{
    if (!open_range(t, first, end, PRINT, TMB_VARINT_BYTES_MAX + TMB_FINGERPRINT_BYTES))
        return;
    tmb_put_varint(&t->w, sum->leaves);
    tmb_put_bytes(&t->w, tmb_bytes_of(sum->sum, TMB_FINGERPRINT_BYTES));
}

static void put_ids(talk *t, const ids *list, bool only_missing)
{
    unsigned count = 0;
    for (unsigned i = 0; i < list->count; i++)
        count += !only_missing || !list->is_here[i];
    tmb_put_varint(&t->w, count);
    for (unsigned i = 0; i < list->count; i++)
        if (!only_missing || !list->is_here[i])
            tmb_put_bytes(&t->w, tmb_bytes_of(list->v[i], ID_BYTES));
}

static bool has_missing(const ids *list)
{
    for (unsigned i = 0; i < list->count; i++)
        if (!list->is_here[i])
            return true;
    return false;
}

static bool find_id(ids *list, const uint8_t print[TMB_FINGERPRINT_BYTES])
{
    bool is_found = false;
    for (unsigned i = 0; i < list->count; i++)
        if (memcmp(list->v[i], print, ID_BYTES) == 0)
            is_found = list->is_here[i] = true;
    return is_found;
}

static tmb_err say_ids(talk *t)
{
    ids list = {.count = 0};
    walk w = walk_of(&t->first, &t->end);
    tmb_err err;
    while ((err = walk_next(t->scope, &w)) == TMB_OK && list.count < TMB_RANGES_IDS)
        memcpy(list.v[list.count++], w.print, ID_BYTES);
    if (err != TMB_ENOENT)
        return err ? err : TMB_ECORRUPT; /* the caller has counted them */
    if (open_range(t, &t->first, &t->end, IDS, 2 + list.count * ID_BYTES))
        put_ids(t, &list, false);
    return TMB_OK;
}

/* The shortest key that is above last and not above next. */
static void bound_between(tmb_bytes last, tmb_bytes next, bound *ret)
{
    size_t len = shared_bytes(last, next) + 1;
    ret->len = len < next.len ? len : next.len;
    memcpy(ret->key, next.ptr, ret->len);
}

static tmb_err say_parts(talk *t, uint64_t leaves)
{
    uint64_t a_part = (leaves + TMB_RANGES_PARTS - 1) / TMB_RANGES_PARTS;
    walk w = walk_of(&t->first, &t->end);
    tmb_fingerprint sum = {.leaves = 0};
    bound first = t->first, end, last = {.len = 0};
    tmb_err err;
    while ((err = walk_next(t->scope, &w)) == TMB_OK) {
        if (sum.leaves == a_part) {
            bound_between(bytes_of(&last), w.key, &end);
            say_print(t, &first, &end, &sum);
            first = end;
            sum = (tmb_fingerprint){.leaves = 0};
        }
        tmb_fingerprint_add(&sum, w.print);
        memcpy(last.key, w.key.ptr, w.key.len);
        last.len = w.key.len;
    }
    if (err != TMB_ENOENT)
        return err;
    say_print(t, &first, &t->end, &sum);
    return TMB_OK;
}

static tmb_err on_print(talk *t, tmb_reader *r)
{
    tmb_fingerprint theirs, ours;
    theirs.leaves = tmb_get_varint(r);
    tmb_bytes sum = tmb_get_bytes(r, TMB_FINGERPRINT_BYTES);
    if (r->bad)
        return TMB_ECORRUPT;
    memcpy(theirs.sum, sum.ptr, TMB_FINGERPRINT_BYTES);
    tmb_err err = tmb_scope_range(t->scope, bytes_of(&t->first), bytes_of(&t->end), &ours);
    if (err || tmb_fingerprint_eq(&ours, &theirs))
        return err;
    return ours.leaves < TMB_RANGES_IDS ? say_ids(t) : say_parts(t, ours.leaves);
}

static tmb_err get_ids(tmb_reader *r, ids *ret)
{
    uint64_t count = tmb_get_varint(r);
    if (r->bad || count > TMB_RANGES_IDS)
        return TMB_ECORRUPT;
    *ret = (ids){.count = (unsigned)count};
    for (unsigned i = 0; i < ret->count; i++) {
        tmb_bytes id = tmb_get_bytes(r, ID_BYTES);
        if (!r->bad)
            memcpy(ret->v[i], id.ptr, ID_BYTES);
    }
    return r->bad ? TMB_ECORRUPT : TMB_OK;
}

static tmb_err take(talk *t, tmb_bytes key)
{
    if (t->is_cut)
        return TMB_OK;
    tmb_err err = t->take(t->arg, key);
    if (err == TMB_ELIMIT)
        cut(t, key);
    return err == TMB_ELIMIT ? TMB_OK : err;
}

/* Marks which of the list are here. */
static tmb_err look_for(talk *t, ids *list)
{
    walk w = walk_of(&t->first, &t->end);
    tmb_err err;
    while ((err = walk_next(t->scope, &w)) == TMB_OK)
        (void)find_id(list, w.print);
    return err == TMB_ENOENT ? TMB_OK : err;
}

/* Sends the leaves of this range that are in the list, or those that are not. */
static tmb_err send_leaves(talk *t, ids *list, bool is_listed)
{
    walk w = walk_of(&t->first, &t->end);
    tmb_err err;
    while ((err = walk_next(t->scope, &w)) == TMB_OK) {
        if (find_id(list, w.print) == is_listed)
            err = take(t, w.key);
        if (err)
            return err;
    }
    return err == TMB_ENOENT ? TMB_OK : err;
}

/* Who drives asks for what is only there, whose keys may lie anywhere in the range, then sends what is only
 * here: so a cut at a key leaves nothing before it undone. */
static tmb_err on_ids(talk *t, ids *list)
{
    tmb_err err = look_for(t, list);
    if (err)
        return err;
    if (has_missing(list) && open_range(t, &t->first, &t->end, ASK, 2 + list->count * ID_BYTES))
        put_ids(t, list, true);
    return send_leaves(t, list, false);
}

/* Writes the keys of this range that are in the list, or those that are not; how many is known when all are
 * written, so room for the number is left. */
static tmb_err say_keys(talk *t, ids *list, bool is_listed)
{
    walk w = walk_of(&t->first, &t->end);
    uint64_t count = 0;
    size_t bytes = 0, tail = 2 + list->count * ID_BYTES;
    tmb_err err;
    while ((err = walk_next(t->scope, &w)) == TMB_OK) {
        if (find_id(list, w.print) != is_listed)
            continue;
        count++;
        bytes += tmb_varint_size(w.key.len) + w.key.len;
    }
    if (err != TMB_ENOENT)
        return err;
    if (is_listed && has_missing(list))
        t->is_changed = true; /* it is to be told of again */
    if (count == 0 && (is_listed || !has_missing(list)))
        return TMB_OK;
    size_t left = (size_t)(t->w.end - t->w.at), frame = t->first.len + t->end.len + 64 + tail;
    size_t fits = left > frame ? left - frame : 0;
    bool is_short = bytes > fits;
    if (is_short) { /* as many as there is room for */
        count = bytes = 0;
        for (w = walk_of(&t->first, &t->end); (err = walk_next(t->scope, &w)) == TMB_OK;) {
            size_t more = tmb_varint_size(w.key.len) + w.key.len;
            if (find_id(list, w.print) != is_listed)
                continue;
            if (bytes + more > fits)
                break;
            bytes += more;
            count++;
        }
        if (err && err != TMB_ENOENT)
            return err;
    }
    if (is_short && count == 0) { /* nor for one of them: who drives goes on before this range */
        cut(t, bytes_of(&t->first));
        return TMB_OK;
    }
    if (!open_range(t, &t->first, &t->end, DIFFER, TMB_VARINT_BYTES_MAX + bytes + tail))
        return TMB_OK;
    tmb_put_varint(&t->w, count);
    for (w = walk_of(&t->first, &t->end); count > 0 && (err = walk_next(t->scope, &w)) == TMB_OK;) {
        if (find_id(list, w.print) != is_listed)
            continue;
        tmb_put_slice(&t->w, w.key);
        count--;
    }
    if (err && err != TMB_ENOENT)
        return err;
    if (is_listed)
        list->count = 0; /* nothing is wanted of who asked */
    put_ids(t, list, true);
    t->is_cut = t->is_cut || is_short; /* who drives goes on behind the last key */
    return TMB_OK;
}

/* The smallest key behind it; no key is longer than the longest. */
static void bound_behind(tmb_bytes key, bound *ret)
{
    memcpy(ret->key, key.ptr, key.len);
    ret->len = key.len;
    if (key.len < TMB_LEAF_KEY_BYTES_MAX) {
        ret->key[ret->len++] = 0;
        return;
    }
    while (ret->len > 1 && ret->key[ret->len - 1] == 0xff)
        ret->len--;
    ret->key[ret->len - 1]++;
}

/* Those that are wanted first: their keys, too, may lie anywhere in the range. */
static tmb_err on_differ(talk *t, tmb_reader *r)
{
    tmb_reader keys = *r;
    uint64_t count = tmb_get_varint(r);
    for (uint64_t i = 0; i < count && !r->bad; i++) {
        tmb_leaf_key key;
        if (tmb_leaf_key_read(tmb_get_slice(r), &key) != TMB_OK)
            return TMB_ECORRUPT;
    }
    ids wanted;
    bool was_cut = t->is_cut;
    if (r->bad || get_ids(r, &wanted) != TMB_OK)
        return TMB_ECORRUPT;
    tmb_err err = wanted.count > 0 ? send_leaves(t, &wanted, true) : TMB_OK;
    t->is_changed = t->is_changed || has_missing(&wanted);
    if (t->is_cut && !was_cut)
        cut(t, bytes_of(&t->first));
    (void)tmb_get_varint(&keys);
    for (uint64_t i = 0; i < count && !err; i++) {
        tmb_bytes key = tmb_get_slice(&keys);
        bound_behind(key, &t->last);
        err = take(t, key);
    }
    return err;
}

static tmb_err on_range(talk *t, tmb_reader *r)
{
    uint8_t m = tmb_get_u8(r);
    ids list;
    if (r->bad)
        return TMB_ECORRUPT;
    if (m == EQUAL)
        return TMB_OK;
    if (m == PRINT)
        return on_print(t, r);
    if (m == DIFFER)
        return t->drives ? on_differ(t, r) : TMB_ECORRUPT;
    if ((m != IDS && m != ASK) || get_ids(r, &list) != TMB_OK || (m == ASK && t->drives))
        return TMB_ECORRUPT;
    if (m == IDS && t->drives)
        return on_ids(t, &list);
    return say_keys(t, &list, m == ASK);
}

/* Where the next range ends: above where it begins, unless it is the last. */
static bool get_bound(tmb_reader *r, const bound *before, bound *ret)
{
    uint64_t shared = tmb_get_varint(r);
    tmb_bytes rest = tmb_get_slice(r);
    if (r->bad || shared > before->len || rest.len > TMB_LEAF_KEY_BYTES_MAX - shared)
        return false;
    ret->len = (size_t)shared + rest.len;
    memcpy(ret->key, before->key, (size_t)shared);
    if (rest.len > 0)
        memcpy(ret->key + shared, rest.ptr, rest.len);
    return ret->len == 0 || is_below(bytes_of(before), bytes_of(ret));
}

static void begin(talk *t, uint8_t *out, size_t cap)
{
    t->begin = out;
    t->w = tmb_writer_of(out, cap);
    tmb_put_u8(&t->w, 0);
}

static void finish(talk *t, tmb_ranges_result *ret)
{
    ret->is_changed = t->is_changed;
    ret->is_cut = t->is_cut;
    ret->stop_len = t->stop.len;
    memcpy(ret->stop, t->stop.key, t->stop.len);
    ret->len = 0;
    if (t->w.bad || (!t->has_said && t->drives))
        return;
    t->begin[0] = (uint8_t)((t->is_cut ? FLAG_CUT : 0) | (t->is_changed ? FLAG_CHANGED : 0));
    ret->len = (size_t)(t->w.at - t->begin);
}

tmb_err tmb_ranges_begin(tmb_scope *scope, tmb_bytes first, uint8_t *out, size_t cap,
                         tmb_ranges_result *ret)
{
    talk t = {.drives = true};
    tmb_fingerprint sum = scope->fingerprint;
    if (first.len > TMB_LEAF_KEY_BYTES_MAX)
        return TMB_EINVAL;
    tmb_err err = first.len > 0 ? tmb_scope_range(scope, first, bytes_of(&t.end), &sum) : TMB_OK;
    if (err)
        return err;
    t.first.len = first.len;
    if (first.len > 0)
        memcpy(t.first.key, first.ptr, first.len);
    begin(&t, out, cap);
    say_print(&t, &t.first, &t.end, &sum);
    finish(&t, ret);
    return TMB_OK;
}

tmb_err tmb_ranges_answer(tmb_scope *scope, tmb_bytes data, bool drives, tmb_ranges_take take_key,
                          void *arg, uint8_t *out, size_t cap, tmb_ranges_result *ret)
{
    talk t = {.scope = scope, .drives = drives, .take = take_key, .arg = arg};
    tmb_reader r = tmb_reader_of(data);
    bool is_last = false;
    uint8_t flags = tmb_get_u8(&r);
    begin(&t, out, cap);
    if (r.bad || flags > (FLAG_CUT | FLAG_CHANGED))
        return TMB_ECORRUPT;
    while (tmb_reader_left(&r) > 0) {
        if (is_last || !get_bound(&r, &t.first, &t.end))
            return TMB_ECORRUPT;
        t.last.len = 0;
        tmb_err err = on_range(&t, &r);
        if (err)
            return err;
        if (r.bad)
            return TMB_ECORRUPT;
        is_last = t.end.len == 0;
        t.first = t.end;
    }
    t.is_changed = t.is_changed || (flags & FLAG_CHANGED) != 0;
    if ((flags & FLAG_CUT) && !t.is_cut) /* the other had no more room */
        cut(&t, bytes_of(t.last.len > 0 ? &t.last : &t.first));
    finish(&t, ret);
    return TMB_OK;
}
