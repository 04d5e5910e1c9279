/* SPDX-License-Identifier: GPL-2.0-only */
/* What can go wrong before the jump, all of it, one by one. */
#ifndef RIG_SCENARIOS_ABORT_H
#define RIG_SCENARIOS_ABORT_H

#include "devices/workload.h"

/*
 * Lets each allocation and each other step of mark, session, preserve, freeze
 * and unpreserve fail, and sees after each that nothing is left behind. Says
 * "swept" for each part of it, and "sweep_over"; with unswept=1 if this kernel has
 * no fault injection.
 */
void rig_sweep(struct rig *r);
/* Makes reboot(2) fail in each way it can; says "late" for each of them. */
void rig_late(struct rig *r);
/* Says how much memory is used for what. */
void emit_memory(void);

#endif
