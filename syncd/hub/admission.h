// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/admission.h - which child's HELLO is worked on next, and who is sent away until when.
 *
 *   HELLO --arrive--> queued --next--> at work --done-->
 *               '--> refused: BYE(BUSY), come back in so many milliseconds
 *
 * First come, first served, TMB_ADMISSIONS_AT_ONCE at a time (and, when the configuration names a rate, no
 * faster than that). What is shed is shed by time: who would wait longer than TMB_ADMISSION_WAIT_MS_MAX, as
 * fast as the queue has moved lately, or comes while the first in it has waited as long, is refused and costs
 * nothing more than a BYE. (C is no measure for that: it holds the TLS handshake, which a child in the queue
 * has behind it.) Those who are refused get slots, one behind the other, at eight tenths of C, for some will
 * come by their own windows meanwhile; the first is when the queue is done.
 *
 * The window that WELCOME advertises is W = N / (0.8 C), at least window_min: N children that are all gone
 * then come back at a rate below C, and nobody need be refused. Slots make a wrong W safe.
 *
 * N is how many children there are, here or away; C is sessions a second (capacity.h). Children are numbers
 * that the caller chooses, not 0; one stands in the queue once.
 *
 * Threads: none. Cost: O(1); `forget` and a second `arrive` O(queue). No allocation, whole numbers.
 */
#ifndef TMB_SYNCD_HUB_ADMISSION_H
#define TMB_SYNCD_HUB_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* HELLOs that wait. More: refused with a slot, as if the queue were too long in time. */
#define TMB_ADMISSION_QUEUE_MAX   TMB_CHILDREN_MAX
#define TMB_ADMISSIONS_AT_ONCE    16   /* HELLOs being worked on. More: they wait */
#define TMB_ADMISSION_WAIT_MS_MAX 2000 /* in the queue. More: refused with a slot */

typedef struct tmb_admission_options {
    uint64_t rate_mps; /* C as configured, in thousandths a second; 0: as measured */
    tmb_dur window_min;
} tmb_admission_options;

typedef struct tmb_admission_place {
    uint64_t child;
    tmb_mono since;
} tmb_admission_place;

/* Caller's memory; fields are read by status and tests, written by admission.c alone. */
typedef struct tmb_admission {
    tmb_admission_options options;
    uint64_t rate_mps; /* C */
    uint64_t children; /* N */
    unsigned at_work;
    int64_t step_ns;     /* between two that are done while others wait: how fast the queue moves */
    tmb_mono last_done;  /* never: nobody has waited since */
    tmb_mono next_slot;  /* slots are given away up to here */
    tmb_mono not_before; /* of the next admission, at a configured rate */
    unsigned first, count;
    tmb_admission_place queue[TMB_ADMISSION_QUEUE_MAX]; /* a ring */
    uint64_t admitted, refused;
    tmb_dur last_wait, worst_wait; /* in the queue, of those admitted */
} tmb_admission;

void tmb_admission_init(tmb_admission *a, const tmb_admission_options *options);

/* N and C, whenever they change. rate_mps counts when the configuration names none. */
void tmb_admission_set(tmb_admission *a, uint64_t children, uint64_t rate_mps);

/* tmb_admission_arrive: true: it is queued (or was: it keeps its place); else *ret_wait_ms is its slot. */
bool tmb_admission_arrive(tmb_admission *a, uint64_t child, tmb_mono now, uint32_t *ret_wait_ms);

/* tmb_admission_next gives the child to work on now: 0: none. Call tmb_admission_done when it is. */
uint64_t tmb_admission_next(tmb_admission *a, tmb_mono now);
void tmb_admission_done(tmb_admission *a, tmb_mono now);

/* tmb_admission_forget: it waits no longer. False: it was not waiting. */
bool tmb_admission_forget(tmb_admission *a, uint64_t child);

/* tmb_admission_clear: our broker is gone, nobody waits, nothing is at work. Slots stay given. */
void tmb_admission_clear(tmb_admission *a);

/* tmb_admission_deadline: when tmb_admission_next will have one though nothing was done meanwhile. */
tmb_mono tmb_admission_deadline(const tmb_admission *a);

uint32_t tmb_admission_window_ms(const tmb_admission *a);

/* tmb_admission_load is how long somebody who came now would wait, or lag if that is more, in percent of
 * TMB_ADMISSION_WAIT_MS_MAX, at most 100. lag: of our own broker. */
uint32_t tmb_admission_load(const tmb_admission *a, tmb_dur lag, tmb_mono now);

#ifdef __cplusplus
}
#endif
#endif
