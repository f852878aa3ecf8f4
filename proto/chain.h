// SPDX-License-Identifier: Apache-2.0
/* proto/chain.h - a short proof of what a stream holds under its numbers, by which a fork is found.
 *
 *   seq     1 ............ 64 | 65 .......... 128 | 129 ... n
 *   chain   begins anew at 1  | anew at 65        | anew at 129
 *           h(n) = XXH3-128(h(n-1), XXH3-128(record n))
 *
 * Both ends of a lane add each record, as it is encoded (docs/journal-format.md), in the order of its
 * numbers; at the same number both have the same value, however the records were cut into batches. Two
 * journals that have gone apart differ in every record from there on (each has a stamp), so one block of
 * records is enough to tell them apart, and the child can make the value again from its journal alone,
 * reading no more than a block. Where a number of the block is missing there is no value before the next
 * block begins: not known, never different. So what is damaged, dropped or gone ahead in another lane
 * raises no false alarm.
 *
 * No defence against somebody who looks for collisions: who can send has a certificate.
 * Threads: none. Cost: one pass of XXH3 over the record; constant memory.
 */
#ifndef TMB_PROTO_CHAIN_H
#define TMB_PROTO_CHAIN_H

#include "base/bytes.h"
#include "proto/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Records of a block. Part of the protocol: both ends must have the same. */
#define TMB_CHAIN_BLOCK 64u

/* Zeroed: nothing added yet. */
typedef struct tmb_chain {
    uint64_t seq;  /* of the last record that was added */
    bool is_known; /* value counts */
    uint8_t value[TMB_CHAIN_BYTES];
} tmb_chain;

/* tmb_chain_add takes the record with number seq, encoded. One that is not above chain->seq changes
 * nothing. */
void tmb_chain_add(tmb_chain *chain, uint64_t seq, tmb_bytes record);

/* tmb_chain_begin gives the first number of seq's block, from 1 on. */
uint64_t tmb_chain_begin(uint64_t seq);

#ifdef __cplusplus
}
#endif
#endif
