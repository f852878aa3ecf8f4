// SPDX-License-Identifier: Apache-2.0
/* syncd/link/link.c - from a host name to a broker that answers: resolve, try each address, greet.
 *
 *   RESOLVING (libuv's pool) --> TRYING address 1, 2, ... --> UP --> DOWN
 *         '---------- connect_timeout_ms over all of it ------'
 *
 * An address that does not answer gets its share of the time that is left, so that a broken IPv6 route does
 * not use it up. Once TCP is there, that address is the one: a certificate that is refused is not looked
 * for elsewhere.
 */
#include "syncd/link/link.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syncd/link/tls.h"
#include "syncd/link/wire.h"

#define TEXT_MAX   768
#define TRY_MS_MIN 500u

typedef enum link_state { LINK_RESOLVING = 0, LINK_TRYING, LINK_UP, LINK_DOWN } link_state;

struct tmb_link {
    tmb_link_options options;
    char *host, *client_id;
    char **filters;
    SSL_CTX *tls;
    tmb_tls_peer peer;
    link_state state;
    bool is_closed;
    bool is_resolving; /* the request belongs to libuv until its callback */
    bool has_timer;
    uv_getaddrinfo_t request;
    uv_timer_t timer;
    struct addrinfo *addresses, *next_address;
    uint64_t deadline_ms;
    bool has_tcp;
    tmb_wire *wire;
    char trouble[TEXT_MAX];
    uint64_t bytes_out, bytes_in; /* of wires closed already */
};

static void try_next(tmb_link *link);
static void on_timer(uv_timer_t *timer);

static void free_if_unused(tmb_link *link)
{
    if (link->is_resolving || link->has_timer)
        return;
    if (link->addresses)
        uv_freeaddrinfo(link->addresses);
    if (link->filters) {
        for (unsigned i = 0; i < link->options.subscribe_count; i++)
            free(link->filters[i]);
    }
    free(link->filters);
    free(link->host);
    free(link->client_id);
    SSL_CTX_free(link->tls);
    free(link);
}

static void on_timer_closed(uv_handle_t *handle)
{
    tmb_link *link = handle->data;
    link->has_timer = false;
    free_if_unused(link);
}

static void drop_wire(tmb_link *link)
{
    if (!link->wire)
        return;
    uint64_t out = 0, in = 0;
    tmb_wire_bytes(link->wire, &out, &in);
    link->bytes_out += out;
    link->bytes_in += in;
    tmb_wire_close(link->wire);
    link->wire = NULL;
}

/* go_down is the one place that tells the user; the link is dead then. */
static void go_down(tmb_link *link, const char *why)
{
    char text[TEXT_MAX];
    (void)snprintf(text, sizeof text, "%s:%u: %s", link->host, link->options.port, why);
    drop_wire(link);
    (void)uv_timer_stop(&link->timer);
    link->state = LINK_DOWN;
    link->options.down(link->options.arg, text);
}

static void on_wire_connected(void *arg)
{
    tmb_link *link = arg;
    uint64_t now_ms = uv_now(link->options.loop);
    link->has_tcp = true;
    (void)uv_timer_start(&link->timer, on_timer,
                         link->deadline_ms > now_ms ? link->deadline_ms - now_ms : 0, 0);
}

static void on_wire_up(void *arg)
{
    tmb_link *link = arg;
    (void)uv_timer_stop(&link->timer);
    link->state = LINK_UP;
    link->options.up(link->options.arg);
}

static void on_wire_failed(void *arg, const char *why)
{
    tmb_link *link = arg;
    (void)snprintf(link->trouble, sizeof link->trouble, "%s", why);
    if (link->has_tcp) {
        go_down(link, link->trouble);
        return;
    }
    drop_wire(link);
    try_next(link);
}

bool tmb_link_is_retained(const tmb_link *link)
{
    return link->wire && tmb_wire_is_retained(link->wire);
}

static void on_wire_message(void *arg, const char *topic, tmb_bytes payload)
{
    tmb_link *link = arg;
    link->options.message(link->options.arg, topic, payload);
}

static void on_wire_published(void *arg, int id, unsigned reason_code)
{
    tmb_link *link = arg;
    if (link->options.published)
        link->options.published(link->options.arg, id, reason_code);
}

static unsigned count_addresses(const struct addrinfo *at)
{
    unsigned n = 0;
    for (; at; at = at->ai_next)
        n++;
    return n;
}

static void on_timer(uv_timer_t *timer)
{
    tmb_link *link = timer->data;
    if (link->state == LINK_TRYING && !link->has_tcp && link->wire) {
        (void)snprintf(link->trouble, sizeof link->trouble, "no answer");
        drop_wire(link);
        try_next(link);
        return;
    }
    if (link->state == LINK_TRYING && link->wire)
        go_down(link, "no answer within the connect time-out");
    else if (link->state == LINK_RESOLVING)
        go_down(link, "the host name was not resolved in time");
    else if (link->state == LINK_TRYING)
        go_down(link, link->trouble);
}

/* try_next dials the next address; when there is none left, `down` comes from the loop. */
static void try_next(tmb_link *link)
{
    uint64_t now_ms = uv_now(link->options.loop);
    while (link->next_address && now_ms < link->deadline_ms) {
        struct addrinfo *at = link->next_address;
        uint64_t share_ms = (link->deadline_ms - now_ms) / count_addresses(at);
        link->next_address = at->ai_next;
        char address[64];
        if (getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, NULL, 0,
                        NI_NUMERICHOST) != 0)
            continue;
        tmb_wire_options options = {
            .loop = link->options.loop,
            .tls = link->tls,
            .address = address,
            .port = link->options.port,
            .client_id = link->client_id,
            .keepalive_s = link->options.keepalive_s,
            .subscribe = (const char *const *)link->filters,
            .subscribe_count = link->options.subscribe_count,
            .arg = link,
            .connected = on_wire_connected,
            .up = on_wire_up,
            .failed = on_wire_failed,
            .message = on_wire_message,
            .published = on_wire_published,
        };
        tmb_err err = tmb_wire_open(&options, &link->wire, link->trouble, sizeof link->trouble);
        if (err == TMB_EDENIED)
            link->next_address = NULL; /* this was the one */
        if (err == TMB_OK) {
            (void)uv_timer_start(&link->timer, on_timer,
                                 share_ms > TRY_MS_MIN ? share_ms : TRY_MS_MIN, 0);
            return;
        }
    }
    if (link->trouble[0] == 0)
        (void)snprintf(link->trouble, sizeof link->trouble, "no address to dial");
    (void)uv_timer_start(&link->timer, on_timer, 0, 0);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    tmb_link *link = request->data;
    link->is_resolving = false;
    link->addresses = addresses;
    if (link->is_closed) {
        free_if_unused(link);
        return;
    }
    if (link->state != LINK_RESOLVING)
        return; /* too late */
    link->state = LINK_TRYING;
    if (status != 0) {
        (void)snprintf(link->trouble, sizeof link->trouble, "cannot resolve the host name: %s",
                       uv_strerror(status));
        go_down(link, link->trouble);
        return;
    }
    link->next_address = addresses;
    try_next(link);
}

/* A broker closes the connection of whoever comes with an id that is taken, certificate or not. An id that
 * nobody can guess cannot be taken over; and sessions are clean, so it need not be the same tomorrow. */
static char *make_client_id(const char *begin)
{
    uint64_t random = 0;
    size_t cap = strlen(begin) + sizeof "-0123456789abcdef";
    char *id = malloc(cap);
    if (!id || uv_random(NULL, NULL, &random, sizeof random, 0, NULL) != 0) {
        free(id);
        return NULL;
    }
    (void)snprintf(id, cap, "%s-%016" PRIx64, begin, random);
    return id;
}

static tmb_err copy_options(tmb_link *link, const tmb_link_options *options)
{
    link->options = *options;
    link->host = strdup(options->host);
    link->client_id = make_client_id(options->client_id);
    link->options.subscribe_count = 0;
    link->filters = calloc(options->subscribe_count + 1u, sizeof *link->filters);
    if (!link->host || !link->client_id || !link->filters)
        return TMB_ENOMEM;
    for (unsigned i = 0; i < options->subscribe_count; i++) {
        link->filters[i] = strdup(options->subscribe[i]);
        if (!link->filters[i])
            return TMB_ENOMEM;
        link->options.subscribe_count++;
    }
    link->options.host = link->host;
    link->options.client_id = link->client_id;
    link->options.subscribe = NULL;
    link->options.ca_file = link->options.cert_file = link->options.key_file = NULL;
    return TMB_OK;
}

tmb_err tmb_link_open(const tmb_link_options *options, tmb_link **ret_link, char *text,
                      size_t text_cap)
{
    if (text && text_cap > 0)
        text[0] = 0;
    tmb_link *link = calloc(1, sizeof *link);
    if (!link)
        return TMB_ENOMEM;
    tmb_err err = copy_options(link, options);
    link->peer.host = link->host;
    if (err == TMB_OK)
        err = tmb_tls_new(options->ca_file, options->cert_file, options->key_file, &link->peer,
                          &link->tls, text, text_cap);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    link->request.data = link;
    if (err == TMB_OK &&
        uv_getaddrinfo(options->loop, &link->request, on_resolved, link->host, NULL, &hints) != 0)
        err = TMB_ENOMEM;
    if (err != TMB_OK) {
        free_if_unused(link);
        return err;
    }
    link->is_resolving = true;
    (void)uv_timer_init(options->loop, &link->timer);
    link->timer.data = link;
    link->has_timer = true;
    link->deadline_ms = uv_now(options->loop) + options->connect_timeout_ms;
    (void)uv_timer_start(&link->timer, on_timer, options->connect_timeout_ms, 0);
    *ret_link = link;
    return TMB_OK;
}

void tmb_link_close(tmb_link *link)
{
    if (!link || link->is_closed)
        return;
    link->is_closed = true;
    link->state = LINK_DOWN;
    drop_wire(link);
    if (link->is_resolving)
        (void)uv_cancel((uv_req_t *)&link->request);
    uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}

static tmb_err publish(tmb_link *link, const char *topic, tmb_bytes payload, int qos, bool retain,
                       int *ret_id)
{
    if (link->is_closed || link->state != LINK_UP)
        return TMB_ECLOSED;
    tmb_link_message message = {.topic = topic, .payload = payload, .is_retained = retain};
    return tmb_wire_publish(link->wire, &message, qos, ret_id);
}

tmb_err tmb_link_send(tmb_link *link, const char *topic, tmb_bytes payload)
{
    return publish(link, topic, payload, 0, false, NULL);
}

tmb_err tmb_link_retain(tmb_link *link, const char *topic, tmb_bytes payload)
{
    return publish(link, topic, payload, 0, true, NULL);
}

tmb_err tmb_link_publish(tmb_link *link, const char *topic, tmb_bytes payload, int *ret_id)
{
    return publish(link, topic, payload, 1, false, ret_id);
}

tmb_err tmb_link_publish_message(tmb_link *link, const tmb_link_message *message, int *ret_id)
{
    if (link->is_closed || link->state != LINK_UP)
        return TMB_ECLOSED;
    return tmb_wire_publish(link->wire, message, 1, ret_id);
}

void tmb_link_bytes(const tmb_link *link, uint64_t *ret_out, uint64_t *ret_in)
{
    uint64_t out = 0, in = 0;
    if (link->wire)
        tmb_wire_bytes(link->wire, &out, &in);
    *ret_out = link->bytes_out + out;
    *ret_in = link->bytes_in + in;
}

uint64_t tmb_link_said(tmb_link *link)
{
    return link->wire && link->state == LINK_UP ? tmb_wire_said(link->wire) : 0;
}

void tmb_link_taken(tmb_link *link, uint64_t *ret_bytes, uint64_t *ret_messages)
{
    *ret_bytes = *ret_messages = 0;
    if (link->wire && link->state == LINK_UP)
        tmb_wire_taken(link->wire, ret_bytes, ret_messages);
}
