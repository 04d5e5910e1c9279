/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _UAPI_IOMMUFD_LIVEUPDATE_H
#define _UAPI_IOMMUFD_LIVEUPDATE_H

/*
 * Live update of an iommufd. The commands' numbers and conventions are those
 * of linux/iommufd.h, which includes this file: include that one.
 */
#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct iommu_hwpt_liveupdate_mark_preserve - ioctl(IOMMU_HWPT_LIVEUPDATE_MARK_PRESERVE)
 * @size: sizeof(struct iommu_hwpt_liveupdate_mark_preserve)
 * @hwpt_id: The HWPT, of type HWPT_PAGING
 * @hwpt_token: Name that the HWPT has in the next kernel; any value
 *
 * The HWPT comes along when the iommufd is preserved in a live update session.
 * A HWPT that is marked already gets the new token. EADDRINUSE: another HWPT of
 * this iommufd has the token. EBUSY: the iommufd is preserved at the moment.
 * EOPNOTSUPP: the IOMMU does not support live update.
 */
struct iommu_hwpt_liveupdate_mark_preserve {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 hwpt_token;
};

#define IOMMU_HWPT_LIVEUPDATE_MARK_PRESERVE \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_LIVEUPDATE_MARK_PRESERVE)

/**
 * struct iommu_hwpt_liveupdate_restore - ioctl(IOMMU_HWPT_LIVEUPDATE_RESTORE)
 * @size: sizeof(struct iommu_hwpt_liveupdate_restore)
 * @flags: Must be 0
 * @hwpt_token: Token that the HWPT was marked with in the previous kernel
 * @out_hwpt_id: Id of the restored HWPT
 * @__reserved: Must be 0
 *
 * Find a HWPT that came with this iommufd from the previous kernel. It has no
 * IOAS and cannot be changed; devices that came with it are attached to it as
 * soon as they are bound. IOMMU_DESTROY frees it once they have left. ENOENT:
 * no HWPT came with this token.
 */
struct iommu_hwpt_liveupdate_restore {
	__u32 size;
	__u32 flags;
	__aligned_u64 hwpt_token;
	__u32 out_hwpt_id;
	__u32 __reserved;
};

#define IOMMU_HWPT_LIVEUPDATE_RESTORE \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_LIVEUPDATE_RESTORE)

#endif /* _UAPI_IOMMUFD_LIVEUPDATE_H */
