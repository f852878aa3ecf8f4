// SPDX-License-Identifier: Apache-2.0
/* crdt/leaf.h - the one thing that is merged: a few dots, each with a value, and the join.
 *
 *   live = (a and b)  +  {d in a: b has not seen d}  +  {d in b: a has not seen d}
 *
 * A dot that only one side has is new to the other, or was removed there: the other's causal context tells
 * which. Removing leaves nothing behind. Every type of type.h is a rule for which entries a change puts and
 * which it removes, and a way to read what is left; a change is joined by the same function as what a
 * neighbour sends.
 *
 * What has been seen is given in two parts: the clock of the whole scope, and what is known of this leaf
 * beyond it (NULL: nothing).
 *
 * Values are borrowed. An entry's value is bound to its dot for ever; two values under one dot are a fork:
 * the greater bytes are kept, so that replicas agree, and the caller is told.
 * Source: Almeida, Shoker, Baquero 2018, section 7.3 (DotFun); Brown et al., "Big(ger) Sets", 2016 (one key
 * an element); Goncalves et al., "DottedDB", 2017 (one clock for all keys of a node).
 * Threads: none, values. Cost: one merge of the sorted entries, and a look into the context for each that
 * only one side has; no allocation.
 */
#ifndef TMB_CRDT_LEAF_H
#define TMB_CRDT_LEAF_H

#include "base/bytes.h"
#include "base/err.h"
#include "crdt/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Concurrent values of one leaf. One more: the change is refused and says that somebody has to write what he
 * has read; from a neighbour: malformed. */
#define TMB_SIBLINGS_MAX 64u

typedef struct tmb_entry {
    tmb_dot dot;
    tmb_bytes value;
} tmb_entry;

typedef struct tmb_leaf {
    unsigned count;
    tmb_entry entries[TMB_SIBLINGS_MAX]; /* by dot, each once */
} tmb_leaf;

/* What has been seen of a leaf: clock, and extra beyond it. Either may be NULL. */
typedef struct tmb_seen {
    const tmb_context *clock;
    const tmb_context *extra;
} tmb_seen;

static inline bool tmb_seen_has(tmb_seen seen, const tmb_dot *dot)
{
    return (seen.clock && tmb_context_has(seen.clock, dot)) ||
           (seen.extra && tmb_context_has(seen.extra, dot));
}

/* tmb_leaf_join writes the join of a and b to ret; ret may be neither of them. The entries of each side
 * must be seen by that side, which is not checked here: what comes from outside is checked where it is
 * decoded. ret_is_forked (may be NULL) tells that one dot had two values.
 * Errors: TMB_ELIMIT (more than TMB_SIBLINGS_MAX entries; ret is of no use). */
TMB_MUST_USE tmb_err tmb_leaf_join(const tmb_leaf *a, tmb_seen a_seen, const tmb_leaf *b,
                                   tmb_seen b_seen, tmb_leaf *ret, bool *ret_is_forked);

/* tmb_leaf_find gives the entry of dot, or NULL. */
const tmb_entry *tmb_leaf_find(const tmb_leaf *leaf, const tmb_dot *dot);

/* tmb_leaf_put adds an entry in its place. Errors: TMB_ELIMIT, TMB_EINVAL (the dot is there). */
TMB_MUST_USE tmb_err tmb_leaf_put(tmb_leaf *leaf, const tmb_entry *entry);

/* The one form of a leaf's entries, for fingerprints and for comparing replicas: varint count, each 16 actor,
 * varint seq, varint length, value. Whose clock covers everything, and who holds equal entries, has equal
 * bytes. get takes this form only; values point into the reader's bytes. Errors: TMB_ECORRUPT, TMB_ELIMIT. */
size_t tmb_leaf_size(const tmb_leaf *leaf);
void tmb_leaf_write(tmb_writer *w, const tmb_leaf *leaf);
TMB_MUST_USE tmb_err tmb_leaf_read(tmb_reader *r, tmb_leaf *leaf);

#ifdef __cplusplus
}
#endif
#endif
