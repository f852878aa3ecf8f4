// SPDX-License-Identifier: Apache-2.0
/* crdt/set.c - what is there or is not: elements of sets, flags, and maps themselves.
 *
 *   aw_set, g_set, ew_flag, map     there while any entry is; entries have no value
 *   rw_set, dw_flag                 there while there are entries and each says 1; one that says 0 wins
 *
 * A change that puts an entry always puts it, whether or not the element is there already: without a dot of
 * its own it would fall to a removal that was made elsewhere at the same time and has not seen it. It takes
 * the place of what was observed, and of entries that say the same, observed or not: whoever comes to see the
 * new one has seen those too, so they could never be alone again. That keeps a leaf at one entry a writer,
 * whatever tokens clients come with.
 *
 * Follows: Bieniusa et al. 2012 (aw_set without tombstones); Almeida, Shoker, Baquero 2018, section 7.4-7.5
 * (rw_set, flags, presence of a map).
 * Differs: a leaf holds one element (Brown et al. 2016), so that a set has no size that a change could cost;
 * rw_set keeps "in" and "out" in one list of entries rather than two sets of dots; nothing here takes an
 * element out of a g_set, but its map can be removed, with it.
 */
#include "crdt/rule.h"

static const uint8_t OUT_IN[2] = {0, 1};

tmb_err tmb_rule_presence(const tmb_rule *rule)
{
    tmb_bytes value = tmb_bytes_of(NULL, 0);
    if (rule->type == TMB_TYPE_RW_SET || rule->type == TMB_TYPE_DW_FLAG) {
        tmb_verb verb = rule->change->verb;
        bool is_in = verb == TMB_VERB_ADMIT || verb == TMB_VERB_PERMIT;
        value = tmb_bytes_of(&OUT_IN[is_in], 1);
    }
    for (unsigned i = 0; i < rule->leaf->count; i++) {
        const tmb_entry *entry = &rule->leaf->entries[i];
        tmb_err err = TMB_OK;
        if (tmb_rule_is_observed(rule, entry) || tmb_bytes_eq(entry->value, value))
            err = tmb_rule_remove(rule, entry);
        if (err != TMB_OK)
            return err;
    }
    return tmb_rule_put(rule, value);
}

bool tmb_type_is_in(tmb_type type, const tmb_leaf *leaf)
{
    bool is_in = leaf->count > 0;
    if (type == TMB_TYPE_RW_SET || type == TMB_TYPE_DW_FLAG)
        for (unsigned i = 0; i < leaf->count; i++)
            is_in = is_in && tmb_bytes_eq(leaf->entries[i].value, tmb_bytes_of(&OUT_IN[1], 1));
    return is_in;
}
