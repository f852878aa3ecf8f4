// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/holes.c - see holes.h. */
#include "broker-plugin/holes.h"

#include <string.h>

#include "base/err.h"

/* find gives the index of the hole that number is in, or count. The newest are asked for most. */
static unsigned find(const tmb_holes *holes, uint64_t number)
{
    for (unsigned i = holes ? holes->count : 0; i > 0; i--) {
        if (holes->v[i - 1].first <= number && number <= holes->v[i - 1].last)
            return i - 1;
        if (holes->v[i - 1].last < number)
            break;
    }
    return holes ? holes->count : 0;
}

static bool is_in_hole(const tmb_holes *holes, uint64_t number)
{
    return holes && find(holes, number) < holes->count;
}

bool tmb_holes_has(const tmb_holes *holes, uint64_t high, uint64_t number)
{
    return number <= high && !is_in_hole(holes, number);
}

bool tmb_holes_need(const tmb_holes *holes, uint64_t high, uint64_t number)
{
    return number > high ? number - high > 1 : is_in_hole(holes, number);
}

/* make_room for a hole at index i; when there is none, the two lowest become one and the index moves down. */
static unsigned make_room(tmb_holes *holes, unsigned i)
{
    if (holes->count == TMB_HOLES_MAX) {
        holes->v[1].first = holes->v[0].first;
        holes->count--;
        memmove(holes->v, holes->v + 1, holes->count * sizeof holes->v[0]);
        i = i > 0 ? i - 1 : 0;
    }
    memmove(holes->v + i + 1, holes->v + i, (holes->count - i) * sizeof holes->v[0]);
    holes->count++;
    return i;
}

static void split(tmb_holes *holes, unsigned i, uint64_t number)
{
    tmb_hole *hole = &holes->v[i];
    if (hole->first == hole->last) {
        holes->count--;
        memmove(hole, hole + 1, (holes->count - i) * sizeof *hole);
    } else if (hole->first == number) {
        hole->first++;
    } else if (hole->last == number) {
        hole->last--;
    } else if (holes->count == TMB_HOLES_MAX && i == 0) {
        return; /* both halves would become one again: number stays missing */
    } else if (holes->count == TMB_HOLES_MAX && i == 1) {
        holes->v[0].last = number - 1;
        hole->first = number + 1;
    } else {
        tmb_hole lower = {hole->first, number - 1};
        hole->first = number + 1;
        holes->v[make_room(holes, i)] = lower;
    }
}

void tmb_holes_add(tmb_holes *holes, uint64_t *high, uint64_t number)
{
    TMB_ASSERT(number > 0);
    if (number <= *high) {
        unsigned i = holes ? find(holes, number) : 0;
        if (holes && i < holes->count)
            split(holes, i, number);
        return;
    }
    if (number - *high > 1) {
        TMB_ASSERT(holes);
        tmb_hole hole = {*high + 1, number - 1};
        holes->v[make_room(holes, holes->count)] = hole;
    }
    *high = number;
}

bool tmb_holes_are_valid(const tmb_holes *holes, uint64_t high)
{
    uint64_t before = 0; /* the last number that is here and below the next hole, or 0 */
    for (unsigned i = 0; i < holes->count; i++) {
        const tmb_hole *hole = &holes->v[i];
        if (hole->first == 0 || hole->first > hole->last || hole->last >= high ||
            (i > 0 && hole->first <= before))
            return false;
        before = hole->last + 1;
    }
    return holes->count <= TMB_HOLES_MAX;
}
