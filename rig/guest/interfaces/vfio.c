// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "abi.h"
#include "core/end.h"
#include "core/files.h"
#include "interfaces/vfio.h"

#define PCI_DIR		"/sys/bus/pci/devices"
#define PCI_COMMAND	0x04
#define PCI_CMD_MEMORY	0x2
#define PCI_CMD_MASTER	0x4

static uint16_t sysfs_hex(const char *bdf, const char *attr)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), PCI_DIR "/%s/%s", bdf, attr);
	if (read_file(path, text, sizeof(text)) <= 0)
		return 0;
	return strtoul(text, NULL, 16);
}

int vfio_find(uint16_t vendor, uint16_t device, unsigned int nth,
	      char bdf[BDF_LEN])
{
	struct dirent **list;
	int n = scandir(PCI_DIR, &list, NULL, alphasort), ret = -ENODEV;

	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;

		if (ret && name[0] != '.' && strlen(name) < BDF_LEN &&
		    sysfs_hex(name, "vendor") == vendor &&
		    sysfs_hex(name, "device") == device && !nth--) {
			memcpy(bdf, name, strlen(name) + 1);
			ret = 0;
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return ret;
}

void vfio_give(const char *bdf)
{
	char path[128], driver[128];
	ssize_t len;

	snprintf(path, sizeof(path), PCI_DIR "/%s/driver_override", bdf);
	write_file(path, "vfio-pci");
	snprintf(path, sizeof(path), PCI_DIR "/%s/driver", bdf);
	len = readlink(path, driver, sizeof(driver) - 1);
	if (len >= 0) {
		driver[len] = 0;
		if (!strcmp(strrchr(driver, '/') ?: driver, "/vfio-pci"))
			return;
		strcat(path, "/unbind");
		write_file(path, bdf);
	}
	write_file("/sys/bus/pci/drivers_probe", bdf);
}

int vfio_open_cdev(const char *bdf)
{
	char path[128], cdev[300];
	struct dirent *de;
	DIR *dir;
	int fd = -ENODEV;

	vfio_give(bdf);
	snprintf(path, sizeof(path), PCI_DIR "/%s/vfio-dev", bdf);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((de = readdir(dir))) {
		if (strncmp(de->d_name, "vfio", 4) &&
		    strncmp(de->d_name, "noiommu-vfio", 12))
			continue;
		snprintf(cdev, sizeof(cdev), "/dev/vfio/devices/%s",
			 de->d_name);
		fd = open(cdev, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
		break;
	}
	closedir(dir);
	return fd;
}

int vfio_bind(struct vdev *v, int iommufd)
{
	struct uvfio_bind arg = {
		.argsz = sizeof(arg),
		.flags = v->token ? UVFIO_BIND_TOKEN : 0,
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)v->token,
	};

	if (ioctl(v->fd, UVFIO_BIND_IOMMUFD, &arg))
		return -errno;
	v->devid = arg.out_devid;
	return 0;
}

int vfio_attach(struct vdev *v, uint32_t pt_id)
{
	struct uvfio_attach arg = { .argsz = sizeof(arg), .pt_id = pt_id };

	return ioctl(v->fd, UVFIO_ATTACH_PT, &arg) ? -errno : 0;
}

/* The kernel's structure goes on with a PASID, which no flag here announces. */
int vfio_detach(struct vdev *v)
{
	struct {
		uint32_t argsz, flags;
	} arg = { .argsz = sizeof(arg) };

	return ioctl(v->fd, _IO(VFIO_TYPE, VFIO_BASE + 20), &arg) ? -errno : 0;
}

/* Of both calls: there is a PASID. */
#define WITH_PASID	(1u << 0)

int vfio_attach_pasid(struct vdev *v, uint32_t pasid, uint32_t pt_id)
{
	struct uvfio_attach arg = {
		.argsz = sizeof(arg),
		.flags = WITH_PASID,
		.pt_id = pt_id,
		.pasid = pasid,
	};

	return ioctl(v->fd, UVFIO_ATTACH_PT, &arg) ? -errno : 0;
}

int vfio_detach_pasid(struct vdev *v, uint32_t pasid)
{
	struct {
		uint32_t argsz, flags, pasid;
	} arg = { .argsz = sizeof(arg), .flags = WITH_PASID, .pasid = pasid };

	return ioctl(v->fd, _IO(VFIO_TYPE, VFIO_BASE + 20), &arg) ? -errno : 0;
}

int vfio_set_token(struct vdev *v, const uint8_t *token)
{
	struct {
		struct vfio_device_feature head;
		uint8_t token[VF_TOKEN_SIZE];
	} arg = {
		.head.argsz = sizeof(arg),
		.head.flags = VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
	};

	memcpy(arg.token, token, sizeof(arg.token));
	return ioctl(v->fd, VFIO_DEVICE_FEATURE, &arg) ? -errno : 0;
}

int vfio_reset(struct vdev *v)
{
	return ioctl(v->fd, VFIO_DEVICE_RESET) ? -errno : 0;
}

int vfio_low_power(struct vdev *v, bool on)
{
	struct vfio_device_feature arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DEVICE_FEATURE_SET |
			 (on ? VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY :
			       VFIO_DEVICE_FEATURE_LOW_POWER_EXIT),
	};

	return ioctl(v->fd, VFIO_DEVICE_FEATURE, &arg) ? -errno : 0;
}

/* Not in <linux/vfio.h> of Debian 12 */
#define FEATURE_DMA_BUF	11

int vfio_export_bar(struct vdev *v, unsigned int n, size_t bytes)
{
	struct {
		struct vfio_device_feature head;
		uint32_t region, open_flags, flags, nr_ranges;
		uint64_t offset, length;
	} arg = {
		.head.argsz = sizeof(arg),
		.head.flags = VFIO_DEVICE_FEATURE_GET | FEATURE_DMA_BUF,
		.region = VFIO_PCI_BAR0_REGION_INDEX + n,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 1,
		.length = bytes,
	};
	int fd = ioctl(v->fd, VFIO_DEVICE_FEATURE, &arg);

	return fd < 0 ? -errno : fd;
}

static int vfio_region(struct vdev *v, unsigned int index,
		       struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return ioctl(v->fd, VFIO_DEVICE_GET_REGION_INFO, info) ? -errno : 0;
}

int vfio_map_config(struct vdev *v)
{
	struct vfio_region_info info;
	int ret;

	ret = vfio_region(v, VFIO_PCI_CONFIG_REGION_INDEX, &info);
	if (!ret)
		v->config_off = info.offset;
	return ret;
}

volatile uint8_t *vfio_map_bar(struct vdev *v, unsigned int n)
{
	struct vfio_region_info info;
	void *p;

	if (vfio_region(v, VFIO_PCI_BAR0_REGION_INDEX + n, &info))
		return NULL;
	p = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd,
		 info.offset);
	return p == MAP_FAILED ? NULL : p;
}

int vfio_map(struct vdev *v)
{
	struct vfio_region_info info;
	void *p;
	int ret;

	ret = vfio_map_config(v);
	if (ret)
		return ret;
	ret = vfio_region(v, VFIO_PCI_BAR0_REGION_INDEX, &info);
	if (ret)
		return ret;
	p = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd,
		 info.offset);
	if (p == MAP_FAILED)
		return -errno;
	v->bar0 = p;
	v->bar0_len = info.size;
	return 0;
}

int vfio_map_sysfs(struct vdev *v)
{
	struct stat st;
	char path[128];
	void *p;
	int fd, ret;

	snprintf(path, sizeof(path), PCI_DIR "/%s/resource0", v->bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	p = fstat(fd, &st) ? MAP_FAILED :
	    mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ret = p == MAP_FAILED ? -errno : 0;
	close(fd);
	if (ret)
		return ret;
	v->bar0 = p;
	v->bar0_len = st.st_size;
	return 0;
}

void vfio_unmap(struct vdev *v)
{
	munmap((void *)v->bar0, v->bar0_len);
	v->bar0 = NULL;
}

uint16_t vfio_config_read16(struct vdev *v, unsigned int off)
{
	uint16_t val = 0;

	if (pread(v->fd, &val, 2, v->config_off + off) != 2)
		die("read config space of %s at 0x%x: %s", v->bdf, off,
		    strerror(errno));
	return val;
}

void vfio_config_write16(struct vdev *v, unsigned int off, uint16_t val)
{
	if (pwrite(v->fd, &val, 2, v->config_off + off) != 2)
		die("write config space of %s at 0x%x: %s", v->bdf, off,
		    strerror(errno));
}

void vfio_enable_dma(struct vdev *v)
{
	uint16_t cmd = vfio_config_read16(v, PCI_COMMAND);

	vfio_config_write16(v, PCI_COMMAND,
			    cmd | PCI_CMD_MEMORY | PCI_CMD_MASTER);
}
