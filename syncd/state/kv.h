// SPDX-License-Identifier: Apache-2.0
/* syncd/state/kv.h - the port to a store of ordered keys: all that the state of scopes needs of a disk.
 *
 * What is put and deleted is seen by later reads at once, and reaches the disk together, or not at all, when
 * whoever made the port commits; so an operation's effect, the clock, marks and cursors are one. The daemon
 * has RocksDB behind it (syncd/store/state_store.h), tests and the simulator a sorted array that can lose
 * what was not synced (sim/kv_memory.h).
 * Threads: one at a time.
 */
#ifndef TMB_SYNCD_STATE_KV_H
#define TMB_SYNCD_STATE_KV_H

#include "base/bytes.h"
#include "base/err.h"

typedef struct tmb_kv {
    void *arg;
    /* Gives the value; it lives until the next call of any of these. Errors: TMB_ENOENT, TMB_EIO,
     * TMB_ECORRUPT. */
    tmb_err (*get)(void *arg, tmb_bytes key, tmb_bytes *ret_value);
    /* Gives the first key at or behind from, and its value (ret_value may be NULL); they live until the next
     * call of any of these. Asking for what lies right behind the last answer is cheap. Errors: TMB_ENOENT
     * (none), TMB_EIO, TMB_ECORRUPT. */
    tmb_err (*seek)(void *arg, tmb_bytes from, tmb_bytes *ret_key, tmb_bytes *ret_value);
    /* Copies key and value. Errors: TMB_ENOMEM, TMB_ELIMIT. */
    tmb_err (*put)(void *arg, tmb_bytes key, tmb_bytes value);
    tmb_err (*del)(void *arg, tmb_bytes key);
} tmb_kv;

#endif
