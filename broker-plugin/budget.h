// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/budget.h - what snapshots may cost: while the broker writes one it serves nobody.
 *
 *   snapshot, 300 ms                 snapshot, 300 ms
 *   |##|-------- 20 x 300 ms = 6 s --------|##|----
 *       \_ a wish (a new subscription of a lasting session): at once, but what it spends is waited for too
 *
 * Snapshots together take at most TMB_SNAPSHOT_BUSY_PERCENT of the time: each puts off the next by its own
 * cost times 100 / TMB_SNAPSHOT_BUSY_PERCENT. A wish may come one snapshot early, so that a subscription
 * seldom waits; over a time t all cost at most that percentage of t, and two snapshots. Source: the virtual
 * scheduling form of the generic cell rate algorithm, ITU-T I.371, annex A. Threads: none, values. Cost: a
 * comparison.
 */
#ifndef TMB_BROKER_PLUGIN_BUDGET_H
#define TMB_BROKER_PLUGIN_BUDGET_H

#include <stdbool.h>

#include "base/time.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_SNAPSHOT_BUSY_PERCENT 5
/* From the end of one snapshot to the asking for the next at least, however little it cost. */
#define TMB_SNAPSHOT_GAP_MS 20

typedef struct tmb_budget {
    int64_t last_ns, worst_ns, all_ns; /* what the last snapshot cost, the dearest, and all */
    tmb_mono last_at;                  /* its end */
    tmb_mono free_at;                  /* when all so far is paid for */
} tmb_budget;

/* tmb_budget_spend takes in a snapshot that ended at now and held the broker up for cost_ns (below 0: 0). */
void tmb_budget_spend(tmb_budget *budget, int64_t cost_ns, tmb_mono now);

/* tmb_budget_allows says whether the next snapshot may be asked for. */
bool tmb_budget_allows(const tmb_budget *budget, bool is_wish, tmb_mono now);

#ifdef __cplusplus
}
#endif
#endif
