// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/hold.h - what the broker answers to a client, kept back until somebody says it may go.
 *
 * The broker writes an ack into the client's socket at once and no plugin can delay it. So the socket is
 * swapped: one end of a socket pair takes its number, what the broker writes lands in the pair, and at the
 * release it is sent through the real socket, which then gets its number back:
 *
 *   take      real = dup(fd); dup3(outer -> fd)    broker: write(fd, PUBACK) -> pair; read(fd) -> EAGAIN
 *   release   inner -> real;  dup3(real -> fd)     cut: the pair is thrown away, real is shut down
 *
 * Killed in between, nothing of it has left. TLS is no different: its records are made above the number.
 * The broker's epoll watches the real socket all the while (it knows files, not numbers), so a taken client
 * that sends makes it spin: let go soon. What is held is never put before or after other bytes of the same
 * connection; when that cannot be kept, the connection is shut down.
 *
 * Only a client whose socket has refused nothing may be taken: the broker would else turn its interest in
 * writing on or off at the wrong file. An epoll of our own, edge-triggered, tells of every refusal since.
 * Names: a client is the broker's struct mosquitto, of which the first two ints are read, ident and sock
 * (true of 2.0 and 2.1); they are checked against what the system says of that socket.
 * Source: epoll(7), "Will closing a file descriptor cause it to be removed"; tcp(7); unix(7).
 * Threads: the broker's. Cost: some eight system calls a take and release, no allocation after a client's
 * first; memory 200 bytes a client, and two descriptors for each of the last TMB_HOLD_PAIRS_MAX, one more
 * while taken.
 */
#ifndef TMB_BROKER_PLUGIN_HOLD_H
#define TMB_BROKER_PLUGIN_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Clients held at a time, and never more than an eighth of the descriptors that the process may have. One
 * more: TMB_HOLD_FULL. */
#define TMB_HOLD_PAIRS_MAX 512
/* What the broker may be about to write to a held client; less when its socket has little room. More:
 * tmb_hold_note says so, before it is written. */
#define TMB_HOLD_BYTES_MAX (64u * 1024u)
/* More in a pair than it can hold, all the same (it cannot be seen coming): the connection is cut. Of a
 * subscriber: nobody from its address, the last such, is taken for a subscription for this long, so that its
 * client gets through. */
#define TMB_HOLD_PAUSE_MS 10000

/* The mark of those held for a subscription; the others are those of the streams, by their index. */
#define TMB_HOLD_MARK_SUBSCRIBE (UINT64_C(1) << 63)

typedef struct tmb_hold tmb_hold;

typedef enum tmb_hold_answer {
    TMB_HOLD_TAKEN = 0,
    TMB_HOLD_UNFIT, /* nothing was done: this client cannot be held now */
    TMB_HOLD_FULL   /* release others and ask again */
} tmb_hold_answer;

/* Rises only. */
typedef struct tmb_hold_counts {
    uint64_t taken;
    uint64_t unfit;
    uint64_t cut;      /* connections shut down, for whatever reason */
    uint64_t breaches; /* nothing in the pair at a release: the broker's answer went past it */
    uint64_t astray;   /* the number was no longer the pair's: what was held is gone, never sent */
} tmb_hold_counts;

/* tmb_hold_new makes one that holds at most pairs_max (0: as above). gives ret_hold.
 * Errors: TMB_ENOMEM, TMB_EIO (no epoll): go on without. */
TMB_MUST_USE tmb_err tmb_hold_new(unsigned pairs_max, tmb_hold **ret_hold);
/* tmb_hold_free throws away what is held; the numbers are given back where they are still ours. */
void tmb_hold_free(tmb_hold *hold);

/* tmb_hold_take holds client from here on, for the reasons in marks (bits, the caller's); one that is held
 * already gets more of them. Full also when it has no room for one more answer. address: the peer's, as the
 * broker knows it; NULL: unfit. */
TMB_MUST_USE tmb_hold_answer tmb_hold_take(tmb_hold *hold, const void *client, const char *address,
                                           uint64_t marks);

/* tmb_hold_linger gives the numbers back and keeps what is held until a later release, so that the broker
 * reads more and one sync serves more: if half of those held have sent more already (the next round then
 * comes at once), and all of them only publish, in plain TCP. The broker's answers to other packets may then
 * overtake acks; a client whose socket has refused one of them is cut at the release. false: nothing is
 * done. */
TMB_MUST_USE bool tmb_hold_linger(tmb_hold *hold);

/* How many are held now, and whether any of them has one of marks. */
unsigned tmb_hold_count(const tmb_hold *hold);
bool tmb_hold_has(const tmb_hold *hold, uint64_t marks);

/* tmb_hold_note: the broker may be about to write bytes to client. false: it is held, and has no room for
 * that, or it lingers: release it first. */
TMB_MUST_USE bool tmb_hold_note(tmb_hold *hold, const void *client, size_t bytes);

/* tmb_hold_note_more: the same, of bytes that go into the packet with others: a SUBACK's codes. */
TMB_MUST_USE bool tmb_hold_note_more(tmb_hold *hold, const void *client, size_t bytes);

/* tmb_hold_release takes marks off all that are held, and releases those that have none left. The broker must
 * have answered each by now: an empty pair is a breach. */
void tmb_hold_release(tmb_hold *hold, uint64_t marks);

/* tmb_hold_release_early releases client and all that have half their room filled, whatever their marks and
 * whether answered or not. Gives how many of them had one of marks. They are not taken for a subscription
 * again in this round. */
unsigned tmb_hold_release_early(tmb_hold *hold, const void *client, uint64_t marks);
/* tmb_hold_release_early_all takes marks off all, as tmb_hold_release does, answered or not. Gives how many
 * are released. */
unsigned tmb_hold_release_early_all(tmb_hold *hold, uint64_t marks);

/* tmb_hold_release_readable releases those with one of marks from which there is something to read. Gives how
 * many. */
unsigned tmb_hold_release_readable(tmb_hold *hold, uint64_t marks);

/* tmb_hold_cut throws away what those with one of marks got, and shuts their connections down. */
void tmb_hold_cut(tmb_hold *hold, uint64_t marks);

/* tmb_hold_leave: the broker is about to close the connection. Releases it (is_good: what is held is sent,
 * but never to one held for a subscription: no snapshot has that yet) and forgets the client. Must be called
 * for each that ever was taken. */
bool tmb_hold_is_held(const tmb_hold *hold, const void *client);
void tmb_hold_leave(tmb_hold *hold, const void *client, bool is_good);

/* tmb_hold_tick: a round of the broker's loop has ended. */
void tmb_hold_tick(tmb_hold *hold, tmb_mono now);

const tmb_hold_counts *tmb_hold_counts_get(const tmb_hold *hold);

#ifdef __cplusplus
}
#endif
#endif
