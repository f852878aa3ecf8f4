// SPDX-License-Identifier: Apache-2.0
/* clients/c/kept.h - what must outlive a connection, and with a state file the process: the count of numbers,
 * the messages not yet acknowledged, and which marked messages the application has had.
 *
 * The file is append-only: a magic and records, each with its length and a CRC32C over all of it. It is
 * written anew (<path>.new, synced, renamed) when most of it is history, and after any failed call, since
 * what a failed write or sync left behind is not to be trusted. At the start half a record at the end is cut
 * off (its message was never taken); a record that is whole and wrong is TMB_ECORRUPT, and nothing is
 * changed. docs/client.md has the format. Without a path every function here works in memory and cannot
 * fail for a disk.
 *
 * Threads: none, the caller serialises (keep_lock in client.h); but box and held may be read, and what is in
 * their entries changed, by whoever has list_lock. Cost: a write each; a sync where it is said.
 */
#ifndef TMB_CLIENTS_C_KEPT_H
#define TMB_CLIENTS_C_KEPT_H

#include <pthread.h>

#include "clients/c/dedupe.h"
#include "clients/c/outbox.h"
#include "journal/file_port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The file is written anew when it has grown to this and to four times what it had after the last time. */
#define TMB_KEPT_REWRITE_BYTES (4 * 1024 * 1024)
/* A file above this is refused as corrupt: more than queue (TMB_CLIENT_QUEUE_BYTES_MAX), windows, and three
 * times as much history can come to. */
#define TMB_KEPT_FILE_BYTES_MAX (UINT64_C(2) << 30)

typedef struct tmb_kept {
    char run[TMB_CLIENT_RUN_BYTES_MAX + 1];
    uint64_t next_number;
    tmb_outbox box;
    tmb_entry *held; /* refused with a reason, linked by next: each waits for a new number */
    size_t held_count;
    uint64_t held_bytes;
    tmb_dedupe dedupe;
    tmb_dedupe_source *sources;
    uint64_t *words;
    pthread_mutex_t *list_lock; /* NULL, or taken around each change of box and held */
    const tmb_file_port *port;
    char *path; /* NULL: no file */
    int fd, lock_fd;
    uint64_t size, rewritten_size;
    bool is_broken; /* the next record needs a new file first */
    char why[256];  /* of the last failure, for people */
} tmb_kept;

/* tmb_kept_open reads path, or begins it with run (which a file that is there overrules, unless run_is_given:
 * then they must agree, or TMB_EINVAL). path NULL: memory only. Numbers begin at 1. Close it whatever it
 * returns. Errors: TMB_ENOMEM, TMB_EINVAL, TMB_EBUSY, TMB_EIO, TMB_ENOSPC, TMB_ECORRUPT, TMB_EVERSION;
 * kept->why says more. */
TMB_MUST_USE tmb_err tmb_kept_open(tmb_kept *kept, const tmb_file_port *port, const char *path,
                                   const char *run, bool run_is_given);
void tmb_kept_close(tmb_kept *kept);

/* tmb_kept_add gives entry the next number, keeps it (synced), and appends it to the box; takes entry on
 * success. Errors: TMB_EIO, TMB_ENOSPC, TMB_ENOMEM: entry is the caller's, and no number is used up that was
 * sent. */
TMB_MUST_USE tmb_err tmb_kept_add(tmb_kept *kept, tmb_entry *entry);

/* tmb_kept_forget: the node has entry. Not synced: a message that is sent again is a repeat there. */
tmb_err tmb_kept_forget(tmb_kept *kept, const tmb_entry *entry);

/* tmb_kept_hold moves entry from the box to the held ones; synced. It is moved even on failure. */
tmb_err tmb_kept_hold(tmb_kept *kept, tmb_entry *entry);

/* tmb_kept_renumber gives a held entry the next number and appends it to the box; synced. On failure it stays
 * held. */
TMB_MUST_USE tmb_err tmb_kept_renumber(tmb_kept *kept, tmb_entry *entry);

/* tmb_kept_mark notes that the application has had id. Not synced. Noted in memory even on failure. */
tmb_err tmb_kept_mark(tmb_kept *kept, const tmb_msgid *id);

#ifdef __cplusplus
}
#endif
#endif
