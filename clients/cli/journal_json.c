// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_json.c - records and gaps as JSON. Bytes that are not UTF-8 go under a name that ends
 * in _base64, so nothing is bent to fit.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/journal_cli.h"
#include "journal/text.h"
#include "proto/props.h"

static char *to_base64(tmb_bytes b)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = malloc((b.len + 2) / 3 * 4 + 1), *to = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < b.len; i += 3) {
        size_t left = b.len - i;
        uint32_t v = (uint32_t)b.ptr[i] << 16;
        if (left > 1)
            v |= (uint32_t)b.ptr[i + 1] << 8;
        if (left > 2)
            v |= b.ptr[i + 2];
        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
        *to++ = left > 2 ? alphabet[v & 63] : '=';
    }
    *to = '\0';
    return out;
}

/* As text under name, or under name_base64. */
static void set_bytes(json_t *object, const char *name, tmb_bytes b)
{
    char long_name[64];
    if (b.len == 0 || tmb_utf8_is_valid(b)) {
        json_object_set_new(object, name, json_stringn(b.len ? (const char *)b.ptr : "", b.len));
        return;
    }
    char *text = to_base64(b);
    snprintf(long_name, sizeof long_name, "%s_base64", name);
    json_object_set_new(object, long_name, json_string(text ? text : ""));
    free(text);
}

json_t *cli_json_time(tmb_wall wall)
{
    char text[CLI_TIME_BYTES];
    cli_time_print(wall, text);
    return json_string(text);
}

json_t *cli_json_incarnation(const tmb_incarnation *incarnation)
{
    char hex[TMB_INCARNATION_HEX_BYTES];
    tmb_text_hex(incarnation, hex);
    return json_string(hex);
}

static json_t *origin_json(const tmb_origin *origin)
{
    json_t *object = json_object();
    set_bytes(object, "node", origin->node);
    json_object_set_new(object, "incarnation", cli_json_incarnation(&origin->incarnation));
    set_bytes(object, "stream", origin->stream);
    json_object_set_new(object, "seq", json_integer((json_int_t)origin->seq));
    json_object_set_new(object, "time", cli_json_time(tmb_hlc_wall(origin->stamp)));
    return object;
}

static void set_prop(json_t *object, json_t *users, const tmb_prop *prop)
{
    switch ((enum tmb_prop_id)prop->id) {
    case TMB_PROP_PAYLOAD_FORMAT:
        json_object_set_new(object, "payload_format", json_integer(prop->number));
        break;
    case TMB_PROP_EXPIRY:
        json_object_set_new(object, "expiry_s", json_integer(prop->number));
        break;
    case TMB_PROP_CONTENT_TYPE:
        set_bytes(object, "content_type", prop->value);
        break;
    case TMB_PROP_RESPONSE_TOPIC:
        set_bytes(object, "response_topic", prop->value);
        break;
    case TMB_PROP_CORRELATION:
        set_bytes(object, "correlation", prop->value);
        break;
    case TMB_PROP_USER: {
        json_t *pair = json_object();
        set_bytes(pair, "name", prop->name);
        set_bytes(pair, "value", prop->value);
        json_array_append_new(users, pair);
        break;
    }
    }
}

static void set_props(json_t *object, tmb_bytes props)
{
    if (props.len == 0)
        return;
    if (!tmb_props_are_valid(props)) {
        char *text = to_base64(props);
        json_object_set_new(object, "properties_base64", json_string(text ? text : ""));
        free(text);
        return;
    }
    json_t *all = json_object(), *users = json_array();
    tmb_reader reader = tmb_reader_of(props);
    tmb_prop prop;
    while (tmb_props_next(&reader, &prop) == TMB_OK)
        set_prop(all, users, &prop);
    if (json_array_size(users) > 0)
        json_object_set(all, "user", users);
    json_decref(users);
    json_object_set_new(object, "properties", all);
}

json_t *cli_json_record(const char *stream, const tmb_record *record)
{
    char hlc[48];
    json_t *object = json_object();
    snprintf(hlc, sizeof hlc, "%" PRIu64 ".%u", record->stamp.u64 >> 16,
             (unsigned)(record->stamp.u64 & 0xffff));
    json_object_set_new(object, "stream", json_string(stream));
    json_object_set_new(object, "seq", json_integer((json_int_t)record->seq));
    json_object_set_new(object, "time", cli_json_time(tmb_hlc_wall(record->stamp)));
    json_object_set_new(object, "hlc", json_string(hlc));
    set_bytes(object, "topic", record->topic);
    json_object_set_new(object, "qos", json_integer(record->qos));
    json_object_set_new(object, "retain", json_boolean(record->retain));
    json_object_set_new(object, "will", json_boolean(record->is_will));
    set_bytes(object, "publisher", record->publisher);
    if (record->is_numbered) {
        json_object_set_new(object, "number", json_integer((json_int_t)record->number));
        set_bytes(object, "run", record->run);
    }
    if (record->has_origin)
        json_object_set_new(object, "origin", origin_json(&record->origin));
    if (record->has_via)
        json_object_set_new(object, "via", origin_json(&record->via));
    set_props(object, record->props);
    set_bytes(object, "payload", record->payload);
    return object;
}

json_t *cli_json_gap(const tmb_tail_gap *gap)
{
    json_t *object = json_object();
    json_object_set_new(object, "reason", json_string(tmb_gap_reason_str(gap->reason)));
    json_object_set_new(object, "first_seq", json_integer((json_int_t)gap->first_seq));
    json_object_set_new(object, "last_seq",
                        gap->last_seq ? json_integer((json_int_t)gap->last_seq) : json_null());
    if (gap->file[0]) {
        json_object_set_new(object, "file", json_string(gap->file));
        json_object_set_new(object, "offset", json_integer((json_int_t)gap->offset));
        json_object_set_new(object, "bytes", json_integer((json_int_t)gap->bytes));
    }
    return object;
}

bool cli_json_print(json_t *value, bool is_indented)
{
    int rc = json_dumpf(value, stdout, is_indented ? JSON_INDENT(2) : JSON_COMPACT);
    json_decref(value);
    return rc == 0 && putchar('\n') != EOF;
}

bool cli_gap_is_damage(const tmb_tail_gap *gap)
{
    return gap->reason == TMB_GAP_DAMAGED || gap->reason == TMB_GAP_MISSING;
}

void cli_gap_print(const tmb_tail_gap *gap, const char *parent, char *out, size_t cap)
{
    static const char *const why[] = {
        [TMB_GAP_NONE] = "not there",
        [TMB_GAP_TORN] = "never acknowledged: a crash or a full disk cut the write short",
        [TMB_GAP_DAMAGED] = "lost: the bytes on disk are damaged",
        [TMB_GAP_RETENTION] = "dropped by retention",
        [TMB_GAP_MISSING] = "lost: the segment file is gone"};
    static const char *const here[] = {
        [TMB_GAP_DAMAGED] = "damaged on this disk", [TMB_GAP_MISSING] = "gone with a segment file"};
    char where[160] = "", what[TMB_MARKS_SAY_BYTES + 64];
    bool is_told = parent[0] && cli_gap_is_damage(gap);
    snprintf(what, sizeof what, "%s%s%s", is_told ? here[gap->reason] : why[gap->reason],
             is_told ? "; " : "", is_told ? parent : "");
    if (gap->file[0] && gap->reason == TMB_GAP_NONE) {
        snprintf(out, cap, "%s, from byte %" PRIu64 " on: cannot be read", gap->file, gap->offset);
        return;
    }
    if (gap->file[0])
        snprintf(where, sizeof where, "%s, bytes %" PRIu64 " to %" PRIu64 ": ", gap->file,
                 gap->offset, gap->offset + gap->bytes);
    if (gap->last_seq == 0)
        snprintf(out, cap, "%sdamaged; no record before %" PRIu64 " is lost by it", where,
                 gap->first_seq);
    else if (gap->last_seq == gap->first_seq)
        snprintf(out, cap, "%srecord %" PRIu64 " %s", where, gap->first_seq, what);
    else
        snprintf(out, cap, "%srecords %" PRIu64 " to %" PRIu64 " %s", where, gap->first_seq,
                 gap->last_seq, what);
}
