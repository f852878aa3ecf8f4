// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/commit.h - a child's batch becomes the message that this node's plugin commits.
 *
 * Each record gets the topic it is published under here and says where it comes from:
 *   born at the child:    origin = child, its incarnation, stream and number
 *   handed on by it:      origin as it was, via = child, its incarnation, stream and number
 * Everything else (payload, QoS, retain, properties, publisher, the publisher's own number) stays.
 *
 * What cannot be carried as it is would be refused at every repeat and hold up all behind it for ever, so it
 * is changed, logged and counted instead:
 *   topic not valid, too long, or beginning with "$"  ->  "<child>/$invalid-topic", and the topic in the
 *                                                         user property "tombolo-topic"
 *   properties that cannot be read                    ->  none
 *   no room for the marks of a late record (late.h)    ->  it goes without
 *   record above TMB_RECORD_BYTES_MAX after all that  ->  left out: the one loss, an error in the log
 *
 * Threads: any; blocking (it unpacks).
 */
#ifndef TMB_SYNCD_DAEMON_COMMIT_H
#define TMB_SYNCD_DAEMON_COMMIT_H

#include "proto/batch.h"
#include "proto/chain.h"
#include "proto/frame.h"

#define TMB_COMMIT_INVALID_TOPIC "$invalid-topic"
#define TMB_COMMIT_TOPIC_PROP    "tombolo-topic"

/* The highest number that a batch has of a stream that was born farther down than at the child. */
typedef struct tmb_commit_origin {
    char node[TMB_NAME_BYTES_MAX + 1];
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_incarnation incarnation;
    uint64_t seq;
} tmb_commit_origin;
#define TMB_COMMIT_ORIGINS_MAX                                                                     \
    256 /* one more is not noted: should it be asked for, too little is said */

typedef struct tmb_commit {
    const char *topic_template;       /* borrowed: children.topic of the configuration */
    const char *child;                /* borrowed */
    const tmb_frame_batch *batch;     /* borrowed */
    const tmb_dictionary *dictionary; /* borrowed: that batch names, or NULL */
    uint64_t mark;                    /* records up to here are here already */
    tmb_chain chain;                  /* in: at the mark, or unknown; out: behind the batch */

    tmb_err err;      /* TMB_OK; TMB_ECORRUPT, TMB_ELIMIT: malformed; TMB_ENOMEM */
    uint8_t *payload; /* NULL when there is nothing new; freed by tmb_commit_fini */
    size_t len;
    tmb_commit_origin *origins; /* of all records of the batch; freed by tmb_commit_forget */
    unsigned origins_count;
    unsigned records, changed_topics, dropped_props, left_out;
} tmb_commit;

void tmb_commit_build(tmb_commit *commit);
void tmb_commit_fini(tmb_commit *commit);   /* payload */
void tmb_commit_forget(tmb_commit *commit); /* payload and origins */

/* tmb_commit_topic renders the template: {site}, {topic}, {stream}. out holds TMB_TOPIC_BYTES_MAX.
 * Errors: TMB_ELIMIT (longer), TMB_EINVAL (not a topic one can publish under). */
TMB_MUST_USE tmb_err tmb_commit_topic(const char *topic_template, tmb_bytes site, tmb_bytes topic,
                                      tmb_bytes stream, uint8_t *out, size_t *ret_len);

#endif
