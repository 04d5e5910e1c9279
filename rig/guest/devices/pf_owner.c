// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/dma_memory.h"
#include "devices/igb.h"
#include "devices/pf_owner.h"
#include "interfaces/iommufd.h"
#include "interfaces/vfio.h"

struct pf_owner pf_owner = {
	.v.fd = -1, .memfd = -1, .iommufd = -1, .session = -1,
};

const uint8_t vf_token[VF_TOKEN_SIZE] = "a common secret";

bool pf_owner_wanted(void)
{
	return !strcmp(opt("pf", ""), "vfio");
}

bool pf_owner_of_disk(void)
{
	return opt_num("disk_vf", 0);
}

void pf_owner_find(void)
{
	if (pf_owner_of_disk())
		must(vfio_find(ID_QEMU, ID_NVME, 0, pf_owner.v.bdf), "find the physical function (nvme)");
	else
		must(vfio_find(ID_INTEL, ID_IGB, 0, pf_owner.v.bdf), "find the physical function (igb)");
}

void pf_owner_mmap(void)
{
	struct pf_owner *o = &pf_owner;
	struct rig_state *st;

	o->mem = mmap(NULL, OFF_NIC_END, PROT_READ | PROT_WRITE, MAP_SHARED,
		      o->memfd, 0);
	if (o->mem == MAP_FAILED)
		die("mmap the memory of the PF's owner: %s", strerror(errno));
	st = (struct rig_state *)(o->mem + OFF_STATE);
	if (pf_owner_of_disk()) {
		o->nvme = (struct nvme){
			.dev = &o->v,
			.st = &st->nvme,
			.mem = o->mem + OFF_NIC_RING,
			.iova = IOVA_BASE + OFF_NIC_RING,
		};
		return;
	}
	o->igb = (struct igb){
		.dev = &o->v,
		.st = &st->nic,
		.name = "pf",
		.mem = o->mem + OFF_NIC_RING,
		.iova = IOVA_BASE + OFF_NIC_RING,
		.pool = PF_POOL,
	};
}

void pf_owner_build(void)
{
	struct pf_owner *o = &pf_owner;

	o->ioas = iommufd_ioas_alloc(o->iommufd);
	must(o->ioas, "allocate an IOAS for the PF");
	must(iommufd_map_file(o->iommufd, o->ioas, o->memfd, OFF_NIC_RING,
			      OFF_NIC_END - OFF_NIC_RING,
			      IOVA_BASE + OFF_NIC_RING),
	     "map the memory of the PF's owner");
	o->hwpt = iommufd_hwpt_alloc(o->iommufd, o->v.devid, o->ioas);
	must(o->hwpt, "allocate a HWPT for the PF");
}

void pf_owner_start(void)
{
	struct pf_owner *o = &pf_owner;

	o->v.token = vf_token;
	o->memfd = memfd_create("rig-pf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (o->memfd < 0 || ftruncate(o->memfd, OFF_NIC_END) ||
	    fcntl(o->memfd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		die("make the memfd of the PF's owner: %s", strerror(errno));
	pf_owner_mmap();
	o->iommufd = iommufd_open();
	must(o->iommufd, "open /dev/iommu for the PF");
	o->v.fd = vfio_open_cdev(o->v.bdf);
	must(o->v.fd, "open the PF's cdev");
	must(vfio_bind(&o->v, o->iommufd), "bind the PF");
	pf_owner_build();
	must(vfio_attach(&o->v, o->hwpt), "attach the PF");
	must(vfio_map(&o->v), "map the PF's BAR");
	vfio_enable_dma(&o->v);
	if (!pf_owner_of_disk())
		igb_reset(&o->v);
	o->present = true;
}

void pf_owner_receive(void)
{
	static bool receives;

	if (receives)
		return;
	receives = true;
	igb_start(&pf_owner.igb);
	emit("pf", ",\"what\":\"receives\",\"bdf\":\"%s\",\"errno\":0",
	     pf_owner.v.bdf);
}

void pf_owner_poll(void)
{
	if (pf_owner.present && !pf_owner_of_disk())
		igb_poll(&pf_owner.igb);
}

void pf_owner_leave(void)
{
	struct pf_owner *o = &pf_owner;

	if (!o->present)
		return;
	o->present = false;
	vfio_unmap(&o->v);
	munmap(o->mem, OFF_NIC_END);
	close(o->v.fd);
	close(o->iommufd);
	close(o->memfd);
	o->v.fd = o->iommufd = o->memfd = -1;
}

void pf_owner_report(void)
{
	pf_owner_poll();
	if (pf_owner.present && !pf_owner_of_disk())
		igb_flush(&pf_owner.igb);
}
