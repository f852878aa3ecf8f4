// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/chooser.c - see chooser.h. */
#include "syncd/daemon/chooser.h"

#include <stdio.h>
#include <stdlib.h>

#include "syncd/daemon/links.h"
#include "syncd/daemon/log.h"
#include "syncd/session/choice.h"

#define LOOK_MS          250 /* how often it is asked whether to move or to probe */
#define PROBE_TIMEOUT_MS 10000

struct tmb_chooser {
    tmb_chooser_options options;
    tmb_choice choice;
    uv_timer_t timer;
    bool is_stopping, is_refused;
    tmb_link *probe;
    unsigned probed;
    bool is_probe_over,
        has_probe_answered; /* told at the next look: the link may not be closed from its own call */
    uint32_t windows_ms[TMB_CHOICE_PARENTS_MAX];
    tmb_dur
        asked_for[TMB_STREAMS_MAX]; /* how long each lane's answer had been waited for; 0: none */
    uint64_t acked[TMB_STREAMS_MAX];
    uint64_t probes, probes_failed;
    const char *why; /* of the last move; static */
};

static const tmb_config *config_of(const tmb_chooser *chooser)
{
    return chooser->options.daemon->config;
}

static const tmb_config_endpoint *endpoint_of(const tmb_chooser *chooser, unsigned parent)
{
    const tmb_config *c = config_of(chooser);
    return parent == 0 ? &c->parent : &c->fallbacks.v[parent - 1];
}

const tmb_config_endpoint *tmb_chooser_endpoint(const tmb_chooser *chooser)
{
    return endpoint_of(chooser, chooser->choice.current);
}

bool tmb_chooser_is_preferred(const tmb_chooser *chooser)
{
    return chooser->choice.current == 0;
}

static void on_probe_up(void *arg)
{
    tmb_chooser *chooser = arg;
    chooser->is_probe_over = chooser->has_probe_answered = true;
}

static void on_probe_down(void *arg, const char *why)
{
    tmb_chooser *chooser = arg;
    (void)why;
    chooser->is_probe_over = true;
}

static void begin_probe(tmb_chooser *chooser, unsigned parent)
{
    const tmb_config *c = config_of(chooser);
    const tmb_config_endpoint *to = endpoint_of(chooser, parent);
    char client_id[24 + TMB_NAME_BYTES_MAX], text[512] = "";
    (void)snprintf(client_id, sizeof client_id, "tombolo-%s", c->node);
    tmb_link_options options = tmb_links_to(chooser->options.daemon, to->host, to->port, client_id);
    options.connect_timeout_ms = PROBE_TIMEOUT_MS;
    options.arg = chooser;
    options.up = on_probe_up;
    options.down = on_probe_down;
    chooser->probed = parent;
    chooser->is_probe_over = chooser->has_probe_answered = false;
    chooser->probes++;
    if (tmb_link_open(&options, &chooser->probe, text, sizeof text) != TMB_OK)
        chooser->is_probe_over = true;
}

static void end_probe(tmb_chooser *chooser, tmb_mono now)
{
    if (!chooser->is_probe_over)
        return;
    chooser->is_probe_over = false;
    tmb_link_close(chooser->probe);
    chooser->probe = NULL;
    chooser->probes_failed += !chooser->has_probe_answered;
    tmb_choice_probed(&chooser->choice, chooser->probed, chooser->has_probe_answered, now);
}

static void on_look(uv_timer_t *timer)
{
    tmb_chooser *chooser = timer->data;
    tmb_mono now = tmb_daemon_now();
    tmb_choice_why why = TMB_CHOICE_GONE;
    end_probe(chooser, now);
    const tmb_config_endpoint *from = tmb_chooser_endpoint(chooser);
    if (tmb_choice_decide(&chooser->choice, now, &why)) {
        const tmb_config_endpoint *to = tmb_chooser_endpoint(chooser);
        chooser->why = tmb_choice_why_str(why);
        LOG(TMB_LOG_NOTICE, "parent.moved", tmb_str("why", chooser->why),
            tmb_str("from", from->host), tmb_num("from_port", from->port), tmb_str("to", to->host),
            tmb_num("to_port", to->port));
        chooser->options.moved(chooser->options.arg, chooser->windows_ms[chooser->choice.current]);
    }
    unsigned probe = tmb_choice_probe(&chooser->choice, now);
    if (probe != TMB_CHOICE_NONE)
        begin_probe(chooser, probe);
}

tmb_err tmb_chooser_new(const tmb_chooser_options *options, tmb_chooser **ret)
{
    tmb_chooser *chooser = calloc(1, sizeof *chooser);
    if (!chooser)
        return TMB_ENOMEM;
    chooser->options = *options;
    const tmb_config *c = config_of(chooser);
    tmb_choice_options choice = {.parents = 1 + c->fallbacks.count,
                                 .move_after = tmb_dur_ms(c->move_after_ms),
                                 .return_after = tmb_dur_ms(c->return_after_ms),
                                 .sick_rtt = tmb_dur_ms(c->ack_timeout_ms / 2),
                                 .seed = tmb_daemon_seed(options->daemon, 4)};
    tmb_choice_init(&chooser->choice, &choice, tmb_daemon_now());
    (void)uv_timer_init(&options->daemon->loop, &chooser->timer);
    chooser->timer.data = chooser;
    if (c->fallbacks.count > 0)
        (void)uv_timer_start(&chooser->timer, on_look, LOOK_MS, LOOK_MS);
    *ret = chooser;
    return TMB_OK;
}

void tmb_chooser_stop(tmb_chooser *chooser)
{
    if (!chooser || chooser->is_stopping)
        return;
    chooser->is_stopping = true;
    tmb_link_close(chooser->probe);
    chooser->probe = NULL;
    uv_close((uv_handle_t *)&chooser->timer, NULL);
}

void tmb_chooser_free(tmb_chooser *chooser)
{
    free(chooser);
}

static void take_state(tmb_chooser *chooser, tmb_session_state state)
{
    const tmb_session *s = chooser->options.session;
    tmb_choice *choice = &chooser->choice;
    tmb_mono now = tmb_daemon_now();
    if (state == TMB_SESSION_STREAMING) {
        chooser->windows_ms[choice->current] = (uint32_t)(s->back.window.ns / 1000000);
        chooser->is_refused = false;
        if (!choice->is_up) /* else HELLO was said again on the same link */
            tmb_choice_up(choice, s->parent_load, now);
    } else if (state == TMB_SESSION_BACKOFF) {
        if (choice->is_up && !chooser->is_refused)
            tmb_choice_lost(choice, now);
        else
            tmb_choice_failed(choice, chooser->is_refused, now);
        chooser->is_refused = false;
    }
}

void tmb_chooser_report(tmb_chooser *chooser, const tmb_session_action *report)
{
    bool is_bye = report->report == TMB_SESSION_REPORT_BYE;
    if (report->report == TMB_SESSION_REPORT_STATE)
        take_state(chooser, (tmb_session_state)report->number);
    else if (is_bye && (report->number == TMB_BYE_BUSY || report->number == TMB_BYE_LIMIT))
        chooser->is_refused = true;
    else if (report->report == TMB_SESSION_REPORT_TIMEOUT)
        tmb_choice_felt(&chooser->choice, tmb_dur_ms(config_of(chooser)->ack_timeout_ms),
                        tmb_daemon_now());
}

/* A lane's ack_deadline is ack_timeout from when what it waits for has left. */
void tmb_chooser_listen(tmb_chooser *chooser)
{
    const tmb_session *s = chooser->options.session;
    int64_t now_ns = tmb_daemon_now().ns;
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        const tmb_session_lane *lane = &s->lanes[i];
        bool is_waiting = s->state == TMB_SESSION_STREAMING && lane->inflight > 0 &&
                          lane->ack_deadline.ns != INT64_MAX;
        int64_t left_ns = lane->ack_deadline.ns - s->options.ack_timeout.ns;
        chooser->asked_for[i].ns = is_waiting && now_ns > left_ns ? now_ns - left_ns : 0;
        chooser->acked[i] = lane->acked;
    }
}

void tmb_chooser_heard(tmb_chooser *chooser)
{
    const tmb_session *s = chooser->options.session;
    tmb_dur longest = {0};
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        bool is_answered = chooser->asked_for[i].ns > 0 && s->lanes[i].acked > chooser->acked[i];
        if (is_answered && chooser->asked_for[i].ns > longest.ns)
            longest = chooser->asked_for[i];
    }
    if (longest.ns > 0)
        tmb_choice_felt(&chooser->choice, longest, tmb_daemon_now());
}

void tmb_chooser_stats(const tmb_chooser *chooser, json_t *object)
{
    const tmb_config_endpoint *to = tmb_chooser_endpoint(chooser);
    json_t *moves = json_object();
    for (unsigned i = 0; i < TMB_CHOICE_WHYS; i++)
        (void)json_object_set_new(moves, tmb_choice_why_str((tmb_choice_why)i),
                                  json_integer((json_int_t)chooser->choice.moves[i]));
    (void)json_object_set_new(
        object, "parent",
        json_pack("{s:s, s:s, s:i, s:i, s:o, s:s, s:I, s:I}", "node",
                  chooser->options.session->parent, "host", to->host, "port", (int)to->port,
                  "choice", (int)chooser->choice.current, "moves", moves, "moved_why",
                  chooser->why ? chooser->why : "", "probes", (json_int_t)chooser->probes,
                  "probes_failed", (json_int_t)chooser->probes_failed));
}
