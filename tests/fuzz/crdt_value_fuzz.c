// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/crdt_value_fuzz.c - any bytes as the values of a leaf: refused, or of a type that reads them;
 * and a change of such a leaf makes a value that is valid again.
 *
 *   type, verb, amount (8), then slices: the value of a change, and those of the entries
 */
#include <stdlib.h>

#include "base/varint.h"
#include "crdt/type.h"
#include "tests/fuzz/fuzz.h"

static void read_all(tmb_type type, const tmb_leaf *leaf)
{
    bool is_in = tmb_type_is_in(type, leaf), is_saturated = false;
    TMB_ASSERT(!is_in || leaf->count > 0);
    if (type == TMB_TYPE_REGISTER) {
        const tmb_entry *read = tmb_register_read(leaf);
        TMB_ASSERT((read != NULL) == (leaf->count > 0));
        for (unsigned i = 0; i < leaf->count; i++)
            TMB_ASSERT(tmb_register_stamp(&leaf->entries[i]).u64 <= tmb_register_stamp(read).u64);
        TMB_ASSERT(!read ||
                   tmb_register_bytes(read).len + TMB_REGISTER_STAMP_BYTES == read->value.len);
    } else if (type == TMB_TYPE_MAX || type == TMB_TYPE_MIN) {
        TMB_ASSERT((tmb_extreme_read(type, leaf) != NULL) == (leaf->count > 0));
    } else if (type == TMB_TYPE_G_COUNTER || type == TMB_TYPE_PN_COUNTER) {
        int64_t sum = tmb_counter_read(type, leaf, &is_saturated);
        TMB_ASSERT(type == TMB_TYPE_PN_COUNTER || sum >= 0);
        TMB_ASSERT(!is_saturated || sum == INT64_MAX || sum == INT64_MIN);
        for (unsigned i = 0; i < leaf->count; i++) {
            uint8_t again[TMB_COUNTER_VALUE_MAX];
            uint64_t up, down;
            tmb_counter_amounts(type, leaf->entries[i].value, &up, &down);
            size_t len = tmb_counter_value(type, up, down, again);
            TMB_ASSERT(tmb_bytes_eq(tmb_bytes_of(again, len), leaf->entries[i].value));
        }
    }
}

/* The change under the actor of the leaf's first entry, so that counters meet their own totals. */
static void change(tmb_type type, const tmb_change *asked, const tmb_leaf *leaf)
{
    tmb_dot dot = {{{1}}, TMB_SEQ_MAX};
    size_t room_len = tmb_change_room(asked);
    uint8_t *room = malloc(room_len + 1);
    tmb_delta *delta = malloc(sizeof *delta);
    tmb_leaf *changed = malloc(sizeof *changed);
    TMB_ASSERT(room && delta && changed);
    tmb_err err = tmb_change_delta(type, asked, leaf, NULL, &dot, room, room_len, delta);
    TMB_ASSERT(err == TMB_OK || err == TMB_EINVAL);
    if (!err && !delta->is_nothing) {
        TMB_ASSERT(delta->leaf.count <= 1 && tmb_context_has(&delta->context, &dot));
        tmb_base bases[TMB_SIBLINGS_MAX + 1];
        tmb_run runs[TMB_SIBLINGS_MAX + 1];
        tmb_context seen = tmb_context_of(bases, TMB_SIBLINGS_MAX + 1, runs, TMB_SIBLINGS_MAX + 1);
        for (unsigned i = 0; i < leaf->count; i++)
            TMB_ASSERT(tmb_context_add(&seen, &leaf->entries[i].dot) == TMB_OK);
        err = tmb_leaf_join(leaf, (tmb_seen){&seen, NULL}, &delta->leaf,
                            (tmb_seen){&delta->context, NULL}, changed, NULL);
        TMB_ASSERT(err == TMB_OK || err == TMB_ELIMIT);
        for (unsigned i = 0; !err && i < changed->count; i++)
            TMB_ASSERT(tmb_type_is_value_valid(type, changed->entries[i].value));
        if (!err)
            read_all(type, changed);
    }
    free(changed);
    free(delta);
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tmb_leaf leaf = {.count = 0};
    tmb_reader r = tmb_reader_of(tmb_bytes_of(data, size));
    tmb_type type = (tmb_type)(tmb_get_u8(&r) % TMB_TYPES);
    tmb_change asked = {.verb = (tmb_verb)(tmb_get_u8(&r) % (TMB_VERB_DEL + 1))};
    asked.amount = tmb_get_u64(&r);
    asked.stamp.u64 = asked.amount;
    asked.value = tmb_get_slice(&r);
    for (unsigned n = 0; n < TMB_SIBLINGS_MAX && tmb_reader_left(&r) > 0; n++) {
        tmb_entry entry = {.dot = {{{(uint8_t)(1 + n / 2)}}, 1 + n}, .value = tmb_get_slice(&r)};
        if (r.bad)
            break;
        if (tmb_type_is_value_valid(type, entry.value))
            TMB_ASSERT(tmb_leaf_put(&leaf, &entry) == TMB_OK);
    }
    if (type == TMB_TYPE_NONE)
        TMB_ASSERT(leaf.count == 0);
    read_all(type, &leaf);
    change(type, &asked, &leaf);
    return 0;
}
