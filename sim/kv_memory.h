// SPDX-License-Identifier: Apache-2.0
/* sim/kv_memory.h - the store of one simulated box, and of tests: ordered keys that can lose what was not
 * synced.
 *
 *   put, del -- commit --> what other reads see after a kill -- sync --> what is there after a power cut
 *
 * Each change leaves what was there before it, until it is synced; a kill takes back to the last commit, a
 * power cut to the last sync, or to a commit behind it. A full disk refuses puts; calls can be made to fail.
 * Threads: none. Cost: a skip list (Pugh 1990), O(log n) a call; the same calls in the same order build the
 * same list. What was not synced is kept twice.
 */
#ifndef TMB_SIM_KV_MEMORY_H
#define TMB_SIM_KV_MEMORY_H

#include "base/rng.h"
#include "syncd/state/kv.h"

#define KV_MEMORY_LEVELS 20

typedef struct kv_memory_row kv_memory_row;
typedef struct kv_memory_undo kv_memory_undo;

/* Zeroed: empty. Not to be moved while its port is used. */
typedef struct kv_memory {
    kv_memory_row *heads[KV_MEMORY_LEVELS];
    tmb_rng rng;
    size_t count, bytes; /* keys; bytes of keys and values */
    kv_memory_undo *undos;
    size_t undos_count, undos_cap,
        committed; /* undos from committed on: of the transaction that is open */
    size_t *marks; /* where among the undos each commit ended that is not synced */
    size_t marks_count, marks_cap;
    uint64_t calls;   /* of the port, since the begin */
    uint64_t fail_at; /* from this call on all fail with fail_err; 0: none */
    tmb_err fail_err;
    bool is_full;
    uint64_t refused; /* puts that a full disk refused */
} kv_memory;

/* kv_memory_port gives the port; it lives as long as disk stays where it is. */
tmb_kv kv_memory_port(kv_memory *disk);

/* kv_memory_commit ends a transaction; is_synced: it is on the platter, with all before it. */
void kv_memory_commit(kv_memory *disk, bool is_synced);

/* kv_memory_drop takes back the transaction that is open; kv_memory_cut all that was not synced;
 * kv_memory_lose all but the first kept of the marks_count commits that were not. */
void kv_memory_drop(kv_memory *disk);
void kv_memory_cut(kv_memory *disk);
void kv_memory_lose(kv_memory *disk, size_t kept);

/* kv_memory_fail lets the call-th call from now on (1: the next) and all behind it fail; 0: none any more. */
void kv_memory_fail(kv_memory *disk, uint64_t call, tmb_err err);

/* kv_memory_copy makes to what from holds, synced. False: no memory; to is empty. */
bool kv_memory_copy(kv_memory *to, const kv_memory *from);

/* kv_memory_free gives the memory back; disk is empty then and may be used again. */
void kv_memory_free(kv_memory *disk);

#endif
