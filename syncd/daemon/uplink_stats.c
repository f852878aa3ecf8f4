// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/uplink_stats.c - what can be seen of the uplink from outside. */
#include "syncd/daemon/uplink_inside.h"

#include <time.h>

#include "syncd/daemon/credits.h"
#include "syncd/daemon/pair.h"

uint64_t tmb_uplink_first_waiting(const tmb_uplink *u, const tmb_lane *lane)
{
    uint64_t acked = u->session.lanes[lane->index].acked;
    uint64_t have = acked > lane->cursor ? acked : lane->cursor;
    return lane->is_known ? tmb_pair_first_waiting(lane, &u->session, have) : 0;
}

static json_t *lane_stats(const tmb_uplink *u, const tmb_lane *lane)
{
    uint64_t first = tmb_uplink_first_waiting(u, lane), acked = u->session.lanes[lane->index].acked;
    uint64_t age_ms = 0, begin = 0, end = 0;
    tmb_hlc stamp = tmb_lane_oldest(lane, first);
    tmb_pair_range(lane, &u->session, &begin, &end);
    if (first != 0 && stamp.u64 != 0) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
        int64_t age = now_ms - tmb_hlc_wall(stamp).ms;
        age_ms = age > 0 ? (uint64_t)age : 0;
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "last_seq", (json_int_t)end, "acked",
                     (json_int_t)(acked > lane->cursor ? acked : lane->cursor), "waiting",
                     (json_int_t)(first != 0 ? end - first + 1 : 0), "oldest_waiting_age_ms",
                     (json_int_t)age_ms, "damaged_ranges", (json_int_t)lane->damaged_ranges,
                     "damaged_bytes", (json_int_t)lane->damaged_bytes);
}

void tmb_uplink_stats(const tmb_uplink *u, json_t *object)
{
    uint64_t out = 0, in = 0;
    if (u->link)
        tmb_link_bytes(u->link, &out, &in);
    json_t *streams = json_object(), *gaps = json_object();
    for (unsigned i = 0; i < u->lanes_count; i++)
        (void)json_object_set_new(streams, u->lanes[i].name, lane_stats(u, &u->lanes[i]));
    for (unsigned i = TMB_GAP_TORN; i <= TMB_GAP_MISSING; i++)
        (void)json_object_set_new(gaps, tmb_gap_reason_str((tmb_gap_reason)i),
                                  json_integer((json_int_t)u->gaps[i]));
    (void)json_object_set_new(object, "state",
                              json_string(tmb_session_state_str(u->session.state)));
    (void)json_object_set_new(object, "fenced", tmb_fence_stats(&u->fence));
    (void)json_object_set_new(object, "streams", streams);
    (void)json_object_set_new(object, "gaps", gaps);
    (void)json_object_set_new(object, "link",
                              json_pack("{s:I, s:I, s:I, s:s}", "bytes_out",
                                        (json_int_t)(u->bytes_out + out), "bytes_in",
                                        (json_int_t)(u->bytes_in + in), "dials",
                                        (json_int_t)u->dials, "down_why", u->last_why));
    (void)json_object_set_new(object, "return",
                              json_pack("{s:I, s:I, s:I, s:I}", "window_ms",
                                        (json_int_t)(u->session.back.window.ns / 1000000),
                                        "refusals", (json_int_t)u->refusals, "slots",
                                        (json_int_t)u->session.back.slots, "budget_waits",
                                        (json_int_t)u->session.back.budget_spent));
    tmb_keeper_stats(u->keeper, object);
    tmb_chooser_stats(u->chooser, object);
    tmb_line_stats(&u->line, &u->session.pace, object);
    tmb_ahead_stats(u->ahead, object);
    (void)json_object_set_new(object, "batches", json_integer((json_int_t)u->batches));
    (void)json_object_set_new(object, "records", json_integer((json_int_t)u->records));
    (void)json_object_set_new(object, "raw_bytes", json_integer((json_int_t)u->raw_bytes));
    (void)json_object_set_new(object, "credit", tmb_credits_uplink_stats(&u->session.credit));
    (void)json_object_set_new(object, "packed_bytes", json_integer((json_int_t)u->packed_bytes));
    (void)json_object_set_new(object, "dictionaries", json_integer((json_int_t)u->told.sent));
    (void)json_object_set_new(object, "batches_with_dictionary",
                              json_integer((json_int_t)u->told.batches));
    (void)json_object_set_new(object, "resends", json_integer((json_int_t)u->resends));
    (void)json_object_set_new(object, "timeouts", json_integer((json_int_t)u->timeouts));
}
