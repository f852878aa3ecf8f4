// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/receipts.h - who still waits for a receipt, and for which number; no broker, no clock.
 *
 * A publisher that wants more than its PUBACK asks by user properties of its message:
 *
 *   tombolo-receipt: synced      the record is on this node's disk
 *   tombolo-receipt: committed   the parent has it, on its disk
 *   tombolo-receipt: engine      it is in the engine of the top node
 *
 * What cannot be answered at once waits here, in the order of its number, one list for each stream and for
 * what it waits for. Threads: none, the caller serialises. Cost: one allocation each, constant time.
 */
#ifndef TMB_BROKER_PLUGIN_RECEIPTS_H
#define TMB_BROKER_PLUGIN_RECEIPTS_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Receipts that may wait for one thing (this disk, the parent, the engine), and their topics and correlation
 * data. One more is refused and counted; its publisher may ask again. */
#define TMB_RECEIPTS_MAX       4096
#define TMB_RECEIPTS_BYTES_MAX (8u * 1024 * 1024)

typedef enum tmb_receipts_level {
    TMB_RECEIPTS_SYNCED = 0,
    TMB_RECEIPTS_COMMITTED,
    TMB_RECEIPTS_ENGINE
} tmb_receipts_level;
#define TMB_RECEIPTS_LEVELS 3

typedef struct tmb_receipt {
    unsigned stream;
    uint64_t seq;             /* of a repeat: the last of its stream, so not below its own */
    tmb_receipts_level level; /* asked for */
    tmb_receipts_level waits; /* for which news; at a node without a parent this disk is the top */
    bool is_repeat;
    tmb_bytes topic, correlation;
} tmb_receipt;

typedef struct tmb_receipts tmb_receipts;

/* tmb_receipts_new makes an empty table; limits as TMB_RECEIPTS_..._MAX. gives ret_receipts.
 * Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_receipts_new(size_t limit, size_t bytes_limit,
                                      tmb_receipts **ret_receipts);
void tmb_receipts_free(tmb_receipts *receipts);

/* tmb_receipts_add copies receipt behind the others of its stream and what it waits for.
 * Errors: TMB_ELIMIT (too many wait for that, or too many bytes), TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_receipts_add(tmb_receipts *receipts, const tmb_receipt *receipt);

/* tmb_receipts_first gives the oldest of a list, until the next add or pop; NULL: empty. tmb_receipts_pop
 * forgets it. */
const tmb_receipt *tmb_receipts_first(const tmb_receipts *receipts, unsigned stream,
                                      tmb_receipts_level waits);
void tmb_receipts_pop(tmb_receipts *receipts, unsigned stream, tmb_receipts_level waits);

size_t tmb_receipts_waiting(const tmb_receipts *receipts, tmb_receipts_level waits);
size_t tmb_receipts_count(const tmb_receipts *receipts);

/* "synced", "committed", "engine"; the other way round, false for anything else. */
const char *tmb_receipts_level_str(tmb_receipts_level level);
bool tmb_receipts_level_of(tmb_bytes text, tmb_receipts_level *ret_level);

/* tmb_receipt_topic_is_own: receipts/<client id>, or below it. */
bool tmb_receipt_topic_is_own(tmb_bytes topic, const char *client_id);

#ifdef __cplusplus
}
#endif
#endif
