// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_state_service.c - moments that come seldom, stepped by hand: a value or a sweep
 * that fails is tried again, what was said before a cut is cleared behind it, a device that falls silent
 * meanwhile shows so, a session that is older than the store is taken.
 */
#include "tests/unit/daemon/state_service.h"

#include "syncd/daemon/state_lane.h"
#include "syncd/daemon/state_members.h"
#include "syncd/daemon/state_peer.h"

#define QUIET_MS 100 /* longer than values wait for each other */

static void begin_and_come_up(scene *at)
{
    run_job(TMB_OK);
    assert_true(at->state->is_begun);
    come_up();
    go_on(at, QUIET_MS);
    assert_string_not_equal(kept("$tombolo/v1/state/mark"), "");
}

/* No second is told: what is tried again is so by itself. */
static void wait_for(scene *at, const char *topic, const char *payload)
{
    for (unsigned i = 0; i < 100 && strcmp(kept(topic), payload) != 0; i++)
        go_on(at, QUIET_MS);
    assert_string_equal(kept(topic), payload);
}

static void a_refused_value_is_said_again(void **state)
{
    scene *at = *state;
    begin_and_come_up(at);
    apply(at, TMB_VERB_SET, "press/speed", "80");
    wait_for_job(at);
    run_job(TMB_OK); /* gathered, and said */
    assert_string_equal(broker->sent[broker->sent_count - 1].topic, "state/line-7/press/speed");
    assert_true(take_message(0x97, true));
    assert_string_equal(kept("state/line-7/press/speed"), "");
    wait_for(at, "state/line-7/press/speed", "80"); /* though nothing else changes */
}

static void values_that_could_not_be_read_are_read_again(void **state)
{
    scene *at = *state;
    begin_and_come_up(at);
    apply(at, TMB_VERB_SET, "press/speed", "80");
    wait_for_job(at);
    run_job(TMB_EIO);
    wait_for(at, "state/line-7/press/speed", "80");
}

static int begin_with_protobuf(void **state)
{
    int err = begin(state);
    ((scene *)*state)->config.state.protobuf = true;
    return err;
}

static void what_was_said_before_a_cut_is_cleared(void **state)
{
    scene *at = *state;
    begin_and_come_up(at);
    apply(at, TMB_VERB_SET, "press/speed", "80");
    wait_for_job(at);
    run_job(TMB_OK);
    while (take_message(0, false)) { /* it has them, and nobody hears of it */
    }
    assert_string_not_equal(kept("state/line-7/press/speed/pb"), "");
    go_down();
    apply(at, TMB_VERB_DEL, "press/speed", NULL);
    come_up();
    go_on(at, QUIET_MS);
    assert_string_equal(kept("state/line-7/press/speed"), "");
    assert_string_equal(kept("state/line-7/press/speed/pb"), "");
}

/* Everything was said, then the broker lost one value and kept another that is gone since. */
static void lose_values(scene *at)
{
    apply(at, TMB_VERB_SET, "press/old", "1");
    go_on(at, QUIET_MS);
    sent old = broker->kept[0];
    for (unsigned i = 0; i < broker->kept_count; i++)
        if (strcmp(broker->kept[i].topic, "state/line-7/press/old") == 0)
            old = broker->kept[i];
    apply(at, TMB_VERB_SET, "press/speed", "80");
    apply(at, TMB_VERB_DEL, "press/old", NULL);
    go_on(at, QUIET_MS);
    go_down();
    broker->kept_count = 0;
    keep(&old);
    assert_string_equal(kept("state/line-7/press/old"), "1");
}

static bool is_mended(void)
{
    return strcmp(kept("state/line-7/press/speed"), "80") == 0 &&
           kept("state/line-7/press/old")[0] == '\0';
}

/* To the next job; what the broker retains is listed on the way. */
static void come_to_job(scene *at)
{
    while (!turn(at)) {
        if (broker->is_listing)
            tell_list();
        uv_sleep(1);
    }
}

static void fail_after(scene *at, unsigned jobs_before)
{
    lose_values(at);
    come_up();
    run_job(TMB_OK); /* that they are lost is known, and written down */
    for (unsigned i = 0; i < jobs_before; i++) {
        come_to_job(at);
        run_job(TMB_OK);
    }
    come_to_job(at);
    run_job(TMB_EIO);
    for (unsigned i = 0; i < 50 && !is_mended(); i++) {
        tmb_state_tick(at->state);
        go_on(at, QUIET_MS);
    }
    assert_true(is_mended());
}

/* Its jobs are one a scope, one behind the last scope, and one that looks at the list. */
static void a_sweep_that_fails_is_begun_again(void **state)
{
    scene *at = *state;
    begin_and_come_up(at);
    for (unsigned jobs_before = 0; jobs_before < 4; jobs_before++)
        fail_after(at, jobs_before);
}

static void second(scene *at)
{
    tmb_state_tick(at->state);
    go_on(at, QUIET_MS);
}

/* Between the silence and the second in which it is looked for, what the broker retains is looked through. */
static void what_is_looked_at_and_not_said_stays_due(void **state)
{
    scene *at = *state;
    static const char topic[] = "state/line-7/twin/a/delta";
    begin_and_come_up(at);
    second(at); /* twins of the run before: none */
    second(at);
    apply(at, TMB_VERB_SET, "twin/a/reported/every", "0.3");
    apply(at, TMB_VERB_SET, "twin/a/reported/online", "true");
    int64_t silent_ms = tmb_state_wall().ms + 3 * 300;
    go_on(at, QUIET_MS);
    assert_non_null(strstr(kept(topic), "\"seen\""));
    go_down();
    sent delta = broker->kept[0];
    for (unsigned i = 0; i < broker->kept_count; i++)
        if (strcmp(broker->kept[i].topic, topic) == 0)
            delta = broker->kept[i];
    broker->kept_count = 0;
    keep(&delta);
    come_up();
    broker->is_slow = true;
    go_on(at, QUIET_MS); /* said again, as online */
    broker->is_slow = false;
    while (tmb_state_wall().ms <= silent_ms)
        uv_sleep(1);
    go_on(at, QUIET_MS);
    second(at);
    second(at);
    assert_non_null(strstr(kept(topic), "\"online\":false"));
}

/* What is dirty stays so when a round ends before it. */
static void more_than_one_round_has_room_for_goes_with_the_next(void **state)
{
    scene *at = *state;
    char text[64];
    begin_and_come_up(at);
    for (unsigned i = 0; i < 600; i++) {
        (void)snprintf(text, sizeof text, "n/%u", i);
        apply(at, TMB_VERB_SET, text, "1");
    }
    go_on(at, QUIET_MS);
    for (unsigned i = 0; i < 600; i++) {
        (void)snprintf(text, sizeof text, "state/line-7/n/%u", i);
        assert_string_equal(kept(text), "1");
    }
}

/* The disk fails in the second in which a device falls silent. */
static void who_falls_silent_while_the_store_fails_shows_so_later(void **state)
{
    scene *at = *state;
    static const char topic[] = "state/line-7/twin/a/delta";
    begin_and_come_up(at);
    second(at); /* twins of the run before: none */
    second(at);
    apply(at, TMB_VERB_SET, "twin/a/reported/every", "0.3");
    apply(at, TMB_VERB_SET, "twin/a/reported/online", "true");
    int64_t silent_ms = tmb_state_wall().ms + 3 * 300;
    go_on(at, QUIET_MS);
    assert_non_null(strstr(kept(topic), "\"seen\""));
    while (tmb_state_wall().ms <= silent_ms)
        uv_sleep(1);
    tmb_state_tick(at->state);
    while (pool->first)
        run_job(TMB_EIO);
    second(at);
    second(at);
    assert_non_null(strstr(kept(topic), "\"online\":false"));
}

static void ask(unsigned number)
{
    char text[64];
    (void)snprintf(text, sizeof text, "{\"id\":\"%u\",\"do\":\"neighbours\",\"scope\":\"*\"}",
                   number);
    broker->options.asked(broker->options.arg, tmb_bytes_str(text));
}

/* The last that was told to the ask; "": nothing. */
static const char *told(unsigned number)
{
    char topic[64];
    const char *payload = "";
    (void)snprintf(topic, sizeof topic, "$tombolo/v1/state/told/%u", number);
    for (unsigned i = 0; i < broker->sent_count; i++)
        if (strcmp(broker->sent[i].topic, topic) == 0)
            payload = broker->sent[i].payload;
    return payload;
}

static void one_ask_too_many_is_told_to_come_again(void **state)
{
    scene *at = *state;
    begin_and_come_up(at);
    for (unsigned i = 0; i <= TMB_STATE_ASKS_MAX; i++)
        ask(i);
    assert_string_equal(told(TMB_STATE_ASKS_MAX - 1), "");
    assert_non_null(strstr(told(TMB_STATE_ASKS_MAX), "\"busy\""));
    go_on(at, QUIET_MS);
    for (unsigned i = 0; i < TMB_STATE_ASKS_MAX; i++)
        assert_non_null(strstr(told(i), "\"end\":true"));
    ask(TMB_STATE_ASKS_MAX);
    go_on(at, QUIET_MS);
    assert_null(strstr(told(TMB_STATE_ASKS_MAX), "\"busy\""));
}

/* ---- another configuration ---- */

/* The daemon alone: the broker retains what it did. */
static void start_again(scene *at)
{
    tmb_state_link *before = malloc(sizeof *before);
    assert_non_null(before);
    *before = *broker;
    kill_service(at);
    start_service(at);
    memcpy(broker->kept, before->kept, sizeof before->kept);
    broker->kept_count = before->kept_count;
    free(before);
    begin_and_come_up(at);
}

static void say_speed(scene *at)
{
    begin_and_come_up(at);
    apply(at, TMB_VERB_SET, "press/speed", "80");
    go_on(at, QUIET_MS);
    assert_string_equal(kept("state/line-7/press/speed"), "80");
}

static void below_another_root_are_all_values(void **state)
{
    static char other[] = "st";
    scene *at = *state;
    say_speed(at);
    at->config.state.root = other;
    start_again(at);
    assert_string_equal(kept("st/line-7/press/speed"), "80");
    assert_string_equal(kept("state/line-7/press/speed"), "80");
}

static void in_another_form_are_all_values(void **state)
{
    scene *at = *state;
    say_speed(at);
    at->config.state.protobuf = true;
    start_again(at);
    assert_string_not_equal(kept("state/line-7/press/speed/pb"), "");
    at->config.state.protobuf = false;
    at->config.state.value_max = 1;
    start_again(at);
    assert_string_equal(kept("state/line-7/press/speed/pb"), "");
    assert_non_null(strstr(kept("state/line-7/press/speed"), "too_large"));
}

/* And all of it, when the scope is held again. */
static void of_a_scope_that_is_not_held_any_more_nothing_is_said(void **state)
{
    scene *at = *state;
    say_speed(at);
    memcpy(at->config.state.scopes.v[0].text, "other", sizeof "other");
    start_again(at);
    assert_string_equal(kept("state/line-7/press/speed"), "80");
    broker->kept_count = 0;
    start_again(at);
    assert_string_equal(kept("state/line-7/press/speed"), "");
    memcpy(at->config.state.scopes.v[0].text, own_name, sizeof own_name);
    start_again(at);
    assert_string_equal(kept("state/line-7/press/speed"), "80");
}

static void in_the_same_configuration_nothing_is_said_again(void **state)
{
    scene *at = *state;
    say_speed(at);
    start_again(at);
    for (unsigned i = 0; i < broker->sent_count; i++)
        assert_string_not_equal(broker->sent[i].topic, "state/line-7/press/speed");
}

/* One flush older than the broker, as if the commit behind it had been cut off. */
static void of_an_older_store_all_values_are_said(void **state)
{
    scene *at = *state;
    kv_memory older = {0};
    say_speed(at);
    assert_true(kv_memory_copy(&older, &pool->disk));
    apply(at, TMB_VERB_SET, "press/speed", "90");
    go_on(at, QUIET_MS);
    assert_string_equal(kept("state/line-7/press/speed"), "90");
    kv_memory_free(&pool->disk);
    pool->disk = older;
    is_moved = true;
    start_again(at);
    is_moved = false;
    assert_string_equal(kept("state/line-7/press/speed"), "80");
}

/* ---- a session is there before the store ---- */

static unsigned frames;

static bool count_frame(void *arg, tmb_bytes frame)
{
    (void)arg;
    frames += frame.len > 0;
    return true;
}

static bool has_room(void *arg)
{
    (void)arg;
    return true;
}

static uint32_t chunk_bytes(void *arg)
{
    (void)arg;
    return TMB_STATE_CHUNK_BYTES;
}

static tmb_state_peer *meet_parent(scene *at)
{
    tmb_state_peer *peer;
    tmb_state_peer_options options = {.name = "hub",
                                      .is_parent = true,
                                      .send = count_frame,
                                      .has_room = has_room,
                                      .chunk_bytes = chunk_bytes};
    frames = 0;
    assert_int_equal(tmb_state_peer_new(at->state, &options, &peer), TMB_OK);
    return peer;
}

static void a_session_that_is_older_than_the_store_is_taken(void **state)
{
    scene *at = *state;
    tmb_state_peer *peer = meet_parent(at);
    tmb_state_peer_look(peer, 7);
    assert_false(at->state->is_begun);
    go_on(at, QUIET_MS);
    assert_true(at->state->is_begun);
    assert_int_equal(frames, 1);
}

/* The hub's SCOPE of that turn, which answers ours of the same. */
static void hear_hub(tmb_state_peer *peer, uint32_t turn)
{
    tmb_frame frame = {.type = TMB_FRAME_SCOPE};
    frame.u.scope = (tmb_frame_scope){.session = 7, .turn = turn, .answers = turn, .self = {{9}}};
    frame.u.scope.scope = tmb_bytes_str(own_name);
    frame.u.scope.wall_ms = (uint64_t)tmb_state_wall().ms - 3600000; /* its clock; ours is ahead */
    tmb_state_peer_frame(peer, &frame, malloc(1));
}

static bool has_told(const char *topic, const char *word)
{
    for (unsigned i = 0; i < broker->sent_count; i++)
        if (strcmp(broker->sent[i].topic, topic) == 0 && strstr(broker->sent[i].payload, word))
            return true;
    return false;
}

static void seconds(scene *at, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        tmb_state_tick(at->state);
        go_on(at, 1);
    }
}

static void retire_hub(scene *at, const char *id)
{
    char text[128];
    (void)snprintf(text, sizeof text,
                   "{\"id\":\"%s\",\"do\":\"retire\",\"scope\":\"line-7\",\"neighbour\":\"hub\"}",
                   id);
    broker->options.asked(broker->options.arg, tmb_bytes_str(text));
    go_on(at, QUIET_MS);
}

/* One with a session is asked, and has some seconds to answer. */
static void who_answers_in_time_is_not_retired(void **state)
{
    scene *at = *state;
    begin_and_come_up(at);
    tmb_state_peer *peer = meet_parent(at);
    tmb_state_peer_look(peer, 7);
    go_on(at, QUIET_MS);
    hear_hub(peer, 1);
    go_on(at, QUIET_MS);
    retire_hub(at, "a");
    seconds(at, TMB_STATE_ALIVE_TICKS - 1);
    assert_false(has_told("$tombolo/v1/state/told/a", "verdict"));
    hear_hub(peer, 2);
    seconds(at, 2);
    assert_true(has_told("$tombolo/v1/state/told/a", "\"connected\""));
    retire_hub(at, "b"); /* and now it says nothing */
    seconds(at, TMB_STATE_ALIVE_TICKS + 2);
    assert_true(has_told("$tombolo/v1/state/told/b", "\"retired\""));
}

static tmb_member state_of_hub(scene *at)
{
    static tmb_neighbour hub;
    assert_int_equal(tmb_state_load(at->state, &pool->kv, tmb_bytes_str(own_name)), TMB_OK);
    assert_int_equal(tmb_scope_neighbour_get(&at->state->scope, tmb_bytes_str("hub"), &hub),
                     TMB_OK);
    return hub.state;
}

/* A parent teaches the time to a box that is ahead of it by more than lapse_after. */
static void who_was_heard_just_now_does_not_lapse_by_a_wrong_clock(void **state)
{
    scene *at = *state;
    tmb_state_peer *peer = meet_parent(at);
    at->config.state.lapse_after_ms = 600000;
    tmb_state_peer_look(peer, 7);
    go_on(at, QUIET_MS);
    hear_hub(peer, 1);
    go_on(at, QUIET_MS);
    assert_int_equal(state_of_hub(at), TMB_MEMBER_ACTIVE);
    seconds(at, 120);
    assert_int_equal(state_of_hub(at), TMB_MEMBER_ACTIVE);
}

/* Which tells the time as of now, and not as of halfway since we last spoke. */
static void a_parent_that_speaks_first_teaches_no_time(void **state)
{
    scene *at = *state;
    tmb_state_peer *peer = meet_parent(at);
    tmb_state_peer_look(peer, 7);
    go_on(at, QUIET_MS);
    hear_hub(peer, 1);
    go_on(at, QUIET_MS);
    int64_t offset_ms = at->state->clock.offset_ms;
    assert_in_range(-offset_ms, 3600000 - 60000, 3600000 + 60000);
    peer->lanes->asked_ms -= 6 * 3600000; /* six hours later */
    tmb_frame frame = {.type = TMB_FRAME_SCOPE};
    frame.u.scope = (tmb_frame_scope){.session = 7, .turn = 2, .self = {{9}}};
    frame.u.scope.scope = tmb_bytes_str(own_name);
    frame.u.scope.wall_ms = (uint64_t)tmb_state_wall().ms - 3600000;
    tmb_state_peer_frame(peer, &frame, malloc(1));
    go_on(at, QUIET_MS);
    assert_int_equal(at->state->clock.offset_ms, offset_ms);
}

static void a_session_that_ended_before_the_store_was_there_is_not(void **state)
{
    scene *at = *state;
    tmb_state_peer *peer = meet_parent(at);
    tmb_state_peer_look(peer, 7);
    tmb_state_peer_look(peer, 0);
    go_on(at, QUIET_MS);
    assert_true(at->state->is_begun);
    assert_int_equal(frames, 0);
}

/* A child's SCOPE, as it says it once and then waits for an answer. */
static void hear_child(tmb_state_peer *peer)
{
    tmb_frame frame = {.type = TMB_FRAME_SCOPE};
    frame.u.scope = (tmb_frame_scope){.session = 7, .turn = 1, .self = {{2}}};
    frame.u.scope.scope = tmb_bytes_str("s2");
    tmb_state_peer_frame(peer, &frame, malloc(1));
}

static tmb_state_peer *meet_child(scene *at)
{
    tmb_state_peer *peer;
    tmb_state_peer_options options = {
        .name = "s2", .send = count_frame, .has_room = has_room, .chunk_bytes = chunk_bytes};
    frames = 0;
    at->config.state.scopes.count = 2;
    memcpy(at->config.state.scopes.v[1].text, "s2", sizeof "s2");
    assert_int_equal(tmb_state_peer_new(at->state, &options, &peer), TMB_OK);
    return peer;
}

static void a_greeting_that_came_before_the_store_is_answered(void **state)
{
    scene *at = *state;
    tmb_state_peer *peer = meet_child(at);
    tmb_state_peer_look(peer, 7);
    hear_child(peer);
    go_on(at, QUIET_MS);
    assert_int_equal(frames, 1);
}

static void a_greeting_of_a_session_that_is_over_is_not(void **state)
{
    scene *at = *state;
    tmb_state_peer *peer = meet_child(at);
    tmb_state_peer_look(peer, 7);
    hear_child(peer);
    tmb_state_peer_look(peer, 8);
    go_on(at, QUIET_MS);
    assert_int_equal(frames, 0);
    tmb_state_peer_look(peer, 7);
    hear_child(peer);
    go_on(at, QUIET_MS);
    assert_int_equal(frames, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_session_that_is_older_than_the_store_is_taken, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_parent_that_speaks_first_teaches_no_time, begin, end),
        cmocka_unit_test_setup_teardown(who_answers_in_time_is_not_retired, begin, end),
        cmocka_unit_test_setup_teardown(who_was_heard_just_now_does_not_lapse_by_a_wrong_clock,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_session_that_ended_before_the_store_was_there_is_not,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_greeting_that_came_before_the_store_is_answered, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_greeting_of_a_session_that_is_over_is_not, begin, end),
        cmocka_unit_test_setup_teardown(a_refused_value_is_said_again, begin, end),
        cmocka_unit_test_setup_teardown(values_that_could_not_be_read_are_read_again, begin, end),
        cmocka_unit_test_setup_teardown(what_was_said_before_a_cut_is_cleared, begin_with_protobuf,
                                        end),
        cmocka_unit_test_setup_teardown(a_sweep_that_fails_is_begun_again, begin, end),
        cmocka_unit_test_setup_teardown(what_is_looked_at_and_not_said_stays_due, begin, end),
        cmocka_unit_test_setup_teardown(one_ask_too_many_is_told_to_come_again, begin, end),
        cmocka_unit_test_setup_teardown(more_than_one_round_has_room_for_goes_with_the_next, begin,
                                        end),
        cmocka_unit_test_setup_teardown(who_falls_silent_while_the_store_fails_shows_so_later,
                                        begin, end),
        cmocka_unit_test_setup_teardown(below_another_root_are_all_values, begin, end),
        cmocka_unit_test_setup_teardown(in_another_form_are_all_values, begin, end),
        cmocka_unit_test_setup_teardown(of_a_scope_that_is_not_held_any_more_nothing_is_said, begin,
                                        end),
        cmocka_unit_test_setup_teardown(in_the_same_configuration_nothing_is_said_again, begin,
                                        end),
        cmocka_unit_test_setup_teardown(of_an_older_store_all_values_are_said, begin, end),
    };
    return cmocka_run_group_tests_name("unit.daemon.state_service", tests, NULL, NULL);
}
