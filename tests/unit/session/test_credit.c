// SPDX-License-Identifier: Apache-2.0
/* The child's credits: what may be loaded, what may go beyond them, and a session that keeps to both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "syncd/session/session.h"

static tmb_credit credit_of(uint64_t live_bytes, uint64_t backlog_bytes)
{
    tmb_credit c = {0};
    tmb_frame_welcome welcome = {.version = 2, .has_credit = true};
    welcome.live_bytes = live_bytes;
    welcome.backlog_bytes = backlog_bytes;
    tmb_credit_begin(&c, &welcome);
    return c;
}

static uint32_t load_bytes(const tmb_credit *c, tmb_pool pool, tmb_class class_, unsigned inflight,
                           uint32_t wanted)
{
    tmb_credit_use use = {.inflight = inflight};
    return tmb_credit_load_bytes(c, pool, class_, &use, wanted);
}

static void what_is_paid_from_which_pool(void **state)
{
    (void)state;
    for (int class_ = TMB_CLASS_CONTROL; class_ <= TMB_CLASS_BULK; class_++) {
        tmb_pool old = class_ <= TMB_CLASS_ALARM ? TMB_POOL_LIVE : TMB_POOL_BACKLOG;
        assert_int_equal(tmb_credit_pool_of((tmb_class)class_, 10, 10), old);
        assert_int_equal(tmb_credit_pool_of((tmb_class)class_, 11, 10), TMB_POOL_LIVE);
    }
}

static void without_credits_there_is_no_limit(void **state)
{
    (void)state;
    tmb_credit c = credit_of(1, 1);
    tmb_frame_welcome old = {.version = 1, .has_credit = true}, silent = {.version = 2};
    const tmb_frame_welcome *const welcomes[] = {&old, &silent};
    for (unsigned i = 0; i < 2; i++) {
        tmb_credit_begin(&c, welcomes[i]);
        tmb_credit_use use = {.inflight = 7};
        assert_int_equal(load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, 7, 50000), 50000);
        assert_true(tmb_credit_fits(&c, TMB_POOL_LIVE, &use, UINT64_MAX));
        assert_int_equal(tmb_credit_spend(&c, TMB_POOL_LIVE, 10), 0);
    }
}

static void a_load_asks_for_what_is_left(void **state)
{
    (void)state;
    tmb_credit c = credit_of(80000, 50000);
    assert_int_equal(load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, 1, 20000), 20000);
    assert_int_equal(load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, 1, 90000), 50000);
    tmb_credit_use use = {.loads = 1, .loading_bytes = 30000};
    assert_int_equal(tmb_credit_load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, &use, 90000),
                     20000);
    use.loading_bytes = 50000 - TMB_CREDIT_LOAD_MIN;
    assert_int_equal(tmb_credit_load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, &use, 90000),
                     TMB_CREDIT_LOAD_MIN);
    use.loading_bytes++;
    assert_int_equal(tmb_credit_load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, &use, 90000), 0);
    assert_int_equal(tmb_credit_spend(&c, TMB_POOL_BACKLOG, 45904), 45904);
    assert_int_equal(load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, 1, 90000), 4096);
    assert_int_equal(tmb_credit_spend(&c, TMB_POOL_BACKLOG, 1), 45905);
    assert_int_equal(load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, 1, 90000), 0);
    /* ... but with nothing on its way, as that alone could bring more. */
    assert_int_equal(load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, 0, 90000), 4096);
    tmb_frame_credit more = {.live_bytes = 1, .backlog_bytes = 60000};
    tmb_credit_raise(&c, &more);
    assert_int_equal(load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, 1, 90000), 14095);
    assert_int_equal(c.pools[TMB_POOL_LIVE].granted, 80000); /* late, and passed over */
}

static void a_quarter_is_left_to_control_and_alarm(void **state)
{
    (void)state;
    tmb_credit c = credit_of(80000, 0);
    assert_int_equal(load_bytes(&c, TMB_POOL_LIVE, TMB_CLASS_TELEMETRY, 1, 90000), 60000);
    (void)tmb_credit_spend(&c, TMB_POOL_LIVE, 60000);
    assert_int_equal(load_bytes(&c, TMB_POOL_LIVE, TMB_CLASS_STATE, 1, 90000), 0);
    assert_int_equal(load_bytes(&c, TMB_POOL_LIVE, TMB_CLASS_ALARM, 1, 90000), 20000);
    (void)tmb_credit_spend(&c, TMB_POOL_LIVE, 19900);
    assert_int_equal(load_bytes(&c, TMB_POOL_LIVE, TMB_CLASS_CONTROL, 1, 90000), 100);
    (void)tmb_credit_spend(&c, TMB_POOL_LIVE, 100);
    assert_int_equal(load_bytes(&c, TMB_POOL_LIVE, TMB_CLASS_CONTROL, 1, 90000), 0);
    /* With nothing on its way what is live goes without: its parent may just have lost a CREDIT. */
    assert_int_equal(load_bytes(&c, TMB_POOL_LIVE, TMB_CLASS_CONTROL, 0, 90000), 4096);
    assert_int_equal(load_bytes(&c, TMB_POOL_LIVE, TMB_CLASS_BULK, 0, 90000), 4096);
}

static void one_batch_alone_may_go_beyond(void **state)
{
    (void)state;
    tmb_credit c = credit_of(0, 1000);
    tmb_credit_use none = {0}, some = {.inflight = 1}, loading = {.loads = 1, .loading_bytes = 500};
    assert_true(tmb_credit_fits(&c, TMB_POOL_BACKLOG, &some, 1000));
    assert_false(tmb_credit_fits(&c, TMB_POOL_BACKLOG, &some, 1001));
    assert_false(tmb_credit_fits(&c, TMB_POOL_BACKLOG, &loading, 501));
    assert_true(tmb_credit_fits(&c, TMB_POOL_BACKLOG, &none, 17 << 20));
    assert_int_equal(tmb_credit_spend(&c, TMB_POOL_BACKLOG, 17 << 20), 17 << 20);
    assert_false(tmb_credit_fits(&c, TMB_POOL_BACKLOG, &none, 1));
    assert_int_equal(load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, 0, 5000), 0);
    tmb_credit_owe(&c); /* asked for again: once */
    assert_int_equal(load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, 0, 5000), 4096);
    assert_true(tmb_credit_fits(&c, TMB_POOL_BACKLOG, &none, 4096));
    (void)tmb_credit_spend(&c, TMB_POOL_BACKLOG, 4096);
    assert_int_equal(load_bytes(&c, TMB_POOL_BACKLOG, TMB_CLASS_BULK, 0, 5000), 0);
}

static void time_without_credit_is_counted(void **state)
{
    (void)state;
    tmb_credit c = credit_of(0, 0);
    tmb_mono t = {0};
    tmb_credit_note_blocked(&c, TMB_POOL_BACKLOG, true, t);
    t.ns = 5;
    tmb_credit_note_blocked(&c, TMB_POOL_BACKLOG, true, t);
    t.ns = 7;
    tmb_credit_note_blocked(&c, TMB_POOL_BACKLOG, false, t);
    t.ns = 100;
    tmb_credit_note_blocked(&c, TMB_POOL_BACKLOG, true, t);
    assert_int_equal(c.pools[TMB_POOL_BACKLOG].blocked.ns, 7);
    assert_int_equal(c.pools[TMB_POOL_LIVE].blocked.ns, 0);
}

/* A session with one stream of telemetry; what it orders as text: "L5:4096" load from 5, "S" batch sent,
 * "D" dropped. */
typedef struct scene {
    tmb_session s;
    tmb_session_actions actions;
    char said[256];
    uint64_t ticket, spent;
    tmb_pool pool;
    uint32_t window_ms; /* said with the next credit */
} scene;

static void step(scene *at, tmb_session_event *event)
{
    event->epoch = at->s.epoch;
    assert_int_equal(tmb_session_step(&at->s, event, &at->actions), TMB_OK);
    at->said[0] = 0;
    for (unsigned i = 0; i < at->actions.n; i++) {
        const tmb_session_action *a = &at->actions.v[i];
        char *end = at->said + strlen(at->said);
        size_t left = sizeof at->said - strlen(at->said);
        if (a->type == TMB_SESSION_LOAD) {
            at->ticket = a->ticket;
            (void)snprintf(end, left, "L%u:%u ", (unsigned)a->seq, a->bytes_max);
        } else if (a->type == TMB_SESSION_SEND_BATCH) {
            at->spent = a->spent;
            at->pool = a->pool;
            (void)snprintf(end, left, "S%u:%u ", (unsigned)a->pool, (unsigned)a->spent);
        } else if (a->type == TMB_SESSION_DROP_BATCH) {
            (void)snprintf(end, left, "D ");
        }
    }
}

static void begin(scene *at, uint64_t live_bytes, uint64_t backlog_bytes)
{
    tmb_session_options options = {.node = "s1", .streams = {"a"}, .streams_count = 1, .seed = 1};
    options.classes[0] = TMB_CLASS_TELEMETRY;
    options.dial_timeout = options.hello_timeout = options.ack_timeout = tmb_dur_ms(1000);
    options.backoff_base = options.backoff_cap = tmb_dur_ms(100);
    options.batch_bytes = 50000;
    memset(at, 0, sizeof *at);
    tmb_session_init(&at->s, &options, (tmb_mono){0});
    tmb_session_event tail = {.type = TMB_SESSION_TAIL}, start = {.type = TMB_SESSION_START};
    tail.u.tail.first_seq = 1;
    tail.u.tail.last_seq = 100;
    step(at, &tail);
    step(at, &start);
    tmb_session_event up = {.type = TMB_SESSION_LINK_UP}, said = {.type = TMB_SESSION_FRAME};
    step(at, &up);
    tmb_frame welcome = {.type = TMB_FRAME_WELCOME};
    welcome.u.welcome.session = at->s.session;
    welcome.u.welcome.node = tmb_bytes_str("hub");
    welcome.u.welcome.version = 2;
    welcome.u.welcome.has_credit = true;
    welcome.u.welcome.live_bytes = live_bytes;
    welcome.u.welcome.backlog_bytes = backlog_bytes;
    welcome.u.welcome.marks_count = 1;
    welcome.u.welcome.marks[0].stream = tmb_bytes_str("a");
    said.u.frame = &welcome;
    step(at, &said);
}

static const char *loaded(scene *at, uint64_t first_seq, uint64_t last_seq, uint32_t bytes)
{
    tmb_session_event event = {.type = TMB_SESSION_LOADED};
    event.u.loaded.ticket = at->ticket;
    event.u.loaded.first_seq = first_seq;
    event.u.loaded.last_seq = last_seq;
    event.u.loaded.bytes = bytes;
    step(at, &event);
    return at->said;
}

static const char *credit(scene *at, uint64_t session, uint64_t live_bytes, uint64_t backlog_bytes)
{
    tmb_frame frame = {.type = TMB_FRAME_CREDIT};
    frame.u.credit = (tmb_frame_credit){session, live_bytes, backlog_bytes, at->window_ms};
    tmb_session_event event = {.type = TMB_SESSION_FRAME};
    event.u.frame = &frame;
    step(at, &event);
    return at->said;
}

static const char *ack(scene *at, uint64_t seq, bool resend)
{
    tmb_frame frame = {.type = TMB_FRAME_ACK};
    frame.u.ack.session = at->s.session;
    frame.u.ack.mark.stream = tmb_bytes_str("a");
    frame.u.ack.mark.seq = seq;
    frame.u.ack.resend = resend;
    tmb_session_event event = {.type = TMB_SESSION_FRAME};
    event.u.frame = &frame;
    step(at, &event);
    return at->said;
}

static void a_session_waits_for_credit(void **state)
{
    scene at;
    (void)state;
    begin(&at, 40000, 0);
    assert_string_equal(at.said, ""); /* a backlog, and no credit for it */
    assert_int_equal(tmb_session_deadline(&at.s).ns, INT64_MAX);
    assert_string_equal(credit(&at, 999, 40000, 9000), ""); /* of another session */
    assert_string_equal(credit(&at, at.s.session, 40000, 9000), "L1:9000 ");
    assert_string_equal(loaded(&at, 1, 10, 2000), "S1:2000 L11:7000 ");
    assert_string_equal(loaded(&at, 11, 20, 7000), "S1:9000 ");
    assert_true(at.s.credit.pools[TMB_POOL_BACKLOG].is_blocked);
    assert_string_equal(ack(&at, 20, false), "");
    assert_string_equal(credit(&at, at.s.session, 40000, 8000), "");
    assert_string_equal(credit(&at, at.s.session, 40000, 99000), "L21:50000 ");
    assert_false(at.s.credit.pools[TMB_POOL_BACKLOG].is_blocked);
    assert_string_equal(loaded(&at, 21, 100, 50000), "S1:59000 ");
    tmb_session_event tail = {.type = TMB_SESSION_TAIL};
    tail.u.tail.first_seq = 1;
    tail.u.tail.last_seq = 120;
    step(&at, &tail);
    assert_string_equal(at.said, "L101:30000 "); /* live: all but the reserve */
    assert_string_equal(loaded(&at, 101, 120, 500), "S0:500 ");
}

/* After its first herd only does a parent know what it can do. */
static void a_credit_tells_a_new_window(void **state)
{
    scene at;
    (void)state;
    begin(&at, 40000, 9000);
    assert_int_equal(at.s.back.window.ns, 0);
    at.window_ms = 1700;
    (void)credit(&at, 999, 40000, 9000); /* of another session */
    assert_int_equal(at.s.back.window.ns, 0);
    (void)credit(&at, at.s.session, 40000, 9000);
    assert_int_equal(at.s.back.window.ns, tmb_dur_ms(1700).ns);
    at.window_ms = 0;
    (void)credit(&at, at.s.session, 40000, 9000); /* says nothing of it */
    assert_int_equal(at.s.back.window.ns, tmb_dur_ms(1700).ns);
}

static void what_is_too_large_goes_alone(void **state)
{
    scene at;
    (void)state;
    begin(&at, 40000, 9000);
    assert_string_equal(at.said, "L1:9000 ");
    assert_string_equal(loaded(&at, 1, 1, 1000), "S1:1000 L2:8000 ");
    assert_string_equal(loaded(&at, 2, 2, 100000), "D "); /* one record, larger than asked for */
    assert_string_equal(ack(&at, 1, false), "L2:8000 ");
    assert_string_equal(loaded(&at, 2, 2, 100000), "S1:101000 ");
    assert_string_equal(ack(&at, 2, false), "");
    assert_string_equal(credit(&at, at.s.session, 40000, 101000), "");
    assert_string_equal(credit(&at, at.s.session, 40000, 110000), "L3:9000 ");
}

static void what_is_asked_for_again_goes_without_credit(void **state)
{
    scene at;
    (void)state;
    begin(&at, 40000, 9000);
    assert_string_equal(loaded(&at, 1, 10, 9000), "S1:9000 ");
    assert_string_equal(ack(&at, 0, true), "L1:4096 ");
    assert_string_equal(loaded(&at, 1, 4, 4000), "S1:13000 ");
    assert_string_equal(ack(&at, 4, false), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_paid_from_which_pool),
        cmocka_unit_test(without_credits_there_is_no_limit),
        cmocka_unit_test(a_load_asks_for_what_is_left),
        cmocka_unit_test(a_quarter_is_left_to_control_and_alarm),
        cmocka_unit_test(one_batch_alone_may_go_beyond),
        cmocka_unit_test(time_without_credit_is_counted),
        cmocka_unit_test(a_session_waits_for_credit),
        cmocka_unit_test(a_credit_tells_a_new_window),
        cmocka_unit_test(what_is_too_large_goes_alone),
        cmocka_unit_test(what_is_asked_for_again_goes_without_credit),
    };
    return cmocka_run_group_tests_name("unit.session.credit", tests, NULL, NULL);
}
