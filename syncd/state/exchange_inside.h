// SPDX-License-Identifier: Apache-2.0
/* syncd/state/exchange_inside.h - what exchange.c and meeting.c share. */
#ifndef TMB_SYNCD_STATE_EXCHANGE_INSIDE_H
#define TMB_SYNCD_STATE_EXCHANGE_INSIDE_H

#include "syncd/state/exchange.h"

/* A context from a frame's bytes (empty: none) in room, and back. */
TMB_MUST_USE tmb_err tmb_exchange_vector(tmb_bytes bytes, tmb_context_room *room, tmb_context *ret);
tmb_bytes tmb_exchange_put(const tmb_context *c, uint8_t out[TMB_VECTOR_BYTES_MAX]);

/* tmb_exchange_neighbour reads its row into x; one that was never put is empty. */
TMB_MUST_USE tmb_err tmb_exchange_neighbour(tmb_exchange *x, tmb_bytes name);

/* tmb_exchange_save writes the scope and says how to commit. */
TMB_MUST_USE tmb_err tmb_exchange_save(tmb_exchange *x, tmb_job_commit commit, tmb_job_result *ret);

/* tmb_exchange_place: the pass stands there. */
void tmb_exchange_place(tmb_sync_room *room, const tmb_context *position);

TMB_MUST_USE tmb_err tmb_exchange_greet(tmb_exchange *x, const tmb_job *job, int64_t now_ms,
                                        uint64_t hlc, tmb_job_result *ret);
TMB_MUST_USE tmb_err tmb_exchange_meet(tmb_exchange *x, const tmb_job *job, tmb_bytes name,
                                       tmb_incarnation fresh, int64_t now_ms, uint64_t hlc,
                                       tmb_job_result *ret);

#endif
