// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/twin.c - desired fields go into a list; what is reported alike is struck off it again.
 *
 * Leaves come in the order of keys, so that all of desired is there before the first of reported, and all
 * leaves of one field come together.
 */
#include "syncd/bus/twin.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "syncd/bus/answer.h"
#include "syncd/bus/value.h"

#define ROOT     "twin/"
#define DESIRED  "desired/"
#define REPORTED "reported/"

typedef enum part { PART_NONE = 0, PART_DESIRED, PART_REPORTED } part;

struct tmb_twin {
    tmb_value *value; /* of the field that is being read */
    char path[TMB_PATH_BYTES_MAX + 1], field[TMB_PATH_BYTES_MAX + 1];
    size_t path_len;
    part part;
    json_t *missing; /* desired, less what was reported alike */
    bool has_leaves, has_online, is_online;
    int64_t seen_ms, every_ms, silent_at_ms; /* 0: never, none */
    char *payload;
};

static bool starts_with(tmb_bytes b, const char *text)
{
    size_t len = strlen(text);
    return b.len >= len && memcmp(b.ptr, text, len) == 0;
}

static tmb_bytes behind(tmb_bytes b, size_t len)
{
    return tmb_bytes_of(b.ptr + len, b.len - len);
}

tmb_bytes tmb_twin_of(tmb_bytes path)
{
    tmb_bytes none = tmb_bytes_of(NULL, 0);
    if (!starts_with(path, ROOT))
        return none;
    size_t len = sizeof ROOT - 1;
    while (len < path.len && path.ptr[len] != '/')
        len++;
    if (len == sizeof ROOT - 1)
        return none;
    tmb_bytes device = tmb_bytes_of(path.ptr, len);
    if (len == path.len)
        return device;
    tmb_bytes rest = behind(path, len + 1);
    return starts_with(rest, DESIRED) || starts_with(rest, REPORTED) ? device : none;
}

tmb_err tmb_twin_new(uint64_t bytes_max, tmb_twin **ret)
{
    tmb_twin *twin = calloc(1, sizeof *twin);
    if (!twin)
        return TMB_ENOMEM;
    tmb_err err = tmb_value_new(bytes_max, &twin->value);
    if (err != TMB_OK) {
        free(twin);
        return err;
    }
    *ret = twin;
    return TMB_OK;
}

void tmb_twin_free(tmb_twin *twin)
{
    if (!twin)
        return;
    json_decref(twin->missing);
    free(twin->payload);
    tmb_value_free(twin->value);
    free(twin);
}

void tmb_twin_reset(tmb_twin *twin, tmb_bytes path)
{
    json_decref(twin->missing);
    free(twin->payload);
    tmb_value *value = twin->value;
    tmb_value_reset(value);
    *twin = (tmb_twin){.value = value};
    twin->path_len = path.len < TMB_PATH_BYTES_MAX ? path.len : TMB_PATH_BYTES_MAX;
    if (twin->path_len > 0)
        memcpy(twin->path, path.ptr, twin->path_len);
}

/* What a payload says, as JSON: what it is, else its text, else its bytes. */
static json_t *json_of(tmb_bytes payload)
{
    json_t *value = NULL;
    if (payload.len > 0)
        value = json_loadb((const char *)payload.ptr, payload.len, JSON_DECODE_ANY, NULL);
    if (!value)
        value = json_stringn(payload.len > 0 ? (const char *)payload.ptr : "", payload.len);
    if (value)
        return value;
    char *text = malloc(TMB_TOKEN_TEXT_BYTES(payload.len));
    if (!text)
        return NULL;
    tmb_token_text(payload, text, TMB_TOKEN_TEXT_BYTES(payload.len));
    value = json_pack("{s:s}", "base64", text);
    free(text);
    return value;
}

static bool is_same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) <= json_number_value(b) &&
               json_number_value(a) >= json_number_value(b);
    return json_equal(a, b);
}

static bool says_yes(const json_t *value)
{
    if (json_is_string(value))
        return strcmp(json_string_value(value), "on") == 0 ||
               strcmp(json_string_value(value), "online") == 0;
    return json_is_true(value) || (json_is_number(value) && json_number_value(value) > 0);
}

static void take_reported(tmb_twin *twin, const json_t *value)
{
    const json_t *desired = json_object_get(twin->missing, twin->field);
    if (desired && is_same(desired, value))
        json_object_del(twin->missing, twin->field);
    if (strcmp(twin->field, "online") == 0) {
        twin->has_online = true;
        twin->is_online = says_yes(value);
    }
    double every_s = strcmp(twin->field, "every") == 0 ? json_number_value(value) : 0;
    if (every_s > 0 && every_s < 1e9) /* thirty years is as good as never */
        twin->every_ms = (int64_t)(every_s * 1000);
}

/* The field whose leaves were added is whole. */
static tmb_err end_field(tmb_twin *twin)
{
    part which = twin->part;
    twin->part = PART_NONE;
    tmb_bytes payload;
    bool is_json;
    if (which == PART_NONE || !tmb_value_is_there(twin->value))
        return TMB_OK;
    tmb_err err = tmb_value_payload(twin->value, &payload, &is_json);
    json_t *value = err == TMB_OK ? json_of(payload) : NULL;
    if (!value)
        return err != TMB_OK ? err : TMB_ENOMEM;
    if (!twin->missing)
        twin->missing = json_object();
    if (which == PART_REPORTED)
        take_reported(twin, value);
    else if (json_object_set(twin->missing, twin->field, value) != 0)
        err = TMB_ENOMEM;
    json_decref(value);
    return err;
}

/* Which part a path below the twin's is in, and the field; none: neither, or the twin itself. */
static part part_of(const tmb_twin *twin, tmb_bytes path, tmb_bytes *ret_field)
{
    if (path.len <= twin->path_len + 1)
        return PART_NONE;
    tmb_bytes rest = behind(path, twin->path_len + 1);
    bool is_desired = starts_with(rest, DESIRED);
    if (!is_desired && !starts_with(rest, REPORTED))
        return PART_NONE;
    *ret_field = behind(rest, is_desired ? sizeof DESIRED - 1 : sizeof REPORTED - 1);
    return is_desired ? PART_DESIRED : PART_REPORTED;
}

tmb_err tmb_twin_add(tmb_twin *twin, const tmb_leaf_key *key, const tmb_leaf *leaf)
{
    tmb_bytes field = tmb_bytes_of(NULL, 0);
    part which = part_of(twin, key->path, &field);
    bool is_next = which != twin->part || !tmb_bytes_eq(field, tmb_bytes_str(twin->field));
    tmb_err err = is_next ? end_field(twin) : TMB_OK;
    if (err != TMB_OK || leaf->count == 0)
        return err;
    twin->has_leaves = true;
    if (which == PART_NONE || field.len > TMB_PATH_BYTES_MAX)
        return TMB_OK;
    if (is_next) {
        tmb_value_reset(twin->value);
        if (field.len > 0)
            memcpy(twin->field, field.ptr, field.len);
        twin->field[field.len] = '\0';
        twin->part = which;
    }
    for (unsigned i = 0;
         which == PART_REPORTED && key->type == TMB_TYPE_REGISTER && i < leaf->count; i++) {
        int64_t ms = tmb_hlc_wall(tmb_register_stamp(&leaf->entries[i])).ms;
        twin->seen_ms = ms > twin->seen_ms ? ms : twin->seen_ms;
    }
    err = tmb_value_add(twin->value, key, leaf);
    return err == TMB_ELIMIT ? TMB_OK : err; /* enough of it is known */
}

static json_t *time_of(int64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm parts;
    char text[64], whole[80];
    if (ms <= 0 || !gmtime_r(&s, &parts))
        return json_null();
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(whole, sizeof whole, "%s.%03dZ", text, (int)(ms % 1000));
    return json_string(whole);
}

static json_t *shown(json_t *missing, bool *ret_is_more)
{
    json_t *out = json_object(), *value;
    const char *field;
    *ret_is_more = false;
    json_object_foreach(missing, field, value)
    {
        if (json_object_size(out) == TMB_TWIN_FIELDS_MAX) {
            *ret_is_more = true;
            break;
        }
        json_object_set(out, field, value);
    }
    return out;
}

tmb_err tmb_twin_payload(tmb_twin *twin, bool is_reachable, tmb_wall now, tmb_bytes *ret)
{
    tmb_err err = end_field(twin);
    *ret = tmb_bytes_of(NULL, 0);
    if (err != TMB_OK || !twin->has_leaves)
        return err;
    int64_t silent_at = INT64_MAX;
    if (twin->every_ms > 0 && twin->seen_ms > 0)
        silent_at = twin->seen_ms + TMB_TWIN_SILENT_TIMES * twin->every_ms;
    bool is_online = twin->is_online && is_reachable && now.ms < silent_at;
    twin->silent_at_ms = is_online ? silent_at : INT64_MAX;
    bool is_more;
    json_t *online = twin->has_online ? json_boolean(is_online) : json_null();
    json_t *all = json_pack("{s:o?, s:o, s:o?}", "delta", shown(twin->missing, &is_more), "online",
                            online, "seen", time_of(twin->seen_ms));
    if (all && is_more)
        json_object_set_new(all, "more", json_true());
    free(twin->payload);
    twin->payload = all ? json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(all);
    if (!twin->payload)
        return TMB_ENOMEM;
    *ret = tmb_bytes_str(twin->payload);
    return TMB_OK;
}

int64_t tmb_twin_silent_at(const tmb_twin *twin)
{
    return twin->silent_at_ms;
}

bool tmb_twin_says_online(const tmb_twin *twin)
{
    return twin->has_online;
}
