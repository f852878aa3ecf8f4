// SPDX-License-Identifier: Apache-2.0
/* crdt/rule.h - what the files of the types share inside this folder: filling a delta.
 *
 *   type.c --the verb's family--> register.c, counter.c, set.c, extreme.c --> put, remove --> delta
 *
 * Threads: none, values. Cost: a pass over the leaf's entries.
 */
#ifndef TMB_CRDT_RULE_H
#define TMB_CRDT_RULE_H

#include "crdt/type.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One change on its way into a delta. */
typedef struct tmb_rule {
    tmb_type type;
    const tmb_change *change;
    const tmb_leaf *leaf;
    const tmb_context *observed; /* NULL: all of the leaf */
    const tmb_dot *dot;
    uint8_t *room;
    tmb_delta *delta;
} tmb_rule;

static inline bool tmb_rule_is_observed(const tmb_rule *rule, const tmb_entry *entry)
{
    return !rule->observed || tmb_context_has(rule->observed, &entry->dot);
}

/* put: the delta's one entry; value lives as long as the delta. remove: an entry that it takes away. */
TMB_MUST_USE tmb_err tmb_rule_put(const tmb_rule *rule, tmb_bytes value);
TMB_MUST_USE tmb_err tmb_rule_remove(const tmb_rule *rule, const tmb_entry *entry);

/* tmb_rule_empty removes what was observed and puts nothing: rm, disable, del. */
TMB_MUST_USE tmb_err tmb_rule_empty(const tmb_rule *rule);

TMB_MUST_USE tmb_err tmb_rule_register(const tmb_rule *rule); /* set */
TMB_MUST_USE tmb_err tmb_rule_counter(const tmb_rule *rule);  /* inc dec reset count */
TMB_MUST_USE tmb_err
tmb_rule_presence(const tmb_rule *rule); /* of sets, flags and maps, but removing */
TMB_MUST_USE tmb_err tmb_rule_extreme(const tmb_rule *rule); /* raise lower */

bool tmb_counter_is_valid(tmb_type type, tmb_bytes value);

/* The order of two values: of their bytes; what goes on is greater than where it began. */
static inline int tmb_rule_cmp(tmb_bytes a, tmb_bytes b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least > 0 ? memcmp(a.ptr, b.ptr, least) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

#ifdef __cplusplus
}
#endif
#endif
