// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/budget.c - see broker-plugin/budget.h. */
#include "broker-plugin/budget.h"

#define PAID_IN (100 / TMB_SNAPSHOT_BUSY_PERCENT)
/* So that no product leaves its range; a snapshot of an hour is a mistake in measuring. */
#define COST_NS_MAX INT64_C(3600000000000)

void tmb_budget_spend(tmb_budget *budget, int64_t cost_ns, tmb_mono now)
{
    int64_t cost = cost_ns < 0 ? 0 : cost_ns > COST_NS_MAX ? COST_NS_MAX : cost_ns;
    tmb_dur wait = {cost * PAID_IN};
    budget->last_ns = cost;
    budget->all_ns += cost;
    if (cost > budget->worst_ns)
        budget->worst_ns = cost;
    budget->last_at = now;
    tmb_mono from = budget->free_at.ns > now.ns ? budget->free_at : now;
    budget->free_at = tmb_mono_after(from, wait);
}

bool tmb_budget_allows(const tmb_budget *budget, bool is_wish, tmb_mono now)
{
    if (budget->last_at.ns > 0 &&
        !tmb_mono_is_due(tmb_mono_after(budget->last_at, tmb_dur_ms(TMB_SNAPSHOT_GAP_MS)), now))
        return false;
    tmb_dur early = {is_wish ? budget->last_ns * PAID_IN : 0};
    return tmb_mono_is_due(budget->free_at, tmb_mono_after(now, early));
}
