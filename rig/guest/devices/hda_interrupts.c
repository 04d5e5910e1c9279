// SPDX-License-Identifier: GPL-2.0-only
/*
 * INTx of the audio device, and an eventfd. VFIO masks INTx when it comes; who has
 * the device acknowledges it there, and unmasks INTx.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/hda.h"
#include "devices/hda_interrupts.h"
#include "interfaces/vfio.h"

#define PATIENCE_US	5000000

static int event = -1;
static bool held;
static unsigned long long count;

static void set_intx(struct vdev *v, uint32_t flags, int fd)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} arg = {
		.set.argsz = sizeof(arg),
		.set.flags = flags,
		.set.index = VFIO_PCI_INTX_IRQ_INDEX,
		.set.count = 1,
		.fd = fd,
	};

	if (ioctl(v->fd, VFIO_DEVICE_SET_IRQS, &arg))
		die("set INTx of %s (flags 0x%x): %s", v->bdf, flags,
		    strerror(errno));
}

void hda_irq_wire(struct hda *hda)
{
	if (!opt_num("intx", 0))
		return;
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		die("make an eventfd: %s", strerror(errno));
	set_intx(hda->dev, VFIO_IRQ_SET_DATA_EVENTFD |
		 VFIO_IRQ_SET_ACTION_TRIGGER, event);
	/* Reads the command register and writes it back, as drivers do. */
	vfio_enable_dma(hda->dev);
}

static bool signalled(void)
{
	uint64_t n;

	return event >= 0 && read(event, &n, sizeof(n)) == sizeof(n);
}

void hda_irq_poll(struct hda *hda)
{
	if (held || !signalled())
		return;
	count++;
	hda_ack(hda);
	set_intx(hda->dev, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
		 -1);
}

unsigned long long hda_irq_count(void)
{
	return count;
}

void hda_irq_hold(struct hda *hda, const char *how)
{
	bool masked = !strcmp(how, "masked");
	uint64_t end = now_us() + PATIENCE_US;

	held = true;
	if (masked) {
		set_intx(hda->dev, VFIO_IRQ_SET_DATA_NONE |
			 VFIO_IRQ_SET_ACTION_MASK, -1);
		hda_ack(hda);
	}
	while (masked ? !hda_pending(hda) : !signalled()) {
		if (now_us() > end)
			die("audio %s: no interrupt comes that could be held",
			    hda->dev->bdf);
		usleep(1000);
	}
	emit("held", ",\"pending\":%d", hda_pending(hda));
}
