// SPDX-License-Identifier: Apache-2.0
/* tests/golden/proto_v1.c - see proto_v1.h. */
#include "tests/golden/proto_v1.h"

const char *const golden_records[] = {"record-full.bin", "record-small.bin", NULL};
const char *const golden_frames[] = {
    "hello.bin",      "welcome.bin", "welcome-top.bin", "batch-plain.bin",
    "batch-zstd.bin", "ack.bin",     "bye.bin",         NULL};

static tmb_incarnation counting_from(uint8_t first)
{
    tmb_incarnation incarnation;
    for (unsigned i = 0; i < sizeof(incarnation.bytes); i++)
        incarnation.bytes[i] = (uint8_t)(first + i);
    return incarnation;
}

static tmb_origin origin(const char *node, const char *stream, uint64_t seq, uint8_t first)
{
    tmb_origin o = {.node = tmb_bytes_str(node), .stream = tmb_bytes_str(stream)};
    o.incarnation = counting_from(first);
    o.seq = seq;
    o.stamp.u64 = UINT64_C(0x018bcfe568000000) + seq;
    return o;
}

tmb_record golden_record(const char *file)
{
    tmb_record r = {.seq = 1, .topic = tmb_bytes_str("t")};
    if (strcmp(file, "record-small.bin") == 0)
        return r;
    r.seq = UINT64_C(0x0102030405060708);
    r.stamp.u64 = UINT64_C(0x018bcfe568000001);
    r.qos = 2;
    r.retain = r.is_will = r.is_numbered = r.has_origin = r.has_via = true;
    r.number = 17;
    r.run = tmb_bytes_str("run-a");
    r.origin = origin("site-1", "main", 41, 0x10);
    r.via = origin("hub.north_2", "bulk", 42, 0x20);
    r.topic = tmb_bytes_str("hall/\xc3\xbc"
                            "ber/temperature");
    r.publisher = tmb_bytes_str("press-7");
    r.props = tmb_bytes_of("\x01\x01\x26\x00\x01k\x00\x01v", 9);
    r.payload = tmb_bytes_of("21.5\0\xff", 6);
    return r;
}

tmb_record golden_batch_record(unsigned i)
{
    static const char *const payloads[] = {"21.5", "21.6", "21.4", "21.5", ""};
    tmb_record r = {.seq = GOLDEN_BATCH_FIRST + i, .stamp = {UINT64_C(0x018bcfe568000000) + i}};
    r.qos = 1;
    r.topic = tmb_bytes_str("line/1/temperature");
    r.publisher = tmb_bytes_str("press-7");
    r.payload = tmb_bytes_str(payloads[i % 5]);
    return r;
}

tmb_record golden_commit_record(unsigned i)
{
    tmb_record r = golden_batch_record(i);
    r.seq = r.stamp.u64 = 0;
    r.topic = tmb_bytes_str("site-1/line/1/temperature");
    r.has_origin = true;
    r.origin = origin("site-1", "main", GOLDEN_BATCH_FIRST + i, 0x10);
    return r;
}

static tmb_frame golden_hello(void)
{
    tmb_frame f = {.type = TMB_FRAME_HELLO};
    f.u.hello = (tmb_frame_hello){.session = UINT64_C(0xfedcba9876543210)};
    f.u.hello.node = tmb_bytes_str("site-1");
    f.u.hello.version_min = f.u.hello.version_max = 1;
    f.u.hello.streams_count = 2;
    f.u.hello.streams[0] = (tmb_stream_state){.name = tmb_bytes_str("main"),
                                              .incarnation = counting_from(0x10),
                                              .first_seq = 7,
                                              .last_seq = 1019,
                                              .class_ = TMB_CLASS_TELEMETRY};
    f.u.hello.streams[1] = (tmb_stream_state){.name = tmb_bytes_str("bulk"),
                                              .incarnation = counting_from(0x10),
                                              .first_seq = 1,
                                              .last_seq = 0,
                                              .class_ = TMB_CLASS_TELEMETRY};
    return f;
}

static tmb_frame golden_welcome(bool is_top)
{
    tmb_frame f = {.type = TMB_FRAME_WELCOME};
    f.u.welcome = (tmb_frame_welcome){.session = UINT64_C(0xfedcba9876543210), .version = 1};
    f.u.welcome.node = tmb_bytes_str("hub");
    f.u.welcome.is_top = is_top;
    f.u.welcome.marks_count = 2;
    f.u.welcome.marks[0] =
        (tmb_mark){.stream = tmb_bytes_str("main"), .incarnation = counting_from(0x10), .seq = 990};
    f.u.welcome.marks[1] =
        (tmb_mark){.stream = tmb_bytes_str("bulk"), .incarnation = counting_from(0x10), .seq = 0};
    return f;
}

static tmb_frame golden_batch(tmb_codec codec)
{
    tmb_frame f = {.type = TMB_FRAME_BATCH};
    f.u.batch = (tmb_frame_batch){.session = 5, .codec = codec};
    f.u.batch.stream = tmb_bytes_str("main");
    f.u.batch.incarnation = counting_from(0x10);
    f.u.batch.first_seq = GOLDEN_BATCH_FIRST;
    f.u.batch.last_seq = GOLDEN_BATCH_FIRST + GOLDEN_BATCH_RECORDS - 1;
    f.u.batch.gap_first = 991;
    f.u.batch.gap_reason = TMB_GAP_RETENTION;
    return f;
}

tmb_frame golden_frame(const char *file)
{
    if (strcmp(file, "hello.bin") == 0)
        return golden_hello();
    if (strcmp(file, "welcome.bin") == 0)
        return golden_welcome(false);
    if (strcmp(file, "welcome-top.bin") == 0) /* the field came with marks for receipts */
        return golden_welcome(true);
    if (strcmp(file, "batch-plain.bin") == 0)
        return golden_batch(TMB_CODEC_PLAIN);
    if (strcmp(file, "batch-zstd.bin") == 0)
        return golden_batch(TMB_CODEC_ZSTD);
    tmb_frame f = {.type = TMB_FRAME_ACK};
    if (strcmp(file, "ack.bin") == 0) {
        f.u.ack = (tmb_frame_ack){.session = 5, .resend = true, .wait_ms = 250};
        f.u.ack.mark = (tmb_mark){
            .stream = tmb_bytes_str("main"), .incarnation = counting_from(0x10), .seq = 1019};
        return f;
    }
    f.type = TMB_FRAME_BYE;
    f.u.bye = (tmb_frame_bye){5, TMB_BYE_IDENTITY, tmb_bytes_str("certificate says s2"), 0};
    return f;
}
