/* SPDX-License-Identifier: GPL-2.0-only */
/* A device with everything of its own, in a session of its own. It does no DMA. */
#ifndef RIG_SCENARIOS_ABORT_SECOND_DEVICE_H
#define RIG_SCENARIOS_ABORT_SECOND_DEVICE_H

#include "interfaces/vfio.h"

struct second_device {
	struct vdev v;
	int memfd, iommufd, ioas, hwpt, session;
};

extern struct second_device second;

void second_start(void);
void second_preserve(void);
void second_undo(void);
void second_stop(void);
/* To D0 or D3. */
void second_power(unsigned int state);

#endif
