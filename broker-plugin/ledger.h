// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/ledger.h - losses on their way into the loss ledger: ranges that grow until they are written.
 *
 * Shedding a million messages must not make a million entries, nor need memory for them: each loss either
 * prolongs a range that waits, or opens one. What waits is told once a second and when the disk lets it
 * (loss.c), and is kept in a small file meanwhile, a slot a range, so that no kill loses it. A slot is
 *
 *   waiting (count > 0) --told--> free, or, of full-newest, spent --prolonged--> waiting
 *
 * spent: its numbers were used up without a record, and until the log's next segment says so a restart must
 * hear it from here. PURE. Threads: none. Cost: a walk over the slots.
 */
#ifndef TMB_BROKER_PLUGIN_LEDGER_H
#define TMB_BROKER_PLUGIN_LEDGER_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tmb_loss_reason {
    TMB_LOSS_NONE = 0,        /* a free slot */
    TMB_LOSS_RETENTION = 1,   /* dropped by the stream's retention before the parent had it */
    TMB_LOSS_FULL_OLDEST = 2, /* dropped to make room on a full disk */
    TMB_LOSS_FULL_NEWEST = 3, /* not stored because the disk was full */
    TMB_LOSS_DAMAGED = 4,     /* bytes on the disk fail their checksum */
    TMB_LOSS_MISSING = 5      /* a file is gone */
} tmb_loss_reason;

typedef struct tmb_loss {
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_loss_reason reason;
    uint64_t first, last; /* numbers of the stream; count of them are lost */
    uint64_t count;
    uint64_t bytes; /* of shed messages: topic and payload; else of the log, about */
    int64_t at_ms;  /* the newest of them, wall time */
} tmb_loss;

/* Ranges that wait. A reason of a stream always finds one: TMB_STREAMS_MAX * 5 of these. */
#define TMB_LEDGER_SLOTS 256
/* Ranges of one reason of one stream that wait at once. More: the last one is widened, and its count says how
 * many of its numbers are lost. */
#define TMB_LEDGER_RANGES_MAX 8

typedef struct tmb_ledger {
    tmb_loss slots[TMB_LEDGER_SLOTS];
} tmb_ledger;

/* tmb_ledger_add takes in a loss and gives the slot that changed; TMB_LEDGER_SLOTS when there is none, which
 * only slots of streams that the configuration does not have any more can bring about. */
unsigned tmb_ledger_add(tmb_ledger *ledger, const tmb_loss *loss);

/* tmb_ledger_take_back: what was to be dropped of a stream from number from on is there all the same. Gives
 * count and bytes of what was taken out. */
tmb_loss tmb_ledger_take_back(tmb_ledger *ledger, const char *stream, uint64_t from);

/* tmb_ledger_told marks a slot as written into the ledger's stream. */
void tmb_ledger_told(tmb_ledger *ledger, unsigned slot);

/* The next slot from slot on that waits; TMB_LEDGER_SLOTS: none. */
unsigned tmb_ledger_next(const tmb_ledger *ledger, unsigned slot);
unsigned tmb_ledger_waiting(const tmb_ledger *ledger);

/* The highest number of a stream that was used up for a message that was shed; 0: none known. */
uint64_t tmb_ledger_shed_seq(const tmb_ledger *ledger, const char *stream);

/* The part of a loss that is behind mark, what the parent has; count 0 when it has all. */
tmb_loss tmb_ledger_behind(const tmb_loss *loss, uint64_t mark);

/* A slot in the file: little-endian "TMBL", CRC-32C of what follows, 16 incarnation, u8 reason, u8 name
 * bytes, 6 zero, u64 first, last, count, bytes, at, 32 name. */
#define TMB_LEDGER_SLOT_BYTES 104
void tmb_ledger_encode(const tmb_loss *loss, const tmb_incarnation *journal,
                       uint8_t out[TMB_LEDGER_SLOT_BYTES]);
/* Errors: TMB_ENOENT (free, or of another journal), TMB_ECORRUPT. */
TMB_MUST_USE tmb_err tmb_ledger_decode(const uint8_t bytes[TMB_LEDGER_SLOT_BYTES],
                                       const tmb_incarnation *journal, tmb_loss *ret_loss);

/* The entry as JSON, NUL at its end; gives its length. The same loss gives the same text. */
#define TMB_LEDGER_TEXT_BYTES 512
size_t tmb_ledger_text(const tmb_loss *loss, const char *node, const tmb_incarnation *journal,
                       char out[TMB_LEDGER_TEXT_BYTES]);

const char *tmb_loss_reason_str(tmb_loss_reason reason);

#ifdef __cplusplus
}
#endif
#endif
