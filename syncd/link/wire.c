// SPDX-License-Identifier: Apache-2.0
/* syncd/link/wire.c - libmosquitto's external loop, on uv_poll and a timer of one second.
 *
 * What one has to know about libmosquitto 2.0.11 here:
 *  - While TLS is being set up, loop_write does nothing and want_write may stay true for ever: polling for
 *    "writable" would spin. So until the handshake is done, OpenSSL is asked what it waits for, and
 *    loop_read is what moves it on.
 *  - Some failures close its socket without a callback. Every return code is looked at, and libuv polls a
 *    duplicate of the descriptor, so that it never holds one that was closed and given out again.
 *  - The publish callback comes for QoS 0 too, at the moment of writing: what OpenSSL has written by then
 *    says where in the stream of bytes the message ends. Which ids are QoS 1 is kept here.
 *  - It sends PINGREQ after keepalive seconds without a word, and gives up another keepalive later. It gets
 *    half of what the user asked for, so that a dead peer is noticed within that. While a large frame is on
 *    its way over a slow line, the answer to a ping may take longer than that: as long as the peer's TCP
 *    acknowledges bytes, the line is alive, and no ping is asked for.
 */
#include "syncd/link/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "syncd/link/tls.h"

#define TICK_MS           1000
#define KEEPALIVE_S_MIN   5 /* libmosquitto refuses less */
#define TEXT_MAX          256
#define ENDS_MAX          64
#define MQTT_HEADER_BYTES 8
#define TLS_RECORD_BYTES  16384
#define TLS_HEADER_BYTES  22

typedef enum wire_state { WIRE_CONNECTING = 0, WIRE_GREETING, WIRE_UP, WIRE_FAILED } wire_state;

/* A poll handle lives until libuv has let go of it, longer than the wire. */
typedef struct wire_poll {
    uv_poll_t handle;
    int fd;
    tmb_wire *wire; /* NULL: let go */
} wire_poll;

/* Where messages end in the bytes that went out. When there is no room the newest ends are merged: nobody
 * asks, or the line stands. */
typedef struct wire_end {
    uint64_t bytes, messages; /* so many messages lie within so many bytes */
} wire_end;

struct tmb_wire {
    tmb_wire_options options;
    struct mosquitto *mosq;
    wire_poll *poll;
    int poll_events;
    uv_timer_t *timer;
    wire_state state;
    unsigned depth; /* inside a call into libmosquitto: it must not be destroyed now */
    bool is_reading;
    bool is_retained; /* the message that is being told of */
    bool is_closed;
    unsigned keepalive_s;
    char trouble[2 * TEXT_MAX + 4]; /* what failed; not empty: `failed` is due */
    char last_log[TEXT_MAX];        /* libmosquitto's last word, OpenSSL's reason among them */
    uint64_t acked_bytes, moved_ms;
    uint64_t bytes_out, bytes_in; /* as last read from OpenSSL */
    uint64_t bytes_said; /* bytes_out, and what libmosquitto holds: right when it holds nothing */
    uint64_t messages_written, messages_taken;
    unsigned ends_count;
    wire_end ends[ENDS_MAX];    /* not yet taken, oldest first */
    uint8_t is_qos1[65536 / 8]; /* by message id: a PUBACK is due */
};

static bool has_qos1(const tmb_wire *wire, int id)
{
    return id > 0 && id < 65536 && (wire->is_qos1[id / 8] >> (id % 8) & 1u) != 0;
}

static void set_qos1(tmb_wire *wire, int id, bool is_set)
{
    if (id <= 0 || id >= 65536)
        return;
    uint8_t bit = (uint8_t)(1u << (id % 8));
    wire->is_qos1[id / 8] =
        (uint8_t)(is_set ? wire->is_qos1[id / 8] | bit : wire->is_qos1[id / 8] & (uint8_t)~bit);
}

static void note_trouble(tmb_wire *wire, const char *text, const char *detail)
{
    if (wire->trouble[0] == 0)
        (void)snprintf(wire->trouble, sizeof wire->trouble, "%s%s%s", text, detail[0] ? ": " : "",
                       detail);
}

/* What OpenSSL has against the peer's certificate, if that is what stopped us, else what it said last. */
static void note_library_trouble(tmb_wire *wire, int rc)
{
    int code = errno;
    int verdict = tmb_tls_peer_of(wire->options.tls)->verdict;
    if (verdict != X509_V_OK)
        note_trouble(wire, "the broker's certificate is refused",
                     X509_verify_cert_error_string(verdict));
    else if (wire->last_log[0])
        note_trouble(wire, "TLS", wire->last_log);
    else if (rc == MOSQ_ERR_ERRNO && code != 0 && code != EPROTO)
        note_trouble(wire, "connection lost", strerror(code));
    else if (rc != MOSQ_ERR_TLS && wire->state != WIRE_UP)
        note_trouble(wire, "the broker hung up before it answered (does it trust our certificate?)",
                     "");
    else
        note_trouble(wire, mosquitto_strerror(rc), "");
}

static void free_timer(uv_handle_t *handle)
{
    free(handle);
}

static void free_poll(uv_handle_t *handle)
{
    wire_poll *poll = handle->data;
    (void)close(poll->fd);
    free(poll);
}

static void count_bytes(tmb_wire *wire)
{
    SSL *ssl = mosquitto_ssl_get(wire->mosq);
    if (ssl) {
        wire->bytes_out = BIO_number_written(SSL_get_wbio(ssl));
        wire->bytes_in = BIO_number_read(SSL_get_rbio(ssl));
    }
}

static void let_go(tmb_wire *wire)
{
    if (wire->poll) {
        wire->poll->wire = NULL;
        (void)uv_poll_stop(&wire->poll->handle);
        uv_close((uv_handle_t *)&wire->poll->handle, free_poll);
        wire->poll = NULL;
    }
    if (wire->timer) {
        uv_close((uv_handle_t *)wire->timer, free_timer);
        wire->timer = NULL;
    }
}

static void destroy(tmb_wire *wire)
{
    let_go(wire);
    if (wire->state == WIRE_UP && wire->trouble[0] == 0)
        (void)mosquitto_disconnect_v5(wire->mosq, 0, NULL);
    mosquitto_destroy(wire->mosq);
    free(wire);
}

static void on_poll(uv_poll_t *handle, int status, int events);

/* OpenSSL knows what the handshake waits for; libmosquitto knows what is queued behind it. */
static void watch(tmb_wire *wire)
{
    int events = UV_WRITABLE;
    if (wire->state != WIRE_CONNECTING) {
        SSL *ssl = mosquitto_ssl_get(wire->mosq);
        bool is_waiting = ssl && !SSL_is_init_finished(ssl) ? SSL_want_write(ssl)
                                                            : mosquitto_want_write(wire->mosq);
        events = UV_READABLE | (is_waiting ? UV_WRITABLE : 0);
    }
    if (events != wire->poll_events) {
        wire->poll_events = events;
        (void)uv_poll_start(&wire->poll->handle, events, on_poll);
    }
}

/* settle ends every turn of the loop: closing, failures, and what to wait for next. May free the wire. */
static void settle(tmb_wire *wire)
{
    if (wire->is_closed) {
        destroy(wire);
        return;
    }
    if (wire->state == WIRE_FAILED)
        return;
    if (wire->trouble[0] == 0 && mosquitto_socket(wire->mosq) < 0)
        note_library_trouble(wire, MOSQ_ERR_CONN_LOST);
    if (wire->trouble[0] == 0) {
        count_bytes(wire);
        watch(wire);
        return;
    }
    wire->state = WIRE_FAILED;
    let_go(wire);
    wire->depth++;
    wire->options.failed(wire->options.arg, wire->trouble);
    wire->depth--;
    if (wire->is_closed)
        destroy(wire);
}

/* TCP is there, or why it is not. */
static void finish_connect(tmb_wire *wire)
{
    int code = 0;
    socklen_t len = sizeof code;
    if (getsockopt(wire->poll->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
        code = errno;
    if (code != 0) {
        note_trouble(wire, strerror(code), "");
        return;
    }
    /* A refusal that came at once (loopback) was told to OpenSSL's first write, and SO_ERROR is told once. */
    struct sockaddr_storage peer;
    len = sizeof peer;
    if (getpeername(wire->poll->fd, (struct sockaddr *)&peer, &len) != 0) {
        note_trouble(wire, "Connection refused at once", "");
        return;
    }
    wire->state = WIRE_GREETING;
    wire->options.connected(wire->options.arg);
}

static void read_some(tmb_wire *wire)
{
    errno = 0;
    wire->is_reading = true;
    int rc = mosquitto_loop_read(wire->mosq, 1);
    wire->is_reading = false;
    /* An error of the socket in the handshake is no error to libmosquitto: it would try for ever. */
    SSL *ssl = mosquitto_ssl_get(wire->mosq);
    if (rc == MOSQ_ERR_SUCCESS && ssl && !SSL_is_init_finished(ssl) && SSL_want_nothing(ssl))
        note_trouble(wire, "connection lost in the TLS handshake", "");
    if (rc != MOSQ_ERR_SUCCESS)
        note_library_trouble(wire, rc);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    tmb_wire *wire = ((wire_poll *)handle->data)->wire;
    if (!wire)
        return;
    wire->depth++;
    if (status < 0) /* libuv says EBADF for whatever the socket has to tell: ask it, by reading */
        events |= UV_READABLE;
    if (wire->trouble[0] == 0 && wire->state == WIRE_CONNECTING)
        finish_connect(wire);
    SSL *ssl = mosquitto_ssl_get(wire->mosq);
    if (wire->trouble[0] == 0 && ((events & UV_READABLE) || !ssl || !SSL_is_init_finished(ssl)))
        read_some(wire);
    if (status < 0)
        note_trouble(wire, "connection lost", "");
    if (wire->trouble[0] == 0 && !wire->is_closed && mosquitto_want_write(wire->mosq)) {
        errno = 0;
        int rc = mosquitto_loop_write(wire->mosq, 1);
        if (rc != MOSQ_ERR_SUCCESS)
            note_library_trouble(wire, rc);
    }
    wire->depth--;
    settle(wire);
}

/* take_stock gives the bytes that the peer's host has acknowledged, and the rest. False: nobody knows. */
static bool take_stock(tmb_wire *wire, uint64_t *ret_taken, uint64_t *ret_unsent)
{
    int unsent = 0;
    count_bytes(wire);
    if (!wire->poll || ioctl(wire->poll->fd, SIOCOUTQ, &unsent) != 0 || unsent < 0)
        return false;
    *ret_taken = wire->bytes_out > (uint64_t)unsent ? wire->bytes_out - (uint64_t)unsent : 0;
    *ret_unsent = (uint64_t)unsent;
    return true;
}

/* is_moving says whether a full line is being emptied by a peer that is there. */
static bool is_moving(tmb_wire *wire)
{
    uint64_t taken = 0, unsent = 0;
    if (!take_stock(wire, &taken, &unsent))
        return false;
    bool has_moved = taken > wire->acked_bytes && unsent > 0;
    wire->acked_bytes = taken;
    return has_moved;
}

static void note_end(tmb_wire *wire)
{
    count_bytes(wire);
    if (wire->ends_count < ENDS_MAX)
        wire->ends_count++;
    wire->ends[wire->ends_count - 1] = (wire_end){wire->bytes_out, ++wire->messages_written};
}

uint64_t tmb_wire_said(tmb_wire *wire)
{
    count_bytes(wire);
    if (wire->bytes_said < wire->bytes_out || !mosquitto_want_write(wire->mosq))
        wire->bytes_said = wire->bytes_out;
    return wire->bytes_said;
}

void tmb_wire_taken(tmb_wire *wire, uint64_t *ret_bytes, uint64_t *ret_messages)
{
    uint64_t taken = 0, unsent = 0;
    unsigned past = 0;
    if (take_stock(wire, &taken, &unsent)) {
        while (past < wire->ends_count && wire->ends[past].bytes <= taken)
            wire->messages_taken = wire->ends[past++].messages;
        wire->ends_count -= past;
        memmove(wire->ends, wire->ends + past, wire->ends_count * sizeof wire->ends[0]);
    }
    *ret_bytes = taken;
    *ret_messages = wire->messages_taken;
}

static void on_tick(uv_timer_t *timer)
{
    tmb_wire *wire = timer->data;
    if (wire->trouble[0] == 0 && wire->state == WIRE_UP) {
        uint64_t now_ms = uv_now(wire->options.loop);
        if (is_moving(wire)) {
            wire->moved_ms = now_ms;
        } else if (now_ms - wire->moved_ms >= wire->keepalive_s * 1000u) {
            wire->depth++;
            int rc = mosquitto_loop_misc(wire->mosq);
            wire->depth--;
            if (rc != MOSQ_ERR_SUCCESS)
                note_library_trouble(wire, rc);
        }
    }
    settle(wire);
}

static void on_connect(struct mosquitto *mosq, void *arg, int reason, int flags,
                       const mosquitto_property *properties)
{
    tmb_wire *wire = arg;
    (void)flags;
    (void)properties;
    if (wire->is_closed)
        return;
    if (reason != 0) {
        note_trouble(wire, "the broker refused the connection", mosquitto_reason_string(reason));
        return;
    }
    int rc = MOSQ_ERR_SUCCESS;
    if (wire->options.subscribe_count > 0)
        rc = mosquitto_subscribe_multiple(mosq, NULL, (int)wire->options.subscribe_count,
                                          (char *const *)(uintptr_t)wire->options.subscribe, 0, 0,
                                          NULL);
    if (rc != MOSQ_ERR_SUCCESS) {
        note_trouble(wire, "cannot subscribe", mosquitto_strerror(rc));
    } else if (wire->options.subscribe_count == 0) {
        wire->state = WIRE_UP;
        wire->options.up(wire->options.arg);
    }
}

static void on_subscribe(struct mosquitto *mosq, void *arg, int id, int count, const int *granted,
                         const mosquitto_property *properties)
{
    tmb_wire *wire = arg;
    (void)mosq;
    (void)id;
    (void)properties;
    if (wire->is_closed || wire->trouble[0] || wire->state == WIRE_UP)
        return;
    for (int i = 0; i < count; i++) {
        if (granted[i] >= 0x80) {
            note_trouble(
                wire,
                "the broker refused (does the certificate name this node?) the subscription to",
                wire->options.subscribe[(unsigned)i < wire->options.subscribe_count ? i : 0]);
            return;
        }
    }
    wire->state = WIRE_UP;
    wire->moved_ms = uv_now(wire->options.loop);
    wire->options.up(wire->options.arg);
}

static void on_disconnect(struct mosquitto *mosq, void *arg, int reason,
                          const mosquitto_property *properties)
{
    tmb_wire *wire = arg;
    (void)mosq;
    (void)properties;
    if (wire->is_closed)
        return;
    if (reason >= 0x80)
        note_trouble(wire, "the broker closed the connection", mosquitto_reason_string(reason));
    else if (reason == MOSQ_ERR_KEEPALIVE)
        note_trouble(wire, "nothing heard from the broker for too long", "");
    else
        note_library_trouble(wire, reason);
}

static void on_message(struct mosquitto *mosq, void *arg, const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    tmb_wire *wire = arg;
    (void)mosq;
    (void)properties;
    wire->is_retained = message->retain;
    if (!wire->is_closed && wire->trouble[0] == 0)
        wire->options.message(wire->options.arg, message->topic,
                              tmb_bytes_of(message->payload, (size_t)message->payloadlen));
}

/* A QoS 1 message comes here with its PUBACK, which can only be read; any other when it was written. */
static void on_publish(struct mosquitto *mosq, void *arg, int id, int reason,
                       const mosquitto_property *properties)
{
    tmb_wire *wire = arg;
    (void)mosq;
    (void)properties;
    if (!has_qos1(wire, id)) {
        note_end(wire);
        return;
    }
    if (!wire->is_reading || wire->is_closed || wire->trouble[0])
        return;
    set_qos1(wire, id, false);
    wire->options.published(wire->options.arg, id, (unsigned)reason);
}

/* "OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed": the last part is for people. */
static void on_log(struct mosquitto *mosq, void *arg, int level, const char *text)
{
    tmb_wire *wire = arg;
    (void)mosq;
    if (level != MOSQ_LOG_ERR || strncmp(text, "OpenSSL Error", 13) != 0)
        return;
    const char *reason = strrchr(text, ':');
    (void)snprintf(wire->last_log, sizeof wire->last_log, "%s", reason ? reason + 1 : text);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
/* libmosquitto takes its locks in different orders in publish and in callbacks. With one thread a handle, as
 * here, nobody can meet nobody. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "deadlock:libmosquitto.so.1\n";
}
#endif
#endif

static void init_library(void)
{
    (void)mosquitto_lib_init();
}

static tmb_err make_client(tmb_wire *wire)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_library);
    wire->mosq = mosquitto_new(wire->options.client_id, true, wire);
    if (!wire->mosq)
        return TMB_ENOMEM;
    if (mosquitto_int_option(wire->mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5) ||
        mosquitto_int_option(wire->mosq, MOSQ_OPT_TCP_NODELAY, 1) ||
        mosquitto_int_option(wire->mosq, MOSQ_OPT_SEND_MAXIMUM, 65535) ||
        mosquitto_int_option(wire->mosq, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0) ||
        mosquitto_void_option(wire->mosq, MOSQ_OPT_SSL_CTX, wire->options.tls))
        return TMB_ENOMEM;
    mosquitto_connect_v5_callback_set(wire->mosq, on_connect);
    mosquitto_disconnect_v5_callback_set(wire->mosq, on_disconnect);
    mosquitto_subscribe_v5_callback_set(wire->mosq, on_subscribe);
    mosquitto_message_v5_callback_set(wire->mosq, on_message);
    mosquitto_publish_v5_callback_set(wire->mosq, on_publish);
    mosquitto_log_callback_set(wire->mosq, on_log);
    return TMB_OK;
}

bool tmb_wire_is_retained(const tmb_wire *wire)
{
    return wire->is_retained;
}

static tmb_err start_watching(tmb_wire *wire)
{
    wire->poll = calloc(1, sizeof *wire->poll);
    wire->timer = calloc(1, sizeof *wire->timer);
    int fd = fcntl(mosquitto_socket(wire->mosq), F_DUPFD_CLOEXEC, 0);
    if (!wire->poll || !wire->timer || fd < 0 ||
        uv_poll_init(wire->options.loop, &wire->poll->handle, fd) != 0) {
        if (fd >= 0)
            (void)close(fd);
        free(wire->poll);
        free(wire->timer);
        wire->poll = NULL;
        wire->timer = NULL;
        return TMB_ENOMEM;
    }
    wire->poll->fd = fd;
    wire->poll->wire = wire;
    wire->poll->handle.data = wire->poll;
    (void)uv_timer_init(wire->options.loop, wire->timer);
    wire->timer->data = wire;
    (void)uv_timer_start(wire->timer, on_tick, TICK_MS, TICK_MS);
    watch(wire);
    return TMB_OK;
}

tmb_err tmb_wire_open(const tmb_wire_options *options, tmb_wire **ret_wire, char *text,
                      size_t text_cap)
{
    tmb_wire *wire = calloc(1, sizeof *wire);
    if (!wire)
        return TMB_ENOMEM;
    wire->options = *options;
    wire->keepalive_s =
        options->keepalive_s / 2 > KEEPALIVE_S_MIN ? options->keepalive_s / 2 : KEEPALIVE_S_MIN;
    tmb_err err = make_client(wire);
    if (err == TMB_OK) {
        errno = 0;
        int rc = mosquitto_connect_async(wire->mosq, options->address, (int)options->port,
                                         (int)wire->keepalive_s);
        if (rc != MOSQ_ERR_SUCCESS) {
            note_library_trouble(wire, rc);
            (void)snprintf(text, text_cap, "%s", wire->trouble);
            err = rc == MOSQ_ERR_TLS ? TMB_EDENIED : TMB_ECLOSED;
        }
    }
    if (err == TMB_OK)
        err = start_watching(wire);
    if (err != TMB_OK) {
        if (wire->mosq)
            mosquitto_destroy(wire->mosq);
        free(wire);
        return err;
    }
    *ret_wire = wire;
    return TMB_OK;
}

void tmb_wire_close(tmb_wire *wire)
{
    if (!wire || wire->is_closed)
        return;
    wire->is_closed = true;
    if (wire->depth == 0)
        destroy(wire);
}

/* What MQTT and TLS make of topic and payload. */
static uint64_t wrapped_bytes(size_t bytes)
{
    return bytes + MQTT_HEADER_BYTES + (bytes / TLS_RECORD_BYTES + 1) * TLS_HEADER_BYTES;
}

static bool add_properties(mosquitto_property **list, const tmb_link_message *message)
{
    int rc = MOSQ_ERR_SUCCESS;
    if (message->is_utf8)
        rc = mosquitto_property_add_byte(list, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, 1);
    if (rc == MOSQ_ERR_SUCCESS && message->content_type)
        rc = mosquitto_property_add_string(list, MQTT_PROP_CONTENT_TYPE, message->content_type);
    if (rc == MOSQ_ERR_SUCCESS && message->correlation.len > 0)
        rc = mosquitto_property_add_binary(list, MQTT_PROP_CORRELATION_DATA,
                                           message->correlation.ptr,
                                           (uint16_t)message->correlation.len);
    for (unsigned i = 0; i < message->properties_count && rc == MOSQ_ERR_SUCCESS; i++)
        rc = mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY,
                                                message->properties[i].name,
                                                message->properties[i].value);
    return rc == MOSQ_ERR_SUCCESS;
}

/* Gives libmosquitto's code. */
static int say(tmb_wire *wire, const tmb_link_message *message, int qos, int *ret_id)
{
    mosquitto_property *list = NULL;
    int rc = MOSQ_ERR_NOMEM;
    errno = 0;
    wire->depth++;
    if (add_properties(&list, message))
        rc = mosquitto_publish_v5(wire->mosq, ret_id, message->topic, (int)message->payload.len,
                                  message->payload.ptr, qos, message->is_retained, list);
    wire->depth--;
    mosquitto_property_free_all(&list);
    return rc;
}

tmb_err tmb_wire_publish(tmb_wire *wire, const tmb_link_message *message, int qos, int *ret_id)
{
    if (wire->is_closed || wire->trouble[0] || wire->state != WIRE_UP)
        return TMB_ECLOSED;
    if (message->payload.len > MQTT_MAX_PAYLOAD || message->correlation.len > UINT16_MAX)
        return TMB_ELIMIT;
    int id = 0;
    uint64_t said =
        tmb_wire_said(wire) + wrapped_bytes(strlen(message->topic) + message->payload.len);
    int rc = say(wire, message, qos, &id);
    if (rc == MOSQ_ERR_NOMEM)
        return TMB_ENOMEM;
    wire->bytes_said = said;
    if (rc == MOSQ_ERR_PAYLOAD_SIZE || rc == MOSQ_ERR_OVERSIZE_PACKET || rc == MOSQ_ERR_INVAL ||
        rc == MOSQ_ERR_MALFORMED_UTF8)
        return TMB_ELIMIT;
    /* Ids come around after 65,535 messages: one that is still waited for would be taken for its PUBACK. */
    if (rc == MOSQ_ERR_SUCCESS && has_qos1(wire, id))
        note_trouble(wire, "a message id came around before its acknowledgement", "");
    if (rc != MOSQ_ERR_SUCCESS)
        note_library_trouble(wire, rc);
    if (wire->trouble[0]) {
        if (wire->timer)
            (void)uv_timer_start(wire->timer, on_tick, 0, TICK_MS);
        return TMB_ECLOSED;
    }
    if (qos > 0) {
        set_qos1(wire, id, true);
        *ret_id = id;
    }
    if (wire->depth == 0)
        watch(wire);
    return TMB_OK;
}

void tmb_wire_bytes(const tmb_wire *wire, uint64_t *ret_out, uint64_t *ret_in)
{
    *ret_out = wire->bytes_out;
    *ret_in = wire->bytes_in;
}
