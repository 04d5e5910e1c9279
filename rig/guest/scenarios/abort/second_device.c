// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/end.h"
#include "devices/dma_memory.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/abort/second_device.h"

struct second_device second = { .session = -1 };

#define SECOND_SIZE	(16 * PAGE)
#define SECOND_SESSION	"continuo-second"
#define SECOND_TOKEN	0x2ull

void second_start(void)
{
	must(vfio_find(0x8086, 0x10c9, 1, second.v.bdf),
	     "find the second device (igb)");
	second.memfd = memfd_create("rig-second", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (second.memfd < 0 || ftruncate(second.memfd, SECOND_SIZE) ||
	    fcntl(second.memfd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		die("make the second memfd: %s", strerror(errno));
	second.iommufd = iommufd_open();
	must(second.iommufd, "open /dev/iommu");
	second.v.fd = vfio_open_cdev(second.v.bdf);
	must(second.v.fd, "open the second device's cdev");
	must(vfio_bind(&second.v, second.iommufd), "bind the second device");
	second.ioas = iommufd_ioas_alloc(second.iommufd);
	must(second.ioas, "allocate the second IOAS");
	must(iommufd_map_file(second.iommufd, second.ioas, second.memfd, 0,
			      SECOND_SIZE, IOVA_BASE),
	     "map the second memfd");
	second.hwpt = iommufd_hwpt_alloc(second.iommufd, second.v.devid,
					 second.ioas);
	must(second.hwpt, "allocate the second device's HWPT");
	must(vfio_attach(&second.v, second.hwpt), "attach the second device");
	must(vfio_map(&second.v), "map the second device's BAR");
	must(iommufd_hwpt_mark(second.iommufd, second.hwpt, SECOND_TOKEN, 0),
	     "mark the second device's HWPT");
}

void second_preserve(void)
{
	second.session = luo_session_create(SECOND_SESSION);
	must(second.session, "create the second session");
	must(luo_preserve(second.session, second.memfd, 1),
	     "preserve the second memfd");
	must(luo_preserve(second.session, second.iommufd, 2),
	     "preserve the second iommufd");
	must(luo_preserve(second.session, second.v.fd, 3),
	     "preserve the second device");
}

void second_undo(void)
{
	close(second.session);
	second.session = -1;
}

void second_stop(void)
{
	close(second.v.fd);
	close(second.iommufd);
	close(second.memfd);
}

#define PCI_CAP_PTR	0x34
#define PCI_CAP_PM	0x01
#define PCI_PM_CTRL	4

void second_power(unsigned int state)
{
	struct vdev *v = &second.v;
	unsigned int at = vfio_config_read16(v, PCI_CAP_PTR) & 0xfc;

	while (at && (vfio_config_read16(v, at) & 0xff) != PCI_CAP_PM)
		at = vfio_config_read16(v, at) >> 8 & 0xfc;
	if (!at)
		die("the second device has no power management");
	vfio_config_write16(v, at + PCI_PM_CTRL, state);
	if ((vfio_config_read16(v, at + PCI_PM_CTRL) & 3) != state)
		die("the second device does not go to D%u", state);
}
