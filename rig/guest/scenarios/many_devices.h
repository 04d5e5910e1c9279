/* SPDX-License-Identifier: GPL-2.0-only */
/* An update of many idle devices, in place of rig_start() and what follows. */
#ifndef RIG_SCENARIOS_MANY_DEVICES_H
#define RIG_SCENARIOS_MANY_DEVICES_H

#include <stdbool.h>

bool many_wanted(void);
void many_start(void);
/* Load the next kernel and preserve all; what follows is kexec_jump(). */
void many_preserve(void);
void many_resume(void);

#endif
