// SPDX-License-Identifier: Apache-2.0
/* syncd/link/link.h - one MQTT 5 connection over mutual TLS 1.3, driven by a libuv loop.
 *
 * Used three times: by a child to its parent's broker (frames), by a parent to its own broker (frames and
 * commits), and to a node's own broker for values of state. libmosquitto with its external loop; a clean
 * session each time: what must not be lost is repeated by the sync session, not by MQTT. Callbacks come from
 * inside the loop, never from inside a call of this header. After `down` the link is dead: close it and open
 * another.
 *
 * The peer's certificate must chain to ca_file and carry host (DNS name or IP address). A peer that falls
 * silent is noticed within keepalive_s and two seconds (keepalive_s: 10 or more; the ping goes out at half
 * of it); a slow line that is still moving is not taken for a dead one.
 *
 * Threads: the loop's; names are resolved in libuv's pool, and every address of a name is tried. The process
 * must ignore SIGPIPE.
 */
#ifndef TMB_SYNCD_LINK_LINK_H
#define TMB_SYNCD_LINK_LINK_H

#include <stdbool.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_link tmb_link;

typedef struct tmb_link_options {
    uv_loop_t *loop;
    const char *host;
    unsigned port;
    const char *client_id; /* its beginning: '-' and 16 random hex digits follow */
    const char *ca_file, *cert_file, *key_file;
    unsigned keepalive_s;
    const char *const *subscribe; /* topic filters, QoS 0, subscribed before `up` is called */
    unsigned subscribe_count;
    uint64_t connect_timeout_ms;
    void *arg;
    void (*up)(void *arg);                    /* connected and subscribed */
    void (*down)(void *arg, const char *why); /* once; why is a sentence */
    void (*message)(void *arg, const char *topic, tmb_bytes payload);
    void (*published)(void *arg, int id, unsigned reason_code); /* PUBACK of a QoS 1 publish */
} tmb_link_options;

/* tmb_link_open begins to connect; options and its strings are copied. gives ret_link.
 * Errors: TMB_ENOMEM, TMB_ECONFIG (certificate files cannot be read: text says which). */
TMB_MUST_USE tmb_err tmb_link_open(const tmb_link_options *options, tmb_link **ret_link, char *text,
                                   size_t text_cap);

/* tmb_link_close hangs up (DISCONNECT if connected), calls nothing any more, and frees when the loop has let
 * go of it. NULL is fine. */
void tmb_link_close(tmb_link *link);

/* tmb_link_send publishes payload (copied) at QoS 0; tmb_link_publish at QoS 1, and `published` will be
 * called with *ret_id. Errors: TMB_ECLOSED (not up: the caller hears `down`), TMB_ENOMEM, TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_link_send(tmb_link *link, const char *topic, tmb_bytes payload);
TMB_MUST_USE tmb_err tmb_link_retain(tmb_link *link, const char *topic,
                                     tmb_bytes payload); /* QoS 0 */
TMB_MUST_USE tmb_err tmb_link_publish(tmb_link *link, const char *topic, tmb_bytes payload,
                                      int *ret_id);

/* A message with MQTT 5 properties. Everything is borrowed for the call. */
typedef struct tmb_link_property {
    const char *name, *value; /* a user property, UTF-8 */
} tmb_link_property;

typedef struct tmb_link_message {
    const char *topic;
    tmb_bytes payload;
    bool is_retained;         /* with an empty payload: what is retained goes */
    bool is_utf8;             /* payload format indicator */
    const char *content_type; /* NULL: none */
    tmb_bytes correlation;    /* of a request that is answered; empty: none */
    unsigned properties_count;
    const tmb_link_property *properties;
} tmb_link_message;

/* tmb_link_publish_message is tmb_link_publish with all that a message may have, at QoS 1. A broker takes at
 * most 65,535 of them before it has acknowledged one: keep fewer. Errors: as tmb_link_publish. */
TMB_MUST_USE tmb_err tmb_link_publish_message(tmb_link *link, const tmb_link_message *message,
                                              int *ret_id);

/* Bytes of TLS on the socket, both ways, since open (everything but TCP's and IP's own headers). */
void tmb_link_bytes(const tmb_link *link, uint64_t *ret_out, uint64_t *ret_in);

/* tmb_link_is_retained is for `message`: what it is told of was kept by the broker, and is not said now. */
bool tmb_link_is_retained(const tmb_link *link);

/* tmb_link_said: bytes of TLS said so far, those that wait in this process (by a good estimate) among them. 0
 * when the link is not up. */
uint64_t tmb_link_said(tmb_link *link);

/* tmb_link_taken tells how far what was said has got: bytes of TLS that the peer's TCP has acknowledged, and
 * how many messages of tmb_link_send and tmb_link_retain, in their order, lie wholly among them. 0 when the
 * link is not up. What is taken has left this host and the line; nobody need have read it. */
void tmb_link_taken(tmb_link *link, uint64_t *ret_bytes, uint64_t *ret_messages);

#ifdef __cplusplus
}
#endif
#endif
