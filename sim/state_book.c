// SPDX-License-Identifier: Apache-2.0
/* sim/state_book.c - the leaves of the world of state, changes, and the views that disks have of them. */
#include "sim/state_book.h"

#include <stdlib.h>

/* Every type, alone and below maps, one of them nested. In the order of their keys, in which a removal of
 * many gives its dots. */
static const struct {
    const char *path;
    tmb_type type;
    const char *elem;
} keys[] = {
    {"box", TMB_TYPE_MAP, ""},
    {"box/colour", TMB_TYPE_REGISTER, ""},
    {"box/count", TMB_TYPE_PN_COUNTER, ""},
    {"box/lid", TMB_TYPE_MAP, ""},
    {"box/lid/high", TMB_TYPE_MAX, ""},
    {"box/lid/key", TMB_TYPE_REGISTER, ""},
    {"box/lid/open", TMB_TYPE_EW_FLAG, ""},
    {"box/tags", TMB_TYPE_AW_SET, "x"},
    {"box/tags", TMB_TYPE_AW_SET, "y"},
    {"cfg/a", TMB_TYPE_REGISTER, ""},
    {"cfg/b", TMB_TYPE_REGISTER, ""},
    {"cfg/c", TMB_TYPE_REGISTER, ""},
    {"cfg/d", TMB_TYPE_REGISTER, ""},
    {"cfg/e", TMB_TYPE_REGISTER, ""},
    {"cfg/f", TMB_TYPE_REGISTER, ""},
    {"deny", TMB_TYPE_RW_SET, "card-1"},
    {"deny", TMB_TYPE_RW_SET, "card-2"},
    {"deny", TMB_TYPE_RW_SET, "card-3"},
    {"door", TMB_TYPE_DW_FLAG, ""},
    {"floor", TMB_TYPE_MIN, ""},
    {"orders", TMB_TYPE_AW_SET, "wo-1"},
    {"orders", TMB_TYPE_AW_SET, "wo-2"},
    {"orders", TMB_TYPE_AW_SET, "wo-3"},
    {"orders", TMB_TYPE_AW_SET, "wo-4"},
    {"parts", TMB_TYPE_PN_COUNTER, ""},
    {"peak", TMB_TYPE_MAX, ""},
    {"plan", TMB_TYPE_REGISTER, ""},
    {"run", TMB_TYPE_EW_FLAG, ""},
    {"seen", TMB_TYPE_G_SET, "a"},
    {"seen", TMB_TYPE_G_SET, "b"},
    {"speed", TMB_TYPE_REGISTER, ""},
    {"total", TMB_TYPE_G_COUNTER, ""},
};
_Static_assert(sizeof keys / sizeof keys[0] == STATE_LEAVES, "a key for each leaf");

tmb_leaf_key state_book_key(unsigned leaf)
{
    tmb_leaf_key key = {tmb_bytes_str(keys[leaf].path), keys[leaf].type,
                        tmb_bytes_str(keys[leaf].elem)};
    return key;
}

unsigned state_book_find(const tmb_leaf_key *key)
{
    unsigned leaf = 0;
    while (leaf < STATE_LEAVES && (keys[leaf].type != key->type ||
                                   !tmb_bytes_eq(tmb_bytes_str(keys[leaf].path), key->path) ||
                                   !tmb_bytes_eq(tmb_bytes_str(keys[leaf].elem), key->elem)))
        leaf++;
    return leaf;
}

bool state_book_is_below(unsigned leaf, tmb_bytes path)
{
    tmb_bytes own = tmb_bytes_str(keys[leaf].path);
    return own.len >= path.len && memcmp(own.ptr, path.ptr, path.len) == 0 &&
           (own.len == path.len || own.ptr[path.len] == '/');
}

tmb_bytes state_book_value(unsigned leaf, unsigned n, uint8_t out[16])
{
    if (keys[leaf].type == TMB_TYPE_MAX || keys[leaf].type == TMB_TYPE_MIN) {
        for (unsigned i = 0; i < 8; i++)
            out[i] = (uint8_t)((uint64_t)n >> (8 * (7 - i)));
        return tmb_bytes_of(out, 8);
    }
    size_t len = 0;
    out[len++] = 'v';
    for (unsigned left = n; left > 0; left /= 10)
        out[len++] = (uint8_t)('0' + left % 10);
    return tmb_bytes_of(out, len);
}

static void wrong(state_book *book, const char *why)
{
    if (book->failure == NULL)
        book->failure = why;
}

static bool grow(void **array, unsigned *cap, unsigned wanted, size_t each)
{
    if (wanted <= *cap)
        return true;
    unsigned larger = *cap > 0 ? *cap * 2 : 256;
    while (larger < wanted)
        larger *= 2;
    void *moved = realloc(*array, larger * each);
    if (moved == NULL)
        return false;
    memset((char *)moved + *cap * each, 0, (larger - *cap) * each);
    *array = moved;
    *cap = larger;
    return true;
}

unsigned state_book_actor(state_book *book, const tmb_incarnation *actor)
{
    unsigned i = 0;
    while (i < book->actors_count && !tmb_incarnation_eq(book->actors[i], *actor))
        i++;
    if (i < book->actors_count)
        return i;
    if (i == STATE_ACTORS_MAX) {
        wrong(book, "more incarnations than the book has room for");
        return 0;
    }
    book->actors[book->actors_count++] = *actor;
    return i;
}

state_change *state_book_change(state_book *book, const state_change *change,
                                const unsigned *removes, unsigned removes_count)
{
    if (book->changes_count == STATE_CHANGES_MAX ||
        !grow((void **)&book->removed, &book->removed_cap, book->removed_count + removes_count,
              sizeof *book->removed)) {
        wrong(book, "more changes than the book has room for");
        return NULL;
    }
    state_change *made = &book->changes[book->changes_count++];
    *made = *change;
    made->removes = book->removed_count;
    made->removes_count = removes_count;
    for (unsigned i = 0; i < removes_count; i++)
        book->removed[book->removed_count++] = removes[i];
    return made;
}

unsigned state_book_bind(state_book *book, const unsigned *changes, unsigned count, int64_t total)
{
    if (book->binds_count == 0)
        book->binds_count = 1; /* 0 is none */
    if (!grow((void **)&book->bound, &book->bound_cap, book->bound_count + count,
              sizeof *book->bound) ||
        !grow((void **)&book->binds, &book->binds_cap, book->binds_count + 1,
              sizeof *book->binds)) {
        wrong(book, "no memory");
        return 0;
    }
    book->binds[book->binds_count] = (state_bind){book->bound_count, count, total};
    for (unsigned i = 0; i < count; i++)
        book->bound[book->bound_count++] = changes[i];
    return book->binds_count++;
}

state_slot *state_view_slot(state_book *book, state_view *view, unsigned actor, uint64_t seq)
{
    if (seq == 0 || seq > 100000) {
        wrong(book, "a dot beyond all that were given");
        return NULL;
    }
    if (!grow((void **)&view->slots[actor], &view->counts[actor], (unsigned)seq,
              sizeof(state_slot))) {
        wrong(book, "no memory");
        return NULL;
    }
    return &view->slots[actor][seq - 1];
}

void state_view_hold(state_book *book, state_view *view, unsigned actor, uint64_t seq,
                     unsigned bind)
{
    state_slot *slot = state_view_slot(book, view, actor, seq);
    if (slot == NULL || bind == 0)
        return;
    if (slot->is_held && slot->bind != bind)
        wrong(book, "one dot has two contents");
    *slot = (state_slot){bind, true};
    const state_bind *b = &book->binds[bind];
    for (unsigned i = 0; i < b->count; i++)
        view->sees[book->bound[b->first + i]] = 1;
}

void state_view_hear(state_book *book, state_view *view, const state_view *from, unsigned actor,
                     uint64_t seq)
{
    uint64_t end = seq < from->counts[actor] ? seq : from->counts[actor];
    for (uint64_t i = 1; i <= end; i++) {
        if (from->slots[actor][i - 1].bind != 0)
            state_view_hold(book, view, actor, i, from->slots[actor][i - 1].bind);
    }
}

void state_view_unhold(state_book *book, state_view *view, unsigned actor, uint64_t seq)
{
    for (uint64_t i = seq; i < view->counts[actor]; i++)
        view->slots[actor][i].is_held = false;
    if (view->clock[actor] > seq)
        view->clock[actor] = seq;
    memset(view->sees, 0, sizeof view->sees);
    for (unsigned a = 0; a < book->actors_count; a++) {
        for (unsigned i = 0; i < view->counts[a]; i++) {
            const state_slot *slot = &view->slots[a][i];
            const state_bind *bind = &book->binds[slot->bind];
            for (unsigned k = 0; slot->is_held && k < bind->count; k++)
                view->sees[book->bound[bind->first + k]] = 1;
        }
    }
}

bool state_view_copy(state_view *to, const state_view *from)
{
    state_view_free(to);
    memcpy(to->clock, from->clock, sizeof to->clock);
    memcpy(to->sees, from->sees, sizeof to->sees);
    for (unsigned a = 0; a < STATE_ACTORS_MAX; a++) {
        if (from->counts[a] == 0)
            continue;
        to->slots[a] = malloc(from->counts[a] * sizeof(state_slot));
        if (to->slots[a] == NULL)
            return false;
        memcpy(to->slots[a], from->slots[a], from->counts[a] * sizeof(state_slot));
        to->counts[a] = from->counts[a];
    }
    return true;
}

void state_view_free(state_view *view)
{
    for (unsigned a = 0; a < STATE_ACTORS_MAX; a++)
        free(view->slots[a]);
    *view = (state_view){0};
}

void state_book_free(state_book *book)
{
    free(book->removed);
    free(book->bound);
    free(book->binds);
    *book = (state_book){0};
}
