// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_stats.c - what can be seen of state from outside (docs/operations.md, "Watching"). */
#include "syncd/daemon/state_inside.h"
#include "syncd/daemon/state_peer.h"
#include "syncd/daemon/state_twins.h"

/* Scopes that are told one by one; of a hub with more the sums tell. */
#define SCOPES_TOLD_MAX 256u

static json_t *scope_stats(const tmb_held *held)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:b, s:o}", "leaves", (json_int_t)held->leaves, "last",
                     (json_int_t)held->last, "removals", (json_int_t)held->removals, "forks",
                     (json_int_t)held->forks, "dirty", held->is_dirty, "neighbours",
                     tmb_state_peers_stats(held));
}

static json_t *clock_stats(const tmb_state *state)
{
    tmb_wall now = tmb_state_wall();
    const tmb_clock *clock = &state->shown_clock;
    return json_pack("{s:s, s:I, s:I, s:I}", "state",
                     tmb_clock_state_str(tmb_clock_state_of(clock, now)), "offset_ms",
                     (json_int_t)clock->offset_ms, "parent_ms", (json_int_t)clock->parent_ms,
                     "skewed", (json_int_t)state->skewed);
}

void tmb_state_stats(const tmb_state *state, json_t *object)
{
    json_t *mine = json_object(), *scopes = json_object();
    uint64_t leaves = 0, removals = 0;
    unsigned told = 0;
    for (const tmb_held *held = state->held; held; held = held->hh.next) {
        leaves += held->leaves;
        removals += held->removals;
        if (told++ < SCOPES_TOLD_MAX)
            (void)json_object_set_new(scopes, held->name, scope_stats(held));
    }
    (void)json_object_set_new(mine, "scopes_count", json_integer((json_int_t)state->held_count));
    (void)json_object_set_new(mine, "leaves", json_integer((json_int_t)leaves));
    (void)json_object_set_new(mine, "unstable_removals", json_integer((json_int_t)removals));
    (void)json_object_set_new(mine, "scopes", scopes);
    (void)json_object_set_new(mine, "clock", clock_stats(state));
    (void)json_object_set_new(mine, "jobs",
                              json_pack("{s:I, s:I}", "waiting",
                                        (json_int_t)tmb_state_jobs_waiting(state->jobs), "failed",
                                        (json_int_t)tmb_state_jobs_failed(state->jobs)));
    tmb_state_ops_stats(state->ops, mine);
    tmb_state_values_stats(state->values, mine);
    tmb_state_twins_stats(state->twins, mine);
    (void)json_object_set_new(object, "merging", mine);
}
