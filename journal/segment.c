// SPDX-License-Identifier: Apache-2.0
/* journal/segment.c - see journal/segment.h for the layout. */
#include "journal/segment.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "journal/files.h"

#define VERSION            1u
#define HEADER_BYTES_MAX   4096u /* of any version to come */
#define HEADER_BYTES_FIXED 16u

static const char magic[8] = {'T', 'M', 'B', 'J', 'S', 'E', 'G', '1'};

static uint32_t checksum(const uint8_t *header, size_t len)
{
    uint32_t crc = tmb_crc32c(0, tmb_bytes_of(header, 12));
    return tmb_crc32c(crc, tmb_bytes_of(header + HEADER_BYTES_FIXED, len - HEADER_BYTES_FIXED));
}

void tmb_segment_header_encode(const tmb_segment_header *header,
                               uint8_t out[TMB_SEGMENT_HEADER_BYTES])
{
    size_t stream_len = strlen(header->stream), node_len = strlen(header->node);
    memset(out, 0, TMB_SEGMENT_HEADER_BYTES);
    memcpy(out + 64, header->stream, stream_len);
    memcpy(out + 96, header->node, node_len);

    tmb_writer w = tmb_writer_of(out, 64);
    tmb_put_bytes(&w, tmb_bytes_of(magic, sizeof magic));
    tmb_put_u16(&w, VERSION);
    tmb_put_u16(&w, TMB_SEGMENT_HEADER_BYTES);
    tmb_put_u32(&w, 0);
    tmb_put_bytes(&w, tmb_bytes_of(header->incarnation.bytes, sizeof header->incarnation.bytes));
    tmb_put_u64(&w, header->base);
    tmb_put_u64(&w, header->created.u64);
    tmb_put_u64(&w, header->gap_first);
    tmb_put_u8(&w, (uint8_t)header->gap_reason);
    tmb_put_u8(&w, (uint8_t)stream_len);
    tmb_put_u8(&w, (uint8_t)node_len);

    w = tmb_writer_of(out + 12, 4);
    tmb_put_u32(&w, checksum(out, TMB_SEGMENT_HEADER_BYTES));
}

/* The sixteen bytes that no version changes: the magic, and a checksum over as many bytes as they say. */
static tmb_err check_frame(tmb_bytes bytes, unsigned *ret_version)
{
    tmb_reader r = tmb_reader_of(bytes);
    tmb_bytes start = tmb_get_bytes(&r, sizeof magic);
    unsigned version = tmb_get_u16(&r);
    size_t len = tmb_get_u16(&r);
    uint32_t crc = tmb_get_u32(&r);
    if (r.bad || !tmb_bytes_eq(start, tmb_bytes_of(magic, sizeof magic)))
        return TMB_ECORRUPT;
    if (len < HEADER_BYTES_FIXED || len > HEADER_BYTES_MAX || len > bytes.len)
        return TMB_ECORRUPT;
    if (checksum(bytes.ptr, len) != crc)
        return TMB_ECORRUPT;
    *ret_version = version;
    return TMB_OK;
}

static bool take_name(const uint8_t *from, size_t len, size_t max, char *out)
{
    if (len == 0 || len > max)
        return false;
    memcpy(out, from, len);
    out[len] = '\0';
    return tmb_name_is_valid(tmb_bytes_str(out), max);
}

static tmb_err decode(tmb_bytes bytes, tmb_segment_header *ret_header)
{
    unsigned version = 0;
    tmb_err err = check_frame(bytes, &version);
    if (err)
        return err;
    if (version != VERSION)
        return TMB_EVERSION;
    if (bytes.len < TMB_SEGMENT_HEADER_BYTES)
        return TMB_ECORRUPT;

    tmb_segment_header header = {.base = 0};
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes.ptr + HEADER_BYTES_FIXED, 48));
    tmb_bytes incarnation = tmb_get_bytes(&r, sizeof header.incarnation.bytes);
    memcpy(header.incarnation.bytes, incarnation.ptr, incarnation.len);
    header.base = tmb_get_u64(&r);
    header.created.u64 = tmb_get_u64(&r);
    header.gap_first = tmb_get_u64(&r);
    unsigned reason = tmb_get_u8(&r);
    size_t stream_len = tmb_get_u8(&r);
    size_t node_len = tmb_get_u8(&r);
    if (reason > TMB_GAP_MISSING || header.base == 0)
        return TMB_ECORRUPT;
    header.gap_reason = (tmb_gap_reason)reason;
    if (!take_name(bytes.ptr + 64, stream_len, TMB_STREAM_NAME_BYTES_MAX, header.stream) ||
        !take_name(bytes.ptr + 96, node_len, TMB_NAME_BYTES_MAX, header.node))
        return TMB_ECORRUPT;

    /* Whatever this writer would not have written is wrong: header length, padding. */
    uint8_t again[TMB_SEGMENT_HEADER_BYTES];
    tmb_segment_header_encode(&header, again);
    if (memcmp(again, bytes.ptr, sizeof again) != 0)
        return TMB_ECORRUPT;
    *ret_header = header;
    return TMB_OK;
}

tmb_err tmb_segment_header_read(const tmb_file_port *files, int fd, uint64_t base,
                                const char *stream, tmb_segment_header *ret_header)
{
    uint8_t bytes[HEADER_BYTES_MAX];
    size_t len = 0;
    tmb_segment_header header;
    tmb_err err = tmb_files_read(files, fd, bytes, sizeof bytes, 0, &len);
    if (err)
        return err;
    err = decode(tmb_bytes_of(bytes, len), &header);
    if (err)
        return err;
    if (header.base != base || strcmp(header.stream, stream) != 0)
        return TMB_ECORRUPT;
    *ret_header = header;
    return TMB_OK;
}

void tmb_segment_name(uint64_t base, char out[TMB_SEGMENT_NAME_BYTES])
{
    for (size_t i = 20; i > 0; i--) {
        out[i - 1] = (char)('0' + base % 10);
        base /= 10;
    }
    memcpy(out + 20, ".seg", 5);
}

static bool parse_name(const char *name, uint64_t *ret_base)
{
    uint64_t base = 0;
    if (strlen(name) != TMB_SEGMENT_NAME_BYTES - 1 || strcmp(name + 20, ".seg") != 0)
        return false;
    for (size_t i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(name[i] - '0');
        if (base > (UINT64_MAX - digit) / 10)
            return false;
        base = base * 10 + digit;
    }
    if (base == 0)
        return false;
    *ret_base = base;
    return true;
}

tmb_err tmb_segment_open(const tmb_file_port *files, const char *folder, uint64_t base, int flags,
                         int *ret_fd)
{
    char name[TMB_SEGMENT_NAME_BYTES];
    tmb_segment_name(base, name);
    tmb_path path = tmb_path_join(folder, name);
    int fd = files->open(files->context, path.text, flags, 0);
    if (fd < 0)
        return tmb_files_err(fd);
    *ret_fd = fd;
    return TMB_OK;
}

typedef struct collect {
    tmb_segment_list *list;
    tmb_err err;
} collect;

static int collect_name(void *arg, const char *name)
{
    collect *c = arg;
    uint64_t base;
    if (!parse_name(name, &base))
        return 0;
    if (c->list->count == c->list->cap) {
        size_t cap = c->list->cap ? 2 * c->list->cap : 16;
        uint64_t *bases = realloc(c->list->bases, cap * sizeof *bases);
        if (!bases) {
            c->err = TMB_ENOMEM;
            return 1;
        }
        c->list->bases = bases;
        c->list->cap = cap;
    }
    c->list->bases[c->list->count++] = base;
    return 0;
}

static int compare_bases(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

tmb_err tmb_segment_list_load(tmb_segment_list *list, const tmb_file_port *files,
                              const char *folder)
{
    collect c = {list, TMB_OK};
    list->count = 0;
    tmb_err err = tmb_files_err(files->list(files->context, folder, collect_name, &c));
    if (err == TMB_ENOENT)
        return TMB_OK;
    if (!err)
        err = c.err;
    if (err) {
        list->count = 0;
        return err;
    }
    if (list->count > 1)
        qsort(list->bases, list->count, sizeof *list->bases, compare_bases);
    return TMB_OK;
}

static bool has_base(const tmb_segment_list *list, uint64_t base)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->bases[i] == base)
            return true;
    return false;
}

tmb_err tmb_segment_open_listed(const tmb_file_port *files, const char *folder, uint64_t base,
                                int *ret_fd)
{
    tmb_segment_list list = {NULL, 0, 0};
    tmb_err err = tmb_segment_open(files, folder, base, O_RDONLY, ret_fd);
    if (err != TMB_ENOENT)
        return err;
    err = tmb_segment_list_load(&list, files, folder);
    if (!err)
        err = has_base(&list, base) ? TMB_EIO : TMB_ENOENT;
    tmb_segment_list_fini(&list);
    return err;
}

void tmb_segment_list_fini(tmb_segment_list *list)
{
    free(list->bases);
    list->bases = NULL;
    list->count = list->cap = 0;
}
