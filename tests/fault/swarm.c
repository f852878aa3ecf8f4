// SPDX-License-Identifier: Apache-2.0
/* tests/fault/swarm.c - many sites in one process: the link and the session of tombolo-syncd, each with its
 * own certificate, against a real hub. What a site has to say is made up: record n of site i is born at
 * a moment that follows from n and i alone, so that it is the same record whenever it is asked for, nothing
 * has to be kept, and a backlog costs nothing.
 *
 *   swarm --port P --certs FOLDER --sites N --interval-ms I --bytes B [--cap-ms C]
 *
 * FOLDER has ca.crt, and <name>.crt and <name>.key for the names s0001, s0002 ... Lines on stdout, the first
 * word a CLOCK_MONOTONIC instant in ms, the second a site: "... dial", "... up", "... open <backlog>",
 * "... down <why>", "... acked <oldest age in ms> <newest age in ms> <live>" (ages of the records that an ACK
 * is the first to cover; live: all of them were born after the session opened). Ends with its standard input.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "proto/batch.h"
#include "proto/topics.h"
#include "syncd/link/link.h"
#include "syncd/session/session.h"

#define SITES_MAX   4000
#define TICK_MS     20
#define FLUSH_TICKS 5
#define PAYLOAD_MAX 4096
#define RECORD_ROOM (PAYLOAD_MAX + 256)
#define STREAM      "main"
#define DIAL_MS     10000
#define KEEPALIVE_S 10
#define TIMEOUT_MS  5000
#define BASE_MS     500
#define BATCH_BYTES (256 * 1024)
#define RECORDS_MAX 512

typedef struct settings {
    unsigned port, sites, interval_ms, bytes, cap_ms;
    const char *certs;
} settings;

typedef struct swarm swarm;

typedef struct site {
    swarm *of;
    char name[16], up_topic[64], down_topic[64], client_id[32];
    char ca[256], cert[256], key[256];
    tmb_session session;
    tmb_link *link;
    uint64_t epoch, taken_bytes, lost_frames;
    int64_t born_ns; /* of record 1 */
    uint64_t told_seq, acked;
    int64_t open_ns;
    bool is_dial_failed;
    uint64_t load_ticket, load_seq; /* asked for in this step, 0: nothing */
    uint64_t prove_ticket;          /* likewise */
    uint32_t load_bytes;
    uint8_t *packed; /* what LOADED is about */
    tmb_frame_batch batch;
} site;

struct swarm {
    settings with;
    uv_loop_t loop;
    uv_timer_t tick;
    uv_pipe_t input;
    int64_t wall_offset_ns;
    unsigned ticks;
    site *sites;
};

static int64_t now_ns(void)
{
    return (int64_t)uv_hrtime();
}

static void tell(const site *s, const char *what)
{
    printf("%" PRId64 " %s %s\n", now_ns() / 1000000, s->name, what);
}

static int64_t birth_ns(const site *s, uint64_t seq)
{
    return s->born_ns + (int64_t)(seq - 1) * (int64_t)s->of->with.interval_ms * 1000000;
}

static uint64_t last_seq(const site *s)
{
    int64_t age = now_ns() - s->born_ns;
    return age < 0 ? 0 : 1 + (uint64_t)(age / ((int64_t)s->of->with.interval_ms * 1000000));
}

static size_t encode(const site *s, uint64_t seq, uint8_t *out, size_t cap)
{
    char payload[PAYLOAD_MAX + 1];
    int head = snprintf(payload, sizeof payload, "{\"p\":\"%s\",\"n\":%" PRIu64 ",\"pad\":\"",
                        s->name, seq);
    size_t len = s->of->with.bytes > (size_t)head + 2 ? s->of->with.bytes : (size_t)head + 2;
    for (size_t i = (size_t)head; i < len - 2; i++)
        payload[i] = (char)('a' + (seq * 31 + i * 7) % 26);
    memcpy(payload + len - 2, "\"}", 2);
    tmb_record record = {.seq = seq, .qos = 1, .topic = tmb_bytes_str("swarm/reading")};
    record.publisher = tmb_bytes_str("sensor");
    record.stamp.u64 = (uint64_t)((birth_ns(s, seq) + s->of->wall_offset_ns) / 1000000) << 16;
    record.payload = tmb_bytes_of(payload, len);
    size_t used = 0;
    tmb_err err = tmb_record_encode(&record, out, cap, &used);
    TMB_ASSERT(err == TMB_OK);
    return used;
}

static void load(site *s)
{
    uint64_t end = last_seq(s);
    size_t room = s->load_bytes > RECORD_ROOM ? s->load_bytes : RECORD_ROOM, len = 0;
    uint8_t *raw = malloc(room);
    TMB_ASSERT(raw && end >= s->load_seq);
    uint64_t seq = s->load_seq;
    for (; seq <= end && seq < s->load_seq + RECORDS_MAX && room - len >= RECORD_ROOM; seq++)
        len += encode(s, seq, raw + len, room - len);
    memset(&s->batch, 0, sizeof s->batch);
    s->batch.first_seq = s->load_seq;
    s->batch.last_seq = seq - 1;
    free(s->packed);
    s->packed = malloc(tmb_batch_pack_bound(len));
    TMB_ASSERT(s->packed);
    tmb_err err =
        tmb_batch_pack(tmb_bytes_of(raw, len), s->packed, tmb_batch_pack_bound(len), &s->batch);
    TMB_ASSERT(err == TMB_OK);
    free(raw);
}

static void send_frame(site *s, const tmb_frame *frame)
{
    size_t cap = tmb_frame_size_max(frame), len = 0;
    uint8_t *bytes = malloc(cap);
    tmb_err err = bytes ? tmb_frame_encode(frame, bytes, cap, &len) : TMB_ENOMEM;
    if (err == TMB_OK && s->link)
        err = tmb_link_send(s->link, s->up_topic, tmb_bytes_of(bytes, len));
    s->lost_frames += err != TMB_OK;
    free(bytes);
}

static void send_batch(site *s, const tmb_session_action *action)
{
    tmb_frame frame = {.type = TMB_FRAME_BATCH};
    frame.u.batch = s->batch;
    frame.u.batch.session = action->session;
    frame.u.batch.stream = tmb_bytes_str(STREAM);
    frame.u.batch.incarnation = s->session.lanes[0].incarnation;
    send_frame(s, &frame);
}

static void step(site *s, tmb_session_event *event);

static void drop_link(site *s)
{
    tmb_link_close(s->link);
    s->link = NULL;
}

static void on_up(void *arg)
{
    site *s = arg;
    tell(s, "up");
    tmb_session_event event = {.type = TMB_SESSION_LINK_UP, .epoch = s->epoch};
    step(s, &event);
}

static void on_down(void *arg, const char *why)
{
    site *s = arg;
    printf("%" PRId64 " %s down %s\n", now_ns() / 1000000, s->name, why);
    drop_link(s);
    tmb_session_event event = {.type = TMB_SESSION_LINK_DOWN, .epoch = s->epoch};
    step(s, &event);
}

static void on_message(void *arg, const char *topic, tmb_bytes payload)
{
    site *s = arg;
    (void)topic;
    tmb_frame frame;
    size_t cap = tmb_frame_arena_size(payload.len);
    void *arena = malloc(cap);
    tmb_err err = arena ? tmb_frame_decode(payload, arena, cap, &frame) : TMB_ENOMEM;
    tmb_session_event event = {.type = err == TMB_OK ? TMB_SESSION_FRAME : TMB_SESSION_FRAME_BAD,
                               .epoch = s->epoch};
    event.u.frame = err == TMB_OK ? &frame : NULL;
    step(s, &event);
    free(arena);
}

static void dial(site *s, uint64_t epoch)
{
    const char *filters[] = {s->down_topic};
    tmb_link_options options = {
        .loop = &s->of->loop,
        .host = "127.0.0.1",
        .port = s->of->with.port,
        .client_id = s->client_id,
        .ca_file = s->ca,
        .cert_file = s->cert,
        .key_file = s->key,
        .keepalive_s = KEEPALIVE_S,
        .subscribe = filters,
        .subscribe_count = 1,
        .connect_timeout_ms = DIAL_MS,
        .arg = s,
        .up = on_up,
        .down = on_down,
        .message = on_message,
    };
    char text[256] = "";
    drop_link(s);
    tell(s, "dial");
    s->epoch = epoch;
    s->taken_bytes = s->lost_frames = 0;
    s->is_dial_failed = tmb_link_open(&options, &s->link, text, sizeof text) != TMB_OK;
    if (s->is_dial_failed)
        printf("%" PRId64 " %s down %s\n", now_ns() / 1000000, s->name, text);
}

static void note_acked(site *s, uint64_t seq)
{
    if (seq <= s->acked)
        return;
    int64_t now = now_ns(), oldest = birth_ns(s, s->acked + 1), newest = birth_ns(s, seq);
    printf("%" PRId64 " %s acked %" PRId64 " %" PRId64 " %d\n", now / 1000000, s->name,
           (now - oldest) / 1000000, (now - newest) / 1000000, oldest >= s->open_ns);
    s->acked = seq;
}

static void act(site *s, const tmb_session_action *action)
{
    switch (action->type) {
    case TMB_SESSION_DIAL:
        dial(s, action->epoch);
        return;
    case TMB_SESSION_HANGUP:
        if (action->epoch == s->epoch)
            drop_link(s);
        return;
    case TMB_SESSION_SEND:
        if (action->epoch == s->epoch)
            send_frame(s, action->frame);
        return;
    case TMB_SESSION_SEND_BATCH:
        if (action->epoch == s->epoch)
            send_batch(s, action);
        return;
    case TMB_SESSION_LOAD:
        s->load_ticket = action->ticket;
        s->load_seq = action->seq;
        s->load_bytes = action->bytes_max;
        return;
    case TMB_SESSION_PERSIST:
        note_acked(s, action->seq);
        return;
    case TMB_SESSION_TOLD:
        return;
    case TMB_SESSION_REPORT:
        if (action->report == TMB_SESSION_REPORT_STATE && action->number == TMB_SESSION_STREAMING) {
            s->open_ns = now_ns();
            printf("%" PRId64 " %s open %" PRIu64 "\n", s->open_ns / 1000000, s->name,
                   last_seq(s) - s->session.lanes[0].acked);
        }
        return;
    case TMB_SESSION_PROVE:
        s->prove_ticket = action->ticket; /* one journal a site, and nobody restores it */
        return;
    case TMB_SESSION_DROP_BATCH:
        return;
    }
}

static void step_once(site *s, tmb_session_event *event)
{
    tmb_session_actions actions;
    event->now.ns = now_ns();
    tmb_err err = tmb_session_step(&s->session, event, &actions);
    TMB_ASSERT(err == TMB_OK);
    for (unsigned i = 0; i < actions.n; i++)
        act(s, &actions.v[i]);
}

/* Loads are answered when the step that asked is done. */
static void step(site *s, tmb_session_event *event)
{
    step_once(s, event);
    if (s->prove_ticket != 0) {
        tmb_session_event proved = {.type = TMB_SESSION_PROVED};
        proved.u.proved.ticket = s->prove_ticket;
        s->prove_ticket = 0;
        step_once(s, &proved);
    }
    while (s->load_ticket != 0) {
        load(s);
        tmb_session_event loaded = {.type = TMB_SESSION_LOADED};
        loaded.u.loaded.ticket = s->load_ticket;
        loaded.u.loaded.first_seq = s->batch.first_seq;
        loaded.u.loaded.last_seq = s->batch.last_seq;
        s->load_ticket = 0;
        step_once(s, &loaded);
    }
}

static void tell_progress(site *s)
{
    uint64_t bytes = 0, messages = 0;
    if (!s->link || !tmb_session_is_waiting(&s->session))
        return;
    tmb_link_taken(s->link, &bytes, &messages);
    if (bytes <= s->taken_bytes)
        return;
    s->taken_bytes = bytes;
    messages += s->lost_frames;
    tmb_session_event event = {.type = TMB_SESSION_PROGRESS, .epoch = s->epoch};
    event.u.taken = messages < s->session.sent ? messages : s->session.sent;
    step(s, &event);
}

static void look(site *s)
{
    uint64_t last = last_seq(s);
    if (last != s->told_seq) {
        tmb_session_event event = {.type = TMB_SESSION_TAIL};
        event.u.tail.incarnation.bytes[0] = 1;
        memcpy(event.u.tail.incarnation.bytes + 1, s->name, 5);
        event.u.tail.first_seq = 1;
        event.u.tail.last_seq = s->told_seq = last;
        step(s, &event);
    }
    tell_progress(s);
    tmb_session_event event = {.type = TMB_SESSION_TIMEOUT};
    if (s->is_dial_failed) {
        s->is_dial_failed = false;
        event.type = TMB_SESSION_LINK_DOWN;
        event.epoch = s->epoch;
    } else if (tmb_session_deadline(&s->session).ns > now_ns()) {
        return;
    }
    step(s, &event);
}

static void on_tick(uv_timer_t *timer)
{
    swarm *all = timer->data;
    for (unsigned i = 0; i < all->with.sites; i++)
        look(&all->sites[i]);
    if (++all->ticks % FLUSH_TICKS == 0)
        (void)fflush(stdout);
}

static void make_site(swarm *all, unsigned i)
{
    site *s = &all->sites[i];
    const char *folder = all->with.certs;
    s->of = all;
    (void)snprintf(s->name, sizeof s->name, "s%04u", i + 1);
    (void)snprintf(s->up_topic, sizeof s->up_topic, "%s%s", TMB_TOPIC_UP, s->name);
    (void)snprintf(s->down_topic, sizeof s->down_topic, "%s%s", TMB_TOPIC_DOWN, s->name);
    (void)snprintf(s->client_id, sizeof s->client_id, "tombolo-%s", s->name);
    (void)snprintf(s->ca, sizeof s->ca, "%s/ca.crt", folder);
    (void)snprintf(s->cert, sizeof s->cert, "%s/%s.crt", folder, s->name);
    (void)snprintf(s->key, sizeof s->key, "%s/%s.key", folder, s->name);
    s->born_ns = now_ns() + (int64_t)all->with.interval_ms * 1000000 * i / all->with.sites;
    tmb_session_options options = {
        .node = s->name,
        .streams = {STREAM},
        .streams_count = 1,
        .seed = (uint64_t)now_ns() * 2654435761u + i,
        .dial_timeout = tmb_dur_ms(DIAL_MS + 1000),
        .hello_timeout = tmb_dur_ms(TIMEOUT_MS),
        .ack_timeout = tmb_dur_ms(TIMEOUT_MS),
        .backoff_base = tmb_dur_ms(BASE_MS),
        .backoff_cap = tmb_dur_ms(all->with.cap_ms),
        .batch_bytes = BATCH_BYTES,
    };
    tmb_mono now = {now_ns()};
    tmb_session_init(&s->session, &options, now);
    tmb_session_event event = {.type = TMB_SESSION_START};
    step(s, &event);
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    static char room[64];
    (void)handle;
    (void)wanted;
    *ret = uv_buf_init(room, sizeof room);
}

static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    swarm *all = stream->data;
    (void)buf;
    if (n >= 0)
        return;
    for (unsigned i = 0; i < all->with.sites; i++)
        drop_link(&all->sites[i]);
    (void)fflush(stdout);
    exit(0);
}

static bool read_settings(int argc, char **argv, settings *with)
{
    *with = (settings){.sites = 10, .interval_ms = 1000, .bytes = 100, .cap_ms = 30000};
    for (int i = 1; i + 1 < argc; i += 2) {
        unsigned number = (unsigned)strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--port") == 0)
            with->port = number;
        else if (strcmp(argv[i], "--sites") == 0)
            with->sites = number;
        else if (strcmp(argv[i], "--interval-ms") == 0)
            with->interval_ms = number;
        else if (strcmp(argv[i], "--bytes") == 0)
            with->bytes = number;
        else if (strcmp(argv[i], "--cap-ms") == 0)
            with->cap_ms = number;
        else if (strcmp(argv[i], "--certs") == 0)
            with->certs = argv[i + 1];
        else
            return false;
    }
    return with->certs && with->port > 0 && with->sites > 0 && with->sites <= SITES_MAX &&
           with->interval_ms > 0 && with->bytes <= PAYLOAD_MAX && with->cap_ms >= BASE_MS;
}

int main(int argc, char **argv)
{
    static swarm all;
    if (!read_settings(argc, argv, &all.with)) {
        (void)fprintf(
            stderr,
            "usage: swarm --port P --certs FOLDER [--sites N] [--interval-ms I] [--bytes B] "
            "[--cap-ms C]\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    struct timespec wall;
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    all.wall_offset_ns = (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec - now_ns();
    all.sites = calloc(all.with.sites, sizeof *all.sites);
    if (!all.sites || uv_loop_init(&all.loop) != 0)
        return 1;
    (void)uv_timer_init(&all.loop, &all.tick);
    all.tick.data = &all;
    (void)uv_pipe_init(&all.loop, &all.input, 0);
    all.input.data = &all;
    (void)uv_pipe_open(&all.input, 0);
    (void)uv_read_start((uv_stream_t *)&all.input, on_room, on_input);
    for (unsigned i = 0; i < all.with.sites; i++)
        make_site(&all, i);
    (void)uv_timer_start(&all.tick, on_tick, TICK_MS, TICK_MS);
    return uv_run(&all.loop, UV_RUN_DEFAULT);
}
