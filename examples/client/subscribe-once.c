// SPDX-License-Identifier: Apache-2.0
/* subscribe-once.c - prints each message of a marked stream once, whatever is killed at the node.
 *
 *   subscribe-once URI CLIENT-ID FILTER [STATE-FILE]
 *   subscribe-once mqtt://localhost archive 'line/#' /var/lib/archive/tombolo.state
 *
 * One line a message: its place in the node's journal (node/stream/sequence, or - when the stream is not
 * marked), its topic, its payload. With a STATE-FILE what was printed before this program was killed is not
 * printed again. SIGINT and SIGTERM end it; the session stays, and what comes meanwhile is printed next time.
 *
 *   cc subscribe-once.c $(pkg-config --cflags --libs tombolo)
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <tombolo/tombolo.h>

/* The node gets its ack when this returns: what must not be lost is done here, or at least safely begun. */
static void on_message(void *arg, const tmb_client_message *m)
{
    (void)arg;
    if (m->has_mark)
        printf("%s/%s/%llu", m->mark.node, m->mark.stream, (unsigned long long)m->mark.seq);
    else
        printf("-");
    printf("%s %s %.*s\n", m->is_doubtful ? "?" : "", m->topic, (int)m->payload_len,
           (const char *)m->payload);
    fflush(stdout);
}

static void on_event(void *arg, const tmb_client_event *event)
{
    (void)arg;
    if (event->kind == TMB_CLIENT_UP)
        fprintf(stderr, "connected%s\n", event->is_session_new ? ", a new session" : "");
    else
        fprintf(stderr, "%s%s\n", event->kind == TMB_CLIENT_DOWN ? "not connected: " : "",
                event->text);
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: %s URI CLIENT-ID FILTER [STATE-FILE]\n", argv[0]);
        return 2;
    }
    /* Before there is any thread, so that all of them leave these signals to us. */
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);

    tmb_client_options options;
    tmb_client_options_default(&options);
    options.uri = argv[1];
    options.client_id = argv[2];
    options.state_file = argv[4]; /* NULL when there is none */
    options.on_message = on_message;
    options.ca_file = getenv("TOMBOLO_CA_FILE"); /* for mqtts://; NULL when it is not set */
    options.cert_file = getenv("TOMBOLO_CERT_FILE");
    options.key_file = getenv("TOMBOLO_KEY_FILE");
    options.on_event = on_event;
    char why[256];
    tmb_client *client;
    tmb_err err = tmb_client_open(&options, &client, why, sizeof why);
    if (err == TMB_OK) {
        err = tmb_client_subscribe(client, argv[3], 1);
        (void)snprintf(why, sizeof why, "the filter is none");
    }
    if (err != TMB_OK) {
        fprintf(stderr, "%s: %s\n", tmb_client_err_str(err), why);
        return 1;
    }
    int ended_by = 0;
    (void)sigwait(&ends, &ended_by);
    tmb_client_stats stats;
    tmb_client_stats_get(client, &stats);
    tmb_client_close(client);
    fprintf(stderr, "received %llu repeats %llu doubtful %llu unmarked %llu\n",
            (unsigned long long)stats.received, (unsigned long long)stats.repeats,
            (unsigned long long)stats.doubtful, (unsigned long long)stats.unmarked);
    return 0;
}
