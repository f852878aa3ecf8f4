// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/value.c - leaves in, bounded by the size of a value. */
#include "syncd/bus/value_inside.h"

#include <stdlib.h>

#include "syncd/bus/answer.h"

tmb_err tmb_value_new(uint64_t bytes_max, tmb_value **ret)
{
    tmb_value *value = calloc(1, sizeof *value);
    if (!value)
        return TMB_ENOMEM;
    value->bytes_max = bytes_max;
    *ret = value;
    return TMB_OK;
}

static void clear_texts(tmb_value *value)
{
    for (unsigned i = 0; i < TMB_TYPES; i++)
        tmb_text_clear(&value->elements[i]);
    tmb_text_clear(&value->registers);
    tmb_text_clear(&value->out);
}

void tmb_value_free(tmb_value *value)
{
    if (!value)
        return;
    clear_texts(value);
    free(value);
}

void tmb_value_reset(tmb_value *value)
{
    uint64_t bytes_max = value->bytes_max;
    clear_texts(value);
    memset(value, 0, sizeof *value);
    value->bytes_max = bytes_max;
}

void tmb_value_name(tmb_value *value, tmb_value_name_of *name_of, void *arg)
{
    value->name_of = name_of;
    value->name_arg = arg;
}

/* The order in which values written at once are read: stamp, actor, bytes, as tmb_register_read has it. */
static bool is_before(const tmb_entry *a, const tmb_entry *b)
{
    uint64_t x = tmb_register_stamp(a).u64, y = tmb_register_stamp(b).u64;
    if (x != y)
        return x > y;
    int order = tmb_incarnation_cmp(&a->dot.actor, &b->dot.actor);
    if (order != 0)
        return order > 0;
    tmb_bytes p = tmb_register_bytes(a), q = tmb_register_bytes(b);
    size_t least = p.len < q.len ? p.len : q.len;
    order = least > 0 ? memcmp(p.ptr, q.ptr, least) : 0;
    if (order != 0 || p.len != q.len)
        return order != 0 ? order > 0 : p.len > q.len;
    return tmb_dot_cmp(&a->dot, &b->dot) > 0;
}

static tmb_err add_register(tmb_value *value, const tmb_leaf *leaf)
{
    const tmb_entry *sorted[TMB_SIBLINGS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < leaf->count; i++) {
        unsigned at = count++;
        for (; at > 0 && is_before(&leaf->entries[i], sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = &leaf->entries[i];
    }
    for (unsigned i = 0; i < count; i++) {
        tmb_sibling *sibling = &value->siblings[i];
        sibling->stamp = tmb_register_stamp(sorted[i]);
        sibling->by = sorted[i]->dot.actor;
        sibling->at = value->registers.len;
        sibling->bytes = tmb_register_bytes(sorted[i]);
        tmb_text_put(&value->registers, sibling->bytes);
    }
    if (value->registers.is_bad)
        return TMB_ENOMEM;
    for (unsigned i = 0; i < count; i++) /* the text has stopped growing */
        value->siblings[i].bytes = tmb_bytes_of(value->registers.ptr + value->siblings[i].at,
                                                value->siblings[i].bytes.len);
    value->siblings_count = count;
    return TMB_OK;
}

static tmb_err add_element(tmb_value *value, tmb_type type, tmb_bytes element)
{
    if (value->count[type] == TMB_VALUE_COUNT_MAX && value->is_too_large[type]) {
        value->has_more[type] = true;
        return TMB_ELIMIT;
    }
    value->count[type]++;
    value->bytes[type] += element.len;
    /* Two quotes and a comma each: what is larger even so is not shown. */
    if (value->bytes[type] + 3 * value->count[type] > value->bytes_max) {
        value->is_too_large[type] = true;
        tmb_text_clear(&value->elements[type]);
    }
    if (value->is_too_large[type])
        return TMB_OK;
    uint32_t len = (uint32_t)element.len;
    tmb_text_put(&value->elements[type], tmb_bytes_of(&len, sizeof len));
    tmb_text_put(&value->elements[type], element);
    return value->elements[type].is_bad ? TMB_ENOMEM : TMB_OK;
}

tmb_err tmb_value_add(tmb_value *value, const tmb_leaf_key *key, const tmb_leaf *leaf)
{
    bool is_saturated = false;
    const tmb_entry *extreme = NULL;
    tmb_type type = key->type;
    if (leaf->count == 0)
        return TMB_OK;
    value->has[type] = true;
    switch (type) {
    case TMB_TYPE_REGISTER:
        return add_register(value, leaf);
    case TMB_TYPE_G_COUNTER:
    case TMB_TYPE_PN_COUNTER:
        value->counters[type] = tmb_counter_read(type, leaf, &is_saturated);
        return TMB_OK;
    case TMB_TYPE_AW_SET:
    case TMB_TYPE_RW_SET:
    case TMB_TYPE_G_SET:
        return tmb_type_is_in(type, leaf) ? add_element(value, type, key->elem) : TMB_OK;
    case TMB_TYPE_EW_FLAG:
    case TMB_TYPE_DW_FLAG:
        value->flags[type] = tmb_type_is_in(type, leaf);
        return TMB_OK;
    case TMB_TYPE_MAX:
    case TMB_TYPE_MIN:
        extreme = tmb_extreme_read(type, leaf);
        if (!extreme || tmb_number_of_order(extreme->value, &value->numbers[type]) != TMB_OK)
            value->has[type] = false; /* of a version that knows other numbers */
        return TMB_OK;
    case TMB_TYPE_MAP:
        return TMB_OK;
    case TMB_TYPE_NONE:
        break;
    }
    value->has[type] = false;
    return TMB_OK;
}

bool tmb_value_shows(const tmb_value *value, tmb_type type)
{
    if (!value->has[type] || type != TMB_TYPE_MAP)
        return value->has[type];
    for (unsigned i = 0; i < TMB_TYPES; i++)
        if (value->has[i] && i != TMB_TYPE_MAP)
            return false;
    return true;
}

tmb_type tmb_value_type(const tmb_value *value, unsigned *ret_count)
{
    tmb_type type = TMB_TYPE_NONE;
    *ret_count = 0;
    for (unsigned i = 0; i < TMB_TYPES; i++) {
        if (!tmb_value_shows(value, (tmb_type)i))
            continue;
        type = (tmb_type)i;
        ++*ret_count;
    }
    return *ret_count == 1 ? type : TMB_TYPE_NONE;
}

bool tmb_value_is_there(const tmb_value *value)
{
    unsigned count;
    (void)tmb_value_type(value, &count);
    return count > 0;
}

bool tmb_value_element(const tmb_value *value, tmb_type type, size_t *at, tmb_bytes *ret)
{
    const tmb_text *text = &value->elements[type];
    uint32_t len;
    if (*at + sizeof len > text->len)
        return false;
    memcpy(&len, text->ptr + *at, sizeof len);
    *ret = tmb_bytes_of(text->ptr + *at + sizeof len, len);
    *at += sizeof len + len;
    return true;
}
