/* SPDX-License-Identifier: GPL-2.0-only */
/* Each step of a preserve fails, at each place that it can. */
#ifndef RIG_SCENARIOS_ABORT_FAILED_STEPS_H
#define RIG_SCENARIOS_ABORT_FAILED_STEPS_H

#include "devices/workload.h"

/*
 * Lets each allocation and each other step of mark, session, preserve, freeze
 * and unpreserve fail, and sees after each that nothing is left behind. Says
 * "swept" for each part of it, and "sweep_over"; with unswept=1 if this kernel has
 * no fault injection.
 */
void fail_each_step(struct rig *r);

#endif
