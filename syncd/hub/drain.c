// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/drain.c - windows for live data, one sum for all backlog, and whose turn it is.
 *
 * The round is a ring through the children with a session. A turn adds a quantum times its weight to a
 * child's deficit, and it is granted as much of that as its part of the sum leaves room for; what it cannot
 * use now is kept for its next turn, up to one quantum.
 */
#include "syncd/hub/drain.h"

#include <string.h>

#include "base/err.h"

#define RUN_SOON_MS 20
#define RUN_IDLE_MS 250

static uint64_t clamp(uint64_t v, uint64_t least, uint64_t most)
{
    return v < least ? least : v > most ? most : v;
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t live_window(const tmb_drain *d)
{
    uint64_t children = d->children > 0 ? d->children : 1;
    return clamp(d->memory / 4 / children, TMB_DRAIN_LIVE_MIN, TMB_DRAIN_LIVE_MAX);
}

uint64_t tmb_drain_limit(const tmb_drain *d)
{
    return clamp(d->rate * TMB_DRAIN_AHEAD_MS / 1000, TMB_DRAIN_LEAST_BYTES, d->memory / 2);
}

/* Small enough that each of those who wait can have one by his weight, unless that makes crumbs. */
static uint64_t quantum_of(const tmb_drain *d)
{
    uint64_t weights = d->weights > 0 ? d->weights : 1;
    return clamp(tmb_drain_limit(d) / weights, TMB_DRAIN_QUANTUM_MIN, TMB_DRAIN_QUANTUM_MAX);
}

static uint64_t unused(const tmb_drain_pool *p)
{
    return p->granted > p->spent ? p->granted - p->spent : 0;
}

/* What of the sum is this child's. Nobody can use a grant for a backlog that he has not. */
static void recount(tmb_drain *d, tmb_drain_child *c)
{
    const tmb_drain_pool *p = &c->pools[TMB_POOL_BACKLOG];
    bool counts = c->next != NULL && c->has_backlog && !c->is_lapsed;
    uint64_t counted = p->held + (counts ? unused(p) : 0);
    d->counted = d->counted - c->counted + counted;
    c->counted = counted;
}

void tmb_drain_init(tmb_drain *d, uint64_t memory, tmb_mono now)
{
    TMB_ASSERT(memory >= TMB_DRAIN_MEMORY_MIN);
    memset(d, 0, sizeof *d);
    d->memory = memory;
    d->now = now;
}

/* The rate is of busy time: how fast we would be, not how much there was to do. A faster one is believed
 * sooner. */
static void measure(tmb_drain *d, tmb_mono now)
{
    if (d->held > 0)
        d->busy_ns += now.ns - d->now.ns;
    d->now = now;
    if (d->busy_ns < (int64_t)TMB_DRAIN_SAMPLE_MS * 1000000)
        return;
    uint64_t sample = d->busy_bytes * 1000 / (uint64_t)(d->busy_ns / 1000000);
    if (d->rate == 0)
        d->rate = sample;
    else
        d->rate = sample > d->rate ? (d->rate + sample) / 2 : (3 * d->rate + sample) / 4;
    if (d->rate == 0)
        d->rate = 1; /* known to be next to nothing */
    d->busy_ns = 0;
    d->busy_bytes = 0;
}

static void grant_live(tmb_drain *d, tmb_drain_child *c)
{
    tmb_drain_pool *p = &c->pools[TMB_POOL_LIVE];
    uint64_t window = live_window(d), busy = unused(p) + p->held;
    if (busy > window / 2)
        return;
    uint64_t granted = p->spent + window - p->held;
    if (granted <= p->granted)
        return;
    c->granted[TMB_POOL_LIVE] += granted - (p->granted > p->spent ? p->granted : p->spent);
    p->granted = granted;
}

static void grant_backlog(tmb_drain *d, tmb_drain_child *c, uint64_t bytes)
{
    tmb_drain_pool *p = &c->pools[TMB_POOL_BACKLOG];
    if (unused(p) == 0)
        c->used_at = d->now;
    p->granted = (p->granted > p->spent ? p->granted : p->spent) + bytes;
    c->granted[TMB_POOL_BACKLOG] += bytes;
    recount(d, c);
}

static uint64_t part_of(const tmb_drain *d, const tmb_drain_child *c)
{
    uint64_t part = tmb_drain_limit(d) * c->weight / d->weights, least = quantum_of(d) * c->weight;
    return part > least ? part : least;
}

/* Crumbs make small batches: a child waits until there is room for half a quantum. */
static bool can_use(const tmb_drain *d, const tmb_drain_child *c)
{
    return c->has_backlog && !c->is_lapsed && c->counted + quantum_of(d) / 2 <= part_of(d, c);
}

/* One turn, or what the sum has room for of it. Gives what was granted. */
static uint64_t take_turn(tmb_drain *d, tmb_drain_child *c)
{
    uint64_t quantum = quantum_of(d);
    if (!can_use(d, c))
        return 0;
    if (!d->is_turn_begun)
        c->deficit = least_of(c->deficit + quantum * c->weight, 2 * quantum * c->weight);
    uint64_t bytes =
        least_of(least_of(c->deficit, part_of(d, c) - c->counted), tmb_drain_limit(d) - d->counted);
    c->deficit -= bytes;
    grant_backlog(d, c, bytes);
    return bytes;
}

/* A turn that the sum cut short goes on when there is room again: else weights would mean nothing. */
static void grant_in_turn(tmb_drain *d)
{
    uint64_t limit = tmb_drain_limit(d), quantum = quantum_of(d);
    unsigned passed_over = 0;
    while (d->turn && passed_over < d->children && d->counted < limit &&
           (limit - d->counted >= quantum || d->counted == 0)) {
        tmb_drain_child *c = d->turn;
        passed_over = take_turn(d, c) > 0 ? 0 : passed_over + 1;
        d->is_turn_begun = passed_over == 0 && c->deficit >= quantum / 2 && can_use(d, c);
        if (!d->is_turn_begun)
            d->turn = c->next;
    }
}

void tmb_drain_join(tmb_drain *d, tmb_drain_child *c, unsigned weight, tmb_mono now)
{
    TMB_ASSERT(weight >= 1 && weight <= TMB_DRAIN_WEIGHT_MAX);
    measure(d, now);
    tmb_drain_leave(d, c);
    c->weight = weight;
    c->deficit = 0;
    c->is_lapsed = false;
    for (unsigned i = 0; i < TMB_DRAIN_POOLS; i++)
        c->pools[i] = (tmb_drain_pool){.held = c->pools[i].held};
    c->next = d->turn ? d->turn : c;
    c->before = d->turn ? d->turn->before : c;
    c->next->before = c->before->next = c;
    d->turn = d->turn ? d->turn : c;
    d->children++;
    c->used_at = c->told_at = now;
    grant_live(d, c);
    c->pools[TMB_POOL_LIVE].told = c->pools[TMB_POOL_LIVE].granted;
    recount(d, c);
}

void tmb_drain_leave(tmb_drain *d, tmb_drain_child *c)
{
    if (!c->next)
        return;
    tmb_drain_backlog(d, c, false, d->now);
    if (d->turn == c) {
        d->turn = c->next != c ? c->next : NULL;
        d->is_turn_begun = false;
    }
    if (d->tell == c)
        d->tell = NULL;
    c->next->before = c->before;
    c->before->next = c->next;
    c->next = c->before = NULL;
    d->children--;
    recount(d, c);
}

void tmb_drain_backlog(tmb_drain *d, tmb_drain_child *c, bool has_backlog, tmb_mono now)
{
    if (!c->next || c->has_backlog == has_backlog)
        return;
    c->has_backlog = has_backlog;
    c->used_at = now;
    c->is_lapsed = false;
    d->waiting = has_backlog ? d->waiting + 1 : d->waiting - 1;
    d->weights = has_backlog ? d->weights + c->weight : d->weights - c->weight;
    recount(d, c);
}

/* Whether the credits cover it. `before` is what was spent before this batch. */
static bool is_within(const tmb_drain *d, tmb_drain_child *c, tmb_pool pool, uint64_t before)
{
    TMB_ASSERT(pool == TMB_POOL_LIVE || pool == TMB_POOL_BACKLOG);
    tmb_drain_pool *p = &c->pools[pool];
    if (p->spent <= p->granted)
        return true;
    if (pool == TMB_POOL_LIVE && p->spent <= p->granted + live_window(d))
        return true; /* what is urgent does not wait for its credit when nothing of its kind is on its way */
    if (p->held == 0 && (pool == TMB_POOL_LIVE || before < p->granted))
        return true;
    bool is_owed = p->is_owed;
    p->is_owed = false;
    return is_owed;
}

/* What was sent is within its credit or not; is there room for it? */
static tmb_drain_verdict hold(tmb_drain *d, tmb_drain_child *c, tmb_pool pool, uint64_t bytes,
                              bool is_over)
{
    tmb_drain_verdict verdict = is_over ? TMB_DRAIN_OVER : TMB_DRAIN_TAKEN;
    if (verdict == TMB_DRAIN_TAKEN && d->held > 0 && d->held + bytes > d->memory)
        verdict = TMB_DRAIN_NO_ROOM;
    c->over += verdict == TMB_DRAIN_OVER;
    c->no_room += verdict == TMB_DRAIN_NO_ROOM;
    if (verdict == TMB_DRAIN_TAKEN) {
        c->taken[pool] += bytes;
        c->pools[pool].held += bytes;
        d->held += bytes;
        if (d->held_max < d->held)
            d->held_max = d->held;
    }
    recount(d, c);
    return verdict;
}

tmb_drain_verdict tmb_drain_take(tmb_drain *d, tmb_drain_child *c, tmb_pool pool, uint64_t bytes,
                                 uint64_t spent, tmb_mono now)
{
    tmb_drain_pool *p = &c->pools[pool];
    bool is_over = false;
    measure(d, now);
    if (c->next) {
        uint64_t least = p->spent + bytes;
        uint64_t most = (p->granted > p->spent ? p->granted : p->spent) + TMB_BATCH_BYTES_MAX;
        p->spent = clamp(spent, least, most > least ? most : least);
        if (pool == TMB_POOL_BACKLOG) {
            c->used_at = now;
            c->is_lapsed = false;
        }
        is_over = !is_within(d, c, pool, p->spent - bytes);
    }
    return hold(d, c, pool, bytes, is_over);
}

tmb_drain_verdict tmb_drain_take_joined(tmb_drain *d, tmb_drain_child *c, tmb_pool pool,
                                        uint64_t bytes, uint64_t spent, tmb_mono now)
{
    tmb_drain_pool *p = &c->pools[pool];
    if (spent == 0 || spent > p->spent || !c->next)
        return tmb_drain_take(d, c, pool, bytes, spent, now);
    measure(d, now);
    return hold(d, c, pool, bytes, false);
}

void tmb_drain_part(tmb_drain *d, tmb_drain_child *c, tmb_pool pool, uint64_t spent, tmb_mono now)
{
    tmb_drain_pool *p = &c->pools[pool];
    measure(d, now);
    if (!c->next || spent <= p->spent)
        return;
    p->spent =
        least_of(spent, (p->granted > p->spent ? p->granted : p->spent) + TMB_BATCH_BYTES_MAX);
    if (pool == TMB_POOL_BACKLOG) {
        c->used_at = now;
        c->is_lapsed = false;
    }
    recount(d, c);
}

void tmb_drain_done(tmb_drain *d, tmb_drain_child *c, tmb_pool pool, uint64_t bytes,
                    bool is_committed, tmb_mono now)
{
    tmb_drain_pool *p = &c->pools[pool];
    TMB_ASSERT(p->held >= bytes && d->held >= bytes);
    if (is_committed)
        d->busy_bytes += bytes;
    measure(d, now);
    p->held -= bytes;
    d->held -= bytes;
    recount(d, c);
}

void tmb_drain_owe(tmb_drain_child *c)
{
    c->pools[TMB_POOL_LIVE].is_owed = c->pools[TMB_POOL_BACKLOG].is_owed = true;
}

static void lapse(tmb_drain *d, tmb_drain_child *c)
{
    if (!c->has_backlog || c->is_lapsed || c->pools[TMB_POOL_BACKLOG].held > 0 ||
        unused(&c->pools[TMB_POOL_BACKLOG]) == 0 ||
        d->now.ns - c->used_at.ns < (int64_t)TMB_DRAIN_LAPSE_MS * 1000000)
        return;
    c->is_lapsed = true;
    recount(d, c);
}

void tmb_drain_run(tmb_drain *d, tmb_mono now)
{
    measure(d, now);
    tmb_drain_child *c = d->turn;
    for (unsigned i = 0; i < d->children; i++, c = c->next) {
        lapse(d, c);
        grant_live(d, c);
    }
    grant_in_turn(d);
    tmb_drain_check(d);
}

tmb_drain_child *tmb_drain_next(tmb_drain *d, tmb_mono now)
{
    tmb_drain_child *c = d->tell ? d->tell : d->turn;
    for (unsigned i = 0; i < d->children; i++, c = c->next) {
        tmb_drain_pool *live = &c->pools[TMB_POOL_LIVE], *backlog = &c->pools[TMB_POOL_BACKLOG];
        bool is_news = live->granted > live->told || backlog->granted > backlog->told;
        int64_t again_ms = c->is_lapsed ? TMB_DRAIN_TELL_LAPSED_MS : TMB_DRAIN_TELL_MS;
        int64_t since_ns = c->told_at.ns > c->used_at.ns ? c->told_at.ns : c->used_at.ns;
        bool is_again =
            c->has_backlog && unused(backlog) > 0 && now.ns - since_ns >= again_ms * 1000000;
        if (!is_news && !is_again)
            continue;
        live->told = live->granted;
        backlog->told = backlog->granted;
        c->told_at = now;
        d->tell =
            c->next; /* a round of many looks at each once or twice, not once for each it tells */
        return c;
    }
    return NULL;
}

/* A backlog changes from call to call; time alone changes the rate, what has lapsed, and what is told
 * again. */
unsigned tmb_drain_wait_ms(const tmb_drain *d)
{
    if (d->held > 0)
        return RUN_SOON_MS;
    return d->waiting > 0 ? RUN_IDLE_MS : 0;
}

void tmb_drain_check(const tmb_drain *d)
{
    TMB_ASSERT((d->turn == NULL) == (d->children == 0));
    uint64_t counted = 0, weights = 0;
    unsigned waiting = 0;
    const tmb_drain_child *c = d->turn;
    for (unsigned i = 0; i < d->children; i++, c = c->next) {
        TMB_ASSERT(c->next->before == c && c->before->next == c);
        counted += c->counted;
        waiting += c->has_backlog;
        weights += c->has_backlog ? c->weight : 0;
    }
    TMB_ASSERT(c == d->turn);
    TMB_ASSERT(counted <= d->counted && waiting == d->waiting && weights == d->weights);
}
