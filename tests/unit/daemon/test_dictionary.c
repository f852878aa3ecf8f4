// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_dictionary.c - dictionaries: in files, on the shelf of a child, trained by a packer,
 * and sent as often as it makes sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "syncd/daemon/packer.h"
#include "syncd/daemon/shelf.h"
#include "syncd/daemon/told.h"

static char folder[] = "/tmp/tombolo-dictionary-XXXXXX";

static tmb_kept *kept_of(const char *text)
{
    tmb_kept *kept = tmb_kept_new(tmb_bytes_str(text));
    assert_non_null(kept);
    return kept;
}

static void write_raw(const char *name, const uint8_t *bytes, size_t len)
{
    char path[256];
    snprintf(path, sizeof path, "%s/dictionaries/a/%s", folder, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static void a_file_gives_what_was_kept_or_nothing(void **state)
{
    (void)state;
    tmb_kept *kept = kept_of("some text from before");
    assert_null(tmb_dictionary_read(folder, "a", "main"));
    assert_int_equal(tmb_dictionary_write(folder, "a", "main", &kept->dictionary), TMB_OK);
    tmb_kept *back = tmb_dictionary_read(folder, "a", "main");
    assert_non_null(back);
    assert_int_equal(back->dictionary.id, kept->dictionary.id);
    assert_true(tmb_bytes_eq(back->dictionary.data, kept->dictionary.data));
    tmb_kept_unref(back);

    char path[256];
    uint8_t bytes[256];
    snprintf(path, sizeof path, "%s/dictionaries/a/main", folder);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    size_t len = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 0x10;
        write_raw("main", bytes, len);
        assert_null(tmb_dictionary_read(folder, "a", "main"));
        bytes[i] ^= 0x10;
        write_raw("main", bytes, i);
        assert_null(tmb_dictionary_read(folder, "a", "main"));
    }
    tmb_kept_unref(kept);
}

static void old_files_make_room(void **state)
{
    (void)state;
    tmb_kept *kept = kept_of("x");
    char name[32];
    for (unsigned i = 0; i <= TMB_DICTIONARY_FILES_MAX; i++) {
        snprintf(name, sizeof name, "stream-%u", i);
        assert_int_equal(tmb_dictionary_write(folder, "b", name, &kept->dictionary), TMB_OK);
    }
    assert_null(tmb_dictionary_read(folder, "b", "stream-0"));
    tmb_kept *last = tmb_dictionary_read(folder, "b", name);
    assert_non_null(last);
    tmb_kept_unref(last);
    tmb_kept_unref(kept);
}

static void shelf_has_a_place_a_lane_and_a_limit(void **state)
{
    (void)state;
    static tmb_intake intake;
    static tmb_shelf shelf;
    uint64_t bytes = 0;
    tmb_shelf_init(&shelf, &bytes);
    intake.lanes_count = 2;
    strcpy(intake.lanes[0].stream, "main");
    strcpy(intake.lanes[1].stream, "main.live");
    assert_false(tmb_shelf_put(&shelf, "main", kept_of("not a lane yet")));
    tmb_shelf_match(&shelf, &intake);
    assert_true(tmb_shelf_misses(&shelf, "main"));
    assert_true(tmb_shelf_put(&shelf, "main", NULL));
    assert_false(tmb_shelf_misses(&shelf, "main"));
    tmb_kept *kept = kept_of("abc");
    uint32_t id = kept->dictionary.id;
    assert_true(tmb_shelf_put(&shelf, "main", kept));
    assert_true(tmb_shelf_put(&shelf, "main.live", kept_of("defg")));
    assert_int_equal(bytes, 7);
    tmb_shelf_tell(&shelf, &intake);
    assert_int_equal(intake.lanes[0].dictionary, id);

    bytes += TMB_SHELF_BYTES_MAX;
    assert_false(tmb_shelf_put(&shelf, "main", kept_of("abc")));
    assert_null(tmb_shelf_find(&shelf, tmb_bytes_str("main")));
    bytes -= TMB_SHELF_BYTES_MAX;
    intake.lanes_count = 1;
    tmb_shelf_match(&shelf, &intake);
    assert_null(tmb_shelf_find(&shelf, tmb_bytes_str("main.live")));
    assert_int_equal(bytes, 0);
    tmb_shelf_fini(&shelf);
}

static tmb_bytes one_record(unsigned n, uint8_t *out, size_t cap)
{
    char text[256];
    snprintf(
        text, sizeof text,
        "{\"machine\":\"press-7\",\"quality\":\"good\",\"operator\":\"none\",\"value\":%u.%02u}",
        n * 37 % 91, n * 71 % 100);
    tmb_record record = {.seq = n, .stamp = {(uint64_t)n << 20}, .qos = 1};
    record.topic = tmb_bytes_str("hall-3/press-7/hydraulics/pressure");
    record.publisher = tmb_bytes_str("press-7");
    record.payload = tmb_bytes_str(text);
    size_t len = 0;
    assert_int_equal(tmb_record_encode(&record, out, cap, &len), TMB_OK);
    return tmb_bytes_of(out, len);
}

/* What the line takes at once. */
static uint32_t line_bytes = UINT32_MAX;

/* Packs record n alone; gives the size, and which dictionary it needed and carried. */
static size_t pack_one(tmb_packer *packer, unsigned n, uint32_t parent, uint32_t *ret_id,
                       bool *ret_is_carried)
{
    uint8_t raw[1024];
    tmb_load *load = calloc(1, sizeof *load);
    assert_non_null(load);
    load->is_folded = load->may_have_dictionary = true;
    load->dictionary_bytes = line_bytes;
    load->parent_dictionary = parent;
    load->batch.first_seq = load->batch.last_seq = n;
    assert_int_equal(tmb_packer_pack(packer, one_record(n, raw, sizeof raw), load), TMB_OK);
    size_t len = load->batch.data.len;
    *ret_id = load->batch.dictionary;
    *ret_is_carried = load->dictionary != NULL;
    tmb_load_free(load);
    return len;
}

static void packer_trains_when_it_has_heard_enough(void **state)
{
    (void)state;
    tmb_packer *packer = NULL;
    uint32_t id = 0, same = 0;
    bool is_carried = false;
    assert_int_equal(tmb_packer_open(folder, "main", &packer), TMB_OK);
    size_t before = 0;
    for (unsigned n = 1; n <= TMB_PACKER_SAMPLES_MIN; n++) {
        before = pack_one(packer, n, 0, &id, &is_carried);
        assert_true(id == 0 && !is_carried);
    }
    size_t with = pack_one(packer, 100, 0, &id, &is_carried);
    assert_true(id != 0 && is_carried);
    assert_true(with * 2 < before);
    (void)pack_one(packer, 101, id, &same, &is_carried);
    assert_true(same == id && !is_carried);
    tmb_packer_close(packer);

    assert_int_equal(tmb_packer_open(folder, "main", &packer),
                     TMB_OK); /* a restart goes on with it */
    (void)pack_one(packer, 102, id, &same, &is_carried);
    assert_true(same == id && !is_carried);
    /* A line that is too slow for it does without, unless the parent has it. */
    line_bytes = 100;
    (void)pack_one(packer, 103, 0, &same, &is_carried);
    assert_true(same == 0 && !is_carried);
    (void)pack_one(packer, 104, id, &same, &is_carried);
    assert_true(same == id && !is_carried);
    line_bytes = UINT32_MAX;
    (void)pack_one(packer, 105, 0, &same, &is_carried);
    assert_true(same == id && is_carried);
    tmb_packer_close(packer);
}

/* A parent of version 1 knows nothing of folding. */
static void an_old_parent_gets_what_it_knows(void **state)
{
    (void)state;
    uint8_t raw[4096];
    size_t used = 0;
    tmb_packer *packer = NULL;
    tmb_load *load = calloc(1, sizeof *load);
    assert_non_null(load);
    assert_int_equal(tmb_packer_open(folder, "main", &packer),
                     TMB_OK); /* has a dictionary by now */
    for (unsigned n = 1; n <= 10; n++)
        used += one_record(n, raw + used, sizeof raw - used).len;
    load->batch.first_seq = 1;
    load->batch.last_seq = 10;
    assert_int_equal(tmb_packer_pack(packer, tmb_bytes_of(raw, used), load), TMB_OK);
    assert_int_equal(load->batch.codec, TMB_CODEC_ZSTD);
    assert_true(load->batch.dictionary == 0 && !load->dictionary);
    tmb_load_free(load);
    tmb_packer_close(packer);
}

static void told_as_often_as_it_makes_sense(void **state)
{
    (void)state;
    static tmb_session session;
    static tmb_lane lane;
    static tmb_told told;
    tmb_load load = {0};
    tmb_frame_dictionary said = {.session = 9, .id = 77};
    session.session = 9;
    tmb_told_begin(&told);
    tmb_told_ask(&told, &session, &lane, &load);
    assert_true(load.may_have_dictionary && load.parent_dictionary == 0);
    for (unsigned i = 1; i <= TMB_TOLD_TIMES; i++) {
        told.given += 5;
        tmb_told_sent(&told, &lane, &said);
        tmb_told_ask(&told, &session, &lane, &load);
        assert_true(load.may_have_dictionary && load.parent_dictionary == 77);
        lane.is_dictionary_lost = true; /* ACK(resend): it has none */
        tmb_told_ask(&told, &session, &lane, &load);
        assert_int_equal(load.parent_dictionary, 0);
        assert_int_equal(load.may_have_dictionary, i < TMB_TOLD_TIMES);
    }
    assert_int_equal(tmb_told_ours(&told, 4), 4);
    assert_int_equal(tmb_told_ours(&told, 5), 4);
    assert_int_equal(tmb_told_ours(&told, 15), 12);
    session.session = 10;
    tmb_told_ask(&told, &session, &lane, &load);
    assert_true(load.may_have_dictionary);
    while (told.count < TMB_TOLD_MAX)
        tmb_told_sent(&told, &lane, &said);
    tmb_told_ask(&told, &session, &lane, &load);
    assert_false(load.may_have_dictionary);
}

/* All loads that may be under way at once may each bring one. */
static void loads_under_way_have_a_place_each(void **state)
{
    (void)state;
    static tmb_session session;
    static tmb_lane lanes[TMB_INFLIGHT_BATCHES_MAX];
    static tmb_told told;
    tmb_load load = {0};
    unsigned asked = 0;
    session.session = 9;
    tmb_told_begin(&told);
    told.count = 3;
    for (unsigned i = 0; i < TMB_TOLD_MAX; i++) {
        for (unsigned k = 0; k < TMB_INFLIGHT_BATCHES_MAX; k++) {
            tmb_told_ask(&told, &session, &lanes[k], &load);
            asked += load.may_have_dictionary;
        }
        for (uint32_t id = 1; asked > 0; asked--, id++) {
            tmb_frame_dictionary said = {.session = 9, .id = 100 * i + id};
            tmb_told_sent(&told, &lanes[id - 1], &said);
        }
    }
    assert_true(told.count <= TMB_TOLD_MAX && told.count > TMB_TOLD_MAX - TMB_INFLIGHT_BATCHES_MAX);
    told.count = TMB_TOLD_MAX - TMB_INFLIGHT_BATCHES_MAX + 1;
    tmb_told_ask(&told, &session, &lanes[0], &load);
    assert_false(load.may_have_dictionary);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    char make[128];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gives_what_was_kept_or_nothing),
        cmocka_unit_test(old_files_make_room),
        cmocka_unit_test(shelf_has_a_place_a_lane_and_a_limit),
        cmocka_unit_test(packer_trains_when_it_has_heard_enough),
        cmocka_unit_test(an_old_parent_gets_what_it_knows),
        cmocka_unit_test(told_as_often_as_it_makes_sense),
        cmocka_unit_test(loads_under_way_have_a_place_each),
    };
    int failed = cmocka_run_group_tests_name("unit.daemon.dictionary", tests, NULL, NULL);
    snprintf(make, sizeof make, "rm -rf '%s'", folder);
    return system(make) == 0 ? failed : 1;
}
