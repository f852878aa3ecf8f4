// SPDX-License-Identifier: Apache-2.0
/* tests/unit/link/test_link.c - the link against a real Mosquitto over TLS, and against peers that are not
 * what they should be: another certificate, another CA, TLS 1.2, nobody, one that accepts and says nothing,
 * one that is stopped.
 *
 * argv[1]: the broker. It listens on a free port of loopback, in a folder of its own.
 */
#define _DEFAULT_SOURCE
#include "syncd/link/link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define BURST 200

extern char **environ;
static const char *mosquitto_path;
static char folder[64];
static unsigned port;
static pid_t broker;
static uv_loop_t loop;

typedef struct seen {
    tmb_link *link;
    bool is_up, is_down, stop_at_up;
    char why[768];
    unsigned messages, retained, published, wanted_messages, wanted_published;
    size_t last_len;
    uint32_t last_sum;
    unsigned worst_reason;
} seen;

/* Ends of pipes that programs write to: closed at the end, so that none of them meets a closed pipe. */
static int open_ends[16];
static unsigned open_count;

static void keep_open(int fd)
{
    assert_true(open_count < sizeof open_ends / sizeof open_ends[0]);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    open_ends[open_count++] = fd;
}

/* Programs that run: a test that fails in their midst leaves them to the teardown. */
static pid_t running[16];

static void note_running(pid_t pid, bool is_running)
{
    for (size_t i = 0; i < sizeof running / sizeof running[0]; i++) {
        if (running[i] == (is_running ? 0 : pid)) {
            running[i] = is_running ? pid : 0;
            return;
        }
    }
    assert_false(is_running);
}

/* start runs a program and waits until it says word; what it says later stays in the pipe. */
static pid_t start(char *const argv[], const char *word)
{
    pid_t pid = -1;
    int said[2];
    char text[4096] = "";
    size_t len = 0;
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe(said), 0);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, said[1], 1);
    (void)posix_spawn_file_actions_adddup2(&actions, said[1], 2);
    (void)posix_spawn_file_actions_addclose(&actions, said[0]);
    assert_int_equal(posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ), 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    note_running(pid, true);
    (void)close(said[1]);
    while (!strstr(text, word) && len < sizeof text - 1) {
        ssize_t n = read(said[0], text + len, sizeof text - 1 - len);
        if (n <= 0)
            print_error("%s ended: %s\n", argv[0], text);
        assert_true(n > 0);
        len += (size_t)n;
        text[len] = 0;
    }
    keep_open(said[0]);
    return pid;
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGCONT);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    note_running(pid, false);
}

/* A bound socket on a free port; listening if asked. Not one of those that outgoing connections get: one of
 * these could have it when a broker is to listen there. */
static int bind_free_port(unsigned *ret_port, bool is_listening)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    do
        *ret_port = 12000 + (unsigned)random() % 20000;
    while (at.sin_port = htons((uint16_t)*ret_port),
           bind(fd, (struct sockaddr *)&at, sizeof at) != 0);
    if (is_listening)
        assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static void make_certificates(void)
{
    char command[2600];
    (void)snprintf(
        command, sizeof command,
        "cd '%s' && exec >/dev/null 2>&1\n"
        "new() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }\n"
        "ca() { new $1; openssl req -x509 -new -key $1.key -subj /CN=$1 -days 2 -out $1.crt; }\n"
        "leaf() { new $2; printf 'subjectAltName=%%s\\n' \"$3\" >$2.ext\n"
        "  openssl req -new -key $2.key -subj /CN=$2 | openssl x509 -req -CA $1.crt -CAkey $1.key "
        "-CAcreateserial -days 2 -extfile $2.ext -out $2.crt; }\n"
        "ca ca && ca other && leaf ca server IP:127.0.0.1,DNS:localhost &&\n"
        "leaf ca wrong DNS:elsewhere.example && leaf ca client URI:spiffe://t/site/s1 &&\n"
        "leaf other stranger URI:spiffe://t/site/s1 && chmod 0644 *.key\n",
        folder);
    assert_int_equal(system(command), 0);
}

static pid_t start_broker(const char *certificate, unsigned *ret_port)
{
    char conf[128], text[1024];
    int fd = bind_free_port(ret_port, false);
    (void)close(fd);
    (void)snprintf(conf, sizeof conf, "%s/%s.conf", folder, certificate);
    (void)snprintf(text, sizeof text,
                   "listener %u 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n"
                   "cafile %s/ca.crt\ncertfile %s/%s.crt\nkeyfile %s/%s.key\n"
                   "require_certificate true\nset_tcp_nodelay true\n%s",
                   *ret_port, folder, folder, certificate, folder, certificate,
                   getuid() == 0 ? "user root\n" : "");
    FILE *out = fopen(conf, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    char *argv[] = {(char *)(uintptr_t)mosquitto_path, "-c", conf, NULL};
    return start(argv, "running");
}

static uint32_t sum_of(tmb_bytes b)
{
    uint32_t sum = 1;
    for (size_t i = 0; i < b.len; i++)
        sum = sum * 31 + b.ptr[i];
    return sum;
}

static void stop_if_done(seen *s)
{
    if (s->is_down || (s->stop_at_up && s->is_up) ||
        (s->is_up && !s->stop_at_up && s->messages >= s->wanted_messages &&
         s->published >= s->wanted_published && s->wanted_messages + s->wanted_published > 0))
        uv_stop(&loop);
}

static void on_up(void *arg)
{
    seen *s = arg;
    s->is_up = true;
    stop_if_done(s);
}

static void on_down(void *arg, const char *why)
{
    seen *s = arg;
    assert_false(s->is_down);
    s->is_down = true;
    (void)snprintf(s->why, sizeof s->why, "%s", why);
    stop_if_done(s);
}

static void on_message(void *arg, const char *topic, tmb_bytes payload)
{
    seen *s = arg;
    assert_non_null(strstr(topic, "t/"));
    s->messages++;
    s->retained += tmb_link_is_retained(s->link);
    s->last_len = payload.len;
    s->last_sum = sum_of(payload);
    stop_if_done(s);
}

static void on_published(void *arg, int id, unsigned reason_code)
{
    seen *s = arg;
    assert_true(id > 0);
    s->published++;
    if (reason_code > s->worst_reason)
        s->worst_reason = reason_code;
    stop_if_done(s);
}

static char file_names[3][128];

static tmb_link_options options_for(seen *s, const char *host, unsigned to_port, const char *who)
{
    static const char *const filters[] = {"t/up/+", "t/down/s1"};
    const char *ca = strcmp(who, "distrustful") == 0 ? "other" : "ca";
    who = strcmp(who, "distrustful") == 0 ? "client" : who;
    (void)snprintf(file_names[0], sizeof file_names[0], "%s/%s.crt", folder, ca);
    (void)snprintf(file_names[1], sizeof file_names[1], "%s/%s.crt", folder, who);
    (void)snprintf(file_names[2], sizeof file_names[2], "%s/%s.key", folder, who);
    tmb_link_options options = {
        .loop = &loop,
        .host = host,
        .port = to_port,
        .client_id = "tombolo-s1",
        .ca_file = file_names[0],
        .cert_file = file_names[1],
        .key_file = file_names[2],
        .keepalive_s = 10,
        .subscribe = filters,
        .subscribe_count = 2,
        .connect_timeout_ms = 5000,
        .arg = s,
        .up = on_up,
        .down = on_down,
        .message = on_message,
        .published = on_published,
    };
    return options;
}

static void open_link(seen *s, const tmb_link_options *options)
{
    char text[400] = "";
    tmb_err err = tmb_link_open(options, &s->link, text, sizeof text);
    if (err != TMB_OK)
        print_error("%s\n", text);
    assert_int_equal(err, TMB_OK);
}

static void close_link(seen *s)
{
    tmb_link_close(s->link);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_alive(&loop), 0);
}

static void connect_up(seen *s, const char *host)
{
    tmb_link_options options = options_for(s, host, port, "client");
    s->stop_at_up = true;
    open_link(s, &options);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    s->stop_at_up = false;
    if (!s->is_up)
        print_error("down: %s\n", s->why);
    assert_true(s->is_up);
}

static void test_messages_both_ways(void **state)
{
    (void)state;
    seen s = {.wanted_messages = 2 * BURST, .wanted_published = BURST};
    connect_up(&s, "127.0.0.1");
    bool ids[65536] = {false};
    for (int i = 0; i < BURST; i++) {
        int id = 0;
        assert_int_equal(tmb_link_publish(s.link, "t/up/s1", tmb_bytes_str("x"), &id), TMB_OK);
        assert_true(id > 0 && !ids[id]);
        ids[id] = true;
        assert_int_equal(tmb_link_send(s.link, "t/down/s1", tmb_bytes_str("y")), TMB_OK);
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_false(s.is_down);
    assert_int_equal(s.messages, 2 * BURST);
    assert_int_equal(s.published, BURST);
    assert_int_equal(s.worst_reason, 0);
    uint64_t out = 0, in = 0;
    tmb_link_bytes(s.link, &out, &in);
    assert_true(out > BURST * 2 && in > BURST * 2);
    uint64_t bytes = 0, messages = 0;
    tmb_link_taken(s.link, &bytes, &messages);
    assert_int_equal(messages, BURST); /* those of QoS 1 do not count */
    assert_true(bytes > BURST * 2 && bytes <= out);
    close_link(&s);
}

static void test_name_is_resolved_and_checked(void **state)
{
    (void)state;
    seen s = {.is_up = false};
    connect_up(&s, "localhost"); /* may resolve to ::1 first, where nobody listens */
    close_link(&s);
}

static void test_nobody_subscribed_is_said(void **state)
{
    (void)state;
    seen s = {.wanted_published = 1};
    connect_up(&s, "127.0.0.1");
    int id = 0;
    assert_int_equal(tmb_link_publish(s.link, "nobody/here", tmb_bytes_str("x"), &id), TMB_OK);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(s.worst_reason, 0x10);
    close_link(&s);
}

static void test_large_and_empty_payloads(void **state)
{
    (void)state;
    size_t len = 8u * 1024 * 1024;
    uint8_t *large = malloc(len);
    assert_non_null(large);
    for (size_t i = 0; i < len; i++)
        large[i] = (uint8_t)(i * 7 + i / 251);
    seen s = {.wanted_messages = 1};
    connect_up(&s, "127.0.0.1");
    assert_int_equal(tmb_link_send(s.link, "t/up/s1", tmb_bytes_of(large, len)), TMB_OK);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_false(s.is_down);
    assert_int_equal(s.last_len, len);
    assert_int_equal(s.last_sum, sum_of(tmb_bytes_of(large, len)));
    s.wanted_messages = 2;
    assert_int_equal(tmb_link_send(s.link, "t/up/s1", tmb_bytes_of(NULL, 0)), TMB_OK);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(s.last_len, 0);
    close_link(&s);
    free(large);
}

/* What another client finds retained, with its properties. */
static void read_retained(char *out, size_t cap)
{
    char command[900];
    (void)snprintf(command, sizeof command,
                   "mosquitto_sub -V mqttv5 -h 127.0.0.1 -p %u --cafile %s/ca.crt --cert "
                   "%s/client.crt --key %s/client.key -t t/up/kept -C 1 -W 5 -F "
                   "'%%r|%%P|%%C|%%D|%%F|%%p' 2>&1",
                   port, folder, folder, folder);
    FILE *from = popen(command, "re");
    assert_non_null(from);
    if (!fgets(out, (int)cap, from))
        out[0] = 0;
    (void)pclose(from);
}

static void test_message_with_properties_is_retained(void **state)
{
    (void)state;
    static const tmb_link_property properties[] = {{"tombolo-token", "AbC="}, {"other", "x y"}};
    tmb_link_message message = {.topic = "t/up/kept",
                                .payload = tmb_bytes_str("{\"v\":1}"),
                                .is_retained = true,
                                .is_utf8 = true,
                                .content_type = "application/json",
                                .correlation = tmb_bytes_str("call 7"),
                                .properties_count = 2,
                                .properties = properties};
    char found[400];
    int id = 0;
    seen s = {.wanted_published = 1};
    assert_int_equal(setenv("LC_ALL", "C.UTF-8", 1), 0);
    connect_up(&s, "127.0.0.1");
    assert_int_equal(tmb_link_publish_message(s.link, &message, &id), TMB_OK);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(s.worst_reason, 0);
    read_retained(found, sizeof found);
    assert_string_equal(found,
                        "1|tombolo-token:AbC= other:x y|application/json|call 7|1|{\"v\":1}\n");
    message.payload = tmb_bytes_of(NULL, 0); /* it goes */
    s.wanted_published = 2;
    assert_int_equal(tmb_link_publish_message(s.link, &message, &id), TMB_OK);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    close_link(&s);
    s = (seen){.wanted_messages = 1};
    connect_up(&s, "127.0.0.1");
    assert_int_equal(tmb_link_send(s.link, "t/up/s1", tmb_bytes_str("marker")), TMB_OK);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(s.last_len, strlen("marker"));
    assert_int_equal(s.messages, 1);
    close_link(&s);
}

static void test_what_is_kept_is_told_from_what_is_said_now(void **state)
{
    (void)state;
    seen s = {.wanted_messages = 1};
    connect_up(&s, "127.0.0.1");
    assert_int_equal(tmb_link_retain(s.link, "t/up/kept", tmb_bytes_str("x")), TMB_OK);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(s.retained, 0);
    close_link(&s);
    s = (seen){.wanted_messages = 2};
    connect_up(&s, "127.0.0.1");
    assert_int_equal(tmb_link_retain(s.link, "t/up/kept", tmb_bytes_of(NULL, 0)), TMB_OK);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(s.messages, 2); /* as it was kept, and its end */
    assert_int_equal(s.retained, 1);
    close_link(&s);
}

/* or_words: what else may be said, when the reset overtakes the alert. */
static void expect_down_or(const char *host, unsigned to_port, const char *who, const char *words,
                           const char *or_words)
{
    seen s = {.is_up = false};
    tmb_link_options options = options_for(&s, host, to_port, who);
    open_link(&s, &options);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(s.is_down);
    assert_false(s.is_up);
    if (!strstr(s.why, words) && !strstr(s.why, or_words))
        print_error("said \"%s\", wanted \"%s\"\n", s.why, words);
    assert_true(strstr(s.why, words) || strstr(s.why, or_words));
    assert_int_equal(tmb_link_send(s.link, "t/up/s1", tmb_bytes_str("x")), TMB_ECLOSED);
    close_link(&s);
}

static void expect_down(const char *host, unsigned to_port, const char *who, const char *words)
{
    expect_down_or(host, to_port, who, words, words);
}

static void test_wrong_name_is_refused(void **state)
{
    (void)state;
    unsigned wrong_port = 0;
    pid_t wrong = start_broker("wrong", &wrong_port);
    expect_down("127.0.0.1", wrong_port, "client", "IP address mismatch");
    expect_down("localhost", wrong_port, "client", "hostname mismatch");
    end(wrong);
}

static void test_other_ca_is_refused_both_ways(void **state)
{
    (void)state;
    expect_down("127.0.0.1", port, "distrustful", "certificate is refused");
    expect_down_or("127.0.0.1", port, "stranger", "unknown ca", "hung up before it answered");
}

static void test_tls_1_2_is_refused(void **state)
{
    (void)state;
    unsigned old_port = 0;
    char at[32], cert[128], key[128];
    (void)close(bind_free_port(&old_port, false));
    (void)snprintf(at, sizeof at, "127.0.0.1:%u", old_port);
    (void)snprintf(cert, sizeof cert, "%s/server.crt", folder);
    (void)snprintf(key, sizeof key, "%s/server.key", folder);
    char *argv[] = {"openssl", "s_server", "-accept", at,     "-tls1_2", "-cert",
                    cert,      "-key",     key,       "-www", NULL};
    pid_t old = start(argv, "ACCEPT");
    expect_down("127.0.0.1", old_port, "client", "protocol version");
    end(old);
}

static void test_nobody_there(void **state)
{
    (void)state;
    unsigned closed_port = 0;
    int fd = bind_free_port(&closed_port, false);
    expect_down("127.0.0.1", closed_port, "client", "refused");
    (void)close(fd);
    expect_down("no-such-host.invalid", port, "client", "resolve");
}

static uint64_t turns;
static struct {
    uv_mutex_t lock;
    uv_cond_t ended;
    bool is_ended;
    unsigned count;
} beats; /* the same beside the loop: what this machine lets anybody do */

static void count_turn(uv_timer_t *timer)
{
    (void)timer;
    turns++;
}

static void beat(void *arg)
{
    (void)arg;
    uv_mutex_lock(&beats.lock);
    for (; !beats.is_ended; beats.count++)
        (void)uv_cond_timedwait(&beats.ended, &beats.lock, UINT64_C(10000000));
    uv_mutex_unlock(&beats.lock);
}

static void begin_beats(uv_thread_t *ret_thread)
{
    assert_int_equal(uv_mutex_init(&beats.lock), 0);
    assert_int_equal(uv_cond_init(&beats.ended), 0);
    assert_int_equal(uv_thread_create(ret_thread, beat, NULL), 0);
}

static unsigned end_beats(uv_thread_t *thread)
{
    uv_mutex_lock(&beats.lock);
    beats.is_ended = true;
    uv_cond_signal(&beats.ended);
    uv_mutex_unlock(&beats.lock);
    assert_int_equal(uv_thread_join(thread), 0);
    uv_cond_destroy(&beats.ended);
    uv_mutex_destroy(&beats.lock);
    return beats.count;
}

/* A peer that accepts and says nothing: the time-out is kept, and the loop goes on turning meanwhile. */
static void test_silent_peer_times_out_without_blocking(void **state)
{
    (void)state;
    unsigned silent_port = 0;
    int fd = bind_free_port(&silent_port, true);
    seen s = {.is_up = false};
    tmb_link_options options = options_for(&s, "127.0.0.1", silent_port, "client");
    options.connect_timeout_ms = 700;
    uv_timer_t timer;
    uv_thread_t beater;
    (void)uv_timer_init(&loop, &timer);
    turns = 0;
    (void)uv_timer_start(&timer, count_turn, 10, 10);
    begin_beats(&beater);
    uint64_t began_ms = uv_now(&loop);
    open_link(&s, &options);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    uint64_t took_ms = uv_now(&loop) - began_ms;
    unsigned beaten = end_beats(&beater);
    assert_true(s.is_down);
    assert_non_null(strstr(s.why, "time-out"));
    assert_true(took_ms >= 650 && took_ms < 8000); /* by keepalive: ten seconds */
    print_message("%u turns, %u beats\n", (unsigned)turns, beaten);
    assert_true(turns > 0 && turns > beaten / 4);
    uv_close((uv_handle_t *)&timer, NULL);
    close_link(&s);
    (void)close(fd);
}

/* A stopped broker is a half-open line: the kernel answers, nobody else does. */
static void test_stopped_broker_is_noticed(void **state)
{
    (void)state;
    seen s = {.is_up = false};
    connect_up(&s, "127.0.0.1");
    assert_int_equal(kill(broker, SIGSTOP), 0);
    uint64_t began_ms = uv_now(&loop);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    uint64_t took_ms = uv_now(&loop) - began_ms;
    assert_int_equal(kill(broker, SIGCONT), 0);
    assert_true(s.is_down);
    print_message("noticed after %llu ms: %s\n", (unsigned long long)took_ms, s.why);
    assert_true(took_ms > 4000 && took_ms < 15000);
    close_link(&s);
}

static void stop_loop(uv_timer_t *timer)
{
    uv_stop(&loop);
    (void)timer;
}

static void run_for(uint64_t ms)
{
    uv_timer_t timer;
    (void)uv_timer_init(&loop, &timer);
    (void)uv_timer_start(&timer, stop_loop, ms, 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
}

/* What the other host has taken when that has not changed for a while, however slow this one is. */
static uint64_t wait_taken(seen *s)
{
    uint64_t bytes = 0, before = 0, messages;
    for (unsigned same = 0; same < 5; before = bytes) {
        run_for(100);
        tmb_link_taken(s->link, &bytes, &messages);
        same = bytes == before ? same + 1 : 0;
    }
    return bytes;
}

/* Taken is what the other host has acknowledged: not what waits here, and no message before its last byte. */
static void test_taken_stands_when_the_peer_does(void **state)
{
    (void)state;
    size_t len = 8u * 1024 * 1024;
    uint8_t *large = calloc(1, len);
    assert_non_null(large);
    seen s = {.wanted_messages = 1};
    uint64_t bytes[3] = {0}, messages = 99;
    tmb_link_options options = options_for(&s, "127.0.0.1", port, "client");
    open_link(&s, &options);
    tmb_link_taken(s.link, &bytes[0], &messages);
    assert_true(bytes[0] == 0 && messages == 0); /* not up */
    close_link(&s);
    connect_up(&s, "127.0.0.1");
    assert_int_equal(tmb_link_send(s.link, "t/up/s1", tmb_bytes_str("x")), TMB_OK);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    tmb_link_taken(s.link, &bytes[0], &messages);
    assert_int_equal(messages, 1);
    assert_int_equal(kill(broker, SIGSTOP), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tmb_link_send(s.link, "t/up/s1", tmb_bytes_of(large, len)), TMB_OK);
    bytes[1] = wait_taken(&s);
    run_for(500);
    tmb_link_taken(s.link, &bytes[2], &messages);
    assert_int_equal(kill(broker, SIGCONT), 0);
    assert_int_equal(messages, 1);
    assert_true(bytes[0] < bytes[1] && bytes[1] == bytes[2] && bytes[2] < len);
    s.wanted_messages = 3;
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_false(s.is_down);
    tmb_link_taken(s.link, &bytes[0], &messages);
    assert_int_equal(messages, 3);
    assert_true(bytes[0] > 2 * len);
    close_link(&s);
    free(large);
}

static void test_killed_broker_is_noticed_at_once(void **state)
{
    (void)state;
    unsigned own_port = 0;
    pid_t own = start_broker("server", &own_port);
    seen s = {.stop_at_up = true};
    tmb_link_options options = options_for(&s, "127.0.0.1", own_port, "client");
    open_link(&s, &options);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(s.is_up);
    s.stop_at_up = false;
    uint64_t began_ms = uv_now(&loop);
    end(own);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(s.is_down);
    assert_true(uv_now(&loop) - began_ms < 5000); /* by keepalive: ten seconds */
    close_link(&s);
}

static void test_wrong_files_are_named(void **state)
{
    (void)state;
    seen s = {.is_up = false};
    char text[400] = "";
    tmb_link_options options = options_for(&s, "127.0.0.1", port, "client");
    options.key_file = "/nonexistent/client.key";
    assert_int_equal(tmb_link_open(&options, &s.link, text, sizeof text), TMB_ECONFIG);
    assert_non_null(strstr(text, "/nonexistent/client.key"));
    options = options_for(&s, "127.0.0.1", port, "client");
    char other_key[128];
    (void)snprintf(other_key, sizeof other_key, "%s/stranger.key", folder);
    options.key_file = other_key;
    assert_int_equal(tmb_link_open(&options, &s.link, text, sizeof text), TMB_ECONFIG);
    assert_non_null(strstr(text, "does not fit"));
    assert_int_equal(uv_loop_alive(&loop), 0);
}

static void close_in_callback(void *arg)
{
    seen *s = arg;
    s->is_up = true;
    tmb_link_close(s->link);
}

static void test_close_at_any_moment(void **state)
{
    (void)state;
    seen s = {.is_up = false};
    tmb_link_options options = options_for(&s, "127.0.0.1", port, "client");
    options.up = close_in_callback;
    open_link(&s, &options);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(s.is_up);
    assert_false(s.is_down);
    uv_timer_t timer; /* a turn in which nothing happens ends by it */
    (void)uv_timer_init(&loop, &timer);
    for (int turns_before = 0; turns_before < 12; turns_before++) {
        seen one = {.is_up = false};
        options = options_for(&one, "localhost", port, "client");
        open_link(&one, &options);
        (void)uv_timer_start(&timer, count_turn, 100, 100);
        for (int i = 0; i < turns_before; i++)
            (void)uv_run(&loop, UV_RUN_ONCE);
        (void)uv_timer_stop(&timer);
        close_link(&one);
        assert_false(one.is_down);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    tmb_link_close(NULL);
}

static int begin(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    srandom((unsigned)getpid() * 2654435761u ^ (unsigned)time(NULL));
    (void)snprintf(folder, sizeof folder, "/tmp/tmb-link-XXXXXX");
    assert_non_null(mkdtemp(folder));
    make_certificates();
    assert_int_equal(uv_loop_init(&loop), 0);
    broker = start_broker("server", &port);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    char command[128];
    for (size_t i = 0; i < sizeof running / sizeof running[0]; i++) {
        if (running[i] != 0)
            end(running[i]);
    }
    while (open_count > 0)
        (void)close(open_ends[--open_count]);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(uv_loop_close(&loop), 0);
    return system(command);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    mosquitto_path = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_both_ways),
        cmocka_unit_test(test_name_is_resolved_and_checked),
        cmocka_unit_test(test_nobody_subscribed_is_said),
        cmocka_unit_test(test_large_and_empty_payloads),
        cmocka_unit_test(test_message_with_properties_is_retained),
        cmocka_unit_test(test_what_is_kept_is_told_from_what_is_said_now),
        cmocka_unit_test(test_taken_stands_when_the_peer_does),
        cmocka_unit_test(test_wrong_name_is_refused),
        cmocka_unit_test(test_other_ca_is_refused_both_ways),
        cmocka_unit_test(test_tls_1_2_is_refused),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_silent_peer_times_out_without_blocking),
        cmocka_unit_test(test_wrong_files_are_named),
        cmocka_unit_test(test_close_at_any_moment),
        cmocka_unit_test(test_killed_broker_is_noticed_at_once),
        cmocka_unit_test(test_stopped_broker_is_noticed),
    };
    return cmocka_run_group_tests_name("link", tests, begin, finish);
}
