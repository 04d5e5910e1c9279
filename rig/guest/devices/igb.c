// SPDX-License-Identifier: GPL-2.0-only
/*
 * Receives frames with no CPU behind it: all buffers are posted in advance,
 * interrupts are off, and every bit of driver state is in the memory the
 * device writes to (see devices/dma_memory.h), so that any process that has that memory and
 * the device can go on where another one stopped.
 *
 * What a slot holds is not judged here. Slots are reported as runs, which say
 * exactly what a list of all slots would say, and each run carries the sum of
 * the CRCs computed over the frames' bytes, which only somebody who has read
 * the frames can know.
 *
 * With the option attack=1 the driver does what a malicious guest could do: the
 * device asks for interrupts. Every second buffer is an address that means such a
 * request; each frame is four bytes longer than a buffer, and these four bytes are
 * the request's data.
 *
 * Registers: "Intel 82576 Gigabit Ethernet Controller Datasheet", section
 * "Programming Interface".
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/control.h"
#include "core/crc32.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/dma_address.h"
#include "devices/dma_memory.h"
#include "devices/igb.h"
#include "interfaces/vfio.h"

enum {
	IGB_CTRL	= 0x0000,
	IGB_STATUS	= 0x0008,
	IGB_MDIC	= 0x0020,
	IGB_RCTL	= 0x0100,
	IGB_EIMC	= 0x1528,
	IGB_IMC		= 0x150c,
	IGB_RAL0	= 0x5400,
	IGB_RAH0	= 0x5404,
	IGB_MRQC	= 0x5818,
};

/* Of a receive queue, from the place on where those of the first one are */
enum {
	RX_PF	= 0xc000,
	RX_VF	= 0x2800,
	RX_NEXT	= 0x40,
	RDBAL	= 0x00,
	RDBAH	= 0x04,
	RDLEN	= 0x08,
	SRRCTL	= 0x0c,
	RDH	= 0x10,
	RDT	= 0x18,
	RXDCTL	= 0x28,
};

#define CTRL_SLU		(1u << 6)
#define CTRL_RST		(1u << 26)
#define STATUS_LU		(1u << 1)
#define MDIC_PHY1		(1u << 21)
#define MDIC_WRITE		(1u << 26)
#define MDIC_READY		(1u << 28)
#define BMCR_AUTONEG_RESTART	(0x1000u | 0x0200u)
#define RCTL_EN			(1u << 1)
#define RCTL_BAM		(1u << 15)
#define RCTL_SECRC		(1u << 26)
#define SRRCTL_ADV_ONE_BUFFER	(1u << 25)
#define RXDCTL_ENABLE		(1u << 25)

#define RXD_DD			(1u << 0)
#define RXD_EOP			(1u << 1)

/* Advanced receive descriptor: what is posted, and what comes back over it. */
union rx_desc {
	struct {
		uint64_t addr;
		uint64_t header_addr;
	} post;
	struct {
		uint64_t info;
		uint32_t status;
		uint16_t length;
		uint16_t vlan;
	} wb;
};

/* The rig's frame; rig/referee/frames.py writes it. Little endian. */
struct frame {
	uint8_t dst[6];
	uint8_t src[6];
	uint16_t ethertype;	/* 0x88b5, big endian */
	uint16_t length;	/* of the whole frame */
	uint64_t seq;
	uint64_t sent_ns;
	uint32_t reserved;
	uint32_t crc;		/* of bytes 14 up to here and all that follows */
	uint8_t data[];
} __attribute__((packed));

#define FRAME_CRC_FROM	offsetof(struct frame, length)
#define FRAME_CRC_AT	offsetof(struct frame, crc)
#define ETHERTYPE_BE	0xb588u

#define POST_BATCH	64u

/* So many slots further a place is that the device comes to some seconds later. */
#define AHEAD		6000u

/*
 * In the remappable format this means entry 32641, which no kernel here comes to
 * use. Without remapping it means all CPUs. rig/cases/remapping.py knows it.
 */
#define MSI_ADDRESS	0xfeeff030ull
#define MSI_DATA	4u
#define BAD_REPORTED	400u

static volatile union rx_desc *igb_desc(struct igb *nic, uint64_t slot)
{
	return (volatile union rx_desc *)nic->mem + slot % NIC_SLOTS;
}

/* Where in the memory a slot's buffer is. */
static uint64_t igb_buf_at(struct igb *nic, uint64_t slot)
{
	uint64_t at = OFF_NIC_BUF + slot % NIC_SLOTS * NIC_PITCH;

	if (nic->phys && at / DMA_PIECE != (at + NIC_BUF - 1) / DMA_PIECE)
		return OFF_NIC_SPARE + at / DMA_PIECE * NIC_BUF;
	return at;
}

static uint8_t *igb_buf(struct igb *nic, uint64_t slot)
{
	return nic->mem + (igb_buf_at(nic, slot) - OFF_NIC_RING);
}

/* If a frame has two slots, the second one is for its last four bytes. */
static unsigned int slots_per_frame(void)
{
	static unsigned int slots;

	if (!slots)
		slots = opt_num("attack", 0) ? 2 : 1;
	return slots;
}

static void igb_fill(struct igb *nic, uint64_t slot)
{
	volatile union rx_desc *d = igb_desc(nic, slot);

	if (slot % slots_per_frame()) {
		d->post.header_addr = 0;
		d->post.addr = MSI_ADDRESS;
		return;
	}
	/* What an earlier frame left must not pass for a new one. */
	memset(igb_buf(nic, slot), 0, sizeof(struct frame));
	d->post.header_addr = 0;	/* clears "descriptor done" */
	d->post.addr = dma_address(nic->phys, igb_buf_at(nic, slot));
}

static unsigned int igb_rx(const struct igb *nic, unsigned int off)
{
	return (nic->vf ? RX_VF : RX_PF + RX_NEXT * nic->pool) + off;
}

static void igb_link_up(struct vdev *v)
{
	/* QEMU raises the link at the end of an autonegotiation only. */
	wr32(v, IGB_MDIC, BMCR_AUTONEG_RESTART | MDIC_PHY1 | MDIC_WRITE);
	for (int i = 0; i < 1000 && !(rd32(v, IGB_MDIC) & MDIC_READY); i++)
		usleep(1000);
	for (int i = 0; i < 5000; i++) {
		if (rd32(v, IGB_STATUS) & STATUS_LU)
			return;
		usleep(1000);
	}
	die("%s: the link does not come up", v->bdf);
}

void igb_reset(struct vdev *v)
{
	wr32(v, IGB_CTRL, rd32(v, IGB_CTRL) | CTRL_RST);
	usleep(20000);
	wr32(v, IGB_IMC, ~0u);
	wr32(v, IGB_EIMC, ~0u);
	wr32(v, IGB_CTRL, rd32(v, IGB_CTRL) | CTRL_SLU);
	igb_link_up(v);
}

void igb_receive(struct vdev *v)
{
	wr32(v, IGB_RCTL, RCTL_EN | RCTL_BAM | RCTL_SECRC);
}

void igb_start(struct igb *nic)
{
	uint64_t ring = dma_address(nic->phys, OFF_NIC_RING);
	/* Else somebody else decides who gets what. */
	bool all = !nic->vf && !nic->pool;
	struct vdev *v = nic->dev;

	if (all)
		igb_reset(v);
	memset(nic->st, 0, sizeof(*nic->st));
	for (uint64_t slot = 0; slot < NIC_SLOTS; slot++)
		igb_fill(nic, slot);
	nic->st->posted = NIC_SLOTS - 1;

	if (all)
		wr32(v, IGB_MRQC, 0);
	wr32(v, igb_rx(nic, RDBAL), (uint32_t)ring);
	wr32(v, igb_rx(nic, RDBAH), ring >> 32);
	wr32(v, igb_rx(nic, RDLEN), NIC_SLOTS * 16);
	wr32(v, igb_rx(nic, SRRCTL), SRRCTL_ADV_ONE_BUFFER | NIC_BUF / 1024);
	wr32(v, igb_rx(nic, RDH), 0);
	wr32(v, igb_rx(nic, RDT), 0);
	wr32(v, igb_rx(nic, RXDCTL), RXDCTL_ENABLE);
	if (all)
		igb_receive(v);
	wr32(v, igb_rx(nic, RDT), NIC_SLOTS - 1);
}

void igb_stop(struct igb *nic)
{
	wr32(nic->dev, igb_rx(nic, RXDCTL), 0);
}

unsigned int igb_vfs(void)
{
	return opt_num("vf", 0);
}

void igb_vf_mac(unsigned int nth, uint8_t mac[6])
{
	const uint8_t first[6] = { 0x52, 0x54, 0x00, 0xc0, 0x01, 0x00 };

	memcpy(mac, first, sizeof(first));
	mac[5] = nth;
}

void igb_mac(struct igb *nic, uint8_t mac[6])
{
	uint32_t lo, hi;

	if (nic->vf) {
		igb_vf_mac(nic->vf - 1, mac);
		return;
	}
	lo = rd32(nic->dev, IGB_RAL0);
	hi = rd32(nic->dev, IGB_RAH0);
	for (int i = 0; i < 6; i++)
		mac[i] = (i < 4 ? lo >> 8 * i : hi >> 8 * (i - 4)) & 0xff;
}

unsigned int igb_head(struct igb *nic)
{
	return rd32(nic->dev, igb_rx(nic, RDH)) % NIC_SLOTS;
}

uint64_t igb_at(struct igb *nic)
{
	uint64_t next = nic->st->next;

	return next + (igb_head(nic) + NIC_SLOTS - next % NIC_SLOTS) % NIC_SLOTS;
}

struct igb_place igb_ahead(struct igb *nic)
{
	uint64_t slot = igb_at(nic) + AHEAD, around = PAGE / NIC_PITCH + 1;

	return (struct igb_place){
		.offset = OFF_NIC_BUF + slot % NIC_SLOTS * NIC_PITCH,
		.begin = slot - around,
		.end = slot + around + 1,
	};
}

void igb_place_text(struct igb *nic, const struct igb_place *place, char text[static IGB_PLACE_TEXT])
{
	snprintf(text, IGB_PLACE_TEXT, ",\"hole\":%llu,\"hole_begin\":%llu,\"hole_end\":%llu,\"at\":%llu",
		 (unsigned long long)place->offset, (unsigned long long)place->begin,
		 (unsigned long long)place->end, (unsigned long long)igb_at(nic));
}

void igb_flush(struct igb *nic)
{
	struct rx_run *run = &nic->st->run;

	if (run->count)
		emit("rx", ",\"nic\":\"%s\",\"slot\":%llu,\"seq\":%llu,\"n\":%llu,\"bytes\":%llu,\"crcs\":%llu",
		     nic->name, (unsigned long long)run->slot,
		     (unsigned long long)run->seq,
		     (unsigned long long)run->count,
		     (unsigned long long)run->bytes,
		     (unsigned long long)run->crc_sum);
	run->count = 0;
}

/* What is reported counts the places of frames, which are slots if each has one. */
static void igb_bad(struct igb *nic, uint64_t slot, const char *why,
		    uint64_t seq, unsigned int length)
{
	igb_flush(nic);
	if (nic->st->bad++ < BAD_REPORTED)
		emit("rxbad", ",\"nic\":\"%s\",\"slot\":%llu,\"why\":\"%s\",\"seq\":%llu,\"length\":%u",
		     nic->name,
		     (unsigned long long)(slot / slots_per_frame()), why,
		     (unsigned long long)seq, length);
}

static void igb_take(struct igb *nic, uint64_t slot)
{
	volatile union rx_desc *d = igb_desc(nic, slot);
	struct frame *f = (struct frame *)igb_buf(nic, slot);
	struct rx_run *run = &nic->st->run;
	unsigned int here = d->wb.length, length = here;
	uint64_t place = slot / slots_per_frame();
	uint32_t crc;

	if (slots_per_frame() == 2) {
		d = igb_desc(nic, slot + 1);
		length += d->wb.length;
	}
	if (!(d->wb.status & RXD_EOP) || here < sizeof(*f) ||
	    here > NIC_BUF || length - here > MSI_DATA) {
		igb_bad(nic, slot, "descriptor", 0, length);
		return;
	}
	if (f->ethertype != ETHERTYPE_BE || f->length != length) {
		igb_bad(nic, slot, "header", f->seq, length);
		return;
	}
	crc = crc32_rig(0, (uint8_t *)f + FRAME_CRC_FROM,
			FRAME_CRC_AT - FRAME_CRC_FROM);
	crc = crc32_rig(crc, f->data, here - sizeof(*f));
	if (crc != f->crc) {
		igb_bad(nic, slot, "checksum", f->seq, length);
		return;
	}
	if (!run->count || run->seq + run->count != f->seq ||
	    run->slot + run->count != place) {
		igb_flush(nic);
		*run = (struct rx_run){ .slot = place, .seq = f->seq };
	}
	run->count++;
	run->bytes += length;
	run->crc_sum += crc;
}

uint64_t igb_latest(struct igb *nic)
{
	uint64_t latest = 0;

	for (uint64_t slot = 0; slot < NIC_SLOTS; slot += slots_per_frame()) {
		const struct frame *f = (struct frame *)igb_buf(nic, slot);

		if (f->ethertype == ETHERTYPE_BE && f->sent_ns > latest)
			latest = f->sent_ns;
	}
	return latest;
}

/* Is the slot that the device fills next one of this frame's? */
static bool igb_within(struct igb *nic, uint64_t slot)
{
	return (igb_head(nic) + NIC_SLOTS - slot % NIC_SLOTS) % NIC_SLOTS <
	       slots_per_frame();
}

unsigned int igb_poll(struct igb *nic)
{
	unsigned int taken = 0, slots = slots_per_frame();
	struct nic_state *st = nic->st;

	while (st->next + slots <= st->posted) {
		volatile union rx_desc *d = igb_desc(nic, st->next + slots - 1);

		if (!(d->wb.status & RXD_DD)) {
			/*
			 * Done only after the device is past it: then the
			 * write of the descriptor was lost.
			 */
			if (igb_within(nic, st->next) || d->wb.status & RXD_DD)
				break;
			igb_bad(nic, st->next, "never written", 0, 0);
		} else {
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			igb_take(nic, st->next);
		}
		st->next += slots;
		taken++;
		if (st->next + NIC_SLOTS - 1 - st->posted >= POST_BATCH) {
			while (st->posted < st->next + NIC_SLOTS - 1)
				igb_fill(nic, st->posted++);
			wr32(nic->dev, igb_rx(nic, RDT), st->posted % NIC_SLOTS);
		}
	}
	return taken;
}
