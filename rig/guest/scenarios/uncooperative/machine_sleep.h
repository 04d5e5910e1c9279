/* SPDX-License-Identifier: GPL-2.0-only */
/* The machine is to suspend or to hibernate. */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_MACHINE_SLEEP_H
#define RIG_SCENARIOS_UNCOOPERATIVE_MACHINE_SLEEP_H

#include "devices/workload.h"

/* In each way there is; the kernel goes no further than to stop all processes. */
void uncoop_sleep(struct rig *r, const char *state);
/* Preserve while it goes to sleep; undone again. */
void uncoop_going_to_sleep(struct rig *r, const char *arg);

#endif
