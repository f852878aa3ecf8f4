// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/ring_place.h - in which folder the write buffers lie that outlive the broker
 * (journal/ring.h).
 *
 * `auto` is /run/tombolo where that is the broker user's own (config/systemd/tombolo.tmpfiles makes it), else
 * /dev/shm, where other users may put files in its way; none where either may end together with the broker,
 * since `process` would promise what it does not keep. A container ends with its first process and takes its
 * memory along; a service with a user of its own for each start loses that user's files in /dev/shm. When in
 * doubt: none, which costs speed and nothing else.
 * Threads: none. Cost: reads a few small files, at the start.
 */
#ifndef TMB_BROKER_PLUGIN_RING_PLACE_H
#define TMB_BROKER_PLUGIN_RING_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_RING_FOLDER_OWN "/run/tombolo"
#define TMB_RING_FOLDER     "/dev/shm"

/* What tells whether this process lives in a container. */
typedef struct tmb_ring_signs {
    bool is_first_process;
    uid_t user;
    bool has_own_folder; /* TMB_RING_FOLDER_OWN is there, and only this user may write it */
    bool has_mark; /* /.dockerenv, /run/.containerenv, or a variable that container managers set */
    char first_name[32]; /* of process 1; empty: not known */
    char cgroup[1024];   /* of process 1 */
} tmb_ring_signs;

/* tmb_ring_signs_read looks below root ("" for the real one) and into the environment. */
void tmb_ring_signs_read(const char *root, tmb_ring_signs *ret_signs);

/* tmb_ring_place gives the folder for the setting journal.ring, or NULL for none; ret_why: a few words on it,
 * static. The folder is the setting's own text or static. */
const char *tmb_ring_place(const char *setting, const tmb_ring_signs *signs, const char **ret_why);

#ifdef __cplusplus
}
#endif
#endif
