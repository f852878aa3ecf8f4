// SPDX-License-Identifier: Apache-2.0
/* proto/frame_check.c - what a frame must keep whatever it came from, so that the machines behind it may add
 * one to a sequence number, index by a stream and print a name without thinking. */
#include "proto/frame_check.h"

static tmb_err check_name(tmb_bytes name, size_t bytes_max)
{
    if (name.len > bytes_max)
        return TMB_ELIMIT;
    return tmb_name_is_valid(name, bytes_max) ? TMB_OK : TMB_ECORRUPT;
}

static tmb_err check_stream_state(const tmb_stream_state *state)
{
    tmb_err err = check_name(state->name, TMB_STREAM_NAME_BYTES_MAX);
    if (err)
        return err;
    if (state->last_seq > TMB_SEQ_MAX)
        return TMB_ELIMIT;
    if (state->first_seq == 0 || state->first_seq > state->last_seq + 1)
        return TMB_ECORRUPT;
    return TMB_OK;
}

static tmb_err check_mark(const tmb_mark *mark)
{
    tmb_err err = check_name(mark->stream, TMB_STREAM_NAME_BYTES_MAX);
    if (err)
        return err;
    return mark->seq <= TMB_SEQ_MAX ? TMB_OK : TMB_ELIMIT;
}

static tmb_err check_hello(const tmb_frame_hello *hello)
{
    tmb_err err = check_name(hello->node, TMB_NAME_BYTES_MAX);
    if (err)
        return err;
    if (hello->streams_count > TMB_STREAMS_MAX)
        return TMB_ELIMIT;
    if (hello->version_min == 0 || hello->version_min > hello->version_max)
        return TMB_ECORRUPT;
    for (unsigned i = 0; i < hello->streams_count; i++) {
        err = check_stream_state(&hello->streams[i]);
        if (err)
            return err;
        for (unsigned k = 0; k < i; k++) {
            if (tmb_bytes_eq(hello->streams[i].name, hello->streams[k].name))
                return TMB_ECORRUPT;
        }
    }
    return TMB_OK;
}

static tmb_err check_welcome(const tmb_frame_welcome *welcome)
{
    tmb_err err = check_name(welcome->node, TMB_NAME_BYTES_MAX);
    if (err)
        return err;
    if (welcome->marks_count > TMB_STREAMS_MAX)
        return TMB_ELIMIT;
    if (welcome->version == 0)
        return TMB_ECORRUPT;
    for (unsigned i = 0; i < welcome->marks_count; i++) {
        err = check_mark(&welcome->marks[i]);
        if (err)
            return err;
        for (unsigned k = 0; k < i; k++) {
            if (tmb_bytes_eq(welcome->marks[i].stream, welcome->marks[k].stream))
                return TMB_ECORRUPT;
        }
    }
    return TMB_OK;
}

static bool is_gap_reason(tmb_gap_reason reason)
{
    return reason >= TMB_GAP_TORN && reason <= TMB_GAP_MISSING;
}

static bool gap_is_valid(const tmb_frame_batch *batch)
{
    if (batch->gap_first == 0)
        return batch->gap_reason == TMB_GAP_NONE;
    return batch->gap_first < batch->first_seq && is_gap_reason(batch->gap_reason);
}

static tmb_err check_batch(const tmb_frame_batch *batch)
{
    tmb_err err = check_name(batch->stream, TMB_STREAM_NAME_BYTES_MAX);
    if (err)
        return err;
    if (batch->first_seq == 0 || batch->first_seq > batch->last_seq || !gap_is_valid(batch))
        return TMB_ECORRUPT;
    uint64_t records = batch->last_seq - batch->first_seq;
    if (batch->last_seq > TMB_SEQ_MAX || records >= TMB_BATCH_RECORDS_MAX ||
        batch->raw_bytes > TMB_BATCH_BYTES_MAX || batch->data.len > TMB_BATCH_BYTES_MAX)
        return TMB_ELIMIT;
    if (batch->raw_bytes < (records + 1) * TMB_RECORD_BYTES_MIN)
        return TMB_ECORRUPT;
    if (batch->codec == TMB_CODEC_ZSTD)
        return batch->data.len > 0 ? TMB_OK : TMB_ECORRUPT;
    return batch->codec == TMB_CODEC_PLAIN && batch->data.len == batch->raw_bytes ? TMB_OK
                                                                                  : TMB_ECORRUPT;
}

static tmb_err check_bye(const tmb_frame_bye *bye)
{
    if (bye->text.len > TMB_BYE_TEXT_BYTES_MAX)
        return TMB_ELIMIT;
    bool is_known = bye->reason >= TMB_BYE_CLOSING && bye->reason <= TMB_BYE_AHEAD;
    return is_known && tmb_utf8_is_valid(bye->text) ? TMB_OK : TMB_ECORRUPT;
}

tmb_err tmb_frame_check(const tmb_frame *frame)
{
    switch (frame->type) {
    case TMB_FRAME_HELLO:
        return check_hello(&frame->u.hello);
    case TMB_FRAME_WELCOME:
        return check_welcome(&frame->u.welcome);
    case TMB_FRAME_BATCH:
        return check_batch(&frame->u.batch);
    case TMB_FRAME_ACK:
        return check_mark(&frame->u.ack.mark);
    case TMB_FRAME_BYE:
        return check_bye(&frame->u.bye);
    }
    return TMB_ECORRUPT;
}

const char *tmb_gap_reason_str(tmb_gap_reason reason)
{
    switch (reason) {
    case TMB_GAP_NONE:
        return "none";
    case TMB_GAP_TORN:
        return "torn";
    case TMB_GAP_DAMAGED:
        return "damaged";
    case TMB_GAP_RETENTION:
        return "retention";
    case TMB_GAP_MISSING:
        return "missing";
    }
    return "unknown";
}

const char *tmb_bye_reason_str(tmb_bye_reason reason)
{
    switch (reason) {
    case TMB_BYE_CLOSING:
        return "closing";
    case TMB_BYE_UNKNOWN:
        return "unknown-session";
    case TMB_BYE_MALFORMED:
        return "malformed";
    case TMB_BYE_IDENTITY:
        return "identity";
    case TMB_BYE_VERSION:
        return "version";
    case TMB_BYE_LIMIT:
        return "limit";
    case TMB_BYE_AHEAD:
        return "ahead";
    }
    return "unknown";
}
