// SPDX-License-Identifier: Apache-2.0
/* tests/golden/bus/test_bus_v1.c - what clients of version 1 read and write, compared with the files in v1/.
 *
 *   values.txt   one value of each type: what made it, its payload, its StateValue in hex
 *   ops.txt      StateOps in hex, and what each asks for
 *
 * A line that changes is a client that breaks. `golden_bus DIRECTORY make` writes the files anew.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syncd/bus/answer.h"
#include "syncd/bus/text.h"
#include "syncd/bus/value.h"

static const struct {
    tmb_verb verb;
    const char *elem, *value;
    uint64_t amount;
    double number;
} made[] = {
    {TMB_VERB_SET, "", "21.50", 0, 0},  {TMB_VERB_SET, "", "\xff", 0, 0},
    {TMB_VERB_INC, "", "", 3, 0},       {TMB_VERB_DEC, "", "", 3, 0},
    {TMB_VERB_COUNT, "", "", 300, 0},   {TMB_VERB_ADD, "wo-17 \"a\"", "", 0, 0},
    {TMB_VERB_ADMIT, "anna", "", 0, 0}, {TMB_VERB_REVOKE, "anna", "", 0, 0},
    {TMB_VERB_INSERT, "lot", "", 0, 0}, {TMB_VERB_ENABLE, "", "", 0, 0},
    {TMB_VERB_PERMIT, "", "", 0, 0},    {TMB_VERB_FORBID, "", "", 0, 0},
    {TMB_VERB_RAISE, "", "", 0, 21.5},  {TMB_VERB_LOWER, "", "", 0, -0.1},
    {TMB_VERB_NEW, "", "", 0, 0},
};

/* StateOps as bytes: verb, payload. Version 1 in front of each. */
#define OP(text) (text), sizeof(text) - 1
static const struct {
    const char *verb, *bytes;
    size_t len;
} asked[] = {
    {"set", OP("\x08\x01\x12\x05"
               "21.50\x42\x02\x01\x02")},
    {"inc", OP("\x08\x01\x18\xac\x02\x32\x06plc4:7")},
    {"raise", OP("\x08\x01\x21\0\0\0\0\0\x80\x35\x40")},
    {"add", OP("\x08\x01\x2a\x0b\x0a\x04"
               "wo-1\x0a\x03\xc3\xa4\x62\x3a\x01\x09")},
    {"del", OP("\x08\x01")},
    {"del", OP("\x08\x01\xa2\x06\x01\x07")}, /* a field of a later version is passed over */
};

static void put_hex(tmb_text *out, tmb_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        tmb_text_format(out, "%02x", bytes.ptr[i]);
}

static bool put_value(tmb_text *out, size_t i)
{
    static tmb_delta delta;
    static const tmb_leaf empty;
    uint8_t room[256], order[TMB_NUMBER_BYTES];
    tmb_change change = {.verb = made[i].verb, .stamp = {UINT64_C(1700000000123) << 16}};
    tmb_type type = tmb_verb_type(made[i].verb);
    tmb_dot dot = {.seq = 7};
    memset(dot.actor.bytes, 0xa7, sizeof dot.actor.bytes);
    change.value = tmb_bytes_str(made[i].value);
    change.amount = made[i].amount;
    tmb_number_order(made[i].number, order);
    if (type == TMB_TYPE_MAX || type == TMB_TYPE_MIN)
        change.value = tmb_bytes_of(order, sizeof order);
    tmb_leaf_key key = {tmb_bytes_str("a"), type, tmb_bytes_str(made[i].elem)};
    tmb_value *value = NULL;
    tmb_bytes payload, proto;
    bool is_json;
    bool is_good =
        tmb_change_delta(type, &change, &empty, NULL, &dot, room, sizeof room, &delta) == TMB_OK &&
        tmb_value_new(1024, &value) == TMB_OK &&
        tmb_value_add(value, &key, &delta.leaf) == TMB_OK &&
        tmb_value_payload(value, &payload, &is_json) == TMB_OK;
    if (is_good) {
        tmb_text_format(out, "%s ", tmb_verb_str(made[i].verb));
        tmb_text_put_json(out, payload);
        tmb_text_put_str(out, is_json ? " json " : " bytes ");
        is_good = tmb_value_protobuf(value, tmb_bytes_of("\x01\x02", 2), &proto) == TMB_OK;
    }
    if (is_good)
        put_hex(out, proto);
    tmb_text_put_str(out, "\n");
    tmb_value_free(value);
    return is_good;
}

static bool put_ask(tmb_text *out, size_t i)
{
    static const uint8_t type[] = "\x03\x00\x14" TMB_CONTENT_TYPE_PROTOBUF;
    char topic[64];
    tmb_ask ask;
    snprintf(topic, sizeof topic, "state/line-7/a/%s", asked[i].verb);
    tmb_record record = {.topic = tmb_bytes_str(topic),
                         .payload = tmb_bytes_of(asked[i].bytes, asked[i].len),
                         .props = tmb_bytes_of(type, sizeof type - 1)};
    tmb_err err = tmb_ask_read("state", &record, &ask);
    if (err == TMB_OK) {
        put_hex(out, record.payload);
        tmb_text_format(out, " %s amount %" PRIu64 " number %" PRIu64 "%s", asked[i].verb,
                        ask.op.amount, ask.op.number, ask.op.is_unchanged ? " if " : " token ");
        put_hex(out, ask.op.token);
        tmb_text_put_str(out, " run ");
        tmb_text_put_json(out, ask.op.run);
        for (unsigned k = 0; k < ask.op.values_count; k++) {
            tmb_text_put_str(out, " ");
            tmb_text_put_json(out, ask.op.values[k]);
        }
        tmb_text_put_str(out, "\n");
        tmb_ask_clear(&ask);
    }
    return err == TMB_OK;
}

/* Compares text with the file, or writes it. */
static bool hold(const char *folder, const char *name, const tmb_text *text, bool is_made)
{
    char path[1024];
    static char found[1 << 16];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, is_made ? "wb" : "rb");
    if (!file)
        return false;
    if (is_made)
        return fwrite(text->ptr, 1, text->len, file) == text->len && fclose(file) == 0;
    size_t len = fread(found, 1, sizeof found, file);
    fclose(file);
    bool is_same = len == text->len && memcmp(found, text->ptr, len) == 0;
    if (!is_same)
        fprintf(stderr, "%s is not what this build says:\n%s", path, text->ptr);
    return is_same;
}

int main(int argc, char **argv)
{
    tmb_text values = {0}, asks = {0};
    bool is_made = argc == 3 && strcmp(argv[2], "make") == 0;
    bool is_good = argc >= 2;
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        is_good = put_value(&values, i) && is_good;
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
        is_good = put_ask(&asks, i) && is_good;
    is_good = is_good && !values.is_bad && !asks.is_bad;
    is_good = is_good && hold(argv[1], "values.txt", &values, is_made);
    is_good = is_good && hold(argv[1], "ops.txt", &asks, is_made);
    tmb_text_clear(&values);
    tmb_text_clear(&asks);
    printf("%s\n", is_good ? "equal" : "not equal");
    return is_good ? 0 : 1;
}
