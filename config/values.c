// SPDX-License-Identifier: Apache-2.0
/* config/values.c - a whole number, then a unit of a table.
 *
 * No fractions: "1.5GiB" would have to be rounded, and "1536MiB" says the same.
 */
#include "config/values.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

/* Largest first, the order in which a format tries them. Powers of 1000 are read and never written. */
static const unit size_units[] = {
    {"TiB", UINT64_C(1) << 40},
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"B", 1},
    {"", 1},
    {"TB", UINT64_C(1000000000000)},
    {"GB", UINT64_C(1000000000)},
    {"MB", UINT64_C(1000000)},
    {"kB", UINT64_C(1000)},
};
#define SIZE_UNITS_WRITTEN 4
#define SIZE_UNITS         (sizeof size_units / sizeof size_units[0])

/* In bits a second; those of bytes are read and never written. */
static const unit rate_units[] = {
    {"Gbit/s", UINT64_C(1000000000)},
    {"Mbit/s", UINT64_C(1000000)},
    {"kbit/s", UINT64_C(1000)},
    {"bit/s", 1},
    {"MiB/s", UINT64_C(8) << 20},
    {"KiB/s", UINT64_C(8) << 10},
    {"MB/s", UINT64_C(8000000)},
    {"kB/s", UINT64_C(8000)},
    {"B/s", 8},
};
#define RATE_UNITS_WRITTEN 4
#define RATE_UNITS         (sizeof rate_units / sizeof rate_units[0])

static const unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
#define DURATION_UNITS (sizeof duration_units / sizeof duration_units[0])

/* Takes the digits at the front; false when there are none. Saturates. */
static bool take_number(tmb_bytes *text, uint64_t *ret)
{
    uint64_t number = 0;
    size_t i = 0;
    for (; i < text->len && text->ptr[i] >= '0' && text->ptr[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(text->ptr[i] - '0');
        number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
    }
    if (i == 0)
        return false;
    *text = tmb_bytes_of(text->ptr + i, text->len - i);
    *ret = number;
    return true;
}

static bool parse_with_unit(tmb_bytes text, const unit *units, size_t count, uint64_t *ret)
{
    uint64_t number;
    if (!take_number(&text, &number))
        return false;
    if (text.len > 1 && text.ptr[0] == ' ')
        text = tmb_bytes_of(text.ptr + 1, text.len - 1);
    for (size_t i = 0; i < count; i++) {
        if (tmb_bytes_eq(text, tmb_bytes_str(units[i].name))) {
            uint64_t factor = units[i].factor;
            *ret = number > UINT64_MAX / factor ? UINT64_MAX : number * factor;
            return true;
        }
    }
    return false;
}

static void format_with_unit(uint64_t value, const unit *units, size_t count, const char *smallest,
                             char *ret_text)
{
    for (size_t i = 0; i < count; i++) {
        if (value > 0 && value % units[i].factor == 0) {
            snprintf(ret_text, TMB_VALUE_TEXT_MAX, "%" PRIu64 "%s", value / units[i].factor,
                     units[i].name);
            return;
        }
    }
    snprintf(ret_text, TMB_VALUE_TEXT_MAX, "%" PRIu64 "%s", value, smallest);
}

bool tmb_count_parse(tmb_bytes text, uint64_t *ret_count)
{
    uint64_t number;
    if (!take_number(&text, &number) || text.len > 0)
        return false;
    *ret_count = number;
    return true;
}

bool tmb_size_parse(tmb_bytes text, uint64_t *ret_bytes)
{
    return parse_with_unit(text, size_units, SIZE_UNITS, ret_bytes);
}

bool tmb_rate_parse(tmb_bytes text, uint64_t *ret_bits_per_s)
{
    return parse_with_unit(text, rate_units, RATE_UNITS, ret_bits_per_s);
}

bool tmb_duration_parse(tmb_bytes text, uint64_t *ret_ms)
{
    return parse_with_unit(text, duration_units, DURATION_UNITS, ret_ms);
}

void tmb_size_format(uint64_t bytes, char ret_text[TMB_VALUE_TEXT_MAX])
{
    format_with_unit(bytes, size_units, SIZE_UNITS_WRITTEN, "", ret_text);
}

void tmb_rate_format(uint64_t bits_per_s, char ret_text[TMB_VALUE_TEXT_MAX])
{
    format_with_unit(bits_per_s, rate_units, RATE_UNITS_WRITTEN, "bit/s", ret_text);
}

void tmb_duration_format(uint64_t ms, char ret_text[TMB_VALUE_TEXT_MAX])
{
    format_with_unit(ms, duration_units, DURATION_UNITS, "ms", ret_text);
}
