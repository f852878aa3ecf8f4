/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * session.pml: the exchange of SCOPE, LEAVES, RANGES and STORED between a site and the hub that it is
 * connected to.
 *
 * Two leaves x and y, four writes: A1 (x), A2 (y), B1 (x again, it replaced A1), C1 (y, beside A2). The
 * first hub knows A1, A2 and B1, and may remove x (H1); the second, which the site may fall back to, knows
 * A1, A2 and C1. Frames ride in channels of two; a frame may be lost or repeated, a session may end at any
 * point, and what was on its way then arrives in the next one. With RESTORE the site gets an old disk once.
 * How often each of that happens is bounded; what is demanded is that then all runs end, quiet and equal.
 */
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef REPEATS
#define REPEATS 1
#endif
#ifndef BREAKS
#define BREAKS 1
#endif

#define A1 1
#define A2 2
#define B1 4
#define H1 8
#define C1 16
#define LOWEST(set) ((set) & ~((set) - 1))

#include "promises.pml"

mtype = { SCOPE, LEAVES, RANGES, STORED };

/* SCOPE and STORED: kind, session, clock, S. LEAVES and RANGES: kind, session, from, to, context, x?, x, y?, y. */
chan up[2] = [2] of { mtype, byte, byte, byte };
chan down[2] = [2] of { mtype, byte, byte, byte, byte, bool, byte, byte };

/* The site's disk. */
byte clock, heard, heard_from, x, y, x_extra;
/* Its backup, and its session. */
byte b_clock, b_heard, b_heard_from, b_x, b_y, b_x_extra;
bool has_backup, was_restored;
byte session = 1, hub;
bool owes_scope = true, owes_stored;

byte losses = LOSSES, repeats = REPEATS, breaks = BREAKS;
bool is_quiet;
byte was;

/* What the hubs have on their disks. */
byte h_clock[2], h_x[2], h_y[2], h_gone[2], h_floor[2];
/* And of the session. */
byte h_session[2], h_acked[2], h_at[2];
bool h_open[2], h_needs_ranges[2], h_owes[2];

#ifdef UNSAFE_S_OF_ANOTHER
#define IS_MINE(h) true
#else
#define IS_MINE(h) (heard_from == (h) + 1)
#endif

/* What must hold of the site whenever it has written. */
inline look() {
    P8((clock & was) == was);
    P5((clock & A2) == 0 || (y & A2) != 0);
    P5((clock & C1) == 0 || (y & C1) != 0);
    P5((clock & A1) == 0 || (x & A1) != 0 || ((clock | x_extra) & (B1 | H1)) != 0);
    P5((clock & B1) == 0 || (x & B1) != 0 || ((clock | x_extra) & H1) != 0);
    P6((clock & H1) == 0 || x == 0)
}

/* The site: */

inline end_session() {
    d_step {
        session++;
        owes_scope = true;
        owes_stored = false
    }
}

/* The frame in hand. */
byte f_from, f_to, f_ctx, f_x, f_y, c_r, c_l;
bool f_has_x;

inline receive_leaves(is_ranges) {
    if
#ifdef UNSAFE_UNCONNECTED
    :: true ->
#else
    :: is_ranges || (f_from & ~(clock | (IS_MINE(hub) -> heard : 0))) == 0 ->
#endif
        was = clock;
        c_l = clock | x_extra;
        c_r = f_ctx;
        if
        :: f_has_x ->
            x = (x & f_x) | (x & ~c_r) | (f_x & ~c_l);
            x_extra = x_extra | f_ctx
        :: else
        fi;
        y = y | f_y;
        if
        :: f_to == f_ctx ->
#ifdef UNSAFE_CLOCK_REPLACED
            clock = f_ctx;
#else
            clock = clock | f_ctx;
#endif
            heard = 0;
            heard_from = 0
        :: else ->
            heard = (IS_MINE(hub) -> heard | f_to : f_to);
            heard_from = hub + 1
        fi;
        x_extra = x_extra & ~clock;
        owes_stored = true;
        look()
    :: else
    fi;
    f_from = 0;
    f_to = 0;
    f_ctx = 0;
    f_x = 0;
    f_y = 0;
    f_has_x = false;
    was = 0;
    c_r = 0;
    c_l = 0
}

#define IS_EQUAL ((clock & h_clock[hub]) == h_clock[hub] && h_acked[hub] == clock)

byte got;

active proctype site() {
end:
    do
    :: !is_quiet && owes_scope && nfull(up[hub]) -> atomic {
        up[hub]!SCOPE(session, clock, (IS_MINE(hub) -> heard : 0));
        owes_scope = false
    }
    :: !is_quiet && owes_stored && !owes_scope && nfull(up[hub]) -> atomic {
        up[hub]!STORED(session, clock, 0);
        owes_stored = false
    }
    :: down[hub]?LEAVES(got, f_from, f_to, f_ctx, f_has_x, f_x, f_y) -> d_step {
        if
        :: got == session -> receive_leaves(false)
        :: else -> f_from = 0; f_to = 0; f_ctx = 0; f_x = 0; f_y = 0; f_has_x = false
        fi;
        got = 0
    }
    :: down[hub]?RANGES(got, f_from, f_to, f_ctx, f_has_x, f_x, f_y) -> d_step {
        if
        :: got == session -> receive_leaves(true)
        :: else -> f_from = 0; f_to = 0; f_ctx = 0; f_x = 0; f_y = 0; f_has_x = false
        fi;
        got = 0
    }
    /* The line breaks; it may come back at the other hub. */
    :: !is_quiet && breaks > 0 -> atomic {
        breaks--;
        end_session();
        if
        :: hub = 0
        :: hub = 1
        fi
    }
#ifdef RESTORE
    :: !is_quiet && !has_backup -> d_step {
        has_backup = true;
        b_clock = clock;
        b_heard = heard;
        b_heard_from = heard_from;
        b_x = x;
        b_y = y;
        b_x_extra = x_extra
    }
    :: !is_quiet && has_backup && !was_restored -> d_step {
        was_restored = true;
        clock = b_clock;
        heard = b_heard;
        heard_from = b_heard_from;
        x = b_x;
        y = b_y;
        x_extra = b_x_extra;
        session++;
        owes_scope = true;
        owes_stored = false
    }
#endif
    /* Nothing moves any more: all is well, or something got lost, which a real line shows by breaking. */
    :: timeout && !is_quiet ->
        if
        :: IS_EQUAL -> d_step {
            P8(h_x[hub] == 0 || hub == 1 || x == h_x[hub]);
            P6(hub == 1 || (h_clock[0] & H1) == 0 || x == 0);
            P5((y & A2) != 0);
            is_quiet = true
        }
        :: else -> end_session()
        fi
    od
}

/* The hubs, of which number 0 is the first: */

#define TO_GO(h) (h_clock[h] & ~h_at[h])
#define HAS_X(h, from, to) (((h_x[h] | h_gone[h]) & (to) & ~(from)) != 0)
#define HAS_Y(h, from, to) ((h_y[h] & (to) & ~(from)) != 0)
#define IS_BELOW(h) ((h_floor[h] & ~h_acked[h]) != 0)

/* The frame in hand, and where the next chunk ends. */
byte s_session[2], s_clock[2], s_heard[2], next[2];

proctype a_hub(byte h) {
end:
    do
    :: up[h]?SCOPE(s_session[h], s_clock[h], s_heard[h]) -> d_step {
        if
        :: s_session[h] > h_session[h] ->
            h_session[h] = s_session[h];
            h_open[h] = true;
#ifdef UNSAFE_ACKS_OUTLIVE
            h_acked[h] = h_acked[h] | s_clock[h];
#else
            h_acked[h] = s_clock[h];
#endif
            h_at[h] = s_clock[h] | s_heard[h];
            h_needs_ranges[h] = (h_floor[h] & ~s_clock[h]) != 0;
            h_owes[h] = (h_clock[h] & ~s_clock[h]) != 0
        :: else
        fi;
        s_session[h] = 0;
        s_clock[h] = 0;
        s_heard[h] = 0
    }
    :: up[h]?STORED(s_session[h], s_clock[h], s_heard[h]) -> d_step {
        if
        :: s_session[h] == h_session[h] -> h_acked[h] = h_acked[h] | s_clock[h]
        :: else
        fi;
        s_session[h] = 0;
        s_clock[h] = 0;
        s_heard[h] = 0
    }
    :: h_open[h] && !h_needs_ranges[h] && !IS_BELOW(h) && (TO_GO(h) || h_owes[h]) && nfull(down[h]) -> atomic {
        if
        :: next[h] = h_clock[h]
        :: TO_GO(h) != LOWEST(TO_GO(h)) -> next[h] = h_at[h] | LOWEST(TO_GO(h))
        fi;
        h_owes[h] = h_owes[h] && next[h] != h_clock[h];
        if
        :: down[h]!LEAVES(h_session[h], h_at[h], next[h], h_clock[h], HAS_X(h, h_at[h], next[h]),
               (HAS_X(h, h_at[h], next[h]) -> h_x[h] : 0), (HAS_Y(h, h_at[h], next[h]) -> h_y[h] : 0))
        :: losses > 0 -> losses--
        :: repeats > 0 && len(down[h]) == 0 ->
            repeats--;
            down[h]!LEAVES(h_session[h], h_at[h], next[h], h_clock[h], HAS_X(h, h_at[h], next[h]),
                (HAS_X(h, h_at[h], next[h]) -> h_x[h] : 0), (HAS_Y(h, h_at[h], next[h]) -> h_y[h] : 0));
            down[h]!LEAVES(h_session[h], h_at[h], next[h], h_clock[h], HAS_X(h, h_at[h], next[h]),
                (HAS_X(h, h_at[h], next[h]) -> h_x[h] : 0), (HAS_Y(h, h_at[h], next[h]) -> h_y[h] : 0))
        fi;
        h_at[h] = next[h];
        next[h] = 0
    }
    :: h_open[h] && (h_needs_ranges[h] || IS_BELOW(h)) && h_owes[h] && nfull(down[h]) -> atomic {
        if
        :: down[h]!RANGES(h_session[h], 0, h_clock[h], h_clock[h], true, h_x[h], h_y[h])
        :: losses > 0 -> losses--
        fi;
        h_at[h] = h_clock[h];
        h_needs_ranges[h] = false;
        h_owes[h] = false
    }
    :: h == 0 && !(h_clock[h] & H1) && !is_quiet -> d_step {
        h_clock[h] = h_clock[h] | H1;
        h_x[h] = 0;
        h_gone[h] = H1;
        h_owes[h] = h_open[h]
    }
    :: h == 0 && h_gone[h] && (h_acked[h] & H1) -> d_step {
        h_gone[h] = 0;
        h_floor[h] = H1
    }
    od
}

init {
    atomic {
        h_clock[0] = A1 | A2 | B1;
        h_x[0] = B1;
        h_y[0] = A2;
        h_clock[1] = A1 | A2 | C1;
        h_x[1] = A1;
        h_y[1] = A2 | C1;
        run a_hub(0);
        run a_hub(1)
    }
}
