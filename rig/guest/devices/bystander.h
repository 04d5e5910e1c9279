/* SPDX-License-Identifier: GPL-2.0-only */
/* A device that does DMA and is not preserved. */
#ifndef RIG_DEVICES_BYSTANDER_H
#define RIG_DEVICES_BYSTANDER_H

void bystander_start(void);

/*
 * Without an IOMMU: preserve the memory, but not the device. Where bus mastering is left on to see
 * what it keeps off, the device writes to that memory in the next kernel, which uses it for nothing
 * else.
 */
void bystander_preserve_memory(void);
void bystander_poll(void);

#endif
