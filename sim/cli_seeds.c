// SPDX-License-Identifier: Apache-2.0
/* sim/cli_seeds.c - plays seeds in a world: one is told line by line, of several those that failed, each with
 * the command that plays it again. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "sim/cli.h"

#define PROGRESS_EACH_S 2

static void print_json(uint64_t seed, const cli_world *world, const cli_verdict *verdict)
{
    printf("{\"seed\":%" PRIu64 ",\"plant\":\"%s\",\"good\":%s,\"failure\":", seed, world->plant,
           verdict->is_good ? "true" : "false");
    if (verdict->failure != NULL)
        printf("\"%s\",\"at_s\":%" PRId64 ".%03d", verdict->failure, verdict->at_ms / 1000,
               (int)(verdict->at_ms % 1000));
    else
        printf("null,\"at_s\":null");
    world->print_json(world->arg);
    printf(",\"steps\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "\"}\n", verdict->steps, verdict->hash);
}

static void print_failure(uint64_t seed, const cli_world *world, const cli_verdict *verdict)
{
    printf("seed %" PRIu64 ": %s, at %" PRId64 ".%03d s\n  again: tombolo-sim --%s --seed %" PRIu64,
           seed, verdict->failure, verdict->at_ms / 1000, (int)(verdict->at_ms % 1000), world->name,
           seed);
    if (world->is_planted)
        printf(" --plant %s", world->plant);
    printf("\n");
}

int cli_seeds(const cli_options *options, const cli_world *world)
{
    uint64_t first = options->herd.seed, bad = 0;
    time_t shown = time(NULL);
    bool is_told = options->seeds == 1 && !options->is_json;
    for (uint64_t i = 0; i < options->seeds; i++) {
        cli_verdict verdict = world->play(world->arg, first + i, is_told ? stdout : NULL);
        bad += !verdict.is_good;
        if (options->is_json)
            print_json(first + i, world, &verdict);
        else if (!verdict.is_good)
            print_failure(first + i, world, &verdict);
        if (!isatty(STDERR_FILENO) || time(NULL) - shown < PROGRESS_EACH_S)
            continue;
        shown = time(NULL);
        fprintf(stderr, "\rtombolo-sim: %" PRIu64 " of %" PRIu64 " seeds   ", i + 1,
                options->seeds);
    }
    if (!options->is_json) {
        printf("%" PRIu64 " of %" PRIu64 " seeds failed; ", bad, options->seeds);
        world->print_sum(world->arg);
    }
    if (world->is_planted && bad == 0)
        fprintf(stderr,
                "tombolo-sim: %s made no difference in %s; a bug needs its moment: play more, as "
                "with --seeds 50\n",
                world->plant, options->seeds == 1 ? "this seed" : "these seeds");
    return bad == 0 ? CLI_OK : CLI_FAILED;
}
