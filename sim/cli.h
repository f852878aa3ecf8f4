// SPDX-License-Identifier: Apache-2.0
/* sim/cli.h - what the files of the command line share. Private to this room. */
#ifndef TMB_SIM_CLI_H
#define TMB_SIM_CLI_H

#include <stdio.h>

#include "sim/faults.h"
#include "sim/herd.h"
#include "sim/state.h"

enum {
    CLI_OK = 0,
    CLI_FAILED = 1, /* the run did not end as it should */
    CLI_USAGE = 2,
    CLI_UNABLE = 3 /* no memory, a file that cannot be written */
};

typedef struct cli_options {
    herd_options herd;
    unsigned backoffs; /* bits of sim_backoff: a run each */
    const char *plot;  /* NULL: none */
    bool is_json;
    bool is_faults, is_state;
    uint64_t seeds; /* of the worlds of faults and of state, from herd.seed on */
    /* of either world; FAULT_PLANTS, STATE_PLANTS: a bug that it does not have */
    fault_plant plant;
    state_plant state_plant;
    const char *of_herd,
        *of_seeds; /* an option that was given and is of that world, or of those two, alone; or NULL */
} cli_options;

/* Of one run in a world that is played seed by seed. */
typedef struct cli_verdict {
    bool is_good;
    const char *failure; /* the first one; NULL: none */
    int64_t at_ms;       /* when */
    uint64_t steps, hash;
} cli_verdict;

typedef struct cli_world {
    const char *name;  /* of its option */
    const char *plant; /* the bug that is planted */
    bool is_planted;
    void *arg;
    cli_verdict (*play)(void *arg, uint64_t seed, FILE *print); /* keeps what it counts */
    void (*print_json)(const void *arg); /* further members, of the last run: ,"sites":3 ... */
    void (*print_sum)(const void *arg);  /* of all runs */
} cli_world;

/* cli_seeds plays options->seeds of them, prints, and gives the exit code. */
int cli_seeds(const cli_options *options, const cli_world *world);

/* Each plays its world, prints, and gives the exit code. */
int cli_herd(const cli_options *options);
int cli_faults(const cli_options *options);
int cli_state(const cli_options *options);

#endif
