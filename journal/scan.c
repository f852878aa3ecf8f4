// SPDX-License-Identifier: Apache-2.0
/* journal/scan.c - walk a segment, and find the way again behind damage.
 *
 * Behind a bad record, three ways are tried, the surest first:
 *
 *   1. its own length, if that leads to the record with the very next number (the damage is in the body);
 *   2. every later marker, in order, whose record has a good checksum and a number that fits: above the
 *      last one, and not higher than the bytes between could have held;
 *   3. none: the damage reaches to the end of the file.
 *
 * An unfinished record (its length points behind the end of the file) is a torn write, or a record whose
 * length was hit. The checksum covers length and body, so the true length, put in its place, proves the
 * second: that is what "explains" means below.
 */
#include "journal/scan.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "journal/files.h"

#define WINDOW_BYTES (256u * 1024u)

void tmb_scan_start(tmb_scan *scan, const tmb_file_port *files, int fd, uint64_t offset,
                    uint64_t expect)
{
    scan->files = files;
    scan->fd = fd;
    scan->offset = offset;
    scan->expect = expect;
    scan->size = 0;
    scan->start = 0;
    scan->len = 0;
}

void tmb_scan_stop(tmb_scan *scan)
{
    if (scan->fd >= 0)
        scan->files->close(scan->files->context, scan->fd);
    scan->fd = -1;
    scan->len = 0;
}

void tmb_scan_fini(tmb_scan *scan)
{
    tmb_scan_stop(scan);
    free(scan->buffer);
    scan->buffer = NULL;
    scan->cap = 0;
}

static tmb_err look(tmb_scan *scan)
{
    int64_t size = scan->files->size(scan->files->context, scan->fd);
    if (size < 0)
        return tmb_files_err(size);
    scan->size = (uint64_t)size;
    return TMB_OK;
}

/* Gives the file's bytes from at on: want of them, or more, or fewer only where the file ends. */
static tmb_err peek(tmb_scan *scan, uint64_t at, size_t want, tmb_bytes *ret_bytes)
{
    if (scan->buffer && at >= scan->start && at - scan->start <= scan->len) {
        size_t skip = (size_t)(at - scan->start);
        if (scan->len - skip >= want) {
            *ret_bytes = tmb_bytes_of(scan->buffer + skip, scan->len - skip);
            return TMB_OK;
        }
    }
    size_t need = want > WINDOW_BYTES ? want : WINDOW_BYTES;
    if (!scan->buffer || need > scan->cap) {
        uint8_t *buffer = realloc(scan->buffer, need);
        if (!buffer)
            return TMB_ENOMEM;
        scan->buffer = buffer;
        scan->cap = need;
    }
    scan->len = 0;
    scan->start = at;
    tmb_err err = tmb_files_read(scan->files, scan->fd, scan->buffer, need, at, &scan->len);
    if (err)
        return err;
    *ret_bytes = tmb_bytes_of(scan->buffer, scan->len);
    return TMB_OK;
}

/* The length that the 12 bytes of a record's header claim for the whole of it, or 0. */
static size_t claimed_len(tmb_bytes bytes)
{
    tmb_reader r = tmb_reader_of(bytes);
    uint32_t marker = tmb_get_u32(&r);
    uint32_t body = tmb_get_u32(&r);
    if (r.bad || marker != TMB_RECORD_MARKER || body > TMB_RECORD_BYTES_MAX)
        return 0;
    return TMB_RECORD_HEADER_BYTES + (size_t)body;
}

/* TMB_OK; TMB_EAGAIN (the file ends inside it), TMB_ECORRUPT; others are troubles of the system. */
static tmb_err decode_at(tmb_scan *scan, uint64_t at, tmb_record *ret_record, size_t *ret_len)
{
    tmb_bytes bytes = {NULL, 0};
    tmb_err err = peek(scan, at, TMB_RECORD_HEADER_BYTES, &bytes);
    if (err)
        return err;
    size_t want = claimed_len(bytes);
    if (want > bytes.len && scan->size >= at && want <= scan->size - at) {
        err = peek(scan, at, want, &bytes);
        if (err)
            return err;
    }
    return tmb_record_decode(bytes, ret_record, ret_len);
}

/* Whether [at, end) is one record whose length alone is wrong. */
static tmb_err explains(tmb_scan *scan, uint64_t at, uint64_t end, bool *ret_yes)
{
    tmb_bytes bytes = {NULL, 0};
    *ret_yes = false;
    if (end - at < TMB_RECORD_BYTES_MIN || end - at > TMB_RECORD_BYTES_MAX)
        return TMB_OK;
    size_t body = (size_t)(end - at) - TMB_RECORD_HEADER_BYTES;
    tmb_err err = peek(scan, at, TMB_RECORD_HEADER_BYTES + body, &bytes);
    if (err || bytes.len < TMB_RECORD_HEADER_BYTES + body)
        return err;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes.ptr + 8, 4));
    uint8_t len[4];
    tmb_writer w = tmb_writer_of(len, sizeof len);
    tmb_put_u32(&w, (uint32_t)body);
    uint32_t crc = tmb_crc32c(0, tmb_bytes_of(len, sizeof len));
    crc = tmb_crc32c(crc, tmb_bytes_of(bytes.ptr + TMB_RECORD_HEADER_BYTES, body));
    *ret_yes = crc == tmb_get_u32(&r);
    return TMB_OK;
}

static tmb_err all_zero(tmb_scan *scan, uint64_t at, bool *ret_yes)
{
    while (at < scan->size) {
        tmb_bytes bytes = {NULL, 0};
        tmb_err err = peek(scan, at, 1, &bytes);
        if (err)
            return err;
        if (bytes.len == 0)
            break;
        for (size_t i = 0; i < bytes.len; i++) {
            if (bytes.ptr[i] != 0) {
                *ret_yes = false;
                return TMB_OK;
            }
        }
        at += bytes.len;
    }
    *ret_yes = true;
    return TMB_OK;
}

/* The next offset at or after at where a marker stands, or size. */
static tmb_err find_marker(tmb_scan *scan, uint64_t at, uint64_t *ret_at)
{
    static const uint8_t marker[4] = {0x54, 0x4d, 0x42, 0x52};
    while (at < scan->size) {
        tmb_bytes bytes = {NULL, 0};
        tmb_err err = peek(scan, at, sizeof marker, &bytes);
        if (err)
            return err;
        if (bytes.len < sizeof marker)
            break;
        const uint8_t *hit = memchr(bytes.ptr, marker[0], bytes.len - (sizeof marker - 1));
        if (!hit) {
            at += bytes.len - (sizeof marker - 1);
            continue;
        }
        at += (uint64_t)(hit - bytes.ptr);
        if (memcmp(hit, marker, sizeof marker) == 0) {
            *ret_at = at;
            return TMB_OK;
        }
        at++;
    }
    *ret_at = scan->size;
    return TMB_OK;
}

static bool fits(const tmb_scan *scan, uint64_t at, const tmb_record *record)
{
    return record->seq >= scan->expect &&
           record->seq - scan->expect <= (at - scan->offset) / TMB_RECORD_BYTES_MIN;
}

/* Way 1. */
static tmb_err jump(tmb_scan *scan, uint64_t *ret_at, uint64_t *ret_seq)
{
    tmb_bytes bytes = {NULL, 0};
    tmb_record record;
    size_t len;
    tmb_err err = peek(scan, scan->offset, TMB_RECORD_HEADER_BYTES, &bytes);
    if (err)
        return err;
    size_t claimed = claimed_len(bytes);
    if (claimed < TMB_RECORD_BYTES_MIN)
        return TMB_ENOENT;
    err = decode_at(scan, scan->offset + claimed, &record, &len);
    if (err == TMB_EAGAIN || err == TMB_ECORRUPT || (!err && record.seq != scan->expect + 1))
        return TMB_ENOENT;
    if (!err) {
        *ret_at = scan->offset + claimed;
        *ret_seq = record.seq;
    }
    return err;
}

/* Way 2. needs_proof: only a record before which the bad one ends by proof is taken. */
static tmb_err search(tmb_scan *scan, bool needs_proof, uint64_t *ret_at, uint64_t *ret_seq)
{
    uint64_t at = scan->offset;
    for (;;) {
        tmb_record record;
        size_t len;
        tmb_err err = find_marker(scan, at + 1, &at);
        if (err)
            return err;
        if (at >= scan->size)
            return TMB_ENOENT;
        err = decode_at(scan, at, &record, &len);
        if (err == TMB_EAGAIN || err == TMB_ECORRUPT)
            continue;
        if (err)
            return err;
        uint64_t seq = record.seq;
        bool good = fits(scan, at, &record);
        if (good && needs_proof)
            err = explains(scan, scan->offset, at, &good);
        if (err)
            return err;
        if (good) {
            *ret_at = at;
            *ret_seq = seq;
            return TMB_OK;
        }
    }
}

/* Nothing good follows: is it a torn write or damage? */
static tmb_err judge_end(tmb_scan *scan, bool is_unfinished, tmb_scan_found *found)
{
    bool yes = false;
    tmb_err err;
    if (is_unfinished) {
        err = explains(scan, scan->offset, scan->size, &yes);
        found->kind = yes ? TMB_SCAN_BAD_END : TMB_SCAN_TORN;
    } else {
        err = all_zero(scan, scan->offset, &yes);
        found->kind = yes ? TMB_SCAN_TORN : TMB_SCAN_BAD_END;
    }
    found->bytes = scan->size - scan->offset;
    scan->len = 0; /* the writer may cut or finish it: read again next time */
    return err;
}

static tmb_err find_way(tmb_scan *scan, bool is_unfinished, bool is_closed, tmb_scan_found *found)
{
    uint64_t at = 0, seq = 0;
    tmb_err err = is_unfinished ? TMB_ENOENT : jump(scan, &at, &seq);
    if (err == TMB_ENOENT)
        err = search(scan, is_unfinished && !is_closed, &at, &seq);
    if (err == TMB_ENOENT)
        return judge_end(scan, is_unfinished, found);
    if (err)
        return err;
    found->kind = TMB_SCAN_BAD;
    found->bytes = at - scan->offset;
    found->next_expect = seq;
    scan->offset = at;
    scan->expect = seq;
    return TMB_OK;
}

static tmb_err take(tmb_scan *scan, size_t len, tmb_scan_found *found)
{
    uint64_t seq = found->record.seq;
    if (seq > scan->expect) {
        /* Good bytes, but numbers before it are gone: told first, then read again. */
        found->kind = TMB_SCAN_BAD;
        found->next_expect = seq;
        scan->expect = seq;
        return TMB_OK;
    }
    found->kind = TMB_SCAN_RECORD;
    found->bytes = len;
    scan->offset += len;
    scan->expect = seq + 1;
    return TMB_OK;
}

tmb_err tmb_scan_next(tmb_scan *scan, bool is_closed, tmb_scan_found *ret_found)
{
    tmb_scan_found found = {.kind = TMB_SCAN_END, .offset = scan->offset};
    size_t len = 0;
    tmb_err err = TMB_EAGAIN;
    /* From the buffer first: the file is only asked when that ends inside a record. */
    if (scan->offset >= scan->start && scan->offset - scan->start < scan->len) {
        size_t skip = (size_t)(scan->offset - scan->start);
        err = tmb_record_decode(tmb_bytes_of(scan->buffer + skip, scan->len - skip), &found.record,
                                &len);
    }
    if (err != TMB_OK || found.record.seq < scan->expect) {
        err = look(scan);
        if (err)
            return err;
        if (scan->offset >= scan->size) {
            scan->len = 0;
            *ret_found = found;
            return TMB_OK;
        }
        err = decode_at(scan, scan->offset, &found.record, &len);
        if (err == TMB_EAGAIN) {
            /* Never keep half a record: it may have been cached before the writer cut it. */
            scan->len = 0;
            err = decode_at(scan, scan->offset, &found.record, &len);
        }
    }
    if (!err && found.record.seq < scan->expect)
        err = TMB_ECORRUPT;
    if (!err)
        err = take(scan, len, &found);
    else if (err == TMB_EAGAIN || err == TMB_ECORRUPT)
        err = find_way(scan, err == TMB_EAGAIN, is_closed, &found);
    if (!err)
        *ret_found = found;
    return err;
}
