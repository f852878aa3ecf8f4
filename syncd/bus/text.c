// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/text.c - grows by half; JSON escapes what RFC 8259, section 7 asks for, and no more. */
#include "syncd/bus/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_BYTES 256u

void tmb_text_clear(tmb_text *text)
{
    free(text->ptr);
    *text = (tmb_text){0};
}

static bool has_room(tmb_text *text, size_t more)
{
    if (text->is_bad)
        return false;
    if (text->cap - text->len > more)
        return true;
    size_t cap = text->cap > 0 ? text->cap + text->cap / 2 : FIRST_BYTES;
    if (cap < text->len + more + 1)
        cap = text->len + more + 1;
    char *ptr = realloc(text->ptr, cap);
    text->is_bad = ptr == NULL;
    if (ptr) {
        text->ptr = ptr;
        text->cap = cap;
    }
    return !text->is_bad;
}

void tmb_text_put(tmb_text *text, tmb_bytes bytes)
{
    if (!has_room(text, bytes.len))
        return;
    if (bytes.len > 0)
        memcpy(text->ptr + text->len, bytes.ptr, bytes.len);
    text->len += bytes.len;
    text->ptr[text->len] = '\0';
}

void tmb_text_put_str(tmb_text *text, const char *str)
{
    tmb_text_put(text, tmb_bytes_str(str));
}

void tmb_text_format(tmb_text *text, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    text->is_bad = text->is_bad || len < 0 || (size_t)len >= sizeof line;
    if (!text->is_bad)
        tmb_text_put(text, tmb_bytes_of(line, (size_t)len));
}

/* UTF-8 that may hold NUL, which a register's bytes may. */
static bool is_text(tmb_bytes bytes)
{
    while (bytes.len > 0) {
        const uint8_t *nul = memchr(bytes.ptr, 0, bytes.len);
        size_t len = nul ? (size_t)(nul - bytes.ptr) : bytes.len;
        if (len > 0 && !tmb_utf8_is_valid(tmb_bytes_of(bytes.ptr, len)))
            return false;
        len += nul != NULL;
        bytes = tmb_bytes_of(bytes.ptr + len, bytes.len - len);
    }
    return true;
}

static void put_escaped(tmb_text *text, uint8_t c)
{
    static const char shorts[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
    const char *at = c != 0 ? strchr(shorts, c) : NULL;
    if (at)
        tmb_text_format(text, "\\%c", letters[at - shorts]);
    else
        tmb_text_format(text, "\\u%04x", c);
}

static void put_base64(tmb_text *text, tmb_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)bytes.ptr[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.ptr[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.ptr[i + 2] : 0;
        char out[4] = {digits[group >> 18], digits[group >> 12 & 63],
                       left > 1 ? digits[group >> 6 & 63] : '=',
                       left > 2 ? digits[group & 63] : '='};
        tmb_text_put(text, tmb_bytes_of(out, 4));
    }
}

void tmb_text_put_json(tmb_text *text, tmb_bytes bytes)
{
    if (!is_text(bytes)) {
        tmb_text_put_str(text, "{\"base64\":\"");
        put_base64(text, bytes);
        tmb_text_put_str(text, "\"}");
        return;
    }
    tmb_text_put_str(text, "\"");
    size_t done = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        tmb_text_put(text, tmb_bytes_of(bytes.ptr + done, i - done));
        put_escaped(text, c);
        done = i + 1;
    }
    if (done < bytes.len)
        tmb_text_put(text, tmb_bytes_of(bytes.ptr + done, bytes.len - done));
    tmb_text_put_str(text, "\"");
}
