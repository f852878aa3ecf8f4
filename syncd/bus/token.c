// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/token.c - base64url: letters that stand in JSON, topics and user properties as they are. */
#include "syncd/bus/answer.h"

static const char letters_of_token[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t tmb_token_text(tmb_bytes bytes, char *out, size_t cap)
{
    size_t len = 0;
    TMB_ASSERT(cap >= TMB_TOKEN_TEXT_BYTES(bytes.len));
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = (uint32_t)bytes.ptr[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.ptr[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.ptr[i + 2] : 0;
        for (size_t k = 0; k <= left; k++)
            out[len++] = letters_of_token[group >> (18 - 6 * k) & 63];
    }
    out[len] = '\0';
    return len;
}

tmb_err tmb_token_bytes(tmb_bytes text, uint8_t *out, size_t cap, size_t *ret_len)
{
    size_t len = 0;
    uint32_t group = 0;
    unsigned bits = 0;
    if (text.len % 4 == 1)
        return TMB_EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.ptr[i] ? strchr(letters_of_token, text.ptr[i]) : NULL;
        if (!at)
            return TMB_EINVAL;
        group = group << 6 | (uint32_t)(at - letters_of_token);
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        if (len == cap)
            return TMB_ELIMIT;
        out[len++] = (uint8_t)(group >> bits);
    }
    if ((group & ((1u << bits) - 1)) != 0)
        return TMB_EINVAL; /* bits that belong to no byte: one token has one text */
    *ret_len = len;
    return TMB_OK;
}
