// SPDX-License-Identifier: Apache-2.0
/* journal/marks.h - <data_dir>/uplink.marks: how far the parent has each stream of this node, as it said.
 *
 *   tombolo-uplink 1
 *   node s1
 *   incarnation 0123456789abcdef0123456789abcdef      of this node's journal
 *   parent hub
 *   top 1                                             the parent is the top (0: it has one, or is silent)
 *   stream default 17                                 it has all numbers up to this one, on its disk
 *   crc32c 89abcdef
 *
 * Written by tombolo-syncd alone, after each WELCOME and ACK; read by the plugin and by tombolo-journal. It
 * is a view: whoever reads it and finds none, or a damaged one, knows nothing and claims nothing; it comes
 * again with the next session. It may be old, and then says too little; too much only while a parent has lost
 * what it had said it has, until its next WELCOME. So a reader does not believe a mark above the end of the
 * log, nor one of another incarnation. Every later version keeps the first word and the last line.
 * port: NULL for the real disk. Threads: as the port. Cost: a small file.
 */
#ifndef TMB_JOURNAL_MARKS_H
#define TMB_JOURNAL_MARKS_H

#include "base/err.h"
#include "base/limits.h"
#include "journal/file_port.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_MARKS_FILE "uplink.marks"
/* More than TMB_STREAMS_MAX lines can need. A longer file is damaged. */
#define TMB_MARKS_TEXT_BYTES_MAX 4096

typedef struct tmb_uplink_mark {
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    uint64_t seq;
} tmb_uplink_mark;

typedef struct tmb_marks {
    char node[TMB_NAME_BYTES_MAX + 1];
    tmb_incarnation incarnation;
    char parent[TMB_NAME_BYTES_MAX + 1];
    bool is_parent_top;
    unsigned streams_count; /* each once */
    tmb_uplink_mark streams[TMB_STREAMS_MAX];
} tmb_marks;

/* tmb_marks_read reads <folder>/uplink.marks.
 * Errors: TMB_ENOENT (none yet), TMB_ECORRUPT, TMB_EVERSION, TMB_EDENIED, TMB_EIO: nothing is known. */
TMB_MUST_USE tmb_err tmb_marks_read(const tmb_file_port *port, const char *folder,
                                    tmb_marks *ret_marks);

/* tmb_marks_write replaces the file as a whole, without waiting for the disk: after a power cut it may be
 * the old one, or damaged. Errors: TMB_EINVAL (a name that is none), TMB_EIO, TMB_ENOSPC, TMB_EDENIED,
 * TMB_ENOENT: the old file stays. */
TMB_MUST_USE tmb_err tmb_marks_write(const tmb_file_port *port, const char *folder,
                                     const tmb_marks *marks);

/* tmb_marks_forget removes the file: what it says is no longer so. Errors: TMB_EIO, TMB_EDENIED. */
TMB_MUST_USE tmb_err tmb_marks_forget(const tmb_file_port *port, const char *folder);

/* tmb_marks_find gives the parent's mark of a stream; 0 when it has said none, or of another incarnation. */
uint64_t tmb_marks_find(const tmb_marks *marks, const tmb_incarnation *incarnation,
                        const char *stream);

#ifdef __cplusplus
}
#endif
#endif
