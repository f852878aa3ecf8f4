// SPDX-License-Identifier: Apache-2.0
/* The state file: what was kept is there after a restart, from every prefix of the file a kill can leave, and
 * with every call of the disk failing once; damage is told, never taken for less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>

#include "clients/c/kept.h"

typedef struct disk {
    char folder[64], path[96];
    tmb_file_port port; /* the real one, but for call number fail_at */
    unsigned calls, fail_at;
    int code;
} disk;

static disk *the(void *context)
{
    return context;
}

static bool fails(disk *d)
{
    return ++d->calls == d->fail_at;
}

static int fail_open(void *context, const char *path, int flags, mode_t mode)
{
    return fails(the(context)) ? the(context)->code
                               : tmb_file_port_posix()->open(NULL, path, flags, mode);
}

static ssize_t fail_write(void *context, int fd, const void *bytes, size_t len)
{
    if (!fails(the(context)))
        return tmb_file_port_posix()->write(NULL, fd, bytes, len);
    if (len > 1) /* half of it is there all the same */
        assert_true(tmb_file_port_posix()->write(NULL, fd, bytes, len / 2) > 0);
    return the(context)->code;
}

static int fail_sync(void *context, int fd)
{
    return fails(the(context)) ? the(context)->code : tmb_file_port_posix()->sync(NULL, fd);
}

static int fail_rename(void *context, const char *from, const char *to)
{
    return fails(the(context)) ? the(context)->code : tmb_file_port_posix()->rename(NULL, from, to);
}

static int set_up(void **state)
{
    disk *d = calloc(1, sizeof *d);
    assert_non_null(d);
    (void)snprintf(d->folder, sizeof d->folder, "/tmp/tombolo-kept-XXXXXX");
    assert_non_null(mkdtemp(d->folder));
    (void)snprintf(d->path, sizeof d->path, "%s/state", d->folder);
    d->port = *tmb_file_port_posix();
    d->port.context = d;
    d->port.open = fail_open;
    d->port.write = fail_write;
    d->port.sync = fail_sync;
    d->port.rename = fail_rename;
    *state = d;
    return 0;
}

static int tear_down(void **state)
{
    disk *d = *state;
    static const char *const names[] = {"", ".new", ".lock"};
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s", d->path, names[i]);
        (void)unlink(path);
    }
    int rc = rmdir(d->folder);
    free(d);
    return rc;
}

static tmb_err start(disk *d, tmb_kept *k)
{
    return tmb_kept_open(k, &d->port, d->path, "run-a", false);
}

static tmb_err add(tmb_kept *k, const char *payload)
{
    tmb_client_publication p = {.topic = "t", .payload = payload, .payload_len = strlen(payload)};
    tmb_entry *e = NULL;
    assert_int_equal(tmb_entry_new(&p, &e), TMB_OK);
    tmb_err err = tmb_kept_add(k, e);
    if (err != TMB_OK)
        tmb_entry_free(e);
    return err;
}

static void forget(tmb_kept *k, uint64_t number)
{
    tmb_entry *e = tmb_outbox_find(&k->box, number);
    assert_non_null(e);
    assert_int_equal(tmb_kept_forget(k, e), TMB_OK);
    tmb_outbox_acked(&k->box, e);
    tmb_outbox_take(&k->box, e);
    tmb_entry_free(e);
}

static tmb_msgid mark_of(uint64_t seq)
{
    return (tmb_msgid){.node = "s1", .stream = "default", .seq = seq, .life = 7};
}

static void what_is_kept_is_there_after_a_restart(void **state)
{
    disk *d = *state;
    tmb_kept k;
    assert_int_equal(start(d, &k), TMB_OK);
    assert_int_equal(add(&k, "one"), TMB_OK);
    assert_int_equal(add(&k, "two"), TMB_OK);
    assert_int_equal(add(&k, "three"), TMB_OK);
    forget(&k, 1);
    tmb_msgid id = mark_of(5);
    assert_int_equal(tmb_kept_mark(&k, &id), TMB_OK);
    tmb_kept_close(&k);

    for (int again = 0; again < 2;
         again++) { /* the second time from a file that was written anew */
        assert_int_equal(start(d, &k), TMB_OK);
        assert_string_equal(k.run, "run-a");
        assert_int_equal(k.box.count, 2);
        assert_int_equal(k.box.unsent->number, 2);
        assert_memory_equal(tmb_outbox_find(&k.box, 3)->payload.ptr, "three", 5);
        assert_int_equal(k.next_number, 4);
        assert_int_equal(tmb_dedupe_ask(&k.dedupe, &id), TMB_DEDUPE_REPEAT);
        tmb_msgid other = mark_of(4);
        assert_int_equal(tmb_dedupe_ask(&k.dedupe, &other), TMB_DEDUPE_NEW);
        tmb_kept_close(&k);
    }
}

static void a_refused_message_keeps_waiting_for_its_new_number(void **state)
{
    disk *d = *state;
    tmb_kept k;
    assert_int_equal(start(d, &k), TMB_OK);
    assert_int_equal(add(&k, "one"), TMB_OK);
    assert_int_equal(add(&k, "two"), TMB_OK);
    assert_int_equal(tmb_kept_hold(&k, tmb_outbox_find(&k.box, 1)), TMB_OK);
    forget(&k, 2);
    tmb_kept_close(&k);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(start(d, &k), TMB_OK);
        assert_int_equal(k.box.count, 0);
        assert_int_equal(k.held_count, 1);
        assert_true(k.held->is_held);
        if (again == 0)
            tmb_kept_close(&k);
    }
    assert_int_equal(tmb_kept_renumber(&k, k.held), TMB_OK);
    assert_int_equal(k.box.first->number, 3); /* above what the node has seen */
    assert_int_equal(k.held_count, 0);
    assert_int_equal(k.held_bytes, 0);
    tmb_kept_close(&k);
    assert_int_equal(start(d, &k), TMB_OK);
    assert_int_equal(k.box.count, 1);
    assert_int_equal(k.box.first->number, 3);
    assert_memory_equal(k.box.first->payload.ptr, "one", 3);
    tmb_kept_close(&k);
}

static size_t read_all(const char *path, uint8_t *bytes, size_t cap)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t len = fread(bytes, 1, cap, f);
    fclose(f);
    return len;
}

static void write_all_of(const char *path, const uint8_t *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* fill makes a small file with a bit of everything; gives its bytes. */
static size_t fill(disk *d, uint8_t *bytes, size_t cap)
{
    tmb_kept k;
    assert_int_equal(start(d, &k), TMB_OK);
    assert_int_equal(add(&k, "one"), TMB_OK);
    assert_int_equal(add(&k, "two"), TMB_OK);
    forget(&k, 1);
    tmb_msgid id = mark_of(5);
    assert_int_equal(tmb_kept_mark(&k, &id), TMB_OK);
    assert_int_equal(add(&k, "three"), TMB_OK);
    tmb_kept_close(&k);
    return read_all(d->path, bytes, cap);
}

static void half_a_record_at_the_end_is_cut_off(void **state)
{
    disk *d = *state;
    static uint8_t bytes[4096];
    size_t len = fill(d, bytes, sizeof bytes), whole = 0;
    assert_true(len < sizeof bytes);
    for (size_t cut = len; cut >= 8; cut--) {
        write_all_of(d->path, bytes, cut);
        tmb_kept k;
        assert_int_equal(start(d, &k), TMB_OK);
        assert_true(k.box.count <= 2);
        assert_true(cut < len || k.box.count == 2);
        whole += k.box.count == 2;
        assert_int_equal(add(&k, "more"), TMB_OK); /* and what follows is readable */
        uint64_t number = k.box.last->number;
        tmb_kept_close(&k);
        assert_int_equal(start(d, &k), TMB_OK);
        assert_int_equal(k.box.last->number, number);
        tmb_kept_close(&k);
    }
    assert_true(whole < len);
    memset(bytes + len, 0, 64); /* the length without the bytes */
    write_all_of(d->path, bytes, len + 64);
    tmb_kept k;
    assert_int_equal(start(d, &k), TMB_OK);
    assert_int_equal(k.box.count, 2);
    tmb_kept_close(&k);
}

static void every_flipped_bit_is_told(void **state)
{
    disk *d = *state;
    static uint8_t bytes[4096], after[4096];
    size_t len = fill(d, bytes, sizeof bytes);
    for (size_t bit = 0; bit < len * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        write_all_of(d->path, bytes, len);
        tmb_kept k;
        tmb_err err = start(d, &k);
        if (err != (bit / 8 == 6 || bit / 8 == 7 ? TMB_EVERSION : TMB_ECORRUPT))
            fail_msg("bit %zu flipped: %s", bit, tmb_err_str(err));
        assert_non_null(strstr(k.why, d->path));
        tmb_kept_close(&k);
        assert_int_equal(read_all(d->path, after, sizeof after), len); /* left as it was */
        assert_memory_equal(after, bytes, len);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

static void two_processes_do_not_share_it(void **state)
{
    disk *d = *state;
    tmb_kept one, two;
    assert_int_equal(start(d, &one), TMB_OK);
    assert_int_equal(start(d, &two), TMB_EBUSY);
    tmb_kept_close(&two);
    tmb_kept_close(&one);
    assert_int_equal(start(d, &two), TMB_OK);
    tmb_kept_close(&two);
    assert_int_equal(tmb_kept_open(&two, &d->port, d->path, "run-b", true), TMB_EINVAL);
    tmb_kept_close(&two);
    assert_int_equal(tmb_kept_open(&two, &d->port, d->path, "run-a", true), TMB_OK);
    tmb_kept_close(&two);
}

/* One round of everything with call number n failing. What was taken (TMB_OK) must be there after a restart,
 * what was not taken may be; numbers are never used twice. */
static bool round_with_a_fault(disk *d, unsigned n, int code)
{
    tmb_kept k;
    bool taken[5] = {false};
    d->calls = 0;
    d->fail_at = n;
    d->code = code;
    tmb_err err = start(d, &k);
    if (err == TMB_OK) {
        char payload[2] = "1";
        for (unsigned i = 0; i < 5; i++) {
            payload[0] = (char)('1' + i);
            taken[i] = add(&k, payload) == TMB_OK;
        }
    }
    bool has_fired = d->calls >= n;
    uint64_t next = k.next_number;
    tmb_kept_close(&k);
    d->fail_at = 0;
    assert_int_equal(start(d, &k), TMB_OK);
    assert_true(err != TMB_OK || k.next_number >= next - 1);
    unsigned found = 0;
    for (tmb_entry *e = k.box.first; e; e = e->next) {
        assert_int_equal(e->payload.len, 1);
        found |= 1u << (e->payload.ptr[0] - '1');
    }
    for (unsigned i = 0; i < 5; i++)
        assert_true(!taken[i] || (found & 1u << i));
    tmb_kept_close(&k);
    assert_int_equal(unlink(d->path), 0);
    return has_fired;
}

static void each_call_of_the_disk_may_fail_once(void **state)
{
    disk *d = *state;
    static const int codes[] = {-EIO, -ENOSPC};
    for (size_t i = 0; i < 2; i++) {
        unsigned n = 1;
        while (round_with_a_fault(d, n, codes[i]))
            n++;
        print_message("%u calls failed\n", n - 1);
        assert_true(n > 12);
    }
}

static void history_is_thrown_away(void **state)
{
    disk *d = *state;
    tmb_kept k;
    assert_int_equal(start(d, &k), TMB_OK);
    static char payload[100001];
    memset(payload, 'x', sizeof payload - 1);
    assert_int_equal(add(&k, "kept"), TMB_OK);
    uint64_t largest = 0;
    for (uint64_t number = 2; number < 202; number++) {
        assert_int_equal(add(&k, payload), TMB_OK);
        forget(&k, number);
        if (k.size > largest)
            largest = k.size;
    }
    assert_true(largest >= TMB_KEPT_REWRITE_BYTES);                     /* the limit was reached, */
    assert_true(largest < TMB_KEPT_REWRITE_BYTES + 3 * sizeof payload); /* and kept */
    assert_true(k.size < largest);
    tmb_kept_close(&k);
    assert_int_equal(start(d, &k), TMB_OK);
    assert_int_equal(k.box.count, 1);
    assert_int_equal(k.next_number, 202);
    tmb_kept_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_kept_is_there_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_message_keeps_waiting_for_its_new_number, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(half_a_record_at_the_end_is_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_flipped_bit_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_processes_do_not_share_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_call_of_the_disk_may_fail_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(history_is_thrown_away, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
