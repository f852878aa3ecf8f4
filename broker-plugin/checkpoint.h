// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/checkpoint.h - how far the broker's own snapshot has what the journal has.
 *
 * Everything in the journal after these positions is given to the broker again at its start. The file also
 * holds the seen tables as they were then, so that only records after the positions need to be read.
 * Layout, version 2, little-endian:
 *
 *   "TMBC"  u32 version  16 incarnation
 *   u16 streams:    u8 name bytes, name, u64 seq, u64 own seq
 *   u32 children:   u16 key bytes, key, u64 number      (the one not heard of for longest first)
 *   u32 publishers: the same
 *   u32 origins:    u16 key bytes, key, u64 number, u8 holes, {u64 first, u64 last}   (not in version 1)
 *   u32 CRC-32C of all before
 *
 * Threads: none. Cost: some 100 bytes an entry of the seen tables, one fsync of file and folder each.
 */
#ifndef TMB_BROKER_PLUGIN_CHECKPOINT_H
#define TMB_BROKER_PLUGIN_CHECKPOINT_H

#include "broker-plugin/seen.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_CHECKPOINT_MARKER  0x43424d54u /* "TMBC" */
#define TMB_CHECKPOINT_VERSION 2u          /* 1 is read, too */

typedef struct tmb_checkpoint_stream {
    char name[TMB_STREAM_NAME_BYTES_MAX + 1];
    uint64_t seq;     /* up to here the snapshot has all */
    uint64_t own_seq; /* from there up to here, all but what came from children; >= seq */
} tmb_checkpoint_stream;

typedef struct tmb_checkpoint {
    tmb_incarnation incarnation; /* of the journal whose positions these are */
    unsigned streams_count;
    tmb_checkpoint_stream streams[TMB_STREAMS_MAX];
} tmb_checkpoint;

/* tmb_checkpoint_find gives the entry of a stream, zeros when the checkpoint does not know it. */
tmb_checkpoint_stream tmb_checkpoint_find(const tmb_checkpoint *checkpoint, const char *stream);

/* tmb_checkpoint_encode gives the file's bytes: free(ret_bytes). Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_checkpoint_encode(const tmb_checkpoint *checkpoint,
                                           const tmb_seen *children, const tmb_seen *publishers,
                                           const tmb_seen *origins, uint8_t **ret_bytes,
                                           size_t *ret_len);

/* tmb_checkpoint_decode reads them and fills the tables (to be empty before; on an error they hold rubbish).
 * One of another journal says nothing about what this journal has: the tables stay empty.
 * Errors: TMB_ENOENT (none of that journal), TMB_ECORRUPT, TMB_EVERSION, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_checkpoint_decode(tmb_bytes bytes, const tmb_incarnation *journal,
                                           tmb_seen *children, tmb_seen *publishers,
                                           tmb_seen *origins, tmb_checkpoint *ret_checkpoint);

/* tmb_file_replace writes bytes to <path>.new, syncs it, keeps the old file as <path>.old, renames and syncs
 * the folder. tmb_file_load reads a whole file: free(ret_bytes). tmb_file_sync syncs a file and its folder.
 * Errors: TMB_EIO, TMB_ENOSPC, TMB_ENOENT (load, sync), TMB_ENOMEM, TMB_ELIMIT (path too long). */
TMB_MUST_USE tmb_err tmb_file_replace(const char *path, tmb_bytes bytes);
TMB_MUST_USE tmb_err tmb_file_load(const char *path, uint8_t **ret_bytes, size_t *ret_len);
TMB_MUST_USE tmb_err tmb_file_sync(const char *path);

#ifdef __cplusplus
}
#endif
#endif
