// SPDX-License-Identifier: Apache-2.0
/* syncd/store/store.h - what syncd keeps between runs: marks, cursors, boot counter. RocksDB, and the only
 * room that sees it.
 *
 * All of it is a view: what a parent has committed is proved by the origin inside the records of its
 * journal, and the plugin drops what it already holds. A lost store costs repeats on the wire, never data.
 * The view is tied to the journal's incarnation: another journal empties it.
 *
 * RocksDB is opened with care (docs/adr/0002-rocksdb-in-syncd.md): no info log in the data folder (Debian's
 * build aborts the process when that log meets a full disk), free space checked before every write,
 * sync on every write, paranoid checks, absolute consistency of its own log.
 *
 * Threads: any; one write at a time. Cost: a get is a look-up in memory or one read; a put one fdatasync.
 */
#ifndef TMB_SYNCD_STORE_STORE_H
#define TMB_SYNCD_STORE_STORE_H

#include "base/bytes.h"
#include "base/err.h"
#include "proto/chain.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_store tmb_store;

#define TMB_STORE_RESERVE_BYTES                                                                    \
    (64u * 1024 * 1024) /* writes are refused below this much free space */

/* tmb_store_open opens or makes the store in folder path. A store that cannot be read (damaged, or of a
 * newer version) is set aside as <path>.damaged-<n> and begun anew: *ret_was_reset tells. text gets a
 * sentence on an error. gives ret_store.
 * Errors: TMB_EBUSY (another process), TMB_EIO, TMB_ENOSPC, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_store_open(const char *path, tmb_store **ret_store, bool *ret_was_reset,
                                    char *text, size_t text_cap);
void tmb_store_close(tmb_store *store);

/* How often a failed write cost the whole content since opening: the disk was full in the middle of a record
 * and what is on it cannot be read back. Marks are 0 then. */
unsigned tmb_store_resets(tmb_store *store);

/* tmb_store_reserve_set replaces TMB_STORE_RESERVE_BYTES: for very small data disks, and for tests. */
void tmb_store_reserve_set(tmb_store *store, uint64_t bytes);

/* tmb_store_bind empties marks when they were made beside another journal. ret_was_emptied tells. */
TMB_MUST_USE tmb_err tmb_store_bind(tmb_store *store, const tmb_incarnation *journal,
                                    bool *ret_was_emptied);

/* tmb_store_boot counts this start and gives the new count. */
TMB_MUST_USE tmb_err tmb_store_boot(tmb_store *store, uint64_t *ret_boots);

/* Marks of children: everything of (child, incarnation, stream) up to seq is committed here. A put never
 * lowers a mark. get gives 0 for one never put.
 * Errors: TMB_EIO, TMB_ENOSPC, TMB_ECORRUPT (value unreadable: take it for 0), TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_store_mark_get(tmb_store *store, tmb_bytes child,
                                        const tmb_incarnation *incarnation, tmb_bytes stream,
                                        uint64_t *ret_seq);
TMB_MUST_USE tmb_err tmb_store_mark_put(tmb_store *store, tmb_bytes child,
                                        const tmb_incarnation *incarnation, tmb_bytes stream,
                                        uint64_t seq);

/* The same with the chain at the mark (proto/chain.h), where it is known: kept together, so that after a
 * crash one is never of another number than the other. */
TMB_MUST_USE tmb_err tmb_store_proof_get(tmb_store *store, tmb_bytes child,
                                         const tmb_incarnation *incarnation, tmb_bytes stream,
                                         tmb_chain *ret_mark);
TMB_MUST_USE tmb_err tmb_store_proof_put(tmb_store *store, tmb_bytes child,
                                         const tmb_incarnation *incarnation, tmb_bytes stream,
                                         const tmb_chain *mark);

/* The cursor towards the parent: it has everything of own stream up to seq. */
TMB_MUST_USE tmb_err tmb_store_cursor_get(tmb_store *store, const tmb_incarnation *incarnation,
                                          tmb_bytes stream, uint64_t *ret_seq);
TMB_MUST_USE tmb_err tmb_store_cursor_put(tmb_store *store, const tmb_incarnation *incarnation,
                                          tmb_bytes stream, uint64_t seq);

#ifdef __cplusplus
}
#endif
#endif
