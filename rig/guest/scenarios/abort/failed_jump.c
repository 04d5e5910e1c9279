// SPDX-License-Identifier: GPL-2.0-only
/*
 * reboot(2) fails, by which time devices and sessions are frozen. One way is
 * that user space says of a device that it does not use it: the device stays
 * awake, since a preserved device does, and goes on with its DMA; but the freeze
 * refuses it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "core/control.h"
#include "core/end.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/kexec.h"
#include "interfaces/memory.h"
#include "interfaces/vfio.h"
#include "scenarios/abort/as_before.h"
#include "scenarios/abort/failed_jump.h"
#include "scenarios/abort/second_device.h"
#include "update/preserve.h"

/* reboot(2) has come back: still preserved, and nothing is frozen. */
static void back(struct rig *r, const char *name, unsigned int tries, int ret)
{
	int refused = vfio_attach(&r->nic.v, other_hwpt);

	if (refused != -EBUSY)
		die("%s: attach of a preserved device: %s", name,
		    strerror(-refused));
	/* Writes to the configuration space. */
	vfio_enable_dma(&r->nic.v);
	must(vfio_low_power(&r->audio.v, true), "low power entry after the jump failed");
	must(vfio_low_power(&r->audio.v, false), "low power exit after the jump failed");
	if (second.session >= 0 && ioctl(second.v.fd, VFIO_DEVICE_RESET))
		die("%s: reset of the second device after the jump failed: %s",
		    name, strerror(errno));
	rig_poll(r);
	emit("late", ",\"name\":\"%s\",\"tries\":%u,\"errno\":%d,\"text\":\"%s\"",
	     name, tries, -ret, strerror(-ret));
}

/*
 * Somebody loads a kernel: for a crash, so that no kernel is loaded in the end
 * (no memory is set apart for one), but the lock is held while it is read.
 */
static pid_t start_loader(void)
{
	pid_t child = fork();

	if (child < 0)
		die("fork: %s", strerror(errno));
	if (child)
		return child;
	for (;;) {
		int kernel = open("/next/bzImage", O_RDONLY | O_CLOEXEC);

		syscall(SYS_kexec_file_load, kernel, -1, 1ul, "",
			0x2ul | 0x4ul /* on crash, no initramfs */);
		close(kernel);
	}
}

#define BUSY_TRIES	200000u

static void busy_lock(struct rig *r)
{
	pid_t child = start_loader();
	unsigned int tries = 0;
	int ret;

	do {
		ret = kexec_try();
		if (!(++tries % 64))
			rig_poll(r);
	} while (ret == -EINVAL && tries < BUSY_TRIES);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	back(r, "kernel is being loaded", tries, ret);
}

static int try_asleep(struct vdev *v)
{
	int ret;

	must(vfio_low_power(v, true), "low power entry of a preserved device");
	ret = kexec_try();
	must(vfio_low_power(v, false), "low power exit of a preserved device");
	return ret;
}

void fail_each_jump(struct rig *r)
{
	long pages;
	int ret;

	prepare_both(r);
	second_start();
	pages = kho_pages();

	/* Nothing is loaded yet. */
	preserve_steps(r, STEP_SESSION, STEPS_ALL);
	back(r, "no kernel loaded", 1, kexec_try());
	busy_lock(r);
	kexec_load_this_stage();

	back(r, "device sleeps", 1, try_asleep(&r->audio.v));

	/* The first session is frozen by the time that the second one fails. */
	second_preserve();
	back(r, "second session: device sleeps", 1, try_asleep(&second.v));

	second_power(3);
	ret = kexec_try();
	second_power(0);
	back(r, "second session: device in D3", 1, ret);

	must(vfio_detach(&second.v), "detach the second device");
	back(r, "second session: device detached", 1, kexec_try());
	second_undo();
	must(vfio_attach(&second.v, second.hwpt), "attach the second device again");

	/* The other way round: the second device is frozen, then let go. */
	undo_session(r);
	must_be_as_before(r, pages);
	second_preserve();
	preserve_steps(r, STEP_SESSION, STEPS_ALL);
	back(r, "device of the later session sleeps", 1,
	     try_asleep(&r->audio.v));
	second_undo();
	undo_session(r);
	must_be_as_before(r, pages);
	second_stop();
	must(iommufd_destroy(r->iommufd, other_hwpt), "destroy the second HWPT");
	emit("late_over", ",\"kho_pages\":%ld", pages);
}
