/* SPDX-License-Identifier: GPL-2.0-only */
/* The jump fails. */
#ifndef RIG_SCENARIOS_ABORT_FAILED_JUMP_H
#define RIG_SCENARIOS_ABORT_FAILED_JUMP_H

#include "devices/workload.h"

/* Makes reboot(2) fail in each way it can; says "late" for each of them. */
void fail_each_jump(struct rig *r);

#endif
