// SPDX-License-Identifier: Apache-2.0
/* journal/live_range.c - the numbers of a stream, cut into parts of its two lanes:
 *
 *      1 ...... | first ... last | ........ | first ... (last, grows)
 *      own        live             own        live, open
 */
#include "journal/live.h"
#include "proto/frame.h"

static bool is_of(const tmb_live_range *range, const char *stream)
{
    return strcmp(range->stream, stream) == 0;
}

bool tmb_live_ranges_are_valid(const tmb_live_range *ranges, unsigned count)
{
    if (count > TMB_LIVE_RANGES_MAX)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!tmb_name_is_valid(tmb_bytes_str(ranges[i].stream), TMB_STREAM_NAME_BYTES_MAX) ||
            ranges[i].first == 0 || ranges[i].first > ranges[i].last ||
            ranges[i].last > TMB_SEQ_MAX)
            return false;
        for (unsigned k = 0; k < i; k++)
            if (is_of(&ranges[k], ranges[i].stream) && ranges[i].first <= ranges[k].last + 1)
                return false;
    }
    return true;
}

const tmb_live_range *tmb_live_last(const tmb_live_range *ranges, unsigned count,
                                    const char *stream)
{
    const tmb_live_range *last = NULL;
    for (unsigned i = 0; i < count; i++)
        if (is_of(&ranges[i], stream))
            last = &ranges[i];
    return last;
}

bool tmb_live_part(const tmb_live_range *ranges, unsigned count, const char *stream, bool is_live,
                   uint64_t seq, uint64_t *ret_first, uint64_t *ret_last)
{
    const tmb_live_range *open = tmb_live_last(ranges, count, stream);
    uint64_t first = seq, last = TMB_SEQ_MAX;
    for (unsigned i = 0; i < count; i++) {
        const tmb_live_range *range = &ranges[i];
        if (!is_of(range, stream) || (range->last < first && (is_live || range != open)))
            continue;
        if (is_live) {
            *ret_first = first > range->first ? first : range->first;
            *ret_last = range->last;
            return true;
        }
        if (range->first > first) {
            last = range->first - 1;
            break;
        }
        if (range == open)
            return false; /* it has no end for the stream's own lane */
        first = range->last + 1;
    }
    if (is_live || first > TMB_SEQ_MAX)
        return false;
    *ret_first = first;
    *ret_last = last;
    return true;
}

static void remove_at(tmb_live *live, unsigned at)
{
    live->ranges_count--;
    memmove(&live->ranges[at], &live->ranges[at + 1],
            (live->ranges_count - at) * sizeof live->ranges[0]);
}

static tmb_live_range *open_of(tmb_live *live, const char *stream)
{
    for (unsigned i = live->ranges_count; i > 0; i--)
        if (is_of(&live->ranges[i - 1], stream))
            return &live->ranges[i - 1];
    return NULL;
}

bool tmb_live_jump(tmb_live *live, const char *stream, uint64_t close, uint64_t first)
{
    tmb_live_range *open = open_of(live, stream);
    bool is_unused = open && close < open->first;
    if (live->ranges_count == TMB_LIVE_RANGES_MAX && !is_unused)
        return false;
    TMB_ASSERT(!open || is_unused || close + 1 < first);
    if (is_unused)
        remove_at(live, (unsigned)(open - live->ranges));
    else if (open)
        open->last = close;
    tmb_live_range *range = &live->ranges[live->ranges_count++];
    size_t len = strlen(stream);
    TMB_ASSERT(len <= TMB_STREAM_NAME_BYTES_MAX);
    memset(range, 0, sizeof *range);
    memcpy(range->stream, stream, len);
    range->first = first;
    range->last = first + TMB_LIVE_CHUNK - 1;
    return true;
}

void tmb_live_grow(tmb_live *live, const char *stream, uint64_t last)
{
    tmb_live_range *open = open_of(live, stream);
    if (open && open->last < last)
        open->last = last;
}

void tmb_live_forget(tmb_live *live, const char *stream, uint64_t last)
{
    for (unsigned i = live->ranges_count; i > 0; i--) {
        const tmb_live_range *range = &live->ranges[i - 1];
        if (is_of(range, stream) && range->last <= last && range != open_of(live, stream))
            remove_at(live, i - 1);
    }
}
