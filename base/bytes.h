// SPDX-License-Identifier: Apache-2.0
/* base/bytes.h - borrowed byte slices, and cursors that read and write little-endian fields.
 *
 * A cursor never passes its end: the first short read or write makes it bad, and bad stays bad, so a
 * codec checks once at its end. Threads: none, values. Cost: a load or store each, no allocation.
 */
#ifndef TMB_BASE_BYTES_H
#define TMB_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A slice that belongs to somebody else. An empty one may have ptr NULL. */
typedef struct tmb_bytes {
    const uint8_t *ptr;
    size_t len;
} tmb_bytes;

static inline tmb_bytes tmb_bytes_of(const void *ptr, size_t len)
{
    tmb_bytes b = {(const uint8_t *)ptr, len};
    return b;
}

static inline tmb_bytes tmb_bytes_str(const char *text)
{
    return tmb_bytes_of(text, strlen(text));
}

static inline bool tmb_bytes_eq(tmb_bytes a, tmb_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

typedef struct tmb_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
} tmb_reader;

typedef struct tmb_writer {
    uint8_t *at;
    uint8_t *end;
    bool bad;
} tmb_writer;

static inline tmb_reader tmb_reader_of(tmb_bytes b)
{
    tmb_reader r = {b.ptr, b.ptr ? b.ptr + b.len : b.ptr, false};
    return r;
}

static inline tmb_writer tmb_writer_of(void *ptr, size_t cap)
{
    tmb_writer w = {(uint8_t *)ptr, ptr ? (uint8_t *)ptr + cap : (uint8_t *)ptr, false};
    return w;
}

static inline size_t tmb_reader_left(const tmb_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* tmb_get_bytes gives a slice into the reader's own bytes; empty when the reader is or becomes bad. */
static inline tmb_bytes tmb_get_bytes(tmb_reader *r, size_t len)
{
    if (r->bad || tmb_reader_left(r) < len) {
        r->bad = true;
        return tmb_bytes_of(NULL, 0);
    }
    tmb_bytes b = {r->at, len};
    if (len > 0) /* adding nothing to a NULL is undefined */
        r->at += len;
    return b;
}

static inline uint64_t tmb_get_uint(tmb_reader *r, unsigned width)
{
    tmb_bytes b = tmb_get_bytes(r, width);
    uint64_t v = 0;
    for (size_t i = b.len; i > 0; i--)
        v = v << 8 | b.ptr[i - 1];
    return v;
}

static inline uint8_t tmb_get_u8(tmb_reader *r)
{
    return (uint8_t)tmb_get_uint(r, 1);
}

static inline uint16_t tmb_get_u16(tmb_reader *r)
{
    return (uint16_t)tmb_get_uint(r, 2);
}

static inline uint32_t tmb_get_u32(tmb_reader *r)
{
    return (uint32_t)tmb_get_uint(r, 4);
}

static inline uint64_t tmb_get_u64(tmb_reader *r)
{
    return tmb_get_uint(r, 8);
}

static inline void tmb_put_bytes(tmb_writer *w, tmb_bytes b)
{
    if (w->bad || (size_t)(w->end - w->at) < b.len) {
        w->bad = true;
        return;
    }
    if (b.len > 0) {
        memcpy(w->at, b.ptr, b.len);
        w->at += b.len;
    }
}

static inline void tmb_put_uint(tmb_writer *w, uint64_t v, unsigned width)
{
    uint8_t le[8];
    for (unsigned i = 0; i < 8; i++)
        le[i] = (uint8_t)(v >> (8 * i));
    tmb_put_bytes(w, tmb_bytes_of(le, width));
}

static inline void tmb_put_u8(tmb_writer *w, uint8_t v)
{
    tmb_put_uint(w, v, 1);
}

static inline void tmb_put_u16(tmb_writer *w, uint16_t v)
{
    tmb_put_uint(w, v, 2);
}

static inline void tmb_put_u32(tmb_writer *w, uint32_t v)
{
    tmb_put_uint(w, v, 4);
}

static inline void tmb_put_u64(tmb_writer *w, uint64_t v)
{
    tmb_put_uint(w, v, 8);
}

/* tmb_utf8_is_valid says whether b is well-formed UTF-8 without U+0000 (MQTT 5, section 1.5.4). */
bool tmb_utf8_is_valid(tmb_bytes b);

#ifdef __cplusplus
}
#endif
#endif
