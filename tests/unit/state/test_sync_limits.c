// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/test_sync_limits.c - the limits of the sync of a scope, reached: chunks that nobody has
 * acknowledged, answers that do not come, new incarnations of one session, rounds of a comparison, room of
 * its frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/state/world.h"

#define ANSWER_MS 1000 /* as in world.c */

static bool lose_stored(void *arg, unsigned from, const tmb_frame *frame)
{
    (void)arg;
    (void)from;
    return frame->type == TMB_FRAME_STORED;
}

static bool lose_all(void *arg, unsigned from, const tmb_frame *frame)
{
    (void)arg;
    (void)from;
    (void)frame;
    return true;
}

static void a_pass_waits_for_chunks_to_be_acknowledged(void **state)
{
    (void)state;
    world w;
    char path[16];
    world_init(&w, 2);
    w.chunk_bytes = 200;
    unsigned line = world_join(&w, 0, 1);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "k%u", i);
        world_set(&w, 0, path, "some value or other");
    }
    w.lines[line].loses = lose_stored;
    world_up(&w, line, false);
    assert_false(world_run(&w, ANSWER_MS - 100));
    assert_int_equal(w.lines[line].ends[0].leaves_frames, TMB_SYNC_CHUNKS_MAX);
    w.lines[line].loses = NULL;
    assert_true(world_run(&w, 120000));
    assert_true(w.lines[line].ends[0].leaves_frames > 2 * TMB_SYNC_CHUNKS_MAX);
    assert_true(world_is_equal(&w, 0, 1));
    world_free(&w);
}

static void answers_that_do_not_come_are_reported_once_and_waited_for_longer(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    unsigned line = world_join(&w, 0, 1);
    world_end *child = &w.lines[line].ends[1];
    world_set(&w, 0, "a", "1");
    w.lines[line].loses = lose_all;
    world_up(&w, line, false);
    assert_false(world_run(&w, ANSWER_MS * (TMB_SYNC_TRIES_MAX - 1)));
    assert_int_equal(child->reports[TMB_SYNC_REPORT_STUCK], 0);
    assert_false(world_run(&w, ANSWER_MS * 1000));
    assert_int_equal(child->reports[TMB_SYNC_REPORT_STUCK], 1);
    uint64_t frames = child->frames; /* from here on one in 32 times the wait */
    assert_false(world_run(&w, INT64_C(320) * ANSWER_MS));
    assert_int_equal(child->frames, frames + 10);
    w.lines[line].loses = NULL;
    assert_true(world_run(&w, INT64_C(40) * ANSWER_MS));
    assert_true(world_is_equal(&w, 0, 1));
    world_free(&w);
}

/* The machine alone; what jobs would say is made up here. */
typedef struct machine {
    tmb_sync sync;
    tmb_sync_room room;
    tmb_sync_actions actions;
    tmb_job_result result;
    tmb_frame frame;
} machine;

static void step(machine *m, tmb_sync_event event)
{
    assert_int_equal(tmb_sync_step(&m->sync, &event, &m->actions), TMB_OK);
}

/* Which job is asked for now. */
static tmb_job_kind asked(const machine *m)
{
    const tmb_sync_action *last = &m->actions.v[m->actions.n > 0 ? m->actions.n - 1 : 0];
    return m->actions.n > 0 && last->type == TMB_SYNC_JOB ? last->job.kind : TMB_JOB_NONE;
}

static unsigned told(const machine *m, tmb_sync_report what)
{
    unsigned count = 0;
    for (unsigned i = 0; i < m->actions.n; i++)
        count += m->actions.v[i].type == TMB_SYNC_REPORT && m->actions.v[i].report == what;
    return count;
}

/* The job under way is done: with a frame of type, if any, and what else was put into result. */
static void done(machine *m, tmb_frame_type type)
{
    m->frame.type = type;
    m->result.kind = (tmb_job_kind)m->sync.job;
    m->result.frames_count = type ? 1 : 0;
    m->result.frames[0] = &m->frame;
    step(m, (tmb_sync_event){.type = TMB_SYNC_DONE, .result = &m->result});
    memset(&m->result, 0, sizeof m->result);
}

static void hear(machine *m, const tmb_frame *frame)
{
    step(m, (tmb_sync_event){.type = TMB_SYNC_FRAME, .frame = frame});
}

static void open_machine(machine *m)
{
    tmb_sync_options options = {.may_write = true, .answer_ms = ANSWER_MS};
    memset(m, 0, sizeof *m);
    tmb_sync_init(&m->sync, "fleet", &options);
    m->sync.room = &m->room;
    step(m, (tmb_sync_event){.type = TMB_SYNC_OPEN, .session = 3, .speaks = true});
    assert_int_equal(asked(m), TMB_JOB_GREET);
}

static tmb_frame scope_of(const machine *m, uint32_t turn)
{
    tmb_frame frame = {.type = TMB_FRAME_SCOPE};
    frame.u.scope.session = 3;
    frame.u.scope.turn = turn;
    frame.u.scope.answers = m->sync.turn;
    return frame;
}

static void who_is_reborn_too_often_rests(void **state)
{
    (void)state;
    static machine m;
    open_machine(&m);
    for (uint32_t times = 1; times <= TMB_SYNC_REBIRTHS_MAX + 1; times++) {
        done(&m, TMB_FRAME_SCOPE);
        tmb_frame scope = scope_of(&m, times);
        hear(&m, &scope);
        assert_int_equal(asked(&m), TMB_JOB_MEET);
        m.result.is_reborn = true;
        done(&m, 0);
        bool is_last = times > TMB_SYNC_REBIRTHS_MAX;
        assert_int_equal(told(&m, TMB_SYNC_REPORT_REBORN), 1);
        assert_int_equal(told(&m, TMB_SYNC_REPORT_STUCK), is_last ? 1 : 0);
        assert_int_equal(asked(&m), is_last ? TMB_JOB_NONE : TMB_JOB_GREET);
    }
    assert_int_equal(m.sync.state, TMB_SYNC_RESTING);
    assert_true(tmb_sync_is_quiet(&m.sync));
}

static void a_comparison_without_an_end_is_given_up(void **state)
{
    (void)state;
    static machine m;
    open_machine(&m);
    done(&m, TMB_FRAME_SCOPE);
    tmb_frame scope = scope_of(&m, 1), ranges = {.type = TMB_FRAME_RANGES};
    hear(&m, &scope);
    m.result.is_below = m.result.has_all = true;
    done(&m, 0);
    assert_int_equal(asked(&m), TMB_JOB_SCAN);
    m.result.is_all = true; /* and nothing to send */
    done(&m, 0);
    ranges.u.ranges.session = 3;
    ranges.u.ranges.turn = m.sync.turn;
    unsigned rounds = 1;
    for (; asked(&m) == TMB_JOB_RANGES && rounds <= TMB_SYNC_ROUNDS_MAX; rounds++) {
        done(&m, TMB_FRAME_RANGES);
        assert_int_equal(told(&m, TMB_SYNC_REPORT_STUCK), 0);
        ranges.u.ranges.round = 2 * rounds - 1;
        hear(&m, &ranges);
    }
    assert_int_equal(rounds, TMB_SYNC_ROUNDS_MAX + 1);
    done(&m, TMB_FRAME_RANGES);
    assert_int_equal(told(&m, TMB_SYNC_REPORT_STUCK), 1);
    assert_int_equal(m.sync.state, TMB_SYNC_RESTING);
    assert_int_equal(m.sync.acked_out, m.sync.next_out); /* nothing was adopted, nothing waits */
}

/* A set that was removed and forgotten while the neighbour was away, with more keys than a RANGES holds. */
static void forget_a_set(unsigned path_bytes, unsigned element_bytes)
{
    world w;
    char path[TMB_PATH_BYTES_MAX + 1], element[TMB_ELEMENT_BYTES_MAX + 1];
    world_init(&w, 2);
    unsigned line = world_join(&w, 0, 1);
    memset(path, 'p', path_bytes);
    path[path_bytes] = 0;
    for (unsigned i = 0; i < 2 * TMB_RANGES_BYTES_MAX / element_bytes; i++) {
        memset(element, 'e', element_bytes);
        snprintf(element + element_bytes - 5, 6, "%05u", i % 100000);
        world_op(&w, 0, TMB_VERB_ADD, path, element, 0);
    }
    world_up(&w, line, false);
    assert_true(world_run(&w, 120000));
    world_down(&w, line);
    world_op(&w, 0, TMB_VERB_DEL, path, NULL, 0);
    world_lapse(&w, 0);
    world_up(&w, line, false);
    assert_true(world_run(&w, 120000));
    assert_int_equal(world_told(&w.lines[line], TMB_SYNC_REPORT_RANGED), 1);
    assert_int_equal(world_load(&w, 1)->fingerprint.leaves, 0);
    assert_true(world_is_equal(&w, 0, 1));
    world_free(&w);
}

static void a_comparison_goes_on_behind_the_longest_key(void **state)
{
    (void)state;
    forget_a_set(TMB_PATH_BYTES_MAX, TMB_ELEMENT_BYTES_MAX);
}

/* Of some of these the frame has room for a range's head, and for no key of it. */
static void keys_without_room_are_compared_in_the_next_go(void **state)
{
    (void)state;
    for (unsigned bytes = 956; bytes <= TMB_ELEMENT_BYTES_MAX; bytes += 4)
        forget_a_set(400, bytes);
}

/* Counters that both have counted at, removed and forgotten at one while the other was away; that one counts
 * on when so many frames have come. Its own totals come back, those of the other do not. False: it was quiet
 * before. */
static bool count_during_a_comparison(unsigned frames)
{
    enum { COUNTERS = 20 }; /* so few are told by ids, and asked for by them */
    world w;
    char path[16];
    world_init(&w, 2);
    unsigned line = world_join(&w, 0, 1);
    for (unsigned i = 0; i < 2 * COUNTERS; i++) {
        snprintf(path, sizeof path, "n/%u", i / 2);
        world_op(&w, i % 2, TMB_VERB_INC, path, NULL, 1);
    }
    world_up(&w, line, false);
    assert_true(world_run(&w, 120000));
    world_down(&w, line);
    world_op(&w, 0, TMB_VERB_DEL, "n", NULL, 0);
    world_lapse(&w, 0);
    w.stop_after = w.taken + frames;
    world_up(&w, line, false);
    bool is_amid = !world_run(&w, 120000);
    w.stop_after = 0;
    for (unsigned i = 0; i < COUNTERS; i++) {
        snprintf(path, sizeof path, "n/%u", i);
        world_op(&w, 1, TMB_VERB_INC, path, NULL, 1);
    }
    assert_true(world_run(&w, 120000));
    assert_true(world_is_equal(&w, 0, 1));
    assert_int_equal(world_load(&w, 0)->fingerprint.leaves, COUNTERS);
    world_free(&w);
    return is_amid;
}

static void what_changes_during_a_comparison_is_compared_again(void **state)
{
    (void)state;
    unsigned frames = 1;
    while (count_during_a_comparison(frames))
        frames++;
    assert_true(frames > 4);
}

/* One counter has the amounts of as many incarnations on each side as both together have no room for. */
static void count_as_many(world *w, unsigned node, uint8_t first)
{
    for (unsigned i = 0; i < TMB_SIBLINGS_MAX / 2 + 1; i++) {
        tmb_incarnation fresh = {{first, (uint8_t)i}};
        tmb_scope *scope = world_load(w, node);
        assert_int_equal(tmb_scope_reincarnate(scope, fresh, scope->last), TMB_OK);
        world_save(w, node);
        world_op(w, node, TMB_VERB_INC, "n", NULL, 1);
    }
}

/* What was refused by a limit is not asked for again before the next session, whoever has made room. */
static void who_was_refused_by_a_limit_rests_until_the_next_session(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 2; who++) {
        world w;
        world_init(&w, 2);
        unsigned line = world_join(&w, 0, 1);
        count_as_many(&w, 0, 1);
        count_as_many(&w, 1, 2);
        world_up(&w, line, false);
        assert_true(world_run(&w, 120000));
        for (unsigned side = 0; side < 2; side++) {
            const world_end *end = &w.lines[line].ends[side];
            assert_true(end->reports[TMB_SYNC_REPORT_REFUSED] > 0);
            assert_int_equal(end->sync.state, TMB_SYNC_RESTING);
        }
        world_op(&w, who, TMB_VERB_DEL, "n", NULL, 0);
        assert_true(world_run(&w, 120000));
        assert_false(world_is_equal(&w, 0, 1));
        world_down(&w, line);
        world_up(&w, line, false);
        assert_true(world_run(&w, 120000));
        assert_true(world_is_equal(&w, 0, 1));
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_waits_for_chunks_to_be_acknowledged),
        cmocka_unit_test(answers_that_do_not_come_are_reported_once_and_waited_for_longer),
        cmocka_unit_test(who_is_reborn_too_often_rests),
        cmocka_unit_test(a_comparison_without_an_end_is_given_up),
        cmocka_unit_test(a_comparison_goes_on_behind_the_longest_key),
        cmocka_unit_test(keys_without_room_are_compared_in_the_next_go),
        cmocka_unit_test(who_was_refused_by_a_limit_rests_until_the_next_session),
        cmocka_unit_test(what_changes_during_a_comparison_is_compared_again),
    };
    return cmocka_run_group_tests_name("unit.state.sync_limits", tests, NULL, NULL);
}
