// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/answer.h - what is told about an operation, and texts for tokens and numbers.
 *
 *   {"ok":true,"verdict":"done","token":"AQ..."}
 *   {"ok":false,"verdict":"stale","why":"changed since the token was read; read again","op":"set",
 *    "path":"press/3/speed","id":"press-3:17"}
 *
 * Threads: none. Cost: one allocation.
 */
#ifndef TMB_SYNCD_BUS_ANSWER_H
#define TMB_SYNCD_BUS_ANSWER_H

#include "base/err.h"
#include "syncd/bus/ask.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_verdict_is_ok says whether the operation took effect, or had: done, same, repeat and saturated. */
bool tmb_verdict_is_ok(tmb_verdict verdict);

/* tmb_answer_json gives the JSON of an answer or error; why may be NULL or the verdict's own word, token
 * empty. *ret_text is to be freed. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_answer_json(const tmb_ask *ask, tmb_verdict verdict, const char *why,
                                     tmb_bytes token, char **ret_text);

/* Tokens travel as base64url without padding (RFC 4648, section 5). tmb_token_text gives the length and
 * writes a NUL behind it; cap is at least TMB_TOKEN_TEXT_BYTES(bytes.len). tmb_token_bytes: TMB_EINVAL for
 * what is no such text, TMB_ELIMIT for no room. */
#define TMB_TOKEN_TEXT_BYTES(len) (((len)*4 + 2) / 3 + 1)
size_t tmb_token_text(tmb_bytes bytes, char *out, size_t cap);
TMB_MUST_USE tmb_err tmb_token_bytes(tmb_bytes text, uint8_t *out, size_t cap, size_t *ret_len);

/* Numbers of raise and lower: 8 bytes whose order is that of the numbers (IEEE 754 big-endian, the sign
 * turned over, of negative ones all bits; -0 is 0). Finite ones alone. */
#define TMB_NUMBER_BYTES 8u
void tmb_number_order(double number, uint8_t out[TMB_NUMBER_BYTES]);
/* Errors: TMB_EINVAL (no such bytes). */
TMB_MUST_USE tmb_err tmb_number_of_order(tmb_bytes bytes, double *ret);

/* tmb_number_text writes the shortest text that reads as the same double, as JSON has it: 21.5, 3,
 * -1e+300. */
#define TMB_NUMBER_TEXT_BYTES 32u
void tmb_number_text(double number, char out[TMB_NUMBER_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
