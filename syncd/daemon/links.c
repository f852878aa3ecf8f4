// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/links.c - see links.h. */
#include "syncd/daemon/links.h"

#define HOME_TIMEOUT_MS 5000

tmb_link_options tmb_links_to(tmb_daemon *d, const char *host, unsigned port, const char *client_id)
{
    const tmb_config *c = d->config;
    return (tmb_link_options){
        .loop = &d->loop,
        .host = host,
        .port = port,
        .client_id = client_id,
        .ca_file = c->tls_ca_file,
        .cert_file = c->tls_cert_file,
        .key_file = c->tls_key_file,
        .keepalive_s = (unsigned)((c->keepalive_ms + 999) / 1000),
    };
}

tmb_link_options tmb_links_home(tmb_daemon *d, const char *client_id)
{
    tmb_link_options options =
        tmb_links_to(d, d->config->broker.host, d->config->broker.port, client_id);
    options.connect_timeout_ms = HOME_TIMEOUT_MS;
    return options;
}
