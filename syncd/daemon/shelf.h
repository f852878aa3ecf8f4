// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/shelf.h - the dictionaries of one child, at its parent.
 *
 * One a stream: in memory while the child is known, and in a file, so that it is carried once and not with
 * each start of ours. All children together may have TMB_SHELF_BYTES_MAX in memory; what comes above that is
 * not kept, and the child goes on without.
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_SHELF_H
#define TMB_SYNCD_DAEMON_SHELF_H

#include "syncd/daemon/dictionary.h"
#include "syncd/hub/intake.h"

#define TMB_SHELF_BYTES_MAX (256ull * 1024 * 1024)

typedef struct tmb_shelf {
    struct {
        char stream[TMB_STREAM_NAME_BYTES_MAX + 1]; /* empty: free */
        bool is_looked_up;
        tmb_kept *kept;
    } places[TMB_STREAMS_MAX];
    uint64_t *bytes; /* of all shelves */
} tmb_shelf;

/* bytes: what all shelves share, borrowed. */
void tmb_shelf_init(tmb_shelf *shelf, uint64_t *bytes);
void tmb_shelf_fini(tmb_shelf *shelf);

/* tmb_shelf_match gives up what belongs to none of the intake's lanes, and makes a place for each of them. */
void tmb_shelf_match(tmb_shelf *shelf, const tmb_intake *intake);

/* tmb_shelf_misses says whether the files are still to be asked for stream. */
bool tmb_shelf_misses(const tmb_shelf *shelf, const char *stream);

/* tmb_shelf_put takes kept (also NULL: there is none) for stream, whose place was made; false: no room. */
bool tmb_shelf_put(tmb_shelf *shelf, const char *stream, tmb_kept *kept);

/* tmb_shelf_find gives what is there for stream, borrowed; NULL: nothing. */
tmb_kept *tmb_shelf_find(const tmb_shelf *shelf, tmb_bytes stream);

/* tmb_shelf_tell tells the intake of each lane what is there. */
void tmb_shelf_tell(const tmb_shelf *shelf, tmb_intake *intake);

#endif
