// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/crdt_leaf_fuzz.c - any bytes as two leaves with their contexts: decoded, joined and encoded.
 * What decodes has one form; a join is the same from both sides, once or twice, and is a leaf again.
 *
 *   context of a, a, context of b, b
 */
#include <stdlib.h>

#include "crdt/leaf.h"
#include "tests/fuzz/fuzz.h"

enum { VALUES_BYTES_MAX = 1 << 16 };

typedef struct side {
    tmb_leaf leaf;
    tmb_context seen;
    tmb_context_room room;
} side;

static bool read_side(tmb_reader *r, side *s)
{
    s->seen = tmb_context_in(&s->room);
    if (tmb_context_get(r, &s->seen))
        return false;
    tmb_err err = tmb_leaf_read(r, &s->leaf);
    TMB_ASSERT(err == TMB_OK || err == TMB_ECORRUPT || err == TMB_ELIMIT);
    if (err)
        return false;
    for (unsigned i = 0; i < s->leaf.count; i++) /* well-formed: who has an entry has seen it */
        if (tmb_context_add(&s->seen, &s->leaf.entries[i].dot))
            return false;
    return true;
}

/* Gives the leaf's bytes, which must read as a leaf again. */
static uint8_t *bytes_of(const tmb_leaf *leaf, size_t *ret_len)
{
    tmb_leaf again;
    *ret_len = tmb_leaf_size(leaf);
    uint8_t *out = malloc(*ret_len);
    TMB_ASSERT(out);
    tmb_writer w = tmb_writer_of(out, *ret_len);
    tmb_leaf_write(&w, leaf);
    TMB_ASSERT(!w.bad && w.at == w.end);
    tmb_reader r = tmb_reader_of(tmb_bytes_of(out, *ret_len));
    TMB_ASSERT(tmb_leaf_read(&r, &again) == TMB_OK && tmb_reader_left(&r) == 0);
    TMB_ASSERT(again.count == leaf->count);
    return out;
}

static void want_same(const tmb_leaf *a, const tmb_leaf *b)
{
    size_t a_len, b_len;
    uint8_t *a_bytes = bytes_of(a, &a_len), *b_bytes = bytes_of(b, &b_len);
    TMB_ASSERT(tmb_bytes_eq(tmb_bytes_of(a_bytes, a_len), tmb_bytes_of(b_bytes, b_len)));
    free(a_bytes);
    free(b_bytes);
}

static void check_join(const side *a, const side *b)
{
    tmb_leaf ab, ba, again;
    bool ab_is_forked = false, ba_is_forked = false;
    tmb_seen a_seen = {&a->seen, NULL}, b_seen = {NULL, &b->seen}, both = {&a->seen, &b->seen};
    tmb_err err = tmb_leaf_join(&a->leaf, a_seen, &b->leaf, b_seen, &ab, &ab_is_forked);
    TMB_ASSERT(err == TMB_OK || err == TMB_ELIMIT);
    TMB_ASSERT(tmb_leaf_join(&b->leaf, b_seen, &a->leaf, a_seen, &ba, &ba_is_forked) == err);
    if (err)
        return;
    TMB_ASSERT(ab_is_forked == ba_is_forked);
    want_same(&ab, &ba);
    TMB_ASSERT(tmb_leaf_join(&ab, both, &a->leaf, a_seen, &again, NULL) == TMB_OK);
    want_same(&ab, &again);
    TMB_ASSERT(tmb_leaf_join(&b->leaf, b_seen, &ab, both, &again, NULL) == TMB_OK);
    want_same(&ab, &again);
    for (unsigned i = 0; i < ab.count; i++)
        TMB_ASSERT(tmb_leaf_find(&a->leaf, &ab.entries[i].dot) ||
                   tmb_leaf_find(&b->leaf, &ab.entries[i].dot));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > VALUES_BYTES_MAX)
        return 0;
    side *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    TMB_ASSERT(a && b);
    tmb_reader r = tmb_reader_of(tmb_bytes_of(data, size));
    if (read_side(&r, a)) {
        side none = {.leaf.count = 0};
        none.seen = tmb_context_in(&none.room);
        check_join(a, a);
        check_join(a, &none);
        if (read_side(&r, b))
            check_join(a, b);
    }
    free(a);
    free(b);
    return 0;
}
