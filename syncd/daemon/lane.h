// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/lane.h - one stream on its way up: who watches its log, who reads it, what is waiting.
 *
 * Inner header of the uplink and lane.c. A lane asks the pool for two kinds of work, one of each at a time:
 * a look (what does the log hold now?) and a load (records into a batch). They use tails of their own.
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_LANE_H
#define TMB_SYNCD_DAEMON_LANE_H

#include "journal/tail.h"
#include "syncd/daemon/ahead.h"
#include "syncd/daemon/daemon.h"
#include "syncd/daemon/loader.h"

#define TMB_LANE_RECENT_MAX (2 * TMB_INFLIGHT_BATCHES_MAX)

typedef struct tmb_lane tmb_lane;

/* Where a batch that was loaded begins, so that the age of what waits is known without reading again. */
typedef struct tmb_lane_recent {
    uint64_t first_seq, last_seq;
    tmb_hlc stamp;
    tmb_chain chain; /* behind it */
} tmb_lane_recent;

typedef struct tmb_look {
    uv_work_t work;
    tmb_err err;
    bool is_of_another; /* node: err is TMB_EDENIED */
    uint64_t first_seq, last_seq, cursor;
    tmb_incarnation incarnation;
    uint64_t loads;     /* that had come back when it began */
    uint64_t stamp_seq; /* in: the number whose stamp is wanted, 0: none */
    tmb_hlc stamp;      /* out, 0: not found */
} tmb_look;

struct tmb_lane {
    tmb_daemon *daemon;
    const char *stream;                       /* of the journal */
    char name[TMB_STREAM_NAME_BYTES_MAX + 1]; /* of the lane: stream, or the live lane's */
    tmb_ahead *ahead;                         /* NULL: the stream has one lane */
    unsigned index, own;                      /* own: of the stream, and of its own lane */
    void *arg;
    void (*looked)(tmb_lane *lane);
    void (*loaded)(tmb_lane *lane, tmb_load *load); /* takes load */

    uint64_t linger_ms;
    tmb_tail *watch; /* used by looks alone, but for its descriptor */
    uv_poll_t poll;
    bool is_live, has_poll, is_polling, is_stopping, has_linger, is_putting;
    bool is_looking, has_news; /* has_news: look again */
    uv_timer_t linger;
    tmb_look look;
    tmb_err look_err; /* of the last one: logged once */

    tmb_loader *loader;
    uv_work_t load_work;
    tmb_load *load;   /* with the pool now */
    uint64_t loads;   /* that came back with records */
    tmb_err load_err; /* of the last one: logged once */

    bool is_known;
    bool is_dictionary_lost; /* ACK(resend) came since it was told: what that said counts */
    tmb_incarnation incarnation;
    uint64_t first_seq, last_seq, cursor; /* of the log, as looks and loads have seen it */
    uint64_t sent_last;    /* of a live_first stream: nothing above it has left in this lane */
    uint64_t retold_epoch; /* link on which one more HELLO told of its backlog; 0: none */

    uint64_t cursor_due, cursor_put; /* parent's mark: to be kept on disk, kept */
    uv_work_t put_work;
    tmb_err put_err;
    uint64_t putting;
    tmb_incarnation put_incarnation;

    unsigned recent_count;
    tmb_lane_recent recent[TMB_LANE_RECENT_MAX];
    uint64_t oldest_seq; /* whose stamp is oldest_stamp */
    tmb_hlc oldest_stamp;
    uint64_t damaged_ranges, damaged_bytes;

    uint64_t told_session; /* in which the parent was sent the dictionary told_dictionary ... */
    uint32_t told_dictionary;
    unsigned told_times; /* ... so often */
};

/* lane: zeroed, with its fields up to linger_ms set. Errors: TMB_ENOMEM, TMB_EINVAL. */
TMB_MUST_USE tmb_err tmb_lane_open(tmb_lane *lane);
void tmb_lane_stop(tmb_lane *lane);  /* no callback any more */
void tmb_lane_close(tmb_lane *lane); /* the loop has ended */

/* tmb_lane_look asks what the log holds, now or after the look that is under way; stamp_seq as above. */
void tmb_lane_look(tmb_lane *lane, uint64_t stamp_seq);

/* tmb_lane_watch waits for the log to change, and then looks. */
void tmb_lane_watch(tmb_lane *lane);

/* tmb_lane_watch_later does it in linger_ms: what comes until then travels together. */
void tmb_lane_watch_later(tmb_lane *lane);

/* tmb_lane_load asks for a batch; one at a time. takes load. */
void tmb_lane_load(tmb_lane *lane, tmb_load *load);

/* tmb_lane_keep_cursor writes the parent's mark to the store, if it has moved. */
void tmb_lane_keep_cursor(tmb_lane *lane);

/* tmb_lane_chain gives the chain behind record seq if a batch that was loaded lately ended there. */
tmb_chain tmb_lane_chain(const tmb_lane *lane, uint64_t seq);

/* tmb_lane_oldest gives the stamp of record seq if it is known, else 0. */
tmb_hlc tmb_lane_oldest(const tmb_lane *lane, uint64_t seq);

#endif
