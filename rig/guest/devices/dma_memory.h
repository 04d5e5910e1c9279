/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the memfd holds. Everything the next kernel's process needs to go on
 * driving the devices is in here at fixed offsets; nothing is handed over by
 * any other way. The first page block is the CPU's alone and never mapped for
 * DMA; every other byte is at IOVA_BASE + its offset, or without an IOMMU where
 * devices/dma_address.h says.
 */
#ifndef RIG_DEVICES_DMA_MEMORY_H
#define RIG_DEVICES_DMA_MEMORY_H

#include <stdint.h>

#include "core/pattern.h"

#define RIG_MAGIC	0x4f554e49544e4f43ull	/* "CONTINUO" */
#define RIG_VERSION	2

/* Beyond the guest's RAM: with translation off this hits no memory. */
#define IOVA_BASE	0x1000000000ull

/* Where pages are mapped that nobody uses, so far apart that each has its table. */
#define IOVA_TABLES	0x2000000000ull
#define TABLE_SPAN	0x200000ull

#define PAGE		4096ul
#define PAGE_UP(x)	(((x) + PAGE - 1) & ~(PAGE - 1))

/*
 * The receive ring has to last for an update with nobody posting buffers, and
 * QEMU takes up to 65535 descriptors. The buffers' pitch is no divisor of the
 * page size so that buffers, and frames, straddle pages.
 */
#define NIC_SLOTS	49152u
#define NIC_PITCH	1344u
#define NIC_BUF		1024u

/* Without an IOMMU the memory is of pieces that are each in one place of the machine. */
#define DMA_PIECE	0x200000ul
#define DMA_PIECES	40u

#define PCM_FRAMES	PATTERN_FRAMES		/* one period of the pattern */
#define PCM_BYTES	(PCM_FRAMES * 4)

#define OFF_STATE	0x0ul
#define OFF_NIC_RING	0x10000ul
/* In place of buffers that are on two huge pages, which need not be neighbours */
#define OFF_NIC_SPARE	(OFF_NIC_RING + PAGE_UP(NIC_SLOTS * 16ul))
#define OFF_NIC_BUF	(OFF_NIC_SPARE + PAGE_UP(DMA_PIECES * NIC_BUF))
#define OFF_NIC_END	(OFF_NIC_BUF + PAGE_UP((unsigned long)NIC_SLOTS * NIC_PITCH))
#define OFF_HDA_BDL	OFF_NIC_END
#define OFF_HDA_POS	(OFF_HDA_BDL + PAGE)
#define OFF_HDA_PCM	(OFF_HDA_POS + PAGE)
#define OFF_HDA_END	(OFF_HDA_PCM + PCM_BYTES)

/*
 * The queues of the NVMe controller, a page each, and a buffer of two pages for each
 * command in flight. Queues have more entries than there can be commands, so that none of
 * them is ever full.
 */
#define NVME_DEPTH	32u
#define NVME_SQ_ENTRIES	64u
#define NVME_CQ_ENTRIES	256u
#define NVME_BUF	(2 * PAGE)
#define OFF_NVME	OFF_HDA_END
#define OFF_NVME_ASQ	OFF_NVME
#define OFF_NVME_ACQ	(OFF_NVME_ASQ + PAGE)
#define OFF_NVME_ID	(OFF_NVME_ACQ + PAGE)
#define OFF_NVME_SQ	(OFF_NVME_ID + PAGE)
#define OFF_NVME_CQ	(OFF_NVME_SQ + PAGE)
#define OFF_NVME_BUF	(OFF_NVME_CQ + PAGE)
#define OFF_NVME_END	(OFF_NVME_BUF + NVME_DEPTH * NVME_BUF)
#define MEM_SIZE	OFF_NVME_END

/* A run of frames received in consecutive slots with consecutive sequences. */
struct rx_run {
	uint64_t slot;
	uint64_t seq;
	uint64_t count;
	uint64_t bytes;
	uint64_t crc_sum;	/* of the frames' CRCs as computed here */
};

struct nic_state {
	uint64_t next;		/* slot to look at next; never wraps */
	uint64_t posted;	/* slots given to the device: up to here */
	uint64_t bad;
	struct rx_run run;
};

/* Completions that the referee has not heard of yet. */
#define NVME_RUN	64u

struct nvme_run {
	uint64_t crc_sum;	/* of the blocks that were read, as computed here */
	uint32_t count;
	uint16_t cid[NVME_RUN];
};

struct nvme_state {
	uint64_t next;		/* command to issue next; never wraps */
	uint64_t allowed;	/* so many may be issued */
	uint64_t taken;		/* completions; never wraps */
	uint64_t busy;		/* bit n: the command with that buffer is in flight */
	uint64_t bad;
	uint32_t protected;	/* blocks have protection information */
	struct nvme_run run;
};

struct rig_state {
	uint64_t magic;
	uint32_t version;
	uint32_t updates_done;
	uint32_t has_nic;
	uint32_t has_hda;
	uint32_t has_disk;
	struct nic_state nic;
	struct nvme_state nvme;
	uint64_t tables;	/* further pages mapped, each with a table of its own */
	uint64_t phys[DMA_PIECES];	/* where each piece is, without an IOMMU */
};

#endif
