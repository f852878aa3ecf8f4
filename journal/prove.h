// SPDX-License-Identifier: Apache-2.0
/* journal/prove.h - the chain of a stream at one of its numbers (proto/chain.h), made again out of the log.
 *
 * Threads: one a call. Cost: reads at most TMB_CHAIN_BLOCK records.
 */
#ifndef TMB_JOURNAL_PROVE_H
#define TMB_JOURNAL_PROVE_H

#include "journal/file_port.h"
#include "proto/chain.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_journal_chain gives the chain at seq (from 1 on); not known when a number of seq's block is not in the
 * log. files: NULL for the real ones. incarnation: whose log is meant.
 * Errors: TMB_EIO, TMB_EDENIED, TMB_ENOMEM, TMB_EVERSION, TMB_ENOENT (no log, or that of another
 * incarnation). */
TMB_MUST_USE tmb_err tmb_journal_chain(const char *root, const char *stream,
                                       const tmb_file_port *files,
                                       const tmb_incarnation *incarnation, uint64_t seq,
                                       tmb_chain *ret_chain);

#ifdef __cplusplus
}
#endif
#endif
