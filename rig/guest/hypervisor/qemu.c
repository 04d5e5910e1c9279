// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/array.h"
#include "core/clock.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/igb.h"
#include "devices/igb_pf.h"
#include "devices/workload.h"
#include "hypervisor/disk.h"
#include "hypervisor/qemu.h"
#include "interfaces/guestmem.h"
#include "interfaces/kexec.h"
#include "interfaces/vfio.h"
#include "libcontinuo/agent.h"
#include "update/preserve.h"

#define FOLDER		HOST "/vm/"
#define CONSOLE		HOST "/vm/console.log"
#define PIECE		1024
#define EVERY_US	200000
#define BROKER		"/usr/bin/continuo-qemu"
#define ARGS		96

/* Of continuo-qemu. */
#define STATE_DIR	"/run/continuo-qemu"

static pid_t vm;

/* The user that the VM is of: root, or vm_uid=. */
static uid_t vm_user(void)
{
	return opt_num("vm_uid", 0);
}

static int give_to_user(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (chown(path, vm_user(), AGENT_GROUP))
		die("give %s to user %u: %s", path, vm_user(), strerror(errno));
	return 0;
}

/* What the host's operator does for a VM whose user is not root. */
static void give_all_to_user(void)
{
	static const char *const all[] = {
		"/dev/kvm", "/dev/iommu", "/dev/vfio/devices", HOST "/vm", STATE_DIR, GUESTMEM_DIR,
	};

	mkdir(STATE_DIR, 0700);
	for (unsigned int i = 0; i < ARRAY_SIZE(all); i++)
		if (!access(all[i], F_OK) && nftw(all[i], give_to_user, 8, FTW_PHYS))
			die("look at %s: %s", all[i], strerror(errno));
}

/* QEMU has the VM's memory locked, and so has continuo-qemu. */
static void may_lock(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_MEMLOCK, &all))
		die("may lock memory: %s", strerror(errno));
}

bool hypervisor_wanted(void)
{
	return opt_num("vm", 0);
}

/* For "continuo --append @/tmp/cmdline": as this kernel's, one stage on. */
static void write_next_cmdline(void)
{
	static char line[4096], next[4096];
	int fd, len = 0;

	must(read_file("/proc/cmdline", line, sizeof(line)), "read /proc/cmdline");
	for (char *save = NULL, *word = strtok_r(line, " \n", &save); word;
	     word = strtok_r(NULL, " \n", &save))
		if (strncmp(word, "rig.stage=", 10))
			len += snprintf(next + len, sizeof(next) - len, "%s ", word);
	len += snprintf(next + len, sizeof(next) - len, "rig.stage=%ld", opt_num("stage", 1) + 1);
	fd = open("/tmp/cmdline", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, next, len) != len)
		die("write /tmp/cmdline: %s", strerror(errno));
	close(fd);
}

void hypervisor_begin(void)
{
	char bdf[BDF_LEN] = "", sound[BDF_LEN] = "";
	int err;

	disk_mount();
	write_next_cmdline();
	mkdir("/run", 0755);
	if (opt_num("guestmem", 0) && (err = guestmem_mount()))
		die("mount guestmemfs: %s", strerror(err));
	/* Else the kernel before has left them to the VM. */
	if (opt_num("stage", 1) == 1 || !preserve_wanted()) {
		if (igb_vfs())
			igb_pf_start();
		must(vfio_find(ID_INTEL, igb_vfs() ? ID_IGBVF : ID_IGB, 0, bdf), "find the network device (igb)");
		vfio_give(bdf);
		if (!vfio_find(ID_INTEL, ID_HDA_ICH6, 0, sound))
			vfio_give(sound);
	}
	if (vm_user())
		give_all_to_user();
	if (agent_wanted())
		agent_begin();
	emit("host", ",\"nic\":\"%s\",\"audio\":\"%s\"", bdf, sound);
}

void hypervisor_take(const char *name, const char *uid)
{
	may_lock();
	execl(BROKER, BROKER, "--agent", AGENT_SOCKET, "--timeout", "120", "--state-dir",
	      STATE_DIR, "take", name, uid, NULL);
	die("%s: %s", BROKER, strerror(errno));
}

static void become(char *lines)
{
	char *argv[ARGS + 1], *save = NULL;
	int n = 0;

	for (argv[n] = strtok_r(lines, "\n", &save); argv[n] && n < ARGS;
	     argv[n] = strtok_r(NULL, "\n", &save))
		n++;
	argv[n] = NULL;
	if (vm_user()) {
		may_lock();
		if (setgroups(0, NULL) || setgid(AGENT_GROUP) || setuid(vm_user()))
			die("become user %u: %s", vm_user(), strerror(errno));
	}
	execv(argv[0], argv);
	fprintf(stderr, "rig: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

void hypervisor_start(const char *name)
{
	static char lines[16384];
	char path[64];

	snprintf(path, sizeof(path), FOLDER "%s", name);
	must(read_file(path, lines, sizeof(lines)), "read the VM's command line");
	vm = fork();
	if (vm < 0)
		die("fork: %s", strerror(errno));
	if (!vm)
		become(lines);
	emit("vm_started", "");
}

/* What has been added to the VM's console, for somebody who watches a case that fails. */
static void pass_console_on(void)
{
	static char hex[2 * PIECE + 1];
	static off_t seen = -1;
	unsigned char piece[PIECE];
	ssize_t n;
	int fd;

	fd = open(CONSOLE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* What it said before this kernel is no news. */
	if (seen < 0)
		seen = lseek(fd, 0, SEEK_END);
	while ((n = pread(fd, piece, sizeof(piece), seen)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			sprintf(hex + 2 * i, "%02x", piece[i]);
		emit("vm_said", ",\"hex\":\"%s\"", hex);
		seen += n;
	}
	close(fd);
}

void hypervisor_poll(void)
{
	static uint64_t due;
	int status;

	if (hypervisor_wanted() && now_us() >= due) {
		pass_console_on();
		due = now_us() + EVERY_US;
	}
	if (!vm || waitpid(vm, &status, WNOHANG) != vm)
		return;
	vm = 0;
	pass_console_on();
	emit("vm_ended", ",\"status\":%d",
	     WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void hypervisor_jump(void)
{
	disk_umount();
	emit("jump", "");
	kexec_jump();
}

void hypervisor_stop(void)
{
	disk_umount();
	hypervisor_poll();
	emit("done", ",\"bad\":0");
	power_off();
}
