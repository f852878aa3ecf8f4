// SPDX-License-Identifier: Apache-2.0
/* tests/golden/proto_v2.c - see proto_v2.h. */
#include "tests/golden/proto_v2.h"

#include "tests/golden/proto_v1.h"

#define SESSION UINT64_C(0xfedcba9876543210)

const char *const golden_v2_frames[] = {
    "hello.bin",      "welcome.bin",   "welcome-no-credit.bin", "batch-piece.bin",
    "batch-late.bin", "ack-chain.bin", "bye-busy.bin",          "bye-twin.bin",
    "bye-forked.bin", "credit.bin",    "credit-none.bin",       "dictionary.bin",
    "ask.bin",        "told.bin",      "batch-spent.bin",       NULL};

static tmb_incarnation counting_from(uint8_t first)
{
    tmb_incarnation incarnation;
    for (unsigned i = 0; i < sizeof(incarnation.bytes); i++)
        incarnation.bytes[i] = (uint8_t)(first + i);
    return incarnation;
}

static void put_chain(bool *has_chain, uint8_t chain[TMB_CHAIN_BYTES], uint8_t first)
{
    *has_chain = true;
    for (unsigned i = 0; i < TMB_CHAIN_BYTES; i++)
        chain[i] = (uint8_t)(first + i);
}

static tmb_mark mark_of(const char *stream, uint64_t seq)
{
    tmb_mark mark = {.stream = tmb_bytes_str(stream), .incarnation = counting_from(0x10)};
    mark.seq = seq;
    return mark;
}

/* One stream of each class, the chain told of the first. */
static tmb_frame golden_hello(void)
{
    static const char *const names[TMB_CLASSES] = {"commands", "alarms", "state", "line.live",
                                                   "bulk"};
    tmb_frame f = {.type = TMB_FRAME_HELLO};
    f.u.hello = (tmb_frame_hello){.session = SESSION, .version_min = 1, .version_max = 2};
    f.u.hello.node = tmb_bytes_str("site-1");
    f.u.hello.box = UINT64_C(0x1122334455667788);
    f.u.hello.streams_count = TMB_CLASSES;
    for (unsigned i = 0; i < TMB_CLASSES; i++)
        f.u.hello.streams[i] = (tmb_stream_state){.name = tmb_bytes_str(names[i]),
                                                  .incarnation = counting_from(0x10),
                                                  .first_seq = 7 + i,
                                                  .last_seq = 1019,
                                                  .class_ = (tmb_class)i};
    f.u.hello.streams[0].chain_seq = 1010;
    put_chain(&f.u.hello.streams[0].has_chain, f.u.hello.streams[0].chain, 0x40);
    return f;
}

static tmb_frame golden_welcome(bool has_credit)
{
    tmb_frame f = {.type = TMB_FRAME_WELCOME};
    f.u.welcome = (tmb_frame_welcome){.session = SESSION, .version = 2, .marks_count = 2};
    f.u.welcome.node = tmb_bytes_str("hub");
    f.u.welcome.marks[0] = mark_of("commands", 990);
    f.u.welcome.marks[1] = mark_of("bulk", 0);
    if (!has_credit)
        return f;
    put_chain(&f.u.welcome.marks[0].has_chain, f.u.welcome.marks[0].chain, 0x50);
    f.u.welcome.marks[0].dictionary = 3;
    f.u.welcome.marks[1].piece_bytes = 65536;
    f.u.welcome.marks[1].piece_sum = 0xdeadbeef;
    f.u.welcome.window_ms = 625000;
    f.u.welcome.load = 85;
    f.u.welcome.has_credit = true;
    f.u.welcome.live_bytes = 262144;
    f.u.welcome.backlog_bytes = 0;
    return f;
}

/* The second piece of three. */
static tmb_frame golden_piece(void)
{
    tmb_frame f = {.type = TMB_FRAME_BATCH};
    f.u.batch = (tmb_frame_batch){.session = 5, .first_seq = 1000, .last_seq = 1009};
    f.u.batch.stream = tmb_bytes_str("bulk");
    f.u.batch.incarnation = counting_from(0x10);
    f.u.batch.codec = TMB_CODEC_ZSTD;
    f.u.batch.raw_bytes = 5000;
    f.u.batch.data = tmb_bytes_str("the second piece");
    f.u.batch.piece_offset = 16;
    f.u.batch.piece_total = 40;
    f.u.batch.piece_sum = 0x01020304;
    f.u.batch.pool = TMB_POOL_BACKLOG;
    return f;
}

/* Two whole records, behind others that went ahead. */
static tmb_frame golden_late(void)
{
    static uint8_t raw[1024];
    size_t used = 0;
    for (unsigned i = 0; i < 2; i++) {
        tmb_record record = golden_batch_record(i);
        size_t len = 0;
        TMB_ASSERT(tmb_record_encode(&record, raw + used, sizeof(raw) - used, &len) == TMB_OK);
        used += len;
    }
    tmb_frame f = {.type = TMB_FRAME_BATCH};
    f.u.batch = (tmb_frame_batch){.session = 5, .first_seq = GOLDEN_BATCH_FIRST};
    f.u.batch.last_seq = GOLDEN_BATCH_FIRST + 1;
    f.u.batch.stream = tmb_bytes_str("line");
    f.u.batch.incarnation = counting_from(0x10);
    f.u.batch.gap_first = 900;
    f.u.batch.gap_reason = TMB_GAP_AHEAD;
    f.u.batch.codec = TMB_CODEC_PLAIN;
    f.u.batch.data = tmb_bytes_of(raw, used);
    f.u.batch.raw_bytes = (uint32_t)used;
    f.u.batch.pool = TMB_POOL_BACKLOG;
    f.u.batch.is_late = true;
    return f;
}

static tmb_frame golden_bye(const char *file)
{
    tmb_frame f = {.type = TMB_FRAME_BYE};
    f.u.bye = (tmb_frame_bye){.session = SESSION, .reason = TMB_BYE_BUSY, .wait_ms = 31000};
    if (strcmp(file, "bye-busy.bin") == 0)
        return f;
    f.u.bye.wait_ms = 0;
    f.u.bye.reason = strcmp(file, "bye-twin.bin") == 0 ? TMB_BYE_TWIN : TMB_BYE_FORKED;
    f.u.bye.text = tmb_bytes_str("since 2023-11-14");
    return f;
}

static tmb_frame golden_credit(bool is_some)
{
    tmb_frame f = {.type = TMB_FRAME_CREDIT};
    f.u.credit.session = SESSION;
    if (is_some) {
        f.u.credit.live_bytes = UINT64_C(0x0000000100000000);
        f.u.credit.backlog_bytes = 524288;
    }
    return f;
}

static tmb_frame golden_shared(bool is_ask)
{
    tmb_frame f = {.type = is_ask ? TMB_FRAME_ASK : TMB_FRAME_TOLD};
    if (is_ask) {
        f.u.ask = (tmb_frame_ask){.session = SESSION, .id = 9, .marks_count = 1};
        f.u.ask.node = tmb_bytes_str("site-2");
        f.u.ask.marks[0] = mark_of("main", 41);
    } else {
        f.u.told = (tmb_frame_told){.session = SESSION, .id = 9, .marks_count = 2};
        f.u.told.marks[0] = mark_of("main", 57);
        f.u.told.marks[1] = mark_of("bulk", 0);
    }
    return f;
}

tmb_frame golden_v2_frame(const char *file)
{
    tmb_frame f = {.type = TMB_FRAME_ACK};
    if (strcmp(file, "hello.bin") == 0)
        return golden_hello();
    if (strncmp(file, "welcome", 7) == 0)
        return golden_welcome(strcmp(file, "welcome.bin") == 0);
    if (strcmp(file, "batch-piece.bin") == 0)
        return golden_piece();
    if (strcmp(file, "batch-late.bin") == 0)
        return golden_late();
    if (strcmp(file, "batch-spent.bin") == 0) {
        f = golden_piece();
        f.u.batch.spent = 700000;
        return f;
    }
    if (strncmp(file, "bye", 3) == 0)
        return golden_bye(file);
    if (strncmp(file, "credit", 6) == 0)
        return golden_credit(strcmp(file, "credit.bin") == 0);
    if (strcmp(file, "ask.bin") == 0 || strcmp(file, "told.bin") == 0)
        return golden_shared(strcmp(file, "ask.bin") == 0);
    if (strcmp(file, "dictionary.bin") == 0) {
        f.type = TMB_FRAME_DICTIONARY;
        f.u.dictionary = (tmb_frame_dictionary){.session = SESSION, .id = 3};
        f.u.dictionary.stream = tmb_bytes_str("line");
        f.u.dictionary.incarnation = counting_from(0x10);
        f.u.dictionary.data = tmb_bytes_str("{\"temperature\":21.5}");
        return f;
    }
    f.u.ack = (tmb_frame_ack){.session = SESSION, .mark = mark_of("line", 1019)};
    put_chain(&f.u.ack.mark.has_chain, f.u.ack.mark.chain, 0x60);
    return f;
}
