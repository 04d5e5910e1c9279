/* SPDX-License-Identifier: GPL-2.0-only */
/* What the referee can say. */
#ifndef RIG_COMMANDS_H
#define RIG_COMMANDS_H

#include "devices/workload.h"

/* One line of the referee's. */
void do_command(struct rig *r, char *line);

#endif
