// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's pci-pf-stub drives the PF, and does not know it. What the PF has to be
 * told, so that its VFs get frames, is written into its BAR by way of sysfs. Or user
 * space drives it.
 *
 * Registers: "Intel 82576 Gigabit Ethernet Controller Datasheet", section "Programming
 * Interface" and section "Virtualization".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/igb.h"
#include "devices/igb_pf.h"
#include "devices/igb_port.h"
#include "devices/pf_owner.h"
#include "interfaces/vfio.h"

#define PCI_DIR		"/sys/bus/pci/devices"
#define PCI_COMMAND	4
#define MEMORY_MASTER	6

enum {
	IGB_VFRE	= 0x0c8c,
	IGB_RAL0	= 0x5400,
	IGB_RAH0	= 0x5404,
	IGB_MRQC	= 0x5818,
	IGB_VT_CTL	= 0x581c,
	IGB_VMOLR0	= 0x5ad0,
};

#define RAH_VALID		(1u << 31)
#define RAH_POOL(n)		(1u << (18 + (n)))
#define MRQC_VMDQ		3u
#define VT_NO_DEFAULT_POOL	(1u << 29)
#define VMOLR_UNTAGGED		(1u << 24)
#define VMOLR_LONG		(1u << 16)
#define VMOLR_LENGTH		2048u

static void give_to_stub(const char *bdf)
{
	char path[128];

	snprintf(path, sizeof(path), PCI_DIR "/%s/driver_override", bdf);
	write_file(path, "pci-pf-stub");
	write_file("/sys/bus/pci/drivers_probe", bdf);
}

/* A driver that knows the PF would do this. */
static void enable(const char *bdf)
{
	char path[128];
	uint16_t cmd;
	int fd;

	snprintf(path, sizeof(path), PCI_DIR "/%s/config", bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, &cmd, 2, PCI_COMMAND) != 2)
		die("read the configuration of the PF: %s", strerror(errno));
	cmd |= MEMORY_MASTER;
	if (pwrite(fd, &cmd, 2, PCI_COMMAND) != 2)
		die("write the configuration of the PF: %s", strerror(errno));
	close(fd);
}

static void open_pool(struct vdev *pf, unsigned int n)
{
	wr32(pf, IGB_VMOLR0 + 4 * n, VMOLR_UNTAGGED | VMOLR_LONG | VMOLR_LENGTH);
}

/*
 * Each VF gets the frames that are sent to its address, and nobody those to others. A
 * bystander gets what the first one gets, since there is one wire; so does the PF itself.
 */
static void share(struct vdev *pf, unsigned int vfs)
{
	bool bystander = opt_num("bystander", 0), own = pf_owner_wanted();
	uint8_t mac[6];

	wr32(pf, IGB_MRQC, MRQC_VMDQ);
	wr32(pf, IGB_VT_CTL, VT_NO_DEFAULT_POOL);
	for (unsigned int i = 0; i < vfs; i++) {
		igb_vf_mac(i, mac);
		wr32(pf, IGB_RAL0 + 8 * (i + 1),
		     mac[0] | mac[1] << 8 | mac[2] << 16 | (uint32_t)mac[3] << 24);
		wr32(pf, IGB_RAH0 + 8 * (i + 1),
		     mac[4] | mac[5] << 8 | RAH_POOL(i) | RAH_VALID |
		     (bystander && !i ? RAH_POOL(1) : 0) |
		     (own && !i ? RAH_POOL(PF_POOL) : 0));
		open_pool(pf, i);
	}
	if (own)
		open_pool(pf, PF_POOL);
	wr32(pf, IGB_VFRE, ((1u << vfs) - 1) | (own ? 1u << PF_POOL : 0));
	igb_receive(pf);
}

static void find(struct vdev *pf)
{
	must(vfio_find(ID_INTEL, ID_IGB, 0, pf->bdf), "find the physical function (igb)");
}

static void switch_vfs_on(const char *bdf, unsigned int vfs)
{
	char path[128], text[16];

	/* They are for VMs: no driver of the host's is to take them. */
	snprintf(path, sizeof(path), PCI_DIR "/%s/sriov_drivers_autoprobe", bdf);
	write_file(path, "0");
	snprintf(path, sizeof(path), PCI_DIR "/%s/sriov_numvfs", bdf);
	snprintf(text, sizeof(text), "%u", vfs);
	write_file(path, text);
}

unsigned int igb_pf_start_idle(unsigned int vfs)
{
	char bdf[BDF_LEN];
	unsigned int n;

	for (n = 0; !vfio_find(ID_INTEL, ID_IGB, n, bdf); n++) {
		give_to_stub(bdf);
		enable(bdf);
		switch_vfs_on(bdf, vfs);
	}
	return n;
}

void igb_pf_start(void)
{
	struct vdev pf = { .fd = -1 };
	static bool started;

	if (started)
		return;
	started = true;
	find(&pf);
	if (igb_port_wanted()) {
		igb_port_start();
	} else if (pf_owner_wanted()) {
		pf_owner_find();
		pf_owner_start();
	} else {
		give_to_stub(pf.bdf);
		enable(pf.bdf);
		must(vfio_map_sysfs(&pf), "map the PF's BAR");
		igb_reset(&pf);
		vfio_unmap(&pf);
	}
	switch_vfs_on(pf.bdf, igb_vfs());
	if (igb_port_wanted())
		igb_port_set_vfs();
}

void igb_pf_share(struct vdev *vf)
{
	struct vdev pf = { .fd = -1 };

	if (igb_port_wanted()) {
		igb_port_begin_vf(vf);
		return;
	}
	if (pf_owner_wanted()) {
		share(&pf_owner.v, igb_vfs());
		pf_owner_receive();
		return;
	}
	find(&pf);
	must(vfio_map_sysfs(&pf), "map the PF's BAR");
	share(&pf, igb_vfs());
	vfio_unmap(&pf);
}
