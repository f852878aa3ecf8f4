// SPDX-License-Identifier: Apache-2.0
/* journal/ring.c - see journal/ring.h for the layout and the rules.
 *
 * Only the order in which this thread stores counts: a killed process has done all up to some instruction and
 * nothing after it. The fences keep the compiler from moving stores over that line.
 */
#include "journal/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "journal/text.h"

#define VERSION      1u
#define FIXED_BYTES  192u
#define PLACE_AT     192u
#define PLACE_BYTES  24u
#define COMMITTED_AT 256u

static const char magic[8] = {'T', 'M', 'B', 'R', 'I', 'N', 'G', '1'};

void tmb_ring_name(const tmb_identity *identity, const char *stream, char out[256])
{
    char hex[TMB_INCARNATION_HEX_BYTES];
    tmb_text_hex(&identity->incarnation, hex);
    snprintf(out, 256, "tombolo-%s-%s-%s%s", identity->node, hex, stream ? stream : "",
             stream ? ".ring" : "");
}

/* ---- bytes -------------------------------------------------------------------------------------------- */

static uint32_t checksum(const uint8_t *header)
{
    uint32_t crc = tmb_crc32c(0, tmb_bytes_of(header, 12));
    return tmb_crc32c(crc, tmb_bytes_of(header + 16, FIXED_BYTES - 16));
}

void tmb_ring_header_encode(const tmb_identity *identity, const char *stream,
                            uint8_t out[TMB_RING_HEADER_BYTES])
{
    size_t stream_len = strlen(stream), node_len = strlen(identity->node);
    memset(out, 0, FIXED_BYTES);
    memcpy(out + 64, stream, stream_len);
    memcpy(out + 96, identity->node, node_len);
    tmb_writer w = tmb_writer_of(out, 64);
    tmb_put_bytes(&w, tmb_bytes_of(magic, sizeof magic));
    tmb_put_u16(&w, VERSION);
    tmb_put_u16(&w, TMB_RING_HEADER_BYTES);
    tmb_put_u32(&w, 0);
    tmb_put_bytes(&w,
                  tmb_bytes_of(identity->incarnation.bytes, sizeof identity->incarnation.bytes));
    tmb_put_u32(&w, TMB_RING_BUFFER_BYTES);
    tmb_put_u8(&w, (uint8_t)stream_len);
    tmb_put_u8(&w, (uint8_t)node_len);
    w = tmb_writer_of(out + 12, 4);
    tmb_put_u32(&w, checksum(out));
}

static bool take_name(const uint8_t *from, size_t len, size_t max, char *out)
{
    if (len == 0 || len > max)
        return false;
    memcpy(out, from, len);
    out[len] = '\0';
    return tmb_name_is_valid(tmb_bytes_str(out), max);
}

static tmb_err decode_header(const uint8_t *bytes, tmb_ring_state *state)
{
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, 64));
    tmb_bytes start = tmb_get_bytes(&r, sizeof magic);
    unsigned version = tmb_get_u16(&r);
    (void)tmb_get_u16(&r);
    uint32_t crc = tmb_get_u32(&r);
    if (!tmb_bytes_eq(start, tmb_bytes_of(magic, sizeof magic)) || crc != checksum(bytes))
        return TMB_ECORRUPT;
    if (version != VERSION)
        return TMB_EVERSION;
    tmb_bytes incarnation = tmb_get_bytes(&r, sizeof state->identity.incarnation.bytes);
    memcpy(state->identity.incarnation.bytes, incarnation.ptr, incarnation.len);
    (void)tmb_get_u32(&r);
    size_t stream_len = tmb_get_u8(&r), node_len = tmb_get_u8(&r);
    uint8_t again[TMB_RING_HEADER_BYTES];
    if (!take_name(bytes + 64, stream_len, TMB_STREAM_NAME_BYTES_MAX, state->stream) ||
        !take_name(bytes + 96, node_len, TMB_NAME_BYTES_MAX, state->identity.node))
        return TMB_ECORRUPT;
    tmb_ring_header_encode(&state->identity, state->stream, again);
    return memcmp(again, bytes, FIXED_BYTES) == 0 ? TMB_OK : TMB_ECORRUPT;
}

static bool is_all_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

tmb_err tmb_ring_decode(tmb_bytes bytes, tmb_ring_state *ret_state)
{
    tmb_ring_state state = {.is_len_known = true};
    /* The header is written last. Until then nothing can have been committed. */
    if (is_all_zero(bytes.ptr, bytes.len < FIXED_BYTES ? bytes.len : FIXED_BYTES))
        return TMB_ENOENT;
    if (bytes.len != TMB_RING_BYTES)
        return TMB_ECORRUPT;
    tmb_err err = decode_header(bytes.ptr, &state);
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes.ptr + COMMITTED_AT, 8));
    uint32_t len = tmb_get_u32(&r), turned = tmb_get_u32(&r);
    state.is_len_known = turned == ~len && len <= TMB_RING_BUFFER_BYTES;
    if (err == TMB_EVERSION)
        return err;
    if (state.is_len_known && len == 0)
        return TMB_ENOENT;
    if (err)
        return err;
    if (!state.is_len_known)
        len = TMB_RING_BUFFER_BYTES;
    r = tmb_reader_of(tmb_bytes_of(bytes.ptr + PLACE_AT, PLACE_BYTES + 4));
    state.place.base = tmb_get_u64(&r);
    state.place.offset = tmb_get_u64(&r);
    state.place.first_seq = tmb_get_u64(&r);
    if (tmb_get_u32(&r) != tmb_crc32c(0, tmb_bytes_of(bytes.ptr + PLACE_AT, PLACE_BYTES)))
        return TMB_ECORRUPT;
    state.committed = tmb_bytes_of(bytes.ptr + TMB_RING_HEADER_BYTES, len);
    *ret_state = state;
    return TMB_OK;
}

/* ---- the file ----------------------------------------------------------------------------------------- */

static void store_committed(tmb_ring *ring, size_t len)
{
    _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)(ring->memory + COMMITTED_AT);
    uint8_t bytes[sizeof(uint64_t)];
    uint64_t value;
    tmb_writer w = tmb_writer_of(bytes, sizeof bytes);
    tmb_put_u32(&w, (uint32_t)len);
    tmb_put_u32(&w, ~(uint32_t)len);
    memcpy(&value, bytes, sizeof value);
    atomic_thread_fence(memory_order_seq_cst);
    atomic_store_explicit(word, value, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    ring->is_committed = len > 0;
}

tmb_err tmb_ring_make(const tmb_file_port *files, const char *folder, const tmb_identity *identity,
                      const char *stream, tmb_ring *ret_ring)
{
    char name[256];
    void *memory = NULL;
    tmb_ring_name(identity, stream, name);
    tmb_ring ring = {.fd = -1, .path = tmb_path_join(folder, name)};
    ring.fd =
        files->open(files->context, ring.path.text, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (ring.fd < 0)
        return ring.fd == -EEXIST ? TMB_EBUSY : tmb_files_err(ring.fd);
    int rc = files->lock(files->context, ring.fd);
    if (rc >= 0)
        rc = files->map(files->context, ring.fd, TMB_RING_BYTES, &memory);
    if (rc < 0) {
        files->close(files->context, ring.fd);
        files->unlink(files->context, ring.path.text);
        return rc == -EINVAL ? TMB_EINVAL : tmb_files_err(rc);
    }
    ring.memory = memory;
    store_committed(&ring, 0);
    tmb_ring_header_encode(identity, stream, ring.memory);
    atomic_thread_fence(memory_order_seq_cst);
    *ret_ring = ring;
    return TMB_OK;
}

void tmb_ring_commit(tmb_ring *ring, const tmb_ring_place *place, size_t len)
{
    if (!ring->is_committed) {
        tmb_writer w = tmb_writer_of(ring->memory + PLACE_AT, PLACE_BYTES + 4);
        tmb_put_u64(&w, place->base);
        tmb_put_u64(&w, place->offset);
        tmb_put_u64(&w, place->first_seq);
        tmb_put_u32(&w, tmb_crc32c(0, tmb_bytes_of(ring->memory + PLACE_AT, PLACE_BYTES)));
    }
    store_committed(ring, len);
}

void tmb_ring_clear(tmb_ring *ring)
{
    if (ring->memory && ring->is_committed)
        store_committed(ring, 0);
}

bool tmb_ring_is_sound(const tmb_file_port *files, const tmb_ring *ring)
{
    return files->owned(files->context, ring->fd) > 0;
}

void tmb_ring_close(const tmb_file_port *files, tmb_ring *ring, bool is_empty)
{
    if (!ring->memory)
        return;
    files->unmap(files->context, ring->memory, TMB_RING_BYTES);
    ring->memory = NULL;
    if (is_empty)
        files->unlink(files->context, ring->path.text); /* left there, it is drained and goes */
    files->close(files->context, ring->fd);
    ring->fd = -1;
}
