// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/leaves_fuzz.c - any bytes as leaves on their way: refused, or leaves that keep every rule, whose
 * encoding is stable and reads as they did.
 *
 *   how many actors are known (1 byte), then the leaves
 */
#include <stdlib.h>

#include "proto/leaves.h"
#include "tests/fuzz/fuzz.h"

enum { SIZE_MAX_BYTES = 1 << 16 };

typedef struct walk {
    tmb_leaves_state state;
    tmb_leaf_item item;
} walk;

static void know_actors(tmb_actors *actors, unsigned count)
{
    memset(actors, 0, sizeof *actors);
    for (unsigned i = 0; i < count; i++)
        actors->actors[i].bytes[i % 16] = (uint8_t)(1 + i / 16);
    actors->count = count;
}

/* What the join behind it relies on. */
static void check_item(const tmb_leaf_item *item)
{
    uint8_t key[TMB_LEAF_KEY_BYTES_MAX];
    tmb_leaf_key again;
    size_t len = tmb_leaf_key_write(&item->key, key);
    TMB_ASSERT(tmb_leaf_key_read(tmb_bytes_of(key, len), &again) == TMB_OK);
    TMB_ASSERT(again.type == item->key.type && tmb_bytes_eq(again.path, item->key.path) &&
               tmb_bytes_eq(again.elem, item->key.elem));
    TMB_ASSERT(item->leaf.count <= TMB_SIBLINGS_MAX && item->removals_count <= TMB_SIBLINGS_MAX);
    for (unsigned i = 0; i < item->leaf.count; i++) {
        const tmb_entry *entry = &item->leaf.entries[i];
        TMB_ASSERT(tmb_type_is_value_valid(item->key.type, entry->value));
        TMB_ASSERT(i == 0 || tmb_dot_cmp(&entry[-1].dot, &entry->dot) < 0);
    }
    for (unsigned i = 0; i < item->removals_count; i++) {
        const tmb_dot *dot = &item->removals[i];
        TMB_ASSERT(!tmb_leaf_find(&item->leaf, dot));
        TMB_ASSERT(i == 0 || tmb_dot_cmp(&dot[-1], dot) < 0);
    }
    TMB_ASSERT(!item->extra || !tmb_context_is_empty(item->extra));
}

/* Reads leaves until one is refused, writing each to out again; gives how many bytes that were. */
static size_t pass_on(tmb_bytes in, unsigned actors_count, uint8_t *out, size_t cap,
                      unsigned *ret_leaves)
{
    tmb_actors *known = malloc(sizeof *known), *said = malloc(sizeof *said);
    walk *from = malloc(sizeof *from), *to = malloc(sizeof *to);
    TMB_ASSERT(known && said && from && to);
    know_actors(known, actors_count);
    know_actors(said, actors_count);
    memset(&from->state, 0, sizeof from->state);
    memset(&to->state, 0, sizeof to->state);
    tmb_reader r = tmb_reader_of(in);
    tmb_writer w = tmb_writer_of(out, cap);
    *ret_leaves = 0;
    for (;;) {
        tmb_err err = tmb_leaves_get(&r, &from->state, known, &from->item);
        TMB_ASSERT(err == TMB_OK || err == TMB_EAGAIN || err == TMB_ECORRUPT || err == TMB_ELIMIT);
        if (err)
            break;
        check_item(&from->item);
        TMB_ASSERT(tmb_leaves_put(&w, &to->state, said, &from->item) == TMB_OK);
        TMB_ASSERT(said->count == actors_count);
        ++*ret_leaves;
    }
    free(to);
    free(from);
    free(said);
    free(known);
    return (size_t)(w.at - out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > SIZE_MAX_BYTES)
        return 0;
    unsigned leaves, again_leaves;
    uint8_t *out = malloc(size), *again = malloc(size);
    TMB_ASSERT(out && again);
    /* What is said is never longer than what was said: shared bytes of a key are at least as many. */
    size_t len = pass_on(tmb_bytes_of(data + 1, size - 1), data[0], out, size, &leaves);
    size_t again_len = pass_on(tmb_bytes_of(out, len), data[0], again, size, &again_leaves);
    TMB_ASSERT(leaves == again_leaves);
    TMB_ASSERT(tmb_bytes_eq(tmb_bytes_of(out, len), tmb_bytes_of(again, again_len)));
    free(again);
    free(out);
    return 0;
}
