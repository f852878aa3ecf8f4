// SPDX-License-Identifier: Apache-2.0
/* clients/c/receipt.h - the node's answer to a message that asked for a receipt, and how one is asked for.
 *
 * A PUBLISH asks with a response topic, correlation data and the user property tombolo-receipt, once for each
 * level. We put "<run>:<number>" into the correlation data, so an answer finds its message in any later
 * connection, and those of an earlier run are told apart. docs/operations.md has the answer's JSON.
 * Threads: none. Cost: one parse of a small JSON text.
 */
#ifndef TMB_CLIENTS_C_RECEIPT_H
#define TMB_CLIENTS_C_RECEIPT_H

#include "base/bytes.h"
#include "base/limits.h"
#include "clients/c/tombolo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Response topic of a client: this and its client id; the one that a node with access rules takes
 * (docs/operations.md). The broker publishes there; it is in no stream. */
#define TMB_RECEIPT_TOPIC "receipts/"
/* A longer answer is none. */
#define TMB_RECEIPT_BYTES_MAX     4096
#define TMB_RECEIPT_WHY_BYTES_MAX 255
#define TMB_RECEIPT_LEVELS        3

/* An answer. Texts with a NUL, empty when the answer has none. */
typedef struct tmb_receipt_answer {
    tmb_receipt_level level;
    bool is_given; /* false: refused */
    bool is_repeat;
    uint64_t number; /* of the message that asked */
    uint64_t seq;
    char node[TMB_NAME_BYTES_MAX + 1];
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    char incarnation[33];
    char why[TMB_RECEIPT_WHY_BYTES_MAX + 1];
} tmb_receipt_answer;

/* tmb_receipt_level_name gives the level's name on the wire; static. level: one of them. */
const char *tmb_receipt_level_name(tmb_receipt_level level);

/* tmb_receipt_parse reads an answer. Errors: TMB_ENOENT (not of this run), TMB_EINVAL (no answer; ret is
 * untouched in both cases), TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_receipt_parse(tmb_bytes correlation, tmb_bytes payload, const char *run,
                                       tmb_receipt_answer *ret_answer);

#ifdef __cplusplus
}
#endif
#endif
