/* SPDX-License-Identifier: GPL-2.0-only */
/* Replaces with no update. */
#ifndef RIG_SCENARIOS_REPLACE_H
#define RIG_SCENARIOS_REPLACE_H

#include "devices/workload.h"

/* @n times from one HWPT to another that says the same, under load. */
void rig_replace(struct rig *r, unsigned long n);
/* Replace all HWPTs by ones that lack a page, and keep the old ones. */
void rig_shrink(struct rig *r);

#endif
