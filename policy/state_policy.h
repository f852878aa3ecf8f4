// SPDX-License-Identifier: Apache-2.0
/* policy/state_policy.h - which scopes of state this node holds, and what its children may do with them.
 *
 *   scopes   [ line-7, "press-*" ]          held here; a name, or the beginning of names and a "*"
 *   read_only  [ fleet ]                     of these, those that its clients do not change
 *   share    { scope, children, write }     which children get a scope that is not their own
 *
 * A child's own scope has its name: it reads and writes that one at any parent which holds it. Of the entries
 * of share the first that matches both scope and child counts.
 * Threads: any, read only. Cost: a walk over the lists; no allocation.
 */
#ifndef TMB_POLICY_STATE_POLICY_H
#define TMB_POLICY_STATE_POLICY_H

#include "base/bytes.h"
#include "base/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Entries of state.scopes, and of state.share. More: refused by the configuration. */
#define TMB_STATE_SCOPES_MAX 64
#define TMB_STATE_SHARES_MAX 64

/* A name, or the beginning of names and a "*"; "*" alone is all. */
typedef struct tmb_name_pattern {
    char text[TMB_NAME_BYTES_MAX + 2];
} tmb_name_pattern;

typedef struct tmb_state_scopes {
    unsigned count;
    tmb_name_pattern v[TMB_STATE_SCOPES_MAX];
} tmb_state_scopes;

typedef struct tmb_state_share {
    tmb_name_pattern scope, children;
    bool write; /* else they read */
} tmb_state_share;

typedef struct tmb_state_shares {
    unsigned count;
    tmb_state_share v[TMB_STATE_SHARES_MAX];
} tmb_state_shares;

typedef struct tmb_state_policy {
    char *root;                 /* "state": the first level of its topics */
    tmb_state_scopes scopes;    /* none: this node has no state */
    tmb_state_scopes read_only; /* of these, those in which this node's clients change nothing */
    tmb_state_shares shares;
    int64_t lapse_after_ms; /* 30 d: a neighbour that was not heard for so long is not waited for */
    uint64_t unstable_max; /* 1,000,000 removals kept for neighbours; at more, those behind lapse */
    uint64_t value_max;    /* 256 KiB: a larger value is published as a stand-in */
    bool protobuf;         /* values also as protobuf, on <path>/pb */
} tmb_state_policy;

static inline bool tmb_state_is_on(const tmb_state_policy *policy)
{
    return policy->scopes.count > 0;
}

/* tmb_name_is_word says whether text is a name of 1 to TMB_NAME_BYTES_MAX bytes: [a-z0-9][a-z0-9._-]*. */
bool tmb_name_is_word(tmb_bytes text);

/* tmb_name_pattern_is_valid: a name, or up to TMB_NAME_BYTES_MAX of its letters and a "*". */
bool tmb_name_pattern_is_valid(tmb_bytes text);
bool tmb_name_pattern_matches(const tmb_name_pattern *pattern, tmb_bytes name);

/* tmb_name_pattern_covers says whether outer matches every name that inner matches. */
bool tmb_name_pattern_covers(const tmb_name_pattern *outer, const tmb_name_pattern *inner);

/* tmb_state_holds says whether this node holds the scope called name. */
bool tmb_state_holds(const tmb_state_policy *policy, tmb_bytes name);

/* tmb_state_writes says whether it holds it and its clients may change it. */
bool tmb_state_writes(const tmb_state_policy *policy, tmb_bytes name);

typedef enum tmb_state_right {
    TMB_STATE_RIGHT_NONE = 0,
    TMB_STATE_RIGHT_READ,
    TMB_STATE_RIGHT_WRITE /* and read */
} tmb_state_right;

/* tmb_state_right_of_child says what the child may do with a scope here; none when it is not held. */
tmb_state_right tmb_state_right_of_child(const tmb_state_policy *policy, tmb_bytes child,
                                         tmb_bytes scope);

#ifdef __cplusplus
}
#endif
#endif
