// SPDX-License-Identifier: Apache-2.0
/* syncd/link/tls.c - a context of our own, rather than libmosquitto's options.
 *
 * It lets OpenSSL itself check the host name (libmosquitto has a matcher of its own), loads the files before
 * dialling so that a wrong one is a configuration error with its name, and lets a link dial an address while
 * the name is what is asked for (SNI) and checked.
 */
#include "syncd/link/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Of a file that cannot be read the system's own words; the newest error says "system lib" then. */
static const char *last_reason(void)
{
    unsigned long first = ERR_peek_error();
    if (ERR_SYSTEM_ERROR(first))
        return strerror(ERR_GET_REASON(first));
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "unreadable";
}

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* libmosquitto has set the SNI to what it dials, an address. This runs before the ClientHello is made. */
static void set_server_name(const SSL *ssl, int where, int ret)
{
    (void)ret;
    if ((where & SSL_CB_HANDSHAKE_START) == 0)
        return;
    const char *host = tmb_tls_peer_of(SSL_get_SSL_CTX(ssl))->host;
    char *name = is_address(host) ? NULL : (char *)(uintptr_t)host;
    (void)SSL_set_tlsext_host_name((SSL *)(uintptr_t)ssl, name);
}

tmb_tls_peer *tmb_tls_peer_of(const SSL_CTX *tls)
{
    return SSL_CTX_get_app_data(tls);
}

/* libmosquitto may have freed the SSL by the time somebody asks why it failed. */
static int note_verdict(int is_good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    if (!is_good)
        tmb_tls_peer_of(SSL_get_SSL_CTX(ssl))->verdict = X509_STORE_CTX_get_error(store);
    return is_good;
}

static bool expect_host(SSL_CTX *tls, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

tmb_err tmb_tls_new(const char *ca_file, const char *cert_file, const char *key_file,
                    tmb_tls_peer *peer, SSL_CTX **ret_tls, char *text, size_t text_cap)
{
    ERR_clear_error();
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!tls)
        return TMB_ENOMEM;
    (void)SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    (void)SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, note_verdict);
    (void)SSL_CTX_set_app_data(tls, peer);
    peer->verdict = X509_V_OK;
    SSL_CTX_set_info_callback(tls, set_server_name);

    const char *what = NULL, *file = NULL;
    if (SSL_CTX_load_verify_file(tls, ca_file) != 1) {
        what = "CA certificate";
        file = ca_file;
    } else if (SSL_CTX_use_certificate_chain_file(tls, cert_file) != 1) {
        what = "certificate";
        file = cert_file;
    } else if (SSL_CTX_use_PrivateKey_file(tls, key_file, SSL_FILETYPE_PEM) != 1) {
        what =
            ERR_SYSTEM_ERROR(ERR_peek_error()) ? "key" : "key (or it does not fit the certificate)";
        file = key_file;
    } else if (!expect_host(tls, peer->host)) {
        what = "host name to expect in the peer's certificate";
        file = peer->host;
    }
    if (what) {
        if (text)
            (void)snprintf(text, text_cap, "%s: cannot be %s%s: %s", file,
                           ERR_SYSTEM_ERROR(ERR_peek_error()) ? "read as " : "used as ", what,
                           last_reason());
        SSL_CTX_free(tls);
        ERR_clear_error();
        return TMB_ECONFIG;
    }
    *ret_tls = tls;
    return TMB_OK;
}
