// SPDX-License-Identifier: Apache-2.0
/* syncd/link/tls.h - the TLS side of a link: what it trusts, who it is, whom it expects. Inner header.
 *
 * Threads: the loop's. Cost: reads three files; so a renewed certificate is used at the next connection.
 */
#ifndef TMB_SYNCD_LINK_TLS_H
#define TMB_SYNCD_LINK_TLS_H

#include <openssl/ssl.h>

#include "base/err.h"

/* Whom a context expects, and what it had against the last one it met. */
typedef struct tmb_tls_peer {
    const char *host; /* borrowed for the context's life */
    int verdict;      /* X509_V_ERR_..., X509_V_OK: nothing */
} tmb_tls_peer;

/* tmb_tls_new makes a client context: TLS 1.3 and nothing older, this certificate and key, peers that chain
 * to ca_file and are called peer->host (a DNS name or an IP address of their certificate). peer is borrowed
 * for the context's life, and found again by tmb_tls_peer_of. gives ret_tls: SSL_CTX_free. text gets a
 * sentence that names the file. Errors: TMB_ECONFIG, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_tls_new(const char *ca_file, const char *cert_file, const char *key_file,
                                 tmb_tls_peer *peer, SSL_CTX **ret_tls, char *text,
                                 size_t text_cap);

tmb_tls_peer *tmb_tls_peer_of(const SSL_CTX *tls);

#endif
