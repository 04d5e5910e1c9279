// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio network device whose receive queue is filled from outside, with no CPU behind
 * it. "Virtual I/O Device (VIRTIO) Version 1.2": 2.7 "Split Virtqueues", 3.1 "Device
 * Initialization", 4.1.4 "Virtio Structure PCI Capabilities", 5.1.6 "Device Operation".
 * What is in the frames is rig/referee/vhost.py's.
 */
#include <string.h>
#include <unistd.h>

#include "core/crc32.h"
#include "core/end.h"
#include "devices/virtio.h"
#include "interfaces/vfio.h"

enum {
	PCI_STATUS	= 0x06,
	PCI_CAP_LIST	= 0x10,		/* bit of the status */
	PCI_CAPS	= 0x34,
	CAP_VENDOR	= 0x09,
	CFG_COMMON	= 1,
	/* struct virtio_pci_common_cfg */
	FEATURE_SELECT	= 8,		/* driver_feature_select */
	FEATURE		= 12,
	STATUS		= 20,
	QUEUE_SELECT	= 22,
	QUEUE_SIZE	= 24,
	QUEUE_ENABLE	= 28,
	QUEUE_DESC	= 32,
	QUEUE_DRIVER	= 40,
	QUEUE_DEVICE	= 48,
};

#define ACKNOWLEDGE	1u
#define DRIVER		2u
#define DRIVER_OK	4u
#define FEATURES_OK	8u
/* Bits 32 and 33, in the second word */
#define F_VERSION_1	(1u << 0)
#define F_ACCESS_PLATFORM (1u << 1)

#define DESC_WRITE	2u
#define NET_HEADER	12u

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[VIRTIO_SLOTS];
};

struct used {
	uint16_t flags;
	uint16_t idx;
	struct {
		uint32_t id;
		uint32_t len;
	} ring[VIRTIO_SLOTS];
};

struct head {
	uint64_t seq;
	uint32_t len;
	uint32_t crc;
};

static volatile uint8_t *find_common(struct vdev *v)
{
	unsigned int at;

	if (!(vfio_config_read16(v, PCI_STATUS) & PCI_CAP_LIST))
		die("virtio %s: no capabilities", v->bdf);
	for (at = vfio_config_read16(v, PCI_CAPS) & 0xfc; at;
	     at = vfio_config_read16(v, at) >> 8 & 0xfc) {
		unsigned int type, bar, off;
		volatile uint8_t *p;

		if ((vfio_config_read16(v, at) & 0xff) != CAP_VENDOR)
			continue;
		type = vfio_config_read16(v, at + 2) >> 8;
		bar = vfio_config_read16(v, at + 4) & 0xff;
		off = vfio_config_read16(v, at + 8) |
		      vfio_config_read16(v, at + 10) << 16;
		if (type != CFG_COMMON)
			continue;
		p = vfio_map_bar(v, bar);
		if (!p)
			die("virtio %s: BAR %u cannot be mapped", v->bdf, bar);
		return p + off;
	}
	die("virtio %s: no common configuration", v->bdf);
}

static void put16(volatile uint8_t *c, unsigned int at, uint16_t val)
{
	*(volatile uint16_t *)(c + at) = val;
}

static void put32(volatile uint8_t *c, unsigned int at, uint32_t val)
{
	*(volatile uint32_t *)(c + at) = val;
}

/* As two words, which is how the fields are to be written. */
static void put64(volatile uint8_t *c, unsigned int at, uint64_t val)
{
	put32(c, at, val);
	put32(c, at + 4, val >> 32);
}

static void post(struct virtio *v, uint16_t id)
{
	struct avail *avail = (struct avail *)(v->mem + OFF_VIRTIO_AVAIL);

	avail->ring[v->st->posted % VIRTIO_SLOTS] = id;
	v->st->posted++;
	__atomic_store_n(&avail->idx, v->st->posted, __ATOMIC_RELEASE);
}

static void queue_on(volatile uint8_t *c, unsigned int n, unsigned int size,
		     uint64_t desc, uint64_t driver, uint64_t device)
{
	put16(c, QUEUE_SELECT, n);
	put16(c, QUEUE_SIZE, size);
	put64(c, QUEUE_DESC, desc);
	put64(c, QUEUE_DRIVER, driver);
	put64(c, QUEUE_DEVICE, device);
	put16(c, QUEUE_ENABLE, 1);
}

void virtio_start(struct virtio *v)
{
	struct desc *desc = (struct desc *)(v->mem + OFF_VIRTIO_DESC);
	volatile uint8_t *c;

	must(vfio_map_config(v->dev), "find the config space of a virtio device");
	vfio_enable_dma(v->dev);
	c = find_common(v->dev);
	c[STATUS] = 0;
	for (int i = 0; c[STATUS] && i < 1000; i++)
		usleep(1000);
	c[STATUS] = ACKNOWLEDGE | DRIVER;
	put32(c, FEATURE_SELECT, 0);
	put32(c, FEATURE, 0);
	put32(c, FEATURE_SELECT, 1);
	put32(c, FEATURE, F_VERSION_1 | F_ACCESS_PLATFORM);
	c[STATUS] = ACKNOWLEDGE | DRIVER | FEATURES_OK;
	if (!(c[STATUS] & FEATURES_OK))
		die("virtio %s: it does not let itself be translated", v->dev->bdf);

	for (unsigned int i = 0; i < VIRTIO_SLOTS; i++) {
		desc[i] = (struct desc){
			.addr = v->iova + OFF_VIRTIO_BUF + i * VIRTIO_PITCH,
			.len = VIRTIO_PITCH,
			.flags = DESC_WRITE,
		};
		post(v, i);
	}
	queue_on(c, 0, VIRTIO_SLOTS, v->iova + OFF_VIRTIO_DESC,
		 v->iova + OFF_VIRTIO_AVAIL, v->iova + OFF_VIRTIO_USED);
	/* QEMU starts both queues or none. Nothing is sent. */
	queue_on(c, 1, 2, v->iova + OFF_VIRTIO_SEND,
		 v->iova + OFF_VIRTIO_SEND + 0x100,
		 v->iova + OFF_VIRTIO_SEND + 0x200);
	c[STATUS] = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
}

uint16_t virtio_used(struct virtio *v)
{
	struct used *used = (struct used *)(v->mem + OFF_VIRTIO_USED);

	return __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
}

/* Is the frame that is next, or one of those after it, whole in there? */
static bool arrived(struct virtio *v, const uint8_t *buf, uint32_t id,
		    uint32_t len, struct head *h)
{
	const uint8_t *at = buf + id * VIRTIO_PITCH + NET_HEADER;
	uint32_t crc;

	memcpy(h, at, sizeof(*h));
	if (len < NET_HEADER + sizeof(*h) || len > VIRTIO_PITCH ||
	    h->len != len - NET_HEADER - sizeof(*h))
		return false;
	crc = crc32_rig(0, h, 12);
	return crc32_rig(crc, at + sizeof(*h), h->len) == h->crc &&
	       h->seq >= v->st->seq;
}

void virtio_take(struct virtio *v, uint16_t end, const uint8_t *old)
{
	struct used *used = (struct used *)(v->mem + OFF_VIRTIO_USED);
	const uint8_t *buf = v->buf ?: v->mem + OFF_VIRTIO_BUF;
	struct virtio_state *st = v->st;

	while (st->next != end) {
		uint32_t id = used->ring[st->next % VIRTIO_SLOTS].id;
		uint32_t len = used->ring[st->next % VIRTIO_SLOTS].len;
		struct head h;

		if (id >= VIRTIO_SLOTS)
			die("virtio %s: buffer %u was never posted", v->dev->bdf, id);
		st->next++;
		if (arrived(v, buf, id, len, &h) ||
		    (old && arrived(v, old, id, len, &h))) {
			st->lost += h.seq - st->seq;
			st->seq = h.seq + 1;
			st->received++;
			st->crc_sum += h.crc;
		} else {
			st->bad++;
		}
		post(v, id);
	}
}
