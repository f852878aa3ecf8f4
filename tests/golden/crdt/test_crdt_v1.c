// SPDX-License-Identifier: Apache-2.0
/* tests/golden/crdt/test_crdt_v1.c - leaves of every type and contexts as version 1 has them: test DIRECTORY.
 *
 * Replicas compare these bytes, and fingerprints are taken of them: a build that makes others than are stored
 * would find differences where there are none. `test DIRECTORY make` writes what is not there yet, and never
 * over what is.
 */
#include "tests/unit/crdt/replica.h"

#define BYTES_MAX 4096

typedef struct step {
    uint8_t who; /* 1 or 2; MEET: they join; 0: the end */
    tmb_verb verb;
    uint64_t amount, stamp;
    const char *text;
} step;

#define STEPS_MAX 6
#define MEET      3

static const struct {
    const char *file;
    tmb_type type;
    step steps[STEPS_MAX];
} leaves[] = {
    {"register.bin",
     TMB_TYPE_REGISTER,
     {{1, TMB_VERB_SET, 0, UINT64_C(0x018bcfe568000001), "21.5"},
      {2, TMB_VERB_SET, 0, UINT64_C(0x018bcfe568000000), ""},
      {MEET, TMB_VERB_NONE, 0, 0, NULL}}},
    {"g_counter.bin",
     TMB_TYPE_G_COUNTER,
     {{1, TMB_VERB_COUNT, 5, 0, NULL},
      {1, TMB_VERB_COUNT, 300, 0, NULL},
      {2, TMB_VERB_COUNT, UINT64_C(1) << 40, 0, NULL},
      {MEET, TMB_VERB_NONE, 0, 0, NULL}}},
    {"pn_counter.bin",
     TMB_TYPE_PN_COUNTER,
     {{1, TMB_VERB_INC, 200, 0, NULL},
      {2, TMB_VERB_DEC, 7, 0, NULL},
      {MEET, TMB_VERB_NONE, 0, 0, NULL},
      {2, TMB_VERB_RESET, 0, 0, NULL},
      {MEET, TMB_VERB_NONE, 0, 0, NULL}}},
    {"aw_set.bin",
     TMB_TYPE_AW_SET,
     {{1, TMB_VERB_ADD, 0, 0, NULL},
      {2, TMB_VERB_ADD, 0, 0, NULL},
      {MEET, TMB_VERB_NONE, 0, 0, NULL}}},
    {"rw_set.bin",
     TMB_TYPE_RW_SET,
     {{1, TMB_VERB_ADMIT, 0, 0, NULL},
      {2, TMB_VERB_REVOKE, 0, 0, NULL},
      {MEET, TMB_VERB_NONE, 0, 0, NULL}}},
    {"g_set.bin", TMB_TYPE_G_SET, {{2, TMB_VERB_INSERT, 0, 0, NULL}}},
    {"ew_flag.bin",
     TMB_TYPE_EW_FLAG,
     {{1, TMB_VERB_ENABLE, 0, 0, NULL},
      {MEET, TMB_VERB_NONE, 0, 0, NULL},
      {1, TMB_VERB_DISABLE, 0, 0, NULL},
      {2, TMB_VERB_ENABLE, 0, 0, NULL},
      {MEET, TMB_VERB_NONE, 0, 0, NULL}}},
    {"dw_flag.bin",
     TMB_TYPE_DW_FLAG,
     {{1, TMB_VERB_PERMIT, 0, 0, NULL},
      {2, TMB_VERB_FORBID, 0, 0, NULL},
      {MEET, TMB_VERB_NONE, 0, 0, NULL}}},
    {"max_register.bin",
     TMB_TYPE_MAX,
     {{1, TMB_VERB_RAISE, 0, 0, "\xc0\x35\x80"},
      {2, TMB_VERB_RAISE, 0, 0, "\xc0\x36"},
      {MEET, TMB_VERB_NONE, 0, 0, NULL}}},
    {"min_register.bin", TMB_TYPE_MIN, {{1, TMB_VERB_LOWER, 0, 0, "\x3f"}}},
    {"map.bin", TMB_TYPE_MAP, {{1, TMB_VERB_NEW, 0, 0, NULL}, {1, TMB_VERB_NEW, 0, 0, NULL}}},
    {"empty.bin", TMB_TYPE_AW_SET, {{1, TMB_VERB_ADD, 0, 0, NULL}, {1, TMB_VERB_RM, 0, 0, NULL}}},
};
#define LEAVES (sizeof leaves / sizeof *leaves)

static replica one, two;
static const char *directory;

static void play(size_t which)
{
    replica_begin(&one, leaves[which].type, 0xa1);
    replica_begin(&two, leaves[which].type, 0xb2);
    for (unsigned i = 0; i < STEPS_MAX && leaves[which].steps[i].who != 0; i++) {
        const step *s = &leaves[which].steps[i];
        if (s->who == MEET) {
            replica_join(&one, &two);
            replica_join(&two, &one);
            continue;
        }
        tmb_change change = {.verb = s->verb, .amount = s->amount, .stamp = {s->stamp}};
        change.value = s->text ? tmb_bytes_str(s->text) : tmb_bytes_of(NULL, 0);
        assert_true(replica_change(s->who == 1 ? &one : &two, &change));
    }
    if (one.last == 0)
        replica_join(&one, &two);
}

/* A leaf, and behind it the clock that has seen it. */
static size_t leaf_bytes(size_t which, uint8_t *out)
{
    play(which);
    tmb_writer w = tmb_writer_of(out, BYTES_MAX);
    tmb_leaf_write(&w, &one.leaf);
    tmb_context_put(&w, &one.clock);
    assert_false(w.bad);
    return (size_t)(w.at - out);
}

static size_t context_bytes(uint8_t *out)
{
    static tmb_context_room room;
    tmb_context c = tmb_context_in(&room);
    tmb_incarnation a = actor(0xa1), b = actor(0xb2), d = actor(0xd4);
    assert_int_equal(tmb_context_add_run(&c, &b, 3, 4), TMB_OK);
    assert_int_equal(tmb_context_add_run(&c, &a, 1, 300), TMB_OK);
    assert_int_equal(tmb_context_add_run(&c, &b, 9, 200000), TMB_OK);
    assert_int_equal(tmb_context_add_run(&c, &d, 1, TMB_SEQ_MAX), TMB_OK);
    assert_int_equal(tmb_context_add_run(&c, &b, 1, 1), TMB_OK);
    tmb_writer w = tmb_writer_of(out, BYTES_MAX);
    tmb_context_put(&w, &c);
    assert_false(w.bad);
    return (size_t)(w.at - out);
}

static FILE *open_file(const char *file, const char *how)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    return fopen(path, how);
}

static size_t stored(const char *file, uint8_t *out)
{
    FILE *in = open_file(file, "rb");
    assert_non_null(in);
    size_t len = fread(out, 1, BYTES_MAX, in);
    fclose(in);
    return len;
}

static void leaves_are_what_they_were(void **state)
{
    (void)state;
    uint8_t made[BYTES_MAX], kept[BYTES_MAX];
    for (size_t i = 0; i < LEAVES; i++) {
        size_t len = stored(leaves[i].file, kept);
        assert_int_equal(leaf_bytes(i, made), len);
        assert_memory_equal(made, kept, len);
        static tmb_context_room room;
        tmb_context clock = tmb_context_in(&room);
        tmb_leaf leaf;
        tmb_reader r = tmb_reader_of(tmb_bytes_of(kept, len));
        assert_int_equal(tmb_leaf_read(&r, &leaf), TMB_OK);
        assert_int_equal(tmb_context_get(&r, &clock), TMB_OK);
        assert_int_equal(tmb_reader_left(&r), 0);
        for (unsigned j = 0; j < leaf.count; j++)
            assert_true(tmb_type_is_value_valid(leaves[i].type, leaf.entries[j].value));
    }
}

static void contexts_are_what_they_were(void **state)
{
    (void)state;
    uint8_t made[BYTES_MAX], kept[BYTES_MAX];
    size_t len = stored("context.bin", kept);
    assert_int_equal(context_bytes(made), len);
    assert_memory_equal(made, kept, len);
}

static void values_read_as_they_did(void **state)
{
    (void)state;
    play(0);
    assert_true(
        tmb_bytes_eq(tmb_register_bytes(tmb_register_read(&one.leaf)), tmb_bytes_str("21.5")));
    assert_int_equal(one.leaf.count, 2);
    play(1);
    assert_true(tmb_counter_read(TMB_TYPE_G_COUNTER, &one.leaf, NULL) == (INT64_C(1) << 40) + 305);
    play(2);
    assert_int_equal(tmb_counter_read(TMB_TYPE_PN_COUNTER, &one.leaf, NULL), 0);
    const bool is_in[] = {true, false, true, true, false}; /* sets, then flags */
    for (size_t i = 0; i < sizeof is_in / sizeof *is_in; i++) {
        play(3 + i);
        assert_int_equal(tmb_type_is_in(leaves[3 + i].type, &one.leaf), is_in[i]);
    }
    play(8);
    assert_int_equal(tmb_extreme_read(TMB_TYPE_MAX, &one.leaf)->value.len, 2);
    play(LEAVES - 1);
    assert_int_equal(one.leaf.count, 0);
}

static void make(const char *file, const uint8_t *bytes, size_t len)
{
    FILE *to = open_file(file, "wbx");
    if (!to) {
        printf("%s: there already, or not writable; left alone\n", file);
        return;
    }
    TMB_ASSERT(fwrite(bytes, 1, len, to) == len);
    TMB_ASSERT(fclose(to) == 0);
    printf("%s: %zu bytes\n", file, len);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s DIRECTORY [make]\n", argv[0]);
        return 2;
    }
    directory = argv[1];
    if (argc == 3) {
        uint8_t bytes[BYTES_MAX];
        for (size_t i = 0; i < LEAVES; i++)
            make(leaves[i].file, bytes, leaf_bytes(i, bytes));
        make("context.bin", bytes, context_bytes(bytes));
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_are_what_they_were),
        cmocka_unit_test(contexts_are_what_they_were),
        cmocka_unit_test(values_read_as_they_did),
    };
    return cmocka_run_group_tests_name("golden.crdt", tests, NULL, NULL);
}
