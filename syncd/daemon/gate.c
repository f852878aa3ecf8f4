// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/gate.c - see gate.h.
 */
#include "syncd/daemon/gate.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/topics.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/memo.h"
#include "syncd/hub/admission.h"
#include "syncd/hub/capacity.h"

#define PROBE_CALM_MS  100   /* between two probes when nothing is going on */
#define PROBE_LOST_MS  10000 /* one that did not come back by then */
#define TELL_QUIET_MS  10000 /* refusals in so long are one line in the log */
#define AGAIN_MS       5000  /* a HELLO within this is one that is said again */
#define WRITE_EVERY_MS 10000
#define KNOWN_LINE_MAX (TMB_NAME_BYTES_MAX + 40)
#define DAY_S          86400

typedef struct known {
    char name[TMB_NAME_BYTES_MAX + 1];
    long long day; /* last seen: since 1970 */
    UT_hash_handle hh;
} known;

struct tmb_gate {
    tmb_hub *hub;
    tmb_admission admission;
    tmb_capacity capacity;
    uv_timer_t probe, turn;
    bool is_open, is_pumping, is_stopping, is_probe_out;
    known *known;
    unsigned counted; /* of them, seen lately */
    bool is_due, is_writing;
    tmb_mono probe_at, counted_at, written_at, refused_at;
    uint64_t kept_mps;
    uint64_t refused_old; /* children of protocol 1, told LIMIT */
    char *text;           /* being written */
    tmb_err err, last_err;
    uv_work_t work;
};

static void pump(tmb_gate *gate);
static void on_probe(uv_timer_t *timer);

static long long today(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (long long)now.tv_sec / DAY_S;
}

static bool is_since(tmb_mono then, int64_t ms, tmb_mono now)
{
    return then.ns == INT64_MIN || now.ns - then.ns >= ms * 1000000;
}

/* A clock that is wrong by more than a week makes N too small: slots make that safe. */
static void count_known(tmb_gate *gate)
{
    long long day = today();
    gate->counted = 0;
    for (const known *k = gate->known; k; k = k->hh.next)
        gate->counted += llabs(day - k->day) <= TMB_GATE_SEEN_DAYS;
    gate->counted_at = tmb_daemon_now();
    tmb_admission_set(&gate->admission, gate->counted, gate->capacity.rate_mps);
}

/* The analyzer loses track of the links that uthash keeps. */
static void forget_oldest(tmb_gate *gate)
{
    known *oldest = gate->known;
    for (known *k = gate->known; k; k = k->hh.next)
        oldest = k->day < oldest->day ? k : oldest; /* NOLINT(clang-analyzer-*) */
    if (oldest) {
        HASH_DEL(gate->known, oldest); /* NOLINT(clang-analyzer-*) */
        free(oldest);
    }
}

/* At TMB_CHILDREN_MAX the one that was away for longest is forgotten. */
static void note_seen(tmb_gate *gate, const char *name, long long day)
{
    known *k = NULL;
    HASH_FIND_STR(gate->known, name, k);
    if (!k) {
        if (HASH_COUNT(gate->known) >= TMB_CHILDREN_MAX)
            forget_oldest(gate);
        k = calloc(1, sizeof *k);
        if (!k)
            return;
        (void)snprintf(k->name, sizeof k->name, "%s", name);
        HASH_ADD_STR(gate->known, name, k);
        gate->counted++;
        tmb_admission_set(&gate->admission, gate->counted, gate->capacity.rate_mps);
    } else if (k->day == day) {
        return;
    }
    k->day = day;
    gate->is_due = true;
}

static char *make_text(tmb_gate *gate)
{
    size_t cap = 64 + (size_t)HASH_COUNT(gate->known) * KNOWN_LINE_MAX, len;
    char *text = malloc(cap);
    if (!text)
        return NULL;
    gate->kept_mps = gate->capacity.rate_mps;
    len = (size_t)snprintf(text, cap, "tombolo-children 1\nrate_mps %llu\n",
                           (unsigned long long)gate->kept_mps);
    for (const known *k = gate->known; k; k = k->hh.next)
        len += (size_t)snprintf(text + len, cap - len, "%s %lld\n", k->name, k->day);
    TMB_ASSERT(len < cap);
    return text;
}

static tmb_err parse(tmb_gate *gate, char *text)
{
    unsigned long long rate_mps = 0;
    int at = 0;
    char *rest = NULL;
    if (sscanf(text, "tombolo-children 1\nrate_mps %20llu\n%n", &rate_mps, &at) != 1 || at == 0)
        return TMB_ECORRUPT;
    for (char *line = strtok_r(text + at, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *space = strchr(line, ' ');
        if (!space)
            return TMB_ECORRUPT;
        *space = '\0';
        if (!tmb_name_is_valid(tmb_bytes_str(line), TMB_NAME_BYTES_MAX))
            return TMB_ECORRUPT;
        note_seen(gate, line, strtoll(space + 1, NULL, 10));
    }
    tmb_capacity_init(&gate->capacity, rate_mps);
    return TMB_OK;
}

static void load(tmb_gate *gate)
{
    char *text = NULL;
    tmb_err err = tmb_memo_read(gate->hub->daemon->config->data_dir, TMB_GATE_FILE, &text);
    if (err == TMB_OK)
        err = parse(gate, text);
    if (err != TMB_OK && err != TMB_ENOENT)
        LOG(TMB_LOG_WARNING, "children.not_read", tmb_str("file", TMB_GATE_FILE), tmb_why(err),
            tmb_str("then", "counted and measured anew"));
    free(text);
    gate->is_due = false;
    gate->kept_mps = gate->capacity.rate_mps;
}

tmb_err tmb_gate_new(tmb_hub *hub, tmb_gate **ret_gate)
{
    tmb_daemon *d = hub->daemon;
    tmb_gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return TMB_ENOMEM;
    gate->hub = hub;
    gate->written_at.ns = gate->refused_at.ns = INT64_MIN;
    tmb_admission_options options = {
        .rate_mps = d->config->children_handshakes_per_s * 1000,
        .window_min = tmb_dur_ms(d->config->children_window_min_ms),
    };
    tmb_capacity_init(&gate->capacity, 0);
    tmb_admission_init(&gate->admission, &options);
    load(gate);
    count_known(gate);
    (void)uv_timer_init(&d->loop, &gate->probe);
    (void)uv_timer_init(&d->loop, &gate->turn);
    gate->probe.data = gate->turn.data = gate;
    *ret_gate = gate;
    return TMB_OK;
}

void tmb_gate_stop(tmb_gate *gate)
{
    if (!gate || gate->is_stopping)
        return;
    gate->is_stopping = true;
    gate->is_open = false;
    uv_close((uv_handle_t *)&gate->probe, NULL);
    uv_close((uv_handle_t *)&gate->turn, NULL);
}

void tmb_gate_free(tmb_gate *gate)
{
    if (!gate)
        return;
    char *text = gate->is_due ? make_text(gate) : NULL;
    if (text) {
        tmb_err err = tmb_memo_write(gate->hub->daemon->config->data_dir, TMB_GATE_FILE, text);
        (void)err; /* the next start counts anew */
    }
    free(text);
    while (gate->known)
        forget_oldest(gate);
    free(gate);
}

/* Blocking. */
static void do_write(uv_work_t *work)
{
    tmb_gate *gate = work->data;
    gate->err = tmb_memo_write(gate->hub->daemon->config->data_dir, TMB_GATE_FILE, gate->text);
}

static void on_written(uv_work_t *work, int status)
{
    tmb_gate *gate = work->data;
    (void)status;
    gate->is_writing = false;
    free(gate->text);
    gate->text = NULL;
    if (gate->err != TMB_OK && gate->last_err == TMB_OK)
        LOG(TMB_LOG_WARNING, "children.not_written", tmb_str("file", TMB_GATE_FILE),
            tmb_why(gate->err), tmb_str("then", "tried again; a restart would count them anew"));
    gate->last_err = gate->err;
    gate->is_due = gate->is_due || gate->err != TMB_OK;
}

static void keep(tmb_gate *gate, tmb_mono now)
{
    uint64_t a = gate->kept_mps, b = gate->capacity.rate_mps;
    bool has_moved = (a < b ? b - a : a - b) > b / 20;
    if (!(gate->is_due || has_moved) || gate->is_writing ||
        !is_since(gate->written_at, WRITE_EVERY_MS, now))
        return;
    gate->text = make_text(gate);
    if (!gate->text)
        return;
    gate->is_due = false;
    gate->written_at = now;
    gate->is_writing = true;
    gate->work.data = gate;
    (void)uv_queue_work(&gate->hub->daemon->loop, &gate->work, do_write, on_written);
}

static void probe_in(tmb_gate *gate, uint64_t ms)
{
    if (gate->is_open)
        (void)uv_timer_start(&gate->probe, on_probe, ms, 0);
}

void tmb_gate_probe_back(tmb_gate *gate)
{
    tmb_mono now = tmb_daemon_now();
    if (!gate->is_probe_out)
        return;
    gate->is_probe_out = false;
    tmb_capacity_probe_back(&gate->capacity, now);
    if (is_since(gate->counted_at, 1000, now))
        count_known(gate);
    tmb_admission_set(&gate->admission, gate->counted, gate->capacity.rate_mps);
    keep(gate, now);
    probe_in(gate, gate->capacity.is_busy ? 1 : PROBE_CALM_MS);
}

static void on_probe(uv_timer_t *timer)
{
    tmb_gate *gate = timer->data;
    char topic[sizeof TMB_TOPIC_UP + TMB_NAME_BYTES_MAX];
    if (gate->is_probe_out) {
        tmb_gate_probe_back(gate); /* it is lost: as good as late */
        return;
    }
    (void)snprintf(topic, sizeof topic, "%s%s", TMB_TOPIC_UP, gate->hub->daemon->config->node);
    if (tmb_link_send(gate->hub->link, topic, tmb_bytes_of(NULL, 0)) != TMB_OK)
        return; /* `down` follows */
    gate->is_probe_out = true;
    tmb_capacity_probe_sent(&gate->capacity, tmb_daemon_now());
    probe_in(gate, PROBE_LOST_MS);
}

void tmb_gate_open(tmb_gate *gate)
{
    gate->is_open = true;
    gate->is_probe_out = false;
    for (const known *k = gate->known; k; k = k->hh.next)
        tmb_child_bye(gate->hub, k->name, 0, TMB_BYE_UNKNOWN);
    probe_in(gate, 1);
}

static void drop_hello(tmb_child *child)
{
    free(child->hello);
    child->hello = NULL;
    child->hello_len = 0;
}

void tmb_gate_close(tmb_gate *gate)
{
    if (!gate->is_open)
        return;
    gate->is_open = false;
    (void)uv_timer_stop(&gate->probe);
    (void)uv_timer_stop(&gate->turn);
    tmb_capacity_reset(&gate->capacity);
    tmb_admission_clear(&gate->admission);
    for (tmb_child *child = gate->hub->children; child; child = child->hh.next) {
        child->is_at_work = false;
        drop_hello(child);
    }
}

static void refuse(tmb_gate *gate, tmb_child *child, const tmb_frame_hello *hello, uint32_t wait_ms)
{
    tmb_mono now = tmb_daemon_now();
    bool is_old = hello->version_max < 2;
    tmb_frame frame = {.type = TMB_FRAME_BYE};
    frame.u.bye.session = hello->session;
    frame.u.bye.reason = is_old ? TMB_BYE_LIMIT : TMB_BYE_BUSY;
    frame.u.bye.wait_ms = is_old ? 0 : wait_ms;
    tmb_child_send(gate->hub, child->name, &frame);
    gate->refused_old += is_old;
    if (is_since(gate->refused_at, TELL_QUIET_MS, now))
        LOG(TMB_LOG_NOTICE, "children.busy", tmb_str("child", child->name),
            tmb_num("waiting", gate->admission.count), tmb_num("come_in_ms", wait_ms),
            tmb_str("then", "more come at once than can be taken: they are told when to come"));
    gate->refused_at = now;
}

/* HELLO may be said again on a connection: because a stream has joined, or of impatience. */
static void note_session(tmb_gate *gate, tmb_child *child, tmb_mono now)
{
    if (child->came_at.ns != 0 && !is_since(child->came_at, AGAIN_MS, now))
        return;
    child->came_at = now;
    tmb_capacity_session(&gate->capacity, now);
}

bool tmb_gate_hello(tmb_gate *gate, tmb_child *child, const tmb_frame_hello *hello,
                    tmb_bytes payload)
{
    tmb_mono now = tmb_daemon_now();
    uint32_t wait_ms = 0;
    if (child->is_at_work)
        return true;
    note_session(gate, child, now);
    note_seen(gate, child->name, today());
    uint8_t *copy = malloc(payload.len);
    if (!copy || !gate->is_open) { /* between two brokers: it waits for its marks anyway */
        free(copy);
        return true;
    }
    if (!tmb_admission_arrive(&gate->admission, (uint64_t)(uintptr_t)child, now, &wait_ms)) {
        free(copy);
        refuse(gate, child, hello, wait_ms);
        return false;
    }
    memcpy(copy, payload.ptr, payload.len);
    drop_hello(child);
    child->hello = copy;
    child->hello_len = payload.len;
    pump(gate);
    return false;
}

uint32_t tmb_gate_window_ms(const tmb_gate *gate)
{
    return tmb_admission_window_ms(&gate->admission);
}

static void on_turn(uv_timer_t *timer)
{
    pump(timer->data);
}

static void work_on(tmb_gate *gate, tmb_child *child)
{
    uint8_t *hello = child->hello;
    child->hello = NULL;
    child->is_at_work = true;
    child->intake.window_ms = child->window_ms = tmb_gate_window_ms(gate);
    child->intake.load = tmb_admission_load(&gate->admission, gate->capacity.lag, tmb_daemon_now());
    tmb_child_receive(child, tmb_bytes_of(hello, child->hello_len));
    free(hello);
    if (child->is_at_work && child->intake.state != TMB_INTAKE_GREETING)
        tmb_gate_done(gate, child);
}

static void pump(tmb_gate *gate)
{
    if (gate->is_pumping || gate->is_stopping)
        return;
    gate->is_pumping = true;
    for (;;) {
        uint64_t number = tmb_admission_next(&gate->admission, tmb_daemon_now());
        if (number == 0)
            break;
        work_on(gate, (tmb_child *)(uintptr_t)number); /* NOLINT(performance-no-int-to-ptr) */
    }
    gate->is_pumping = false;
    tmb_mono deadline = tmb_admission_deadline(&gate->admission);
    if (deadline.ns != INT64_MAX)
        (void)uv_timer_start(&gate->turn, on_turn, tmb_ms_until(deadline, tmb_daemon_now()) + 1, 0);
}

void tmb_gate_done(tmb_gate *gate, tmb_child *child)
{
    if (!child->is_at_work)
        return;
    child->is_at_work = false;
    tmb_admission_done(&gate->admission, tmb_daemon_now());
    pump(gate);
}

void tmb_gate_stats(const tmb_gate *gate, json_t *object)
{
    const tmb_admission *a = &gate->admission;
    const tmb_capacity *c = &gate->capacity;
    bool is_busy = c->lag.ns >= TMB_CAPACITY_BUSY_MS * INT64_C(1000000);
    (void)json_object_set_new(
        object, "arrivals",
        json_pack("{s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "children_known",
                  (json_int_t)gate->counted, "handshakes_per_s", (double)a->rate_mps / 1000,
                  "window_ms", (json_int_t)tmb_admission_window_ms(a), "waiting",
                  (json_int_t)a->count, "at_work", (json_int_t)a->at_work, "admitted",
                  (json_int_t)a->admitted, "refused", (json_int_t)a->refused, "refused_version_1",
                  (json_int_t)gate->refused_old, "queue_worst_ms",
                  (json_int_t)(a->worst_wait.ns / 1000000), "broker_lag_ms",
                  (json_int_t)(is_busy ? c->lag.ns / 1000000 : 0), "measured",
                  (json_int_t)c->measured, "raised", (json_int_t)c->raised));
}
