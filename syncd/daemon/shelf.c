// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/shelf.c - see shelf.h.
 */
#include "syncd/daemon/shelf.h"

void tmb_shelf_init(tmb_shelf *shelf, uint64_t *bytes)
{
    memset(shelf, 0, sizeof *shelf);
    shelf->bytes = bytes;
}

static void take_out(tmb_shelf *shelf, unsigned i)
{
    if (shelf->places[i].kept)
        *shelf->bytes -= shelf->places[i].kept->dictionary.data.len;
    tmb_kept_unref(shelf->places[i].kept);
    shelf->places[i].kept = NULL;
}

void tmb_shelf_fini(tmb_shelf *shelf)
{
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++)
        take_out(shelf, i);
}

static unsigned find_place(const tmb_shelf *shelf, tmb_bytes stream)
{
    unsigned i = 0;
    while (i < TMB_STREAMS_MAX && !tmb_bytes_eq(tmb_bytes_str(shelf->places[i].stream), stream))
        i++;
    return i;
}

static bool is_lane(const tmb_intake *intake, const char *stream)
{
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        if (strcmp(intake->lanes[i].stream, stream) == 0)
            return true;
    }
    return false;
}

void tmb_shelf_match(tmb_shelf *shelf, const tmb_intake *intake)
{
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++) {
        if (is_lane(intake, shelf->places[i].stream))
            continue;
        take_out(shelf, i);
        memset(&shelf->places[i], 0, sizeof shelf->places[i]);
    }
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        const char *stream = intake->lanes[i].stream;
        if (find_place(shelf, tmb_bytes_str(stream)) < TMB_STREAMS_MAX)
            continue;
        unsigned place = find_place(shelf, tmb_bytes_str(""));
        TMB_ASSERT(place < TMB_STREAMS_MAX); /* as many places as there may be lanes */
        memcpy(shelf->places[place].stream, stream, strlen(stream) + 1);
    }
}

bool tmb_shelf_misses(const tmb_shelf *shelf, const char *stream)
{
    unsigned i = find_place(shelf, tmb_bytes_str(stream));
    return i < TMB_STREAMS_MAX && !shelf->places[i].is_looked_up;
}

bool tmb_shelf_put(tmb_shelf *shelf, const char *stream, tmb_kept *kept)
{
    unsigned i = find_place(shelf, tmb_bytes_str(stream));
    uint64_t len = kept ? kept->dictionary.data.len : 0;
    bool has_place = i < TMB_STREAMS_MAX && *stream != 0;
    if (has_place) {
        take_out(shelf, i);
        shelf->places[i].is_looked_up = true;
    }
    if (!has_place || *shelf->bytes + len > TMB_SHELF_BYTES_MAX) {
        tmb_kept_unref(kept);
        return false;
    }
    shelf->places[i].kept = kept;
    *shelf->bytes += len;
    return true;
}

tmb_kept *tmb_shelf_find(const tmb_shelf *shelf, tmb_bytes stream)
{
    unsigned i = find_place(shelf, stream);
    return i < TMB_STREAMS_MAX ? shelf->places[i].kept : NULL;
}

void tmb_shelf_tell(const tmb_shelf *shelf, tmb_intake *intake)
{
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        const tmb_kept *kept = tmb_shelf_find(shelf, tmb_bytes_str(intake->lanes[i].stream));
        tmb_intake_dictionary(intake, i, kept ? kept->dictionary.id : 0);
    }
}
