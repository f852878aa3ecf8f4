// SPDX-License-Identifier: Apache-2.0
/* clients/c/dedupe.h - which marked messages the application has had already.
 *
 * For each source (node, life of its journal, stream): the highest sequence seen, and one bit for each of the
 * `window` sequences up to it. Sequences may come in any order, with gaps (a subscriber sees what it asked
 * for), and again after a crash of the broker.
 *
 *   above the highest, or in the window with its bit clear   new
 *   in the window with its bit set                           a repeat
 *   at or below highest - window                             nobody can tell: "old", to be delivered, since
 *                                                            what was never seen must not be dropped
 *
 * A full table forgets the source not heard of for longest, counted; its messages are new again.
 * PURE: the memory is handed in. Threads: none, the caller serialises. Cost: a look at each source, which are
 * few (streams of one node), and one bit; a jump of the highest by n clears n bits, at most the window.
 */
#ifndef TMB_CLIENTS_C_DEDUPE_H
#define TMB_CLIENTS_C_DEDUPE_H

#include "clients/c/msgid.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a client uses. 2^20 is some twenty times what a node replays after a crash with its default of
 * checkpoint.records; 128 KiB a source. Sources: the streams of a node, and as many of an earlier life. */
#define TMB_DEDUPE_WINDOW      (UINT64_C(1) << 20)
#define TMB_DEDUPE_SOURCES_MAX (2 * TMB_STREAMS_MAX)

typedef enum tmb_dedupe_answer {
    TMB_DEDUPE_NEW,
    TMB_DEDUPE_REPEAT,
    TMB_DEDUPE_OLD
} tmb_dedupe_answer;

typedef struct tmb_dedupe_source {
    char node[TMB_NAME_BYTES_MAX + 1];
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    uint32_t life;
    uint64_t highest; /* 0: nothing yet */
    uint64_t heard;   /* turn of the table at which it was last heard of */
} tmb_dedupe_source;

typedef struct tmb_dedupe {
    tmb_dedupe_source *sources;
    uint64_t *words; /* source_max * window bits */
    size_t source_count, source_max;
    uint64_t window, turn, forgotten;
} tmb_dedupe;

/* tmb_dedupe_words gives how many uint64_t a table of that size needs. */
static inline size_t tmb_dedupe_words(size_t source_max, uint64_t window)
{
    return source_max * (size_t)(window / 64);
}

/* tmb_dedupe_init makes an empty table in memory that the caller keeps: source_max sources (1 and more), and
 * tmb_dedupe_words(source_max, window) words of any content. window: a multiple of 64, 64 and more. */
void tmb_dedupe_init(tmb_dedupe *d, tmb_dedupe_source *sources, size_t source_max, uint64_t *words,
                     uint64_t window);

/* tmb_dedupe_ask says what id is, and changes nothing. */
tmb_dedupe_answer tmb_dedupe_ask(const tmb_dedupe *d, const tmb_msgid *id);

/* tmb_dedupe_mark notes that the application has had id; twice is no harm, and what is old is not noted. */
void tmb_dedupe_mark(tmb_dedupe *d, const tmb_msgid *id);

/* tmb_dedupe_bits gives the window / 64 words of the source at that place, for whoever keeps or restores
 * them; d's own. Bit s mod window is sequence s. */
uint64_t *tmb_dedupe_bits(const tmb_dedupe *d, size_t source);

#ifdef __cplusplus
}
#endif
#endif
