// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_values.h - the inner side of state_values.c, for state_sweep.c. */
#ifndef TMB_SYNCD_DAEMON_STATE_VALUES_H
#define TMB_SYNCD_DAEMON_STATE_VALUES_H

#include "syncd/daemon/state_inside.h"
#include "syncd/daemon/state_rows.h"

/* tmb_state_values_list asks for what our broker retains below our root; tmb_state_sweep_hear hears of it. */
void tmb_state_values_list(tmb_state_values *values);

/* tmb_state_values_clear makes our broker forget what it retains on topic. */
void tmb_state_values_clear(tmb_state_values *values, const char *topic);

/* tmb_state_values_mark: the sweep is over; a mark says so, with values or without. */
void tmb_state_values_mark(tmb_state_values *values);

#endif
