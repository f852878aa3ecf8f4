// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/plugin.h - the one struct of the plugin, and what its files do for each other.
 *
 * Private to this folder. Everything runs on the broker's one thread, from its events. A message's road:
 * acl.c rules (events.c) -> message.c -> store.c -> journal; what the broker must be told to publish goes
 * through publish.c; tick.c flushes, sees snapshots, writes checkpoints, keeps to the retention.
 */
#ifndef TMB_BROKER_PLUGIN_PLUGIN_H
#define TMB_BROKER_PLUGIN_PLUGIN_H

#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <sys/stat.h>

#include <mosquitto.h>

#include "broker-plugin/broker_conf.h"
#include "broker-plugin/budget.h"
#include "broker-plugin/checkpoint.h"
#include "broker-plugin/disk.h"
#include "broker-plugin/hold.h"
#include "broker-plugin/inflight.h"
#include "broker-plugin/ledger.h"
#include "broker-plugin/pace.h"
#include "broker-plugin/receipts.h"
#include "broker-plugin/seen.h"
#include "config/config.h"
#include "journal/journal.h"
#include "journal/marks.h"

/* name, in the order in which the statistics show them. */
/* clang-format off */
#define TMB_PLUGIN_COUNTS(X)                                                                       \
    X(messages)           /* taken from clients of this broker */                                  \
    X(unstored_full)      /* of them, delivered and acked, and not stored: full: drop-newest */        \
    X(uncaptured)         /* of no stream: passed on, not stored */                                \
    X(wills)              /* stored */                                                             \
    X(wills_unconfirmed)  /* perhaps a will, perhaps a publish that was denied: not stored */      \
    X(repeats)            /* of numbered messages, dropped */                                      \
    X(bad_numbers)        /* tombolo-seq that is no number: taken as not numbered */               \
    X(forged_marks)       /* tombolo-id and tombolo-replay taken off what clients sent */          \
    X(unmarked)           /* delivered without their mark: no memory, or marks.given not made */   \
    X(store_failures)     /* messages refused because they could not be stored */                  \
    X(unstored_qos0)      /* QoS 0 messages and wills passed on though they could not be stored */ \
    X(group_held)         /* acks of group streams kept back for the sync of their round */        \
    X(group_syncs)        /* for them */                                                           \
    X(group_strict)       /* messages of group streams synced alone: their client could not wait */ \
    X(group_cut)          /* connections closed in place of an ack that was kept back */           \
    X(group_breaches)     /* acks that went past the hold: all group streams are strict now */     \
    X(subscribes_held)    /* SUBACKs kept back until the snapshot that has them */                 \
    X(shared_subscribes)  /* of lasting sessions, to $share/...: the broker forgets them at its end */ \
    X(subscribes_early)   /* and those that could not be, or not for long enough */                \
    X(commits)            /* from our syncd, stored */                                             \
    X(commits_refused)                                                                             \
    X(committed)          /* records in them */                                                    \
    X(commit_repeats)     /* records of them that were here already */                             \
    X(origin_repeats)     /* of these, those that had come by another child */                     \
    X(origins_unnoted)    /* records whose origin could not be noted: no memory */                 \
    X(denied)             /* by the rules for $tombolo/ */                                         \
    X(state_ops)          /* operations on state, stored */                                        \
    X(state_refused)      /* messages below state.root that are none, or not for those who sent them */ \
    X(state_values)       /* of our syncd, passed on */                                            \
    X(state_kept)         /* of children, below state.root: stored, and not published */           \
    X(sites_hung_up)      /* connections closed: too many frames a second */                       \
    X(replayed)           /* given to the broker again at its start */                             \
    X(receipts_asked)                                                                              \
    X(receipts_sent)                                                                               \
    X(receipts_refused)   /* told to the publisher, or there was no topic to tell it on */         \
    X(gaps)               /* missing ranges met while replaying */                                 \
    X(publish_failures)   /* the broker had no memory for a message that is in the journal */      \
    X(snapshots)          /* of the broker, seen */                                                \
    X(snapshots_asked)                                                                             \
    X(snapshots_broken)   /* cut off by a full disk, and undone */                                 \
    X(checkpoints)                                                                                 \
    X(checkpoint_failures)                                                                         \
    X(journal_full)       /* 1: the disk is full now; 0: it is not */                              \
    X(disks_full)         /* how often it became so */                                             \
    X(streams_failing)    /* streams that cannot be written now */                                 \
    X(shed_records)       /* lost on purpose or by the disk, in what the ledger tells */           \
    X(shed_bytes)                                                                                  \
    X(loss_entries)       /* written into the ledger */                                            \
    X(loss_waiting)       /* entries that wait now */
/* clang-format on */

typedef struct tmb_plugin_counts {
#define TMB_PLUGIN_COUNT_FIELD(name) uint64_t name;
    TMB_PLUGIN_COUNTS(TMB_PLUGIN_COUNT_FIELD)
#undef TMB_PLUGIN_COUNT_FIELD
} tmb_plugin_counts;

typedef struct tmb_plugin_stream {
    tmb_journal_stream *log;
    const tmb_stream_policy *policy;
    uint64_t good_seq;   /* newest record that is stored and whose message went its way */
    uint64_t synced_seq; /* all up to here is on the disk: tmb_plugin_note_synced */
    uint64_t tick_seq;   /* good_seq at the last tick, and at the one before */
    uint64_t tick_seq_before;
    uint64_t hold_seq;    /* tick_seq, or less: before the first QoS 2 message in flight then */
    uint64_t kept_seq;    /* position in the checkpoint file */
    uint64_t older_seq;   /* and in the one before it, which may be needed again */
    tmb_mono dirty_since; /* never: nothing to write */
    tmb_mono written_at;
    tmb_mono unsynced_since;
    tmb_inflight inflight; /* QoS 2 between PUBLISH and PUBREL */
    uint64_t buffered;     /* records with no promise since the last flush */
    bool is_failing;       /* the last write was refused, and that is in the log */
    bool is_doubtful;      /* after good_seq the log may hold what was refused */
    bool is_group_open;    /* records of a group are not synced yet; good_seq is past them */
    bool is_group_strict;  /* until a strict write has succeeded */
    bool has_old;          /* drop-oldest on a full disk: a checkpoint still needs what would go */
    bool has_shed_before;  /* messages of a life before were taken and not stored */
    bool has_lost;         /* records of it are gone, and the parent does not have them either */
} tmb_plugin_stream;

/* The last write that the rules let pass. Not followed by its own MESSAGE event, it was a will. */
#define TMB_WILL_PAYLOAD_BYTES_MAX 65535
typedef struct tmb_plugin_pending {
    bool is_set;
    bool is_candidate; /* short enough for a will, and of a stream: copied below */
    const struct mosquitto *client;
    const void *topic_at, *payload_at;
    uint8_t qos;
    bool retain;
    size_t topic_len, payload_len, publisher_len;
    char topic[TMB_TOPIC_BYTES_MAX + 1];
    uint8_t payload[TMB_WILL_PAYLOAD_BYTES_MAX];
    char publisher[TMB_PUBLISHER_BYTES_MAX];
} tmb_plugin_pending;

/* Receipts that wait, and how far the parent is (uplink.marks, when last looked at). */
typedef struct tmb_plugin_receipts {
    tmb_receipts *table;
    tmb_marks marks;
    bool has_marks;
    uint64_t marks_seq[TMB_STREAMS_MAX]; /* by stream; 0: none that is believed */
    struct stat file;
    tmb_mono looked_at;
} tmb_plugin_receipts;

/* group.c: acks that wait for one sync. */
typedef struct tmb_plugin_group {
    struct tmb_plugin_number *numbers; /* of messages not synced yet */
    tmb_mono since;
    unsigned numbers_count;
    unsigned rounds; /* that the sync has waited for, since then */
    /* An ack went past the hold, or nobody can be held: each message is synced alone. */
    bool is_broken;
} tmb_plugin_group;

/* tick.c, asking.c, subscribing.c: the broker's snapshot. */
typedef struct tmb_plugin_snapshot {
    struct stat file; /* when last looked at */
    nlink_t names;    /* how many it had then */
    tmb_budget budget;
    uint64_t records_since, bytes_since; /* stored since it */
    tmb_mono seen_at, asked_at;
    tmb_mono subscribed_at; /* the first of those that wait for it now, or waited last */
    int fd;                 /* of the same file; -1: none */
    bool is_wanted, is_failing;
    bool has_delivered, is_one_more_due; /* to a lasting session, since it: asking.c */
} tmb_plugin_snapshot;

/* tick.c: the position in the journal that belongs to it. */
typedef struct tmb_plugin_checkpoint {
    uint64_t stored_bytes; /* since the start: topic and payload; and at the last tick, */
    uint64_t tick_bytes;   /* and up to the position in the file */
    uint64_t bytes;
    tmb_mono at; /* when the file was written, or the broker started */
    bool is_failing;
    char file[PATH_MAX];
} tmb_plugin_checkpoint;

/* full.c: a full disk. */
typedef struct tmb_plugin_full {
    tmb_disk disk;
    uint64_t unseen_bytes;  /* to be written since the disk was looked at */
    uint64_t grace_bytes;   /* of the reserve, for drop-oldest streams until they can drop */
    uint64_t dropped_bytes; /* of segments that went to make room */
    int64_t wait_ms;        /* how long the disk counts as full at least */
    tmb_mono looked_at, since, left_at, logged_at, relieved_at;
    bool is_now, is_logged, waits_for_checkpoint;
} tmb_plugin_full;

/* loss.c: the ledger. */
typedef struct tmb_plugin_loss {
    tmb_ledger ledger;
    tmb_mono told_at;
    int fd; /* of the file of what waits; -1: none */
    bool is_failing;
} tmb_plugin_loss;

/* One for the broker. Each part is named for the files that keep it; others look, or add to its sums. */
/* Marks that somebody may have seen (given.c). */
typedef struct tmb_plugin_given {
    char file[PATH_MAX]; /* there while marks are given */
    bool is_there;
    bool is_owed;      /* numbers to be left out are not in a segment's header yet */
    tmb_mono tried_at; /* to make the file */
} tmb_plugin_given;

#define TMB_PLUGIN_MAGIC 0x504c5547u
typedef struct tmb_plugin {
    uint32_t magic;
    unsigned streams_count; /* of streams below */
    mosquitto_plugin_id_t *id;
    tmb_config *config;
    tmb_broker_conf broker;
    char journal_root[PATH_MAX];
    tmb_journal *journal;
    tmb_plugin_stream streams[TMB_STREAMS_MAX];
    tmb_seen *children;
    tmb_seen *origins;
    tmb_seen *publishers;
    tmb_plugin_counts counts, counts_told;
    tmb_plugin_pending pending;
    tmb_plugin_receipts receipts;
    tmb_plugin_group group;
    tmb_plugin_snapshot snapshot;
    tmb_plugin_checkpoint checkpoint;
    tmb_plugin_full full;
    tmb_plugin_loss loss;
    tmb_plugin_given given;
    struct tmb_plugin_gone *gone;
    tmb_hold *hold;   /* NULL: nobody can be held */
    size_t props_len; /* of the message that is being queued */
    tmb_pace *pace;
    uint8_t props[TMB_PROPS_BYTES_MAX];
    char topic[TMB_TOPIC_BYTES_MAX + 1];
    uint64_t ring_troubles; /* of the journal's, as far as they were logged */
    tmb_mono tick_at, worked_at, stats_at, retained_at, denied_at, probed_at;
    unsigned denied_logged, gaps_logged;
    bool has_published, has_published_before; /* something of ours, this round and the one before */
    bool is_retain_failing;
    bool was_shed; /* what store_local took last was not stored */
} tmb_plugin;

tmb_mono tmb_plugin_now(void);
tmb_wall tmb_plugin_wall(void);

/* store.c: begin, append each record, end with the durability asked for. After an error at any of them
 * nothing is promised: the message must be refused (or, QoS 0, passed on unstored). A change from working to
 * failing and back is logged, once. */
TMB_MUST_USE tmb_err tmb_plugin_store_begin(tmb_plugin *p, unsigned stream);
TMB_MUST_USE tmb_err tmb_plugin_store_append(tmb_plugin *p, unsigned stream,
                                             const tmb_record *record);
TMB_MUST_USE tmb_err tmb_plugin_store_end(tmb_plugin *p, unsigned stream,
                                          tmb_durability durability);
/* Append and end in one, for what a client of this broker said; durability by QoS and stream.
 * Errors: as these two, and TMB_ELIMIT (above TMB_BIRTH_..._MAX: this message alone is refused). */
TMB_MUST_USE tmb_err tmb_plugin_store_local(tmb_plugin *p, unsigned stream,
                                            const tmb_record *record);
/* Counts what a crash would repeat: what is stored, and at the start what the checkpoint lacks. */
void tmb_plugin_count_stored(tmb_plugin *p, const tmb_record *record);
/* Syncs what was appended to one stream. Errors: as tmb_plugin_store_end. */
TMB_MUST_USE tmb_err tmb_plugin_store_sync(tmb_plugin *p, unsigned stream);
void tmb_plugin_flush_due(tmb_plugin *p, tmb_mono now);
/* Tries whether what cannot be written now can, without waiting for a message. */
void tmb_plugin_probe_due(tmb_plugin *p, tmb_mono now);
TMB_MUST_USE tmb_err tmb_plugin_sync_all(tmb_plugin *p);

/* group.c: acks wait for one sync of many. take: client's message is appended; its ack will wait, or the
 * message is synced now (errors: as tmb_plugin_store_end; refuse it). note_number: before is the number that
 * was seen last, should this one have to be taken back. failed, synced: from store.c, for every write. */
TMB_MUST_USE tmb_err tmb_group_start(tmb_plugin *p);
void tmb_group_end(tmb_plugin *p);
TMB_MUST_USE tmb_err tmb_group_take(tmb_plugin *p, unsigned stream, const struct mosquitto *client);
TMB_MUST_USE tmb_err tmb_group_note_number(tmb_plugin *p, unsigned stream, const tmb_record *record,
                                           uint64_t before);
void tmb_group_make_room(tmb_plugin *p);
void tmb_group_failed(tmb_plugin *p, unsigned stream);
void tmb_group_synced(tmb_plugin *p, unsigned stream);
void tmb_group_on_read(tmb_plugin *p, const struct mosquitto_evt_acl_check *event);
void tmb_group_on_leave(tmb_plugin *p, const struct mosquitto *client);
void tmb_group_on_tick(tmb_plugin *p, tmb_mono now);

/* full.c: what a full disk means. way says what is to become of bytes that are about to be written to a
 * stream, by its policy; shed takes a message that is not stored (its number is used up, the ledger gets
 * it); met is told of a write that found no space. */
typedef enum tmb_way {
    TMB_WAY_OPEN = 0, /* write */
    TMB_WAY_SHED,     /* deliver and ack, and do not store */
    TMB_WAY_CLOSED    /* refuse */
} tmb_way;
void tmb_plugin_disk_start(tmb_plugin *p);
tmb_way tmb_plugin_way(tmb_plugin *p, unsigned stream, size_t bytes);
void tmb_plugin_shed(tmb_plugin *p, unsigned stream, const tmb_record *record);
void tmb_plugin_disk_met(tmb_plugin *p);
void tmb_plugin_disk_tick(tmb_plugin *p, tmb_mono now);

/* loss.c: the ledger. lose takes in a loss (at_ms is set there), of which what the parent has is none; start
 * is called when the journal is open and nothing is replayed; forget takes an entry that is in the log
 * already out of what waits. */
void tmb_plugin_lose(tmb_plugin *p, const tmb_loss *loss);
void tmb_plugin_loss_start(tmb_plugin *p);
void tmb_plugin_loss_forget(tmb_plugin *p, unsigned stream, const tmb_record *record);
void tmb_plugin_loss_tick(tmb_plugin *p, tmb_mono now);
void tmb_plugin_loss_end(tmb_plugin *p);
void tmb_plugin_on_found(void *arg, const char *stream, const tmb_tail_gap *gap);
void tmb_plugin_on_drop(void *arg, const char *stream, const tmb_journal_drop *drop);

/* subscribing.c: a lasting session subscribes or unsubscribes; a round has ended, with a new snapshot in it
 * or without. */
void tmb_plugin_on_subscribe(tmb_plugin *p, const struct mosquitto *client);
void tmb_plugin_release_subscribers(tmb_plugin *p, tmb_mono now, bool has_snapshot);

/* publish.c: hand a record of a stream to the broker's subscribers; is_replay: perhaps
 * not for the first time. Errors: TMB_ENOMEM: nobody got it, and good_seq must not pass it. What the broker
 * will not take for another reason it will never take: counted, and TMB_OK. */
TMB_MUST_USE tmb_err tmb_plugin_publish(tmb_plugin *p, unsigned stream, const tmb_record *record,
                                        bool is_replay);

/* repeat.c: what becomes of a numbered message that is here already; the answer to the broker. And what
 * tells a numbered message from others for as long as it is in flight; 0: it has no number. */
void tmb_plugin_note_unstored(tmb_plugin *p, unsigned stream, const tmb_record *record);
bool tmb_plugin_may_be_unstored(const tmb_plugin *p, unsigned stream, const tmb_record *record);
int tmb_plugin_repeat(tmb_plugin *p, unsigned stream, const tmb_record *record,
                      struct mosquitto_evt_message *event);
uint64_t tmb_plugin_tag(const tmb_plugin *p, unsigned stream, const tmb_record *record);

/* marking.c: the properties that a record keeps (they borrow from p->props); marks that the client sent are
 * taken off the message. Errors: TMB_ELIMIT, TMB_ENOMEM. And the mark of one of our records, if its stream
 * has marks. */
TMB_MUST_USE tmb_err tmb_plugin_take_props(tmb_plugin *p, struct mosquitto_evt_message *event,
                                           tmb_bytes *ret_props);
void tmb_plugin_mark(tmb_plugin *p, unsigned stream, uint64_t seq, bool is_replay,
                     mosquitto_property **list);

/* given.c: at the start, before anything gets a mark: numbers that a life which did not end well may have
 * given are left out (errors: TMB_ELIMIT, TMB_EIO: what there was cannot be known). Before each mark: false,
 * none may be given now. At a good end. */
TMB_MUST_USE tmb_err tmb_plugin_given_start(tmb_plugin *p);
TMB_MUST_USE bool tmb_plugin_may_mark(tmb_plugin *p);
void tmb_plugin_given_end(tmb_plugin *p);

/* receipting.c: what the publisher of a message asks for by its properties is answered, waits, or is
 * refused. take is for one that is stored (or, a repeat, was), refuse for one that is let through without
 * being. */
void tmb_plugin_take_receipts(tmb_plugin *p, const struct mosquitto_evt_message *event,
                              tmb_bytes props, unsigned stream, bool is_repeat);
void tmb_plugin_refuse_receipts(tmb_plugin *p, const struct mosquitto_evt_message *event,
                                tmb_bytes props, const char *why);
/* Whoever has synced a stream says so: synced_seq moves to its last number, and what waited is answered. A
 * write or sync that failed: what waits for the disk is refused, for it may be in a file that is given up. */
void tmb_plugin_note_synced(tmb_plugin *p, unsigned stream);
void tmb_plugin_note_unsynced(tmb_plugin *p, unsigned stream);
bool tmb_plugin_has_receipts(const tmb_plugin *p, unsigned stream); /* that wait for a sync */
void tmb_plugin_look_at_marks(tmb_plugin *p, tmb_mono now);
TMB_MUST_USE tmb_err tmb_plugin_begin_receipts(tmb_plugin *p); /* once the streams are open */
/* Once the log is what it is going to be: marks above its end would be believed when it has grown. */
void tmb_plugin_check_marks(tmb_plugin *p);

/* Reads uplink.marks when it has changed. */
void tmb_plugin_load_marks(tmb_plugin *p);

/* lost.c: may what a numbered message of this stream repeats be gone, here and on its way? start, once the
 * streams are open, reads what the ledger knows of lives before; note_lost tells what this life meets. */
void tmb_plugin_lost_start(tmb_plugin *p);
void tmb_plugin_note_lost(tmb_plugin *p, const char *stream);
bool tmb_plugin_may_be_lost(tmb_plugin *p, unsigned stream);

/* damage.c: a range that is not as it was written, in the broker's log; and whether the parent has the
 * numbers first to last, as a sentence, empty at a node without a parent. */
void tmb_plugin_log_gap(tmb_plugin *p, const char *stream, const tmb_tail_gap *gap);
void tmb_plugin_say_parent(tmb_plugin *p, const char *stream, uint64_t first, uint64_t last,
                           char out[TMB_MARKS_SAY_BYTES]);

/* replay.c: note a record in the seen tables; give the broker all that comes after from (at start), or
 * after the last good record of one stream (when a refused write turns out to be in the log). */
TMB_MUST_USE tmb_err tmb_plugin_note_seen(tmb_plugin *p, unsigned stream, const tmb_record *record);
TMB_MUST_USE tmb_err tmb_plugin_replay(tmb_plugin *p, const tmb_checkpoint *from);
TMB_MUST_USE tmb_err tmb_plugin_heal(tmb_plugin *p, unsigned stream);

/* state.c: topics of state. is_state: state is on, and topic is below its root. stream_for gives the stream
 * that takes a message, -1 for none. may_write_state: asked of each publish and will below the root; who is
 * the node of the client's certificate, or NULL. False: refused, counted and told. begin_state: once, at
 * start. */
bool tmb_plugin_is_state(const tmb_plugin *p, tmb_bytes topic);
int tmb_plugin_stream_for(const tmb_plugin *p, tmb_bytes topic);
bool tmb_plugin_may_write_state(tmb_plugin *p, const struct mosquitto_evt_acl_check *event,
                                const char *who);
void tmb_plugin_keep_state(tmb_plugin *p, const tmb_record *record);
void tmb_plugin_begin_state(tmb_plugin *p);

/* message.c, commit.c, events.c: the events. may_log: some lines a second, of refusals. */
bool tmb_plugin_may_log_refusal(tmb_plugin *p);
int tmb_plugin_on_message(tmb_plugin *p, struct mosquitto_evt_message *event);
int tmb_plugin_on_commit(tmb_plugin *p, const struct mosquitto_evt_message *event);
int tmb_plugin_on_acl(tmb_plugin *p, const struct mosquitto_evt_acl_check *event);
bool tmb_plugin_is_alone(const tmb_plugin *p);

/* identity.c: the node named by a client's certificate; and whether a client without one is a node whose
 * connection is gone, so that the write asked for is its will. */
bool tmb_plugin_who(tmb_plugin *p, const struct mosquitto *client,
                    char ret_name[TMB_NAME_BYTES_MAX + 1]);
bool tmb_plugin_has_left(tmb_plugin *p, const struct mosquitto *client, int access,
                         char ret_name[TMB_NAME_BYTES_MAX + 1]);
void tmb_plugin_note_leaving(tmb_plugin *p, const struct mosquitto *client);
void tmb_plugin_forget_all(tmb_plugin *p);

/* will.c: remember a write; settle what is remembered at the next event (read: the one that is a READ check,
 * else NULL). match says whether event is the remembered write, and then forgets it. */
void tmb_plugin_pend(tmb_plugin *p, const struct mosquitto_evt_acl_check *event);
bool tmb_plugin_pend_match(tmb_plugin *p, const struct mosquitto_evt_message *event);
void tmb_plugin_pend_settle(tmb_plugin *p, const struct mosquitto_evt_acl_check *read);

/* tick.c */
void tmb_plugin_on_tick(tmb_plugin *p);
void tmb_plugin_look_at_snapshot(tmb_plugin *p);
void tmb_plugin_leave(tmb_plugin *p);
void tmb_plugin_load_checkpoint(tmb_plugin *p, tmb_checkpoint *ret_checkpoint);

/* asking.c: wish for a snapshot; ask for one that is due or wished for, when the budget allows; note that a
 * whole one was seen, what one cost (age_ns: of its file; below 0: unknown), and that a client gets or got
 * something. */
void tmb_plugin_want_snapshot(tmb_plugin *p);
void tmb_plugin_ask_for_snapshot(tmb_plugin *p, tmb_mono now);
void tmb_plugin_note_snapshot(tmb_plugin *p, tmb_mono now);
void tmb_plugin_note_cost(tmb_plugin *p, tmb_mono tick_at, int64_t age_ns);
void tmb_plugin_note_delivery(tmb_plugin *p, const struct mosquitto *client);

/* stats.c */
void tmb_plugin_tell_stats(tmb_plugin *p);

#endif
