// SPDX-License-Identifier: Apache-2.0
/* clients/c/client.c - what an application calls. See clients/c/tombolo.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clients/c/client.h"

tmb_mono tmb_client_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (tmb_mono){(int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
}

const char *tmb_client_err_str(tmb_err err)
{
    return tmb_err_str(err);
}

/* --- Opening -------------------------------------------------------------------------------------------- */

void tmb_client_options_default(tmb_client_options *ret_options)
{
    *ret_options = (tmb_client_options){.session_expiry_s = TMB_CLIENT_SESSION_EXPIRY_S,
                                        .keepalive_s = TMB_CLIENT_KEEPALIVE_S,
                                        .backoff_base_ms = TMB_CLIENT_BACKOFF_BASE_MS,
                                        .backoff_cap_ms = TMB_CLIENT_BACKOFF_CAP_MS,
                                        .queue_messages_max = TMB_CLIENT_QUEUE_MESSAGES,
                                        .queue_bytes_max = TMB_CLIENT_QUEUE_BYTES};
}

static bool is_text(const char *text, size_t max)
{
    size_t len = text ? strnlen(text, max + 1) : 0;
    return len > 0 && len <= max && tmb_utf8_is_valid(tmb_bytes_of(text, len));
}

static bool is_run(const char *run)
{
    if (!is_text(run, TMB_CLIENT_RUN_BYTES_MAX))
        return false;
    for (; *run; run++)
        if (!((*run >= 'a' && *run <= 'z') || (*run >= 'A' && *run <= 'Z') ||
              (*run >= '0' && *run <= '9') || strchr("._-", *run)))
            return false;
    return true;
}

/* wrong says what is wrong with the options; NULL: nothing. */
static const char *wrong(const tmb_client_options *o)
{
    if (!o->uri || (strncmp(o->uri, "mqtt://", 7) != 0 && strncmp(o->uri, "mqtts://", 8) != 0))
        return "uri must be mqtt://host:port or mqtts://host:port";
    if (!is_text(o->client_id, TMB_CLIENT_ID_BYTES_MAX) || strpbrk(o->client_id, "+#"))
        return "client_id must be 1 to 200 bytes of UTF-8, without + and #";
    if (o->run && !is_run(o->run))
        return "run must be 1 to 64 bytes of letters, digits, '.', '_' and '-'";
    if (o->run && !o->state_file)
        return "run needs a state_file: a count that begins again under a known name loses "
               "messages";
    if ((o->ca_file || o->cert_file || o->key_file) && strncmp(o->uri, "mqtts://", 8) != 0)
        return "ca_file, cert_file and key_file are for mqtts://";
    if (!o->cert_file != !o->key_file)
        return "cert_file and key_file go together";
    if (o->keepalive_s == 0 || o->keepalive_s > 65535 || o->session_expiry_s == 0)
        return "keepalive_s must be 1 to 65535, session_expiry_s above 0";
    if (o->backoff_base_ms == 0 || o->backoff_cap_ms < o->backoff_base_ms)
        return "backoff_base_ms must be above 0 and not above backoff_cap_ms";
    if (o->queue_messages_max == 0 || o->queue_bytes_max == 0 ||
        o->queue_bytes_max > TMB_CLIENT_QUEUE_BYTES_MAX)
        return "queue_messages_max and queue_bytes_max must be above 0, queue_bytes_max at most "
               "256 MiB";
    return NULL;
}

static bool copy_text(const char **text)
{
    if (!*text)
        return true;
    size_t len = strlen(*text) + 1;
    char *copy = malloc(len);
    if (copy)
        memcpy(copy, *text, len);
    *text = copy;
    return copy != NULL;
}

static bool copy_options(tmb_client_options *o)
{
    const char **texts[] = {&o->uri,       &o->client_id, &o->username, &o->password,  &o->ca_file,
                            &o->cert_file, &o->key_file,  &o->run,      &o->state_file};
    bool is_whole = true;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        is_whole = copy_text(texts[i]) && is_whole;
    return is_whole;
}

static void free_options(tmb_client_options *o)
{
    const char *texts[] = {o->uri,       o->client_id, o->username, o->password,  o->ca_file,
                           o->cert_file, o->key_file,  o->run,      o->state_file};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free((void *)(uintptr_t)texts[i]);
}

static tmb_err draw(void *bytes, size_t len)
{
    const tmb_file_port *port = tmb_file_port_posix();
    int fd = port->open(port->context, "/dev/urandom", O_RDONLY, 0);
    if (fd < 0)
        return TMB_EIO;
    ssize_t got = port->pread(port->context, fd, bytes, len, 0);
    port->close(port->context, fd);
    return got == (ssize_t)len ? TMB_OK : TMB_EIO;
}

/* begin_run gives the run that the caller named, or a random one. */
static tmb_err begin_run(tmb_client *c, char *ret_run, size_t size)
{
    uint64_t random[3];
    tmb_err err = draw(random, sizeof random);
    if (err != TMB_OK)
        return err;
    c->rng.state = random[2];
    if (c->o.run)
        (void)snprintf(ret_run, size, "%s", c->o.run);
    else
        (void)snprintf(ret_run, size, "%016llx%016llx", (unsigned long long)random[0],
                       (unsigned long long)random[1]);
    return TMB_OK;
}

static tmb_err start_parts(tmb_client *c, char *why, size_t why_size)
{
    char run[TMB_CLIENT_RUN_BYTES_MAX + 1];
    tmb_err err = begin_run(c, run, sizeof run);
    if (err != TMB_OK)
        return err;
    err = tmb_kept_open(&c->kept, tmb_file_port_posix(), c->o.state_file, run, c->o.run != NULL);
    if (err != TMB_OK) {
        if (why)
            (void)snprintf(why, why_size, "%s", c->kept.why);
        return err;
    }
    c->kept.list_lock = &c->lock;
    for (tmb_entry *e = c->kept.held; e; e = e->next)
        e->hold_until = tmb_client_now();
    size_t len = strlen(TMB_RECEIPT_TOPIC) + strlen(c->o.client_id) + 1;
    c->receipt_topic = malloc(len);
    if (!c->receipt_topic)
        return TMB_ENOMEM;
    (void)snprintf(c->receipt_topic, len, "%s%s", TMB_RECEIPT_TOPIC, c->o.client_id);
    return TMB_OK;
}

static void free_client(tmb_client *c)
{
    tmb_kept_close(&c->kept);
    for (size_t i = 0; i < c->filter_count; i++)
        free(c->filters[i].text);
    tmb_receipt_item *next;
    for (tmb_receipt_item *item = c->in.first_receipt; item; item = next) {
        next = item->next;
        free(item);
    }
    free(c->receipt_topic);
    free_options(&c->o);
    pthread_mutex_destroy(&c->keep_lock);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
    free(c);
}

/* new_client makes one whose locks are there; the rest follows. */
static tmb_client *new_client(void)
{
    tmb_client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->kept.fd = c->kept.lock_fd = -1;
    c->in.last_receipt = &c->in.first_receipt;
    c->receipts_due = tmb_mono_never();
    pthread_condattr_t clock;
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&c->keep_lock, NULL);
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->changed, &clock);
    (void)pthread_condattr_destroy(&clock);
    return c;
}

tmb_err tmb_client_open(const tmb_client_options *options, tmb_client **ret_client, char *why,
                        size_t why_size)
{
    const char *mistake = wrong(options);
    if (why && why_size > 0)
        (void)snprintf(why, why_size, "%s", mistake ? mistake : tmb_err_str(TMB_ENOMEM));
    if (mistake)
        return TMB_EINVAL;
    tmb_client *c = new_client();
    if (!c)
        return TMB_ENOMEM;
    c->o = *options;
    tmb_err err = copy_options(&c->o) ? start_parts(c, why, why_size) : TMB_ENOMEM;
    if (err == TMB_OK && pthread_create(&c->worker, NULL, tmb_client_work, c) != 0)
        err = TMB_ENOMEM;
    if (err != TMB_OK) {
        free_client(c);
        return err;
    }
    *ret_client = c;
    return TMB_OK;
}

void tmb_client_close(tmb_client *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->is_closing = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    (void)pthread_join(c->worker, NULL);
    free_client(c);
}

tmb_err tmb_client_wait(tmb_client *c, size_t waiting_max, uint32_t timeout_ms)
{
    tmb_mono end = tmb_mono_after(tmb_client_now(), tmb_dur_ms(timeout_ms));
    struct timespec at = {(time_t)(end.ns / 1000000000), (long)(end.ns % 1000000000)};
    tmb_err err = TMB_OK;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        size_t unacked = c->kept.box.unacked + c->kept.held_count;
        size_t all = c->kept.box.count + c->kept.held_count;
        if (waiting_max == 0 ? all == 0 : unacked <= waiting_max)
            break;
        if (tmb_mono_is_due(end, tmb_client_now())) {
            err = TMB_EAGAIN;
            break;
        }
        (void)pthread_cond_timedwait(&c->changed, &c->lock, &at);
    }
    pthread_mutex_unlock(&c->lock);
    return err;
}

/* --- Publishing ------------------------------------------------------------------------------- */

static bool are_props(const tmb_client_publication *p)
{
    size_t bytes = p->content_type ? strlen(p->content_type) : 0;
    if (p->prop_count > TMB_CLIENT_PROPS_MAX || bytes > 65535)
        return false;
    if (p->content_type && bytes > 0 && !is_text(p->content_type, 65535))
        return false;
    for (size_t i = 0; i < p->prop_count; i++) {
        const char *name = p->props[i].name, *value = p->props[i].value;
        if (!is_text(name, 65535) || !value || (value[0] && !is_text(value, 65535)) ||
            strncmp(name, "tombolo-", 8) == 0)
            return false;
        bytes += strlen(name) + strlen(value) + 5;
    }
    return bytes <= TMB_CLIENT_PROPS_BYTES_MAX;
}

static bool is_good(const tmb_client_publication *p)
{
    return is_text(p->topic, TMB_CLIENT_TOPIC_BYTES_MAX) && p->topic[0] != '$' &&
           !strpbrk(p->topic, "+#") && p->payload_len <= TMB_CLIENT_PAYLOAD_BYTES_MAX &&
           (p->payload || p->payload_len == 0) && are_props(p) &&
           p->receipts < 2 * TMB_RECEIPT_ENGINE &&
           (p->receipts == 0 || (p->on_receipt && p->receipt_timeout_ms > 0));
}

static bool has_room(const tmb_client *c, const tmb_entry *e)
{
    uint64_t bytes = c->kept.box.bytes + c->kept.held_bytes;
    return c->kept.box.count + c->kept.held_count < c->o.queue_messages_max &&
           bytes + e->encoded_len + TMB_ENTRY_OVERHEAD_BYTES <= c->o.queue_bytes_max;
}

/* ask_for_receipts sees to it that their topic is subscribed to before the message is sent. */
static tmb_err ask_for_receipts(tmb_client *c)
{
    if (c->asks_receipts)
        return TMB_OK;
    const char *text = c->receipt_topic;
    if (!copy_text(&text))
        return TMB_ENOMEM;
    /* There is a place for it beside the application's own. */
    c->filters[c->filter_count++] = (tmb_filter){.text = (char *)(uintptr_t)text, .qos = 1};
    c->asks_receipts = true;
    return TMB_OK;
}

static tmb_err check_room(tmb_client *c, const tmb_entry *e)
{
    pthread_mutex_lock(&c->lock);
    tmb_err err = has_room(c, e) ? TMB_OK : TMB_ELIMIT;
    if (err == TMB_OK && e->receipts_open != 0)
        err = ask_for_receipts(c);
    pthread_mutex_unlock(&c->lock);
    return err;
}

tmb_err tmb_client_publish(tmb_client *c, const tmb_client_publication *p, uint64_t *ret_number)
{
    if (!is_good(p))
        return TMB_EINVAL;
    tmb_entry *e = NULL;
    tmb_err err = tmb_entry_new(p, &e);
    if (err != TMB_OK)
        return err;
    if (p->receipts != 0)
        e->receipt_deadline = tmb_mono_after(tmb_client_now(), tmb_dur_ms(p->receipt_timeout_ms));
    tmb_mono deadline = e->receipt_deadline;
    /* keep_lock from the look at the room to the place in the list: no other thread takes it meanwhile. */
    pthread_mutex_lock(&c->keep_lock);
    err = check_room(c, e);
    if (err == TMB_OK)
        err = tmb_kept_add(&c->kept, e);
    uint64_t number = e->number;
    pthread_mutex_unlock(&c->keep_lock);
    if (err != TMB_OK) {
        tmb_entry_free(e);
        return err;
    }
    pthread_mutex_lock(&c->lock);
    c->stats.published++;
    c->receipts_due = tmb_mono_min(c->receipts_due, deadline);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (ret_number)
        *ret_number = number;
    return TMB_OK;
}

/* --- Subscribing ------------------------------------------------------------------------------ */

static tmb_filter *find_filter(tmb_client *c, const char *text)
{
    for (size_t i = 0; i < c->filter_count; i++)
        if (strcmp(c->filters[i].text, text) == 0)
            return &c->filters[i];
    return NULL;
}

static tmb_err add_filter(tmb_client *c, const char *text, unsigned qos, bool is_leaving)
{
    tmb_filter *f = find_filter(c, text);
    if (f) {
        *f = (tmb_filter){.text = f->text, .qos = qos, .is_leaving = is_leaving};
        return TMB_OK;
    }
    if (c->filter_count - c->asks_receipts >= TMB_CLIENT_SUBSCRIPTIONS_MAX)
        return TMB_ELIMIT;
    if (!copy_text(&text))
        return TMB_ENOMEM;
    c->filters[c->filter_count++] =
        (tmb_filter){.text = (char *)(uintptr_t)text, .qos = qos, .is_leaving = is_leaving};
    return TMB_OK;
}

static tmb_err change_filter(tmb_client *c, const char *filter, unsigned qos, bool is_leaving)
{
    if (!is_text(filter, TMB_CLIENT_TOPIC_BYTES_MAX) || qos > 1 ||
        strcmp(filter, c->receipt_topic) == 0)
        return TMB_EINVAL;
    pthread_mutex_lock(&c->lock);
    tmb_err err = add_filter(c, filter, qos, is_leaving);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return err;
}

tmb_err tmb_client_subscribe(tmb_client *c, const char *filter, unsigned qos)
{
    return change_filter(c, filter, qos, false);
}

tmb_err tmb_client_unsubscribe(tmb_client *c, const char *filter)
{
    return change_filter(c, filter, 0, true);
}

/* --- Watching --------------------------------------------------------------------------------- */

void tmb_client_stats_get(tmb_client *c, tmb_client_stats *ret_stats)
{
    pthread_mutex_lock(&c->keep_lock);
    uint64_t forgotten = c->kept.dedupe.forgotten;
    pthread_mutex_unlock(&c->keep_lock);
    pthread_mutex_lock(&c->lock);
    *ret_stats = c->stats;
    ret_stats->forgotten = forgotten;
    ret_stats->waiting = c->kept.box.count + c->kept.held_count;
    ret_stats->waiting_bytes = c->kept.box.bytes + c->kept.held_bytes;
    pthread_mutex_unlock(&c->lock);
}

const char *tmb_client_run(const tmb_client *c)
{
    return c->kept.run;
}
