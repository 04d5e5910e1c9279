// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtual function of an NVMe controller is a secondary controller. It can be used once the
 * primary one, which is the physical function, has given queues and vectors away and assigned
 * them to it, and has brought it online. A reset of the primary controller takes it offline.
 *
 * "NVM Express Base Specification", revision 1.4, section 8.5 "Virtualization Enhancements".
 */
#include <stdio.h>

#include "core/end.h"
#include "core/files.h"
#include "devices/nvme.h"
#include "devices/nvme_pf.h"
#include "devices/pf_owner.h"
#include "interfaces/vfio.h"

#define PRIMARY		0u	/* of the controllers' ids */
#define SECONDARY	1u

static void set(const char *what, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", pf_owner.v.bdf, what);
	write_file(path, text);
}

void nvme_pf_start(void)
{
	struct nvme *d = &pf_owner.nvme;

	pf_owner_find();
	pf_owner_start();
	/* All that can be given away, which it is from the next reset on. */
	nvme_enable(d);
	nvme_manage(d, 0, NVME_PRIMARY_FLEXIBLE, NVME_VECTORS, PRIMARY, 0);
	nvme_manage(d, 1, NVME_PRIMARY_FLEXIBLE, NVME_QUEUES, PRIMARY, 0);
	must(vfio_reset(d->dev), "reset the physical function (nvme)");
	vfio_enable_dma(d->dev);
	nvme_enable(d);

	/* It is for a VM: no driver of the host's is to take it. */
	set("sriov_drivers_autoprobe", "0");
	set("sriov_numvfs", "1");
	nvme_manage(d, 0, NVME_ASSIGN, NVME_VECTORS, SECONDARY, NVME_VF_VECTORS);
	nvme_manage(d, 1, NVME_ASSIGN, NVME_QUEUES, SECONDARY, NVME_VF_QUEUES);
	nvme_manage(d, 2, NVME_ONLINE, NVME_QUEUES, SECONDARY, 0);
}
