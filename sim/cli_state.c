// SPDX-License-Identifier: Apache-2.0
/* sim/cli_state.c - the world of state for cli_seeds.c: what is counted in it, how often each fault was met
 * among that, and how it is printed. */
#include <inttypes.h>
#include <stdio.h>

#include "sim/cli.h"

typedef struct played {
    state_plant plant;
    state_result last, sum;
} played;

static cli_verdict play(void *arg, uint64_t seed, FILE *print)
{
    played *p = arg;
    const state_result *r = &p->last;
    state_run(seed, p->plant, print, &p->last);
    state_result_add(&p->sum, r);
    return (cli_verdict){.is_good = r->is_good,
                         .failure = r->failure,
                         .at_ms = r->at_ms,
                         .steps = r->steps,
                         .hash = r->hash};
}

static void print_json(const void *arg)
{
    const state_result *r = &((const played *)arg)->last;
    printf(",\"nodes\":%u,\"scopes\":%u,\"operations\":%" PRIu64 ",\"acked\":%" PRIu64
           ",\"changes\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"lost_acked\":%" PRIu64
           ",\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"lapsed\":%" PRIu64
           ",\"reincarnated\":%" PRIu64 ",\"ranged\":%" PRIu64 ",\"faults\":{",
           r->nodes, r->scopes, r->ops, r->acked, r->changes, r->lost, r->lost_acked, r->frames,
           r->bytes, r->lapsed, r->reincarnated, r->ranged);
    for (unsigned kind = 0; kind < STATE_KINDS; kind++)
        printf("%s\"%s\":%" PRIu64, kind > 0 ? "," : "", state_kind_str((state_kind)kind),
               r->fired[kind]);
    printf("}");
}

static void print_sum(const void *arg)
{
    const state_result *sum = &((const played *)arg)->sum;
    printf("%" PRIu64 " operations, %" PRIu64 " acknowledged, %" PRIu64 " changes, %" PRIu64
           " frames, %" PRIu64 " bytes, %" PRIu64 " steps (version " TMB_VERSION ")\nfaults:",
           sum->ops, sum->acked, sum->changes, sum->frames, sum->bytes, sum->steps);
    for (unsigned kind = 0; kind < STATE_KINDS; kind++)
        printf(" %s %" PRIu64 "%s", state_kind_str((state_kind)kind), sum->fired[kind],
               kind + 1 < STATE_KINDS ? "," : "\n");
    printf("lost with disks that went back or away: %" PRIu64 ", acknowledged %" PRIu64
           "; lapsed %" PRIu64 ", comparisons of ranges %" PRIu64 ", told that they were restored "
           "%" PRIu64 "\n",
           sum->lost, sum->lost_acked, sum->lapsed, sum->ranged, sum->reincarnated);
}

int cli_state(const cli_options *options)
{
    played p = {.plant = options->state_plant};
    cli_world world = {.name = "state",
                       .plant = state_plant_str(p.plant),
                       .is_planted = p.plant != STATE_HONEST,
                       .arg = &p,
                       .play = play,
                       .print_json = print_json,
                       .print_sum = print_sum};
    return cli_seeds(options, &world);
}
