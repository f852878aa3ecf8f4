// SPDX-License-Identifier: Apache-2.0
/* crdt/context.c - sorted arrays; a run that reaches a base becomes part of it. */
#include "crdt/context.h"

#include "base/varint.h"

/* Where actor's base is, or would be. */
static unsigned base_place(const tmb_context *c, const tmb_incarnation *actor)
{
    unsigned low = 0, high = c->bases_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (tmb_incarnation_cmp(&c->bases[middle].actor, actor) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_base_of(const tmb_context *c, unsigned at, const tmb_incarnation *actor)
{
    return at < c->bases_count && tmb_incarnation_eq(c->bases[at].actor, *actor);
}

/* The first run of actor that ends at seq or behind it, or where it would be. */
static unsigned run_place(const tmb_context *c, const tmb_incarnation *actor, uint64_t seq)
{
    unsigned low = 0, high = c->runs_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = tmb_incarnation_cmp(&c->runs[middle].actor, actor);
        if (order < 0 || (order == 0 && c->runs[middle].last < seq))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_run_of(const tmb_context *c, unsigned at, const tmb_incarnation *actor)
{
    return at < c->runs_count && tmb_incarnation_eq(c->runs[at].actor, *actor);
}

uint64_t tmb_context_base(const tmb_context *c, const tmb_incarnation *actor)
{
    unsigned at = base_place(c, actor);
    return is_base_of(c, at, actor) ? c->bases[at].seq : 0;
}

bool tmb_context_has(const tmb_context *c, const tmb_dot *dot)
{
    if (dot->seq <= tmb_context_base(c, &dot->actor))
        return dot->seq > 0;
    if (c->runs_count == 0)
        return false;
    unsigned at = run_place(c, &dot->actor, dot->seq);
    return is_run_of(c, at, &dot->actor) && c->runs[at].first <= dot->seq;
}

uint64_t tmb_context_last(const tmb_context *c, const tmb_incarnation *actor)
{
    unsigned at = run_place(c, actor, UINT64_MAX);
    if (at > 0 && is_run_of(c, at - 1, actor))
        return c->runs[at - 1].last;
    return tmb_context_base(c, actor);
}

static void drop_runs(tmb_context *c, unsigned at, unsigned count)
{
    if (count == 0)
        return;
    memmove(&c->runs[at], &c->runs[at + count], (c->runs_count - at - count) * sizeof *c->runs);
    c->runs_count -= count;
}

/* Everything of actor up to seq is seen: raises the base, and takes in the runs that it reaches. */
static tmb_err raise_base(tmb_context *c, const tmb_incarnation *actor, uint64_t seq)
{
    unsigned at = base_place(c, actor);
    if (!is_base_of(c, at, actor)) {
        if (c->bases_count == c->bases_cap)
            return TMB_ELIMIT;
        memmove(&c->bases[at + 1], &c->bases[at], (c->bases_count - at) * sizeof *c->bases);
        c->bases_count++;
        c->bases[at] = (tmb_base){*actor, 0};
    }
    if (c->bases[at].seq < seq)
        c->bases[at].seq = seq;
    unsigned first = run_place(c, actor, 0), reached = 0;
    while (is_run_of(c, first + reached, actor) &&
           c->runs[first + reached].first <= c->bases[at].seq + 1) {
        if (c->runs[first + reached].last > c->bases[at].seq)
            c->bases[at].seq = c->runs[first + reached].last;
        reached++;
    }
    drop_runs(c, first, reached);
    return TMB_OK;
}

tmb_err tmb_context_add_run(tmb_context *c, const tmb_incarnation *actor, uint64_t first,
                            uint64_t last)
{
    if (first == 0 || first > last || last > TMB_SEQ_MAX)
        return TMB_EINVAL;
    uint64_t base = tmb_context_base(c, actor);
    if (last <= base)
        return TMB_OK;
    if (first <= base + 1)
        return raise_base(c, actor, last);
    unsigned at = run_place(c, actor, first - 1), met = 0;
    tmb_run run = {*actor, first, last};
    while (is_run_of(c, at + met, actor) && c->runs[at + met].first <= last + 1) {
        run.first = c->runs[at + met].first < run.first ? c->runs[at + met].first : run.first;
        run.last = c->runs[at + met].last > run.last ? c->runs[at + met].last : run.last;
        met++;
    }
    if (met == 0) {
        if (c->runs_count == c->runs_cap)
            return TMB_ELIMIT;
        memmove(&c->runs[at + 1], &c->runs[at], (c->runs_count - at) * sizeof *c->runs);
        c->runs_count++;
    } else {
        drop_runs(c, at + 1, met - 1);
    }
    c->runs[at] = run;
    return TMB_OK;
}

tmb_err tmb_context_add(tmb_context *c, const tmb_dot *dot)
{
    return tmb_context_add_run(c, &dot->actor, dot->seq, dot->seq);
}

tmb_err tmb_context_join(tmb_context *c, const tmb_context *other)
{
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < other->bases_count && err == TMB_OK; i++)
        err = tmb_context_add_run(c, &other->bases[i].actor, 1, other->bases[i].seq);
    for (unsigned i = 0; i < other->runs_count && err == TMB_OK; i++)
        err = tmb_context_add_run(c, &other->runs[i].actor, other->runs[i].first,
                                  other->runs[i].last);
    return err;
}

tmb_err tmb_context_copy(tmb_context *c, const tmb_context *other)
{
    if (other->bases_count > c->bases_cap || other->runs_count > c->runs_cap)
        return TMB_ELIMIT;
    c->bases_count = other->bases_count;
    c->runs_count = other->runs_count;
    if (c->bases_count > 0)
        memmove(c->bases, other->bases, c->bases_count * sizeof *c->bases);
    if (c->runs_count > 0)
        memmove(c->runs, other->runs, c->runs_count * sizeof *c->runs);
    return TMB_OK;
}

bool tmb_context_covers(const tmb_context *c, const tmb_context *other)
{
    for (unsigned i = 0; i < other->bases_count; i++)
        if (tmb_context_base(c, &other->bases[i].actor) < other->bases[i].seq)
            return false;
    for (unsigned i = 0; i < other->runs_count; i++) {
        const tmb_run *run = &other->runs[i];
        if (run->last <= tmb_context_base(c, &run->actor))
            continue;
        unsigned at = run_place(c, &run->actor, run->last);
        if (!is_run_of(c, at, &run->actor) || c->runs[at].first > run->first)
            return false;
    }
    return true;
}

bool tmb_context_eq(const tmb_context *a, const tmb_context *b)
{
    if (a->bases_count != b->bases_count || a->runs_count != b->runs_count)
        return false;
    for (unsigned i = 0; i < a->bases_count; i++)
        if (a->bases[i].seq != b->bases[i].seq ||
            !tmb_incarnation_eq(a->bases[i].actor, b->bases[i].actor))
            return false;
    for (unsigned i = 0; i < a->runs_count; i++)
        if (a->runs[i].first != b->runs[i].first || a->runs[i].last != b->runs[i].last ||
            !tmb_incarnation_eq(a->runs[i].actor, b->runs[i].actor))
            return false;
    return true;
}

size_t tmb_context_size(const tmb_context *c)
{
    size_t size = tmb_varint_size(c->bases_count) + tmb_varint_size(c->runs_count);
    for (unsigned i = 0; i < c->bases_count; i++)
        size += TMB_INCARNATION_BYTES + tmb_varint_size(c->bases[i].seq);
    for (unsigned i = 0; i < c->runs_count; i++)
        size += TMB_INCARNATION_BYTES + tmb_varint_size(c->runs[i].first) +
                tmb_varint_size(c->runs[i].last);
    return size;
}

void tmb_context_put(tmb_writer *w, const tmb_context *c)
{
    tmb_put_varint(w, c->bases_count);
    for (unsigned i = 0; i < c->bases_count; i++) {
        tmb_put_bytes(w, tmb_bytes_of(c->bases[i].actor.bytes, TMB_INCARNATION_BYTES));
        tmb_put_varint(w, c->bases[i].seq);
    }
    tmb_put_varint(w, c->runs_count);
    for (unsigned i = 0; i < c->runs_count; i++) {
        tmb_put_bytes(w, tmb_bytes_of(c->runs[i].actor.bytes, TMB_INCARNATION_BYTES));
        tmb_put_varint(w, c->runs[i].first);
        tmb_put_varint(w, c->runs[i].last);
    }
}

static tmb_incarnation get_actor(tmb_reader *r)
{
    tmb_incarnation actor = {{0}};
    tmb_bytes bytes = tmb_get_bytes(r, TMB_INCARNATION_BYTES);
    if (bytes.len == TMB_INCARNATION_BYTES)
        memcpy(actor.bytes, bytes.ptr, bytes.len);
    return actor;
}

/* Whether what was just read keeps the one form: entry i in its order behind those before. */
static bool is_base_in_order(const tmb_context *c, unsigned i)
{
    return c->bases[i].seq > 0 && c->bases[i].seq <= TMB_SEQ_MAX &&
           (i == 0 || tmb_incarnation_cmp(&c->bases[i - 1].actor, &c->bases[i].actor) < 0);
}

static bool is_run_in_order(const tmb_context *c, unsigned i)
{
    const tmb_run *run = &c->runs[i];
    uint64_t base = tmb_context_base(c, &run->actor);
    if (run->first > run->last || run->last > TMB_SEQ_MAX || run->first <= base + 1)
        return false;
    if (i == 0)
        return true;
    int order = tmb_incarnation_cmp(&c->runs[i - 1].actor, &run->actor);
    return order < 0 || (order == 0 && c->runs[i - 1].last + 1 < run->first);
}

tmb_err tmb_context_get(tmb_reader *r, tmb_context *c)
{
    c->bases_count = c->runs_count = 0;
    uint64_t count = tmb_get_varint(r);
    if (count > c->bases_cap)
        return TMB_ELIMIT;
    for (unsigned i = 0; i < count && !r->bad; i++) {
        c->bases[i].actor = get_actor(r);
        c->bases[i].seq = tmb_get_varint(r);
        c->bases_count = i + 1;
        if (!r->bad && !is_base_in_order(c, i))
            return TMB_ECORRUPT;
    }
    count = tmb_get_varint(r);
    if (!r->bad && count > c->runs_cap)
        return TMB_ELIMIT;
    for (unsigned i = 0; i < count && !r->bad; i++) {
        c->runs[i].actor = get_actor(r);
        c->runs[i].first = tmb_get_varint(r);
        c->runs[i].last = tmb_get_varint(r);
        c->runs_count = i; /* base_of looks at bases alone */
        if (!r->bad && !is_run_in_order(c, i))
            return TMB_ECORRUPT;
        c->runs_count = i + 1;
    }
    return r->bad ? TMB_ECORRUPT : TMB_OK;
}
