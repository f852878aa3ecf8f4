/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * retire.pml: three members, of which the hub's two neighbours come late, lapse, come back and retire.
 *
 * A neighbour is ACTIVE from its SCOPE on: the hub drops a removal from its index only if all ACTIVE ones
 * have it. It LAPSES at any time, also while its session is open, and is ACTIVE again when it connects. A
 * retired one never comes back, and what nobody else has of it is lost; its incarnation stays in the clocks.
 * Nodes and the leaf are those of dots.pml; chunks arrive as they are sent, or not at all. The neighbour
 * that retires is 1, the one that lapses is 2. The switches named UNSAFE_... build it wrongly.
 */
#ifndef MAX_OPS
#define MAX_OPS 3
#endif
#ifndef NODE_OPS
#define NODE_OPS 2
#endif

#include "dots_state.pml"
#include "promises.pml"

bool is_active[NODES];
bool is_retired[NODES];

#define IS_THERE(n) (!is_retired[n])
#define IS_DROPPED_WITHOUT(k) (is_active[k] -> acked[DOWN(k)] : ALL)
#define STABLE_AT_HUB (IS_DROPPED_WITHOUT(1) & IS_DROPPED_WITHOUT(2))
#define ALSO_WIPE                                                                                                      \
    is_active[1] = false;                                                                                              \
    is_active[2] = false;                                                                                              \
    is_retired[1] = false;                                                                                             \
    is_retired[2] = false

#include "dots_nodes.pml"

#define ADD 1
#define REMOVE 2
#define DROP 3
#define CONNECT 4
#define SEND 5
#define HEAR 6
#define LAPSE 7
#define RETIRE 8
#define PRUNE 9
#define END 10

inline acts_of(n) {
    if
    :: IS_THERE(n) && ops < MAX_OPS && made[n] < NODE_OPS && !(clock[n] & LAST(me[n])) -> kind = ADD
    :: IS_THERE(n) && ops < MAX_OPS && made[n] < NODE_OPS && !(clock[n] & LAST(me[n])) && live[n] -> kind = REMOVE
    :: IS_THERE(n) && DROPPABLE(n) -> kind = DROP
#ifdef UNSAFE_PRUNED_CLOCK
    :: is_retired[1] && IS_THERE(n) && (clock[n] & ACTOR(1)) && !((live[n] | gone[n]) & ACTOR(1)) -> kind = PRUNE
#endif
    fi;
    node = n
}

inline acts_of_member(q) {
    if
    :: IS_THERE(q) -> kind = CONNECT
    :: q == 2 && is_active[q] -> kind = LAPSE
    :: q == 1 && !is_retired[q] -> kind = RETIRE
    fi;
    node = q
}

inline acts_of_direction(d, s, r) {
    if
    :: MAY_SEND(d, s) -> kind = SEND; is_rest = true
    :: MAY_SEND(d, s) && HAS_TWO(d, s) -> kind = SEND; is_rest = false
    :: open[d] && (gone[s] & clock[r] & ~acked[d]) -> kind = HEAR
    fi;
    dir = d
}

/* What only the retired node had is lost. */
inline retire_node(n) {
    is_retired[n] = true;
    is_active[n] = false;
    close_all(n);
    forget_heard(n);
    clock[n] = 0;
    live[n] = 0;
    gone[n] = 0;
    extra[n] = 0;
    floor_[n] = 0;
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

/* Node 1 and the hub do not stay connected: they meet, tell each other all, and hear that it is held. */
inline pass_both() {
    dir = UP(1);
    do
    :: dir <= DOWN(1) ->
        if
        :: MAY_SEND(dir, SENDER(dir)) ->
            send(dir, SENDER(dir), true);
            receive(dir, SENDER(dir), RECEIVER(dir), 0);
            clear(2 * dir)
        :: else
        fi;
        dir++
    :: else -> break
    od;
    hear_ack(0, 1, 0);
    hear_ack(1, 0, 1);
    close_all(1)
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
        drop_removals(node)
    :: kind == CONNECT ->
        printf("%d connects\n", node);
        is_active[node] = true;
        connect(node);
        if
        :: node == 1 -> pass_both()
        :: else
        fi
    :: kind == LAPSE ->
        printf("%d lapses\n", node);
        is_active[node] = false
    :: kind == RETIRE ->
        printf("%d retires\n", node);
        retire_node(node)
    :: kind == PRUNE ->
        printf("node %d prunes the retired entry of its clock\n", node);
        clock[node] = clock[node] & ~ACTOR(1)
    :: kind == HEAR ->
        printf("%d hears what %d holds\n", SENDER(dir), RECEIVER(dir));
        hear_ack(dir, SENDER(dir), RECEIVER(dir))
    :: kind == SEND ->
        printf("%d sends to %d (complete: %d)\n", SENDER(dir), RECEIVER(dir), is_rest);
        send(dir, SENDER(dir), is_rest);
        receive(dir, SENDER(dir), RECEIVER(dir), 0);
        clear(2 * dir)
    :: else ->
        printf("the storm is over\n");
        slot = 1;
        end(slot)
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
        tell()
    }
    do
    :: !ended -> atomic {
        if
        :: acts_of(0)
        :: acts_of(1)
        :: acts_of(2)
        :: acts_of_member(1)
        :: acts_of_member(2)
        :: acts_of_direction(2, 2, 0)
        :: acts_of_direction(3, 0, 2)
        :: kind = END
        fi;
        d_step {
            act()
        }
    }
    :: else -> break
    od
}
