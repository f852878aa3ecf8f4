// SPDX-License-Identifier: Apache-2.0
/* sim/faults.h - the world of faults: a top, a hub under it, some sites under either, and all that can go
 * wrong.
 *
 * The sessions and intakes are the very objects of tombolo-syncd, their frames are encoded and decoded;
 * clocks, links and disks are simulated. A run tortures the world for a while, heals it, and demands that
 * it drains.
 *
 * Faults, of which each run has a random half: frames are delayed, lost, repeated, reordered, held back
 * (clog), swallowed in one direction (asymmetric partition) or both (half-open); links are cut, or so slow
 * that a record takes longer than ack_timeout; dials fail; processes are killed; the power is cut, and
 * what was not synced is gone; stores and loads fail, before or after they took effect; marks are looked
 * up in an old view; records are lost to retention or damage; disks are replaced; monotonic clocks drift
 * by up to 5 %, wall clocks step by up to a year; a site's disk is restored from an older image, or cloned
 * into a second box.
 *
 * Oracles. Safety, at every commit: each record of each site once, in the order of its log, behind the
 * record that was before it there (so no two boxes are merged), nothing missing but what was lost and
 * declared; at every append: stamps rise. Liveness and convergence: once healed, all is at the top within
 * a bound. A hot loop is a failure. Determinism: the same seed gives the same hash.
 *
 * Which seeds are played together is up to the caller; tests/sim/seeds.txt keeps those that ever failed.
 *
 * Threads: none. Cost: some tens of milliseconds and of megabytes a seed. */
#ifndef TMB_SIM_FAULTS_H
#define TMB_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Bugs that can be planted, to see that an oracle finds them. */
typedef enum fault_plant {
    FAULT_HONEST = 0,
    FAULT_ACK_BEFORE_STORE, /* the parent's shell says STORED when it begins to store */
    FAULT_SEND_BEFORE_SYNC, /* the child's shell answers LOAD without having synced the log */
    FAULT_MARK_TOO_HIGH,    /* the parent's marks are looked up one too high */
    FAULT_NO_PROOF,         /* the child says that every chain is its own */
    FAULT_CLOCK_BACK,       /* stamps are the wall clock's */
    FAULT_NO_RETRY,         /* a link that is lost is never dialled again */
    FAULT_PLANTS
} fault_plant;

typedef struct fault_result {
    bool is_good;
    const char *failure; /* the first one; static text */
    int64_t at_ms;       /* when */
    uint64_t hash, steps, records, lost, faults, fenced;
    unsigned sites;
} fault_result;

/* fault_run plays seed to its end. print: where the run is told, line by line; NULL: nowhere. */
void fault_run(uint64_t seed, fault_plant plant, FILE *print, fault_result *ret_result);

/* "ack-before-store" ...; fault_plant_find gives FAULT_PLANTS for a name that is none. */
const char *fault_plant_str(fault_plant plant);
fault_plant fault_plant_find(const char *name);

#endif
