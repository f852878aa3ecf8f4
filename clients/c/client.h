// SPDX-License-Identifier: Apache-2.0
/* clients/c/client.h - the inside of a client: who may touch what, and the parts that its files share.
 *
 * Three kinds of threads. The application's own call tombolo.h. The worker (worker.c), one a client, alone
 * calls Paho: it dials, sends, and runs on_event and on_receipt. Paho's threads (link.c, receive.c) bring
 * acks, answers and messages, and run on_message.
 *
 * Paho holds a lock of its own, one for the process, while it calls us back. So nobody calls Paho with a lock
 * of ours held, and the order of locks is: Paho's, keep_lock, lock. What Paho's threads learn for the worker
 * goes into the inbox.
 *
 * Paho's own memory of messages is not used: each connection is a new handle, so what was under way on the
 * last one is ours alone to send again. QoS 1 only, for the same reason.
 *
 * A handle goes as soon as its connection is lost, and the next one, the spare, was made before. A message
 * that Paho 1.3.12 cannot write, because the connection just broke, it frees then, and again when the handle
 * is destroyed: what was given that memory in between is freed under its owner. So nothing of it that lives
 * longer than the broken handle may be made in between. The spare also keeps Paho's threads: with the last
 * handle it stops them, and waits for them up to a second.
 */
#ifndef TMB_CLIENTS_C_CLIENT_H
#define TMB_CLIENTS_C_CLIENT_H

#include <MQTTAsync.h>
#include <pthread.h>

#include "base/rng.h"
#include "clients/c/kept.h"
#include "clients/c/receipt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One for the receipts' topic. */
#define TMB_CLIENT_FILTERS_MAX (TMB_CLIENT_SUBSCRIPTIONS_MAX + 1)
/* Each thing sent is answered once; more would be Paho's mistake, and ends the connection. */
#define TMB_CLIENT_ANSWERS_MAX 256
/* A connection that is not there after this is given up. */
#define TMB_CLIENT_DIAL_MS 15000
/* A connection that lasted so long was a good one: the next dial does not wait long. */
#define TMB_CLIENT_GOOD_MS 1000
/* Connections in a row that ended without an ack for what was sent, before the node is said to refuse. */
#define TMB_CLIENT_BARREN_MAX 2
/* For the DISCONNECT of tmb_client_close. */
#define TMB_CLIENT_GOODBYE_MS 2000

enum tmb_link_state { TMB_LINK_DOWN, TMB_LINK_DIALING, TMB_LINK_UP };

/* What Paho gets as context: which connection of which client. A few, used in turn, so that a late callback
 * of a connection that is gone is known for what it is. */
typedef struct tmb_link_slot {
    tmb_client *client;
    uint64_t generation;
} tmb_link_slot;

#define TMB_LINK_SLOTS 8

/* Paho's word about something that was sent. */
typedef struct tmb_answer {
    int token;
    unsigned reason;
} tmb_answer;

typedef struct tmb_receipt_item {
    struct tmb_receipt_item *next;
    tmb_receipt_answer answer;
} tmb_receipt_item;

typedef struct tmb_inbox {
    bool is_up, is_session_new, is_lost, is_gone;
    unsigned receive_max; /* 0: not said */
    char why[160];        /* of is_lost */
    char not_kept[256];   /* a mark that could not be written; "": none */
    tmb_answer answers[TMB_CLIENT_ANSWERS_MAX];
    size_t answer_count;
    tmb_receipt_item *first_receipt, **last_receipt;
} tmb_inbox;

typedef struct tmb_filter {
    char *text;
    unsigned qos;
    bool is_asked;   /* on this connection */
    bool is_leaving; /* to be unsubscribed, then forgotten */
    int token;
} tmb_filter;

struct tmb_client {
    tmb_client_options o; /* its strings are our copies */
    char *receipt_topic;
    pthread_t worker;

    /* keep_lock: kept, but for what list_lock (our lock) guards */
    pthread_mutex_t keep_lock;
    tmb_kept kept;

    /* lock: all that follows, and the lists in kept. changed: the worker and tmb_client_wait wait for it */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_closing;
    tmb_inbox in;
    tmb_client_stats stats;
    tmb_filter filters[TMB_CLIENT_FILTERS_MAX];
    size_t filter_count;
    bool asks_receipts; /* the receipts' topic is among the filters */
    uint64_t generation;

    /* the worker's own */
    MQTTAsync handle, spare; /* NULL: none */
    tmb_link_slot slots[TMB_LINK_SLOTS];
    enum tmb_link_state state;
    tmb_rng rng;
    unsigned attempt, barren;
    bool has_acked; /* on this connection */
    tmb_mono dial_at, up_since, receipts_due;
    tmb_entry *in_flight[TMB_CLIENT_IN_FLIGHT_MAX];
    size_t in_flight_count, window;
};

tmb_mono tmb_client_now(void);

/* --- worker.c ------------------------------------------------------------------------------------------ */

/* tmb_client_work is the worker; arg is the client. Ends when is_closing is set. */
void *tmb_client_work(void *arg);

/* --- link.c: the worker's calls of Paho, none with a lock held -------------------------------- */

/* tmb_link_dial begins a connection of this generation; word of it comes in the inbox. Errors: TMB_EIO (Paho
 * would not; try later). */
TMB_MUST_USE tmb_err tmb_link_dial(tmb_client *c, uint64_t generation);

/* tmb_link_send sends entry; its ack comes in the inbox under entry->token. levels: receipts to ask for.
 * Errors: TMB_ECLOSED, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_link_send(tmb_client *c, tmb_entry *entry, unsigned levels);

/* tmb_link_subscribe and _unsubscribe: the answer comes in the inbox under ret_token. Errors: TMB_ECLOSED. */
TMB_MUST_USE tmb_err tmb_link_subscribe(tmb_client *c, const char *filter, unsigned qos,
                                        int *ret_token);
TMB_MUST_USE tmb_err tmb_link_unsubscribe(tmb_client *c, const char *filter, int *ret_token);

/* tmb_link_goodbye asks for a DISCONNECT; is_gone comes in the inbox. False: there is nothing to wait for. */
bool tmb_link_goodbye(tmb_client *c);

/* tmb_link_end lets go of the connection, whatever its state: no callback of it comes after; _all also of the
 * spare. */
void tmb_link_end(tmb_client *c);
void tmb_link_end_all(tmb_client *c);

/* --- receive.c ------------------------------------------------------------------------------------------ */

/* tmb_client_receive is Paho's messageArrived; context is a tmb_link_slot. */
int tmb_client_receive(void *context, char *topic, int topic_len, MQTTAsync_message *message);

#ifdef __cplusplus
}
#endif
#endif
