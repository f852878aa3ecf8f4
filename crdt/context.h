// SPDX-License-Identifier: Apache-2.0
/* crdt/context.h - a causal context: which dots have been seen.
 *
 *   actor A   1 2 3 4 5 . . 8 9 .      base 5, and the run 8..9
 *
 * A version vector (base: all from 1 to there) and a cloud of runs above it. Every set of dots has one form,
 * the only one that add, join and decode leave: entries by actor, bases above 0, runs by actor and number,
 * none of which touches another or a base. So equal sets are equal structs and equal bytes.
 *
 * Memory: the arrays are the caller's; tmb_context_of names them. Functions that may need more room than
 * there is give TMB_ELIMIT and, but for join, leave the context as it was.
 * Source: Almeida, Shoker, Baquero 2018, section 7.2 (causal contexts); their dotcontext compacts in rounds,
 * here runs are kept merged, so that dots which come in reverse order cost no more than others.
 * Threads: none, values. Cost: has: binary searches; add: a move of what lies behind; join: one merge an
 * entry.
 */
#ifndef TMB_CRDT_CONTEXT_H
#define TMB_CRDT_CONTEXT_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "crdt/dot.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Incarnations that ever wrote in one scope. One more: it cannot write there, nor what it wrote be taken; the
 * error names the scope. */
#define TMB_ACTORS_MAX 256u
/* Runs of one context. Contexts that travel have none, or few; more in foreign bytes: malformed. */
#define TMB_RUNS_MAX 256u

typedef struct tmb_base {
    tmb_incarnation actor;
    uint64_t seq;
} tmb_base;

typedef struct tmb_run {
    tmb_incarnation actor;
    uint64_t first, last;
} tmb_run;

typedef struct tmb_context {
    tmb_base *bases;
    unsigned bases_count, bases_cap;
    tmb_run *runs;
    unsigned runs_count, runs_cap;
} tmb_context;

/* Room for any context of a scope, for those who keep one. */
typedef struct tmb_context_room {
    tmb_base bases[TMB_ACTORS_MAX];
    tmb_run runs[TMB_RUNS_MAX];
} tmb_context_room;

/* tmb_context_of gives an empty context in these arrays; runs may be NULL with runs_cap 0. */
static inline tmb_context tmb_context_of(tmb_base *bases, unsigned bases_cap, tmb_run *runs,
                                         unsigned runs_cap)
{
    tmb_context c = {bases, 0, bases_cap, runs, 0, runs_cap};
    return c;
}

static inline tmb_context tmb_context_in(tmb_context_room *room)
{
    return tmb_context_of(room->bases, TMB_ACTORS_MAX, room->runs, TMB_RUNS_MAX);
}

static inline bool tmb_context_is_empty(const tmb_context *c)
{
    return c->bases_count == 0 && c->runs_count == 0;
}

/* tmb_context_base gives up to where all dots of actor have been seen; 0: not the first. */
uint64_t tmb_context_base(const tmb_context *c, const tmb_incarnation *actor);
bool tmb_context_has(const tmb_context *c, const tmb_dot *dot);

/* tmb_context_last gives the highest dot of actor that was seen; 0: none. */
uint64_t tmb_context_last(const tmb_context *c, const tmb_incarnation *actor);

/* Errors: TMB_ELIMIT, TMB_EINVAL (first is 0 or above last). */
TMB_MUST_USE tmb_err tmb_context_add(tmb_context *c, const tmb_dot *dot);
TMB_MUST_USE tmb_err tmb_context_add_run(tmb_context *c, const tmb_incarnation *actor,
                                         uint64_t first, uint64_t last);

/* tmb_context_join makes c the union of both. On an error c holds some of other besides its own: drop it. */
TMB_MUST_USE tmb_err tmb_context_join(tmb_context *c, const tmb_context *other);

/* tmb_context_copy: c becomes as other. */
TMB_MUST_USE tmb_err tmb_context_copy(tmb_context *c, const tmb_context *other);

/* tmb_context_covers says whether c has every dot of other. */
bool tmb_context_covers(const tmb_context *c, const tmb_context *other);
bool tmb_context_eq(const tmb_context *a, const tmb_context *b);

/* As bytes: varint bases, each 16 actor, varint seq; varint runs, each 16 actor, varint first, varint last.
 * decode takes the one form only. Errors of decode: TMB_ECORRUPT, TMB_ELIMIT (more than c has room for). */
size_t tmb_context_size(const tmb_context *c);
void tmb_context_put(tmb_writer *w, const tmb_context *c);
TMB_MUST_USE tmb_err tmb_context_get(tmb_reader *r, tmb_context *c);

#ifdef __cplusplus
}
#endif
#endif
