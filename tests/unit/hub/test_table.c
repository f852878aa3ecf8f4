// SPDX-License-Identifier: Apache-2.0
/* Every event in every state: it moves where the table says and keeps the invariants (step asserts them); an
 * event that breaks the contract changes nothing, to the byte. */
#include "tests/unit/hub/transcript.h"

static void bring_to(scene *at, tmb_intake_state state)
{
    scene_init(at);
    if (state == TMB_INTAKE_IDLE)
        return;
    on_hello(at, 1);
    if (state == TMB_INTAKE_GREETING)
        return;
    on_marks(at, 1, 0, 0);
    on_batch(at, 1, "a", 1, 2);
    on_batch(at, 2, "a", 3, 4);
}

static void give(scene *at, unsigned row)
{
    tmb_frame ack = {.type = TMB_FRAME_ACK};
    switch (row) {
    case 0:
        on_hello(at, 2);
        break;
    case 1:
        on_marks(at, at->intake.session, 0, 0);
        break;
    case 2:
        on_batch(at, 3, "a", 5, 6);
        break;
    case 3:
        on_batch(at, 3, "c", 5, 6);
        break;
    case 4:
        on_bye(at, at->intake.session);
        break;
    case 5:
        on_frame(at, &ack, 0);
        break;
    case 6:
        on_plain(at, TMB_INTAKE_FRAME_BAD);
        break;
    case 7:
        on_stored(at, 1);
        break;
    case 8:
        on_store_failed(at, 1, false);
        break;
    case 9:
        on_store_failed(at, 1, true);
        break;
    default:
        on_plain(at, TMB_INTAKE_RESET);
        break;
    }
}

static void every_event_in_every_state(void **state)
{
    enum { I = TMB_INTAKE_IDLE, G = TMB_INTAKE_GREETING, O = TMB_INTAKE_OPEN };
    static const struct {
        const char *event;
        int next[3]; /* from IDLE, GREETING, OPEN */
    } table[] = {
        {"hello", {G, G, G}},        {"marks", {I, O, O}},
        {"batch", {I, G, O}},        {"batch of no lane", {I, G, I}},
        {"bye", {I, I, I}},          {"ack", {I, I, I}},
        {"bad frame", {I, I, I}},    {"stored", {I, G, O}},
        {"store failed", {I, G, O}}, {"store failed for ever", {I, G, I}},
        {"reset", {I, I, I}},
    };
    (void)state;
    for (unsigned row = 0; row < sizeof table / sizeof table[0]; row++) {
        for (unsigned column = 0; column < 3; column++) {
            scene at;
            bring_to(&at, (tmb_intake_state)column);
            assert_int_equal(at.intake.state, column);
            give(&at, row);
            if ((int)at.intake.state != table[row].next[column])
                print_error("%s in state %u\n", table[row].event, column);
            assert_int_equal(at.intake.state, table[row].next[column]);
            tmb_intake_check(&at.intake);
        }
    }
}

static void expect_invalid(scene *at, const tmb_intake_event *event)
{
    static tmb_intake before;
    memcpy(&before, &at->intake, sizeof before);
    at->actions.n = 99;
    assert_int_equal(tmb_intake_step(&at->intake, event, &at->actions), TMB_EINVAL);
    assert_int_equal(at->actions.n, 0);
    assert_memory_equal(&before, &at->intake, sizeof before);
}

static void broken_contracts_change_nothing(void **state)
{
    (void)state;
    for (unsigned column = 0; column < 3; column++) {
        scene at;
        bring_to(&at, (tmb_intake_state)column);
        tmb_intake_event event = {.type = TMB_INTAKE_FRAME};
        expect_invalid(&at, &event); /* no frame */
        tmb_frame batch = make_batch(1, "a", 5, 5);
        event.u.frame = &batch;
        expect_invalid(&at, &event); /* no ticket */
        event.type = TMB_INTAKE_STORED;
        expect_invalid(&at, &event);
        event.type = TMB_INTAKE_STORE_FAILED;
        expect_invalid(&at, &event);
        event.type = (tmb_intake_event_type)99;
        expect_invalid(&at, &event);
        at.now_ms = 5;
        on_plain(&at, TMB_INTAKE_RESET);
        event.type = TMB_INTAKE_RESET;
        event.now.ns = 4999999;
        expect_invalid(&at, &event); /* time goes back */
    }
}

static void answers_must_be_for_what_was_given_out(void **state)
{
    scene at;
    (void)state;
    bring_to(&at, TMB_INTAKE_OPEN);
    tmb_intake_event event = {.type = TMB_INTAKE_STORED, .ticket = 2};
    expect_invalid(&at, &event); /* it waits behind 1 */
    tmb_frame batch = make_batch(1, "a", 5, 5);
    event.type = TMB_INTAKE_FRAME;
    event.u.frame = &batch;
    expect_invalid(&at, &event); /* a ticket twice */
    event.ticket = 1;
    expect_invalid(&at, &event);
    on_hello(&at, 2);
    event = (tmb_intake_event){.type = TMB_INTAKE_MARKS};
    event.u.marks.session = 2;
    expect_invalid(&at, &event); /* no marks */
    uint64_t seqs[] = {0, TMB_SEQ_MAX + 1};
    event.u.marks.seqs = seqs;
    expect_invalid(&at, &event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_state),
        cmocka_unit_test(broken_contracts_change_nothing),
        cmocka_unit_test(answers_must_be_for_what_was_given_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
