// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/replay_main.c - runs a fuzz target without libFuzzer: fuzz_<thing> CORPUS-FOLDER...
 *
 * First every file of the folders, as it is; then TMB_FUZZ_RUNS mutations (default 20,000) of randomly chosen
 * ones, the same for the same TMB_SEED. A child process does the work and keeps the input at hand in memory
 * that it shares with its parent, so whatever kills it (assertion, sanitizer, signal, ten seconds on one
 * input), the parent can say which input it was, and keeps it as a file. Exit status 0: nothing died.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "tests/fuzz/fuzz.h"

enum {
    SEEDS_MAX = 1024,
    SEED_BYTES_MAX = 1 << 20,
    MUTATED_BYTES_MAX = 1 << 16,
    RUNS_DEFAULT = 20000,
    SECONDS_AN_INPUT = 10
};

typedef struct seed_file {
    char path[512];
    uint8_t *bytes;
    size_t len;
} seed_file;

/* What the child is at, seen by the parent. */
typedef struct progress {
    unsigned long replayed;
    unsigned long run; /* 0: still replaying */
    size_t len;
    uint8_t bytes[SEED_BYTES_MAX];
} progress;

static seed_file seeds[SEEDS_MAX];
static size_t seeds_count;
static progress *shared;

static void give_up(const char *what, const char *about)
{
    fprintf(stderr, "fuzz: %s: %s\n", what, about);
    exit(2);
}

static void load_file(const char *folder, const char *name)
{
    if (seeds_count == SEEDS_MAX)
        give_up("too many files", folder);
    seed_file *seed = &seeds[seeds_count++];
    snprintf(seed->path, sizeof(seed->path), "%s/%s", folder, name);
    FILE *in = fopen(seed->path, "rb");
    seed->bytes = malloc(SEED_BYTES_MAX);
    if (!in || !seed->bytes)
        give_up("cannot read", seed->path);
    seed->len = fread(seed->bytes, 1, SEED_BYTES_MAX, in);
    if (ferror(in) || fgetc(in) != EOF)
        give_up("cannot read, or larger than 1 MiB", seed->path);
    fclose(in);
}

/* In the order of their names: readdir's own order differs from machine to machine, and with it the runs. */
static void load_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0)
        give_up("cannot list", folder);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.')
            load_file(folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

/* The target sees a block of exactly that size, so that a sanitizer notices a read behind it. */
static void run_target(void)
{
    uint8_t *exact = malloc(shared->len > 0 ? shared->len : 1);
    if (!exact)
        abort();
    memcpy(exact, shared->bytes, shared->len);
    alarm(SECONDS_AN_INPUT);
    (void)LLVMFuzzerTestOneInput(exact, shared->len);
    free(exact);
}

static size_t below(tmb_rng *rng, size_t n)
{
    return (size_t)tmb_rng_below(rng, n);
}

/* Opens or closes a gap of n bytes at `at`; what comes in is what was there. */
static void resize(size_t at, size_t n, bool is_growing)
{
    if (is_growing && shared->len + n <= MUTATED_BYTES_MAX) {
        memmove(shared->bytes + at + n, shared->bytes + at, shared->len - at);
        shared->len += n;
    } else if (!is_growing && at + n <= shared->len) {
        memmove(shared->bytes + at, shared->bytes + at + n, shared->len - at - n);
        shared->len -= n;
    }
}

static void overwrite(tmb_rng *rng, size_t at)
{
    static const uint8_t edges[] = {0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, ':', '/', '$'};
    size_t width = (size_t)1 << below(rng, 4);
    uint8_t value =
        below(rng, 3) == 0 ? (uint8_t)tmb_rng_next(rng) : edges[below(rng, sizeof(edges))];
    for (size_t i = 0; i < width && at + i < shared->len; i++)
        shared->bytes[at + i] = i == 0 || below(rng, 2) == 0 ? value : (uint8_t)tmb_rng_next(rng);
}

/* Part of another seed over this one, from a place of its own to a place of its own. */
static void splice(tmb_rng *rng, size_t at)
{
    const seed_file *other = &seeds[below(rng, seeds_count)];
    if (other->len == 0)
        return;
    size_t from = below(rng, other->len);
    size_t n = 1 + below(rng, other->len - from);
    if (n > shared->len - at)
        n = shared->len - at;
    memcpy(shared->bytes + at, other->bytes + from, n);
}

static void mutate(tmb_rng *rng)
{
    if (shared->len == 0) {
        shared->bytes[shared->len++] = (uint8_t)tmb_rng_next(rng);
        return;
    }
    size_t at = below(rng, shared->len);
    switch (below(rng, 6)) {
    case 0:
        shared->bytes[at] ^= (uint8_t)(1u << below(rng, 8));
        break;
    case 1:
        overwrite(rng, at);
        break;
    case 2:
        resize(at, 1 + below(rng, 16), true);
        break;
    case 3:
        resize(at, 1 + below(rng, 16), false);
        break;
    case 4:
        splice(rng, at);
        break;
    default: /* a little more or less: lengths and counts */
        shared->bytes[at] = (uint8_t)(shared->bytes[at] + 3 - below(rng, 7));
        break;
    }
}

static void work(uint64_t seed, unsigned long runs)
{
    for (size_t i = 0; i < seeds_count; i++) {
        shared->len = seeds[i].len;
        memcpy(shared->bytes, seeds[i].bytes, seeds[i].len);
        shared->replayed = i;
        run_target();
    }
    for (unsigned long run = 1; run <= runs; run++) {
        tmb_rng rng = {seed ^
                       run << 20}; /* each run by itself, so that one can be repeated alone */
        const seed_file *start = &seeds[below(&rng, seeds_count)];
        shared->len = start->len < MUTATED_BYTES_MAX ? start->len : MUTATED_BYTES_MAX;
        memcpy(shared->bytes, start->bytes, shared->len);
        for (size_t n = 1 + below(&rng, 6); n > 0; n--)
            mutate(&rng);
        shared->run = run;
        run_target();
    }
}

/* Says what the child died of, and keeps the input. */
static void report(const char *thing, uint64_t seed, int status)
{
    char path[256];
    unsigned long long n = seed;
    if (shared->run == 0) {
        fprintf(stderr, "fuzz: %s died in replay of %s", thing, seeds[shared->replayed].path);
        snprintf(path, sizeof(path), "crash-%s-replay-%lu", thing, shared->replayed);
    } else {
        fprintf(stderr, "fuzz: %s died in run %lu of seed %llu", thing, shared->run, n);
        snprintf(path, sizeof(path), "crash-%s-%llu-%lu", thing, n, shared->run);
    }
    if (WIFSIGNALED(status))
        fprintf(stderr, " by signal %d\n", WTERMSIG(status));
    else
        fprintf(stderr, " with status %d\n", WEXITSTATUS(status));
    FILE *out = fopen(path, "wb");
    if (out && fwrite(shared->bytes, 1, shared->len, out) == shared->len && fclose(out) == 0)
        fprintf(stderr, "fuzz: its %zu bytes are in %s\n", shared->len, path);
}

static uint64_t number_of_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        load_folder(argv[i]);
    if (seeds_count == 0)
        give_up("no files to start from; usage", "fuzz_<thing> CORPUS-FOLDER...");
    const char *slash = strrchr(argv[0], '/');
    const char *thing = slash ? slash + 1 : argv[0];
    uint64_t seed = number_of_env("TMB_SEED", 20261121);
    unsigned long runs = (unsigned long)number_of_env("TMB_FUZZ_RUNS", RUNS_DEFAULT);
    printf("%s: %zu files, %lu runs, seed %llu\n", thing, seeds_count, runs,
           (unsigned long long)seed);
    fflush(stdout);

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        give_up("no memory", "mmap");
    pid_t pid = fork();
    if (pid < 0)
        give_up("no process", "fork");
    if (pid == 0) {
        work(seed, runs);
        _exit(0);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        give_up("lost", "the child");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    report(thing, seed, status);
    return 1;
}
