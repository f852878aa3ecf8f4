// SPDX-License-Identifier: Apache-2.0
/* proto/frame.c - frames to protobuf and back, which with frame_state.c alone sees the generated code.
 *
 * Encoding builds the generated structs on the stack, pointing into the caller's frame. Decoding goes in
 * three steps: a walk over the outermost fields that finds exactly one frame (protobuf itself would merge
 * two), protobuf-c's own unpacking with memory from the arena, and frame_check.c. The arena only grows: what
 * protobuf-c gives back is not reused, so hostile bytes can at worst fill it, and then they are refused.
 * Frames of state are in frame_state.c.
 */
#include "proto/frame.h"

#include "proto/frame_check.h"
#include "proto/frame_state.h"

#define ARENA_ALIGN 16u

/* Room besides the data of a BATCH: for the largest HELLO and some, and while a frame is no longer than
 * ARENA_SMALL_BYTES, for anything that such a frame can be made of (a byte costs up to 40 in the unpacker's
 * list of fields; the list doubles as it grows). */
#define ARENA_FIXED_BYTES  16384u
#define ARENA_SMALL_BYTES  4096u
#define ARENA_BYTES_A_BYTE 96u

typedef struct arena {
    uint8_t *at;
    uint8_t *end;
    bool is_full;
} arena;

static void *alloc_in_arena(void *allocator_data, size_t size)
{
    arena *a = allocator_data;
    size_t pad = (ARENA_ALIGN - (uintptr_t)a->at % ARENA_ALIGN) % ARENA_ALIGN;
    size_t left = (size_t)(a->end - a->at);
    if (left < pad || left - pad < size) {
        a->is_full = true;
        return NULL;
    }
    uint8_t *block = a->at + pad;
    a->at = block + size;
    return block;
}

static void free_in_arena(void *allocator_data, void *block)
{
    (void)allocator_data;
    (void)block;
}

size_t tmb_frame_arena_size(size_t encoded_bytes)
{
    size_t small = encoded_bytes < ARENA_SMALL_BYTES ? encoded_bytes : ARENA_SMALL_BYTES;
    return encoded_bytes + small * ARENA_BYTES_A_BYTE + ARENA_FIXED_BYTES;
}

/* A frame as the generated code wants it; lives on the stack of encode. */
typedef struct wire {
    Tombolo__V1__Frame frame;
    union {
        Tombolo__V1__Hello hello;
        Tombolo__V1__Welcome welcome;
        Tombolo__V1__Batch batch;
        Tombolo__V1__Ack ack;
        Tombolo__V1__Bye bye;
        Tombolo__V1__Credit credit;
        Tombolo__V1__Dictionary dictionary;
        Tombolo__V1__Ask ask;
        Tombolo__V1__Told told;
        tmb_wire_state state;
    } u;
    Tombolo__V1__StreamState streams[TMB_STREAMS_MAX];
    Tombolo__V1__StreamState *streams_list[TMB_STREAMS_MAX];
    Tombolo__V1__Mark marks[TMB_STREAMS_MAX];
    Tombolo__V1__Mark *marks_list[TMB_STREAMS_MAX];
} wire;

/* protobuf-c has no const for what it only reads. */
static ProtobufCBinaryData to_wire_bytes(tmb_bytes b)
{
    ProtobufCBinaryData data = {b.len, (uint8_t *)b.ptr};
    return data;
}

static ProtobufCBinaryData to_wire_incarnation(const tmb_incarnation *incarnation)
{
    return to_wire_bytes(tmb_bytes_of(incarnation->bytes, sizeof(incarnation->bytes)));
}

static void to_wire_mark(const tmb_mark *mark, Tombolo__V1__Mark *out)
{
    tombolo__v1__mark__init(out);
    out->stream = to_wire_bytes(mark->stream);
    out->incarnation = to_wire_incarnation(&mark->incarnation);
    out->seq = mark->seq;
    out->has_chain = mark->has_chain;
    out->chain = to_wire_bytes(tmb_bytes_of(mark->chain, sizeof(mark->chain)));
    out->has_dictionary = mark->dictionary != 0;
    out->dictionary = mark->dictionary;
    out->has_piece_bytes = out->has_piece_sum = mark->piece_bytes != 0;
    out->piece_bytes = mark->piece_bytes;
    out->piece_sum = mark->piece_sum;
}

static void to_wire_marks(const tmb_mark *marks, unsigned count, wire *w)
{
    for (unsigned i = 0; i < count; i++) {
        w->marks_list[i] = &w->marks[i];
        to_wire_mark(&marks[i], &w->marks[i]);
    }
}

static void to_wire_hello(const tmb_frame_hello *hello, wire *w)
{
    Tombolo__V1__Hello *out = &w->u.hello;
    tombolo__v1__hello__init(out);
    out->session = hello->session;
    out->node = to_wire_bytes(hello->node);
    out->has_version_min = out->has_version_max = true;
    out->version_min = hello->version_min;
    out->version_max = hello->version_max;
    out->has_box = hello->box != 0;
    out->box = hello->box;
    out->has_answers = hello->answers != 0;
    out->answers = hello->answers;
    out->n_streams = hello->streams_count;
    out->streams = w->streams_list;
    for (unsigned i = 0; i < hello->streams_count; i++) {
        const tmb_stream_state *state = &hello->streams[i];
        Tombolo__V1__StreamState *stream = w->streams_list[i] = &w->streams[i];
        tombolo__v1__stream_state__init(stream);
        stream->name = to_wire_bytes(state->name);
        stream->incarnation = to_wire_incarnation(&state->incarnation);
        stream->first_seq = state->first_seq;
        stream->last_seq = state->last_seq;
        stream->has_class_ = state->class_ != TMB_CLASS_TELEMETRY;
        stream->class_ = (uint32_t)state->class_;
        stream->has_chain_seq = stream->has_chain = state->has_chain;
        stream->chain_seq = state->chain_seq;
        stream->chain = to_wire_bytes(tmb_bytes_of(state->chain, sizeof(state->chain)));
    }
    w->frame.hello = out;
}

static void to_wire_welcome(const tmb_frame_welcome *welcome, wire *w)
{
    Tombolo__V1__Welcome *out = &w->u.welcome;
    tombolo__v1__welcome__init(out);
    out->session = welcome->session;
    out->node = to_wire_bytes(welcome->node);
    out->has_version = true;
    out->version = welcome->version;
    out->has_top = out->top = welcome->is_top;
    out->n_marks = welcome->marks_count;
    out->marks = w->marks_list;
    to_wire_marks(welcome->marks, welcome->marks_count, w);
    out->has_window_ms = welcome->window_ms != 0;
    out->window_ms = welcome->window_ms;
    out->has_load = welcome->load != 0;
    out->load = welcome->load;
    out->has_live_bytes = out->has_backlog_bytes = welcome->has_credit;
    out->live_bytes = welcome->live_bytes;
    out->backlog_bytes = welcome->backlog_bytes;
    w->frame.welcome = out;
}

static void to_wire_batch(const tmb_frame_batch *batch, wire *w)
{
    Tombolo__V1__Batch *out = &w->u.batch;
    tombolo__v1__batch__init(out);
    out->session = batch->session;
    out->stream = to_wire_bytes(batch->stream);
    out->incarnation = to_wire_incarnation(&batch->incarnation);
    out->first_seq = batch->first_seq;
    out->last_seq = batch->last_seq;
    out->has_gap_first = out->has_gap_reason = batch->gap_first != 0;
    out->gap_first = batch->gap_first;
    out->gap_reason = (uint32_t)batch->gap_reason;
    out->codec = (uint32_t)batch->codec;
    out->raw_bytes = batch->raw_bytes;
    out->data = to_wire_bytes(batch->data);
    out->has_piece_offset = out->has_piece_total = out->has_piece_sum = batch->piece_total != 0;
    out->piece_offset = batch->piece_offset;
    out->piece_total = batch->piece_total;
    out->piece_sum = batch->piece_sum;
    out->has_pool = batch->pool != TMB_POOL_LIVE;
    out->pool = (uint32_t)batch->pool;
    out->has_dictionary = batch->dictionary != 0;
    out->dictionary = batch->dictionary;
    out->has_late = out->late = batch->is_late;
    out->has_spent = batch->spent != 0;
    out->spent = batch->spent;
    w->frame.batch = out;
}

static void to_wire_ack(const tmb_frame_ack *ack, wire *w)
{
    Tombolo__V1__Ack *out = &w->u.ack;
    tombolo__v1__ack__init(out);
    out->session = ack->session;
    out->mark = &w->marks[0];
    to_wire_mark(&ack->mark, out->mark);
    out->has_resend = out->resend = ack->resend;
    out->has_wait_ms = ack->wait_ms != 0;
    out->wait_ms = ack->wait_ms;
    w->frame.ack = out;
}

static void to_wire_bye(const tmb_frame_bye *bye, wire *w)
{
    Tombolo__V1__Bye *out = &w->u.bye;
    tombolo__v1__bye__init(out);
    out->session = bye->session;
    out->reason = (uint32_t)bye->reason;
    out->has_text = bye->text.len > 0;
    out->text = to_wire_bytes(bye->text);
    out->has_wait_ms = bye->wait_ms != 0;
    out->wait_ms = bye->wait_ms;
    w->frame.bye = out;
}

static void to_wire_credit(const tmb_frame_credit *credit, wire *w)
{
    Tombolo__V1__Credit *out = &w->u.credit;
    tombolo__v1__credit__init(out);
    out->session = credit->session;
    out->live_bytes = credit->live_bytes;
    out->backlog_bytes = credit->backlog_bytes;
    out->has_window_ms = credit->window_ms != 0;
    out->window_ms = credit->window_ms;
    w->frame.credit = out;
}

static void to_wire_dictionary(const tmb_frame_dictionary *dictionary, wire *w)
{
    Tombolo__V1__Dictionary *out = &w->u.dictionary;
    tombolo__v1__dictionary__init(out);
    out->session = dictionary->session;
    out->stream = to_wire_bytes(dictionary->stream);
    out->incarnation = to_wire_incarnation(&dictionary->incarnation);
    out->id = dictionary->id;
    out->data = to_wire_bytes(dictionary->data);
    w->frame.dictionary = out;
}

static void to_wire_ask(const tmb_frame_ask *ask, wire *w)
{
    Tombolo__V1__Ask *out = &w->u.ask;
    tombolo__v1__ask__init(out);
    out->session = ask->session;
    out->id = ask->id;
    out->node = to_wire_bytes(ask->node);
    out->n_marks = ask->marks_count;
    out->marks = w->marks_list;
    to_wire_marks(ask->marks, ask->marks_count, w);
    w->frame.ask = out;
}

static void to_wire_told(const tmb_frame_told *told, wire *w)
{
    Tombolo__V1__Told *out = &w->u.told;
    tombolo__v1__told__init(out);
    out->session = told->session;
    out->id = told->id;
    out->n_marks = told->marks_count;
    out->marks = w->marks_list;
    to_wire_marks(told->marks, told->marks_count, w);
    w->frame.told = out;
}

/* frame must have passed tmb_frame_check. */
static void to_wire(const tmb_frame *frame, wire *w)
{
    tombolo__v1__frame__init(&w->frame);
    switch (frame->type) {
    case TMB_FRAME_HELLO:
        to_wire_hello(&frame->u.hello, w);
        break;
    case TMB_FRAME_WELCOME:
        to_wire_welcome(&frame->u.welcome, w);
        break;
    case TMB_FRAME_BATCH:
        to_wire_batch(&frame->u.batch, w);
        break;
    case TMB_FRAME_ACK:
        to_wire_ack(&frame->u.ack, w);
        break;
    case TMB_FRAME_BYE:
        to_wire_bye(&frame->u.bye, w);
        break;
    case TMB_FRAME_CREDIT:
        to_wire_credit(&frame->u.credit, w);
        break;
    case TMB_FRAME_DICTIONARY:
        to_wire_dictionary(&frame->u.dictionary, w);
        break;
    case TMB_FRAME_ASK:
        to_wire_ask(&frame->u.ask, w);
        break;
    case TMB_FRAME_TOLD:
        to_wire_told(&frame->u.told, w);
        break;
    case TMB_FRAME_SCOPE:
    case TMB_FRAME_LEAVES:
    case TMB_FRAME_STORED:
    case TMB_FRAME_RANGES:
        tmb_state_to_wire(frame, &w->u.state, &w->frame);
        break;
    }
}

size_t tmb_frame_size_max(const tmb_frame *frame)
{
    if (tmb_frame_check(frame))
        return 0;
    wire w;
    to_wire(frame, &w);
    return tombolo__v1__frame__get_packed_size(&w.frame);
}

tmb_err tmb_frame_encode(const tmb_frame *frame, uint8_t *out, size_t cap, size_t *ret_len)
{
    tmb_err err = tmb_frame_check(frame);
    if (err)
        return err == TMB_ELIMIT ? TMB_ELIMIT : TMB_EINVAL;
    wire w;
    to_wire(frame, &w);
    size_t len = tombolo__v1__frame__get_packed_size(&w.frame);
    if (len > cap || len > TMB_FRAME_BYTES_MAX)
        return TMB_ELIMIT;
    *ret_len = tombolo__v1__frame__pack(&w.frame, out);
    return TMB_OK;
}

static uint64_t get_varint(tmb_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = tmb_get_u8(r);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    r->bad = true;
    return 0;
}

/* Passes over one protobuf field's value. */
static void skip_value(tmb_reader *r, unsigned wire_type)
{
    switch (wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        (void)get_varint(r);
        break;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        (void)tmb_get_bytes(r, 8);
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        (void)tmb_get_bytes(r, get_varint(r));
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        (void)tmb_get_bytes(r, 4);
        break;
    default:
        r->bad = true;
        break;
    }
}

/* Whether exactly one of the outermost fields is a frame that this version knows. */
static bool has_one_frame(tmb_bytes bytes)
{
    tmb_reader r = tmb_reader_of(bytes);
    unsigned frames = 0;
    while (!r.bad && tmb_reader_left(&r) > 0) {
        uint64_t tag = get_varint(&r);
        uint64_t field = tag >> 3;
        if (field >= TMB_FRAME_HELLO && field <= TMB_FRAME_LAST)
            frames++;
        skip_value(&r, (unsigned)(tag & 7));
    }
    return !r.bad && frames == 1;
}

static tmb_bytes from_wire_bytes(const ProtobufCBinaryData *data)
{
    return tmb_bytes_of(data->data, data->len);
}

static bool from_wire_incarnation(const ProtobufCBinaryData *data, tmb_incarnation *out)
{
    if (data->len != sizeof(out->bytes))
        return false;
    memcpy(out->bytes, data->data, sizeof(out->bytes));
    return true;
}

static bool from_wire_chain(bool is_there, const ProtobufCBinaryData *data, bool *ret_has,
                            uint8_t out[TMB_CHAIN_BYTES])
{
    *ret_has = is_there;
    if (is_there && data->len != TMB_CHAIN_BYTES)
        return false;
    if (is_there)
        memcpy(out, data->data, TMB_CHAIN_BYTES);
    return true;
}

static bool from_wire_mark(const Tombolo__V1__Mark *mark, tmb_mark *out)
{
    out->stream = from_wire_bytes(&mark->stream);
    out->seq = mark->seq;
    out->dictionary = mark->dictionary;
    out->piece_bytes = mark->piece_bytes;
    out->piece_sum = mark->piece_sum;
    if (!from_wire_chain(mark->has_chain != 0, &mark->chain, &out->has_chain, out->chain))
        return false;
    return from_wire_incarnation(&mark->incarnation, &out->incarnation);
}

static tmb_err from_wire_marks(Tombolo__V1__Mark *const *marks, size_t count, unsigned *ret_count,
                               tmb_mark out[TMB_STREAMS_MAX])
{
    if (count > TMB_STREAMS_MAX)
        return TMB_ELIMIT;
    *ret_count = (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        if (!from_wire_mark(marks[i], &out[i]))
            return TMB_ECORRUPT;
    }
    return TMB_OK;
}

static bool from_wire_stream(const Tombolo__V1__StreamState *state, tmb_stream_state *out)
{
    out->name = from_wire_bytes(&state->name);
    out->first_seq = state->first_seq;
    out->last_seq = state->last_seq;
    out->class_ = TMB_CLASS_TELEMETRY;
    if (state->has_class_ &&
        state->class_ < TMB_CLASSES) /* one that is not known is nothing special */
        out->class_ = (tmb_class)state->class_;
    out->chain_seq = state->chain_seq;
    return from_wire_chain(state->has_chain != 0, &state->chain, &out->has_chain, out->chain) &&
           from_wire_incarnation(&state->incarnation, &out->incarnation);
}

static tmb_err from_wire_hello(const Tombolo__V1__Hello *hello, tmb_frame_hello *out)
{
    out->session = hello->session;
    out->node = from_wire_bytes(&hello->node);
    out->version_min = hello->version_min;
    out->version_max = hello->version_max;
    out->box = hello->box;
    out->answers = hello->answers;
    if (hello->n_streams > TMB_STREAMS_MAX)
        return TMB_ELIMIT;
    out->streams_count = (unsigned)hello->n_streams;
    for (unsigned i = 0; i < out->streams_count; i++) {
        if (!from_wire_stream(hello->streams[i], &out->streams[i]))
            return TMB_ECORRUPT;
    }
    return TMB_OK;
}

static tmb_err from_wire_welcome(const Tombolo__V1__Welcome *welcome, tmb_frame_welcome *out)
{
    out->session = welcome->session;
    out->node = from_wire_bytes(&welcome->node);
    out->version = welcome->version;
    out->is_top = welcome->top != 0;
    out->window_ms = welcome->window_ms;
    out->load = welcome->load;
    out->has_credit = welcome->has_live_bytes && welcome->has_backlog_bytes;
    out->live_bytes = welcome->live_bytes;
    out->backlog_bytes = welcome->backlog_bytes;
    return from_wire_marks(welcome->marks, welcome->n_marks, &out->marks_count, out->marks);
}

static tmb_err from_wire_batch(const Tombolo__V1__Batch *batch, tmb_frame_batch *out)
{
    if (batch->gap_reason > TMB_GAP_AHEAD || batch->codec > TMB_CODEC_FOLDED_DICTIONARY ||
        batch->pool > TMB_POOL_BACKLOG)
        return TMB_ECORRUPT;
    out->session = batch->session;
    out->stream = from_wire_bytes(&batch->stream);
    out->first_seq = batch->first_seq;
    out->last_seq = batch->last_seq;
    out->gap_first = batch->gap_first;
    out->gap_reason = (tmb_gap_reason)batch->gap_reason;
    out->codec = (tmb_codec)batch->codec;
    out->raw_bytes = batch->raw_bytes;
    out->data = from_wire_bytes(&batch->data);
    out->piece_offset = batch->piece_offset;
    out->piece_total = batch->piece_total;
    out->piece_sum = batch->piece_sum;
    out->pool = (tmb_pool)batch->pool;
    out->dictionary = batch->dictionary;
    out->is_late = batch->late != 0;
    out->spent = batch->spent;
    return from_wire_incarnation(&batch->incarnation, &out->incarnation) ? TMB_OK : TMB_ECORRUPT;
}

static tmb_err from_wire_ack(const Tombolo__V1__Ack *ack, tmb_frame_ack *out)
{
    out->session = ack->session;
    out->resend = ack->resend != 0;
    out->wait_ms = ack->wait_ms;
    return from_wire_mark(ack->mark, &out->mark) ? TMB_OK : TMB_ECORRUPT;
}

static tmb_err from_wire_bye(const Tombolo__V1__Bye *bye, tmb_frame_bye *out)
{
    if (bye->reason < TMB_BYE_CLOSING || bye->reason > TMB_BYE_FORKED)
        return TMB_ECORRUPT;
    out->session = bye->session;
    out->reason = (tmb_bye_reason)bye->reason;
    out->text = from_wire_bytes(&bye->text);
    out->wait_ms = bye->wait_ms;
    return TMB_OK;
}

static tmb_err from_wire_credit(const Tombolo__V1__Credit *credit, tmb_frame_credit *out)
{
    out->session = credit->session;
    out->live_bytes = credit->live_bytes;
    out->backlog_bytes = credit->backlog_bytes;
    out->window_ms = credit->window_ms;
    return TMB_OK;
}

static tmb_err from_wire_dictionary(const Tombolo__V1__Dictionary *dictionary,
                                    tmb_frame_dictionary *out)
{
    out->session = dictionary->session;
    out->stream = from_wire_bytes(&dictionary->stream);
    out->id = dictionary->id;
    out->data = from_wire_bytes(&dictionary->data);
    return from_wire_incarnation(&dictionary->incarnation, &out->incarnation) ? TMB_OK
                                                                              : TMB_ECORRUPT;
}

static tmb_err from_wire_ask(const Tombolo__V1__Ask *ask, tmb_frame_ask *out)
{
    out->session = ask->session;
    out->id = ask->id;
    out->node = from_wire_bytes(&ask->node);
    return from_wire_marks(ask->marks, ask->n_marks, &out->marks_count, out->marks);
}

static tmb_err from_wire_told(const Tombolo__V1__Told *told, tmb_frame_told *out)
{
    out->session = told->session;
    out->id = told->id;
    return from_wire_marks(told->marks, told->n_marks, &out->marks_count, out->marks);
}

static tmb_err from_wire(const Tombolo__V1__Frame *frame, tmb_frame *out)
{
    int frames = (frame->hello != NULL) + (frame->welcome != NULL) + (frame->batch != NULL) +
                 (frame->ack != NULL) + (frame->bye != NULL) + (frame->credit != NULL) +
                 (frame->dictionary != NULL) + (frame->ask != NULL) + (frame->told != NULL) +
                 (frame->scope != NULL) + (frame->leaves != NULL) + (frame->stored != NULL) +
                 (frame->ranges != NULL);
    if (frames != 1)
        return TMB_ECORRUPT;
    if (frame->hello) {
        out->type = TMB_FRAME_HELLO;
        return from_wire_hello(frame->hello, &out->u.hello);
    }
    if (frame->welcome) {
        out->type = TMB_FRAME_WELCOME;
        return from_wire_welcome(frame->welcome, &out->u.welcome);
    }
    if (frame->batch) {
        out->type = TMB_FRAME_BATCH;
        return from_wire_batch(frame->batch, &out->u.batch);
    }
    if (frame->ack) {
        out->type = TMB_FRAME_ACK;
        return from_wire_ack(frame->ack, &out->u.ack);
    }
    if (frame->credit) {
        out->type = TMB_FRAME_CREDIT;
        return from_wire_credit(frame->credit, &out->u.credit);
    }
    if (frame->dictionary) {
        out->type = TMB_FRAME_DICTIONARY;
        return from_wire_dictionary(frame->dictionary, &out->u.dictionary);
    }
    if (frame->ask) {
        out->type = TMB_FRAME_ASK;
        return from_wire_ask(frame->ask, &out->u.ask);
    }
    if (frame->told) {
        out->type = TMB_FRAME_TOLD;
        return from_wire_told(frame->told, &out->u.told);
    }
    if (frame->bye) {
        out->type = TMB_FRAME_BYE;
        return from_wire_bye(frame->bye, &out->u.bye);
    }
    return tmb_state_from_wire(frame, out);
}

tmb_err tmb_frame_decode(tmb_bytes bytes, void *arena_memory, size_t cap, tmb_frame *ret_frame)
{
    if (bytes.len > TMB_FRAME_BYTES_MAX)
        return TMB_ELIMIT;
    if (!has_one_frame(bytes))
        return TMB_ECORRUPT;
    arena a = {arena_memory, cap > 0 ? (uint8_t *)arena_memory + cap : arena_memory, false};
    ProtobufCAllocator allocator = {alloc_in_arena, free_in_arena, &a};
    Tombolo__V1__Frame *unpacked = tombolo__v1__frame__unpack(&allocator, bytes.len, bytes.ptr);
    if (!unpacked)
        return a.is_full ? TMB_ELIMIT : TMB_ECORRUPT;
    tmb_frame frame;
    memset(&frame, 0, sizeof(frame));
    tmb_err err = from_wire(unpacked, &frame);
    if (!err)
        err = tmb_frame_check(&frame);
    if (!err)
        *ret_frame = frame;
    return err;
}
