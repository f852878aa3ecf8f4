// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/main.c - arguments, start, signals, end.
 *
 *   exit 0   done: stopped by SIGTERM or SIGINT, or --check, --help, --version
 *        1   something the machine refused (memory, the loop)
 *        2   the command line is wrong
 *        78  the configuration is wrong (EX_CONFIG; systemd does not start it again then)
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "syncd/daemon/asks.h"
#include "syncd/daemon/credits.h"
#include "syncd/daemon/hub.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/notify.h"
#include "syncd/daemon/state.h"
#include "syncd/daemon/stats.h"
#include "syncd/daemon/uplink.h"

#define EXIT_USAGE  2
#define EXIT_CONFIG 78
#define TICK_MS     1000

typedef struct arguments {
    const char *config;
    bool is_check, is_json;
} arguments;

typedef struct program {
    tmb_daemon daemon;
    uv_signal_t signals[2];
    uv_timer_t tick, watchdog;
    bool is_stopping;
} program;

static const char HELP[] =
    "Usage: tombolo-syncd --config FILE [--check [-o json]]\n"
    "Carry this node's journal to its parent, and take the journals of its children.\n"
    "\n"
    "  -c, --config FILE   the node's YAML file, the one the broker's plugin reads\n"
    "      --check         print the effective configuration, defaults included, and exit\n"
    "  -o, --output FORM   of --check: yaml (default) or json\n"
    "  -h, --help          this text\n"
    "  -V, --version       the version\n"
    "\n"
    "Exit status: 0 done, 1 the machine refused something, 2 wrong arguments, 78 wrong "
    "configuration.\n"
    "See tombolo-syncd(8).\n";

uint64_t tmb_daemon_seed(const tmb_daemon *d, uint64_t what)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (const char *at = d->config->node; *at; at++)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
    tmb_rng rng = {hash ^ (d->salt * UINT64_C(0x9e3779b97f4a7c15)) ^ (what << 56)};
    return tmb_rng_next(&rng);
}

/* Gives -1 to go on, else the exit status. */
static int parse(int argc, char **argv, arguments *ret_arguments)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
        {"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},      {NULL, 0, NULL, 0}};
    arguments a = {NULL, false, false};
    for (int c; (c = getopt_long(argc, argv, "c:o:hV", options, NULL)) != -1;) {
        if (c == 'h') {
            return fputs(HELP, stdout) < 0;
        } else if (c == 'V') {
            return printf("tombolo-syncd %s\n", TMB_VERSION) < 0;
        } else if (c == 'c') {
            a.config = optarg;
        } else if (c == 'k') {
            a.is_check = true;
        } else if (c == 'o' && (strcmp(optarg, "json") == 0 || strcmp(optarg, "yaml") == 0)) {
            a.is_json = strcmp(optarg, "json") == 0;
        } else {
            if (c == 'o')
                (void)fprintf(stderr, "tombolo-syncd: -o takes yaml or json, not \"%s\"\n", optarg);
            (void)fputs("Try: tombolo-syncd --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (!a.config || optind != argc) {
        (void)fprintf(stderr, "tombolo-syncd: %s\nTry: tombolo-syncd --help\n",
                      a.config ? "too many arguments" : "--config FILE is needed");
        return EXIT_USAGE;
    }
    *ret_arguments = a;
    return -1;
}

static void let_go(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* Everything lets go of the loop; it ends when the pool and the last handles are done. */
static void on_signal(uv_signal_t *handle, int number)
{
    program *p = handle->data;
    if (p->is_stopping)
        return;
    p->is_stopping = true;
    LOG(TMB_LOG_NOTICE, "stopping", tmb_num("signal", (uint64_t)number));
    tmb_notify("STOPPING=1");
    tmb_uplink_stop(p->daemon.uplink);
    tmb_hub_stop(p->daemon.hub);
    tmb_asks_stop(p->daemon.asks);
    tmb_state_stop(p->daemon.state);
    let_go((uv_handle_t *)&p->signals[0]);
    let_go((uv_handle_t *)&p->signals[1]);
    let_go((uv_handle_t *)&p->tick);
    let_go((uv_handle_t *)&p->watchdog);
}

static void on_tick(uv_timer_t *timer)
{
    program *p = timer->data;
    tmb_uplink_tick(p->daemon.uplink);
    tmb_credits_tick(p->daemon.hub);
    tmb_state_tick(p->daemon.state);
    tmb_stats_tick(p->daemon.stats);
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    tmb_notify("WATCHDOG=1");
}

/* Errors: TMB_EBUSY (another daemon of this node runs: told). Anything else is survived: told, too. */
static tmb_err open_store(tmb_daemon *d)
{
    size_t cap = strlen(d->config->data_dir) + 8;
    char *path = malloc(cap), text[600] = "";
    bool was_reset = false;
    tmb_err err = TMB_ENOMEM;
    if (path) {
        (void)snprintf(path, cap, "%s/syncd", d->config->data_dir);
        err = tmb_store_open(path, &d->store, &was_reset, text, sizeof text);
    }
    bool is_in_use = err == TMB_EBUSY;
    if (is_in_use)
        LOG(TMB_LOG_ERROR, "store.in_use", tmb_str("path", path ? path : ""),
            tmb_str("why", "another tombolo-syncd runs on this data_dir; one node, one daemon"));
    else if (err != TMB_OK)
        LOG(TMB_LOG_ERROR, "store.not_open", tmb_why(err), tmb_str("text", text),
            tmb_str("then", "going on without: the link works, repeats are dropped by the plugin"));
    else if (was_reset)
        LOG(TMB_LOG_ERROR, "store.begun_anew", tmb_str("why", text));
    if (err == TMB_OK)
        err = tmb_store_boot(d->store, &d->boots);
    d->salt = d->boots;
    if (err != TMB_OK) {
        LOG(TMB_LOG_WARNING, "store.boot_not_counted", tmb_why(err));
        (void)uv_random(NULL, NULL, &d->salt, sizeof d->salt, 0, NULL);
    }
    free(path);
    return is_in_use ? TMB_EBUSY : TMB_OK;
}

static tmb_err start(program *p)
{
    tmb_daemon *d = &p->daemon;
    uv_loop_t *loop = &d->loop;
    uint64_t watchdog_ms = tmb_notify_watchdog_ms();
    size_t cap = strlen(d->config->data_dir) + 16;
    d->journal_root = malloc(cap);
    if (!d->journal_root)
        return TMB_ENOMEM;
    (void)snprintf(d->journal_root, cap, "%s/journal", d->config->data_dir);
    tmb_err err = open_store(d);
    if (err != TMB_OK)
        return err;
    (void)uv_timer_init(loop, &p->tick);
    (void)uv_timer_init(loop, &p->watchdog);
    p->tick.data = p;
    for (int i = 0; i < 2; i++) {
        (void)uv_signal_init(loop, &p->signals[i]);
        p->signals[i].data = p;
        if (uv_signal_start(&p->signals[i], on_signal, i == 0 ? SIGTERM : SIGINT) != 0)
            return TMB_ENOMEM;
    }
    err = tmb_stats_new(d, &d->stats);
    if (err == TMB_OK)
        err = tmb_asks_new(d, &d->asks);
    if (err == TMB_OK)
        err = tmb_state_start(d, &d->state);
    if (err == TMB_OK && d->config->children_accept && d->config->broker.host)
        err = tmb_hub_start(d, &d->hub);
    if (err == TMB_OK && d->config->parent.host)
        err = tmb_uplink_start(d, &d->uplink);
    if (err != TMB_OK)
        return err;
    (void)uv_timer_start(&p->tick, on_tick, TICK_MS, TICK_MS);
    if (watchdog_ms > 0)
        (void)uv_timer_start(&p->watchdog, on_watchdog, watchdog_ms, watchdog_ms);
    LOG(TMB_LOG_NOTICE, "started", tmb_str("node", d->config->node),
        tmb_str("version", TMB_VERSION), tmb_str("parent", d->uplink ? "yes" : "no"),
        tmb_str("children", d->hub ? "yes" : "no"), tmb_str("state", d->state ? "yes" : "no"),
        tmb_num("start", d->boots));
    tmb_notify("READY=1");
    return TMB_OK;
}

static int run(const tmb_config *config)
{
    program *p = calloc(1, sizeof *p);
    if (!p || uv_loop_init(&p->daemon.loop) != 0) {
        free(p);
        return EXIT_FAILURE;
    }
    tmb_daemon *d = &p->daemon;
    d->config = config;
    tmb_err err = start(p);
    if (err != TMB_OK) {
        LOG(TMB_LOG_ERROR, "not_started", tmb_why(err));
        return EXIT_FAILURE; /* what is half made goes with the process */
    }
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    tmb_stats_write(d->stats);
    tmb_uplink_free(d->uplink);
    tmb_hub_free(d->hub);
    tmb_asks_free(d->asks);
    tmb_state_free(d->state);
    tmb_stats_free(d->stats);
    tmb_store_close(d->store);
    (void)uv_loop_close(&d->loop);
    free(d->journal_root);
    free(p);
    LOG(TMB_LOG_NOTICE, "stopped", tmb_str("node", config->node));
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    arguments a;
    tmb_config *config = NULL;
    int status = parse(argc, argv, &a);
    if (status >= 0)
        return status;
    if (tmb_config_load(a.config, stderr, &config) != TMB_OK)
        return EXIT_CONFIG;
    if (a.is_check) {
        tmb_err err =
            a.is_json ? tmb_config_print_json(config, stdout) : tmb_config_print(config, stdout);
        status = err == TMB_OK && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    } else {
        tmb_log_begin();
        (void)signal(SIGPIPE, SIG_IGN);
        status = run(config);
    }
    tmb_config_free(config);
    return status;
}
