// SPDX-License-Identifier: Apache-2.0
/* syncd/state/fingerprint.c - prints of leaves and their sum; the chain of own changes.
 *
 * A sum of prints can be kept while leaves come and go, and of parts can be made that of the whole
 * (Bellare, Micciancio, "A new paradigm for collision-free hashing", 1997: addition, where XOR cancels). No
 * defence against somebody who looks for collisions: who can send has a certificate.
 * The hash is compiled in from its header: no library at run time, and of it only the calls below.
 */
#include "syncd/state/inside.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t tmb_hash_u64(tmb_bytes bytes)
{
    return XXH3_64bits(bytes.ptr, bytes.len);
}

void tmb_leaf_print(tmb_bytes key, tmb_bytes body, uint8_t ret_print[TMB_FINGERPRINT_BYTES])
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(body.ptr, body.len, XXH3_64bits(key.ptr, key.len));
    tmb_writer w = tmb_writer_of(ret_print, TMB_FINGERPRINT_BYTES);
    tmb_put_u64(&w, hash.low64);
    tmb_put_u64(&w, hash.high64);
}

static void read_halves(const uint8_t bytes[TMB_FINGERPRINT_BYTES], uint64_t halves[2])
{
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, TMB_FINGERPRINT_BYTES));
    halves[0] = tmb_get_u64(&r);
    halves[1] = tmb_get_u64(&r);
}

static void write_halves(uint8_t bytes[TMB_FINGERPRINT_BYTES], const uint64_t halves[2])
{
    tmb_writer w = tmb_writer_of(bytes, TMB_FINGERPRINT_BYTES);
    tmb_put_u64(&w, halves[0]);
    tmb_put_u64(&w, halves[1]);
}

void tmb_fingerprint_add(tmb_fingerprint *sum, const uint8_t print[TMB_FINGERPRINT_BYTES])
{
    uint64_t a[2], b[2];
    read_halves(sum->sum, a);
    read_halves(print, b);
    a[0] += b[0];
    a[1] += b[1] + (a[0] < b[0]);
    write_halves(sum->sum, a);
    sum->leaves++;
}

void tmb_fingerprint_take(tmb_fingerprint *sum, const uint8_t print[TMB_FINGERPRINT_BYTES])
{
    uint64_t a[2], b[2];
    read_halves(sum->sum, a);
    read_halves(print, b);
    a[1] -= b[1] + (a[0] < b[0]);
    a[0] -= b[0];
    write_halves(sum->sum, a);
    sum->leaves--;
}

bool tmb_fingerprint_eq(const tmb_fingerprint *a, const tmb_fingerprint *b)
{
    return a->leaves == b->leaves && memcmp(a->sum, b->sum, sizeof a->sum) == 0;
}

static void fold(uint8_t chain[TMB_STATE_CHAIN_BYTES], XXH128_hash_t hash)
{
    uint8_t both[2 * TMB_STATE_CHAIN_BYTES];
    tmb_writer w = tmb_writer_of(both, sizeof both);
    tmb_put_bytes(&w, tmb_bytes_of(chain, TMB_STATE_CHAIN_BYTES));
    tmb_put_u64(&w, hash.low64);
    tmb_put_u64(&w, hash.high64);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(both, sizeof both));
    memcpy(chain, canonical.digest, TMB_STATE_CHAIN_BYTES);
}

/* chain' = h(h(chain, h(key; seq)), h(value)), the last for a change that puts something. */
void tmb_chain_step(uint8_t chain[TMB_STATE_CHAIN_BYTES], tmb_bytes key, uint64_t seq,
                    const tmb_leaf *leaf)
{
    fold(chain, XXH3_128bits_withSeed(key.ptr, key.len, seq));
    for (unsigned i = 0; i < leaf->count; i++)
        fold(chain, XXH3_128bits(leaf->entries[i].value.ptr, leaf->entries[i].value.len));
}
