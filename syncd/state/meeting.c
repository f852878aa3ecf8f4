// SPDX-License-Identifier: Apache-2.0
/* syncd/state/meeting.c - SCOPE, said and heard: who are you, who do you think I am, and where do we go on.
 * */
#include "base/varint.h"
#include "syncd/state/exchange_inside.h"

static tmb_bytes put_points(const tmb_neighbour *neighbour, uint8_t *out, size_t cap)
{
    tmb_writer w = tmb_writer_of(out, cap);
    for (unsigned i = 0; i < neighbour->points_count; i++) {
        tmb_put_varint(&w, neighbour->points[i].seq);
        tmb_put_bytes(&w, tmb_bytes_of(neighbour->points[i].chain, TMB_STATE_CHAIN_BYTES));
    }
    return tmb_bytes_of(out, (size_t)(w.at - out));
}

/* How much of the neighbour's incarnation is here, unfinished passes too. */
static uint64_t held_of(const tmb_exchange *x, const tmb_incarnation *whose)
{
    const tmb_neighbour *neighbour = &x->neighbour;
    uint64_t held = tmb_context_base(&x->scope.clock, whose);
    uint64_t heard = tmb_context_base(&neighbour->heard, whose);
    uint64_t told =
        neighbour->points_count > 0 ? neighbour->points[neighbour->points_count - 1].seq : 0;
    held = heard > held ? heard : held;
    return told > held ? told : held;
}

static void say_what_is_yours(tmb_exchange *x, tmb_frame_scope *scope)
{
    static const tmb_incarnation never;
    const tmb_neighbour *neighbour = &x->neighbour;
    scope->has_yours = !tmb_incarnation_eq(neighbour->self, never);
    if (!scope->has_yours)
        return;
    scope->yours = neighbour->self;
    scope->yours_seq = held_of(x, &neighbour->self);
    scope->points = put_points(neighbour, x->points, sizeof x->points);
}

static void make_scope(tmb_exchange *x, const tmb_job *job, int64_t now_ms, uint64_t hlc,
                       tmb_job_result *ret)
{
    tmb_frame *frame = &x->frames[ret->frames_count];
    tmb_frame_scope *scope = &frame->u.scope;
    const tmb_neighbour *neighbour = &x->neighbour;
    frame->type = TMB_FRAME_SCOPE;
    *scope = (tmb_frame_scope){.session = job->session, .turn = job->turn, .answers = job->answers};
    scope->scope = tmb_bytes_of(x->scope.name, x->scope.name_len);
    scope->self = x->scope.self;
    scope->last = x->scope.last;
    memcpy(scope->chain, x->scope.chain, sizeof scope->chain);
    scope->clock = tmb_exchange_put(&x->scope.clock, x->clock);
    if (!tmb_context_is_empty(&x->scope.floor))
        scope->floor = tmb_exchange_put(&x->scope.floor, x->floor);
    if (!tmb_context_is_empty(&neighbour->heard)) {
        scope->heard = tmb_exchange_put(&neighbour->heard, x->heard);
        scope->heard_clock = tmb_exchange_put(&neighbour->heard_clock, x->heard_clock);
    }
    say_what_is_yours(x, scope);
    scope->has_fingerprint = true;
    scope->leaves = x->scope.fingerprint.leaves;
    memcpy(scope->sum, x->scope.fingerprint.sum, sizeof scope->sum);
    scope->wall_ms = now_ms > 0 ? (uint64_t)now_ms : 0;
    scope->hlc = hlc;
    ret->frames[ret->frames_count++] = frame;
    job->room->has_said = true;
    job->room->said_count = x->scope.clock.bases_count;
    memcpy(job->room->said, x->scope.clock.bases,
           x->scope.clock.bases_count * sizeof *job->room->said);
}

tmb_err tmb_exchange_greet(tmb_exchange *x, const tmb_job *job, int64_t now_ms, uint64_t hlc,
                           tmb_job_result *ret)
{
    bool is_new = x->scope.is_new || x->scope.is_changed;
    tmb_err err = tmb_exchange_save(x, is_new ? TMB_COMMIT_SYNC : TMB_COMMIT_NOTHING, ret);
    if (!err)
        make_scope(x, job, now_ms, hlc, ret);
    return err;
}

/* What the neighbour has of us, held against our own past. common: up to there both are the same, as far as
 * can be told. */
typedef struct past {
    bool is_other; /* it has something under our name that we never gave */
    uint64_t common;
} past;

static tmb_err compare_past(tmb_exchange *x, const tmb_job *job, const tmb_context *clock,
                            const tmb_context *heard, past *ret)
{
    const tmb_frame_scope *said = &job->frame->u.scope;
    uint64_t last = x->scope.last, held = tmb_context_base(clock, &x->scope.self);
    uint64_t heard_of = tmb_context_base(heard, &x->scope.self);
    bool is_differing = false;
    tmb_reader r = tmb_reader_of(said->points);
    bool is_us = said->has_yours && tmb_incarnation_eq(said->yours, x->scope.self);
    *ret = (past){.common = x->neighbour.acked_own < last ? x->neighbour.acked_own : last};
    held = heard_of > held ? heard_of : held;
    if (is_us && said->yours_seq > held)
        held = said->yours_seq;
    while (is_us && tmb_reader_left(&r) > 0) {
        uint8_t chain[TMB_STATE_CHAIN_BYTES];
        uint64_t seq = tmb_get_varint(&r);
        tmb_bytes theirs = tmb_get_bytes(&r, TMB_STATE_CHAIN_BYTES);
        if (r.bad || seq > last)
            break;
        tmb_err err = tmb_scope_chain_at(&x->scope, seq, chain);
        if (err && err != TMB_ENOENT && err != TMB_EGAP)
            return err;
        bool is_same = !err && memcmp(chain, theirs.ptr, sizeof chain) == 0;
        is_differing = is_differing || err == TMB_EGAP || (!err && !is_same);
        if (is_same && !is_differing)
            ret->common = seq;
    }
    ret->is_other = is_differing || held > last || job->is_other;
    /* It has more than ours, and nothing of it differs: this disk went back. What was on it when we
     * started is of the same past, though the neighbour may have got it in one chunk and know no point in it;
     * only what was written since is ours alone. */
    if (ret->is_other && !is_differing && x->scope.exposed > ret->common)
        ret->common = x->scope.exposed;
    return TMB_OK;
}

/* From where our pass goes on: what it has, and what it heard of a pass of this very past of ours. is_told:
 * of one whose end we would hold back like the sender did. */
static tmb_err take_place(tmb_exchange *x, const tmb_job *job, const tmb_context *clock,
                          bool is_told)
{
    const tmb_frame_scope *said = &job->frame->u.scope;
    tmb_context heard, heard_clock;
    tmb_context position = tmb_context_in(&x->ours);
    tmb_err err = tmb_context_copy(&position, clock);
    if (!err)
        err = tmb_exchange_vector(said->heard_clock, &x->to, &heard_clock);
    bool is_of_us = !err && is_told && tmb_context_covers(&x->scope.clock, &heard_clock);
    if (!err && is_of_us) {
        err = tmb_exchange_vector(said->heard, &x->to, &heard);
        if (!err)
            err = tmb_context_join(&position, &heard);
    }
    if (!err)
        tmb_exchange_place(job->room, &position);
    job->room->has_next = false;
    job->room->first_len = 0;
    return err;
}

static void judge(tmb_exchange *x, const tmb_frame_scope *said, const tmb_context *clock,
                  tmb_job_result *ret)
{
    tmb_fingerprint theirs = {.leaves = said->leaves};
    memcpy(theirs.sum, said->sum, sizeof theirs.sum);
    bool is_told = said->has_fingerprint && tmb_context_eq(clock, &x->scope.clock);
    ret->is_same = is_told && tmb_fingerprint_eq(&theirs, &x->scope.fingerprint);
    ret->is_scrub = is_told && !ret->is_same;
    ret->is_behind = !tmb_context_covers(&x->scope.clock, clock);
    ret->has_all = !ret->is_behind || tmb_context_covers(&x->neighbour.heard, clock);
}

tmb_err tmb_exchange_meet(tmb_exchange *x, const tmb_job *job, tmb_bytes name,
                          tmb_incarnation fresh, int64_t now_ms, uint64_t hlc, tmb_job_result *ret)
{
    const tmb_frame_scope *said = &job->frame->u.scope;
    tmb_context clock, other;
    past p;
    tmb_err err = tmb_exchange_vector(said->clock, &x->theirs, &clock);
    if (!err)
        err = tmb_exchange_vector(said->heard, &x->to, &other);
    if (!err)
        err = compare_past(x, job, &clock, &other, &p);
    if (!err && p.is_other &&
        !job->may_write) { /* it may not make us do anything: people have to look */
        ret->forks = 1;
        ret->refused = TMB_REFUSAL_DENIED;
        ret->commit = TMB_COMMIT_NOTHING;
        return TMB_OK;
    }
    if (!err && p.is_other) {
        ret->is_reborn = true;
        err = tmb_scope_reincarnate(&x->scope, fresh, p.common);
    }
    if (!err)
        err = tmb_exchange_vector(said->floor, &x->to, &other);
    /* Its floor is beyond its clock: it compares ranges with somebody, and has heard its pass. If that was
     * us, and our floor has gone back since, we have removals again that it was not told of. */
    bool is_comparing = !err && !tmb_context_covers(&clock, &other);
    if (!err)
        err = tmb_scope_meet(&x->scope, name, &said->self, &clock, job->may_write ? &other : NULL,
                             now_ms, &ret->is_below);
    if (err == TMB_ELIMIT) {
        ret->refused = TMB_REFUSAL_LIMIT;
        ret->commit = TMB_COMMIT_NOTHING;
        return TMB_OK;
    }
    if (!err)
        err = tmb_exchange_neighbour(x, name);
    if (!err)
        err = take_place(x, job, &clock, !is_comparing || ret->is_below);
    if (err)
        return err;
    judge(x, said, &clock, ret);
    ret->is_changed = ret->is_reborn;
    bool is_urgent = ret->is_reborn || x->scope.is_new;
    err = tmb_exchange_save(x, is_urgent ? TMB_COMMIT_SYNC : TMB_COMMIT_LATER, ret);
    if (!err && job->wants_reply)
        make_scope(x, job, now_ms, hlc, ret);
    return err;
}
