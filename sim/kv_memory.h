// SPDX-License-Identifier: Apache-2.0
/* sim/kv_memory.h - the store of one simulated box: ordered keys that can lose what was not synced.
 *
 *   put, del -- commit --> what other reads see after a kill -- sync --> what is there after a power cut
 *
 * Each change leaves what was there before it, until it is synced; a kill takes back to the last commit, a
 * power cut to the last sync. A full disk refuses puts.
 * Threads: none. Cost: a binary search a call, a move of pointers an insert; memory grows by doubling.
 */
#ifndef TMB_SIM_KV_MEMORY_H
#define TMB_SIM_KV_MEMORY_H

#include "syncd/state/kv.h"

typedef struct kv_memory_row {
    uint8_t *key; /* one block with the value behind it */
    size_t key_len, value_len;
} kv_memory_row;

typedef struct kv_memory_undo {
    uint8_t *key;
    size_t key_len, value_len;
    bool was_there;
} kv_memory_undo;

typedef struct kv_memory {
    kv_memory_row *rows; /* by key */
    size_t count, cap;
    kv_memory_undo *undos;
    size_t undos_count, undos_cap,
        committed; /* undos from committed on: of the transaction that is open */
    bool is_full;
    uint64_t refused; /* puts that a full disk refused */
} kv_memory;

/* kv_memory_kv gives the port; it lives as long as disk stays where it is. */
tmb_kv kv_memory_port(kv_memory *disk);

/* kv_memory_commit ends a transaction; is_synced: it is on the platter, with all before it. */
void kv_memory_commit(kv_memory *disk, bool is_synced);

/* kv_memory_drop takes back the transaction that is open; kv_memory_cut all that was not synced. */
void kv_memory_drop(kv_memory *disk);
void kv_memory_cut(kv_memory *disk);

/* kv_memory_copy makes to what from holds, synced. False: no memory; to is empty. */
bool kv_memory_copy(kv_memory *to, const kv_memory *from);

/* kv_memory_free gives the memory back; disk is empty then and may be used again. */
void kv_memory_free(kv_memory *disk);

#endif
