// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/msgid_fuzz.c - any bytes as a tombolo-id: what is read as a mark is spelled just so. */
#include <inttypes.h>
#include <stdio.h>

#include "clients/c/dedupe.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tmb_msgid id;
    memset(&id, 0x5a, sizeof id);
    tmb_msgid before = id;
    tmb_bytes text = tmb_bytes_of(data, data ? size : 0);
    if (tmb_msgid_parse(text, &id)) {
        TMB_ASSERT(memcmp(&id, &before, sizeof id) == 0);
        return 0;
    }
    char again[TMB_MSGID_BYTES_MAX + 1];
    int len = snprintf(again, sizeof again, "%s/%s/%" PRIu64 "/%08" PRIx32, id.node, id.stream,
                       id.seq, id.life);
    TMB_ASSERT(len > 0 && tmb_bytes_eq(tmb_bytes_of(again, (size_t)len), text));

    static uint64_t words[2];
    tmb_dedupe_source sources[2];
    tmb_dedupe d;
    tmb_dedupe_init(&d, sources, 2, words, 64);
    TMB_ASSERT(tmb_dedupe_ask(&d, &id) == TMB_DEDUPE_NEW);
    tmb_dedupe_mark(&d, &id);
    TMB_ASSERT(tmb_dedupe_ask(&d, &id) == TMB_DEDUPE_REPEAT);
    return 0;
}
