// SPDX-License-Identifier: Apache-2.0
/* journal/segment.h - a segment file: its name, its header, and the list of a stream's segments; for the
 * journal and its tests.
 *
 * Header, version 1, little-endian, 192 bytes:
 *
 *   0    8  magic "TMBJSEG1"
 *   8    u16 version, 1
 *   10   u16 bytes of the header, 192
 *   12   u32 CRC-32C of bytes 0..12 and 16..192
 *   16   16  incarnation
 *   32   u64 base: number of the first record; also the file's name
 *   40   u64 HLC stamp at which the segment was begun; every record in it has a later one
 *   48   u64 first number of the gap before base, 0 for none
 *   56   u8  gap reason (TMB_GAP_...), u8 bytes of the stream name, u8 bytes of the node name, 5 zero
 *   64   32  stream name, zero padded
 *   96   64  node name, zero padded
 *   160  32  zero
 *
 * Every later version keeps bytes 0..16 and the rule of the checksum, so that a reader can tell a newer
 * header from a damaged one. Threads: none, values; the functions that read files, as their port.
 */
#ifndef TMB_JOURNAL_SEGMENT_H
#define TMB_JOURNAL_SEGMENT_H

#include "base/limits.h"
#include "journal/file_port.h"
#include "proto/frame.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_SEGMENT_HEADER_BYTES 192u
#define TMB_SEGMENT_NAME_BYTES   25u /* 20 digits, ".seg", NUL */

typedef struct tmb_segment_header {
    tmb_incarnation incarnation;
    uint64_t base;
    tmb_hlc created;
    uint64_t gap_first;
    tmb_gap_reason gap_reason;
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    char node[TMB_NAME_BYTES_MAX + 1];
} tmb_segment_header;

void tmb_segment_header_encode(const tmb_segment_header *header,
                               uint8_t out[TMB_SEGMENT_HEADER_BYTES]);

/* tmb_segment_header_read reads the header of an open segment and checks it against its name and stream
 * (ECORRUPT when it is another's). Errors: TMB_ECORRUPT (too short, or a bit is wrong), TMB_EVERSION,
 * TMB_EIO. */
TMB_MUST_USE tmb_err tmb_segment_header_read(const tmb_file_port *files, int fd, uint64_t base,
                                             const char *stream, tmb_segment_header *ret_header);

void tmb_segment_name(uint64_t base, char out[TMB_SEGMENT_NAME_BYTES]);

/* tmb_segment_open opens segment base of folder. Errors: TMB_ENOENT, TMB_EIO, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_segment_open(const tmb_file_port *files, const char *folder, uint64_t base,
                                      int flags, int *ret_fd);

/* tmb_segment_open_listed opens a segment that was seen in folder for reading. Errors: TMB_ENOENT only when
 * it is in the folder no more; TMB_EIO also for a name behind which there is no file (a link to nowhere),
 * which looking again would find for ever. */
TMB_MUST_USE tmb_err tmb_segment_open_listed(const tmb_file_port *files, const char *folder,
                                             uint64_t base, int *ret_fd);

/* The base numbers of a stream's segments, rising. Start with {0}; free with tmb_segment_list_fini. */
typedef struct tmb_segment_list {
    uint64_t *bases;
    size_t count, cap;
} tmb_segment_list;

/* tmb_segment_list_load reads folder anew; a missing folder has no segments. Errors: TMB_EIO, TMB_ENOMEM
 * (list unchanged or empty). */
TMB_MUST_USE tmb_err tmb_segment_list_load(tmb_segment_list *list, const tmb_file_port *files,
                                           const char *folder);
void tmb_segment_list_fini(tmb_segment_list *list);

#ifdef __cplusplus
}
#endif
#endif
