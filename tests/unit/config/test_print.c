// SPDX-License-Identifier: Apache-2.0
/* tests/unit/config/test_print.c - load(print(load(x))) is load(x), and the JSON says the same. */
#include <jansson.h>

#include "tests/unit/config/loading.h"

static void assert_same_text(const char *a, const char *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a != NULL)
        assert_string_equal(a, b);
}

static void assert_same_streams(const tmb_policy *a, const tmb_policy *b)
{
    assert_int_equal(a->streams_count, b->streams_count);
    for (unsigned i = 0; i < a->streams_count; i++) {
        const tmb_stream_policy *s = &a->streams[i];
        const tmb_stream_policy *t = &b->streams[i];
        assert_string_equal(s->name, t->name);
        assert_int_equal(s->topics_count, t->topics_count);
        for (unsigned k = 0; k < s->topics_count; k++)
            assert_string_equal(s->topics[k], t->topics[k]);
        assert_int_equal(s->durability, t->durability);
        assert_int_equal(s->retention_bytes, t->retention_bytes);
        assert_int_equal(s->retention_ms, t->retention_ms);
        assert_int_equal(s->full, t->full);
        assert_int_equal(s->class_, t->class_);
        assert_int_equal(s->live_first, t->live_first);
        assert_int_equal(s->mark, t->mark);
    }
}

static void assert_same_state(const tmb_state_policy *a, const tmb_state_policy *b)
{
    assert_same_text(a->root, b->root);
    assert_int_equal(a->scopes.count, b->scopes.count);
    for (unsigned i = 0; i < a->scopes.count; i++)
        assert_string_equal(a->scopes.v[i].text, b->scopes.v[i].text);
    assert_int_equal(a->read_only.count, b->read_only.count);
    for (unsigned i = 0; i < a->read_only.count; i++)
        assert_string_equal(a->read_only.v[i].text, b->read_only.v[i].text);
    assert_int_equal(a->shares.count, b->shares.count);
    for (unsigned i = 0; i < a->shares.count; i++) {
        assert_string_equal(a->shares.v[i].scope.text, b->shares.v[i].scope.text);
        assert_string_equal(a->shares.v[i].children.text, b->shares.v[i].children.text);
        assert_int_equal(a->shares.v[i].write, b->shares.v[i].write);
    }
    assert_int_equal(a->lapse_after_ms, b->lapse_after_ms);
    assert_int_equal(a->unstable_max, b->unstable_max);
    assert_int_equal(a->value_max, b->value_max);
    assert_int_equal(a->protobuf, b->protobuf);
}

static void assert_same(const tmb_config *a, const tmb_config *b)
{
    assert_same_text(a->node, b->node);
    assert_same_text(a->domain, b->domain);
    assert_same_text(a->data_dir, b->data_dir);
    assert_same_streams(&a->policy, &b->policy);
    assert_int_equal(a->journal_segment_bytes, b->journal_segment_bytes);
    assert_same_text(a->journal_ring, b->journal_ring);
    assert_int_equal(a->disk_reserve, b->disk_reserve);
    assert_int_equal(a->checkpoint_interval_ms, b->checkpoint_interval_ms);
    assert_int_equal(a->checkpoint_records, b->checkpoint_records);
    assert_int_equal(a->checkpoint_bytes, b->checkpoint_bytes);
    assert_same_state(&a->state, &b->state);
    assert_same_text(a->broker.host, b->broker.host);
    assert_int_equal(a->broker.port, b->broker.port);
    assert_same_text(a->parent.host, b->parent.host);
    assert_int_equal(a->parent.port, b->parent.port);
    assert_int_equal(a->fallbacks.count, b->fallbacks.count);
    for (unsigned i = 0; i < a->fallbacks.count; i++) {
        assert_string_equal(a->fallbacks.v[i].host, b->fallbacks.v[i].host);
        assert_int_equal(a->fallbacks.v[i].port, b->fallbacks.v[i].port);
    }
    assert_int_equal(a->move_after_ms, b->move_after_ms);
    assert_int_equal(a->return_after_ms, b->return_after_ms);
    assert_int_equal(a->backoff_base_ms, b->backoff_base_ms);
    assert_int_equal(a->backoff_cap_ms, b->backoff_cap_ms);
    assert_int_equal(a->ack_timeout_ms, b->ack_timeout_ms);
    assert_int_equal(a->keepalive_ms, b->keepalive_ms);
    assert_int_equal(a->batch_bytes, b->batch_bytes);
    assert_int_equal(a->rate, b->rate);
    assert_memory_equal(&a->schedule, &b->schedule, sizeof a->schedule);
    assert_int_equal(a->children_accept, b->children_accept);
    assert_same_text(a->children_topic, b->children_topic);
    assert_int_equal(a->children_memory, b->children_memory);
    assert_same_text(a->children_weights, b->children_weights);
    assert_int_equal(a->children_handshakes_per_s, b->children_handshakes_per_s);
    assert_int_equal(a->children_window_min_ms, b->children_window_min_ms);
    assert_same_text(a->tls_ca_file, b->tls_ca_file);
    assert_same_text(a->tls_cert_file, b->tls_cert_file);
    assert_same_text(a->tls_key_file, b->tls_key_file);
}

/* The printed text is loaded as a file of another folder: nothing in it may depend on where it lies. */
static void assert_round_trip(const tmb_config *config)
{
    tmb_config *back = NULL;
    char *text = printed(config, tmb_config_print);
    assert_int_equal(tmb_config_load_text("/other/g", text, strlen(text), stderr, &back), TMB_OK);
    assert_same(config, back);
    char *again = printed(back, tmb_config_print);
    assert_string_equal(text, again);
    free(again);
    free(text);
    tmb_config_free(back);
}

static void prints_what_loads_to_the_same(void **state)
{
    (void)state;
    static const char *const texts[] = {
        GOOD,
        GOOD "broker: { host: b }\n",
        GOOD
        "journal: { ring: off }\ndisk: { reserve: 0 }\nstreams: [ { name: a, topics: [ a ], "
        "class: bulk, live_first: true, full: drop-newest, mark: true, durability: group } ]\n",
        GOOD "journal: { ring: \"/dev/shm/a b\" }\n",
        GOOD "journal: { segment_bytes: 5001 }\ncheckpoint: { interval: 1500ms, records: 3 }\n",
        GOOD TLS "parent: { host: h, port: 1, backoff: { base: 1ms, cap: 61s }, keepalive: 61s }\n",
        GOOD TLS "parent: { host: h, fallbacks: [], move_after: 1s }\n",
        GOOD TLS "parent: { host: h, fallbacks: [ { host: i }, { port: 1, host: h } ] }\n",
        GOOD TLS
        "children: { accept: true, topic: \"a \\\"b\\\" \\\\ {topic}\" }\nbroker: { host: b }\n",
        GOOD TLS
        "parent: { host: h, rate: 3KiB/s, schedule: [ { days: fri-mon, from: \"22:00\", to: "
        "\"06:30\", rate: none }, { days: daily, from: \"00:00\", to: \"24:00\", rate: 64kbit/s "
        "}, { days: sun, from: \"00:00\", to: \"24:00\", rate: 9Mbit/s } ] }\n",
        GOOD TLS "broker: { host: b }\nstate: { root: st, scopes: [ a, \"b-*\", \"null\" ], "
                 "read_only: [ a ], share: [ "
                 "{ scope: \"*\", children: c, write: true }, { scope: a, children: \"*\" } ], "
                 "lapse_after: 36h, unstable: 1001, value_max: 1025, protobuf: true }\n",
        GOOD "data_dir: \"./a b: # {x} \\u00e9\"\n",
        GOOD "streams: [ { name: \"null\", topics: [ "
             "\"\\\"\\\\\\n\\x07\\u2028\\U0001F600\\u00a0\\ufeff\", "
             "\"~\", \"true\" ], retention: { bytes: none, age: 90s } } ]\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tmb_config *config = load_good(texts[i]);
        assert_round_trip(config);
        tmb_config_free(config);
    }
}

static void prints_the_samples_to_the_same(void **state)
{
    (void)state;
    static const char *const names[] = {"site", "hub", "region"};
    for (size_t i = 0; i < 3; i++) {
        char file[1024];
        tmb_config *config = NULL;
        snprintf(file, sizeof file, TMB_TEST_TREE "/config/samples/%s.yaml", names[i]);
        assert_int_equal(tmb_config_load(file, stderr, &config), TMB_OK);
        assert_round_trip(config);
        tmb_config_free(config);
    }
}

/* Any character that is allowed in a topic comes back: every code point of the first plane, in turn. */
static void prints_every_character(void **state)
{
    (void)state;
    for (unsigned point = 1; point < 0x10000; point += 64) {
        char topic[64 * 4 + 2] = "";
        size_t len = 0;
        for (unsigned p = point; p < point + 64 && p < 0x10000; p++) {
            if (p == '+' || p == '#' || (len == 0 && p == '$') || (p >= 0xd800 && p < 0xe000))
                continue;
            if (p < 0x80) {
                topic[len++] = (char)p;
            } else if (p < 0x800) {
                topic[len++] = (char)(0xc0 | p >> 6);
                topic[len++] = (char)(0x80 | (p & 0x3f));
            } else {
                topic[len++] = (char)(0xe0 | p >> 12);
                topic[len++] = (char)(0x80 | (p >> 6 & 0x3f));
                topic[len++] = (char)(0x80 | (p & 0x3f));
            }
        }
        if (len == 0)
            continue;
        tmb_config *config = load_good(GOOD);
        free(config->policy.streams[0].topics[0]);
        config->policy.streams[0].topics[0] = strdup(topic);
        assert_round_trip(config);
        tmb_config_free(config);
    }
}

static void prints_effective_values(void **state)
{
    (void)state;
    tmb_config *config = load_good(GOOD TLS "parent: { host: h }\n");
    char *text = printed(config, tmb_config_print);
    assert_string_equal(text, "node: \"a\"\n"
                              "domain: \"d\"\n"
                              "data_dir: \"/var/lib/tombolo\"\n"
                              "streams:\n"
                              "  - name: \"default\"\n"
                              "    topics: [ \"#\" ]\n"
                              "    durability: strict\n"
                              "    full: reject\n"
                              "    class: telemetry\n"
                              "    linger: auto\n"
                              "    live_first: false\n"
                              "    mark: false\n"
                              "    retention:\n"
                              "      bytes: 4GiB\n"
                              "      age: none\n"
                              "journal:\n"
                              "  segment_bytes: 64MiB\n"
                              "  ring: \"auto\"\n"
                              "disk:\n"
                              "  reserve: 16MiB\n"
                              "checkpoint:\n"
                              "  interval: 1m\n"
                              "  records: 50000\n"
                              "  bytes: 64MiB\n"
                              "parent:\n"
                              "  host: \"h\"\n"
                              "  port: 8883\n"
                              "  fallbacks: []\n"
                              "  move_after: 1m\n"
                              "  return_after: 10m\n"
                              "  backoff:\n"
                              "    base: 500ms\n"
                              "    cap: 30s\n"
                              "  ack_timeout: 5s\n"
                              "  keepalive: 10s\n"
                              "  batch_bytes: 256KiB\n"
                              "  rate: none\n"
                              "  schedule: []\n"
                              "children:\n"
                              "  accept: false\n"
                              "  topic: \"{site}/{topic}\"\n"
                              "  memory: 64MiB\n"
                              "  weights: \"*=1\"\n"
                              "  handshakes_per_s: 0\n"
                              "  window_min: 1s\n"
                              "state:\n"
                              "  root: \"state\"\n"
                              "  scopes: []\n"
                              "  read_only: []\n"
                              "  share: []\n"
                              "  lapse_after: 30d\n"
                              "  unstable: 1000000\n"
                              "  value_max: 256KiB\n"
                              "  protobuf: false\n"
                              "tls:\n"
                              "  ca_file: \"/etc/t/a\"\n"
                              "  cert_file: \"/etc/t/b\"\n"
                              "  key_file: \"/etc/t/c\"\n");
    free(text);
    tmb_config_free(config);
}

static json_int_t number_at(json_t *root, const char *section, const char *key)
{
    json_t *value = json_object_get(json_object_get(root, section), key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void prints_json_with_plain_numbers(void **state)
{
    (void)state;
    tmb_config *config = load_good(GOOD TLS "parent: { host: h }\n");
    char *text = printed(config, tmb_config_print_json);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "node")), "a");
    assert_int_equal(number_at(root, "checkpoint", "interval_ms"), 60000);
    assert_int_equal(number_at(root, "checkpoint", "records"), 50000);
    assert_int_equal(number_at(root, "journal", "segment_bytes"), 64 << 20);
    assert_int_equal(number_at(root, "parent", "port"), 8883);
    assert_int_equal(number_at(root, "disk", "reserve"), 16 << 20);
    json_t *backoff = json_object_get(json_object_get(root, "parent"), "backoff");
    assert_int_equal(json_integer_value(json_object_get(backoff, "cap_ms")), 30000);
    json_t *stream = json_array_get(json_object_get(root, "streams"), 0);
    json_t *retention = json_object_get(stream, "retention");
    assert_string_equal(json_string_value(json_object_get(stream, "full")), "reject");
    assert_true(json_is_false(json_object_get(stream, "mark")));
    assert_int_equal(json_integer_value(json_object_get(retention, "bytes")), INT64_C(4) << 30);
    assert_true(json_is_null(json_object_get(retention, "age_ms")));
    json_t *topics = json_object_get(stream, "topics");
    assert_string_equal(json_string_value(json_array_get(topics, 0)), "#");
    assert_true(json_is_false(json_object_get(json_object_get(root, "children"), "accept")));
    assert_null(json_object_get(root, "broker"));
    json_decref(root);
    free(text);
    tmb_config_free(config);
}

static void prints_json_of_state(void **state)
{
    (void)state;
    tmb_config *config = load_good(
        GOOD TLS
        "broker: { host: h }\n"
        "state: { scopes: [ a ], share: [ { scope: a, children: \"b-*\", write: true } ] }\n");
    char *text = printed(config, tmb_config_print_json);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    json_t *own = json_object_get(root, "state");
    json_t *share = json_array_get(json_object_get(own, "share"), 0);
    assert_string_equal(json_string_value(json_array_get(json_object_get(own, "scopes"), 0)), "a");
    assert_int_equal(json_array_size(json_object_get(own, "read_only")), 0);
    assert_string_equal(json_string_value(json_object_get(share, "children")), "b-*");
    assert_true(json_is_true(json_object_get(share, "write")));
    assert_int_equal(json_integer_value(json_object_get(own, "lapse_after_ms")),
                     INT64_C(30) * 86400000);
    json_decref(root);
    free(text);
    tmb_config_free(config);
}

static void tells_that_the_output_is_full(void **state)
{
    (void)state;
    tmb_config *config = load_good(GOOD);
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_int_equal(tmb_config_print(config, full), TMB_EIO);
    assert_int_equal(tmb_config_print_json(config, full), TMB_EIO);
    fclose(full);
    tmb_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_what_loads_to_the_same),
        cmocka_unit_test(prints_the_samples_to_the_same),
        cmocka_unit_test(prints_every_character),
        cmocka_unit_test(prints_effective_values),
        cmocka_unit_test(prints_json_with_plain_numbers),
        cmocka_unit_test(prints_json_of_state),
        cmocka_unit_test(tells_that_the_output_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
