// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/state_op_fuzz.c - any topic, payload and properties as an operation on state: it is taken and
 * within every limit, or refused with a sentence that stands in an answer. */
#include <jansson.h>
#include <stdlib.h>

#include "policy/state_topic.h"
#include "syncd/bus/answer.h"
#include "syncd/bus/ask.h"
#include "tests/fuzz/fuzz.h"

static void check_op(const tmb_op *op)
{
    char topic[TMB_STATE_TOPIC_BYTES_MAX + 1];
    tmb_state_topic_write("state", op->scope, op->path, TMB_STATE_OUTPUT_NONE, topic, sizeof topic);
    tmb_state_topic t = tmb_state_topic_parse("state", tmb_bytes_str(topic));
    TMB_ASSERT(t.kind == TMB_STATE_VALUE && tmb_bytes_eq(t.path, op->path));
    TMB_ASSERT(op->verb != TMB_VERB_NONE && op->values_count <= TMB_OP_VALUES_MAX);
    TMB_ASSERT(op->amount <= INT64_MAX && op->run.len <= TMB_RUN_BYTES_MAX);
    TMB_ASSERT((op->run.len > 0) == (op->number > 0));
    for (unsigned i = 0; i < op->values_count; i++) {
        size_t max = tmb_type_is_set(tmb_verb_type(op->verb)) ? TMB_ELEMENT_BYTES_MAX
                                                              : TMB_REGISTER_BYTES_MAX;
        TMB_ASSERT(op->values[i].len <= max);
    }
    if (op->verb == TMB_VERB_RAISE || op->verb == TMB_VERB_LOWER)
        TMB_ASSERT(op->values_count == 1 &&
                   tmb_type_is_value_valid(tmb_verb_type(op->verb), op->values[0]));
}

/* byte 0: length of the topic behind "state/", byte 1: of the properties; then these and the payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char topic[6 + 256] = "state/";
    tmb_ask ask;
    if (size < 2)
        return 0;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(data + 2, size - 2));
    tmb_bytes tail = tmb_get_bytes(&r, data[0] < size - 2 ? data[0] : size - 2);
    size_t left = tmb_reader_left(&r);
    tmb_bytes props = tmb_get_bytes(&r, data[1] < left ? data[1] : left);
    if (tail.len > 0)
        memcpy(topic + 6, tail.ptr, tail.len);
    tmb_record record = {.topic = tmb_bytes_of(topic, 6 + tail.len), .props = props};
    record.payload = tmb_get_bytes(&r, tmb_reader_left(&r));
    tmb_err err = tmb_ask_read("state", &record, &ask);
    if (err == TMB_ENOMEM)
        return 0;
    if (err == TMB_OK)
        check_op(&ask.op);
    else
        TMB_ASSERT(err == TMB_EINVAL && ask.why[0] != '\0' && !tmb_verdict_is_ok(ask.verdict));
    char *text = NULL;
    tmb_err told = tmb_answer_json(&ask, ask.verdict, ask.why, ask.op.token, &text);
    if (told == TMB_OK) {
        json_t *json = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        TMB_ASSERT(json && json_object_get(json, "verdict"));
        json_decref(json);
    }
    free(text);
    tmb_ask_clear(&ask);
    return 0;
}
