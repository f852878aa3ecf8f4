/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * dots_nodes.pml: what the nodes of dots.pml and retire.pml do: join, send and receive chunks, connect,
 * begin a new life.
 */
/* Is operation number op among the dots of set at node n, with the content that it was made with? */
#define IS_OTHER(op) ((op_is_other >> (op)) & 1)
#define AMONG(n, set, op)                                                                                              \
    ((((set) & op_dot[op]) != 0 && (((other[n] & op_dot[op]) != 0) == IS_OTHER(op))) || ((set) & op_again[op]) != 0)

/* dead := is the operation superseded by one that was not lost? */
inline find_dead(op) {
    dead = 0;
    w = 0;
    do
    :: w < ops ->
        if
        :: ((op_kills[w] >> (op)) & 1) && !((op_is_lost >> w) & 1) -> dead = 1
        :: else
        fi;
        w++
    :: else -> break
    od
}

/* What must hold of node n at every moment. */
inline look(n) {
    o = 0;
    do
    :: o < ops ->
        if
        :: ((op_is_add >> o) & 1) && AMONG(n, clock[n], o) && !AMONG(n, live[n], o) ->
            find_dead(o);
            P5(dead)
        :: else
        fi;
        if
        :: AMONG(n, clock[n], o) ->
            w = 0;
            do
            :: w < ops ->
                if
                :: ((op_kills[o] >> w) & 1) -> P6(!AMONG(n, live[n], w))
                :: else
                fi;
                w++
            :: else -> break
            od
        :: else
        fi;
        o++
    :: else -> break
    od;
    j = 0;
    do
    :: j < NODES ->
        if
        :: clock[j] == clock[n] && other[j] == other[n] && !(extra[j] | extra[n]) -> P7(live[j] == live[n])
        :: else
        fi;
        j++
    :: else -> break
    od
}

/* The chunk that sender s would send from where the pass to d is: all the rest, or the next dot alone. */
inline make_chunk(d, s, is_complete) {
    m_from = at[d];
    m_ctx = clock[s];
    if
    :: is_complete -> m_to = clock[s]
    :: else -> m_to = at[d] | LOWEST(clock[s] & ~at[d])
    fi;
    m_has = ((live[s] | gone[s]) & m_to & ~m_from) != 0;
#ifndef UNSAFE_AHEAD_NOT_SENT
    /* The last chunk of a pass has the leaves, too, that are ahead of the clock. */
    m_has = m_has || (is_complete && ((live[s] | gone[s]) & ~m_ctx) != 0);
#endif
    m_live = (m_has -> live[s] : 0);
    m_gone = (m_has -> gone[s] : 0);
    m_extra = (m_has -> extra[s] : 0);
    m_other = other[s] & (m_ctx | m_extra);
    at[d] = m_to;
    owes[d] = owes[d] && !is_complete
}

/* Receiver r joins the chunk in the m_ variables. */
inline join(d, r) {
    P4(((m_other ^ other[r]) & (m_ctx | m_extra) & KNOWN(r)) == 0);
    cl = KNOWN(r);
    cr = m_ctx | m_extra;
    if
    :: m_has ->
        live[r] = (live[r] & m_live) | (live[r] & ~cr) | (m_live & ~cl);
        gone[r] = gone[r] | m_gone;
        gone[r] = gone[r] & ~BELOW(gone[r]);
        extra[r] = extra[r] | m_extra | m_ctx
    :: else
    fi;
    if
#ifdef UNSAFE_INCOMPLETE_ADOPTS
    :: true ->
#else
    :: m_to == m_ctx ->
#endif
        clock[r] = clock[r] | m_ctx
    :: else ->
        heard_ctx[d] = m_ctx | (heard[d] -> heard_ctx[d] : 0);
        heard[d] = heard[d] | m_to
    fi;
    if
    :: (heard[d] & ~clock[r]) == 0 -> heard[d] = 0; heard_ctx[d] = 0
    :: else
    fi;
    extra[r] = extra[r] & ~clock[r];
#ifdef UNSAFE_NO_EXTRA_CONTEXT
    extra[r] = 0;
#endif
    other[r] = (other[r] | (m_other & ~cl)) & KNOWN(r)
}

/* Every chunk says the chains of the sender's incarnation and of the receiver's, as the sender knows them. */
#ifdef UNSAFE_CHAIN_AT_SCOPE_ONLY
#define REFUSED(s, r) 0
#else
#ifdef UNSAFE_NO_CHAIN_CHECK
#define REFUSED(s, r) 0
#else
#define REFUSED(s, r)                                                                                                  \
    ((((m_other ^ other[r]) & (m_ctx | m_extra) & KNOWN(r) & (ACTOR(me[s]) | ACTOR(me[r]))) != 0) ||                   \
        ((m_ctx | m_extra) & ACTOR(me[r]) & ~clock[r]) != 0)
#endif
#endif

inline receive(d, s, r, a_slot) {
    m_from = link[2 * d + a_slot].from;
    m_to = link[2 * d + a_slot].to;
    m_ctx = link[2 * d + a_slot].ctx;
    m_has = link[2 * d + a_slot].has;
    m_live = link[2 * d + a_slot].live;
    m_gone = link[2 * d + a_slot].gone;
    m_extra = link[2 * d + a_slot].extra;
    m_other = link[2 * d + a_slot].other;
    if
    :: REFUSED(s, r) -> open[d] = false; open[d ^ 1] = false; clear(2 * d + a_slot)
    :: else ->
        if
        :: (m_from & ~(clock[r] | heard[d])) == 0 ->
            join(d, r);
            touched(r);
            look(r);
#ifndef UNSAFE_PRUNED_CLOCK
            retire(2 * d, r);
            retire(2 * d + 1, r)
#endif
        :: else
        fi
    fi
}

/* A chunk of which its receiver r knows all: that it would do nothing is asserted, and then it need not be kept. */
inline retire(a_slot, r) {
    if
    :: link[a_slot].is_there && ((link[a_slot].ctx | link[a_slot].extra) & ~clock[r]) == 0 &&
            ((link[a_slot].ctx | link[a_slot].extra) & (link[a_slot].other ^ other[r])) == 0 ->
        P6(!link[a_slot].has || (live[r] & (link[a_slot].ctx | link[a_slot].extra) & ~link[a_slot].live) == 0);
        clear(a_slot)
    :: else
    fi
}

inline clear(a_slot) {
    link[a_slot].is_there = false;
    link[a_slot].has = false;
    link[a_slot].from = 0;
    link[a_slot].to = 0;
    link[a_slot].ctx = 0;
    link[a_slot].live = 0;
    link[a_slot].gone = 0;
    link[a_slot].extra = 0;
    link[a_slot].other = 0
}

inline send(d, s, is_complete) {
    make_chunk(d, s, is_complete);
    link[2 * d + 1].is_there = link[2 * d].is_there;
    link[2 * d + 1].has = link[2 * d].has;
    link[2 * d + 1].from = link[2 * d].from;
    link[2 * d + 1].to = link[2 * d].to;
    link[2 * d + 1].ctx = link[2 * d].ctx;
    link[2 * d + 1].live = link[2 * d].live;
    link[2 * d + 1].gone = link[2 * d].gone;
    link[2 * d + 1].extra = link[2 * d].extra;
    link[2 * d + 1].other = link[2 * d].other;
    link[2 * d].is_there = true;
    link[2 * d].has = m_has;
    link[2 * d].from = m_from;
    link[2 * d].to = m_to;
    link[2 * d].ctx = m_ctx;
    link[2 * d].live = m_live;
    link[2 * d].gone = m_gone;
    link[2 * d].extra = m_extra;
    link[2 * d].other = m_other
}

inline touched(n) {
#ifdef CRASH
    if
    :: n == VICTIM -> dirty = true
    :: else
    fi
#else
    skip
#endif
}

inline close_all(n) {
    if
    :: n == 0 -> open[0] = false; open[1] = false; open[2] = false; open[3] = false
    :: else -> open[UP(n)] = false; open[DOWN(n)] = false
    fi
}

inline forget_heard(n) {
    if
    :: n == 0 -> heard[0] = 0; heard[2] = 0; heard_ctx[0] = 0; heard_ctx[2] = 0
    :: else -> heard[DOWN(n)] = 0; heard_ctx[DOWN(n)] = 0
    fi
}

/*
 * Node n has learnt from peer p, by direction d from n to p, that its incarnation has another life: a new one, own dots
 * after the last common one are re-issued, and the clock goes back to there, so that the other life's dots come in.
 */
inline reincarnate(n, p, d) {
#ifdef UNSAFE_REISSUE_BY_ACKS
    y = clock[n] & ACTOR(me[n]) & ~acked[d];
#else
    y = clock[n] & ACTOR(me[n]) & ~(KNOWN(p) & ~(other[n] ^ other[p]));
#endif
    me[n] = next_actor;
    next_actor++;
    P8(me[n] < ACTORS);
    x = NEXT(n);
    o = 0;
    do
    :: o < ops ->
        if
        :: AMONG(n, (live[n] | gone[n]) & y, o) ->
            op_again[o] = x;
            if
            :: AMONG(n, live[n] & y, o) -> live[n] = (live[n] & ~y) | x
            :: else -> gone[n] = (gone[n] & ~y) | x
            fi;
            clock[n] = clock[n] | x
        :: else
        fi;
        o++
    :: else -> break
    od;
    clock[n] = clock[n] & ~y;
    extra[n] = extra[n] & ~y;
    floor_[n] = floor_[n] & ~y;
    other[n] = other[n] & KNOWN(n);
    branch[n] = 0;
    forget_heard(n);
    close_all(n)
}

#define IS_ANOTHER_LIFE(n, p)                                                                                          \
    ((KNOWN(p) & ACTOR(me[n]) & ~clock[n]) != 0 || ((other[n] ^ other[p]) & KNOWN(p) & clock[n] & ACTOR(me[n])) != 0)

/* The pass of sender s to receiver r goes on where r says; if r lacks what is no longer indexed, ranges come first. */
inline begin(d, s, r) {
    acked[d] = clock[r];
    at[d] = clock[r];
    if
    :: (heard_ctx[d] & ~clock[s]) == 0 -> at[d] = clock[r] | heard[d]
    :: else
    fi;
#ifdef UNSAFE_EMPTY_EXCUSED
    excused[d] = ((KNOWN(r) | heard[d]) == 0 -> floor_[s] : 0);
    floor_[r] = floor_[r] | excused[d];
#endif
    open[d] = true;
    owes[d] = (clock[s] & ~clock[r]) != 0
}

/* Does the receiver's clock, as last heard, not reach the floor of sender s? Then it gets no pass, but ranges. */
#define IS_BELOW(d, s) ((floor_[s] & ~(acked[d] | EXCUSED(d))) != 0)

/* Fingerprints: equal clocks and unequal leaves. */
#ifdef UNSAFE_NO_FINGERPRINT
#define DIFFER(n, p) false
#else
#define DIFFER(n, p) (clock[n] == clock[p] && (live[n] != live[p] || extra[n] != extra[p]))
#endif

inline begin_both(q) {
    i = UP(q);
    do
    :: i <= DOWN(q) ->
        begin(i, SENDER(i), RECEIVER(i));
        i++
    :: else -> break
    od
}

inline connect(q) {
    clear(2 * UP(q));
    clear(2 * UP(q) + 1);
    clear(2 * DOWN(q));
    clear(2 * DOWN(q) + 1);
#ifndef UNSAFE_NO_CHAIN_CHECK
    i = UP(q);
    do
    :: i <= DOWN(q) ->
        if
        :: IS_ANOTHER_LIFE(SENDER(i), RECEIVER(i)) ->
            reincarnate(SENDER(i), RECEIVER(i), i);
            touched(SENDER(i))
        :: else
        fi;
        i++
    :: else -> break
    od;
#endif
    begin_both(q);
#if !defined(UNSAFE_REMOVALS_BY_TIME) && !defined(UNSAFE_NO_RECONCILIATION)
    if
    :: IS_BELOW(DOWN(q), 0) || IS_BELOW(UP(q), q) || DIFFER(0, q) ->
        /* Range reconciliation, here one step: both know the union, and the leaf is the join of both. */
        P4(((other[0] ^ other[q]) & KNOWN(0) & KNOWN(q)) == 0);
        live[0] = (live[0] & live[q]) | (live[0] & ~KNOWN(q)) | (live[q] & ~KNOWN(0));
        live[q] = live[0];
        gone[0] = gone[0] | gone[q];
        gone[0] = gone[0] & ~BELOW(gone[0]);
        gone[q] = gone[0];
        clock[0] = clock[0] | clock[q];
        clock[q] = clock[0];
        extra[0] = (extra[0] | extra[q]) & ~clock[0];
        extra[q] = extra[0];
        other[0] = other[0] | other[q];
        other[q] = other[0];
#ifndef UNSAFE_FLOOR_NOT_PASSED_ON
        floor_[0] = floor_[0] | floor_[q];
        floor_[q] = floor_[0];
#endif
        heard[UP(q)] = 0;
        heard[DOWN(q)] = 0;
        heard_ctx[UP(q)] = 0;
        heard_ctx[DOWN(q)] = 0;
        begin_both(q);
        touched(0);
        touched(q)
    :: else
    fi;
#endif
    i = 0;
    do
    :: i <= q ->
        look(i);
        i = i + q
    :: else -> break
    od
}

#if defined(UNSAFE_REMOVALS_BY_TIME) || defined(UNSAFE_NO_RECONCILIATION) || defined(UNSAFE_FLOOR_AT_SCOPE_ONLY)
#define MAY_SEND(d, s) (open[d] && ((clock[s] & ~at[d]) != 0 || owes[d]))
#else
#define MAY_SEND(d, s)                                                                                                 \
    (open[d] && ((clock[s] & ~at[d]) != 0 || owes[d]) && !IS_BELOW(d, s))
#endif
#define HAS_TWO(d, s) ((clock[s] & ~at[d]) != LOWEST(clock[s] & ~at[d]))

/* Node n has dropped the removals in the variable dropped from its index. */
inline drop_removals(n) {
    gone[n] = gone[n] & ~dropped;
    floor_[n] = floor_[n] | dropped | BELOW(dropped)
}

#ifdef UNSAFE_REMOVALS_BY_TIME
#define DROPPABLE(n) gone[n]
#else
#define DROPPABLE(n) (gone[n] & ((n) == 0 -> STABLE_AT_HUB : acked[UP(n)]))
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
    ALSO_WIPE;
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
        :: IS_THERE(i) ->
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

/* For the reader of a trace; printed in a replay only. */
#define SHOW_NODE(n)                                                                                                   \
    printf("    %d: clock %o live %o gone %o extra %o floor %o\n", n, clock[n], live[n], gone[n], extra[n], floor_[n])

inline tell() {
    SHOW_NODE(0);
    SHOW_NODE(1);
    SHOW_NODE(2);
    is_done = true
}
