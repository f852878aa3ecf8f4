// SPDX-License-Identifier: Apache-2.0
/* crdt/extreme.c - the greatest or least that anybody said: floors, high-water marks.
 *
 * A value that is beyond all that are there takes their place. One that is not changes nothing, takes no dot,
 * and so does not hold the leaf against a removal elsewhere at the same time: it is "if greater, write", and
 * was not greater. Tokens make no difference: whatever a client has read, the greatest stays.
 *
 * Follows: Almeida, Shoker, Baquero 2018, section 4 (a lattice's own join).
 * Differs: the values are entries with dots, rather than a bare maximum, so that a map with such a value in
 * it can be removed; values below the greatest that came from elsewhere at the same time stay until the next
 * change, for the case that the greatest is removed by somebody who has not seen them.
 */
#include "crdt/rule.h"

const tmb_entry *tmb_extreme_read(tmb_type type, const tmb_leaf *leaf)
{
    const tmb_entry *read = leaf->count > 0 ? &leaf->entries[0] : NULL;
    for (unsigned i = 1; i < leaf->count; i++) {
        int order = tmb_rule_cmp(leaf->entries[i].value, read->value);
        if (type == TMB_TYPE_MAX ? order > 0 : order < 0)
            read = &leaf->entries[i];
    }
    return read;
}

tmb_err tmb_rule_extreme(const tmb_rule *rule)
{
    tmb_bytes value = rule->change->value;
    if (!tmb_type_is_value_valid(rule->type, value))
        return TMB_EINVAL;
    const tmb_entry *read = tmb_extreme_read(rule->type, rule->leaf);
    int order = read ? tmb_rule_cmp(value, read->value) : 0;
    if (read && (rule->type == TMB_TYPE_MAX ? order <= 0 : order >= 0))
        return TMB_OK;
    for (unsigned i = 0; i < rule->leaf->count; i++) {
        tmb_err err = tmb_rule_remove(rule, &rule->leaf->entries[i]);
        if (err != TMB_OK)
            return err;
    }
    memcpy(rule->room, value.ptr, value.len);
    return tmb_rule_put(rule, tmb_bytes_of(rule->room, value.len));
}
