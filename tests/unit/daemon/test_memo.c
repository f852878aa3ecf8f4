// SPDX-License-Identifier: Apache-2.0
/* The small files of the daemon: what was written is read, whatever is damaged is told and not read; and the
 * parent's window follows what the parent says, not each little change of it.
 */
#include "syncd/daemon/memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "syncd/daemon/window.h"

static char folder[64], path[96];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/tmb-memo-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/%s", folder, TMB_WINDOW_FILE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static size_t load(char *text, size_t cap)
{
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    size_t len = fread(text, 1, cap, in);
    assert_int_equal(fclose(in), 0);
    return len;
}

static void save(const char *text, size_t len)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    const char *texts[] = {"a\n", "", "two\nlines\n", "no end"};
    for (unsigned i = 0; i < 4; i++) {
        char *text = NULL;
        assert_int_equal(tmb_memo_write(folder, TMB_WINDOW_FILE, texts[i]), TMB_OK);
        assert_int_equal(tmb_memo_read(folder, TMB_WINDOW_FILE, &text), TMB_OK);
        assert_string_equal(text, texts[i]);
        free(text);
    }
}

static void each_bit_and_each_length_counts(void **state)
{
    (void)state;
    char good[128], bad[128], *text = NULL;
    assert_int_equal(tmb_memo_write(folder, TMB_WINDOW_FILE, "window_ms 3125\n"), TMB_OK);
    size_t len = load(good, sizeof good);
    for (size_t bit = 0; bit < len * 8; bit++) {
        memcpy(bad, good, len);
        bad[bit / 8] = (char)(bad[bit / 8] ^ (1 << bit % 8));
        save(bad, len);
        assert_int_equal(tmb_memo_read(folder, TMB_WINDOW_FILE, &text), TMB_ECORRUPT);
    }
    for (size_t cut = 0; cut < len; cut++) {
        save(good, cut);
        assert_int_equal(tmb_memo_read(folder, TMB_WINDOW_FILE, &text), TMB_ECORRUPT);
    }
    assert_null(text);
}

static void what_is_not_there_or_too_large_is_told(void **state)
{
    (void)state;
    char *text = NULL, *large = malloc(TMB_MEMO_BYTES_MAX + 1);
    assert_non_null(large);
    assert_int_equal(tmb_memo_read(folder, TMB_WINDOW_FILE, &text), TMB_ENOENT);
    assert_int_equal(tmb_memo_write("/nowhere/at/all", TMB_WINDOW_FILE, "x"), TMB_ENOENT);
    memset(large, 'x', TMB_MEMO_BYTES_MAX);
    large[TMB_MEMO_BYTES_MAX] = '\0';
    assert_int_equal(tmb_memo_write(folder, TMB_WINDOW_FILE, large), TMB_OK);
    assert_int_equal(tmb_memo_read(folder, TMB_WINDOW_FILE, &text), TMB_ECORRUPT);
    large[TMB_MEMO_BYTES_MAX - 13] = '\0'; /* with its checksum just as long as may be */
    assert_int_equal(tmb_memo_write(folder, TMB_WINDOW_FILE, large), TMB_OK);
    assert_int_equal(tmb_memo_read(folder, TMB_WINDOW_FILE, &text), TMB_OK);
    assert_string_equal(text, large);
    free(text);
    memset(large, 'x', 5000);
    large[5000] = '\0';
    assert_int_equal(tmb_memo_read(large, TMB_WINDOW_FILE, &text), TMB_ELIMIT);
    free(large);
}

static uint32_t window_on_disk(tmb_daemon *d)
{
    tmb_window w;
    tmb_window_load(&w, d);
    return w.ms;
}

static void tell(tmb_window *w, tmb_daemon *d, uint32_t ms)
{
    tmb_window_tell(w, ms);
    assert_int_equal(uv_run(&d->loop, UV_RUN_DEFAULT), 0);
}

static void the_window_is_kept(void **state)
{
    (void)state;
    tmb_config config = {.data_dir = folder};
    tmb_daemon d = {.config = &config};
    tmb_window w;
    assert_int_equal(uv_loop_init(&d.loop), 0);
    tmb_window_load(&w, &d);
    assert_int_equal(w.ms, 0);
    tell(&w, &d, 3125);
    assert_int_equal(window_on_disk(&d), 3125);
    tell(&w, &d, 3200); /* less than a twentieth: not worth a write */
    assert_int_equal(window_on_disk(&d), 3125);
    tell(&w, &d, 3400);
    assert_int_equal(window_on_disk(&d), 3400);
    assert_int_equal(tmb_memo_write(folder, TMB_WINDOW_FILE, "tombolo-window 1\nwindow_ms 1\n"),
                     TMB_OK);
    assert_int_equal(window_on_disk(&d), TMB_WINDOW_MS_MIN);
    assert_int_equal(
        tmb_memo_write(folder, TMB_WINDOW_FILE, "tombolo-window 1\nwindow_ms 999999999\n"), TMB_OK);
    assert_int_equal(window_on_disk(&d), TMB_WINDOW_MS_MAX);
    const char *wrong[] = {"tombolo-window 2\nwindow_ms 1000\n", "tombolo-window 1\nwindow_ms x\n",
                           "tombolo-window 1\nwindow_ms -5\n", ""};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(tmb_memo_write(folder, TMB_WINDOW_FILE, wrong[i]), TMB_OK);
        uint32_t ms = window_on_disk(&d);
        assert_true(ms == 0 || (i == 2 && ms == TMB_WINDOW_MS_MAX));
    }
    config.data_dir =
        (char *)"/nowhere/at/all"; /* a write that fails is tried with the next word */
    tell(&w, &d, 9000);
    assert_int_equal(w.ms, 3400);
    config.data_dir = folder;
    tell(&w, &d, 9000);
    assert_int_equal(window_on_disk(&d), 9000);
    assert_int_equal(uv_loop_close(&d.loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(each_bit_and_each_length_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_or_too_large_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(the_window_is_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
