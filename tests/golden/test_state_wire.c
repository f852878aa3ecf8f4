// SPDX-License-Identifier: Apache-2.0
/* tests/golden/test_state_wire.c - what two nodes say to each other after a partition, to the byte.
 *
 * 100,000 leaves of about 120 bytes, 1,000 of them changed: the sum of all frames, both ways, is at most 1.10
 * times the leaves that differ and 1 KiB; the first of them is there after one round trip, and all is quiet
 * after two. Changes of one side, of both, removals; and ten removals that were forgotten, found by comparing
 * ranges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/state/world.h"

#define LEAVES  100000u
#define CHANGES 1000u
#define RTT_MS  100

static world w;
static unsigned line;

static void path_of(unsigned i, char out[32])
{
    snprintf(out, 32, "cell/%03u/%06u", i % 997, i);
}

/* Many operations of one node in one transaction. */
static void change(unsigned node, unsigned first, unsigned count, unsigned step, tmb_verb verb,
                   unsigned round)
{
    tmb_scope *scope = world_load(&w, node);
    for (unsigned k = 0; k < count; k++) {
        char path[32], value[96];
        unsigned i = (first + k * step) % LEAVES;
        tmb_bytes values[1];
        tmb_verdict verdict;
        path_of(i, path);
        snprintf(value, sizeof value, "%08x%016llx%064u", i * 2654435761u,
                 (unsigned long long)(i * 0x9e3779b97f4a7c15u), round);
        values[0] = tmb_bytes_of(value, 82);
        tmb_op op = {.verb = verb, .path = tmb_bytes_str(path), .values = values};
        op.scope = tmb_bytes_str("line-7");
        op.values_count = verb == TMB_VERB_SET ? 1 : 0;
        op.stamp.u64 = ++w.nodes[node].stamp;
        assert_int_equal(tmb_scope_apply(scope, &op, true, &verdict, NULL), TMB_OK);
        assert_int_equal(verdict, TMB_VERDICT_DONE);
    }
    world_save(&w, node);
}

/* Two nodes that have the same. */
static int set_up(void **state)
{
    (void)state;
    tmb_incarnation other = {{2, 2, 2}};
    world_init(&w, 2);
    line = world_join(&w, 0, 1);
    change(0, 0, LEAVES, 1, TMB_VERB_SET, 0);
    if (!kv_memory_copy(&w.nodes[1].disk, &w.nodes[0].disk))
        return 1;
    tmb_scope *scope = world_load(&w, 1);
    if (tmb_scope_reincarnate(scope, other, scope->last) != TMB_OK)
        return 1;
    world_save(&w, 1);
    world_up(&w, line, true);
    if (!world_run(&w, 60000) || !world_is_equal(&w, 0, 1))
        return 1;
    world_down(&w, line);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(&w);
    return 0;
}

typedef struct figures {
    uint64_t wire, leaves;
    int64_t first_ms, quiet_ms;
} figures;

static figures meet(bool both_speak)
{
    world_end *ends = w.lines[line].ends;
    int64_t begin_ms = w.now_ms;
    uint64_t came = w.came_bytes;
    world_up(&w, line, both_speak);
    assert_true(world_run(&w, 60000));
    assert_true(world_is_equal(&w, 0, 1));
    figures f = {.wire = ends[0].bytes + ends[1].bytes, .leaves = w.came_bytes - came};
    f.first_ms = ends[0].first_leaf_ms < 0                       ? ends[1].first_leaf_ms
                 : ends[1].first_leaf_ms < 0                     ? ends[0].first_leaf_ms
                 : ends[0].first_leaf_ms < ends[1].first_leaf_ms ? ends[0].first_leaf_ms
                                                                 : ends[1].first_leaf_ms;
    f.first_ms -= begin_ms;
    f.quiet_ms = w.last_ms - begin_ms;
    world_down(&w, line);
    w.now_ms += 1000;
    return f;
}

static void check(const char *what, figures f, uint64_t wire, uint64_t leaves)
{
    printf("golden.state.wire %-44s %7llu bytes on the wire, %7llu of leaves (%.4f), first after "
           "%3lld ms, "
           "quiet after %3lld ms\n",
           what, (unsigned long long)f.wire, (unsigned long long)f.leaves,
           (double)f.wire / (double)f.leaves, (long long)f.first_ms, (long long)f.quiet_ms);
    assert_true(f.wire <= f.leaves * 110 / 100 + 1024);
    assert_int_equal(f.wire, wire);
    assert_int_equal(f.leaves, leaves);
}

static void one_side_has_changed(void **state)
{
    (void)state;
    change(1, 17, CHANGES, 97, TMB_VERB_SET, 1);
    figures f = meet(true);
    assert_true(f.first_ms <= RTT_MS && f.quiet_ms <= 2 * RTT_MS);
    check("the child changed 1,000", f, 112356, 111856);
    change(0, 18, CHANGES, 97, TMB_VERB_SET, 2);
    f = meet(true);
    assert_true(f.first_ms <= RTT_MS && f.quiet_ms <= 2 * RTT_MS);
    check("the parent changed 1,000", f, 113546, 112983);
}

/* The parent need not say SCOPE first: what it changed is as fast; what the child did takes half a round trip
 * more. */
static void only_the_child_speaks_first(void **state)
{
    (void)state;
    change(0, 19, CHANGES, 97, TMB_VERB_SET, 3);
    figures f = meet(false);
    assert_true(f.first_ms <= RTT_MS && f.quiet_ms <= 2 * RTT_MS);
    check("the parent changed 1,000, and answers", f, 113593, 112983);
    change(1, 20, CHANGES, 97, TMB_VERB_SET, 4);
    f = meet(false);
    assert_true(f.first_ms <= RTT_MS * 3 / 2 && f.quiet_ms <= 2 * RTT_MS);
    check("the child changed 1,000, the parent answers", f, 112612, 111983);
}

static void both_sides_have_changed(void **state)
{
    (void)state;
    change(0, 21, CHANGES, 89, TMB_VERB_SET, 5);
    change(1, 21, CHANGES / 2, 2 * 89, TMB_VERB_SET, 6); /* half of them the same leaves */
    change(1, 22, CHANGES / 2, 89, TMB_VERB_SET, 6);
    figures f = meet(true);
    assert_true(f.first_ms <= RTT_MS && f.quiet_ms <= 2 * RTT_MS);
    check("both changed 1,000, half of them the same", f, 225709, 224859);
}

static void some_were_removed(void **state)
{
    (void)state;
    change(0, 23, CHANGES, 83, TMB_VERB_DEL, 7);
    figures f = meet(true);
    assert_true(f.first_ms <= RTT_MS && f.quiet_ms <= 2 * RTT_MS);
    check("the parent removed 1,000", f, 22449, 21837);
}

/* Ten removals that were forgotten while the child was away, beside a thousand changes. */
static void forgotten_removals_are_found(void **state)
{
    (void)state;
    change(0, 24, 10, 9973, TMB_VERB_DEL, 8);
    world_lapse(&w, 0);
    change(0, 29, CHANGES, 97, TMB_VERB_SET, 9);
    figures f = meet(true);
    assert_int_equal(w.lines[line].ends[0].reports[TMB_SYNC_REPORT_RANGED], 1);
    printf("golden.state.wire %-44s %7llu bytes on the wire, %7llu of leaves, first after %3lld "
           "ms, quiet after "
           "%3lld ms\n",
           "1,000 changed, 10 removals forgotten", (unsigned long long)f.wire,
           (unsigned long long)f.leaves, (long long)f.first_ms, (long long)f.quiet_ms);
    assert_true(f.first_ms <= RTT_MS);
    assert_true(f.wire <= f.leaves * 110 / 100 + 16384);
    assert_int_equal(f.wire, 120301);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_side_has_changed),
        cmocka_unit_test(only_the_child_speaks_first),
        cmocka_unit_test(both_sides_have_changed),
        cmocka_unit_test(some_were_removed),
        cmocka_unit_test(forgotten_removals_are_found),
    };
    return cmocka_run_group_tests_name("golden.state.wire", tests, set_up, tear_down);
}
