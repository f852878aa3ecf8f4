// SPDX-License-Identifier: Apache-2.0
/* syncd/session/pace.h - how much may be on the line at once, so that nothing waits long behind it.
 *
 *   told: bytes said, bytes the peer's TCP took, when --> rate, round trip --> window --> size of a batch
 *
 *   window = rate * (shortest round trip, and half of it, TMB_PACE_QUEUE_MS_MIN .. _MAX)
 *
 * Whatever is said waits behind what is outstanding, and outstanding is at most the window: on a line of any
 * rate that is less than half a second beside the line's own round trip (more only where half a second is
 * less than TMB_PACE_WINDOW_MIN bytes). A new link begins with TMB_PACE_WINDOW_FIRST and grows by no
 * more than what was taken, so it doubles a round trip at most. While the round trip stays short nothing
 * queues, and the window grows and never shrinks: bytes that are lost make a rate small and are no reason to
 * say less. Every TMB_PACE_DIP_MS of a line that is full the window is left empty once, so that the shortest
 * round trip is measured without our own queue.
 *
 * The rate is the best of the last two spans of a second or two round trips; what was said while the line was
 * not full can only raise it. After TMB_PACE_FORGET_MS with nothing outstanding a line is a new one.
 *
 * A cap is a bucket: bytes are paid for at its rate, both ways and TLS included, whoever said them; only data
 * waits until all is paid, so answers, greetings and pings are never held back.
 *
 * Threads: none; the clock is the caller's. Cost: O(TMB_PACE_NOTES_MAX), no allocation.
 */
#ifndef TMB_SYNCD_SESSION_PACE_H
#define TMB_SYNCD_SESSION_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_PACE_WINDOW_MIN   1536u
#define TMB_PACE_WINDOW_FIRST 4096u
#define TMB_PACE_WINDOW_MAX   (4u * 1024 * 1024)
#define TMB_PACE_PIECES       4 /* of a window */
#define TMB_PACE_PIECE_MIN    1024u
#define TMB_PACE_PIECE_MAX    (256u * 1024)
#define TMB_PACE_QUEUE_MS_MIN 40
#define TMB_PACE_QUEUE_MS_MAX 300
#define TMB_PACE_DIP_MS       20000
#define TMB_PACE_FORGET_MS    10000
/* What was said and is measured; at the limit what follows is not measured by itself. */
#define TMB_PACE_NOTES_MAX 16
/* The shortest of so many round trips is what one takes lately. */
#define TMB_PACE_LATELY 3
/* What cannot be parted goes only if it is gone in that time, at the rate measured; or at one that was
 * measured while the line was not full, and may be higher, in so many times that. */
#define TMB_PACE_ONCE_MS    500
#define TMB_PACE_ONCE_TIMES 3
/* What a frame of data has around it: its other fields, MQTT, TLS. */
#define TMB_PACE_FRAME_BYTES 110u

typedef struct tmb_pace_note {
    uint64_t end; /* taken, when so many bytes are */
    uint64_t taken_then;
    tmb_mono at;
    uint64_t bytes;
    bool is_sure; /* end was told, not estimated */
    bool is_full; /* the line had all it may have */
} tmb_pace_note;

/* The best of this span and of the one before it. */
typedef struct tmb_pace_best {
    uint64_t now, before;
    tmb_mono since;
} tmb_pace_best;

/* Caller's memory; fields are read by tests and statistics, written by pace.c alone. */
typedef struct tmb_pace {
    tmb_mono now;
    uint64_t said, taken;            /* bytes of this link */
    uint64_t window, gained;         /* gained: taken since the window was set */
    uint64_t rate;                   /* bytes a second; 0: unknown */
    bool is_rate_full;               /* of a line that was full: no lower bound only */
    int64_t round_trip_us, least_us; /* lately; the shortest. 0: unknown */
    tmb_pace_best rates, leasts;
    uint64_t lately_us[TMB_PACE_LATELY]; /* the last round trips, newest first */
    tmb_mono busy_at, dip_at;
    bool is_dipping;
    unsigned notes_count;
    tmb_pace_note notes[TMB_PACE_NOTES_MAX];
    uint32_t ratio_16; /* raw bytes a packed one, in sixteenths */
    uint64_t cap;      /* bytes a second; 0: none */
    tmb_mono paid_at;  /* when all that went has been paid for */
    uint64_t charged;  /* of this link */
} tmb_pace;

void tmb_pace_init(tmb_pace *pace, tmb_mono now);

/* tmb_pace_begin: a new link; the cap and what is owed to it stay. */
void tmb_pace_begin(tmb_pace *pace, tmb_mono now);

/* tmb_pace_say notes a frame of so many bytes of data, raw_bytes when unpacked. */
void tmb_pace_say(tmb_pace *pace, uint32_t bytes, uint32_t raw_bytes, tmb_mono now);

/* tmb_pace_told takes the link's counters: bytes said and bytes taken (said is the larger), bytes of the link
 * both ways; none goes back on one link. */
void tmb_pace_told(tmb_pace *pace, uint64_t said, uint64_t taken, uint64_t all, tmb_mono now);

/* tmb_pace_set_cap: bytes a second, 0 for none. */
void tmb_pace_set_cap(tmb_pace *pace, uint64_t cap);

/* tmb_pace_piece_bytes: data that may travel in one frame. */
uint32_t tmb_pace_piece_bytes(const tmb_pace *pace);

/* tmb_pace_load_bytes: raw bytes to pack into a batch, at most most. */
uint32_t tmb_pace_load_bytes(const tmb_pace *pace, uint32_t most);

/* tmb_pace_at_once: how large a frame may be that cannot be parted and is not data; 0: none, the line is not
 * known yet. */
uint32_t tmb_pace_at_once(const tmb_pace *pace);

/* tmb_pace_learn: how much smaller records become, of a batch that is said in pieces. */
void tmb_pace_learn(tmb_pace *pace, uint32_t bytes, uint32_t raw_bytes);

/* tmb_pace_has_room says whether one more frame of data fits into the window; loads: how many more have been
 * ordered already. With nothing outstanding there is room for one however large. */
bool tmb_pace_has_room(const tmb_pace *pace, unsigned loads);

/* tmb_pace_paid_at: data waits until then for the cap. */
tmb_mono tmb_pace_paid_at(const tmb_pace *pace);

/* tmb_pace_outstanding: bytes said and not taken. */
uint64_t tmb_pace_outstanding(const tmb_pace *pace);

#ifdef __cplusplus
}
#endif
#endif
