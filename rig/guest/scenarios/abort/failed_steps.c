// SPDX-License-Identifier: GPL-2.0-only
/*
 * Abort before the jump. Whatever fails until then, the machine goes on as it
 * was, and the same thing done again works.
 *
 * The sweep lets the first place that can fail in a step fail, then the second,
 * and so on, until a step is through without having met the fault
 * (see interfaces/fault_injection.c). The frames go on meanwhile, and the referee
 * looks at them. swept=memory: without those steps in which it does not matter what the
 * memory is.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "core/options.h"
#include "devices/workload.h"
#include "interfaces/fault_injection.h"
#include "interfaces/iommufd.h"
#include "interfaces/kexec.h"
#include "interfaces/kmemleak.h"
#include "interfaces/memory.h"
#include "interfaces/vfio.h"
#include "scenarios/abort/as_before.h"
#include "scenarios/abort/failed_steps.h"
#include "update/preserve.h"

/* A step failed and the session is there still: all but that step works. */
static void as_before_step(struct rig *r, enum preserve_step step, long pages)
{
	long now = kho_pages();

	if (now != pages)
		die("a step that failed: %ld pages are preserved, %ld were before it",
		    now, pages);
	if (step <= STEP_IOMMUFD)
		must(rig_probe(r), "map and unmap after a preserve that failed");
	if (step <= STEP_NIC) {
		must(vfio_attach(&r->nic.v, other_hwpt),
		     "attach after a preserve that failed");
		must(vfio_attach(&r->nic.v, own_hwpt),
		     "attach after a preserve that failed");
	}
	must(vfio_attach(&r->audio.v, other_hwpt),
	     "attach after a preserve that failed");
	must(vfio_attach(&r->audio.v, own_hwpt),
	     "attach after a preserve that failed");
	rig_poll(r);
}

/*
 * One step, all of its faults. After one that made it fail, the step is done
 * again in the same session and with the same token, with the fault one place
 * further; each REDO_EVERY times without a fault: it has to work. Then, and
 * after each fault that the step got over, all of it is undone.
 */
#define REDO_EVERY	8

static void sweep_step(struct rig *r, enum preserve_step step, const char *name,
		       long pages)
{
	uint64_t begin = now_us();
	struct swept s = {};
	bool hit;

	for (unsigned int n = 1; n; n = fault_next(n, hit)) {
		long before;
		int ret;

		if (s.points > POINTS_MAX)
			die("%s: more than %d places can fail", name, POINTS_MAX);
		if (step > STEP_SESSION && r->session < 0)
			preserve_steps(r, STEP_SESSION, step);
		before = kho_pages();
		fault_arm(n);
		ret = preserve_step(r, step);
		hit = fault_disarm(name);
		fault_count(&s, ret, hit, name);
		if (ret) {
			as_before_step(r, step, before);
			if (s.failed % REDO_EVERY && step > STEP_SESSION)
				continue;
			must(preserve_step(r, step), "the step done again");
		}
		undo_session(r);
		must_be_as_before(r, pages);
	}
	fault_say(name, &s, begin, true);
}

/* Closing the session cannot fail, whatever there is no memory for. */
static void sweep_undo(struct rig *r, long pages)
{
	uint64_t begin = now_us();
	struct swept s = {};
	bool hit;

	for (unsigned int n = 1; n && s.points < POINTS_MAX;
	     n = fault_next(n, hit)) {
		preserve_steps(r, STEP_SESSION, STEPS_ALL);
		fault_arm(n);
		undo_session(r);
		hit = fault_disarm("undo");
		fault_count(&s, 0, hit, "undo");
		must_be_as_before(r, pages);
	}
	fault_say("undo", &s, begin, true);
}

/*
 * The freeze is in reboot(2), which comes back only if it fails. So that the
 * last one does, too, the device that is frozen last must not be: all places
 * of the other one's freeze are before that. Then they change places.
 */
static void sweep_freeze(struct rig *r, struct vdev *last, const char *name,
			 long pages)
{
	bool nic_last = last == &r->nic.v;
	uint64_t begin = now_us();
	struct swept s = {};
	bool hit;

	preserve_steps(r, STEP_SESSION, STEP_NIC);
	must(preserve_step(r, nic_last ? STEP_AUDIO : STEP_NIC), "preserve a device");
	must(preserve_step(r, nic_last ? STEP_NIC : STEP_AUDIO), "preserve a device");
	for (unsigned int n = 1; n; n = fault_next(n, hit)) {
		int ret;

		if (s.points > POINTS_MAX)
			die("%s: more than %d places can fail", name, POINTS_MAX);
		must(vfio_low_power(last, true), "low power entry before the jump");
		fault_arm(n);
		ret = kexec_try();
		hit = fault_disarm(name);
		must(vfio_low_power(last, false), "low power exit before the jump");
		if (!hit && ret != -EBUSY)
			die("%s: %s in place of EBUSY for a device that sleeps",
			    name, strerror(-ret));
		if (hit)
			fault_count(&s, ret, hit, name);
		/* Preserved, as it was before the reboot(2). */
		ret = vfio_attach(&r->nic.v, other_hwpt);
		if (ret != -EBUSY)
			die("%s: attach of a preserved device after the freeze: %s",
			    name, strerror(-ret));
		rig_poll(r);
	}
	undo_session(r);
	must_be_as_before(r, pages);
	fault_say(name, &s, begin, true);
}

void fail_each_step(struct rig *r)
{
	long pages;

	if (!faults_on()) {
		emit("sweep_over", ",\"unswept\":1");
		return;
	}
	prepare_both(r);
	kexec_load_this_stage();
	pages = kho_pages();

	sweep_step(r, STEP_MARK, "mark", pages);
	sweep_step(r, STEP_SESSION, "session", pages);
	/* These are the same whatever the memory is. */
	if (strcmp(opt("swept", "all"), "memory")) {
		sweep_step(r, STEP_AUDIO, "audio", pages);
		sweep_step(r, STEP_NIC, "nic", pages);
	}
	sweep_step(r, STEP_IOMMUFD, "iommufd", pages);
	faults_pages(true);
	sweep_step(r, STEP_MEMFD, "memfd", pages);
	faults_pages(false);
	sweep_freeze(r, &r->audio.v, "freeze, audio last", pages);
	sweep_freeze(r, &r->nic.v, "freeze, nic last", pages);
	sweep_undo(r, pages);

	must(iommufd_destroy(r->iommufd, other_hwpt), "destroy the second HWPT");
	faults_off();
	kmemleak_check();
	emit("sweep_over", ",\"kho_pages\":%ld", pages);
}
