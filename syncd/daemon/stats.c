// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/stats.c - counters as JSON.
 */
#include "syncd/daemon/stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syncd/daemon/hub.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/state.h"
#include "syncd/daemon/uplink.h"

struct tmb_stats {
    tmb_daemon *daemon;
    char *path, *aside;
    char *told; /* as last written or being written */
    uv_work_t work;
    bool is_writing;
    int code, last_code; /* errno of the write, 0 */
};

tmb_err tmb_stats_new(tmb_daemon *d, tmb_stats **ret_stats)
{
    size_t cap = strlen(d->config->data_dir) + 24;
    tmb_stats *stats = calloc(1, sizeof *stats);
    if (!stats)
        return TMB_ENOMEM;
    stats->path = malloc(cap);
    stats->aside = malloc(cap);
    if (!stats->path || !stats->aside) {
        tmb_stats_free(stats);
        return TMB_ENOMEM;
    }
    (void)snprintf(stats->path, cap, "%s/syncd.json", d->config->data_dir);
    (void)snprintf(stats->aside, cap, "%s/syncd.json.new", d->config->data_dir);
    stats->daemon = d;
    *ret_stats = stats;
    return TMB_OK;
}

void tmb_stats_free(tmb_stats *stats)
{
    if (!stats)
        return;
    free(stats->path);
    free(stats->aside);
    free(stats->told);
    free(stats);
}

static char *make_text(const tmb_daemon *d)
{
    json_t *object = json_pack("{s:s, s:s, s:I}", "node", d->config->node, "version", TMB_VERSION,
                               "starts", (json_int_t)d->boots);
    if (!object)
        return NULL;
    if (d->uplink)
        tmb_uplink_stats(d->uplink, object);
    if (d->hub)
        tmb_hub_stats(d->hub, object);
    if (d->state)
        tmb_state_stats(d->state, object);
    if (d->store)
        (void)json_object_set_new(object, "store_resets",
                                  json_integer((json_int_t)tmb_store_resets(d->store)));
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

/* Blocking. */
static void write_file(tmb_stats *stats)
{
    FILE *out = fopen(stats->aside, "we");
    bool is_whole = out && fputs(stats->told, out) >= 0 && fputc('\n', out) != EOF;
    stats->code = is_whole ? 0 : errno;
    if (out && fclose(out) != 0 && stats->code == 0)
        stats->code = errno;
    if (stats->code == 0 && rename(stats->aside, stats->path) != 0)
        stats->code = errno;
}

static void do_write(uv_work_t *work)
{
    write_file(work->data);
}

static void on_written(uv_work_t *work, int status)
{
    tmb_stats *stats = work->data;
    (void)status;
    stats->is_writing = false;
    if (stats->code != stats->last_code && stats->code != 0)
        LOG(TMB_LOG_WARNING, "stats.not_written", tmb_str("file", stats->path),
            tmb_str("error", strerror(stats->code)));
    stats->last_code = stats->code;
}

/* true: stats->told is new. */
static bool look(tmb_stats *stats)
{
    char *text = make_text(stats->daemon);
    if (!text || (stats->told && strcmp(text, stats->told) == 0)) {
        free(text);
        return false;
    }
    free(stats->told);
    stats->told = text;
    return true;
}

void tmb_stats_tick(tmb_stats *stats)
{
    if (stats->is_writing || !look(stats))
        return;
    tmb_hub_publish_stats(stats->daemon->hub, stats->told);
    stats->is_writing = true;
    stats->work.data = stats;
    (void)uv_queue_work(&stats->daemon->loop, &stats->work, do_write, on_written);
}

void tmb_stats_write(tmb_stats *stats)
{
    if (look(stats))
        write_file(stats);
}
