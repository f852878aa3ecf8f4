// SPDX-License-Identifier: Apache-2.0
/* tests/property/drain_fair.c - children with a backlog at one hub, both ends of the credits, a simulated
 * line and a simulated disk. Random numbers of children, weights, rates, round trips and lost CREDIT frames.
 *
 *   child: tmb_credit --batch, after its line--> hub: tmb_drain, then one commit after another, live first
 *          <--CREDIT or ACK, half a round trip later; CREDIT may be lost--
 *
 * Holds for every seed: what is granted is never above half the memory, what is held never above the memory;
 * nobody who keeps to his credits is refused; what was drained of each, by his weight, is fair (Jain's index
 * at least 0.95) among those whose line is not the limit; nobody starves; live records never wait for credit
 * or behind more than the batch that is being committed.
 * TMB_SEED=N for one seed, TMB_RUNS for more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "syncd/hub/drain.h"
#include "syncd/session/credit.h"

enum {
    CHILDREN_MAX = 32,
    SENT_MAX = 8,
    STEP_MS = 5,
    RUN_MS = 40000,
    BATCH = 256 * 1024,
    LIVE_BYTES = 300,
    LIVE_EVERY_MS = 200
};

typedef struct sent {
    tmb_pool pool;
    uint32_t bytes;
    uint64_t spent;
    int64_t said_ms, there_ms, acked_ms; /* acked_ms: 0: not committed yet */
    enum { FREE, ON_LINE, AT_HUB } where;
} sent;

typedef struct child {
    tmb_credit credit;
    tmb_drain_child drain;
    sent sent[SENT_MAX + 2]; /* two places for what is live */
    int64_t line_free_ms, half_trip_ms, live_due_ms, live_since_ms;
    uint64_t line_rate; /* bytes a ms */
    uint64_t drained;
    unsigned weight;
    tmb_frame_credit coming;
    int64_t coming_ms; /* 0: none */
} child;

typedef struct hub {
    tmb_drain drain;
    uint64_t rate; /* bytes a ms it commits */
    sent *now;     /* being committed, of whom, until when */
    child *of;
    int64_t done_ms;
    int64_t stalls_ms; /* it commits nothing for two seconds from then */
} hub;

static child children[CHILDREN_MAX];
static hub at_hub;
static tmb_rng rng;
static unsigned children_count, lost_percent;
static int64_t worst_live_ms;
static uint64_t seed;

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, what);
    abort();
}

static uint64_t between(uint64_t least, uint64_t most)
{
    return least + tmb_rng_below(&rng, most - least + 1);
}

static tmb_mono at_ms(int64_t ms)
{
    return (tmb_mono){ms * 1000000};
}

static tmb_credit_use use_of(const child *c, tmb_pool pool)
{
    tmb_credit_use use = {0};
    for (unsigned i = 0; i < SENT_MAX + 2; i++)
        use.inflight += c->sent[i].where != FREE && c->sent[i].pool == pool;
    return use;
}

static sent *place(child *c, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        if (c->sent[i].where == FREE)
            return &c->sent[i];
    }
    return NULL;
}

static void send(child *c, sent *s, tmb_pool pool, uint32_t bytes, int64_t now_ms)
{
    tmb_credit_use use = use_of(c, pool);
    must(tmb_credit_fits(&c->credit, pool, &use, bytes), "a load that was asked for did not fit");
    int64_t begin_ms =
        c->line_free_ms > now_ms && pool == TMB_POOL_BACKLOG ? c->line_free_ms : now_ms;
    int64_t took_ms = (int64_t)(bytes / c->line_rate);
    if (pool == TMB_POOL_BACKLOG)
        c->line_free_ms = begin_ms + took_ms;
    *s = (sent){.pool = pool, .bytes = bytes, .where = ON_LINE, .said_ms = now_ms};
    s->spent = tmb_credit_spend(&c->credit, pool, bytes);
    s->there_ms = begin_ms + took_ms + c->half_trip_ms;
}

static void child_says(child *c, int64_t now_ms)
{
    if (c->coming_ms != 0 && c->coming_ms <= now_ms) {
        tmb_credit_raise(&c->credit, &c->coming);
        c->coming_ms = 0;
    }
    sent *live = place(c, SENT_MAX, SENT_MAX + 2);
    if (now_ms >= c->live_due_ms && live) {
        tmb_credit_use use = use_of(c, TMB_POOL_LIVE);
        must(tmb_credit_load_bytes(&c->credit, TMB_POOL_LIVE, TMB_CLASS_TELEMETRY, &use,
                                   LIVE_BYTES) > 0,
             "a live record has no credit");
        send(c, live, TMB_POOL_LIVE, LIVE_BYTES, now_ms);
        c->live_due_ms = now_ms + LIVE_EVERY_MS;
    }
    sent *s = place(c, 0, SENT_MAX);
    tmb_credit_use use = use_of(c, TMB_POOL_BACKLOG);
    if (!s || c->line_free_ms > now_ms)
        return;
    uint32_t bytes =
        tmb_credit_load_bytes(&c->credit, TMB_POOL_BACKLOG, TMB_CLASS_TELEMETRY, &use, BATCH);
    if (bytes > 0)
        send(c, s, TMB_POOL_BACKLOG, bytes, now_ms);
}

/* In the order in which they were said: what the link keeps. */
static sent *next_arrival(child *c, int64_t now_ms)
{
    sent *next = NULL;
    for (unsigned i = 0; i < SENT_MAX + 2; i++) {
        sent *s = &c->sent[i];
        if (s->where == ON_LINE && s->there_ms <= now_ms && (!next || s->spent < next->spent))
            next = s;
    }
    return next;
}

static void hub_hears(child *c, int64_t now_ms)
{
    for (sent *s = next_arrival(c, now_ms); s; s = next_arrival(c, now_ms)) {
        must(tmb_drain_take(&at_hub.drain, &c->drain, s->pool, s->bytes, s->spent, at_ms(now_ms)) ==
                 TMB_DRAIN_TAKEN,
             "a batch within its credit was refused");
        s->where = AT_HUB;
        s->acked_ms = 0;
    }
    for (unsigned i = 0; i < SENT_MAX + 2; i++) {
        sent *s = &c->sent[i];
        if (s->where == AT_HUB && s->acked_ms != 0 && s->acked_ms <= now_ms)
            s->where = FREE;
    }
}

/* The oldest that is here and not committed; live before backlog. */
static sent *next_commit(child **ret_child)
{
    sent *next = NULL;
    for (unsigned i = 0; i < children_count; i++) {
        for (unsigned k = 0; k < SENT_MAX + 2; k++) {
            sent *s = &children[i].sent[k];
            bool is_before = !next || s->pool < next->pool ||
                             (s->pool == next->pool && s->there_ms < next->there_ms);
            if (s->where == AT_HUB && s->acked_ms == 0 && is_before) {
                next = s;
                *ret_child = &children[i];
            }
        }
    }
    return next;
}

static void finish(child *c, sent *s, int64_t now_ms)
{
    s->acked_ms = now_ms + c->half_trip_ms;
    tmb_drain_done(&at_hub.drain, &c->drain, s->pool, s->bytes, true, at_ms(now_ms));
    if (s->pool == TMB_POOL_BACKLOG) {
        c->drained += s->bytes;
        return;
    }
    int64_t took_ms = now_ms - s->there_ms;
    bool is_stalled = s->there_ms > at_hub.stalls_ms - 500 && s->there_ms < at_hub.stalls_ms + 2500;
    if (took_ms > worst_live_ms && !is_stalled)
        worst_live_ms = took_ms;
}

static void hub_commits(int64_t now_ms)
{
    if (at_hub.stalls_ms <= now_ms && now_ms < at_hub.stalls_ms + 2000) {
        at_hub.done_ms += at_hub.now ? STEP_MS : 0;
        return;
    }
    for (;;) {
        if (at_hub.now && at_hub.done_ms > now_ms)
            return;
        int64_t begin_ms = now_ms - STEP_MS;
        if (at_hub.now) {
            begin_ms = at_hub.done_ms;
            finish(at_hub.of, at_hub.now, at_hub.done_ms);
            at_hub.now = NULL;
        }
        at_hub.now = next_commit(&at_hub.of);
        if (!at_hub.now)
            return;
        int64_t there_ms = at_hub.now->there_ms;
        at_hub.done_ms = (there_ms > begin_ms ? there_ms : begin_ms) + 1 +
                         (int64_t)(at_hub.now->bytes / at_hub.rate);
    }
}

static void hub_grants(int64_t now_ms)
{
    tmb_drain *d = &at_hub.drain;
    tmb_drain_run(d, at_ms(now_ms));
    must(d->counted <= d->memory / 2, "more is granted than half the memory");
    must(d->held <= d->memory, "more is held than the memory");
    for (tmb_drain_child *c = tmb_drain_next(d, at_ms(now_ms)); c;
         c = tmb_drain_next(d, at_ms(now_ms))) {
        child *to = (child *)(void *)((char *)c - offsetof(child, drain));
        if (tmb_rng_below(&rng, 100) < lost_percent)
            continue;
        to->coming = (tmb_frame_credit){1, c->pools[0].granted, c->pools[1].granted, 0};
        to->coming_ms = now_ms + to->half_trip_ms;
    }
}

static void draw_world(void)
{
    memset(children, 0, sizeof children);
    memset(&at_hub, 0, sizeof at_hub);
    rng.state = seed;
    children_count = (unsigned)between(2, CHILDREN_MAX);
    lost_percent = between(0, 1) ? (unsigned)between(0, 20) : 0;
    at_hub.rate = between(500, 4000);
    at_hub.stalls_ms = between(0, 1) ? (int64_t)between(2000, 20000) : -10000;
    tmb_drain_init(&at_hub.drain, between(8, 64) << 20, at_ms(0));
    for (unsigned i = 0; i < children_count; i++) {
        child *c = &children[i];
        c->weight = (unsigned)between(1, 4);
        c->half_trip_ms = (int64_t)between(1, 100);
        c->line_rate = between(0, 3) == 0 ? between(50, 400) : 100000;
        c->live_due_ms = (int64_t)between(1, 500);
        tmb_drain_join(&at_hub.drain, &c->drain, c->weight, at_ms(0));
        tmb_drain_backlog(&at_hub.drain, &c->drain, true, at_ms(0));
        tmb_frame_welcome welcome = {.version = 2, .has_credit = true};
        welcome.live_bytes = c->drain.pools[TMB_POOL_LIVE].granted;
        tmb_credit_begin(&c->credit, &welcome);
    }
}

static uint64_t drained_before[CHILDREN_MAX];

/* Of the second half, in which the rate is known. Drained bytes by weight, in 1/1024. */
static void judge(void)
{
    double sum = 0, squares = 0;
    unsigned counted = 0;
    uint64_t all = 0, weights = 0;
    for (unsigned i = 0; i < children_count; i++) {
        all += children[i].drained - drained_before[i];
        weights += children[i].weight;
    }
    for (unsigned i = 0; i < children_count; i++) {
        const child *c = &children[i];
        uint64_t drained = c->drained - drained_before[i];
        uint64_t fair = all * c->weight / weights;
        uint64_t line = c->line_rate * (RUN_MS / 2);
        must(drained > 0, "somebody starved");
        must(drained * 3 >= (fair < line ? fair : line),
             "somebody got less than a third of his part");
        if (line < fair * 4)
            continue;
        double part = (double)drained / c->weight;
        sum += part;
        squares += part * part;
        counted++;
    }
    double jain = counted > 0 ? sum * sum / (counted * squares) : 1;
    /* Who had one turn and who had two differs by the half: it is seen when there were some rounds. */
    must(jain >= 0.95 || all / weights < 4 * TMB_DRAIN_QUANTUM_MIN, "not fair");
    int64_t one_ms = (int64_t)(BATCH / at_hub.rate);
    must(worst_live_ms <= one_ms + 4 * STEP_MS, "a live record waited behind more than one batch");
    must(all >= at_hub.rate * (RUN_MS / 2) / 2 || counted < children_count || lost_percent > 0 ||
             at_hub.stalls_ms > 0,
         "the hub was left idle");
}

static void run(void)
{
    draw_world();
    worst_live_ms = 0;
    for (int64_t now_ms = STEP_MS; now_ms <= RUN_MS; now_ms += STEP_MS) {
        for (unsigned i = 0; i < children_count; i++) {
            child_says(&children[i], now_ms);
            hub_hears(&children[i], now_ms);
            if (now_ms == RUN_MS / 2)
                drained_before[i] = children[i].drained;
        }
        hub_commits(now_ms);
        if (now_ms % 20 == 0)
            hub_grants(now_ms);
    }
    judge();
}

int main(void)
{
    const char *one = getenv("TMB_SEED"), *runs = getenv("TMB_RUNS");
    uint64_t first = one ? strtoull(one, NULL, 0) : 1;
    uint64_t count = one ? 1 : runs ? strtoull(runs, NULL, 0) : 60;
    for (seed = first; seed < first + count; seed++)
        run();
    printf("seed %llu to %llu hold\n", (unsigned long long)first, (unsigned long long)(seed - 1));
    return 0;
}
