// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/loader.h - one stream's records from the journal into a packed batch, ready to be sent.
 *
 * Threads: one at a time a loader; everything here is blocking.
 */
#ifndef TMB_SYNCD_DAEMON_LOADER_H
#define TMB_SYNCD_DAEMON_LOADER_H

#include "journal/file_port.h"
#include "proto/chain.h"
#include "proto/frame.h"

typedef struct tmb_loader tmb_loader;

/* What is asked for, and what came of it. */
typedef struct tmb_load {
    uint64_t ticket, seq; /* seq: first number wanted */
    tmb_incarnation incarnation;
    uint32_t bytes_max;         /* raw; a single record may be larger */
    bool is_folded;             /* the parent unfolds: protocol 2 */
    uint64_t seq_max;           /* no number above it; 0: no such limit */
    uint64_t log_last;          /* the log's end as known when it was asked for */
    bool may_have_dictionary;   /* and keeps dictionaries */
    uint32_t parent_dictionary; /* the one that it has, 0: none */
    uint32_t dictionary_bytes;  /* any other is to be no larger: it would hold up what is urgent */

    tmb_err err; /* TMB_OK: the rest is set */
    tmb_frame_batch
        batch; /* first > last: nothing, or only a gap. Its stream is not set; data is in packed */
    tmb_hlc first_stamp;
    tmb_chain chain; /* in: in front of seq, proved, or not known; out: behind the last record */
    uint8_t *packed; /* freed by tmb_load_free, as is dictionary */
    struct tmb_kept *dictionary; /* to be sent before the batch; NULL: none */
    unsigned damaged_ranges;
    uint64_t damaged_bytes;
} tmb_load;

/* files: as of tmb_tail_open, NULL for the real ones. data_dir: where dictionaries are kept, or NULL;
 * name: of the lane, that they are of. gives ret_loader. Errors: TMB_ENOMEM, TMB_EINVAL (not a
 * stream's name). */
TMB_MUST_USE tmb_err tmb_loader_open(const char *journal_root, const char *data_dir,
                                     const char *stream, const char *name,
                                     const tmb_file_port *files, tmb_loader **ret_loader);
void tmb_loader_close(tmb_loader *loader);

/* tmb_loader_read fills load: records from seq on without a hole, up to bytes_max and
 * TMB_BATCH_RECORDS_MAX; synced, so that a number which leaves the node can never name another record. A gap
 * can only be in front of the records. Damage is copied aside, logged once, counted.
 * load->err: TMB_EIO, TMB_ENOMEM, TMB_EVERSION, TMB_EINVAL (the log is of another incarnation by now). */
void tmb_loader_read(tmb_loader *loader, tmb_load *load);

void tmb_load_free(tmb_load *load);

#endif
