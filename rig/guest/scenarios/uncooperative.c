// SPDX-License-Identifier: GPL-2.0-only
/*
 * A user space that does not do what a live update asks of it. With idle=1 in
 * the options of an update, nobody resumes in the next kernel until one of
 * these commands says so:
 *
 *	uncoop states		resume, and at each step try all that can be asked
 *				of a device then; the answers are "cell" events
 *	uncoop incoming		what can be asked before anything is retrieved
 *	uncoop preserve		preserve all, and do not jump
 *	uncoop preserved	what can be asked between preserve and jump
 *	uncoop stopped		the same for what stops the device; undone again
 *	uncoop resume [HOW]	resume, over what dead processes left behind;
 *				without-nic: that device was removed;
 *				by-closing: close the session, do not finish it
 *	uncoop charged		resume in a memory cgroup, and say what it has
 *	uncoop kill STEP	a process resumes up to STEP and gets SIGKILL
 *	uncoop order		processes retrieve in odd orders, and exit
 *	uncoop punch		a process retrieves the memory, throws out of it what
 *				the network device writes to, and exits
 *	uncoop starve		a process gets half of the memory, and exits
 *	uncoop short		a process that may not open files, and exits
 *	uncoop fed		a process retrieves what the two above could not
 *	uncoop give-up		as starve, with nothing preserved but memory: finish
 *	uncoop no-handler	a process retrieves what it can, and exits
 *	uncoop work		fill and read memory, as other programs would
 *	uncoop memory		say what the kernel's memory is used for
 *	uncoop remove DEV	have a process remove a device by sysfs, and wait
 *				for as long as that takes
 *	uncoop rescan		have removed devices found again
 *	uncoop look DEV		say what a device's command register is
 *	uncoop close DEV	give a device back
 *	uncoop start		take the devices from reset to DMA again
 *	uncoop reboot		try the jump; say why it is refused
 *	uncoop undo		close the session before the jump
 *	uncoop leave		jump into the next kernel with nothing preserved
 *
 * All state that a process needs is in the session's files, so a process takes
 * over where another one died by starting from the beginning. STEP is a name
 * that rig_resume() gives to rig_reached.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "abi.h"
#include "core/array.h"
#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "core/options.h"
#include "devices/dma_memory.h"
#include "devices/igb.h"
#include "devices/workload.h"
#include "interfaces/iommufd.h"
#include "interfaces/kexec.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/uncooperative.h"
#include "update/names.h"
#include "update/preserve.h"
#include "update/resume.h"

#define PCI_DIR		"/sys/bus/pci/devices"
#define PCI_COMMAND	0x04
#define PCI_CAP_PTR	0x34
#define PCI_CAP_PM	0x01
#define PCI_CAP_EXP	0x10
#define PCI_EXP_DEVCTL	8
#define PCI_EXP_FLR	0x8000
#define PCI_PMCSR	4
#define PCI_D3HOT	3

/* Ids are small numbers; more than the rig ever has. */
#define IDS		64
#define NO_SUCH_TOKEN	0x6e6f7468696e67

enum state {
	INCOMING, IOMMUFD, CDEV, BOUND, RESTORED, REBUILT, REPLACED, FINISHED,
};

static const char * const state_names[] = {
	[INCOMING] = "incoming", [IOMMUFD] = "iommufd", [CDEV] = "cdev",
	[BOUND] = "bound", [RESTORED] = "restored", [REBUILT] = "rebuilt",
	[REPLACED] = "replaced", [FINISHED] = "finished",
};

static int try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int sysfs_write(const char *bdf, const char *attr, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), PCI_DIR "/%s/%s", bdf, attr);
	return try_write(path, text);
}

/* The answer to @event in @state: an fd or id, 0, or -errno. */
static void cell(const char *state, const char *event, int ret)
{
	emit("cell", ",\"state\":\"%s\",\"event\":\"%s\",\"errno\":%d", state,
	     event, ret < 0 ? -ret : 0);
}

static void cell_fd(const char *state, const char *event, int fd)
{
	cell(state, event, fd);
	if (fd >= 0)
		close(fd);
}

static int vfio_hot_reset(struct vdev *v)
{
	struct vfio_pci_hot_reset arg = { .argsz = sizeof(arg) };

	return ioctl(v->fd, VFIO_DEVICE_PCI_HOT_RESET, &arg) ? -errno : 0;
}

/* As a driver would; over what another process may have set up before. */
static int vfio_set_irq(struct vdev *v)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} arg = {
		.set = {
			.argsz = sizeof(arg),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSIX_IRQ_INDEX,
			.count = 1,
		},
		.fd = eventfd(0, EFD_CLOEXEC),
	};

	return ioctl(v->fd, VFIO_DEVICE_SET_IRQS, &arg) ? -errno : arg.fd;
}

static unsigned int find_cap(struct vdev *v, unsigned int id)
{
	unsigned int at = vfio_config_read16(v, PCI_CAP_PTR) & 0xfc;

	for (int i = 0; at && i < 48; i++) {
		uint16_t head = vfio_config_read16(v, at);

		if ((head & 0xff) == id)
			return at;
		at = head >> 8 & 0xfc;
	}
	die("%s has no PCI capability %#x", v->bdf, id);
}

/* 0: written, and the device goes on as if it had not been. */
static int config_flr(struct vdev *v)
{
	unsigned int at = find_cap(v, PCI_CAP_EXP) + PCI_EXP_DEVCTL;
	uint16_t before = vfio_config_read16(v, PCI_COMMAND);

	vfio_config_write16(v, at, vfio_config_read16(v, at) | PCI_EXP_FLR);
	return vfio_config_read16(v, PCI_COMMAND) == before ? 0 : -EIO;
}

static int config_d3(struct vdev *v)
{
	unsigned int at = find_cap(v, PCI_CAP_PM) + PCI_PMCSR;

	vfio_config_write16(v, at, vfio_config_read16(v, at) | PCI_D3HOT);
	return vfio_config_read16(v, at) & PCI_D3HOT ? -EIO : 0;
}

/* A bind whose very last step fails: the answer cannot be written. */
static int bind_halfway(struct vdev *v, int iommufd)
{
	struct uvfio_bind *arg = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ret;

	arg->argsz = sizeof(*arg);
	arg->iommufd = iommufd;
	mprotect(arg, PAGE, PROT_READ);
	ret = ioctl(v->fd, UVFIO_BIND_IOMMUFD, arg) ? -errno : 0;
	munmap(arg, PAGE);
	return ret;
}

static int bind_other(struct vdev *v)
{
	struct vdev copy = *v;
	int other = iommufd_open(), ret;

	ret = other < 0 ? other : vfio_bind(&copy, other);
	close(other);
	return ret;
}

/* Forces a driver on the device, then vfio-pci is the one again. */
static int other_driver(const char *bdf, const char *driver)
{
	char path[160];
	int ret;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", driver);
	ret = sysfs_write(bdf, "driver_override", driver);
	if (!ret)
		ret = try_write(path, bdf);
	sysfs_write(bdf, "driver_override", "vfio-pci");
	return ret;
}

/* 0 if the driver does not have the device then. */
static int new_id(const char *bdf, const char *driver)
{
	char path[160];
	int ret;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/new_id", driver);
	ret = try_write(path, "8086 10c9");
	snprintf(path, sizeof(path), PCI_DIR "/%s/driver", bdf);
	return ret || access(path, F_OK) ? ret : -EEXIST;
}

static int preserve_again(struct vdev *v)
{
	int session = luo_session_create("another"), ret;

	if (session < 0)
		return session;
	ret = luo_preserve(session, v->fd, 1);
	close(session);
	return ret;
}

/* Free what nobody uses: what a dead process left in the iommufd. */
static unsigned int sweep(int iommufd)
{
	unsigned int freed = 0, before;

	do {
		before = freed;
		for (int id = 1; id < IDS; id++)
			freed += !iommufd_destroy(iommufd, id);
	} while (freed != before);
	return freed;
}

/* --- the table of states --- */

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

static void incoming(struct rig *r, const char *arg)
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

/* What a rebooting kernel answers as long as it does not go away. */
static int try_reboot(void)
{
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		LINUX_REBOOT_CMD_KEXEC, NULL);
	return -errno;
}

static void reboot_refused(struct rig *r, const char *arg)
{
	int ret = try_reboot();

	emit("reboot", ",\"errno\":%d", -ret);
}

static void preserve(struct rig *r, const char *arg)
{
	rig_preserve(r);
	emit("uncoop", ",\"what\":\"preserve\"");
}

static void start(struct rig *r, const char *arg)
{
	rig_start(r);
}

static void undo(struct rig *r, const char *arg)
{
	close(r->session);
	r->session = -1;
	emit("uncoop", ",\"what\":\"undo\"");
}

static void preserved(struct rig *r, const char *arg)
{
	const char *name = "preserved";
	struct vdev *v = &r->nic.v;
	struct vdev again = *v;

	cell(name, "preserve", preserve_again(v));
	cell_fd(name, "open", vfio_open_cdev(v->bdf));
	cell(name, "group type",
	     sysfs_write(v->bdf, "iommu_group/type", "identity"));
	cell(name, "other driver", other_driver(v->bdf, "serial"));
	cell(name, "bind", vfio_bind(&again, r->iommufd));
	cell(name, "destroy", iommufd_destroy(r->iommufd, r->nic.hwpt));
	emit("uncoop", ",\"what\":\"preserved\"");
}

/* What stops the device, so that it is the last that is asked of it. */
static void stopped(struct rig *r, const char *arg)
{
	const char *name = "preserved";
	struct vdev *v = &r->nic.v;

	rig_poll(r);
	igb_flush(&r->igb);
	/* The ring ends with the reset. */
	r->st->nic.posted = r->st->nic.next;
	cell(name, "reset VFIO", vfio_reset(v));
	cell(name, "reset", sysfs_write(v->bdf, "reset", "1"));
	cell(name, "detach", vfio_detach(v));
	cell(name, "jump after detach", try_reboot());
	cell(name, "attach after detach", vfio_attach(v, r->nic.hwpt));
	undo(r, arg);
	cell(name, "attach after undo", vfio_attach(v, r->nic.hwpt));
	emit("uncoop", ",\"what\":\"stopped\"");
}

/* --- processes that die --- */

static const char *goal;
static int goal_pipe;

static void goal_reached(struct rig *r, const char *step)
{
	if (!strcmp(step, "restore"))
		emit("swept", ",\"n\":%u", sweep(r->iommufd));
	if (!strcmp(step, "bind-nic") && vfio_set_irq(&r->nic.v) < 0)
		die("set up an interrupt: %s", strerror(errno));
	if (strcmp(step, goal))
		return;
	/* What has come in is said before the memory goes. */
	if (r->mem && r->nic.present && opt_num("flush", 0)) {
		rig_poll(r);
		igb_flush(&r->igb);
	}
	if (write(goal_pipe, "x", 1) != 1)
		die("tell that '%s' is reached: %s", step, strerror(errno));
	for (;;)
		pause();
}

static void kill_at(struct rig *r, const char *step)
{
	int pipe_fd[2], status = 0;
	char c;
	pid_t pid;

	if (pipe(pipe_fd))
		die("make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		struct rig own = { .session = -1 };

		close(pipe_fd[0]);
		goal = step;
		goal_pipe = pipe_fd[1];
		rig_reached = goal_reached;
		rig_resume(&own);
		die("there is no step '%s'", step);
	}
	close(pipe_fd[1]);
	if (read(pipe_fd[0], &c, 1) != 1)
		die("the process that was to get as far as '%s' ended before",
		    step);
	close(pipe_fd[0]);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		die("the process was not killed");
	emit("killed", ",\"step\":\"%s\"", step);
}

/* Each is a process of its own, which exits with what it has. */
static void in_child(void (*body)(struct rig *own))
{
	struct rig own = { .session = -1 };
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		own.session = luo_session_retrieve(SESSION);
		if (own.session < 0)
			die("retrieve the session: %s", strerror(-own.session));
		if (vfio_find(ID_INTEL, ID_IGB, 0, own.nic.v.bdf))
			die("the network device is not there");
		body(&own);
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("a process ended with status %#x", status);
}

static void only_iommufd(struct rig *own)
{
	cell("order", "retrieve iommufd",
	     luo_retrieve(own->session, TOKEN_IOMMUFD));
	cell("order", "finish with the iommufd alone",
	     luo_finish(own->session));
}

static void only_cdev(struct rig *own)
{
	int fd = luo_retrieve(own->session, TOKEN_NIC);

	cell("order", "retrieve cdev", fd);
	own->nic.v.fd = fd;
	cell("order", "bind to a new iommufd", bind_other(&own->nic.v));
	cell("order", "finish with the cdev alone", luo_finish(own->session));
}

static void cdev_first(struct rig *own)
{
	own->nic.v.fd = luo_retrieve(own->session, TOKEN_NIC);
	own->iommufd = luo_retrieve(own->session, TOKEN_IOMMUFD);
	cell("order", "bind cdev, retrieved before its iommufd",
	     vfio_bind(&own->nic.v, own->iommufd));
	cell("order", "finish before replace", luo_finish(own->session));
}

/* What the device writes to is thrown out of the file while it does. */
static void punch(struct rig *own)
{
	int fd = luo_retrieve(own->session, TOKEN_MEMFD);

	if (fd < 0)
		die("retrieve the memfd: %s", strerror(-fd));
	cell("punched", "resize", ftruncate(fd, PAGE) ? -errno : 0);
	cell("punched", "punch",
	     fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       OFF_NIC_BUF, OFF_NIC_END - OFF_NIC_BUF) ? -errno : 0);
	cell("punched", "finish", luo_finish(own->session));
}

static long field(const char *text, const char *name);

/* The limits of the machine allow for a part of the file. */
#define STARVE_KB	(16 << 10)

static int starve(struct rig *own)
{
	static char text[16384];
	int ret;

	read_file("/proc/meminfo", text, sizeof(text));
	snprintf(text, sizeof(text), "%ld",
		 field(text, "Committed_AS:") + STARVE_KB);
	write_file("/proc/sys/vm/overcommit_kbytes", text);
	write_file("/proc/sys/vm/overcommit_memory", "2");
	ret = luo_retrieve(own->session, TOKEN_MEMFD);
	write_file("/proc/sys/vm/overcommit_memory", "0");
	return ret;
}

static void starve_held(struct rig *own)
{
	cell("starved", "retrieve memfd", starve(own));
	cell("starved", "finish", luo_finish(own->session));
}

/* No device needs the memory, and nobody will. */
static void starve_free(struct rig *own)
{
	cell("starved, no devices", "retrieve memfd", starve(own));
	cell("starved, no devices", "finish", luo_finish(own->session));
}

static void retrieve_each(struct rig *own, const char *state, const char *memfd)
{
	cell_fd(state, memfd, luo_retrieve(own->session, TOKEN_MEMFD));
	cell_fd(state, "retrieve iommufd",
		luo_retrieve(own->session, TOKEN_IOMMUFD));
	cell_fd(state, "retrieve cdev", luo_retrieve(own->session, TOKEN_NIC));
}

/* Whoever is not root cannot open one more file than the machine may have. */
static void short_of_files(struct rig *own)
{
	static char most[64];

	read_file("/proc/sys/fs/file-max", most, sizeof(most));
	write_file("/proc/sys/fs/file-max", "1");
	if (seteuid(65534))
		die("become nobody: %s", strerror(errno));
	retrieve_each(own, "short", "retrieve memfd");
	if (seteuid(0))
		die("become root again: %s", strerror(errno));
	write_file("/proc/sys/fs/file-max", most);
	cell("short", "finish", luo_finish(own->session));
}

static void fed(struct rig *own)
{
	retrieve_each(own, "fed", "retrieve memfd again");
}

static void short_open(struct rig *r, const char *arg)
{
	in_child(short_of_files);
	emit("uncoop", ",\"what\":\"short\"");
}

static void feed(struct rig *r, const char *arg)
{
	in_child(fed);
	emit("uncoop", ",\"what\":\"fed\"");
}

static void no_handler(struct rig *own)
{
	retrieve_each(own, "no handler", "retrieve memfd");
	cell("no handler", "finish", luo_finish(own->session));
}

static void without_handler(struct rig *r, const char *arg)
{
	in_child(no_handler);
	emit("uncoop", ",\"what\":\"no-handler\"");
}

static void give_up(struct rig *r, const char *arg)
{
	in_child(starve_free);
	emit("uncoop", ",\"what\":\"give-up\"");
}

static void starve_memory(struct rig *r, const char *arg)
{
	in_child(starve_held);
	emit("uncoop", ",\"what\":\"starve\"");
}

static void punch_memory(struct rig *r, const char *arg)
{
	in_child(punch);
	emit("uncoop", ",\"what\":\"punch\"");
}

static void session_alone(struct rig *own)
{
	cell("order", "finish with nothing", luo_finish(own->session));
	cell("order", "retrieve unknown",
	     luo_retrieve(own->session, NO_SUCH_TOKEN));
}

static void order(struct rig *r, const char *arg)
{
	in_child(session_alone);
	in_child(only_cdev);
	in_child(only_iommufd);
	in_child(cdev_first);
	emit("uncoop", ",\"what\":\"order\"");
}

static bool without_nic, by_closing;

static void resume_reached(struct rig *r, const char *step)
{
	if (without_nic && !strcmp(step, "iommufd")) {
		int id = iommufd_hwpt_restore(r->iommufd, TOKEN_HWPT_NIC);

		cell("removed", "retrieve cdev",
		     luo_retrieve(r->session, TOKEN_NIC));
		cell("removed", "restore", id);
		cell("removed", "destroy", iommufd_destroy(r->iommufd, id));
		r->st->has_nic = 0;
	}
	if (!strcmp(step, "restore") || !strcmp(step, "finish"))
		emit("swept", ",\"n\":%u,\"step\":\"%s\"", sweep(r->iommufd),
		     step);
	if (!strcmp(step, "bind-nic") && vfio_set_irq(&r->nic.v) < 0)
		die("set up an interrupt: %s", strerror(errno));
	if (by_closing && !strcmp(step, "destroy")) {
		close(r->session);
		r->session = luo_session_retrieve(SESSION);
		cell("closed", "retrieve session", r->session);
		cell_fd("closed", "open", vfio_open_cdev(r->nic.v.bdf));
		cell("closed", "bind other", bind_other(&r->nic.v));
	}
}

static void resume(struct rig *r, const char *arg)
{
	without_nic = !strcmp(arg, "without-nic");
	by_closing = !strcmp(arg, "by-closing");
	if (!without_nic && vfio_find(ID_INTEL, ID_IGB, 0, r->nic.v.bdf))
		die("the network device is not there");
	rig_reached = resume_reached;
	rig_resume(r);
	rig_reached = NULL;
}

#define CGROUP	"/sys/fs/cgroup"

static long field(const char *text, const char *name);

/* What does the group of the process that resumes have in tables? */
static void charged(struct rig *r, const char *arg)
{
	static char text[16384];

	if (mount("cgroup", CGROUP, "cgroup2", 0, NULL))
		die("mount cgroup2: %s", strerror(errno));
	write_file(CGROUP "/cgroup.subtree_control", "+memory");
	if (mkdir(CGROUP "/vm", 0755))
		die("make a cgroup: %s", strerror(errno));
	write_file(CGROUP "/vm/cgroup.procs", "0");
	resume(r, "");
	write_file("/proc/sys/vm/stat_refresh", "1");
	read_file(CGROUP "/vm/memory.stat", text, sizeof(text));
	emit("charged", ",\"tables_bytes\":%ld",
	     field(text, "sec_pagetables "));
}

static void states(struct rig *r, const char *arg)
{
	rig_reached = states_reached;
	rig_resume(r);
	rig_reached = NULL;
}

/* --- devices that come and go --- */

static void named(const char *name, char bdf[BDF_LEN])
{
	bool nic = !strcmp(name, "nic");

	if (vfio_find(ID_INTEL, nic ? ID_IGB : ID_HDA_ICH6, 0, bdf) &&
	    (nic || vfio_find(ID_INTEL, ID_HDA_ICH9, 0, bdf)))
		bdf[0] = 0;
}

static pid_t remover;

static void remove_dev(struct rig *r, const char *name)
{
	char bdf[BDF_LEN];

	named(name, bdf);
	if (!bdf[0])
		die("the device %s is not there", name);
	remover = fork();
	if (remover < 0)
		die("fork: %s", strerror(errno));
	if (!remover) {
		int ret;

		/* What it has inherited would keep the device from going. */
		if (r->nic.present)
			munmap((void *)r->nic.v.bar0, r->nic.v.bar0_len);
		if (r->audio.present)
			munmap((void *)r->audio.v.bar0, r->audio.v.bar0_len);
		for (int fd = 3; fd < 256; fd++)
			if (fd != ctl_fd())
				close(fd);
		ret = sysfs_write(bdf, "remove", "1");
		emit("removed", ",\"dev\":\"%s\",\"errno\":%d", name, -ret);
		_exit(0);
	}
	emit("removing", ",\"dev\":\"%s\"", name);
}

static void rescan(struct rig *r, const char *arg)
{
	int ret = try_write("/sys/bus/pci/rescan", "1");

	emit("uncoop", ",\"what\":\"rescan\",\"errno\":%d", -ret);
}

/* Without any driver's help: as PCI has it in config space. */
static void look(struct rig *r, const char *name)
{
	char bdf[BDF_LEN], path[160];
	uint16_t command = 0;
	int fd, there;

	named(name, bdf);
	there = bdf[0] != 0;
	snprintf(path, sizeof(path), PCI_DIR "/%s/config", bdf);
	fd = there ? open(path, O_RDONLY) : -1;
	if (fd >= 0 && pread(fd, &command, 2, PCI_COMMAND) != 2)
		die("read the config space of %s", bdf);
	if (fd >= 0)
		close(fd);
	emit("look", ",\"dev\":\"%s\",\"there\":%d,\"command\":%u", name,
	     there, command);
}

static void close_dev(struct rig *r, const char *name)
{
	struct device *d = strcmp(name, "nic") ? &r->audio : &r->nic;

	if (d == &r->nic) {
		rig_poll(r);
		igb_flush(&r->igb);
	}
	munmap((void *)d->v.bar0, d->v.bar0_len);
	close(d->v.fd);
	d->present = false;
	emit("closed", ",\"dev\":\"%s\"", name);
}

/* --- memory --- */

static long field(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *at;

	for (at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (!strncmp(at, name, len))
			return strtol(at + len, NULL, 0);
	return -1;
}

static void memory(struct rig *r, const char *arg)
{
	static char text[16384];
	long free_kb, shmem_kb, tables;

	read_file("/proc/meminfo", text, sizeof(text));
	free_kb = field(text, "MemFree:");
	shmem_kb = field(text, "Shmem:");
	read_file("/proc/vmstat", text, sizeof(text));
	tables = field(text, "nr_iommu_pages ");
	emit("memory", ",\"free_kb\":%ld,\"shmem_kb\":%ld,\"iommu_pages\":%ld",
	     free_kb, shmem_kb, tables);
}

/* Words; no frame is so small that it would fit in between. */
#define WORK_STEP	8

/*
 * Memory that belongs to others for as long as this runs: if what was preserved
 * had been given out, DMA would land in it.
 */
static void work(struct rig *r, const char *arg)
{
	static char text[16384];
	size_t bytes, n, bad = 0;
	uint64_t *mem;

	read_file("/proc/meminfo", text, sizeof(text));
	bytes = (size_t)field(text, "MemAvailable:") * 1024 / 4 * 3;
	n = bytes / sizeof(*mem);
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		die("mmap memory to work with: %s", strerror(errno));
	for (size_t i = 0; i < n; i += WORK_STEP)
		mem[i] = i ^ 0x5a5a5a5a5a5aul;
	sleep(2);
	for (size_t i = 0; i < n; i += WORK_STEP)
		bad += mem[i] != (i ^ 0x5a5a5a5a5a5aul);
	munmap(mem, bytes);
	emit("worked", ",\"bytes\":%zu,\"bad\":%zu", bytes, bad);
}

/* The devices are still as they came, and nobody carries them any further. */
static void leave(struct rig *r, const char *arg)
{
	opt_set("preserve=0");
	kexec_load_next();
	emit("jump", ",\"next\":0");
	kexec_jump();
}

static const struct {
	const char *name;
	void (*run)(struct rig *r, const char *arg);
} acts[] = {
	{ "states", states },
	{ "incoming", incoming },
	{ "preserve", preserve },
	{ "preserved", preserved },
	{ "start", start },
	{ "stopped", stopped },
	{ "resume", resume },
	{ "charged", charged },
	{ "kill", kill_at },
	{ "order", order },
	{ "punch", punch_memory },
	{ "starve", starve_memory },
	{ "short", short_open },
	{ "fed", feed },
	{ "give-up", give_up },
	{ "no-handler", without_handler },
	{ "work", work },
	{ "memory", memory },
	{ "remove", remove_dev },
	{ "rescan", rescan },
	{ "look", look },
	{ "close", close_dev },
	{ "reboot", reboot_refused },
	{ "undo", undo },
	{ "leave", leave },
};

void uncoop(struct rig *r, char *args)
{
	char *arg = strchr(args, ' ');

	if (arg)
		*arg++ = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(acts); i++) {
		if (!strcmp(args, acts[i].name)) {
			acts[i].run(r, arg ? arg : "");
			return;
		}
	}
	emit("error", ",\"text\":\"uncoop: there is nothing called '%s'\"",
	     args);
}
