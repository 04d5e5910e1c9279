// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "abi.h"
#include "files.h"
#include "say.h"

/* iommufd's IOMMU_GET_HW_INFO, which the library does not need. */
#define UIO_GET_HW_INFO		UIO(0x8a)
#define UIO_CAN_TRACK		(1u << 0)

struct uio_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 out_data_type;
	__u8 out_max_pasid_log2;
	__u8 __reserved[3];
	__aligned_u64 out_capabilities;
};

/* VFIO_DEVICE_FEATURE_DMA_BUF, which <linux/vfio.h> of Debian 12 does not have */
#define FEATURE_DMA_BUF		11

/* Of the PCI specification: capabilities, and where their control words have "enabled". */
enum { CAP_POINTER = 0x34, CAP_PM = 0x01, CAP_MSI = 0x05, CAP_PCIE = 0x10, CAP_MSIX = 0x11, CAP_AF = 0x13, CAPS_FROM = 0x40 };
/* Of byte 4 (PMCSR; PCI Power Management 1.2, 3.2.4) */
#define PM_NO_SOFT_RESET	0x08
/* Of byte 7 (Device Capabilities; PCI Express Base 6.0, 7.5.3.3) */
#define PCIE_FLR	0x10
/* Of byte 3: transactions pending, and FLR (ECN Advanced Capabilities, AF Capabilities) */
#define AF_FLR		0x03
#define MSI_ENABLED	(1u << 0)
#define MSIX_ENABLED	(1u << 15)

const char *file_path(int fd)
{
	static char to[256];
	char path[40];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, to, sizeof(to) - 1);
	to[n > 0 ? n : 0] = 0;
	return to;
}

static bool is_iommufd(int fd)
{
	/* No object has the id 0. */
	struct uio_destroy arg = { .size = sizeof(arg) };

	return ioctl(fd, UIO_DESTROY, &arg) && errno == ENOENT;
}

static bool is_device(int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return !ioctl(fd, VFIO_DEVICE_GET_INFO, &info) && info.flags & VFIO_DEVICE_FLAGS_PCI;
}

enum file_kind file_kind(int fd)
{
	struct stat st;

	if (!strcmp(file_path(fd), "anon_inode:[eventfd]"))
		return FILE_EVENT;
	if (fcntl(fd, F_GET_SEALS) >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		return FILE_MEMORY;
	if (is_iommufd(fd))
		return FILE_IOMMUFD;
	if (is_device(fd))
		return FILE_DEVICE;
	return FILE_UNKNOWN;
}

bool file_same(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool file_sealed(int fd)
{
	int wanted = F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_SHRINK, seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & wanted) == wanted;
}

static bool device_has(int cdev, uint32_t feature)
{
	struct vfio_device_feature probe = {
		.argsz = sizeof(probe),
		.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | feature,
	};

	return !ioctl(cdev, VFIO_DEVICE_FEATURE, &probe);
}

bool device_migrates(int cdev)
{
	return device_has(cdev, VFIO_DEVICE_FEATURE_MIGRATION);
}

bool device_exports_bars(int cdev)
{
	return device_has(cdev, FEATURE_DMA_BUF);
}

static const char *const irq_names[] = {
	[IRQ_NONE] = "none", [IRQ_INTX] = "intx", [IRQ_MSI] = "msi", [IRQ_MSIX] = "msix",
};

const char *irq_name(enum device_irq irq)
{
	return irq_names[irq];
}

enum device_irq irq_named(const char *name)
{
	for (int i = IRQ_INTX; i <= IRQ_MSIX; i++)
		if (!strcmp(irq_names[i], name))
			return i;
	return IRQ_NONE;
}

/* The first @size bytes of a capability: 1, 0 if the device has none such, or -1 with why(). */
static int read_capability(int cdev, uint8_t id, uint8_t *bytes, size_t size)
{
	struct vfio_region_info region = {
		.argsz = sizeof(region),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	uint8_t at, head[2];

	if (ioctl(cdev, VFIO_DEVICE_GET_REGION_INFO, &region) ||
	    pread(cdev, &at, 1, region.offset + CAP_POINTER) != 1)
		return fail("the device's configuration space: %s", strerror(errno));
	/* A list that goes in circles is not followed for ever. */
	for (int n = 0; at >= CAPS_FROM && n < 48; n++, at = head[1]) {
		at &= ~3;
		if (pread(cdev, head, sizeof(head), region.offset + at) != sizeof(head) ||
		    (head[0] == id && pread(cdev, bytes, size, region.offset + at) != (ssize_t)size))
			return fail("the device's configuration space at %#x: %s", at, strerror(errno));
		if (head[0] == id)
			return 1;
	}
	return 0;
}

int device_irq(int cdev)
{
	uint8_t msix[4] = {}, msi[4] = {};

	if (read_capability(cdev, CAP_MSIX, msix, sizeof(msix)) < 0 || read_capability(cdev, CAP_MSI, msi, sizeof(msi)) < 0)
		return -1;
	if ((msix[2] | msix[3] << 8) & MSIX_ENABLED)
		return IRQ_MSIX;
	return (msi[2] | msi[3] << 8) & MSI_ENABLED ? IRQ_MSI : IRQ_NONE;
}

int device_bus_reset(int cdev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint8_t pcie[8] = {}, af[4] = {}, pm[6] = {};
	int has_pm;

	if (ioctl(cdev, VFIO_DEVICE_GET_INFO, &info))
		return fail("what the device can: %s", strerror(errno));
	has_pm = read_capability(cdev, CAP_PM, pm, sizeof(pm));
	if (has_pm < 0 || read_capability(cdev, CAP_PCIE, pcie, sizeof(pcie)) < 0 || read_capability(cdev, CAP_AF, af, sizeof(af)) < 0)
		return -1;
	if (!(info.flags & VFIO_DEVICE_FLAGS_RESET))
		return 1;
	return has_pm && !(pm[4] & PM_NO_SOFT_RESET) && !(pcie[7] & PCIE_FLR) && (af[3] & AF_FLR) != AF_FLR;
}

bool device_asks_token(const char *folder)
{
	char path[300];
	int vfs = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/physfn/vfio-dev", folder);
	if (!access(path, F_OK))
		return true;
	snprintf(path, sizeof(path), "%s/sriov_numvfs", folder);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%d", &vfs) != 1)
		vfs = 0;
	fclose(f);
	return vfs;
}

bool device_tracks(int iommufd, uint32_t device)
{
	struct uio_hw_info info = { .size = sizeof(info), .dev_id = device };

	return !ioctl(iommufd, UIO_GET_HW_INFO, &info) && info.out_capabilities & UIO_CAN_TRACK;
}

int hwpt_make(int iommufd, uint32_t device, uint32_t ioas, uint32_t flags, uint32_t *hwpt)
{
	struct uio_hwpt_alloc arg = {
		.size = sizeof(arg), .flags = flags, .dev_id = device, .pt_id = ioas,
	};

	if (ioctl(iommufd, UIO_HWPT_ALLOC, &arg))
		return fail("a HWPT for device %u cannot be made: %s", device, strerror(errno));
	*hwpt = arg.out_hwpt_id;
	return 0;
}

int irq_set(int cdev, unsigned int index, unsigned int action, const int *eventfd, unsigned int n)
{
	size_t size = sizeof(struct vfio_irq_set) + n * sizeof(int);
	struct vfio_irq_set *set = calloc(1, size);
	int ret;

	if (!set)
		abort();
	set->argsz = size;
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | action;
	set->index = index;
	set->count = n;
	memcpy(set->data, eventfd, n * sizeof(int));
	ret = ioctl(cdev, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return ret ? fail("interrupts of index %u cannot be given their eventfds: %s", index, strerror(errno)) : 0;
}
