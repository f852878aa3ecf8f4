// SPDX-License-Identifier: Apache-2.0
/* config/schema.c - every key, once.
 *
 * A new setting is a field in config.h, a line here and a row in docs/configuration.md; a test holds the
 * three together.
 */
#include "config/schema.h"

#include <stdio.h>

#define KIB(n)     (UINT64_C(n) << 10)
#define MIB(n)     (UINT64_C(n) << 20)
#define GIB(n)     (UINT64_C(n) << 30)
#define TIB(n)     (UINT64_C(n) << 40)
#define SECONDS(n) (UINT64_C(n) * 1000)
#define HOURS(n)   (UINT64_C(n) * 3600000)
#define DAYS(n)    (UINT64_C(n) * 86400000)

#define AT(field)         .offset = offsetof(tmb_config, field)
#define IN_STREAM(field)  .offset = offsetof(tmb_stream_policy, field)
#define FROM(least, most) .min = (least), .max = (most)

/* clang-format off */
const tmb_config_key tmb_config_keys[TMB_CONFIG_KEYS] = {
    {"node",     TMB_CONFIG_NAME, AT(node),     .is_required = true, .example = "node: line-7"},
    {"domain",   TMB_CONFIG_NAME, AT(domain),   .is_required = true, .example = "domain: example.com"},
    {"data_dir", TMB_CONFIG_PATH, AT(data_dir), .default_text = "/var/lib/tombolo"},

    {"streams[].name", TMB_CONFIG_STREAM_NAME, IN_STREAM(name), .is_required = true,
     .example = "name: alarms"},
    {"streams[].topics", TMB_CONFIG_FILTERS, IN_STREAM(topics), .is_required = true,
     .example = "topics: [ \"alarm/#\" ]"},
    {"streams[].durability", TMB_CONFIG_DURABILITY, IN_STREAM(durability), .default_text = "strict"},
    {"streams[].full", TMB_CONFIG_FULL, IN_STREAM(full), .default_text = "reject"},
    {"streams[].class", TMB_CONFIG_CLASS, IN_STREAM(class_), .default_text = "telemetry"},
    {"streams[].linger", TMB_CONFIG_DURATION, IN_STREAM(linger_ms), .may_be_auto = true, FROM(1, SECONDS(60)),
     .default_text = "auto"},
    {"streams[].live_first", TMB_CONFIG_BOOL, IN_STREAM(live_first), .default_text = "false"},
    {"streams[].mark", TMB_CONFIG_BOOL, IN_STREAM(mark), .default_text = "false"},
    {"streams[].retention.bytes", TMB_CONFIG_SIZE, IN_STREAM(retention_bytes), .may_be_none = true,
     FROM(KIB(4), TIB(1024)), .default_text = "4GiB"},
    {"streams[].retention.age", TMB_CONFIG_DURATION, IN_STREAM(retention_ms), .may_be_none = true,
     FROM(SECONDS(1), DAYS(36500)), .default_text = "none"},

    {"journal.segment_bytes", TMB_CONFIG_SIZE, AT(journal_segment_bytes), FROM(KIB(4), GIB(1)),
     .default_text = "64MiB"},
    {"journal.ring", TMB_CONFIG_RING, AT(journal_ring), .default_text = "auto"},

    {"disk.reserve", TMB_CONFIG_SIZE, AT(disk_reserve), FROM(0, GIB(64)), .default_text = "16MiB"},

    {"checkpoint.interval", TMB_CONFIG_DURATION, AT(checkpoint_interval_ms), FROM(100, DAYS(1)),
     .default_text = "60s"},
    {"checkpoint.records", TMB_CONFIG_COUNT, AT(checkpoint_records), FROM(1, UINT64_C(1000000000)),
     .default_text = "50000"},
    {"checkpoint.bytes", TMB_CONFIG_SIZE, AT(checkpoint_bytes), FROM(KIB(4), TIB(1)),
     .default_text = "64MiB"},

    {"broker.host", TMB_CONFIG_HOST, AT(broker.host), .is_required = true, .example = "host: 127.0.0.1"},
    {"broker.port", TMB_CONFIG_PORT, AT(broker.port), FROM(1, 65535), .default_text = "8883"},

    {"parent.host", TMB_CONFIG_HOST, AT(parent.host), .is_required = true,
     .example = "host: hub.example.com"},
    {"parent.port", TMB_CONFIG_PORT, AT(parent.port), FROM(1, 65535), .default_text = "8883"},
    {"parent.fallbacks", TMB_CONFIG_ENDPOINTS, AT(fallbacks), .default_text = "[]"},
    {"parent.move_after", TMB_CONFIG_DURATION, AT(move_after_ms), FROM(SECONDS(1), DAYS(1)),
     .default_text = "60s"},
    {"parent.return_after", TMB_CONFIG_DURATION, AT(return_after_ms), FROM(SECONDS(1), DAYS(1)),
     .default_text = "10m"},
    {"parent.backoff.base", TMB_CONFIG_DURATION, AT(backoff_base_ms), FROM(1, HOURS(1)),
     .default_text = "500ms"},
    {"parent.backoff.cap", TMB_CONFIG_DURATION, AT(backoff_cap_ms), FROM(1, DAYS(1)), .default_text = "30s"},
    {"parent.ack_timeout", TMB_CONFIG_DURATION, AT(ack_timeout_ms), FROM(100, HOURS(1)),
     .default_text = "5s"},
    {"parent.keepalive", TMB_CONFIG_DURATION, AT(keepalive_ms), FROM(SECONDS(5), HOURS(1)),
     .default_text = "10s"},
    {"parent.batch_bytes", TMB_CONFIG_SIZE, AT(batch_bytes), FROM(KIB(1), MIB(8)), .default_text = "256KiB"},
    {"parent.rate", TMB_CONFIG_RATE, AT(rate), .may_be_none = true,
     FROM(TMB_CONFIG_RATE_MIN, TMB_CONFIG_RATE_MAX), .default_text = "none"},
    {"parent.schedule", TMB_CONFIG_SCHEDULE, AT(schedule), .default_text = "[]"},

    {"children.accept", TMB_CONFIG_BOOL, AT(children_accept), .default_text = "false"},
    {"children.topic", TMB_CONFIG_TEMPLATE, AT(children_topic), .default_text = "{site}/{topic}"},
    {"children.memory", TMB_CONFIG_SIZE, AT(children_memory), FROM(MIB(1), GIB(64)),
     .default_text = "64MiB"},
    {"children.weights", TMB_CONFIG_WEIGHTS, AT(children_weights), .default_text = "*=1"},
    {"children.handshakes_per_s", TMB_CONFIG_COUNT, AT(children_handshakes_per_s), FROM(0, 100000),
     .default_text = "0"},
    {"children.window_min", TMB_CONFIG_DURATION, AT(children_window_min_ms), FROM(100, HOURS(1)),
     .default_text = "1s"},

    {"state.root", TMB_CONFIG_NAME, AT(state.root), .default_text = "state"},
    {"state.scopes", TMB_CONFIG_SCOPES, AT(state.scopes), .default_text = "[]"},
    {"state.read_only", TMB_CONFIG_SCOPES, AT(state.read_only), .default_text = "[]"},
    {"state.share", TMB_CONFIG_SHARES, AT(state.shares), .default_text = "[]"},
    {"state.lapse_after", TMB_CONFIG_DURATION, AT(state.lapse_after_ms), FROM(SECONDS(1), DAYS(36500)),
     .default_text = "30d"},
    {"state.unstable", TMB_CONFIG_COUNT, AT(state.unstable_max), FROM(1000, UINT64_C(1000000000)),
     .default_text = "1000000"},
    {"state.value_max", TMB_CONFIG_SIZE, AT(state.value_max), FROM(KIB(1), MIB(8)),
     .default_text = "256KiB"},
    {"state.protobuf", TMB_CONFIG_BOOL, AT(state.protobuf), .default_text = "false"},

    {"tls.ca_file", TMB_CONFIG_PATH, AT(tls_ca_file), .is_required = true,
     .example = "ca_file: /etc/tombolo/tls/ca.crt"},
    {"tls.cert_file", TMB_CONFIG_PATH, AT(tls_cert_file), .is_required = true,
     .example = "cert_file: /etc/tombolo/tls/node.crt"},
    {"tls.key_file", TMB_CONFIG_PATH, AT(tls_key_file), .is_required = true,
     .example = "key_file: /etc/tombolo/tls/node.key"},
};
/* clang-format on */

/* The step of path behind the prefix section: its start, or NULL when path is not in section. */
static const char *step_in(const char *path, const char *section)
{
    size_t len = strlen(section);
    if (len == 0)
        return path;
    return strncmp(path, section, len) == 0 && path[len] == '.' ? path + len + 1 : NULL;
}

bool tmb_config_in_stream(const tmb_config_key *key)
{
    return strncmp(key->path, "streams[].", 10) == 0;
}

tmb_config_place tmb_config_look_up(const char *path, const tmb_config_key **ret_key)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < TMB_CONFIG_KEYS; i++) {
        const char *at = tmb_config_keys[i].path;
        if (strncmp(at, path, len) != 0)
            continue;
        if (at[len] == '\0') {
            *ret_key = &tmb_config_keys[i];
            return TMB_CONFIG_KEY;
        }
        if (at[len] == '.')
            return TMB_CONFIG_SECTION;
        if (strncmp(at + len, "[].", 3) == 0)
            return TMB_CONFIG_SECTIONS;
    }
    return TMB_CONFIG_UNKNOWN;
}

bool tmb_config_path_join(const char *section, const char *key, char ret_path[TMB_CONFIG_PATH_MAX])
{
    int len = snprintf(ret_path, TMB_CONFIG_PATH_MAX, "%s%s%s", section,
                       section[0] != '\0' ? "." : "", key);
    /* A dot or a bracket in a key would step over a section. */
    return len < TMB_CONFIG_PATH_MAX && key[0] != '\0' && strpbrk(key, ".[]") == NULL;
}

size_t tmb_config_children(const char *section, char ret_names[TMB_CONFIG_CHILDREN_MAX][32])
{
    size_t count = 0;
    for (size_t i = 0; i < TMB_CONFIG_KEYS; i++) {
        const char *step = step_in(tmb_config_keys[i].path, section);
        if (step == NULL)
            continue;
        size_t len = strcspn(step, ".[");
        bool is_new = count == 0 || strlen(ret_names[count - 1]) != len ||
                      strncmp(ret_names[count - 1], step, len) != 0;
        if (!is_new)
            continue;
        TMB_ASSERT(count < TMB_CONFIG_CHILDREN_MAX && len < 32);
        memcpy(ret_names[count], step, len);
        ret_names[count][len] = '\0';
        count++;
    }
    return count;
}

const char *tmb_config_last(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

const char *tmb_config_home(const char *name, char ret_section[TMB_CONFIG_PATH_MAX])
{
    const char *home = NULL;
    for (size_t i = 0; i < TMB_CONFIG_KEYS; i++) {
        const char *path = tmb_config_keys[i].path;
        const char *last = tmb_config_last(path);
        if (last == path || strcmp(last, name) != 0)
            continue;
        if (home != NULL)
            return NULL;
        memcpy(ret_section, path, (size_t)(last - path - 1));
        ret_section[last - path - 1] = '\0';
        home = ret_section;
    }
    return home;
}

const char *tmb_config_type_str(tmb_config_type type)
{
    switch (type) {
    case TMB_CONFIG_NAME:
    case TMB_CONFIG_STREAM_NAME:
        return "a name such as line-7";
    case TMB_CONFIG_HOST:
        return "a host name or address";
    case TMB_CONFIG_PATH:
        return "a file name";
    case TMB_CONFIG_RING:
        return "auto, off or a folder such as /dev/shm";
    case TMB_CONFIG_TEMPLATE:
        return "a topic in quotes such as \"{site}/{topic}\"";
    case TMB_CONFIG_WEIGHTS:
        return "weights of children such as \"press-*=4 test-2=1\"";
    case TMB_CONFIG_FILTERS:
        return "a list of topic filters such as [ \"alarm/#\" ]";
    case TMB_CONFIG_ENDPOINTS:
        return "a list of brokers such as [ { host: hub-b.example.com } ]";
    case TMB_CONFIG_SCOPES:
        return "a list of scopes such as [ line-7, \"press-*\" ]";
    case TMB_CONFIG_SHARES:
        return "a list such as [ { scope: fleet, children: \"*\", write: false } ]";
    case TMB_CONFIG_DURABILITY:
        return "strict, group, process or none";
    case TMB_CONFIG_FULL:
        return "reject, drop-oldest or drop-newest";
    case TMB_CONFIG_CLASS:
        return "control, alarm, state, telemetry or bulk";
    case TMB_CONFIG_BOOL:
        return "true or false";
    case TMB_CONFIG_PORT:
        return "a port number such as 8883";
    case TMB_CONFIG_COUNT:
        return "a whole number such as 50000";
    case TMB_CONFIG_SIZE:
        return "a size such as 64MiB";
    case TMB_CONFIG_RATE:
        return "a rate such as 64kbit/s";
    case TMB_CONFIG_SCHEDULE:
        return "a list such as [ { days: mon-fri, from: \"08:00\", to: \"18:00\", rate: 64kbit/s } "
               "]";
    case TMB_CONFIG_DURATION:
        return "a duration such as 10s";
    }
    return "a value";
}
