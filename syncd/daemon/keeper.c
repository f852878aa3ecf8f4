// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/keeper.c - see keeper.h.
 *
 *   idle --told something new--> writing --done--> pausing --timer--> idle, or writing again
 */
#include "syncd/daemon/keeper.h"

#include <stdlib.h>

#include "syncd/daemon/log.h"

struct tmb_keeper {
    tmb_daemon *daemon;
    uv_timer_t pause;
    uv_work_t work;
    bool is_writing, is_stopping;
    bool is_due;      /* the file is not as wanted */
    uv_mutex_t mutex; /* of the file and, while is_writing, of `writing` and `is_none` */
    bool is_none, is_none_wanted; /* being written, wanted: no file */
    tmb_marks writing, wanted;
    tmb_err err, last_err;
    uint64_t writes, failures;
};

static void pump(tmb_keeper *keeper);

tmb_err tmb_keeper_new(tmb_daemon *d, tmb_keeper **ret_keeper)
{
    tmb_keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper)
        return TMB_ENOMEM;
    if (uv_mutex_init(&keeper->mutex) != 0) {
        free(keeper);
        return TMB_ENOMEM;
    }
    keeper->daemon = d;
    (void)uv_timer_init(&d->loop, &keeper->pause);
    keeper->pause.data = keeper;
    *ret_keeper = keeper;
    return TMB_OK;
}

/* Blocking. */
static void write_file(tmb_keeper *keeper)
{
    const char *folder = keeper->daemon->config->data_dir;
    uv_mutex_lock(&keeper->mutex);
    keeper->err = keeper->is_none ? tmb_marks_forget(NULL, folder)
                                  : tmb_marks_write(NULL, folder, &keeper->writing, false);
    uv_mutex_unlock(&keeper->mutex);
}

static void do_write(uv_work_t *work)
{
    write_file(work->data);
}

static void on_pause(uv_timer_t *timer)
{
    pump(timer->data);
}

static void on_written(uv_work_t *work, int status)
{
    tmb_keeper *keeper = work->data;
    (void)status;
    keeper->is_writing = false;
    keeper->writes += keeper->err == TMB_OK;
    keeper->failures += keeper->err != TMB_OK;
    if (keeper->err != TMB_OK) {
        keeper->is_due = true;
        if (keeper->err != keeper->last_err)
            LOG(TMB_LOG_WARNING, "marks.not_written",
                tmb_str("folder", keeper->daemon->config->data_dir), tmb_why(keeper->err),
                tmb_str("then", "receipts of the parent wait; it is tried again each second"));
    } else if (keeper->last_err != TMB_OK) {
        LOG(TMB_LOG_NOTICE, "marks.written_again",
            tmb_str("folder", keeper->daemon->config->data_dir));
    }
    keeper->last_err = keeper->err;
    if (keeper->is_stopping)
        return;
    (void)uv_timer_start(&keeper->pause, on_pause,
                         keeper->err == TMB_OK ? TMB_KEEPER_PAUSE_MS : TMB_KEEPER_RETRY_MS, 0);
}

static void take_wanted(tmb_keeper *keeper)
{
    keeper->is_due = false;
    keeper->is_none = keeper->is_none_wanted;
    keeper->writing = keeper->wanted;
}

static void pump(tmb_keeper *keeper)
{
    if (!keeper->is_due || keeper->is_writing || keeper->is_stopping ||
        uv_is_active((uv_handle_t *)&keeper->pause))
        return;
    take_wanted(keeper);
    keeper->is_writing = true;
    keeper->work.data = keeper;
    (void)uv_queue_work(&keeper->daemon->loop, &keeper->work, do_write, on_written);
}

void tmb_keeper_tell(tmb_keeper *keeper, const tmb_marks *marks)
{
    keeper->is_none_wanted = !marks;
    if (marks)
        keeper->wanted = *marks;
    keeper->is_due = true;
    pump(keeper);
}

void tmb_keeper_save_gap(tmb_keeper *keeper, const tmb_marks *marks)
{
    const char *folder = keeper->daemon->config->data_dir;
    keeper->is_none_wanted = false;
    keeper->wanted = *marks;
    uv_mutex_lock(&keeper->mutex); /* a write that the pool has yet to begin says this, too */
    keeper->is_none = false;
    keeper->writing = *marks;
    tmb_err err = tmb_marks_write(NULL, folder, marks, true);
    if (err != TMB_OK && tmb_marks_forget(NULL, folder) != TMB_OK)
        LOG(TMB_LOG_ERROR, "marks.gap_not_kept", tmb_str("folder", folder), tmb_why(err),
            tmb_str("then", "should the daemon be killed now, receipts and verify will take the "
                            "missing records for carried up"));
    uv_mutex_unlock(&keeper->mutex);
    keeper->writes += err == TMB_OK;
    keeper->failures += err != TMB_OK;
    keeper->is_due = err != TMB_OK;
    pump(keeper);
}

void tmb_keeper_stop(tmb_keeper *keeper)
{
    if (!keeper || keeper->is_stopping)
        return;
    keeper->is_stopping = true;
    uv_close((uv_handle_t *)&keeper->pause, NULL);
}

void tmb_keeper_free(tmb_keeper *keeper)
{
    if (!keeper)
        return;
    if (keeper->is_due) {
        take_wanted(keeper);
        write_file(keeper);
    }
    uv_mutex_destroy(&keeper->mutex);
    free(keeper);
}

void tmb_keeper_stats(const tmb_keeper *keeper, json_t *object)
{
    (void)json_object_set_new(object, "marks_written", json_integer((json_int_t)keeper->writes));
    (void)json_object_set_new(object, "mark_failures", json_integer((json_int_t)keeper->failures));
}
