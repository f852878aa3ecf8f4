// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/credits.c - see credits.h. */
#include "syncd/daemon/credits.h"

#include <utlist.h>

#include "policy/policy.h"
#include "policy/weights.h"
#include "syncd/daemon/gate.h"

#define TELL_SOON_MS     5 /* what comes within it is granted together */
#define WAIT_OVER_MS     1000
#define TELL_WINDOW_PART 10  /* a window that is off by less is not told again */
#define TELL_WINDOW_MAX  256 /* in a tick */
#define WAIT_NO_ROOM_MS  300

static void arm(tmb_hub *hub, unsigned ms);

static void tell(tmb_child *child)
{
    const tmb_drain_pool *pools = child->drain.pools;
    tmb_frame frame = {.type = TMB_FRAME_CREDIT};
    child->window_ms = tmb_gate_window_ms(child->hub->gate);
    frame.u.credit = (tmb_frame_credit){child->intake.session, pools[TMB_POOL_LIVE].granted,
                                        pools[TMB_POOL_BACKLOG].granted, child->window_ms};
    tmb_child_send(child->hub, child->name, &frame);
}

/* A window that was told and is not true any more: a hub knows what it can do after its first herd only. */
void tmb_credits_tick(tmb_hub *hub)
{
    unsigned told = 0;
    for (tmb_child *child = hub ? hub->children : NULL; child && told < TELL_WINDOW_MAX;
         child = child->hh.next) {
        uint32_t now_ms = tmb_gate_window_ms(hub->gate), then_ms = child->window_ms;
        uint32_t off_ms = now_ms > then_ms ? now_ms - then_ms : then_ms - now_ms;
        if (child->intake.state != TMB_INTAKE_OPEN || child->intake.version < 2 ||
            off_ms <= then_ms / TELL_WINDOW_PART)
            continue;
        tell(child);
        told++;
    }
}

static void run(uv_timer_t *timer)
{
    tmb_hub *hub = timer->data;
    tmb_drain *drain = &hub->drain;
    tmb_mono now = tmb_daemon_now();
    tmb_drain_run(drain, now);
    for (tmb_drain_child *c = tmb_drain_next(drain, now); c; c = tmb_drain_next(drain, now)) {
        tmb_child *child = (tmb_child *)(void *)((char *)c - offsetof(tmb_child, drain));
        tell(child);
    }
    if (tmb_drain_wait_ms(drain) > 0)
        arm(hub, tmb_drain_wait_ms(drain));
}

static void arm(tmb_hub *hub, unsigned ms)
{
    uv_handle_t *handle = (uv_handle_t *)&hub->drain_timer;
    if (hub->is_stopping || uv_is_closing(handle))
        return;
    if (!uv_is_active(handle) || uv_timer_get_due_in(&hub->drain_timer) > ms)
        (void)uv_timer_start(&hub->drain_timer, run, ms, 0);
}

void tmb_credits_start(tmb_hub *hub)
{
    tmb_drain_init(&hub->drain, hub->daemon->config->children_memory, tmb_daemon_now());
    (void)uv_timer_init(&hub->daemon->loop, &hub->drain_timer);
    hub->drain_timer.data = hub;
}

void tmb_credits_stop(tmb_hub *hub)
{
    uv_close((uv_handle_t *)&hub->drain_timer, NULL);
}

void tmb_credits_offer(tmb_child *child, tmb_intake_event *event)
{
    tmb_hub *hub = child->hub;
    const tmb_intake *intake = &child->intake;
    if (intake->state != TMB_INTAKE_GREETING || intake->version < 2 ||
        event->u.marks.session != intake->session)
        return;
    unsigned weight =
        tmb_weight_of(hub->daemon->config->children_weights, tmb_bytes_str(child->name));
    tmb_drain_join(&hub->drain, &child->drain, weight, tmb_daemon_now());
    event->u.marks.has_credit = true;
    event->u.marks.live_bytes = child->drain.pools[TMB_POOL_LIVE].granted;
    event->u.marks.backlog_bytes = child->drain.pools[TMB_POOL_BACKLOG].granted;
}

uint32_t tmb_credits_take(tmb_batch *batch)
{
    tmb_child *child = batch->child;
    const tmb_frame_batch *b = &batch->frame.u.batch;
    if (child->intake.state != TMB_INTAKE_OPEN || b->session != child->intake.session)
        return 0; /* the intake drops it */
    if (b->piece_total != 0)
        return 0; /* likewise, and what it is part of is accounted for when it is whole */
    tmb_drain_verdict verdict = (batch->joined ? tmb_drain_take_joined : tmb_drain_take)(
        &child->hub->drain, &child->drain, b->pool, b->data.len, b->spent, tmb_daemon_now());
    arm(child->hub, TELL_SOON_MS);
    if (verdict == TMB_DRAIN_TAKEN) {
        batch->is_held = true;
        return 0;
    }
    return verdict == TMB_DRAIN_OVER ? WAIT_OVER_MS : WAIT_NO_ROOM_MS;
}

void tmb_credits_part(tmb_child *child, const tmb_frame_batch *piece)
{
    tmb_drain_part(&child->hub->drain, &child->drain, piece->pool, piece->spent, tmb_daemon_now());
    arm(child->hub, TELL_SOON_MS);
}

/* The first of a pool that waits and may go on. */
static tmb_batch *first_of(const tmb_hub *hub, tmb_pool pool)
{
    unsigned most = pool == TMB_POOL_LIVE ? TMB_COMMITS_LIVE_MAX : TMB_COMMITS_BACKLOG_MAX;
    return hub->committing[pool] < most ? hub->turns[pool] : NULL;
}

/* Live before backlog, but for the floor. */
static tmb_batch *next_in_turn(tmb_hub *hub)
{
    tmb_batch *live = first_of(hub, TMB_POOL_LIVE), *backlog = first_of(hub, TMB_POOL_BACKLOG);
    bool is_live_first = live && (!backlog || hub->live_turns < TMB_COMMITS_FLOOR);
    tmb_batch *batch = is_live_first ? live : backlog;
    if (!batch)
        return NULL;
    uint64_t most = hub->daemon->config->children_memory / TMB_COMMIT_PARTS;
    bool has_room = hub->committing_bytes == 0 ||
                    hub->committing_bytes + batch->frame.u.batch.raw_bytes <= most;
    return has_room ? batch : NULL;
}

static void go_on(tmb_hub *hub)
{
    if (hub->is_stopping)
        return;
    for (tmb_batch *batch = next_in_turn(hub); batch; batch = next_in_turn(hub)) {
        tmb_pool pool = batch->frame.u.batch.pool;
        DL_DELETE2(hub->turns[pool], batch, turn_before, turn_next);
        batch->is_waiting = false;
        batch->is_committing = true;
        hub->committing[pool]++;
        hub->live_turns = pool == TMB_POOL_LIVE ? hub->live_turns + 1 : 0;
        hub->committing_bytes += batch->frame.u.batch.raw_bytes;
        tmb_child_commit(batch);
    }
}

void tmb_credits_begin(tmb_batch *batch)
{
    tmb_hub *hub = batch->child->hub;
    batch->is_waiting = true;
    DL_APPEND2(hub->turns[batch->frame.u.batch.pool], batch, turn_before, turn_next);
    go_on(hub);
}

void tmb_credits_free(tmb_batch *batch)
{
    tmb_hub *hub = batch->child->hub;
    const tmb_frame_batch *b = &batch->frame.u.batch;
    if (batch->is_waiting)
        DL_DELETE2(hub->turns[b->pool], batch, turn_before, turn_next);
    if (batch->is_held) {
        tmb_drain_done(&hub->drain, &batch->child->drain, b->pool, b->data.len, batch->is_committed,
                       tmb_daemon_now());
        arm(hub, TELL_SOON_MS);
    }
    if (!batch->is_committing)
        return;
    hub->committing[b->pool]--;
    hub->committing_bytes -= b->raw_bytes;
    go_on(hub);
}

void tmb_credits_look(tmb_child *child)
{
    tmb_drain *drain = &child->hub->drain;
    const tmb_intake *intake = &child->intake;
    if (!child->drain.next)
        return;
    if (intake->state != TMB_INTAKE_OPEN) {
        tmb_drain_leave(drain, &child->drain);
        return;
    }
    bool has_backlog = false;
    for (unsigned i = 0; i < intake->lanes_count && !has_backlog; i++) {
        const tmb_intake_lane *lane = &intake->lanes[i];
        /* A lane of its own for what is new holds nothing that is old. */
        has_backlog = lane->class_ > TMB_CLASS_ALARM && lane->received < lane->last_seq &&
                      !tmb_policy_is_live_lane(tmb_bytes_str(lane->stream));
    }
    bool is_news = has_backlog != child->drain.has_backlog;
    tmb_drain_backlog(drain, &child->drain, has_backlog, tmb_daemon_now());
    if (is_news)
        arm(child->hub, 0);
}

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

json_t *tmb_credits_child_stats(const tmb_child *child)
{
    static const char *const names[] = {"live", "backlog"};
    const tmb_drain_child *c = &child->drain;
    json_t *credit =
        json_pack("{s:b, s:b, s:o, s:o}", "limited", c->next != NULL, "backlog_left",
                  c->has_backlog, "over", number(c->over), "no_room", number(c->no_room));
    for (unsigned i = 0; i < TMB_DRAIN_POOLS && credit; i++) {
        const tmb_drain_pool *p = &c->pools[i];
        uint64_t unused = p->granted > p->spent ? p->granted - p->spent : 0;
        (void)json_object_set_new(credit, names[i],
                                  json_pack("{s:o, s:o, s:o, s:o}", "granted_bytes",
                                            number(c->granted[i]), "used_bytes",
                                            number(c->taken[i]), "unused_bytes", number(unused),
                                            "held_bytes", number(p->held)));
    }
    return credit;
}

json_t *tmb_credits_stats(const tmb_hub *hub)
{
    const tmb_drain *d = &hub->drain;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "memory_bytes", number(d->memory),
                     "held_bytes", number(d->held), "held_bytes_max", number(d->held_max),
                     "backlog_bytes", number(d->counted), "backlog_limit_bytes",
                     number(tmb_drain_limit(d)), "rate_bytes_per_s", number(d->rate), "children",
                     number(d->children), "children_with_backlog", number(d->waiting));
}

json_t *tmb_credits_uplink_stats(const tmb_credit *credit)
{
    static const char *const left[] = {"live_bytes", "backlog_bytes"};
    static const char *const blocked[] = {"live_blocked_ms", "backlog_blocked_ms"};
    json_t *object = json_pack("{s:b}", "limited", credit->is_limited);
    for (unsigned i = 0; i < TMB_DRAIN_POOLS && object; i++) {
        const tmb_credit_pool *p = &credit->pools[i];
        uint64_t bytes = p->granted > p->spent ? p->granted - p->spent : 0;
        (void)json_object_set_new(object, left[i], number(bytes));
        (void)json_object_set_new(object, blocked[i], number((uint64_t)(p->blocked.ns / 1000000)));
    }
    return object;
}
