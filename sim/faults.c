// SPDX-License-Identifier: Apache-2.0
/* sim/faults.c - the clock of the world of faults, the faults, and the verdict. See sim/faults.h. */
#include "sim/faults_world.h"

#include <inttypes.h>
#include <stdlib.h>

#include "sim/words.h"

#define YEAR_MS INT64_C(31536000000)
#define FAULT_FAR_NS                                                                               \
    INT64_C(4000000000000) /* later than any run; times a million it is still a number */

static const char *const plant_names[FAULT_PLANTS] = {
    "honest",   "ack-before-store", "send-before-sync", "mark-too-high",
    "no-proof", "clock-back",       "no-retry"};

const char *fault_plant_str(fault_plant plant)
{
    return sim_word(plant_names, FAULT_PLANTS, (unsigned)plant);
}

fault_plant fault_plant_find(const char *name)
{
    return (fault_plant)sim_word_find(plant_names, FAULT_PLANTS, name);
}

static void print_time(const fault_world *world)
{
    fprintf(world->print, "%7" PRId64 ".%03d s  ", world->now_ns / FAULT_MS / 1000,
            (int)(world->now_ns / FAULT_MS % 1000));
}

void fault_fail(fault_world *world, const char *why)
{
    if (world->result->failure != NULL)
        return;
    world->result->failure = why;
    world->result->at_ms = world->now_ns / FAULT_MS;
    if (world->print == NULL)
        return;
    print_time(world);
    fprintf(world->print, "FAILED: %s\n", why);
}

void fault_tell(fault_world *world, const fault_node *node, const char *what, uint64_t number)
{
    if (world->print == NULL)
        return;
    print_time(world);
    fprintf(world->print, "%-5s%s %s %" PRIu64 "\n", node->name, node->is_clone ? "'" : " ", what,
            number);
}

/* FNV-1a over whole numbers. */
void fault_hash(fault_world *world, uint64_t number)
{
    world->result->hash = (world->result->hash ^ number) * UINT64_C(0x100000001b3);
}

bool fault_may(fault_world *world, fault_kind kind, tmb_rng *rng, unsigned of_thousand)
{
    bool is_now = !world->is_healed && world->has[kind] && sim_chance(rng, of_thousand);
    world->result->faults += is_now;
    return is_now;
}

fault_load *fault_load_new(fault_world *world, const void *bytes, size_t len)
{
    fault_load *load = calloc(1, sizeof *load + len);
    if (load == NULL) {
        fault_fail(world, "no memory");
        return NULL;
    }
    if (len > 0)
        memcpy(load->bytes, bytes, len);
    load->len = len;
    return load;
}

void fault_post(fault_world *world, fault_event_kind kind, const fault_node *node, uint64_t number,
                int64_t after_ns, fault_load *load)
{
    sim_event event = {.at_ns = world->now_ns + after_ns,
                       .kind = kind,
                       .node = node->index,
                       .run = node->run,
                       .number = number,
                       .load = load};
    if (!sim_heap_push(&world->heap, &event)) {
        fault_fail(world, "no memory");
        free(load);
    }
}

/* Each box has a clock of its own, that only goes forward, a little too fast or too slow. */
tmb_mono fault_clock(const fault_world *world, const fault_node *node)
{
    tmb_mono now = {world->now_ns * (1000000 + node->drift_ppm) / 1000000};
    return now;
}

static int64_t world_time(const fault_node *node, tmb_mono deadline)
{
    if (deadline.ns > FAULT_FAR_NS)
        return INT64_MAX;
    return deadline.ns * 1000000 / (1000000 + node->drift_ppm) + 1;
}

static void start(fault_world *world, fault_node *node)
{
    if (!node->is_there || node->is_up)
        return;
    node->run++;
    node->boots++;
    node->is_up = true;
    fault_tell(world, node, "starts, boot", node->boots);
    if (node->index == FAULT_TOP || node->index == FAULT_HUB)
        fault_parent_start(world, node);
    if (node->index != FAULT_TOP)
        fault_child_start(world, node);
}

void fault_stop(fault_world *world, fault_node *node, bool is_power_cut)
{
    if (!node->is_up)
        return;
    fault_tell(world, node, is_power_cut ? "loses its power, boot" : "is killed, boot",
               node->boots);
    fault_parent_stop(world, node);
    node->is_up = node->is_linked = false;
    if (is_power_cut)
        fault_cut_power(world, node);
    /* A new disk: what was on the old one and not at the parent is gone, and nobody minds. */
    if (node->index > FAULT_HUB && !node->is_clone && node->life + 3 < FAULT_LIVES &&
        fault_may(world, FAULT_DISK, &world->fate, 100)) {
        node->life++;
        fault_tell(world, node, "has a new disk, life", node->life + 1);
    }
    fault_post(world, EVENT_START, node, 0, sim_between(&world->fate, 10, 2000), NULL);
}

static void take_clone_away(fault_world *world)
{
    fault_node *clone = &world->nodes[world->nodes_count - 1];
    if (!clone->is_clone || !clone->is_there)
        return;
    fault_tell(world, clone, "is switched off, boot", clone->boots);
    clone->is_there = clone->is_up = clone->is_linked = false;
    clone->run++;
}

/* Somebody comes to a fenced box: a clone goes, another journal gets a new life. */
static void call_operator(fault_world *world, fault_node *node)
{
    if (!node->is_there || !node->is_up || node->session.state != TMB_SESSION_FENCED)
        return;
    if (node->is_clone) {
        take_clone_away(world);
        return;
    }
    node->is_up = node->is_linked = false;
    if (node->life + 1 < FAULT_LIVES)
        node->life++;
    fault_tell(world, node, "gets a new life from its operator:", node->life + 1);
    fault_post(world, EVENT_START, node, 0, 100 * FAULT_MS, NULL);
}

static void restore(fault_world *world, fault_node *node)
{
    if (node->life + 3 >= FAULT_LIVES || node->is_clone)
        return;
    fault_stop(world, node, true);
    if (fault_restore(world, node))
        node->is_forked = true;
}

static void clone(fault_world *world, fault_node *node)
{
    fault_node *box = &world->nodes[world->nodes_count - 1];
    if (box->is_there || box->boots > 0 || node->is_clone || node->life + 3 >= FAULT_LIVES)
        return;
    for (unsigned i = 0; i < FAULT_STREAMS; i++) /* whoever copies a disk syncs it before */
        fault_log_of(node, i)->synced_seq = fault_log_of(node, i)->last_seq;
    if (!fault_copy_disk(world, box, node))
        return;
    memcpy(box->name, node->name, sizeof box->name);
    box->origin = node->origin;
    box->parent = node->parent;
    box->is_there = true;
    node->is_forked = true;
    fault_tell(world, node, "is cloned, life", node->life + 1);
    start(world, box);
}

/* One fault that is an event; of those that the run has. */
static void do_fault(fault_world *world, fault_kind kind)
{
    unsigned sites = world->nodes_count - 3;
    fault_node *any = &world->nodes[tmb_rng_below(&world->fate, world->nodes_count)];
    fault_node *site = &world->nodes[2 + tmb_rng_below(&world->fate, sites)];
    int64_t until_ns = world->now_ns + sim_between(&world->fate, 50, 3000);
    int64_t step_ms = (int64_t)tmb_rng_below(&world->fate, 2 * YEAR_MS) - YEAR_MS;
    if (!any->is_there)
        any = site;
    world->result->faults++;
    if (kind == FAULT_CLOG)
        any->clog_until_ns = until_ns;
    else if (kind == FAULT_DEAF)
        any->deaf_until_ns = until_ns;
    else if (kind == FAULT_MUTE)
        any->mute_until_ns = until_ns;
    else if (kind == FAULT_HALF_OPEN)
        any->half_open_until_ns = until_ns;
    else if (kind == FAULT_CUT && any->is_up && any->index != FAULT_TOP)
        fault_child_cut(world, any);
    else if (kind == FAULT_KILL || kind == FAULT_POWER)
        fault_stop(world, any, kind == FAULT_POWER);
    else if (kind == FAULT_RESET && any->index <= FAULT_HUB && any->is_up)
        fault_parent_reset(world, any);
    else if (kind == FAULT_RETENTION && any->index != FAULT_TOP)
        fault_lose_records(world, any);
    else if (kind == FAULT_STEP)
        any->wall_offset_ms = step_ms;
    else if (kind == FAULT_RESTORE && sim_chance(&world->fate, 100))
        restore(world, site);
    else if (kind == FAULT_CLONE && sim_chance(&world->fate, 100))
        clone(world, site);
}

static void draw_fault(fault_world *world)
{
    fault_kind kind = (fault_kind)tmb_rng_below(&world->fate, FAULT_KINDS);
    if (world->is_healed)
        return;
    fault_post(world, EVENT_FAULT, &world->nodes[FAULT_TOP], 0, sim_between(&world->fate, 5, 150),
               NULL);
    if (world->has[kind])
        do_fault(world, kind);
}

static void append(fault_world *world, fault_node *node)
{
    if (world->is_healed || !node->is_there)
        return;
    fault_write(world, node);
    if (node->is_up) {
        for (unsigned i = 0; i < FAULT_STREAMS; i++)
            fault_post(world, EVENT_TAIL, node, i, sim_between(&world->load, 0, 20), NULL);
    }
}

static void dispatch(fault_world *world, sim_event *event)
{
    fault_node *node = &world->nodes[event->node];
    switch ((fault_event_kind)event->kind) {
    case EVENT_APPEND:
        append(world, node);
        if (!world->is_healed)
            fault_post(world, EVENT_APPEND, node, 0, sim_between(&world->load, 5, 120), NULL);
        break;
    case EVENT_FAULT:
        draw_fault(world);
        break;
    case EVENT_START:
        start(world, node);
        break;
    case EVENT_OPERATOR:
        if (event->run == node->run)
            call_operator(world, node);
        break;
    case EVENT_TAIL:
    case EVENT_LINK_UP:
    case EVENT_LINK_DOWN:
    case EVENT_LOADED:
    case EVENT_PROVED:
    case EVENT_TO_CHILD:
    case EVENT_LEFT:
    case EVENT_LINE:
        if (node->is_up && event->run == node->run)
            fault_child_event(world, node, event);
        break;
    case EVENT_TO_PARENT:
    case EVENT_MARKS:
    case EVENT_COMMIT:
    case EVENT_STORED:
    case EVENT_PROBE:
        fault_parent_event(world, node, event);
        break;
    }
}

/* The node whose session wants to be told the time first. */
static fault_node *find_deadline(fault_world *world, int64_t *ret_ns)
{
    fault_node *first = NULL;
    *ret_ns = INT64_MAX;
    for (unsigned i = FAULT_HUB; i < world->nodes_count; i++) {
        fault_node *node = &world->nodes[i];
        if (!node->is_up)
            continue;
        tmb_mono deadline = tmb_session_deadline(&node->session);
        int64_t at_ns =
            deadline.ns <= fault_clock(world, node).ns ? world->now_ns : world_time(node, deadline);
        if (at_ns < *ret_ns) {
            *ret_ns = at_ns;
            first = node;
        }
    }
    return first;
}

static void step(fault_world *world)
{
    sim_event event;
    int64_t deadline_ns, next_ns = sim_heap_next_ns(&world->heap);
    fault_node *node = find_deadline(world, &deadline_ns);
    bool is_timeout = node != NULL && deadline_ns < next_ns;
    int64_t at_ns = is_timeout ? deadline_ns : next_ns;
    if (at_ns == INT64_MAX) {
        fault_fail(world, "nobody waits for anything");
        return;
    }
    world->now_ns = at_ns > world->now_ns ? at_ns : world->now_ns;
    if (world->now_ns / 1000000000 != world->second) {
        world->second = world->now_ns / 1000000000;
        world->steps_in_second = 0;
    }
    world->result->steps++;
    if (++world->steps_in_second > FAULT_STEPS_PER_S)
        fault_fail(world, "a hot loop");
    if (is_timeout) {
        fault_child_timeout(world, node);
        return;
    }
    (void)sim_heap_pop(&world->heap, &event);
    fault_hash(world, (uint64_t)event.kind << 32 | event.node);
    fault_hash(world, (uint64_t)event.at_ns);
    dispatch(world, &event);
    free(event.load);
}

static void heal(fault_world *world)
{
    world->is_healed = true;
    fault_tell(world, &world->nodes[FAULT_TOP], "all is healed; faults so far",
               world->result->faults);
    take_clone_away(world);
    for (unsigned i = 0; i < world->nodes_count; i++) {
        fault_node *node = &world->nodes[i];
        node->clog_until_ns = node->deaf_until_ns = node->mute_until_ns = 0;
        node->half_open_until_ns = 0;
    }
}

static void play(fault_world *world)
{
    int64_t drain_ms = world->large_ms > 0 ? FAULT_SLOW_MS : FAULT_DRAIN_MS;
    while (world->result->failure == NULL && world->now_ns < FAULT_TORTURE_MS * FAULT_MS)
        step(world);
    if (world->result->failure != NULL)
        return;
    heal(world);
    while (world->result->failure == NULL && !fault_is_drained(world) &&
           world->now_ns < (FAULT_TORTURE_MS + drain_ms) * FAULT_MS)
        step(world);
    if (!fault_is_drained(world))
        fault_fail(world, "healed, and yet not everything arrived in time");
    else if (world->print != NULL)
        fault_tell(world, &world->nodes[FAULT_TOP],
                   "has everything; records published:", world->result->records);
}

static void build(fault_world *world)
{
    unsigned sites = 1 + (unsigned)tmb_rng_below(&world->fate, FAULT_SITES_MAX);
    world->result->sites = sites;
    world->nodes_count = 3 + sites; /* the last: a clone, perhaps */
    for (unsigned kind = 0; kind < FAULT_KINDS; kind++)
        world->has[kind] = sim_chance(&world->fate, 500);
    /* Where records of a block are gone the proof against forks is blind, and is meant to be; where marks are
     * older than the parent's log it proves too little, which is a gap that is known (docs/operations.md). */
    if (world->has[FAULT_RESTORE] || world->has[FAULT_CLONE])
        world->has[FAULT_RETENTION] = world->has[FAULT_STALE] = false;
    if (world->has[FAULT_SLOW] && sim_chance(&world->fate, 500))
        world->large_ms = 2000 + (unsigned)tmb_rng_below(&world->fate, 2000);
    for (unsigned i = 0; i < world->nodes_count; i++) {
        fault_node *node = &world->nodes[i];
        static const char above[3][sizeof node->name] = {"top", "hub", "s"};
        memcpy(node->name, above[i < 2 ? i : 2], sizeof above[0]);
        if (i >= 2)
            node->name[1] = (char)('0' + i - 1);
        node->index = node->origin = i;
        node->parent = i <= FAULT_HUB || sim_chance(&world->fate, 250) ? FAULT_TOP : FAULT_HUB;
        node->is_clone = i + 1 == world->nodes_count;
        node->is_there = !node->is_clone;
        if (world->has[FAULT_DRIFT])
            node->drift_ppm = (int64_t)tmb_rng_below(&world->fate, 100001) - 50000;
        for (unsigned life = 0; life < FAULT_LIVES; life++) {
            for (unsigned k = 0; k < FAULT_STREAMS; k++)
                node->logs[life][k].first_seq = 1;
        }
    }
}

void fault_run(uint64_t seed, fault_plant plant, FILE *print, fault_result *ret_result)
{
    fault_world world = {.seed = seed,
                         .plant = plant,
                         .print = print,
                         .result = ret_result,
                         .net = sim_stream(seed, "net"),
                         .disk = sim_stream(seed, "disk"),
                         .load = sim_stream(seed, "load"),
                         .fate = sim_stream(seed, "fate")};
    *ret_result = (fault_result){0};
    world.nodes = calloc(FAULT_NODES_MAX, sizeof *world.nodes);
    if (world.nodes == NULL) {
        ret_result->failure = "no memory";
        return;
    }
    build(&world);
    for (unsigned i = 0; i < world.nodes_count; i++) {
        start(&world, &world.nodes[i]);
        if (i != FAULT_TOP)
            fault_post(&world, EVENT_APPEND, &world.nodes[i], 0, 0, NULL);
    }
    fault_post(&world, EVENT_FAULT, &world.nodes[FAULT_TOP], 0, 100 * FAULT_MS, NULL);
    play(&world);
    sim_heap_free(&world.heap, free);
    for (unsigned i = 0; i < FAULT_NODES_MAX; i++)
        fault_logs_free(&world.nodes[i]);
    free(world.nodes);
    ret_result->is_good = ret_result->failure == NULL;
}
