// SPDX-License-Identifier: Apache-2.0
/* sim/heap.h - what will happen in a simulated world: events, the earliest first, ties broken by age.
 *
 * So the order of a run depends on nothing but on what was posted, and the same seed is the same run.
 * Threads: none. Cost: O(log n) an event; memory grows by doubling and is given back by sim_heap_free.
 */
#ifndef TMB_SIM_HEAP_H
#define TMB_SIM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A world that has so many events waiting has gone astray; sim_heap_push says so. */
#define SIM_EVENTS_MAX (UINT64_C(1) << 27)

typedef struct sim_event {
    int64_t at_ns;
    uint64_t order; /* given by sim_heap_push */
    uint32_t kind;
    uint32_t node;
    uint64_t run;    /* of the process it is for: one that has ended hears nothing */
    uint64_t number; /* a dial, a ticket, a session: the world's */
    void *load; /* the world's; what is still waiting at the end goes to sim_heap_free's caller */
} sim_event;

typedef struct sim_heap {
    sim_event *events;
    size_t count, cap;
    uint64_t order;
} sim_heap;

/* sim_heap_push copies event. False: no memory, or SIM_EVENTS_MAX are waiting; nothing is posted. */
bool sim_heap_push(sim_heap *heap, const sim_event *event);

/* sim_heap_pop takes the earliest event out. False: none is waiting. */
bool sim_heap_pop(sim_heap *heap, sim_event *ret_event);

/* sim_heap_next_ns gives the instant of the earliest event, INT64_MAX when none is waiting. */
int64_t sim_heap_next_ns(const sim_heap *heap);

/* sim_heap_free gives the memory back. free_load, unless NULL, is called for each load still waiting. */
void sim_heap_free(sim_heap *heap, void (*free_load)(void *load));

#endif
