// SPDX-License-Identifier: Apache-2.0
/* tests/unit/broker-plugin/test_disk.c - the reserve: held, given back, found again, none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker-plugin/disk.h"

#define RESERVE (UINT64_C(256) * 1024)

static char folder[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/tombolo-disk-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char file[PATH_MAX];
    (void)snprintf(file, sizeof file, "%s/reserve", folder);
    (void)unlink(file);
    return rmdir(folder);
}

static int64_t held_bytes(const tmb_disk *disk)
{
    struct stat st;
    return stat(disk->file, &st) < 0 ? -1 : (int64_t)st.st_blocks * 512;
}

static void holds_and_gives_back(void **state)
{
    (void)state;
    tmb_disk disk;
    assert_int_equal(tmb_disk_start(&disk, folder, RESERVE), TMB_OK);
    assert_false(disk.is_held || disk.was_full);
    assert_int_equal(held_bytes(&disk), -1);
    assert_int_equal(tmb_disk_enough(&disk), RESERVE + 2 * disk.floor_bytes);
    assert_int_equal(tmb_disk_hold(&disk), TMB_OK);
    assert_int_equal(tmb_disk_hold(&disk), TMB_OK);
    assert_true(disk.is_held && held_bytes(&disk) >= (int64_t)RESERVE);
    assert_int_equal(tmb_disk_enough(&disk), 2 * disk.floor_bytes);
    assert_int_equal(tmb_disk_give_back(&disk), TMB_OK);
    assert_int_equal(tmb_disk_give_back(&disk), TMB_OK);
    assert_false(disk.is_held);
    assert_int_equal(held_bytes(&disk), 0);
}

static void knows_what_an_earlier_process_left(void **state)
{
    (void)state;
    tmb_disk disk, next;
    assert_int_equal(tmb_disk_start(&disk, folder, RESERVE), TMB_OK);
    assert_int_equal(tmb_disk_hold(&disk), TMB_OK);
    assert_int_equal(tmb_disk_start(&next, folder, RESERVE), TMB_OK);
    assert_true(next.is_held && !next.was_full);
    assert_int_equal(tmb_disk_start(&next, folder, 2 * RESERVE), TMB_OK); /* another size */
    assert_true(!next.is_held && !next.was_full && held_bytes(&next) == -1);
    assert_int_equal(tmb_disk_hold(&next), TMB_OK);
    assert_int_equal(tmb_disk_give_back(&next), TMB_OK);
    assert_int_equal(tmb_disk_start(&disk, folder, RESERVE), TMB_OK);
    assert_true(disk.was_full && !disk.is_held);
}

static void may_have_none(void **state)
{
    (void)state;
    tmb_disk disk;
    assert_int_equal(tmb_disk_start(&disk, folder, RESERVE), TMB_OK);
    assert_int_equal(tmb_disk_hold(&disk), TMB_OK);
    assert_int_equal(tmb_disk_start(&disk, folder, 0), TMB_OK);
    assert_int_equal(held_bytes(&disk), -1);
    assert_int_equal(tmb_disk_hold(&disk), TMB_OK);
    assert_false(disk.is_held || disk.was_full);
    assert_true(disk.floor_bytes > 0 && disk.floor_bytes <= TMB_DISK_FLOOR_BYTES);
}

/* More than an eighth of any disk: the smaller one is taken, if there is room for it. */
static void is_a_part_of_a_small_disk(void **state)
{
    (void)state;
    tmb_disk disk;
    assert_int_equal(tmb_disk_start(&disk, folder, UINT64_MAX), TMB_OK);
    assert_true(disk.reserve_bytes < UINT64_MAX / 2 && disk.wanted_bytes == UINT64_MAX);
    disk.floor_bytes = disk.free_bytes + 1;
    assert_true(tmb_disk_is_low(&disk));
    disk.floor_bytes = disk.free_bytes;
    assert_false(tmb_disk_is_low(&disk));
}

static void takes_nothing_when_there_is_no_room(void **state)
{
    (void)state;
    tmb_disk disk;
    assert_int_equal(tmb_disk_start(&disk, folder, RESERVE), TMB_OK);
    disk.reserve_bytes = UINT64_C(1) << 60;
    assert_int_not_equal(tmb_disk_hold(&disk), TMB_OK);
    assert_false(disk.is_held);
    assert_int_equal(held_bytes(&disk), -1); /* an empty file would say that the disk was full */
    char missing[128];
    (void)snprintf(missing, sizeof missing, "%s/nowhere", folder);
    assert_int_equal(tmb_disk_start(&disk, missing, RESERVE), TMB_EIO);
    assert_int_equal(tmb_disk_hold(&(tmb_disk){.file = "/nowhere/reserve", .reserve_bytes = 1}),
                     TMB_EIO);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(holds_and_gives_back),
        CASE(knows_what_an_earlier_process_left),
        CASE(may_have_none),
        CASE(is_a_part_of_a_small_disk),
        CASE(takes_nothing_when_there_is_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
