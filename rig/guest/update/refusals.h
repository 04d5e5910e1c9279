/* SPDX-License-Identifier: GPL-2.0-only */
/* What the rules forbid, with the option refusals=1 in the next kernel, too. */
#ifndef RIG_UPDATE_REFUSALS_H
#define RIG_UPDATE_REFUSALS_H

#include "devices/workload.h"
#include "interfaces/vfio.h"

/* Does what is forbidden before a jump, and says "refusal" of how it was refused. */
void refusals_before_jump(struct rig *r);
/* Before the devices are back: they are their session's, and so is its end. */
void refusals_before_devices(struct rig *r);
/* A device that is back, and no iommufd of its session. */
void refusals_of_bind(struct vdev *v);

#endif
