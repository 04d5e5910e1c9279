// SPDX-License-Identifier: GPL-2.0-only
/* VFIO's own containers: what VMMs used for DMA before there was iommufd */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "core/control.h"
#include "core/end.h"
#include "devices/workload.h"
#include "interfaces/guestmem.h"
#include "interfaces/vfio.h"
#include "scenarios/container.h"

#define SIZE	(2ul << 20)

/* A container with the device's group in it. */
static int make_container(const char *bdf)
{
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), group;
	char path[128], link[256];
	ssize_t len;

	if (container < 0)
		die("open /dev/vfio/vfio: %s", strerror(errno));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		die("read %s: %s", path, strerror(errno));
	link[len] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container))
		die("put %s into a container: %s", path, strerror(errno));
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		die("make the container one of type 1: %s", strerror(errno));
	return container;
}

static int map_for_device(int container, int fd, uint64_t iova)
{
	void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)p,
		.iova = iova,
		.size = SIZE,
	};

	if (p == MAP_FAILED)
		die("map memory: %s", strerror(errno));
	return ioctl(container, VFIO_IOMMU_MAP_DMA, &map) ? errno : 0;
}

void container_maps(void)
{
	int memfd = memfd_create("container", MFD_CLOEXEC), err = guestmem_mount(), container;
	char bdf[BDF_LEN];

	if (err || memfd < 0 || ftruncate(memfd, SIZE))
		die("make memory: %s", strerror(err ? err : errno));
	if (vfio_find(ID_INTEL, ID_IGB, 0, bdf))
		die("the network device is not there");
	vfio_give(bdf);
	container = make_container(bdf);
	err = map_for_device(container, guestmem_make(GUESTMEM_DIR "/container", SIZE), 0);
	emit("container", ",\"guestmem\":%d,\"memfd\":%d", err, map_for_device(container, memfd, SIZE));
	close(container);
}
