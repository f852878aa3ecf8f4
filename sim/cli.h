// SPDX-License-Identifier: Apache-2.0
/* sim/cli.h - what the files of the command line share. Private to this room. */
#ifndef TMB_SIM_CLI_H
#define TMB_SIM_CLI_H

#include "sim/faults.h"
#include "sim/herd.h"

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
    bool is_faults;
    uint64_t seeds; /* of the world of faults, from herd.seed on */
    fault_plant plant;
    const char *of_herd,
        *of_faults; /* an option that was given and is of that world alone; or NULL */
} cli_options;

/* Each plays its world, prints, and gives the exit code. */
int cli_herd(const cli_options *options);
int cli_faults(const cli_options *options);

#endif
