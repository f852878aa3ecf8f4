// SPDX-License-Identifier: Apache-2.0
/* tests/fault/failing.h - what a test tells failing.so, and what it is told: one struct in a file that both
 * map.
 *
 * The test arms and disarms while the process runs. tests/fault/failing.py knows the same layout; change
 * both. Threads: any; the counters are atomic, the rest is written by the test while armed is 0.
 */
#ifndef TMB_TEST_FAULT_FAILING_H
#define TMB_TEST_FAULT_FAILING_H

#include <stdatomic.h>
#include <stdint.h>

#define FAILING_MAGIC       0x4c494146u
#define FAILING_FOLDERS_MAX 4
#define FAILING_PATH_BYTES  256

enum failing_op {
    FAILING_WRITE, /* write, pwrite, and what fwrite comes to */
    FAILING_SYNC,  /* fdatasync, fsync; of folders too */
    FAILING_RENAME,
    FAILING_OPEN,     /* open, creat, fopen, opendir */
    FAILING_TRUNCATE, /* ftruncate, fallocate */
    FAILING_LINK,
    FAILING_UNLINK,
    FAILING_MKDIR,
    FAILING_READ,   /* read, pread; not what fread comes to */
    FAILING_MEMORY, /* malloc, calloc, realloc for the plugin: short_memory.so */
    FAILING_OP_COUNT
};

typedef struct failing_control {
    uint32_t magic;
    _Atomic uint32_t armed; /* bit 1 << op of each kind of call that counts; 0: nothing fails */
    int32_t error;          /* errno of a call that fails */
    uint32_t at;            /* the call that fails, from 1 */
    uint32_t count;         /* how many fail from there; 0: all */
    uint32_t half;          /* a write that would fail writes half and succeeds */
    uint32_t delay_ms;      /* each armed call takes this much longer, from at on; nothing fails */
    uint32_t
        drop; /* a sync that fails leaves zeros for what was not synced before, as a disk may */
    _Atomic uint32_t seen;                    /* armed calls */
    _Atomic uint32_t fired;                   /* calls that failed, came short or were held */
    _Atomic uint32_t calls[FAILING_OP_COUNT]; /* all calls, armed or not */
    char last[FAILING_PATH_BYTES];            /* what the last fired call was about */
    char folders[FAILING_FOLDERS_MAX][FAILING_PATH_BYTES]; /* calls elsewhere are let be */
} failing_control;

#endif
