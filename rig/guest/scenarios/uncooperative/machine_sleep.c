// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "devices/workload.h"
#include "interfaces/luo.h"
#include "scenarios/uncooperative/before_jump.h"
#include "scenarios/uncooperative/machine_sleep.h"
#include "scenarios/uncooperative/requests.h"
#include "update/names.h"
#include "update/preserve.h"

/*
 * Nobody could wake the machine. A sleep that is granted stops all processes for a
 * second, this one too, and ends there.
 */
static void only_try(void)
{
	int ret = try_write("/sys/power/pm_test", "freezer");

	if (!ret)
		ret = try_write("/sys/module/suspend/parameters/pm_test_delay", "1");
	if (ret)
		die("this kernel cannot try a sleep: %s", strerror(-ret));
}

/*
 * For programs that write the image of a hibernated kernel themselves, or with O_WRONLY go
 * back to it: the machine is going to sleep until the file is closed.
 */
static int open_snapshot(int mode)
{
	int fd = open("/dev/snapshot", mode | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void uncoop_sleep(struct rig *r, const char *state)
{
	static const char * const ways[] = { "freeze", "mem", "disk" };

	only_try();
	for (unsigned int i = 0; i < ARRAY_SIZE(ways); i++) {
		cell(state, "sleep", try_write("/sys/power/state", ways[i]));
		/* The receive ring does not last for all of them. */
		rig_poll(r);
	}
	cell_fd(state, "sleep", open_snapshot(O_RDONLY));
	cell_fd(state, "sleep", open_snapshot(O_WRONLY));
	emit("uncoop", ",\"what\":\"sleep\"");
}

void uncoop_going_to_sleep(struct rig *r, const char *arg)
{
	int snapshot = open_snapshot(O_RDONLY);

	must(snapshot, "open /dev/snapshot");
	mark_hwpts(r);
	r->session = luo_session_create(SESSION);
	must(r->session, "create a live update session");
	preserve_files(r, LEVEL_IOMMUFD);
	cell("going to sleep", "preserve",
	     luo_preserve(r->session, r->nic.v.fd, TOKEN_NIC));
	uncoop_undo(r, arg);
	close(snapshot);
	emit("uncoop", ",\"what\":\"going-to-sleep\"");
}
