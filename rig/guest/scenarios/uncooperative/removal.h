/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices that come and go. @name: "nic" or "audio". */
#ifndef RIG_SCENARIOS_UNCOOPERATIVE_REMOVAL_H
#define RIG_SCENARIOS_UNCOOPERATIVE_REMOVAL_H

#include "devices/workload.h"

/* By sysfs, in a process of its own that waits for as long as that takes. */
void uncoop_remove(struct rig *r, const char *name);
void uncoop_rescan(struct rig *r, const char *arg);
/* Say what a device's command register is. */
void uncoop_look(struct rig *r, const char *name);
void uncoop_close(struct rig *r, const char *name);

#endif
