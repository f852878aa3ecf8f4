// SPDX-License-Identifier: Apache-2.0
/* sim/cli_faults.c - the world of faults for cli_seeds.c: what is counted in it, and how that is printed. */
#include <inttypes.h>
#include <stdio.h>

#include "sim/cli.h"

typedef struct played {
    fault_plant plant;
    fault_result last, sum;
} played;

static cli_verdict play(void *arg, uint64_t seed, FILE *print)
{
    played *p = arg;
    fault_result *r = &p->last;
    fault_run(seed, p->plant, print, r);
    p->sum.records += r->records;
    p->sum.faults += r->faults;
    p->sum.steps += r->steps;
    return (cli_verdict){.is_good = r->is_good,
                         .failure = r->failure,
                         .at_ms = r->at_ms,
                         .steps = r->steps,
                         .hash = r->hash};
}

static void print_json(const void *arg)
{
    const fault_result *r = &((const played *)arg)->last;
    printf(",\"sites\":%u,\"records\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"faults\":%" PRIu64
           ",\"fenced\":%" PRIu64,
           r->sites, r->records, r->lost, r->faults, r->fenced);
}

static void print_sum(const void *arg)
{
    const fault_result *sum = &((const played *)arg)->sum;
    printf("%" PRIu64 " records, %" PRIu64 " faults, %" PRIu64 " steps (version " TMB_VERSION ")\n",
           sum->records, sum->faults, sum->steps);
}

int cli_faults(const cli_options *options)
{
    played p = {.plant = options->plant};
    cli_world world = {.name = "faults",
                       .plant = fault_plant_str(p.plant),
                       .is_planted = p.plant != FAULT_HONEST,
                       .arg = &p,
                       .play = play,
                       .print_json = print_json,
                       .print_sum = print_sum};
    return cli_seeds(options, &world);
}
