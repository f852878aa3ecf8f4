// SPDX-License-Identifier: Apache-2.0
/* proto/props.c - see proto/props.h. Each property is an id of one byte (all ids of MQTT 5 are below 128)
 * and a value whose form the id decides. What put writes, next reads back the same. */
#include "proto/props.h"

#include "base/limits.h"

#define STRING_BYTES_MAX 65535u

typedef enum form {
    FORM_UNKNOWN = 0,
    FORM_BYTE,
    FORM_FOUR_BYTES,
    FORM_STRING,
    FORM_BINARY,
    FORM_STRING_PAIR
} form;

static form form_of(uint8_t id)
{
    switch (id) {
    case TMB_PROP_PAYLOAD_FORMAT:
        return FORM_BYTE;
    case TMB_PROP_EXPIRY:
        return FORM_FOUR_BYTES;
    case TMB_PROP_CONTENT_TYPE:
    case TMB_PROP_RESPONSE_TOPIC:
        return FORM_STRING;
    case TMB_PROP_CORRELATION:
        return FORM_BINARY;
    case TMB_PROP_USER:
        return FORM_STRING_PAIR;
    default:
        return FORM_UNKNOWN;
    }
}

/* MQTT is big-endian, the cursors of base/bytes.h are not. */
static uint32_t get_big_endian(tmb_reader *r, size_t width)
{
    tmb_bytes b = tmb_get_bytes(r, width);
    uint32_t v = 0;
    for (size_t i = 0; i < b.len; i++)
        v = v << 8 | b.ptr[i];
    return v;
}

static void put_big_endian(tmb_writer *w, uint32_t v, unsigned width)
{
    for (unsigned i = width; i > 0; i--)
        tmb_put_u8(w, (uint8_t)(v >> (8 * (i - 1))));
}

static tmb_bytes get_binary(tmb_reader *r)
{
    return tmb_get_bytes(r, get_big_endian(r, 2));
}

static tmb_bytes get_string(tmb_reader *r)
{
    tmb_bytes b = get_binary(r);
    if (!tmb_utf8_is_valid(b))
        r->bad = true;
    return b;
}

static void put_binary(tmb_writer *w, tmb_bytes b)
{
    if (b.len > STRING_BYTES_MAX) {
        w->bad = true;
        return;
    }
    put_big_endian(w, (uint32_t)b.len, 2);
    tmb_put_bytes(w, b);
}

static void put_string(tmb_writer *w, tmb_bytes b)
{
    if (!tmb_utf8_is_valid(b))
        w->bad = true;
    put_binary(w, b);
}

tmb_err tmb_props_next(tmb_reader *reader, tmb_prop *ret_prop)
{
    if (reader->bad)
        return TMB_ECORRUPT;
    if (tmb_reader_left(reader) == 0)
        return TMB_EAGAIN;
    tmb_prop prop = {.id = tmb_get_u8(reader)};
    switch (form_of(prop.id)) {
    case FORM_UNKNOWN:
        reader->bad = true;
        break;
    case FORM_BYTE:
        prop.number = tmb_get_u8(reader);
        if (prop.number > 1)
            reader->bad = true;
        break;
    case FORM_FOUR_BYTES:
        prop.number = get_big_endian(reader, 4);
        break;
    case FORM_STRING:
        prop.value = get_string(reader);
        break;
    case FORM_BINARY:
        prop.value = get_binary(reader);
        break;
    case FORM_STRING_PAIR:
        prop.name = get_string(reader);
        prop.value = get_string(reader);
        break;
    }
    if (reader->bad)
        return TMB_ECORRUPT;
    *ret_prop = prop;
    return TMB_OK;
}

void tmb_props_put(tmb_writer *writer, const tmb_prop *prop)
{
    tmb_put_u8(writer, prop->id);
    switch (form_of(prop->id)) {
    case FORM_UNKNOWN:
        writer->bad = true;
        break;
    case FORM_BYTE:
        if (prop->number > 1)
            writer->bad = true;
        tmb_put_u8(writer, (uint8_t)prop->number);
        break;
    case FORM_FOUR_BYTES:
        put_big_endian(writer, prop->number, 4);
        break;
    case FORM_STRING:
        put_string(writer, prop->value);
        break;
    case FORM_BINARY:
        put_binary(writer, prop->value);
        break;
    case FORM_STRING_PAIR:
        put_string(writer, prop->name);
        put_string(writer, prop->value);
        break;
    }
}

size_t tmb_props_put_size(const tmb_prop *prop)
{
    switch (form_of(prop->id)) {
    case FORM_UNKNOWN:
        return 0;
    case FORM_BYTE:
        return 1 + 1;
    case FORM_FOUR_BYTES:
        return 1 + 4;
    case FORM_STRING:
    case FORM_BINARY:
        return 1 + 2 + prop->value.len;
    case FORM_STRING_PAIR:
        return 1 + 2 + prop->name.len + 2 + prop->value.len;
    }
    return 0;
}

bool tmb_props_are_valid(tmb_bytes props)
{
    tmb_reader reader = tmb_reader_of(props);
    tmb_prop prop;
    tmb_err err = TMB_OK;
    while (!err)
        err = tmb_props_next(&reader, &prop);
    return err == TMB_EAGAIN;
}

tmb_err tmb_props_find_user(tmb_bytes props, const char *name, tmb_bytes *ret_value)
{
    tmb_reader reader = tmb_reader_of(props);
    tmb_bytes wanted = tmb_bytes_str(name);
    tmb_bytes value = {0};
    bool is_found = false;
    for (;;) {
        tmb_prop prop;
        tmb_err err = tmb_props_next(&reader, &prop);
        if (err == TMB_EAGAIN)
            break;
        if (err)
            return TMB_ENOENT;
        if (!is_found && prop.id == TMB_PROP_USER && tmb_bytes_eq(prop.name, wanted)) {
            value = prop.value;
            is_found = true;
        }
    }
    if (!is_found)
        return TMB_ENOENT;
    *ret_value = value;
    return TMB_OK;
}

/* Decimal digits alone, 1 to TMB_SEQ_MAX; 0 for anything else. */
static uint64_t number_of(tmb_bytes digits)
{
    uint64_t number = 0;
    for (size_t i = 0; i < digits.len; i++) {
        unsigned digit = (unsigned)digits.ptr[i] - '0';
        if (digit > 9 || number > (TMB_SEQ_MAX - digit) / 10)
            return 0;
        number = number * 10 + digit;
    }
    return number;
}

tmb_err tmb_props_number(tmb_bytes value, tmb_bytes *ret_run, uint64_t *ret_number)
{
    size_t start = value.len;
    while (start > 0 && value.ptr[start - 1] != ':')
        start--;
    tmb_bytes run = {value.ptr, 0};
    if (start > 0) {
        run.len = start - 1;
        if (run.len == 0 || run.len > TMB_RUN_BYTES_MAX)
            return TMB_EINVAL;
    }
    if (start == value.len)
        return TMB_EINVAL;
    uint64_t number = number_of(tmb_bytes_of(value.ptr + start, value.len - start));
    if (number == 0)
        return TMB_EINVAL;
    *ret_run = run;
    *ret_number = number;
    return TMB_OK;
}

bool tmb_props_is_late(tmb_bytes name)
{
    return tmb_bytes_eq(name, tmb_bytes_str(TMB_PROP_LATE_NAME)) ||
           tmb_bytes_eq(name, tmb_bytes_str(TMB_PROP_TIME_NAME));
}

bool tmb_props_is_mark(tmb_bytes name)
{
    return tmb_bytes_eq(name, tmb_bytes_str(TMB_PROP_ID_NAME)) ||
           tmb_bytes_eq(name, tmb_bytes_str(TMB_PROP_REPLAY_NAME));
}
