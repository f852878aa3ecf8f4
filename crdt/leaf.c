// SPDX-License-Identifier: Apache-2.0
/* crdt/leaf.c - one merge over two sorted lists. */
#include "crdt/leaf.h"

#include "base/varint.h"

static int value_cmp(tmb_bytes a, tmb_bytes b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least > 0 ? memcmp(a.ptr, b.ptr, least) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool keep(tmb_leaf *leaf, const tmb_entry *entry)
{
    if (leaf->count == TMB_SIBLINGS_MAX)
        return false;
    leaf->entries[leaf->count++] = *entry;
    return true;
}

tmb_err tmb_leaf_join(const tmb_leaf *a, tmb_seen a_seen, const tmb_leaf *b, tmb_seen b_seen,
                      tmb_leaf *ret, bool *ret_is_forked)
{
    unsigned i = 0, j = 0;
    bool has_room = true, is_forked = false;
    ret->count = 0;
    while ((i < a->count || j < b->count) && has_room) {
        const tmb_entry *x = i < a->count ? &a->entries[i] : NULL;
        const tmb_entry *y = j < b->count ? &b->entries[j] : NULL;
        int order = !x ? 1 : !y ? -1 : tmb_dot_cmp(&x->dot, &y->dot);
        if (order == 0) {
            int values = value_cmp(x->value, y->value);
            is_forked = is_forked || values != 0;
            has_room = keep(ret, values >= 0 ? x : y);
        } else if (order < 0) {
            has_room = tmb_seen_has(b_seen, &x->dot) || keep(ret, x);
        } else {
            has_room = tmb_seen_has(a_seen, &y->dot) || keep(ret, y);
        }
        i += order <= 0;
        j += order >= 0;
    }
    if (!has_room)
        return TMB_ELIMIT;
    if (ret_is_forked)
        *ret_is_forked = is_forked;
    return TMB_OK;
}

static unsigned place_of(const tmb_leaf *leaf, const tmb_dot *dot)
{
    unsigned at = 0;
    while (at < leaf->count && tmb_dot_cmp(&leaf->entries[at].dot, dot) < 0)
        at++;
    return at;
}

const tmb_entry *tmb_leaf_find(const tmb_leaf *leaf, const tmb_dot *dot)
{
    unsigned at = place_of(leaf, dot);
    bool is_there = at < leaf->count && tmb_dot_cmp(&leaf->entries[at].dot, dot) == 0;
    return is_there ? &leaf->entries[at] : NULL;
}

tmb_err tmb_leaf_put(tmb_leaf *leaf, const tmb_entry *entry)
{
    unsigned at = place_of(leaf, &entry->dot);
    if (at < leaf->count && tmb_dot_cmp(&leaf->entries[at].dot, &entry->dot) == 0)
        return TMB_EINVAL;
    if (leaf->count == TMB_SIBLINGS_MAX)
        return TMB_ELIMIT;
    memmove(&leaf->entries[at + 1], &leaf->entries[at], (leaf->count - at) * sizeof *leaf->entries);
    leaf->entries[at] = *entry;
    leaf->count++;
    return TMB_OK;
}

size_t tmb_leaf_size(const tmb_leaf *leaf)
{
    size_t size = tmb_varint_size(leaf->count);
    for (unsigned i = 0; i < leaf->count; i++) {
        const tmb_entry *entry = &leaf->entries[i];
        size += TMB_INCARNATION_BYTES + tmb_varint_size(entry->dot.seq) +
                tmb_varint_size(entry->value.len) + entry->value.len;
    }
    return size;
}

void tmb_leaf_write(tmb_writer *w, const tmb_leaf *leaf)
{
    tmb_put_varint(w, leaf->count);
    for (unsigned i = 0; i < leaf->count; i++) {
        const tmb_entry *entry = &leaf->entries[i];
        tmb_put_bytes(w, tmb_bytes_of(entry->dot.actor.bytes, TMB_INCARNATION_BYTES));
        tmb_put_varint(w, entry->dot.seq);
        tmb_put_slice(w, entry->value);
    }
}

tmb_err tmb_leaf_read(tmb_reader *r, tmb_leaf *leaf)
{
    uint64_t count = tmb_get_varint(r);
    leaf->count = 0;
    if (!r->bad && count > TMB_SIBLINGS_MAX)
        return TMB_ELIMIT;
    for (unsigned i = 0; i < count && !r->bad; i++) {
        tmb_entry entry;
        tmb_bytes actor = tmb_get_bytes(r, TMB_INCARNATION_BYTES);
        entry.dot.seq = tmb_get_varint(r);
        entry.value = tmb_get_slice(r);
        if (r->bad || actor.len != TMB_INCARNATION_BYTES)
            break; /* the latter is the former */
        memcpy(entry.dot.actor.bytes, actor.ptr, TMB_INCARNATION_BYTES);
        bool is_in_order = i == 0 || tmb_dot_cmp(&leaf->entries[i - 1].dot, &entry.dot) < 0;
        if (entry.dot.seq == 0 || entry.dot.seq > TMB_SEQ_MAX || !is_in_order)
            return TMB_ECORRUPT;
        leaf->entries[leaf->count++] = entry;
    }
    return r->bad ? TMB_ECORRUPT : TMB_OK;
}
