// SPDX-License-Identifier: Apache-2.0
/* syncd/state/neighbours.c - a row for each neighbour: what it has for sure, what was heard of it, its past.
 *
 *   row   u8 1   u8 state   u64 heard_ms   16 incarnation   varint acked_own   varint count
 *         count times: varint seq, 16 chain
 *         context acked   context heard   context heard_clock
 */
#include "syncd/state/inside.h"

void tmb_neighbour_init(tmb_neighbour *neighbour)
{
    *neighbour = (tmb_neighbour){.state = TMB_MEMBER_NONE};
    neighbour->acked = tmb_context_of(neighbour->acked_bases, TMB_ACTORS_MAX, NULL, 0);
    neighbour->heard = tmb_context_of(neighbour->heard_bases, TMB_ACTORS_MAX, NULL, 0);
    neighbour->heard_clock = tmb_context_of(neighbour->heard_clock_bases, TMB_ACTORS_MAX, NULL, 0);
}

void tmb_neighbour_check(tmb_neighbour *neighbour, uint64_t seq,
                         const uint8_t chain[TMB_STATE_CHAIN_BYTES])
{
    unsigned count = neighbour->points_count;
    if (seq == 0 || (count > 0 && neighbour->points[count - 1].seq >= seq))
        return;
    if (count == TMB_POINTS_MAX) {
        memmove(neighbour->points, neighbour->points + 1, (count - 1) * sizeof *neighbour->points);
        count--;
    }
    neighbour->points[count].seq = seq;
    memcpy(neighbour->points[count].chain, chain, TMB_STATE_CHAIN_BYTES);
    neighbour->points_count = count + 1;
}

static tmb_err read_row(tmb_bytes value, tmb_neighbour *ret)
{
    tmb_reader r;
    tmb_neighbour_init(ret);
    tmb_err err = tmb_row_begin(&r, value);
    if (err != TMB_OK)
        return err;
    uint8_t state = tmb_get_u8(&r);
    ret->heard_ms = (int64_t)tmb_get_u64(&r);
    ret->self = tmb_get_incarnation(&r);
    ret->acked_own = tmb_get_varint(&r);
    uint64_t count = tmb_get_varint(&r);
    if (r.bad || state > TMB_MEMBER_RETIRED || count > TMB_POINTS_MAX)
        return TMB_ECORRUPT;
    ret->state = (tmb_member)state;
    for (unsigned i = 0; i < count; i++) {
        uint64_t seq = tmb_get_varint(&r);
        tmb_bytes chain = tmb_get_bytes(&r, TMB_STATE_CHAIN_BYTES);
        if (r.bad)
            return TMB_ECORRUPT;
        tmb_neighbour_check(ret, seq, chain.ptr);
    }
    err = tmb_context_get(&r, &ret->acked);
    if (err == TMB_OK)
        err = tmb_context_get(&r, &ret->heard);
    if (err == TMB_OK)
        err = tmb_context_get(&r, &ret->heard_clock);
    if (err == TMB_ELIMIT || (err == TMB_OK && tmb_reader_left(&r) > 0))
        err = TMB_ECORRUPT;
    return err;
}

tmb_err tmb_scope_neighbour_get(tmb_scope *scope, tmb_bytes name, tmb_neighbour *ret)
{
    tmb_bytes value;
    if (name.len == 0 || name.len > TMB_NAME_BYTES_MAX)
        return TMB_EINVAL;
    tmb_err err = tmb_scope_get(scope, tmb_scope_key(scope, TMB_ROW_NEIGHBOUR, name), &value);
    return err == TMB_OK ? read_row(value, ret) : err;
}

tmb_err tmb_scope_neighbour_next(tmb_scope *scope, tmb_bytes after, tmb_bytes *ret_name,
                                 tmb_neighbour *ret)
{
    tmb_bytes value;
    tmb_err err = tmb_scope_seek(scope, TMB_ROW_NEIGHBOUR, after, after.len > 0, ret_name, &value);
    return err == TMB_OK ? read_row(value, ret) : err;
}

/* state and heard_ms of a row. */
static tmb_err read_head(tmb_bytes value, tmb_member *ret_state, int64_t *ret_heard_ms)
{
    tmb_reader r;
    tmb_err err = tmb_row_begin(&r, value);
    if (err != TMB_OK)
        return err;
    *ret_state = (tmb_member)tmb_get_u8(&r);
    *ret_heard_ms = (int64_t)tmb_get_u64(&r);
    return r.bad ? TMB_ECORRUPT : TMB_OK;
}

/* The retired one that was heard longest ago. */
typedef struct oldest {
    uint8_t name[TMB_NAME_BYTES_MAX];
    size_t len; /* 0: nobody is retired */
    int64_t heard_ms;
} oldest;

static tmb_err look_at(oldest *o, tmb_bytes name, tmb_bytes value)
{
    tmb_member state = TMB_MEMBER_NONE;
    int64_t heard_ms = 0;
    tmb_err err = read_head(value, &state, &heard_ms);
    if (err != TMB_OK || name.len > sizeof o->name)
        return err != TMB_OK ? err : TMB_ECORRUPT;
    if (state != TMB_MEMBER_RETIRED || (o->len > 0 && heard_ms >= o->heard_ms))
        return TMB_OK;
    memcpy(o->name, name.ptr, name.len);
    o->len = name.len;
    o->heard_ms = heard_ms;
    return TMB_OK;
}

/* Whether one more has room; a retired one makes it. */
static tmb_err make_room(tmb_scope *scope, tmb_bytes name)
{
    tmb_bytes value, other = tmb_bytes_of(NULL, 0);
    oldest o = {.len = 0};
    unsigned count = 0;
    tmb_err err = tmb_scope_get(scope, tmb_scope_key(scope, TMB_ROW_NEIGHBOUR, name), &value);
    if (err != TMB_ENOENT)
        return err;
    for (;;) {
        err = tmb_scope_seek(scope, TMB_ROW_NEIGHBOUR, other, count > 0, &other, &value);
        if (err == TMB_OK)
            err = look_at(&o, other, value);
        if (err != TMB_OK)
            break;
        count++;
    }
    if (err != TMB_ENOENT || count < TMB_NEIGHBOURS_MAX)
        return err == TMB_ENOENT ? TMB_OK : err;
    return o.len == 0 ? TMB_ELIMIT
                      : tmb_scope_del(scope, tmb_scope_key(scope, TMB_ROW_NEIGHBOUR,
                                                           tmb_bytes_of(o.name, o.len)));
}

tmb_err tmb_scope_neighbour_put(tmb_scope *scope, tmb_bytes name, const tmb_neighbour *neighbour)
{
    if (name.len == 0 || name.len > TMB_NAME_BYTES_MAX)
        return TMB_EINVAL;
    tmb_err err = make_room(scope, name);
    if (err != TMB_OK)
        return err;
    tmb_writer w = tmb_writer_of(scope->room->small, sizeof scope->room->small);
    tmb_put_u8(&w, TMB_ROW_VERSION);
    tmb_put_u8(&w, (uint8_t)neighbour->state);
    tmb_put_u64(&w, (uint64_t)neighbour->heard_ms);
    tmb_put_incarnation(&w, &neighbour->self);
    tmb_put_varint(&w, neighbour->acked_own);
    tmb_put_varint(&w, neighbour->points_count);
    for (unsigned i = 0; i < neighbour->points_count; i++) {
        tmb_put_varint(&w, neighbour->points[i].seq);
        tmb_put_bytes(&w, tmb_bytes_of(neighbour->points[i].chain, TMB_STATE_CHAIN_BYTES));
    }
    tmb_context_put(&w, &neighbour->acked);
    tmb_context_put(&w, &neighbour->heard);
    tmb_context_put(&w, &neighbour->heard_clock);
    TMB_ASSERT(!w.bad);
    return tmb_scope_put(scope, tmb_scope_key(scope, TMB_ROW_NEIGHBOUR, name),
                         tmb_bytes_of(scope->room->small, (size_t)(w.at - scope->room->small)));
}

tmb_err tmb_scope_raise_floor(tmb_scope *scope, const tmb_context *floor)
{
    if (tmb_context_covers(&scope->floor, floor))
        return TMB_OK;
    scope->is_changed = true;
    return tmb_context_join(&scope->floor, floor);
}

/* Our floor rises to the neighbour's where our clock does not reach it. */
static tmb_err take_floor(tmb_scope *scope, const tmb_context *floor)
{
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < floor->bases_count && err == TMB_OK; i++) {
        const tmb_base *base = &floor->bases[i];
        if (tmb_context_base(&scope->clock, &base->actor) >= base->seq ||
            tmb_context_base(&scope->floor, &base->actor) >= base->seq)
            continue;
        scope->is_changed = true;
        err = tmb_context_add_run(&scope->floor, &base->actor, 1, base->seq);
    }
    return err;
}

static tmb_err get_or_init(tmb_scope *scope, tmb_bytes name, tmb_neighbour *neighbour)
{
    tmb_err err = tmb_scope_neighbour_get(scope, name, neighbour);
    if (err != TMB_ENOENT)
        return err;
    tmb_neighbour_init(neighbour);
    return TMB_OK;
}

tmb_err tmb_scope_meet(tmb_scope *scope, tmb_bytes name, const tmb_incarnation *self,
                       const tmb_context *clock, const tmb_context *floor, int64_t now_ms,
                       bool *ret_is_below)
{
    tmb_neighbour *neighbour = &scope->room->neighbour;
    tmb_err err = get_or_init(scope, name, neighbour);
    if (err != TMB_OK)
        return err;
    bool is_same = tmb_incarnation_eq(neighbour->self, *self);
    if (!is_same)
        neighbour->points_count = 0;
    if (!is_same || !tmb_context_covers(clock, &neighbour->heard_clock))
        neighbour->heard.bases_count = neighbour->heard_clock.bases_count = 0;
    neighbour->self = *self;
    neighbour->state = TMB_MEMBER_ACTIVE;
    neighbour->heard_ms = now_ms;
    neighbour->acked_own = tmb_context_base(clock, &scope->self);
    err = tmb_context_copy(&neighbour->acked, clock);
    if (err == TMB_OK && floor)
        err = take_floor(scope, floor);
    if (err == TMB_OK)
        err = tmb_scope_neighbour_put(scope, name, neighbour);
    if (err == TMB_OK && ret_is_below)
        *ret_is_below = tmb_scope_is_below_floor(scope, clock);
    return err;
}

tmb_err tmb_scope_acked(tmb_scope *scope, tmb_bytes name, const tmb_context *acked, int64_t now_ms)
{
    tmb_neighbour *neighbour = &scope->room->neighbour;
    tmb_err err = get_or_init(scope, name, neighbour);
    if (err == TMB_OK)
        err = tmb_context_copy(&neighbour->acked, acked);
    if (err != TMB_OK)
        return err;
    if (neighbour->state == TMB_MEMBER_NONE)
        neighbour->state = TMB_MEMBER_ACTIVE;
    neighbour->heard_ms = now_ms;
    neighbour->acked_own = tmb_context_base(acked, &scope->self);
    err = tmb_scope_neighbour_put(scope, name, neighbour);
    unsigned forgotten;
    return err == TMB_OK ? tmb_scope_forget_first(scope, TMB_FORGET_AT_ONCE, &forgotten) : err;
}

tmb_err tmb_scope_retire(tmb_scope *scope, tmb_bytes name)
{
    tmb_neighbour *neighbour = &scope->room->neighbour;
    tmb_err err = tmb_scope_neighbour_get(scope, name, neighbour);
    if (err != TMB_OK || neighbour->state == TMB_MEMBER_RETIRED)
        return err;
    neighbour->state = TMB_MEMBER_RETIRED;
    return tmb_scope_neighbour_put(scope, name, neighbour);
}

uint64_t tmb_scope_behind(const tmb_scope *scope, const tmb_neighbour *neighbour)
{
    uint64_t behind = 0;
    for (unsigned i = 0; i < scope->clock.bases_count; i++) {
        const tmb_base *base = &scope->clock.bases[i];
        uint64_t acked = tmb_context_base(&neighbour->acked, &base->actor);
        behind += acked < base->seq ? base->seq - acked : 0;
    }
    return behind;
}

tmb_err tmb_scope_held_back(tmb_scope *scope, const tmb_neighbour *neighbour, uint64_t limit,
                            uint64_t *ret_held)
{
    uint64_t held = 0;
    if (neighbour->state != TMB_MEMBER_ACTIVE)
        limit = 0;
    for (unsigned i = 0; i < scope->clock.bases_count; i++) {
        const tmb_base *base = &scope->clock.bases[i];
        tmb_dot next = {base->actor, tmb_context_base(&neighbour->acked, &base->actor) + 1}, dot;
        while (held < limit && next.seq <= base->seq) {
            tmb_err err = tmb_scope_seek_dot(scope, TMB_ROW_REMOVAL, &next, &dot, NULL);
            if (err == TMB_ENOENT || (err == TMB_OK && !tmb_incarnation_eq(dot.actor, base->actor)))
                break;
            if (err != TMB_OK)
                return err;
            held++;
            next.seq = dot.seq + 1;
        }
    }
    *ret_held = held;
    return TMB_OK;
}

tmb_err tmb_scope_lapse(tmb_scope *scope, int64_t now_ms, int64_t lapse_ms, uint64_t unstable_max,
                        unsigned *ret_lapsed)
{
    tmb_neighbour *neighbour = &scope->room->neighbour;
    uint8_t name[TMB_NAME_BYTES_MAX];
    size_t len = 0;
    unsigned lapsed = 0;
    for (;;) {
        tmb_bytes found;
        tmb_err err = tmb_scope_neighbour_next(scope, tmb_bytes_of(name, len), &found, neighbour);
        if (err == TMB_ENOENT)
            break;
        if (err != TMB_OK)
            return err;
        if (found.len > sizeof name)
            return TMB_ECORRUPT;
        memcpy(name, found.ptr, found.len);
        len = found.len;
        if (neighbour->state != TMB_MEMBER_ACTIVE)
            continue;
        bool is_late = now_ms - neighbour->heard_ms >= lapse_ms;
        if (!is_late && scope->removals > unstable_max) {
            uint64_t held = 0;
            err = tmb_scope_held_back(scope, neighbour, unstable_max + 1, &held);
            if (err != TMB_OK)
                return err;
            is_late = held > unstable_max;
        }
        if (!is_late)
            continue;
        neighbour->state = TMB_MEMBER_LAPSED;
        err = tmb_scope_neighbour_put(scope, tmb_bytes_of(name, len), neighbour);
        if (err != TMB_OK)
            return err;
        lapsed++;
    }
    *ret_lapsed = lapsed;
    return TMB_OK;
}
