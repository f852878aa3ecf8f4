// SPDX-License-Identifier: Apache-2.0
/* tombolo.h - libtombolo: a client of a node's own broker that keeps what MQTT alone loses or repeats.
 *
 * Plain MQTT is at least once. With this library, at a node that runs the Tombolo plugin:
 *
 *   publishing   exactly once from tmb_client_publish to the node's journal: each message has a number
 *                (user property tombolo-seq), is kept until the node has acknowledged it, and is sent again
 *                under the same number after a cut or a kill of the broker; the node drops repeats
 *   receipts     on request, word that a message is synced here, committed at the parent, in the engine
 *   receiving    messages of a marked stream (`mark: true`) come with node, stream and sequence, and what
 *                comes again after a crash of the broker is dropped: once from the journal to on_message
 *
 * A lost connection is dialled again for ever, with full jitter. The session at the broker outlives it.
 * What survives the application's own death is said at `state_file`.
 *
 * Threads: every function may be called from any thread, tmb_client_close from one and as the last, and
 * neither it nor tmb_client_wait from a callback. No function waits for the network but those two. Callbacks
 * run on threads of the library, with no lock held that a call of this library wants: on_message on one,
 * everything else (on_event, on_receipt) on another, each one at a time; the two may run at once. While
 * on_message runs nothing more is received and no client of the process sends: keep it well below the
 * keepalive. Signals: none are used; SIGPIPE is ignored by Paho.
 *
 * Errors are tmb_err (base/err.h); tmb_client_err_str gives a sentence. Outputs called ret_x are untouched on
 * failure. All strings are UTF-8 and borrowed for the call only, unless said otherwise.
 */
#ifndef TMB_CLIENTS_C_TOMBOLO_H
#define TMB_CLIENTS_C_TOMBOLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Limits. Each is a refusal by TMB_ELIMIT or TMB_EINVAL, as the function says, or a default below. */
#define TMB_CLIENT_ID_BYTES_MAX      200
#define TMB_CLIENT_RUN_BYTES_MAX     64
#define TMB_CLIENT_TOPIC_BYTES_MAX   60000
#define TMB_CLIENT_PAYLOAD_BYTES_MAX (16 * 1024 * 1024 - 512 * 1024)
#define TMB_CLIENT_PROPS_BYTES_MAX   (128 * 1024)
#define TMB_CLIENT_PROPS_MAX         64
#define TMB_CLIENT_SUBSCRIPTIONS_MAX 64
#define TMB_CLIENT_QUEUE_MESSAGES    10000               /* default of queue_messages_max */
#define TMB_CLIENT_QUEUE_BYTES       (64 * 1024 * 1024)  /* default of queue_bytes_max */
#define TMB_CLIENT_QUEUE_BYTES_MAX   (256 * 1024 * 1024) /* of queue_bytes_max */
#define TMB_CLIENT_SESSION_EXPIRY_S  (7 * 24 * 3600)     /* default of session_expiry_s */
#define TMB_CLIENT_KEEPALIVE_S       20                  /* default of keepalive_s */
#define TMB_CLIENT_BACKOFF_BASE_MS   100                 /* default of backoff_base_ms */
#define TMB_CLIENT_BACKOFF_CAP_MS    5000                /* default of backoff_cap_ms */
/* Messages under way to the broker and not acknowledged; fewer if the broker says so (Receive Maximum). */
#define TMB_CLIENT_IN_FLIGHT_MAX 20

/* What the shared library shows. */
#define TMB_API __attribute__((visibility("default")))

typedef struct tmb_client tmb_client;

/* A user property. */
typedef struct tmb_client_prop {
    const char *name, *value;
} tmb_client_prop;

/* --- What comes in ------------------------------------------------------------------------------------ */

/* Where a message stands in the journal of the node that delivered it. */
typedef struct tmb_client_mark {
    const char *node, *stream;
    uint64_t seq;
    uint32_t life; /* the first four bytes of the node's incarnation */
} tmb_client_mark;

typedef struct tmb_client_message {
    const char *topic; /* with a NUL after it, and no NUL in it */
    const void *payload;
    size_t payload_len;
    unsigned qos;
    bool is_retained; /* the value kept for the topic, sent because of a new subscription */
    /* false: the stream is not marked, or the topic is of none; never dropped as a repeat */
    bool has_mark;
    bool is_replay; /* comes from the journal, after a restart of the node's broker */
    /* So far back (1,048,576 numbers of its stream) that nobody can tell whether it came before. */
    bool is_doubtful;
    tmb_client_mark mark;
    const char *content_type, *response_topic; /* NULL when there is none */
    const void *correlation;
    size_t correlation_len;
    const tmb_client_prop *props; /* the sender's, in order, those of the library taken off */
    size_t prop_count;
} tmb_client_message;

/* Everything in message is borrowed for the call. The broker gets its ack when this returns, so what was not
 * done when the process dies comes again: exactly once up to this call, at least once for what it does. */
typedef void tmb_client_on_message(void *arg, const tmb_client_message *message);

/* --- What happens ------------------------------------------------------------------------------------- */

/*   UP               connected
 *   DOWN             the connection is gone, or could not be made: text says why. It is dialled again
 *   REFUSED          the node would not take message `number`; it is tried again after a while. With reason 0
 *                    the node closed the connection (its disk is full), and the message keeps its number and
 *                    its place; else (an MQTT 5 reason code: rights, quota) it gets a new number when it is
 *                    tried again, and is overtaken by what follows
 *   RENUMBERED       such a message, `number`, is tried again as new_number
 *   NO_SUBSCRIPTION  the broker would not have a subscription: text is the filter
 *   NOT_KEPT         state_file cannot be written: text says why. Until it can, nothing is published
 *                    (TMB_EIO, TMB_ENOSPC), and repeats may come after a restart of this process */
typedef enum tmb_client_event_kind {
    TMB_CLIENT_UP,
    TMB_CLIENT_DOWN,
    TMB_CLIENT_REFUSED,
    TMB_CLIENT_RENUMBERED,
    TMB_CLIENT_NO_SUBSCRIPTION,
    TMB_CLIENT_NOT_KEPT
} tmb_client_event_kind;

typedef struct tmb_client_event {
    tmb_client_event_kind kind;
    const char *text; /* never NULL, for people; borrowed for the call */
    uint64_t number, new_number;
    unsigned reason;
    /* TMB_CLIENT_UP: the broker knew nothing of us; what it had waiting is gone. */
    bool is_session_new;
} tmb_client_event;

typedef void tmb_client_on_event(void *arg, const tmb_client_event *event);

/* --- Opening and closing ------------------------------------------------------------------------------ */

/* Fill in with tmb_client_options_default, then set what differs. on_message and on_event may be NULL. */
typedef struct tmb_client_options {
    /* Needed: mqtt://host:port, or mqtts://host:port. */
    const char *uri;
    /* Needed; without + and #. The broker's session and the numbers hang on it: two clients with one id
     * throw each other out for ever. */
    const char *client_id;
    const char *username, *password;
    /* mqtts only, PEM. ca_file NULL: the system's authorities. The host's name is checked. */
    const char *ca_file, *cert_file, *key_file;
    /* Name of the count of numbers, 1 to TMB_CLIENT_RUN_BYTES_MAX bytes of [A-Za-z0-9._-]. NULL: a random one
     * for this process, or the one in state_file. Give one only together with a state_file: a name that was
     * used before, with a count that begins again, makes the node take new messages for repeats. */
    const char *run;
    /* NULL: what is not yet acknowledged, and which messages came already, dies with the process. A path: a
     * file of the library's own (and <path>.lock) on a local disk that keeps both. A message is on the disk
     * when tmb_client_publish returns, and sent after the next start if it must be; each costs one
     * fdatasync. Marks of received messages are written before their ack and not synced: they survive
     * kill -9; after a power cut the last second or so may come again. Receipts are not kept. */
    const char *state_file;
    uint32_t session_expiry_s, keepalive_s, backoff_base_ms, backoff_cap_ms;
    /* What is kept and not acknowledged, and what waits for receipts. At either limit tmb_client_publish
     * returns TMB_ELIMIT; nothing is dropped. */
    uint32_t queue_messages_max;
    uint64_t queue_bytes_max;
    tmb_client_on_message *on_message;
    tmb_client_on_event *on_event;
    void *arg; /* of both */
} tmb_client_options;

TMB_API void tmb_client_options_default(tmb_client_options *ret_options);

/* tmb_client_open starts the client's thread, which dials; it does not wait for the connection. gives
 * ret_client, to be closed. Errors: TMB_EINVAL (an option), TMB_ENOMEM, TMB_EBUSY (another process has
 * state_file), TMB_EIO, TMB_ENOSPC, TMB_ECORRUPT and TMB_EVERSION (of state_file; nothing of it was changed:
 * look at it, or move it away and begin a new run). why, if not NULL, gets a sentence of up to why_size bytes
 * on failure. */
TMB_API TMB_MUST_USE tmb_err tmb_client_open(const tmb_client_options *options,
                                             tmb_client **ret_client, char *why, size_t why_size);

/* tmb_client_wait waits until at most waiting_max messages are neither acknowledged nor given up, and all
 * their receipts are in if waiting_max is 0. Errors: TMB_EAGAIN (not within timeout_ms). */
TMB_API TMB_MUST_USE tmb_err tmb_client_wait(tmb_client *client, size_t waiting_max,
                                             uint32_t timeout_ms);

/* tmb_client_close disconnects in good order and frees the client; the session stays at the broker. Receipts
 * still asked for get TMB_RECEIPT_CLOSED before it returns. What is not acknowledged is lost unless there
 * is a state_file: call tmb_client_wait before. Takes client (NULL is fine). Takes up to some three
 * seconds. */
TMB_API void tmb_client_close(tmb_client *client);

/* --- Publishing --------------------------------------------------------------------------------------- */

typedef enum tmb_receipt_level {
    TMB_RECEIPT_SYNCED = 1,    /* on this node's disk */
    TMB_RECEIPT_COMMITTED = 2, /* in the log of the node's parent */
    TMB_RECEIPT_ENGINE = 4     /* in the engine behind the top node */
} tmb_receipt_level;

typedef enum tmb_receipt_outcome {
    TMB_RECEIPT_GIVEN,
    TMB_RECEIPT_REFUSED,   /* the node says it cannot: why */
    TMB_RECEIPT_TIMED_OUT, /* not in within timeout_ms. The message is still on its way, or there */
    TMB_RECEIPT_CLOSED     /* tmb_client_close came first */
} tmb_receipt_outcome;

typedef struct tmb_client_receipt {
    uint64_t number; /* of tmb_client_publish */
    tmb_receipt_level level;
    tmb_receipt_outcome outcome;
    /* TMB_RECEIPT_GIVEN: where it is in the journal of the node. is_repeat: the question was asked again (a
     * connection was lost meanwhile), and seq is an upper bound. Strings never NULL; borrowed for the
     * call. */
    const char *node, *stream, *incarnation, *why;
    uint64_t seq;
    bool is_repeat;
} tmb_client_receipt;

/* Called exactly once for each level asked for, in the order in which they are known. */
typedef void tmb_client_on_receipt(void *arg, const tmb_client_receipt *receipt);

typedef struct tmb_client_publication {
    const char *topic;
    const void *payload;
    size_t payload_len;
    bool retain;
    const char *content_type; /* NULL: none */
    const tmb_client_prop *props;
    size_t prop_count;
    unsigned receipts; /* tmb_receipt_level, or-ed; 0: none */
    uint32_t receipt_timeout_ms;
    tmb_client_on_receipt *on_receipt; /* needed when receipts is not 0 */
    void *receipt_arg;
} tmb_client_publication;

/* tmb_client_publish keeps a copy of the message, gives its number, and sends it (QoS 1) in the order of the
 * calls as soon as there is a connection. The order is kept per client, but for what the node refuses with a
 * reason code. Errors: TMB_EINVAL (topic empty, too long, with + # or NUL, or beginning with $; sizes;
 * user properties that begin with "tombolo-"), TMB_ELIMIT (the queue is full: tmb_client_wait, then again),
 * TMB_ENOMEM, TMB_EIO and TMB_ENOSPC (state_file; the message is not taken). on_receipt may be called
 * before this returns. Cost: a copy; with a state_file one fdatasync. */
TMB_API TMB_MUST_USE tmb_err tmb_client_publish(tmb_client *client,
                                                const tmb_client_publication *publication,
                                                uint64_t *ret_number);

/* --- Subscribing -------------------------------------------------------------------------------------- */

/* tmb_client_subscribe asks for filter at qos 0 or 1, now and at each new connection. QoS 2 is not offered:
 * marks give once without it, and Paho's memory of half a QoS 2 exchange would die with the process. The
 * broker keeps subscriptions of an earlier process of this client id: subscribe before messages matter, and
 * unsubscribe from what is no longer wanted. Errors: TMB_EINVAL, TMB_ELIMIT (subscriptions), TMB_ENOMEM. */
TMB_API TMB_MUST_USE tmb_err tmb_client_subscribe(tmb_client *client, const char *filter,
                                                  unsigned qos);

/* tmb_client_unsubscribe. Errors: TMB_EINVAL, TMB_ELIMIT (with those not yet told to the broker),
 * TMB_ENOMEM. */
TMB_API TMB_MUST_USE tmb_err tmb_client_unsubscribe(tmb_client *client, const char *filter);

/* --- Watching ----------------------------------------------------------------------------------------- */

typedef struct tmb_client_stats {
    uint64_t published, acked; /* messages taken, messages acknowledged */
    uint64_t sent_again;       /* under the same number, after a reconnect */
    uint64_t refused;          /* times that the node would not take one */
    uint64_t connects, downs;
    uint64_t received;  /* given to on_message */
    uint64_t repeats;   /* dropped: the application had them already */
    uint64_t doubtful;  /* given to it though it may have had them */
    uint64_t unmarked;  /* given to it, without a mark */
    uint64_t bad_marks; /* a tombolo-id that is none: taken as unmarked */
    uint64_t forgotten; /* sources: of the 64 that are remembered, for another */
    uint64_t receipts, receipts_refused, receipts_timed_out, receipts_unknown;
    uint64_t waiting, waiting_bytes; /* now: not acknowledged, or waiting for a receipt */
    bool is_up;
} tmb_client_stats;

TMB_API void tmb_client_stats_get(tmb_client *client, tmb_client_stats *ret_stats);

/* tmb_client_run gives the name of the count; the client's, until it is closed. */
TMB_API const char *tmb_client_run(const tmb_client *client);

/* tmb_client_err_str gives the sentence for err; static text, never NULL. */
TMB_API const char *tmb_client_err_str(tmb_err err);

#ifdef __cplusplus
}
#endif
#endif
