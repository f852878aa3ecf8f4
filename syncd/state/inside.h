// SPDX-License-Identifier: Apache-2.0
/* syncd/state/inside.h - what the files of a scope share: keys, rows, records, and the one way into a leaf.
 *
 *   scope.c          load, save, the scope's own row        scope_read.c    reading, tokens, dirty paths
 *   scope_apply.c    operations                             scope_scan.c    chunks out
 *   scope_leaf.c     records, the join path                 scope_join.c    chunks in
 *   scope_index.c    dots, removals                         neighbours.c    rows of neighbours
 *   keys.c           keys                                   forget.c        what all have acked
 *   fingerprint.c    prints, chains                         own_past.c      chains, counters' past
 *   op.c             words                                  reincarnate.c   going on under another name
 *
 * Inner header of this room. Threads: none.
 */
#ifndef TMB_SYNCD_STATE_INSIDE_H
#define TMB_SYNCD_STATE_INSIDE_H

#include "base/varint.h"
#include "syncd/state/scope.h"

#define TMB_ROW_VERSION 1u

/* What a key is of: the byte behind the scope's name and a 0. */
enum {
    TMB_ROW_SCOPE = 'm',     /* the scope itself */
    TMB_ROW_NEIGHBOUR = 'n', /* name */
    TMB_ROW_LEAF = 'l',      /* key of the leaf */
    TMB_ROW_DOT = 'd',       /* actor, seq: to which leaf it belongs */
    TMB_ROW_REMOVAL = 'r',   /* actor, seq: of those the removals */
    TMB_ROW_CHAIN = 'c',     /* seq: the chain of own changes there */
    TMB_ROW_COUNT = 'k',     /* seq: what an own counter was before */
    TMB_ROW_PATH = 'p',      /* path that is dirty */
    TMB_ROW_EXTRA = 'x',     /* key of a leaf with extra context */
    TMB_ROW_CALLER = 'u',    /* run of a caller */
    TMB_ROW_STRIP = 's',     /* where strip goes on */
    TMB_ROW_CALL = 'h'       /* number of a call: whose */
};

/* Keys. key makes one in room->key, from in room->from; the tail is copied. */
tmb_bytes tmb_scope_key(tmb_scope *scope, char row, tmb_bytes tail);
tmb_bytes tmb_scope_key_dot(tmb_scope *scope, char row, const tmb_dot *dot);
tmb_bytes tmb_scope_key_seq(tmb_scope *scope, char row, uint64_t seq);
#define TMB_DOT_KEY_BYTES (TMB_INCARNATION_BYTES + 8u)
tmb_err tmb_dot_read(tmb_bytes tail, tmb_dot *ret);
tmb_err tmb_seq_read(tmb_bytes tail, uint64_t *ret);

/* tmb_scope_seek gives the first row of the kind whose tail is at or behind from, its tail and its value;
 * they live until the next call to the kv. is_behind: behind from. Errors: TMB_ENOENT (none of the kind),
 * of the kv. */
TMB_MUST_USE tmb_err tmb_scope_seek(tmb_scope *scope, char row, tmb_bytes from, bool is_behind,
                                    tmb_bytes *ret_tail, tmb_bytes *ret_value);
TMB_MUST_USE tmb_err tmb_scope_seek_dot(tmb_scope *scope, char row, const tmb_dot *from,
                                        tmb_dot *ret_dot, tmb_bytes *ret_value);

static inline tmb_err tmb_scope_get(tmb_scope *scope, tmb_bytes key, tmb_bytes *ret_value)
{
    return scope->kv->get(scope->kv->arg, key, ret_value);
}

static inline tmb_err tmb_scope_put(tmb_scope *scope, tmb_bytes key, tmb_bytes value)
{
    return scope->kv->put(scope->kv->arg, key, value);
}

static inline tmb_err tmb_scope_del(tmb_scope *scope, tmb_bytes key)
{
    return scope->kv->del(scope->kv->arg, key);
}

/* The version byte that each row begins with: TMB_ECORRUPT without one, TMB_EVERSION for another. */
TMB_MUST_USE tmb_err tmb_row_begin(tmb_reader *r, tmb_bytes value);
tmb_incarnation tmb_get_incarnation(tmb_reader *r);
void tmb_put_incarnation(tmb_writer *w, const tmb_incarnation *incarnation);

/* Contexts. tmb_context_prune drops from c what ground covers: bases and runs that lie within its bases. */
void tmb_context_prune(tmb_context *c, const tmb_context *ground);

/* Leaves. get gives TMB_OK and an empty record for one that is not there; values and body point into the kv.
 * Extra context that the clock covers is gone from the record. */
TMB_MUST_USE tmb_err tmb_scope_record_get(tmb_scope *scope, tmb_bytes key, tmb_leaf_record *ret);

/* set writes after over before: leaf, index, fingerprint, mark of extra context, dirty path. Values of both
 * must still be readable; none is afterwards. */
TMB_MUST_USE tmb_err tmb_scope_record_set(tmb_scope *scope, tmb_bytes key,
                                          const tmb_leaf_record *before,
                                          const tmb_leaf_record *after);

/* The one way into a leaf. */
typedef struct tmb_leaf_news {
    tmb_bytes key;
    const tmb_leaf *leaf;
    tmb_seen seen; /* by whoever says so */
    unsigned removals_count;
    const tmb_dot *removals;
    const tmb_dot
        *own;       /* a change made here, under this dot: it stands for all removals known here */
    bool is_loaded; /* room->before has the leaf, and nothing was asked of the kv since */
    const tmb_context
        *ground; /* the clock when the transaction is over: what goes beyond is extra */
} tmb_leaf_news;

/* tmb_scope_leaf_join joins news into the leaf. ret_is_changed: its entries are others now.
 * Errors: of the kv, TMB_ELIMIT (entries, runs), TMB_ECORRUPT. */
TMB_MUST_USE tmb_err tmb_scope_leaf_join(tmb_scope *scope, const tmb_leaf_news *news,
                                         bool *ret_is_changed);

/* The index: the dots of before and after compared, what went is deleted, what came is put. */
TMB_MUST_USE tmb_err tmb_scope_index(tmb_scope *scope, tmb_bytes key, const tmb_leaf_record *before,
                                     const tmb_leaf_record *after);
/* What a row of a dot says. */
TMB_MUST_USE tmb_err tmb_dot_row_read(tmb_bytes value, bool *ret_is_removal, tmb_bytes *ret_key);
/* put_removal adds one in its place; there must be room. drop_removal forgets one removal of a record: the
 * record is changed, the caller sets it. */
void tmb_record_put_removal(tmb_leaf_record *record, const tmb_dot *dot);
bool tmb_record_drop_removal(tmb_leaf_record *record, const tmb_dot *dot);
/* record_copy makes to as from; values still point where they did. */
TMB_MUST_USE tmb_err tmb_record_copy(tmb_leaf_record *to, const tmb_leaf_record *from);

#define TMB_TOKEN_VERSION 1u
/* A hash over the leaves at path and below; never 0. */
TMB_MUST_USE tmb_err tmb_scope_hash_path(tmb_scope *scope, tmb_bytes path, uint64_t *ret_hash);

/* Prints and chains. */
void tmb_leaf_print(tmb_bytes key, tmb_bytes body, uint8_t ret_print[TMB_FINGERPRINT_BYTES]);
void tmb_chain_step(uint8_t chain[TMB_STATE_CHAIN_BYTES], tmb_bytes key, uint64_t seq,
                    const tmb_leaf *leaf);
uint64_t tmb_hash_u64(tmb_bytes bytes);

/* Own past (forget.c, reincarnate.c). note_count: an own entry of a counter is replaced by dot seq. */
TMB_MUST_USE tmb_err tmb_scope_note_count(tmb_scope *scope, uint64_t seq, const tmb_entry *before);
TMB_MUST_USE tmb_err tmb_scope_note_chain(tmb_scope *scope);
/* What an own counter was before dot seq; TMB_ENOENT: nothing, or nothing is known. */
TMB_MUST_USE tmb_err tmb_scope_count_before(tmb_scope *scope, uint64_t seq, uint64_t *ret_seq,
                                            uint8_t value[TMB_COUNTER_VALUE_MAX], size_t *ret_len);
/* drop_past forgets own past below seq, at most so many rows (chain at seq itself stays). */
TMB_MUST_USE tmb_err tmb_scope_drop_past(tmb_scope *scope, uint64_t seq, unsigned rows_max,
                                         unsigned *dropped);

/* strip looks at so many leaves with extra context and drops what the clock covers. */
TMB_MUST_USE tmb_err tmb_scope_strip(tmb_scope *scope, unsigned leaves_max, unsigned *ret_stripped);

/* tmb_scope_forget, but that it looks at so many removals and no more: each acknowledgement would else look
 * at all that stay, since their leaves are ahead. Those behind them are for tmb_scope_forget. */
TMB_MUST_USE tmb_err tmb_scope_forget_first(tmb_scope *scope, unsigned looks_max,
                                            unsigned *ret_forgotten);

/* How far own dots are acknowledged by every active neighbour; last when there is none. */
TMB_MUST_USE tmb_err tmb_scope_stable(tmb_scope *scope, tmb_context *ret_stable, uint64_t *ret_own);

#endif
