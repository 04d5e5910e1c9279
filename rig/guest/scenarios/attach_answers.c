// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a VMM does with HWPTs that has never heard of live updates, step by step, with the
 * kernel's answer to each. The referee compares them with those of another kernel, so
 * there is no word here of what they should be.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/control.h"
#include "devices/dma_memory.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/vfio.h"
#include "scenarios/attach_answers.h"

#define NO_SUCH_ID	0x7fffffffu

static void answer(const char *what, int ret)
{
	emit("answer", ",\"step\":\"%s\",\"errno\":%d", what, ret < 0 ? -ret : 0);
}

/* Its own and the same again, from HWPT to HWPT and to IOASes, and what is refused. */
static void attach_one(struct device *d, int other, int ioas, int other_ioas)
{
	int own = d->hwpt;

	answer("attach, the same again", vfio_attach(&d->v, own));
	answer("attach, another HWPT", vfio_attach(&d->v, other));
	answer("attach, the IOAS of the first", vfio_attach(&d->v, ioas));
	answer("attach, the other IOAS", vfio_attach(&d->v, other_ioas));
	answer("attach, the same IOAS again", vfio_attach(&d->v, other_ioas));
	answer("attach, no such id", vfio_attach(&d->v, NO_SUCH_ID));
	answer("attach, the id of a device", vfio_attach(&d->v, d->v.devid));
	answer("attach, the first HWPT", vfio_attach(&d->v, own));
}

static void detach_one(struct rig *r, struct device *d, int other)
{
	answer("destroy, in use", iommufd_destroy(r->iommufd, d->hwpt));
	answer("detach", vfio_detach(&d->v));
	answer("detach, again", vfio_detach(&d->v));
	answer("attach, detached, no such id", vfio_attach(&d->v, NO_SUCH_ID));
	answer("attach, detached, another HWPT", vfio_attach(&d->v, other));
	answer("attach, back", vfio_attach(&d->v, d->hwpt));
}

void attach_answers(struct rig *r, bool detach)
{
	struct device *devices[] = { &r->nic, &r->audio };
	int hwpts[2], ioas = r->ioas;

	build_ioas(r, 0);
	build_hwpts(r, &hwpts[0], &hwpts[1]);
	for (unsigned int i = 0; i < 2; i++) {
		if (detach)
			detach_one(r, devices[i], hwpts[i]);
		else
			attach_one(devices[i], hwpts[i], ioas, r->ioas);
		rig_poll(r);
	}
	answer("destroy, what was left", iommufd_destroy(r->iommufd, hwpts[0]));
	answer("destroy, an IOAS in use", iommufd_destroy(r->iommufd, ioas));
	answer("destroy, an IOAS that was left", iommufd_destroy(r->iommufd, r->ioas));
	r->ioas = ioas;
	emit("answered", "");
}
