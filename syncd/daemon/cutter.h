// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/cutter.h - batches that leave in pieces, so that other frames may go between them.
 *
 * Inner header of the uplink and cutter.c. The session orders a batch as one frame; the cutter keeps it and
 * gives it piece by piece, in the order of the orders. What the parent has of it already (marks say so) is
 * left out if it is of the same bytes.
 *
 *   frames the session ordered:   1  2  [3 ........ cut ........]  4  5       (4, 5 of other lanes)
 *   messages on the link:         1  2  p1  4  p2  p3  5  p4
 *   told as taken:                1  2   2  2   2   2  2   5                  (the least that is sure)
 *
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_CUTTER_H
#define TMB_SYNCD_DAEMON_CUTTER_H

#include "syncd/daemon/loader.h"

typedef struct tmb_cut {
    struct tmb_cut *next;
    unsigned stream;
    tmb_load *load; /* holds the bytes */
    tmb_frame_batch batch;
    uint32_t sum, offset;
} tmb_cut;

/* Zeroed: no link, nothing to cut. */
typedef struct tmb_cutter {
    tmb_cut *first;
    struct {
        uint64_t from;
        uint32_t bytes, sum;
    } here[TMB_STREAMS_MAX];   /* at the parent, in part: the batch that begins at from */
    uint64_t frames, messages; /* of this link: ordered, given to the link */
    bool is_holding;
    uint64_t ceiling; /* while is_holding, no more frames are told as taken */
    uint64_t frames_then,
        messages_then; /* when the last cut was through; before: since when both count alike */
    uint64_t frames_base, messages_base;
} tmb_cutter;

/* tmb_cutter_begin: a new link, or none. tmb_cutter_clear: a new session; nothing more is sent of the old. */
void tmb_cutter_begin(tmb_cutter *cutter);
void tmb_cutter_clear(tmb_cutter *cutter);

/* tmb_cutter_note takes what WELCOME or ACK(resend) told of a stream, whose pieces end here. */
void tmb_cutter_note(tmb_cutter *cutter, unsigned stream, const tmb_mark *mark);

/* tmb_cutter_has says whether something of stream waits here: what follows has to, too. */
bool tmb_cutter_has(const tmb_cutter *cutter, unsigned stream);

/* tmb_cutter_add: batch is the frame as it would go whole. takes load. Errors: TMB_ENOMEM (not taken). */
TMB_MUST_USE tmb_err tmb_cutter_add(tmb_cutter *cutter, unsigned stream, tmb_load *load,
                                    const tmb_frame_batch *batch);

/* tmb_cutter_next gives the next frame, of at most piece_bytes of data; it lives until tmb_cutter_sent. There
 * is a first. */
tmb_frame_batch tmb_cutter_next(const tmb_cutter *cutter, uint32_t piece_bytes);
void tmb_cutter_sent(tmb_cutter *cutter, uint32_t bytes);

/* tmb_cutter_taken gives how many of the session's frames are surely taken when so many messages are. */
uint64_t tmb_cutter_taken(tmb_cutter *cutter, uint64_t messages);

#endif
