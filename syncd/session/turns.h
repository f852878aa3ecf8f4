// SPDX-License-Identifier: Apache-2.0
/* syncd/session/turns.h - which lane loads next.
 *
 *   control > alarm > state > telemetry > bulk; within a class live lanes, then those with a backlog; among
 *   equals in turn
 *
 * The strict order has two exceptions. A class that waits while those above it are served is owed an eighth
 * of what they took (TMB_TURNS_FLOOR_PARTS); as soon as that makes a load, it goes before them: so nothing
 * starves, whatever the classes above have to say. And a lane that has nothing on its way, as with a fresh
 * alarm, is not held up by that: it goes first, until what is owed makes two loads.
 *
 * Places (batches on their way, TMB_INFLIGHT_BATCHES_MAX in all): a lane leaves one free for each class above
 * its own that the session has, and a backlog one more if its class has a live lane. So a flood below never
 * has all of them. A class that is owed a load may take the last.
 *
 * Threads: none. Cost: O(lanes) a call; no memory but the caller's.
 */
#ifndef TMB_SYNCD_SESSION_TURNS_H
#define TMB_SYNCD_SESSION_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/class.h"
#include "base/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A class that waits gets at least one byte for each so many that the classes above it get. */
#define TMB_TURNS_FLOOR_PARTS 8
/* Loads that a class is owed at most: what it could not use is not saved up. */
#define TMB_TURNS_OWED_MAX 2

/* A lane as the order sees it, filled anew for each decision. */
typedef struct tmb_turns_lane {
    tmb_class class_;
    bool is_there; /* takes part in this session */
    bool is_live;  /* what it would load is new since the session began */
    bool is_idle;  /* nothing of it is on its way */
    bool wants;    /* could load now, if it had a place */
} tmb_turns_lane;

/* Caller's memory, zeroed; fields are read by tests, written by turns.c alone. */
typedef struct tmb_turns {
    unsigned next; /* lane that is asked first among equals */
    uint64_t owed[TMB_CLASSES];
} tmb_turns;

/* tmb_turns_has_place says whether lane i may load when so many places are free. load_bytes, here and below:
 * what a load is at most. */
bool tmb_turns_has_place(const tmb_turns *turns, const tmb_turns_lane *lanes, unsigned count,
                         unsigned i, unsigned room, uint32_t load_bytes);

/* tmb_turns_next gives the lane that loads next, count when none wants to or has a place. */
unsigned tmb_turns_next(const tmb_turns *turns, const tmb_turns_lane *lanes, unsigned count,
                        unsigned room, uint32_t load_bytes);

/* tmb_turns_begin: lane i of count begins to load. */
void tmb_turns_begin(tmb_turns *turns, unsigned i, unsigned count);

/* tmb_turns_took: lane i has loaded so many bytes. Classes below it that want to load are owed their part. */
void tmb_turns_took(tmb_turns *turns, const tmb_turns_lane *lanes, unsigned count, unsigned i,
                    uint64_t bytes, uint32_t load_bytes);

#ifdef __cplusplus
}
#endif
#endif
