// SPDX-License-Identifier: Apache-2.0
/* clients/cli/state_print.c - what tombolo-state says, to people and to programs. */
#include <stdarg.h>
#include <stdio.h>

#include "clients/cli/state_cli.h"

int state_fail(int code, const char *format, ...)
{
    va_list args;
    fputs("tombolo-state: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

int state_note(const state_options *options, const char *what)
{
    return options->is_json ? STATE_OK : state_fail(STATE_OK, "%s", what);
}

void state_topic(const state_options *options, const state_target *target, const char *level,
                 char out[STATE_TOPIC_BYTES])
{
    bool has_path = target->path[0] != '\0';
    snprintf(out, STATE_TOPIC_BYTES, "%s/%s%s%s%s%s", options->root, target->scope,
             has_path ? "/" : "", target->path, level[0] ? "/" : "", level);
}

static json_t *hex_of(tmb_bytes bytes)
{
    json_t *text;
    char *out = malloc(2 * bytes.len + 1);
    if (!out)
        return NULL;
    for (size_t i = 0; i < bytes.len; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes.ptr[i]);
    text = json_pack("{s:s}", "hex", out);
    free(out);
    return text;
}

json_t *state_value(tmb_bytes payload)
{
    json_t *value = NULL;
    if (payload.len == 0)
        return json_string("");
    value = json_loadb((const char *)payload.ptr, payload.len, JSON_DECODE_ANY, NULL);
    if (!value)
        value = json_stringn((const char *)payload.ptr, payload.len);
    return value ? value : hex_of(payload);
}

bool state_print(json_t *value)
{
    bool is_written = value && json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY) == 0;
    json_decref(value);
    return is_written && putchar('\n') != EOF && fflush(stdout) == 0;
}

void state_print_bytes(tmb_bytes bytes)
{
    if (bytes.len > 0)
        fwrite(bytes.ptr, 1, bytes.len, stdout);
    putchar('\n');
    fflush(stdout);
}
