// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/hold.c - a line for each client that was ever held; a pair for those of late.
 *
 *   known ---take, pair made---> ready ---take---> held ---------release---> ready
 *     ^                            |               |   ^                         ^
 *     '-----others need its pair---'          linger   take                      |
 *     ^                                            v   |                         |
 *     '-----cut, from either---------------------- lingering ------release-------'
 *
 * A pair belongs to one client as long as it is open, for the broker's epoll comes to know its outer end,
 * with that client's address. That entry goes with the last descriptor of the end: so the outer end is
 * closed first, while nothing is to be told of it.
 */
#define HASH_NONFATAL_OOM 1
#define _GNU_SOURCE       /* dup3 */
#include "broker-plugin/hold.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

#include "broker-plugin/hold_socket.h"

#define PAIR_BYTES                                                                                 \
    (512 * 1024)            /* asked for; the system gives what net.core.wmem_max allows, doubled */
#define PACKET_BYTES   1024 /* what the kernel needs for the least of packets: less than this */
#define ROUND_EVENTS   1000 /* clients that the broker serves in one round of its loop */
#define EVENTS_AT_ONCE 64
#define SCRATCH_BYTES  (64u * 1024u)
#define LITTLE_BYTES   256
#define ANSWER_BYTES   4 /* PUBACK and PUBREC have that at least */
#define FILES_PER_PAIR 8
#define FILES_MAX      65536u

/* The private head of the broker's struct mosquitto. */
typedef struct client_head {
    int ident;
    int sock;
} client_head;

typedef struct line {
    UT_hash_handle hh;
    const void *client;
    int fd;                         /* the broker's number for the socket */
    char address[INET6_ADDRSTRLEN]; /* of the peer */
    tmb_file_id real_id, pair_id;
    int outer, inner; /* -1: it has no pair */
    int pair_bytes;
    int real;       /* -1: the number is the socket's */
    uint64_t marks; /* 0: not held */
    size_t room, noted;
    unsigned answers;  /* that the broker must have written */
    uint64_t used_at;  /* in takes */
    uint64_t clear_at; /* in ticks: not to be held before, something was refused */
    uint64_t early_at; /* in ticks, from 1: released before its time */
    bool is_new;
    bool has_lingered; /* since it was taken */
    bool is_plain;     /* its last answers were plain MQTT: their order with others is free */
    bool is_reader;    /* has been sent messages: then its socket may have refused one */
} line;

struct tmb_hold {
    line *lines;
    line *held[TMB_HOLD_PAIRS_MAX];
    struct pollfd polled[TMB_HOLD_PAIRS_MAX];
    unsigned held_count, pairs_count, pairs_max;
    int watch; /* epoll: sockets that can be written to again */
    int ident;
    bool has_ident;
    uint64_t ticks, settle_ticks;
    tmb_mono now, pause_until;
    char pause_address[INET6_ADDRSTRLEN];
    tmb_hold_counts counts;
    uint8_t scratch[SCRATCH_BYTES];
};

static line *find(const tmb_hold *hold, const void *client)
{
    line *l = NULL;
    HASH_FIND_PTR(hold->lines, &client, l);
    return l;
}

static void close_pair(tmb_hold *hold, line *l)
{
    if (l->outer < 0)
        return;
    close(l->outer);
    close(l->inner);
    l->outer = l->inner = -1;
    hold->pairs_count--;
}

static void unlist(tmb_hold *hold, line *l)
{
    l->marks = 0;
    for (unsigned i = 0; i < hold->held_count; i++) {
        if (hold->held[i] == l) {
            hold->held[i] = hold->held[--hold->held_count];
            break;
        }
    }
}

/* give_back gives the number its socket again. false: it is another file's by now, and is not touched. */
static bool give_back(tmb_hold *hold, line *l, bool is_ours)
{
    int rc = -1;
    while (is_ours && (rc = dup3(l->real, l->fd, 0)) < 0 && (errno == EINTR || errno == EBUSY))
        ;
    if (rc < 0)
        hold->counts.astray++;
    close(l->real);
    l->real = -1;
    return rc >= 0;
}

/* has_number says whether the number still is what we have put there: the pair, or, lingering, the socket. */
static bool has_number(const line *l)
{
    return tmb_socket_is(l->fd, l->real >= 0 ? &l->pair_id : &l->real_id);
}

/* drop ends it for one whose acks nobody gets. */
static void drop(tmb_hold *hold, line *l, bool is_ours)
{
    if (l->real >= 0)
        (void)give_back(hold, l, is_ours);
    else if (!is_ours)
        hold->counts.astray++;
    unlist(hold, l);
    close_pair(hold, l);
}

static void cut(tmb_hold *hold, line *l)
{
    bool is_ours = has_number(l);
    hold->counts.cut++;
    if (l->real >= 0)
        (void)shutdown(l->real, SHUT_RDWR);
    else if (is_ours)
        (void)shutdown(l->fd, SHUT_RDWR);
    drop(hold, l, is_ours);
}

static bool pass(const line *l, const uint8_t *bytes, ssize_t n)
{
    int to = l->real >= 0 ? l->real : l->fd;
    return n <= 0 || send(to, bytes, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n;
}

/* PUBACK or PUBREC, and not a record of TLS, of which the first byte is 20 to 23. */
static bool is_ack(uint8_t head)
{
    return (head & 0xf0) == 0x40 || (head & 0xf0) == 0x50;
}

/* forward sends what is in the pair through the real socket. A little, as acks are, cannot have filled the
 * pair: packets have two bytes at least. With more, the system is asked whether a write may have been
 * refused.
 * false: so it is, or not all of it went. */
static bool forward(tmb_hold *hold, line *l, size_t *ret_bytes)
{
    int waiting = 0;
    ssize_t n = read(l->inner, hold->scratch, LITTLE_BYTES);
    *ret_bytes = n > 0 ? (size_t)n : 0;
    l->is_plain = n > 0 && is_ack(hold->scratch[0]);
    if (n < LITTLE_BYTES)
        return pass(l, hold->scratch, n);
    if (ioctl(l->outer, SIOCOUTQ, &waiting) < 0 ||
        waiting + LITTLE_BYTES / 2 * PACKET_BYTES >= l->pair_bytes) {
        if (l->marks & TMB_HOLD_MARK_SUBSCRIBE) {
            hold->pause_until = tmb_mono_after(hold->now, tmb_dur_ms(TMB_HOLD_PAUSE_MS));
            memcpy(hold->pause_address, l->address, sizeof l->address);
        }
        return false;
    }
    while (pass(l, hold->scratch, n)) {
        n = read(l->inner, hold->scratch, sizeof hold->scratch);
        if (n <= 0)
            return true;
        *ret_bytes += (size_t)n;
    }
    return false;
}

/* look takes in which sockets have refused something, and can be written to again, since the last look. */
static void look(tmb_hold *hold)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int n;
    do {
        n = epoll_wait(hold->watch, events, EVENTS_AT_ONCE, 0);
        for (int i = 0; i < n; i++) {
            line *l = find(hold, events[i].data.ptr);
            if (l && !l->is_new)
                l->clear_at = hold->ticks + hold->settle_ticks;
        }
    } while (n == EVENTS_AT_ONCE);
}

/* is_undisturbed: while it lingered the broker may have written to its socket, and been refused in the middle
 * of a packet. Nothing may be put in between then. Room first, then the look, as in is_clear. */
static bool is_undisturbed(tmb_hold *hold, line *l)
{
    if (!l->has_lingered)
        return true;
    size_t room = tmb_socket_room(l->real >= 0 ? l->real : l->fd);
    look(hold);
    return room > 0 && l->clear_at <= hold->ticks;
}

/* let_go releases one. is_answered: the broker must have written all its answers. */
static void let_go(tmb_hold *hold, line *l, bool is_answered)
{
    size_t bytes = 0;
    if (!has_number(l)) { /* closed, or closed and opened again, behind our back */
        drop(hold, l, false);
        return;
    }
    if (!is_undisturbed(hold, l) || !forward(hold, l, &bytes)) {
        cut(hold, l);
        return;
    }
    if (is_answered && bytes < (size_t)l->answers * ANSWER_BYTES)
        hold->counts.breaches++;
    bool is_back = l->real < 0 || give_back(hold, l, true);
    unlist(hold, l);
    if (!is_back)
        close_pair(hold, l);
}

static void forget(tmb_hold *hold, line *l)
{
    if (tmb_socket_is(l->fd, &l->real_id))
        (void)epoll_ctl(hold->watch, EPOLL_CTL_DEL, l->fd, NULL);
    close_pair(hold, l);
    /* The analyzer loses track of the links that uthash keeps. */
    HASH_DEL(hold->lines, l); /* NOLINT(clang-analyzer-*) */
    free(l);
}

static bool make_pair(tmb_hold *hold, line *l)
{
    int ends[2], bytes = PAIR_BYTES;
    socklen_t len = sizeof bytes;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    l->outer = ends[0];
    l->inner = ends[1];
    hold->pairs_count++;
    (void)setsockopt(l->outer, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (getsockopt(l->outer, SOL_SOCKET, SO_SNDBUF, &l->pair_bytes, &len) < 0 ||
        !tmb_socket_id(l->outer, &l->pair_id)) {
        close_pair(hold, l);
        return false;
    }
    return true;
}

static void take_oldest_pair(tmb_hold *hold)
{
    line *l, *next, *oldest = NULL;
    HASH_ITER(hh, hold->lines, l, next)
    if (l->outer >= 0 && !l->marks && (!oldest || l->used_at < oldest->used_at))
        oldest = l;
    if (oldest)
        close_pair(hold, oldest);
}

static line *make_line(tmb_hold *hold, const void *client, int fd)
{
    line *l = calloc(1, sizeof *l);
    struct epoll_event event = {.events = EPOLLOUT | EPOLLET,
                                .data.ptr = (void *)(uintptr_t)client};
    if (!l)
        return NULL;
    l->client = client;
    l->fd = fd;
    l->outer = l->inner = l->real = -1;
    HASH_ADD_PTR(hold->lines, client, l);
    if (!l->hh.tbl) {
        free(l);
        return NULL;
    }
    if (!tmb_socket_id(fd, &l->real_id) || epoll_ctl(hold->watch, EPOLL_CTL_ADD, fd, &event) < 0) {
        forget(hold, l);
        return NULL;
    }
    l->is_new = true; /* the first event only says that it can be written to */
    look(hold);
    l->is_new = false;
    if (!tmb_socket_has_sent_little(fd)) {
        l->is_reader = true;
        l->clear_at = hold->ticks + hold->settle_ticks;
    }
    return l;
}

/* known gives the line of a client whose socket is what we take it for, or NULL. */
static line *known(tmb_hold *hold, const void *client, const char *address)
{
    client_head head;
    memcpy(&head, client, sizeof head);
    line *l = find(hold, client);
    if (l && l->fd != head.sock) {
        forget(hold, l); /* the address is another client's by now */
        l = NULL;
    }
    if (l)
        return l;
    if (!address || head.sock < 0 || (hold->has_ident && head.ident != hold->ident) ||
        !tmb_socket_fits(head.sock, address))
        return NULL;
    hold->ident = head.ident;
    hold->has_ident = true;
    l = make_line(hold, client, head.sock);
    if (l)
        snprintf(l->address, sizeof l->address, "%s", address);
    return l;
}

/* is_clear says whether the broker has nothing left to write: room first, for what has room at this moment
 * and was refused before has an event by now. Of publishers too: who does not read can fill its socket with
 * answers to what no plugin is told of (PINGREQ, PUBREL), and make room in the middle of a round. */
static bool is_clear(tmb_hold *hold, line *l)
{
    l->room = tmb_socket_room(l->fd);
    look(hold);
    if (l->room > TMB_HOLD_BYTES_MAX)
        l->room = TMB_HOLD_BYTES_MAX;
    return l->room >= 4 * PACKET_BYTES && l->clear_at <= hold->ticks;
}

static bool park(line *l)
{
    l->real = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
    if (l->real < 0)
        return false;
    if (dup3(l->outer, l->fd, O_CLOEXEC) < 0) {
        close(l->real);
        l->real = -1;
        return false;
    }
    l->noted += PACKET_BYTES;
    l->answers++;
    return true;
}

/* take_again holds one more answer of a client that is held, or that lingers. */
static tmb_hold_answer take_again(tmb_hold *hold, line *l, uint64_t marks)
{
    bool is_in = l->noted + PACKET_BYTES <= l->room;
    if (is_in && l->real >= 0 && (marks & TMB_HOLD_MARK_SUBSCRIBE) == 0) {
        l->noted += PACKET_BYTES;
        l->answers++;
    } else if (is_in && l->real < 0) {
        is_in = park(l);
        hold->counts.taken += is_in;
    }
    if (is_in)
        l->marks |= marks;
    return is_in ? TMB_HOLD_TAKEN : TMB_HOLD_FULL;
}

tmb_hold_answer tmb_hold_take(tmb_hold *hold, const void *client, const char *address,
                              uint64_t marks)
{
    line *l = find(hold, client);
    if (l && l->marks)
        return take_again(hold, l, marks);
    if (hold->held_count >= hold->pairs_max && hold->pairs_max > 0)
        return TMB_HOLD_FULL;
    bool is_on = hold->pairs_max > 0 && ((marks & TMB_HOLD_MARK_SUBSCRIBE) == 0 || !address ||
                                         strcmp(hold->pause_address, address) != 0 ||
                                         tmb_mono_is_due(hold->pause_until, hold->now));
    l = is_on ? known(hold, client, address) : NULL;
    /* What had no room before in this round has none for an answer to all of it. */
    if (l && (marks & TMB_HOLD_MARK_SUBSCRIBE) && l->early_at == hold->ticks + 1)
        l = NULL;
    if (l && l->outer < 0 && hold->pairs_count >= hold->pairs_max)
        take_oldest_pair(hold);
    if (l) {
        l->noted = l->answers = 0;
        l->has_lingered = false;
    }
    if (!l || !is_clear(hold, l) || (l->outer < 0 && !make_pair(hold, l)) || !park(l)) {
        hold->counts.unfit++;
        return TMB_HOLD_UNFIT;
    }
    hold->held[hold->held_count++] = l;
    l->marks = marks;
    l->used_at = ++hold->counts.taken;
    return TMB_HOLD_TAKEN;
}

unsigned tmb_hold_count(const tmb_hold *hold)
{
    return hold->held_count;
}

bool tmb_hold_has(const tmb_hold *hold, uint64_t marks)
{
    for (unsigned i = 0; i < hold->held_count; i++)
        if (hold->held[i]->marks & marks)
            return true;
    return false;
}

bool tmb_hold_is_held(const tmb_hold *hold, const void *client)
{
    const line *l = hold->held_count > 0 ? find(hold, client) : NULL;
    return l && l->marks;
}

bool tmb_hold_linger(tmb_hold *hold)
{
    unsigned ready = 0;
    for (unsigned i = 0; i < hold->held_count; i++) {
        line *l = hold->held[i];
        if (!l->is_plain || l->is_reader || (l->marks & TMB_HOLD_MARK_SUBSCRIBE))
            return false;
        hold->polled[i] = (struct pollfd){.fd = l->real >= 0 ? l->real : l->fd, .events = POLLIN};
    }
    if (hold->held_count > 0 && poll(hold->polled, hold->held_count, 0) > 0)
        for (unsigned i = 0; i < hold->held_count; i++)
            ready += hold->polled[i].revents == POLLIN;
    if (ready == 0 || 2 * ready < hold->held_count)
        return false;
    for (unsigned i = hold->held_count; i-- > 0;) {
        line *l = hold->held[i];
        l->has_lingered = true;
        if (l->real < 0)
            continue;
        bool is_ours = has_number(l);
        if (!give_back(hold, l, is_ours)) {
            unlist(hold, l);
            close_pair(hold, l);
        }
    }
    return true;
}

bool tmb_hold_note(tmb_hold *hold, const void *client, size_t bytes)
{
    line *l = find(hold, client);
    if (l)
        l->is_reader = true;
    if (!l || !l->marks)
        return true;
    if (l->real < 0)
        return false;
    l->noted += bytes + PACKET_BYTES;
    return l->noted <= l->room;
}

bool tmb_hold_note_more(tmb_hold *hold, const void *client, size_t bytes)
{
    line *l = find(hold, client);
    if (!l || l->real < 0)
        return tmb_hold_note(hold, client, bytes);
    l->is_reader = true;
    l->noted += bytes;
    return l->noted <= l->room;
}

static unsigned release(tmb_hold *hold, uint64_t marks, bool is_answered)
{
    unsigned before = hold->held_count;
    for (unsigned i = hold->held_count; i-- > 0;) {
        line *l = hold->held[i];
        if ((l->marks & ~marks) == 0)
            let_go(hold, l, is_answered);
        else
            l->marks &= ~marks;
    }
    return before - hold->held_count;
}

void tmb_hold_release(tmb_hold *hold, uint64_t marks)
{
    (void)release(hold, marks, true);
}

unsigned tmb_hold_release_early_all(tmb_hold *hold, uint64_t marks)
{
    return release(hold, marks, false);
}

unsigned tmb_hold_release_early(tmb_hold *hold, const void *client, uint64_t marks)
{
    unsigned count = 0;
    for (unsigned i = hold->held_count; i-- > 0;) {
        line *l = hold->held[i];
        if (l->client != client && l->noted < l->room / 2)
            continue;
        count += (l->marks & marks) != 0;
        l->early_at = hold->ticks + 1;
        let_go(hold, l, false);
    }
    return count;
}

unsigned tmb_hold_release_readable(tmb_hold *hold, uint64_t marks)
{
    unsigned count = 0;
    for (unsigned i = hold->held_count; i-- > 0;) {
        line *l = hold->held[i];
        struct pollfd real = {.fd = l->real, .events = POLLIN};
        if ((l->marks & marks) == 0 || poll(&real, 1, 0) == 0)
            continue;
        let_go(hold, l, false);
        count++;
    }
    return count;
}

void tmb_hold_cut(tmb_hold *hold, uint64_t marks)
{
    for (unsigned i = hold->held_count; i-- > 0;)
        if (hold->held[i]->marks & marks)
            cut(hold, hold->held[i]);
}

void tmb_hold_leave(tmb_hold *hold, const void *client, bool is_good)
{
    line *l = find(hold, client);
    if (!l)
        return;
    if (l->marks && is_good && (l->marks & TMB_HOLD_MARK_SUBSCRIBE) == 0)
        let_go(hold, l, false);
    else if (l->marks)
        drop(hold, l, has_number(l));
    forget(hold, l);
}

void tmb_hold_tick(tmb_hold *hold, tmb_mono now)
{
    hold->ticks++;
    hold->now = now;
}

const tmb_hold_counts *tmb_hold_counts_get(const tmb_hold *hold)
{
    return &hold->counts;
}

tmb_err tmb_hold_new(unsigned pairs_max, tmb_hold **ret_hold)
{
    struct rlimit limit = {.rlim_cur = 0};
    tmb_hold *hold = calloc(1, sizeof *hold);
    if (!hold)
        return TMB_ENOMEM;
    hold->watch = epoll_create1(EPOLL_CLOEXEC);
    if (hold->watch < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        if (hold->watch >= 0)
            close(hold->watch);
        free(hold);
        return TMB_EIO;
    }
    unsigned files = limit.rlim_cur < FILES_MAX ? (unsigned)limit.rlim_cur : FILES_MAX;
    hold->pairs_max = files / FILES_PER_PAIR;
    if (hold->pairs_max > TMB_HOLD_PAIRS_MAX)
        hold->pairs_max = TMB_HOLD_PAIRS_MAX;
    if (pairs_max > 0 && pairs_max < hold->pairs_max)
        hold->pairs_max = pairs_max;
    /* The broker has served all that could be served by then: it goes round. */
    hold->settle_ticks = 2 + files / ROUND_EVENTS;
    *ret_hold = hold;
    return TMB_OK;
}

void tmb_hold_free(tmb_hold *hold)
{
    if (!hold)
        return;
    line *l, *next;
    HASH_ITER(hh, hold->lines, l, next)
    {
        tmb_hold_leave(hold, l->client, false);
    }
    close(hold->watch);
    free(hold);
}
