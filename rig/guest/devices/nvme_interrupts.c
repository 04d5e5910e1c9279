// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of the NVMe controller, by MSI-X and an eventfd. Nobody looks at the
 * completion queue unless the eventfd says so: if what completed while there was none is
 * not signalled, the driver stands still for ever.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "core/end.h"
#include "devices/nvme_interrupts.h"
#include "interfaces/vfio.h"

static int event = -1;
static unsigned long long interrupts;

void nvme_irq_wire(struct vdev *v)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd[NVME_VECTOR + 1];
	} arg = {
		.set.argsz = sizeof(arg),
		.set.flags = VFIO_IRQ_SET_DATA_EVENTFD |
			     VFIO_IRQ_SET_ACTION_TRIGGER,
		.set.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.set.count = NVME_VECTOR + 1,
	};

	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		die("make an eventfd: %s", strerror(errno));
	arg.fd[0] = -1;
	arg.fd[NVME_VECTOR] = event;
	if (ioctl(v->fd, VFIO_DEVICE_SET_IRQS, &arg))
		die("connect MSI-X vector %u of %s to an eventfd: %s",
		    NVME_VECTOR, v->bdf, strerror(errno));
}

bool nvme_irq_due(void)
{
	uint64_t n;

	if (event < 0 || read(event, &n, sizeof(n)) != sizeof(n))
		return false;
	interrupts += n;
	return true;
}

unsigned long long nvme_irq_count(void)
{
	return interrupts;
}
