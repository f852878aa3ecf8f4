// SPDX-License-Identifier: Apache-2.0
/* proto/coder.c - see proto/coder.h.
 *
 *   [low, low + range) is what is left of the number line; a bit takes its share of it. Bytes at the top that
 *   can no longer change leave; one that a carry might still raise is held back, with the 0xff behind it.
 */
#include "proto/coder.h"

#define RANGE_MIN (1u << 24)
#define PROB_BITS 15
#define RAW_CHUNK 12u
#define COUNT_MAX 40u

tmb_coder tmb_coder_writing(uint8_t *out, size_t cap)
{
    tmb_coder coder = {.range = UINT32_MAX, .held_count = 0};
    coder.begin = coder.at = out;
    coder.end = out + cap;
    return coder;
}

static uint8_t next_byte(tmb_coder *coder)
{
    return coder->from < coder->from_end ? *coder->from++ : 0;
}

tmb_coder tmb_coder_reading(tmb_bytes from)
{
    tmb_coder coder = {.is_reading = true, .range = UINT32_MAX, .from = from.ptr};
    coder.from_end = from.len > 0 ? from.ptr + from.len : from.ptr;
    for (unsigned i = 0; i < 4; i++)
        coder.code = coder.code << 8 | next_byte(&coder);
    return coder;
}

static void put(tmb_coder *coder, uint8_t byte)
{
    if (coder->at < coder->end)
        *coder->at++ = byte;
    else
        coder->is_bad = true;
}

/* held_count 0: nothing is held yet. No carry can come out of the first byte, so that may be 0xff. */
static void shift_out(tmb_coder *coder)
{
    unsigned carry = (unsigned)(coder->low >> 32);
    if ((uint32_t)coder->low < 0xff000000u || carry != 0 || coder->held_count == 0) {
        if (coder->held_count > 0)
            put(coder, (uint8_t)(coder->held + carry));
        for (; coder->held_count > 1; coder->held_count--)
            put(coder, (uint8_t)(0xffu + carry));
        coder->held = (uint8_t)(coder->low >> 24);
        coder->held_count = 0;
    }
    coder->held_count++;
    coder->low = (coder->low & 0x00ffffffu) << 8;
}

static void normalise(tmb_coder *coder)
{
    while (coder->range < RANGE_MIN) {
        coder->range <<= 8;
        if (coder->is_reading)
            coder->code = coder->code << 8 | next_byte(coder);
        else
            shift_out(coder);
    }
}

size_t tmb_coder_end(tmb_coder *coder)
{
    /* Of all numbers that are left, the one that ends in most zeros. */
    uint64_t last = coder->low + coder->range - 1;
    for (unsigned bits = 32; bits > 0; bits--) {
        uint64_t round = last >> bits << bits;
        if (round >= coder->low) {
            coder->low = round;
            break;
        }
    }
    for (unsigned i = 0; i < 5; i++)
        shift_out(coder);
    while (coder->at > coder->begin && coder->at[-1] == 0)
        coder->at--;
    return (size_t)(coder->at - coder->begin);
}

bool tmb_coder_is_at_end(const tmb_coder *coder)
{
    return coder->from == coder->from_end;
}

/* A fresh model learns in big steps. */
static unsigned step_bits(unsigned count)
{
    static const uint8_t bits[] = {1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4};
    return count < sizeof bits ? bits[count] : 5;
}

unsigned tmb_code_bit(tmb_coder *coder, tmb_bit *model, unsigned bit)
{
    uint32_t bound = (coder->range >> PROB_BITS) * model->zero;
    unsigned step = step_bits(model->count);
    if (coder->is_reading)
        bit = coder->code >= bound;
    if (bit) {
        coder->low += bound;
        coder->code -= coder->is_reading ? bound : 0;
        coder->range -= bound;
        model->zero = (uint16_t)(model->zero - ((model->zero - 31u) >> step));
    } else {
        coder->range = bound;
        model->zero = (uint16_t)(model->zero + ((32768u - 31u - model->zero) >> step));
    }
    model->count = (uint16_t)(model->count + (model->count < COUNT_MAX));
    normalise(coder);
    return bit;
}

uint64_t tmb_code_raw(tmb_coder *coder, uint64_t value, unsigned bits)
{
    uint64_t coded = 0;
    while (bits > 0) {
        unsigned n = bits < RAW_CHUNK ? bits : RAW_CHUNK;
        bits -= n;
        coder->range >>= n;
        uint32_t part = (uint32_t)(value >> bits) & ((1u << n) - 1);
        if (coder->is_reading) {
            part = coder->code / coder->range;
            if (part >= 1u << n) /* only in bytes that no coder wrote */
                part = (1u << n) - 1;
            coder->code -= part * coder->range;
        } else {
            coder->low += (uint64_t)part * coder->range;
        }
        coded = coded << n | part;
        normalise(coder);
    }
    return coded;
}

unsigned tmb_code_tree(tmb_coder *coder, tmb_bit *models, unsigned bits, unsigned value)
{
    unsigned node = 1;
    for (unsigned i = bits; i > 0; i--)
        node = node << 1 | tmb_code_bit(coder, &models[node], value >> (i - 1) & 1u);
    return node - (1u << bits);
}
