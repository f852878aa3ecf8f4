// SPDX-License-Identifier: Apache-2.0
/* syncd/state/scope.h - one scope of state in a store: operations, joins, what is sent on, what may be
 * forgotten.
 *
 *   op ------------> delta --.                                .--> dirty paths, for whoever publishes values
 *                            +--> join --> leaf, index, clock-+
 *   chunk of LEAVES ---------'                                '--> chunks for neighbours (scan)
 *
 * A scope is one causal domain: a version vector (clock), leaves, an index from dots to leaves, and rows
 * about
 * neighbours. Everything is read and written through a tmb_kv and nothing is kept between transactions but
 * this
 * struct, which is loaded at the begin of one (tmb_scope_load) and written back at its end (tmb_scope_save).
 *
 * Rules, each of which a test breaks on purpose (tests named planted.*):
 *  - a dot is in the clock only if its effect, or what came after it, is in the leaves (chunks that are not
 *    complete do not raise the clock: their leaves carry extra context);
 *  - entries of the clock are never dropped;
 *  - a removal stays in the index until every active neighbour has acknowledged it; nothing is forgotten by
 *  time;
 *  - who holds the scope sends dots on as they came.
 * Sources: Goncalves et al. 2017 (DottedDB: node-wide clock, strip and fill), Enes et al. 2019 (what a
 * neighbour
 * has is not sent to it), docs/adr/0028-passes-over-an-index-of-dots.md.
 *
 * Threads: none; one transaction at a time. Cost: an operation or a leaf of a chunk: one get and two to
 * four puts,
 * whatever the size of the set; scan: one seek a dot and one get a leaf.
 */
#ifndef TMB_SYNCD_STATE_SCOPE_H
#define TMB_SYNCD_STATE_SCOPE_H

#include "base/rng.h"
#include "base/time.h"
#include "proto/leaves.h"
#include "syncd/state/kv.h"
#include "syncd/state/op.h"

/* Neighbours of one scope: parents with fall-backs, and children. More: refused with TMB_ELIMIT. */
#define TMB_NEIGHBOURS_MAX 256u

#define TMB_FINGERPRINT_BYTES 16u
typedef struct tmb_fingerprint {
    uint64_t leaves; /* how many */
    uint8_t
        sum[TMB_FINGERPRINT_BYTES]; /* of XXH3-128 of key and entries of each, added modulo 2^128 */
} tmb_fingerprint;

typedef struct tmb_scope {
    const tmb_kv *kv;
    char name[TMB_NAME_BYTES_MAX + 1];
    tmb_incarnation self;
    uint64_t last; /* own dots given */
    uint8_t chain[16];
    tmb_context clock, floor;
    tmb_base clock_bases[TMB_ACTORS_MAX], floor_bases[TMB_ACTORS_MAX];
    tmb_fingerprint fingerprint;
    bool is_changed;         /* save has something to do */
    uint64_t changed_leaves; /* since load */
} tmb_scope;

/* tmb_scope_load reads the scope's own row; a scope that is not there begins under incarnation fresh.
 * Errors: of the kv; TMB_ECORRUPT, TMB_EVERSION. */
TMB_MUST_USE tmb_err tmb_scope_load(tmb_scope *scope, const tmb_kv *kv, tmb_bytes name,
                                    tmb_incarnation fresh);
TMB_MUST_USE tmb_err tmb_scope_save(tmb_scope *scope);

/* tmb_scope_apply applies one operation, all of it or nothing. is_owner: this is the scope's own node (for
 * values that it alone may write). ret_text (may be NULL) gets a sentence for a refusal; static text.
 * Errors: of the kv alone; a refusal is TMB_OK and a verdict, and changes nothing but the caller's number. */
TMB_MUST_USE tmb_err tmb_scope_apply(tmb_scope *scope, const tmb_op *op, bool is_owner,
                                     tmb_verdict *ret_verdict, const char **ret_text);

/* A token: what a reader has seen of one path: version byte 1, 8 bytes of a hash over path's leaves (0 when
 * made
 * for a whole scope), the clock. tmb_scope_token writes at most TMB_TOKEN_BYTES_MAX. */
#define TMB_TOKEN_BYTES_MAX (16u + TMB_ACTORS_MAX * 26u)
TMB_MUST_USE tmb_err tmb_scope_token(tmb_scope *scope, tmb_bytes path, uint8_t *out, size_t cap,
                                     size_t *ret_len);

/* Reading. tmb_scope_leaf gives a leaf (count 0: not there); values live until the next call to the kv.
 * tmb_scope_next gives the first leaf whose key lies behind after (NULL: from the first), within path and
 * what
 * is below it when path is not empty. Errors: TMB_ENOENT (no more), of the kv. */
TMB_MUST_USE tmb_err tmb_scope_leaf(tmb_scope *scope, const tmb_leaf_key *key, tmb_leaf *ret_leaf);
TMB_MUST_USE tmb_err tmb_scope_next(tmb_scope *scope, tmb_bytes path, const tmb_leaf_key *after,
                                    tmb_leaf_key *ret_key, tmb_leaf *ret_leaf);

/* Paths whose value has changed since somebody said they were published. next: the first behind after
 * (empty: the
 * first); done: forget it, unless it changed again since its number was read. */
TMB_MUST_USE tmb_err tmb_scope_dirty_next(tmb_scope *scope, tmb_bytes after, tmb_bytes *ret_path,
                                          uint64_t *ret_number);
TMB_MUST_USE tmb_err tmb_scope_dirty_done(tmb_scope *scope, tmb_bytes path, uint64_t number);
/* All paths become dirty: the broker has lost its retained messages. */
TMB_MUST_USE tmb_err tmb_scope_dirty_all(tmb_scope *scope);

/* Sending. tmb_scope_scan writes a chunk for a neighbour that has seen from: the leaves of every indexed
 * dot not in
 * from, in the order of dots, up to bytes_max (at least one leaf). to (room for all actors) becomes from and
 * what the chunk holds; *ret_is_complete: that is all there is, and the chunk's context is the clock. */
typedef struct tmb_chunk {
    size_t bytes; /* of leaves, as proto/leaves.h writes them */
    unsigned leaves;
    bool is_complete;
} tmb_chunk;
TMB_MUST_USE tmb_err tmb_scope_scan(tmb_scope *scope, const tmb_context *from, size_t bytes_max,
                                    tmb_actors *actors, uint8_t *out, size_t cap, tmb_context *to,
                                    tmb_chunk *ret_chunk);

/* Receiving. tmb_scope_join_chunk joins the leaves of a chunk whose context is ctx. A complete one raises
 * the clock
 * to cover ctx; one that is not leaves extra context, and heard is kept for the neighbour (NULL: nothing).
 * may_write: else dots that are new here are refused (TMB_EDENIED, nothing is changed): the neighbour may
 * only
 * read this scope. Errors: of the kv; TMB_ECORRUPT (bytes; nothing is changed if the caller drops the
 * transaction), TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_scope_join_chunk(tmb_scope *scope, tmb_bytes neighbour, tmb_bytes leaves,
                                          const tmb_actors *actors, const tmb_context *ctx,
                                          bool is_complete, const tmb_context *heard,
                                          bool may_write, unsigned *ret_leaves);

/* Neighbours. */
typedef enum tmb_member {
    TMB_MEMBER_NONE = 0,
    TMB_MEMBER_ACTIVE,
    TMB_MEMBER_LAPSED, /* not waited for; comes back through reconciliation */
    TMB_MEMBER_RETIRED /* somebody said it does not come back */
} tmb_member;

typedef struct tmb_neighbour {
    tmb_member state;
    int64_t heard_ms;     /* Unix time of its last frame; for lapsing and for people */
    tmb_incarnation self; /* its incarnation in this scope, as it said last; zero: never */
    uint64_t self_seq;    /* what is held of its incarnation, and the chain there as it told it */
    uint8_t self_chain[16];
    uint64_t acked_own; /* of our own dots: how far it has acknowledged */
    tmb_context acked,
        heard; /* what it has for sure; what we heard of it in a pass that is not over */
    tmb_base acked_bases[TMB_ACTORS_MAX], heard_bases[TMB_ACTORS_MAX];
} tmb_neighbour;

/* get gives TMB_ENOENT for one never put. list: the first behind after (empty: the first). */
TMB_MUST_USE tmb_err tmb_scope_neighbour_get(tmb_scope *scope, tmb_bytes name, tmb_neighbour *ret);
TMB_MUST_USE tmb_err tmb_scope_neighbour_put(tmb_scope *scope, tmb_bytes name,
                                             const tmb_neighbour *neighbour);
TMB_MUST_USE tmb_err tmb_scope_neighbour_next(tmb_scope *scope, tmb_bytes after,
                                              tmb_bytes *ret_name, tmb_neighbour *ret);

/* tmb_scope_acked notes that a neighbour has acked, durably; what every active one has is forgotten
 * (tmb_scope_forget does that alone, at most leaves_max removals a call). */
TMB_MUST_USE tmb_err tmb_scope_acked(tmb_scope *scope, tmb_bytes name, const tmb_context *acked,
                                     int64_t now_ms);
TMB_MUST_USE tmb_err tmb_scope_forget(tmb_scope *scope, unsigned leaves_max,
                                      unsigned *ret_forgotten);

/* tmb_scope_lapse makes active neighbours lapse that were not heard for lapse_ms, or all that are behind
 * while
 * the index holds more than unstable_max removals. */
TMB_MUST_USE tmb_err tmb_scope_lapse(tmb_scope *scope, int64_t now_ms, int64_t lapse_ms,
                                     uint64_t unstable_max, unsigned *ret_lapsed);

/* Own past. tmb_scope_chain_at gives the chain at own dot seq; TMB_ENOENT when it is not kept any more (every
 * active neighbour has acknowledged it) or not given yet. */
TMB_MUST_USE tmb_err tmb_scope_chain_at(tmb_scope *scope, uint64_t seq, uint8_t ret_chain[16]);

/* tmb_scope_reincarnate goes on under incarnation fresh: own dots above common are given anew under it,
 * counters
 * with what was counted by them alone; the clock's entry of the old one goes back to common, to be heard
 * again
 * from whoever has it. Cost: the own dots above common. */
TMB_MUST_USE tmb_err tmb_scope_reincarnate(tmb_scope *scope, tmb_incarnation fresh,
                                           uint64_t common);

/* Ranges: the fingerprint of all leaves with first <= key < end (end empty: to the last), keys as
 * tmb_leaf_key_write has them. */
TMB_MUST_USE tmb_err tmb_scope_range(tmb_scope *scope, tmb_bytes first, tmb_bytes end,
                                     tmb_fingerprint *ret);

#endif
