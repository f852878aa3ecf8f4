// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/snapshot.h - the broker's own snapshot file: is it whole, and how a good one is kept.
 *
 * Mosquitto 2.0.11 does not look whether its writes succeed: on a full disk it replaces a good mosquitto.db
 * by one that is cut off, and every session is gone at the next start. So each whole snapshot gets a second
 * name, <file>.kept (a hard link: no space, no copy), and one that is cut off is replaced by it again.
 * Threads: none. Cost: a walk over the file's chunk headers through the page cache.
 */
#ifndef TMB_BROKER_PLUGIN_SNAPSHOT_H
#define TMB_BROKER_PLUGIN_SNAPSHOT_H

#include "base/bytes.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_snapshot_ends_whole says whether bytes begin as a snapshot does and end where a chunk of it ends. */
bool tmb_snapshot_ends_whole(tmb_bytes bytes);

/* tmb_snapshot_check looks at a file. Errors: TMB_ECORRUPT (cut off, or not a snapshot), TMB_EIO. */
TMB_MUST_USE tmb_err tmb_snapshot_check(const char *path);

/* tmb_snapshot_may_have_subscriptions: false when it is sure that no lasting session subscribes to anything,
 * by the file's chunks or because there is no file. */
bool tmb_snapshot_may_have_subscriptions(const char *path);

/* tmb_snapshot_age_ns: how long ago the file was made, by the wall clock; below 0: the file system, or a
 * clock that was set, does not let it be known. */
int64_t tmb_snapshot_age_ns(const char *path);

/* tmb_snapshot_keep gives the file its second name; tmb_snapshot_put_back makes the kept one the file again.
 * Errors: TMB_EIO, TMB_ENOENT (nothing kept), TMB_ELIMIT (path too long). */
TMB_MUST_USE tmb_err tmb_snapshot_keep(const char *path);
TMB_MUST_USE tmb_err tmb_snapshot_put_back(const char *path);

#ifdef __cplusplus
}
#endif
#endif
