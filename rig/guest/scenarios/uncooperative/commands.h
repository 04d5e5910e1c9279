/* SPDX-License-Identifier: GPL-2.0-only */
/* User space that does not co-operate in a live update. */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_COMMANDS_H
#define RIG_SCENARIOS_UNCOOPERATIVE_COMMANDS_H

#include "devices/workload.h"

/* One line of the referee's: "uncoop WHAT [ARGUMENT]"; see commands.c. */
void uncoop(struct rig *r, char *args);

#endif
