// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/holes.h - which numbers of an origin are here: all up to the highest, but for some holes.
 *
 *      1 ......... 60 |hole 61..80| 81 ........ 150 = high
 *
 * A record may come by two roads, its own parent's and a fall-back parent's, and the slower one may bring
 * what the faster one never had: so "not above the highest" does not mean "is here". A number is a repeat
 * only when it is known to be here. Of TMB_HOLES_MAX holes and one more the two lowest become one: what lies
 * between them is taken for missing, and if it comes again it is here twice. Twice, never lost.
 * Threads: none, values. Cost: a walk over the holes, newest first.
 */
#ifndef TMB_BROKER_PLUGIN_HOLES_H
#define TMB_BROKER_PLUGIN_HOLES_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_HOLES_MAX 16

typedef struct tmb_hole {
    uint64_t first, last;
} tmb_hole;

typedef struct tmb_holes {
    unsigned count;
    tmb_hole v[TMB_HOLES_MAX]; /* rising, below high, never touching */
} tmb_holes;

/* tmb_holes_has: number is here. holes NULL: there are none below high. */
bool tmb_holes_has(const tmb_holes *holes, uint64_t high, uint64_t number);

/* tmb_holes_need: adding number would make or change a hole, so that holes must not be NULL. */
bool tmb_holes_need(const tmb_holes *holes, uint64_t high, uint64_t number);

/* tmb_holes_add: number (above 0) is here from now on; holes NULL only if they are not needed. */
void tmb_holes_add(tmb_holes *holes, uint64_t *high, uint64_t number);

/* tmb_holes_are_valid: rising, apart, from 1 and below high: as read from a file. */
bool tmb_holes_are_valid(const tmb_holes *holes, uint64_t high);

#ifdef __cplusplus
}
#endif
#endif
