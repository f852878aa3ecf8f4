// SPDX-License-Identifier: Apache-2.0
/* base/utf8.c - UTF-8 validation after RFC 3629, section 4, with U+0000 refused as MQTT 5 asks. */
#include "base/bytes.h"

/* Length of a sequence by its first byte; 0 for bytes that start none. */
static unsigned sequence_len(uint8_t first)
{
    if (first >= 0x01 && first <= 0x7f)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    if (first >= 0xf0 && first <= 0xf4)
        return 4;
    return 0;
}

/* The second byte has a narrower range after four first bytes: no overlong forms, no surrogates, nothing
 * above U+10FFFF. */
static bool is_second(uint8_t first, uint8_t second)
{
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

bool tmb_utf8_is_valid(tmb_bytes b)
{
    for (size_t i = 0; i < b.len;) {
        unsigned len = sequence_len(b.ptr[i]);
        if (len == 0 || len > b.len - i)
            return false;
        if (len > 1 && !is_second(b.ptr[i], b.ptr[i + 1]))
            return false;
        for (unsigned k = 2; k < len; k++) {
            if ((b.ptr[i + k] & 0xc0) != 0x80)
                return false;
        }
        i += len;
    }
    return true;
}
