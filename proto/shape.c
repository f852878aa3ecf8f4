// SPDX-License-Identifier: Apache-2.0
/* proto/shape.c - see proto/shape.h. */
#include "proto/shape.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Letters between which digits are a name and no number; T and Z stand in times. */
static bool is_letter(uint8_t c)
{
    return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80) &&
           c != 'T' && c != 'Z';
}

static unsigned digits_of_mark(unsigned mark)
{
    static const uint8_t digits[] = {2, 3, 6};
    return mark >= TMB_MARK_WIDE && mark < TMB_MARK_WIDE + sizeof digits
               ? digits[mark - TMB_MARK_WIDE]
               : 0;
}

static unsigned mark_of_digits(size_t digits)
{
    return digits == 2 ? TMB_MARK_WIDE : digits == 3 ? TMB_MARK_WIDE + 1 : TMB_MARK_WIDE + 2;
}

bool tmb_text_has_shape(tmb_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < TMB_MARKS)
            return false;
    }
    return true;
}

static uint8_t byte_at(tmb_bytes text, size_t at)
{
    return at < text.len ? text.ptr[at] : 0; /* also before the first, where at has wrapped */
}

static size_t digits_from(tmb_bytes text, size_t at)
{
    size_t end = at;
    while (is_digit(byte_at(text, end)))
        end++;
    return end - at;
}

/* As in 2026-11-21T07:05:09.045Z or line/003: of one width, whatever the number. */
static bool is_wide(tmb_bytes text, size_t at, size_t digits)
{
    if (digits != 2 && digits != 3 && digits != 6)
        return false;
    uint8_t before = byte_at(text, at - 1);
    bool is_part = before == ':' || before == '-' || before == 'T' || before == '.';
    return text.ptr[at] == '0' || before == '/' || (is_part && is_digit(byte_at(text, at - 2)));
}

static int64_t value_of(tmb_bytes text, size_t at, size_t len)
{
    int64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text.ptr[at + i] != '.')
            value = value * 10 + (text.ptr[at + i] - '0');
    }
    return value;
}

/* Digits begin at `at`. Gives the mark, or 0 when they are to stay text; in both cases how many bytes. */
static unsigned take_number(tmb_bytes text, size_t at, size_t *ret_len, tmb_number *ret_number)
{
    size_t digits = digits_from(text, at), len = digits, decimals = 0;
    unsigned mark = TMB_MARK_NUMBER;
    if (is_wide(text, at, digits)) {
        mark = mark_of_digits(digits);
    } else if (byte_at(text, at + digits) == '.') {
        decimals = digits_from(text, at + digits + 1);
        len += decimals > 0 ? 1 + decimals : 0;
    }
    *ret_len = len;
    bool is_padded = mark == TMB_MARK_NUMBER && digits > 1 && text.ptr[at] == '0';
    if (is_padded || digits + decimals > TMB_NUMBER_DIGITS_MAX ||
        is_letter(byte_at(text, at - 1)) || is_letter(byte_at(text, at + len)))
        return 0;
    ret_number->whole = value_of(text, at, len);
    ret_number->decimals = (unsigned)decimals;
    return mark;
}

/* A minus that belongs to the digits behind it. */
static bool is_sign(tmb_bytes text, size_t at)
{
    uint8_t before = byte_at(text, at - 1);
    return text.ptr[at] == '-' && is_digit(byte_at(text, at + 1)) && !is_digit(before) &&
           !is_letter(before) && before != 'T' && before != 'Z';
}

unsigned tmb_shape_next(tmb_bytes text, size_t *at, tmb_writer *out, tmb_number *ret_number)
{
    while (*at < text.len) {
        bool is_negative = is_sign(text, *at);
        size_t from = *at + is_negative, len = 0;
        if (!is_digit(byte_at(text, from))) {
            tmb_put_u8(out, text.ptr[(*at)++]);
            continue;
        }
        tmb_number number = {0, 0};
        unsigned mark = take_number(text, from, &len, &number);
        bool is_signed = is_negative && mark == TMB_MARK_NUMBER && number.whole != 0;
        if (is_negative && !is_signed)
            tmb_put_u8(out, '-');
        *at = from + len;
        if (mark != 0) {
            *ret_number = number;
            ret_number->whole = is_signed ? -number.whole : number.whole;
            return mark;
        }
        tmb_put_bytes(out, tmb_bytes_of(text.ptr + from, len));
    }
    return 0;
}

size_t tmb_number_print(unsigned mark, tmb_number number, uint8_t *out)
{
    unsigned least = digits_of_mark(mark), decimals = least == 0 ? number.decimals : 0;
    uint64_t left = number.whole < 0 ? 0 - (uint64_t)number.whole : (uint64_t)number.whole;
    uint8_t reversed[TMB_NUMBER_TEXT_MAX];
    size_t len = 0, digits = 0;
    if (least < decimals + 1)
        least = decimals + 1;
    while (left > 0 || digits < least) {
        if (decimals > 0 && digits == decimals)
            reversed[len++] = '.';
        reversed[len++] = (uint8_t)('0' + left % 10);
        left /= 10;
        digits++;
    }
    if (number.whole < 0)
        reversed[len++] = '-';
    for (size_t i = 0; i < len; i++)
        out[i] = reversed[len - 1 - i];
    return len;
}
