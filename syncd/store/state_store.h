// SPDX-License-Identifier: Apache-2.0
/* syncd/store/state_store.h - the disk of the state of scopes: a RocksDB of its own, and one transaction on
 * it.
 *
 *   begin --> tmb_kv (what was put is read back) --> commit, synced or not; or abort
 *
 * Opened with the care of store.h. Not a view of the journal: what a neighbour has acknowledged comes back
 * from it, the rest is here alone. So:
 *  - damaged, or of another version: set aside as <path>.damaged-<n> and begun anew, was_reset. Its scopes
 *    begin under new incarnations and get from their neighbours what those have. Operations of the journal
 *    that were applied must not be applied again, since nobody knows which of them the neighbours have: the
 *    tail goes on behind them, or at the journal's end when that is not known (docs/state-format.md);
 *  - a copy or a backup that was put back (is_moved): every scope has to go on under a new incarnation, with
 *    nothing given anew, before the first own change; then settle;
 *  - a full disk: commits are refused and counted, nothing of them is there; it goes on when there is room.
 *
 * Threads: any; begin waits until the transaction before is over. commit or abort come from the thread of
 * begin. Cost: memory 8 MiB of cache and up to 16 MiB of write buffers; a synced commit is one fdatasync.
 */
#ifndef TMB_SYNCD_STORE_STATE_STORE_H
#define TMB_SYNCD_STORE_STATE_STORE_H

#include "base/bytes.h"
#include "base/err.h"
#include "syncd/state/kv.h"

typedef struct tmb_state_store tmb_state_store;

/* tmb_state_store_open opens or makes the store in folder path. text gets a sentence on an error, and when
 * was_reset. gives ret_store. Errors: TMB_EBUSY (another process), TMB_EIO, TMB_ENOSPC, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_state_store_open(const char *path, tmb_state_store **ret_store,
                                          bool *ret_was_reset, char *text, size_t text_cap);
void tmb_state_store_close(tmb_state_store *store);

/* tmb_state_store_is_moved: these files were made on another machine, or are a copy of those made here.
 * settle, in a transaction, writes down that they are at home here now. Errors of settle: TMB_EIO. */
bool tmb_state_store_is_moved(tmb_state_store *store);
TMB_MUST_USE tmb_err tmb_state_store_settle(tmb_state_store *store);

/* begin opens a transaction; kv is of use until commit or abort. Errors: TMB_ENOSPC, TMB_EIO, TMB_ECORRUPT,
 * TMB_ENOMEM (a write had failed, and what is on the disk cannot be used yet); there is no transaction
 * then. */
TMB_MUST_USE tmb_err tmb_state_store_begin(tmb_state_store *store, tmb_kv *ret_kv);

/* commit ends it: on the disk for sure when is_synced, else with the next that is. Nothing was put: costs
 * nothing. Errors: TMB_ENOSPC, TMB_EIO, TMB_ECORRUPT: nothing of it is there. */
TMB_MUST_USE tmb_err tmb_state_store_commit(tmb_state_store *store, bool is_synced);
void tmb_state_store_abort(tmb_state_store *store);

/* Commits that were refused for want of space or failed, since opening; and how often that cost the content
 * (what was on the disk could not be read back: set aside, begun anew). */
uint64_t tmb_state_store_refused(tmb_state_store *store);
unsigned tmb_state_store_resets(tmb_state_store *store);

/* Replaces TMB_STORE_RESERVE_BYTES (store.h): for very small data disks, and for tests. */
void tmb_state_store_reserve_set(tmb_state_store *store, uint64_t bytes);

#endif
