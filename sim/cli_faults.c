// SPDX-License-Identifier: Apache-2.0
/* sim/cli_faults.c - plays seeds in the world of faults: one is told line by line, of several those that
 * failed, each with the command that plays it again. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "sim/cli.h"

#define PROGRESS_EACH_S 2

static void print_json(uint64_t seed, fault_plant plant, const fault_result *r)
{
    printf("{\"seed\":%" PRIu64 ",\"plant\":\"%s\",\"good\":%s,\"failure\":", seed,
           fault_plant_str(plant), r->is_good ? "true" : "false");
    if (r->failure != NULL)
        printf("\"%s\",\"at_s\":%" PRId64 ".%03d", r->failure, r->at_ms / 1000,
               (int)(r->at_ms % 1000));
    else
        printf("null,\"at_s\":null");
    printf(",\"sites\":%u,\"records\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"faults\":%" PRIu64
           ",\"fenced\":%" PRIu64 ",\"steps\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "\"}\n",
           r->sites, r->records, r->lost, r->faults, r->fenced, r->steps, r->hash);
}

static void print_failure(uint64_t seed, fault_plant plant, const fault_result *r)
{
    printf("seed %" PRIu64 ": %s, at %" PRId64
           ".%03d s\n  again: tombolo-sim --faults --seed %" PRIu64,
           seed, r->failure, r->at_ms / 1000, (int)(r->at_ms % 1000), seed);
    if (plant != FAULT_HONEST)
        printf(" --plant %s", fault_plant_str(plant));
    printf("\n");
}

int cli_faults(const cli_options *options)
{
    uint64_t first = options->herd.seed, bad = 0, records = 0, faults = 0, steps = 0;
    time_t shown = time(NULL);
    bool is_told = options->seeds == 1 && !options->is_json;
    for (uint64_t i = 0; i < options->seeds; i++) {
        fault_result r;
        fault_run(first + i, options->plant, is_told ? stdout : NULL, &r);
        bad += !r.is_good;
        records += r.records;
        faults += r.faults;
        steps += r.steps;
        if (options->is_json)
            print_json(first + i, options->plant, &r);
        else if (!r.is_good)
            print_failure(first + i, options->plant, &r);
        if (!isatty(STDERR_FILENO) || time(NULL) - shown < PROGRESS_EACH_S)
            continue;
        shown = time(NULL);
        fprintf(stderr, "\rtombolo-sim: %" PRIu64 " of %" PRIu64 " seeds   ", i + 1,
                options->seeds);
    }
    if (!options->is_json)
        printf("%" PRIu64 " of %" PRIu64 " seeds failed; %" PRIu64 " records, %" PRIu64
               " faults, %" PRIu64 " steps (version " TMB_VERSION ")\n",
               bad, options->seeds, records, faults, steps);
    return bad == 0 ? CLI_OK : CLI_FAILED;
}
