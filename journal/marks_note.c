// SPDX-License-Identifier: Apache-2.0
/* journal/marks_note.c - the numbers of journal/marks.h: moved by what the parent says, asked by range.
 *
 *      1 ............ mark | mark+1 ...
 *      at the parent,      | not there
 *      but for the gaps    |
 *
 * Gaps of all streams stand in one list, in each stream rising, so that the file shows how it came about.
 */
#include "journal/marks.h"

static tmb_uplink_mark *find(tmb_marks *marks, const char *stream)
{
    for (unsigned i = 0; i < marks->streams_count; i++)
        if (strcmp(marks->streams[i].stream, stream) == 0)
            return &marks->streams[i];
    return NULL;
}

static void put_name(char out[TMB_STREAM_NAME_BYTES_MAX + 1], const char *name)
{
    size_t len = strlen(name);
    TMB_ASSERT(len <= TMB_STREAM_NAME_BYTES_MAX);
    memcpy(out, name, len + 1);
}

static void remove_gap(tmb_marks *marks, unsigned at)
{
    marks->gaps_count--;
    memmove(&marks->gaps[at], &marks->gaps[at + 1],
            (marks->gaps_count - at) * sizeof marks->gaps[0]);
}

/* What lies above the mark will be told anew. */
static void cut_gaps(tmb_marks *marks, const char *stream, uint64_t seq)
{
    for (unsigned i = marks->gaps_count; i > 0; i--) {
        tmb_uplink_gap *gap = &marks->gaps[i - 1];
        if (strcmp(gap->stream, stream) != 0 || gap->last <= seq)
            continue;
        gap->last = seq;
        if (gap->first > seq)
            remove_gap(marks, i - 1);
    }
}

bool tmb_marks_move(tmb_marks *marks, const char *stream, uint64_t seq)
{
    tmb_uplink_mark *mark = find(marks, stream);
    if (!mark) {
        if (marks->streams_count == TMB_STREAMS_MAX)
            return false;
        mark = &marks->streams[marks->streams_count++];
        memset(mark, 0, sizeof *mark);
        put_name(mark->stream, stream);
    }
    if (seq < mark->seq)
        cut_gaps(marks, stream, seq);
    mark->has_chain = mark->has_chain && seq == mark->seq;
    if (!mark->has_chain)
        memset(mark->chain, 0, sizeof mark->chain);
    mark->seq = seq;
    return true;
}

void tmb_marks_set_chain(tmb_marks *marks, const char *stream, const uint8_t chain[TMB_CHAIN_BYTES])
{
    tmb_uplink_mark *mark = find(marks, stream);
    if (!mark)
        return;
    mark->has_chain = true;
    memcpy(mark->chain, chain, sizeof mark->chain);
}

/* The next gap of the stream behind at; gaps_count: none. */
static unsigned next_gap(const tmb_marks *marks, unsigned at)
{
    unsigned next = at + 1;
    while (next < marks->gaps_count &&
           strcmp(marks->gaps[next].stream, marks->gaps[at].stream) != 0)
        next++;
    return next;
}

static unsigned count_gaps(const tmb_marks *marks, unsigned at)
{
    unsigned count = 0;
    for (; at < marks->gaps_count; at = next_gap(marks, at))
        count++;
    return count;
}

static void make_room(tmb_marks *marks)
{
    unsigned most = 0;
    for (unsigned i = 1; i < marks->gaps_count; i++)
        if (count_gaps(marks, i) > count_gaps(marks, most))
            most = i;
    unsigned next = next_gap(marks, most);
    TMB_ASSERT(next < marks->gaps_count); /* there are more gaps than streams */
    marks->gaps[most].last = marks->gaps[next].last;
    marks->gaps[most].reason = TMB_GAP_NONE;
    remove_gap(marks, next);
}

void tmb_marks_add_gap(tmb_marks *marks, const char *stream, uint64_t first, uint64_t last,
                       tmb_gap_reason reason)
{
    cut_gaps(marks, stream, first - 1);
    for (unsigned i = 0; i < marks->gaps_count; i++) {
        tmb_uplink_gap *gap = &marks->gaps[i];
        if (strcmp(gap->stream, stream) == 0 && gap->reason == reason && gap->last + 1 == first) {
            gap->last = last;
            return;
        }
    }
    if (marks->gaps_count == TMB_MARKS_GAPS_MAX)
        make_room(marks);
    tmb_uplink_gap *gap = &marks->gaps[marks->gaps_count++];
    memset(gap, 0, sizeof *gap);
    put_name(gap->stream, stream);
    gap->first = first;
    gap->last = last;
    gap->reason = reason;
}

/* The name of the lane that carries what goes ahead of stream's backlog; "" for a lane itself. */
static void live_name(const char *stream, char out[TMB_STREAM_NAME_BYTES_MAX + 1])
{
    size_t len = strlen(stream), suffix = strlen(TMB_LIVE_SUFFIX);
    bool fits = len + suffix <= TMB_STREAM_NAME_BYTES_MAX;
    memcpy(out, stream, fits ? len : 0);
    memcpy(out + (fits ? len : 0), TMB_LIVE_SUFFIX, fits ? suffix + 1 : 0);
    if (!fits)
        out[0] = '\0';
}

static uint64_t lane_mark(const tmb_marks *marks, const char *stream)
{
    for (unsigned i = 0; i < marks->streams_count; i++)
        if (strcmp(marks->streams[i].stream, stream) == 0)
            return marks->streams[i].seq;
    return 0;
}

uint64_t tmb_marks_find(const tmb_marks *marks, const tmb_incarnation *incarnation,
                        const char *stream)
{
    char live[TMB_STREAM_NAME_BYTES_MAX + 1];
    if (!tmb_incarnation_eq(marks->incarnation, *incarnation))
        return 0;
    live_name(stream, live);
    uint64_t mark = lane_mark(marks, stream), live_mark = lane_mark(marks, live);
    for (unsigned i = 0; i < marks->aheads_count; i++) {
        const tmb_live_range *ahead = &marks->aheads[i];
        if (strcmp(ahead->stream, stream) != 0 || ahead->first > mark + 1)
            continue;
        uint64_t known = live_mark >= ahead->first ? live_mark : ahead->first - 1;
        if (known < ahead->last)
            return known; /* the first that is missing at the parent is behind it */
        mark = mark > ahead->last ? mark : ahead->last;
    }
    return mark;
}

/* What one lane has told about the numbers first to last. */
static void add_part(const tmb_marks *marks, const char *lane, uint64_t first, uint64_t last,
                     tmb_marks_part *part)
{
    uint64_t mark = lane_mark(marks, lane);
    uint64_t end = last < mark ? last : mark; /* of what the parent knows */
    if (end < last)
        part->not_there += last - (end >= first ? end : first - 1);
    if (end < first)
        return;
    part->at_parent += end - first + 1;
    for (unsigned i = 0; i < marks->gaps_count; i++) {
        const tmb_uplink_gap *gap = &marks->gaps[i];
        uint64_t from = gap->first > first ? gap->first : first;
        uint64_t to = gap->last < end ? gap->last : end;
        if (strcmp(gap->stream, lane) != 0 || from > to)
            continue;
        part->at_parent -= to - from + 1;
        if (gap->reason == TMB_GAP_NONE)
            part->unknown += to - from + 1;
        else
            part->not_there += to - from + 1;
    }
}

tmb_marks_part tmb_marks_about(const tmb_marks *marks, const tmb_incarnation *incarnation,
                               const char *stream, uint64_t first, uint64_t last)
{
    tmb_marks_part part = {0, 0, 0};
    char live[TMB_STREAM_NAME_BYTES_MAX + 1];
    if (!marks || !tmb_incarnation_eq(marks->incarnation, *incarnation)) {
        part.unknown = last - first + 1;
        return part;
    }
    live_name(stream, live);
    for (uint64_t seq = first; seq <= last;) {
        uint64_t from = 0, to = 0;
        bool is_own =
            tmb_live_part(marks->aheads, marks->aheads_count, stream, false, seq, &from, &to) &&
            from == seq;
        if (!is_own &&
            !tmb_live_part(marks->aheads, marks->aheads_count, stream, true, seq, &from, &to))
            to = last; /* the open range is longer by now */
        to = to < last ? to : last;
        add_part(marks, is_own ? stream : live, seq, to, &part);
        seq = to + 1;
    }
    return part;
}

bool tmb_marks_has_losses(const tmb_marks *marks, const char *stream)
{
    char live[TMB_STREAM_NAME_BYTES_MAX + 1];
    live_name(stream, live);
    for (unsigned i = 0; i < marks->gaps_count; i++) {
        const tmb_uplink_gap *gap = &marks->gaps[i];
        if ((strcmp(gap->stream, stream) == 0 || strcmp(gap->stream, live) == 0) &&
            gap->reason != TMB_GAP_TORN)
            return true;
    }
    return false;
}
