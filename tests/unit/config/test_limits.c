// SPDX-License-Identifier: Apache-2.0
/* tests/unit/config/test_limits.c - every limit: the last that is taken and the first that is not. */
#include "config/schema.h"
#include "config/tree.h"
#include "config/values.h"
#include "tests/unit/config/loading.h"

/* A text that grows. */
typedef struct growing {
    char *text;
    size_t len;
    FILE *out;
} growing;

static void grow(growing *g)
{
    g->out = open_memstream(&g->text, &g->len);
    assert_non_null(g->out);
    fputs(GOOD, g->out);
}

/* Ends the text and loads it: want is what is told, or NULL when it must be right. */
static tmb_config *finish(growing *g, const char *want)
{
    tmb_config *config = NULL;
    assert_int_equal(fclose(g->out), 0);
    if (want != NULL)
        assert_told(g->text, g->len, want);
    else
        config = load_good(g->text);
    free(g->text);
    return config;
}

static void fill(FILE *out, char letter, size_t count)
{
    while (count-- > 0)
        fputc(letter, out);
}

static tmb_config *load_streams(unsigned count, const char *want)
{
    growing g;
    grow(&g);
    fputs("streams:\n", g.out);
    for (unsigned i = 0; i < count; i++)
        fprintf(g.out, "  - { name: s%u, topics: [ t%u ] }\n", i, i);
    return finish(&g, want);
}

static void takes_31_streams(void **state)
{
    (void)state;
    tmb_config *config = load_streams(TMB_STREAMS_NAMED_MAX, NULL);
    assert_int_equal(config->policy.streams_count, TMB_STREAMS_MAX);
    assert_string_equal(config->policy.streams[TMB_STREAMS_NAMED_MAX - 1].name, "s30");
    assert_true(config->policy.streams[TMB_STREAMS_MAX - 1].is_ledger);
    tmb_config_free(config);
    load_streams(TMB_STREAMS_NAMED_MAX + 1,
                 "/etc/t/f:35:5: streams: more than 31; put topics together\n");
}

/* One with live_first counts twice. */
static tmb_config *load_live_streams(unsigned count, const char *want)
{
    growing g;
    grow(&g);
    fputs("streams:\n", g.out);
    for (unsigned i = 0; i < count; i++)
        fprintf(g.out, "  - { name: s%u, topics: [ t%u ], live_first: true }\n", i, i);
    return finish(&g, want);
}

static void takes_15_streams_with_live_first(void **state)
{
    (void)state;
    tmb_config_free(load_live_streams(TMB_STREAMS_NAMED_MAX / 2, NULL));
    load_live_streams(TMB_STREAMS_NAMED_MAX / 2 + 1,
                      "/etc/t/f:3:1: streams: one with live_first counts as two, which makes 32; "
                      "use at most 31\n");
}

#define WITH_STATE "broker: { host: h }\n" TLS "state: { scopes: [ a ] }\n"

static void takes_30_streams_with_state(void **state)
{
    (void)state;
    growing g;
    for (unsigned count = TMB_STREAMS_NAMED_MAX - 1; count <= TMB_STREAMS_NAMED_MAX; count++) {
        grow(&g);
        fputs(WITH_STATE "streams:\n", g.out);
        for (unsigned i = 0; i < count; i++)
            fprintf(g.out, "  - { name: s%u, topics: [ t%u ] }\n", i, i);
        tmb_config *config =
            finish(&g, count < TMB_STREAMS_NAMED_MAX
                           ? NULL
                           : "/etc/t/f:6:1: streams: with state.scopes at most 30; put topics "
                             "together\n");
        if (config != NULL)
            assert_true(config->policy.streams[TMB_STREAMS_MAX - 2].is_state);
        tmb_config_free(config);
    }
}

static void takes_64_scopes_and_shares(void **state)
{
    (void)state;
    growing g;
    for (unsigned count = TMB_STATE_SCOPES_MAX; count <= TMB_STATE_SCOPES_MAX + 1; count++) {
        grow(&g);
        fputs("broker: { host: h }\n" TLS "state:\n  scopes:\n", g.out);
        for (unsigned i = 0; i < count; i++)
            fprintf(g.out, "    - s%u\n", i);
        tmb_config_free(finish(&g, count == TMB_STATE_SCOPES_MAX
                                       ? NULL
                                       : "/etc/t/f:71:7: state.scopes: more than 64; put them "
                                         "together by \"*\", as in \"line-*\"\n"));
        grow(&g);
        fputs("broker: { host: h }\n" TLS "state:\n  scopes: [ \"*\" ]\n  share:\n", g.out);
        for (unsigned i = 0; i < count; i++)
            fprintf(g.out, "    - { scope: s%u, children: \"*\" }\n", i);
        tmb_config_free(finish(
            &g, count == TMB_STATE_SHARES_MAX
                    ? NULL
                    : "/etc/t/f:72:7: state.share: more than 64; put them together by \"*\"\n"));
    }
}

static tmb_config *load_topics(unsigned count, const char *want)
{
    growing g;
    grow(&g);
    fputs("streams:\n  - name: a\n    topics:\n", g.out);
    for (unsigned i = 0; i < count; i++)
        fprintf(g.out, "      - t%u\n", i);
    return finish(&g, want);
}

static void takes_64_topics_a_stream(void **state)
{
    (void)state;
    tmb_config *config = load_topics(TMB_STREAM_TOPICS_MAX, NULL);
    assert_int_equal(config->policy.streams[0].topics_count, TMB_STREAM_TOPICS_MAX);
    tmb_config_free(config);
    load_topics(
        TMB_STREAM_TOPICS_MAX + 1,
        "/etc/t/f:6:7: streams[].topics: 65 topic filters; one stream has at most 64, make two "
        "streams of it\n");
}

static tmb_config *load_long(const char *before, size_t count, const char *after, const char *want)
{
    growing g;
    grow(&g);
    fputs(before, g.out);
    fill(g.out, 'x', count);
    fputs(after, g.out);
    return finish(&g, want);
}

static void takes_long_texts_up_to_their_limits(void **state)
{
    (void)state;
    static const char stream[] = "streams: [ { topics: [ a ], name: ";
    static const char topic[] = "streams: [ { name: a, topics: [ ";
    static const char host[] = "broker: { host: ";
    static const char template[] = "children: { topic: \"{topic}";
    tmb_config_free(load_long(stream, TMB_STREAM_NAME_BYTES_MAX, " } ]\n", NULL));
    load_long(
        stream, TMB_STREAM_NAME_BYTES_MAX + 1, " } ]\n",
        "/etc/t/f:3:35: streams[].name: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" has 32 bytes; use at "
        "most 31\n");
    tmb_config *config = load_long(topic, TMB_TOPIC_BYTES_MAX, " ] } ]\n", NULL);
    assert_int_equal(strlen(config->policy.streams[0].topics[0]), TMB_TOPIC_BYTES_MAX);
    tmb_config_free(config);
    load_long(topic, TMB_TOPIC_BYTES_MAX + 1, " ] } ]\n",
              "/etc/t/f:3:33: streams[].topics: "
              "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
              "xxxxxxxxxxx...\" is not a topic filter; \"+\" and \"#\" stand alone in their level, "
              "\"#\" in "
              "the last, and the whole has 1 to 65535 bytes\n");
    tmb_config_free(load_long(host, 253, " }\n", NULL));
    load_long(host, 254, " }\n",
              "/etc/t/f:3:17: broker.host: "
              "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
              "xxxxxxx...\" is not a host name or address; use 1 to 253 letters\n");
    tmb_config_free(load_long("data_dir: ", 2048, "\n", NULL));
    load_long("data_dir: ", 2049, "\n",
              "/etc/t/f:3:11: data_dir: "
              "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
              "...\" is not a file name; use 1 to 2048 bytes without control characters\n");
    tmb_config_free(load_long(template, 1024 - 7, "\" }\n", NULL));
    load_long(template, 1024 - 6, "\" }\n",
              "/etc/t/f:3:20: children.topic: 1025 bytes are too many; use at most 1024\n");
    static const char weights[] = "children: { weights: \"*=1";
    tmb_config *weighted = load_long(weights, 0, "\" }\n", NULL);
    assert_string_equal(weighted->children_weights, "*=1");
    tmb_config_free(weighted);
    load_long(
        weights, 2, "\" }\n",
        "/etc/t/f:3:22: children.weights: \"*=1xx\" is no weight; write a child's name, or the "
        "beginning of names and a *, then = and 1 to 100, as in press-*=4\n");
    load_long(weights, 4094, "\" }\n",
              "/etc/t/f:3:22: children.weights: too long; use at most 4096 bytes\n");
}

static void takes_files_up_to_their_limits(void **state)
{
    (void)state;
    size_t comment = TMB_TREE_BYTES_MAX - strlen(GOOD "#");
    tmb_config_free(load_long("#", comment, "", NULL));
    load_long("#", comment + 1, "",
              "/etc/t/f:1:1: larger than 1048576 bytes; this is no configuration\n");
    growing g;
    grow(&g);
    fputs("x: [\n", g.out);
    for (unsigned i = 0; i < TMB_TREE_NODES_MAX; i++)
        fputs("1,\n", g.out);
    fputs("]\n", g.out);
    finish(&g, "/etc/t/f:8192:1: more than 8192 values; this is no configuration\n");
}

static void format(const tmb_config_key *key, uint64_t value, char *ret_text)
{
    if (key->type == TMB_CONFIG_RATE)
        tmb_rate_format(value, ret_text);
    else if (key->type == TMB_CONFIG_DURATION)
        tmb_duration_format(value, ret_text);
    else
        tmb_size_format(value, ret_text);
    if (key->type == TMB_CONFIG_PORT || key->type == TMB_CONFIG_COUNT)
        snprintf(ret_text, TMB_VALUE_TEXT_MAX, "%llu", (unsigned long long)value);
}

/* A file in which key has value, with what else its section needs. */
static void load_number(const tmb_config_key *key, uint64_t value, bool is_right)
{
    char number[TMB_VALUE_TEXT_MAX];
    format(key, value, number);
    growing g;
    grow(&g);
    fputs(TLS, g.out);
    char *path = strdup(key->path);
    char *save = NULL;
    char *step = strtok_r(path, ".", &save);
    const char *more = strcmp(step, "parent") == 0   ? "host: h, backoff: { cap: 1d }, "
                       : strcmp(step, "broker") == 0 ? "host: h, "
                                                     : "";
    if (strstr(key->path, "backoff.") != NULL)
        more = strstr(key->path, "cap") != NULL ? "host: h, backoff: { base: 1ms, cap: "
                                                : "host: h, "
                                                  "backoff: { cap: 1d, base: ";
    char *last = step;
    while ((step = strtok_r(NULL, ".", &save)) != NULL)
        last = step;
    if (strstr(key->path, "backoff.") != NULL)
        fprintf(g.out, "parent: { %s%s } }\n", more, number);
    else if (strstr(key->path, "retention.") != NULL)
        fprintf(g.out, "streams: [ { name: a, topics: [ a ], retention: { %s: %s } } ]\n", last,
                number);
    else if (tmb_config_in_stream(key))
        fprintf(g.out, "streams: [ { name: a, topics: [ a ], %s: %s } ]\n", last, number);
    else
        fprintf(g.out, "%s: { %s%s: %s }\n", path, more, last, number);
    assert_int_equal(fclose(g.out), 0);
    tmb_config *config;
    char *told;
    assert_int_equal(load_bytes(g.text, g.len, &config, &told), is_right ? TMB_OK : TMB_ECONFIG);
    if (!is_right)
        assert_non_null(strstr(told, "is out of range"));
    tmb_config_free(config);
    free(told);
    free(g.text);
    free(path);
}

static void takes_every_number_in_its_range(void **state)
{
    (void)state;
    unsigned numbers = 0;
    for (size_t i = 0; i < TMB_CONFIG_KEYS; i++) {
        const tmb_config_key *key = &tmb_config_keys[i];
        if (key->max == 0)
            continue;
        numbers++;
        load_number(key, key->min, true);
        load_number(key, key->max, true);
        load_number(key, key->min - 1, false);
        load_number(key, key->max + 1, false);
        load_number(key, UINT64_MAX, false);
    }
    assert_int_equal(numbers, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_31_streams),
        cmocka_unit_test(takes_15_streams_with_live_first),
        cmocka_unit_test(takes_30_streams_with_state),
        cmocka_unit_test(takes_64_scopes_and_shares),
        cmocka_unit_test(takes_64_topics_a_stream),
        cmocka_unit_test(takes_long_texts_up_to_their_limits),
        cmocka_unit_test(takes_files_up_to_their_limits),
        cmocka_unit_test(takes_every_number_in_its_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
