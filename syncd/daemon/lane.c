// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/lane.c - looks and loads in libuv's pool, one of each at a time.
 *
 *   watching --log changed--> looking --done--> (the uplink tells the session, and arms the watch again)
 *
 * The descriptor is not polled while a look is under way: it would fire for what the look is about to see.
 */
#include "syncd/daemon/lane.h"

#include <stdlib.h>

#include "syncd/daemon/log.h"

tmb_err tmb_lane_open(tmb_lane *lane)
{
    tmb_err err = tmb_tail_open(lane->daemon->journal_root, lane->stream, NULL, &lane->watch);
    if (err == TMB_OK)
        err = tmb_loader_open(lane->daemon->journal_root, lane->daemon->config->data_dir,
                              lane->stream, lane->name, NULL, &lane->loader);
    if (err != TMB_OK)
        return err;
    (void)uv_timer_init(&lane->daemon->loop, &lane->linger);
    lane->linger.data = lane;
    lane->has_linger = true;
    int fd = tmb_tail_watch_fd(lane->watch);
    if (fd >= 0 && uv_poll_init(&lane->daemon->loop, &lane->poll, fd) == 0) {
        lane->has_poll = true;
        lane->poll.data = lane;
    }
    return TMB_OK;
}

void tmb_lane_stop(tmb_lane *lane)
{
    lane->is_stopping = true;
    if (lane->has_linger)
        uv_close((uv_handle_t *)&lane->linger, NULL);
    lane->has_linger = false;
    if (lane->has_poll) {
        (void)uv_poll_stop(&lane->poll);
        uv_close((uv_handle_t *)&lane->poll, NULL);
        lane->has_poll = false;
    }
}

void tmb_lane_close(tmb_lane *lane)
{
    tmb_tail_close(lane->watch);
    tmb_loader_close(lane->loader);
    tmb_load_free(lane->load);
    lane->watch = NULL;
    lane->loader = NULL;
    lane->load = NULL;
}

/* A tail that reads keeps what it leaves open until it is synced, deleted segments too; this one is about to
 * sync nothing, so it goes as soon as it knows. */
static tmb_hlc find_stamp(const tmb_lane *lane, uint64_t seq)
{
    tmb_hlc stamp = {0};
    tmb_tail *tail = NULL;
    tmb_record record;
    tmb_tail_gap gap;
    tmb_err err = tmb_tail_open(lane->daemon->journal_root, lane->stream, NULL, &tail);
    if (err == TMB_OK)
        err = tmb_tail_seek(tail, seq);
    if (err == TMB_OK) {
        do {
            err = tmb_tail_next(tail, &record, &gap);
        } while (err == TMB_EGAP);
    }
    if (err == TMB_OK)
        stamp = record.stamp;
    tmb_tail_close(tail);
    return stamp;
}

/* Blocking. The cursor of the store is asked for once an incarnation. The range comes last, so that it is not
 * older than what a load has seen meanwhile. */
static void do_look(uv_work_t *work)
{
    tmb_lane *lane = work->data;
    tmb_look *look = &lane->look;
    look->stamp.u64 = 0;
    if (look->stamp_seq != 0)
        look->stamp = find_stamp(lane, look->stamp_seq);
    tmb_tail_watch_clear(lane->watch);
    look->err = tmb_tail_range(lane->watch, &look->first_seq, &look->last_seq, &look->incarnation);
    look->is_of_another =
        look->err == TMB_OK && strcmp(tmb_tail_node(lane->watch), lane->daemon->config->node) != 0;
    if (look->is_of_another)
        look->err = TMB_EDENIED;
    if (look->err != TMB_OK)
        return;
    bool is_new = !lane->is_known || !tmb_incarnation_eq(look->incarnation, lane->incarnation);
    look->cursor = 0;
    if (is_new && lane->daemon->store &&
        tmb_store_cursor_get(lane->daemon->store, &look->incarnation, tmb_bytes_str(lane->name),
                             &look->cursor) != TMB_OK)
        look->cursor = 0;
}

/* Which of the open range has gone before this process began is not known: any of it that there is. */
static void begin_live(tmb_lane *lane, const tmb_look *look)
{
    tmb_live_range range;
    if (!lane->ahead)
        return;
    tmb_ahead_begin(lane->ahead, &look->incarnation);
    lane->sent_last = 0;
    if (tmb_ahead_last(lane->ahead, lane->stream, &range))
        lane->sent_last = range.last < look->last_seq ? range.last : look->last_seq;
}

/* Is less in the log than there was? A load that came back meanwhile may have read what was not there yet. */
static bool is_outdated(const tmb_lane *lane)
{
    const tmb_look *look = &lane->look;
    return look->err == TMB_OK && lane->is_known && look->last_seq < lane->last_seq &&
           look->loads != lane->loads && tmb_incarnation_eq(look->incarnation, lane->incarnation);
}

static void on_looked(uv_work_t *work, int status)
{
    tmb_lane *lane = work->data;
    tmb_look *look = &lane->look;
    (void)status;
    lane->is_looking = false;
    if (lane->is_stopping)
        return;
    if (is_outdated(lane)) {
        tmb_lane_look(lane, look->stamp_seq);
        return;
    }
    if (look->err == TMB_OK) {
        bool is_new = !lane->is_known || !tmb_incarnation_eq(look->incarnation, lane->incarnation);
        if (is_new) {
            lane->cursor = lane->cursor_put = look->cursor;
            lane->cursor_due = 0;
            lane->recent_count = 0;
            lane->oldest_seq = 0;
            begin_live(lane, look);
        }
        lane->is_known = true;
        lane->incarnation = look->incarnation;
        lane->first_seq = look->first_seq;
        lane->last_seq = look->last_seq;
        if (look->stamp.u64 != 0) {
            lane->oldest_seq = look->stamp_seq;
            lane->oldest_stamp = look->stamp;
        }
    } else if (look->err == TMB_EDENIED && look->err != lane->look_err && !look->is_of_another) {
        LOG(TMB_LOG_ERROR, "journal.not_readable", tmb_str("stream", lane->stream),
            tmb_str("folder", lane->daemon->journal_root), tmb_why(look->err),
            tmb_str("then", "nothing of it is sent; run the daemon as the broker's user, whose "
                            "the journal is"));
    } else if (look->err == TMB_EDENIED && look->err != lane->look_err) {
        LOG(TMB_LOG_ERROR, "journal.of_another_node", tmb_str("stream", lane->stream),
            tmb_str("node", lane->daemon->config->node),
            tmb_str("then",
                    "nothing of it is sent; correct `node` in the configuration, or move the "
                    "journal away to begin a new one"));
    } else if (look->err != TMB_ENOENT && look->err != lane->look_err) {
        LOG(TMB_LOG_WARNING, "journal.range_failed", tmb_str("stream", lane->stream),
            tmb_why(look->err));
    }
    lane->look_err = look->err;
    lane->looked(lane);
}

void tmb_lane_look(tmb_lane *lane, uint64_t stamp_seq)
{
    if (lane->is_stopping)
        return;
    if (lane->is_looking) {
        lane->has_news = true;
        return;
    }
    if (lane->has_poll && lane->is_polling) {
        (void)uv_poll_stop(&lane->poll);
        lane->is_polling = false;
    }
    lane->is_looking = true;
    lane->has_news = false;
    lane->look.stamp_seq = stamp_seq;
    lane->look.loads = lane->loads;
    lane->look.work.data = lane;
    (void)uv_queue_work(&lane->daemon->loop, &lane->look.work, do_look, on_looked);
}

static void on_changed(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    tmb_lane_look(poll->data, 0);
}

void tmb_lane_watch(tmb_lane *lane)
{
    if (lane->is_stopping || lane->is_looking || !lane->has_poll || lane->is_polling)
        return;
    lane->is_polling = uv_poll_start(&lane->poll, UV_READABLE, on_changed) == 0;
}

static void on_lingered(uv_timer_t *timer)
{
    tmb_lane_watch(timer->data);
}

void tmb_lane_watch_later(tmb_lane *lane)
{
    if (lane->is_stopping || uv_is_active((uv_handle_t *)&lane->linger))
        return;
    (void)uv_timer_start(&lane->linger, on_lingered, lane->linger_ms, 0);
}

static void do_load(uv_work_t *work)
{
    tmb_lane *lane = work->data;
    if (lane->ahead)
        tmb_ahead_read(lane->ahead, lane->stream, lane->is_live, lane->loader, lane->load);
    else
        tmb_loader_read(lane->loader, lane->load);
}

static void note_recent(tmb_lane *lane, const tmb_load *load)
{
    if (load->err != TMB_OK || load->batch.first_seq > load->batch.last_seq)
        return;
    if (lane->recent_count == TMB_LANE_RECENT_MAX) {
        lane->recent_count--;
        memmove(lane->recent, lane->recent + 1, lane->recent_count * sizeof lane->recent[0]);
    }
    tmb_lane_recent *recent = &lane->recent[lane->recent_count++];
    recent->first_seq = load->batch.first_seq;
    recent->last_seq = load->batch.last_seq;
    recent->stamp = load->first_stamp;
    recent->chain = load->chain;
}

/* A load may have read more than the last look saw; the log is not said to end before it then. */
static void note_end(tmb_lane *lane, const tmb_load *load)
{
    bool has_records = load->err == TMB_OK && load->batch.first_seq <= load->batch.last_seq;
    if (!has_records || !tmb_incarnation_eq(load->incarnation, lane->incarnation))
        return;
    lane->loads++;
    if (load->batch.last_seq > lane->last_seq)
        lane->last_seq = load->batch.last_seq;
}

static void on_loaded(uv_work_t *work, int status)
{
    tmb_lane *lane = work->data;
    tmb_load *load = lane->load;
    (void)status;
    lane->load = NULL;
    note_end(lane, load);
    lane->damaged_ranges += load->damaged_ranges;
    lane->damaged_bytes += load->damaged_bytes;
    note_recent(lane, load);
    if (lane->is_stopping)
        tmb_load_free(load);
    else
        lane->loaded(lane, load);
}

void tmb_lane_load(tmb_lane *lane, tmb_load *load)
{
    TMB_ASSERT(!lane->load); /* the session asks for one at a time */
    lane->load = load;
    load->log_last = lane->last_seq;
    lane->load_work.data = lane;
    (void)uv_queue_work(&lane->daemon->loop, &lane->load_work, do_load, on_loaded);
}

static void do_put(uv_work_t *work)
{
    tmb_lane *lane = work->data;
    lane->put_err = tmb_store_cursor_put(lane->daemon->store, &lane->put_incarnation,
                                         tmb_bytes_str(lane->name), lane->putting);
}

static void on_put(uv_work_t *work, int status)
{
    tmb_lane *lane = work->data;
    (void)status;
    lane->is_putting = false;
    if (lane->put_err == TMB_OK && lane->cursor_put < lane->putting)
        lane->cursor_put = lane->putting;
}

void tmb_lane_keep_cursor(tmb_lane *lane)
{
    if (!lane->daemon->store || lane->is_putting || lane->is_stopping || !lane->is_known ||
        lane->cursor_due <= lane->cursor_put)
        return;
    lane->is_putting = true;
    lane->putting = lane->cursor_due;
    lane->put_incarnation = lane->incarnation;
    lane->put_work.data = lane;
    (void)uv_queue_work(&lane->daemon->loop, &lane->put_work, do_put, on_put);
}

tmb_chain tmb_lane_chain(const tmb_lane *lane, uint64_t seq)
{
    tmb_chain chain = {.seq = seq};
    for (unsigned i = 0; i < lane->recent_count; i++) {
        if (lane->recent[i].chain.is_known && lane->recent[i].chain.seq == seq)
            chain = lane->recent[i].chain;
    }
    return chain;
}

tmb_hlc tmb_lane_oldest(const tmb_lane *lane, uint64_t seq)
{
    tmb_hlc stamp = {0};
    for (unsigned i = 0; i < lane->recent_count; i++) {
        if (lane->recent[i].first_seq <= seq && seq <= lane->recent[i].last_seq)
            return lane->recent[i].stamp;
    }
    return lane->oldest_seq == seq ? lane->oldest_stamp : stamp;
}
