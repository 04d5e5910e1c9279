// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the referee can say, one command a line:
 *
 *	update [name=value]...	preserve and jump into the next kernel
 *	preserve [name=value]...	preserve, and stay
 *	jump			try to jump into the next kernel, and say why not
 *	resume			get back what the kernel before has preserved
 *	unplug BDF		take a device out of the kernel's view
 *	crash PARAMETER...	panic, with a crash kernel loaded that gets these parameters
 *	dump			in that kernel: which memory a dump would have
 *	replace N		replace the HWPT N times under load
 *	attach [detached]	attach in many ways, or detach as well, and report the answers
 *	undo N			preserve and undo it N times
 *	refusals		do what is forbidden and report the answers
 *	view WHEN		pass on what the kernel shows of an update
 *	others			the same as others see it, and may not
 *	holder			views of a session that another process made
 *	uncoop WHAT		do not co-operate; see scenarios/uncooperative/commands.c
 *	reader			start or stop reading the same all the time
 *	sweep			let each step of a preserve fail, one by one
 *	late			let the jump fail in each way there is
 *	skew [kept|back]	load kernels that do not read what this one writes, or cannot go back
 *	tables N		map so much that there are N more tables
 *	neighbours N		how long one VM waits for another one with N tables
 *	memory			say how much memory is used for what
 *	shrink [in-use]		replace the HWPTs by ones that lack a page
 *	try VENDOR:DEVICE [nth]	attach and preserve another device, undo it
 *	peer			map the BAR of one device for another's DMA; see scenarios/peer_bar.h
 *	tenants			users who ask the agent for each other's sessions
 *	orders			VMs and updaters that do not do what they are to do
 *	keeper			an agent that is killed, and what was kept for it
 *	files WHAT		of guestmemfs; see scenarios/guest_files.h
 *	where OFFSET		where in the machine's memory that of the DMA memory is
 *	stranger-bad		have a page of another process go bad
 *	preservable		what does the preserve of the DMA memory say? Undone again
 *	container		VFIO's own containers; see scenarios/container.h
 *	read PATH		the first line of a file
 *	write PATH TEXT		that into a file, and what came of it
 *	install FILE PATH	put a copy of the file there, as a package manager does
 *	run PROGRAM [ARG]...	run it, and pass on what it prints
 *	remote PROGRAM [ARG]...	the same, with what it complains of
 *	spawn PROGRAM [ARG]...	the same, and go on meanwhile
 *	signal N		send a signal to the one that was spawned
 *	join			wait until it has ended, and say how
 *	held NAME PLACE PROGRAM [ARG]...	run it, to be held; see libcontinuo/held_program.h
 *	tell NAME WORD...	to such a program, or to a tenant
 *	unasked			update, without asking whether the host is ready
 *	report			say what has been received so far
 *	wire			with wire=late: connect the interrupts
 *	disk N			issue N commands more to the disk
 *	hold WHAT		answer no INTx; see devices/hda_interrupts.h
 *	race WHAT		do that to the igb all the time; see scenarios/freeze_race.c
 *	restart			set the network device up anew after that
 *	vm [FILE]		start the VM in QEMU, as that file (command) says
 *	qmp COMMAND		have QEMU do it; see hypervisor/monitor.h
 *	direct			write from its memory to the disk; see scenarios/direct_io.h
 *	ats WHAT		with ats=1, the next step; see scenarios/ats.h
 *	pf WHAT			with pf=vfio: of its owner; see update/pf_update.h
 *	port WHAT		with pf=igb: of its network interface; see devices/igb_port.h
 *	stop			stop the audio, take what is left, power off
 *	off			power off as it is
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "commands.h"
#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "core/programs.h"
#include "devices/hda.h"
#include "devices/hda_interrupts.h"
#include "devices/igb.h"
#include "devices/igb_port.h"
#include "devices/nvme.h"
#include "devices/workload.h"
#include "hypervisor/monitor.h"
#include "hypervisor/qemu.h"
#include "interfaces/kexec.h"
#include "interfaces/luo.h"
#include "interfaces/kmemleak.h"
#include "interfaces/memory.h"
#include "interfaces/vfio.h"
#include "libcontinuo/descriptor_store.h"
#include "libcontinuo/ear.h"
#include "libcontinuo/held_program.h"
#include "libcontinuo/order_tests.h"
#include "libcontinuo/session_owners.h"
#include "libcontinuo/tenants.h"
#include "libcontinuo/unasked_update.h"
#include "libcontinuo/vm.h"
#include "scenarios/abort/failed_jump.h"
#include "scenarios/abort/failed_steps.h"
#include "scenarios/ats.h"
#include "scenarios/attach_answers.h"
#include "scenarios/bad_memory.h"
#include "scenarios/container.h"
#include "scenarios/crash_dump.h"
#include "scenarios/damaged_handover.h"
#include "scenarios/direct_io.h"
#include "scenarios/freeze_race.h"
#include "scenarios/guest_files.h"
#include "scenarios/many_devices.h"
#include "scenarios/neighbours.h"
#include "scenarios/other_device.h"
#include "scenarios/peer_bar.h"
#include "scenarios/replace.h"
#include "scenarios/uncooperative/commands.h"
#include "scenarios/unread_formats.h"
#include "update/view.h"
#include "update/pf_update.h"
#include "update/preserve.h"
#include "update/refusals.h"
#include "update/resume.h"

static void report(struct rig *r, char *args)
{
	if (tenants_wanted())
		tenants_report();
	else if (ats_wanted())
		ats_report();
	else
		rig_report(r);
}

static void update(struct rig *r, char *args)
{
	char *word, *save = NULL;

	for (word = strtok_r(args, " ", &save); word;
	     word = strtok_r(NULL, " ", &save))
		opt_set(word);
	if (ats_wanted()) {
		ats_preserve();
		return;
	}
	if (many_wanted()) {
		many_preserve();
		emit("jump", "");
		kexec_jump();
	}
	if (library_wanted())
		library_preserve(r);
	else
		rig_preserve(r);
	damage_handover();
	rig_poll(r);
	emit_audio(r);
	emit_disk(r);
	/* With nothing preserved the run would be lost with this memory. */
	if (!preserve_wanted() && r->nic.present)
		igb_flush(&r->igb);
	emit("jump", ",\"next\":%llu", r->st ?
	     (unsigned long long)r->st->nic.next : 0ull);
	if (opt_num("patient", 0))
		kexec_jump_patiently();
	kexec_jump();
}

static void preserve(struct rig *r, char *args)
{
	char *word, *save = NULL;

	for (word = strtok_r(args, " ", &save); word;
	     word = strtok_r(NULL, " ", &save))
		opt_set(word);
	rig_preserve(r);
	emit("preserved", "");
}

static void jump(struct rig *r, char *args)
{
	if (hypervisor_wanted())
		hypervisor_jump();
	rig_poll(r);
	emit_audio(r);
	emit("jump", ",\"next\":%llu",
	     (unsigned long long)r->st->nic.next);
	tcdrain(ctl_fd());
	emit("stays", ",\"errno\":%d", -kexec_try());
}

static void unplug(struct rig *r, char *args)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", args);
	write_file(path, "1");
	emit("unplugged", "");
}

/* The kernel panics, and another one with these parameters comes in its place. */
static void crash(struct rig *r, char *args)
{
	kexec_load_crash(args);
	emit("crash", "");
	tcdrain(ctl_fd());
	exit(1);
}

static void ats(struct rig *r, char *args)
{
	ats_do(args);
}

static void pf(struct rig *r, char *args)
{
	pf_do(r, args);
}

static void port(struct rig *r, char *args)
{
	igb_port_command(args);
}

static void direct(struct rig *r, char *args)
{
	direct_io();
}

static void start_vm(struct rig *r, char *args)
{
	hypervisor_start(args[0] ? args : "command");
}

static void qmp(struct rig *r, char *args)
{
	monitor_tell(args);
}

/* Goes on: who hears it late would take what powering off does for something before that. */
static void stop(struct rig *r, char *args)
{
	if (hypervisor_wanted())
		hypervisor_stop();
	if (tenants_wanted()) {
		tenants_stop();
		kmemleak_check();
		emit("done", ",\"bad\":0");
		return;
	}
	if (r->audio.present) {
		emit_audio(r);
		hda_stop(&r->hda);
		emit("audio_stopped", "");
	}
	report(r, args);
	kmemleak_check();
	emit("done", ",\"bad\":%llu", r->st ?
	     (unsigned long long)r->st->nic.bad : 0ull);
}

static void resume(struct rig *r, char *args)
{
	rig_resume(r);
}

static void wire(struct rig *r, char *args)
{
	wire_late(r);
}

static void hold(struct rig *r, char *args)
{
	hda_irq_hold(&r->hda, args);
}

static void disk(struct rig *r, char *args)
{
	nvme_allow(&r->nvme, strtoull(args, NULL, 10));
}

static void race(struct rig *r, char *args)
{
	freeze_race_begin(&r->nic.v, args);
}

static void restart(struct rig *r, char *args)
{
	freeze_race_end();
	vfio_enable_dma(&r->nic.v);
	igb_start(&r->igb);
	emit("restarted", "");
}

static void off(struct rig *r, char *args)
{
	power_off();
}

static void replace(struct rig *r, char *args)
{
	replace_hwpts(r, strtoul(args, NULL, 0));
}

static void undo(struct rig *r, char *args)
{
	preserve_and_undo(r, strtoul(args, NULL, 0));
}

static void refusals(struct rig *r, char *args)
{
	refusals_before_jump(r);
}

static void peer(struct rig *r, char *args)
{
	peer_bar(r);
}

static void view(struct rig *r, char *args)
{
	view_emit(args);
}

static void others(struct rig *r, char *args)
{
	view_others();
}

static void holder(struct rig *r, char *args)
{
	view_holder();
}

static void uncooperative(struct rig *r, char *args)
{
	uncoop(r, args);
}

static void reader(struct rig *r, char *args)
{
	view_reader();
}

static void sweep(struct rig *r, char *args)
{
	fail_each_step(r);
}

static void late(struct rig *r, char *args)
{
	fail_each_jump(r);
}

static void skew(struct rig *r, char *args)
{
	if (!strcmp(args, "kept"))
		jump_with_kept_mark(r);
	else if (!strcmp(args, "back"))
		jump_with_back_image(r);
	else
		jump_to_unread_formats(r);
}

static void attach(struct rig *r, char *args)
{
	attach_answers(r, !strcmp(args, "detached"));
}

static void tables(struct rig *r, char *args)
{
	map_more_tables(r, strtoul(args, NULL, 10));
}

static void memory(struct rig *r, char *args)
{
	emit_memory();
}

static void shrink(struct rig *r, char *args)
{
	replace_without_page(r, args && !strcmp(args, "in-use"));
}

static void tenants(struct rig *r, char *args)
{
	test_session_owners();
}

static void orders(struct rig *r, char *args)
{
	test_orders();
}

static void keeper(struct rig *r, char *args)
{
	test_descriptor_store();
}

static void files(struct rig *r, char *args)
{
	guest_files(args);
}

static void read_line(struct rig *r, char *args)
{
	char text[1024], hex[2 * sizeof(text)] = "";
	ssize_t n = read_file(args, text, sizeof(text));

	text[strcspn(text, "\n")] = 0;
	for (unsigned int i = 0; text[i]; i++)
		sprintf(hex + 2 * i, "%02x", (unsigned char)text[i]);
	emit("read", ",\"errno\":%d,\"hex\":\"%s\"", n < 0 ? (int)-n : 0, hex);
}

static void preservable(struct rig *r, char *args)
{
	int session = luo_session_create("preservable"), ret;

	must(session, "create a session");
	ret = luo_preserve(session, r->memfd, 1);
	close(session);
	emit("preservable", ",\"errno\":%d", ret < 0 ? -ret : 0);
}

static void container(struct rig *r, char *args)
{
	container_maps();
}

static void where(struct rig *r, char *args)
{
	emit("where", ",\"phys\":%llu", (unsigned long long)bad_memory_where(r->memfd, strtoul(args, NULL, 0)));
}

static void dump(struct rig *r, char *args)
{
	crash_dump_memory();
}

static void among_others(struct rig *r, char *args)
{
	bad_memory_among_others(r->memfd, strtoul(args, NULL, 0));
}

static void stranger_bad(struct rig *r, char *args)
{
	bad_memory_of_stranger();
	emit("stranger_bad", "");
}

static void write_line(struct rig *r, char *args)
{
	char *text = strchr(args, ' ');
	int fd, err = 0;

	if (!text)
		die("write what to %s?", args);
	*text++ = 0;
	fd = open(args, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	emit("written", ",\"errno\":%d", err);
}

static void install(struct rig *r, char *args)
{
	char *to = strchr(args, ' ');

	if (!to)
		die("install %s where?", args);
	*to++ = 0;
	emit("installed", ",\"errno\":%d", -install_file(args, to));
}

static void run(struct rig *r, char *args)
{
	run_program(args, false);
}

static void remote(struct rig *r, char *args)
{
	run_program(args, true);
}

static void held(struct rig *r, char *args)
{
	hold_line(args);
}

static void tell(struct rig *r, char *args)
{
	char *words = strchr(args, ' ');

	if (!words)
		die("tell %s what?", args);
	*words++ = 0;
	ear_tell(args, words);
}

static void spawn(struct rig *r, char *args)
{
	spawn_program(args);
}

static void unasked(struct rig *r, char *args)
{
	update_unasked();
}

static void send_signal(struct rig *r, char *args)
{
	signal_spawned(atoi(args));
}

static void join(struct rig *r, char *args)
{
	join_spawned();
}

static void neighbours(struct rig *r, char *args)
{
	neighbours_measure(strtoull(args, NULL, 0));
}

static void later(struct rig *r, char *args)
{
	kexec_write_later();
	emit("later", "");
}

static void try(struct rig *r, char *args)
{
	preserve_other_device(r, args);
}

/* What is done with what follows the word. */
static const struct {
	const char *name;
	void (*run)(struct rig *r, char *args);
} commands[] = {
	{ "update", update },
	{ "preserve", preserve },
	{ "jump", jump },
	{ "unplug", unplug },
	{ "crash", crash },
	{ "dump", dump },
	{ "ats", ats },
	{ "pf", pf },
	{ "port", port },
	{ "resume", resume },
	{ "replace", replace },
	{ "undo", undo },
	{ "refusals", refusals },
	{ "peer", peer },
	{ "view", view },
	{ "reader", reader },
	{ "others", others },
	{ "holder", holder },
	{ "uncoop", uncooperative },
	{ "sweep", sweep },
	{ "late", late },
	{ "later", later },
	{ "skew", skew },
	{ "attach", attach },
	{ "tables", tables },
	{ "neighbours", neighbours },
	{ "files", files },
	{ "memory", memory },
	{ "shrink", shrink },
	{ "try", try },
	{ "orders", orders },
	{ "keeper", keeper },
	{ "read", read_line },
	{ "where", where },
	{ "among-others", among_others },
	{ "stranger-bad", stranger_bad },
	{ "preservable", preservable },
	{ "container", container },
	{ "write", write_line },
	{ "install", install },
	{ "run", run },
	{ "remote", remote },
	{ "held", held },
	{ "tell", tell },
	{ "unasked", unasked },
	{ "spawn", spawn },
	{ "signal", send_signal },
	{ "join", join },
	{ "tenants", tenants },
	{ "wire", wire },
	{ "disk", disk },
	{ "hold", hold },
	{ "race", race },
	{ "restart", restart },
	{ "report", report },
	{ "vm", start_vm },
	{ "qmp", qmp },
	{ "direct", direct },
	{ "stop", stop },
	{ "off", off },
};

void do_command(struct rig *r, char *line)
{
	char *args = strchr(line, ' ');

	if (args)
		*args++ = 0;
	else
		args = line + strlen(line);
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(line, commands[i].name)) {
			commands[i].run(r, args);
			return;
		}
	}
	if (line[0])
		emit("error", ",\"text\":\"unknown command\"");
}
