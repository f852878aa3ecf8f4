// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/disk.h - the free space of the data folder, and the reserve: a file of that much space that
 * is given back to the file system when the disk is full, for what must still be written then.
 *
 *   held --give_back--> given back (the file is there and empty) --hold--> held
 *
 * The empty file says to the next start that the disk was full when the broker went. On a small disk the
 * reserve is at most an eighth of it. Threads: one. Cost: a look is one statvfs(2).
 */
#ifndef TMB_BROKER_PLUGIN_DISK_H
#define TMB_BROKER_PLUGIN_DISK_H

#include <limits.h>

#include "base/bytes.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Below so much free space the disk counts as full, before a write meets the end of it; of a small disk a
 * 64th of it. It is full no more when the reserve can be held again and twice that is free beside it. */
#define TMB_DISK_FLOOR_BYTES (1024u * 1024u)

/* With less than this the journal is written with care (tmb_journal_set_careful): more than another program
 * writes between two looks. */
#define TMB_DISK_CARE_BYTES (UINT64_C(4) << 30)

typedef struct tmb_disk {
    char file[PATH_MAX];    /* <data_dir>/reserve */
    uint64_t wanted_bytes;  /* as configured */
    uint64_t reserve_bytes; /* at most an eighth of the disk; 0: none */
    uint64_t floor_bytes;
    uint64_t free_bytes; /* at the last look */
    bool is_held;
    bool was_full; /* at start: given back by an earlier process */
} tmb_disk;

/* tmb_disk_start looks at folder (which must be there) and at a reserve of an earlier process; nothing is
 * held yet, unless it still was. A reserve that is not wanted any more, or has another size, is removed.
 * Errors: TMB_EIO, TMB_ELIMIT (path too long). */
TMB_MUST_USE tmb_err tmb_disk_start(tmb_disk *disk, const char *folder, uint64_t reserve_bytes);

/* tmb_disk_look asks for the free space. Errors: TMB_EIO: free_bytes stays, as good as it is. */
tmb_err tmb_disk_look(tmb_disk *disk);

bool tmb_disk_is_low(const tmb_disk *disk);
/* How much free space there must be to hold the reserve again and go on; with it held, beside it. */
uint64_t tmb_disk_enough(const tmb_disk *disk);

/* tmb_disk_hold takes the space, tmb_disk_give_back lets it go; each is fine when it is so already;
 * is_held tells.
 * Errors: TMB_ENOSPC (hold: nothing is taken), TMB_EIO. */
tmb_err tmb_disk_hold(tmb_disk *disk);
TMB_MUST_USE tmb_err tmb_disk_give_back(tmb_disk *disk);

#ifdef __cplusplus
}
#endif
#endif
