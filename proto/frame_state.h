// SPDX-License-Identifier: Apache-2.0
/* proto/frame_state.h - inside proto: frames of state to protobuf and back, for frame.c.
 *
 * Slices point into what is given. Threads: none, values.
 */
#ifndef TMB_PROTO_FRAME_STATE_H
#define TMB_PROTO_FRAME_STATE_H

#include "proto/frame.h"
#include "tombolo.pb-c.h"

typedef union tmb_wire_state {
    Tombolo__V1__Scope scope;
    Tombolo__V1__Leaves leaves;
    Tombolo__V1__Stored stored;
    Tombolo__V1__Ranges ranges;
} tmb_wire_state;

/* frame: one of the four, checked. out is set to point at w. */
void tmb_state_to_wire(const tmb_frame *frame, tmb_wire_state *w, Tombolo__V1__Frame *out);

/* frame has one of the four. What is left to check is tmb_frame_check's. Errors: TMB_ECORRUPT. */
TMB_MUST_USE tmb_err tmb_state_from_wire(const Tombolo__V1__Frame *frame, tmb_frame *out);

#endif
