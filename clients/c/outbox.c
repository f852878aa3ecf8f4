// SPDX-License-Identifier: Apache-2.0
/* clients/c/outbox.c - see clients/c/outbox.h.
 *
 * An entry's bytes, which are also its record in the state file (docs/client.md): flags (1: retain, 2:
 * content type), count of user properties (u16), then topic, content type, and names and values, each as
 * length (u16), text, NUL; the rest is the payload. The NULs make each text a C string in place.
 */
#include "clients/c/outbox.h"

#include <stdlib.h>

enum { FLAG_RETAIN = 1, FLAG_CONTENT_TYPE = 2, FLAGS_ALL = 3 };

static size_t text_size(const char *text)
{
    return 2 + strlen(text) + 1;
}

static void put_text(tmb_writer *w, const char *text)
{
    tmb_bytes b = tmb_bytes_str(text);
    tmb_put_u16(w, (uint16_t)b.len);
    tmb_put_bytes(w, b);
    tmb_put_u8(w, 0);
}

/* get_text gives a string in the reader's bytes; NULL and a bad reader when there is none. */
static const char *get_text(tmb_reader *r)
{
    tmb_bytes b = tmb_get_bytes(r, tmb_get_u16(r));
    if (tmb_get_u8(r) != 0 || r->bad || memchr(b.ptr, 0, b.len)) {
        r->bad = true;
        return NULL;
    }
    return (const char *)b.ptr;
}

static tmb_entry *blank(size_t len, size_t prop_count)
{
    tmb_entry *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->bytes = malloc(len);
    e->props = calloc(prop_count + 1, sizeof *e->props);
    e->encoded_len = len;
    e->receipt_deadline = e->hold_until = tmb_mono_never();
    if (!e->bytes || !e->props) {
        tmb_entry_free(e);
        return NULL;
    }
    return e;
}

/* point sets the pointers into e->bytes. */
static bool point(tmb_entry *e)
{
    tmb_reader r = tmb_reader_of(tmb_bytes_of(e->bytes, e->encoded_len));
    uint8_t flags = tmb_get_u8(&r);
    e->prop_count = tmb_get_u16(&r);
    e->retain = flags & FLAG_RETAIN;
    e->topic = get_text(&r);
    if (flags & FLAG_CONTENT_TYPE)
        e->content_type = get_text(&r);
    for (size_t i = 0; i < e->prop_count && !r.bad; i++) {
        e->props[i].name = get_text(&r);
        e->props[i].value = get_text(&r);
    }
    e->payload = tmb_get_bytes(&r, tmb_reader_left(&r));
    return !r.bad && (flags & ~FLAGS_ALL) == 0 && e->topic[0] != '\0';
}

tmb_err tmb_entry_new(const tmb_client_publication *from, tmb_entry **ret_entry)
{
    size_t len = 3 + text_size(from->topic) + from->payload_len;
    if (from->content_type)
        len += text_size(from->content_type);
    for (size_t i = 0; i < from->prop_count; i++)
        len += text_size(from->props[i].name) + text_size(from->props[i].value);
    tmb_entry *e = blank(len, from->prop_count);
    if (!e)
        return TMB_ENOMEM;
    tmb_writer w = tmb_writer_of(e->bytes, len);
    tmb_put_u8(&w, (uint8_t)((from->retain ? FLAG_RETAIN : 0) |
                             (from->content_type ? FLAG_CONTENT_TYPE : 0)));
    tmb_put_u16(&w, (uint16_t)from->prop_count);
    put_text(&w, from->topic);
    if (from->content_type)
        put_text(&w, from->content_type);
    for (size_t i = 0; i < from->prop_count; i++) {
        put_text(&w, from->props[i].name);
        put_text(&w, from->props[i].value);
    }
    tmb_put_bytes(&w, tmb_bytes_of(from->payload, from->payload_len));
    TMB_ASSERT(!w.bad && w.at == w.end);
    TMB_ASSERT(point(e));
    e->receipts_open = from->receipts;
    e->on_receipt = from->on_receipt;
    e->receipt_arg = from->receipt_arg;
    *ret_entry = e;
    return TMB_OK;
}

tmb_err tmb_entry_read(tmb_bytes encoded, tmb_entry **ret_entry)
{
    tmb_reader r = tmb_reader_of(encoded);
    (void)tmb_get_u8(&r);
    size_t prop_count = tmb_get_u16(&r);
    if (r.bad || prop_count > TMB_CLIENT_PROPS_MAX)
        return TMB_ECORRUPT;
    tmb_entry *e = blank(encoded.len, prop_count);
    if (!e)
        return TMB_ENOMEM;
    memcpy(e->bytes, encoded.ptr, encoded.len);
    if (!point(e)) {
        tmb_entry_free(e);
        return TMB_ECORRUPT;
    }
    *ret_entry = e;
    return TMB_OK;
}

void tmb_entry_free(tmb_entry *entry)
{
    if (!entry)
        return;
    free(entry->bytes);
    free(entry->props);
    free(entry);
}

void tmb_outbox_push(tmb_outbox *box, tmb_entry *entry)
{
    TMB_ASSERT(!box->last || box->last->number < entry->number);
    entry->prev = box->last;
    entry->next = NULL;
    if (box->last)
        box->last->next = entry;
    else
        box->first = entry;
    box->last = entry;
    if (!box->unsent)
        box->unsent = entry;
    HASH_ADD(hh, box->by_number, number, sizeof entry->number, entry);
    box->count++;
    box->unacked++;
    box->bytes += entry->encoded_len + TMB_ENTRY_OVERHEAD_BYTES;
}

void tmb_outbox_take(tmb_outbox *box, tmb_entry *entry)
{
    if (box->unsent == entry)
        box->unsent = entry->next;
    if (entry->prev)
        entry->prev->next = entry->next;
    else
        box->first = entry->next;
    if (entry->next)
        entry->next->prev = entry->prev;
    else
        box->last = entry->prev;
    HASH_DEL(box->by_number, entry);
    box->count--;
    if (!entry->is_acked)
        box->unacked--;
    box->bytes -= entry->encoded_len + TMB_ENTRY_OVERHEAD_BYTES;
    entry->prev = entry->next = NULL;
}

tmb_entry *tmb_outbox_find(const tmb_outbox *box, uint64_t number)
{
    tmb_entry *found = NULL;
    HASH_FIND(hh, box->by_number, &number, sizeof number, found);
    return found;
}

void tmb_outbox_sent(tmb_outbox *box)
{
    box->unsent->is_sent = box->unsent->was_sent = true;
    box->unsent = box->unsent->next;
}

void tmb_outbox_acked(tmb_outbox *box, tmb_entry *entry)
{
    if (entry->is_acked)
        return;
    entry->is_acked = true;
    box->unacked--;
}

void tmb_outbox_rewind(tmb_outbox *box)
{
    for (tmb_entry *e = box->first; e; e = e->next)
        e->is_sent = false;
    box->unsent = box->first;
}

void tmb_outbox_free(tmb_outbox *box)
{
    tmb_entry *next;
    HASH_CLEAR(hh, box->by_number);
    for (tmb_entry *e = box->first; e; e = next) {
        next = e->next;
        tmb_entry_free(e);
    }
    *box = (tmb_outbox){.count = 0};
}
