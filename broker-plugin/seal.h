// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/seal.h - a checksum beside the broker's snapshot, which has none of its own.
 *
 * Mosquitto reads whatever is in its database: a bit that turned over on the disk becomes another message,
 * or a subscription that is gone. So each snapshot gets a seal, a small text file with its size, its time and
 * its CRC-32C, when it is seen to be whole. A snapshot of another time than the seal's is simply not sealed
 * (the broker was killed right after it had written it).
 *
 *   tombolo-seal 1
 *   bytes 4711
 *   mtime 1700000000.123456789
 *   crc32c 89abcdef
 *   check 01234567              CRC-32C of the lines above
 *
 * Threads: none. Cost: one pass over the file, through the page cache.
 */
#ifndef TMB_BROKER_PLUGIN_SEAL_H
#define TMB_BROKER_PLUGIN_SEAL_H

#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_seal_write seals file with seal, which it replaces. Not synced: a seal that is lost is no seal.
 * Errors: TMB_EIO, TMB_ELIMIT (path too long): the old seal stays. */
TMB_MUST_USE tmb_err tmb_seal_write(const char *file, const char *seal);

/* tmb_seal_check compares. Errors: TMB_ENOENT (no file, no seal, or the seal is of another file or damaged
 * itself: nothing can be said), TMB_ECORRUPT (not the bytes that were sealed), TMB_EIO. */
TMB_MUST_USE tmb_err tmb_seal_check(const char *file, const char *seal);

#ifdef __cplusplus
}
#endif
#endif
