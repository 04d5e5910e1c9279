// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "abi.h"
#include "core/control.h"
#include "core/end.h"
#include "devices/dma_memory.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "update/names.h"
#include "update/preserve.h"
#include "update/refusals.h"

/* @ret: 0 or -errno of what should have been refused. */
static void refusal(const char *name, int ret)
{
	emit("refusal", ",\"name\":\"%s\",\"errno\":%d,\"text\":\"%s\"", name,
	     ret < 0 ? -ret : 0, ret < 0 ? strerror(-ret) : "not refused");
}

static int fresh_session(struct rig *r)
{
	if (r->session >= 0)
		close(r->session);
	r->session = luo_session_create(SESSION);
	must(r->session, "create a live update session");
	return r->session;
}

void refusals_before_jump(struct rig *r)
{
	struct vdev *v = r->nic.present ? &r->nic.v : &r->audio.v;
	int hwpt = r->nic.present ? r->nic.hwpt : r->audio.hwpt;
	int other = iommufd_hwpt_alloc(r->iommufd, v->devid, r->ioas);

	must(other, "allocate a second HWPT");
	emit("seals", ",\"seals\":%d", fcntl(r->memfd, F_GET_SEALS));

	/* Nothing is marked yet: the device is attached to what stays behind. */
	fresh_session(r);
	must(luo_preserve(r->session, r->memfd, TOKEN_MEMFD), "preserve the memfd");
	if (!luo_preserve(r->session, r->iommufd, TOKEN_IOMMUFD))
		refusal("unmarked hwpt", luo_preserve(r->session, v->fd, TOKEN_NIC));
	else
		refusal("unmarked hwpt", -EINVAL);

	must(iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_NIC, 0),
	     "mark a HWPT");
	r->nic.marked = r->nic.present ? hwpt : 0;
	r->audio.marked = r->nic.present ? 0 : hwpt;
	refusal("token twice",
		iommufd_hwpt_mark(r->iommufd, other, TOKEN_HWPT_NIC, 0));
	refusal("unknown flag of a mark",
		iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_NIC, 1u << 2));
	refusal("keep and unmark",
		iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_NIC,
				  UIO_MARK_KEEP | UIO_MARK_UNMARK));
	refusal("unmark by another token",
		iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_AUDIO,
				  UIO_MARK_UNMARK));
	/* What is unmarked leaves its token free. */
	must(iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_NIC,
			       UIO_MARK_UNMARK), "unmark a HWPT");
	must(iommufd_hwpt_mark(r->iommufd, other, TOKEN_HWPT_NIC, 0),
	     "mark another HWPT with the token that is free again");
	must(iommufd_hwpt_mark(r->iommufd, other, TOKEN_HWPT_NIC,
			       UIO_MARK_UNMARK), "unmark the other HWPT");
	must(iommufd_hwpt_mark(r->iommufd, hwpt, TOKEN_HWPT_NIC, 0),
	     "mark a HWPT again");
	must(iommufd_destroy(r->iommufd, other), "destroy the second HWPT");

	fresh_session(r);
	refusal("iommufd before memfd",
		luo_preserve(r->session, r->iommufd, TOKEN_IOMMUFD));

	fresh_session(r);
	must(luo_preserve(r->session, r->memfd, TOKEN_MEMFD), "preserve the memfd");
	refusal("device before iommufd",
		luo_preserve(r->session, v->fd, TOKEN_NIC));

	fresh_session(r);
	must(probe_map(r), "map a page");
	mark_hwpts(r);
	preserve_files(r, LEVEL_ALL);
	refusal("unmap while preserved", probe_unmap(r));
	refusal("map while preserved",
		iommufd_map_file(r->iommufd, r->ioas, r->memfd, OFF_STATE, PAGE,
				 PROBE_IOVA + PAGE));
	refusal("destroy while preserved", iommufd_destroy(r->iommufd, hwpt));
	close(r->session);
	r->session = -1;
	must(probe_unmap(r), "unmap after a preserve was undone");
	emit("refused", "");
}

/* Before the devices are back: they are their session's, and so is its end. */
void refusals_before_devices(struct rig *r)
{
	bool nic = r->st->has_nic;
	struct vdev v = {};
	int fd;

	must(vfio_find(ID_INTEL, nic ? ID_IGB : ID_HDA_ICH6, 0, v.bdf),
	     "find a device");
	fd = vfio_open_cdev(v.bdf);
	v.fd = fd;
	refusal("open past the session",
		fd < 0 ? fd : vfio_bind(&v, r->iommufd));
	if (fd >= 0)
		close(fd);
	refusal("finish too early", luo_finish(r->session));
}

void refusals_of_bind(struct vdev *v)
{
	int other = iommufd_open();

	must(other, "open /dev/iommu");
	refusal("bind to another iommufd", vfio_bind(v, other));
	close(other);
}
