// SPDX-License-Identifier: Apache-2.0
/* proto/name.c - what a node, a domain or a stream may be called: names end up in topics, in file names, in
 * certificates and in keys, so their alphabet is small enough to mean the same in all of them. */
#include "proto/frame.h"

static bool is_letter_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool tmb_name_is_valid(tmb_bytes name, size_t bytes_max)
{
    if (name.len == 0 || name.len > bytes_max || !is_letter_or_digit(name.ptr[0]))
        return false;
    for (size_t i = 1; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (!is_letter_or_digit(c) && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}
