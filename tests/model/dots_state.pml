/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * dots_state.pml: what the nodes of dots.pml and retire.pml have, and what a client knows of its operations.
 */
#define NODES 3 /* 0 is the hub */
#define ACTORS 4
#define SEQS 3
#define NEW_ACTOR 3

#define ALL 4095
#define NOT_LAST 1755  /* 011 011 011 011: every bit but each actor's last */
#define ONLY_FIRST 585 /* 001 001 001 001 */

#define ACTOR(a) (7 << ((a) * SEQS))
#define NEXT(n) ((clock[n] & ACTOR(me[n])) + (1 << (me[n] * SEQS)))
#define LAST(a) (4 << ((a) * SEQS))
#define BELOW(set) ((((set) >> 1) & NOT_LAST) | (((set) >> 2) & ONLY_FIRST))
#define KNOWN(n) (clock[n] | extra[n])
#define LOWEST(set) ((set) & ~((set) - 1))

/* Directions: 0 is 1 to hub, 1 is hub to 1, 2 is 2 to hub, 3 is hub to 2. */
#define SENDER(d) ((d) == 0 -> 1 : ((d) == 2 -> 2 : 0))
#define RECEIVER(d) ((d) == 1 -> 1 : ((d) == 3 -> 2 : 0))
#define UP(k) (2 * ((k) - 1))
#define DOWN(k) (2 * ((k) - 1) + 1)

/* What a node has on its disk. */
short clock[NODES];
short live[NODES];  /* entries of the leaf */
short gone[NODES];  /* removals of the leaf that are still in the dot index */
short extra[NODES]; /* context of the leaf beyond the clock */
short floor_[NODES];
short other[NODES]; /* which of the known dots have the content of the second branch: stands for the chains */
byte me[NODES];
short heard[4];     /* S of the receiver of this direction ... */
short heard_ctx[4]; /* ... and the clock of the chunk that it came with */

/* What a sender has of a session. */
bool open[4];
bool owes[4];   /* a complete chunk */
short at[4];    /* where the pass is */
short acked[4]; /* the receiver's durable clock, as told */
#ifdef UNSAFE_EMPTY_EXCUSED
short excused[4]; /* floor at the start of a pass to an empty node */
#define EXCUSED(d) excused[d]
#else
#define EXCUSED(d) 0
#endif

typedef Chunk {
    bool is_there;
    bool has;
    short from;
    short to;
    short ctx;
    short live;
    short gone;
    short extra;
    short other;
};
Chunk link[8];

/* The victim's disk as last synced, or its backup. */
short b_clock, b_live, b_gone, b_extra, b_floor, b_other;
byte b_me;
short b_heard[2], b_heard_ctx[2], b_acked[2];
bool dirty;
bool has_backup, was_struck, is_born;
bool branch[NODES]; /* writes the second branch's content */

/* The operations, as a client knows them: what the promises are measured on. */
byte ops;
byte made[NODES];
short op_dot[MAX_OPS];
short op_again[MAX_OPS]; /* the dot under which it was re-issued */
byte op_kills[MAX_OPS];  /* the operations whose entries it saw and replaced: a mask */
byte op_is_add, op_is_other, op_is_lost, op_is_safe;
byte next_actor = NEW_ACTOR;
bool ended;

hidden short m_from, m_to, m_ctx, m_live, m_gone, m_extra, m_other;
hidden byte m_has;
hidden short x, y, cl, cr, dropped;
hidden byte i, j, k, o, w, dead, round;
byte kind, node, dir, slot; /* what is chosen to be done */
bool is_rest;
hidden byte is_done;
