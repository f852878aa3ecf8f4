// SPDX-License-Identifier: Apache-2.0
/* config/text.c - one character after the other, up to the first that does not belong into a file of text. */
#include "config/text.h"

static bool is_control(uint8_t byte)
{
    return (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
}

/* The bytes of the character at the front of text; 0 when none is whole. */
static size_t character_len(tmb_bytes text)
{
    for (size_t len = 1; len <= 4 && len <= text.len; len++) {
        if (tmb_utf8_is_valid(tmb_bytes_of(text.ptr, len)))
            return len;
    }
    return 0;
}

tmb_place tmb_text_place(tmb_bytes text, size_t offset)
{
    tmb_place place = {1, 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if ((text.ptr[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

bool tmb_text_check(tmb_bytes text, tmb_report *report)
{
    size_t at = 0;
    while (at < text.len) {
        size_t len = character_len(tmb_bytes_of(text.ptr + at, text.len - at));
        if (is_control(text.ptr[at])) {
            tmb_report_add(report, tmb_text_place(text, at),
                           "control character 0x%02x in the file; remove it", text.ptr[at]);
            return false;
        }
        if (len == 0) {
            tmb_report_add(report, tmb_text_place(text, at),
                           "byte 0x%02x is not UTF-8; save the file as UTF-8", text.ptr[at]);
            return false;
        }
        at += len;
    }
    return true;
}
