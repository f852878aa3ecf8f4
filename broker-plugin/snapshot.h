// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/snapshot.h - the broker's own snapshot file: is it whole, and how a good one is kept.
 *
 * Mosquitto 2.0.11 does not look whether its writes succeed: on a full disk it replaces a good mosquitto.db
 * by one that is cut off, and every session is gone at the next start. So each whole snapshot gets a second
 * name, <file>.kept (a hard link: no space, no copy), and one that is cut off is replaced by it again. It
 * also gets a seal (seal.h), <file>.seal, and the one before it is kept with its own, <file>.kept.old and
 * <file>.seal.old: what was sealed and has other bytes now went bad on the disk, and the older takes its
 * place.
 *
 *   snapshot   .kept, .seal           belongs to the file `checkpoint`, or is newer
 *   before it  .kept.old, .seal.old   belongs to `checkpoint.old`, or is newer
 *
 * Threads: none. Cost: two passes over the file through the page cache, for its chunks and for the seal.
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

/* tmb_snapshot_keep gives the file its second name and its seal, and what had them before is the older one;
 * tmb_snapshot_put_back makes the kept one the file again. After an error of keep nothing older is kept, so
 * that what is does belong to its checkpoint.
 * Errors: TMB_EIO, TMB_ENOENT (nothing kept), TMB_ELIMIT (path too long). */
TMB_MUST_USE tmb_err tmb_snapshot_keep(const char *path);
TMB_MUST_USE tmb_err tmb_snapshot_put_back(const char *path);

/* tmb_snapshot_verify says whether the file is what was sealed or, not sealed, at least whole; so is one that
 * is not there. Errors: TMB_ECORRUPT, TMB_EIO. */
TMB_MUST_USE tmb_err tmb_snapshot_verify(const char *path);

/* tmb_snapshot_step_back sets a damaged file aside as <file>.damaged and puts one that is as it was sealed in
 * its place: the kept one, or the older one together with its checkpoint. The broker has to be started again
 * to read it. Errors: TMB_ENOENT (none is there, or it is damaged too: nothing was changed), TMB_EIO,
 * TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_snapshot_step_back(const char *path, const char *checkpoint);

#ifdef __cplusplus
}
#endif
#endif
