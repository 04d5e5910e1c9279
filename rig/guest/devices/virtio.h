/* SPDX-License-Identifier: GPL-2.0-only */
/* A receive-only driver for virtio network devices. */
#ifndef RIG_DEVICES_VIRTIO_H
#define RIG_DEVICES_VIRTIO_H

#include <stdint.h>

#include "interfaces/vfio.h"

/*
 * Where in the memory of the device things are; each byte is at the same distance from
 * where the device sees the memory. The buffers' pitch is no divisor of the page size,
 * so that buffers straddle pages. The first pages are the CPU's alone.
 */
#define VIRTIO_SLOTS	1024u
#define VIRTIO_PITCH	640u
#define OFF_VIRTIO_DESC	0x10000ul
#define OFF_VIRTIO_AVAIL 0x14000ul
#define OFF_VIRTIO_USED	0x15000ul
#define OFF_VIRTIO_SEND	0x18000ul
#define OFF_VIRTIO_BUF	0x20000ul
#define OFF_VIRTIO_END	(OFF_VIRTIO_BUF + VIRTIO_SLOTS * VIRTIO_PITCH)

/* What is known of the frames that came; kept in the memory. */
struct virtio_state {
	uint64_t received;
	uint64_t seq;		/* of the next one */
	uint64_t lost;		/* sequences that were left out */
	uint64_t bad;		/* frames that are not what was sent, or not there */
	uint64_t crc_sum;
	uint16_t next;		/* entry of the used ring to look at next */
	uint16_t posted;	/* buffers given to the device */
};

struct virtio {
	struct vdev *dev;
	struct virtio_state *st;
	uint8_t *mem;
	uint64_t iova;
	uint8_t *buf;		/* the buffers, if they are not in @mem any more */
};

/* From reset to DMA. */
void virtio_start(struct virtio *v);
/* How far the device is, by the used ring. */
uint16_t virtio_used(struct virtio *v);
/*
 * Takes what came up to entry @end of the used ring, and posts the buffers again. Each
 * frame has to be in a buffer of @v; or, if @old is there, in one of these.
 */
void virtio_take(struct virtio *v, uint16_t end, const uint8_t *old);

#endif
