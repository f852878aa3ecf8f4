// SPDX-License-Identifier: Apache-2.0
/* config/print.c - the struct as YAML, in the order of the table.
 *
 * Each line is a key; the steps of its path that the line above did not have come first:
 *
 *   parent.host           parent:
 *                           host: "hub.example.com"
 *   parent.backoff.base     backoff:
 *                             base: 500ms
 */
#include "config/print.h"
#include "config/set.h"

#include <inttypes.h>

#define INDENT 2

const char *tmb_config_text(const tmb_config_key *key, const void *base)
{
    const void *field = (const char *)base + key->offset;
    switch (key->type) {
    case TMB_CONFIG_NAME:
    case TMB_CONFIG_HOST:
    case TMB_CONFIG_PATH:
    case TMB_CONFIG_RING:
    case TMB_CONFIG_TEMPLATE:
    case TMB_CONFIG_WEIGHTS:
        return *(char *const *)field;
    case TMB_CONFIG_STREAM_NAME:
        return field;
    case TMB_CONFIG_DURABILITY:
        return tmb_durability_str(*(const tmb_durability *)field);
    case TMB_CONFIG_FULL:
        return tmb_full_str(*(const tmb_full *)field);
    case TMB_CONFIG_CLASS:
        return tmb_class_str(*(const tmb_class *)field);
    case TMB_CONFIG_BOOL:
        return *(const bool *)field ? "true" : "false";
    case TMB_CONFIG_FILTERS:
    case TMB_CONFIG_ENDPOINTS:
    case TMB_CONFIG_SCOPES:
    case TMB_CONFIG_SHARES:
    case TMB_CONFIG_PORT:
    case TMB_CONFIG_COUNT:
    case TMB_CONFIG_SIZE:
    case TMB_CONFIG_RATE:
    case TMB_CONFIG_SCHEDULE:
    case TMB_CONFIG_DURATION:
        break;
    }
    return NULL;
}

uint64_t tmb_config_number(const tmb_config_key *key, const void *base)
{
    TMB_ASSERT(base != NULL);
    const void *field = (const char *)base + key->offset;
    if (key->type == TMB_CONFIG_PORT)
        return *(const unsigned *)field;
    if (key->type == TMB_CONFIG_DURATION)
        return (uint64_t) * (const int64_t *)field;
    return *(const uint64_t *)field;
}

/* A section with a required text that is not there is not configured. */
bool tmb_config_is_shown(const tmb_config *config, const tmb_config_key *key)
{
    size_t top_len = strcspn(key->path, ".[");
    if (tmb_config_in_stream(key))
        return true;
    for (size_t i = 0; i < TMB_CONFIG_KEYS; i++) {
        const tmb_config_key *other = &tmb_config_keys[i];
        if (other->is_required && strncmp(other->path, key->path, top_len + 1) == 0 &&
            tmb_config_text(other, config) == NULL)
            return false;
    }
    return true;
}

static uint32_t decode(const unsigned char *at, unsigned *ret_len)
{
    static const unsigned char lead_bits[] = {0x7f, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned len = *at < 0x80 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
    uint32_t point = *at & lead_bits[len];
    for (unsigned i = 1; i < len; i++)
        point = point << 6 | (at[i] & 0x3f);
    *ret_len = len;
    return point;
}

/* What YAML takes in a quoted text as it stands: printable, and no kind of line break. */
static bool stands_for_itself(uint32_t point)
{
    return (point >= 0x20 && point < 0x7f) || (point >= 0xa0 && point < 0x2028) ||
           (point > 0x2029 && point < 0xd800) || (point >= 0xe000 && point < 0xfeff) ||
           (point > 0xfeff && point < 0xfffe) || point >= 0x10000;
}

static void print_quoted(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    fputc('"', out);
    while (*at != '\0') {
        unsigned len;
        uint32_t point = decode(at, &len);
        if (point == '"' || point == '\\')
            fprintf(out, "\\%c", (int)point);
        else if (stands_for_itself(point))
            fwrite(at, 1, len, out);
        else
            fprintf(out, "\\u%04" PRIx32, point);
        at += len;
    }
    fputc('"', out);
}

static void print_topics(FILE *out, const tmb_stream_policy *stream)
{
    fputc('[', out);
    for (unsigned i = 0; i < stream->topics_count; i++) {
        fputs(i > 0 ? ", " : " ", out);
        print_quoted(out, stream->topics[i]);
    }
    fputs(" ]", out);
}

static void print_schedule(FILE *out, const tmb_schedule *schedule)
{
    fputc('[', out);
    for (unsigned i = 0; i < schedule->count; i++) {
        const tmb_schedule_entry *entry = &schedule->v[i];
        char days[TMB_CONFIG_DAYS_TEXT];
        char rate[TMB_VALUE_TEXT_MAX] = "none";
        tmb_config_days_format(entry->days, days);
        if (entry->rate != 0)
            tmb_rate_format(entry->rate, rate);
        fprintf(out, "%s{ days: %s, from: \"%02u:%02u\", to: \"%02u:%02u\", rate: %s }",
                i > 0 ? ", " : " ", days, entry->from_min / 60, entry->from_min % 60,
                entry->to_min / 60, entry->to_min % 60, rate);
    }
    fputs(schedule->count > 0 ? " ]" : "]", out);
}

static void print_endpoints(FILE *out, const tmb_config_endpoints *endpoints)
{
    fputc('[', out);
    for (unsigned i = 0; i < endpoints->count; i++) {
        fputs(i > 0 ? ", { host: " : " { host: ", out);
        print_quoted(out, endpoints->v[i].host);
        fprintf(out, ", port: %u }", endpoints->v[i].port);
    }
    fputs(endpoints->count > 0 ? " ]" : "]", out);
}

static void print_scopes(FILE *out, const tmb_state_scopes *scopes)
{
    fputc('[', out);
    for (unsigned i = 0; i < scopes->count; i++) {
        fputs(i > 0 ? ", " : " ", out);
        print_quoted(out, scopes->v[i].text);
    }
    fputs(scopes->count > 0 ? " ]" : "]", out);
}

static void print_shares(FILE *out, const tmb_state_shares *shares)
{
    fputc('[', out);
    for (unsigned i = 0; i < shares->count; i++)
        fprintf(out, "%s{ scope: \"%s\", children: \"%s\", write: %s }", i > 0 ? ", " : " ",
                shares->v[i].scope.text, shares->v[i].children.text,
                shares->v[i].write ? "true" : "false");
    fputs(shares->count > 0 ? " ]" : "]", out);
}

static void print_value(FILE *out, const tmb_config_key *key, const void *base)
{
    char number[TMB_VALUE_TEXT_MAX];
    const char *text = tmb_config_text(key, base);
    if (key->type == TMB_CONFIG_FILTERS) {
        print_topics(out, base);
    } else if (key->type == TMB_CONFIG_ENDPOINTS) {
        print_endpoints(out, (const void *)((const char *)base + key->offset));
    } else if (key->type == TMB_CONFIG_SCOPES) {
        print_scopes(out, (const void *)((const char *)base + key->offset));
    } else if (key->type == TMB_CONFIG_SHARES) {
        print_shares(out, (const void *)((const char *)base + key->offset));
    } else if (key->type == TMB_CONFIG_SCHEDULE) {
        print_schedule(out, (const void *)((const char *)base + key->offset));
    } else if (key->type == TMB_CONFIG_BOOL || key->type == TMB_CONFIG_DURABILITY ||
               key->type == TMB_CONFIG_FULL || key->type == TMB_CONFIG_CLASS) {
        fputs(text, out);
    } else if (text != NULL) {
        print_quoted(out, text);
    } else {
        uint64_t value = tmb_config_number(key, base);
        if (key->type == TMB_CONFIG_DURATION)
            tmb_duration_format(value, number);
        else if (key->type == TMB_CONFIG_RATE)
            tmb_rate_format(value, number);
        else if (key->type == TMB_CONFIG_SIZE)
            tmb_size_format(value, number);
        else
            snprintf(number, sizeof number, "%" PRIu64, value);
        const char *word = key->may_be_none ? "none" : key->may_be_auto ? "auto" : number;
        fputs(value == 0 ? word : number, out);
    }
    fputc('\n', out);
}

/* Prints the steps of path that above, the path of the line before, does not share, each on its line. */
static void print_steps(FILE *out, const char *path, const char *above, int indent)
{
    size_t shared = 0;
    for (size_t i = 0; path[i] != '\0' && path[i] == above[i]; i++) {
        if (path[i] == '.') {
            shared = i + 1;
            indent += INDENT;
        }
    }
    const char *step = path + shared;
    for (;;) {
        int len = (int)strcspn(step, ".");
        fprintf(out, "%*s%.*s:", indent, "", len, step);
        if (step[len] == '\0')
            break;
        fputc('\n', out);
        indent += INDENT;
        step += len + 1;
    }
    fputc(' ', out);
}

static void print_streams(FILE *out, const tmb_policy *policy)
{
    fputs("streams:\n", out);
    for (unsigned s = 0; s < policy->streams_count && tmb_policy_is_named(&policy->streams[s]);
         s++) {
        const char *above = "";
        for (size_t i = 0; i < TMB_CONFIG_KEYS; i++) {
            const tmb_config_key *key = &tmb_config_keys[i];
            if (!tmb_config_in_stream(key))
                continue;
            const char *path = key->path + strlen("streams[].");
            bool opens_item = above[0] == '\0';
            if (opens_item)
                fputs("  - ", out);
            print_steps(out, path, above, opens_item ? 0 : 2 * INDENT);
            print_value(out, key, &policy->streams[s]);
            above = path;
        }
    }
}

tmb_err tmb_config_print(const tmb_config *config, FILE *out)
{
    const char *above = "";
    bool streams_are_out = false;
    for (size_t i = 0; i < TMB_CONFIG_KEYS; i++) {
        const tmb_config_key *key = &tmb_config_keys[i];
        if (!tmb_config_is_shown(config, key))
            continue;
        if (tmb_config_in_stream(key)) {
            if (!streams_are_out)
                print_streams(out, &config->policy);
            streams_are_out = true;
            above = "";
            continue;
        }
        print_steps(out, key->path, above, 0);
        print_value(out, key, config);
        above = key->path;
    }
    return fflush(out) != 0 || ferror(out) != 0 ? TMB_EIO : TMB_OK;
}
