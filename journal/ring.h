// SPDX-License-Identifier: Apache-2.0
/* journal/ring.h - a stream's write buffer in memory that outlives the process; for the journal's own files.
 *
 * A file on a tmpfs, mapped: what has been stored in it is there after kill -9 without any call to the
 * kernel. It stands for the bytes that come next in the stream's newest segment: the file ends at `offset`,
 * the buffer's first byte belongs there. Opening the journal writes what a killed process left
 * (tmb_ring_drain).
 *
 *   <folder>/tombolo-<node>-<incarnation>-<stream>.ring        266,240 bytes, mode 0600, held by flock
 *
 *   0     8  magic "TMBRING1"
 *   8     u16 version, 1
 *   10    u16 bytes before the buffer, 4096
 *   12    u32 CRC-32C of bytes 0..12 and 16..192
 *   16    16  incarnation
 *   32    u32 bytes of the buffer, 262144
 *   36    u8 bytes of the stream name, u8 bytes of the node name, 26 zero
 *   64    32  stream name, zero padded
 *   96    64  node name, zero padded
 *   160   32  zero
 *   192   u64 base of the segment, u64 offset in it, u64 number of the first record
 *   216   u32 CRC-32C of bytes 192..216, 4 zero
 *   256   u32 committed bytes, u32 the same with every bit turned: one store of 8 bytes
 *   4096  the buffer: records as in a segment
 *
 * All little-endian; bytes in between are zero. The place is only changed while nothing is committed, and
 * what is committed is only taken back once it is in the segment file. So after any instruction at which the
 * process ends, the segment and the committed bytes together are whole.
 *
 * No access to it can fail: all its pages are allocated before it is mapped, and only a tmpfs is mapped,
 * never a disk. Threads: as the journal. Cost: a commit is two stores.
 */
#ifndef TMB_JOURNAL_RING_H
#define TMB_JOURNAL_RING_H

#include "journal/files.h"
#include "journal/identity.h"
#include "journal/journal.h"

#define TMB_RING_HEADER_BYTES 4096u
#define TMB_RING_BUFFER_BYTES (256u * 1024u)
#define TMB_RING_BYTES        (TMB_RING_HEADER_BYTES + TMB_RING_BUFFER_BYTES)

typedef struct tmb_ring_place {
    uint64_t base;      /* of the segment */
    uint64_t offset;    /* in it, of the buffer's first byte */
    uint64_t first_seq; /* of the buffer's first record */
} tmb_ring_place;

typedef struct tmb_ring {
    int fd;
    uint8_t *memory; /* NULL: none */
    bool is_committed;
    tmb_path path;
} tmb_ring;

/* What the bytes of a ring's file say. */
typedef struct tmb_ring_state {
    tmb_identity identity;
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_ring_place place;
    tmb_bytes committed; /* in the file's bytes */
    /* false: the committed length is damaged; committed is then the whole buffer. */
    bool is_len_known;
} tmb_ring_state;

/* tmb_ring_make makes the file of a stream in folder and maps it. Nothing committed. Errors: TMB_EBUSY (one
 * is there, in use or not fit for this journal), TMB_EINVAL (folder is not on a tmpfs), TMB_ENOSPC,
 * TMB_ENOMEM, TMB_EDENIED, TMB_ENOENT, TMB_EIO. */
TMB_MUST_USE tmb_err tmb_ring_make(const tmb_file_port *files, const char *folder,
                                   const tmb_identity *identity, const char *stream,
                                   tmb_ring *ret_ring);

static inline uint8_t *tmb_ring_buffer(const tmb_ring *ring)
{
    return ring->memory + TMB_RING_HEADER_BYTES;
}

/* tmb_ring_commit makes the first len bytes of the buffer outlive the process. place counts when nothing is
 * committed; it must not change before tmb_ring_clear. */
void tmb_ring_commit(tmb_ring *ring, const tmb_ring_place *place, size_t len);

/* tmb_ring_clear: all that is committed is in the segment; the buffer may be used again. */
void tmb_ring_clear(tmb_ring *ring);

/* tmb_ring_is_sound says whether the file still has its name, and is ours alone: somebody may have cleaned
 * up. */
bool tmb_ring_is_sound(const tmb_file_port *files, const tmb_ring *ring);

/* tmb_ring_close lets the memory go; is_empty: and the file. Without one: nothing. */
void tmb_ring_close(const tmb_file_port *files, tmb_ring *ring, bool is_empty);

/* tmb_ring_header_encode writes the bytes 0..192; tmb_ring_decode reads a whole file. Errors: TMB_ENOENT
 * (nothing is committed, or not even the header is there yet), TMB_ECORRUPT, TMB_EVERSION. */
void tmb_ring_header_encode(const tmb_identity *identity, const char *stream,
                            uint8_t out[TMB_RING_HEADER_BYTES]);
TMB_MUST_USE tmb_err tmb_ring_decode(tmb_bytes bytes, tmb_ring_state *ret_state);

/* tmb_ring_name gives the file's name, or with stream NULL the beginning of all of a journal. */
void tmb_ring_name(const tmb_identity *identity, const char *stream, char out[256]);

/* tmb_ring_drain writes what rings of an earlier process hold to the log, removes them, and notes in
 * <root>/.ring in which folder there will be new ones (NULL: none). root, identity, counts: the journal's,
 * which is locked and has no stream open. ret_may_use: whether new ones may be made. note gets one sentence
 * on what was left where it is, or why none may be made; text one on an error. Errors: TMB_EIO, TMB_ENOSPC,
 * TMB_EDENIED, TMB_EVERSION, TMB_ENOMEM: acknowledged records wait in a ring that cannot be read or written
 * to the log now. */
typedef struct tmb_ring_drain_job {
    const tmb_file_port *files;
    const char *root;
    const tmb_identity *identity;
    const char *folder;
    tmb_journal_counts *counts;
    char *note;
    size_t note_cap;
    char *text;
    size_t text_cap;
} tmb_ring_drain_job;
TMB_MUST_USE tmb_err tmb_ring_drain(const tmb_ring_drain_job *job, bool *ret_may_use);

#endif
