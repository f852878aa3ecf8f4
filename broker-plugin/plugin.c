// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/plugin.c - start and end: what the broker loads, and what it calls.
 *
 *   init     read the configuration and mosquitto.conf, refuse to start on a wrong one; open the journal;
 *            load the checkpoint; replay what comes after it; register the events
 *   events   each on the broker's one thread
 *   cleanup  the broker has written its last snapshot: write the checkpoint for it, close the journal
 *
 * Everything that is wrong at the start is logged, each with its cure, and stops the broker: one that runs
 * without its journal would ack what it does not keep.
 */
#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker-plugin/plugin.h"
#include "broker-plugin/ring_place.h"
#include "broker-plugin/snapshot.h"

#define EXPORT __attribute__((visibility("default")))

/* log_lines logs each line of text and frees text. */
static void log_lines(int level, char *text)
{
    char *rest = text, *line;
    while (text && (line = strtok_r(rest, "\n", &rest)))
        mosquitto_log_printf(level, "tombolo: %s", line);
    free(text);
}

static tmb_err load_config(const char *file, tmb_config **ret_config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *errors = open_memstream(&text, &len);
    if (!errors)
        return TMB_ENOMEM;
    tmb_err err = tmb_config_load(file, errors, ret_config);
    fclose(errors);
    log_lines(MOSQ_LOG_ERR, text);
    return err;
}

/* The broker says nothing when it cannot write its snapshot; sessions would then not survive it. */
static tmb_err check_snapshot_folder(const tmb_broker_conf *broker, FILE *errors)
{
    char folder[PATH_MAX];
    memcpy(folder, broker->db_file, sizeof folder);
    char *slash = strrchr(folder, '/');
    if (!slash)
        return TMB_OK; /* beside where the broker was started: nothing to judge by */
    *(slash == folder ? slash + 1 : slash) = '\0';
    if (access(folder, W_OK | X_OK) == 0)
        return TMB_OK;
    fprintf(errors,
            "%s: the broker cannot write its snapshot %s: %s; make the folder, and give it to the "
            "broker's user, or set persistence_location to one that is\n",
            broker->file, broker->db_file, strerror(errno));
    return TMB_ECONFIG;
}

static void warn_of_broker(const tmb_broker_conf *broker)
{
    char *text = NULL;
    size_t len = 0;
    FILE *warnings = open_memstream(&text, &len);
    if (!warnings)
        return;
    tmb_broker_conf_warn(broker, warnings);
    fclose(warnings);
    log_lines(MOSQ_LOG_WARNING, text);
}

static tmb_err check_broker(const tmb_config *config, tmb_broker_conf *ret_broker)
{
    char file[PATH_MAX];
    if (tmb_broker_conf_find("/proc/self/cmdline", file) != TMB_OK) {
        mosquitto_log_printf(MOSQ_LOG_ERR,
                             "tombolo: cannot tell which mosquitto.conf is used; start "
                             "the broker with: mosquitto -c /path/mosquitto.conf");
        return TMB_ECONFIG;
    }
    tmb_err err = tmb_broker_conf_read(file, ret_broker);
    if (err != TMB_OK) {
        mosquitto_log_printf(MOSQ_LOG_ERR,
                             "tombolo: cannot read %s, or a folder it includes: %s; give "
                             "-c a whole path that the broker's user may read",
                             file, tmb_err_str(err));
        return err;
    }
    char *text = NULL;
    size_t len = 0;
    FILE *errors = open_memstream(&text, &len);
    if (!errors)
        return TMB_ENOMEM;
    err = tmb_broker_conf_check(ret_broker, config && config->children_accept, errors);
    if (config && tmb_state_is_on(&config->state) &&
        tmb_broker_conf_check_state(ret_broker, config->state.value_max, errors) != TMB_OK)
        err = TMB_ECONFIG;
    tmb_err folder_err =
        ret_broker->persistence ? check_snapshot_folder(ret_broker, errors) : TMB_OK;
    if (err == TMB_OK)
        err = folder_err;
    fclose(errors);
    log_lines(MOSQ_LOG_ERR, text);
    return err;
}

static void found_gap(void *arg, const char *stream, const tmb_tail_gap *gap)
{
    tmb_plugin_log_gap(arg, stream, gap);
    tmb_plugin_on_found(arg, stream, gap);
}

/* What became of the write buffers that are to outlive the broker. */
static void tell_rings(tmb_plugin *p, const char *folder, const char *why)
{
    uint64_t found = tmb_journal_counts_get(p->journal)->ring_bytes;
    if (found > 0)
        mosquitto_log_printf(MOSQ_LOG_NOTICE,
                             "tombolo: %llu bytes of acknowledged messages that a killed broker "
                             "had left in memory are in the journal now",
                             (unsigned long long)found);
    const char *note = tmb_journal_ring_note(p->journal);
    if (folder && note[0] != '\0') /* its own line follows (store.c) */
        mosquitto_log_printf(MOSQ_LOG_INFO,
                             "tombolo: write buffers in the broker's own memory where %s (%s) "
                             "cannot be used",
                             folder, why);
    else
        mosquitto_log_printf(MOSQ_LOG_INFO, "tombolo: write buffers in %s: %s",
                             folder ? folder : "the broker's own memory", why);
}

static tmb_err open_journal(tmb_plugin *p)
{
    char text[512] = "";
    tmb_ring_signs signs;
    const char *why = NULL;
    tmb_ring_signs_read("", &signs);
    tmb_journal_options options = {.root = p->journal_root,
                                   .node = p->config->node,
                                   .ring_folder =
                                       tmb_ring_place(p->config->journal_ring, &signs, &why),
                                   .segment_bytes = p->config->journal_segment_bytes,
                                   .found = found_gap,
                                   .found_arg = p,
                                   .drops = tmb_plugin_on_drop,
                                   .drops_arg = p};
    tmb_err err = RAND_bytes(options.fresh_incarnation.bytes, 16) == 1 ? TMB_OK : TMB_EIO;
    if (err == TMB_OK)
        err = tmb_journal_open(&options, &p->journal, text, sizeof text);
    for (unsigned i = 0; i < p->config->policy.streams_count && err == TMB_OK; i++) {
        tmb_plugin_stream *s = &p->streams[i];
        s->policy = &p->config->policy.streams[i];
        s->dirty_since = s->unsynced_since = tmb_mono_never();
        err = tmb_journal_stream_open(p->journal, s->policy->name, &s->log, text, sizeof text);
        p->streams_count = i + 1;
        if (err == TMB_OK && s->policy->durability != TMB_DURABILITY_PROCESS)
            tmb_journal_drop_ring(s->log); /* only a flush makes use of it */
    }
    if (err == TMB_OK)
        tell_rings(p, options.ring_folder, why);
    bool is_of_the_disk = err != TMB_ECORRUPT && err != TMB_EVERSION &&
                          err != TMB_EBUSY; /* those say themselves what to do */
    if (err != TMB_OK)
        mosquitto_log_printf(MOSQ_LOG_ERR, "tombolo: the journal cannot be opened: %s%s%s",
                             text[0] ? text : tmb_err_str(err),
                             is_of_the_disk
                                 ? "; make it a folder that the broker's user owns, on a disk "
                                   "with free space, used by one broker only: "
                                 : "",
                             is_of_the_disk ? p->journal_root : "");
    return err;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t mark_of(const tmb_plugin *p, const char *stream)
{
    const tmb_plugin_receipts *r = &p->receipts;
    return r->has_marks ? tmb_marks_find(&r->marks, tmb_journal_incarnation(p->journal), stream)
                        : 0;
}

static void log_lost_numbers(tmb_plugin *p, const char *stream, uint64_t first, uint64_t last,
                             uint64_t next, tmb_err err)
{
    char parent[TMB_MARKS_SAY_BYTES];
    tmb_plugin_say_parent(p, stream, first, last, parent);
    mosquitto_log_printf(
        MOSQ_LOG_ERR,
        "tombolo: journal, stream %s: records %llu to %llu are gone; is a file of "
        "%s/%s missing? %s%sNumbers %llu to %llu are passed over, since some may "
        "have been given; going on at %llu%s%s",
        stream, (unsigned long long)first, (unsigned long long)last, p->journal_root, stream,
        parent, parent[0] ? ". " : "", (unsigned long long)last + 1, (unsigned long long)next - 1,
        (unsigned long long)next, err != TMB_OK ? ", in a file that cannot be made yet: " : "",
        err != TMB_OK ? tmb_err_str(err) : "");
}

/* The checkpoint knows numbers that the log does not: somebody has removed a segment file, or put an older
 * one back. The parent has seen them, and maybe some more that came after the checkpoint, so they are passed
 * over, with as many as a segment can hold. Lost are those of which it is known that they were given. */
static void skip_lost_numbers(tmb_plugin *p, const tmb_checkpoint *from)
{
    for (unsigned i = 0; i < p->streams_count; i++) {
        const char *name = p->streams[i].policy->name;
        tmb_journal_stream *log = p->streams[i].log;
        uint64_t last = tmb_journal_last_seq(log);
        uint64_t known = tmb_checkpoint_find(from, name).own_seq;
        if (known <= last)
            continue;
        known = max_of(known, mark_of(p, name));
        uint64_t next = known + p->config->journal_segment_bytes / TMB_RECORD_BYTES_MIN + 2;
        tmb_err err = tmb_journal_skip(log, known, TMB_GAP_MISSING, tmb_plugin_wall());
        tmb_err over_err = tmb_journal_skip(log, next - 1, TMB_GAP_TORN, tmb_plugin_wall());
        log_lost_numbers(p, name, last + 1, known, next, err != TMB_OK ? err : over_err);
        tmb_plugin_note_lost(p, name);
        p->counts.gaps++;
        tmb_loss loss = {.reason = TMB_LOSS_MISSING, .first = last + 1, .last = known};
        loss.count = known - last;
        memcpy(loss.stream, name, strlen(name) + 1);
        tmb_plugin_lose(p, &loss);
    }
}

/* The broker has read its snapshot by now, whatever was in it; what it is must not reach anybody. */
static tmb_err check_snapshot(tmb_plugin *p)
{
    if (tmb_snapshot_verify(p->broker.db_file) != TMB_ECORRUPT)
        return TMB_OK; /* one that cannot be read now has been read, or the broker has said so */
    tmb_err err = tmb_snapshot_step_back(p->broker.db_file, p->checkpoint.file);
    if (err == TMB_OK)
        mosquitto_log_printf(MOSQ_LOG_ERR,
                             "tombolo: the broker's snapshot %s is damaged (kept as .damaged); the "
                             "one before it is in its place, nothing that was acked is lost: start "
                             "the broker again",
                             p->broker.db_file);
    else
        mosquitto_log_printf(
            MOSQ_LOG_ERR,
            "tombolo: the broker's snapshot %s is damaged, and there is none before it that could "
            "be used (%s); move it, its .kept and its .seal away: sessions begin anew, the journal "
            "has every message",
            p->broker.db_file, tmb_err_str(err));
    return TMB_ECORRUPT;
}

static tmb_err restore(tmb_plugin *p)
{
    tmb_checkpoint from = {0};
    tmb_plugin_load_checkpoint(p, &from);
    tmb_plugin_loss_start(p);
    tmb_plugin_disk_start(p);
    skip_lost_numbers(p, &from);
    tmb_plugin_lost_start(p);
    tmb_err err = tmb_plugin_given_start(p);
    if (err == TMB_OK)
        err = tmb_plugin_replay(p, &from);
    if (err != TMB_OK) {
        mosquitto_log_printf(MOSQ_LOG_ERR,
                             "tombolo: the journal in %s cannot be replayed: %s; see what "
                             "`tombolo-journal verify` says of it",
                             p->journal_root, tmb_err_str(err));
        return err;
    }
    for (unsigned i = 0; i < p->streams_count; i++) {
        tmb_plugin_stream *s = &p->streams[i];
        s->kept_seq = tmb_checkpoint_find(&from, s->policy->name).seq;
        s->good_seq = s->tick_seq = tmb_journal_last_seq(s->log);
        if (tmb_journal_counts_get(p->journal)->failures == 0)
            s->synced_seq = s->good_seq; /* opening has synced what it found */
        s->tick_seq_before = s->hold_seq = s->good_seq;
    }
    tmb_plugin_check_marks(p);
    tmb_seen_settle(p->publishers);
    p->has_published = p->has_published_before = false;
    tmb_plugin_look_at_snapshot(p);
    mosquitto_log_printf(MOSQ_LOG_INFO, "tombolo: node %s, journal %s, %llu messages replayed",
                         p->config->node, p->journal_root, (unsigned long long)p->counts.replayed);
    return TMB_OK;
}

static int on_event(int kind, void *event, void *userdata)
{
    tmb_plugin *p = userdata;
    TMB_ASSERT(p->magic == TMB_PLUGIN_MAGIC);
    if (kind == MOSQ_EVT_ACL_CHECK)
        return tmb_plugin_on_acl(p, event);
    if (kind == MOSQ_EVT_MESSAGE)
        return tmb_plugin_on_message(p, event);
    tmb_plugin_pend_settle(p, NULL);
    if (kind == MOSQ_EVT_TICK) {
        tmb_plugin_on_tick(p);
    } else if (kind == MOSQ_EVT_DISCONNECT) {
        tmb_group_on_leave(p, ((struct mosquitto_evt_disconnect *)event)->client);
        tmb_plugin_note_leaving(p, ((struct mosquitto_evt_disconnect *)event)->client);
        tmb_plugin_note_delivery(p, ((struct mosquitto_evt_disconnect *)event)->client);
    } else if (kind == MOSQ_EVT_RELOAD) {
        tmb_broker_conf fresh;
        if (check_broker(p->config, &fresh) == TMB_OK)
            p->broker = fresh;
        return MOSQ_ERR_PLUGIN_DEFER; /* any other answer keeps other plugins from their reload */
    }
    return MOSQ_ERR_SUCCESS;
}

static const int kinds[] = {MOSQ_EVT_RELOAD, MOSQ_EVT_ACL_CHECK, MOSQ_EVT_MESSAGE, MOSQ_EVT_TICK,
                            MOSQ_EVT_DISCONNECT};
#define KINDS_COUNT (sizeof kinds / sizeof kinds[0])

static void free_plugin(tmb_plugin *p)
{
    tmb_journal_close(p->journal);
    tmb_plugin_loss_end(p);
    tmb_seen_free(p->children);
    tmb_seen_free(p->origins);
    tmb_seen_free(p->publishers);
    tmb_pace_free(p->pace);
    tmb_receipts_free(p->receipts.table);
    tmb_group_end(p);
    tmb_plugin_forget_all(p);
    tmb_config_free(p->config);
    if (p->snapshot.fd >= 0)
        close(p->snapshot.fd);
    free(p);
}

static tmb_err start(tmb_plugin *p, const char *file)
{
    tmb_err err = load_config(file, &p->config);
    tmb_err broker_err =
        check_broker(p->config, &p->broker); /* all mistakes of both are told at once */
    if (err == TMB_OK)
        err = broker_err;
    if (err != TMB_OK)
        return err;
    warn_of_broker(&p->broker);
    if (snprintf(p->journal_root, sizeof p->journal_root, "%s/journal", p->config->data_dir) >=
            (int)sizeof p->journal_root ||
        snprintf(p->checkpoint.file, sizeof p->checkpoint.file, "%s/checkpoint",
                 p->config->data_dir) >= (int)sizeof p->checkpoint.file)
        return TMB_ELIMIT;
    p->snapshot.seen_at = p->checkpoint.at = p->tick_at = tmb_plugin_now();
    p->snapshot.subscribed_at = tmb_mono_never();
    err = tmb_seen_new(TMB_SEEN_CHILDREN_MAX, TMB_SEEN_RUNS_MAX, &p->children);
    if (err == TMB_OK)
        err = tmb_seen_new(TMB_SEEN_ORIGINS_MAX, TMB_SEEN_RUNS_MAX, &p->origins);
    if (err == TMB_OK)
        err = tmb_seen_new(TMB_SEEN_PUBLISHERS_MAX, TMB_SEEN_RUNS_MAX, &p->publishers);
    if (err == TMB_OK)
        err = tmb_pace_new(&p->pace);
    if (err == TMB_OK)
        err = tmb_group_start(p);
    if (err == TMB_OK)
        err = check_snapshot(p);
    if (err == TMB_OK)
        err = open_journal(p);
    if (err == TMB_OK)
        err = tmb_plugin_begin_receipts(p);
    return err == TMB_OK ? restore(p) : err;
}

static const char *config_option(struct mosquitto_opt *options, int count)
{
    const char *file = NULL;
    for (int i = 0; i < count; i++) {
        if (strcmp(options[i].key, "config") == 0)
            file = options[i].value;
        else
            mosquitto_log_printf(
                MOSQ_LOG_WARNING,
                "tombolo: plugin_opt_%s is unknown; there is only plugin_opt_config",
                options[i].key);
    }
    return file;
}

EXPORT int mosquitto_plugin_version(int count, const int *versions)
{
    for (int i = 0; i < count; i++)
        if (versions[i] == MOSQ_PLUGIN_VERSION)
            return MOSQ_PLUGIN_VERSION;
    return -1;
}

EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **userdata,
                                 struct mosquitto_opt *options, int option_count)
{
    const char *file = config_option(options, option_count);
    if (!file) {
        mosquitto_log_printf(MOSQ_LOG_ERR,
                             "tombolo: no configuration; add to mosquitto.conf, below the "
                             "plugin line: plugin_opt_config /etc/tombolo/node.yaml");
        return MOSQ_ERR_INVAL;
    }
    tmb_plugin *p = calloc(1, sizeof *p);
    if (!p)
        return MOSQ_ERR_NOMEM;
    p->magic = TMB_PLUGIN_MAGIC;
    p->snapshot.fd = -1;
    p->loss.fd = -1;
    p->id = id;
    tmb_err err = start(p, file);
    int rc = err == TMB_OK ? MOSQ_ERR_SUCCESS : MOSQ_ERR_INVAL;
    for (size_t i = 0; i < KINDS_COUNT && rc == MOSQ_ERR_SUCCESS; i++)
        rc = mosquitto_callback_register(id, kinds[i], on_event, NULL, p);
    if (rc != MOSQ_ERR_SUCCESS) {
        bool is_told = err != TMB_ENOMEM && err != TMB_ELIMIT && err != TMB_OK;
        mosquitto_log_printf(MOSQ_LOG_ERR, "tombolo: the plugin does not start (%s)",
                             is_told         ? "see the lines above"
                             : err == TMB_OK ? "the broker takes no callback"
                                             : tmb_err_str(err));
        free_plugin(p);
        return rc;
    }
    tmb_plugin_begin_state(p);
    *userdata = p;
    return MOSQ_ERR_SUCCESS;
}

EXPORT int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    (void)options;
    (void)option_count;
    tmb_plugin *p = userdata;
    if (!p)
        return MOSQ_ERR_SUCCESS;
    for (size_t i = 0; i < KINDS_COUNT; i++)
        (void)mosquitto_callback_unregister(p->id, kinds[i], on_event, NULL);
    tmb_plugin_pend_settle(p, NULL);
    tmb_plugin_leave(p);
    tmb_plugin_given_end(p);
    free_plugin(p);
    return MOSQ_ERR_SUCCESS;
}
