// SPDX-License-Identifier: Apache-2.0
/* syncd/session/credit.h - what the parent lets this child send: bytes of BATCH.data, in two pools.
 *
 *   WELCOME, CREDIT --> granted      LOAD asks for no more than is left      SEND_BATCH --> spent
 *
 * LIVE pays for streams of class control and alarm, and for what is newer than this session; BACKLOG for
 * the rest. A load is paid for by what it asks for until it is known what it brings, so nothing goes out
 * beyond the credit; but one batch may, which has nothing else of its pool on its way: with LIVE always,
 * with BACKLOG when there is some credit left or when the parent has asked for it again. So a record larger
 * than any window goes, and a lost CREDIT never stops what is live. A quarter of the first live window is
 * left to control and alarm.
 *
 * A parent that says nothing of credits (version 1) sets no limit.
 * Threads: none. Cost: constant.
 */
#ifndef TMB_SYNCD_SESSION_CREDIT_H
#define TMB_SYNCD_SESSION_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/class.h"
#include "base/time.h"
#include "proto/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A load is not ordered for less, unless there is nothing on its way that could bring more. */
#define TMB_CREDIT_LOAD_MIN 4096u

typedef struct tmb_credit_pool {
    uint64_t granted, spent; /* in this session, in all */
    bool is_owed;            /* the parent has asked for something again */
    bool is_blocked;         /* something could be loaded but for the credit */
    tmb_mono blocked_since;
    tmb_dur blocked; /* of all sessions */
} tmb_credit_pool;

typedef struct tmb_credit {
    bool is_limited;
    uint64_t reserve; /* of LIVE, for control and alarm */
    tmb_credit_pool pools[2];
} tmb_credit;

/* What is on its way of a pool: loads ordered, and the bytes they asked for; batches sent and not acked. */
typedef struct tmb_credit_use {
    uint64_t loading_bytes;
    unsigned loads, inflight;
} tmb_credit_use;

/* tmb_credit_pool_of: what pays for a batch that begins at seq; told_last_seq: the log's end in this
 * session's HELLO. */
tmb_pool tmb_credit_pool_of(tmb_class class_, uint64_t seq, uint64_t told_last_seq);

/* tmb_credit_begin: a session begins with what its WELCOME says. */
void tmb_credit_begin(tmb_credit *c, const tmb_frame_welcome *welcome);

/* tmb_credit_raise: CREDIT; what is lower than before is late, and passed over. */
void tmb_credit_raise(tmb_credit *c, const tmb_frame_credit *frame);

/* tmb_credit_owe: the parent has asked for a batch again. */
void tmb_credit_owe(tmb_credit *c);

/* tmb_credit_load_bytes gives how much to load, at most wanted; 0: nothing now. */
uint32_t tmb_credit_load_bytes(const tmb_credit *c, tmb_pool pool, tmb_class class_,
                               const tmb_credit_use *use, uint32_t wanted);

/* tmb_credit_fits says whether a batch of so many bytes may be sent; use: what else is on its way. */
bool tmb_credit_fits(const tmb_credit *c, tmb_pool pool, const tmb_credit_use *use, uint64_t bytes);

/* tmb_credit_spend: it is sent. Gives what is spent of the pool in all, for the frame; 0 without a limit. */
uint64_t tmb_credit_spend(tmb_credit *c, tmb_pool pool, uint64_t bytes);

/* tmb_credit_note_blocked: whether it is the credit alone that keeps something from being loaded. */
void tmb_credit_note_blocked(tmb_credit *c, tmb_pool pool, bool is_blocked, tmb_mono now);

#ifdef __cplusplus
}
#endif
#endif
