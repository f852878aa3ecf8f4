// SPDX-License-Identifier: Apache-2.0
/* Every event in every state: the machine keeps its invariants (it asserts them itself) and moves only where
 * its table allows; and an event that breaks the contract changes nothing, to the byte. */
#include "tests/unit/session/transcript.h"

static void bring_to(scene *at, tmb_session_state state)
{
    scene_init(at);
    on_tail(at, 0, 1, 10);
    on_tail(at, 1, 1, 10);
    if (state == TMB_SESSION_IDLE)
        return;
    if (state == TMB_SESSION_CLOSED) {
        on_close(at);
        return;
    }
    on_start(at);
    if (state == TMB_SESSION_DIALING)
        return;
    if (state == TMB_SESSION_BACKOFF) {
        on_link(at, false, 1);
        return;
    }
    on_link(at, true, 1);
    if (state == TMB_SESSION_FENCED)
        on_bye(at, TMB_BYE_IDENTITY);
    if (state == TMB_SESSION_STREAMING) {
        on_welcome(at, 0, 0);
        on_loaded(at, 1, 1, 5);
    }
}

/* One row an event, one column a state: the state after it. Letters: I D G S B F C; lower case is the same
 * state. */
static const struct {
    const char *event;
    const char *next;
} table[] = {
    {"start", "DdgsbfC"},     {"up", "iGgsbfc"},        {"down", "iBBBbfc"},
    {"welcome", "idSsbfc"},   {"ack", "idgsbfc"},       {"bye unknown", "idgGbfc"},
    {"bye limit", "idBBbfc"}, {"bye ahead", "idFFbfc"}, {"bad", "idBBbfc"},
    {"tail", "idgsbfc"},      {"new log", "idgGbfc"},   {"loaded", "idgsbfc"},
    {"timeout", "iBgGDfc"},   {"close", "CCCCCCc"},     {"progress", "idgsbfc"},
    {"not left", "iBBBDfc"},  {"move", "iBBBbfc"},      {"ask", "idgsbfc"},
    {"told", "idgsbfc"},
};

static tmb_session_state state_of(char letter)
{
    const char *letters = "IDGSBFC", *lower = "idgsbfc";
    for (unsigned i = 0; i < 7; i++) {
        if (letters[i] == letter || lower[i] == letter)
            return (tmb_session_state)i;
    }
    fail();
    return TMB_SESSION_IDLE;
}

static void give(scene *at, const char *event)
{
    if (strcmp(event, "start") == 0)
        on_start(at);
    else if (strcmp(event, "up") == 0)
        on_link(at, true, at->s.epoch);
    else if (strcmp(event, "down") == 0)
        on_link(at, false, at->s.epoch);
    else if (strcmp(event, "welcome") == 0)
        on_welcome(at, 0, 0);
    else if (strcmp(event, "ack") == 0)
        on_ack(at, 0, 5);
    else if (strcmp(event, "bye unknown") == 0)
        on_bye(at, TMB_BYE_UNKNOWN);
    else if (strcmp(event, "bye limit") == 0)
        on_bye(at, TMB_BYE_LIMIT);
    else if (strcmp(event, "bye ahead") == 0)
        on_bye(at, TMB_BYE_AHEAD);
    else if (strcmp(event, "bad") == 0)
        on_bad_frame(at);
    else if (strcmp(event, "tail") == 0)
        on_tail(at, 0, 1, 20);
    else if (strcmp(event, "new log") == 0)
        on_tail_of(at, 0, 2, 1, 1);
    else if (strcmp(event, "loaded") == 0 && at->s.lanes[1].load_ticket != 0)
        on_loaded(at, at->s.lanes[1].load_ticket, 1, 10);
    else if (strcmp(event, "close") == 0)
        on_close(at);
    else if (strcmp(event, "move") == 0)
        on_move(at, 0);
    else if (strcmp(event, "ask") == 0)
        on_ask(at, 1);
    else if (strcmp(event, "told") == 0)
        on_told(at, 1);
    else if (strcmp(event, "progress") == 0)
        on_progress(at, at->s.taken);
    else if (strcmp(event, "timeout") == 0) {
        on_all_taken(at);
        at->now_ms += 5000;
        on_timeout(at);
    } else if (strcmp(event, "not left") == 0) {
        at->now_ms += 5000;
        on_timeout(at);
    }
}

static void every_event_in_every_state(void **state)
{
    (void)state;
    for (unsigned row = 0; row < sizeof table / sizeof table[0]; row++) {
        for (unsigned column = TMB_SESSION_IDLE; column <= TMB_SESSION_CLOSED; column++) {
            scene at;
            bring_to(&at, (tmb_session_state)column);
            assert_int_equal(at.s.state, column);
            give(&at, table[row].event);
            tmb_session_state next = state_of(table[row].next[column]);
            if (at.s.state != next)
                print_error("%s in %s\n", table[row].event,
                            tmb_session_state_str((tmb_session_state)column));
            assert_int_equal(at.s.state, next);
            tmb_session_check(&at.s);
        }
    }
}

static void expect_invalid(scene *at, tmb_session_event *event)
{
    static tmb_session before;
    memcpy(&before, &at->s, sizeof before);
    at->actions.n = 99;
    assert_int_equal(tmb_session_step(&at->s, event, &at->actions), TMB_EINVAL);
    assert_int_equal(at->actions.n, 0);
    assert_memory_equal(&before, &at->s, sizeof before);
}

static void broken_contracts_change_nothing(void **state)
{
    (void)state;
    for (unsigned column = TMB_SESSION_IDLE; column <= TMB_SESSION_CLOSED; column++) {
        scene at;
        bring_to(&at, (tmb_session_state)column);
        tmb_session_event event = {.type = TMB_SESSION_TIMEOUT, .now = {-1}};
        expect_invalid(&at, &event); /* time goes back */
        event.now.ns = 0;
        event.type = TMB_SESSION_FRAME;
        event.u.frame = NULL;
        expect_invalid(&at, &event);
        event.type = TMB_SESSION_LINK_UP;
        event.epoch = at.s.epoch + 1;
        expect_invalid(&at, &event);
        event.type = TMB_SESSION_PROGRESS;
        event.u.taken = 0;
        expect_invalid(&at, &event);
        event.epoch = at.s.epoch;
        event.u.taken = at.s.sent + 1;
        expect_invalid(&at, &event);
        event.type = TMB_SESSION_TAIL;
        event.u.tail.stream = 2;
        event.u.tail.first_seq = 1;
        event.u.tail.last_seq = 1;
        expect_invalid(&at, &event);
        event.u.tail.stream = 0;
        event.u.tail.first_seq = 3;
        expect_invalid(&at, &event);
        event.u.tail.first_seq = 0;
        expect_invalid(&at, &event);
        event.u.tail.first_seq = 1;
        event.u.tail.last_seq = TMB_SEQ_MAX + 1;
        expect_invalid(&at, &event);
        event.type = TMB_SESSION_LOAD_FAILED;
        event.u.ticket = at.s.next_ticket;
        expect_invalid(&at, &event);
        event.u.ticket = 0;
        expect_invalid(&at, &event);
        event.type = (tmb_session_event_type)99;
        expect_invalid(&at, &event);
    }
}

static void progress_never_goes_back(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    on_loaded(&at, 1, 1, 5);
    on_progress(&at, 2);
    tmb_session_event event = {.type = TMB_SESSION_PROGRESS, .epoch = 1};
    event.u.taken = 1;
    expect_invalid(&at, &event);
    event.epoch = 0; /* of an old link: late, and no mistake */
    assert_string_equal(on_event(&at, &event), "");
}

static void a_load_must_start_where_it_was_asked(void **state)
{
    scene at;
    (void)state;
    scene_stream(&at, 10);
    tmb_session_event event = {.type = TMB_SESSION_LOADED};
    event.u.loaded.ticket = 1;
    event.u.loaded.first_seq = 2;
    event.u.loaded.last_seq = 10;
    expect_invalid(&at, &event);
    event.u.loaded.gap_first = 2;
    expect_invalid(&at, &event);
    event.u.loaded.first_seq = 3;
    expect_invalid(&at, &event);
    event.u.loaded.gap_first = 0;
    event.u.loaded.first_seq = 0;
    expect_invalid(&at, &event);
    event.u.loaded.ticket = 2;
    event.u.loaded.first_seq = 1;
    expect_invalid(&at, &event);
    assert_string_equal(on_loaded_gap(&at, 1, 1, 3, 10), "SEND_BATCH 1");
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(tmb_session_state_str(TMB_SESSION_FENCED), "fenced");
    assert_string_equal(tmb_session_state_str((tmb_session_state)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_state),
        cmocka_unit_test(broken_contracts_change_nothing),
        cmocka_unit_test(progress_never_goes_back),
        cmocka_unit_test(a_load_must_start_where_it_was_asked),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
