// SPDX-License-Identifier: Apache-2.0
/* The cutter: every byte once and in order whatever the size of the pieces, going on where the parent is, and
 * never more frames told as taken than are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "syncd/daemon/cutter.h"

#define SIZE 50u

static tmb_load *make_load(uint64_t first_seq)
{
    tmb_load *load = calloc(1, sizeof *load);
    assert_non_null(load);
    load->packed = malloc(SIZE);
    assert_non_null(load->packed);
    for (unsigned i = 0; i < SIZE; i++)
        load->packed[i] = (uint8_t)(i * 7 + first_seq);
    load->batch.first_seq = first_seq;
    load->batch.last_seq = first_seq + 3;
    load->batch.data = tmb_bytes_of(load->packed, SIZE);
    return load;
}

static void order(tmb_cutter *cutter, unsigned stream, uint64_t first_seq)
{
    tmb_load *load = make_load(first_seq);
    cutter->frames++;
    assert_int_equal(tmb_cutter_add(cutter, stream, load, &load->batch), TMB_OK);
}

/* Sends one piece; gives its place. */
static uint32_t go(tmb_cutter *cutter, uint32_t piece_bytes, uint8_t *ret_bytes)
{
    tmb_frame_batch piece = tmb_cutter_next(cutter, piece_bytes);
    assert_true(piece.data.len <= piece_bytes && piece.data.len > 0);
    memcpy(ret_bytes + piece.piece_offset, piece.data.ptr, piece.data.len);
    cutter->messages++;
    uint32_t offset = piece.piece_offset;
    tmb_cutter_sent(cutter, (uint32_t)piece.data.len);
    return offset;
}

static void gives_all_bytes_in_order(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= SIZE; size++) {
        tmb_cutter cutter = {0};
        uint8_t got[SIZE] = {0};
        uint32_t next = 0;
        order(&cutter, 1, 5);
        assert_true(tmb_cutter_has(&cutter, 1) && !tmb_cutter_has(&cutter, 0));
        while (cutter.first) {
            assert_int_equal(go(&cutter, size, got), next);
            next += size;
        }
        tmb_load *same = make_load(5);
        assert_memory_equal(got, same->packed, SIZE);
        tmb_load_free(same);
    }
}

static void goes_on_where_the_parent_is(void **state)
{
    tmb_load *same = make_load(5);
    uint32_t sum = tmb_crc32c(0, tmb_bytes_of(same->packed, SIZE));
    (void)state;
    for (uint32_t here = 0; here < SIZE + 3; here++) {
        for (unsigned other = 0; other < 2; other++) {
            tmb_cutter cutter = {0};
            uint8_t got[SIZE];
            tmb_mark mark = {.seq = 4, .piece_bytes = here, .piece_sum = sum + other};
            tmb_cutter_note(&cutter, 1, &mark);
            order(&cutter, 1, 5);
            bool goes_on = other == 0 && here < SIZE;
            assert_int_equal(go(&cutter, 1, got), goes_on ? here : 0);
            tmb_cutter_begin(&cutter);
        }
    }
    tmb_load_free(same);
}

static void tells_no_more_as_taken_than_is(void **state)
{
    tmb_cutter cutter = {0};
    uint8_t got[SIZE];
    (void)state;
    cutter.frames = cutter.messages = 2; /* HELLO, a batch */
    assert_int_equal(tmb_cutter_taken(&cutter, 1), 1);
    order(&cutter, 0, 5);
    assert_int_equal(tmb_cutter_taken(&cutter, 2), 2);
    (void)go(&cutter, 30, got);
    cutter.frames++; /* an alarm between the pieces */
    cutter.messages++;
    assert_int_equal(tmb_cutter_taken(&cutter, 4), 2);
    (void)go(&cutter, 30, got);
    assert_null(cutter.first);
    cutter.frames++; /* and one behind them */
    cutter.messages++;
    assert_int_equal(tmb_cutter_taken(&cutter, 4), 2);
    assert_int_equal(tmb_cutter_taken(&cutter, 5), 4);
    assert_int_equal(tmb_cutter_taken(&cutter, 6), 5);
}

static void a_new_session_forgets_what_waits(void **state)
{
    tmb_cutter cutter = {0};
    uint8_t got[SIZE];
    (void)state;
    order(&cutter, 0, 5);
    order(&cutter, 1, 5);
    (void)go(&cutter, 10, got);
    tmb_mark mark = {.seq = 4};
    tmb_cutter_note(&cutter, 0, &mark); /* ACK(resend) for one */
    assert_false(tmb_cutter_has(&cutter, 0));
    assert_true(tmb_cutter_has(&cutter, 1));
    tmb_cutter_clear(&cutter); /* HELLO */
    assert_null(cutter.first);
    assert_int_equal(tmb_cutter_taken(&cutter, 1), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_all_bytes_in_order),
        cmocka_unit_test(goes_on_where_the_parent_is),
        cmocka_unit_test(tells_no_more_as_taken_than_is),
        cmocka_unit_test(a_new_session_forgets_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
