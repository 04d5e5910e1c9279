// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of the rig's guests. Brings up what the programs need, takes the
 * devices (stage 1) or gets them back from the previous kernel (stage 2 and
 * later), and then does what the referee says, one command a line:
 *
 *	update [name=value]...	preserve and jump into the next kernel
 *	preserve [name=value]...	preserve, and stay
 *	jump			try to jump into the next kernel, and say why not
 *	unplug BDF		take a device out of the kernel's view
 *	replace N		replace the HWPT N times under load
 *	undo N			preserve and undo it N times
 *	refusals		do what is forbidden and report the answers
 *	view WHEN		pass on what debugfs shows of an update
 *	holder			views of a session that another process made
 *	uncoop WHAT		do not co-operate; see scenarios/uncooperative/commands.c
 *	reader			start or stop reading the same all the time
 *	sweep			let each step of a preserve fail, one by one
 *	late			let the jump fail in each way there is
 *	skew [kept]		load kernels that do not read what this one writes
 *	tables N		map so much that there are N more tables
 *	memory			say how much memory is used for what
 *	shrink			replace the HWPTs by ones that lack a page
 *	try VENDOR:DEVICE [nth]	attach and preserve another device, undo it
 *	tenants			users who ask the agent for each other's sessions
 *	orders			VMs and updaters that do not do what they are to do
 *	keeper			an agent that is killed, and what was kept for it
 *	run PROGRAM [ARG]...	run it, and pass on what it prints
 *	spawn PROGRAM [ARG]...	the same, and go on meanwhile
 *	signal N		send a signal to the one that was spawned
 *	report			say what has been received so far
 *	wire			with wire=late: connect the interrupts
 *	hold WHAT		answer no INTx; see devices/hda_interrupts.h
 *	race WHAT		do that to the network device, all the time; see scenarios/freeze_race.c
 *	restart			set the network device up anew after that
 *	stop			stop the audio, take what is left, power off
 *	off			power off as it is
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/modules.h"
#include "core/options.h"
#include "core/programs.h"
#include "devices/bystander.h"
#include "devices/hda.h"
#include "devices/hda_interrupts.h"
#include "devices/igb.h"
#include "devices/workload.h"
#include "interfaces/kexec.h"
#include "interfaces/kmemleak.h"
#include "interfaces/memory.h"
#include "interfaces/vfio.h"
#include "libcontinuo/agent.h"
#include "libcontinuo/descriptor_store.h"
#include "libcontinuo/order_tests.h"
#include "libcontinuo/session_owners.h"
#include "libcontinuo/tenants.h"
#include "libcontinuo/vm.h"
#include "scenarios/abort/failed_jump.h"
#include "scenarios/abort/failed_steps.h"
#include "scenarios/damaged_handover.h"
#include "scenarios/freeze_race.h"
#include "scenarios/many_devices.h"
#include "scenarios/other_device.h"
#include "scenarios/replace.h"
#include "scenarios/uncooperative/commands.h"
#include "scenarios/unread_formats.h"
#include "update/debugfs_view.h"
#include "update/preserve.h"
#include "update/refusals.h"
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
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(fs); i++) {
		mkdir(fs[i].dir, 0755);
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

static void report(char *args)
{
	if (tenants_wanted())
		tenants_report();
	else
		rig_report(&rig);
}

static void update(char *args)
{
	char *word, *save = NULL;

	for (word = strtok_r(args, " ", &save); word;
	     word = strtok_r(NULL, " ", &save))
		opt_set(word);
	if (many_wanted()) {
		many_preserve();
		emit("jump", "");
		kexec_jump();
	}
	if (library_wanted())
		library_preserve(&rig);
	else
		rig_preserve(&rig);
	rig_corrupt();
	rig_poll(&rig);
	emit_audio(&rig);
	/* With nothing preserved the run would be lost with this memory. */
	if (!rig_preserves() && rig.nic.present)
		igb_flush(&rig.igb);
	emit("jump", ",\"next\":%llu", rig.st ?
	     (unsigned long long)rig.st->nic.next : 0ull);
	if (opt_num("patient", 0))
		kexec_jump_patiently();
	kexec_jump();
}

static void preserve(char *args)
{
	char *word, *save = NULL;

	for (word = strtok_r(args, " ", &save); word;
	     word = strtok_r(NULL, " ", &save))
		opt_set(word);
	rig_preserve(&rig);
	emit("preserved", "");
}

static void jump(char *args)
{
	rig_poll(&rig);
	emit_audio(&rig);
	emit("jump", ",\"next\":%llu",
	     (unsigned long long)rig.st->nic.next);
	tcdrain(ctl_fd());
	emit("stays", ",\"errno\":%d", -kexec_try());
}

static void unplug(char *args)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", args);
	write_file(path, "1");
	emit("unplugged", "");
}

static void stop(char *args)
{
	if (tenants_wanted()) {
		tenants_stop();
		kmemleak_check();
		emit("done", ",\"bad\":0");
		power_off();
	}
	if (rig.audio.present) {
		emit_audio(&rig);
		hda_stop(&rig.hda);
		emit("audio_stopped", "");
	}
	report(args);
	kmemleak_check();
	emit("done", ",\"bad\":%llu", rig.st ?
	     (unsigned long long)rig.st->nic.bad : 0ull);
	power_off();
}

static void resume(char *args)
{
	rig_resume(&rig);
}

static void wire(char *args)
{
	rig_wire_late(&rig);
}

static void hold(char *args)
{
	intx_hold(&rig.hda, args);
}

static void race(char *args)
{
	race_begin(&rig.nic.v, args);
}

static void restart(char *args)
{
	race_end();
	vfio_enable_dma(&rig.nic.v);
	igb_start(&rig.igb);
	emit("restarted", "");
}

static void off(char *args)
{
	power_off();
}

static void replace(char *args)
{
	rig_replace(&rig, strtoul(args, NULL, 0));
}

static void undo(char *args)
{
	rig_undo(&rig, strtoul(args, NULL, 0));
}

static void refusals(char *args)
{
	rig_refusals(&rig);
}

static void view(char *args)
{
	view_emit(args);
}

static void holder(char *args)
{
	view_holder();
}

static void uncooperative(char *args)
{
	uncoop(&rig, args);
}

static void reader(char *args)
{
	view_reader();
}

static void sweep(char *args)
{
	rig_sweep(&rig);
}

static void late(char *args)
{
	rig_late(&rig);
}

static void skew(char *args)
{
	if (!strcmp(args, "kept"))
		rig_skew_kept(&rig);
	else
		rig_skew(&rig);
}

static void tables(char *args)
{
	rig_tables(&rig, strtoul(args, NULL, 10));
}

static void memory(char *args)
{
	emit_memory();
}

static void shrink(char *args)
{
	rig_shrink(&rig);
}

static void tenants(char *args)
{
	agent_tenants();
}

static void orders(char *args)
{
	orders_try();
}

static void keeper(char *args)
{
	keeper_try();
}

static void run(char *args)
{
	run_program(args);
}

static void spawn(char *args)
{
	run_beside(args);
}

static void send_signal(char *args)
{
	run_signal(atoi(args));
}

static void try(char *args)
{
	rig_try(&rig, args);
}

/* What the referee can say, and what is done then with what follows the word. */
static const struct {
	const char *name;
	void (*run)(char *args);
} commands[] = {
	{ "update", update },
	{ "preserve", preserve },
	{ "jump", jump },
	{ "unplug", unplug },
	{ "resume", resume },
	{ "replace", replace },
	{ "undo", undo },
	{ "refusals", refusals },
	{ "view", view },
	{ "reader", reader },
	{ "holder", holder },
	{ "uncoop", uncooperative },
	{ "sweep", sweep },
	{ "late", late },
	{ "skew", skew },
	{ "tables", tables },
	{ "memory", memory },
	{ "shrink", shrink },
	{ "try", try },
	{ "orders", orders },
	{ "keeper", keeper },
	{ "run", run },
	{ "spawn", spawn },
	{ "signal", send_signal },
	{ "tenants", tenants },
	{ "wire", wire },
	{ "hold", hold },
	{ "race", race },
	{ "restart", restart },
	{ "report", report },
	{ "stop", stop },
	{ "off", off },
};

static void command(char *line)
{
	char *args = strchr(line, ' ');

	if (args)
		*args++ = 0;
	else
		args = line + strlen(line);
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(line, commands[i].name)) {
			commands[i].run(args);
			return;
		}
	}
	if (line[0])
		emit("error", ",\"text\":\"unknown command\"");
}

static void open_control(void)
{
	const char *path = opt("ctl", "/dev/ttyS1");
	int ret = ctl_open(path);

	if (ret)
		die("open the control channel %s: %s", path, strerror(-ret));
}

int main(int argc, char **argv)
{
	struct utsname uts;
	long stage;
	char *line;

	if (getpid() != 1 && argc == 3) {
		opt_load_cmdline();
		open_control();
		tenant_take_over(argv[1], argv[2]);
	}
	mount_all();
	std_console();
	opt_load_cmdline();
	open_control();
	stage = opt_num("stage", 1);
	uname(&uts);
	emit("boot", ",\"stage\":%ld,\"kernel_release\":\"%s\"", stage,
	     uts.release);
	modules_load();

	if (many_wanted()) {
		if (stage == 1)
			many_start();
		else
			many_resume();
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
		rig_salvage(&rig);
	} else if (rig_preserves()) {
		rig_resume(&rig);
	} else {
		emit("nothing", "");
	}

	for (;;) {
		line = ctl_line(POLL_MS);
		if (line)
			command(line);
		rig_poll(&rig);
		bystander_poll();
	}
}
