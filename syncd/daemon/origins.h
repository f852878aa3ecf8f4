// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/origins.h - how far this node has the streams of nodes farther down, whoever brought them.
 *
 * What is asked for when a child moves: a parent that was never told a record by s1 itself may have it from
 * another child of its own. Noted when a batch that carries it is committed; by the stream's own lane alone,
 * since what went ahead in a live lane has left records behind that are still to come.
 *
 * Kept in memory, and each TMB_ORIGINS_KEEP_MS in the store (store.h, among the marks of children), some at
 * a time. It says too little after a crash, or when a table or a batch is full: then more is sent again, and
 * is known by its origin in the journal.
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_ORIGINS_H
#define TMB_SYNCD_DAEMON_ORIGINS_H

#include <jansson.h>

#include "syncd/daemon/commit.h"
#include "syncd/daemon/daemon.h"

#define TMB_ORIGINS_MAX      65536 /* one more is not noted, and counted */
#define TMB_ORIGINS_KEEP_MS  10000
#define TMB_ORIGINS_KEEP_MAX 64 /* at a time */

typedef struct tmb_origins tmb_origins;
struct tmb_binding;

/* binding: borrowed for its life. gives ret. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_origins_new(tmb_daemon *d, struct tmb_binding *binding, tmb_origins **ret);

/* tmb_origins_stop lets go of the loop; tmb_origins_free when the loop has ended. NULL is fine for both. */
void tmb_origins_stop(tmb_origins *origins);
void tmb_origins_free(tmb_origins *origins);

/* tmb_origins_note takes what a committed batch had. */
void tmb_origins_note(tmb_origins *origins, const tmb_commit_origin *list, unsigned count);

/* tmb_origins_reset forgets all: our journal may be another one now. */
void tmb_origins_reset(tmb_origins *origins);

/* tmb_origins_find gives what memory has, 0: nothing; the store may have more. */
uint64_t tmb_origins_find(const tmb_origins *origins, tmb_bytes node,
                          const tmb_incarnation *incarnation, tmb_bytes stream);

/* tmb_origins_stats adds its keys to object. */
void tmb_origins_stats(const tmb_origins *origins, json_t *object);

#endif
