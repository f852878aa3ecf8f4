// SPDX-License-Identifier: Apache-2.0
/* proto/coder.h - bits in less than a bit: an adaptive binary range coder, written and read by one code.
 *
 * A coder either writes or reads; every function takes what is to be written and gives what was written, or
 * read. So a model is written down once, and its two directions cannot differ. Reading behind the end gives
 * zeros, without end: whoever reads bounds by himself how much he asks for. A coder that writes and has no
 * room becomes bad, and stays so.
 *
 *   range coder with carry: 32 bits of range, a byte is shifted out below 2^24; bit probabilities of 15 bits
 *   that learn in steps of 1/2 to 1/32; zeros at the end are not written
 *
 * Integers alone: both ends compute the same on every machine. docs/protocol.md has the format.
 * Threads: none, values. Cost: some nanoseconds a bit, no allocation.
 */
#ifndef TMB_PROTO_CODER_H
#define TMB_PROTO_CODER_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How likely a 0 is here. */
typedef struct tmb_bit {
    uint16_t zero;  /* of 32768 */
    uint16_t count; /* seen, up to where it no longer matters */
} tmb_bit;

#define TMB_BIT_NEW ((tmb_bit){16384, 0})

typedef struct tmb_coder {
    bool is_reading, is_bad;
    uint32_t range, code; /* code: reading */
    uint64_t low;         /* writing, as what follows but begin and end */
    uint8_t held;         /* the last byte that a carry could still change ... */
    uint64_t held_count;  /* ... and the 0xff behind it */
    const uint8_t *from, *from_end;
    uint8_t *begin, *at, *end;
} tmb_coder;

tmb_coder tmb_coder_writing(uint8_t *out, size_t cap);
tmb_coder tmb_coder_reading(tmb_bytes from);

/* tmb_coder_end writes what is still held and gives the size of it all; nothing may be coded after it. */
size_t tmb_coder_end(tmb_coder *coder);

/* Whether all bytes have been read: what is left over was written by nobody. */
bool tmb_coder_is_at_end(const tmb_coder *coder);

unsigned tmb_code_bit(tmb_coder *coder, tmb_bit *model, unsigned bit);

/* tmb_code_raw codes the lowest `bits` (0 to 64) bits of value, each as likely 0 as 1. */
uint64_t tmb_code_raw(tmb_coder *coder, uint64_t value, unsigned bits);

/* tmb_code_tree codes value of `bits` bits, each after those above it. models: 1 << bits. */
unsigned tmb_code_tree(tmb_coder *coder, tmb_bit *models, unsigned bits, unsigned value);

#ifdef __cplusplus
}
#endif
#endif
