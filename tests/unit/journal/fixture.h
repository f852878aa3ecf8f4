// SPDX-License-Identifier: Apache-2.0
/* tests/unit/journal/fixture.h - a temporary journal, records that can be told apart, and a file port that
 * fails or loses power when it is told to.
 */
#ifndef TMB_TEST_JOURNAL_FIXTURE_H
#define TMB_TEST_JOURNAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "journal/journal.h"
#include "journal/tail.h"
#include "journal/verify.h"

#define TEST_PATH_BYTES  256
#define TEST_FILES_MAX   512
#define TEST_REMOVED_MAX 64
#define TEST_RECORDS_MAX 512

/* ---- folders ---- */
void fixture_make(char root[TEST_PATH_BYTES]);
void fixture_remove(const char *root);
void fixture_copy(const char *from, const char *to);
/* Reads path whole into bytes (cap of them) and gives its length. */
size_t fixture_read(const char *path, uint8_t *bytes, size_t cap);
void fixture_write(const char *path, const uint8_t *bytes, size_t len);
/* The path of the newest (or oldest) segment of root/stream; false when there is none. */
bool fixture_newest(const char *root, const char *stream, char path[TEST_PATH_BYTES]);
bool fixture_oldest(const char *root, const char *stream, char path[TEST_PATH_BYTES]);
size_t fixture_segments(const char *root, const char *stream);

/* ---- records ---- */
/* The record that is number index of a test: topic, payload and flags follow from index alone. Its slices
 * live until the next call. */
tmb_record fixture_record(uint64_t index);
/* Whether record is the one of index, whatever its seq and stamp. */
bool fixture_is(const tmb_record *record, uint64_t index);
/* The index that the record says it has. */
uint64_t fixture_index(const tmb_record *record);

/* The folder for rings of all journals opened by this fixture; NULL, as at first: none. */
extern const char *fixture_ring;
/* An empty folder in memory for rings; false when this machine has no /dev/shm. */
bool fixture_make_ring(char folder[TEST_PATH_BYTES]);
/* Writes <root>/.ring anew, for a root and its rings that were copied. */
void fixture_move_ring(const char *root, const char *folder);

tmb_journal *fixture_open(const char *root, const tmb_file_port *files, uint64_t segment_bytes);
tmb_journal_stream *fixture_stream(tmb_journal *journal, const char *name);
/* Appends records first..last by index; gives the number of the last. */
uint64_t fixture_append(tmb_journal_stream *stream, uint64_t first, uint64_t last);
/* A journal of count records in stream "data", closed. */
void fixture_fill(const char *root, uint64_t count, uint64_t segment_bytes);

/* What a tail says from the first byte to the last. */
typedef struct fixture_log {
    uint64_t seqs[TEST_RECORDS_MAX];
    uint64_t indexes[TEST_RECORDS_MAX];
    size_t count;
    tmb_tail_gap gaps[64];
    size_t gaps_count;
    tmb_err err; /* TMB_EAGAIN at a good end */
} fixture_log;

/* Reads all and asserts that numbers rise without an untold hole and that each record is as written. */
void fixture_read_log(const char *root, const char *stream, fixture_log *log);

/* ---- a port that fails ---- */
enum test_op {
    TEST_OP_OPEN,
    TEST_OP_CLOSE,
    TEST_OP_WRITE,
    TEST_OP_PREAD,
    TEST_OP_SYNC,
    TEST_OP_TRUNCATE,
    TEST_OP_SIZE,
    TEST_OP_CHANGED,
    TEST_OP_RENAME,
    TEST_OP_UNLINK,
    TEST_OP_MKDIR,
    TEST_OP_LOCK,
    TEST_OP_LIST,
    TEST_OP_NAMES,
    TEST_OP_MAP,
    TEST_OP_UNMAP,
    TEST_OP_OWNED,
    TEST_OP_ALLOCATE,
    TEST_OP_FORGET, /* only for large files */
    TEST_OP_COUNT
};

typedef struct test_file {
    char path[TEST_PATH_BYTES];
    char old_path[TEST_PATH_BYTES]; /* its name while the rename is not durable; empty: none */
    uint64_t synced_bytes;
    bool is_durable; /* its name has been synced */
    bool is_gone;
} test_file;

typedef struct test_port {
    tmb_file_port port;
    unsigned calls[TEST_OP_COUNT];
    int fail_op;      /* -1: none */
    unsigned fail_at; /* the call of fail_op that fails, from 1 */
    bool fails_on;    /* and all later calls of it */
    int error;
    bool is_short;     /* a write that fails first writes half */
    bool failed;       /* it has come to it */
    int rough_op;      /* -1: none. A trouble of its own, that is always there: */
    unsigned rough_at; /* this call of rough_op fails as well */
    int64_t
        changed_ms; /* what every file says when it was last written; -1: as the file system says */
    unsigned dies_at;   /* this call of those that change the disk makes it dead; 0: none */
    bool is_dead;       /* nothing changes on disk any more */
    uint64_t forgotten; /* bytes */
    void (*before_call)(void *arg); /* may be NULL */
    void *before_call_arg;
    /* power loss */
    test_file files[TEST_FILES_MAX];
    size_t files_count;
    int fds[1024]; /* index into files by descriptor, -1 none */
    char folders[1024][TEST_PATH_BYTES];
    char removed[TEST_REMOVED_MAX][TEST_PATH_BYTES]; /* their folders are not synced yet */
    size_t removed_count;
} test_port;

void test_port_init(test_port *port);
/* Leaves on disk what a power cut could leave: what was synced, and of the rest what rng says. */
void test_port_lose_power(test_port *port, tmb_rng *rng);

/* TMB_SEED or a fixed one; printed. */
uint64_t fixture_seed(void);

#endif
