// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/control.h"
#include "core/end.h"
#include "devices/bystander.h"
#include "devices/dma_address.h"
#include "devices/dma_memory.h"
#include "devices/igb.h"
#include "devices/igb_pf.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"

static struct rig_state bystander_state;
static struct vdev bystander_dev;
static struct igb bystander;
static int bystander_memfd = -1;

void bystander_start(void)
{
	int memfd, iommufd, ioas;
	uint8_t *mem, mac[6];

	if (igb_vfs())
		igb_pf_start();
	must(vfio_find(ID_INTEL, igb_vfs() ? ID_IGBVF : ID_IGB, 1,
		       bystander_dev.bdf),
	     "find the bystander (a second igb)");
	if (without_iommu()) {
		memfd = make_memory(MEM_SIZE);
	} else {
		memfd = memfd_create("rig-bystander",
				     MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (memfd < 0 || ftruncate(memfd, OFF_NIC_END))
			die("make the bystander's memfd: %s", strerror(errno));
	}
	bystander_memfd = memfd;
	mem = mmap(NULL, OFF_NIC_END, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
		   0);
	if (mem == MAP_FAILED)
		die("mmap the bystander's memfd: %s", strerror(errno));
	iommufd = iommufd_open();
	must(iommufd, "open /dev/iommu for the bystander");
	bystander_dev.fd = vfio_open_cdev(bystander_dev.bdf);
	must(bystander_dev.fd, "open the bystander's cdev");
	must(vfio_bind(&bystander_dev, iommufd), "bind the bystander");
	ioas = iommufd_ioas_alloc(iommufd);
	must(ioas, "allocate the bystander's IOAS");
	must(iommufd_map_file(iommufd, ioas, memfd, OFF_NIC_RING,
			      OFF_NIC_END - OFF_NIC_RING,
			      IOVA_BASE + OFF_NIC_RING),
	     "map the bystander's memory");
	must(vfio_attach(&bystander_dev, ioas), "attach the bystander");
	must(vfio_map(&bystander_dev), "map the bystander's BAR");
	bystander = (struct igb){
		.dev = &bystander_dev,
		.st = &bystander_state.nic,
		.name = "bystander",
		.mem = mem + OFF_NIC_RING,
		.iova = IOVA_BASE + OFF_NIC_RING,
		.vf = igb_vfs() ? 2 : 0,
	};
	if (without_iommu()) {
		must(find_pieces(iommufd, ioas, bystander_state.phys),
		     "find the bystander's memory in the machine");
		bystander.phys = bystander_state.phys;
		emit_pieces("bystander", bystander.phys);
	}
	vfio_enable_dma(&bystander_dev);
	if (bystander.vf)
		igb_pf_share(&bystander_dev);
	igb_start(&bystander);
	igb_mac(&bystander, mac);
	emit("bystander",
	     ",\"mac\":\"%02x:%02x:%02x:%02x:%02x:%02x\",\"nic\":\"%s\"",
	     mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
	     bystander_dev.bdf);
}

void bystander_preserve_memory(void)
{
	int session;

	if (bystander_memfd < 0 || !without_iommu())
		return;
	session = luo_session_create("rig-bystander");
	must(session, "create a session for the bystander's memory");
	must(luo_preserve(session, bystander_memfd, 0),
	     "preserve the bystander's memory");
}

void bystander_poll(void)
{
	if (bystander.mem && igb_poll(&bystander))
		igb_flush(&bystander);
}
