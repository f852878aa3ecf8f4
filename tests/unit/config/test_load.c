// SPDX-License-Identifier: Apache-2.0
/* tests/unit/config/test_load.c - what a right file gives: defaults, values, paths, the samples. */
#include <unistd.h>

#include "tests/unit/config/loading.h"

static void gives_defaults(void **state)
{
    (void)state;
    tmb_config *config = load_good(GOOD);
    assert_string_equal(config->node, "a");
    assert_string_equal(config->domain, "d");
    assert_string_equal(config->data_dir, "/var/lib/tombolo");
    assert_int_equal(config->policy.streams_count, 2);
    tmb_stream_policy *stream = &config->policy.streams[0];
    assert_string_equal(stream->name, "default");
    assert_int_equal(stream->topics_count, 1);
    assert_string_equal(stream->topics[0], "#");
    assert_false(stream->is_ledger);
    tmb_stream_policy *ledger = &config->policy.streams[1];
    assert_string_equal(ledger->name, "loss");
    assert_true(ledger->is_ledger);
    assert_int_equal(ledger->topics_count, 0);
    assert_int_equal(ledger->durability, TMB_DURABILITY_STRICT);
    assert_int_equal(ledger->retention_bytes, TMB_LEDGER_RETENTION_BYTES);
    assert_int_equal(stream->durability, TMB_DURABILITY_STRICT);
    assert_int_equal(stream->retention_bytes, UINT64_C(4) << 30);
    assert_int_equal(stream->retention_ms, 0);
    assert_int_equal(stream->full, TMB_FULL_REJECT);
    assert_int_equal(stream->class_, TMB_CLASS_TELEMETRY);
    assert_int_equal(stream->linger_ms, 0);
    assert_int_equal(tmb_policy_linger_ms(stream), 200);
    assert_int_equal(tmb_policy_linger_ms(ledger), 20);
    assert_int_equal(ledger->class_, TMB_CLASS_STATE);
    assert_false(stream->mark);
    assert_int_equal(config->journal_segment_bytes, 64 << 20);
    assert_string_equal(config->journal_ring, "auto");
    assert_int_equal(config->disk_reserve, 16 << 20);
    assert_int_equal(config->checkpoint_interval_ms, 60000);
    assert_int_equal(config->checkpoint_records, 50000);
    assert_int_equal(config->checkpoint_bytes, 64 << 20);
    assert_null(config->broker.host);
    assert_null(config->parent.host);
    assert_int_equal(config->broker.port, 8883);
    assert_int_equal(config->parent.port, 8883);
    assert_int_equal(config->backoff_base_ms, 500);
    assert_int_equal(config->backoff_cap_ms, 30000);
    assert_int_equal(config->ack_timeout_ms, 5000);
    assert_int_equal(config->keepalive_ms, 10000);
    assert_int_equal(config->batch_bytes, TMB_BATCH_BYTES_DEFAULT);
    assert_false(config->children_accept);
    assert_string_equal(config->children_topic, "{site}/{topic}");
    assert_int_equal(config->children_handshakes_per_s, 0);
    assert_int_equal(config->children_window_min_ms, 1000);
    assert_false(tmb_state_is_on(&config->state));
    assert_string_equal(config->state.root, "state");
    assert_int_equal(config->state.shares.count, 0);
    assert_int_equal(config->state.lapse_after_ms, INT64_C(30) * 86400000);
    assert_int_equal(config->state.unstable_max, 1000000);
    assert_int_equal(config->state.value_max, 256 << 10);
    assert_false(config->state.protobuf);
    assert_null(config->tls_ca_file);
    tmb_config_free(config);
    tmb_config_free(NULL);
}

static const char full[] =
    "node: line-7\n"
    "domain: plant.example.com\n"
    "data_dir: data\n"
    "streams:\n"
    "  - name: alarms\n"
    "    topics: [ \"alarm/#\", +/alarm ]\n"
    "    durability: process\n"
    "    full: drop-oldest\n"
    "    class: alarm\n"
    "    linger: 250ms\n"
    "    mark: true\n"
    "    retention: { bytes: none, age: 30d }\n"
    "  - { name: rest, topics: [ \"#\" ], durability: none, full: drop-newest, "
    "retention: { bytes: 1GiB } }\n"
    "  - { name: children-only, topics: [], durability: group }\n"
    "journal: { segment_bytes: 1 MiB, ring: /run/tombolo }\n"
    "disk: { reserve: 0 }\n"
    "checkpoint: { interval: 2m, records: 7, bytes: 5MB }\n"
    "broker: { host: \"::1\", port: 1 }\n"
    "parent:\n"
    "  host: hub.example.com\n"
    "  port: \"18883\"\n"
    "  backoff: { base: 1s, cap: 1m }\n"
    "  ack_timeout: 7s\n"
    "  keepalive: 20s\n"
    "  batch_bytes: 64KiB\n"
    "children: { accept: true, topic: \"plants/{site}/{stream}/{topic}\", handshakes_per_s: 90,\n"
    "            window_min: 5s }\n"
    "state: { root: st, scopes: [ line-7, \"press-*\" ], lapse_after: 2d, unstable: 5000,\n"
    "         share: [ { scope: \"press-*\", children: p-1, write: true }, "
    "{ scope: line-7, children: \"*\" } ],\n"
    "         value_max: 1MiB, protobuf: true }\n"
    "tls: { ca_file: ./tls/ca.crt, cert_file: ../node.crt, key_file: /run/key }\n";

static void takes_every_key(void **state)
{
    (void)state;
    tmb_config *config = load_good(full);
    assert_string_equal(config->node, "line-7");
    assert_string_equal(config->domain, "plant.example.com");
    assert_int_equal(config->policy.streams_count, 5);
    tmb_stream_policy *alarms = &config->policy.streams[0];
    tmb_stream_policy *rest = &config->policy.streams[1];
    assert_string_equal(alarms->name, "alarms");
    assert_int_equal(alarms->topics_count, 2);
    assert_string_equal(alarms->topics[1], "+/alarm");
    assert_int_equal(alarms->durability, TMB_DURABILITY_PROCESS);
    assert_int_equal(alarms->retention_bytes, 0);
    assert_int_equal(alarms->retention_ms, INT64_C(30) * 86400000);
    assert_int_equal(rest->durability, TMB_DURABILITY_NONE);
    assert_int_equal(rest->retention_bytes, 1 << 30);
    assert_int_equal(rest->retention_ms, 0);
    assert_int_equal(alarms->full, TMB_FULL_DROP_OLDEST);
    assert_int_equal(alarms->class_, TMB_CLASS_ALARM);
    assert_int_equal(alarms->linger_ms, 250);
    assert_int_equal(tmb_policy_linger_ms(alarms), 250);
    assert_true(alarms->mark);
    assert_int_equal(rest->full, TMB_FULL_DROP_NEWEST);
    assert_int_equal(config->policy.streams[2].topics_count, 0);
    assert_int_equal(config->policy.streams[2].durability, TMB_DURABILITY_GROUP);
    assert_int_equal(config->journal_segment_bytes, 1 << 20);
    assert_string_equal(config->journal_ring, "/run/tombolo");
    assert_int_equal(config->disk_reserve, 0);
    assert_int_equal(config->checkpoint_interval_ms, 120000);
    assert_int_equal(config->checkpoint_records, 7);
    assert_int_equal(config->checkpoint_bytes, 5000000);
    assert_string_equal(config->broker.host, "::1");
    assert_int_equal(config->broker.port, 1);
    assert_string_equal(config->parent.host, "hub.example.com");
    assert_int_equal(config->parent.port, 18883);
    assert_int_equal(config->backoff_base_ms, 1000);
    assert_int_equal(config->backoff_cap_ms, 60000);
    assert_int_equal(config->ack_timeout_ms, 7000);
    assert_int_equal(config->keepalive_ms, 20000);
    assert_int_equal(config->batch_bytes, 65536);
    assert_true(config->children_accept);
    assert_string_equal(config->children_topic, "plants/{site}/{stream}/{topic}");
    assert_int_equal(config->children_handshakes_per_s, 90);
    assert_int_equal(config->children_window_min_ms, 5000);
    const tmb_state_policy *s = &config->state;
    assert_string_equal(s->root, "st");
    assert_int_equal(s->scopes.count, 2);
    assert_string_equal(s->scopes.v[0].text, "line-7");
    assert_string_equal(s->scopes.v[1].text, "press-*");
    assert_int_equal(s->shares.count, 2);
    assert_string_equal(s->shares.v[0].scope.text, "press-*");
    assert_string_equal(s->shares.v[0].children.text, "p-1");
    assert_true(s->shares.v[0].write);
    assert_false(s->shares.v[1].write);
    assert_int_equal(s->lapse_after_ms, INT64_C(2) * 86400000);
    assert_int_equal(s->unstable_max, 5000);
    assert_int_equal(s->value_max, 1 << 20);
    assert_true(s->protobuf);
    assert_true(config->policy.streams[3].is_state);
    tmb_config_free(config);
}

static void takes_paths_from_the_folder_of_the_file(void **state)
{
    (void)state;
    tmb_config *config = load_good(full);
    assert_string_equal(config->data_dir, "/etc/t/data");
    assert_string_equal(config->tls_ca_file, "/etc/t/tls/ca.crt");
    assert_string_equal(config->tls_cert_file, "/etc/t/../node.crt");
    assert_string_equal(config->tls_key_file, "/run/key");
    tmb_config_free(config);

    char cwd[4096];
    assert_non_null(getcwd(cwd, sizeof cwd - 64));
    static const char *const rows[][2] = {{"f", "/data"},         {"./f", "/data"},
                                          {"x/f", "/x/data"},     {"./x/f", "/x/data"},
                                          {"./.x/f", "/.x/data"}, {"../f", "/../data"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char want[4200];
        snprintf(want, sizeof want, "%s%s", cwd, rows[i][1]);
        assert_int_equal(tmb_config_load_text(rows[i][0], full, strlen(full), stderr, &config),
                         TMB_OK);
        assert_string_equal(config->data_dir, want);
        tmb_config_free(config);
    }
    assert_int_equal(tmb_config_load_text("/f", full, strlen(full), stderr, &config), TMB_OK);
    assert_string_equal(config->data_dir, "/data");
    tmb_config_free(config);
}

static void loads_the_samples(void **state)
{
    (void)state;
    static const char *const names[] = {"site", "hub", "region"};
    for (size_t i = 0; i < 3; i++) {
        char file[1024];
        tmb_config *config = NULL;
        snprintf(file, sizeof file, TMB_TEST_TREE "/config/samples/%s.yaml", names[i]);
        assert_int_equal(tmb_config_load(file, stderr, &config), TMB_OK);
        assert_string_equal(config->domain, "example.com");
        assert_int_equal(config->policy.streams_count, i < 2 ? 4 : 3); /* the ledger, too */
        assert_int_equal(tmb_state_is_on(&config->state), i == 1);
        assert_int_equal(config->children_accept, i > 0);
        assert_int_equal(config->parent.host != NULL, i != 1);
        assert_non_null(config->tls_key_file);
        tmb_config_free(config);
    }
}

static void takes_a_byte_order_mark_and_a_document_mark(void **state)
{
    (void)state;
    tmb_config *config = load_good("\xef\xbb\xbf" GOOD);
    tmb_config_free(config);
    config = load_good("%YAML 1.1\n---\r\nnode: \"a\"\r\ndomain: 'd'\r\n...\r\n");
    assert_string_equal(config->node, "a");
    tmb_config_free(config);
}

static void tells_why_a_file_cannot_be_read(void **state)
{
    (void)state;
    char *told;
    size_t len;
    FILE *errors = open_memstream(&told, &len);
    tmb_config *config = NULL;
    assert_int_equal(tmb_config_load("/nowhere/f.yaml", errors, &config), TMB_ENOENT);
    assert_int_equal(tmb_config_load("/", errors, &config), TMB_EIO);
    assert_null(config);
    assert_int_equal(fclose(errors), 0);
    assert_string_equal(told, "/nowhere/f.yaml: cannot be read: No such file or directory\n"
                              "/: cannot be read: Is a directory\n");
    free(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_defaults),
        cmocka_unit_test(takes_every_key),
        cmocka_unit_test(takes_paths_from_the_folder_of_the_file),
        cmocka_unit_test(loads_the_samples),
        cmocka_unit_test(takes_a_byte_order_mark_and_a_document_mark),
        cmocka_unit_test(tells_why_a_file_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
