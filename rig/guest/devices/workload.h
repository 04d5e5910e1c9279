/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs in the guest: devices that do DMA to the same memory, by way of iommufd, and
 * the memory. The disk has a HWPT of its own in any event.
 */
#ifndef RIG_DEVICES_WORKLOAD_H
#define RIG_DEVICES_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/dma_memory.h"
#include "devices/hda.h"
#include "devices/igb.h"
#include "devices/nvme.h"
#include "interfaces/vfio.h"

#define ID_HDA_ICH6	0x2668
#define ID_HDA_ICH9	0x293e

/* A device of one kind with what belongs to it. */
struct device {
	bool present;
	struct vdev v;
	int hwpt;		/* that it is attached to */
	int marked;		/* the HWPT of its that was marked; ids start at 1 */
};

struct rig {
	int memfd;
	int iommufd;
	int session;		/* -1: none */
	int ioas;
	uint8_t *mem;
	struct rig_state *st;
	struct device nic;
	struct device audio;
	struct device disk;
	struct igb igb;
	struct hda hda;
	struct nvme nvme;
};

/* What is mapped for DMA, at IOVA_BASE + its offset in the memfd; the disk's part if there is one. */
#define RIG_AREAS	3
extern const struct rig_area {
	uint64_t from, end;
} rig_area[RIG_AREAS];

/* A page that no device uses, at an IOVA that nothing else is mapped at. */
#define PROBE_IOVA	(IOVA_BASE + 0x40000000ull)

/* Take the devices from reset to DMA. */
void rig_start(struct rig *r);
/* Take what has come in. */
void rig_poll(struct rig *r);
/* Say what has been received, played, and read and written so far; the latter ones alone. */
void rig_report(struct rig *r);
void emit_audio(struct rig *r);
void emit_disk(struct rig *r);

/* A memfd or a file of guestmemfs, of @size bytes or as many as the options say. */
int make_memory(unsigned long size);

/* The parts of it. All but the last three end the case if something fails. */
void find_devices(struct rig *r);
void take_device(struct rig *r, struct device *d, const char *what);
void rig_mmap(struct rig *r);
/* With memory=BYTES: mark the last bytes of the memory, or see that the mark is there. */
void rig_mark_end(struct rig *r, bool write);
void rig_wire(struct rig *r);
/* Builds the IOAS; @hole is an offset whose page is left out, or 0. */
void build_ioas(struct rig *r, uint64_t hole);
/*
 * Without an IOMMU: see where in the machine the memory is that the current IOAS maps, and
 * if it was seen before, that it is still there.
 */
void place_memory(struct rig *r, bool again);
/* Do both devices share a HWPT? */
bool one_hwpt(void);
/* HWPTs for all devices but the disk from the current IOAS, not attached yet. */
void build_hwpts(struct rig *r, int *nic, int *audio);
void attach_all(struct rig *r, int nic, int audio);
void destroy_hwpts(struct rig *r, int nic, int audio);
/* Gives one device a HWPT of the current IOAS. */
void attach_new(struct rig *r, struct device *d);
/* Maps pages into the IOAS in use until @n have tables of their own. */
void map_more_tables(struct rig *r, uint64_t n);
/* Map and unmap the page at PROBE_IOVA, both: 0 or -errno, -EBUSY if frozen. */
int probe_map(struct rig *r);
int probe_unmap(struct rig *r);
int rig_probe(struct rig *r);

#endif
