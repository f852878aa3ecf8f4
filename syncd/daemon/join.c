// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/join.c - see join.h. A batch that the machine would refuse anyway (of another session, behind
 * a hole, known already) is left to it as it is: it looks at numbers only.
 */
#include "syncd/daemon/join.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "syncd/daemon/credits.h"
#include "syncd/daemon/log.h"

#define ROOM_BYTES_MIN 16384u

static bool is_next(const tmb_child *child, const tmb_frame_batch *batch)
{
    const tmb_intake *intake = &child->intake;
    uint64_t from = tmb_frame_batch_from(batch);
    if (intake->state != TMB_INTAKE_OPEN || intake->version < 2 ||
        batch->session != intake->session)
        return false;
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        const tmb_intake_lane *lane = &intake->lanes[i];
        if (tmb_bytes_eq(tmb_bytes_str(lane->stream), batch->stream) &&
            tmb_incarnation_eq(lane->incarnation, batch->incarnation))
            return from <= lane->received + 1 && batch->last_seq > lane->received;
    }
    return false;
}

/* Bytes of slots that are free now. */
static void drop_unused(tmb_child *child)
{
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++) {
        if (child->pieces.slots[i].total != 0)
            continue;
        free(child->joined[i].bytes);
        child->hub->joined_bytes -= child->joined[i].cap;
        child->joined[i] = (tmb_joined){NULL, 0};
    }
}

static bool has_room(const tmb_hub *hub, const tmb_joined *joined, size_t cap)
{
    uint64_t others = hub->joined_bytes - joined->cap;
    return others == 0 || others + cap <= hub->daemon->config->children_memory;
}

/* Who is not here can begin again when he comes. */
static void drop_absent(tmb_hub *hub)
{
    for (tmb_child *child = hub->children; child; child = child->hh.next) {
        if (child->intake.state == TMB_INTAKE_OPEN)
            continue;
        for (unsigned i = 0; i < TMB_STREAMS_MAX; i++)
            tmb_pieces_forget(&child->pieces, i);
        drop_unused(child);
    }
}

/* Grows with what came, not with what was announced. Gives why it is not kept, NULL when it is. */
static const char *keep(tmb_hub *hub, tmb_joined *joined, const tmb_frame_batch *batch)
{
    size_t end = (size_t)batch->piece_offset + batch->data.len;
    if (end > joined->cap) {
        size_t cap = end + end / 2 + ROOM_BYTES_MIN;
        cap = cap < batch->piece_total ? cap : batch->piece_total;
        if (!has_room(hub, joined, cap))
            drop_absent(hub);
        if (!has_room(hub, joined, cap))
            return "the pieces of all children would be more than children.memory";
        uint8_t *bytes = realloc(joined->bytes, cap);
        if (!bytes)
            return "no memory";
        hub->joined_bytes += cap - joined->cap;
        joined->bytes = bytes;
        joined->cap = cap;
    }
    memcpy(joined->bytes + batch->piece_offset, batch->data.ptr, batch->data.len);
    return NULL;
}

bool tmb_join(tmb_child *child, tmb_batch *batch)
{
    tmb_frame_batch *b = &batch->frame.u.batch;
    unsigned slot = 0;
    if (b->piece_total == 0 || !is_next(child, b))
        return true;
    tmb_pieces_verdict verdict = tmb_pieces_take(&child->pieces, b, &slot);
    drop_unused(child);
    if (verdict == TMB_PIECES_MISPLACED)
        return true;
    tmb_joined *joined = &child->joined[slot];
    const char *why = keep(child->hub, joined, b);
    if (!why && verdict == TMB_PIECES_MORE) {
        tmb_credits_part(child, b);
        return false;
    }
    tmb_pieces_forget(&child->pieces, slot);
    if (!why && tmb_crc32c(0, tmb_bytes_of(joined->bytes, b->piece_total)) != b->piece_sum)
        why = "their checksum is wrong";
    if (!why) {
        batch->joined = joined->bytes;
        b->data = tmb_bytes_of(joined->bytes, b->piece_total);
        b->piece_offset = b->piece_total = b->piece_sum = 0;
        child->hub->joined_bytes -= joined->cap; /* credits.c counts them from now on */
        *joined = (tmb_joined){NULL, 0};
    } else {
        LOG(TMB_LOG_ERROR, "pieces.dropped", tmb_str("child", child->name),
            tmb_text("stream", b->stream), tmb_num("first_seq", b->first_seq), tmb_str("why", why),
            tmb_str("then", "the child is asked to begin again"));
    }
    drop_unused(child);
    return true;
}

void tmb_join_free(tmb_child *child)
{
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++)
        free(child->joined[i].bytes);
}
