// SPDX-License-Identifier: Apache-2.0
/* sim/state_box.c - what is on a box's disk: its journal, its store, and beside them what the book says that
 * it knows; images of it; and its wall clock.
 *
 * A journal's record is synced some time after it was written; its client is told then. A power cut takes the
 * tail that was not synced, whole or in part. An image is taken while nothing waits in the journal, as
 * whoever takes one stops the box before. */
#include "sim/state_world.h"

#include <stdlib.h>

static const uint8_t cursor_key[2] = {0xff, 'c'}, clock_key[2] = {0xff, 'h'};

int64_t state_wall_ms(const state_world *world, const state_node *node)
{
    int64_t ms = world->now_ns / STATE_MS;
    if (node->is_frozen)
        return node->frozen_ms;
    int64_t wall = STATE_WALL_MS + ms + node->offset_ms + ms / 1000000 * node->drift_ppm;
    return wall > 0 ? wall : 0;
}

bool state_load(state_world *world, state_node *node, unsigned scope, tmb_scope *ret)
{
    tmb_err err = tmb_scope_load(ret, &node->box.port, world->room,
                                 tmb_bytes_str(state_scopes[scope]), state_fresh(world));
    if (err != TMB_OK)
        state_fail(world, "a scope cannot be loaded");
    return err == TMB_OK;
}

unsigned state_cursor(const state_box *box)
{
    const tmb_kv *kv = &box->port;
    tmb_bytes value;
    if (kv->get(kv->arg, tmb_bytes_of(cursor_key, sizeof cursor_key), &value) != TMB_OK ||
        value.len != sizeof(unsigned))
        return 0;
    unsigned cursor;
    memcpy(&cursor, value.ptr, sizeof cursor);
    return cursor;
}

bool state_cursor_put(state_node *node, unsigned cursor)
{
    const tmb_kv *kv = &node->box.port;
    return kv->put(kv->arg, tmb_bytes_of(cursor_key, sizeof cursor_key),
                   tmb_bytes_of(&cursor, sizeof cursor)) == TMB_OK;
}

/* What is on the disk of the node's clock. */
void state_clock_begin(state_node *node)
{
    const tmb_kv *kv = &node->box.port;
    tmb_hlc floor = {0};
    tmb_bytes value;
    if (kv->get(kv->arg, tmb_bytes_of(clock_key, sizeof clock_key), &value) == TMB_OK &&
        value.len == sizeof floor)
        memcpy(&floor, value.ptr, sizeof floor);
    tmb_wall built = {STATE_BUILT_MS};
    tmb_clock_begin(&node->clock, floor, built);
}

bool state_clock_store(state_world *world, state_node *node)
{
    const tmb_kv *kv = &node->box.port;
    tmb_wall wall = {state_wall_ms(world, node)};
    tmb_hlc floor;
    return !tmb_clock_floor(&node->clock, wall, &floor) ||
           kv->put(kv->arg, tmb_bytes_of(clock_key, sizeof clock_key),
                   tmb_bytes_of(&floor, sizeof floor)) == TMB_OK;
}

bool state_append(state_world *world, state_node *node, const state_op *op)
{
    state_box *box = &node->box;
    if (box->count == box->cap) {
        unsigned cap = box->cap > 0 ? box->cap * 2 : 64;
        state_op *larger = realloc(box->journal, cap * sizeof *larger);
        if (larger == NULL) {
            state_fail(world, "no memory");
            return false;
        }
        box->journal = larger;
        box->cap = cap;
    }
    tmb_wall wall = {state_wall_ms(world, node)};
    box->stamp = tmb_hlc_next(box->stamp, wall);
    box->journal[box->count] = *op;
    box->journal[box->count++].stamp = box->stamp;
    world->result->ops++;
    return true;
}

void state_journal_synced(state_world *world, state_node *node, uint64_t count)
{
    state_box *box = &node->box;
    for (; box->synced < count && box->synced < box->count; box->synced++) {
        box->journal[box->synced].is_acked = true;
        world->result->acked++;
    }
}

bool state_box_copy(state_box *to, const state_box *from)
{
    state_op *journal = malloc((from->count + 1) * sizeof *journal);
    if (journal == NULL)
        return false;
    if (from->count > 0)
        memcpy(journal, from->journal, from->count * sizeof *journal);
    free(to->journal);
    to->journal = journal;
    to->cap = from->count + 1;
    to->count = from->count;
    to->synced = from->synced;
    to->number = from->number;
    to->done = from->done;
    to->applied = from->applied;
    to->stamp = from->stamp;
    if (to->views == NULL)
        to->views = calloc(STATE_SCOPES_MAX, sizeof *to->views);
    bool is_good = to->views != NULL && kv_memory_copy(&to->disk, &from->disk);
    to->port = kv_memory_port(&to->disk);
    for (unsigned i = 0; is_good && i < STATE_SCOPES_MAX; i++)
        is_good = state_view_copy(&to->views[i], &from->views[i]);
    return is_good;
}

void state_box_free(state_box *box)
{
    for (unsigned i = 0; box->views != NULL && i < STATE_SCOPES_MAX; i++)
        state_view_free(&box->views[i]);
    free(box->views);
    free(box->journal);
    kv_memory_free(&box->disk);
    *box = (state_box){0};
}

bool state_take_image(state_world *world, state_node *node)
{
    state_box *box = &node->box;
    if (node->is_busy || box->synced < box->count || state_cursor(box) < box->count)
        return false;
    if (!state_box_copy(&node->image, box))
        state_fail(world, "no memory");
    node->has_image = true;
    node->image_ns = node->unmet != 0 ? node->known_ns : world->now_ns;
    state_tell(world, node, "has an image taken, records", box->count);
    return true;
}

static void clear_maybe(state_world *world, const state_view *view, bool *is_maybe)
{
    for (unsigned a = 0; a < world->book.actors_count; a++) {
        for (unsigned k = 0; k < view->counts[a] && k < view->clock[a]; k++) {
            const state_bind *bind = &world->book.binds[view->slots[a][k].bind];
            for (unsigned i = 0; view->slots[a][k].is_held && i < bind->count; i++)
                is_maybe[world->book.bound[bind->first + i]] = false;
        }
    }
}

/* What no other disk's clock covers is perhaps gone: what others heard of it in a pass that is not over may
 * stay with some. Other boxes' images do not count. */
static void mark_maybe(state_world *world, const state_node *node)
{
    static bool is_maybe[STATE_CHANGES_MAX];
    for (unsigned c = 0; c < world->book.changes_count; c++)
        is_maybe[c] = node->box.views[world->book.changes[c].scope].sees[c] != 0;
    for (unsigned i = 0; i < world->nodes_count; i++) {
        const state_node *other = &world->nodes[i];
        for (unsigned s = 0; s < world->scopes_count; s++) {
            if (other != node && other->is_there && !other->is_gone && other->holds[s])
                clear_maybe(world, &other->box.views[s], is_maybe);
        }
    }
    for (unsigned c = 0; c < world->book.changes_count; c++)
        world->book.changes[c].is_maybe = world->book.changes[c].is_maybe || is_maybe[c];
}

/* Records that were never applied and go with the disk: from where on. */
static void count_lost(state_world *world, const state_node *node, unsigned from)
{
    const state_box *box = &node->box;
    unsigned cursor = state_cursor(box);
    for (unsigned i = cursor > from ? cursor : from; i < box->synced; i++) {
        world->result->lost++;
        world->result->lost_acked += box->journal[i].is_acked;
    }
}

/* Frames of the old disk may still be under way, or wait at somebody's: what their dots are of is kept. */
static void dig_grave(state_world *world, state_node *node)
{
    unsigned first = node->graves_count * STATE_SCOPES_MAX;
    state_view *larger = realloc(node->graves, (first + STATE_SCOPES_MAX) * sizeof *larger);
    if (larger == NULL) {
        state_fail(world, "no memory");
        return;
    }
    node->graves = larger;
    memset(larger + first, 0, STATE_SCOPES_MAX * sizeof *larger);
    node->graves_count++;
    for (unsigned i = 0; i < STATE_SCOPES_MAX; i++) {
        if (!state_view_copy(&larger[first + i], &node->box.views[i]))
            state_fail(world, "no memory");
    }
}

bool state_put_image(state_world *world, state_node *node)
{
    if (!node->has_image)
        return false;
    count_lost(world, node, node->image.count);
    mark_maybe(world, node);
    dig_grave(world, node);
    if (!state_box_copy(&node->box, &node->image)) {
        state_fail(world, "no memory");
        return false;
    }
    /* What the image has is not lost with the disk that it replaces. */
    static bool is_maybe[STATE_CHANGES_MAX];
    for (unsigned c = 0; c < world->book.changes_count; c++)
        is_maybe[c] = world->book.changes[c].is_maybe;
    for (unsigned k = 0; k < world->scopes_count; k++)
        clear_maybe(world, &node->box.views[k], is_maybe);
    for (unsigned c = 0; c < world->book.changes_count; c++)
        world->book.changes[c].is_maybe = is_maybe[c];
    node->is_restored = true;
    state_tell(world, node, "is restored from an image, records", node->box.count);
    return true;
}

void state_bury(state_world *world, state_node *node)
{
    count_lost(world, node, 0);
    mark_maybe(world, node);
    node->is_gone = true;
    node->is_there = false;
}

void state_cut_power(state_world *world, state_node *node)
{
    state_box *box = &node->box;
    unsigned tail = box->count - box->synced;
    if (tail > 0)
        box->count -= (unsigned)tmb_rng_below(&world->dice, tail + 1);
    if (box->synced < box->count)
        box->synced = box->count; /* it is there after all; its client was not told */
    size_t commits = box->disk.marks_count;
    kv_memory_lose(&box->disk, tmb_rng_below(&world->dice, commits + 1));
    if (commits > 0)
        state_tell(world, node, "loses what was not synced; its cursor", state_cursor(box));
}
