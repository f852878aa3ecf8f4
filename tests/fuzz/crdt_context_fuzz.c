// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/crdt_context_fuzz.c - any bytes as contexts, one behind the other: refused, or in the one form,
 * whose bytes come back; their union is the same from both sides, and covers both. */
#include <stdlib.h>

#include "crdt/context.h"
#include "tests/fuzz/fuzz.h"

/* Wants the bytes from begin to end to be what c is written as. */
static void check_bytes(const tmb_context *c, const uint8_t *begin, const uint8_t *end)
{
    size_t len = tmb_context_size(c);
    uint8_t *out = malloc(len);
    TMB_ASSERT(out);
    tmb_writer w = tmb_writer_of(out, len);
    tmb_context_put(&w, c);
    TMB_ASSERT(!w.bad && w.at == w.end);
    if (begin)
        TMB_ASSERT(
            tmb_bytes_eq(tmb_bytes_of(out, len), tmb_bytes_of(begin, (size_t)(end - begin))));
    tmb_context_room room;
    tmb_context again = tmb_context_in(&room);
    tmb_reader r = tmb_reader_of(tmb_bytes_of(out, len));
    TMB_ASSERT(tmb_context_get(&r, &again) == TMB_OK && tmb_reader_left(&r) == 0);
    TMB_ASSERT(tmb_context_eq(&again, c));
    free(out);
}

static void check_dots(const tmb_context *c)
{
    for (unsigned i = 0; i < c->bases_count; i++) {
        tmb_dot last = {c->bases[i].actor, c->bases[i].seq}, next = {last.actor, last.seq + 1};
        TMB_ASSERT(tmb_context_has(c, &last) && !tmb_context_has(c, &next));
        TMB_ASSERT(tmb_context_base(c, &last.actor) == last.seq);
    }
    for (unsigned i = 0; i < c->runs_count; i++) {
        tmb_dot first = {c->runs[i].actor, c->runs[i].first}, before = {first.actor, first.seq - 1};
        tmb_dot last = {c->runs[i].actor, c->runs[i].last}, behind = {last.actor, last.seq + 1};
        TMB_ASSERT(tmb_context_has(c, &first) && tmb_context_has(c, &last));
        TMB_ASSERT(!tmb_context_has(c, &before) && !tmb_context_has(c, &behind));
        TMB_ASSERT(tmb_context_last(c, &last.actor) >= last.seq);
    }
}

/* A full context says no, and is then of no use; from both sides alike. */
static void check_union(const tmb_context *a, const tmb_context *b)
{
    tmb_context_room ab_room, ba_room;
    tmb_context ab = tmb_context_in(&ab_room), ba = tmb_context_in(&ba_room);
    TMB_ASSERT(tmb_context_copy(&ab, a) == TMB_OK && tmb_context_copy(&ba, b) == TMB_OK);
    tmb_err err = tmb_context_join(&ab, b);
    tmb_err other = tmb_context_join(&ba, a);
    TMB_ASSERT(err == TMB_OK || err == TMB_ELIMIT);
    TMB_ASSERT(other == TMB_OK || other == TMB_ELIMIT);
    if (err != TMB_OK || other != TMB_OK)
        return;
    TMB_ASSERT(tmb_context_eq(&ab, &ba));
    TMB_ASSERT(tmb_context_covers(&ab, a) && tmb_context_covers(&ab, b));
    check_bytes(&ab, NULL, NULL);
    check_dots(&ab);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tmb_context_room rooms[2];
    tmb_context contexts[2] = {tmb_context_in(&rooms[0]), tmb_context_in(&rooms[1])};
    tmb_reader r = tmb_reader_of(tmb_bytes_of(data, size));
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *begin = r.at;
        tmb_err err = tmb_context_get(&r, &contexts[i]);
        TMB_ASSERT(err == TMB_OK || err == TMB_ECORRUPT || err == TMB_ELIMIT);
        if (err)
            return 0;
        check_bytes(&contexts[i], begin, r.at);
        check_dots(&contexts[i]);
    }
    check_union(&contexts[0], &contexts[1]);
    return 0;
}
