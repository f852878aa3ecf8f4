// SPDX-License-Identifier: Apache-2.0
/* publish-with-receipt.c - each line of the input is a message, published exactly once, with receipts.
 *
 *   publish-with-receipt URI CLIENT-ID TOPIC LEVELS [STATE-FILE]
 *   seq 10 | publish-with-receipt mqtt://localhost press-7 line/press/7 synced,committed
 *
 * Prints "kept NUMBER" when a line is in the library's hands, and a line for each receipt.
 * LEVELS: any of synced, committed, engine, with commas; or none. With a STATE-FILE lines that were read and
 * not yet acknowledged survive a kill of this program and are sent at its next start.
 *
 *   cc publish-with-receipt.c $(pkg-config --cflags --libs tombolo)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tombolo/tombolo.h>

enum { LINE_MAX_BYTES = 65536, RECEIPT_TIMEOUT_MS = 60000, WAIT_MS = 120000, QUEUE = 1000 };

static const char *level_name(tmb_receipt_level level)
{
    return level == TMB_RECEIPT_SYNCED      ? "synced"
           : level == TMB_RECEIPT_COMMITTED ? "committed"
                                            : "engine";
}

/* Runs on the client's thread, one at a time with on_event. */
static void on_receipt(void *arg, const tmb_client_receipt *r)
{
    static const char *const outcomes[] = {"given", "refused", "timed-out", "closed"};
    unsigned *missing = arg;
    if (r->outcome != TMB_RECEIPT_GIVEN)
        ++*missing;
    printf("receipt %llu %s %s %s/%s/%s%llu %s\n", (unsigned long long)r->number,
           level_name(r->level), outcomes[r->outcome], r->node, r->stream, r->is_repeat ? "<=" : "",
           (unsigned long long)r->seq, r->why);
    fflush(stdout);
}

static void on_event(void *arg, const tmb_client_event *event)
{
    (void)arg;
    static const char *const kinds[] = {"connected",   "not connected",   "refused",
                                        "tried again", "no subscription", "not kept"};
    fprintf(stderr, "%s: %s\n", kinds[event->kind], event->text);
}

static int levels_of(const char *text, unsigned *ret_levels)
{
    *ret_levels = (strstr(text, "synced") ? TMB_RECEIPT_SYNCED : 0u) |
                  (strstr(text, "committed") ? TMB_RECEIPT_COMMITTED : 0u) |
                  (strstr(text, "engine") ? TMB_RECEIPT_ENGINE : 0u);
    return *ret_levels != 0 || strcmp(text, "none") == 0;
}

static int publish(tmb_client *client, tmb_client_publication *message)
{
    uint64_t number;
    tmb_err err = tmb_client_publish(client, message, &number);
    while (err == TMB_ELIMIT) { /* the queue is full: nothing is dropped, we wait for room */
        if (tmb_client_wait(client, QUEUE / 2, WAIT_MS) != TMB_OK)
            fprintf(stderr, "still waiting for the node\n");
        err = tmb_client_publish(client, message, &number);
    }
    if (err == TMB_OK)
        printf("kept %llu\n", (unsigned long long)number);
    else
        fprintf(stderr, "not published: %s\n", tmb_client_err_str(err));
    fflush(stdout);
    return err == TMB_OK;
}

int main(int argc, char **argv)
{
    unsigned levels, missing = 0;
    if (argc < 5 || argc > 6 || !levels_of(argv[4], &levels)) {
        fprintf(stderr, "usage: %s URI CLIENT-ID TOPIC LEVELS [STATE-FILE]\n", argv[0]);
        return 2;
    }
    tmb_client_options options;
    tmb_client_options_default(&options);
    options.uri = argv[1];
    options.client_id = argv[2];
    options.state_file = argv[5]; /* NULL when there is none */
    options.queue_messages_max = QUEUE;
    options.ca_file = getenv("TOMBOLO_CA_FILE"); /* for mqtts://; NULL when it is not set */
    options.cert_file = getenv("TOMBOLO_CERT_FILE");
    options.key_file = getenv("TOMBOLO_KEY_FILE");
    options.on_event = on_event;
    char why[256];
    tmb_client *client;
    tmb_err err = tmb_client_open(&options, &client, why, sizeof why);
    if (err != TMB_OK) {
        fprintf(stderr, "%s: %s\n", tmb_client_err_str(err), why);
        return 1;
    }
    static char line[LINE_MAX_BYTES];
    tmb_client_publication message = {.topic = argv[3],
                                      .payload = line,
                                      .receipts = levels,
                                      .receipt_timeout_ms = RECEIPT_TIMEOUT_MS,
                                      .on_receipt = on_receipt,
                                      .receipt_arg = &missing};
    int is_good = 1;
    while (is_good && fgets(line, sizeof line, stdin)) {
        message.payload_len = strcspn(line, "\n");
        is_good = publish(client, &message);
    }
    if (tmb_client_wait(client, 0, WAIT_MS) != TMB_OK)
        is_good = 0;
    tmb_client_stats stats;
    tmb_client_stats_get(client, &stats);
    tmb_client_close(client);
    printf("published %llu acked %llu sent-again %llu\n", (unsigned long long)stats.published,
           (unsigned long long)stats.acked, (unsigned long long)stats.sent_again);
    return is_good && missing == 0 ? 0 : 1;
}
