// SPDX-License-Identifier: GPL-2.0-only
/*
 * Options: hwpt=each gives each device a HWPT of its own (they share one
 * otherwise); huge=1 has the memory in large folios; pieces=N has it mapped in
 * pieces in the Nth kernel, so that no large leaf fits into one of them;
 * memory=BYTES makes the memfd larger than what is mapped; hugetlb=N makes it of huge
 * pages of 2^N bytes; noiommu=1 is in devices/dma_address.h; guestmem=1 has a file of guestmemfs in place of the memfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/dma_address.h"
#include "devices/dma_memory.h"
#include "devices/hda.h"
#include "devices/hda_interrupts.h"
#include "devices/igb.h"
#include "devices/igb_interrupts.h"
#include "devices/igb_pf.h"
#include "devices/nvme.h"
#include "devices/nvme_interrupts.h"
#include "devices/nvme_pf.h"
#include "devices/pf_owner.h"
#include "devices/workload.h"
#include "interfaces/guestmem.h"
#include "interfaces/iommufd.h"
#include "interfaces/vfio.h"

void rig_wire(struct rig *r)
{
	r->nic.v.token = r->disk.v.token = pf_owner_wanted() ? vf_token : NULL;
	r->igb = (struct igb){
		.dev = &r->nic.v,
		.st = &r->st->nic,
		.name = "nic",
		.mem = r->mem + OFF_NIC_RING,
		.iova = IOVA_BASE + OFF_NIC_RING,
		.vf = igb_vfs() ? 1 : 0,
		.phys = without_iommu() ? r->st->phys : NULL,
	};
	r->hda = (struct hda){
		.dev = &r->audio.v,
		.mem = r->mem + OFF_HDA_BDL,
		.iova = IOVA_BASE + OFF_HDA_BDL,
		.phys = without_iommu() ? r->st->phys : NULL,
	};
	r->nvme = (struct nvme){
		.dev = &r->disk.v,
		.st = &r->st->nvme,
		.mem = r->mem + OFF_NVME,
		.iova = IOVA_BASE + OFF_NVME,
	};
}

void rig_mmap(struct rig *r)
{
	r->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_POPULATE, r->memfd, 0);
	if (r->mem == MAP_FAILED)
		die("mmap the DMA memory: %s", strerror(errno));
	r->st = (struct rig_state *)(r->mem + OFF_STATE);
}

void rig_mark_end(struct rig *r, bool write)
{
	off_t at = opt_num("memory", MEM_SIZE) - sizeof(uint64_t);
	size_t block = 2ul << 20;
	uint64_t *mark;
	void *p;

	if (at < (off_t)MEM_SIZE)
		return;
	/* Huge pages cannot be written to by calls, nor be mapped in part. */
	p = mmap(NULL, block, PROT_READ | PROT_WRITE, MAP_SHARED, r->memfd, at & -block);
	if (p == MAP_FAILED)
		die("map the last bytes of the memfd: %s", strerror(errno));
	mark = p + (at & (block - 1));
	if (write)
		*mark = at;
	if (*mark != (uint64_t)at)
		die("the last bytes of the memfd are not those that were written");
	munmap(p, block);
}

#define PIECE	(1ul << 20)

const struct rig_area rig_area[RIG_AREAS] = {
	{ OFF_NIC_RING, OFF_NIC_BUF },
	{ OFF_NIC_BUF, OFF_NIC_END },
	{ OFF_HDA_BDL, OFF_HDA_END },
};

static void map_range(struct rig *r, uint64_t from, uint64_t end)
{
	bool pieces = opt_num("pieces", 0) == opt_num("stage", 1);
	uint64_t upto;

	for (; from < end; from = upto) {
		upto = pieces ? (from + PIECE) & ~(PIECE - 1) : end;
		if (upto > end)
			upto = end;
		must(iommufd_map_file(r->iommufd, r->ioas, r->memfd, from,
				      upto - from, IOVA_BASE + from),
		     "map the memfd into the IOAS");
	}
}

/* The same page again and again, so that there are tables and no more memory. */
static void map_tables(struct rig *r, uint64_t from)
{
	for (uint64_t i = from; i < r->st->tables; i++)
		must(iommufd_map_file(r->iommufd, r->ioas, r->memfd,
				      OFF_NIC_RING, PAGE,
				      IOVA_TABLES + i * TABLE_SPAN),
		     "map a page for its table");
}

void map_more_tables(struct rig *r, uint64_t n)
{
	uint64_t from = r->st->tables;

	r->st->tables = n;
	map_tables(r, from);
	emit("tables", ",\"tables\":%llu", (unsigned long long)n);
}

void build_ioas(struct rig *r, uint64_t hole)
{
	r->ioas = iommufd_ioas_alloc(r->iommufd);
	must(r->ioas, "allocate an IOAS");
	hole &= ~(PAGE - 1);
	for (unsigned int i = 0; i < RIG_AREAS; i++) {
		if (hole >= rig_area[i].from && hole < rig_area[i].end) {
			map_range(r, rig_area[i].from, hole);
			map_range(r, hole + PAGE, rig_area[i].end);
		} else {
			map_range(r, rig_area[i].from, rig_area[i].end);
		}
	}
	if (r->st->has_disk)
		map_range(r, OFF_NVME, OFF_NVME_END);
	map_tables(r, 0);
}

void place_memory(struct rig *r, bool again)
{
	uint64_t phys[DMA_PIECES];

	if (!without_iommu())
		return;
	must(find_pieces(r->iommufd, r->ioas, phys),
	     "find the memory in the machine");
	if (!again)
		memcpy(r->st->phys, phys, sizeof(phys));
	if (memcmp(r->st->phys, phys, sizeof(phys)))
		die("the memory is not where it was in the machine");
	emit_pieces("preserved", phys);
}

bool one_hwpt(void)
{
	return strcmp(opt("hwpt", "shared"), "each");
}

/* HWPTs for all devices from the current IOAS, not attached yet. */
void build_hwpts(struct rig *r, int *nic, int *audio)
{
	*nic = *audio = -1;
	if (r->nic.present) {
		*nic = iommufd_hwpt_alloc(r->iommufd, r->nic.v.devid, r->ioas);
		must(*nic, "allocate a HWPT for the network device");
	}
	if (!r->audio.present)
		return;
	if (r->nic.present && one_hwpt()) {
		*audio = *nic;
		return;
	}
	*audio = iommufd_hwpt_alloc(r->iommufd, r->audio.v.devid, r->ioas);
	must(*audio, "allocate a HWPT for the audio device");
}

void attach_all(struct rig *r, int nic, int audio)
{
	if (r->nic.present) {
		must(vfio_attach(&r->nic.v, nic), "attach the network device");
		r->nic.hwpt = nic;
	}
	if (r->audio.present) {
		must(vfio_attach(&r->audio.v, audio),
		     "attach the audio device");
		r->audio.hwpt = audio;
	}
}

void destroy_hwpts(struct rig *r, int nic, int audio)
{
	if (nic >= 0)
		must(iommufd_destroy(r->iommufd, nic), "destroy a HWPT");
	if (audio >= 0 && audio != nic)
		must(iommufd_destroy(r->iommufd, audio), "destroy a HWPT");
}

void attach_new(struct rig *r, struct device *d)
{
	int hwpt = iommufd_hwpt_alloc(r->iommufd, d->v.devid, r->ioas);

	must(hwpt, "allocate a HWPT");
	must(vfio_attach(&d->v, hwpt), "attach a device");
	d->hwpt = hwpt;
	d->marked = 0;
}

void take_device(struct rig *r, struct device *d, const char *what)
{
	d->v.fd = vfio_open_cdev(d->v.bdf);
	if (d->v.fd < 0)
		die("open the VFIO cdev of the %s device %s: %s", what,
		    d->v.bdf, strerror(-d->v.fd));
	must(vfio_bind(&d->v, r->iommufd), "bind a device to the iommufd");
	d->present = true;
}

void find_devices(struct rig *r)
{
	const char *devs = opt("devs", "nic,audio");

	if (strstr(devs, "nic"))
		must(vfio_find(ID_INTEL, igb_vfs() ? ID_IGBVF : ID_IGB, 0,
			       r->nic.v.bdf),
		     "find the network device (igb)");
	if (strstr(devs, "audio") &&
	    vfio_find(ID_INTEL, ID_HDA_ICH6, 0, r->audio.v.bdf))
		must(vfio_find(ID_INTEL, ID_HDA_ICH9, 0, r->audio.v.bdf),
		     "find the audio device (intel-hda)");
	if (strstr(devs, "disk"))
		must(vfio_find(ID_QEMU, ID_NVME, pf_owner_of_disk(), r->disk.v.bdf),
		     "find the disk (nvme)");
}

static int make_guest_file(unsigned long size)
{
	int err = guestmem_mount();

	if (err)
		die("mount guestmemfs: %s", strerror(err));
	return guestmem_make(GUESTMEM_DIR "/rig-dma", size);
}

int make_memory(unsigned long size)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	unsigned long shift = opt_num("hugetlb", 0);
	int fd;

	size = opt_num("memory", size);
	if (opt_num("huge", 0))
		write_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
			   "force");
	if (opt_num("guestmem", 0))
		return make_guest_file(size);
	if (shift) {
		flags |= MFD_HUGETLB | shift << MFD_HUGE_SHIFT;
		size = (size + (1ul << shift) - 1) & -(1ul << shift);
	}
	fd = memfd_create("rig-dma", flags);
	if (fd < 0 || ftruncate(fd, size))
		die("make the memfd for DMA: %s", strerror(errno));
	/* What is mapped for DMA must not change its size any more. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		die("seal the memfd for DMA: %s", strerror(errno));
	return fd;
}

void rig_start(struct rig *r)
{
	uint8_t mac[6] = {};
	int nic, audio;

	r->session = -1;
	if (igb_vfs())
		igb_pf_start();
	if (pf_owner_of_disk())
		nvme_pf_start();
	find_devices(r);
	r->memfd = make_memory(MEM_SIZE);
	rig_mark_end(r, true);
	rig_mmap(r);
	memset(r->mem, 0, MEM_SIZE);
	r->st->magic = RIG_MAGIC;
	r->st->version = RIG_VERSION;

	r->nic.v.token = r->disk.v.token = pf_owner_wanted() ? vf_token : NULL;
	r->iommufd = iommufd_open();
	must(r->iommufd, "open /dev/iommu");
	if (r->nic.v.bdf[0])
		take_device(r, &r->nic, "network");
	if (r->audio.v.bdf[0])
		take_device(r, &r->audio, "audio");
	if (r->disk.v.bdf[0])
		take_device(r, &r->disk, "disk");
	r->st->has_nic = r->nic.present;
	r->st->has_hda = r->audio.present;
	r->st->has_disk = r->disk.present;

	build_ioas(r, 0);
	build_hwpts(r, &nic, &audio);
	attach_all(r, nic, audio);
	if (r->disk.present)
		attach_new(r, &r->disk);
	place_memory(r, false);
	rig_wire(r);

	if (r->nic.present) {
		must(vfio_map(&r->nic.v), "map the network device's BAR");
		vfio_enable_dma(&r->nic.v);
		igb_irq_wire(&r->nic.v);
		if (r->igb.vf)
			igb_pf_share(&r->nic.v);
		igb_start(&r->igb);
		igb_irq_program(&r->nic.v);
		igb_mac(&r->igb, mac);
	}
	if (r->audio.present) {
		must(vfio_map(&r->audio.v), "map the audio device's BAR");
		vfio_enable_dma(&r->audio.v);
		hda_irq_wire(&r->hda);
		hda_start(&r->hda);
	}
	if (r->disk.present) {
		must(vfio_map(&r->disk.v), "map the disk's BAR");
		vfio_enable_dma(&r->disk.v);
		nvme_irq_wire(&r->disk.v);
		nvme_start(&r->nvme);
	}
	emit("ready",
	     ",\"mac\":\"%02x:%02x:%02x:%02x:%02x:%02x\",\"nic\":\"%s\",\"audio\":\"%s\",\"disk\":\"%s\",\"disk_queue\":%llu,\"disk_buffers\":%llu,\"slots\":%u,\"nic_writes\":[%llu,%llu],\"audio_writes\":[%llu,%llu]",
	     mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], r->nic.v.bdf,
	     r->audio.v.bdf, r->disk.v.bdf, IOVA_BASE + OFF_NVME_CQ,
	     IOVA_BASE + OFF_NVME_BUF, NIC_SLOTS,
	     without_iommu() ? 0ull : IOVA_BASE + OFF_NIC_BUF,
	     without_iommu() ? 1ull << 52 : IOVA_BASE + OFF_NIC_END,
	     IOVA_BASE + OFF_HDA_POS, IOVA_BASE + OFF_HDA_POS + PAGE);
}

void rig_poll(struct rig *r)
{
	if (r->nic.present && igb_irq_due())
		igb_poll(&r->igb);
	if (r->audio.present)
		hda_irq_poll(&r->hda);
	if (r->disk.present && nvme_irq_due())
		nvme_poll(&r->nvme);
	pf_owner_poll();
}

void emit_audio(struct rig *r)
{
	if (r->audio.present)
		emit("audio", ",\"lpib\":%u,\"written\":%u,\"interrupts\":%llu",
		     hda_position(&r->hda), hda_position_written(&r->hda),
		     hda_irq_count());
}

void emit_disk(struct rig *r)
{
	if (r->disk.present)
		nvme_report(&r->nvme);
}

void rig_report(struct rig *r)
{
	rig_poll(r);
	if (r->nic.present) {
		igb_flush(&r->igb);
		emit("nic", ",\"next\":%llu,\"posted\":%llu,\"bad\":%llu,\"head\":%u,\"interrupts\":%llu",
		     (unsigned long long)r->st->nic.next,
		     (unsigned long long)r->st->nic.posted,
		     (unsigned long long)r->st->nic.bad,
		     igb_head(&r->igb), igb_irq_count());
	}
	pf_owner_report();
	emit_audio(r);
	emit_disk(r);
}

int probe_map(struct rig *r)
{
	return iommufd_map_file(r->iommufd, r->ioas, r->memfd, OFF_STATE, PAGE,
				PROBE_IOVA);
}

int probe_unmap(struct rig *r)
{
	return iommufd_unmap(r->iommufd, r->ioas, PROBE_IOVA, PAGE);
}

int rig_probe(struct rig *r)
{
	return probe_map(r) ?: probe_unmap(r);
}
