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

uint64_t tmb_marks_find(const tmb_marks *marks, const tmb_incarnation *incarnation,
                        const char *stream)
{
    if (memcmp(marks->incarnation.bytes, incarnation->bytes, sizeof incarnation->bytes) != 0)
        return 0;
    for (unsigned i = 0; i < marks->streams_count; i++)
        if (strcmp(marks->streams[i].stream, stream) == 0)
            return marks->streams[i].seq;
    return 0;
}

tmb_marks_part tmb_marks_about(const tmb_marks *marks, const tmb_incarnation *incarnation,
                               const char *stream, uint64_t first, uint64_t last)
{
    tmb_marks_part part = {0, 0, 0};
    uint64_t count = last - first + 1;
    if (!marks ||
        memcmp(marks->incarnation.bytes, incarnation->bytes, sizeof incarnation->bytes) != 0) {
        part.unknown = count;
        return part;
    }
    uint64_t mark = tmb_marks_find(marks, incarnation, stream);
    uint64_t end = last < mark ? last : mark; /* of what the parent knows */
    if (end < last)
        part.not_there = last - (end >= first ? end : first - 1);
    if (end < first)
        return part;
    part.at_parent = end - first + 1;
    for (unsigned i = 0; i < marks->gaps_count; i++) {
        const tmb_uplink_gap *gap = &marks->gaps[i];
        uint64_t from = gap->first > first ? gap->first : first;
        uint64_t to = gap->last < end ? gap->last : end;
        if (strcmp(gap->stream, stream) != 0 || from > to)
            continue;
        part.at_parent -= to - from + 1;
        if (gap->reason == TMB_GAP_NONE)
            part.unknown += to - from + 1;
        else
            part.not_there += to - from + 1;
    }
    return part;
}

bool tmb_marks_has_losses(const tmb_marks *marks, const char *stream)
{
    for (unsigned i = 0; i < marks->gaps_count; i++)
        if (strcmp(marks->gaps[i].stream, stream) == 0 && marks->gaps[i].reason != TMB_GAP_TORN)
            return true;
    return false;
}
