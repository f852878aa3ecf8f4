// SPDX-License-Identifier: Apache-2.0
/* syncd/session/turns.c - the first in the strict order, unless somebody below is owed more than it may wait.
 *
 * The highest class is never owed anything, as nothing is above it.
 */
#include "syncd/session/turns.h"

/* The places that lane i leaves free. */
static unsigned count_kept(const tmb_turns_lane *lanes, unsigned count, unsigned i)
{
    bool is_above[TMB_CLASSES + 1] = {false};
    unsigned kept = 0;
    for (unsigned k = 0; k < count; k++) {
        if (!lanes[k].is_there)
            continue;
        if (lanes[k].class_ < lanes[i].class_)
            is_above[lanes[k].class_] = true;
        else if (lanes[k].class_ == lanes[i].class_ && lanes[k].is_live && !lanes[i].is_live)
            is_above[TMB_CLASSES] = true;
    }
    for (unsigned c = 0; c <= TMB_CLASSES; c++)
        kept += is_above[c];
    return kept;
}

bool tmb_turns_has_place(const tmb_turns *turns, const tmb_turns_lane *lanes, unsigned count,
                         unsigned i, unsigned room, uint32_t load_bytes)
{
    bool is_owed = turns->owed[lanes[i].class_] >= load_bytes;
    return room > (is_owed ? 0 : count_kept(lanes, count, i));
}

/* The strict order; among equals those that have nothing on their way. */
static unsigned order_of(const tmb_turns_lane *lane)
{
    return 4 * (unsigned)lane->class_ + (lane->is_live ? 0u : 2u) + (lane->is_idle ? 0u : 1u);
}

unsigned tmb_turns_next(const tmb_turns *turns, const tmb_turns_lane *lanes, unsigned count,
                        unsigned room, uint32_t load_bytes)
{
    unsigned best = count, owed = count;
    for (unsigned k = 0; k < count; k++) {
        unsigned i = (turns->next + k) % count;
        if (!lanes[i].wants || !tmb_turns_has_place(turns, lanes, count, i, room, load_bytes))
            continue;
        if (best == count || order_of(&lanes[i]) < order_of(&lanes[best]))
            best = i;
        bool is_owed = turns->owed[lanes[i].class_] >= load_bytes;
        if (is_owed && (owed == count || order_of(&lanes[i]) < order_of(&lanes[owed])))
            owed = i;
    }
    if (owed == count || best == owed)
        return best;
    bool is_long = turns->owed[lanes[owed].class_] >= (uint64_t)TMB_TURNS_OWED_MAX * load_bytes;
    return lanes[best].is_idle && !is_long ? best : owed;
}

void tmb_turns_begin(tmb_turns *turns, unsigned i, unsigned count)
{
    turns->next = (i + 1) % count;
}

void tmb_turns_took(tmb_turns *turns, const tmb_turns_lane *lanes, unsigned count, unsigned i,
                    uint64_t bytes, uint32_t load_bytes)
{
    bool is_waiting[TMB_CLASSES] = {false};
    uint64_t most = (uint64_t)TMB_TURNS_OWED_MAX * load_bytes;
    uint64_t *own = &turns->owed[lanes[i].class_];
    *own -= bytes < *own ? bytes : *own;
    for (unsigned k = 0; k < count; k++)
        is_waiting[lanes[k].class_] = is_waiting[lanes[k].class_] || lanes[k].wants;
    for (unsigned c = (unsigned)lanes[i].class_ + 1; c < TMB_CLASSES; c++) {
        uint64_t owed =
            turns->owed[c] + (bytes + TMB_TURNS_FLOOR_PARTS - 1) / TMB_TURNS_FLOOR_PARTS;
        if (is_waiting[c])
            turns->owed[c] = owed < most ? owed : most;
    }
}
