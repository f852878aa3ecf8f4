// SPDX-License-Identifier: Apache-2.0
/* Batches in pieces at a parent: what is kept, and how much of all children together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "syncd/daemon/join.h"

enum { MEMORY = 1000000, TOTAL = 800000, PIECE = 400000, CHILDREN = 3 };

static uint8_t data[2 * MEMORY];
static tmb_config config;
static tmb_daemon the_daemon;
static tmb_hub hub;
static tmb_child children[CHILDREN];

/* Of the program, which is not here; nothing asks for it. */
uint64_t tmb_daemon_seed(const tmb_daemon *d, uint64_t what)
{
    (void)d;
    return what;
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31 + i / 251);
    memset(&hub, 0, sizeof hub);
    memset(children, 0, sizeof children);
    config.children_memory = MEMORY;
    the_daemon.config = &config;
    hub.daemon = &the_daemon;
    hub.is_stopping = true; /* no timer for credits */
    for (unsigned i = 0; i < CHILDREN; i++) {
        tmb_child *child = &children[i];
        (void)snprintf(child->name, sizeof child->name, "s%u", i);
        child->hub = &hub;
        child->intake.state = TMB_INTAKE_OPEN;
        child->intake.version = 2;
        child->intake.lanes_count = 1;
        (void)snprintf(child->intake.lanes[0].stream, sizeof child->intake.lanes[0].stream, "main");
        HASH_ADD_STR(hub.children, name, child);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    HASH_CLEAR(hh, hub.children);
    for (unsigned i = 0; i < CHILDREN; i++)
        tmb_join_free(&children[i]);
    return 0;
}

/* Gives whether the machine gets it, and as a whole. */
static bool join(unsigned child, uint32_t offset, uint32_t len, uint32_t total, bool *ret_is_whole)
{
    tmb_batch batch = {.frame.type = TMB_FRAME_BATCH};
    tmb_frame_batch *b = &batch.frame.u.batch;
    b->stream = tmb_bytes_str("main");
    b->first_seq = b->last_seq = 1;
    b->piece_offset = offset;
    b->piece_total = total;
    b->piece_sum = tmb_crc32c(0, tmb_bytes_of(data, total));
    b->data = tmb_bytes_of(data + offset, len);
    bool is_given = tmb_join(&children[child], &batch);
    *ret_is_whole = is_given && b->piece_total == 0;
    if (*ret_is_whole)
        assert_memory_equal(b->data.ptr, data, total);
    free(batch.joined);
    return is_given;
}

static void all_pieces_make_the_batch(void **state)
{
    (void)state;
    bool is_whole = false;
    assert_false(join(0, 0, PIECE, TOTAL, &is_whole));
    assert_true(hub.joined_bytes >= PIECE);
    assert_true(join(0, PIECE, PIECE, TOTAL, &is_whole));
    assert_true(is_whole);
    assert_int_equal(hub.joined_bytes, 0);
}

static void pieces_of_all_are_bounded(void **state)
{
    (void)state;
    bool is_whole = false;
    assert_false(join(0, 0, PIECE, TOTAL, &is_whole));
    assert_true(join(1, 0, PIECE, TOTAL, &is_whole)); /* the machine asks for it again */
    assert_false(is_whole);
    assert_int_equal(children[1].pieces.slots[0].total, 0);
    assert_true(hub.joined_bytes <= MEMORY);
    assert_true(join(0, PIECE, PIECE, TOTAL, &is_whole) && is_whole); /* who was here goes on */
    assert_false(join(1, 0, PIECE, TOTAL, &is_whole));
    children[1].intake.state = TMB_INTAKE_IDLE; /* gone: what it had makes room */
    assert_false(join(2, 0, PIECE, TOTAL, &is_whole));
    assert_int_equal(children[1].pieces.slots[0].total, 0);
    assert_true(join(2, PIECE, PIECE, TOTAL, &is_whole) && is_whole);
    assert_int_equal(hub.joined_bytes, 0);
}

static void one_may_be_larger_than_all_that(void **state)
{
    (void)state;
    bool is_whole = false;
    assert_false(join(0, 0, MEMORY, 2 * MEMORY, &is_whole));
    assert_true(join(0, MEMORY, MEMORY, 2 * MEMORY, &is_whole) && is_whole);
    assert_int_equal(hub.joined_bytes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_pieces_make_the_batch),
        TEST(pieces_of_all_are_bounded),
        TEST(one_may_be_larger_than_all_that),
    };
    return cmocka_run_group_tests_name("unit.daemon.join", tests, NULL, NULL);
}
