// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "abi.h"
#include "core/control.h"
#include "core/end.h"
#include "devices/dma_memory.h"
#include "interfaces/iommufd.h"
#include "interfaces/luo.h"
#include "interfaces/vfio.h"
#include "scenarios/uncooperative/requests.h"

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

void cell(const char *state, const char *event, int ret)
{
	emit("cell", ",\"state\":\"%s\",\"event\":\"%s\",\"errno\":%d", state,
	     event, ret < 0 ? -ret : 0);
}

void cell_fd(const char *state, const char *event, int fd)
{
	cell(state, event, fd);
	if (fd >= 0)
		close(fd);
}

int try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int sysfs_write(const char *bdf, const char *attr, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), PCI_DIR "/%s/%s", bdf, attr);
	return try_write(path, text);
}

int other_driver(const char *bdf, const char *driver)
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

int new_id(const char *bdf, const char *driver)
{
	char path[160];
	int ret;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/new_id", driver);
	ret = try_write(path, "8086 10c9");
	snprintf(path, sizeof(path), PCI_DIR "/%s/driver", bdf);
	return ret || access(path, F_OK) ? ret : -EEXIST;
}

int vfio_hot_reset(struct vdev *v)
{
	struct vfio_pci_hot_reset arg = { .argsz = sizeof(arg) };

	return ioctl(v->fd, VFIO_DEVICE_PCI_HOT_RESET, &arg) ? -errno : 0;
}

int vfio_set_irq(struct vdev *v)
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

int config_flr(struct vdev *v)
{
	unsigned int at = find_cap(v, PCI_CAP_EXP) + PCI_EXP_DEVCTL;
	uint16_t before = vfio_config_read16(v, PCI_COMMAND);

	vfio_config_write16(v, at, vfio_config_read16(v, at) | PCI_EXP_FLR);
	return vfio_config_read16(v, PCI_COMMAND) == before ? 0 : -EIO;
}

int config_d3(struct vdev *v)
{
	unsigned int at = find_cap(v, PCI_CAP_PM) + PCI_PMCSR;

	vfio_config_write16(v, at, vfio_config_read16(v, at) | PCI_D3HOT);
	return vfio_config_read16(v, at) & PCI_D3HOT ? -EIO : 0;
}

int bind_halfway(struct vdev *v, int iommufd)
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

int bind_other(struct vdev *v)
{
	struct vdev copy = *v;
	int other = iommufd_open(), ret;

	ret = other < 0 ? other : vfio_bind(&copy, other);
	close(other);
	return ret;
}

int preserve_again(struct vdev *v)
{
	int session = luo_session_create("another"), ret;

	if (session < 0)
		return session;
	ret = luo_preserve(session, v->fd, 1);
	close(session);
	return ret;
}

unsigned int free_unused(int iommufd)
{
	unsigned int freed = 0, before;

	do {
		before = freed;
		for (int id = 1; id < IDS; id++)
			freed += !iommufd_destroy(iommufd, id);
	} while (freed != before);
	return freed;
}
