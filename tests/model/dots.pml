/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * dots.pml: one leaf (an element of an add-wins set) at a hub and two sites, and what carries it between
 * them.
 *
 * Sets of dots are bit masks, and the bits lie in the order in which a pass goes through them: (incarnation,
 * number). A clock is a mask closed downwards. One process does one action at a time, each of them atomic;
 * what is not atomic in the world are two actions: written and synced, sent and received. A link holds the
 * last two chunks sent on it, and either of them may be received, at any time and any number of times: that
 * is loss, repetition and reordering. See README.md for the promises, the abstractions and the switches.
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

#include "dots_state.pml"
#include "promises.pml"

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

#define IS_THERE(n) ((n) != BORN || is_born)
#define STABLE_AT_HUB (acked[1] & acked[3])
#define ALSO_WIPE skip

#include "dots_nodes.pml"

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
