// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/asks.c - see asks.h. */
#include "syncd/daemon/asks.h"

#include <stdlib.h>

#include "syncd/daemon/uplink.h"

typedef struct waiting {
    uint64_t id; /* 0: free */
    tmb_mono deadline;
    tmb_asks_done *done;
    void *arg;
} waiting;

struct tmb_asks {
    tmb_daemon *daemon;
    uv_timer_t timer;
    bool is_stopping;
    uint64_t last_id;
    waiting v[TMB_ASKS_MAX];
    uint64_t sent, told, unanswered, unasked;
};

static void arm(tmb_asks *asks);

static void finish(waiting *w, const tmb_frame_told *told)
{
    waiting mine = *w;
    w->id = 0; /* done may ask again */
    mine.done(mine.arg, told);
}

static void on_timer(uv_timer_t *timer)
{
    tmb_asks *asks = timer->data;
    tmb_mono now = tmb_daemon_now();
    for (unsigned i = 0; i < TMB_ASKS_MAX; i++) {
        if (asks->v[i].id == 0 || !tmb_mono_is_due(asks->v[i].deadline, now))
            continue;
        asks->unanswered++;
        finish(&asks->v[i], NULL);
    }
    arm(asks);
}

static void arm(tmb_asks *asks)
{
    tmb_mono first = tmb_mono_never();
    for (unsigned i = 0; i < TMB_ASKS_MAX; i++) {
        if (asks->v[i].id != 0)
            first = tmb_mono_min(first, asks->v[i].deadline);
    }
    if (asks->is_stopping || first.ns == INT64_MAX)
        return;
    uv_update_time(&asks->daemon->loop);
    (void)uv_timer_start(&asks->timer, on_timer, tmb_ms_until(first, tmb_daemon_now()), 0);
}

tmb_err tmb_asks_new(tmb_daemon *d, tmb_asks **ret)
{
    tmb_asks *asks = calloc(1, sizeof *asks);
    if (!asks)
        return TMB_ENOMEM;
    asks->daemon = d;
    (void)uv_timer_init(&d->loop, &asks->timer);
    asks->timer.data = asks;
    *ret = asks;
    return TMB_OK;
}

void tmb_asks_stop(tmb_asks *asks)
{
    if (!asks || asks->is_stopping)
        return;
    asks->is_stopping = true;
    uv_close((uv_handle_t *)&asks->timer, NULL);
    for (unsigned i = 0; i < TMB_ASKS_MAX; i++)
        if (asks->v[i].id != 0)
            finish(&asks->v[i], NULL);
}

void tmb_asks_free(tmb_asks *asks)
{
    free(asks);
}

static waiting *find(tmb_asks *asks, uint64_t id)
{
    for (unsigned i = 0; i < TMB_ASKS_MAX; i++) {
        if (asks->v[i].id == id)
            return &asks->v[i];
    }
    return NULL;
}

bool tmb_asks_send(tmb_asks *asks, const tmb_frame_ask *ask, uint64_t wait_ms, tmb_asks_done *done,
                   void *arg)
{
    if (asks->is_stopping || !tmb_uplink_can_ask(asks->daemon->uplink))
        return false;
    waiting *w = find(asks, 0);
    tmb_frame frame = {.type = TMB_FRAME_ASK};
    frame.u.ask = *ask;
    frame.u.ask.id = asks->last_id + 1;
    if (!w || !tmb_uplink_ask(asks->daemon->uplink, &frame)) {
        asks->unasked++;
        return false;
    }
    asks->sent++;
    w->id = ++asks->last_id;
    w->deadline = tmb_mono_after(tmb_daemon_now(), tmb_dur_ms((int64_t)wait_ms));
    w->done = done;
    w->arg = arg;
    arm(asks);
    return true;
}

void tmb_asks_told(tmb_asks *asks, const tmb_frame_told *told)
{
    waiting *w = asks && told->id != 0 && !asks->is_stopping ? find(asks, told->id) : NULL;
    if (!w)
        return;
    asks->told++;
    finish(w, told);
}

void tmb_asks_stats(const tmb_asks *asks, json_t *object)
{
    (void)json_object_set_new(object, "asks",
                              json_pack("{s:I, s:I, s:I, s:I}", "sent", (json_int_t)asks->sent,
                                        "told", (json_int_t)asks->told, "unanswered",
                                        (json_int_t)asks->unanswered, "unasked",
                                        (json_int_t)asks->unasked));
}
