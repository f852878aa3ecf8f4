// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/cutter.c - see cutter.h.
 */
#include "syncd/daemon/cutter.h"

#include <stdlib.h>

#include "base/crc32c.h"

static void free_cut(tmb_cut *cut)
{
    tmb_load_free(cut->load);
    free(cut);
}

static void note_through(tmb_cutter *cutter)
{
    cutter->frames_then = cutter->frames;
    cutter->messages_then = cutter->messages;
}

void tmb_cutter_clear(tmb_cutter *cutter)
{
    bool had_any = cutter->first != NULL;
    while (cutter->first) {
        tmb_cut *cut = cutter->first;
        cutter->first = cut->next;
        free_cut(cut);
    }
    if (had_any)
        note_through(cutter);
}

void tmb_cutter_begin(tmb_cutter *cutter)
{
    tmb_cutter_clear(cutter);
    memset(cutter, 0, sizeof *cutter);
}

void tmb_cutter_note(tmb_cutter *cutter, unsigned stream, const tmb_mark *mark)
{
    tmb_cut **place = &cutter->first;
    bool had_any = cutter->first != NULL;
    cutter->here[stream].from = mark->seq + 1;
    cutter->here[stream].bytes = mark->piece_bytes;
    cutter->here[stream].sum = mark->piece_sum;
    while (*place) {
        tmb_cut *cut = *place;
        if (cut->stream != stream) {
            place = &cut->next;
            continue;
        }
        *place = cut->next;
        free_cut(cut);
    }
    if (had_any && !cutter->first)
        note_through(cutter);
}

bool tmb_cutter_has(const tmb_cutter *cutter, unsigned stream)
{
    for (const tmb_cut *cut = cutter->first; cut; cut = cut->next)
        if (cut->stream == stream)
            return true;
    return false;
}

tmb_err tmb_cutter_add(tmb_cutter *cutter, unsigned stream, tmb_load *load,
                       const tmb_frame_batch *batch)
{
    tmb_cut *cut = calloc(1, sizeof *cut);
    tmb_cut **place = &cutter->first;
    if (!cut)
        return TMB_ENOMEM;
    uint64_t from = tmb_frame_batch_from(batch);
    cut->stream = stream;
    cut->load = load;
    cut->batch = *batch;
    cut->sum = tmb_crc32c(0, batch->data);
    if (cutter->here[stream].from == from && cutter->here[stream].sum == cut->sum &&
        cutter->here[stream].bytes < batch->data.len)
        cut->offset = cutter->here[stream].bytes;
    if (!cutter->is_holding)
        cutter->ceiling = cutter->frames - 1; /* those before it; its own has been counted */
    cutter->is_holding = true;
    while (*place)
        place = &(*place)->next;
    *place = cut;
    return TMB_OK;
}

tmb_frame_batch tmb_cutter_next(const tmb_cutter *cutter, uint32_t piece_bytes)
{
    const tmb_cut *cut = cutter->first;
    tmb_frame_batch piece = cut->batch;
    size_t left = cut->batch.data.len - cut->offset;
    if (cut->offset == 0 && left <= piece_bytes)
        return piece;
    piece.piece_offset = cut->offset;
    piece.piece_total = (uint32_t)cut->batch.data.len;
    piece.piece_sum = cut->sum;
    piece.data =
        tmb_bytes_of(cut->batch.data.ptr + cut->offset, left < piece_bytes ? left : piece_bytes);
    return piece;
}

void tmb_cutter_sent(tmb_cutter *cutter, uint32_t bytes)
{
    tmb_cut *cut = cutter->first;
    cut->offset += bytes;
    if (cut->offset < cut->batch.data.len)
        return;
    cutter->first = cut->next;
    free_cut(cut);
    if (!cutter->first)
        note_through(cutter);
}

uint64_t tmb_cutter_taken(tmb_cutter *cutter, uint64_t messages)
{
    if (cutter->is_holding && !cutter->first && messages >= cutter->messages_then) {
        cutter->is_holding = false;
        cutter->frames_base = cutter->frames_then;
        cutter->messages_base = cutter->messages_then;
    }
    uint64_t since = messages > cutter->messages_base ? messages - cutter->messages_base : 0;
    uint64_t taken = cutter->frames_base + since;
    return cutter->is_holding && taken > cutter->ceiling ? cutter->ceiling : taken;
}
