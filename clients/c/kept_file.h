// SPDX-License-Identifier: Apache-2.0
/* clients/c/kept_file.h - the records of the state file: what each holds, and reading them all.
 *
 *   magic     8 bytes "TMBCLI01"; the digits are the version
 *   record    u32 length of body, u32 the same inverted, u32 CRC32C of length, kind and body, u8 kind, body
 *
 * The length is there twice, so that a damaged one in the middle is not taken for half a record at the end.
 * Little-endian. Threads: none.
 */
#ifndef TMB_CLIENTS_C_KEPT_FILE_H
#define TMB_CLIENTS_C_KEPT_FILE_H

#include "clients/c/kept.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_KEPT_MAGIC       "TMBCLI"
#define TMB_KEPT_VERSION     "01"
#define TMB_KEPT_MAGIC_BYTES 8
#define TMB_KEPT_HEAD_BYTES  13

/* The body of each. HELD is a held message, when the file is written anew; WINDOW is a MARK with the highest
 * sequence, and TMB_DEDUPE_WINDOW bits in u64 words. */
enum tmb_kept_kind {
    TMB_KEPT_RUN = 1,        /* the run's name */
    TMB_KEPT_NEXT = 2,       /* u64: the next number */
    TMB_KEPT_MESSAGE = 3,    /* u64 number, the entry's bytes */
    TMB_KEPT_FORGET = 4,     /* u64 number: the node has it */
    TMB_KEPT_HOLD = 5,       /* u64 number: it waits for a new one */
    TMB_KEPT_HELD = 6,       /* u64 old number, the entry's bytes */
    TMB_KEPT_RENUMBERED = 7, /* u64 old number, u64 new number */
    TMB_KEPT_MARK = 8,       /* u32 life, u64 seq, u8 and node, u8 and stream */
    TMB_KEPT_WINDOW = 9
};

/* tmb_kept_read takes in what a file holds. ret_good is the length up to which it is whole: above it is
 * half a record, to be cut off. Errors: TMB_ENOMEM, TMB_ECORRUPT, TMB_EVERSION; kept->why says where. */
TMB_MUST_USE tmb_err tmb_kept_read(tmb_kept *kept, tmb_bytes file, uint64_t *ret_good);

/* tmb_kept_seal fills in the head of a record whose TMB_KEPT_HEAD_BYTES and body are in memory. */
void tmb_kept_seal(uint8_t *record, uint8_t kind, size_t body_len);

#ifdef __cplusplus
}
#endif
#endif
