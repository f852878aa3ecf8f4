// SPDX-License-Identifier: Apache-2.0
/* tests/bench/join_cost.c - how many leaves of state a core joins: join_cost [LEAVES [ROUNDS]].
 *
 *   a leaf here, its bytes --read--+
 *                                  +--join, with both clocks--> write --> bytes
 *   a leaf there, its bytes -read--'
 *
 * Prints one JSON object: for each kind of news, leaves a second of the join alone ("join") and of all of the
 * above ("whole"), by the thread's own time. Every result is checked against what it has to be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crdt/type.h"

#define LEAVES_DEFAULT 100000u
#define ROUNDS_DEFAULT 20u
#define ACTORS         3u /* a site, its twin, its hub */
#define LEAF_BYTES_MAX 512u

typedef struct side {
    uint8_t *bytes;
    size_t *ends; /* of each leaf */
    tmb_context clock;
    tmb_context_room *room;
} side;

typedef struct news {
    const char *name;
    unsigned here, there; /* entries on either side */
    unsigned joined;      /* what must come out */
    bool is_overwritten;  /* those of there have seen those of here */
    size_t value_bytes;
} news;

static void check(bool is_fine, const char *what)
{
    if (is_fine)
        return;
    fprintf(stderr, "join_cost: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static tmb_incarnation actor(unsigned which)
{
    tmb_incarnation a = {{(uint8_t)(which * 71 + 5), 3, 200, (uint8_t)which}};
    return a;
}

static void side_new(side *s, unsigned leaves)
{
    s->bytes = malloc((size_t)leaves * LEAF_BYTES_MAX);
    s->ends = calloc(leaves, sizeof *s->ends);
    s->room = malloc(sizeof *s->room);
    check(s->bytes && s->ends && s->room, "memory");
    s->clock = tmb_context_in(s->room);
}

static void side_free(side *s)
{
    free(s->bytes);
    free(s->ends);
    free(s->room);
}

/* A leaf of entries of different actors; those of there are of the next round of numbers. */
static size_t put_leaf(const news *n, bool is_there, unsigned which, unsigned leaves, uint8_t *out)
{
    static const uint8_t value[256];
    tmb_leaf leaf;
    leaf.count = 0;
    for (unsigned i = 0; i < (is_there ? n->there : n->here); i++) {
        bool is_new = is_there && (n->is_overwritten || i >= n->here);
        tmb_entry entry = {{actor(i % ACTORS), which + 1 + (is_new ? leaves : 0)},
                           tmb_bytes_of(value, n->value_bytes)};
        check(!tmb_leaf_put(&leaf, &entry), "entry");
    }
    tmb_writer w = tmb_writer_of(out, LEAF_BYTES_MAX);
    tmb_leaf_write(&w, &leaf);
    check(!w.bad, "leaf");
    return (size_t)(w.at - out);
}

static void fill(const news *n, unsigned leaves, side *here, side *there)
{
    side *sides[] = {here, there};
    for (unsigned s = 0; s < 2; s++) {
        side_new(sides[s], leaves);
        size_t end = 0;
        for (unsigned i = 0; i < leaves; i++) {
            end += put_leaf(n, s == 1, i, leaves, sides[s]->bytes + end);
            sides[s]->ends[i] = end;
        }
        for (unsigned a = 0; a < ACTORS; a++) {
            tmb_incarnation who = actor(a);
            check(!tmb_context_add_run(&sides[s]->clock, &who, 1, s == 0 ? leaves : 2 * leaves),
                  "clock");
        }
    }
}

static void get_leaf(const side *s, unsigned which, tmb_leaf *ret)
{
    size_t begin = which > 0 ? s->ends[which - 1] : 0;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(s->bytes + begin, s->ends[which] - begin));
    check(!tmb_leaf_read(&r, ret), "read");
}

static double whole(const news *n, unsigned leaves, unsigned rounds, const side *here,
                    const side *there)
{
    static uint8_t out[LEAF_BYTES_MAX];
    tmb_leaf a, b, joined;
    double begin = now_s();
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < leaves; i++) {
            get_leaf(here, i, &a);
            get_leaf(there, i, &b);
            check(!tmb_leaf_join(&a, (tmb_seen){&here->clock, NULL}, &b,
                                 (tmb_seen){&there->clock, NULL}, &joined, NULL) &&
                      joined.count == n->joined,
                  "join");
            tmb_writer w = tmb_writer_of(out, sizeof out);
            tmb_leaf_write(&w, &joined);
            check(!w.bad, "write");
        }
    return (double)leaves * rounds / (now_s() - begin);
}

static double join_alone(const news *n, unsigned leaves, unsigned rounds, const side *here,
                         const side *there)
{
    enum { KEPT = 64 };
    static tmb_leaf a[KEPT], b[KEPT], joined;
    unsigned kept = leaves < KEPT ? leaves : KEPT;
    for (unsigned i = 0; i < kept; i++) {
        get_leaf(here, i, &a[i]);
        get_leaf(there, i, &b[i]);
    }
    double begin = now_s();
    for (unsigned i = 0; i < leaves * rounds; i++)
        check(!tmb_leaf_join(&a[i % kept], (tmb_seen){&here->clock, NULL}, &b[i % kept],
                             (tmb_seen){&there->clock, NULL}, &joined, NULL) &&
                  joined.count == n->joined,
              "join");
    return (double)leaves * rounds / (now_s() - begin);
}

int main(int argc, char **argv)
{
    static const news all[] = {
        {"same", 1, 1, 1, false, 16},      {"overwritten", 1, 1, 1, true, 16},
        {"removed", 1, 0, 0, false, 16},   {"new", 0, 1, 1, false, 16},
        {"set_element", 1, 1, 1, true, 0}, {"counter_of_three", 3, 3, 3, true, 4},
        {"siblings", 2, 3, 3, false, 16},
    };
    unsigned leaves = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : LEAVES_DEFAULT;
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : ROUNDS_DEFAULT;
    check(leaves > 0 && leaves <= 1000000 && rounds > 0 && rounds <= 1000,
          "usage: join_cost [LEAVES up to 1000000 [ROUNDS up to 1000]]");
    printf("{\"leaves\": %u, \"rounds\": %u", leaves, rounds);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        side here, there;
        fill(&all[i], leaves, &here, &there);
        double whole_per_s = whole(&all[i], leaves, rounds, &here, &there);
        printf(", \"%s\": {\"join_per_s\": %.0f, \"whole_per_s\": %.0f}", all[i].name,
               join_alone(&all[i], leaves, rounds, &here, &there), whole_per_s);
        side_free(&here);
        side_free(&there);
    }
    printf("}\n");
    return 0;
}
