// SPDX-License-Identifier: Apache-2.0
/* proto/frame_state.c - SCOPE, LEAVES, STORED and RANGES to protobuf and back; what they must keep is in
 * frame_check.c. */
#include "proto/frame_state.h"

/* protobuf-c has no const for what it only reads. */
static ProtobufCBinaryData to_wire_bytes(const void *ptr, size_t len)
{
    ProtobufCBinaryData data = {len, (uint8_t *)(uintptr_t)ptr};
    return data;
}

static ProtobufCBinaryData to_wire_slice(tmb_bytes b)
{
    return to_wire_bytes(b.ptr, b.len);
}

static void scope_to_wire(const tmb_frame_scope *scope, Tombolo__V1__Scope *out)
{
    tombolo__v1__scope__init(out);
    out->session = scope->session;
    out->scope = to_wire_slice(scope->scope);
    out->turn = scope->turn;
    out->has_answers = scope->answers != 0;
    out->answers = scope->answers;
    out->incarnation = to_wire_bytes(scope->self.bytes, TMB_INCARNATION_BYTES);
    out->has_last = out->has_chain = scope->last != 0;
    out->last = scope->last;
    out->chain = to_wire_bytes(scope->chain, TMB_CHAIN_BYTES);
    out->has_clock = scope->clock.len > 0;
    out->clock = to_wire_slice(scope->clock);
    out->has_floor = scope->floor.len > 0;
    out->floor = to_wire_slice(scope->floor);
    out->has_heard = scope->heard.len > 0;
    out->heard = to_wire_slice(scope->heard);
    out->has_heard_clock = scope->heard.len > 0;
    out->heard_clock = to_wire_slice(scope->heard_clock);
    out->has_yours = out->has_yours_seq = scope->has_yours;
    out->yours = to_wire_bytes(scope->yours.bytes, TMB_INCARNATION_BYTES);
    out->yours_seq = scope->yours_seq;
    out->has_points = scope->points.len > 0;
    out->points = to_wire_slice(scope->points);
    out->has_leaves = out->has_sum = scope->has_fingerprint;
    out->leaves = scope->leaves;
    out->sum = to_wire_bytes(scope->sum, TMB_CHAIN_BYTES);
    out->has_wall_ms = scope->wall_ms != 0;
    out->wall_ms = scope->wall_ms;
    out->has_hlc = scope->hlc != 0;
    out->hlc = scope->hlc;
    out->has_refused = scope->refused != TMB_REFUSAL_NONE;
    out->refused = (uint32_t)scope->refused;
}

static void leaves_to_wire(const tmb_frame_leaves *leaves, Tombolo__V1__Leaves *out)
{
    tombolo__v1__leaves__init(out);
    out->session = leaves->session;
    out->scope = to_wire_slice(leaves->scope);
    out->turn = leaves->turn;
    out->n = leaves->n;
    out->ctx = to_wire_slice(leaves->ctx);
    out->has_actors = leaves->actors.len > 0;
    out->actors = to_wire_slice(leaves->actors);
    out->has_upto = !leaves->is_complete;
    out->upto = to_wire_slice(leaves->upto);
    out->has_self = out->has_chain = leaves->has_self;
    out->self = leaves->self;
    out->chain = to_wire_bytes(leaves->chain, TMB_CHAIN_BYTES);
    out->has_codec = out->has_raw_bytes = leaves->codec != TMB_CODEC_PLAIN;
    out->codec = (uint32_t)leaves->codec;
    out->raw_bytes = leaves->raw_bytes;
    out->has_floor = leaves->floor.len > 0;
    out->floor = to_wire_slice(leaves->floor);
    out->has_data = leaves->data.len > 0;
    out->data = to_wire_slice(leaves->data);
}

static void stored_to_wire(const tmb_frame_stored *stored, Tombolo__V1__Stored *out)
{
    tombolo__v1__stored__init(out);
    out->session = stored->session;
    out->scope = to_wire_slice(stored->scope);
    out->turn = stored->turn;
    out->n = stored->n;
}

static void ranges_to_wire(const tmb_frame_ranges *ranges, Tombolo__V1__Ranges *out)
{
    tombolo__v1__ranges__init(out);
    out->session = ranges->session;
    out->scope = to_wire_slice(ranges->scope);
    out->turn = ranges->turn;
    out->round = ranges->round;
    out->data = to_wire_slice(ranges->data);
}

void tmb_state_to_wire(const tmb_frame *frame, tmb_wire_state *w, Tombolo__V1__Frame *out)
{
    if (frame->type == TMB_FRAME_SCOPE) {
        scope_to_wire(&frame->u.scope, &w->scope);
        out->scope = &w->scope;
    } else if (frame->type == TMB_FRAME_LEAVES) {
        leaves_to_wire(&frame->u.leaves, &w->leaves);
        out->leaves = &w->leaves;
    } else if (frame->type == TMB_FRAME_STORED) {
        stored_to_wire(&frame->u.stored, &w->stored);
        out->stored = &w->stored;
    } else {
        ranges_to_wire(&frame->u.ranges, &w->ranges);
        out->ranges = &w->ranges;
    }
}

static tmb_bytes from_wire_bytes(const ProtobufCBinaryData *data)
{
    return tmb_bytes_of(data->data, data->len);
}

static bool from_wire_sixteen(bool is_there, const ProtobufCBinaryData *data, uint8_t out[16])
{
    if (is_there && data->len != 16)
        return false;
    if (is_there)
        memcpy(out, data->data, 16);
    return true;
}

static tmb_err scope_from_wire(const Tombolo__V1__Scope *scope, tmb_frame_scope *out)
{
    if (scope->refused > TMB_REFUSAL_LIMIT || (scope->has_last != 0) != (scope->has_chain != 0) ||
        (scope->has_yours != 0) != (scope->has_yours_seq != 0) ||
        (scope->has_leaves != 0) != (scope->has_sum != 0))
        return TMB_ECORRUPT;
    out->session = scope->session;
    out->scope = from_wire_bytes(&scope->scope);
    out->turn = scope->turn;
    out->answers = scope->answers;
    out->last = scope->last;
    out->clock = from_wire_bytes(&scope->clock);
    out->floor = from_wire_bytes(&scope->floor);
    out->heard = from_wire_bytes(&scope->heard);
    out->heard_clock = from_wire_bytes(&scope->heard_clock);
    out->has_yours = scope->has_yours != 0;
    out->yours_seq = scope->yours_seq;
    out->points = from_wire_bytes(&scope->points);
    out->has_fingerprint = scope->has_leaves != 0;
    out->leaves = scope->leaves;
    out->wall_ms = scope->wall_ms;
    out->hlc = scope->hlc;
    out->refused = (tmb_refusal)scope->refused;
    bool is_whole = from_wire_sixteen(true, &scope->incarnation, out->self.bytes) &&
                    from_wire_sixteen(scope->has_chain != 0, &scope->chain, out->chain) &&
                    from_wire_sixteen(out->has_yours, &scope->yours, out->yours.bytes) &&
                    from_wire_sixteen(out->has_fingerprint, &scope->sum, out->sum);
    return is_whole ? TMB_OK : TMB_ECORRUPT;
}

static tmb_err leaves_from_wire(const Tombolo__V1__Leaves *leaves, tmb_frame_leaves *out)
{
    if (leaves->codec > TMB_CODEC_ZSTD || (leaves->has_self != 0) != (leaves->has_chain != 0))
        return TMB_ECORRUPT;
    out->session = leaves->session;
    out->scope = from_wire_bytes(&leaves->scope);
    out->turn = leaves->turn;
    out->n = leaves->n;
    out->ctx = from_wire_bytes(&leaves->ctx);
    out->actors = from_wire_bytes(&leaves->actors);
    out->is_complete = !leaves->has_upto;
    out->upto = from_wire_bytes(&leaves->upto);
    out->floor = from_wire_bytes(&leaves->floor);
    out->has_self = leaves->has_self != 0;
    out->self = leaves->self;
    out->codec = (tmb_codec)leaves->codec;
    out->data = from_wire_bytes(&leaves->data);
    out->raw_bytes = leaves->has_raw_bytes         ? leaves->raw_bytes
                     : out->data.len <= UINT32_MAX ? (uint32_t)out->data.len
                                                   : UINT32_MAX;
    return from_wire_sixteen(out->has_self, &leaves->chain, out->chain) ? TMB_OK : TMB_ECORRUPT;
}

tmb_err tmb_state_from_wire(const Tombolo__V1__Frame *frame, tmb_frame *out)
{
    if (frame->scope) {
        out->type = TMB_FRAME_SCOPE;
        return scope_from_wire(frame->scope, &out->u.scope);
    }
    if (frame->leaves) {
        out->type = TMB_FRAME_LEAVES;
        return leaves_from_wire(frame->leaves, &out->u.leaves);
    }
    if (frame->stored) {
        out->type = TMB_FRAME_STORED;
        out->u.stored =
            (tmb_frame_stored){frame->stored->session, from_wire_bytes(&frame->stored->scope),
                               frame->stored->turn, frame->stored->n};
        return TMB_OK;
    }
    out->type = TMB_FRAME_RANGES;
    out->u.ranges = (tmb_frame_ranges){frame->ranges->session,
                                       from_wire_bytes(&frame->ranges->scope), frame->ranges->turn,
                                       frame->ranges->round, from_wire_bytes(&frame->ranges->data)};
    return TMB_OK;
}
