// SPDX-License-Identifier: Apache-2.0
/* syncd/link/tls.h - the TLS side of a link: what it trusts, who it is, whom it expects. Inner header.
 *
 * Threads: the loop's. Cost: reads three files; so a renewed certificate is used at the next connection.
 */
#ifndef TMB_SYNCD_LINK_TLS_H
#define TMB_SYNCD_LINK_TLS_H

#include <openssl/ssl.h>

#include "base/err.h"

/* tmb_tls_new makes a client context: TLS 1.3 and nothing older, this certificate and key, peers that chain
 * to ca_file and are called host (a DNS name or an IP address of their certificate). host is borrowed for
 * the context's life. gives ret_tls: SSL_CTX_free. text gets a sentence that names the file.
 * Errors: TMB_ECONFIG, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_tls_new(const char *ca_file, const char *cert_file, const char *key_file,
                                 const char *host, SSL_CTX **ret_tls, char *text, size_t text_cap);

#endif
