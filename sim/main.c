// SPDX-License-Identifier: Apache-2.0
/* sim/main.c - tombolo-sim: the command line. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "sim/cli.h"

static const char help[] =
    "tombolo-sim - what a hub and its sites do in the minute after an outage, before you own them\n"
    "\n"
    "  tombolo-sim --sites N --rate C [--outage S] [--plot FILE] [-o json|text]\n"
    "      The hub goes away for S seconds, and all N sites come back to it. It can take C of them "
    "a\n"
    "      second. The sessions and the hub's admission are the very objects of tombolo-syncd.\n"
    "\n"
    "  --sites N             sites of the hub; 500\n"
    "  --rate C              handshakes that the hub can do in a second; 200\n"
    "  --outage S            seconds that it is away; 0: it is restarted\n"
    "  --backoff MODE        window, full or decorrelated; several with commas, or all; window\n"
    "  --window-factor F     the sites know F of the true window; 1\n"
    "  --live R              records a second that each site produces; 0.1. 0: none\n"
    "  --commit R            records a second that the hub can commit; four times what all "
    "produce\n"
    "  --base S, --cap S     of full and decorrelated; 1 and 60\n"
    "  --limit S             give up S seconds after the hub is back; 14400\n"
    "  --plot FILE           arrivals, connected sites and backlog over time, as SVG\n"
    "\n"
    "  tombolo-sim --faults [--seed N] [--seeds N] [-o json|text]\n"
    "      A top, a hub and some sites in a world in which everything fails that can, and then "
    "nothing:\n"
    "      all must arrive, once and in order. One seed is told line by line, several are "
    "counted.\n"
    "\n"
    "  tombolo-sim --state [--seed N] [--seeds N] [-o json|text]\n"
    "      A top, hubs and sites share state for minutes or for weeks in which boxes, links, disks "
    "and "
    "clocks\n"
    "      fail, are restored and are copied: all replicas must become equal, and be what was "
    "asked "
    "for.\n"
    "\n"
    "  --seeds N             play so many seeds, from --seed on; 1\n"
    "  --plant BUG           with a planted bug, which some seed finds. Of --faults: "
    "ack-before-store,\n"
    "                        send-before-sync, mark-too-high, no-proof, clock-back, no-retry;\n"
    "                        of --state: ack-before-sync, cursor-apart, fold-ahead\n"
    "\n"
    "  --seed N              one seed is one run; 1\n"
    "  -o json|text          how to print; text\n"
    "  --help, --version\n"
    "\n"
    "Exit: 0 all came back, arrived, or became equal; 1 not so; 2 wrong usage; 3 no memory, or "
    "FILE could not be "
    "written.\n"
    "\n"
    "  tombolo-sim --sites 5000 --outage 300 --rate 200 --plot return.svg\n"
    "  tombolo-sim --sites 5000 --rate 200 --backoff all -o json | jq -c '[.backoff, "
    ".t99_ratio]'\n";

enum {
    OPTION_SITES = 256,
    OPTION_RATE,
    OPTION_OUTAGE,
    OPTION_BACKOFF,
    OPTION_WINDOW_FACTOR,
    OPTION_LIVE,
    OPTION_COMMIT,
    OPTION_BASE,
    OPTION_CAP,
    OPTION_LIMIT,
    OPTION_PLOT,
    OPTION_SEED,
    OPTION_FAULTS,
    OPTION_STATE,
    OPTION_SEEDS,
    OPTION_PLANT,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option long_options[] = {
    {"sites", required_argument, NULL, OPTION_SITES},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"outage", required_argument, NULL, OPTION_OUTAGE},
    {"backoff", required_argument, NULL, OPTION_BACKOFF},
    {"window-factor", required_argument, NULL, OPTION_WINDOW_FACTOR},
    {"live", required_argument, NULL, OPTION_LIVE},
    {"commit", required_argument, NULL, OPTION_COMMIT},
    {"base", required_argument, NULL, OPTION_BASE},
    {"cap", required_argument, NULL, OPTION_CAP},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"plot", required_argument, NULL, OPTION_PLOT},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"faults", no_argument, NULL, OPTION_FAULTS},
    {"state", no_argument, NULL, OPTION_STATE},
    {"seeds", required_argument, NULL, OPTION_SEEDS},
    {"plant", required_argument, NULL, OPTION_PLANT},
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

/* A decimal number times `times`, rounded, of least to most; with 1 a whole one. */
static bool parse(const char *option, const char *text, double times, double least, double most,
                  int64_t *ret_number)
{
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    if (errno == 0 && end != text && *end == '\0' && number >= least && number <= most) {
        int64_t rounded = (int64_t)(number * times + 0.5);
        if (times > 1 || ((double)rounded <= number && (double)rounded >= number)) {
            *ret_number = rounded;
            return true;
        }
    }
    fprintf(stderr,
            "tombolo-sim: --%s \"%s\" is not a %snumber from %.10g to %.10g\n  tombolo-sim --help "
            "shows what there is.\n",
            option, text, times > 1 ? "" : "whole ", least, most);
    return false;
}

static bool parse_seed(const char *option, const char *text, uint64_t *ret_seed)
{
    char *end;
    errno = 0;
    unsigned long long seed = strtoull(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && strchr(text, '-') == NULL) {
        *ret_seed = seed;
        return true;
    }
    fprintf(stderr, "tombolo-sim: --%s \"%s\" is not a whole number\n", option, text);
    return false;
}

static bool parse_backoffs(const char *text, cli_options *options)
{
    const char *at = text;
    options->backoffs = 0;
    if (strcmp(text, "all") == 0)
        options->backoffs = (1u << SIM_BACKOFFS) - 1;
    while (strcmp(text, "all") != 0) {
        size_t len = strcspn(at, ",");
        unsigned mode = 0;
        while (mode < SIM_BACKOFFS && (strlen(sim_backoff_str((sim_backoff)mode)) != len ||
                                       memcmp(sim_backoff_str((sim_backoff)mode), at, len) != 0))
            mode++;
        if (mode == SIM_BACKOFFS) {
            fprintf(
                stderr,
                "tombolo-sim: --backoff \"%s\": there are window, full, decorrelated, and all\n",
                text);
            return false;
        }
        options->backoffs |= 1u << mode;
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    return true;
}

static bool take_number(int option, const char *text, cli_options *options)
{
    herd_options *o = &options->herd;
    int64_t n = 0;
    bool is_good = false;
    if (option == OPTION_SITES && (is_good = parse("sites", text, 1, 1, SIM_SITES_MAX, &n)))
        o->sites = (uint32_t)n;
    else if (option == OPTION_RATE && (is_good = parse("rate", text, 1, 1, SIM_RATE_MAX, &n)))
        o->rate = (uint32_t)n;
    else if (option == OPTION_OUTAGE)
        is_good = parse("outage", text, 1000, 0, SIM_OUTAGE_MAX_S, &o->outage_ms);
    else if (option == OPTION_WINDOW_FACTOR &&
             (is_good = parse("window-factor", text, 1000, 0.001, 1000, &n)))
        o->window_permille = (uint32_t)n;
    else if (option == OPTION_LIVE && (is_good = parse("live", text, 1000, 0, 1000, &n)))
        o->live_milli = (uint32_t)n;
    else if (option == OPTION_COMMIT && (is_good = parse("commit", text, 1, 1, 1e9, &n)))
        o->commit_per_s = (uint32_t)n;
    else if (option == OPTION_BASE)
        is_good = parse("base", text, 1000, 0.001, 3600, &o->backoff_base_ms);
    else if (option == OPTION_CAP)
        is_good = parse("cap", text, 1000, 0.001, 86400, &o->backoff_cap_ms);
    else if (option == OPTION_LIMIT)
        is_good = parse("limit", text, 1000, 1, SIM_OUTAGE_MAX_S, &o->limit_ms);
    return is_good;
}

/* CLI_OK, or the exit code; -1: print and leave in good order. */
static int take_option(int option, cli_options *options)
{
    switch (option) {
    case OPTION_BACKOFF:
        return parse_backoffs(optarg, options) ? CLI_OK : CLI_USAGE;
    case OPTION_PLOT:
        options->plot = optarg;
        return CLI_OK;
    case OPTION_SEED:
        return parse_seed("seed", optarg, &options->herd.seed) ? CLI_OK : CLI_USAGE;
    case OPTION_SEEDS:
        return parse_seed("seeds", optarg, &options->seeds) ? CLI_OK : CLI_USAGE;
    case OPTION_FAULTS:
        options->is_faults = true;
        return CLI_OK;
    case OPTION_STATE:
        options->is_state = true;
        return CLI_OK;
    case OPTION_PLANT:
        options->plant = fault_plant_find(optarg);
        options->state_plant = state_plant_find(optarg);
        if (options->plant != FAULT_PLANTS || options->state_plant != STATE_PLANTS)
            return CLI_OK;
        fprintf(stderr, "tombolo-sim: --plant \"%s\" is no bug that it has; --help tells which\n",
                optarg);
        return CLI_USAGE;
    case 'o':
        options->is_json = strcmp(optarg, "json") == 0;
        if (options->is_json || strcmp(optarg, "text") == 0)
            return CLI_OK;
        fprintf(stderr, "tombolo-sim: -o \"%s\": there are json and text\n", optarg);
        return CLI_USAGE;
    case OPTION_HELP:
        fputs(help, stdout);
        return -1;
    case OPTION_VERSION:
        puts("tombolo-sim " TMB_VERSION);
        return -1;
    case '?':
        fprintf(stderr, "  tombolo-sim --help shows what there is.\n");
        return CLI_USAGE;
    default:
        return take_number(option, optarg, options) ? CLI_OK : CLI_USAGE;
    }
}

static void note_world(int option, cli_options *options)
{
    const struct option *at = long_options;
    while (at->name != NULL && at->val != option)
        at++;
    if (option == OPTION_SEEDS || option == OPTION_PLANT)
        options->of_seeds = at->name;
    else if (option >= OPTION_SITES && option <= OPTION_PLOT)
        options->of_herd = at->name;
}

/* An option of the world that is not played would be passed over in silence. */
static int check_world(const cli_options *options)
{
    const char *world = options->is_faults ? "--faults" : "--state";
    bool is_seeds = options->is_faults || options->is_state;
    if (options->is_faults && options->is_state)
        fprintf(stderr, "tombolo-sim: --faults and --state are two worlds; play one at a time\n");
    else if (is_seeds && options->of_herd != NULL)
        fprintf(stderr,
                "tombolo-sim: --%s says nothing to %s, which draws its world from the seed; "
                "leave one of them out\n",
                options->of_herd, world);
    else if (!is_seeds && options->of_seeds != NULL)
        fprintf(stderr,
                "tombolo-sim: --%s is for the worlds of faults and of state; add --faults or "
                "--state\n",
                options->of_seeds);
    else if (options->is_faults ? options->plant == FAULT_PLANTS
                                : options->is_state && options->state_plant == STATE_PLANTS)
        fprintf(stderr, "tombolo-sim: %s does not have that bug to plant; --help tells which\n",
                world);
    else if (options->seeds == 0)
        fprintf(stderr, "tombolo-sim: --seeds 0 plays nothing; 1 and more\n");
    else
        return CLI_OK;
    return CLI_USAGE;
}

/* What the options say together. */
static int settle(cli_options *options)
{
    herd_options *o = &options->herd;
    if (o->backoff_cap_ms < o->backoff_base_ms) {
        fprintf(stderr, "tombolo-sim: --cap is below --base; make it as long at least\n");
        return CLI_USAGE;
    }
    uint64_t born_per_s = (uint64_t)o->sites * o->live_milli / 1000;
    if (o->commit_per_s == 0)
        o->commit_per_s = (uint32_t)(born_per_s * 4 < 1000000000 ? born_per_s * 4 + 1 : 1000000000);
    if (o->live_milli > 0 && o->commit_per_s <= born_per_s) {
        fprintf(stderr,
                "tombolo-sim: %" PRIu32 " sites produce %" PRIu64 " records a second and the hub "
                "commits %" PRIu32
                ":\n  no backlog is ever carried; raise --commit or lower --live\n",
                o->sites, born_per_s, o->commit_per_s);
        return CLI_USAGE;
    }
    if (o->sites > TMB_CHILDREN_MAX)
        fprintf(stderr,
                "tombolo-sim: a node takes %d children; for %" PRIu32
                " sites put regions between. Played as if it took them all.\n",
                TMB_CHILDREN_MAX, o->sites);
    return CLI_OK;
}

int main(int argc, char **argv)
{
    cli_options options = {.backoffs = 1u << SIM_BACKOFF_WINDOW, .seeds = 1};
    int option, code;
    herd_options_init(&options.herd);
    options.herd.live_milli = 100;
    while ((option = getopt_long(argc, argv, "o:", long_options, NULL)) != -1) {
        code = take_option(option, &options);
        if (code != CLI_OK)
            return code < 0 ? CLI_OK : code;
        note_world(option, &options);
    }
    if (optind < argc) {
        fprintf(stderr,
                "tombolo-sim: what is \"%s\"? Everything is said by options; --help shows them\n",
                argv[optind]);
        return CLI_USAGE;
    }
    code = check_world(&options);
    if (code != CLI_OK)
        return code;
    if (options.is_faults)
        return cli_faults(&options);
    if (options.is_state)
        return cli_state(&options);
    code = settle(&options);
    return code == CLI_OK ? cli_herd(&options) : code;
}
