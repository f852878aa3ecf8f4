// SPDX-License-Identifier: Apache-2.0
/* journal/text.c - see journal/text.h. */
#include "journal/text.h"

#include <stdio.h>

#include "base/crc32c.h"

size_t tmb_text_seal(char *text, size_t len, size_t cap)
{
    TMB_ASSERT(len + TMB_TEXT_SEAL_BYTES < cap);
    uint32_t crc = tmb_crc32c(0, tmb_bytes_of(text, len));
    return len + (size_t)snprintf(text + len, cap - len, "crc32c %08x\n", crc);
}

bool tmb_text_is_whole(const char *text, size_t len)
{
    char line[TMB_TEXT_SEAL_BYTES + 1];
    if (len < TMB_TEXT_SEAL_BYTES || memchr(text, '\0', len))
        return false;
    uint32_t crc = tmb_crc32c(0, tmb_bytes_of(text, len - TMB_TEXT_SEAL_BYTES));
    snprintf(line, sizeof line, "crc32c %08x\n", crc);
    return memcmp(text + len - TMB_TEXT_SEAL_BYTES, line, TMB_TEXT_SEAL_BYTES) == 0;
}

void tmb_text_hex(const tmb_incarnation *incarnation, char out[TMB_INCARNATION_HEX_BYTES])
{
    for (size_t i = 0; i < sizeof incarnation->bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", incarnation->bytes[i]);
}

/* 0 to 15, or -1. Capitals are not what tmb_text_hex writes. */
static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool tmb_text_unhex(const char *hex, tmb_incarnation *ret_incarnation)
{
    tmb_incarnation incarnation;
    if (strlen(hex) != TMB_INCARNATION_HEX_BYTES - 1)
        return false;
    for (size_t i = 0; i < sizeof incarnation.bytes; i++) {
        int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        incarnation.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *ret_incarnation = incarnation;
    return true;
}
