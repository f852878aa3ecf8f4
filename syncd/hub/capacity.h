// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/capacity.h - how many sessions a second this node can bring up: C.
 *
 * What it costs is spent in three places: the broker's thread (TLS with both certificates, CONNECT,
 * SUBSCRIBE), this daemon (HELLO to WELCOME), and whatever else the machine does meanwhile. So nothing is
 * added up; the result is watched. Probes go round through our own broker, one behind the other: one that
 * needs TMB_CAPACITY_BUSY_MS, and TMB_CAPACITY_BUSY_TIMES what they usually need when nobody comes, has stood
 * in a queue, and the HELLOs that came meanwhile are all that could be done. Sessions by that time is C.
 *
 *   busy:  sessions / time between the first busy probe's start and the last session, when there were
 *          TMB_CAPACITY_SESSIONS_MIN and a queue for most of the time: C moves there, all the way for four
 *          times as many
 *   calm:  a second without a busy probe in which sessions came at more than seven tenths of C: there is
 *          more than C says; it grows by an eighth
 *
 * So C is right after the first real herd, follows what the machine can do while it works (the backlogs are
 * being drained, too), and a C that is too low mends itself each time the children come back. What it does
 * not see: how much more than it was asked for a calm node could do.
 *
 * Threads: none. Cost: none; no allocation, whole numbers.
 */
#ifndef TMB_SYNCD_HUB_CAPACITY_H
#define TMB_SYNCD_HUB_CAPACITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_CAPACITY_BUSY_MS      25 /* a probe that took so long waited in a queue */
#define TMB_CAPACITY_BUSY_TIMES   4
#define TMB_CAPACITY_SESSIONS_MIN 32     /* fewer say nothing */
#define TMB_CAPACITY_MIN          1      /* a second */
#define TMB_CAPACITY_MAX          100000 /* a second */

/* A second, until there was a herd: rather too many than too few, since who promises too much has a queue the
 * first time they come, and then knows. */
#define TMB_CAPACITY_START 400

/* Caller's memory; written by capacity.c alone. Rates in thousandths of a session a second. */
typedef struct tmb_capacity {
    uint64_t rate_mps;
    tmb_mono sent;  /* the probe that is out, or was last */
    uint64_t since; /* sessions since the last probe came back, */
    tmb_mono last;  /* and when the last of all came */
    bool is_busy;
    tmb_mono busy_from;
    uint64_t busy_sessions;
    tmb_dur queued;       /* how long probes were out since busy_from that found a queue */
    unsigned calm_probes; /* that found none, in a row */
    tmb_mono calm_from;   /* never: not calm */
    uint64_t calm_sessions;
    uint64_t measured, raised; /* how often each was done */
    tmb_dur lag;               /* of the last probe */
    tmb_dur usual;             /* on average when nobody comes */
} tmb_capacity;

/* rate_mps: as kept from an earlier run; 0: TMB_CAPACITY_START. Clamped. */
void tmb_capacity_init(tmb_capacity *c, uint64_t rate_mps);

/* A probe is sent and comes back: one at a time. */
void tmb_capacity_probe_sent(tmb_capacity *c, tmb_mono now);
void tmb_capacity_probe_back(tmb_capacity *c, tmb_mono now);

/* A child has come as far as HELLO; not one that says it again on the same connection. */
void tmb_capacity_session(tmb_capacity *c, tmb_mono now);

/* The broker is gone: what was being measured is void. C stays. */
void tmb_capacity_reset(tmb_capacity *c);

#ifdef __cplusplus
}
#endif
#endif
