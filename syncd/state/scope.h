// SPDX-License-Identifier: Apache-2.0
/* syncd/state/scope.h - one scope of state in a store: operations, joins, what is sent on, what is forgotten.
 *
 *   op ------------> delta --.                                .--> dirty paths, for whoever publishes values
 *                            +--> join --> leaf, index, clock-+
 *   chunk of LEAVES ---------'                                '--> chunks for neighbours (scan)
 *
 * A scope is one causal domain: a version vector (clock), leaves, an index from dots to leaves, and rows
 * about neighbours. Everything is read and written through a tmb_kv and nothing is kept between
 * transactions: a tmb_scope is loaded at the begin of one (tmb_scope_load) and written back before it is
 * committed (tmb_scope_save). What lies where is in docs/state-format.md.
 *
 * Rules, each of which a test breaks on purpose (tests named planted.*):
 *  - a dot is in the clock only if its effect, or what came after it, is in the leaves (chunks that are not
 *    complete do not raise the clock: their leaves carry extra context);
 *  - entries of the clock are never dropped;
 *  - a removal stays in the index until every active neighbour has acknowledged it; nothing is forgotten by
 *    time;
 *  - who holds the scope sends dots on as they came.
 * Sources: Goncalves et al. 2017 (DottedDB: node-wide clock, strip and fill), Enes et al. 2019 (what a
 * neighbour has is not sent to it), docs/adr/0028-passes-over-an-index-of-dots.md, 0029.
 *
 * Threads: none; one transaction at a time. Cost: an operation or a leaf of a chunk: one get and two to
 * four puts, whatever the size of the set; scan: one seek a dot and one get a leaf.
 */
#ifndef TMB_SYNCD_STATE_SCOPE_H
#define TMB_SYNCD_STATE_SCOPE_H

#include "base/rng.h"
#include "base/time.h"
#include "proto/frame.h"
#include "proto/leaves.h"
#include "syncd/state/kv.h"
#include "syncd/state/op.h"

/* Neighbours of one scope: parents with fall-backs, and children. One more: takes the place of the retired
 * one that was heard longest ago; nobody is retired: refused with TMB_ELIMIT. */
#define TMB_NEIGHBOURS_MAX 256u

/* What stands at twin/<device>/reported and below it is the owner's alone. Somebody else's op on it is
 * refused with TMB_VERDICT_OWNER; a del above it is not (a twin may be cleared away as a whole). In any other
 * place of a path the words mean nothing. */
#define TMB_TWIN_LEVEL  "twin"
#define TMB_OWNED_LEVEL "reported"

/* What a leaf is on disk at most: all its concurrent values with their dots, removals, and extra context. */
#define TMB_LEAF_BYTES_MAX (TMB_SIBLINGS_MAX * (TMB_REGISTER_BYTES_MAX + 128u) + 32768u)

#define TMB_STATE_CHAIN_BYTES 16u
#define TMB_FINGERPRINT_BYTES 16u
typedef struct tmb_fingerprint {
    uint64_t leaves; /* how many */
    /* The prints of all of them, added modulo 2^128, little-endian. */
    uint8_t sum[TMB_FINGERPRINT_BYTES];
} tmb_fingerprint;

/* Neighbours. */
typedef enum tmb_member {
    TMB_MEMBER_NONE = 0,
    TMB_MEMBER_ACTIVE,
    TMB_MEMBER_LAPSED, /* not waited for; comes back through reconciliation */
    TMB_MEMBER_RETIRED /* likewise, and somebody said so: its place is free */
} tmb_member;

/* Own past: the chain over all own changes up to own dot seq. */
typedef struct tmb_point {
    uint64_t seq;
    uint8_t chain[TMB_STATE_CHAIN_BYTES];
} tmb_point;

/* Kept of one's own past. One more: the oldest is forgotten, and tmb_scope_chain_at says TMB_ENOENT there. */
#define TMB_CHAINS_MAX 4096u

/* Its contexts point into it: not to be assigned; tmb_neighbour_init makes one with nothing in it. */
typedef struct tmb_neighbour {
    tmb_member state;
    int64_t heard_ms;     /* Unix time of its last frame; for lapsing and for people */
    tmb_incarnation self; /* its incarnation in this scope, as it said last; zero: never */
    uint64_t acked_own;   /* of our own dots: how far it has acknowledged */
    /* What it told of its own past, one for each chunk that was stored, the highest last, as many as a SCOPE
     * carries; tmb_neighbour_check adds one. By them a restored neighbour finds what it shares with us. */
    unsigned points_count;
    tmb_point points[TMB_POINTS_MAX];
    /* What it has for sure. */
    tmb_context acked;
    /* What we heard of it in a pass that is not over, and the clock that it had at that pass's last chunk: a
     * neighbour whose clock does not cover heard_clock was restored, and heard is void (tmb_scope_meet). */
    tmb_context heard, heard_clock;
    tmb_base acked_bases[TMB_ACTORS_MAX], heard_bases[TMB_ACTORS_MAX],
        heard_clock_bases[TMB_ACTORS_MAX];
} tmb_neighbour;

void tmb_neighbour_init(tmb_neighbour *neighbour);

/* tmb_neighbour_check adds a point; one that is not above the last does nothing. */
void tmb_neighbour_check(tmb_neighbour *neighbour, uint64_t seq,
                         const uint8_t chain[TMB_STATE_CHAIN_BYTES]);

/* What a leaf's record says. */
typedef struct tmb_leaf_record {
    tmb_leaf leaf;
    unsigned removals_count;
    /* Of this leaf, still in the index; by dot. */
    tmb_dot removals[TMB_SIBLINGS_MAX];
    tmb_context extra;            /* what is known of it that the clock does not cover */
    bool is_there, has_extra_row; /* on disk; there with extra context, covered or not */
    tmb_bytes raw, body;          /* the record, and the entries in it, as they are on disk */
    tmb_context_room room;
} tmb_leaf_record;

/* Where a scope works: 4.3 MiB, of which as much is ever touched as the leaves are large. Of use only
 * during a call; one may serve all scopes of a thread, one after the other. Zeroed by whoever allocates
 * it. */
typedef struct tmb_scope_room {
    tmb_leaf_record before, after;
    tmb_leaf_item item;
    tmb_leaves_state leaves;
    tmb_delta delta;
    tmb_context_room observed, ground;
    tmb_neighbour neighbour;
    uint8_t key[TMB_NAME_BYTES_MAX + 4 + TMB_LEAF_KEY_BYTES_MAX];
    uint8_t from[TMB_NAME_BYTES_MAX + 4 + TMB_LEAF_KEY_BYTES_MAX];
    uint8_t leaf_key[TMB_LEAF_KEY_BYTES_MAX + 1]; /* and one more, for what lies right behind */
    uint8_t dirty_path[TMB_PATH_BYTES_MAX];
    uint8_t small[24576];
    uint8_t value[TMB_REGISTER_BYTES_MAX + 64u];
    uint8_t bytes[TMB_LEAF_BYTES_MAX];
} tmb_scope_room;

typedef struct tmb_scope {
    const tmb_kv *kv;
    tmb_scope_room *room;
    char name[TMB_NAME_BYTES_MAX + 1];
    size_t name_len;
    tmb_incarnation self;
    uint64_t last; /* own dots given */
    uint8_t chain[TMB_STATE_CHAIN_BYTES];
    uint64_t saved_last; /* last, as the store has it */
    uint64_t exposed;    /* own dots that a neighbour may have seen */
    tmb_context clock, floor;
    tmb_base clock_bases[TMB_ACTORS_MAX], floor_bases[TMB_ACTORS_MAX];
    tmb_fingerprint fingerprint;
    uint64_t removals, extras; /* in the index; leaves with extra context */
    uint64_t dirty_last;       /* number of the change of a path that came last */
    uint64_t callers, calls;   /* callers remembered; numbered operations, ever */
    uint64_t kept_chain;       /* own dots below: their chains are forgotten */
    uint64_t chains;           /* kept of one's own past */
    size_t dirty_len;          /* room->dirty_path is dirty already in this transaction */
    bool is_new;               /* was not in the store */
    bool is_changed;           /* save has something to do */
    uint64_t changed_leaves;   /* since load: those whose value may read otherwise */
    uint64_t forks;            /* since load: dots that came with two values (tmb_leaf_join) */
} tmb_scope;

/* tmb_scope_load reads the scope's own row; a scope that is not there begins under incarnation fresh.
 * Everything that a scope gives out points into the kv, or into room.
 * Errors: of the kv; TMB_EINVAL (name), TMB_ECORRUPT, TMB_EVERSION. */
TMB_MUST_USE tmb_err tmb_scope_load(tmb_scope *scope, const tmb_kv *kv, tmb_scope_room *room,
                                    tmb_bytes name, tmb_incarnation fresh);
TMB_MUST_USE tmb_err tmb_scope_save(tmb_scope *scope);

/* tmb_scopes_next gives the first scope in the store whose name lies behind after (empty: the first).
 * ret_name lives until the next call to the kv. Errors: TMB_ENOENT (no more), of the kv. */
TMB_MUST_USE tmb_err tmb_scopes_next(const tmb_kv *kv, tmb_bytes after, tmb_bytes *ret_name);

/* tmb_scope_apply applies one operation, all of it or nothing. is_owner: this is the scope's own node (for
 * values that it alone may write). ret_text (may be NULL) gets a sentence for a refusal; static text.
 * Errors: of the kv alone; a refusal is TMB_OK and a verdict, and changes nothing, not even the caller's
 * number: he may ask again under the same. */
TMB_MUST_USE tmb_err tmb_scope_apply(tmb_scope *scope, const tmb_op *op, bool is_owner,
                                     tmb_verdict *ret_verdict, const char **ret_text);

/* A token: what a reader has seen of one path: version byte 1, 8 bytes of a hash over the leaves at path and
 * below (0 when made for a whole scope: path empty), the clock. An op with is_unchanged wants one of its own
 * path. tmb_scope_token writes at most TMB_TOKEN_BYTES_MAX. Errors: TMB_ELIMIT (cap), of the kv.
 * Cost: the leaves at path and below. */
#define TMB_TOKEN_BYTES_MAX (16u + TMB_ACTORS_MAX * 26u)
TMB_MUST_USE tmb_err tmb_scope_token(tmb_scope *scope, tmb_bytes path, uint8_t *out, size_t cap,
                                     size_t *ret_len);

/* Reading. tmb_scope_leaf gives a leaf (count 0: not there); values live until the next call to the kv.
 * tmb_scope_next gives the first leaf with something in it whose key lies behind after (NULL: from the first;
 * may be what was given last), within path and what is below it when path is not empty.
 * Errors: TMB_ENOENT (no more), of the kv, TMB_ECORRUPT. */
TMB_MUST_USE tmb_err tmb_scope_leaf(tmb_scope *scope, const tmb_leaf_key *key, tmb_leaf *ret_leaf);
TMB_MUST_USE tmb_err tmb_scope_next(tmb_scope *scope, tmb_bytes path, const tmb_leaf_key *after,
                                    tmb_leaf_key *ret_key, tmb_leaf *ret_leaf);

/* Paths whose value has changed since somebody said they were published. next: the first behind after
 * (empty: the first; may be what was given last); done: forget it, unless it changed again since its number
 * was read. Errors: TMB_ENOENT (no more), of the kv. */
TMB_MUST_USE tmb_err tmb_scope_dirty_next(tmb_scope *scope, tmb_bytes after, tmb_bytes *ret_path,
                                          uint64_t *ret_number);
TMB_MUST_USE tmb_err tmb_scope_dirty_done(tmb_scope *scope, tmb_bytes path, uint64_t number);
/* tmb_scope_dirty makes path dirty: what is said about it depends on more than its leaves. */
TMB_MUST_USE tmb_err tmb_scope_dirty(tmb_scope *scope, tmb_bytes path);
/* All paths become dirty: the broker has lost its retained messages. Cost: all leaves. */
TMB_MUST_USE tmb_err tmb_scope_dirty_all(tmb_scope *scope);

/* Sending. tmb_scope_scan writes a chunk for a neighbour that has seen from: the leaves of every indexed
 * dot not in from, in the order of dots, each leaf once, up to bytes_max (at least one leaf; out has room
 * for cap). to (room for all actors, not from itself) becomes from and what the chunk holds; is_complete:
 * that is all there is, and the clock is the chunk's context, as it is of every chunk.
 * is_held: the caller does not complete the pass before ranges were compared (syncd/state/sync.h), so from
 * may be below the floor. A neighbour that has nothing yet is no exception: another one may bring it a leaf
 * that was removed and forgotten here.
 * Own dots are noted as seen by somebody: save and commit before the chunk leaves.
 * Errors: of the kv; TMB_EGAP (from is below the floor: entries for removals that the neighbour lacks are
 * gone, compare ranges; never with is_held), TMB_ELIMIT (a leaf larger than cap, actors). */
typedef struct tmb_chunk {
    size_t bytes; /* of leaves, as proto/leaves.h writes them */
    unsigned leaves;
    bool is_complete;
} tmb_chunk;
TMB_MUST_USE tmb_err tmb_scope_scan(tmb_scope *scope, const tmb_context *from, bool is_held,
                                    size_t bytes_max, tmb_actors *actors, uint8_t *out, size_t cap,
                                    tmb_context *to, tmb_chunk *ret_chunk);

/* tmb_scope_is_below_floor says whether somebody who has seen seen may lack a removal that was forgotten
 * here. */
bool tmb_scope_is_below_floor(const tmb_scope *scope, const tmb_context *seen);

/* tmb_scope_item gives one leaf as it would be sent, for a reconciliation that has found its key; count 0 and
 * no removals when it is not there. Points into room. Errors: of the kv, TMB_ECORRUPT. */
TMB_MUST_USE tmb_err tmb_scope_item(tmb_scope *scope, tmb_bytes key, tmb_leaf_item *ret);

/* Receiving. tmb_scope_join_chunk joins the leaves of a chunk whose context is ctx. A complete one raises
 * the clock to cover ctx and ends the neighbour's pass; one that is not leaves extra context, and heard is
 * kept for the neighbour, with ctx (heard NULL: nothing is noted; a neighbour that was never put is made
 * active). may_write: else dots that are new here are refused (TMB_EDENIED): the neighbour may only read this
 * scope. ret_leaves: how many changed.
 * Errors: of the kv; TMB_ECORRUPT (bytes), TMB_EDENIED, TMB_EGAP (ctx has own dots that were not given here:
 * this store was restored, or cloned; reincarnate first), TMB_ELIMIT (actors of the clock, entries of a
 * leaf). After an error the caller drops the transaction and loads anew. */
TMB_MUST_USE tmb_err tmb_scope_join_chunk(tmb_scope *scope, tmb_bytes neighbour, tmb_bytes leaves,
                                          const tmb_actors *actors, const tmb_context *ctx,
                                          bool is_complete, const tmb_context *heard,
                                          bool may_write, unsigned *ret_leaves);

/* tmb_scope_is_ahead tells whether a leaf holds dots that ctx covers and the clock does not yet, and that
 * came without what the one who says ctx knows of the leaf: from somebody else. Cost: the leaves with extra
 * context. Errors: of the kv, TMB_ECORRUPT. */
TMB_MUST_USE tmb_err tmb_scope_is_ahead(tmb_scope *scope, const tmb_context *ctx, bool *ret);

/* get gives TMB_ENOENT for one never put. next: the first behind after (empty: the first). put makes room for
 * one that is too many by the row of a retired one, or refuses it with TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_scope_neighbour_get(tmb_scope *scope, tmb_bytes name, tmb_neighbour *ret);
TMB_MUST_USE tmb_err tmb_scope_neighbour_put(tmb_scope *scope, tmb_bytes name,
                                             const tmb_neighbour *neighbour);
TMB_MUST_USE tmb_err tmb_scope_neighbour_next(tmb_scope *scope, tmb_bytes after,
                                              tmb_bytes *ret_name, tmb_neighbour *ret);

/* tmb_scope_meet is for when a neighbour has said where it stands: incarnation, clock, and its floor (may be
 * NULL: none). It becomes active, acked is what it says now (less than before, if it was restored), and what
 * was heard of it is void when its clock has gone back or its incarnation is another. Where our clock does
 * not reach its floor, our floor rises to it: what we adopt of it has no entries for those removals, here
 * neither. is_below (may be NULL): it is below our floor.
 * Whose state is not active by then (it lapsed during a pass) may not complete the pass: meet again.
 * Errors: of the kv, TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_scope_meet(tmb_scope *scope, tmb_bytes name, const tmb_incarnation *self,
                                    const tmb_context *clock, const tmb_context *floor,
                                    int64_t now_ms, bool *ret_is_below);

/* tmb_scope_raise_floor joins floor to ours: of the one whose clock is adopted after ranges were compared, in
 * the same transaction. Errors: TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_scope_raise_floor(tmb_scope *scope, const tmb_context *floor);

/* tmb_scope_acked notes that a neighbour has acked, durably; what every active one has is forgotten, up to
 * TMB_FORGET_AT_ONCE leaves (tmb_scope_forget does that alone, at most leaves_max a call, and drops extra
 * context that the clock covers; ret_forgotten: what it did; less than leaves_max: nothing is left that can
 * go). An empty leaf that is ahead of the clock keeps its removals. Cost of forget: one look at each of
 * these, too. */
#define TMB_FORGET_AT_ONCE 1024u
TMB_MUST_USE tmb_err tmb_scope_acked(tmb_scope *scope, tmb_bytes name, const tmb_context *acked,
                                     int64_t now_ms);
TMB_MUST_USE tmb_err tmb_scope_forget(tmb_scope *scope, unsigned leaves_max,
                                      unsigned *ret_forgotten);

/* tmb_scope_lapse makes active neighbours lapse that were not heard for lapse_ms, or that keep more than
 * unstable_max removals from being forgotten. */
TMB_MUST_USE tmb_err tmb_scope_lapse(tmb_scope *scope, int64_t now_ms, int64_t lapse_ms,
                                     uint64_t unstable_max, unsigned *ret_lapsed);

/* tmb_scope_retire: somebody has said that the neighbour does not come back. It is not waited for any more
 * (tmb_scope_forget then forgets what it alone held back), and its place is free. Its row stays until the
 * place is needed: by it a copy of its box is told from it, should one come. If it does come it is met like
 * one that lapsed, and active again. Errors: TMB_ENOENT (no such neighbour), of the kv.
 *
 * tmb_scope_behind: changes known here that it has not acknowledged. tmb_scope_held_back: removals that are
 * kept for it, counted up to limit; none for who is not active. Errors: of the kv. Cost: one seek for each
 * actor and removal. */
TMB_MUST_USE tmb_err tmb_scope_retire(tmb_scope *scope, tmb_bytes name);
uint64_t tmb_scope_behind(const tmb_scope *scope, const tmb_neighbour *neighbour);
TMB_MUST_USE tmb_err tmb_scope_held_back(tmb_scope *scope, const tmb_neighbour *neighbour,
                                         uint64_t limit, uint64_t *ret_held);

/* Own past. tmb_scope_chain_at gives the chain at own dot seq, which is where a transaction ended that a
 * neighbour may have seen. Errors: TMB_ENOENT (seq is 0, or not kept any more: every active neighbour has
 * acknowledged more; nothing can be said), TMB_EGAP (nothing that was sent from here ended there: a clone
 * or a past that was restored away), of the kv. */
TMB_MUST_USE tmb_err tmb_scope_chain_at(tmb_scope *scope, uint64_t seq,
                                        uint8_t ret_chain[TMB_STATE_CHAIN_BYTES]);

/* tmb_scope_start is called once for each scope after the store was opened, before anything else: what it
 * holds of its own may have been sent by whoever had it open before. */
void tmb_scope_start(tmb_scope *scope);

/* tmb_scope_reincarnate goes on under incarnation fresh: own dots above common are given anew under it,
 * counters with what was counted by them alone (common below kept_chain: with what is known of that); the
 * clock's entry of the old one goes back to common, to be heard again from whoever has it, and nothing that
 * was heard of unfinished passes counts any more. common >= last: nothing is given anew.
 * Errors: of the kv, TMB_ELIMIT (actors). Cost: the own dots above common, and leaves with extra context. */
TMB_MUST_USE tmb_err tmb_scope_reincarnate(tmb_scope *scope, tmb_incarnation fresh,
                                           uint64_t common);

/* Ranges: prints of leaves, XXH3-128 of entries under a seed that is XXH3-64 of the key, and their sum over
 * all leaves with first <= key < end (end empty: to the last), keys as tmb_leaf_key_write has them.
 * tmb_scope_print_next gives the first leaf in the range; ret_key lives until the next call to the kv.
 * Errors: TMB_ENOENT (no more), of the kv, TMB_ECORRUPT. */
TMB_MUST_USE tmb_err tmb_scope_range(tmb_scope *scope, tmb_bytes first, tmb_bytes end,
                                     tmb_fingerprint *ret);
TMB_MUST_USE tmb_err tmb_scope_print_next(tmb_scope *scope, tmb_bytes first, tmb_bytes end,
                                          tmb_bytes *ret_key,
                                          uint8_t ret_print[TMB_FINGERPRINT_BYTES]);

/* Sums of prints, for whoever goes through print_next himself. */
void tmb_fingerprint_add(tmb_fingerprint *sum, const uint8_t print[TMB_FINGERPRINT_BYTES]);
void tmb_fingerprint_take(tmb_fingerprint *sum, const uint8_t print[TMB_FINGERPRINT_BYTES]);
bool tmb_fingerprint_eq(const tmb_fingerprint *a, const tmb_fingerprint *b);

#endif
