// SPDX-License-Identifier: Apache-2.0
/* sim/cli_herd.c - plays the herd world once for each mode that was asked for, and prints what came out.
 *
 * A run that takes long says how far it is, on standard error, when that is a terminal. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim/cli.h"
#include "sim/plot.h"

#define PROGRESS_EACH_S 2

static void show_progress(void *context, int64_t now_ms, uint32_t connected)
{
    time_t *shown = context, now = time(NULL);
    if (now - *shown < PROGRESS_EACH_S)
        return;
    *shown = now;
    fprintf(stderr, "\rtombolo-sim: second %" PRId64 ", %" PRIu32 " connected   ", now_ms / 1000,
            connected);
}

/* Thousandths, as a decimal number. */
static void print_milli(const char *name, int64_t milli)
{
    printf(",\"%s\":%" PRId64 ".%03d", name, milli / 1000, (int)(milli % 1000));
}

static void print_milli_or_null(const char *name, bool is_there, int64_t milli)
{
    if (is_there)
        print_milli(name, milli);
    else
        printf(",\"%s\":null", name);
}

static void print_json(const herd_options *o, const herd_result *r)
{
    printf("{\"seed\":%" PRIu64 ",\"sites\":%" PRIu32 ",\"rate\":%" PRIu32, o->seed, o->sites,
           o->rate);
    print_milli("outage_s", o->outage_ms);
    printf(",\"backoff\":\"%s\"", sim_backoff_str(o->backoff));
    print_milli("window_factor", o->window_permille);
    print_milli_or_null("t50_s", r->t50_ms >= 0, r->t50_ms);
    print_milli_or_null("t99_s", r->has_t99, r->t99_ms);
    print_milli_or_null("t99_ratio", r->has_t99, r->has_t99 ? herd_t99_permille(o, r) : 0);
    print_milli("peak_ratio", herd_peak_permille(o, r));
    print_milli("wasted_per_site", herd_wasted_permille(o, r));
    printf(",\"handshake_timeouts\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"connected\":%" PRIu32,
           r->handshake_timeouts, r->refused, r->connected);
    print_milli("live", o->live_milli);
    printf(",\"commit\":%" PRIu32, o->commit_per_s);
    print_milli_or_null("drain_s", o->live_milli > 0 && r->drain_ms >= 0, r->drain_ms);
    printf(",\"hub_bytes_max\":%" PRIu64, r->memory_peak);
    printf(",\"events\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "\"}\n", r->events, r->hash);
}

static void print_text(const herd_options *o, const herd_result *r)
{
    printf("%s: %" PRIu32 " sites, %" PRIu32 " handshakes a second, away for %g s, seed %" PRIu64
           "\n",
           sim_backoff_str(o->backoff), o->sites, o->rate, (double)o->outage_ms / 1000, o->seed);
    if (r->has_t99)
        printf("  99 %% connected after   %.1f s, %.2f times 0.99 N/C\n", (double)r->t99_ms / 1000,
               (double)herd_t99_permille(o, r) / 1000);
    else
        printf("  99 %% connected         never: %" PRIu32 " of %" PRIu32 " after %g s\n",
               r->connected, o->sites, (double)o->limit_ms / 1000);
    printf("  worst second           %" PRIu32 " arrivals, %.2f times C\n", r->arrivals_peak,
           (double)herd_peak_permille(o, r) / 1000);
    printf("  refused, wasted        %" PRIu64 " dials refused, %.2f in vain for each site\n",
           r->refused, (double)herd_wasted_permille(o, r) / 1000);
    printf("  handshakes timed out   %" PRIu64 "\n", r->handshake_timeouts);
    if (o->live_milli > 0 && r->drain_ms >= 0)
        printf("  backlog carried after  %.1f s (%g records a second of each site, %" PRIu32
               " committed a second)\n",
               (double)r->drain_ms / 1000, (double)o->live_milli / 1000, o->commit_per_s);
    else if (o->live_milli > 0)
        printf("  backlog                not carried within %g s\n", (double)o->limit_ms / 1000);
}

static int write_plot(const char *path, const sim_plot_run *runs, unsigned count)
{
    FILE *file = fopen(path, "w");
    bool is_written = file != NULL && sim_plot_write(file, runs, count);
    if (file != NULL)
        is_written = fclose(file) == 0 && is_written;
    if (is_written)
        return CLI_OK;
    fprintf(stderr, "tombolo-sim: --plot %s: %s\n", path, strerror(errno));
    return CLI_UNABLE;
}

int cli_herd(const cli_options *options)
{
    herd_options settings[SIM_BACKOFFS];
    herd_result results[SIM_BACKOFFS];
    sim_plot_run runs[SIM_BACKOFFS];
    unsigned count = 0;
    time_t shown = time(NULL);
    int code = CLI_OK;
    for (unsigned mode = 0; mode < SIM_BACKOFFS; mode++) {
        if (!(options->backoffs & 1u << mode))
            continue;
        settings[count] = options->herd;
        settings[count].backoff = (sim_backoff)mode;
        settings[count].progress = isatty(STDERR_FILENO) ? show_progress : NULL;
        settings[count].context = &shown;
        if (!herd_run(&settings[count], &results[count])) {
            fprintf(stderr,
                    "tombolo-sim: not enough memory: a site takes about 30 KiB; fewer --sites\n");
            code = CLI_UNABLE;
            break;
        }
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\r%60s\r", "");
        (options->is_json ? print_json : print_text)(&settings[count], &results[count]);
        fflush(stdout);
        if (!results[count].has_t99)
            code = CLI_FAILED;
        runs[count] = (sim_plot_run){&settings[count], &results[count]};
        count++;
    }
    if (options->plot != NULL && code != CLI_UNABLE) {
        int written = write_plot(options->plot, runs, count);
        code = written != CLI_OK ? written : code;
    }
    while (count > 0)
        herd_result_free(&results[--count]);
    return code;
}
