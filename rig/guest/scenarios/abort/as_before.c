// SPDX-License-Identifier: GPL-2.0-only
#include <unistd.h>

#include "core/end.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/memory.h"
#include "interfaces/vfio.h"
#include "scenarios/abort/as_before.h"
#include "update/preserve.h"

int own_hwpt, other_hwpt;

static void attach_both(struct rig *r, int hwpt)
{
	must(vfio_attach(&r->nic.v, hwpt), "attach the network device again");
	must(vfio_attach(&r->audio.v, hwpt), "attach the audio device again");
}

void must_be_as_before(struct rig *r, long pages)
{
	long now = kho_pages();

	if (now != pages)
		die("%ld pages are preserved, %ld were before", now, pages);
	must(rig_probe(r), "map and unmap after a preserve was undone");
	must(preserve_step(r, STEP_MARK), "mark after a preserve was undone");
	attach_both(r, other_hwpt);
	attach_both(r, own_hwpt);
	rig_poll(r);
}

void undo_session(struct rig *r)
{
	if (r->session >= 0)
		close(r->session);
	r->session = -1;
}

void preserve_steps(struct rig *r, int from, int end)
{
	static const char *const what[] = {
		"mark", "create a session", "preserve the memfd",
		"preserve the iommufd", "preserve the network device",
		"preserve the audio device",
	};

	for (int step = from; step < end; step++)
		must(preserve_step(r, step), what[step]);
}

void prepare_both(struct rig *r)
{
	if (!r->nic.present || !r->audio.present)
		die("this needs both devices");
	own_hwpt = r->nic.hwpt;
	other_hwpt = iommufd_hwpt_alloc(r->iommufd, r->nic.v.devid, r->ioas);
	must(other_hwpt, "allocate a second HWPT");
	must(preserve_step(r, STEP_MARK), "mark the HWPT");
	r->nic.marked = r->nic.hwpt;
}
