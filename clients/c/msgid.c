// SPDX-License-Identifier: Apache-2.0
/* clients/c/msgid.c - see clients/c/msgid.h. */
#include "clients/c/msgid.h"

#include "proto/frame.h"

/* part cuts what stands before the next '/'; an empty slice when there is none. */
static tmb_bytes part(tmb_bytes *text)
{
    const uint8_t *slash = text->len > 0 ? memchr(text->ptr, '/', text->len) : NULL;
    if (!slash)
        return tmb_bytes_of(NULL, 0);
    tmb_bytes found = tmb_bytes_of(text->ptr, (size_t)(slash - text->ptr));
    *text = tmb_bytes_of(slash + 1, text->len - found.len - 1);
    return found;
}

static bool name(tmb_bytes text, char *ret_name, size_t max)
{
    if (!text.ptr || !tmb_name_is_valid(text, max))
        return false;
    memcpy(ret_name, text.ptr, text.len);
    return true;
}

static bool seq(tmb_bytes text, uint64_t *ret_seq)
{
    if (text.len == 0 || text.len > TMB_MSGID_SEQ_DIGITS || text.ptr[0] == '0')
        return false;
    uint64_t n = 0; /* 19 digits stay below 2^64 */
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *ret_seq = n;
    return n <= TMB_SEQ_MAX;
}

static bool life(tmb_bytes text, uint32_t *ret_life)
{
    if (text.len != TMB_MSGID_LIFE_DIGITS)
        return false;
    uint32_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c >= '0' && c <= '9')
            n = n << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n << 4 | (uint32_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret_life = n;
    return true;
}

tmb_err tmb_msgid_parse(tmb_bytes text, tmb_msgid *ret_id)
{
    if (text.len > TMB_MSGID_BYTES_MAX)
        return TMB_EINVAL;
    tmb_msgid id = {.seq = 0};
    if (!name(part(&text), id.node, TMB_NAME_BYTES_MAX) ||
        !name(part(&text), id.stream, TMB_STREAM_NAME_BYTES_MAX) || !seq(part(&text), &id.seq) ||
        !life(text, &id.life))
        return TMB_EINVAL;
    *ret_id = id;
    return TMB_OK;
}
