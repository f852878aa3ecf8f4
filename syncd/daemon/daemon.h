// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/daemon.h - what the rooms of the daemon share: the loop, the configuration, the store.
 *
 *   main.c     arguments, start, signals, end
 *   uplink.c   towards the parent: session machine, tails, link         loader.c   log -> packed batch
 *   hub.c      from the children: intake machines, own broker's link    commit.c   batch -> commit message
 *   state.c    state that merges: operations, values, neighbours        state_*.c
 *   links.c    what its connections have in common                      log.c, notify.c
 *   stats.c    what can be seen from outside
 *
 * One loop; whatever may wait for a disk is done in libuv's pool, and comes back as an event of a machine.
 * Threads: the loop's, but where a function says "blocking": those run in the pool.
 */
#ifndef TMB_SYNCD_DAEMON_DAEMON_H
#define TMB_SYNCD_DAEMON_DAEMON_H

#include <uv.h>

#include "base/time.h"
#include "config/config.h"
#include "syncd/store/store.h"

struct tmb_uplink;
struct tmb_hub;
struct tmb_stats;
struct tmb_asks;
struct tmb_state;

typedef struct tmb_daemon {
    uv_loop_t loop;
    const tmb_config *config;
    char *journal_root;
    tmb_store *store; /* NULL: could not be opened; marks are 0 then, at the price of repeats */
    uint64_t boots;   /* this start's count; 0: it could not be counted */
    uint64_t salt;    /* differs between starts: the count, or random when there is none */
    struct tmb_uplink *uplink; /* NULL: no parent */
    struct tmb_hub *hub;       /* NULL: no children */
    struct tmb_asks *asks;     /* questions of hub to whom uplink leads */
    struct tmb_state *state;   /* NULL: no scopes of state */
    struct tmb_stats *stats;
} tmb_daemon;

static inline tmb_mono tmb_daemon_now(void)
{
    tmb_mono now = {(int64_t)uv_hrtime()};
    return now;
}

static inline uint64_t tmb_ms_until(tmb_mono deadline, tmb_mono now)
{
    if (deadline.ns <= now.ns)
        return 0;
    return (uint64_t)((deadline.ns - now.ns + 999999) / 1000000);
}

/* tmb_daemon_seed mixes the node's name, what differs between starts and what it is for; never the time. */
uint64_t tmb_daemon_seed(const tmb_daemon *d, uint64_t what);

#endif
