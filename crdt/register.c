// SPDX-License-Identifier: Apache-2.0
/* crdt/register.c - a register: concurrent values are kept, and the stamp tells which of them is read.
 *
 *   entry's value   8 bytes of stamp, the greatest first    the bytes that were set
 *
 * So the order of the values' bytes is that of their stamps.
 *
 * Follows: Shapiro et al. 2011, specification 10 (multi-value register), with dots for its version vectors as
 * in Almeida, Shoker, Baquero 2018, section 7.4.
 * Differs: their last-writer-wins register (specification 8) drops all but the greatest stamp at each merge,
 * which is no join over dots: a value that was written after having seen the greatest could be lost to it.
 * Here the stamp decides only between values that were written without knowledge of each other, and only
 * when one is asked for.
 */
#include "crdt/rule.h"

tmb_hlc tmb_register_stamp(const tmb_entry *entry)
{
    tmb_hlc stamp = {0};
    for (size_t i = 0; i < TMB_REGISTER_STAMP_BYTES && i < entry->value.len; i++)
        stamp.u64 = stamp.u64 << 8 | entry->value.ptr[i];
    return stamp;
}

tmb_bytes tmb_register_bytes(const tmb_entry *entry)
{
    if (entry->value.len <= TMB_REGISTER_STAMP_BYTES)
        return tmb_bytes_of(NULL, 0);
    return tmb_bytes_of(entry->value.ptr + TMB_REGISTER_STAMP_BYTES,
                        entry->value.len - TMB_REGISTER_STAMP_BYTES);
}

tmb_err tmb_rule_register(const tmb_rule *rule)
{
    const tmb_change *change = rule->change;
    for (unsigned i = 0; i < rule->leaf->count; i++) {
        const tmb_entry *entry = &rule->leaf->entries[i];
        tmb_err err = tmb_rule_is_observed(rule, entry) ? tmb_rule_remove(rule, entry) : TMB_OK;
        if (err != TMB_OK)
            return err;
    }
    for (unsigned i = 0; i < TMB_REGISTER_STAMP_BYTES; i++)
        rule->room[i] = (uint8_t)(change->stamp.u64 >> (8 * (TMB_REGISTER_STAMP_BYTES - 1 - i)));
    if (change->value.len > 0)
        memcpy(rule->room + TMB_REGISTER_STAMP_BYTES, change->value.ptr, change->value.len);
    return tmb_rule_put(rule,
                        tmb_bytes_of(rule->room, TMB_REGISTER_STAMP_BYTES + change->value.len));
}

/* Stamp, actor, bytes; what is equal in all three was written twice by one: the later. */
static int read_cmp(const tmb_entry *a, const tmb_entry *b)
{
    uint64_t x = tmb_register_stamp(a).u64, y = tmb_register_stamp(b).u64;
    if (x != y)
        return x > y ? 1 : -1;
    int order = tmb_incarnation_cmp(&a->dot.actor, &b->dot.actor);
    if (order == 0)
        order = tmb_rule_cmp(tmb_register_bytes(a), tmb_register_bytes(b));
    return order != 0 ? order : tmb_dot_cmp(&a->dot, &b->dot);
}

const tmb_entry *tmb_register_read(const tmb_leaf *leaf)
{
    const tmb_entry *read = leaf->count > 0 ? &leaf->entries[0] : NULL;
    for (unsigned i = 1; i < leaf->count; i++)
        if (read_cmp(&leaf->entries[i], read) > 0)
            read = &leaf->entries[i];
    return read;
}
