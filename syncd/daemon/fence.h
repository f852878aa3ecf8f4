// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/fence.h - is this journal the one that the parent knows, and what is said when it is not.
 *
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_FENCE_H
#define TMB_SYNCD_DAEMON_FENCE_H

#include <jansson.h>

#include "syncd/daemon/daemon.h"
#include "syncd/session/session.h"

/* Why the uplink has stopped. Zeroed: it has not. */
typedef struct tmb_fence {
    const char *why; /* "ahead", "forked", "twin"; NULL: not fenced */
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    uint64_t parent_has; /* its mark of that stream */
    int64_t since_ms;    /* wall */
} tmb_fence;

/* tmb_fence_note keeps and logs it, and what to do; of a journal that is not the parent's it sets
 * uplink.marks aside, for tombolo-journal renew. Blocking: one rename. why: static. */
void tmb_fence_note(tmb_fence *fence, const char *why, const char *stream, uint64_t parent_has,
                    const char *data_dir);

/* tmb_fence_stats gives null, or {why, stream, parent_has, since_ms}. */
json_t *tmb_fence_stats(const tmb_fence *fence);

/* tmb_prove makes the chain of PROVE again out of the log, in the pool, and tells done, in the loop, if that
 * still turns. Cost: reads at most TMB_CHAIN_BLOCK records. */
void tmb_prove(tmb_daemon *d, const char *stream, const tmb_session_action *prove,
               void (*done)(void *arg, uint64_t ticket, tmb_proof proof), void *arg);

#endif
