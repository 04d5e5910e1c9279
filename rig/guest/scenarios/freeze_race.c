// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that does something to a device over and over, and does not stop for
 * reboot(2): it connects and disconnects MSI-X ("interrupts"), writes to the
 * configuration space what would switch INTx and MSI on ("config"), or resets the
 * device ("reset") or the bus that it is on, by way of VFIO ("hot-reset") or of the
 * bridge ("bus-reset"). What the kernel answers is up to the kernel.
 *
 * Or it waits for the freeze, which a write to configuration space tells from its
 * errno, and does it once: takes the driver from the device ("unbind"), removes the
 * device ("remove"), or enables virtual functions ("vfs"). The answer is in the log, since
 * the control channel may be gone by then. To unbind and to remove there is no answer
 * before the jump: another process says in the log that this one sleeps in its request.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "core/control.h"
#include "core/end.h"
#include "core/files.h"
#include "devices/workload.h"
#include "interfaces/vfio.h"
#include "scenarios/freeze_race.h"

#define VECTORS		3u
/* Between two resets, each of which takes 100 ms: else the freeze has no chance. */
#define PAUSE_US	20000u
/* Between two looks at a process. */
#define WATCH_US	200u

/* So often it has been done when the referee hears of it. */
#define ROUNDS		8u

static pid_t racer;
static const char *race;

/* In the process that does it: it is under way, not only about to begin. */
static void under_way(void)
{
	emit("racing", ",\"what\":\"%s\"", race);
}

static void interrupts(struct vdev *v)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd[VECTORS];
	} on = {
		.set.argsz = sizeof(on),
		.set.flags = VFIO_IRQ_SET_DATA_EVENTFD |
			     VFIO_IRQ_SET_ACTION_TRIGGER,
		.set.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.set.count = VECTORS,
	};
	struct vfio_irq_set off = {
		.argsz = sizeof(off),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
	};

	for (unsigned int i = 0; i < VECTORS; i++)
		on.fd[i] = eventfd(0, EFD_CLOEXEC);
	for (unsigned int i = 1;; i++) {
		ioctl(v->fd, VFIO_DEVICE_SET_IRQS, &on);
		ioctl(v->fd, VFIO_DEVICE_SET_IRQS, &off);
		if (i == ROUNDS)
			under_way();
	}
}

static unsigned int find_cap(struct vdev *v, uint8_t id)
{
	unsigned int pos = vfio_config_read16(v, PCI_CAPABILITY_LIST) & 0xfc;

	while (pos) {
		uint16_t head = vfio_config_read16(v, pos);

		if ((head & 0xff) == id)
			return pos;
		pos = head >> 8 & 0xfc;
	}
	die("%s has no capability %u", v->bdf, id);
}

static void put16(struct vdev *v, unsigned int off, uint16_t val)
{
	/* May be refused. */
	if (pwrite(v->fd, &val, 2, v->config_off + off) != 2)
		return;
}

static void config(struct vdev *v)
{
	unsigned int msi = find_cap(v, PCI_CAP_ID_MSI) + PCI_MSI_FLAGS;
	uint16_t cmd = vfio_config_read16(v, PCI_COMMAND) & ~PCI_COMMAND_INTX_DISABLE;
	uint16_t flags = vfio_config_read16(v, msi);

	for (unsigned int i = 1;; i++) {
		put16(v, PCI_COMMAND, cmd | PCI_COMMAND_INTX_DISABLE);
		put16(v, msi, flags | PCI_MSI_FLAGS_ENABLE);
		put16(v, PCI_COMMAND, cmd);
		put16(v, msi, flags & ~PCI_MSI_FLAGS_ENABLE);
		if (i == ROUNDS)
			under_way();
	}
}

static void reset(struct vdev *v)
{
	for (unsigned int i = 0;; i++) {
		ioctl(v->fd, VFIO_DEVICE_RESET);
		if (!i)
			under_way();
		usleep(i * 1000 % PAUSE_US);
	}
}

static void hot_reset(struct vdev *v)
{
	struct vfio_pci_hot_reset arg = { .argsz = sizeof(arg) };

	for (unsigned int i = 0;; i++) {
		ioctl(v->fd, VFIO_DEVICE_PCI_HOT_RESET, &arg);
		if (!i)
			under_way();
		usleep(i * 1000 % PAUSE_US);
	}
}

static void bus_reset(struct vdev *v)
{
	char path[96];
	int fd;

	/* The device's folder is a link into that of the bridge. */
	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/../reset_subordinate", v->bdf);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		die("open %s: %s", path, strerror(errno));
	for (unsigned int i = 0;; i++) {
		bool refused = pwrite(fd, "1", 1, 0) != 1;

		if (!i)
			under_way();
		usleep(refused ? PAUSE_US : i * 1000 % PAUSE_US);
	}
}

static void in_log(const char *what, const char *said)
{
	char line[96];

	snprintf(line, sizeof(line), "rig: %s after the freeze: %s", what, said);
	write_file("/dev/kmsg", line);
}

/* A process that sleeps in write(2) has asked, and has no answer yet. */
static void watch(pid_t asking, const char *what)
{
	char path[32], text[256];

	under_way();
	snprintf(path, sizeof(path), "/proc/%d/syscall", asking);
	/* The number of a call, if it sleeps in one; else a word, or -1. */
	while (read_file(path, text, sizeof(text)) > 0) {
		if (strtol(text, NULL, 10) == SYS_write) {
			in_log(what, "waits");
			break;
		}
		usleep(WATCH_US);
	}
	_exit(0);
}

static void once_frozen(struct vdev *v, const char *what, const char *path,
			const char *text, bool waits)
{
	/* Before the freeze: after it there may be no time to look it up. */
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	uint16_t cmd = vfio_config_read16(v, PCI_COMMAND);
	pid_t self = getpid(), pid = waits ? fork() : self;

	if (fd < 0)
		die("open %s: %s", path, strerror(errno));
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid)
		watch(self, what);
	/* The other process says so: this one does nothing by write(2), which that one looks for. */
	if (!waits)
		under_way();
	while (pwrite(v->fd, &cmd, 2, v->config_off + PCI_COMMAND) == 2)
		;
	in_log(what, write(fd, text, strlen(text)) < 0 ? strerror(errno) : "done");
	for (;;)
		pause();
}

static void unbind(struct vdev *v)
{
	once_frozen(v, "unbind", "/sys/bus/pci/drivers/vfio-pci/unbind", v->bdf, true);
}

static void remove_it(struct vdev *v)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", v->bdf);
	once_frozen(v, "remove", path, "1", true);
}

static void vfs(struct vdev *v)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", v->bdf);
	once_frozen(v, "vfs", path, "1", false);
}

void freeze_race_begin(struct vdev *v, const char *what)
{
	void (*run)(struct vdev *v) = !strcmp(what, "interrupts") ? interrupts :
				      !strcmp(what, "config") ? config :
				      !strcmp(what, "reset") ? reset :
				      !strcmp(what, "hot-reset") ? hot_reset :
				      !strcmp(what, "bus-reset") ? bus_reset :
				      !strcmp(what, "unbind") ? unbind :
				      !strcmp(what, "remove") ? remove_it :
				      !strcmp(what, "vfs") ? vfs : NULL;

	if (!run)
		die("there is no race '%s'", what);
	freeze_race_end();
	/* One that was retrieved came as a file. */
	if (!v->bdf[0] && vfio_find(ID_INTEL, ID_IGB, 0, v->bdf))
		die("the network device is not there");
	race = what;
	racer = fork();
	if (racer < 0)
		die("fork: %s", strerror(errno));
	if (!racer)
		run(v);
}

void freeze_race_end(void)
{
	if (!racer)
		return;
	kill(racer, SIGKILL);
	waitpid(racer, NULL, 0);
	racer = 0;
}
