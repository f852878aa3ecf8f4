// SPDX-License-Identifier: Apache-2.0
/* proto/frame_check.c - what a frame must keep whatever it came from, so that the machines behind it may add
 * one to a sequence number, index by a stream and print a name without thinking. */
#include "proto/frame_check.h"

#include "base/varint.h"

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
    if (state->has_chain && state->chain_seq > TMB_SEQ_MAX)
        return TMB_ELIMIT;
    return (unsigned)state->class_ < TMB_CLASSES ? TMB_OK : TMB_ECORRUPT;
}

static tmb_err check_mark(const tmb_mark *mark)
{
    tmb_err err = check_name(mark->stream, TMB_STREAM_NAME_BYTES_MAX);
    if (err)
        return err;
    return mark->seq <= TMB_SEQ_MAX && mark->piece_bytes <= TMB_BATCH_BYTES_MAX ? TMB_OK
                                                                                : TMB_ELIMIT;
}

static tmb_err check_marks(const tmb_mark *marks, unsigned count)
{
    if (count > TMB_STREAMS_MAX)
        return TMB_ELIMIT;
    for (unsigned i = 0; i < count; i++) {
        tmb_err err = check_mark(&marks[i]);
        if (err)
            return err;
        for (unsigned k = 0; k < i; k++) {
            if (tmb_bytes_eq(marks[i].stream, marks[k].stream))
                return TMB_ECORRUPT;
        }
    }
    return TMB_OK;
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
    if (welcome->version == 0 || welcome->load > 100)
        return TMB_ECORRUPT;
    return check_marks(welcome->marks, welcome->marks_count);
}

static bool is_gap_reason(tmb_gap_reason reason)
{
    return reason >= TMB_GAP_TORN && reason <= TMB_GAP_AHEAD;
}

static bool gap_is_valid(const tmb_frame_batch *batch)
{
    if (batch->gap_first == 0)
        return batch->gap_reason == TMB_GAP_NONE;
    return batch->gap_first < batch->first_seq && is_gap_reason(batch->gap_reason);
}

/* What data must be, whole or a piece. */
static bool is_data_valid(const tmb_frame_batch *batch)
{
    size_t whole = batch->piece_total != 0 ? batch->piece_total : batch->data.len;
    if (batch->piece_total == 0 && (batch->piece_offset != 0 || batch->piece_sum != 0))
        return false;
    if (batch->piece_total != 0 && (batch->data.len == 0 || batch->piece_offset >= whole ||
                                    batch->data.len > whole - batch->piece_offset))
        return false;
    return batch->codec == TMB_CODEC_PLAIN ? whole == batch->raw_bytes : whole > 0;
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
        batch->raw_bytes > TMB_BATCH_BYTES_MAX || batch->data.len > TMB_BATCH_BYTES_MAX ||
        batch->piece_total > TMB_BATCH_BYTES_MAX)
        return TMB_ELIMIT;
    if (batch->raw_bytes < (records + 1) * TMB_RECORD_BYTES_MIN)
        return TMB_ECORRUPT;
    if ((unsigned)batch->codec > TMB_CODEC_FOLDED_DICTIONARY ||
        (batch->codec == TMB_CODEC_FOLDED_DICTIONARY) != (batch->dictionary != 0) ||
        (unsigned)batch->pool > TMB_POOL_BACKLOG)
        return TMB_ECORRUPT;
    return is_data_valid(batch) ? TMB_OK : TMB_ECORRUPT;
}

static tmb_err check_dictionary(const tmb_frame_dictionary *dictionary)
{
    tmb_err err = check_name(dictionary->stream, TMB_STREAM_NAME_BYTES_MAX);
    if (err)
        return err;
    if (dictionary->data.len > TMB_DICTIONARY_BYTES_MAX)
        return TMB_ELIMIT;
    return dictionary->id != 0 && dictionary->data.len > 0 ? TMB_OK : TMB_ECORRUPT;
}

static tmb_err check_ask(const tmb_frame_ask *ask)
{
    tmb_err err = check_name(ask->node, TMB_NAME_BYTES_MAX);
    return err ? err : check_marks(ask->marks, ask->marks_count);
}

static tmb_err check_bye(const tmb_frame_bye *bye)
{
    if (bye->text.len > TMB_BYE_TEXT_BYTES_MAX)
        return TMB_ELIMIT;
    bool is_known = bye->reason >= TMB_BYE_CLOSING && bye->reason <= TMB_BYE_FORKED;
    return is_known && tmb_utf8_is_valid(bye->text) ? TMB_OK : TMB_ECORRUPT;
}

/* A context without runs, in the one form of crdt/context.h. ret_count: its entries. self (may be NULL):
 * whose number is given in ret_own, 0 when it is not there. */
static tmb_err check_vector(tmb_bytes bytes, const tmb_incarnation *self, unsigned *ret_count,
                            uint64_t *ret_own)
{
    tmb_reader r = tmb_reader_of(bytes);
    tmb_incarnation before;
    uint64_t count = tmb_get_varint(&r);
    *ret_own = 0;
    if (!r.bad && count > TMB_ACTORS_MAX)
        return TMB_ELIMIT;
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        tmb_incarnation actor;
        tmb_bytes name = tmb_get_bytes(&r, TMB_INCARNATION_BYTES);
        uint64_t seq = tmb_get_varint(&r);
        if (r.bad || !name.ptr)
            break;
        memcpy(actor.bytes, name.ptr, TMB_INCARNATION_BYTES);
        if (seq == 0 || seq > TMB_SEQ_MAX || (i > 0 && tmb_incarnation_cmp(&before, &actor) >= 0))
            return TMB_ECORRUPT;
        if (self && tmb_incarnation_eq(*self, actor))
            *ret_own = seq;
        before = actor;
    }
    bool has_no_runs = tmb_get_varint(&r) == 0;
    *ret_count = (unsigned)count;
    return !r.bad && has_no_runs && tmb_reader_left(&r) == 0 ? TMB_OK : TMB_ECORRUPT;
}

static tmb_err check_points(const tmb_frame_scope *scope)
{
    tmb_reader r = tmb_reader_of(scope->points);
    uint64_t before = 0;
    for (unsigned count = 0; !r.bad && tmb_reader_left(&r) > 0; count++) {
        uint64_t seq = tmb_get_varint(&r);
        (void)tmb_get_bytes(&r, TMB_CHAIN_BYTES);
        if (count == TMB_POINTS_MAX)
            return TMB_ELIMIT;
        if (seq <= before || seq > scope->yours_seq)
            return TMB_ECORRUPT;
        before = seq;
    }
    return r.bad || (scope->points.len > 0 && !scope->has_yours) ? TMB_ECORRUPT : TMB_OK;
}

static tmb_err check_scope(const tmb_frame_scope *scope)
{
    unsigned count;
    uint64_t own, ignored;
    tmb_err err = check_name(scope->scope, TMB_NAME_BYTES_MAX);
    if (err)
        return err;
    if (scope->turn == 0 || (unsigned)scope->refused > TMB_REFUSAL_LIMIT)
        return TMB_ECORRUPT;
    if (scope->last > TMB_SEQ_MAX || scope->yours_seq > TMB_SEQ_MAX)
        return TMB_ELIMIT;
    if (scope->refused != TMB_REFUSAL_NONE && scope->clock.len == 0)
        return scope->heard.len == 0 && scope->floor.len == 0 ? TMB_OK : TMB_ECORRUPT;
    err = check_vector(scope->clock, &scope->self, &count, &own);
    if (!err && scope->floor.len > 0)
        err = check_vector(scope->floor, NULL, &count, &ignored);
    if (!err && scope->heard.len > 0)
        err = check_vector(scope->heard, NULL, &count, &ignored);
    if (!err && scope->heard.len > 0)
        err = check_vector(scope->heard_clock, NULL, &count, &ignored);
    if (!err && scope->heard.len == 0 && scope->heard_clock.len > 0)
        return TMB_ECORRUPT;
    if (!err)
        err = check_points(scope);
    if (err)
        return err;
    return own == scope->last ? TMB_OK : TMB_ECORRUPT;
}

/* A number for each entry of ctx, none above it. */
static bool is_upto_valid(tmb_bytes ctx, tmb_bytes upto)
{
    tmb_reader c = tmb_reader_of(ctx), u = tmb_reader_of(upto);
    for (uint64_t count = tmb_get_varint(&c); count > 0; count--) {
        (void)tmb_get_bytes(&c, TMB_INCARNATION_BYTES);
        if (tmb_get_varint(&u) > tmb_get_varint(&c) || u.bad)
            return false;
    }
    return tmb_reader_left(&u) == 0;
}

static tmb_err check_leaves(const tmb_frame_leaves *leaves)
{
    unsigned count;
    uint64_t ignored;
    tmb_err err = check_name(leaves->scope, TMB_NAME_BYTES_MAX);
    if (!err)
        err = check_vector(leaves->ctx, NULL, &count, &ignored);
    if (err)
        return err;
    size_t more = leaves->actors.len / TMB_INCARNATION_BYTES;
    if (leaves->turn == 0 || leaves->actors.len % TMB_INCARNATION_BYTES != 0 ||
        (leaves->has_self && leaves->self >= count) ||
        (leaves->codec != TMB_CODEC_PLAIN && leaves->codec != TMB_CODEC_ZSTD))
        return TMB_ECORRUPT;
    if (count + more > TMB_ACTORS_MAX || leaves->raw_bytes > TMB_LEAVES_BYTES_MAX ||
        leaves->data.len > TMB_LEAVES_BYTES_MAX)
        return TMB_ELIMIT;
    if (leaves->codec == TMB_CODEC_PLAIN && leaves->raw_bytes != leaves->data.len)
        return TMB_ECORRUPT;
    if (leaves->floor.len > 0)
        err = check_vector(leaves->floor, NULL, &count, &ignored);
    if (err)
        return err;
    bool is_placed =
        leaves->is_complete ? leaves->upto.len == 0 : is_upto_valid(leaves->ctx, leaves->upto);
    return is_placed ? TMB_OK : TMB_ECORRUPT;
}

static tmb_err check_stored(const tmb_frame_stored *stored)
{
    tmb_err err = check_name(stored->scope, TMB_NAME_BYTES_MAX);
    return err ? err : stored->turn != 0 ? TMB_OK : TMB_ECORRUPT;
}

static tmb_err check_ranges(const tmb_frame_ranges *ranges)
{
    tmb_err err = check_name(ranges->scope, TMB_NAME_BYTES_MAX);
    if (err)
        return err;
    if (ranges->data.len > TMB_RANGES_BYTES_MAX)
        return TMB_ELIMIT;
    return ranges->turn != 0 ? TMB_OK : TMB_ECORRUPT;
}

bool tmb_frame_is_state(const tmb_frame *frame)
{
    return frame->type >= TMB_FRAME_SCOPE && frame->type <= TMB_FRAME_RANGES;
}

tmb_bytes tmb_frame_scope_name(const tmb_frame *frame)
{
    return frame->type == TMB_FRAME_SCOPE    ? frame->u.scope.scope
           : frame->type == TMB_FRAME_LEAVES ? frame->u.leaves.scope
           : frame->type == TMB_FRAME_STORED ? frame->u.stored.scope
           : frame->type == TMB_FRAME_RANGES ? frame->u.ranges.scope
                                             : tmb_bytes_of(NULL, 0);
}

uint64_t tmb_frame_state_session(const tmb_frame *frame)
{
    return frame->type == TMB_FRAME_SCOPE    ? frame->u.scope.session
           : frame->type == TMB_FRAME_LEAVES ? frame->u.leaves.session
           : frame->type == TMB_FRAME_STORED ? frame->u.stored.session
           : frame->type == TMB_FRAME_RANGES ? frame->u.ranges.session
                                             : 0;
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
    case TMB_FRAME_CREDIT:
        return TMB_OK;
    case TMB_FRAME_DICTIONARY:
        return check_dictionary(&frame->u.dictionary);
    case TMB_FRAME_ASK:
        return check_ask(&frame->u.ask);
    case TMB_FRAME_TOLD:
        return check_marks(frame->u.told.marks, frame->u.told.marks_count);
    case TMB_FRAME_SCOPE:
        return check_scope(&frame->u.scope);
    case TMB_FRAME_LEAVES:
        return check_leaves(&frame->u.leaves);
    case TMB_FRAME_STORED:
        return check_stored(&frame->u.stored);
    case TMB_FRAME_RANGES:
        return check_ranges(&frame->u.ranges);
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
    case TMB_GAP_LATER:
        return "later";
    case TMB_GAP_AHEAD:
        return "ahead";
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
    case TMB_BYE_BUSY:
        return "busy";
    case TMB_BYE_TWIN:
        return "twin";
    case TMB_BYE_FORKED:
        return "forked";
    }
    return "unknown";
}

const char *tmb_refusal_str(tmb_refusal refusal)
{
    switch (refusal) {
    case TMB_REFUSAL_NONE:
        return "none";
    case TMB_REFUSAL_UNKNOWN:
        return "unknown";
    case TMB_REFUSAL_DENIED:
        return "denied";
    case TMB_REFUSAL_LIMIT:
        return "limit";
    }
    return "unknown";
}
