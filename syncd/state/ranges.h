// SPDX-License-Identifier: Apache-2.0
/* syncd/state/ranges.h - comparing two scopes whose clocks do not tell how they differ.
 *
 *   who reconciles (drives)                    who answers
 *   print of all keys            -- 0 -->      differs: prints of 16 parts, or the ids when they are few
 *   of each that differs likewise  <-- 1 --
 *   ids of a part                -- 2 -->      keys of what only is here; ids of what is not
 *   leaves of both, as LEAVES    ------>       joined: what the sender has seen removed goes
 *
 * Needed when entries about removals were forgotten (a neighbour that was away for long, or came back from a
 * backup), and when stores differ although clocks are equal. Only the one who drives sends leaves; both drive
 * when both have to.
 *
 *   data    u8 flags (1: there was no room for what follows, 2: something changed; go on from there, or
 *           again), then ranges of keys in order, from the first key on; what lies behind the last one is
 *           equal
 *   range   varint shared, slice rest: the key before which it ends (shared: bytes of the range before);
 *           both 0: behind the last key; u8 mode:
 *           0 equal; 1 print: varint leaves, 16 sum; 2 ids: varint count, 8 bytes each;
 *           3 ask: likewise, what keys are these; 4 differ: varint count, slices: keys; varint count, ids
 *   id      the first 8 bytes of a leaf's print
 *
 * Nothing is kept between rounds. Two ids that are equal by chance (2^-64 a pair) hide a difference until the
 * next comparison, whose prints still differ.
 * Source: Meyer, "Range-Based Set Reconciliation", 2023.
 * Threads: none. Cost: a pass over the leaves of the ranges that differ.
 */
#ifndef TMB_SYNCD_STATE_RANGES_H
#define TMB_SYNCD_STATE_RANGES_H

#include "syncd/state/scope.h"

/* Parts that a range is split into, and leaves that are told by ids. */
#define TMB_RANGES_PARTS 16u
#define TMB_RANGES_IDS   32u

/* Takes a key whose leaf is to be sent. Gives TMB_ELIMIT when there is no more room. */
typedef tmb_err (*tmb_ranges_take)(void *arg, tmb_bytes key);

typedef struct tmb_ranges_result {
    size_t len;      /* of out; 0: nothing differs any more */
    bool is_changed; /* what was told of is not there any more: compare again */
    bool is_cut;     /* there was no room for all: go on ... */
    size_t stop_len; /* ... from this key on */
    uint8_t stop[TMB_LEAF_KEY_BYTES_MAX + 1];
} tmb_ranges_result;

/* tmb_ranges_begin writes the first round, from key first on (empty: all). cap: at least 4 KiB.
 * Errors: of the kv. */
TMB_MUST_USE tmb_err tmb_ranges_begin(tmb_scope *scope, tmb_bytes first, uint8_t *out, size_t cap,
                                      tmb_ranges_result *ret);

/* tmb_ranges_answer reads data and writes what to say next. drives: take is told the keys whose leaves are to
 * be sent. Errors: TMB_ECORRUPT (data), of the kv, what take gives but TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_ranges_answer(tmb_scope *scope, tmb_bytes data, bool drives,
                                       tmb_ranges_take take, void *arg, uint8_t *out, size_t cap,
                                       tmb_ranges_result *ret);

#endif
