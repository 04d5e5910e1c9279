// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of the rig's guests. Brings up what the programs need, takes the
 * devices (stage 1) or gets them back from the previous kernel (stage 2 and
 * later), and then does what the referee says; see commands.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "commands.h"
#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "core/modules.h"
#include "core/options.h"
#include "devices/bystander.h"
#include "devices/workload.h"
#include "hypervisor/qemu.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/services.h"
#include "libcontinuo/tenants.h"
#include "libcontinuo/vm.h"
#include "scenarios/ats.h"
#include "scenarios/damaged_handover.h"
#include "scenarios/many_devices.h"
#include "scenarios/neighbours.h"
#include "update/back.h"
#include "update/preserve.h"
#include "update/resume.h"

#define POLL_MS 4

static struct rig rig;

static void mount_all(void)
{
	static const struct {
		const char *type, *dir;
	} fs[] = {
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
		{ "devtmpfs", "/dev" },
		{ "debugfs", "/sys/kernel/debug" },
		{ "securityfs", "/sys/kernel/security" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(fs); i++) {
		mkdir(fs[i].dir, 0755);
		/* Not in each kernel: sysfs has no folder for it then. */
		if (!strcmp(fs[i].type, "securityfs") && access(fs[i].dir, F_OK))
			continue;
		if (mount(fs[i].type, fs[i].dir, fs[i].type, 0, NULL) &&
		    errno != EBUSY)
			fprintf(stderr, "rig: mount %s: %s\n", fs[i].dir,
				strerror(errno));
	}
}

static void std_console(void)
{
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

static void open_control(void)
{
	const char *path = opt("ctl", "/dev/ttyS1");
	int ret = ctl_open(path);

	if (ret)
		die("open the control channel %s: %s", path, strerror(-ret));
	if (opt_num("later", 0))
		ctl_keep_phases();
}

int main(int argc, char **argv)
{
	struct utsname uts;
	long stage;
	char *line;

	if (services_is(argv[0])) {
		opt_load_cmdline();
		open_control();
		return services_main(argc, argv);
	}
	if (getpid() != 1 && argc == 3) {
		opt_load_cmdline();
		open_control();
		if (hypervisor_wanted())
			hypervisor_take(argv[1], argv[2]);
		tenant_take_over(argv[1], argv[2]);
	}
	mount_all();
	std_console();
	opt_load_cmdline();
	if (!opt_num("debugfs", 1))
		umount("/sys/kernel/debug");
	open_control();
	stage = opt_num("stage", 1);
	uname(&uts);
	emit("boot", ",\"stage\":%ld,\"kernel_release\":\"%s\"", stage,
	     uts.release);
	modules_load();
	back_begin();

	if (hypervisor_wanted()) {
		hypervisor_begin();
	} else if (many_wanted()) {
		if (stage == 1)
			many_start();
		else if (opt_num("idle", 0))
			emit("idle", "");
		else
			many_resume();
	} else if (ats_wanted()) {
		if (stage == 1)
			ats_start();
		else if (opt_num("idle", 0))
			emit("idle", "");
		else
			ats_resume();
	} else if (neighbours_wanted()) {
		neighbours_start();
	} else if (tenants_wanted()) {
		agent_begin();
		if (stage == 1)
			tenants_start();
		else
			emit("idle", "");
	} else if (stage == 1) {
		if (opt_num("bystander", 0))
			bystander_start();
		rig_start(&rig);
	} else if (opt_num("idle", 0)) {
		emit("idle", "");
	} else if (library_wanted()) {
		library_resume(&rig);
	} else if (opt_num("salvage", 0)) {
		resume_damaged(&rig);
	} else if (preserve_wanted()) {
		rig_resume(&rig);
	} else {
		emit("nothing", "");
	}

	for (;;) {
		line = ctl_line(POLL_MS);
		if (line)
			do_command(&rig, line);
		rig_poll(&rig);
		ats_poll();
		bystander_poll();
		hypervisor_poll();
	}
}
