// SPDX-License-Identifier: Apache-2.0
/* clients/c/kept_file.c - see clients/c/kept_file.h. */
#include "clients/c/kept_file.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/crc32c.h"

static uint32_t checksum(uint32_t len, uint8_t kind, tmb_bytes body)
{
    uint8_t head[5];
    tmb_writer w = tmb_writer_of(head, sizeof head);
    tmb_put_u32(&w, len);
    tmb_put_u8(&w, kind);
    return tmb_crc32c(tmb_crc32c(0, tmb_bytes_of(head, sizeof head)), body);
}

void tmb_kept_seal(uint8_t *record, uint8_t kind, size_t body_len)
{
    tmb_bytes body = tmb_bytes_of(record + TMB_KEPT_HEAD_BYTES, body_len);
    tmb_writer w = tmb_writer_of(record, TMB_KEPT_HEAD_BYTES);
    tmb_put_u32(&w, (uint32_t)body_len);
    tmb_put_u32(&w, ~(uint32_t)body_len);
    tmb_put_u32(&w, checksum((uint32_t)body_len, kind, body));
    tmb_put_u8(&w, kind);
}

static tmb_entry *find_held(const tmb_kept *kept, uint64_t number)
{
    tmb_entry *e = kept->held;
    while (e && e->number != number)
        e = e->next;
    return e;
}

static void drop_held(tmb_kept *kept, tmb_entry *entry)
{
    tmb_entry **at = &kept->held;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    kept->held_count--;
    kept->held_bytes -= entry->encoded_len + TMB_ENTRY_OVERHEAD_BYTES;
    entry->is_held = false;
}

static void add_held(tmb_kept *kept, tmb_entry *entry)
{
    entry->is_held = true;
    entry->next = kept->held;
    kept->held = entry;
    kept->held_count++;
    kept->held_bytes += entry->encoded_len + TMB_ENTRY_OVERHEAD_BYTES;
}

static void count(tmb_kept *kept, uint64_t number)
{
    if (number >= kept->next_number)
        kept->next_number = number + 1;
}

static tmb_err read_message(tmb_kept *kept, uint8_t kind, tmb_reader *r)
{
    uint64_t number = tmb_get_u64(r);
    tmb_entry *entry = NULL;
    if (r->bad || number == 0 || number > TMB_SEQ_MAX)
        return TMB_ECORRUPT;
    if (kind == TMB_KEPT_MESSAGE && kept->box.last && kept->box.last->number >= number)
        return TMB_ECORRUPT;
    tmb_err err = tmb_entry_read(tmb_get_bytes(r, tmb_reader_left(r)), &entry);
    if (err != TMB_OK)
        return err;
    entry->number = number;
    count(kept, number);
    if (kind == TMB_KEPT_HELD)
        add_held(kept, entry);
    else
        tmb_outbox_push(&kept->box, entry);
    return TMB_OK;
}

static tmb_err read_renumbered(tmb_kept *kept, tmb_reader *r)
{
    tmb_entry *entry = find_held(kept, tmb_get_u64(r));
    uint64_t number = tmb_get_u64(r);
    if (r->bad || !entry || number > TMB_SEQ_MAX || number < kept->next_number)
        return TMB_ECORRUPT;
    drop_held(kept, entry);
    entry->number = number;
    count(kept, number);
    tmb_outbox_push(&kept->box, entry);
    return TMB_OK;
}

static tmb_err read_number(tmb_kept *kept, uint8_t kind, tmb_reader *r)
{
    uint64_t number = tmb_get_u64(r);
    if (r->bad || tmb_reader_left(r) != 0 || number == 0 || number > TMB_SEQ_MAX)
        return TMB_ECORRUPT;
    if (kind == TMB_KEPT_NEXT) {
        count(kept, number - 1);
        return TMB_OK;
    }
    tmb_entry *entry = tmb_outbox_find(&kept->box, number);
    if (!entry)
        return TMB_ECORRUPT;
    tmb_outbox_take(&kept->box, entry);
    if (kind == TMB_KEPT_HOLD)
        add_held(kept, entry);
    else
        tmb_entry_free(entry);
    return TMB_OK;
}

static bool read_name(tmb_reader *r, char *ret_name, size_t size)
{
    tmb_bytes name = tmb_get_bytes(r, tmb_get_u8(r));
    if (r->bad || name.len == 0 || name.len >= size || memchr(name.ptr, 0, name.len))
        return false;
    memcpy(ret_name, name.ptr, name.len);
    return true;
}

static tmb_err read_mark(tmb_kept *kept, uint8_t kind, tmb_reader *r)
{
    tmb_msgid id = {.life = tmb_get_u32(r)};
    id.seq = tmb_get_u64(r);
    if (!read_name(r, id.node, sizeof id.node) || !read_name(r, id.stream, sizeof id.stream) ||
        id.seq == 0 || id.seq > TMB_SEQ_MAX)
        return TMB_ECORRUPT;
    tmb_dedupe_mark(&kept->dedupe, &id);
    size_t words = kind == TMB_KEPT_WINDOW ? (size_t)(TMB_DEDUPE_WINDOW / 64) : 0;
    if (tmb_reader_left(r) != words * 8)
        return TMB_ECORRUPT;
    /* A source that is written anew is met for the first time, so it has the last place. */
    for (size_t i = 0; i < words; i++)
        tmb_dedupe_bits(&kept->dedupe, kept->dedupe.source_count - 1)[i] |= tmb_get_u64(r);
    return TMB_OK;
}

static tmb_err read_body(tmb_kept *kept, uint8_t kind, tmb_bytes body)
{
    tmb_reader r = tmb_reader_of(body);
    switch (kind) {
    case TMB_KEPT_RUN:
        if (body.len == 0 || body.len > TMB_CLIENT_RUN_BYTES_MAX || memchr(body.ptr, 0, body.len))
            return TMB_ECORRUPT;
        memset(kept->run, 0, sizeof kept->run);
        memcpy(kept->run, body.ptr, body.len);
        return TMB_OK;
    case TMB_KEPT_NEXT:
    case TMB_KEPT_FORGET:
    case TMB_KEPT_HOLD:
        return read_number(kept, kind, &r);
    case TMB_KEPT_MESSAGE:
    case TMB_KEPT_HELD:
        return read_message(kept, kind, &r);
    case TMB_KEPT_RENUMBERED:
        return read_renumbered(kept, &r);
    case TMB_KEPT_MARK:
    case TMB_KEPT_WINDOW:
        return read_mark(kept, kind, &r);
    default:
        return TMB_ECORRUPT;
    }
}

/* is_zero: the file system gave the file its new length, and not yet its bytes. */
static bool is_zero(const tmb_reader *r)
{
    for (const uint8_t *at = r->at; at < r->end; at++)
        if (*at != 0)
            return false;
    return true;
}

tmb_err tmb_kept_read(tmb_kept *kept, tmb_bytes file, uint64_t *ret_good)
{
    tmb_reader r = tmb_reader_of(file);
    tmb_bytes magic = tmb_get_bytes(&r, TMB_KEPT_MAGIC_BYTES);
    if (r.bad || memcmp(magic.ptr, TMB_KEPT_MAGIC, strlen(TMB_KEPT_MAGIC)) != 0) {
        (void)snprintf(kept->why, sizeof kept->why, "%s is no state file of libtombolo",
                       kept->path);
        return TMB_ECORRUPT;
    }
    if (memcmp(magic.ptr, TMB_KEPT_MAGIC TMB_KEPT_VERSION, TMB_KEPT_MAGIC_BYTES) != 0) {
        (void)snprintf(kept->why, sizeof kept->why, "%s is of another version of libtombolo",
                       kept->path);
        return TMB_EVERSION;
    }
    while (tmb_reader_left(&r) > 0) {
        tmb_reader head = r;
        uint32_t len = tmb_get_u32(&head), inverted = tmb_get_u32(&head), crc = tmb_get_u32(&head);
        uint8_t kind = tmb_get_u8(&head);
        bool is_sane = len == (uint32_t)~inverted;
        if (head.bad || is_zero(&r) || (is_sane && tmb_reader_left(&head) < len))
            break; /* half a record: what a kill or a power cut leaves at the end */
        tmb_bytes body = tmb_get_bytes(&head, is_sane ? len : 0);
        tmb_err err = is_sane && checksum(len, kind, body) == crc ? read_body(kept, kind, body)
                                                                  : TMB_ECORRUPT;
        if (err != TMB_OK) {
            (void)snprintf(kept->why, sizeof kept->why,
                           "%s: the record at byte %" PRIuPTR " is damaged", kept->path,
                           (uintptr_t)(r.at - file.ptr));
            return err;
        }
        r = head;
    }
    *ret_good = (uint64_t)(r.at - file.ptr);
    return TMB_OK;
}
