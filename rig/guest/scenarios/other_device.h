/* SPDX-License-Identifier: GPL-2.0-only */
/* Preserve of a device that the rig does not drive. */
#ifndef RIG_SCENARIOS_OTHER_DEVICE_H
#define RIG_SCENARIOS_OTHER_DEVICE_H

#include "devices/workload.h"

/* One line of the referee's; see other_device.c. */
void preserve_other_device(struct rig *r, char *args);

#endif
