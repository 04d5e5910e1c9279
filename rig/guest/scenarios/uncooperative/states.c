// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/uncooperative/requests.h"
#include "scenarios/uncooperative/states.h"
#include "update/names.h"
#include "update/resume.h"

enum state {
	INCOMING, IOMMUFD, CDEV, BOUND, RESTORED, REBUILT, REPLACED, FINISHED,
};

static const char * const state_names[] = {
	[INCOMING] = "incoming", [IOMMUFD] = "iommufd", [CDEV] = "cdev",
	[BOUND] = "bound", [RESTORED] = "restored", [REBUILT] = "rebuilt",
	[REPLACED] = "replaced", [FINISHED] = "finished",
};

static void ask_of_system(const char *name, const char *bdf)
{
	cell_fd(name, "open", vfio_open_cdev(bdf));
	cell(name, "group type", sysfs_write(bdf, "iommu_group/type", "identity"));
	cell(name, "other driver", other_driver(bdf, "serial"));
}

static void ask_of_session(struct rig *r, const char *name, enum state state)
{
	cell_fd(name, "retrieve session", luo_session_retrieve(SESSION));
	if (state < REPLACED)
		cell(name, "finish", luo_finish(r->session));
	cell_fd(name, "retrieve iommufd",
		luo_retrieve(r->session, TOKEN_IOMMUFD));
}

static void ask_of_iommufd(struct rig *r, const char *name, enum state state)
{
	int id = iommufd_hwpt_restore(r->iommufd, TOKEN_HWPT_NIC);

	cell(name, "restore", id);
	cell(name, "restore unknown",
	     iommufd_hwpt_restore(r->iommufd, NO_SUCH_TOKEN));
	if (id > 0 && state < REPLACED)
		cell(name, "destroy", iommufd_destroy(r->iommufd, id));
	if (id > 0 && state >= BOUND && state < REPLACED)
		cell(name, "attach restored", vfio_attach(&r->nic.v, id));
}

static void ask_of_file(struct rig *r, const char *name, enum state state)
{
	struct vdev again = r->nic.v;
	int ret;

	cell(name, "bind other", bind_other(&r->nic.v));
	if (state == CDEV) {
		cell(name, "bind halfway",
		     bind_halfway(&r->nic.v, r->iommufd));
		cell(name, "reset VFIO", vfio_reset(&r->nic.v));
	}
	if (state < FINISHED)
		cell(name, "preserve", preserve_again(&r->nic.v));
	if (state < BOUND)
		return;
	ret = vfio_bind(&again, r->iommufd);
	if (!ret && again.devid != r->nic.v.devid)
		ret = -ESTALE;
	cell(name, "bind", ret);
	if (state == FINISHED)
		return;
	cell(name, "reset VFIO", vfio_reset(&r->nic.v));
	cell(name, "hot reset", vfio_hot_reset(&r->nic.v));
	cell(name, "FLR", config_flr(&r->nic.v));
	cell(name, "D3", config_d3(&r->nic.v));
}

/* The last that is asked: the attach that follows at the end goes from there. */
static void ask_detached(struct rig *r, const char *name)
{
	int id = iommufd_hwpt_restore(r->iommufd, TOKEN_HWPT_NIC);

	cell(name, "detach", vfio_detach(&r->nic.v));
	if (r->audio.present)
		cell(name, "detach", vfio_detach(&r->audio.v));
	cell(name, "destroy detached", iommufd_destroy(r->iommufd, id));
}

static void states_reached(struct rig *r, const char *step)
{
	static const struct {
		const char *step;
		enum state state;
	} at[] = {
		{ "iommufd", IOMMUFD }, { "cdev-nic", CDEV },
		{ "bind-nic", BOUND }, { "restore", RESTORED },
		{ "hwpt", REBUILT }, { "replace", REPLACED },
		{ "finish", FINISHED },
	};
	char *bdf = r->nic.v.bdf;

	if (!bdf[0] && vfio_find(ID_INTEL, ID_IGB, 0, bdf))
		die("the network device is not there");
	for (unsigned int i = 0; i < ARRAY_SIZE(at); i++) {
		enum state state = at[i].state;
		const char *name = state_names[state];

		if (strcmp(step, at[i].step))
			continue;
		ask_of_system(name, bdf);
		if (state < FINISHED)
			cell(name, "reset", sysfs_write(bdf, "reset", "1"));
		ask_of_session(r, name, state);
		ask_of_iommufd(r, name, state);
		if (state >= CDEV)
			ask_of_file(r, name, state);
		/* For good: detaching it once more does nothing. */
		if (state == BOUND || state == REBUILT)
			ask_detached(r, name);
	}
}

void uncoop_incoming(struct rig *r, const char *arg)
{
	const char *name = state_names[INCOMING];
	char bdf[BDF_LEN];

	if (vfio_find(ID_INTEL, ID_IGB, 0, bdf))
		die("the network device is not there");
	/* No driver yet, and none is asked for. */
	cell(name, "new_id", new_id(bdf, "serial"));
	cell(name, "managing driver", other_driver(bdf, "pcieport"));
	ask_of_system(name, bdf);
	/* The open has bound vfio-pci; without a file it can go. */
	cell(name, "unbind", try_write("/sys/bus/pci/drivers/vfio-pci/unbind",
				       bdf));
	cell(name, "other driver", other_driver(bdf, "serial"));
	cell(name, "reset", sysfs_write(bdf, "reset", "1"));
	emit("uncoop", ",\"what\":\"incoming\"");
}

void uncoop_states(struct rig *r, const char *arg)
{
	rig_reached = states_reached;
	rig_resume(r);
	rig_reached = NULL;
}
