// SPDX-License-Identifier: Apache-2.0
/* proto/number.h - the numbers of texts: each told as its distance from what was to be expected.
 *
 * A number is a whole number and how many of its last digits stand behind the point: 12.50 is {1250, 2}. A
 * column is one place of one shape of text, over all messages of that shape. What the next number of a column
 * will be, five guesses try to say; the one that was nearest of late is taken, and the distance is coded by
 * its size in bits beside the size that was usual here. Both ends keep the same score, so nothing is said
 * about which guess it was. How many decimals a number has is coded when it is not what it looks like:
 * printf ends in zeros, JavaScript leaves them out, Python leaves one.
 *
 * Threads: none, values. Cost: about 15 bits of proto/coder.h a number, no allocation.
 */
#ifndef TMB_PROTO_NUMBER_H
#define TMB_PROTO_NUMBER_H

#include "proto/coder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Decimals, and digits in all, that fit an int64. */
#define TMB_NUMBER_DIGITS_MAX 18u

#define TMB_GUESSES 5

typedef struct tmb_number {
    int64_t whole;
    unsigned decimals; /* up to TMB_NUMBER_DIGITS_MAX */
} tmb_number;

typedef struct tmb_column {
    int64_t last,
        step; /* last number of this column in units of 10^-decimals, and what it rose by */
    uint8_t decimals, ending;
    bool is_begun;
    uint16_t
        score[TMB_GUESSES]; /* size of the distance of late, in 16ths of a bit; small is good */
} tmb_column;

/* What all columns of a batch share. */
typedef struct tmb_numbers {
    tmb_bit is_usual_size[6], is_above[6], more[6][2][16];
    tmb_bit top[65], second[65][2];
    tmb_bit is_new_decimals[2], decimals[32], is_usual_ending, ending[32];
    tmb_bit bits[4][128];
    /* In this message: the number before, the one before that, and where the one before came from. */
    tmb_number before[2];
    unsigned before_count;
    int64_t before_rise; /* of its column, in units of before[0].decimals */
    const tmb_column *before_column;
} tmb_numbers;

void tmb_numbers_init(tmb_numbers *numbers);

/* tmb_numbers_message: a new message begins, nothing is before its first number. */
void tmb_numbers_message(tmb_numbers *numbers);

/* tmb_code_number codes one number of column (zeroed before its first), |whole| < 10^18. Read from hostile
 * bytes, whole is any value and decimals at most TMB_NUMBER_DIGITS_MAX. */
tmb_number tmb_code_number(tmb_coder *coder, tmb_numbers *numbers, tmb_column *column,
                           tmb_number number);

/* tmb_code_count codes a length or an index; kind 0 to 3: those of one kind look alike. */
uint64_t tmb_code_count(tmb_coder *coder, tmb_numbers *numbers, unsigned kind, uint64_t count);

#ifdef __cplusplus
}
#endif
#endif
