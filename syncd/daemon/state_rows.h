// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_rows.h - the service's own rows in the store of state, in front of those of all scopes.
 *
 *   0 "cursor"                16 incarnation of the journal, u64 seq: operations up to there are applied
 *   0 "clock"                 u64 floor of the node's clock (syncd/state/clock.h)
 *   0 "mark"                  16 tag of this store, u64 counter, u8 1: what the broker retains is to be
 *                             looked through; what is published is the tag under a print of the policy
 *   0 "has" 0 scope 0 path    u8 bits: outputs of the path (policy/state_topic.h) that are retained
 *
 * A row is written in the transaction of what it tells of.
 * Threads: none; blocking. Errors: of the kv; a row of another length is TMB_ECORRUPT.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_ROWS_H
#define TMB_SYNCD_DAEMON_STATE_ROWS_H

#include "base/hlc.h"
#include "base/incarnation.h"
#include "policy/state_policy.h"
#include "syncd/state/kv.h"

/* Where a store that was lost goes on: at the copy of its cursor in the store of marks (state_ops.c), without
 * one at the journal's end: nobody knows then which of the operations before it the neighbours have, and
 * none is to be applied twice (docs/state-format.md). */
#define TMB_CURSOR_END UINT64_MAX

typedef struct tmb_cursor_row {
    tmb_incarnation incarnation; /* zero, and seq 0: nothing was ever applied */
    uint64_t seq;
} tmb_cursor_row;

typedef struct tmb_values_row {
    uint8_t tag[16]; /* random; of this store */
    uint64_t counter;
    bool is_sweep_due;
} tmb_values_row;

TMB_MUST_USE tmb_err tmb_cursor_row_get(const tmb_kv *kv, tmb_cursor_row *ret);
TMB_MUST_USE tmb_err tmb_cursor_row_put(const tmb_kv *kv, const tmb_cursor_row *row);

TMB_MUST_USE tmb_err tmb_floor_row_get(const tmb_kv *kv, tmb_hlc *ret);
TMB_MUST_USE tmb_err tmb_floor_row_put(const tmb_kv *kv, tmb_hlc floor);

/* get of a row that is not there gives one with a new tag, whose sweep is due. */
TMB_MUST_USE tmb_err tmb_values_row_get(const tmb_kv *kv, tmb_values_row *ret);
TMB_MUST_USE tmb_err tmb_values_row_put(const tmb_kv *kv, const tmb_values_row *row);

/* tmb_values_row_text writes what is published as the mark; vouches says whether a mark that the broker
 * retains is of this store, of values that are published as policy says, and not older: this one, or the
 * next, whose commit did not come to the disk (row then goes on behind it). */
void tmb_values_row_text(const tmb_values_row *row, const tmb_state_policy *policy, char *out,
                         size_t cap);
bool tmb_values_row_vouches(tmb_values_row *row, const tmb_state_policy *policy, const char *mark);

TMB_MUST_USE tmb_err tmb_values_had(const tmb_kv *kv, tmb_bytes scope, tmb_bytes path,
                                    unsigned *ret_bits);
TMB_MUST_USE tmb_err tmb_values_has(const tmb_kv *kv, tmb_bytes scope, tmb_bytes path,
                                    unsigned bits);

#endif
