// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/world.c - see world.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "tests/unit/state/world.h"

#define SCOPE     "line-7"
#define ANSWER_MS 1000
#define START_MS  INT64_C(1790000000000)

static tmb_incarnation draw(world *w)
{
    tmb_rng rng = {w->random};
    tmb_incarnation incarnation;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t v = tmb_rng_next(&rng);
        memcpy(incarnation.bytes + 8 * i, &v, 8);
    }
    w->random = rng.state;
    return incarnation;
}

static tmb_mono now_of(const world *w)
{
    tmb_mono now = {w->now_ms * 1000000};
    return now;
}

void world_init(world *w, unsigned nodes)
{
    memset(w, 0, sizeof *w);
    w->one_way_ms = 50;
    w->random = 7;
    w->now_ms = 1;
    w->nodes_count = nodes;
    w->exchange = calloc(1, sizeof *w->exchange);
    w->room = calloc(1, sizeof *w->room);
    assert_non_null(w->exchange);
    assert_non_null(w->room);
    w->exchange->room = w->room;
    for (unsigned i = 0; i < nodes; i++) {
        w->nodes[i].kv = kv_memory_port(&w->nodes[i].disk);
        w->nodes[i].stamp = (uint64_t)START_MS << 16;
        snprintf(w->nodes[i].name, sizeof w->nodes[i].name, "n%u", i);
    }
}

static void drop_queue(world_end *end)
{
    for (unsigned i = 0; i < end->queued; i++)
        free(end->queue[i].bytes);
    end->queued = 0;
}

void world_free(world *w)
{
    for (unsigned i = 0; i < w->lines_count; i++) {
        drop_queue(&w->lines[i].ends[0]);
        drop_queue(&w->lines[i].ends[1]);
    }
    for (unsigned i = 0; i < w->nodes_count; i++)
        kv_memory_free(&w->nodes[i].disk);
    free(w->exchange);
    free(w->room);
}

static void give(world *w, world_line *line, unsigned side, tmb_sync_event event);

static void tell(world *w, unsigned node, const world_end *but, tmb_sync_event_type type)
{
    for (unsigned i = 0; i < w->lines_count; i++)
        for (unsigned side = 0; side < 2; side++) {
            world_end *end = &w->lines[i].ends[side];
            tmb_sync_event event = {.type = type};
            if (end->node == node && end != but)
                give(w, &w->lines[i], side, event);
        }
}

static void tell_changed(world *w, unsigned node, const world_end *but)
{
    tell(w, node, but, TMB_SYNC_CHANGED);
}

void world_compare(world *w, unsigned node)
{
    tell(w, node, NULL, TMB_SYNC_COMPARE);
}

static void send(world *w, world_line *line, unsigned side, const tmb_frame *frame)
{
    world_end *from = &line->ends[side], *to = &line->ends[1 - side];
    size_t cap = tmb_frame_size_max(frame), len = 0;
    uint8_t *bytes = malloc(cap + 1);
    assert_non_null(bytes);
    assert_int_equal(tmb_frame_encode(frame, bytes, cap, &len), TMB_OK);
    from->bytes += len;
    from->frames++;
    from->leaves_frames += frame->type == TMB_FRAME_LEAVES;
    if (!line->is_up || to->queued == WORLD_QUEUE ||
        (line->loses && line->loses(line->arg, side, frame))) {
        free(bytes);
        return;
    }
    to->queue[to->queued++] = (world_frame){w->now_ms + w->one_way_ms, bytes, len};
}

static void run_job(world *w, world_line *line, unsigned side, const tmb_job *job)
{
    world_end *end = &line->ends[side];
    world_node *node = &w->nodes[end->node];
    const char *other = w->nodes[line->ends[1 - side].node].name;
    tmb_job_result result;
    tmb_err err =
        tmb_exchange_run(w->exchange, job, &node->kv, tmb_bytes_str(SCOPE), tmb_bytes_str(other),
                         draw(w), START_MS + w->now_ms, node->stamp, &result);
    if (err || result.commit == TMB_COMMIT_NOTHING)
        kv_memory_drop(&node->disk);
    else
        kv_memory_commit(&node->disk, result.commit == TMB_COMMIT_SYNC);
    node->syncs += !err && result.commit == TMB_COMMIT_SYNC;
    tmb_sync_event done = {.type = TMB_SYNC_DONE, .result = &result};
    give(w, line, side, done);
    if (!err && result.is_changed)
        tell_changed(w, end->node, end);
}

static void give(world *w, world_line *line, unsigned side, tmb_sync_event event)
{
    world_end *end = &line->ends[side];
    tmb_sync_actions *actions = calloc(1, sizeof *actions);
    unsigned sent = 0;
    const tmb_job *job = NULL;
    assert_non_null(actions);
    event.now = now_of(w);
    end->sync.room = &end->room;
    assert_int_equal(tmb_sync_step(&end->sync, &event, actions), TMB_OK);
    for (unsigned i = 0; i < actions->n; i++) {
        tmb_sync_action *action = &actions->v[i];
        if (action->type == TMB_SYNC_SEND) {
            send(w, line, side, action->frame);
            sent++;
        } else if (action->type == TMB_SYNC_REPORT) {
            end->reports[action->report]++;
        } else {
            job = &action->job;
        }
    }
    for (; sent > 0; sent--) {
        tmb_sync_actions none;
        tmb_sync_event left = {.type = TMB_SYNC_SENT, .now = now_of(w)};
        assert_int_equal(tmb_sync_step(&end->sync, &left, &none), TMB_OK);
        assert_int_equal(none.n, 0);
    }
    if (job)
        run_job(w, line, side, job);
    if (tmb_sync_is_quiet(&end->sync))
        memset(&end->room, 0, sizeof end->room); /* as if another one were given next */
    free(actions);
}

unsigned world_join(world *w, unsigned a, unsigned b)
{
    world_line *line = &w->lines[w->lines_count];
    const unsigned nodes[2] = {a, b};
    assert_true(w->lines_count < WORLD_LINES);
    for (unsigned side = 0; side < 2; side++) {
        tmb_sync_options options = {.answer_ms = ANSWER_MS, .chunk_bytes = w->chunk_bytes};
        options.may_write = !w->nodes[nodes[1 - side]].may_not_write;
        line->ends[side].node = nodes[side];
        tmb_sync_init(&line->ends[side].sync, SCOPE, &options);
    }
    return w->lines_count++;
}

void world_up(world *w, unsigned number, bool both)
{
    world_line *line = &w->lines[number];
    line->is_up = true;
    w->session++;
    for (unsigned side = 0; side < 2; side++) {
        world_end *end = &line->ends[side];
        tmb_sync_event event = {.type = TMB_SYNC_OPEN, .session = w->session};
        event.speaks = side == 1 || both;
        end->bytes = end->frames = end->leaves_frames = 0;
        end->first_leaf_ms = -1;
        memset(end->reports, 0, sizeof end->reports);
        give(w, line, side, event);
    }
}

void world_down(world *w, unsigned number)
{
    world_line *line = &w->lines[number];
    line->is_up = false;
    for (unsigned side = 0; side < 2; side++) {
        tmb_sync_event event = {.type = TMB_SYNC_CLOSE};
        drop_queue(&line->ends[side]);
        give(w, line, side, event);
    }
}

static void take(world *w, world_line *line, unsigned side)
{
    world_end *end = &line->ends[side];
    world_frame came = end->queue[0];
    size_t cap = tmb_frame_arena_size(came.len);
    void *arena = malloc(cap);
    tmb_frame *frame = calloc(1, sizeof *frame);
    assert_non_null(arena);
    assert_non_null(frame);
    memmove(end->queue, end->queue + 1, --end->queued * sizeof *end->queue);
    assert_int_equal(tmb_frame_decode(tmb_bytes_of(came.bytes, came.len), arena, cap, frame),
                     TMB_OK);
    if (frame->type == TMB_FRAME_LEAVES && frame->u.leaves.data.len > 0 && end->first_leaf_ms < 0)
        end->first_leaf_ms = w->now_ms;
    w->last_ms = w->now_ms;
    w->taken++;
    if (frame->type == TMB_FRAME_LEAVES)
        w->came_bytes += frame->u.leaves.data.len;
    tmb_sync_event event = {.type = TMB_SYNC_FRAME, .frame = frame};
    give(w, line, side, event);
    free(frame);
    free(arena);
    free(came.bytes);
}

/* The end for which something happens first, and when. */
static world_end *next_of(world *w, int64_t *ret_ms, world_line **ret_line, unsigned *ret_side)
{
    world_end *first = NULL;
    *ret_ms = INT64_MAX;
    *ret_line = NULL;
    *ret_side = 0;
    for (unsigned i = 0; i < w->lines_count; i++)
        for (unsigned side = 0; side < 2; side++) {
            world_end *end = &w->lines[i].ends[side];
            tmb_mono due = tmb_sync_deadline(&end->sync);
            int64_t at_ms = due.ns == INT64_MAX ? INT64_MAX : due.ns / 1000000;
            if (end->queued > 0 && end->queue[0].at_ms < at_ms)
                at_ms = end->queue[0].at_ms;
            if (at_ms >= *ret_ms)
                continue;
            *ret_ms = at_ms;
            *ret_line = &w->lines[i];
            *ret_side = side;
            first = end;
        }
    return first;
}

bool world_run(world *w, int64_t ms)
{
    int64_t until_ms = w->now_ms + ms, at_ms;
    world_line *line;
    unsigned side;
    for (world_end *end; (end = next_of(w, &at_ms, &line, &side)) != NULL;) {
        if (at_ms > until_ms)
            return false;
        w->now_ms = at_ms > w->now_ms ? at_ms : w->now_ms;
        if (end->queued > 0 && end->queue[0].at_ms <= w->now_ms) {
            take(w, line, side);
            if (w->taken == w->stop_after)
                return false;
        } else {
            tmb_sync_event event = {.type = TMB_SYNC_TIMEOUT};
            give(w, line, side, event);
        }
    }
    return true;
}

tmb_scope *world_load(world *w, unsigned node)
{
    assert_int_equal(
        tmb_scope_load(&w->scope, &w->nodes[node].kv, w->room, tmb_bytes_str(SCOPE), draw(w)),
        TMB_OK);
    return &w->scope;
}

void world_save(world *w, unsigned node)
{
    assert_int_equal(tmb_scope_save(&w->scope), TMB_OK);
    kv_memory_commit(&w->nodes[node].disk, true);
    tell_changed(w, node, NULL);
}

tmb_verdict world_try(world *w, unsigned node, tmb_verb verb, const char *path, const char *value,
                      uint64_t amount)
{
    tmb_bytes values[1] = {tmb_bytes_str(value ? value : "")};
    tmb_op op = {.verb = verb, .scope = tmb_bytes_str(SCOPE), .path = tmb_bytes_str(path)};
    tmb_verdict verdict = TMB_VERDICT_LIMIT;
    const char *text = NULL;
    op.values = values;
    op.values_count = value ? 1 : 0;
    op.amount = amount;
    op.stamp.u64 = ++w->nodes[node].stamp;
    tmb_scope *scope = world_load(w, node);
    assert_int_equal(tmb_scope_apply(scope, &op, true, &verdict, &text), TMB_OK);
    world_save(w, node);
    return verdict;
}

void world_op(world *w, unsigned node, tmb_verb verb, const char *path, const char *value,
              uint64_t amount)
{
    assert_int_equal(world_try(w, node, verb, path, value, amount), TMB_VERDICT_DONE);
}

void world_cut(world *w, unsigned node)
{
    for (unsigned i = 0; i < w->lines_count; i++)
        if (w->lines[i].is_up &&
            (w->lines[i].ends[0].node == node || w->lines[i].ends[1].node == node))
            world_down(w, i);
    kv_memory_cut(&w->nodes[node].disk);
}

void world_set(world *w, unsigned node, const char *path, const char *value)
{
    world_op(w, node, TMB_VERB_SET, path, value, 0);
}

bool world_is_equal(world *w, unsigned a, unsigned b)
{
    tmb_fingerprint one;
    tmb_context_room *room = malloc(sizeof *room);
    assert_non_null(room);
    tmb_context clock = tmb_context_in(room);
    tmb_scope *scope = world_load(w, a);
    one = scope->fingerprint;
    assert_int_equal(tmb_context_copy(&clock, &scope->clock), TMB_OK);
    scope = world_load(w, b);
    bool is_equal =
        tmb_context_eq(&clock, &scope->clock) && tmb_fingerprint_eq(&one, &scope->fingerprint);
    free(room);
    return is_equal;
}

void world_lapse(world *w, unsigned node)
{
    unsigned lapsed = 0, forgotten = 0;
    tmb_scope *scope = world_load(w, node);
    assert_int_equal(tmb_scope_lapse(scope, START_MS + w->now_ms + 1000000, 1, UINT64_MAX, &lapsed),
                     TMB_OK);
    do {
        assert_int_equal(tmb_scope_forget(scope, 10000, &forgotten), TMB_OK);
    } while (forgotten == 10000);
    world_save(w, node);
}

unsigned world_told(const world_line *line, tmb_sync_report what)
{
    return line->ends[0].reports[what] + line->ends[1].reports[what];
}

const char *world_value(world *w, unsigned node, const char *path)
{
    static char text[64];
    tmb_leaf_key key = {.path = tmb_bytes_str(path), .type = TMB_TYPE_REGISTER};
    tmb_leaf *leaf = calloc(1, sizeof *leaf);
    assert_non_null(leaf);
    assert_int_equal(tmb_scope_leaf(world_load(w, node), &key, leaf), TMB_OK);
    text[0] = 0;
    if (leaf->count > 0) {
        tmb_bytes bytes = tmb_register_bytes(tmb_register_read(leaf));
        assert_true(bytes.len < sizeof text);
        memcpy(text, bytes.ptr, bytes.len);
        text[bytes.len] = 0;
    }
    free(leaf);
    return text;
}

void world_fill(world *w, unsigned node, unsigned from, unsigned count, const char *text)
{
    char path[32], value[400];
    for (unsigned i = from; i < from + count; i++) {
        snprintf(path, sizeof path, "line/%u/x%u", i % 7, i);
        snprintf(value, sizeof value, "%s %u %0200u", text, i, i);
        world_set(w, node, path, value);
    }
}
