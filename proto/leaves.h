// SPDX-License-Identifier: Apache-2.0
/* proto/leaves.h - leaves of state as they travel: keys, entries, removals; actors by their place in a table.
 *
 *   leaf      varint shared    bytes of the key that are the previous leaf's
 *             slice rest       the others
 *             varint count     entries: each varint actor, varint seq, slice value
 *             varint count     removals: each varint actor, varint seq
 *             varint bases     what is known of this leaf beyond the chunk's context (a leaf of a pass that
 *                              is not over yet): each varint actor, varint seq
 *             varint runs      likewise: each varint actor, varint first, varint last
 *                              Both are 0 as a rule. Without them a dot that was removed here before the
 *                              clock covers it would live on at whoever got it by another road.
 *   key       path, 0, type, element
 *
 * An actor is said once in a frame: first those of its ctx, in order, then more (LEAVES.actors). Numbers
 * never leave the frame, so none that is lost makes another one mean something else.
 * Threads: none, values. Cost: one pass.
 */
#ifndef TMB_PROTO_LEAVES_H
#define TMB_PROTO_LEAVES_H

#include "crdt/leaf.h"
#include "crdt/type.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As syncd/state/op.h has them for operations; what is longer, or deeper, from outside: malformed. */
#define TMB_LEAF_PATH_LEVELS_MAX 12u
#define TMB_LEAF_PATH_BYTES_MAX  512u
#define TMB_LEAF_ELEM_BYTES_MAX  1024u
#define TMB_LEAF_KEY_BYTES_MAX   (TMB_LEAF_PATH_BYTES_MAX + 2u + TMB_LEAF_ELEM_BYTES_MAX)

typedef struct tmb_leaf_key {
    tmb_bytes path;
    tmb_type type;
    tmb_bytes elem; /* empty but for sets */
} tmb_leaf_key;

/* tmb_leaf_key_write gives the length; out has room for TMB_LEAF_KEY_BYTES_MAX.
 * tmb_leaf_key_read: TMB_ECORRUPT for what is no key. */
size_t tmb_leaf_key_write(const tmb_leaf_key *key, uint8_t *out);
TMB_MUST_USE tmb_err tmb_leaf_key_read(tmb_bytes bytes, tmb_leaf_key *ret);

/* The actors of one frame. */
typedef struct tmb_actors {
    unsigned count;
    tmb_incarnation actors[TMB_ACTORS_MAX];
} tmb_actors;

/* tmb_actors_number gives the place of actor, adding it when it is new. Errors: TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_actors_number(tmb_actors *actors, const tmb_incarnation *actor,
                                       unsigned *ret_number);

/* One leaf on its way. */
typedef struct tmb_leaf_item {
    tmb_leaf_key key;
    tmb_leaf leaf;
    unsigned removals_count;
    tmb_dot removals[TMB_SIBLINGS_MAX]; /* by dot */
    const tmb_context *extra; /* NULL: nothing beyond the chunk's; after get: in the state */
} tmb_leaf_item;

/* What the previous leaf of a list leaves behind; zeroed before the first. */
typedef struct tmb_leaves_state {
    uint8_t key[TMB_LEAF_KEY_BYTES_MAX];
    size_t key_len;
    tmb_context extra;
    tmb_context_room extra_room;
} tmb_leaves_state;

/* tmb_leaves_put writes one more leaf; w goes bad when there is no room (then nothing of use was written, and
 * neither state nor actors have changed). Errors: TMB_ELIMIT (no room, or too many actors). */
TMB_MUST_USE tmb_err tmb_leaves_put(tmb_writer *w, tmb_leaves_state *state, tmb_actors *actors,
                                    const tmb_leaf_item *item);

/* tmb_leaves_get reads one; slices point into the reader's bytes and into state. Every value is one that its
 * type can have. Errors: TMB_EAGAIN (the end), TMB_ECORRUPT, TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_leaves_get(tmb_reader *r, tmb_leaves_state *state,
                                    const tmb_actors *actors, tmb_leaf_item *ret);

#ifdef __cplusplus
}
#endif
#endif
