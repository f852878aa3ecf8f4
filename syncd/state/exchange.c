// SPDX-License-Identifier: Apache-2.0
/* syncd/state/exchange.c - SCOPE is made and looked at in meeting.c; here: chunks out and in, and
 * comparing. */
#include "syncd/state/exchange.h"

#include "base/varint.h"
#include "syncd/state/exchange_inside.h"
#include "syncd/state/ranges.h"

tmb_err tmb_exchange_vector(tmb_bytes bytes, tmb_context_room *room, tmb_context *ret)
{
    tmb_reader r = tmb_reader_of(bytes);
    *ret = tmb_context_in(room);
    return bytes.len > 0 ? tmb_context_get(&r, ret) : TMB_OK;
}

tmb_bytes tmb_exchange_put(const tmb_context *c, uint8_t out[TMB_VECTOR_BYTES_MAX])
{
    tmb_writer w = tmb_writer_of(out, TMB_VECTOR_BYTES_MAX);
    tmb_context_put(&w, c);
    return tmb_bytes_of(out, (size_t)(w.at - out));
}

tmb_err tmb_exchange_neighbour(tmb_exchange *x, tmb_bytes name)
{
    tmb_neighbour_init(&x->neighbour);
    tmb_err err = tmb_scope_neighbour_get(&x->scope, name, &x->neighbour);
    return err == TMB_ENOENT ? TMB_OK : err;
}

tmb_err tmb_exchange_save(tmb_exchange *x, tmb_job_commit commit, tmb_job_result *ret)
{
    ret->changed_leaves = x->scope.changed_leaves;
    ret->forks = x->scope.forks;
    ret->commit = commit;
    return tmb_scope_save(&x->scope);
}

/* Where our pass stands: what was sent in it, and what the neighbour is known to have. */
static tmb_err position_of(tmb_exchange *x, const tmb_job *job, tmb_context *ret)
{
    *ret = tmb_context_in(&x->ours);
    tmb_err err = tmb_context_copy(ret, &x->neighbour.acked);
    for (unsigned i = 0; !err && job->room->is_set && i < job->room->count; i++)
        err = tmb_context_add_run(ret, &job->room->bases[i].actor, 1, job->room->bases[i].seq);
    return err;
}

void tmb_exchange_place(tmb_sync_room *room, const tmb_context *position)
{
    room->is_set = true;
    room->count = position->bases_count;
    memcpy(room->bases, position->bases, position->bases_count * sizeof *position->bases);
}

static void number_actors(tmb_exchange *x)
{
    x->actors.count = x->scope.clock.bases_count;
    for (unsigned i = 0; i < x->actors.count; i++)
        x->actors.actors[i] = x->scope.clock.bases[i].actor;
}

/* upto: for each of our clock's entries, how much of it the pass has told. */
static void put_upto(tmb_exchange *x, const tmb_context *position, tmb_frame_leaves *leaves)
{
    tmb_writer w = tmb_writer_of(x->heard, sizeof x->heard);
    const tmb_context *clock = &x->scope.clock;
    for (unsigned i = 0; i < clock->bases_count; i++) {
        uint64_t told = tmb_context_base(position, &clock->bases[i].actor);
        tmb_put_varint(&w, told < clock->bases[i].seq ? told : clock->bases[i].seq);
    }
    leaves->upto = tmb_bytes_of(x->heard, (size_t)(w.at - x->heard));
}

/* A LEAVES of x->data, whose actors are numbered in x->actors. position NULL: it completes the pass. */
static void make_leaves(tmb_exchange *x, const tmb_job *job, size_t bytes,
                        const tmb_context *position, tmb_job_result *ret)
{
    tmb_frame *frame = &x->frames[ret->frames_count];
    tmb_frame_leaves *leaves = &frame->u.leaves;
    const tmb_context *clock = &x->scope.clock;
    frame->type = TMB_FRAME_LEAVES;
    *leaves = (tmb_frame_leaves){.session = job->session, .turn = job->turn, .n = job->n};
    leaves->scope = tmb_bytes_of(x->scope.name, x->scope.name_len);
    leaves->ctx = tmb_exchange_put(clock, x->clock);
    leaves->actors = tmb_bytes_of(x->actors.actors + clock->bases_count,
                                  (x->actors.count - clock->bases_count) * TMB_INCARNATION_BYTES);
    leaves->is_complete = !position;
    if (position)
        put_upto(x, position, leaves);
    else if (!tmb_context_covers(&x->neighbour.acked, &x->scope.floor))
        leaves->floor = tmb_exchange_put(&x->scope.floor, x->floor);
    for (unsigned i = 0; i < clock->bases_count && x->scope.last > 0; i++) {
        if (!tmb_incarnation_eq(clock->bases[i].actor, x->scope.self))
            continue;
        leaves->has_self = true;
        leaves->self = i;
        memcpy(leaves->chain, x->scope.chain, sizeof leaves->chain);
    }
    if (x->scope.exposed !=
        x->scope.last) { /* its chain there is a point of our past from now on */
        x->scope.exposed = x->scope.last;
        x->scope.is_changed = true;
    }
    leaves->codec = TMB_CODEC_PLAIN;
    leaves->raw_bytes = (uint32_t)bytes;
    leaves->data = tmb_bytes_of(x->data, bytes);
    ret->frames[ret->frames_count++] = frame;
    ret->bytes = bytes;
}

static tmb_err scan(tmb_exchange *x, const tmb_job *job, tmb_job_result *ret)
{
    tmb_context from, to = tmb_context_in(&x->to);
    tmb_chunk chunk;
    if (x->neighbour.state != TMB_MEMBER_ACTIVE) {
        ret->is_stale = true;
        return TMB_OK;
    }
    tmb_err err = position_of(x, job, &from);
    if (err)
        return err;
    const tmb_context *has = job->is_held ? &from : &x->neighbour.acked;
    if (!job->is_due && tmb_context_covers(has, &x->scope.clock)) {
        ret->is_all = ret->is_complete = true;
        return TMB_OK;
    }
    number_actors(x);
    err = tmb_scope_scan(&x->scope, &from, job->is_held, job->bytes_max, &x->actors, x->data,
                         sizeof x->data, &to, &chunk);
    if (err == TMB_EGAP) { /* forgotten meanwhile: its next SCOPE shows what it lacks */
        ret->is_stale = true;
        return TMB_OK;
    }
    if (!err && chunk.is_complete)
        err = tmb_context_join(&to, &x->scope.clock);
    if (err)
        return err;
    ret->is_all = chunk.is_complete;
    ret->is_complete = chunk.is_complete && !job->is_held;
    ret->leaves = chunk.leaves;
    make_leaves(x, job, chunk.bytes, ret->is_complete ? NULL : &to, ret);
    tmb_exchange_place(job->room, &to);
    return tmb_exchange_save(x, x->scope.is_changed ? TMB_COMMIT_SYNC : TMB_COMMIT_NOTHING, ret);
}

/* upto of a chunk as a context. */
static tmb_err read_upto(const tmb_frame_leaves *leaves, const tmb_context *ctx, tmb_context *ret)
{
    tmb_reader r = tmb_reader_of(leaves->upto);
    tmb_err err = TMB_OK;
    for (unsigned i = 0; !err && i < ctx->bases_count; i++) {
        uint64_t seq = tmb_get_varint(&r);
        if (seq > 0)
            err = tmb_context_add_run(ret, &ctx->bases[i].actor, 1, seq);
    }
    return err;
}

static void read_actors(tmb_exchange *x, const tmb_frame_leaves *leaves, const tmb_context *ctx)
{
    x->actors.count = 0;
    for (unsigned i = 0; i < ctx->bases_count; i++)
        x->actors.actors[x->actors.count++] = ctx->bases[i].actor;
    for (size_t i = 0; i + TMB_INCARNATION_BYTES <= leaves->actors.len; i += TMB_INCARNATION_BYTES)
        memcpy(x->actors.actors[x->actors.count++].bytes, leaves->actors.ptr + i,
               TMB_INCARNATION_BYTES);
}

/* What a join that failed says of the neighbour; else what it says of us. */
static tmb_err blame(tmb_err err, tmb_job_result *ret)
{
    ret->commit = TMB_COMMIT_NOTHING;
    if (err == TMB_EDENIED)
        ret->refused = TMB_REFUSAL_DENIED;
    else if (err == TMB_ELIMIT)
        ret->refused = TMB_REFUSAL_LIMIT;
    else if (err == TMB_EGAP || err == TMB_ECORRUPT)
        ret->is_stale = true;
    else
        return err;
    ret->has_other = err == TMB_EGAP;
    return TMB_OK;
}

/* Its chunk is here: what it has, and how its past looked then. */
static tmb_err note_sender(tmb_exchange *x, tmb_bytes name, const tmb_frame_leaves *leaves,
                           const tmb_context *ctx, int64_t now_ms)
{
    tmb_err err = tmb_exchange_neighbour(x, name);
    if (err)
        return err;
    if (leaves->has_self && tmb_incarnation_eq(ctx->bases[leaves->self].actor, x->neighbour.self)) {
        tmb_neighbour_check(&x->neighbour, ctx->bases[leaves->self].seq, leaves->chain);
        err = tmb_scope_neighbour_put(&x->scope, name, &x->neighbour);
    }
    return err ? err : tmb_scope_acked(&x->scope, name, ctx, now_ms);
}

/* The sender may have forgotten removals that it compared ranges for, and that we have no entry of: who comes
 * to us from below has to be compared, too. */
static tmb_err take_floor(tmb_exchange *x, const tmb_frame_leaves *leaves,
                          const tmb_context *before)
{
    tmb_context floor;
    tmb_err err = tmb_exchange_vector(leaves->floor, &x->to, &floor);
    if (err || !leaves->is_complete || tmb_context_covers(before, &floor))
        return err;
    return tmb_scope_raise_floor(&x->scope, &floor);
}

/* The first chunk that answers our SCOPE says by its ctx of which actors the sender knows more than the SCOPE
 * said. What it learns later it does not forget before we have it. */
static void keep_gaps(const tmb_exchange *x, tmb_sync_room *room, const tmb_context *ctx)
{
    tmb_base gaps[TMB_ACTORS_MAX];
    unsigned count = 0;
    tmb_context said = tmb_context_of(room->said, TMB_ACTORS_MAX, NULL, 0);
    said.bases_count = room->said_count;
    for (unsigned i = 0; i < ctx->bases_count; i++) {
        const tmb_base *base = &ctx->bases[i];
        uint64_t then = tmb_context_base(&said, &base->actor);
        if (then >= base->seq || tmb_incarnation_eq(base->actor, x->scope.self))
            continue;
        room->known[count] = base->seq;
        gaps[count++] = (tmb_base){base->actor, then};
    }
    memcpy(room->said, gaps, count * sizeof *gaps);
    room->said_count = count;
}

/* Whether somebody else has brought of those since then: the sender compared its leaves with ours as they
 * were. A dot that it knows as removed, and has forgotten, would come to lie below our clock and live on.
 * Each time it happens our next SCOPE says more, so it comes to an end. */
static tmb_err is_disturbed(tmb_exchange *x, const tmb_sync_room *room, bool *ret)
{
    tmb_context known = tmb_context_of(x->to.bases, TMB_ACTORS_MAX, NULL, 0);
    *ret = !room->has_said;
    for (unsigned i = 0; !*ret && i < room->said_count; i++) {
        *ret = tmb_context_base(&x->scope.clock, &room->said[i].actor) > room->said[i].seq;
        known.bases[known.bases_count++] = (tmb_base){room->said[i].actor, room->known[i]};
    }
    return *ret ? TMB_OK : tmb_scope_is_ahead(&x->scope, &known, ret);
}

/* From the begin of what we lack: so that each leaf that was disturbed is told of. */
static tmb_err compare_again(tmb_exchange *x, tmb_bytes name, tmb_job_result *ret)
{
    x->neighbour.heard.bases_count = x->neighbour.heard_clock.bases_count = 0;
    tmb_err err = tmb_scope_neighbour_put(&x->scope, name, &x->neighbour);
    ret->is_stale = true;
    return err ? err : tmb_exchange_save(x, TMB_COMMIT_LATER, ret);
}

/* By the measure that the sender had for whether to compare: what its floor has beyond its own clock is of
 * somebody that it does not know itself. */
static tmb_err is_below_sender(tmb_exchange *x, const tmb_frame_leaves *leaves,
                               const tmb_context *ctx, bool *ret)
{
    tmb_context floor;
    tmb_err err = tmb_exchange_vector(leaves->floor, &x->to, &floor);
    for (unsigned i = 0; !err && i < floor.bases_count; i++) {
        const tmb_base *base = &floor.bases[i];
        uint64_t known = tmb_context_base(ctx, &base->actor);
        if (tmb_context_base(&x->scope.clock, &base->actor) <
            (known < base->seq ? known : base->seq))
            *ret = true;
    }
    return err;
}

static tmb_err join(tmb_exchange *x, const tmb_job *job, tmb_bytes name, int64_t now_ms,
                    tmb_job_result *ret)
{
    bool is_below = false, has_to_compare = false;
    const tmb_frame_leaves *leaves = &job->frame->u.leaves;
    tmb_context ctx, to = tmb_context_in(&x->to);
    tmb_err err = tmb_exchange_vector(leaves->ctx, &x->theirs, &ctx);
    if (!err)
        err = read_upto(leaves, &ctx, &to);
    if (err || leaves->codec != TMB_CODEC_PLAIN) /* the shell unpacks */
        return blame(err ? err : TMB_ECORRUPT, ret);
    bool is_new = !tmb_context_covers(&x->scope.clock, &ctx);
    if (is_new && !job->may_write)
        return blame(TMB_EDENIED, ret);
    if (tmb_context_base(&ctx, &x->scope.self) > x->scope.last)
        return blame(TMB_EGAP, ret);
    if (leaves->n == 0 && job->room->has_said)
        keep_gaps(x, job->room, &ctx);
    if (leaves->is_complete)
        err = is_below_sender(x, leaves, &ctx, &is_below);
    if (!err && is_below)
        err = is_disturbed(x, job->room, &has_to_compare);
    if (err || has_to_compare)
        return err ? err : compare_again(x, name, ret);
    read_actors(x, leaves, &ctx);
    tmb_context before = tmb_context_in(&x->ours);
    err = tmb_context_copy(&before, &x->scope.clock);
    if (err)
        return err;
    err = tmb_scope_join_chunk(&x->scope, name, leaves->data, &x->actors, &ctx, leaves->is_complete,
                               leaves->is_complete ? NULL : &to, job->may_write, &ret->leaves);
    if (err)
        return blame(err, ret);
    ret->is_changed = (leaves->is_complete && is_new) || ret->leaves > 0;
    ret->has_all = leaves->is_complete || tmb_context_covers(&to, &ctx);
    ret->is_behind = !leaves->is_complete;
    err = take_floor(x, leaves, &before);
    if (err)
        return err;
    ret->bytes = leaves->data.len;
    err = note_sender(x, name, leaves, &ctx, now_ms);
    return err ? err : tmb_exchange_save(x, TMB_COMMIT_SYNC, ret);
}

static tmb_err note_acked(tmb_exchange *x, const tmb_job *job, tmb_bytes name, int64_t now_ms,
                          tmb_job_result *ret)
{
    tmb_context position;
    tmb_err err = position_of(x, job, &position);
    if (!err)
        err = tmb_scope_acked(&x->scope, name, &position, now_ms);
    return err ? err : tmb_exchange_save(x, TMB_COMMIT_LATER, ret);
}

/* Leaves that a reconciliation has found. */
typedef struct basket {
    tmb_exchange *x;
    tmb_writer w;
    size_t bytes_max;
    unsigned leaves;
} basket;

static tmb_err put_in_basket(void *arg, tmb_bytes key)
{
    basket *b = arg;
    tmb_leaf_item item;
    size_t used = (size_t)(b->w.at - b->x->data);
    if (b->leaves == TMB_RANGES_KEYS_MAX || (b->leaves > 0 && used >= b->bytes_max))
        return TMB_ELIMIT;
    tmb_err err = tmb_scope_item(&b->x->scope, key, &item);
    if (err)
        return err;
    tmb_writer at = b->w;
    err = tmb_leaves_put(&at, &b->x->leaves, &b->x->actors, &item);
    if (err)
        return err;
    b->w = at;
    b->leaves++;
    return TMB_OK;
}

static void make_ranges(tmb_exchange *x, const tmb_job *job, uint32_t round, size_t len,
                        tmb_job_result *ret)
{
    tmb_frame *frame = &x->frames[ret->frames_count];
    frame->type = TMB_FRAME_RANGES;
    frame->u.ranges =
        (tmb_frame_ranges){.session = job->session, .turn = job->turn, .round = round};
    frame->u.ranges.scope = tmb_bytes_of(x->scope.name, x->scope.name_len);
    frame->u.ranges.data = tmb_bytes_of(x->ranges, len);
    ret->frames[ret->frames_count++] = frame;
}

/* Where the comparison that begins has to begin: where the one before had no more room. */
static tmb_bytes begin_at(tmb_sync_room *room)
{
    if (room->has_next) {
        memcpy(room->first, room->next, room->next_len);
        room->first_len = room->next_len;
    }
    room->has_next = false;
    return tmb_bytes_of(room->first, room->first_len);
}

static bool is_behind(tmb_bytes a, tmb_bytes b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least > 0 ? memcmp(a.ptr, b.ptr, least) : 0;
    return order > 0 || (order == 0 && a.len > b.len);
}

/* Of several places where there was no more room the first counts. What changed is compared with the rest. */
static void note_stop(tmb_sync_room *room, const tmb_ranges_result *said, tmb_job_result *ret)
{
    tmb_bytes stop = tmb_bytes_of(said->is_changed ? room->first : said->stop,
                                  said->is_changed ? room->first_len : said->stop_len);
    bool stops = (said->is_cut || said->is_changed) && stop.len <= TMB_LEAF_KEY_BYTES_MAX;
    if (stops && (!room->has_next || is_behind(tmb_bytes_of(room->next, room->next_len), stop))) {
        room->has_next = true;
        room->next_len = (uint16_t)stop.len;
        memcpy(room->next, stop.ptr, stop.len);
    }
    ret->is_partial = room->has_next;
    ret->has_moved = room->has_next && is_behind(tmb_bytes_of(room->next, room->next_len),
                                                 tmb_bytes_of(room->first, room->first_len));
}

static tmb_err ranges(tmb_exchange *x, const tmb_job *job, tmb_job_result *ret)
{
    const tmb_frame_ranges *came = job->begins ? NULL : &job->frame->u.ranges;
    bool drives = !came || came->round % 2 != 0;
    basket b = {.x = x, .w = tmb_writer_of(x->data, sizeof x->data), .bytes_max = job->bytes_max};
    tmb_ranges_result said;
    tmb_context position;
    x->leaves.key_len = 0;
    number_actors(x);
    tmb_err err =
        came ? tmb_ranges_answer(&x->scope, came->data, drives, put_in_basket, &b, x->ranges,
                                 sizeof x->ranges, &said)
             : tmb_ranges_begin(&x->scope, begin_at(job->room), x->ranges, sizeof x->ranges, &said);
    if (err)
        return blame(err, ret);
    ret->is_over = drives && said.len == 0;
    if (drives)
        note_stop(job->room, &said, ret);
    ret->leaves = b.leaves;
    if (b.leaves > 0) {
        err = position_of(x, job, &position);
        if (err)
            return err;
        make_leaves(x, job, (size_t)(b.w.at - x->data), &position, ret);
    }
    if (said.len > 0)
        make_ranges(x, job, came ? came->round + 1 : 0, said.len, ret);
    return tmb_exchange_save(x, x->scope.is_changed ? TMB_COMMIT_SYNC : TMB_COMMIT_NOTHING, ret);
}

tmb_err tmb_exchange_run(tmb_exchange *x, const tmb_job *job, const tmb_kv *kv, tmb_bytes scope,
                         tmb_bytes neighbour, tmb_incarnation fresh, int64_t now_ms, uint64_t hlc,
                         tmb_job_result *ret)
{
    *ret = (tmb_job_result){.kind = job->kind};
    tmb_err err = tmb_scope_load(&x->scope, kv, x->room, scope, fresh);
    if (!err)
        err = tmb_exchange_neighbour(x, neighbour);
    if (!err)
        switch (job->kind) {
        case TMB_JOB_NONE:
            err = TMB_EINVAL;
            break;
        case TMB_JOB_GREET:
            err = tmb_exchange_greet(x, job, now_ms, hlc, ret);
            break;
        case TMB_JOB_MEET:
            err = tmb_exchange_meet(x, job, neighbour, fresh, now_ms, hlc, ret);
            break;
        case TMB_JOB_SCAN:
            err = scan(x, job, ret);
            break;
        case TMB_JOB_JOIN:
            err = join(x, job, neighbour, now_ms, ret);
            break;
        case TMB_JOB_ACKED:
            err = note_acked(x, job, neighbour, now_ms, ret);
            break;
        case TMB_JOB_RANGES:
            err = ranges(x, job, ret);
            break;
        }
    ret->err = err;
    return err;
}
