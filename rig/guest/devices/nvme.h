/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes to and reads from an NVMe controller, many commands at a time; see devices/nvme.c. */
#ifndef RIG_DEVICES_NVME_H
#define RIG_DEVICES_NVME_H

#include <stdint.h>

#include "devices/dma_memory.h"
#include "interfaces/vfio.h"

#define ID_QEMU		0x1b36
#define ID_NVME		0x0010

struct nvme {
	struct vdev *dev;
	struct nvme_state *st;
	uint8_t *mem;		/* of OFF_NVME */
	uint64_t iova;		/* the same place as the device sees it */
};

/* From a controller that was reset to one that takes commands. */
void nvme_start(struct nvme *d);
/* The first part of it: it takes admin commands. */
void nvme_enable(struct nvme *d);

/* "Virtualization Management command": what is done, and with which resources. */
enum nvme_action {
	NVME_PRIMARY_FLEXIBLE = 1, NVME_ASSIGN = 8, NVME_ONLINE = 9,
};

enum nvme_resource {
	NVME_QUEUES, NVME_VECTORS,
};

/* The @i-th admin command since the controller was enabled, from 0. */
void nvme_manage(struct nvme *d, unsigned int i, enum nvme_action action,
		 enum nvme_resource resource, uint16_t controller,
		 uint32_t number);
/* Issue so many commands more, as fast as the controller takes them. */
void nvme_allow(struct nvme *d, uint64_t commands);
/* Take what has completed and issue more, up to what is allowed. */
void nvme_poll(struct nvme *d);
/* End the run in progress, so that the referee has heard of every completion. */
void nvme_flush(struct nvme *d);
/* Say how far it has come, and how the controller is. */
void nvme_report(struct nvme *d);

#endif
