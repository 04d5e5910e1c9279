// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel attaches PASIDs to a device that has none, too: nothing is written into its
 * PASID table then, as such a device sends none. So what is refused before the jump can be
 * tried with a device that QEMU has.
 */
#include "core/control.h"
#include "core/end.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/uncooperative/before_jump.h"
#include "scenarios/uncooperative/pasids.h"
#include "scenarios/uncooperative/requests.h"
#include "update/names.h"
#include "update/preserve.h"

#define MOVED		1
#define ADDED		2

static void try_pasids(struct vdev *v, const char *state, int hwpt, int other)
{
	cell(state, "attach PASID", vfio_attach_pasid(v, ADDED, hwpt));
	cell(state, "replace PASID", vfio_attach_pasid(v, MOVED, other));
}

void uncoop_pasids(struct rig *r, const char *arg)
{
	struct vdev *v = &r->nic.v;
	int before = r->nic.hwpt, hwpt, other;

	/* The HWPT of the device itself has to be one of this kind. */
	hwpt = iommufd_hwpt_alloc_pasid(r->iommufd, v->devid, r->ioas);
	must(hwpt, "allocate a HWPT for PASIDs");
	other = iommufd_hwpt_alloc_pasid(r->iommufd, v->devid, r->ioas);
	must(other, "allocate another HWPT for PASIDs");
	must(vfio_attach(v, hwpt), "attach the network device");
	r->nic.hwpt = hwpt;
	must(iommufd_destroy(r->iommufd, before), "destroy a HWPT");
	must(vfio_attach_pasid(v, MOVED, hwpt), "attach a PASID");

	mark_hwpts(r);
	r->session = luo_session_create(SESSION);
	must(r->session, "create a live update session");
	preserve_files(r, LEVEL_ALL);
	try_pasids(v, "preserved", hwpt, other);
	uncoop_undo(r, arg);
	try_pasids(v, "undone", hwpt, other);

	must(vfio_detach_pasid(v, ADDED), "detach a PASID");
	must(vfio_detach_pasid(v, MOVED), "detach a PASID");
	must(iommufd_destroy(r->iommufd, other), "destroy a HWPT");
	emit("uncoop", ",\"what\":\"pasids\"");
}
