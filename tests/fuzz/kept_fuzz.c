// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/kept_fuzz.c - any records as libtombolo's state file: read or refused, and what was read is in
 * order. The input is a list of kind, length (u16) and body; the checksums are put on here, since otherwise
 * nothing behind them would be reached. The last byte of the input may cut the file short. */
#include "clients/c/kept_file.h"
#include "tests/fuzz/fuzz.h"

enum { FILE_MAX = 1 << 17 };

static size_t seal_all(tmb_reader *r, uint8_t *file)
{
    memcpy(file, TMB_KEPT_MAGIC TMB_KEPT_VERSION, TMB_KEPT_MAGIC_BYTES);
    size_t len = TMB_KEPT_MAGIC_BYTES;
    while (tmb_reader_left(r) > 3) {
        uint8_t kind = tmb_get_u8(r);
        size_t body_len = tmb_get_u16(r);
        if (body_len > tmb_reader_left(r))
            body_len = tmb_reader_left(r);
        if (len + TMB_KEPT_HEAD_BYTES + body_len > FILE_MAX)
            break;
        tmb_bytes body = tmb_get_bytes(r, body_len);
        if (body_len > 0)
            memcpy(file + len + TMB_KEPT_HEAD_BYTES, body.ptr, body_len);
        tmb_kept_seal(file + len, kind, body_len);
        len += TMB_KEPT_HEAD_BYTES + body_len;
    }
    return len;
}

static void check(const tmb_kept *k)
{
    uint64_t last = 0, bytes = 0;
    size_t count = 0;
    for (const tmb_entry *e = k->box.first; e; e = e->next) {
        TMB_ASSERT(e->number > last && e->number < k->next_number);
        TMB_ASSERT(tmb_outbox_find(&k->box, e->number) == e && strlen(e->topic) > 0);
        last = e->number;
        bytes += e->encoded_len + TMB_ENTRY_OVERHEAD_BYTES;
        count++;
    }
    TMB_ASSERT(count == k->box.count && bytes == k->box.bytes);
    TMB_ASSERT(k->dedupe.source_count <= k->dedupe.source_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[FILE_MAX];
    static char path[] = "file"; /* for the sentence about what is wrong */
    static tmb_dedupe_source sources[2];
    static uint64_t words[2 * TMB_DEDUPE_WINDOW / 64];
    if (!data || size == 0)
        return 0;
    tmb_kept k = {.next_number = 1, .path = path};
    tmb_dedupe_init(&k.dedupe, sources, 2, words, TMB_DEDUPE_WINDOW);
    tmb_reader r = tmb_reader_of(tmb_bytes_of(data, size));
    size_t len = seal_all(&r, file);
    size_t cut = data[size - 1] & 0x80 ? data[size - 1] & 0x7fu : 0;
    if (cut < len)
        len -= cut;
    uint64_t good = 0;
    tmb_err err = tmb_kept_read(&k, tmb_bytes_of(file, len), &good);
    TMB_ASSERT(err == TMB_OK || err == TMB_ECORRUPT || err == TMB_EVERSION || err == TMB_ENOMEM);
    TMB_ASSERT(err != TMB_OK || (good <= len && (cut > 0 || good == len)));
    check(&k);
    tmb_outbox_free(&k.box);
    tmb_entry *next;
    for (tmb_entry *e = k.held; e; e = next) {
        next = e->next;
        tmb_entry_free(e);
    }
    return 0;
}
