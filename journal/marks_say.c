// SPDX-License-Identifier: Apache-2.0
/* journal/marks_say.c - the sentence that a person reads of a lost range: in the broker's log, by verify. */
#include <inttypes.h>
#include <stdio.h>

#include "journal/marks.h"

void tmb_marks_say(const tmb_marks *marks, const tmb_incarnation *incarnation, const char *stream,
                   uint64_t first, uint64_t last, char *out, size_t cap)
{
    tmb_marks_part part = tmb_marks_about(marks, incarnation, stream, first, last);
    uint64_t count = last - first + 1;
    const char *parent = marks ? marks->parent : "the parent";
    if (part.at_parent == count)
        snprintf(out, cap, "at %s already, nothing lost", parent);
    else if (part.not_there == count)
        snprintf(out, cap, "not at %s: lost", parent);
    else if (part.unknown == count)
        snprintf(out, cap, "not known whether %s has %s", parent, count == 1 ? "it" : "them");
    else if (part.unknown == 0)
        snprintf(out, cap, "%" PRIu64 " of %" PRIu64 " at %s already, %" PRIu64 " not: lost",
                 part.at_parent, count, parent, part.not_there);
    else
        snprintf(out, cap,
                 "%" PRIu64 " of %" PRIu64 " at %s already, %" PRIu64 " not: lost, %" PRIu64
                 " not known",
                 part.at_parent, count, parent, part.not_there, part.unknown);
}
