/* SPDX-License-Identifier: GPL-2.0-only */
/* A device that does DMA and is not preserved. */
#ifndef RIG_DEVICES_BYSTANDER_H
#define RIG_DEVICES_BYSTANDER_H

void bystander_start(void);
void bystander_poll(void);

#endif
