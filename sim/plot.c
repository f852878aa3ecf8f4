// SPDX-License-Identifier: Apache-2.0
/* sim/plot.c - three panels under a title; each draws one number of each second, run by run.
 *
 *   title, parameters
 *   legend: one line a run, with its figures
 *   [arrivals a second]   with the line C, linear or logarithmic
 *   [connected sites]     with the line 0.99 N
 *   [backlog]             left out when sites produce nothing
 *   seconds, 0 = the hub is back
 *
 * A pixel that stands for several seconds shows the worst of them for arrivals, the last for the others. */
#include "sim/plot.h"

#include <inttypes.h>

#define WIDTH        960.0
#define LEFT         84.0
#define RIGHT        28.0
#define PANEL_HEIGHT 170.0
#define PANEL_GAP    46.0
#define COLUMNS      800
#define TICKS        5

typedef enum panel { PANEL_ARRIVALS = 0, PANEL_CONNECTED, PANEL_BACKLOG, PANELS } panel;

/* clang-format off */
static const struct {
    const char *title, *unit;
} panels[PANELS] = {
    [PANEL_ARRIVALS]  = {"Arrivals", "dials to the hub, a second"},
    [PANEL_CONNECTED] = {"Connected", "sites"},
    [PANEL_BACKLOG]   = {"Backlog", "records that are not at the hub"},
};
static const char *const colours[SIM_BACKOFFS] = {"#2f7d8c", "#c0692b", "#6b5b95"};
static const char *const names[SIM_BACKOFFS] = {"advertised window and slots", "full jitter",
                                                "decorrelated jitter"};
/* clang-format on */

typedef struct plot {
    FILE *file;
    const sim_plot_run *runs;
    unsigned count;
    int64_t from_s, to_s; /* of the axis; 0: the hub is back */
    double most[PANELS];
    bool is_log; /* the arrivals */
    double top;  /* of the panel that is being drawn */
} plot;

static uint64_t read_second(const herd_second *second, panel what)
{
    if (what == PANEL_ARRIVALS)
        return second->arrivals;
    return what == PANEL_CONNECTED ? second->connected : second->backlog;
}

/* The run's last second stands for all that come after it, but for arrivals. */
static uint64_t read_span(const herd_result *result, panel what, int64_t from_s, int64_t to_s)
{
    uint64_t value = 0;
    for (int64_t s = from_s; s < to_s; s++) {
        int64_t at = s + (int64_t)result->back_second;
        bool is_past = at >= (int64_t)result->seconds_count;
        if (at < 0 || (is_past && what == PANEL_ARRIVALS))
            continue;
        uint64_t now =
            read_second(&result->seconds[is_past ? (int64_t)result->seconds_count - 1 : at], what);
        value = what != PANEL_ARRIVALS || now > value ? now : value;
    }
    return value;
}

/* 1, 2 or 5 times a power of ten, so that about TICKS of them reach most. */
static int64_t find_tick(double most)
{
    int64_t tick = 1;
    while ((double)tick * TICKS < most) {
        tick *= 2;
        if ((double)tick * TICKS < most)
            tick = tick / 2 * 5;
        if ((double)tick * TICKS < most)
            tick *= 2;
    }
    return tick;
}

static double log_10(double value)
{
    double whole = 0;
    if (value < 1)
        return 0;
    while (value >= 10) {
        value /= 10;
        whole++;
    }
    /* Between powers of ten by halves of halves: exact enough for a pixel, and needs no library. */
    double part = 0, bit = 0.5;
    while (bit > 0.0005) {
        value *= value;
        if (value >= 10) {
            value /= 10;
            part += bit;
        }
        bit /= 2;
    }
    return whole + part;
}

static double place_x(const plot *p, double second)
{
    return LEFT +
           (WIDTH - LEFT - RIGHT) * (second - (double)p->from_s) / (double)(p->to_s - p->from_s);
}

static double place_y(const plot *p, panel what, double value)
{
    double share = value / p->most[what];
    if (what == PANEL_ARRIVALS && p->is_log)
        share = log_10(value) / log_10(p->most[what]);
    return p->top + PANEL_HEIGHT * (1 - (share < 1 ? share : 1));
}

static void print_count(FILE *file, double value)
{
    if (value >= 1e6)
        fprintf(file, "%g M", value / 1e6);
    else if (value >= 1e4)
        fprintf(file, "%g k", value / 1e3);
    else
        fprintf(file, "%g", value);
}

static void draw_tick(const plot *p, panel what, double value)
{
    double y = place_y(p, what, value);
    fprintf(p->file, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#e4e7eb\"/>\n",
            LEFT, WIDTH - RIGHT, y, y);
    fprintf(p->file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" fill=\"#52606d\">", LEFT - 8,
            y + 4);
    print_count(p->file, value);
    fprintf(p->file, "</text>\n");
}

static void draw_frame(const plot *p, panel what)
{
    fprintf(p->file, "<text x=\"%.1f\" y=\"%.1f\" font-weight=\"bold\">%s", LEFT, p->top - 10,
            panels[what].title);
    fprintf(p->file,
            "<tspan dx=\"10\" font-weight=\"normal\" fill=\"#52606d\">%s%s</tspan></text>\n",
            panels[what].unit, what == PANEL_ARRIVALS && p->is_log ? ", logarithmic" : "");
    if (what == PANEL_ARRIVALS && p->is_log) {
        for (int64_t value = 1; (double)value <= p->most[what]; value *= 10)
            draw_tick(p, what, (double)value);
    } else {
        int64_t tick = find_tick(p->most[what]);
        for (int64_t value = 0; (double)value <= p->most[what]; value += tick)
            draw_tick(p, what, (double)value);
    }
}

/* A line across, with its name at the right end above it. */
static void draw_level(const plot *p, panel what, double value, const char *name)
{
    double y = place_y(p, what, value);
    fprintf(p->file,
            "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#1f2933\" "
            "stroke-dasharray=\"5 4\"/>\n",
            LEFT, WIDTH - RIGHT, y, y);
    fprintf(p->file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s ", WIDTH - RIGHT - 4,
            y - 5, name);
    print_count(p->file, value);
    fprintf(p->file, "</text>\n");
}

static void draw_steps(const plot *p, panel what, const sim_plot_run *run, bool is_area)
{
    int64_t span = p->to_s - p->from_s;
    int64_t columns = span < COLUMNS ? span : COLUMNS;
    for (int64_t i = 0; i < columns; i++) {
        int64_t from_s = p->from_s + span * i / columns,
                to_s = p->from_s + span * (i + 1) / columns;
        double y = place_y(p, what, (double)read_span(run->result, what, from_s, to_s));
        fprintf(p->file, "%s%.1f,%.1f L%.1f,%.1f", i > 0 || is_area ? " L" : "M",
                place_x(p, (double)from_s), y, place_x(p, (double)to_s), y);
    }
}

/* A run by itself is an area, several are lines. */
static void draw_run(const plot *p, panel what, const sim_plot_run *run)
{
    const char *colour = colours[run->options->backoff];
    double bottom = p->top + PANEL_HEIGHT;
    if (p->count == 1) {
        fprintf(p->file, "<path fill=\"%s\" fill-opacity=\"0.15\" d=\"M%.1f,%.1f", colour, LEFT,
                bottom);
        draw_steps(p, what, run, true);
        fprintf(p->file, " L%.1f,%.1f Z\"/>\n", WIDTH - RIGHT, bottom);
    }
    fprintf(p->file, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" d=\"", colour);
    draw_steps(p, what, run, false);
    fprintf(p->file, "\"/>\n");
}

static void draw_time(const plot *p, double bottom, bool has_text)
{
    int64_t tick = find_tick((double)(p->to_s - p->from_s) / 2);
    for (int64_t at_s = 0; at_s <= p->to_s; at_s += tick) {
        double s = (double)at_s;
        fprintf(p->file,
                "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#9aa5b1\"/>\n",
                place_x(p, s), place_x(p, s), bottom, bottom + 5);
        if (has_text)
            fprintf(
                p->file,
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" fill=\"#52606d\">%g</text>\n",
                place_x(p, s), bottom + 20, s);
    }
    fprintf(p->file, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#9aa5b1\"/>\n",
            LEFT, WIDTH - RIGHT, bottom, bottom);
    if (p->from_s < 0)
        fprintf(p->file,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#1f2933\" "
                "fill-opacity=\"0.06\"/>\n",
                LEFT, bottom - PANEL_HEIGHT, place_x(p, 0) - LEFT, PANEL_HEIGHT);
    if (has_text)
        fprintf(p->file,
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" fill=\"#52606d\">seconds since "
                "the hub is "
                "back%s</text>\n",
                LEFT + (WIDTH - LEFT - RIGHT) / 2, bottom + 40,
                p->from_s < 0 ? " (grey: it is away)" : "");
}

static void draw_panel(plot *p, panel what, bool is_last)
{
    const herd_options *o = p->runs[0].options;
    draw_frame(p, what);
    for (unsigned i = 0; i < p->count; i++)
        draw_run(p, what, &p->runs[i]);
    if (what == PANEL_ARRIVALS)
        draw_level(p, what, o->rate, "what the hub can do, C =");
    else if (what == PANEL_CONNECTED)
        draw_level(p, what, (double)o->sites * 0.99, "99 % =");
    draw_time(p, p->top + PANEL_HEIGHT, is_last);
    p->top += PANEL_HEIGHT + PANEL_GAP;
}

static void draw_title(plot *p)
{
    const herd_options *o = p->runs[0].options;
    fprintf(p->file,
            "<text x=\"16\" y=\"28\" font-size=\"17\">%" PRIu32
            " sites come back to one hub</text>\n",
            o->sites);
    fprintf(p->file,
            "<text x=\"16\" y=\"48\" fill=\"#52606d\">hub away for %g s; %" PRIu32
            " handshakes a second; at best all are back after %.1f s",
            (double)o->outage_ms / 1000, o->rate, (double)o->sites / o->rate);
    fprintf(p->file, "; seed %" PRIu64 "</text>\n", o->seed);
    if (o->live_milli > 0)
        fprintf(
            p->file,
            "<text x=\"16\" y=\"66\" fill=\"#52606d\">records: %g a second of each site; the hub "
            "commits %" PRIu32 " a second</text>\n",
            (double)o->live_milli / 1000, o->commit_per_s);
    p->top = o->live_milli > 0 ? 90 : 72;
    for (unsigned i = 0; i < p->count; i++) {
        const sim_plot_run *run = &p->runs[i];
        double y = p->top + 18.0 * i;
        fprintf(p->file, "<rect x=\"16\" y=\"%.1f\" width=\"18\" height=\"4\" fill=\"%s\"/>\n",
                y - 6, colours[run->options->backoff]);
        fprintf(p->file, "<text x=\"42\" y=\"%.1f\">%s", y, names[run->options->backoff]);
        if (run->options->backoff == SIM_BACKOFF_WINDOW && run->options->window_permille != 1000)
            fprintf(p->file, " (told %g of the true window)",
                    (double)run->options->window_permille / 1000);
        if (run->result->has_t99)
            fprintf(p->file, ": 99 %% after %.1f s", (double)run->result->t99_ms / 1000);
        else
            fprintf(p->file, ": 99 %% not reached, %" PRIu32 " connected", run->result->connected);
        fprintf(p->file, ", worst second %.2f C, %.2f attempts wasted a site</text>\n",
                (double)herd_peak_permille(run->options, run->result) / 1000,
                (double)herd_wasted_permille(run->options, run->result) / 1000);
    }
    p->top += 18.0 * p->count + 36;
}

/* The axis shows a part of the outage, and ends a little after the last run's last interesting second. */
static void measure(plot *p)
{
    const herd_options *o = p->runs[0].options;
    int64_t end_ms = 1000;
    p->most[PANEL_CONNECTED] = (double)o->sites * 1.08;
    p->most[PANEL_ARRIVALS] = (double)o->rate * 1.3;
    p->most[PANEL_BACKLOG] = 1; /* an axis, also when nothing ever waits */
    for (unsigned i = 0; i < p->count; i++) {
        const herd_result *result = p->runs[i].result;
        int64_t last_ms = (int64_t)(result->seconds_count - result->back_second) * 1000;
        if (result->has_t99)
            last_ms = result->drain_ms > result->t99_ms && o->live_milli > 0 ? result->drain_ms
                                                                             : result->t99_ms;
        end_ms = last_ms > end_ms ? last_ms : end_ms;
    }
    p->to_s = end_ms / 1000 + end_ms / 12000 + 1;
    p->from_s = -(o->outage_ms / 1000);
    if (p->from_s < -p->to_s / 3)
        p->from_s = -p->to_s / 3;
    for (unsigned i = 0; i < p->count; i++) {
        for (int64_t s = p->from_s; s < p->to_s; s++) {
            double arrivals = (double)read_span(p->runs[i].result, PANEL_ARRIVALS, s, s + 1) * 1.08;
            double backlog = (double)read_span(p->runs[i].result, PANEL_BACKLOG, s, s + 1) * 1.08;
            if (arrivals > p->most[PANEL_ARRIVALS])
                p->most[PANEL_ARRIVALS] = arrivals;
            if (backlog > p->most[PANEL_BACKLOG])
                p->most[PANEL_BACKLOG] = backlog;
        }
    }
    p->is_log = p->most[PANEL_ARRIVALS] > (double)o->rate * SIM_PLOT_LINEAR_MAX;
}

bool sim_plot_write(FILE *file, const sim_plot_run *runs, unsigned count)
{
    plot p = {.file = file, .runs = runs, .count = count};
    bool has_backlog = runs[0].options->live_milli > 0;
    unsigned shown = has_backlog ? PANELS : PANELS - 1;
    measure(&p);
    double height =
        (has_backlog ? 90 : 72) + 18.0 * count + 36 + shown * (PANEL_HEIGHT + PANEL_GAP) + 14;
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" "
            "height=\"%g\" "
            "font-family=\"sans-serif\" font-size=\"13\" fill=\"#1f2933\">\n"
            "<rect width=\"%g\" height=\"%g\" fill=\"#ffffff\"/>\n",
            WIDTH, height, WIDTH, height, WIDTH, height);
    draw_title(&p);
    for (unsigned what = 0; what < shown; what++)
        draw_panel(&p, (panel)what, what + 1 == shown);
    fprintf(file, "</svg>\n");
    return fflush(file) == 0 && !ferror(file);
}
