// SPDX-License-Identifier: Apache-2.0
/* syncd/state/clock.c - the box's time and an offset; a last stamp; a floor above it. */
#include "syncd/state/clock.h"

/* 48 bits of milliseconds: what a stamp can say. */
#define MS_MAX INT64_C(0xffffffffffff)

void tmb_clock_begin(tmb_clock *clock, tmb_hlc floor, tmb_wall built)
{
    *clock = (tmb_clock){.last = floor, .floor = floor};
    clock->built_ms = built.ms < 0 ? 0 : built.ms;
}

static int64_t clamp(int64_t ms)
{
    return ms < 0 ? 0 : ms > MS_MAX ? MS_MAX : ms;
}

/* The box may believe anything; within 48 bits nothing below overflows. */
static int64_t corrected(const tmb_clock *clock, tmb_wall now)
{
    return clamp(clamp(now.ms) + clock->offset_ms);
}

static bool knows_the_time(const tmb_clock *clock, tmb_wall now)
{
    return corrected(clock, now) >= clock->built_ms;
}

tmb_wall tmb_clock_now(const tmb_clock *clock, tmb_wall now)
{
    int64_t ms = corrected(clock, now);
    return (tmb_wall){ms < clock->built_ms ? clock->built_ms : ms};
}

tmb_hlc tmb_clock_stamp(tmb_clock *clock, tmb_hlc record, tmb_wall now)
{
    tmb_wall at = tmb_clock_now(clock, now), asked = tmb_hlc_wall(record);
    if (clock->offset_ms == 0 && asked.ms >= clock->built_ms && asked.ms < at.ms)
        at = asked; /* the same clock said it; after a correction it may have been another */
    clock->last = tmb_hlc_next(clock->last, at);
    return clock->last;
}

bool tmb_clock_fold(tmb_clock *clock, tmb_hlc remote, tmb_wall now)
{
    tmb_wall at = tmb_clock_now(clock, now);
    clock->last = tmb_hlc_fold(clock->last, remote, at);
    return !tmb_hlc_is_ahead(remote, at) || !knows_the_time(clock, now);
}

bool tmb_clock_learn(tmb_clock *clock, tmb_wall parent, tmb_wall sent, tmb_wall received)
{
    int64_t told = clamp(parent.ms), middle = clamp(sent.ms) / 2 + clamp(received.ms) / 2;
    if (told < clock->built_ms)
        return false; /* it does not know either */
    int64_t offset = told - middle;
    clock->parent_ms = offset;
    clock->is_taught = true;
    bool is_lost = middle < clock->built_ms;
    int64_t chosen = is_lost || offset < -TMB_HLC_DRIFT_MS_MAX ? offset : 0;
    int64_t change = chosen - clock->offset_ms;
    if (change >= -TMB_HLC_DRIFT_MS_MAX && change <= TMB_HLC_DRIFT_MS_MAX && chosen != 0)
        return false; /* the way of a frame takes its time; what was learned is near enough */
    clock->offset_ms = chosen;
    return change != 0;
}

bool tmb_clock_floor(tmb_clock *clock, tmb_wall now, tmb_hlc *ret_floor)
{
    if (clock->last.u64 <= clock->floor.u64)
        return false;
    /* Ahead of the time, not of the last stamp: a box that crashes again and again does not run away. */
    int64_t ahead = clamp(tmb_clock_now(clock, now).ms + TMB_CLOCK_FLOOR_STEP_MS);
    int64_t last = tmb_hlc_wall(clock->last).ms;
    int64_t ms = last < ahead ? ahead : last;
    clock->floor.u64 = (uint64_t)ms << 16 | 0xffff;
    *ret_floor = clock->floor;
    return true;
}

tmb_hlc tmb_clock_rest(tmb_clock *clock)
{
    clock->floor = clock->last;
    return clock->floor;
}

bool tmb_clock_lower(tmb_clock *clock, tmb_wall now)
{
    tmb_wall at = tmb_clock_now(clock, now);
    if (!tmb_hlc_is_ahead(clock->last, at))
        return false;
    clock->last = tmb_hlc_next((tmb_hlc){0}, at);
    clock->floor = clock->last;
    return true;
}

tmb_clock_state tmb_clock_state_of(const tmb_clock *clock, tmb_wall now)
{
    if (!knows_the_time(clock, now))
        return TMB_CLOCK_UNSYNCED;
    bool is_ahead = tmb_hlc_is_ahead(clock->last, tmb_clock_now(clock, now));
    return is_ahead ? TMB_CLOCK_SELF_SKEWED : TMB_CLOCK_OK;
}

const char *tmb_clock_state_str(tmb_clock_state state)
{
    switch (state) {
    case TMB_CLOCK_OK:
        return "ok";
    case TMB_CLOCK_UNSYNCED:
        return "unsynced";
    case TMB_CLOCK_SELF_SKEWED:
        return "self_skewed";
    }
    return "none";
}
