/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * dots.pml: one leaf (an element of an add-wins set) at a hub and two sites, and what carries it between them.
 *
 * Sets of dots are bit masks, and the bits lie in the order in which a pass goes through them: (incarnation, number).
 * A clock is a mask closed downwards. One process does one action at a time, each of them atomic; what is not atomic
 * in the world are two actions: written and synced, sent and received. A link holds the last two chunks sent
 * on it, and either of them may be received, at any time and any number of times: that is loss, repetition and
 * reordering. See README.md for the promises, the abstractions and the switches.
 *
 * What the world may do to the nodes, one of:  CRASH=node  RESTORE=node  RESTORE_SEEN=node  CLONE  (none: links only)
 * What is built wrongly, if anything:          the switches named UNSAFE_...
 */
#ifndef MAX_OPS
#define MAX_OPS 2
#endif
#ifndef NODE_OPS
#define NODE_OPS 2 /* and at most so many by one node */
#endif

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

#ifdef CRASH
#define VICTIM CRASH
#endif
#ifdef RESTORE
#define VICTIM RESTORE
#endif
#ifdef RESTORE_SEEN
#define VICTIM RESTORE_SEEN
#endif
#ifdef CLONE
#define VICTIM 1
#define BORN 2 /* node 2 is not there until it is copied from node 1 */
#else
#define BORN 99
#endif

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

#include "promises.pml"

#include "dots_nodes.pml"

/* Node n has dropped the removals in the variable dropped from its index. */
inline drop_removals(n) {
    gone[n] = gone[n] & ~dropped;
    floor_[n] = floor_[n] | dropped | BELOW(dropped)
}

#ifdef UNSAFE_REMOVALS_BY_TIME
#define DROPPABLE(n) gone[n]
#else
#define DROPPABLE(n) (gone[n] & ((n) == 0 -> acked[1] & acked[3] : acked[UP(n)]))
#endif

inline write(n, is_add) {
    x = NEXT(n);
#ifdef CRASH
    P4(((KNOWN(0) | KNOWN(1) | KNOWN(2) | link[0].ctx | link[1].ctx | link[2].ctx | link[3].ctx | link[4].ctx |
            link[5].ctx | link[6].ctx | link[7].ctx) & x) == 0);
#endif
    op_dot[ops] = x;
    op_is_add = op_is_add | ((is_add) << ops);
    op_is_other = op_is_other | ((branch[n]) << ops);
    o = 0;
    do
    :: o < ops ->
        if
        :: AMONG(n, live[n], o) -> op_kills[ops] = op_kills[ops] | (1 << o)
        :: else
        fi;
        o++
    :: else -> break
    od;
    live[n] = (is_add -> x : 0);
    gone[n] = (is_add -> 0 : x);
    clock[n] = clock[n] | x;
    extra[n] = extra[n] & ~clock[n];
    if
    :: branch[n] -> other[n] = other[n] | x
    :: else
    fi;
    ops++;
    made[n]++;
    touched(n)
}

inline save(n) {
    b_clock = clock[n];
    b_live = live[n];
    b_gone = gone[n];
    b_extra = extra[n];
    b_floor = floor_[n];
    b_other = other[n];
    b_me = me[n];
    if
    :: n == 0 ->
        b_heard[0] = heard[0];
        b_heard[1] = heard[2];
        b_heard_ctx[0] = heard_ctx[0];
        b_heard_ctx[1] = heard_ctx[2];
        b_acked[0] = acked[1];
        b_acked[1] = acked[3]
    :: else ->
        b_heard[0] = heard[DOWN(n)];
        b_heard_ctx[0] = heard_ctx[DOWN(n)];
        b_acked[0] = acked[UP(n)]
    fi
}

/* Node n gets what was saved as its disk. What only the old disk knew is lost, and nobody was promised otherwise. */
inline load(n) {
    clock[n] = b_clock;
    live[n] = b_live;
    gone[n] = b_gone;
    extra[n] = b_extra;
    floor_[n] = b_floor;
    other[n] = b_other;
    me[n] = b_me;
    if
    :: n == 0 ->
        heard[0] = b_heard[0];
        heard[2] = b_heard[1];
        heard_ctx[0] = b_heard_ctx[0];
        heard_ctx[2] = b_heard_ctx[1];
        acked[1] = b_acked[0];
        acked[3] = b_acked[1]
    :: else ->
        heard[DOWN(n)] = b_heard[0];
        heard_ctx[DOWN(n)] = b_heard_ctx[0];
        acked[UP(n)] = b_acked[0]
    fi;
    close_all(n);
    /* Its connections are gone. (What was on its way from it might as well have come before.) */
    k = (n == 0 -> 0 : 4 * (n - 1));
    do
    :: k < (n == 0 -> 8 : 4 * n) -> clear(k); k++
    :: else -> break
    od;
    o = 0;
    do
    :: o < ops ->
        if
        :: AMONG(0, KNOWN(0), o) || AMONG(1, KNOWN(1), o) || AMONG(2, KNOWN(2), o)
        :: else -> op_is_lost = op_is_lost | (1 << o); op_dot[o] = 0
        fi;
        o++
    :: else -> break
    od
}

/* A peer's word of what it holds durably: what a client may rely on from then on. */
inline hear_ack(d, s, r) {
#if !defined(UNSAFE_ACK_WITHOUT_CHAIN) && !defined(UNSAFE_NO_CHAIN_CHECK)
    if
    :: IS_ANOTHER_LIFE(s, r) -> open[d] = false; open[d ^ 1] = false
    :: else -> acked[d] = clock[r]
    fi;
#else
    acked[d] = clock[r];
#endif
    o = 0;
    do
    :: o < ops ->
        if
        :: r != 1 && AMONG(r, clock[r], o) -> op_is_safe = op_is_safe | (1 << o)
        :: else
        fi;
        o++
    :: else -> break
    od
}

/* All end states are one. */
inline wipe() {
    i = 0;
    do
    :: i < 8 -> clear(i); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < 4 ->
        heard[i] = 0; heard_ctx[i] = 0; open[i] = false; owes[i] = false; at[i] = 0; acked[i] = 0;
        i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < NODES ->
        clock[i] = 0; live[i] = 0; gone[i] = 0; extra[i] = 0; floor_[i] = 0; other[i] = 0; me[i] = 0; made[i] = 0;
        branch[i] = false;
        i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < MAX_OPS -> op_dot[i] = 0; op_again[i] = 0; op_kills[i] = 0; i++
    :: else -> break
    od;
    op_is_add = 0; op_is_other = 0; op_is_lost = 0; op_is_safe = 0; ops = 0; next_actor = 0;
    b_clock = 0; b_live = 0; b_gone = 0; b_extra = 0; b_floor = 0; b_other = 0; b_me = 0;
    b_heard[0] = 0; b_heard[1] = 0; b_heard_ctx[0] = 0; b_heard_ctx[1] = 0; b_acked[0] = 0; b_acked[1] = 0;
    dirty = false; has_backup = false; was_struck = false; is_born = false;
    ended = true
}

/* Every node meets its neighbours three times, with nothing lost: then all must be one, and right. */
inline end(first) {
    round = 0;
    do
    :: round < 3 ->
        node = first;
        do
        :: node <= 2 ->
            if
            :: IS_THERE(node) ->
                connect(node);
                dir = UP(node);
                do
                :: dir <= DOWN(node) ->
                    if
                    :: (clock[SENDER(dir)] & ~at[dir]) != 0 || owes[dir] ->
                        make_chunk(dir, SENDER(dir), true);
                        P8(!REFUSED(SENDER(dir), RECEIVER(dir)));
                        join(dir, RECEIVER(dir));
                        look(RECEIVER(dir))
                    :: else
                    fi;
                    acked[dir] = clock[RECEIVER(dir)];
                    dir++
                :: else -> break
                od
            :: else
            fi;
            node++
        :: else -> break
        od;
        round++
    :: else -> break
    od;
    i = first;
    do
    :: i <= 2 ->
        if
        :: i != BORN || is_born ->
            P8(clock[i] == clock[0] && extra[i] == extra[0]);
            P7(live[i] == live[0])
        :: else
        fi;
        i++
    :: else -> break
    od;
    o = 0;
    do
    :: o < ops ->
        if
        :: ((op_is_lost >> o) & 1) || (first == 2 && !((op_is_safe >> o) & 1))
        :: else ->
            if
            :: (op_is_add >> o) & 1 ->
                find_dead(o);
                P5(dead || AMONG(0, live[0], o))
            :: else
            fi;
            i = 0;
            do
            :: i < ops ->
                if
                :: (op_kills[o] >> i) & 1 -> P6(!AMONG(0, live[0], i))
                :: else
                fi;
                i++
            :: else -> break
            od
        fi;
        o++
    :: else -> break
    od;
    wipe()
}

#if defined(CRASH) && !defined(UNSAFE_VISIBLE_BEFORE_DURABLE)
#define IS_DURABLE_TO_SEND(n) (!(dirty && (n) == VICTIM))
#else
#define IS_DURABLE_TO_SEND(n) true
#endif
#if defined(CRASH) && !defined(UNSAFE_ACK_BEFORE_SYNC)
#define IS_DURABLE_TO_ACK(n) (!(dirty && (n) == VICTIM))
#else
#define IS_DURABLE_TO_ACK(n) true
#endif

/* For the reader of a trace; printed in a replay only. */
#define SHOW_NODE(n)                                                                                                   \
    printf("    %d: clock %o live %o gone %o extra %o floor %o\n", n, clock[n], live[n], gone[n], extra[n], floor_[n])

inline tell() {
    SHOW_NODE(0);
    SHOW_NODE(1);
    SHOW_NODE(2);
    is_done = true
}

/* What can be done is chosen first, and then done, in one step. */
#define ADD 1
#define REMOVE 2
#define DROP 3
#define PRUNE 4
#define CONNECT 5
#define MEET 6
#define SEND 7
#define RECEIVE 8
#define HEAR 9
#define SYNC 10
#define CRASHES 11
#define COPY 12
#define BACK_UP 13
#define RESTORES 14
#define END 15

inline acts_of(n) {
    if
    :: IS_THERE(n) && ops < MAX_OPS && made[n] < NODE_OPS && !(clock[n] & LAST(me[n])) -> kind = ADD
    :: IS_THERE(n) && ops < MAX_OPS && made[n] < NODE_OPS && !(clock[n] & LAST(me[n])) && live[n] -> kind = REMOVE
    :: DROPPABLE(n) -> kind = DROP
#ifdef UNSAFE_PRUNED_CLOCK
    :: clock[n] & ~ACTOR(me[n]) & ~(live[n] | gone[n]) -> kind = PRUNE
#endif
    fi;
    node = n
}

/* An ack changes nothing but what may be dropped, and what a client was promised. */
#if defined(VICTIM) && !defined(CRASH)
#define IS_WORTH_HEARING(d, s, r) ((gone[s] & clock[r] & ~acked[d]) != 0)
#else
#define IS_WORTH_HEARING(d, s, r) ((r != 1 && acked[d] != clock[r]) || (gone[s] & clock[r] & ~acked[d]) != 0)
#endif
#define HAS_TWO(d, s) ((clock[s] & ~at[d]) != LOWEST(clock[s] & ~at[d]))

inline acts_of_direction(d, s, r) {
    if
    :: MAY_SEND(d, s) && IS_DURABLE_TO_SEND(s) -> kind = SEND; is_rest = true
    :: MAY_SEND(d, s) && IS_DURABLE_TO_SEND(s) && HAS_TWO(d, s) -> kind = SEND; is_rest = false
    :: link[2 * d].is_there -> kind = RECEIVE; slot = 0
    :: link[2 * d + 1].is_there -> kind = RECEIVE; slot = 1
    :: open[d] && IS_WORTH_HEARING(d, s, r) && IS_DURABLE_TO_ACK(r) -> kind = HEAR
    fi;
    dir = d
}

#define IS_DURABLE_PAIR(q) (IS_THERE(q) && IS_DURABLE_TO_SEND(q) && IS_DURABLE_TO_SEND(0))

/*
 * Node 2 and the hub do not stay connected: they meet, exchange SCOPEs, and one chunk arrives or none. The storms are
 * on the link of node 1.
 */
inline acts_of_meeting() {
    IS_DURABLE_PAIR(2);
    if
    :: kind = MEET; dir = UP(2); is_rest = true
    :: kind = MEET; dir = UP(2); is_rest = false
    :: kind = MEET; dir = DOWN(2); is_rest = true
    :: kind = MEET; dir = DOWN(2); is_rest = false
    fi;
    node = 2;
    slot = 0
}

/* What happens to nodes. */
inline strikes() {
#if defined(CRASH)
    if
    :: dirty -> kind = SYNC
    :: dirty && !was_struck -> kind = CRASHES
    fi
#elif defined(CLONE)
    !is_born -> kind = COPY
#elif defined(VICTIM)
    if
    :: !has_backup -> kind = BACK_UP
    :: has_backup && !was_struck -> kind = RESTORES
    fi
#else
    false
#endif
}

inline act() {
    if
    :: kind == ADD || kind == REMOVE ->
        printf("node %d writes (adds: %d)\n", node, kind == ADD);
        write(node, (kind == ADD));
        look(node)
    :: kind == DROP ->
        printf("node %d drops removals from its index\n", node);
        dropped = DROPPABLE(node);
        drop_removals(node);
        touched(node)
    :: kind == PRUNE ->
        printf("node %d prunes an entry of its clock\n", node);
        x = LOWEST(clock[node] & ~ACTOR(me[node]));
        clock[node] = clock[node] & ~(x | (x << 1) | (x << 2))
    :: kind == HEAR ->
        printf("%d hears what %d holds\n", SENDER(dir), RECEIVER(dir));
        hear_ack(dir, SENDER(dir), RECEIVER(dir))
#ifdef VICTIM
    :: kind == SYNC ->
        printf("node %d syncs\n", VICTIM);
        save(VICTIM);
        dirty = false
    :: kind == BACK_UP ->
        printf("node %d is backed up\n", VICTIM);
        save(VICTIM);
        has_backup = true
    :: kind == COPY ->
        printf("node 1 is copied: node 2 is its clone\n");
        save(1);
        load(2);
        is_born = true;
        branch[2] = true
    :: kind == CRASHES || kind == RESTORES ->
        printf("node %d goes back to what was saved\n", VICTIM);
        load(VICTIM);
        dirty = false;
        was_struck = true;
#if defined(RESTORE_SEEN)
        me[VICTIM] = next_actor;
        next_actor++
#elif defined(RESTORE)
        branch[VICTIM] = true
#endif
#endif
    :: kind == END ->
        printf("the storm is over, and node %d is the first that is left\n", node);
        slot = node;
        end(slot)
    :: else
    fi;
    if
    :: kind == CONNECT || kind == MEET ->
        printf("%d connects\n", node);
        connect(node)
    :: else
    fi;
    if
    :: kind == SEND || (kind == MEET && MAY_SEND(dir, SENDER(dir)) && (is_rest || HAS_TWO(dir, SENDER(dir)))) ->
        printf("%d sends to %d (complete: %d)\n", SENDER(dir), RECEIVER(dir), is_rest);
        send(dir, SENDER(dir), is_rest)
    :: else
    fi;
    if
    :: kind == RECEIVE || (kind == MEET && link[2 * dir].is_there) ->
        printf("%d receives from %d (older chunk: %d)\n", RECEIVER(dir), SENDER(dir), slot);
        receive(dir, SENDER(dir), RECEIVER(dir), slot)
    :: else
    fi;
    if
    :: kind == MEET ->
        clear(2 * dir);
        open[2] = false;
        open[3] = false;
        owes[2] = false;
        owes[3] = false;
        at[2] = 0;
        at[3] = 0
    :: else
    fi;
    kind = 0;
    node = 0;
    dir = 0;
    slot = 0;
    is_rest = false;
    tell()
}

init {
    d_step {
        me[1] = 1;
        me[2] = 2;
        open[0] = true;
        open[1] = true;
#ifdef CRASH
        save(VICTIM)
#endif
        tell()
    }
    do
    :: !ended -> atomic {
        if
        :: acts_of(0)
        :: acts_of(1)
        :: acts_of(2)
        :: IS_DURABLE_PAIR(1) -> kind = CONNECT; node = 1
        :: acts_of_direction(0, 1, 0)
        :: acts_of_direction(1, 0, 1)
#ifdef BOTH_LINKS
        :: IS_DURABLE_PAIR(2) -> kind = CONNECT; node = 2
        :: acts_of_direction(2, 2, 0)
        :: acts_of_direction(3, 0, 2)
#else
        :: acts_of_meeting()
#endif
        :: strikes()
        :: !dirty -> kind = END; node = 1
#if !defined(VICTIM) || defined(CRASH)
        :: !dirty -> kind = END; node = 2 /* node 1 is gone for good, and what it was told to be safe must be there */
#endif
        fi;
        d_step {
            act()
        }
    }
    :: else -> break
    od
}
