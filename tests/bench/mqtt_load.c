// SPDX-License-Identifier: Apache-2.0
/* tests/bench/mqtt_load.c - publishes QoS 1 as fast as a broker acknowledges, and says how fast that was.
 *
 * One thread, one epoll, many connections, MQTT 3.1.1 over plain TCP to loopback. Each connection keeps
 * WINDOW messages in doubt: a slot is a packet id, and is used again as soon as its PUBACK is here. What
 * is to be sent is written at once for all slots that came free together, as a busy client does.
 *
 * With --rate it is not as fast as can be but so many a second in all, the connections by turns; how long an
 * ack took is then counted from when the message was due, so that a broker that stands still for a while is
 * seen to.
 *
 * The count starts after a warm-up and ends after --seconds; then nothing new is sent, and the acks still
 * due are waited for, so that "total" is exactly what the broker has taken.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/histogram.h"

#define WINDOW_MAX     1000
#define PUBLISHERS_MAX 1000
#define PACKET_MAX     (1u << 20)
#define WARM_UP_US     300000
#define DRAIN_US       20000000
#define RATE_MAX       1000000
#define TIMER          UINT32_MAX /* what epoll calls the timer */

typedef struct settings {
    unsigned port, publishers, bytes, window, rate; /* rate 0: as fast as it goes */
    double seconds;
} settings;

typedef struct publisher {
    int fd;
    unsigned packet_len, id_at; /* where the packet id is in the packet */
    uint8_t *packet;
    uint8_t *out; /* room for a whole window */
    size_t out_from, out_to;
    uint8_t in[4096];
    size_t in_len;
    uint64_t *sent_us; /* by slot; 0: free, where there is a rate */
} publisher;

typedef struct load {
    settings set;
    publisher *publishers;
    int epoll, timer;
    uint64_t begin_us, end_us; /* of the count */
    uint64_t due;              /* messages that were, since the start */
    uint64_t acked, total, in_doubt;
    histogram latency_us;
} load;

static void die(const char *what)
{
    fprintf(stderr, "mqtt_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t read_clock_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static void *take_memory(size_t bytes)
{
    void *p = calloc(1, bytes);
    if (p == NULL)
        die("memory");
    return p;
}

static void build_packet(publisher *p, unsigned index, unsigned bytes)
{
    char topic[32];
    unsigned topic_len = (unsigned)snprintf(topic, sizeof topic, "bench/%04u", index);
    unsigned rest = 2 + topic_len + 2 + bytes, at = 0;
    p->packet = take_memory(rest + 5);
    p->packet[at++] = 0x32; /* PUBLISH, QoS 1 */
    for (unsigned left = rest; left > 0 || at == 1; left >>= 7)
        p->packet[at++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
    p->packet[at++] = (uint8_t)(topic_len >> 8);
    p->packet[at++] = (uint8_t)topic_len;
    memcpy(p->packet + at, topic, topic_len);
    p->id_at = at + topic_len;
    at = p->id_at + 2;
    for (unsigned i = 0; i < bytes; i++)
        p->packet[at + i] = (uint8_t)('a' + (i * 7 + index) % 26);
    p->packet_len = at + bytes;
}

static void greet(int fd, unsigned index)
{
    uint8_t connect[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0};
    char id[32];
    unsigned id_len = (unsigned)snprintf(id, sizeof id, "load-%u", index);
    connect[13] = (uint8_t)id_len;
    memcpy(connect + 14, id, id_len);
    connect[1] = (uint8_t)(12 + id_len);
    uint8_t answer[4];
    if (send(fd, connect, 14 + id_len, MSG_NOSIGNAL) != (ssize_t)(14 + id_len) ||
        recv(fd, answer, 4, MSG_WAITALL) != 4)
        die("CONNECT");
    if (answer[0] != 0x20 || answer[3] != 0) {
        errno = EPROTO;
        die("CONNACK");
    }
}

static void open_publisher(load *l, unsigned index)
{
    publisher *p = &l->publishers[index];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->set.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    int on = 1;
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    greet(p->fd, index);
    build_packet(p, index, l->set.bytes);
    p->out = take_memory((size_t)p->packet_len * l->set.window);
    p->sent_us = take_memory(sizeof *p->sent_us * (l->set.window + 1));
    struct epoll_event watch = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, p->fd, &watch) != 0)
        die("epoll_ctl");
}

/* Puts one message of this slot (1 .. window) into the buffer. */
static void queue(load *l, publisher *p, unsigned slot, uint64_t now_us)
{
    if (p->out_from > 0) {
        memmove(p->out, p->out + p->out_from, p->out_to - p->out_from);
        p->out_to -= p->out_from;
        p->out_from = 0;
    }
    uint8_t *at = p->out + p->out_to;
    memcpy(at, p->packet, p->packet_len);
    at[p->id_at] = (uint8_t)(slot >> 8);
    at[p->id_at + 1] = (uint8_t)slot;
    p->out_to += p->packet_len;
    p->sent_us[slot] = now_us;
    l->in_doubt++;
}

static void flush(load *l, publisher *p)
{
    while (p->out_from < p->out_to) {
        ssize_t n =
            send(p->fd, p->out + p->out_from, p->out_to - p->out_from, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            die("send");
        if (n < 0)
            break;
        p->out_from += (size_t)n;
    }
    bool is_blocked = p->out_from < p->out_to;
    if (!is_blocked)
        p->out_from = p->out_to = 0;
    struct epoll_event watch = {.events = EPOLLIN | (is_blocked ? (uint32_t)EPOLLOUT : 0),
                                .data.u32 = (uint32_t)(p - l->publishers)};
    epoll_ctl(l->epoll, EPOLL_CTL_MOD, p->fd, &watch);
}

static void take_acks(load *l, publisher *p, uint64_t now_us)
{
    size_t at = 0;
    for (; p->in_len - at >= 4; at += 4) {
        unsigned slot = (unsigned)p->in[at + 2] << 8 | p->in[at + 3];
        if (p->in[at] != 0x40 || p->in[at + 1] != 2 || slot == 0 || slot > l->set.window) {
            errno = EPROTO;
            die("PUBACK");
        }
        l->total++;
        l->in_doubt--;
        if (now_us >= l->begin_us && now_us < l->end_us) {
            l->acked++;
            histogram_add(&l->latency_us, now_us - p->sent_us[slot]);
        }
        p->sent_us[slot] = 0;
        if (now_us < l->end_us && l->set.rate == 0)
            queue(l, p, slot, now_us);
    }
    memmove(p->in, p->in + at, p->in_len - at);
    p->in_len -= at;
}

static void serve(load *l, publisher *p, uint32_t events)
{
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        ssize_t n = recv(p->fd, p->in + p->in_len, sizeof p->in - p->in_len, MSG_DONTWAIT);
        if (n == 0)
            errno = ECONNRESET;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            die("recv");
        if (n > 0) {
            p->in_len += (size_t)n;
            take_acks(l, p, read_clock_us());
        }
    }
    flush(l, p);
}

static void start_timer(load *l)
{
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    long period_ns = 1000000000L / (long)l->set.rate;
    struct itimerspec every = {.it_value = {.tv_nsec = 1},
                               .it_interval = {period_ns / 1000000000L, period_ns % 1000000000L}};
    struct epoll_event watch = {.events = EPOLLIN, .data.u32 = TIMER};
    if (l->timer < 0 || timerfd_settime(l->timer, 0, &every, NULL) != 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &watch) != 0)
        die("timerfd");
}

/* Says what has come due. All slots taken: the next turn of that publisher says it, late. */
static void take_turns(load *l, uint64_t start_us)
{
    uint64_t expired, now_us = read_clock_us();
    if (read(l->timer, &expired, sizeof expired) != sizeof expired || now_us >= l->end_us)
        return;
    uint64_t wanted = (now_us - start_us) * l->set.rate / 1000000u + 1;
    for (; l->due < wanted; l->due++) {
        publisher *p = &l->publishers[l->due % l->set.publishers];
        unsigned slot = 1;
        while (slot <= l->set.window && p->sent_us[slot] != 0)
            slot++;
        if (slot > l->set.window)
            return;
        queue(l, p, slot, start_us + l->due * 1000000u / l->set.rate);
        flush(l, p);
    }
}

static void start(load *l, uint64_t start_us)
{
    if (l->set.rate > 0) {
        start_timer(l);
        return;
    }
    for (unsigned i = 0; i < l->set.publishers; i++) {
        for (unsigned slot = 1; slot <= l->set.window; slot++)
            queue(l, &l->publishers[i], slot, start_us);
        flush(l, &l->publishers[i]);
    }
}

static void run(load *l)
{
    uint64_t start_us = read_clock_us();
    l->begin_us = start_us + WARM_UP_US;
    l->end_us = l->begin_us + (uint64_t)(l->set.seconds * 1e6);
    start(l, start_us);
    while (l->in_doubt > 0 || (l->set.rate > 0 && read_clock_us() < l->end_us)) {
        struct epoll_event ready[64];
        int n = epoll_wait(l->epoll, ready, 64, 1000);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (ready[i].data.u32 == TIMER)
                take_turns(l, start_us);
            else
                serve(l, &l->publishers[ready[i].data.u32], ready[i].events);
        }
        if (read_clock_us() > l->end_us + DRAIN_US) {
            errno = ETIMEDOUT;
            die("last acks");
        }
    }
}

static unsigned read_number(const char *text, unsigned max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || n == 0 || n > max) {
        errno = EINVAL;
        die(text);
    }
    return (unsigned)n;
}

static settings read_settings(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, 0, 'p'},    {"publishers", required_argument, 0, 'n'},
        {"bytes", required_argument, 0, 'b'},   {"window", required_argument, 0, 'w'},
        {"seconds", required_argument, 0, 's'}, {"rate", required_argument, 0, 'r'},
        {"help", no_argument, 0, 'h'},          {0},
    };
    settings set = {.publishers = 1, .bytes = 100, .window = 20, .seconds = 2};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'p':
            set.port = read_number(optarg, 65535);
            break;
        case 'n':
            set.publishers = read_number(optarg, PUBLISHERS_MAX);
            break;
        case 'b':
            set.bytes = read_number(optarg, PACKET_MAX);
            break;
        case 'w':
            set.window = read_number(optarg, WINDOW_MAX);
            break;
        case 'r':
            set.rate = read_number(optarg, RATE_MAX);
            break;
        case 's':
            set.seconds = read_number(optarg, 86400);
            break;
        default:
            printf("mqtt_load --port N [--publishers 1] [--bytes 100] [--window 20] [--seconds 2] "
                   "[--rate N]\n");
            exit(c == 'h' ? 0 : 2);
        }
    }
    if (set.port == 0) {
        fprintf(stderr, "mqtt_load: --port is wanted\n");
        exit(2);
    }
    return set;
}

int main(int argc, char **argv)
{
    load l = {.set = read_settings(argc, argv)};
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l.epoll < 0)
        die("epoll_create1");
    l.publishers = take_memory(sizeof *l.publishers * l.set.publishers);
    for (unsigned i = 0; i < l.set.publishers; i++)
        open_publisher(&l, i);
    run(&l);
    for (unsigned i = 0; i < l.set.publishers; i++) {
        publisher *p = &l.publishers[i];
        static const uint8_t bye[2] = {0xe0, 0};
        send(p->fd, bye, sizeof bye, MSG_NOSIGNAL);
        close(p->fd);
        free(p->packet);
        free(p->out);
        free(p->sent_us);
    }
    free(l.publishers);
    printf("{\"acked\": %llu, \"seconds\": %.3f, \"rate\": %.1f, \"total\": %llu, "
           "\"payload_bytes\": %llu,"
           " \"p50_us\": %llu, \"p99_us\": %llu}\n",
           (unsigned long long)l.acked, l.set.seconds, (double)l.acked / l.set.seconds,
           (unsigned long long)l.total, (unsigned long long)(l.total * l.set.bytes),
           (unsigned long long)histogram_at(&l.latency_us, 500),
           (unsigned long long)histogram_at(&l.latency_us, 990));
    return 0;
}
