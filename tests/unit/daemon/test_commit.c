// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_commit.c - what becomes of a child's batch: everything kept, source said, nothing
 * that the plugin would refuse for ever.
 */
#include "syncd/daemon/commit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/policy.h"
#include "proto/batch.h"
#include "proto/props.h"
#include "proto/topics.h"

#define TEMPLATE "{site}/{topic}"

static const tmb_incarnation CHILD_LIFE = {{1, 2, 3, 4}};
static const tmb_incarnation GRANDCHILD_LIFE = {{7, 7}};

/* A batch of records, packed as a child packs it. */
typedef struct packed {
    uint8_t *raw, *data;
    size_t raw_len;
    tmb_frame_batch batch;
} packed;

static packed pack(const tmb_record *records, size_t count)
{
    packed p = {.raw_len = 0};
    for (size_t i = 0; i < count; i++) {
        size_t size = tmb_record_size(&records[i]), len = 0;
        p.raw = realloc(p.raw, p.raw_len + size);
        assert_non_null(p.raw);
        assert_int_equal(tmb_record_encode(&records[i], p.raw + p.raw_len, size, &len), TMB_OK);
        p.raw_len += len;
    }
    p.batch.stream = tmb_bytes_str("default");
    p.batch.incarnation = CHILD_LIFE;
    p.batch.first_seq = records[0].seq;
    p.batch.last_seq = records[count - 1].seq;
    size_t bound = tmb_batch_pack_bound(p.raw_len);
    p.data = malloc(bound);
    assert_non_null(p.data);
    assert_int_equal(tmb_batch_pack(tmb_bytes_of(p.raw, p.raw_len), p.data, bound, &p.batch),
                     TMB_OK);
    return p;
}

static void unpack(packed *p)
{
    free(p->raw);
    free(p->data);
}

static tmb_record message(uint64_t seq, const char *topic, const char *payload)
{
    tmb_record r = {.seq = seq,
                    .stamp = {seq << 20},
                    .qos = 1,
                    .topic = tmb_bytes_str(topic),
                    .publisher = tmb_bytes_str("plc-4"),
                    .payload = tmb_bytes_str(payload)};
    return r;
}

static tmb_commit build(const packed *p, uint64_t mark, const char *topic_template)
{
    tmb_commit c = {
        .topic_template = topic_template, .child = "s1", .batch = &p->batch, .mark = mark};
    tmb_commit_build(&c);
    return c;
}

static tmb_record read_record(const tmb_commit *c, size_t *offset)
{
    tmb_record r;
    assert_int_equal(tmb_batch_next(tmb_bytes_of(c->payload + 1, c->len - 1), offset, &r), TMB_OK);
    return r;
}

static void assert_bytes(tmb_bytes found, const char *wanted)
{
    assert_int_equal(found.len, strlen(wanted));
    assert_memory_equal(found.ptr, wanted, found.len);
}

static void test_everything_is_kept_and_the_source_is_said(void **state)
{
    (void)state;
    uint8_t props[64];
    tmb_writer w = tmb_writer_of(props, sizeof props);
    tmb_prop prop = {.id = TMB_PROP_CONTENT_TYPE, .value = tmb_bytes_str("text/plain")};
    tmb_props_put(&w, &prop);
    tmb_record records[3] = {message(5, "a/b", "one"), message(6, "a/c", ""), message(7, "d", "x")};
    records[0].qos = 2;
    records[0].retain = records[0].is_will = true;
    records[0].props = tmb_bytes_of(props, (size_t)(w.at - props));
    records[1].is_numbered = true;
    records[1].number = 17;
    records[1].run = tmb_bytes_str("r");
    records[2].has_origin = true;
    records[2].origin =
        (tmb_origin){tmb_bytes_str("cell"), GRANDCHILD_LIFE, tmb_bytes_str("alarms"), 99, {12345}};
    packed p = pack(records, 3);
    tmb_commit c = build(&p, 4, TEMPLATE);
    assert_int_equal(c.err, TMB_OK);
    assert_int_equal(c.records, 3);
    assert_int_equal(c.payload[0], TMB_COMMIT_VERSION);

    size_t offset = 0;
    tmb_record r = read_record(&c, &offset);
    assert_bytes(r.topic, "s1/a/b");
    assert_bytes(r.payload, "one");
    assert_bytes(r.publisher, "plc-4");
    assert_true(r.qos == 2 && r.retain && r.is_will && r.seq == 0 && r.stamp.u64 == 0);
    assert_true(tmb_bytes_eq(r.props, records[0].props));
    assert_true(r.has_origin && !r.has_via);
    assert_bytes(r.origin.node, "s1");
    assert_bytes(r.origin.stream, "default");
    assert_int_equal(r.origin.seq, 5);
    assert_int_equal(r.origin.stamp.u64, 5u << 20);
    assert_memory_equal(&r.origin.incarnation, &CHILD_LIFE, sizeof CHILD_LIFE);

    r = read_record(&c, &offset);
    assert_true(r.is_numbered && r.number == 17);
    assert_bytes(r.run, "r");

    r = read_record(&c, &offset);
    assert_bytes(r.topic, "s1/d");
    assert_bytes(r.origin.node, "cell");
    assert_int_equal(r.origin.seq, 99);
    assert_true(r.has_via);
    assert_bytes(r.via.node, "s1");
    assert_int_equal(r.via.seq, 7);
    assert_bytes(tmb_record_source(&r)->node, "s1");
    assert_int_equal(offset, c.len - 1);
    tmb_commit_forget(&c);
    unpack(&p);
}

/* Born here: its stamp; handed on: that of its birth. What is not late is left as it is. */
static void test_late_records_say_so_and_when_they_were_born(void **state)
{
    (void)state;
    tmb_record records[2] = {message(5, "a", "1"), message(6, "a", "2")};
    records[0].stamp.u64 = UINT64_C(1000) << 16;
    records[1].has_origin = true;
    records[1].origin = (tmb_origin){tmb_bytes_str("cell"),
                                     GRANDCHILD_LIFE,
                                     tmb_bytes_str("alarms"),
                                     99,
                                     {UINT64_C(2000) << 16}};
    packed p = pack(records, 2);
    for (int is_late = 0; is_late < 2; is_late++) {
        p.batch.is_late = is_late;
        tmb_commit c = build(&p, 0, TEMPLATE);
        assert_int_equal(c.err, TMB_OK);
        size_t offset = 0;
        for (unsigned i = 0; i < 2; i++) {
            tmb_bytes props = read_record(&c, &offset).props, value = {0};
            assert_int_equal(tmb_props_find_user(props, "tombolo-late", &value),
                             is_late ? TMB_OK : TMB_ENOENT);
            if (!is_late)
                continue;
            assert_bytes(value, "1");
            assert_int_equal(tmb_props_find_user(props, "tombolo-time", &value), TMB_OK);
            assert_bytes(value, i == 0 ? "1970-01-01T00:00:01.000Z" : "1970-01-01T00:00:02.000Z");
        }
        tmb_commit_forget(&c);
    }
    unpack(&p);
}

/* One topic, whichever lane a record came by; its source is the lane. */
static void test_a_live_lane_is_its_stream_in_topics(void **state)
{
    (void)state;
    tmb_record record = message(5, "a", "1");
    packed p = pack(&record, 1);
    p.batch.stream = tmb_bytes_str("default.live");
    tmb_commit c = build(&p, 0, "{site}/{stream}/{topic}");
    size_t offset = 0;
    tmb_record found = read_record(&c, &offset);
    assert_bytes(found.topic, "s1/default/a");
    assert_bytes(found.origin.stream, "default.live");
    tmb_commit_fini(&c);
    unpack(&p);
}

static void test_what_is_here_is_skipped(void **state)
{
    (void)state;
    tmb_record records[3] = {message(5, "a", "1"), message(6, "a", "2"), message(7, "a", "3")};
    packed p = pack(records, 3);
    tmb_commit c = build(&p, 6, TEMPLATE);
    size_t offset = 0;
    assert_int_equal(c.records, 1);
    assert_int_equal(read_record(&c, &offset).origin.seq, 7);
    tmb_commit_forget(&c);
    c = build(&p, 7, TEMPLATE);
    assert_int_equal(c.err, TMB_OK);
    assert_null(c.payload);
    unpack(&p);
}

static void test_templates(void **state)
{
    (void)state;
    static uint8_t out[TMB_TOPIC_BYTES_MAX];
    size_t len = 0;
    tmb_bytes site = tmb_bytes_str("s1"), topic = tmb_bytes_str("a/b"), stream = tmb_bytes_str("x");
    assert_int_equal(
        tmb_commit_topic("plant/{stream}/{site}/{topic}", site, topic, stream, out, &len), TMB_OK);
    assert_bytes(tmb_bytes_of(out, len), "plant/x/s1/a/b");
    assert_int_equal(tmb_commit_topic("{topic}", site, tmb_bytes_str("$x"), stream, out, &len),
                     TMB_EINVAL);
    assert_int_equal(tmb_commit_topic("{topic}", site, tmb_bytes_str("a/#"), stream, out, &len),
                     TMB_EINVAL);
    char *longest = malloc(TMB_TOPIC_BYTES_MAX + 1);
    assert_non_null(longest);
    memset(longest, 'a', TMB_TOPIC_BYTES_MAX);
    longest[TMB_TOPIC_BYTES_MAX] = 0;
    assert_int_equal(tmb_commit_topic("{topic}", site, tmb_bytes_str(longest), stream, out, &len),
                     TMB_OK);
    assert_int_equal(tmb_commit_topic(TEMPLATE, site, tmb_bytes_str(longest), stream, out, &len),
                     TMB_ELIMIT);
    free(longest);
}

/* A topic that cannot be used here must not hold up what is behind it. */
static void test_unusable_topics_are_moved_aside(void **state)
{
    (void)state;
    char *longest = malloc(TMB_TOPIC_BYTES_MAX + 1);
    assert_non_null(longest);
    memset(longest, 'a', TMB_TOPIC_BYTES_MAX);
    longest[TMB_TOPIC_BYTES_MAX] = 0;
    const char *topics[] = {longest, "a/+/b", "ok"};
    tmb_record records[3] = {message(1, topics[0], "1"), message(2, topics[1], "2"),
                             message(3, topics[2], "3")};
    packed p = pack(records, 3);
    tmb_commit c = build(&p, 0, TEMPLATE);
    assert_int_equal(c.err, TMB_OK);
    assert_int_equal(c.records, 3);
    assert_int_equal(c.changed_topics, 2);
    size_t offset = 0;
    for (int i = 0; i < 2; i++) {
        tmb_record r = read_record(&c, &offset);
        tmb_bytes kept;
        assert_bytes(r.topic, "s1/" TMB_COMMIT_INVALID_TOPIC);
        assert_true(tmb_topic_is_valid(r.topic));
        assert_int_equal(tmb_props_find_user(r.props, TMB_COMMIT_TOPIC_PROP, &kept), TMB_OK);
        assert_bytes(kept, topics[i]);
    }
    assert_bytes(read_record(&c, &offset).topic, "s1/ok");
    tmb_commit_forget(&c);
    unpack(&p);
    free(longest);
}

static void test_unreadable_properties_are_dropped(void **state)
{
    (void)state;
    tmb_record records[1] = {message(1, "a", "1")};
    records[0].props = tmb_bytes_str("\xff\xff");
    packed p = pack(records, 1);
    tmb_commit c = build(&p, 0, TEMPLATE);
    size_t offset = 0;
    assert_int_equal(c.dropped_props, 1);
    tmb_record r = read_record(&c, &offset);
    assert_int_equal(r.props.len, 0);
    assert_bytes(r.payload, "1");
    tmb_commit_forget(&c);
    unpack(&p);
}

/* A record just below the limit at the child is above it with its source added. */
static void test_a_record_that_outgrows_the_limit_is_told(void **state)
{
    (void)state;
    tmb_record records[2] = {message(1, "a", ""), message(2, "b", "small")};
    size_t room = TMB_RECORD_BYTES_MAX - tmb_record_size(&records[0]);
    uint8_t *large = calloc(1, room);
    assert_non_null(large);
    records[0].payload = tmb_bytes_of(large, room);
    packed p = pack(records, 2);
    tmb_commit c = build(&p, 0, TEMPLATE);
    assert_int_equal(c.err, TMB_OK);
    assert_int_equal(c.left_out, 1);
    assert_int_equal(c.records, 1);
    size_t offset = 0;
    assert_bytes(read_record(&c, &offset).topic, "s1/b");
    tmb_commit_forget(&c);
    unpack(&p);
    free(large);
}

static void test_malformed_batches_are_refused_whole(void **state)
{
    (void)state;
    tmb_record records[2] = {message(5, "a", "1"), message(6, "a", "2")};
    packed p = pack(records, 2);
    p.batch.last_seq = 7;
    tmb_commit c = build(&p, 0, TEMPLATE);
    assert_int_equal(c.err, TMB_ECORRUPT);
    assert_null(c.payload);
    p.batch.last_seq = 6;
    p.batch.raw_bytes--;
    c = build(&p, 0, TEMPLATE);
    assert_int_not_equal(c.err, TMB_OK);
    assert_null(c.payload);
    p.batch.raw_bytes++;
    for (size_t i = 0; i < p.batch.data.len; i++) {
        p.data[i] ^= 0x10;
        c = build(&p, 0, TEMPLATE);
        if (c.err ==
            TMB_OK) { /* a byte of zstd's that says nothing: then everything is as it was */
            size_t offset = 0;
            assert_int_equal(c.records, 2);
            assert_bytes(read_record(&c, &offset).payload, "1");
        }
        tmb_commit_forget(&c);
        p.data[i] ^= 0x10;
    }
    unpack(&p);
}

/* What is told when somebody asks how far a stream farther down is: known records count, a live lane does
 * not. */
static void test_the_highest_of_each_origin_is_noted(void **state)
{
    (void)state;
    tmb_record records[4];
    static const char *const nodes[] = {"cell", "cell", "press", "cell"};
    static const uint64_t seqs[] = {97, 98, 7, 41};
    for (unsigned i = 0; i < 4; i++) {
        records[i] = message(5 + i, "a", "x");
        records[i].has_origin = true;
        records[i].origin = (tmb_origin){tmb_bytes_str(nodes[i]),
                                         GRANDCHILD_LIFE,
                                         tmb_bytes_str(i == 3 ? "b" : "a"),
                                         seqs[i],
                                         {1}};
    }
    packed p = pack(records, 4);
    tmb_commit c = build(&p, 8, TEMPLATE); /* all are here already */
    assert_int_equal(c.records, 0);
    assert_int_equal(c.origins_count, 3);
    assert_string_equal(c.origins[0].node, "cell");
    assert_string_equal(c.origins[0].stream, "a");
    assert_int_equal(c.origins[0].seq, 98);
    assert_string_equal(c.origins[1].node, "press");
    assert_int_equal(c.origins[2].seq, 41);
    tmb_commit_forget(&c);
    p.batch.stream = tmb_bytes_str("default.live");
    c = build(&p, 8, TEMPLATE);
    assert_int_equal(c.err, TMB_OK);
    assert_int_equal(c.origins_count, 0);
    tmb_commit_forget(&c);
    unpack(&p);
}

/* Of one more than fit nothing is noted; the batch is taken all the same. */
static void test_a_batch_notes_so_many_origins(void **state)
{
    (void)state;
    tmb_record records[TMB_COMMIT_ORIGINS_MAX + 1];
    static char nodes[TMB_COMMIT_ORIGINS_MAX + 1][8];
    for (unsigned i = 0; i <= TMB_COMMIT_ORIGINS_MAX; i++) {
        (void)snprintf(nodes[i], sizeof nodes[i], "n%u", i);
        records[i] = message(1 + i, "a", "x");
        records[i].has_origin = true;
        records[i].origin =
            (tmb_origin){tmb_bytes_str(nodes[i]), GRANDCHILD_LIFE, tmb_bytes_str("a"), 3 + i, {1}};
    }
    packed p = pack(records, TMB_COMMIT_ORIGINS_MAX + 1);
    tmb_commit c = build(&p, 0, TEMPLATE);
    assert_int_equal(c.err, TMB_OK);
    assert_int_equal(c.records, TMB_COMMIT_ORIGINS_MAX + 1);
    assert_int_equal(c.origins_count, TMB_COMMIT_ORIGINS_MAX);
    for (unsigned i = 0; i < TMB_COMMIT_ORIGINS_MAX; i++) {
        assert_string_equal(c.origins[i].node, nodes[i]);
        assert_int_equal(c.origins[i].seq, 3 + i);
    }
    tmb_commit_forget(&c);
    unpack(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_highest_of_each_origin_is_noted),
        cmocka_unit_test(test_a_batch_notes_so_many_origins),
        cmocka_unit_test(test_everything_is_kept_and_the_source_is_said),
        cmocka_unit_test(test_late_records_say_so_and_when_they_were_born),
        cmocka_unit_test(test_a_live_lane_is_its_stream_in_topics),
        cmocka_unit_test(test_what_is_here_is_skipped),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_unusable_topics_are_moved_aside),
        cmocka_unit_test(test_unreadable_properties_are_dropped),
        cmocka_unit_test(test_a_record_that_outgrows_the_limit_is_told),
        cmocka_unit_test(test_malformed_batches_are_refused_whole),
    };
    return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
