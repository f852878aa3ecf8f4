// SPDX-License-Identifier: Apache-2.0
/* sim/cli_state.c - plays seeds in the world of state: one is told line by line, of several those that
 * failed, each with the command that plays it again, and how often each fault was met. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "sim/cli.h"

#define PROGRESS_EACH_S 2

static void print_json(uint64_t seed, state_plant plant, const state_result *r)
{
    printf("{\"seed\":%" PRIu64 ",\"plant\":\"%s\",\"good\":%s,\"failure\":", seed,
           state_plant_str(plant), r->is_good ? "true" : "false");
    if (r->failure != NULL)
        printf("\"%s\",\"at_s\":%" PRId64 ".%03d", r->failure, r->at_ms / 1000,
               (int)(r->at_ms % 1000));
    else
        printf("null,\"at_s\":null");
    printf(",\"nodes\":%u,\"scopes\":%u,\"operations\":%" PRIu64 ",\"acked\":%" PRIu64
           ",\"changes\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"lost_acked\":%" PRIu64
           ",\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"lapsed\":%" PRIu64
           ",\"reincarnated\":%" PRIu64 ",\"ranged\":%" PRIu64 ",\"faults\":{",
           r->nodes, r->scopes, r->ops, r->acked, r->changes, r->lost, r->lost_acked, r->frames,
           r->bytes, r->lapsed, r->reincarnated, r->ranged);
    for (unsigned kind = 0; kind < STATE_KINDS; kind++)
        printf("%s\"%s\":%" PRIu64, kind > 0 ? "," : "", state_kind_str((state_kind)kind),
               r->fired[kind]);
    printf("},\"steps\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "\"}\n", r->steps, r->hash);
}

static void print_failure(uint64_t seed, state_plant plant, const state_result *r)
{
    printf("seed %" PRIu64 ": %s, at %" PRId64
           ".%03d s\n  again: tombolo-sim --state --seed %" PRIu64,
           seed, r->failure, r->at_ms / 1000, (int)(r->at_ms % 1000), seed);
    if (plant != STATE_HONEST)
        printf(" --plant %s", state_plant_str(plant));
    printf("\n");
}

static void print_sum(const cli_options *options, uint64_t bad, const state_result *sum)
{
    printf("%" PRIu64 " of %" PRIu64 " seeds failed; %" PRIu64 " operations, %" PRIu64
           " acknowledged, %" PRIu64 " changes, %" PRIu64 " frames, %" PRIu64 " bytes, %" PRIu64
           " steps (version " TMB_VERSION ")\nfaults:",
           bad, options->seeds, sum->ops, sum->acked, sum->changes, sum->frames, sum->bytes,
           sum->steps);
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
    uint64_t first = options->herd.seed, bad = 0;
    state_result sum = {0};
    time_t shown = time(NULL);
    bool is_told = options->seeds == 1 && !options->is_json;
    for (uint64_t i = 0; i < options->seeds; i++) {
        state_result r;
        state_run(first + i, options->state_plant, is_told ? stdout : NULL, &r);
        bad += !r.is_good;
        state_result_add(&sum, &r);
        if (options->is_json)
            print_json(first + i, options->state_plant, &r);
        else if (!r.is_good)
            print_failure(first + i, options->state_plant, &r);
        if (!isatty(STDERR_FILENO) || time(NULL) - shown < PROGRESS_EACH_S)
            continue;
        shown = time(NULL);
        fprintf(stderr, "\rtombolo-sim: %" PRIu64 " of %" PRIu64 " seeds   ", i + 1,
                options->seeds);
    }
    if (!options->is_json)
        print_sum(options, bad, &sum);
    return bad == 0 ? CLI_OK : CLI_FAILED;
}
