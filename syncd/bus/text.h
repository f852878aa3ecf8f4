// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/text.h - a text that grows, and texts in JSON.
 *
 * What has no memory is bad and stays so: looked at once, at the end.
 * Threads: none. Cost: amortised one copy a byte.
 */
#ifndef TMB_SYNCD_BUS_TEXT_H
#define TMB_SYNCD_BUS_TEXT_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_text {
    char *ptr;
    size_t len, cap;
    bool is_bad;
} tmb_text;

void tmb_text_clear(tmb_text *text); /* frees */
void tmb_text_put(tmb_text *text, tmb_bytes bytes);
void tmb_text_put_str(tmb_text *text, const char *str);
void tmb_text_format(tmb_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* tmb_text_put_json puts bytes as a JSON text, or as {"base64":"..."} when they are no UTF-8. NUL is
 * \u0000. */
void tmb_text_put_json(tmb_text *text, tmb_bytes bytes);

static inline tmb_bytes tmb_text_bytes(const tmb_text *text)
{
    return tmb_bytes_of(text->ptr, text->len);
}

#ifdef __cplusplus
}
#endif
#endif
