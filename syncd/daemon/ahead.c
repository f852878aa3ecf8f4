// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/ahead.c - see ahead.h.
 *
 * A load that meets the end of its lane's part with nothing to send goes on behind the other lane's: a gap
 * travels with a record, and that record may be there.
 */
#include "syncd/daemon/ahead.h"

#include <stdlib.h>

#include "syncd/daemon/log.h"

struct tmb_ahead {
    const tmb_daemon *daemon;
    uv_mutex_t mutex;
    tmb_live live;
    tmb_err last_err; /* of the last write: logged once */
    uint64_t jumps, failures, damaged, limited;
};

static const char *folder_of(const tmb_ahead *ahead)
{
    return ahead->daemon->config->data_dir;
}

tmb_err tmb_ahead_new(const tmb_daemon *d, tmb_ahead **ret_ahead)
{
    tmb_ahead *ahead = calloc(1, sizeof *ahead);
    if (!ahead)
        return TMB_ENOMEM;
    if (uv_mutex_init(&ahead->mutex) != 0) {
        free(ahead);
        return TMB_ENOMEM;
    }
    ahead->daemon = d;
    tmb_err err = tmb_live_read(NULL, folder_of(ahead), &ahead->live);
    bool is_of_another = err == TMB_OK && strcmp(ahead->live.node, d->config->node) != 0;
    if (is_of_another || (err != TMB_OK && err != TMB_ENOENT)) {
        ahead->damaged++;
        LOG(TMB_LOG_ERROR, "live.unreadable", tmb_str("folder", folder_of(ahead)),
            tmb_str("file", TMB_LIVE_FILE), tmb_why(is_of_another ? TMB_EDENIED : err),
            tmb_str("then",
                    "streams with live_first are carried up in order from the parent's marks: "
                    "nothing is lost, what had gone ahead may arrive a second time"));
    }
    if (is_of_another || err != TMB_OK) {
        size_t len = strlen(d->config->node);
        memset(&ahead->live, 0, sizeof ahead->live);
        memcpy(ahead->live.node, d->config->node, len);
    }
    *ret_ahead = ahead;
    return TMB_OK;
}

void tmb_ahead_free(tmb_ahead *ahead)
{
    if (!ahead)
        return;
    uv_mutex_destroy(&ahead->mutex);
    free(ahead);
}

void tmb_ahead_begin(tmb_ahead *ahead, const tmb_incarnation *incarnation)
{
    uv_mutex_lock(&ahead->mutex);
    if (!tmb_incarnation_eq(ahead->live.incarnation, *incarnation)) {
        ahead->live.ranges_count = 0;
        ahead->live.incarnation = *incarnation;
    }
    uv_mutex_unlock(&ahead->mutex);
}

bool tmb_ahead_last(tmb_ahead *ahead, const char *stream, tmb_live_range *ret_range)
{
    uv_mutex_lock(&ahead->mutex);
    const tmb_live_range *last =
        tmb_live_last(ahead->live.ranges, ahead->live.ranges_count, stream);
    if (last)
        *ret_range = *last;
    uv_mutex_unlock(&ahead->mutex);
    return last != NULL;
}

bool tmb_ahead_part(tmb_ahead *ahead, const char *stream, bool is_live, uint64_t seq,
                    uint64_t *ret_first, uint64_t *ret_last)
{
    uv_mutex_lock(&ahead->mutex);
    bool is_there = tmb_live_part(ahead->live.ranges, ahead->live.ranges_count, stream, is_live,
                                  seq, ret_first, ret_last);
    uv_mutex_unlock(&ahead->mutex);
    return is_there;
}

/* With the lock held. What is on the disk is what is in memory, or nothing has changed. */
static bool keep(tmb_ahead *ahead, const tmb_live *wanted)
{
    tmb_err err = tmb_live_write(NULL, folder_of(ahead), wanted);
    if (err == TMB_OK)
        ahead->live = *wanted;
    else
        ahead->failures++;
    if (err != ahead->last_err && err != TMB_OK)
        LOG(TMB_LOG_ERROR, "live.not_written", tmb_str("folder", folder_of(ahead)),
            tmb_str("file", TMB_LIVE_FILE), tmb_why(err),
            tmb_str("then", "nothing goes ahead of a backlog until it can be; it is tried again"));
    else if (err != ahead->last_err)
        LOG(TMB_LOG_NOTICE, "live.written_again", tmb_str("folder", folder_of(ahead)));
    ahead->last_err = err;
    return err == TMB_OK;
}

bool tmb_ahead_jump(tmb_ahead *ahead, const char *stream, uint64_t close, uint64_t first,
                    uint64_t forget)
{
    uv_mutex_lock(&ahead->mutex);
    tmb_live wanted = ahead->live;
    bool has_room = tmb_live_jump(&wanted, stream, close, first);
    if (!has_room) {
        tmb_live_forget(&wanted, stream, forget);
        has_room = tmb_live_jump(&wanted, stream, close, first);
    }
    bool is_kept = has_room && keep(ahead, &wanted);
    ahead->jumps += is_kept;
    ahead->limited += !has_room;
    uv_mutex_unlock(&ahead->mutex);
    if (!has_room)
        LOG(TMB_LOG_WARNING, "live.too_many_ranges", tmb_str("stream", stream),
            tmb_num("ranges", TMB_LIVE_RANGES_MAX),
            tmb_str("then",
                    "what is new goes up behind what waits, until the oldest backlog is up"));
    return is_kept;
}

/* The open range is on the disk beyond log_last before anything of it is loaded. */
static tmb_err reserve(tmb_ahead *ahead, const char *stream, uint64_t log_last)
{
    tmb_err err = TMB_OK;
    uv_mutex_lock(&ahead->mutex);
    const tmb_live_range *last =
        tmb_live_last(ahead->live.ranges, ahead->live.ranges_count, stream);
    if (last && last->last < log_last) {
        tmb_live wanted = ahead->live;
        tmb_live_grow(&wanted, stream, log_last + TMB_LIVE_CHUNK);
        if (!keep(ahead, &wanted))
            err = ahead->last_err;
    }
    uv_mutex_unlock(&ahead->mutex);
    return err;
}

/* One part: false when nothing in it is to be sent and there may be more behind it. */
static bool read_part(tmb_loader *loader, tmb_load *load, uint64_t first, uint64_t last,
                      tmb_gap_reason *lost)
{
    load->seq = first;
    load->seq_max = last;
    load->batch.gap_first = 0;
    load->batch.gap_reason = TMB_GAP_NONE;
    tmb_loader_read(loader, load);
    if (load->err != TMB_OK)
        return true;
    if (load->batch.gap_first != 0 && (*lost == TMB_GAP_NONE || *lost == TMB_GAP_TORN))
        *lost = load->batch.gap_reason;
    return load->batch.first_seq <= load->batch.last_seq || load->batch.first_seq <= last;
}

void tmb_ahead_read(tmb_ahead *ahead, const char *stream, bool is_live, tmb_loader *loader,
                    tmb_load *load)
{
    uint64_t asked = load->seq, first = 0, last = 0;
    tmb_gap_reason lost = TMB_GAP_NONE;
    if (is_live)
        load->err = reserve(ahead, stream, load->log_last);
    if (load->err != TMB_OK)
        return;
    if (!tmb_ahead_part(ahead, stream, is_live, asked, &first, &last)) {
        load->batch.incarnation =
            load->incarnation; /* nothing is of this lane: it waits for news */
        load->batch.last_seq = load->log_last >= asked ? load->log_last : asked - 1;
        load->batch.first_seq = load->batch.last_seq + 1;
        return;
    }
    while (!read_part(loader, load, first, last, &lost)) {
        if (last >= load->log_last ||
            !tmb_ahead_part(ahead, stream, is_live, last + 1, &first, &last))
            break;
    }
    load->seq = asked;
    if (load->err != TMB_OK || load->batch.first_seq == asked)
        return;
    load->batch.gap_first = asked;
    load->batch.gap_reason = lost != TMB_GAP_NONE ? lost : is_live ? TMB_GAP_LATER : TMB_GAP_AHEAD;
}

void tmb_ahead_copy(tmb_ahead *ahead, tmb_live *ret_live)
{
    uv_mutex_lock(&ahead->mutex);
    *ret_live = ahead->live;
    uv_mutex_unlock(&ahead->mutex);
}

void tmb_ahead_stats(tmb_ahead *ahead, json_t *object)
{
    uv_mutex_lock(&ahead->mutex);
    json_t *live =
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "ranges", (json_int_t)ahead->live.ranges_count,
                  "jumps", (json_int_t)ahead->jumps, "limited", (json_int_t)ahead->limited,
                  "failures", (json_int_t)ahead->failures, "damaged", (json_int_t)ahead->damaged);
    uv_mutex_unlock(&ahead->mutex);
    (void)json_object_set_new(object, "live", live);
}
