// SPDX-License-Identifier: Apache-2.0
/* tests/unit/proto/test_leaves.c - leaves on their way: what was put comes out, what breaks a rule does
 * not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/varint.h"
#include "proto/leaves.h"

static tmb_leaves_state putting, getting;
static tmb_leaf_item item, back;
static tmb_actors actors;

static tmb_incarnation actor(uint8_t which)
{
    tmb_incarnation incarnation;
    memset(incarnation.bytes, which, sizeof incarnation.bytes);
    return incarnation;
}

static void begin(void)
{
    putting.key_len = getting.key_len = 0;
    actors.count = 0;
}

static tmb_leaf_item element(const char *path, const char *elem, uint64_t seq)
{
    tmb_leaf_item it = {.key = {tmb_bytes_str(path), TMB_TYPE_AW_SET, tmb_bytes_str(elem)}};
    it.leaf.count = 1;
    it.leaf.entries[0] = (tmb_entry){{actor(1), seq}, {0}};
    return it;
}

static void keys_share_what_they_have_in_common(void **state)
{
    (void)state;
    uint8_t out[256];
    tmb_writer w = tmb_writer_of(out, sizeof out);
    begin();
    item = element("line/7/orders", "wo-1700", 1);
    assert_int_equal(tmb_leaves_put(&w, &putting, &actors, &item), TMB_OK);
    size_t first = (size_t)(w.at - out);
    item = element("line/7/orders", "wo-1701", 2);
    assert_int_equal(tmb_leaves_put(&w, &putting, &actors, &item), TMB_OK);
    assert_int_equal((size_t)(w.at - out) - first,
                     10); /* key 3, entry 4, none removed 1, extra 2 */
    tmb_reader r = tmb_reader_of(tmb_bytes_of(out, (size_t)(w.at - out)));
    assert_int_equal(tmb_leaves_get(&r, &getting, &actors, &back), TMB_OK);
    assert_int_equal(tmb_leaves_get(&r, &getting, &actors, &back), TMB_OK);
    assert_true(tmb_bytes_eq(back.key.path, tmb_bytes_str("line/7/orders")));
    assert_true(tmb_bytes_eq(back.key.elem, tmb_bytes_str("wo-1701")));
    assert_int_equal(back.leaf.entries[0].dot.seq, 2);
    assert_null(back.extra);
    assert_int_equal(tmb_leaves_get(&r, &getting, &actors, &back), TMB_EAGAIN);
}

static void no_room_changes_nothing(void **state)
{
    (void)state;
    uint8_t out[256];
    begin();
    item = element("a", "x", 1);
    tmb_writer w = tmb_writer_of(out, 5);
    assert_int_equal(tmb_leaves_put(&w, &putting, &actors, &item), TMB_ELIMIT);
    assert_true(w.bad);
    assert_ptr_equal(w.at, out);
    assert_int_equal(actors.count, 0);
    assert_int_equal(putting.key_len, 0);
    for (unsigned i = 0; i < TMB_ACTORS_MAX; i++) {
        unsigned number;
        tmb_incarnation other = actor(9);
        other.bytes[0] = (uint8_t)i;
        assert_int_equal(tmb_actors_number(&actors, &other, &number), TMB_OK);
        assert_int_equal(number, i);
    }
    w = tmb_writer_of(out, sizeof out);
    assert_int_equal(tmb_leaves_put(&w, &putting, &actors, &item), TMB_ELIMIT); /* one actor more */
    assert_int_equal(actors.count, TMB_ACTORS_MAX);
}

static void extra_context_travels(void **state)
{
    (void)state;
    uint8_t out[256];
    tmb_base base = {actor(1), 7};
    tmb_run runs[2] = {{actor(1), 9, 12}, {actor(2), 3, 3}};
    tmb_context extra = tmb_context_of(&base, 1, runs, 2);
    extra.bases_count = 1;
    extra.runs_count = 2;
    tmb_writer w = tmb_writer_of(out, sizeof out);
    begin();
    item = element("a", "x", 10);
    item.leaf.count = 0;
    item.removals_count = 1;
    item.removals[0] = (tmb_dot){actor(1), 12};
    item.extra = &extra;
    assert_int_equal(tmb_leaves_put(&w, &putting, &actors, &item), TMB_OK);
    tmb_reader r = tmb_reader_of(tmb_bytes_of(out, (size_t)(w.at - out)));
    assert_int_equal(tmb_leaves_get(&r, &getting, &actors, &back), TMB_OK);
    assert_non_null(back.extra);
    assert_true(tmb_context_eq(back.extra, &extra));
    assert_int_equal(back.removals_count, 1);
    assert_int_equal(back.removals[0].seq, 12);
    for (size_t cut = 1; cut < (size_t)(w.at - out); cut++) {
        r = tmb_reader_of(tmb_bytes_of(out, cut));
        getting.key_len = 0;
        assert_int_equal(tmb_leaves_get(&r, &getting, &actors, &back), TMB_ECORRUPT);
    }
}

/* Key bytes that are none. */
static void keys_are_looked_at(void **state)
{
    (void)state;
    uint8_t bytes[TMB_LEAF_KEY_BYTES_MAX + 8];
    tmb_leaf_key key;
    static const struct {
        const char *text;
        size_t len;
    } bad[] = {{"", 0},
               {"a", 1},
               {"a\0", 2},
               {"a\0\0", 3},
               {"a\0\x0c", 3},
               {"\0\x01", 2},
               {"/a\0\x01", 4},
               {"a/\0\x01", 4},
               {"a//b\0\1", 6},
               {"a/+\0\x01", 5},
               {"#\0\x01", 3},
               {"a#b/c\0\x01", 7},
               {"a\0\x01"
                "e",
                4},
               {"\xff\0\x01", 3}};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tmb_leaf_key_read(tmb_bytes_of(bad[i].text, bad[i].len), &key),
                         TMB_ECORRUPT);
    memset(bytes, 'p', sizeof bytes);
    for (size_t len = TMB_LEAF_PATH_BYTES_MAX; len <= TMB_LEAF_PATH_BYTES_MAX + 1; len++) {
        bytes[len] = 0;
        bytes[len + 1] = TMB_TYPE_AW_SET;
        bool is_good = len == TMB_LEAF_PATH_BYTES_MAX;
        for (size_t elem = TMB_LEAF_ELEM_BYTES_MAX; elem <= TMB_LEAF_ELEM_BYTES_MAX + 1; elem++)
            assert_int_equal(tmb_leaf_key_read(tmb_bytes_of(bytes, len + 2 + elem), &key),
                             is_good && elem == TMB_LEAF_ELEM_BYTES_MAX ? TMB_OK : TMB_ECORRUPT);
        memset(bytes, 'p', sizeof bytes);
    }
    static const char deep[] = "1/2/3/4/5/6/7/8/9/10/11/12\0\x01";
    assert_int_equal(tmb_leaf_key_read(tmb_bytes_of(deep, sizeof deep - 1), &key), TMB_OK);
    static const char deeper[] = "1/2/3/4/5/6/7/8/9/10/11/12/13\0\x01";
    assert_int_equal(tmb_leaf_key_read(tmb_bytes_of(deeper, sizeof deeper - 1), &key),
                     TMB_ECORRUPT);
}

/* key "a", aw_set, element "x", then these bytes. */
static tmb_err get(const void *rest, size_t len)
{
    uint8_t out[64] = {0, 4, 'a', 0, TMB_TYPE_AW_SET, 'x'};
    memcpy(out + 6, rest, len);
    tmb_reader r = tmb_reader_of(tmb_bytes_of(out, 6 + len));
    getting.key_len = 0;
    return tmb_leaves_get(&r, &getting, &actors, &back);
}

static void what_breaks_a_rule_is_refused(void **state)
{
    (void)state;
    actors.count = 2;
    actors.actors[0] = actor(1);
    actors.actors[1] = actor(2);
    assert_int_equal(get("\1\0\5\0\0\0\0", 7), TMB_OK);
    assert_int_equal(get("\1\2\5\0\0\0\0", 7), TMB_ECORRUPT);        /* an actor not said */
    assert_int_equal(get("\1\0\0\0\0\0\0", 7), TMB_ECORRUPT);        /* dot 0 */
    assert_int_equal(get("\2\0\5\0\0\5\0\0\0\0", 10), TMB_ECORRUPT); /* a dot twice */
    assert_int_equal(get("\2\1\5\0\0\5\0\0\0\0", 10), TMB_ECORRUPT); /* not in order */
    assert_int_equal(get("\1\0\5\1v\0\0\0", 8), TMB_ECORRUPT);       /* an element has no value */
    assert_int_equal(get("\1\0\5\0\1\0\5\0\0", 9), TMB_ECORRUPT);    /* there, and removed */
    assert_int_equal(get("\0\2\0\6\0\5\0\0", 8), TMB_ECORRUPT);      /* removals out of order */
    assert_int_equal(get("\0\0\2\0\0\1\0\2", 8), TMB_ECORRUPT);      /* extra, an actor twice */
    assert_int_equal(get("\0\0\0\2\0\3\4\0\5\6", 10), TMB_ECORRUPT); /* runs that touch */
    assert_int_equal(get("\x41", 1), TMB_ELIMIT);                    /* 65 entries */
    assert_int_equal(get("\0\x41", 2), TMB_ELIMIT);                  /* 65 removals */
    assert_int_equal(get("\0\0\x81\2\0", 5), TMB_ELIMIT);            /* 257 bases */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_share_what_they_have_in_common),
        cmocka_unit_test(no_room_changes_nothing),
        cmocka_unit_test(extra_context_travels),
        cmocka_unit_test(keys_are_looked_at),
        cmocka_unit_test(what_breaks_a_rule_is_refused),
    };
    return cmocka_run_group_tests_name("unit.proto.leaves", tests, NULL, NULL);
}
