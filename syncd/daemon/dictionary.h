// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/dictionary.h - dictionaries in memory and in files: at the child its own, at the parent those
 * of its children.
 *
 *   <data_dir>/dictionaries/.own/<stream>       what this node packs a stream with
 *   <data_dir>/dictionaries/<child>/<stream>    what a child said that it packs its stream with
 *
 * A file is u32 "TMBD", u32 1 (version), u32 id, u32 bytes, the dictionary. The id is the CRC-32C of the
 * dictionary (1 where that is 0), so nothing can be taken for what it is not: a file that does not keep that
 * is none. They are a saving and nothing else: whoever loses one makes or is sent another.
 *
 * Threads: a tmb_kept is the loop's, but for its bytes, which never change; files are blocking.
 */
#ifndef TMB_SYNCD_DAEMON_DICTIONARY_H
#define TMB_SYNCD_DAEMON_DICTIONARY_H

#include "proto/batch.h"

/* Files of one child. One more: the others go first. */
#define TMB_DICTIONARY_FILES_MAX (2 * TMB_STREAMS_MAX)

/* A dictionary that several hold. */
typedef struct tmb_kept {
    unsigned refs;
    tmb_dictionary dictionary; /* data: behind this struct */
} tmb_kept;

/* tmb_kept_new copies data, of at most TMB_DICTIONARY_BYTES_MAX. NULL: no memory. */
tmb_kept *tmb_kept_new(tmb_bytes data);
tmb_kept *tmb_kept_ref(tmb_kept *kept);
void tmb_kept_unref(tmb_kept *kept); /* NULL is fine */

uint32_t tmb_dictionary_id(tmb_bytes data);

/* tmb_dictionary_read gives what is kept for (owner, stream), owner ".own" or a child; NULL: nothing. */
tmb_kept *tmb_dictionary_read(const char *data_dir, const char *owner, const char *stream);

/* tmb_dictionary_write keeps it in place of the one before.
 * Errors: TMB_EIO, TMB_ENOSPC, TMB_ENOMEM ...: the old one, or none, is there. */
TMB_MUST_USE tmb_err tmb_dictionary_write(const char *data_dir, const char *owner,
                                          const char *stream, const tmb_dictionary *dictionary);

#endif
