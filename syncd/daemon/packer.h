// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/packer.h - one stream's batches packed, and the dictionary that they are packed with.
 *
 * What is told again and again in a stream (the shapes of its messages, topics, names of publishers) is in
 * each batch once; small batches are made of little else. So the packer keeps the texts of the last batches,
 * and when there are enough, trains a dictionary from three quarters of them, and uses it if it saves a
 * thirtieth of the last quarter. It trains again when batches have become a quarter larger than they were
 * with it.
 *
 * Threads: one at a time a packer; blocking (the pool).
 */
#ifndef TMB_SYNCD_DAEMON_PACKER_H
#define TMB_SYNCD_DAEMON_PACKER_H

#include "syncd/daemon/dictionary.h"
#include "syncd/daemon/loader.h"

/* A dictionary, trained. Larger ones save no more of what we have seen, and cost their carriage. */
#define TMB_PACKER_DICTIONARY_BYTES (8 * 1024)
/* Texts kept for the next one, the oldest go first; of one batch no more than its beginning. */
#define TMB_PACKER_SAMPLES      64
#define TMB_PACKER_SAMPLE_BYTES 2048
/* So many must be there, and are dropped by a training. Training takes some ten milliseconds ... */
#define TMB_PACKER_SAMPLES_MIN 32
/* ... and is tried no more often than this. */
#define TMB_PACKER_TRAIN_S 60

typedef struct tmb_packer tmb_packer;

/* data_dir NULL: nothing is read or kept. gives ret_packer. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_packer_open(const char *data_dir, const char *stream,
                                     tmb_packer **ret_packer);
void tmb_packer_close(tmb_packer *packer);

/* tmb_packer_pack packs raw, the records of load->batch, into load->packed and load->batch; load->dictionary
 * is set when the parent needs that to unpack it. Errors: TMB_ENOMEM, TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_packer_pack(tmb_packer *packer, tmb_bytes raw, tmb_load *load);

#endif
