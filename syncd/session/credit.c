// SPDX-License-Identifier: Apache-2.0
/* syncd/session/credit.c - see credit.h. */
#include "syncd/session/credit.h"

#define RESERVE_PARTS 4

tmb_pool tmb_credit_pool_of(tmb_class class_, uint64_t seq, uint64_t told_last_seq)
{
    return class_ > TMB_CLASS_ALARM && seq <= told_last_seq ? TMB_POOL_BACKLOG : TMB_POOL_LIVE;
}

void tmb_credit_begin(tmb_credit *c, const tmb_frame_welcome *welcome)
{
    c->is_limited = welcome->version >= 2 && welcome->has_credit;
    c->reserve = c->is_limited ? welcome->live_bytes / RESERVE_PARTS : 0;
    for (unsigned i = 0; i < 2; i++) {
        c->pools[i].granted = c->pools[i].spent = 0;
        c->pools[i].is_owed = false;
    }
    if (!c->is_limited)
        return;
    c->pools[TMB_POOL_LIVE].granted = welcome->live_bytes;
    c->pools[TMB_POOL_BACKLOG].granted = welcome->backlog_bytes;
}

void tmb_credit_raise(tmb_credit *c, const tmb_frame_credit *frame)
{
    tmb_credit_pool *live = &c->pools[TMB_POOL_LIVE], *backlog = &c->pools[TMB_POOL_BACKLOG];
    if (live->granted < frame->live_bytes)
        live->granted = frame->live_bytes;
    if (backlog->granted < frame->backlog_bytes)
        backlog->granted = frame->backlog_bytes;
}

void tmb_credit_owe(tmb_credit *c)
{
    c->pools[TMB_POOL_LIVE].is_owed = c->pools[TMB_POOL_BACKLOG].is_owed = true;
}

static uint64_t left_of(const tmb_credit_pool *p, const tmb_credit_use *use)
{
    uint64_t gone = p->spent + use->loading_bytes;
    return p->granted > gone ? p->granted - gone : 0;
}

static bool may_go_alone(const tmb_credit_pool *p, tmb_pool pool, const tmb_credit_use *use)
{
    return use->loads + use->inflight == 0 &&
           (pool == TMB_POOL_LIVE || p->is_owed || p->granted > p->spent);
}

uint32_t tmb_credit_load_bytes(const tmb_credit *c, tmb_pool pool, tmb_class class_,
                               const tmb_credit_use *use, uint32_t wanted)
{
    const tmb_credit_pool *p = &c->pools[pool];
    if (!c->is_limited)
        return wanted;
    uint64_t left = left_of(p, use);
    uint64_t kept = pool == TMB_POOL_LIVE && class_ > TMB_CLASS_ALARM ? c->reserve : 0;
    uint64_t least = wanted < TMB_CREDIT_LOAD_MIN ? wanted : TMB_CREDIT_LOAD_MIN;
    uint64_t usable = left > kept ? left - kept : 0;
    if (usable < least && (class_ > TMB_CLASS_ALARM || usable == 0)) {
        if (!may_go_alone(p, pool, use))
            return 0;
        usable = least;
    }
    return usable < wanted ? (uint32_t)usable : wanted;
}

bool tmb_credit_fits(const tmb_credit *c, tmb_pool pool, const tmb_credit_use *use, uint64_t bytes)
{
    const tmb_credit_pool *p = &c->pools[pool];
    return !c->is_limited || bytes <= left_of(p, use) || may_go_alone(p, pool, use);
}

uint64_t tmb_credit_spend(tmb_credit *c, tmb_pool pool, uint64_t bytes)
{
    tmb_credit_pool *p = &c->pools[pool];
    if (!c->is_limited)
        return 0;
    p->spent += bytes;
    if (p->spent > p->granted)
        p->is_owed = false;
    return p->spent;
}

void tmb_credit_note_blocked(tmb_credit *c, tmb_pool pool, bool is_blocked, tmb_mono now)
{
    tmb_credit_pool *p = &c->pools[pool];
    if (p->is_blocked)
        p->blocked.ns += now.ns - p->blocked_since.ns;
    p->is_blocked = is_blocked;
    p->blocked_since = now;
}
