// SPDX-License-Identifier: Apache-2.0
/* proto/fold.h - the records of a batch as two streams: what is text, and what are numbers.
 *
 *   {"n":41,"pos":[12.5,12.71]}          text     {"n":#,"pos":[#,#]}     once a shape
 *   {"n":42,"pos":[12.66,12.4]}    -->   numbers  41 12.5 +0.21           each its distance from a guess
 *                                                 +1 +0.16 -0.26          (proto/number.h)
 *
 * What is not a number as a program prints it (007, -0, 1e5, 0x1f, twenty digits) stays text. Publisher,
 * properties, flags and origin of a record are text too, told once and then by reference; numbers of records
 * are implied, stamps are numbers. A payload with control bytes is taken as it is. Checksums are left out and
 * made anew, so unfolding gives the very bytes; proto/batch.h adds one over all of them.
 *
 * The text is small and much like the batch before, which is what zstd and a dictionary are good at; the
 * numbers are as small as they get. docs/protocol.md has the format.
 *
 * Threads: one at a time a tmb_fold. Cost: one pass, some nanoseconds a byte and about 100 a number; memory
 * is the caller's: sizeof(tmb_fold), about 2 MiB, of which small batches touch little.
 */
#ifndef TMB_PROTO_FOLD_H
#define TMB_PROTO_FOLD_H

#include "base/err.h"
#include "base/limits.h"
#include "proto/number.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Places of numbers in the shapes of one batch. More: further shapes keep their numbers as text. */
#define TMB_FOLD_COLUMNS_MAX 32768u

#define TMB_FOLD_SLOTS                                                                             \
    8192u /* of a table that finds shapes; above twice TMB_BATCH_RECORDS_MAX, less one */

/* A piece of text that comes again. */
typedef struct tmb_shape {
    uint32_t offset, len;        /* in the text */
    uint32_t first_column, next; /* next: which came behind it last, as index + 1 */
} tmb_shape;

typedef struct tmb_shapes {
    unsigned count, last; /* last: index + 1 */
    tmb_bit is_expected;
    tmb_shape v[TMB_BATCH_RECORDS_MAX];
} tmb_shapes;

/* Room for one fold or unfold; contents are nobody's business. */
typedef struct tmb_fold {
    tmb_coder coder;
    tmb_numbers numbers;
    tmb_column stamp[2];
    tmb_shapes heads, bodies;
    uint8_t *text;
    size_t text_len, text_cap, read;
    unsigned columns_count;
    tmb_column columns[TMB_FOLD_COLUMNS_MAX];
    uint16_t slots[2][TMB_FOLD_SLOTS]; /* index + 1 */
} tmb_fold;

/* tmb_fold_records folds raw, records with numbers that rise by one, as tmb_batch_unpack checks.
 * text, numbers: room for the streams; *text_len, *numbers_len: their capacity in, their size out.
 * Errors: TMB_ELIMIT (a stream does not fit: it does not pay), TMB_ECORRUPT (raw is not such records). */
TMB_MUST_USE tmb_err tmb_fold_records(tmb_fold *fold, tmb_bytes raw, uint8_t *text,
                                      size_t *text_len, uint8_t *numbers, size_t *numbers_len);

/* tmb_unfold_records undoes it: count records from first_seq on into out, exactly raw_bytes of bytes. line:
 * room for raw_bytes too.
 * Errors: TMB_ECORRUPT (anything else than exactly that; bytes may be hostile). */
TMB_MUST_USE tmb_err tmb_unfold_records(tmb_fold *fold, tmb_bytes text, tmb_bytes numbers,
                                        uint64_t first_seq, uint64_t count, uint8_t *line,
                                        uint8_t *out, size_t raw_bytes);

#ifdef __cplusplus
}
#endif
#endif
