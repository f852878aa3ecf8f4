// SPDX-License-Identifier: Apache-2.0
/* base/varint.h - unsigned numbers in one to ten bytes, seven bits each, the low ones first (LEB128).
 *
 * Each number has one form: what is longer than it need be is bad. So bytes built of these can be compared.
 * Threads: none, values. Cost: a load or store a byte.
 */
#ifndef TMB_BASE_VARINT_H
#define TMB_BASE_VARINT_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_VARINT_BYTES_MAX 10u

static inline void tmb_put_varint(tmb_writer *w, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        tmb_put_u8(w, (uint8_t)(v | 0x80));
    tmb_put_u8(w, (uint8_t)v);
}

static inline size_t tmb_varint_size(uint64_t v)
{
    size_t size = 1;
    for (; v >= 0x80; v >>= 7)
        size++;
    return size;
}

static inline uint64_t tmb_get_varint(tmb_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = tmb_get_u8(r);
        if (r->bad)
            return 0;
        if ((shift == 63 && byte > 1) || (byte == 0 && shift > 0))
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    r->bad = true;
    return 0;
}

/* Bytes behind their length. */
static inline void tmb_put_slice(tmb_writer *w, tmb_bytes b)
{
    tmb_put_varint(w, b.len);
    tmb_put_bytes(w, b);
}

static inline tmb_bytes tmb_get_slice(tmb_reader *r)
{
    uint64_t len = tmb_get_varint(r);
    if (len > SIZE_MAX)
        r->bad = true;
    return tmb_get_bytes(r, r->bad ? 0 : (size_t)len);
}

#ifdef __cplusplus
}
#endif
#endif
