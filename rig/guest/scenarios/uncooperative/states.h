/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of states (docs/states.md) in the next kernel: what is asked, and the answers. */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_STATES_H
#define RIG_SCENARIOS_UNCOOPERATIVE_STATES_H

#include "devices/workload.h"

/* Resume, and at each step try all that can be asked of a device then. */
void uncoop_states(struct rig *r, const char *arg);
/* What can be asked before anything is retrieved. */
void uncoop_incoming(struct rig *r, const char *arg);

#endif
