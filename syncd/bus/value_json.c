// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/value_json.c - values and conflicts as JSON; see value.h for what each looks like. */
#include <inttypes.h>
#include <time.h>

#include "syncd/bus/answer.h"
#include "syncd/bus/value_inside.h"

static void put_set(tmb_text *out, const tmb_value *value, tmb_type type)
{
    size_t at = 0;
    tmb_bytes element;
    tmb_text_put_str(out, "[");
    for (bool is_first = true; tmb_value_element(value, type, &at, &element); is_first = false) {
        tmb_text_put_str(out, is_first ? "" : ",");
        tmb_text_put_json(out, element);
    }
    tmb_text_put_str(out, "]");
}

static void put_type(tmb_text *out, const tmb_value *value, tmb_type type)
{
    char number[TMB_NUMBER_TEXT_BYTES];
    switch (type) {
    case TMB_TYPE_REGISTER:
        tmb_text_put_json(out, value->siblings[0].bytes);
        break;
    case TMB_TYPE_G_COUNTER:
    case TMB_TYPE_PN_COUNTER:
        tmb_text_format(out, "%" PRId64, value->counters[type]);
        break;
    case TMB_TYPE_AW_SET:
    case TMB_TYPE_RW_SET:
    case TMB_TYPE_G_SET:
        put_set(out, value, type);
        break;
    case TMB_TYPE_EW_FLAG:
    case TMB_TYPE_DW_FLAG:
        tmb_text_put_str(out, value->flags[type] ? "true" : "false");
        break;
    case TMB_TYPE_MAX:
    case TMB_TYPE_MIN:
        tmb_number_text(value->numbers[type], number);
        tmb_text_put_str(out, number);
        break;
    case TMB_TYPE_MAP:
    case TMB_TYPE_NONE:
        tmb_text_put_str(out, "{}");
        break;
    }
}

static void put_too_large(tmb_text *out, const tmb_value *value, tmb_type type)
{
    uint64_t count = type == TMB_TYPE_REGISTER ? 1 : value->count[type];
    uint64_t bytes = type == TMB_TYPE_REGISTER ? value->siblings[0].bytes.len : value->bytes[type];
    tmb_text_format(out,
                    "{\"too_large\":{\"type\":\"%s\",\"count\":%" PRIu64 ",\"bytes\":%" PRIu64
                    ",\"max\":%" PRIu64 "%s}}",
                    tmb_type_str(type), count, bytes, value->bytes_max,
                    value->has_more[type] ? ",\"more\":true" : "");
}

/* One type as JSON, or what stands for it when it is too large. */
static void put_bounded(tmb_text *out, const tmb_value *value, tmb_type type)
{
    size_t before = out->len;
    TMB_ASSERT((unsigned)type < TMB_TYPES);
    if (!value->is_too_large[type])
        put_type(out, value, type);
    if (!value->is_too_large[type] && out->len - before <= value->bytes_max)
        return;
    out->len = before;
    put_too_large(out, value, type);
}

static void put_clash(tmb_text *out, const tmb_value *value)
{
    bool is_first = true;
    tmb_text_put_str(out, "{\"clash\":{");
    for (unsigned i = 0; i < TMB_TYPES; i++) {
        if (!tmb_value_shows(value, (tmb_type)i))
            continue;
        tmb_text_format(out, "%s\"%s\":", is_first ? "" : ",", tmb_type_str((tmb_type)i));
        put_bounded(out, value, (tmb_type)i);
        is_first = false;
    }
    tmb_text_put_str(out, "}}");
}

static tmb_err give(const tmb_text *out, tmb_bytes *ret)
{
    if (out->is_bad)
        return TMB_ENOMEM;
    *ret = tmb_text_bytes(out);
    return TMB_OK;
}

tmb_err tmb_value_payload(tmb_value *value, tmb_bytes *ret, bool *ret_is_json)
{
    unsigned count;
    tmb_type type = tmb_value_type(value, &count);
    tmb_text_clear(&value->out);
    *ret_is_json = count > 0;
    if (count == 0) {
        *ret = tmb_bytes_of(NULL, 0);
        return TMB_OK;
    }
    if (type == TMB_TYPE_REGISTER && value->siblings[0].bytes.len <= value->bytes_max) {
        *ret_is_json = false;
        *ret = value->siblings[0].bytes;
        return TMB_OK;
    }
    if (type == TMB_TYPE_REGISTER)
        put_too_large(&value->out, value, type);
    else if (type != TMB_TYPE_NONE)
        put_bounded(&value->out, value, type);
    else
        put_clash(&value->out, value);
    return give(&value->out, ret);
}

static void put_time(tmb_text *out, tmb_hlc stamp)
{
    int64_t ms = tmb_hlc_wall(stamp).ms;
    time_t seconds = (time_t)(ms / 1000);
    struct tm t;
    char text[64];
    if (gmtime_r(&seconds, &t) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t) > 0)
        tmb_text_format(out, "%s.%03dZ", text, (int)(ms % 1000));
}

static void put_sibling(tmb_text *out, const tmb_value *value, const tmb_sibling *sibling,
                        bool is_read)
{
    const char *node = value->name_of ? value->name_of(value->name_arg, &sibling->by) : NULL;
    tmb_text_put_str(out, is_read ? "{\"value\":" : ",{\"value\":");
    tmb_text_put_json(out, sibling->bytes);
    tmb_text_put_str(out, ",\"at\":\"");
    put_time(out, sibling->stamp);
    tmb_text_format(out, "\",\"stamp\":\"%016" PRIx64 "\",\"by\":\"", sibling->stamp.u64);
    for (unsigned i = 0; i < TMB_INCARNATION_BYTES; i++)
        tmb_text_format(out, "%02x", sibling->by.bytes[i]);
    if (node)
        tmb_text_format(out, "\",\"node\":\"%s", node); /* a name needs no escape */
    tmb_text_format(out, "\",\"read\":%s}", is_read ? "true" : "false");
}

tmb_err tmb_value_conflicts(tmb_value *value, tmb_bytes *ret)
{
    tmb_text_clear(&value->out);
    if (value->siblings_count < 2) {
        *ret = tmb_bytes_of(NULL, 0);
        return TMB_OK;
    }
    tmb_text_put_str(&value->out, "[");
    for (unsigned i = 0; i < value->siblings_count; i++)
        put_sibling(&value->out, value, &value->siblings[i], i == 0);
    tmb_text_put_str(&value->out, "]");
    return give(&value->out, ret);
}
