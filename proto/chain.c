// SPDX-License-Identifier: Apache-2.0
/* proto/chain.c - see proto/chain.h.
 *
 * The hash is compiled in from its header: no library at run time, and of it only the two calls below.
 */
#include "proto/chain.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t tmb_chain_begin(uint64_t seq)
{
    TMB_ASSERT(seq > 0);
    return seq - (seq - 1) % TMB_CHAIN_BLOCK;
}

/* In one byte order, whatever the machine's. */
static void hash(tmb_bytes bytes, uint8_t ret_value[TMB_CHAIN_BYTES])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.ptr, bytes.len));
    memcpy(ret_value, canonical.digest, TMB_CHAIN_BYTES);
}

void tmb_chain_add(tmb_chain *chain, uint64_t seq, tmb_bytes record)
{
    uint8_t both[2 * TMB_CHAIN_BYTES] = {0};
    if (seq <= chain->seq)
        return;
    bool is_begin = tmb_chain_begin(seq) == seq;
    bool is_next = chain->is_known && seq == chain->seq + 1;
    chain->seq = seq;
    chain->is_known = is_begin || is_next;
    if (!chain->is_known)
        return;
    if (!is_begin)
        memcpy(both, chain->value, TMB_CHAIN_BYTES);
    hash(record, both + TMB_CHAIN_BYTES);
    hash(tmb_bytes_of(both, sizeof both), chain->value);
}
