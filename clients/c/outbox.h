// SPDX-License-Identifier: Apache-2.0
/* clients/c/outbox.h - the messages that a client keeps until the node has them, in the order of their
 * numbers.
 *
 * An entry waits here until it is acknowledged and its receipts are in. After a lost connection all of them
 * are unsent again (tmb_outbox_rewind), lowest number first: a node takes a number only if it is above the
 * last one. What is acknowledged and waits for a receipt is sent again too: that asks again.
 * Threads: none, the caller serialises. Cost: a hash look-up by number; all else in place.
 */
#ifndef TMB_CLIENTS_C_OUTBOX_H
#define TMB_CLIENTS_C_OUTBOX_H

#include <uthash.h>

#include "base/bytes.h"
#include "base/time.h"
#include "clients/c/tombolo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an entry costs in queue_bytes_max beside its bytes. */
#define TMB_ENTRY_OVERHEAD_BYTES 256

typedef struct tmb_entry {
    struct tmb_entry *prev, *next;
    UT_hash_handle hh;
    uint64_t number;
    bool is_sent;  /* on this connection */
    bool was_sent; /* on any */
    bool is_acked;
    bool is_forgotten; /* the state file need not have it any more (kept.h) */
    bool is_held;      /* refused with a reason: waits for hold_until, then gets a new number */
    int token;         /* Paho's, while in flight */
    unsigned refusals;
    tmb_mono hold_until;
    unsigned receipts_open; /* tmb_receipt_level, or-ed */
    tmb_mono receipt_deadline;
    tmb_client_on_receipt *on_receipt;
    void *receipt_arg;
    /* These point into bytes; strings have a NUL after them. */
    const char *topic, *content_type;
    tmb_bytes payload;
    bool retain;
    tmb_client_prop *props; /* behind bytes */
    size_t prop_count;
    size_t encoded_len;
    uint8_t *bytes; /* the message as the state file has it */
} tmb_entry;

/* tmb_entry_new copies a publication whose parts were checked. gives ret_entry (tmb_entry_free).
 * Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_entry_new(const tmb_client_publication *from, tmb_entry **ret_entry);

/* tmb_entry_read makes an entry of what an earlier entry's bytes were, retain and all, without receipts.
 * gives ret_entry. Errors: TMB_ENOMEM, TMB_ECORRUPT. */
TMB_MUST_USE tmb_err tmb_entry_read(tmb_bytes encoded, tmb_entry **ret_entry);

void tmb_entry_free(tmb_entry *entry);

typedef struct tmb_outbox {
    tmb_entry *first, *last;
    tmb_entry *unsent; /* the first that is not sent on this connection; NULL: none */
    tmb_entry *by_number;
    size_t count, unacked;
    uint64_t bytes;
} tmb_outbox;

/* tmb_outbox_push appends entry, whose number is the highest; takes it. */
void tmb_outbox_push(tmb_outbox *box, tmb_entry *entry);

/* tmb_outbox_take gives back entry, which is in box; the caller's to free. */
void tmb_outbox_take(tmb_outbox *box, tmb_entry *entry);

/* tmb_outbox_find gives the entry of number, or NULL. */
tmb_entry *tmb_outbox_find(const tmb_outbox *box, uint64_t number);

/* tmb_outbox_sent notes that box->unsent is on its way. */
void tmb_outbox_sent(tmb_outbox *box);

/* tmb_outbox_acked notes that the node has entry. */
void tmb_outbox_acked(tmb_outbox *box, tmb_entry *entry);

/* tmb_outbox_rewind: the connection is gone. */
void tmb_outbox_rewind(tmb_outbox *box);

/* tmb_outbox_free frees all entries. */
void tmb_outbox_free(tmb_outbox *box);

#ifdef __cplusplus
}
#endif
#endif
