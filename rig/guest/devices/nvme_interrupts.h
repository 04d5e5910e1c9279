/* SPDX-License-Identifier: GPL-2.0-only */
/* Interrupts of the NVMe controller; see devices/nvme_interrupts.c. */
#ifndef RIG_DEVICES_NVME_INTERRUPTS_H
#define RIG_DEVICES_NVME_INTERRUPTS_H

#include <stdbool.h>

#include "interfaces/vfio.h"

/* The vector of the I/O completion queue. Nobody hears of the admin queue's, 0. */
#define NVME_VECTOR	1u

/* Connect that vector to an eventfd. */
void nvme_irq_wire(struct vdev *v);
/* Was the eventfd signalled since this was asked last? */
bool nvme_irq_due(void);
/* How often it was signalled. */
unsigned long long nvme_irq_count(void);

#endif
