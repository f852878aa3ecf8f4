// SPDX-License-Identifier: Apache-2.0
/* sim/herd.h - the herd world: a hub goes away, and all its sites come back at once.
 *
 * The sessions of the sites, and the hub's admission, intakes and drain, are the objects of tombolo-syncd;
 * the rest is the smallest world in which they can trample a hub: a hub that can do `rate` handshakes a
 * second, one after the other, that refuses whom it cannot serve in time (a refusal costs
 * SIM_REFUSAL_PERMILLE of a handshake), and that commits so many records a second; sites of which each is
 * a few milliseconds away, gives up a handshake after SIM_DIAL_TIMEOUT_MS, and goes on producing records
 * all the while.
 *
 * Order of a run: all sites are connected; the hub goes away for `outage_ms` (0: a restart in which
 * nothing listens for no time at all), all sites notice within SIM_NOTICE_MS; it is back, which is second
 * 0; the run ends when all are connected and the backlog is carried, or at limit_ms.
 *
 * Cost: about 30 KiB of memory a site, and a microsecond or two an event. Threads: none. */
#ifndef TMB_SIM_HERD_H
#define TMB_SIM_HERD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_SITES_MAX        1000000u
#define SIM_RATE_MAX         1000000u
#define SIM_OUTAGE_MAX_S     604800u /* a week */
#define SIM_NOTICE_MS        500
#define SIM_DIAL_TIMEOUT_MS  10000
#define SIM_REFUSAL_PERMILLE 50
#define SIM_HUB_MEMORY       (64u * 1024 * 1024) /* for batches of all sites, as by default */

/* What is compared. */
typedef enum sim_backoff {
    SIM_BACKOFF_WINDOW = 0,   /* the window that the hub tells, and slots for whom it refuses */
    SIM_BACKOFF_FULL,         /* full jitter: anything up to a limit that doubles */
    SIM_BACKOFF_DECORRELATED, /* anything up to three times the last wait */
    SIM_BACKOFFS
} sim_backoff;

typedef struct herd_options {
    uint64_t seed;
    uint32_t sites, rate; /* rate: C, handshakes a second */
    int64_t outage_ms;
    sim_backoff backoff;
    uint32_t window_permille; /* what the sites know of the window: 1000 is the truth */
    uint32_t live_milli;      /* records a second of one site, in thousandths; 0: none */
    uint32_t commit_per_s;    /* records that the hub commits in a second */
    int64_t backoff_base_ms, backoff_cap_ms;
    int64_t limit_ms; /* after the hub is back */
    void (*progress)(void *context, int64_t now_ms,
                     uint32_t connected); /* NULL: none; every so often */
    void *context;
} herd_options;

/* What one second of simulated time saw. */
typedef struct herd_second {
    uint32_t arrivals;  /* dials that reached the hub, or the place where it was */
    uint32_t refused;   /* of them, while it was there */
    uint32_t connected; /* sites at the end of the second */
    uint64_t backlog;   /* records that are not at the hub at its end */
} herd_second;

typedef struct herd_result {
    herd_second *seconds;              /* gives: herd_result_free. From the moment the hub goes */
    size_t seconds_count, back_second; /* the second in which the hub is back */
    bool has_t99;
    int64_t t50_ms, t99_ms, drain_ms; /* since the hub is back; drain_ms -1: not within limit_ms */
    uint32_t connected, arrivals_peak;
    uint64_t arrivals, wasted, handshake_timeouts, refused;
    uint64_t memory_peak;  /* bytes of batches that the hub had not committed yet */
    uint64_t events, hash; /* of the transcript: the same for the same options */
} herd_result;

const char *sim_backoff_str(sim_backoff backoff);

/* herd_options_init fills the defaults: seed 1, 500 sites, 200 handshakes a second, window, no records. */
void herd_options_init(herd_options *options);

/* herd_run plays one run. False: no memory; ret_result is then empty. */
bool herd_run(const herd_options *options, herd_result *ret_result);

void herd_result_free(herd_result *result);

/* Figures of a result, in thousandths: t99 to 0.99 N/C; the worst second's arrivals to C; attempts that found
 * the hub and led to nothing, a site. */
int64_t herd_t99_permille(const herd_options *options, const herd_result *result);
int64_t herd_peak_permille(const herd_options *options, const herd_result *result);
int64_t herd_wasted_permille(const herd_options *options, const herd_result *result);

#endif
