// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "abi.h"
#include "interfaces/iommufd.h"

int iommufd_open(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int iommufd_ioas_alloc(int iommufd)
{
	struct uio_ioas_alloc arg = { .size = sizeof(arg) };

	return ioctl(iommufd, UIO_IOAS_ALLOC, &arg) ? -errno :
						      (int)arg.out_ioas_id;
}

static int map_file(int iommufd, uint32_t ioas, int fd, uint64_t start,
		    uint64_t length, uint64_t iova, uint32_t flags)
{
	struct uio_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = UIO_MAP_FIXED_IOVA | UIO_MAP_READABLE | flags,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return ioctl(iommufd, UIO_IOAS_MAP_FILE, &arg) ? -errno : 0;
}

int iommufd_map_file(int iommufd, uint32_t ioas, int fd, uint64_t start,
		     uint64_t length, uint64_t iova)
{
	return map_file(iommufd, ioas, fd, start, length, iova,
			UIO_MAP_WRITEABLE);
}

int iommufd_map_file_ro(int iommufd, uint32_t ioas, int fd, uint64_t start,
			uint64_t length, uint64_t iova)
{
	return map_file(iommufd, ioas, fd, start, length, iova, 0);
}

int iommufd_change_process(int iommufd)
{
	/* As struct iommu_ioas_change_process */
	struct {
		uint32_t size, reserved;
	} arg = { .size = sizeof(arg) };

	return ioctl(iommufd, UIO(0x92), &arg) ? -errno : 0;
}

/* As struct iommu_ioas_noiommu_get_pa */
struct get_pa {
	uint32_t size, flags, ioas_id, reserved;
	uint64_t iova, length, phys;
};

int iommufd_get_pa(int iommufd, uint32_t ioas, uint64_t iova, uint64_t *bytes,
		   uint64_t *pa)
{
	struct get_pa arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.iova = iova,
		.length = *bytes,
	};

	if (ioctl(iommufd, UIO(0x95), &arg))
		return -errno;
	*bytes = arg.length;
	*pa = arg.phys;
	return 0;
}

int iommufd_unmap(int iommufd, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct uio_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};

	return ioctl(iommufd, UIO_IOAS_UNMAP, &arg) ? -errno : 0;
}

#define ALLOC_PASID	(1u << 3)

static int hwpt_alloc(int iommufd, uint32_t dev, uint32_t ioas, uint32_t flags)
{
	struct uio_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = dev,
		.pt_id = ioas,
	};

	return ioctl(iommufd, UIO_HWPT_ALLOC, &arg) ? -errno :
						      (int)arg.out_hwpt_id;
}

int iommufd_hwpt_alloc(int iommufd, uint32_t dev, uint32_t ioas)
{
	return hwpt_alloc(iommufd, dev, ioas, 0);
}

int iommufd_hwpt_alloc_pasid(int iommufd, uint32_t dev, uint32_t ioas)
{
	return hwpt_alloc(iommufd, dev, ioas, ALLOC_PASID);
}

int iommufd_destroy(int iommufd, uint32_t id)
{
	struct uio_destroy arg = { .size = sizeof(arg), .id = id };

	return ioctl(iommufd, UIO_DESTROY, &arg) ? -errno : 0;
}

int iommufd_hwpt_mark(int iommufd, uint32_t hwpt, uint64_t token,
		      uint32_t flags)
{
	struct uio_hwpt_mark_preserve arg = {
		.size = flags ? sizeof(arg) : offsetof(typeof(arg), flags),
		.hwpt_id = hwpt,
		.hwpt_token = token,
		.flags = flags,
	};

	return ioctl(iommufd, UIO_HWPT_MARK_PRESERVE, &arg) ? -errno : 0;
}

int iommufd_hwpt_restore(int iommufd, uint64_t token)
{
	struct uio_hwpt_restore arg = {
		.size = sizeof(arg),
		.hwpt_token = token,
	};

	return ioctl(iommufd, UIO_HWPT_RESTORE, &arg) ? -errno :
							(int)arg.out_hwpt_id;
}

int iommufd_hwpt_verify(int iommufd, uint32_t restored, uint32_t hwpt,
			struct uio_hwpt_verify *arg)
{
	*arg = (struct uio_hwpt_verify){
		.size = sizeof(*arg),
		.restored_id = restored,
		.hwpt_id = hwpt,
	};
	return ioctl(iommufd, UIO_HWPT_VERIFY, arg) ? -errno : 0;
}
