// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_link.c - see state_link.h.
 *
 * The list of what is retained is asked for over a second connection, which is there for that alone: else
 * every value that is published would come back to us.
 */
#include "syncd/daemon/state_link.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "proto/topics.h"
#include "syncd/daemon/links.h"
#include "syncd/daemon/log.h"
#include "syncd/session/backoff.h"

#define BACKOFF_BASE_MS 50
#define BACKOFF_CAP_MS  500 /* it is on this machine */
#define CLIENT_ID       "tombolo-state"

typedef struct road {
    struct tmb_state_link *owner;
    tmb_link *link;
    uv_timer_t timer;
    unsigned attempt;
    char probe[20];
} road;

struct tmb_state_link {
    tmb_state_link_options options;
    road values, list;
    bool is_up, is_listing, is_stopping;
    tmb_rng rng;
    char filter[TMB_NAME_BYTES_MAX + 4];
    char mark[TMB_STATE_MARK_BYTES_MAX + 1];
    char why[256];
};

static void connect_values(tmb_state_link *link);
static void connect_list(tmb_state_link *link);

static void on_retry(uv_timer_t *timer)
{
    road *r = timer->data;
    if (r == &r->owner->values)
        connect_values(r->owner);
    else
        connect_list(r->owner);
}

static void come_again(road *r)
{
    tmb_state_link *link = r->owner;
    tmb_link_close(r->link);
    r->link = NULL;
    if (link->is_stopping)
        return;
    tmb_dur wait = tmb_backoff_wait(&link->rng, r->attempt++, tmb_dur_ms(BACKOFF_BASE_MS),
                                    tmb_dur_ms(BACKOFF_CAP_MS));
    (void)uv_timer_start(&r->timer, on_retry, (uint64_t)(wait.ns / 1000000) + 1, 0);
}

static void lose_values(tmb_state_link *link, const char *why)
{
    bool was_up = link->is_up;
    if (strncmp(why, link->why, sizeof link->why - 1) != 0)
        LOG(TMB_LOG_WARNING, "state.broker_down", tmb_str("why", why));
    (void)snprintf(link->why, sizeof link->why, "%s", why);
    link->is_up = false;
    come_again(&link->values);
    if (was_up)
        link->options.down(link->options.arg);
}

static void on_values_down(void *arg, const char *why)
{
    lose_values(arg, why);
}

static void on_list_down(void *arg, const char *why)
{
    tmb_state_link *link = arg;
    (void)why;
    come_again(&link->list);
}

/* What comes back over the same connection comes behind all that was on its way when it was sent. */
static void send_probe(road *r)
{
    (void)snprintf(r->probe, sizeof r->probe, "%016" PRIx64, tmb_rng_next(&r->owner->rng));
    tmb_err err = tmb_link_send(r->link, TMB_TOPIC_STATE_PROBE, tmb_bytes_str(r->probe));
    (void)err; /* ECLOSED: `down` follows */
}

static void on_values_up(void *arg)
{
    tmb_state_link *link = arg;
    link->mark[0] = 0;
    send_probe(&link->values);
}

static void on_list_up(void *arg)
{
    tmb_state_link *link = arg;
    send_probe(&link->list);
}

static bool is_probe_back(const road *r, const char *topic, tmb_bytes payload)
{
    return strcmp(topic, TMB_TOPIC_STATE_PROBE) == 0 &&
           tmb_bytes_eq(payload, tmb_bytes_str(r->probe));
}

static void on_values_message(void *arg, const char *topic, tmb_bytes payload)
{
    tmb_state_link *link = arg;
    if (link->is_up) { /* before that: retained, and nobody's ask of now */
        if (strcmp(topic, TMB_TOPIC_STATE_ASK) == 0)
            link->options.asked(link->options.arg, payload);
        return;
    }
    if (strcmp(topic, TMB_TOPIC_STATE_MARK) == 0 && payload.len < sizeof link->mark) {
        memcpy(link->mark, payload.ptr, payload.len);
        link->mark[payload.len] = 0;
    } else if (is_probe_back(&link->values, topic, payload)) {
        link->is_up = true;
        link->values.attempt = 0;
        link->why[0] = 0;
        link->options.up(link->options.arg, link->mark);
    }
}

static void on_list_message(void *arg, const char *topic, tmb_bytes payload)
{
    tmb_state_link *link = arg;
    if (is_probe_back(&link->list, topic, payload)) {
        link->is_listing = false;
        tmb_link_close(link->list.link);
        link->list.link = NULL;
        link->options.listed(link->options.arg, NULL);
    } else if (strncmp(topic, TMB_TOPIC_ROOT, sizeof TMB_TOPIC_ROOT - 1) != 0 &&
               tmb_link_is_retained(link->list.link)) { /* an error that is told now is not */
        link->options.listed(link->options.arg, topic);
    }
}

static void on_published(void *arg, int id, unsigned reason_code)
{
    tmb_state_link *link = arg;
    if (link->is_up)
        link->options.acked(link->options.arg, id, reason_code);
}

static void ignore_published(void *arg, int id, unsigned reason_code)
{
    (void)arg;
    (void)id;
    (void)reason_code;
}

static tmb_link_options options_for(tmb_state_link *link)
{
    tmb_link_options options = tmb_links_home(link->options.daemon, CLIENT_ID);
    options.arg = link;
    return options;
}

static void connect_values(tmb_state_link *link)
{
    static const char *const filters[] = {TMB_TOPIC_STATE "+"};
    tmb_link_options options = options_for(link);
    char text[512] = "";
    options.subscribe = filters;
    options.subscribe_count = 1;
    options.up = on_values_up;
    options.down = on_values_down;
    options.message = on_values_message;
    options.published = on_published;
    tmb_err err = tmb_link_open(&options, &link->values.link, text, sizeof text);
    if (err != TMB_OK)
        lose_values(link, text[0] ? text : tmb_err_str(err));
}

static void connect_list(tmb_state_link *link)
{
    const char *filters[] = {link->filter, TMB_TOPIC_STATE_PROBE};
    tmb_link_options options = options_for(link);
    if (!link->is_listing)
        return;
    options.subscribe = filters;
    options.subscribe_count = 2;
    options.up = on_list_up;
    options.down = on_list_down;
    options.message = on_list_message;
    options.published = ignore_published;
    if (tmb_link_open(&options, &link->list.link, NULL, 0) != TMB_OK)
        come_again(&link->list);
}

tmb_err tmb_state_link_new(const tmb_state_link_options *options, tmb_state_link **ret_link)
{
    tmb_state_link *link = calloc(1, sizeof *link);
    if (!link)
        return TMB_ENOMEM;
    link->options = *options;
    link->rng.state = tmb_daemon_seed(options->daemon, 5);
    (void)snprintf(link->filter, sizeof link->filter, "%s/#", options->daemon->config->state.root);
    road *roads[] = {&link->values, &link->list};
    for (int i = 0; i < 2; i++) {
        roads[i]->owner = link;
        (void)uv_timer_init(&options->daemon->loop, &roads[i]->timer);
        roads[i]->timer.data = roads[i];
    }
    *ret_link = link;
    (void)uv_timer_start(&link->values.timer, on_retry, 0, 0);
    return TMB_OK;
}

void tmb_state_link_stop(tmb_state_link *link)
{
    link->is_stopping = true;
    link->is_up = false;
    tmb_link_close(link->values.link);
    tmb_link_close(link->list.link);
    link->values.link = link->list.link = NULL;
    uv_close((uv_handle_t *)&link->values.timer, NULL);
    uv_close((uv_handle_t *)&link->list.timer, NULL);
}

void tmb_state_link_free(tmb_state_link *link)
{
    free(link);
}

bool tmb_state_link_is_up(const tmb_state_link *link)
{
    return link->is_up;
}

tmb_err tmb_state_link_publish(tmb_state_link *link, const tmb_link_message *message, int *ret_id)
{
    return link->is_up ? tmb_link_publish_message(link->values.link, message, ret_id) : TMB_ECLOSED;
}

void tmb_state_link_list(tmb_state_link *link)
{
    if (link->is_stopping)
        return;
    link->is_listing = true;
    tmb_link_close(link->list.link);
    link->list.link = NULL;
    link->list.attempt = 0;
    (void)uv_timer_start(&link->list.timer, on_retry, 0, 0);
}

const char *tmb_state_link_why(const tmb_state_link *link)
{
    return link->why;
}
