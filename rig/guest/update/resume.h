/* SPDX-License-Identifier: GPL-2.0-only */
/* The update from the jump on. */
#ifndef RIG_UPDATE_RESUME_H
#define RIG_UPDATE_RESUME_H

#include "devices/workload.h"

/* Get everything back, rebuild, replace, finish. */
void rig_resume(struct rig *r);
/* If set, rig_resume() calls it after each of its steps. */
extern void (*rig_reached)(struct rig *r, const char *step);
/*
 * With wire=late: somebody opens the network device's cdev and closes it, then
 * its interrupts are connected. Says "wired".
 */
void wire_late(struct rig *r);

#endif
