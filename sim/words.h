// SPDX-License-Identifier: Apache-2.0
/* sim/words.h - names of numbers from 0 on, as those of the bugs that a world can have. Threads: none. */
#ifndef TMB_SIM_WORDS_H
#define TMB_SIM_WORDS_H

#include <string.h>

static inline const char *sim_word(const char *const *words, unsigned count, unsigned number)
{
    return number < count ? words[number] : "unknown";
}

/* sim_word_find gives count for a name that is none of them. */
static inline unsigned sim_word_find(const char *const *words, unsigned count, const char *name)
{
    unsigned number = 0;
    while (number < count && strcmp(words[number], name) != 0)
        number++;
    return number;
}

#endif
