// SPDX-License-Identifier: Apache-2.0
/* sim/plot.h - a run of the herd world as a picture: arrivals a second beside what the hub can do, connected
 * sites, and the backlog, over one axis of time. SVG, written by hand. Threads: none. */
#ifndef TMB_SIM_PLOT_H
#define TMB_SIM_PLOT_H

#include <stdio.h>

#include "sim/herd.h"

/* Above so many times C the arrivals are drawn on a logarithmic axis. */
#define SIM_PLOT_LINEAR_MAX 4

typedef struct sim_plot_run {
    const herd_options *options;
    const herd_result *result;
} sim_plot_run;

/* sim_plot_write draws runs of the same world, 1 to SIM_BACKOFFS, that differ in their backoff alone. False:
 * the file does not take it. */
bool sim_plot_write(FILE *file, const sim_plot_run *runs, unsigned count);

#endif
