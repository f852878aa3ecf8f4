// SPDX-License-Identifier: Apache-2.0
/* state_cost FOLDER LEAVES: what the store of state costs, on the disk that FOLDER is on; JSON to stdout.
 *
 *   apply   LEAVES leaves come in chunks of 64 KiB, each joined and committed with sync; leaves a second
 *           of this thread's processor time, and of the clock
 *   put     microseconds of processor time for a register that is written, beside a plain put of the
 *           same key and value, both in batches of 100
 *   set     microseconds for an insert into a set of 10, 100 ... up to LEAVES elements
 *   idle    memory of this process beside 5,000 scopes of 20 leaves, opened anew
 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/kv_memory.h"
#include "syncd/state/scope.h"
#include "syncd/store/state_store.h"

enum { CHUNK_BYTES = 64 * 1024, BATCH = 100, SCOPES = 5000, SCOPE_LEAVES = 20, INSERTS = 2000 };

static tmb_scope_room room;
static tmb_scope scope, source;
static char path[512];

static const tmb_incarnation US = {{1, 2, 3}}, THEM = {{9, 8, 7}};

static void need(tmb_err err, const char *what)
{
    if (err == TMB_OK)
        return;
    (void)fprintf(stderr, "state_cost: %s: %s\n", what, tmb_err_str(err));
    exit(1);
}

static double clock_s(clockid_t which)
{
    struct timespec t;
    (void)clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static tmb_state_store *open_store(const char *folder, const char *name)
{
    tmb_state_store *store;
    bool was_reset;
    char text[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    tmb_err err = tmb_state_store_open(path, &store, &was_reset, text, sizeof text);
    if (err != TMB_OK)
        (void)fprintf(stderr, "%s\n", text);
    need(err, "open");
    return store;
}

static void begin(tmb_state_store *store, tmb_kv *kv, const char *name)
{
    need(tmb_state_store_begin(store, kv), "begin");
    need(tmb_scope_load(&scope, kv, &room, tmb_bytes_str(name), US), "load");
}

static void end(tmb_state_store *store, bool is_synced)
{
    need(tmb_scope_save(&scope), "save");
    need(tmb_state_store_commit(store, is_synced), "commit");
}

static void apply(tmb_scope *at, tmb_verb verb, const char *where, const char *value)
{
    tmb_bytes bytes = tmb_bytes_str(value);
    tmb_op op = {.verb = verb,
                 .path = tmb_bytes_str(where),
                 .values_count = 1,
                 .values = &bytes,
                 .stamp = {at->last + 1}};
    tmb_verdict verdict;
    need(tmb_scope_apply(at, &op, true, &verdict, NULL), "apply");
}

static void fill_source(kv_memory *disk, tmb_kv *kv, unsigned leaves)
{
    char where[64];
    *kv = kv_memory_port(disk);
    need(tmb_scope_load(&source, kv, &room, tmb_bytes_str("line-7"), THEM), "load");
    for (unsigned i = 0; i < leaves; i++) {
        (void)snprintf(where, sizeof where, "cell-%u/machine-%u/p%u", i % 97, i % 1009, i);
        apply(&source, TMB_VERB_SET, where, "a value of thirty bytes, or so");
    }
    need(tmb_scope_save(&source), "save");
    kv_memory_commit(disk, true);
}

static void bench_apply(const char *folder, unsigned leaves)
{
    static uint8_t out[2 * CHUNK_BYTES];
    static tmb_base seen_bases[TMB_ACTORS_MAX], to_bases[TMB_ACTORS_MAX];
    static tmb_actors actors;
    kv_memory disk = {0};
    tmb_kv from, kv;
    fill_source(&disk, &from, leaves);
    tmb_state_store *store = open_store(folder, "apply");
    tmb_context seen = tmb_context_of(seen_bases, TMB_ACTORS_MAX, NULL, 0);
    tmb_context to = tmb_context_of(to_bases, TMB_ACTORS_MAX, NULL, 0);
    double cpu = 0, wall = 0;
    unsigned chunks = 0, joined = 0, changed = 0;
    for (bool is_over = false; !is_over; chunks++) {
        tmb_chunk made;
        actors.count = 0;
        need(
            tmb_scope_scan(&source, &seen, true, CHUNK_BYTES, &actors, out, sizeof out, &to, &made),
            "scan");
        double cpu_begin = clock_s(CLOCK_THREAD_CPUTIME_ID), begin_s = clock_s(CLOCK_MONOTONIC);
        begin(store, &kv, "line-7");
        /* What comes as live updates do: each chunk complete up to where it goes. */
        need(tmb_scope_join_chunk(&scope, tmb_bytes_str("hub"), tmb_bytes_of(out, made.bytes),
                                  &actors, &to, true, NULL, true, &changed),
             "join");
        end(store, true);
        cpu += clock_s(CLOCK_THREAD_CPUTIME_ID) - cpu_begin;
        wall += clock_s(CLOCK_MONOTONIC) - begin_s;
        joined += changed;
        need(tmb_context_copy(&seen, &to), "copy");
        is_over = made.is_complete;
    }
    tmb_state_store_close(store);
    kv_memory_free(&disk);
    (void)printf("\"apply\": {\"leaves\": %u, \"chunks\": %u, \"leaves_per_cpu_s\": %.0f, "
                 "\"leaves_per_s\": %.0f}",
                 joined, chunks, joined / cpu, joined / wall);
}

static double put_scope(tmb_state_store *store, unsigned count)
{
    char where[64], value[64];
    tmb_kv kv;
    double begin_s = clock_s(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < count; i++) {
        if (i % BATCH == 0)
            begin(store, &kv, "line-7");
        (void)snprintf(where, sizeof where, "cell/p%u", i * 7919 % count);
        (void)snprintf(value, sizeof value, "a value of thirty bytes %6u", i);
        apply(&scope, TMB_VERB_SET, where, value);
        if (i % BATCH == BATCH - 1 || i + 1 == count)
            end(store, false);
    }
    return (clock_s(CLOCK_THREAD_CPUTIME_ID) - begin_s) / count * 1e6;
}

/* The same key, and the bytes that the leaf's record has. */
static double put_plain(tmb_state_store *store, unsigned count)
{
    char where[64], value[96];
    tmb_kv kv;
    double begin_s = clock_s(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < count; i++) {
        if (i % BATCH == 0)
            need(tmb_state_store_begin(store, &kv), "begin");
        (void)snprintf(where, sizeof where, "line-7.lcell/p%u..", i * 7919 % count);
        (void)snprintf(value, sizeof value, "%30s a value of thirty bytes %6u", "", i);
        need(kv.put(kv.arg, tmb_bytes_str(where), tmb_bytes_str(value)), "put");
        if (i % BATCH == BATCH - 1 || i + 1 == count)
            need(tmb_state_store_commit(store, false), "commit");
    }
    return (clock_s(CLOCK_THREAD_CPUTIME_ID) - begin_s) / count * 1e6;
}

static void bench_put(const char *folder, unsigned count)
{
    tmb_state_store *store = open_store(folder, "put"), *plain = open_store(folder, "plain");
    double ours = 1e9, theirs = 1e9;
    for (unsigned round = 0; round < 3; round++) { /* in turn, the best of each */
        double a = put_scope(store, count), b = put_plain(plain, count);
        ours = a < ours ? a : ours;
        theirs = b < theirs ? b : theirs;
    }
    tmb_state_store_close(store);
    tmb_state_store_close(plain);
    (void)printf(",\n\"put\": {\"scope_us\": %.2f, \"plain_us\": %.2f, \"ratio\": %.2f}", ours,
                 theirs, ours / theirs);
}

static void insert(tmb_state_store *store, unsigned first, unsigned count)
{
    char elem[32];
    tmb_kv kv;
    for (unsigned i = 0; i < count; i++) {
        if (i % BATCH == 0)
            begin(store, &kv, "line-7");
        (void)snprintf(elem, sizeof elem, "wo-%010u", (first + i) * 2654435761u);
        apply(&scope, TMB_VERB_ADD, "orders", elem);
        if (i % BATCH == BATCH - 1 || i + 1 == count)
            end(store, false);
    }
}

static void bench_set(const char *folder, unsigned leaves)
{
    tmb_state_store *store = open_store(folder, "set");
    unsigned size = 0;
    (void)printf(",\n\"set\": [");
    for (unsigned wanted = 10; wanted <= leaves; wanted *= 10) {
        insert(store, size, wanted - size);
        unsigned inserts = wanted < INSERTS ? wanted : INSERTS;
        double begin_s = clock_s(CLOCK_THREAD_CPUTIME_ID);
        insert(store, wanted, inserts);
        double us = (clock_s(CLOCK_THREAD_CPUTIME_ID) - begin_s) / inserts * 1e6;
        (void)printf("%s{\"elements\": %u, \"insert_us\": %.2f}", wanted > 10 ? ", " : "", wanted,
                     us);
        size = wanted + inserts;
        if (size > wanted * 10)
            size = wanted * 10;
    }
    (void)printf("]");
    tmb_state_store_close(store);
}

static long resident_kb(void)
{
    long kb = -1;
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    if (status)
        (void)fclose(status);
    return kb;
}

static void fill_idle(const char *folder)
{
    tmb_kv kv;
    char name[32], where[32];
    tmb_state_store *store = open_store(folder, "idle");
    for (unsigned i = 0; i < SCOPES; i++) {
        (void)snprintf(name, sizeof name, "site-%u", i);
        begin(store, &kv, name);
        for (unsigned leaf = 0; leaf < SCOPE_LEAVES; leaf++) {
            (void)snprintf(where, sizeof where, "oven/p%u", leaf);
            apply(&scope, TMB_VERB_SET, where, "a value of thirty bytes, or so");
        }
        end(store, false);
    }
    tmb_state_store_close(store);
}

/* In a process of its own: what was measured before has left its memory behind. */
static int idle(const char *folder)
{
    tmb_kv kv;
    char name[32];
    long before = resident_kb();
    tmb_state_store *store = open_store(folder, "idle");
    for (unsigned i = 0; i < SCOPES; i++) {
        (void)snprintf(name, sizeof name, "site-%u", i);
        begin(store, &kv, name);
        end(store, false);
    }
    (void)printf("{\"scopes\": %d, \"rss_mib\": %.1f, \"store_mib\": %.1f}", SCOPES,
                 (double)resident_kb() / 1024, (double)(resident_kb() - before) / 1024);
    tmb_state_store_close(store);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[2], "idle") == 0)
        return idle(argv[1]);
    if (argc != 3 || strtoul(argv[2], NULL, 10) < 10) {
        (void)fprintf(stderr, "usage: state_cost FOLDER LEAVES, then state_cost FOLDER idle\n");
        return 2;
    }
    unsigned leaves = (unsigned)strtoul(argv[2], NULL, 10);
    (void)printf("{");
    bench_apply(argv[1], leaves < 200000 ? leaves : 200000);
    bench_put(argv[1], leaves < 50000 ? leaves : 50000);
    bench_set(argv[1], leaves);
    fill_idle(argv[1]);
    (void)printf("}\n");
    return 0;
}
