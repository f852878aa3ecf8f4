// SPDX-License-Identifier: Apache-2.0
/* The client's own promises, with no broker there: options, limits, receipts that time out or are cut off by
 * closing, and what a state file brings back. What needs a broker is in tests/e2e/test_libtombolo.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <MQTTAsync.h>
#include <pthread.h>

#include "clients/c/tombolo.h"

/* Nobody listens on port 1 (tcpmux). */
#define NOWHERE "mqtt://127.0.0.1:1"

typedef struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned downs, ups, receipts, timed_out, closed;
    uint64_t last_number;
    unsigned late_ends; /* losses told while Paho's handle of that connection was there still */
} seen;

/* Clients' workers count here; one client is open when they are looked at. */
static _Atomic unsigned handles_made, handles_ended;

void __real_MQTTAsync_destroy(MQTTAsync *handle);
int __real_MQTTAsync_createWithOptions(MQTTAsync *handle, const char *uri, const char *client_id,
                                       int persistence, void *context,
                                       MQTTAsync_createOptions *options);
void __wrap_MQTTAsync_destroy(MQTTAsync *handle);
int __wrap_MQTTAsync_createWithOptions(MQTTAsync *handle, const char *uri, const char *client_id,
                                       int persistence, void *context,
                                       MQTTAsync_createOptions *options);

void __wrap_MQTTAsync_destroy(MQTTAsync *handle)
{
    handles_ended++;
    __real_MQTTAsync_destroy(handle);
}

int __wrap_MQTTAsync_createWithOptions(MQTTAsync *handle, const char *uri, const char *client_id,
                                       int persistence, void *context,
                                       MQTTAsync_createOptions *options)
{
    handles_made++;
    return __real_MQTTAsync_createWithOptions(handle, uri, client_id, persistence, context,
                                              options);
}

static void begin(seen *s)
{
    *s = (seen){.downs = 0};
    assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&s->changed, NULL), 0);
}

static void on_event(void *arg, const tmb_client_event *event)
{
    seen *s = arg;
    pthread_mutex_lock(&s->lock);
    if (event->kind == TMB_CLIENT_DOWN) {
        s->downs++;
        s->late_ends += handles_ended != s->downs || handles_made != s->downs + 1;
    }
    s->ups += event->kind == TMB_CLIENT_UP;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void on_receipt(void *arg, const tmb_client_receipt *receipt)
{
    seen *s = arg;
    pthread_mutex_lock(&s->lock);
    s->receipts++;
    s->timed_out += receipt->outcome == TMB_RECEIPT_TIMED_OUT;
    s->closed += receipt->outcome == TMB_RECEIPT_CLOSED;
    s->last_number = receipt->number;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static tmb_client_options options_of(seen *s)
{
    tmb_client_options o;
    tmb_client_options_default(&o);
    o.uri = NOWHERE;
    o.client_id = "test";
    o.on_event = on_event;
    o.arg = s;
    return o;
}

static tmb_client *open_client(const tmb_client_options *o)
{
    char why[256] = "";
    tmb_client *c = NULL;
    tmb_err err = tmb_client_open(o, &c, why, sizeof why);
    if (err != TMB_OK)
        fail_msg("%s: %s", tmb_client_err_str(err), why);
    return c;
}

static void a_wrong_option_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *id, *run, *state, *ca, *cert, *why;
        uint32_t keepalive, base, queue;
    } wrong[] = {
        {NULL, "x", NULL, NULL, NULL, NULL, "uri", 1, 1, 1},
        {"tcp://h:1", "x", NULL, NULL, NULL, NULL, "uri", 1, 1, 1},
        {NOWHERE, NULL, NULL, NULL, NULL, NULL, "client_id", 1, 1, 1},
        {NOWHERE, "", NULL, NULL, NULL, NULL, "client_id", 1, 1, 1},
        {NOWHERE, "a/#", NULL, NULL, NULL, NULL, "client_id", 1, 1, 1},
        {NOWHERE, "\xff", NULL, NULL, NULL, NULL, "client_id", 1, 1, 1},
        {NOWHERE, "x", "a:b", "f", NULL, NULL, "run", 1, 1, 1},
        {NOWHERE, "x", "a", NULL, NULL, NULL, "state_file", 1, 1, 1},
        {NOWHERE, "x", NULL, NULL, "ca.pem", NULL, "mqtts", 1, 1, 1},
        {"mqtts://h:1", "x", NULL, NULL, NULL, "cert.pem", "key_file", 1, 1, 1},
        {NOWHERE, "x", NULL, NULL, NULL, NULL, "keepalive_s", 0, 1, 1},
        {NOWHERE, "x", NULL, NULL, NULL, NULL, "backoff", 1, 9999, 1},
        {NOWHERE, "x", NULL, NULL, NULL, NULL, "queue", 1, 1, 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        tmb_client_options o;
        tmb_client_options_default(&o);
        o.uri = wrong[i].uri;
        o.client_id = wrong[i].id;
        o.run = wrong[i].run;
        o.state_file = wrong[i].state;
        o.ca_file = wrong[i].ca;
        o.cert_file = wrong[i].cert;
        o.keepalive_s = wrong[i].keepalive;
        o.backoff_base_ms = wrong[i].base;
        o.queue_messages_max = wrong[i].queue;
        char why[256] = "";
        tmb_client *c = NULL;
        assert_int_equal(tmb_client_open(&o, &c, why, sizeof why), TMB_EINVAL);
        assert_null(c);
        if (!strstr(why, wrong[i].why))
            fail_msg("case %zu: '%s' does not name %s", i, why, wrong[i].why);
    }
}

static void the_queue_itself_has_a_limit(void **state)
{
    (void)state;
    seen s;
    begin(&s);
    tmb_client_options o = options_of(&s);
    o.queue_bytes_max = TMB_CLIENT_QUEUE_BYTES_MAX + 1;
    tmb_client *c = NULL;
    assert_int_equal(tmb_client_open(&o, &c, NULL, 0), TMB_EINVAL);
    o.queue_bytes_max--;
    tmb_client_close(open_client(&o));
}

static void a_wrong_message_is_refused(void **state)
{
    (void)state;
    seen s;
    begin(&s);
    tmb_client_options o = options_of(&s);
    tmb_client *c = open_client(&o);
    static const tmb_client_prop ours[] = {{"tombolo-seq", "1"}}, empty[] = {{"", "1"}},
                                 good[] = {{"a", ""}};
    static char long_topic[TMB_CLIENT_TOPIC_BYTES_MAX + 2];
    memset(long_topic, 'x', sizeof long_topic - 1);
    const tmb_client_publication wrong[] = {
        {.topic = NULL},
        {.topic = ""},
        {.topic = "a/+"},
        {.topic = "#"},
        {.topic = "$SYS/x"},
        {.topic = "\xc3("},
        {.topic = long_topic},
        {.topic = "t", .payload_len = 1},
        {.topic = "t", .payload = "x", .payload_len = (size_t)TMB_CLIENT_PAYLOAD_BYTES_MAX + 1},
        {.topic = "t", .props = ours, .prop_count = 1},
        {.topic = "t", .props = empty, .prop_count = 1},
        {.topic = "t", .props = good, .prop_count = TMB_CLIENT_PROPS_MAX + 1},
        {.topic = "t", .receipts = 8, .receipt_timeout_ms = 1, .on_receipt = on_receipt},
        {.topic = "t", .receipts = TMB_RECEIPT_SYNCED, .receipt_timeout_ms = 1},
        {.topic = "t", .receipts = TMB_RECEIPT_SYNCED, .on_receipt = on_receipt},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (tmb_client_publish(c, &wrong[i], NULL) != TMB_EINVAL)
            fail_msg("message %zu was taken", i);
    long_topic[TMB_CLIENT_TOPIC_BYTES_MAX] = '\0';
    const tmb_client_publication fits = {.topic = long_topic, .props = good, .prop_count = 1};
    uint64_t number = 0;
    assert_int_equal(tmb_client_publish(c, &fits, &number), TMB_OK);
    assert_int_equal(number, 1);
    assert_int_equal(tmb_client_subscribe(c, "t", 2), TMB_EINVAL);
    assert_int_equal(tmb_client_subscribe(c, "", 1), TMB_EINVAL);
    tmb_client_close(c);
    tmb_client_close(NULL);
}

static void at_its_limit_the_queue_says_so_and_drops_nothing(void **state)
{
    (void)state;
    seen s;
    begin(&s);
    tmb_client_options o = options_of(&s);
    o.queue_messages_max = 3;
    tmb_client *c = open_client(&o);
    tmb_client_publication p = {.topic = "t", .payload = "x", .payload_len = 1};
    for (int i = 0; i < 3; i++)
        assert_int_equal(tmb_client_publish(c, &p, NULL), TMB_OK);
    assert_int_equal(tmb_client_publish(c, &p, NULL), TMB_ELIMIT);
    assert_int_equal(tmb_client_wait(c, 2, 50), TMB_EAGAIN);
    assert_int_equal(tmb_client_wait(c, 3, 50), TMB_OK);
    tmb_client_stats stats;
    tmb_client_stats_get(c, &stats);
    assert_int_equal(stats.waiting, 3);
    assert_int_equal(stats.published, 3);
    tmb_client_close(c);

    o.queue_messages_max = 100;
    o.queue_bytes_max = stats.waiting_bytes;
    c = open_client(&o);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tmb_client_publish(c, &p, NULL), TMB_OK);
    assert_int_equal(tmb_client_publish(c, &p, NULL), TMB_ELIMIT);
    tmb_client_close(c);
}

static void at_its_limit_of_subscriptions_it_says_so(void **state)
{
    (void)state;
    seen s;
    begin(&s);
    tmb_client_options o = options_of(&s);
    tmb_client *c = open_client(&o);
    char filter[16];
    for (int i = 0; i < TMB_CLIENT_SUBSCRIPTIONS_MAX; i++) {
        (void)snprintf(filter, sizeof filter, "t/%d", i);
        assert_int_equal(tmb_client_subscribe(c, filter, 1), TMB_OK);
        assert_int_equal(tmb_client_subscribe(c, filter, 0), TMB_OK); /* the same one */
    }
    assert_int_equal(tmb_client_subscribe(c, "t/more", 1), TMB_ELIMIT);
    assert_int_equal(tmb_client_unsubscribe(c, "t/0"), TMB_OK);
    /* The receipts' own topic has its place all the same. */
    tmb_client_publication p = {.topic = "t",
                                .receipts = TMB_RECEIPT_SYNCED,
                                .receipt_timeout_ms = 60000,
                                .on_receipt = on_receipt,
                                .receipt_arg = &s};
    assert_int_equal(tmb_client_publish(c, &p, NULL), TMB_OK);
    tmb_client_close(c);
    assert_int_equal(s.closed, 1);
}

static void a_receipt_times_out_and_never_in_silence(void **state)
{
    (void)state;
    seen s;
    begin(&s);
    tmb_client_options o = options_of(&s);
    tmb_client *c = open_client(&o);
    tmb_client_publication p = {.topic = "t",
                                .receipts =
                                    TMB_RECEIPT_SYNCED | TMB_RECEIPT_COMMITTED | TMB_RECEIPT_ENGINE,
                                .receipt_timeout_ms = 20,
                                .on_receipt = on_receipt,
                                .receipt_arg = &s};
    uint64_t number = 0;
    assert_int_equal(tmb_client_publish(c, &p, &number), TMB_OK);
    pthread_mutex_lock(&s.lock);
    while (s.receipts < 3)
        pthread_cond_wait(&s.changed, &s.lock);
    pthread_mutex_unlock(&s.lock);
    p.receipts = TMB_RECEIPT_ENGINE;
    p.receipt_timeout_ms = 60000;
    assert_int_equal(tmb_client_publish(c, &p, &number), TMB_OK);
    tmb_client_stats stats;
    tmb_client_stats_get(c, &stats);
    assert_int_equal(stats.receipts_timed_out, 3);
    assert_int_equal(stats.waiting, 2); /* the message itself is still to be sent */
    tmb_client_close(c);
    assert_int_equal(s.timed_out, 3);
    assert_int_equal(s.closed, 1);
    assert_int_equal(s.receipts, 4);
    assert_true(s.last_number == number);
}

static void dials_again_and_says_so(void **state)
{
    (void)state;
    seen s;
    begin(&s);
    tmb_client_options o = options_of(&s);
    o.backoff_base_ms = o.backoff_cap_ms = 1;
    tmb_client *c = open_client(&o);
    pthread_mutex_lock(&s.lock);
    while (s.downs < 3)
        pthread_cond_wait(&s.changed, &s.lock);
    assert_int_equal(s.ups, 0);
    pthread_mutex_unlock(&s.lock);
    tmb_client_close(c);
}

/* See client.h: Paho frees twice what it could not write, the second time with the handle. */
static void a_lost_connection_ends_before_the_next_is_made(void **state)
{
    (void)state;
    seen s;
    begin(&s);
    handles_made = handles_ended = 0;
    tmb_client_options o = options_of(&s);
    o.backoff_base_ms = o.backoff_cap_ms = 1;
    tmb_client *c = open_client(&o);
    pthread_mutex_lock(&s.lock);
    while (s.downs < 3)
        pthread_cond_wait(&s.changed, &s.lock);
    assert_int_equal(s.late_ends, 0);
    pthread_mutex_unlock(&s.lock);
    tmb_client_close(c);
    assert_int_equal(s.late_ends, 0);
    assert_int_equal(handles_made, handles_ended);
    assert_in_range(handles_made, 4, s.downs + 2);
}

static void a_state_file_brings_back_what_was_not_sent(void **state)
{
    (void)state;
    char folder[] = "/tmp/tombolo-client-XXXXXX", path[64], lock[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/state", folder);
    (void)snprintf(lock, sizeof lock, "%s/state.lock", folder);
    seen s;
    begin(&s);
    tmb_client_options o = options_of(&s);
    o.state_file = path;
    tmb_client *c = open_client(&o);
    char run[TMB_CLIENT_RUN_BYTES_MAX + 1];
    (void)snprintf(run, sizeof run, "%s", tmb_client_run(c));
    tmb_client_publication p = {.topic = "t", .payload = "x", .payload_len = 1};
    uint64_t number = 0;
    assert_int_equal(tmb_client_publish(c, &p, &number), TMB_OK);
    assert_int_equal(tmb_client_publish(c, &p, &number), TMB_OK);

    tmb_client *other = NULL;
    char why[256];
    assert_int_equal(tmb_client_open(&o, &other, why, sizeof why), TMB_EBUSY);
    assert_non_null(strstr(why, path));
    tmb_client_close(c);

    c = open_client(&o);
    assert_string_equal(tmb_client_run(c), run);
    tmb_client_stats stats;
    tmb_client_stats_get(c, &stats);
    assert_int_equal(stats.waiting, 2);
    assert_int_equal(tmb_client_publish(c, &p, &number), TMB_OK);
    assert_int_equal(number, 3);
    tmb_client_close(c);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* Two clients without a state file never count in the same run. */
static void each_process_has_a_run_of_its_own(void **state)
{
    (void)state;
    seen s;
    begin(&s);
    tmb_client_options o = options_of(&s);
    tmb_client *one = open_client(&o), *two = open_client(&o);
    assert_int_equal(strlen(tmb_client_run(one)), 32);
    assert_string_not_equal(tmb_client_run(one), tmb_client_run(two));
    tmb_client_close(one);
    tmb_client_close(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_option_is_told),
        cmocka_unit_test(the_queue_itself_has_a_limit),
        cmocka_unit_test(a_wrong_message_is_refused),
        cmocka_unit_test(at_its_limit_the_queue_says_so_and_drops_nothing),
        cmocka_unit_test(at_its_limit_of_subscriptions_it_says_so),
        cmocka_unit_test(a_receipt_times_out_and_never_in_silence),
        cmocka_unit_test(dials_again_and_says_so),
        cmocka_unit_test(a_lost_connection_ends_before_the_next_is_made),
        cmocka_unit_test(a_state_file_brings_back_what_was_not_sent),
        cmocka_unit_test(each_process_has_a_run_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
