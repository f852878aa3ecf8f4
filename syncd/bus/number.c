// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/number.c - doubles as bytes in their order, and as the shortest text.
 *
 * One number has one form: -0 is 0, and there is no NaN, so equal numbers are equal bytes at every node.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "syncd/bus/answer.h"

#define SIGN (UINT64_C(1) << 63)

void tmb_number_order(double number, uint8_t out[TMB_NUMBER_BYTES])
{
    uint64_t bits;
    number += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &number, sizeof bits);
    bits ^= bits & SIGN ? UINT64_MAX : SIGN;
    for (unsigned i = 0; i < TMB_NUMBER_BYTES; i++)
        out[i] = (uint8_t)(bits >> (56 - 8 * i));
}

tmb_err tmb_number_of_order(tmb_bytes bytes, double *ret)
{
    uint64_t bits = 0;
    double number;
    uint8_t again[TMB_NUMBER_BYTES];
    if (bytes.len != TMB_NUMBER_BYTES)
        return TMB_EINVAL;
    for (unsigned i = 0; i < TMB_NUMBER_BYTES; i++)
        bits = bits << 8 | bytes.ptr[i];
    bits ^= bits & SIGN ? SIGN : UINT64_MAX;
    memcpy(&number, &bits, sizeof number);
    if (!isfinite(number))
        return TMB_EINVAL;
    tmb_number_order(number, again);
    if (memcmp(again, bytes.ptr, sizeof again) != 0)
        return TMB_EINVAL; /* -0 */
    *ret = number;
    return TMB_OK;
}

void tmb_number_text(double number, char out[TMB_NUMBER_TEXT_BYTES])
{
    number += 0.0;
    if (number > -1e15 && number < 1e15 && number == (double)(int64_t)number) {
        snprintf(out, TMB_NUMBER_TEXT_BYTES, "%.0f", number);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, TMB_NUMBER_TEXT_BYTES, "%.*g", digits, number);
        if (strtod(out, NULL) == number)
            return;
    }
}
