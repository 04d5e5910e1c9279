// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of the network device, by MSI-X and an eventfd: with the option
 * irq=1 nobody looks at the receive ring unless the eventfd says so. What was
 * signalled while there was no eventfd must not be forgotten.
 *
 * Registers: Intel 82576EB Datasheet, section 8.8 "Interrupt Register
 * Descriptions".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "core/end.h"
#include "core/options.h"
#include "devices/igb_interrupts.h"
#include "interfaces/vfio.h"

enum {
	IGB_GPIE	= 0x1514,
	IGB_EIMS	= 0x1524,
	IGB_EIAC	= 0x152c,
	IGB_IVAR0	= 0x1700,
};

#define GPIE_MULTIPLE_MSIX	(1u << 4)
#define IVAR_VALID		(1u << 7)

static int event = -1;
static unsigned long long interrupts;

bool igb_irq_wanted(void)
{
	return opt_num("irq", 0);
}

void igb_irq_wire(struct vdev *v)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} arg = {
		.set.argsz = sizeof(arg),
		.set.flags = VFIO_IRQ_SET_DATA_EVENTFD |
			     VFIO_IRQ_SET_ACTION_TRIGGER,
		.set.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.set.count = 1,
	};

	if (!igb_irq_wanted())
		return;
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		die("make an eventfd: %s", strerror(errno));
	arg.fd = event;
	if (ioctl(v->fd, VFIO_DEVICE_SET_IRQS, &arg))
		die("connect MSI-X vector 0 of %s to an eventfd: %s", v->bdf,
		    strerror(errno));
}

void igb_irq_program(struct vdev *v)
{
	if (!igb_irq_wanted())
		return;
	wr32(v, IGB_GPIE, GPIE_MULTIPLE_MSIX);
	wr32(v, IGB_IVAR0, IVAR_VALID);		/* queue 0: vector 0 */
	wr32(v, IGB_EIAC, 1);
	wr32(v, IGB_EIMS, 1);
}

bool igb_irq_due(void)
{
	uint64_t n;

	if (!igb_irq_wanted())
		return true;
	if (event < 0 || read(event, &n, sizeof(n)) != sizeof(n))
		return false;
	interrupts += n;
	return true;
}

unsigned long long igb_irq_count(void)
{
	return interrupts;
}
