// SPDX-License-Identifier: LGPL-2.1-or-later
/* Copyright (c) 2026 The Continuo authors */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "abi.h"
#include "iommufd.h"

static int check_flags(struct continuo *ctx, uint32_t flags, uint32_t known)
{
	return flags & ~known ? fail(ctx, -EINVAL, "flags=%#x: there is no such flag", flags) : 0;
}

int continuo_hwpt_mark(struct continuo *ctx, int iommufd, uint32_t hwpt,
		       uint64_t token, uint32_t flags)
{
	struct uio_hwpt_mark_preserve arg = {
		.size = sizeof(arg),
		.hwpt_id = hwpt,
		.hwpt_token = token,
		.flags = flags,
	};
	/* Another flag of the kernel's would remove the mark. */
	int err = check_flags(ctx, flags, CONTINUO_MARK_KEEP);

	if (err)
		return err;
	if (!ioctl(iommufd, UIO_HWPT_MARK_PRESERVE, &arg))
		return 0;
	err = errno;
	switch (err) {
	case ENOTTY:
		return fail(ctx, -err, "HWPT %u: this kernel cannot carry HWPTs over; it takes CONFIG_IOMMU_LIVEUPDATE", hwpt);
	case EADDRINUSE:
	case EEXIST:
		return fail(ctx, -EEXIST, "HWPT %u: another HWPT of the iommufd has token %#llx; tokens are unique",
			    hwpt, (unsigned long long)token);
	case EBUSY:
		return fail(ctx, -err, "HWPT %u: its iommufd is preserved already; mark first", hwpt);
	case ENOENT:
		return fail(ctx, -err, "HWPT %u: the iommufd has no such HWPT", hwpt);
	}
	return fail(ctx, -err, "HWPT %u: it cannot be marked: %s", hwpt, strerror(err));
}

int continuo_hwpt_unmark(struct continuo *ctx, int iommufd, uint32_t hwpt, uint64_t token)
{
	struct uio_hwpt_mark_preserve arg = {
		.size = sizeof(arg),
		.hwpt_id = hwpt,
		.hwpt_token = token,
		.flags = UIO_MARK_UNMARK,
	};
	int err;

	if (!ioctl(iommufd, UIO_HWPT_MARK_PRESERVE, &arg))
		return 0;
	err = errno;
	return fail(ctx, -err, "HWPT %u: its mark cannot be removed: %s", hwpt,
		    err == EBUSY ? "its iommufd is preserved; close the session first" :
		    err == ENOENT ? "it has none with this token" : strerror(err));
}

int continuo_hwpt_restore(struct continuo *ctx, int iommufd, uint64_t token,
			  uint32_t *hwpt)
{
	struct uio_hwpt_restore arg = {
		.size = sizeof(arg),
		.hwpt_token = token,
	};

	if (ioctl(iommufd, UIO_HWPT_RESTORE, &arg))
		return fail(ctx, -errno, "HWPT with token %#llx: %s",
			    (unsigned long long)token,
			    errno == ENOENT ? "none came from the previous kernel" :
					      strerror(errno));
	*hwpt = arg.out_hwpt_id;
	return 0;
}

/* What a program has that was built with the header of 0.1. */
#define DIFFERENCE_SIZE_0_1	(offsetof(struct continuo_difference, is) + sizeof(uint64_t))

static int check_size(struct continuo *ctx, const struct continuo_difference *diff, size_t size)
{
	if (diff && size < DIFFERENCE_SIZE_0_1)
		return fail(ctx, -EINVAL, "a difference has %zu bytes at least", DIFFERENCE_SIZE_0_1);
	return 0;
}

/* As much as the caller has room for; what this library does not know is 0. */
static void store(struct continuo_difference *diff, size_t size,
		  const struct continuo_difference *d)
{
	if (!diff)
		return;
	memset(diff, 0, size);
	memcpy(diff, d, size < sizeof(*d) ? size : sizeof(*d));
}

static uint64_t address_of(const struct uio_translation *t)
{
	return t->flags & 1 ? t->address : UINT64_MAX;
}

/* How two HWPTs translate an IOVA, for all who may not know the addresses, too. */
static const char *difference(const struct continuo_difference *diff)
{
	if (diff->was == UINT64_MAX)
		return "is not mapped there, and is now";
	if (diff->is == UINT64_MAX)
		return "is mapped there, and is not now";
	if (diff->was == diff->is && diff->was)
		return "has other permissions there than now";
	return diff->was ? "is mapped to other memory there than now" :
			   "is mapped to other memory, or with other permissions, there than now";
}

/* Says of two HWPTs that differ what was found; the reason is kept, too. */
static int differs(struct continuo *ctx, struct continuo_difference *diff,
		   uint32_t restored)
{
	if (diff->differs)
		return fail(ctx, -EILSEQ, "what was rebuilt differs from restored HWPT %u: IOVA %#llx %s; map the same memory at the same places",
			    restored, (unsigned long long)diff->iova,
			    difference(diff));
	if (diff->more)
		return fail(ctx, -EILSEQ, "restored HWPT %u translates more than the address space maps; map all that was mapped",
			    restored);
	return fail(ctx, -EILSEQ, "a leaf of restored HWPT %u at IOVA %#llx reaches over the end of a mapping; map what was mapped at once at once",
		    restored, (unsigned long long)diff->iova);
}

int continuo_hwpt_verify(struct continuo *ctx, int iommufd, uint32_t restored,
			 uint32_t hwpt, struct continuo_difference *diff)
{
	return continuo_hwpt_verify_sized(ctx, iommufd, restored, hwpt, diff, DIFFERENCE_SIZE_0_1);
}

int continuo_hwpt_verify_sized(struct continuo *ctx, int iommufd, uint32_t restored,
			       uint32_t hwpt, struct continuo_difference *diff,
			       size_t size)
{
	struct uio_hwpt_verify arg = {
		.size = sizeof(arg),
		.restored_id = restored,
		.hwpt_id = hwpt,
	};
	struct continuo_difference d = {};
	int ret = check_size(ctx, diff, size);

	if (ret)
		return ret;
	if (ioctl(iommufd, UIO_HWPT_VERIFY, &arg))
		return fail(ctx, -errno, "restored HWPT %u cannot be compared with HWPT %u: %s",
			    restored, hwpt,
			    errno == EUCLEAN ? "it is damaged" : strerror(errno));
	d.differs = !!(arg.out_result & UIO_DIFFERS);
	d.sizes_differ = !!(arg.out_result & UIO_SIZES_DIFFER);
	if (d.differs) {
		d.iova = arg.out_iova;
		d.was = address_of(&arg.out_restored);
		d.is = address_of(&arg.out_rebuilt);
	}
	store(diff, size, &d);
	return d.differs ? differs(ctx, &d, restored) : 0;
}

int continuo_hwpt_adopt(struct continuo *ctx, int iommufd, uint32_t restored,
			uint32_t ioas, uint32_t device, uint32_t flags,
			uint32_t *hwpt, struct continuo_difference *diff)
{
	return continuo_hwpt_adopt_sized(ctx, iommufd, restored, ioas, device, flags, hwpt, diff,
					 DIFFERENCE_SIZE_0_1);
}

int continuo_hwpt_adopt_sized(struct continuo *ctx, int iommufd, uint32_t restored,
			      uint32_t ioas, uint32_t device, uint32_t flags,
			      uint32_t *hwpt, struct continuo_difference *diff,
			      size_t size)
{
	int ret = check_size(ctx, diff, size);

	if (!ret)
		ret = check_flags(ctx, flags, CONTINUO_ADOPT_SIZES);
	return ret ? ret : adopt_hwpt(ctx, iommufd, restored, ioas, device, flags, 0, hwpt, diff, size);
}

int adopt_hwpt(struct continuo *ctx, int iommufd, uint32_t restored, uint32_t ioas,
	       uint32_t device, uint32_t flags, uint32_t hwpt_flags, uint32_t *hwpt,
	       struct continuo_difference *diff, size_t size)
{
	struct uio_hwpt_adopt arg = {
		.size = sizeof(arg),
		.hwpt_flags = hwpt_flags,
		.flags = flags,
		.restored_id = restored,
		.ioas_id = ioas,
		.dev_id = device,
	};
	struct continuo_difference d = {};

	if (!ioas)
		return fail(ctx, -EINVAL, "IOAS 0: there is none of that id");
	if (ioctl(iommufd, UIO_HWPT_ADOPT, &arg))
		return fail(ctx, -errno, "restored HWPT %u cannot be adopted by IOAS %u: %s",
			    restored, ioas,
			    errno == EUCLEAN ? "it is damaged" :
			    errno == EBUSY ? "it was adopted already" :
			    errno == EOPNOTSUPP ? "the device would get tables of another kind; rebuild in place of adopting" :
						  strerror(errno));
	d.differs = !!(arg.out_result & UIO_DIFFERS);
	d.sizes_differ = !!(arg.out_result & UIO_SIZES_DIFFER);
	d.more = !!(arg.out_result & UIO_MORE);
	d.iova = arg.out_iova;
	d.was = address_of(&arg.out_restored);
	d.is = address_of(&arg.out_rebuilt);
	store(diff, size, &d);
	if (arg.out_result)
		return differs(ctx, &d, restored);
	*hwpt = arg.out_hwpt_id;
	return 0;
}

int find_adopted(struct continuo *ctx, int iommufd, uint32_t restored,
		 uint32_t *ioas, uint32_t *hwpt)
{
	struct uio_hwpt_adopt arg = {
		.size = sizeof(arg),
		.restored_id = restored,
	};

	if (ioctl(iommufd, UIO_HWPT_ADOPT, &arg))
		return fail(ctx, -errno, "restored HWPT %u: nothing has adopted it: %s",
			    restored, strerror(errno));
	*ioas = arg.out_ioas_id;
	*hwpt = arg.out_hwpt_id;
	return 0;
}

int continuo_ioas_alloc(struct continuo *ctx, int iommufd, uint32_t *ioas)
{
	struct uio_ioas_alloc arg = { .size = sizeof(arg) };

	if (ioctl(iommufd, UIO_IOAS_ALLOC, &arg))
		return fail(ctx, -errno, "an IOAS cannot be made: %s", strerror(errno));
	*ioas = arg.out_ioas_id;
	return 0;
}

int continuo_ioas_map(struct continuo *ctx, int iommufd, uint32_t ioas, int memfd,
		      uint64_t offset, uint64_t length, uint64_t iova,
		      unsigned int prot)
{
	struct uio_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = UIO_MAP_FIXED_IOVA,
		.ioas_id = ioas,
		.fd = memfd,
		.start = offset,
		.length = length,
		.iova = iova,
	};

	if (!prot || prot & ~(CONTINUO_READ | CONTINUO_WRITE))
		return fail(ctx, -EINVAL, "prot=%#x: it is read, write, or both", prot);
	if (prot & CONTINUO_READ)
		arg.flags |= UIO_MAP_READABLE;
	if (prot & CONTINUO_WRITE)
		arg.flags |= UIO_MAP_WRITEABLE;
	if (ioctl(iommufd, UIO_IOAS_MAP_FILE, &arg))
		return fail(ctx, -errno, "IOVA %#llx to %#llx cannot be mapped: %s",
			    (unsigned long long)iova,
			    (unsigned long long)(iova + length - 1),
			    strerror(errno));
	return 0;
}

int continuo_hwpt_alloc(struct continuo *ctx, int iommufd, uint32_t device,
			uint32_t ioas, uint32_t *hwpt)
{
	return alloc_hwpt(ctx, iommufd, device, ioas, 0, hwpt);
}

int alloc_hwpt(struct continuo *ctx, int iommufd, uint32_t device, uint32_t ioas,
	       uint32_t flags, uint32_t *hwpt)
{
	struct uio_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = device,
		.pt_id = ioas,
	};

	if (ioctl(iommufd, UIO_HWPT_ALLOC, &arg))
		return fail(ctx, -errno, "a HWPT of IOAS %u for device %u cannot be made: %s",
			    ioas, device, strerror(errno));
	*hwpt = arg.out_hwpt_id;
	return 0;
}

int continuo_destroy(struct continuo *ctx, int iommufd, uint32_t id)
{
	struct uio_destroy arg = { .size = sizeof(arg), .id = id };

	if (ioctl(iommufd, UIO_DESTROY, &arg))
		return fail(ctx, -errno, "object %u cannot be destroyed: %s", id,
			    errno == EBUSY ? "it is in use; move its devices first" :
					     strerror(errno));
	return 0;
}

int continuo_device_bind(struct continuo *ctx, int cdev, int iommufd,
			 uint32_t *device)
{
	return continuo_device_bind_token(ctx, cdev, iommufd, NULL, device);
}

int continuo_device_bind_token(struct continuo *ctx, int cdev, int iommufd,
			       const uint8_t *token, uint32_t *device)
{
	struct uvfio_bind arg = {
		.argsz = sizeof(arg),
		.flags = token ? UVFIO_BIND_TOKEN : 0,
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)token,
	};

	if (ioctl(cdev, UVFIO_BIND_IOMMUFD, &arg))
		/* EPERM: a retrieved device, and not the iommufd that it came with. */
		return fail(ctx, errno == EPERM ? -EINVAL : -errno, "device %d cannot be bound to iommufd %d: %s",
			    cdev, iommufd,
			    errno == EBUSY ? "somebody else has it, or it is in a session: retrieve it from there" :
			    errno == EINVAL && token ? "it asks for no token, or is bound already, or belongs to another iommufd of its session" :
			    errno == EINVAL || errno == EPERM ? "it is bound already, or belongs to another iommufd of its session" :
			    errno == EACCES && token ? "that is not the token of its physical function" :
			    errno == EACCES ? "it asks for the token of its physical function" :
					      strerror(errno));
	*device = arg.out_devid;
	return 0;
}

int continuo_device_attach(struct continuo *ctx, int cdev, uint32_t hwpt)
{
	struct uvfio_attach arg = { .argsz = sizeof(arg), .pt_id = hwpt };

	if (ioctl(cdev, UVFIO_ATTACH_PT, &arg))
		return fail(ctx, -errno, "device %d cannot be attached to HWPT %u: %s",
			    cdev, hwpt,
			    errno == EBUSY ? "it is preserved, or its HWPT is" :
			    errno == EOPNOTSUPP ? "the one that it has cannot be replaced by this one without a gap; detach it first" :
						  strerror(errno));
	return 0;
}
