// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/value_proto.c - a value as a StateValue (proto/state.proto).
 *
 * The message is built field by field into a buffer: each part is small, but for the elements of a set, of
 * which there are as many as a value may be large.
 */
#include <stdlib.h>

#include "state.pb-c.h"
#include "syncd/bus/value_inside.h"

/* Packed messages of StateField and what they point to. */
typedef struct parts {
    Tombolo__State__V1__StateValue message;
    Tombolo__State__V1__StateField fields[TMB_TYPES];
    Tombolo__State__V1__StateField *list[TMB_TYPES];
    Tombolo__State__V1__StateSibling siblings[TMB_SIBLINGS_MAX];
    Tombolo__State__V1__StateSibling *siblings_list[TMB_SIBLINGS_MAX];
    Tombolo__State__V1__Elements elements[TMB_TYPES];
    Tombolo__State__V1__TooLarge too_large[TMB_TYPES];
    char **texts[TMB_TYPES]; /* each list is one allocation, its letters behind it */
} parts;

static void free_parts(parts *p)
{
    for (unsigned i = 0; p && i < TMB_TYPES; i++)
        free((void *)p->texts[i]);
    free(p);
}

static tmb_err put_elements(parts *p, const tmb_value *value, tmb_type type)
{
    size_t count = value->count[type], at = 0, n = 0;
    tmb_bytes element;
    char **list = malloc(count * (sizeof *list + 1) + value->bytes[type] + 1);
    if (!list)
        return TMB_ENOMEM;
    char *letters = (char *)(list + count);
    while (n < count && tmb_value_element(value, type, &at, &element)) {
        list[n++] = letters;
        memcpy(letters, element.ptr, element.len);
        letters[element.len] = '\0';
        letters += element.len + 1;
    }
    p->texts[type] = list;
    tombolo__state__v1__elements__init(&p->elements[type]);
    p->elements[type].n_texts = n;
    p->elements[type].texts = list;
    p->fields[type].elements = &p->elements[type];
    p->fields[type].value_case = TOMBOLO__STATE__V1__STATE_FIELD__VALUE_ELEMENTS;
    return TMB_OK;
}

static void put_too_large(parts *p, const tmb_value *value, tmb_type type)
{
    Tombolo__State__V1__TooLarge *large = &p->too_large[type];
    tombolo__state__v1__too_large__init(large);
    large->count = type == TMB_TYPE_REGISTER ? 1 : value->count[type];
    large->bytes = type == TMB_TYPE_REGISTER ? value->siblings[0].bytes.len : value->bytes[type];
    large->max = value->bytes_max;
    large->more = value->has_more[type];
    p->fields[type].too_large = large;
    p->fields[type].value_case = TOMBOLO__STATE__V1__STATE_FIELD__VALUE_TOO_LARGE;
}

static ProtobufCBinaryData data_of(tmb_bytes bytes)
{
    ProtobufCBinaryData data = {bytes.len, (uint8_t *)(uintptr_t)bytes.ptr};
    return data;
}

static void put_register(parts *p, const tmb_value *value, Tombolo__State__V1__StateField *field)
{
    if (value->siblings[0].bytes.len > value->bytes_max) {
        put_too_large(p, value, TMB_TYPE_REGISTER);
        return;
    }
    field->bytes = data_of(value->siblings[0].bytes);
    field->value_case = TOMBOLO__STATE__V1__STATE_FIELD__VALUE_BYTES;
    for (unsigned i = 0; i < value->siblings_count && value->siblings_count > 1; i++) {
        const tmb_sibling *from = &value->siblings[i];
        tombolo__state__v1__state_sibling__init(&p->siblings[i]);
        p->siblings[i].bytes = data_of(from->bytes);
        p->siblings[i].stamp = from->stamp.u64;
        p->siblings[i].by = data_of(tmb_bytes_of(from->by.bytes, sizeof from->by.bytes));
        p->siblings_list[i] = &p->siblings[i];
        field->n_siblings = i + 1;
    }
    field->siblings = p->siblings_list;
}

static tmb_err put_field(parts *p, const tmb_value *value, tmb_type type)
{
    Tombolo__State__V1__StateField *field = &p->fields[type];
    tombolo__state__v1__state_field__init(field);
    field->type = (char *)(uintptr_t)tmb_type_str(type);
    p->list[p->message.n_fields++] = field;
    switch (type) {
    case TMB_TYPE_REGISTER:
        put_register(p, value, field);
        break;
    case TMB_TYPE_G_COUNTER:
    case TMB_TYPE_PN_COUNTER:
        field->count = value->counters[type];
        field->value_case = TOMBOLO__STATE__V1__STATE_FIELD__VALUE_COUNT;
        break;
    case TMB_TYPE_AW_SET:
    case TMB_TYPE_RW_SET:
    case TMB_TYPE_G_SET:
        if (!value->is_too_large[type])
            return put_elements(p, value, type);
        put_too_large(p, value, type);
        break;
    case TMB_TYPE_EW_FLAG:
    case TMB_TYPE_DW_FLAG:
        field->is_on = value->flags[type];
        field->value_case = TOMBOLO__STATE__V1__STATE_FIELD__VALUE_IS_ON;
        break;
    case TMB_TYPE_MAX:
    case TMB_TYPE_MIN:
        field->number = value->numbers[type];
        field->value_case = TOMBOLO__STATE__V1__STATE_FIELD__VALUE_NUMBER;
        break;
    case TMB_TYPE_MAP:
    case TMB_TYPE_NONE:
        field->is_there = true;
        field->value_case = TOMBOLO__STATE__V1__STATE_FIELD__VALUE_IS_THERE;
        break;
    }
    return TMB_OK;
}

static tmb_err pack(tmb_value *value, const parts *p, tmb_bytes *ret)
{
    size_t size = tombolo__state__v1__state_value__get_packed_size(&p->message);
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    if (!bytes)
        return TMB_ENOMEM;
    tmb_text_put(&value->out,
                 tmb_bytes_of(bytes, tombolo__state__v1__state_value__pack(&p->message, bytes)));
    free(bytes);
    *ret = tmb_text_bytes(&value->out);
    return value->out.is_bad ? TMB_ENOMEM : TMB_OK;
}

tmb_err tmb_value_protobuf(tmb_value *value, tmb_bytes token, tmb_bytes *ret)
{
    tmb_text_clear(&value->out);
    if (!tmb_value_is_there(value)) {
        *ret = tmb_bytes_of(NULL, 0);
        return TMB_OK;
    }
    parts *p = calloc(1, sizeof *p);
    if (!p)
        return TMB_ENOMEM;
    tombolo__state__v1__state_value__init(&p->message);
    p->message.version = 1;
    p->message.token = data_of(token);
    p->message.fields = p->list;
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < TMB_TYPES && err == TMB_OK; i++)
        if (tmb_value_shows(value, (tmb_type)i))
            err = put_field(p, value, (tmb_type)i);
    if (err == TMB_OK)
        err = pack(value, p, ret);
    free_parts(p);
    return err;
}
