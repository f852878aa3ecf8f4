// SPDX-License-Identifier: Apache-2.0
/* proto/shape.h - a text taken apart into its shape and its numbers, and put together again.
 *
 * A shape is the text with a mark for each number; a mark says how it is printed:
 *
 *   1        a number as programs print it: no zeros in front, up to 18 digits, a point between digits
 *   2, 3, 4  two, three, six digits with zeros in front, as in times of day
 *   7        the rest of the message, taken as it is
 *
 * So texts with bytes below 8 have no shape. Which digits are taken for which number is the writer's choice
 * alone; the reader does what the marks say.
 * Threads: none. Cost: one pass, no allocation.
 */
#ifndef TMB_PROTO_SHAPE_H
#define TMB_PROTO_SHAPE_H

#include "proto/number.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_MARK_NUMBER 1u
#define TMB_MARK_WIDE   2u /* to 4: see tmb_mark_digits */
#define TMB_MARK_REST   7u
#define TMB_MARKS       8u

/* Room for one number as text. */
#define TMB_NUMBER_TEXT_MAX 24u

/* Whether text has a shape. */
bool tmb_text_has_shape(tmb_bytes text);

/* tmb_shape_next takes the text from *at on apart: its literal bytes go to out until a number comes or the
 * text ends. Gives the mark (not written to out) and number, or 0 at the end. */
unsigned tmb_shape_next(tmb_bytes text, size_t *at, tmb_writer *out, tmb_number *ret_number);

/* tmb_number_print writes number as its mark says; at most TMB_NUMBER_TEXT_MAX bytes. Gives how many. */
size_t tmb_number_print(unsigned mark, tmb_number number, uint8_t *out);

#ifdef __cplusplus
}
#endif
#endif
