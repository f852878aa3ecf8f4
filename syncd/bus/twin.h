// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/twin.h - device twins, a convention over paths: what is desired of a device, what it has
 * reported, and of both: what is missing, whether it is there, and when it was heard last.
 *
 *   twin/<device>/desired/<field>     anybody writes
 *   twin/<device>/reported/<field>    the device writes, at the scope's own node; elsewhere: verdict "owner"
 *   twin/<device>/delta               published beside them, retained:
 *
 *     {"delta":{"speed":80,"night/mode":"eco"},"online":true,"seen":"2026-11-22T02:00:00.123Z"}
 *
 * delta   desired fields that are not reported, or otherwise; with the value that is desired. Two values are
 *         the same when their bytes are, or when both are JSON of the same value (80 and 80.0 are).
 * online  reported/online, which a device sets to true when it connects, and its will to false. It is false
 *         also while the scope's own node cannot be reached from here, and once a device that reports
 *         reported/every (seconds: how often it will report) has been silent for three times as long.
 *         null: the device says nothing about it.
 * seen    when the device reported last: the greatest stamp of a register under reported; null: never.
 *
 * Threads: none. Cost: a pass over the twin's leaves; an allocation a field that is desired.
 */
#ifndef TMB_SYNCD_BUS_TWIN_H
#define TMB_SYNCD_BUS_TWIN_H

#include "base/err.h"
#include "base/time.h"
#include "proto/leaves.h"
#include "syncd/state/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fields that a delta shows. More differ: those before them, and "more": true. */
#define TMB_TWIN_FIELDS_MAX 1024u
/* After so many times of reported/every without a report a device counts as silent. */
#define TMB_TWIN_SILENT_TIMES 3

/* tmb_twin_of gives what path is of: "twin/<device>" of a path below its desired or reported, and of that
 * path itself; no bytes: of no twin. A slice of path. */
tmb_bytes tmb_twin_of(tmb_bytes path);

typedef struct tmb_twin tmb_twin;

/* tmb_twin_new: bytes_max is state.value_max, for the value of one field; longer ones show as null.
 * Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_twin_new(uint64_t bytes_max, tmb_twin **ret);
void tmb_twin_free(tmb_twin *twin);

/* tmb_twin_reset begins the twin at path ("twin/<device>", copied). */
void tmb_twin_reset(tmb_twin *twin, tmb_bytes path);

/* tmb_twin_add takes in a leaf at or below the path, in the order of keys. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_twin_add(tmb_twin *twin, const tmb_leaf_key *key, const tmb_leaf *leaf);

/* tmb_twin_payload gives the payload, after the last leaf; no bytes: there is no such twin (any more). It
 * lives until reset or free. is_reachable: this is the scope's own node, or that is connected. now: the time
 * as syncd/state/clock.h knows it. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_twin_payload(tmb_twin *twin, bool is_reachable, tmb_wall now,
                                      tmb_bytes *ret);

/* tmb_twin_silent_at, after the payload, gives the Unix ms at which the payload has to be made anew because
 * the device will have been silent for too long; INT64_MAX: it promises nothing, or is offline already. */
int64_t tmb_twin_silent_at(const tmb_twin *twin);

/* tmb_twin_says_online, likewise: the device says whether it is there, so that the payload depends on
 * the link to it, and on time. */
bool tmb_twin_says_online(const tmb_twin *twin);

#ifdef __cplusplus
}
#endif
#endif
