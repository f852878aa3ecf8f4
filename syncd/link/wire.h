// SPDX-License-Identifier: Apache-2.0
/* syncd/link/wire.h - one attempt at one address: a libmosquitto handle and its socket in a libuv loop.
 *
 * Inner header: link.c resolves the name and tries address after address, each with a wire of its own.
 *
 *   CONNECTING --TCP--> GREETING (TLS, CONNECT, SUBSCRIBE) --SUBACK--> UP
 *        '------------------------+---------------------------------'--> failed (once)
 *
 * Callbacks come from inside the loop. A wire may be closed from inside its callbacks.
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_LINK_WIRE_H
#define TMB_SYNCD_LINK_WIRE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/err.h"
#include "syncd/link/link.h"

typedef struct tmb_wire tmb_wire;

typedef struct tmb_wire_options {
    uv_loop_t *loop;
    SSL_CTX *tls;        /* of tmb_tls_new; borrowed for the wire's life */
    const char *address; /* numeric; borrowed during open */
    unsigned port;
    const char *client_id;
    unsigned keepalive_s;
    const char *const *subscribe; /* borrowed for the wire's life */
    unsigned subscribe_count;
    void *arg;
    void (*connected)(void *arg); /* TCP is there: this address is the right one */
    void (*up)(void *arg);
    void (*failed)(void *arg, const char *why); /* close the wire then or later */
    void (*message)(void *arg, const char *topic, tmb_bytes payload);
    void (*published)(void *arg, int id, unsigned reason_code);
} tmb_wire_options;

/* gives ret_wire. Errors, text says why: TMB_ECLOSED (nobody there), TMB_EDENIED (somebody, but TLS failed: a
 * peer that is near is through with it before this returns), TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_wire_open(const tmb_wire_options *options, tmb_wire **ret_wire, char *text,
                                   size_t text_cap);

/* tmb_wire_close says DISCONNECT when up, calls nothing any more, frees itself later. NULL is fine. */
void tmb_wire_close(tmb_wire *wire);

/* Errors: TMB_ECLOSED (`failed` follows, from the loop), TMB_ENOMEM, TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_wire_publish(tmb_wire *wire, const tmb_link_message *message, int qos,
                                      int *ret_id);

/* Bytes of TLS on the socket so far. */
void tmb_wire_bytes(const tmb_wire *wire, uint64_t *ret_out, uint64_t *ret_in);

/* While `message` is called: the broker had kept it, and nobody says it now. */
bool tmb_wire_is_retained(const tmb_wire *wire);

/* Bytes of TLS said so far: those on the socket, and about as many as what still waits here will need. */
uint64_t tmb_wire_said(tmb_wire *wire);

/* What the peer's host has acknowledged: bytes of TLS, and QoS 0 messages that lie wholly among them. */
void tmb_wire_taken(tmb_wire *wire, uint64_t *ret_bytes, uint64_t *ret_messages);

#endif
