/* SPDX-License-Identifier: GPL-2.0-only */
/* Interrupts of the network device; see devices/igb_interrupts.c. */
#ifndef RIG_DEVICES_IGB_INTERRUPTS_H
#define RIG_DEVICES_IGB_INTERRUPTS_H

#include <stdbool.h>

#include "interfaces/vfio.h"

bool igb_irq_wanted(void);
/* Connect vector 0 to an eventfd, if interrupts are wanted. */
void igb_irq_wire(struct vdev *v);
/* Have the device raise vector 0 for what it receives; it keeps that. */
void igb_irq_program(struct vdev *v);
/* Is there something to look at? Always, if interrupts are not wanted. */
bool igb_irq_due(void);
/* How often the eventfd was signalled. */
unsigned long long igb_irq_count(void);

#endif
