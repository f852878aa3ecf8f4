// SPDX-License-Identifier: Apache-2.0
/* config/suggest.h - the word that was probably meant.
 *
 * Threads: any. Cost: O(n m) of the two lengths; words above 64 bytes get no suggestion.
 */
#ifndef TMB_CONFIG_SUGGEST_H
#define TMB_CONFIG_SUGGEST_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_edit_distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into
 * b, letters compared without case. Source: optimal string alignment, as in Boytsov, "Indexing methods for
 * approximate dictionary searching", 2011, section 2. */
unsigned tmb_edit_distance(const char *a, const char *b);

/* tmb_suggest gives the candidate nearest to word, or NULL when none is near: one change, and one more for
 * each four letters. The first of equals wins. */
const char *tmb_suggest(const char *word, const char *const *candidates, size_t count);

#ifdef __cplusplus
}
#endif
#endif
