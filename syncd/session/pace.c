// SPDX-License-Identifier: Apache-2.0
/* syncd/session/pace.c - see pace.h. Times are in microseconds here: a rate times a time fits into 64 bits.
 */
#include "syncd/session/pace.h"

#include <string.h>

#define SECOND_US        UINT64_C(1000000)
#define RATE_MAX         (UINT64_C(1) << 36)
#define QUEUE_US_MIN     (UINT64_C(1000) * TMB_PACE_QUEUE_MS_MIN)
#define QUEUE_US_MAX     (UINT64_C(1000) * TMB_PACE_QUEUE_MS_MAX)
#define SPAN_US_MIN      SECOND_US
#define LEASTS_US        (30 * SECOND_US)
#define TRIP_US_MAX      (4 * SECOND_US) /* what is longer is a queue that is not ours, or loss */
#define BURST_MS         250             /* of the cap may go at once */
#define CAP_PIECE_PER    4               /* a piece is that part of a second of the cap */
#define FEW_FRAMES_BYTES (5 * (TMB_PACE_PIECE_MIN + TMB_PACE_FRAME_BYTES) / 2)
#define RATIO_MAX        (64 * 16)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t us_between(tmb_mono from, tmb_mono to)
{
    return to.ns > from.ns ? (uint64_t)(to.ns - from.ns) / 1000 : 0;
}

void tmb_pace_begin(tmb_pace *pace, tmb_mono now)
{
    uint64_t cap = pace->cap;
    uint32_t ratio_16 = pace->ratio_16;
    tmb_mono paid_at = pace->paid_at;
    memset(pace, 0, sizeof *pace);
    pace->now = pace->busy_at = now;
    pace->window = TMB_PACE_WINDOW_FIRST;
    pace->dip_at = tmb_mono_after(now, tmb_dur_ms(TMB_PACE_DIP_MS));
    pace->cap = cap;
    pace->ratio_16 = ratio_16;
    pace->paid_at = paid_at;
}

void tmb_pace_init(tmb_pace *pace, tmb_mono now)
{
    memset(pace, 0, sizeof *pace);
    pace->ratio_16 = 16;
    pace->paid_at.ns = INT64_MIN;
    tmb_pace_begin(pace, now);
}

uint64_t tmb_pace_outstanding(const tmb_pace *pace)
{
    return pace->said > pace->taken ? pace->said - pace->taken : 0;
}

/* Bytes that a rate gives in a time; both are bounded, so the product is. */
static uint64_t bytes_in(uint64_t rate, uint64_t us)
{
    return least(rate, RATE_MAX) * least(us, 16 * SECOND_US) / SECOND_US;
}

/* What goes is owed for; a bucket that was full gives BURST_MS for nothing. bytes may take back what an
 * estimate had too much. */
static void charge(tmb_pace *pace, int64_t bytes)
{
    if (pace->cap == 0)
        return;
    int64_t full_ns = pace->now.ns - BURST_MS * INT64_C(1000000);
    int64_t from_ns = pace->paid_at.ns > full_ns ? pace->paid_at.ns : full_ns;
    uint64_t size = bytes < 0 ? (uint64_t)-bytes : (uint64_t)bytes;
    int64_t cost_ns = (int64_t)(size * SECOND_US / pace->cap * 1000);
    pace->paid_at.ns = bytes < 0 ? from_ns - cost_ns : from_ns + cost_ns;
}

void tmb_pace_set_cap(tmb_pace *pace, uint64_t cap)
{
    if (cap != pace->cap)
        pace->paid_at = pace->now; /* what the old one asked for is not owed to the new one */
    pace->cap = least(cap, RATE_MAX);
}

tmb_mono tmb_pace_paid_at(const tmb_pace *pace)
{
    tmb_mono long_ago = {INT64_MIN};
    return pace->cap != 0 ? pace->paid_at : long_ago;
}

static void forget(tmb_pace *pace)
{
    pace->window = least(pace->window, TMB_PACE_WINDOW_FIRST);
    pace->rate = 0;
    pace->rates = (tmb_pace_best){0, 0, pace->now};
    pace->dip_at = tmb_mono_after(pace->now, tmb_dur_ms(TMB_PACE_DIP_MS));
}

void tmb_pace_learn(tmb_pace *pace, uint32_t bytes, uint32_t raw_bytes)
{
    if (bytes == 0 || raw_bytes == 0)
        return;
    uint64_t seen = least(most((uint64_t)raw_bytes * 16 / bytes, 16), RATIO_MAX);
    pace->ratio_16 = (uint32_t)((3 * (uint64_t)pace->ratio_16 + seen) / 4);
}

void tmb_pace_say(tmb_pace *pace, uint32_t bytes, uint32_t raw_bytes, tmb_mono now)
{
    pace->now = now;
    uint64_t forget_us = UINT64_C(1000) * TMB_PACE_FORGET_MS;
    if (tmb_pace_outstanding(pace) == 0 && us_between(pace->busy_at, now) > forget_us)
        forget(pace);
    uint64_t size = (uint64_t)bytes + TMB_PACE_FRAME_BYTES;
    tmb_pace_learn(pace, bytes, raw_bytes);
    pace->busy_at = now;
    pace->said = most(pace->said, pace->taken) + size;
    pace->charged += size;
    charge(pace, (int64_t)size);
    if (pace->notes_count == TMB_PACE_NOTES_MAX)
        return;
    pace->notes[pace->notes_count++] =
        (tmb_pace_note){.end = pace->said,
                        .taken_then = pace->taken,
                        .at = now,
                        .bytes = size,
                        .is_full = 2 * tmb_pace_outstanding(pace) >= pace->window};
}

static uint64_t span_us(const tmb_pace *pace)
{
    return most(SPAN_US_MIN, 2 * (uint64_t)pace->round_trip_us);
}

/* is_larger: whether the largest is the best. */
static uint64_t note_best(tmb_pace_best *best, uint64_t value, bool is_larger, uint64_t span,
                          tmb_mono now)
{
    if (us_between(best->since, now) > span || best->now == 0) {
        best->before = best->now;
        best->now = value;
        best->since = now;
    } else {
        best->now = is_larger ? most(best->now, value) : least(best->now, value);
    }
    if (best->before == 0)
        return best->now;
    return is_larger ? most(best->now, best->before) : least(best->now, best->before);
}

/* A note has been taken: a sample of the rate and of the round trip. Its own length is in both; a frame is at
 * most a fourth of the window, so the window settles at a third more than pace.h says, at most; what it takes
 * lately is compared with the shortest without it. */
static void measure(tmb_pace *pace, const tmb_pace_note *note)
{
    uint64_t took_us = most(us_between(note->at, pace->now), 1);
    uint64_t rate = least((pace->taken - note->taken_then) * SECOND_US / took_us, RATE_MAX);
    if (note->is_full || rate > pace->rate) {
        pace->rate = most(note_best(&pace->rates, rate, true, span_us(pace), pace->now), 1);
        pace->is_rate_full = note->is_full;
    }
    uint64_t own_us = least(note->bytes * SECOND_US / most(pace->rate, 1), took_us / 4);
    memmove(pace->lately_us + 1, pace->lately_us,
            sizeof pace->lately_us - sizeof pace->lately_us[0]);
    pace->lately_us[0] = took_us - own_us;
    pace->round_trip_us = (int64_t)(took_us - own_us);
    for (unsigned i = 1; i < TMB_PACE_LATELY && pace->lately_us[i] != 0; i++)
        pace->round_trip_us = (int64_t)least((uint64_t)pace->round_trip_us, pace->lately_us[i]);
    pace->least_us = (int64_t)note_best(&pace->leasts, took_us, false, LEASTS_US, pace->now);
}

static void set_window(tmb_pace *pace, bool was_full)
{
    uint64_t least_us = least((uint64_t)pace->least_us, TRIP_US_MAX);
    uint64_t queue_us = most(least(least_us / 2, QUEUE_US_MAX), QUEUE_US_MIN);
    uint64_t goal = bytes_in(pace->rate, least_us + queue_us);
    bool is_short = (uint64_t)pace->round_trip_us <= least_us + queue_us / 3;
    if (is_short) { /* a rate that the window itself keeps low is no reason to keep the window small */
        uint64_t limit = most(goal + goal / 4, FEW_FRAMES_BYTES);
        goal = most(least(limit, pace->window + (was_full ? pace->window / 8 : 0)),
                    most(goal, pace->window));
    }
    goal = most(least(goal, TMB_PACE_WINDOW_MAX), TMB_PACE_WINDOW_MIN);
    pace->window = least(goal, pace->window + pace->gained);
    pace->gained = 0;
}

/* The window is left empty once, so that a round trip without our own queue is seen. */
static void dip(tmb_pace *pace, bool was_full)
{
    uint64_t line = bytes_in(pace->rate, least((uint64_t)pace->least_us, TRIP_US_MAX));
    if (!pace->is_dipping && was_full && tmb_mono_is_due(pace->dip_at, pace->now))
        pace->is_dipping = true;
    if (!pace->is_dipping || tmb_pace_outstanding(pace) > 3 * line / 4)
        return;
    pace->is_dipping = false;
    pace->dip_at = tmb_mono_after(pace->now, tmb_dur_ms(TMB_PACE_DIP_MS));
}

/* Notes are made with an estimate of their size; what it was wrong by is the fault of all of them alike. */
static void make_sure(tmb_pace *pace, uint64_t said)
{
    int64_t wrong = (int64_t)(said - pace->said);
    unsigned first = pace->notes_count;
    while (first > 0 && !pace->notes[first - 1].is_sure)
        first--;
    for (unsigned i = first; i < pace->notes_count; i++) {
        int64_t part = (int64_t)i - first + 1;
        pace->notes[i].end += (uint64_t)(wrong * part / (int64_t)(pace->notes_count - first));
        pace->notes[i].is_sure = true;
    }
}

void tmb_pace_told(tmb_pace *pace, uint64_t said, uint64_t taken, uint64_t all, tmb_mono now)
{
    uint64_t gained = taken > pace->taken ? taken - pace->taken : 0;
    bool was_full = false;
    unsigned done = 0;
    pace->now = now;
    if (tmb_pace_outstanding(pace) > 0)
        pace->busy_at = now;
    make_sure(pace, said);
    pace->said = most(said, taken);
    pace->taken = taken;
    charge(pace, (int64_t)(all - pace->charged));
    pace->charged = all;
    for (; done < pace->notes_count && pace->notes[done].end <= taken; done++) {
        was_full = was_full || pace->notes[done].is_full;
        measure(pace, &pace->notes[done]);
    }
    pace->notes_count -= done;
    memmove(pace->notes, pace->notes + done, pace->notes_count * sizeof pace->notes[0]);
    pace->gained += gained;
    if (done > 0)
        set_window(pace, was_full);
    dip(pace, was_full);
}

uint32_t tmb_pace_piece_bytes(const tmb_pace *pace)
{
    uint64_t bytes = least(pace->window / TMB_PACE_PIECES, TMB_PACE_PIECE_MAX);
    if (pace->cap != 0)
        bytes = least(bytes, pace->cap / CAP_PIECE_PER);
    return (uint32_t)most(bytes, TMB_PACE_PIECE_MIN);
}

uint32_t tmb_pace_load_bytes(const tmb_pace *pace, uint32_t most_bytes)
{
    uint64_t bytes = (uint64_t)tmb_pace_piece_bytes(pace) * pace->ratio_16 / 16;
    return (uint32_t)least(bytes, most_bytes);
}

uint32_t tmb_pace_at_once(const tmb_pace *pace)
{
    bool is_capped = pace->cap != 0 && pace->cap <= pace->rate;
    uint64_t us = UINT64_C(1000) * TMB_PACE_ONCE_MS;
    if (!pace->is_rate_full && !is_capped)
        us *= TMB_PACE_ONCE_TIMES;
    return (uint32_t)least(bytes_in(is_capped ? pace->cap : pace->rate, us), UINT32_MAX);
}

bool tmb_pace_has_room(const tmb_pace *pace, unsigned loads)
{
    uint64_t outstanding = tmb_pace_outstanding(pace);
    uint64_t frame = tmb_pace_piece_bytes(pace) + TMB_PACE_FRAME_BYTES;
    if (outstanding == 0 && loads == 0)
        return true;
    return !pace->is_dipping && outstanding + (loads + 1) * frame <= pace->window;
}
