// SPDX-License-Identifier: Apache-2.0
/* Acks kept back: real sockets, and a client that is two ints, as the broker's struct begins. "The broker"
 * below is a write to the number that the client has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker-plugin/hold.h"

#define HERE      "127.0.0.1"
#define WAIT_MS   30000
#define A_STREAM  1u
#define SUBSCRIBE TMB_HOLD_MARK_SUBSCRIBE

typedef struct client {
    int ident, sock; /* the broker's side */
    int peer;        /* the client's own */
} client;

static int listener = -1;

static client connect_from(in_addr_t from)
{
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr = {htonl(from)}};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    client c = {.ident = 1, .peer = socket(AF_INET, SOCK_STREAM, 0)};
    if (listener < 0) {
        listener = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
        assert_int_equal(listen(listener, 64), 0);
    }
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(bind(c.peer, (struct sockaddr *)&self, sizeof self), 0);
    assert_int_equal(connect(c.peer, (struct sockaddr *)&at, len), 0);
    c.sock = accept(listener, NULL, NULL);
    assert_true(c.sock >= 0);
    assert_int_equal(fcntl(c.sock, F_SETFL, O_NONBLOCK), 0);
    struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    assert_int_equal(setsockopt(c.peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    return c;
}

static client connect_one(void)
{
    return connect_from(INADDR_LOOPBACK);
}

static void close_one(const client *c)
{
    close(c->sock);
    close(c->peer);
}

static tmb_hold *make(unsigned pairs_max)
{
    tmb_hold *hold = NULL;
    assert_int_equal(tmb_hold_new(pairs_max, &hold), TMB_OK);
    return hold;
}

static tmb_hold_answer take(tmb_hold *hold, const client *c)
{
    return tmb_hold_take(hold, c, HERE, A_STREAM);
}

static void answer(const client *c, const char *text)
{
    assert_int_equal(write(c->sock, text, strlen(text)), (ssize_t)strlen(text));
}

static void gets(const client *c, const char *text)
{
    char got[64] = "";
    assert_int_equal(recv(c->peer, got, strlen(text), MSG_WAITALL), (ssize_t)strlen(text));
    assert_string_equal(got, text);
}

static void gets_nothing(const client *c)
{
    char got;
    assert_int_equal(recv(c->peer, &got, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static void sees_the_end(const client *c)
{
    char got;
    assert_true(recv(c->peer, &got, 1, 0) <= 0);
}

/* What its client has sent is there, or comes: the kernel may carry it a little later. */
static void reads_one(const client *c)
{
    struct pollfd wanted = {.fd = c->sock, .events = POLLIN};
    assert_int_equal(poll(&wanted, 1, WAIT_MS), 1);
    assert_int_equal(read(c->sock, &(char){0}, 1), 1);
}

static void what_is_written_waits_and_the_socket_is_what_it_was(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client c = connect_one();
    for (int round = 0; round < 3; round++) {
        char got;
        assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
        assert_true(tmb_hold_is_held(hold, &c));
        assert_int_equal(send(c.peer, "x", 1, 0), 1);
        assert_int_equal(read(c.sock, &got, 1), -1);
        assert_int_equal(errno, EAGAIN);
        answer(&c, "puback");
        gets_nothing(&c);
        tmb_hold_release(hold, A_STREAM);
        gets(&c, "puback");
        assert_int_equal(tmb_hold_count(hold), 0);
        reads_one(&c); /* what came meanwhile is still there */
        answer(&c, "plain");
        gets(&c, "plain");
        tmb_hold_tick(hold, (tmb_mono){round});
    }
    assert_int_equal(tmb_hold_counts_get(hold)->taken, 3);
    assert_int_equal(tmb_hold_counts_get(hold)->breaches, 0);
    tmb_hold_leave(hold, &c, true);
    tmb_hold_free(hold);
    close_one(&c);
}

/* The broker's: registered once, and turned for every packet that it writes. */
static void an_epoll_that_knows_the_number_goes_on_knowing_the_socket(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client c = connect_one();
    int epoll = epoll_create1(0);
    struct epoll_event in = {.events = EPOLLIN, .data.u32 = 7}, out = in, got;
    out.events |= EPOLLOUT;
    assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, c.sock, &in), 0);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, c.sock, &out) < 0)
            assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_MOD, c.sock, &out), 0);
        answer(&c, "puback");
        assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_MOD, c.sock, &in), 0);
        assert_int_equal(epoll_wait(epoll, &got, 1, 0), 0);
        tmb_hold_release(hold, A_STREAM);
        gets(&c, "puback");
        assert_int_equal(epoll_wait(epoll, &got, 1, 0), 0);
        assert_int_equal(send(c.peer, "x", 1, 0), 1);
        assert_int_equal(epoll_wait(epoll, &got, 1, WAIT_MS), 1);
        assert_int_equal(read(c.sock, &(char){0}, 1), 1);
    }
    tmb_hold_leave(hold, &c, true);
    close(c.sock);
    assert_int_equal(epoll_wait(epoll, &got, 1, 0), 0); /* and nothing of a pair is left in it */
    sees_the_end(&c);
    close(c.peer);
    close(epoll);
    tmb_hold_free(hold);
}

static void cut_means_never_sent(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client c = connect_one(), other = connect_one();
    assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
    assert_int_equal(tmb_hold_take(hold, &other, HERE, 2), TMB_HOLD_TAKEN);
    answer(&c, "puback");
    answer(&other, "puback");
    tmb_hold_cut(hold, A_STREAM);
    sees_the_end(&c);
    assert_int_equal(read(c.sock, &(char){0}, 1), 0); /* so the broker cleans up */
    gets_nothing(&other);
    tmb_hold_release(hold, 2);
    gets(&other, "puback");
    assert_int_equal(tmb_hold_counts_get(hold)->cut, 1);
    tmb_hold_free(hold);
    close_one(&c);
    close_one(&other);
}

/* As with a broker whose struct is not what we take it for: its number is another connection's. */
static void an_answer_that_goes_past_is_seen(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client real = connect_one(), other = connect_one();
    client wrong = {.ident = 1, .sock = other.sock, .peer = real.peer};
    assert_int_equal(take(hold, &wrong), TMB_HOLD_TAKEN);
    answer(&real, "puback");
    gets(&real, "puback");
    tmb_hold_release(hold, A_STREAM);
    assert_int_equal(tmb_hold_counts_get(hold)->breaches, 1);
    tmb_hold_free(hold);
    close_one(&real);
    close_one(&other);
}

static void what_is_no_plain_tcp_client_is_left_alone(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client c = connect_one(), odd = c;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN); /* so the first int is known */
    answer(&c, "x");
    tmb_hold_release(hold, A_STREAM);
    const int numbers[] = {-1, 0, ends[0], listener, 9999};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        odd.sock = numbers[i];
        assert_int_equal(take(hold, &odd), TMB_HOLD_UNFIT);
    }
    odd = connect_one();
    assert_int_equal(tmb_hold_take(hold, &odd, "127.0.0.2", A_STREAM), TMB_HOLD_UNFIT);
    assert_int_equal(tmb_hold_take(hold, &odd, NULL, A_STREAM), TMB_HOLD_UNFIT);
    odd.ident = 2;
    assert_int_equal(take(hold, &odd), TMB_HOLD_UNFIT);
    assert_int_equal(tmb_hold_counts_get(hold)->unfit, 8);
    tmb_hold_free(hold);
    close_one(&c);
    close_one(&odd);
    close(ends[0]);
    close(ends[1]);
}

static void says_when_there_is_no_room_for_more(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client c = connect_one(), other = connect_one();
    assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
    assert_int_equal(take(hold, &other), TMB_HOLD_TAKEN);
    assert_true(tmb_hold_note(hold, &c, 1000));
    answer(&c, "message");
    answer(&other, "puback");
    assert_false(tmb_hold_note(hold, &c, TMB_HOLD_BYTES_MAX));
    assert_int_equal(tmb_hold_release_early(hold, &c, SUBSCRIBE), 0);
    gets(&c, "message");
    gets_nothing(&other);
    assert_true(tmb_hold_note(hold, &c, TMB_HOLD_BYTES_MAX)); /* not held: it may */
    unsigned answers = 1;
    for (; take(hold, &other) == TMB_HOLD_TAKEN; answers++)
        answer(&other, "puback");
    assert_true(answers > 3 && answers <= TMB_HOLD_BYTES_MAX / 1024);
    tmb_hold_release(hold, A_STREAM);
    while (answers-- > 0)
        gets(&other, "puback");
    assert_int_equal(tmb_hold_counts_get(hold)->breaches, 0);
    tmb_hold_free(hold);
    close_one(&c);
    close_one(&other);
}

static void holds_no_more_than_its_limit_and_then_whoever_comes(void **state)
{
    (void)state;
    tmb_hold *hold = make(2);
    client c[3] = {connect_one(), connect_one(), connect_one()};
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 3; i++) {
            unsigned who = (i + round) % 3;
            assert_int_equal(take(hold, &c[who]), i < 2 ? TMB_HOLD_TAKEN : TMB_HOLD_FULL);
            answer(&c[who], "puback");
        }
        tmb_hold_release(hold, A_STREAM);
        for (unsigned i = 0; i < 3; i++)
            gets(&c[i], "puback");
    }
    tmb_hold_free(hold);
    for (unsigned i = 0; i < 3; i++)
        close_one(&c[i]);
}

/* The broker waits to write the rest: it may only be held when that is over. */
static void a_socket_that_has_refused_something_is_not_held_for_a_while(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    tmb_hold *hold = make(0);
    client c = connect_one();
    assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
    answer(&c, "x");
    tmb_hold_release(hold, A_STREAM);
    gets(&c, "x");
    assert_true(tmb_hold_note(hold, &c, sizeof bytes)); /* it is sent messages */
    size_t sent = 0, got = 0;
    ssize_t n;
    while ((n = write(c.sock, bytes, sizeof bytes)) > 0)
        sent += (size_t)n;
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(take(hold, &c), TMB_HOLD_UNFIT);
    while (got < sent && (n = recv(c.peer, bytes, sizeof bytes, 0)) > 0)
        got += (size_t)n;
    assert_int_equal(got, sent);
    unsigned ticks = 0;
    while (take(hold, &c) == TMB_HOLD_UNFIT && ++ticks < 1000)
        tmb_hold_tick(hold, (tmb_mono){0});
    assert_in_range(ticks, 2, 999);
    answer(&c, "x");
    tmb_hold_release(hold, A_STREAM);
    gets(&c, "x");
    tmb_hold_free(hold);
    close_one(&c);
}

/* Nor one that was told nothing but answers, and reads them all just before its next message. */
static void a_publisher_that_did_not_read_its_answers_is_not_held_either(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    tmb_hold *hold = make(0);
    client c = connect_one();
    assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
    answer(&c, "x");
    tmb_hold_release(hold, A_STREAM);
    gets(&c, "x");
    size_t sent = 0, got = 0;
    ssize_t n;
    while ((n = write(c.sock, bytes, sizeof bytes)) > 0)
        sent += (size_t)n;
    assert_int_equal(errno, EAGAIN);
    while (got < sent && (n = recv(c.peer, bytes, sizeof bytes, 0)) > 0)
        got += (size_t)n;
    assert_int_equal(got, sent);
    assert_int_equal(take(hold, &c), TMB_HOLD_UNFIT);
    tmb_hold_free(hold);
    close_one(&c);
}

static void a_number_that_is_another_file_by_now_is_not_touched(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client c = connect_one();
    assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
    answer(&c, "puback");
    close(c.sock);
    int other = open("/dev/null", O_WRONLY);
    assert_int_equal(other, c.sock);
    tmb_hold_release(hold, A_STREAM);
    assert_int_equal(tmb_hold_counts_get(hold)->astray, 1);
    assert_int_equal(write(other, "x", 1), 1);
    sees_the_end(&c);
    close(other);
    close(c.peer);
    c = connect_one(); /* at the same address */
    assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
    answer(&c, "puback");
    tmb_hold_release(hold, A_STREAM);
    gets(&c, "puback");
    tmb_hold_free(hold);
    close_one(&c);
}

static void who_leaves_gets_what_is_good_and_nothing_else(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client good = connect_one(), bad = connect_one();
    assert_int_equal(take(hold, &good), TMB_HOLD_TAKEN);
    assert_int_equal(take(hold, &bad), TMB_HOLD_TAKEN);
    answer(&good, "puback");
    answer(&bad, "puback");
    tmb_hold_leave(hold, &good, true);
    tmb_hold_leave(hold, &bad, false);
    close(good.sock);
    close(bad.sock);
    gets(&good, "puback");
    sees_the_end(&good);
    sees_the_end(&bad);
    assert_int_equal(tmb_hold_count(hold), 0);
    tmb_hold_free(hold);
    close(good.peer);
    close(bad.peer);
}

/* Its SUBACK would be a lie: whoever takes its session over may find the subscription forgotten. */
static void who_leaves_while_held_for_a_subscription_gets_nothing(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client c = connect_one();
    assert_false(tmb_hold_has(hold, SUBSCRIBE));
    assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
    assert_false(tmb_hold_has(hold, SUBSCRIBE));
    assert_int_equal(tmb_hold_take(hold, &c, HERE, SUBSCRIBE), TMB_HOLD_TAKEN);
    assert_true(tmb_hold_has(hold, SUBSCRIBE));
    answer(&c, "puback, suback");
    tmb_hold_leave(hold, &c, true);
    assert_int_equal(tmb_hold_count(hold), 0);
    close(c.sock);
    sees_the_end(&c);
    tmb_hold_free(hold);
    close(c.peer);
}

static void more_than_a_pair_holds_is_cut(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client c = connect_one();
    tmb_hold_tick(hold, (tmb_mono){1});
    assert_int_equal(tmb_hold_take(hold, &c, HERE, SUBSCRIBE), TMB_HOLD_TAKEN);
    while (write(c.sock, "message", 7) > 0)
        ;
    assert_int_equal(errno, EAGAIN);
    tmb_hold_release(hold, SUBSCRIBE);
    sees_the_end(&c);
    assert_int_equal(tmb_hold_counts_get(hold)->cut, 1);
    tmb_hold_leave(hold, &c, true);
    client again = connect_one();
    assert_int_equal(tmb_hold_take(hold, &again, HERE, SUBSCRIBE), TMB_HOLD_UNFIT);
    client other = connect_from(INADDR_LOOPBACK + 1); /* nor is anybody elsewhere */
    assert_int_equal(tmb_hold_take(hold, &other, "127.0.0.2", SUBSCRIBE), TMB_HOLD_TAKEN);
    assert_int_equal(take(hold, &again), TMB_HOLD_TAKEN); /* publishers are not concerned */
    answer(&again, "puback");
    tmb_hold_release(hold, A_STREAM);
    tmb_hold_tick(hold, (tmb_mono){(TMB_HOLD_PAUSE_MS + 1) * INT64_C(1000000)});
    assert_int_equal(tmb_hold_take(hold, &again, HERE, SUBSCRIBE), TMB_HOLD_TAKEN);
    tmb_hold_free(hold);
    close_one(&c);
    close_one(&again);
    close_one(&other);
}

/* A packet with very many topics: their answers do not fit, and it is not held for the last of them again. */
static void more_topics_than_fit_are_answered_at_once_and_nobody_is_cut(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client c = connect_one();
    unsigned topics = 1, taken = 1;
    assert_int_equal(tmb_hold_take(hold, &c, HERE, SUBSCRIBE), TMB_HOLD_TAKEN);
    for (; tmb_hold_note_more(hold, &c, 4); topics++)
        taken += tmb_hold_take(hold, &c, HERE, SUBSCRIBE) == TMB_HOLD_TAKEN;
    assert_in_range(topics, 1000, TMB_HOLD_BYTES_MAX);
    assert_in_range(taken, 1000, topics);
    assert_int_equal(tmb_hold_release_early(hold, &c, SUBSCRIBE), 1);
    assert_int_equal(tmb_hold_take(hold, &c, HERE, SUBSCRIBE), TMB_HOLD_UNFIT);
    answer(&c, "suback");
    gets(&c, "suback");
    tmb_hold_tick(hold, (tmb_mono){1});
    assert_int_equal(tmb_hold_take(hold, &c, HERE, SUBSCRIBE), TMB_HOLD_TAKEN);
    assert_int_equal(tmb_hold_counts_get(hold)->cut, 0);
    tmb_hold_free(hold);
    close_one(&c);
}

static void what_the_socket_does_not_take_whole_is_cut(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    tmb_hold *hold = make(0);
    client c = connect_one();
    int same = dup(c.sock);
    assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
    answer(&c, "puback");
    while (write(same, bytes, sizeof bytes) > 0)
        ;
    tmb_hold_release(hold, A_STREAM);
    assert_int_equal(tmb_hold_counts_get(hold)->cut, 1);
    close(same);
    tmb_hold_free(hold);
    close_one(&c);
}

static void a_subscriber_that_sends_is_released(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client quiet = connect_one(), loud = connect_one();
    assert_int_equal(tmb_hold_take(hold, &quiet, HERE, SUBSCRIBE), TMB_HOLD_TAKEN);
    assert_int_equal(tmb_hold_take(hold, &loud, HERE, SUBSCRIBE), TMB_HOLD_TAKEN);
    answer(&quiet, "suback");
    answer(&loud, "suback");
    tmb_hold_release(hold, A_STREAM); /* not its reason */
    assert_int_equal(tmb_hold_release_readable(hold, SUBSCRIBE), 0);
    assert_int_equal(send(loud.peer, "x", 1, 0), 1);
    unsigned count = 0;
    for (int i = 0; i < 100000 && count == 0; i++)
        count = tmb_hold_release_readable(hold, SUBSCRIBE);
    assert_int_equal(count, 1);
    gets(&loud, "suback");
    gets_nothing(&quiet);
    tmb_hold_release(hold, SUBSCRIBE);
    gets(&quiet, "suback");
    tmb_hold_free(hold);
    close_one(&quiet);
    close_one(&loud);
}

static void without_descriptors_nobody_is_held(void **state)
{
    (void)state;
    struct rlimit before, less;
    tmb_hold *hold = make(0);
    client c = connect_one();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    less = before;
    for (int most = dup(0), i = 0; i < 3; i++) {
        less.rlim_cur = (rlim_t)(most + i); /* none; the two of a pair; and one more is wanted */
        close(most);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
        assert_int_equal(take(hold, &c), TMB_HOLD_UNFIT);
        answer(&c, "x");
        gets(&c, "x");
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
    tmb_hold_free(hold);
    close_one(&c);
}

/* Held once and released: then it is known for a publisher of plain MQTT, which may linger. */
static void become_plain(tmb_hold *hold, const client *c)
{
    assert_int_equal(take(hold, c), TMB_HOLD_TAKEN);
    answer(c, "@first");
    tmb_hold_release(hold, A_STREAM);
    gets(c, "@first");
}

static void send_more(const client *c)
{
    assert_int_equal(send(c->peer, "x", 1, 0), 1);
}

static bool lingers(tmb_hold *hold)
{
    bool does = false;
    for (int i = 0; i < 100000 && !does; i++) /* what was sent takes its time */
        does = tmb_hold_linger(hold);
    return does;
}

static void acks_linger_while_more_is_read(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client a = connect_one(), b = connect_one();
    become_plain(hold, &a);
    become_plain(hold, &b);
    assert_int_equal(take(hold, &a), TMB_HOLD_TAKEN);
    assert_int_equal(take(hold, &b), TMB_HOLD_TAKEN);
    answer(&a, "@one");
    answer(&b, "@one");
    assert_false(tmb_hold_linger(hold)); /* nobody has sent more */
    send_more(&a);                       /* half of them have */
    assert_true(lingers(hold));
    assert_true(tmb_hold_is_held(hold, &a));
    reads_one(&a);
    gets_nothing(&a);
    answer(&a, "pingresp"); /* overtakes */
    gets(&a, "pingresp");
    assert_int_equal(take(hold, &a), TMB_HOLD_TAKEN);
    answer(&a, "@two");
    gets_nothing(&a);
    gets_nothing(&b);
    tmb_hold_release(hold, A_STREAM);
    gets(&a, "@one@two");
    gets(&b, "@one");
    assert_int_equal(tmb_hold_count(hold), 0);
    assert_int_equal(tmb_hold_counts_get(hold)->breaches, 0);
    tmb_hold_free(hold);
    close_one(&a);
    close_one(&b);
}

static void what_lingers_is_cut_left_lost_and_counted_like_what_is_held(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client c[5];
    for (int i = 0; i < 5; i++) {
        c[i] = connect_one();
        become_plain(hold, &c[i]);
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tmb_hold_take(hold, &c[i], HERE, i == 0 ? 2 : A_STREAM), TMB_HOLD_TAKEN);
        answer(&c[i], "@one");
        send_more(&c[i]);
    }
    assert_true(lingers(hold));
    for (int i = 0; i < 5; i++)
        reads_one(&c[i]);
    tmb_hold_cut(hold, 2);
    sees_the_end(&c[0]);
    tmb_hold_leave(hold, &c[1], true);
    gets(&c[1], "@one");
    tmb_hold_leave(hold, &c[2], false);
    gets_nothing(&c[2]);
    int other = open("/dev/null", O_WRONLY);
    assert_int_equal(dup2(other, c[3].sock), c[3].sock);
    assert_int_equal(take(hold, &c[4]), TMB_HOLD_TAKEN); /* and its answer goes elsewhere */
    tmb_hold_release(hold, A_STREAM);
    sees_the_end(&c[3]);
    gets(&c[4], "@one");
    const tmb_hold_counts *counts = tmb_hold_counts_get(hold);
    assert_int_equal(counts->cut, 1);
    assert_int_equal(counts->astray, 1);
    assert_int_equal(counts->breaches, 1);
    assert_int_equal(tmb_hold_count(hold), 0);
    tmb_hold_free(hold);
    close(other);
    for (int i = 0; i < 5; i++)
        close_one(&c[i]);
}

/* The broker may stand in the middle of a packet: acks must not be put there. */
static void who_lingers_and_is_flooded_is_cut(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    for (int is_taken_again = 0; is_taken_again < 2; is_taken_again++) {
        tmb_hold *hold = make(0);
        client c = connect_one();
        size_t sent = 0, got = 0;
        ssize_t n;
        become_plain(hold, &c);
        assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
        answer(&c, "@one");
        send_more(&c);
        assert_true(lingers(hold));
        memset(bytes, 'm', sizeof bytes);
        while ((n = write(c.sock, bytes, sizeof bytes)) > 0)
            sent += (size_t)n;
        if (is_taken_again) { /* and what was refused has room by then */
            while (got < sent && (n = recv(c.peer, bytes, sizeof bytes, 0)) > 0)
                got += (size_t)n;
            assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
            answer(&c, "@two");
        }
        tmb_hold_release(hold, A_STREAM);
        assert_int_equal(tmb_hold_counts_get(hold)->cut, 1);
        while ((n = recv(c.peer, bytes, sizeof bytes, 0)) > 0)
            assert_null(memchr(bytes, '@', (size_t)n));
        tmb_hold_free(hold);
        close_one(&c);
    }
}

static void who_lingers_is_released_before_a_message_is_written(void **state)
{
    (void)state;
    tmb_hold *hold = make(0);
    client c = connect_one();
    become_plain(hold, &c);
    assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
    answer(&c, "@one");
    send_more(&c);
    assert_true(lingers(hold));
    assert_false(tmb_hold_note(hold, &c, 1));
    assert_int_equal(tmb_hold_release_early(hold, &c, SUBSCRIBE), 0);
    answer(&c, "message");
    gets(&c, "@onemessage");
    tmb_hold_free(hold);
    close_one(&c);
}

static void only_plain_publishers_linger(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        tmb_hold *hold = make(0);
        client c = connect_one();
        if (kind == 0) { /* a record of TLS */
            assert_int_equal(take(hold, &c), TMB_HOLD_TAKEN);
            answer(&c, "\x17\x03\x03..");
            tmb_hold_release(hold, A_STREAM);
            gets(&c, "\x17\x03\x03..");
        } else {
            become_plain(hold, &c);
        }
        if (kind == 1)
            assert_true(tmb_hold_note(hold, &c, 1));
        assert_int_equal(tmb_hold_take(hold, &c, HERE, kind == 2 ? SUBSCRIBE : A_STREAM),
                         TMB_HOLD_TAKEN);
        answer(&c, "@one");
        send_more(&c);
        for (int i = 0; i < 1000; i++)
            assert_false(tmb_hold_linger(hold));
        tmb_hold_release(hold, A_STREAM | SUBSCRIBE);
        gets(&c, "@one");
        tmb_hold_free(hold);
        close_one(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_waits_and_the_socket_is_what_it_was),
        cmocka_unit_test(an_epoll_that_knows_the_number_goes_on_knowing_the_socket),
        cmocka_unit_test(cut_means_never_sent),
        cmocka_unit_test(an_answer_that_goes_past_is_seen),
        cmocka_unit_test(what_is_no_plain_tcp_client_is_left_alone),
        cmocka_unit_test(says_when_there_is_no_room_for_more),
        cmocka_unit_test(holds_no_more_than_its_limit_and_then_whoever_comes),
        cmocka_unit_test(a_socket_that_has_refused_something_is_not_held_for_a_while),
        cmocka_unit_test(a_publisher_that_did_not_read_its_answers_is_not_held_either),
        cmocka_unit_test(a_number_that_is_another_file_by_now_is_not_touched),
        cmocka_unit_test(who_leaves_gets_what_is_good_and_nothing_else),
        cmocka_unit_test(who_leaves_while_held_for_a_subscription_gets_nothing),
        cmocka_unit_test(more_than_a_pair_holds_is_cut),
        cmocka_unit_test(more_topics_than_fit_are_answered_at_once_and_nobody_is_cut),
        cmocka_unit_test(what_the_socket_does_not_take_whole_is_cut),
        cmocka_unit_test(a_subscriber_that_sends_is_released),
        cmocka_unit_test(without_descriptors_nobody_is_held),
        cmocka_unit_test(acks_linger_while_more_is_read),
        cmocka_unit_test(what_lingers_is_cut_left_lost_and_counted_like_what_is_held),
        cmocka_unit_test(who_lingers_and_is_flooded_is_cut),
        cmocka_unit_test(who_lingers_is_released_before_a_message_is_written),
        cmocka_unit_test(only_plain_publishers_linger),
    };
    return cmocka_run_group_tests_name("broker-plugin.hold", tests, NULL, NULL);
}
