// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/ledger.c - see broker-plugin/ledger.h. */
#include "broker-plugin/ledger.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "journal/text.h"
#include "proto/frame.h"

#define MAGIC 0x4c424d54u /* "TMBL" */
#define KEYS  (TMB_STREAMS_MAX * TMB_LOSS_MISSING)

static bool is_of(const tmb_loss *slot, const tmb_loss *loss)
{
    return slot->reason == loss->reason && strcmp(slot->stream, loss->stream) == 0;
}

static void prolong(tmb_loss *slot, const tmb_loss *loss)
{
    if (slot->count == 0) {
        *slot = *loss;
        return;
    }
    if (loss->first < slot->first)
        slot->first = loss->first;
    if (loss->last > slot->last)
        slot->last = loss->last;
    slot->count += loss->count;
    slot->bytes += loss->bytes;
    slot->at_ms = loss->at_ms;
}

unsigned tmb_ledger_add(tmb_ledger *ledger, const tmb_loss *loss)
{
    unsigned used = 0, ranges = 0, free_slot = TMB_LEDGER_SLOTS, same = TMB_LEDGER_SLOTS;
    for (unsigned i = 0; i < TMB_LEDGER_SLOTS; i++) {
        tmb_loss *slot = &ledger->slots[i];
        if (slot->reason == TMB_LOSS_NONE && free_slot == TMB_LEDGER_SLOTS)
            free_slot = i;
        used += slot->reason != TMB_LOSS_NONE;
        if (!is_of(slot, loss))
            continue;
        if (slot->count == 0 || slot->last + 1 == loss->first) {
            prolong(slot, loss);
            return i;
        }
        ranges++;
        if (same == TMB_LEDGER_SLOTS || slot->last > ledger->slots[same].last)
            same = i;
    }
    bool may_open =
        ranges == 0 || (ranges < TMB_LEDGER_RANGES_MAX && used < TMB_LEDGER_SLOTS - KEYS);
    if (may_open && free_slot < TMB_LEDGER_SLOTS)
        ledger->slots[free_slot] = *loss;
    else if (same < TMB_LEDGER_SLOTS)
        prolong(&ledger->slots[same], loss);
    return may_open ? free_slot : same;
}

tmb_loss tmb_ledger_take_back(tmb_ledger *ledger, const char *stream, uint64_t from)
{
    tmb_loss back = {.reason = TMB_LOSS_NONE};
    for (unsigned i = 0; i < TMB_LEDGER_SLOTS; i++) {
        tmb_loss *slot = &ledger->slots[i];
        if ((slot->reason != TMB_LOSS_RETENTION && slot->reason != TMB_LOSS_FULL_OLDEST) ||
            slot->count == 0 || slot->last < from || strcmp(slot->stream, stream) != 0)
            continue;
        uint64_t numbers = slot->last - (from > slot->first ? from : slot->first) + 1;
        uint64_t count = from <= slot->first || numbers > slot->count ? slot->count : numbers;
        uint64_t bytes = (uint64_t)((double)slot->bytes * (double)count / (double)slot->count);
        back.count += count;
        back.bytes += bytes;
        slot->count -= count;
        slot->bytes -= bytes < slot->bytes ? bytes : slot->bytes;
        slot->last = from - 1;
        if (slot->count == 0)
            *slot = (tmb_loss){0};
    }
    return back;
}

void tmb_ledger_told(tmb_ledger *ledger, unsigned slot)
{
    tmb_loss *loss = &ledger->slots[slot];
    loss->count = loss->bytes = 0;
    if (loss->reason != TMB_LOSS_FULL_NEWEST)
        *loss = (tmb_loss){0};
}

unsigned tmb_ledger_next(const tmb_ledger *ledger, unsigned slot)
{
    while (slot < TMB_LEDGER_SLOTS && ledger->slots[slot].count == 0)
        slot++;
    return slot;
}

unsigned tmb_ledger_waiting(const tmb_ledger *ledger)
{
    unsigned waiting = 0;
    for (unsigned i = 0; i < TMB_LEDGER_SLOTS; i++)
        waiting += ledger->slots[i].count > 0;
    return waiting;
}

uint64_t tmb_ledger_shed_seq(const tmb_ledger *ledger, const char *stream)
{
    uint64_t seq = 0;
    for (unsigned i = 0; i < TMB_LEDGER_SLOTS; i++) {
        const tmb_loss *slot = &ledger->slots[i];
        if (slot->reason == TMB_LOSS_FULL_NEWEST && strcmp(slot->stream, stream) == 0 &&
            slot->last > seq)
            seq = slot->last;
    }
    return seq;
}

tmb_loss tmb_ledger_behind(const tmb_loss *loss, uint64_t mark)
{
    tmb_loss rest = *loss;
    uint64_t numbers = loss->last - loss->first + 1;
    if (mark < loss->first)
        return rest;
    if (mark >= loss->last) {
        rest.count = rest.bytes = 0;
        return rest;
    }
    uint64_t left = loss->last - mark;
    rest.first = mark + 1;
    rest.count = left < loss->count ? left : loss->count;
    rest.bytes = (uint64_t)((double)loss->bytes * (double)left / (double)numbers);
    return rest;
}

void tmb_ledger_encode(const tmb_loss *loss, const tmb_incarnation *journal,
                       uint8_t out[TMB_LEDGER_SLOT_BYTES])
{
    static const uint8_t zeros[TMB_STREAM_NAME_BYTES_MAX + 1];
    size_t name_len = strlen(loss->stream);
    tmb_writer w = tmb_writer_of(out, TMB_LEDGER_SLOT_BYTES);
    memset(out, 0, TMB_LEDGER_SLOT_BYTES);
    if (loss->reason == TMB_LOSS_NONE)
        return;
    tmb_put_u32(&w, MAGIC);
    tmb_put_u32(&w, 0);
    tmb_put_bytes(&w, tmb_bytes_of(journal->bytes, sizeof journal->bytes));
    tmb_put_u8(&w, (uint8_t)loss->reason);
    tmb_put_u8(&w, (uint8_t)name_len);
    tmb_put_bytes(&w, tmb_bytes_of(zeros, 6));
    tmb_put_u64(&w, loss->first);
    tmb_put_u64(&w, loss->last);
    tmb_put_u64(&w, loss->count);
    tmb_put_u64(&w, loss->bytes);
    tmb_put_u64(&w, (uint64_t)loss->at_ms);
    tmb_put_bytes(&w, tmb_bytes_of(loss->stream, name_len));
    w = tmb_writer_of(out + 4, 4);
    tmb_put_u32(&w, tmb_crc32c(0, tmb_bytes_of(out + 8, TMB_LEDGER_SLOT_BYTES - 8)));
}

tmb_err tmb_ledger_decode(const uint8_t bytes[TMB_LEDGER_SLOT_BYTES],
                          const tmb_incarnation *journal, tmb_loss *ret_loss)
{
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, TMB_LEDGER_SLOT_BYTES));
    tmb_loss loss = {.reason = TMB_LOSS_NONE};
    uint32_t magic = tmb_get_u32(&r), crc = tmb_get_u32(&r);
    if (magic == 0 && crc == 0)
        return TMB_ENOENT;
    if (magic != MAGIC || crc != tmb_crc32c(0, tmb_bytes_of(bytes + 8, TMB_LEDGER_SLOT_BYTES - 8)))
        return TMB_ECORRUPT;
    tmb_bytes incarnation = tmb_get_bytes(&r, sizeof journal->bytes);
    uint8_t reason = tmb_get_u8(&r), name_len = tmb_get_u8(&r);
    (void)tmb_get_bytes(&r, 6);
    loss.first = tmb_get_u64(&r);
    loss.last = tmb_get_u64(&r);
    loss.count = tmb_get_u64(&r);
    loss.bytes = tmb_get_u64(&r);
    loss.at_ms = (int64_t)tmb_get_u64(&r);
    tmb_bytes name = tmb_get_bytes(&r, name_len);
    if (r.bad || !name.ptr || !incarnation.ptr || reason < TMB_LOSS_RETENTION ||
        reason > TMB_LOSS_MISSING || loss.first == 0 || loss.last < loss.first ||
        loss.last > TMB_SEQ_MAX || !tmb_name_is_valid(name, TMB_STREAM_NAME_BYTES_MAX))
        return TMB_ECORRUPT;
    if (memcmp(incarnation.ptr, journal->bytes, sizeof journal->bytes) != 0)
        return TMB_ENOENT;
    loss.reason = (tmb_loss_reason)reason;
    memcpy(loss.stream, name.ptr, name.len);
    *ret_loss = loss;
    return TMB_OK;
}

/* The date of a day since 1970-01-01. Source: H. Hinnant, "chrono-compatible low-level date algorithms",
 * civil_from_days, 2021. */
static void date_of_day(int64_t day, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    day += 719468;
    int64_t era = (day >= 0 ? day : day - 146096) / 146097;
    unsigned of_era = (unsigned)(day - era * 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153;
    *ret_day = of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = (int64_t)year + era * 400 + (*ret_month <= 2);
}

size_t tmb_ledger_text(const tmb_loss *loss, const char *node, const tmb_incarnation *journal,
                       char out[TMB_LEDGER_TEXT_BYTES])
{
    char incarnation[TMB_INCARNATION_HEX_BYTES];
    tmb_text_hex(journal, incarnation);
    int64_t at_ms = loss->at_ms > 0 ? loss->at_ms : 0, year = 0;
    unsigned month = 0, day = 0, of_day = (unsigned)(at_ms / 1000 % 86400);
    date_of_day(at_ms / 86400000, &year, &month, &day);
    int len =
        snprintf(out, TMB_LEDGER_TEXT_BYTES,
                 "{\"node\":\"%s\",\"incarnation\":\"%s\",\"stream\":\"%s\",\"first\":%" PRIu64
                 ",\"last\":%" PRIu64 ",\"count\":%" PRIu64 ",\"bytes\":%" PRIu64
                 ",\"reason\":\"%s\",\"time\":\"%04" PRId64 "-%02u-%02uT%02u:%02u:%02u.%03uZ\"}",
                 node, incarnation, loss->stream, loss->first, loss->last, loss->count, loss->bytes,
                 tmb_loss_reason_str(loss->reason), year, month, day, of_day / 3600,
                 of_day / 60 % 60, of_day % 60, (unsigned)(at_ms % 1000));
    TMB_ASSERT(len > 0 && len < TMB_LEDGER_TEXT_BYTES);
    return (size_t)len;
}

const char *tmb_loss_reason_str(tmb_loss_reason reason)
{
    switch (reason) {
    case TMB_LOSS_NONE:
        return "none";
    case TMB_LOSS_RETENTION:
        return "retention";
    case TMB_LOSS_FULL_OLDEST:
        return "full-oldest";
    case TMB_LOSS_FULL_NEWEST:
        return "full-newest";
    case TMB_LOSS_DAMAGED:
        return "damaged";
    case TMB_LOSS_MISSING:
        return "missing";
    }
    return "unknown";
}
