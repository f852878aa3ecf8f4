// SPDX-License-Identifier: Apache-2.0
/* tests/golden/proto_v3.c - see proto_v3.h. */
#include "tests/golden/proto_v3.h"

#include "base/varint.h"
#include "proto/leaves.h"

#define SESSION UINT64_C(0xfedcba9876543210)

const char *const golden_v3_frames[] = {"scope.bin",  "scope-first.bin", "scope-refused.bin",
                                        "leaves.bin", "leaves-on.bin",   "leaves-none.bin",
                                        "stored.bin", "ranges.bin",      NULL};

static uint8_t clock_bytes[64], heard_bytes[64], points_bytes[64], data_bytes[512];

static tmb_incarnation counting_from(uint8_t first)
{
    tmb_incarnation incarnation;
    for (unsigned i = 0; i < sizeof(incarnation.bytes); i++)
        incarnation.bytes[i] = (uint8_t)(first + i);
    return incarnation;
}

/* Two actors: 0x10.. up to a, 0x50.. up to b. */
static tmb_bytes vector(uint8_t out[64], uint64_t a, uint64_t b)
{
    tmb_base bases[2] = {{counting_from(0x10), a}, {counting_from(0x50), b}};
    tmb_context context = tmb_context_of(bases, 2, NULL, 0);
    tmb_writer w = tmb_writer_of(out, 64);
    context.bases_count = 2;
    tmb_context_put(&w, &context);
    return tmb_bytes_of(out, (size_t)(w.at - out));
}

static tmb_frame golden_scope(const char *file)
{
    tmb_frame f = {.type = TMB_FRAME_SCOPE};
    tmb_frame_scope *scope = &f.u.scope;
    *scope = (tmb_frame_scope){.session = SESSION, .turn = 3};
    scope->scope = tmb_bytes_str("line-7");
    scope->self = counting_from(0x10);
    if (strcmp(file, "scope-refused.bin") == 0) {
        scope->answers = 1;
        scope->refused = TMB_REFUSAL_UNKNOWN;
        return f;
    }
    if (strcmp(file, "scope-first.bin") == 0) {
        scope->clock = tmb_bytes_of("\0", 2);
        return f;
    }
    scope->answers = 2;
    scope->last = 300;
    memset(scope->chain, 0x77, sizeof(scope->chain));
    scope->clock = vector(clock_bytes, 300, UINT64_C(0x100000000));
    scope->floor = scope->heard = scope->heard_clock = vector(heard_bytes, 1, 127);
    scope->has_yours = true;
    scope->yours = counting_from(0x50);
    scope->yours_seq = UINT64_C(0x100000000);
    tmb_writer w = tmb_writer_of(points_bytes, sizeof(points_bytes));
    for (unsigned i = 0; i < 2; i++) {
        tmb_put_varint(&w, UINT64_C(128) << i);
        tmb_put_bytes(&w, tmb_bytes_of(counting_from((uint8_t)(0x80 + i)).bytes, 16));
    }
    scope->points = tmb_bytes_of(points_bytes, (size_t)(w.at - points_bytes));
    scope->has_fingerprint = true;
    scope->leaves = 100000;
    memset(scope->sum, 0x99, sizeof(scope->sum));
    scope->wall_ms = UINT64_C(1790000000000);
    scope->hlc = UINT64_C(1790000000000) << 16 | 5;
    return f;
}

/* A counter with two entries, and an element that was removed, known beyond the clock. */
static tmb_bytes golden_data(void)
{
    static tmb_leaves_state state;
    static tmb_actors actors;
    static tmb_leaf_item item;
    static const uint8_t up[] = {3, 0}, down[] = {1, 1};
    tmb_base beyond[1] = {{counting_from(0x90), 4}};
    tmb_context extra = tmb_context_of(beyond, 1, NULL, 0);
    tmb_writer w = tmb_writer_of(data_bytes, sizeof(data_bytes));
    extra.bases_count = 1;
    state.key_len = 0;
    actors.count = 2;
    actors.actors[0] = counting_from(0x10);
    actors.actors[1] = counting_from(0x50);
    item = (tmb_leaf_item){.key = {tmb_bytes_str("cell/parts"), TMB_TYPE_PN_COUNTER, {0}}};
    item.leaf.count = 2;
    item.leaf.entries[0] = (tmb_entry){{counting_from(0x10), 300}, tmb_bytes_of(up, 2)};
    item.leaf.entries[1] = (tmb_entry){{counting_from(0x50), 9}, tmb_bytes_of(down, 2)};
    TMB_ASSERT(!tmb_leaves_put(&w, &state, &actors, &item));
    item = (tmb_leaf_item){
        .key = {tmb_bytes_str("cell/orders"), TMB_TYPE_AW_SET, tmb_bytes_str("wo-17")}};
    item.removals_count = 1;
    item.removals[0] = (tmb_dot){counting_from(0x10), 299};
    item.extra = &extra;
    TMB_ASSERT(!tmb_leaves_put(&w, &state, &actors, &item));
    return tmb_bytes_of(data_bytes, (size_t)(w.at - data_bytes));
}

static tmb_frame golden_leaves(const char *file)
{
    static tmb_incarnation more;
    static const uint8_t upto[] = {0xac, 2, 9};
    tmb_frame f = {.type = TMB_FRAME_LEAVES};
    tmb_frame_leaves *leaves = &f.u.leaves;
    more = counting_from(0x90);
    *leaves = (tmb_frame_leaves){.session = SESSION, .turn = 3, .is_complete = true};
    leaves->scope = tmb_bytes_str("line-7");
    leaves->ctx = vector(clock_bytes, 300, 10);
    if (strcmp(file, "leaves-none.bin") == 0)
        return f;
    leaves->has_self = true;
    leaves->self = 1;
    memset(leaves->chain, 0x77, sizeof(leaves->chain));
    leaves->actors = tmb_bytes_of(more.bytes, sizeof(more.bytes));
    leaves->data = golden_data();
    leaves->raw_bytes = (uint32_t)leaves->data.len;
    if (strcmp(file, "leaves-on.bin") == 0) {
        leaves->n = 200;
        leaves->is_complete = false;
        leaves->upto = tmb_bytes_of(upto, sizeof(upto));
    }
    return f;
}

tmb_frame golden_v3_frame(const char *file)
{
    tmb_frame f = {.type = TMB_FRAME_STORED};
    if (strncmp(file, "scope", 5) == 0)
        return golden_scope(file);
    if (strncmp(file, "leaves", 6) == 0)
        return golden_leaves(file);
    if (strcmp(file, "ranges.bin") == 0) {
        f.type = TMB_FRAME_RANGES;
        f.u.ranges = (tmb_frame_ranges){.session = SESSION, .turn = 3, .round = 2};
        f.u.ranges.scope = tmb_bytes_str("line-7");
        f.u.ranges.data = tmb_bytes_of("\0\0\1a\2\1"
                                       "12345678",
                                       14);
        return f;
    }
    f.u.stored = (tmb_frame_stored){.session = SESSION, .turn = 3, .n = 200};
    f.u.stored.scope = tmb_bytes_str("line-7");
    return f;
}
