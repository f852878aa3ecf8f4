// SPDX-License-Identifier: Apache-2.0
/* sim/state.c - the clock of the world of state, its faults, and the verdict. See sim/state.h. */
#include "sim/state_world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/words.h"

#define YEAR_MS      INT64_C(31536000000)
#define FAULTS       36
#define STEPS_PER_S  20000
#define SETTLE_S     400 /* once equal: for the last acknowledgements */
#define RESTORES_MAX 3

static const char *const plant_names[STATE_PLANTS] = {"honest", "ack-before-sync", "cursor-apart",
                                                      "fold-ahead"};

const char *state_plant_str(state_plant plant)
{
    return sim_word(plant_names, STATE_PLANTS, (unsigned)plant);
}

state_plant state_plant_find(const char *name)
{
    return (state_plant)sim_word_find(plant_names, STATE_PLANTS, name);
}

void state_result_add(state_result *sum, const state_result *r)
{
    sum->ops += r->ops;
    sum->acked += r->acked;
    sum->changes += r->changes;
    sum->lost += r->lost;
    sum->lost_acked += r->lost_acked;
    sum->frames += r->frames;
    sum->bytes += r->bytes;
    sum->steps += r->steps;
    sum->lapsed += r->lapsed;
    sum->ranged += r->ranged;
    sum->reincarnated += r->reincarnated;
    for (unsigned kind = 0; kind < STATE_KINDS; kind++)
        sum->fired[kind] += r->fired[kind];
}

const char *state_kind_str(state_kind kind)
{
    switch (kind) {
#define CASE(name, word)                                                                           \
    case STATE_##name:                                                                             \
        return word;
        STATE_KIND_LIST(CASE)
#undef CASE
    case STATE_KINDS:
        break;
    }
    return "unknown";
}

static void print_time(const state_world *world)
{
    int64_t s = world->now_ns / STATE_S;
    fprintf(world->print, "%3" PRId64 " d %02d:%02d:%02d.%03d  ", s / 86400, (int)(s / 3600 % 24),
            (int)(s / 60 % 60), (int)(s % 60), (int)(world->now_ns / STATE_MS % 1000));
}

void state_fail(state_world *world, const char *why)
{
    if (world->result->failure != NULL)
        return;
    world->result->failure = why;
    world->result->at_ms = world->now_ns / STATE_MS;
    if (world->print == NULL)
        return;
    print_time(world);
    fprintf(world->print, "FAILED: %s\n", why);
}

void state_tell(state_world *world, const state_node *node, const char *what, uint64_t number)
{
    if (world->print == NULL)
        return;
    print_time(world);
    fprintf(world->print, "%-5s %s %" PRIu64 "\n", node->name, what, number);
}

bool state_may(state_world *world, state_kind kind, tmb_rng *rng, unsigned of_thousand)
{
    return !world->is_healed && world->has[kind] && sim_chance(rng, of_thousand);
}

tmb_incarnation state_fresh(state_world *world)
{
    tmb_incarnation fresh;
    for (unsigned i = 0; i < TMB_INCARNATION_BYTES; i++)
        fresh.bytes[i] = (uint8_t)tmb_rng_next(&world->dice);
    return fresh;
}

void state_post(state_world *world, state_event_kind kind, const state_node *node, uint64_t number,
                int64_t after_ns, void *load)
{
    sim_event event = {.at_ns = world->now_ns + after_ns,
                       .kind = kind,
                       .node = node->index,
                       .run = node->run,
                       .number = number,
                       .load = load};
    if (!sim_heap_push(&world->heap, &event))
        state_fail(world, "no memory");
}

static void restart(state_world *world, state_node *node, int64_t most_ns)
{
    int64_t least_ns = 10 * STATE_MS;
    state_post(world, EVENT_START, node, 0,
               state_span(&world->fate, least_ns, most_ns > 2 * least_ns ? most_ns : 2 * least_ns),
               NULL);
}

static bool stop(state_world *world, state_node *node, bool is_power_cut)
{
    if (!node->is_up)
        return false;
    state_stop(world, node, is_power_cut);
    restart(world, node, is_power_cut ? world->end_ns / 16 : 30 * STATE_S);
    return true;
}

/* That a disk is another one is seen at the start (it has a mark of its own, outside of the image). When it
 * is not, the neighbour has to tell; which helps one that has one neighbour. */
static bool is_noticed(state_world *world, const state_node *node)
{
    return node->tier != 2 || node->parents_count != 1 || sim_chance(&world->fate, 500);
}

static bool restore(state_world *world, state_node *node)
{
    if (node->is_gone || !node->is_there || node->restores == RESTORES_MAX)
        return false;
    if (!node->has_image)
        return false;
    state_stop(world, node, true);
    node->restores++;
    if (!state_put_image(world, node))
        return false;
    node->went_back_ns = world->now_ns;
    node->known_ns = node->image_ns;
    node->has_moved = is_noticed(world, node);
    restart(world, node, 60 * STATE_S);
    for (unsigned s = 0; !node->has_moved && s < world->scopes_count; s++)
        node->unmet |= node->holds[s] ? 1u << s : 0u;
    if (!node->has_moved)
        return true;
    /* Nobody is there to tell it, and its clients go on. */
    node->back_ns = world->now_ns + sim_between(&world->fate, 60000, 120000);
    for (unsigned i = 0; i < 6; i++)
        state_post(world, EVENT_OP, node, 1, sim_between(&world->load, 50000, 110000), NULL);
    return true;
}

static bool clone(state_world *world, state_node *node)
{
    state_node *box = NULL;
    for (unsigned i = world->first_site + world->sites; i < world->nodes_count && !box; i++)
        box = !world->nodes[i].is_there && !world->nodes[i].is_gone ? &world->nodes[i] : NULL;
    if (box == NULL || node->is_gone || !node->is_there || !node->is_up || node->is_busy ||
        node->box.synced < node->box.count || state_cursor(&node->box) < node->box.count)
        return false;
    if (!state_box_copy(&box->box, &node->box)) {
        state_fail(world, "no memory");
        return false;
    }
    memcpy(box->parents, node->parents, sizeof box->parents);
    box->parents_count = node->parents_count;
    box->parent = node->parent;
    memcpy(box->holds, node->holds, sizeof box->holds);
    box->box.number = box->box.done = 0; /* its clients are others */
    box->is_there = box->is_restored = node->is_restored = box->has_moved = true;
    box->was_wrong = node->was_wrong;
    state_tell(world, node, "is cloned, records", node->box.count);
    state_start(world, box);
    return true;
}

static void tell_parents(state_world *world, const state_node *node)
{
    for (unsigned i = 0; i < node->parents_count; i++) {
        state_job job = {.kind = JOB_RETIRE, .peer = node->index};
        state_job_add(world, &world->nodes[node->parents[i]], &job);
    }
}

static bool retire(state_world *world, state_node *node)
{
    if (node->tier != 2 || node->is_gone || !node->is_there || world->retired > 0)
        return false;
    for (unsigned i = 0; i < node->parents_count; i++) {
        if (!world->nodes[node->parents[i]].is_up)
            return false; /* somebody has to be told */
    }
    state_stop(world, node, true);
    state_bury(world, node);
    world->retired++;
    state_tell(world, node, "retires, run", node->run);
    tell_parents(world, node);
    return true;
}

static bool fall_back(state_world *world, state_node *node)
{
    if (node->parents_count < 2 || node->is_gone)
        return false;
    state_close(world, node);
    node->parent = node->parents[node->parent == node->parents[0]];
    state_tell(world, node, "goes to the other parent:", node->parent);
    state_post(world, EVENT_DIAL, node, 0, sim_between(&world->fate, 10, 3000), NULL);
    return true;
}

static void set_clock(state_world *world, state_node *node, state_kind kind)
{
    int64_t true_ms = STATE_WALL_MS + world->now_ns / STATE_MS;
    if (kind == STATE_STEP)
        node->offset_ms = sim_chance(&world->fate, 300)
                              ? 0
                              : (int64_t)tmb_rng_below(&world->fate, 4 * YEAR_MS) - 2 * YEAR_MS;
    else if (kind == STATE_EPOCH)
        node->offset_ms = (int64_t)tmb_rng_below(&world->fate, 100000) - true_ms;
    else if (kind == STATE_DRIFT)
        node->drift_ppm = (int64_t)tmb_rng_below(&world->fate, 101) - 50;
    else {
        node->frozen_ms = state_wall_ms(world, node);
        node->is_frozen = !node->is_frozen;
    }
    node->was_wrong = node->was_wrong || node->offset_ms != 0 || node->is_frozen;
    state_tell(world, node, "has its clock changed; its year is now",
               (uint64_t)(1970 + state_wall_ms(world, node) / YEAR_MS));
}

static bool partition(state_world *world, state_node *node, int64_t least_ns, int64_t most_ns)
{
    if (node->index == STATE_TOP || node->is_gone)
        return false;
    node->back_ns = world->now_ns + state_span(&world->fate, least_ns, most_ns);
    state_close(world, node);
    state_tell(world, node,
               "is cut off, for seconds:", (uint64_t)((node->back_ns - world->now_ns) / STATE_S));
    state_post(world, EVENT_DIAL, node, 0, node->back_ns - world->now_ns + 1, NULL);
    return true;
}

/* One fault; true: it took place. */
static bool do_fault(state_world *world, state_kind kind)
{
    unsigned there = world->first_site + world->sites;
    state_node *any = &world->nodes[tmb_rng_below(&world->fate, there)];
    state_node *site = &world->nodes[world->first_site + tmb_rng_below(&world->fate, world->sites)];
    int64_t most_ns = world->end_ns / 4;
    switch (kind) {
    case STATE_PARTITION:
        return partition(world, any, 60 * STATE_S, most_ns);
    case STATE_LAPSE:
        return world->end_ns > 36 * STATE_DAY && world->now_ns < 8 * STATE_DAY &&
               partition(world, site, 31 * STATE_DAY, 32 * STATE_DAY);
    case STATE_CUT:
        state_close(world, any);
        return any->index != STATE_TOP;
    case STATE_SLOW:
        any->slow_until_ns = world->now_ns + state_span(&world->fate, STATE_S, most_ns);
        return any->index != STATE_TOP;
    case STATE_KILL:
    case STATE_POWER:
        return stop(world, any, kind == STATE_POWER);
    case STATE_FULL:
        any->full_until_ns = world->now_ns + state_span(&world->fate, STATE_S, most_ns / 4);
        state_post(world, EVENT_LOOK, any, 0, any->full_until_ns - world->now_ns + 1, NULL);
        return true;
    case STATE_RESTORE:
        return restore(world, any);
    case STATE_CLONE:
        return clone(world, site);
    case STATE_STEP:
    case STATE_EPOCH:
    case STATE_DRIFT:
    case STATE_FREEZE:
        set_clock(world, any, kind);
        return true;
    case STATE_RETIRE:
        return sim_chance(&world->fate, 300) && retire(world, site);
    case STATE_FALLBACK:
        return fall_back(world, site);
    case STATE_LOSS:
    case STATE_REPEAT:
    case STATE_TOKEN:
    case STATE_KINDS:
        break;
    }
    return false;
}

static void draw_fault(state_world *world)
{
    state_kind kind = (state_kind)tmb_rng_below(&world->fate, STATE_KINDS);
    if (world->is_healed)
        return;
    state_post(world, EVENT_FAULT, &world->nodes[STATE_TOP], 0,
               sim_span(&world->fate, 2 * world->end_ns / FAULTS), NULL);
    if (world->has[kind] && do_fault(world, kind))
        world->result->fired[kind]++;
}

/* Clients come in bursts. */
static void draw_op(state_world *world)
{
    if (world->is_healed)
        return;
    int64_t mean_ns = world->end_ns / world->ops;
    bool is_burst = sim_chance(&world->load, 700);
    state_post(world, EVENT_OP, &world->nodes[STATE_TOP], 0,
               is_burst ? sim_between(&world->load, 0, 400) : sim_span(&world->load, 6 * mean_ns),
               NULL);
    state_node *node = &world->nodes[tmb_rng_below(&world->load, world->nodes_count)];
    if (node->is_there && !node->is_gone)
        state_ask(world, node);
}

static void dispatch(state_world *world, sim_event *event)
{
    state_node *node = &world->nodes[event->node];
    switch ((state_event_kind)event->kind) {
    case EVENT_OP:
        if (event->number == 0)
            draw_op(world);
        else if (!world->is_healed && node->is_there && !node->is_gone)
            state_ask(world, node);
        break;
    case EVENT_FAULT:
        draw_fault(world);
        break;
    case EVENT_START:
        state_start(world, node);
        break;
    case EVENT_JOURNAL:
        if (!node->is_powered || !node->is_there)
            break;
        state_journal_synced(world, node, event->number);
        state_want(world, node, JOB_APPLY);
        break;
    case EVENT_COMMIT:
        if (node->is_busy && event->number == node->ticket && event->run == node->run)
            state_job_commit(world, node);
        break;
    case EVENT_DIAL:
        if (event->run == node->run || world->is_healed)
            state_dial(world, node);
        break;
    case EVENT_FRAME:
        state_arrive(world, event->load);
        event->load = NULL;
        break;
    case EVENT_HOUSE:
        for (unsigned i = 0; i < world->nodes_count; i++) {
            if (world->has[STATE_RESTORE] && world->nodes[i].is_up && sim_chance(&world->fate, 200))
                (void)state_take_image(world, &world->nodes[i]);
            state_want(world, &world->nodes[i], JOB_HOUSE);
        }
        state_post(world, EVENT_HOUSE, node, 0,
                   world->is_healed ? STATE_HOUSE_S * STATE_S : world->end_ns / 30, NULL);
        break;
    case EVENT_CUT:
        state_close(world, node);
        break;
    case EVENT_DIE:
        if (event->number == 2)
            world->result->fired[STATE_RESTORE] += !world->is_healed && restore(world, node);
        else if (event->run == node->run && !world->is_healed &&
                 stop(world, node, event->number == 1))
            world->result->fired[event->number == 1 ? STATE_POWER : STATE_KILL]++;
        break;
    case EVENT_LOOK:
        if (event->number == 1) /* the end comes though nothing else happens */
            state_post(world, EVENT_LOOK, node, 1, 2 * STATE_S, NULL);
        else
            state_want(world, node, JOB_APPLY);
        break;
    }
}

static void step(state_world *world)
{
    int64_t next_ns = sim_heap_next_ns(&world->heap);
    state_node *due = NULL;
    for (unsigned i = 0; i < world->nodes_count; i++) {
        tmb_mono deadline = state_deadline(world, &world->nodes[i]);
        if (deadline.ns < next_ns) {
            next_ns = deadline.ns;
            due = &world->nodes[i];
        }
    }
    if (next_ns == INT64_MAX) {
        state_fail(world, "nobody waits for anything");
        return;
    }
    world->now_ns = next_ns > world->now_ns ? next_ns : world->now_ns;
    if (world->now_ns / STATE_S != world->second) {
        world->second = world->now_ns / STATE_S;
        world->steps_in_second = 0;
    }
    world->result->steps++;
    if (++world->steps_in_second > STEPS_PER_S)
        state_fail(world, "a hot loop");
    if (due != NULL) {
        state_timeouts(world, due);
        return;
    }
    sim_event event;
    (void)sim_heap_pop(&world->heap, &event);
    world->result->hash =
        (world->result->hash ^ (uint64_t)event.at_ns ^ event.kind) * UINT64_C(0x100000001b3);
    dispatch(world, &event);
    if (world->book.failure != NULL)
        state_fail(world, world->book.failure);
}

static void heal(state_world *world)
{
    world->is_healed = true;
    state_tell(world, &world->nodes[STATE_TOP], "all is healed; operations so far",
               world->result->ops);
    for (unsigned i = 0; i < world->nodes_count; i++) {
        state_node *node = &world->nodes[i];
        node->back_ns = node->slow_until_ns = node->full_until_ns = 0;
        node->is_frozen = false;
        if (!node->is_there || node->is_gone)
            continue;
        state_start(world, node);
        state_journal_synced(world, node, node->box.count);
        state_want(world, node, JOB_APPLY);
        if (i != STATE_TOP)
            state_post(world, EVENT_DIAL, node, 0, sim_between(&world->net, 10, 2000), NULL);
    }
    state_post(world, EVENT_HOUSE, &world->nodes[STATE_TOP], 0, STATE_HOUSE_S * STATE_S, NULL);
    /* A parent that went back to an image, or still had something of it to do, takes it for active. */
    for (unsigned i = 0; i < world->nodes_count; i++) {
        if (world->nodes[i].is_gone)
            tell_parents(world, &world->nodes[i]);
    }
}

/* Plays on for so many seconds of the world, or until all replicas are equal. */
static bool play(state_world *world, int64_t seconds, bool until_equal)
{
    int64_t end_ns = world->now_ns + seconds * STATE_S, look_ns = 0;
    if (!world->is_ticking)
        state_post(world, EVENT_LOOK, &world->nodes[STATE_TOP], 1, 2 * STATE_S, NULL);
    world->is_ticking = true;
    while (world->result->failure == NULL && world->now_ns < end_ns) {
        if (until_equal && world->now_ns >= look_ns) {
            if (state_are_equal(world))
                return true;
            look_ns = world->now_ns + 2 * STATE_S;
        }
        step(world);
    }
    return false;
}

static void run(state_world *world)
{
    while (world->result->failure == NULL && world->now_ns < world->end_ns)
        step(world);
    if (world->result->failure != NULL)
        return;
    heal(world);
    bool is_equal = play(world, STATE_QUIET_S, true);
    if (!is_equal)
        state_fail(world, "healed, and yet replicas do not become equal in time");
    (void)play(world, SETTLE_S, false);
    (void)play(world, 2 * STATE_HOUSE_S, false);
    if (world->result->failure == NULL && !play(world, 600, true))
        state_fail(world, "equal replicas did not stay so");
    if (world->result->failure == NULL)
        state_judge(world);
    state_tell(world, &world->nodes[STATE_TOP], "is the end; changes", world->result->changes);
}

void state_run(uint64_t seed, state_plant plant, FILE *print, state_result *ret_result)
{
    state_world *world = calloc(1, sizeof *world);
    *ret_result = (state_result){0};
    if (world == NULL) {
        ret_result->failure = "no memory";
        return;
    }
    world->seed = seed;
    world->plant = plant;
    world->print = print;
    world->result = ret_result;
    world->net = sim_stream(seed, "net");
    world->dice = sim_stream(seed, "dice");
    world->load = sim_stream(seed, "load");
    world->fate = sim_stream(seed, "fate");
    state_build(world);
    for (unsigned i = 0; ret_result->failure == NULL && i < world->nodes_count; i++)
        state_start(world, &world->nodes[i]);
    if (ret_result->failure == NULL) {
        state_node *top = &world->nodes[STATE_TOP];
        state_post(world, EVENT_OP, top, 0, 0, NULL);
        state_post(world, EVENT_FAULT, top, 0, sim_between(&world->fate, 50, 5000), NULL);
        state_post(world, EVENT_HOUSE, top, 0, world->end_ns / 30, NULL);
        run(world);
    }
    state_demolish(world);
    free(world);
    ret_result->is_good = ret_result->failure == NULL;
}
