// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/seen.h - the highest number seen of each source, so that a repeat is known without a window.
 *
 * One table for the streams of children, one for the nodes where records were born, one for publishers that
 * number their messages; a key is bytes that tmb_seen_key_... make; its first part, a client id or a node's
 * name, says whose it is. Numbers of a child and of a publisher rise; those of an origin may come by two
 * roads, so of them the holes are kept too (holes.h). Nobody can push
 * others out: above own_limit entries one loses its own oldest; a full table takes the oldest of whoever has
 * the most (among equals, of the one not heard of for longest). Both are counted.
 * Threads: none, the caller serialises. Cost: hash look-ups; memory some 300 bytes an entry.
 */
#ifndef TMB_BROKER_PLUGIN_SEEN_H
#define TMB_BROKER_PLUGIN_SEEN_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "broker-plugin/holes.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_SEEN_KEY_BYTES_MAX                                                                     \
    (3 + TMB_PUBLISHER_BYTES_MAX + TMB_RUN_BYTES_MAX + TMB_STREAM_NAME_BYTES_MAX)

typedef struct tmb_seen tmb_seen;

typedef struct tmb_seen_key {
    uint8_t bytes[TMB_SEEN_KEY_BYTES_MAX];
    size_t len;
} tmb_seen_key;

/* tmb_seen_new makes an empty table of at most limit entries, own_limit of one owner. gives ret_seen.
 * Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_seen_new(size_t limit, size_t own_limit, tmb_seen **ret_seen);
void tmb_seen_free(tmb_seen *seen);

/* Keys: a child's stream (of tmb_record_source), and a numbered publisher (client id, run, our stream). Parts
 * above their limits of base/limits.h are cut. */
tmb_seen_key tmb_seen_key_child(const tmb_origin *source);

/* tmb_seen_key_origin: where a record was born. A stream and its live lane ("x" and "x.live") have the same
 * numbers, so they have one key. */
tmb_seen_key tmb_seen_key_origin(const tmb_origin *origin);
tmb_seen_key tmb_seen_key_publisher(tmb_bytes publisher, tmb_bytes run, tmb_bytes stream);

/* tmb_seen_max gives the highest number of key, making an entry (with 0) when there is none, so that a
 * tmb_seen_raise that follows cannot fail. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_seen_max(tmb_seen *seen, tmb_bytes key, uint64_t *ret_number);

/* tmb_seen_raise makes number the highest of key, unless it is lower. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_seen_raise(tmb_seen *seen, tmb_bytes key, uint64_t number);

/* tmb_seen_lower takes a raise back: number is the highest of key again, if there still is an entry. */
void tmb_seen_lower(tmb_seen *seen, tmb_bytes key, uint64_t number);

/* tmb_seen_has: number of key is here. tmb_seen_add: it is from now on, whatever came before; a number that
 * cannot be noted for want of memory is not here. Errors of add: TMB_ENOMEM. */
bool tmb_seen_has(const tmb_seen *seen, tmb_bytes key, uint64_t number);
TMB_MUST_USE tmb_err tmb_seen_add(tmb_seen *seen, tmb_bytes key, uint64_t number);

/* tmb_seen_holes gives the holes of key, NULL when there are none; borrowed until the next call.
 * tmb_seen_restore makes an entry as it was. Errors: TMB_ENOMEM. */
const tmb_holes *tmb_seen_holes(const tmb_seen *seen, tmb_bytes key);
TMB_MUST_USE tmb_err tmb_seen_restore(tmb_seen *seen, tmb_bytes key, uint64_t number,
                                      const tmb_holes *holes);

size_t tmb_seen_count(const tmb_seen *seen);
uint64_t tmb_seen_forgotten(const tmb_seen *seen);

/* tmb_seen_settle says that all numbers so far are of a life before; tmb_seen_base gives the highest of
 * those of key, 0 when there is none. */
void tmb_seen_settle(tmb_seen *seen);
uint64_t tmb_seen_base(const tmb_seen *seen, tmb_bytes key);

/* tmb_seen_note_unstored: number was seen, and is in no log. tmb_seen_unstored gives the highest of those of
 * key since the start, 0 when there is none. */
void tmb_seen_note_unstored(tmb_seen *seen, tmb_bytes key, uint64_t number);
uint64_t tmb_seen_unstored(const tmb_seen *seen, tmb_bytes key);

/* tmb_seen_each visits all entries, the one not heard of for longest first. */
void tmb_seen_each(const tmb_seen *seen, void (*visit)(void *arg, tmb_bytes key, uint64_t number),
                   void *arg);

#ifdef __cplusplus
}
#endif
#endif
