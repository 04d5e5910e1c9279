// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/reboot.h>

#include "core/control.h"
#include "core/options.h"
#include "devices/igb.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/kexec.h"
#include "interfaces/vfio.h"
#include "scenarios/uncooperative/before_jump.h"
#include "scenarios/uncooperative/requests.h"
#include "update/preserve.h"

/* What a rebooting kernel answers as long as it does not go away. */
static int try_reboot(void)
{
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		LINUX_REBOOT_CMD_KEXEC, NULL);
	return -errno;
}

void uncoop_reboot(struct rig *r, const char *arg)
{
	int ret = try_reboot();

	emit("reboot", ",\"errno\":%d", -ret);
}

void uncoop_preserve(struct rig *r, const char *arg)
{
	rig_preserve(r);
	emit("uncoop", ",\"what\":\"preserve\"");
}

void uncoop_start(struct rig *r, const char *arg)
{
	rig_start(r);
}

void uncoop_undo(struct rig *r, const char *arg)
{
	close(r->session);
	r->session = -1;
	emit("uncoop", ",\"what\":\"undo\"");
}

void uncoop_preserved(struct rig *r, const char *arg)
{
	const char *name = "preserved";
	struct vdev *v = &r->nic.v;
	struct vdev again = *v;

	cell(name, "preserve", preserve_again(v));
	cell_fd(name, "open", vfio_open_cdev(v->bdf));
	cell(name, "group type",
	     sysfs_write(v->bdf, "iommu_group/type", "identity"));
	cell(name, "other driver", other_driver(v->bdf, "serial"));
	cell(name, "bind", vfio_bind(&again, r->iommufd));
	cell(name, "destroy", iommufd_destroy(r->iommufd, r->nic.hwpt));
	emit("uncoop", ",\"what\":\"preserved\"");
}

/* What stops the device, so that it is the last that is asked of it. */
void uncoop_stopped(struct rig *r, const char *arg)
{
	const char *name = "preserved";
	struct vdev *v = &r->nic.v;

	rig_poll(r);
	igb_flush(&r->igb);
	/* The ring ends with the reset. */
	r->st->nic.posted = r->st->nic.next;
	cell(name, "reset VFIO", vfio_reset(v));
	cell(name, "reset", sysfs_write(v->bdf, "reset", "1"));
	cell(name, "detach", vfio_detach(v));
	cell(name, "jump after detach", try_reboot());
	cell(name, "attach after detach", vfio_attach(v, r->nic.hwpt));
	uncoop_undo(r, arg);
	cell(name, "attach after undo", vfio_attach(v, r->nic.hwpt));
	emit("uncoop", ",\"what\":\"stopped\"");
}

/* The devices are still as they came, and nobody carries them any further. */
void uncoop_leave(struct rig *r, const char *arg)
{
	opt_set("preserve=0");
	kexec_load_next();
	emit("jump", ",\"next\":0");
	kexec_jump();
}
