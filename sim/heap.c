// SPDX-License-Identifier: Apache-2.0
/* sim/heap.c - a binary heap in an array; see sim/heap.h. */
#include "sim/heap.h"

#include <stdlib.h>

static bool is_before(const sim_event *a, const sim_event *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

static bool grow(sim_heap *heap)
{
    size_t cap = heap->cap ? heap->cap * 2 : 1024;
    if (cap > SIM_EVENTS_MAX)
        return false;
    sim_event *events = realloc(heap->events, cap * sizeof *events);
    if (events == NULL)
        return false;
    heap->events = events;
    heap->cap = cap;
    return true;
}

bool sim_heap_push(sim_heap *heap, const sim_event *event)
{
    if (heap->count == heap->cap && !grow(heap))
        return false;
    sim_event moving = *event;
    moving.order = ++heap->order;
    size_t at = heap->count++;
    while (at > 0 && is_before(&moving, &heap->events[(at - 1) / 2])) {
        heap->events[at] = heap->events[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->events[at] = moving;
    return true;
}

bool sim_heap_pop(sim_heap *heap, sim_event *ret_event)
{
    if (heap->count == 0)
        return false;
    *ret_event = heap->events[0];
    const sim_event moving = heap->events[--heap->count];
    size_t at = 0;
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && is_before(&heap->events[child + 1], &heap->events[child]))
            child++;
        if (!is_before(&heap->events[child], &moving))
            break;
        heap->events[at] = heap->events[child];
        at = child;
    }
    heap->events[at] = moving;
    return true;
}

int64_t sim_heap_next_ns(const sim_heap *heap)
{
    return heap->count > 0 ? heap->events[0].at_ns : INT64_MAX;
}

void sim_heap_free(sim_heap *heap, void (*free_load)(void *load))
{
    for (size_t i = 0; free_load != NULL && i < heap->count; i++)
        free_load(heap->events[i].load);
    free(heap->events);
    *heap = (sim_heap){0};
}
