// SPDX-License-Identifier: Apache-2.0
/* journal/text.h - small text files that end with a checksum of themselves: the identity, the parent's
 * marks, the note of the rings' folder.
 *
 *   ... lines ...
 *   crc32c 89abcdef
 *
 * The checksum is of every byte before its own line. A reader also prints again what it has read, and
 * compares: then no flipped bit can hide, not even one that turns an `a` into an `A`.
 * Threads: none, values. Cost: one pass.
 */
#ifndef TMB_JOURNAL_TEXT_H
#define TMB_JOURNAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 32 digits and a NUL. */
#define TMB_INCARNATION_HEX_BYTES 33

/* The last line: "crc32c ", 8 digits, a newline. */
#define TMB_TEXT_SEAL_BYTES 16u

/* tmb_text_seal adds the last line behind the len bytes of text and gives the new length; the caller's cap
 * has room for it and a NUL. */
size_t tmb_text_seal(char *text, size_t len, size_t cap);

/* tmb_text_is_whole: no NUL in it, and its last line is right. */
bool tmb_text_is_whole(const char *text, size_t len);

void tmb_text_hex(const tmb_incarnation *incarnation, char out[TMB_INCARNATION_HEX_BYTES]);

/* tmb_text_unhex takes 32 digits, in small letters, and nothing behind them. */
bool tmb_text_unhex(const char *hex, tmb_incarnation *ret_incarnation);

#ifdef __cplusplus
}
#endif
#endif
